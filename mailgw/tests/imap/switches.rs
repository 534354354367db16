//! Extensions that a policy switches off, at one door and for one mailbox.
use std::sync::Arc;

use mailgw::wire::imap::Limits;
use policies::mailbox::{MailboxPolicy, SHIPPED};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::*;

/// What is told by CAPABILITY.
async fn offered(client: &mut Client) -> Vec<String> {
    let told = client.ok("CAPABILITY").await;
    told.concat().split(' ').map(str::to_owned).collect()
}

async fn offers(client: &mut Client, name: &str) -> bool {
    offered(client).await.iter().any(|told| told == name)
}

/// Under TLS by the door that begins in clear, greeted.
async fn by_starttls(server: &Server) -> Client {
    let mut stream = TcpStream::connect(server.imap).await.unwrap();
    let mut said = vec![0; 4096];
    let count = stream.read(&mut said).await.unwrap();
    let greeting = String::from_utf8_lossy(&said[..count]).into_owned();
    assert!(greeting.contains(" STARTTLS ") && !greeting.contains(" MOVE ") && greeting.contains(" CONDSTORE "), "{greeting}");
    stream.write_all(b"b STARTTLS\r\n").await.unwrap();
    let count = stream.read(&mut said).await.unwrap();
    assert_eq!(&said[..count], b"b OK Begin TLS\r\n");
    Client::new(Box::new(secured(stream, &server.certificate).await))
}

#[tokio::test]
async fn what_is_off_at_one_door_or_for_one_mailbox_is_on_elsewhere() {
    let clients = format!("off = []\n[off_at]\nstarttls = [\"MOVE\"]\ntls = []\n[off_for]\n{ONE} = [\"CONDSTORE\"]\n");
    let policy = MailboxPolicy::parse(SHIPPED.map(|(file, shipped)| (file, if file == "clients.toml" { clients.as_str() } else { shipped }))).unwrap();
    let server = start(Limits { switches: Arc::new(policy.clients().into()), ..quick() }).await;
    for number in [ONE, OTHER] {
        for starttls in [false, true] {
            let at = format!("{number}, {starttls}");
            let uid = server.deliver(number, "INBOX", b"Subject: x\r\n\r\nx\r\n");
            let mut client = if starttls { by_starttls(&server).await } else { server.connect().await };
            // Who it is, is not known yet.
            assert!(offers(&mut client, "CONDSTORE").await && offers(&mut client, "MOVE").await != starttls, "{at}");
            let (_, answer) = client.command(&format!("LOGIN {number} {{{}+}}\r\n{PASSWORD}", PASSWORD.len())).await;
            assert!(answer.starts_with("OK [CAPABILITY ") && answer.contains(" MOVE ") != starttls && answer.contains(" CONDSTORE ") == (number == OTHER), "{at}: {answer}");
            assert!(offers(&mut client, "CONDSTORE").await == (number == OTHER) && offers(&mut client, "MOVE").await != starttls, "{at}");
            client.ok("SELECT INBOX").await;
            let (told, answer) = client.command(&format!("UID FETCH {uid} (MODSEQ)")).await;
            if number == ONE {
                assert_eq!((told.concat().as_str(), answer.as_str()), ("", "BAD CONDSTORE is switched off here"), "{at}");
            } else {
                assert!(told.concat().contains(" MODSEQ (") && answer.starts_with("OK"), "{at}: {told:?} {answer}");
            }
            let (_, answer) = client.command(&format!("UID MOVE {uid} Archive")).await;
            let kept = client.ok(&format!("UID SEARCH UID {uid}")).await;
            if starttls {
                assert_eq!((answer.as_str(), kept), ("BAD MOVE is switched off here", vec![format!("* SEARCH {uid}")]), "{at}");
            } else {
                assert!(answer.starts_with("OK") && kept == ["* SEARCH"], "{at}: {answer} {kept:?}");
            }
        }
    }
}
