//! What the holder of a certificate means by a request for its place: the request's subject says so in words, whichever tool
//! made it, and says nothing else of the holder. What was signed for one purpose is taken for no other.
//!
//! `CN=rekey SERIAL`                                      another key, and nothing else
//! `CN=correct SERIAL, O=NAME, emailAddress=MAILBOX`      what the certificate is to say; one of the two may be left out

use const_oid::ObjectIdentifier as Oid;
use pki::name::{COMMON_NAME, ORGANIZATION};

use crate::register;

/// spec: rfc2985#5.2.1
const EMAIL_ADDRESS: Oid = Oid::new_unwrap("1.2.840.113549.1.9.1");

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    Rekey { serial: Vec<u8> },
    Correct { serial: Vec<u8>, name: Option<String>, mailbox: Option<String> },
}

/// `None` for a request that asks for a certificate in the usual way.
pub fn meant(subject: &[(Oid, String)]) -> Option<Meant> {
    let ((first, words), rest) = subject.split_first()?;
    let (verb, serial) = words.split_once(' ').filter(|_| *first == COMMON_NAME)?;
    let serial = register::serial(serial).ok()?;
    let only = |kind: Oid| -> Option<Option<String>> {
        let mut found = rest.iter().filter(|(oid, _)| *oid == kind).map(|(_, text)| text.clone());
        let one = found.next();
        found.next().is_none().then_some(one)
    };
    match (verb, rest) {
        ("rekey", []) => Some(Meant::Rekey { serial }),
        ("correct", [_, ..]) if rest.iter().all(|(oid, _)| [ORGANIZATION, EMAIL_ADDRESS].contains(oid)) => {
            Some(Meant::Correct { serial, name: only(ORGANIZATION)?, mailbox: only(EMAIL_ADDRESS)? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SERIAL: &str = "40000000000000000000000000000001";

    #[test]
    fn only_these_words_mean_something() {
        let of = |subject: &[(Oid, &str)]| meant(&subject.iter().map(|(oid, text)| (*oid, (*text).to_owned())).collect::<Vec<_>>());
        let serial = register::serial(SERIAL).unwrap();
        let (rekey, correct) = (format!("rekey {SERIAL}"), format!("correct {SERIAL}"));
        assert_eq!(of(&[(COMMON_NAME, &rekey)]), Some(Meant::Rekey { serial: serial.clone() }));
        let both = [(COMMON_NAME, correct.as_str()), (ORGANIZATION, "新名"), (EMAIL_ADDRESS, "1@a.cn")];
        assert_eq!(of(&both), Some(Meant::Correct { serial: serial.clone(), name: Some("新名".into()), mailbox: Some("1@a.cn".into()) }));
        assert_eq!(of(&both[..2]), Some(Meant::Correct { serial, name: Some("新名".into()), mailbox: None }));
        for nothing in [
            &[(COMMON_NAME, correct.as_str())][..],
            &[(COMMON_NAME, rekey.as_str()), (ORGANIZATION, "新名")],
            &[(ORGANIZATION, rekey.as_str())],
            &[(COMMON_NAME, correct.as_str()), (ORGANIZATION, "新名"), (ORGANIZATION, "别名")],
            &[(COMMON_NAME, correct.as_str()), (COMMON_NAME, "新名")],
            &[(COMMON_NAME, "rekey x")],
            &[(COMMON_NAME, "广州某某有限公司")],
            &[],
        ] {
            assert_eq!(of(nothing), None, "{nothing:?}");
        }
    }
}
