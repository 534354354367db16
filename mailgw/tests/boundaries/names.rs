//! The name a bureau seals or sends under is its own: whichever is first, its registration or a mailbox, nobody else has it.

use mailgw::bureau::{BureauError, senders};
use mailgw::directory::{Account, Applicant, DirectoryError, NewPassword, RowState, Words};
use mailgw::record::bureau::SealNames;

use certs_test::demo::people::credit_code;

use super::*;
use crate::city::DOMAIN;

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
    let aliases = city.path("policies/mailbox/aliases.toml");
    // Where nobody thought of that word.
    std::fs::write(&aliases, std::fs::read_to_string(&aliases).unwrap().replace("most = 0", "most = 1").replace("\"gjj\", ", "")).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    for alias in ["gjj", "GJJ", "g.jj", "gj-j"] {
        assert!(matches!(open(&gateway, OTHER, alias), Err(DirectoryError::AliasSealed { .. })), "{alias}");
    }
    // Nor for a person, at the opening or later.
    let words = Words { id_type: Some("03".into()), id_no: Some("E12345678".into()), name: Some("黄雅婷".into()), aliases: vec!["g.jj".into()], ..Words::default() };
    let person = |words: &Words| gateway.directory.open(Applicant::parse(words, gateway.directory.policy(), today(NOW)).unwrap(), NewPassword::Generated, NOW);
    assert!(matches!(person(&words), Err(DirectoryError::AliasSealed { .. })));
    let number = person(&Words { aliases: Vec::new(), ..words }).unwrap().account.number;
    let alias = |name: &str| gateway.directory.policy().grant_alias(name).unwrap();
    assert!(matches!(gateway.directory.add_alias(number, &alias("gj-j"), NOW), Err(DirectoryError::AliasSealed { .. })));
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

