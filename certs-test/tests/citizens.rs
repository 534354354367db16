//! A citizen's mail certificate from the counter of the built gateway to its end, with OpenSSL on the citizen's side; and what
//! strangers get from the built authority.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use certs_test::office::{DOMAIN, HOST, Office};
use certs_test::programs::{openssl, run};
use serde_json::{Value, json};

struct City {
    office: Office,
}

impl City {
    fn open(place: &std::path::Path) -> Self {
        let office = Office::open(place, 3);
        office.mailgw(&["registrar", "request", "--out", "registrar.csr"]).ok();
        let serial = office.authority.issue("registrar", "registrar", &["--dns", HOST]);
        // Before an administrator says so its word counts for nothing.
        office.mailgw(&["registrar", "install", "registrar.pem", "--authority", &office.authority.url]).ok();
        let this = Self { office };
        this.request("early");
        assert_eq!(this.refused(&this.number(0), "early"), "not-a-registrar");
        this.office.authority.ca(&["registrar", "set", &serial, "--domain", DOMAIN]).ok();
        this
    }

    /// The ten digits of somebody's mailbox.
    fn number(&self, person: usize) -> String {
        self.office.people.get(person).unwrap().address.split('@').next().unwrap().to_owned()
    }

    fn request(&self, name: &str) {
        self.office.authority.request(name, "/C=CN");
    }

    fn certify(&self, mailbox: &str, name: &str) -> Value {
        let (csr, out) = (format!("{name}.csr"), format!("{name}.pem"));
        self.office.mailgw(&["--json", "mailbox", "certificate", mailbox, "--request", &csr, "--out", &out]).json()
    }

    fn refused(&self, mailbox: &str, name: &str) -> String {
        let said = self.office.mailgw(&["--json", "mailbox", "certificate", mailbox, "--request", &format!("{name}.csr")]);
        assert_ne!(said.code, 0, "{said:?}");
        let text = if said.out.trim().is_empty() { &said.err } else { &said.out };
        let told: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        told["code"].as_str().or_else(|| told["error"]["code"].as_str()).unwrap_or_else(|| panic!("{told}")).to_owned()
    }

    fn serial(&self, name: &str) -> String {
        openssl(&["x509", "-in", &format!("{name}.pem"), "-noout", "-serial"], &self.office.home).ok().trim().trim_start_matches("serial=").to_lowercase()
    }

    /// What OCSP says, with its reason.
    fn status(&self, name: &str) -> String {
        let (url, pem) = (format!("{}/ocsp", self.office.authority.url), format!("{name}.pem"));
        openssl(&["ocsp", "-issuer", "ca/citizen-ca.pem", "-cert", &pem, "-url", &url, "-CAfile", "ca/root.pem", "-verify_other", "ca/citizen-ca.pem"], &self.office.home).ok()
    }

