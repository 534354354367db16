//! What the service does of its own accord: it signs the log's head, keeps the lists fresh and its OCSP signers young.

pub(crate) mod lists;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evidence::Standing;
use keys::{KeyStore, Token};
use runtime::exit::{Exit, Problem};
use runtime::shutdown::Shutdown;
use store::Batch;

use crate::administration::Endpoint;
use crate::authority::Issuer;
use crate::flow::{Authorised, act, bulk, ending, enterprise, forget, hold, issue, notice, numbering, order, own, roots, take_over};
use crate::problem::IssueError;
use crate::record::Scope;
use crate::service::Service;
use crate::status::Status;
use crate::timestamps::Timestamps;

/// How often the log's head is signed, when it grew.
const HEAD_EVERY: Duration = Duration::from_millis(250);
/// Lists and signers are looked at every so many turns.
const SLOWLY: u32 = 20;
/// A signer that could not be replaced is tried again after so many seconds.
const SIGNER_AGAIN: i64 = 600;
/// From so long before its end the root's list is asked for.
pub(crate) const ROOT_BEFORE_END: i64 = 14 * 86_400;

/// A part that reports, whether its fault makes `/healthz` fail or leaves weeks to mend it, and what everybody may read
/// of it: `/healthz` is open, the details are in the log.
struct Part {
    name: &'static str,
    urgent: bool,
    fault: &'static str,
    next: &'static str,
}

const PARTS: &[Part] = &[
    Part { name: "store", urgent: true, fault: "the store takes nothing more", next: "look at the disk and the clock, as the service's log tells: once the disk takes writes the service ends by itself, and is to be started anew" },
    Part { name: "log", urgent: true, fault: "the log's head cannot be signed and stored", next: "look at the disk" },
    Part { name: "crl", urgent: true, fault: "a list cannot be published", next: "read the service's log" },
    Part { name: "hold", urgent: false, fault: "a suspension or freeze that is over cannot be ended", next: "read the service's log" },
    Part { name: "succession", urgent: false, fault: "a certificate that another took the place of cannot be revoked", next: "read the service's log" },
    Part { name: "order", urgent: false, fault: "an order cannot go on", next: "read the service's log" },
    Part { name: "act", urgent: false, fault: "an act that was approved cannot go on", next: "read the service's log" },
    Part { name: "registry", urgent: false, fault: "the registry of enterprises cannot be read", next: "put one in its place that can be read" },
    Part { name: "token", urgent: true, fault: "the token with the issuing keys cannot be used, so nothing is issued", next: "see to the token and read the service's log" },
    Part { name: "job", urgent: true, fault: "a job failed unexpectedly", next: "report this with the service's log" },
    Part { name: "ocsp-signer", urgent: false, fault: "an OCSP signer cannot be replaced", next: "read the service's log" },
    Part { name: "administration", urgent: false, fault: "the certificate of the officers' listener cannot be renewed", next: "read the service's log" },
    Part { name: "timestamp-signer", urgent: false, fault: "no key may sign timestamps, or the next one cannot be made", next: "read the service's log" },
    // Timestamps end at once and nothing else does: a balancer that turns away from a host without a time service would take
    // OCSP and lists from everybody.
    Part { name: "time-source", urgent: false, fault: "nobody vouches for the clock, so no timestamps are made", next: "see to the host's time service and read the service's log" },
    Part { name: "notice", urgent: false, fault: "certificates that end cannot be told of", next: "read the service's log" },
    Part { name: "root-crl", urgent: false, fault: "the root's list is due", next: "make the next one with `ca crl root`" },
];

/// What is not well, as `/healthz` and `/metrics` tell it.
#[derive(Debug, Default)]
pub struct Health(Mutex<BTreeMap<&'static str, String>>);

impl Health {
    fn report(&self, part: &'static str, fault: Option<String>) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault) => {
                if faults.get(part) != Some(&fault) {
                    tracing::error!(part, fault, "something is not well");
                }
                faults.insert(part, fault);
            }
            None => {
                if faults.remove(part).is_some() {
                    tracing::info!(part, "well again");
                }
            }
        }
    }

    pub fn check(&self) -> Result<(), Problem> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = PARTS.iter().find(|part| part.urgent && faults.contains_key(part.name));
        found.map_or(Ok(()), |part| Err(Problem::new(Exit::Unavailable, part.name, part.fault, part.next)))
    }

    /// One line a part for Prometheus: 1 while something is wrong with it.
    pub fn metrics(&self) -> String {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from("# HELP suiyin_ca_fault Whether something is wrong with a part of the authority.\n# TYPE suiyin_ca_fault gauge\n");
        for Part { name, .. } in PARTS {
            text.push_str(&format!("suiyin_ca_fault{{part=\"{name}\"}} {}\n", u8::from(faults.contains_key(name))));
        }
        text
    }
}

