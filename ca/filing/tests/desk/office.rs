//! A desk in memory, with authorities of its own outside: they stamp, answer and list whatever a test wants.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};

use filing::desk::flow::authorise::{Callers, Enterprise};
use filing::desk::flow::receive::{Outcome, Submission, receive};
use filing::desk::flow::seal::Sealed;
use filing::desk::outside::Outside;
use filing::desk::policy::Policies;
use filing::desk::problem::DeskError;
use filing::desk::record::filing::Said;
use filing::desk::record::settings::Settings;
use filing::desk::{Desk, Parts, bureau};
use filing::document::{FilingId, Value};
use keys::{KeyStore, Passphrase};
use pki::cades::Signature;
use pki::cms::SignerPlan;
use pki::crl::{Entry, Reason};
use pki::ocsp::{CertStatus, OcspRequest, SingleResponse, assemble, responder_key_hash, response_data};
use pki::path::Anchors;
use pki::request::Request;
use pki::signature::DigestAlgorithm;
use pki::signer::Signer as _;
use pki::timestamp::{Moment, Terms, TimeStampRequest, TokenInfo, TokenPlan, granted};
use policies::certificate::Arc as PolicyArc;
use policies::desk::DeskPolicy;
use policies::filing::{Archive, Filings};
use ring::digest::{SHA256, digest};
use runtime::clock::{Clock, FakeClock};
use rustls::pki_types::CertificateDer;
use store::Store;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::city::{self, Authority, Key};

pub const NOW: OffsetDateTime = datetime!(2026-11-05 04:00 UTC);
pub const CODE: &str = "91440101MAT000018G";
pub const OTHER: &str = "91440101MAT000026B";
const CLIENT: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const TIME_STAMPING: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
pub const TAX: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1.1");
pub const SOCIAL: const_oid::ObjectIdentifier = const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1.2");
pub const ROOT_LIST: &str = "http://ca/root.crl";
pub const LIST: &str = "http://ca/2.crl";

/// A timestamp authority's key, and what of its tokens stays the same.
pub struct Stamper {
    key: Key,
    plan: TokenPlan,
}

/// What the desk asks: an authority, a responder, a timestamp authority, all of the test's.
pub struct World {
    pub root: Authority,
    pub issuer: Authority,
    tsa: Mutex<Arc<Stamper>>,
    clock: Arc<FakeClock>,
    /// By serial: what the responder says.
    pub statuses: Mutex<HashMap<Vec<u8>, CertStatus>>,
    /// What is on the issuer's list, and on the root's.
    pub listed: Mutex<[Vec<Entry>; 2]>,
    /// The next requests to the timestamp authority fail, so many.
    pub stamps_fail: Mutex<u32>,
    /// The timestamp authority signs its tokens as one that nobody believes.
    pub stranger_stamps: Mutex<Option<Arc<Stamper>>>,
    /// How far the timestamp authority's clock is from ours.
    pub stamp_offset: Mutex<Duration>,
    pub responder_fails: Mutex<bool>,
    /// So do the publishers of lists.
    pub lists_fail: Mutex<bool>,
    /// The responder answers nobody while this holds.
    pub responder_waits: (Mutex<bool>, Condvar),
    /// Tokens, answers and lists that were signed.
    pub signed: AtomicU64,
}

impl World {
    pub fn token(&self, request: &TimeStampRequest, at: OffsetDateTime) -> Vec<u8> {
        let terms = Terms { policy: TAX, accuracy_ms: 1_000, ordering: true };
        let info = TokenInfo::new(&terms, request, Moment { time: at, serial: city::serial() }).unwrap();
        self.signed.fetch_add(1, Relaxed);
        let stranger = self.stranger_stamps.lock().unwrap().clone();
        let tsa = stranger.unwrap_or_else(|| Arc::clone(&self.tsa.lock().unwrap()));
        tsa.plan.token(&info, &tsa.key).unwrap()
    }

    /// Another key of the timestamp authority, until then.
    pub fn roll(&self, until: OffsetDateTime) {
        *self.tsa.lock().unwrap() = tsa(&self.issuer, self.clock.now() - Duration::days(1), until);
    }

