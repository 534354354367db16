//! What a notice says: that something arrived, and nothing of what or from whom. No link, and nobody asks for a password.

use protocol::smtp::exchange::Address;
use time::OffsetDateTime;

use crate::mime::{header, quoted_printable};
use crate::record::notification::{Going, Says};
use crate::texts::Text;

const ARRIVED: [&str; 2] = ["您的实名邮箱收到新邮件，请用邮件程序登录查看。通知不含链接，不索要密码。", "New mail has arrived in your real-name mailbox. This notice has no link, and nobody asks for your password."];

const ENDED: [&str; 2] = [
    "经服务窗口办理，您的实名邮箱今后不再向本处发送到信通知。邮箱中有新邮件，请登录查看；不是您本人办理，请立即联系服务窗口。通知不含链接，不索要密码。",
    "At the counter's word this is the last notice of your real-name mailbox that comes here. New mail has arrived in it: log in and read it. If it was not you, tell the counter at once. This notice has no link, and nobody asks for your password.",
];

fn code_words(code: &str) -> [String; 2] {
    [format!("验证码 {code}，用于接收实名邮箱的到信通知。不是您本人操作请忽略，勿告诉他人。"), format!("Code {code}: to be told of new mail in a real-name mailbox. If it was not you, ignore it; tell nobody.")]
}

fn words(says: &Says) -> [String; 2] {
    match says {
        Says::Arrived => ARRIVED.map(str::to_owned),
        Says::Code(code) => code_words(code),
        Says::Ended => ENDED.map(str::to_owned),
    }
}

/// As whoever sends texts gets it.
pub(super) fn text(id: &str, going: &Going) -> Text {
    let [chinese, english] = words(&going.says);
    let (template, code) = match &going.says {
        Says::Arrived => ("arrived", None),
        Says::Code(code) => ("code", Some(code.clone())),
        Says::Ended => ("ended", None),
    };
    Text { version: 1, id: id.to_owned(), to: going.place.address.clone(), template, code, text: format!("{chinese}{english}") }
}

/// The same as a mail, not yet signed.
pub(super) fn write(domain: &str, to: &Address, says: &Says, id: &str, now: OffsetDateTime) -> Vec<u8> {
    let subject = match says {
        Says::Arrived => "实名邮箱有新邮件 / New mail in your real-name mailbox",
        Says::Code(_) => "到信通知验证码 / Code for notices of new mail",
        Says::Ended => "到信通知已停止 / Notices of new mail end here",
    };
    let mut out = Vec::with_capacity(2 * 1024);
    header::mailbox(&mut out, "From", "邮件系统 / Mail system", &format!("postmaster@{domain}"));
    header::plain(&mut out, "To", &format!("<{}>", to.as_str()));
    header::words(&mut out, "Subject", subject);
    finish(&mut out, domain, id, &words(says).join("\n\n"), now);
    out
}

/// The rest of a mail that the gateway writes of its own accord.
pub(in crate::flow) fn finish(out: &mut Vec<u8>, domain: &str, id: &str, text: &str, now: OffsetDateTime) {
    header::plain(out, "Date", &header::date(now));
    header::plain(out, "Message-ID", &format!("<{id}@{domain}>"));
    // spec: rfc3834#5
    header::plain(out, "Auto-Submitted", "auto-generated");
    header::plain(out, "Content-Language", "zh, en");
    header::plain(out, "MIME-Version", "1.0");
    header::plain(out, "Content-Type", "text/plain; charset=utf-8");
    header::plain(out, "Content-Transfer-Encoding", "quoted-printable");
    out.extend_from_slice(b"\r\n");
    quoted_printable::encode(&format!("{text}\n"), out);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;
    use crate::record::notification::{Channel, Place};

    #[test]
    fn a_notice_says_that_and_not_what() {
        let to = Address::parse("zhang.san@c.cn").unwrap();
        let mail = write("mail.gz.example", &to, &Says::Arrived, "n1", datetime!(2026-11-29 08:00 UTC));
        let read = mail_parser::MessageParser::new().parse(&mail).unwrap();
        assert_eq!((read.to().unwrap().first().unwrap().address(), read.from().unwrap().first().unwrap().address()), (Some("zhang.san@c.cn"), Some("postmaster@mail.gz.example")));
        assert_eq!(read.body_text(0).unwrap().replace("\r\n", "\n"), format!("{}\n", ARRIVED.join("\n\n")));
        assert!(String::from_utf8(mail).unwrap().split("\r\n").all(|line| line.len() <= 78 && line.is_ascii()));
        let going = Going { mailbox: "1234567897".into(), place: Place { channel: Channel::Text, address: "+8613800138000".into() }, says: Says::Code("012345".into()), of: Vec::new(), made_unix_millis: 0, due_unix_millis: 0, tries: 0 };
        let text = text("n2", &going);
        assert!(text.text.contains("012345") && text.code.as_deref() == Some("012345") && !text.text.contains("1234567897") && !text.text.contains("http"));
    }
}
