//! What an officer can ask for, and the power that it takes: one list, whether it comes over the socket, over TLS or from a
//! command that opened the store itself.

use std::path::PathBuf;

use policies::authority::Power;
use serde::{Deserialize, Serialize};

use crate::documents::Documents;
use crate::flow::approve::Decided;
use crate::flow::adopt::Succeeds;
use crate::flow::block::KeyDigest;
use crate::flow::bulk::BulkOrder;
use crate::flow::contact::SetContact;
use crate::flow::enterprise::EnterpriseOrder;
use crate::flow::hold::{FreezeOrder, LiftWords, Resume};
use crate::flow::issue::Order;
use crate::flow::officer::{Grant, Withdraw};
use crate::flow::order::{Applied, OrderQuery};
use crate::flow::reading::ReadingQuery;
use crate::flow::registrar::SetRegistrar;
use crate::flow::renew::Renew;
use crate::flow::replace::{Correct, Replace};
use crate::flow::revoke::Revoke;
use crate::flow::roots::NewRoot;
use crate::record::{BulkAct, NoticeState, OrderId, der_text};
use crate::register::Query;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    Issue(Order),
    Show { serial: String },
    List(Query),
    Revoke(Revoke),
    Renew(Renew),
    Replace(Replace),
    Correct(Correct),
    Suspend { serial: String },
    Resume(Resume),
    Freeze(FreezeOrder),
    FreezeEnterprise(EnterpriseOrder),
    LiftEnterprise { code: String, words: LiftWords },
    Bulk(BulkOrder),
    /// The next portion of an act that was begun.
    BulkStep { incident: String, act: BulkAct },
    ShowIncident { incident: String },
    IncidentItems { incident: String, act: BulkAct, from: u64 },
    BlockKey { key: KeyDigest },
    PlaceOrder(Applied),
    ShowOrder { id: OrderId },
    ListOrders(OrderQuery),
    /// The acts that wait for officers' approval.
    ListActs,
    /// The policies that are accepted.
    ShowPolicies,
    /// All documents that are to be gone by, changed ones and others.
    ProposePolicies { documents: Documents },
    CancelOrder { id: OrderId },
    /// An officer's signed decision: it is the signature that is judged, whoever brings it.
    DecideOrder(Decided),
    /// All that proves an order offline.
    ExportOrder { id: OrderId },
    /// Every list of an issuer; of all issuers with a key here when none is named.
    PublishCrl { issuer: Option<String> },
    /// The bytes of the root's next list, for its key to sign where that is.
    PrepareRootCrl {
        /// The root of the founding when none is named.
        #[serde(default)]
        root: Option<String>,
    },
    PublishRootCrl {
        #[serde(with = "der_text")]
        der: Vec<u8>,
    },
    ExportLog { directory: PathBuf },
    GrantPower(Grant),
    WithdrawPower(Withdraw),
    ListOfficers,
    /// A mail gateway's word about the mailboxes of a domain counts from now on.
    SetRegistrar(SetRegistrar),
    WithdrawRegistrar { serial: String },
    ListRegistrars,
    /// The secret of an own name, for the holder of a certificate who stands at the counter.
    OwnName { serial: String },
    /// The same, with the secret changed before.
    NewOwnName { serial: String },
    /// Everything an authority needs to go on, into a new directory.
    Backup { directory: PathBuf },
    /// All that has to be kept, into a new directory, for whoever takes over.
    WindDownExport { directory: PathBuf },
    /// How long records are to be kept, and which are beyond their time.
    RetentionReport,
    /// A certificate of ours that a restored register does not know.
    AdoptCertificate {
        #[serde(with = "der_text")]
        der: Vec<u8>,
        profile: Option<String>,
        /// The certificate whose place it took, and why.
        #[serde(default)]
        succeeds: Option<Succeeds>,
    },
    /// What a list of ours says that a restored register does not know.
    AdoptList {
        #[serde(with = "der_text")]
        der: Vec<u8>,
    },
    /// The same from a file of the authority's own host: a list may be longer than a request.
    AdoptListFile { file: PathBuf },
    /// What a token of this authority said.
    ShowTimestamp { serial: String },
    /// The key of an authority's next generation, and its request.
    RequestIssuer { issuer: String },
    /// What a ceremony certified takes over.
    InstallIssuer {
        #[serde(with = "der_text")]
        der: Vec<u8>,
    },
    /// A root's next generation is published beside the present one.
    InstallRoot(NewRoot),
    /// Where an officer or a host is told that a certificate ends.
    SetContact(SetContact),
    /// Notices in the outbox, the first first.
    NoticeList { state: Option<NoticeState>, limit: Option<usize> },
    /// The words of one.
    NoticeShow { id: String },
    /// The failed ones go out again: one, or all.
    NoticeRetry { id: Option<String> },
    /// What is well and what is not: changes nothing.
    Doctor,
    /// Who looked at records, by which operation and in which hour.
    ListReadings(ReadingQuery),
}

