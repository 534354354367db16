//! Mailbox names: modified UTF-7 on the wire, Unicode within.
use super::{ParseError, Parsed};
use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Parts the levels of a name.
pub const DELIMITER: char = '/';
/// Characters of the longest name.
pub const MAX_NAME: usize = 255;

/// spec: rfc3501#5.1.3 base64 with `,` for `/`, without padding, unused bits zero
const CODEC: GeneralPurpose = {
    let alphabet = match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,") {
        Ok(alphabet) => alphabet,
        // Evaluated when compiling: another alphabet would not build.
        Err(_) => panic!("the alphabet of modified UTF-7"),
    };
    let config = GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&alphabet, config)
};

/// The name in modified UTF-7, which is printable ASCII.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut units: Vec<u8> = Vec::new();
    for ch in name.chars() {
        if matches!(ch, ' '..='~') {
            flush(&mut units, &mut out);
            out.push(ch);
            if ch == '&' {
                out.push('-');
            }
        } else {
            let mut pair = [0u16; 2];
            units.extend(ch.encode_utf16(&mut pair).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    flush(&mut units, &mut out);
    out
}

fn flush(units: &mut Vec<u8>, out: &mut String) {
    if !units.is_empty() {
        out.push('&');
        CODEC.encode_string(&*units, out);
        out.push('-');
        units.clear();
    }
}

/// The Unicode text of modified UTF-7, or `None`: other octets, broken base64 or surrogates, ASCII that should stand for
/// itself, two shifts in a row. So every name has one form on the wire.
pub fn decode(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| matches!(b, b' '..=b'~')))?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_shift = false;
    while let Some(at) = rest.find('&') {
        let (plain, shifted) = (rest.get(..at)?, rest.get(at + 1..)?);
        let end = shifted.find('-')?;
        let coded = shifted.get(..end)?;
        out.push_str(plain);
        if coded.is_empty() {
            out.push('&');
        } else {
            if after_shift && plain.is_empty() {
                return None;
            }
            let bytes = CODEC.decode(coded).ok()?;
            if bytes.len() % 2 != 0 {
                return None;
            }
            let units = bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
            for ch in char::decode_utf16(units) {
                out.push(ch.ok().filter(|ch| !matches!(ch, ' '..='~'))?);
            }
        }
        after_shift = !coded.is_empty();
        rest = shifted.get(end + 1..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// The text of a name or pattern, in UTF-8 or modified UTF-7. spec: rfc9051#5.1
pub(crate) fn text(text: &[u8], utf8: bool) -> Option<String> {
    if utf8 { std::str::from_utf8(text).ok().map(str::to_owned) } else { decode(text) }
}

/// A name as a command gives it: decoded, bounded, no control characters, no empty level, INBOX in capitals.
pub(crate) fn name(text: &[u8], utf8: bool) -> Parsed<String> {
    let name = self::text(text, utf8).ok_or(ParseError::Mailbox)?;
    let sound = name.chars().count() <= MAX_NAME
        && !name.chars().any(|ch| ch.is_control() || matches!(ch, '%' | '*' | '\u{2028}' | '\u{2029}'))
        && name.split(DELIMITER).all(|level| !level.is_empty());
    if sound { Ok(capital_inbox(name)) } else { Err(ParseError::Mailbox) }
}

/// spec: rfc3501#5.1 INBOX is without case; we hold its children to the same.
pub(crate) fn capital_inbox(mut name: String) -> String {
    let first = name.find(DELIMITER).unwrap_or(name.len());
    if name.get(..first).is_some_and(|level| level.eq_ignore_ascii_case("INBOX")) {
        name.replace_range(..first, "INBOX");
    }
    name
}

/// A LIST pattern (in Unicode): `*` any characters, `%` any but the delimiter.
pub struct Pattern(Vec<char>);

impl Pattern {
    /// A run of wildcards covers what its widest one does.
    pub fn new(text: &str) -> Self {
        let mut pattern: Vec<char> = Vec::new();
        for ch in text.chars() {
            match (pattern.last_mut(), ch) {
                (Some(last @ ('*' | '%')), '*' | '%') => {
                    if ch == '*' {
                        *last = '*';
                    }
                }
                _ => pattern.push(ch),
            }
        }
        Self(pattern)
    }

    pub fn stops_at_levels(&self) -> bool {
        self.0.last() == Some(&'%')
    }

    /// No memory; time at most in the product of the lengths, and about the sum of them without several wildcards. What
    /// was tried last is taken up again at the last `%`, and, where that can reach no further, at the last `*`.
    pub fn covers(&self, name: &[char]) -> bool {
        let (mut p, mut n) = (0, 0);
        let (mut star, mut percent): (Option<(usize, usize)>, Option<(usize, usize)>) = (None, None);
        loop {
            match (self.0.get(p), name.get(n)) {
                (None, None) => return true,
                (Some('*'), _) => {
                    (star, percent) = (Some((p, n)), None);
                    p += 1;
                    continue;
                }
                (Some('%'), _) => {
                    percent = Some((p, n));
                    p += 1;
                    continue;
                }
                (Some(wanted), Some(found)) if wanted == found => {
                    (p, n) = (p + 1, n + 1);
                    continue;
                }
                _ => {}
            }
            match (percent, star) {
                (Some((at, from)), _) if name.get(from).is_some_and(|skipped| *skipped != DELIMITER) => {
                    percent = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                (_, Some((at, from))) if from < name.len() => {
                    (star, percent) = (Some((at, from + 1)), None);
                    (p, n) = (at + 1, from + 1);
                }
                _ => return false,
            }
        }
    }
}

/// Whether a LIST pattern covers a name.
pub fn matches(pattern: &str, name: &str) -> bool {
    Pattern::new(pattern).covers(&name.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vectors() {
        // The first is the example of RFC 3501 §5.1.3.
        for (wire, text) in [
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("a&-b", "a&b"),
            ("&2D7dCQ-", "\u{1f909}"),
            ("&-&AOk-&-", "&é&"),
        ] {
            assert_eq!(decode(wire.as_bytes()).as_deref(), Some(text));
            assert_eq!(encode(text), wire);
        }
        for bad in ["&", "&U,BTFw", "&AGE-", "&2D4-", "&U,B-", "&U,BTFx-", "&U,BT&Fw-", "&U,A-&U,A-", "台北", "a\tb", "&AA-", "&U/BTFw-"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(name(b"inBox/x", false).unwrap(), "INBOX/x");
        assert_eq!(name(b"inboxes", false).unwrap(), "inboxes");
        for bad in ["", "/a", "a//b", "a/", "a*", "&AAo-"] {
            assert_eq!(name(bad.as_bytes(), false), Err(ParseError::Mailbox), "{bad}");
        }
        assert!(name("x".repeat(256).as_bytes(), false).is_err());
        assert_eq!((name("台北&-".as_bytes(), true).unwrap(), name("台\u{2028}".as_bytes(), true)), ("台北&-".into(), Err(ParseError::Mailbox)));
    }

    #[test]
    fn patterns() {
        for (pattern, name, covers) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("%/%", "a/b", true),
            ("", "", true),
            ("台*", "台北", true),
            ("%a%", "bab", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), covers, "{pattern} {name}");
        }
    }

    /// The same, slowly: which beginnings of the name the pattern so far covers.
        fn slowly(pattern: &str, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        // reachable[i]: the pattern so far covers the first i characters.
        let mut reachable = vec![false; name.len() + 1];
        if let Some(first) = reachable.first_mut() {
            *first = true;
        }
        for ch in pattern.chars() {
            let mut next = vec![false; name.len() + 1];
            let mut carried = false;
            for (at, slot) in next.iter_mut().enumerate() {
                let here = reachable.get(at).copied().unwrap_or(false);
                let before = at.checked_sub(1);
                let last = before.and_then(|at| name.get(at)).copied();
                *slot = match ch {
                    '*' | '%' => {
                        let extends = carried && (ch == '*' || last != Some(DELIMITER));
                        here || extends
                    }
                    _ => last == Some(ch) && before.and_then(|at| reachable.get(at)).copied().unwrap_or(false),
                };
                carried = *slot;
            }
            reachable = next;
        }
        reachable.last().copied().unwrap_or(false)
    }

    proptest! {
        #[test]
        fn patterns_cover_what_they_did_slowly(pattern in "[ab/*%]{0,10}", name in "[ab/]{0,10}") {
            prop_assert_eq!(matches(&pattern, &name), slowly(&pattern, &name));
        }

        #[test]
        fn round_trip(name in "\\PC{0,40}") {
            prop_assert_eq!(decode(encode(&name).as_bytes()), Some(name));
        }

        #[test]
        fn one_form_each(wire in "[a-zA-Z0-9,+&/ -]{0,24}") {
            if let Some(name) = decode(wire.as_bytes()) {
                prop_assert_eq!(encode(&name), wire);
            }
        }
    }
}
