//! Publishing: numbers rise whoever publishes, faults and clocks take nothing back, and a list that differs is none.

use super::*;

/// Every number of a sequence that the log tells was intended is used once, and published ones rise.
fn numbers_rise(authority: &Authority) {
    let entries = authority.store.read_stream(log::STREAM, 0, 100_000).unwrap();
    let mut last: BTreeMap<(u8, u64), u64> = BTreeMap::new();
    for entry in entries {
        let kind = entry[1];
        if !matches!(kind, 6 | 7 | 51..=54) {
            continue;
        }
        let told: serde_json::Value = serde_json::from_slice(&entry[10..]).unwrap();
        if told["issuer"] != ISSUER {
            continue;
        }
        let number = told["number"].as_u64().unwrap();
        // Whole lists and deltas take their numbers from one sequence; a delta may share that of the whole list before it.
        // What one address publishes rises too: a delta may overtake a whole list that was begun before it.
        let sequence = if matches!(kind, 51 | 52) { told["shard"].as_u64().unwrap() } else { u64::MAX };
        let step = if matches!(kind, 6 | 51 | 53) { 0 } else { kind };
        let before = last.insert((step, sequence), number).unwrap_or_default();
        assert!(number > before || (number == before && matches!(kind, 53 | 54)), "{kind}: {number} after {before}");
    }
}

#[test]
fn numbers_rise_whoever_publishes() {
    let office = Office::found();
    let authority = &office.afresh(|store| store);
    let serials: Vec<_> = (0..4).map(|_| issued(authority, &rcgen::KeyPair::generate().unwrap())).collect();
    let shard = ca::register::get(&*authority.store, &serials[0]).unwrap().shard.unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            for list in [Scope::Whole, Scope::Delta, Scope::Shard(shard)] {
                scope.spawn(move || {
                    for _ in 0..15 {
                        match publish_anew(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER], list) {
                            Ok(_) | Err(IssueError::Race) => {}
                            Err(error) => panic!("{list:?}: {error}"),
                        }
                    }
                });
            }
        }
        for serial in &serials {
            for _ in 0..5 {
                suspend(authority, &admin(), &serial_text(serial)).unwrap();
                resume(authority, &admin(), &Resume { serial: serial_text(serial), freeze: None }).unwrap();
            }
            revoke(authority, &admin(), &simple(serial, Reason::Superseded)).unwrap();
        }
    });
    numbers_rise(authority);
    all(authority);
    assert_eq!(read(&published(authority, Scope::Whole).der).2.len(), 4);
    assert!(read(&published(authority, Scope::Shard(shard)).der).2.contains_key(&serials[0]));
    for scope in scopes(authority, &authority.issuers[ISSUER]).unwrap() {
        assert!(authority.store.get(&scope.stale(ISSUER)).unwrap().is_none(), "{scope:?} stays stale");
    }
}

#[test]
fn every_write_boundary_of_every_kind_of_list_is_gone_over_again() {
    let office = Office::found();
    let inner: Mutex<Option<Arc<dyn Store>>> = Mutex::default();
    let authority = &office.afresh(|store| {
        *inner.lock().unwrap() = Some(Arc::clone(&store));
        store
    });
    let inner = inner.lock().unwrap().clone().unwrap();
    let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
    let shard = Scope::Shard(ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap());
    let mut held = false;
    for scope in [Scope::Whole, shard, Scope::Delta] {
        // The intent, the list, and that it is fresh.
        for commit in 0..3 {
            for fault in [Fault::Lost, Fault::DoneReportedLost] {
                held = !held;
                match held {
                    true => drop(suspend(authority, &admin(), &serial_text(&serial)).unwrap()),
                    false => drop(resume(authority, &admin(), &Resume { serial: serial_text(&serial), freeze: None }).unwrap()),
                }
                let faulty = Arc::new(Faulty::new(Arc::clone(&inner)).at(commit, fault));
                let broken = authority.over(Arc::clone(&faulty) as Arc<dyn Store>);
                assert!(publish_scope(&broken, &Authorised::by_ownership(0), &broken.issuers[ISSUER], scope).is_err(), "{scope:?} {commit} {fault:?}");
                assert_eq!(faulty.commits(), commit + 1);
                make(authority, scope);
                assert!(authority.store.get(&scope.stale(ISSUER)).unwrap().is_none());
                let (_, _, said) = read(&published(authority, scope).der);
                let there = said.get(&serial).map(|(_, reason, _)| *reason);
                let expected = if held { Some(6) } else if scope == Scope::Delta { Some(8) } else { None };
                assert_eq!(there, expected, "{scope:?} {commit} {fault:?}");
            }
        }
    }
    numbers_rise(authority);
}

#[test]
fn no_kind_of_list_is_published_that_is_not_what_the_register_says() {
    let office = Office::found();
    for part in [true, false] {
        let inner: Arc<dyn Store> = Arc::new(Memory::new());
        let authority = &office.afresh(|_| Arc::clone(&inner));
        let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
        let shard = ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap();
        revoke(authority, &admin(), &simple(&serial, Reason::Superseded)).unwrap();
        // An entry of the register is lost behind the list's back, between making and comparing.
        let (scope, table, lost) = match part {
            true => (Scope::Shard(shard), "revoked-in", CertificateRecord::revoked_in(ISSUER, shard, &serial)),
            false => (Scope::Delta, "crl-change", Key::numbered("crl-change", &[ISSUER.as_bytes()], 1)),
        };
        let before = inner.get(&CrlRecord::of(ISSUER, scope)).unwrap();
        let theirs = Arc::clone(&inner);
        let behind = authority.over(Arc::new(Between::after_scan(Arc::clone(&inner), table, move || drop(theirs.commit(Batch::new().delete(lost)).unwrap()))));
        let refused = publish_scope(&behind, &Authorised::by_ownership(0), &behind.issuers[ISSUER], scope);
        assert!(matches!(refused, Err(IssueError::ListDiffers { .. })), "{scope:?}: {refused:?}");
        assert_eq!(inner.get(&CrlRecord::of(ISSUER, scope)).unwrap(), before);
    }
}

#[test]
fn a_clock_that_steps_back_takes_no_list_back() {
    let office = Office::found();
    let authority = &office.afresh(|store| store);
    let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
    let shard = Scope::Shard(ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap());
    for scope in [Scope::Whole, shard, Scope::Delta] {
        let before = make(authority, scope);
        office.clock.advance(Duration::hours(-2));
        let after = make(authority, scope);
        assert!(after.number > before.number && after.this_update == before.this_update, "{scope:?}");
        office.clock.advance(Duration::hours(3));
        assert!(make(authority, scope).this_update > after.this_update);
    }
    numbers_rise(authority);
}
