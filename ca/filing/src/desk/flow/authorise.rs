//! Who calls: an enterprise, by the certificate that TLS proved its key of. Nobody's body is read before that is known.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pki::path::CertificateFacts;
use policies::identity::CreditCode;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use super::operator;
use crate::desk::Desk;
use crate::desk::problem::DeskError;

/// How long a certificate that was proved is believed; a revocation takes effect among callers after at most twice this.
const KEEP: Duration = Duration::seconds(60);
const MAX_KEPT: usize = 50_000;

/// An enterprise whose certificate is trusted and stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enterprise {
    code: CreditCode,
}

impl Enterprise {
    /// Where nobody called: whoever would.
    pub(super) fn taken_for(code: CreditCode) -> Self {
        Self { code }
    }

    pub fn code(&self) -> &CreditCode {
        &self.code
    }
}

/// Certificates that were proved lately.
#[derive(Default)]
pub struct Callers(Mutex<HashMap<[u8; 32], (OffsetDateTime, Enterprise)>>);

impl Callers {
    /// By the chain that a client showed; TLS has proved that it holds the key. Blocking.
    pub fn authorise(&self, desk: &Desk, chain: &[CertificateDer<'static>]) -> Result<Enterprise, DeskError> {
        let enterprise = self.certified(desk, chain)?;
        // Asked each time: what an enterprise takes back holds at once, for who reads as for who signs.
        let leaf = chain.first().ok_or(DeskError::NoCertificate)?;
        if operator::ended(desk, &enterprise, leaf)? { Err(DeskError::OperatorEnded) } else { Ok(enterprise) }
    }

    fn certified(&self, desk: &Desk, chain: &[CertificateDer<'static>]) -> Result<Enterprise, DeskError> {
        let (leaf, now) = (chain.first().ok_or(DeskError::NoCertificate)?, desk.clock.now());
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, leaf).as_ref());
        if let Some((at, enterprise)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && (*at..*at + KEEP).contains(&now)
        {
            return Ok(enterprise.clone());
        }
        let refused = |reason: String| DeskError::Caller { reason: reason.replace("; ", ", ") };
        // 1. Of a root that any bureau believes.
        let others: Vec<Vec<u8>> = chain.iter().skip(1).map(|der| der.to_vec()).collect();
        let mut refusal = refused("no bureau is registered here".into());
        let mut found = None;
        for bureau in desk.policies.desk.bureaus() {
            match desk.trust.path(bureau.code.as_str(), leaf, &others, &[], now) {
                Ok(path) => {
                    found = Some(path);
                    break;
                }
                Err(error) => refusal = refused(error.to_string()),
            }
        }
        let path = found.ok_or(refusal)?;
        // 2. Not revoked, by lists at most a minute old.
        desk.trust.caller_stands(&path, now)?.map_err(|error| refused(error.to_string()))?;
        // 3. An enterprise's: it bears one credit code.
        let facts = CertificateFacts::parse(leaf).map_err(|error| refused(error.to_string()))?;
        let code = facts.credit_code().and_then(|code| CreditCode::parse(code).ok()).ok_or_else(|| refused("it bears no unified social credit code".into()))?;
        let enterprise = Enterprise { code };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, (at, _)| (*at..*at + KEEP).contains(&now));
        }
        if kept.len() < MAX_KEPT {
            kept.insert(key, (now, enterprise.clone()));
        }
        Ok(enterprise)
    }
}
