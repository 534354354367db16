//! The mail gateway's two addresses before reports that are almost right: what was not said of a letter changes none.

use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;

use ca::flow::notice::due;
use ca::flow::outbox::{Done, list};
use ca::http::outbox;
use ca::record::NoticeState;
use runtime::admin::{AdminSocket, SOCKET};
use runtime::clock::FakeClock;
use serde_json::json;
use time::macros::datetime;

use super::*;

const FOUNDED: time::OffsetDateTime = datetime!(2026-11-28 16:00 UTC);
const COLLECT: &str = "/v1/outbox/collect";
const DONE: &str = "/v1/outbox/done";

fn sent(socket: &std::path::Path, path: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn no_report_of_a_letter_is_too_strange_for_an_answer() {
    let _alone = ALONE.lock().await;
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(FOUNDED));
    let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    for mailbox in ["yi@mail.example.cn", "er@mail.example.cn"] {
        let applicant = Words { mailbox: Some(mailbox.into()), ..company() };
        issue(&opened.authority, Authorised::by_ownership(0), Order { profile: "enterprise-signing".into(), request: csr(&rcgen::KeyPair::generate().unwrap(), &[]), applicant, issuer: None }).unwrap();
    }
    // Both end in 25 days, and their holders are to be told.
    clock.set(FOUNDED + time::Duration::days(705));
    while due(&opened.authority).unwrap().looked_at > 0 {}
    let authority = Arc::new(opened.authority);
    let notices = || list(&authority, None, 100).unwrap();
    let (before, queued) = (notices().len(), list(&authority, Some(NoticeState::Queued), 100).unwrap());
    assert!(queued.len() >= 2);
    std::fs::DirBuilder::new().mode(0o700).create(place.path().join("door")).unwrap();
    let socket = AdminSocket::bind(&place.path().join("door")).await.unwrap();
    tokio::spawn(socket.serve(outbox::router(Arc::clone(&authority)), Shutdown::new()));
    let socket = place.path().join("door").join(SOCKET);
    let panics = panics_counted();
    let ids: Vec<String> = queued.iter().map(|notice| notice.id()).collect();
    let seeds: Vec<Vec<u8>> = [
        json!([{ "id": ids[0], "outcome": { "later": "gateway" } }]),
        json!([{ "id": ids[0], "outcome": { "delivered": "ab".repeat(32) } }, { "id": "not-one-of-ours", "outcome": { "refused": "unknown-mailbox" } }]),
        json!([]),
    ]
    .iter()
    .map(|seed| seed.to_string().into_bytes())
    .collect();
    // Each is read as it stands: a seed that means nothing tries nothing.
    seeds.iter().for_each(|seed| drop(serde_json::from_slice::<Vec<Done>>(seed).unwrap()));
    let asking = move || {
        let (mut dice, began, above) = (Dice(20_261_131), Instant::now(), Above::now());
        let (mut answered, mut fine) = (0, 0);
        while began.elapsed() < Duration::from_secs(4) && answered < 1_500 {
            let seed = &seeds[dice.below(seeds.len())];
            let (path, body) = if dice.below(8) == 0 { (COLLECT, Vec::new()) } else { (DONE, dice.changed(seed)) };
            let answer = sent(&socket, path, &body);
            let status = status_of(&answer);
            assert!((200..500).contains(&status) && answer.len() < 256 * 1024, "{path} {} {}", body.escape_ascii(), answer.escape_ascii());
            answered += 1;
            fine += usize::from(status == 200 && path == DONE);
        }
        // A longer report than there are letters on a page, and one that never ends.
        let many = json!((0..2_000).map(|_| json!({ "id": "x", "outcome": { "delivered": "" } })).collect::<Vec<_>>()).to_string();
        assert!([413, 422].contains(&status_of(&sent(&socket, DONE, many.as_bytes()))));
        assert!([400, 413, 422].contains(&status_of(&sent(&socket, DONE, &vec![b'['; 60 << 10]))));
        (answered, fine, above.at_most())
    };
    let (answered, fine, most) = tokio::task::spawn_blocking(asking).await.unwrap();
    println!("{answered} reports, {fine} taken, {} KiB held at most", most >> 10);
    assert!(answered > 100 && fine > 0, "{answered} {fine}");
    assert!(most < 32 << 20, "{most}");
    assert_eq!(panics(), 0);
    // Letters are as many as before, and the one nobody spoke of still waits.
    assert_eq!(notices().len(), before);
    let waiting = list(&authority, Some(NoticeState::Queued), 100).unwrap();
    assert!(ids[1..].iter().all(|id| waiting.iter().any(|notice| notice.id() == *id)), "{waiting:?}");
}
