//! About the least that a server of LMTP can do for a message on this machine: it reads it, digests, compresses and seals it, and has it
//! durable with its records in the store before it answers. It looks up nobody, judges nothing, adds no field and tells no session. What it
//! comes to beside the others is about what a server that stands on that store can come to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use store::{Batch, Key, Store, Together};

use super::measure::Trees;

const ARGUMENT: &str = "--least";
/// What the gateway's own mail is compressed with.
pub const DICTIONARY: &[u8] = include_bytes!("../../../mailgw/src/record/dictionary-1.zstd");
/// Octets of a message's record and of its leaf of the log.
const RECORD: usize = 100;
const LEAF: usize = 200;

/// This program again, as that server.
pub struct Least(Child, pub u16);

impl Least {
    pub fn start(place: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap()).args([ARGUMENT, place.to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().parse().unwrap())
    }

    pub fn trees(&self) -> Trees {
        Trees(vec![self.0.id()])
    }
}

impl Drop for Least {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves until whoever started it is gone, where this program was started as that server.
pub fn serve(arguments: &[String]) {
    let [argument, place] = arguments else { return };
    if argument != ARGUMENT {
        return;
    }
    std::fs::create_dir(place).unwrap();
    let store = store::open("fjall:store", Path::new(place)).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    ends_with_its_parent();
    std::thread::scope(|scope| {
        for (number, stream) in (0_u64..).zip(listener.incoming()) {
            let store = &*store;
            scope.spawn(move || session(store, stream.unwrap(), number << 32));
        }
    });
}

/// However that one ends.
pub fn ends_with_its_parent() {
    let parent = std::os::unix::process::parent_id();
    std::thread::spawn(move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(Duration::from_secs(1));
        }
        std::process::exit(0);
    });
}

/// Of a client of this bench, which says what it should.
fn session(store: &dyn Store, stream: TcpStream, mut number: u64) {
    stream.set_nodelay(true).unwrap();
    let mut answer = stream.try_clone().unwrap();
    let mut said = BufReader::with_capacity(64 << 10, stream);
    let mut compressor = zstd::bulk::Compressor::with_dictionary(1, DICTIONARY).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let (mut line, mut mailbox, mut message, mut answers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    answer.write_all(b"220 least\r\n").unwrap();
    loop {
        line.clear();
        if said.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let one: &[u8] = match line.get(..4) {
            Some(b"DATA") => b"354 go on\r\n",
            Some(b"QUIT") => b"221 bye\r\n",
            Some(b"RCPT") => {
                mailbox.clone_from(&line);
                b"250 yes\r\n"
            }
            _ => b"250 yes\r\n",
        };
        answers.extend_from_slice(one);
        if said.buffer().is_empty() {
            answer.write_all(&std::mem::take(&mut answers)).unwrap();
        }
        if !line.starts_with(b"DATA") {
            continue;
        }
        message.clear();
        while !message.ends_with(b"\r\n.\r\n") {
            said.read_until(b'\n', &mut message).unwrap();
        }
        number += 1;
        let whole = digest(&SHA256, &message);
        let mut body = compressor.compress(&message).unwrap();
        let nonce = Nonce::try_assume_unique_for_key(whole.as_ref().get(..12).unwrap()).unwrap();
        key.seal_in_place_append_tag(nonce, Aad::from(number.to_be_bytes()), &mut body).unwrap();
        let mut batch = Batch::new().put(Key::numbered("body", &[], number), body);
        batch = batch.put(Key::numbered("message", &[&mailbox], number), vec![1; RECORD]);
        let name = String::from_utf8_lossy(&mailbox);
        for counter in ["uid", "step"] {
            batch.next(&format!("{counter}/{name}"));
        }
        batch.add_together(Together::new(format!("held/{name}"), vec![format!("bytes/{name}"), format!("messages/{name}")]), &[message.len() as i64, 1]);
        batch.append("log", vec![1; LEAF]);
        store.commit(batch).unwrap();
        answer.write_all(b"250 durable\r\n").unwrap();
    }
}
