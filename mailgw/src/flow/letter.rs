//! A letter of the gateway's own to the owner of a mailbox.

use policies::mailbox::{Address, LocalPart};
use time::OffsetDateTime;

use crate::directory::Account;
use crate::gateway::{Gateway, unix_millis};
use crate::mime::{header, quoted_printable};
use crate::record::body;

/// `what` tells letters of one moment apart.
pub fn to_owner(gateway: &Gateway, account: &Account, what: &str, subject: &str, text: &str, now: OffsetDateTime) -> Vec<u8> {
    let domain = gateway.directory.domain();
    let to = Address::new(LocalPart::Number(account.number), domain.clone()).to_string();
    let token = crate::hex(body::digest(format!("suiyin {what} v1\n{to}\n{}", unix_millis(now)).as_bytes()).get(..16).unwrap_or_default());
    let mut out = Vec::with_capacity(4 * 1024);
    header::plain(&mut out, "Return-Path", "<>");
    header::mailbox(&mut out, "From", "邮件系统 / Mail system", &format!("postmaster@{domain}"));
    header::plain(&mut out, "To", &format!("<{to}>"));
    header::words(&mut out, "Subject", subject);
    header::plain(&mut out, "Date", &header::date(now));
    header::plain(&mut out, "Message-ID", &format!("<{token}@{domain}>"));
    // spec: rfc3834#5
    header::plain(&mut out, "Auto-Submitted", "auto-generated");
    header::plain(&mut out, "Content-Language", "zh, en");
    header::plain(&mut out, "MIME-Version", "1.0");
    header::plain(&mut out, "Content-Type", "text/plain; charset=utf-8");
    header::plain(&mut out, "Content-Transfer-Encoding", "quoted-printable");
    out.extend_from_slice(b"\r\n");
    quoted_printable::encode(text, &mut out);
    out
}
