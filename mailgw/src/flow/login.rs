//! A mail program's login is the directory's, at the time of the clock.

use std::net::IpAddr;
use std::sync::Arc;

use protocol::imap::exchange::Secret;
use runtime::clock::Clock;
use secrecy::SecretString;

use crate::directory::{Directory, Ended, Refusal};
use crate::wire::imap::{Accounts, LoginRefusal};

pub struct Logins {
    pub directory: Arc<Directory>,
    pub clock: Arc<dyn Clock>,
}

impl Accounts for Logins {
    fn login(&self, user: &str, password: &Secret, peer: IpAddr) -> Result<String, LoginRefusal> {
        match self.directory.authenticate(user, &SecretString::from(password.expose()), peer, self.clock.now()) {
            Ok(account) => Ok(account.mailbox()),
            Err(Refusal::Credentials { .. }) => Err(LoginRefusal::Denied),
            Err(Refusal::Later { .. } | Refusal::Busy) => Err(LoginRefusal::Later),
            Err(Refusal::Directory(error)) => {
                tracing::error!(%error, "logins cannot be checked");
                Err(LoginRefusal::Unavailable)
            }
        }
    }

    fn ended(&self) -> Ended {
        self.directory.ended()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use runtime::clock::FakeClock;
    use secrecy::ExposeSecret;
    use time::macros::datetime;

    use super::*;
    use crate::directory::NewPassword;
    use crate::directory::tests::{chen, directory};

    #[test]
    fn what_the_directory_says_is_what_a_mail_program_hears() {
        let clock = Arc::new(FakeClock::new(datetime!(2026-11-25 08:00 UTC)));
        let logins = Logins { directory: Arc::new(directory(&Arc::new(store::Memory::new()))), clock: clock.clone() };
        let opened = logins.directory.open(chen(), NewPassword::Generated, clock.now()).unwrap();
        let (mailbox, right) = (opened.account.mailbox(), opened.password.expose().expose_secret());
        let login = |secret: &str| logins.login(&mailbox, &Secret::new(secret.to_owned()), [192, 0, 2, 7].into());
        assert_eq!(login(right), Ok(mailbox.clone()));
        for _ in 0..16 {
            assert_eq!(login("wrong"), Err(LoginRefusal::Denied));
        }
        assert_eq!(login(right), Err(LoginRefusal::Later));
        clock.advance(time::Duration::SECOND);
        assert_eq!(login(right), Ok(mailbox.clone()));
    }
}
