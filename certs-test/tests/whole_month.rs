//! A month's statements, each one fetched over IMAP and over POP3 and taken out as a file: the same octets everywhere, and OpenSSL
//! verifies them. Some of them are judged by a filter that knows nothing of us, and by who verifies mail signatures.
//!
//! The ordinary tests judge a small town. `SUIYIN_MONTH=100000 cargo test --release --workspace --test whole_month -- --nocapture` judges
//! as many people as it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use certs_test::office::{Account, Office};
use certs_test::programs::{free_port, openssl, oracle, run};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const KIND: &str = "housing-fund";
const PEOPLE: u64 = 24;
/// Most of their time is waiting: for a disk, a process, an answer.
const WORKERS: usize = 8;
/// One in so many is judged as mail, of many people one in more: each takes the filter a second.
const JUDGED: usize = 8;
const MOST_JUDGED: usize = 200;
/// dkimpy's word: every signature verifies by the published records, and its domain is that of From.
const SIGNED: &str = "
import dkim, email, json, sys
records = {record['name'].rstrip('.'): record['text'] for record in json.load(open(sys.argv[1]))}
def dns(name, timeout=5):
    return records.get(name.decode().rstrip('.'), '').encode()
for path in sys.argv[2:]:
    message = open(path, 'rb').read()
    parsed = email.message_from_bytes(message)
    signatures = parsed.get_all('DKIM-Signature')
    domain = email.utils.parseaddr(parsed['From'])[1].rsplit('@', 1)[1]
    assert signatures and all('d=%s;' % domain in signature for signature in signatures), path
    for place in range(len(signatures)):
        assert dkim.DKIM(message).verify(idx=place, dnsfunc=dns), path
";
/// How often it is said how far it has come.
const TOLD_EVERY: usize = 1_000;

