//! Keys in a hardware token, by PKCS#11: made there, used there, never seen outside.
//!
//! A few worker threads own one session each. A call is handed to one of them and waited for until a limit, so a
//! module that never comes back holds up nobody for good. A lost session, token or module is found again by the
//! worker within seconds; a PIN that was refused is never tried again by this process.
//!
//! One process uses a module through one [`Token`]: PKCS#11 knows one initialisation and one login for each process.

mod ecdsa;
mod module;
mod pin;
#[cfg(test)]
mod tests;
mod worker;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pki::signer::{SignError, SignatureAlgorithm, Signer};
use ring::rand::{SecureRandom, SystemRandom};

pub use pin::{Pin, PinError};

use crate::KeyHandle;
use ecdsa::Curve;
use module::{Fault, Library, Module};
use worker::{Live, Shared, Worker, left};

/// Octets of a CKA_ID made here.
const ID: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token {token:?} refused the PIN and is not tried again, since a few wrong ones lock it; correct the PIN file, then restart")]
    PinRefused { token: String },
    #[error("the token {token:?} cannot be used: {reason}; see that it is there and that its module works")]
    Away { token: String, reason: String },
    #[error("the token {token:?} gave no answer in {seconds} s; look at the device, and restart if its module hangs")]
    Late { token: String, seconds: u64 },
    #[error("too much waits for the token {token:?} already; try again in a while")]
    Busy { token: String },
    #[error("the token {token:?} does not do that: {reason}; use one that makes P-256 and P-384 keys and signs with CKM_ECDSA")]
    Refused { token: String, reason: String },
    #[error("{0:?} is no name for a key in a token; use 1 to 64 lower-case letters, digits and '-'")]
    Name(String),
    #[error("tokens hold P-256 and P-384 keys here; choose one of them")]
    Algorithm,
    #[error("the system gave no randomness, or no thread; look at the host's limits")]
    System,
}

/// Where a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPlace {
    /// The PKCS#11 module, a shared library.
    pub module: PathBuf,
    /// The token's label or serial number.
    pub token: String,
}

/// Bounds on what one token does.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Sessions, each on a thread.
    sessions: usize,
    /// Calls that wait for a session.
    waiting: usize,
    attempts: u32,
    /// Before the second attempt; twice as long before each further one.
    pause: Duration,
    /// From the call to its answer.
    answer: Duration,
}

/// Seven attempts over three seconds: a token that comes back meanwhile costs nobody an error.
const LIMITS: Limits = Limits { sessions: 4, waiting: 256, attempts: 7, pause: Duration::from_millis(50), answer: Duration::from_secs(8) };

