//! Who is it: a user and a password become an account, or a refusal that tells nothing of what there is.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use policies::mailbox::MailboxNumber;
use secrecy::SecretString;
use time::OffsetDateTime;

use super::password::HashError;
use super::{Directory, DirectoryError, unix_millis};
use crate::record::account::Account;

/// Whose failures are counted: a mailbox under whichever of its names, or the digest of a name that is none. Those from a network
/// where the mailbox was opened lately are counted apart: a stranger who guesses must not keep the owner out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Mailbox(MailboxNumber),
    Acquainted(MailboxNumber, IpAddr),
    Unknown([u8; 32]),
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
                Some(number) => Name::Mailbox(number),
                None => Name::Unknown(digest(user)),
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

/// Of what is no user; so that a password typed there by mistake is not kept as it is.
fn digest(user: &str) -> [u8; 32] {
    crate::record::body::digest(user.trim().to_lowercase().as_bytes())
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
