//! Headers, records, the JSON twin, manifests and totals.

use policies::identity::PersonName;
use policies::statement::{
    Form, Header, HeaderError, Kind, Manifest, ManifestError, Money, Purpose, Reason, Record, Row, RowError, Totals, TotalsError, Unread, ValueError, Verdict, judge_owner,
};
use proptest::prelude::*;

use super::amounts::{MOST, amount, change, written};
use super::{Line, TODAY};

fn fund() -> Line {
    Line::new(Kind::HousingFund).with("status", "01")
}

fn pension() -> Line {
    Line::new(Kind::Pension).with("months_year", "5").with("months_actual", "101")
}

fn names(kind: Kind) -> Vec<&'static str> {
    kind.columns().iter().map(|column| column.name).collect()
}

#[test]
fn the_columns_are_those_of_the_listing() {
    let fund = "stmt_id,period,id_type,id_no,name,acct_no,unit_acct_no,unit_name,uscc,base,unit_rate,person_rate,unit_amt,person_amt,\
        month_amt,open_bal,paid_in,backpay,transfer_in,withdraw,transfer_out,interest,adjust,close_bal,carry_bal,cur_bal,paid_to,status,\
        loan_bal,loan_due,src_batch";
    let pension = "stmt_id,period,id_type,id_no,name,unit_name,uscc,base,person_rate,person_amt,unit_rate,unit_amt,year_open,\
        open_interest,ytd_credit,ytd_interest,transfer_in,transfer_out,payout,close,months_year,months_actual,months_deemed,status,src_batch";
    assert_eq!(names(Kind::HousingFund).join(","), fund);
    assert_eq!(names(Kind::Pension).join(","), pension);
}

#[test]
fn first_lines_that_are_refused() {
    for kind in Kind::ALL {
        let right = names(kind);
        let refused = |fields: &[&str]| Header::parse(kind, fields).unwrap_err();
        assert!(Header::parse(kind, &right).is_ok());
        assert_eq!(refused(&["\u{feff}stmt_id"]), HeaderError::ByteOrderMark);
        assert_eq!(refused(&[]), HeaderError::Missing { kind, columns: right.clone() });
        let less: Vec<_> = right.iter().copied().filter(|name| !matches!(*name, "base" | "status")).collect();
        assert_eq!(refused(&less), HeaderError::Missing { kind, columns: vec!["base", "status"] });
        assert!(refused(&less).to_string().contains("base, status"));
        let twice: Vec<_> = right.iter().copied().chain(["uscc"]).collect();
        assert_eq!(refused(&twice), HeaderError::Doubled { column: "uscc" });
        let strange: Vec<_> = ["salary"].into_iter().chain(right.iter().copied()).collect();
        assert_eq!(refused(&strange), HeaderError::Unknown { kind, field: 1, name: Some("salary".to_owned()) });
        // A file without a first line: the person in it is not repeated.
        let row = Line::new(kind);
        let fields: Vec<&str> = row.values.iter().map(String::as_str).collect();
        assert_eq!(refused(&fields), HeaderError::Unknown { kind, field: 1, name: None });
        assert_eq!(refused(&["440106189602290015"]).to_string().find("4401"), None);
        for near in ["STMT_ID", " stmt_id", "stmt_id ", ""] {
            assert!(matches!(refused(&[near]), HeaderError::Unknown { field: 1, name: None, .. }), "{near:?}");
        }
    }
    assert!(Header::parse(Kind::Pension, &names(Kind::HousingFund)).is_err());
}

#[test]
fn the_order_of_the_columns_is_free() {
    for line in [fund(), pension()] {
        let names: Vec<_> = names(line.kind).into_iter().rev().collect();
        let values: Vec<_> = line.values.iter().rev().map(String::as_str).collect();
        let turned = Header::parse(line.kind, &names).unwrap();
        assert_eq!(turned.record(&values).unwrap(), line.record());
    }
}

