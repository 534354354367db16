//! Rows that come again mended, statements that are superseded or withdrawn: said by the bureau that sent them, once, with
//! what was sealed before as it was.

use mailgw::flow::push::{Order, signed, statement};
use mailgw::record::push::RowOutcome;
use protocol::imap::exchange::Keyword;
use serde_json::json;

use super::month::{fund, fund_of, funds, order};
use super::*;

const CLOSE: u64 = 16_349_296;
const PAID: u64 = 380_270;

pub(super) fn go(city: &City, order: &Order) -> Result<Report, PushError> {
    let gateway = city.gateway(Arc::clone(&city.store));
    push(&gateway, &Watched::new(city, Arc::clone(&city.sealing), None), &city.lists, order, &mut |_| true)
}

pub(super) fn outcomes(city: &City, order: &Order) -> Vec<RowOutcome> {
    let path = city.path("outcomes.jsonl");
    let _ = std::fs::remove_file(&path);
    go(city, &Order { report: Some(path.clone()), ..order.clone() }).unwrap();
    std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(super) fn said(outcome: &RowOutcome) -> (u64, &str, Option<&str>) {
    (outcome.row, outcome.state.word(), outcome.reason.as_deref())
}

/// `good` rows of the month are right, then come four of which nothing was delivered but one.
fn first(city: &City, batch: &str, good: u64) -> Month {
    let month = month(city, "housing-fund", batch, good);
    go(city, &month.order).unwrap();
    month
}

fn mending(city: &City, batch: &str, of: &str, rows: &str, lines: &[String]) -> Order {
    let count = lines.len() as u64;
    order(city, FUND, "housing-fund", batch, &funds("", lines), count, [CLOSE * count, PAID * count], Some(("mends", json!({ "batch": of, "rows": rows }))))
}

#[test]
fn kept_back_rows_come_again_mended_and_the_first_batch_tells_of_them() {
    let city = City::found();
    let month = first(&city, "m", 4);
    // Rows 6 and 8 were quarantined, 7 is a stranger's, 5 a duplicate, 1 was delivered.
    let ids = ["m-0", "m-0", "m-4", "m-5", "m-6"];
    let lines: Vec<String> = ids.iter().map(|id| fund(id, PEOPLE[0], "163492.96")).collect();
    // Another statement mends none of them, whoever it is for.
    let strange: Vec<String> = ids.iter().map(|id| fund(&format!("other-{id}"), PEOPLE[0], "163492.96")).collect();
    let told = outcomes(&city, &mending(&city, "m1", "m", "1,5-8", &strange));
    let reasons = ["not-kept-back", "not-kept-back", "other-statement", "other-statement", "other-statement"];
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), (1..).zip(reasons).map(|(row, reason)| (row, "quarantined", Some(reason))).collect::<Vec<_>>());
    let mend = mending(&city, "m2", "m", "1,5-8", &lines);
    let before = evidence_items(&city);
    let told = outcomes(&city, &mend);
    let told: Vec<_> = told.iter().map(said).collect();
    assert_eq!(told, [
        (1, "quarantined", Some("not-kept-back")), (2, "quarantined", Some("not-kept-back")), (3, "delivered", None), (4, "delivered", None), (5, "delivered", None),
    ]);
    // Both reports add up, and the first one names who mended.
    let report = go(&city, &month.order).unwrap();
    assert_eq!(report.counts, Counts { delivered: 7, duplicate: 1, quarantined: 0, undeliverable: 0 });
    let all = outcomes(&city, &month.order);
    assert_eq!(all.iter().map(|outcome| outcome.row).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert_eq!(all.iter().filter(|outcome| outcome.mended_by.as_deref() == Some("m2")).map(|outcome| outcome.row).collect::<Vec<_>>(), [6, 7, 8]);
    // Evidence of what was kept back stays, and what was released says which row it is.
    let after = evidence_items(&city);
    assert_eq!(after[..before.len()], before, "evidence that stood has changed");
    let mended: Vec<_> = after.iter().filter_map(|item| item.submission.mends.as_ref().map(|mends| (item.event.name(), mends.batch.clone(), mends.row))).filter(|(name, ..)| *name == "ContentConsignment").collect();
    assert_eq!(mended, [6, 7, 8].map(|row| ("ContentConsignment", "m".to_owned(), row)));
    let log: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::BatchMended(mended) = event { Some((mended.batch, mended.by, mended.rows, mended.outcome)) } else { None }).collect();
    assert_eq!(log.len(), 2, "{log:?}");
    assert_eq!(log[1], ("m".to_owned(), "m2".to_owned(), 3, report.outcomes));
    // Once more: the same answer, and nothing of it a second time.
    let length = city.store.stream_length(STREAM).unwrap();
    assert_eq!(go(&city, &mend).unwrap().counts, Counts { delivered: 3, duplicate: 0, quarantined: 2, undeliverable: 0 });
    assert_eq!(city.store.stream_length(STREAM).unwrap(), length);
    let third = mending(&city, "m3", "m", "6", &lines[2..3]);
    assert_eq!(said(&outcomes(&city, &third)[0]), (1, "quarantined", Some("not-kept-back")));
}