    pub fn list(&self, which: usize) -> Vec<u8> {
        self.signed.fetch_add(1, Relaxed);
        let now = self.clock.now();
        let authority = if which == 0 { &self.issuer } else { &self.root };
        let mut plan = authority.crl_plan();
        // The root's is made by people, once a year.
        let (age, valid) = if which == 0 { (Duration::seconds(1), Duration::hours(1)) } else { (Duration::days(90), Duration::days(275)) };
        (plan.this_update, plan.next_update) = (now - age, now + valid);
        authority.crl(&plan, self.listed.lock().unwrap()[which].clone())
    }
}

impl Outside for World {
    fn stamp(&self, request: Vec<u8>) -> Result<Vec<u8>, DeskError> {
        let fails = {
            let mut left = self.stamps_fail.lock().unwrap();
            left.checked_sub(1).inspect(|fewer| *left = *fewer).is_some()
        };
        if fails {
            return Err(DeskError::Away { what: "the timestamp authority", reason: "a test".into() });
        }
        // Nobody waits for another's token.
        let offset = *self.stamp_offset.lock().unwrap();
        Ok(granted(&self.token(&TimeStampRequest::parse(&request).unwrap(), self.clock.now() + offset)))
    }

    fn ocsp(&self, _: &str, request: Vec<u8>) -> Result<Vec<u8>, DeskError> {
        if *self.responder_fails.lock().unwrap() {
            return Err(DeskError::Away { what: "the certificate's status", reason: "a test".into() });
        }
        drop(self.responder_waits.1.wait_while(self.responder_waits.0.lock().unwrap(), |waits| *waits).unwrap());
        let asked = OcspRequest::parse(&request).unwrap();
        let status = self.statuses.lock().unwrap().get(&asked.ids[0].serial).copied().unwrap_or(CertStatus::Good);
        self.signed.fetch_add(1, Relaxed);
        let now = self.clock.now();
        let single = SingleResponse { id: &asked.ids[0].der, status, this_update: now, next_update: now + Duration::hours(1), archive_cutoff: Some(datetime!(2020-01-01 0:00 UTC)) };
        let data = response_data(&responder_key_hash(self.issuer.key.public_key_info()).unwrap(), now, &[single], asked.nonce.as_deref());
        Ok(assemble(&data, self.issuer.key.algorithm(), &self.issuer.key.sign(&data).unwrap(), &self.issuer.certificate))
    }

    fn lists(&self, urls: &[String], _: OffsetDateTime) -> Result<Vec<Vec<u8>>, DeskError> {
        if *self.lists_fail.lock().unwrap() {
            return Err(DeskError::Away { what: "the revocation lists", reason: "a test".into() });
        }
        Ok(urls.iter().map(|url| self.list(usize::from(url == ROOT_LIST))).collect())
    }
}

/// An enterprise with its certificate.
pub struct Firm {
    pub key: Key,
    pub certificate: Vec<u8>,
}

impl Firm {
    pub fn serial(&self) -> Vec<u8> {
        pki::view::CertificateView::parse(&self.certificate).unwrap().serial.to_vec()
    }
}

pub struct Office {
    pub desk: Desk,
    pub world: Arc<World>,
    pub clock: Arc<FakeClock>,
    pub callers: Callers,
    pub place: tempfile::TempDir,
}

pub struct Founded {
    pub world: Arc<World>,
    pub clock: Arc<FakeClock>,
    keys: Arc<KeyStore>,
    place: tempfile::TempDir,
}

