//! The name a bureau seals or sends under is its own: whichever is first, its registration or a mailbox, nobody else has it.

use mailgw::bureau::{BureauError, senders};
use mailgw::directory::{Account, Applicant, DirectoryError, NewPassword, RowState, Words};
use mailgw::record::bureau::SealNames;

use super::*;

/// Of the bureaus' certificates, and somebody else's.
const BUREAU: &str = "91440101MAT9900154";
const OTHER: &str = "91440101MAT000018G";

fn open(gateway: &Gateway, code: &str, alias: &str) -> Result<Account, DirectoryError> {
    let words = Words { code: Some(code.into()), name: Some("广州示范中心".into()), aliases: vec![alias.into()], ..Words::default() };
    let applicant = Applicant::parse(&words, gateway.directory.policy(), today(NOW)).unwrap();
    gateway.directory.open(applicant, NewPassword::Generated, NOW).map(|opened| opened.account)
}

#[test]
fn a_name_that_a_bureau_seals_under_is_opened_for_that_bureau_alone() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    for alias in ["gjj", "GJJ", "g.jj", "gj-j"] {
        assert!(matches!(open(&gateway, OTHER, alias), Err(DirectoryError::AliasSealed { .. })), "{alias}");
    }
    // In bulk alike.
    let text = format!("uscc,name,alias\r\n{OTHER},广州示范中心,gjj\r\n");
    let rows: Vec<_> = gateway.directory.import(text.as_bytes(), NOW).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), [RowState::Refused]);
    assert!(rows[0].reason.as_deref().unwrap().contains("seals or sends under the name gjj"), "{rows:?}");
    // The bureau itself has it, before or after it is registered once more; others have other names.
    open(&gateway, BUREAU, "gjj").unwrap();
    city.register(&gateway, FUND, "12329").unwrap();
    open(&gateway, OTHER, "gjjx").unwrap();
}

#[test]
fn a_bureau_whose_seal_bears_anothers_name_is_not_registered() {
    let city = City::found();
    // A directory of before: nothing is kept of names, and no bureau is registered.
    for code in [FUND, INSURANCE] {
        city.store.commit(store::Batch::new().delete(mailgw::record::bureau::Bureau::key(code)).delete(SealNames::key())).unwrap();
    }
    let gateway = city.gateway(Arc::clone(&city.store));
    let account = open(&gateway, OTHER, "gjj").unwrap();
    let length = city.store.stream_length(STREAM).unwrap();
    assert!(matches!(city.register(&gateway, FUND, "12329"), Err(BureauError::AnothersMailbox { .. })));
    // A closed mailbox leaves its name to nobody.
    gateway.directory.close(account.number, NOW).unwrap();
    assert!(matches!(city.register(&gateway, FUND, "12329"), Err(BureauError::AnothersMailbox { .. })));
    assert!(city.store.get(&mailgw::record::bureau::Bureau::key(FUND)).unwrap().is_none());
    assert_eq!(city.store.stream_length(STREAM).unwrap(), length + 1, "the closing alone");
}

/// Forgets the bureaus and their names, as if none had been registered yet.
fn without_bureaus(city: &City) {
    let batch = [FUND, INSURANCE].into_iter().fold(store::Batch::new().delete(SealNames::key()), |batch, code| batch.delete(mailgw::record::bureau::Bureau::key(code)));
    city.store.commit(batch).unwrap();
}

#[test]
fn a_name_that_reads_like_that_of_a_mailbox_is_no_bureaus() {
    let city = City::found();
    without_bureaus(&city);
    let gateway = city.gateway(Arc::clone(&city.store));
    open(&gateway, OTHER, "g.jj").unwrap();
    let refused = city.register(&gateway, FUND, "12329").unwrap_err();
    let (address, borne) = (format!("gjj@{}", gateway.directory.domain()), format!("g.jj@{}", gateway.directory.domain()));
    assert!(matches!(&refused, BureauError::AnothersMailbox { address: one, borne: other } if *one == address && *other == borne), "{refused}");
    // Its own mailbox may be called as it likes.
    let own = City::found();
    without_bureaus(&own);
    let gateway = own.gateway(Arc::clone(&own.store));
    open(&gateway, BUREAU, "g.jj").unwrap();
    own.register(&gateway, FUND, "12329").unwrap();
}

/// Both were there before that was looked at: the bureau renews its certificate all the same, and nobody is given a third.
#[test]
fn a_bureau_beside_such_a_mailbox_of_before_is_registered_anew() {
    let city = City::found();
    let key = mailgw::record::bureau::Bureau::key(FUND);
    let of_before = city.store.get(&key).unwrap().unwrap();
    without_bureaus(&city);
    let gateway = city.gateway(Arc::clone(&city.store));
    open(&gateway, OTHER, "g.jj").unwrap();
    city.store.commit(store::Batch::new().put(key, of_before)).unwrap();
    for _ in 0..2 {
        city.register(&gateway, FUND, "12329").unwrap();
    }
    assert!(matches!(open(&gateway, "92440101MAT0000A11", "gj-j"), Err(DirectoryError::AliasSealed { .. })));
}

