//! The keys of SCRAM-SHA-256: made of a password once, and what proves that a client knows it. spec: rfc5802#3 rfc7677
//!
//! The salt is no secret and says nothing of who there is: it is a keyed digest of the name that was written, whether a mailbox has it
//! or none. So the names of one mailbox have salts that differ, as those of two have, and an app password has keys for each of them.

use std::num::NonZeroU32;

use keys::DataKey;
use policies::mailbox::MailboxNumber;
use ring::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::record::app_password::ScramKeys;

/// The least that is allowed: these passwords have 125 random bits, which nobody guesses at any speed. Another number would make
/// every app password void, and one for some mailboxes would tell which there are. spec: rfc7677#4
pub const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4_095);

pub type Salt = [u8; 32];

/// Of a name, without what may be written in several ways. All app passwords of a mailbox share it, so that any of them can be proved
/// before it is known which one was meant.
pub(super) fn salt(plain: &str, key: &DataKey) -> Salt {
    match MailboxNumber::parse(plain) {
        Ok(number) => key.index("scram salt 1", number.to_string().as_bytes()),
        // As it was called when other names had none of their own: keys that were made by numbers stay good.
        Err(_) => key.index("scram salt of nobody 1", plain.as_bytes()),
    }
}

pub(super) fn keys(password: &str, salt: &Salt) -> ScramKeys {
    #[cfg(test)]
    DERIVED.with(|count| count.set(count.get() + 1));
    let mut salted = Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), &mut *salted);
    let client = Zeroizing::new(sign(&*salted, b"Client Key"));
    ScramKeys { stored: sha256(&*client), server: sign(&*salted, b"Server Key") }
}

/// Whether these are keys of one password.
pub(super) fn same(one: &ScramKeys, other: &ScramKeys) -> bool {
    bool::from(one.stored.ct_eq(&other.stored))
}

/// Whether `proof` was made by somebody who knows the password of these keys. spec: rfc5802#3
pub(super) fn proves(keys: &ScramKeys, exchange: &str, proof: &[u8; 32]) -> bool {
    let mut client = Zeroizing::new(sign(&keys.stored, exchange.as_bytes()));
    client.iter_mut().zip(proof).for_each(|(byte, proof)| *byte ^= proof);
    bool::from(sha256(&*client).ct_eq(&keys.stored))
}

/// That the server knows them, too.
pub(super) fn server_signature(keys: &ScramKeys, exchange: &str) -> [u8; 32] {
    sign(&keys.server, exchange.as_bytes())
}

#[cfg(test)]
thread_local! {
    /// How many passwords this thread made keys of.
    pub(super) static DERIVED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

fn sign(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref());
    out
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// spec: rfc7677#3
    #[test]
    fn the_known_answer() {
        let mut salted = [0; 32];
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, b"pencil", &mut salted);
        let keys = ScramKeys { stored: sha256(&sign(&salted, b"Client Key")), server: sign(&salted, b"Server Key") };
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let exchange = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}");
        let mut proof: [u8; 32] = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap().try_into().unwrap();
        assert!(proves(&keys, &exchange, &proof));
        assert_eq!(STANDARD.encode(server_signature(&keys, &exchange)), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert!(!proves(&keys, &exchange.replace("n=user", "n=usex"), &proof));
        proof[31] ^= 1;
        assert!(!proves(&keys, &exchange, &proof));
    }
}
