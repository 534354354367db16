//! Who a certificate is for: facts that were proved, in types that cannot be wrong.

use std::fmt;
use std::net::IpAddr;

use unicode_normalization::UnicodeNormalization;

use super::vocabulary::{ApplicantKind, Source};
use crate::identity::{CreditCode, is_hidden};

/// The most host names and addresses together that one certificate carries.
pub const MAX_HOST_NAMES: usize = 32;

/// Why a word of an application was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    #[error("it is empty; write it")]
    Empty,
    #[error("it has more than {limit} characters; shorten it")]
    TooLong { limit: usize },
    #[error("character {position} is a control or unassigned character; type it again")]
    Character { position: usize },
    #[error("it is no mail address of ASCII letters, like office@example.cn")]
    Email,
    #[error("it is no host name of letters, digits and hyphens, like ca.example.cn; a wildcard is not allowed")]
    HostName,
    #[error("an officer's number has 1 to 32 letters, digits and hyphens")]
    OfficerNumber,
    #[error("a pseudonym is written P-, eight characters, a hyphen and eight characters, of 0 to 9 and capital letters without I, L, O and U")]
    Pseudonym,
    #[error("a server has 1 to 32 different host names and addresses")]
    HostNames,
}

/// Trimmed, NFC, 1 to 64 characters, none of them a control: an X.520 name.
fn name(text: &str) -> Result<String, WordError> {
    const LIMIT: usize = 64;
    // A composed name is never longer than what was typed by more than this.
    if text.len() > 16 * LIMIT {
        return Err(WordError::TooLong { limit: LIMIT });
    }
    let text: String = text.trim().nfc().collect();
    if let Some(at) = text.chars().position(is_hidden) {
        return Err(WordError::Character { position: at + 1 });
    }
    match text.chars().count() {
        0 => Err(WordError::Empty),
        1..=LIMIT => Ok(text),
        _ => Err(WordError::TooLong { limit: LIMIT }),
    }
}

/// A word with a rule: private text, read by `parse`, shown as it is.
macro_rules! word {
    ($(#[$meta:meta])* $name:ident, $parse:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, WordError> {
                $parse(text).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Some of these are people's names: none is shown where nobody asked to see it.
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

word!(
    /// The registered name of an enterprise or an institution, 1 to 64 characters.
    OrganizationName, name);
word!(
    /// The name of an authority or an OCSP signer, 1 to 64 characters.
    AuthorityName, name);
word!(
    /// The name of an officer, 1 to 64 characters.
    OfficerName, name);
word!(
    /// What tells two officers of one name apart; never an identity number.
    OfficerNumber, officer_number);
word!(
    /// What a citizen is called in a certificate: `P-` and twice eight characters, 80 bits, which say nothing of the person.
    Pseudonym, pseudonym);
word!(
    /// A mail address in ASCII; the domain in lower case, the local part as written.
    Email, email);
word!(
    /// A host name in ASCII and lower case, without a wildcard.
    HostName, host_name);

fn officer_number(text: &str) -> Result<String, WordError> {
    let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fits { Ok(text.to_owned()) } else { Err(WordError::OfficerNumber) }
}

/// Digits and letters that nobody takes for another.
const PSEUDONYM: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn pseudonym(text: &str) -> Result<String, WordError> {
    let half = |part: &str| part.len() == 8 && part.bytes().all(|b| PSEUDONYM.contains(&b));
    let halves = text.strip_prefix("P-").and_then(|rest| rest.split_once('-'));
    match halves {
        Some((first, second)) if half(first) && half(second) => Ok(text.to_owned()),
        _ => Err(WordError::Pseudonym),
    }
}

impl Pseudonym {
    /// The pseudonym of 80 bits that were drawn or derived; others give another.
    pub fn of(bits: [u8; 10]) -> Self {
        let number = bits.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
        let character = |place: u32| PSEUDONYM.get((number >> (5 * place) & 31) as usize).copied().map_or('0', char::from);
        let written: String = (0..16).rev().map(character).collect();
        let (first, second) = written.split_at(8);
        Self(format!("P-{first}-{second}"))
    }
}

// spec: rfc5280#4.2.1.6 (rfc822Name is a Mailbox of ASCII); rfc5321#4.5.3.1
fn email(text: &str) -> Result<String, WordError> {
    let (local, domain) = text.split_once('@').ok_or(WordError::Email)?;
    let atom = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b));
    if text.len() > 254 || local.len() > 64 || !local.split('.').all(atom) {
        return Err(WordError::Email);
    }
    let domain = host_name(domain).map_err(|_| WordError::Email)?;
    Ok(format!("{local}@{domain}"))
}

// spec: rfc5280#4.2.1.6 (dNSName in the preferred name syntax); rfc1123#2.1
fn host_name(text: &str) -> Result<String, WordError> {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    // A last label of digits alone is read as an address.
    let last_is_a_name = text.rsplit('.').next().is_some_and(|last| last.bytes().any(|b| !b.is_ascii_digit()));
    if text.len() <= 253 && text.split('.').all(label) && last_is_a_name {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(WordError::HostName)
    }
}

/// The names and addresses of a server, in order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNames {
    names: Vec<HostName>,
    addresses: Vec<IpAddr>,
}