/// The mailbox is opened between the look at the names and the commit that registers: the name alone would not tell.
#[test]
fn a_mailbox_that_gets_such_a_name_at_the_same_moment_is_seen() {
    let city = Arc::new(City::found());
    without_bureaus(&city);
    let opening = city.gateway(Arc::clone(&city.store));
    let racing = store::Between::before_commit(Arc::clone(&city.store), 0, move || drop(open(&opening, OTHER, "g.jj").unwrap()));
    let gateway = city.gateway(Arc::new(racing));
    assert!(matches!(city.register(&gateway, FUND, "12329"), Err(BureauError::AnothersMailbox { .. })));
}

#[test]
fn an_address_of_this_domain_that_a_bureau_sends_as_is_nobody_elses() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let domain = gateway.directory.domain().to_string();
    let allow = |local: &str| senders::allow(&*gateway.store, &gateway.directory, FUND, &format!("{local}@{domain}"), NOW);
    let account = open(&gateway, OTHER, "notices").unwrap();
    let length = city.store.stream_length(STREAM).unwrap();
    for anothers in ["notices", "Notices", "n0tices", &account.number.to_string()] {
        assert!(matches!(allow(anothers), Err(BureauError::AnothersMailbox { .. })), "{anothers}");
    }
    // Of the operator, of nobody, and what reads like the number of a mailbox.
    for anothers in ["postmaster", "0000000006", "not_a_name", "o000000006", "OOO-0000006"] {
        assert!(matches!(allow(anothers), Err(BureauError::AnothersAddress { .. })), "{anothers}");
    }
    assert_eq!(city.store.stream_length(STREAM).unwrap(), length, "nothing was recorded");
    // From now on it is the bureau's, and said twice it is the same.
    assert_eq!(allow("letters").unwrap(), allow("letters").unwrap());
    let third = "92440101MAT0000A11";
    assert!(matches!(open(&gateway, third, "let-ters"), Err(DirectoryError::AliasSealed { .. })));
    // One that was allowed before that was looked at is kept as well.
    let names = city.store.get(&SealNames::key()).unwrap().unwrap();
    allow("reminders").unwrap();
    city.store.commit(store::Batch::new().put(SealNames::key(), names)).unwrap();
    assert!(matches!(open(&gateway, third, "reminders"), Err(DirectoryError::AliasSealed { .. })));
    open(&gateway, BUREAU, "reminders").unwrap();
}

/// Allowed for the wrong bureau by mistake: once it is withdrawn the right one has it, or whoever opens a mailbox under it.
#[test]
fn a_sender_that_is_withdrawn_leaves_its_name_free() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let [letters, notes] = ["letters", "notes"].map(|local| format!("{local}@{}", gateway.directory.domain()));
    let allow = |bureau: &str, address: &str| senders::allow(&*gateway.store, &gateway.directory, bureau, address, NOW);
    allow(INSURANCE, &letters).unwrap();
    assert!(matches!(allow(FUND, &letters), Err(BureauError::AddressTaken { .. })));
    senders::withdraw(&*gateway.store, INSURANCE, &letters, NOW).unwrap();
    allow(FUND, &letters).unwrap();
    allow(FUND, &notes).unwrap();
    assert!(matches!(open(&gateway, OTHER, "notes"), Err(DirectoryError::AliasSealed { .. })));
    senders::withdraw(&*gateway.store, FUND, &notes, NOW).unwrap();
    open(&gateway, OTHER, "notes").unwrap();
    // What it seals under stays its own, also where it sent under it.
    let sealed = format!("gjj@{}", gateway.directory.domain());
    allow(FUND, &sealed).unwrap();
    senders::withdraw(&*gateway.store, FUND, &sealed, NOW).unwrap();
    assert!(matches!(open(&gateway, "92440101MAT0000A11", "gjj"), Err(DirectoryError::AliasSealed { .. })));
}

/// An address is allowed between the look at the names and the commit that opens.
#[test]
fn a_sender_that_is_allowed_at_the_same_moment_is_seen() {
    let city = City::found();
    let allowing = city.gateway(Arc::clone(&city.store));
    let address = format!("letters@{}", allowing.directory.domain());
    let racing = store::Between::before_commit(Arc::clone(&city.store), 0, move || drop(senders::allow(&*allowing.store, &allowing.directory, FUND, &address, NOW).unwrap()));
    let gateway = city.gateway(Arc::new(racing));
    assert!(matches!(open(&gateway, OTHER, "let-ters"), Err(DirectoryError::AliasSealed { .. })));
}

/// Bureaus that were registered before names were kept have them all the same, and so does whoever comes at the same moment.
#[test]
fn names_hold_in_old_directories_and_at_the_same_moment() {
    let city = City::found();
    city.store.commit(store::Batch::new().delete(SealNames::key())).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    assert!(matches!(open(&gateway, OTHER, "gjj"), Err(DirectoryError::AliasSealed { .. })));
    for code in [FUND, INSURANCE] {
        city.store.commit(store::Batch::new().delete(mailgw::record::bureau::Bureau::key(code))).unwrap();
    }
    // Registered between the look at the names and the commit that opens.
    let (registering, arc) = (city.gateway(Arc::clone(&city.store)), Arc::new(city));
    let racing = store::Between::before_commit(Arc::clone(&arc.store), 0, {
        let city = Arc::clone(&arc);
        move || city.register(&registering, FUND, "12329").unwrap()
    });
    let gateway = arc.gateway(Arc::new(racing));
    assert!(matches!(open(&gateway, OTHER, "gjj"), Err(DirectoryError::AliasSealed { .. })));
}
