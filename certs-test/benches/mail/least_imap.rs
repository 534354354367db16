//! About the least that a server of IMAP can do on this machine to open a mailbox and to show what is in it: TLS, and for each message one
//! record of the store, decrypted, decompressed and held against its digest. It keeps no mailbox, parses no command and watches nothing.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ServerConfig, ServerConnection, StreamOwned};
use store::{Batch, Key, Store};

use super::least::{DICTIONARY, ends_with_its_parent};
use super::letters::letter;
use super::measure::Trees;
use super::wire::trust;

const ARGUMENT: &str = "--least-imap";
/// As much as a mailbox's opening tells.
const OPENED: &str = "* 10000 EXISTS\r\n* OK [UIDVALIDITY 1764500000] always the same\r\n* OK [UIDNEXT 10001] the next\r\n* OK [HIGHESTMODSEQ 123456] the last\r\n\
    * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded $Junk $NotJunk)\r\n* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] these\r\n\
    * OK [MAILBOXID (F123456)] its name\r\n* LIST () \"/\" INBOX\r\n";
/// Asked for by this, one letter is told again and again and nothing is read: what a client takes in at most.
pub const READY: &str = "(READY)";
const GATHER: usize = 64 << 10;

/// This program again, as that server.
pub struct Least {
    child: Child,
    pub port: u16,
    pub trust: Arc<ClientConfig>,
}

impl Least {
    /// With so many letters.
    pub fn start(place: &Path, letters: usize) -> Self {
        let arguments = [ARGUMENT, place.to_str().unwrap(), &letters.to_string()];
        let mut child = Command::new(std::env::current_exe().unwrap()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap(), trust: trust(&std::fs::read(place.join("certificate.pem")).unwrap()) }
    }

    pub fn trees(&self) -> Trees {
        Trees(vec![self.child.id()])
    }
}

impl Drop for Least {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until whoever started it is gone, where this program was started as that server.
pub fn serve(arguments: &[String]) {
    let [argument, place, letters] = arguments else { return };
    if argument != ARGUMENT {
        return;
    }
    let place = Path::new(place);
    std::fs::create_dir(place).unwrap();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(place.join("certificate.pem"), cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap());
    let store = store::open("fjall:store", place).unwrap();
    (0..letters.parse().unwrap()).for_each(|one| put(&*store, one));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    ends_with_its_parent();
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let (store, config) = (&*store, Arc::clone(&config));
            scope.spawn(move || session(store, config, stream.unwrap()));
        }
    });
}

fn sealing() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap())
}

/// Digest, nonce, and the letter compressed and sealed.
fn put(store: &dyn Store, number: usize) {
    let bytes = letter(number);
    let whole = digest(&SHA256, &bytes);
    let mut body = zstd::bulk::Compressor::with_dictionary(1, DICTIONARY).unwrap().compress(&bytes).unwrap();
    let nonce = Nonce::try_assume_unique_for_key(whole.as_ref().get(..12).unwrap()).unwrap();
    sealing().seal_in_place_append_tag(nonce, Aad::from(number.to_be_bytes()), &mut body).unwrap();
    store.commit(Batch::new().put(Key::numbered("body", &[], number as u64), [whole.as_ref(), &body].concat())).unwrap();
}

fn tell(answer: &mut Vec<u8>, one: u64, bytes: &[u8]) {
    write!(answer, "* {} FETCH (BODY[] {{{}}}\r\n", one + 1, bytes.len()).unwrap();
    answer.extend_from_slice(bytes);
    answer.extend_from_slice(b")\r\n");
}

/// Once enough is gathered.
fn send(wire: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>, answer: &mut Vec<u8>) {
    if answer.len() >= GATHER {
        wire.get_mut().write_all(answer).and_then(|()| wire.get_mut().flush()).unwrap();
        answer.clear();
    }
}

/// Of a client of this bench, which says what it should.
fn session(store: &dyn Store, config: Arc<ServerConfig>, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut wire = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream));
    let mut decompressor = zstd::bulk::Decompressor::with_dictionary(DICTIONARY).unwrap();
    let key = sealing();
    let (mut line, mut answer) = (String::new(), b"* OK least\r\n".to_vec());
    loop {
        wire.get_mut().write_all(&answer).and_then(|()| wire.get_mut().flush()).unwrap();
        (line.clear(), answer.clear());
        if wire.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap();
        if command.starts_with("SELECT") {
            answer.extend_from_slice(OPENED.as_bytes());
        }
        if let Some(range) = command.strip_prefix("FETCH 1:") {
            let ready = command.ends_with(READY).then(|| letter(0));
            for one in 0..range.split(' ').next().unwrap().parse::<u64>().unwrap() {
                if let Some(bytes) = &ready {
                    tell(&mut answer, one, bytes);
                    send(&mut wire, &mut answer);
                    continue;
                }
                let mut stored = store.get(&Key::numbered("body", &[], one)).unwrap().unwrap();
                let (whole, body) = stored.split_at_mut(32);
                let nonce = Nonce::try_assume_unique_for_key(whole.get(..12).unwrap()).unwrap();
                let packed = key.open_in_place(nonce, Aad::from(one.to_be_bytes()), body).unwrap();
                let bytes = decompressor.decompress(packed, 64 << 10).unwrap();
                assert_eq!(digest(&SHA256, &bytes).as_ref(), whole);
                tell(&mut answer, one, &bytes);
                send(&mut wire, &mut answer);
            }
        }
        write!(answer, "{tag} OK done\r\n").unwrap();
    }
}
