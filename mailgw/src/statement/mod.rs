//! A validated statement row becomes a sealed message: text, HTML and JSON of the same figures, byte for byte the same
//! for the same row.
//!
//! `entity` makes the bytes that the bureau's key signs, `message` puts the signature beside them, untouched:
//!
//! ```text
//! multipart/signed                          RFC 8551, section 3.5
//! ├ multipart/mixed; hp="clear"             signed, with the header of the message inside (RFC 9788)
//! │ ├ multipart/alternative
//! │ │ ├ text/plain
//! │ │ └ text/html
//! │ └ application/json                      statement-PERIOD.json
//! └ application/pkcs7-signature             smime.p7s
//! ```

mod advice;
mod boilerplate;
mod correction;
mod example;
mod frame;
mod history;
mod html;
mod json;
mod letter;
mod paper;
mod reference;
mod sender;
mod sheet;
mod text;

use base64::Engine as _;
use keys::{DataKey, DataKeyError};
use policies::mailbox::Address;
use policies::sender::{Letter, LetterKind};
use policies::statement::{Money, Period, Row};
use ring::digest;
use time::OffsetDateTime;

use crate::mime::{header, quoted_printable};
pub use advice::{CONSENT, PDF_ADDRESS, READ_ADDRESS};
pub use boilerplate::Boilerplate;
pub use correction::{Correction, Withdrawal};
pub use example::{example, example_fields, likeness};
pub use history::MONTHS;
pub use paper::{PaperError, letter as paper_letter, paper, sealed_part};
pub use reference::{Named, named_by, reference_of};
pub use sheet::title_of;
pub use sender::{Hotline, HotlineError, Sender};

/// Columns of base64.
const WIDTH: usize = 76;

/// The signed part of a message: canonical already, so that these bytes are what is signed, sent and kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Entity {
    bytes: Vec<u8>,
    digest: [u8; 32],
    /// The fields that both the message and, protected, the entity begin with.
    fields: Vec<u8>,
    message_id: String,
    token: String,
    /// The statement that the message is, or speaks of.
    named: Option<Named>,
    /// The same, sealed, as the message bears it.
    reference: Option<String>,
}

impl Entity {
    /// What the detached signature covers. Lines end in CRLF, the last one too.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their SHA-256.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Its octets go once they stand in a message, which may wait a while; what names it stays.
    pub(crate) fn let_go(&mut self) {
        (self.bytes, self.fields) = (Vec::new(), Vec::new());
    }

    /// With its angle brackets. The same for the same statement of the same bureau, whenever it is sent.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// With a field on the outside of the message by which whoever has the key finds the statement again.
    pub fn referred(self, key: &DataKey) -> Result<Self, DataKeyError> {
        let reference = self.named.as_ref().map(|named| named.seal(key)).transpose()?;
        Ok(Self { reference, ..self })
    }
}

/// What a statement tells besides its row.
#[derive(Clone, Copy, Default)]
pub struct Beside<'a> {
    pub correction: Option<&'a Correction<'a>>,
    /// Closing balances of months before, oldest first.
    pub history: &'a [(Period, Money)],
}

/// One statement by itself, as [`Boilerplate::entity`] renders many.
pub fn entity(row: &Row, sender: &Sender, to: &Address, date: OffsetDateTime, beside: &Beside<'_>) -> Entity {
    Boilerplate::new(row.kind(), row.head().period, sender, to.domain(), date).entity(row, to, beside)
}

/// A notice for `to` that a statement is withdrawn.
pub fn withdrawal(withdrawn: &Withdrawal<'_>, sender: &Sender, to: &Address, date: OffsetDateTime) -> Entity {
    let (text, html, json) = (withdrawn.text(sender), withdrawn.html(sender), withdrawn.json());
    assemble(&Parts {
        sender,
        to,
        date,
        token: token("suiyin withdrawal v1", sender, withdrawn.statement.as_str()),
        statement: withdrawn.statement.as_str(),
        from: &from_field(sender),
        subject: &subject_field(&withdrawn.subject()),
        about: Some(message_id(sender, &token("suiyin statement v1", sender, withdrawn.statement.as_str()))),
        text: &|out| quoted_printable::encode(&text, out),
        html: &|out| quoted_printable::encode(&html, out),
        file_name: &withdrawn.file_name(),
        json: &|out| quoted_printable::encode(&json, out),
        room: (text.len() + html.len() + json.len()) * 2,
    })
}

