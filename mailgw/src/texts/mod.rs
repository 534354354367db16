//! Text messages to phones, handed to whoever runs the city's gateway for them: one place that the configuration names, and no other.
//! A text is handed over with a name of its own, so that the same one twice is sent once.

mod command;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;

use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use self::command::Program;
use self::webhook::Webhook;

/// The least characters of a shared secret.
const MIN_SECRET: usize = 32;
const MAX_SECRET: u64 = 4_096;

/// `[texts]` of `mailgw.toml`. Without it no phone is told anything.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Configuration {
    Webhook(WebhookAt),
    Command(CommandAt),
}

/// Texts are posted to a URL, signed with a shared secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookAt {
    /// `https://…`, or `http://…` at an address of this machine.
    pub webhook: String,
    /// Where it is: nothing else is connected to, whatever the DNS says.
    pub address: SocketAddr,
    /// A file (mode 0600) whose first line both ends know.
    pub secret: PathBuf,
    /// PEM: the authorities under which its certificate is believed.
    #[serde(default = "world")]
    pub roots: PathBuf,
}

/// Texts are handed to a program on its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandAt {
    /// The program, by its whole path, and its arguments.
    pub command: Vec<String>,
}

/// Of Debian's package ca-certificates.
fn world() -> PathBuf {
    PathBuf::from("/etc/ssl/certs/ca-certificates.crt")
}

/// What is handed over, as JSON. Not `Debug`: it is somebody's number.
#[derive(Clone, Serialize)]
pub struct Text {
    pub version: u8,
    /// The same for every try.
    pub id: String,
    /// With `+` and the country's code.
    pub to: String,
    /// `arrived`, `code` or `ended`: where texts go by templates that were approved before.
    pub template: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// As it is read.
    pub text: String,
}

/// What came of handing a text over. Reasons are words of a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Taken,
    Later(&'static str),
    Refused(&'static str),
}

/// Refused by whoever sends texts: the number, or the text.
pub const REFUSED: &str = "refused";
pub const UNREACHABLE: &str = "gateway-unreachable";
pub const BUSY: &str = "gateway-busy";

/// Whoever sends texts. Blocking.
pub trait Texts: Send + Sync {
    fn send(&self, text: &Text, unix_seconds: i64) -> Answer;
}

fn wrong(message: String) -> Problem {
    Problem::new(Exit::Usage, "texts", message, "look at [texts] in mailgw.toml")
}

impl Configuration {
    /// Calls run on `handle`.
    pub fn open(&self, handle: &Handle) -> Result<Box<dyn Texts>, Problem> {
        Ok(match self {
            Self::Webhook(at) => Box::new(Webhook::new(at, secret(&at.secret)?, handle.clone())?),
            Self::Command(at) => Box::new(Program::new(&at.command)?),
        })
    }
}

fn secret(path: &std::path::Path) -> Result<zeroize::Zeroizing<String>, Problem> {
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |reason: String| wrong(format!("the secret {} {reason}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    if file.metadata().map_err(|error| failed(error.to_string()))?.permissions().mode() & 0o077 != 0 {
        return Err(failed("can be read by others; give it mode 0600".to_owned()));
    }
    let mut text = zeroize::Zeroizing::new(String::new());
    file.take(MAX_SECRET).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.len() < MIN_SECRET { Err(failed(format!("has fewer than {MIN_SECRET} characters"))) } else { Ok(zeroize::Zeroizing::new(line.to_owned())) }
}

#[cfg(test)]
pub(crate) fn sample(id: &str) -> Text {
    Text { version: 1, id: id.to_owned(), to: "+8613800138000".into(), template: "arrived", code: None, text: "您的实名邮箱收到新邮件".into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_long_and_nobody_elses() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("secret");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write(&format!("{}\nmore\n", "s".repeat(32)), 0o600);
        assert_eq!(secret(&path).unwrap().as_str(), "s".repeat(32));
        write(&"s".repeat(32), 0o640);
        assert!(secret(&path).is_err());
        write("short\n", 0o600);
        assert!(secret(&path).is_err());
    }

    #[test]
    fn one_way_or_the_other_is_configured() {
        let read = |text: &str| toml::from_str::<Configuration>(text);
        assert!(matches!(read("webhook = \"https://a\"\naddress = \"192.0.2.1:443\"\nsecret = \"s\""), Ok(Configuration::Webhook(_))));
        assert!(matches!(read("command = [\"/bin/true\"]"), Ok(Configuration::Command(_))));
        for text in ["", "webhook = \"https://a\"", "command = [\"/bin/true\"]\nsecret = \"s\""] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
