//! What came in a domain's name on a day, and what became of it: `JSON`, under the day (counted from 1970, UTC) and the domain, until it
//! is reported. No address of a person is in it: domains, and the hosts that sent.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::tally;

/// Rows that are told apart; what is beyond is counted alone.
pub const MAX_ROWS: usize = 1_000;

/// The policy as the domain published it, in the words of its record. spec: rfc9989#4.7
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    pub p: String,
    pub sp: String,
    pub np: String,
    pub adkim: String,
    pub aspf: String,
    pub fo: String,
    pub testing: bool,
}

/// Where reports are wanted, and how large they may be there; 0: any size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    pub address: String,
    pub most_bytes: u64,
}

/// A signature's domain, selector and result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub domain: String,
    pub selector: String,
    pub result: String,
}

/// Messages of one host that are alike in all that is reported. spec: rfc9990#3.1
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub source: IpAddr,
    pub disposition: String,
    /// Whether a signature, and the host, vouch for the author's domain.
    pub dkim: bool,
    pub spf: bool,
    /// Why something else was done than the domain asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub envelope_from: String,
    pub signatures: Vec<Signature>,
    pub spf_domain: String,
    /// `mfrom` or `helo`.
    pub spf_scope: String,
    pub spf_result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    pub day: u64,
    /// Of the author.
    pub domain: String,
    /// As it was last.
    pub published: Published,
    pub wanted: Vec<Destination>,
    pub rows: Vec<(Row, u64)>,
    /// Messages beyond the rows that are told apart.
    pub beyond: u64,
}

impl Tally {
    pub fn add(&mut self, row: &Row, count: u64) {
        if let Some((_, counted)) = self.rows.iter_mut().find(|(known, _)| known == row) {
            *counted = counted.saturating_add(count);
        } else if self.rows.len() < MAX_ROWS {
            self.rows.push((row.clone(), count));
        } else {
            self.beyond = self.beyond.saturating_add(count);
        }
    }
}

impl tally::Tally for Tally {
    const KIND: &'static str = "dmarc tally";

    fn new(day: u64, domain: &str) -> Self {
        Self { day, domain: domain.to_owned(), published: Published::default(), wanted: Vec::new(), rows: Vec::new(), beyond: 0 }
    }

    fn day(&self) -> u64 {
        self.day
    }

    fn domain(&self) -> &str {
        &self.domain
    }

    fn merge(&mut self, newer: &Self) {
        self.published.clone_from(&newer.published);
        self.wanted.clone_from(&newer.wanted);
        newer.rows.iter().for_each(|(row, count)| self.add(row, *count));
        self.beyond = self.beyond.saturating_add(newer.beyond);
    }
}
