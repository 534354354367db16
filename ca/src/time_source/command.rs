//! A program that is asked about the clock, bounded in time and in what it says.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::{Doubt, SAID_LIMIT};

/// A program that has not answered by then does not vouch.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// What it prints, when it ends well and in time.
pub(super) fn run(command: &[String]) -> Result<String, Doubt> {
    run_within(command, DEADLINE)
}

fn run_within(command: &[String], deadline: Duration) -> Result<String, Doubt> {
    let name = command.first().cloned().unwrap_or_default();
    let refused = |reason: &str| Doubt::Command { command: name.clone(), reason: reason.to_owned() };
    let [program, arguments @ ..] = command else { return Err(refused("none is named")) };
    // A group of its own, so that what it starts ends with it and nothing holds its output open.
    let started = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn();
    let mut child = started.map_err(|error| refused(&error.to_string()))?;
    let until = Instant::now() + deadline;
    let (tell, told) = channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut said = String::new();
            let read = output.take(SAID_LIMIT).read_to_string(&mut said);
            // Nobody listens once the deadline is over.
            let _ = tell.send(read.map(|_| said));
        });
    }
    let said = told.recv_timeout(deadline);
    let ended = wait(&mut child, until);
    end(&mut child);
    match (said, ended) {
        (Ok(Ok(said)), Some(true)) => Ok(said),
        (Ok(Ok(_)), Some(false)) => Err(refused("it ended with an error")),
        (Ok(Err(_)), _) => Err(refused("what it says is no text")),
        _ => Err(refused("it did not answer in time")),
    }
}

/// How it ended, when it does by then.
fn wait(child: &mut Child, until: Instant) -> Option<bool> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // It may be gone already.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shell(script: &str, deadline: u64) -> Result<String, String> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        run_within(&command, Duration::from_millis(deadline)).map_err(|doubt| doubt.to_string())
    }

    #[test]
    fn a_command_is_believed_when_it_ends_well_in_time() {
        assert_eq!(shell("echo 12", 5_000).as_deref(), Ok("12\n"));
        assert!(shell("echo 12; exit 1", 5_000).unwrap_err().contains("ended with an error"));
        assert!(run(&["/nowhere/clock".to_owned()]).unwrap_err().to_string().contains("/nowhere/clock"));
        assert!(run(&[]).is_err());
        assert!(shell("printf '\\377'", 5_000).unwrap_err().contains("no text"));
        // Neither one that says much, nor one that waits, nor one whose child holds the output open keeps us.
        let began = Instant::now();
        assert!(shell("exec sleep 60", 200).unwrap_err().contains("in time"));
        assert!(shell("sleep 60 & echo 12", 200).unwrap_err().contains("in time"));
        assert!(shell("yes", 1_000).is_err());
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
