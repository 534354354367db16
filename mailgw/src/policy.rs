//! The policies as they stand in the state directory: read at every start, and what was read is in the log.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use policies::mailbox::MailboxPolicy;
use policies::push::PushLimits;
use policies::sender::LetterKinds;
use policies::statement::Parameters;
use ring::digest::{Context, SHA256};
use store::{Batch, Expectation, Key, Store, StoreError};

use crate::gateway::Policies;
use crate::init::{InitError, write};
use crate::record::event::{self, Event};

/// Below the state directory.
pub(crate) const DIRECTORY: &str = "policies";
const MAILBOX: &str = "mailbox";
const STATEMENTS: &str = "statements";
const PUSH: &str = "push";
const SENDERS: &str = "senders";
/// The most bytes of one file, and the most files of one directory.
const MAX_FILE: u64 = 256 * 1024;
const MAX_FILES: usize = 64;

/// Writes the policies the program was shipped with.
pub(crate) fn ship(path: &Path) -> Result<(), InitError> {
    for (below, shipped) in [(MAILBOX, policies::mailbox::SHIPPED.as_slice()), (STATEMENTS, policies::statement::SHIPPED.as_slice()), (PUSH, policies::push::SHIPPED.as_slice()), (SENDERS, policies::sender::SHIPPED.as_slice())] {
        let directory = path.join(below);
        std::fs::create_dir_all(&directory).map_err(|error| InitError::file(&directory, &error))?;
        for (file, text) in shipped {
            write(&directory.join(file), text.as_bytes())?;
        }
    }
    Ok(())
}

/// A directory founded before a policy was known gets it as it is shipped now.
pub(crate) fn ship_new(path: &Path) -> Result<(), InitError> {
    const SINCE_FOUNDING: [&str; 6] = ["clients.toml", "inbound.toml", "listeners.toml", "notifications.toml", "opening.toml", "sending.toml"];
    let directory = path.join(MAILBOX);
    for (file, text) in policies::mailbox::SHIPPED.iter().filter(|(file, _)| SINCE_FOUNDING.contains(file)) {
        if !directory.join(file).exists() {
            write(&directory.join(file), text.as_bytes())?;
        }
    }
    for (below, shipped) in [(PUSH, policies::push::SHIPPED.as_slice()), (SENDERS, policies::sender::SHIPPED.as_slice())] {
        let directory = path.join(below);
        if !directory.exists() {
            std::fs::create_dir_all(&directory).map_err(|error| InitError::file(&directory, &error))?;
            for (file, text) in shipped {
                write(&directory.join(file), text.as_bytes())?;
            }
        }
    }
    Ok(())
}

/// `path` holds `mailbox/`, `statements/` and `push/`; and `senders/`, where policies alone define kinds of message.
pub fn read(path: &Path) -> Result<Policies, InitError> {
    let mut context = Context::new(&SHA256);
    let (mailbox, statements) = (documents(path, MAILBOX, &mut context)?, documents(path, STATEMENTS, &mut context)?);
    let push = documents(path, PUSH, &mut context)?;
    let senders = if path.join(SENDERS).exists() { documents(path, SENDERS, &mut context)? } else { BTreeMap::new() };
    Ok(Policies {
        push: PushLimits::parse(push.iter().map(|(file, text)| (file.as_str(), text.as_str())))?,
        letters: LetterKinds::parse(senders.iter().map(|(file, text)| (file.as_str(), text.as_str())))?,
        mailbox: Arc::new(MailboxPolicy::parse(mailbox.iter().map(|(file, text)| (file.as_str(), text.as_str())))?),
        statements: Parameters::parse(statements.iter().map(|(file, text)| (file.as_str(), text.as_str())))?,
        digest: crate::hex(context.finish().as_ref()),
    })
}

/// Every file adds its path below the policies and its text to the digest, each after its length.
fn documents(path: &Path, below: &str, context: &mut Context) -> Result<BTreeMap<String, String>, InitError> {
    let directory = path.join(below);
    let mut documents = BTreeMap::new();
    for entry in std::fs::read_dir(&directory).map_err(|error| InitError::file(&directory, &error))? {
        let found = entry.map_err(|error| InitError::file(&directory, &error))?.path();
        if found.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let mut text = String::new();
        let read = std::fs::File::open(&found).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
        read.map_err(|error| InitError::file(&found, &error))?;
        if text.len() as u64 > MAX_FILE || documents.len() >= MAX_FILES {
            return Err(InitError::File { path: found, reason: format!("a policy has at most {MAX_FILE} bytes, and there are at most {MAX_FILES}") });
        }
        documents.insert(found.file_name().unwrap_or_default().to_string_lossy().into_owned(), text);
    }
    for (file, text) in &documents {
        for part in [&format!("{below}/{file}"), text] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
    }
    Ok(documents)
}

/// The digest of those that were read last.
pub(crate) fn noted(store: &dyn Store) -> Result<Option<String>, StoreError> {
    Ok(store.get(&Key::new("policies read", &[]))?.map(|digest| String::from_utf8_lossy(&digest).into_owned()))
}

/// An entry of the log when they are others than were read last.
pub(crate) fn note(store: &dyn Store, policies: &Policies, now_unix_millis: u64) -> Result<(), InitError> {
    let (key, digest) = (Key::new("policies read", &[]), policies.digest.as_bytes());
    let before = store.get(&key)?;
    if before.as_deref() == Some(digest) {
        return Ok(());
    }
    let still = before.map_or(Expectation::Absent(key.clone()), |before| Expectation::Equals(key.clone(), before));
    let mut batch = Batch::new().expect(still).put(key, digest);
    Event::PoliciesRead(event::Policies { sha256: policies.digest.clone() }).append(&mut batch, now_unix_millis)?;
    store.commit(batch)?;
    Ok(())
}
