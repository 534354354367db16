//! Commits told to those who watch a folder, in the order of its mailbox's MODSEQ and never waiting for anyone.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Waker};

use protocol::imap::exchange::{AccountChanges, Change};
use tokio::sync::mpsc;

use super::account_watch::{AccountWatch, Listener};
use super::messages::MailError;
use super::views::{self, Kept, Views};
use crate::record::folder::Folder;

/// Commits one watcher may be behind before it is let go.
const QUEUE: usize = 1_024;
/// Commits that wait for one before them: more than there are connections that wait for a commit.
const MAX_EARLY: usize = 8_192;
const SHARDS: usize = 16;

/// What one commit did to the folders of one mailbox, at this step of its MODSEQ counter. Every step the store gives is told,
/// or those after it would wait for ever.
pub(super) struct Told {
    pub mailbox: String,
    pub step: u64,
    pub changes: Vec<(u64, Change)>,
}

struct Watcher {
    number: u64,
    folder: u64,
    sender: mpsc::Sender<Arc<[Change]>>,
}

/// A mailbox that somebody watches a folder of, or of which a folder is kept.
struct Topic {
    /// The step to be told next.
    next: u64,
    /// The last step that somebody saw in the store.
    asked: u64,
    /// Told before their turn: commits end in one order and are heard of in another.
    early: BTreeMap<u64, Vec<(u64, Change)>>,
    watchers: Vec<Watcher>,
    views: Views,
}

#[derive(Default)]
struct Shard {
    topics: HashMap<String, Topic>,
    /// Who watches all of a mailbox.
    listeners: HashMap<String, Vec<Arc<Listener>>>,
    last_watcher: u64,
}

#[derive(Default)]
pub(super) struct Broadcast {
    shards: [Mutex<Shard>; SHARDS],
    /// How often names of folders came to be others' or nobody's, in any mailbox: a mailbox that nobody is at remembers nothing.
    renamings: AtomicU64,
    /// Counts the uses of views: the one used longest ago goes first.
    uses: AtomicU64,
    /// What views were added since they were weighed.
    added: AtomicUsize,
}

/// A folder that is being read, to be kept.
pub(super) struct Reading<'b> {
    broadcast: &'b Broadcast,
    mailbox: String,
    folder: u64,
    number: u64,
    read: bool,
}

impl Reading<'_> {
    /// Nothing, where that failed.
    pub fn read(mut self, read: Option<Kept>) {
        let read = read.filter(|kept| views::weight(kept) <= views::MOST);
        let added = read.as_ref().map_or(0, views::weight);
        self.put(read);
        if self.broadcast.added.fetch_add(added, Relaxed) + added > views::MOST / 8 {
            self.broadcast.added.store(0, Relaxed);
            self.broadcast.bound(views::MOST);
        }
    }

    fn put(&mut self, read: Option<Kept>) {
        self.read = true;
        let mut shard = self.broadcast.shard(&self.mailbox);
        if let Some(topic) = shard.topics.get_mut(&self.mailbox) {
            topic.views.read(self.folder, self.number, read);
        }
        shard.let_go(&self.mailbox, |_| false);
    }
}

impl Drop for Reading<'_> {
    /// A panic while it was read: it is awaited no longer.
    fn drop(&mut self) {
        if !self.read {
            self.put(None);
        }
    }
}

/// Names of a mailbox's folders are being changed.
pub(super) struct Renaming<'b> {
    broadcast: &'b Broadcast,
    mailbox: &'b str,
}

impl Drop for Renaming<'_> {
    fn drop(&mut self) {
        let mut shard = self.broadcast.shard(self.mailbox);
        self.broadcast.renamings.fetch_add(1, Relaxed);
        if let Some(topic) = shard.topics.get_mut(self.mailbox) {
            topic.views.renamed();
        }
    }
}

/// The changes of a folder from the moment it was made.
pub struct Watch {
    mailbox: String,
    folder: u64,
    watcher: u64,
    changes: mpsc::Receiver<Arc<[Change]>>,
    broadcast: Arc<Broadcast>,
}

impl Watch {
    /// The next commit's changes; waiting can be given up without loss. `None`: the folder was deleted, or the watcher fell
    /// too far behind; the folder has to be opened anew.
    pub async fn next(&mut self) -> Option<Arc<[Change]>> {
        self.changes.recv().await
    }

    pub(super) fn is_of(&self, folder: &Folder) -> bool {
        self.folder == folder.id
    }

