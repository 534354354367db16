//! What the program understands of the documents, as text: a change of meaning is a change of this.

use std::fmt::Write;

use super::kind::Kind;
use super::rule::Severity;
use super::Filings;

impl Filings {
    /// Every kind, figure and deadline, a line each.
    pub fn resolved(&self) -> String {
        let mut out = String::new();
        for kind in &self.kinds {
            write_kind(kind, &mut out);
        }
        for figure in self.figures.all() {
            let _ = writeln!(out, "${} ({}): {} / {}", figure.name, figure.unit, figure.zh, figure.en);
            for value in &figure.values {
                let confirmed = if value.confirmed { "confirmed" } else { "UNCONFIRMED" };
                let _ = writeln!(out, "  from {}: {} {confirmed}; {}", value.from, value.value.text(), value.source);
            }
        }
        self.calendar.write(&mut out);
        out
    }
}

fn write_kind(kind: &Kind, out: &mut String) {
    let (zh, en) = kind.titles();
    let roles: Vec<&str> = kind.roles().iter().map(|role| role.name()).collect();
    let _ = writeln!(out, "{} {}: {zh} / {en}", kind.name(), kind.form_version().unwrap_or("-"));
    let _ = writeln!(out, "  a {}, from {} on; a later revision: {}; deadline {}; certificate policies {}; signed by {}; at most {} attachments", kind.period(), kind.from(), kind.revisions(), kind.deadline(), kind.policies().join(" "), roles.join(", "), kind.max_attachments());
    if let Some(path) = kind.figures_at() {
        let _ = writeln!(out, "  figures of the month in {path}");
    }
    for group in kind.groups() {
        let _ = writeln!(out, "  {}{}: {} / {}", group.path, if group.optional { "?" } else { "" }, group.zh, group.en);
    }
    for list in kind.lists() {
        let _ = writeln!(out, "  {}[] {} to {}: {} / {}", list.path, list.min, list.max, list.zh, list.en);
    }
    for field in kind.fields() {
        let left_out = match field.absent {
            Some(value) => format!("; left out, it is {}", value.text()),
            None if field.optional => "; may be left out".into(),
            None => String::new(),
        };
        let _ = writeln!(out, "  {}: {} / {}: {}{left_out}", field.path, field.zh, field.en, field.kind.form().1);
    }
    for rule in kind.rules() {
        let scope = if rule.scope.steps().is_empty() { String::new() } else { format!(" for {}", rule.scope) };
        let when = if rule.when.is_some() { " (conditional)" } else { "" };
        let note = if rule.severity == Severity::Note { " (note)" } else { "" };
        let _ = writeln!(out, "  {}{scope}{when}{note}: {} -> {}", rule.id, rule.written, rule.blamed);
    }
    out.push('\n');
}
