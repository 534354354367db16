//! A notice in the outbox: what it is about, to whom it goes, how far it is. Its words are made when it is handed over.

use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key};

use super::{Record, encode};

/// One notice. Its id is told to the gateway, which delivers nothing twice under one id.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    pub about: About,
    pub stage: NoticeStage,
    pub to: Recipient,
    pub state: NoticeState,
    /// Unix seconds.
    pub queued_at: i64,
    /// When it came into its state; of one that is queued, when it is handed over next.
    pub at: i64,
    pub attempts: u32,
    /// What the gateway said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Unread>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// A certificate, by its serial.
    Certificate(String),
    /// The root's list, by its number.
    RootList(u64),
    /// That of a root of a later generation.
    LaterRootList { root: String, number: u64 },
    /// The owner of the machine made the holder of the certificate `serial` administrator; to the officer of another one, or
    /// to the operator.
    Recovered { serial: String, officer: Option<String> },
    /// Certificates that end and whose holders cannot be told: the notices from `first` to `last`, by when and which.
    Unaddressed { first: (i64, String), last: (i64, String) },
}

/// Which of the notices about one thing it is.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeStage {
    /// So many days before the end.
    Days(u16),
    /// Before a filing deadline, as `2026-12-15`.
    Filing(String),
    /// It is said once.
    Once,
    /// The list made at a moment, and which of that moment's it is.
    List(i64, u32),
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Recipient {
    Mailbox(String),
    Operator,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeState {
    /// Until the gateway has delivered it.
    Queued,
    Sent,
    /// The gateway cannot deliver it.
    Failed,
    /// The holder has no mailbox: it stands in a list for the operator.
    Unaddressed,
    /// Not needed any more when its turn came: renewed, revoked, held, ended, or followed by a later one.
    Dropped,
}

/// Why the gateway did not deliver.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Unread {
    UnknownMailbox,
    ClosedMailbox,
    /// The address is not of the gateway's domain.
    Elsewhere,
    MailboxFull,
    /// The gateway itself could not, for now.
    Gateway,
}

impl Record for Notice {}

impl NoticeState {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Sent, Self::Failed, Self::Unaddressed, Self::Dropped];

    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unaddressed => "unaddressed",
            Self::Dropped => "dropped",
        }
    }

    /// The sum that counts the notices in this state.
    pub fn sum(self) -> String {
        format!("notice/{}", self.name())
    }
}

impl Notice {
    const TABLE: &str = "notice";
    const BY_STATE: &str = "notice-by-state";

    pub fn new(about: About, stage: NoticeStage, to: Option<Recipient>, now: i64) -> Self {
        let (to, state) = to.map_or((Recipient::Operator, NoticeState::Unaddressed), |to| (to, NoticeState::Queued));
        Self { about, stage, to, state, queued_at: now, at: now, attempts: 0, reason: None }
    }

    /// `SUBJECT.STAGE`, of letters, digits, hyphens and one dot.
    pub fn id(&self) -> String {
        format!("{}.{}", self.about.id(), self.stage.id())
    }

    pub fn key(id: &str) -> Key {
        let (about, stage) = id.split_once('.').unwrap_or((id, ""));
        Key::new(Self::TABLE, &[about.as_bytes(), stage.as_bytes()])
    }

    /// All about one thing.
    pub fn of(about: &About) -> (Key, Key) {
        Key::range(Self::TABLE, &[about.id().as_bytes()])
    }

    /// Big-endian seconds, so that a scan goes from the first.
    pub fn by_state(state: NoticeState, at: i64, id: &str) -> Key {
        Key::new(Self::BY_STATE, &[state.name().as_bytes(), &at.max(0).to_be_bytes(), id.as_bytes()])
    }

    pub fn all_in(state: NoticeState) -> (Key, Key) {
        Key::range(Self::BY_STATE, &[state.name().as_bytes()])
    }

