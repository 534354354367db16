//! What a sender wishes to hear of its message, as the DSN extension says it.
// spec: rfc3461
use std::fmt;

/// Octets of ENVID and of ORCPT as they stand in a command. spec: rfc3461#4.4 rfc3461#4.2
const MAX_ENVID: usize = 100;
const MAX_ORCPT: usize = 500;

/// How much of the message a report of failure holds. spec: rfc3461#4.3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    Full,
    Headers,
}

impl Return {
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "FULL" => Some(Self::Full),
            "HDRS" => Some(Self::Headers),
            _ => None,
        }
    }

    /// The word in a command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

/// When the sender wants to hear. spec: rfc3461#4.1
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify {
    pub success: bool,
    pub failure: bool,
    pub delay: bool,
}

impl Notify {
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };

    /// `NEVER`, or a list of the others.
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("NEVER") {
            return Some(Self::NEVER);
        }
        let mut notify = Self::NEVER;
        for word in text.split(',') {
            match word.to_ascii_uppercase().as_str() {
                "SUCCESS" => notify.success = true,
                "FAILURE" => notify.failure = true,
                "DELAY" => notify.delay = true,
                _ => return None,
            }
        }
        Some(notify)
    }
}

/// As a command says it.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")];
        let words: Vec<&str> = words.into_iter().filter_map(|(wanted, word)| wanted.then_some(word)).collect();
        f.write_str(if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }.as_str())
    }
}

/// Text that stands as xtext in a command: printable ASCII once decoded, so that it is harmless in a header.
#[derive(Clone, PartialEq, Eq)]
pub struct Xtext(String);

impl Xtext {
    /// spec: rfc3461#4 `+` and two hexadecimal digits in capitals for what may not stand for itself
    pub fn decode(text: &str) -> Option<Self> {
        let (mut decoded, mut rest) = (String::new(), text.chars());
        while let Some(c) = rest.next() {
            decoded.push(match c {
                '+' => char::from(hexadecimal(rest.next()?)? << 4 | hexadecimal(rest.next()?)?),
                '!'..='~' if c != '=' => c,
                _ => return None,
            });
        }
        let harmless = !decoded.is_empty() && decoded.chars().all(|c| matches!(c, ' '..='~'));
        harmless.then_some(Self(decoded))
    }

    /// Text kept from before.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.chars().all(|c| matches!(c, ' '..='~'))).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn encoded(&self) -> String {
        self.0.chars().map(|c| if matches!(c, '!'..='~') && !"+=".contains(c) { c.to_string() } else { format!("+{:02X}", u32::from(c)) }).collect()
    }
}

/// An address is a person's: not for logs.
impl fmt::Debug for Xtext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Xtext")
    }
}

/// A decimal or capital hexadecimal digit.
fn hexadecimal(c: char) -> Option<u8> {
    let digit = c.to_digit(16).filter(|_| !c.is_ascii_lowercase())?;
    u8::try_from(digit).ok()
}

/// The recipient as the first server heard of it: `rfc822;` and the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    kind: String,
    address: Xtext,
}

impl Original {
    /// spec: rfc3461#4.2 as it stands in ORCPT
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, address) = text.split_once(';')?;
        let atom = !kind.is_empty() && kind.len() <= 40 && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !atom || text.len() > MAX_ORCPT {
            return None;
        }
        Some(Self { kind: kind.to_ascii_lowercase(), address: Xtext::decode(address)? })
    }

    /// As ORCPT takes it; [`Original::parse`] reads it again.
    pub fn encoded(&self) -> String {
        format!("{};{}", self.kind, self.address.encoded())
    }

    /// As `Original-Recipient` of a report tells it. spec: rfc3464#2.3.1
    pub fn told(&self) -> String {
        format!("{};{}", self.kind, self.address.as_str())
    }
}

/// spec: rfc3461#4.4
pub(crate) fn envelope_id(text: &str) -> Option<Xtext> {
    (text.len() <= MAX_ENVID).then(|| Xtext::decode(text)).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_of_the_extension() {
        assert_eq!(Notify::parse("never"), Some(Notify::NEVER));
        assert_eq!(Notify::parse("SUCCESS,delay").unwrap().to_string(), "SUCCESS,DELAY");
        for wrong in ["", "NEVER,SUCCESS", "SUCCESS,", "sometimes"] {
            assert_eq!(Notify::parse(wrong), None, "{wrong}");
        }
        assert_eq!((Return::parse("full"), Return::parse("BODY")), (Some(Return::Full), None));
    }

    #[test]
    fn what_would_break_a_header_is_no_xtext() {
        for wrong in ["", "+0D+0A", "+00", "a b", "a=b", "+4", "+zz", "+0a", "穗", "+C3+A9"] {
            assert!(Xtext::decode(wrong).is_none(), "{wrong}");
        }
        assert_eq!(Xtext::decode("a+2Bb+3D+20c").unwrap().as_str(), "a+b= c");
        for wrong in ["rfc822", ";a@b.cn", "rfc 822;a@b.cn", "rfc822;", "rfc822;a@b.cn+0AX:"] {
            assert!(Original::parse(wrong).is_none(), "{wrong}");
        }
        assert!(Original::parse(&format!("rfc822;{}", "a".repeat(494))).is_none() && envelope_id(&"a".repeat(101)).is_none());
        assert_eq!(Original::parse("RFC822;a+2Bb@c.cn").unwrap().told(), "rfc822;a+b@c.cn");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_again(text in "[ -~]{1,80}") {
            let xtext = Xtext::new(&text).unwrap();
            prop_assert_eq!(Xtext::decode(&xtext.encoded()), Some(xtext));
        }
    }
}
