//! Following a log from outside: each new head must be signed, longer than the last and a continuation of it.
//!
//! 1 head         signed by the log's key, which came another way than the log
//! 2 remembered   not shorter than before, and at the same length the same
//! 3 consistency  proved from tiles: what was remembered is the beginning of what is shown
//! 4 entries      when wanted, every new one is read; together they have the root that was signed
//! 5 own name     a certificate in the holder's name, one without a tag, or that the secret was changed, is told
//!
//! One bundle and a few tiles are in memory, however long the log is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use merkle::{Checkpoint, ExportError, FULL, Fault, Kind, Leaf, NOTE_LIMIT, NoteError, ProofError, Tile, Tree, VerifierKey, consistency_from_tiles, leaf_hash, verify_consistency};
use runtime::exit::{Exit, Problem};
use runtime::fetch::FetchError;
use serde::{Deserialize, Serialize};

use crate::own_name::Secret;
use crate::record::log::{CERTIFICATE_ISSUED, CERTIFICATE_NAMED, OWN_NAME_CHANGED};
use crate::register;

/// The largest file of a log: a bundle of 256 entries, each as long as can be.
pub const FILE_LIMIT: usize = 256 * (2 + merkle::ENTRY_LIMIT);
/// More warnings of one round are not kept: something else is wrong then.
const MAX_WARNINGS: usize = 100_000;

/// What a witness remembers from round to round, as it stands in its file.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// The last head that was proved, as it was signed.
    pub checkpoint: Option<String>,
    /// The tree of the entries read so far, base64; behind the head while entries were not asked for.
    tree: String,
    /// Whether the log has tags of own names; from then on each certificate must have one.
    tagged: bool,
    /// A certificate whose tag is to be the very next entry.
    untagged: Option<Certificate>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { checkpoint: None, tree: STANDARD.encode(Tree::new().to_bytes()), tagged: false, untagged: None }
    }
}

/// A certificate as the log tells it. `at` is Unix seconds, `entry` its place in the log.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub serial: String,
    pub issuer: String,
    pub at: i64,
    pub entry: u64,
}

#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", tag = "warning")]
pub enum Warning {
    /// Issued in the holder's own name.
    OwnName(Certificate),
    /// Issued without telling its holder: whose it is nobody can find out from the log.
    Untagged(Certificate),
    /// The secret by which the holder's name was found finds nothing issued after this: another took its place, asked for in
    /// the name of this certificate. Told too when the one that took its place is known.
    SecretChanged(Certificate),
}

