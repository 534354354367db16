//! Logging in by certificate: whose it is, what it must be, and what a revocation ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keys::{KeyHandle, KeyStore, Passphrase};
use mailgw::bureau::trust::Anchors;
use mailgw::directory::{Applicant, Credential, Directory, Ended, NewPassword, Ordered, Somebody, Words, today};
use mailgw::flow::certificate_login::{AGAIN, CertificateLogins, KeptLists, LISTS, Lists, UNKNOWN};
use mailgw::record::operator::By;
use mailgw::wire::accounts::{Entered, Login, LoginRefusal};
use pki::certificate::{self, AlternativeName, BasicConstraints, CertificatePlan, Extensions};
use pki::crl::{CrlPlan, Entry, Reason};
use pki::name::{COMMON_NAME, COUNTRY, ORGANIZATION, ORGANIZATION_IDENTIFIER, Subject};
use pki::signer::{SignatureAlgorithm, Signer};
use policies::certificate::HostName;
use policies::mailbox::{MailboxNumber, MailboxPolicy};
use ring::rand::SystemRandom;
use runtime::clock::FakeClock;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-29 01:00 UTC);
const DOMAIN: &str = "mail.gz.example";
const ARC: &str = "1.3.6.1.4.1.32473";
const CODE: &str = "91440101MAT000018G";
const LIST: &str = "http://127.0.0.1:1/root.crl";
const SILENT: &str = "http://127.0.0.1:2/root.crl";
const MAIL: &str = "1.3.6.1.5.5.7.3.4";

/// What the authority publishes; `None`: nobody answers.
#[derive(Default)]
struct Published(Mutex<Option<Vec<u8>>>);

impl Lists for Published {
    fn fetch(&self, url: &str, _: OffsetDateTime, most: Duration) -> Result<Arc<[u8]>, String> {
        assert!(most <= LISTS);
        match url {
            LIST => {}
            // A second address of the authority's own that nobody answers at.
            SILENT => return Err("nobody answers".to_owned()),
            _ => panic!("asked on a stranger's word: {url}"),
        }
        self.0.lock().unwrap().clone().map(Arc::from).ok_or_else(|| "nobody answers".to_owned())
    }
}

/// Lists on several servers of the authority's, that fall silent: who asks one hears nothing until the test lets them all give up.
#[derive(Default)]
struct Servers {
    published: Arc<Published>,
    silence: Mutex<Silence>,
    changed: Condvar,
}

#[derive(Default)]
struct Silence {
    fallen: bool,
    /// Who waits for an answer.
    waiting: usize,
}

impl Servers {
    fn change(&self, change: impl FnOnce(&mut Silence)) {
        change(&mut self.silence.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(&Silence) -> bool) -> MutexGuard<'_, Silence> {
        self.changed.wait_while(self.silence.lock().unwrap(), |silence| !until(silence)).unwrap()
    }
}

impl Lists for Servers {
    fn fetch(&self, url: &str, now: OffsetDateTime, most: Duration) -> Result<Arc<[u8]>, String> {
        if url != LIST && self.silence.lock().unwrap().fallen {
            self.change(|silence| silence.waiting += 1);
            drop(self.wait(|silence| !silence.fallen));
            return Err("no answer".to_owned());
        }
        self.published.fetch(LIST, now, most)
    }
}

struct City {
    key: KeyHandle,
    lists: Arc<Published>,
    directory: Arc<Directory>,
    clock: Arc<FakeClock>,
    logins: CertificateLogins,
    citizen: MailboxNumber,
    firm: MailboxNumber,
    _place: tempfile::TempDir,
}

fn named(name: &str) -> Subject {
    Subject::new().with(COUNTRY, "CN").unwrap().with(COMMON_NAME, name).unwrap()
}

fn plan(subject: Subject, key: &dyn Signer, serial: u8) -> CertificatePlan {
    CertificatePlan { serial: [serial; 16], issuer: Vec::new(), subject, not_before: NOW - Duration::days(1), not_after: NOW + Duration::days(300), spki: key.public_key_info().to_vec(), extensions: Extensions::default() }
}

impl City {
    fn found() -> Self {
        Self::found_with(|published| published)
    }

