//! Killed at any moment and opened again: whatever was acknowledged is there, once.

use super::writer::run_and_kill;
use super::{Engine, how_many, lost};

fn killed_again_and_again(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for run in 0..how_many("SUIYIN_KILLS", 20) {
        acknowledged.extend(run_and_kill(engine, directory.path(), run, &[]));
        let store = engine.open(directory.path()).unwrap();
        assert_eq!(lost(&store, &acknowledged), Ok(0), "run {run}");
    }
}

#[test]
fn fjall_keeps_what_it_acknowledged_when_killed() {
    killed_again_and_again(Engine::Fjall);
    killed_again_and_again(Engine::FjallFlushing);
}

#[test]
fn sled_keeps_what_it_acknowledged_when_killed() {
    killed_again_and_again(Engine::Sled);
}
