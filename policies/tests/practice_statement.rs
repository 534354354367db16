//! The practice statement against the shipped profiles and rules: neither can say what the other does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use policies::PRACTICE_STATEMENT;
use policies::authority::{self, GrantRule, Power, Rules};
use policies::certificate::{Policies, Profile, SHIPPED};

/// The heading of the table of profiles: every row has these cells, in this order.
const HEAD: &str = "| Profile | Signed by | Applicant | Policies | Keys | Days | Key usage | Extended key usage | With a mailbox | OCSP pointer \
                    | Issuer pointer | CRL pointer | Names this statement | Approvals |";

/// The rows beneath a heading, up to the first line that is none.
fn rows(head: &str) -> Vec<&'static str> {
    let lines = PRACTICE_STATEMENT.lines().skip_while(|line| *line != head).skip(2);
    lines.take_while(|line| line.starts_with('|')).collect()
}

/// What the program understands of a profile, as a row of the statement.
fn row(profile: &Profile) -> String {
    let resolved = profile.resolved();
    let (mailbox, usual): (Vec<&str>, Vec<&str>) = resolved.lines().partition(|line| line.starts_with("with a mailbox: "));
    let fields: BTreeMap<&str, &str> = usual.into_iter().map(|line| line.split_once(": ").unwrap()).collect();
    let besides: BTreeMap<&str, &str> = mailbox.into_iter().map(|line| line.rsplit_once(": ").unwrap()).collect();
    // The statement says names where it has them: bits and repeated identifiers stand in brackets.
    let bare = |value: &str| value.split(", ").map(|one| one.split(" (").next().unwrap()).collect::<Vec<_>>().join(", ");
    let plain = |field: &str| bare(fields[field]);
    let mut purposes = plain("extended key usage");
    if fields["extended key usage critical"] == "yes" {
        purposes += " (critical)";
    }
    let mailbox = match (bare(besides["with a mailbox: extended key usage"]), bare(besides["with a mailbox: policies"])) {
        (purposes, policies) if purposes == "none" && policies == "none" => "nothing more".to_owned(),
        (purposes, policies) => format!("{purposes}; {policies}"),
    };
    let statement = match fields["practice statement"] {
        "none" => "no",
        "<public address>/cps" => "yes",
        other => panic!("{} names another statement: {other}", profile.name()),
    };
    let (signed_by, applicant, policies, keys) = (plain("signed by"), plain("applicant"), plain("policies"), plain("keys"));
    let cells = [
        fields["profile"], &signed_by, &applicant, &policies, &keys, fields["days"], &plain("key usage (critical)"), &purposes, &mailbox,
        fields["points at OCSP"], fields["points at issuer certificate"], fields["points at CRL"], statement, fields["approvals"],
    ];
    format!("| {} |", cells.join(" | "))
}

#[test]
fn the_table_of_profiles_is_the_shipped_profiles() {
    let policies = Policies::parse(SHIPPED).unwrap();
    let shipped: Vec<String> = policies.profiles().map(row).collect();
    let written = rows(HEAD);
    assert_eq!(written, shipped, "write the table of policies/practice-statement.md as:\n{}\n", shipped.join("\n"));
    assert!(PRACTICE_STATEMENT.contains(&policies.arc().oid().to_string()));
}

