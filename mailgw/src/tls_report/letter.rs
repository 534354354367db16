//! A report as it is mailed: for people a few words, for programs JSON, packed.
// spec: rfc8460#4.4, rfc8460#5.3

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use protocol::smtp::exchange::Address;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::mime::header;
use crate::mime::part::lines;
use crate::record::tls_tally::{Sessions, Tally};

const DAY: i64 = 86_400;

/// First and last second of the day.
fn span(day: u64) -> (i64, i64) {
    let first = i64::try_from(day).unwrap_or(0).saturating_mul(DAY);
    (first, first.saturating_add(DAY - 1))
}

fn id(tally: &Tally, host: &str) -> String {
    format!("{}.{}@{host}", tally.day, tally.domain)
}

/// What programs read.
pub(super) fn told(host: &str, domain: &str, tally: &Tally) -> Value {
    let moment = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default();
    let (first, last) = span(tally.day);
    let sessions = |sessions: &Sessions| {
        let mut policy = json!({ "policy-type": sessions.policy.policy_type, "policy-domain": tally.domain });
        if !sessions.policy.policy_string.is_empty() {
            policy["policy-string"] = json!(sessions.policy.policy_string);
        }
        if !sessions.policy.mx_host.is_empty() {
            policy["mx-host"] = json!(sessions.policy.mx_host);
        }
        let failed: u64 = sessions.failures.iter().map(|failures| failures.count).sum();
        let details = sessions.failures.iter().map(|failures| {
            let mut detail = json!({ "result-type": failures.result, "failed-session-count": failures.count });
            if let Some(host) = &failures.host {
                detail["receiving-mx-hostname"] = json!(host);
            }
            detail
        });
        let details: Vec<Value> = details.collect();
        let mut told = json!({ "policy": policy, "summary": { "total-successful-session-count": sessions.good, "total-failure-session-count": failed } });
        if !details.is_empty() {
            told["failure-details"] = json!(details);
        }
        told
    };
    json!({
        "organization-name": domain,
        "date-range": { "start-datetime": moment(first), "end-datetime": moment(last) },
        "contact-info": format!("postmaster@{domain}"),
        "report-id": id(tally, host),
        "policies": tally.sessions.iter().map(sessions).collect::<Vec<_>>(),
    })
}

pub(super) fn write(host: &str, domain: &str, tally: &Tally, to: &Address, now: OffsetDateTime) -> Vec<u8> {
    let (first, last) = span(tally.day);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into memory cannot fail.
    let _ = packed.write_all(told(host, domain, tally).to_string().as_bytes());
    let packed = STANDARD.encode(packed.finish().unwrap_or_default());
    let boundary = format!("=_tlsrpt_{}_{}", tally.day, now.unix_timestamp());
    let mut out = Vec::new();
    header::mailbox(&mut out, "From", "邮件系统 / Mail system", &format!("postmaster@{domain}"));
    header::plain(&mut out, "To", &format!("<{}>", to.as_str()));
    header::plain(&mut out, "Date", &header::date(now));
    header::plain(&mut out, "Message-ID", &format!("<{}>", id(tally, host)));
    header::plain(&mut out, "Subject", &format!("Report Domain: {} Submitter: {domain} Report-ID: <{}>", tally.domain, id(tally, host)));
    header::plain(&mut out, "TLS-Report-Domain", &tally.domain);
    header::plain(&mut out, "TLS-Report-Submitter", domain);
    // spec: rfc8460#3 what is wrong with TLS there must not keep the report of it away
    header::plain(&mut out, "TLS-Required", "No");
    header::plain(&mut out, "Auto-Submitted", "auto-generated");
    header::plain(&mut out, "MIME-Version", "1.0");
    header::plain(&mut out, "Content-Type", &format!("multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"{boundary}\""));
    let mut text = String::new();
    let _ = write!(text, "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    let words = format!("附件是 {domain} 向 {} 投递邮件时 TLS 情况的统计。\r\nAttached is what came of TLS when {domain} sent mail to {}.\r\n", tally.domain, tally.domain);
    lines(&mut text, &STANDARD.encode(words));
    let name = format!("{domain}!{}!{first}!{last}.json.gz", tally.domain);
    let _ = write!(text, "--{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n");
    lines(&mut text, &packed);
    let _ = write!(text, "--{boundary}--\r\n");
    out.extend_from_slice(text.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read as _;

    use mail_parser::{MessageParser, MimeHeaders as _};
    use time::macros::datetime;

    use super::*;
    use crate::record::tls_tally::PolicyTold;

    #[test]
    fn people_and_programs_read_it() {
        let sts = PolicyTold { policy_type: "sts".into(), policy_string: vec!["version: STSv1".into()], mx_host: vec!["*.c.cn".into()] };
        let mut tally = Tally::new(20_786, "c.cn");
        tally.add(&sts, Some("mx.c.cn"), Ok(()), 5);
        tally.add(&sts, Some("mx.c.cn"), Err("certificate-expired"), 2);
        let mut more = Tally::new(20_786, "c.cn");
        more.add(&sts, Some("mx.c.cn"), Err("certificate-expired"), 1);
        tally.merge(&more);
        let letter = write("mx.mail.gz.example", "mail.gz.example", &tally, &Address::parse("tls@c.cn").unwrap(), datetime!(2026-11-30 01:00 UTC));
        let parsed = MessageParser::new().parse(&letter).unwrap();
        assert_eq!(parsed.content_type().unwrap().attribute("report-type"), Some("tlsrpt"));
        assert_eq!(parsed.header_raw("TLS-Required").unwrap().trim(), "No");
        assert!(parsed.body_text(0).unwrap().contains("what came of TLS"));
        let mut json = String::new();
        flate2::read::GzDecoder::new(parsed.attachment(0).unwrap().contents()).read_to_string(&mut json).unwrap();
        let told: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(told["date-range"]["start-datetime"], "2026-11-29T00:00:00Z");
        assert_eq!(told["date-range"]["end-datetime"], "2026-11-29T23:59:59Z");
        let policy = &told["policies"][0];
        assert_eq!(policy["summary"], json!({ "total-successful-session-count": 5, "total-failure-session-count": 3 }));
        assert_eq!(policy["policy"], json!({ "policy-type": "sts", "policy-domain": "c.cn", "policy-string": ["version: STSv1"], "mx-host": ["*.c.cn"] }));
        assert_eq!(policy["failure-details"], json!([{ "result-type": "certificate-expired", "failed-session-count": 3, "receiving-mx-hostname": "mx.c.cn" }]));
    }
}
