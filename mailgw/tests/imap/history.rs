//! What many sessions together may see: what each was told, where messages went, and what a folder held after each commit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use mailgw::mailbox::{View, Watch};
use protocol::imap::exchange::{Change, Flags, SystemFlag};

use super::harness::*;

pub type Names = BTreeSet<String>;

pub fn names(flags: &Flags) -> Names {
    let system = SystemFlag::ALL;
    let system = system.into_iter().filter(|flag| flags.has(*flag)).map(|flag| flag.name().to_owned());
    system.chain(flags.keywords().map(|keyword| keyword.as_str().to_owned())).collect()
}

pub fn named(text: &str) -> Names {
    text.split(' ').filter(|flag| !flag.is_empty()).map(str::to_owned).collect()
}

/// What a client has been told.
#[derive(Default)]
pub struct Model {
    /// For each sequence number the UID and the flags, once it knows them.
    pub messages: Vec<Option<(u32, BTreeSet<String>)>>,
    /// For each UID the last MODSEQ and the flags it had with it.
    pub changes: BTreeMap<u32, (u64, BTreeSet<String>)>,
    /// All that was ever told of flags, with the MODSEQ where it was told, too.
    pub heard: Vec<(u32, Names, Option<u64>)>,
}

impl Model {
    pub fn hear(&mut self, lines: &[String]) {
        for line in lines {
            let Some((number, what)) = line.strip_prefix("* ").and_then(|rest| rest.split_once(' ')) else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            if what == "EXISTS" {
                assert!(number >= self.messages.len(), "EXISTS never falls");
                self.messages.resize(number, None);
            } else if what == "EXPUNGE" {
                self.messages.remove(number - 1);
            } else if let Some(told) = what.strip_prefix("FETCH (UID ") {
                let (uid, flags) = told.split_once(" FLAGS (").unwrap();
                let (flags, rest) = flags.split_once(')').unwrap();
                let flags = named(flags);
                let modseq = rest.split_once("MODSEQ (").map(|(_, modseq)| modseq.split(')').next().unwrap().parse().unwrap());
                if let Some(modseq) = modseq {
                    self.changed(uid.parse().unwrap(), modseq, &flags);
                }
                self.heard.push((uid.parse().unwrap(), flags.clone(), modseq));
                let known = self.messages.get_mut(number - 1).expect("FETCH of a number that does not exist");
                assert!(known.as_ref().is_none_or(|(known, _)| known.to_string() == uid), "a number names another message");
                *known = Some((uid.parse().unwrap(), flags));
            }
        }
    }

    /// The UIDs it knows, those that sequence numbers name alone.
    pub fn known(&self) -> Vec<u32> {
        self.messages.iter().flatten().map(|(uid, _)| *uid).collect()
    }

    /// A message's MODSEQ never falls, and one that is other than it was has a higher one. spec: rfc7162#3.1
    pub fn changed(&mut self, uid: u32, modseq: u64, flags: &BTreeSet<String>) {
        if let Some((before, known)) = self.changes.insert(uid, (modseq, flags.clone())) {
            assert!(modseq > before || modseq == before && known == *flags, "{known:?} at {before} became {flags:?} at {modseq}");
        }
    }
}

/// What a message was made of.
pub enum Origin {
    Text(String),
    /// The message of INBOX with this UID.
    Copy(u32),
}