/// Told to the operator: who had such a name before that was looked at, and nobody who has it rightly or has left it.
#[test]
fn mailboxes_of_before_with_such_names_are_found() {
    let city = City::found();
    let keys = [FUND, INSURANCE].map(mailgw::record::bureau::Bureau::key);
    let of_before = keys.clone().map(|key| city.store.get(&key).unwrap().unwrap());
    without_bureaus(&city);
    let gateway = city.gateway(Arc::clone(&city.store));
    let alike = open(&gateway, OTHER, "g.jj").unwrap();
    open(&gateway, BUREAU, "gj-j").unwrap();
    let closed = open(&gateway, "92440101MAT0000A11", "gjj").unwrap();
    gateway.directory.close(closed.number, NOW).unwrap();
    let found = || mailgw::bureau::address::look_alikes(&*gateway.store, &gateway.directory).unwrap();
    assert_eq!(found(), []);
    city.store.commit(keys.into_iter().zip(of_before).fold(store::Batch::new(), |batch, (key, bureau)| batch.put(key, bureau))).unwrap();
    assert_eq!(found().iter().map(|(number, name, borne)| (*number, name.as_str(), borne.as_str())).collect::<Vec<_>>(), [(alike.number, "g.jj", "gjj")]);
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

/// A name is withdrawn and a mailbox opened under it at one moment, in either order and by threads: it is never both, and what was refused
/// is taken when it is asked for again.
#[test]
fn a_name_that_is_withdrawn_while_somebody_takes_it_has_one_holder_at_most() {
    let third = "92440101MAT0000A11";
    let city = Arc::new(City::found());
    let plain = city.gateway(Arc::clone(&city.store));
    let allow = |local: &str| senders::allow(&*plain.store, &plain.directory, FUND, &format!("{local}@{DOMAIN}"), NOW);
    let withdraw = |gateway: &Gateway, local: &str| senders::withdraw(&*gateway.store, FUND, &format!("{local}@{DOMAIN}"), NOW);
    // Withdrawn between the look at the names and the commit that opens another: that is looked for anew, and the name is free from then on.
    allow("letters").unwrap();
    let withdrawing = city.gateway(Arc::clone(&city.store));
    let racing = store::Between::before_commit(Arc::clone(&city.store), 0, move || drop(senders::withdraw(&*withdrawing.store, FUND, &format!("letters@{DOMAIN}"), NOW).unwrap()));
    let gateway = city.gateway(Arc::new(racing));
    assert!(matches!(open(&gateway, third, "let-ters"), Err(DirectoryError::AliasSealed { .. })));
    open(&gateway, third, "free").unwrap();
    assert!(senders::of(&*city.store, &format!("letters@{DOMAIN}")).unwrap().is_none(), "withdrawn meanwhile");
    open(&gateway, &credit_code(300), "let-ters").unwrap();
    // The mailbox is asked for between the look and the commit that withdraws: refused, since the name was the bureau's still.
    allow("notes").unwrap();
    let (opening, refused) = (city.gateway(Arc::clone(&city.store)), Arc::new(std::sync::Mutex::new(None)));
    let told = Arc::clone(&refused);
    let racing = store::Between::before_commit(Arc::clone(&city.store), 0, move || *told.lock().unwrap() = Some(open(&opening, OTHER, "notes").is_err()));
    withdraw(&city.gateway(Arc::new(racing)), "notes").unwrap();
    assert_eq!(*refused.lock().unwrap(), Some(true));
    open(&plain, OTHER, "notes").unwrap();
    assert!(matches!(allow("n0tes"), Err(BureauError::AnothersMailbox { .. })));
    // Threads, with a bureau that takes it back at the same moment.
    for round in 0..20_u32 {
        let (local, holder) = (format!("race{round}x"), credit_code(400 + u64::from(round)));
        allow(&local).unwrap();
        let (opened, again) = std::thread::scope(|scope| {
            let opened = scope.spawn(|| open(&plain, &holder, &local.replace('e', "e-")).is_ok());
            withdraw(&plain, &local).unwrap();
            let again = allow(&local).is_ok();
            (opened.join().unwrap(), again)
        });
        let (sends, found) = (senders::of(&*city.store, &format!("{local}@{DOMAIN}")).unwrap().is_some(), plain.directory.find(&local.replace('e', "e-")).unwrap().is_some());
        assert_eq!((opened, again), (found, sends), "{local}");
        assert!(!(found && sends), "{local} has two holders");
    }
}

/// Two bureaus whose addresses read alike, and two organisations that ask for mailboxes under such names: whoever comes first has it.
#[test]
fn of_two_bureaus_whose_addresses_read_alike_one_has_it() {
    let city = Arc::new(City::found());
    let (gateway, domain) = (city.gateway(Arc::clone(&city.store)), DOMAIN);
    let key = mailgw::record::bureau::Bureau::key(INSURANCE);
    // The second bureau is another organisation.
    let mut insurance = mailgw::record::bureau::Bureau::decode(&city.store.get(&key).unwrap().unwrap()).unwrap();
    insurance.credit_code = OTHER.to_owned();
    city.store.commit(store::Batch::new().put(key, insurance.encode().unwrap())).unwrap();
    let allow = |gateway: &Gateway, bureau: &str, local: &str| senders::allow(&*gateway.store, &gateway.directory, bureau, &format!("{local}@{domain}"), NOW);
    for (first, second) in [("mailings", "rnailings"), ("news5", "newss"), ("vvages", "wages"), ("z00m", "zo-o.rn"), ("letter", "ietter"), ("b1lls", "bi11s")] {
        allow(&gateway, FUND, first).unwrap();
        assert!(matches!(allow(&gateway, INSURANCE, second), Err(BureauError::AnothersAddress { .. })), "{second}");
        assert!(matches!(open(&gateway, "92440101MAT0000A11", second), Err(DirectoryError::AliasSealed { .. })), "{second}");
        // Its own look-alike is its own.
        allow(&gateway, FUND, second).unwrap();
    }
    // At the same moment, in either order.
    for (one, other, local, alike) in [(FUND, INSURANCE, "summer", "surnmer"), (INSURANCE, FUND, "winter5", "winters")] {
        let allowing = city.gateway(Arc::clone(&city.store));
        let racing = store::Between::before_commit(Arc::clone(&city.store), 0, move || drop(senders::allow(&*allowing.store, &allowing.directory, one, &format!("{local}@{DOMAIN}"), NOW).unwrap()));
        let racing = city.gateway(Arc::new(racing));
        assert!(matches!(allow(&racing, other, alike), Err(BureauError::AnothersAddress { .. })), "{alike}");
    }
    // One that was registered beside a look-alike before they were read so goes on, and says so again.
    let both = [("memos", FUND), ("rnemos", INSURANCE)].map(|(local, bureau)| (format!("{local}@{domain}"), bureau));
    for (address, bureau) in &both {
        let record = mailgw::record::sender_address::SenderAddress { bureau: (*bureau).to_owned(), since_unix_millis: 1 };
        city.store.commit(store::Batch::new().put(mailgw::record::sender_address::SenderAddress::key(address), record.encode().unwrap())).unwrap();
    }
    for (address, bureau) in &both {
        assert_eq!(senders::allow(&*gateway.store, &gateway.directory, bureau, address, NOW).unwrap().bureau, *bureau);
        assert_eq!(senders::of(&*gateway.store, address).unwrap().as_deref(), Some(*bureau));
    }
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