#[test]
fn values_that_are_refused_are_named_and_not_repeated() {
    for (line, column, value, error) in [
        (fund(), "stmt_id", "a b", ValueError::Token { max: 64 }),
        (fund(), "stmt_id", "x-440106189602290015", ValueError::Revealing),
        (fund(), "unit_name", "个体 440106 18960229 0015", ValueError::Revealing),
        (pension(), "src_batch", "b-440106189602290015", ValueError::Revealing),
        (fund(), "period", "2026-05", ValueError::Period),
        (fund(), "base", "12000", ValueError::Amount),
        (fund(), "base", "-1.00", ValueError::Negative),
        (fund(), "unit_rate", "10", ValueError::Rate),
        (fund(), "paid_to", "202706", ValueError::TooLate),
        (fund(), "status", "07", ValueError::Code),
        (fund(), "status", "1", ValueError::Code),
        (fund(), "acct_no", "GJJ000000000000000001", ValueError::Token { max: 20 }),
        (fund(), "unit_name", "", ValueError::Words { max: 240 }),
        (pension(), "status", "缴费", ValueError::Code),
        (pension(), "months_year", "5.0", ValueError::Count),
        (pension(), "close", "1,000.00", ValueError::Amount),
    ] {
        let refused = line.clone().with(column, value).read().unwrap_err();
        assert_eq!(refused, RowError::Value { column, error }, "{value}");
    }
    assert!(fund().with("paid_to", "202705").read().is_ok());
    for (column, value) in [("id_no", "440106189602290016"), ("id_type", "77777777"), ("name", "张\u{7}玮"), ("uscc", "91440101MAT000018H")] {
        let refused = fund().with(column, value).read().unwrap_err();
        let text = format!("{refused} {refused:?}");
        // The document type is judged together with the number.
        assert!(text.contains(if column == "id_type" { "id_no" } else { column }), "{text}");
        assert!(!text.contains(value) && !text.contains("4401061896") && !text.contains('张'), "{text}");
    }
    let line = fund();
    let fields: Vec<&str> = line.values.iter().map(String::as_str).collect();
    assert_eq!(line.header().record(&fields[1..]), Err(RowError::Fields { expected: 31, found: 30 }));
    let long = "a".repeat(513);
    let mut fields = fields;
    fields[4] = &long;
    assert_eq!(line.header().record(&fields), Err(RowError::Value { column: "name", error: ValueError::TooLong { max: 512 } }));
}

fn json(line: &Line) -> serde_json::Map<String, serde_json::Value> {
    let member = |(column, value): (&policies::statement::Column, &String)| {
        let value = if column.form == Form::Count { value.parse::<u64>().unwrap().into() } else { value.as_str().into() };
        (column.name.to_owned(), value)
    };
    line.kind.columns().iter().zip(&line.values).map(member).collect()
}

#[test]
fn the_json_twin_says_the_same() {
    for line in [fund(), pension()] {
        let object = json(&line);
        let text = serde_json::to_string(&object).unwrap();
        assert_eq!(Record::from_json(line.kind, &text).unwrap(), line.record());
        // Escaped characters are the same characters.
        let escaped = text.replace('张', "\\u5f20");
        assert_ne!(escaped, text);
        assert_eq!(Row::parse(&Record::from_json(line.kind, &escaped).unwrap(), TODAY).unwrap(), line.row());
        let refused = |text: &str| Record::from_json(line.kind, text).unwrap_err();
        let changed = |name: &str, value: serde_json::Value| {
            let mut object = object.clone();
            object.insert(name.to_owned(), value);
            refused(&serde_json::to_string(&object).unwrap())
        };
        let string = |column| RowError::Value { column, error: ValueError::JsonType { expected: "string" } };
        assert_eq!(changed("base", 12000.into()), string("base"));
        assert_eq!(changed("base", serde_json::json!(12000.5)), string("base"));
        assert_eq!(changed("id_no", 440_106_189_602_290_015_u64.into()), string("id_no"));
        assert_eq!(changed("name", serde_json::json!({ "a": [1, null, true] })), string("name"));
        assert_eq!(changed("salary", "1.00".into()), RowError::UnknownName { kind: line.kind });
        if line.kind == Kind::Pension {
            let number = RowError::Value { column: "months_year", error: ValueError::JsonType { expected: "whole number" } };
            assert_eq!(changed("months_year", "5".into()), number);
            assert_eq!(changed("months_year", serde_json::json!(-5)), number);
        }
        assert_eq!(refused(&text.replacen('{', "{\"name\":\"李\",", 1)), RowError::Doubled { column: "name" });
        let mut less = object.clone();
        less.remove("uscc");
        assert_eq!(refused(&serde_json::to_string(&less).unwrap()), RowError::Missing { column: "uscc" });
        for broken in ["", "null", "\"440106189602290015\"", "[]", &text[..text.len() - 1], &format!("{text}{text}"), "\u{feff}{}"] {
            let refused = refused(broken);
            assert!(matches!(refused, RowError::Json { .. }), "{broken}: {refused:?}");
            assert!(!refused.to_string().contains("4401"));
        }
        assert!(matches!(refused(&format!("{{\"a\":{}", "[".repeat(10_000))), RowError::Json { .. }));
        assert_eq!(refused(&" ".repeat(16 * 1024 + 1)), RowError::LineTooLong { max: 16 * 1024 });
    }
}

