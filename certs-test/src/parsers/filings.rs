//! What enterprises sign: canonical JSON, filings and mandates, and the judgement of any payload.

use filing::document::{Filing, Mandate, Value, Withdrawal};
use filing::rules::{History, judge};
use policies::filing::Filings;
use time::macros::date;

/// One text has one form; what is a filing is judged without a number in what is told.
pub(super) fn filing(input: &[u8]) {
    if let Ok(value) = Value::parse(input) {
        let canonical = value.canonical();
        assert!(Value::parse(&canonical).expect("what was written").canonical() == canonical);
        // Another reader takes it for JSON too.
        serde_json::from_slice::<serde_json::Value>(&canonical).expect("JSON");
    }
    if let Ok(mandate) = Mandate::parse(input) {
        assert_eq!(mandate.canonical(), input);
    }
    if let Ok(withdrawal) = Withdrawal::parse(input) {
        assert_eq!(withdrawal.canonical(), input);
    }
    let Some(filing) = Value::parse_draft(input).ok().and_then(|value| Filing::from_value(value).ok()) else { return };
    assert_eq!(Filing::parse(filing.canonical()).as_ref(), Ok(&filing));
    let judgement = judge(&filing, shipped(), &History::default(), date!(2026 - 11 - 29));
    let told = serde_json::to_string(&judgement).expect("a judgement");
    assert!(!told.contains("440105190003010052"));
}

fn shipped() -> &'static Filings {
    static SHIPPED: std::sync::OnceLock<Filings> = std::sync::OnceLock::new();
    SHIPPED.get_or_init(|| Filings::shipped().expect("the shipped kinds"))
}

pub(super) fn filing_seeds() -> Vec<Vec<u8>> {
    let of = |kind: &str, version: &str, period: &str, payload: &str| {
        format!(r#"{{"attachments":[{{"media_type":"application/pdf","name":"a.pdf","sha256":"{}","size":12}}],"filing_id":"00000000000000000000000001",{version}"kind":"{kind}","payload":{payload},"period":"{period}","revision":1,"signer_role":"operator","uscc":"91440101MAT000018G"}}"#, "0f".repeat(32)).into_bytes()
    };
    vec![
        of("VAT_GENERAL", r#""form_version":"2021-20","#, "202610", r#"{"general_month":{"l1":"1000000.00","l11":"130000.00","l17":"0.00","l18":"0.00","l19":"130000.00","l24":"130000.00","l34":"130000.00","l39":"9100.00","l40":"3900.00","l41":"2600.00"}}"#),
        of("SI_STAFF_CHANGE", "", "202611", r#"{"items":[{"contract":"FIXED","hire_date":"2026-11-03","id_no":"440105190003010052","id_type":"01","insurances":["110","210"],"mobile":"13800000000","name":"测试甲","op":"ADD","reason":"A01","seq":1,"wage_month":"8000.00"}],"totals":{"add":1,"remove":0}}"#),
        of("SI_WAGE_BASE", "", "2026", r#"{"effective_from":"202607","items":[{"base":"8500.00","employee_confirmed":true,"id_no":"440105190003010052","id_type":"01","months":12,"name":"测试甲","wage_avg":"8500.00","wage_total":"102000.00"}],"totals":{"base_sum":"8500.00","persons":1,"wage_total":"102000.00"}}"#),
        r#"{"agent":"91440101MAT000026B","from":"2026-11-01","kind":"MANDATE","kinds":["VAT_GENERAL"],"mandate_id":"00000000000000000000000001","principal":"91440101MAT000018G","until":"2026-12-31"}"#.into(),
        r#"{"kind":"MANDATE_WITHDRAWAL","mandate_id":"00000000000000000000000001","principal":"91440101MAT000018G"}"#.into(),
        "{\"\\u20ac\":[1,-9007199254740991,\"\\ud83d\\ude00\\n\"], // a\n}".into(),
    ]
}
