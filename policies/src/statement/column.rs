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
    pub meaning: Option<Meaning>,
}

/// What a code means, Chinese and English.
pub type Meaning = (&'static str, &'static str);

/// The value is the citizen's business alone.
impl std::fmt::Debug for Figure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Figure({})", self.key)
    }
}

impl Column {
    pub(super) fn figure(&self, value: &str, meaning: Option<Meaning>) -> Figure {
        Figure { key: self.name, zh: self.zh, en: self.en, form: self.form, value: value.to_owned(), meaning }
    }
}

/// A type that stands in a column.
pub(super) trait Field {
    const FORM: Form;
    const CODES: &'static [(&'static str, &'static str, &'static str)] = &[];

    /// As the owner may see it.
    fn write(&self, out: &mut String);

    fn meaning(&self) -> Option<Meaning> {
        None
    }
}

/// Types whose `Display` or text may be seen as it is.
macro_rules! field {
    ($type:ty, $form:expr, $write:expr) => {
        impl Field for $type {
            const FORM: Form = $form;

            fn write(&self, out: &mut String) {
                let write: fn(&Self, &mut String) = $write;
                write(self, out);
            }
        }
    };
}

field!(Money, Form::Amount, |money, out| money.write(out));
field!(Rate, Form::Rate, |rate, out| out.push_str(&rate.to_string()));
field!(Period, Form::Month, |period, out| out.push_str(&period.to_string()));
field!(u16, Form::Count, |count, out| out.push_str(&count.to_string()));
field!(AccountNumber, Form::Text, |number, out| out.push_str(&number.masked()));
field!(UnitName, Form::Text, |name, out| out.push_str(name.as_str()));
field!(CreditCode, Form::Text, |code, out| out.push_str(code.as_str()));
field!(BatchId, Form::Text, |id, out| out.push_str(id.as_str()));

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

            fn write(&self, out: &mut String) {
                out.push_str(self.code());
            }

            fn meaning(&self) -> Option<$crate::statement::Meaning> {
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

            /// Writes every value as the owner may see it, in the order of the columns; `end` is told of the end of each.
            pub fn write_values(&self, out: &mut String, end: &mut dyn FnMut(&mut String, Option<$crate::statement::Meaning>)) {
                use $crate::statement::column::Field;
                self.head.write_values(out, end);
                $(
                    self.$field.write(out);
                    end(out, self.$field.meaning());
                )+
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