pub(super) fn evidence_items(city: &City) -> Vec<mailgw::erds::Item> {
    let count = city.store.counter(mailgw::record::evidence::BATCHES).unwrap();
    let lines = (1..=count).flat_map(|number| mailgw::record::evidence::items(&*city.store, number).unwrap().unwrap());
    lines.map(|line| mailgw::erds::Item::read(&line).unwrap()).collect()
}

#[test]
fn what_may_not_be_mended_is_refused_and_changes_nothing() {
    let city = City::found();
    first(&city, "m", 2);
    let line = || vec![fund("m-2", PEOPLE[0], "163492.96")];
    let mend = mending(&city, "ok", "m", "4", &line());
    go(&city, &mend).unwrap();
    let length = city.store.stream_length(STREAM).unwrap();
    let refused = |order: &Order| go(&city, order).unwrap_err();
    assert!(matches!(refused(&mending(&city, "x1", "none", "4", &line())), PushError::UnknownBatch { .. }));
    assert!(matches!(refused(&mending(&city, "x2", "ok", "1", &line())), PushError::NotMendable { .. }));
    assert!(matches!(refused(&mending(&city, "x3", "m", "7", &line())), PushError::NotMendable { .. }));
    assert!(matches!(refused(&mending(&city, "x4", "m", "4,5", &line())), PushError::Manifest(_)));
    let other = order(&city, INSURANCE, "housing-fund", "x5", &funds("", &line()), 1, [CLOSE, PAID], Some(("mends", json!({ "batch": "m", "rows": "4" }))));
    assert!(matches!(refused(&other), PushError::UnknownBatch { .. }), "another bureau's batch");
    let unended = month(&city, "housing-fund", "unended", 501);
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    assert!(push(&gateway, &sealer, &city.lists, &unended.order, &mut |so_far| so_far.done == 0).is_err());
    let length = city.store.stream_length(STREAM).unwrap().max(length);
    assert!(matches!(refused(&mending(&city, "x6", "unended", "502", &line())), PushError::NotEnded { .. }));
    assert_eq!(city.store.stream_length(STREAM).unwrap(), length);
}

