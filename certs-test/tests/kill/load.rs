//! What officers and applicants ask of a running authority, all at once, until it is gone; and what they were told.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// What callers were told, and what must therefore be so for ever.
#[derive(Default)]
pub struct Told {
    /// By serial: the last state, and the digest of the certificate.
    pub certificates: HashMap<String, (State, String)>,
    /// The serial that an order came to, by the order's key.
    pub orders: HashMap<String, String>,
    /// Certificates of `tls-ca` that were revoked before its list of this number was published.
    pub listed: HashSet<String>,
    pub number: u64,
    /// What was refused and should not have been.
    pub refused: Vec<String>,
    /// What was refused because the store takes nothing more: who heard it asks for nothing more.
    pub unavailable: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Good,
    Revoked,
}

pub enum Answer {
    Done(Value),
    Refused(String),
    /// Nobody answers any more.
    Gone,
}

/// The administration socket, asked as the `ca` command asks it.
#[derive(Clone)]
pub struct Socket(PathBuf);

impl Socket {
    pub fn of(directory: &Path) -> Self {
        Self(directory.join("admin.sock"))
    }

    pub fn ask(&self, operation: &Value) -> Answer {
        let Some((status, body)) = self.exchange(operation.to_string().as_bytes()) else { return Answer::Gone };
        match serde_json::from_slice(&body) {
            Ok(answer) if status == 200 => Answer::Done(answer),
            _ => Answer::Refused(String::from_utf8_lossy(&body).into_owned()),
        }
    }

    /// `None` for an answer that did not come whole: it was not told.
    fn exchange(&self, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let mut stream = UnixStream::connect(&self.0).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let head = format!("POST /v1/operation HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok()?;
        let end = all.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
        let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
        let (status, body) = (head.split(' ').nth(1)?.parse().ok()?, all.split_off(end + 4));
        (body.len() == length).then_some((status, body))
    }
}

/// A request of a new key.
fn request() -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

/// One caller's work: asks and remembers, until nobody answers.
struct Caller<'a> {
    socket: Socket,
    told: &'a Mutex<Told>,
    /// Of this round and caller: what it names is its own.
    name: String,
}

impl Caller<'_> {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error when nobody answers any more, or nothing is taken any more; `None` when what was asked for was overtaken by others.
    fn ask(&self, operation: &Value) -> Result<Option<Value>, ()> {
        match self.socket.ask(operation) {
            Answer::Done(answer) => Ok(Some(answer)),
            Answer::Gone => Err(()),
            Answer::Refused(problem) if problem.contains("\"store-unavailable\"") => {
                self.told().unavailable.push(problem);
                Err(())
            }
            Answer::Refused(problem) => {
                if !problem.contains("\"race\"") && !problem.contains("\"conflict\"") {
                    self.told().refused.push(problem);
                }
                Ok(None)
            }
        }
    }

    fn certificate(&self, operation: &Value) -> Result<Option<String>, ()> {
        let Some(answer) = self.ask(operation)? else { return Ok(None) };
        let of = |field: &str| answer["certificate"][field].as_str().unwrap().to_owned();
        let serial = of("serial");
        let before = self.told().certificates.insert(serial.clone(), (State::Good, of("sha256")));
        assert!(before.is_none(), "{serial} was told of twice");
        Ok(Some(serial))
    }

    fn revoke(&self, serial: &str) -> Result<(), ()> {
        if self.ask(&json!({ "revoke": { "serial": serial, "reason": "superseded", "at": null } }))?.is_some() {
            self.ended(serial);
        }
        Ok(())
    }

    fn ended(&self, serial: &str) {
        if let Some((state, _)) = self.told().certificates.get_mut(serial) {
            *state = State::Revoked;
        }
    }

    /// Enterprises at the counter: issued, replaced by another key, revoked.
    fn counter(&self) -> Result<(), ()> {
        loop {
            let issue = json!({ "issue": { "profile": "enterprise-signing", "request": request(), "applicant": { "name": "甲", "code": "91440101MAT000018G" }, "issuer": null } });
            let Some(old) = self.certificate(&issue)? else { continue };
            let replace = json!({ "replace": { "serial": old, "request": request(), "compromised": false, "overlap_days": null } });
            if let Some(new) = self.certificate(&replace)? {
                self.ended(&old);
                self.revoke(&new)?;
            }
        }
    }

    /// Orders, each said twice: the second time it is the same.
    fn orders(&self) -> Result<(), ()> {
        for number in 0.. {
            let key = format!("{}-{number}", self.name);
            let order = json!({ "place-order": { "profile": "tls-server", "request": request(), "applicant": { "dns": [format!("{}.example.cn", key.to_ascii_lowercase())] }, "key": key } });
            for _ in 0..2 {
                let Some(answer) = self.ask(&order)? else { continue };
                let Some(serial) = answer["order"]["serial"].as_str().map(str::to_owned) else { continue };
                let mut told = self.told();
                let before = told.orders.insert(key.clone(), serial.clone());
                assert!(before.is_none_or(|before| before == serial), "the order {key} came to two certificates");
            }
        }
        Ok(())
    }

    /// Hosts whose certificates are revoked, and the list that says so.
    fn lists(&self) -> Result<(), ()> {
        for number in 0.. {
            let issue = json!({ "issue": { "profile": "tls-server", "request": request(), "applicant": { "dns": [format!("h{number}.{}.example.cn", self.name.to_ascii_lowercase())] }, "issuer": null } });
            let Some(serial) = self.certificate(&issue)? else { continue };
            self.revoke(&serial)?;
            let revoked = self.told().certificates[&serial].0 == State::Revoked;
            let Some(answer) = self.ask(&json!({ "publish-crl": { "issuer": "tls-ca" } }))? else { continue };
            let number = answer["published"].as_array().unwrap().iter().find(|one| one["scope"] == "whole").unwrap()["number"].as_u64().unwrap();
            let mut told = self.told();
            assert!(number > told.number, "list number {number} after {}", told.number);
            told.number = number;
            told.listed.extend(revoked.then_some(serial));
        }
        Ok(())
    }
}

/// Everybody at once, until nobody answers any more, or nothing is taken.
pub fn work(directory: &Path, told: &Mutex<Told>, round: u64) {
    let caller = |kind: &str| Caller { socket: Socket::of(directory), told, name: format!("{kind}{round}") };
    let [counter, orders, lists] = ["c", "o", "l"].map(caller);
    std::thread::scope(|scope| {
        scope.spawn(move || counter.counter());
        scope.spawn(move || orders.orders());
        scope.spawn(move || lists.lists());
    });
}
