//! A mail client that costs little: connections in the clear or under TLS, and just enough of SMTP, LMTP and IMAP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use certs_test::office::Account;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

enum Wire {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Wire {
    fn send(&mut self, octets: &[u8]) {
        match self {
            Self::Clear(stream) => stream.write_all(octets).unwrap(),
            Self::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()).unwrap(),
        }
    }
}

/// Where a client comes from: each of so many has an address of its own, as a city's clients have.
pub fn source(client: usize) -> IpAddr {
    Ipv4Addr::from(0x7f01_0001 + u32::try_from(client).unwrap()).into()
}

fn connect(port: u16, from: IpAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
    stream
}

/// Sessions are not resumed: each connection is one of another program.
pub fn trust(root: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(pem::parse(root).unwrap().into_contents())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// SMTP, or LMTP by its greeting.
pub struct Smtp {
    wire: BufReader<Wire>,
    line: String,
}

impl Smtp {
    pub fn open(port: u16, from: IpAddr, greeting: &str) -> Self {
        let mut this = Self { wire: BufReader::new(Wire::Clear(connect(port, from))), line: String::new() };
        this.reply("220");
        this.wire.get_mut().send(format!("{greeting} client.neighbour.example\r\n").as_bytes());
        this.reply("250");
        this
    }

    fn reply(&mut self, code: &str) {
        loop {
            self.line.clear();
            self.wire.read_line(&mut self.line).unwrap();
            assert!(self.line.starts_with(code), "{code} was hoped for: {:?}", self.line);
            if self.line.get(3..4) != Some("-") {
                return;
            }
        }
    }

    /// `message` has its dots doubled and its end (`stuffed`).
    pub fn deliver(&mut self, to: &Account, message: &[u8]) {
        self.wire.get_mut().send(format!("MAIL FROM:<letters@neighbour.example> BODY=8BITMIME\r\nRCPT TO:<{}>\r\nDATA\r\n", to.address).as_bytes());
        self.reply("250");
        self.reply("250");
        self.reply("354");
        self.wire.get_mut().send(message);
        self.reply("250");
    }

    /// What is said at the end of a message, or before it: a refusal as well.
    pub fn offer(&mut self, to: &Account, message: &[u8]) -> String {
        self.wire.get_mut().send(format!("MAIL FROM:<letters@neighbour.example> BODY=8BITMIME\r\nRCPT TO:<{}>\r\nDATA\r\n", to.address).as_bytes());
        self.reply("250");
        self.reply("250");
        self.reply("354");
        self.wire.get_mut().send(message);
        self.line.clear();
        self.wire.read_line(&mut self.line).unwrap();
        self.line.clone()
    }

    pub fn quit(mut self) {
        self.wire.get_mut().send(b"QUIT\r\n");
        self.reply("221");
    }
}

/// As DATA takes a message.
// spec: rfc5321#4.5.2
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend(line);
    }
    out.extend(b".\r\n");
    out
}

/// IMAP under TLS.
pub struct Imap {
    wire: BufReader<Wire>,
    tag: u32,
    line: Vec<u8>,
    /// Of the literal that came last.
    pub literal: Vec<u8>,
}

impl Imap {
    /// TLS is made and the greeting has come; nobody is logged in. `buffer` is small where many wait.
    pub fn greeted(port: u16, from: IpAddr, trust: &Arc<ClientConfig>, buffer: usize) -> Self {
        let client = ClientConnection::new(Arc::clone(trust), ServerName::try_from("localhost").unwrap()).unwrap();
        let wire = Wire::Tls(Box::new(StreamOwned::new(client, connect(port, from))));
        let mut this = Self { wire: BufReader::with_capacity(buffer, wire), tag: 0, line: Vec::new(), literal: Vec::new() };
        this.read();
        this
    }

    pub fn open(port: u16, from: IpAddr, trust: &Arc<ClientConfig>, account: &Account) -> Self {
        let mut this = Self::greeted(port, from, trust, 64 * 1024);
        this.login(account);
        this
    }

    pub fn login(&mut self, account: &Account) {
        self.ask(&format!("LOGIN {} \"{}\"", account.address, account.password));
    }

    pub fn logout(mut self) {
        self.ask("LOGOUT");
    }

    /// A line with its literals, which stand in `literal` and not in the line.
    pub fn read(&mut self) -> &str {
        self.line.clear();
        loop {
            let before = self.line.len();
            let octets = self.wire.read_until(b'\n', &mut self.line).unwrap();
            assert!(octets > 0, "the server closed the connection");
            let text = self.line.get(before..).unwrap_or_default();
            let size = text.strip_suffix(b"}\r\n").and_then(|text| std::str::from_utf8(text.rsplit(|octet| *octet == b'{').next()?).ok()?.parse::<usize>().ok());
            let Some(size) = size else { break };
            self.literal.resize(size, 0);
            self.wire.read_exact(&mut self.literal).unwrap();
        }
        std::str::from_utf8(&self.line).unwrap_or_default()
    }

    pub fn send(&mut self, text: &str) {
        self.tag += 1;
        let line = format!("a{} {text}\r\n", self.tag);
        self.wire.get_mut().send(line.as_bytes());
    }

    /// To the command's end, which must be good; the untagged lines that begin with what `* N ` and `counted` say are counted.
    pub fn finish(&mut self, counted: &str) -> usize {
        let (tag, mut count) = (format!("a{} ", self.tag), 0);
        loop {
            let line = self.read();
            if let Some(said) = line.strip_prefix(&tag) {
                assert!(said.starts_with("OK"), "{line}");
                return count;
            }
            let word = line.strip_prefix("* ").and_then(|rest| rest.split_ascii_whitespace().nth(1));
            count += usize::from(word == Some(counted));
        }
    }

    /// The end of the command, good or not.
    pub fn answer(&mut self, text: &str) -> String {
        self.send(text);
        let tag = format!("a{} ", self.tag);
        loop {
            if let Some(said) = self.read().strip_prefix(&tag) {
                return said.to_owned();
            }
        }
    }

    pub fn ask(&mut self, text: &str) {
        self.send(text);
        self.finish("");
    }

    pub fn count(&mut self, text: &str, counted: &str) -> usize {
        self.send(text);
        self.finish(counted)
    }

    /// The numbers that a SEARCH finds.
    pub fn search(&mut self, keys: &str) -> usize {
        self.send(&format!("SEARCH {keys}"));
        let found = loop {
            if let Some(found) = self.read().strip_prefix("* SEARCH") {
                break found.split_ascii_whitespace().count();
            }
        };
        self.finish("");
        found
    }

    /// One APPEND with all of them (RFC 3502), each a synchronising literal.
    pub fn append(&mut self, messages: &[Vec<u8>]) {
        self.tag += 1;
        let mut line = format!("a{} APPEND INBOX", self.tag);
        for message in messages {
            line.push_str(&format!(" {{{}}}\r\n", message.len()));
            self.wire.get_mut().send(line.as_bytes());
            while !self.read().starts_with('+') {}
            self.wire.get_mut().send(message);
            line.clear();
        }
        self.wire.get_mut().send(b"\r\n");
        self.finish("");
    }

    /// Waits in IDLE.
    // spec: rfc2177
    pub fn idle(&mut self) {
        self.send("IDLE");
        while !self.read().starts_with('+') {}
    }

    pub fn done(&mut self) {
        self.wire.get_mut().send(b"DONE\r\n");
        self.finish("");
    }
}
