//! App passwords: what they open, how they are told and withdrawn, and what guessing them costs.
use super::*;
use crate::directory::scram::DERIVED;
use crate::record::app_password::AppPasswords;
use crate::record::certificate::Sealed as _;
use store::Batch;

const LATER: OffsetDateTime = datetime!(2026-11-27 08:00 UTC);

fn named(text: &str) -> AppPasswordName {
    AppPasswordName::parse(text).unwrap()
}

fn made(directory: &Directory, number: MailboxNumber, scopes: &[Scope]) -> (ShownAppPassword, String) {
    let (shown, told) = directory.new_app_password(number, None, &named("手机"), scopes, NOW).unwrap();
    (shown, told.expose().to_owned())
}

fn enter(directory: &Directory, user: &str, secret: &str, scope: Scope, now: OffsetDateTime) -> Result<Login, Refusal> {
    directory.authenticate(user, &SecretString::from(secret), scope, PEER, now)
}

#[test]
fn one_opens_what_it_is_for_and_nothing_else() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let owner = opened(&directory, chen());
    let other = opened(&directory, citizen("03", "E12345678", "黄雅婷"));
    let (number, user) = (owner.account.number, owner.account.mailbox());
    let (phone, secret) = made(&directory, number, &[Scope::Smtp, Scope::Imap, Scope::Imap]);
    assert_eq!((phone.number, phone.scopes.as_slice(), phone.name.as_str(), phone.last_used.as_deref()), (1, [Scope::Imap, Scope::Smtp].as_slice(), "手机", None));
    let (_, fetching) = made(&directory, number, &[Scope::Pop3]);
    // In groups; and as people type it.
    assert_eq!(secret.split('-').map(str::len).collect::<Vec<_>>(), [5; 5]);
    for typed in [secret.clone(), secret.replace('-', ""), secret.replace('-', " ").to_uppercase()] {
        for scope in [Scope::Imap, Scope::Smtp] {
            let login = enter(&directory, &user, &typed, scope, NOW).unwrap();
            assert_eq!((login.account.number, login.credential), (number, Credential::App(1)));
        }
        assert!(matches!(enter(&directory, &user, &typed, Scope::Pop3, NOW), Err(Refusal::Credentials { .. })));
    }
    assert_eq!(enter(&directory, &user, &fetching, Scope::Pop3, NOW).unwrap().credential, Credential::App(2));
    assert!(enter(&directory, &user, &fetching, Scope::Imap, NOW).is_err());
    // Another's mailbox stays shut, and the mailbox's own password opens everything as before.
    assert!(enter(&directory, &other.account.mailbox(), &secret, Scope::Imap, NOW).is_err());
    assert_eq!(enter(&directory, &user, owner.password.expose().expose_secret(), Scope::Pop3, NOW).unwrap().credential, Credential::Password);
    // The day of the last login is kept, and nothing more of it.
    assert!(enter(&directory, &user, &secret, Scope::Imap, LATER).is_ok());
    let days: Vec<_> = directory.app_passwords(number).unwrap().into_iter().map(|shown| shown.last_used).collect();
    assert_eq!(days, [Some("2026-11-27".to_owned()), Some("2026-11-25".to_owned())]);
    // Neither the password nor its name stands anywhere as it is, and the log tells neither.
    for (key, value) in records(&*store) {
        for told in [secret.as_bytes(), "手机".as_bytes()] {
            assert!(!value.windows(told.len()).any(|window| window == told), "{key:?}");
        }
    }
    let logged = events(&*store);
    let told = |number, scopes: &[&str]| event::AppPassword { mailbox: user.clone(), number, operator: None, scopes: scopes.iter().map(|&scope| scope.to_owned()).collect() };
    assert_eq!(logged.get(logged.len() - 2..).unwrap(), [Event::AppPasswordMade(told(1, &["imap", "smtp"])), Event::AppPasswordMade(told(2, &["pop3"]))]);
}

