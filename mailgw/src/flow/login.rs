//! A mail program's login is the directory's, at the time of the clock.

use std::sync::Arc;

use policies::mailbox::MailboxNumber;
use protocol::sasl::{Bearer, Proof, Salted, Secret, TokenRefused};
use runtime::clock::Clock;
use secrecy::SecretString;

use crate::directory::{Account, Credential, Directory, DirectoryError, Ended, Holder, ITERATIONS, Refusal};
use crate::flow::certificate_login::CertificateLogins;
use crate::flow::token_login::{NotLetIn, TokenLogins};
use crate::wire::accounts::{Accounts, Entered, Login, LoginRefusal, Visit};

pub struct Logins {
    pub directory: Arc<Directory>,
    pub clock: Arc<dyn Clock>,
    /// Without them nobody logs in by certificate.
    pub certificates: Option<Arc<CertificateLogins>>,
    /// Without a provider nobody logs in by token.
    pub tokens: Option<Arc<TokenLogins>>,
}

impl Accounts for Logins {
    fn login(&self, user: &str, password: &Secret, visit: Visit) -> Result<Entered, LoginRefusal> {
        match self.directory.authenticate(user, &SecretString::from(password.expose()), visit.scope, visit.peer, self.clock.now()) {
            Ok(login) => self.entered(&login).map(Entered::from),
            Err(refusal) => Err(refused(refusal)),
        }
    }

    fn salt(&self, user: &str) -> Result<Salted, LoginRefusal> {
        let salt = self.directory.scram_salt(user);
        let nonce = self.directory.nonce().map_err(|error| refused(Refusal::Directory(error.into())))?;
        Ok(Salted { nonce, salt, iterations: ITERATIONS.get() })
    }

    fn prove(&self, proof: &Proof, visit: Visit) -> Result<Entered, LoginRefusal> {
        let proved = self.directory.prove(&proof.user, &proof.exchange, &proof.proof, visit.scope, visit.peer, self.clock.now());
        let (login, signature) = proved.map_err(refused)?;
        Ok(Entered { signature: Some(signature), ..self.entered(&login)?.into() })
    }

    fn certificate(&self, certificates: &[Vec<u8>], user: Option<&str>, visit: Visit) -> Result<Entered, LoginRefusal> {
        self.shown(visit, || Ok(self.certificates.as_ref().ok_or(LoginRefusal::Denied)?.login(certificates, user)?))
    }

    fn token(&self, bearer: &Bearer, visit: Visit) -> Result<Entered, LoginRefusal> {
        self.shown(visit, || self.tokens.as_ref().ok_or(LoginRefusal::Denied)?.login(bearer))
    }

    fn token_refused(&self) -> TokenRefused {
        self.tokens.as_ref().map(|tokens| tokens.refused()).unwrap_or_default()
    }

    fn ended(&self) -> Ended {
        self.directory.ended()
    }
}

impl Logins {
    /// By what names its mailbox itself: one who shows many is heard as often as one who guesses passwords.
    fn shown(&self, visit: Visit, enter: impl FnOnce() -> Result<Entered, NotLetIn>) -> Result<Entered, LoginRefusal> {
        let now = self.clock.now();
        self.directory.may_try(visit.peer, now).map_err(refused)?;
        let entered = enter().map_err(|NotLetIn { refusal, is_guess }| {
            if is_guess {
                self.directory.tried_in_vain(visit.peer, now);
            }
            refusal
        })?;
        self.was_entered(entered.login.number);
        // A program comes again with its token by itself: that is nobody who needs no new password.
        if !matches!(entered.login.credential, Credential::Token(_)) {
            self.heard(entered.login.number)?;
        }
        Ok(entered)
    }

    fn entered(&self, login: &crate::directory::Login) -> Result<Login, LoginRefusal> {
        self.heard(login.account.number)?;
        self.was_entered(login.account.number);
        Ok(Login { number: login.account.number, credential: login.credential, operator: login.operator })
    }

    /// A mailbox that somebody was in gets no password on one word. A store that takes nothing takes no password either, until it is opened
    /// anew and everybody is logged out: whoever has one may read meanwhile.
    fn was_entered(&self, number: MailboxNumber) {
        if let Err(error) = self.directory.entered(number) {
            tracing::warn!(%error, "that somebody logged in to a mailbox for the first time is not recorded");
        }
    }

