//! What the gateway does of its own accord: it signs the log's head and evidence of deliveries, takes the letters of the authority and
//! of filing desks, and tells the authority whose certificates end.

mod notifications;
mod pushes;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use ::evidence::Standing;
use runtime::metrics::{Counter, Gauge, MetricError, Registry};
use runtime::revocation::RevocationLists;
use runtime::shutdown::Shutdown;

use crate::flow::access;
use crate::flow::certificate::tell_all;
use crate::flow::certificate_login::{AGAIN, CertificateLogins};
use crate::flow::token_login::{self, TokenLogins};
use crate::flow::evidence::{TimestampAuthority, seal, stamp, unsigned, unstamped};
use crate::flow::hold::forget_deleted;
use crate::flow::notices::{Collected, collect};
use crate::flow::notification::forget_counted;
use crate::flow::opening::lapse;
use crate::flow::{consent, paper, reading};
use crate::flow::owner_notices;
use crate::flow::retention::retain;
use crate::flow::submit::forget_usage;
use crate::flow::warnings::warn_all;
use crate::gateway::Gateway;
use crate::outbox::Outbox;
use crate::registrar::authority::Authority;
use crate::service::Service;
use turns::{Fault, Turns};

pub use notifications::{NotificationMetrics, notifications};
pub use pushes::pushes;
pub use turns::Background;

/// How often the log's head is signed, when it grew.
const HEAD_EVERY: Duration = Duration::from_millis(250);
/// How often every outbox is asked for letters.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often evidence is signed, when there is some.
const SEAL_EVERY: Duration = Duration::from_secs(1);
/// How often what is of days before is deleted.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// What came of the letters asked for.
pub struct NoticeMetrics {
    delivered: Arc<Counter>,
    later: Arc<Counter>,
    refused: Arc<Counter>,
    /// How many outboxes cannot be asked.
    fault: Arc<Gauge>,
}

impl NoticeMetrics {
    pub fn register(metrics: &Registry) -> Result<Self, MetricError> {
        let counter = |labels| metrics.counter("suiyin_mail_notices_total", "Letters of the authority and of filing desks by what became of them.", labels);
        Ok(Self {
            delivered: counter(&[("outcome", "delivered")])?,
            later: counter(&[("outcome", "later")])?,
            refused: counter(&[("outcome", "refused")])?,
            fault: metrics.gauge("suiyin_mail_outbox_fault", "How many outboxes cannot be asked for letters.", &[])?,
        })
    }
}

/// Looks again at the certificates by which somebody is logged in, until shutdown: who is revoked is logged out.
pub async fn certificates(logins: Arc<CertificateLogins>, shutdown: Shutdown) {
    Turns::every(AGAIN, shutdown).take(move || logins.look_again(), |_| {}).await;
}

/// Looks again at the tokens by which somebody is logged in, until shutdown: whose is over or withdrawn is logged out.
pub async fn tokens(logins: Arc<TokenLogins>, shutdown: Shutdown) {
    Turns::every(token_login::AGAIN, shutdown).take(move || logins.look_again(), |_| {}).await;
}

/// Asks every outbox for letters until shutdown. One that is away is asked again; a turn under way ends first.
pub async fn notices(gateway: Arc<Gateway>, outboxes: Vec<Arc<dyn Outbox>>, metrics: NoticeMetrics, shutdown: Shutdown) {
    let mut faults: Vec<Fault> = outboxes.iter().map(|_| Fault::default()).collect();
    let ask = move || outboxes.iter().map(|outbox| collect(&gateway, &**outbox)).collect::<Vec<_>>();
    Turns::every(ASK_EVERY, shutdown).take(ask, |collected| {
        for (collected, fault) in collected.into_iter().zip(&mut faults) {
            let begins = fault.begins(collected.is_err());
            match collected {
                Ok(Collected { delivered, later, refused }) => {
                    metrics.delivered.add(delivered);
                    metrics.later.add(later);
                    metrics.refused.add(refused);
                    if delivered + later + refused > 0 {
                        tracing::info!(delivered, later, refused, "letters of an outbox");
                    }
                }
                Err(problem) if begins => tracing::warn!(%problem, "an outbox cannot be asked for letters"),
                Err(_) => {}
            }
        }
        metrics.fault.set(faults.iter().map(|fault| i64::from(fault.lasts())).sum());
    }).await;
}