/// What the log did that it must never do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    #[error("the checkpoint shown is not the log's: {0}")]
    Forged(NoteError),
    #[error("the log shows {found} entries and was proved to have {known}: it was rolled back")]
    Shorter { known: u64, found: u64 },
    #[error("the log of {found} entries does not continue the one of {known} that was proved before ({proof}): it was rewritten, or others are shown another one")]
    SplitView { known: u64, found: u64, proof: ProofError },
    #[error("the entries that are served do not have the root that was signed for {size}: entries were changed, exchanged or left out")]
    Entries { size: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{alarm}; keep both checkpoints as proof, and ask others what they were shown")]
    Alarm {
        alarm: Alarm,
        /// The two heads that do not fit, as they came.
        remembered: Option<String>,
        shown: Vec<u8>,
    },
    #[error("nothing was proved: {path}: {reason}; try again, and complain to the log's operator when it stays so")]
    Unproved { path: String, reason: String },
    #[error("what was remembered cannot be read; put the file back from a backup, or follow the log anew with another one")]
    Remembered,
    #[error("the secret is not the one of certificate {serial}: the log has another tag; ask for the secret again")]
    WrongSecret { serial: String },
    #[error("more than {MAX_WARNINGS} certificates to warn of; see that the secret is your own")]
    TooMany,
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        let (exit, code) = match &error {
            WatchError::Fetch(error) => return error.clone().into(),
            WatchError::Alarm { alarm: Alarm::Forged(_), .. } => (Exit::Damaged, "log-forged"),
            WatchError::Alarm { alarm: Alarm::Shorter { .. }, .. } => (Exit::Damaged, "log-rolled-back"),
            WatchError::Alarm { alarm: Alarm::SplitView { .. }, .. } => (Exit::Damaged, "log-split-view"),
            WatchError::Alarm { alarm: Alarm::Entries { .. }, .. } => (Exit::Damaged, "log-entries"),
            WatchError::Unproved { .. } => (Exit::Damaged, "log-unproved"),
            WatchError::Remembered => (Exit::Damaged, "remembered"),
            WatchError::WrongSecret { .. } => (Exit::Refused, "wrong-secret"),
            WatchError::TooMany => (Exit::Refused, "too-many-warnings"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Problem::new(exit, code, message, next)
    }
}

impl From<ExportError<FetchError>> for WatchError {
    fn from(error: ExportError<FetchError>) -> Self {
        match error.reason {
            Fault::Io(error) => Self::Fetch(error),
            other => Self::Unproved { path: error.path, reason: other.to_string() },
        }
    }
}

/// Whose own name is looked for.
pub struct OwnName {
    /// A certificate of the holder, by which a wrong secret is found out.
    pub serial: String,
    /// The present one and those before it: each finds what was issued in its time.
    pub secrets: Vec<Secret>,
}

pub struct Witness {
    pub key: VerifierKey,
    pub own_name: Option<OwnName>,
    /// Read every entry, not only what proves that the log goes on.
    pub entries: bool,
}

/// A round that proved everything it looked at.
#[derive(Debug)]
pub struct Round {
    pub remembered: Remembered,
    pub size: u64,
    /// How many entries are new since the round before.
    pub new: u64,
    pub warnings: Vec<Warning>,
}

impl Witness {
    /// One round. `read` gives a file of the log by its path and how long it may be, `None` when there is none;
    /// `progress` is told how many entries were read of how many.
    pub fn round(
        &self,
        before: &Remembered,
        mut read: impl FnMut(&str, usize) -> Result<Option<Vec<u8>>, FetchError>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Round, WatchError> {
        let unproved = |path: &str, reason: &str| WatchError::Unproved { path: path.to_owned(), reason: reason.to_owned() };
        // 1.
        let shown = read("checkpoint", NOTE_LIMIT)?.ok_or_else(|| unproved("checkpoint", "is missing"))?;
        let alarm = |alarm| WatchError::Alarm { alarm, remembered: before.checkpoint.clone(), shown: shown.clone() };
        let head = Checkpoint::open(&shown, &self.key).map_err(|error| alarm(Alarm::Forged(error)))?;
        let note = String::from_utf8(shown.clone()).map_err(|_| unproved("checkpoint", "is not text"))?;
        // 2. What was remembered was signed too: another log's file proves nothing of this one.
        let known = before.checkpoint.as_ref().map(|note| Checkpoint::open(note.as_bytes(), &self.key)).transpose().map_err(|_| WatchError::Remembered)?;
        let known_size = known.as_ref().map_or(0, Checkpoint::size);
        if known_size > head.size() {
            return Err(alarm(Alarm::Shorter { known: known_size, found: head.size() }));
        }
        // 3.
        if let Some(known) = &known {
            let proof = consistency_from_tiles(known.size(), head.size(), |path| read(path, 256 * 32))?;
            let judged = verify_consistency(known.size(), known.root(), head.size(), head.root(), &proof);
            judged.map_err(|proof| alarm(Alarm::SplitView { known: known.size(), found: head.size(), proof }))?;
        }
        let mut remembered = Remembered { checkpoint: Some(note), ..before.clone() };
        let mut warnings = Vec::new();
        if self.entries || self.own_name.is_some() {
            // 4.
            let tree = STANDARD.decode(&before.tree).ok().and_then(|bytes| Tree::from_bytes(&bytes).ok()).ok_or(WatchError::Remembered)?;
            let tree = self.entries(tree, head.size(), &mut read, &mut progress, |entry, leaf| self.look(&mut remembered, &mut warnings, entry, leaf))?;
            if tree.root() != *head.root() {
                return Err(alarm(Alarm::Entries { size: head.size() }));
            }
            remembered.tree = STANDARD.encode(tree.to_bytes());
        }
        Ok(Round { remembered, size: head.size(), new: head.size() - known_size, warnings })
    }

    /// Reads on from where `tree` ends.
    fn entries(
        &self,
        mut tree: Tree,
        size: u64,
        read: &mut impl FnMut(&str, usize) -> Result<Option<Vec<u8>>, FetchError>,
        progress: &mut impl FnMut(u64, u64),
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), WatchError>,
    ) -> Result<Tree, WatchError> {
        let full = u64::from(FULL);
        while tree.size() < size {
            let index = tree.size() / full;
            let width = u16::try_from((size - index * full).min(full)).unwrap_or(FULL);
            let bundle = Tile::new(Kind::Entries, index, width).map_err(|error| WatchError::Unproved { path: "tile/entries".into(), reason: error.to_string() })?;
            let path = bundle.path();
            let unproved = |reason: String| WatchError::Unproved { path: path.clone(), reason };
            let bytes = read(&path, FILE_LIMIT)?.ok_or_else(|| unproved("is missing".into()))?;
            let entries = bundle.entries(&bytes).map_err(|error| unproved(error.to_string()))?;
            let skipped = usize::try_from(tree.size() % full).unwrap_or(0);
            for entry in entries.into_iter().skip(skipped) {
                visit(tree.size(), entry)?;
                tree.append(leaf_hash(entry));
            }
            progress(tree.size(), size);
        }
        Ok(tree)
    }

    // 5. Believed by the caller only when the round has ended well.
    fn look(&self, remembered: &mut Remembered, warnings: &mut Vec<Warning>, entry: u64, bytes: &[u8]) -> Result<(), WatchError> {
        #[derive(Deserialize)]
        struct Told {
            issuer: String,
            serial: String,
            #[serde(default)]
            tag: String,
        }
        let mut warn = |warning| {
            warnings.push(warning);
            if warnings.len() <= MAX_WARNINGS { Ok(()) } else { Err(WatchError::TooMany) }
        };
        // Entries that are none to us are nothing to look at; their hashes count all the same.
        let Ok(leaf) = Leaf::parse(bytes) else { return Ok(()) };
        let waiting = remembered.untagged.take();
        let told = match leaf.kind() {
            CERTIFICATE_ISSUED | CERTIFICATE_NAMED | OWN_NAME_CHANGED => serde_json::from_str::<Told>(leaf.payload()).ok(),
            _ => None,
        };
        let named = told.as_ref().filter(|_| leaf.kind() == CERTIFICATE_NAMED);
        if let Some(waiting) = waiting.filter(|waiting| remembered.tagged && named.is_none_or(|told| told.serial != waiting.serial)) {
            warn(Warning::Untagged(waiting))?;
        }
        let Some(told) = told else { return Ok(()) };
        let certificate = Certificate { serial: told.serial, issuer: told.issuer, at: i64::try_from(leaf.unix_ms() / 1_000).unwrap_or(i64::MAX), entry };
        if leaf.kind() == CERTIFICATE_ISSUED {
            remembered.untagged = Some(certificate);
            return Ok(());
        }
        let changed = leaf.kind() == OWN_NAME_CHANGED;
        remembered.tagged |= !changed;
        let Some(own) = &self.own_name else { return Ok(()) };
        let serial = register::serial(&certificate.serial).unwrap_or_default();
        if changed {
            return if own.secrets.iter().any(|secret| secret.change_tag(&serial) == told.tag) { warn(Warning::SecretChanged(certificate)) } else { Ok(()) };
        }
        if own.secrets.iter().any(|secret| secret.tag(&serial) == told.tag) {
            warn(Warning::OwnName(certificate))?;
        } else if own.serial == certificate.serial {
            return Err(WatchError::WrongSecret { serial: certificate.serial });
        }
        Ok(())
    }
}
