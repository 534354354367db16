//! Mail by SMTP into mailboxes: a real listener, raw dialogues, what stands in the store afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mailgw::flow::accept::{Found, NotFound, Reception, Recipients, register_verdicts};
use mailgw::flow::callers::Callers;
use mailgw::mailbox::{MessageStore, Quota, standard_folders};
use mailgw::wire::smtp::{Desk, Door, Limits, Metrics, Server, neighbours};
use policies::mailbox::MailboxPolicy;
use protocol::smtp::exchange::{Domain, Host, Recipient};
use runtime::clock::{Clock, FakeClock};
use runtime::metrics::Registry;
use runtime::shutdown::Shutdown;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use store::{Batch, Expectation, Fault, Faulty, Key, Memory, Store};
use time::macros::datetime;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

const ONE: &str = "1234567897";
const TWO: &str = "0000000006";

/// Two mailboxes: one under its number and as `postmaster`, one under its number alone.
struct Register;

fn open_mark(mailbox: &str) -> Key {
    Key::new("open", &[mailbox.as_bytes()])
}

impl Recipients for Register {
    fn find(&self, recipient: &Recipient) -> Result<Found, NotFound> {
        let mailbox = match recipient {
            Recipient::Postmaster => ONE,
            Recipient::Mailbox(address) => match (address.local(), address.host()) {
                (_, Host::Name(domain)) if domain.as_str() != "b.cn" => return Err(NotFound::Elsewhere),
                (local, Host::Name(_)) => [ONE, TWO].into_iter().find(|number| *number == local).ok_or(NotFound::Unknown)?,
                (_, Host::Literal(_)) => return Err(NotFound::Elsewhere),
            },
        };
        // Read once, as a directory with a cache would: a mailbox closed later is found by the commit.
        Ok(Found { mailbox: mailbox.to_owned(), open: Some(Expectation::Present(open_mark(mailbox))) })
    }
}

struct Office {
    address: SocketAddr,
    /// Of neighbours.
    socket: PathBuf,
    _directory: tempfile::TempDir,
    messages: Arc<MessageStore>,
    store: Arc<dyn Store>,
    registry: Registry,
    tls: watch::Sender<Arc<ServerConfig>>,
    roots: Mutex<RootCertStore>,
    shutdown: Shutdown,
    served: JoinHandle<()>,
}

fn certificate() -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["mx.b.cn".to_owned()]).unwrap();
    let (der, key) = (cert.der().clone(), PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap());
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider())).with_safe_default_protocol_versions().unwrap();
    (Arc::new(builder.with_no_client_auth().with_single_cert(vec![der.clone()], key).unwrap()), der)
}

impl Office {
    async fn new(limits: Limits) -> Self {
        Self::over(Arc::new(Memory::new()), limits, Quota::NONE).await
    }

