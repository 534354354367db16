//! Parameters of Content-Type and Content-Disposition. Read here and not by mail-parser, which takes raw octets for UTF-8 and reads every
//! piece of a long value alone, in a charset only the first of them names.
use super::charset::{decode, guessed};

/// Parameters told of one field, and pieces of them that are read.
const MAX_TOLD: usize = 32;
const MAX_PIECES: usize = 1000;

/// Of a field with its folds. Names in lower case; values as they stand, but those in the pieces or the coding of rfc2231, which are read.
// spec: rfc2045#5.1
pub(super) fn parameters(field: &[u8]) -> Vec<(String, String)> {
    let text = guessed(field);
    let mut rest = text.split_once(';').map_or("", |(_, rest)| rest);
    let mut all: Vec<(String, Value)> = Vec::new();
    for _ in 0..MAX_PIECES {
        let Some(sign) = rest.find(['=', ';']) else { break };
        let (name, after) = rest.split_at_checked(sign).unwrap_or((rest, ""));
        if let Some(after) = after.strip_prefix('=') {
            let (value, after) = one_value(after.trim_start());
            keep(name.trim(), value, &mut all);
            rest = after;
        } else {
            rest = after.strip_prefix(';').unwrap_or(after);
        }
    }
    all.into_iter().map(|(name, value)| (name, value.text())).collect()
}

enum Value {
    Plain(String),
    /// Number, whether it is coded, text.
    Pieces(Vec<(u32, bool, String)>),
}

fn keep(name: &str, value: String, all: &mut Vec<(String, Value)>) {
    let name = name.to_ascii_lowercase();
    let (base, piece) = match name.split_once('*') {
        Some((base, "")) => (base, Some((0, true))),
        // spec: rfc2231#3 name*1, rfc2231#4.1 name*1*
        Some((base, number)) => (base, number.trim_end_matches('*').parse().ok().map(|at| (at, number.ends_with('*')))),
        None => (name.as_str(), None),
    };
    if base.is_empty() {
        return;
    }
    let Some((_, place)) = all.iter_mut().find(|(found, _)| found == base) else {
        if all.len() < MAX_TOLD {
            all.push((base.to_owned(), piece.map_or_else(|| Value::Plain(value.clone()), |(at, coded)| Value::Pieces(vec![(at, coded, value.clone())]))));
        }
        return;
    };
    match (place, piece) {
        (Value::Pieces(pieces), Some((at, coded))) => pieces.push((at, coded, value)),
        // Beside a coded value the plain one is for programs that cannot read it.
        (place, Some((at, coded))) => *place = Value::Pieces(vec![(at, coded, value)]),
        // Of two the first.
        (_, None) => {}
    }
}

impl Value {
    fn text(self) -> String {
        let mut pieces = match self {
            Value::Plain(text) => return text,
            Value::Pieces(pieces) => pieces,
        };
        pieces.sort_by_key(|(at, ..)| *at);
        if pieces.iter().all(|(_, coded, _)| !coded) {
            return pieces.into_iter().map(|(.., text)| text).collect();
        }
        let (mut charset, mut octets) = (None, Vec::new());
        for (at, (_, coded, text)) in pieces.iter().enumerate() {
            let mut text = text.as_str();
            // spec: rfc2231#4 charset'language'value, in the first piece alone
            if at == 0
                && *coded
                && let Some((name, rest)) = text.split_once('\'')
                && let Some((_, value)) = rest.split_once('\'')
            {
                (charset, text) = (Some(name), value);
            }
            if *coded { unescape(text.as_bytes(), &mut octets) } else { octets.extend_from_slice(text.as_bytes()) }
        }
        decode(charset, &octets)
    }
}

/// `%B9` is an octet.
fn unescape(mut text: &[u8], out: &mut Vec<u8>) {
    while let [first, rest @ ..] = text {
        let octet = if let (b'%', [high, low, after @ ..]) = (first, rest) {
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, after))
        } else {
            None
        };
        let (octet, after) = octet.unwrap_or((*first, rest));
        out.push(octet);
        text = after;
    }
}

/// The value that `text` begins with, and what comes after it.
fn one_value(text: &str) -> (String, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        let (mut value, mut chars) = (String::new(), quoted.chars());
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => value.extend(chars.next()),
                '\r' | '\n' => {}
                c => value.push(c),
            }
        }
        let rest = chars.as_str();
        return (value, rest.trim_start().strip_prefix(';').unwrap_or(rest));
    }
    // A line's end ends it too: some forget the semicolon there, and no space may stand in a value that is not quoted.
    let end = text.find([';', '\r', '\n']).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let value = value.split_once(" (").map_or(value, |(value, _comment)| value);
    (value.trim().to_owned(), rest.trim_start_matches(['\r', '\n', ' ', '\t']).strip_prefix(';').unwrap_or(rest))
}
