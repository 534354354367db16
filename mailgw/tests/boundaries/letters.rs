//! Kinds of message that a file of the policies alone defines, consent, shares of a month, and persons named by tokens.

use mailgw::flow::consent;
use mailgw::flow::enrolment::{self, EnrolmentError, Word};
use mailgw::flow::push::Order;
use mailgw::record::push::RowOutcome;
use serde_json::json;

use super::month::{fund, funds, order};
use super::*;

/// A kind that no program knows: only this text does.
const PARKING: &str = r#"
kind = "parking-permit"
title_zh = "泊位许可通知"
title_en = "Parking permit"
senders = ["gz-housing-fund"]
addressee = "person"
consent = true
per_month = 2
evidence = "registered"
retention_days = 365
total = "fee"

template_zh = "您的泊位许可 {permit} 有效期至 {until}，费用 {fee}，状态{state}。"
template_en = "Your permit {permit} is valid until {until}; fee {fee}; it is {state}."

[[fields]]
name = "permit"
zh = "许可编号"
en = "Permit"
type = "text"
max_bytes = 24

[[fields]]
name = "until"
zh = "有效期至"
en = "Valid until"
type = "date"

[[fields]]
name = "fee"
zh = "费用"
en = "Fee"
type = "fen"
max = "500.00"

[[fields]]
name = "state"
zh = "状态"
en = "State"
type = "code"
codes = [{ code = "1", zh = "有效", en = "valid" }, { code = "2", zh = "过期", en = "expired" }]
"#;

const NEWS: &str = r#"
kind = "block-news"
title_zh = "街道要闻"
title_en = "Street news"
addressee = "institution"
consent = false
per_month = 31
evidence = "logged"
retention_days = 30
template_zh = "{headline}"
template_en = "News in Chinese."

[[fields]]
name = "headline"
zh = "标题"
en = "Headline"
type = "text"
"#;

/// A city whose policies define two kinds more, and bureaus that may send them.
fn city() -> City {
    let city = City::found();
    for (file, text) in [("parking.toml", PARKING), ("news.toml", NEWS)] {
        std::fs::write(city.path("policies/senders").join(file), text).unwrap();
    }
    let gateway = city.gateway(Arc::clone(&city.store));
    city.register_kinds(&gateway, FUND, &["housing-fund", "parking-permit", "block-news"]).unwrap();
    city.register_kinds(&gateway, INSURANCE, &["housing-fund", "parking-permit"]).unwrap();
    city
}

