//! LIST, LSUB and STATUS.
use super::answer::{quoted_name, status_word};
use crate::imap::exchange::{MailboxInfo, MailboxName, MailboxStatus};
use crate::imap::parse::mailbox::{DELIMITER, Pattern, capital_inbox};
use crate::imap::parse::{ListOptions, StatusItem};

/// One line for each mailbox that the patterns cover.
pub(super) fn write(options: &ListOptions, all: &[MailboxInfo], word: &str, out: &mut Vec<u8>) {
    let patterns: Vec<String> = options.patterns.iter().map(|pattern| capital_inbox(format!("{}{pattern}", options.reference))).collect();
    let patterns: Vec<Pattern> = patterns.iter().map(|pattern| Pattern::new(pattern)).collect();
    for info in all {
        let name: Vec<char> = info.name.chars().collect();
        let covered = || patterns.iter().any(|pattern| pattern.covers(&name));
        // spec: rfc3501#6.3.9 LSUB shows a level that is not subscribed when `%` stops at it and something below is
        let stops = || patterns.iter().any(|pattern| pattern.stops_at_levels() && pattern.covers(&name));
        let level = word == "LSUB" && !info.subscribed && stops() && all.iter().any(|other| other.subscribed && is_below(&other.name, &info.name));
        let named = if options.only_subscribed { info.subscribed || level } else { info.exists || info.has_children };
        if !named || !covered() || (options.only_special_use && info.special_use.is_none()) {
            continue;
        }
        let mut attributes = vec![if info.has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
        if level || (!info.exists && word == "LIST") {
            attributes.push("\\Noselect");
        }
        attributes.extend(info.special_use.map(|purpose| purpose.name()));
        if options.return_subscribed && info.subscribed && word == "LIST" {
            attributes.push("\\Subscribed");
        }
        let line = format!("* {word} ({}) \"/\" {}\r\n", attributes.join(" "), quoted_name(&info.name));
        out.extend_from_slice(line.as_bytes());
    }
}

fn is_below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent).is_some_and(|rest| rest.starts_with(DELIMITER))
}

pub(super) fn status(mailbox: &MailboxName, items: &[StatusItem], status: &MailboxStatus) -> String {
    let values: Vec<String> = items
        .iter()
        .map(|item| {
            let value = match item {
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
    format!("* STATUS {} ({})\r\n", quoted_name(mailbox), values.join(" "))
}
