//! What a sender is told of its message: a delivery status notification, Chinese first, for people and for programs.
// spec: rfc3461 rfc3464 rfc6522 rfc6533

use std::fmt::Write as _;

use protocol::smtp::exchange::{Domain, Original, Xtext};
use protocol::smtp::reply::Status;
use protocol::smtp::trace;
use time::OffsetDateTime;

use super::decide::{Action, Told};
use super::explained::explained;
use crate::mime::{header, quoted_printable};
use crate::record::queue::Queued;

/// Whose message it is, and who tells.
pub struct Report<'a> {
    pub queued: &'a Queued,
    /// Of one action; not empty.
    pub told: &'a [Told],
    /// The message as it was queued.
    pub message: &'a [u8],
    /// This host, and the domain of our mailboxes.
    pub host: &'a Domain,
    pub domain: &'a Domain,
    /// Until when it is tried.
    pub gives_up: OffsetDateTime,
    pub now: OffsetDateTime,
    /// Random, for the boundary and the message's name: 32 hexadecimal digits.
    pub token: &'a str,
}

struct Words {
    subject: &'static str,
    opening: [&'static str; 2],
    /// spec: rfc3464#2.3.3
    action: &'static str,
}

fn words(action: Action) -> Words {
    match action {
        Action::Failed => Words {
            subject: "邮件未能送达 / Mail not delivered",
            opening: ["您的邮件未能送达下列收件人，系统不再重试：", "Your message could not be delivered to these recipients and is not tried any more:"],
            action: "failed",
        },
        Action::Delayed => Words {
            subject: "邮件尚未送达，仍在重试 / Mail delayed",
            opening: ["您的邮件尚未送达下列收件人，系统会继续自动重试，您无须重发：", "Your message has not reached these recipients yet. It is tried on; you need not send it again:"],
            action: "delayed",
        },
        Action::Relayed => Words {
            subject: "邮件已转交对方服务器 / Mail relayed",
            opening: ["您的邮件已由下列收件人的服务器接收；对方不会再发送达通知：", "Your message was taken by the servers of these recipients, which will not tell more:"],
            action: "relayed",
        },
        Action::Delivered => Words {
            subject: "邮件已送达 / Mail delivered",
            opening: ["您的邮件已送达下列收件人的邮箱：", "Your message is in the mailboxes of these recipients:"],
            action: "delivered",
        },
    }
}

impl Report<'_> {
    /// The notification as it stands in a mailbox; `None` where there is nobody or nothing to tell.
    pub fn render(&self) -> Option<Vec<u8>> {
        let (to, action) = (self.queued.reverse_path.as_deref()?, self.told.first()?.action);
        let words = words(action);
        let boundary = format!("=_{}", self.token);
        let mut out = Vec::with_capacity(4 * 1024 + if self.is_full(action) { self.message.len() } else { 0 });
        // spec: rfc5321#4.5.5 the null path: nothing is ever returned to it
        header::plain(&mut out, "Return-Path", "<>");
        header::mailbox(&mut out, "From", "邮件系统 / Mail system", &format!("mailer-daemon@{}", self.domain.as_str()));
        header::plain(&mut out, "To", &format!("<{to}>"));
        header::words(&mut out, "Subject", words.subject);
        header::plain(&mut out, "Date", &header::date(self.now));
        header::plain(&mut out, "Message-ID", &format!("<{}@{}>", self.token, self.domain.as_str()));
        // spec: rfc3834#5
        header::plain(&mut out, "Auto-Submitted", "auto-replied");
        header::plain(&mut out, "MIME-Version", "1.0");
        header::plain(&mut out, "Content-Type", &format!("multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\""));
        let part = |out: &mut Vec<u8>, kind: &str, encoding: &str| {
            out.extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes());
        };
        part(&mut out, "text/plain; charset=utf-8", "quoted-printable");
        quoted_printable::encode(&self.text(&words, action), &mut out);
        // spec: rfc6533#3 where an address is not in ASCII
        let global = self.told.iter().filter_map(|told| self.queued.recipients.get(told.recipient)).any(|recipient| !recipient.address.is_ascii());
        part(&mut out, if global { "message/global-delivery-status" } else { "message/delivery-status" }, if global { "8bit" } else { "7bit" });
        out.extend_from_slice(self.status(&words, action, global).as_bytes());
        let (_, end) = trace::fields(self.message);
        let header = self.message.get(..end).unwrap_or_default();
        let (kind, original) = if self.is_full(action) { ("message/rfc822", self.message) } else { ("text/rfc822-headers", header) };
        part(&mut out, kind, if original.is_ascii() { "7bit" } else { "8bit" });
        out.extend_from_slice(original);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Some(out)
    }

    /// spec: rfc3461#4.3 the whole message with failures alone, and when it was asked for
    fn is_full(&self, action: Action) -> bool {
        // spec: rfc8689#5 of what goes under TLS alone the header comes back, whatever was asked for
        action == Action::Failed && self.queued.ret.as_deref() == Some("FULL") && !self.queued.require_tls
    }

    fn text(&self, words: &Words, action: Action) -> String {
        let (mut chinese, mut english) = (format!("{}\n\n", words.opening[0]), format!("{}\n\n", words.opening[1]));
        for told in self.told {
            let Some(recipient) = self.queued.recipients.get(told.recipient) else { continue };
            let _ = writeln!(chinese, "  {}", recipient.address);
            let _ = writeln!(english, "  {}", recipient.address);
            if matches!(action, Action::Failed | Action::Delayed) {
                let status = Status::parse(&told.said.status).unwrap_or(Status::new(5, 0, 0));
                let (zh, en) = explained(status);
                let _ = writeln!(chinese, "    {zh}（代码 {status}）");
                let _ = writeln!(english, "    {en} (code {status})");
            }
            if told.said.code > 0 {
                let host = told.said.host.as_deref().unwrap_or_default();
                let _ = writeln!(chinese, "    对方服务器 {host} 回复：{} {}", told.said.code, told.said.text);
                let _ = writeln!(english, "    {host} said: {} {}", told.said.code, told.said.text);
            }
        }
        if action == Action::Delayed {
            let _ = writeln!(chinese, "\n最晚重试到 {}。", header::date(self.gives_up));
            let _ = writeln!(english, "\nIt is tried until {}.", header::date(self.gives_up));
        }
        format!("{chinese}\n{english}")
    }

    fn status(&self, words: &Words, action: Action, global: bool) -> String {
        let mut out = format!("Reporting-MTA: dns;{}\r\n", self.host.as_str());
        if let Some(id) = self.queued.envelope_id.as_deref().and_then(Xtext::decode) {
            let _ = write!(out, "Original-Envelope-Id: {}\r\n", id.as_str());
        }
        let accepted = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.queued.accepted) * 1_000_000).unwrap_or(self.now);
        let _ = write!(out, "Arrival-Date: {}\r\n", header::date(accepted));
        for told in self.told {
            let Some(recipient) = self.queued.recipients.get(told.recipient) else { continue };
            let said = &told.said;
            out.push_str("\r\n");
            if let Some(original) = recipient.original.as_deref().and_then(Original::parse) {
                let _ = write!(out, "Original-Recipient: {}\r\n", original.told());
            }
            let kind = if recipient.address.is_ascii() { "rfc822" } else { "utf-8" };
            let _ = write!(out, "Final-Recipient: {kind};{}\r\nAction: {}\r\nStatus: {}\r\n", recipient.address, words.action, said.status);
            if said.code > 0 {
                if let Some(host) = &said.host {
                    let _ = write!(out, "Remote-MTA: dns;{host}\r\n");
                }
                let text: String = said.text.chars().map(|c| if global || c.is_ascii() { c } else { '?' }).collect();
                let _ = write!(out, "Diagnostic-Code: smtp;{} {} {text}\r\n", said.code, said.status);
            }
            let _ = write!(out, "Last-Attempt-Date: {}\r\n", header::date(self.now));
            if action == Action::Delayed {
                let _ = write!(out, "Will-Retry-Until: {}\r\n", header::date(self.gives_up));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use mail_parser::{MessageParser, MimeHeaders};
    use time::macros::datetime;

    use super::*;
    use crate::queue::decide::tests::{queued, said, waiting};

    fn rendered(queued: &Queued, action: Action) -> Option<String> {
        let (host, domain) = (Domain::parse("mx.mail.gz.example").unwrap(), Domain::parse("mail.gz.example").unwrap());
        let told: Vec<Told> = (0..queued.recipients.len()).map(|recipient| Told { recipient, action, said: said(550, "5.1.1") }).collect();
        let message = "Subject: =?UTF-8?B?5L2g5aW9?=\r\nFrom: x\r\n\r\nthe body\r\n".as_bytes();
        let now = datetime!(2026-11-29 08:00 UTC);
        let report = Report { queued, told: &told, message, host: &host, domain: &domain, gives_up: now, now, token: "0123456789abcdef0123456789abcdef" };
        report.render().map(|report| String::from_utf8(report).unwrap())
    }

    #[test]
    fn people_and_programs_read_it() {
        let mut sent = queued(vec![waiting("a@c.cn", None), waiting("b@c.cn", None)]);
        sent.envelope_id = Some("QQ+2B1".into());
        sent.recipients[0].original = Some("rfc822;a+2Bx@d.cn".into());
        let report = rendered(&sent, Action::Failed).unwrap();
        let parsed = MessageParser::new().parse(report.as_bytes()).unwrap();
        assert_eq!((parsed.return_path().as_text(), parsed.subject()), (None, Some("邮件未能送达 / Mail not delivered")));
        assert_eq!(parsed.content_type().unwrap().attribute("report-type"), Some("delivery-status"));
        let kinds: Vec<String> = parsed.parts.iter().skip(1).map(|part| format!("{}/{}", part.content_type().unwrap().ctype(), part.content_type().unwrap().subtype().unwrap())).collect();
        assert_eq!(kinds, ["text/plain", "message/delivery-status", "text/rfc822-headers"]);
        let text = parsed.body_text(0).unwrap();
        assert!(text.contains("对方没有这个邮箱") && text.contains("There is no such mailbox there") && text.contains("mx.c.cn said: 550 a reason"), "{text}");
        for line in ["Original-Envelope-Id: QQ+1", "Original-Recipient: rfc822;a+x@d.cn", "Final-Recipient: rfc822;b@c.cn", "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp;550 5.1.1 a reason"] {
            assert!(report.contains(&format!("{line}\r\n")), "{line}");
        }
        assert!(!report.contains("the body"));
        sent.ret = Some("FULL".into());
        assert!(rendered(&sent, Action::Failed).unwrap().contains("the body") && !rendered(&sent, Action::Delayed).unwrap().contains("the body"));
        assert!(rendered(&sent, Action::Delayed).unwrap().contains("Will-Retry-Until: "));
        sent.require_tls = true;
        let report = rendered(&sent, Action::Failed).unwrap();
        assert!(report.contains("text/rfc822-headers") && report.contains("=?UTF-8?B?5L2g5aW9?=") && !report.contains("the body"), "{report}");
        sent.reverse_path = None;
        assert_eq!(rendered(&sent, Action::Failed), None);
    }

    #[test]
    fn addresses_in_chinese() {
        let report = rendered(&queued(vec![waiting("张三@穗印.中国", None)]), Action::Failed).unwrap();
        assert!(report.contains("message/global-delivery-status") && report.contains("Final-Recipient: utf-8;张三@穗印.中国\r\n"));
    }

    #[test]
    fn every_status_has_words() {
        for class in [4, 5] {
            for subject in 0..9 {
                for detail in 0..40 {
                    let (chinese, english) = explained(Status::new(class, subject, detail));
                    assert!(chinese.ends_with('。') && english.ends_with('.') && english.is_ascii());
                }
            }
        }
    }
}