    /// Those of a state up to and including `at`.
    pub fn up_to(state: NoticeState, at: i64) -> (Key, Key) {
        (Key::new(Self::BY_STATE, &[state.name().as_bytes()]), Key::new(Self::BY_STATE, &[state.name().as_bytes(), &at.saturating_add(1).max(0).to_be_bytes()]))
    }

    /// A new one, in its places.
    pub fn put(&self, batch: Batch) -> Result<Batch, serde_json::Error> {
        let id = self.id();
        let mut batch = batch.put(Self::key(&id), encode(self)?).put(Self::by_state(self.state, self.at, &id), id.into_bytes());
        batch.add(&self.state.sum(), 1);
        Ok(batch)
    }

    /// In the place of what it was before, if nobody else changed that meanwhile.
    pub fn replace(&self, before: &Self, batch: Batch) -> Result<Batch, serde_json::Error> {
        let (id, mut batch) = (self.id(), batch.expect(Expectation::Equals(Self::key(&self.id()), encode(before)?)));
        let (old, new) = (Self::by_state(before.state, before.at, &id), Self::by_state(self.state, self.at, &id));
        if old != new {
            batch = batch.delete(old);
        }
        batch.add(&before.state.sum(), -1);
        batch.add(&self.state.sum(), 1);
        Ok(batch.put(Self::key(&id), encode(self)?).put(new, id.into_bytes()))
    }
}

impl About {
    fn id(&self) -> String {
        match self {
            Self::Certificate(serial) => serial.clone(),
            Self::RootList(number) => format!("root-list-{number}"),
            Self::LaterRootList { root, number } => format!("{root}-list-{number}"),
            Self::Recovered { serial, officer } => format!("recovered-{serial}-{}", officer.as_deref().unwrap_or("operator")),
            Self::Unaddressed { .. } => "unaddressed".to_owned(),
        }
    }
}

impl NoticeStage {
    fn id(&self) -> String {
        match self {
            Self::Days(days) => format!("{days}-days"),
            Self::Filing(deadline) => format!("filing-{deadline}"),
            Self::Once => "once".to_owned(),
            Self::List(at, number) => format!("list-{at}-{number}"),
        }
    }
}

/// How far the certificates of a profile have been looked at for one stage: none is looked at twice.
pub fn looked_at(profile: &str, stage: &NoticeStage) -> Key {
    Key::new("notice-looked-at", &[profile.as_bytes(), stage.id().as_bytes()])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use store::{Memory, Store};

    use super::*;
    use crate::record::decode;

    #[test]
    fn a_notice_stands_in_one_state_and_is_counted_there() {
        let store = Memory::new();
        let first = Notice::new(About::Certificate("0a".repeat(16)), NoticeStage::Days(30), Some(Recipient::Mailbox("a@b.example".into())), 7);
        store.commit(first.put(Batch::new()).unwrap()).unwrap();
        assert_eq!(first.id(), format!("{}.30-days", "0a".repeat(16)));
        for (state, at) in [(NoticeState::Queued, 9), (NoticeState::Failed, 10), (NoticeState::Queued, 10), (NoticeState::Sent, 11)] {
            let before: Notice = decode(&store.get(&Notice::key(&first.id())).unwrap().unwrap()).unwrap();
            let after = Notice { state, at, ..before.clone() };
            store.commit(after.replace(&before, Batch::new()).unwrap()).unwrap();
            // What was decided on another state is not done.
            assert!(store.commit(after.replace(&before, Batch::new()).unwrap()).is_err());
            for other in NoticeState::ALL {
                let (from, to) = Notice::all_in(other);
                let found = store.scan(&from, &to, 10).unwrap().len() as u64;
                assert_eq!((found, store.sum(&other.sum()).unwrap()), (u64::from(other == state), found), "{other:?}");
            }
        }
        let (from, to) = Notice::up_to(NoticeState::Sent, 10);
        assert!(store.scan(&from, &to, 1).unwrap().is_empty());
        let (from, to) = Notice::up_to(NoticeState::Sent, 11);
        assert_eq!(store.scan(&from, &to, 1).unwrap().len(), 1);
    }
}