fn outcomes(city: &City, order: &Order) -> Vec<RowOutcome> {
    let path = city.path("outcomes.jsonl");
    let _ = std::fs::remove_file(&path);
    let gateway = city.gateway(Arc::clone(&city.store));
    let order = Order { report: Some(path.clone()), ..order.clone() };
    push(&gateway, &Watched::new(city, Arc::clone(&city.sealing), None), &city.lists, &order, &mut |_| true).unwrap();
    std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(outcome: &RowOutcome) -> (u64, &str, Option<&str>) {
    (outcome.row, outcome.state.word(), outcome.reason.as_deref())
}

/// Permits: their number, the person, the fee in fen and the state.
fn permits(city: &City, bureau: &str, batch: &str, rows: &[(&str, (&str, &str, &str), u64, &str)], purpose: Option<(&str, serde_json::Value)>) -> Order {
    let line = |(id, (id_type, id_no, name), fee, state): &(&str, (&str, &str, &str), u64, &str)| {
        format!("{id},202610,{id_type},{id_no},{name},P-{id},2027-03-31,{}.{:02},{state}\r\n", fee / 100, fee % 100)
    };
    let text = format!("stmt_id,period,id_type,id_no,name,permit,until,fee,state\r\n{}", rows.iter().map(line).collect::<String>());
    order(city, bureau, "parking-permit", batch, &text, rows.len() as u64, [rows.iter().map(|row| row.2).sum(), 0], purpose)
}

fn mailbox(gateway: &Gateway, person: usize) -> String {
    let document = Document::parse(PEOPLE[person].0, PEOPLE[person].1, today(NOW)).unwrap();
    gateway.directory.find_person(&document).unwrap().unwrap().mailbox()
}

fn mails(gateway: &Gateway, mailbox: &str) -> Vec<Vec<u8>> {
    let view = gateway.messages.view(mailbox, "INBOX").unwrap();
    view.messages.iter().map(|message| gateway.messages.load(&view.folder, message.uid).unwrap()).collect()
}

#[test]
fn a_kind_made_up_in_a_policy_directory_is_delivered_by_its_own_rules() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    // Nobody consented: nothing is sent, nobody is told that a mailbox has the person's consent.
    let first = permits(&city, FUND, "p1", &[("a", PEOPLE[0], 12_000, "1")], None);
    assert_eq!(said(&outcomes(&city, &first)[0]), (1, "undeliverable", Some("no-consent")));
    assert!(enrolment::say(&gateway, &one, FUND, Word::GiveConsent(None)).unwrap().consent);
    let length = city.store.stream_length(STREAM).unwrap();
    assert!(enrolment::say(&gateway, &one, FUND, Word::GiveConsent(None)).unwrap().consent);
    assert_eq!(city.store.stream_length(STREAM).unwrap(), length, "said twice, logged twice");
    let rows = [
        ("a", PEOPLE[0], 12_000, "1"), ("b", PEOPLE[0], 50_001, "1"), ("c", PEOPLE[0], 100, "3"), ("d", PEOPLE[1], 100, "1"), ("e", (PEOPLE[0].0, PEOPLE[0].1, "李志强"), 100, "1"),
        ("f", PEOPLE[0], 0, "2"), ("g", PEOPLE[0], 100, "1"), ("a", PEOPLE[0], 12_000, "1"),
    ];
    let told = outcomes(&city, &permits(&city, FUND, "p2", &rows, None));
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [
        (1, "delivered", None), (2, "quarantined", Some("unreadable")), (3, "quarantined", Some("unreadable")), (4, "undeliverable", Some("no-consent")),
        (5, "quarantined", Some("V10")), (6, "delivered", None), (7, "undeliverable", Some("quota-reached")), (8, "duplicate", Some("delivered-before")),
    ]);
    assert!(told.iter().all(|outcome| outcome.reason.as_deref().is_none_or(mailgw::erds::is_reason)));
    let mails = mails(&gateway, &one);
    let parsed = mail_parser::MessageParser::new().parse(&mails[0]).unwrap();
    let (text, html) = (parsed.body_text(0).unwrap(), parsed.body_html(0).unwrap());
    assert_eq!(parsed.subject().unwrap(), "泊位许可通知 2026年10月 / Parking permit 2026-10");
    assert!(text.contains("您的泊位许可 P-a 有效期至 2027年3月31日，费用 120.00 元，状态有效。"), "{text}");
    assert!(text.contains("Your permit P-a is valid until 2027-03-31; fee CNY 120.00; it is valid.") && html.contains("<td nowrap=\"1\"><bdi>120.00 元</bdi></td>"), "{text}{html}");
    let json: serde_json::Value = serde_json::from_slice(parsed.attachments().next().unwrap().contents()).unwrap();
    assert_eq!(json, json!({ "kind": "parking-permit", "stmt_id": "a", "period": "202610", "permit": "P-a", "until": "2027-03-31", "fee": "120.00", "state": "1" }));
    // The share is of the month, not of the batch; what is taken back holds from the next row on.
    assert_eq!(said(&outcomes(&city, &permits(&city, FUND, "p3", &[("h", PEOPLE[0], 1, "1")], None))[0]), (1, "undeliverable", Some("quota-reached")));
    city.clock.advance(time::Duration::hours(140));
    assert_eq!(gateway.letters.get("parking-permit").unwrap().retention_days(), 365);
    enrolment::say(&gateway, &one, FUND, Word::WithdrawConsent(None)).unwrap();
    assert_eq!(said(&outcomes(&city, &permits(&city, FUND, "p4", &[("i", PEOPLE[0], 1, "1")], None))[0]), (1, "undeliverable", Some("no-consent")));
    enrolment::say(&gateway, &one, FUND, Word::GiveConsent(None)).unwrap();
    assert_eq!(said(&outcomes(&city, &permits(&city, FUND, "p5", &[("j", PEOPLE[0], 1, "1")], None))[0]), (1, "delivered", None));
    let log: Vec<bool> = events(&*city.store).into_iter().filter_map(|event| if let Event::ConsentSet(said) = event { Some(said.holds) } else { None }).collect();
    assert_eq!(log, [true, false, true]);
}

#[test]
fn who_may_not_send_a_kind_or_sends_another_file_changes_nothing() {
    let city = city();
    let length = city.store.stream_length(STREAM).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let go = |order: &Order| push(&gateway, &sealer, &city.lists, order, &mut |_| true).unwrap_err();
    let row = [("a", PEOPLE[0], 100, "1")];
    // Registered for it, but the policy names another bureau.
    assert!(matches!(go(&permits(&city, INSURANCE, "x1", &row, None)), PushError::Kind { .. }));
    let unknown = order(&city, FUND, "no-such-kind", "x2", "stmt_id\r\n", 1, [0, 0], None);
    assert!(matches!(go(&unknown), PushError::Kind { .. }));
    let header = order(&city, FUND, "parking-permit", "x3", "stmt_id,period,id_type,id_no,name,permit,until,fee\r\n", 1, [0, 0], None);
    assert!(matches!(go(&header), PushError::LetterHeader(_)));
    let good = permits(&city, FUND, "x4", &row, None);
    let sums = Order { manifest: good.manifest.replace("1.00", "1.01"), ..good };
    assert!(matches!(go(&Order { signature: city.sign(&sums.manifest), ..sums }), PushError::Totals(_)));
    assert!(city.register_kinds(&gateway, FUND, &["no-such-kind"]).is_err());
    assert_eq!(city.store.stream_length(STREAM).unwrap(), length);
}