    /// `lists`: how it asks for what is published.
    fn found_with<L: Lists + 'static>(lists: impl FnOnce(Arc<Published>) -> Arc<L>) -> Self {
        let place = tempfile::tempdir().unwrap();
        let keys = KeyStore::create(&place.path().join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap();
        let key = keys.generate("root", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let mut root = plan(named("root"), &key, 1);
        root.extensions = Extensions { key_usage: vec![5, 6], basic_constraints: Some(BasicConstraints { ca: true, path_len: None }), ..Extensions::default() };
        let root = certificate::self_signed(root, &key).unwrap();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&root));
        let policy = Arc::new(MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap());
        let (store, random) = (Arc::new(store::Memory::new()), Arc::new(SystemRandom::new()));
        let data_key = Arc::new(keys.data_key("directory").unwrap());
        let directory = Arc::new(Directory::new(store, data_key, HostName::parse(DOMAIN).unwrap(), Arc::clone(&policy), random).unwrap());
        let open = |words: Words| directory.open(Applicant::parse(&words, &policy, today(NOW)).unwrap(), NewPassword::Generated, NOW).unwrap().account.number;
        let citizen = open(Words { id_type: Some("01".into()), id_no: Some("440106189602290015".into()), name: Some("陈秀英".into()), ..Words::default() });
        let firm = open(Words { code: Some(CODE.into()), name: Some("甲有限公司".into()), aliases: vec!["demo".into()], ..Words::default() });
        let (clock, published) = (Arc::new(FakeClock::new(NOW)), Arc::new(Published::default()));
        let anchors = Arc::new(Anchors::parse(pem.as_bytes(), ARC).unwrap());
        let logins = CertificateLogins::new(Arc::clone(&directory), anchors, lists(Arc::clone(&published)) as Arc<dyn Lists>, clock.clone());
        let city = Self { key, lists: published, directory, clock, logins, citizen, firm, _place: place };
        city.publish(&[]);
        city
    }

    fn publish(&self, revoked: &[u8]) {
        let plan = CrlPlan {
            issuer: named("root").to_der(),
            this_update: NOW - Duration::hours(1),
            next_update: NOW + Duration::days(6),
            number: 1 + revoked.len() as u64,
            authority_key_id: certificate::key_id(self.key.public_key_info()).unwrap(),
            distribution_point: None,
            delta_of: None,
            freshest: None,
        };
        let entries = revoked.iter().map(|serial| Entry { serial: vec![*serial; 16], revoked_at: NOW, reason: Reason::KeyCompromise, invalidity_date: None });
        let tbs = pki::crl::build_tbs(&plan, self.key.algorithm(), entries.collect::<Vec<_>>());
        *self.lists.0.lock().unwrap() = Some(certificate::assemble(&tbs, self.key.algorithm(), &self.key.sign(&tbs).unwrap()));
    }

    /// A certificate of the root's, for the root's own key: who has it is TLS's to find out.
    fn certificate(&self, serial: u8, subject: Subject, usage: &str, policy: &str, emails: &[&str]) -> Vec<Vec<u8>> {
        self.certificate_at(&[LIST, SILENT], serial, subject, usage, policy, emails)
    }

    /// Of the citizen, whose list is at these addresses.
    fn citizens(&self, urls: &[&str], serial: u8) -> Vec<Vec<u8>> {
        self.certificate_at(urls, serial, named("pseudonym"), MAIL, "2.2", &[&self.address(self.citizen)])
    }

    fn certificate_at(&self, urls: &[&str], serial: u8, subject: Subject, usage: &str, policy: &str, emails: &[&str]) -> Vec<Vec<u8>> {
        let oid = |text: &str| const_oid::ObjectIdentifier::new(text).unwrap();
        let mut plan = plan(subject, &self.key, serial);
        plan.issuer = named("root").to_der();
        plan.extensions = Extensions {
            key_usage: vec![0], extended_key_usage: vec![oid(usage)], policies: vec![oid(&format!("{ARC}.{policy}"))],
            alternative_names: emails.iter().map(|email| AlternativeName::Email((*email).to_owned())).collect(),
            authority_key_id: Some(certificate::key_id(self.key.public_key_info()).unwrap()),
            crl_urls: urls.iter().map(|url| (*url).to_owned()).collect(), ..Extensions::default()
        };
        let tbs = certificate::tbs_der(&plan, self.key.algorithm()).unwrap();
        vec![certificate::assemble(&tbs, self.key.algorithm(), &self.key.sign(&tbs).unwrap())]
    }

    fn address(&self, number: MailboxNumber) -> String {
        format!("{number}@{DOMAIN}")
    }

    fn enter(&self, chain: &[Vec<u8>], user: Option<&str>) -> Result<Entered, LoginRefusal> {
        self.logins.login(chain, user)
    }
}

fn refusal(entered: Result<Entered, LoginRefusal>) -> Option<LoginRefusal> {
    entered.err()
}

