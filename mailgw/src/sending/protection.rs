//! What TLS with a server has to prove before it is given mail: by DANE, by MTA-STS, or nothing.
// spec: rfc7672#2.2, rfc8461#5, rfc7435

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_resolver::proto::rr::{RData, RecordType};
use rustls::{ClientConfig, RootCertStore};

use super::dane::{self, Pin};
use super::opportunistic;
use super::proved::Proved;
use super::sts::{Mode, Policy};
use super::sts_fetch::{Known, Policies};
use super::unsaid;
use crate::record::queue::Said;

/// Records of one server that are looked at.
const MAX_PINS: usize = 20;

/// Why TLS is as it is. The names are those of reports. spec: rfc8460#4.2
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Nothing is known of the domain.
    Nothing,
    Dane { pins: Vec<String> },
    Sts { policy: Policy },
    /// It has a policy of MTA-STS that could not be had.
    StsUnread,
}

/// How a conversation is secured.
#[derive(Clone)]
pub(super) struct Protection {
    pub config: Arc<ClientConfig>,
    /// Without it, or where it proves something else, nothing is said.
    pub must: bool,
    pub why: Why,
    /// What is wrong with the server though it is spoken to, as reports name it.
    pub fault: Option<&'static str>,
}

impl Protection {
    /// The server proves its name, or is not given the message.
    pub fn is_proved(&self) -> bool {
        self.must && self.why != Why::Nothing
    }
}

/// Why a server is passed over, and the result as reports name it.
pub(super) struct PassedOver {
    pub why: Why,
    pub result: &'static str,
    pub said: Said,
}

/// What a domain says of its servers, asked once for a message.
pub(super) struct Promised {
    sts: Known,
    /// Whether the names of its servers are proved; `None`: the DNS does not say.
    mx_secure: Option<bool>,
}

pub struct Security {
    proved: Proved,
    /// Without authorities of the world no policy is fetched.
    policies: Option<Policies>,
    opportunistic: Arc<ClientConfig>,
    /// With a server whose name an authority of the world vouches for.
    known: Option<Arc<ClientConfig>>,
    /// At which servers take mail.
    port: u16,
}

/// How a domain's word is asked for.
pub struct Means {
    pub resolver: SocketAddr,
    pub port: u16,
    /// At which policies are fetched.
    pub https_port: u16,
    pub loopback: bool,
    /// Authorities of the world; empty: none is believed.
    pub roots: RootCertStore,
}

#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Resolver(#[from] hickory_resolver::net::NetError),
}

