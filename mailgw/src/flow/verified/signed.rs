//! A mail that is signed as a whole: what a reader sees of it, header and body, is what was signed, and nothing else is there. Everything
//! that could be shown beside it makes it no such mail: parts around the signed one, a second author, fields that were not signed.
// spec: rfc1847#2.1 rfc8551#3.5.3 rfc9788

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mail_parser::{Address, Message, MessageParser, MimeHeaders as _};
use protocol::smtp::trace;

/// The most octets of a signature, in base64.
const MAX_SIGNATURE: usize = 96 * 1024;
/// The most octets of a field that is left to the parser as it stands: of each beginning of an encoded word it looks for the end.
const MAX_FIELD: usize = 16 << 10;
/// What signing programs write above the parts, for programs that know no MIME.
const PREAMBLES: [&str; 2] = ["", "This is an S/MIME signed message"];
/// What must be signed: who, to whom, what about, when, which.
const SIGNED: [&str; 5] = ["from", "to", "subject", "date", "message-id"];
/// What servers on the way write, and what says of what form the content is. Every other field is one that somebody could read.
const UNSIGNED: [&str; 8] = ["return-path", "received", "authentication-results", "received-spf", "dkim-signature", "delivered-to", "mime-version", "content-type"];
const UNSIGNED_BEGINNINGS: [&str; 2] = ["arc-", "x-"];

/// Why a mail is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is not signed as a whole")]
    NotSigned,
    #[error("there is something beside the signed part and its signature")]
    Beside,
    #[error("its lines or fields are not formed as they must be")]
    Malformed,
    #[error("a field of its header was not signed, or says something else than the one that was")]
    Field,
    #[error("it has not exactly one author")]
    Author,
}

/// Read, and not proved.
pub struct Signed {
    /// As it was written.
    pub from: String,
    /// The name beside the address, decoded.
    pub name: Option<String>,
    /// Addresses of To and Cc in lower case.
    pub to: Vec<String>,
    /// What the signature covers.
    pub entity: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Signed {
    /// 1 lines end in CRLF · 2 one Content-Type, which says that all of it is signed · 3 two parts and nothing beside them · 4 the second is a
    /// signature · 5 the header that is seen is the one that was signed · 6 one author.
    pub fn read(message: &[u8]) -> Result<Self, Unfit> {
        // 1
        if !lines_end_in_crlf(message) {
            return Err(Unfit::Malformed);
        }
        // 2
        let (fields, header) = trace::fields(message);
        let outside = named(&fields)?;
        let boundary = boundary(&fields, &outside)?;
        // 3
        let body = message.get(header..).and_then(|rest| rest.strip_prefix(b"\r\n")).ok_or(Unfit::Malformed)?;
        let (entity, signature) = parts(body, &boundary)?;
        // 4
        let signature = detached(signature)?;
        // 5
        if !trace::header_is_bounded(entity) {
            return Err(Unfit::Malformed);
        }
        let (fields, _) = trace::fields(entity);
        same_header(&outside, &named(&fields)?)?;
        // 6
        let parsed = last(&fields, "from").filter(|field| field.len() <= MAX_FIELD).and_then(parsed);
        let Some(Address::List(authors)) = parsed.as_ref().and_then(|parsed| parsed.from()) else { return Err(Unfit::Author) };
        let [author] = authors.as_slice() else { return Err(Unfit::Author) };
        let from = author.address().ok_or(Unfit::Author)?.to_owned();
        // One sign for the address: a second one would be a second address to somebody's eye.
        if value(&named(&fields)?, "from").is_none_or(|text| super::super::authors::as_seen(text).matches('@').count() != 1) {
            return Err(Unfit::Author);
        }
        let to = ["to", "cc"].into_iter().filter_map(|name| last(&fields, name)).flat_map(recipients).collect();
        Ok(Self { from, name: author.name().map(str::to_owned), to, entity: entity.to_vec(), signature })
    }
}

fn lines_end_in_crlf(message: &[u8]) -> bool {
    let mut at = 0;
    while let Some(rest) = message.get(at..) {
        let Some(end) = memchr::memchr3(b'\r', b'\n', 0, rest) else { return true };
        if !matches!(rest.get(end..end + 2), Some(b"\r\n")) {
            return false;
        }
        at += end + 2;
    }
    true
}

type Field = (String, String);

/// Names in lower case and values unfolded, white space as one space.
fn named(fields: &[&[u8]]) -> Result<Vec<Field>, Unfit> {
    let one = |field: &&[u8]| {
        let text = std::str::from_utf8(field).map_err(|_| Unfit::Malformed)?;
        let (name, value) = text.split_once(':').ok_or(Unfit::Malformed)?;
        // spec: rfc5322#2.2
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unfit::Malformed);
        }
        Ok((name.to_ascii_lowercase(), value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")))
    };
    fields.iter().map(one).collect()
}

/// The value of a field that is there once.
fn value<'f>(fields: &'f [Field], name: &str) -> Option<&'f str> {
    let mut found = fields.iter().filter(|(other, _)| other == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

/// The last field of a name, which is in lower case, as it stands: of several the one that parsers take.
fn last<'m>(fields: &[&'m [u8]], name: &str) -> Option<&'m [u8]> {
    fields.iter().copied().rfind(|field| field.split(|byte| *byte == b':').next().is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes())))
}