/// How long the end of the workers is waited for.
const END: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce(&mut Worker<'_>) + Send>;

/// A token, used through a few sessions. Cheap to clone. Not bound to be there: whatever needs it says so.
#[derive(Clone)]
pub struct Token {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    /// Since when a check is under way.
    checking: Arc<Mutex<Option<Instant>>>,
}

/// The way to the workers. Dropping it ends them.
struct Pool {
    jobs: Option<SyncSender<Job>>,
    /// Disconnected when the last worker has closed its session.
    ended: Mutex<Receiver<()>>,
}

impl Pool {
    fn give(&self, job: Job) -> Result<(), TrySendError<Job>> {
        match &self.jobs {
            Some(jobs) => jobs.try_send(job),
            None => Err(TrySendError::Disconnected(job)),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        // A process that ends takes its modules apart: nobody may be inside one then. One that hangs is left behind.
        let _ = self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(END);
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({:?})", self.shared.name)
    }
}

/// A key pair in a token, and what finds it again.
#[derive(Clone, Debug)]
pub struct TokenKey {
    pub handle: KeyHandle,
    /// CKA_ID, lower-case hexadecimal. With the label it names one key, also among others left behind by a founding
    /// that was cut off.
    pub id: String,
}

impl Token {
    /// Touches nothing yet: the module is loaded and the PIN given when first needed.
    pub fn new(place: &TokenPlace, pin: Pin) -> Result<Self, TokenError> {
        Self::over(&place.token, Box::new(Library::new(&place.module, &place.token)), pin, LIMITS)
    }

    fn over(name: &str, module: Box<dyn Module>, pin: Pin, limits: Limits) -> Result<Self, TokenError> {
        let shared = Arc::new(Shared::new(name, module, pin, limits));
        let (jobs, queue) = sync_channel::<Job>(limits.waiting);
        let queue = Arc::new(Mutex::new(queue));
        let (at_work, ended) = sync_channel::<()>(0);
        for _ in 0..limits.sessions {
            let (shared, queue, at_work) = (Arc::clone(&shared), Arc::clone(&queue), at_work.clone());
            // Ends when the last clone of this token does.
            let started = std::thread::Builder::new().name("token".into()).spawn(move || {
                serve(&shared, &queue);
                // Whoever holds the module last takes it apart: that is done, too, before the end is told.
                drop(shared);
                drop(at_work);
            });
            started.map_err(|_| TokenError::System)?;
        }
        Ok(Self { shared, pool: Arc::new(Pool { jobs: Some(jobs), ended: Mutex::new(ended) }), checking: Arc::default() })
    }

    /// Makes a key pair in the token: sensitive, not extractable.
    pub fn generate(&self, label: &str, algorithm: SignatureAlgorithm) -> Result<TokenKey, TokenError> {
        let (curve, label) = (Curve::of(algorithm).ok_or(TokenError::Algorithm)?, checked(label)?);
        let mut id = [0; ID];
        SystemRandom::new().fill(&mut id).map_err(|_| TokenError::System)?;
        let wanted = label.clone();
        let public_key_info = self.call(move |live: &mut Live| {
            let point = match live.session().point(&wanted, &id) {
                // Nobody else has this identifier: an attempt whose answer was lost made the pair.
                Ok(point) => point,
                Err(Fault::NoKey) => {
                    live.session().generate(&wanted, &id, curve)?;
                    live.session().point(&wanted, &id)?
                }
                Err(fault) => return Err(fault),
            };
            live.key(&wanted, &id)?;
            curve.public_key_info(&point).ok_or_else(|| Fault::Strange("the public key in the token is not on the curve asked for".into()))
        })?;
        let text = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(TokenKey { handle: self.handle(label, id.to_vec(), curve, public_key_info), id: text })
    }

    /// The key `label` with the identifier `id` and, as its certificate says, this public key. The token need not be
    /// there: who signs will find out, and what it signs is held against the public key.
    pub fn key(&self, label: &str, id: &str, algorithm: SignatureAlgorithm, public_key_info: &[u8]) -> Result<KeyHandle, TokenError> {
        let (curve, label) = (Curve::of(algorithm).ok_or(TokenError::Algorithm)?, checked(label)?);
        let octet = |at: usize| id.get(at..at + 2).and_then(|text| u8::from_str_radix(text, 16).ok());
        let id: Option<Vec<u8>> = (0..ID).map(|at| octet(2 * at)).collect();
        let id = id.ok_or_else(|| TokenError::Name(label.clone()))?;
        Ok(self.handle(label, id, curve, public_key_info.to_vec()))
    }

    /// Whether the token holds the private key to this public key, whatever it is called there.
    pub fn holds(&self, public_key_info: &[u8]) -> Result<bool, TokenError> {
        let Ok(point) = pki::certificate::key_bits(public_key_info) else { return Ok(false) };
        // An OCTET STRING by the standard, bare in some modules.
        let points = vec![pki::asn1::tlv(4, point), point.to_vec()];
        self.call(move |live: &mut Live| live.session().holds(&points))
    }

    /// How the token does, as far as is known by now; asks it anew without waiting for the answer.
    pub fn health(&self) -> Result<(), TokenError> {
        if let Some(closed) = self.shared.closed() {
            return Err(closed);
        }
        let limit = self.shared.limits.answer;
        let mut since = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
        match *since {
            Some(begun) if begun.elapsed() > limit => return Err(TokenError::Late { token: self.shared.name.clone(), seconds: limit.as_secs() }),
            Some(_) => {}
            None => {
                let checking = Arc::clone(&self.checking);
                let job: Job = Box::new(move |worker| {
                    // A search that finds nothing is an answer too.
                    let _ = worker.work(Instant::now() + limit, &|live| match live.session().find("-", &[0; ID]) {
                        Ok(_) | Err(Fault::NoKey) => Ok(()),
                        Err(fault) => Err(fault),
                    });
                    *checking.lock().unwrap_or_else(PoisonError::into_inner) = None;
                });
                *since = self.pool.give(job).is_ok().then(Instant::now);
            }
        }
        self.shared.last().map_or(Ok(()), Err)
    }

    fn handle(&self, label: String, id: Vec<u8>, curve: Curve, public_key_info: Vec<u8>) -> KeyHandle {
        KeyHandle::from_signer(Arc::new(Held { token: self.clone(), label, id, curve, public_key_info }))
    }

    /// Has a worker do `work` and waits for it, until the limit and no longer.
    fn call<T: Send + 'static>(&self, work: impl Fn(&mut Live) -> Result<T, Fault> + Send + 'static) -> Result<T, TokenError> {
        if let Some(closed) = self.shared.closed() {
            return Err(closed);
        }
        let limit = self.shared.limits.answer;
        let deadline = Instant::now() + limit;
        let token = || self.shared.name.clone();
        let late = || TokenError::Late { token: token(), seconds: limit.as_secs() };
        let (answer, answered) = sync_channel(1);
        let job: Job = Box::new(move |worker| {
            // Nobody waits for what is late: it is not done at all.
            if !left(deadline).is_zero() {
                let _ = answer.send(worker.work(deadline, &work));
            }
        });
        self.pool.give(job).map_err(|error| match error {
            TrySendError::Full(_) => TokenError::Busy { token: token() },
            TrySendError::Disconnected(_) => TokenError::System,
        })?;
        match answered.recv_timeout(left(deadline)) {
            Ok(done) => done,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let failed = Err(late());
                self.shared.ended(&failed);
                failed
            }
        }
    }
}