#[test]
fn figures_are_masked_and_in_words() {
    let shown: Vec<_> = fund().row().figures();
    let columns: Vec<_> = shown.iter().map(|figure| figure.key).collect();
    assert_eq!(columns, names(Kind::HousingFund));
    let figure = |key: &str| shown.iter().find(|figure| figure.key == key).unwrap();
    assert_eq!(figure("id_no").value, "440***********0015");
    assert_eq!(figure("id_type").meaning, Some(("居民身份证", "Resident identity card")));
    assert_eq!(figure("acct_no").value, "****0001");
    assert_eq!((figure("base").value.as_str(), figure("base").zh, figure("base").form), ("0.00", "缴存基数", Form::Amount));
    assert_eq!((figure("status").value.as_str(), figure("status").meaning), ("01", Some(("正常", "normal"))));
    assert_eq!(pension().row().figures().len(), 25);
    assert!(shown.iter().chain(&pension().row().figures()).all(|figure| !figure.zh.is_empty() && !figure.value.contains("440106189602290015")));
    let row = fund().row();
    assert_eq!(format!("{row:?} {:?} {:?}", row.head(), fund().record()), "HousingFund(HousingFundRow(ST202605-1)) Head(ST202605-1, 202605) Record(housing-fund)");
}

#[test]
fn the_owner_is_the_one_named() {
    let name = |text| PersonName::parse(text).unwrap();
    assert_eq!(judge_owner(&name("阿依古丽•买买提"), &name("阿依古丽·买买提")), Verdict::Kept);
    let Verdict::Broken { reason } = judge_owner(&name("张伟"), &name("李伟")) else { panic!() };
    assert!(!reason.contains('张') && !reason.contains('李'));
}

const MANIFEST: &str = r#"{"batch_id":"gz-housing-fund-housing-fund-202605","sender_code":"gz-housing-fund","kind":"housing-fund","period":"202605",
"schema_version":1,"rows":2,"sum_close":"30.00","sum_paid_in":"3.00",
"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","created_at":"2026-11-01T00:00:00Z"}"#;

