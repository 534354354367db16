//! The inventory: rows for people, JSON for programs, CSV for spreadsheets, a page or all of them.

use std::io::{BufWriter, ErrorKind, IsTerminal, Write};

use clap::Args;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{date, word};

use super::ask::{self, Place};
use super::{offline, print};
use crate::register::{PAGE, Query, State};
use crate::operation::Operation;
use crate::service::{Outcome, Shown};

/// Which certificates: all that is given must hold.
#[derive(Debug, Args)]
pub struct Selection {
    #[arg(long)]
    code: Option<String>,
    /// A common name or its beginning.
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    profile: Option<String>,
    #[arg(long)]
    issuer: Option<String>,
    #[arg(long)]
    state: Option<State>,
    /// Those that end from now on within this time, such as 30d, 2w or 12h.
    #[arg(long, conflicts_with = "expires_before")]
    expiring: Option<String>,
    /// RFC 3339.
    #[arg(long)]
    expires_before: Option<String>,
}

impl Selection {
    pub fn is_empty(&self) -> bool {
        let Self { code, name, profile, issuer, state, expiring, expires_before } = self;
        [code, name, profile, issuer, expiring, expires_before].iter().all(|given| given.is_none()) && state.is_none()
    }

    pub fn query(self, now: i64) -> Result<Query, Problem> {
        let Self { code, name, profile, issuer, state, expiring, expires_before } = self;
        let (expires_from, expires_before) = match (expiring, expires_before) {
            // The last second counts: an end is the last moment of being valid.
            (Some(within), _) => (Some(now), Some(now + span(&within)? + 1)),
            (None, before) => (None, before.as_deref().map(offline::instant).transpose()?),
        };
        Ok(Query { code, name, state, profile, issuer, expires_from, expires_before, limit: None, after: None })
    }
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    which: Selection,
    /// At most this many, up to 1000.
    #[arg(long, conflicts_with = "all")]
    limit: Option<usize>,
    /// Everything, however many there are.
    #[arg(long)]
    all: bool,
    /// Go on after this serial.
    #[arg(long)]
    after: Option<String>,
    /// Comma-separated values (RFC 4180), for spreadsheets.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Csv,
}

pub fn list(place: &Place, list: List) -> Result<(), Problem> {
    let form = match (place.json, list.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Text,
    };
    let all = list.all;
    let query = query(list, SystemClock.now().unix_timestamp())?;
    let limit = query.limit.unwrap_or(PAGE);
    let mut rows = Rows { out: BufWriter::new(std::io::stdout().lock()), form, written: 0 };
    // A terminal that shows the rows needs to be told of no progress.
    let told = all && std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    let told_of = |written: u64, last: bool| {
        if told {
            runtime::terminal::progress(&format!("{written} certificates"), last);
        }
    };
    let mut ended = false;
    ask::ask_on(place, Operation::List(query.clone()), |outcome| {
        let Outcome::Certificates(page) = outcome else { return Ok(None) };
        ended = match rows.page(&page) {
            Ok(()) => false,
            // Whoever reads (`| head`) has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => true,
            Err(error) => return Err(unwritten(&error)),
        };
        told_of(rows.written, false);
        let more = all && !ended && page.len() >= limit;
        let after = page.last().filter(|_| more).map(|last| last.serial.clone());
        Ok(after.map(|after| Operation::List(Query { after: Some(after), ..query.clone() })))
    })?;
    told_of(rows.written, true);
    match rows.end() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritten(&error)),
        _ => Ok(()),
    }
}

fn unwritten(error: &std::io::Error) -> Problem {
    Problem::new(Exit::Unavailable, "output", format!("the output cannot be written: {error}"), "check where it goes")
}

fn query(list: List, now: i64) -> Result<Query, Problem> {
    let List { which, limit, after, .. } = list;
    Ok(Query { limit: limit.map(|limit| limit.clamp(1, PAGE)), after, ..which.query(now)? })
}

/// `30d` in seconds.
fn span(text: &str) -> Result<i64, Problem> {
    let refused = || {
        let text: String = text.chars().take(40).collect();
        Problem::new(Exit::Usage, "time", format!("{text:?} is no length of time"), "write it like 30d, 2w or 12h, a hundred years at most")
    };
    let units = [('h', 3_600), ('d', 86_400), ('w', 7 * 86_400)];
    let (number, unit) = units.iter().find_map(|(letter, seconds)| Some((text.strip_suffix(*letter)?, *seconds))).ok_or_else(refused)?;
    let number: u32 = Some(number).filter(|number| number.bytes().all(|digit| digit.is_ascii_digit())).and_then(|number| number.parse().ok()).ok_or_else(refused)?;
    let seconds = i64::from(number) * unit;
    if seconds > 36_525 * 86_400 { Err(refused()) } else { Ok(seconds) }
}

/// Rows as they go out, page after page.
struct Rows<W: Write> {
    out: W,
    form: Form,
    written: u64,
}

