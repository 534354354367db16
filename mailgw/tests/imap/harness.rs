//! A gateway's IMAP listener on loopback with two accounts, and a client that speaks raw lines.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use keys::DataKey;
use mailgw::directory::{Ended, Endings, Which};
use mailgw::mailbox::{Delivery, MessageStore, standard_folders};
use mailgw::wire::accounts::{Accounts, Credential, Entered, Login, LoginRefusal, Visit};
use mailgw::wire::imap::{Imap, Limits};
use policies::mailbox::MailboxNumber;
use protocol::imap::exchange::{Flags, Secret};
use protocol::sasl::{Bearer, Proof, Salted, TokenRefused};
use runtime::clock::SystemClock;
use runtime::metrics::Registry;
use runtime::shutdown::Shutdown;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use store::{Batch, Memory, Store};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

pub const ONE: &str = "1234567897";
pub const OTHER: &str = "2234567898";
pub const PASSWORD: &str = "correct horse 穗";

/// Making a key store hashes a passphrase, so one serves all tests.
static KEY: LazyLock<Arc<DataKey>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let passphrase = keys::Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
    Arc::new(keys::KeyStore::create(&directory.path().join("keys"), &passphrase).unwrap().data_key("mail").unwrap())
});

/// With the mailboxes whose logins are over.
struct TwoAccounts(Endings);

impl Accounts for TwoAccounts {
    fn login(&self, user: &str, password: &Secret, _: Visit) -> Result<Entered, LoginRefusal> {
        let number = user.strip_suffix("@mail.example.cn").unwrap_or(user);
        let known = [ONE, OTHER].contains(&number) && password.expose() == PASSWORD;
        if known { Ok(Login { number: MailboxNumber::parse(number).unwrap(), credential: Credential::Password, operator: None }.into()) } else { Err(LoginRefusal::Denied) }
    }

    fn salt(&self, _: &str) -> Result<Salted, LoginRefusal> {
        Err(LoginRefusal::Unavailable)
    }

    fn prove(&self, _: &Proof, _: Visit) -> Result<Entered, LoginRefusal> {
        Err(LoginRefusal::Denied)
    }

    fn certificate(&self, _: &[Vec<u8>], _: Option<&str>, _: Visit) -> Result<Entered, LoginRefusal> {
        Err(LoginRefusal::Denied)
    }

    fn token(&self, _: &Bearer, _: Visit) -> Result<Entered, LoginRefusal> {
        Err(LoginRefusal::Denied)
    }

    fn token_refused(&self) -> TokenRefused {
        TokenRefused::default()
    }

    fn ended(&self) -> Ended {
        self.0.from_now()
    }
}

pub struct Server {
    pub imap: SocketAddr,
    pub imaps: SocketAddr,
    pub messages: Arc<MessageStore>,
    pub registry: Registry,
    pub shutdown: Shutdown,
    pub task: JoinHandle<()>,
    pub tls: watch::Sender<Arc<ServerConfig>>,
    pub certificate: CertificateDer<'static>,
    ended: Endings,
}

/// A fresh certificate for localhost, and a configuration that serves it.
pub fn certified() -> (CertificateDer<'static>, Arc<ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certificate = made.cert.der().clone();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    (certificate, Arc::new(config))
}

/// Limits under which a test waits for nothing.
pub fn quick() -> Limits {
    Limits { refusal: Duration::from_millis(20), ..Limits::default() }
}

pub async fn start(limits: Limits) -> Server {
    start_on(Arc::new(Memory::new()), limits, "127.0.0.1:0", "127.0.0.1:0").await
}

pub async fn start_on(store: Arc<dyn Store>, limits: Limits, imap: &str, imaps: &str) -> Server {
    for mailbox in [ONE, OTHER] {
        store.commit(standard_folders(Batch::new(), mailbox)).unwrap();
    }
    let messages = Arc::new(MessageStore::new(store, Arc::clone(&KEY)));
    let (certificate, config) = certified();
    let (tls, receiver) = watch::channel(config);
    let (registry, shutdown) = (Registry::new(), Shutdown::new());
    let ended = Endings::default();
    let server = Imap::new(Arc::clone(&messages), Arc::new(TwoAccounts(ended.clone())), receiver, Arc::new(SystemClock), limits, &registry).unwrap();
    let (imap, imaps) = (TcpListener::bind(imap).await.unwrap(), TcpListener::bind(imaps).await.unwrap());
    let addresses = (imap.local_addr().unwrap(), imaps.local_addr().unwrap());
    let task = tokio::spawn(Arc::new(server).serve(imap, imaps, shutdown.clone()));
    Server { imap: addresses.0, imaps: addresses.1, messages, registry, shutdown, task, tls, certificate, ended }
}