/// What all sessions together were told of where their messages went, as it comes: a UID is given once, whatever becomes of it.
#[derive(Default)]
pub struct Ledger(pub Mutex<BTreeMap<(&'static str, u32), Origin>>);

impl Ledger {
    pub fn note(&self, folder: &'static str, uid: u32, origin: Origin) {
        assert!(self.0.lock().unwrap().insert((folder, uid), origin).is_none(), "UID {uid} of {folder} was given twice");
    }

    /// Takes down what APPENDUID or COPYUID says; the numbers of one session rise.
    pub fn hear(&self, command: &str, text: &str, lines: &[String], answer: &str, last: &mut BTreeMap<&'static str, u32>) {
        let code = |name: &str| lines.iter().map(String::as_str).chain([answer]).find_map(|line| Some(line.split_once(name)?.1.split_once(']')?.0.split(' ').collect::<Vec<_>>()));
        let (folder, validity, uid, origin) = match (code("OK [APPENDUID "), code("OK [COPYUID ")) {
            (Some(told), None) => ("INBOX", told[0], told[1], Origin::Text(text.to_owned())),
            (None, Some(told)) => (if command.contains("MOVE") { "Archive" } else { "INBOX" }, told[0], told[2], Origin::Copy(told[1].parse().unwrap())),
            (None, None) => {
                // What another session removed is neither copied nor replaced.
                let lost = answer.starts_with("NO [NONEXISTENT]");
                return assert!(!command.starts_with("APPEND") && (!command.contains("REPLACE") || lost), "{command} was answered without a UID: {answer}");
            }
            both => panic!("{command}: {both:?}"),
        };
        assert_eq!(validity, if folder == "INBOX" { "1" } else { "2" }, "{command}");
        let uid: u32 = uid.parse().unwrap();
        assert!(last.insert(folder, uid).is_none_or(|before| before < uid), "{command}: {uid} of {folder} came after a higher one");
        self.note(folder, uid, origin);
    }

    pub fn text(&self, folder: &'static str, uid: u32) -> String {
        let all = self.0.lock().unwrap();
        let (mut folder, mut uid) = (folder, uid);
        loop {
            match all.get(&(folder, uid)).unwrap_or_else(|| panic!("nobody was told of UID {uid} of {folder}")) {
                Origin::Text(text) => return text.clone(),
                Origin::Copy(of) => (folder, uid) = ("INBOX", *of),
            }
        }
    }

    /// The message of INBOX that this one was made of.
    pub fn copied(&self, folder: &'static str, uid: u32) -> Option<u32> {
        match self.0.lock().unwrap().get(&(folder, uid)) {
            Some(Origin::Copy(of)) => Some(*of),
            Some(Origin::Text(_)) => None,
            None => panic!("nobody was told of UID {uid} of {folder}"),
        }
    }

    /// What is there is what somebody was told to have put there.
    pub fn holds(&self, server: &Server, folder: &'static str) {
        let view = server.messages.view(ONE, folder).unwrap();
        for message in view.messages.iter() {
            let found = server.messages.load(&view.folder, message.uid).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), self.text(folder, message.uid), "UID {} of {folder}", message.uid);
        }
        let given = self.0.lock().unwrap().keys().filter(|(of, _)| *of == folder).map(|(_, uid)| *uid).max().unwrap();
        assert_eq!(view.uid_next, given + 1);
    }
}

/// What a session asked for, and what it was answered.
#[derive(Debug)]
pub enum Asked {
    /// `shown`: the flags that the answer showed; of a silent one nothing is shown.
    Store { uid: u32, add: bool, flag: &'static str, silent: bool, shown: Option<Names> },
    /// Out of INBOX, and there is a new UID of it.
    Taken { uid: u32 },
    /// EXPUNGE or CLOSE, by who knew these.
    Expunge { known: Vec<u32> },
    /// By who knew these; `found` may hold others that it did not know yet.
    Search { unseen: bool, flagged: bool, range: Option<(u32, u32)>, known: Vec<u32>, found: Vec<u32> },
}

/// One command, and the MODSEQ of INBOX before it was sent and after it was answered: what it did has a MODSEQ in between, and what it
/// saw stood there in between. `seen`: the MODSEQ that the session's view has reached at least.
#[derive(Debug)]
pub struct Deed {
    pub seen: u64,
    pub before: u64,
    pub after: u64,
    pub asked: Asked,
}

/// What a folder holds after each commit, in the order of MODSEQ: what every answer is held against, and every deed has to explain.
pub struct History {
    pub watch: Watch,
    /// The flags of each message from each MODSEQ on; `None`: it is gone.
    pub states: BTreeMap<u32, BTreeMap<u64, Option<Names>>>,
    /// Those that were there when it began.
    pub first: BTreeSet<u32>,
    pub last: u64,
}

impl History {
    pub fn begin(server: &Server, folder: &str) -> Self {
        let (View { messages, highest_modseq, .. }, watch) = server.messages.open(ONE, folder).unwrap();
        let states: BTreeMap<_, _> = messages.iter().map(|message| (message.uid, BTreeMap::from([(message.modseq, Some(names(&message.flags)))]))).collect();
        Self { watch, first: states.keys().copied().collect(), states, last: highest_modseq }
    }

