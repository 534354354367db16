//! What stands below the figures: how to check the seal, what nobody asks for, where to ask.

use super::sender::Sender;
use super::sheet::{Pair, Sheet};

/// A note in both languages.
pub(super) struct Note {
    pub title: Pair,
    pub chinese: String,
    pub english: String,
}

pub(super) fn notes(sheet: &Sheet, sender: &Sender) -> [Note; 3] {
    let Sender { name, name_en, address, hotline, .. } = sender;
    let file = sheet.file_name();
    [
        Note {
            title: ("核对印章", "Check the seal"),
            chinese: format!("本邮件由{name}加盖电子印章（S/MIME 数字签名）。请在邮件程序中确认签名有效，且签名地址为 {address}；没有签名或签名无效的邮件，请勿相信。"),
            english: format!(
                "{name_en} sealed this mail with an S/MIME signature. Your mail program should show it as valid, by {address}. Trust no statement without it."
            ),
        },
        Note {
            title: ("谨防假冒", "Beware of imitations"),
            chinese: "我们不会用邮件索要密码、验证码，也不会要求转账。本邮件不含任何链接。".to_owned(),
            english: "Nobody asks you by mail for a password, a code or a transfer. This mail contains no links.".to_owned(),
        },
        Note {
            title: ("有疑问", "Questions"),
            chinese: format!("如有出入，请拨打 {hotline}，并告知对账单编号 {id}。附件 {file} 含有相同的数据，供软件读取。", id = sheet.statement_id()),
            english: format!(
                "If a figure looks wrong, call {hotline} and name statement {id}. The attachment {file} holds the same figures for software.",
                id = sheet.statement_id()
            ),
        },
    ]
}
