#![allow(clippy::unwrap_used)]
use policies::filing::{FilingPeriod, Filings, KindName};
use proptest::prelude::*;

use super::*;

fn kind(name: &str, period: &str) -> Kind {
    let filings = Filings::shipped().unwrap();
    filings.current(&KindName::parse(name).unwrap(), FilingPeriod::parse(period).unwrap()).unwrap().clone()
}

fn staff(text: &str) -> Result<Table, TableError> {
    read(text.as_bytes(), &kind("SI_STAFF_CHANGE", "202611"), None)
}

fn canonical(table: &Table) -> Vec<String> {
    table.items.iter().map(|item| String::from_utf8(item.canonical()).unwrap()).collect()
}

const HEADER: &str = "增员或减员,证件类型,证件号码,姓名,手机号码,用工日期,劳动合同类型,险种,月工资,变动原因";

#[test]
fn chinese_and_english_headers_give_the_same_rows() {
    let zh = format!("\u{feff}{HEADER}\r\n增员,身份证,440105190003010052,测试甲,138 0000 0000,2026/11/3,固定期限,\"110,210\",\"8,000\",A01\r\n,,,,,,,,,\r\n");
    let en = "op\tid_type\tid_no\tname\tmobile\thire_date\tcontract\tinsurances\twage_month\treason\nADD\t1\t'440105190003010052\t测试甲\t13800000000\t20261103\tFIXED\t110 210\t8000.00\tnewly hired\n";
    let expected = r#"{"contract":"FIXED","hire_date":"2026-11-03","id_no":"440105190003010052","id_type":"01","insurances":["110","210"],"mobile":"13800000000","name":"测试甲","op":"ADD","reason":"A01","seq":1,"wage_month":"8000.00"}"#;
    for text in [zh.as_str(), en] {
        let table = staff(text).unwrap();
        assert_eq!((canonical(&table), table.lines.as_slice(), table.faults.len()), (vec![expected.to_owned()], [2_u64].as_slice(), 0));
    }
}

#[test]
fn a_wrong_header_says_which_column() {
    let known = |error: TableError| (error.to_string(), error.chinese().0);
    let (en, zh) = known(staff(&format!("{HEADER},备注\n")).err().unwrap());
    assert!(en.contains("column 11: `备注`") && en.contains("id_no") && zh.contains("第 11 栏“备注”"), "{en} {zh}");
    let (en, zh) = known(staff(&format!("{HEADER},name\n")).err().unwrap());
    assert!(en.contains("name stands there twice") && zh.contains("“姓名”一栏重复"), "{en} {zh}");
    let (en, zh) = known(staff(&HEADER.replace(",险种", "")).err().unwrap());
    assert!(en.contains("insurances is missing") && zh.contains("缺少“险种”"), "{en} {zh}");
    assert_eq!(staff("").err(), Some(HeaderError::Empty.into()));
    assert_eq!(staff(&format!("{HEADER}\n,,\n")).err(), Some(TableError::NoRows));
    // Without a header the first line is a person, and is not repeated.
    let (en, zh) = known(staff("ADD,01,440105190003010052,测试甲\n").err().unwrap());
    assert!(!en.contains("440105") && !zh.contains("440105"), "{en} {zh}");
    assert_eq!(read(b"a\n1\n", &kind("VAT_GENERAL", "202610"), None).err(), Some(TableError::NoList));
}

#[test]
fn faults_stand_at_their_line() {
    let text = format!("{HEADER}\n增员,01,4.40105E+17,测试甲,13800000000,2026-11-03,FIXED,110,8000,A01\n增员,01,440105190003010052,\"测\n试\",13800000000,2026-11-03,FIXED,110,8,000,A01\n减员,01,44010218880808003X,测试乙,,,,110,,R01\n");
    let table = staff(&text).unwrap();
    let told: Vec<(Option<u64>, &str)> = table.faults.iter().map(|one| (one.line, one.failure.field.as_str())).collect();
    let dos = staff(&text.replace('\n', "\r\n")).unwrap();
    assert_eq!((&dos.lines, &dos.faults), (&table.lines, &table.faults));
    // The second row has a comma too many; the line break in its quoted cell is counted.
    assert_eq!(told, [(Some(2), "/payload/items/0/id_no"), (Some(3), "/payload/items")]);
    assert_eq!(table.lines, [2, 5]);
    let kind = kind("SI_STAFF_CHANGE", "202611");
    let list = list_of(&kind).unwrap();
    assert_eq!((table.line_of(list, "/payload/items/1/id_no"), table.line_of(list, "/payload/items/9/id_no"), table.line_of(list, "/payload/totals/add")), (Some(5), None, None));
    let row = "增员,01,440105190003010052,测试甲,13800000000,2026-11-03,FIXED,110,8000,A01\n";
    assert_eq!(staff(&format!("{HEADER}\n{}", row.repeat(10_001))).err(), Some(TableError::TooMany { most: 10_000 }));
    let long = format!("{HEADER}\n增员,01,440105190003010052,{},13800000000,2026-11-03,FIXED,110,8000,A01\n", "长".repeat(400));
    assert_eq!(staff(&long).unwrap().faults[0].failure.field, "/payload/items/0/name");
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let kind = kind("SI_STAFF_CHANGE", "202611");
        let _ = read(&bytes, &kind, None);
        let _ = read(&[HEADER.as_bytes(), b"\n", &bytes].concat(), &kind, None);
    }

    /// What is told of any row repeats no number that stands in it.
    #[test]
    fn no_number_is_repeated(name in "[^,\"\r\n\t]{0,12}", day in "[^,\"\r\n\t]{0,12}") {
        let text = format!("{HEADER}\n增员,01,440105190003010052,{name},13800000000,{day},FIXED,110,8000,A01,多\n");
        if let Ok(table) = staff(&text) {
            let told = serde_json::to_string(&table.faults).unwrap();
            prop_assert!(!told.contains("440105190003010052") && !told.contains("13800000000"));
        }
    }
}
