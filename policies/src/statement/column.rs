//! Columns of a statement: declared once per kind, they give the row its type, its reading and its figures.

use super::money::{Money, Rate};
use super::period::Period;
use super::value::{AccountNumber, BatchId, UnitName, ValueError};
use crate::document::named;
use crate::identity::CreditCode;

/// A column: its name in files, and what it is called for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
    pub form: Form,
    /// Of a code: each, with its meaning in Chinese and English.
    pub codes: &'static [(&'static str, &'static str, &'static str)],
}

named! {
    /// What a value is, for who lays it out.
    Form {
        Text = "text",
        /// Yuan with two decimals.
        Amount = "amount",
        /// Percent with two decimals.
        Rate = "rate",
        /// YYYYMM.
        Month = "month",
        /// A whole number; in JSON a number.
        Count = "count",
        /// A whole number of anything.
        Number = "number",
        /// A day, YYYY-MM-DD.
        Date = "date",
        /// A code; [`Figure::meaning`] says it in words.
        Code = "code",
    }
}

/// One value of a statement as its owner may see it: whichever way it is laid out, it is this text.
#[derive(Clone, PartialEq, Eq)]
pub struct Figure {
    /// The column's name.
    pub key: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
    pub form: Form,
    pub value: String,
    /// What a code means, Chinese and English.
    pub meaning: Option<(&'static str, &'static str)>,
}

/// The value is the citizen's business alone.
impl std::fmt::Debug for Figure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Figure({})", self.key)
    }
}

impl Column {
    pub(super) fn figure(&self, value: String, meaning: Option<(&'static str, &'static str)>) -> Figure {
        Figure { key: self.name, zh: self.zh, en: self.en, form: self.form, value, meaning }
    }
}

/// A type that stands in a column.
pub(super) trait Field {
    const FORM: Form;
    const CODES: &'static [(&'static str, &'static str, &'static str)] = &[];

    /// As the owner may see it.
    fn value(&self) -> String;

    fn meaning(&self) -> Option<(&'static str, &'static str)> {
        None
    }
}

/// Types whose `Display` or text may be seen as it is.
macro_rules! field {
    ($type:ty, $form:expr, $value:expr) => {
        impl Field for $type {
            const FORM: Form = $form;

            fn value(&self) -> String {
                let value: fn(&Self) -> String = $value;
                value(self)
            }
        }
    };
}

field!(Money, Form::Amount, |money| money.to_string());
field!(Rate, Form::Rate, |rate| rate.to_string());
field!(Period, Form::Month, |period| period.to_string());
field!(u16, Form::Count, |count| count.to_string());
field!(AccountNumber, Form::Text, |number| number.masked());
field!(UnitName, Form::Text, |name| name.as_str().to_owned());
field!(CreditCode, Form::Text, |code| code.as_str().to_owned());
field!(BatchId, Form::Text, |id| id.to_string());

/// An amount that cannot be negative.
pub(super) fn amount(text: &str) -> Result<Money, ValueError> {
    let money = Money::parse(text)?;
    if money < Money::ZERO { Err(ValueError::Negative) } else { Ok(money) }
}

/// A status: its code, and its meaning in Chinese and English.
macro_rules! status {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $code:literal, $zh:literal, $en:literal;)+ }) => {
        crate::document::named! {
            $(#[$meta])*
            $name { $($variant = $code),+ }
        }

        impl $name {
            pub fn code(self) -> &'static str {
                self.name()
            }

            /// Chinese and English, as a citizen reads it.
            pub fn words(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($zh, $en)),+ }
            }

            fn parse(text: &str) -> Result<Self, $crate::statement::ValueError> {
                Self::from_name(text).ok_or($crate::statement::ValueError::Code)
            }
        }

        impl $crate::statement::column::Field for $name {
            const FORM: $crate::statement::Form = $crate::statement::Form::Code;
            const CODES: &'static [(&'static str, &'static str, &'static str)] = &[$(($code, $zh, $en)),+];

            fn value(&self) -> String {
                self.code().to_owned()
            }

            fn meaning(&self) -> Option<(&'static str, &'static str)> {
                Some(self.words())
            }
        }
    };
}
pub(super) use status;

/// A row: the head that both kinds have, then one field for each further column, in the order of the listing.
macro_rules! row {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty = $read:expr, $zh:literal, $en:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            pub head: $crate::statement::Head,
            $(pub $field: $type),+
        }

        impl $name {
            pub const COLUMNS: &'static [$crate::statement::Column] = &[
                $crate::statement::row::STMT_ID,
                $crate::statement::row::PERIOD,
                $crate::statement::row::ID_TYPE,
                $crate::statement::row::ID_NO,
                $crate::statement::row::NAME,
                $($crate::statement::Column {
                    name: stringify!($field),
                    zh: $zh,
                    en: $en,
                    form: <$type as $crate::statement::column::Field>::FORM,
                    codes: <$type as $crate::statement::column::Field>::CODES,
                }),+
            ];

            /// The values of a record, in the order of the columns.
            pub(super) fn read(values: &mut $crate::statement::record::Values<'_>, today: time::Date) -> Result<Self, $crate::statement::RowError> {
                Ok(Self {
                    head: $crate::statement::Head::read(values, today)?,
                    $($field: values.next($read)?),+
                })
            }

            /// Every value as the owner may see it, in the order of the columns.
            pub fn figures(&self) -> Vec<$crate::statement::Figure> {
                use $crate::statement::column::Field;
                let mut figures = self.head.figures();
                let columns = Self::COLUMNS.iter().skip(figures.len());
                let values = [$((self.$field.value(), self.$field.meaning())),+];
                figures.extend(columns.zip(values).map(|(column, (value, meaning))| column.figure(value, meaning)));
                figures
            }
        }

        /// The figures are the citizen's business alone.
        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.head.stmt_id)
            }
        }
    };
}
pub(super) use row;