impl Security {
    pub fn new(means: Means, store: Arc<dyn store::Store>) -> Result<Self, SecurityError> {
        let Means { resolver, port, https_port, loopback, roots } = means;
        let known = if roots.is_empty() {
            None
        } else {
            let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider())).with_safe_default_protocol_versions()?;
            Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
        };
        let policies = match &known {
            Some(known) => Some(Policies::new(crate::dns::resolver(resolver)?, store, Arc::clone(known), https_port, loopback)),
            None => None,
        };
        Ok(Self { proved: Proved(resolver), policies, opportunistic: opportunistic::config()?, known, port })
    }

    /// What the domain promises of its servers.
    pub(super) async fn promised(&self, domain: &str, now: u64) -> Promised {
        let sts = match &self.policies {
            Some(policies) => policies.of(domain, now).await,
            None => Known::Nothing,
        };
        let mx_secure = self.proved.ask(domain, RecordType::MX).await.ok().map(|answer| answer.secure);
        Promised { sts, mx_secure }
    }

    /// Nothing has to be proved: TLS where it can be had. spec: rfc8689#5 the sender says that delivery counts for more
    pub(super) fn opportunistic(&self) -> Protection {
        Protection { config: Arc::clone(&self.opportunistic), must: false, why: Why::Nothing, fault: None }
    }

    /// How a server of the domain is spoken to.
    pub(super) async fn protection(&self, domain: &str, host: &str, promised: &Promised) -> Result<Protection, PassedOver> {
        // 1. DANE, where the names that lead to the server are proved. It counts for more than MTA-STS. spec: rfc8461#2
        let unproved = |said| PassedOver { why: Why::Dane { pins: Vec::new() }, result: "dnssec-invalid", said };
        // Who keeps the DNS silent must not be able to take the proof away. spec: rfc7672#2.1.1
        let mx_secure = promised.mx_secure.ok_or_else(|| unproved(unsaid("4.4.3", "the DNS does not say whether the domain's servers are proved (DANE)")))?;
        let pins = if mx_secure { self.pins(host).await.map_err(unproved)? } else { None };
        // Records of which none can be used ask for TLS and prove nothing. spec: rfc7672#2.2
        let must = pins.is_some();
        if let Some(pins) = pins.filter(|pins| !pins.is_empty()) {
            let why = Why::Dane { pins: pins.iter().map(Pin::to_string).collect() };
            let config = dane::config(pins, &[host, domain]).map_err(|error| passed_over(why.clone(), "validation-failure", &error.to_string()))?;
            return Ok(Protection { config, must: true, why, fault: None });
        }
        // 2. MTA-STS: one of the servers it names, by a name that an authority vouches for.
        let (Known::Policy(policy), Some(known)) = (&promised.sts, &self.known) else { return Ok(Protection { must, ..self.opportunistic() }) };
        let why = Why::Sts { policy: policy.clone() };
        match policy.mode {
            Mode::None => Ok(Protection { must, ..self.opportunistic() }),
            Mode::Enforce if policy.names(host) => Ok(Protection { config: Arc::clone(known), must: true, why, fault: None }),
            Mode::Enforce => Err(passed_over(why, "validation-failure", "the domain's MTA-STS policy does not name this server")),
            // spec: rfc8461#5 what would have failed is reported, and the message goes
            // Where TLS is asked for anyhow, what the policy under test would prove is not asked on top.
            Mode::Testing if must => Ok(Protection { must, ..self.opportunistic() }),
            Mode::Testing if policy.names(host) => Ok(Protection { config: Arc::clone(known), must: false, why, fault: None }),
            Mode::Testing => Ok(Protection { config: Arc::clone(&self.opportunistic), must: false, why, fault: Some("validation-failure") }),
        }
    }

    /// Why the domain's policy could not be had, for reports.
    pub(super) fn failed(promised: &Promised) -> Option<&'static str> {
        if let Known::Failed(why) = promised.sts { Some(why) } else { None }
    }

    /// The server's pins that can be used, perhaps none of those it has; `None`: it has no proved record.
    // spec: rfc7672#2.2.3
    async fn pins(&self, host: &str) -> Result<Option<Vec<Pin>>, Said> {
        let silent = |_| unsaid("4.4.3", "the DNS does not prove what this server's certificate is to be (DANE)");
        // An address that is not proved belongs to a zone that is not signed, and its TLSA may not be answered at all.
        let mut secure = false;
        for kind in [RecordType::A, RecordType::AAAA] {
            let answer = self.proved.ask(host, kind).await.map_err(silent)?;
            secure |= answer.secure && !answer.records.is_empty();
        }
        if !secure {
            return Ok(None);
        }
        let answer = self.proved.ask(&format!("_{}._tcp.{host}", self.port), RecordType::TLSA).await.map_err(silent)?;
        let records: Vec<_> = answer.records.iter().filter_map(|data| if let RData::TLSA(record) = data { Some(record) } else { None }).take(MAX_PINS).collect();
        if !answer.secure || records.is_empty() {
            return Ok(None);
        }
        Ok(Some(records.into_iter().filter_map(Pin::new).collect()))
    }
}

