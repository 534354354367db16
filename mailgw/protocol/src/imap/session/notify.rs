//! What the client asked to be told of beside the answers to its commands. spec: rfc5465
use std::collections::{BTreeSet, VecDeque};

use super::answer::{quoted_name, write_entry};
use super::differences::{Difference, differences};
use super::{Expecting, Pending, Session, State, fetch, list};
use crate::imap::account::{AccountChanges, MessageChanges};
use crate::imap::exchange::{Answer, MailboxInfo, MailboxName, Output, RefusalCode, Request};
use crate::imap::extension::Extension;
use crate::imap::parse::mailbox::DELIMITER;
use crate::imap::parse::{self, Command, Events, Group, Item, Mailboxes, StatusItem};

/// Names in all groups of one command.
const MAX_NAMES: usize = 1_000;
/// What a client did itself and the server has not told of yet, remembered by name. More is too much.
const MAX_OWN: usize = 1_000;

/// What of the selected mailbox is told, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interest {
    /// That messages come and go.
    pub messages: bool,
    pub flags: bool,
    /// Between commands, too.
    pub at_once: bool,
    pub removals_at_once: bool,
    /// New messages are told with what was asked for.
    pub fetches: bool,
}

impl Interest {
    /// Of who never said NOTIFY.
    pub const OF_OLD: Self = Self { messages: true, flags: true, at_once: false, removals_at_once: false, fetches: false };
    const NONE: Self = Self { messages: false, flags: false, ..Self::OF_OLD };

    /// Nothing that happens in the mailbox is left untold.
    pub fn is_of_all(self) -> bool {
        self.messages && self.flags
    }
}

/// What was asked for last.
#[derive(Default)]
pub(super) struct Notify {
    groups: Vec<Group>,
    /// The mailboxes as the client was told of them or could list them.
    mailboxes: Vec<MailboxInfo>,
    /// Not told yet.
    changes: AccountChanges,
    own: Own,
    /// What the command under way does, if it succeeds.
    doing: Own,
}

/// What this client did itself and need not be told. spec: rfc5465#5
#[derive(Default)]
struct Own {
    names: BTreeSet<MailboxName>,
    entries: BTreeSet<(Option<MailboxName>, String)>,
    /// Where the messages go that it brings.
    target: Option<MailboxName>,
}

/// What the server was asked for in order to tell of a change.
pub(super) enum Notice {
    Names,
    Status { mailbox: MailboxName, items: Vec<StatusItem> },
    Unwatched,
}

impl Notify {
    fn interest(&self) -> Interest {
        let selected = self.groups.iter().find_map(|group| match group.mailboxes {
            Mailboxes::Selected { delayed } => Some((delayed, &group.events)),
            _ => None,
        });
        selected.map_or(Interest::NONE, |(delayed, events)| Interest {
            messages: events.messages,
            flags: events.flags,
            at_once: true,
            removals_at_once: !delayed,
            fetches: !events.items.is_empty(),
        })
    }

    fn items(&self) -> Vec<Item> {
        self.groups.iter().find(|group| !group.events.items.is_empty()).map_or_else(Vec::new, |group| group.events.items.clone())
    }

