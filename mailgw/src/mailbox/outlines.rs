//! What listings tell of messages, kept in blocks beside them: made as mail comes, a block once there are some dozen messages that no block
//! knows; fewer are read. So nothing is asked of a delivery, and a listing is right at any moment: what no block knows is read.
//!
//! A block is for the contents above the block before it, up to its own highest: whatever comes late has one place where it belongs.

use std::collections::BTreeMap;

use protocol::imap::content::{self, Outline};
use protocol::imap::exchange::{Outlines, Texts};
use store::{Batch, CommitError, Expectation, Key, StoreError};

use super::messages::{MailError, MessageStore};
use crate::record::folder::Folder;
use crate::record::outline::{self, Named, Opened};

/// Messages that are read one by one before a block is made of them.
pub(super) const LEAST: usize = 64;
/// Messages of one block; one to which late ones come has up to twice as many.
const BLOCK: usize = 256;
/// Octets of one outline, and of one header, from which on the message is read instead.
const MOST: usize = 16 << 10;
/// Octets that are told at once: a session holds them while its client takes its time. Of what is beyond, the messages are read.
const AT_ONCE: usize = 1 << 20;
/// Fewer of one block are rather read.
const FEW: usize = 4;
/// Blocks deleted in one commit.
const SWEEP: usize = 100;

/// Where a message lies.
type Place = (Folder, u32);

/// What a mailbox holds, and its blocks as its list names them.
struct Making<'m> {
    mailbox: &'m str,
    /// By content.
    alive: BTreeMap<u64, Place>,
    blocks: Vec<Named>,
    stored: Option<Vec<u8>>,
}

impl MessageStore {
    /// Of these contents, what is kept: envelope and structure for a `listing`, the `header`, or all. What was delivered since the last
    /// block is not.
    pub fn outlines(&self, mailbox: &str, contents: &[u64], listing: bool, header: bool) -> Result<Outlines, MailError> {
        let mut wanted = contents.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let blocks = self.blocks(mailbox)?.0;
        let (mut outlines, mut rest) = (Outlines::default(), wanted.as_slice());
        while let Some(first) = rest.first() {
            let Some(block) = blocks.get(blocks.partition_point(|block| block.highest < *first)) else { break };
            let (here, after) = rest.split_at(rest.partition_point(|content| *content <= block.highest));
            rest = after;
            if here.len() < FEW {
                continue;
            }
            // One that is being replaced is one nobody knows.
            let listed = if listing { self.opened_block(mailbox, outline::key(mailbox, block.highest))? } else { None };
            let headers = if header { self.opened_block(mailbox, outline::headers_key(mailbox, block.highest))? } else { None };
            for content in here {
                let (_, envelope, structure) = listed.as_ref().and_then(|block| block.get(*content)).unwrap_or_default();
                let (_, its_header, _) = headers.as_ref().and_then(|block| block.get(*content)).unwrap_or_default();
                // Whatever of it is not kept, the message is read.
                let fits = outlines.octets() + envelope.len() + structure.len() + its_header.len() <= AT_ONCE;
                if fits && (!listing || !envelope.is_empty()) && (!header || !its_header.is_empty()) {
                    outlines.push(*content, Texts { envelope, structure, header: its_header });
                }
            }
        }
        // Of before this program kept any, or that came while it was not running.
        if rest.len() >= LEAST {
            self.outlines_due.note(mailbox, LEAST);
        }
        Ok(outlines)
    }

    /// Makes the blocks that deliveries of late call for; of how many mailboxes. One that cannot be read keeps no other from it. `go_on` is
    /// asked before each block.
    pub fn outline_due(&self, go_on: &dyn Fn() -> bool) -> Result<usize, MailError> {
        let (mut made, mut failed) = (0, None);
        for mailbox in self.outlines_due.take() {
            match self.outline(&mailbox, false, go_on) {
                Ok(true) => made += 1,
                // The next listing sees what is left to do.
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, mailbox, "what a listing tells of a mailbox was not kept");
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(made), Err)
    }

    /// Drops what is kept of a mailbox and makes it anew.
    pub(super) fn outline_anew(&self, mailbox: &str) -> Result<(), MailError> {
        let _alone = self.outlines_due.alone();
        self.drop_blocks(mailbox)?;
        self.outline_alone(mailbox, false, &|| true).map(drop)
    }

    /// Keeps what no block knows of a mailbox, where that is enough; and forgets what is there no more. `false`: it was told to stop.
    pub(super) fn outline(&self, mailbox: &str, forget: bool, go_on: &dyn Fn() -> bool) -> Result<bool, MailError> {
        // One at a time, so that none is made twice.
        let _alone = self.outlines_due.alone();
        self.outline_alone(mailbox, forget, go_on)
    }

