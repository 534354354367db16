//! Rows that mean harm: what becomes of each is written down, the right row beside it arrives, and nothing of it does what it
//! meant to.

use mailgw::flow::push::{FileError, Order};
use mailgw::record::push::RowOutcome;

use super::city::DOMAIN;
use super::month::{order, pension, pensions};
use super::*;

const CLOSE: u64 = 17_475_763;
const PAID: u64 = 68_936;

/// A right row, then a hostile one, each a line of CSV; what the hostile one adds to the sums where it can be read.
fn file(city: &City, batch: &str, hostile: &str, adds: (u64, u64)) -> Order {
    let text = pensions(&[pension(&format!("{batch}-good"), PEOPLE[0], "174757.63"), hostile.to_owned()]);
    order(city, INSURANCE, "pension", batch, &text, 2, [CLOSE + adds.0, PAID + adds.1], None)
}

fn go(city: &City, order: &Order) -> Result<Report, PushError> {
    let gateway = city.gateway(Arc::clone(&city.store));
    push(&gateway, &Watched::new(city, Arc::clone(&city.sealing), None), &city.lists, order, &mut |_| true)
}

/// The row of the second person with one value replaced; quoted as CSV asks.
fn with(batch: &str, column: &str, value: &str) -> String {
    const COLUMNS: [&str; 25] = [
        "stmt_id", "period", "id_type", "id_no", "name", "unit_name", "uscc", "base", "person_rate", "person_amt", "unit_rate", "unit_amt", "year_open", "open_interest", "ytd_credit",
        "ytd_interest", "transfer_in", "transfer_out", "payout", "close", "months_year", "months_actual", "months_deemed", "status", "src_batch",
    ];
    let line = pension(&format!("{batch}-bad"), PEOPLE[1], "174757.63");
    let mut values: Vec<String> = line.split(',').map(str::to_owned).collect();
    let at = COLUMNS.iter().position(|known| *known == column).unwrap();
    values[at] = format!("\"{}\"", value.replace('"', "\"\""));
    values.join(",")
}

const BOTH: (u64, u64) = (CLOSE, PAID);