#[test]
fn withdrawing_one_ends_its_logins_and_no_other() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, chen()).account.number;
    let user = number.to_string();
    let (_, secret) = made(&directory, number, &[Scope::Imap]);
    let (_, kept) = made(&directory, number, &[Scope::Imap]);
    let [mut gone, mut other, mut own] = [(); 3].map(|()| directory.ended());
    assert_eq!(directory.withdraw_app_password(number, 1, NOW).unwrap().number, 1);
    assert!(gone.is_of(number, Credential::App(1), None) && !other.is_of(number, Credential::App(2), None) && !own.is_of(number, Credential::Password, None));
    assert!(enter(&directory, &user, &secret, Scope::Imap, NOW).is_err());
    assert!(enter(&directory, &user, &kept, Scope::Imap, NOW).is_ok());
    let again = directory.withdraw_app_password(number, 1, NOW);
    assert!(matches!(again, Err(DirectoryError::AppPassword(AppPasswordError::NotFound { number: 1, .. }))));
    // A number is never given twice, so that a log read later is not read wrongly.
    assert_eq!(made(&directory, number, &[Scope::Imap]).0.number, 3);
    directory.close(number, NOW).unwrap();
    assert!(enter(&directory, &user, &kept, Scope::Imap, NOW).is_err());
    assert!(matches!(directory.new_app_password(number, None, &named("x"), &[Scope::Imap], NOW), Err(DirectoryError::Closed { .. })));
    assert_eq!(count(&*store, "app passwords"), 0);
}

#[test]
fn there_are_bounds() {
    let directory = directory(&Arc::new(Memory::new()));
    let number = opened(&directory, chen()).account.number;
    for name in ["", "  ", "a\nb", &"长".repeat(41)] {
        assert_eq!(AppPasswordName::parse(name), Err(AppPasswordError::Name));
    }
    assert!(matches!(directory.new_app_password(number, None, &named("x"), &[], NOW), Err(DirectoryError::AppPassword(AppPasswordError::NoScope))));
    for _ in 0..16 {
        made(&directory, number, &[Scope::Imap]);
    }
    assert!(matches!(directory.new_app_password(number, None, &named("x"), &[Scope::Imap], NOW), Err(DirectoryError::AppPassword(AppPasswordError::TooMany { .. }))));
    assert!(matches!(directory.app_passwords(MailboxNumber::parse("1234567897").unwrap()), Err(DirectoryError::NotFound)));
}

/// Work is counted, not time: which is the same on every machine.
#[test]
fn guessing_one_costs_the_same_whoever_is_there() {
    let mut directory = directory(&Arc::new(Memory::new()));
    let [without, with, closed] = [chen(), citizen("03", "E12345678", "黄雅婷"), citizen("07", "01234567", "林浩然")].map(|who| opened(&directory, who).account.number);
    let (_, secret) = made(&directory, with, &[Scope::Imap]);
    made(&directory, closed, &[Scope::Imap]);
    directory.close(closed, NOW).unwrap();
    let guess = "abcde-fghjk-mnpqr-stuvw-xyz12";
    let users = [without.to_string(), with.to_string(), closed.to_string(), "1234567897".into(), "nobody".into()];
    for user in &users {
        DERIVED.set(0);
        assert!(matches!(enter(&directory, user, guess, Scope::Imap, NOW), Err(Refusal::Credentials { .. })));
        assert_eq!(DERIVED.get(), 1, "{user}");
    }
    // And what follows a wrong one, the hash of a mailbox's own password, follows for everyone.
    let impossible = password::Cost { memory_kib: 1, passes: 1, lanes: 1 };
    directory.hasher = Hasher::new(Costs { chosen: impossible, generated: impossible });
    for user in &users {
        assert!(matches!(enter(&directory, user, guess, Scope::Imap, NOW), Err(Refusal::Directory(DirectoryError::Hash(HashError::Memory)))));
    }
    // The right one needs none.
    assert!(enter(&directory, &with.to_string(), &secret, Scope::Imap, NOW).is_ok());
}

