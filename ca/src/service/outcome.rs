//! What operations answer, as commands show it and the officers' API carries it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ::policies::authority::Power;
use serde::{Deserialize, Serialize};

use super::pem;
use crate::act_proof::ActProof;
use crate::act_shown::ActShown;
use crate::authority::Issuer;
use crate::doctor::Examined;
use crate::flow::backup::BackedUp;
use crate::flow::block::KeyDigest;
use crate::flow::bulk::Preview;
use crate::flow::reading::Readings;
use crate::flow::succeed::Link;
use crate::flow::take_over::Requested;
use crate::flow::{policies, roots};
use crate::letter::Letter;
use crate::order_proof::Proof;
use crate::order_shown::OrderShown;
use crate::record::{Came, Freeze, Incident, Lift, NoticeState, Reason, Recipient, Scope, Unread, der_text, serial_text};
use crate::register::State;
use crate::retention;
use crate::stamped::Stamped;
use crate::wind_down::WoundDown;

/// A certificate as commands show it. Times are Unix seconds.
#[derive(Clone, Serialize, Deserialize)]
pub struct Shown {
    pub serial: String,
    pub state: State,
    pub profile: String,
    pub issuer: String,
    pub name: String,
    pub code: Option<String>,
    pub not_before: i64,
    pub not_after: i64,
    pub revoked_at: Option<i64>,
    pub reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_since: Option<i64>,
    /// Since when it is suspended or frozen.
    pub held_since: Option<i64>,
    /// When the freeze ends, or when the suspension becomes a revocation.
    pub held_until: Option<i64>,
    /// The order that keeps it frozen.
    pub freeze: Option<Freeze>,
    /// Every order that ever froze it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<Freeze>,
    /// On whose word such orders ended before their date.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifts: Vec<Lift>,
    /// The certificate whose place it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Link>,
    /// Those that took its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced_by: Vec<Link>,
    /// When it is revoked since another took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<i64>,
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pem: Option<String>,
    /// The issuers above, PEM, without the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Published {
    pub issuer: String,
    pub scope: Scope,
    pub number: u64,
    pub entries: u64,
    pub this_update: i64,
    pub next_update: i64,
    pub address: String,
}

/// A list about to be signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// Whose.
    pub root: String,
    pub number: u64,
    pub entries: u64,
    pub next_update: i64,
    /// The TBSCertList, base64.
    #[serde(with = "der_text")]
    pub tbs: Vec<u8>,
    /// The root's certificate, base64.
    #[serde(with = "der_text")]
    pub certificate: Vec<u8>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exported {
    pub directory: PathBuf,
    pub entries: u64,
    pub vkey: String,
    /// The log could not be written any more, and has no entry of this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unrecorded: bool,
}

/// A certificate that the register knows again.
#[derive(Clone, Serialize, Deserialize)]
pub struct Adopted {
    pub certificate: Shown,
    /// Whether it was known before.
    pub before: bool,
}

/// A list that the register agrees with now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListAdopted {
    pub issuer: String,
    pub number: u64,
    pub entries: u64,
    /// Certificates that are revoked or suspended only since.
    pub changed: u64,
    /// Serials of certificates that nobody here knows; they stay on the lists.
    pub unknown: u64,
}

/// One certificate of an incident, and what came of it.
#[derive(Clone, Serialize, Deserialize)]
pub struct BulkItem {
    pub serial: String,
    pub came: Option<Came>,
}

/// An enterprise that was frozen, or is no longer.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enterprise {
    pub code: String,
    /// The order in force.
    pub freeze: Option<Freeze>,
    /// Its certificates that were changed.
    pub certificates: Vec<Shown>,
}

/// A blocked key, and what fell with it.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyBlocked {
    pub key: KeyDigest,
    /// Whether it was blocked before.
    pub before: bool,
    pub revoked: Vec<Shown>,
}

/// A certificate and its powers. Times are Unix seconds.
#[derive(Clone, Serialize, Deserialize)]
pub struct ShownOfficer {
    pub serial: String,
    pub state: State,
    pub name: String,
    pub not_after: i64,
    /// Empty once all were withdrawn.
    pub powers: BTreeSet<Power>,
}

/// A registrar's certificate, and whose mailboxes it may vouch for. Times are Unix seconds.
#[derive(Clone, Serialize, Deserialize)]
pub struct ShownRegistrar {
    pub serial: String,
    pub state: State,
    pub name: String,
    pub not_after: i64,
    /// None once it was withdrawn.
    pub domain: Option<String>,
}

/// A notice as commands show it. Times are Unix seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownNotice {
    pub id: String,
    pub state: NoticeState,
    pub to: Recipient,
    pub queued_at: i64,
    /// When it came into its state; of a queued one, when it goes out.
    pub at: i64,
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Unread>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Certificate(Box<Shown>),
    Certificates(Vec<Shown>),
    KeyBlocked(KeyBlocked),
    Enterprise(Enterprise),
    Preview(Preview),
    Incident(Incident),
    Incidents(Vec<Incident>),
    IncidentItems(Vec<BulkItem>),
    Order(Box<OrderShown>),
    Orders(Vec<OrderShown>),
    OrderProof(Box<Proof>),
    Act(Box<ActShown>),
    Acts(Vec<ActShown>),
    ActProof(Box<ActProof>),
    Policies(Box<policies::Standing>),
    Published(Vec<Published>),
    Prepared(Prepared),
    Exported(Exported),
    Officer(ShownOfficer),
    Officers(Vec<ShownOfficer>),
    Readings(Readings),
    Registrars(Vec<ShownRegistrar>),
    /// The secret, and those before it, the last first.
    OwnName { serial: String, secret: String, earlier: Vec<String> },
    Notices(Vec<ShownNotice>),
    Letter(Letter),
    Examined(Examined),
    BackedUp(BackedUp),
    WoundDown(WoundDown),
    Retention(retention::Report),
    Adopted(Box<Adopted>),
    ListAdopted(ListAdopted),
    Timestamp(Box<Stamped>),
    IssuerRequested(Requested),
    IssuerInstalled(Installed),
    RootsPublished(Vec<roots::Published>),
}

/// A generation that issues now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Installed {
    pub id: String,
    pub serial: String,
    /// Unix seconds.
    pub not_after: i64,
    pub sha256: String,
    /// Where its certificate lies for people.
    pub certificate: PathBuf,
}

impl Installed {
    /// Written beside the others, where it can be.
    pub fn written(issuer: &Issuer, directory: &Path) -> Self {
        let certificate = crate::init::certificate_file(directory, issuer.id());
        let der = &issuer.record.der;
        if let Err(error) = runtime::state::write_atomically(&certificate, pem("CERTIFICATE", der).as_bytes(), 0o644) {
            tracing::warn!(%error, path = %certificate.display(), "the new certificate cannot be written there; it is served all the same");
        }
        Self { id: issuer.id().to_owned(), serial: serial_text(&issuer.serial), not_after: issuer.not_after.unix_timestamp(), sha256: crate::sha256_hex(der), certificate }
    }
}
