//! The sealer's work: manifests are proved, rows recorded, then signed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use evidence::{Evidence, LogSigner};
use keys::{KeyHandle, KeyStore, Passphrase};
use pki::cms::SignerPlan;
use pki::signer::SignatureAlgorithm;
use policies::statement::SenderCode;
use runtime::clock::Clock;
use runtime::exit::Problem;
use runtime::state::StateDir;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation, Store};
use time::{Duration, OffsetDateTime};

use super::packed;
use super::{MAX_ROWS, Opening, Operation, Order, Outcome, Page, PaperSeals, Seal, SealerError};
use crate::bureau::manifest;
use crate::bureau::trust::{self, Anchors, Purpose};
use crate::init::{InitError, LOG_KEY};
use crate::record::bureau::SealingBureau;
use crate::record::event::{Bureau, Event, PushBatch, Seals};
use crate::record::sealing::{self, Log};
use crate::record::body;
use crate::service::Exported;
use crate::tls::TlsError;

const ANCHORS: &str = "anchors.pem";
pub(crate) const CONFIGURATION: &str = "sealer.toml";
/// The counter that numbers the sealing keys.
const KEYS: &str = "sealing key";
/// Commits that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 16;

/// `sealer.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// `fjall:DIRECTORY` or `sled:DIRECTORY`, relative to the state directory.
    pub store: String,
    /// The arc that the CA's policies stand under.
    pub policy_arc: String,
}

/// How long a manifest is believed before it and the revocation lists are looked at again.
const JOB_LASTS: Duration = Duration::minutes(10);

/// A manifest that was proved, and what its rows are signed with.
struct Job {
    bureau: String,
    batch: String,
    rows: u64,
    opened: OffsetDateTime,
    plan: SignerPlan,
    key: KeyHandle,
}

impl Job {
    fn is_believed(&self, now: OffsetDateTime) -> bool {
        (self.opened..self.opened + JOB_LASTS).contains(&now)
    }
}

/// An open sealer.
pub struct Sealer {
    store: Arc<dyn Store>,
    keys: Arc<KeyStore>,
    anchors: Anchors,
    clock: Arc<dyn Clock>,
    pub evidence: Arc<Evidence>,
    jobs: Mutex<HashMap<String, Arc<Job>>>,
}