    fn wait(&self, name: &str, words: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        while !self.status(name).contains(words) {
            assert!(Instant::now() < until, "{}; {}", self.status(name), std::fs::read_to_string(self.office.home.join("mailgw.log")).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.office.home.join(name)).unwrap()
    }
}

#[test]
fn a_citizen_signs_and_receives_mail_until_the_mailbox_is_closed() {
    let place = tempfile::tempdir().unwrap();
    let mut city = City::open(place.path());
    let (first, second, third) = (city.number(0), city.number(1), city.number(2));
    let home = city.office.home.clone();
    // From a request by OpenSSL to the certificate, kept with the mailbox and found by the pseudonym.
    city.request("anna");
    let kept = city.certify(&first, "anna");
    let (address, pseudonym) = (format!("{first}@{DOMAIN}"), kept["pseudonym"].as_str().unwrap().to_owned());
    assert_eq!(kept["address"], address.as_str());
    let shown = city.office.mailgw(&["--json", "mailbox", "certificate", &first]).json();
    assert_eq!(shown, kept);
    assert_eq!(city.office.mailgw(&["--json", "mailbox", "show", &pseudonym]).json()["address"], address.as_str());
    let text = openssl(&["x509", "-in", "anna.pem", "-noout", "-text", "-nameopt", "utf8"], &home).ok();
    assert!(text.contains(&format!("email:{address}")) && text.contains(&pseudonym), "{text}");
    // Neither a name nor a number of the person, who is the first of the city's list.
    let people = String::from_utf8(city.read("city/people.csv")).unwrap();
    for row in people.lines().skip(1) {
        assert!(row.split(',').skip(1).all(|word| word.len() < 3 || !text.contains(word)), "{row}");
    }
    // OpenSSL: for mail, both ways, and for nothing else; in the inventory by profile and by address.
    let verify = |purpose: &str| openssl(&["verify", "-x509_strict", "-policy_check", "-purpose", purpose, "-CAfile", "ca/root.pem", "-untrusted", "anna.pem", "anna.pem"], &home).code;
    // Its purpose `smimeencrypt` asks for keyEncipherment, which an EC key must not have (RFC 5480, 3); `cms -encrypt` below does not.
    assert_eq!(verify("smimesign"), 0);
    assert!(verify("sslclient") != 0 && verify("sslserver") != 0 && verify("timestampsign") != 0);
    let listed = city.office.authority.ca(&["--json", "list", "--profile", "citizen", "--name", &address]).json();
    assert_eq!(listed[0]["serial"].as_str().unwrap(), city.serial("anna"));
    // Mail signed by the citizen, and mail that only the citizen opens: AuthEnvelopedData, AES-256-GCM under ECDH.
    city.office.write("mail.txt", "穗印\r\n".as_bytes());
    openssl(&["cms", "-sign", "-in", "mail.txt", "-text", "-signer", "anna.pem", "-inkey", "anna.key", "-certfile", "ca/citizen-ca.pem", "-out", "signed.eml"], &home).ok();
    let said = openssl(&["cms", "-verify", "-in", "signed.eml", "-text", "-CAfile", "ca/root.pem", "-purpose", "smimesign", "-out", "read.txt"], &home);
    assert!(said.err.contains("uccess") && city.read("read.txt") == city.read("mail.txt"), "{said:?}");
    for cipher in ["-aes-256-gcm", "-aes-256-cbc"] {
        openssl(&["cms", "-encrypt", "-binary", cipher, "-aes256-wrap", "-in", "mail.txt", "-recip", "anna.pem", "-keyopt", "ecdh_kdf_md:sha256", "-outform", "DER", "-out", "sealed.p7m"], &home).ok();
        openssl(&["cms", "-decrypt", "-inform", "DER", "-in", "sealed.p7m", "-recip", "anna.pem", "-inkey", "anna.key", "-out", "opened.txt"], &home).ok();
        assert_eq!(city.read("opened.txt"), city.read("mail.txt"), "{cipher}");
    }
    city.request("other");
    assert_ne!(openssl(&["cms", "-decrypt", "-inform", "DER", "-in", "sealed.p7m", "-inkey", "other.key", "-out", "none.txt"], &home).code, 0);
    // One at a time; the key of one is not another's; institutions have another counter.
    assert_eq!(city.refused(&first, "other"), "mailbox-has-certificate");
    assert_eq!(city.refused(&second, "anna"), "key-of-another");
    let institution = city.office.institutions.first().unwrap().address.clone();
    assert_eq!(city.refused(&institution, "other"), "institution");
    // The same request again has the same certificate nowhere but here: it is kept, and shown without asking.
    assert!(city.status("anna").contains("anna.pem: good"));
    // The holder ends it alone, by the key; then a new one is issued.
    openssl(&["req", "-new", "-key", "anna.key", "-subj", &format!("/CN=revoke {} superseded", city.serial("anna")), "-out", "said.csr"], &home).ok();
    run("curl", &["-sf", "--data-binary", "@said.csr", &format!("{}/revoke", city.office.authority.url)], &home).ok();
    assert!(city.status("anna").contains("anna.pem: revoked"));
    city.certify(&first, "other");
    // At the counter's word: the key is lost, and blocked.
    let ended = city.office.mailgw(&["--json", "mailbox", "certificate", &first, "--withdraw", "key-compromise"]).json();
    assert_eq!(ended, json!({ "withdrawn": [city.serial("other")] }));
    assert!(city.status("other").contains("keyCompromise"));
    assert_eq!(city.refused(&first, "other"), "blocked-key");
    // A mailbox is closed although the authority is away; when it is back, the certificate ends.
    city.request("second");
    city.certify(&second, "second");
    city.request("third");
    city.certify(&third, "third");
    city.office.authority.kill();
    city.office.mailgw(&["mailbox", "close", &second]).ok();
    city.request("late");
    assert_eq!(city.refused(&first, "late"), "unreachable");
    city.office.kill_gateway();
    city.office.authority.start();
    city.office.start_gateway();
    city.wait("second", "cessationOfOperation");
    assert!(city.status("third").contains("third.pem: good"));
    assert_eq!(city.refused(&second, "late"), "mailbox-closed");
    // What was asked while nobody heard is asked again, as it was, and once.
    city.certify(&first, "late");
    let mine = city.office.authority.ca(&["--json", "list", "--profile", "citizen", "--name", &address, "--state", "good"]).json();
    assert_eq!(mine.as_array().unwrap().len(), 1, "{mine}");
    // Neither service writes of whom it did that.
    for log in ["mailgw.log", "serve.log"] {
        let log = String::from_utf8(city.read(log)).unwrap();
        assert!(!log.contains("P-") && people.lines().skip(1).all(|row| row.split(',').nth(1).is_none_or(|number| !log.contains(number))));
    }
    // Both logs are proved by what they export.
    let vkey = |said: String| said.split('\'').nth(1).unwrap().to_owned();
    let exported = vkey(city.office.mailgw(&["log", "export", &city.office.authority.path("gateway-log")]).ok());
    city.office.mailgw(&["log", "verify", "gateway-log", "--vkey", &exported]).ok();
}

#[test]
fn the_authority_hears_no_stranger_and_no_word_twice() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = certs_test::programs::Authority::found(place.path());
    authority.start();
    let home = authority.home.clone();
    for (name, profile, words) in [("mx", "registrar", ["--dns", "mx.mail.example.cn"].as_slice()), ("other", "registrar", &["--dns", "mx.other.example.cn"]), ("server", "tls-server", &["--dns", "mx.mail.example.cn"])] {
        authority.request(name, "/C=CN");
        let serial = authority.issue(name, profile, words);
        match name {
            "mx" => drop(authority.ca(&["registrar", "set", &serial, "--domain", "mail.example.cn"]).ok()),
            "other" => drop(authority.ca(&["registrar", "set", &serial, "--domain", "other.example.cn"]).ok()),
            _ => assert_ne!(authority.ca(&["registrar", "set", &serial, "--domain", "mail.example.cn"]).code, 0),
        }
    }
    let code = |said: certs_test::programs::Said| serde_json::from_str::<Value>(&said.ok()).unwrap()["code"].as_str().unwrap_or("done").to_owned();
    authority.request("anna", "/C=CN");
    assert_eq!(code(authority.vouch("other", "anna", "1234567897")), "other-domain");
    assert_eq!(code(authority.vouch("server", "anna", "1234567897")), "not-a-registrar");
    // Self-signed by somebody who calls himself so.
    openssl(&["req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/C=CN/CN=mx.mail.example.cn", "-days", "9", "-keyout", "self.key", "-out", "self.pem"], &home).ok();
    assert_eq!(code(authority.vouch("self", "anna", "1234567897")), "not-a-registrar");
    assert_eq!(code(authority.vouch("mx", "anna", "1234567897")), "done");
    let body = String::from_utf8(std::fs::read(home.join("body.json")).unwrap()).unwrap();
    let send = |path: &str, body: &str| {
        std::fs::write(home.join("sent.json"), body).unwrap();
        run("curl", &["-s", "--data-binary", "@sent.json", &format!("{}{path}", authority.url)], &home)
    };
    // The very statement again: the same certificate, and no second one.
    let again: Value = serde_json::from_str(&send("/citizen", &body).ok()).unwrap();
    let issued = || authority.ca(&["--json", "list", "--profile", "citizen"]).json();
    assert_eq!((again["serial"].as_str(), issued().as_array().unwrap().len()), (issued()[0]["serial"].as_str(), 1));
    // Words or request changed on the way, another's signature, another address, no statement at all.
    let mut told: Value = serde_json::from_str(&body).unwrap();
    let statement = told["statement"].as_str().unwrap().to_owned();
    let with = |told: &mut Value, field: &str, value: Value| {
        told[field] = value;
        told.to_string()
    };
    assert_eq!(code(send("/citizen", &with(&mut told.clone(), "statement", statement.replace("1234567897", "1234567889").into()))), "signature");
    authority.request("eve", "/C=CN");
    let other_id = statement.replacen("\"id\":\"", "\"id\":\"0", 1);
    assert_eq!(code(send("/citizen", &with(&mut told.clone(), "statement", other_id.into()))), "statement");
    assert_eq!(code(send("/citizen/withdraw", &body)), "statement");
    let eve = std::fs::read_to_string(home.join("eve.csr")).unwrap();
    // A statement that was acted on has its own certificate, whatever request comes with it.
    let swapped: Value = serde_json::from_str(&send("/citizen", &with(&mut told, "request", eve.clone().into())).ok()).unwrap();
    assert_eq!(swapped["serial"], again["serial"]);
    let fresh = statement.replace("1234567897", "1234567889").replace("P-00000000-34567897", "P-00000000-34567889");
    let id = openssl(&["rand", "-hex", "16"], &home).ok();
    let at = fresh.find("\"id\":\"").unwrap() + 6;
    let fresh = format!("{}{}{}", fresh.get(..at).unwrap(), id.trim(), fresh.get(at + 32..).unwrap());
    assert_eq!(code(send("/citizen", &authority.stated("mx", &fresh, Some(&eve)))), "other-request");
    assert_eq!(code(send("/citizen", &authority.stated("mx", &fresh.replace("\"standing\":\"open\"", "\"standing\":\"closed\""), Some(&eve)))), "mailbox-not-open");
    let year = fresh.find("\"at\":\"").unwrap() + 6;
    let old = format!("{}2020{}", fresh.get(..year).unwrap(), fresh.get(year + 4..).unwrap());
    assert_eq!(code(send("/citizen", &authority.stated("mx", &old, Some(&eve)))), "statement-time");
    for odd in ["", "{}", "[]", "{\"statement\":1}", &"x".repeat(30_000)] {
        assert_eq!(code(send("/citizen", odd)), "statement", "{odd:.20}");
    }
    assert_eq!(run("curl", &["-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", &format!("@{}", { std::fs::write(home.join("big"), vec![b'x'; 100_000]).unwrap(); "big" }), &format!("{}/citizen", authority.url)], &home).ok(), "413");
    // Nothing came of all that; and what is revoked is not told again as good.
    assert_eq!(issued().as_array().unwrap().len(), 1);
    authority.ca(&["revoke", again["serial"].as_str().unwrap(), "--reason", "superseded"]).ok();
    assert_eq!(code(send("/citizen", &body)), "certificate-over");
    // A registrar whose own certificate is revoked speaks no more.
    let registrars = authority.ca(&["--json", "registrar", "list"]).json();
    let mx = registrars.as_array().unwrap().iter().find(|one| one["domain"] == "mail.example.cn").unwrap()["serial"].as_str().unwrap().to_owned();
    authority.ca(&["revoke", &mx, "--reason", "key-compromise"]).ok();
    assert_eq!(code(authority.vouch("mx", "eve", "1234567889")), "not-a-registrar");
}