/// All that the jobs need, and what they remember from turn to turn.
pub struct Jobs {
    pub service: Service,
    pub status: Arc<Status>,
    pub keys: Arc<KeyStore>,
    /// Where the issuing keys are, when not in the key store.
    pub token: Option<Token>,
    /// Where officers call from other machines, when configured.
    pub administration: Option<Arc<Endpoint>>,
    pub health: Arc<Health>,
    pub timestamps: Option<Arc<Timestamps>>,
    /// Tells when the service is to end, so that its store is opened again.
    pub standing: Option<Arc<Standing>>,
    turn: Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    number: u32,
    /// By issuer: no new signer is tried before, in Unix seconds.
    signer_not_before: BTreeMap<String, i64>,
    /// No new certificate for the officers' listener is tried before.
    administration_not_before: i64,
    timestamp_signer_not_before: i64,
    /// An act in bulk that was approved is being worked off: a portion each turn.
    bulk: bool,
    /// Where the next portion of orders begins.
    orders: Option<store::Key>,
    /// And of those to be forgotten.
    forget: forget::Places,
    too_long: lists::TooLong,
}

impl Jobs {
    pub fn new(service: Service, status: Arc<Status>, keys: Arc<KeyStore>, health: Arc<Health>) -> Self {
        Self { service, status, keys, token: None, administration: None, timestamps: None, standing: None, health, turn: Mutex::default() }
    }

    /// With issuing keys in a token, which is looked after too.
    pub fn with_token(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    /// With a listener for officers, whose certificate is kept young.
    pub fn with_administration(self, administration: Option<Arc<Endpoint>>) -> Self {
        Self { administration, ..self }
    }

    /// What the listener shows, before anybody calls.
    pub fn certify_listener(&self) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.health.report("administration", self.administration(&mut turn, true).err().map(|error| error.to_string()));
    }

    /// With the service that makes timestamps.
    pub fn with_timestamps(self, timestamps: Arc<Timestamps>) -> Self {
        Self { timestamps: Some(timestamps), ..self }
    }

    /// Ending where the store has to be opened again.
    pub fn with_standing(self, standing: Arc<Standing>) -> Self {
        Self { standing: Some(standing), ..self }
    }

