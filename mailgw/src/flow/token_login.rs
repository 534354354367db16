//! Logging in by a token of the identity provider, one straight line: believed → whose → meant → logged in; and again and again while the
//! session stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use policies::mailbox::MailboxNumber;
use protocol::sasl::{Bearer, TokenRefused};
use runtime::clock::Clock;

use super::login::meant;
use crate::directory::{Account, Credential, Directory, DirectoryError};
use crate::record::body::digest;
use crate::tokens::{NotBelieved, Provider};
use crate::wire::accounts::{Entered, Login, LoginRefusal, ShownToken};

/// How often sessions that stand are looked at again, and the provider's files read: what is over or withdrawn ends within a minute.
pub const AGAIN: std::time::Duration = std::time::Duration::from_secs(15);

/// Who may log in by token, and who did.
pub struct TokenLogins {
    directory: Arc<Directory>,
    provider: Provider,
    clock: Arc<dyn Clock>,
    /// By the token, and the mailbox that was entered by it.
    standing: Mutex<HashMap<([u8; 32], MailboxNumber), Weak<ShownToken>>>,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0}")]
    Token(#[from] NotBelieved),
    /// No mailbox that is open, not the one that was meant, or one that no token opens.
    #[error("it names no mailbox that is open to it here")]
    Nobody,
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Why nobody is let in, and whether it counts as a guess.
pub struct NotLetIn {
    pub refusal: LoginRefusal,
    pub is_guess: bool,
}

impl From<LoginRefusal> for NotLetIn {
    fn from(refusal: LoginRefusal) -> Self {
        Self { refusal, is_guess: refusal == LoginRefusal::Denied }
    }
}

impl TokenLogins {
    pub fn new(directory: Arc<Directory>, provider: Provider, clock: Arc<dyn Clock>) -> Self {
        Self { directory, provider, clock, standing: Mutex::default() }
    }

    pub fn refused(&self) -> TokenRefused {
        self.provider.refused()
    }

    /// Blocking.
    pub fn login(&self, bearer: &Bearer) -> Result<Entered, NotLetIn> {
        self.enter(bearer).map_err(|refused| match refused {
            Refused::Directory(error) => {
                tracing::error!(%error, "logins cannot be checked");
                NotLetIn::from(LoginRefusal::Unavailable)
            }
            refused => {
                tracing::info!(reason = %refused, "a client's token is refused");
                // A whole office's programs try the tokens of yesterday in the morning, and the provider did make these.
                NotLetIn { refusal: LoginRefusal::Denied, is_guess: !matches!(refused, Refused::Token(NotBelieved::Over)) }
            }
        })
    }

    fn enter(&self, bearer: &Bearer) -> Result<Entered, Refused> {
        // 1. Nobody is looked for on a stranger's word.
        let claims = self.provider.verify(&bearer.token, self.clock.now())?;
        // 2. and 3. Whose it says it is: an open mailbox, and the one that is meant.
        let account = self.directory.find_address(&claims.subject)?.filter(Account::is_open).ok_or(Refused::Nobody)?;
        let (number, operator) = match &bearer.user {
            Some(user) => meant(&self.directory, &account, user)?.ok_or(Refused::Nobody)?,
            None => (account.number, None),
        };
        let no_token = self.directory.policy().clients().no_token();
        if no_token.contains(&account.number) || no_token.contains(&number) {
            return Err(Refused::Nobody);
        }
        tracing::info!(id = %crate::hex(&digest(claims.id.as_bytes())), "a mailbox is entered by a token");
        // 4. Looked at again from now on, for as long as somebody keeps what is returned.
        let sha256 = digest(bearer.token.expose().as_bytes());
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.retain(|_, shown| shown.strong_count() > 0);
        let shown = standing.get(&(sha256, number)).and_then(Weak::upgrade).unwrap_or_else(|| Arc::new(ShownToken { number, sha256, claims }));
        standing.insert((sha256, number), Arc::downgrade(&shown));
        Ok(Entered { login: Login { number, credential: Credential::Token(sha256), operator }, signature: None, shown: None, token: Some(shown) })
    }

    /// The provider's files, and every token by which a session stands, once more: one that is over or withdrawn ends its sessions. Blocking.
    pub fn look_again(&self) {
        self.provider.read_again();
        let standing: Vec<Arc<ShownToken>> = self.standing.lock().unwrap_or_else(PoisonError::into_inner).values().filter_map(Weak::upgrade).collect();
        let now = self.clock.now();
        for shown in standing {
            if let Err(reason) = self.provider.still(&shown.claims, now) {
                tracing::info!(%reason, "sessions by a token end");
                self.directory.end_logins_by(shown.number, Credential::Token(shown.sha256));
            }
        }
    }
}
