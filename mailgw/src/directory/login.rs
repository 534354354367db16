//! Who is it: a user and a password become an account, or a refusal that tells nothing of what there is.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use policies::mailbox::{Address, Alias, MailboxNumber};
use secrecy::SecretString;
use time::OffsetDateTime;

use super::password::HashError;
use super::{Directory, DirectoryError, unix_millis};
use crate::record::account::Account;

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

impl Directory {
    /// `user` is a number, a name, or an address of either. Counts against the user and against `peer`.
    pub fn authenticate(&self, user: &str, secret: &SecretString, peer: IpAddr, now: OffsetDateTime) -> Result<Account, Refusal> {
        let now = i64::try_from(unix_millis(now)).unwrap_or(i64::MAX);
        let number = self.named(user)?;
        let peer = network(peer);
        let (name, reserved) = {
            let mut failures = self.failures();
            let name = match number {
                Some(number) if failures.acquainted.holds(number, peer, now) => Name::Acquainted(number, peer),
                _ => Name::Written(digest(&self.plain(user))),
            };
            let wait = failures.accounts.wait(&name, now).max(failures.peers.wait(&peer, now));
            if !wait.is_zero() {
                return Err(Refusal::Later { wait });
            }
            // Counted before the hash is made, so that a thousand guesses at once are a thousand failures.
            let reserved = failures.accounts.fail(&name, now);
            (name, reserved)
        };
        let verdict = self.verdict(number, secret, now);
        let mut failures = self.failures();
        match verdict {
            Ok(Some(account)) => {
                failures.accounts.clear(&name);
                failures.acquainted.remember(account.number, peer, now);
                Ok(account)
            }
            Ok(None) => Err(Refusal::Credentials { wait: reserved.max(failures.peers.fail(&peer, now)) }),
            Err(refusal) => {
                failures.accounts.forgive(&name);
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

    /// The open account whose password this is.
    fn verdict(&self, number: Option<MailboxNumber>, secret: &SecretString, now: i64) -> Result<Option<Account>, Refusal> {
        let found = number.map(|number| self.read(number)).transpose()?.flatten();
        let found = found.filter(|(account, _, _)| account.is_open());
        let verifier = found.as_ref().map(|(_, verifier, _)| verifier);
        if let Some((account, verifier, _)) = &found
            && self.recent().holds(&account.mailbox(), verifier, secret, now)
        {
            return Ok(found.map(|(account, _, _)| account));
        }
        let right = self.hasher.verify(verifier, secret).map_err(|error| match error {
            HashError::Busy => Refusal::Busy,
            other => Refusal::Directory(other.into()),
        })?;
        let Some((account, verifier, _)) = found.filter(|_| right) else { return Ok(None) };
        self.recent().remember(&account.mailbox(), &verifier, secret, now);
        Ok(Some(account))
    }
}

/// So that a password typed there by mistake is not kept as it is.
fn digest(user: &str) -> [u8; 32] {
    crate::record::body::digest(user.as_bytes())
}

/// One house has one IPv4 address, or 64 bits of IPv6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        four => four,
    }
}
