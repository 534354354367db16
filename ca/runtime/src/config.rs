//! Configuration files: TOML into types that refuse unknown keys (`#[serde(deny_unknown_fields)]`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::exit::{Exit, Problem};

/// Far above any configuration; a wrong path to a huge file must not fill the memory.
const LIMIT: u64 = 1 << 20;

#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}; name a file this user can read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is larger than {LIMIT} bytes; name a configuration file", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} is not UTF-8 text; name a configuration file", path.display())]
    NotText { path: PathBuf },
    #[error("{}:{line}: {reason}; correct that line", path.display())]
    Wrong { path: PathBuf, line: usize, reason: String },
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let exit = match &error {
            ConfigError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            ConfigError::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Exit::Denied,
            _ => Exit::Usage,
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Problem::new(exit, "configuration", message, next)
    }
}

/// Reads the TOML file at `path`. Errors name the file, the line and the reason, and quote no value of the file beyond
/// what the reason needs.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    let text = String::from_utf8(bytes).map_err(|_| ConfigError::NotText { path: path.to_owned() })?;
    parse(path, &text)
}

/// As `read`, of text that was read already; `path` is for the errors.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
        ConfigError::Wrong { path: path.to_owned(), line, reason: error.message().replace('\n', ", ") }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Service {
        listen: std::net::SocketAddr,
        workers: u8,
    }

    fn reason(text: &str) -> (usize, String) {
        match parse::<Service>(Path::new("ca.toml"), text).unwrap_err() {
            ConfigError::Wrong { line, reason, .. } => (line, reason),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn errors_name_the_line() {
        let good = "listen = \"127.0.0.1:80\"\nworkers = 2\n";
        assert_eq!(parse::<Service>(Path::new("x"), good).unwrap().workers, 2);
        let (line, text) = reason("listen = \"127.0.0.1:80\"\nworkers = 2\n\nworker = 3\n");
        assert_eq!(line, 4);
        assert!(text.contains("unknown field `worker`"), "{text}");
        assert_eq!(reason("listen = \"127.0.0.1:80\"\nworkers = 300\n").0, 2);
        assert_eq!(reason("listen = \"127.0.0.1:80\"\nworkers = = 3\n").0, 2);
        assert!(reason("workers = 1\n").1.contains("missing field `listen`"));
    }

    #[test]
    fn files_that_cannot_be_configuration_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("ca.toml");
        let problem = Problem::from(read::<Service>(&path).unwrap_err());
        assert_eq!(problem.exit, Exit::NotFound);
        assert!(problem.message.contains("ca.toml"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read::<Service>(&path), Err(ConfigError::NotText { .. })));
        std::fs::write(&path, vec![b'\n'; LIMIT as usize + 1]).unwrap();
        assert!(matches!(read::<Service>(&path), Err(ConfigError::TooLarge { .. })));
        std::fs::write(&path, "listen = 1\n").unwrap();
        assert_eq!(Problem::from(read::<Service>(&path).unwrap_err()).exit, Exit::Usage);
        assert!(read::<Service>(&path).unwrap_err().to_string().contains("ca.toml:1: "));
    }
}
