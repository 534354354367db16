//! A program that sends texts: JSON on its standard input, and its exit says what came of it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runtime::exit::Problem;

use super::{Answer, BUSY, REFUSED, Text, Texts, UNREACHABLE, wrong};

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// EX_TEMPFAIL and EX_UNAVAILABLE of sysexits.h: not now.
const LATER: [i32; 2] = [75, 69];

pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    patience: Duration,
}

impl Program {
    pub fn new(command: &[String]) -> Result<Self, Problem> {
        let (path, arguments) = command.split_first().ok_or_else(|| wrong("the command has no program".into()))?;
        let path = PathBuf::from(path);
        if !path.is_absolute() || !path.is_file() {
            return Err(wrong(format!("{} is no program; give its whole path", path.display())));
        }
        Ok(Self { path, arguments: arguments.to_vec(), patience: PATIENCE })
    }

    /// Its exit code; none where it was killed, or took too long.
    fn run(&self, input: &[u8]) -> std::io::Result<Option<i32>> {
        let mut child = Command::new(&self.path).args(&self.arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read says what it thinks by its exit.
            let _ = stdin.write_all(input);
        }
        let until = Instant::now() + self.patience;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.code());
            }
            if Instant::now() >= until {
                end(&mut child);
                return Ok(None);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

impl Texts for Program {
    fn send(&self, text: &Text, _: i64) -> Answer {
        let Ok(input) = serde_json::to_vec(text) else { return Answer::Refused(REFUSED) };
        match self.run(&input) {
            Ok(Some(0)) => Answer::Taken,
            Ok(Some(code)) if LATER.contains(&code) => Answer::Later(BUSY),
            Ok(Some(_)) => Answer::Refused(REFUSED),
            Ok(None) => Answer::Later(BUSY),
            Err(error) => {
                tracing::warn!(%error, "the program that sends texts cannot be run");
                Answer::Later(UNREACHABLE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::sample;
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new(&["/bin/sh".into(), "-c".into(), script.into()]).unwrap()
    }

    #[test]
    fn an_exit_says_what_came_of_it() {
        for (script, answer) in [("cat > /dev/null", Answer::Taken), ("exit 75", Answer::Later(BUSY)), ("exit 1", Answer::Refused(REFUSED)), ("kill -9 $$", Answer::Later(BUSY))] {
            assert_eq!(shell(script).send(&sample("a"), 0), answer, "{script}");
        }
        assert_eq!(shell("/usr/bin/grep -q '\"to\":\"+8613800138000\"'").send(&sample("a"), 0), Answer::Taken);
        assert_eq!(Program { patience: Duration::from_millis(50), ..shell("sleep 5") }.send(&sample("a"), 0), Answer::Later(BUSY));
        assert!(Program::new(&["sh".into()]).is_err() && Program::new(&[]).is_err());
    }
}
