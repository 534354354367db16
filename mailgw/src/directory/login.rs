//! Who is it: a user and a password become an account, or a refusal that tells nothing of what there is.

use std::net::IpAddr;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use policies::mailbox::{Address, Alias, MailboxNumber};
use runtime::rate::network;
use secrecy::SecretString;
use time::OffsetDateTime;

use super::app_password::AppSecret;
use super::password::HashError;
use super::random::NoRandomness;
use super::scram::{self, Salt};
use super::{Directory, DirectoryError, Scope, unix_millis};
use crate::record::account::Account;
use crate::record::app_password::NameKeys;

/// Whose failures are counted: the digest of a name, whether a mailbox has it or none. The names of one mailbox are counted each
/// apart, as those of none are: otherwise the waits would tell strangers which names belong together. Those from a network where
/// the mailbox was opened lately are counted apart: a stranger who guesses must not keep the owner out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Acquainted(MailboxNumber, IpAddr),
    Written([u8; 32]),
}

#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// One answer for a wrong password, an unknown user and a closed mailbox. The next try is heard after `wait`.
    #[error("the user or the password is wrong; type both again")]
    Credentials { wait: Duration },
    /// Not looked at, right or wrong.
    #[error("too many logins failed; try again in {} seconds", wait.as_secs().max(1))]
    Later { wait: Duration },
    #[error("too many logins at this moment; try again in a few seconds")]
    Busy,
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// By what somebody logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The mailbox's own password.
    Password,
    /// The app password of this number.
    App(u32),
    /// A certificate, by its SHA-256.
    Certificate([u8; 32]),
    /// A provider's token, by its SHA-256.
    Token([u8; 32]),
}

/// Who logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub account: Account,
    pub credential: Credential,
    /// The operator of an institution's mailbox who it is.
    pub operator: Option<u32>,
}

/// One try, counted as a failure until it is known to be none.
struct Attempt {
    number: Option<MailboxNumber>,
    peer: IpAddr,
    counted: Counted,
}

/// How a try counts against its name.
enum Counted {
    /// As one of a few that are free, with the wait that follows its failure.
    Reserved(Name, Duration),
    /// As that of a network that is not known to guess, while others guess.
    Stranger([u8; 32], Duration),
    /// Not at all: the name has to wait, and what nobody can guess is heard alone, which app passwords are.
    Unguessable(Duration),
}

impl Directory {
    /// `user` is a number, a name, or an address of either. Counts against the user and against `peer`.
    pub fn authenticate(&self, user: &str, secret: &SecretString, scope: Scope, peer: IpAddr, now: OffsetDateTime) -> Result<Login, Refusal> {
        let attempt = self.attempt(user, peer, true, now)?;
        let verdict = match attempt.counted {
            Counted::Unguessable(wait) => match AppSecret::parse(secret) {
                Some(secret) => self.app_password_verdict(user, attempt.number, &secret, scope, now),
                None => return Err(Refusal::Later { wait }),
            },
            _ => self.verdict(user, attempt.number, secret, scope, now),
        };
        self.settle(attempt, verdict, now)
    }

    /// What a client that logs in by SCRAM is told of `user`: a salt, whoever that is.
    pub fn scram_salt(&self, user: &str) -> Salt {
        scram::salt(&self.plain(user), &self.key)
    }

    /// Random and printable, for one exchange of SCRAM.
    pub fn nonce(&self) -> Result<String, NoRandomness> {
        let mut bytes = [0; 18];
        self.random.fill(&mut bytes)?;
        Ok(STANDARD.encode(bytes))
    }

