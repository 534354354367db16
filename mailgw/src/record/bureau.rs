//! A bureau that may push: in the gateway's store with what it may send, in the sealer's with the key it is sealed by.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use policies::mailbox::Alias;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::Key;

use super::{RecordError, from_json, to_json};

const KIND: &str = "bureau";
const SEALING: &str = "sealing bureau";
const NAMES: &str = "seal names";

/// A certificate and its issuers without the root, DER, its own first. In JSON: base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain(Vec<Vec<u8>>);

impl Chain {
    /// `None` for no certificate at all.
    pub fn new(certificates: Vec<Vec<u8>>) -> Option<Self> {
        if certificates.is_empty() { None } else { Some(Self(certificates)) }
    }

    pub fn leaf(&self) -> &[u8] {
        self.0.first().map(Vec::as_slice).unwrap_or_default()
    }

    pub fn issuers(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().skip(1).map(Vec::as_slice)
    }

    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|der| STANDARD.encode(der)))
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let chain: Result<Vec<_>, _> = texts.iter().map(|text| STANDARD.decode(text)).collect();
        Self::new(chain.map_err(serde::de::Error::custom)?).ok_or_else(|| serde::de::Error::custom("no certificate"))
    }
}

/// What the gateway knows of a bureau.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bureau {
    /// Chinese and English, as readers see them.
    pub name: String,
    pub name_en: String,
    /// Unified social credit code; its certificates bear the same.
    pub credit_code: String,
    /// The kinds of statement it may send.
    pub kinds: Vec<String>,
    /// The telephone number its statements give.
    pub hotline: String,
    /// Certificates its manifests may be signed with.
    pub clients: Vec<Chain>,
    /// The certificate its statements are sealed with; the address in it is the one they come from.
    pub seal: Option<Chain>,
    /// The kinds that consents of before kinds were told apart are to; none until it is registered anew after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consents_of_before: Option<Vec<String>>,
}

/// What the sealer knows of a bureau. It believes no gateway: it has its own list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingBureau {
    pub clients: Vec<Chain>,
    /// The name of the sealing key in the sealer's key store.
    pub key: String,
    pub seal: Chain,
}

/// Names in this gateway's domain, each with the credit code of the bureau whose it is. As stored: those that bureaus seal under or did
/// once, for statements came from there, so nobody else is given one. Those they send under are added from their register as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealNames(BTreeMap<String, String>);

impl SealNames {
    pub fn key() -> Key {
        Key::new(NAMES, &[])
    }

    /// Where a name is kept. Letters stand there as they are, for that is the stored form; what reads alike is told when names are compared.
    fn letters(name: &Alias) -> String {
        name.as_str().replace(['.', '-'], "")
    }

    pub fn keep(&mut self, name: &Alias, credit_code: &str) {
        self.0.entry(Self::letters(name)).or_insert_with(|| credit_code.to_owned());
    }

    /// Whether it was this organisation's before.
    pub fn is_of(&self, name: &Alias, credit_code: &str) -> bool {
        self.0.get(&Self::letters(name)).is_some_and(|owner| owner == credit_code)
    }

    /// `g.jj` and `zfgjj1` speak for a bureau as well as `gjj` and `zfgjjl` themselves. Where two bureaus had such names before that was
    /// looked at, each has its own.
    pub fn is_anothers(&self, name: &Alias, credit_code: &str) -> bool {
        match self.0.get(&Self::letters(name)) {
            Some(owner) => owner != credit_code,
            None => self.0.iter().any(|(kept, owner)| owner != credit_code && Alias::parse(kept).is_ok_and(|kept| kept.reads_like(name))),
        }
    }

