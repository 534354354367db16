//! The sealer: the one process that holds the bureaus' delegated sealing keys. It signs a statement's digest only for a
//! row of a manifest that the bureau signed with a key nobody here holds, and one digest for each row.

mod client;
mod packed;
mod paper;
mod state;

use keys::KeyError;
use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::CommitError;

use crate::bureau::manifest::ManifestError;
use crate::bureau::trust::TrustError;
use crate::record::RecordError;
use crate::tls::TlsError;

pub use client::{PATH, RemoteSealer};
pub use paper::{Page, PaperSeals, WantedPage};
pub(crate) use state::CONFIGURATION;
pub use state::{Configuration, Sealer, init, open};

/// The most bytes of one request: room for two of the largest revocation lists, in base64.
pub const MAX_REQUEST: usize = 384 << 20;
/// The most rows of one order.
pub const MAX_ROWS: usize = 1_000;
/// The codes of the two problems that a push goes on after.
pub const UNKNOWN_JOB: &str = "unknown-job";
pub const OTHER_CONTENT: &str = "other-content";

/// A manifest and what proves it, base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    pub manifest: String,
    pub signature: String,
    /// Revocation lists of all issuers on the way: the sealer has no network of its own and checks them itself.
    pub crls: Vec<String>,
}

/// Rows to sign for, ascending: number (1 for the first) and SHA-256 of the content, hexadecimal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub job: String,
    pub rows: Vec<(u64, String)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// A new sealing key for a bureau and a request for it, PEM.
    Request { bureau: String, name: String },
    /// Which certificates a bureau signs manifests with and is sealed by, PEM.
    Bureau { bureau: String, clients: Vec<String>, seal: String },
    Open(Opening),
    Seal(Order),
    Page(WantedPage),
    ExportLog { directory: std::path::PathBuf },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Request(String),
    Done,
    /// The name under which rows of the manifest are ordered.
    Job(String),
    /// Detached CMS signatures, DER, in the order's order, packed.
    Seals(String),
    /// Over the PDF and over the message that brings it.
    Page(String, String),
    Exported(crate::service::Exported),
}

/// What a push asks of a sealer, near or far.
pub trait Seal: Send + Sync {
    fn open(&self, manifest: &[u8], signature: &[u8], crls: &[Vec<u8>]) -> Result<String, Problem>;
    /// One detached signature for each row, in order.
    fn seal(&self, job: &str, rows: &[(u64, [u8; 32])]) -> Result<Vec<Vec<u8>>, Problem>;
    /// A statement on paper: of a content that was sealed before, made by the sealer itself.
    fn page(&self, page: &Page<'_>, crls: &[Vec<u8>]) -> Result<PaperSeals, Problem>;
}

#[derive(Debug, thiserror::Error)]
pub enum SealerError {
    #[error("{code:?} is no code of a bureau; use 1 to 32 letters, digits, `-` and the like")]
    Code { code: String },
    #[error("the sealer knows no bureau {code}; tell it with `mailgw sealer bureau`")]
    UnknownBureau { code: String },
    #[error("the certificate is of no key made here; make a request with `mailgw sealer request` and have that one certified")]
    OtherKey,
    #[error("batch {batch} of {bureau} was opened with another manifest; a batch has one manifest for ever")]
    OtherManifest { bureau: String, batch: String },
    #[error("the certificates are of organisations with different credit codes; give certificates of one bureau")]
    OtherOrganization,
    #[error("no such job is open; open the manifest again")]
    UnknownJob,
    #[error("the order is wrong: {reason}; order 1 to {MAX_ROWS} rows of the manifest, ascending")]
    Order { reason: &'static str },
    #[error("row {row} was not sealed here with this content; a page is made of nothing else")]
    NotSealed { row: u64 },
    #[error(transparent)]
    Paper(#[from] crate::statement::PaperError),
    #[error("row {row} was sealed with another content before; a row has one content for ever")]
    OtherContent { row: u64 },
    #[error("{what} is not base64 or hexadecimal as it should be; use the same version of mailgw on both sides")]
    Encoding { what: &'static str },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Certificate(#[from] TlsError),
    #[error(transparent)]
    Seal(#[from] pki::cms::SealError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<store::StoreError> for SealerError {
    fn from(error: store::StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<SealerError> for Problem {
    fn from(error: SealerError) -> Self {
        let row = if let SealerError::OtherContent { row } = error { Some(row) } else { None };
        let (exit, code) = match error {
            SealerError::Manifest(error) => return error.into(),
            SealerError::Trust(error) => return error.into(),
            SealerError::Certificate(error) => return error.into(),
            SealerError::Code { .. } => (Exit::Usage, "bureau-code"),
            SealerError::UnknownBureau { .. } => (Exit::NotFound, "unknown-bureau"),
            SealerError::OtherKey => (Exit::Refused, "other-key"),
            SealerError::OtherManifest { .. } => (Exit::Conflict, "other-manifest"),
            SealerError::OtherOrganization => (Exit::Refused, "other-organization"),
            SealerError::UnknownJob => (Exit::NotFound, UNKNOWN_JOB),
            SealerError::Order { .. } => (Exit::Usage, "order"),
            SealerError::NotSealed { .. } => (Exit::Refused, "not-sealed"),
            SealerError::Paper(_) => (Exit::Refused, "no-statement"),
            SealerError::OtherContent { .. } => (Exit::Conflict, OTHER_CONTENT),
            SealerError::Encoding { .. } => (Exit::Usage, "encoding"),
            SealerError::Seal(_) => (Exit::Unavailable, "sealing"),
            SealerError::Key(ref error) => crate::problem::key_class(error),
            SealerError::Record(_) => (Exit::Damaged, "store-damaged"),
            SealerError::Commit(ref error) => crate::problem::store_class(error),
        };
        let problem = crate::problem::told(exit, code, &error.to_string());
        match row {
            Some(row) => problem.at(format!("row {row}")),
            None => problem,
        }
    }
}
