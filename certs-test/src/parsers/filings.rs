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

/// A table of people in any octets: read or refused, each row with its line, each fault without anybody's number.
pub(super) fn table(input: &[u8]) {
    for kind in shipped().kinds() {
        let Ok(table) = filing::table::read(input, kind, None) else { continue };
        assert_eq!(table.items.len(), table.lines.len());
        assert!(table.lines.windows(2).all(|pair| matches!(pair, [before, after] if before < after)));
        for item in &table.items {
            assert!(Value::parse(&item.canonical()).is_ok_and(|again| again == *item));
        }
        let told = serde_json::to_string(&table.faults).expect("faults");
        assert!(!told.contains("440105190003010052"));
    }
}

pub(super) fn table_seeds() -> Vec<Vec<u8>> {
    let staff = "\u{feff}增员或减员,证件类型,证件号码,姓名,手机号码,用工日期,劳动合同类型,险种,月工资,变动原因\r\n增员,身份证,'440105190003010052,测试甲,13800000000,2026/11/3,固定期限,\"110,210\",\"8,000\",A01\r\n增员,1,4.40105E+17,=1+1,138,去年,x,,,\r\n";
    let wages = "id_type\tid_no\tname\twage_total\tmonths\twage_avg\tbase\temployee_confirmed\n01\t440105190003010052\t测试甲\t102000\t12\t8500\t8500\t是\n";
    let wide = |text: &str| [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<u8>>();
    // 姓名 as GB18030 writes it.
    vec![staff.into(), wages.into(), wide(staff), b"\xd0\xd5\xc3\xfb,id_no\n\xd0\xd5,440105190003010052\n".to_vec()]
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
        r#"{"agent":"91440101MAT000026B","first_period":"202601","from":"2026-11-01","kind":"MANDATE","kinds":["VAT_GENERAL"],"last_period":"202612","mandate_id":"00000000000000000000000001","principal":"91440101MAT000018G","until":"2026-12-31"}"#.into(),
        r#"{"kind":"MANDATE_WITHDRAWAL","mandate_id":"00000000000000000000000001","principal":"91440101MAT000018G"}"#.into(),
        "{\"\\u20ac\":[1,-9007199254740991,\"\\ud83d\\ude00\\n\"], // a\n}".into(),
    ]
}
