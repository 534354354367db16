//! A certificate by our own profile, read as the gateway reads it: trusted with its authority's lists, refused once revoked.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::{Operator, Authorised, publish};
use ca::init::init;
use ca::record::{CrlRecord, Reason, decode, serial_text};
use keys::Passphrase;
use pki::path::{Anchors, Oid, PathError, Requirements, RevocationList, Validation};
use runtime::clock::SystemClock;
use time::OffsetDateTime;

#[test]
fn a_bureaus_seal_is_trusted_until_revoked() {
    let place = tempfile::tempdir().unwrap();
    let passphrase = || Passphrase::new("correct horse battery".into()).unwrap();
    let base = "http://127.0.0.1:8440";
    let opened = init(&place.path().join("ca"), base, "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap();
    let authority = &opened.authority;
    let admin = || -> Authorised<Operator> { Authorised::by_ownership(0) };
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&key).unwrap().der().to_vec();
    let applicant = Words { name: Some("穗城住房公积金管理中心".into()), code: Some("91440101MAT000018G".into()), mailbox: Some("1234567890@mail.example.cn".into()), ..Words::default() };
    let issued = issue(authority, admin(), Order { profile: "bureau-seal".into(), request, applicant, issuer: None }).unwrap();
    let (certificate, issuer) = (&issued.what().record.der, &authority.issuers["officer-ca"]);

    let anchors = Anchors::new(&[&authority.issuers["root"].record.der]).unwrap();
    let required = Requirements {
        extended_key_usage: Oid::new_unwrap("1.3.6.1.5.5.7.3.4"),
        key_usage: vec![0],
        policies: vec![Oid::new_unwrap("1.3.6.1.4.1.32473.3.1")],
    };
    let published = |issuer| -> CrlRecord { decode(&authority.store.get(&CrlRecord::key(issuer)).unwrap().unwrap()).unwrap() };
    let judge = || {
        publish::publish(authority, &Authorised::by_ownership(0), issuer).unwrap();
        let lists = ["root", "officer-ca"].map(|issuer| RevocationList::parse(&published(issuer).der).unwrap());
        Validation { anchors: &anchors, lists: &lists, required: &required, at: OffsetDateTime::now_utc() }.trust(certificate, &[&issuer.record.der])
    };
    let trusted = judge().unwrap();
    let facts = trusted.facts();
    assert_eq!(facts.organization.as_deref(), Some("穗城住房公积金管理中心"));
    assert_eq!(facts.credit_code(), Some("91440101MAT000018G"));
    assert_eq!(facts.emails, ["1234567890@mail.example.cn"]);
    assert!(facts.crl_urls.iter().chain(&facts.ocsp_urls).all(|url| url.starts_with(base)), "{:?}", facts.crl_urls);
    assert_eq!((facts.crl_urls.len(), facts.ocsp_urls.len(), facts.ca_issuers_urls.len()), (1, 1, 1));

    revoke(authority, &admin(), &Revoke { serial: serial_text(&issued.what().serial), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    assert!(matches!(judge(), Err(PathError::Revoked { reason: pki::crl::Reason::Superseded, .. })));
}
