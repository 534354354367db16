//! The real-name mail gateway: what it keeps, and what it does with it.
#![forbid(unsafe_code)]

pub mod archive;
pub mod autoconfig;
pub mod bureau;
pub mod cli;
pub mod daily_report;
pub mod directory;
pub mod erds;
pub mod dkim;
pub mod dns;
pub mod doctor;
pub mod flow;
pub mod gateway;
pub mod init;
pub mod job;
pub mod mailbox;
mod mime;
pub mod notice;
pub mod outbox;
pub mod policy;
mod problem;
pub mod promise;
pub mod queue;
pub mod record;
pub mod registrar;
pub mod sealer;
pub mod sending;
pub mod service;
pub mod statement;
pub mod texts;
pub mod tls;
pub mod tokens;
pub mod verdict;
pub mod wire;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}
