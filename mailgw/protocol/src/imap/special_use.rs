//! What a mailbox is for.

/// spec: rfc6154#2
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialUse {
    Archive,
    Drafts,
    Junk,
    Sent,
    Trash,
}

impl SpecialUse {
    pub const ALL: [Self; 5] = [Self::Archive, Self::Drafts, Self::Junk, Self::Sent, Self::Trash];

    /// The attribute, with its backslash.
    pub fn name(self) -> &'static str {
        match self {
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        }
    }
}

impl SpecialUse {
    /// By its name without the backslash, in letters of any size.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().get(1..).is_some_and(|known| known.eq_ignore_ascii_case(name)))
    }
}

/// Some of them: those of one mailbox, which are mostly none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpecialUses(u8);

impl SpecialUses {
    pub const NONE: Self = Self(0);

    pub fn with(self, one: SpecialUse) -> Self {
        Self(self.0 | 1 << one as u8)
    }

    pub fn with_all(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub fn has(self, one: SpecialUse) -> bool {
        self.0 & 1 << one as u8 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// As LIST tells them, parted by spaces; `None` where one of them is not known here. spec: rfc6154#4
    pub fn parse(text: &str) -> Option<Self> {
        text.split_ascii_whitespace().map(|word| word.strip_prefix('\\').and_then(SpecialUse::named)).collect()
    }

    /// What [`SpecialUses::parse`] reads.
    pub fn words(self) -> String {
        self.iter().map(SpecialUse::name).collect::<Vec<_>>().join(" ")
    }

    pub fn iter(self) -> impl Iterator<Item = SpecialUse> {
        SpecialUse::ALL.into_iter().filter(move |one| self.has(*one))
    }
}

impl FromIterator<SpecialUse> for SpecialUses {
    fn from_iter<I: IntoIterator<Item = SpecialUse>>(all: I) -> Self {
        all.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_as_they_are_told() {
        let both = SpecialUses::NONE.with(SpecialUse::Trash).with(SpecialUse::Drafts);
        assert_eq!((both.words().as_str(), SpecialUses::parse("\\trash  \\DRAFTS"), SpecialUses::parse(&both.words())), ("\\Drafts \\Trash", Some(both), Some(both)));
        assert_eq!((SpecialUses::NONE.words().as_str(), SpecialUses::parse(" ")), ("", Some(SpecialUses::NONE)));
        for unknown in ["Trash", "\\Flagged", "\\Trash \\", "\\Trash\\Drafts", "\\Trash,\\Drafts", "\\\\Trash"] {
            assert_eq!(SpecialUses::parse(unknown), None, "{unknown}");
        }
    }
}
