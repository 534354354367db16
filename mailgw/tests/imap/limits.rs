//! Bounds in number, size and time, and the end of the service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use mailgw::wire::imap::Limits;
use protocol::imap::exchange::{Flags, StoreOp, SystemFlag};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::harness::*;

async fn until(what: impl Fn() -> bool) {
    for _ in 0..400 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}

#[tokio::test]
async fn connections_are_counted() {
    let server = start(Limits { of_one_address: 3, before_login: 2, ..quick() }).await;
    let (one, _two) = (server.client(ONE).await, server.client(ONE).await);
    let _three = server.connect().await;
    let mut refused = TcpStream::connect(server.imap).await.unwrap();
    let mut said = String::new();
    refused.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "* BYE [UNAVAILABLE] Too many connections; try again later\r\n");
    assert_eq!(server.metric("imap_turned_away_total{limit=\"address\"}"), "1");
    drop(one);
    until(|| server.metric("imap_connections ") == "2").await;
    server.client(ONE).await.ok("NOOP").await;
}

#[tokio::test]
async fn the_silent_are_sent_away() {
    let server = start(Limits { authentication: Duration::from_millis(300), silence: Duration::from_millis(600), ..quick() }).await;
    let mut stranger = server.connect().await;
    let mut idle = server.client(ONE).await;
    idle.ok("SELECT INBOX").await;
    idle.send(b"i IDLE\r\n").await;
    assert_eq!(idle.line().await, "+ idling");
    assert_eq!(stranger.line().await, "* BYE No login in time");
    assert!(stranger.ended().await);
    assert_eq!(idle.line().await, "* BYE Silent for too long");
    assert!(idle.ended().await);
    // Who says nothing at all, not even TLS.
    let mut mute = TcpStream::connect(server.imaps).await.unwrap();
    assert_eq!(mute.read(&mut [0; 10]).await.unwrap_or(0), 0);
}

