//! A gateway and a sealer over stores that survive, with a hierarchy of their own whose revocation lists are served.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::{Evidence, LogSigner};
use keys::{KeyHandle, KeyStore, Passphrase};
use runtime::revocation::RevocationLists;
use mailgw::bureau::trust::Anchors;
use mailgw::bureau::{self, BureauError, Registration};
use mailgw::directory::{Applicant, NewPassword, Words, today};
use mailgw::gateway::Gateway;
use mailgw::policy;
use mailgw::record::settings::Settings;
use mailgw::sealer::{Operation, Outcome, Page, PaperSeals, Seal, Sealer};
use pki::certificate::{self, AlternativeName, BasicConstraints, CertificatePlan, Extensions};
use pki::crl::CrlPlan;
use pki::name::{COMMON_NAME, COUNTRY, ORGANIZATION, ORGANIZATION_IDENTIFIER, Subject};
use pki::signer::{SignatureAlgorithm, Signer};
use runtime::clock::{Clock, FakeClock};
use runtime::exit::Problem;
use store::{Memory, Store};
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime};

pub const NOW: OffsetDateTime = datetime!(2026-11-25 08:00 UTC);
pub const DOMAIN: &str = "mail.gz.example";
pub const HOST: &str = "mx.mail.gz.example";
const ARC: &str = "1.3.6.1.4.1.32473";
const CODE: &str = "91440101MAT9900154";
pub const FUND: &str = "gz-housing-fund";
pub const INSURANCE: &str = "gz-social-insurance";
/// The serial of a citizen's certificate that is revoked.
pub const REVOKED: u8 = 70;
/// A resident, one from elsewhere, one from Hong Kong.
pub const PEOPLE: [(&str, &str, &str); 3] =
    [("01", "440106189602290015", "陈秀英"), ("01", "650102189001010018", "阿依古丽·买买提"), ("05", "810000189602290010", "司徒嘉欣")];

pub fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

pub fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// Who issues the bureaus' certificates.
struct Authority {
    key: KeyHandle,
    name: Vec<u8>,
    der: Vec<u8>,
    url: String,
}

fn plan(subject: Subject, key: &dyn Signer, serial: u8) -> CertificatePlan {
    CertificatePlan {
        serial: [serial; 16],
        issuer: Vec::new(),
        subject,
        not_before: NOW - Duration::days(30),
        not_after: NOW + Duration::days(300),
        spki: key.public_key_info().to_vec(),
        extensions: Extensions::default(),
    }
}

fn oid(below: &str) -> const_oid::ObjectIdentifier {
    const_oid::ObjectIdentifier::new(&format!("{ARC}.{below}")).unwrap()
}

impl Authority {
    fn plan(name: &str, key: &KeyHandle, serial: u8) -> CertificatePlan {
        let mut plan = plan(Subject::new().with(COUNTRY, "CN").unwrap().with(COMMON_NAME, name).unwrap(), key, serial);
        plan.extensions.key_usage = vec![5, 6];
        plan.extensions.basic_constraints = Some(BasicConstraints { ca: true, path_len: None });
        plan.extensions.policies = vec![const_oid::ObjectIdentifier::new_unwrap("2.5.29.32.0")];
        plan
    }

