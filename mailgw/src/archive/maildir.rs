//! Maildir: a file for each message, its flags in the file's name, folders as directories. Ours are named as the folders are, levels as
//! directories; those of Maildir++ (`.Sent.2026`) are read too.

use std::path::{Path, PathBuf};

use protocol::imap::exchange::{Flags, SystemFlag};

/// Directories below each other.
const MAX_DEPTH: usize = 16;
/// Directories of one Maildir.
const MAX_FOLDERS: usize = 1_000;
const PARTS: [&str; 3] = ["cur", "new", "tmp"];
const LETTERS: [(char, SystemFlag); 5] = [('D', SystemFlag::Draft), ('F', SystemFlag::Flagged), ('R', SystemFlag::Answered), ('S', SystemFlag::Seen), ('T', SystemFlag::Deleted)];

/// What stands after a file's own name: `:2,` and letters, in their order.
pub fn info(flags: &Flags) -> String {
    let letters: String = LETTERS.iter().filter(|(_, flag)| flags.has(*flag)).map(|(letter, _)| *letter).collect();
    format!(":2,{letters}")
}

/// A file's own name, which it keeps, and its flags.
pub fn parse(file_name: &str) -> (&str, Flags) {
    let Some((own, letters)) = [":2,", ";2,", "!2,"].iter().find_map(|mark| file_name.split_once(mark)) else { return (file_name, Flags::new()) };
    let known = LETTERS.iter().filter(|(letter, _)| letters.contains(*letter));
    (own, known.fold(Flags::new(), |flags, (_, flag)| flags.with(*flag)))
}

/// Where a folder of ours lies: no level can be mistaken for a part of a Maildir, for a hidden one, or for the way out.
pub fn place(folder: &str) -> PathBuf {
    folder.split('/').map(level).collect()
}

fn level(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.chars().enumerate() {
        let odd = c == '%' || c.is_control() || (at == 0 && (c == '.' || PARTS.contains(&name)));
        if odd {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        } else {
            out.push(c);
        }
    }
    if out.is_empty() { "%00".to_owned() } else { out }
}

/// The name of a level again. What is no code stands for itself.
fn unlevel(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        let code = more.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = more;
            }
        }
    }
    out.retain(|byte| *byte != 0);
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Every directory that has `cur` and `new`, with the name of its folder; links are not followed.
pub fn folders(root: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    walk(root, "", 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(at: &Path, name: &str, depth: usize, found: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    let is_directory = |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    if is_directory(&at.join("cur")) && is_directory(&at.join("new")) {
        found.push((if name.is_empty() { "INBOX".to_owned() } else { name.to_owned() }, at.to_owned()));
    }
    if depth == MAX_DEPTH || found.len() > MAX_FOLDERS {
        return Err(std::io::Error::other("there are more folders, or levels of them, than a mailbox has"));
    }
    for entry in std::fs::read_dir(at)? {
        let entry = entry?;
        let Ok(own) = entry.file_name().into_string() else { continue };
        if PARTS.contains(&own.as_str()) || !entry.file_type()?.is_dir() {
            continue;
        }
        let below = match own.strip_prefix('.') {
            // Maildir++ says all levels at once.
            Some(levels) => levels.replace('.', "/"),
            None => unlevel(&own),
        };
        let name = if name.is_empty() { below } else { format!("{name}/{below}") };
        walk(&entry.path(), &name, depth + 1, found)?;
    }
    Ok(())
}

/// The files of a folder, by name.
pub fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for part in ["cur", "new"] {
        for entry in std::fs::read_dir(folder.join(part))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn flags_are_letters_of_the_name() {
        let flags = Flags::new().with(SystemFlag::Seen).with(SystemFlag::Answered);
        assert_eq!(info(&flags), ":2,RS");
        assert_eq!(parse("1.2.host:2,RS"), ("1.2.host", flags));
        assert_eq!(parse("1.2.host:2,Pabc"), ("1.2.host", Flags::new()));
        assert_eq!(parse("1.2.host"), ("1.2.host", Flags::new()));
    }

    #[test]
    fn folders_keep_their_names_and_none_leads_out() {
        let home = tempfile::tempdir().unwrap();
        let names = ["INBOX", "cur", "a/new/b", "..", "../x", "公积金/2026", "100%", ".hidden", "a//b", "x/tmp"];
        for name in names {
            let at = home.path().join(place(name));
            assert!(place(name).components().all(|part| matches!(part, std::path::Component::Normal(_))), "{name}");
            ["cur", "new", "tmp"].iter().for_each(|part| std::fs::create_dir_all(at.join(part)).unwrap());
        }
        let mut found: Vec<String> = folders(home.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        let mut wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        (found.sort(), wanted.sort());
        assert_eq!(found, wanted);
        // As Dovecot lays it out.
        let other = tempfile::tempdir().unwrap();
        for at in ["", ".Sent", ".Sent.2026"] {
            ["cur", "new"].iter().for_each(|part| std::fs::create_dir_all(other.path().join(at).join(part)).unwrap());
        }
        assert_eq!(folders(other.path()).unwrap().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["INBOX", "Sent", "Sent/2026"]);
    }
}
