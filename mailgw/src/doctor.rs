//! What is not well with mail to and from the world, and what to do: the resolver, and what the DNS says of this gateway.

use std::net::SocketAddr;
use std::path::Path;

use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_resolver::proto::rr::{RData, RecordType};
use runtime::doctor::Finding;
use serde::{Deserialize, Serialize};

use crate::dkim::ShownSelector;
use crate::init::Sending;
use crate::sending::proved::Proved;

/// What the store knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Examined {
    pub domain: String,
    pub host: String,
    pub selectors: Vec<ShownSelector>,
    /// The digest of the policies by which it works.
    #[serde(default)]
    pub policies: Option<String>,
    /// The record of its policy of MTA-STS, where something is promised.
    #[serde(default)]
    pub promise: Option<String>,
    /// The digest of the key that it serves.
    #[serde(default)]
    pub key: Option<String>,
    /// Kinds whose policy names a sender that is no bureau of the register, and the name.
    #[serde(default)]
    pub strangers: Vec<(String, String)>,
}

/// The policies as they stand in the directory: the next start takes them, or refuses them. `read`: the digest of those that hold now.
pub fn policies(directory: &Path, read: Option<&str>) -> Finding {
    match crate::policy::read(directory) {
        // With its file, its line, and what would be right.
        Err(error) => Finding::fail(format!("policies: {error}"), "mend the file before the next start, which refuses it; the one that comes with the program is in `policies/`"),
        Ok(found) if read.is_some_and(|read| read != found.digest) => Finding::warn("policies: others stand in the directory than the service works by", "start `mailgw serve` anew, and they hold"),
        Ok(found) => Finding::ok(format!("policies: {}", found.digest)),
    }
}

/// What the policies say of bureaus that nobody registered.
pub fn senders(examined: &Examined) -> Vec<Finding> {
    let stranger = |(kind, sender): &(String, String)| {
        Finding::warn(format!("policy: {kind} names the sender {sender}, whom nobody registered"), "register it with `mailgw bureau set`, or mend `senders` in policies/senders")
    };
    examined.strangers.iter().map(stranger).collect()
}

/// Asks the resolver alone.
pub async fn world(sending: Option<&Sending>, examined: &Examined) -> Vec<Finding> {
    let Some(sending) = sending else {
        let next = "name one: `resolver = \"127.0.0.1:53\"` below `[sending]` in mailgw.toml, then start anew";
        return vec![Finding::warn("resolver: none is named, so mail from other hosts is not judged and none goes out", next)];
    };
    let mut findings = vec![authorities(&sending.roots)];
    let names = Names { proved: Proved(sending.resolver), examined };
    match names.resolver(sending.resolver).await {
        Some(well) => {
            findings.push(well);
            findings.extend([names.mx().await, names.text(&examined.domain, "v=spf1", "SPF", "publish for example: v=spf1 mx -all").await]);
            findings.push(names.text(&format!("_dmarc.{}", examined.domain), "v=DMARC1", "DMARC", "publish for example: v=DMARC1; p=reject").await);
            findings.extend(names.dkim().await);
            findings.extend(names.promise().await);
            findings.extend(names.key().await);
        }
        None => findings.push(Finding::fail(format!("resolver: {} does not answer; mail from other hosts is put off or let in unjudged, and none goes out", sending.resolver), "start it, or name another in mailgw.toml")),
    }
    findings
}

fn authorities(roots: &Path) -> Finding {
    match crate::tls::authorities(roots).len() {
        0 => Finding::warn(format!("authorities of the world: none in {}; other domains' policies (MTA-STS) are not held to", roots.display()), "install ca-certificates, or name a PEM file as `roots` in mailgw.toml"),
        count => Finding::ok(format!("authorities of the world: {count}")),
    }
}

struct Names<'a> {
    proved: Proved,
    examined: &'a Examined,
}