#[test]
fn each_hostile_value_is_told_by_its_reason_and_the_row_beside_it_arrives() {
    let city = City::found();
    let long = "长".repeat(80_000);
    // column, value, what it adds to the sums, what becomes of it. `None`: delivered.
    let table: &[(&str, &str, (u64, u64), Option<(&str, &str)>)] = &[
        // Formulas are text here; nothing of ours writes them where a spreadsheet reads cells of strangers.
        ("unit_name", "=HYPERLINK(\"http://evil.example\",\"点击\")", BOTH, None),
        ("unit_name", "+1+cmd|' /C calc'!A0", BOTH, None),
        ("unit_name", "@SUM(1+1)*cmd|'!A0", BOTH, None),
        ("unit_name", "<script>alert(1)</script><img src=x onerror=a()>", BOTH, None),
        ("unit_name", "甲&amp;\"乙'丙", BOTH, None),
        // Four octets in UTF-8: a right name of a right firm.
        ("unit_name", "𠅤𬭼有限公司", BOTH, None),
        ("unit_name", "\u{202e}司公\u{202c}", BOTH, Some(("quarantined", "unreadable"))),
        ("unit_name", "甲\u{2066}乙", BOTH, Some(("quarantined", "unreadable"))),
        ("unit_name", "甲\u{0}乙", BOTH, Some(("quarantined", "unreadable"))),
        ("unit_name", "甲\u{1b}[31m", BOTH, Some(("quarantined", "unreadable"))),
        ("unit_name", "甲\r\nBcc: x@evil.example", BOTH, Some(("quarantined", "unreadable"))),
        ("unit_name", "甲\u{85}乙", BOTH, Some(("quarantined", "unreadable"))),
        ("unit_name", "甲\u{200b}乙", BOTH, Some(("quarantined", "unreadable"))),
        ("unit_name", "甲\u{feff}乙", BOTH, Some(("quarantined", "unreadable"))),
        ("unit_name", &long[..100_000 / 3 * 3], (0, 0), Some(("quarantined", "unreadable"))),
        ("unit_name", "甲 650102189001010018", BOTH, Some(("quarantined", "unreadable"))),
        ("stmt_id", "../../etc/passwd", BOTH, Some(("quarantined", "unreadable"))),
        ("stmt_id", "a\u{2028}b", BOTH, Some(("quarantined", "unreadable"))),
        ("name", "李志强", BOTH, Some(("quarantined", "V10"))),
        ("name", "阿依古丽\u{202e}·买买提", BOTH, Some(("quarantined", "unreadable"))),
        ("name", "", BOTH, Some(("quarantined", "unreadable"))),
        ("id_no", "650102189001010019", BOTH, Some(("quarantined", "unreadable"))),
        ("id_no", "６50102189001010018", BOTH, None),
        ("id_type", "uscc", BOTH, Some(("quarantined", "unreadable"))),
        ("id_type", "01' OR '1'='1", BOTH, Some(("quarantined", "unreadable"))),
        ("period", "202613", BOTH, Some(("quarantined", "unreadable"))),
        ("period", "202609", BOTH, Some(("quarantined", "other-month-or-kind"))),
        ("status", "参保缴费 ", BOTH, Some(("quarantined", "unreadable"))),
        ("months_year", "65536", BOTH, Some(("quarantined", "unreadable"))),
        ("months_year", "-1", BOTH, Some(("quarantined", "unreadable"))),
        // Amounts at the edges: what cannot be read adds nothing to its sum, and the other amount of its row counts.
        ("close", "9999999999000000.00", (999_999_999_900_000_000, PAID), Some(("quarantined", "P1"))),
        ("close", "10000000000000000.00", (0, PAID), Some(("quarantined", "unreadable"))),
        ("close", "１74757.63", (0, PAID), Some(("quarantined", "unreadable"))),
        ("close", "1e5", (0, PAID), Some(("quarantined", "unreadable"))),
        ("close", "NaN", (0, PAID), Some(("quarantined", "unreadable"))),
        ("close", "174757.630", (0, PAID), Some(("quarantined", "unreadable"))),
        ("close", "174,757.63", (0, PAID), Some(("quarantined", "unreadable"))),
        ("close", "", (0, PAID), Some(("quarantined", "unreadable"))),
        ("close", "-0.00", (0, PAID), Some(("quarantined", "P1"))),
        ("base", "9999999999999999.99", BOTH, Some(("quarantined", "P2"))),
    ];
    for (number, (column, value, adds, wanted)) in table.iter().enumerate() {
        forget_months(&city);
        let at = format!("{column} = {:.40}", value.escape_debug().to_string());
        let batch = format!("h{number}");
        let report = go(&city, &file(&city, &batch, &with(&batch, column, value), *adds)).unwrap_or_else(|error| panic!("{at}: {error}"));
        let found = report.not_delivered.first().map(|row| (row.state.word(), row.reason.as_deref().unwrap_or_default()));
        assert_eq!(found, *wanted, "{at}");
        assert_eq!(report.counts.delivered, 1 + u64::from(wanted.is_none()), "{at}: the row beside it");
        let told = serde_json::to_string(&report).unwrap();
        assert!(!told.contains("650102189001010018") && !told.contains("\\u001b") && !told.contains('\u{202e}'), "{at}: the report repeats it");
    }
    mails_are_inert(&city);
}

