//! `ca policy`: what the documents mean, and how they are changed.

use std::path::PathBuf;

use ::policies::certificate::Policies;
use clap::Subcommand;
use runtime::exit::{Exit, Problem};
use serde_json::json;
use similar::{ChangeTag, TextDiff};

use super::ask::{self, Place};
use super::print::{self, date, plain};
use crate::documents::Documents;
use crate::flow::policies::{Change, Standing};
use crate::init::{InitError, ReadPolicies};
use crate::operation::Operation;
use crate::service::Outcome;

#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Read every profile and print it as the program understands it.
    #[command(after_help = "Example:\n  ca policy check --policies ./policies")]
    Check {
        /// A directory with `certificates/*.toml`; that of --dir when absent.
        #[arg(long)]
        policies: Option<PathBuf>,
    },
    /// Which policies are accepted, and which the service goes by.
    #[command(after_help = "Examples:\n  ca policy show\n  ca --server https://ca.example.cn:8441 --identity me policy show --out ./policies")]
    Show {
        /// Write the documents into this new directory, to make a change of.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// What a directory of documents would change, in lines and in meaning; nothing is proposed.
    #[command(after_help = "Example:\n  ca policy diff ./policies")]
    Diff { directory: PathBuf },
    /// Propose the documents of a directory. Where officers approve that, they decide with `ca order approve`; what is
    /// accepted is gone by from the next start of `ca serve` on.
    #[command(after_help = "Example:\n  ca --server https://ca.example.cn:8441 --identity me policy show --out ./policies\n  ca policy check --policies ./policies\n  ca --server https://ca.example.cn:8441 --identity me policy propose ./policies")]
    Propose { directory: PathBuf },
}

pub fn policy(place: &Place, policy: Policy) -> Result<(), Problem> {
    match policy {
        Policy::Check { policies } => check(place, policies),
        Policy::Show { out } => {
            let standing = standing(place)?;
            if let Some(directory) = out {
                if directory.exists() {
                    return Err(Problem::new(Exit::Conflict, "exists", format!("{} stands already", directory.display()), "name a new directory"));
                }
                standing.documents.write_over(&directory, &Documents::default())?;
            }
            shown(&standing, place.json)
        }
        Policy::Diff { directory } => {
            let change = Change { before: standing(place)?.documents, after: Documents::read(&directory)? };
            let lines = meaning(&change)?;
            if place.json { print::json(&lines) } else { lines.iter().try_for_each(|line| one(line)) }
        }
        Policy::Propose { directory } => {
            let documents = Documents::read(&directory)?;
            // Judged here before anybody is asked: whoever mends them sees file and line at once.
            documents.judge().map_err(InitError::from)?;
            print::outcome(&ask::ask(place, Operation::ProposePolicies { documents })?, place.json)
        }
    }
}

fn standing(place: &Place) -> Result<Standing, Problem> {
    match ask::ask(place, Operation::ShowPolicies)? {
        Outcome::Policies(standing) => Ok(*standing),
        _ => Err(Problem::new(Exit::Internal, "operation", "the answer is to another question", "see that server and command are the same version")),
    }
}

fn check(place: &Place, policies: Option<PathBuf>) -> Result<(), Problem> {
    // A directory named by hand is the one that holds `certificates/` and `authority/`.
    let root = policies.unwrap_or_else(|| place.directory.join("policies"));
    let ReadPolicies { certificates: policies, digest, .. } = crate::init::read_policies(&root)?;
    if place.json {
        let profiles: Vec<_> = policies.profiles().map(|profile| json!({ "name": profile.name(), "resolved": profile.resolved() })).collect();
        return print::json(&json!({ "sha256": digest, "profiles": profiles }));
    }
    for profile in policies.profiles() {
        print::line(&profile.resolved())?;
    }
    print::line(&format!("sha256 {digest}"))
}

pub fn shown(standing: &Standing, as_json: bool) -> Result<(), Problem> {
    if as_json {
        return print::json(standing);
    }
    let by = standing.act.map(|id| format!(", approved in {id}")).unwrap_or_default();
    one(&format!("accepted {} on {}{by}", standing.accepted_sha256, date(standing.accepted_at)))?;
    match standing.in_force_sha256 == standing.accepted_sha256 {
        true => one("in force these"),
        false => one(&format!("in force {} until `ca serve` is started again", standing.in_force_sha256)),
    }
}

/// The lines of a change, as an officer reads them before signing.
pub fn change(change: &Change) -> Result<(), Problem> {
    meaning(change)?.iter().try_for_each(|line| one(line))
}

/// Of profiles their meaning, whatever is written in other words; of the rest the lines.
fn meaning(change: &Change) -> Result<Vec<String>, Problem> {
    let Change { before, after } = change;
    let mut lines = Vec::new();
    let (old, new) = (profiles(before)?, profiles(after)?);
    let names = old.profiles().chain(new.profiles()).map(|profile| profile.name()).collect::<std::collections::BTreeSet<_>>();
    for name in names {
        let of = |policies: &Policies| policies.profile(name).map(|profile| profile.resolved()).unwrap_or_default();
        differing(&format!("profile {name}, its meaning"), &of(&old), &of(&new), &mut lines);
    }
    for place in before.differing(after) {
        differing(place, before.get(place).unwrap_or_default(), after.get(place).unwrap_or_default(), &mut lines);
    }
    Ok(lines)
}

fn profiles(documents: &Documents) -> Result<Policies, Problem> {
    Ok(documents.judge().map_err(InitError::from)?.certificates)
}

fn differing(title: &str, before: &str, after: &str, lines: &mut Vec<String>) {
    if before == after {
        return;
    }
    lines.push(format!("-- {title}{}", if before.is_empty() { ": new" } else if after.is_empty() { ": gone" } else { "" }));
    let diff = TextDiff::from_lines(before, after);
    for hunk in diff.grouped_ops(1) {
        for change in hunk.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(format!("{sign} {}", change.value().trim_end()));
        }
    }
}

/// Whether the digests that are signed are those of the documents shown.
pub fn is_of(change: &Change, before_sha256: &str, after_sha256: &str) -> bool {
    change.before.are(before_sha256) && change.after.are(after_sha256)
}

/// One line and never two, whatever a document holds.
fn one(text: &str) -> Result<(), Problem> {
    print::line(&plain(text))
}