    pub fn hear(&mut self) {
        while let Some(changes) = self.watch.try_next() {
            for change in changes.iter() {
                let (uid, modseq, state) = match change {
                    Change::New(info) | Change::Flags(info) => (info.uid, info.modseq, Some(names(&info.flags))),
                    Change::Gone { uid, modseq } => (*uid, *modseq, None),
                };
                assert!(modseq >= self.last, "{modseq} of UID {uid} is told after {}", self.last);
                self.last = modseq;
                let states = self.states.entry(uid).or_default();
                assert_eq!(states.is_empty(), matches!(change, Change::New(_)), "UID {uid} at {modseq}");
                assert!(states.values().next_back().is_none_or(|before| before.is_some() && *before != state), "UID {uid} at {modseq}: a change that changes nothing, or of what is gone");
                assert!(states.insert(modseq, state).is_none(), "UID {uid} changed twice at {modseq}");
            }
        }
    }

    /// The state at `from` and each one that followed it up to `to`; none before the message came.
    pub fn between(&self, uid: u32, from: u64, to: u64) -> Vec<&Option<Names>> {
        let Some(states) = self.states.get(&uid) else { return Vec::new() };
        let first = states.range(..=from).next_back().into_iter();
        if from >= to { first.map(|(_, state)| state).collect() } else { first.chain(states.range(from + 1..=to)).map(|(_, state)| state).collect() }
    }

    /// What it holds in the end.
    pub fn end(&self) -> BTreeMap<u32, Names> {
        self.states.iter().filter_map(|(uid, states)| Some((*uid, states.values().next_back()?.clone()?))).collect()
    }

    /// The flags a message had before `modseq`.
    pub fn flags_before(&self, uid: u32, modseq: u64) -> Names {
        self.states[&uid].range(..modseq).next_back().and_then(|(_, state)| state.clone()).unwrap_or_else(|| panic!("UID {uid} was not there before {modseq}"))
    }

    /// What a session was told once stood so, and at that MODSEQ.
    pub fn holds(&self, heard: &[(u32, Names, Option<u64>)]) {
        for (uid, flags, modseq) in heard {
            let states = self.states.get(uid).unwrap_or_else(|| panic!("UID {uid} was never there"));
            let stood = match modseq {
                Some(modseq) => states.get(modseq).is_some_and(|state| state.as_ref() == Some(flags)),
                None => states.values().any(|state| state.as_ref() == Some(flags)),
            };
            assert!(stood, "UID {uid} was told with {flags:?} at {modseq:?}: {states:?}");
        }
    }