    /// As `authenticate`, by a proof of an app password over `exchange`. With it comes the proof that we know it, too.
    pub fn prove(
        &self, user: &str, exchange: &str, proof: &[u8; 32], scope: Scope, peer: IpAddr, now: OffsetDateTime,
    ) -> Result<(Login, [u8; 32]), Refusal> {
        let attempt = self.attempt(user, peer, false, now)?;
        let mut signature = [0; 32];
        let verdict = self.open_account(attempt.number).and_then(|account| {
            let Some((used, keys)) = self.app_password_proved(account.as_ref(), &self.plain(user), exchange, proof, scope)? else { return Ok(None) };
            if let (Some(account), Some(operator)) = (&account, used.operator)
                && !self.operator_stands(account.number, operator)?
            {
                return Ok(None);
            }
            signature = scram::server_signature(&keys, exchange);
            Ok(account.map(|account| {
                self.app_password_used(account.number, &used, None, now);
                Login { account, credential: Credential::App(used.number), operator: used.operator }
            }))
        });
        self.settle(attempt, verdict.map_err(Refusal::Directory), now).map(|login| (login, signature))
    }

    fn open_account(&self, number: Option<MailboxNumber>) -> Result<Option<Account>, DirectoryError> {
        let found = number.map(|number| self.get(number)).transpose()?.flatten();
        Ok(found.filter(Account::is_open))
    }

    /// Whether one may be heard who names nobody: by the failures of `peer` alone.
    pub fn may_try(&self, peer: IpAddr, now: OffsetDateTime) -> Result<(), Refusal> {
        let wait = self.failures().peers.wait(&network(peer), millis(now));
        if wait.is_zero() { Ok(()) } else { Err(Refusal::Later { wait }) }
    }

    pub fn tried_in_vain(&self, peer: IpAddr, now: OffsetDateTime) {
        self.failures().peers.fail(&network(peer), millis(now));
    }

    /// `guessable`: a password that somebody may have chosen could be meant.
    fn attempt(&self, user: &str, peer: IpAddr, guessable: bool, now: OffsetDateTime) -> Result<Attempt, Refusal> {
        let now = millis(now);
        let number = self.named(user)?;
        let peer = network(peer);
        let mut failures = self.failures();
        let name = match number {
            Some(number) if failures.acquainted.holds(number, peer, now) => Name::Acquainted(number, peer),
            _ => Name::Written(digest(&self.plain(user))),
        };
        let (of_name, of_peer) = (failures.accounts.wait(&name, now), failures.peers.wait(&peer, now));
        if !of_peer.is_zero() {
            return Err(Refusal::Later { wait: of_name.max(of_peer) });
        }
        let counted = match (of_name.is_zero(), &name) {
            (false, Name::Written(digest)) if guessable && failures.strangers.admits(*digest, peer, now) => Counted::Stranger(*digest, of_name),
            (false, _) => Counted::Unguessable(of_name),
            (true, _) => {
                // Counted before the hash is made, so that a thousand guesses at once are a thousand failures.
                let wait = failures.accounts.fail(&name, now);
                Counted::Reserved(name, wait)
            }
        };
        Ok(Attempt { number, peer, counted })
    }

    fn settle(&self, attempt: Attempt, verdict: Result<Option<Login>, Refusal>, now: OffsetDateTime) -> Result<Login, Refusal> {
        let (Attempt { peer, counted, .. }, now) = (attempt, millis(now));
        let mut failures = self.failures();
        match verdict {
            Ok(Some(login)) => {
                // Where others guess, theirs stay counted.
                match counted {
                    Counted::Reserved(name, _) => {
                        failures.accounts.clear(&name);
                        if let Name::Written(digest) = name {
                            failures.strangers.forget(digest, peer);
                        }
                    }
                    Counted::Stranger(digest, _) => failures.strangers.forget(digest, peer),
                    Counted::Unguessable(_) => {}
                }
                failures.acquainted.remember(login.account.number, peer, now);
                Ok(login)
            }
            Ok(None) => {
                let of_peer = failures.peers.fail(&peer, now);
                if let Counted::Reserved(Name::Written(digest), _) = &counted {
                    failures.strangers.note(*digest, peer, now);
                }
                Err(match counted {
                    Counted::Reserved(_, wait) | Counted::Stranger(_, wait) => Refusal::Credentials { wait: wait.max(of_peer) },
                    // As one that was not looked at.
                    Counted::Unguessable(wait) => Refusal::Later { wait: wait.max(of_peer) },
                })
            }
            Err(refusal) => {
                // A fault of ours is nobody's.
                match counted {
                    Counted::Reserved(name, _) => failures.accounts.forgive(&name),
                    Counted::Stranger(digest, _) => failures.strangers.forget(digest, peer),
                    Counted::Unguessable(_) => {}
                }
                Err(refusal)
            }
        }
    }

