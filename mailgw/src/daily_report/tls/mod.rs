//! Reports to other domains about TLS with their servers.
// spec: rfc8460

mod letter;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use protocol::smtp::exchange::Address;
use time::OffsetDateTime;

use super::{Counted, MAX_ADDRESSES, Report};
use crate::gateway::Gateway;
use crate::record::event::{self, Event};
use crate::record::tls_tally::{PolicyTold, Tally};

/// What came of TLS.
pub type Tallies = Counted<Tally>;

impl Counted<Tally> {
    pub(crate) fn note(&self, domain: &str, policy: PolicyTold, host: Option<&str>, result: Result<(), &str>, now: u64) {
        self.count(domain, now, |tally| tally.add(&policy, host, result, 1));
    }
}

/// Who wants to know is asked of this resolver.
pub struct TlsReports(pub TokioResolver);

impl Report for TlsReports {
    type Tally = Tally;
    type Asked = Wanted;
    const OF: &'static str = "tls";

    async fn ask(&self, tally: &Tally) -> Wanted {
        asked(&self.0, &tally.domain).await
    }

    fn letters(gateway: &Gateway, tally: &Tally, wanted: &Wanted, now: OffsetDateTime) -> Option<Vec<(Address, Vec<u8>)>> {
        let addresses = match wanted {
            Wanted::Unknown => return None,
            Wanted::Nobody => return Some(Vec::new()),
            Wanted::By(addresses) => addresses.iter().filter_map(|address| Address::parse(address).ok()),
        };
        let (letter, packed) = letter::letter(&gateway.settings.host, &gateway.settings.domain, tally);
        Some(addresses.map(|address| (address.clone(), letter.write(&packed, &address, now))).collect())
    }

    fn queued(told: event::TlsReport) -> Event {
        Event::TlsReportQueued(told)
    }
}

/// Who wants a domain's reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Nobody,
    By(Vec<String>),
    /// The DNS does not say now.
    Unknown,
}

/// The addresses in the texts of `_smtp._tls.DOMAIN`: exactly one of them has to be a record. spec: rfc8460#3
pub fn wanted(texts: &[String]) -> Wanted {
    let mut records = texts.iter().filter(|text| text.trim_start().starts_with("v=TLSRPTv1;"));
    let (Some(record), None) = (records.next(), records.next()) else { return Wanted::Nobody };
    let places = record.split(';').filter_map(|field| field.split_once('=')).find(|(name, _)| name.trim() == "rua").map_or("", |(_, places)| places);
    let address = |place: &str| {
        let address = place.trim().strip_prefix("mailto:")?.split('?').next()?;
        Address::parse(address).ok().map(|address| address.as_str().to_owned())
    };
    let addresses: Vec<String> = places.split(',').filter_map(address).take(MAX_ADDRESSES).collect();
    if addresses.is_empty() { Wanted::Nobody } else { Wanted::By(addresses) }
}

async fn asked(resolver: &TokioResolver, domain: &str) -> Wanted {
    match resolver.txt_lookup(format!("_smtp._tls.{domain}.")).await {
        Ok(lookup) => {
            let texts = lookup.answers().iter().filter_map(|record| if let RData::TXT(text) = &record.data { Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()) } else { None });
            wanted(&texts.collect::<Vec<_>>())
        }
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => Wanted::Nobody,
        Err(_) => Wanted::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_to_know() {
        let of = |texts: &[&str]| wanted(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["v=TLSRPTv1; rua=mailto:a@c.cn,https://c.cn/r,mailto:b@c.cn?x=y"]), Wanted::By(vec!["a@c.cn".into(), "b@c.cn".into()]));
        for nobody in [&["v=TLSRPTv1; rua=https://c.cn/r"][..], &["v=TLSRPTv1; rua=mailto:a@c.cn", "v=TLSRPTv1; rua=mailto:b@c.cn"], &["v=TLSRPTv1"], &["other"], &[], &["v=TLSRPTv1; rua=mailto:a b"]] {
            assert_eq!(of(nobody), Wanted::Nobody, "{nobody:?}");
        }
    }
}
