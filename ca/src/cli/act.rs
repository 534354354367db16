//! Acts that other officers approve: what is shown of them, and what is signed.

use runtime::exit::{Exit, Problem};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::ask::{self, Place};
use super::print::{self, date, json, plain, word};
use crate::act_proof::ActProven;
use crate::act_shown::ActShown;
use crate::record::{ActDecision, Deed, Verdict, serial_of, serial_text};
use crate::operation::Operation;
use crate::service::Outcome;

/// What is signed about an act. What it names by a digest is looked at here; nothing is signed on the server's word.
pub fn decision(place: &Place, act: &ActShown, verdict: Verdict, reason: String, at: i64) -> Result<ActDecision, Problem> {
    let differs = |what: &str| Problem::new(Exit::Damaged, "act", format!("{what} that the server shows are not those that it asks about"), "sign nothing, and report this");
    match (&act.asked.deed, &act.certificate) {
        (Deed::GrantPower { serial, certificate_sha256, .. } | Deed::SetRegistrar { serial, certificate_sha256, .. }, Some(text)) => {
            let certificate = ::pem::parse(text).map_err(|_| differs("the certificate and its digest"))?;
            let its = serial_of(certificate.contents()).map(|serial| serial_text(&serial));
            if crate::sha256_hex(certificate.contents()) != *certificate_sha256 || its.as_ref() != Some(serial) {
                return Err(differs("the certificate and its digest"));
            }
        }
        (Deed::GrantPower { .. } | Deed::SetRegistrar { .. }, None) => return Err(differs("the certificate and its digest")),
        (Deed::ChangePolicies { before_sha256, after_sha256 }, _) => {
            if !act.policies.as_ref().is_some_and(|change| super::policy::is_of(change, before_sha256, after_sha256)) {
                return Err(differs("the documents"));
            }
        }
        (Deed::Bulk { incident, act: of, certificates, serials_sha256, .. }, _) => {
            let mut context = ring::digest::Context::new(&ring::digest::SHA256);
            let mut count: u64 = 0;
            let page = |from| Operation::IncidentItems { incident: incident.clone(), act: *of, from };
            ask::ask_on(place, page(0), |outcome| {
                let Outcome::IncidentItems(items) = outcome else { return Err(differs("the certificates")) };
                for item in &items {
                    context.update(&crate::register::serial(&item.serial).map_err(|_| differs("the certificates"))?);
                }
                count += items.len() as u64;
                Ok((!items.is_empty() && count <= *certificates).then(|| page(count)))
            })?;
            if count != *certificates || crate::hex(context.finish().as_ref()) != *serials_sha256 {
                return Err(differs("the certificates"));
            }
        }
    }
    Ok(ActDecision::about(&act.id, &act.asked, verdict, reason, at))
}

pub fn shown(outcome: &Outcome, as_json: bool) -> Result<(), Problem> {
    match outcome {
        Outcome::ActProof(proof) => json(proof),
        Outcome::Act(act) if as_json => json(act),
        Outcome::Acts(acts) if as_json => json(acts),
        Outcome::Act(act) => whole(act),
        Outcome::Acts(acts) if acts.is_empty() => line("no act waits for approval"),
        Outcome::Acts(acts) => acts.iter().try_for_each(|act| line(&format!("{}  {:<17} {:<13} asked for {} by {}", act.id, act.state.code, act.asked.deed.word(), date(act.asked.at), act.asked.by))),
        _ => Ok(()),
    }
}

pub fn whole(act: &ActShown) -> Result<(), Problem> {
    match act.state.code.as_str() {
        "awaiting-approval" => line(&format!("awaits approval: {}", act.id))?,
        _ => line(&format!("act      {}", act.id))?,
    }
    line(&format!("state    {}: {} ({})", act.state.code, act.state.zh, act.state.en))?;
    for reason in &act.reasons {
        line(&format!("note     {}: {}", reason.code, reason.en))?;
    }
    if let Some(needed) = &act.needed {
        let by: Vec<&str> = needed.by.iter().map(|power| power.name()).collect();
        line(&format!("needs    {} approvals, by holders of the power {}; decide with `ca order approve {}`", needed.approvals, by.join(" or "), act.id))?;
    }
    for decided in &act.decisions {
        let words = if decided.reason.is_empty() { String::new() } else { format!(": {}", decided.reason) };
        line(&format!("decided  {} by the officer of {}, {}{words}", word(&decided.decision), decided.officer, date(decided.at)))?;
    }
    match &act.asked.deed {
        Deed::GrantPower { serial, certificate_sha256, power } => {
            line(&format!("act      the power {power} is granted to the holder of certificate {serial}"))?;
            line(&format!("holder   {}", holder(act.certificate.as_deref().unwrap_or_default())))?;
            line(&format!("sha256   {certificate_sha256}"))?;
        }
        Deed::SetRegistrar { serial, certificate_sha256, domain } => {
            line(&format!("act      the holder of certificate {serial} is believed about every mailbox of {domain}"))?;
            line(&format!("holder   {}", holder(act.certificate.as_deref().unwrap_or_default())))?;
            line(&format!("sha256   {certificate_sha256}"))?;
        }
        Deed::ChangePolicies { before_sha256, after_sha256 } => {
            line(&format!("act      policies are changed: those of {before_sha256}"))?;
            line(&format!("         become those of {after_sha256}"))?;
            act.policies.as_ref().map_or(Ok(()), super::policy::change)?;
        }
        Deed::Bulk { incident, act: of, reason, certificates, serials_sha256, authorities } => {
            let reason = reason.map(|reason| format!(", for the reason {}", word(&reason))).unwrap_or_default();
            line(&format!("act      {} of {certificates} certificates for {incident}{reason}; each is named by `ca bulk show {incident}`", of.name()))?;
            if *authorities {
                line("         these are AUTHORITIES: all that they certified falls with them")?;
            }
            line(&format!("serials  sha256 {serials_sha256}"))?;
        }
    }
    if let Some(preview) = &act.preview {
        for of in &preview.kinds {
            line(&format!("{:>8} {:<19} {:<14} {}", of.count, of.profile, of.issuer, word(&of.state)))?;
        }
        if preview.unknown > 0 {
            line(&format!("{:>8} unknown here", preview.unknown))?;
        }
    }
    line(&format!("asked    {} by {}; ends {} when nobody decides", date(act.asked.at), act.asked.by, date(act.ends_at)))
}

/// One line and never two, whatever a server sent: nothing reads as a line of ours that is not.
fn line(text: &str) -> Result<(), Problem> {
    print::line(&plain(text))
}

/// Whose a certificate is, as its subject says.
fn holder(text: &str) -> String {
    let Ok(certificate) = ::pem::parse(text) else { return String::new() };
    X509Certificate::from_der(certificate.contents()).map(|(_, read)| read.subject().to_string()).unwrap_or_default()
}

pub fn proven(proven: &ActProven) -> Result<(), Problem> {
    line(&format!("the act ({}) is {}: asked for {} by {}, so since {}", proven.act.word(), proven.state, date(proven.asked_at), proven.asked_by, date(proven.state_at)))?;
    proven.approved_by.iter().try_for_each(|serial| line(&format!("approved by the officer of certificate {serial}")))?;
    proven.refused_by.iter().try_for_each(|serial| line(&format!("refused by the officer of certificate {serial}")))
}
