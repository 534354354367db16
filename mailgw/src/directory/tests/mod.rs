#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use super::*;
use crate::record::event::{self, Event};
use policies::identity::PersonName;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;
use store::{Between, Fault, Faulty, Memory};
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-25 08:00 UTC);
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const DOMAIN: &str = "mail.gz.example";

/// One document of every kind, with a name: residents of here and elsewhere, Hong Kong, Macao, Taiwan, foreigners.
const PEOPLE: [(&str, &str, &str); 14] = [
    ("01", "440106189602290015", "陈秀英"),
    ("01", "510104189707071279", "李志强"),
    ("01", "650102189001010018", "阿依古丽·买买提"),
    ("01", "440102010808003", "㐱𬭼"),
    ("02", "军字第0012345号", "王建国"),
    ("03", "E12345678", "黄雅婷"),
    ("03", "UTO-L898902C3", "ANNA MARIA ERIKSSON"),
    ("04", "944840189602290018", "JOÃO TESTE"),
    ("04", "VAT440131022810", "MARIE EXEMPLE"),
    ("05", "810000189602290010", "司徒嘉欣"),
    ("05", "830000189702280059", "欧阳国栋"),
    ("06", "H12345678", "何思敏"),
    ("07", "01234567", "林浩然"),
    ("99", "A-1234567", "吴俊杰"),
];

fn data_key() -> Arc<DataKey> {
    static KEY: OnceLock<Arc<DataKey>> = OnceLock::new();
    Arc::clone(KEY.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let passphrase = keys::Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
        Arc::new(keys::KeyStore::create(&directory.path().join("keys"), &passphrase).unwrap().data_key("directory").unwrap())
    }))
}

fn directory_with(store: Arc<dyn Store>, random: Arc<dyn Random>) -> Directory {
    let policy = Arc::new(MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap());
    let mut directory = Directory::new(store, data_key(), HostName::parse(DOMAIN).unwrap(), policy, random).unwrap();
    directory.hasher = Hasher::new(password::tests::CHEAP);
    directory
}

/// Quick to hash.
pub(crate) fn directory(store: &Arc<impl Store + 'static>) -> Directory {
    directory_with(Arc::clone(store) as Arc<dyn Store>, Arc::new(SystemRandom::new()))
}

fn document(kind: &str, number: &str) -> Document {
    Document::parse(kind, number, today(NOW)).unwrap()
}

fn citizen(kind: &str, number: &str, name: &str) -> Applicant {
    Applicant::Citizen { document: document(kind, number), name: PersonName::parse(name).unwrap(), aliases: Vec::new() }
}

pub(crate) fn chen() -> Applicant {
    citizen("01", "440106189602290015", "陈秀英")
}

fn institution(code: &str, name: &str, alias: &str) -> Applicant {
    let aliases = if alias.is_empty() { Vec::new() } else { vec![alias.to_owned()] };
    let words = Words { code: Some(code.into()), name: Some(name.into()), aliases, ..Words::default() };
    Applicant::parse(&words, &MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap(), today(NOW)).unwrap()
}

/// As shipped, but for how many names a citizen may have.
fn with_names_of_citizens(most: &str) -> MailboxPolicy {
    let documents = policies::mailbox::SHIPPED.map(|(name, text)| (name, if name == "aliases.toml" { text.replace("most = 0", most) } else { text.to_owned() }));
    MailboxPolicy::parse(documents.iter().map(|(name, text)| (*name, text.as_str()))).unwrap()
}

fn opened(directory: &Directory, applicant: Applicant) -> Opened {
    directory.open(applicant, NewPassword::Generated, NOW).unwrap()
}

fn chosen(text: &str) -> NewPassword {
    NewPassword::Chosen(SecretString::from(text))
}

fn login(directory: &Directory, user: &str, secret: &str) -> Result<Account, Refusal> {
    directory.authenticate(user, &SecretString::from(secret), Scope::Imap, PEER, NOW).map(|login| login.account)
}

fn records(store: &dyn Store) -> Vec<(Key, Vec<u8>)> {
    let (from, _) = Key::range("", &[]);
    store.scan(&from, &Key::new("\u{ff}", &[]), usize::MAX).unwrap()
}

fn events(store: &dyn Store) -> Vec<Event> {
    let leaves = store.read_stream(event::STREAM, 0, 100_000).unwrap();
    leaves.iter().map(|leaf| Event::from_leaf(leaf).unwrap().0).collect()
}

fn count(store: &dyn Store, table: &str) -> usize {
    let (from, to) = Key::range(table, &[]);
    store.scan(&from, &to, usize::MAX).unwrap().len()
}

mod accounts;
mod app_passwords;
mod documents;
mod entered;
mod faults;
mod import;
mod logins;
mod operators;
mod alias;
mod rename;