impl<W: Write> Rows<W> {
    fn page(&mut self, page: &[Shown]) -> std::io::Result<()> {
        for shown in page {
            match self.form {
                Form::Text => writeln!(self.out, "{}", print::row(shown))?,
                Form::Json => {
                    self.out.write_all(if self.written == 0 { b"[\n" } else { b",\n" })?;
                    serde_json::to_writer_pretty(&mut self.out, shown)?;
                }
                Form::Csv => {
                    if self.written == 0 {
                        self.heading()?;
                    }
                    record(&mut self.out, &cells(shown))?;
                }
            }
            self.written += 1;
        }
        self.out.flush()
    }

    fn heading(&mut self) -> std::io::Result<()> {
        record(&mut self.out, &HEADING.map(str::to_owned))
    }

    fn end(mut self) -> std::io::Result<()> {
        match (self.form, self.written) {
            (Form::Text, 0) => self.out.write_all(b"no certificate fits\n")?,
            (Form::Json, 0) => self.out.write_all(b"[]\n")?,
            (Form::Json, _) => self.out.write_all(b"\n]\n")?,
            (Form::Csv, 0) => self.heading()?,
            _ => {}
        }
        self.out.flush()
    }
}

const HEADING: [&str; 13] = ["serial", "state", "profile", "issuer", "name", "code", "not_before", "not_after", "revoked_at", "reason", "held_since", "held_until", "sha256"];

fn cells(shown: &Shown) -> [String; 13] {
    [
        shown.serial.clone(),
        word(&shown.state),
        shown.profile.clone(),
        shown.issuer.clone(),
        shown.name.clone(),
        shown.code.clone().unwrap_or_default(),
        date(shown.not_before),
        date(shown.not_after),
        shown.revoked_at.map(date).unwrap_or_default(),
        shown.reason.map(|reason| word(&reason)).unwrap_or_default(),
        shown.held_since.map(date).unwrap_or_default(),
        shown.held_until.map(date).unwrap_or_default(),
        shown.sha256.clone(),
    ]
}

fn record(out: &mut impl Write, cells: &[String]) -> std::io::Result<()> {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    write!(out, "{}\r\n", cells.join(","))
}

/// A cell that means what it says: what a spreadsheet would take for a formula begins with an apostrophe.
// spec: rfc4180#2
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    if !formula && !text.contains(['"', ',', '\r', '\n']) {
        return text.to_owned();
    }
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(serial: &str, name: &str) -> Shown {
        Shown {
            serial: serial.into(),
            state: State::Good,
            profile: "enterprise-signing".into(),
            issuer: "enterprise-ca".into(),
            name: name.into(),
            code: None,
            not_before: 0,
            not_after: 86_400,
            revoked_at: None,
            reason: None,
            invalid_since: None,
            held_since: None,
            held_until: None,
            freeze: None,
            orders: Vec::new(),
            lifts: Vec::new(),
            replaces: None,
            replaced_by: Vec::new(),
            ends_at: None,
            sha256: "ab".into(),
            pem: None,
            chain: None,
        }
    }

    fn written(form: Form, pages: &[&[Shown]]) -> String {
        let mut out = Vec::new();
        let mut rows = Rows { out: &mut out, form, written: 0 };
        pages.iter().for_each(|page| rows.page(page).unwrap());
        rows.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pages_are_one_table_and_one_array() {
        let (first, second) = ([shown("1", "甲"), shown("2", "乙")], [shown("3", "=1+1")]);
        let csv = written(Form::Csv, &[&first, &second]);
        assert_eq!(csv.lines().count(), 4);
        assert!(csv.starts_with("serial,state,profile,issuer,name,") && csv.contains("3,good,enterprise-signing,enterprise-ca,\"'=1+1\",,1970-01-01T00:00:00Z,1970-01-02T00:00:00Z,,,,,ab\r\n"), "{csv}");
        let json: Vec<Shown> = serde_json::from_str(&written(Form::Json, &[&first, &second])).unwrap();
        assert_eq!(json.len(), 3);
        assert_eq!(written(Form::Json, &[]), "[]\n");
        assert_eq!(written(Form::Csv, &[&[]]).lines().count(), 1);
        assert_eq!(written(Form::Text, &[]), "no certificate fits\n");
    }

    #[test]
    fn a_cell_is_no_formula_and_no_end_of_a_row() {
        for (text, expected) in [("甲", "甲"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("@x", "\"'@x\""), ("-1", "\"'-1\""), ("+1\n", "\"'+1\n\""), ("＝x", "\"'＝x\"")] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!((span("30d").unwrap(), span("12h").unwrap(), span("2w").unwrap()), (30 * 86_400, 12 * 3_600, 14 * 86_400));
        for wrong in ["", "30", "d", "-1d", "+1d", "1.5d", "99999999999d", "36526d", "30日"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
