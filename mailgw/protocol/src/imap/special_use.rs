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

    pub fn iter(self) -> impl Iterator<Item = SpecialUse> {
        SpecialUse::ALL.into_iter().filter(move |one| self.has(*one))
    }
}

impl FromIterator<SpecialUse> for SpecialUses {
    fn from_iter<I: IntoIterator<Item = SpecialUse>>(all: I) -> Self {
        all.into_iter().fold(Self::NONE, Self::with)
    }
}
