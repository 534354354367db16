//! Which servers take mail for a domain. spec: rfc5321#5.1 rfc7505

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RData};

use super::unsaid;
use crate::record::queue::Said;

/// Servers of one domain that are looked at.
const MAX_HOSTS: usize = 10;

/// A server and its addresses, in the order in which to try them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailHost {
    pub name: String,
    pub addresses: Vec<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    Later(Said),
    Never(Said),
}

pub type Found<'a> = Pin<Box<dyn Future<Output = Result<Vec<MailHost>, NoRoute>> + Send + 'a>>;

pub trait Routes: Send + Sync {
    /// Not empty, and each host has an address.
    fn route<'a>(&'a self, domain: &'a str) -> Found<'a>;
}

/// A resolver of the operator's: it is asked, nobody else.
pub struct Dns {
    resolver: TokioResolver,
    /// This host: a domain that leads to it leads in circles.
    own: String,
    /// Addresses of this machine may be sent to: for trials on one machine.
    loopback: bool,
}

impl Dns {
    pub fn new(resolver: SocketAddr, own: &str, loopback: bool) -> Result<Self, NetError> {
        Ok(Self { resolver: crate::dns::resolver(resolver)?, own: own.to_ascii_lowercase(), loopback })
    }

    async fn found(&self, domain: &str) -> Result<Vec<MailHost>, NoRoute> {
        // 1. The servers the domain names, or the domain itself where it names none.
        let mut name = Name::from_utf8(domain).map_err(|_| NoRoute::Never(unsaid("5.1.2", "the domain is no name of the DNS")))?;
        name.set_fqdn(true);
        let mut servers: Vec<(u16, String)> = match self.resolver.mx_lookup(name.clone()).await {
            Ok(lookup) => lookup.answers().iter().filter_map(|record| if let RData::MX(mx) = &record.data { Some((mx.preference, text(&mx.exchange))) } else { None }).collect(),
            Err(error) if error.is_nx_domain() => return Err(NoRoute::Never(unsaid("5.1.2", "the domain does not exist"))),
            Err(error) if error.is_no_records_found() => Vec::new(),
            Err(error) => return Err(NoRoute::Later(unsaid("4.4.3", &format!("the domain's servers cannot be looked up: {error}")))),
        };
        let implicit = servers.is_empty();
        if implicit {
            servers.push((0, text(&name)));
        }
        // 2. A domain that says it takes no mail. spec: rfc7505#3
        if servers.iter().any(|(_, name)| name.is_empty()) {
            return Err(NoRoute::Never(unsaid("5.1.10", "the domain takes no mail (null MX)")));
        }
        // 3. In their order, those of one preference in any; nobody sends past a server that is this one.
        let servers = ordered(servers, &self.own).ok_or_else(|| NoRoute::Never(unsaid("5.4.6", "the domain's servers lead back to this host")))?;
        // 4. Their addresses.
        let (mut hosts, mut unread) = (Vec::new(), false);
        for name in servers.into_iter().take(MAX_HOSTS) {
            match self.resolver.lookup_ip(format!("{name}.")).await {
                Ok(lookup) => {
                    let addresses: Vec<IpAddr> = lookup.iter().filter(|address| may_send_to(*address, self.loopback)).collect();
                    if !addresses.is_empty() {
                        hosts.push(MailHost { name, addresses });
                    }
                }
                Err(error) if error.is_no_records_found() => {}
                Err(_) => unread = true,
            }
        }
        match (hosts.is_empty(), unread) {
            (false, _) => Ok(hosts),
            (true, true) => Err(NoRoute::Later(unsaid("4.4.3", "the addresses of the domain's servers cannot be looked up"))),
            // spec: rfc5321#5.1 servers without an address are an error, which may be mended; a domain without any is none of mail
            (true, false) if implicit => Err(NoRoute::Never(unsaid("5.1.2", "the domain has no server for mail"))),
            (true, false) => Err(NoRoute::Later(unsaid("4.4.4", "the domain's servers have no address that can be sent to"))),
        }
    }
}

impl Routes for Dns {
    fn route<'a>(&'a self, domain: &'a str) -> Found<'a> {
        Box::pin(self.found(domain))
    }
}

/// A stranger's record must not lead to what listens on this machine alone.
pub(super) fn may_send_to(address: IpAddr, loopback: bool) -> bool {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.segments().first().is_some_and(|first| first & 0xffc0 == 0xfe80),
    };
    !address.is_unspecified() && !address.is_multicast() && !link_local && (loopback || !address.is_loopback())
}

fn text(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// Names in the order of preference, shuffled where it is the same, up to where this host stands itself; `None` where nothing is left.
// spec: rfc5321#5.1
fn ordered(mut servers: Vec<(u16, String)>, own: &str) -> Option<Vec<String>> {
    let limit = servers.iter().filter(|(_, name)| name == own).map(|(preference, _)| *preference).min();
    servers.retain(|(preference, _)| limit.is_none_or(|limit| *preference < limit));
    // A hash under a random key is shuffle enough: it is to spread load, not to hide anything.
    let key = std::hash::RandomState::new();
    servers.sort_by_key(|(preference, name)| (*preference, std::hash::BuildHasher::hash_one(&key, name)));
    let names: Vec<String> = servers.into_iter().map(|(_, name)| name).collect();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn servers(list: &[(u16, &str)]) -> Vec<(u16, String)> {
        list.iter().map(|(preference, name)| (*preference, (*name).to_owned())).collect()
    }

    #[test]
    fn by_preference_and_never_in_circles() {
        assert_eq!(ordered(servers(&[(20, "b"), (10, "a"), (30, "c")]), "x").unwrap(), ["a", "b", "c"]);
        assert_eq!(ordered(servers(&[(20, "b"), (10, "a"), (20, "x"), (30, "c")]), "x").unwrap(), ["a"]);
        assert_eq!(ordered(servers(&[(10, "x"), (20, "b")]), "x"), None);
        // Those of one preference share the load.
        let first: std::collections::BTreeSet<String> = (0..100).map(|_| ordered(servers(&[(10, "a"), (10, "b")]), "x").unwrap().remove(0)).collect();
        assert_eq!(first.len(), 2);
    }

    #[test]
    fn strangers_do_not_lead_to_this_machine() {
        for (address, allowed) in [("192.0.2.1", true), ("10.0.0.1", true), ("127.0.0.1", false), ("0.0.0.0", false), ("169.254.1.1", false), ("224.0.0.1", false), ("::1", false), ("::ffff:127.0.0.1", false), ("fe80::1", false), ("2001:db8::1", true)] {
            assert_eq!(may_send_to(address.parse().unwrap(), false), allowed, "{address}");
        }
        assert!(may_send_to("127.0.0.1".parse().unwrap(), true) && !may_send_to("0.0.0.0".parse().unwrap(), true));
    }
}