/// Records until shutdown which statements clients' programs fetched, away from the sessions that fetched them, and once more at the end.
/// What cannot be recorded waits, within its bound.
pub async fn accesses(gateway: Arc<Gateway>, missed: Arc<Gauge>, shutdown: Shutdown) {
    let (mut fault, looked) = (Fault::default(), Arc::clone(&gateway));
    Turns::every(SEAL_EVERY, shutdown).and_at_the_end().take(move || access::record(&looked), |done| {
        missed.set(count(gateway.messages.fetched().missed()));
        if fault.begins(done.is_err())
            && let Err(error) = done
        {
            tracing::warn!(%error, "which statements were fetched is not recorded yet");
        }
    }).await;
}

/// Answers owners who asked by mail for a statement on paper, say that they read one, or give or take back consent, until shutdown. While the sealer is away they wait.
pub async fn papers(service: Service, shutdown: Shutdown) {
    let mut fault = Fault::default();
    let answer = move || {
        if let Err(error) = reading::answer_all(&service.gateway) {
            tracing::warn!(%error, "owners who say that they read a statement wait for their answer");
        }
        if let Err(error) = consent::answer_all(&service.gateway) {
            tracing::warn!(%error, "owners who give or take back consent wait for their answer");
        }
        paper::answer_all(&service.gateway, &*service.sealer, &service.lists)
    };
    Turns::every(ASK_EVERY, shutdown).take(answer, |done| {
        let begins = fault.begins(done.is_err());
        match done {
            Err(error) if begins => tracing::warn!(%error, "statements that were asked for on paper wait"),
            Ok(answered) if answered > 0 => tracing::info!(answered, "statements on paper"),
            _ => {}
        }
    }).await;
}

/// Stamps signed evidence until shutdown. While the timestamp authority is away it waits.
pub async fn stamps(gateway: Arc<Gateway>, lists: Arc<RevocationLists>, authority: Arc<dyn TimestampAuthority>, waiting: Arc<Gauge>, shutdown: Shutdown) {
    let mut fault = Fault::default();
    Turns::every(ASK_EVERY, shutdown).take(move || (stamp(&gateway, &lists, &*authority), unstamped(&gateway)), |(done, left)| {
        waiting.set(count(left));
        let (lasted, begins) = (fault.lasts(), fault.begins(done.is_err()));
        match done {
            Err(error) if begins => tracing::warn!(%error, batches = left, "evidence waits for its timestamp"),
            Ok(_) if lasted => tracing::info!("evidence is stamped again"),
            _ => {}
        }
    }).await;
}

/// Signs evidence that waits, until shutdown. Deliveries go on without: it is caught up on.
pub async fn evidence(gateway: Arc<Gateway>, lists: Arc<RevocationLists>, waiting: Arc<Gauge>, shutdown: Shutdown) {
    let mut fault = Fault::default();
    Turns::every(SEAL_EVERY, shutdown).take(move || (seal(&gateway, &lists), unsigned(&gateway)), |(sealed, left)| {
        waiting.set(count(left));
        let (lasted, begins) = (fault.lasts(), fault.begins(left > 0));
        match sealed {
            Err(error) if !lasted => tracing::warn!(%error, "evidence waits unsigned"),
            Ok(_) if begins => tracing::warn!(batches = left, "evidence waits unsigned: it is later than this clock; look whether the clock was set back"),
            Ok(_) if left == 0 && lasted => tracing::info!("evidence is signed again"),
            _ => {}
        }
    }).await;
}

