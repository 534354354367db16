//! Monthly statements: the published rows, what breaks each rule, and every way a file can be wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod amounts;
mod files;
mod housing_fund;
mod pension;
mod policy;
mod right_fund;
mod right_pension;

use policies::statement::{Header, Judgement, Kind, Parameters, Previous, Record, Row, RowError, SHIPPED};
use time::Date;
use time::macros::date;

const TODAY: Date = date!(2026 - 11 - 24);

fn shipped() -> Parameters {
    Parameters::parse(SHIPPED).unwrap()
}

/// The fields of a line by column, to be changed one at a time.
#[derive(Clone, Debug)]
struct Line {
    kind: Kind,
    values: Vec<String>,
}

impl Line {
    /// Amounts are 0.00 until they are set.
    fn new(kind: Kind) -> Self {
        let values = kind.columns().iter().map(|column| match column.name {
            "stmt_id" => "ST202605-1",
            "period" | "paid_to" => "202605",
            "id_type" => "01",
            "id_no" => "440106189602290015",
            "name" => "张伟",
            "acct_no" => "GJJ000000000001",
            "unit_acct_no" => "DW0000001",
            "unit_name" => "广州示范有限公司",
            "uscc" => "91440101MAT000018G",
            "src_batch" => "B202605",
            "months_deemed" => "0",
            "status" if kind == Kind::Pension => "参保缴费",
            _ => "0.00",
        });
        Self { kind, values: values.map(str::to_owned).collect() }
    }

    fn place(&self, column: &str) -> usize {
        self.kind.columns().iter().position(|known| known.name == column).unwrap()
    }

    fn get(&self, column: &str) -> &str {
        &self.values[self.place(column)]
    }

    fn with(mut self, column: &str, value: &str) -> Self {
        let place = self.place(column);
        self.values[place] = value.to_owned();
        self
    }

    /// The amount or rate in hundredths.
    fn fen(&self, column: &str) -> i64 {
        self.get(column).replace('.', "").parse().unwrap()
    }

    /// The amount or rate, `hundredths` more.
    fn more(self, column: &str, hundredths: i64) -> Self {
        let new = amounts::written(self.fen(column) + hundredths);
        self.with(column, &new)
    }

    fn header(&self) -> Header {
        let names: Vec<&str> = self.kind.columns().iter().map(|column| column.name).collect();
        Header::parse(self.kind, &names).unwrap()
    }

    fn record(&self) -> Record<'_> {
        let fields: Vec<&str> = self.values.iter().map(String::as_str).collect();
        self.header().record(&fields).unwrap()
    }

    fn read(&self) -> Result<Row, RowError> {
        Row::parse(&self.record(), TODAY)
    }

    fn row(&self) -> Row {
        self.read().unwrap()
    }

    fn previous(&self) -> Previous {
        Previous::of(&self.row())
    }

    fn judge(&self, previous: Option<&Previous>) -> Judgement {
        shipped().judge(&self.row(), previous)
    }

    /// The codes of the rules that it breaks, parted by spaces.
    fn broken(&self, previous: Option<&Previous>) -> String {
        let judgement = self.judge(previous);
        assert_eq!(judgement.is_kept(), judgement.broken().next().is_none());
        let codes: Vec<&str> = judgement.broken().map(|(rule, _)| rule.code()).collect();
        codes.join(" ")
    }
}
