//! An address of this gateway: a number or a chosen name, `@`, and the one domain it serves.

use std::fmt;

use super::number::MailboxNumber;
use crate::certificate::HostName;
use crate::identity::NumberError;

/// The longest local part that mail carries.
// spec: rfc5321#4.5.3.1.1
const MAX_LOCAL: usize = 64;

/// Why a text is not an address here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it has no @, or nothing before it; write a number or a name, @ and {domain}")]
    Form { domain: HostName },
    #[error("its domain is not {domain}; this gateway has no mailboxes elsewhere")]
    OtherDomain { domain: HostName },
    #[error("the number before the @: {0}")]
    Number(NumberError),
    #[error("the name before the @: {0}")]
    Alias(AliasError),
}

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    #[error("it begins with a letter and holds letters a to z, digits, and single dots and hyphens between them")]
    Form,
    #[error("it has not {min} to {max} characters; choose another")]
    Length { min: usize, max: usize },
    #[error("it is kept for the operator; choose another")]
    Reserved,
    #[error("it has a word that is kept for institutions, or one that reads like it; choose another")]
    Institutional,
    #[error("it reads like the number of a mailbox; choose another")]
    ReadsAsNumber,
}

/// A name in place of the number, well-formed; whether one may have it is a matter of policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(String);

