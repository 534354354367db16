//! Damaged requests: refused or read, never a panic, and never accepted with a changed meaning.
#![allow(clippy::unwrap_used)]

use pki::request::Request;

fn request() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["mail.example.cn".into()]).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "广州天河测试有限公司");
    parameters.serialize_request(&key).unwrap().der().to_vec()
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = request();
    let read = Request::parse(&good).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut damaged = good.clone();
            damaged[at] ^= 1 << bit;
            // All but the outermost frame is under the signature or is the signature.
            if let Ok(found) = Request::parse(&damaged) {
                assert_eq!((&found.subject, &found.spki), (&read.subject, &read.spki), "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn every_cut_and_every_tail_is_refused() {
    let good = request();
    for at in 0..good.len() {
        assert!(Request::parse(&good[..at]).is_err(), "cut at {at}");
    }
    assert!(Request::parse(&[&good[..], &[0]].concat()).is_err());
}
