//! The mail that is sent: letters of 8 KiB in Chinese, the same for the same number, and statements as bureaus seal them.

use certs_test::demo::Dice;

pub const LETTER: usize = 8 * 1024;
/// In one letter of a thousand.
pub const RARE: &str = "鼉龘";

const WORDS: [&str; 40] = [
    "公积金", "缴存", "养老", "保险", "住房", "账户", "余额", "本月", "单位", "个人", "贷款", "提取", "审核", "通过", "材料", "补充", "通知", "市民", "邮箱", "服务",
    "广州", "天河", "越秀", "海珠", "白云", "番禺", "发票", "合同", "会议", "安排", "周一", "周五", "附件", "请查收", "谢谢", "您好", "此致", "敬礼", "联系", "电话",
];

/// Text and HTML of some 7 KiB, in 8 KiB with its header.
pub fn letter(number: usize) -> Vec<u8> {
    let mut dice = Dice::new(number as u64);
    let header = format!(
        "From: 张三 <a{}@neighbour.example>\r\nTo: <someone@mail.suiyin.example>\r\nSubject: =?utf-8?B?5YWs56ev6YeR?= {number}\r\nDate: Sun, 29 Nov 2026 12:00:00 +0800\r\n\
         Message-ID: <{number}.{}@neighbour.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"half\"\r\n\r\n",
        number % 97,
        dice.below(u64::MAX)
    );
    let (mut text, mut words) = (String::new(), 0);
    let half = (LETTER - header.len() - 260) / 2;
    while text.len() < half - 30 {
        text.push_str(WORDS[dice.below(40) as usize]);
        // Characters from all over, as names and addresses bring them.
        text.extend(char::from_u32(0x4e00 + dice.below(3000) as u32));
        words += 1;
        if words % 12 == 0 {
            text.push_str("，\r\n");
        }
    }
    if number.is_multiple_of(1000) {
        text.push_str(RARE);
    }
    let part = |kind: &str, text: &str| format!("--half\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n");
    let mut whole = header + &part("plain", &text) + &part("html", &format!("<p>{text}</p>"));
    whole.push_str("--half--\r\n");
    while whole.len() < LETTER - 2 {
        whole.push_str(if whole.len() % 70 == 68 { "\r\n" } else { "-" });
    }
    whole.push_str("\r\n");
    whole.into_bytes()
}

/// A statement as its owner's mail program fetched it, by a bureau that is none of ours: as a neighbour's mail nobody's who bears our
/// domain is taken. What is sealed is unchanged.
pub fn of_neighbour(statement: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(statement);
    let (header, content) = text.split_once("\r\n\r\n").unwrap();
    let header = header.replace("@mail.suiyin.example", "@neighbour.example");
    format!("{header}\r\n\r\n{content}").into_bytes()
}