fn serve(shared: &Shared, queue: &Mutex<Receiver<Job>>) {
    let mut worker = Worker::new(shared);
    loop {
        // The lock is held while waiting: whoever has it takes the next job.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(&mut worker),
            Err(_) => return,
        }
    }
}

fn checked(label: &str) -> Result<String, TokenError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if label.is_empty() || label.len() > 64 || !label.bytes().all(plain) { Err(TokenError::Name(label.chars().take(80).collect())) } else { Ok(label.to_owned()) }
}

/// A private key that stays in the token.
struct Held {
    token: Token,
    label: String,
    id: Vec<u8>,
    curve: Curve,
    public_key_info: Vec<u8>,
}

impl Signer for Held {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.curve.algorithm()
    }

    fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let (label, id, curve) = (self.label.clone(), self.id.clone(), self.curve);
        let (digest, message, public_key_info) = (curve.digest(message), message.to_vec(), self.public_key_info.clone());
        let signed = self.token.call(move |live: &mut Live| {
            let key = live.key(&label, &id)?;
            let raw = live.session().sign(key, &digest)?;
            let signature = curve.signature(&raw).ok_or_else(|| Fault::Strange("what the token returned is no signature".into()))?;
            // A token that lost its way may sign with another key; nobody gets to see that.
            if curve.holds(&public_key_info, &message, &signature) { Ok(signature) } else { Err(Fault::Strange("the token signed with another key, or wrongly".into())) }
        });
        signed.map_err(|error| SignError::new(error.to_string()))
    }
}
