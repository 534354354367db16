//! What commands print: for people, or JSON for programs.

use std::path::Path;

use runtime::exit::{Exit, Problem};

use crate::service::{Outcome, Shown};

pub use runtime::terminal::{date, json, line, plain, word};

pub fn problem(problem: &Problem, json: bool) {
    runtime::terminal::problem("ca", problem, json);
}

/// Whole or not at all; what is no file (a terminal, `/dev/null`) is written to and never replaced.
pub fn file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    file_for(path, bytes, 0o644)
}

/// The same for who may read it: what names persons is its owner's alone.
pub fn file_for(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => std::fs::write(path, bytes),
        _ => runtime::state::write_atomically(path, bytes, mode),
    }
}

pub fn issued(outcome: &Outcome, out: Option<&Path>, as_json: bool) -> Result<(), Problem> {
    let Outcome::Certificate(shown) = outcome else { return self::outcome(outcome, as_json) };
    let whole = format!("{}{}", shown.pem.as_deref().unwrap_or_default(), shown.chain.as_deref().unwrap_or_default());
    if let Some(path) = out {
        let failed = |error: std::io::Error| {
            let next = format!("the certificate is issued: fetch it with `ca show {}`", shown.serial);
            Problem::new(Exit::Unavailable, "file", format!("{} cannot be written: {error}", path.display()), next)
        };
        file(path, whole.as_bytes()).map_err(failed)?;
    }
    if as_json {
        return json(shown);
    }
    certificate(shown)?;
    if out.is_none() { line(whole.trim_end()) } else { Ok(()) }
}

pub fn outcome(outcome: &Outcome, as_json: bool) -> Result<(), Problem> {
    if as_json {
        return match outcome {
            Outcome::Certificate(shown) => json(shown),
            Outcome::Certificates(list) => json(list),
            Outcome::KeyBlocked(blocked) => json(blocked),
            Outcome::Enterprise(enterprise) => json(enterprise),
            Outcome::Preview(preview) => json(preview),
            Outcome::Incident(incident) => json(incident),
            Outcome::Incidents(acts) => json(acts),
            Outcome::IncidentItems(items) => json(items),
            Outcome::Order(_) | Outcome::Orders(_) | Outcome::OrderProof(_) => super::order::shown(outcome, true),
            Outcome::Act(_) | Outcome::Acts(_) | Outcome::ActProof(_) => super::act::shown(outcome, true),
            Outcome::Policies(standing) => json(standing),
            Outcome::Published(list) => json(list),
            Outcome::Prepared(list) => json(list),
            Outcome::Exported(exported) => json(exported),
            Outcome::Officer(officer) => json(officer),
            Outcome::Officers(list) => json(list),
            Outcome::Readings(list) => json(list),
            Outcome::Registrars(list) => json(list),
            Outcome::OwnName { serial, .. } => json(serial),
            Outcome::Notices(list) => json(list),
            Outcome::Letter(letter) => json(letter),
            Outcome::Examined(examined) => json(examined),
            Outcome::BackedUp(done) => json(done),
            Outcome::WoundDown(done) => json(done),
            Outcome::Retention(report) => json(report),
            Outcome::Adopted(adopted) => json(adopted),
            Outcome::ListAdopted(adopted) => json(adopted),
            Outcome::Timestamp(stamped) => json(stamped),
            Outcome::IssuerRequested(requested) => json(requested),
            Outcome::IssuerInstalled(installed) => json(installed),
            Outcome::RootsPublished(roots) => json(roots),
        };
    }
    match outcome {
        Outcome::Certificate(shown) => {
            certificate(shown)?;
            shown.pem.as_deref().map_or(Ok(()), |pem| line(pem.trim_end()))
        }
        Outcome::Certificates(list) if list.is_empty() => line("no certificate fits"),
        Outcome::Certificates(list) => list.iter().try_for_each(|shown| line(&row(shown))),
        Outcome::Order(_) | Outcome::Orders(_) | Outcome::OrderProof(_) => super::order::shown(outcome, false),
        Outcome::Act(_) | Outcome::Acts(_) | Outcome::ActProof(_) => super::act::shown(outcome, false),
        Outcome::Policies(standing) => super::policy::shown(standing, false),
        Outcome::KeyBlocked(blocked) => {
            line(&format!("key {} is blocked{}; {} certificates revoked", blocked.key, if blocked.before { ", as before" } else { "" }, blocked.revoked.len()))?;
            blocked.revoked.iter().try_for_each(|shown| line(&row(shown)))
        }
        Outcome::Preview(preview) => line(&format!("{} certificates", preview.total)),
        Outcome::Incident(incident) => line(&format!("{}: {} of {}", incident.incident, incident.next, incident.total)),
        Outcome::Incidents(acts) => acts.iter().try_for_each(|act| line(&format!("{}: {} of {}", act.incident, act.next, act.total))),
        Outcome::IncidentItems(items) => items.iter().try_for_each(|item| line(&item.serial)),
        Outcome::Enterprise(enterprise) => {
            let (code, count) = (&enterprise.code, enterprise.certificates.len());
            match &enterprise.freeze {
                Some(order) => line(&format!("{code} is frozen until {}, by {}; {count} certificates held, and none is issued for it", date(order.until), order.authority))?,
                None => line(&format!("{code} is frozen no longer; {count} certificates changed"))?,
            }
            enterprise.certificates.iter().try_for_each(|shown| line(&row(shown)))
        }
        Outcome::Published(list) => list.iter().try_for_each(|one| {
            line(&format!("{} number {}: {} revoked, good until {}, at {}", one.issuer, one.number, one.entries, date(one.next_update), one.address))
        }),
        Outcome::Prepared(list) => line(&format!("{} number {}: {} revoked", list.root, list.number, list.entries)),
        Outcome::Officer(officer) => line(&super::officer::row(officer)),
        Outcome::Officers(list) if list.is_empty() => line("nobody was granted a power; the owner of this machine may do all"),
        Outcome::Officers(list) => list.iter().try_for_each(|officer| line(&super::officer::row(officer))),
        Outcome::Readings(list) if list.readings.is_empty() => line("nobody looked at records"),
        Outcome::Readings(list) => {
            list.readings.iter().try_for_each(|one| line(&plain(&format!("{}  {:<16} {}", date(one.hour), one.what, one.by))))?;
            if list.more { line("there are older ones: say --by or --since, or a higher --limit") } else { Ok(()) }
        }
        Outcome::Registrars(list) if list.is_empty() => line("no mail gateway is a registrar, so no citizen is certified"),
        Outcome::Registrars(list) => list.iter().try_for_each(|registrar| line(&super::registrar::row(registrar))),
        Outcome::Notices(list) => super::notice::list(list),
        Outcome::Letter(letter) => line(&format!("{}\n\n{}", letter.subject, letter.text.trim_end())),
        Outcome::Examined(examined) => examined.findings.iter().try_for_each(|finding| line(&finding.what)),
        // Written into the holder's file, never shown.
        Outcome::OwnName { serial, .. } => line(&format!("the secret of {serial}")),
        Outcome::IssuerRequested(requested) => line(requested.request.trim_end()),
        Outcome::IssuerInstalled(issuer) => {
            line(&format!("{} issues from now on, until {}: {}", issuer.id, date(issuer.not_after), issuer.certificate.display()))?;
            line(&format!("serial   {}", issuer.serial))?;
            line(&format!("sha256   {}", issuer.sha256))
        }
        Outcome::RootsPublished(roots) => roots.iter().try_for_each(|root| line(&format!("{:<16} {} at {}", root.id, root.sha256, root.address))),
        Outcome::BackedUp(done) => super::backup::done(done),
        Outcome::WoundDown(done) => super::wind_down::done(done),
        Outcome::Retention(report) => super::wind_down::kept(report),
        Outcome::Adopted(adopted) => {
            line(if adopted.before { "known before; nothing was changed" } else { "adopted" })?;
            certificate(&adopted.certificate)
        }
        Outcome::ListAdopted(list) => line(&format!(
            "list {} of {}: {} entries; {} certificates changed, {} serials kept that nobody here knows",
            list.number, list.issuer, list.entries, list.changed, list.unknown
        )),
        Outcome::Timestamp(stamped) => super::timestamp::lines(stamped),
        Outcome::Exported(exported) => {
            line(&format!("{} entries in {}", exported.entries, exported.directory.display()))?;
            unrecorded(exported.unrecorded)?;
            line(&format!("verify with: ca log verify {} --vkey '{}'", exported.directory.display(), exported.vkey))
        }
    }
}

