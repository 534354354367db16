//! What an enterprise signs of who acts for it, and takes back: a mandate, an operator's authorisation, a key of its own. The same
//! of each: who asks which desk, what is kept here of what was said, and whether what the desk shows is its signer's.

use std::path::PathBuf;

use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use pki::path::Anchors;
use policies::filing::{Archive, KindName};
use policies::identity::CreditCode;
use runtime::exit::{Exit, Problem};
use serde::de::DeserializeOwned;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::enterprise::Place;
use super::kept::Trust;
use super::sign::{Holder, Signer};
use super::submit::Server;
use super::wire::{Body, Desk, Identity};
use crate::document::MandateId;
use crate::verify::{Asked, Terms, verify_alone};

const MAX_SMALL: u64 = 1 << 20;
/// An agency of ten thousand clients is asked for in so many pieces.
const MAX_PIECES: usize = 1_000;

/// Who asks which desk.
#[derive(Debug, Args)]
pub struct With {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    pub(super) trust: Trust,
    #[command(flatten)]
    holder: Holder,
}

impl With {
    /// The principal or the agent, and the desk that it asks.
    pub(super) fn desk<'a>(&'a self, now: OffsetDateTime) -> Result<(Signer, CreditCode, Desk<'a>), Problem> {
        let signer = self.holder.signer(&self.place, now)?;
        let none = || self.place.refuse(Exit::Refused, "certificate", ("证书中没有统一社会信用代码", "请使用企业证书"), ("the certificate bears no credit code", "use an enterprise's certificate"));
        let code = signer.code().ok_or_else(none)?;
        let anchors = self.trust.anchors(&self.place)?;
        let desk = Desk::at(&self.place, &self.server.server, &Identity { anchors: &anchors, caller: Some(signer.caller()) }, self.server.wait)?;
        Ok((signer, code, desk))
    }

    pub(super) fn send(&self, desk: &Desk<'_>, path: &str, document: &[u8], signature: &[u8]) -> Result<(), Problem> {
        let body = serde_json::json!({ "document": STANDARD.encode(document), "signature": STANDARD.encode(signature) }).to_string();
        let _: serde_json::Value = desk.read(&desk.send(&Method::POST, path, &Body::Json(body.as_bytes()))?)?;
        Ok(())
    }

    /// Takes something back: sent before it is kept, so that what the desk refuses says nothing here.
    pub(super) fn withdraw(&self, desk: &Desk<'_>, path: &str, beside: &Beside, document: &[u8], seal: impl FnOnce() -> Result<Vec<u8>, Problem>) -> Result<(), Problem> {
        let signature = beside.signature(&self.place)?.map_or_else(seal, Ok)?;
        self.send(desk, path, document, &signature)?;
        beside.signed(&self.place, document, || Ok(signature)).map(drop)
    }
}

