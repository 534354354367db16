//! Logging in by a provider's token: whose it opens, and what ends it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use keys::{DataKey, KeyStore, Passphrase};
use mailgw::directory::{Applicant, Credential, Directory, DirectoryError, NewPassword, Ordered, Scope, Somebody, Words, today};
use mailgw::flow::login::Logins;
use mailgw::flow::token_login::TokenLogins;
use mailgw::record::operator::By;
use mailgw::record::recovery::Recovery;
use mailgw::tokens::Provider;
use mailgw::wire::accounts::{Accounts, Entered, LoginRefusal, Visit};
use policies::certificate::HostName;
use policies::mailbox::{MailboxNumber, MailboxPolicy, SHIPPED};
use protocol::sasl::{Bearer, Secret};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use runtime::clock::{Clock, FakeClock};
use serde_json::{Value, json};
use store::{Batch, Store as _};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-30 01:00 UTC);
const DOMAIN: &str = "mail.gz.example";
const CODE: &str = "91440101MAT000018G";
const VISIT: Visit = Visit { scope: Scope::Imap, peer: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)) };

struct City {
    place: tempfile::TempDir,
    key: EcdsaKeyPair,
    store: Arc<store::Memory>,
    data_key: Arc<DataKey>,
    directory: Arc<Directory>,
    clock: Arc<FakeClock>,
    tokens: Arc<TokenLogins>,
    logins: Logins,
    citizen: MailboxNumber,
    firm: MailboxNumber,
}

fn new_key() -> EcdsaKeyPair {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &SystemRandom::new()).unwrap()
}

fn publish(place: &Path, keys: &[&EcdsaKeyPair]) {
    let jwk = |key: &&EcdsaKeyPair| {
        let point = key.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]) })
    };
    std::fs::write(place.join("keys.json"), json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() }).to_string()).unwrap();
}