#[test]
fn institutions_get_what_is_theirs_and_evidence_is_kept_as_the_kind_asks() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let words = mailgw::directory::Words { code: Some("91440101MAT000018G".into()), name: Some("广州某某有限公司".into()), ..Default::default() };
    let applicant = mailgw::directory::Applicant::parse(&words, gateway.directory.policy(), today(NOW)).unwrap();
    let account = gateway.directory.open(applicant, mailgw::directory::NewPassword::Generated, NOW).unwrap().account;
    let before = city.store.counter(mailgw::record::evidence::BATCHES).unwrap();
    let text = format!(
        "headline,stmt_id,period,id_type,id_no,name\r\n\"<b>要闻</b>, =1+1\",n1,202610,uscc,91440101MAT000018G,广州某某有限公司\r\n要闻,n2,202610,{},{},{}\r\n要闻,n3,202610,uscc,91440101MAT000018G,别的公司\r\n",
        PEOPLE[0].0, PEOPLE[0].1, PEOPLE[0].2
    );
    let told = outcomes(&city, &order(&city, FUND, "block-news", "n", &text, 3, [0, 0], None));
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [(1, "delivered", None), (2, "undeliverable", Some("unknown-person")), (3, "quarantined", Some("V10"))]);
    let mails = mails(&gateway, &account.mailbox());
    let html = mail_parser::MessageParser::new().parse(&mails[0]).unwrap().body_html(0).unwrap().into_owned();
    assert!(html.contains("&lt;b&gt;要闻&lt;/b&gt;, =1+1") && !html.contains("<b>要闻"), "{html}");
    assert_eq!(city.store.counter(mailgw::record::evidence::BATCHES).unwrap(), before, "evidence that nobody asked for");
    assert!(events(&*city.store).iter().any(|event| matches!(event, Event::StatementDelivered(_))));
}

#[test]
fn a_person_is_named_by_a_token_that_is_each_senders_own() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    let token = |bureau: &str| enrolment::say(&gateway, &one, bureau, Word::Enrol).unwrap().token.unwrap();
    let (funds_own, insurance) = (token(FUND), token(INSURANCE));
    assert_ne!(funds_own, insurance);
    assert_eq!(token(FUND), funds_own, "the same for as long as it lasts");
    // Nothing at rest holds a token.
    let (from, to) = (Key::new("consent", &[]), Key::new("push", &[]));
    assert!(city.store.scan(&from, &to, usize::MAX).unwrap().iter().all(|(key, value)| !contains(key.as_bytes(), &funds_own) && !contains(value, &funds_own)));
    let rows = |batch: &str, token: &str| {
        let lines = [fund(&format!("{batch}-1"), ("token", token, PEOPLE[0].2), "163492.96"), fund(&format!("{batch}-2"), ("token", token, "李志强"), "163492.96")];
        order(&city, INSURANCE, "housing-fund", batch, &funds("", &lines), 2, [2 * 16_349_296, 2 * 380_270], None)
    };
    let told = outcomes(&city, &rows("t1", &insurance));
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [(1, "delivered", None), (2, "quarantined", Some("V10"))]);
    let text = String::from_utf8(mails(&gateway, &one).concat()).unwrap();
    assert!(!text.contains(&insurance) && text.contains(&format!("****{}", &insurance[22..])));
    // Another sender's token names nobody; one that was withdrawn neither, and it never comes back.
    assert_eq!(said(&outcomes(&city, &rows("t2", &funds_own))[0]), (1, "undeliverable", Some("unknown-person")));
    enrolment::say(&gateway, &one, INSURANCE, Word::WithdrawToken).unwrap();
    assert!(matches!(enrolment::say(&gateway, &one, INSURANCE, Word::WithdrawToken), Err(EnrolmentError::NotEnrolled { .. })));
    assert_eq!(said(&outcomes(&city, &rows("t3", &insurance))[0]), (1, "undeliverable", Some("unknown-person")));
    let again = token(INSURANCE);
    assert_ne!(again, insurance);
    assert_eq!(said(&outcomes(&city, &rows("t4", &again))[0]), (1, "delivered", None));
    assert_eq!(said(&outcomes(&city, &rows("t5", &insurance))[0]), (1, "undeliverable", Some("unknown-person")));
    let report = std::fs::read_to_string(city.path("outcomes.jsonl")).unwrap();
    assert!(!report.contains(&insurance) && !report.contains(&again));
    let log: Vec<(String, bool)> = events(&*city.store).into_iter().filter_map(|event| if let Event::EnrolmentSet(said) = event { Some((said.bureau, said.holds)) } else { None }).collect();
    assert_eq!(log, [(FUND, true), (INSURANCE, true), (INSURANCE, false), (INSURANCE, true)].map(|(bureau, holds)| (bureau.to_owned(), holds)));
    for (mailbox, bureau) in [("0000000000", FUND), (one.as_str(), "nobody"), (one.as_str(), "a b")] {
        assert!(enrolment::say(&gateway, mailbox, bureau, Word::Enrol).is_err());
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn letters_are_mended_superseded_and_withdrawn_like_statements() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    enrolment::say(&gateway, &one, FUND, Word::GiveConsent(None)).unwrap();
    outcomes(&city, &permits(&city, FUND, "q1", &[("a", PEOPLE[0], 100, "9"), ("b", PEOPLE[0], 100, "1")], None));
    // A row that cannot be read as a whole has its number all the same: nobody else's mends it.
    let other = permits(&city, FUND, "q0", &[("c", PEOPLE[1], 100, "1")], Some(("mends", json!({ "batch": "q1", "rows": "1" }))));
    assert_eq!(said(&outcomes(&city, &other)[0]), (1, "quarantined", Some("other-statement")));
    let mend = permits(&city, FUND, "q2", &[("a", PEOPLE[0], 100, "1")], Some(("mends", json!({ "batch": "q1", "rows": "1" }))));
    assert_eq!(said(&outcomes(&city, &mend)[0]), (1, "delivered", None));
    let withdraw = order(&city, FUND, "parking-permit", "q3", "stmt_id\r\na\r\n", 1, [0, 0], Some(("withdraws", json!({ "reason": "错发", "reason_en": "Sent in error" }))));
    assert_eq!(said(&outcomes(&city, &withdraw)[0]), (1, "delivered", None));
    let all = mails(&gateway, &one);
    assert!(mail_parser::MessageParser::new().parse(&all[2]).unwrap().subject().unwrap().starts_with("撤回：泊位许可通知"));
    // The month's share of two is used up; what corrects one of them is not a third, until it was corrected three times.
    let fix = |batch: &str, old: &str, new: &str| {
        let text = format!("supersedes,stmt_id,period,id_type,id_no,name,permit,until,fee,state\r\n{old},{new},202610,{},{},{},P-b,2027-03-31,2.00,1\r\n", PEOPLE[0].0, PEOPLE[0].1, PEOPLE[0].2);
        let order = order(&city, FUND, "parking-permit", batch, &text, 1, [200, 0], Some(("supersedes", json!({ "reason": "费用有误", "reason_en": "The fee was wrong" }))));
        outcomes(&city, &order)[0].reason.clone()
    };
    assert_eq!((fix("q4", "b", "b2"), fix("q5", "b2", "b3"), fix("q6", "b3", "b4")), (None, None, None));
    assert_eq!(fix("q7", "b4", "b5").as_deref(), Some("quota-reached"));
    let all = mails(&gateway, &one);
    assert!(mail_parser::MessageParser::new().parse(&all[3]).unwrap().body_text(0).unwrap().contains("取代编号 b 的对账单"));
    // From then on a correction is one of the share, which is another the next month.
    city.clock.advance(time::Duration::hours(5 * 24 + 9));
    assert_eq!((fix("q8", "b4", "b6"), fix("q9", "b6", "b7")), (None, None));
    assert_eq!(fix("q10", "b7", "b8").as_deref(), Some("quota-reached"));
}

