//! Addresses as SMTP writes them, parsed once into types that hold no control character and keep within their bounds.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A path with its angle brackets. spec: rfc5321#4.5.3.1.3 — the 64 octets of a local part are no limit here: list managers write longer ones.
const MAX_PATH: usize = 256;
/// spec: rfc5321#4.5.3.1.2
const MAX_DOMAIN: usize = 255;
const MAX_LABEL: usize = 63;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("The address is not of the form <local@domain>; write it as RFC 5321 does")]
    Form,
    #[error("The address is too long; use at most 254 octets")]
    TooLong,
    #[error("The domain is not valid; use letters, digits, hyphens and dots")]
    Domain,
    #[error("The address literal is not valid; write [192.0.2.1] or [IPv6:2001:db8::1]")]
    Literal,
}

/// A domain name: labels of letters, digits and hyphens, or of UTF-8 (U-labels) where the text around allowed it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Domain(String);

impl Domain {
    /// spec: rfc5321#4.1.2 rfc6531#3.3
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let label = |label: &str| {
            let inside = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || is_utf8_text(c));
            inside && !label.is_empty() && label.len() <= MAX_LABEL && !label.starts_with('-') && !label.ends_with('-')
        };
        if text.len() <= MAX_DOMAIN && text.split('.').all(label) { Ok(Self(text.to_owned())) } else { Err(AddressError::Domain) }
    }

    /// As given; compare without regard to case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an address lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    Name(Domain),
    Literal(IpAddr),
}

impl Host {
    /// spec: rfc5321#4.1.3
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix('[') {
            None => Domain::parse(text).map(Self::Name),
            Some(rest) => rest.strip_suffix(']').and_then(literal).map(Self::Literal).ok_or(AddressError::Literal),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(domain) => f.write_str(domain.as_str()),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

fn literal(text: &str) -> Option<IpAddr> {
    let v6 = text.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).and_then(|tag| text.get(tag.len()..));
    match v6 {
        Some(ip) => ip.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// A mailbox: what stands between the angle brackets of a path, without its route.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    text: String,
    local: String,
    host: Host,
}

impl Address {
    /// An address without its angle brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match Path::parse(&format!("<{text}>"))? {
            (Path::Mailbox(address), "") => Ok(address),
            _ => Err(AddressError::Form),
        }
    }

    /// As the client wrote it: fit for an angle bracket of a header, since it holds no control character.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The local part with its quotes undone; whether its case matters is for its owner to say.
    pub fn local(&self) -> &str {
        &self.local
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

/// An address is a person's: not for logs.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

/// To whom mail is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// `<Postmaster>` without a domain: whoever runs this server. spec: rfc5321#4.5.1
    Postmaster,
    Mailbox(Address),
}

impl Recipient {
    /// As the client wrote it, without the angle brackets.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Postmaster => "Postmaster",
            Self::Mailbox(address) => address.as_str(),
        }
    }

    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }
}

/// What angle brackets may hold in a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Null,
    Postmaster,
    Mailbox(Address),
}

impl Path {
    /// The path `text` begins with, and what follows it.
    pub fn parse(text: &str) -> Result<(Self, &str), AddressError> {
        let inside = text.strip_prefix('<').ok_or(AddressError::Form)?;
        if let Some(rest) = inside.strip_prefix('>') {
            return Ok((Self::Null, rest));
        }
        let start = without_route(inside)?;
        let (local, quoted, after) = local_part(start)?;
        if let Some(rest) = after.strip_prefix('>') {
            let postmaster = !quoted && local.eq_ignore_ascii_case("postmaster");
            return if postmaster { Ok((Self::Postmaster, rest)) } else { Err(AddressError::Form) };
        }
        let after = after.strip_prefix('@').ok_or(AddressError::Form)?;
        let (host, rest) = after.split_once('>').ok_or(AddressError::Form)?;
        if text.len() - rest.len() > MAX_PATH {
            return Err(AddressError::TooLong);
        }
        let host = Host::parse(host)?;
        let text = start.get(..start.len() - rest.len() - 1).ok_or(AddressError::Form)?.to_owned();
        Ok((Self::Mailbox(Address { text, local, host }), rest))
    }
}

