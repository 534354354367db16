//! A process that commits from several threads and says what was acknowledged, until it is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{Acknowledged, Engine, batch, random};
use crate::Store;

const THREADS: usize = 6;

/// Not a test in itself: what the child process does when the variables tell it to.
#[test]
fn writer() {
    let Ok(engine) = std::env::var("STORE_TRIAL_ENGINE") else { return };
    let variable = |name| std::env::var(name).unwrap();
    let (directory, run) = (variable("STORE_TRIAL_DIRECTORY"), variable("STORE_TRIAL_RUN"));
    let engine = Engine::named(&engine);
    let store = &engine.open(Path::new(&directory)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let run = &run;
            scope.spawn(move || {
                for number in 0.. {
                    let token = format!("{run}.{thread}.{number}");
                    let (batch, place, serial) = batch(&token, engine.body(number));
                    let receipt = store.commit(batch).unwrap();
                    let position = receipt.position(place).unwrap();
                    assert_eq!(receipt.counter(serial), Some(position + 1));
                    writeln!(std::io::stdout().lock(), "acknowledged {position} {token}").unwrap();
                }
            });
        }
    });
}

/// Starts the writer, kills it at a random moment and gives what it had said by then.
pub(super) fn run_and_kill(engine: Engine, directory: &Path, run: usize, environment: &[(&str, &Path)]) -> Vec<Acknowledged> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "trials::writer::writer", "--nocapture", "--test-threads", "1"]);
    command.env("STORE_TRIAL_ENGINE", format!("{engine:?}")).env("STORE_TRIAL_DIRECTORY", directory).env("STORE_TRIAL_RUN", run.to_string());
    command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (tell, told) = channel();
    let reader = std::thread::spawn(move || {
        let mut acknowledged = Vec::new();
        let mut reader = BufReader::new(output);
        let mut line = String::new();
        // What is cut off before its end of line was not said.
        while reader.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            if let ["acknowledged", position, token] = line.split_whitespace().collect::<Vec<_>>()[..] {
                acknowledged.push((position.parse().unwrap(), token.to_owned()));
                let _ = tell.send(());
            }
            line.clear();
        }
        acknowledged
    });
    let said = std::thread::spawn(move || std::io::read_to_string(errors).unwrap());
    // Every fourth is killed at any moment, its opening included; the others while they commit.
    if run % 4 != 3 {
        let _ = told.recv_timeout(Duration::from_secs(20));
    }
    std::thread::sleep(Duration::from_micros(random(60_000)));
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    let said = said.join().unwrap();
    assert_eq!(ended.code(), None, "the writer ended by itself: {said}");
    let acknowledged = reader.join().unwrap();
    assert!(run % 4 == 3 || !acknowledged.is_empty(), "nothing was acknowledged in 20 seconds: {said}");
    acknowledged
}