    /// As `next` for those who do not wait: `None` when there is nothing now.
    pub fn try_next(&mut self) -> Option<Arc<[Change]>> {
        self.changes.try_recv().ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The sender is dropped here, too, which wakes whoever waited last: the session that is at work already. It would be put to
        // the end of the queue and another thread be woken for it, with each SELECT.
        let _ = self.changes.poll_recv(&mut Context::from_waker(Waker::noop()));
        let mut shard = self.broadcast.shard(&self.mailbox);
        shard.let_go(&self.mailbox, |watcher| watcher.number == self.watcher);
    }
}

impl Broadcast {
    /// `last_step` reads the mailbox's MODSEQ counter. It is read under the lock, so that a commit is either seen by it or told
    /// after it.
    pub fn watch(self: &Arc<Self>, mailbox: &str, folder: u64, last_step: impl FnOnce() -> Result<u64, MailError>) -> Result<Watch, MailError> {
        let mut shard = self.shard(mailbox);
        shard.topic(mailbox, last_step)?;
        self.watched(&mut shard, mailbox, folder).ok_or(MailError::Busy)
    }

    /// Of a topic that is there.
    fn watched(self: &Arc<Self>, shard: &mut Shard, mailbox: &str, folder: u64) -> Option<Watch> {
        let (sender, changes) = mpsc::channel(QUEUE);
        shard.last_watcher += 1;
        let number = shard.last_watcher;
        shard.topics.get_mut(mailbox)?.watchers.push(Watcher { number, folder, sender });
        Some(Watch { mailbox: mailbox.to_owned(), folder, watcher: number, changes, broadcast: Arc::clone(self) })
    }

    /// After the commit is durable.
    pub fn tell(&self, all: Vec<Told>) {
        for told in all {
            let mut shard = self.shard(&told.mailbox);
            for listener in shard.listeners.get(&told.mailbox).into_iter().flatten() {
                listener.note(|all| told.changes.iter().for_each(|(folder, change)| all.message(*folder, change)));
            }
            let Some(topic) = shard.topics.get_mut(&told.mailbox) else { continue };
            // A step before `next` was in the store when the first watcher came: all of them have read it.
            if told.step >= topic.next {
                topic.early.insert(told.step, told.changes);
            }
            topic.tell_in_turn();
            shard.let_go(&told.mailbox, |_| false);
        }
    }

    /// From now on; in no order, since what happened is gathered.
    pub fn watch_account(self: &Arc<Self>, mailbox: &str) -> AccountWatch {
        let listener = Arc::new(Listener::default());
        self.shard(mailbox).listeners.entry(mailbox.to_owned()).or_default().push(Arc::clone(&listener));
        AccountWatch::new(mailbox, listener, Arc::clone(self))
    }

    /// Folders or annotations changed, durably.
    pub fn note(&self, mailbox: &str, change: impl Fn(&mut AccountChanges)) {
        for listener in self.shard(mailbox).listeners.get(mailbox).into_iter().flatten() {
            listener.note(&change);
        }
    }

    pub(super) fn forget_listener(&self, mailbox: &str, listener: &Arc<Listener>) {
        let mut shard = self.shard(mailbox);
        if let Some(all) = shard.listeners.get_mut(mailbox) {
            all.retain(|other| !Arc::ptr_eq(other, listener));
            if all.is_empty() {
                shard.listeners.remove(mailbox);
            }
        }
    }

    /// A folder that is kept, if all was told up to the step `committed`, which was read before: the store is not waited for under the
    /// lock. What was told beyond it is durable, too.
    pub fn given(&self, mailbox: &str, folder: u64, committed: u64) -> Option<Kept> {
        let mut shard = self.shard(mailbox);
        let topic = shard.topics.get_mut(mailbox)?;
        topic.asked = topic.asked.max(committed);
        let kept = topic.views.given(folder, self.uses.fetch_add(1, Relaxed))?;
        (topic.next > committed).then_some(kept)
    }

    /// A folder that is kept under this name, with all that was told of it, and what is told from here on. It waits for nobody: nothing where
    /// others are at it, too.
    pub fn opened(self: &Arc<Self>, mailbox: &str, name: &str) -> Option<(Folder, Kept, Watch)> {
        let mut shard = self.try_shard(mailbox)?;
        let topic = shard.topics.get_mut(mailbox)?;
        // What was told before its turn is committed, and in no view yet; nor is what somebody may have been answered of the store.
        if !topic.early.is_empty() || topic.next <= topic.asked {
            return None;
        }
        let (folder, kept) = topic.views.by_name(name, self.uses.fetch_add(1, Relaxed))?;
        let watch = self.watched(&mut shard, mailbox, folder.id)?;
        Some((folder, kept, watch))
    }

