//! Each operation done by its flow, which gets the proof it asks for, and what is told of it.

use std::sync::Arc;

use evidence::Evidence;
use runtime::exit::Problem;

use crate::act_proof;
use crate::act_shown::ActShown;
use crate::doctor;
use crate::authority::{Authority, Issuer, ROOT};
use crate::flow::bulk::{self, Ordered};
use crate::flow::contact;
use crate::flow::enterprise;
use crate::flow::hold;
use crate::flow::block::{Blocked, block};
use crate::flow::issue::issue;
use crate::flow::renew::renew;
use crate::flow::replace::{correct, replace};
use crate::flow::succeed::{Link, Succeeded, successors};
use crate::flow::own_name::{new_own_name, own_name};
use crate::flow::registrar;
use crate::flow::revoke::revoke;
use crate::flow::reading;
use crate::flow::roots;
use crate::flow::approve;
use crate::flow::take_over;
use crate::flow::backup::{self, BackedUp};
use crate::flow::officer;
use crate::flow::order::{self, OrderError, Placed};
use crate::flow::policies::{self, Proposed};
use crate::flow::{Administrator, Authorised, Operator, Proven, act, adopt, outbox, publish, wind_down};
use crate::own_name::Secret;
use crate::operation::{Operation, Trace};
use crate::order_proof;
use crate::order_shown::OrderShown;
use crate::problem::{IssueError, OfficerError};
use crate::record::{ActRecord, CertificateRecord, CrlHead, Item, Notice, OrderId, OrderRecord, Scope, Status, serial_text};
use crate::register;
use crate::retention;
use crate::stamped;

mod outcome;

pub use outcome::{Adopted, BulkItem, Enterprise, Exported, Installed, KeyBlocked, ListAdopted, Outcome, Prepared, Published, Shown, ShownNotice, ShownOfficer, ShownRegistrar};