    async fn over(store: Arc<dyn Store>, limits: Limits, quota: Quota) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let passphrase = keys::Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
        let key = Arc::new(keys::KeyStore::create(&directory.path().join("keys"), &passphrase).unwrap().data_key("mail").unwrap());
        for mailbox in [ONE, TWO] {
            store.commit(standard_folders(Batch::new(), mailbox).put(open_mark(mailbox), Vec::new())).unwrap();
        }
        let messages = Arc::new(MessageStore::new(Arc::clone(&store), key).with_quota(move |_| quota));
        let (recipients, host, domain) = (Arc::new(Register), Domain::parse("mx.b.cn").unwrap(), Domain::parse("mail.b.cn").unwrap());
        let registry = Registry::new();
        let policy = MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap().inbound().clone();
        let (verdicts, callers) = (register_verdicts(&registry).unwrap(), Callers::new(&policy));
        let reception = Arc::new(Reception { recipients, messages: Arc::clone(&messages), host, domain, policy, verifier: None, verdicts, callers, queue: None, reports: None, senders: None, notifications: None });
        let (config, der) = certificate();
        let mut roots = RootCertStore::empty();
        roots.add(der).unwrap();
        let (tls, watched) = watch::channel(config);
        let shutdown = Shutdown::new();
        let clock = Arc::new(FakeClock::new(datetime!(2026-03-01 00:00:00 UTC)));
        let neighbours = Server::new(Desk::Neighbours(Arc::clone(&reception)), Arc::clone(&clock) as Arc<dyn Clock>, watched.clone(), limits.clone(), Metrics::register_neighbours(&registry).unwrap());
        let server = Server::new(Desk::Reception(reception), clock, watched, limits, Metrics::register(&registry).unwrap());
        let socket = directory.path().join("lmtp.sock");
        let local = neighbours::Listener::bind(&neighbours::Place::Socket(socket.clone())).await.unwrap();
        tokio::spawn(neighbours.serve_neighbours(local, shutdown.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(server.serve(listener, Door::StartTls, shutdown.clone()));
        Self { address, socket, _directory: directory, messages, store, registry, tls, roots: Mutex::new(roots), shutdown, served }
    }

    async fn client(&self) -> Client<TcpStream> {
        let mut client = Client(BufReader::new(TcpStream::connect(self.address).await.unwrap()));
        assert_eq!(client.reply().await, "220 mx.b.cn ESMTP\r\n");
        client
    }

    fn connector(&self) -> TlsConnector {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider())).with_safe_default_protocol_versions().unwrap();
        TlsConnector::from(Arc::new(builder.with_root_certificates(self.roots.lock().unwrap().clone()).with_no_client_auth()))
    }

    fn inbox(&self, mailbox: &str) -> Vec<String> {
        let view = self.messages.view(mailbox, "INBOX").unwrap();
        let text = |uid| String::from_utf8(self.messages.load(&view.folder, uid).unwrap()).unwrap();
        view.messages.iter().map(|message| text(message.uid)).collect()
    }

    /// Nothing in any mailbox, no body, no leaf of the log.
    fn assert_empty(&self) {
        assert!(self.inbox(ONE).is_empty() && self.inbox(TWO).is_empty());
        let (from, to) = Key::range("body", &[]);
        assert!(self.store.scan(&from, &to, usize::MAX).unwrap().is_empty());
        assert_eq!(self.store.stream_length("log").unwrap(), 0);
    }
}

struct Client<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// One reply, or nothing at the end.
    async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            let read = tokio::time::timeout(Duration::from_secs(10), self.0.read_line(&mut reply)).await.expect("a reply").unwrap();
            if read == 0 || reply.as_bytes().get(start + 3) == Some(&b' ') {
                return reply;
            }
        }
    }

    async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.reply().await
    }

    /// Up to DATA's leave, for these recipients.
    async fn begin(&mut self, recipients: &[&str]) {
        self.ask("EHLO client.cn\r\n").await;
        assert_eq!(self.ask("MAIL FROM:<x@y.cn>\r\n").await, "250 2.1.0 Sender noted\r\n");
        for recipient in recipients {
            assert_eq!(self.ask(&format!("RCPT TO:<{recipient}>\r\n")).await, "250 2.1.5 Recipient noted\r\n");
        }
        assert!(self.ask("DATA\r\n").await.starts_with("354 "));
    }

    async fn assert_ended(mut self) {
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), self.0.read_to_end(&mut rest)).await.expect("the end").unwrap();
        assert_eq!(rest.escape_ascii().to_string(), "");
    }
}