#[test]
fn it_opens_the_one_mailbox_it_bears() {
    let city = City::found();
    let mine = city.address(city.citizen);
    let good = city.certificate(2, named("pseudonym"), MAIL, "2.2", &[&mine]);
    let entered = city.enter(&good, None).unwrap();
    assert!(entered.login.number == city.citizen && matches!(entered.login.credential, Credential::Certificate(_)));
    // Whom the client says it is, if it says so, is who the certificate says.
    assert!(city.enter(&good, Some(&city.citizen.to_string())).is_ok() && city.enter(&good, Some(&mine)).is_ok());
    for user in [city.firm.to_string(), "nobody".to_owned(), String::new()] {
        assert_eq!(refusal(city.enter(&good, Some(&user))), Some(LoginRefusal::Denied), "{user}");
    }
    let firm = named("firm").with(ORGANIZATION, "甲有限公司").unwrap();
    let coded = |code: &str| firm.clone().with(ORGANIZATION_IDENTIFIER, &format!("NTRCN-{code}")).unwrap();
    let (theirs, alias) = (city.address(city.firm), format!("demo@{DOMAIN}"));
    for address in [&theirs, &alias] {
        assert_eq!(city.enter(&city.certificate(3, coded(CODE), MAIL, "2.1", &[address]), None).unwrap().login.number, city.firm);
    }
    // Of another purpose or policy, of another organisation or of none, of two mailboxes, of none, of elsewhere, of no mailbox.
    let (mine, theirs, nobody) = (mine.as_str(), theirs.as_str(), format!("1234567897@{DOMAIN}"));
    for (subject, usage, policy, emails) in [
        (named("x"), "1.3.6.1.5.5.7.3.2", "2.2", vec![mine]), (named("x"), MAIL, "2.1", vec![mine]), (coded(CODE), MAIL, "2.2", vec![theirs]),
        (coded("12440100000000123A"), MAIL, "2.1", vec![theirs]), (named("x"), MAIL, "2.1", vec![theirs]), (named("x"), MAIL, "2.2", vec![mine, theirs]),
        (named("x"), MAIL, "2.2", vec![]), (named("x"), MAIL, "2.2", vec!["1234567897@elsewhere.example"]), (named("x"), MAIL, "2.2", vec![nobody.as_str()]),
    ] {
        assert_eq!(refusal(city.enter(&city.certificate(4, subject, usage, policy, &emails), None)), Some(LoginRefusal::Denied), "{usage} {policy} {emails:?}");
    }
    for chain in [vec![], vec![b"no certificate".to_vec()], good.iter().cycle().take(9).cloned().collect()] {
        assert_eq!(refusal(city.enter(&chain, None)), Some(LoginRefusal::Denied));
    }
    // From a stranger's root, whatever it says.
    let strange = City::found();
    assert_eq!(refusal(city.enter(&strange.certificate(2, named("x"), MAIL, "2.2", &[mine]), None)), Some(LoginRefusal::Denied));
    city.clock.advance(Duration::days(301));
    assert_eq!(refusal(city.enter(&good, None)), Some(LoginRefusal::Denied));
}

#[test]
fn a_revocation_ends_what_stands_and_lets_nobody_in() {
    let city = City::found();
    let mine = city.address(city.citizen);
    let lost = city.certificate(2, named("lost"), MAIL, "2.2", &[&mine]);
    let other = city.certificate(3, named("other"), MAIL, "2.2", &[&mine]);
    let (standing, kept) = (city.enter(&lost, None).unwrap(), city.enter(&other, None).unwrap());
    let gone = city.enter(&city.certificate(4, named("gone"), MAIL, "2.2", &[&mine]), None).unwrap().login.credential;
    // Whether a login by this has ended since now.
    let over = |credential: Credential, look: &dyn Fn()| {
        let mut ended = city.directory.ended();
        look();
        ended.is_of(city.citizen, credential, None)
    };
    let again = || city.logins.look_again();
    assert!(!over(standing.login.credential, &again));
    // Nobody answers: nobody new is let in, and nobody is thrown out on no one's word.
    *city.lists.0.lock().unwrap() = None;
    assert_eq!(refusal(city.enter(&lost, None)), Some(LoginRefusal::Unavailable));
    assert!(!over(standing.login.credential, &again));
    // Where no thread can be had it is looked for all the same.
    let alone = || city.logins.look_again_by(0);
    assert!(!over(standing.login.credential, &alone));
    city.publish(&[2, 4]);
    assert!(over(standing.login.credential, &again) && !over(kept.login.credential, &again) && !over(Credential::Password, &again));
    // That of a session that ended by itself is not looked at any more.
    assert!(!over(gone, &again));
    city.publish(&[2, 3, 4]);
    assert!(over(kept.login.credential, &alone));
    city.publish(&[2, 4]);
    assert_eq!(refusal(city.enter(&lost, None)), Some(LoginRefusal::Denied));
    assert!(city.enter(&other, None).is_ok());
    // A mailbox that is closed has no logins, by whatever.
    city.directory.close(city.citizen, NOW).unwrap();
    assert_eq!(refusal(city.enter(&other, None)), Some(LoginRefusal::Denied));
}

