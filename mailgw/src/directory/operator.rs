//! The operators of an institution's mailbox: several persons work in one mailbox, each with passwords or a certificate of their own, and
//! what each sends is known to be theirs.

use policies::identity::PersonName;
use policies::mailbox::MailboxNumber;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;

use super::ended::Which;
use super::shown::written;
use super::{ATTEMPTS, Directory, DirectoryError, Holder, still_open, unix_millis};
use crate::record::app_password::AppPasswords;
use crate::record::certificate::Sealed as _;
use crate::record::event::{self, Event};
use crate::record::owner_notice::{Act, OwnerNotice};
use crate::record::operator::{self as record, By, MOST, MOST_EVER, Operator, Operators, Who, Word};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    #[error("mailbox {mailbox} is a citizen's, which has no operators; give an institution's")]
    NoInstitution { mailbox: MailboxNumber },
    #[error("an operator is a citizen with an open mailbox here, or a name of 1 to 60 characters; give one of them")]
    Nobody,
    #[error("who may name others signs for it, so give a citizen with a mailbox here")]
    FirstSigns,
    #[error("this citizen is operator {operator} of mailbox {mailbox} already")]
    Already { mailbox: MailboxNumber, operator: u32 },
    #[error("mailbox {mailbox} has {MOST} operators, or had {MOST_EVER}, as many as can be; end one who is not needed")]
    TooMany { mailbox: MailboxNumber },
    #[error("mailbox {mailbox} has no operator {operator} who stands; look at `mailgw mailbox operator list {mailbox}`")]
    NotFound { mailbox: MailboxNumber, operator: u32 },
    #[error("no operator of mailbox {mailbox} sent a message of this id; copy it from the `Received` field that names this host")]
    NotSent { mailbox: MailboxNumber },
    #[error("this order was carried out once; have another signed")]
    Spent,
    #[error("operator {operator} of mailbox {mailbox} orders nothing any more: ended, no first operator, or of a closed mailbox; have an officer or a first operator who stands sign")]
    NotEntitled { mailbox: MailboxNumber, operator: u32 },
}

/// Somebody who is to be an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Somebody {
    Citizen(MailboxNumber),
    Named(String),
}

/// An operator as an administrator sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownOperator {
    pub number: u32,
    /// Of a citizen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Masked.
    pub name: String,
    /// May name others.
    pub first: bool,
    /// Whether they log in now: a citizen's mailbox that was closed ends it, too.
    pub stands: bool,
    /// RFC 3339, and by whose word.
    pub named_at: String,
    pub named_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
}

/// By whose word something is done, and what was signed for it, which is good for once.
#[derive(Clone, Debug)]
pub struct Ordered {
    pub by: By,
    /// SHA-256, hexadecimal.
    pub request: String,
}

impl Ordered {
    fn word(&self, now: OffsetDateTime) -> Word {
        Word { at: unix_millis(now), by: self.by.clone(), request: self.request.clone() }
    }
}

impl Directory {
    /// From its receipt on they may have passwords, and log in by the certificate of their own mailbox.
    pub fn name_operator(&self, number: MailboxNumber, somebody: &Somebody, first: bool, ordered: &Ordered, now: OffsetDateTime) -> Result<ShownOperator, DirectoryError> {
        let (who, person) = match somebody {
            Somebody::Citizen(citizen) => {
                let known = self.get(*citizen)?.filter(|account| account.is_open() && account.person().is_some());
                (Who::Citizen(known.ok_or(OperatorError::Nobody)?.mailbox()), Some(*citizen))
            }
            Somebody::Named(_) if first => return Err(OperatorError::FirstSigns.into()),
            Somebody::Named(name) => (Who::Named(PersonName::parse(name).map_err(|_| OperatorError::Nobody)?.expose().to_owned()), None),
        };
        let named = self.change_operators(number, ordered, |operators| {
            if let Some(known) = operators.standing().find(|operator| person.is_some() && operator.citizen() == person) {
                return Err(OperatorError::Already { mailbox: number, operator: known.number }.into());
            }
            if operators.standing().count() >= MOST || operators.all.len() >= MOST_EVER {
                return Err(OperatorError::TooMany { mailbox: number }.into());
            }
            let operator = Operator { number: u32::try_from(operators.all.len()).unwrap_or(u32::MAX).saturating_add(1), who: who.clone(), first, named: ordered.word(now), ended: None };
            let mut batch = Batch::new();
            if let Some(citizen) = person {
                // Still open when this is durable.
                batch = batch.expect(still_open(citizen)).put(record::of_key(citizen, number), record::encode_sent(operator.number));
            }
            let told = event::MailboxOperator { mailbox: number.to_string(), operator: operator.number, citizen: person.map(|citizen| citizen.to_string()), by: ordered.by.to_string(), request: ordered.request.clone() };
            Event::OperatorNamed(told).append(&mut batch, unix_millis(now))?;
            OwnerNotice::owe(&mut batch, number, Act::OperatorNamed { operator: operator.number }, unix_millis(now))?;
            operators.all.push(operator.clone());
            Ok((batch, operator))
        })?;
        self.shown_operator(&named)
    }

