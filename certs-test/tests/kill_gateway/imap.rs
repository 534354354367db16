//! A mail client over TLS that notices its server's death and never mistakes it for an answer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use certs_test::office::{Account, Office};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

pub struct Imap {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    tag: u32,
}

/// A folder as SELECT tells of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    pub validity: u64,
    pub next: u64,
    pub exists: u64,
    /// The highest MODSEQ that was told.
    pub modseq: u64,
}

/// A message as it was fetched: its Message-ID, whether it is flagged, and when it changed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub id: String,
    pub flagged: bool,
    pub modseq: u64,
}

fn number(text: &str, after: &str) -> Option<u64> {
    let (_, rest) = text.split_once(after)?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// The highest MODSEQ that these lines tell of, 0 where none does.
pub fn highest(lines: &[String]) -> u64 {
    lines.iter().flat_map(|line| [number(line, "MODSEQ ("), number(line, "HIGHESTMODSEQ ")]).flatten().max().unwrap_or(0)
}

impl Imap {
    /// Logged in; `None` when the server is gone.
    pub fn open(office: &Office, account: &Account) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        let root = std::fs::read(office.home.join("ca/root.pem")).unwrap();
        roots.add(CertificateDer::from(pem::parse(root).unwrap().into_contents())).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let socket = TcpStream::connect(("127.0.0.1", office.imaps)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let connection = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        let mut this = Self { stream: BufReader::new(StreamOwned::new(connection, socket)), tag: 0 };
        this.line()?;
        this.ask(&format!("LOGIN {} \"{}\"", account.address, account.password))?;
        Some(this)
    }

    /// One line of the server with its literals; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            if self.stream.read_until(b'\n', &mut line).ok()? == 0 || !line.ends_with(b"\n") {
                return None;
            }
            let text = String::from_utf8_lossy(&line);
            let Some(size) = text.strip_suffix("}\r\n").and_then(|text| text.rsplit_once('{')).and_then(|(_, size)| size.parse::<u64>().ok()) else {
                return Some(text.into_owned());
            };
            let before = line.len() as u64;
            self.stream.by_ref().take(size).read_to_end(&mut line).ok().filter(|_| line.len() as u64 == before + size)?;
        }
    }

    fn send(&mut self, text: &str) -> Option<()> {
        let stream = self.stream.get_mut();
        stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).ok()
    }

    /// What came before the tagged OK, that line included. `None` when the server was gone before it; a refusal is none of ours.
    pub fn ask(&mut self, command: &str) -> Option<Vec<String>> {
        self.tag += 1;
        let tag = format!("a{} ", self.tag);
        self.send(&format!("{tag}{command}\r\n"))?;
        self.answer(&tag, command)
    }

    fn answer(&mut self, tag: &str, command: &str) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let last = line.strip_prefix(tag).map(str::to_owned);
            // Nothing can be stored now: what was asked is done or not, as if the server were gone.
            if last.as_deref().is_some_and(|last| last.starts_with("NO [UNAVAILABLE]")) {
                return None;
            }
            assert!(last.as_deref().is_none_or(|last| last.starts_with("OK")), "{}: {line}", command.split(' ').next().unwrap_or_default());
            lines.push(line);
            if last.is_some() {
                return Some(lines);
            }
        }
    }

    /// The UID under which it stands, from APPENDUID.
    pub fn append(&mut self, folder: &str, text: &str) -> Option<u64> {
        self.tag += 1;
        let tag = format!("a{} ", self.tag);
        self.send(&format!("{tag}APPEND {folder} {{{}}}\r\n", text.len()))?;
        let leave = self.line()?;
        assert!(leave.starts_with('+'), "{leave}");
        self.send(&format!("{text}\r\n"))?;
        let answer = self.answer(&tag, "APPEND")?.pop()?;
        let (_, rest) = answer.split_once("APPENDUID ").unwrap_or_else(|| panic!("{answer}"));
        Some(number(rest, " ").unwrap())
    }

    pub fn select(&mut self, folder: &str) -> Option<Selected> {
        let told = self.ask(&format!("SELECT {folder} (CONDSTORE)"))?.concat();
        let exists = told.lines().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse().ok());
        Some(Selected { validity: number(&told, "UIDVALIDITY ").unwrap(), next: number(&told, "UIDNEXT ").unwrap(), exists: exists.unwrap(), modseq: number(&told, "HIGHESTMODSEQ ").unwrap() })
    }

    /// By UID when each of the selected folder's messages changed last.
    pub fn modseqs(&mut self) -> Option<BTreeMap<u64, u64>> {
        let lines = self.ask("UID FETCH 1:* (UID MODSEQ)")?;
        Some(lines.iter().filter(|line| line.starts_with("* ")).filter_map(|line| Some((number(line, "UID ")?, number(line, "MODSEQ (")?))).collect())
    }

    /// The selected folder's messages from this UID on, by UID. Each body is read by the server and held against its digest.
    pub fn fetch(&mut self, from: u64) -> Option<BTreeMap<u64, Fetched>> {
        let mut found = BTreeMap::new();
        for line in self.ask(&format!("UID FETCH {from}:* (UID FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"))? {
            let Some(uid) = number(&line, "UID ").filter(|uid| *uid >= from && line.starts_with("* ")) else { continue };
            let (_, id) = line.split_once("Message-ID: ").unwrap_or_else(|| panic!("{line}"));
            let fetched = Fetched { id: id.split(['\r', '\n']).next().unwrap_or_default().to_owned(), flagged: line.contains("\\Flagged"), modseq: number(&line, "MODSEQ (").unwrap() };
            assert_eq!(found.insert(uid, fetched), None, "UID {uid} twice");
        }
        Some(found)
    }
}
