//! A person's name: kept as it was written, compared in one normal form, never printed.

use std::fmt;
use std::hash::{Hash, Hasher};

use unicode_normalization::UnicodeNormalization;

/// The most bytes of a name in UTF-8.
pub const MAX_NAME_BYTES: usize = 120;

/// Why a name was refused. Fields never hold the name or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("it is empty; write it")]
    Empty,
    #[error("it has more than {MAX_NAME_BYTES} bytes; write it as the document has it")]
    TooLong,
    #[error("character {position} is a control or invisible character; type it again")]
    Character { position: usize },
}

/// A name as written and as compared. Two are equal when their normal forms are.
#[derive(Clone)]
pub struct PersonName {
    raw: String,
    normal: String,
}

impl PersonName {
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let raw = text.trim();
        if raw.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong);
        }
        if let Some(at) = raw.chars().position(is_hidden) {
            return Err(NameError::Character { position: at + 1 });
        }
        let normal = normal(raw);
        // A name has a letter: a lone dot or dash says that the sender had none.
        if !normal.chars().any(|c| c.is_alphabetic() || is_private(c)) {
            return Err(NameError::Empty);
        }
        Ok(Self { raw: raw.to_owned(), normal })
    }

    /// Whether both may be names of one person. Old systems stored rare characters at private code points, so
    /// such a character stands for any one; all others must be equal, one of them at least.
    pub fn matches(&self, other: &Self) -> bool {
        if self.normal == other.normal {
            return true;
        }
        let (mut ours, mut theirs) = (self.normal.chars(), other.normal.chars());
        let mut common = false;
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return common,
                (Some(a), Some(b)) if a == b => common |= !is_private(a),
                (Some(a), Some(b)) if is_private(a) || is_private(b) => {}
                _ => return false,
            }
        }
    }

    /// The first character and a star, however long the name is.
    pub fn masked(&self) -> String {
        self.raw.chars().take(1).chain(['*']).collect()
    }

    /// The name as written, for the seal and the address line and for nothing that is logged.
    pub fn expose(&self) -> &str {
        &self.raw
    }
}

impl PartialEq for PersonName {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for PersonName {}

impl Hash for PersonName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normal.hash(state);
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PersonName(..)")
    }
}

/// NFKC, upper case, one middle dot, one hyphen, one apostrophe, no variation selectors. Spaces pad Chinese names in
/// old systems and part Western ones: among Han characters and at dots they are dropped, elsewhere a run of them is one.
/// A comma after the surname, as cards for foreigners have it, is such a space.
fn normal(raw: &str) -> String {
    let one = |c| match c {
        '\u{2022}' | '\u{2027}' | '\u{30fb}' => '\u{b7}',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{2bc}' => '\'',
        ',' => ' ',
        other => other,
    };
    // Without variation selectors letters compose that had one between them, and some capitals are written in two.
    let capitals = raw.chars().filter(|&c| !is_variation(c)).nfkc().flat_map(char::to_uppercase);
    let folded: Vec<char> = capitals.nfkc().map(one).collect();
    let mut normal = String::with_capacity(raw.len());
    let mut pending = false;
    let mut last = None;
    for c in folded {
        if c.is_whitespace() {
            pending = true;
            continue;
        }
        if pending && last.is_some_and(|before| !closes_up(before)) && !closes_up(c) {
            normal.push(' ');
        }
        pending = false;
        last = Some(c);
        normal.push(c);
    }
    normal
}

fn closes_up(c: char) -> bool {
    c == '\u{b7}' || is_private(c) || matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

fn is_variation(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Controls, line and paragraph separators, and what Unicode lets a reader ignore (direction marks, fillers, joiners,
/// soft hyphens, tags) but for variation selectors: they hide or turn what is read.
// spec: uax44#Default_Ignorable_Code_Point
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180e}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}')
        || matches!(c, '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}') && !is_variation(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> PersonName {
        PersonName::parse(text).unwrap()
    }

    #[test]
    fn one_name_however_it_is_written() {
        for (one, other) in [
            ("阿依古丽·买买提", "阿依古丽•买买提"),
            ("阿依古丽·买买提", "阿依古丽‧买买提"),
            ("阿依古丽·买买提", "阿依古丽・买买提"),
            ("阿依古丽·买买提", "阿依古丽 ･ 买买提"),
            ("张伟", "张　伟"),
            ("张伟", " 张  伟 "),
            ("𠅤𬭼", "𠅤 𬭼"),
            ("JOÃO TESTE", "joa\u{303}o  teste"),
            ("ANNA DEMO", "ＡＮＮＡ ＤＥＭＯ"),
            ("DEMO, ANNA", "Demo Anna"),
            ("O’DEMO-SMITH", "O'Demo‑Smith"),
            // A compatibility ideograph and a variation selector.
            ("度", "\u{fa01}"),
            ("葛\u{e0100}", "葛"),
            ("JOSE\u{fe00}\u{301}", "José"),
            // A small letter whose capital is written in three, and that capital.
            ("ΓΪ\u{301}", "Γΐ"),
        ] {
            assert_eq!(name(one), name(other), "{one} {other}");
            assert!(name(one).matches(&name(other)));
        }
        for (one, other) in [("张伟", "张玮"), ("ANNA DEMO", "ANNADEMO"), ("张伟", "张伟强"), ("李·伟", "李伟")] {
            assert!(!name(one).matches(&name(other)), "{one} {other}");
        }
        assert_eq!(name(" 张 伟 ").expose(), "张 伟");
    }

    #[test]
    fn a_private_code_point_alone_is_no_difference() {
        // 䶮 stood at U+E863 before GB 18030-2005.
        assert!(name("刘䶮").matches(&name("刘\u{e863}")) && name("刘\u{e863}").matches(&name("刘䶮")));
        assert_ne!(name("刘䶮"), name("刘\u{e863}"));
        assert!(!name("刘䶮").matches(&name("李\u{e863}")));
        assert!(!name("刘䶮").matches(&name("刘\u{e863}\u{e863}")));
        // Nothing in common is no match.
        assert!(!name("刘䶮").matches(&name("\u{e863}\u{e864}")));
    }

    #[test]
    fn what_is_no_name() {
        let refused = |text: &str| PersonName::parse(text).unwrap_err();
        for empty in ["", "  ", "·", "-", "　"] {
            assert_eq!(refused(empty), NameError::Empty);
        }
        assert!(PersonName::parse(&"张".repeat(40)).is_ok());
        assert_eq!(refused(&"张".repeat(41)), NameError::TooLong);
        assert_eq!(refused("张\n伟"), NameError::Character { position: 2 });
        assert_eq!(refused("张\u{202e}伟"), NameError::Character { position: 2 });
        assert_eq!(refused("\u{feff}张伟"), NameError::Character { position: 1 });
        // Fillers are letters by their category, and nothing to the eye.
        for hidden in ["\u{3164}", "\u{115f}", "\u{ffa0}", "\u{ad}", "\u{34f}", "\u{61c}", "\u{e0080}"] {
            assert_eq!(refused(&format!("张{hidden}伟")), NameError::Character { position: 2 }, "{}", hidden.escape_unicode());
            assert!(PersonName::parse(hidden).is_err());
        }
    }

    #[test]
    fn a_name_is_never_printed() {
        assert_eq!(format!("{:?}", name("张伟")), "PersonName(..)");
        assert_eq!((name("张伟").masked(), name("𠅤𬭼").masked(), name("ANNA DEMO").masked()), ("张*".into(), "𠅤*".into(), "A*".into()));
    }
}
