//! Messages that a session is about to ask for, one after another: another thread reads them from the last on, while the session's own reads
//! and tells them from the first on. Where the two meet all is read, and a client that fetches a whole folder waits half as long. There are
//! no more such threads at one time than processors beside one's own: where many sessions are busy each reads by itself.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::mailbox::{MailError, MessageStore};
use crate::record::folder::Folder;

/// Never closed.
static READERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(available_parallelism().map_or(0, |all| all.get() - 1))));

/// Sessions that hold what was read for them while their clients take their time.
static HOLDERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST_HOLD)));
const MOST_HOLD: usize = 200;

/// The bytes and their SHA-256.
type Loaded = Result<(Vec<u8>, [u8; 32]), MailError>;

enum State {
    Unread,
    /// One of the two reads it.
    Taken,
    Read(Loaded),
}

pub(super) struct Ahead {
    folder: u64,
    states: Mutex<HashMap<u32, State>>,
    changed: Condvar,
    _holds: OwnedSemaphorePermit,
}

impl Ahead {
    /// `None`: nobody is free to read them.
    pub fn begin(messages: &Arc<MessageStore>, folder: Folder, uids: Vec<u32>) -> Option<Arc<Self>> {
        let (place, holds) = (Arc::clone(&READERS).try_acquire_owned().ok()?, Arc::clone(&HOLDERS).try_acquire_owned().ok()?);
        let this = Arc::new(Self { folder: folder.id, states: Mutex::new(uids.iter().map(|uid| (*uid, State::Unread)).collect()), changed: Condvar::new(), _holds: holds });
        let (read, messages) = (Arc::clone(&this), Arc::clone(messages));
        spawn_blocking(move || {
            let _place = place;
            for uid in uids.into_iter().rev() {
                // The session reads what is before this by itself, or is gone.
                if Arc::strong_count(&read) == 1 || !read.takes(uid) {
                    break;
                }
                let loaded = catch_unwind(AssertUnwindSafe(|| messages.load_with_digest(folder.id, uid)));
                // What fell over falls over where somebody is told of it.
                read.set(uid, loaded.map_or(State::Unread, State::Read));
            }
        });
        Some(this)
    }

    /// A message that was read, or is being read; `None`: whoever asks reads it.
    pub fn take(&self, folder: u64, uid: u32) -> Option<Loaded> {
        if self.folder != folder {
            return None;
        }
        let mut states = self.states();
        loop {
            match states.remove(&uid)? {
                State::Read(loaded) => return Some(loaded),
                State::Unread => return None,
                State::Taken => {
                    states.insert(uid, State::Taken);
                    states = self.changed.wait(states).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn takes(&self, uid: u32) -> bool {
        match self.states().get_mut(&uid) {
            Some(state @ State::Unread) => {
                *state = State::Taken;
                true
            }
            _ => false,
        }
    }

    fn set(&self, uid: u32, state: State) {
        self.states().insert(uid, state);
        self.changed.notify_all();
    }

    fn states(&self) -> MutexGuard<'_, HashMap<u32, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::mailbox::{Delivery, standard_folders};
    use protocol::imap::exchange::{Flags, StoreOp, SystemFlag};
    use store::{Batch, Memory, Store};

    const BOX: &str = "1234567897";
    /// One test at a time.
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    fn letter(at: u32) -> Vec<u8> {
        format!("Subject: {at}\r\n\r\n{}", at.to_string().repeat(500)).into_bytes()
    }

    fn filled(count: u32) -> (Arc<MessageStore>, Folder) {
        let store = Arc::new(Memory::new());
        store.commit(standard_folders(Batch::new(), BOX)).unwrap();
        let mail = Arc::new(MessageStore::new(store as Arc<dyn Store>, crate::mailbox::test_keys::data_key()));
        let one = |at| Delivery { mailbox: BOX.into(), folder: "INBOX".into(), content: letter(at).into(), unix_millis: 1, flags: Flags::new(), event: None, mark: None };
        mail.deliver(&(1..=count).map(one).collect::<Vec<_>>(), 1).unwrap();
        let folder = mail.folder(BOX, "INBOX").unwrap();
        (mail, folder)
    }

    /// Whoever of the two is quicker.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_message_is_read_by_one_of_two_and_is_the_one_asked_for() {
        let _alone = ALONE.lock().await;
        let (mail, folder) = filled(64);
        let mut had = 0;
        mail.store_flags(BOX, &folder, &[40], StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
        mail.expunge(BOX, &folder, &[40], 2).unwrap();
        for _ in 0..200 {
            // The one before may not have seen yet that nobody asks any more.
            let Some(ahead) = Ahead::begin(&mail, folder, (1..=64).collect()) else { continue };
            had += 1;
            for uid in 1..=64 {
                let read = ahead.take(folder.id, uid).unwrap_or_else(|| mail.load_with_digest(folder.id, uid));
                match read {
                    Ok((bytes, digest)) => assert!(uid != 40 && bytes == letter(uid) && digest == crate::record::body::digest(&bytes)),
                    Err(error) => assert_eq!((uid, error), (40, MailError::Gone)),
                }
            }
            assert!(ahead.take(folder.id, 64).is_none());
        }
        assert!(had > 0 || available_parallelism().unwrap().get() == 1);
    }

    #[tokio::test]
    async fn of_another_folder_and_beside_too_many_others_nothing_is_read_ahead() {
        let _alone = ALONE.lock().await;
        let (mail, folder) = filled(4);
        let all = available_parallelism().unwrap().get() - 1;
        let all = Arc::clone(&READERS).acquire_many_owned(u32::try_from(all).unwrap()).await.unwrap();
        assert!(Ahead::begin(&mail, folder, vec![1, 2]).is_none());
        drop(all);
        if let Some(ahead) = Ahead::begin(&mail, folder, vec![1, 2, 3]) {
            assert_eq!(HOLDERS.available_permits(), MOST_HOLD - 1);
            assert!(ahead.take(folder.id + 1, 1).is_none() && ahead.take(folder.id, 4).is_none());
        }
    }
}