#[tokio::test]
async fn one_commit_for_all_recipients_and_the_bytes_as_they_came() {
    let office = Office::new(Limits::default()).await;
    let mut client = office.client().await;
    let commands = format!(
        "EHLO client.cn\r\nMAIL FROM:<x@y.cn> SIZE=20\r\nRCPT TO:<{ONE}@b.cn>\r\nRCPT TO:<nobody@b.cn>\r\nRCPT TO:<{TWO}@b.cn>\r\nRCPT TO:<postmaster>\r\nRCPT TO:<{ONE}@c.cn>\r\nDATA\r\n"
    );
    client.send(&commands).await;
    assert!(client.reply().await.ends_with("250 ENHANCEDSTATUSCODES\r\n"));
    for expected in ["250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "250 2.1.5", "550 5.7.1", "354 "] {
        assert!(client.reply().await.starts_with(expected), "{expected}");
    }
    let id = client.ask("Subject: x\r\nBcc: all\r\n\r\n..\r\n\u{4f60}\r\n.\r\n").await.strip_prefix("250 2.0.0 Accepted as ").unwrap().trim_end().to_owned();
    assert_eq!(client.ask("QUIT\r\n").await, "221 2.0.0 Closing\r\n");
    client.assert_ended().await;
    let expected = format!(
        "Return-Path: <x@y.cn>\r\nAuthentication-Results: mx.b.cn (accepted: not-judged);\r\n\tnone\r\nReceived: from client.cn ([127.0.0.1])\r\n\tby mx.b.cn with ESMTP id {id};\r\n\tSun, 01 Mar 2026 00:00:00 +0000\r\n\
         Subject: x\r\nBcc: all\r\n\r\n.\r\n\u{4f60}\r\n"
    );
    assert_eq!((office.inbox(ONE), office.inbox(TWO)), (vec![expected.clone()], vec![expected]));
    assert_eq!(office.store.stream_length("log").unwrap(), 2);
    let metrics = office.registry.render();
    assert!(metrics.contains("smtp_messages_total{answer=\"durable\"} 1\n") && metrics.contains("smtp_recipients_total{answer=\"refused\"} 2\n"), "{metrics}");
    assert!(!metrics.contains("b.cn") && !metrics.contains(ONE));
}

#[tokio::test]
async fn tls_forgets_what_came_before_and_takes_a_new_certificate_without_restart() {
    let office = Office::new(Limits::default()).await;
    let to = format!("{TWO}@b.cn");
    for round in 0..2 {
        let mut client = office.client().await;
        assert!(client.ask("EHLO evil\r\n").await.contains("250-STARTTLS\r\n"));
        assert!(client.ask("MAIL FROM:<evil@y.cn>\r\n").await.starts_with("250"));
        assert!(client.ask("STARTTLS\r\n").await.starts_with("220 "));
        let name = ServerName::try_from("mx.b.cn").unwrap();
        let mut client = Client(BufReader::new(office.connector().connect(name, client.0.into_inner()).await.unwrap()));
        assert_eq!(client.ask("DATA\r\n").await, "503 5.5.1 Send MAIL first\r\n");
        assert_eq!(client.ask("MAIL FROM:<x@y.cn>\r\n").await, "503 5.5.1 Say EHLO first\r\n");
        assert!(!client.ask("EHLO client.cn\r\n").await.contains("STARTTLS"));
        client.begin(&[&to]).await;
        assert!(client.ask("hello\r\n.\r\n").await.starts_with("250 "));
        assert_eq!(office.inbox(TWO).len(), round + 1);
        assert!(office.inbox(TWO)[round].contains(" with ESMTPS id ") && office.inbox(TWO)[round].contains(&format!("\r\n\tfor <{to}>;\r\n")));
        // The next client trusts the new certificate only.
        let (config, der) = certificate();
        office.tls.send_replace(config);
        *office.roots.lock().unwrap() = RootCertStore::empty();
        office.roots.lock().unwrap().add(der).unwrap();
    }
}

#[tokio::test]
async fn plaintext_sent_with_starttls_never_counts() {
    let office = Office::new(Limits::default()).await;
    let mut client = office.client().await;
    client.ask("EHLO x\r\n").await;
    client.send(&format!("STARTTLS\r\nEHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{ONE}@b.cn>\r\nDATA\r\nevil\r\n.\r\n")).await;
    assert!(client.reply().await.starts_with("220 "));
    // What came in the same piece is gone; what comes later is no TLS handshake. Either way the connection is of no more use.
    let name = ServerName::try_from("mx.b.cn").unwrap();
    if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_secs(5), office.connector().connect(name, client.0.into_inner())).await {
        assert_eq!(Client(BufReader::new(stream)).ask("DATA\r\n").await, "503 5.5.1 Send MAIL first\r\n");
    }
    office.assert_empty();
}

