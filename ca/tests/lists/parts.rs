//! Lists of one part: a certificate is in one for good.

use super::*;

#[test]
fn a_certificate_is_in_one_part_for_good() {
    let (place, clock) = (tempfile::tempdir().unwrap(), clock());
    let (home, opened) = (place.path().join("ca"), founded(place.path(), &clock));
    let authority = &opened.authority;
    let mut known = BTreeMap::new();
    for _ in 0..24 {
        let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
        let record = ca::register::get(&*authority.store, &serial).unwrap();
        known.insert(serial, record.shard.unwrap());
        // The certificate names the list of its part, and nothing else.
        let (_, read) = x509_parser::parse_x509_certificate(&record.der).unwrap();
        let points = read.extensions().iter().find_map(|one| if let ParsedExtension::CRLDistributionPoints(points) = one.parsed_extension() { Some(points) } else { None }).unwrap();
        let [point] = &points.points[..] else { panic!("{points:?}") };
        let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { panic!("{point:?}") };
        let url = format!("http://127.0.0.1:8440/crl/{ISSUER}/{}.crl", record.shard.unwrap());
        assert!(matches!(&names[..], [GeneralName::URI(found)] if *found == url), "{names:?}");
    }
    assert!(known.values().all(|shard| *shard < 16) && known.values().collect::<BTreeSet<_>>().len() > 4);
    let (serial, shard) = known.first_key_value().unwrap();
    let other = (*shard + 1) % 16;
    revoke(authority, &admin(), &simple(serial, Reason::Superseded)).unwrap();
    for scope in [Scope::Shard(*shard), Scope::Whole] {
        assert!(authority.store.get(&scope.stale(ISSUER)).unwrap().is_some());
        make(authority, scope);
        assert!(authority.store.get(&scope.stale(ISSUER)).unwrap().is_none());
        assert!(read(&published(authority, scope).der).2.contains_key(serial));
    }
    assert!(authority.store.get(&Scope::Shard(other).stale(ISSUER)).unwrap().is_none());
    assert!(read(&published(authority, Scope::Shard(other)).der).2.is_empty());
    // As the gateway judges it: its own part and the whole list speak of it, another part does not. // spec: rfc5280#6.3.3
    let root: CrlRecord = decode(&authority.store.get(&CrlRecord::key("root")).unwrap().unwrap()).unwrap();
    let anchors = Anchors::new(&[&authority.issuers["root"].record.der]).unwrap();
    let required = Requirements { extended_key_usage: Oid::new_unwrap("1.3.6.1.5.5.7.3.36"), key_usage: vec![0], policies: Vec::new() };
    let judge = |serial: &[u8], scope: Scope| {
        let record = ca::register::get(&*authority.store, serial).unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(&record.der).unwrap();
        let usage = read.extended_key_usage().unwrap().map(|usage| usage.value.clone()).unwrap();
        let purpose = if usage.client_auth { "1.3.6.1.5.5.7.3.2".to_owned() } else { usage.other[0].to_id_string() };
        let required = Requirements { extended_key_usage: Oid::new(&purpose).unwrap(), ..required.clone() };
        let lists = [&root.der, &published(authority, scope).der].map(|der| RevocationList::parse(der).unwrap());
        Validation { anchors: &anchors, lists: &lists, required: &required, at: clock.now() }.trust(&record.der, &[&authority.issuers[ISSUER].record.der]).map(|_| ())
    };
    assert!(matches!(judge(serial, Scope::Shard(*shard)), Err(PathError::Revoked { .. })));
    assert!(matches!(judge(serial, Scope::Whole), Err(PathError::Revoked { .. })));
    assert!(matches!(judge(serial, Scope::Shard(other)), Err(PathError::RevocationUnknown)));
    let (good, its) = known.iter().find(|(_, its)| *its != shard).unwrap();
    assert_eq!((judge(good, Scope::Shard(*its)), judge(good, Scope::Whole)), (Ok(()), Ok(())));
    // More parts, then fewer: what was named once keeps its list.
    let written = home.join("policies/authority/crl.toml");
    let shipped = std::fs::read_to_string(&written).unwrap();
    drop(opened);
    for (policy, kept) in [(40, 40), (4, 40)] {
        std::fs::write(&written, shipped.replace("enterprise-ca = 16", &format!("enterprise-ca = {policy}"))).unwrap();
        let opened = open(&home, None, &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let authority = &opened.authority;
        assert_eq!((partitions(authority, ISSUER).unwrap(), partitions(authority, "tls-ca").unwrap(), partitions(authority, "root").unwrap()), (kept, 0, 0));
        assert_eq!(scopes(authority, &authority.issuers[ISSUER]).unwrap().len(), usize::from(kept) + 2);
        let serial = issued(authority, &rcgen::KeyPair::generate().unwrap());
        assert!(ca::register::get(&*authority.store, &serial).unwrap().shard.unwrap() < policy);
        for (serial, shard) in &known {
            assert_eq!(ca::register::get(&*authority.store, serial).unwrap().shard, Some(*shard));
        }
    }
}

#[test]
fn a_certificate_of_the_time_before_parts_is_on_the_whole_list() {
    let office = Office::found();
    let authority = &office.authority;
    let serial = office.issue();
    // As it was written then: without a word of parts.
    let record = CertificateRecord { shard: None, ..ca::register::get(&*authority.store, &serial).unwrap() };
    let bytes = encode(&record).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("shard"));
    authority.store.commit(Batch::new().put(CertificateRecord::key(&serial), bytes)).unwrap();
    suspend(authority, &admin(), &serial_text(&serial)).unwrap();
    all(authority);
    assert!(read(&published(authority, Scope::Whole).der).2.contains_key(&serial));
    assert!((0..16).all(|shard| read(&published(authority, Scope::Shard(shard)).der).2.is_empty()));
    resume(authority, &admin(), &Resume { serial: serial_text(&serial), freeze: None }).unwrap();
    all(authority);
    assert!(read(&published(authority, Scope::Whole).der).2.is_empty());
}