impl Names<'_> {
    async fn resolver(&self, address: SocketAddr) -> Option<Finding> {
        let answer = self.proved.ask(".", RecordType::NS).await.ok()?;
        if answer.secure {
            return Some(Finding::ok(format!("resolver: {address} answers and proves")));
        }
        Some(Finding::warn(format!("resolver: {address} answers and proves nothing; DANE is not held to"), "let it validate DNSSEC: with Unbound, `auto-trust-anchor-file`"))
    }

    async fn mx(&self) -> Finding {
        let Examined { domain, host, .. } = self.examined;
        let Ok(answer) = self.proved.ask(domain, RecordType::MX).await else { return Finding::warn(format!("MX of {domain}: the DNS does not say"), "look at the zone") };
        let leads = answer.records.iter().any(|data| matches!(data, RData::MX(mx) if mx.exchange.to_ascii().trim_end_matches('.').eq_ignore_ascii_case(host)));
        if leads { Finding::ok(format!("MX of {domain}: {host}")) } else { Finding::warn(format!("MX of {domain}: it does not lead here; nobody's mail arrives"), format!("publish: {domain}. MX 10 {host}.")) }
    }

    async fn texts(&self, name: &str) -> Option<Vec<String>> {
        let answer = self.proved.ask(name, RecordType::TXT).await.ok()?;
        Some(answer.records.iter().filter_map(|data| if let RData::TXT(text) = data { Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()) } else { None }).collect())
    }

    async fn text(&self, name: &str, begins: &str, what: &str, next: &str) -> Finding {
        let found = self.texts(name).await.unwrap_or_default();
        match found.iter().filter(|text| text.starts_with(begins)).count() {
            0 => Finding::warn(format!("{what} of {}: there is no record; others may take anybody for us", self.examined.domain), next),
            1 => Finding::ok(format!("{what} of {}: there is a record", self.examined.domain)),
            several => Finding::fail(format!("{what} of {}: there are {several} records, which count as none", self.examined.domain), "leave one"),
        }
    }

    /// What is promised by MTA-STS, and no other policy than is served.
    async fn promise(&self) -> Option<Finding> {
        let (promise, name) = (self.examined.promise.as_ref()?, format!("_mta-sts.{}", self.examined.domain));
        let found: Vec<String> = self.texts(&name).await.unwrap_or_default().into_iter().filter(|text| text.starts_with("v=STSv1")).collect();
        Some(match found.as_slice() {
            [one] if one.trim_end_matches(';') == promise.trim_end_matches(';') => Finding::ok("MTA-STS: the record is that of the policy that is served"),
            [] => Finding::warn("MTA-STS: there is no record; whoever stands between may keep others from using TLS", format!("serve settings (`mailgw init --autoconfig`) at https://mta-sts.{}, and publish: {name}. TXT \"{promise}\"", self.examined.domain)),
            _ => Finding::fail("MTA-STS: another policy was published, or several; others go on with what they fetched before", format!("publish this alone: {name}. TXT \"{promise}\"")),
        })
    }

    /// The key that is served is one that is published, where any is (DANE). A new key is published before it is served.
    async fn key(&self) -> Option<Finding> {
        let (key, name) = (self.examined.key.as_ref()?, format!("_25._tcp.{}", self.examined.host));
        let answer = self.proved.ask(&name, RecordType::TLSA).await.ok()?;
        let records: Vec<_> = answer.records.iter().filter_map(|data| if let RData::TLSA(record) = data { Some(record) } else { None }).collect();
        let publish = format!("publish: {name}. TLSA 3 1 1 {key}");
        let is_ours = |record: &&TLSA| record.cert_usage == CertUsage::DaneEe && record.selector == Selector::Spki && record.matching == Matching::Sha256 && crate::hex(&record.cert_data) == *key;
        Some(match (records.iter().find(|record| is_ours(record)), records.len(), answer.secure) {
            (Some(_), _, true) => Finding::ok("DANE: the key that is served is published and proved"),
            (Some(_), _, false) => Finding::warn("DANE: the key is published in a zone that is not proved, which counts for nothing", "sign the zone (DNSSEC)"),
            (None, 0, true) => Finding::warn("DANE: no key of this server is published", publish),
            (None, 0, false) => return None,
            (None, _, true) => Finding::fail("DANE: other keys are published than the one that is served; whoever holds to DANE delivers nothing here", publish),
            (None, _, false) => Finding::warn("DANE: other keys are published than the one that is served, in a zone that is not proved", publish),
        })
    }

    async fn dkim(&self) -> Vec<Finding> {
        let in_use: Vec<&ShownSelector> = self.examined.selectors.iter().filter(|selector| selector.in_use).collect();
        if in_use.is_empty() {
            return vec![Finding::warn("DKIM: mail that goes out is not signed", "run `mailgw dkim new`, publish its records, then `mailgw dkim use`")];
        }
        let mut findings = Vec::new();
        for record in in_use.iter().flat_map(|selector| &selector.records) {
            let found = self.texts(&record.name).await.unwrap_or_default();
            findings.push(if found.contains(&record.text) {
                Finding::ok(format!("DKIM: {} is published", record.name))
            } else {
                Finding::fail(format!("DKIM: {} is not published as it is; signatures do not hold", record.name), "publish what `mailgw dkim show` tells")
            });
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Whoever edits a limit wrongly hears which, where, and what would be right, before the next start refuses it.
    #[test]
    fn a_bad_value_in_a_policy_is_named_with_its_file_and_line() {
        let place = tempfile::tempdir().unwrap();
        crate::policy::ship(place.path()).unwrap();
        let digest = crate::policy::read(place.path()).unwrap().digest;
        let said = |read: Option<&str>| serde_json::to_string(&policies(place.path(), read)).unwrap();
        assert!(said(Some(&digest)).contains("\"ok\"") && said(None).contains("\"ok\""));
        let file = place.path().join("mailbox/listeners.toml");
        let shipped = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, shipped.replacen("bytes_before_login = 262_144", "bytes_before_login = 1_048_576", 1)).unwrap();
        let told = said(Some(&digest));
        assert!(told.contains("listeners.toml, line 36: it is 16384 to 262144 bytes") && told.contains("\"fail\""), "{told}");
        // A good one that the service has not read.
        std::fs::write(&file, shipped.replacen("of_one_address = 50", "of_one_address = 20", 1)).unwrap();
        let told = said(Some(&digest));
        assert!(told.contains("anew") && told.contains("\"warn\""), "{told}");
    }
}