/// What of an operation's use stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// What it changes has entries of its own; what it asks others to approve has too.
    Change,
    /// It shows records or hands out copies: an entry an hour for whoever looks (`flow::reading`).
    Reading,
    /// It says nothing of anybody, and must answer where nothing can be written any more.
    Nothing,
}

impl Operation {
    /// What it is called in logs, and the powers of which one suffices. Every operation stands here: there is none that
    /// is for everybody.
    ///
    /// | | administrator | operator | auditor |
    /// |---|---|---|---|
    /// | set and withdraw registrars | yes | | |
    /// | grant and withdraw powers, a grant with the approval of another as `approvals.toml` says; publish lists, the root's too; take in what a restored register lacks; revoke and issue anew in bulk; propose policies, with the approval of others as `approvals.toml` says | yes | | |
    /// | issue, renew, replace, correct, revoke, suspend, resume, freeze; block a key; send notices again; tell a holder the own name's secret | | yes | |
    /// | export the log, on the authority's own machine; how long records are kept | | | yes |
    /// | show and list certificates, notices and policies, show timestamps | yes | yes | yes |
    /// | list officers, registrars and who looked at records; doctor; back up and export a wind-down package, on the authority's own machine | yes | | yes |
    pub fn power(&self) -> (&'static str, &'static [Power]) {
        use Power::{Administrator, Auditor, Operator};
        match self {
            Self::Issue(_) => ("issue", &[Operator]),
            Self::Show { .. } => ("show", &Power::ALL),
            Self::List(_) => ("list", &Power::ALL),
            Self::Revoke(_) => ("revoke", &[Operator]),
            Self::Renew(_) => ("renew", &[Operator]),
            Self::Replace(_) => ("replace", &[Operator]),
            Self::Correct(_) => ("correct", &[Operator]),
            Self::Suspend { .. } => ("suspend", &[Operator]),
            Self::Resume(_) => ("resume", &[Operator]),
            Self::Freeze(_) => ("freeze", &[Operator]),
            Self::FreezeEnterprise(_) => ("freeze-enterprise", &[Operator]),
            Self::LiftEnterprise { .. } => ("lift-enterprise", &[Operator]),
            Self::Bulk(_) => ("bulk", &[Administrator]),
            Self::BulkStep { .. } => ("bulk-step", &[Administrator]),
            Self::ShowIncident { .. } => ("show-incident", &Power::ALL),
            Self::IncidentItems { .. } => ("incident-items", &Power::ALL),
            Self::BlockKey { .. } => ("block-key", &[Operator]),
            Self::PlaceOrder(_) => ("place-order", &[Operator]),
            Self::ShowOrder { .. } => ("show-order", &Power::ALL),
            Self::ListOrders(_) => ("list-orders", &Power::ALL),
            Self::ListActs => ("list-acts", &Power::ALL),
            Self::ShowPolicies => ("show-policies", &Power::ALL),
            Self::ProposePolicies { .. } => ("propose-policies", &[Administrator]),
            Self::CancelOrder { .. } => ("cancel-order", &[Operator]),
            Self::ExportOrder { .. } => ("export-order", &Power::ALL),
            Self::DecideOrder(_) => ("decide-order", &Power::ALL),
            Self::PublishCrl { .. } => ("publish-crl", &[Administrator]),
            Self::PrepareRootCrl { .. } => ("prepare-root-crl", &[Administrator]),
            Self::PublishRootCrl { .. } => ("publish-root-crl", &[Administrator]),
            Self::ExportLog { .. } => ("export-log", &[Auditor]),
            Self::OwnName { .. } => ("own-name", &[Operator]),
            Self::NewOwnName { .. } => ("new-own-name", &[Operator]),
            Self::GrantPower(_) => ("grant-power", &[Administrator]),
            Self::WithdrawPower(_) => ("withdraw-power", &[Administrator]),
            Self::ListOfficers => ("list-officers", &[Administrator, Auditor]),
            Self::SetRegistrar(_) => ("set-registrar", &[Administrator]),
            Self::WithdrawRegistrar { .. } => ("withdraw-registrar", &[Administrator]),
            Self::ListRegistrars => ("list-registrars", &[Administrator, Auditor]),
            Self::Backup { .. } => ("backup", &[Administrator, Auditor]),
            Self::WindDownExport { .. } => ("wind-down-export", &[Administrator, Auditor]),
            Self::RetentionReport => ("retention-report", &[Auditor]),
            Self::AdoptCertificate { .. } => ("adopt-certificate", &[Administrator]),
            Self::AdoptList { .. } => ("adopt-list", &[Administrator]),
            Self::AdoptListFile { .. } => ("adopt-list-file", &[Administrator]),
            Self::ShowTimestamp { .. } => ("show-timestamp", &Power::ALL),
            Self::RequestIssuer { .. } => ("request-issuer", &[Administrator]),
            Self::InstallIssuer { .. } => ("install-issuer", &[Administrator]),
            Self::InstallRoot(_) => ("install-root", &[Administrator]),
            Self::SetContact(_) => ("set-contact", &[Operator]),
            Self::NoticeList { .. } => ("list-notices", &Power::ALL),
            Self::NoticeShow { .. } => ("show-notice", &Power::ALL),
            Self::NoticeRetry { .. } => ("retry-notice", &[Operator]),
            Self::Doctor => ("doctor", &[Administrator, Auditor]),
            Self::ListReadings(_) => ("list-readings", &[Administrator, Auditor]),
        }
    }

