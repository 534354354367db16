//! What holds for the authority as a whole: one document a matter, each read into a type that makes sense.

mod approvals;
mod bulk;
mod citizens;
mod crl;
mod notices;
mod officers;
mod orders;
mod rates;
mod renewal;
mod retention;
mod suspension;
mod timestamp;

pub use approvals::{Approvals, BulkRule, GrantRule, IssueRule, MAX_APPROVALS, PoliciesRule, Proposals};
pub use bulk::Bulk;
pub use citizens::Citizens;
pub use crl::{Crl, Large, MAX_PARTITIONS, Pace};
pub use notices::{CITY, Filing, NoticeKind, Notices, Operator, Told, day_in_city};
pub use officers::{Officers, Power, PowerError};
pub use orders::{DuplicateRule, Hourly, Orders, RegistryRule};
pub use rates::Rates;
pub use renewal::{Rekey, Renewable, Renewal};
pub use retention::Retention;
pub use suspension::Suspension;
pub use timestamp::{Digest, Timestamp};

use crate::document::{PolicyError, one_of_each};
use crate::filing::Calendar;

/// File name and text of each document of `policies/authority/`, in the order of the names.
pub const SHIPPED: [(&str, &str); 13] = [
    ("approvals.toml", include_str!("../../authority/approvals.toml")),
    ("bulk.toml", include_str!("../../authority/bulk.toml")),
    // The very one that filings are judged by.
    ("calendar.toml", crate::filing::SHIPPED_CALENDAR.1),
    ("citizens.toml", include_str!("../../authority/citizens.toml")),
    ("crl.toml", include_str!("../../authority/crl.toml")),
    ("notices.toml", include_str!("../../authority/notices.toml")),
    ("officers.toml", include_str!("../../authority/officers.toml")),
    ("orders.toml", include_str!("../../authority/orders.toml")),
    ("rates.toml", include_str!("../../authority/rates.toml")),
    ("renewal.toml", include_str!("../../authority/renewal.toml")),
    ("retention.toml", include_str!("../../authority/retention.toml")),
    ("suspension.toml", include_str!("../../authority/suspension.toml")),
    ("timestamp.toml", include_str!("../../authority/timestamp.toml")),
];

/// Every rule of the authority. Had only from documents that make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub approvals: Approvals,
    pub bulk: Bulk,
    pub citizens: Citizens,
    pub crl: Crl,
    pub notices: Notices,
    pub officers: Officers,
    pub orders: Orders,
    pub rates: Rates,
    pub renewal: Renewal,
    pub retention: Retention,
    pub suspension: Suspension,
    pub timestamp: Timestamp,
}

impl Rules {
    /// Reads every document of `authority/`: pairs of file name and text.
    pub fn parse<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let names = ["approvals.toml", "bulk.toml", "calendar.toml", "citizens.toml", "crl.toml", "notices.toml", "officers.toml", "orders.toml", "rates.toml", "renewal.toml", "retention.toml", "suspension.toml", "timestamp.toml"];
        let [approvals, bulk, calendar, citizens, crl, notices, officers, orders, rates, renewal, retention, suspension, timestamp] = one_of_each(names, documents)?;
        Ok(Self {
            approvals: Approvals::parse(approvals.0, approvals.1)?,
            bulk: Bulk::parse(bulk.0, bulk.1)?,
            citizens: Citizens::parse(citizens.0, citizens.1)?,
            crl: Crl::parse(crl.0, crl.1)?,
            notices: Notices::parse(notices, &Calendar::parse(calendar)?)?,
            officers: Officers::parse(officers.0, officers.1)?,
            orders: Orders::parse(orders.0, orders.1)?,
            rates: Rates::parse(rates.0, rates.1)?,
            renewal: Renewal::parse(renewal.0, renewal.1)?,
            retention: Retention::parse(retention.0, retention.1)?,
            suspension: Suspension::parse(suspension.0, suspension.1)?,
            timestamp: Timestamp::parse(timestamp.0, timestamp.1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_make_sense_and_nonsense_is_named() {
        let rules = Rules::parse(SHIPPED).unwrap();
        assert_eq!(rules.suspension.max_days, 15);
        assert_eq!(rules.officers.local_powers().iter().collect::<Vec<_>>(), [&Power::Auditor]);
        fn with(name: &str, text: &str) -> Result<Rules, PolicyError> {
            Rules::parse(SHIPPED.map(|(shipped, its)| if shipped == name { (shipped, text) } else { (shipped, its) }))
        }
        let refused = |text| with("suspension.toml", text).unwrap_err().to_string();
        assert!(refused("max_days = 0").starts_with("suspension.toml, line 1: a suspension of 0 days"));
        assert!(refused("max_days = 15\nmin_days = 1").contains("unknown field"));
        let terms = rules.renewal.of("enterprise-signing").unwrap();
        assert_eq!((terms.window_days, terms.same_key, terms.overlap_days, rules.renewal.of("issuing")), (60, false, None, None));
        let refused = |text: &str| with("renewal.toml", &format!("most_overlap_days = 30\ncorrection_overlap_days = 5\n{text}")).unwrap_err().to_string();
        let entry = "[[renewal]]\nprofile = \"a\"\nwindow_days = 60\nsame_key = true\n";
        assert!(refused("[[renewal]]\nprofile = \"a\"\nwindow_days = 0\nsame_key = true").starts_with("renewal.toml, line 5: 0 days; write 1 to 366"));
        assert!(refused(&[entry, entry].concat()).contains("twice"));
        assert!(refused(&format!("{entry}overlap_days = 400")).contains("400 days"));
        assert!(with("renewal.toml", "most_overlap_days = 3\ncorrection_overlap_days = 5").unwrap_err().reason.contains("write 0 to 3"));
        let stamp = |policy: &str, accuracy: &str, digests: &str| format!("policy = \"{policy}\"\naccuracy_ms = {accuracy}\nordering = false\ndigests = [{digests}]\nhourly = {{ per_address = 1, all = 1 }}\n");
        for (text, reason) in [
            (stamp("any", "1", "\"sha256\""), "line 1: a token names one policy"),
            (stamp(".x", "1", "\"sha256\""), "line 1: `.x` is no policy"),
            (stamp(".4.1", "0", "\"sha256\""), "line 2: an accuracy is 1 to 60000"),
            (stamp(".4.1", "1", ""), "line 4: name at least one digest"),
            (stamp(".4.1", "1", "\"sha256\", \"sha256\""), "each once"),
            (stamp(".4.1", "1", "\"sha1\""), "unknown variant `sha1`"),
            (stamp(".4.1", "1", "\"sha256\"").replace("per_address = 1", "per_address = 2"), "line 5: timestamps in an hour"),
            (stamp(".4.1", "1", "\"sha256\"").replace("all = 1", "all = 1000001"), "line 5: timestamps in an hour"),
        ] {
            let said = with("timestamp.toml", &text).unwrap_err().to_string();
            assert!(said.contains(reason), "{said}");
        }
        let bulk = |most: u32, pause: u32| with("bulk.toml", &format!("most = {most}\nbatch = 500\nparallel = 2\npause_ms = {pause}\nreissue_overlap_days = 5"));
        assert_eq!((rules.bulk.most, bulk(7, 0).unwrap().bulk.most), (10_000, 7));
        assert!(bulk(0, 0).unwrap_err().to_string().starts_with("bulk.toml, line 1: 0 certificates"));
        assert!(bulk(1, 60_000).unwrap_err().to_string().starts_with("bulk.toml, line 4: 60000 is out of bounds"));
        assert!(Rules::parse([]).unwrap_err().reason.contains("missing"));
    }
}