/// What another machine on the same store has.
pub fn another(store: Arc<dyn Store>) -> MessageStore {
    MessageStore::new(store, Arc::clone(&KEY))
}

impl Server {
    /// Logged in under TLS.
    pub async fn client(&self, number: &str) -> Client {
        let mut client = self.connect().await;
        client.ok(&format!("LOGIN {number}@mail.example.cn {{{}+}}\r\n{PASSWORD}", PASSWORD.len())).await;
        client
    }

    /// Under TLS, greeted.
    pub async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.imaps).await.unwrap();
        let mut client = Client::new(Box::new(secured(stream, &self.certificate).await));
        assert!(client.line().await.starts_with("* OK [CAPABILITY IMAP4rev1 "));
        client
    }

    pub fn deliver(&self, number: &str, folder: &str, bytes: &[u8]) -> u32 {
        let (mailbox, folder, bytes) = (number.to_owned(), folder.to_owned(), bytes.to_vec());
        let delivery = Delivery { mailbox, folder, content: bytes.into(), unix_millis: 1_795_000_000_000, flags: Flags::new(), event: None, mark: None };
        self.messages.deliver(&[delivery], 1).unwrap()[0].uid
    }

    /// As when the mailbox is closed or has another password.
    pub fn end_logins(&self, number: &str) {
        self.ended.end(MailboxNumber::parse(number).unwrap(), Which::All);
    }

    pub fn metric(&self, series: &str) -> String {
        let text = self.registry.render();
        text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("no {series}")).trim().to_owned()
    }
}

pub async fn secured(stream: TcpStream, trusted: &CertificateDer<'static>) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

pub struct Client {
    stream: Box<dyn Duplex>,
    held: Vec<u8>,
    tags: u32,
}

impl Client {
    pub fn new(stream: Box<dyn Duplex>) -> Self {
        Self { stream, held: Vec::new(), tags: 0 }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = tokio::time::timeout(Duration::from_secs(10), self.stream.read(&mut buffer)).await.expect("nothing came");
        let count = read.unwrap_or(0);
        self.held.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// Whatever has come, or comes next.
    pub async fn some(&mut self) -> Vec<u8> {
        if self.held.is_empty() {
            assert!(self.more().await, "the connection ended");
        }
        std::mem::take(&mut self.held)
    }

    /// Octets, literals included.
    pub async fn octets(&mut self, count: usize) -> Vec<u8> {
        while self.held.len() < count {
            assert!(self.more().await, "the connection ended");
        }
        self.held.drain(..count).collect()
    }

    /// One line without its CRLF; empty at the end of the connection.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.held.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.held.drain(..at + 2).collect::<Vec<_>>();
                return String::from_utf8_lossy(&line[..at]).into_owned();
            }
            if !self.more().await {
                return String::new();
            }
        }
    }

    /// Whether the server closed the connection.
    pub async fn ended(&mut self) -> bool {
        self.held.clear();
        !self.more().await
    }

    /// Sends a command; its untagged lines and the tagged one, without the tag.
    pub async fn command(&mut self, text: &str) -> (Vec<String>, String) {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.send(format!("{tag} {text}\r\n").as_bytes()).await;
        self.answer(&tag).await
    }

    pub async fn answer(&mut self, tag: &str) -> (Vec<String>, String) {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            if let Some(rest) = line.strip_prefix(tag) {
                return (lines, rest.trim_start().to_owned());
            }
            // A literal may hold an empty line, but behind the last words nothing comes.
            assert!(!line.is_empty() || lines.last().is_some_and(|line: &String| !line.starts_with("* BYE ")), "the connection ended: {lines:?}");
            lines.push(line);
        }
    }

    /// The untagged lines of a command that must succeed.
    pub async fn ok(&mut self, text: &str) -> Vec<String> {
        let (lines, answer) = self.command(text).await;
        assert!(answer.starts_with("OK"), "{text}: {answer}");
        lines
    }

    /// APPEND; the answer.
    pub async fn append(&mut self, folder: &str, bytes: &[u8]) -> String {
        let head = format!("a APPEND {folder} {{{}+}}\r\n", bytes.len());
        self.send(&[head.as_bytes(), bytes, b"\r\n"].concat()).await;
        self.answer("a").await.1
    }

    /// The literal of a FETCH of one message and one section.
    pub async fn fetch_bytes(&mut self, uid: u32, section: &str) -> Vec<u8> {
        self.send(format!("f UID FETCH {uid} {section}\r\n").as_bytes()).await;
        let line = self.line().await;
        let (_, count) = line.trim_end_matches('}').rsplit_once('{').unwrap_or_else(|| panic!("{line}"));
        let bytes = self.octets(count.parse().unwrap()).await;
        let (_, answer) = self.answer("f").await;
        assert!(answer.starts_with("OK"), "{answer}");
        bytes
    }
}
