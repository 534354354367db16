//! ENVELOPE: the header as parentheses.
use mail_parser::{Addr, Address};

use super::address::addresses;
use super::part::{first, last, value};
use super::{write_string, write_value};

/// Addresses told of one field.
const MAX_ADDRESSES: usize = 1000;

/// spec: rfc3501#7.4.2 date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id
pub(super) fn of_header(header: &[u8], out: &mut Vec<u8>) {
    let raw = |name: &[u8]| first(header, name);
    let people = |name: &[u8]| last(header, name).and_then(|field| addresses(&value(field)));
    out.push(b'(');
    write_value(raw(b"Date"), out);
    out.push(b' ');
    write_value(raw(b"Subject"), out);
    let from = people(b"From");
    // spec: rfc3501#7.4.2 an absent or empty Sender or Reply-To is the From
    let or_from = |field: Option<Address<'_>>, out: &mut Vec<u8>| {
        out.push(b' ');
        write_addresses(field.as_ref().filter(|field| field.iter().next().is_some()).or(from.as_ref()), out);
    };
    or_from(None, out);
    or_from(people(b"Sender"), out);
    or_from(people(b"Reply-To"), out);
    for name in [&b"To"[..], b"Cc", b"Bcc"] {
        out.push(b' ');
        write_addresses(people(name).as_ref(), out);
    }
    for name in [&b"In-Reply-To"[..], b"Message-ID"] {
        out.push(b' ');
        write_value(raw(name), out);
    }
    out.push(b')');
}

fn write_addresses(field: Option<&Address<'_>>, out: &mut Vec<u8>) {
    let mut list = Vec::new();
    match field {
        None => {}
        Some(Address::List(all)) => all.iter().take(MAX_ADDRESSES).for_each(|one| address(one, &mut list)),
        Some(Address::Group(groups)) => {
            for group in groups.iter().take(MAX_ADDRESSES) {
                if let Some(name) = &group.name {
                    list.extend_from_slice(b"(NIL NIL ");
                    write_string(Some(name), &mut list);
                    list.extend_from_slice(b" NIL)");
                }
                group.addresses.iter().take(MAX_ADDRESSES).for_each(|one| address(one, &mut list));
                if group.name.is_some() {
                    list.extend_from_slice(b"(NIL NIL NIL NIL)");
                }
            }
        }
    }
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    out.extend_from_slice(&list);
    out.push(b')');
}

fn address(one: &Addr<'_>, out: &mut Vec<u8>) {
    let text = one.address.as_deref().unwrap_or_default();
    // spec: rfc5322#4.4 the hosts it once was to pass come before the address
    let (route, text) = text.split_once(':').filter(|(route, _)| route.starts_with('@')).map_or((None, text), |(route, text)| (Some(route), text));
    let (mailbox, host) = text.rsplit_once('@').unwrap_or((text, ""));
    // spec: rfc3501#9 addr-mailbox: without its quotation marks; what they escape mail-parser has read
    let mailbox = mailbox.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(mailbox);
    out.push(b'(');
    write_string(one.name.as_deref(), out);
    out.push(b' ');
    write_string(route, out);
    out.push(b' ');
    write_string(Some(mailbox), out);
    out.push(b' ');
    // An absent host would mean a group. spec: rfc3501#7.4.2
    write_string(Some(host), out);
    out.push(b')');
}
