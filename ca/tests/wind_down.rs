//! Wind-down packages of a small authority with a past: whole they verify, and with one bit changed they do not; who
//! holds the log's key cannot make one that says other than the log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ca::authority::Authority;
use ca::flow::backup::BackupError;
use ca::flow::hold::{FreezeOrder, Resume, freeze, resume, suspend};
use ca::flow::issue::{Order, issue};
use ca::flow::order::{Applied, place};
use ca::flow::plan::Words;
use ca::flow::replace::{Replace, replace};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::wind_down::export;
use ca::flow::{Actor, Authorised, Office, Operator, publish};
use ca::init::{Opened, init};
use ca::record::{CrlRecord, Evidence as Paper, decode, log, serial_text};
use ca::wind_down::verify::{Whole, verify};
use ca::wind_down::{MANIFEST, NOTE, PackageError, WoundDown, note_text};
use keys::Passphrase;
use runtime::clock::{Clock, FakeClock};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

const CODE: &str = "91440101MAT000018G";
const NAME: &str = "广州天河测试有限公司";

struct Place {
    home: tempfile::TempDir,
    clock: Arc<FakeClock>,
    opened: Opened,
}

fn admin<R: Office>() -> Authorised<R> {
    Authorised::by_ownership(7)
}

fn request() -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn words() -> Words {
    Words { name: Some(NAME.into()), code: Some(CODE.into()), ..Words::default() }
}

impl Place {
    fn found() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()));
        let passphrase = || Passphrase::new("correct horse battery".into()).unwrap();
        let opened = init(&home.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self { home, clock, opened }
    }

    fn authority(&self) -> &Authority {
        &self.opened.authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn issue(&self) -> String {
        let order = Order { profile: "enterprise-signing".into(), request: request(), applicant: words(), issuer: None };
        serial_text(&issue(self.authority(), admin::<Operator>(), order).unwrap().what().serial)
    }

    fn revoke(&self, serial: &str, reason: &str, invalid_since: Option<i64>) {
        let order: Revoke = serde_json::from_value(json!({ "serial": serial, "reason": reason, "at": null, "invalid_since": invalid_since })).unwrap();
        revoke(self.authority(), &admin::<Operator>(), &order).unwrap();
    }

    /// Every kind of past that a certificate can have, and an order.
    fn live(&self) {
        let authority = self.authority();
        let certificates: Vec<String> = (0..7).map(|_| self.issue()).collect();
        let [_, revoked, suspended, frozen, both, resumed, replaced] = certificates.as_slice() else { panic!() };
        self.clock.advance(Duration::hours(3));
        let now = self.clock.now().unix_timestamp();
        self.revoke(revoked, "key-compromise", Some(now - 3600));
        for serial in [suspended, both, resumed] {
            suspend(authority, &admin(), serial).unwrap();
        }
        self.clock.advance(Duration::hours(1));
        let order = |serial: &String| FreezeOrder { serial: serial.clone(), authority: "广州市中级人民法院".into(), reason: "(2026)粤01执123号".into(), until: now + 86_400 * 30 };
        freeze(authority, &admin(), order(frozen)).unwrap();
        freeze(authority, &admin(), order(both)).unwrap();
        let lift = |serial: &String, freeze: bool| resume(authority, &admin(), &Resume { serial: serial.clone(), freeze: freeze.then(lifting) }).unwrap();
        lift(both, true);
        lift(resumed, false);
        self.revoke(suspended, "superseded", None);
        let order: Replace = serde_json::from_value(json!({ "serial": replaced, "request": request(), "compromised": false, "overlap_days": null })).unwrap();
        replace(authority, &admin(), &order).unwrap();
        let evidence = vec![Paper { kind: "licence".into(), sha256: "ab".repeat(32) }];
        place(authority, &admin(), Applied { profile: "enterprise-signing".into(), request: request(), applicant: words(), issuer: None, evidence, key: "counter-1".into() }).unwrap();
        publish::publish(authority, &admin(), &authority.issuers["enterprise-ca"]).unwrap();
    }

    fn export(&self, name: &str) -> WoundDown {
        export(self.authority(), &self.opened.evidence, &Actor::LocalUser(7), &self.path(name), &mut |_, _| ()).unwrap()
    }

    fn root(&self) -> &[u8] {
        &self.authority().issuers["root"].record.der
    }

    fn vkey(&self) -> String {
        self.opened.evidence.verifier().unwrap().to_string()
    }

    fn verify(&self, name: &str) -> Result<Whole, PackageError> {
        verify(&self.path(name), self.root(), &self.vkey(), &mut |_, _| ())
    }

    /// A package as its own authority would sign it after a change.
    fn signed_anew(&self, name: &str) {
        let directory = self.path(name);
        let mut lines: Vec<String> = files(&directory)
            .into_iter()
            .filter(|path| path != MANIFEST && path != NOTE)
            .map(|path| {
                let digest = ring::digest::digest(&ring::digest::SHA256, &std::fs::read(directory.join(&path)).unwrap());
                let digest: String = digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
                format!("{digest}  {path}\n")
            })
            .collect();
        lines.sort_by(|a, b| a[66..].cmp(&b[66..]));
        let manifest = lines.concat();
        let digest: String = ring::digest::digest(&ring::digest::SHA256, manifest.as_bytes()).as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        std::fs::write(directory.join(MANIFEST), manifest).unwrap();
        std::fs::write(directory.join(NOTE), self.opened.evidence.sign_note(&note_text(&digest)).unwrap()).unwrap();
    }

    /// The same package with lines of one file changed, signed anew.
    fn changed(&self, from: &str, file: &str, change: impl Fn(&mut Vec<Value>)) -> Result<Whole, PackageError> {
        copy(&self.path(from), &self.path("changed"));
        let path = self.path("changed").join(file);
        let mut lines: Vec<Value> = std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        change(&mut lines);
        std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        self.signed_anew("changed");
        let found = self.verify("changed");
        std::fs::remove_dir_all(self.path("changed")).unwrap();
        found
    }
}