/// One field as the parser reads it: in a header the others are read, too, and may take long.
fn parsed(field: &[u8]) -> Option<Message<'static>> {
    let header = [field.trim_ascii_end(), b"\r\n\r\n"].concat();
    let parsed = MessageParser::new().parse_headers(&header)?.into_owned();
    (!parsed.parts.is_empty()).then_some(parsed)
}

fn boundary(fields: &[&[u8]], outside: &[Field]) -> Result<String, Unfit> {
    value(outside, "content-type").ok_or(Unfit::NotSigned)?;
    let parsed = last(fields, "content-type").filter(|field| field.len() <= MAX_FIELD).and_then(parsed).ok_or(Unfit::Malformed)?;
    let kind = parsed.content_type().ok_or(Unfit::NotSigned)?;
    let is = |name: &str| kind.attribute("protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case(name));
    let signed = kind.ctype().eq_ignore_ascii_case("multipart") && kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("signed"));
    if !signed || !(is("application/pkcs7-signature") || is("application/x-pkcs7-signature")) {
        return Err(Unfit::NotSigned);
    }
    // spec: rfc2046#5.1.1
    let boundary = kind.attribute("boundary").filter(|text| (1..=70).contains(&text.len()) && text.is_ascii() && !text.ends_with(' '));
    boundary.map(str::to_owned).ok_or(Unfit::Malformed)
}

/// The two parts. Every line that begins as a delimiter does is one, and no line is left over.
fn parts<'m>(body: &'m [u8], boundary: &str) -> Result<(&'m [u8], &'m [u8]), Unfit> {
    let (begins, open, close) = (format!("--{boundary}"), format!("--{boundary}\r\n"), format!("--{boundary}--"));
    let (mut at, mut opened, mut closed) = (0, Vec::new(), None);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(begins.as_bytes()) {
            let is_close = line.strip_suffix(b"\r\n").unwrap_or(line) == close.as_bytes();
            match (is_close, line == open.as_bytes(), closed) {
                (true, _, None) => closed = Some((at, at + line.len())),
                (_, true, None) => opened.push((at, at + line.len())),
                _ => return Err(Unfit::Beside),
            }
        }
        at += line.len();
    }
    let (&[first, second], Some(closed)) = (opened.as_slice(), closed) else { return Err(Unfit::Beside) };
    let between = |from: usize, to: usize| body.get(from..to).unwrap_or_default();
    let above = String::from_utf8_lossy(between(0, first.0)).trim().to_owned();
    if closed.0 < second.1 || !PREAMBLES.contains(&above.as_str()) || !between(closed.1, body.len()).trim_ascii().is_empty() {
        return Err(Unfit::Beside);
    }
    // The line end before a delimiter belongs to it.
    let part = |from, to| between(from, to).strip_suffix(b"\r\n").ok_or(Unfit::Malformed);
    Ok((part(first.1, second.0)?, part(second.1, closed.0)?))
}

fn detached(part: &[u8]) -> Result<Vec<u8>, Unfit> {
    let (fields, header) = trace::fields(part);
    let fields = named(&fields)?;
    let kind = value(&fields, "content-type").ok_or(Unfit::NotSigned)?.to_ascii_lowercase();
    let coded = value(&fields, "content-transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("base64"));
    if !coded || !["application/pkcs7-signature", "application/x-pkcs7-signature"].iter().any(|name| kind.split(';').next() == Some(name)) {
        return Err(Unfit::NotSigned);
    }
    let text: Vec<u8> = part.get(header..).unwrap_or_default().iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect();
    if text.len() > MAX_SIGNATURE {
        return Err(Unfit::Malformed);
    }
    STANDARD.decode(text).map_err(|_| Unfit::Malformed)
}

fn same_header(outside: &[Field], inside: &[Field]) -> Result<(), Unfit> {
    let may_be_unsigned = |name: &str| UNSIGNED.contains(&name) || UNSIGNED_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
    let seen = outside.iter().filter(|(name, _)| !may_be_unsigned(name)).all(|(name, _)| value(outside, name).is_some() && value(outside, name) == value(inside, name));
    let whole = SIGNED.iter().all(|name| value(outside, name).is_some());
    if seen && whole { Ok(()) } else { Err(Unfit::Field) }
}

/// The addresses of a field of recipients. A long one is read without its names, which nobody asks for here: their words are none.
fn recipients(field: &[u8]) -> Vec<String> {
    let mut field = field.to_vec();
    if field.len() > MAX_FIELD {
        let words: Vec<usize> = memchr::memmem::find_iter(&field, b"=?").map(|at| at + 1).collect();
        words.into_iter().for_each(|at| field.iter_mut().skip(at).take(1).for_each(|sign| *sign = b' '));
    }
    let Some(parsed) = parsed(&field) else { return Vec::new() };
    let lists = [parsed.to(), parsed.cc()].into_iter().flatten();
    lists.flat_map(Address::iter).filter_map(|one| one.address().map(str::to_lowercase)).collect()
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
