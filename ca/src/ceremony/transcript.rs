//! What was done in a ceremony, line by line: each line holds the digest of the one before, and the root's key signs
//! the digest of all.

use serde::{Deserialize, Serialize};

pub const TRANSCRIPT: &str = "transcript.jsonl";
pub const SIGNATURE: &str = "transcript.sig";
/// Lines of a transcript that is read, and its octets.
pub const MOST_LINES: usize = 64;
pub const LONGEST: u64 = 256 * 1024;
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One step. Digests are SHA-256 in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, tag = "act")]
pub enum Step {
    Begun { tool: String, kind: String, ceremony_sha256: String, people: usize },
    Input { what: String, sha256: String },
    /// The root's key that was opened, by its identifier.
    Key { key_id: String },
    /// What the key is to sign passed all that is judged before.
    Judged { tbs_sha256: String },
    /// Signed, its bytes those that were judged.
    Output { file: String, sha256: String, tbs_sha256: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    number: usize,
    /// Unix seconds.
    at: i64,
    /// Of the line before, without its line feed.
    before: String,
    step: Step,
}

/// A transcript being written.
#[derive(Default)]
pub struct Transcript {
    text: String,
    last: Option<String>,
    lines: usize,
}

impl Transcript {
    pub fn add(&mut self, at: i64, step: Step) -> Result<(), serde_json::Error> {
        let before = self.last.take().unwrap_or_else(|| NOTHING.to_owned());
        let line = serde_json::to_string(&Line { number: self.lines, at, before, step })?;
        self.last = Some(crate::sha256_hex(line.as_bytes()));
        self.lines += 1;
        self.text.push_str(&line);
        self.text.push('\n');
        Ok(())
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What the root's key signs: no certificate and no list begins like this.
pub fn signed_text(transcript: &str) -> String {
    format!("suiyin ceremony 1\n{}\n", crate::sha256_hex(transcript.as_bytes()))
}

/// The steps of a transcript whose lines hold together.
pub fn read(text: &str) -> Option<Vec<(i64, Step)>> {
    let (mut steps, mut before) = (Vec::new(), NOTHING.to_owned());
    for (number, line) in text.strip_suffix('\n')?.split('\n').enumerate() {
        let read: Line = serde_json::from_str(line).ok().filter(|_| number < MOST_LINES)?;
        if read.number != number || read.before != before {
            return None;
        }
        before = crate::sha256_hex(line.as_bytes());
        steps.push((read.at, read.step));
    }
    Some(steps)
}