    /// What `named` is told, asked before the name is read.
    pub fn renamings(&self) -> u64 {
        self.renamings.load(Relaxed)
    }

    /// A folder that is watched has this name, unless there were more renamings since.
    pub fn named(&self, mailbox: &str, name: &str, folder: Folder, renamings: u64) {
        let mut shard = self.shard(mailbox);
        // Counted under the lock: what comes after this is told this name, too.
        if let Some(topic) = shard.topics.get_mut(mailbox).filter(|_| self.renamings() == renamings) {
            topic.views.name(name, folder);
        }
    }

    /// Names of folders are changed or given up until it is dropped, however that ends.
    pub fn renaming<'b>(&'b self, mailbox: &'b str) -> Renaming<'b> {
        Renaming { broadcast: self, mailbox }
    }

    /// It is not known what became of a commit: what is kept of this mailbox is read anew.
    pub fn unsure(&self, mailbox: &str) {
        let mut shard = self.shard(mailbox);
        if let Some(topic) = shard.topics.get_mut(mailbox) {
            topic.views.forget_all();
        }
        shard.let_go(mailbox, |_| false);
    }

    /// A folder that nobody has read yet is to be read by who asks, after this call. `last_step`: as for `watch`.
    pub fn awaits(&self, mailbox: &str, folder: u64, last_step: impl FnOnce() -> Result<u64, MailError>) -> Result<Option<Reading<'_>>, MailError> {
        let number = self.uses.fetch_add(1, Relaxed);
        let mut shard = self.shard(mailbox);
        let awaited = shard.topic(mailbox, last_step)?.views.awaits(folder, number);
        drop(shard);
        Ok(awaited.then(|| Reading { broadcast: self, mailbox: mailbox.to_owned(), folder, number, read: false }))
    }

    /// The folder is no more: its watchers hear the end.
    pub fn end(&self, mailbox: &str, folder: u64) {
        let mut shard = self.shard(mailbox);
        if let Some(topic) = shard.topics.get_mut(mailbox) {
            topic.views.forget(folder);
        }
        shard.let_go(mailbox, |watcher| watcher.folder == folder);
    }

    /// Where views weigh more than this together, those used longest ago go, to three quarters of it.
    pub(super) fn bound(&self, most: usize) {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (mailbox, topic) in &shard.topics {
                all.extend(topic.views.weighed().map(|(used, folder, weight)| (used, mailbox.clone(), folder, weight)));
            }
        }
        let mut held: usize = all.iter().map(|(_, _, _, weight)| weight).sum();
        if held <= most {
            return;
        }
        all.sort_unstable();
        for (_, mailbox, folder, weight) in all {
            if held <= most / 4 * 3 {
                break;
            }
            held = held.saturating_sub(weight);
            let mut shard = self.shard(&mailbox);
            if let Some(topic) = shard.topics.get_mut(&mailbox) {
                topic.views.forget(folder);
            }
            shard.let_go(&mailbox, |_| false);
        }
    }

    fn shard(&self, mailbox: &str) -> MutexGuard<'_, Shard> {
        // Every state between two statements is whole, so a panic elsewhere harms nothing.
        self.shard_of(mailbox).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_shard(&self, mailbox: &str) -> Option<MutexGuard<'_, Shard>> {
        match self.shard_of(mailbox).try_lock() {
            Ok(shard) => Some(shard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn shard_of(&self, mailbox: &str) -> &Mutex<Shard> {
        let [first, ..] = &self.shards;
        let at = mailbox.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte))) % SHARDS;
        self.shards.get(at).unwrap_or(first)
    }
}

impl Shard {
    fn topic(&mut self, mailbox: &str, last_step: impl FnOnce() -> Result<u64, MailError>) -> Result<&mut Topic, MailError> {
        Ok(match self.topics.entry(mailbox.to_owned()) {
            Entry::Occupied(topic) => topic.into_mut(),
            Entry::Vacant(place) => {
                let next = last_step()?.saturating_add(1);
                place.insert(Topic { next, asked: 0, early: BTreeMap::new(), watchers: Vec::new(), views: Views::default() })
            }
        })
    }

    /// A mailbox that nobody watches any more, and of which nothing is kept, is forgotten.
    fn let_go(&mut self, mailbox: &str, who: impl Fn(&Watcher) -> bool) {
        if let Some(topic) = self.topics.get_mut(mailbox) {
            topic.watchers.retain(|watcher| !who(watcher));
            if topic.watchers.is_empty() && topic.views.is_empty() {
                self.topics.remove(mailbox);
            }
        }
    }
}

