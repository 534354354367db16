//! A full disk: commits fail cleanly, what was acknowledged stays, and with space again the store goes on.

use std::path::Path;
use std::process::Command;

use super::{Acknowledged, Engine, batch, lost};
use crate::{CommitError, Store, StoreError};

/// A small file system of its own, unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    /// `None` where mounting is not allowed.
    fn mount(bytes: usize) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let options = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(place))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}

/// Commits until the store refuses; gives what it acknowledged before.
fn fill(store: &dyn Store, engine: Engine, round: usize) -> (Vec<Acknowledged>, CommitError) {
    let mut acknowledged = Vec::new();
    for number in 0..100_000 {
        let token = format!("{round}.{number}");
        let (batch, place, _) = batch(&token, engine.body(3));
        match store.commit(batch) {
            Ok(receipt) => acknowledged.push((receipt.position(place).unwrap(), token)),
            Err(error) => return (acknowledged, error),
        }
    }
    panic!("{engine:?} never filled the disk");
}

/// sled may notice a failed write at the next read.
fn refuses(refusal: &CommitError) -> bool {
    matches!(refusal, CommitError::Poisoned { .. } | CommitError::Store(StoreError::Unavailable { .. }))
}

const DISK: &str = "STORE_TRIAL_DISK";

/// In a process of its own: fjall may stop its writers for ever when its tables find no space, and then the watchdog ends
/// the process, as the contract says. Such a process tells nothing of the rest, and another tries on a new disk.
fn goes_on_in_a_process(engine: Engine, test: &str) {
    use std::os::unix::process::ExitStatusExt;
    if let Some(disk) = std::env::var_os(DISK) {
        return goes_on_on(engine, Path::new(&disk));
    }
    for _ in 0..6 {
        let Some(disk) = Small::mount(12 << 20) else {
            println!("SKIPPED: no tmpfs can be mounted here; run as root to try a full disk");
            return;
        };
        let mut child = Command::new(std::env::current_exe().unwrap());
        let ended = child.args(["--exact", test, "--test-threads", "1"]).env(DISK, disk.path()).output().unwrap();
        if ended.status.success() {
            return;
        }
        assert_eq!(ended.status.signal(), Some(6), "{ended:?}");
        println!("the watchdog ended a process that a full disk had stopped");
    }
    panic!("{engine:?}: no process came to its end on a full disk");
}

fn goes_on_after_a_full_disk(engine: Engine) {
    match Small::mount(12 << 20) {
        Some(disk) => goes_on_on(engine, disk.path()),
        None => println!("SKIPPED: no tmpfs can be mounted here; run as root to try a full disk"),
    }
}

fn goes_on_on(engine: Engine, disk: &Path) {
    let (ballast, directory) = (disk.join("ballast"), disk.join("store"));
    let weigh = || std::fs::write(&ballast, vec![1; 4 << 20]);
    let mut acknowledged = Vec::new();
    for round in 0..2 {
        weigh().unwrap();
        let store = engine.open(&directory).unwrap();
        let (more, refusal) = fill(&store, engine, round);
        assert!(refuses(&refusal), "{refusal}");
        assert!(!more.is_empty(), "round {round}");
        acknowledged.extend(more);
        for _ in 0..3 {
            assert!(refuses(&store.commit(batch("late", 10).0).unwrap_err()));
        }
        match lost(&store, &acknowledged) {
            // sled answers no read either once a write failed.
            Err(StoreError::Unavailable { .. }) if engine == Engine::Sled => {}
            found => assert_eq!(found, Ok(0), "{engine:?}: what was acknowledged is read on"),
        }
        drop(store);
        // Opened while the disk is full it may refuse; it must not lose.
        if let Ok(store) = engine.open(&directory) {
            assert_eq!(lost(&store, &acknowledged), Ok(0), "{engine:?} opened on a full disk");
        }
        std::fs::remove_file(&ballast).unwrap();
        let store = engine.open(&directory).unwrap();
        assert_eq!(lost(&store, &acknowledged), Ok(0), "{engine:?} opened with space again");
        let token = format!("{round}.after");
        let (batch, place, _) = batch(&token, 10);
        acknowledged.push((store.commit(batch).unwrap().position(place).unwrap(), token));
        drop(store);
        if weigh().is_err() {
            let _ = std::fs::remove_file(&ballast);
            break;
        }
        std::fs::remove_file(&ballast).unwrap();
    }
    let store = engine.open(&directory).unwrap();
    assert_eq!(lost(&store, &acknowledged), Ok(0));
}

#[test]
fn fjall_goes_on_after_a_full_disk() {
    goes_on_after_a_full_disk(Engine::Fjall);
}

#[test]
fn fjall_that_makes_tables_goes_on_after_a_full_disk() {
    goes_on_in_a_process(Engine::FjallFlushing, "trials::full::fjall_that_makes_tables_goes_on_after_a_full_disk");
}

#[test]
fn sled_goes_on_after_a_full_disk() {
    goes_on_after_a_full_disk(Engine::Sled);
}
