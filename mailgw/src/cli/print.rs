//! What the gateway's commands print.

use std::path::Path;

use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use serde_json::json as object;

use crate::service::Outcome;

pub fn request(outcome: &Outcome, out: Option<&Path>, as_json: bool) -> Result<(), Problem> {
    let Outcome::Request(pem) = outcome else { return self::outcome(outcome, as_json) };
    let Some(path) = out else { return self::outcome(outcome, as_json) };
    std::fs::write(path, pem).map_err(|error| Problem::new(Exit::Unavailable, "file", format!("{}: {error}", path.display()), "check the path and the disk"))?;
    if as_json { json(&object!({ "request": path })) } else { line(&format!("request in {}", path.display())) }
}

pub fn outcome(outcome: &Outcome, as_json: bool) -> Result<(), Problem> {
    match outcome {
        Outcome::Request(pem) if as_json => json(&object!({ "pem": pem })),
        Outcome::Request(pem) => line(pem.trim_end()),
        Outcome::Done if as_json => json(&object!({ "done": true })),
        Outcome::Done => line("done"),
        Outcome::Exported(exported) if as_json => json(exported),
        Outcome::Exported(exported) => {
            line(&format!("{} entries in {}", exported.entries, exported.directory.display()))?;
            line(&format!("verify with: mailgw log verify {} --vkey '{}'", exported.directory.display(), exported.vkey))
        }
    }
}