/// A source route is read and ignored. spec: rfc5321#appendix-C
fn without_route(text: &str) -> Result<&str, AddressError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let (route, rest) = text.split_once(':').ok_or(AddressError::Form)?;
    for hop in route.split(',') {
        Domain::parse(hop.strip_prefix('@').ok_or(AddressError::Form)?)?;
    }
    Ok(rest)
}

/// The local part, whether it was quoted, and what follows. spec: rfc5321#4.1.2 rfc6531#3.3
fn local_part(text: &str) -> Result<(String, bool, &str), AddressError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['@', '>']).ok_or(AddressError::Form)?;
        let (local, rest) = text.split_at_checked(end).ok_or(AddressError::Form)?;
        let atom = |atom: &str| !atom.is_empty() && atom.chars().all(is_atext);
        return if local.split('.').all(atom) { Ok((local.to_owned(), false, rest)) } else { Err(AddressError::Form) };
    };
    let (mut local, mut chars) = (String::new(), quoted.chars());
    loop {
        match chars.next() {
            Some('"') => return Ok((local, true, chars.as_str())),
            Some('\\') => local.push(chars.next().filter(|c| matches!(c, ' '..='~')).ok_or(AddressError::Form)?),
            Some(c) if matches!(c, ' '..='~') || is_utf8_text(c) => local.push(c),
            _ => return Err(AddressError::Form),
        }
    }
}

/// spec: rfc5322#3.2.3 rfc6532#3.2
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_utf8_text(c)
}

/// Characters beyond ASCII that show themselves: no controls, no spaces, nothing that turns or hides the text beside it.
fn is_utf8_text(c: char) -> bool {
    let hidden = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}');
    !c.is_ascii() && !c.is_control() && !c.is_whitespace() && !hidden
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn mailbox(text: &str) -> Option<(String, String, String, String)> {
        match Path::parse(text) {
            Ok((Path::Mailbox(address), rest)) => Some((address.as_str().into(), address.local().into(), address.host().to_string(), rest.into())),
            _ => None,
        }
    }

    #[test]
    fn paths() {
        for (text, address, local, host, rest) in [
            ("<a.b+c@Example.CN> SIZE=1", "a.b+c@Example.CN", "a.b+c", "Example.CN", " SIZE=1"),
            ("<\"a>@ \\\"\\\\\"@b.cn>", "\"a>@ \\\"\\\\\"@b.cn", "a>@ \"\\", "b.cn", ""),
            ("<a@[192.0.2.1]>", "a@[192.0.2.1]", "a", "[192.0.2.1]", ""),
            ("<a@[ipv6:2001:DB8::1]>", "a@[ipv6:2001:DB8::1]", "a", "[IPv6:2001:db8::1]", ""),
            ("<@x.cn,@y.cn:a@b>", "a@b", "a", "b", ""),
            ("<张三@穗印.中国>", "张三@穗印.中国", "张三", "穗印.中国", ""),
        ] {
            assert_eq!(mailbox(text), Some((address.into(), local.into(), host.into(), rest.into())), "{text}");
        }
        assert_eq!(Path::parse("<> X"), Ok((Path::Null, " X")));
        assert_eq!(Path::parse("<pOstmaster>"), Ok((Path::Postmaster, "")));
    }

    #[test]
    fn no_paths() {
        for text in [
            "", "<", "a@b", "<a>", "<@b>", "<a@>", "<a@b", "<a@b.>", "<a@.b>", "<.a@b>", "<a.@b>", "<a..b@c>", "<a@-b>", "<a@b->", "<a b@c>", "<a@b c>", "<a@b@c>",
            "<\"a@b>", "<\"a\"b@c>", "<\"a\r\n\"@b>", "<\"\\\0\"@b>", "<a@[1.2.3]>", "<a@[1.2.3.4>", "<a@[x:1]>", "<@x:a>", "<@x,y:a@b>", "<\"postmaster\">", "<a@b_c>",
            "<a\u{202e}b@c>", "<a@b\u{a0}c>", "<(x)a@b>",
        ] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
        assert!(mailbox(&format!("<{}@b.cn>", "a".repeat(MAX_PATH - 7))).is_some());
        assert_eq!(Path::parse(&format!("<{}@b.cn>", "a".repeat(MAX_PATH - 6))), Err(AddressError::TooLong));
        assert!(Domain::parse(&"a".repeat(64)).is_err());
    }
}
