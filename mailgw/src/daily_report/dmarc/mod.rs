//! Reports to other domains of the mail that came in their names. What reports are sent here is an ordinary attachment.
// spec: rfc9990

mod letter;
mod row;

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::net::NetError;
use protocol::smtp::exchange::Address;
use time::OffsetDateTime;

use super::{Counted, Report};
use crate::gateway::Gateway;
use crate::record::dmarc_tally::{Destination, Tally};
use crate::record::event::{self, Event};
use crate::verdict::decide::Verdict;
use crate::verdict::destinations::{Destinations, Found};
use crate::verdict::results::{Author, Results};

/// What came in domains' names.
pub type Tallies = Counted<Tally>;

impl Counted<Tally> {
    /// A message of another host was judged.
    pub fn note(&self, peer: IpAddr, results: &Results, verdict: Verdict, now: u64) {
        let (Some(row), Some(reported), Author::Of(domain)) = (row::row(peer, results, verdict), &results.reported, &results.author) else { return };
        let domain = domain.to_lowercase();
        if !is_written_plainly(&domain) {
            return;
        }
        self.count(&domain, now, |tally| {
            tally.published.clone_from(&reported.published);
            tally.wanted.clone_from(&reported.wanted);
            tally.add(&row, 1);
        });
    }
}

/// It stands in the header of a letter: letters of other scripts are written in theirs only as `xn--`.
fn is_written_plainly(domain: &str) -> bool {
    (1..=253).contains(&domain.len()) && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// Whether reports go where they are wanted is asked of the DNS.
pub struct DmarcReports(Destinations);

impl DmarcReports {
    pub fn new(resolver: SocketAddr) -> Result<Self, NetError> {
        Destinations::new(resolver).map(Self)
    }
}

impl Report for DmarcReports {
    type Tally = Tally;
    type Asked = Found;
    const OF: &'static str = "dmarc";

    async fn ask(&self, tally: &Tally) -> Found {
        let addresses: Vec<String> = tally.wanted.iter().map(|wanted| wanted.address.clone()).collect();
        self.0.of(&tally.domain, &addresses).await
    }

    fn letters(gateway: &Gateway, tally: &Tally, found: &Found, now: OffsetDateTime) -> Option<Vec<(Address, Vec<u8>)>> {
        let Found::At { policy, addresses } = found else { return None };
        let (letter, packed) = letter::letter(&gateway.settings.host, &gateway.settings.domain, policy, tally);
        let fits = |wanted: &&Destination| addresses.contains(&wanted.address) && (wanted.most_bytes == 0 || packed.len() as u64 <= wanted.most_bytes);
        let addresses = tally.wanted.iter().filter(fits).filter_map(|wanted| Address::parse(&wanted.address).ok());
        Some(addresses.map(|address| (address.clone(), letter.write(&packed, &address, now))).collect())
    }

    fn queued(told: event::TlsReport) -> Event {
        Event::DmarcReportQueued(told)
    }
}
