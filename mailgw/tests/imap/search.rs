//! SEARCH in Chinese, with the index and without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::harness::*;
use super::letters::{asked, fill};

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
