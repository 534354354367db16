//! Who may hold a connection: so many in all, so many of one address, so many that have not logged in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    All,
    Address,
    BeforeLogin,
}

pub(super) struct Places {
    all: Arc<Semaphore>,
    before_login: Arc<Semaphore>,
    of_one: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one connection, given back when dropped.
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    before_login: Option<OwnedSemaphorePermit>,
    before_logins: Arc<Semaphore>,
    address: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    pub fn new(all: usize, of_one: usize, before_login: usize) -> Self {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self { all: semaphore(all), before_login: semaphore(before_login), of_one, addresses: Arc::default() }
    }

    pub fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let all = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        let before_login = Arc::clone(&self.before_login).try_acquire_owned().map_err(|_| Full::BeforeLogin)?;
        let address = subscriber(address);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let held = addresses.entry(address).or_insert(0);
        if *held >= self.of_one {
            return Err(Full::Address);
        }
        *held += 1;
        Ok(Place { _all: all, before_login: Some(before_login), before_logins: Arc::clone(&self.before_login), address, addresses: Arc::clone(&self.addresses) })
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

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = addresses.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// One subscriber has a whole /64 of IPv6.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
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
        let places = Places::new(4, 2, 3);
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
        assert_eq!(places.addresses.lock().unwrap().len(), 2);
    }
}
