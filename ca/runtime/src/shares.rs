//! Connections at one time of one address, and of one network: whoever opens many keeps nobody else out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rate::network as subscriber;

/// What is too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    Address,
    Network,
}

/// The connections that are held, by whom. In memory: none outlives its process.
#[derive(Debug)]
pub struct Shares {
    of_address: usize,
    of_network: usize,
    held: Arc<Mutex<HashMap<Whose, usize>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Address(IpAddr),
    Network(IpAddr),
}

/// The place of one connection, given back when dropped.
#[derive(Debug)]
pub struct Share {
    whose: [Option<Whose>; 2],
    held: Arc<Mutex<HashMap<Whose, usize>>>,
}

impl Shares {
    pub fn new(of_address: usize, of_network: usize) -> Self {
        Self { of_address, of_network, held: Arc::default() }
    }

    pub fn take(&self, address: IpAddr) -> Result<Share, Crowded> {
        let (one, network) = (Whose::Address(subscriber(address)), network(address).map(Whose::Network));
        let mut held = locked(&self.held);
        let full = |whose: &Whose, most: usize| held.get(whose).is_some_and(|count| *count >= most) || most == 0;
        if full(&one, self.of_address) {
            return Err(Crowded::Address);
        }
        if network.is_some_and(|network| full(&network, self.of_network)) {
            return Err(Crowded::Network);
        }
        let whose = [Some(one), network];
        whose.into_iter().flatten().for_each(|whose| *held.entry(whose).or_insert(0) += 1);
        Ok(Share { whose, held: Arc::clone(&self.held) })
    }

    /// Addresses and networks that hold some.
    #[cfg(test)]
    fn known(&self) -> usize {
        locked(&self.held).len()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = locked(&self.held);
        for whose in self.whose.into_iter().flatten() {
            if let Entry::Occupied(mut count) = held.entry(whose) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

// Every state between two statements is whole, so a panic elsewhere harms nothing.
fn locked(held: &Mutex<HashMap<Whose, usize>>) -> MutexGuard<'_, HashMap<Whose, usize>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first 24 bits of an IPv4 address, 48 of IPv6; this machine itself is none.
fn network(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(IpAddr::V4((u32::from(address) >> 8 << 8).into())),
        IpAddr::V6(address) => Some(IpAddr::V6((u128::from(address) >> 80 << 80).into())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_one_address_and_one_network_hold_is_bounded_and_comes_back() {
        let shares = Shares::new(2, 3);
        let take = |text: &str| shares.take(text.parse().unwrap());
        let first = take("192.0.2.1").unwrap();
        let _second = take("::ffff:192.0.2.1").unwrap();
        assert_eq!(take("192.0.2.1").unwrap_err(), Crowded::Address);
        let third = take("192.0.2.200").unwrap();
        assert_eq!(take("192.0.2.201").unwrap_err(), Crowded::Network);
        let other = take("198.51.100.1").unwrap();
        drop(first);
        let _fourth = take("192.0.2.201").unwrap();
        drop((third, other));
        // One house has a /64, and one provider a /48.
        let _six = (take("2001:db8::1").unwrap(), take("2001:db8::ffff:2").unwrap());
        assert_eq!(take("2001:db8::3").unwrap_err(), Crowded::Address);
        let _neighbour = take("2001:db8:0:1::1").unwrap();
        assert_eq!(take("2001:db8:0:2::1").unwrap_err(), Crowded::Network);
        take("2001:db8:1::1").unwrap();
        // This machine is no network.
        let mine: Vec<Share> = (1..9).map(|host| take(&format!("127.0.0.{host}")).unwrap()).collect();
        drop(mine);
        // Two of one network of IPv4, two of one of IPv6, and the networks.
        assert_eq!(shares.known(), 6);
    }
}
