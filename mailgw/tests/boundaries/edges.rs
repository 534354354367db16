//! What a push does at its edges: mailboxes without room, a sealer that asks again, files written another way.

use std::net::TcpListener;

use mailgw::bureau::trust::TrustError;
use mailgw::bureau::{self, BureauError, Registration};
use mailgw::record::push::RowOutcome;
use runtime::exit::Problem;
use time::Duration;

use super::*;

fn reasons(rows: &[RowOutcome], state: &State, reason: &str) -> Vec<u64> {
    rows.iter().filter(|row| row.state == *state && row.reason.as_deref() == Some(reason)).map(|row| row.row).collect()
}

#[test]
fn a_mailbox_without_room_holds_up_nobody_and_nothing_is_told_delivered() {
    let city = City::found();
    let limits = city.path("policies/mailbox/limits.toml");
    let text = std::fs::read_to_string(&limits).unwrap();
    // Room for two statements, not for three.
    std::fs::write(&limits, text.replace("1_073_741_824", "65_536").replace("26_214_400", "65_536")).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let first = pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "first", 9)).unwrap();
    assert_eq!(first.counts, Counts { delivered: 6, duplicate: 1, quarantined: 2, undeliverable: 4 });
    assert_eq!(reasons(&first.not_delivered, &State::Undeliverable, "mailbox-full"), [7, 8, 9]);
    // The seventh row is the first once more: where the first did not arrive, it did not arrive before either.
    let second = pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "second", 6)).unwrap();
    assert_eq!(second.counts, Counts { delivered: 0, duplicate: 0, quarantined: 2, undeliverable: 8 });
    assert_eq!(reasons(&second.not_delivered, &State::Undeliverable, "mailbox-full"), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(delivered(&city, &gateway).values().map(Vec::len).sum::<usize>(), 6);
}

/// Blocks are put together before those ahead of them are in the mailbox: the room is found all the same, and each row is told what became
/// of it.
#[test]
fn across_blocks_as_many_are_delivered_as_fit_and_the_rest_is_told_that_the_mailbox_is_full() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let of = |batch: &str, people: &[usize]| {
        let lines: Vec<String> = people.iter().enumerate().map(|(row, person)| super::month::fund(&format!("{batch}-{row}"), PEOPLE[*person], "163492.96")).collect();
        let rows = people.len() as u64;
        super::month::order(&city, FUND, "housing-fund", batch, &super::month::funds("", &lines), rows, [16_349_296 * rows, 380_270 * rows], None)
    };
    let used = |gateway: &Gateway, person: usize| {
        let document = Document::parse(PEOPLE[person].0, PEOPLE[person].1, today(NOW)).unwrap();
        let mailbox = gateway.directory.find_person(&document).unwrap().unwrap().mailbox();
        gateway.messages.used(&mailbox).unwrap()
    };
    push(&gateway, &sealer, &city.lists, &of("one", &[0, 1]), &mut |_| true).unwrap();
    // Room for 699 more and a half of the first's, in a file of 1,230 rows that are another's now and then: the second of three blocks fills it.
    let before = used(&gateway, 0);
    assert_eq!(before.messages, 1);
    let limits = city.path("policies/mailbox/limits.toml");
    let text = std::fs::read_to_string(&limits).unwrap();
    let room = before.bytes * 700 + before.bytes / 2;
    std::fs::write(&limits, text.replace("1_073_741_824", &room.to_string()).replace("26_214_400", "65_536")).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    let people: Vec<usize> = (0..1_230).map(|row| usize::from(row % 41 == 40)).collect();
    let path = city.path("full.jsonl");
    let order = mailgw::flow::push::Order { report: Some(path.clone()), ..of("full", &people) };
    let report = push(&gateway, &sealer, &city.lists, &order, &mut |_| true).unwrap();
    let outcomes: Vec<RowOutcome> = std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let Counts { delivered, duplicate, quarantined, undeliverable } = report.counts;
    assert_eq!((outcomes.len(), delivered + undeliverable, duplicate + quarantined), (1_230, 1_230, 0));
    let came = |person: usize| outcomes.iter().zip(&people).filter(|(_, of)| **of == person).map(|(outcome, _)| outcome.state == State::Delivered).collect::<Vec<_>>();
    let (one, other) = (came(0), came(1));
    assert!(other.iter().all(|came| *came), "a full mailbox holds up nobody else");
    let fitted = one.iter().take_while(|came| **came).count();
    assert_eq!(one.iter().filter(|came| **came).count(), fitted, "the first of them, and none after one that was too much");
    assert_eq!(reasons(&outcomes, &State::Undeliverable, "mailbox-full").len(), one.len() - fitted);
    let after = used(&gateway, 0);
    assert_eq!(after.messages, before.messages + fitted as u64);
    assert!(after.bytes <= room && after.bytes + before.bytes * 11 / 10 > room, "{after:?} of {room}");
    assert!((650..=700).contains(&fitted), "{fitted}");
    // The same again is answered as it was.
    let again = mailgw::flow::push::Order { report: None, ..order };
    assert_eq!(push(&gateway, &sealer, &city.lists, &again, &mut |_| true).unwrap().counts, report.counts);
}

