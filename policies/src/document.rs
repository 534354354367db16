//! Reading a policy document: TOML text into a type, and what is wrong with it by file and line.

use std::ops::Range;

use serde::de::DeserializeOwned;

/// The largest policy document that is read.
pub const MAX_BYTES: usize = 64 * 1024;

/// Why a policy document was refused. The line counts from one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {reason}")]
pub struct PolicyError {
    pub file: String,
    pub line: usize,
    pub reason: String,
}

impl PolicyError {
    pub(crate) fn at(file: &str, text: &str, span: Option<Range<usize>>, reason: impl Into<String>) -> Self {
        let before = text.as_bytes().iter().take(span.map_or(0, |span| span.start));
        let line = 1 + before.filter(|&&byte| byte == b'\n').count();
        Self { file: file.to_owned(), line, reason: reason.into() }
    }
}

/// Unknown keys are refused by the `deny_unknown_fields` of each type read here.
pub(crate) fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, PolicyError> {
    if text.len() > MAX_BYTES {
        let reason = format!("the document has {} bytes; at most {MAX_BYTES} are read, split it", text.len());
        return Err(PolicyError::at(file, text, None, reason));
    }
    toml::from_str(text).map_err(|error| PolicyError::at(file, text, error.span(), error.message().trim()))
}

/// Documents by name, each exactly once and none besides; `documents` are pairs of file name and text.
pub(crate) fn one_of_each<'a, const N: usize>(
    names: [&'static str; N],
    documents: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<[(&'a str, &'a str); N], PolicyError> {
    let whole = |file: &str, reason: &str| PolicyError { file: file.to_owned(), line: 1, reason: reason.to_owned() };
    let mut found = [None; N];
    for (file, text) in documents {
        let place = names.iter().position(|name| file.rsplit('/').next() == Some(name)).and_then(|at| found.get_mut(at));
        let place = place.ok_or_else(|| whole(file, "no document of this name is read here; remove it"))?;
        if place.replace((file, text)).is_some() {
            return Err(whole(file, "the document is given twice; keep one"));
        }
    }
    let mut whole_set = [("", ""); N];
    for ((place, document), name) in whole_set.iter_mut().zip(found).zip(names) {
        *place = document.ok_or_else(|| whole(name, "it is missing; begin with the one that comes with the program"))?;
    }
    Ok(whole_set)
}

/// An enumeration whose members are written by name in policy documents and in output.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        pub enum $name {
            $($(#[$inner])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// As policy documents write it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.name())
            }
        }
    };
}
pub(crate) use named;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct One {
        #[allow(dead_code)]
        size: u8,
    }

    #[test]
    fn the_line_and_the_reason_are_named() {
        let refused = |text| read::<One>("a.toml", text).unwrap_err();
        assert_eq!(refused("size = 1\n\nsise = 2\n").line, 3);
        assert!(refused("size = 1\n\nsise = 2\n").reason.contains("unknown field `sise`"));
        assert_eq!(refused("# a\nsize = 256\n").line, 2);
        assert_eq!(refused("\n\n[size\n").line, 3);
        assert!(refused("").to_string().starts_with("a.toml, line 1: missing field `size`"));
        assert!(refused(&" ".repeat(MAX_BYTES + 1)).reason.contains("65537 bytes"));
    }
}