    fn outline_alone(&self, mailbox: &str, forget: bool, go_on: &dyn Fn() -> bool) -> Result<bool, MailError> {
        let (blocks, stored) = self.blocks(mailbox)?;
        if forget && stored.is_none() {
            return Ok(true);
        }
        if blocks.is_empty() && stored.is_some() {
            self.drop_blocks(mailbox)?;
        }
        let stored = stored.filter(|_| !blocks.is_empty());
        let mut making = Making { mailbox, alive: self.alive(mailbox)?, blocks, stored };
        Ok(self.mend(&mut making, forget, go_on)? && self.extend(&mut making, go_on)?)
    }

    /// The list, empty where another wording wrote it or it is damaged, and as it is stored.
    fn blocks(&self, mailbox: &str) -> Result<(Vec<Named>, Option<Vec<u8>>), MailError> {
        let stored = self.store.get(&outline::list_key(mailbox))?;
        let blocks = stored.as_deref().and_then(|stored| outline::decode_list(stored).ok().flatten());
        Ok((blocks.unwrap_or_default(), stored))
    }

    fn drop_blocks(&self, mailbox: &str) -> Result<(), MailError> {
        for (from, to) in [outline::range(mailbox), outline::headers_range(mailbox)] {
            loop {
                let found = self.store.scan(&from, &to, SWEEP)?;
                if found.is_empty() {
                    break;
                }
                self.store.commit(found.into_iter().fold(Batch::new(), |batch, (key, _)| batch.delete(key)))?;
            }
        }
        // Last: while there is a list, somebody looks for what it names.
        Ok(drop(self.store.commit(Batch::new().delete(outline::list_key(mailbox)))?))
    }

    fn alive(&self, mailbox: &str) -> Result<BTreeMap<u64, Place>, MailError> {
        let mut alive = BTreeMap::new();
        for stored in self.folders(mailbox)?.values() {
            let folder = Folder::decode(stored)?;
            alive.extend(self.kept(mailbox, &folder)?.messages.iter().map(|info| (info.content, (folder, info.uid))));
        }
        Ok(alive)
    }

    /// Blocks into whose place messages came late get them; those that know what is gone forget it.
    fn mend(&self, making: &mut Making<'_>, forget: bool, go_on: &dyn Fn() -> bool) -> Result<bool, MailError> {
        let (blocks, mut above) = (making.blocks.clone(), 0);
        for block in blocks {
            if !go_on() {
                return Ok(false);
            }
            let places: Vec<(u64, Place)> = making.alive.range(above..=block.highest).map(|(content, place)| (*content, *place)).collect();
            above = block.highest.saturating_add(1);
            if !forget && places.len() <= block.messages {
                continue;
            }
            let known = self.known(making.mailbox, block.highest)?;
            let came = places.iter().any(|(content, _)| !known.contains_key(content));
            let stay = known.keys().filter(|content| making.alive.contains_key(content)).count();
            // One that cannot be opened has fewer than the list says, and goes where nothing of it is left.
            if came || stay < block.messages {
                let outlines = self.outlined(&places, known)?;
                self.rewrite(making, block.highest, block.highest, outlines)?;
            }
        }
        Ok(true)
    }

    /// Blocks of what is above all of them. The last one is filled first.
    fn extend(&self, making: &mut Making<'_>, go_on: &dyn Fn() -> bool) -> Result<bool, MailError> {
        let last = making.blocks.last().copied();
        let above = last.map_or(0, |last| last.highest.saturating_add(1));
        let new: Vec<(u64, Place)> = making.alive.range(above..).map(|(content, place)| (*content, *place)).collect();
        if new.len() < LEAST {
            // With as many more they are enough.
            self.outlines_due.note(making.mailbox, new.len());
            return Ok(true);
        }
        if !go_on() {
            return Ok(false);
        }
        let filled = last.filter(|last| last.messages < BLOCK);
        let (first, rest) = new.split_at(filled.map_or(0, |last| BLOCK - last.messages).min(new.len()));
        if let (Some(last), Some((highest, _))) = (filled, first.last()) {
            let mut outlines = self.known(making.mailbox, last.highest)?;
            outlines.retain(|content, _| making.alive.contains_key(content));
            outlines.extend(self.outlined(first, BTreeMap::new())?);
            self.rewrite(making, last.highest, *highest, outlines)?;
        }
        for some in rest.chunks(BLOCK) {
            let Some((highest, _)) = some.last() else { continue };
            if !go_on() {
                return Ok(false);
            }
            let outlines = self.outlined(some, BTreeMap::new())?;
            making.blocks.push(Named { highest: *highest, messages: 0 });
            self.rewrite(making, *highest, *highest, outlines)?;
        }
        Ok(true)
    }

