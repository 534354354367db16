//! LIST, LSUB and STATUS.
use super::answer::{quoted_name, status_word};
use super::dispatch::QUOTA_ROOT;
use crate::imap::exchange::{MailboxInfo, MailboxName, MailboxStatus, Quota, SpecialUse};
use crate::imap::parse::mailbox::{DELIMITER, Pattern, capital_inbox};
use crate::imap::parse::{ListOptions, StatusItem};

/// One line for each mailbox that the patterns cover; the names of those that can be opened.
pub(super) fn write(options: &ListOptions, all: &[MailboxInfo], word: &str, utf8: bool, out: &mut Vec<u8>) -> Vec<MailboxName> {
    let patterns: Vec<String> = options.patterns.iter().map(|pattern| capital_inbox(format!("{}{pattern}", options.reference))).collect();
    let patterns: Vec<Pattern> = patterns.iter().map(|pattern| Pattern::new(pattern)).collect();
    let wanted = |info: &MailboxInfo| (!options.only_subscribed || info.subscribed) && (!options.only_special_use || !info.uses.is_empty());
    let mut told = Vec::new();
    for info in all {
        let name: Vec<char> = info.name.chars().collect();
        let covered = || patterns.iter().any(|pattern| pattern.covers(&name));
        // spec: rfc3501#6.3.9 LSUB shows a level that is not subscribed when `%` stops at it and something below is
        let stops = || patterns.iter().any(|pattern| pattern.stops_at_levels() && pattern.covers(&name));
        let level = word == "LSUB" && !info.subscribed && stops() && all.iter().any(|other| other.subscribed && is_below(&other.name, &info.name));
        // spec: rfc5258#3.5 CHILDINFO: something below it is what was asked for
        let has_wanted = options.recursive_match && covered() && all.iter().any(|other| wanted(other) && is_below(&other.name, &info.name));
        let named = if options.only_subscribed { info.subscribed || level || has_wanted } else { info.exists() || info.has_children };
        if !named || !covered() || (options.only_special_use && info.uses.is_empty() && !has_wanted) {
            continue;
        }
        let mut attributes = vec![if info.has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
        if level || (!info.exists() && word == "LIST") {
            // spec: rfc5258#3 a name that is subscribed to and not there
            attributes.push(if info.subscribed && !info.exists() && !info.has_children && word == "LIST" { "\\NonExistent" } else { "\\Noselect" });
        }
        attributes.extend(info.uses.iter().map(SpecialUse::name));
        if options.return_subscribed && info.subscribed && word == "LIST" {
            attributes.push("\\Subscribed");
        }
        let below: Vec<&str> = [(options.only_subscribed, "\"SUBSCRIBED\""), (options.only_special_use, "\"SPECIAL-USE\"")].iter().filter(|(asked, _)| *asked).map(|(_, word)| *word).collect();
        let info_below = if has_wanted { format!(" (\"CHILDINFO\" ({}))", below.join(" ")) } else { String::new() };
        let line = format!("* {word} ({}) \"/\" {}{info_below}\r\n", attributes.join(" "), quoted_name(&info.name, utf8));
        out.extend_from_slice(line.as_bytes());
        if info.exists() {
            told.push(info.name.clone());
        }
    }
    told
}

/// One line of a mailbox as it is now. `old`: what it was called. spec: rfc5465#5.4 rfc5465#5.5
pub(super) fn write_change(info: &MailboxInfo, old: Option<&MailboxName>, utf8: bool, out: &mut Vec<u8>) {
    let mut attributes = vec![if info.has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
    attributes.extend((!info.exists()).then_some("\\NonExistent"));
    attributes.extend(info.uses.iter().map(SpecialUse::name));
    attributes.extend(info.subscribed.then_some("\\Subscribed"));
    let old = old.map(|old| format!(" (\"OLDNAME\" ({}))", quoted_name(old, utf8))).unwrap_or_default();
    out.extend_from_slice(format!("* LIST ({}) \"/\" {}{old}\r\n", attributes.join(" "), quoted_name(&info.name, utf8)).as_bytes());
}

/// spec: rfc9208#4.2 storage in units of 1024 octets
pub(super) fn quota(quota: &Quota) -> String {
    let resource = |word: &str, used: u64, limit: Option<u64>| limit.map(|limit| format!("{word} {used} {limit}"));
    let storage = resource("STORAGE", quota.used_octets.div_ceil(1024), quota.octets.map(|octets| octets / 1024));
    let messages = resource("MESSAGE", quota.used_messages, quota.messages);
    let all: Vec<String> = [storage, messages].into_iter().flatten().collect();
    format!("* QUOTA {QUOTA_ROOT} ({})\r\n", all.join(" "))
}

pub(super) fn is_below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent).is_some_and(|rest| rest.starts_with(DELIMITER))
}

pub(super) fn status(mailbox: &MailboxName, items: &[StatusItem], status: &MailboxStatus, append_limit: usize, utf8: bool) -> String {
    let values: Vec<String> = items
        .iter()
        .map(|item| {
            let value: u64 = match item {
                // spec: rfc8474#4.3
                StatusItem::MailboxId => return format!("MAILBOXID (F{})", status.id),
                StatusItem::DeletedStorage => status.deleted_size,
                StatusItem::AppendLimit => append_limit as u64,
                StatusItem::Messages => status.messages.into(),
                StatusItem::Recent => 0,
                StatusItem::UidNext => status.uid_next.into(),
                StatusItem::UidValidity => status.uid_validity.into(),
                StatusItem::Unseen => status.unseen.into(),
                StatusItem::Deleted => status.deleted.into(),
                StatusItem::Size => status.size,
                StatusItem::HighestModSeq => status.highest_modseq,
            };
            format!("{} {value}", status_word(*item))
        })
        .collect();
    format!("* STATUS {} ({})\r\n", quoted_name(mailbox, utf8), values.join(" "))
}
