//! A gateway and a sealer are founded whole, and opened only whole.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use keys::Passphrase;
use mailgw::init::{self, Configuration, Founding, InitError, Listen, Opened};
use mailgw::record::event::{Event, STREAM};
use mailgw::sealer;
use runtime::clock::FakeClock;
use time::macros::datetime;

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::new(datetime!(2026-11-25 08:00 UTC)))
}

fn anchors() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&key).unwrap().pem()
}

fn found(path: &Path) -> Opened {
    let anchors = anchors();
    let any = "127.0.0.1:0".parse().unwrap();
    let listen = Listen { smtp: any, imap: any, imaps: any, submissions: None, submission: None, pop3: None, pop3s: None, autoconfig: None, applications: None, push: None, lmtp: None, http: any };
    let configuration = Configuration { store: "fjall:store".into(), sealer: "sealer".into(), outbox: Vec::new(), policy_arc: "1.3.6.1.4.1.32473".into(), listen, announced: None, timestamp: None, sending: None, texts: None, tokens: None };
    let founding = Founding { domain: "mail.gz.example", host: "mx.mail.gz.example", configuration, anchors: anchors.as_bytes() };
    init::init(path, &founding, &passphrase(), clock()).unwrap()
}

fn open(path: &Path) -> Result<Opened, InitError> {
    init::open(path, None, &passphrase(), clock())
}

/// The digests of the policies in the log.
fn read(opened: &Opened) -> Vec<String> {
    let leaves = opened.gateway.store.read_stream(STREAM, 0, 100).unwrap();
    let policies = |leaf: &Vec<u8>| if let (Event::PoliciesRead(policies), _) = Event::from_leaf(leaf).unwrap() { Some(policies.sha256) } else { None };
    leaves.iter().filter_map(policies).collect()
}

#[test]
fn the_log_tells_which_policies_were_read() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("gateway");
    let first = read(&found(&path));
    assert_eq!(first.len(), 1);
    // The same again are no news; others are.
    assert_eq!(read(&open(&path).unwrap()), first);
    let file = path.join("policies/mailbox").read_dir().unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("# looked at again\n{text}")).unwrap();
    let both = read(&open(&path).unwrap());
    assert_eq!((both.len(), both.first()), (2, first.first()));
    assert_ne!(both.first(), both.last());
    std::fs::write(&file, "colour = 1\n").unwrap();
    assert!(matches!(open(&path), Err(InitError::Policy(_))));
    std::fs::write(&file, "#".repeat(300 * 1024)).unwrap();
    assert!(matches!(open(&path), Err(InitError::File { .. })));
}

/// Without its head a store that lost records would pass for whole; a new key would sign another log.
#[test]
fn a_log_without_its_head_or_key_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let (gateway, sealing) = (place.path().join("gateway"), place.path().join("sealer"));
    drop(found(&gateway));
    let configuration = sealer::Configuration { store: "fjall:store".into(), policy_arc: "1.3.6.1.4.1.32473".into() };
    drop(sealer::init(&sealing, "mx.mail.gz.example", &configuration, anchors().as_bytes(), &passphrase(), clock()).unwrap());
    let both = || [open(&gateway).map(|_| ()), sealer::open(&sealing, &passphrase(), clock()).map(|_| ())];
    assert!(both().iter().all(Result::is_ok));
    let key = |path: &Path| path.join("keys").read_dir().unwrap().map(|entry| entry.unwrap().path()).find(|path| path.file_stem().is_some_and(|stem| stem == "log")).unwrap();
    for (name, files) in [("signed head", [gateway.join(evidence::HEAD), sealing.join(evidence::HEAD)]), ("key", [key(&gateway), key(&sealing)])] {
        for file in &files {
            std::fs::rename(file, file.with_extension("away")).unwrap();
        }
        for refused in both() {
            let Err(InitError::LogMissing { what, .. }) = refused else { panic!("{name}: {refused:?}") };
            assert_eq!(what, name);
        }
        for file in &files {
            std::fs::rename(file.with_extension("away"), file).unwrap();
        }
    }
    assert!(both().iter().all(Result::is_ok));
}