fn files(directory: &Path) -> Vec<String> {
    fn below(directory: &Path, name: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let (path, own) = { let entry = entry.unwrap(); (entry.path(), entry.file_name().into_string().unwrap()) };
            let name = if name.is_empty() { own } else { format!("{name}/{own}") };
            if path.is_dir() { below(&path, &name, found) } else { found.push(name) }
        }
    }
    let mut found = Vec::new();
    below(directory, "", &mut found);
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        std::fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
        std::fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

#[test]
fn a_package_holds_every_past_and_is_recorded() {
    let place = Place::found();
    place.live();
    let length = place.authority().store.stream_length(log::STREAM).unwrap();
    let done = place.export("package");
    let whole = place.verify("package").unwrap();
    assert_eq!((whole.certificates, whole.log_entries, whole.orders, whole.issuers), (done.certificates, length, 1, 5));
    assert_eq!((whole.sha256.as_str(), whole.lists), (done.sha256.as_str(), 5));
    // The act is in the log, after what it is about.
    let entries = place.authority().store.read_stream(log::STREAM, length, 10).unwrap();
    assert_eq!((entries.len(), entries[0][1]), (1, 67));
    let told: Value = serde_json::from_slice(&entries[0][10..]).unwrap();
    assert_eq!(told, json!({ "manifest_sha256": done.sha256, "certificates": done.certificates, "entries": length, "by": "uid:7" }));
    let text = |file: &str| std::fs::read_to_string(place.path("package").join(file)).unwrap();
    for said in ["\"key-compromise\"", "\"superseded\"", "\"suspended\":", "\"frozen\":", "\"freeze-ended\":{\"suspended\":true}", "\"resumed\"", "\"invalidity-dated\"", "\"predecessor\""] {
        assert!(text("certificates.jsonl").contains(said), "{said}");
    }
    assert_eq!(text("records/freeze-orders.jsonl").matches("(2026)粤01执123号").count(), 2);
    assert_eq!(text("records/successions.jsonl").lines().count(), 1);
    assert_eq!(text("certificates.pem").matches("BEGIN CERTIFICATE").count() as u64, done.certificates);
    assert_eq!(text("policies/practice-statement.md"), policies::PRACTICE_STATEMENT);
    // No key, sealed or not, and nobody else may read it.
    assert!(files(&place.path("package")).iter().all(|file| !file.contains("key/") && !file.ends_with(".key")));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(place.path("package")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    // What stands is never replaced, and the second export knows of the first.
    let again = export(place.authority(), &place.opened.evidence, &Actor::LocalUser(7), &place.path("package"), &mut |_, _| ());
    assert!(matches!(again, Err(BackupError::Exists { .. })));
    let inside = export(place.authority(), &place.opened.evidence, &Actor::LocalUser(7), &place.path("ca/package"), &mut |_, _| ());
    assert!(matches!(inside, Err(BackupError::Inside { .. })));
    place.export("second");
    assert_eq!(place.verify("second").unwrap().log_entries, length + 1);
}

#[test]
fn one_bit_anywhere_is_found_and_its_file_named() {
    let place = Place::found();
    place.live();
    place.export("package");
    let directory = place.path("package");
    for file in files(&directory) {
        let path = directory.join(&file);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len().saturating_sub(1)] {
            if whole.is_empty() {
                continue;
            }
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let refused = place.verify("package").unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{file} ")), "{file} at {at}: {refused}");
        }
        std::fs::write(&path, [&whole[..], b"\n"].concat()).unwrap();
        assert!(place.verify("package").unwrap_err().to_string().starts_with(&format!("{file} ")), "{file} longer");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(place.verify("package"), Err(PackageError::Missing { path }) if path == file), "{file} missing");
        std::fs::write(&path, &whole).unwrap();
    }
    place.verify("package").unwrap();
    // Nothing more than was signed, and no link out of it.
    std::fs::write(directory.join("policies/more.toml"), "").unwrap();
    assert!(matches!(place.verify("package"), Err(PackageError::Strange { path }) if path == "policies/more.toml"));
    std::fs::remove_file(directory.join("policies/more.toml")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", directory.join("link")).unwrap();
    assert!(matches!(place.verify("package"), Err(PackageError::Strange { path }) if path == "link"));
}

