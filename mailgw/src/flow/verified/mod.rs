//! Whether a signed mail is what it says it is: of a registered bureau, with chain, revocation, usage, author and registry in agreement.
//! Whatever does not agree leaves the mail as it is, unmarked.

mod signed;

use std::sync::Arc;

use pki::cms::CmsError;
use pki::path::CertificateFacts;
use runtime::revocation::{RevocationError, RevocationLists};
use store::Store;
use time::{Duration, OffsetDateTime};

pub use self::signed::Unfit;
use self::signed::Signed;
use super::authors;
use crate::bureau::trust::{self, Anchors, Purpose, TrustError};
use crate::bureau::{self, BureauError, senders};
use crate::mailbox::Body;
use crate::record::bureau::Chain;
use crate::record::event::{self, Event};

/// A mail waits in queues for some days; what was signed before is somebody's copy.
const OLDEST: Duration = Duration::days(7);
/// Lists this old are believed here.
const LISTS: Duration = Duration::minutes(1);
/// Clocks differ.
const AHEAD: Duration = Duration::minutes(5);

/// Why a mail is not marked. None of it is told to the sender.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    #[error("{0}")]
    Unfit(#[from] Unfit),
    #[error("its author is in no registry")]
    NotRegistered,
    #[error("the author's name is not the bureau's")]
    OtherName,
    #[error("its signature is not good: {0}")]
    Signature(#[from] CmsError),
    #[error("it was signed too long ago, in the future, or says nothing of it")]
    Time,
    #[error("its certificate is of another organisation than the bureau")]
    OtherOrganization,
    #[error("its certificate is for another address than the author's")]
    OtherAddress,
    #[error("{0}")]
    Trust(#[from] TrustError),
    #[error("whether its certificate is revoked is not known: {0}")]
    Revocation(#[from] RevocationError),
    #[error("{0}")]
    Registry(#[from] BureauError),
}

/// A mail whose sender is proved. Only [`Senders::judge`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    bureau: String,
    to: Vec<String>,
}

impl Proved {
    pub fn bureau(&self) -> &str {
        &self.bureau
    }

    /// The leaf of the log of its delivery.
    pub fn event(&self, mailbox: &str, body: &Body) -> Event {
        Event::MessageVerified(event::Verified { mailbox: mailbox.to_owned(), bureau: self.bureau.clone(), digest: crate::hex(body.digest()), size: u64::from(body.size()) })
    }

    /// Whether the bureau wrote it to this address: what it wrote to another was passed on by somebody else.
    pub fn is_for(&self, address: &str) -> bool {
        self.to.contains(&address.to_lowercase())
    }
}

/// What senders are judged by.
pub struct Senders {
    pub store: Arc<dyn Store>,
    pub anchors: Arc<Anchors>,
    pub lists: Arc<RevocationLists>,
}

impl Senders {
    /// Whether there is anything to judge: the author that the header names is a bureau's, or cannot be asked about now.
    pub fn concerns(&self, message: &[u8]) -> bool {
        authors::author(message).is_some_and(|author| !matches!(senders::of(&*self.store, &author), Ok(None)))
    }

    /// Blocks: lists may be fetched, of certificates that are believed but for them.
    ///
    /// 1 the registry knows the author that the header names as a bureau's: of most mail nothing more is read · 2 it is signed as a whole,
    /// with one author · 3 the registry knows that one, and the name shown is the bureau's · 4 the signature is good, and of these days ·
    /// 5 the certificate is trusted for this use and is of this bureau and this address · 6 it is not revoked now.
    pub fn judge(&self, message: &[u8], now: OffsetDateTime) -> Result<Proved, NotVerified> {
        // 1
        let seen = authors::author(message).ok_or(NotVerified::NotRegistered)?;
        senders::of(&*self.store, &seen)?.ok_or(NotVerified::NotRegistered)?;
        // 2
        let mail = Signed::read(message)?;
        // 3
        let code = senders::of(&*self.store, &mail.from)?.ok_or(NotVerified::NotRegistered)?;
        let bureau = bureau::find(&*self.store, &code)?;
        if mail.name.as_deref().is_some_and(|name| name != bureau.name && name != bureau.name_en) {
            return Err(NotVerified::OtherName);
        }
        // 4
        let signature = pki::cms::verify(&mail.signature, &mail.entity, &[])?;
        let fresh = signature.signing_time().is_some_and(|at| (now - OLDEST..=now + AHEAD).contains(&at));
        if !fresh {
            return Err(NotVerified::Time);
        }
        // 5
        let own = signature.signer_certificate();
        let others = signature.certificates().iter().filter(|der| der.as_slice() != own).cloned();
        let chain = Chain::new(std::iter::once(own.to_vec()).chain(others).collect()).ok_or(NotVerified::OtherOrganization)?;
        let path = self.anchors.path(&chain, Purpose::Seal, now)?;
        let unreadable = |error: pki::asn1::DerError| trust::unreadable(Purpose::Seal, &error);
        let facts = CertificateFacts::parse(path.leaf()).map_err(unreadable)?;
        if facts.credit_code() != Some(bureau.credit_code.as_str()) {
            return Err(NotVerified::OtherOrganization);
        }
        if !matches!(facts.emails.as_slice(), [email] if email.eq_ignore_ascii_case(&mail.from)) {
            return Err(NotVerified::OtherAddress);
        }
        // 6
        let urls = trust::crl_urls(&path).map_err(unreadable)?;
        self.anchors.trusted(&path, Purpose::Seal, &self.lists.fetch_in_passing(&urls, now, LISTS)?, now)?;
        Ok(Proved { bureau: code, to: mail.to })
    }

    /// As `judge`; why a mail that looks signed is not marked is told to the operator alone.
    pub fn proved(&self, message: &[u8], now: OffsetDateTime) -> Option<Proved> {
        match self.judge(message, now) {
            Ok(proved) => Some(proved),
            Err(NotVerified::Unfit(Unfit::NotSigned | Unfit::Malformed) | NotVerified::NotRegistered) => None,
            Err(why) => {
                tracing::info!(%why, "a signed mail is not marked");
                None
            }
        }
    }
}
