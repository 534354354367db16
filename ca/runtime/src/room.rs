//! Room on the disk that a service writes to: without it a store takes nothing.

use std::fs::{File, remove_file};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::doctor::Finding;
use crate::exit::{Exit, Problem};

const MIB: u64 = 1 << 20;
/// A service is not started with less, in MiB: what a store holds in memory before it writes it into a table of its own.
pub const LEAST: u64 = 64;
/// What is written to prove that a disk takes it, in octets.
const PROOF: usize = 1 << 20;

/// Refuses a disk on which a store would take nothing, so that a service that a full disk ended is not started into the same.
pub fn check(directory: &Path) -> Result<(), Problem> {
    // A place that cannot be asked is told of by whoever opens it.
    free(directory).map_or(Ok(()), |free| enough(directory, free))
}

/// Writes there, durably, and leaves nothing: a disk with room may still take nothing, as one that turned read-only. Blocking.
pub fn prove(directory: &Path) -> io::Result<()> {
    let path = directory.join(".room");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    // Before it is written, so that a kill leaves nothing.
    remove_file(&path)?;
    file.write_all(&vec![0xa5; PROOF])?;
    file.sync_all()
}

fn enough(directory: &Path, free: u64) -> Result<(), Problem> {
    if free >= LEAST {
        return Ok(());
    }
    let message = format!("the disk of {} has {free} MiB free: nothing would be taken in", directory.display());
    Err(Problem::new(Exit::Unavailable, "disk-full", message, format!("make room there, {LEAST} MiB at the least, and start again")))
}

/// What a doctor says of it. `without`: what ends when there is none.
pub fn finding(directory: &Path, without: &str) -> Finding {
    match free(directory) {
        Ok(free) => graded(free, without),
        Err(error) => Finding::fail(format!("disk: {error}"), "check the directory"),
    }
}

fn graded(free: u64, without: &str) -> Finding {
    let what = format!("disk: {free} MiB free");
    match free {
        0..256 => Finding::fail(what, format!("make room: without it {without}, and below {LEAST} MiB no service starts")),
        256..2_048 => Finding::warn(what, "make room soon"),
        _ => Finding::ok(what),
    }
}

/// In MiB, for who is not root.
fn free(directory: &Path) -> rustix::io::Result<u64> {
    rustix::fs::statvfs(directory).map(|found| found.f_bavail.saturating_mul(found.f_frsize) / MIB)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn too_little_room_is_refused_and_little_is_told() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!([0, 63, 64].map(|free| enough(place.path(), free).map_err(|problem| problem.exit)), [Err(Exit::Unavailable), Err(Exit::Unavailable), Ok(())]);
        assert!(free(place.path()).is_ok());
        // Whoever opens what is not there tells of it better.
        assert_eq!(check(&place.path().join("none")), Ok(()));
        assert!(prove(place.path()).is_ok() && prove(&place.path().join("none")).is_err());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        assert_eq!([0, 300, 5_000].map(|free| graded(free, "nothing is issued").grade), [Grade::Fail, Grade::Warn, Grade::Ok]);
        assert!(graded(0, "nothing is issued").next.contains("nothing is issued"));
    }
}