#[test]
fn other_keys_prove_nothing() {
    let (place, other) = (Place::found(), Place::found());
    place.live();
    place.export("package");
    let with = |root: &[u8], vkey: &str| verify(&place.path("package"), root, vkey, &mut |_, _| ()).unwrap_err();
    assert!(with(place.root(), &other.vkey()).to_string().starts_with("MANIFEST.note "));
    assert!(with(other.root(), &place.vkey()).to_string().starts_with("issuers/root.pem "));
    assert!(matches!(with(place.root(), "nonsense"), PackageError::Key(_)));
    assert!(matches!(with(b"nonsense", &place.vkey()), PackageError::Root));
    // An issuing certificate is no root.
    assert!(matches!(with(&place.authority().issuers["enterprise-ca"].record.der, &place.vkey()), PackageError::Root));
    let nowhere = verify(&place.path("nothing"), place.root(), &place.vkey(), &mut |_, _| ()).unwrap_err();
    assert!(matches!(nowhere, PackageError::Missing { .. }), "{nowhere}");
}

#[test]
fn who_holds_the_logs_key_cannot_tell_another_story() {
    let place = Place::found();
    place.live();
    let older = place.path("ca").join("older.crl");
    publish::publish(place.authority(), &admin(), &place.authority().issuers["enterprise-ca"]).unwrap();
    let list: CrlRecord = decode(&place.authority().store.get(&CrlRecord::key("enterprise-ca")).unwrap().unwrap()).unwrap();
    std::fs::write(&older, &list.der).unwrap();
    publish::publish(place.authority(), &admin(), &place.authority().issuers["enterprise-ca"]).unwrap();
    place.export("package");
    assert!(place.changed("package", "certificates.jsonl", |_| ()).is_ok(), "written anew it is the same");
    let revoked = |line: &&mut Value| line["record"]["status"].get("revoked").is_some();
    let refused = |found: Result<Whole, PackageError>, part: &str| {
        let text = found.unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    };
    let certificates = |change: &dyn Fn(&mut Vec<Value>), part: &str| refused(place.changed("package", "certificates.jsonl", change), part);
    certificates(&|lines| lines.iter_mut().find(revoked).unwrap()["record"]["status"] = json!("good"), "its status is not the one that the log tells");
    certificates(&|lines| lines.iter_mut().find(revoked).unwrap()["record"]["status"]["revoked"]["at"] = json!(1), "its status is not the one that the log tells");
    certificates(&|lines| drop(lines.iter_mut().find(revoked).unwrap()["history"].as_array_mut().unwrap().pop()), "its history is not the one");
    certificates(&|lines| lines[0]["record"]["not_after"] = json!(1), "its record is of another certificate");
    certificates(&|lines| lines[0]["record"]["issuer"] = json!("tls-ca-7"), "its issuer is not in the package");
    certificates(&|lines| drop(lines.remove(0)), "it is not the one at its place");
    certificates(&|lines| drop(lines.pop()), "it has a certificate without a record");
    certificates(&|lines| lines.push(lines[0].clone()), "it ends too early");
    refused(place.changed("package", "issuers.jsonl", |lines| drop(lines.remove(0))), "its issuer is not in the package");
    refused(place.changed("package", "lists.jsonl", |lines| drop(lines.remove(0))), "is missing");
    refused(place.changed("package", "records/orders.jsonl", |lines| lines[0]["record"]["application"]["key"] = json!("another")), "what was applied for is not");
    refused(place.changed("package", "records/orders.jsonl", Vec::clear), "it has 0 orders");
    refused(place.changed("package", "records/freeze-orders.jsonl", |lines| drop(lines.pop())), "records/freeze-orders.jsonl");
    // A certificate left out everywhere: the log knows it.
    copy(&place.path("package"), &place.path("without"));
    let path = |file: &str| place.path("without").join(file);
    let lines = std::fs::read_to_string(path("certificates.jsonl")).unwrap();
    std::fs::write(path("certificates.jsonl"), lines.split_once('\n').unwrap().1).unwrap();
    let bodies = std::fs::read_to_string(path("certificates.pem")).unwrap();
    std::fs::write(path("certificates.pem"), bodies.split_once("-----END CERTIFICATE-----\n").unwrap().1).unwrap();
    let mut package: Value = serde_json::from_slice(&std::fs::read(path("package.json")).unwrap()).unwrap();
    package["certificates"] = json!(package["certificates"].as_u64().unwrap() - 1);
    std::fs::write(path("package.json"), package.to_string()).unwrap();
    place.signed_anew("without");
    assert!(matches!(place.verify("without"), Err(PackageError::Untold { .. })));
    // The list before the last one.
    copy(&place.path("package"), &place.path("older"));
    std::fs::copy(&older, place.path("older/lists/enterprise-ca.crl")).unwrap();
    place.signed_anew("older");
    refused(place.verify("older"), "lists/enterprise-ca.crl");
    // A file of the log cut off with its line in the list of files.
    copy(&place.path("package"), &place.path("cut"));
    let bundle = files(&place.path("cut")).into_iter().find(|file| file.starts_with("log/tile/entries/")).unwrap();
    std::fs::remove_file(place.path("cut").join(bundle)).unwrap();
    place.signed_anew("cut");
    refused(place.verify("cut"), "log/tile/entries/");
}