/// Renders a message of a kind that a policy defines, as [`entity`] does a statement.
pub fn letter(kind: &LetterKind, letter: &Letter, sender: &Sender, to: &Address, date: OffsetDateTime, correction: Option<&Correction<'_>>) -> Entity {
    let page = letter::Page { kind, letter, correction, to };
    let (text, html, json) = (page.text(sender), page.html(sender), page.json());
    assemble(&Parts {
        sender,
        to,
        date,
        token: token("suiyin statement v1", sender, letter.stmt_id.as_str()),
        statement: letter.stmt_id.as_str(),
        from: &from_field(sender),
        subject: &subject_field(&page.subject()),
        about: correction.map(|correction| message_id(sender, &token("suiyin statement v1", sender, correction.corrects.as_str()))),
        text: &|out| quoted_printable::encode(&text, out),
        html: &|out| quoted_printable::encode(&html, out),
        file_name: &page.file_name(),
        json: &|out| quoted_printable::encode(&json, out),
        room: (text.len() + html.len() + json.len()) * 2,
    })
}

/// Writes a part, encoded.
type Written<'a> = &'a dyn Fn(&mut Vec<u8>);

/// What a message is made of.
struct Parts<'a> {
    sender: &'a Sender,
    to: &'a Address,
    date: OffsetDateTime,
    token: String,
    /// The bureau's own number of it.
    statement: &'a str,
    /// Fields of the header.
    from: &'a [u8],
    subject: &'a [u8],
    /// The Message-ID of the one that it speaks of.
    about: Option<String>,
    text: Written<'a>,
    html: Written<'a>,
    file_name: &'a str,
    json: Written<'a>,
    /// Octets of the three, about.
    room: usize,
}

fn from_field(sender: &Sender) -> Vec<u8> {
    let mut field = Vec::with_capacity(128);
    header::mailbox(&mut field, "From", sender.name.as_str(), sender.address.as_str());
    field
}

fn subject_field(subject: &str) -> Vec<u8> {
    let mut field = Vec::with_capacity(256);
    header::words(&mut field, "Subject", subject);
    field
}

fn message_id(sender: &Sender, token: &str) -> String {
    format!("<{token}@{}>", sender.address.as_str().rsplit('@').next().unwrap_or_default())
}

fn assemble(parts: &Parts<'_>) -> Entity {
    let Parts { sender, token, .. } = parts;
    let message_id = message_id(sender, token);
    let mut fields = Vec::with_capacity(512);
    fields.extend_from_slice(parts.from);
    header::plain(&mut fields, "To", &parts.to.to_string());
    fields.extend_from_slice(parts.subject);
    header::plain(&mut fields, "Date", &header::date(parts.date));
    header::plain(&mut fields, "Message-ID", &message_id);
    if let Some(about) = &parts.about {
        // spec: rfc5322#3.6.4; a program that draws threads shows both together.
        header::plain(&mut fields, "In-Reply-To", about);
        header::plain(&mut fields, "References", about);
    }
    // spec: rfc3834#5
    header::plain(&mut fields, "Auto-Submitted", "auto-generated");

    let (mixed, alternative) = (format!("=_m{token}"), format!("=_a{token}"));
    let mut bytes = Vec::with_capacity(parts.room + 2 * 1024);
    bytes.extend_from_slice(&fields);
    line(&mut bytes, &["Content-Language: zh, en"]);
    // spec: rfc9788
    line(&mut bytes, &["Content-Type: multipart/mixed; hp=\"clear\";"]);
    line(&mut bytes, &[" boundary=\"", &mixed, "\""]);
    line(&mut bytes, &["\r\n--", &mixed]);
    line(&mut bytes, &["Content-Type: multipart/alternative;"]);
    line(&mut bytes, &[" boundary=\"", &alternative, "\""]);
    line(&mut bytes, &["\r\n--", &alternative]);
    part(&mut bytes, "text/plain; charset=utf-8", parts.text);
    line(&mut bytes, &["\r\n--", &alternative]);
    part(&mut bytes, "text/html; charset=utf-8", parts.html);
    line(&mut bytes, &["\r\n--", &alternative, "--"]);
    line(&mut bytes, &["\r\n--", &mixed]);
    line(&mut bytes, &["Content-Disposition: attachment; filename=\"", parts.file_name, "\""]);
    part(&mut bytes, "application/json", parts.json);
    line(&mut bytes, &["\r\n--", &mixed, "--"]);
    let named = Some(Named { bureau: sender.code.as_str().to_owned(), statement: parts.statement.to_owned() });
    let digest = body_digest(&bytes);
    Entity { bytes, digest, fields, message_id, token: token.clone(), named, reference: None }
}