/// A publisher over HTTP, lists kept as the gateway keeps them, looks as often as it looks, and a clock that the test sets: whenever between
/// two looks somebody logs in, and whenever after that the revocation is published.
#[test]
fn a_published_revocation_ends_a_session_within_a_quarter_of_a_minute() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/root.crl", listener.local_addr().unwrap());
    let city = City::found_with(|published| {
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let list = published.0.lock().unwrap().clone().unwrap_or_default();
                if connection.read(&mut [0; 1_024]).is_ok() {
                    let _ = connection.write_all(&[format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", list.len()).as_bytes(), &list].concat());
                }
            }
        });
        Arc::new(KeptLists::new(Arc::new(runtime::revocation::RevocationLists::new(runtime.handle().clone()))))
    });
    let (second, looks) = (Duration::seconds(1), Duration::try_from(AGAIN).unwrap().whole_seconds());
    let (mut revoked, mut longest) = (Vec::new(), 0);
    for login in 0..looks {
        for published in 0..=LISTS.whole_seconds() {
            let serial = 10 + u8::try_from(revoked.len()).unwrap();
            let standing = city.enter(&city.citizens(&[&url], serial), None).unwrap();
            let mut ended = city.directory.ended();
            // What was published in a second is seen by no look of that second.
            let over = (0..600).find(|at| {
                if (login + at) % looks == 0 {
                    city.logins.look_again();
                }
                if *at == published {
                    revoked.push(serial);
                    city.publish(&revoked);
                }
                city.clock.advance(second);
                ended.is_of(city.citizen, standing.login.credential, None)
            });
            longest = longest.max(over.unwrap() - published);
        }
    }
    assert!((LISTS.whole_seconds()..=15).contains(&longest), "{longest} seconds");
    // The authority looks every five seconds at what waits, and signing the longest part takes less than three.
    let rules = policies::authority::Rules::parse(policies::authority::SHIPPED).unwrap().crl;
    assert!(longest + rules.partition.after_change(u64::MAX) + 5 + 3 < 60);
}

/// None of it ends if servers are asked one after another, or judged when all have answered.
#[test]
fn servers_that_are_silent_are_asked_at_the_same_time_and_delay_no_other_session() {
    let mut servers = None;
    let city = City::found_with(|published| Arc::clone(servers.insert(Arc::new(Servers { published, ..Servers::default() }))));
    let servers = servers.unwrap();
    let silent: Vec<String> = (0..7).map(|server| format!("http://127.0.0.1:{}/root.crl", 100 + server)).collect();
    let enter = |urls: &[&str], serial: u8| {
        let login = city.enter(&city.citizens(urls, serial), None).unwrap();
        (city.directory.ended(), login)
    };
    let (mut lost, mut behind) = (enter(&[LIST], 2), enter(&[&silent[0], LIST], 3));
    let mut kept: Vec<_> = silent.iter().zip(10..).map(|(url, serial)| enter(&[url], serial)).collect();
    let over = |(ended, entered): &mut (Ended, Entered)| ended.is_of(city.citizen, entered.login.credential, None);
    servers.change(|silence| silence.fallen = true);
    city.publish(&[2, 3]);
    std::thread::scope(|scope| {
        let look = scope.spawn(|| city.logins.look_again());
        assert_eq!(servers.wait(|silence| silence.waiting == silent.len()).waiting, silent.len());
        while !over(&mut lost) {
            std::thread::yield_now();
        }
        assert!(!look.is_finished() && !over(&mut behind));
        servers.change(|silence| silence.fallen = false);
    });
    // By the list that could be had; and of the others nothing is known.
    assert!(over(&mut behind) && !kept.iter_mut().any(over));
}