impl Alias {
    /// Upper case is folded: mail programs and people write both.
    pub fn parse(text: &str) -> Result<Self, AliasError> {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
        let fits = text.len() <= MAX_LOCAL && text.split(['.', '-']).all(part) && text.starts_with(|c: char| c.is_ascii_alphabetic());
        if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(AliasError::Form) }
    }

    /// For a name that is given now: as `parse`, and none that people take for the number of a mailbox. Such a one of before is read on.
    pub fn parse_new(text: &str) -> Result<Self, AliasError> {
        let alias = Self::parse(text)?;
        if alias.reads_as_number() { Err(AliasError::ReadsAsNumber) } else { Ok(alias) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `l234567897` and `o-000000006` are read so, but nothing that is no number of a mailbox.
    fn reads_as_number(&self) -> bool {
        let digit = |byte| char::from(match byte {
            b'o' => b'0',
            b'l' => b'1',
            b'z' => b'2',
            b's' => b'5',
            other => other,
        });
        MailboxNumber::parse(&self.bytes_as_read().map(digit).collect::<String>()).is_ok()
    }

    /// Whether people take one for the other: dots and hyphens are overlooked, `0` reads as `o`, `1` and `i` as `l`, `2` as `z`, `5` as `s`,
    /// `rn` as `m` and `vv` as `w`.
    pub fn reads_like(&self, other: &Self) -> bool {
        self.bytes_as_read().eq(other.bytes_as_read())
    }

    /// Whether people read this word in it: alone, or as one or more of the pieces that dots and hyphens part, digits after it or none.
    pub fn bears(&self, word: &Self) -> bool {
        let pieces: Vec<&str> = self.0.split(['.', '-']).collect();
        (0..pieces.len()).any(|from| {
            (from..pieces.len()).any(|to| {
                let run = pieces.get(from..=to).unwrap_or_default().concat();
                // The last letters of a word may be written as digits, and digits come after it.
                let letters = run.trim_end_matches(|digit: char| digit.is_ascii_digit()).len();
                (letters..=run.len()).any(|end| Self(run.get(..end).unwrap_or_default().to_owned()).reads_like(word))
            })
        })
    }

    /// The same for all names that read alike.
    pub fn as_read(&self) -> String {
        self.bytes_as_read().map(char::from).collect()
    }

    /// The wide letters become the pairs that look like them, not the other way round: so `vw` and `wv` both read like `vvv`, however that
    /// is cut.
    fn bytes_as_read(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().filter(|byte| !matches!(byte, b'.' | b'-')).flat_map(|byte| {
            let (read, then) = match byte {
                b'0' => (b'o', None),
                b'1' | b'i' => (b'l', None),
                b'2' => (b'z', None),
                b'5' => (b's', None),
                b'm' => (b'r', Some(b'n')),
                b'w' => (b'v', Some(b'v')),
                other => (other, None),
            };
            std::iter::once(read).chain(then)
        })
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What stands before the `@`. A number and a name are never mixed up: a name begins with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocalPart {
    Number(MailboxNumber),
    Alias(Alias),
}

/// An address in the gateway's own domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    local: LocalPart,
    domain: HostName,
}

impl Address {
    pub fn new(local: LocalPart, domain: HostName) -> Self {
        Self { local, domain }
    }

    /// Whether the mailbox exists, and whether the name was granted, is for the directory to say.
    pub fn parse(text: &str, domain: &HostName) -> Result<Self, AddressError> {
        let form = || AddressError::Form { domain: domain.clone() };
        let (local, host) = text.rsplit_once('@').ok_or_else(form)?;
        if !host.eq_ignore_ascii_case(domain.as_str()) {
            return Err(AddressError::OtherDomain { domain: domain.clone() });
        }
        let local = match local.bytes().next() {
            None => return Err(form()),
            Some(b'0'..=b'9') => LocalPart::Number(MailboxNumber::parse(local).map_err(AddressError::Number)?),
            Some(_) => LocalPart::Alias(Alias::parse(local).map_err(AddressError::Alias)?),
        };
        Ok(Self { local, domain: domain.clone() })
    }

    pub fn local(&self) -> &LocalPart {
        &self.local
    }

    pub fn domain(&self) -> &HostName {
        &self.domain
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Alias(alias) => alias.fmt(formatter),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.local, self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_here_and_elsewhere() {
        let domain = HostName::parse("mail.gz.example").unwrap();
        let read = |text: &str| Address::parse(text, &domain).map(|address| address.to_string());
        assert_eq!(read("0000000006@mail.gz.example").as_deref(), Ok("0000000006@mail.gz.example"));
        assert_eq!(read("GJJ@Mail.GZ.example").as_deref(), Ok("gjj@mail.gz.example"));
        assert_eq!(read("postmaster@mail.gz.example").as_deref(), Ok("postmaster@mail.gz.example"));
        for text in ["0000000006", "", "@mail.gz.example"] {
            assert_eq!(read(text), Err(AddressError::Form { domain: domain.clone() }), "{text}");
        }
        for text in ["0000000006@gz.example", "0000000006@mail.gz.example.", "a@b@gz.example", "a@"] {
            assert_eq!(read(text), Err(AddressError::OtherDomain { domain: domain.clone() }), "{text}");
        }
        assert_eq!(read("0000000007@mail.gz.example"), Err(AddressError::Number(NumberError::CheckDigit)));
        assert_eq!(read("a@b@mail.gz.example"), Err(AddressError::Alias(AliasError::Form)));
        assert!(read("gjj@gz.example").unwrap_err().to_string().contains("not mail.gz.example"));
    }

    #[test]
    fn names_and_what_is_none() {
        for name in ["gjj", "a", "tax.bureau-1", "A1"] {
            assert!(Alias::parse(name).is_ok(), "{name}");
        }
        for name in ["", "1a", "-a", "a-", "a..b", "a.-b", ".a", "a_b", "公积金", "a b", "a+b", &"a".repeat(65)] {
            assert_eq!(Alias::parse(name), Err(AliasError::Form), "{name}");
        }
    }

    #[test]
    fn what_people_take_for_each_other() {
        let name = |text: &str| Alias::parse(text).unwrap();
        for alike in [
            &["gjj", "g.jj", "g-j.j"][..], &["tool", "t00l", "too1", "tooi"], &["mail", "rnail", "r.nail", "ma1l", "rnaii"], &["www", "vvww", "vvvvvv", "wvvw"], &["vw", "wv", "vvv"],
            &["zs", "z5", "zs"], &["soz", "s0z", "s02"], &["sz55", "szss", "s25s"], &["corn", "com"], &["mn", "rnn"],
        ] {
            for (one, other) in alike.iter().flat_map(|one| alike.iter().map(move |other| (one, other))) {
                assert!(name(one).reads_like(&name(other)) && name(one).as_read() == name(other).as_read(), "{one} {other}");
            }
        }
        for (one, other) in [("gjj", "gji"), ("mail", "nail"), ("rm", "mr"), ("w", "v"), ("m", "n"), ("m", "nr"), ("z", "s"), ("tax", "taxx"), ("a6", "ab"), ("a8", "ab"), ("cl", "d")] {
            assert!(!name(one).reads_like(&name(other)) && name(one).as_read() != name(other).as_read(), "{one} {other}");
        }
    }

    #[test]
    fn a_word_is_read_in_a_name() {
        let name = |text: &str| Alias::parse(text).unwrap();
        for bearer in ["tax", "TAX", "gz-tax", "tax.gz", "a.t-a-x.b", "tax-12366", "tax12366", "gz.tax1"] {
            assert!(name(bearer).bears(&name("tax")), "{bearer}");
        }
        for (bearer, word) in [("sh3bao", "sh3ba0"), ("po1ice", "police"), ("my-b4nk-0f", "of"), ("housing.fund", "housing-fund"), ("gz-housingfund7", "housing-fund"), ("rnohrss", "mohrss"), ("gj1", "gjl")] {
            assert!(name(bearer).bears(&name(word)), "{bearer} {word}");
        }
        for other in ["taxi", "syntax", "ta", "t-a", "xtax", "gztax", "taxx"] {
            assert!(!name(other).bears(&name("tax")), "{other}");
        }
    }

    #[test]
    fn a_name_that_reads_like_a_number_is_not_given() {
        let one = MailboxNumber::from_random(123_456_789).unwrap().to_string().replacen('1', "l", 1);
        let (two, five) = (MailboxNumber::from_random(223_456_789).unwrap().to_string().replacen('2', "z", 1), MailboxNumber::from_random(523_456_789).unwrap().to_string().replacen('5', "S", 1));
        for name in [one.as_str(), &one.replacen('l', "I", 1), &two, &five, "o000000006", "OooOoo0006", "o-000.000006"] {
            assert_eq!(Alias::parse_new(name), Err(AliasError::ReadsAsNumber), "{name}");
            assert!(Alias::parse(name).is_ok(), "{name}");
        }
        // The check digit is another's, a digit is missing or too many, or there is a letter that reads like none.
        for name in ["m000000006", "o000000007", "o00000006", "o0000000006", "o00000000b", "lilo", "gjj"] {
            assert!(Alias::parse_new(name).is_ok(), "{name}");
        }
    }
}
