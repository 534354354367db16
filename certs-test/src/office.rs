//! A whole trust office in a directory of its own: authority, sealer, mail gateway, a small city with its bureaus.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::demo::people::{Bureau, bureaus};
use crate::programs::{Authority, Said, free_port, openssl, program, run};

pub const DOMAIN: &str = "mail.suiyin.example";
pub const HOST: &str = "mx.mail.suiyin.example";
/// Who runs the gateway, as the CA's applicant.
pub const OPERATOR: [&str; 4] = ["--name", "穗印示范运营中心", "--code", "12440100MAT9901707"];
/// What the bureaus of the demonstration send, in their order.
pub const KINDS: [&str; 2] = ["housing-fund", "pension"];

/// A mailbox and its password, as the import told them.
#[derive(Clone, Debug)]
pub struct Account {
    pub address: String,
    pub password: String,
}

pub struct Office {
    pub authority: Authority,
    pub home: PathBuf,
    pub smtp: u16,
    pub imap: u16,
    pub imaps: u16,
    pub submissions: u16,
    pub submission: u16,
    /// Bureaus' own systems, mutual TLS.
    pub push: u16,
    pub http: u16,
    pub people: Vec<Account>,
    pub institutions: Vec<Account>,
    sealer: Mutex<Option<Child>>,
    gateway: Option<Child>,
}

/// Makes a housing-fund row one of another statement and another account of the same person: of each month an account has one statement.
pub fn of_another_account(fields: &mut [String], mark: &str) {
    if let Some(statement) = fields.first_mut() {
        *statement = format!("{mark}-{statement}");
    }
    if let Some(account) = fields.get_mut(5) {
        let digest = ring::digest::digest(&ring::digest::SHA256, format!("{mark} {account}").as_bytes());
        *account = digest.as_ref().iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    }
}

impl Office {
    /// Founds and starts everything below `place`: `people` citizens with mailboxes, two bureaus registered, nothing pushed.
    pub fn open(place: &Path, people: u64) -> Self {
        Self::open_with(place, people, Vec::new())
    }