/// Makes a sealer in `path`; `name` is what its log is called.
pub fn init(path: &Path, name: &str, configuration: &Configuration, anchors: &[u8], passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<(Sealer, StateDir), InitError> {
    let name = crate::init::host_name(name)?;
    Anchors::parse(anchors, &configuration.policy_arc)?;
    let directory = StateDir::create(path)?;
    crate::init::write(&path.join(ANCHORS), anchors)?;
    let keys = KeyStore::create(&path.join("keys"), passphrase)?;
    let store = store::open(&configuration.store, path)?;
    let signer = LogSigner { origin: format!("{name}/sealer"), key: keys.note_key(LOG_KEY)? };
    let log = Log { origin: signer.origin.clone(), key: signer.verifier()?.to_string() };
    let sealer = assemble(path, configuration, Arc::clone(&store), keys, signer, clock)?;
    store.commit(Batch::new().expect(Expectation::Absent(Log::key())).put(Log::key(), log.encode()?))?;
    // Last of all: without its configuration a directory is one that was never founded to the end.
    crate::init::write_configuration(&path.join(CONFIGURATION), configuration)?;
    Ok((sealer, directory))
}

/// Opens the sealer in `path`.
pub fn open(path: &Path, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<(Sealer, StateDir), InitError> {
    let directory = StateDir::open(path)?;
    let configuration: Configuration = runtime::config::read(&path.join(CONFIGURATION))?;
    let keys = KeyStore::open(&path.join("keys"), passphrase)?;
    let store = store::open(&configuration.store, path)?;
    let log = Log::decode(&store.get(&Log::key())?.ok_or_else(|| InitError::Unfinished { path: path.to_owned() })?)?;
    let signer = crate::init::log_signer(&keys, path, log.origin, &log.key)?;
    Ok((assemble(path, &configuration, store, keys, signer, clock)?, directory))
}

fn assemble(path: &Path, configuration: &Configuration, store: Arc<dyn Store>, keys: KeyStore, signer: LogSigner, clock: Arc<dyn Clock>) -> Result<Sealer, InitError> {
    let anchors_path = path.join(ANCHORS);
    let anchors = std::fs::read(&anchors_path).map_err(|error| InitError::file(&anchors_path, &error))?;
    let anchors = Anchors::parse(&anchors, &configuration.policy_arc)?;
    let evidence = Arc::new(Evidence::open(Arc::clone(&store), signer, path)?);
    evidence.advance()?;
    Ok(Sealer::new(store, keys, anchors, clock, evidence))
}

impl Sealer {
    /// No job is open.
    pub fn new(store: Arc<dyn Store>, keys: impl Into<Arc<KeyStore>>, anchors: Anchors, clock: Arc<dyn Clock>, evidence: Arc<Evidence>) -> Self {
        Self { store, keys: keys.into(), anchors, clock, evidence, jobs: Mutex::default() }
    }

    pub fn perform(&self, operation: Operation) -> Result<Outcome, Problem> {
        Ok(match operation {
            Operation::Request { bureau, name } => Outcome::Request(self.request(&bureau, &name)?),
            Operation::Bureau { bureau, clients, seal } => {
                self.set_bureau(&bureau, &clients, &seal)?;
                Outcome::Done
            }
            Operation::Open(opening) => {
                let Opening { manifest, signature, crls } = opening;
                let crls: Vec<Vec<u8>> = crls.iter().map(|crl| base64("a revocation list", crl)).collect::<Result<_, _>>()?;
                Outcome::Job(self.open_job(&base64("the manifest", &manifest)?, &base64("the signature", &signature)?, &crls)?)
            }
            Operation::Seal(Order { job, rows }) => {
                let rows: Vec<(u64, [u8; 32])> = rows.iter().map(|(row, digest)| Ok((*row, digest_of(digest)?))).collect::<Result<_, SealerError>>()?;
                Outcome::Seals(packed::pack(&self.seal_rows(&job, &rows)?).ok_or(SealerError::Order { reason: "a seal is longer than any should be" })?)
            }
            Operation::Page(wanted) => {
                let seals = self.wanted_page(&wanted)?;
                Outcome::Page(STANDARD.encode(seals.paper), STANDARD.encode(seals.letter))
            }
            Operation::ExportLog { directory } => {
                let entries = self.evidence.export(&directory, &|_, _| {})?;
                let vkey = self.evidence.verifier()?.to_string();
                Outcome::Exported(Exported { directory, entries, vkey })
            }
        })
    }

    fn request(&self, bureau: &str, name: &str) -> Result<String, SealerError> {
        SenderCode::parse(bureau).map_err(|_| SealerError::Code { code: bureau.chars().take(80).collect() })?;
        let mut batch = Batch::new();
        let slot = batch.next(KEYS);
        let number = self.store.commit(batch)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
        let key = self.keys.generate(&key_name(number), SignatureAlgorithm::EcdsaP256Sha256)?;
        let subject = [(keys::DnType::CountryName, "CN".to_owned()), (keys::DnType::OrganizationName, name.to_owned())];
        Ok(key.request(Vec::new(), &subject).map_err(TlsError::from)?)
    }

    /// The certificates must be current and of one organisation; whether they are trusted is asked with every manifest.
    fn set_bureau(&self, bureau: &str, clients: &[String], seal: &str) -> Result<(), SealerError> {
        SenderCode::parse(bureau).map_err(|_| SealerError::Code { code: bureau.chars().take(80).collect() })?;
        let now = self.clock.now();
        let (seal, facts) = trust::chain(seal.as_bytes(), Purpose::Seal, now)?;
        let mut known = Vec::with_capacity(clients.len());
        for pem in clients {
            let (client, own) = trust::chain(pem.as_bytes(), Purpose::Manifest, now)?;
            if own.credit_code != facts.credit_code {
                return Err(SealerError::OtherOrganization);
            }
            known.push(client);
        }
        let wanted = trust::public_key_info(&seal, Purpose::Seal)?;
        let made = self.store.counter(KEYS)?;
        let key = crate::tls::made_here(&self.keys, made, key_name, &wanted).ok_or(SealerError::OtherKey)?;
        let record = SealingBureau { clients: known, key, seal }.encode()?;
        let event = Bureau { bureau: bureau.to_owned(), record: crate::hex(&body::digest(&record)) };
        let mut batch = Batch::new().put(SealingBureau::key(bureau), record);
        Event::SealingBureauSet(event).append(&mut batch, self.now_unix_millis())?;
        self.store.commit(batch)?;
        Ok(())
    }

    /// 1 the manifest names its bureau · 2 the bureau signed it, with a certificate that is trusted and not revoked · 3 it
    /// is the batch's only one, durably · 4 the seal itself is trusted and not revoked · 5 a job.
    fn open_job(&self, bytes: &[u8], signature: &[u8], crls: &[Vec<u8>]) -> Result<String, SealerError> {
        let claimed = manifest::parse(bytes)?;
        let unknown = || SealerError::UnknownBureau { code: claimed.sender().as_str().to_owned() };
        let record = self.store.get(&SealingBureau::key(claimed.sender().as_str()))?.ok_or_else(unknown)?;
        let record = SealingBureau::decode(&record)?;
        let now = self.clock.now();
        let signed = manifest::verify(claimed, bytes, signature, &record.clients, &self.anchors, crls, now)?;
        self.anchors.trusted(&record.seal, Purpose::Seal, crls, now)?;
        let (bureau, batch, rows) = (signed.manifest().sender().as_str().to_owned(), signed.manifest().batch_id().as_str().to_owned(), signed.manifest().rows());
        self.accept(&bureau, &batch, rows, signed.digest())?;
        let others: Vec<&[u8]> = record.seal.issuers().collect();
        let plan = SignerPlan::new(record.seal.leaf(), &others)?;
        let key = self.keys.load(&record.key)?;
        let name = crate::hex(signed.digest());
        let job = Arc::new(Job { bureau, batch, rows, opened: now, plan, key });
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, job| job.is_believed(now));
        jobs.insert(name.clone(), job);
        Ok(name)
    }

    fn accept(&self, bureau: &str, batch: &str, rows: u64, digest: &[u8; 32]) -> Result<(), SealerError> {
        let key = sealing::batch_key(bureau, batch);
        let other = || SealerError::OtherManifest { bureau: bureau.to_owned(), batch: batch.to_owned() };
        match self.store.get(&key)? {
            Some(found) if sealing::decode(&found)? == *digest => return Ok(()),
            Some(_) => return Err(other()),
            None => {}
        }
        let mut write = Batch::new().expect(Expectation::Absent(key.clone())).put(key, sealing::encode(digest));
        let event = PushBatch { bureau: bureau.to_owned(), batch: batch.to_owned(), manifest: crate::hex(digest), rows, outcome: None };
        Event::ManifestAccepted(event).append(&mut write, self.now_unix_millis())?;
        match self.store.commit(write) {
            // Somebody opened the same batch at the same moment: with the same manifest, or not.
            Err(CommitError::Conflict { .. }) => match self.store.get(&sealing::batch_key(bureau, batch))? {
                Some(found) if sealing::decode(&found)? == *digest => Ok(()),
                _ => Err(other()),
            },
            done => Ok(done.map(|_| ())?),
        }
    }

    /// 1 the job is open and not stale · 2 the rows are the manifest's · 3 what will be signed is durable · 4 signed.
    fn seal_rows(&self, job: &str, rows: &[(u64, [u8; 32])]) -> Result<Vec<Vec<u8>>, SealerError> {
        let now = self.clock.now();
        let job = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).get(job).cloned();
        let job = job.filter(|job| job.is_believed(now)).ok_or(SealerError::UnknownJob)?;
        if rows.is_empty() || rows.len() > MAX_ROWS {
            return Err(SealerError::Order { reason: "it has no row or too many" });
        }
        if !rows.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(SealerError::Order { reason: "its rows do not ascend" });
        }
        if rows.iter().any(|(row, _)| *row == 0 || *row > job.rows) {
            return Err(SealerError::Order { reason: "it has a row that the manifest does not" });
        }
        self.intend(&job, rows)?;
        // Two halves at once: signing is all of the work.
        let (left, right) = rows.split_at(rows.len() / 2);
        let sign = |rows: &[(u64, [u8; 32])]| rows.iter().map(|(_, digest)| job.plan.seal(*digest, now, &job.key)).collect::<Result<Vec<_>, _>>();
        let (left, right) = std::thread::scope(|scope| {
            let other = scope.spawn(|| sign(right));
            (sign(left), other.join())
        });
        let right = right.map_err(|_| SealerError::Order { reason: "its signing ended unexpectedly" })?;
        Ok([left?, right?].concat())
    }

    fn intend(&self, job: &Job, rows: &[(u64, [u8; 32])]) -> Result<(), SealerError> {
        for _ in 0..ATTEMPTS {
            let (mut write, mut said, mut count) = (Batch::new(), Vec::new(), 0_u64);
            for (row, digest) in rows {
                let key = sealing::row_key(&job.bureau, &job.batch, *row);
                match self.store.get(&key)? {
                    Some(found) if sealing::decode(&found)? == *digest => {}
                    Some(_) => return Err(SealerError::OtherContent { row: *row }),
                    None => {
                        write = write.expect(Expectation::Absent(key.clone())).put(key, sealing::encode(digest));
                        said.extend_from_slice(&row.to_be_bytes());
                        said.extend_from_slice(digest);
                        count += 1;
                    }
                }
            }
            if count == 0 {
                return Ok(());
            }
            let event = Seals { bureau: job.bureau.clone(), batch: job.batch.clone(), count, rows: crate::hex(&body::digest(&said)) };
            Event::SealsIntended(event).append(&mut write, self.now_unix_millis())?;
            match self.store.commit(write) {
                Err(CommitError::Conflict { .. }) => continue,
                done => return Ok(done.map(|_| ())?),
            }
        }
        Err(SealerError::Commit(CommitError::Unavailable { reason: "others seal the same rows again and again".into() }))
    }

    fn now_unix_millis(&self) -> u64 {
        crate::gateway::unix_millis(self.clock.now())
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(super) fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    pub(super) fn key(&self, name: &str) -> Result<KeyHandle, keys::KeyError> {
        self.keys.load(name)
    }
}

/// The sealer of this very process.
impl Seal for Sealer {
    fn open(&self, manifest: &[u8], signature: &[u8], crls: &[Vec<u8>]) -> Result<String, Problem> {
        Ok(self.open_job(manifest, signature, crls)?)
    }

    fn seal(&self, job: &str, rows: &[(u64, [u8; 32])]) -> Result<Vec<Vec<u8>>, Problem> {
        Ok(self.seal_rows(job, rows)?)
    }

    fn page(&self, page: &Page<'_>, crls: &[Vec<u8>]) -> Result<PaperSeals, Problem> {
        Ok(Self::page(self, page, crls)?)
    }
}

fn key_name(number: u64) -> String {
    format!("seal-{number}")
}

pub(super) fn base64(what: &'static str, text: &str) -> Result<Vec<u8>, SealerError> {
    STANDARD.decode(text).map_err(|_| SealerError::Encoding { what })
}

fn digest_of(text: &str) -> Result<[u8; 32], SealerError> {
    let wrong = || SealerError::Encoding { what: "a digest" };
    let mut digest = [0; 32];
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != 64 {
        return Err(wrong());
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}
