//! What a filing is judged on: by a desk, which has all of it, or by `filing verify`, which has what it is given.

use std::sync::Arc;

use keys::DataKey;
use runtime::clock::Clock;
use store::Store;

use super::policy::Policies;
use super::registry::Registry;
use super::trust::Trust;

pub struct Grounds {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    /// Seals what filings say.
    pub data: DataKey,
    pub policies: Policies,
    pub trust: Trust,
    pub registry: Arc<dyn Registry>,
    pub sight: Sight,
    /// The store may tell what filings say in an older form, too; see `record::filing::Said`.
    pub older_payloads: bool,
}

/// What is known beside the filing. Where something is not, nothing is found against a filing for the want of it: it is told as
/// not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Authorities can be asked: for timestamps, and how a certificate stands.
    pub asks: bool,
    /// Every mandate is here.
    pub mandates: bool,
    /// So is every filing that was received before.
    pub earlier: bool,
    /// So are the files that go with filings.
    pub attachments: bool,
}

impl Sight {
    /// A desk's.
    pub const WHOLE: Self = Self { asks: true, mandates: true, earlier: true, attachments: true };
}
