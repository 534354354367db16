//! The IMAP listener driven over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod concurrency;
mod folders;
mod harness;
mod history;
mod letters;
mod limits;
mod mail;
mod newer;
mod notify;
mod quirks;
mod resync;
mod search;
mod switches;
mod tickets;

use harness::*;
use mailgw::wire::imap::Limits;

/// For looking with foreign clients: `cargo test -p mailgw --test imap -- --ignored waits --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "waits for ever"]
async fn waits() {
    let directory = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(store::open_fjall(directory.path()).unwrap());
    let limits = Limits { of_one_address: 10_000, before_login: 10_000, ..Limits::default() };
    let server = start_on(store, limits, "127.0.0.1:14143", "127.0.0.1:14993").await;
    let pem = std::env::temp_dir().join("imap-waits.pem");
    std::fs::write(&pem, pem::encode(&pem::Pem::new("CERTIFICATE", server.certificate.to_vec()))).unwrap();
    println!("imap {} imaps {} user {ONE} password {PASSWORD} root {}", server.imap, server.imaps, pem.display());
    server.task.await.unwrap();
}
