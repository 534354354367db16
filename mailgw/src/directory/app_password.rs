//! App passwords: made for one program of one person, told once, each withdrawn by itself. A person's own password need not stand
//! in a telephone.

use std::fmt;

use policies::mailbox::MailboxNumber;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Expectation};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::import::ToldPassword;
use super::login::Credential;
use super::password::ALPHABET;
use super::random::{NoRandomness, Random};
use super::shown::written;
use super::{ATTEMPTS, Account, Directory, DirectoryError, scram, still_open, today, unix_millis};
use super::operator::OperatorError;
use crate::record::app_password::{AppPassword, AppPasswords, MOST, MOST_NAMES, MOST_OF_ONE, NameKeys, Scope, ScramKeys};
use crate::record::certificate::Sealed;
use crate::record::event::{self, Event};
use crate::record::owner_notice::{Act, OwnerNotice};

/// Five groups of five symbols of five bits: 125 bits, and no password of a mailbox has that form.
const GROUP: usize = 5;
const SYMBOLS: usize = 25;
/// Characters of what an owner calls one.
const MAX_NAME: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppPasswordError {
    #[error("the name of an app password has 1 to {MAX_NAME} characters, none of them a control character; give one such as 手机")]
    Name,
    #[error("an app password opens something; name at least one of imap, smtp, pop3")]
    NoScope,
    #[error("mailbox {mailbox} has {MOST} app passwords already, or one person {MOST_OF_ONE}, as many as can be; withdraw one that is not used")]
    TooMany { mailbox: MailboxNumber },
    #[error("mailbox {mailbox} has no app password {number}; look at `mailgw mailbox app-password list {mailbox}`")]
    NotFound { mailbox: MailboxNumber, number: u32 },
}

/// What an owner calls an app password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPasswordName(String);

impl AppPasswordName {
    pub fn parse(text: &str) -> Result<Self, AppPasswordError> {
        let text = text.trim();
        let fits = (1..=MAX_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(AppPasswordError::Name) }
    }
}

/// What has the form of an app password, as it is written: in groups, in small letters. `Debug` shows nothing of it.
pub(super) struct AppSecret(Zeroizing<String>);

impl AppSecret {
    fn generate(random: &dyn Random) -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; SYMBOLS]);
        random.fill(&mut *bytes)?;
        // Five bits of each byte: every symbol is equally likely.
        let symbols = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31)).copied());
        Ok(Self::grouped(symbols))
    }

    /// As people type it: with or without its hyphens, with spaces, in capitals.
    pub fn parse(typed: &SecretString) -> Option<Self> {
        let typed = typed.expose_secret();
        // One that is longer has another form; looked at before anything is made of it.
        if typed.len() > 2 * SYMBOLS {
            return None;
        }
        let symbols = || typed.bytes().filter(|byte| !matches!(byte, b' ' | b'-')).map(|byte| byte.to_ascii_lowercase());
        (symbols().count() == SYMBOLS && symbols().all(|symbol| ALPHABET.contains(&symbol))).then(|| Self::grouped(symbols()))
    }

    fn grouped(symbols: impl Iterator<Item = u8>) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS + SYMBOLS / GROUP));
        for (place, symbol) in symbols.enumerate() {
            if place % GROUP == 0 && place > 0 {
                text.push('-');
            }
            text.push(char::from(symbol));
        }
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AppSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AppSecret(..)")
    }
}

/// One as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownAppPassword {
    pub number: u32,
    pub name: String,
    /// The operator whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<u32>,
    pub scopes: Vec<Scope>,
    /// RFC 3339.
    pub made_at: String,
    /// The day on which it was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
}

impl From<&AppPassword> for ShownAppPassword {
    fn from(kept: &AppPassword) -> Self {
        let last_used = kept.last_used.map(|day| day.to_string());
        Self { number: kept.number, name: kept.name.clone(), operator: kept.operator, scopes: kept.scopes.clone(), made_at: written(kept.made_at), last_used }
    }
}

