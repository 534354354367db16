//! A kind of message as its file defines it.

use std::fmt::Write as _;

use serde::Deserialize;

use super::field::{Field, WrittenField, name, word};
use super::row::LetterFigure;
use super::rule::{Broken, Rule, WrittenRule};
use super::template::Template;
use crate::document::{PolicyError, named, read};
use crate::statement::SenderCode;

/// Columns that every row has before the kind's own.
pub const HEAD: [&str; 5] = ["stmt_id", "period", "id_type", "id_no", "name"];

named! {
    /// Whose mailboxes get them.
    Addressee {
        Person = "person",
        Institution = "institution",
    }
}

named! {
    /// What is kept of each delivery.
    Evidence {
        /// Submission and consignment, sealed, beside the log.
        Registered = "registered",
        /// The log alone.
        Logged = "logged",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterKind {
    name: String,
    title: (String, String),
    senders: Vec<SenderCode>,
    addressee: Addressee,
    consent: bool,
    per_month: u32,
    evidence: Evidence,
    retention_days: u32,
    fields: Vec<Field>,
    rules: Vec<Rule>,
    template: (Template, Template),
    total: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    title_zh: String,
    title_en: String,
    #[serde(default)]
    senders: Vec<String>,
    addressee: String,
    consent: bool,
    per_month: u32,
    evidence: String,
    retention_days: u32,
    /// The field whose sum the manifest states as `sum_close`.
    total: Option<String>,
    fields: Vec<WrittenField>,
    #[serde(default)]
    rules: Vec<WrittenRule>,
    template_zh: String,
    template_en: String,
}

impl LetterKind {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let written: Written = read(file, text)?;
        written.check().map_err(|reason| PolicyError { file: file.to_owned(), line: 1, reason })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Chinese and English.
    pub fn title(&self) -> (&str, &str) {
        (&self.title.0, &self.title.1)
    }

    /// Whether the policy lets this bureau send it; the register of bureaus must as well.
    pub fn may_be_sent_by(&self, bureau: &str) -> bool {
        self.senders.is_empty() || self.senders.iter().any(|sender| sender.as_str() == bureau)
    }

    /// The bureaus that the policy names; whom the register lets, where there is none.
    pub fn senders(&self) -> impl Iterator<Item = &str> {
        self.senders.iter().map(SenderCode::as_str)
    }

    pub fn addressee(&self) -> Addressee {
        self.addressee
    }

    /// Only those who gave their consent to the sender get it.
    pub fn needs_consent(&self) -> bool {
        self.consent
    }

    /// How many one recipient gets from one sender in a month of the calendar.
    pub fn per_month(&self) -> u32 {
        self.per_month
    }

    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// How long what is remembered of a delivery is kept, at least.
    pub fn retention_days(&self) -> u32 {
        self.retention_days
    }

    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Each rule with its name before it.
    pub fn rules(&self) -> impl Iterator<Item = String> {
        self.rules.iter().map(ToString::to_string)
    }

    /// Chinese and English.
    pub fn template(&self) -> (&Template, &Template) {
        (&self.template.0, &self.template.1)
    }

    /// The column whose sum a manifest states as `sum_close`; without one it states 0.00.
    pub fn total(&self) -> Option<&str> {
        self.total.as_deref()
    }

    /// The first rule that the figures do not keep.
    pub fn judge(&self, figures: &[LetterFigure]) -> Option<Broken> {
        self.rules.iter().find_map(|rule| rule.judge(figures))
    }

    /// As the program understands it.
    pub fn resolved(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name}: {value}");
        };
        line("kind", &self.name);
        line("title", &format!("{} / {}", self.title.0, self.title.1));
        let senders: Vec<&str> = self.senders.iter().map(SenderCode::as_str).collect();
        line("senders", if senders.is_empty() { "whom the register lets" } else { "" }.to_owned().as_str());
        senders.iter().for_each(|sender| line("  sender", sender));
        line("to", self.addressee.name());
        line("consent", if self.consent { "needed" } else { "not needed" });
        line("a month", &self.per_month.to_string());
        line("evidence", self.evidence.name());
        line("kept for", &format!("{} days", self.retention_days));
        line("sum_close", self.total.as_deref().unwrap_or("0.00"));
        for field in &self.fields {
            line(&format!("field {}", field.name), &format!("{}{}, {} / {}", field.of, if field.optional { ", optional" } else { "" }, field.chinese, field.english));
        }
        for rule in &self.rules {
            line("rule", &rule.to_string());
        }
        text
    }
}

impl Written {
    fn check(self) -> Result<LetterKind, String> {
        let kind = name(&self.kind, b'-').ok_or("kind: use up to 32 lower-case letters, digits and hyphens, a letter first")?;
        let title = (title("title_zh", &self.title_zh)?, title("title_en", &self.title_en)?);
        let senders = self.senders.iter().map(|code| SenderCode::parse(code).map_err(|error| format!("senders: {error}"))).collect::<Result<_, _>>()?;
        if !(1..=64).contains(&self.fields.len()) {
            return Err("a kind has 1 to 64 fields".to_owned());
        }
        let fields: Vec<Field> = self.fields.into_iter().map(WrittenField::check).collect::<Result<_, _>>()?;
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let taken = |at: usize, name: &&str| HEAD.contains(name) || ["supersedes", "month", "kind", "reason", "reason_en"].contains(name) || names.iter().take(at).any(|before| before == name);
        if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| taken(*at, name)) {
            return Err(format!("field {name}: the name is taken; choose another"));
        }
        let rules = self.rules.into_iter().map(|rule| rule.check(&fields)).collect::<Result<Vec<_>, _>>()?;
        if rules.len() > 64 {
            return Err("a kind has at most 64 rules".to_owned());
        }
        if let Some(total) = &self.total
            && !fields.iter().any(|field| field.name == *total && matches!(field.of, super::field::FieldType::Fen { .. }))
        {
            return Err("total: it names a field of type fen".to_owned());
        }
        if !(1..=1_000).contains(&self.per_month) || !(1..=36_600).contains(&self.retention_days) {
            return Err("per_month is 1 to 1000 and retention_days 1 to 36600".to_owned());
        }
        let template = (Template::parse(&self.template_zh, &names).map_err(|reason| format!("template_zh: {reason}"))?, Template::parse(&self.template_en, &names).map_err(|reason| format!("template_en: {reason}"))?);
        Ok(LetterKind {
            name: kind,
            title,
            senders,
            addressee: Addressee::from_name(&self.addressee).ok_or("addressee: it is person or institution")?,
            consent: self.consent,
            per_month: self.per_month,
            evidence: Evidence::from_name(&self.evidence).ok_or("evidence: it is registered or logged")?,
            retention_days: self.retention_days,
            fields,
            rules,
            template,
            total: self.total,
        })
    }
}

/// Plain words: they stand in subjects, where nothing is drawn bold.
fn title(name: &str, text: &str) -> Result<String, String> {
    let title = word(text, 60).map_err(|reason| format!("{name}: {reason}"))?;
    if title.contains(['<', '>']) { Err(format!("{name}: it is plain words, without < and >")) } else { Ok(title) }
}