#[test]
fn a_manifest_and_what_is_none() {
    let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
    assert_eq!((manifest.statement(), manifest.rows(), manifest.sum_close().fen(), manifest.sum_paid_in().fen()), (Some(Kind::HousingFund), 2, 3000, 300));
    assert_eq!((manifest.sender().as_str(), manifest.sha256()[0], manifest.sha256()[31]), ("gz-housing-fund", 0xe3, 0x55));
    assert_eq!(manifest.created_at().unix_timestamp(), 1_793_491_200);
    for (from, to, field) in [
        ("\"batch_id\":\"gz-", "\"batch_id\":\"gz/", "batch_id"),
        ("\"sender_code\":\"gz", "\"sender_code\":\"广州", "sender_code"),
        ("\"kind\":\"housing-fund\"", "\"kind\":\"Tax\"", "kind"),
        ("\"rows\":2", "\"rows\":2,\"mends\":{\"batch\":\"b\",\"rows\":\"3\"}", "mends.rows"),
        ("\"rows\":2", "\"rows\":2,\"mends\":{\"batch\":\"b/c\",\"rows\":\"3,4\"}", "mends.batch"),
        ("\"rows\":2", "\"rows\":2,\"supersedes\":{\"reason\":\" \",\"reason_en\":\"x\"}", "supersedes"),
        ("\"rows\":2", "\"rows\":2,\"withdraws\":{\"reason\":\"错\",\"reason_en\":\"a\\u202eb\"}", "withdraws"),
        ("202605\",\n", "202613\",\n", "period"),
        ("\"schema_version\":1", "\"schema_version\":2", "schema_version"),
        ("\"rows\":2", "\"rows\":0", "rows"),
        ("\"rows\":2", "\"rows\":10000001", "rows"),
        ("30.00", "30", "sum_close"),
        ("\"3.00", "\"3.000", "sum_paid_in"),
        ("e3b0c4", "E3B0C4", "sha256"),
        ("b855\"", "b8\"", "sha256"),
        ("2026-11-01T00", "2026-11-31T00", "created_at"),
    ] {
        assert!(MANIFEST.contains(from), "{from}");
        let refused = Manifest::parse(MANIFEST.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(matches!(refused, ManifestError::Field { field: found, .. } if found == field), "{to}: {refused}");
    }
    let purpose = |member: &str| Manifest::parse(MANIFEST.replacen("\"rows\":2", &format!("\"rows\":2,{member}"), 1).as_bytes()).unwrap().purpose().clone();
    assert_eq!(manifest.purpose(), &Purpose::Deliver);
    assert!(matches!(purpose(r#""mends":{"batch":"b","rows":"3,7"}"#), Purpose::Mend { batch, rows } if batch.as_str() == "b" && rows.nth(2) == Some(7)));
    let reason = Reason { chinese: "错".into(), english: "wrong".into() };
    assert_eq!(purpose(r#""supersedes":{"reason":" 错","reason_en":"wrong"}"#), Purpose::Supersede(reason.clone()));
    assert_eq!(purpose(r#""withdraws":{"reason":"错","reason_en":"wrong"}"#), Purpose::Withdraw(reason));
    for (from, to, reason) in [
        ("\"rows\":2", "\"rows\":2,\"supersedes\":{\"reason\":\"a\",\"reason_en\":\"b\"},\"withdraws\":{\"reason\":\"a\",\"reason_en\":\"b\"}", "one of each"),
        ("\"rows\":2", "\"rows\":2,\"sm3\":\"\"", "unknown field `sm3`"),
        ("\"rows\":2", "\"rows\":2,\"rows\":2", "duplicate field `rows`"),
        ("\"rows\":2,", "", "missing field `rows`"),
        ("\"rows\":2", "\"rows\":\"2\"", "invalid type"),
        ("\"rows\":2", "\"rows\":-2", "invalid value"),
    ] {
        let refused = Manifest::parse(MANIFEST.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(reason) && (refused.contains("line ") || reason == "one of each"), "{to}: {refused}");
    }
    assert_eq!(Manifest::parse(format!("\u{feff}{MANIFEST}").as_bytes()), Err(ManifestError::ByteOrderMark));
    assert_eq!(Manifest::parse(b"\xff"), Err(ManifestError::NotUtf8));
    assert_eq!(Manifest::parse(&[b' '; 16 * 1024 + 1]), Err(ManifestError::TooLarge));
}

#[test]
fn v9_over_a_file() {
    let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
    let line = |close: &str, paid: &str| fund().with("close_bal", close).with("paid_in", paid);
    let add = |lines: &[Line]| {
        let mut totals = Totals::new(Kind::HousingFund);
        let read = lines.iter().filter(|line| totals.add(&line.record()).is_ok()).count();
        (totals.agrees_with(&manifest), read)
    };
    assert_eq!(add(&[line("10.00", "1.00"), line("20.00", "2.00")]), (Ok(()), 2));
    assert_eq!(add(&[line("10.00", "1.00")]).0, Err(TotalsError::Rows { stated: 2, found: 1 }));
    let refused = add(&[line("10.00", "1.00"), line("20.01", "2.00")]).0.unwrap_err();
    assert_eq!(refused.to_string(), "V9: the closing balances add up to 30.01, the manifest states 30.00; send the file that was signed");
    assert!(matches!(add(&[line("10.00", "1.00"), line("20.00", "2.01")]).0, Err(TotalsError::SumPaidIn { .. })));
    // A record whose person is wrong is counted all the same.
    assert_eq!(add(&[line("10.00", "1.00"), line("20.00", "2.00").with("id_no", "1")]), (Ok(()), 2));
    // What cannot be read adds nothing, and is named; what can be read beside it counts.
    let (refused, read) = add(&[line("10.00", "1.00"), line("20", "2.00")]);
    let unread = Some(Unread { rows: 1, first: 2, column: Some("close_bal".into()) });
    assert_eq!((&refused, read), (&Err(TotalsError::SumClose { stated: Money::from_fen(3_000).unwrap(), found: "10.00".into(), unread }), 1));
    assert!(refused.unwrap_err().to_string().contains("1 rows cannot be read and add nothing, the first in row 2, column close_bal"));
    // Of a sum that differs although all of its column can be read, the other column is no reason.
    assert!(add(&[line("10.00", "x"), line("20.01", "2.00")]).0.unwrap_err().to_string().ends_with("send the file that was signed"));
    assert_eq!(add(&[line("30.00", "3.00"), line("20", "x")]), (Ok(()), 1), "signed without what cannot be read");
    assert!(matches!(Totals::new(Kind::Pension).agrees_with(&manifest), Err(TotalsError::Kind { .. })));
    // The largest amounts do not overflow.
    let most = "9999999999999999.99";
    let refused = add(&[line(most, most), line(most, most)]).0.unwrap_err();
    assert!(refused.to_string().contains("19999999999999999.98"));
    assert_eq!(manifest.agrees_with_digest(manifest.sha256()), Ok(()));
    assert_eq!(manifest.agrees_with_digest(&[0; 32]), Err(TotalsError::Digest));
    // What a pension file pays in is the person's own.
    let mut totals = Totals::new(Kind::Pension);
    totals.add(&pension().with("close", "30.00").with("person_amt", "3.00").record()).unwrap();
    totals.count();
    let manifest = Manifest::parse(MANIFEST.replace("\"kind\":\"housing-fund\"", "\"kind\":\"pension\"").as_bytes()).unwrap();
    assert_eq!((totals.agrees_with(&manifest), totals.rows()), (Ok(()), 2));
    assert!(pension().row().belongs_to(&manifest).is_ok());
    assert!(matches!(fund().row().belongs_to(&manifest), Err(RowError::Kind { .. })));
    assert!(matches!(pension().with("period", "202604").row().belongs_to(&manifest), Err(RowError::Period { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,80}", at in 0_usize..25) {
        let _ = Manifest::parse(&bytes);
        let mut line = pension();
        line.values[at] = text.clone();
        let _ = line.read();
        let _ = (Record::from_json(Kind::Pension, &text), Header::parse(Kind::Pension, &[&text]));
    }

    /// V9 from a fen up: of either sum, of a row, whatever the rows are.
    #[test]
    fn v9_refuses_a_manifest_that_is_off_by_a_fen(
        pension in any::<bool>(), rows in prop::collection::vec((amount(), amount()), 1..12), largest in any::<bool>(), by in change(), up in any::<bool>(),
    ) {
        let kind = if pension { Kind::Pension } else { Kind::HousingFund };
        let [close, paid_in] = if pension { ["close", "person_amt"] } else { ["close_bal", "paid_in"] };
        let sum = |of: fn(&(i64, i64)) -> i64| rows.iter().map(of).sum::<i64>();
        let (mut rows, sums) = (rows.clone(), (sum(|row| row.0), sum(|row| row.1)));
        // One more row takes the sum to the largest that a manifest can state.
        let sums = if largest { rows.push((MOST - sums.0, 0)); (MOST, sums.1) } else { sums };
        let mut totals = Totals::new(kind);
        for (closed, paid) in &rows {
            totals.add(&Line::new(kind).with(close, &written(*closed)).with(paid_in, &written(*paid)).record()).unwrap();
        }
        let stated = |(closed, paid): (i64, i64), count: usize| {
            let text = MANIFEST.replace("\"housing-fund\"", &format!("\"{kind}\""));
            let text = text.replace("_close\":\"30.00", &format!("_close\":\"{}", written(closed))).replace("_in\":\"3.00", &format!("_in\":\"{}", written(paid)));
            totals.agrees_with(&Manifest::parse(text.replace("\"rows\":2", &format!("\"rows\":{count}")).as_bytes()).unwrap())
        };
        prop_assert_eq!(stated(sums, rows.len()), Ok(()));
        let off = |sum: i64| [if up { by } else { -by }, -1, 1].into_iter().map(move |by| sum + by).filter(|sum| (-MOST..=MOST).contains(sum));
        for closed in off(sums.0) {
            prop_assert!(matches!(stated((closed, sums.1), rows.len()), Err(TotalsError::SumClose { unread: None, .. })), "{closed}");
        }
        for paid in off(sums.1) {
            prop_assert!(matches!(stated((sums.0, paid), rows.len()), Err(TotalsError::SumPaidIn { unread: None, .. })), "{paid}");
        }
        let more = matches!(stated(sums, rows.len() + 1), Err(TotalsError::Rows { .. }));
        prop_assert!(more);
    }
}