    /// With more in the environment of the authority's programs.
    pub fn open_with(place: &Path, people: u64, environment: Vec<(&'static str, PathBuf)>) -> Self {
        let mut authority = Authority::found_with(place, &[], environment);
        // Bureaus' certificates in parts too: the gateway finds the list that each of them names.
        authority.partition("officer-ca", 3);
        authority.start();
        let mut this = Self {
            authority,
            home: place.to_owned(),
            smtp: free_port(),
            imap: free_port(),
            imaps: free_port(),
            submissions: free_port(),
            submission: free_port(),
            push: free_port(),
            http: free_port(),
            people: Vec::new(),
            institutions: Vec::new(),
            sealer: Mutex::default(),
            gateway: None,
        };
        run(program("demo-data"), &["--out", "city", "--people", &people.to_string()], place).ok();
        this.found_sealer();
        this.found_gateway();
        this.institutions = this.import("institutions");
        this.people = this.import("people");
        this
    }

    fn found_sealer(&mut self) {
        self.sealer(&["sealer", "init", "--name", HOST, "--root", "ca/root.pem"]).ok();
        self.start_sealer();
        for bureau in bureaus() {
            self.certify(&bureau);
        }
    }

    /// The bureau's own key and the sealer's key for it, both certified; the sealer is told.
    fn certify(&self, bureau: &Bureau) {
        let (client, seal) = (format!("{}-client", bureau.code), format!("{}-seal", bureau.code));
        self.authority.request(&client, &format!("/C=CN/O={}", bureau.name));
        self.authority.issue(&client, "bureau-client", &["--name", bureau.name, "--code", &bureau.credit_code]);
        self.sealer(&["sealer", "request", bureau.code, "--name", bureau.name, "--out", &format!("{seal}.csr")]).ok();
        let address = format!("{}@{DOMAIN}", bureau.alias);
        self.authority.issue(&seal, "bureau-seal", &["--name", bureau.name, "--code", &bureau.credit_code, "--mailbox", &address]);
        self.sealer(&["sealer", "bureau", bureau.code, "--client", &format!("{client}.pem"), "--seal", &format!("{seal}.pem")]).ok();
    }

    fn found_gateway(&mut self) {
        let [smtp, imap, imaps, submissions, submission, push, http] = [self.smtp, self.imap, self.imaps, self.submissions, self.submission, self.push, self.http].map(|port| format!("127.0.0.1:{port}"));
        let addresses = ["--smtp", &smtp, "--imap", &imap, "--imaps", &imaps, "--submissions", &submissions, "--submission", &submission, "--push", &push, "--http", &http];
        let mut arguments = vec!["init", "--domain", DOMAIN, "--host", HOST, "--sealer", "sealer", "--root", "ca/root.pem", "--outbox", "ca/outbox.sock"];
        arguments.extend(addresses);
        self.mailgw(&arguments).ok();
        self.mailgw(&["tls", "request", "--name", "localhost", "--out", "mailgw.csr"]).ok();
        self.authority.issue("mailgw", "tls-server", &["--dns", HOST, "--dns", "localhost", "--ip", "127.0.0.1"]);
        self.mailgw(&["tls", "install", "mailgw.pem"]).ok();
        self.mailgw(&["evidence", "request", "--name", OPERATOR[1], "--out", "evidence.csr"]).ok();
        self.authority.issue("evidence", "delivery-evidence", &OPERATOR);
        self.mailgw(&["evidence", "install", "evidence.pem"]).ok();
        self.start_gateway();
        for (bureau, kind) in bureaus().iter().zip(KINDS) {
            self.register(bureau, kind).ok();
        }
    }

    pub fn register(&self, bureau: &Bureau, kind: &str) -> Said {
        let (client, seal) = (format!("{}-client.pem", bureau.code), format!("{}-seal.pem", bureau.code));
        let set = ["--name", bureau.name, "--name-en", bureau.name_en, "--hotline", bureau.hotline, "--kind", kind, "--client", &client, "--seal", &seal];
        self.mailgw(&[&["bureau", "set", bureau.code], set.as_slice()].concat())
    }

    fn import(&self, list: &str) -> Vec<Account> {
        let out = format!("{list}.accounts.csv");
        self.mailgw(&["mailbox", "import", &format!("city/{list}.csv"), "--out", &out]).ok();
        let text = std::fs::read_to_string(self.home.join(out)).expect("the accounts that were opened");
        let account = |line: &str| line.split_once(',').map(|(address, password)| Account { address: address.into(), password: password.into() });
        text.lines().skip(1).filter_map(account).collect()
    }

    /// The `mailgw` command of the gateway; the passphrase file is given, and used only when no service runs.
    pub fn mailgw(&self, arguments: &[&str]) -> Said {
        let all: Vec<&str> = ["--dir", "mailgw", "--passphrase-file", "pass"].iter().chain(arguments).copied().collect();
        run(program("mailgw"), &all, &self.home)
    }

    /// The `mailgw` command of the sealer's directory.
    pub fn sealer(&self, arguments: &[&str]) -> Said {
        let all: Vec<&str> = ["--dir", "sealer", "--passphrase-file", "pass"].iter().chain(arguments).copied().collect();
        run(program("mailgw"), &all, &self.home)
    }

    /// Signs `city/KIND.manifest.json` with the bureau's own key, by OpenSSL, into `KIND.p7s`.
    pub fn sign(&self, kind: &str) {
        self.sign_file(&bureau_of(kind), &format!("city/{kind}.manifest.json"), &format!("{kind}.p7s"));
    }

    pub fn sign_file(&self, bureau: &Bureau, manifest: &str, signature: &str) {
        let (certificate, key) = (format!("{}-client.pem", bureau.code), format!("{}-client.key", bureau.code));
        let sign = ["cms", "-sign", "-binary", "-in", manifest, "-signer", &certificate, "-inkey", &key, "-outform", "PEM", "-out", signature];
        openssl(&sign, &self.home).ok();
    }

    /// An officer of the authority with a key of the own: `NAME.pem` and `NAME.key`.
    pub fn officer(&self, name: &str, number: &str) {
        self.authority.request(name, "/C=CN");
        self.authority.issue(name, "officer", &["--officer", "陈一", "--number", number]);
    }

    /// An officer's signature over a file, by OpenSSL, into `NAME.p7s`.
    pub fn approve(&self, file: &str, name: &str) {
        let (certificate, key, signature) = (format!("{name}.pem"), format!("{name}.key"), format!("{name}.p7s"));
        let chain = std::fs::read_to_string(self.home.join(&certificate)).expect("an officer's certificate");
        let (_, issuers) = chain.split_once("-----END CERTIFICATE-----\n").expect("its issuers");
        self.write("issuers.pem", issuers.as_bytes());
        openssl(&["cms", "-sign", "-binary", "-in", file, "-signer", &certificate, "-certfile", "issuers.pem", "-inkey", &key, "-outform", "PEM", "-out", &signature], &self.home).ok();
    }

    /// Signs and pushes the city's file of a kind.
    pub fn push(&self, kind: &str) -> Said {
        self.sign(kind);
        self.push_signed(kind)
    }

    /// Pushes what `sign` signed; the outcome of every row is in `KIND.jsonl`.
    pub fn push_signed(&self, kind: &str) -> Said {
        let [rows, manifest] = [format!("city/{kind}.csv"), format!("city/{kind}.manifest.json")];
        self.mailgw(&["--json", "push", &rows, "--manifest", &manifest, "--signature", &format!("{kind}.p7s"), "--report", &format!("{kind}.jsonl")])
    }

    /// Rows of a city's file, changed and with a manifest that agrees with them: `CHANGED` names the new files.
    pub fn amend(&self, kind: &str, changed: &str, batch: &str, change: impl Fn(usize, &mut Vec<String>)) {
        let text = std::fs::read_to_string(self.home.join(format!("city/{kind}.csv"))).expect("the city's file");
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        let columns: Vec<&str> = header.split(',').collect();
        let (close, paid) = if kind == "pension" { ("close", "person_amt") } else { ("close_bal", "paid_in") };
        let place = |name| columns.iter().position(|column| *column == name).expect("a column");
        let mut sums = [0_i64; 2];
        let mut out = format!("{header}\r\n");
        let mut count = 0_u64;
        for (at, line) in lines.enumerate() {
            let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
            change(at, &mut fields);
            for (sum, column) in sums.iter_mut().zip([close, paid]) {
                let amount = fields.get(place(column)).map(|text| text.replace('.', "")).and_then(|text| text.parse::<i64>().ok());
                *sum += amount.unwrap_or(0);
            }
            out.push_str(&fields.join(","));
            out.push_str("\r\n");
            count += 1;
        }
        let digest: String = ring::digest::digest(&ring::digest::SHA256, out.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let manifest = std::fs::read_to_string(self.home.join(format!("city/{kind}.manifest.json"))).expect("the city's manifest");
        let mut manifest: Value = serde_json::from_str(&manifest).expect("a manifest");
        let yuan = |fen: i64| format!("{}.{:02}", fen / 100, fen % 100);
        manifest["batch_id"] = batch.into();
        manifest["rows"] = count.into();
        manifest["sum_close"] = yuan(sums[0]).into();
        manifest["sum_paid_in"] = yuan(sums[1]).into();
        manifest["sha256"] = digest.into();
        std::fs::write(self.home.join(format!("city/{changed}.csv")), out).expect("a place to write");
        std::fs::write(self.home.join(format!("city/{changed}.manifest.json")), format!("{manifest:#}\n")).expect("a place to write");
    }

    /// Also while others push.
    pub fn start_sealer(&self) {
        let mut sealer = self.spawn("sealer", &["sealer", "serve"]);
        self.wait("sealer", &mut sealer, || std::os::unix::net::UnixStream::connect(self.home.join("sealer/admin.sock")).is_ok());
        *self.sealer.lock().unwrap_or_else(PoisonError::into_inner) = Some(sealer);
    }

    pub fn start_gateway(&mut self) {
        let (mut gateway, ports) = (self.spawn("mailgw", &["serve"]), [self.smtp, self.imap, self.imaps, self.submissions, self.submission, self.push, self.http]);
        self.wait("mailgw", &mut gateway, || ports.iter().all(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok()));
        self.gateway = Some(gateway);
    }

    fn spawn(&self, name: &str, arguments: &[&str]) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.home.join(format!("{name}.log"))).expect("a place to log");
        let mut command = Command::new(program("mailgw"));
        command.args(["--dir", name, "--passphrase-file", "pass"]).args(arguments).current_dir(&self.home).stdin(Stdio::null()).stderr(log);
        command.spawn().expect("mailgw starts")
    }