/// What a letter came before that the share has no room for is not told of a delivery that never was.
#[test]
fn what_gave_way_to_a_letter_over_the_share_is_told_so() {
    let city = city();
    std::fs::write(city.path("policies/senders/parking.toml"), PARKING.replace("per_month = 2", "per_month = 4")).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    enrolment::say(&gateway, &one, FUND, Word::GiveConsent(None)).unwrap();
    let new = |batch: &str, ids: &[&str]| outcomes(&city, &permits(&city, FUND, batch, &ids.iter().map(|id| (*id, PEOPLE[0], 100, "1")).collect::<Vec<_>>(), None));
    let fix = |batch: &str, rows: &[(&str, &str)]| {
        let line = |(old, new): &(&str, &str)| format!("{old},{new},202610,{},{},{},P-b,2027-03-31,2.00,1\r\n", PEOPLE[0].0, PEOPLE[0].1, PEOPLE[0].2);
        let text = format!("supersedes,stmt_id,period,id_type,id_no,name,permit,until,fee,state\r\n{}", rows.iter().map(line).collect::<String>());
        let count = rows.len() as u64;
        outcomes(&city, &order(&city, FUND, "parking-permit", batch, &text, count, [200 * count, 0], Some(("supersedes", json!({ "reason": "费用有误", "reason_en": "The fee was wrong" })))))
    };
    let delivered = |told: &[RowOutcome]| told.iter().all(RowOutcome::is_delivered);
    assert!(delivered(&new("u1", &["a", "b", "c"])));
    // Three corrections of two letters take nothing; of the share one is left.
    for (batch, rows) in [("u2", [("a", "a2"), ("b", "b2")]), ("u3", [("a2", "a3"), ("b2", "b3")]), ("u4", [("a3", "a4"), ("b3", "b4")])] {
        assert!(delivered(&fix(batch, &rows)), "{batch}");
    }
    let told = fix("u5", &[("a4", "a5"), ("b4", "x"), ("b4", "y")]);
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [(1, "delivered", None), (2, "undeliverable", Some("quota-reached")), (3, "quarantined", Some("gave-way"))]);
    assert!(told[1].detail.as_deref().unwrap().contains("corrected 3 times"), "{told:?}");
    let told = fix("u6", &[("a5", "a6")]);
    assert!(said(&told[0]) == (1, "undeliverable", Some("quota-reached")) && told[0].detail.as_deref().unwrap().contains("corrected 4 times"), "{told:?}");
    // What they would have superseded holds still: it can be withdrawn.
    let withdraw = order(&city, FUND, "parking-permit", "u7", "stmt_id\r\nb4\r\n", 1, [0, 0], Some(("withdraws", json!({ "reason": "错发", "reason_en": "Sent in error" }))));
    assert!(delivered(&outcomes(&city, &withdraw)));
}

