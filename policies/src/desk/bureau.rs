//! The registry of bureaus: who they are, what they accept, whom they believe.

use const_oid::ObjectIdentifier;
use serde::Deserialize;
use toml::Spanned;

use crate::certificate::{Arc, OrganizationName};
use crate::document::{PolicyError, named, read};

const MAX_BUREAUS: usize = 1_000;

named! {
    /// What becomes of a filing after its deadline.
    Late {
        /// Accepted, and its receipt says that it is late.
        Flag = "flag",
        Refuse = "refuse",
    }
}

/// 2 to 32 small letters, digits and hyphens, a letter first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BureauCode(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the code of a bureau is 2 to 32 small letters, digits and hyphens, a letter first")]
pub struct BureauCodeError;

impl BureauCode {
    pub fn parse(text: &str) -> Result<Self, BureauCodeError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (2..=32).contains(&text.len()) && text.bytes().all(plain) && text.starts_with(|first: char| first.is_ascii_lowercase());
        if fits { Ok(Self(text.to_owned())) } else { Err(BureauCodeError) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bureau {
    pub code: BureauCode,
    pub name: String,
    pub name_en: String,
    pub hotline: String,
    pub late: Late,
    /// Names of files that hold roots.
    pub anchors: Vec<String>,
    /// The file of `policies/filings` that holds its days of rest and deadlines.
    pub calendar: String,
    pub accepts: Vec<Accepts>,
}

/// The city's.
const CALENDAR: &str = "calendar.toml";

/// A kind of filing, and what a signer's certificate must say for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// As filings name it.
    pub kind: String,
    pub policies: Vec<ObjectIdentifier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    bureau: Vec<Spanned<Written>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    code: Spanned<String>,
    name: Spanned<String>,
    name_en: Spanned<String>,
    hotline: Spanned<String>,
    late: Late,
    anchors: Vec<Spanned<String>>,
    calendar: Option<Spanned<String>>,
    accepts: Vec<Spanned<WrittenAccepts>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAccepts {
    kind: String,
    policies: Vec<Spanned<String>>,
}

pub(super) fn parse((file, text): (&str, &str), arc: Arc) -> Result<Vec<Bureau>, PolicyError> {
    let document: Document = read(file, text)?;
    let mut bureaus: Vec<Bureau> = Vec::new();
    if document.bureau.len() > MAX_BUREAUS {
        return Err(PolicyError::at(file, text, None, format!("at most {MAX_BUREAUS} bureaus are read")));
    }
    for written in document.bureau {
        let span = written.span();
        let bureau = one(file, text, written.into_inner(), arc)?;
        let refused = |reason: String| Err(PolicyError::at(file, text, Some(span.clone()), reason));
        if bureaus.iter().any(|known| known.code == bureau.code) {
            return refused(format!("`{}` is registered twice", bureau.code.as_str()));
        }
        for accepts in &bureau.accepts {
            // A filing has one desk: its kind says whose.
            let taken = |known: &Bureau| known.accepts.iter().any(|other| other.kind == accepts.kind);
            if bureaus.iter().any(taken) || bureau.accepts.iter().filter(|other| other.kind == accepts.kind).count() > 1 {
                return refused(format!("`{}` is accepted twice", accepts.kind));
            }
        }
        bureaus.push(bureau);
    }
    Ok(bureaus)
}

fn one(file: &str, text: &str, written: Written, arc: Arc) -> Result<Bureau, PolicyError> {
    let at = |span, reason: &str| PolicyError::at(file, text, Some(span), reason);
    let code = BureauCode::parse(written.code.get_ref()).map_err(|error| at(written.code.span(), &error.to_string()))?;
    for name in [&written.name, &written.name_en] {
        OrganizationName::parse(name.get_ref()).map_err(|error| at(name.span(), &error.to_string()))?;
    }
    let digits = |hotline: &str| (3..=20).contains(&hotline.len()) && hotline.bytes().all(|byte| byte.is_ascii_digit() || b"-+ ".contains(&byte));
    if !digits(written.hotline.get_ref()) {
        return Err(at(written.hotline.span(), "a telephone number has 3 to 20 digits"));
    }
    if written.anchors.is_empty() {
        return Err(at(written.code.span(), "a bureau believes at least one root; name its file in `anchors`"));
    }
    for anchor in &written.anchors {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if anchor.get_ref().is_empty() || anchor.get_ref().len() > 64 || anchor.get_ref().starts_with('.') || !anchor.get_ref().bytes().all(plain) {
            return Err(at(anchor.span(), "an anchor is the name of a file, without a path"));
        }
    }
    let named = |file: &str| file == CALENDAR || file.strip_prefix("calendar-").and_then(|rest| rest.strip_suffix(".toml")).is_some_and(|name| (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
    if let Some(calendar) = written.calendar.as_ref().filter(|calendar| !named(calendar.get_ref())) {
        return Err(at(calendar.span(), "a calendar is calendar.toml, the city's, or calendar-NAME.toml beside it"));
    }
    let calendar = written.calendar.map_or_else(|| CALENDAR.to_owned(), Spanned::into_inner);
    let mut accepts = Vec::new();
    for kind in written.accepts {
        let span = kind.span();
        let kind = kind.into_inner();
        let named = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=40).contains(&kind.kind.len()) || !kind.kind.bytes().all(named) {
            return Err(at(span, "a kind is 1 to 40 capital letters, digits and `_`, as filings name it"));
        }
        if kind.policies.is_empty() {
            return Err(at(span, "a kind is signed under at least one policy"));
        }
        let policies = kind.policies.iter().map(|written| {
            let whole = if written.get_ref().starts_with('.') { format!("{}{}", arc.oid(), written.get_ref()) } else { written.get_ref().clone() };
            ObjectIdentifier::new(&whole).map_err(|_| at(written.span(), "this is no object identifier"))
        });
        accepts.push(Accepts { kind: kind.kind, policies: policies.collect::<Result<_, _>>()? });
    }
    let anchors = written.anchors.into_iter().map(Spanned::into_inner).collect();
    let (name, name_en, hotline) = (written.name.into_inner(), written.name_en.into_inner(), written.hotline.into_inner());
    Ok(Bureau { code, name, name_en, hotline, late: written.late, anchors, calendar, accepts })
}
