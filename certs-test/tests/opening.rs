//! A mailbox applied for over HTTPS by curl, with a card registry's word that OpenSSL signs: opened, waiting, led to the one that is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::office::{HOST, Office, bureau_of};
use certs_test::programs::{Said, free_port, run};
use serde_json::{Value, json};

const NUMBER: &str = "830000189702280059";
const PASSWORD: &str = "几个互不相关的词语拼成一句";

fn application(key: &str, id_type: &str, number: &str, name: &str) -> Value {
    json!({ "key": format!("{key:-<32}"), "id_type": id_type, "id_no": number, "name": name, "password": PASSWORD })
}

struct Desk {
    office: Office,
    port: u16,
}

impl Desk {
    fn curl(&self, more: &[&str]) -> (u32, Value, String) {
        let resolve = format!("{HOST}:{}:127.0.0.1", self.port);
        let all = [&["-sS", "-i", "--cacert", "ca/root.pem", "--resolve", &resolve], more].concat();
        let said = run("curl", &all, &self.office.home).ok();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null), head.to_owned())
    }

    fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.port)
    }

    fn apply(&self, application: &Value) -> (u32, Value, String) {
        self.office.write("application.json", application.to_string().as_bytes());
        self.curl(&["-H", "Content-Type: application/json", "--data-binary", "@application.json", &self.url("/v1/applications")])
    }

    /// With the word of the registry, by OpenSSL alone.
    fn asserted(&self, application: &Value, document: &str, person: &str) -> Value {
        self.office.write("application.json", application.to_string().as_bytes());
        let text = self.office.mailgw(&["mailbox", "apply", "application.json", "--text"]).ok();
        let digest: String = ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let at = time::OffsetDateTime::now_utc().unix_timestamp() * 1_000;
        let word = json!({ "kind": "suiyin identity assertion v1", "registry": "gz-cards", "application": digest, "document": [document], "person": [person], "at": at }).to_string();
        self.office.write("word.json", word.as_bytes());
        self.office.sign_file(&bureau_of("pension"), "word.json", "word.p7s");
        let mut whole = application.clone();
        whole["assertion"] = json!({ "text": word, "signature": std::fs::read_to_string(self.office.home.join("word.p7s")).unwrap() });
        whole
    }

    fn accept(&self, id: &str, number: &str, name: &str) -> Said {
        self.office.write("number.txt", number.as_bytes());
        let command = format!("'{}' --dir mailgw --json mailbox application accept {id} --id-type 01 --name {name} --document original --person present --papers 'form 91' < number.txt", certs_test::programs::program("mailgw").display());
        run("sh", &["-c", &command], &self.office.home)
    }
}

#[test]
fn a_citizen_applies_with_a_proof_of_identity() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 2);
    let port = free_port();
    office.kill_gateway();
    let path = office.home.join("mailgw/mailgw.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, before.replace("[listen]\n", &format!("[listen]\napplications = \"127.0.0.1:{port}\"\n"))).unwrap();
    office.start_gateway();
    // A bureau's own certificate stands for a card registry's.
    let client = format!("{}-client.pem", bureau_of("pension").code);
    assert_eq!(office.mailgw(&["--json", "registry", "set", "gz-cards", "--client", &client]).json()[0]["code"], "gz-cards");
    let desk = Desk { office, port };
    // Opened at once, and once; curl reads the mailbox with the password that was applied with.
    let proved = desk.asserted(&application("a", "05", NUMBER, "林志玲"), "chip", "face");
    let (status, opened, head) = desk.apply(&proved);
    assert_eq!((status, opened["state"].as_str()), (200, Some("opened")), "{opened}");
    assert!(head.to_lowercase().contains("cache-control: no-store"));
    let address = opened["address"].as_str().unwrap().to_owned();
    let status_of = |what: &Value| desk.curl(&[&desk.url(what["application"].as_str().unwrap())]);
    assert_eq!((desk.apply(&proved).1, status_of(&opened).1), (opened.clone(), opened.clone()));
    let login = run("curl", &["-sS", "--cacert", "ca/root.pem", &format!("imaps://localhost:{}/", desk.office.imaps), "-u", &format!("{address}:{PASSWORD}"), "-X", "NOOP"], &desk.office.home);
    assert_eq!(login.code, 0, "{login:?}");
    // By the same paper there is no other, and the address is told to who proved to be its owner.
    let again = desk.asserted(&application("b", "05", NUMBER, "林志玲"), "chip", "present");
    let (_, exists, _) = desk.apply(&again);
    assert_eq!((exists["state"].as_str(), exists["reasons"][0]["code"].as_str(), exists["address"].as_str()), (Some("exists"), Some("has-mailbox"), Some(address.as_str())));
    // Who proves little waits; to this one it is the same whether there is a mailbox.
    let weak = |key: &str, id_type: &str, number: &str, name: &str| {
        let mut application = application(key, id_type, number, name);
        application["evidence"] = json!([{ "kind": "document-front", "sha256": "0".repeat(64) }]);
        desk.apply(&application)
    };
    let (_, here, _) = weak("c", "05", NUMBER, "林志玲");
    let (_, nobody, _) = weak("d", "01", "510104189707071279", "李志强");
    for what in ["state", "reasons", "document", "person"] {
        assert_eq!(here[what], nobody[what]);
    }
    assert_eq!((here["state"].as_str(), here.get("address")), (Some("waiting"), None));
    // An operator sees no number, and types the one of the paper.
    let listed = desk.office.mailgw(&["--json", "mailbox", "application", "list"]).ok();
    assert!(listed.contains("李志强") && !listed.contains("510104189707071279"), "{listed}");
    let id = nobody["id"].as_str().unwrap();
    assert_ne!(desk.accept(id, "440106189602290015", "李志强").code, 0);
    assert!(desk.accept(id, "510104189707071279", "李志强").json()["state"]["opened"]["mailbox"].is_string());
    assert_eq!(status_of(&nobody).1["state"], "opened");
    // Killed and started, everything stands; the other takes its application back.
    let mut desk = desk;
    desk.office.kill_gateway();
    desk.office.start_gateway();
    let path = desk.url(here["application"].as_str().unwrap());
    assert_eq!(desk.curl(&["-X", "DELETE", &path]).1["state"], "withdrawn");
    // What is wrong is told in Chinese with English beside, and tells nothing of what was sent.
    let (status, wrong, _) = desk.apply(&application("e", "01", "510104189707071270", "李志强"));
    assert!(status == 422 || status == 400 || status == 403 || status == 409, "{status} {wrong}");
    let text = wrong.to_string();
    assert!(text.contains("证件") && text.contains("check") && !text.contains("5101041897"), "{text}");
    assert_eq!(desk.curl(&[&desk.url(&format!("/v1/applications/{}", "0".repeat(64)))]).0, 404);
    // A network that asks too often waits; the log names nobody.
    let many = (0..40).map(|_| desk.apply(&json!({})).0).collect::<Vec<_>>();
    assert!(many.contains(&429), "{many:?}");
    let log = std::fs::read_to_string(desk.office.home.join("mailgw.log")).unwrap();
    for word in [NUMBER, "林志玲", "510104189707071279", "李志强", opened["application"].as_str().unwrap()] {
        assert!(!log.contains(word), "{word}");
    }
}
