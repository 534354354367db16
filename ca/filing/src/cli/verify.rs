//! `filing verify`: what a signature is worth, offline, with nothing but the trust anchor.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use const_oid::ObjectIdentifier as Oid;
use pki::path::{Anchors, RevocationAnswer};
use policies::filing::Archive;
use runtime::clock::{Clock as _, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::verify::{Asked, Terms, Verdict, verify};

/// The largest document, signature or list that is read.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Verify a signature or a receipt's seal, offline. Ends with 0 when it passed, 3 when it cannot be told, 7 when it failed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  filing verify receipt.json --signature receipt.p7s --anchor root.pem --json\n  filing verify filing.json --signature filing.p7s --anchor root.pem --crl issuing.crl --crl root.crl --code 91440101MAT000018G")]
pub struct Verify {
    /// The very octets that were signed.
    file: PathBuf,
    /// Detached CAdES, DER or PEM.
    #[arg(long)]
    signature: PathBuf,
    /// PEM: the roots that are believed.
    #[arg(long, required = true)]
    anchor: Vec<PathBuf>,
    /// PEM: the roots whose timestamps are believed; those of --anchor without it.
    #[arg(long)]
    tsa_anchor: Vec<PathBuf>,
    /// A revocation list, DER, where the signature does not carry it.
    #[arg(long)]
    crl: Vec<PathBuf>,
    /// An OCSP response, DER.
    #[arg(long)]
    ocsp: Vec<PathBuf>,
    /// A certificate policy, one of which the signer's certificate must bear.
    #[arg(long, value_name = "OID")]
    certificate_policy: Vec<String>,
    /// The credit code that the signer's certificate must bear.
    #[arg(long)]
    code: Option<String>,
    /// Judge as of another time than now (RFC 3339).
    #[arg(long)]
    at: Option<String>,
    /// How long algorithms are believed, as `archive.toml`; the shipped one without it.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(asked: &Verify) -> Exit {
    match perform(asked) {
        Ok(exit) => exit,
        Err(problem) => {
            runtime::terminal::problem("filing", &problem, asked.json);
            problem.exit
        }
    }
}

fn perform(asked: &Verify) -> Result<Exit, Problem> {
    // 1. Everything is read before anything is judged.
    let (document, signature) = (file(&asked.file)?, der(&file(&asked.signature)?));
    let anchors = roots(&asked.anchor)?;
    let timestamp_anchors = if asked.tsa_anchor.is_empty() { roots(&asked.anchor)? } else { roots(&asked.tsa_anchor)? };
    let terms = Terms::new(&archive(asked.policy.as_deref())?);
    let mut answers = Vec::new();
    for path in &asked.crl {
        answers.push(RevocationAnswer::list(&file(path)?).map_err(|error| wrong(path, &error))?);
    }
    for path in &asked.ocsp {
        answers.push(RevocationAnswer::ocsp(&file(path)?).map_err(|error| wrong(path, &error))?);
    }
    let policies = asked.certificate_policy.iter().map(|text| Oid::new(text).map_err(|error| usage(&format!("{text} is no object identifier: {error}")))).collect::<Result<Vec<_>, _>>()?;
    let now = match &asked.at {
        Some(text) => OffsetDateTime::parse(text, &Rfc3339).map_err(|error| usage(&format!("{text} is no time: {error}")))?,
        None => SystemClock.now(),
    };
    // 2. Judged.
    let verdict = verify(
        &Asked {
            document: &document,
            signature: &signature,
            anchors: &anchors,
            timestamp_anchors: &timestamp_anchors,
            terms: &terms,
            policies: &policies,
            credit_code: asked.code.as_deref(),
            answers: &answers,
            existed_at: None,
        },
        now,
    );
    // 3. Told.
    if asked.json { json(&verdict)? } else { told(&verdict)? }
    Ok(match verdict.verdict {
        "TOTAL-PASSED" => Exit::Ok,
        "INDETERMINATE" => Exit::Refused,
        _ => Exit::Damaged,
    })
}

fn told(verdict: &Verdict) -> Result<(), Problem> {
    line(&format!("{}  {}{}", verdict.text, verdict.verdict, verdict.sub_indication.map(|sub| format!(" / {sub}")).unwrap_or_default()))?;
    if let Some(signer) = &verdict.signer {
        let holder = signer.organization.as_deref().unwrap_or("-");
        line(&format!("  签名人 signer     {} {}  {}", runtime::terminal::plain(holder), signer.uscc.as_deref().unwrap_or("-"), signer.serial))?;
    }
    if let (Some(time), Some(level)) = (&verdict.best_signature_time, verdict.level) {
        line(&format!("  不晚于 proved by  {time}  {level}"))?;
    }
    for finding in &verdict.findings {
        line(&format!("  {}: {}", finding.sub_indication, finding.detail))?;
    }
    Ok(())
}

fn usage(message: &str) -> Problem {
    Problem::new(Exit::Usage, "verify", message, "see `filing verify --help`")
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    usage(&format!("{}: {error}", path.display()))
}

fn file(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(|error| wrong(path, &error))?;
    opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| wrong(path, &error))?;
    if bytes.len() as u64 > MAX_FILE { Err(usage(&format!("{} is larger than {MAX_FILE} bytes", path.display()))) } else { Ok(bytes) }
}

/// DER out of PEM; what is no PEM is left for the reader to judge.
fn der(bytes: &[u8]) -> Vec<u8> {
    match pem::parse(bytes) {
        Ok(block) if matches!(block.tag(), "CMS" | "PKCS7") => block.into_contents(),
        _ => bytes.to_vec(),
    }
}

fn roots(paths: &[PathBuf]) -> Result<Anchors, Problem> {
    let mut certificates = Vec::new();
    for path in paths {
        let blocks = pem::parse_many(file(path)?).map_err(|error| wrong(path, &error))?;
        let found = certificates.len();
        certificates.extend(blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents));
        if certificates.len() == found {
            return Err(usage(&format!("{} holds no certificate in PEM", path.display())));
        }
    }
    Anchors::new(&certificates).map_err(|error| usage(&error.to_string()))
}

fn archive(path: Option<&Path>) -> Result<Archive, Problem> {
    let Some(path) = path else { return Archive::shipped().map_err(|error| usage(&error.to_string())) };
    let text = String::from_utf8(file(path)?).map_err(|error| wrong(path, &error))?;
    Archive::parse((&path.display().to_string(), &text)).map_err(|error| usage(&error.to_string()))
}
