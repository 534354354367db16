//! Where an owner wishes to be told: named by the owner, proved by a code that is sent there, withdrawn at any time.

use policies::mailbox::{NotificationPolicy, Phone};
use protocol::smtp::exchange::{Address, Host};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use super::collect::OF_ONE;
use super::{ATTEMPTS, NotificationError, going, moment, place_event, put, today};
use crate::directory::still_open;
use crate::gateway::Gateway;
use crate::record::account::Account;
use crate::record::body::BodyId;
use crate::record::notification::{Arrived, Channel, Confirmed, Counted, Pending, Place, Places, Says, Wish};
use crate::record::owner_notice::{Act, OwnerNotice};

/// What is counted of codes: for a mailbox, and to a place.
const FOR_MAILBOX: &str = "codes for mailbox";
const TO_PLACE: &str = "codes to place";

/// What the owner says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// A phone's number, or a mail address: a code is sent there.
    Name { channel: Channel, address: String },
    /// The code that came there.
    Confirm { code: String },
    /// Nothing is told any more, by this way or by any.
    Withdraw { channel: Option<Channel> },
    /// Of ordinary mail too, or of what bureaus push alone.
    EveryMail { on: bool },
}

/// Whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Under the owner's own login.
    Owner,
    /// Of what it changes the owner is told, and each place that it ends for the last time: whoever could silence them alone could do
    /// whatever is told there unheard.
    Counter,
}

impl std::fmt::Debug for Word {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Word(..)")
    }
}

/// Where notices of a mailbox go, as its owner recognises it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub address: String,
    pub places: Vec<ShownPlace>,
    pub every_mail: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownPlace {
    pub channel: Channel,
    pub masked: String,
    /// `confirmed`, or `code-sent`.
    pub state: String,
    /// Since when, or until when the code is good.
    pub unix_millis: u64,
}

/// What a word comes to: a commit, mails that are due once it stands, and the answer.
pub(super) struct Decided {
    pub batch: Batch,
    pub mails: Vec<BodyId>,
    pub answer: Result<Shown, NotificationError>,
}

/// What is said at the counter: 1 the mailbox is open · 2 what is to be done, and what is answered · 3 durable, with its leaf of the log: a
/// wrong code too, since tries are counted. Without a word what holds is shown.
pub fn say(gateway: &Gateway, mailbox: &str, word: Option<&Word>) -> Result<Shown, NotificationError> {
    for _ in 0..ATTEMPTS {
        // 1
        let unknown = || NotificationError::NoMailbox { mailbox: mailbox.chars().take(80).collect() };
        let account = gateway.directory.find(mailbox)?.filter(Account::is_open).ok_or_else(unknown)?;
        let Some(word) = word else {
            let (places, _) = Places::known(&*gateway.store, &account.mailbox(), &gateway.directory_key)?;
            return Ok(shown(gateway, &account, &places));
        };
        // 2
        let Decided { batch, mails, answer } = decide(gateway, &account, word, By::Counter, Batch::new())?;
        // 3
        match gateway.store.commit(batch.expect(still_open(account.number))) {
            Err(CommitError::Conflict { .. }) => {}
            done => {
                done?;
                mails.into_iter().for_each(|id| gateway.queue.accepted(id));
                return answer;
            }
        }
    }
    Err(NotificationError::Busy)
}

/// Into `batch`, which stands or falls with it.
pub(super) fn decide(gateway: &Gateway, account: &Account, word: &Word, by: By, batch: Batch) -> Result<Decided, NotificationError> {
    let mailbox = account.mailbox();
    let (places, stored) = Places::known(&*gateway.store, &mailbox, &gateway.directory_key)?;
    let key = Places::key(&mailbox);
    let batch = batch.expect(stored.map_or_else(|| Expectation::Absent(key.clone()), |stored| Expectation::Equals(key.clone(), stored)));
    let case = Case { gateway, account, by, mailbox, before: places.confirmed.clone(), places };
    match word {
        Word::Name { channel, address } => match place(gateway, *channel, address) {
            Ok(place) => case.name(place, batch),
            Err(error) => Ok(refused(batch, error)),
        },
        Word::Confirm { code } => case.confirm(code, batch),
        Word::Withdraw { channel } => case.withdraw(*channel, batch),
        Word::EveryMail { on } => case.every_mail(*on, batch),
    }
}

pub(super) fn refused(batch: Batch, error: NotificationError) -> Decided {
    Decided { batch, mails: Vec::new(), answer: Err(error) }
}

