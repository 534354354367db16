//! Who may hold a connection: so many in all, so many of one address and of one network, so many that have not logged in.

use std::net::IpAddr;
use std::sync::Arc;

use runtime::rate::network as subscriber;
use runtime::shares::{Crowded, Share, Shares};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections a listener holds at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    pub all: usize,
    /// Of one IPv4 address, or one /64 of IPv6.
    pub of_one_address: usize,
    /// Of one /24 of IPv4, or one /48 of IPv6.
    pub of_one_network: usize,
    /// Of those who are to log in and have not yet.
    pub before_login: usize,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    All,
    Address,
    Network,
    BeforeLogin,
}

pub(super) struct Places {
    all: Arc<Semaphore>,
    before_login: Arc<Semaphore>,
    shares: Shares,
}

/// The place of one connection, given back when dropped.
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    before_login: Option<OwnedSemaphorePermit>,
    before_logins: Arc<Semaphore>,
    address: IpAddr,
    _share: Share,
}

impl Places {
    pub fn new(connections: Connections) -> Self {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        let Connections { all, of_one_address, of_one_network, before_login } = connections;
        Self { all: semaphore(all), before_login: semaphore(before_login), shares: Shares::new(of_one_address, of_one_network) }
    }

    pub fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let all = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        let before_login = Arc::clone(&self.before_login).try_acquire_owned().map_err(|_| Full::BeforeLogin)?;
        let share = self.shares.take(address).map_err(|crowded| match crowded {
            Crowded::Address => Full::Address,
            Crowded::Network => Full::Network,
        })?;
        Ok(Place { _all: all, before_login: Some(before_login), before_logins: Arc::clone(&self.before_login), address: subscriber(address), _share: share })
    }
}

impl Place {
    /// Whose it is: an IPv4 address, or the first 64 bits of an IPv6 one.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    pub fn logged_in(&mut self) {
        self.before_login = None;
    }

    /// Among those that have not logged in again; `false` where there is no place, and nothing changed.
    pub fn logged_out(&mut self) -> bool {
        if self.before_login.is_none() {
            self.before_login = Arc::clone(&self.before_logins).try_acquire_owned().ok();
        }
        self.before_login.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let places = Places::new(Connections { all: 4, of_one_address: 2, of_one_network: 4, before_login: 3 });
        let mut first = places.take(address("2001:db8::1")).unwrap();
        let _second = places.take(address("2001:db8::2")).unwrap();
        assert_eq!(places.take(address("2001:db8::3")).err(), Some(Full::Address));
        let _third = places.take(address("192.0.2.1")).unwrap();
        assert_eq!(places.take(address("192.0.2.1")).err(), Some(Full::BeforeLogin));
        first.logged_in();
        let fourth = places.take(address("::ffff:192.0.2.1")).unwrap();
        assert_eq!(places.take(address("192.0.2.2")).err(), Some(Full::All));
        let mut fourth = fourth;
        // Who logs out waits for a login again, where there is a place for that.
        assert!(!first.logged_out() && fourth.logged_out());
        fourth.logged_in();
        assert!(first.logged_out());
        drop((first, fourth));
        let _fifth = places.take(address("2001:db8::4")).unwrap();
    }
}