#[test]
fn a_row_that_repeats_one_over_the_share_is_over_it_as_well() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    enrolment::say(&gateway, &mailbox(&gateway, 0), FUND, Word::GiveConsent(None)).unwrap();
    let of = |batch: &str, ids: &[&str]| outcomes(&city, &permits(&city, FUND, batch, &ids.iter().map(|id| (*id, PEOPLE[0], 100, "1")).collect::<Vec<_>>(), None));
    assert_eq!(said(&of("v1", &["a"])[0]), (1, "delivered", None));
    let told = of("v2", &["c", "d", "d", "c"]);
    let over = Some("quota-reached");
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [(1, "delivered", None), (2, "undeliverable", over), (3, "undeliverable", over), (4, "duplicate", Some("delivered-before"))]);
}

/// A consent that is taken back between the decision and the commit is heeded; so is a share that another batch used.
#[test]
fn a_letter_is_judged_as_things_stand_at_its_commit() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    enrolment::say(&gateway, &one, FUND, Word::GiveConsent(None)).unwrap();
    // The commits of a push: its beginning, the ids of bodies, the block.
    let racing: Arc<dyn Store> = Arc::new(store::Between::before_commit(Arc::clone(&city.store), 2, {
        let store = Arc::clone(&city.store);
        let key = mailgw::record::enrolment::Consent::key(&one, FUND, "parking-permit");
        move || drop(store.commit(store::Batch::new().delete(key)).unwrap())
    }));
    let gateway = city.gateway(racing);
    let report = push(&gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &city.lists, &permits(&city, FUND, "r1", &[("a", PEOPLE[0], 100, "1")], None).clone(), &mut |_| true).unwrap();
    assert_eq!(report.counts, Counts { delivered: 0, duplicate: 0, quarantined: 0, undeliverable: 1 });
    assert_eq!(report.not_delivered[0].reason.as_deref(), Some("no-consent"));
    assert!(mails(&gateway, &one).is_empty());
}

/// So is a token: withdrawn and durable, it names nobody in a block that was decided before.
#[test]
fn a_token_names_its_mailbox_until_the_commit() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    let token = enrolment::say(&gateway, &one, INSURANCE, Word::Enrol).unwrap().token.unwrap();
    let lines = [fund("k-1", ("token", token.as_str(), PEOPLE[0].2), "163492.96")];
    let order = order(&city, INSURANCE, "housing-fund", "k", &funds("", &lines), 1, [16_349_296, 380_270], None);
    let racing: Arc<dyn Store> = Arc::new(store::Between::before_commit(Arc::clone(&city.store), 2, {
        let (withdrawing, one) = (city.gateway(Arc::clone(&city.store)), one.clone());
        move || drop(enrolment::say(&withdrawing, &one, INSURANCE, Word::WithdrawToken).unwrap())
    }));
    let gateway = city.gateway(racing);
    let report = push(&gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &city.lists, &order, &mut |_| true).unwrap();
    assert_eq!(report.counts, Counts { delivered: 0, duplicate: 0, quarantined: 0, undeliverable: 1 });
    assert_eq!(report.not_delivered[0].reason.as_deref(), Some("unknown-person"));
    assert!(mails(&gateway, &one).is_empty());
}

/// The owner says a kind, as in a mail to `consent@`; the clerk looks up nothing where one sender alone sends it.
#[test]
fn at_the_counter_a_kind_names_its_sender_where_there_is_one() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    for bureau in [FUND, INSURANCE] {
        city.register_kinds(&gateway, bureau, &["parking-permit", "utility-bill"]).unwrap();
    }
    let say = |kind: Option<&str>, give: Option<bool>| consent::say_of_all(&gateway, &one, kind, give);
    let holds = || -> Vec<(String, String)> {
        let kinds = say(None, None).unwrap().kinds;
        kinds.into_iter().filter(|offer| offer.holds).map(|offer| (offer.bureau, offer.kind)).collect()
    };
    assert_eq!(say(None, None).unwrap().kinds.len(), 3, "one sends permits, and both bills");
    let given = say(Some("parking-permit"), Some(true)).unwrap();
    assert!(given.kinds.len() == 1 && given.kinds[0].holds && holds() == [(FUND.to_owned(), "parking-permit".to_owned())]);
    assert_eq!(say(Some("parking-permit"), Some(true)).unwrap(), given, "said again it is the same");
    assert_eq!(outcomes(&city, &permits(&city, FUND, "n1", &[("a", PEOPLE[0], 100, "1")], None))[0].state, State::Delivered);
    // Nobody agrees to more than was said.
    assert!(matches!(say(Some("utility-bill"), Some(true)), Err(EnrolmentError::SeveralSenders { senders }) if senders == format!("{FUND}, {INSURANCE}")));
    assert!(matches!(say(None, Some(true)), Err(EnrolmentError::NoKindNamed)));
    assert!(matches!(say(Some("housing-fund"), Some(true)), Err(EnrolmentError::Unasked { .. })));
    for bureau in [FUND, INSURANCE] {
        enrolment::say(&gateway, &one, bureau, Word::GiveConsent(Some("utility-bill".to_owned()))).unwrap();
    }
    assert_eq!(holds().len(), 3);
    // Who sends it no more, and holds a consent still, is none of several that do.
    city.register_kinds(&gateway, INSURANCE, &["parking-permit"]).unwrap();
    let given = say(Some("utility-bill"), Some(true)).unwrap();
    assert!(given.kinds.len() == 1 && given.kinds[0].bureau == FUND && !given.taken_back, "{given:?}");
    assert_eq!(holds().len(), 3);
    // A mistyped kind takes nothing back, and says so.
    assert!(matches!(say(Some("utilty-bill"), Some(false)), Err(EnrolmentError::Unasked { kind }) if kind == "utilty-bill"));
    assert_eq!(holds().len(), 3);
    // Taken back of all who were let send it, then everything.
    assert!(say(Some("utility-bill"), Some(false)).unwrap().taken_back);
    assert_eq!(holds(), [(FUND.to_owned(), "parking-permit".to_owned())]);
    assert!(!say(Some("utility-bill"), Some(false)).unwrap().taken_back, "there was none any more");
    assert!(say(None, Some(false)).unwrap().taken_back);
    assert!(holds().is_empty() && !say(None, Some(false)).unwrap().taken_back);
    assert_eq!(said(&outcomes(&city, &permits(&city, FUND, "n2", &[("b", PEOPLE[0], 100, "1")], None))[0]), (1, "undeliverable", Some("no-consent")));
    let said_of: Vec<bool> = events(&*city.store).into_iter().filter_map(|event| if let Event::ConsentSet(said) = event { Some(said.holds) } else { None }).collect();
    assert_eq!(said_of, [true, true, true, false, false, false]);
    // What asks for no consent any more is taken back all the same, and after that there is none.
    say(Some("parking-permit"), Some(true)).unwrap();
    std::fs::write(city.path("policies/senders/parking.toml"), PARKING.replace("consent = true", "consent = false")).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    let back = || consent::say_of_all(&gateway, &one, Some("parking-permit"), Some(false));
    let done = back().unwrap();
    assert!(done.taken_back && done.kinds.is_empty() && matches!(back(), Err(EnrolmentError::Unasked { .. })), "{done:?}");
}

