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
    let (mut masked, mut hidden) = mask(&text.replace(MARK, ""));
    masked.push('\n');
    let HeaderValue::Address(found) = MessageStream::new(masked.as_bytes()).parse_address() else { return None };
    let mut found = found.into_owned();
    if text.contains("\"@") {
        match &mut found {
            Address::List(all) => all.iter_mut().for_each(join_local_part),
            Address::Group(groups) => groups.iter_mut().flat_map(|group| &mut group.addresses).for_each(join_local_part),
        }
    }
    if !hidden.is_empty() {
        let mut one = |addr: &mut Addr<'static>| {
            part_name(addr);
            [&mut addr.name, &mut addr.address].into_iter().flatten().for_each(|text| show(text, &mut hidden));
        };
        match &mut found {
            Address::List(all) => all.iter_mut().for_each(one),
            Address::Group(groups) => groups.iter_mut().for_each(|group| {
                group.addresses.iter_mut().for_each(&mut one);
            }),
        }
        if let Address::Group(groups) = &mut found {
            groups.iter_mut().filter_map(|group| group.name.as_mut()).for_each(|name| show(name, &mut hidden));
        }
    }
    Some(found)
}

/// A local part in quotation marks, without angle brackets around the address: mail-parser takes it for the name.
fn join_local_part(addr: &mut Addr<'static>) {
    if let (Some(name), Some(host)) = (&addr.name, &addr.address)
        && host.starts_with('@')
        && !host.contains(':')
    {
        (addr.name, addr.address) = (None, Some(format!("\"{name}\"{host}").into()));
    }
}

/// A name in encoded words before an address without its angle brackets, as some programs send it.
fn part_name(addr: &mut Addr<'static>) {
    if addr.name.is_none()
        && let Some((name, address)) = addr.address.as_deref().and_then(|text| text.rsplit_once(MARK))
        && address.starts_with(char::is_whitespace)
        && !address.trim().is_empty()
    {
        (addr.name, addr.address) = (Some(format!("{name}{MARK}").into()), Some(address.trim().to_owned().into()));
    }
}

/// The text with its encoded words hidden: many hold what would part addresses. What only begins like one is hidden, too, so that mail-parser
/// finds none: it would look for the end of each to the end of the field, and what it decodes might hold our marks.
fn mask(text: &str) -> (String, Vec<String>) {
    let (mut out, mut hidden, mut rest) = (String::with_capacity(text.len()), Vec::new(), text);
    while let Some((before, from)) = rest.find("=?").and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        let word = word_length(from.as_bytes()).and_then(|length| from.split_at_checked(length));
        let (word, after) = word.or_else(|| from.split_at_checked(2)).unwrap_or((from, ""));
        out.push_str(&format!("{MARK}{}{MARK}", hidden.len()));
        hidden.push(word.to_owned());
        rest = after;
    }
    out.push_str(rest);
    (out, hidden)
}

/// Each word is shown once: none stands in a field twice.
fn show(text: &mut Cow<'static, str>, hidden: &mut [String]) {
    if text.contains(MARK) {
        // Every second piece is a number.
        let pieces = text.split(MARK).enumerate();
        let shown = pieces.map(|(at, piece)| if at % 2 == 0 { piece.to_owned() } else { piece.parse().ok().and_then(|at: usize| hidden.get_mut(at)).map(std::mem::take).unwrap_or_default() });
        *text = shown.collect::<String>().into();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::Engine as _;

    use super::*;

    fn read(value: &str) -> Vec<(String, String)> {
        let found = addresses(value.as_bytes()).unwrap();
        found.iter().map(|addr| (addr.name().map(|name| words(name.as_bytes())).unwrap_or_default(), addr.address().unwrap_or_default().to_owned())).collect()
    }

    /// Marks of a sender's own, in words that are too long to be any, or behind a sign that is taken out, show nothing many times over.
    #[test]
    fn what_is_shown_is_no_longer_than_what_stands() {
        let marks = base64::engine::general_purpose::STANDARD.encode(format!("{MARK}0{MARK}").repeat(2_000));
        let long = "a".repeat(1_900);
        for value in [
            format!("=?utf-8?Q?{long}?= =?utf-8?B?{marks}?= <a@b.example>"),
            format!("=?utf-8?Q?{long}?= ={MARK}?utf-8?B?{marks}?= <a@b.example>"),
            format!("=?utf-8?Q?{long}?= {} <a@b.example>", format!("{MARK}0{MARK}").repeat(2_000)),
            format!("\"{}\" <a@b.example>", "=?ab?Q?x ".repeat(2_000)),
        ] {
            let found = addresses(value.as_bytes()).unwrap();
            let shown: usize = found.iter().map(|addr| addr.name().map_or(0, str::len) + addr.address().map_or(0, str::len)).sum();
            assert!(shown <= value.len(), "{shown} of {}", value.len());
        }
    }

    #[test]
    fn a_name_before_an_address_without_its_brackets_is_a_name() {
        assert_eq!(read("=?utf-8?B?5byg5LiJ?= zhang@example.cn"), [("张三".to_owned(), "zhang@example.cn".to_owned())]);
        // What stands in brackets is an address, whatever it looks like.
        assert_eq!(read("<bounce=?x@example.com>"), [(String::new(), "bounce=?x@example.com".to_owned())]);
        assert_eq!(read("<=?utf-8?B?5byg5LiJ?=@example.cn>"), [(String::new(), "=?utf-8?B?5byg5LiJ?=@example.cn".to_owned())]);
        assert_eq!(read("=?utf-8?B?5byg?= =?utf-8?B?5LiJ?= <zhang@example.cn>, li@example.cn"), [("张三".to_owned(), "zhang@example.cn".to_owned()), (String::new(), "li@example.cn".to_owned())]);
    }
}
