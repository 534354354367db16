//! The authority that certifies citizens, bound by its own certificate to mailboxes of the domains that its founding named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;
use std::sync::Arc;

use ca::flow::issue::{Order, issue};
use ca::flow::plan::{Words, mail_domains};
use ca::flow::registrar::{self, SetRegistrar};
use ca::flow::{Authorised, Operator, certified};
use ca::init::{Configuration, certificate_file, init_bound, open};
use ca::problem::OfficerError;
use ca::record::serial_text;
use keys::Passphrase;
use runtime::clock::SystemClock;

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

#[test]
fn only_mailboxes_of_the_named_domains_and_only_by_the_authority_of_citizens() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let domains = mail_domains(&["mail.example.cn".into(), "Mail.Example.CN".into(), "mail.example.org".into()]).unwrap();
    assert_eq!(domains.len(), 2);
    assert!(mail_domains(&["mail_example".into()]).is_err());
    assert!(mail_domains(&(0..17).map(|number| format!("m{number}.example.cn")).collect::<Vec<_>>()).is_err());
    drop(init_bound(&home, "http://127.0.0.1:8440", Configuration::new("127.0.0.1:8440".parse().unwrap()), &domains, &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap());
    let opened = open(&home, None, &passphrase(), Arc::new(SystemClock)).unwrap();
    let authority = &opened.authority;
    for issuer in authority.issuers.values() {
        assert_eq!(certified::bound_to(&issuer.record.der), if issuer.id() == "citizen-ca" { domains.clone() } else { Vec::new() }, "{}", issuer.id());
    }
    // As others read it.
    let shown = Command::new("openssl").args(["x509", "-noout", "-ext", "nameConstraints", "-in"]).arg(certificate_file(&home, "citizen-ca")).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in ["X509v3 Name Constraints: critical", "email:mail.example.cn", "email:mail.example.org", "IP:0.0.0.0/0.0.0.0", "IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    // Nobody is believed about mailboxes that it could certify nobody for.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&key).unwrap().der().to_vec();
    let applicant = Words { dns: vec!["mx.mail.example.cn".into()], ..Words::default() };
    let issued = issue(authority, Authorised::<Operator>::service(), Order { profile: "registrar".into(), request, applicant, issuer: None }).unwrap();
    let set = |domain: &str| registrar::set(authority, &Authorised::by_ownership(7), &SetRegistrar { serial: serial_text(&issued.what().serial), domain: domain.into() });
    assert!(matches!(set("example.cn"), Err(OfficerError::OtherDomain { domains }) if domains == "mail.example.cn, mail.example.org"));
    assert_eq!(set("mail.example.org").unwrap().domain.as_deref(), Some("mail.example.org"));
}
