//! `scripts/bench`: what a statement costs before it is sealed and stored, on one core: read and judged, rendered, its evidence, what is remembered of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::hint::black_box;

use keys::DataKey;
use mailgw::erds::{Event, Of, OfRow, Series, Submission};
use mailgw::record::continuity::{self, Remembered};
use mailgw::record::evidence::leaves;
use mailgw::statement::{Beside, Boilerplate, Hotline, Sender, example_fields};
use policies::certificate::{Email, HostName, OrganizationName};
use policies::mailbox::Address;
use policies::statement::{Header, Kind, Money, Parameters, Period, Row, SHIPPED, SenderCode};
use time::macros::{date, datetime};

const ROWS: usize = 20_000;
/// A block of a push.
const BLOCK: usize = 500;

/// Microseconds of the processor that this thread has had; those of another's program do not count.
fn processor() -> f64 {
    let had = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    had.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3
}

/// What one of `times` takes.
fn each<T>(what: &str, times: usize, mut work: impl FnMut(usize) -> T) -> Vec<T> {
    let begun = processor();
    let done: Vec<T> = (0..times).map(|at| black_box(work(at))).collect();
    println!("    {what:<44} {:>7.2} µs of the processor", (processor() - begun) / times as f64);
    done
}

fn measured(name: &str, kind: Kind, months: i64) {
    let values = example_fields(kind);
    println!("  {name}");
    let parameters = Parameters::parse(SHIPPED).unwrap();
    let columns: Vec<&str> = kind.columns().iter().map(|column| column.name).collect();
    let header = Header::parse(kind, &columns).unwrap();
    let sender = Sender {
        code: SenderCode::parse("GZ-GJJ").unwrap(),
        name: OrganizationName::parse("广州住房公积金管理中心").unwrap(),
        name_en: OrganizationName::parse("Guangzhou Housing Provident Fund Centre").unwrap(),
        address: Email::parse("gjj@mail.gz.example").unwrap(),
        hotline: Hotline::parse("12329").unwrap(),
    };
    let to = Address::parse("0000000006@mail.gz.example", &HostName::parse("mail.gz.example").unwrap()).unwrap();
    let history: Vec<(Period, Money)> = (0..months).map(|at| (Period::parse(&format!("{}", if at < 2 { 202511 + at } else { 202599 + at })).unwrap(), Money::from_fen(4_000_000 + at * 240_000).unwrap())).collect();
    let ids: Vec<String> = (0..ROWS).map(|at| format!("HF202610{at:08}")).collect();
    let rows = each("read", ROWS, |at| {
        let mut values = values.to_vec();
        values[0] = &ids[at];
        Row::parse(&header.record(&values).unwrap(), date!(2026 - 11 - 01)).unwrap()
    });
    each("judged, beside no month before", ROWS, |at| parameters.judge(&rows[at], None).broken().count());
    let beside = Beside { correction: None, history: &history };
    let at_eight = datetime!(2026-11-01 08:00 +8);
    let boilerplate = Boilerplate::new(kind, rows[0].head().period, &sender, to.domain(), at_eight);
    each("rendered, with its SHA-256", ROWS, |at| boilerplate.entity(&rows[at], &to, &beside).bytes().len());
    let one = boilerplate.entity(&rows[0], &to, &beside);
    each("  of it SHA-256", ROWS, |_| ring::digest::digest(&ring::digest::SHA256, one.bytes()));
    let submission = Submission { batch: "B202610".into(), manifest: "a".repeat(64), file: "b".repeat(64), row: 0, mends: None, corrects: None };
    // Each has a digest and a mailbox of its own, as it has in a push.
    let hex = |id: &String| ring::digest::digest(&ring::digest::SHA256, id.as_bytes()).as_ref().iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let (messages, mailboxes): (Vec<String>, Vec<String>) = ids.iter().enumerate().map(|(at, id)| (hex(id), format!("{:010}", at * 7_919))).unzip();
    let of = Of { issuer: "mx.mail.gz.example", sender: "gz-housing-fund", recipient: None, submission: &submission, message: None, secrecy: None, at: at_eight };
    let series = Series::new(&of, "mail.gz.example").unwrap();
    let items = each("two items of evidence", ROWS, |at| {
        let of = OfRow { row: at as u64 + 1, mailbox: Some(&mailboxes[at]), message: Some(&messages[at]), ..OfRow::default() };
        series.write(&of, &[(Event::SubmissionAcceptance, None), (Event::ContentConsignment, None)]).unwrap()
    });
    let lines: Vec<String> = items.into_iter().flatten().collect();
    let octets: usize = lines.iter().map(String::len).sum();
    each("  their leaves", ROWS / BLOCK, |at| merkle::root(&leaves(&lines[at * BLOCK * 2..][..BLOCK * 2])));
    for level in [1, 3] {
        let packed = each(&format!("  a block of them by zstd {level}"), ROWS / BLOCK, |at| zstd::bulk::compress(lines[at * BLOCK * 2..][..BLOCK * 2].join("\n").as_bytes(), level).unwrap().len());
        println!("      {octets} octets become {}", packed.iter().sum::<usize>());
    }
    let data = DataKey::fleeting().unwrap();
    let mut known = Remembered::default();
    for (period, _) in &history {
        let (mut values, period) = (values.to_vec(), period.to_string());
        values[1] = &period;
        known = known.followed(&Row::parse(&header.record(&values).unwrap(), date!(2026 - 11 - 01)).unwrap());
    }
    let known = known.followed(&rows[0]);
    let sealed = each("what is remembered, sealed", ROWS, |at| {
        let place = continuity::key("gz-housing-fund", &format!("{at:010}"), &rows[at], &data);
        known.clone().seal(&place, &data, 1_795_000_000_000).unwrap().len()
    });
    println!("    octets: entity {}, remembered {}", one.bytes().len(), sealed[0]);
    let parts: Vec<(String, usize)> = String::from_utf8(one.bytes().to_vec()).unwrap().split("\r\n--=_").skip(1).filter_map(|part| Some((part.split("Content-Type: ").nth(1)?.split([';', '\r']).next()?.to_owned(), part.len()))).collect();
    println!("    parts {parts:?}");
}

fn main() {
    println!("{ROWS} statements of each, on one core");
    measured("housing fund, a year drawn", Kind::HousingFund, 11);
    measured("housing fund, the first month", Kind::HousingFund, 0);
    measured("pension, the first month", Kind::Pension, 0);
}
