//! Who a statement comes from, in types that cannot break a header or mislead an eye.

use std::fmt;

use policies::certificate::{Email, OrganizationName};
use policies::statement::SenderCode;

/// Why a telephone number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hotline has 3 to 20 digits, spaces and hyphens, after a + or none, like 12329")]
pub struct HotlineError;

/// The telephone number of a bureau as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hotline(String);

impl Hotline {
    pub fn parse(text: &str) -> Result<Self, HotlineError> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let framed = |edge: Option<u8>| edge.is_some_and(|byte| byte.is_ascii_digit());
        let fits = (3..=20).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ' || byte == b'-')
            && framed(digits.bytes().next())
            && framed(digits.bytes().last());
        if fits { Ok(Self(text.to_owned())) } else { Err(HotlineError) }
    }
}

impl fmt::Display for Hotline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A bureau as its record and its sealing certificate describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its code in the registry of bureaus; identifiers of messages are derived from it; readers see it in
    /// the field of the header alone that names the statement.
    pub code: SenderCode,
    /// What stands in `From`, in Chinese.
    pub name: OrganizationName,
    pub name_en: OrganizationName,
    /// The address in its sealing certificate.
    pub address: Email,
    pub hotline: Hotline,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hotlines() {
        for good in ["12329", "020-12345", "+86 20 8888 0000", "110"] {
            assert_eq!(Hotline::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", "+", "12", "12329\r\n", "-110", "110-", "one", "１２３２９", "123456789012345678901"] {
            assert_eq!(Hotline::parse(bad), Err(HotlineError), "{bad:?}");
        }
    }
}
