//! SEARCH in Chinese, with the index and without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Instant;

use mailgw::mailbox::Delivery;
use protocol::imap::exchange::Flags;

use super::concurrency::Dice;
use super::harness::*;

const WORDS: [&str; 40] = [
    "公积金", "缴存", "养老", "保险", "住房", "账户", "余额", "本月", "单位", "个人", "贷款", "提取", "审核", "通过", "材料", "补充", "通知", "市民", "邮箱", "服务",
    "广州", "天河", "越秀", "海珠", "白云", "番禺", "发票", "合同", "会议", "安排", "周一", "周五", "附件", "请查收", "谢谢", "您好", "此致", "敬礼", "联系", "电话",
];

/// Some 600 characters, as a letter has, and a rare word in one of a thousand.
fn letter(dice: &mut Dice, number: usize) -> Vec<u8> {
    let mut text = String::new();
    for at in 0..200 {
        text.push_str(WORDS[usize::try_from(dice.roll(40)).unwrap()]);
        // Characters from all over, as names and addresses bring them.
        text.extend(char::from_u32(0x4e00 + u32::try_from(dice.roll(3000)).unwrap()));
        if at % 12 == 11 {
            text.push_str("，\r\n");
        }
    }
    if number.is_multiple_of(1000) {
        text.push_str("鼉龘");
    }
    let subject = WORDS[number % 40];
    format!("From: 张三 <a{}@b.cn>\r\nTo: {ONE}@mail.example.cn\r\nSubject: {subject} {number}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n", number % 97).into_bytes()
}

fn fill(server: &Server, count: usize) {
    let mut dice = Dice(7);
    let letters: Vec<usize> = (0..count).collect();
    for some in letters.chunks(200) {
        let delivery = |number: &usize| Delivery {
            mailbox: ONE.into(), folder: "INBOX".into(), content: letter(&mut dice, *number).into(), unix_millis: 1_795_000_000_000, flags: Flags::new(), event: None,
        };
        server.messages.deliver(&some.iter().map(delivery).collect::<Vec<_>>(), 1).unwrap();
    }
}

async fn asked(client: &mut Client, keys: &str, text: &str) -> String {
    let lines = client.ok(&format!("UID SEARCH CHARSET UTF-8 {keys} {{{}+}}\r\n{text}", text.len())).await;
    lines.into_iter().find(|line| line.starts_with("* SEARCH")).unwrap()
}

#[tokio::test]
async fn answers_are_the_same_with_the_index() {
    let server = start(quick()).await;
    fill(&server, 60);
    server.deliver(ONE, "INBOX", "Subject: =?gb2312?B?ufs=?= =?gb2312?B?u/29?=\r\n\r\nＧＰＳ公積金".as_bytes());
    // 公积金 in GBK, cut within the second character.
    server.deliver(ONE, "INBOX", b"Subject: =?gb2312?B?uau7?= =?gb2312?B?/b3w?=\r\n\r\nnothing");
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX").await;
    let questions = [
        ("BODY", "积"), ("BODY", "公积"), ("BODY", "公积金"), ("BODY", "公積金"), ("TEXT", "gps"), ("BODY", "鼉龘"), ("SUBJECT", "公积金"), ("FROM", "张三"), ("FROM", "A1@B"),
        ("TEXT", "住房公积"), ("NOT BODY", "本月"), ("OR SUBJECT 1 TEXT", "龘"), ("HEADER To", "1234"), ("BODY", "没有的词"), ("TEXT", ""),
    ];
    let mut before = Vec::new();
    for (keys, text) in questions {
        before.push(asked(&mut client, keys, text).await);
    }
    assert_eq!(before[5], "* SEARCH 1");
    assert_eq!(before[3], "* SEARCH 61");
    assert_eq!(before[4], "* SEARCH 61");
    assert!(before[6].ends_with(" 62"), "{}", before[6]);
    server.messages.reindex(ONE, &mut |_, _| true).unwrap();
    server.deliver(ONE, "INBOX", "Subject: new\r\n\r\n鼉龘".as_bytes());
    for ((keys, text), before) in questions.iter().zip(before) {
        let after = asked(&mut client, keys, text).await;
        let after = if after.ends_with(" 63") { after.trim_end_matches(" 63") } else { &after };
        assert_eq!(after, before, "{keys} {text}");
    }
    assert_eq!(asked(&mut client, "BODY", "鼉龘").await, "* SEARCH 1 63");
}

/// `cargo test -p mailgw --test imap -- --ignored measured --nocapture`; the number of messages may be given as MESSAGES.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "makes a mailbox of 100,000 letters"]
async fn measured() {
    let count = std::env::var("MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(store::open_fjall(directory.path()).unwrap());
    let server = start_on(store, quick(), "127.0.0.1:0", "127.0.0.1:0").await;
    let begun = Instant::now();
    fill(&server, count);
    println!("{count} letters delivered in {:.1} s", begun.elapsed().as_secs_f64());
    let size = || -> u64 { walk(directory.path()) };
    let (begun, before) = (Instant::now(), size());
    let segments = server.messages.reindex(ONE, &mut |_, _| true).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    println!("indexed in {seconds:.1} s, {segments} segments; {:.0} MB of files beside {:.0} MB", size().saturating_sub(before) as f64 / 1e6, before as f64 / 1e6);
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX").await;
    for (keys, text) in [("BODY", "鼉"), ("BODY", "鼉龘"), ("BODY", "积"), ("BODY", "公积"), ("BODY", "公积金"), ("TEXT", "公积金"), ("SUBJECT", "公积金"), ("FROM", "张三"), ("BODY", "住房公积金"), ("TEXT", "没有这个词")] {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..5 {
            let begun = Instant::now();
            found = asked(&mut client, &format!("UNDELETED {keys}"), text).await.split(' ').count() - 2;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("{keys} {text}: {found} of {count}, median {:.0} ms, worst {:.0} ms", times[2], times[4]);
    }
}

fn walk(path: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { entry.metadata().map_or(0, |found| found.len()) }).sum()
}
