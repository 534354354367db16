//! Many certificates of one incident: chosen by a file or a query, looked at first, then worked off portion by portion.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{date, json, line, progress, word};
use serde_json::json;

use super::ask::{self, Place};
use super::list::Selection;
use crate::flow::bulk::{BulkOrder, Chosen, Preview};
use crate::record::{BulkAct, Came, Incident, Reason, Stage};
use crate::operation::Operation;
use crate::service::{BulkItem, Outcome};

/// A million serials, each on its line.
const MOST: u64 = 48 << 20;

#[derive(Debug, Subcommand)]
pub enum Bulk {
    /// Revoke many certificates; tells what it would do, and does it with --execute. Said again, it goes on.
    #[command(after_help = "Examples:\n  ca bulk revoke --incident INC-2026-001 --reason superseded --profile enterprise-signing --expires-before 2027-01-01T00:00:00Z\n  ca bulk revoke --incident INC-2026-001 --reason key-compromise --file serials.txt --execute --confirm 60000")]
    Revoke {
        #[command(flatten)]
        which: Which,
        #[arg(long)]
        reason: Option<Reason>,
    },
    /// Issue many certificates anew, for the same keys and holders as their profiles are now; the old ones end days later.
    #[command(after_help = "Examples:\n  ca bulk reissue --incident INC-2026-001 --profile tls-server --state good\n  ca bulk reissue --incident INC-2026-001 --file serials.txt --execute")]
    Reissue {
        #[command(flatten)]
        which: Which,
    },
    /// Show how far an incident is, and what came of each certificate.
    #[command(after_help = "Example:\n  ca bulk show INC-2026-001 --json")]
    Show { incident: String },
}

#[derive(Debug, Args)]
pub struct Which {
    /// The name of the incident, such as INC-2026-001.
    #[arg(long)]
    incident: String,
    /// Serial numbers, one a line or in the first column of `ca list --csv`; `-` reads standard input.
    #[arg(long)]
    file: Option<PathBuf>,
    #[command(flatten)]
    query: Selection,
    /// Do it; without this nothing is changed.
    #[arg(long)]
    execute: bool,
    /// The number of certificates, when it is more than passes without being said again.
    #[arg(long, value_name = "NUMBER")]
    confirm: Option<u64>,
}

pub fn bulk(place: &Place, bulk: Bulk) -> Result<(), Problem> {
    match bulk {
        Bulk::Revoke { which, reason } => run(place, which, BulkAct::Revoke, reason),
        Bulk::Reissue { which } => run(place, which, BulkAct::Reissue, None),
        Bulk::Show { incident } => show(place, incident),
    }
}

fn run(place: &Place, which: Which, act: BulkAct, reason: Option<Reason>) -> Result<(), Problem> {
    let Which { incident, file, query, execute, confirm } = which;
    let chosen = match (file, query.is_empty()) {
        (Some(_), false) => return Err(Problem::new(Exit::Usage, "chosen-twice", "certificates are chosen by a file and by a query", "give one of the two")),
        (Some(file), true) => Chosen::Serials(serials(&file)?),
        (None, false) => Chosen::Query(query.query(SystemClock.now().unix_timestamp())?),
        (None, true) => Chosen::Incident,
    };
    let mut came = None;
    ask::ask_on(place, Operation::Bulk(BulkOrder { incident, act, reason, chosen, execute, confirm }), |outcome| {
        let more = match &outcome {
            Outcome::Incident(state) if execute => {
                progress(&told(state), state.stage == Stage::Done);
                (state.stage == Stage::Running).then(|| Operation::BulkStep { incident: state.incident.clone(), act })
            }
            _ => None,
        };
        came = Some(outcome);
        Ok(more)
    })?;
    match came {
        Some(Outcome::Preview(preview)) => previewed(&preview, place.json),
        Some(Outcome::Act(act)) => super::print::outcome(&Outcome::Act(act), place.json),
        Some(Outcome::Incident(state)) if place.json => json(&state),
        Some(Outcome::Incident(state)) => line(&told(&state)),
        _ => Err(Problem::new(Exit::Internal, "operation", "there was no answer", "report this")),
    }
}

fn told(state: &Incident) -> String {
    let Incident { incident, act, stage, total, next, done, refused, .. } = state;
    format!("{incident}: {} {next} of {total}, {done} done, {refused} refused, {}", act.name(), word(stage))
}

fn previewed(preview: &Preview, as_json: bool) -> Result<(), Problem> {
    if as_json {
        return json(preview);
    }
    line(&format!("{} certificates are chosen, {} of them unknown here; nothing was changed", preview.total, preview.unknown))?;
    for of in &preview.kinds {
        line(&format!("{:>8} {:<19} {:<14} {}", of.count, of.profile, of.issuer, word(&of.state)))?;
    }
    preview.samples.iter().try_for_each(|serial| line(serial))?;
    line("do it with --execute")
}

/// One serial a line; whatever follows a comma, empty lines and the heading of `ca list --csv` are passed over.
fn serials(path: &Path) -> Result<Vec<String>, Problem> {
    let failed = |reason: String| Problem::new(Exit::Usage, "file", format!("{} cannot be read: {reason}", path.display()), "give a file with one serial number a line");
    let mut text = String::new();
    let read = if path == Path::new("-") { std::io::stdin().lock().take(MOST + 1).read_to_string(&mut text) } else { std::fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_string(&mut text)) };
    if read.map_err(|error| failed(error.to_string()))? as u64 > MOST {
        return Err(failed(format!("it is longer than {MOST} octets")));
    }
    let first = |line: &str| line.split(',').next().unwrap_or_default().trim().to_owned();
    Ok(text.lines().map(first).filter(|serial| !serial.is_empty() && serial != "serial").collect())
}

fn show(place: &Place, incident: String) -> Result<(), Problem> {
    let Outcome::Incidents(acts) = ask::ask(place, Operation::ShowIncident { incident })? else { return Ok(()) };
    let mut whole = Vec::with_capacity(acts.len());
    for state in acts {
        let items = items(place, &state)?;
        if place.json {
            let mut told = serde_json::to_value(&state).unwrap_or_default();
            told["items"] = json!(items);
            whole.push(told);
            continue;
        }
        line(&told(&state))?;
        line(&format!("begun    {} by {}{}", date(state.begun_at), state.by, state.ended_at.map(|at| format!(", ended {}", date(at))).unwrap_or_default()))?;
        for item in &items {
            line(&format!("{}  {}", item.serial, match &item.came {
                None => "waits".to_owned(),
                Some(Came::Revoked) => "revoked".to_owned(),
                Some(Came::Reissued { new }) => format!("reissued as {new}"),
                Some(Came::Refused { code }) => format!("refused: {code}"),
            }))?;
        }
    }
    if place.json { json(&whole) } else { Ok(()) }
}

fn items(place: &Place, state: &Incident) -> Result<Vec<BulkItem>, Problem> {
    let (incident, act) = (&state.incident, state.act);
    let page = |from| Operation::IncidentItems { incident: incident.clone(), act, from };
    let mut items = Vec::new();
    ask::ask_on(place, page(0), |outcome| {
        let Outcome::IncidentItems(found) = outcome else { return Ok(None) };
        let ended = found.is_empty();
        items.extend(found);
        Ok((!ended && (items.len() as u64) < state.total).then(|| page(items.len() as u64)))
    })?;
    Ok(items)
}
