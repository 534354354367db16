//! The built programs and the software that judges them, run as a person would run them.

// A harness of tests alone: what it cannot do ends the test with its reason.
#![allow(clippy::panic, clippy::expect_used)]

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What a finished program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The output of a program that must have succeeded.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    pub fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// A program of this workspace, from the target directory these tests run in.
pub fn program(name: &str) -> PathBuf {
    let built = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join(name)));
    match built {
        Some(path) if path.exists() => path,
        _ => panic!("{name} is not built; run scripts/test"),
    }
}

/// A tool in the Python environment that scripts/test makes.
pub fn oracle(name: &str) -> PathBuf {
    let target = program("ca").ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default();
    let path = target.join("oracles/bin").join(name);
    assert!(path.exists(), "{} is missing; run scripts/test", path.display());
    path
}

pub fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str], directory: &Path) -> Said {
    run_in(program, arguments, directory, &[])
}

/// With more in its environment.
pub fn run_in(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str], directory: &Path, environment: &[(&str, PathBuf)]) -> Said {
    let shown = program.as_ref().to_string_lossy().into_owned();
    let output = Command::new(program).args(arguments).current_dir(directory).envs(environment.iter().cloned()).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{shown}: {error}; run scripts/test"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

pub fn openssl(arguments: &[&str], directory: &Path) -> Said {
    run("openssl", arguments, directory)
}

/// SoftHSM's PKCS#11 module.
pub const SOFT_TOKEN_MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

pub const SOFT_TOKEN_PIN: &str = "6180-pin-3398";

/// A new token in `place` (`tokens`), its PIN in `pin`; the module's configuration, for `SOFTHSM2_CONF`.
pub fn soft_token(place: &Path, label: &str) -> PathBuf {
    let (tokens, configuration) = (place.join("tokens"), place.join("softhsm2.conf"));
    std::fs::create_dir(&tokens).expect("a place to write");
    std::fs::write(&configuration, format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = INFO\n", tokens.display())).expect("a place to write");
    let arguments = ["--init-token", "--free", "--label", label, "--pin", SOFT_TOKEN_PIN, "--so-pin", "so-pin-1234"];
    run_in("softhsm2-util", &arguments, place, &[("SOFTHSM2_CONF", configuration.clone())]).ok();
    let mut pin = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place.join("pin")).expect("a place to write");
    writeln!(pin, "{SOFT_TOKEN_PIN}").expect("a place to write");
    configuration
}

/// A port that nothing listens on and that this process gives out once. It lies below those that the kernel gives to callers
/// (32768 and up), so that no connection of another test takes it before its server does. Of two test programs that run at once each has
/// half of them: a service that is killed finds its port again.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 10_000;
    let lane = std::env::var("SUIYIN_PORT_LANE").ok().and_then(|lane| lane.parse::<u32>().ok()).unwrap_or(0) % 2;
    let start = std::process::id().wrapping_mul(61);
    (0..COUNT)
        .filter_map(|_| u16::try_from(FIRST + lane * COUNT + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// What the authority of citizens is bound to.
const MAIL_DOMAINS: [&str; 6] = ["--mail-domain", "mail.example.cn", "--mail-domain", "other.example.cn", "--mail-domain", crate::office::DOMAIN];

/// An authority in a directory of its own, with its service when it runs.
pub struct Authority {
    pub home: PathBuf,
    pub url: String,
    port: u16,
    service: Option<Child>,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Authority {
    /// Founds one below `place`.
    pub fn found(place: &Path) -> Self {
        Self::found_with(place, &[], Vec::new())
    }

    /// Founds one whose root's key was never in its directory: requests, a ceremony in `away`, and what it made taken in.
    pub fn found_offline(place: &Path, more: &[&str], environment: Vec<(&'static str, PathBuf)>) -> Self {
        let this = Self::nowhere(place, environment);
        this.request_hierarchy(more, "founding").ok();
        let held = this.found_root("founding", "away/founded", &["--root-keys", "away/root-keys", "--root-passphrase-file", "pass"]).json();
        this.ca(&["hierarchy", "install", "away/founded", "--root-sha256", held["root_sha256"].as_str().expect("a digest")]).ok();
        this
    }

    /// The first step of such a founding, into the new directory `out`.
    pub fn request_hierarchy(&self, more: &[&str], out: &str) -> Said {
        let listen = format!("127.0.0.1:{}", self.port);
        let request = ["--json", "hierarchy", "request", "--base-url", &self.url, "--listen", &listen, "--present", "甲", "--present", "乙", "--out", out];
        self.ca(&[&request[..], &MAIL_DOMAINS, more].concat())
    }

    /// The ceremony of such a founding, with no state directory.
    pub fn found_root(&self, requested: &str, out: &str, keys: &[&str]) -> Said {
        std::fs::create_dir_all(self.home.join("away")).expect("a place to write");
        let file = format!("{requested}/hierarchy.toml");
        let sha256 = run("sha256sum", &[&file], &self.home).ok();
        let reviewed = sha256.split(' ').next().unwrap_or_default();
        run_in(program("ca"), &[&["--json", "ceremony", "run", &file, "--sha256", reviewed, "--out", out][..], keys].concat(), &self.home, &self.environment)
    }

    /// The ceremony of a root's list, as `crl root prepare` wrote it down.
    pub fn sign_root_list(&self, prepared: &serde_json::Value, keys: &[&str], out: &str) -> Said {
        let text = |field: &str| prepared[field].as_str().unwrap_or_default();
        run_in(program("ca"), &[&["--json", "ceremony", "run", text("ceremony"), "--sha256", text("ceremony_sha256"), "--out", out][..], keys].concat(), &self.home, &self.environment)
    }

    /// Nothing but a place, a passphrase and a port.
    pub fn nowhere(place: &Path, environment: Vec<(&'static str, PathBuf)>) -> Self {
        let mut pass = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place.join("pass")).expect("a place to write");
        writeln!(pass, "correct horse battery").expect("a place to write");
        let port = free_port();
        Self { home: place.to_owned(), url: format!("http://127.0.0.1:{port}"), port, service: None, environment }
    }

    /// Founds one with more arguments, and more in the environment of all its commands.
    pub fn found_with(place: &Path, more: &[&str], environment: Vec<(&'static str, PathBuf)>) -> Self {
        let this = Self::nowhere(place, environment);
        let listen = format!("127.0.0.1:{}", this.port);
        let init = [&["init", "--base-url", &this.url, "--listen", &listen, "--root-passphrase-file", "pass"][..], &MAIL_DOMAINS].concat();
        this.ca(&[&init[..], more].concat()).ok();
        this
    }

    /// The same authority once more, below another place and listening elsewhere; none of its commands may run meanwhile.
    pub fn copied(&self, place: &Path) -> Self {
        let port = free_port();
        for name in ["ca", "pass"] {
            run("cp", &["-r", "--reflink=auto", &self.path(name), &place.to_string_lossy()], &self.home).ok();
        }
        let file = place.join("ca/ca.toml");
        let text = std::fs::read_to_string(&file).expect("the configuration");
        std::fs::write(file, text.replace(&self.port.to_string(), &port.to_string())).expect("a place to write");
        Self { home: place.to_owned(), url: format!("http://127.0.0.1:{port}"), port, service: None, environment: self.environment.clone() }
    }

    /// Has the certificates of an issuer put into so many parts, from the next start on.
    pub fn partition(&self, issuer: &str, parts: u16) {
        let file = self.home.join("ca/policies/authority/crl.toml");
        let policy = std::fs::read_to_string(&file).expect("the policy of lists");
        let changed: Vec<String> = policy.lines().map(|line| if line.starts_with(&format!("{issuer} = ")) { format!("{issuer} = {parts}") } else { line.to_owned() }).collect();
        std::fs::write(file, changed.join("\n")).expect("a place to write");
    }

    /// The `ca` command; the passphrase file is given, and used only when no service runs.
    pub fn ca(&self, arguments: &[&str]) -> Said {
        let all: Vec<&str> = ["--dir", "ca", "--passphrase-file", "pass"].iter().chain(arguments).copied().collect();
        run_in(program("ca"), &all, &self.home, &self.environment)
    }

    pub fn start(&mut self) {
        self.spawn();
        let until = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.service.as_mut().and_then(|service| service.try_wait().ok().flatten());
            assert!(ended.is_none() && Instant::now() < until, "{}", std::fs::read_to_string(self.home.join("serve.log")).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the service and waits for nothing.
    pub fn spawn(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.home.join("serve.log")).expect("a place to log");
        let service = Command::new(program("ca"))
            .args(["--dir", "ca", "--passphrase-file", "pass", "serve"])
            .current_dir(&self.home)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("ca serve starts");
        self.service = Some(service);
    }

    /// SIGKILL, and nothing else.
    pub fn kill(&mut self) {
        self.stop_hard();
        self.reap();
    }

    /// SIGKILL while others still talk to the service.
    pub fn stop_hard(&self) {
        if let Some(service) = &self.service {
            run("kill", &["-9", &service.id().to_string()], &self.home);
        }
    }

    /// Waits for the end of what was killed.
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

    pub fn path(&self, name: &str) -> String {
        self.home.join(name).to_string_lossy().into_owned()
    }

    /// A key and a request made by OpenSSL: `NAME.key`, `NAME.csr`.
    pub fn request(&self, name: &str, subject: &str) {
        let (key, csr) = (format!("{name}.key"), format!("{name}.csr"));
        let made = openssl(&["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8", "-subj", subject, "-keyout", &key, "-out", &csr], &self.home);
        made.ok();
    }

    /// A citizen's certificate for `NAME.csr` into `NAME.pem`, of a mailbox of mail.example.cn, on a statement that OpenSSL
    /// signs with the key of the certificate `REGISTRAR.pem`; returns the serial.
    pub fn certify(&self, registrar: &str, name: &str, mailbox: &str) -> String {
        let answer = self.vouch(registrar, name, mailbox);
        let answer: serde_json::Value = serde_json::from_str(&answer.ok()).expect("an answer in JSON");
        let text = |field: &str| answer[field].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        std::fs::write(self.home.join(format!("{name}.pem")), text("certificate") + &text("chain")).expect("a place to write");
        text("serial")
    }

    /// What the authority answers to such a statement.
    pub fn vouch(&self, registrar: &str, name: &str, mailbox: &str) -> Said {
        let csr = format!("{name}.csr");
        openssl(&["req", "-in", &csr, "-outform", "DER", "-out", "one.der"], &self.home).ok();
        let digest = openssl(&["dgst", "-sha256", "-r", "one.der"], &self.home).ok();
        let id = openssl(&["rand", "-hex", "16"], &self.home).ok();
        let at = run("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"], &self.home).ok();
        let (digest, id, at) = (digest.split(' ').next().unwrap_or_default(), id.trim(), at.trim());
        let statement = format!(
            "{{\"form\":\"suiyin registrar statement 1\",\"id\":\"{id}\",\"mailbox\":\"{mailbox}@mail.example.cn\",\"standing\":\"open\",\"at\":\"{at}\",\"certify\":{{\"pseudonym\":\"P-00000000-{}\",\"request_sha256\":\"{digest}\"}}}}",
            mailbox.get(2..).unwrap_or_default()
        );
        let body = self.stated(registrar, &statement, Some(&std::fs::read_to_string(self.home.join(&csr)).expect("a request")));
        std::fs::write(self.home.join("body.json"), body).expect("a place to write");
        run("curl", &["-s", "--data-binary", "@body.json", &format!("{}/citizen", self.url)], &self.home)
    }

    /// A statement signed by OpenSSL, as it is sent.
    pub fn stated(&self, registrar: &str, statement: &str, request: Option<&str>) -> String {
        std::fs::write(self.home.join("statement.json"), statement).expect("a place to write");
        let (certificate, key) = (format!("{registrar}.pem"), format!("{registrar}.key"));
        openssl(&["cms", "-sign", "-binary", "-in", "statement.json", "-signer", &certificate, "-inkey", &key, "-outform", "DER", "-out", "statement.p7s"], &self.home).ok();
        let signature = openssl(&["base64", "-A", "-in", "statement.p7s"], &self.home).ok();
        let mut body = serde_json::json!({ "statement": statement, "signature": signature.trim() });
        if let Some(request) = request {
            body["request"] = request.into();
        }
        body.to_string()
    }

    /// Issues for `NAME.csr` into `NAME.pem` and returns the serial.
    pub fn issue(&self, name: &str, profile: &str, applicant: &[&str]) -> String {
        let (csr, out) = (format!("{name}.csr"), format!("{name}.pem"));
        let mut arguments = vec!["--json", "issue", profile, "--request", &csr, "--out", &out];
        arguments.extend(applicant);
        self.ca(&arguments).json()["serial"].as_str().expect("a serial").to_owned()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.kill();
    }
}
