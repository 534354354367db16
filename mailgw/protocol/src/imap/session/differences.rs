//! Two lists of mailboxes, one later than the other: what happened in between, however it came about.
use std::collections::BTreeMap;

use super::list::is_below;
use crate::imap::exchange::{MailboxInfo, MailboxName, SpecialUses};
use crate::imap::parse::mailbox::DELIMITER;

/// A name that is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// As it is now; not existing where it went.
    pub info: MailboxInfo,
    /// As it was, under the name it had.
    pub before: Option<MailboxInfo>,
    /// The name it had.
    pub old: Option<MailboxName>,
    /// It was created, deleted or renamed, or one directly below it came or went.
    pub named: bool,
    /// It is subscribed to where it was not, or the other way.
    pub subscription: bool,
    /// Another mailbox bears the name now.
    pub replaced: bool,
}

/// In the order of names. spec: rfc5465#5.4 rfc5465#5.5
pub(super) fn differences(before: &[MailboxInfo], after: &[MailboxInfo]) -> Vec<Difference> {
    let (was, is) = (by_name(before), by_name(after));
    let (ids_before, ids_after) = (by_id(before), by_id(after));
    let renamed: BTreeMap<&str, &str> = ids_after.iter().filter_map(|(id, now)| Some((*now, *ids_before.get(id)?))).filter(|(now, then)| now != then).collect();
    let mut found = Found { was: &was, is: &is, all: BTreeMap::new() };
    for (now, then) in &renamed {
        // spec: rfc5465#5.4 those below follow without a word
        if !follows(&renamed, now, then) {
            let difference = found.of(now);
            (difference.named, difference.old) = (true, Some((*then).to_owned()));
            difference.before = was.get(then).map(|info| (*info).clone());
        }
    }
    for (name, info) in &is {
        let then = was.get(name).and_then(|info| info.id);
        let Some(id) = info.id.filter(|id| then != Some(*id)) else { continue };
        let moved_away = then.is_some_and(|then| ids_after.contains_key(&then));
        if then.is_some() {
            found.of(name).replaced = true;
        }
        // spec: rfc5465#5.4 a new INBOX comes without a word
        if !ids_before.contains_key(&id) && !moved_away {
            found.changed(name);
        }
    }
    for (name, info) in &was {
        let stays = is.get(name).is_some_and(|info| info.exists());
        if info.id.is_some_and(|id| !ids_after.contains_key(&id)) && !stays {
            found.changed(name);
        }
    }
    for name in was.keys().chain(is.keys()) {
        let subscribed = |all: &BTreeMap<&str, &MailboxInfo>| all.get(name).is_some_and(|info| info.subscribed);
        if subscribed(&was) != subscribed(&is) {
            found.of(name).subscription = true;
        }
    }
    found.all.into_values().collect()
}

struct Found<'a> {
    was: &'a BTreeMap<&'a str, &'a MailboxInfo>,
    is: &'a BTreeMap<&'a str, &'a MailboxInfo>,
    all: BTreeMap<String, Difference>,
}

impl Found<'_> {
    fn of(&mut self, name: &str) -> &mut Difference {
        let gone = || MailboxInfo { name: name.to_owned(), id: None, subscribed: false, uses: SpecialUses::NONE, has_children: false };
        self.all.entry(name.to_owned()).or_insert_with(|| Difference {
            info: self.is.get(name).map_or_else(gone, |info| (*info).clone()),
            before: self.was.get(name).map(|info| (*info).clone()),
            old: None,
            named: false,
            subscription: false,
            replaced: false,
        })
    }

    /// A mailbox that came or went concerns the level above it, too.
    fn changed(&mut self, name: &str) {
        self.of(name).named = true;
        if let Some((above, _)) = name.rsplit_once(DELIMITER) {
            self.of(above).named = true;
        }
    }
}

fn by_name(all: &[MailboxInfo]) -> BTreeMap<&str, &MailboxInfo> {
    all.iter().map(|info| (info.name.as_str(), info)).collect()
}

fn by_id(all: &[MailboxInfo]) -> BTreeMap<u64, &str> {
    all.iter().filter_map(|info| Some((info.id?, info.name.as_str()))).collect()
}

/// Whether a mailbox has another name since one above it has.
fn follows(renamed: &BTreeMap<&str, &str>, now: &str, then: &str) -> bool {
    now.match_indices(DELIMITER).any(|(at, _)| {
        let (above, rest) = now.split_at(at);
        renamed.get(above).is_some_and(|old| is_below(then, old) && then.strip_prefix(old) == Some(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: &str, id: u64) -> MailboxInfo {
        MailboxInfo { name: name.to_owned(), id: Some(id), subscribed: false, uses: SpecialUses::NONE, has_children: false }
    }

    /// `name`, `name<old`, `-name`, `name*` for a subscription, each where it differs.
    fn told(before: &[MailboxInfo], after: &[MailboxInfo]) -> Vec<String> {
        let text = |found: Difference| {
            let gone = if found.info.exists() { "" } else { "-" };
            let old = found.old.map(|old| format!("<{old}")).unwrap_or_default();
            let marks = [(found.subscription, "*"), (found.replaced, "~"), (!found.named, "?")].into_iter().filter(|(on, _)| *on).map(|(_, mark)| mark).collect::<String>();
            format!("{gone}{}{old}{marks}", found.info.name)
        };
        differences(before, after).into_iter().map(text).collect()
    }

    #[test]
    fn what_came_went_and_moved() {
        let before = [mailbox("INBOX", 1), mailbox("a", 2), mailbox("a/b", 3), mailbox("z", 4)];
        assert_eq!(told(&before, &before), Vec::<String>::new());
        assert_eq!(told(&before, &[&before[..], &[mailbox("a/c", 5)]].concat()), ["a", "a/c"]);
        assert_eq!(told(&before, &before[..2]), ["a", "-a/b", "-z"]);
        // Those below follow without a word, unless they went elsewhere.
        assert_eq!(told(&before, &[mailbox("INBOX", 1), mailbox("c", 2), mailbox("c/b", 3), mailbox("z", 4)]), ["c<a"]);
        assert_eq!(told(&before, &[mailbox("INBOX", 1), mailbox("c", 2), mailbox("c/d", 3), mailbox("z", 4)]), ["c<a", "c/d<a/b"]);
        // INBOX that is renamed is there again.
        assert_eq!(told(&before, &[mailbox("INBOX", 9), mailbox("old", 1), mailbox("a", 2), mailbox("a/b", 3), mailbox("z", 4)]), ["INBOX~?", "old<INBOX"]);
        // Deleted and created again; deleted and another one renamed to it.
        assert_eq!(told(&before, &[mailbox("INBOX", 1), mailbox("a", 2), mailbox("a/b", 3), mailbox("z", 8)]), ["z~"]);
        assert_eq!(told(&before, &[mailbox("INBOX", 1), mailbox("a", 2), mailbox("z", 3)]), ["z<a/b~"]);
    }

    #[test]
    fn subscriptions_of_what_is_there_and_what_is_not() {
        let on = MailboxInfo { subscribed: true, ..mailbox("a", 2) };
        let only_name = MailboxInfo { id: None, ..on.clone() };
        assert_eq!(told(&[mailbox("a", 2)], std::slice::from_ref(&on)), ["a*?"]);
        assert_eq!(told(std::slice::from_ref(&on), std::slice::from_ref(&only_name)), ["-a"]);
        assert_eq!(told(&[only_name], &[]), ["-a*?"]);
    }
}
