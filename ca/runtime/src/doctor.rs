//! What a `doctor` finds: one line for each thing looked at, graded; a failing one ends the command with its own exit code.

use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Problem};
use crate::terminal::{json, line, word};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    Ok,
    Warn,
    Fail,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub grade: Grade,
    /// What was looked at and how it is.
    pub what: String,
    /// What to do; empty when all is well.
    pub next: String,
}

impl Finding {
    pub fn ok(what: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, what: what.into(), next: String::new() }
    }

    pub fn warn(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { grade: Grade::Warn, what: what.into(), next: next.into() }
    }

    pub fn fail(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { grade: Grade::Fail, what: what.into(), next: next.into() }
    }
}

/// On standard output; one that fails is a problem of the whole.
pub fn tell(findings: &[Finding], as_json: bool) -> Result<(), Problem> {
    if as_json {
        json(&findings)?;
    } else {
        for Finding { grade, what, next } in findings {
            let next = if next.is_empty() { String::new() } else { format!("; {next}") };
            line(&format!("{:<4}  {what}{next}", word(grade)))?;
        }
    }
    verdict(findings)
}

/// A problem where one fails.
pub fn verdict(findings: &[Finding]) -> Result<(), Problem> {
    match findings.iter().filter(|finding| finding.grade == Grade::Fail).count() {
        0 => Ok(()),
        bad => Err(Problem::new(Exit::Damaged, "doctor", format!("{bad} of {} findings fail", findings.len()), "mend what the lines above say")),
    }
}
