//! What an operator sees of the IMAP listener.

use std::sync::Arc;

use runtime::metrics::{Counter, Gauge, Histogram, MetricError, Registry};

use super::Door;
use crate::wire::accounts::LoginRefusal;
use crate::wire::places::Full;

pub(super) struct Metrics {
    pub connections: Arc<Gauge>,
    starttls: Arc<Counter>,
    tls: Arc<Counter>,
    full: Arc<Counter>,
    full_address: Arc<Counter>,
    full_network: Arc<Counter>,
    full_before_login: Arc<Counter>,
    logged_in: Arc<Counter>,
    denied: Arc<Counter>,
    login_unavailable: Arc<Counter>,
    /// Sessions ended because their folder was deleted or changed faster than they read.
    pub outrun: Arc<Counter>,
    pub requests: Arc<Histogram>,
}

impl Metrics {
    pub fn new(registry: &Registry) -> Result<Self, MetricError> {
        let accepted = |labels| registry.counter("imap_connections_total", "IMAP connections accepted.", labels);
        let turned_away = |labels| registry.counter("imap_turned_away_total", "IMAP connections turned away.", labels);
        let logins = |labels| registry.counter("imap_logins_total", "IMAP logins.", labels);
        Ok(Self {
            connections: registry.gauge("imap_connections", "IMAP connections now.", &[])?,
            starttls: accepted(&[("door", "starttls")])?,
            tls: accepted(&[("door", "tls")])?,
            full: turned_away(&[("limit", "all")])?,
            full_address: turned_away(&[("limit", "address")])?,
            full_network: turned_away(&[("limit", "network")])?,
            full_before_login: turned_away(&[("limit", "before-login")])?,
            logged_in: logins(&[("result", "ok")])?,
            denied: logins(&[("result", "denied")])?,
            login_unavailable: logins(&[("result", "unavailable")])?,
            outrun: registry.counter("imap_sessions_outrun_total", "Sessions told to open their folder anew.", &[])?,
            requests: registry.histogram("imap_request_seconds", "Time of the store for one IMAP request.", &[], Histogram::SECONDS)?,
        })
    }

    pub fn accepted(&self, door: Door) {
        match door {
            Door::StartTls => self.starttls.increment(),
            Door::Tls => self.tls.increment(),
        }
    }

    pub fn turned_away(&self, full: Full) {
        match full {
            Full::All => self.full.increment(),
            Full::Address => self.full_address.increment(),
            Full::Network => self.full_network.increment(),
            Full::BeforeLogin => self.full_before_login.increment(),
        }
    }

    pub fn login(&self, result: Result<(), LoginRefusal>) {
        match result {
            Ok(()) => self.logged_in.increment(),
            Err(LoginRefusal::Denied | LoginRefusal::Later) => self.denied.increment(),
            Err(LoginRefusal::Unavailable) => self.login_unavailable.increment(),
        }
    }
}