#[test]
fn the_sealer_asks_for_the_manifest_again_after_a_while() {
    let city = City::found();
    let month = month(&city, "housing-fund", "long", 501);
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    // Between the blocks an hour passes; the lists are fetched once more, and the push goes on.
    let mut hour = Duration::hours(1);
    let report = push(&gateway, &sealer, &city.lists, &month.order, &mut |progress| {
        if progress.done > 0 {
            city.clock.advance(std::mem::take(&mut hour));
        }
        true
    });
    whole(&city, &gateway, &month, &report.unwrap(), "an hour later");
    let job = {
        let crls = city.lists.fetch(&bureau_lists(&city), NOW).unwrap();
        sealer.open(month.order.manifest.as_bytes(), month.order.signature.as_bytes(), &crls).unwrap()
    };
    city.clock.advance(Duration::minutes(10));
    assert_eq!(sealer.seal(&job, &[(1, [7; 32])]).unwrap_err().code, "unknown-job");
}

/// The addresses of the lists that cover the registered certificates.
fn bureau_lists(city: &City) -> Vec<String> {
    let record = bureau::find(&*city.store, FUND).unwrap();
    let mut urls = mailgw::bureau::trust::crl_urls(record.seal.as_ref().unwrap()).unwrap();
    urls.dedup();
    urls
}

/// Signs with the bureau's own key where its sealing key was asked for.
struct OtherSeal<'a>(Watched<'a>);

impl Seal for OtherSeal<'_> {
    fn open(&self, manifest: &[u8], signature: &[u8], crls: &[Vec<u8>]) -> Result<String, Problem> {
        self.0.open(manifest, signature, crls)
    }

    fn page(&self, page: &mailgw::sealer::Page<'_>, crls: &[Vec<u8>]) -> Result<mailgw::sealer::PaperSeals, Problem> {
        self.0.page(page, crls)
    }

    fn seal(&self, _: &str, rows: &[(u64, [u8; 32])]) -> Result<Vec<Vec<u8>>, Problem> {
        let plan = pki::cms::SignerPlan::new(&self.0.city.client_der, &[]).unwrap();
        Ok(rows.iter().map(|(_, digest)| plan.seal(*digest, NOW, &self.0.city.client).unwrap()).collect())
    }
}

#[test]
fn a_seal_that_is_not_the_registered_one_is_delivered_to_nobody() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = OtherSeal(Watched::new(&city, Arc::clone(&city.sealing), None));
    let refused = pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "other", 3));
    assert!(matches!(refused, Err(PushError::OtherSeal { .. })), "{refused:?}");
    assert!(delivered(&city, &gateway).is_empty());
}

#[test]
fn a_statement_is_the_same_in_whatever_order_its_columns_stand() {
    let city = City::found();
    let first = month(&city, "housing-fund", "first", 3);
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    pushed(&city, &gateway, &sealer, &first).unwrap();
    let text = std::fs::read_to_string(&first.order.rows).unwrap();
    let turned = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(",") + "\r\n";
    let turned: String = text.lines().map(turned).collect();
    let before = hex(&digest(text.as_bytes()));
    let manifest = first.order.manifest.replace("\"first\"", "\"turned\"").replace(&before, &hex(&digest(turned.as_bytes())));
    let rows = city.path("turned.csv");
    std::fs::write(&rows, turned).unwrap();
    let order = mailgw::flow::push::Order { signature: city.sign(&manifest), manifest, rows, report: None };
    let report = push(&gateway, &sealer, &city.lists, &order, &mut |_| true).unwrap();
    assert_eq!(report.counts, Counts { delivered: 0, duplicate: 4, quarantined: 2, undeliverable: 1 });
}

/// Whoever reads the log and the statement knows all of a row but the number that is masked: they must not be able to try
/// out which number it is.
#[test]
fn no_digest_in_the_log_can_be_made_from_a_row() {
    let city = City::found();
    let month = month(&city, "housing-fund", "row", 1);
    let gateway = city.gateway(Arc::clone(&city.store));
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    let text = std::fs::read_to_string(&month.order.rows).unwrap();
    let line = text.lines().nth(1).unwrap();
    let parts: Vec<u8> = line.split(',').flat_map(|field| [&(field.len() as u64).to_be_bytes(), field.as_bytes()].concat()).collect();
    let guesses = [digest(line.as_bytes()), digest(&parts)].map(|digest| hex(&digest));
    let told = events(&*city.store).into_iter().find_map(|event| if let Event::StatementDelivered(told) = event { Some(told) } else { None });
    assert!(!guesses.contains(&told.unwrap().row));
}

