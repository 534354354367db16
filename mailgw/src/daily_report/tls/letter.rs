//! What a report about TLS says: JSON.
// spec: rfc8460#4.4, rfc8460#5.3

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::daily_report::letter::{Letter, packed, span};
use crate::record::tls_tally::{Sessions, Tally};

fn id(tally: &Tally, host: &str) -> String {
    format!("{}.{}@{host}", tally.day, tally.domain)
}

/// What programs read.
fn told(host: &str, domain: &str, tally: &Tally) -> Value {
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

/// The letter, and what is attached to it.
pub(super) fn letter<'a>(host: &str, domain: &'a str, tally: &'a Tally) -> (Letter<'a>, Vec<u8>) {
    let id = id(tally, host);
    let letter = Letter {
        domain,
        told: &tally.domain,
        day: tally.day,
        subject: format!("Report Domain: {} Submitter: {domain} Report-ID: <{id}>", tally.domain),
        id,
        // spec: rfc8460#3 what is wrong with TLS there must not keep the report of it away
        fields: vec![("TLS-Report-Domain", &tally.domain), ("TLS-Report-Submitter", domain), ("TLS-Required", "No")],
        content_type: "multipart/report; report-type=\"tlsrpt\"",
        boundary: "tlsrpt",
        words: format!("附件是 {domain} 向 {} 投递邮件时 TLS 情况的统计。\r\nAttached is what came of TLS when {domain} sent mail to {}.\r\n", tally.domain, tally.domain),
        form: "json",
        attached: "application/tlsrpt+gzip",
        is_named: false,
    };
    (letter, packed(&told(host, domain, tally).to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read as _;

    use mail_parser::{MessageParser, MimeHeaders as _};
    use protocol::smtp::exchange::Address;
    use time::macros::datetime;

    use super::*;
    use crate::record::tally::Tally as _;
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
        let (letter, packed) = letter("mx.mail.gz.example", "mail.gz.example", &tally);
        let letter = letter.write(&packed, &Address::parse("tls@c.cn").unwrap(), datetime!(2026-11-30 01:00 UTC));
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
