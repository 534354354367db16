//! Message flags: the five system flags a client may set, and keywords.
use std::collections::BTreeSet;

/// Keywords one message may carry.
pub const MAX_KEYWORDS: usize = 64;

/// One system flag that is kept with a message. `\Recent` is not among them: this server never sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SystemFlag {
    Seen = 1,
    Answered = 2,
    Flagged = 4,
    Deleted = 8,
    Draft = 16,
}

impl SystemFlag {
    pub const ALL: [SystemFlag; 5] =
        [SystemFlag::Answered, SystemFlag::Flagged, SystemFlag::Deleted, SystemFlag::Seen, SystemFlag::Draft];

    /// As written on the wire, with its backslash.
    pub fn name(self) -> &'static str {
        match self {
            SystemFlag::Seen => "\\Seen",
            SystemFlag::Answered => "\\Answered",
            SystemFlag::Flagged => "\\Flagged",
            SystemFlag::Deleted => "\\Deleted",
            SystemFlag::Draft => "\\Draft",
        }
    }
}

/// The flags of a message, or those named in a command. Keywords compare without case and keep the case of the one first seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    system: u8,
    keywords: BTreeSet<Keyword>,
}

/// A keyword: an atom of at most 64 octets, compared without case.
#[derive(Debug, Clone)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// `None` unless `text` is an atom of 1 to 64 octets.
    pub fn new(text: &str) -> Option<Self> {
        // spec: rfc3501#9 flag-keyword = atom
        let ok = !text.is_empty() && text.len() <= 64 && text.bytes().all(super::syntax::is_atom_char);
        ok.then(|| Keyword(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for Keyword {}
impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}
impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Flags {
    pub fn new() -> Self {
        Self::default()
    }

    /// From the bits of [`Flags::bits`] (unknown bits are dropped) and keywords (at most [`MAX_KEYWORDS`] are kept).
    pub fn from_parts(bits: u8, keywords: impl IntoIterator<Item = Keyword>) -> Self {
        Self { system: bits & 0x1f, keywords: keywords.into_iter().take(MAX_KEYWORDS).collect() }
    }

    /// The system flags, one bit each: the values of [`SystemFlag`].
    pub fn bits(&self) -> u8 {
        self.system
    }

    pub fn keywords(&self) -> impl Iterator<Item = &Keyword> {
        self.keywords.iter()
    }

    pub fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    pub fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords.contains(keyword)
    }

    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    pub fn set(&mut self, flag: SystemFlag) {
        self.system |= flag as u8;
    }

    /// Adds a keyword; false when the message already carries [`MAX_KEYWORDS`] others.
    pub fn add_keyword(&mut self, keyword: Keyword) -> bool {
        if self.keywords.len() >= MAX_KEYWORDS && !self.keywords.contains(&keyword) {
            return false;
        }
        self.keywords.insert(keyword);
        true
    }

    pub fn with(mut self, flag: SystemFlag) -> Self {
        self.set(flag);
        self
    }

    /// These flags after `op` with `others`; keywords beyond [`MAX_KEYWORDS`] are left out.
    pub fn after(&self, op: StoreOp, others: &Flags) -> Flags {
        match op {
            StoreOp::Replace => others.clone(),
            StoreOp::Add => {
                let mut sum = self.clone();
                sum.system |= others.system;
                for keyword in &others.keywords {
                    let _ = sum.add_keyword(keyword.clone());
                }
                sum
            }
            StoreOp::Remove => Flags {
                system: self.system & !others.system,
                keywords: self.keywords.difference(&others.keywords).cloned().collect(),
            },
        }
    }

    /// Appends the parenthesised list: `(\Seen $Forwarded)`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let system = SystemFlag::ALL.iter().filter(|flag| self.has(**flag)).map(|flag| flag.name());
        out.push(b'(');
        for (at, name) in system.chain(self.keywords.iter().map(Keyword::as_str)).enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(name.as_bytes());
        }
        out.push(b')');
    }
}

/// How STORE changes flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOp {
    Add,
    Remove,
    Replace,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn keyword(text: &str) -> Keyword {
        Keyword::new(text).unwrap()
    }

    #[test]
    fn operations() {
        let seen = Flags::new().with(SystemFlag::Seen);
        let mut work = Flags::new().with(SystemFlag::Flagged);
        assert!(work.add_keyword(keyword("$Work")));
        let sum = seen.after(StoreOp::Add, &work);
        assert!(sum.has(SystemFlag::Seen) && sum.has(SystemFlag::Flagged) && sum.has_keyword(&keyword("$wORK")));
        assert_eq!(sum.after(StoreOp::Remove, &work), seen);
        assert_eq!(sum.after(StoreOp::Replace, &work), work);
        let mut out = Vec::new();
        sum.write(&mut out);
        assert_eq!(out, b"(\\Flagged \\Seen $Work)");
    }

    #[test]
    fn keywords_are_atoms_and_bounded() {
        for bad in ["", "a b", "a(", "\\Seen", "a\"", "税", "a]"] {
            assert!(Keyword::new(bad).is_none(), "{bad}");
        }
        let mut flags = Flags::new();
        for n in 0..MAX_KEYWORDS {
            assert!(flags.add_keyword(keyword(&format!("k{n}"))));
        }
        assert!(!flags.add_keyword(keyword("more")));
        assert!(flags.add_keyword(keyword("K1")));
    }
}
