//! What is not well with mail to and from the world, and what to do: the resolver, and what the DNS says of this gateway.

use std::net::SocketAddr;
use std::path::Path;

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
