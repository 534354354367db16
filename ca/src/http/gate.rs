//! Doors that so many come through in an hour, as the city's rules say.
//!
//! 1 network    every request counts for the network it came from, before anything of it is read
//! 2 work       what is proved with arithmetic waits for a place; who failed to prove anything too often waits longer
//! 3 holder     what proved itself counts for its key, and among all, once: strangers who prove nothing, or who send again
//!              what they heard a holder say, or make keys of their own, never close a door to those who hold certificates

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use policies::authority::Hourly;
use ring::digest::{SHA256, digest};
use runtime::clock::Clock;
use runtime::exit::{Exit, Problem};
use runtime::rate::{Rate, network};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that wait for their proof to be looked at, all doors together. Each holds its body, 40 KiB at most.
const WAITING: usize = 256;
/// What was said last at a door and is known when it comes again: so many at least, and twice as many at most.
const REMEMBERED: usize = 1 << 15;

/// What proved itself, and by whose key.
pub trait Proved {
    /// SHA-256 of the key.
    fn holder(&self) -> Vec<u8>;

    /// What was said with it: the same each time it is sent, however it is encoded. Not the body, since whoever hears one
    /// makes others of it that say the same: an ECDSA signature has a twin, and PEM any number of line ends.
    fn said(&self) -> Vec<u8>;

    fn counts(&self) -> Counts {
        Counts::AsHolders
    }
}

/// Whose budget is spent by what proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// The key is of a certificate of ours.
    AsHolders,
    /// Anybody makes such keys, as many as they like: for the network, and among strangers.
    AsStrangers,
    /// It counted for its network at the door, and leaves nothing behind that is not bounded elsewhere.
    NoMore,
}

