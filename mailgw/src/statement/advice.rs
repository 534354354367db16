//! What stands below the figures: how to check the seal, what nobody asks for, where to ask.

use super::sender::Sender;
use super::html::{escape, push};
use super::sheet::Pair;

/// A note in both languages.
pub(super) struct Note {
    pub title: Pair,
    pub chinese: String,
    pub english: String,
}

/// `statement` and `file` are the statement's number and the name of the attachment.
pub(super) fn notes(sender: &Sender, statement: &str, file: &str) -> [Note; 3] {
    let Sender { name, name_en, address, hotline, .. } = sender;
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
            chinese: format!("如有出入，请拨打 {hotline}，并告知对账单编号 {statement}。附件 {file} 含有相同的数据，供软件读取。"),
            english: format!("If a figure looks wrong, call {hotline} and name statement {statement}. The attachment {file} holds the same figures for software."),
        },
    ]
}

pub(super) fn text(notes: &[Note], out: &mut String) {
    for note in notes {
        push(out, &["\n【", note.title.0, " ", note.title.1, "】\n", &note.chinese, "\n", &note.english, "\n"]);
    }
}

pub(super) fn html(notes: &[Note], out: &mut String) {
    for note in notes {
        push(out, &["<h2 style=\"font-size:16px;margin:24px 0 0\">", note.title.0, "\n<span lang=\"en\">", note.title.1, "</span></h2>\n"]);
        out.push_str("<p style=\"margin:4px 0\">");
        escape(&note.chinese, out);
        out.push_str("</p>\n<p lang=\"en\" style=\"margin:4px 0;font-size:14px\">");
        escape(&note.english, out);
        out.push_str("</p>\n");
    }
}