/// Neither reports nor evidence name a mailbox to a bureau that does not know its owner's name, or may not write to it.
#[test]
fn who_knows_no_name_or_has_no_consent_is_told_of_no_mailbox() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let wrong = (PEOPLE[0].0, PEOPLE[0].1, "李志强");
    let told = outcomes(&city, &permits(&city, FUND, "g1", &[("a", PEOPLE[0], 100, "1"), ("b", wrong, 100, "1")], None));
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [(1, "undeliverable", Some("no-consent")), (2, "quarantined", Some("V10"))]);
    gateway.directory.close(policies::mailbox::MailboxNumber::parse(&mailbox(&gateway, 0)).unwrap(), NOW).unwrap();
    // That it is closed is told to who knows whose it is.
    let lines = [fund("c", wrong, "163492.96"), fund("d", PEOPLE[0], "163492.96")];
    let told = outcomes(&city, &order(&city, INSURANCE, "housing-fund", "g2", &funds("", &lines), 2, [2 * 16_349_296, 2 * 380_270], None));
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), [(1, "quarantined", Some("V10")), (2, "undeliverable", Some("mailbox-closed"))]);
    let named = super::corrections::evidence_items(&city).into_iter().filter_map(|item| Some((item.submission.batch, item.submission.row, item.recipient_details?)));
    let named: Vec<_> = named.map(|(batch, row, _)| (batch, row)).collect();
    assert_eq!(named, [("g2".to_owned(), 2), ("g2".to_owned(), 2)]);
}

/// Where the sender is named, a mistyped kind takes nothing back either, and says so; what may be taken back may be so again.
#[test]
fn a_kind_that_is_none_is_not_taken_back() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    let say = |word| enrolment::say(&gateway, &one, FUND, word);
    let back = |kind: &str| say(Word::WithdrawConsent(Some(kind.to_owned())));
    assert!(say(Word::GiveConsent(Some("parking-permit".to_owned()))).unwrap().consent);
    let (length, held) = (city.store.stream_length(STREAM).unwrap(), all(&*city.store, "consent to kind"));
    for kind in ["parking-permitt", "Parking-Permit", "", "utility bill"] {
        assert!(matches!(back(kind), Err(EnrolmentError::NoKind { bureau }) if bureau == FUND), "{kind}");
    }
    assert!(city.store.stream_length(STREAM).unwrap() == length && all(&*city.store, "consent to kind") == held);
    // What the sender sends without consent, and what another may send with it, is a kind; there is nothing to take back.
    for kind in ["housing-fund", "block-news", "utility-bill"] {
        assert!(back(kind).unwrap().consent, "{kind}");
    }
    assert!(!back("parking-permit").unwrap().consent && !back("parking-permit").unwrap().consent);
    // What no policy knows any more was consented to all the same.
    say(Word::GiveConsent(Some("parking-permit".to_owned()))).unwrap();
    for bureau in [FUND, INSURANCE] {
        city.register_kinds(&gateway, bureau, &["housing-fund"]).unwrap();
    }
    std::fs::remove_file(city.path("policies/senders/parking.toml")).unwrap();
    let later = city.gateway(Arc::clone(&city.store));
    let back = || enrolment::say(&later, &one, FUND, Word::WithdrawConsent(Some("parking-permit".to_owned())));
    back().unwrap();
    assert!(all(&*city.store, "consent to kind").is_empty() && matches!(back(), Err(EnrolmentError::NoKind { .. })));
}

