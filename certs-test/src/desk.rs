//! The built filing desk beside an authority: founded, certified, and filed at with OpenSSL and curl.

// A harness of tests alone: what it cannot do ends the test with its reason.
#![allow(clippy::panic, clippy::expect_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::office::{DOMAIN, Office};
use crate::programs::{Authority, Said, free_port, openssl, program, run};

pub struct FilingDesk {
    pub home: PathBuf,
    pub https: u16,
    pub http: u16,
    service: Option<Child>,
}

impl FilingDesk {
    /// Founds one in `desk` below the authority's place; `domain` is the mail gateway's. Timestamps need the authority running
    /// with a time source.
    pub fn found(authority: &Authority, domain: &str) -> Self {
        let this = Self { home: authority.home.clone(), https: free_port(), http: free_port(), service: None };
        let (url, https, http) = (format!("https://localhost:{}", this.https), format!("127.0.0.1:{}", this.https), format!("127.0.0.1:{}", this.http));
        let stamps = format!("{}/timestamp", authority.url);
        this.desk(&["init", "--host", "localhost", "--base-url", &url, "--root", "ca/root.pem", "--timestamp", &stamps, "--https", &https, "--http", &http]).ok();
        this.desk(&["tls", "request", "--name", "127.0.0.1", "--out", "desk.csr"]).ok();
        authority.issue("desk", "tls-server", &["--dns", "localhost", "--ip", "127.0.0.1"]);
        this.desk(&["tls", "install", "desk.pem"]).ok();
        for (bureau, name, code, mailbox) in [("gz-tax", "国家税务总局广州市税务局", "12440100MAT9901707", "tax"), ("gz-social-insurance", "广州市社会保险基金管理中心", "12440100MAT9901707", "social")] {
            this.desk(&["bureau", "request", bureau, "--out", &format!("{bureau}.csr")]).ok();
            authority.issue(bureau, "bureau-seal", &["--name", name, "--code", code, "--mailbox", &format!("{mailbox}@{domain}")]);
            this.desk(&["bureau", "set", bureau, "--seal", &format!("{bureau}.pem")]).ok();
        }
        this
    }

    /// `filing desk …`; the passphrase file is used only when no service runs.
    pub fn desk(&self, arguments: &[&str]) -> Said {
        let all: Vec<&str> = ["desk", "--desk-dir", "desk", "--desk-passphrase-file", "pass"].iter().chain(arguments).copied().collect();
        run(program("filing"), &all, &self.home)
    }

    pub fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.home.join("desk.log")).expect("a place to log");
        let mut command = Command::new(program("filing"));
        command.args(["desk", "--desk-dir", "desk", "--desk-passphrase-file", "pass", "serve"]).current_dir(&self.home).stdin(Stdio::null()).stderr(log);
        self.service = Some(command.spawn().expect("filing desk serve starts"));
        let until = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", self.https)).is_err() {
            let ended = self.service.as_mut().and_then(|service| service.try_wait().ok().flatten());
            assert!(ended.is_none() && Instant::now() < until, "{}", std::fs::read_to_string(self.home.join("desk.log")).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL while others still talk to it.
    pub fn stop_hard(&self) {
        if let Some(service) = &self.service {
            run("kill", &["-9", &service.id().to_string()], &self.home);
        }
    }

    pub fn reap(&mut self) {
        if let Some(mut service) = self.service.take() {
            let _ = service.wait();
        }
    }

    /// How the service ended by itself, where it did.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        let ended = self.service.as_mut().and_then(|service| service.try_wait().ok().flatten());
        if ended.is_some() {
            self.service = None;
        }
        ended
    }

    pub fn id(&self) -> Option<u32> {
        self.service.as_ref().map(Child::id)
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.https)
    }

    /// curl with an enterprise's certificate, `NAME.pem` and `NAME.key`; without one when it is empty.
    pub fn curl(&self, name: &str, arguments: &[&str]) -> Said {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let mut all = vec!["-s", "--cacert", "ca/root.pem"];
        if !name.is_empty() {
            all.extend(["--cert", &certificate, "--key", &key]);
        }
        all.extend(arguments);
        run("curl", &all, &self.home)
    }

    /// Signs a document by OpenSSL with `NAME`'s certificate and writes the body of a submission into `FILE.body`.
    pub fn sign(&self, name: &str, file: &str, document: &[u8]) {
        std::fs::write(self.home.join(file), document).expect("a place to write");
        let (certificate, issuers, key, signature) = (format!("{name}.pem"), format!("{name}.issuers.pem"), format!("{name}.key"), format!("{file}.p7s"));
        let chain = std::fs::read_to_string(self.home.join(&certificate)).expect("a certificate");
        let above = chain.split_inclusive("-----END CERTIFICATE-----\n").skip(1).collect::<String>();
        std::fs::write(self.home.join(&issuers), above).expect("a place to write");
        openssl(&["cms", "-sign", "-binary", "-cades", "-in", file, "-signer", &certificate, "-inkey", &key, "-certfile", &issuers, "-outform", "DER", "-out", &signature], &self.home).ok();
        self.enclose(file);
    }

    /// The body of a submission out of `FILE` and `FILE.p7s`, into `FILE.body`.
    pub fn enclose(&self, file: &str) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let read = |name: &str| std::fs::read(self.home.join(name)).expect("a file that was just made");
        let body = json!({ "filing": STANDARD.encode(read(file)), "signature": STANDARD.encode(read(&format!("{file}.p7s"))) });
        std::fs::write(self.home.join(format!("{file}.body")), body.to_string()).expect("a place to write");
    }

    /// Sends what `sign` made, with `name`'s certificate: the status and what was answered.
    pub fn send(&self, name: &str, path: &str, file: &str) -> (u16, Value) {
        let body = format!("@{file}.body");
        let said = self.curl(name, &["-w", "\n%{http_code}", "--data-binary", &body, &self.url(path)]);
        let (answer, status) = said.out.rsplit_once('\n').unwrap_or(("", "0"));
        (status.parse().unwrap_or(0), serde_json::from_str(answer).unwrap_or(Value::Null))
    }

    pub fn file(&self, name: &str, file: &str, document: &[u8]) -> (u16, Value) {
        self.sign(name, file, document);
        self.send(name, "filings", file)
    }
}

