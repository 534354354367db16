//! Whether reports that a domain wants go where it wants them: another domain has to have agreed.
// spec: rfc9990#4

use std::net::SocketAddr;

use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;
use mail_auth::MessageAuthenticator;

use super::questions::Questions;

/// Questions for one domain.
const QUESTIONS: u32 = 20;
/// Labels of an author's domain above which no policy is looked for. spec: rfc9989#4.10
const MOST_LABELS: usize = 8;

pub struct Destinations(MessageAuthenticator);

/// Where a domain's reports go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// `policy`: the domain at which the policy stands.
    At { policy: String, addresses: Vec<String> },
    /// The DNS does not say now.
    Unknown,
}

impl Destinations {
    pub fn new(resolver: SocketAddr) -> Result<Self, NetError> {
        Ok(Self(MessageAuthenticator(crate::dns::resolver(resolver)?)))
    }

    /// Those of `addresses` that may be written to: at the domain's own organisation, or at another that agreed.
    pub async fn of(&self, author: &str, addresses: &[String]) -> Found {
        let Some(Walk { policy, organization }) = self.walk(author).await else { return Found::Unknown };
        let own = |address: &&String| {
            let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase();
            domain == organization || domain.strip_suffix(&organization).is_some_and(|rest| rest.ends_with('.'))
        };
        let (mut agreed, others): (Vec<&String>, Vec<&String>) = addresses.iter().partition(own);
        let questions = Questions::new(QUESTIONS);
        let Some(more) = self.0.verify_dmarc_report_address(&policy, &others, Some(&questions)).await else { return Found::Unknown };
        agreed.extend(more);
        Found::At { policy, addresses: agreed.into_iter().cloned().collect() }
    }

    /// From the author's domain upwards. `None`: the DNS does not say. spec: rfc9989#4.10
    async fn walk(&self, author: &str) -> Option<Walk> {
        let labels: Vec<&str> = author.split('.').collect();
        let (mut own, mut highest) = (false, None);
        for at in (0..labels.len().saturating_sub(1)).filter(|at| *at == 0 || labels.len() - at < MOST_LABELS) {
            let domain = labels.get(at..).unwrap_or_default().join(".");
            match self.0.0.txt_lookup(format!("_dmarc.{domain}.")).await {
                Ok(lookup) => {
                    let text = |data: &RData| if let RData::TXT(text) = data { String::from_utf8_lossy(&text.txt_data.concat()).replace(' ', "") } else { String::new() };
                    let record = lookup.answers().iter().map(|record| text(&record.data)).find(|text| text.starts_with("v=DMARC1"));
                    own |= record.is_some() && at == 0;
                    // Who registers domains for others is nobody's organisation.
                    highest = record.filter(|text| !text.split(';').any(|tag| tag == "psd=y")).map(|_| domain).or(highest);
                }
                Err(error) if error.is_no_records_found() || error.is_nx_domain() => {}
                Err(_) => return None,
            }
        }
        // It had a policy when its mail came.
        let organization = highest.unwrap_or_else(|| author.to_owned());
        Some(Walk { policy: if own { author.to_owned() } else { organization.clone() }, organization })
    }
}

struct Walk {
    /// Where the policy stands.
    policy: String,
    organization: String,
}