/// A session over TLS, line by line.
struct Talk(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Talk {
    fn open(config: &Arc<ClientConfig>, port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket.set_nodelay(true).unwrap();
        let connection = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost").unwrap()).unwrap();
        let mut talk = Self(BufReader::with_capacity(1 << 16, StreamOwned::new(connection, socket)));
        talk.line();
        talk
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        assert!(line.ends_with(b"\r\n"), "the server is gone");
        line
    }

    fn say(&mut self, words: &str) {
        let stream = self.0.get_mut();
        stream.write_all(format!("{words}\r\n").as_bytes()).and_then(|()| stream.flush()).unwrap();
    }

    /// What IMAP answers, to its tagged OK.
    fn imap(&mut self, command: &str) -> Vec<Vec<u8>> {
        self.say(&format!("a {command}"));
        let mut lines = Vec::new();
        loop {
            let mut line = self.line();
            while let Some(size) = literal(&line) {
                let mut octets = vec![0; size];
                self.0.read_exact(&mut octets).unwrap();
                line.extend(octets);
                line.extend(self.line());
            }
            if line.starts_with(b"a ") {
                assert!(line.starts_with(b"a OK"), "{}: {}", command.split(' ').next().unwrap(), String::from_utf8_lossy(&line));
                return lines;
            }
            lines.push(line);
        }
    }

    fn pop3(&mut self, command: &str) -> Vec<u8> {
        self.say(command);
        let line = self.line();
        assert!(line.starts_with(b"+OK"), "{}: {}", command.split(' ').next().unwrap(), String::from_utf8_lossy(&line));
        line
    }
}

/// The size of the literal that a line ends with. A literal's own octets never end a line so here: what is signed ends in a boundary.
fn literal(line: &[u8]) -> Option<usize> {
    let (_, size) = std::str::from_utf8(line.strip_suffix(b"}\r\n")?.get(line.len().saturating_sub(12)..).unwrap_or_default()).ok()?.rsplit_once('{')?;
    size.parse().ok()
}

/// The one message of INBOX over IMAP.
fn by_imap(config: &Arc<ClientConfig>, port: u16, account: &Account) -> Vec<u8> {
    let mut talk = Talk::open(config, port);
    talk.imap(&format!("LOGIN {} \"{}\"", account.address, account.password));
    talk.imap("EXAMINE INBOX");
    let mut fetched = talk.imap("UID FETCH 1:* (BODY.PEEK[])");
    let message = fetched.remove(0);
    assert!(fetched.is_empty(), "{} has more than one message", account.address);
    let head = message.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let size = literal(&message[..head]).unwrap();
    talk.say("a LOGOUT");
    message[head..head + size].to_vec()
}

/// The same over POP3. spec: rfc1939#3 (a line that begins with a dot has one more)
fn by_pop3(config: &Arc<ClientConfig>, port: u16, account: &Account) -> Vec<u8> {
    let mut talk = Talk::open(config, port);
    talk.pop3(&format!("USER {}", account.address));
    talk.pop3(&format!("PASS {}", account.password));
    let stands = talk.pop3("STAT");
    assert!(stands.starts_with(b"+OK 1 "), "{} has {}", account.address, String::from_utf8_lossy(&stands));
    talk.pop3("RETR 1");
    let mut message = Vec::new();
    loop {
        let line = talk.line();
        match line.as_slice() {
            b".\r\n" => break,
            [b'.', rest @ ..] => message.extend_from_slice(rest),
            line => message.extend_from_slice(line),
        }
    }
    talk.say("QUIT");
    message
}

/// The same out of an archive, and no other mail.
fn by_archive(office: &Office, account: &Account, place: &Path) -> Vec<u8> {
    let out = place.join("archive");
    office.mailgw(&["mailbox", "archive", &account.address, "--statements", "--octets", "--format", "maildir", "--request", "a month", "--out", out.to_str().unwrap()]).ok();
    let mail = files(&out.join("mail"));
    assert_eq!(mail.len(), 1, "{mail:?}");
    let bytes = std::fs::read(&mail[0]).unwrap();
    std::fs::remove_dir_all(out).unwrap();
    bytes
}

fn files(below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// OpenSSL takes it for signed, and reads what was signed.
fn verified(message: &[u8], office: &Office, place: &Path) {
    let [file, content] = ["one.eml", "one.content"].map(|name| place.join(name));
    std::fs::write(&file, message).unwrap();
    openssl(&["cms", "-verify", "-in", file.to_str().unwrap(), "-CAfile", "ca/root.pem", "-purpose", "smimesign", "-out", content.to_str().unwrap()], &office.home).ok();
    let text = std::str::from_utf8(message).unwrap();
    let (_, boundary) = text.split_once("multipart/signed").unwrap().1.split_once("boundary=\"").unwrap();
    let (boundary, rest) = boundary.split_once('"').unwrap();
    let signed = rest.split(&format!("\r\n--{boundary}")).nth(1).unwrap().strip_prefix("\r\n").unwrap();
    assert!(std::fs::read(&content).unwrap() == signed.as_bytes(), "OpenSSL read other content than was sent");
}

/// Ham to a filter that asks nobody over the network, under a mail signature of its author's own domain.
fn is_ham(office: &Office, letters: &[PathBuf]) {
    for letter in letters {
        let said = run("spamassassin", &["-L", "-t", letter.to_str().unwrap()], &office.home).ok();
        let status = said.split("X-Spam-Status: ").nth(1).unwrap_or_else(|| panic!("no verdict: {said}"));
        assert!(status.starts_with("No,"), "{}", status.lines().take(4).collect::<String>());
    }
    let letters: Vec<&str> = letters.iter().map(|letter| letter.to_str().unwrap()).collect();
    run(oracle("python"), &[["-c", SIGNED, "dkim.json"].as_slice(), &letters].concat(), &office.home).ok();
}

fn with_pop3(place: &Path, people: u64) -> (Office, u16) {
    let mut office = Office::open(place, people);
    let selector = office.mailgw(&["--json", "dkim", "new", "2026a"]).json();
    office.write("dkim.json", selector[0]["records"].to_string().as_bytes());
    office.mailgw(&["dkim", "use", "2026a"]).ok();
    let pop3s = free_port();
    office.kill_gateway();
    let configuration = std::fs::read_to_string(office.home.join("mailgw/mailgw.toml")).unwrap();
    office.write("mailgw/mailgw.toml", configuration.replace("[listen]\n", &format!("[listen]\npop3s = \"127.0.0.1:{pop3s}\"\n")).as_bytes());
    office.start_gateway();
    (office, pop3s)
}

fn trusting(office: &Office) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = std::fs::read(office.home.join("ca/root.pem")).unwrap();
    roots.add(CertificateDer::from(pem::parse(root).unwrap().into_contents())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

#[test]
fn every_statement_of_a_month_is_the_same_octets_everywhere_and_verifies() {
    let people = std::env::var("SUIYIN_MONTH").ok().and_then(|text| text.parse().ok()).unwrap_or(PEOPLE);
    let place = tempfile::tempdir_in(std::env::var("SUIYIN_BENCH_DIR").unwrap_or_else(|_| std::env::temp_dir().to_string_lossy().into_owned())).unwrap();
    let (office, pop3s) = with_pop3(place.path(), people);
    let begun = Instant::now();
    let report = office.push(KIND).json();
    assert_eq!(report["counts"]["delivered"].as_u64(), Some(people), "{report:#}");
    println!("{people} statements pushed in {:.0?}", begun.elapsed());
    let (config, next, begun) = (trusting(&office), AtomicUsize::new(0), Instant::now());
    let (judged, step) = (place.path().join("judged"), JUDGED.max(office.people.len() / MOST_JUDGED));
    std::fs::create_dir(&judged).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (office, config, next, judged, place) = (&office, &config, &next, &judged, place.path().join(format!("worker-{worker}")));
            std::fs::create_dir(&place).unwrap();
            scope.spawn(move || {
                loop {
                    let one = next.fetch_add(1, Ordering::Relaxed);
                    let Some(account) = office.people.get(one) else { break };
                    if one > 0 && one.is_multiple_of(TOLD_EVERY) {
                        println!("  {one} begun after {:.0?}", begun.elapsed());
                    }
                    let message = by_imap(config, office.imaps, account);
                    assert!(by_pop3(config, pop3s, account) == message, "{}: POP3 gives other octets", account.address);
                    assert!(by_archive(office, account, &place) == message, "{}: the archive has other octets", account.address);
                    verified(&message, office, &place);
                    if one.is_multiple_of(step) {
                        std::fs::write(judged.join(format!("{one}.eml")), &message).unwrap();
                    }
                }
            });
        }
    });
    println!("{} mailboxes read over IMAP and POP3, archived and verified by OpenSSL in {:.0?}", office.people.len(), begun.elapsed());
    assert_eq!(office.people.len() as u64, people);
    let judged = files(&judged);
    is_ham(&office, &judged);
    println!("{} of them are ham to SpamAssassin, under a mail signature of their author's domain that dkimpy verifies", judged.len());
}
