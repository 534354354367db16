//! Dates of invalidity, and of compromises that are learnt later.

use super::*;

#[test]
fn a_date_of_invalidity_is_told_by_lists_and_answers() {
    let office = Office::found();
    let authority = &office.authority;
    let key = rcgen::KeyPair::generate().unwrap();
    let first = office.issue_for(&key);
    let since = office.now() + 3_600;
    office.clock.advance(Duration::days(10));
    let sibling = office.issue_for(&key);
    let plain = office.issue();
    let order = |serial: &[u8], reason, at, invalid_since| Revoke { serial: serial_text(serial), reason, at, invalid_since };
    for wrong in [i64::MIN, 0, since - 86_400, office.now() + 1, i64::MAX] {
        let length = authority.store.stream_length(log::STREAM).unwrap();
        assert!(matches!(revoke(authority, &admin(), &order(&first, Reason::Superseded, None, Some(wrong))), Err(IssueError::InvalidityDate(_))), "{wrong}");
        assert_eq!((office.status(&first), authority.store.stream_length(log::STREAM).unwrap()), (Status::Good, length));
    }
    // Not after the revocation itself, however early that is set.
    assert!(matches!(revoke(authority, &admin(), &order(&first, Reason::Superseded, Some(since - 1), Some(since))), Err(IssueError::InvalidityDate(_))));
    // Suspended, and therefore not relied on, before it was known.
    suspend(authority, &admin(), &serial_text(&first)).unwrap();
    office.clock.advance(Duration::days(1));
    let at = office.now() - 86_400;
    revoke(authority, &admin(), &order(&first, Reason::KeyCompromise, None, Some(since))).unwrap();
    assert_eq!(office.status(&first), Status::Revoked(Revocation { at, reason: Reason::KeyCompromise, invalid_since: Some(since) }));
    // The sibling was made with a key that was no longer its holder's alone: it was wrong from its beginning.
    let Status::Revoked(fallen) = office.status(&sibling) else { panic!("not revoked") };
    let made = ca::register::get(&*authority.store, &sibling).unwrap().not_before;
    assert_eq!((fallen.invalid_since, made > since), (Some(made), true));
    revoke(authority, &admin(), &order(&plain, Reason::CessationOfOperation, None, None)).unwrap();

    publish(authority, &Authorised::by_ownership(0), &authority.issuers[ISSUER]).unwrap();
    let list = published(authority, Scope::Whole);
    let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(&list.der).unwrap();
    let dated = |serial: &[u8]| {
        let entry = read.iter_revoked_certificates().find(|entry| entry.raw_serial() == serial).unwrap();
        entry.invalidity_date().map(|(critical, at)| (critical, at.timestamp()))
    };
    assert_eq!((dated(&first), dated(&sibling), dated(&plain)), (Some((false, since)), Some((false, made)), None));
    let status = ca::status::Status::new(authority).unwrap();
    let issuer = &authority.issuers[ISSUER];
    let told = |serial: &[u8], at: i64| {
        let id = CertId::new(HashAlgorithm::Sha256, &issuer.name, &issuer.public_key_info, serial).unwrap();
        let date = pki::asn1::tlv(4, &pki::asn1::generalized(OffsetDateTime::from_unix_timestamp(at).unwrap()));
        let body = status.make(&OcspRequest { ids: vec![id], nonce: None }).body;
        let extension = [&[6, 3, 0x55, 0x1d, 24][..], &date].concat();
        (body.windows(5).any(|octets| *octets == extension[..5]), body.windows(extension.len()).any(|octets| *octets == extension[..]))
    };
    assert_eq!((told(&first, since), told(&sibling, made), told(&plain, since)), ((true, true), (true, true), (false, false)));
    let entries = authority.store.read_stream(log::STREAM, 0, 1_000).unwrap();
    assert_eq!(entries.iter().filter(|entry| entry[1] == 50).count(), 2);
}

#[test]
fn a_compromise_learnt_later_keeps_or_moves_the_date() {
    let office = Office::found();
    let authority = &office.authority;
    let (first, second) = (office.issue(), office.issue());
    let began = office.now();
    office.clock.advance(Duration::days(10));
    let order = |serial: &[u8], reason, invalid_since| Revoke { serial: serial_text(serial), reason, at: None, invalid_since };
    let since = |serial: &[u8]| if let Status::Revoked(revocation) = office.status(serial) { revocation.invalid_since } else { panic!("not revoked") };
    for serial in [&first, &second] {
        revoke(authority, &admin(), &order(serial, Reason::Superseded, Some(began + 86_400))).unwrap();
    }
    let before = office.now();
    office.clock.advance(Duration::days(10));
    assert!(matches!(revoke(authority, &admin(), &order(&first, Reason::KeyCompromise, Some(before + 1))), Err(IssueError::InvalidityDate(_))));
    revoke(authority, &admin(), &order(&first, Reason::KeyCompromise, Some(began + 60))).unwrap();
    revoke(authority, &admin(), &order(&second, Reason::KeyCompromise, None)).unwrap();
    assert_eq!((since(&first), since(&second)), (Some(began + 60), Some(began + 86_400)));
}