    fn root(keys: &KeyStore, server: &str) -> Self {
        let key = keys.generate("root", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let plan = Self::plan("root", &key, 1);
        Self { name: plan.subject.to_der(), der: certificate::self_signed(plan, &key).unwrap(), key, url: format!("{server}/root.crl") }
    }

    fn below(&self, keys: &KeyStore, server: &str) -> Self {
        let key = keys.generate("bureaus", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let plan = Self::plan("bureaus", &key, 2);
        Self { name: plan.subject.to_der(), der: self.sign(plan), key, url: format!("{server}/bureaus.crl") }
    }

    fn sign(&self, mut plan: CertificatePlan) -> Vec<u8> {
        plan.issuer.clone_from(&self.name);
        plan.extensions.authority_key_id = Some(certificate::key_id(self.key.public_key_info()).unwrap());
        if plan.extensions.crl_urls.is_empty() {
            plan.extensions.crl_urls = vec![self.url.clone()];
        }
        let tbs = certificate::tbs_der(&plan, self.key.algorithm()).unwrap();
        certificate::assemble(&tbs, self.key.algorithm(), &self.key.sign(&tbs).unwrap())
    }

    fn crl(&self) -> Vec<u8> {
        let plan = CrlPlan {
            issuer: self.name.clone(),
            this_update: NOW - Duration::days(1),
            next_update: NOW + Duration::days(6),
            number: 1,
            authority_key_id: certificate::key_id(self.key.public_key_info()).unwrap(),
            distribution_point: None,
            delta_of: None,
            freshest: None,
        };
        let revoked = pki::crl::Entry { serial: vec![REVOKED; 16], revoked_at: NOW - Duration::days(2), reason: pki::crl::Reason::Superseded, invalidity_date: None };
        let tbs = pki::crl::build_tbs(&plan, self.key.algorithm(), [revoked]);
        certificate::assemble(&tbs, self.key.algorithm(), &self.key.sign(&tbs).unwrap())
    }

    /// A certificate for a bureau, with its issuer, PEM; and its DER.
    fn bureau(&self, key: &dyn Signer, serial: u8, usage: &str, policy: &str, mailbox: Option<&str>) -> (String, Vec<u8>) {
        let der = self.sign(self.bureau_plan(key, serial, usage, policy, mailbox));
        (pem("CERTIFICATE", &der) + &pem("CERTIFICATE", &self.der), der)
    }

    fn bureau_plan(&self, key: &dyn Signer, serial: u8, usage: &str, policy: &str, mailbox: Option<&str>) -> CertificatePlan {
        let subject = Subject::new().with(COUNTRY, "CN").unwrap().with(ORGANIZATION, "广州住房公积金管理中心（示范）").unwrap();
        let subject = subject.with(ORGANIZATION_IDENTIFIER, &format!("NTRCN-{CODE}")).unwrap();
        let mut plan = plan(subject, key, serial);
        plan.extensions.key_usage = vec![0];
        plan.extensions.extended_key_usage = vec![const_oid::ObjectIdentifier::new(usage).unwrap()];
        plan.extensions.policies = vec![oid(policy)];
        plan.extensions.alternative_names = mailbox.map(|mailbox| AlternativeName::Email(mailbox.to_owned())).into_iter().collect();
        plan
    }
}

/// Answers every request for a path with what stands under it.
fn serve(listener: TcpListener, lists: Vec<(&'static str, Vec<u8>)>) {
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, mut asked) = (connection.unwrap(), [0; 2_048]);
            let count = connection.read(&mut asked).unwrap();
            let asked = String::from_utf8_lossy(&asked[..count]).into_owned();
            let (_, list) = lists.iter().find(|(path, _)| asked.starts_with(&format!("GET {path} "))).expect("a list of ours");
            write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", list.len()).unwrap();
            connection.write_all(list).unwrap();
        }
    });
}

/// A message as it stands in a mailbox: SHA-256 of all of it, and of the part that was signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Read {
    pub mailbox: String,
    pub message: String,
    pub entity: [u8; 32],
}

/// What outlives every crash: two stores, two directories with keys and heads of logs.
pub struct City {
    pub home: tempfile::TempDir,
    pub store: Arc<dyn Store>,
    pub sealing: Arc<dyn Store>,
    pub lists: RevocationLists,
    pub clock: Arc<FakeClock>,
    gateway_keys: Arc<KeyStore>,
    sealer_keys: Arc<KeyStore>,
    /// Of the bureau's own signing key.
    pub client: KeyHandle,
    pub client_der: Vec<u8>,
    client_pem: String,
    seal_pem: String,
    pub root_pem: String,
    issuer: Authority,
    /// Every content that a sealer was seen to sign, by job and row.
    pub signed: Mutex<HashMap<(String, u64), BTreeSet<[u8; 32]>>>,
    /// Messages that were read, by mailbox and UID: their bytes never change, so once is enough.
    pub read: Mutex<HashMap<(String, u32), Read>>,
    _runtime: tokio::runtime::Runtime,
}

