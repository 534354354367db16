//! Deltas: a whole list of any age and the delta together say what the register says, and the service makes them in time.

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Suspend(usize),
    Resume(usize, bool),
    Freeze(usize, i64),
    Revoke(usize, bool),
    Issue,
    Pass(i64),
    Publish(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..6_usize).prop_map(Act::Suspend),
        4 => (0..6_usize, any::<bool>()).prop_map(|(which, freeze)| Act::Resume(which, freeze)),
        2 => (0..6_usize, 1..400_000_i64).prop_map(|(which, until)| Act::Freeze(which, until)),
        2 => (0..6_usize, any::<bool>()).prop_map(|(which, since)| Act::Revoke(which, since)),
        1 => Just(Act::Issue),
        3 => prop_oneof![Just(0), 1..100_i64, 1..200_000_i64, Just(40_000_000)].prop_map(Act::Pass),
        8 => (0..3_u8).prop_map(Act::Publish),
    ]
}

/// Every whole list that a relying party may hold, brought up to date by the delta, says what the register says.
/// spec: rfc5280#5.2.4 (a whole list from the base on and before the delta)
fn keeps_up(authority: &Authority, wholes: &BTreeMap<u64, Said>) {
    let (number, base, delta) = read(&published(authority, Scope::Delta).der);
    let base = base.unwrap();
    assert!(wholes.contains_key(&base), "the base {base} was never published");
    let now = register(authority, CertificateRecord::all_revoked(ISSUER));
    for (whole, said) in wholes.range(base..=number) {
        let mut said = said.clone();
        for (serial, entry) in &delta {
            if entry.1 == pki::crl::Reason::RemoveFromCrl as u8 { said.remove(serial) } else { said.insert(serial.clone(), *entry) };
        }
        assert_eq!(said.keys().cloned().collect::<BTreeSet<_>>(), now, "whole {whole} with delta {number} to {base}");
        for (serial, entry) in &said {
            // A certificate that ended keeps the word of its last list; every other is told as it stands.
            let status = ca::register::get(&*authority.store, serial).unwrap().status;
            let told = match status {
                Status::Revoked(revocation) => (revocation.at, revocation.reason.crl() as u8, revocation.invalid_since),
                Status::Held(hold) => (hold.at, 6, None),
                Status::Good => panic!("a good certificate is listed"),
            };
            assert_eq!(*entry, told);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_whole_list_with_its_delta_is_the_register(acts in prop::collection::vec(act(), 1..60)) {
        // One hierarchy for all cases; each has a register of its own.
        static OFFICE: std::sync::OnceLock<Office> = std::sync::OnceLock::new();
        let office = OFFICE.get_or_init(Office::found);
        let authority = &office.afresh(|store| store);
        let mut serials: Vec<Vec<u8>> = (0..6).map(|_| issued(authority, &rcgen::KeyPair::generate().unwrap())).collect();
        let mut wholes = BTreeMap::new();
        let note = |wholes: &mut BTreeMap<u64, Said>| {
            let (number, base, said) = read(&published(authority, Scope::Whole).der);
            assert!(base.is_none() && wholes.insert(number, said).is_none(), "{number} twice");
        };
        note(&mut wholes);
        let mut last = 0;
        for act in acts {
            let text = |which: usize| serial_text(&serials[which % serials.len()]);
            // What the state does not allow is refused, and changes nothing.
            match act {
                Act::Suspend(which) => drop(suspend(authority, &admin(), &text(which))),
                Act::Resume(which, freeze) => drop(resume(authority, &admin(), &Resume { serial: text(which), freeze: freeze.then(lifting) })),
                Act::Freeze(which, until) => {
                    let until = office.now() + until;
                    drop(freeze(authority, &admin(), FreezeOrder { serial: text(which), authority: "穗城区人民法院".into(), reason: "(2026)穗执1号".into(), until }));
                }
                Act::Revoke(which, since) => {
                    let at = ca::register::get(&*authority.store, &serials[which % serials.len()]).unwrap().not_before;
                    drop(revoke(authority, &admin(), &Revoke { serial: text(which), reason: Reason::AffiliationChanged, at: None, invalid_since: since.then_some(at) }));
                }
                Act::Issue => serials.push(issued(authority, &rcgen::KeyPair::generate().unwrap())),
                Act::Pass(seconds) => {
                    office.clock.set(OffsetDateTime::from_unix_timestamp(office.now() + seconds % 400_000_000).unwrap().min(authority.issuers[ISSUER].not_after - Duration::days(2_000)));
                    due(authority).unwrap();
                }
                Act::Publish(0) => {
                    let number = make(authority, Scope::Whole).number;
                    assert!(number > last);
                    last = number;
                    note(&mut wholes);
                    let (_, _, said) = read(&published(authority, Scope::Whole).der);
                    assert!(register(authority, CertificateRecord::all_revoked(ISSUER)).iter().all(|serial| said.contains_key(serial)));
                }
                Act::Publish(1) => {
                    let number = make(authority, Scope::Delta).number;
                    // Only a delta of the very moment of a whole list shares its number.
                    assert!(number > last || (number == last && wholes.contains_key(&number)));
                    last = number;
                    keeps_up(authority, &wholes);
                }
                Act::Publish(_) => {
                    for serial in &serials {
                        let shard = ca::register::get(&*authority.store, serial).unwrap().shard.unwrap();
                        make(authority, Scope::Shard(shard));
                        let (_, _, said) = read(&published(authority, Scope::Shard(shard)).der);
                        assert!(register(authority, CertificateRecord::all_revoked_in(ISSUER, shard)).iter().all(|serial| said.contains_key(serial)));
                    }
                }
            }
        }
        make(authority, Scope::Delta);
        keeps_up(authority, &wholes);
    }
}

#[test]
fn a_delta_tells_of_an_end_and_the_base_moves_once_a_day() {
    let office = Office::found();
    let authority = &office.afresh(|store| store);
    let [first, second] = [0, 1].map(|_| issued(authority, &rcgen::KeyPair::generate().unwrap()));
    let delta = || {
        make(authority, Scope::Delta);
        read(&published(authority, Scope::Delta).der)
    };
    let removed = |said: &Said, serial: &[u8]| said.get(serial).map(|(_, reason, _)| *reason == 8);
    // Nothing changed in the second of the whole list: one number, one information. // spec: rfc5280#5.2.3
    assert_eq!(delta(), (1, Some(1), Said::new()));
    suspend(authority, &admin(), &serial_text(&first)).unwrap();
    let (number, base, said) = delta();
    assert_eq!((number, base, removed(&said, &first)), (2, Some(1), Some(false)));
    // It came and went since the base: whoever saw it between is told that it is over.
    resume(authority, &admin(), &Resume { serial: serial_text(&first), freeze: None }).unwrap();
    office.clock.advance(Duration::hours(1));
    let (number, base, said) = delta();
    assert_eq!((number, base, removed(&said, &first)), (3, Some(1), Some(true)));
    revoke(authority, &admin(), &simple(&second, Reason::Superseded)).unwrap();
    assert_eq!(make(authority, Scope::Whole).number, 4);
    assert_eq!((delta().1, read(&published(authority, Scope::Whole).der).2.len()), (Some(1), 1));
    office.clock.advance(Duration::days(1));
    assert_eq!(make(authority, Scope::Whole).number, 5);
    assert_eq!(delta(), (5, Some(5), Said::new()));
    // Changes that every list has are forgotten.
    assert_eq!(register(authority, Key::range("crl-change", &[])).len(), 0);
    // An ended certificate leaves the whole list after one more, and the delta says so.
    office.clock.advance(Duration::days(2_000));
    make(authority, Scope::Whole);
    let (_, base, said) = delta();
    assert_eq!((base, removed(&said, &second)), (Some(6), Some(true)));
    assert!(read(&published(authority, Scope::Whole).der).2.contains_key(&second));
    make(authority, Scope::Whole);
    assert!(read(&published(authority, Scope::Whole).der).2.is_empty());
}

#[test]
fn the_service_has_every_change_on_a_delta_and_a_part_within_a_minute() {
    let (place, clock) = (tempfile::tempdir().unwrap(), clock());
    let opened = founded(place.path(), &clock);
    let status = Arc::new(ca::status::Status::new(&opened.authority).unwrap());
    let service = ca::service::Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let health = Arc::new(Health::default());
    let jobs = Jobs::new(service.clone(), status, opened.keys, Arc::clone(&health));
    let authority = &service.authority;
    // Twenty turns of a quarter of a second.
    let pass = |seconds: i64| {
        for _ in 0..seconds / 5 {
            clock.advance(Duration::seconds(5));
            (0..20).for_each(|_| jobs.turn());
        }
        health.check().unwrap();
    };
    pass(5);
    let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
    let shard = Scope::Shard(ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap());
    for (wait, step) in [(0, 0), (5, 1), (25, 0), (60, 1), (7_200, 0)] {
        pass(wait);
        if step == 0 { suspend(authority, &admin(), &serial_text(&serial)).unwrap() } else { resume(authority, &admin(), &Resume { serial: serial_text(&serial), freeze: None }).unwrap() };
        // Mail gateways end sessions by the part.
        pass(15);
        assert_eq!(read(&published(authority, shard).der).2.contains_key(&serial), step == 0, "after {wait} s");
        pass(40);
        let delta = read(&published(authority, Scope::Delta).der).2;
        assert_eq!(delta.get(&serial).map(|(_, reason, _)| *reason), Some(if step == 0 { 6 } else { 8 }), "after {wait} s");
        assert_eq!(read(&published(authority, shard).der).2.contains_key(&serial), step == 0, "after {wait} s");
    }
    // Nothing is late on any day, and no list is made without need.
    for _ in 0..3 {
        clock.advance(Duration::days(1));
        (0..20).for_each(|_| jobs.turn());
        let made = authority.store.stream_length(log::STREAM).unwrap();
        (0..40).for_each(|_| jobs.turn());
        assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), made);
        let found = ca::doctor::examine(&service).unwrap().findings;
        assert!(found.iter().all(|finding| !finding.what.contains("CRL") || finding.grade == ca::doctor::Grade::Ok), "{found:?}");
    }
    // A restored authority leapt over numbers: no delta changes a list of the time before.
    authority.store.commit(Batch::new().put(CrlRecord::floor(), 1_000_000_u64.to_be_bytes().to_vec())).unwrap();
    assert!(matches!(publish_scope(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER], Scope::Delta), Err(IssueError::NoBase { .. })));
    clock.advance(Duration::days(1));
    (0..20).for_each(|_| jobs.turn());
    let (number, base, _) = read(&published(authority, Scope::Delta).der);
    assert!(number > 1_000_000 && base.unwrap() > 1_000_000);
}