fn passed_over(why: Why, result: &'static str, text: &str) -> PassedOver {
    PassedOver { why, result, said: unsaid("4.7.5", text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
    use std::net::UdpSocket;

    use super::*;

    const A: u16 = 1;
    const TLSA: u16 = 52;
    /// Usage 1 is for servers that strangers' authorities vouch for, and of no use for mail.
    const UNUSABLE: [u8; 4] = [1, 1, 0, 7];
    const USABLE: [u8; 4] = [3, 1, 0, 7];

    /// A resolver that has proved what it says, by name and kind; SERVFAIL to what it has no word on.
    fn resolver(says: impl Fn(&str, u16) -> Option<Vec<Vec<u8>>> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 1_500];
            while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                let (mut name, mut at) = (Vec::new(), 12);
                while buffer[at] > 0 {
                    let end = at + 1 + usize::from(buffer[at]);
                    name.push(String::from_utf8_lossy(&buffer[at + 1..end]).into_owned());
                    at = end;
                }
                let (kind, question) = (u16::from_be_bytes([buffer[at + 1], buffer[at + 2]]), &buffer[12..at + 5]);
                let said = says(&name.join("."), kind);
                // The answer's bits, proved (AD) where there is one. spec: rfc1035#4.1.1 rfc4035#3.2.3
                let code: u8 = if said.is_some() { 0xa0 } else { 0x82 };
                let records = said.unwrap_or_default();
                let mut answer = [&buffer[..2], &[0x81, code, 0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0], question].concat();
                for data in records {
                    answer.extend([0xc0, 12].iter().chain(&kind.to_be_bytes()).chain(&[0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]).chain(&data));
                }
                socket.send_to(&answer, from).unwrap();
            }
        });
        address
    }

    /// How the one server of a domain is spoken to: with these records, and a resolver that says of the domain's MX what it says.
    async fn spoken_to(mx: Option<Vec<Vec<u8>>>, tlsa: Option<Vec<Vec<u8>>>) -> Result<Protection, PassedOver> {
        let resolver = resolver(move |name, kind| match (name, kind) {
            ("c.cn", 15) => mx.clone(),
            ("mx.c.cn", A) => Some(vec![vec![127, 0, 0, 1]]),
            ("_25._tcp.mx.c.cn", TLSA) => tlsa.clone(),
            _ => Some(Vec::new()),
        });
        let means = Means { resolver, port: 25, https_port: 443, loopback: true, roots: RootCertStore::empty() };
        let security = Security::new(means, Arc::new(store::Memory::new())).unwrap();
        let promised = security.promised("c.cn", 0).await;
        security.protection("c.cn", "mx.c.cn", &promised).await
    }

    #[tokio::test]
    async fn records_that_cannot_be_used_ask_for_tls_and_silence_about_the_servers_takes_nothing_away() {
        let mx = || Some(vec![b"\0\x0a\x02mx\x01c\x02cn\0".to_vec()]);
        let records = |all: &[[u8; 4]]| Some(all.iter().map(|one| one.to_vec()).collect());
        // None of them is of use: TLS, whoever it is with, and nothing in the clear. spec: rfc7672#2.2
        let protection = spoken_to(mx(), records(&[UNUSABLE])).await.ok().unwrap();
        assert!(protection.must && protection.why == Why::Nothing && !protection.is_proved());
        // One is: that one binds.
        let protection = spoken_to(mx(), records(&[UNUSABLE, USABLE])).await.ok().unwrap();
        assert!(protection.is_proved() && protection.why == Why::Dane { pins: vec!["3 1 0 07".into()] });
        let protection = spoken_to(mx(), records(&[])).await.ok().unwrap();
        assert!(!protection.must);
        // Who keeps the DNS silent about the domain's servers, or about their certificates, has no mail in the clear for it.
        for (mx, tlsa) in [(None, records(&[UNUSABLE])), (None, records(&[USABLE])), (None, records(&[])), (mx(), None)] {
            let Err(passed_over) = spoken_to(mx, tlsa).await else { panic!("it is spoken to") };
            assert_eq!((passed_over.result, passed_over.said.status.as_str()), ("dnssec-invalid", "4.4.3"));
        }
    }
}