impl City {
    /// Two bureaus known to sealer and gateway, three people with mailboxes.
    pub fn found() -> Self {
        let home = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let [keys, gateway_keys, sealer_keys] =
            ["authority", "mailgw", "sealer"].map(|place| Arc::new(KeyStore::create(&home.path().join(place).join("keys"), &passphrase()).unwrap()));
        let root = Authority::root(&keys, &server);
        let issuer = root.below(&keys, &server);
        serve(listener, vec![("/root.crl", root.crl()), ("/bureaus.crl", issuer.crl())]);
        let client = keys.generate("client", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let (client_pem, client_der) = issuer.bureau(&client, 3, "1.3.6.1.5.5.7.3.2", "6.2", None);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut this = Self {
            store: Arc::new(Memory::new()),
            sealing: Arc::new(Memory::new()),
            lists: RevocationLists::new(runtime.handle().clone()),
            clock: Arc::new(FakeClock::new(NOW)),
            gateway_keys,
            sealer_keys,
            client,
            client_der,
            client_pem,
            seal_pem: String::new(),
            root_pem: pem("CERTIFICATE", &root.der),
            issuer,
            signed: Mutex::default(),
            read: Mutex::default(),
            _runtime: runtime,
            home,
        };
        for (name, shipped) in [("mailbox", policies::mailbox::SHIPPED.as_slice()), ("statements", policies::statement::SHIPPED.as_slice()), ("push", policies::push::SHIPPED.as_slice()), ("senders", policies::sender::SHIPPED.as_slice())] {
            std::fs::create_dir_all(this.path("policies").join(name)).unwrap();
            shipped.iter().for_each(|(file, text)| std::fs::write(this.path("policies").join(name).join(file), text).unwrap());
        }
        let sealer = this.sealer(Arc::clone(&this.sealing));
        let request = sealer.perform(Operation::Request { bureau: FUND.into(), name: "广州住房公积金管理中心（示范）".into() });
        assert!(matches!(request, Ok(Outcome::Request(_))));
        let key = this.sealer_keys.load("seal-1").unwrap();
        this.seal_pem = this.issuer.bureau(&key, 4, "1.3.6.1.5.5.7.3.4", "3.1", Some(&format!("gjj@{DOMAIN}"))).0;
        for code in [FUND, INSURANCE] {
            sealer.perform(this.sealing_bureau(code)).unwrap();
        }
        let gateway = this.gateway(Arc::clone(&this.store));
        for code in [FUND, INSURANCE] {
            this.register(&gateway, code, "12329").unwrap();
        }
        for (id_type, id_no, name) in PEOPLE {
            let words = Words { id_type: Some(id_type.into()), id_no: Some(id_no.into()), name: Some(name.into()), ..Words::default() };
            let applicant = Applicant::parse(&words, gateway.directory.policy(), today(NOW)).unwrap();
            gateway.directory.open(applicant, NewPassword::Generated, NOW).unwrap();
        }
        this
    }

    /// A certificate for the evidence key that the gateway made last, with its issuer, PEM.
    pub fn evidence_certificate(&self, gateway: &Gateway, policy: &str) -> String {
        let made = gateway.store.counter(mailgw::record::evidence::KEYS).unwrap();
        let key = gateway.keys.load(&mailgw::record::evidence::key_name(made)).unwrap();
        self.issuer.bureau(&key, 5, "1.3.6.1.5.5.7.3.36", policy, None).0
    }

    /// A citizen's certificate for a key, and its issuer's, DER; it ends in so many hours.
    pub fn citizen(&self, spki: Vec<u8>, mailbox: &str, serial: u8, key_usage: &[u8], hours: i64) -> (Vec<u8>, Vec<u8>) {
        self.citizen_listed(spki, mailbox, serial, key_usage, hours, &self.issuer.url)
    }

    /// The same, whose revocation list is said to be there.
    pub fn citizen_listed(&self, spki: Vec<u8>, mailbox: &str, serial: u8, key_usage: &[u8], hours: i64, list: &str) -> (Vec<u8>, Vec<u8>) {
        let subject = Subject::new().with(COUNTRY, "CN").unwrap().with(COMMON_NAME, mailbox).unwrap();
        let mut plan = plan(subject, &self.client, serial);
        (plan.spki, plan.not_after) = (spki, NOW + Duration::hours(hours));
        plan.extensions.key_usage = key_usage.to_vec();
        plan.extensions.extended_key_usage = vec![const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4")];
        plan.extensions.policies = vec![oid("2.2")];
        plan.extensions.alternative_names = vec![AlternativeName::Email(mailbox.to_owned())];
        plan.extensions.crl_urls = vec![list.to_owned()];
        (self.issuer.sign(plan), self.issuer.der.clone())
    }

    /// A certificate of the bureaus' organisation for mail, and its issuer's, DER.
    pub fn mail_certificate(&self, key: &dyn Signer, serial: u8, usage: &str, policy: &str, address: &str) -> (Vec<u8>, Vec<u8>) {
        (self.issuer.bureau(key, serial, usage, policy, Some(address)).1, self.issuer.der.clone())
    }

    /// The same, whose revocation list is said to be there.
    pub fn mail_certificate_listed(&self, key: &dyn Signer, serial: u8, address: &str, list: &str) -> (Vec<u8>, Vec<u8>) {
        let mut plan = self.issuer.bureau_plan(key, serial, "1.3.6.1.5.5.7.3.4", "3.1", Some(address));
        plan.extensions.crl_urls = vec![list.to_owned()];
        (self.issuer.sign(plan), self.issuer.der.clone())
    }

    /// An officer's certificate, and its issuer's, DER.
    pub fn officer(&self, key: &dyn Signer, serial: u8, number: &str, policy: &str) -> (Vec<u8>, Vec<u8>) {
        let subject = Subject::new().with(COUNTRY, "CN").unwrap().with(pki::name::SERIAL_NUMBER, number).unwrap().with(COMMON_NAME, "陈一").unwrap();
        let mut plan = plan(subject, key, serial);
        plan.extensions.key_usage = vec![0];
        plan.extensions.extended_key_usage = vec![const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2")];
        plan.extensions.policies = vec![oid(policy)];
        (self.issuer.sign(plan), self.issuer.der.clone())
    }

    /// A card registry's certificate, with its issuer, PEM: the bureaus' own stands for one.
    pub fn registry_pem(&self) -> &str {
        &self.client_pem
    }

    /// Lists that are fetched anew.
    pub fn more_lists(&self) -> RevocationLists {
        RevocationLists::new(self._runtime.handle().clone())
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    pub fn sealing_bureau(&self, code: &str) -> Operation {
        Operation::Bureau { bureau: code.into(), clients: vec![self.client_pem.clone()], seal: self.seal_pem.clone() }
    }

    pub fn register(&self, gateway: &Gateway, code: &str, hotline: &str) -> Result<(), BureauError> {
        self.registered(gateway, code, hotline, &["housing-fund", "pension"])
    }

    pub fn register_kinds(&self, gateway: &Gateway, code: &str, kinds: &[&str]) -> Result<(), BureauError> {
        self.registered(gateway, code, "12329", kinds)
    }

    fn registered(&self, gateway: &Gateway, code: &str, hotline: &str, kinds: &[&str]) -> Result<(), BureauError> {
        let registration = Registration {
            code: code.into(),
            name: None,
            name_en: "Guangzhou Housing Fund Centre".into(),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            hotline: hotline.into(),
            clients: vec![self.client_pem.clone()],
            seal: self.seal_pem.clone(),
        };
        bureau::register(&*gateway.store, &gateway.directory, &gateway.anchors, &self.lists, &gateway.letters, &registration, NOW).map(|_| ())
    }

    fn evidence(&self, directory: &Path, store: Arc<dyn Store>, keys: &KeyStore, origin: &str) -> Arc<Evidence> {
        let signer = LogSigner { origin: origin.to_owned(), key: keys.note_key("log").unwrap() };
        Arc::new(Evidence::open(store, signer, directory).unwrap())
    }

    /// A timestamp authority's key, its certificate under a policy below the arc, and the issuer's, DER.
    pub fn timestamp_authority(&self, policy: &str) -> (KeyHandle, Vec<u8>, Vec<u8>) {
        static MADE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let name = format!("timestamp-{}", MADE.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let key = self.gateway_keys.generate(&name, SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let mut plan = plan(Subject::new().with(COUNTRY, "CN").unwrap().with(COMMON_NAME, "timestamps").unwrap(), &key, 50);
        plan.extensions.key_usage = vec![0];
        plan.extensions.extended_key_usage = vec![const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8")];
        plan.extensions.extended_key_usage_critical = true;
        plan.extensions.policies = vec![oid(policy)];
        (key, self.issuer.sign(plan), self.issuer.der.clone())
    }

    /// The gateway's log.
    pub fn log(&self, store: Arc<dyn Store>) -> Arc<Evidence> {
        self.evidence(&self.path("mailgw"), store, &Arc::clone(&self.gateway_keys), "gateway")
    }

    /// A gateway as after a start; its log must be the one that was promised.
    pub fn gateway(&self, store: Arc<dyn Store>) -> Gateway {
        let keys = Arc::clone(&self.gateway_keys);
        self.evidence(&self.path("mailgw"), Arc::clone(&store), &keys, "gateway").advance().unwrap();
        let settings = Settings { domain: DOMAIN.into(), host: HOST.into(), log_origin: "gateway".into(), log_key: String::new() };
        let anchors = Anchors::parse(self.root_pem.as_bytes(), ARC).unwrap();
        let policies = policy::read(&self.path("policies")).unwrap();
        Gateway::open(store, settings, keys, anchors, policies, Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    /// A sealer as after a start: it remembers no job.
    pub fn sealer(&self, store: Arc<dyn Store>) -> Sealer {
        let keys = Arc::clone(&self.sealer_keys);
        let evidence = self.evidence(&self.path("sealer"), Arc::clone(&store), &keys, "sealer");
        evidence.advance().unwrap();
        let anchors = Anchors::parse(self.root_pem.as_bytes(), ARC).unwrap();
        Sealer::new(store, keys, anchors, Arc::clone(&self.clock) as Arc<dyn Clock>, evidence)
    }

    /// Signs with the bureau's own key.
    pub fn sign(&self, manifest: &str) -> String {
        let plan = pki::cms::SignerPlan::new(&self.client_der, &[]).unwrap();
        pem("CMS", &plan.seal(mailgw::record::body::digest(manifest.as_bytes()), NOW, &self.client).unwrap())
    }
}

/// A sealer under watch; it may be started anew before its n-th order.
pub struct Watched<'a> {
    pub city: &'a City,
    sealer: Mutex<(Sealer, u64)>,
    anew_before: Option<u64>,
}

impl<'a> Watched<'a> {
    pub fn new(city: &'a City, store: Arc<dyn Store>, anew_before: Option<u64>) -> Self {
        Self { city, sealer: Mutex::new((city.sealer(store), 0)), anew_before }
    }
}

impl Seal for Watched<'_> {
    fn open(&self, manifest: &[u8], signature: &[u8], crls: &[Vec<u8>]) -> Result<String, Problem> {
        self.sealer.lock().unwrap().0.open(manifest, signature, crls)
    }

    fn page(&self, page: &Page<'_>, crls: &[Vec<u8>]) -> Result<PaperSeals, Problem> {
        Seal::page(&self.sealer.lock().unwrap().0, page, crls)
    }

    fn seal(&self, job: &str, rows: &[(u64, [u8; 32])]) -> Result<Vec<Vec<u8>>, Problem> {
        let mut sealer = self.sealer.lock().unwrap();
        if self.anew_before == Some(sealer.1) {
            sealer.0 = self.city.sealer(Arc::clone(&self.city.sealing));
        }
        sealer.1 += 1;
        let seals = Seal::seal(&sealer.0, job, rows)?;
        let mut signed = self.city.signed.lock().unwrap();
        for (row, digest) in rows {
            signed.entry((job.to_owned(), *row)).or_default().insert(*digest);
        }
        Ok(seals)
    }
}

/// RFC 3339, for manifests.
pub fn written(at: OffsetDateTime) -> String {
    at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z")).unwrap()
}
