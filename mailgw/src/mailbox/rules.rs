//! Simple rules that owners give: a folder by the sender. They stand in an annotation of the account, which mail programs and the operator
//! set, one a line: an address, or `@` and a domain, and a folder. The first that fits is followed.

use super::messages::{MailError, MessageStore};
use crate::record::annotation;
use crate::record::folder;

/// spec: rfc5464#6.2.1 (vendor entries)
pub const ENTRY: &str = "/private/vendor/suiyin/rules";
const ACCOUNT: u64 = 0;
const MAX_RULES: usize = 200;
const MAX_BYTES: usize = 32 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In lower case: an address, or `@domain`.
    pub sender: String,
    pub folder: String,
}

/// Rules that are rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// Which line is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {line} is none: write an address or `@` and a domain, a space and a folder, at most {MAX_RULES} lines")]
pub struct RuleError {
    pub line: usize,
}

impl Rules {
    pub fn parse(text: &[u8]) -> Result<Self, RuleError> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_BYTES).ok_or(RuleError { line: 1 })?;
        let mut rules = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let (line, wrong) = (line.trim(), RuleError { line: at + 1 });
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (sender, folder) = line.split_once([' ', '\t']).ok_or_else(|| wrong.clone())?;
            let (sender, folder) = (sender.to_lowercase(), folder.trim());
            let domain = sender.split_once('@').map(|(_, domain)| domain);
            let is_sender = domain.is_some_and(|domain| !domain.is_empty() && !domain.contains('@')) && !sender.chars().any(char::is_control);
            if !is_sender || folder.is_empty() || folder.chars().any(char::is_control) || rules.len() == MAX_RULES {
                return Err(wrong);
            }
            rules.push(Rule { sender, folder: folder.to_owned() });
        }
        Ok(Self(rules))
    }

    /// Where a sender's mail goes.
    pub fn folder(&self, sender: &str) -> Option<&str> {
        let sender = sender.to_lowercase();
        let fits = |rule: &&Rule| rule.sender == sender || (rule.sender.starts_with('@') && sender.ends_with(&rule.sender));
        self.0.iter().find(fits).map(|rule| rule.folder.as_str())
    }
}

impl MessageStore {
    /// The text of a mailbox's rules, as it was given.
    pub fn rules(&self, mailbox: &str) -> Result<Option<Vec<u8>>, MailError> {
        let key = annotation::key(mailbox, ACCOUNT, ENTRY);
        self.store.get(&key)?.map(|stored| Ok(annotation::open(&key, &stored, &self.key)?)).transpose()
    }

    /// The folder that the owner's rules name for this sender, where there is one of that name. `sender` is asked for where there are
    /// rules.
    pub fn folder_by_rule(&self, mailbox: &str, sender: impl FnOnce() -> Option<String>) -> Result<Option<String>, MailError> {
        let Some(text) = self.rules(mailbox)? else { return Ok(None) };
        // What could not be read would not have been taken.
        let rules = Rules::parse(&text).unwrap_or_default();
        let Some(name) = sender().and_then(|sender| rules.folder(&sender).map(str::to_owned)) else { return Ok(None) };
        Ok(self.store.get(&folder::key(mailbox, &name))?.map(|_| name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use store::Memory;

    use super::*;
    use crate::mailbox::test_keys::data_key;

    #[test]
    fn the_first_that_fits_is_followed() {
        let rules = Rules::parse("# mine\n\na@b.cn  A folder \r\n@b.cn 公积金/2026\n@c.cn C\n".as_bytes()).unwrap();
        for (sender, folder) in [("A@B.cn", Some("A folder")), ("x@b.cn", Some("公积金/2026")), ("x@notb.cn", None), ("x@b.cn.evil.example", None), ("b.cn", None), ("y@c.cn", Some("C"))] {
            assert_eq!(rules.folder(sender), folder, "{sender}");
        }
        for (bad, line) in [("a@b.cn", 1), ("\nb.cn X", 2), ("a@b@c X", 1), ("@ X", 1), ("a@b.cn \t ", 1), ("a@b.cn a\u{7}", 1)] {
            assert_eq!(Rules::parse(bad.as_bytes()), Err(RuleError { line }), "{bad:?}");
        }
        assert!(Rules::parse(&[0xff]).is_err() && Rules::parse("a@b.cn X\n".repeat(MAX_RULES + 1).as_bytes()).is_err());
    }

    #[test]
    fn they_are_set_as_an_annotation_and_name_folders_that_are_there() {
        let mail = MessageStore::new(Arc::new(Memory::new()), data_key());
        mail.create_folder("1234567897", "INBOX").unwrap();
        let set = |text: Option<&str>| mail.annotate("1234567897", None, &[(ENTRY.to_owned(), text.map(|text| text.as_bytes().to_vec()))]);
        let found = || mail.folder_by_rule("1234567897", || Some("a@b.cn".to_owned())).unwrap();
        assert_eq!(found(), None);
        set(Some("a@b.cn Work\n")).unwrap();
        assert_eq!(set(Some("nonsense")), Err(MailError::Rules(RuleError { line: 1 })));
        assert_eq!(found(), None, "there is no such folder");
        mail.create_folder("1234567897", "Work").unwrap();
        assert_eq!(found(), Some("Work".to_owned()));
        set(None).unwrap();
        assert_eq!(found(), None);
    }
}