impl Founded {
    pub fn new() -> Self {
        let clock = Arc::new(FakeClock::new(NOW));
        let root = Authority::root("穗印根");
        let issuer = root.below("企业签发机构", |plan| plan.extensions.crl_urls = vec![ROOT_LIST.into()]);
        let tsa = Mutex::new(tsa(&issuer, datetime!(2026-01-01 0:00 UTC), datetime!(2027-01-01 0:00 UTC)));
        let world = World {
            root,
            issuer,
            tsa,
            clock: Arc::clone(&clock),
            statuses: Mutex::default(),
            listed: Mutex::new([Vec::new(), Vec::new()]),
            stamps_fail: Mutex::new(0),
            stranger_stamps: Mutex::default(),
            stamp_offset: Mutex::new(Duration::ZERO),
            responder_fails: Mutex::new(false),
            lists_fail: Mutex::new(false),
            responder_waits: (Mutex::new(false), Condvar::new()),
            signed: AtomicU64::new(0),
        };
        let place = tempfile::tempdir().unwrap();
        let keys = Arc::new(KeyStore::create(&place.path().join("keys"), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap());
        std::fs::create_dir(place.path().join("attachments")).unwrap();
        Self { world: Arc::new(world), clock, keys, place }
    }

    /// A desk over this store, with the policies changed at will; without seals where the store has none.
    pub fn desk(&self, store: Arc<dyn Store>, change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Desk {
        let arc = PolicyArc::parse("arc.toml", "arc = \"1.3.6.1.4.1.32473\"").unwrap();
        let mut documents: Vec<(&'static str, String)> = policies::desk::SHIPPED.iter().map(|(file, text)| (*file, (*text).to_owned())).collect();
        change(&mut documents);
        let desk = DeskPolicy::parse(documents.iter().map(|(file, text)| (*file, text.as_str())), arc).unwrap();
        let policies = Policies { filings: Filings::shipped().unwrap(), desk, archive: Archive::shipped().unwrap(), archive_digest: "shipped".into(), digest: String::new() };
        let roots = Arc::new(Anchors::new(std::slice::from_ref(&self.world.root.certificate)).unwrap());
        let anchors = policies.desk.bureaus().iter().map(|bureau| (bureau.code.as_str().to_owned(), Arc::clone(&roots))).collect();
        let settings = Settings { host: "desk.example.cn".into(), log_origin: "desk.example.cn/filing".into(), log_key: "key".into() };
        let (world, clock): (Arc<dyn Outside>, Arc<dyn Clock>) = (self.world.clone(), self.clock.clone());
        let attachments: PathBuf = self.place.path().join("attachments");
        Desk::new(Parts { store, clock, settings, base_url: "https://desk.example.cn".into(), keys: Arc::clone(&self.keys), policies, anchors, outside: world, attachments }).unwrap()
    }

    pub fn seal(&self, desk: &Desk) {
        for code in ["gz-tax", "gz-social-insurance"] {
            set_seal(&self.world, desk, code, |_| {});
        }
    }
}

/// Another seal for a bureau; its certificate.
pub fn set_seal(world: &World, desk: &Desk, code: &str, change: impl FnOnce(&mut pki::certificate::CertificatePlan)) -> Vec<u8> {
    let request = Request::parse(bureau::request(desk, code).unwrap().as_bytes()).unwrap();
    let seal = world.issuer.seal(&request.spki, |plan| {
        plan.extensions.crl_urls = vec![LIST.into()];
        change(plan);
    });
    let pem = [pem::Pem::new("CERTIFICATE", seal.clone()), pem::Pem::new("CERTIFICATE", world.issuer.certificate.clone())].map(|one| pem::encode(&one)).concat();
    bureau::set(desk, code, pem.as_bytes()).unwrap();
    seal
}

/// A store as `init` founds it, which holds no older form of anything.
pub fn founded_store() -> Arc<dyn Store> {
    let store = store::Memory::new();
    store.commit(store::Batch::new().put(Said::newest_alone(), vec![1])).unwrap();
    Arc::new(store)
}

impl Office {
    pub fn open() -> Self {
        Self::open_with(|_| {})
    }

    pub fn open_with(change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Self {
        Self::over(founded_store(), change)
    }

    pub fn over(store: Arc<dyn Store>, change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Self {
        let founded = Founded::new();
        let desk = founded.desk(store, change);
        founded.seal(&desk);
        Self { desk, world: founded.world, clock: founded.clock, callers: Callers::default(), place: founded.place }
    }

    pub fn clock_now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    pub fn firm(&self, code: &'static str) -> Firm {
        self.firm_with(code, |_| {})
    }

    pub fn firm_with(&self, code: &'static str, change: impl FnOnce(&mut pki::certificate::CertificatePlan)) -> Firm {
        firm(&self.world.issuer, code, change)
    }

    pub fn caller(&self, firm: &Firm) -> Enterprise {
        let chain = [CertificateDer::from(firm.certificate.clone()), CertificateDer::from(self.world.issuer.certificate.clone())];
        self.callers.authorise(&self.desk, &chain).unwrap()
    }

    pub fn sign(&self, firm: &Firm, document: &[u8]) -> Vec<u8> {
        sign(&self.world, firm, document, self.clock.now())
    }

    /// With a timestamp of our own authority, over other octets when a test wants it.
    pub fn stamped(&self, signature: &[u8], at: OffsetDateTime) -> Vec<u8> {
        stamped(&self.world, signature, at)
    }

    pub fn submit(&self, firm: &Firm, filing: &[u8]) -> Result<Outcome, DeskError> {
        self.submit_signed(firm, filing, self.sign(firm, filing))
    }

    pub fn submit_signed(&self, firm: &Firm, filing: &[u8], signature: Vec<u8>) -> Result<Outcome, DeskError> {
        receive(&self.desk, &self.caller(firm), &Submission { filing: filing.to_vec(), signature, received_at: self.clock.now() })
    }

    pub fn receipt(&self, firm: &Firm, filing: &[u8]) -> Sealed {
        receipted(self.submit(firm, filing).unwrap())
    }

    /// The numbers of the checks that were not passed, first first.
    pub fn refused(&self, firm: &Firm, filing: &[u8]) -> Vec<u8> {
        refused(self.submit(firm, filing).unwrap())
    }
}

pub fn tsa(issuer: &Authority, from: OffsetDateTime, until: OffsetDateTime) -> Arc<Stamper> {
    let key = Key::p256();
    let certificate = issuer.seal(key.public_key_info(), |plan| {
        (plan.not_before, plan.not_after) = (from, until);
        plan.extensions.key_usage = vec![0];
        plan.extensions.extended_key_usage = vec![TIME_STAMPING];
        plan.extensions.extended_key_usage_critical = true;
        plan.extensions.crl_urls = vec![LIST.into()];
    });
    let plan = TokenPlan::new(&certificate, &[&issuer.certificate]).unwrap();
    Arc::new(Stamper { key, plan })
}

pub fn firm(issuer: &Authority, code: &'static str, change: impl FnOnce(&mut pki::certificate::CertificatePlan)) -> Firm {
    let key = Key::p256();
    let mut plan = city::bureau_plan(key.public_key_info());
    let subject = pki::name::Subject::new();
    let subject = subject.with(pki::name::COUNTRY, "CN").unwrap().with(pki::name::ORGANIZATION, "广州某某有限公司").unwrap();
    plan.subject = subject.with(pki::name::ORGANIZATION_IDENTIFIER, &format!("NTRCN-{code}")).unwrap().with(pki::name::COMMON_NAME, "广州某某有限公司").unwrap();
    plan.extensions.credit_code = Some(code.into());
    plan.extensions.extended_key_usage = vec![CLIENT];
    plan.extensions.policies = vec![TAX, SOCIAL];
    plan.extensions.alternative_names = vec![pki::certificate::AlternativeName::Email("1234567897@mail.example.cn".into())];
    plan.extensions.crl_urls = vec![LIST.into()];
    plan.extensions.ocsp_urls = vec!["http://ca/ocsp".into()];
    change(&mut plan);
    Firm { certificate: issuer.sign(plan), key }
}

pub fn sign(world: &World, firm: &Firm, document: &[u8], at: OffsetDateTime) -> Vec<u8> {
    let plan = SignerPlan::new(&firm.certificate, &[&world.issuer.certificate]).unwrap();
    let mut content = [0; 32];
    content.copy_from_slice(digest(&SHA256, document).as_ref());
    plan.seal(content, at, &firm.key).unwrap()
}

pub fn stamped(world: &World, signature: &[u8], at: OffsetDateTime) -> Vec<u8> {
    let signature = Signature::read(signature).unwrap();
    let request = TimeStampRequest { imprint: signature.timestamp_imprint(DigestAlgorithm::Sha256), policy: None, nonce: None, certificate: true };
    signature.with_timestamp(&world.token(&request, at)).unwrap().der().to_vec()
}

pub fn receipted(outcome: Outcome) -> Sealed {
    match outcome {
        Outcome::Receipted(sealed) => sealed,
        Outcome::Refused(findings) => panic!("{findings:?}"),
    }
}

pub fn refused(outcome: Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Receipted(_) => panic!("it was receipted"),
        Outcome::Refused(findings) => findings.iter().map(|finding| finding.check.number()).collect(),
    }
}

pub fn id() -> String {
    let mut random = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random).unwrap();
    FilingId::from_random(random).as_str().to_owned()
}

/// A VAT return of October, right in every rule; `change` makes it what a test wants.
pub fn vat(code: &str, change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut filing = serde_json::json!({
        "filing_id": id(), "kind": "VAT_GENERAL", "form_version": "2021-20", "uscc": code, "period": "202610", "revision": 1,
        "signer_role": "legal-representative", "attachments": [],
        "payload": {"general_month": {
            "l1": "1000000.00", "l11": "130000.00", "l12": "91000.00", "l13": "5000.00", "l14": "1000.00", "l15": "0.00", "l16": "0.00",
            "l17": "95000.00", "l18": "95000.00", "l19": "35000.00", "l20": "0.00", "l21": "0.00", "l23": "0.00", "l24": "35000.00",
            "l28": "0.00", "l34": "35000.00", "l39": "2450.00", "l40": "1050.00", "l41": "700.00"
        }}
    });
    change(&mut filing);
    Value::parse(filing.to_string().as_bytes()).unwrap().canonical()
}

/// Other figures that keep every rule too: one yuan was paid before.
pub fn corrected(filing: &mut serde_json::Value) {
    for (line, amount) in [("l27", "1.00"), ("l28", "1.00"), ("l34", "34999.00"), ("l39", "2449.93"), ("l40", "1049.97"), ("l41", "699.98")] {
        filing["payload"]["general_month"][line] = amount.into();
    }
}

pub fn json(document: &[u8]) -> serde_json::Value {
    serde_json::from_slice(document).unwrap()
}

pub fn revoked(at: OffsetDateTime, reason: Reason) -> CertStatus {
    CertStatus::Revoked { at, reason, invalid_since: None }
}

/// A staff change of November: who joins and who leaves, each as type and number.
pub fn staff(code: &str, joins: &[&str], leaves: &[&str], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let insurances = ["110", "210", "310", "410"];
    let mut items: Vec<serde_json::Value> = joins
        .iter()
        .map(|number| serde_json::json!({"op": "ADD", "id_type": "01", "id_no": number, "name": "测试甲", "household": "OTHER_PROVINCE", "mobile": "13800000000", "hire_date": "2026-11-03", "contract": "FIXED", "insurances": insurances, "wage_month": "8000.00", "reason": "A01"}))
        .collect();
    items.extend(leaves.iter().map(|number| serde_json::json!({"op": "REMOVE", "id_type": "01", "id_no": number, "name": "测试乙", "leave_date": "2026-10-31", "insurances": insurances, "last_month": "202610", "reason": "R01"})));
    for (at, item) in items.iter_mut().enumerate() {
        item["seq"] = (at + 1).into();
    }
    let mut filing = serde_json::json!({
        "filing_id": id(), "kind": "SI_STAFF_CHANGE", "uscc": code, "period": "202611", "revision": 1,
        "signer_role": "operator", "attachments": [], "payload": {"items": items, "totals": {"add": joins.len(), "remove": leaves.len()}},
    });
    change(&mut filing);
    Value::parse(filing.to_string().as_bytes()).unwrap().canonical()
}

/// Who acts for the bureau in tests.
pub fn officer() -> filing::desk::officer::Officer {
    filing::desk::officer::Officer::new("陈一", 1000).unwrap()
}