    fn wait(&self, name: &str, child: &mut Child, up: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !up() {
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() >= until {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{name}: {}", std::fs::read_to_string(self.home.join(format!("{name}.log"))).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL while others still talk to the gateway; `reap_gateway` waits for its end.
    pub fn stop_gateway_hard(&self) {
        if let Some(gateway) = &self.gateway {
            run("kill", &["-9", &gateway.id().to_string()], &self.home);
        }
    }

    pub fn reap_gateway(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            let _ = gateway.wait();
        }
    }

    pub fn kill_gateway(&mut self) {
        self.stop_gateway_hard();
        self.reap_gateway();
    }

    /// A signal for the sealer, such as `-STOP`.
    pub fn signal_sealer(&self, signal: &str) {
        if let Some(sealer) = self.sealer.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            run("kill", &[signal, &sealer.id().to_string()], &self.home).ok();
        }
    }

    /// SIGTERM: the gateway is to end in order.
    pub fn ask_gateway_to_end(&self) {
        if let Some(gateway) = &self.gateway {
            run("kill", &["-TERM", &gateway.id().to_string()], &self.home).ok();
        }
    }

    /// How the gateway ended, once it has.
    pub fn gateway_ended(&mut self) -> Option<std::process::ExitStatus> {
        let ended = self.gateway.as_mut().and_then(|gateway| gateway.try_wait().ok().flatten());
        if ended.is_some() {
            self.gateway = None;
        }
        ended
    }

    pub fn kill_sealer(&self) {
        let sealer = self.sealer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut sealer) = sealer {
            let _ = sealer.kill();
            let _ = sealer.wait();
        }
    }

    pub fn gateway_id(&self) -> Option<u32> {
        self.gateway.as_ref().map(Child::id)
    }

    pub fn sealer_id(&self) -> Option<u32> {
        self.sealer.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Child::id)
    }

    pub fn path(&self, name: &str) -> String {
        self.home.join(name).to_string_lossy().into_owned()
    }

    /// Writes a file below the office's directory, readable by its user alone.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(self.home.join(name)).expect("a place to write");
        file.write_all(bytes).expect("a place to write");
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.kill_gateway();
        self.kill_sealer();
    }
}

/// The bureau of the demonstration that sends statements of a kind.
pub fn bureau_of(kind: &str) -> Bureau {
    let [fund, insurance] = bureaus();
    if kind == "pension" { insurance } else { fund }
}