    /// Until shutdown, one turn after another. The time source is asked beside them: it may take its time, and nothing
    /// waits for it.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let asking = self.timestamps.clone().map(|timestamps| tokio::spawn(ask_the_time_source(timestamps, shutdown.clone())));
        self.turns(shutdown).await;
        if let Some(asking) = asking && asking.await.is_err() {
            tracing::error!("asking the time source ended unexpectedly; report this with the log");
        }
    }

    async fn turns(self: Arc<Self>, shutdown: Shutdown) {
        let mut tick = tokio::time::interval(HEAD_EVERY);
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                _ = tick.tick() => {}
            }
            let jobs = Arc::clone(&self);
            let done = tokio::task::spawn_blocking(move || jobs.turn()).await;
            // Also after a turn that panicked.
            if let Some(standing) = self.standing.clone()
                && matches!(tokio::task::spawn_blocking(move || standing.is_over()).await, Ok(true))
            {
                shutdown.begin();
            }
            self.health.report("job", done.err().map(|_| "a job failed unexpectedly; report this with the log".to_owned()));
        }
    }

    /// One turn: the head each time, lists and signers now and then.
    pub fn turn(&self) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let slowly = turn.number.is_multiple_of(SLOWLY) | self.status.signer_fell();
        turn.number = turn.number.wrapping_add(1);
        // An empty commit writes nothing, and tells of a store that refuses all until it is opened again.
        let store = &self.service.authority.store;
        self.health.report("store", store.commit(Batch::new()).err().map(|error| error.to_string()));
        self.health.report("log", self.service.evidence.advance().err().map(|error| error.to_string()));
        if slowly || turn.bulk {
            self.health.report("act", self.acts(&mut turn).unwrap_or_else(|error| Some(error.to_string())));
        }
        if slowly {
            self.health.report("hold", self.holds().err().map(|error| error.to_string()));
            self.health.report("succession", self.successions().err().map(|error| error.to_string()));
            self.health.report("notice", self.notices().err().map(|error| error.to_string()));
            self.health.report("root-crl", self.root_list().unwrap_or_else(|error| Some(error.to_string())));
            let token = self.token.as_ref().and_then(|token| token.health().err());
            self.health.report("token", token.as_ref().map(ToString::to_string));
            self.health.report("administration", self.administration(&mut turn, token.is_none()).err().map(|error| error.to_string()));
            if let Some(timestamps) = &self.timestamps {
                self.health.report("time-source", timestamps.doubt().map(|doubt| doubt.to_string()));
            }
            // Nothing below can be signed without it, and the log's head must not wait while it is tried.
            if token.is_some() {
                return;
            }
            self.status.look_again();
            if let Err(error) = take_over::resume(&self.service.authority) {
                tracing::warn!(%error, "a new generation cannot take over yet");
            }
            // One that ended has no certificates left to tell of: they never outlive it.
            let now = self.service.authority.clock.now();
            let issuers: Vec<_> = self.service.authority.issuers.values().filter(|issuer| issuer.key.is_some() && issuer.record.ocsp.is_some() && now <= issuer.not_after).collect();
            let faults: Vec<String> = issuers.iter().filter_map(|issuer| lists::keep_fresh(&self.service.authority, issuer, &mut turn.too_long).err()).collect();
            self.health.report("crl", faults.into_iter().next());
            issuers.iter().for_each(|issuer| self.unfinished(issuer));
            self.registry();
            self.health.report("order", self.orders(&mut turn).unwrap_or_else(|error| Some(error.to_string())));
            let faults: Vec<String> = issuers.iter().filter_map(|issuer| self.signer(issuer.id(), &mut turn).err()).map(|error| error.to_string()).collect();
            self.health.report("ocsp-signer", faults.into_iter().next());
            if let Some(timestamps) = &self.timestamps {
                self.health.report("timestamp-signer", self.timestamp_signer(timestamps, &mut turn).err().map(|error| error.to_string()));
            }
        }
    }

    /// Before the lists, so that the next ones tell of it.
    fn holds(&self) -> Result<(), IssueError> {
        // An enterprise's order before those of its certificates, so that its end is one act.
        let changed = enterprise::due(&self.service.authority)?;
        if changed > 0 {
            tracing::info!(certificates = changed, "went on with orders that freeze enterprises");
        }
        let done = hold::due(&self.service.authority)?;
        if done != hold::Due::default() {
            tracing::info!(freezes_ended = done.freezes_ended, revoked = done.revoked, "ended holds that were due");
        }
        Ok(())
    }

    /// Those that another took the place of, once their days beside it are over.
    fn successions(&self) -> Result<(), IssueError> {
        let revoked = ending::due(&self.service.authority, &Authorised::service())?;
        if revoked > 0 {
            tracing::info!(revoked, "revoked certificates that another took the place of");
        }
        Ok(())
    }

    /// A registry that was replaced is taken up; one that cannot be read leaves the one before in use.
    fn registry(&self) {
        let refreshed = self.service.authority.registry.refresh();
        if matches!(refreshed, Ok(true)) {
            tracing::info!("read a new registry");
        }
        self.health.report("registry", refreshed.err().map(|error| error.to_string()));
    }

    /// Orders that a crash or a fault kept waiting, and those whose time is over.
    fn orders(&self, turn: &mut Turn) -> Result<Option<String>, order::OrderError> {
        let order::Worked { advanced, expired, fault, next } = order::work(&self.service.authority, turn.orders.as_ref())?;
        turn.orders = next;
        if advanced + expired > 0 {
            tracing::info!(advanced, expired, "went on with orders");
        }
        let forget::Forgot { orders: forgotten, next } = forget::due(&self.service.authority, &turn.forget)?;
        turn.forget = next;
        if forgotten > 0 {
            tracing::info!(forgotten, "forgot orders that came to nothing");
        }
        Ok(fault.map(|fault| fault.to_string()))
    }

    /// Acts that officers approved and that a crash kept waiting, those whose time is over, and what is done in bulk.
    fn acts(&self, turn: &mut Turn) -> Result<Option<String>, Problem> {
        let authority = &self.service.authority;
        turn.bulk = false;
        let act::Worked { done, expired, fault } = act::work(authority)?;
        if done + expired > 0 {
            tracing::info!(done, expired, "went on with acts");
        }
        turn.bulk = bulk::work(authority)?.is_some();
        Ok(fault.map(|fault| fault.to_string()))
    }

    fn notices(&self) -> Result<(), IssueError> {
        let notice::Made { queued, unaddressed, .. } = notice::due(&self.service.authority)?;
        if queued + unaddressed > 0 {
            tracing::info!(queued, unaddressed, "certificates that end soon");
        }
        Ok(())
    }

    /// What waits for the issuer's key; a key that is away again is told of by whoever watches over it.
    fn unfinished(&self, issuer: &Issuer) {
        match issue::finish(&self.service.authority, issuer) {
            Ok(finished) if finished.is_empty() => {}
            Ok(finished) => tracing::info!(issuer = issuer.id(), certificates = finished.len(), "issued what had waited for its key"),
            Err(error) => tracing::warn!(issuer = issuer.id(), error = %error, "what waits for its key cannot be issued yet"),
        }
    }

    /// What only people can mend, since the root's key is not here.
    fn root_list(&self) -> Result<Option<String>, IssueError> {
        let authority = &self.service.authority;
        for root in authority.issuers.roots() {
            let (id, next) = (root.id(), "make the next one with `ca crl root`");
            // One that vouches for nobody yet is not asked for its list.
            let Some(last) = numbering::head(authority, id, Scope::Whole)? else {
                if roots::vouches(authority, root)? {
                    return Ok(Some(format!("{id} has no list; {next}")));
                }
                continue;
            };
            if authority.store.get(&Scope::Whole.stale(id))?.is_some() {
                return Ok(Some(format!("a revoked authority is not on the list of {id}; {next}")));
            }
            if authority.clock.now().unix_timestamp() >= last.next_update - ROOT_BEFORE_END {
                return Ok(Some(format!("the list of {id} ends soon or has ended; {next}")));
            }
        }
        Ok(None)
    }

    /// The certificate that officers are shown, and what is stapled to it.
    fn administration(&self, turn: &mut Turn, may_issue: bool) -> Result<(), own::OwnError> {
        let Some(endpoint) = &self.administration else { return Ok(()) };
        let now = self.service.authority.clock.now().unix_timestamp();
        let waiting = now < turn.administration_not_before;
        let done = endpoint.refresh(&self.service.authority, &self.status, &self.keys, may_issue && !waiting);
        match done {
            // What went wrong last time still stands, though the one before is shown.
            Ok(()) if waiting => Err(own::OwnError::Later),
            Ok(()) => Ok(()),
            Err(error) => {
                if !waiting {
                    turn.administration_not_before = now + SIGNER_AGAIN;
                }
                // An old certificate is still better than none, and its status still changes.
                let _ = endpoint.refresh(&self.service.authority, &self.status, &self.keys, false);
                Err(error)
            }
        }
    }

    fn timestamp_signer(&self, timestamps: &Timestamps, turn: &mut Turn) -> Result<(), own::OwnError> {
        let now = self.service.authority.clock.now().unix_timestamp();
        if now < turn.timestamp_signer_not_before {
            return Err(own::OwnError::TimestampsWaiting);
        }
        match own::replace_timestamp_signer(&self.service.authority, &self.keys) {
            Ok(None) => {}
            Ok(Some((signer, key))) => {
                tracing::info!(key = signer.key, "a new signer of timestamps");
                timestamps.replace(&signer, key)?;
            }
            Err(error) => {
                turn.timestamp_signer_not_before = now + SIGNER_AGAIN;
                return Err(error);
            }
        }
        turn.timestamp_signer_not_before = 0;
        Ok(())
    }

    fn signer(&self, issuer: &str, turn: &mut Turn) -> Result<(), own::OwnError> {
        let now = self.service.authority.clock.now().unix_timestamp();
        if turn.signer_not_before.get(issuer).is_some_and(|at| now < *at) {
            // What went wrong last time still stands: `report` is not told that it is well.
            return Err(own::OwnError::Waiting { issuer: issuer.to_owned() });
        }
        match own::replace_signer(&self.service.authority, &self.keys, issuer) {
            Ok(None) => {}
            Ok(Some((signer, key))) => {
                tracing::info!(issuer, key = signer.key, "a new OCSP signer");
                self.status.replace(issuer, &signer, key).map_err(|_| IssueError::Damaged { what: "an OCSP signer's certificate" })?;
            }
            Err(error) => {
                turn.signer_not_before.insert(issuer.to_owned(), now + SIGNER_AGAIN);
                return Err(error);
            }
        }
        turn.signer_not_before.remove(issuer);
        Ok(())
    }
}

async fn ask_the_time_source(timestamps: Arc<Timestamps>, shutdown: Shutdown) {
    let mut tick = tokio::time::interval(timestamps.vouching.source().every());
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = tick.tick() => {}
        }
        let timestamps = Arc::clone(&timestamps);
        if tokio::task::spawn_blocking(move || timestamps.vouching.ask()).await.is_err() {
            // Its last word lapses by itself.
            tracing::error!("the time source could not be asked; report this with the log");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_nobody_vouches_for_ends_timestamps_and_leaves_the_service_well() {
        let health = Health::default();
        for part in ["time-source", "timestamp-signer", "root-crl"] {
            health.report(part, Some("it is away".into()));
            assert!(health.check().is_ok(), "{part}");
            assert!(health.metrics().contains(&format!("suiyin_ca_fault{{part=\"{part}\"}} 1\n")), "{part}");
        }
        for part in ["store", "log", "crl", "token"] {
            health.report(part, Some("it is away".into()));
            assert_eq!(health.check().map_err(|problem| problem.code), Err(part.to_owned()));
            health.report(part, None);
        }
        health.report("time-source", None);
        assert!(health.metrics().contains("suiyin_ca_fault{part=\"time-source\"} 0\n"));
    }
}
