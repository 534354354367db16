//! How a job comes in: opened with its signed manifest, its rows taken piece by piece.

use std::io::Read;

use runtime::revocation::RevocationLists;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};

use super::{JobError, Jobs, ShownJob, find, said};
use crate::flow::push::announced::{Announced, Words, announced};
use crate::flow::push::batch::known;
use crate::flow::push::{PushError, held};
use crate::gateway::{Gateway, unix_millis};
use crate::record::job::{Format, Job, PIECE_BYTES, State, piece_key, seal_piece};

/// What opens a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// JSON, as signed.
    pub manifest: String,
    /// Detached CMS over the manifest's bytes, PEM.
    pub signature: String,
    pub format: Format,
}

/// Opens a job, or shows the one that is open: 1 the manifest is this bureau's and this batch's, signed, of a kind it may
/// send · 2 the batch has no other manifest, and its rows were not refused · 3 there is room for one more · 4 durable, with its leaf of
/// the log.
pub fn open(gateway: &Gateway, lists: &RevocationLists, jobs: &Jobs, at: (&str, &str), opening: Opening) -> Result<ShownJob, JobError> {
    let (bureau, batch) = at;
    let now = gateway.clock.now();
    // 1
    let words = Words { manifest: &opening.manifest, signature: &opening.signature };
    let Announced { code, signed, .. } = announced(gateway, lists, words, now)?;
    let manifest = signed.manifest();
    if code != bureau || manifest.batch_id().as_str() != batch {
        return Err(JobError::OtherPlace { said: code, batch: manifest.batch_id().as_str().to_owned() });
    }
    // 2
    known(gateway, bureau, &signed)?;
    let before = match find(gateway, bureau, batch) {
        Err(JobError::Unknown { .. }) => Expectation::Absent(Job::key(bureau, batch)),
        Ok((job, _)) if job.manifest != opening.manifest => return Err(PushError::OtherManifest { batch: batch.to_owned() }.into()),
        // Damaged on the way, or another file: nothing of it was delivered, so the manifest's own rows may still come.
        Ok((job, _)) if matches!(job.state, State::Refused { .. }) => {
            held::throw_away(gateway, &job)?;
            // Somebody else may have opened it meanwhile: theirs has rows already, and goes on.
            match find(gateway, bureau, batch)? {
                (job, bytes) if matches!(job.state, State::Refused { .. }) => Expectation::Equals(Job::key(bureau, batch), bytes),
                (job, _) => return jobs.told(gateway, &job),
            }
        }
        Ok((job, _)) => return jobs.told(gateway, &job),
        Err(error) => return Err(error),
    };
    // 3
    let limit = gateway.push_limits.open_jobs;
    if held::open_of(gateway, bureau)? >= usize::try_from(limit).unwrap_or(usize::MAX) {
        return Err(JobError::TooMany { limit });
    }
    // 4
    let millis = unix_millis(now);
    let Opening { manifest: text, signature, format } = opening;
    let job = Job {
        bureau: bureau.to_owned(),
        batch: batch.to_owned(),
        manifest: text,
        signature,
        format,
        rows: manifest.rows(),
        state: State::Receiving,
        bytes: 0,
        pieces: 0,
        opened_unix_millis: millis,
        touched_unix_millis: millis,
    };
    let mut write = held::begun(Batch::new().expect(before).put(Job::key(bureau, batch), job.encode()?), &job)?;
    said(&job).append(&mut write, millis)?;
    match gateway.store.commit(write) {
        // Somebody opened it at the same moment: theirs is shown, if it is the same.
        Err(CommitError::Conflict { .. }) if find(gateway, bureau, batch)?.0.manifest != job.manifest => Err(PushError::OtherManifest { batch: batch.to_owned() }.into()),
        Err(CommitError::Conflict { .. }) => jobs.told(gateway, &find(gateway, bureau, batch)?.0),
        done => {
            done?;
            jobs.told(gateway, &job)
        }
    }
}

/// Takes rows, from the byte where the last ones ended, or from 0 to begin anew. What came before a connection broke stays.
pub fn append(gateway: &Gateway, jobs: &Jobs, at: (&str, &str), from: u64, mut rows: impl Read) -> Result<ShownJob, JobError> {
    let (bureau, batch) = at;
    let (mut job, mut before) = find(gateway, bureau, batch)?;
    receiving(&job, "sent rows")?;
    // What came at the first attempt goes in the commit that begins the second.
    let (mut fewer, mut former) = (0, 0..0);
    if from == 0 && job.bytes > 0 {
        (fewer, former) = (job.bytes, 0..job.pieces);
        (job.bytes, job.pieces) = (0, 0);
    }
    if from != job.bytes {
        return Err(JobError::Offset { from, durable: job.bytes });
    }
    let limit = gateway.push_limits.upload_bytes(job.rows);
    loop {
        let (piece, broken) = next_piece(&mut rows);
        if job.bytes.saturating_add(piece.len() as u64) > limit {
            return Err(JobError::TooLong { limit, rows: job.rows });
        }
        if !piece.is_empty() {
            if piece.len() as u64 > held::room(gateway)?.saturating_add(fewer) {
                return Err(JobError::Full { durable: find(gateway, bureau, batch)?.0.bytes });
            }
            let (here, place) = (job.bytes, piece_key(bureau, batch, job.pieces));
            let sealed = seal_piece(&place, &piece, &gateway.directory_key)?;
            (job.bytes, job.pieces, job.touched_unix_millis) = (job.bytes + piece.len() as u64, job.pieces + 1, gateway.now_unix_millis());
            let after = job.encode()?;
            let mut write = Batch::new().expect(Expectation::Equals(Job::key(bureau, batch), before));
            write = std::mem::take(&mut former).map(|number| piece_key(bureau, batch, number)).filter(|old| *old != place).fold(write, Batch::delete);
            held::count(&mut write, piece.len() as u64, std::mem::take(&mut fewer));
            write = write.put(place, sealed).put(Job::key(bureau, batch), after.as_slice());
            match gateway.store.commit(write) {
                // Another upload of the same job was faster: it is told how far that is.
                Err(CommitError::Conflict { .. }) => {
                    let (job, _) = find(gateway, bureau, batch)?;
                    receiving(&job, "sent rows")?;
                    return Err(JobError::Offset { from: here, durable: job.bytes });
                }
                done => drop(done?),
            }
            before = after;
        }
        match broken {
            None if piece.len() == PIECE_BYTES => {}
            // Of an attempt that brought nothing nothing is durable.
            None => return jobs.told(gateway, &find(gateway, bureau, batch)?.0),
            Some(reason) => {
                jobs.told(gateway, &find(gateway, bureau, batch)?.0)?;
                return Err(JobError::Broken { reason });
            }
        }
    }
}

/// `wanted` is what cannot be done to a job whose rows are awaited no more.
pub(super) fn receiving(job: &Job, wanted: &'static str) -> Result<(), JobError> {
    if job.state == State::Receiving { Ok(()) } else { Err(JobError::state(job, wanted)) }
}

/// A full piece, or what came before the end or a break. Of octets that do not unpack nothing is kept.
fn next_piece(rows: &mut impl Read) -> (Vec<u8>, Option<String>) {
    let mut piece = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while piece.len() < PIECE_BYTES {
        let room = buffer.len().min(PIECE_BYTES - piece.len());
        match rows.read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => piece.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                let cut = matches!(error.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::TimedOut);
                return (if cut { piece } else { Vec::new() }, Some(error.to_string().chars().take(120).collect()));
            }
        }
    }
    (piece, None)
}
