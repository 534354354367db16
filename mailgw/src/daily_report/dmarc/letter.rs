//! What a report of mail in a domain's name says: XML.
// spec: rfc9990#3.1, rfc9990#3.5.1

use std::fmt::Write as _;

use crate::daily_report::letter::{Letter, packed, span};
use crate::record::dmarc_tally::{Row, Tally};

fn id(tally: &Tally, host: &str) -> String {
    format!("dmarc.{}.{}@{host}", tally.day, tally.domain)
}

/// What a stranger wrote into a header may be anything: no markup, nothing that XML does not know.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(253) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// `policy` is the domain at which the policy was found: the author's own, or one above it.
fn xml(host: &str, domain: &str, policy: &str, tally: &Tally) -> String {
    let (first, last) = span(tally.day);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n<version>1.0</version>\n");
    // Writing into a string cannot fail.
    let _ = write!(
        out,
        "<report_metadata>\n<org_name>{domain}</org_name>\n<email>postmaster@{domain}</email>\n<report_id>{}</report_id>\n<date_range><begin>{first}</begin><end>{last}</end></date_range>\n",
        escaped(&id(tally, host))
    );
    if tally.beyond > 0 {
        let _ = writeln!(out, "<error>{} more messages are not told apart</error>", tally.beyond);
    }
    let published = &tally.published;
    let _ = write!(
        out,
        "<generator>Suiyin mailgw {}</generator>\n</report_metadata>\n<policy_published>\n<domain>{}</domain>\n<p>{}</p>\n<sp>{}</sp>\n<np>{}</np>\n<adkim>{}</adkim>\n<aspf>{}</aspf>\n<discovery_method>treewalk</discovery_method>\n<fo>{}</fo>\n<testing>{}</testing>\n</policy_published>\n",
        env!("CARGO_PKG_VERSION"), escaped(policy), published.p, published.sp, published.np, published.adkim, published.aspf, published.fo, if published.testing { "y" } else { "n" }
    );
    for (row, count) in &tally.rows {
        record(&mut out, row, *count, &tally.domain);
    }
    out.push_str("</feedback>\n");
    out
}

fn record(out: &mut String, row: &Row, count: u64, author: &str) {
    let word = |passes: bool| if passes { "pass" } else { "fail" };
    let _ = write!(out, "<record>\n<row>\n<source_ip>{}</source_ip>\n<count>{count}</count>\n<policy_evaluated><disposition>{}</disposition><dkim>{}</dkim><spf>{}</spf>", row.source, row.disposition, word(row.dkim), word(row.spf));
    if let Some(reason) = &row.reason {
        let _ = write!(out, "<reason><type>{reason}</type></reason>");
    }
    let _ = write!(out, "</policy_evaluated>\n</row>\n<identifiers><envelope_from>{}</envelope_from><header_from>{}</header_from></identifiers>\n<auth_results>\n", escaped(&row.envelope_from), escaped(author));
    for one in &row.signatures {
        let _ = writeln!(out, "<dkim><domain>{}</domain><selector>{}</selector><result>{}</result></dkim>", escaped(&one.domain), escaped(&one.selector), one.result);
    }
    let _ = write!(out, "<spf><domain>{}</domain><scope>{}</scope><result>{}</result></spf>\n</auth_results>\n</record>\n", escaped(&row.spf_domain), row.spf_scope, row.spf_result);
}

/// The letter, and what is attached to it.
pub(super) fn letter<'a>(host: &str, domain: &'a str, policy: &str, tally: &'a Tally) -> (Letter<'a>, Vec<u8>) {
    let id = id(tally, host);
    let letter = Letter {
        domain,
        told: &tally.domain,
        day: tally.day,
        // spec: rfc9990#3.5.1
        subject: format!("Report Domain: {} Submitter: {domain} Report-ID: {id}", tally.domain),
        id,
        fields: Vec::new(),
        content_type: "multipart/mixed",
        boundary: "dmarc",
        words: format!("附件是 {domain} 收到的以 {} 名义发出的邮件的统计。\r\nAttached is what came to {domain} in the name of {}.\r\n", tally.domain, tally.domain),
        form: "xml",
        attached: "application/gzip",
        is_named: true,
    };
    (letter, packed(&xml(host, domain, policy, tally)))
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
    use crate::record::dmarc_tally::{MAX_ROWS, Published, Signature};

    fn row(source: &str, selector: &str) -> Row {
        Row {
            source: source.parse().unwrap(), disposition: "none".into(), dkim: true, spf: false, reason: Some("local_policy".into()), envelope_from: "c.cn".into(),
            signatures: vec![Signature { domain: "c.cn".into(), selector: selector.into(), result: "pass".into() }], spf_domain: "c.cn".into(), spf_scope: "mfrom".into(), spf_result: "softfail".into(),
        }
    }

    #[test]
    fn people_and_programs_read_it() {
        let mut tally = Tally::new(20_786, "c.cn");
        tally.published = Published { p: "reject".into(), sp: "none".into(), np: "reject".into(), adkim: "r".into(), aspf: "s".into(), fo: "1".into(), testing: true };
        tally.add(&row("192.0.2.1", "s1"), 2);
        tally.add(&row("192.0.2.1", "s1"), 1);
        tally.add(&row("2001:db8::1", "a\u{1}<&\">"), 1);
        let (letter, packed) = letter("mx.mail.gz.example", "mail.gz.example", "cn", &tally);
        let letter = letter.write(&packed, &Address::parse("d@c.cn").unwrap(), datetime!(2026-11-30 01:00 UTC));
        let parsed = MessageParser::new().parse(&letter).unwrap();
        assert!(parsed.subject().unwrap().starts_with("Report Domain: c.cn Submitter: mail.gz.example Report-ID: "));
        let attached = parsed.attachment(0).unwrap();
        assert_eq!(attached.attachment_name(), Some("mail.gz.example!c.cn!1795910400!1795996799.xml.gz"));
        let mut read = String::new();
        flate2::read::GzDecoder::new(attached.contents()).read_to_string(&mut read).unwrap();
        for part in ["<domain>cn</domain>", "<count>3</count>", "<source_ip>2001:db8::1</source_ip>", "<selector>a&lt;&amp;&quot;&gt;</selector>", "<testing>y</testing>", "<type>local_policy</type>", "<begin>1795910400</begin><end>1795996799</end>", "<result>softfail</result>"] {
            assert!(read.contains(part), "{part}: {read}");
        }
    }

    #[test]
    fn what_a_stranger_makes_differ_is_bounded() {
        let mut tally = Tally::new(1, "c.cn");
        (0..MAX_ROWS + 7).for_each(|at| tally.add(&row("192.0.2.1", &format!("s{at}")), 1));
        assert_eq!((tally.rows.len(), tally.beyond), (MAX_ROWS, 7));
        assert!(xml("mx", "m.example", "c.cn", &tally).contains("7 more messages"));
    }
}
