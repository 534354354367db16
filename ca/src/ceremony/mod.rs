//! A key ceremony: the root's key signs one thing that was reviewed, where it is, with a transcript that proves it later.

pub mod file;
mod hierarchy;
pub mod keys;
pub(crate) mod place;
pub mod root_crl;
pub(crate) mod roots;
mod transcript;

use std::path::{Path, PathBuf};

use ::keys::{KeyError, Passphrase};
use pki::certificate::CertificatePlan;
use pki::request::Request;
use pki::signature::{DigestAlgorithm, Scheme};
use pki::signer::{SignatureAlgorithm, Signer};
use runtime::clock::Clock;
use runtime::exit::{Exit, Problem};
use serde::Serialize;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::{Addresses, Issuer, ROOT};
use crate::flow::certified::{self, CertifiedError, Wanted};
use crate::flow::issue;
use crate::init::{InitError, ReadPolicies, read_policies};
use crate::problem::IssueError;
use crate::record::IssuerRecord;
use file::{Act, Ceremony, FileError, Named};
use self::keys::{Born, RootKeys};
use place::{Place, TO_BE_SIGNED};
use root_crl::RootCrlError;
use transcript::{LONGEST, SIGNATURE, Step, TRANSCRIPT, Transcript, signed_text};

#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path} stands already; what a ceremony makes is never overwritten: name a new directory", path = path.display())]
    Exists { path: PathBuf },
    #[error("{path}: {reason}; check the path and the disk", path = path.display())]
    Disk { path: PathBuf, reason: String },
    #[error("the root's certificate is no root's: {0}; have the file corrected and reviewed again")]
    NoRoot(&'static str),
    #[error("the key in the key store is not that of the root's certificate; bring the right one")]
    OtherKey,
    #[error("the token may hold several keys and nobody said which is the root's; give --token-key as the ceremony of its birth told it")]
    NoTokenKey,
    #[error("the key of a new root is born here, and --token-key names one that is there; leave it out")]
    BornKey,
    #[error("the policies are not those that were reviewed: `ca policy check` gives {found}; use the reviewed ones")]
    OtherPolicies { found: String },
    #[error("the lists of keys are not those that were reviewed: the SHA-256 over them is {found}; use the reviewed ones")]
    OtherLists { found: String },
    #[error("the root has ended, or what is to be certified has; correct the dates, or the clock of this machine")]
    Ended,
    #[error("the two roots cannot vouch for each other: {0}; correct the file, so that the new root has the old one's subject, a key of its own, days in common with it and its own published_as")]
    Across(&'static str),
    #[error("the request has the root's own key; make another key for the authority")]
    RootsKey,
    #[error("the request of {id} has a key that another authority of this hierarchy has; make one of its own for each")]
    SharedKey { id: String },
    #[error("the profile gives a path length of {found}, not the one that was reviewed; have the file corrected and reviewed again")]
    PathLength { found: String },
    #[error("the transcript does not hold: {0}; it proves nothing")]
    Transcript(&'static str),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    KeyLists(#[from] crate::key_lists::ReadError),
    #[error(transparent)]
    Certified(#[from] CertifiedError),
    #[error(transparent)]
    List(#[from] RootCrlError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error("the transcript could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// What was made, or would be.
#[derive(Clone, Debug, Serialize)]
pub struct Done {
    pub kind: &'static str,
    pub ceremony_sha256: String,
    /// None where a new root was rehearsed: no key was born.
    pub root_key_id: Option<String>,
    /// SHA-256 of the certificate of a root that was made, for the paper that goes back to the authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_sha256: Option<String>,
    /// CKA_ID of a key that was born in a token: what finds it there again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_key: Option<String>,
    pub tbs_sha256: String,
    /// None after a rehearsal.
    pub output: Option<PathBuf>,
    /// What was made beside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<PathBuf>,
    pub transcript: Option<PathBuf>,
}

/// The whole line with the root's key in a key store.
pub fn run(path: &Path, reviewed: &str, root_keys: &Path, passphrase: &Passphrase, out: &Path, rehearsal: bool, clock: &dyn Clock) -> Result<Done, CeremonyError> {
    run_with(path, reviewed, &RootKeys::Store { directory: root_keys, passphrase }, out, rehearsal, clock)
}

/// The whole line. A rehearsal ends before the root's key signs.
pub fn run_with(path: &Path, reviewed: &str, root_keys: &RootKeys<'_>, out: &Path, rehearsal: bool, clock: &dyn Clock) -> Result<Done, CeremonyError> {
    // 1. The reviewed file and its inputs, each by its digest; nothing that stands is in the way.
    let ceremony = file::read(path, reviewed)?;
    place::free(out)?;
    let kind = ceremony.act.kind();
    let now = || clock.now().unix_timestamp();
    let mut transcript = begun(&ceremony, now())?;
    if let Act::Hierarchy(wanted) = &ceremony.act {
        return hierarchy::found(&ceremony, wanted, transcript, root_keys, out, rehearsal, clock);
    }
    // 2. The root, and its key: the one that was meant. A new root's is born here, in a key store that was not there or in a
    //    token, once all else was judged with a key that is kept nowhere.
    let (Born { key, token_key }, root) = match &ceremony.root {
        Some(named) => {
            let root = root(named, &ceremony.act)?;
            (Born { key: root_keys.of(&root)?, token_key: None }, Some(root))
        }
        None => {
            root_keys.free()?;
            let judged = judge(&ceremony, None, &roots::passing_key()?, clock.now())?;
            if rehearsal {
                let tbs_sha256 = crate::sha256_hex(&judged.tbs);
                return Ok(Done { kind, ceremony_sha256: ceremony.sha256, root_key_id: None, root_sha256: None, token_key: None, tbs_sha256, output: None, more: Vec::new(), transcript: None });
            }
            (root_keys.born()?, None)
        }
    };
    let key_id = crate::hex(&pki::certificate::key_id(Signer::public_key_info(&key)).map_err(|_| CeremonyError::OtherKey)?);
    transcript.add(now(), Step::Key { key_id: key_id.clone() })?;
    // 3. The bytes to be signed, judged before there is a signature.
    let judged = judge(&ceremony, root.as_ref(), Signer::public_key_info(&key), clock.now())?;
    let tbs_sha256 = crate::sha256_hex(&judged.tbs);
    transcript.add(now(), Step::Judged { tbs_sha256: tbs_sha256.clone() })?;
    let mut done = Done { kind, ceremony_sha256: ceremony.sha256.clone(), root_key_id: Some(key_id), root_sha256: None, token_key, tbs_sha256: tbs_sha256.clone(), output: None, more: Vec::new(), transcript: None };
    if rehearsal {
        return Ok(done);
    }
    // 4. Signed, and judged once more as it will be read. What is to be signed is on the disk before.
    let place = Place::begin(out, [(TO_BE_SIGNED, judged.tbs.as_slice())])?;
    let der = match (&judged.facts, &root) {
        (Some(facts), Some(root)) => {
            let der = issue::signed(&judged.tbs, &key)?;
            certified::check(&der, root, facts)?;
            der
        }
        (Some(facts), None) => {
            let der = issue::signed(&judged.tbs, &key)?;
            roots::check(&der, facts)?;
            done.root_sha256 = Some(crate::sha256_hex(&der));
            der
        }
        (None, Some(root)) => {
            let der = root_crl::sign(&judged.tbs, &key)?;
            lint_list(&der, root)?;
            der
        }
        (None, None) => return Err(CeremonyError::NoRoot("there is none")),
    };
    let (name, bytes) = match &judged.facts {
        Some(_) => ("certificate.pem", crate::service::pem("CERTIFICATE", &der).into_bytes()),
        None => ("root.crl", der),
    };
    transcript.add(now(), Step::Output { file: name.into(), sha256: crate::sha256_hex(&bytes), tbs_sha256 })?;
    // 5. The transcript under the same key, and all of it in its place at once.
    let signature = Signer::sign(&key, signed_text(transcript.text()).as_bytes()).map_err(IssueError::from)?;
    place.write(name, &bytes)?;
    place.write(TRANSCRIPT, transcript.text().as_bytes())?;
    place.write(SIGNATURE, &signature)?;
    place.finish()?;
    (done.output, done.transcript) = (Some(out.join(name)), Some(out.join(TRANSCRIPT)));
    Ok(done)
}

/// The first lines of a transcript: what was reviewed, and each input of it.
fn begun(ceremony: &Ceremony, now: i64) -> Result<Transcript, CeremonyError> {
    let mut transcript = Transcript::default();
    let tool = format!("ca {}", env!("CARGO_PKG_VERSION"));
    transcript.add(now, Step::Begun { tool, kind: ceremony.act.kind().into(), ceremony_sha256: ceremony.sha256.clone(), people: ceremony.people })?;
    for (what, sha256) in &ceremony.inputs {
        transcript.add(now, Step::Input { what: what.clone(), sha256: sha256.clone() })?;
    }
    Ok(transcript)
}

/// Whether a key is born in the ceremony of this file, so that its passphrase is a new one.
pub fn bears_key(path: &Path, reviewed: &str) -> Result<bool, CeremonyError> {
    Ok(file::read(path, reviewed)?.root.is_none())
}

/// The root that was reviewed.
fn root(named: &Named, act: &Act) -> Result<Issuer, CeremonyError> {
    let id = if let Act::Cross { published_as, .. } | Act::Issuing { published_as, .. } = act { published_as } else { ROOT };
    let root = roots::signs_itself(&named.certificate, id)?;
    if crate::hex(&root.key_id) != named.key_id {
        return Err(CeremonyError::NoRoot("its key has another identifier"));
    }
    Ok(root)
}

/// Bytes that may be signed.
struct Judged {
    tbs: Vec<u8>,
    /// Of a certificate: what the lints must find.
    facts: Option<lint::ProfileFacts>,
}

fn judge(ceremony: &Ceremony, root: Option<&Issuer>, public_key_info: &[u8], now: OffsetDateTime) -> Result<Judged, CeremonyError> {
    if root.is_some_and(|root| now > root.not_after) {
        return Err(CeremonyError::Ended);
    }
    let refused = Refused::read(ceremony)?;
    refused.judge(public_key_info)?;
    match (&ceremony.act, root) {
        (Act::Issuing { request, name, not_before, not_after, path_length, mail_domains, base_url, policies, policies_sha256, .. }, Some(root)) => {
            let read = reviewed(policies, policies_sha256)?;
            // The sender holds the key, and it is none of those that are refused.
            let request = Request::parse(request).map_err(IssueError::from)?;
            refused.judge(&request.spki)?;
            if request.spki == root.public_key_info {
                return Err(CeremonyError::RootsKey);
            }
            let wanted = Wanted { name, not_before: *not_before, not_after: *not_after, mail_domains, request: &request };
            let planned = certified::plan(&read.certificates, &addresses(base_url)?, root, &wanted)?;
            judged(planned, *path_length, Some(root), now)
        }
        (Act::Root { succeeds, published_as, base_url, name, dates, path_length, policies, policies_sha256 }, None) => {
            let (read, addresses) = (reviewed(policies, policies_sha256)?, addresses(base_url)?);
            let present = roots::signs_itself(succeeds, ROOT)?;
            if present.public_key_info == public_key_info {
                return Err(CeremonyError::Across("both have one key"));
            }
            let planned = roots::root(&read.certificates, &addresses, name, *dates, public_key_info)?;
            let judged = judged(planned, *path_length, None, now)?;
            // That the two can vouch for each other is found out now, and not when there is a key that is of no use.
            let next = roots::twin(&judged.tbs, published_as)?;
            for (by, other) in [(&present, &next), (&next, &present)] {
                let planned = roots::cross(&read.certificates, &addresses, by, other, roots::both(by, other)?)?;
                self::judged(planned, *path_length, Some(by), now)?;
            }
            Ok(judged)
        }
        (Act::Cross { certified, dates, path_length, base_url, policies, policies_sha256, .. }, Some(root)) => {
            let read = reviewed(policies, policies_sha256)?;
            let other = roots::signs_itself(certified, ROOT)?;
            refused.judge(&other.public_key_info)?;
            // The authority publishes every root but its first under a name of its own.
            if root.id() == ROOT && root.not_before > other.not_before {
                return Err(CeremonyError::Across("the one that signs is the newer one, and published_as says it is the one of the founding"));
            }
            let planned = roots::cross(&read.certificates, &addresses(base_url)?, root, &other, *dates)?;
            judged(planned, *path_length, Some(root), now)
        }
        (Act::RootCrl { prepared, number }, Some(root)) => {
            root_crl::judge(prepared, root.algorithm()?, public_key_info, Some(*number))?;
            lint_list(&crate::throwaway::sign(root.algorithm()?, prepared)?, root)?;
            Ok(Judged { tbs: prepared.clone(), facts: None })
        }
        _ => Err(CeremonyError::NoRoot("there is none")),
    }
}

/// The bytes of a plan, when no rule finds fault with them under anybody's signature.
fn judged((mut plan, facts): (CertificatePlan, lint::ProfileFacts), path_length: u8, root: Option<&Issuer>, now: OffsetDateTime) -> Result<Judged, CeremonyError> {
    if facts.path_len != Some(u32::from(path_length)) {
        return Err(CeremonyError::PathLength { found: facts.path_len.map_or("none".into(), |length| length.to_string()) });
    }
    if now > plan.not_after {
        return Err(CeremonyError::Ended);
    }
    let algorithm = root.map_or(Ok(SignatureAlgorithm::EcdsaP384Sha384), Issuer::algorithm)?;
    plan.serial = issue::fresh_serial()?;
    let tbs = pki::certificate::tbs_der(&plan, algorithm).map_err(IssueError::from)?;
    issue::linted(&tbs, algorithm, root.and_then(|root| root.linted.as_ref()), &facts)?;
    Ok(Judged { tbs, facts: Some(facts) })
}

fn reviewed(policies: &Path, sha256: &str) -> Result<ReadPolicies, CeremonyError> {
    let read = read_policies(policies)?;
    if read.digest == sha256 { Ok(read) } else { Err(CeremonyError::OtherPolicies { found: read.digest }) }
}

fn addresses(base_url: &str) -> Result<Addresses, CeremonyError> {
    Ok(Addresses::at_base(&crate::init::base(base_url)?))
}

/// Keys that the world knows, where the file names lists of them.
struct Refused(pki::key::Blocklist);

impl Refused {
    fn read(ceremony: &Ceremony) -> Result<Self, CeremonyError> {
        let Some((directory, sha256)) = &ceremony.blocked_keys else { return Ok(Self(pki::key::Blocklist::default())) };
        let lists = crate::key_lists::read(directory)?;
        if lists.digest == *sha256 { Ok(Self(lists.keys)) } else { Err(CeremonyError::OtherLists { found: lists.digest }) }
    }

    fn judge(&self, public_key_info: &[u8]) -> Result<(), IssueError> {
        if self.0.holds(public_key_info) { Err(IssueError::ListedKey) } else { Ok(()) }
    }
}

fn lint_list(der: &[u8], root: &Issuer) -> Result<(), IssueError> {
    let linted = root.linted.as_ref().ok_or(IssueError::Damaged { what: "the root" })?;
    let findings = lint::lint_crl(der, linted);
    let wrong = findings.iter().filter(|finding| finding.severity == lint::Severity::Error);
    let findings: Vec<String> = wrong.map(|finding| format!("{}: {} ({})", finding.rule, finding.message, finding.clause)).collect();
    if findings.is_empty() { Ok(()) } else { Err(IssueError::Lint { findings }) }
}

/// A ceremony that was held, as its transcript proves it.
#[derive(Clone, Debug, Serialize)]
pub struct Proved {
    pub kind: String,
    pub ceremony_sha256: String,
    /// Unix seconds.
    pub begun: i64,
    pub people: usize,
    /// The first of what it made, and the digest of that.
    pub output: String,
    pub output_sha256: String,
    /// All of it.
    pub outputs: Vec<Output>,
    /// What it was made of, by what it is, with its digest.
    pub inputs: Vec<(String, String)>,
    pub transcript_sha256: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Output {
    pub file: String,
    pub sha256: String,
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// Proves a ceremony from its directory and the root's certificate alone.
pub fn verify(directory: &Path, root: &Path) -> Result<Proved, CeremonyError> {
    prove(directory, file::certificate(file::bounded(root, LONGEST)?)?)
}

/// The same with the certificate in hand, DER.
pub fn prove(directory: &Path, root: Vec<u8>) -> Result<Proved, CeremonyError> {
    let root = Issuer::new(IssuerRecord::new(ROOT, root), None, None)?;
    let wrong = CeremonyError::Transcript;
    // 1. The root's key signed the transcript, and its lines follow each other.
    let text = String::from_utf8(file::bounded(&directory.join(TRANSCRIPT), LONGEST)?).map_err(|_| wrong("it is not text"))?;
    let signature = file::bounded(&directory.join(SIGNATURE), LONGEST)?;
    let algorithm = Scheme::Ecdsa(match root.algorithm()? {
        SignatureAlgorithm::EcdsaP384Sha384 => DigestAlgorithm::Sha384,
        _ => DigestAlgorithm::Sha256,
    });
    algorithm.verify(&root.public_key_info, signed_text(&text).as_bytes(), &signature).map_err(|_| wrong("the root's key did not sign it"))?;
    let steps = transcript::read(&text).ok_or(wrong("its lines do not follow each other"))?;
    let (begun, kind, ceremony_sha256, people) = match steps.first() {
        Some((at, Step::Begun { kind, ceremony_sha256, people, .. })) => (*at, kind.clone(), ceremony_sha256.clone(), *people),
        _ => return Err(wrong("it does not begin as one")),
    };
    // 2. One key, that of this root, and what it signed is what was judged before, in that order.
    let (mut inputs, mut judged, mut outputs, mut key) = (Vec::new(), Vec::new(), Vec::new(), false);
    for (_, step) in steps.into_iter().skip(1) {
        match step {
            Step::Input { what, sha256 } => inputs.push((what, sha256)),
            Step::Key { key_id } if !key && key_id == crate::hex(&root.key_id) => key = true,
            Step::Judged { tbs_sha256 } if key && outputs.is_empty() => judged.push(tbs_sha256),
            Step::Output { file, sha256, tbs_sha256 } if key => outputs.push((file, sha256, tbs_sha256)),
            _ => return Err(wrong("its steps are not those of a ceremony")),
        }
    }
    if outputs.is_empty() {
        return Err(wrong("steps are missing"));
    }
    if !judged.iter().eq(outputs.iter().map(|(.., tbs_sha256)| tbs_sha256)) {
        return Err(wrong("other bytes were signed than were judged"));
    }
    // 3. What lies here is what it made.
    let outputs = outputs.into_iter().map(|(file, sha256, tbs_sha256)| {
        let plain = file.strip_suffix(".pem").or(file.strip_suffix(".crl")).is_some_and(file::is_id);
        if !plain {
            return Err(wrong("it names a file that no ceremony makes"));
        }
        let bytes = file::bounded(&directory.join(&file), 1 << 21)?;
        let agrees = crate::sha256_hex(&bytes) == sha256 && signed_bytes(&bytes, &root).is_some_and(|tbs| crate::sha256_hex(&tbs) == tbs_sha256);
        if agrees { Ok(Output { file, sha256, bytes }) } else { Err(wrong("what it made is not what lies here")) }
    });
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    let Some(Output { file, sha256, .. }) = outputs.first().cloned() else { return Err(wrong("steps are missing")) };
    Ok(Proved { kind, ceremony_sha256, begun, people, output: file, output_sha256: sha256, outputs, inputs, transcript_sha256: crate::sha256_hex(text.as_bytes()) })
}

/// What the root's key signed in a certificate or list.
fn signed_bytes(bytes: &[u8], root: &Issuer) -> Option<Vec<u8>> {
    let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&root.public_key_info).ok()?;
    let der = if bytes.first() == Some(&0x30) { bytes.to_vec() } else { pem::parse(bytes).ok()?.into_contents() };
    if let Ok((_, read)) = X509Certificate::from_der(&der) {
        return read.verify_signature(Some(&key)).ok().map(|()| read.tbs_certificate.as_ref().to_vec());
    }
    let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(&der).ok()?;
    read.verify_signature(&key).ok().map(|()| read.tbs_cert_list.as_ref().to_vec())
}

impl From<CeremonyError> for Problem {
    fn from(error: CeremonyError) -> Self {
        let (exit, code) = match error {
            CeremonyError::Keys(error) => return InitError::from(error).into(),
            CeremonyError::Init(error) => return error.into(),
            CeremonyError::Issue(error) | CeremonyError::Certified(CertifiedError::Issue(error)) => return error.into(),
            CeremonyError::File(FileError::File { .. }) => (Exit::Usage, "file"),
            CeremonyError::File(FileError::NotReviewed { .. } | FileError::OtherInput { .. }) | CeremonyError::OtherPolicies { .. } | CeremonyError::OtherLists { .. } => (Exit::Refused, "not-reviewed"),
            CeremonyError::File(_) | CeremonyError::NoRoot(_) | CeremonyError::PathLength { .. } | CeremonyError::Ended | CeremonyError::RootsKey | CeremonyError::SharedKey { .. } | CeremonyError::Across(_) => (Exit::Refused, "ceremony"),
            CeremonyError::Exists { .. } => (Exit::Conflict, "ceremony-exists"),
            CeremonyError::Disk { .. } => (Exit::Unavailable, "file"),
            CeremonyError::OtherKey => (Exit::Refused, "other-key"),
            CeremonyError::NoTokenKey | CeremonyError::BornKey => (Exit::Usage, "token-key"),
            CeremonyError::Transcript(_) => (Exit::Damaged, "transcript"),
            CeremonyError::KeyLists(_) => (Exit::Usage, "blocked-keys"),
            CeremonyError::Certified(_) => (Exit::Refused, "certified"),
            CeremonyError::List(_) => (Exit::Refused, "root-crl"),
            CeremonyError::Json(_) => (Exit::Internal, "internal"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        Self::new(exit, code, message, next)
    }
}