impl Directory {
    /// Made for the owner, or an operator of an institution's mailbox, who is told it once.
    pub fn new_app_password(
        &self, number: MailboxNumber, operator: Option<u32>, name: &AppPasswordName, scopes: &[Scope], now: OffsetDateTime,
    ) -> Result<(ShownAppPassword, ToldPassword), DirectoryError> {
        let scopes: Vec<Scope> = std::collections::BTreeSet::from_iter(scopes.iter().copied()).into_iter().collect();
        if scopes.is_empty() {
            return Err(AppPasswordError::NoScope.into());
        }
        let secret = AppSecret::generate(&*self.random)?;
        let keys_by = |name: &str| scram::keys(secret.expose(), &scram::salt(name, &self.key));
        let keys = keys_by(&number.to_string());
        let aliases = self.get(number)?.map(|account| account.aliases).unwrap_or_default();
        let names = aliases.iter().take(MOST_NAMES).map(|alias| alias.to_string().to_lowercase());
        let by_name: Vec<NameKeys> = names.map(|name| NameKeys { keys: keys_by(&name), name }).collect();
        let made = self.change_app_passwords(number, |passwords| {
            // Nobody gets one who is ended at this moment.
            let still = match operator {
                Some(which) => self.still_operator(number, which)?.ok_or(OperatorError::NotFound { mailbox: number, operator: which })?,
                None => Vec::new(),
            };
            if passwords.kept.len() >= MOST || passwords.kept.iter().filter(|kept| kept.operator == operator).count() >= MOST_OF_ONE {
                return Err(AppPasswordError::TooMany { mailbox: number }.into());
            }
            passwords.made = passwords.made.saturating_add(1);
            let made = AppPassword { number: passwords.made, name: name.0.clone(), operator, scopes: scopes.clone(), keys, by_name: by_name.clone(), made_at: unix_millis(now), last_used: None };
            let mut batch = still.into_iter().fold(Batch::new(), Batch::expect);
            Event::AppPasswordMade(leaf(number, &made)).append(&mut batch, unix_millis(now))?;
            OwnerNotice::owe(&mut batch, number, Act::AppPasswordMade { number: made.number, operator, scopes: scopes.clone() }, unix_millis(now))?;
            passwords.kept.push(made.clone());
            Ok((batch, made))
        })?;
        Ok(((&made).into(), ToldPassword::from(SecretString::from(secret.expose()))))
    }

    pub fn app_passwords(&self, number: MailboxNumber) -> Result<Vec<ShownAppPassword>, DirectoryError> {
        self.get(number)?.ok_or(DirectoryError::NotFound)?;
        Ok(self.kept_app_passwords(number)?.1.kept.iter().map(Into::into).collect())
    }

    /// From its receipt on nobody logs in with it, and who did is logged out.
    pub fn withdraw_app_password(&self, number: MailboxNumber, which: u32, now: OffsetDateTime) -> Result<ShownAppPassword, DirectoryError> {
        let withdrawn = self.change_app_passwords(number, |passwords| {
            let at = passwords.kept.iter().position(|kept| kept.number == which);
            let gone = at.map(|at| passwords.kept.remove(at)).ok_or(AppPasswordError::NotFound { mailbox: number, number: which })?;
            let mut batch = Batch::new();
            Event::AppPasswordWithdrawn(leaf(number, &gone)).append(&mut batch, unix_millis(now))?;
            OwnerNotice::owe(&mut batch, number, Act::AppPasswordWithdrawn { number: which }, unix_millis(now))?;
            Ok((batch, gone))
        });
        self.end_logins_by(number, Credential::App(which));
        withdrawn.map(|gone| (&gone).into())
    }

    /// All of them withdrawn in this batch, each with its leaf of the log. Their numbers are never given again.
    pub(super) fn without_app_passwords(&self, number: MailboxNumber, mut batch: Batch, now: OffsetDateTime) -> Result<Batch, DirectoryError> {
        let place = AppPasswords::key(number);
        let (Some(stored), mut passwords) = self.kept_app_passwords(number)? else { return Ok(batch.expect(Expectation::Absent(place))) };
        for gone in passwords.kept.drain(..) {
            Event::AppPasswordWithdrawn(leaf(number, &gone)).append(&mut batch, unix_millis(now))?;
        }
        Ok(batch.expect(Expectation::Equals(place.clone(), stored)).put(place, passwords.seal(number, &self.key)?))
    }

    /// The one of a mailbox whose keys these are, and that is for `scope`. Every one is compared, whichever it is.
    pub(super) fn app_password_of(&self, number: MailboxNumber, keys: &ScramKeys, scope: Scope) -> Result<Option<AppPassword>, DirectoryError> {
        let (_, passwords) = self.kept_app_passwords(number)?;
        Ok(passwords.kept.into_iter().fold(None, |found, kept| {
            let same = scram::same(&kept.keys, keys) && kept.scopes.contains(&scope);
            if same { Some(kept) } else { found }
        }))
    }