impl Topic {
    fn tell_in_turn(&mut self) {
        while let Some(changes) = self.early.remove(&self.next) {
            self.next += 1;
            let mut folders: BTreeMap<u64, Vec<Change>> = BTreeMap::new();
            changes.into_iter().for_each(|(folder, change)| folders.entry(folder).or_default().push(change));
            for (folder, changes) in folders {
                self.views.hear(folder, &changes);
                let changes: Arc<[Change]> = changes.into();
                // Whoever cannot take it now is let go rather than waited for.
                self.watchers.retain(|watcher| watcher.folder != folder || watcher.sender.try_send(Arc::clone(&changes)).is_ok());
            }
        }
        if self.early.len() > MAX_EARLY {
            self.watchers.clear();
            self.views.forget_all();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn gone(step: u64) -> Told {
        let change = Change::Gone { uid: u32::try_from(step).unwrap(), modseq: step + 1 };
        Told { mailbox: "one".into(), step, changes: vec![(7, change.clone()), (8, change)] }
    }

    fn heard(watch: &mut Watch) -> Vec<u32> {
        let uid = |change: &Change| if let Change::Gone { uid, .. } = change { *uid } else { 0 };
        std::iter::from_fn(|| watch.try_next()).flat_map(|changes| changes.iter().map(uid).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn told_in_the_order_of_steps_whatever_the_order_heard() {
        let broadcast = Arc::new(Broadcast::default());
        let mut first = broadcast.watch("one", 7, || Ok(10)).unwrap();
        broadcast.tell(vec![gone(12), gone(10)]);
        assert_eq!(heard(&mut first), Vec::<u32>::new());
        let mut second = broadcast.watch("one", 7, || Ok(99)).unwrap();
        broadcast.tell(vec![Told { mailbox: "one".into(), step: 13, changes: Vec::new() }, gone(14), gone(11)]);
        assert_eq!(heard(&mut first), [11, 12, 14]);
        assert_eq!(heard(&mut second), [11, 12, 14]);
    }

    #[tokio::test]
    async fn the_slow_are_let_go_and_the_last_leaves_nothing() {
        let broadcast = Arc::new(Broadcast::default());
        let mut slow = broadcast.watch("one", 7, || Ok(0)).unwrap();
        let mut quick = broadcast.watch("one", 7, || Ok(0)).unwrap();
        for step in 1..=QUEUE as u64 + 1 {
            broadcast.tell(vec![gone(step)]);
            assert!(quick.try_next().is_some());
        }
        assert_eq!(heard(&mut slow).len(), QUEUE);
        assert!(slow.next().await.is_none());
        broadcast.end("one", 7);
        assert!(quick.next().await.is_none());
        drop((slow, quick));
        let other = broadcast.watch("one", 7, || Ok(0)).unwrap();
        drop(other);
        let account = broadcast.watch_account("one");
        broadcast.tell(vec![gone(1)]);
        assert!(!account.take().is_empty() && account.take().is_empty());
        drop(account);
        assert!(broadcast.shards.iter().all(|shard| shard.lock().unwrap().topics.is_empty() && shard.lock().unwrap().listeners.is_empty()));
    }

    #[tokio::test]
    async fn a_step_that_never_comes_ends_the_watch() {
        let broadcast = Arc::new(Broadcast::default());
        let mut watch = broadcast.watch("one", 7, || Ok(0)).unwrap();
        for step in 2..=MAX_EARLY as u64 + 2 {
            broadcast.tell(vec![gone(step)]);
        }
        assert!(watch.next().await.is_none());
    }

    #[test]
    fn what_is_kept_is_given_once_all_that_was_committed_is_told() {
        let broadcast = Arc::new(Broadcast::default());
        let empty = || Kept { messages: std::iter::empty().collect(), uid_next: 1, highest_modseq: 11 };
        broadcast.awaits("one", 7, || Ok(10)).unwrap().unwrap().read(Some(empty()));
        assert!(broadcast.given("one", 7, 10).is_some() && broadcast.given("one", 8, 10).is_none());
        // Committed and not told yet.
        assert!(broadcast.given("one", 7, 11).is_none());
        broadcast.tell(vec![gone(11), gone(12)]);
        // Told more than was committed when it was asked: newer, and durable.
        assert_eq!(broadcast.given("one", 7, 11).unwrap().highest_modseq, 13);
    }
}