/// What blocks before would take of a share counts in a dry run, and what they would not take does not.
#[test]
fn a_dry_run_over_several_blocks_tells_what_the_push_will_do() {
    const ROWS: usize = 1_600;
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    for person in [0, 2] {
        enrolment::say(&gateway, &mailbox(&gateway, person), FUND, Word::GiveConsent(None)).unwrap();
    }
    assert!(outcomes(&city, &permits(&city, FUND, "b0", &[("z", PEOPLE[2], 100, "1")], None))[0].is_delivered());
    // Blocks are of 500 rows; most are of somebody who did not consent.
    let ids: Vec<String> = (0..ROWS).map(|row| format!("f{row}")).collect();
    let mut rows: Vec<_> = ids.iter().map(|id| (id.as_str(), PEOPLE[1], 100, "1")).collect();
    for (row, id, person, fee) in [
        // One in the first block; its repetition takes nothing, so one goes out in the second and no other.
        (10, "a", 0, 100), (600, "a", 0, 100), (610, "b", 0, 100), (620, "c", 0, 100), (621, "c", 0, 100), (630, "a", 0, 101),
        // Used up: neither of two under one key came before the other.
        (1_100, "d", 0, 100), (1_101, "d", 0, 101), (1_110, "b", 0, 100), (1_599, "e", 0, 100),
        // One was used before; one is over in each of three blocks.
        (20, "p", 2, 100), (520, "q", 2, 100), (1_020, "r", 2, 100), (1_030, "z", 2, 100), (1_520, "s", 2, 100),
    ] {
        rows[row] = (id, PEOPLE[person], fee, "1");
    }
    let order = permits(&city, FUND, "b1", &rows, None);
    let foretold = city.path("foretold.jsonl");
    let trial = mailgw::flow::push::dry_run(&gateway, &city.lists, &Order { report: Some(foretold.clone()), ..order.clone() }, &mut |_| true).unwrap();
    let foretold: Vec<RowOutcome> = std::fs::read_to_string(&foretold).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<RowOutcome> = outcomes(&city, &order).into_iter().map(|outcome| RowOutcome { message: None, ..outcome }).collect();
    for (foretold, told) in foretold.iter().zip(&told) {
        assert_eq!(foretold, told);
    }
    assert_eq!((foretold.len(), trial.counts.delivered), (ROWS, 3));
    let delivered: Vec<&str> = told.iter().filter(|outcome| outcome.is_delivered()).filter_map(|outcome| outcome.stmt_id.as_deref()).collect();
    assert_eq!(delivered, ["a", "p", "b"]);
}

/// Who agreed to one kind has not agreed to what the sender is let send later; a consent of before kinds were told apart is to those
/// of then.
#[test]
fn consent_is_to_a_kind_and_one_of_before_to_the_kinds_of_then() {
    let city = city();
    std::fs::write(city.path("policies/senders/garage.toml"), PARKING.replace("parking-permit", "garage-bill")).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    // As a program left it that knew of no kinds.
    let old = mailgw::record::bureau::Bureau { consents_of_before: None, ..mailgw::bureau::find(&*city.store, FUND).unwrap() };
    let before = mailgw::record::enrolment::Consent::before_kinds(FUND, &one);
    let consent = mailgw::record::enrolment::Consent { since_unix_millis: 1 }.encode().unwrap();
    city.store.commit(store::Batch::new().put(mailgw::record::bureau::Bureau::key(FUND), old.encode().unwrap()).put(before.clone(), consent)).unwrap();
    city.register_kinds(&gateway, FUND, &["parking-permit", "garage-bill", "block-news"]).unwrap();
    let sent = |kind: &str, id: &str| {
        let order = permits(&city, FUND, id, &[(id, PEOPLE[0], 100, "1")], None);
        let manifest = order.manifest.replace("parking-permit", kind);
        outcomes(&city, &Order { signature: city.sign(&manifest), manifest, ..order })[0].reason.clone()
    };
    assert_eq!((sent("parking-permit", "k1"), sent("garage-bill", "k2").as_deref()), (None, Some("no-consent")));
    let say = |word| enrolment::say(&gateway, &one, FUND, word);
    assert!(matches!(say(Word::GiveConsent(Some("block-news".into()))), Err(EnrolmentError::NoKind { .. })), "it asks for none");
    assert_eq!(say(Word::GiveConsent(Some("garage-bill".into()))).unwrap().kinds, ["garage-bill", "parking-permit"]);
    assert!(city.store.get(&before).unwrap().is_none(), "taken apart");
    assert_eq!(sent("garage-bill", "k3"), None);
    assert_eq!(say(Word::WithdrawConsent(Some("parking-permit".into()))).unwrap().kinds, ["garage-bill"]);
    assert_eq!((sent("parking-permit", "k4").as_deref(), sent("garage-bill", "k5")), (Some("no-consent"), None));
    assert!(!say(Word::WithdrawConsent(None)).unwrap().consent);
    let log: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::ConsentSet(said) = event { Some((said.kind.unwrap(), said.holds)) } else { None }).collect();
    // Those that ask for none now go with the others: they may ask again.
    assert_eq!(log, [("garage-bill", true), ("parking-permit", false), ("block-news", false), ("garage-bill", false), ("housing-fund", false)].map(|(kind, holds)| (kind.to_owned(), holds)));
}