#[test]
fn a_mending_is_whole_after_a_fault_at_any_write_and_keeps_others_waiting() {
    let city = City::found();
    // Begun, a block of body ids, the rows, ended.
    for (commit, fault) in (0..4).flat_map(|commit| FAULTS.map(|fault| (commit, fault))) {
        let at = format!("commit {commit}, {fault:?}");
        let name = format!("f{commit}{}", fault == Fault::Lost);
        let month = first(&city, &name, 2);
        let line = |id: &str| vec![fund(&format!("{name}-{id}"), PEOPLE[1], "163492.96")];
        let mend = mending(&city, &format!("{name}-a"), &name, "4", &line("2"));
        let store = faulty(&city.store, Some((commit, fault)));
        let gateway = city.gateway(Arc::clone(&store) as Arc<dyn Store>);
        assert!(push(&gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &city.lists, &mend, &mut |_| true).is_err(), "{at}");
        let other = mending(&city, &format!("{name}-b"), &name, "6", &line("4"));
        let (begun, ended) = (commit > 0 || fault == Fault::DoneReportedLost, commit == 3 && fault == Fault::DoneReportedLost);
        if begun && !ended {
            assert!(matches!(go(&city, &other), Err(PushError::NotMendable { .. })), "{at}: two at once");
        }
        assert_eq!(go(&city, &mend).unwrap().counts.delivered, 1, "{at}");
        assert_eq!(go(&city, &other).unwrap().counts.delivered, 1, "{at}");
        let report = go(&city, &month.order).unwrap();
        assert_eq!(report.counts, Counts { delivered: 4, duplicate: 1, quarantined: 0, undeliverable: 1 }, "{at}");
    }
}

#[test]
fn each_edition_of_a_report_is_signed_and_names_who_mended() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    evidence::install(&city, &gateway);
    first(&city, "r", 3);
    let anchors = mailgw::bureau::trust::Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    let report = |batch: &str| {
        let bytes = serde_json::to_vec(&signed(&gateway, &city.lists, FUND, batch).unwrap()).unwrap();
        mailgw::erds::verify_report(&bytes, &anchors).unwrap().report
    };
    let one = report("r");
    assert_eq!((one.delivered, one.quarantined, one.mended_by.len()), (3, 2, 0));
    go(&city, &mending(&city, "r2", "r", "5", &[fund("r-3", PEOPLE[2], "163492.96")])).unwrap();
    let two = report("r");
    assert_eq!((two.delivered, two.quarantined, two.mended_by.as_slice()), (4, 1, ["r2".to_owned()].as_slice()));
    assert_eq!(two.evidence.len(), one.evidence.len() + 1);
    let mended = report("r2");
    assert_eq!((mended.mends.as_deref(), mended.rows, mended.delivered), (Some("r"), 1, 1));
}

/// Corrected statements: each names the one it supersedes.
pub(super) fn superseding(city: &City, batch: &str, rows: &[(&str, &str, usize)]) -> Order {
    let line = |(new, old, person): &(&str, &str, usize)| format!("{old},{}", fund_of(old, new, PEOPLE[*person], "163492.96"));
    let text = funds("supersedes,", &rows.iter().map(line).collect::<Vec<_>>());
    let count = rows.len() as u64;
    let reason = json!({ "reason": "缴费基数录入有误 <b>", "reason_en": "The base was entered wrongly" });
    order(city, FUND, "housing-fund", batch, &text, count, [CLOSE * count, PAID * count], Some(("supersedes", reason)))
}

pub(super) fn withdrawing(city: &City, batch: &str, statements: &[&str]) -> Order {
    let text: String = std::iter::once("stmt_id").chain(statements.iter().copied()).map(|line| format!("{line}\r\n")).collect();
    let reason = json!({ "reason": "寄送错误", "reason_en": "Sent in error" });
    order(city, FUND, "housing-fund", batch, &text, statements.len() as u64, [0, 0], Some(("withdraws", reason)))
}

/// Each message of a person: its text, and whether it bears a keyword.
fn mails(city: &City, person: usize, keyword: &str) -> Vec<(Vec<u8>, bool)> {
    let gateway = city.gateway(Arc::clone(&city.store));
    let document = Document::parse(PEOPLE[person].0, PEOPLE[person].1, today(NOW)).unwrap();
    let mailbox = gateway.directory.find_person(&document).unwrap().unwrap().mailbox();
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    let keyword = Keyword::new(keyword).unwrap();
    view.messages.iter().map(|message| (gateway.messages.load(&view.folder, message.uid).unwrap(), message.flags.has_keyword(&keyword))).collect()
}

fn decoded(message: &[u8]) -> String {
    let parsed = mail_parser::MessageParser::new().parse(message).unwrap();
    format!("{}\n{}\n{}", parsed.subject().unwrap(), parsed.body_text(0).unwrap(), parsed.body_html(0).unwrap())
}

