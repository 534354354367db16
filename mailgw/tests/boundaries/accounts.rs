//! An account's statements go to one person, and one of a month: across pushes, within a file, and until it is said otherwise.

use mailgw::flow::push::Order;
use policies::mailbox::MailboxNumber;
use serde_json::json;

use super::corrections::{go, outcomes, said, withdrawing};
use super::month::{fund_of, funds, order};
use super::*;

const SUMS: [u64; 2] = [16_349_296, 380_270];

/// Rows: their account, their number, whose they are; with what each supersedes, where they do.
fn file(city: &City, batch: &str, rows: &[(&str, &str, usize, &str)]) -> Order {
    let correcting = rows.iter().any(|(.., old)| !old.is_empty());
    let line = |(account, id, person, old): &(&str, &str, usize, &str)| {
        let row = fund_of(account, id, PEOPLE[*person], "163492.96");
        if correcting { format!("{old},{row}") } else { row }
    };
    let text = funds(if correcting { "supersedes," } else { "" }, &rows.iter().map(line).collect::<Vec<_>>());
    let count = rows.len() as u64;
    let reason = correcting.then(|| ("supersedes", json!({ "reason": "账号有误", "reason_en": "The account was wrong" })));
    order(city, FUND, "housing-fund", batch, &text, count, SUMS.map(|sum| sum * count), reason)
}

fn reasons_of(city: &City, order: &Order) -> Vec<String> {
    outcomes(city, order).iter().map(|outcome| outcome.reason.clone().unwrap_or_default()).collect()
}

#[test]
fn an_account_goes_to_one_person_until_what_went_there_is_withdrawn() {
    let city = City::found();
    assert_eq!(reasons_of(&city, &file(&city, "a", &[("x", "a1", 0, "")])), [""]);
    let other = file(&city, "b", &[("x", "b1", 1, ""), ("x", "b2", 0, "")]);
    let told = outcomes(&city, &other);
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [(1, "quarantined", Some("account-of-another")), (2, "quarantined", Some("month-delivered"))]);
    assert!(told.iter().all(|outcome| outcome.reason.as_deref().is_none_or(mailgw::erds::is_reason)));
    go(&city, &withdrawing(&city, "c", &["a1"])).unwrap();
    assert_eq!(reasons_of(&city, &file(&city, "d", &[("x", "d1", 1, "")])), [""]);
    assert_eq!(reasons_of(&city, &file(&city, "e", &[("x", "e1", 0, "")])), ["account-of-another"]);
    // Neither number nor name of whoever has it is kept in clear, nor the account's.
    let holders = all(&*city.store, "account holder");
    assert!(holders.len() == 1 && !String::from_utf8_lossy(holders[0].0.as_bytes()).contains("GJJ"));
}

#[test]
fn rows_of_one_file_take_an_account_once() {
    let city = City::found();
    let rows = [("x", "a1", 0, ""), ("x", "a2", 1, ""), ("x", "a3", 0, ""), ("y", "a4", 1, "")];
    let told = reasons_of(&city, &file(&city, "a", &rows));
    assert_eq!(told, ["", "account-of-another", "month-delivered", ""]);
    // Two corrections bring one account one statement of the month.
    assert_eq!(reasons_of(&city, &file(&city, "b", &[("p", "b1", 2, ""), ("q", "b2", 2, "")])), ["", ""]);
    assert_eq!(reasons_of(&city, &file(&city, "c", &[("r", "c1", 2, "b1"), ("r", "c2", 2, "b2")])), ["", "month-delivered"]);
    // What was corrected away is free for its right owner; what was not is not.
    assert_eq!(reasons_of(&city, &file(&city, "d", &[("p", "d1", 1, ""), ("q", "d2", 1, "")])), ["", "account-of-another"]);
    // A correction of the same account takes nothing of anybody.
    assert_eq!(reasons_of(&city, &file(&city, "e", &[("r", "e1", 2, "c1")])), [""]);
}

#[test]
fn a_closed_mailbox_holds_no_account_and_a_full_one_takes_none() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let mailbox = |person: usize| gateway.directory.find_person(&Document::parse(PEOPLE[person].0, PEOPLE[person].1, today(NOW)).unwrap()).unwrap().unwrap().mailbox();
    assert_eq!(reasons_of(&city, &file(&city, "a", &[("x", "a1", 2, "")])), [""]);
    gateway.directory.close(MailboxNumber::parse(&mailbox(2)).unwrap(), NOW).unwrap();
    assert_eq!(reasons_of(&city, &file(&city, "b", &[("x", "b1", 1, "")])), [""]);
    // Full: what gave way to a row that did not go out is told so, and goes out when it is sent again.
    let limits = city.path("policies/mailbox/limits.toml");
    let text = std::fs::read_to_string(&limits).unwrap();
    std::fs::write(&limits, text.replace("1_073_741_824", "65_536").replace("26_214_400", "65_536")).unwrap();
    assert_eq!(reasons_of(&city, &file(&city, "c", &[("k", "c1", 0, ""), ("l", "c2", 0, "")])), ["", ""]);
    let full = file(&city, "d", &[("z", "d1", 0, ""), ("z", "d2", 1, "")]);
    let gateway = city.gateway(Arc::clone(&city.store));
    let tried = mailgw::flow::push::dry_run(&gateway, &city.lists, &full, &mut |_| true).unwrap().not_delivered;
    let told = outcomes(&city, &full);
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [(1, "undeliverable", Some("mailbox-full")), (2, "quarantined", Some("gave-way"))]);
    assert_eq!(tried, told, "as it was foretold");
    assert_eq!(reasons_of(&city, &file(&city, "e", &[("z", "d2", 1, "")])), [""]);
}

/// Somebody else's push takes the account between the decision and the commit.
#[test]
fn an_account_is_judged_as_things_stand_at_its_commit() {
    let city = Arc::new(City::found());
    // So that the bodies' ids and the dictionary are there: begun, the block, ended.
    go(&city, &file(&city, "warm", &[("w", "w1", 2, "")])).unwrap();
    let (mine, theirs) = (file(&city, "mine", &[("x", "m1", 0, "")]), file(&city, "theirs", &[("x", "t1", 1, "")]));
    let racing = store::Between::before_commit(Arc::clone(&city.store), 2, {
        let city = Arc::clone(&city);
        move || assert_eq!(go(&city, &theirs).unwrap().counts.delivered, 1)
    });
    let gateway = city.gateway(Arc::new(racing));
    let report = push(&gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &city.lists, &mine, &mut |_| true).unwrap();
    assert_eq!((report.counts.delivered, report.not_delivered[0].reason.as_deref()), (0, Some("account-of-another")));
}
