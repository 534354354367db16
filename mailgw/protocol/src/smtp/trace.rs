//! The trace fields a server writes above a message it takes.
use std::net::IpAddr;

use time::{OffsetDateTime, UtcOffset};

use super::exchange::{Domain, Envelope, Host};

/// spec: rfc5321#6.3 a hundred servers are a circle
pub const MAX_HOPS: usize = 100;

/// `Received:` as this server, `by`, writes it: from whom, how, and when. The recipient is named only when there is no other,
/// so nobody learns of a blind copy. `id`: characters other than letters, digits, `.` and `-` are left out.
// spec: rfc5321#4.4 rfc3848#1 rfc6531#4.3
pub fn received(envelope: &Envelope, by: &Domain, time: OffsetDateTime, peer: IpAddr, id: &str) -> Vec<u8> {
    let with = match (envelope.smtputf8, envelope.hello.extended(), envelope.tls) {
        (true, _, true) => "UTF8SMTPS",
        (true, _, false) => "UTF8SMTP",
        (_, true, true) => "ESMTPS",
        (_, true, false) => "ESMTP",
        // HELO under TLS has no registered name of its own: the TLS came by STARTTLS, which is an extension.
        (_, false, true) => "ESMTPS",
        (_, false, false) => "SMTP",
    };
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).take(128).collect();
    let only = match envelope.recipients.as_slice() {
        [recipient] => format!("\r\n\tfor <{}>", recipient.as_str()),
        _ => String::new(),
    };
    let (hello, peer, by) = (envelope.hello.name(), Host::Literal(peer.to_canonical()), by.as_str());
    format!("Received: from {hello} ({peer})\r\n\tby {by} with {with} id {id}{only};\r\n\t{}\r\n", date(time)).into_bytes()
}

/// `Return-Path:` as the last server writes it. spec: rfc5321#4.4
pub fn return_path(envelope: &Envelope) -> Vec<u8> {
    format!("Return-Path: <{}>\r\n", envelope.reverse_path.as_ref().map_or("", |address| address.as_str())).into_bytes()
}

/// How many servers the message says it passed: its `Received` fields, counted up to [`MAX_HOPS`] and one.
pub fn hops(message: &[u8]) -> usize {
    let header = message.split(|byte| *byte == b'\n').take_while(|line| !matches!(line, [] | [b'\r']));
    let received = |line: &&[u8]| line.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"Received:"));
    header.filter(received).take(MAX_HOPS + 1).count()
}

/// spec: rfc5322#3.3
fn date(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    let (weekday, month) = (time.weekday().to_string(), time.month().to_string());
    let short = |name: &str| name.get(..3).unwrap_or_default().to_owned();
    let (hour, minute, second) = time.to_hms();
    format!("{}, {:02} {} {:04} {hour:02}:{minute:02}:{second:02} +0000", short(&weekday), time.day(), short(&month), time.year())
}