pub const CODE: &str = "91440101MAT000018G";
pub const NAME: &str = "广州某某有限公司";

/// Authority, mail gateway and desk, running, and a firm of two certificates, `firm` and `second`, whose mailbox is the first
/// institution's.
pub struct City {
    pub office: Office,
    pub desk: FilingDesk,
}

impl City {
    pub fn open(place: &Path) -> Self {
        let mut office = Office::open(place, 1);
        // A time source, and the second outbox.
        office.authority.kill();
        let mut file = std::fs::File::options().append(true).open(place.join("ca/ca.toml")).expect("a place to write");
        write!(file, "\n[timestamp]\nsource = \"unchecked\"\n").expect("a place to write");
        drop(file);
        office.authority.start();
        office.kill_gateway();
        let configuration = place.join("mailgw/mailgw.toml");
        let text = std::fs::read_to_string(&configuration).expect("a place to write");
        let line = format!("outbox = [{:?}, {:?}]", place.join("ca/outbox.sock"), place.join("desk/outbox.sock"));
        let changed: Vec<&str> = text.lines().map(|old| if old.starts_with("outbox") { line.as_str() } else { old }).collect();
        std::fs::write(configuration, changed.join("\n")).expect("a place to write");
        office.start_gateway();
        let mut desk = FilingDesk::found(&office.authority, DOMAIN);
        desk.start();
        for name in ["firm", "second"] {
            office.authority.request(name, "/C=CN");
            let mailbox = office.institutions.first().map(|one| one.address.clone()).unwrap_or_default();
            office.authority.issue(name, "enterprise-signing", &["--name", NAME, "--code", CODE, "--mailbox", &mailbox]);
        }
        Self { office, desk }
    }

    /// Files until a timestamp signer is there.
    pub fn file(&self, name: &str, file: &str, document: &Value) -> (u16, Value) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let (status, answer) = self.desk.file(name, file, document.to_string().as_bytes());
            if status != 503 || Instant::now() >= until {
                return (status, answer);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for FilingDesk {
    fn drop(&mut self) {
        self.stop_hard();
        self.reap();
    }
}

/// A VAT return that keeps every rule, canonical: `serial` makes its id, `period` is a month.
pub fn vat(code: &str, serial: u64, period: &str) -> Value {
    json!({
        "attachments": [], "filing_id": id(serial), "form_version": "2021-20", "kind": "VAT_GENERAL", "period": period, "revision": 1,
        "signer_role": "legal-representative", "uscc": code,
        "payload": {"general_month": {
            "l1": "1000000.00", "l11": "130000.00", "l12": "91000.00", "l13": "5000.00", "l14": "1000.00", "l15": "0.00", "l16": "0.00",
            "l17": "95000.00", "l18": "95000.00", "l19": "35000.00", "l20": "0.00", "l21": "0.00", "l23": "0.00", "l24": "35000.00",
            "l28": "0.00", "l34": "35000.00", "l39": "2450.00", "l40": "1050.00", "l41": "700.00"
        }}
    })
}

/// A return of a month that carries nothing on to the next.
pub fn alone(code: &str, serial: u64, period: &str) -> Value {
    let mut filing = vat(code, serial, period);
    if let Some(month) = filing.pointer_mut("/payload/general_month") {
        (month["l12"], month["l13"]) = ("96000.00".into(), "0.00".into());
    }
    filing
}

/// The one credit code with this body whose check letters are right.
pub fn credit_code(index: u64) -> String {
    let letters = || "0123456789ABCDEFGHJKLMNPQRTUWXY".chars();
    let mut all = letters().flat_map(|organisation| letters().map(move |last| format!("91440101MA{index:06}{organisation}{last}")));
    all.find(|code| policies::identity::CreditCode::parse(code).is_ok()).expect("one of them is right")
}

/// 26 letters, the number at their end.
pub fn id(serial: u64) -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let letter = |place: u32| char::from(LETTERS.get((serial >> (5 * place) & 31) as usize).copied().unwrap_or(b'0'));
    (0..13).map(|_| '0').chain((0..13).rev().map(letter)).collect()
}
