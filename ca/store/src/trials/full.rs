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

fn goes_on_after_a_full_disk(engine: Engine) {
    let Some(disk) = Small::mount(12 << 20) else {
        println!("SKIPPED: no tmpfs can be mounted here; run as root to try a full disk");
        return;
    };
    let (ballast, directory) = (disk.path().join("ballast"), disk.path().join("store"));
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
    goes_on_after_a_full_disk(Engine::FjallFlushing);
}

#[test]
fn sled_goes_on_after_a_full_disk() {
    goes_on_after_a_full_disk(Engine::Sled);
}
