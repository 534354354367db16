//! What a message of fifty megabytes makes the store of mail hold beside it: counted octet by octet, on the engine that serves.
#![allow(clippy::unwrap_used)]

#[path = "../../ca/tests/http_inputs/counted.rs"]
mod counted;

use std::sync::Arc;

use counted::Above;
use keys::{KeyStore, Passphrase};
use mailgw::mailbox::{Delivery, MessageStore};
use protocol::imap::exchange::Flags;

const BOX: &str = "1234567897";
const LARGE: usize = 50_000_000;
/// What any input may make us hold beyond its size.
const BEYOND: usize = 64 << 20;

/// Nothing makes it smaller.
fn noise() -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut octet = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut message = b"Subject: noise\r\n\r\n".to_vec();
    message.resize_with(LARGE, &mut octet);
    message
}

#[test]
fn a_message_is_stored_and_read_with_little_beside_it() {
    let place = tempfile::tempdir().unwrap();
    let keys = KeyStore::create(&place.path().join("keys"), &Passphrase::new("a passphrase for tests only".to_owned()).unwrap()).unwrap();
    let store = store::open_fjall(&place.path().join("store")).unwrap();
    let mail = MessageStore::new(Arc::new(store), Arc::new(keys.data_key("mail").unwrap()));
    mail.create_folder(BOX, "INBOX").unwrap();
    // A field that says who is verified is this gateway's alone: all of these are taken out.
    let marked = |apart: &str| format!("Suiyin-Verified: a\r\n{apart}").into_bytes().into_iter().cycle().take(LARGE).chain(*b"\r\n\r\nbody\r\n").collect();
    for (kind, message) in [("noise", noise()), ("marks", marked("")), ("marks and letters", marked("a: b\r\n")), ("letters", b"Subject: letters\r\n\r\n".iter().copied().chain(*b"letters\r\n").cycle().take(LARGE).collect())] {
        let body = Above::now();
        let sealed = mail.body(&message).unwrap();
        assert!(body.at_most() <= BEYOND, "{kind} sealed: {}", body.at_most());
        let delivery = Delivery { mailbox: BOX.into(), folder: "INBOX".into(), content: Arc::new(sealed).into(), unix_millis: 1_000, flags: Flags::new(), event: None, mark: None };
        let uid = mail.deliver(&[delivery], 1).unwrap();
        assert!(body.at_most() <= BEYOND, "{kind} stored: {}", body.at_most());
        let reading = Above::now();
        let read = mail.load(&mail.folder(BOX, "INBOX").unwrap(), uid[0].uid).unwrap();
        assert!(if kind.starts_with("marks") { read.len() < message.len() && !read.windows(8).any(|part| part == b"Verified") } else { read == message }, "{kind}");
        // The message as it is read is itself one.
        assert!(reading.at_most() <= read.capacity() + (BEYOND / 8), "{kind} read: {}", reading.at_most());
    }
}
