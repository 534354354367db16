//! A statement on paper: made of the sealed part of its message, when somebody asks for it. Nothing is computed again, so what it
//! says is what was sealed; the same sealed part makes the same octets.

use base64::Engine as _;
use mail_parser::{MessageParser, PartType};
use pdf::Piece;
use time::OffsetDateTime;

use super::html::push;
use super::{Entity, WIDTH, body_digest, line, part};
use crate::mime::{header, quoted_printable};

/// A label is no longer than this; what is longer is a sentence.
const LABEL: usize = 60;
const PROTOCOL: &[u8] = b"application/pkcs7-signature";

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaperError {
    #[error("the message is encrypted to its owner, who alone can open it; the owner's mail program prints it")]
    Encrypted,
    #[error("the message is no sealed statement; ask for a statement that this gateway delivered")]
    NoStatement,
}

/// The part of a message that was sealed, and its seal, DER.
pub fn sealed_part(message: &[u8]) -> Result<(&[u8], Vec<u8>), PaperError> {
    let parsed = MessageParser::new().parse_headers(message).ok_or(PaperError::NoStatement)?;
    let kind = parsed.parts.first().and_then(|part| part.headers.iter().find(|header| header.name().eq_ignore_ascii_case("Content-Type")));
    let kind = kind.and_then(|header| header.value().as_content_type()).ok_or(PaperError::NoStatement)?;
    if kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("pkcs7-mime")) {
        return Err(PaperError::Encrypted);
    }
    let boundary = kind.attribute("boundary").filter(|_| kind.attribute("protocol").map(str::as_bytes) == Some(PROTOCOL)).ok_or(PaperError::NoStatement)?;
    let open = format!("\r\n--{boundary}\r\n");
    // spec: rfc1847#2.1 the line end before a boundary belongs to the boundary
    let from = find(message, open.as_bytes(), 0).ok_or(PaperError::NoStatement)? + open.len();
    let until = find(message, open.as_bytes(), from).ok_or(PaperError::NoStatement)?;
    let entity = message.get(from..until).ok_or(PaperError::NoStatement)?;
    let rest = message.get(until + open.len()..).ok_or(PaperError::NoStatement)?;
    let begin = find(rest, b"\r\n\r\n", 0).ok_or(PaperError::NoStatement)? + 4;
    let end = find(rest, format!("\r\n--{boundary}--").as_bytes(), 0).filter(|end| *end >= begin).ok_or(PaperError::NoStatement)?;
    let encoded: Vec<u8> = rest.get(begin..end).unwrap_or_default().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let seal = base64::engine::general_purpose::STANDARD.decode(encoded).map_err(|_| PaperError::NoStatement)?;
    Ok((entity, seal))
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(wanted.len()).position(|window| window == wanted).map(|at| at + from)
}

/// What a sealed part says.
struct Said {
    text: String,
    subject: String,
    /// As they stand in the header, folded as they are.
    from: Vec<u8>,
    to: Vec<u8>,
    message_id: String,
    file_name: String,
}

fn said(entity: &[u8]) -> Option<Said> {
    let parsed = MessageParser::new().parse(entity)?;
    let text = parsed.parts.iter().find_map(|part| if let PartType::Text(text) = &part.body { Some(text.replace("\r\n", "\n")) } else { None })?;
    let raw = |name: &str| {
        let header = parsed.parts.first()?.headers.iter().find(|header| header.name() == name)?;
        entity.get(usize::try_from(header.offset_field).ok()?..usize::try_from(header.offset_end).ok()?).map(<[u8]>::to_vec)
    };
    let json = parsed.attachments().find_map(|part| mail_parser::MimeHeaders::attachment_name(part).map(str::to_owned))?;
    Some(Said { text, subject: parsed.subject()?.to_owned(), from: raw("From")?, to: raw("To")?, message_id: parsed.message_id()?.to_owned(), file_name: json.strip_suffix(".json")?.to_owned() + ".pdf" })
}

