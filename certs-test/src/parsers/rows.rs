//! Manifests, statement rows and people's numbers: what is valid is written back the same, and no number shows.

use policies::certificate::HostName;
use policies::identity::{CreditCode, Document, DocumentKind, OrganisationCode, PersonName};
use policies::mailbox::{Address, MailboxNumber};
use policies::registrar::{self, MAX_STATEMENT_BYTES};
use policies::statement::{Header, Kind, Manifest, Money, Parameters, Purpose, Rate, Record, Row, SHIPPED};
use time::Date;
use time::format_description::well_known::Rfc3339;
use time::macros::date;

use crate::demo::{Dice, people, statements};

const TODAY: Date = date!(2026 - 11 - 25);

pub(super) fn manifest(input: &[u8]) {
    let Ok(manifest) = Manifest::parse(input) else { return };
    let sha256: String = manifest.sha256().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = written(&manifest, &sha256);
    assert_eq!(Manifest::parse(text.as_bytes()).as_ref(), Ok(&manifest), "{text}");
}

fn written(manifest: &Manifest, sha256: &str) -> String {
    let mut written = serde_json::json!({
        "batch_id": manifest.batch_id().as_str(), "sender_code": manifest.sender().as_str(), "kind": manifest.kind(),
        "period": manifest.period().to_string(), "schema_version": 1, "rows": manifest.rows(), "sum_close": manifest.sum_close().to_string(),
        "sum_paid_in": manifest.sum_paid_in().to_string(), "sha256": sha256, "created_at": manifest.created_at().format(&Rfc3339).expect("a time"),
    });
    let because = |reason: &policies::statement::Reason| serde_json::json!({ "reason": reason.chinese, "reason_en": reason.english });
    match manifest.purpose() {
        Purpose::Deliver => {}
        Purpose::Mend { batch, rows } => {
            let runs: Vec<String> = rows.runs().map(|(first, last)| format!("{first}-{last}")).collect();
            written["mends"] = serde_json::json!({ "batch": batch.as_str(), "rows": runs.join(",") });
        }
        Purpose::Supersede(reason) => written["supersedes"] = because(reason),
        Purpose::Withdraw(reason) => written["withdraws"] = because(reason),
    }
    written.to_string()
}

pub(super) fn manifest_seeds() -> Vec<Vec<u8>> {
    let text = serde_json::json!({
        "batch_id": "B202610", "sender_code": "GJJ", "kind": "housing-fund", "period": "202610", "schema_version": 1, "rows": 1000,
        "sum_close": "68400.00", "sum_paid_in": "2400.00", "sha256": "0f".repeat(32), "created_at": "2026-11-01T08:00:00+08:00",
    });
    let with = |name: &str, value: serde_json::Value| {
        let mut text = text.clone();
        text[name] = value;
        text.to_string().into_bytes()
    };
    let reason = || serde_json::json!({ "reason": "基数有误", "reason_en": "The base was wrong" });
    let mending = serde_json::json!({ "batch": "B202609", "rows": "3,17,20-1017" });
    vec![text.to_string().into_bytes(), with("mends", mending), with("supersedes", reason()), with("withdraws", reason())]
}

/// What a mail gateway says of a mailbox: read at all only as it would be written.
pub(super) fn registrar(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(said) = registrar::Statement::parse(text) else { return };
    assert_eq!(said.text().as_deref(), Ok(text));
    assert!(text.len() <= MAX_STATEMENT_BYTES && said.mailbox.as_str().contains('@'));
}

pub(super) fn registrar_seeds() -> Vec<Vec<u8>> {
    let head = "{\"form\":\"suiyin registrar statement 1\",\"id\":\"000102030405060708090a0b0c0d0e0f\",\"mailbox\":\"1234567897@mail.example.cn\",\"standing\":\"open\",\"at\":\"2026-11-29T06:30:00Z\"";
    let digest = "0f".repeat(32);
    vec![
        format!("{head},\"certify\":{{\"pseudonym\":\"P-00000000-0000000Z\",\"request_sha256\":\"{digest}\"}}}}").into_bytes(),
        format!("{head},\"withdraw\":{{\"reason\":\"cessation-of-operation\"}}}}").into_bytes(),
    ]
}

