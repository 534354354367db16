//! What stands below the figures: how to check the seal, what nobody asks for, where to ask.

use policies::certificate::HostName;

use super::html::{escape, push};
use super::sender::Sender;
use super::sheet::Pair;

/// What stands before the `@` of the addresses at which an owner asks for paper, and says that a statement was read. No mailbox bears them.
pub const PDF_ADDRESS: &str = "statement-pdf";
pub const READ_ADDRESS: &str = "statement-read";
/// And of the one at which owners give and take back consent.
pub const CONSENT: &str = "consent";

/// A note in both languages.
pub(super) struct Note {
    pub title: Pair,
    pub chinese: String,
    pub english: String,
}

/// `statement` and `file` are the statement's number and the name of the attachment; `to` is its reader's domain, where the reader may ask for
/// it on paper or say that it was read.
pub(super) fn notes(sender: &Sender, statement: &str, file: &str, to: Option<&HostName>) -> Vec<Note> {
    let Sender { name, name_en, address, hotline, .. } = sender;
    let paper = to.map(|domain| Note {
        title: ("PDF 与已阅凭证", "PDF, and proof of reading"),
        chinese: format!("请回复本邮件，收件人改为 {PDF_ADDRESS}@{domain} 可索取 PDF，改为 {READ_ADDRESS}@{domain} 可留下已阅凭证。须从本邮箱发出。"),
        english: format!("Reply to this mail, from this mailbox, with the recipient changed to {PDF_ADDRESS}@{domain} for a PDF, or to {READ_ADDRESS}@{domain} to have it on record that you read this."),
    });
    let always = [
        Note {
            title: ("核对印章", "Check the seal"),
            chinese: format!("本邮件由{name}加盖电子印章（S/MIME 数字签名）。请确认邮件程序显示签名有效、签名地址为 {address}，否则请勿相信。"),
            english: format!(
                "{name_en} sealed this mail (S/MIME). Your mail program should show a valid signature by {address}. Trust no statement without it."
            ),
        },
        Note {
            title: ("谨防假冒", "Beware of imitations"),
            chinese: "我们不会用邮件索要密码、验证码，也不会要求转账。邮件中没有链接。".to_owned(),
            english: "Nobody asks you by mail for a password, a code or a transfer. This mail contains no links.".to_owned(),
        },
        Note {
            title: ("有疑问", "Questions"),
            chinese: format!("如有出入，请拨打 {hotline}，告知编号 {statement}。附件 {file} 供软件读取，数据相同。"),
            english: format!("If a figure looks wrong, call {hotline} and name statement {statement}. The attachment {file} has the same figures for software."),
        },
    ];
    always.into_iter().chain(paper).collect()
}

/// How to take back the consent that a kind rests on. `domain` is the gateway's.
pub(super) fn consented(sender: &Sender, kind: &str, domain: &str) -> Note {
    let (address, code) = (CONSENT, sender.code.as_str());
    Note {
        title: ("不再接收", "To stop these"),
        chinese: format!("您同意过接收此类邮件。如不再需要，请用本邮箱写信给 {address}@{domain}，主题写：撤回 {code} {kind}"),
        english: format!("You consented to mail of this kind. To take that back, write from this mailbox to {address}@{domain} with the subject: withdraw {code} {kind}"),
    }
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
