//! What a reader is shown of a row, in order: the one source of the text, the HTML and the JSON.

use policies::statement::{Column, Form, Kind, Meaning, Money, Period, Row};

use super::history::History;
use crate::mime::quoted_printable::{Piece, Pieces};

/// A word in Chinese and in English.
pub(super) type Pair = (&'static str, &'static str);

/// How a kind of statement is laid out: columns by their names.
struct Layout {
    title: Pair,
    /// What matters, the most of it first; each of these stands in a section as well.
    answer: &'static [&'static str],
    /// Every column once.
    sections: &'static [(Pair, &'static [&'static str])],
}

const STATEMENT: (Pair, &[&str]) = (("本对账单", "This statement"), &["stmt_id", "period", "name", "id_type", "id_no", "src_batch"]);

const HOUSING_FUND: Layout = Layout {
    title: ("住房公积金月度对账单", "Housing fund statement"),
    answer: &["close_bal", "paid_in", "unit_amt", "person_amt", "paid_to", "status"],
    sections: &[
        (("余额变动", "How the balance changed"), &[
            "open_bal", "paid_in", "backpay", "transfer_in", "withdraw", "transfer_out", "interest", "adjust", "close_bal", "carry_bal", "cur_bal",
        ]),
        (("每月缴存", "Monthly contribution"), &["base", "unit_rate", "unit_amt", "person_rate", "person_amt", "month_amt"]),
        (("公积金贷款", "Loan"), &["loan_bal", "loan_due"]),
        (("账户", "Account"), &["status", "paid_to", "acct_no", "unit_name", "unit_acct_no", "uscc"]),
        STATEMENT,
    ],
};

const PENSION: Layout = Layout {
    title: ("基本养老保险月度对账单", "Basic pension statement"),
    answer: &["close", "person_amt", "unit_amt", "months_year", "months_actual", "status"],
    sections: &[
        (("个人账户", "Personal account"), &[
            "year_open", "open_interest", "ytd_credit", "ytd_interest", "transfer_in", "transfer_out", "payout", "close",
        ]),
        (("本月缴费", "This month's contribution"), &["base", "person_rate", "person_amt", "unit_rate", "unit_amt"]),
        (("缴费月数", "Months counted"), &["months_year", "months_actual", "months_deemed"]),
        (("参保", "Insurance"), &["status", "unit_name", "uscc"]),
        STATEMENT,
    ],
};

fn layout(kind: Kind) -> &'static Layout {
    match kind {
        Kind::HousingFund => &HOUSING_FUND,
        Kind::Pension => &PENSION,
    }
}

/// What a kind of statement is called, Chinese and English.
pub fn title_of(kind: Kind) -> (&'static str, &'static str) {
    layout(kind).title
}

/// What statements of a kind and a month have in common, whosever they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub kind: Kind,
    pub period: Period,
}

/// A column, and its place among the figures.
type Placed = (usize, &'static Column);

impl Plan {
    pub fn title(self) -> Pair {
        title_of(self.kind)
    }

    /// `2026年10月`.
    pub fn month(self) -> String {
        month(self.period)
    }

    /// `2026-10`.
    pub fn month_en(self) -> String {
        month_en(self.period)
    }

    /// Of the attachment; the month is all it tells.
    pub fn file_name(self) -> String {
        format!("statement-{}.json", self.period)
    }

    /// Whose statement it is: name, document, number.
    pub fn owner(self) -> impl Iterator<Item = Placed> {
        self.select(&["name", "id_type", "id_no"])
    }

    pub fn answer(self) -> impl Iterator<Item = Placed> {
        self.select(layout(self.kind).answer)
    }

    pub fn sections(self) -> impl Iterator<Item = (Pair, Vec<Placed>)> {
        layout(self.kind).sections.iter().map(move |&(title, names)| (title, self.select(names).collect()))
    }

    fn select(self, names: &'static [&'static str]) -> impl Iterator<Item = Placed> {
        names.iter().filter_map(move |name| self.kind.columns().iter().enumerate().find(|(_, column)| column.name == *name))
    }
}

pub(super) fn month(period: Period) -> String {
    format!("{:04}年{}月", period.year(), period.month())
}

pub(super) fn month_en(period: Period) -> String {
    format!("{:04}-{:02}", period.year(), period.month())
}

/// Texts one behind another.
#[derive(Default)]
struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    fn get(&self, at: usize) -> &str {
        let begin = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(at).and_then(|end| self.all.get(begin..*end)).unwrap_or_default()
    }

    /// The last one, which has no end yet.
    fn open(&self) -> &str {
        self.all.get(self.ends.last().copied().unwrap_or(0)..).unwrap_or_default()
    }

    fn end(&mut self) {
        self.ends.push(self.all.len());
    }
}

/// The values of one statement, in the order of the columns. A value is made once, and written wherever it stands.
pub(super) struct Sheet {
    plain: Texts,
    said: Texts,
    encoded: Pieces,
    meanings: Vec<Option<Meaning>>,
    pub number: String,
    pub history: Option<History>,
}

