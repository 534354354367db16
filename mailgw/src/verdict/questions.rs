//! How many questions to the DNS one check may ask. The library asks us for each answer before it asks the resolver: here it is
//! told that there is none once it has asked too much.

use std::borrow::Borrow;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use mail_auth::{DnsError, DnssecStatus, Error, MX, Parameters, RecordSet, ResolverCache, Txt};

/// Questions that are left.
pub(super) struct Questions {
    left: AtomicU32,
    refused: AtomicU32,
}

impl Questions {
    pub fn new(most: u32) -> Self {
        Self { left: AtomicU32::new(most), refused: AtomicU32::new(0) }
    }

    /// Whether more was asked than is answered.
    pub fn are_exceeded(&self) -> bool {
        self.refused.load(Ordering::Relaxed) > 0
    }

    /// `None`: it may be asked.
    fn refusal<V>(&self, nothing: impl FnOnce() -> V) -> Option<V> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if taken.is_ok() {
            return None;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Some(nothing())
    }

    /// Everything that `params` needs to know is asked here.
    pub fn bound<'x, P>(&'x self, params: P) -> Parameters<'x, P, Self, Self, Self, Self, Self> {
        Parameters { params, cache_txt: Some(self), cache_mx: Some(self), cache_ptr: Some(self), cache_ipv4: Some(self), cache_ipv6: Some(self) }
    }
}

fn no_records<T>() -> RecordSet<T> {
    RecordSet { rrset: Vec::new().into(), dnssec_status: DnssecStatus::Indeterminate }
}

macro_rules! bounded {
    ($($key:ty => $value:ty : $nothing:expr),+ $(,)?) => {$(
        impl ResolverCache<$key, $value> for Questions {
            fn get<Q>(&self, _: &Q) -> Option<$value> where $key: Borrow<Q>, Q: Hash + Eq + ?Sized {
                self.refusal(|| $nothing)
            }

            fn remove<Q>(&self, _: &Q) -> Option<$value> where $key: Borrow<Q>, Q: Hash + Eq + ?Sized {
                None
            }

            // The resolver keeps answers itself.
            fn insert(&self, _: $key, _: $value, _: Instant) {}
        }
    )+};
}

bounded! {
    // As a record that is wrong: an error that trying again does not mend.
    Box<str> => Txt : Txt::Error(Error::Dns(DnsError::InvalidRecordType)),
    Box<str> => RecordSet<MX> : no_records(),
    Box<str> => RecordSet<Ipv4Addr> : no_records(),
    Box<str> => RecordSet<Ipv6Addr> : no_records(),
    IpAddr => RecordSet<Box<str>> : no_records(),
}