    /// A user without what may be written in several ways: the domain of our addresses, and case.
    fn plain(&self, user: &str) -> String {
        let user = user.trim();
        let local = match Address::parse(user, &self.domain) {
            Ok(address) => Some(address.local().to_string()),
            Err(_) => MailboxNumber::parse(user).map(|number| number.to_string()).or_else(|_| Alias::parse(user).map(|alias| alias.to_string())).ok(),
        };
        local.unwrap_or_else(|| user.to_owned()).to_lowercase()
    }

    /// The open account one of whose app passwords this is. It costs the same for everyone: its keys are made whether somebody is there or not.
    fn app_password_verdict(&self, user: &str, number: Option<MailboxNumber>, secret: &AppSecret, scope: Scope, now: OffsetDateTime) -> Result<Option<Login>, Refusal> {
        let plain = self.plain(user);
        let by_number = number.map_or_else(|| plain.clone(), |number| number.to_string());
        let keys = scram::keys(secret.expose(), &scram::salt(&by_number, &self.key));
        let Some(account) = self.open_account(number)? else { return Ok(None) };
        let Some(used) = self.app_password_of(account.number, &keys, scope)? else { return Ok(None) };
        if !used.operator.map_or(Ok(true), |operator| self.operator_stands(account.number, operator))? {
            return Ok(None);
        }
        // By a name that came to the mailbox after the password, which from here on can be proved under it, too.
        let named = (plain != by_number && used.keys_by(&plain).is_none()).then(|| NameKeys { keys: scram::keys(secret.expose(), &scram::salt(&plain, &self.key)), name: plain });
        self.app_password_used(account.number, &used, named, now);
        Ok(Some(Login { account, credential: Credential::App(used.number), operator: used.operator }))
    }

    /// The open account whose password this is, or one of whose app passwords.
    fn verdict(&self, user: &str, number: Option<MailboxNumber>, secret: &SecretString, scope: Scope, now: OffsetDateTime) -> Result<Option<Login>, Refusal> {
        if let Some(app) = AppSecret::parse(secret)
            && let Some(login) = self.app_password_verdict(user, number, &app, scope, now)?
        {
            return Ok(Some(login));
        }
        let found = number.map(|number| self.read(number)).transpose()?.flatten();
        let found = found.filter(|(account, _, _)| account.is_open());
        let (verifier, now) = (found.as_ref().map(|(_, verifier, _)| verifier), millis(now));
        let credential = Credential::Password;
        if let Some((account, verifier, _)) = &found
            && self.recent().holds(&account.mailbox(), verifier, secret, now)
        {
            return Ok(found.map(|(account, _, _)| Login { account, credential, operator: None }));
        }
        let right = self.hasher.verify(verifier, secret).map_err(|error| match error {
            HashError::Busy => Refusal::Busy,
            other => Refusal::Directory(other.into()),
        })?;
        let Some((account, verifier, _)) = found.filter(|_| right) else { return Ok(None) };
        self.recent().remember(&account.mailbox(), &verifier, secret, now);
        Ok(Some(Login { account, credential, operator: None }))
    }
}

fn millis(now: OffsetDateTime) -> i64 {
    i64::try_from(unix_millis(now)).unwrap_or(i64::MAX)
}

/// So that a password typed there by mistake is not kept as it is.
fn digest(user: &str) -> [u8; 32] {
    crate::record::body::digest(user.as_bytes())
}