    /// A block; none that another wording wrote, nor one that is damaged: both are made anew from the messages.
    fn opened_block(&self, mailbox: &str, key: Key) -> Result<Option<Opened>, MailError> {
        let Some(stored) = self.store.get(&key)? else { return Ok(None) };
        Ok(outline::open(&key, &stored, &self.key).unwrap_or_else(|error| {
            tracing::warn!(%error, mailbox, "what a listing tells of a mailbox is made anew");
            None
        }))
    }

    fn known(&self, mailbox: &str, highest: u64) -> Result<BTreeMap<u64, Outline>, MailError> {
        let (listed, headers) = (self.opened_block(mailbox, outline::key(mailbox, highest))?, self.opened_block(mailbox, outline::headers_key(mailbox, highest))?);
        let Some(headers) = headers else { return Ok(BTreeMap::new()) };
        let owned = |(content, envelope, structure): (u64, &[u8], &[u8])| {
            let (_, header, _) = headers.get(content)?;
            Some((content, Outline { envelope: envelope.to_vec(), structure: structure.to_vec(), header: header.to_vec() }))
        };
        Ok(listed.iter().flat_map(|listed| listed.all()).filter_map(owned).collect())
    }

    /// The outlines of these messages: those that are known as they are, of the others what is read. An empty one says that a listing
    /// has to read the message, and then tells why it cannot be.
    fn outlined(&self, places: &[(u64, Place)], mut known: BTreeMap<u64, Outline>) -> Result<BTreeMap<u64, Outline>, MailError> {
        let mut outlines = BTreeMap::new();
        for (content, (folder, uid)) in places {
            let outline = match known.remove(content) {
                Some(outline) => outline,
                None => match self.load_from(folder.id, *uid) {
                    Ok(bytes) => Some(content::outline(&bytes)).filter(|outline| outline.envelope.len() + outline.structure.len() <= MOST && outline.header.len() <= MOST).unwrap_or_default(),
                    Err(MailError::Gone) => continue,
                    Err(MailError::Record(_) | MailError::Store(StoreError::Corrupt { .. })) => Outline::default(),
                    Err(error) => return Err(error),
                },
            };
            outlines.insert(*content, outline);
        }
        Ok(outlines)
    }

    /// A block as it is from now on, and how far it reaches, with the list that says so in one commit.
    fn rewrite(&self, making: &mut Making<'_>, from: u64, to: u64, outlines: BTreeMap<u64, Outline>) -> Result<(), MailError> {
        let mut blocks = making.blocks.clone();
        let at = blocks.partition_point(|block| block.highest < from);
        let gone = |batch: Batch, highest| batch.delete(outline::key(making.mailbox, highest)).delete(outline::headers_key(making.mailbox, highest));
        let mut batch = if from == to { Batch::new() } else { gone(Batch::new(), from) };
        let all: Vec<(u64, Outline)> = outlines.into_iter().collect();
        let halves: Vec<&[(u64, Outline)]> = if all.len() > 2 * BLOCK { all.chunks(BLOCK).collect() } else { vec![&all] };
        let mut named = Vec::new();
        for (place, half) in halves.iter().enumerate() {
            // The last one bears the name of the whole.
            let highest = if place + 1 == halves.len() { to } else { half.last().map_or(to, |(content, _)| *content) };
            if half.is_empty() {
                batch = gone(batch, highest);
                continue;
            }
            let (key, of_headers) = (outline::key(making.mailbox, highest), outline::headers_key(making.mailbox, highest));
            batch = batch.put(key.clone(), outline::seal(&key, half, &self.key)?).put(of_headers.clone(), outline::seal_headers(&of_headers, half, &self.key)?);
            named.push(Named { highest, messages: half.len() });
        }
        blocks.splice(at..(at + 1).min(blocks.len()), named);
        let (key, list) = (outline::list_key(making.mailbox), outline::encode_list(&blocks));
        let batch = batch.expect(expected(&key, making.stored.take())).put(key, list.as_slice());
        match self.store.commit(batch) {
            Ok(_) => {}
            // Another hand made it meanwhile; the next look sees what is left to do.
            Err(CommitError::Conflict { .. }) => return Err(MailError::Busy),
            Err(error) => return Err(error.into()),
        }
        (making.blocks, making.stored) = (blocks, Some(list));
        Ok(())
    }
}

fn expected(key: &Key, stored: Option<Vec<u8>>) -> Expectation {
    match stored {
        Some(stored) => Expectation::Equals(key.clone(), stored),
        None => Expectation::Absent(key.clone()),
    }
}

#[cfg(test)]
#[path = "outlines_tests.rs"]
mod tests;