/// Why a request goes no further.
#[derive(Debug)]
pub enum Stopped {
    /// Too many from here, of this holder, or in all: seconds to wait.
    Wait(i64),
    Problem(Problem),
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Stopped {
    fn into_response(self) -> Response {
        match self {
            Self::Wait(seconds) => {
                let problem = Problem::new(Exit::Unavailable, "rate", "too many requests of this kind were sent from here or in all", "send it again later");
                (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, HeaderValue::from(seconds))], Json(problem)).into_response()
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

/// One door that whoever holds a key comes through.
#[derive(Clone)]
pub struct Gate {
    networks: Arc<Mutex<Rate<IpAddr>>>,
    holders: Arc<Mutex<Holders>>,
    strangers: Strangers,
    unproved: Arc<Unproved>,
    clock: Arc<dyn Clock>,
}

impl Gate {
    pub fn new(hourly: Hourly, unproved: &Arc<Unproved>, clock: &Arc<dyn Clock>) -> Self {
        Self {
            networks: Arc::new(Mutex::new(Rate::of_each(hourly.per_address))),
            holders: Arc::new(Mutex::new(Holders { rate: Rate::new(hourly.per_address, hourly.all), last: HashSet::new(), earlier: HashSet::new() })),
            strangers: Strangers::new(hourly, clock),
            unproved: Arc::clone(unproved),
            clock: Arc::clone(clock),
        }
    }

    /// With another bound on what strangers prove with keys of their own making.
    pub fn and_strangers(self, hourly: Hourly) -> Self {
        Self { strangers: Strangers::new(hourly, &self.clock), ..self }
    }

    /// Step 1; or how many seconds to wait.
    pub fn take(&self, from: SocketAddr) -> Result<(), i64> {
        locked(&self.networks).take(network(from.ip()), self.clock.now().unix_timestamp())
    }

    /// Steps 2 and 3: what `prove` makes of the request, unless that is more than its holder or all may ask for now.
    pub async fn proved<T: Proved + Send + 'static>(&self, from: SocketAddr, prove: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Stopped> {
        // 2.
        let place = self.unproved.place(from).await?;
        let proved = runtime::request::spawn_blocking(move || {
            let proved = prove();
            drop(place);
            proved
        });
        let proved = proved.await.map_err(|error| Problem::new(Exit::Internal, "proof", error.to_string(), "report this to the authority"))?;
        let proved = proved.inspect_err(|problem| {
            // A fault of ours is nobody's failure to prove anything.
            if !matches!(problem.exit, Exit::Internal | Exit::Unavailable | Exit::Damaged) {
                self.unproved.failed(from);
            }
        })?;
        // 3.
        let now = self.clock.now().unix_timestamp();
        if proved.counts() != Counts::AsHolders {
            // It cost us the arithmetic, and a key of one's own proves nothing to us.
            self.unproved.failed(from);
        }
        let taken = match proved.counts() {
            Counts::AsHolders => locked(&self.holders).take(&proved, now),
            Counts::AsStrangers => self.strangers.take(from),
            Counts::NoMore => Ok(()),
        };
        taken.map_err(Stopped::Wait)?;
        Ok(proved)
    }
}

/// What is proved with keys of strangers' own making stays in the store for good: bounded in an hour as at an open door, and
/// in a day, so that whoever has patience fills no disk.
#[derive(Clone)]
struct Strangers {
    hour: OpenGate,
    day: Arc<Mutex<Rate<IpAddr>>>,
    clock: Arc<dyn Clock>,
}

/// A day takes what so many hours may.
const HOURS_OF_A_DAY: u32 = 4;
/// A rate that is told this part of the time counts days where it thinks of hours.
const DAY: i64 = 24;

impl Strangers {
    fn new(hourly: Hourly, clock: &Arc<dyn Clock>) -> Self {
        let day = Rate::new(hourly.per_address.saturating_mul(HOURS_OF_A_DAY), hourly.all.saturating_mul(HOURS_OF_A_DAY));
        Self { hour: OpenGate::new(hourly, clock), day: Arc::new(Mutex::new(day)), clock: Arc::clone(clock) }
    }

    fn take(&self, from: SocketAddr) -> Result<(), i64> {
        let (network, now) = (network(from.ip()), self.clock.now().unix_timestamp() / DAY);
        let mut day = locked(&self.day);
        let waits = day.waits(&network, now);
        if waits.sender.max(waits.all) > 0 {
            return Err(waits.sender.max(waits.all).saturating_mul(DAY));
        }
        self.hour.take(from)?;
        day.spend(network, now);
        Ok(())
    }
}

/// What the holders of keys spent, and what they said.
struct Holders {
    rate: Rate<Vec<u8>>,
    /// SHA-256 over whoever said it and what. When the last ones are full they become the earlier ones.
    last: HashSet<[u8; 32]>,
    earlier: HashSet<[u8; 32]>,
}

impl Holders {
    /// Counts one request, unless it says what was said before; or how many seconds to wait.
    fn take(&mut self, proved: &impl Proved, now: i64) -> Result<(), i64> {
        let (holder, said) = (proved.holder(), proved.said());
        let mut told = [0; 32];
        told.copy_from_slice(digest(&SHA256, &[&(holder.len() as u64).to_be_bytes()[..], &holder, &said].concat()).as_ref());
        if self.last.contains(&told) || self.earlier.contains(&told) {
            return Ok(());
        }
        self.rate.take(holder, now)?;
        if self.last.len() >= REMEMBERED {
            self.earlier = std::mem::take(&mut self.last);
        }
        self.last.insert(told);
        Ok(())
    }
}

/// A door where nobody can prove anything: who applies has no certificate yet, and who wants a timestamp none to show.
///
/// What all together may send, few who send much could take for themselves. So when it is spent, a network that sent nothing
/// in this hour is still heard, once, as far as a reserve of a quarter more goes.
#[derive(Clone)]
pub struct OpenGate {
    rate: Arc<Mutex<Rate<IpAddr>>>,
    reserve: Arc<Mutex<Rate<IpAddr>>>,
    clock: Arc<dyn Clock>,
}

impl OpenGate {
    pub fn new(hourly: Hourly, clock: &Arc<dyn Clock>) -> Self {
        let rate = |per_address, all| Arc::new(Mutex::new(Rate::new(per_address, all)));
        Self { rate: rate(hourly.per_address, hourly.all), reserve: rate(1, (hourly.all / 4).max(1)), clock: Arc::clone(clock) }
    }

    /// Counts one request; or how many seconds to wait.
    pub fn take(&self, from: SocketAddr) -> Result<(), i64> {
        let (network, now) = (network(from.ip()), self.clock.now().unix_timestamp());
        let mut rate = locked(&self.rate);
        let waits = rate.waits(&network, now);
        match waits.all {
            0 => rate.take(network, now),
            wait if rate.is_fresh(&network, now) => locked(&self.reserve).take(network, now).map_err(|_| wait),
            wait => Err(wait.max(waits.sender)),
        }
    }
}

/// The work that is done for those who prove nothing, of all doors together. A network that failed too often waits; when all
/// together did, proofs are looked at one after the other: the doors stay open, and strangers have one processor at most.
pub struct Unproved {
    failures: Mutex<Rate<IpAddr>>,
    waiting: Arc<Semaphore>,
    wide: Arc<Semaphore>,
    narrow: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

/// Held while one proof is looked at.
struct Place {
    _waited: OwnedSemaphorePermit,
    _wide: OwnedSemaphorePermit,
    _narrow: Option<OwnedSemaphorePermit>,
}

impl Unproved {
    pub fn new(hourly: Hourly, clock: &Arc<dyn Clock>) -> Arc<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            failures: Mutex::new(Rate::new(hourly.per_address, hourly.all)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            wide: Arc::new(Semaphore::new(processors)),
            narrow: Arc::new(Semaphore::new(1)),
            clock: Arc::clone(clock),
        })
    }

    async fn place(&self, from: SocketAddr) -> Result<Place, Stopped> {
        let waits = locked(&self.failures).waits(&network(from.ip()), self.clock.now().unix_timestamp());
        if waits.sender > 0 {
            return Err(Stopped::Wait(waits.sender));
        }
        let closed = |_| Problem::new(Exit::Unavailable, "proof", "the service is ending", "send it again later");
        let waited = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| Stopped::Wait(1))?;
        let narrow = match waits.all > 0 {
            true => Some(Arc::clone(&self.narrow).acquire_owned().await.map_err(closed)?),
            false => None,
        };
        let wide = Arc::clone(&self.wide).acquire_owned().await.map_err(closed)?;
        Ok(Place { _waited: waited, _wide: wide, _narrow: narrow })
    }

    fn failed(&self, from: SocketAddr) {
        locked(&self.failures).spend(network(from.ip()), self.clock.now().unix_timestamp());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whoever sends too much is turned away before anything of it is read.
pub async fn at_the_gate(State(gate): State<Gate>, ConnectInfo(from): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    match gate.take(from) {
        Ok(()) => next.run(request).await,
        Err(seconds) => Stopped::Wait(seconds).into_response(),
    }
}