    /// From its receipt on they log in no more, by whatever it was, and who did is logged out.
    pub fn end_operator(&self, number: MailboxNumber, which: u32, ordered: &Ordered, now: OffsetDateTime) -> Result<ShownOperator, DirectoryError> {
        let place = AppPasswords::key(number);
        let ended = self.change_operators(number, ordered, |operators| {
            let standing = operators.all.iter_mut().find(|operator| operator.number == which && operator.ended.is_none());
            let operator = standing.ok_or(OperatorError::NotFound { mailbox: number, operator: which })?;
            operator.ended = Some(ordered.word(now));
            // Their passwords go in the same commit.
            let (stored, mut passwords) = self.kept_app_passwords(number)?;
            let gone: Vec<u32> = passwords.kept.iter().filter(|kept| kept.operator == Some(which)).map(|kept| kept.number).collect();
            let mut batch = match stored {
                Some(stored) => {
                    passwords.kept.retain(|kept| kept.operator != Some(which));
                    Batch::new().expect(Expectation::Equals(place.clone(), stored)).put(place.clone(), passwords.seal(number, &self.key)?)
                }
                None => Batch::new().expect(Expectation::Absent(place.clone())),
            };
            let told = event::MailboxOperator { mailbox: number.to_string(), operator: which, citizen: operator.citizen().map(|citizen| citizen.to_string()), by: ordered.by.to_string(), request: ordered.request.clone() };
            Event::OperatorEnded(told).append(&mut batch, unix_millis(now))?;
            OwnerNotice::owe(&mut batch, number, Act::OperatorEnded { operator: which, app_passwords: gone }, unix_millis(now))?;
            Ok((batch, operator.clone()))
        });
        // Said whether or not it is known to be durable: a session too many that ends does no harm.
        self.end_logins_of(number, Which::Operator(which));
        self.shown_operator(&ended?)
    }

    /// Every one who ever was, in the order of their numbers.
    pub fn operators(&self, number: MailboxNumber) -> Result<Vec<ShownOperator>, DirectoryError> {
        self.kept_operators(number)?.1.all.iter().map(|operator| self.shown_operator(operator)).collect()
    }

    /// When one was named, Unix milliseconds.
    pub fn operator_named_at(&self, number: MailboxNumber, which: u32) -> Result<u64, DirectoryError> {
        let (_, operators) = self.kept_operators(number)?;
        let named_at = operators.find(which).map(|operator| operator.named.at);
        Ok(named_at.ok_or(OperatorError::NotFound { mailbox: number, operator: which })?)
    }