/// A header and a line of CSV, or a line of the JSON twin. The owner's number stands in nothing that is shown.
pub(super) fn statement(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for kind in Kind::ALL {
        let as_json = Record::from_json(kind, text).ok();
        let (first, line) = text.split_once('\n').unwrap_or((text, ""));
        let header = Header::parse(kind, &first.split(',').collect::<Vec<_>>()).ok();
        let fields: Vec<&str> = line.split(',').collect();
        let as_csv = header.and_then(|header| header.record(&fields).ok());
        for record in [as_json, as_csv].into_iter().flatten() {
            let Ok(row) = Row::parse(&record, TODAY) else { continue };
            let document = &row.head().recipient;
            assert_eq!((row.kind(), &Row::parse(&record, TODAY)), (kind, &Ok(row.clone())));
            assert!(!document.stands_in(&format!("{row:?} {record:?}")));
            assert!(row.figures().iter().all(|figure| figure.key == "name" || !document.stands_in(&figure.value)));
            let verdicts = shipped().judge(&row, None);
            assert!(!document.stands_in(&format!("{verdicts:?}")));
            assert_eq!(Money::parse(&row.close().to_string()), Ok(row.close()));
        }
    }
    if let Ok(money) = Money::parse(text) {
        assert_eq!(Money::parse(&money.to_string()), Ok(money));
    }
    if let Ok(rate) = Rate::parse(text) {
        assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
    }
}

fn shipped() -> &'static Parameters {
    static SHIPPED_PARAMETERS: std::sync::OnceLock<Parameters> = std::sync::OnceLock::new();
    SHIPPED_PARAMETERS.get_or_init(|| Parameters::parse(SHIPPED).expect("the shipped figures"))
}

pub(super) fn statement_seeds() -> Vec<Vec<u8>> {
    let mut dice = Dice::new(7);
    let (person, employer) = (people::person(&mut dice, 3), people::enterprise(1));
    let fund = statements::housing_fund(&mut dice, 0, "202610", &person, &employer).line;
    let pension = statements::pension(&mut dice, 0, "202610", 10, &person, &employer).line;
    let csv = [(statements::HOUSING_FUND_HEADER, &fund), (statements::PENSION_HEADER, &pension)];
    let json = [(Kind::HousingFund, &fund), (Kind::Pension, &pension)].map(|(kind, line)| {
        let member = |(column, value): (&policies::statement::Column, &str)| {
            let value = match value.parse::<u64>() {
                Ok(count) if column.form == policies::statement::Form::Count => count.into(),
                _ => serde_json::Value::from(value),
            };
            (column.name.to_owned(), value)
        };
        let object: serde_json::Map<_, _> = kind.columns().iter().zip(line.split(',')).map(member).collect();
        serde_json::Value::from(object).to_string().into_bytes()
    });
    let mut seeds: Vec<Vec<u8>> = csv.iter().map(|(header, line)| format!("{header}\n{line}").into_bytes()).collect();
    seeds.extend(json);
    seeds.extend(["-68400.05", "8.00"].map(|text| text.as_bytes().to_vec()));
    seeds
}

/// A valid number of any kind comes back from its own canonical form, and what is shown of it is not it.
pub(super) fn identity(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for kind in DocumentKind::ALL {
        let Ok(document) = Document::parse(kind.code(), text, TODAY) else { continue };
        let canonical = document.canonical();
        let (code, number) = canonical.split_once('|').expect("a kind and a number");
        assert_eq!(Document::parse(code, number, TODAY).as_ref(), Ok(&document), "{code}");
        assert!(!document.stands_in(&format!("{document:?} {}", document.masked())));
    }
    if let Ok(code) = CreditCode::parse(text) {
        assert_eq!(CreditCode::parse(code.as_str()), Ok(code));
    }
    if let Ok(code) = OrganisationCode::parse(text) {
        assert_eq!(OrganisationCode::parse(code.as_str()), Ok(code));
    }
    if let Ok(name) = PersonName::parse(text) {
        assert!(PersonName::parse(name.expose()).is_ok_and(|again| again == name) && name.matches(&name));
    }
    if let Ok(number) = MailboxNumber::parse(text) {
        assert_eq!(number.to_string(), text);
    }
    let domain = HostName::parse("mail.gz.example").expect("a host");
    if let Ok(address) = Address::parse(text, &domain) {
        assert_eq!(Address::parse(&address.to_string(), &domain), Ok(address));
    }
}

pub(super) fn identity_seeds() -> Vec<Vec<u8>> {
    [
        "440106189602290015", "44010218880808003X", "440102010808003", "810000800301896", "810000189602290010", "944840189602290018", "H12345678", "01234567",
        "E12345678", "FRA-12AB34567", "UTO-L898902C3", "91440101MAT000018G", "军字第0012345号", "阿依古丽·买买提", "0000000006", "gjj@mail.gz.example",
        "０000000006@MAIL.gz.example", "MAT00001-8",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