/// A client of SCRAM, as far as it computes: the proof over `exchange`, and what the server is expected to prove.
fn proof(secret: &str, salt: &Salt, exchange: &str) -> ([u8; 32], [u8; 32]) {
    use ring::{digest, hmac, pbkdf2};
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, secret.as_bytes(), &mut salted);
    let sign = |key: &[u8], text: &[u8]| <[u8; 32]>::try_from(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref()).unwrap();
    let client = sign(&salted, b"Client Key");
    let signature = sign(digest::digest(&digest::SHA256, &client).as_ref(), exchange.as_bytes());
    let mut proof = client;
    proof.iter_mut().zip(signature).for_each(|(byte, other)| *byte ^= other);
    (proof, sign(&sign(&salted, b"Server Key"), exchange.as_bytes()))
}

#[test]
fn any_of_a_mailboxs_app_passwords_is_proved_by_scram() {
    let directory = directory(&Arc::new(Memory::new()));
    let number = opened(&directory, chen()).account.number;
    let secrets = [made(&directory, number, &[Scope::Imap]).1, made(&directory, number, &[Scope::Imap, Scope::Smtp]).1];
    let users = [number.to_string(), format!("{number}@mail.gz.example")];
    for (user, exchange) in users.iter().zip(["n=a,r=1", "n=a,r=2"]) {
        let salt = directory.scram_salt(user);
        for (place, secret) in (1..).zip(&secrets) {
            let (proof, expected) = proof(secret, &salt, exchange);
            let (login, signature) = directory.prove(user, exchange, &proof, Scope::Imap, PEER, NOW).unwrap();
            assert_eq!((login.credential, signature), (Credential::App(place), expected));
            // Neither over another exchange, nor for what it is not for, nor as another.
            assert!(directory.prove(user, "n=a,r=3", &proof, Scope::Imap, PEER, NOW).is_err());
            assert!(directory.prove(user, exchange, &proof, Scope::Pop3, PEER, NOW).is_err());
            assert!(directory.prove("nobody", exchange, &proof, Scope::Imap, PEER, NOW).is_err());
        }
    }
    let (proof, _) = proof(&secrets[0], &directory.scram_salt(&users[0]), "x");
    directory.withdraw_app_password(number, 1, NOW).unwrap();
    assert!(matches!(directory.prove(&users[0], "x", &proof, Scope::Imap, PEER, NOW), Err(Refusal::Credentials { .. })));
    // Wrong proofs are failures like wrong passwords: after sixteen nobody is heard for a while.
    for n in 0..16 {
        let from = IpAddr::from([198, 51, n, 1]);
        assert!(matches!(directory.prove("somebody", "x", &[0; 32], Scope::Imap, from, NOW), Err(Refusal::Credentials { .. })));
    }
    assert!(matches!(directory.prove("somebody", "x", &[0; 32], Scope::Imap, [198, 51, 99, 1].into(), NOW), Err(Refusal::Later { .. })));
}