/// Said where something was done that the log does not tell of.
pub fn unrecorded(unrecorded: bool) -> Result<(), Problem> {
    if unrecorded { line("The log cannot be written and has no entry of this: note it elsewhere, and see `ca doctor`") } else { Ok(()) }
}

/// One line of a list.
pub fn row(shown: &Shown) -> String {
    let code = shown.code.as_deref().unwrap_or("-");
    format!("{}  {:<8} {:<19} {:<18} {}  {}", shown.serial, word(&shown.state), shown.profile, code, date(shown.not_after), shown.name)
}

fn certificate(shown: &Shown) -> Result<(), Problem> {
    line(&format!("serial   {}", shown.serial))?;
    line(&format!("state    {}", word(&shown.state)))?;
    if let (Some(at), Some(reason)) = (shown.revoked_at, shown.reason) {
        line(&format!("revoked  {} ({})", date(at), word(&reason)))?;
        shown.invalid_since.map_or(Ok(()), |since| line(&format!("invalid  since {}", date(since))))?;
    }
    super::hold::lines(shown)?;
    super::succession::lines(shown)?;
    line(&format!("name     {}", shown.name))?;
    if let Some(code) = &shown.code {
        line(&format!("code     {code}"))?;
    }
    line(&format!("profile  {}, by {}", shown.profile, shown.issuer))?;
    line(&format!("valid    {} to {}", date(shown.not_before), date(shown.not_after)))?;
    line(&format!("sha256   {}", shown.sha256))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::file;

    #[test]
    fn only_files_are_replaced() {
        let place = tempfile::tempdir().unwrap();
        let (real, link) = (place.path().join("real"), place.path().join("link"));
        file(&real, b"old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        file(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&real).unwrap(), b"new");
        file(std::path::Path::new("/dev/null"), b"x").unwrap();
        assert!(!std::path::Path::new("/dev/null").is_file());
    }
}