/// Tells the authority until shutdown whose certificates end: a mailbox is closed whether or not the authority can hear it. What is
/// owed longer than it takes to look is a fault that the metric shows.
pub async fn endings(gateway: Arc<Gateway>, authority: Arc<dyn Authority>, owed: Arc<Gauge>, shutdown: Shutdown) {
    let mut fault = Fault::default();
    Turns::every(ASK_EVERY, shutdown).take(move || tell_all(&gateway, &*authority), |(told, failed)| {
        if told.told > 0 {
            tracing::info!(mailboxes = told.told, "the authority was told that certificates end");
        }
        if fault.begins(failed.is_some())
            && let Some(error) = failed
        {
            tracing::warn!(%error, owed = told.owed, "the authority cannot be told that certificates end");
        }
        owed.set(count(told.owed));
    }).await;
}

/// Tells owners until shutdown that their mailboxes fill up.
pub async fn warnings(gateway: Arc<Gateway>, shutdown: Shutdown) {
    let mut fault = Fault::default();
    Turns::every(ASK_EVERY, shutdown).take(move || warn_all(&gateway), |done| {
        let begins = fault.begins(done.is_err());
        match done {
            Err(error) if begins => tracing::warn!(%error, "owners of mailboxes that fill up are not told yet"),
            Ok(told) if told > 0 => tracing::info!(told, "owners were told that their mailboxes fill up"),
            _ => {}
        }
    }).await;
}

/// Tells owners until shutdown what was done at the counter to who can open their mailbox, where that could not be told at once.
pub async fn owner_notices(gateway: Arc<Gateway>, shutdown: Shutdown) {
    let mut fault = Fault::default();
    Turns::every(ASK_EVERY, shutdown).take(move || owner_notices::tell_all(&gateway), |done| {
        let begins = fault.begins(done.is_err());
        if let Err(error) = done
            && begins
        {
            tracing::warn!(%error, "owners are not told yet what was done to their mailboxes at the counter");
        }
    }).await;
}

/// Deletes until shutdown what is over: what a push left behind beyond its days, what owners deleted, applications and, kept for a day
/// alone, how much each mailbox has sent.
pub async fn forgetting(gateway: Arc<Gateway>, shutdown: Shutdown) {
    let ending = shutdown.clone();
    let forget = move || {
        let retained = retain(&gateway, false);
        let forgotten = forget_deleted(&gateway, &|| !ending.is_set());
        let lapsed = lapse(&gateway, &|| !ending.is_set());
        if let Err(error) = forget_counted(&gateway) {
            tracing::warn!(%error, "how many notices were sent on days before is not forgotten yet");
        }
        (retained, forgotten, lapsed, forget_usage(&*gateway.store, gateway.clock.now()))
    };
    Turns::every(FORGET_EVERY, shutdown).take(forget, |(retained, forgotten, lapsed, usage)| {
        match retained {
            Ok(retained) => retained.over.iter().filter(|over| over.held_by.is_none()).for_each(|over| tracing::info!(bureau = over.bureau, batch = over.batch, "what a push left behind ended with its days")),
            Err(error) => tracing::warn!(%error, "what is over is not removed yet"),
        }
        match forgotten {
            Ok(forgotten) if forgotten > 0 => tracing::info!(forgotten, "messages deleted long ago are gone for good"),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "messages deleted long ago are not gone yet"),
        }
        match lapsed {
            Ok(lapsed) if lapsed > 0 => tracing::info!(lapsed, "applications that nobody answered have lapsed"),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "applications that nobody answered have not lapsed yet"),
        }
        if let Err(error) = usage {
            tracing::warn!(%error, "what mailboxes sent on days before is not forgotten yet");
        }
    }).await;
}

/// How many mailboxes' certificates are to end of which the authority has not heard.
pub fn owed(metrics: &Registry) -> Result<Arc<Gauge>, MetricError> {
    metrics.gauge("suiyin_mail_certificates_owed", "Mailboxes whose certificates are to end and of which the authority has not heard.", &[])
}

/// Signs the log's head until shutdown, and begins that where the store has to be opened again.
pub async fn head(standing: Arc<Standing>, shutdown: Shutdown) {
    let ending = shutdown.clone();
    Turns::every(HEAD_EVERY, shutdown).take(move || standing.look(), |is_over| {
        if is_over {
            ending.begin();
        }
    }).await;
}

fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