    /// The number under which a citizen is an operator of an institution's mailbox now.
    pub fn operator_of(&self, institution: MailboxNumber, citizen: MailboxNumber) -> Result<Option<(u32, bool)>, DirectoryError> {
        let (_, operators) = self.kept_operators(institution)?;
        let found = operators.standing().find(|operator| operator.citizen() == Some(citizen)).map(|operator| (operator.number, operator.first));
        match found {
            Some(found) if self.is_open(citizen)? => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// Whether this operator may log in: not ended, and of a citizen whose mailbox is open where it is a citizen.
    pub fn operator_stands(&self, number: MailboxNumber, which: u32) -> Result<bool, DirectoryError> {
        let (_, operators) = self.kept_operators(number)?;
        operators.find(which).map_or(Ok(false), |operator| self.stands(operator))
    }

    /// What a commit expects that rests on this operator: that nobody is named or ended meanwhile, and that the citizen's mailbox stays
    /// open. `None`: they do not stand now.
    pub fn still_operator(&self, number: MailboxNumber, which: u32) -> Result<Option<Vec<Expectation>>, DirectoryError> {
        let (Some(stored), operators) = self.kept_operators(number)? else { return Ok(None) };
        let Some(operator) = operators.find(which) else { return Ok(None) };
        if !self.stands(operator)? {
            return Ok(None);
        }
        let of_record = Expectation::Equals(Operators::key(number), stored);
        Ok(Some(operator.citizen().map(still_open).into_iter().chain([of_record]).collect()))
    }

    /// Which operator sent the message of this id.
    pub fn operator_who_sent(&self, number: MailboxNumber, id: &str) -> Result<ShownOperator, DirectoryError> {
        let sent = self.store.get(&record::sent_key(number, id.trim()))?.ok_or(OperatorError::NotSent { mailbox: number })?;
        let which = record::decode_sent(&sent)?;
        let (_, operators) = self.kept_operators(number)?;
        self.shown_operator(operators.find(which).ok_or(OperatorError::NotFound { mailbox: number, operator: which })?)
    }

    /// A citizen's mailbox is closed: wherever they are an operator they are logged out.
    pub(super) fn end_logins_as_operator(&self, citizen: MailboxNumber) -> Result<(), DirectoryError> {
        let (from, to) = record::of_range(citizen);
        for (key, which) in self.store.scan(&from, &to, usize::MAX)? {
            self.end_logins_of(record::institution(citizen, &key)?, Which::Operator(record::decode_sent(&which)?));
        }
        Ok(())
    }

    fn stands(&self, operator: &Operator) -> Result<bool, DirectoryError> {
        match (&operator.ended, &operator.who) {
            (Some(_), _) => Ok(false),
            (None, Who::Named(_)) => Ok(true),
            (None, Who::Citizen(_)) => operator.citizen().map_or(Ok(false), |citizen| self.is_open(citizen)),
        }
    }

    fn is_open(&self, number: MailboxNumber) -> Result<bool, DirectoryError> {
        Ok(self.store.get(&crate::record::account::open_mark(number))?.is_some())
    }

    fn shown_operator(&self, operator: &Operator) -> Result<ShownOperator, DirectoryError> {
        let citizen = operator.citizen().map(|number| self.get(number)).transpose()?.flatten();
        let name = match (&operator.who, &citizen) {
            (Who::Named(name), _) => PersonName::parse(name).map(|name| name.masked()).unwrap_or_default(),
            (Who::Citizen(_), account) => account.as_ref().and_then(|account| account.person()).map(PersonName::masked).unwrap_or_default(),
        };
        Ok(ShownOperator {
            number: operator.number,
            address: citizen.map(|account| self.address(account.number)),
            name,
            first: operator.first,
            stands: self.stands(operator)?,
            named_at: written(operator.named.at),
            named_by: operator.named.by.to_string(),
            ended_at: operator.ended.as_ref().map(|word| written(word.at)),
            ended_by: operator.ended.as_ref().map(|word| word.by.to_string()),
        })
    }

    /// The record as it stands, and what it holds.
    pub(super) fn kept_operators(&self, number: MailboxNumber) -> Result<(Option<Vec<u8>>, Operators), DirectoryError> {
        let stored = self.store.get(&Operators::key(number))?;
        let operators = record::open(number, stored.as_deref(), &self.key)?;
        Ok((stored, operators))
    }

    /// What the commit of an order expects of the operator whose word it is: that they stand, may name others, and are a citizen whose
    /// mailbox is open. That their signature held was judged before, of what stood then.
    fn entitled(&self, number: MailboxNumber, operators: &Operators, by: u32) -> Result<Expectation, DirectoryError> {
        let signer = operators.find(by).filter(|operator| operator.first);
        match signer.and_then(Operator::citizen) {
            Some(citizen) if signer.map_or(Ok(false), |signer| self.stands(signer))? => Ok(still_open(citizen)),
            _ => Err(OperatorError::NotEntitled { mailbox: number, operator: by }.into()),
        }
    }

    /// Decides on them as they stand, of an institution's mailbox that is open, and commits only if both still hold, whoever ordered it
    /// still may, and the order was not carried out before.
    fn change_operators(
        &self, number: MailboxNumber, ordered: &Ordered, decide: impl Fn(&mut Operators) -> Result<(Batch, Operator), DirectoryError>,
    ) -> Result<Operator, DirectoryError> {
        let (place, spent) = (Operators::key(number), record::spent_key(&ordered.request));
        for _ in 0..ATTEMPTS {
            let account = self.get(number)?.ok_or(DirectoryError::NotFound)?;
            if !account.is_open() {
                return Err(DirectoryError::Closed { mailbox: number });
            }
            if !matches!(account.holder, Holder::Institution { .. }) {
                return Err(OperatorError::NoInstitution { mailbox: number }.into());
            }
            // What is signed is good for once; words at the counter are said as often as they are needed.
            let is_signed = ordered.by != By::Counter;
            if is_signed && self.store.get(&spent)?.is_some() {
                return Err(OperatorError::Spent.into());
            }
            let (stored, mut operators) = self.kept_operators(number)?;
            let entitled = if let By::Operator(by) = ordered.by { Some(self.entitled(number, &operators, by)?) } else { None };
            let (mut batch, changed) = decide(&mut operators)?;
            batch = entitled.into_iter().fold(batch, Batch::expect);
            if is_signed {
                batch = batch.expect(Expectation::Absent(spent.clone())).put(spent.clone(), record::spent());
            }
            let still = stored.map_or(Expectation::Absent(place.clone()), |stored| Expectation::Equals(place.clone(), stored));
            match self.store.commit(batch.expect(still_open(number)).expect(still).put(place.clone(), operators.seal(number, &self.key)?)) {
                Err(CommitError::Conflict { .. }) => continue,
                done => done?,
            };
            return Ok(changed);
        }
        Err(DirectoryError::Busy)
    }
}