    /// Each deed did what it was asked for, and its answer says so.
    pub fn answers(&self, deed: &Deed) {
        let Deed { seen, before, after, asked } = deed;
        match asked {
            Asked::Store { uid, add, flag, silent, shown } => {
                let states = self.between(*uid, *before, *after);
                if states.iter().any(|state| state.is_none()) {
                    return;
                }
                let as_asked = |state: &Names| state.contains(*flag) == *add;
                let first = states.iter().position(|state| state.as_ref().is_some_and(as_asked));
                let first = first.unwrap_or_else(|| panic!("it changed nothing: {deed:?} {states:?}"));
                if !silent {
                    let shown = shown.as_ref().unwrap_or_else(|| panic!("the flags are not shown: {deed:?}"));
                    assert!(states[first..].iter().any(|state| state.as_ref() == Some(shown)), "{deed:?} {states:?}");
                }
            }
            Asked::Taken { uid } => assert!(self.between(*uid, *before, *after).last().is_some_and(|state| state.is_none()), "it is still there: {deed:?}"),
            Asked::Expunge { known } => {
                for uid in known {
                    let kept = |state: &&Option<Names>| state.as_ref().is_none_or(|flags| !flags.contains("\\Deleted"));
                    assert!(self.between(*uid, *before, *after).iter().any(kept), "UID {uid} bears \\Deleted and is still there: {deed:?}");
                }
            }
            Asked::Search { unseen, flagged, range, known, found } => {
                let fits = |uid: u32, flags: &Names| {
                    (!unseen || !flags.contains("\\Seen")) && (!flagged || flags.contains("\\Flagged")) && range.is_none_or(|(from, to)| (from..=to).contains(&uid))
                };
                for uid in known {
                    let states = self.between(*uid, *seen, *after);
                    let (is_found, is_gone) = (found.contains(uid), states.iter().any(|state| state.is_none()));
                    let may = |wanted: bool| states.iter().any(|state| state.as_ref().is_some_and(|flags| fits(*uid, flags) == wanted));
                    assert!(may(is_found) || is_gone, "UID {uid}: {deed:?} {states:?}");
                }
                for uid in found {
                    assert!(range.is_none_or(|(from, to)| (from..=to).contains(uid)) && self.states.contains_key(uid), "UID {uid}: {deed:?}");
                }
            }
        }
    }

    /// Each change is what one deed asked for, and each deed is spent once: that of those it may be which ended first.
    pub fn explained(&self, deeds: &[Deed], ledger: &Ledger) {
        let mut spent = BTreeSet::new();
        let mut spend = |modseq: u64, is: &dyn Fn(&Asked) -> bool, once: bool| {
            let may = deeds.iter().enumerate().filter(|(at, deed)| !spent.contains(at) && deed.before < modseq && modseq <= deed.after && is(&deed.asked));
            let found = may.min_by_key(|(_, deed)| deed.after).map(|(at, _)| at);
            if let (Some(at), true) = (found, once) {
                spent.insert(at);
            }
            found.is_some()
        };
        let mut changes: Vec<(u64, u32)> = self.states.iter().flat_map(|(uid, states)| states.keys().map(move |modseq| (*modseq, *uid))).collect();
        changes.sort_unstable();
        for (modseq, uid) in changes {
            let states = &self.states[&uid];
            let before = states.range(..modseq).next_back().map(|(_, state)| state.clone().unwrap());
            match (before, &states[&modseq]) {
                (None, _) if self.first.contains(&uid) => {}
                (None, Some(flags)) => {
                    let expected = ledger.copied("INBOX", uid).map_or_else(|| named("\\Draft"), |of| self.flags_before(of, modseq));
                    assert_eq!(*flags, expected, "UID {uid} came at {modseq}");
                }
                (Some(before), Some(flags)) => {
                    let one: Vec<&String> = before.symmetric_difference(flags).collect();
                    let [one] = one.as_slice() else { panic!("UID {uid} at {modseq}: {before:?} became {flags:?} at once") };
                    let now = flags.contains(*one);
                    let is = |asked: &Asked| matches!(asked, Asked::Store { uid: of, add, flag, .. } if *of == uid && *add == now && *flag == one.as_str());
                    assert!(spend(modseq, &is, true), "UID {uid} at {modseq}: nobody asked for {before:?} to become {flags:?}");
                }
                (Some(before), None) => {
                    let taken = spend(modseq, &|asked| matches!(asked, Asked::Taken { uid: of } if *of == uid), true);
                    let mut expunged = || before.contains("\\Deleted") && spend(modseq, &|asked| matches!(asked, Asked::Expunge { .. }), false);
                    assert!(taken || expunged(), "UID {uid} with {before:?} went at {modseq}, and nobody asked for it");
                }
                (None, None) => panic!("UID {uid} went at {modseq} and never came"),
            }
        }
    }
}
