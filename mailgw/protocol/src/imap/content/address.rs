//! Addresses of a field. mail-parser finds where each begins and ends; what their names say is not its business: it reads every encoded
//! word alone and raw octets as UTF-8, so a character cut in two, and what programs of here write, would be lost.
use std::borrow::Cow;

use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, Address, HeaderValue};

use super::charset::{guessed, guesses, word_length, words};

/// Stands on both sides of the number of an encoded word while addresses are told apart. No character of any text: unicode#23.7
const MARK: char = '\u{fdd0}';

/// Names as they stand, their encoded words not read; raw octets are what they are taken for.
pub(super) fn addresses(value: &[u8]) -> Option<Address<'static>> {
    of_text(&guessed(value))
}

/// What programs may show as the name of somebody in this field.
pub fn names(value: &[u8]) -> Vec<String> {
    let read = |text: &String| {
        let found = of_text(text);
        let named = found.iter().flat_map(Address::iter).filter_map(Addr::name);
        named.map(|name| words(name.as_bytes())).collect::<Vec<_>>()
    };
    guesses(value).iter().flat_map(read).collect()
}

fn of_text(text: &str) -> Option<Address<'static>> {
    let (mut masked, hidden) = mask(text);
    masked.push('\n');
    let HeaderValue::Address(found) = MessageStream::new(masked.as_bytes()).parse_address() else { return None };
    let mut found = found.into_owned();
    if !hidden.is_empty() {
        let one = |addr: &mut Addr<'static>| [&mut addr.name, &mut addr.address].into_iter().flatten().for_each(|text| show(text, &hidden));
        match &mut found {
            Address::List(all) => all.iter_mut().for_each(one),
            Address::Group(groups) => groups.iter_mut().for_each(|group| {
                group.name.iter_mut().for_each(|name| show(name, &hidden));
                group.addresses.iter_mut().for_each(one);
            }),
        }
    }
    Some(found)
}

/// The text with its encoded words hidden: many hold what would part addresses.
fn mask(text: &str) -> (String, Vec<&str>) {
    let (mut out, mut hidden, mut rest) = (String::with_capacity(text.len()), Vec::new(), text);
    while let Some((before, from)) = rest.find("=?").and_then(|at| rest.split_at_checked(at)) {
        out.extend(before.chars().filter(|c| *c != MARK));
        let word = word_length(from.as_bytes()).and_then(|length| from.split_at_checked(length));
        rest = if let Some((word, after)) = word {
            out.extend(format!("{MARK}{}{MARK}", hidden.len()).chars());
            hidden.push(word);
            after
        } else {
            let (sign, after) = from.split_at_checked(2).unwrap_or((from, ""));
            out.push_str(sign);
            after
        };
    }
    out.extend(rest.chars().filter(|c| *c != MARK));
    (out, hidden)
}

fn show(text: &mut Cow<'static, str>, hidden: &[&str]) {
    if text.contains(MARK) {
        // Every second piece is a number.
        let pieces = text.split(MARK).enumerate();
        let shown = pieces.map(|(at, piece)| if at % 2 == 0 { piece } else { piece.parse().ok().and_then(|at: usize| hidden.get(at).copied()).unwrap_or_default() });
        *text = shown.collect::<String>().into();
    }
}