    /// The one of `account` that was proved under `name`, and is for `scope`, with the keys of that name. As many are tried for everyone, whether somebody is there or not.
    pub(super) fn app_password_proved(&self, account: Option<&Account>, name: &str, exchange: &str, proof: &[u8; 32], scope: Scope) -> Result<Option<(AppPassword, ScramKeys)>, DirectoryError> {
        const NONE: ScramKeys = ScramKeys { stored: [0; 32], server: [0; 32] };
        let kept = match account {
            Some(account) => self.kept_app_passwords(account.number)?.1.kept,
            None => Vec::new(),
        };
        let is_number = account.is_some_and(|account| account.number.to_string() == name);
        let mut found = None;
        for place in 0..MOST {
            let one = kept.get(place).and_then(|one| Some((one, if is_number { &one.keys } else { one.keys_by(name)? })));
            let right = scram::proves(one.map_or(&NONE, |(_, keys)| keys), exchange, proof);
            found = one.filter(|(one, _)| right && one.scopes.contains(&scope)).or(found);
        }
        Ok(found.map(|(one, keys)| (one.clone(), *keys)))
    }

    /// Notes the day of a login, and the keys of the name it was by where they are new. It is for the owner to see which are not used any more: a login does not fail over it, and it is
    /// in no log, which would keep for ever when somebody read their mail.
    pub(super) fn app_password_used(&self, number: MailboxNumber, used: &AppPassword, named: Option<NameKeys>, now: OffsetDateTime) {
        let day = today(now);
        if used.last_used == Some(day) && named.is_none() {
            return;
        }
        let noted = self.kept_app_passwords(number).and_then(|(stored, mut passwords)| {
            let (Some(stored), Some(kept)) = (stored, passwords.kept.iter_mut().find(|kept| kept.number == used.number)) else { return Ok(()) };
            kept.last_used = Some(day);
            kept.by_name.extend(named.filter(|named| kept.by_name.len() < MOST_NAMES && kept.keys_by(&named.name).is_none()));
            let place = AppPasswords::key(number);
            let batch = Batch::new().expect(Expectation::Equals(place.clone(), stored)).put(place, passwords.seal(number, &self.key)?);
            match self.store.commit(batch) {
                // Another login noted it, or it was withdrawn.
                Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        });
        if let Err(error) = noted {
            tracing::warn!(%error, "the day on which an app password was used was not noted");
        }
    }

    /// The record as it stands, and what it holds.
    pub(super) fn kept_app_passwords(&self, number: MailboxNumber) -> Result<(Option<Vec<u8>>, AppPasswords), DirectoryError> {
        match self.store.get(&AppPasswords::key(number))? {
            Some(stored) => {
                let passwords = AppPasswords::open(number, &stored, &self.key)?;
                Ok((Some(stored), passwords))
            }
            None => Ok((None, AppPasswords::default())),
        }
    }

    /// Decides on them as they stand, of a mailbox that is open, and commits only if both still hold.
    fn change_app_passwords(
        &self, number: MailboxNumber, decide: impl Fn(&mut AppPasswords) -> Result<(Batch, AppPassword), DirectoryError>,
    ) -> Result<AppPassword, DirectoryError> {
        let place = AppPasswords::key(number);
        for _ in 0..ATTEMPTS {
            if !self.get(number)?.ok_or(DirectoryError::NotFound)?.is_open() {
                return Err(DirectoryError::Closed { mailbox: number });
            }
            let (stored, mut passwords) = self.kept_app_passwords(number)?;
            let (batch, changed) = decide(&mut passwords)?;
            let still = stored.map_or(Expectation::Absent(place.clone()), |stored| Expectation::Equals(place.clone(), stored));
            let batch = batch.expect(still_open(number)).expect(still).put(place.clone(), passwords.seal(number, &self.key)?);
            match self.store.commit(batch) {
                Err(CommitError::Conflict { .. }) => continue,
                done => done?,
            };
            return Ok(changed);
        }
        Err(DirectoryError::Busy)
    }
}

fn leaf(mailbox: MailboxNumber, one: &AppPassword) -> event::AppPassword {
    event::AppPassword { mailbox: mailbox.to_string(), number: one.number, operator: one.operator, scopes: one.scopes.iter().map(Scope::to_string).collect() }
}
