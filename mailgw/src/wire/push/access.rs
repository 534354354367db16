//! Who calls the push interface: the bureau whose place it is, with one of its registered certificates, not revoked, and
//! not too often.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use policies::push::PushLimits;
use runtime::exit::{Exit, Problem};
use runtime::rate::Rate;
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use crate::bureau::trust::{Purpose, crl_urls};
use crate::bureau::{self, BureauError};
use crate::record::body;
use crate::service::Service;

/// How long a caller is believed before the register and the revocation lists are looked at again.
const BELIEVED: Duration = Duration::seconds(60);
/// Callers remembered.
const CALLERS: usize = 10_000;
/// All bureaus together may ask so many times as often as one.
const ALL: u32 = 64;

pub enum Refused {
    Problem(Problem),
    TooOften { seconds: i64 },
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

pub struct Access {
    known: Mutex<HashMap<([u8; 32], String), OffsetDateTime>>,
    requests: Mutex<Rate<String>>,
    persons: Mutex<Rate<String>>,
}

fn stranger() -> Problem {
    Problem::new(Exit::Denied, "not-this-bureau", "this certificate is not registered for that bureau", "call with the client certificate that the gateway's operator registered")
}

impl Access {
    pub fn new(limits: &PushLimits) -> Self {
        let rate = |limit: u32| Mutex::new(Rate::new(limit, limit.saturating_mul(ALL)));
        Self { known: Mutex::default(), requests: rate(limits.requests_per_hour), persons: rate(limits.recipients_per_hour) }
    }

    /// 1 a certificate was shown, and TLS proved its key · 2 it is registered for this bureau, trusted and not revoked ·
    /// 3 the bureau has requests left. From a blocking thread.
    pub fn admit(&self, service: &Service, bureau: &str, certificates: &[CertificateDer<'static>]) -> Result<(), Refused> {
        let now = service.gateway.clock.now();
        // 1
        let shown = certificates.first().ok_or_else(stranger)?;
        let caller = (body::digest(shown), bureau.to_owned());
        // 2
        let believed = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&caller).is_some_and(|since| (*since..*since + BELIEVED).contains(&now));
        if !believed {
            self.look_up(service, bureau, shown, now)?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= CALLERS {
                known.clear();
            }
            known.insert(caller, now);
        }
        // 3
        take(&self.requests, bureau, 1, now)
    }

    fn look_up(&self, service: &Service, bureau: &str, shown: &[u8], now: OffsetDateTime) -> Result<(), Problem> {
        let gateway = &service.gateway;
        let record = match bureau::find(&*gateway.store, bureau) {
            // Nobody learns which bureaus there are.
            Err(BureauError::Unknown { .. }) => return Err(stranger()),
            found => found?,
        };
        let chain = record.clients.iter().find(|chain| chain.leaf() == shown).ok_or_else(stranger)?;
        let urls = crl_urls(chain).map_err(|error| Problem::new(Exit::Damaged, "bureau-certificate", error.to_string(), "register the bureau again"))?;
        gateway.anchors.trusted(chain, Purpose::Manifest, &service.lists.fetch(&urls, now)?, now)?;
        Ok(())
    }

    /// Counts persons who are asked about.
    pub fn persons(&self, bureau: &str, count: usize, now: OffsetDateTime) -> Result<(), Refused> {
        take(&self.persons, bureau, count, now)
    }
}

fn take(rate: &Mutex<Rate<String>>, bureau: &str, count: usize, now: OffsetDateTime) -> Result<(), Refused> {
    let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
    (0..count).try_for_each(|_| rate.take(bureau.to_owned(), now.unix_timestamp())).map_err(|seconds| Refused::TooOften { seconds })
}
