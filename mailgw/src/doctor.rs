//! What is not well with mail to and from the world, and what to do: the resolver, and what the DNS says of this gateway.

use std::net::SocketAddr;
use std::path::Path;

use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_resolver::proto::rr::{RData, RecordType};
use runtime::doctor::Finding;
use serde::{Deserialize, Serialize};

use crate::dkim::{BOTH, ShownSelector};
use crate::init::Sending;
use crate::sending::proved::{Proved, Silent};

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
    /// That policy takes back what was promised before.
    #[serde(default)]
    pub taken_back: bool,
    /// The digest of the key that it serves.
    #[serde(default)]
    pub key: Option<String>,
    /// Kinds whose policy names a sender that is no bureau of the register, and the name.
    #[serde(default)]
    pub strangers: Vec<(String, String)>,
    /// Open mailboxes, a name of each, and the bureau's name that it reads like.
    #[serde(default)]
    pub look_alikes: Vec<(String, String, String)>,
    /// Ports at which the policy has a provider's tokens taken.
    #[serde(default)]
    pub token_ports: Vec<String>,
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

/// Mailboxes whose names people take for a bureau's: none is opened so any more, and those of before go on.
pub fn look_alikes(examined: &Examined) -> Vec<Finding> {
    let one = |(mailbox, name, borne): &(String, String, String)| {
        Finding::warn(
            format!("names: the mailbox {mailbox} bears {name}, which reads like {borne}, under which a bureau seals or sends"),
            format!("look whose it is: `mailgw mailbox show {mailbox}`; end it where it is meant to deceive (`mailgw mailbox close {mailbox}`), or give the bureau another address (`mailgw bureau set` with a seal for it, `mailgw bureau sender allow` and `withdraw`)"),
        )
    };
    examined.look_alikes.iter().map(one).collect()
}

/// Whether a provider's tokens open mailboxes. `directory`: the state directory.
pub fn tokens(configuration: Option<&crate::tokens::Configuration>, directory: &Path, ports: &[String]) -> Finding {
    let Some(configuration) = configuration else {
        return Finding::ok("tokens: no provider is named ([tokens] in mailgw.toml), so no token opens a mailbox");
    };
    match crate::tokens::Provider::open(configuration, directory) {
        Err(error) => Finding::fail(format!("tokens: {error}"), "mend it: a start is refused with it, and a service that runs goes on with the keys it read last"),
        Ok(_) if ports.is_empty() => Finding::warn("tokens: a provider is named, and no port takes its tokens", "write the ports as `token` below [login] in policies/mailbox/clients.toml, then start anew"),
        Ok(provider) => Finding::ok(format!("tokens: {} keys of {}, taken at {}", provider.keys(), provider.issuer(), ports.join(", "))),
    }
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
        let Ok(answer) = self.proved.ask(domain, RecordType::MX).await else { return silent(&format!("MX of {domain}"), domain, "MX") };
        let leads = answer.records.iter().any(|data| matches!(data, RData::MX(mx) if mx.exchange.to_ascii().trim_end_matches('.').eq_ignore_ascii_case(host)));
        if leads { Finding::ok(format!("MX of {domain}: {host}")) } else { Finding::warn(format!("MX of {domain}: it does not lead here; nobody's mail arrives"), format!("publish: {domain}. MX 10 {host}.")) }
    }

    async fn texts(&self, name: &str) -> Result<Vec<String>, Silent> {
        let answer = self.proved.ask(name, RecordType::TXT).await?;
        Ok(answer.records.iter().filter_map(|data| if let RData::TXT(text) = data { Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()) } else { None }).collect())
    }

    async fn text(&self, name: &str, begins: &str, what: &str, next: &str) -> Finding {
        let what = format!("{what} of {}", self.examined.domain);
        let Ok(found) = self.texts(name).await else { return silent(&what, name, "TXT") };
        match found.iter().filter(|text| text.starts_with(begins)).count() {
            0 => Finding::warn(format!("{what}: there is no record; others may take anybody for us"), next),
            1 => Finding::ok(format!("{what}: there is a record")),
            several => Finding::fail(format!("{what}: there are {several} records, which count as none"), "leave one"),
        }
    }

    /// What is promised by MTA-STS or taken back, and no other policy than is served.
    async fn promise(&self) -> Option<Finding> {
        let (promise, name) = (self.examined.promise.as_ref()?, format!("_mta-sts.{}", self.examined.domain));
        let Ok(found) = self.texts(&name).await else { return Some(silent("MTA-STS", &name, "TXT")) };
        let found: Vec<String> = found.into_iter().filter(|text| text.starts_with("v=STSv1")).collect();
        let publish = format!("serve settings (`mailgw init --autoconfig`) at https://mta-sts.{}, and publish: {name}. TXT \"{promise}\"", self.examined.domain);
        Some(match found.as_slice() {
            [one] if one.trim_end_matches(';') == promise.trim_end_matches(';') => Finding::ok("MTA-STS: the record is that of the policy that is served"),
            // spec: rfc8461#8.3
            [] if self.examined.taken_back => Finding::warn("MTA-STS: what was promised is taken back, and there is no record that says so; others go on with what they fetched before", format!("{publish}; once every earlier promise is over, remove `[promise]` from policies/mailbox/inbound.toml")),
            [] => Finding::warn("MTA-STS: there is no record; whoever stands between may keep others from using TLS", publish),
            _ => Finding::fail("MTA-STS: another policy was published, or several; others go on with what they fetched before", format!("publish this alone: {name}. TXT \"{promise}\"")),
        })
    }

    /// The key that is served is one that is published, where any is (DANE). A new key is published before it is served.
    async fn key(&self) -> Option<Finding> {
        let (key, name) = (self.examined.key.as_ref()?, format!("_25._tcp.{}", self.examined.host));
        let Ok(answer) = self.proved.ask(&name, RecordType::TLSA).await else { return Some(silent("DANE", &name, "TLSA")) };
        let records: Vec<&TLSA> = answer.records.iter().filter_map(|data| if let RData::TLSA(record) = data { Some(record) } else { None }).collect();
        dane(&records, key, answer.secure, format!("publish: {name}. TLSA 3 1 1 {key}"))
    }

    async fn dkim(&self) -> Vec<Finding> {
        let in_use: Vec<&ShownSelector> = self.examined.selectors.iter().filter(|selector| selector.in_use).collect();
        if in_use.is_empty() {
            return vec![Finding::warn("DKIM: mail that goes out is not signed", "run `mailgw dkim new`, publish its records, then `mailgw dkim use`")];
        }
        let alone = |selector: &&ShownSelector| {
            let what = format!("DKIM: {} has no {} key; receivers that verify no other take the mail for unsigned", selector.selector, selector.lacks()?);
            Some(Finding::warn(what, BOTH))
        };
        let mut findings: Vec<Finding> = in_use.iter().filter_map(alone).collect();
        for record in in_use.iter().flat_map(|selector| &selector.records) {
            findings.push(match self.texts(&record.name).await {
                Err(Silent) => silent("DKIM", &record.name, "TXT"),
                Ok(found) if found.contains(&record.text) => Finding::ok(format!("DKIM: {} is published", record.name)),
                Ok(_) => Finding::fail(format!("DKIM: {} is not published as it is; signatures do not hold", record.name), "publish what `mailgw dkim show` tells"),
            });
        }
        findings
    }
}

