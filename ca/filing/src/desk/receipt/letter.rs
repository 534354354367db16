//! A receipt as a letter to the institution's mailbox: the same values as text, with receipt and seal as files.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::rows;
use crate::desk::problem::DeskError;
use crate::desk::record::letter::receipt_of;

#[derive(Clone, Debug, Serialize)]
pub struct Letter {
    /// The receipt's number: the gateway delivers nothing twice under one id.
    pub id: String,
    pub to: Recipient,
    pub subject: String,
    pub text: String,
    pub files: Vec<File>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipient {
    Mailbox(String),
}

#[derive(Clone, Debug, Serialize)]
pub struct File {
    pub name: String,
    pub media_type: &'static str,
    /// Base64.
    pub content: String,
}

/// To the enterprise, or to the agent who filed for it; `id` tells which.
pub fn write(id: &str, to: &str, document: &[u8], seal: &[u8]) -> Result<Letter, DeskError> {
    let rows = rows(document)?;
    let value = |label: &str| rows.iter().find(|(_, en, _)| *en == label).map(|(_, _, value)| value.as_str()).unwrap_or_default();
    let subject = format!("申报回执 {} {}（{}） / Filing receipt", value("Kind"), value("Period"), value("Status"));
    let number = receipt_of(id);
    let (zh, en) = if number == id { ("贵单位的申报", "your filing") } else { ("贵单位代理的申报", "a filing that you made as an agent") };
    let mut text = format!("您好：\n\n{zh}有新的回执。附件是回执原文与电子印章，请妥善保存。\nThere is a new receipt for {en}. The receipt and its seal are attached; keep both.\n\n");
    for (zh, en, value) in &rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{zh} {en}: {value}");
    }
    text.push_str("\n本邮件不含任何登录链接。\nThis mail holds no link to log in with.\n");
    let file = |name: String, media_type, content: &[u8]| File { name, media_type, content: STANDARD.encode(content) };
    let files = vec![
        file(format!("receipt-{number}.json"), "application/json", document),
        file(format!("receipt-{number}.p7s"), "application/pkcs7-signature", seal),
        file(format!("receipt-{number}.html"), "text/html", super::html::page(document)?.as_bytes()),
    ];
    Ok(Letter { id: id.to_owned(), to: Recipient::Mailbox(to.to_owned()), subject, text, files })
}