/// Nothing is fetched from where a stranger's certificate says.
#[test]
fn a_strangers_certificate_sends_the_gateway_nowhere() {
    let city = City::found();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.not_before = NOW - Duration::days(1);
    parameters.not_after = NOW + Duration::days(1);
    parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "陌生人");
    parameters.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 97]), "NTRCN-91440101MAT9900154");
    parameters.subject_alt_names = vec![rcgen::SanType::Rfc822Name("a@b.cn".try_into().unwrap())];
    let uris = vec![format!("http://{}/secret", listener.local_addr().unwrap())];
    parameters.crl_distribution_points = vec![rcgen::CrlDistributionPoint { uris }];
    let seal = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    let gateway = city.gateway(Arc::clone(&city.store));
    let registration = Registration {
        code: "stranger".into(),
        name: None,
        name_en: "Stranger".into(),
        kinds: vec!["pension".into()],
        hotline: "12333".into(),
        clients: vec![seal.clone()],
        seal,
    };
    let register = |registration: &Registration| bureau::register(&*gateway.store, &gateway.directory, &gateway.anchors, &city.lists, &gateway.letters, registration, NOW);
    assert!(matches!(register(&registration), Err(BureauError::Trust(TrustError::Path { .. }))));
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert!(matches!(register(&Registration { clients: Vec::new(), ..registration }), Err(BureauError::NoClient)));
}

/// The month before is what this gateway delivered, of the same sender and account: nobody sends it along.
#[test]
fn a_month_follows_from_the_one_that_was_delivered() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let first = pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "october", 3)).unwrap();
    assert_eq!(first.counts.delivered, 3);
    let (key, data) = (Key::range("month before", &[]), &gateway.directory_key);
    let kept = city.store.scan(&key.0, &key.1, 100).unwrap();
    assert_eq!(kept.len(), 3);
    // What is kept shows no figure and no account.
    for (place, bytes) in &kept {
        let text = format!("{}{}", String::from_utf8_lossy(place.as_bytes()), String::from_utf8_lossy(bytes));
        assert!(!text.contains("16349296") && !text.contains("163492.96") && !text.contains("GJJ"), "{text}");
        assert!(mailgw::record::continuity::find(&*city.store, place, data).unwrap().is_some());
    }
    // November begins where October ended for the first two; the third begins elsewhere, and adds up by itself.
    let next = |gateway: &Gateway, batch: &str, opens: [i64; 3]| {
        let text = std::fs::read_to_string(city.path("october.csv")).unwrap();
        let mut lines = text.lines();
        let header = lines.next().unwrap().to_owned();
        let yuan = |fen: i64| format!("{}.{:02}", fen / 100, fen % 100);
        let (mut out, mut close) = (header, 0);
        for (line, open) in lines.take(3).zip(opens) {
            let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
            fields[0] = fields[0].replace("october", batch);
            fields[1] = "202611".into();
            (fields[15], fields[23], fields[25]) = (yuan(open), yuan(open + 380_270), yuan(open + 380_270 - 7_984_513));
            fields[26] = "202611".into();
            out = format!("{out}\r\n{}", fields.join(","));
            close += open + 380_270;
        }
        let manifest = serde_json::json!({
            "batch_id": batch, "created_at": city::written(NOW), "kind": "housing-fund", "period": "202611", "rows": 3, "schema_version": 1,
            "sender_code": FUND, "sha256": hex(&digest(out.as_bytes())), "sum_close": yuan(close), "sum_paid_in": yuan(3 * 380_270),
        });
        let (manifest, rows) = (manifest.to_string(), city.path(&format!("{batch}.csv")));
        std::fs::write(&rows, out).unwrap();
        let order = mailgw::flow::push::Order { signature: city.sign(&manifest), manifest, rows, report: None };
        push(gateway, &sealer, &city.lists, &order, &mut |_| true).unwrap()
    };
    let report = next(&gateway, "november", [16_349_296, 16_349_296, 16_349_297]);
    assert_eq!(report.counts, Counts { delivered: 2, duplicate: 0, quarantined: 1, undeliverable: 0 }, "{report:#?}");
    assert_eq!(reasons(&report.not_delivered, &State::Quarantined, "V7"), [3]);
    // Mended, the third arrives; of the first two a statement of the month stands already, under another number.
    let mended = next(&gateway, "mended", [16_349_296, 16_349_296, 16_349_296]);
    assert_eq!(mended.counts.delivered, 1, "{mended:#?}");
    assert_eq!(reasons(&mended.not_delivered, &State::Quarantined, "month-delivered"), [1, 2]);
    // Judged by a month that another push replaces before the block is committed, it is judged again; the block is the third commit.
    let november = city.store.scan(&key.0, &key.1, 100).unwrap();
    let put = |months: &[(Key, Vec<u8>)]| months.iter().fold(store::Batch::new(), |batch, (place, month)| batch.put(place.clone(), month.clone()));
    for (commit, delivered) in [(1, 0), (2, 0), (3, 2)] {
        city.store.commit(put(&kept)).unwrap();
        let (theirs, november) = (Arc::clone(&city.store), put(&november));
        let between = store::Between::before_commit(Arc::clone(&city.store), commit, move || theirs.commit(november).map(|_| ()).unwrap());
        let raced = next(&city.gateway(Arc::new(between)), &format!("raced{commit}"), [16_349_296, 16_349_296, 16_349_297]);
        assert_eq!(raced.counts.delivered, delivered, "{commit} {raced:#?}");
    }
}