/// More than may wait for commits at one time have sent half of a message: whoever sends all of one does not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_slow_to_send_holds_no_place_of_those_who_wait_for_a_commit() {
    let server = start(Limits { append: 20_000, ..quick() }).await;
    let mut slow = Vec::new();
    for _ in 0..140 {
        let mut client = server.client(ONE).await;
        client.send(b"x APPEND INBOX {10}\r\n").await;
        assert!(client.line().await.starts_with("+ "));
        client.send(b"half").await;
        slow.push(client);
    }
    let mut client = server.client(OTHER).await;
    let began = std::time::Instant::now();
    for _ in 0..10 {
        assert!(client.append("INBOX", b"Subject: whole\r\n\r\nwhole\r\n").await.starts_with("OK "));
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    for client in &mut slow {
        client.send(b"-whole\r\n").await;
        assert!(client.answer("x").await.1.starts_with("OK "));
    }
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_and_the_session_goes_on() {
    let server = start(Limits { append: 20_000, ..quick() }).await;
    let mut client = server.client(ONE).await;
    client.send(b"x APPEND INBOX {20001}\r\n").await;
    assert!(client.answer("x").await.1.starts_with("NO [TOOBIG]"));
    assert!(client.append("INBOX", &[b'x'; 20_000]).await.starts_with("OK"));
    client.send(b"y APPEND INBOX {20001+}\r\n").await;
    let (_, answer) = client.answer("y").await;
    assert!(answer.starts_with("BAD"), "{answer}");
    assert!(client.line().await.starts_with("* BYE"));
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_holds_up_nobody() {
    let server = start(Limits { write: Duration::from_millis(300), ..quick() }).await;
    server.deliver(ONE, "INBOX", &vec![b'x'; 8 * 1024 * 1024]);
    let mut slow = server.client(ONE).await;
    slow.ok("SELECT INBOX").await;
    slow.send(b"f FETCH 1 BODY.PEEK[]\r\n").await;
    let mut other = server.client(ONE).await;
    other.ok("SELECT INBOX").await;
    other.ok("STORE 1 +FLAGS \\Seen").await;
    until(|| server.metric("imap_connections ") == "1").await;
    other.ok("NOOP").await;
}

#[tokio::test]
async fn a_folder_that_goes_ends_the_sessions_in_it() {
    let server = start(quick()).await;
    let (mut one, mut two) = (server.client(ONE).await, server.client(ONE).await);
    one.ok("CREATE work").await;
    two.ok("SELECT work").await;
    two.send(b"i IDLE\r\n").await;
    assert_eq!(two.line().await, "+ idling");
    one.ok("DELETE work").await;
    assert!(two.line().await.starts_with("* BYE The mailbox was deleted"));
    assert!(two.ended().await);
    assert_eq!(server.metric("imap_sessions_outrun_total "), "1");
}

#[tokio::test]
async fn who_falls_too_far_behind_is_sent_away_with_what_it_was_promised() {
    let server = start(quick()).await;
    let size = 16 * 1024 * 1024;
    server.deliver(ONE, "INBOX", &vec![b'x'; size]);
    let mut slow = server.client(ONE).await;
    slow.ok("SELECT INBOX").await;
    slow.send(b"f FETCH 1 BODY.PEEK[]\r\n").await;
    assert!(slow.line().await.ends_with(&format!("{{{size}}}")));
    // The server waits for this client to read on, and 1,100 commits pass.
    let messages = std::sync::Arc::clone(&server.messages);
    let passed = tokio::task::spawn_blocking(move || {
        let folder = messages.folder(ONE, "INBOX").unwrap();
        for at in 0..1_100 {
            let op = if at % 2 == 0 { StoreOp::Add } else { StoreOp::Remove };
            messages.store_flags(ONE, &folder, &[1], op, &Flags::new().with(SystemFlag::Flagged)).unwrap();
        }
    });
    passed.await.unwrap();
    assert!(slow.octets(size).await.iter().all(|byte| *byte == b'x'));
    assert!(slow.answer("f").await.1.starts_with("OK"));
    assert!(slow.line().await.starts_with("* BYE The mailbox was deleted, renamed or changed too fast"));
    assert!(slow.ended().await);
    assert_eq!(server.metric("imap_sessions_outrun_total "), "1");
}

#[tokio::test]
async fn a_transfer_ends_with_its_login() {
    let server = start(quick()).await;
    let size = 1 << 20;
    server.deliver(ONE, "INBOX", &vec![b'x'; size]);
    let (mut thief, mut other) = (server.client(ONE).await, server.client(OTHER).await);
    thief.ok("SELECT INBOX").await;
    for _ in 0..6 {
        thief.ok("COPY 1:* INBOX").await;
        thief.ok("NOOP").await;
    }
    thief.send(b"f FETCH 1:* BODY.PEEK[]\r\n").await;
    assert!(thief.line().await.ends_with(&format!("{{{size}}}")));
    // The server waits for this client to read on: 64 MiB fit into no socket.
    server.end_logins(ONE);
    let (mut told, mut last) = (1, String::new());
    loop {
        let line = thief.line().await;
        if line.is_empty() {
            break;
        }
        told += u32::from(line.contains(" FETCH ("));
        last = line;
    }
    assert!(last.starts_with("* BYE The password was changed"), "{}", &last[..last.len().min(100)]);
    assert!((1..64).contains(&told), "{told} of 64 messages were told");
    other.ok("NOOP").await;
}

#[tokio::test]
async fn shutdown_says_goodbye() {
    let server = start(quick()).await;
    let (mut one, mut two) = (server.client(ONE).await, server.connect().await);
    one.ok("SELECT INBOX").await;
    server.shutdown.begin();
    for client in [&mut one, &mut two] {
        assert_eq!(client.line().await, "* BYE The server is going down; connect again later");
        assert!(client.ended().await);
    }
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.imap).await.is_err());
}
