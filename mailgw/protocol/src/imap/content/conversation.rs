//! Which conversation a message is of, by what its own header says: the message that begins it. So every message says the same for
//! ever and in every mailbox, and nothing has to be kept. A reply that names its parent alone begins at that parent.
//!
//! Not kept with the message for a reason: found out at delivery it would hang on the order in which mail came, be another after an
//! archive is loaded or a deleted message had back, and change nothing that a client may rely on. spec: rfc8474#5.2
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mail_parser::HeaderValue;

use super::part::{header_end, read_header, slice};

/// Octets of the longest message id that is one's name: an id of an object has 255 characters at most. spec: rfc8474#7
const MAX_ID: usize = 190;

/// Of a message with this content. spec: rfc8474#5.2
pub(crate) fn thread_id(bytes: &[u8], content: u64) -> String {
    match beginning(bytes) {
        Some(id) => format!("T{}", URL_SAFE_NO_PAD.encode(id)),
        None => alone(content),
    }
}

/// Of a message that names no other, and not itself.
fn alone(content: u64) -> String {
    format!("S{content}")
}

/// What a message must have to be of that conversation: a message id that its header names.
pub(crate) fn named_by(thread: &str) -> Option<String> {
    let id = URL_SAFE_NO_PAD.decode(thread.strip_prefix('T')?).ok()?;
    String::from_utf8(id).ok().filter(|id| !id.is_empty())
}

/// spec: rfc5256#3 References, or else In-Reply-To, the eldest first
fn beginning(bytes: &[u8]) -> Option<String> {
    let message = read_header(slice(bytes, 0..header_end(bytes, 0..bytes.len())));
    let first = |value: &HeaderValue<'_>| match value {
        HeaderValue::Text(one) => Some(one.to_string()),
        HeaderValue::TextList(all) => all.first().map(ToString::to_string),
        _ => None,
    };
    let id = first(message.references()).or_else(|| first(message.in_reply_to())).or_else(|| message.message_id().map(str::to_owned));
    id.filter(|id| (1..=MAX_ID).contains(&id.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_conversation_name_its_beginning() {
        let id = |header: &str| thread_id(format!("{header}\r\n\r\nx").as_bytes(), 7);
        let first = id("Message-ID: <1@a.cn>");
        assert_eq!(named_by(&first).as_deref(), Some("1@a.cn"));
        for reply in [
            "Message-ID: <2@b.cn>\r\nIn-Reply-To: <1@a.cn>",
            "Message-ID: <3@a.cn>\r\nIn-Reply-To: <2@b.cn>\r\nReferences: <1@a.cn>\r\n <2@b.cn>",
            "References: <1@a.cn>",
        ] {
            assert_eq!(id(reply), first, "{reply}");
        }
        assert_ne!(id("Message-ID: <1@A.cn>"), first);
        assert_eq!((id("Subject: x"), id(&format!("Message-ID: <{}@a.cn>", "x".repeat(300)))), ("S7".to_owned(), "S7".to_owned()));
        // An id is one of the grammar, whatever the header holds.
        for header in [format!("Message-ID: <{}@a.cn>", "x".repeat(185)), "Message-ID: <\u{6797}(\"@a.cn>".to_owned()] {
            let id = id(&header);
            assert!(id.len() <= 255 && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')), "{id}");
        }
        assert_eq!((named_by("S7"), named_by("T"), named_by("T*")), (None, None, None));
    }
}