    /// Whoever logs in by what is the owner's needs no new password: a recovery that is under way ends, and nobody is in before that is durable.
    fn heard(&self, number: MailboxNumber) -> Result<(), LoginRefusal> {
        let ended = self.directory.end_recovery(number, "login", self.clock.now()).map_err(|error| refused(error.into()))?;
        if ended {
            tracing::warn!(mailbox = %number, "a login ended the recovery of a mailbox: look who asked for it");
        }
        Ok(())
    }
}

/// The mailbox that is meant by name, by whoever showed to be this account: its own, or an institution's that is open and that the citizen
/// is an operator of. `None`: nobody acts for others.
pub(super) fn meant(directory: &Directory, account: &Account, user: &str) -> Result<Option<(MailboxNumber, Option<u32>)>, DirectoryError> {
    let Some(meant) = directory.find(user)?.filter(Account::is_open) else { return Ok(None) };
    if meant.number == account.number {
        return Ok(Some((account.number, None)));
    }
    match (&account.holder, &meant.holder) {
        (Holder::Citizen { .. }, Holder::Institution { .. }) => {
            Ok(directory.operator_of(meant.number, account.number)?.map(|(operator, _)| (meant.number, Some(operator))))
        }
        _ => Ok(None),
    }
}

fn refused(refusal: Refusal) -> LoginRefusal {
    match refusal {
        Refusal::Credentials { .. } => LoginRefusal::Denied,
        Refusal::Later { .. } | Refusal::Busy => LoginRefusal::Later,
        Refusal::Directory(error) => {
            tracing::error!(%error, "logins cannot be checked");
            LoginRefusal::Unavailable
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use runtime::clock::FakeClock;
    use secrecy::ExposeSecret;
    use time::macros::datetime;

    use super::*;
    use crate::directory::{NewPassword, Scope};
    use crate::directory::tests::{chen, directory};

    #[test]
    fn the_first_login_is_noted_and_a_failed_one_is_not() {
        let clock = Arc::new(FakeClock::new(datetime!(2026-11-25 08:00 UTC)));
        let logins = Logins { directory: Arc::new(directory(&Arc::new(store::Memory::new()))), clock: clock.clone(), certificates: None, tokens: None };
        let number = logins.directory.open(chen(), NewPassword::Generated, clock.now()).unwrap().account.number;
        let set = || logins.directory.set_password(number, &NewPassword::Generated, false, clock.now());
        let visit = Visit { scope: Scope::Imap, peer: [192, 0, 2, 7].into() };
        let login = |secret: &str| logins.login(&number.to_string(), &Secret::new(secret.to_owned()), visit).map(|_| ());
        assert_eq!(login("wrong"), Err(LoginRefusal::Denied));
        let password = set().unwrap();
        assert_eq!(login(password.expose().expose_secret()), Ok(()));
        assert!(matches!(set(), Err(DirectoryError::Entered { .. })));
    }

    #[test]
    fn what_the_directory_says_is_what_a_mail_program_hears() {
        let clock = Arc::new(FakeClock::new(datetime!(2026-11-25 08:00 UTC)));
        let logins = Logins { directory: Arc::new(directory(&Arc::new(store::Memory::new()))), clock: clock.clone(), certificates: None, tokens: None };
        let opened = logins.directory.open(chen(), NewPassword::Generated, clock.now()).unwrap();
        let (mailbox, right) = (opened.account.mailbox(), opened.password.expose().expose_secret());
        let visit = Visit { scope: Scope::Imap, peer: [192, 0, 2, 7].into() };
        let login = |secret: &str| logins.login(&mailbox, &Secret::new(secret.to_owned()), visit).map(|entered| entered.login);
        let entered = Login { number: opened.account.number, credential: Credential::Password, operator: None };
        assert_eq!(login(right), Ok(entered));
        for _ in 0..16 {
            assert_eq!(login("wrong"), Err(LoginRefusal::Denied));
        }
        assert_eq!(login(right), Err(LoginRefusal::Later));
        clock.advance(time::Duration::SECOND);
        assert_eq!(login(right), Ok(entered));
    }
}