/// Whatever was delivered fetches nothing, runs nothing and has the header it was given.
fn mails_are_inert(city: &City) {
    let gateway = city.gateway(Arc::clone(&city.store));
    let document = Document::parse(PEOPLE[1].0, PEOPLE[1].1, today(NOW)).unwrap();
    let mailbox = gateway.directory.find_person(&document).unwrap().unwrap().mailbox();
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    assert!(view.messages.len() > 5);
    for message in &view.messages {
        let bytes = gateway.messages.load(&view.folder, message.uid).unwrap();
        let parsed = mail_parser::MessageParser::new().parse(&bytes).unwrap();
        let html = parsed.body_html(0).unwrap();
        for forbidden in ["<script", "<img", "href", "<a "] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        assert!(parsed.bcc().is_none() && parsed.to().unwrap().first().unwrap().address().unwrap().ends_with(DOMAIN));
        let json: serde_json::Value = serde_json::from_slice(parsed.attachments().next().unwrap().contents()).unwrap();
        assert_eq!(json["kind"], "pension");
    }
}

#[test]
fn the_same_number_twice_is_one_statement_whoever_it_names() {
    let city = City::found();
    let twice = |batch: &str, second: String| {
        let text = pensions(&[pension("same", PEOPLE[0], "174757.63"), second]);
        order(&city, INSURANCE, "pension", batch, &text, 2, [2 * CLOSE, 2 * PAID], None)
    };
    // For another person's mailbox under the same number.
    let report = go(&city, &twice("d1", pension("same", PEOPLE[1], "174757.63"))).unwrap();
    let reasons: Vec<(u64, Option<&str>)> = report.not_delivered.iter().map(|row| (row.row, row.reason.as_deref())).collect();
    assert_eq!((report.counts.delivered, reasons), (1, vec![(2, Some("other-content"))]));
    let report = go(&city, &twice("d2", pension("same", PEOPLE[0], "174757.63"))).unwrap();
    assert_eq!((report.counts.delivered, report.counts.duplicate), (0, 2));
}

#[test]
fn a_file_that_is_none_changes_nothing() {
    let city = City::found();
    let good = pension("never", PEOPLE[0], "174757.63");
    let text = pensions(std::slice::from_ref(&good));
    let gbk = {
        let mut bytes = text.clone().into_bytes();
        let at = bytes.windows(3).position(|window| window == "陈".as_bytes()).unwrap();
        bytes.splice(at..at + 3, [0xb3, 0xc2]);
        bytes
    };
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let large = text.replace("广州示范0059有限公司", &"x".repeat(10 << 20));
    let unclosed = text.replace("广州示范0059有限公司", &format!("\"{}", "x".repeat(1 << 20)));
    let nul = "\0".repeat(4_096).into_bytes();
    let cases: [(&str, Vec<u8>); 8] = [
        ("a byte order mark", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("GBK", gbk),
        ("UTF-16", wide),
        ("ten million octets in a field", large.into_bytes()),
        ("a quotation mark that is not closed", unclosed.into_bytes()),
        ("nothing", Vec::new()),
        ("noughts", nul),
        ("too few fields", text.replace(",B202610", "").into_bytes()),
    ];
    let length = city.store.stream_length(STREAM).unwrap();
    for (number, (what, bytes)) in cases.into_iter().enumerate() {
        let mut order = order(&city, INSURANCE, "pension", &format!("n{number}"), &text, 1, [CLOSE, PAID], None);
        std::fs::write(&order.rows, &bytes).unwrap();
        order.manifest = order.manifest.replace(&hex(&digest(text.as_bytes())), &hex(&digest(&bytes)));
        order.signature = city.sign(&order.manifest);
        let error = go(&city, &order).unwrap_err();
        assert!(matches!(error, PushError::File(_) | PushError::Header(_)), "{what}: {error}");
        assert!(error.to_string().len() < 600, "{what}: {error}");
        if what == "GBK" {
            assert!(matches!(error, PushError::File(FileError::NotUtf8 { line: 2 })), "{error}");
        }
    }
    assert_eq!(city.store.stream_length(STREAM).unwrap(), length);
    let outcomes: Vec<RowOutcome> = go(&city, &order(&city, INSURANCE, "pension", "fine", &text, 1, [CLOSE, PAID], None)).unwrap().not_delivered;
    assert!(outcomes.is_empty());
}
