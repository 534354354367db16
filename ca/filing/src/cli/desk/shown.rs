//! What the desk's commands print.

use std::path::Path;

use merkle::Verified;
use runtime::exit::{Exit, Problem};
use runtime::terminal::{date, json, line};
use serde_json::json as object;

use crate::desk::record::letter::LetterState;
use crate::desk::service::{Outcome, ShownFiling};

pub fn outcome(outcome: &Outcome, out: Option<&Path>, as_json: bool) -> Result<(), Problem> {
    match outcome {
        Outcome::Request(pem) => request(pem, out, as_json),
        Outcome::Done if as_json => json(&object!({ "done": true })),
        Outcome::Done => line("done"),
        Outcome::Bureaus(bureaus) if as_json => json(bureaus),
        Outcome::Bureaus(bureaus) => bureaus.iter().try_for_each(|bureau| {
            let seal = bureau.seal_until.map_or("no seal yet".to_owned(), |until| format!("seal until {}", date(until)));
            line(&format!("{:<24} {}  {}  {seal}  {}", bureau.code, bureau.name, bureau.kinds.join(","), bureau.address.as_deref().unwrap_or("-")))
        }),
        Outcome::Filings(filings) if as_json => json(filings),
        Outcome::Filings(filings) if filings.is_empty() => line("no filing"),
        Outcome::Filings(filings) => filings.iter().try_for_each(filing),
        // Who asks for as many as there are goes on after the last of them.
        Outcome::Listed(listed) if as_json => json(&listed.filings),
        Outcome::Listed(listed) if listed.filings.is_empty() => line("no filing"),
        Outcome::Listed(listed) => {
            listed.filings.iter().try_for_each(filing)?;
            listed.next.as_ref().map_or(Ok(()), |id| line(&format!("more with --after {id}")))
        }
        Outcome::Imported { rows } if as_json => json(&object!({ "rows": rows })),
        Outcome::Imported { rows } => line(&format!("{rows} rows imported")),
        Outcome::Examined(findings) => runtime::doctor::tell(findings, as_json),
        Outcome::Exported { directory, entries, vkey } if as_json => json(&object!({ "directory": directory, "entries": entries, "vkey": vkey })),
        Outcome::Exported { directory, entries, vkey } => {
            line(&format!("{entries} in {}", directory.display()))?;
            let verify = |vkey: &String| line(&format!("verify with: filing desk log verify {} --vkey '{vkey}'", directory.display()));
            vkey.as_ref().map_or(Ok(()), verify)
        }
    }
}

fn filing(filing: &ShownFiling) -> Result<(), Problem> {
    let record = &filing.record;
    let at = date(i64::try_from(record.received_at / 1_000).unwrap_or(i64::MAX));
    let late = if record.timely { "" } else { "  late" };
    line(&format!("{}  {} {} revision {}  {}  {}{late}", filing.filing_id, record.kind, record.period, record.revision, record.uscc, record.status.name()))?;
    line(&format!("  received {at} at {}", record.bureau))?;
    if !record.not_judged.is_empty() {
        line(&format!("  not judged here, for want of a registry or of what was filed before: {}", record.not_judged.join(" ")))?;
    }
    filing.issued.iter().try_for_each(|receipt| {
        let sealed = if receipt.sealed { "sealed" } else { "not sealed yet" };
        let letter = match receipt.letter {
            None => "not mailed",
            Some(LetterState::Queued) => "mail queued",
            Some(LetterState::Sent) => "mailed",
            Some(LetterState::Failed) => "mail failed",
        };
        line(&format!("  receipt {}  {sealed}, {letter}", receipt.receipt_no))
    })
}

/// A request, into a file or onto the screen.
fn request(pem: &str, out: Option<&Path>, as_json: bool) -> Result<(), Problem> {
    if let Some(path) = out {
        std::fs::write(path, pem).map_err(|error| Problem::new(Exit::Unavailable, "file", format!("{}: {error}", path.display()), "check the path and the disk"))?;
        return if as_json { json(&object!({ "request": path })) } else { line(&format!("request in {}", path.display())) };
    }
    if as_json { json(&object!({ "pem": pem })) } else { line(pem.trim_end()) }
}

pub fn verified(verified: &Verified, as_json: bool) -> Result<(), Problem> {
    let root = crate::desk::hex(&verified.root);
    if as_json { json(&object!({ "entries": verified.size, "root": root })) } else { line(&format!("the log holds: {} entries, root {root}", verified.size)) }
}
