//! A mailbox of many letters in Chinese, the same for the same number; and questions to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mailgw::mailbox::Delivery;
use protocol::imap::exchange::Flags;

use super::harness::*;

/// Small, and the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

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

pub fn fill(server: &Server, count: usize) {
    let mut dice = Dice(7);
    let letters: Vec<usize> = (0..count).collect();
    for some in letters.chunks(200) {
        let delivery = |number: &usize| Delivery {
            mailbox: ONE.into(), folder: "INBOX".into(), content: letter(&mut dice, *number).into(), unix_millis: 1_795_000_000_000, flags: Flags::new(), event: None, mark: None,
        };
        server.messages.deliver(&some.iter().map(delivery).collect::<Vec<_>>(), 1).unwrap();
    }
}

pub async fn asked(client: &mut Client, keys: &str, text: &str) -> String {
    let lines = client.ok(&format!("UID SEARCH CHARSET UTF-8 {keys} {{{}+}}\r\n{text}", text.len())).await;
    lines.into_iter().find(|line| line.starts_with("* SEARCH")).unwrap()
}
