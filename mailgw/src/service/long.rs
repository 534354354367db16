//! Work that takes its time: files in and out, pushes, a search index made anew.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};

use super::{Outcome, Service};
use crate::directory::ImportedRow;
use crate::flow::push::{self, Order, Progress};
use crate::flow::{export, load};
use crate::mailbox::MailError;

/// Rows of an import that are told at once.
const TOLD_AT_ONCE: usize = 100;

/// Work that takes its time and tells how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LongOperation {
    MailboxImport { file: PathBuf },
    /// Makes the search index of a mailbox anew.
    MailboxReindex { mailbox: String },
    MailboxArchive(export::Wanted),
    MailboxLoad(load::Order),
    Push(Order),
    /// Judges the rows of an order and delivers nothing.
    PushDryRun(Order),
}

/// How far long work is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    Imported(Vec<ImportedRow>),
    /// So many of so many messages.
    Indexed { done: usize, all: usize },
    Exported { done: u64, all: u64 },
    Loaded(load::Loaded),
    Pushed(Progress),
}

impl Service {
    /// From a blocking thread. `tell` says whether anybody still listens.
    pub fn perform_long(&self, operation: LongOperation, tell: &mut dyn FnMut(Told) -> bool) -> Result<Outcome, Problem> {
        match operation {
            LongOperation::Push(order) => {
                // The bureau's work goes on when the one who watched it leaves.
                let mut progress = |progress| {
                    tell(Told::Pushed(progress));
                    !self.shutdown.is_set()
                };
                Ok(Outcome::Report(Box::new(push::push(&self.gateway, &*self.sealer, &self.lists, &order, &mut progress)?)))
            }
            LongOperation::PushDryRun(order) => {
                let mut progress = |progress| tell(Told::Pushed(progress)) && !self.shutdown.is_set();
                Ok(Outcome::Trial(Box::new(push::dry_run(&self.gateway, &self.lists, &order, &mut progress)?)))
            }
            LongOperation::MailboxArchive(wanted) => {
                let mut on = |done, all| {
                    tell(Told::Exported { done, all });
                    !self.shutdown.is_set()
                };
                Ok(Outcome::Written(export::export(&self.gateway, &self.lists, &wanted, &mut on)?))
            }
            LongOperation::MailboxLoad(order) => {
                let mut on = |loaded| {
                    tell(Told::Loaded(loaded));
                    !self.shutdown.is_set()
                };
                Ok(Outcome::Loaded(load::load(&self.gateway, &order, &mut on)?))
            }
            LongOperation::MailboxReindex { mailbox } => {
                let number = self.number(&mailbox)?;
                let mut on = |done, all| {
                    tell(Told::Indexed { done, all });
                    !self.shutdown.is_set()
                };
                self.gateway.messages.reindex(&number.to_string(), &mut on).map_err(|error| told_of(&error))?;
                Ok(Outcome::Done)
            }
            LongOperation::MailboxImport { file } => {
                let unreadable = |error: std::io::Error| Problem::new(Exit::Usage, "file", format!("{} cannot be read: {error}", file.display()), "check the path");
                let opened = File::open(&file).map_err(unreadable)?;
                let import = self.gateway.directory.import(BufReader::new(opened), self.gateway.clock.now())?;
                let mut rows = Vec::new();
                for row in import {
                    rows.push(row?);
                    if rows.len() < TOLD_AT_ONCE {
                        continue;
                    }
                    // Passwords are told once: where nobody listens, nothing more is opened.
                    if !tell(Told::Imported(std::mem::take(&mut rows))) {
                        return Err(Problem::new(Exit::Unavailable, "caller-left", "nobody takes the passwords any more", "import again: what was opened is reported as existing"));
                    }
                    if self.shutdown.is_set() {
                        return Err(Problem::new(Exit::Unavailable, "stopped", "the import was stopped because the service is ending", "import again to go on"));
                    }
                }
                tell(Told::Imported(rows));
                Ok(Outcome::Done)
            }
        }
    }
}

fn told_of(error: &MailError) -> Problem {
    Problem::new(Exit::Unavailable, "search-index", error.to_string(), "look at the store; searches read what the index does not know meanwhile")
}