/// No answer says nothing of what is published, and others hear no more than we do.
fn silent(what: &str, name: &str, kind: &str) -> Finding {
    let next = format!("have the name servers of the zone and its DNSSEC examined: `dig {name} {kind}`; then run this again");
    Finding::fail(format!("{what}: the DNS does not say whether there is a record ({name} {kind}): no answer, or an error"), next)
}

/// Other records may be of the key that is served, of its certificate or its issuer; only `3 1 1` is compared here. spec: rfc7672#3.1
fn dane(records: &[&TLSA], key: &str, secure: bool, publish: String) -> Option<Finding> {
    let is_compared = |record: &&TLSA| record.cert_usage == CertUsage::DaneEe && record.selector == Selector::Spki && record.matching == Matching::Sha256;
    let has_ours = records.iter().any(|record| is_compared(record) && crate::hex(&record.cert_data) == key);
    let are_others = records.iter().all(is_compared);
    Some(match (has_ours, records.is_empty(), secure) {
        (true, _, true) => Finding::ok("DANE: the key that is served is published and proved"),
        (true, _, false) => Finding::warn("DANE: the key is published in a zone that is not proved, which counts for nothing", "sign the zone (DNSSEC)"),
        (false, true, true) => Finding::warn("DANE: no key of this server is published", publish),
        (false, true, false) => return None,
        (false, false, true) if are_others => Finding::fail("DANE: other keys are published than the one that is served; whoever holds to DANE delivers nothing here", publish),
        (false, false, false) if are_others => Finding::warn("DANE: other keys are published than the one that is served, in a zone that is not proved", publish),
        (false, false, _) => Finding::warn("DANE: records of another form than 3 1 1 are published, which are not compared here with what is served", format!("make sure that they hold of the certificate that is served, or {publish}")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
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

    fn told(finding: &Finding) -> String {
        serde_json::to_string(finding).unwrap()
    }

    /// A record of the issuer's key, or of the whole certificate, may hold; that other keys alone are published is a failure.
    #[test]
    fn records_that_are_not_compared_are_no_failure() {
        let record = |usage, selector, data: u8| TLSA::new(usage, selector, Matching::Sha256, vec![data; 32]);
        let (ours, other) = (record(CertUsage::DaneEe, Selector::Spki, 1), record(CertUsage::DaneEe, Selector::Spki, 2));
        let (issuer, whole) = (record(CertUsage::DaneTa, Selector::Spki, 3), record(CertUsage::DaneEe, Selector::Full, 4));
        let judged = |records: &[&TLSA], secure| dane(records, &crate::hex(&[1; 32]), secure, "publish: X".to_owned()).map(|finding| told(&finding));
        let says = |records: &[&TLSA], secure, severity: &str, words: &str| {
            let told = judged(records, secure).unwrap();
            assert!(told.contains(&format!("\"{severity}\"")) && told.contains(words), "{told}");
        };
        says(&[&other, &ours], true, "ok", "published and proved");
        says(&[&issuer, &ours], false, "warn", "counts for nothing");
        says(&[&other, &other], true, "fail", "other keys");
        says(&[&other], false, "warn", "other keys");
        for records in [&[&issuer][..], &[&whole], &[&other, &issuer], &[&whole, &issuer]] {
            for secure in [true, false] {
                says(records, secure, "warn", "not compared");
            }
        }
        says(&[], true, "warn", "no key of this server");
        assert_eq!(judged(&[], false), None);
    }

    /// A resolver that answers of the root alone: to every other question an error, or that there is nothing.
    async fn resolver(code: u8) -> SocketAddr {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let is_root = buffer[12] == 0;
                buffer[2] |= 0x80;
                buffer[3] = (buffer[3] & 0xf0) | if is_root { 0 } else { code };
                socket.send_to(&buffer[..length], from).await.unwrap();
            }
        });
        address
    }

    fn examined(taken_back: bool) -> Examined {
        let published = |kind: &str| crate::dkim::Published { name: format!("s1-{kind}._domainkey.mail.gz.example"), text: format!("v=DKIM1; k={kind}; p=x") };
        let records = vec![published("rsa"), published("ed25519")];
        let selectors = vec![ShownSelector { selector: "s1".to_owned(), in_use: true, records }];
        let (promise, key) = (Some("v=STSv1; id=1;".to_owned()), Some(crate::hex(&[1; 32])));
        Examined { domain: "mail.gz.example".to_owned(), host: "mx.mail.gz.example".to_owned(), selectors, policies: None, promise, taken_back, key, strangers: Vec::new(), look_alikes: Vec::new(), token_ports: Vec::new() }
    }

    async fn found(code: u8, taken_back: bool) -> Vec<String> {
        let sending = Sending { resolver: resolver(code).await, roots: "/nonexistent".into(), port: 25, loopback: false, https_port: 443 };
        world(Some(&sending), &examined(taken_back)).await.iter().skip(2).map(told).collect()
    }

    #[tokio::test]
    async fn an_error_of_the_dns_is_no_missing_record() {
        // SERVFAIL
        let errors = found(2, false).await;
        assert_eq!(errors.len(), 7, "{errors:?}");
        for (told, what) in errors.iter().zip(["MX of", "SPF of", "DMARC of", "s1-rsa", "s1-ed25519", "MTA-STS", "DANE"]) {
            assert!(told.contains(what) && told.contains("the DNS does not say") && told.contains("\"fail\"") && told.contains("dig "), "{told}");
        }
        // NXDOMAIN
        let missing = found(3, false).await;
        assert_eq!(missing.len(), 7, "{missing:?}");
        assert!(missing.iter().all(|told| !told.contains("does not say")), "{missing:?}");
        assert!(missing[5].contains("there is no record; whoever stands between"), "{missing:?}");
        // What is taken back has to be told, too.
        let taken_back = found(3, true).await;
        assert!(taken_back[5].contains("taken back") && taken_back[5].contains("v=STSv1; id=1;"), "{taken_back:?}");
    }

    /// Mail goes out with one signature, and whoever runs the gateway hears how it gets the other.
    #[tokio::test]
    async fn one_kind_of_signature_alone_is_told_with_the_way_to_both() {
        let found = |kept: usize, in_use: bool| async move {
            let mut examined = examined(false);
            examined.selectors[0].records.remove(1 - kept);
            examined.selectors[0].in_use = in_use;
            let names = Names { proved: Proved(resolver(3).await), examined: &examined };
            names.dkim().await.iter().map(told).collect::<Vec<_>>()
        };
        for (kept, lacks) in [(0, "Ed25519"), (1, "RSA")] {
            let all = found(kept, true).await;
            assert_eq!(all.len(), 2, "{all:?}");
            for words in ["\"warn\"", &format!("s1 has no {lacks} key"), "openssl genpkey -algorithm RSA", "mailgw dkim new SELECTOR --rsa rsa.pem", "mailgw dkim use SELECTOR"] {
                assert!(all[0].contains(words), "{words}: {all:?}");
            }
            // One that signs nothing is no news.
            assert!(matches!(found(kept, false).await.as_slice(), [told] if told.contains("is not signed")));
        }
        let (examined, resolver) = (examined(false), resolver(3).await);
        let both = Names { proved: Proved(resolver), examined: &examined }.dkim().await;
        assert!(both.len() == 2 && !both.iter().any(|finding| told(finding).contains("has no")));
    }
}
