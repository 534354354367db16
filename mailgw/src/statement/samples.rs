//! Rows for tests: the examples of the two kinds, and rows of any figures.

use policies::certificate::{Email, HostName, OrganizationName};
use policies::mailbox::Address;
use policies::statement::{Header, Kind, Row, SenderCode};
use proptest::prelude::*;
use time::macros::date;

use super::sender::{Hotline, Sender};

pub fn sender(kind: Kind) -> Sender {
    let (code, name, name_en, address, hotline) = match kind {
        Kind::HousingFund => ("GZ-GJJ", "广州住房公积金管理中心", "Guangzhou Housing Provident Fund Centre", "gjj@mail.gz.example", "12329"),
        Kind::Pension => ("GZ-SI", "广州市社会保险基金管理中心", "Guangzhou Social Insurance Fund Centre", "si@mail.gz.example", "12333"),
    };
    Sender {
        code: SenderCode::parse(code).unwrap(),
        name: OrganizationName::parse(name).unwrap(),
        name_en: OrganizationName::parse(name_en).unwrap(),
        address: Email::parse(address).unwrap(),
        hotline: Hotline::parse(hotline).unwrap(),
    }
}

pub fn recipient() -> Address {
    Address::parse("0000000006@mail.gz.example", &HostName::parse("mail.gz.example").unwrap()).unwrap()
}

/// A row of `kind` with these values in the order of the columns.
pub fn row(kind: Kind, values: &[&str]) -> Row {
    let columns: Vec<&str> = kind.columns().iter().map(|column| column.name).collect();
    let record = Header::parse(kind, &columns).unwrap().record(values).map_err(|error| error.to_string());
    Row::parse(&record.unwrap(), date!(2026 - 11 - 01)).unwrap()
}

pub fn housing_fund(name: &str, unit: &str) -> Row {
    row(Kind::HousingFund, &[
        "HF20261000000001", "202610", "01", "440106189602290015", name, "GJJ000000000001", "DW0000001", unit, "91440101MAT000018G", "12000.00",
        "10.00", "10.00", "1200.00", "1200.00", "2400.00", "66000.00", "2400.00", "0.00", "0.00", "0.00", "0.00", "0.00", "0.00", "68400.00",
        "42000.00", "26400.00", "202610", "01", "312500.00", "2876.54", "B202610",
    ])
}

pub fn pension(name: &str, unit: &str) -> Row {
    row(Kind::Pension, &[
        "PN20261000000001", "202610", "01", "440106189602290015", name, unit, "91440101MAT000018G", "8000.00", "8.00", "640.00", "16.00",
        "1280.00", "52340.18", "0.00", "6400.00", "0.00", "0.00", "0.00", "0.00", "58740.18", "10", "106", "0", "参保缴费", "B202610",
    ])
}

/// A row of any figures, whether they add up or not.
pub fn any() -> impl Strategy<Value = Row> {
    let amount = prop_oneof![Just("0.00".to_owned()), Just("9999999999999999.99".to_owned()), "(0|[1-9][0-9]{0,9})\\.[0-9]{2}"];
    let words = "[㐂𠅤䶮㛃<>&\"'=.A-Za-z·一-十]{1,20}甲";
    let some = (prop::bool::ANY, proptest::collection::vec(amount, 32), words, words, 0..4_usize, proptest::collection::vec("[1-9]?[0-9]\\.[0-9]{2}", 2));
    some.prop_map(|(fund, amounts, name, unit, status, rates)| {
        let kind = if fund { Kind::HousingFund } else { Kind::Pension };
        let value = |(index, column): (usize, &policies::statement::Column)| match column.name {
            "stmt_id" => "HF.1-_x".to_owned(),
            "period" | "paid_to" => "202601".to_owned(),
            "id_type" => "04".to_owned(),
            "id_no" => "VAT440131022810".to_owned(),
            "name" => name.clone(),
            "unit_name" => unit.clone(),
            "uscc" => "91440101MAT000018G".to_owned(),
            "unit_rate" => rates[0].clone(),
            "person_rate" => rates[1].clone(),
            "status" if fund => ["01", "02", "06", "99"][status].to_owned(),
            "status" => ["参保缴费", "暂停", "终止", "领取"][status].to_owned(),
            "months_year" | "months_actual" | "months_deemed" => index.to_string(),
            "acct_no" | "unit_acct_no" | "src_batch" => format!("A-{index}.x"),
            "adjust" => format!("-{}", amounts[index]),
            _ => amounts[index].clone(),
        };
        let values: Vec<String> = kind.columns().iter().enumerate().map(value).collect();
        row(kind, &values.iter().map(String::as_str).collect::<Vec<_>>())
    })
}
