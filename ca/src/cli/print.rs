//! What commands print: for people, or JSON for programs.

use std::io::Write;
use std::path::Path;

use runtime::exit::{Exit, Problem};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::service::{Outcome, Shown};

/// A pipe that was closed (`| head`) ends the command without a fuss.
pub fn line(text: &str) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Problem::new(Exit::Unavailable, "output", format!("the output cannot be written: {error}"), "check where it goes"))
        }
        _ => Ok(()),
    }
}

pub fn json(value: &impl Serialize) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Problem::new(Exit::Internal, "json", error.to_string(), "report this"))?;
    line(&text)
}

pub fn problem(problem: &Problem, json: bool) {
    let text = if json { serde_json::to_string(problem).unwrap_or_else(|_| problem.to_string()) } else { format!("ca: {problem}") };
    // Nothing can be done when even the error cannot be written.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Text from outside without anything that could move a terminal's cursor.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn date(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
}

/// The word of a value in its JSON form.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

pub fn issued(outcome: &Outcome, out: Option<&Path>, as_json: bool) -> Result<(), Problem> {
    let Outcome::Certificate(shown) = outcome else { return self::outcome(outcome, as_json) };
    let whole = format!("{}{}", shown.pem.as_deref().unwrap_or_default(), shown.chain.as_deref().unwrap_or_default());
    if let Some(path) = out {
        let failed = |error: std::io::Error| {
            let next = format!("the certificate is issued: fetch it with `ca show {}`", shown.serial);
            Problem::new(Exit::Unavailable, "file", format!("{} cannot be written: {error}", path.display()), next)
        };
        std::fs::write(path, &whole).map_err(failed)?;
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
            Outcome::Published(list) => json(list),
            Outcome::Exported(exported) => json(exported),
        };
    }
    match outcome {
        Outcome::Certificate(shown) => {
            certificate(shown)?;
            line(shown.pem.as_deref().unwrap_or_default().trim_end())
        }
        Outcome::Certificates(list) if list.is_empty() => line("no certificate fits"),
        Outcome::Certificates(list) => list.iter().try_for_each(row),
        Outcome::Published(list) => list.iter().try_for_each(|one| {
            line(&format!("{} number {}: {} revoked, good until {}, at {}", one.issuer, one.number, one.entries, date(one.next_update), one.address))
        }),
        Outcome::Exported(exported) => {
            line(&format!("{} entries in {}", exported.entries, exported.directory.display()))?;
            line(&format!("verify with: ca log verify {} --vkey '{}'", exported.directory.display(), exported.vkey))
        }
    }
}

fn row(shown: &Shown) -> Result<(), Problem> {
    let code = shown.code.as_deref().unwrap_or("-");
    line(&format!("{}  {:<8} {:<19} {:<18} {}  {}", shown.serial, word(&shown.state), shown.profile, code, date(shown.not_after), shown.name))
}

fn certificate(shown: &Shown) -> Result<(), Problem> {
    line(&format!("serial   {}", shown.serial))?;
    line(&format!("state    {}", word(&shown.state)))?;
    if let (Some(at), Some(reason)) = (shown.revoked_at, shown.reason) {
        line(&format!("revoked  {} ({})", date(at), word(&reason)))?;
    }
    line(&format!("name     {}", shown.name))?;
    if let Some(code) = &shown.code {
        line(&format!("code     {code}"))?;
    }
    line(&format!("profile  {}, by {}", shown.profile, shown.issuer))?;
    line(&format!("valid    {} to {}", date(shown.not_before), date(shown.not_after)))?;
    line(&format!("sha256   {}", shown.sha256))
}