/// The message: its header, the entity as it was signed, and the signature (a DER `ContentInfo`, detached, SHA-256).
pub fn message(entity: &Entity, signature_der: &[u8]) -> Vec<u8> {
    message_around(entity, signature_der).0
}

/// The same, and where the entity begins in it.
pub(crate) fn message_around(entity: &Entity, signature_der: &[u8]) -> (Vec<u8>, Option<usize>) {
    let mut out = outside(entity, room(entity, signature_der));
    let at = put_signed(entity, signature_der, &mut out);
    (out, Some(at))
}

/// The message where its reader alone can open it: the same header, and around what was signed an envelope (a DER `ContentInfo`).
// spec: rfc8551#3.3
pub fn encrypted(entity: &Entity, envelope_der: &[u8]) -> Vec<u8> {
    let mut out = outside(entity, envelope_der.len() * 3 / 2);
    line(&mut out, &["Content-Type: application/pkcs7-mime;"]);
    line(&mut out, &[" smime-type=authEnveloped-data; name=\"smime.p7m\""]);
    line(&mut out, &["Content-Transfer-Encoding: base64"]);
    line(&mut out, &["Content-Disposition: attachment; filename=\"smime.p7m\"\r\n"]);
    base64_lines(envelope_der, &mut out);
    out
}

/// The header that readers see, to what says of what form the content is, with room for that.
fn outside(entity: &Entity, room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(entity.fields.len() + 1024 + room);
    out.extend_from_slice(&entity.fields);
    entity.reference.iter().for_each(|reference| reference::put(&mut out, reference));
    line(&mut out, &["Content-Language: zh, en"]);
    line(&mut out, &["MIME-Version: 1.0"]);
    out
}

/// What was signed with its signature: what an envelope closes around.
pub fn signed(entity: &Entity, signature_der: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(room(entity, signature_der));
    put_signed(entity, signature_der, &mut out);
    out
}

/// Octets of an entity with its signature, about.
fn room(entity: &Entity, signature_der: &[u8]) -> usize {
    entity.bytes.len() + signature_der.len() * 3 / 2 + 1024
}

/// Where the entity begins.
fn put_signed(entity: &Entity, signature_der: &[u8], out: &mut Vec<u8>) -> usize {
    let boundary = format!("=_s{}", entity.token);
    // spec: rfc8551#3.5.3.2
    line(out, &["Content-Type: multipart/signed; micalg=sha-256;"]);
    line(out, &[" protocol=\"application/pkcs7-signature\";"]);
    line(out, &[" boundary=\"", &boundary, "\""]);
    line(out, &["\r\n--", &boundary]);
    let at = out.len();
    out.extend_from_slice(&entity.bytes);
    line(out, &["\r\n--", &boundary]);
    line(out, &["Content-Type: application/pkcs7-signature; name=\"smime.p7s\""]);
    line(out, &["Content-Transfer-Encoding: base64"]);
    line(out, &["Content-Disposition: attachment; filename=\"smime.p7s\"\r\n"]);
    base64_lines(signature_der, out);
    line(out, &["\r\n--", &boundary, "--"]);
    at
}

fn base64_lines(der: &[u8], out: &mut Vec<u8>) {
    for chunk in base64::engine::general_purpose::STANDARD.encode(der).as_bytes().chunks(WIDTH) {
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
}

/// The figures are the citizen's business alone.
impl std::fmt::Debug for Entity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Entity({})", self.message_id)
    }
}

fn body_digest(bytes: &[u8]) -> [u8; 32] {
    crate::record::body::digest(bytes)
}

fn part(out: &mut Vec<u8>, content_type: &str, text: Written<'_>) {
    line(out, &["Content-Type: ", content_type]);
    line(out, &["Content-Transfer-Encoding: quoted-printable\r\n"]);
    text(out);
}

fn line(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    out.extend_from_slice(b"\r\n");
}

/// Names a statement in identifiers and boundaries without telling anything of it: 32 hexadecimal digits.
fn token(what: &str, sender: &Sender, statement_id: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for field in [what, sender.code.as_str(), statement_id] {
        // The length before each field keeps two pairs of fields from reading as one.
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field.as_bytes());
    }
    crate::hex(context.finish().as_ref().first_chunk::<16>().map_or(&[], <[u8; 16]>::as_slice))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod renderings;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod samples;
#[cfg(test)]
mod tests;