    /// The same of many names: for each of them, with the organisation that has it, the name of another bureau that it is, or reads like.
    pub fn of_others<'a>(&'a self, names: impl Iterator<Item = (&'a Alias, Option<&'a str>)>) -> impl Iterator<Item = (&'a Alias, &'a str)> {
        let mut by_reading: HashMap<String, Vec<(&str, &str)>> = HashMap::new();
        for (kept, owner) in &self.0 {
            if let Ok(name) = Alias::parse(kept) {
                by_reading.entry(name.as_read()).or_default().push((kept, owner));
            }
        }
        names.filter_map(move |(name, code)| {
            let alike = by_reading.get(&name.as_read())?;
            // As in `is_anothers`: where two had such names before, each has its own.
            match alike.iter().find(|(kept, _)| *kept == Self::letters(name)) {
                Some((kept, owner)) => (Some(*owner) != code).then_some((name, *kept)),
                None => alike.iter().find(|(_, owner)| Some(*owner) != code).map(|(kept, _)| (name, *kept)),
            }
        })
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(NAMES, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(NAMES, bytes)
    }
}

fn place(kind: &str, code: &str) -> Key {
    Key::new(kind, &[code.as_bytes()])
}

impl Bureau {
    pub fn key(code: &str) -> Key {
        place(KIND, code)
    }

    pub fn all() -> (Key, Key) {
        Key::range(KIND, &[])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}

impl SealingBureau {
    pub fn key(code: &str) -> Key {
        place(SEALING, code)
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(SEALING, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(SEALING, bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn is_anothers(names: &SealNames, name: &str, credit_code: &str) -> bool {
        names.is_anothers(&Alias::parse(name).unwrap(), credit_code)
    }

    #[test]
    fn of_many_names_the_same_is_told_as_of_one() {
        let names = SealNames::decode(b"\x01{\"gjj\":\"A\",\"tax1\":\"A\",\"taxl\":\"B\",\"mails\":\"C\"}").unwrap();
        let all: Vec<Alias> = ["gjj", "g.jj", "tax1", "taxl", "tax-i", "rnail5", "mails", "free"].map(|name| Alias::parse(name).unwrap()).to_vec();
        for code in ["A", "B", "C", "D"] {
            let told: Vec<&Alias> = names.of_others(all.iter().map(|name| (name, Some(code)))).map(|(name, _)| name).collect();
            assert_eq!(told, all.iter().filter(|name| names.is_anothers(name, code)).collect::<Vec<_>>(), "{code}");
        }
        // Of whom no code is known: whatever reads like a bureau's.
        assert_eq!(names.of_others(all.iter().map(|name| (name, None))).map(|(_, kept)| kept).collect::<Vec<_>>(), ["gjj", "gjj", "tax1", "taxl", "tax1", "mails", "mails"]);
    }

    /// The stored form is a promise: that of before is read, and written on.
    #[test]
    fn a_name_that_reads_like_a_bureaus_is_its_own() {
        let stored = b"\x01{\"gjj\":\"A\",\"zfgjjl\":\"B\"}";
        let mut names = SealNames::decode(stored).unwrap();
        for like in ["zfgjjl", "zfgjj1", "ZFGJJ1", "zfgjji", "zf-gjj.1"] {
            assert!(is_anothers(&names, like, "A") && !is_anothers(&names, like, "B"), "{like}");
        }
        for other in ["zfgjj", "zfgjj7", "zfgjjll", "zfgjjo"] {
            assert!(!is_anothers(&names, other, "A"), "{other}");
        }
        assert_eq!(names.encode().unwrap(), stored);
        names.keep(&Alias::parse("s0cial").unwrap(), "B");
        for like in ["social", "s0cial", "so-c1al", "soclal"] {
            assert!(is_anothers(&names, like, "A") && !is_anothers(&names, like, "B"), "{like}");
        }
    }

    /// Two that read alike were kept before: neither bureau loses its own, and nobody has a third.
    #[test]
    fn names_that_read_alike_of_before_stay_whose_they_are() {
        let names = SealNames::decode(b"\x01{\"zfgjj1\":\"A\",\"zfgjjl\":\"B\"}").unwrap();
        assert!(!is_anothers(&names, "zfgjj1", "A") && !is_anothers(&names, "zfgjjl", "B"));
        assert!(is_anothers(&names, "zfgjj1", "B") && is_anothers(&names, "zfgjjl", "A"));
        assert!(["A", "B", "C"].iter().all(|code| is_anothers(&names, "zfgjji", code)));
    }
}