impl HostNames {
    pub fn new(names: Vec<HostName>, addresses: Vec<IpAddr>) -> Result<Self, WordError> {
        let repeated = names.iter().enumerate().any(|(at, name)| names.iter().take(at).any(|before| before == name))
            || addresses.iter().enumerate().any(|(at, ip)| addresses.iter().take(at).any(|before| before == ip));
        let count = names.len() + addresses.len();
        if repeated || count == 0 || count > MAX_HOST_NAMES { Err(WordError::HostNames) } else { Ok(Self { names, addresses }) }
    }

    pub fn names(&self) -> &[HostName] {
        &self.names
    }

    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }
}

/// Who the certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applicant {
    /// An enterprise, an institution or a bureau; the mailbox is its own.
    Organization { name: OrganizationName, code: CreditCode, mailbox: Option<Email> },
    Host(HostNames),
    Officer { name: OfficerName, number: OfficerNumber },
    /// The owner of a real-name mailbox, whose name and number no certificate has.
    Citizen { pseudonym: Pseudonym, mailbox: Email },
    /// The authority itself: root, issuing authorities, OCSP signers.
    Authority { name: AuthorityName },
}

impl Applicant {
    pub fn kind(&self) -> ApplicantKind {
        match self {
            Self::Organization { .. } => ApplicantKind::Organization,
            Self::Host(_) => ApplicantKind::Host,
            Self::Officer { .. } => ApplicantKind::Officer,
            Self::Citizen { .. } => ApplicantKind::Citizen,
            Self::Authority { .. } => ApplicantKind::Authority,
        }
    }

