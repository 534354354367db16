//! What a submitted message lacks is added, and what is nobody's business is taken out. The rest keeps its octets.

use protocol::smtp::exchange::Domain;
use protocol::smtp::trace;
use time::OffsetDateTime;

use crate::mime::header;

/// Blind copies are blind; the last server writes the return path; what we find about a message is ours to say.
const REMOVED: [&str; 4] = ["Bcc", "Resent-Bcc", "Return-Path", "Suiyin-Verified"];

/// `token` names the message where its program gave it no name.
pub(super) fn complete(message: &[u8], host: &Domain, domain: &Domain, token: &str, now: OffsetDateTime) -> Vec<u8> {
    let message = trace::without_our_verdicts(message, host);
    let message = trace::without_fields(&message, |field| REMOVED.iter().any(|name| is(field, name)));
    let (fields, _) = trace::fields(&message);
    let mut added = Vec::new();
    // spec: rfc6409#8.2
    if !fields.iter().any(|field| is(field, "Message-ID")) {
        header::plain(&mut added, "Message-ID", &format!("<{token}@{}>", domain.as_str()));
    }
    // spec: rfc6409#8.1
    if !fields.iter().any(|field| is(field, "Date")) {
        header::plain(&mut added, "Date", &header::date(now));
    }
    added.extend_from_slice(&message);
    added
}

fn is(field: &[u8], name: &str) -> bool {
    let found = field.split(|byte| *byte == b':').next().unwrap_or_default();
    found.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use time::macros::datetime;

    fn completed(message: &str) -> String {
        let (host, domain) = (Domain::parse("mx.b.cn").unwrap(), Domain::parse("b.cn").unwrap());
        String::from_utf8(complete(message.as_bytes(), &host, &domain, "t", datetime!(2026-11-29 00:00 UTC))).unwrap()
    }

    #[test]
    fn what_is_missing_is_added() {
        let whole = "From: a@b.cn\r\nDate: x\r\nmessage-id: <y>\r\n\r\nBcc: body\r\n";
        assert_eq!(completed(whole), whole);
        assert_eq!(completed("From: a@b.cn\r\n\r\nbody\r\n"), "Message-ID: <t@b.cn>\r\nDate: Sun, 29 Nov 2026 08:00:00 +0800\r\nFrom: a@b.cn\r\n\r\nbody\r\n");
    }

    #[test]
    fn blind_copies_are_blind() {
        let sent = "Date: x\r\nSuiyin-Verified: forged\r\nBcc: c@d.cn,\r\n e@f.cn\r\nMessage-ID: <y>\r\nReturn-Path: <z@b.cn>\r\nbcc:\r\nAuthentication-Results: mx.b.cn; spf=pass\r\nFrom: a@b.cn\r\n\r\nx\r\n";
        assert_eq!(completed(sent), "Date: x\r\nMessage-ID: <y>\r\nFrom: a@b.cn\r\n\r\nx\r\n");
    }
}