/// Records so many revocations, from the `first` on, as a disaster brings them.
fn revoke_many(authority: &Authority, first: u64, count: u64) {
    let now = authority.clock.now().unix_timestamp();
    let listed = encode(&Listed::Revoked(Revocation::new(now, Reason::Superseded))).unwrap();
    let mut batch = Batch::new();
    for n in first..first + count {
        let serial = [[0x40; 8], n.to_be_bytes()].concat();
        let number = batch.next(CrlChange::COUNTER);
        batch = batch.put(CertificateRecord::revoked(ISSUER, &serial), listed.clone()).put(CrlChange::place(ISSUER, number), CrlChange { at: now, serial }.value());
        for scope in [Scope::Whole, Scope::Delta] {
            batch = batch.put(scope.stale(ISSUER), Template::new(vec![Part::Counter(number)]));
        }
    }
    authority.store.commit(batch).unwrap();
}

#[test]
fn a_delta_that_grew_long_is_followed_by_another_base() {
    let (place, clock) = (tempfile::tempdir().unwrap(), clock());
    let opened = founded(place.path(), &clock);
    let status = Arc::new(ca::status::Status::new(&opened.authority).unwrap());
    let service = ca::service::Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let jobs = Jobs::new(service.clone(), status, opened.keys, Arc::new(Health::default()));
    let authority = &service.authority;
    let pass = |seconds: i64| {
        for _ in 0..seconds / 5 {
            clock.advance(Duration::seconds(5));
            (0..20).for_each(|_| jobs.turn());
        }
    };
    let entries = |scope| published(authority, scope).entries;
    let large = authority.rules.crl.whole.large.unwrap();
    pass(5);
    revoke_many(authority, 0, large.above + 1);
    pass(120);
    assert_eq!(entries(Scope::Whole), large.above + 1);
    // The whole list is long now and waits for an hour, while its deltas are short.
    revoke_many(authority, 100_000, 10_000);
    pass(120);
    assert_eq!((entries(Scope::Whole), entries(Scope::Delta)), (large.above + 1, 10_000));
    revoke_many(authority, 200_000, 1);
    pass(120);
    assert_eq!(entries(Scope::Whole), large.above + 10_002);
    // And once more it waits.
    revoke_many(authority, 300_000, 5);
    pass(120);
    assert_eq!((entries(Scope::Whole), entries(Scope::Delta)), (large.above + 10_002, 5));
}

/// By whom and why an order is lifted.
fn lifting() -> ca::flow::hold::LiftWords {
    ca::flow::hold::LiftWords { authority: "穗城区人民法院".into(), reason: "(2026)穗执1号之一".into() }
}
