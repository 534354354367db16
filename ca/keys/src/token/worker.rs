//! One session with the token and the thread that owns it: makes calls, and begins anew when the session is lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cryptoki::error::RvError;
use cryptoki::object::ObjectHandle;

use super::module::{Fault, Module, Remedy, Session};
use super::pin::Pin;
use super::{Limits, TokenError};

/// What the workers of one token have in common.
pub(super) struct Shared {
    pub name: String,
    pub module: Box<dyn Module>,
    pub limits: Limits,
    pin: Pin,
    /// How often the module was begun anew. Held for reading during every call, so that nobody ends the module
    /// under one.
    generation: RwLock<u64>,
    /// Logging in is done by one worker at a time, so that a wrong PIN is tried once.
    login: Mutex<()>,
    refused: AtomicBool,
    /// How the last piece of work ended.
    last: Mutex<Option<TokenError>>,
}

impl Shared {
    pub fn new(name: &str, module: Box<dyn Module>, pin: Pin, limits: Limits) -> Self {
        Self {
            name: name.to_owned(),
            module,
            limits,
            pin,
            generation: RwLock::new(0),
            login: Mutex::new(()),
            refused: AtomicBool::new(false),
            last: Mutex::new(None),
        }
    }

    pub fn closed(&self) -> Option<TokenError> {
        self.refused.load(Ordering::SeqCst).then(|| TokenError::PinRefused { token: self.name.clone() })
    }

    pub fn last(&self) -> Option<TokenError> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn ended<T>(&self, how: &Result<T, TokenError>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = how.as_ref().err().cloned();
    }

    fn login(&self, session: &dyn Session) -> Result<(), Failed> {
        let _one = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        if self.refused.load(Ordering::SeqCst) {
            return Err(Failed::PinRefused);
        }
        session.login(&self.pin).map_err(|fault| match fault.remedy() {
            Remedy::Never => {
                self.refused.store(true, Ordering::SeqCst);
                Failed::PinRefused
            }
            _ => Failed::Call(fault),
        })
    }

    /// Begins the module anew, unless another did since `seen` or a call is still inside.
    fn restart(&self, seen: u64) -> Result<(), Fault> {
        let Ok(mut generation) = self.generation.try_write() else { return Ok(()) };
        if *generation == seen {
            // Counted first: whatever comes of it, the old sessions are no longer ours.
            *generation = generation.wrapping_add(1);
            self.module.restart()?;
        }
        Ok(())
    }
}

enum Failed {
    PinRefused,
    Call(Fault),
}

/// A session that is logged in, and the keys found in it.
pub(super) struct Live {
    session: Box<dyn Session>,
    generation: u64,
    keys: HashMap<Vec<u8>, ObjectHandle>,
}

impl Live {
    pub fn session(&self) -> &dyn Session {
        &*self.session
    }

    /// The private key's handle: good as long as this session.
    pub fn key(&mut self, label: &str, id: &[u8]) -> Result<ObjectHandle, Fault> {
        if let Some(found) = self.keys.get(id) {
            return Ok(*found);
        }
        let found = self.session.find(label, id)?;
        self.keys.insert(id.to_vec(), found);
        Ok(found)
    }
}

/// The owner of one session. Lives on a thread of its own, since a call into a module cannot be broken off: who waits
/// for it gives up at the limit, and this worker is free again when the module lets it go.
pub(super) struct Worker<'a> {
    shared: &'a Shared,
    live: Option<Live>,
}

impl<'a> Worker<'a> {
    pub fn new(shared: &'a Shared) -> Self {
        Self { shared, live: None }
    }

    /// Does `work`, again in a new session when the old one is lost.
    ///
    /// Work that failed may have been carried out all the same. That does no harm: only what is returned counts, so a
    /// signature whose answer was lost is one that nobody has, and a key pair is made under an identifier of its own.
    pub fn work<T>(&mut self, deadline: Instant, work: &dyn Fn(&mut Live) -> Result<T, Fault>) -> Result<T, TokenError> {
        let limits = &self.shared.limits;
        let token = || self.shared.name.clone();
        let mut pause = limits.pause;
        let mut failed = 0;
        let done = loop {
            let seen = *self.shared.generation.read().unwrap_or_else(PoisonError::into_inner);
            let fault = match self.once(work) {
                Ok(done) => break Ok(done),
                Err(Failed::PinRefused) => break Err(TokenError::PinRefused { token: token() }),
                Err(Failed::Call(fault)) => fault,
            };
            self.close();
            failed += 1;
            if fault.remedy() != Remedy::Again {
                break Err(TokenError::Refused { token: token(), reason: fault.to_string() });
            }
            if failed >= limits.attempts || Instant::now() + pause >= deadline {
                break Err(TokenError::Away { token: token(), reason: fault.to_string() });
            }
            std::thread::sleep(pause);
            pause *= 2;
            // A new session was not enough, or there can be none: some modules see a token that came back only when
            // they begin anew. What comes of it the next attempt tells.
            if failed > 1 || fault == Fault::Ckr(RvError::CryptokiNotInitialized) {
                let _ = self.shared.restart(seen);
            }
        };
        self.shared.ended(&done);
        done
    }

    fn once<T>(&mut self, work: &dyn Fn(&mut Live) -> Result<T, Fault>) -> Result<T, Failed> {
        let generation = self.shared.generation.read().unwrap_or_else(PoisonError::into_inner);
        // After the module's new beginning the number of our session may be another's.
        let kept = self.live.take().filter(|live| live.generation == *generation);
        let live = match kept {
            Some(live) => live,
            None => {
                let session = self.shared.module.open().map_err(Failed::Call)?;
                if let Err(failed) = self.shared.login(&*session) {
                    session.close();
                    return Err(failed);
                }
                Live { session, generation: *generation, keys: HashMap::new() }
            }
        };
        work(self.live.insert(live)).map_err(Failed::Call)
    }

    fn close(&mut self) {
        let generation = self.shared.generation.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = self.live.take().filter(|live| live.generation == *generation) {
            live.session.close();
        }
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

/// How long to wait for an answer, from now until the limit.
pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