/// The PDF of a sealed part.
pub fn paper(entity: &[u8]) -> Result<Vec<u8>, PaperError> {
    let said = said(entity).ok_or(PaperError::NoStatement)?;
    Ok(pdf::document(&pieces(&said.text, &crate::hex(&body_digest(entity))), said.subject.split(" / ").next().unwrap_or_default()))
}

/// The text's own lines: its first is the title, those in brackets are headings, and a short name before a colon has a value.
fn pieces(text: &str, digest: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let figure = line.split_once(": ").filter(|(label, value)| label.chars().count() <= LABEL && !value.is_empty() && !label.contains(['。', '，', '.']));
        pieces.push(match (line, figure) {
            (first, _) if at == 0 => Piece::Title(first.to_owned()),
            ("", _) => continue,
            (heading, _) if heading.starts_with('【') => Piece::Heading(heading.trim_matches(['【', '】']).to_owned()),
            (_, Some((label, value))) => Piece::Figure(label.to_owned(), value.to_owned()),
            (line, None) => Piece::Text(line.to_owned()),
        });
    }
    pieces.push(Piece::Gap);
    pieces.push(Piece::Note("本页由已加盖电子印章的对账单原件生成，数值未经重新计算，并由同一单位另行加盖电子印章。".to_owned()));
    pieces.push(Piece::Note("This page was made of the sealed statement; nothing was computed again. The same bureau sealed the page.".to_owned()));
    pieces.push(Piece::Note(format!("原件摘要 SHA-256 of the sealed part: {digest}")));
    pieces
}

/// A message to the statement's reader with its PDF, as the bureau's key signs it. `at` is when it was asked for.
pub fn letter(entity: &[u8], paper: &[u8], at: OffsetDateTime) -> Result<Entity, PaperError> {
    let said = said(entity).ok_or(PaperError::NoStatement)?;
    // The same request is the same message.
    let token = crate::hex(body_digest(&[b"suiyin paper v1\n", entity, at.unix_timestamp().to_string().as_bytes()].concat()).first_chunk::<16>().map_or(&[], <[u8; 16]>::as_slice));
    let domain = said.message_id.rsplit('@').next().unwrap_or_default();
    let message_id = format!("<{token}@{domain}>");
    let mut fields = [said.from.as_slice(), &said.to].concat();
    header::words(&mut fields, "Subject", &format!("PDF：{}", said.subject));
    header::plain(&mut fields, "Date", &header::date(at));
    header::plain(&mut fields, "Message-ID", &message_id);
    header::plain(&mut fields, "In-Reply-To", &format!("<{}>", said.message_id));
    header::plain(&mut fields, "References", &format!("<{}>", said.message_id));
    // spec: rfc3834#5 an answer to what its reader asked for
    header::plain(&mut fields, "Auto-Submitted", "auto-replied");
    let boundary = format!("=_p{token}");
    let mut bytes = fields.clone();
    line(&mut bytes, &["Content-Language: zh, en"]);
    line(&mut bytes, &["Content-Type: multipart/mixed; hp=\"clear\";"]);
    line(&mut bytes, &[" boundary=\"", &boundary, "\""]);
    line(&mut bytes, &["\r\n--", &boundary]);
    let mut text = String::new();
    push(&mut text, &["您要的对账单 PDF 见附件，数值与原邮件一致。\n", "The PDF of the statement that you asked for is attached. It has the figures of the first message.\n"]);
    part(&mut bytes, "text/plain; charset=utf-8", &|out| quoted_printable::encode(&text, out));
    line(&mut bytes, &["\r\n--", &boundary]);
    line(&mut bytes, &["Content-Type: application/pdf"]);
    line(&mut bytes, &["Content-Disposition: attachment; filename=\"", &said.file_name, "\""]);
    line(&mut bytes, &["Content-Transfer-Encoding: base64\r\n"]);
    for chunk in base64::engine::general_purpose::STANDARD.encode(paper).as_bytes().chunks(WIDTH) {
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    line(&mut bytes, &["\r\n--", &boundary, "--"]);
    let digest = super::body_digest(&bytes);
    Ok(Entity { bytes, digest, fields, message_id, token, named: None, reference: None })
}
