//! A store that takes nothing more ends the service, so that it is opened again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use ca::job::{Health, Jobs};
use ca::service::Service;
use ca::status::Status;
use evidence::{Evidence, LogSigner, Standing};
use keys::{KeyStore, Passphrase};
use runtime::clock::SystemClock;
use runtime::exit::Exit;
use runtime::shutdown::Shutdown;
use store::{Fault, Faulty, Memory};

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_end_the_service_once_there_is_room() {
    let (place, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let opened = ca::init::init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap();
    let status = Arc::new(Status::new(&opened.authority).unwrap());
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    // Looked at first when it fails.
    let failing = Arc::new(Faulty::new(Arc::new(Memory::new())).at(0, Fault::Lost));
    let key = KeyStore::create(&beside.path().join("keys"), &passphrase()).unwrap().note_key("log").unwrap();
    let log = Evidence::open(failing, LogSigner { origin: "ca.example.cn/ca".into(), key }, beside.path()).unwrap();
    let standing = Arc::new(Standing::new(Arc::new(log), beside.path().to_owned()));
    let jobs = Jobs::new(service, status, opened.keys, Arc::new(Health::default())).with_standing(Arc::clone(&standing));
    let shutdown = Shutdown::new();
    tokio::time::timeout(Duration::from_secs(60), Arc::new(jobs).run(shutdown.clone())).await.expect("the service ends");
    assert!(shutdown.is_set());
    assert_eq!(standing.ended().unwrap_err().exit, Exit::Unavailable);
}