impl City {
    /// `switched`: what the policy says of mailboxes, given the citizen's.
    fn found(switched: impl Fn(&str, MailboxNumber) -> String) -> Self {
        let (place, key) = (tempfile::tempdir().unwrap(), new_key());
        let keys = KeyStore::create(&place.path().join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
        let (store, data_key) = (Arc::new(store::Memory::new()), Arc::new(keys.data_key("directory").unwrap()));
        let directory = |policy: &Arc<MailboxPolicy>| Arc::new(Directory::new(Arc::clone(&store) as Arc<dyn store::Store>, Arc::clone(&data_key), HostName::parse(DOMAIN).unwrap(), Arc::clone(policy), Arc::new(SystemRandom::new())).unwrap());
        let policy = Arc::new(MailboxPolicy::parse(SHIPPED).unwrap());
        let first = directory(&policy);
        let open = |words: Words| first.open(Applicant::parse(&words, &policy, today(NOW)).unwrap(), NewPassword::Generated, NOW).unwrap().account.number;
        let citizen = open(Words { id_type: Some("01".into()), id_no: Some("440106189602290015".into()), name: Some("陈秀英".into()), ..Words::default() });
        let firm = open(Words { code: Some(CODE.into()), name: Some("甲有限公司".into()), aliases: vec!["demo".into()], ..Words::default() });
        let documents: Vec<(&str, String)> = SHIPPED.iter().map(|(file, text)| (*file, if *file == "clients.toml" { switched(text, citizen) } else { (*text).to_owned() })).collect();
        let policy = Arc::new(MailboxPolicy::parse(documents.iter().map(|(file, text)| (*file, text.as_str()))).unwrap());
        let (directory, clock) = (directory(&policy), Arc::new(FakeClock::new(NOW)));
        publish(place.path(), &[&key]);
        std::fs::write(place.path().join("revoked"), "").unwrap();
        let configuration = "issuer = \"https://id.gz.example\"\naudience = \"mail.gz.example\"\nkeys = \"keys.json\"\nrevoked = \"revoked\"\nscope = \"mail\"";
        let provider = Provider::open(&toml::from_str(configuration).unwrap(), place.path()).unwrap();
        let tokens = Arc::new(TokenLogins::new(Arc::clone(&directory), provider, Arc::clone(&clock) as Arc<dyn Clock>));
        let logins = Logins { directory: Arc::clone(&directory), clock: clock.clone(), certificates: None, tokens: Some(Arc::clone(&tokens)) };
        Self { place, key, store, data_key, directory, clock, tokens, logins, citizen, firm }
    }

    fn plain() -> Self {
        Self::found(|text, _| text.to_owned())
    }

    fn token(&self, key: &EcdsaKeyPair, subject: &str, id: &str) -> String {
        let now = self.clock.now().unix_timestamp();
        let claims = json!({ "iss": "https://id.gz.example", "aud": "mail.gz.example", "sub": subject, "client_id": "tb", "jti": id, "iat": now, "exp": now + 600, "scope": "mail" });
        let coded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", coded(json!({ "alg": "ES256", "typ": "at+jwt" })), coded(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap()))
    }

    fn enter(&self, token: &str, user: Option<&str>) -> Result<Entered, LoginRefusal> {
        let bearer = Bearer { user: user.map(str::to_owned), host: None, port: None, token: Secret::new(token.to_owned()) };
        self.logins.token(&bearer, VISIT)
    }

    fn address(&self, number: MailboxNumber) -> String {
        format!("{number}@{DOMAIN}")
    }

    /// Whether a login by this has ended by the look.
    fn ends(&self, entered: &Entered, change: impl FnOnce()) -> bool {
        let mut ended = self.directory.ended();
        change();
        self.tokens.look_again();
        ended.is_of(entered.login.number, entered.login.credential, entered.login.operator)
    }
}

fn refusal(entered: Result<Entered, LoginRefusal>) -> Option<LoginRefusal> {
    entered.err()
}

#[test]
fn it_opens_the_mailbox_it_names() {
    let city = City::plain();
    let mine = city.address(city.citizen);
    let good = city.token(&city.key, &mine, "1");
    let entered = city.enter(&good, None).unwrap();
    assert!(entered.login.number == city.citizen && matches!(entered.login.credential, Credential::Token(_)) && !entered.login.is_owner());
    assert!(city.enter(&good, Some(&mine)).is_ok() && city.enter(&good, Some(&city.citizen.to_string())).is_ok());
    assert_eq!(city.enter(&city.token(&city.key, &format!("demo@{DOMAIN}"), "2"), None).unwrap().login.number, city.firm);
    for user in [city.firm.to_string(), "nobody".to_owned()] {
        assert_eq!(refusal(city.enter(&good, Some(&user))), Some(LoginRefusal::Denied), "{user}");
    }
    // A number alone, a mailbox of elsewhere, one that is not there; a stranger's; and what is none.
    let stranger = new_key();
    for token in [city.token(&city.key, &city.citizen.to_string(), "3"), city.token(&city.key, "1234567897@elsewhere.example", "3"), city.token(&city.key, &format!("1234567897@{DOMAIN}"), "3"), city.token(&stranger, &mine, "3"), "x".to_owned()] {
        assert_eq!(refusal(city.enter(&token, None)), Some(LoginRefusal::Denied));
    }
    // An operator enters the institution's mailbox by the own token, and by no other's.
    let ordered = Ordered { by: By::Officer("A-17".into()), request: "one".into() };
    let operator = city.directory.name_operator(city.firm, &Somebody::Citizen(city.citizen), false, &ordered, NOW).unwrap().number;
    let theirs = city.enter(&good, Some("demo")).unwrap();
    assert_eq!((theirs.login.number, theirs.login.operator), (city.firm, Some(operator)));
    city.directory.close(city.citizen, NOW).unwrap();
    assert_eq!(refusal(city.enter(&good, None)), Some(LoginRefusal::Denied));
}

#[test]
fn one_that_is_over_or_withdrawn_ends_its_sessions_and_no_others() {
    let city = City::plain();
    let mine = city.address(city.citizen);
    let one = city.token(&city.key, &mine, "1");
    let (standing, other) = (city.enter(&one, None).unwrap(), city.enter(&city.token(&city.key, &mine, "2"), None).unwrap());
    assert!(!city.ends(&standing, || {}));
    // Revoked by its own name.
    let revoke = |id: &str| std::fs::write(city.place.path().join("revoked"), format!("9\n{id}\n")).unwrap();
    assert!(city.ends(&standing, || revoke("1")) && !city.ends(&other, || {}));
    assert_eq!(refusal(city.enter(&one, None)), Some(LoginRefusal::Denied));
    // A file half written withdraws nothing, and the next key is believed beside the first.
    let next = new_key();
    assert!(!city.ends(&other, || std::fs::write(city.place.path().join("keys.json"), "{\"keys\":[").unwrap()));
    assert!(!city.ends(&other, || publish(city.place.path(), &[&city.key, &next])));
    let by_next = city.enter(&city.token(&next, &mine, "3"), None).unwrap();
    // The first key is withdrawn: what it made ends.
    assert!(city.ends(&other, || publish(city.place.path(), &[&next])) && !city.ends(&by_next, || {}));
    assert_eq!(refusal(city.enter(&city.token(&city.key, &mine, "4"), None)), Some(LoginRefusal::Denied));
    // Its time is over.
    city.clock.advance(Duration::seconds(599));
    assert!(!city.ends(&by_next, || {}));
    city.clock.advance(Duration::seconds(1));
    assert!(city.ends(&by_next, || {}));
    // The mailbox is closed: at once, without a look.
    let last = city.enter(&city.token(&next, &mine, "5"), None).unwrap();
    let mut ended = city.directory.ended();
    city.directory.close(city.citizen, city.clock.now()).unwrap();
    assert!(ended.is_of(city.citizen, last.login.credential, None));
}

/// As with passwords: after some failures nobody from there is heard for a while, right or wrong.
#[test]
fn who_tries_many_is_not_heard() {
    let city = City::plain();
    let good = city.token(&city.key, &city.address(city.citizen), "1");
    let mut refusals = (0..1_000).map(|_| refusal(city.enter("x.y.z", None)).unwrap());
    assert!(refusals.any(|refusal| refusal == LoginRefusal::Later));
    assert_eq!(refusal(city.enter(&good, None)), Some(LoginRefusal::Later));
    city.clock.advance(Duration::minutes(6));
    assert!(city.enter(&good, None).is_ok());
}

/// An office's programs come back in the morning with what they kept: they are told to fetch another, and nobody from there waits for it.
#[test]
fn one_of_the_provider_that_is_over_is_no_guess() {
    let city = City::plain();
    let (mine, stranger) = (city.address(city.citizen), new_key());
    let (kept, made_up) = (city.token(&city.key, &mine, "1"), city.token(&stranger, &mine, "1"));
    city.clock.advance(Duration::seconds(600));
    assert!((0..1_000).all(|_| refusal(city.enter(&kept, None)) == Some(LoginRefusal::Denied)));
    assert!(city.enter(&city.token(&city.key, &mine, "2"), None).is_ok());
    assert!((0..1_000).any(|_| refusal(city.enter(&made_up, None)) == Some(LoginRefusal::Later)));
    // Who is not heard is not heard with this either.
    assert_eq!(refusal(city.enter(&kept, None)), Some(LoginRefusal::Later));
}

/// A program that comes again by itself says nothing of who has the mailbox.
#[test]
fn it_ends_no_recovery() {
    let city = City::plain();
    let place = Recovery::key(city.citizen);
    let recovery = Recovery { since_unix_millis: 1, due_unix_millis: 2, request: "one".into(), officers: Vec::new() };
    let sealed = recovery.seal(&place, &city.data_key).unwrap();
    assert!(city.store.commit(Batch::new().put(place, sealed)).is_ok());
    assert!(city.enter(&city.token(&city.key, &city.address(city.citizen), "1"), None).is_ok());
    assert_eq!(city.directory.recovery(city.citizen).unwrap(), Some(recovery));
    // Somebody was in all the same, and no one word sets the password any more.
    let set = |number| city.directory.set_password(number, &NewPassword::Generated, false, NOW);
    assert!(matches!(set(city.citizen), Err(DirectoryError::Entered { .. })) && set(city.firm).is_ok());
}

#[test]
fn a_mailbox_may_be_open_to_no_token() {
    let city = City::found(|text, citizen| text.replace("no_token = []", &format!("no_token = [\"{citizen}\"]")));
    assert_eq!(refusal(city.enter(&city.token(&city.key, &city.address(city.citizen), "1"), None)), Some(LoginRefusal::Denied));
    assert!(city.enter(&city.token(&city.key, &city.address(city.firm), "2"), None).is_ok());
}
