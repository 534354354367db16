//! What a reader is shown of a row, in order: the one source of the text, the HTML and the JSON.

use policies::statement::{Figure, Form, Kind, Money, Period, Row};

use super::history::History;

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

pub(super) struct Sheet<'a> {
    row: &'a Row,
    layout: &'static Layout,
    /// In the order of the columns.
    pub figures: Vec<Figure>,
    pub history: Option<History>,
}

impl<'a> Sheet<'a> {
    pub fn new(row: &'a Row, before: &[(Period, Money)]) -> Self {
        let mut figures = row.figures();
        // A mail may be forwarded, and be read over a shoulder: it says no more of a name than its owner needs.
        if let Some(name) = figures.iter_mut().find(|figure| figure.key == "name") {
            name.value = row.head().name.masked();
        }
        Self { row, layout: layout(row.kind()), figures, history: History::new(before, (row.head().period, row.close())) }
    }

    pub fn kind(&self) -> Kind {
        self.row.kind()
    }

    pub fn statement_id(&self) -> &str {
        self.row.head().stmt_id.as_str()
    }

    fn period(&self) -> Period {
        self.row.head().period
    }

    pub fn title(&self) -> Pair {
        self.layout.title
    }

    /// `2026年10月`.
    pub fn month(&self) -> String {
        Self::month_of(self.period())
    }

    pub fn month_of(period: Period) -> String {
        format!("{:04}年{}月", period.year(), period.month())
    }

    /// `2026-10`.
    pub fn month_en(&self) -> String {
        Self::month_en_of(self.period())
    }

    pub fn month_en_of(period: Period) -> String {
        format!("{:04}-{:02}", period.year(), period.month())
    }

    /// Of the attachment; the month is all it tells.
    pub fn file_name(&self) -> String {
        format!("statement-{}.json", self.period())
    }

    /// Whose statement it is: name, document, number.
    pub fn owner(&self) -> impl Iterator<Item = &Figure> {
        self.select(&["name", "id_type", "id_no"])
    }

    pub fn answer(&self) -> impl Iterator<Item = &Figure> {
        self.select(self.layout.answer)
    }

    pub fn sections(&self) -> impl Iterator<Item = (Pair, impl Iterator<Item = &Figure>)> {
        self.layout.sections.iter().map(|&(title, names)| (title, self.select(names)))
    }

    fn select(&self, names: &'static [&'static str]) -> impl Iterator<Item = &Figure> {
        names.iter().filter_map(|name| self.figures.iter().find(|figure| figure.key == *name))
    }
}

/// Appends a figure as people read it, in Chinese: `68,400.00 元`, `8.00%`, `2026年6月`, `5 个月`, `正常`.
pub(super) fn shown(figure: &Figure, out: &mut String) {
    say(figure.form, &figure.value, figure.meaning.map(|(chinese, _)| chinese), out);
}

/// As [`shown`]: a value, and what it means where it is a code.
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
    let whole = amount.find('.').unwrap_or(amount.len());
    for (at, character) in amount.char_indices() {
        let before_a_group = at < whole && (whole - at).is_multiple_of(3);
        if before_a_group && out.ends_with(|last: char| last.is_ascii_digit()) && at > 0 {
            out.push(',');
        }
        out.push(character);
    }
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