    /// The groups that are not of the selected mailbox.
    fn others(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| !matches!(group.mailboxes, Mailboxes::Selected { .. }))
    }

    fn watches_account(&self) -> bool {
        self.others().any(|group| !group.events.are_none())
    }

    /// All that is asked for about this mailbox. spec: rfc5465#6 several groups add up
    fn wanted(&self, info: &MailboxInfo) -> Events {
        self.others().filter(|group| covers(&group.mailboxes, info)).fold(Events::default(), |all, group| Events {
            messages: all.messages || group.events.messages,
            flags: all.flags || group.events.flags,
            names: all.names || group.events.names,
            subscriptions: all.subscriptions || group.events.subscriptions,
            annotations: all.annotations || group.events.annotations,
            ..Events::default()
        })
    }

    fn with_id(&self, id: u64) -> Option<&MailboxInfo> {
        self.mailboxes.iter().find(|info| info.id == Some(id))
    }

    /// The next mailbox whose STATUS is to be told, and what of it.
    fn next_status(&mut self, selected: Option<u64>, counts: bool) -> Option<(MailboxName, Vec<StatusItem>)> {
        while let Some((id, changes)) = self.changes.messages.pop_first() {
            let found = self.with_id(id).filter(|_| selected != Some(id));
            let items = found.map(|info| (info.name.clone(), of_changes(&self.wanted(info), &changes, counts)));
            if let Some((name, items)) = items.filter(|(_, items)| !items.is_empty()) {
                return Some((name, items));
            }
        }
        None
    }

    /// Takes in the mailboxes as they are now; what of the differences is to be told.
    fn compare(&mut self, now: Vec<MailboxInfo>) -> Vec<Difference> {
        let own = std::mem::take(&mut self.own.names);
        let mut told = differences(&self.mailboxes, &now);
        for found in &told {
            // spec: rfc5465#5.1 another UIDVALIDITY is told of
            if let (true, Some(id)) = (found.replaced, found.info.id) {
                self.changes.messages.entry(id).or_default().flags += 1;
            }
        }
        told.retain(|found| {
            let affected = [Some(&found.info), found.before.as_ref()];
            let wants = |wants: fn(&Events) -> bool| affected.into_iter().flatten().any(|info| wants(&self.wanted(info)));
            let wanted = (found.named && wants(|events| events.names)) || (found.subscription && wants(|events| events.subscriptions));
            wanted && !own.contains(&found.info.name)
        });
        self.mailboxes = now;
        told
    }

    /// Lines that tell of annotations, a mailbox after the other. spec: rfc5465#5.6 rfc5464#4.4.2
    fn annotations(&mut self, utf8: bool, out: &mut Vec<u8>) {
        let own = std::mem::take(&mut self.own.entries);
        let (entries, mut last) = (std::mem::take(&mut self.changes.entries), None);
        for (mailbox, entry) in entries {
            let info = mailbox.and_then(|id| self.with_id(id));
            let wanted = match (mailbox, info) {
                (None, _) => self.others().any(|group| group.events.account_annotations),
                (Some(_), Some(info)) => self.wanted(info).annotations,
                (Some(_), None) => false,
            };
            if !wanted || own.contains(&(info.map(|info| info.name.clone()), entry.clone())) {
                continue;
            }
            if last != Some(mailbox) {
                let name = info.map_or_else(|| "\"\"".to_owned(), |info| quoted_name(&info.name, utf8));
                let line = format!("{}* METADATA {name}", if last.is_some() { "\r\n" } else { "" });
                out.extend_from_slice(line.as_bytes());
                last = Some(mailbox);
            }
            out.push(b' ');
            write_entry(&entry, out);
        }
        if last.is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl Session {
    /// What happened in the account since [`Request::WatchAccount`] was answered, and was not given here yet.
    pub fn account_changed(&mut self, changes: AccountChanges) -> Vec<Output> {
        if let Some(notify) = self.notify.as_mut().filter(|notify| notify.watches_account()) {
            notify.changes.merge(changes);
            // Of that one the client is told otherwise.
            if let State::Selected(view) = &self.state {
                notify.changes.messages.remove(&view.id);
            }
            self.run();
        }
        self.take_output()
    }

    pub(super) fn notify(&mut self, tag: String, command: parse::Notify) {
        let (status, groups) = match command {
            parse::Notify::None => (false, Vec::new()),
            parse::Notify::Set { status, groups } => (status, groups),
        };
        let annotates = !self.settings.off.has(Extension::Metadata);
        let events = || groups.iter().map(|group| &group.events);
        if events().any(|events| events.unknown || (!annotates && (events.annotations || events.account_annotations))) {
            let more = if annotates { " MailboxMetadataChange ServerMetadataChange" } else { "" };
            let known = format!("MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange{more}");
            return self.write(&format!("{tag} NO [BADEVENT ({known})] Ask for these events\r\n"));
        }
        let names = |group: &Group| if let Mailboxes::Named(names) | Mailboxes::Subtree(names) = &group.mailboxes { names.len() } else { 0 };
        if groups.iter().map(names).sum::<usize>() > MAX_NAMES {
            return self.write(&format!("{tag} NO [NOTIFICATIONOVERFLOW] Name fewer mailboxes, or PERSONAL\r\n"));
        }
        let watched = self.notify.as_ref().is_some_and(|notify| notify.watches_account());
        let asked = Notify { groups, ..Notify::default() };
        match (asked.watches_account(), watched) {
            (true, _) => self.ask(Request::WatchAccount, Pending::Watch { tag, asked: Box::new(asked), status }),
            (false, true) => self.ask(Request::UnwatchAccount, Pending::Watch { tag, asked: Box::new(asked), status }),
            (false, false) => self.registered(tag, Box::new(asked), Vec::new(), status),
        }
    }

    /// The server watches what was asked for. spec: rfc5465#3.1
    pub(super) fn registered(&mut self, tag: String, mut asked: Box<Notify>, mailboxes: Vec<MailboxInfo>, status: bool) {
        let selected = self.selected_id();
        let counts = !self.settings.off.has(Extension::CondStore);
        let of_now = mailboxes.iter().filter(|info| info.id.is_some() && info.id != selected);
        let left: VecDeque<_> = of_now.map(|info| (info.name.clone(), as_it_is(&asked.wanted(info), counts))).filter(|(_, items)| status && !items.is_empty()).collect();
        match self.notify.take().filter(|before| before.watches_account() && asked.watches_account()) {
            // What was not told yet is told to who still asks for it, measured by what was told before.
            Some(before) => (asked.mailboxes, asked.changes, asked.own) = (before.mailboxes, before.changes, before.own),
            None => asked.mailboxes = mailboxes,
        }
        let (interest, nothing) = (asked.interest(), asked.groups.is_empty());
        self.notify = Some(asked);
        if let State::Selected(view) = &mut self.state {
            view.interest = interest;
            // It is as if NOOP were said.
            if !nothing {
                view.tell_all(&mut self.send);
            }
        }
        self.statuses(tag, left);
    }

    /// STATUS of each of these, then the end of NOTIFY.
    pub(super) fn statuses(&mut self, tag: String, left: VecDeque<(MailboxName, Vec<StatusItem>)>) {
        match left.front() {
            Some((mailbox, _)) => self.ask(Request::Status { mailbox: mailbox.clone() }, Pending::WatchStatus { tag, left }),
            None => self.done(&tag, "Done", true),
        }
    }

    pub(super) fn interest(&self) -> Interest {
        self.notify.as_ref().map_or(Interest::OF_OLD, |notify| notify.interest())
    }

    fn selected_id(&self) -> Option<u64> {
        if let State::Selected(view) = &self.state { Some(view.id) } else { None }
    }

    /// Between commands: tells what is due, or asks the server for what has to be told.
    pub(super) fn attend(&mut self) {
        let idle = matches!(self.expecting, Expecting::Done { .. });
        if let State::Selected(view) = &mut self.state {
            if idle || view.interest.at_once {
                view.tell(idle || view.interest.removals_at_once, &mut self.send);
            }
            let fresh = std::mem::take(&mut view.fresh);
            if !fresh.is_empty() {
                let items = self.notify.as_ref().map(|notify| notify.items()).unwrap_or_default();
                return fetch::start(self, fetch::Wish { tag: None, uids: fresh, items, partial: None, uid: false, closing: None });
            }
        }
        let (selected, manner) = (self.selected_id(), self.manner);
        let Some(notify) = self.notify.as_mut().filter(|notify| !notify.changes.is_empty()) else { return };
        if notify.changes.too_much {
            return self.overflow();
        }
        if std::mem::take(&mut notify.changes.names) {
            return self.ask(Request::List, Pending::Notice(Notice::Names));
        }
        if let Some((mailbox, items)) = notify.next_status(selected, manner.condstore) {
            return self.ask(Request::Status { mailbox: mailbox.clone() }, Pending::Notice(Notice::Status { mailbox, items }));
        }
        notify.annotations(manner.utf8, &mut self.send);
    }

    /// spec: rfc5465#5.8
    fn overflow(&mut self) {
        self.write("* OK [NOTIFICATIONOVERFLOW] Too much happened to tell; say NOTIFY again\r\n");
        self.notify = Some(Box::default());
        if let State::Selected(view) = &mut self.state {
            view.interest = Interest::NONE;
        }
        self.ask(Request::UnwatchAccount, Pending::Notice(Notice::Unwatched));
    }

    pub(super) fn noticed(&mut self, notice: Notice, answer: Answer) {
        match (notice, answer) {
            (Notice::Names, Answer::Mailboxes(now)) => {
                let utf8 = self.manner.utf8;
                let told = self.notify.as_mut().map(|notify| notify.compare(now)).unwrap_or_default();
                told.iter().for_each(|found| list::write_change(&found.info, found.old.as_ref(), utf8, &mut self.send));
            }
            (Notice::Status { mailbox, items }, Answer::Status(status)) => {
                let text = list::status(&mailbox, &items, &status, self.settings.append_limit, self.manner.utf8);
                self.write(&text);
            }
            (Notice::Unwatched, _) => {}
            // What cannot be known for certain is not told; the client is told that it knows less.
            (Notice::Names, Answer::Refused { .. }) => self.overflow(),
            // A mailbox that went meanwhile.
            (Notice::Status { .. }, Answer::Refused { code: RefusalCode::NonExistent, .. }) => {}
            (Notice::Status { .. }, Answer::Refused { .. }) => self.overflow(),
            _ => self.bye("The server lost step; connect again"),
        }
    }

    /// Remembers what a command will change, so that its own client is not told as if another had.
    pub(super) fn note_own(&mut self, command: &Command) {
        let Some(notify) = self.notify.as_mut().filter(|notify| notify.watches_account()) else { return };
        // What the command before was refused is forgotten.
        notify.doing = Own::default();
        let own = &mut notify.doing;
        let with_levels = |name: &MailboxName| {
            let levels: Vec<MailboxName> = name.match_indices(DELIMITER).filter_map(|(at, _)| name.get(..at)).map(str::to_owned).collect();
            levels.into_iter().chain([name.clone()])
        };
        match command {
            Command::Create { mailbox: name, .. } | Command::Delete(name) | Command::Subscribe(name) | Command::Unsubscribe(name) => own.names.extend(with_levels(name)),
            Command::Rename { from, to } => own.names.extend(with_levels(from).chain(with_levels(to))),
            Command::SetMetadata { mailbox, values } => own.entries.extend(values.iter().map(|(entry, _)| (mailbox.clone(), entry.clone()))),
            Command::Append { mailbox, .. } | Command::Replace { mailbox, .. } => own.target = Some(mailbox.clone()),
            Command::Copy { to, .. } | Command::Move { to, .. } => own.target = Some(to.clone()),
            _ => {}
        }
    }

    /// What the command under way was to change is changed.
    pub(super) fn did_own(&mut self) {
        let Some(notify) = &mut self.notify else { return };
        let Own { names, entries, .. } = std::mem::take(&mut notify.doing);
        notify.own.names.extend(names);
        notify.own.entries.extend(entries);
        notify.changes.too_much |= notify.own.names.len() + notify.own.entries.len() > MAX_OWN;
    }

    /// The client brought these messages itself.
    pub(super) fn brought(&mut self, uid_validity: u32, uids: &[u32]) {
        if let State::Selected(view) = &mut self.state
            && view.uid_validity == uid_validity
        {
            view.own.extend(uids);
        }
        let Some(notify) = &mut self.notify else { return };
        let target = notify.doing.target.take();
        let id = notify.mailboxes.iter().find(|info| Some(&info.name) == target.as_ref()).and_then(|info| info.id);
        if let Some(id) = id
            && let Some(changes) = notify.changes.messages.get_mut(&id)
        {
            changes.new = changes.new.saturating_sub(uids.len());
            if changes.is_empty() {
                notify.changes.messages.remove(&id);
            }
        }
    }
}

/// spec: rfc5465#6
fn covers(mailboxes: &Mailboxes, info: &MailboxInfo) -> bool {
    match mailboxes {
        Mailboxes::Selected { .. } => false,
        Mailboxes::Personal => true,
        Mailboxes::Subscribed => info.subscribed,
        Mailboxes::Subtree(roots) => roots.iter().any(|root| *root == info.name || list::is_below(&info.name, root)),
        Mailboxes::Named(names) => names.contains(&info.name),
    }
}

/// What of a STATUS tells of these changes. spec: rfc5465#5.1 rfc5465#5.2 rfc5465#5.3
fn of_changes(wanted: &Events, changes: &MessageChanges, counts: bool) -> Vec<StatusItem> {
    let messages = wanted.messages && changes.new + changes.gone > 0;
    let flags = wanted.flags && changes.flags > 0;
    let all = [
        (messages, StatusItem::Messages),
        (messages, StatusItem::UidNext),
        (messages || flags, StatusItem::UidValidity),
        (flags, StatusItem::Unseen),
        ((messages || flags) && counts, StatusItem::HighestModSeq),
    ];
    all.into_iter().filter(|(told, _)| *told).map(|(_, item)| item).collect()
}

/// What of a STATUS tells how things stand for who is told of changes from here on. spec: rfc5465#3.1
fn as_it_is(wanted: &Events, counts: bool) -> Vec<StatusItem> {
    let changes = MessageChanges { new: usize::from(wanted.messages), gone: 0, flags: usize::from(wanted.flags) };
    let mut items = of_changes(wanted, &changes, counts && wanted.flags);
    items.retain(|item| *item != StatusItem::Unseen);
    items
}