#[test]
fn a_list_that_stays_away_ends_sessions_in_the_end() {
    let city = City::found();
    let mine = city.address(city.citizen);
    let standing = city.enter(&city.certificate(2, named("kept"), MAIL, "2.2", &[&mine]), None).unwrap();
    let over_at = |after: Duration| {
        let mut ended = city.directory.ended();
        city.clock.set(NOW + after);
        city.logins.look_again();
        ended.is_of(city.citizen, standing.login.credential, None)
    };
    // The hour begins when it was last known to be good, whether or not the list changed since.
    let (second, last_known) = (Duration::seconds(1), Duration::minutes(40));
    assert!(!over_at(Duration::minutes(2)) && !over_at(last_known));
    *city.lists.0.lock().unwrap() = None;
    assert!(!over_at(Duration::minutes(61)) && !over_at(last_known + UNKNOWN - second));
    assert!(over_at(last_known + UNKNOWN));
}

#[test]
fn an_operator_enters_the_institutions_mailbox_by_the_own_certificate() {
    let city = City::found();
    let good = city.certificate(2, named("pseudonym"), MAIL, "2.2", &[&city.address(city.citizen)]);
    let firm = city.address(city.firm);
    assert_eq!(refusal(city.enter(&good, Some(&firm))), Some(LoginRefusal::Denied));
    let ordered = |request: &str| Ordered { by: By::Officer("A-17".into()), request: request.into() };
    let name = |request: &str| city.directory.name_operator(city.firm, &Somebody::Citizen(city.citizen), false, &ordered(request), NOW).unwrap().number;
    assert_eq!(name("one"), 1);
    // Into both, by one certificate, each in its own name.
    let (own, theirs) = (city.enter(&good, None).unwrap(), city.enter(&good, Some("demo")).unwrap());
    assert_eq!([(own.login.number, own.login.operator), (theirs.login.number, theirs.login.operator)], [(city.citizen, None), (city.firm, Some(1))]);
    let standing = |entered: &Entered| (entered.login, city.directory.ended());
    let over = |(login, mut ended): (Login, Ended)| ended.is_of(login.number, login.credential, login.operator);
    let (before, after) = ([standing(&own), standing(&theirs)], [standing(&own), standing(&theirs)]);
    city.logins.look_again();
    assert_eq!(before.map(over), [false, false]);
    // Ended: at once, in the institution's mailbox alone.
    city.directory.end_operator(city.firm, 1, &ordered("two"), NOW).unwrap();
    assert_eq!(after.map(over), [false, true]);
    assert_eq!(refusal(city.enter(&good, Some(&firm))), Some(LoginRefusal::Denied));
    // Named again under another number; the certificate revoked ends both within a look.
    assert_eq!(name("three"), 2);
    let (own, theirs) = (city.enter(&good, None).unwrap(), city.enter(&good, Some(&firm)).unwrap());
    let revoked = [standing(&own), standing(&theirs)];
    city.publish(&[2]);
    city.logins.look_again();
    assert_eq!(revoked.map(over), [true, true]);
    // So does the end of the citizen's own mailbox.
    city.publish(&[]);
    let theirs = city.enter(&good, Some(&firm)).unwrap();
    let closed = standing(&theirs);
    city.directory.close(city.citizen, NOW).unwrap();
    assert!(over(closed));
    assert!(!city.directory.operator_stands(city.firm, 2).unwrap());
}

#[test]
fn what_is_shown_beside_the_path_is_a_strangers_word() {
    let city = City::found();
    let mine = city.address(city.citizen);
    let mut chain = city.certificate(2, named("lost"), MAIL, "2.2", &[&mine]);
    // Self-made, with an address of a list that its maker chose.
    let mut beside = plan(named("beside"), &city.key, 9);
    beside.extensions = Extensions { key_usage: vec![5, 6], basic_constraints: Some(BasicConstraints { ca: true, path_len: None }), crl_urls: vec!["http://127.0.0.1:9/mine.crl".into()], ..Extensions::default() };
    let strange = City::found();
    chain.push(certificate::self_signed(beside, &strange.key).unwrap());
    let standing = city.enter(&chain, None).unwrap();
    let mut ended = city.directory.ended();
    city.publish(&[2]);
    city.logins.look_again();
    assert!(ended.is_of(city.citizen, standing.login.credential, None));
    assert_eq!(refusal(city.enter(&chain, None)), Some(LoginRefusal::Denied));
}

#[test]
fn a_list_that_cannot_be_had_is_not_asked_for_again_at_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, asked) = (format!("http://{}/a.crl", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    // It takes connections and says nothing.
    std::thread::spawn(move || listener.incoming().for_each(|_| {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let lists = KeptLists::new(Arc::new(runtime::revocation::RevocationLists::new(runtime.handle().clone())));
    // Half a minute from when it was given up, by a clock that nobody sets: `runtime` tests its end.
    for seconds in [0, 9, 40] {
        assert!(lists.fetch(&url, NOW + Duration::seconds(seconds), Duration::seconds(30)).is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{seconds}");
    }
}