/// A place as it is called, of a way that is offered here, and not one of our own mailboxes: a notice of a notice would have no end.
fn place(gateway: &Gateway, channel: Channel, text: &str) -> Result<Place, NotificationError> {
    match channel {
        Channel::Text if !gateway.notifications.offers(channel) => Err(NotificationError::NoTexts),
        Channel::Mail if !gateway.notifications.offers(channel) => Err(NotificationError::NoMail),
        Channel::Text => Ok(Place { channel, address: Phone::parse(text)?.expose() }),
        Channel::Mail => {
            let address = Address::parse(text.trim()).map_err(|_| NotificationError::Address)?;
            let elsewhere = matches!(address.host(), Host::Name(name) if !name.as_str().eq_ignore_ascii_case(&gateway.settings.domain) && !name.as_str().eq_ignore_ascii_case(&gateway.settings.host));
            if elsewhere { Ok(Place { channel, address: address.as_str().to_owned() }) } else { Err(NotificationError::Address) }
        }
    }
}

/// A mailbox, and what stood there when its owner said something.
struct Case<'a> {
    gateway: &'a Gateway,
    account: &'a Account,
    by: By,
    mailbox: String,
    /// Where its owner was told.
    before: Vec<Confirmed>,
    places: Places,
}

impl Case<'_> {
    fn policy(&self) -> &NotificationPolicy {
        self.gateway.directory.policy().notifications()
    }

    fn name(mut self, place: Place, batch: Batch) -> Result<Decided, NotificationError> {
        if self.places.confirmed.iter().any(|confirmed| confirmed.place == place) {
            return self.answered(batch);
        }
        let ((now, at), most) = (moment(self.gateway), self.policy().codes_per_day);
        let Some(batch) = self.counted(batch.clone(), &place, at)? else { return Ok(refused(batch, NotificationError::TooManyCodes { most })) };
        let code = self.gateway.notifications.code()?;
        self.places.pending = Some(Pending { place: place.clone(), code: self.code_digest(&code), until_unix_millis: now.saturating_add(self.policy().code_lasts()), tries: 0 });
        let (batch, mail) = put(self.gateway, batch, &going(&self.mailbox, &place, Says::Code(code), Vec::new(), now), at)?;
        let mut decided = self.written(batch, &[(place, "asked")], now)?;
        decided.mails.extend(mail);
        Ok(decided)
    }

    /// One more code of this mailbox and to this place today; none where that is too much.
    fn counted(&self, mut batch: Batch, place: &Place, at: OffsetDateTime) -> Result<Option<Batch>, NotificationError> {
        for (what, whom) in [(FOR_MAILBOX, self.mailbox.clone()), (TO_PLACE, place.digest(&self.gateway.directory_key))] {
            let key = Counted::key(what, &whom);
            let stored = self.gateway.store.get(&key)?;
            let counted = Counted::with(stored.as_deref(), &today(at))?;
            if counted.count > self.policy().codes_per_day {
                return Ok(None);
            }
            let before = stored.map_or_else(|| Expectation::Absent(key.clone()), |stored| Expectation::Equals(key.clone(), stored));
            batch = batch.expect(before).put(key, counted.encode()?);
        }
        Ok(Some(batch))
    }

    fn confirm(mut self, code: &str, batch: Batch) -> Result<Decided, NotificationError> {
        let (now, tries) = (moment(self.gateway).0, self.policy().code_tries);
        let Some(mut pending) = self.places.pending.take() else { return Ok(refused(batch, NotificationError::NoCode)) };
        if now >= pending.until_unix_millis {
            return self.failed(batch, NotificationError::CodeOver);
        }
        if self.code_digest(code.trim()) != pending.code {
            pending.tries += 1;
            let left = tries.saturating_sub(pending.tries);
            if left == 0 {
                return self.failed(batch, NotificationError::CodeOver);
            }
            self.places.pending = Some(pending);
            return self.failed(batch, NotificationError::WrongCode { left });
        }
        let place = pending.place;
        // Another of the same way is told nothing any more.
        let mut changed: Vec<(Place, &str)> = Vec::new();
        self.places.confirmed.retain(|confirmed| {
            let stays = confirmed.place.channel != place.channel;
            if !stays {
                changed.push((confirmed.place.clone(), "withdrawn"));
            }
            stays
        });
        self.places.confirmed.push(Confirmed { place: place.clone(), since_unix_millis: now });
        changed.push((place, "confirmed"));
        self.gateway.notifications.somebody();
        self.written(batch, &changed, now)
    }

    fn withdraw(mut self, channel: Option<Channel>, batch: Batch) -> Result<Decided, NotificationError> {
        let goes = |place: &Place| channel.is_none_or(|channel| place.channel == channel);
        let confirmed = std::mem::take(&mut self.places.confirmed);
        let (gone, kept): (Vec<_>, Vec<_>) = confirmed.into_iter().partition(|confirmed| goes(&confirmed.place));
        self.places.confirmed = kept;
        let mut changed: Vec<(Place, &str)> = gone.into_iter().map(|confirmed| (confirmed.place, "withdrawn")).collect();
        if let Some(pending) = self.places.pending.take_if(|pending| goes(&pending.place)) {
            changed.push((pending.place, "withdrawn"));
        }
        if changed.is_empty() {
            return Ok(refused(batch, NotificationError::NotEnrolled));
        }
        let now = moment(self.gateway).0;
        self.written(batch, &changed, now)
    }

    fn every_mail(mut self, on: bool, batch: Batch) -> Result<Decided, NotificationError> {
        if self.places.is_empty() {
            return Ok(refused(batch, NotificationError::NotEnrolled));
        }
        if self.places.every_mail == on {
            return self.answered(batch);
        }
        self.places.every_mail = on;
        let changed: Vec<(Place, &str)> = self.places.confirmed.iter().map(|confirmed| (confirmed.place.clone(), "confirmed")).collect();
        let now = moment(self.gateway).0;
        self.written(batch, &changed, now)
    }

    fn answered(self, batch: Batch) -> Result<Decided, NotificationError> {
        let answer = Ok(shown(self.gateway, self.account, &self.places));
        Ok(Decided { batch, mails: Vec::new(), answer })
    }

    /// What stands there changes, and the answer is a refusal.
    fn failed(self, batch: Batch, error: NotificationError) -> Result<Decided, NotificationError> {
        let now = moment(self.gateway).0;
        let decided = self.written(batch, &[], now)?;
        Ok(Decided { answer: Err(error), ..decided })
    }

    fn written(self, batch: Batch, changed: &[(Place, &str)], now: u64) -> Result<Decided, NotificationError> {
        let (key, wish) = (Places::key(&self.mailbox), Wish::key(&self.mailbox));
        let batch = if self.places.is_empty() { batch.delete(key) } else { batch.put(key, self.places.seal(&self.mailbox, &self.gateway.directory_key)?) };
        let mut batch = match self.places.wish() {
            Some(wished) => batch.put(wish, wished.encode()),
            None => batch.delete(wish),
        };
        for (place, state) in changed {
            place_event(self.gateway, &self.mailbox, place, state, self.places.every_mail).append(&mut batch, now)?;
        }
        let (batch, mails) = if self.by == By::Counter { self.owner_hears(batch, now)? } else { (batch, Vec::new()) };
        Ok(Decided { mails, ..self.answered(batch)? })
    }

    /// In the commit of the change itself: the owner's mailbox is told of it, and each place that ends is told so, with all that waited to be
    /// told there, since nobody else will.
    fn owner_hears(&self, mut batch: Batch, now: u64) -> Result<(Batch, Vec<BodyId>), NotificationError> {
        let without = |these: &[Confirmed], those: &[Confirmed]| these.iter().map(|one| one.place.clone()).filter(|place| those.iter().all(|other| other.place != *place)).collect();
        let (ended, told): (Vec<Place>, Vec<Place>) = (without(&self.before, &self.places.confirmed), without(&self.places.confirmed, &self.before));
        if ended.is_empty() && told.is_empty() {
            return Ok((batch, Vec::new()));
        }
        let channels = |places: &[Place]| places.iter().map(|place| place.channel).collect();
        OwnerNotice::owe(&mut batch, self.account.number, Act::PlacesChanged { told: channels(&told), ended: channels(&ended) }, now)?;
        let (from, to) = Arrived::of_mailbox(&self.mailbox);
        let waited: Vec<Arrived> = self.gateway.store.scan(&from, &to, OF_ONE)?.iter().map(|(_, bytes)| Arrived::decode(bytes)).collect::<Result<_, _>>()?;
        let (mut mails, at) = (Vec::new(), self.gateway.clock.now());
        for place in &ended {
            let (with, mail) = put(self.gateway, batch, &going(&self.mailbox, place, Says::Ended, waited.clone(), now), at)?;
            (batch, _) = (with, mails.extend(mail));
        }
        Ok((batch, mails))
    }

    fn code_digest(&self, code: &str) -> String {
        crate::hex(&self.gateway.directory_key.index("notification code", format!("{}:{code}", self.mailbox).as_bytes()))
    }
}

pub(super) fn shown(gateway: &Gateway, account: &Account, places: &Places) -> Shown {
    let confirmed = places.confirmed.iter().map(|one| (&one.place, "confirmed", one.since_unix_millis));
    let pending = places.pending.iter().map(|one| (&one.place, "code-sent", one.until_unix_millis));
    let places_shown = confirmed.chain(pending).map(|(place, state, unix_millis)| ShownPlace { channel: place.channel, masked: place.masked(), state: state.to_owned(), unix_millis });
    Shown { address: gateway.directory.address(account.number), places: places_shown.collect(), every_mail: places.every_mail }
}
