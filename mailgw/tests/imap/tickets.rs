//! Where a client's certificate is asked for no session of TLS is taken up again: whoever comes shows it each time.
use std::sync::Arc;

use mailgw::wire::accounts::AtDoors;
use mailgw::wire::imap::Limits;
use policies::mailbox::{MailboxPolicy, Port, SHIPPED};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::harness::*;

/// The second handshake of one client, under this version.
async fn second(server: &Server, version: &'static rustls::SupportedProtocolVersion) -> HandshakeKind {
    let mut roots = RootCertStore::empty();
    roots.add(server.certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let stream = TcpStream::connect(server.imaps).await.unwrap();
        let secured = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        kinds.push(secured.get_ref().1.handshake_kind().unwrap());
        // A ticket comes before the greeting.
        let mut client = Client::new(Box::new(secured));
        assert!(client.line().await.starts_with("* OK "));
        client.ok("LOGOUT").await;
    }
    assert_eq!(kinds[0], HandshakeKind::Full);
    kinds[1]
}

#[tokio::test]
async fn a_session_is_taken_up_again_only_where_no_certificate_is_asked_for() {
    let policy = MailboxPolicy::parse(SHIPPED).unwrap();
    let asking = start(Limits { ways: AtDoors::new(policy.clients(), Port::Imap, Port::Imaps), ..quick() }).await;
    let plain = start(quick()).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        assert_eq!(second(&asking, version).await, HandshakeKind::Full, "{version:?}");
        // So the client would have.
        assert_eq!(second(&plain, version).await, HandshakeKind::Resumed, "{version:?}");
    }
}