    /// What this applicant answers to `source`; nothing when the source is of another kind of applicant.
    pub(super) fn fact(&self, source: Source) -> Option<String> {
        match (self, source) {
            (Self::Organization { name, .. }, Source::OrganizationName) => Some(name.to_string()),
            (Self::Organization { code, .. }, Source::CreditCode) => Some(format!("NTRCN-{}", code.as_str())),
            // A common name of more than 64 characters has no place; the alternative names carry it.
            (Self::Host(host), Source::HostName) => {
                let short = host.names.iter().map(HostName::to_string).find(|name| name.len() <= 64);
                short.or_else(|| host.addresses.first().map(IpAddr::to_string))
            }
            (Self::Officer { name, .. }, Source::OfficerName) => Some(name.to_string()),
            (Self::Officer { number, .. }, Source::OfficerNumber) => Some(number.to_string()),
            (Self::Citizen { pseudonym, .. }, Source::Pseudonym) => Some(pseudonym.to_string()),
            (Self::Citizen { mailbox, .. }, Source::MailAddress) => Some(mailbox.to_string()),
            (Self::Authority { name }, Source::AuthorityName) => Some(name.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_composed_and_bounded() {
        assert_eq!(OrganizationName::parse(" 广州（天河）某某有限公司 ").map(|n| n.0).as_deref(), Ok("广州（天河）某某有限公司"));
        assert_eq!(OrganizationName::parse("Cafe\u{301}").map(|n| n.0).as_deref(), Ok("Café"));
        assert_eq!(OrganizationName::parse("　 "), Err(WordError::Empty));
        assert!(OrganizationName::parse(&"穗".repeat(64)).is_ok());
        assert_eq!(OrganizationName::parse(&"穗".repeat(65)), Err(WordError::TooLong { limit: 64 }));
        assert_eq!(OrganizationName::parse(&"穗".repeat(65_000)), Err(WordError::TooLong { limit: 64 }));
        assert_eq!(OrganizationName::parse("a\nb"), Err(WordError::Character { position: 2 }));
        assert_eq!(OrganizationName::parse("a\u{202e}b"), Err(WordError::Character { position: 2 }));
    }

    #[test]
    fn a_name_is_not_in_debug_output() {
        let name = OfficerName::parse("陈一").unwrap();
        assert_eq!(format!("{name:?}"), "OfficerName(..)");
    }

    #[test]
    fn a_pseudonym_is_its_bits() {
        assert_eq!(Pseudonym::of([0; 10]).as_str(), "P-00000000-00000000");
        assert_eq!(Pseudonym::of([0xff; 10]).as_str(), "P-ZZZZZZZZ-ZZZZZZZZ");
        let mut seen = std::collections::BTreeSet::new();
        for bit in 0..80 {
            let mut bits = [0u8; 10];
            bits[bit / 8] = 1 << (bit % 8);
            let made = Pseudonym::of(bits);
            assert_eq!(Pseudonym::parse(made.as_str()), Ok(made.clone()));
            assert!(seen.insert(made));
        }
        for wrong in ["", "P-", "P-00000000", "P-00000000-0000000", "P-0000000O-00000000", "P-0000000a-00000000", "p-00000000-00000000", "P-00000000-00000000 ", "P-00000000-0000-000"] {
            assert_eq!(Pseudonym::parse(wrong), Err(WordError::Pseudonym), "{wrong}");
        }
    }

    #[test]
    fn addresses_and_hosts() {
        assert_eq!(Email::parse("Office.1@Example.CN").map(|e| e.0).as_deref(), Ok("Office.1@example.cn"));
        for wrong in ["a", "@b.cn", "a@", "a@b@c.cn", ".a@b.cn", "a..b@c.cn", "穗@b.cn", "a b@c.cn", "a@b.cn\r\nx", "a@1.2"] {
            assert_eq!(Email::parse(wrong), Err(WordError::Email), "{wrong}");
        }
        assert!(HostName::parse("localhost").is_ok());
        for wrong in ["", ".", "a.", "*.a.cn", "-a.cn", "a_b.cn", "127.0.0.1", "a..cn"] {
            assert_eq!(HostName::parse(wrong), Err(WordError::HostName), "{wrong}");
        }
        assert_eq!(HostName::parse(&format!("{}.cn", "a".repeat(64))), Err(WordError::HostName));
    }

    #[test]
    fn a_server_has_names_each_once() {
        let name = |text: &str| HostName::parse(text).unwrap();
        assert!(HostNames::new(vec![name("a.cn")], vec![[127, 0, 0, 1].into()]).is_ok());
        assert_eq!(HostNames::new(vec![], vec![]), Err(WordError::HostNames));
        assert_eq!(HostNames::new(vec![name("a.cn"), name("A.cn")], vec![]), Err(WordError::HostNames));
        let many = (0..33).map(|n| name(&format!("h{n}.cn"))).collect();
        assert_eq!(HostNames::new(many, vec![]), Err(WordError::HostNames));
    }
}