#[test]
fn the_terms_are_those_of_the_rules() {
    let rules = Rules::parse(authority::SHIPPED).unwrap();
    let terms = rows("| Term | Value |");
    let policies = Policies::parse(SHIPPED).unwrap();
    let stamp = &rules.timestamp;
    let order = if stamp.ordering { "later than all before it" } else { "in no order within the accuracy" };
    for term in [
        format!("| Suspension: at most | {} days |", rules.suspension.max_days),
        format!("| Records: kept after a certificate expires, at least | {} years |", rules.retention.years()),
        format!("| Order: ends undecided after | {} days |", rules.orders.open_days),
        format!("| Citizens: good certificates of one mailbox, at most, when another is asked for | {} |", rules.citizens.live),
        format!("| Citizens: a registrar's statement is taken within | {} minutes |", rules.citizens.statement_seconds / 60),
        format!("| Order: of the network, that came to nothing without an officer's decision, forgotten after | {} days |", rules.orders.refused_kept_days),
        format!("| Timestamp: policy | {} |", stamp.policy(policies.arc()).unwrap()),
        format!("| Timestamp: accuracy | {} milliseconds |", stamp.accuracy_ms),
        format!("| Timestamp: its time is | {order} |"),
        format!("| Timestamp: its key signs in the first | {} days |", policies.profile("timestamp").unwrap().private_key_days().unwrap()),
    ] {
        assert!(terms.contains(&term.as_str()), "{term} is not among {terms:#?}");
    }
    let days = |days: &[u16]| days.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let holders: Vec<String> = rules.notices.kinds.iter().filter(|kind| kind.to == authority::Told::Holder).map(|kind| days(&kind.days)).collect();
    assert!(!holders.is_empty() && holders.iter().all(|days| terms.contains(&format!("| Notices to holders: days before the end | {days} |").as_str())), "{terms:#?}");
    let filing = format!("| Notices before a filing deadline: days before it, for certificates that end at most so many days after it | {}, {} |", rules.notices.filing.days_before, rules.notices.filing.days_after);
    assert!(terms.contains(&filing.as_str()), "{terms:#?}");
    let (crl, has) = (&rules.crl, |row: String| assert!(terms.contains(&row.as_str()), "{row} is not among {terms:#?}"));
    has(format!("| Root's CRL: from thisUpdate to nextUpdate | {} days |", crl.root_seconds / 86_400));
    for (kind, pace) in [("Whole CRL", crl.whole), ("CRL of a part", crl.partition), ("Delta CRL", crl.delta)] {
        has(format!("| {kind}: from thisUpdate to nextUpdate | {} hours |", pace.valid_seconds / 3_600));
        has(format!("| {kind}: made anew, in any case, after | {} hours |", pace.every_seconds / 3_600));
        has(format!("| {kind}: made anew, with a change waiting, after | {} seconds |", pace.after_change_seconds));
    }
    for (kind, large) in [("Whole CRL", crl.whole.large), ("CRL of a part", crl.partition.large)] {
        let large = large.unwrap();
        has(format!("| {kind} of more than {} entries: made anew, with a change waiting, after | {} seconds |", large.above, large.after_change_seconds));
    }
    assert_eq!(crl.delta.large, None);
    let terms = rows("| Renewal and change | Terms |");
    let said = |row: String| assert!(terms.contains(&row.as_str()), "{row}\n{terms:#?}");
    for (profile, renewable) in rules.renewal.profiles() {
        let key = if renewable.same_key { "the same key or a new one" } else { "a new key" };
        said(format!("| Renewal of {profile}: from, before the end | {} days, with {key} |", renewable.window_days));
        assert_eq!(renewable.overlap_days, None, "the statement says never");
        if let Some(rekey) = renewable.rekey {
            let days = |days: u16| if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
            said(format!("| Re-key of {profile} by its holder: from, after the beginning; the old one is revoked after | {}; {} |", days(rekey.after_days), days(rekey.overlap_days)));
        }
    }
    assert_eq!(terms.iter().filter(|row| row.starts_with("| Renewal of ")).count(), rules.renewal.profiles().count());
    assert_eq!(terms.iter().filter(|row| row.starts_with("| Re-key of ")).count(), rules.renewal.profiles().filter(|(_, renewable)| renewable.rekey.is_some()).count());
    said("| Renewed certificate: revoked after | never |".into());
    said(format!("| Replaced or corrected certificate: stays valid, at most | {} days |", rules.renewal.most_overlap_days));
    said(format!("| Corrected certificate: stays valid, when nothing else is said | {} days |", rules.renewal.correction_overlap_days));
}

#[test]
fn the_rules_of_officers_are_those_of_the_statement() {
    let rules = Rules::parse(authority::SHIPPED).unwrap();
    let pairs: Vec<String> = rules.officers.exclusive().iter().map(|[one, other]| format!("{one} and {other}")).collect();
    let local: Vec<&str> = rules.officers.local_powers().iter().map(|power| power.name()).collect();
    let approvals = &rules.approvals;
    let (grant, registrar, bulk, change) = (approvals.grant.as_ref().unwrap(), approvals.registrar.as_ref().unwrap(), approvals.bulk.as_ref().unwrap(), approvals.policies.as_ref().unwrap());
    let takes = |by: &BTreeSet<Power>, count: u8| {
        let by: Vec<&str> = by.iter().map(|power| power.name()).collect();
        format!("{count} {} by {}", if count == 1 { "approval" } else { "approvals" }, by.join(" or "))
    };
    let granted = |rule: &GrantRule| format!("{}, while {} persons or more are administrators", takes(&rule.by, rule.approvals), rule.administrators);
    let expected = [
        format!("| No person holds both | {} |", pairs.join("; ")),
        format!("| Left to the owner of the state directory | {} |", local.join(", ")),
        format!("| A power is granted | {} |", granted(grant)),
        format!("| A registrar is set | {} |", granted(registrar)),
        format!("| Bulk revocation or re-issue of more than {} certificates | {} |", bulk.above, takes(&bulk.by, bulk.approvals)),
        format!("| A change of the policies | {} |", takes(&change.by, change.approvals)),
        format!("| What nobody decides on ends after | {} days |", approvals.act_open_days),
    ];
    assert_eq!(rows("| Rule of officers | Value |"), expected);
}

#[test]
fn all_chapters_of_the_outline_are_there_and_the_summary_stands_in_front() {
    // spec: rfc3647#6
    let chapters: Vec<&str> = PRACTICE_STATEMENT.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let outline = [
        "中文摘要",
        "1. Introduction",
        "2. Publication and repository responsibilities",
        "3. Identification and authentication",
        "4. Certificate life-cycle operational requirements",
        "5. Facility, management, and operational controls",
        "6. Technical security controls",
        "7. Certificate, CRL, and OCSP profiles",
        "8. Compliance audit and other assessment",
        "9. Other business and legal matters",
    ];
    assert_eq!(chapters, outline);
}