#[tokio::test]
async fn what_does_not_end_is_not_there() {
    let office = Office::new(Limits::default()).await;
    let to = format!("{ONE}@b.cn");
    for piece in ["", "Subject: x\r\n\r\nhalf", "a\r\n.", "a\r\n.\r"] {
        let mut client = office.client().await;
        client.begin(&[&to]).await;
        client.send(piece).await;
        drop(client);
    }
    let mut client = office.client().await;
    client.begin(&[&to]).await;
    assert!(client.ask("a\n.\nMAIL FROM:<evil@b.cn>\r\n.\r\n").await.starts_with("554 5.6.0"));
    assert!(client.ask("MAIL FROM:<>\r\n").await.starts_with("250"));
    client.begin(&[&to]).await;
    assert_eq!(client.ask(&format!("{}\r\n.\r\n", "Received: from a by b\r\n".repeat(101))).await, "554 5.4.6 The message goes in circles\r\n");
    office.assert_empty();
}

#[tokio::test]
async fn a_failing_store_is_never_answered_with_250() {
    // Two commits make the mailboxes, one reserves ids of bodies.
    for (commit, fault) in [(2, Fault::Lost), (3, Fault::Lost), (3, Fault::DoneReportedLost)] {
        let store: Arc<dyn Store> = Arc::new(Faulty::new(Arc::new(Memory::new())).at(commit, fault));
        let office = Office::over(store, Limits::default(), Quota::NONE).await;
        let mut client = office.client().await;
        client.begin(&[&format!("{ONE}@b.cn"), &format!("{TWO}@b.cn")]).await;
        assert_eq!(client.ask("hello\r\n.\r\n").await, "451 4.3.0 The server cannot take it now; try again later\r\n");
        if fault == Fault::Lost {
            office.assert_empty();
        } else {
            assert_eq!(office.inbox(ONE).len() + office.inbox(TWO).len(), 2);
        }
    }
}

#[tokio::test]
async fn a_mailbox_closed_or_filled_meanwhile_gets_nothing_and_neither_do_the_others() {
    let office = Office::over(Arc::new(Memory::new()), Limits::default(), Quota { bytes: 2_000, messages: 10 }).await;
    let both = [format!("{ONE}@b.cn"), format!("{TWO}@b.cn")];
    let mut client = office.client().await;
    client.ask("EHLO x\r\n").await;
    client.ask("MAIL FROM:<> SIZE=2001\r\n").await;
    assert!(client.ask(&format!("RCPT TO:<{ONE}@b.cn>\r\n")).await.starts_with("452 4.2.2"));
    client.begin(&[&both[0], &both[1]]).await;
    office.store.commit(Batch::new().delete(open_mark(TWO))).unwrap();
    assert!(client.ask("hello\r\n.\r\n").await.starts_with("451 4.3.0"));
    office.assert_empty();
    client.begin(&[&both[0]]).await;
    assert!(client.ask("hello\r\n.\r\n").await.starts_with("250"));
    // There is some room, so both are promised it: the first overfills the mailbox, the second finds it full.
    let mut second = office.client().await;
    second.begin(&[&both[0]]).await;
    client.begin(&[&both[0]]).await;
    assert!(client.ask(&format!("{}.\r\n", "0123456789\r\n".repeat(200))).await.starts_with("250"));
    assert!(second.ask("hello\r\n.\r\n").await.starts_with("452 4.2.2"));
    client.ask("MAIL FROM:<>\r\n").await;
    assert!(client.ask(&format!("RCPT TO:<{ONE}@b.cn>\r\n")).await.starts_with("452 4.2.2"));
    assert_eq!(office.inbox(ONE).len(), 2);
}

#[tokio::test]
async fn a_header_of_thousands_of_fields_is_refused_for_good() {
    let office = Office::new(Limits::default()).await;
    let mut client = office.client().await;
    client.begin(&[&format!("{ONE}@b.cn")]).await;
    assert!(client.ask(&format!("{}\r\nhello\r\n.\r\n", "a:\r\n".repeat(100_000))).await.starts_with("554 5.6.0"));
    office.assert_empty();
    client.begin(&[&format!("{ONE}@b.cn")]).await;
    assert!(client.ask("a:\r\n\r\nhello\r\n.\r\n").await.starts_with("250"));
}

