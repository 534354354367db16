//! A statement of nobody's: what every statement of a kind and a sender has in common, with invented figures.

use policies::certificate::HostName;
use policies::mailbox::{Address, LocalPart, MailboxNumber};
use policies::statement::{Header, Kind, Money, Period, Row};
use time::macros::{date, datetime};

use super::sender::Sender;
use super::{Beside, Entity, entity};

const HOUSING_FUND: [&str; 31] = [
    "HF20261000000001", "202610", "01", "440106189602290015", "示例", "GJJ000000000001", "DW0000001", "广州示范有限公司", "91440101MAT000018G", "12000.00",
    "10.00", "10.00", "1200.00", "1200.00", "2400.00", "66000.00", "2400.00", "0.00", "0.00", "0.00", "0.00", "0.00", "0.00", "68400.00",
    "42000.00", "26400.00", "202610", "01", "312500.00", "2876.54", "B202610",
];
const PENSION: [&str; 25] = [
    "PN20261000000001", "202610", "01", "440106189602290015", "示例", "广州示范有限公司", "91440101MAT000018G", "8000.00", "8.00", "640.00", "16.00",
    "1280.00", "52340.18", "0.00", "6400.00", "0.00", "0.00", "0.00", "0.00", "58740.18", "10", "106", "0", "参保缴费", "B202610",
];
const MONTHS_BEFORE: [&str; 11] = ["202511", "202512", "202601", "202602", "202603", "202604", "202605", "202606", "202607", "202608", "202609"];
/// By how many fen the balance grows a month.
const EACH: i64 = 240_000;

/// The fields of such a row, in the order of the kind's columns.
pub fn example_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::HousingFund => &HOUSING_FUND,
        Kind::Pension => &PENSION,
    }
}

fn row(kind: Kind) -> Option<Row> {
    let columns: Vec<&str> = kind.columns().iter().map(|column| column.name).collect();
    Row::parse(&Header::parse(kind, &columns).ok()?.record(example_fields(kind)).ok()?, date!(2026 - 11 - 01)).ok()
}

/// Its signed part, with a year of months before it. The same for the same sender for as long as statements look the same.
pub fn example(kind: Kind, sender: &Sender, domain: &HostName) -> Option<Entity> {
    let row = row(kind)?;
    let history = MONTHS_BEFORE.iter().zip(1..).map(|(month, at)| Some((Period::parse(month).ok()?, Money::from_fen(at * EACH)?)));
    let history: Vec<(Period, Money)> = history.collect::<Option<_>>()?;
    let to = Address::new(LocalPart::Number(MailboxNumber::parse("0000000006").ok()?), domain.clone());
    Some(entity(&row, sender, &to, datetime!(2026-11-01 08:00 +8), &Beside { correction: None, history: &history }))
}

/// A seal without what is one statement's own: its digest, and the signature at the end.
pub fn likeness(seal: &[u8], digest: &[u8]) -> Vec<u8> {
    /// Of a P-256 signature, DER.
    const SIGNATURE: usize = 72;
    let mut like = seal.to_vec();
    if let Some(at) = like.windows(digest.len().max(1)).position(|window| window == digest)
        && let Some(own) = like.get_mut(at..at + digest.len())
    {
        own.fill(0);
    }
    like.truncate(like.len().saturating_sub(SIGNATURE));
    like
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::samples::sender;
    use super::*;

    #[test]
    fn there_is_an_example_of_every_kind_and_it_is_always_the_same() {
        let domain = HostName::parse("mail.gz.example").unwrap();
        for kind in [Kind::HousingFund, Kind::Pension] {
            let one = example(kind, &sender(kind), &domain).unwrap();
            assert_eq!(one, example(kind, &sender(kind), &domain).unwrap());
            let text = String::from_utf8(one.bytes().to_vec()).unwrap();
            assert!(text.contains("Balance of twelve months") && text.contains("Since 2026-09"), "a year is drawn");
        }
    }

    #[test]
    fn a_likeness_is_no_signature_of_anybodys_statement() {
        let seal = [[1; 40].as_slice(), &[7; 32], &[2; 100]].concat();
        assert_eq!(likeness(&seal, &[7; 32]), [[1; 40].as_slice(), &[0; 32], &[2; 28]].concat());
        assert_eq!(likeness(&[3; 100], &[7; 32]), [3; 28]);
        assert!(likeness(&[3; 10], &[]).is_empty());
    }
}