/// The directory, within the operator's, of one sort of words: their ids look like those of filings.
pub(super) struct Kept(pub &'static str);

impl Kept {
    fn beside(&self, place: &Place, id: &MandateId, word: &str) -> Beside {
        let directory = place.home().join(self.0);
        let at = |ending: &str| directory.join(format!("{id}{word}.{ending}"));
        Beside { document: at("json"), signature: at("p7s"), directory }
    }

    pub fn of(&self, place: &Place, id: &MandateId) -> Beside {
        self.beside(place, id, "")
    }

    pub fn withdrawal_of(&self, place: &Place, id: &MandateId) -> Beside {
        self.beside(place, id, "-withdrawal")
    }

    pub fn is_withdrawn(&self, place: &Place, id: &MandateId) -> bool {
        self.withdrawal_of(place, id).document.exists()
    }

    /// Of all that was said, and not of what took it back.
    pub fn all(&self, place: &Place) -> Result<Vec<MandateId>, Problem> {
        let directory = place.home().join(self.0);
        match std::fs::read_dir(&directory) {
            Ok(entries) => Ok(entries.filter_map(|entry| MandateId::parse(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?)).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(place.failed(&directory, &error)),
        }
    }
}

/// A document and its signature.
pub(super) struct Beside {
    directory: PathBuf,
    document: PathBuf,
    signature: PathBuf,
}

impl Beside {
    pub fn read(&self, place: &Place) -> Result<Option<Vec<u8>>, Problem> {
        self.document.exists().then(|| place.read(&self.document, MAX_SMALL)).transpose()
    }

    fn signature(&self, place: &Place) -> Result<Option<Vec<u8>>, Problem> {
        self.signature.exists().then(|| place.read(&self.signature, MAX_SMALL)).transpose()
    }

    /// Keeps both, the document first: a signature is never here without it. The first signature stays.
    pub fn signed(&self, place: &Place, document: &[u8], seal: impl FnOnce() -> Result<Vec<u8>, Problem>) -> Result<Vec<u8>, Problem> {
        std::fs::create_dir_all(&self.directory).map_err(|error| place.failed(&self.directory, &error))?;
        place.keep(&self.document, document)?;
        if let Some(signature) = self.signature(place)? {
            return Ok(signature);
        }
        let signature = seal()?;
        place.keep(&self.signature, &signature)?;
        Ok(signature)
    }
}

/// Asks for all there is, piece by piece; `take` is told whether it is the first, and gives what to go on after.
pub(super) fn in_pieces<P: DeserializeOwned>(desk: &Desk<'_>, path: &str, mut take: impl FnMut(P, bool) -> Result<Option<String>, Problem>) -> Result<(), Problem> {
    let mut after = None::<String>;
    for _ in 0..MAX_PIECES {
        let asked = after.as_ref().map_or_else(|| path.to_owned(), |last| format!("{path}?after={last}"));
        let piece: P = desk.read(&desk.send(&Method::GET, &asked, &Body::Nothing)?)?;
        after = take(piece, after.is_none())?;
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

/// How it stands, in the chosen language.
pub(super) fn state_of<'a>(place: &Place, state: &'a str) -> &'a str {
    match state {
        "live" => place.said("有效", "live"),
        "coming" => place.said("尚未生效", "to come"),
        "ended" => place.said("已到期", "ended"),
        "withdrawn" => place.said("已撤回", "withdrawn"),
        other => other,
    }
}

/// A day as it is written on the command line.
pub(super) fn day(place: &Place, field: &str, text: &str) -> Result<Date, Problem> {
    let wrong = || place.refuse(Exit::Usage, "day", (&format!("“{text}”不是日期"), "请写作 2027-06-30"), (&format!("`{text}` is no day"), "write it as 2027-06-30")).at(field);
    Date::parse(text, format_description!("[year]-[month]-[day]")).map_err(|_| wrong())
}

/// Kinds of filing that there are, each once.
pub(super) fn kinds_of(place: &Place, written: &[String]) -> Result<Vec<KindName>, Problem> {
    let filings = place.filings()?;
    let mut kinds: Vec<KindName> = Vec::new();
    for text in written {
        let known = KindName::parse_typed(text).filter(|kind| filings.kinds().iter().any(|one| one.name() == kind));
        let kind = known.ok_or_else(|| place.unknown_kind(&filings, text))?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.sort();
    Ok(kinds)
}

/// Why nothing is shown of what an enterprise is said to have signed.
pub(super) enum Unproved {
    /// It is not its principal's.
    Never(String),
    /// Nobody can tell any more, or yet: certificates ended and what would prove it is not here.
    Today(String),
}

impl std::fmt::Display for Unproved {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Never(why) | Self::Today(why)) = self;
        formatter.write_str(why)
    }
}

/// Whether the principal's certificate beneath the anchor signed it, when its timestamp says, or now without one that is believed.
/// Whether a certificate was revoked is the desk's to judge at every filing: here it is enough that nothing but this is open, of
/// the signature as of its timestamp.
pub(super) fn stands(document: &[u8], signature: &[u8], principal: &CreditCode, anchors: &[Vec<u8>], now: OffsetDateTime) -> Result<(), Unproved> {
    let never = |error: &dyn std::fmt::Display| Unproved::Never(error.to_string());
    let anchors = Anchors::new(anchors).map_err(|error| never(&error))?;
    let terms = Terms::new(&Archive::shipped().map_err(|error| never(&error))?);
    let asked = Asked { document, signature, anchors: &anchors, timestamp_anchors: &anchors, terms: &terms, policies: &[], credit_code: Some(principal.as_str()), answers: &[], existed_at: None };
    let verdict = verify_alone(&asked, now);
    let against: Vec<_> = verdict.findings.iter().filter(|finding| finding.sub_indication != "TRY_LATER").collect();
    let Some(first) = against.first() else {
        return if verdict.verdict == "TOTAL-FAILED" { Err(Unproved::Never(verdict.verdict.to_owned())) } else { Ok(()) };
    };
    let why = format!("{}: {}", first.sub_indication, first.detail.split("; ").next().unwrap_or_default());
    // Time alone took it away; whatever else does not hold never did.
    let aged = against.iter().all(|finding| ["OUT_OF_BOUNDS_NO_POE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"].contains(&finding.sub_indication));
    Err(if aged && verdict.verdict == "INDETERMINATE" { Unproved::Today(why) } else { Unproved::Never(why) })
}