#[tokio::test]
async fn crowds_early_talkers_and_the_slow_are_turned_away() {
    let limits = Limits { of_one_address: 2, idle: Duration::from_millis(300), ..Limits::default() };
    let office = Office::new(limits).await;
    let (first, second) = (office.client().await, office.client().await);
    let mut third = Client(BufReader::new(TcpStream::connect(office.address).await.unwrap()));
    assert!(third.reply().await.starts_with("421 4.7.0 "));
    third.assert_ended().await;
    for mut client in [first, second] {
        assert_eq!(client.reply().await, "421 4.4.2 It took too long; connect again\r\n");
        client.assert_ended().await;
    }
    let mut client = office.client().await;
    client.begin(&[&format!("{ONE}@b.cn")]).await;
    client.send("half a line").await;
    assert!(client.reply().await.starts_with("421 4.4.2"));
    office.assert_empty();
    assert!(office.registry.render().contains("smtp_turned_away_total 1\n"));
}

#[test]
fn who_speaks_first_is_turned_away() {
    // One thread: the client's bytes are in the socket before the server looks at it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let office = Office::new(Limits::default()).await;
        let stream = std::net::TcpStream::connect(office.address).unwrap();
        std::io::Write::write_all(&mut &stream, b"EHLO x\r\n").unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut client = Client(BufReader::new(TcpStream::from_std(stream).unwrap()));
        assert_eq!(client.reply().await, "554 5.5.1 The server speaks first\r\n");
        client.assert_ended().await;
    });
}

#[tokio::test]
async fn memory_for_messages_is_bounded() {
    let office = Office::new(Limits { memory: 60_000, max_size: 80_000, ..Limits::default() }).await;
    let to = format!("{ONE}@b.cn");
    let mut client = office.client().await;
    client.begin(&[&to]).await;
    // Larger than the memory, though not than a message may be.
    assert_eq!(client.ask(&format!("{}.\r\n", "0123456789\r\n".repeat(6_000))).await, "452 4.3.1 The server is short of memory; try again later\r\n");
    office.assert_empty();
    // Nothing stays counted.
    for _ in 0..5 {
        client.begin(&[&to]).await;
        assert!(client.ask(&format!("{}.\r\n", "0123456789\r\n".repeat(2_000))).await.starts_with("250"));
    }
}

#[tokio::test]
async fn the_end_of_the_service_cuts_no_message() {
    let office = Office::new(Limits::default()).await;
    let (mut idle, mut busy) = (office.client().await, office.client().await);
    busy.begin(&[&format!("{ONE}@b.cn")]).await;
    busy.send("hello\r\n").await;
    office.shutdown.begin();
    assert!(idle.reply().await.starts_with("421 4.3.2 "));
    idle.assert_ended().await;
    assert!(busy.ask(".\r\n").await.starts_with("250 "));
    assert!(busy.reply().await.starts_with("421 4.3.2 "));
    busy.assert_ended().await;
    assert_eq!(office.inbox(ONE).len(), 1);
    tokio::time::timeout(Duration::from_secs(10), office.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(office.address).await.is_err());
}