#[test]
fn whoever_guesses_keeps_no_program_out() {
    let directory = directory(&Arc::new(Memory::new()));
    // Chosen, and of the form of an app password.
    let own = "abcde-fghjk-mnpqr-stuvw-xyz23";
    let number = directory.open(chen(), NewPassword::Chosen(SecretString::from(own)), NOW).unwrap().account.number;
    let (user, (_, secret)) = (number.to_string(), made(&directory, number, &[Scope::Imap]));
    let from = |network: u8, secret: &str, now| directory.authenticate(&user, &SecretString::from(secret), Scope::Imap, IpAddr::from([198, 51, network, 1]), now);
    for network in 0..17 {
        assert!(matches!(from(network, "wrong", NOW), Err(Refusal::Credentials { .. })));
    }
    // What nobody can guess is heard from anywhere, typed or proved; what somebody chose is not, whatever its form.
    assert_eq!(from(50, &secret, NOW).unwrap().credential, Credential::App(1));
    for wrong in [own, "abcde-fghjk-mnpqr-stuvw-xyz12"] {
        assert!(matches!(from(51, wrong, NOW), Err(Refusal::Later { wait }) if wait > Duration::ZERO));
    }
    let (proof, _) = proof(&secret, &directory.scram_salt(&user), "x");
    assert!(directory.prove(&user, "x", &proof, Scope::Imap, [198, 51, 52, 1].into(), NOW).is_ok());
    // Not without end from one network, which counts whatever it tries.
    DERIVED.set(0);
    for _ in 0..100 {
        assert!(directory.authenticate(&user, &SecretString::from(secret.as_str()), Scope::Pop3, [203, 0, 113, 1].into(), NOW).is_err());
    }
    assert_eq!(DERIVED.get(), 64);
    // The guesses stay counted.
    assert!(matches!(from(53, own, NOW), Err(Refusal::Later { .. })));
}

#[test]
fn salts_do_not_tell_who_is_there() {
    let directory = directory(&Arc::new(Memory::new()));
    let firm = opened(&directory, institution("91440101MAT000018G", "甲有限公司", "demo"));
    let salt = |user: &str| directory.scram_salt(user);
    // Of a name always the same, however it is written and whoever has it; of two names never the same, one mailbox's or not.
    for (one, other) in [("demo", "DEMO@mail.gz.example"), ("nobody", " NOBODY@mail.gz.example "), ("1234567897", "1234567897@mail.gz.example")] {
        assert_eq!(salt(one), salt(other), "{one}");
    }
    assert_ne!(salt("nobody"), salt("noone"));
    assert_ne!(salt("demo"), salt(&firm.account.mailbox()));
    assert_ne!(salt("demo"), salt("1234567897"));
    assert_ne!(directory.nonce().unwrap(), directory.nonce().unwrap());
}

#[test]
fn each_name_of_a_mailbox_has_keys_of_its_own() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, institution("91440101MAT000018G", "甲有限公司", "demo")).account.number;
    let (_, secret) = made(&directory, number, &[Scope::Imap]);
    let names = ["demo".to_owned(), "Demo@mail.gz.example".to_owned(), number.to_string()];
    let proves = |user: &str, salted_by: &str| {
        let (proof, expected) = proof(&secret, &directory.scram_salt(salted_by), "n=a,r=1");
        directory.prove(user, "n=a,r=1", &proof, Scope::Imap, PEER, NOW).map(|(_, signature)| assert_eq!(signature, expected)).is_ok()
    };
    for name in &names {
        assert!(proves(name, name), "{name}");
    }
    // A proof by one name is none by another.
    assert!(!proves("demo", &names[2]) && !proves(&names[2], "demo"));
    // One of before names had keys is proved by the number, and by a name once it was told under it.
    let place = AppPasswords::key(number);
    let mut former = AppPasswords::open(number, &store.get(&place).unwrap().unwrap(), &directory.key).unwrap();
    former.kept[0].by_name.clear();
    store.commit(Batch::new().put(place, former.seal(number, &directory.key).unwrap())).unwrap();
    assert!(proves(&names[2], &names[2]) && !proves("demo", "demo"));
    assert!(enter(&directory, "demo", &secret, Scope::Imap, NOW).is_ok());
    assert!(proves("demo", "demo"));
}

/// One that cannot be noted does not keep its owner out.
#[test]
fn a_login_does_not_fail_over_its_day() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, chen()).account.number;
    let (_, secret) = made(&directory, number, &[Scope::Imap]);
    let full = directory_with(Arc::new(Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(0, Fault::Lost)), Arc::new(SystemRandom::new()));
    assert_eq!(enter(&full, &number.to_string(), &secret, Scope::Imap, NOW).unwrap().credential, Credential::App(1));
    assert_eq!(directory.app_passwords(number).unwrap()[0].last_used, None);
}