    /// Whether it enters what a restored register does not know.
    pub fn adopts(&self) -> bool {
        matches!(self, Self::AdoptCertificate { .. } | Self::AdoptList { .. } | Self::AdoptListFile { .. })
    }

    pub fn trace(&self) -> Trace {
        match self {
            Self::Bulk(BulkOrder { execute: false, .. })
            | Self::Show { .. }
            | Self::List(_)
            | Self::ShowIncident { .. }
            | Self::IncidentItems { .. }
            | Self::ShowOrder { .. }
            | Self::ListOrders(_)
            | Self::ListActs
            | Self::ExportOrder { .. }
            | Self::ExportLog { .. }
            | Self::ListOfficers
            | Self::ListRegistrars
            // Who was told a secret has an entry the first time; whoever has it told again was told it again.
            | Self::OwnName { .. }
            | Self::Backup { .. }
            | Self::WindDownExport { .. }
            | Self::RetentionReport
            | Self::NoticeList { .. }
            | Self::NoticeShow { .. }
            | Self::ListReadings(_) => Trace::Reading,
            Self::ShowPolicies | Self::ShowTimestamp { .. } | Self::Doctor => Trace::Nothing,
            Self::Issue(_)
            | Self::Revoke(_)
            | Self::Renew(_)
            | Self::Replace(_)
            | Self::Correct(_)
            | Self::Suspend { .. }
            | Self::Resume(_)
            | Self::Freeze(_)
            | Self::FreezeEnterprise(_)
            | Self::LiftEnterprise { .. }
            | Self::Bulk(_)
            | Self::BulkStep { .. }
            | Self::BlockKey { .. }
            | Self::PlaceOrder(_)
            | Self::ProposePolicies { .. }
            | Self::CancelOrder { .. }
            | Self::DecideOrder(_)
            | Self::PublishCrl { .. }
            | Self::PrepareRootCrl { .. }
            | Self::PublishRootCrl { .. }
            | Self::GrantPower(_)
            | Self::WithdrawPower(_)
            | Self::SetRegistrar(_)
            | Self::WithdrawRegistrar { .. }
            | Self::NewOwnName { .. }
            | Self::AdoptCertificate { .. }
            | Self::AdoptList { .. }
            | Self::AdoptListFile { .. }
            | Self::RequestIssuer { .. }
            | Self::InstallIssuer { .. }
            | Self::InstallRoot(_)
            | Self::SetContact(_)
            | Self::NoticeRetry { .. } => Trace::Change,
        }
    }

    /// Copies that the owner of the machine takes, whether or not anything can be written any more.
    pub fn saves_what_is_left(&self) -> bool {
        matches!(self, Self::Backup { .. } | Self::ExportLog { .. })
    }

    /// Whether it names a path to write to: that is not for somebody on another machine to do.
    pub fn is_local_only(&self) -> bool {
        matches!(self, Self::Backup { .. } | Self::WindDownExport { .. } | Self::ExportLog { .. })
    }
}