pub fn pem(label: &str, der: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new(label, der), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// What leads from a certificate by `issuer` to the root of the founding, PEM, without that root.
pub fn chain_of(authority: &Authority, issuer: &str) -> Option<String> {
    let above = roots::above(authority, issuer);
    (!above.is_empty()).then(|| above.iter().map(|der| pem("CERTIFICATE", der)).collect())
}

/// An open authority and its log.
#[derive(Clone)]
pub struct Service {
    pub authority: Arc<Authority>,
    pub evidence: Arc<Evidence>,
}

impl Service {
    /// Does what somebody asks for who proved to have the power for it, and gives each flow the proof it asks for.
    pub fn perform(&self, proven: &Proven, operation: Operation) -> Result<Outcome, Problem> {
        let (name, powers) = operation.power();
        proven.allow(name, powers)?;
        if operation.is_local_only() && !proven.is_local() {
            return Err(OfficerError::LocalOnly { operation: name }.into());
        }
        tracing::info!(operation = name, actor = %proven.actor(), "asked for");
        let recorded = if operation.trace() == Trace::Reading { reading::record(&self.authority, proven.actor(), name) } else { Ok(()) };
        let unrecorded = match recorded {
            Ok(()) => false,
            Err(error) if operation.saves_what_is_left() => {
                tracing::error!(operation = name, actor = %proven.actor(), %error, "done without an entry of the log, which cannot be written");
                true
            }
            Err(error) => return Err(error.into()),
        };
        match operation {
            Operation::Issue(order) => {
                let issued = issue(&self.authority, proven.acting()?, order)?;
                let signed = issued.what();
                Ok(Outcome::Certificate(Box::new(self.shown(&signed.serial, &signed.record, true))))
            }
            Operation::Show { serial } => {
                let serial = register::serial(&serial).map_err(IssueError::from)?;
                let record = register::get(&*self.authority.store, &serial).map_err(IssueError::from)?;
                let (orders, lifts) = (hold::orders(&self.authority, &serial)?, hold::lifts(&self.authority, &serial)?);
                let replaced_by = successors(&self.authority, &serial)?;
                let ends_at = self.ends_at(&record, &replaced_by)?;
                Ok(Outcome::Certificate(Box::new(Shown { orders, lifts, replaced_by, ends_at, ..self.shown(&serial, &record, true) })))
            }
            Operation::List(query) => {
                let found = register::list(&*self.authority.store, &query, self.now()).map_err(IssueError::from)?;
                Ok(Outcome::Certificates(found.iter().map(|(serial, record)| self.shown(serial, record, false)).collect()))
            }
            Operation::Revoke(order) => {
                let done = revoke(&self.authority, &proven.acting::<Operator>()?, &order)?;
                Ok(Outcome::Certificates(done.certificates.iter().map(|(serial, record)| self.shown(serial, record, false)).collect()))
            }
            Operation::Suspend { serial } => Ok(self.changed(&hold::suspend(&self.authority, &proven.acting()?, &serial)?)),
            Operation::Resume(order) => Ok(self.changed(&hold::resume(&self.authority, &proven.acting()?, &order)?)),
            Operation::Freeze(order) => Ok(self.changed(&hold::freeze(&self.authority, &proven.acting()?, order)?)),
            Operation::Renew(order) => Ok(self.succeeded(&renew(&self.authority, &proven.acting()?, &order)?)),
            Operation::Replace(order) => Ok(self.succeeded(&replace(&self.authority, &proven.acting()?, &order)?)),
            Operation::Correct(order) => Ok(self.succeeded(&correct(&self.authority, &proven.acting()?, &order)?)),
            Operation::FreezeEnterprise(order) => Ok(self.enterprise(&enterprise::freeze(&self.authority, &proven.acting()?, order)?)),
            Operation::LiftEnterprise { code, words } => Ok(self.enterprise(&enterprise::lift(&self.authority, &proven.acting()?, &code, &words)?)),
            Operation::Bulk(order) => Ok(match bulk::order(&self.authority, &proven.acting()?, &order)? {
                Ordered::WouldDo(preview) => Outcome::Preview(preview),
                Ordered::Incident(incident) => Outcome::Incident(incident),
                Ordered::Awaits(id) => self.act(&id, &act::load(&self.authority, &id)?.1)?,
            }),
            Operation::BulkStep { incident, act } => Ok(Outcome::Incident(bulk::step(&self.authority, &proven.acting()?, &incident, act)?)),
            Operation::ShowIncident { incident } => Ok(Outcome::Incidents(bulk::acts(&self.authority, &incident)?)),
            Operation::IncidentItems { incident, act, from } => {
                let shown = |item: Item| BulkItem { serial: serial_text(&item.serial), came: item.came };
                Ok(Outcome::IncidentItems(bulk::items(&self.authority, &incident, act, from)?.into_iter().map(shown).collect()))
            }
            Operation::BlockKey { key } => {
                let Blocked { before, revoked } = block(&self.authority, &proven.acting()?, key)?;
                let revoked = revoked.iter().map(|(serial, record)| self.shown(serial, record, false)).collect();
                Ok(Outcome::KeyBlocked(KeyBlocked { key, before, revoked }))
            }
            Operation::PlaceOrder(applied) => {
                let Placed { id, order, before } = order::place(&self.authority, &proven.acting()?, applied)?;
                Ok(Outcome::Order(Box::new(OrderShown { before, ..self.order(&id, &order)? })))
            }
            Operation::ShowOrder { id } if let Some((_, act)) = act::find(&self.authority, &id)? => Ok(Outcome::Act(Box::new(ActShown::whole(&self.authority, &id, &act)?))),
            Operation::ShowOrder { id } => Ok(Outcome::Order(Box::new(self.order(&id, &order::load(&self.authority, &id)?.1)?))),
            Operation::ListOrders(query) => {
                let found = order::list(&self.authority, &query)?;
                Ok(Outcome::Orders(found.iter().map(|(id, order)| self.order(id, order)).collect::<Result<_, _>>()?))
            }
            Operation::ListActs => {
                let found = act::list(&self.authority)?;
                Ok(Outcome::Acts(found.iter().map(|(id, act)| ActShown::new(&self.authority, id, act)).collect::<Result<_, _>>()?))
            }
            Operation::ShowPolicies => Ok(Outcome::Policies(Box::new(policies::standing(&self.authority)?))),
            Operation::ProposePolicies { documents } => Ok(match policies::propose(&self.authority, &proven.acting()?, &documents)? {
                Proposed::Accepted(standing) => Outcome::Policies(Box::new(standing)),
                Proposed::Awaits(id, act) => Outcome::Act(Box::new(ActShown::whole(&self.authority, &id, &act)?)),
            }),
            Operation::DecideOrder(decided) if act::find(&self.authority, &decided.order)?.is_some() => Ok(self.act(&decided.order, &act::decide(&self.authority, &decided)?)?),
            Operation::ExportOrder { id } if act::find(&self.authority, &id)?.is_some() => Ok(Outcome::ActProof(Box::new(act_proof::export(&self.authority, &self.evidence, &id)?))),
            Operation::DecideOrder(decided) => Ok(Outcome::Order(Box::new(self.order(&decided.order, &approve::decide(&self.authority, &decided)?)?))),
            Operation::ExportOrder { id } => Ok(Outcome::OrderProof(Box::new(order_proof::export(&self.authority, &self.evidence, &id)?))),
            Operation::CancelOrder { id } => Ok(Outcome::Order(Box::new(self.order(&id, &order::cancel(&self.authority, &proven.acting()?, &id)?)?))),
            Operation::PublishCrl { issuer } => self.publish(&proven.acting()?, issuer.as_deref()),
            Operation::PrepareRootCrl { root } => {
                let root = self.root(root.as_deref().unwrap_or(ROOT))?;
                let publish::Prepared { intent, tbs } = publish::prepare(&self.authority, &proven.acting()?, root)?;
                Ok(Outcome::Prepared(Prepared { root: root.id().to_owned(), number: intent.number, entries: intent.entries, next_update: intent.next_update, tbs, certificate: root.record.der.clone() }))
            }
            Operation::PublishRootCrl { der } => {
                let root = roots::of_list(&self.authority, &der).ok_or(IssueError::NotPrepared)?;
                let list = publish::accept(&self.authority, &proven.acting()?, root, der)?;
                Ok(Outcome::Published(vec![self.published(root, Scope::Whole, &list)]))
            }
            Operation::Backup { directory } => {
                let mut told = 0;
                let mut progress = |records: u64| {
                    if records / 100_000 > told {
                        told = records / 100_000;
                        tracing::info!(records, "backing up");
                    }
                };
                Ok(Outcome::BackedUp(BackedUp { unrecorded, ..backup::back_up(&self.authority, &self.evidence, &directory, &mut progress)? }))
            }
            Operation::WindDownExport { directory } => {
                let mut progress = |what: &str, count: u64| tracing::info!(what, count, "written for a wind-down");
                Ok(Outcome::WoundDown(wind_down::export(&self.authority, &self.evidence, proven.actor(), &directory, &mut progress)?))
            }
            Operation::RetentionReport => Ok(Outcome::Retention(retention::report(&self.authority)?)),
            Operation::AdoptCertificate { der, profile, succeeds } => {
                let adopt::Adopted { serial, record, before } = adopt::certificate(&self.authority, &proven.acting()?, &der, profile.as_deref())?;
                let record = match succeeds {
                    Some(old) => adopt::succeeds(&self.authority, &proven.acting()?, &serial, &old)?,
                    None => record,
                };
                Ok(Outcome::Adopted(Box::new(Adopted { certificate: self.shown(&serial, &record, false), before })))
            }
            Operation::AdoptList { der } => self.adopt_list(&proven.acting()?, der),
            // One power, from wherever: the path leads to nothing but a list that our own keys signed.
            Operation::AdoptListFile { file } => {
                let authorised = proven.acting()?;
                self.adopt_list(&authorised, adopt::read_list(&file)?)
            }
            Operation::ShowTimestamp { serial } => Ok(Outcome::Timestamp(Box::new(stamped::find(&*self.authority.store, &serial)?))),
            Operation::RequestIssuer { issuer } => Ok(Outcome::IssuerRequested(take_over::request(&self.authority, &proven.acting::<Administrator>()?, &issuer)?)),
            Operation::InstallIssuer { der } => {
                let issuer = take_over::install(&self.authority, &proven.acting::<Administrator>()?, &der)?;
                Ok(Outcome::IssuerInstalled(Installed::written(&issuer, self.evidence.directory())))
            }
            Operation::InstallRoot(new) => Ok(Outcome::RootsPublished(roots::install(&self.authority, &proven.acting()?, &new)?)),
            Operation::SetContact(order) => {
                let (serial, record) = contact::set(&self.authority, &proven.acting()?, &order)?;
                Ok(Outcome::Certificate(Box::new(self.shown(&serial, &record, false))))
            }
            Operation::NoticeList { state, limit } => {
                let found = outbox::list(&self.authority, state, limit.unwrap_or(register::PAGE).clamp(1, register::PAGE))?;
                Ok(Outcome::Notices(found.iter().map(shown_notice).collect()))
            }
            Operation::NoticeShow { id } => Ok(Outcome::Letter(outbox::words(&self.authority, &id)?)),
            Operation::NoticeRetry { id } => {
                let queued = outbox::retry(&self.authority, &proven.acting()?, id.as_deref())?;
                Ok(Outcome::Notices(queued.iter().map(shown_notice).collect()))
            }
            Operation::Doctor => Ok(Outcome::Examined(doctor::examine(self)?)),
            Operation::ListReadings(query) => Ok(Outcome::Readings(reading::list(&self.authority, &query)?)),
            Operation::GrantPower(order) => match officer::grant(&self.authority, &proven.acting()?, &order) {
                Err(OfficerError::ApprovalNeeded { .. }) => {
                    let (id, act) = act::ask_grant(&self.authority, &proven.acting()?, &order)?;
                    Ok(self.act(&id, &act)?)
                }
                granted => Ok(Outcome::Officer(self.officer(granted?))),
            },
            Operation::WithdrawPower(order) => Ok(Outcome::Officer(self.officer(officer::withdraw(&self.authority, &proven.acting()?, &order)?))),
            Operation::SetRegistrar(order) => match registrar::set(&self.authority, &proven.acting()?, &order) {
                Err(OfficerError::ApprovalNeeded { .. }) => {
                    let (id, act) = act::ask_registrar(&self.authority, &proven.acting()?, &order)?;
                    Ok(self.act(&id, &act)?)
                }
                set => Ok(self.registrars(vec![set?])),
            },
            Operation::WithdrawRegistrar { serial } => Ok(self.registrars(vec![registrar::withdraw(&self.authority, &proven.acting()?, &serial)?])),
            Operation::ListRegistrars => Ok(self.registrars(registrar::list(&self.authority)?)),
            Operation::ListOfficers => Ok(Outcome::Officers(officer::list(&self.authority)?.into_iter().map(|one| self.officer(one)).collect())),
            Operation::OwnName { serial } => {
                let serial = register::serial(&serial).map_err(IssueError::from)?;
                own_names(&serial, &own_name(&self.authority, &proven.acting()?, &serial)?)
            }
            Operation::NewOwnName { serial } => {
                let serial = register::serial(&serial).map_err(IssueError::from)?;
                own_names(&serial, &new_own_name(&self.authority, &proven.acting()?, &serial)?)
            }
            Operation::ExportLog { directory } => {
                let entries = self.evidence.export(&directory, &|_, _| {})?;
                let vkey = self.evidence.verifier()?.to_string();
                Ok(Outcome::Exported(Exported { directory, entries, vkey, unrecorded }))
            }
        }
    }

    fn order(&self, id: &OrderId, order: &OrderRecord) -> Result<OrderShown, OrderError> {
        OrderShown::new(&self.authority, id, order)
    }

    fn act(&self, id: &OrderId, act: &ActRecord) -> Result<Outcome, OrderError> {
        Ok(Outcome::Act(Box::new(ActShown::new(&self.authority, id, act)?)))
    }

    fn publish(&self, authorised: &Authorised<Administrator>, wanted: Option<&str>) -> Result<Outcome, Problem> {
        let issuers: Vec<&Arc<Issuer>> = match wanted {
            Some(id) => {
                let known = || self.authority.issuers.keys().cloned().collect();
                let unknown = || IssueError::UnknownIssuer { issuer: id.chars().take(64).collect(), known: known() };
                vec![self.authority.issuers.get(id).ok_or_else(unknown)?]
            }
            None => self.authority.issuers.values().filter(|issuer| issuer.key.is_some() && self.authority.clock.now() <= issuer.not_after).collect(),
        };
        let mut published = Vec::with_capacity(issuers.len());
        for issuer in issuers {
            for scope in publish::scopes(&self.authority, issuer)? {
                published.push(self.published(issuer, scope, &publish::publish_anew(&self.authority, authorised, issuer, scope)?));
            }
        }
        Ok(Outcome::Published(published))
    }

    fn adopt_list(&self, authorised: &Authorised<Administrator>, der: Vec<u8>) -> Result<Outcome, Problem> {
        let adopt::Held { issuer, number, entries, changed, unknown } = adopt::list(&self.authority, authorised, der)?;
        Ok(Outcome::ListAdopted(ListAdopted { issuer, number, entries, changed, unknown }))
    }

    fn root(&self, id: &str) -> Result<&Issuer, IssueError> {
        let known = || self.authority.issuers.roots().iter().map(|root| root.id().to_owned()).collect();
        let unknown = || IssueError::UnknownIssuer { issuer: id.chars().take(64).collect(), known: known() };
        self.authority.issuers.get(id).map(Arc::as_ref).filter(|root| root.is_root()).ok_or_else(unknown)
    }

    fn published(&self, issuer: &Issuer, scope: Scope, list: &CrlHead) -> Published {
        Published {
            issuer: issuer.id().to_owned(),
            scope,
            number: list.number,
            entries: list.entries,
            this_update: list.this_update,
            next_update: list.next_update,
            address: self.authority.addresses.list(issuer.id(), scope),
        }
    }

    fn now(&self) -> i64 {
        self.authority.clock.now().unix_timestamp()
    }

    fn registrars(&self, registrars: Vec<registrar::Changed>) -> Outcome {
        let shown = |registrar::Changed { serial, record, domain }| ShownRegistrar { serial: serial_text(&serial), state: register::state(&record, self.now()), name: record.name, not_after: record.not_after, domain };
        Outcome::Registrars(registrars.into_iter().map(shown).collect())
    }

    fn officer(&self, officer: officer::Changed) -> ShownOfficer {
        let officer::Changed { serial, record, powers } = officer;
        ShownOfficer { serial: serial_text(&serial), state: register::state(&record, self.now()), name: record.name, not_after: record.not_after, powers }
    }

    fn changed(&self, changed: &hold::Changed) -> Outcome {
        Outcome::Certificate(Box::new(self.shown(&changed.serial, &changed.record, false)))
    }

    fn enterprise(&self, changed: &enterprise::Changed) -> Outcome {
        let certificates = changed.certificates.iter().map(|(serial, record)| self.shown(serial, record, false)).collect();
        Outcome::Enterprise(Enterprise { code: changed.code.clone(), freeze: changed.order.clone(), certificates })
    }

    fn succeeded(&self, succeeded: &Succeeded) -> Outcome {
        Outcome::Certificate(Box::new(self.shown(&succeeded.serial, &succeeded.record, true)))
    }

    /// When a certificate that is not over yet is revoked, as those in its place say.
    fn ends_at(&self, record: &CertificateRecord, links: &[Link]) -> Result<Option<i64>, IssueError> {
        if matches!(record.status, Status::Revoked(_)) {
            return Ok(None);
        }
        let Some(last) = links.last() else { return Ok(None) };
        let new = register::find(&*self.authority.store, &register::serial(&last.serial)?)?;
        let ends = new.and_then(|new| new.predecessor).and_then(|predecessor| predecessor.ends);
        Ok(ends.map(|ends| ends.at).filter(|at| *at < record.not_after))
    }

    fn shown(&self, serial: &[u8], record: &CertificateRecord, whole: bool) -> Shown {
        let (revoked, held) = match &record.status {
            Status::Good => (None, None),
            Status::Held(hold) => (None, Some(hold)),
            Status::Revoked(revocation) => (Some(revocation), None),
        };
        let replaces = record.predecessor.as_ref().map(|predecessor| Link { serial: predecessor.serial.clone(), act: predecessor.act });
        Shown {
            serial: serial_text(serial),
            state: register::state(record, self.now()),
            profile: record.profile.clone(),
            issuer: record.issuer.clone(),
            name: record.name.clone(),
            code: record.code.clone(),
            not_before: record.not_before,
            not_after: record.not_after,
            revoked_at: revoked.map(|revocation| revocation.at),
            reason: revoked.map(|revocation| revocation.reason),
            invalid_since: revoked.and_then(|revocation| revocation.invalid_since),
            held_since: held.map(|hold| hold.at),
            held_until: held.map(|hold| hold::until(&self.authority, hold)),
            freeze: held.and_then(|hold| hold.freeze.clone()),
            orders: Vec::new(),
            replaces,
            lifts: Vec::new(),
            replaced_by: Vec::new(),
            ends_at: None,
            sha256: crate::sha256_hex(&record.der),
            pem: whole.then(|| pem("CERTIFICATE", &record.der)),
            chain: chain_of(&self.authority, &record.issuer).filter(|_| whole),
        }
    }
}

fn shown_notice(notice: &Notice) -> ShownNotice {
    let Notice { to, state, queued_at, at, attempts, reason, .. } = notice.clone();
    ShownNotice { id: notice.id(), state, to, queued_at, at, attempts, reason }
}

fn own_names(serial: &[u8], secrets: &[Secret]) -> Result<Outcome, Problem> {
    let [secret, earlier @ ..] = secrets else { return Err(IssueError::Damaged { what: "the secret of an own name" }.into()) };
    Ok(Outcome::OwnName { serial: serial_text(serial), secret: secret.text(), earlier: earlier.iter().map(Secret::text).collect() })
}