impl Sheet {
    pub fn new(row: &Row, before: &[(Period, Money)]) -> Self {
        let columns = row.kind().columns();
        let texts = || Texts { all: String::with_capacity(1024), ends: Vec::with_capacity(columns.len()) };
        let (mut plain, mut said, mut encoded, mut meanings) = (texts(), texts(), Pieces::with_capacity(columns.len(), 2048), Vec::with_capacity(columns.len()));
        let (mut all, mut column) = (std::mem::take(&mut plain.all), columns.iter());
        row.write_values(&mut all, &mut |all, meaning| {
            let begin = plain.ends.last().copied().unwrap_or(0);
            let column = column.next();
            // A mail may be forwarded, and be read over a shoulder: it says no more of a name than its owner needs.
            if column.is_some_and(|column| column.name == "name") {
                all.truncate(begin);
                all.push_str(&row.head().name.masked());
            }
            let value = all.get(begin..).unwrap_or_default();
            say(column.map_or(Form::Text, |column| column.form), value, meaning.map(|(chinese, _)| chinese), &mut said.all);
            encoded.push(said.open());
            said.end();
            plain.ends.push(all.len());
            meanings.push(meaning);
        });
        plain.all = all;
        let history = History::new(before, (row.head().period, row.close()));
        Self { plain, said, encoded, meanings, number: row.head().stmt_id.as_str().to_owned(), history }
    }

    /// A value as programs read it.
    pub fn plain(&self, column: usize) -> &str {
        self.plain.get(column)
    }

    /// As people read it, in Chinese: `68,400.00 元`, `8.00%`, `2026年6月`, `5 个月`, `正常`.
    pub fn said(&self, column: usize) -> &str {
        self.said.get(column)
    }

    /// The same, encoded.
    pub fn encoded(&self, column: usize) -> Piece<'_> {
        self.encoded.get(column)
    }

    /// What a code means, in English.
    pub fn meaning(&self, column: usize) -> Option<&'static str> {
        self.meanings.get(column).copied().flatten().map(|(_, english)| english)
    }
}

/// Appends a value as people read it; `meaning` is what it means where it is a code.
pub(super) fn say(form: Form, value: &str, meaning: Option<&str>, out: &mut String) {
    match form {
        Form::Text => out.push_str(value),
        Form::Amount => {
            grouped(value, out);
            out.push_str(" 元");
        }
        Form::Rate => {
            out.push_str(value);
            out.push('%');
        }
        Form::Month => {
            let (year, month) = value.split_at_checked(4).unwrap_or((value, ""));
            [year, "年", month.trim_start_matches('0'), "月"].iter().for_each(|part| out.push_str(part));
        }
        Form::Count => {
            out.push_str(value);
            out.push_str(" 个月");
        }
        Form::Number => out.push_str(value),
        Form::Date => {
            let mut parts = value.splitn(3, '-').map(|part| part.trim_start_matches('0'));
            for unit in ["年", "月", "日"] {
                [parts.next().unwrap_or_default(), unit].iter().for_each(|part| out.push_str(part));
            }
        }
        Form::Code => out.push_str(meaning.unwrap_or(value)),
    }
}

/// The digits before the point in groups of three.
fn grouped(amount: &str, out: &mut String) {
    let (whole, cents) = amount.split_at_checked(amount.find('.').unwrap_or(amount.len())).unwrap_or((amount, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    out.push_str(whole.strip_suffix(digits).unwrap_or_default());
    let (mut rest, first) = (digits, digits.len() % 3);
    for taken in std::iter::once(first).chain(std::iter::repeat_n(3, digits.len() / 3)) {
        let (group, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        out.push_str(group);
        if !group.is_empty() && !after.is_empty() {
            out.push(',');
        }
        rest = after;
    }
    out.push_str(cents);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_groups() {
        let of = |amount| {
            let mut out = "1".to_owned();
            grouped(amount, &mut out);
            out.split_off(1)
        };
        for (plain, shown) in [
            ("0.00", "0.00"),
            ("-0.05", "-0.05"),
            ("999.99", "999.99"),
            ("-999.99", "-999.99"),
            ("1000.00", "1,000.00"),
            ("-100000.00", "-100,000.00"),
            ("9999999999999999.99", "9,999,999,999,999,999.99"),
        ] {
            assert_eq!(of(plain), shown);
        }
    }

    #[test]
    fn every_column_stands_in_one_section() {
        for (kind, layout) in [(Kind::HousingFund, &HOUSING_FUND), (Kind::Pension, &PENSION)] {
            let mut laid: Vec<&str> = layout.sections.iter().flat_map(|(_, names)| *names).copied().collect();
            let mut columns: Vec<&str> = kind.columns().iter().map(|column| column.name).collect();
            assert!(layout.answer.iter().all(|name| laid.contains(name)));
            laid.sort_unstable();
            columns.sort_unstable();
            assert_eq!(laid, columns);
            assert!(layout.title.0.starts_with(kind.words().0) && layout.title.1.starts_with(kind.words().1));
        }
    }
}
