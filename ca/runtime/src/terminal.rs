//! What commands print: for people, or JSON for programs.

use std::io::Write;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::exit::{Exit, Problem};

/// One line or several on standard output, whatever of it came from elsewhere tamed.
pub fn line(text: &str) -> Result<(), Problem> {
    written(&tamed(text))
}

/// A pipe that was closed (`| head`) ends the command without a fuss.
fn written(text: &str) -> Result<(), Problem> {
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
    written(&escaped(text))
}

/// On standard error; `program` names who speaks.
pub fn problem(program: &str, problem: &Problem, json: bool) {
    let told = || tamed(&format!("{program}: {problem}"));
    let text = if json { serde_json::to_string(problem).map_or_else(|_| told(), escaped) } else { told() };
    // Nothing can be done when even the error cannot be written.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The command line; or how the process ends, once help was shown or a wrong word told, in JSON where that is asked for.
pub fn arguments<C: clap::Parser>(program: &str) -> Result<C, Exit> {
    let error = match C::try_parse() {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
    if exit == Exit::Usage && std::env::args_os().any(|word| word == "--json") {
        self::problem(program, &usage(program, &error), true);
    } else {
        // Nothing can be done when even this cannot be written.
        let _ = error.print();
    }
    Err(exit)
}

fn usage(program: &str, error: &clap::Error) -> Problem {
    let text = error.render().to_string();
    // Below the first paragraph clap repeats how the command is used; with no command it says nothing else.
    let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let message = match error.kind() {
        clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "the command is missing".to_owned(),
        _ => first.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    Problem::new(Exit::Usage, "command-line", message, format!("see `{program} --help`, or that of the command"))
}

/// How far long work is, on standard error: one line that a terminal overwrites, or none when nobody watches.
pub fn progress(text: &str, last: bool) {
    use std::io::IsTerminal;
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K{text}{}", if last { "\n" } else { "" });
        let _ = err.flush();
    } else if last {
        let _ = writeln!(err, "{text}");
    }
}

/// Text from outside without anything that could move a terminal's cursor or turn the direction of what is read: one line.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect()
}

/// What a terminal obeys instead of showing it.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// As `plain`, line by line.
fn tamed(text: &str) -> String {
    text.chars().map(|c| if c != '\n' && acts(c) { '\u{fffd}' } else { c }).collect()
}

/// JSON that says the same: what acts on a terminal is escaped. Outside of strings there is none but line breaks.
fn escaped(json: String) -> String {
    if !json.chars().any(|c| c != '\n' && acts(c)) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len()), |mut text, c| {
        if c != '\n' && acts(c) { text.push_str(&format!("\\u{:04x}", u32::from(c))) } else { text.push(c) }
        text
    })
}

/// Unix seconds as RFC 3339.
pub fn date(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
}

/// The word of a value in its JSON form.
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{escaped, plain, tamed};

    #[test]
    fn text_from_outside_is_tamed() {
        let from_outside = "穗印\u{1b}[2J a\u{202e}b\n\u{9b}2J";
        assert_eq!(plain(from_outside), "穗印\u{fffd}[2J a\u{fffd}b\u{fffd}\u{fffd}2J");
        assert_eq!(tamed(from_outside), "穗印\u{fffd}[2J a\u{fffd}b\n\u{fffd}2J");
        // A program reads the same, and a terminal that shows it obeys nothing.
        let json = escaped(serde_json::to_string_pretty(&[from_outside, "穗印"]).unwrap());
        assert!(json.contains("穗印\\u001b[2J a\\u202eb\\n\\u009b2J") && json.lines().count() == 4, "{json}");
        assert_eq!(serde_json::from_str::<[String; 2]>(&json).unwrap(), [from_outside, "穗印"]);
    }
}