/// The service ends while a mail waits for its commit: its sender hears what became of it, taken or not, and then the connection ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn who_waits_for_a_commit_when_the_service_ends_hears_what_became_of_it() {
    for fails in [false, true] {
        let ((begun, waits), (goes, may_go)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        // Two commits make the mailboxes, one reserves ids of bodies.
        let below: Arc<dyn Store> = if fails { Arc::new(Faulty::new(Arc::new(Memory::new())).at(3, Fault::Lost)) } else { Arc::new(Memory::new()) };
        let slow = store::Between::before_commit(below, 3, move || {
            begun.send(()).unwrap();
            may_go.recv().unwrap();
        });
        let office = Office::over(Arc::new(slow), Limits::default(), Quota::NONE).await;
        let mut client = office.client().await;
        client.begin(&[&format!("{ONE}@b.cn")]).await;
        client.send("hello\r\n.\r\n").await;
        tokio::task::spawn_blocking(move || waits.recv().unwrap()).await.unwrap();
        office.shutdown.begin();
        tokio::time::sleep(Duration::from_millis(50)).await;
        goes.send(()).unwrap();
        assert!(client.reply().await.starts_with(if fails { "451 " } else { "250 " }));
        assert!(client.reply().await.starts_with("421 4.3.2 "));
        client.assert_ended().await;
        assert_eq!(office.inbox(ONE).len(), usize::from(!fails));
        tokio::time::timeout(Duration::from_secs(10), office.served).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn pieces_of_told_length_and_octets_that_are_no_lines() {
    let office = Office::new(Limits::default()).await;
    let mut client = office.client().await;
    assert!(client.ask("EHLO client.cn\r\n").await.contains("250-CHUNKING\r\n250-BINARYMIME\r\n"));
    client.send(&format!("MAIL FROM:<x@y.cn> BODY=BINARYMIME\r\nRCPT TO:<{ONE}@b.cn>\r\nBDAT 12\r\nSubject: x\r\nBDAT 6 LAST\r\n\r\na\0\nbQUIT\r\n")).await;
    for expected in ["250 2.1.0", "250 2.1.5", "250 2.0.0 12 octets taken", "250 2.0.0 Accepted as", "221 "] {
        assert!(client.reply().await.starts_with(expected), "{expected}");
    }
    let inbox = office.inbox(ONE);
    assert!(inbox[0].ends_with("Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\nYQAKYg0K\r\n"), "{}", inbox[0]);
}

#[tokio::test]
async fn neighbours_hear_of_each_recipient() {
    let office = Office::over(Arc::new(Memory::new()), Limits::default(), Quota { bytes: 2_000, messages: 10 }).await;
    let mut client = Client(BufReader::new(UnixStream::connect(&office.socket).await.unwrap()));
    assert_eq!(client.reply().await, "220 mx.b.cn LMTP\r\n");
    assert_eq!(client.ask("EHLO x\r\n").await, "500 5.5.2 This is LMTP; say LHLO\r\n");
    let hello = client.ask("LHLO lists.b.cn\r\n").await;
    assert!(hello.contains("250-PIPELINING\r\n") && hello.ends_with("250 ENHANCEDSTATUSCODES\r\n") && !hello.contains("STARTTLS"), "{hello}");
    for (command, expected) in [("MAIL FROM:<x@y.cn>", "250"), ("DATA", "503 5.5.1"), ("RCPT TO:<nobody@b.cn>", "550 5.1.1")] {
        assert!(client.ask(&format!("{command}\r\n")).await.starts_with(expected), "{command}");
    }
    for recipient in [ONE, TWO] {
        assert!(client.ask(&format!("RCPT TO:<{recipient}@b.cn>\r\n")).await.starts_with("250"));
    }
    // One of them is closed meanwhile: the other has it all the same, once.
    office.store.commit(Batch::new().delete(open_mark(TWO))).unwrap();
    assert!(client.ask("DATA\r\n").await.starts_with("354"));
    assert!(client.ask("Subject: x\r\n\r\nhello\r\n.\r\n").await.starts_with("250 2.0.0 "));
    assert!(client.reply().await.starts_with("451 4.3.0 "));
    assert_eq!((office.inbox(ONE).len(), office.inbox(TWO).len()), (1, 0));
    assert!(office.inbox(ONE)[0].contains(" with LMTP id "), "{}", office.inbox(ONE)[0]);
    // A message with a flaw is refused for each, too.
    client.send(&format!("MAIL FROM:<>\r\nRCPT TO:<{ONE}@b.cn>\r\nRCPT TO:<{ONE}@b.cn>\r\nDATA\r\na\nb\r\n.\r\nQUIT\r\n")).await;
    for expected in ["250", "250", "250", "354", "554 5.6.0", "554 5.6.0", "221"] {
        assert!(client.reply().await.starts_with(expected), "{expected}");
    }
    client.assert_ended().await;
}

#[tokio::test]
async fn replies_to_many_errors_are_late() {
    let office = Office::new(Limits { patience: 3, tarpit: Duration::from_millis(200), ..Limits::default() }).await;
    let mut client = office.client().await;
    client.ask("EHLO x\r\n").await;
    let mut late = Vec::new();
    for _ in 0..4 {
        let began = tokio::time::Instant::now();
        client.ask("FOO\r\n").await;
        late.push(began.elapsed() >= Duration::from_millis(200));
    }
    assert_eq!(late, [false, false, true, true]);
}