#[test]
fn a_corrected_statement_supersedes_the_wrong_one_once_and_both_verify() {
    let city = City::found();
    first(&city, "s", 3);
    let old = mails(&city, 0, "$Superseded");
    let fix = superseding(&city, "s2", &[("s2-0", "s-0", 0), ("s2-x", "none", 1), ("s2-y", "s-1", 0), ("s2-z", "s-0", 0)]);
    let told = outcomes(&city, &fix);
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [
        (1, "delivered", None), (2, "quarantined", Some("unknown-statement")), (3, "quarantined", Some("other-recipient")), (4, "quarantined", Some("superseded-before")),
    ]);
    let now = mails(&city, 0, "$Superseded");
    assert_eq!((now.len(), now[0].1, now[1].1), (2, true, false));
    assert_eq!(now[0].0, old[0].0, "a sealed statement was touched");
    let text = decoded(&now[1].0);
    for word in ["更正：", "Corrected:", "取代编号 s-0 的对账单", "缴费基数录入有误 <b>", "The base was entered wrongly", "&lt;b&gt;"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let id = |message: &[u8], field: &str| mail_parser::MessageParser::new().parse(message).unwrap().header_raw(field).unwrap().trim().to_owned();
    assert_eq!(id(&now[1].0, "In-Reply-To"), id(&old[0].0, "Message-ID"));
    // The listing shows it.
    let gateway = city.gateway(Arc::clone(&city.store));
    let shown = statement(&gateway, FUND, "s-0").unwrap();
    assert_eq!((shown.state.as_str(), shown.item.ended.unwrap().superseded_by.as_deref()), ("superseded", Some("s2-0")));
    assert_eq!(statement(&gateway, FUND, "s2-0").unwrap().state, "holds");
    assert!(matches!(statement(&gateway, INSURANCE, "s-0"), Err(PushError::UnknownStatement { .. })));
    // Evidence and log name what was corrected.
    let corrects: Vec<_> = evidence_items(&city).into_iter().filter_map(|item| Some((item.event.name(), item.submission.corrects?))).collect();
    assert_eq!(corrects.iter().filter(|(name, corrects)| *name == "ContentConsignment" && corrects.statement == "s-0" && corrects.digest_value == hex(&digest(&old[0].0))).count(), 1);
    let log: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::StatementSuperseded(said) = event { Some((said.old, said.digest)) } else { None }).collect();
    assert_eq!(log, [(hex(&digest(&old[0].0)), hex(&digest(&now[1].0)))]);
    // The same again, by the same batch and by another: nothing comes twice. The corrected one may be corrected itself.
    assert_eq!(outcomes(&city, &fix).len(), 4);
    assert_eq!(said(&outcomes(&city, &superseding(&city, "s3", &[("s2-0", "s-0", 0)]))[0]), (1, "duplicate", Some("delivered-before")));
    assert_eq!(said(&outcomes(&city, &superseding(&city, "s4", &[("s4-0", "s2-0", 0)]))[0]), (1, "delivered", None));
    let now = mails(&city, 0, "$Superseded");
    assert_eq!(now.iter().map(|(_, marked)| *marked).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn a_withdrawn_statement_stays_bears_its_mark_and_its_reader_is_told_once() {
    let city = City::found();
    first(&city, "w", 3);
    let old = mails(&city, 1, "$Withdrawn");
    let wrong = order(&city, FUND, "housing-fund", "w0", &funds("", &[]), 1, [0, 0], Some(("withdraws", json!({ "reason": "错", "reason_en": "wrong" }))));
    assert!(matches!(go(&city, &wrong), Err(PushError::Withdrawals)));
    let withdraw = withdrawing(&city, "w2", &["w-1", "none", "w-1", "a b"]);
    assert_eq!(outcomes(&city, &withdraw).iter().map(said).collect::<Vec<_>>(), [
        (1, "delivered", None), (2, "quarantined", Some("unknown-statement")), (3, "duplicate", Some("delivered-before")), (4, "quarantined", Some("unreadable")),
    ]);
    let now = mails(&city, 1, "$Withdrawn");
    assert_eq!(now.iter().map(|(_, marked)| *marked).collect::<Vec<_>>(), [true, false]);
    assert_eq!(now[0].0, old[0].0);
    let text = decoded(&now[1].0);
    for word in ["撤回：", "Withdrawn:", "编号 w-1", "寄送错误", "Sent in error", "12329"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(!text.contains(PEOPLE[1].2) && !text.contains(PEOPLE[1].1));
    let gateway = city.gateway(Arc::clone(&city.store));
    assert_eq!(statement(&gateway, FUND, "w-1").unwrap().state, "withdrawn");
    assert_eq!(said(&outcomes(&city, &withdrawing(&city, "w3", &["w-1"]))[0]), (1, "duplicate", Some("withdrawn-before")));
    // Sent again as it was, it would stand as delivered though its reader was told otherwise.
    let again = order(&city, FUND, "housing-fund", "w7", &funds("", &[fund("w-1", PEOPLE[1], "163492.96")]), 1, [CLOSE, PAID], None);
    assert_eq!(said(&outcomes(&city, &again)[0]), (1, "quarantined", Some("withdrawn-before")));
    // A row of a withdrawal that was kept back is no statement that could be mended.
    let mend = mending(&city, "w8", "w2", "2", &[fund("w-9", PEOPLE[1], "163492.96")]);
    assert!(matches!(go(&city, &mend), Err(PushError::NotMendable { .. })));
    assert_eq!(said(&outcomes(&city, &superseding(&city, "w4", &[("w4-1", "w-1", 1)]))[0]), (1, "quarantined", Some("withdrawn-before")));
    assert_eq!(events(&*city.store).iter().filter(|event| matches!(event, Event::StatementWithdrawn(_))).count(), 1);
    // Another bureau withdraws nothing of this one's.
    let other = withdrawing(&city, "w5", &["w-2"]);
    let manifest = other.manifest.replace(FUND, INSURANCE);
    let other = Order { signature: city.sign(&manifest), manifest, ..other };
    assert_eq!(said(&outcomes(&city, &other)[0]), (1, "quarantined", Some("unknown-statement")));
    // The month it left behind is forgotten: nothing is compared with figures that do not hold.
    let data = city.gateway(Arc::clone(&city.store)).directory_key.clone();
    let compared = || all(&*city.store, "month before").iter().filter(|(place, _)| mailgw::record::continuity::find(&*city.store, place, &data).unwrap().is_some()).count();
    let month_before = compared();
    go(&city, &withdrawing(&city, "w6", &["w-2"])).unwrap();
    assert_eq!(compared(), month_before - 1);
}

#[test]
fn word_of_a_withdrawal_reaches_a_full_mailbox() {
    let city = City::found();
    let limits = city.path("policies/mailbox/limits.toml");
    let text = std::fs::read_to_string(&limits).unwrap();
    // Room for two statements, and for no third.
    std::fs::write(&limits, text.replace("1_073_741_824", "65_536").replace("26_214_400", "65_536")).unwrap();
    first(&city, "f", 9);
    let again = order(&city, FUND, "housing-fund", "f2", &funds("", &[fund("f2-0", PEOPLE[0], "163492.96")]), 1, [CLOSE, PAID], None);
    assert_eq!(said(&outcomes(&city, &again)[0]), (1, "undeliverable", Some("mailbox-full")));
    assert_eq!(said(&outcomes(&city, &withdrawing(&city, "fx", &["f-0"]))[0]), (1, "delivered", None));
}

#[test]
fn corrections_are_whole_after_a_fault_at_any_write() {
    let city = City::found();
    for (commit, fault) in (0..3).flat_map(|commit| FAULTS.map(|fault| (commit, fault))) {
        for withdraws in [false, true] {
            let at = format!("commit {commit}, {fault:?}, withdraws {withdraws}");
            let name = format!("c{commit}{}{withdraws}", fault == Fault::Lost);
            first(&city, &name, 3);
            let (old, new) = (format!("{name}-2"), format!("{name}-new"));
            let order = if withdraws { withdrawing(&city, &format!("{name}x"), &[&old]) } else { superseding(&city, &format!("{name}x"), &[(&new, &old, 2)]) };
            let keyword = if withdraws { "$Withdrawn" } else { "$Superseded" };
            let marked = |mails: &[(Vec<u8>, bool)]| mails.iter().filter(|(_, marked)| *marked).count();
            let before = mails(&city, 2, keyword);
            let store = faulty(&city.store, Some((commit + u64::from(commit > 0), fault)));
            let gateway = city.gateway(Arc::clone(&store) as Arc<dyn Store>);
            // Begun, a block of body ids, the rows, ended.
            assert!(push(&gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &city.lists, &order, &mut |_| true).is_err(), "{at}");
            let report = go(&city, &order).unwrap();
            assert_eq!(report.counts.delivered, 1, "{at}");
            let now = mails(&city, 2, keyword);
            assert_eq!((now.len(), marked(&now)), (before.len() + 1, marked(&before) + 1), "{at}");
        }
    }
}

/// The rows of a file stand in no order: none of them ends what another delivers, how far apart they may stand, and what was sent before
/// is told before anything else. A dry run tells the same of each row.
#[test]
fn what_a_file_says_of_its_own_statements_is_the_same_wherever_it_stands() {
    const ROWS: usize = 1_600;
    let city = City::found();
    first(&city, "o", ROWS as u64);
    let ids: Vec<(String, String)> = (0..ROWS).map(|row| (format!("n{row}"), format!("o-{row}"))).collect();
    let mut rows: Vec<(&str, &str, usize)> = ids.iter().enumerate().map(|(row, (new, old))| (new.as_str(), old.as_str(), row % PEOPLE.len())).collect();
    let strange = [
        // Of a statement of the same file: in its block, in the next, in one long after.
        (21, "n21", "n20", ("quarantined", "unknown-statement")),
        (510, "n510", "n490", ("quarantined", "unknown-statement")),
        (1_510, "n1510", "n10", ("quarantined", "unknown-statement")),
        // Superseded in a block before.
        (700, "n700", "o-13", ("quarantined", "superseded-before")),
        // The same for another person, whose it is not whether it holds or not.
        (703, "n703", "o-12", ("quarantined", "other-recipient")),
        // Under a key that is another row's, twice in one block, and again with nothing that would hold.
        (801, "n30", "o-800", ("quarantined", "other-content")),
        (802, "n30", "o-800", ("quarantined", "other-content")),
        (1_200, "n31", "nothing", ("quarantined", "other-content")),
        // The same row again.
        (991, "n40", "o-40", ("duplicate", "delivered-before")),
    ];
    for (row, new, old, _) in strange {
        rows[row] = (new, old, row % PEOPLE.len());
    }
    let agree = |order: &Order| {
        let gateway = city.gateway(Arc::clone(&city.store));
        let foretold = city.path("foretold.jsonl");
        let _ = std::fs::remove_file(&foretold);
        mailgw::flow::push::dry_run(&gateway, &city.lists, &Order { report: Some(foretold.clone()), ..order.clone() }, &mut |_| true).unwrap();
        let foretold: Vec<RowOutcome> = std::fs::read_to_string(&foretold).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = outcomes(&city, order);
        for (foretold, told) in foretold.iter().zip(&told) {
            assert_eq!(said(foretold), said(told), "{:?}", told.stmt_id);
        }
        assert_eq!(foretold.len(), told.len());
        told
    };
    let told = agree(&superseding(&city, "n", &rows));
    for (row, _, _, (state, reason)) in strange {
        assert_eq!(said(&told[row]), (row as u64 + 1, state, Some(reason)));
    }
    // A withdrawal that is said twice.
    let mut ended: Vec<&str> = (0..600).map(|row| ids[row].0.as_str()).filter(|id| !["n21", "n510"].contains(id)).collect();
    ended.push("n0");
    let told = agree(&withdrawing(&city, "w", &ended));
    assert_eq!(told.last().map(said), Some((ended.len() as u64, "duplicate", Some("withdrawn-before"))));
}