#[test]
fn a_package_written_while_others_issue_is_of_one_moment() {
    let place = Place::found();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let serial = place.issue();
                place.revoke(&serial, "superseded", None);
            }
        });
        for number in 0..3 {
            place.export(&format!("package-{number}"));
        }
        over.store(true, Ordering::Relaxed);
    });
    let found: Vec<u64> = (0..3).map(|number| place.verify(&format!("package-{number}")).unwrap().log_entries).collect();
    assert!(found.is_sorted() && found[0] < found[2], "{found:?}");
}

#[test]
fn what_is_beyond_its_time_is_counted() {
    let place = Place::found();
    let years = place.authority().rules.retention.years();
    let serials: Vec<String> = (0..3).map(|_| place.issue()).collect();
    let report = || ca::retention::report(place.authority()).unwrap();
    let before = report();
    assert_eq!((before.years_after_expiry, before.expired, before.beyond), (years, 0, 0));
    assert!(before.certificates >= 3 && before.first_ends.unwrap() > place.clock.now().unix_timestamp());
    let ends = ca::register::get(&*place.authority().store, &ca::register::serial(&serials[0]).unwrap()).unwrap().not_after;
    let until = place.authority().rules.retention.kept_until(ends).unwrap();
    place.clock.advance(Duration::seconds(ends + 1 - place.clock.now().unix_timestamp()));
    assert!(report().expired >= 1 && report().beyond == 0);
    // Second by second: on its last one it is kept, after that it is not.
    place.clock.advance(Duration::seconds(until - place.clock.now().unix_timestamp()));
    let kept = report();
    place.clock.advance(Duration::seconds(1));
    let gone = report();
    assert!(gone.beyond > kept.beyond, "{kept:?} {gone:?}");
    place.clock.advance(Duration::days(366 * 30));
    assert_eq!(report().beyond, before.certificates);
    assert_eq!(report().first_kept_until, place.authority().rules.retention.kept_until(before.first_ends.unwrap()));
}

/// By whom and why an order is lifted.
fn lifting() -> ca::flow::hold::LiftWords {
    ca::flow::hold::LiftWords { authority: "穗城区人民法院".into(), reason: "(2026)穗执1号之一".into() }
}