/// What was taken back is not given again by a policy that asks for consent later.
#[test]
fn a_consent_of_before_kinds_that_is_taken_back_leaves_nothing() {
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    let old = mailgw::record::bureau::Bureau { consents_of_before: None, kinds: vec!["block-news".into()], ..mailgw::bureau::find(&*city.store, FUND).unwrap() };
    let before = mailgw::record::enrolment::Consent::before_kinds(FUND, &one);
    let consent = mailgw::record::enrolment::Consent { since_unix_millis: 1 }.encode().unwrap();
    city.store.commit(store::Batch::new().put(mailgw::record::bureau::Bureau::key(FUND), old.encode().unwrap()).put(before.clone(), consent)).unwrap();
    // Nothing that it is to asks for consent now.
    assert!(!enrolment::show(&gateway, &one, FUND).unwrap().consent);
    assert!(!enrolment::say(&gateway, &one, FUND, Word::WithdrawConsent(None)).unwrap().consent);
    assert!(city.store.get(&before).unwrap().is_none() && all(&*city.store, "consent to kind").is_empty());
    std::fs::write(city.path("policies/senders/news.toml"), NEWS.replace("consent = false", "consent = true")).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    assert!(!enrolment::show(&gateway, &one, FUND).unwrap().consent);
    let log: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::ConsentSet(said) = event { Some((said.kind.unwrap(), said.holds)) } else { None }).collect();
    assert_eq!(log, [("block-news".to_owned(), false)]);
}

/// By mail under the own login, of one sender's one kind, and back again as the letter itself says.
#[test]
fn an_owner_gives_and_takes_back_consent_by_mail() {
    use mailgw::directory::Credential;
    use mailgw::flow::consent;
    use mailgw::wire::accounts::Login;
    let city = city();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    let mut token = 0;
    let number = policies::mailbox::MailboxNumber::parse(&one).unwrap();
    let mut write_as = |subject: &str, credential: Credential, operator: Option<u32>| {
        token += 1;
        let by_owner = Login { number, credential, operator }.is_owner();
        let request = consent::Request::read(format!("Message-ID: <{token}@x>\r\nSubject: {subject}\r\n\r\n").as_bytes(), by_owner).unwrap();
        city.store.commit(request.put(store::Batch::new(), &gateway, &one, &token.to_string(), NOW).unwrap()).unwrap();
        assert_eq!((consent::answer_all(&gateway).unwrap(), consent::answer_all(&gateway).unwrap()), (1, 0));
        mail_parser::MessageParser::new().parse(mails(&gateway, &one).last().unwrap()).unwrap().body_text(0).unwrap().into_owned()
    };
    let sent = |id: &str| outcomes(&city, &permits(&city, FUND, id, &[(id, PEOPLE[0], 100, "1")], None))[0].reason.clone();
    // An operator by the own certificate does not consent for the institution.
    assert!(write_as(&format!("give {FUND} parking-permit"), Credential::Certificate([7; 32]), Some(1)).contains("as an operator"));
    let mut write = |subject: &str, credential: Credential| write_as(subject, credential, None);
    let text = write("what holds", Credential::Password);
    assert!(text.contains("泊位许可通知") && text.contains(&format!("{FUND} parking-permit")) && !text.contains("block-news"), "{text}");
    assert!(write(&format!("give {FUND}"), Credential::Password).contains("It is not clear"));
    assert!(write(&format!("give {FUND} parking-permit"), Credential::App(1)).contains("a program holds"));
    assert_eq!(sent("o1").as_deref(), Some("no-consent"));
    assert!(write(&format!("give {FUND} parking-permit"), Credential::Password).contains("Your consent is recorded"));
    assert_eq!(sent("o2"), None);
    let letter = mail_parser::MessageParser::new().parse(mails(&gateway, &one).last().unwrap()).unwrap().body_text(0).unwrap().into_owned();
    let (_, back) = letter.split_once("with the subject: ").unwrap();
    assert!(letter.contains(&format!("consent@{}", city::DOMAIN)) && letter.contains("主题写：撤回"), "{letter}");
    assert!(write(back.lines().next().unwrap(), Credential::Certificate([7; 32])).contains("taken back"));
    assert_eq!(sent("o3").as_deref(), Some("no-consent"));
    let log: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::ConsentSet(said) = event { Some((said.kind.unwrap(), said.holds)) } else { None }).collect();
    assert_eq!(log, [("parking-permit".to_owned(), true), ("parking-permit".to_owned(), false)]);
    // A fault at the commit that answers: said and answered once, whatever was heard of it.
    for (number, fault) in FAULTS.into_iter().enumerate() {
        let request = consent::Request::read(format!("Subject: give {FUND} parking-permit\r\n\r\n").as_bytes(), true).unwrap();
        city.store.commit(request.put(store::Batch::new(), &gateway, &one, &format!("f{number}"), NOW).unwrap()).unwrap();
        let before = mails(&gateway, &one).len();
        let struck = city.gateway(faulty(&city.store, Some((1, fault))));
        assert!(consent::answer_all(&struck).is_err(), "{fault:?}");
        consent::answer_all(&gateway).unwrap();
        assert_eq!((mails(&gateway, &one).len(), all(&*city.store, "consent to kind").len()), (before + 1, 1), "{fault:?}");
        enrolment::say(&gateway, &one, FUND, Word::WithdrawConsent(None)).unwrap();
    }
}
