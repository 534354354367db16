//! Who may log in, as the listeners ask it.

use std::net::IpAddr;
use std::sync::Arc;

use policies::mailbox::{ClientPolicy, MailboxNumber, Port};
use protocol::sasl::{Bearer, Proof, Salted, Secret, TokenRefused};
use tokio::sync::Semaphore;

pub use crate::directory::{Credential, Ended, Scope};
use crate::record::bureau::Chain;
use crate::tokens::Claims;

/// Why nobody is logged in. The client learns no more than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRefusal {
    /// No such account, a wrong password, a closed mailbox, an app password for something else.
    Denied,
    /// Too many attempts; later ones may succeed.
    Later,
    /// The directory cannot be read now.
    Unavailable,
}

/// Who is logged in on a connection, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    pub number: MailboxNumber,
    pub credential: Credential,
    /// The operator of an institution's mailbox who it is.
    pub operator: Option<u32>,
}

impl Login {
    /// Whether it is the mailbox's owner, and neither a program nor an operator.
    pub fn is_owner(&self) -> bool {
        self.operator.is_none() && !matches!(self.credential, Credential::App(_) | Credential::Token(_))
    }
}

/// A certificate by which somebody is logged in: looked at again for as long as a session keeps it.
pub struct Shown {
    pub number: MailboxNumber,
    /// Where the mailbox is an institution's and the certificate a citizen's who is its operator.
    pub operator: Option<u32>,
    pub sha256: [u8; 32],
    pub chain: Chain,
}

/// A token by which somebody is logged in: looked at again for as long as a session keeps it.
pub struct ShownToken {
    pub number: MailboxNumber,
    pub sha256: [u8; 32],
    pub claims: Claims,
}

/// A login that was let in.
pub struct Entered {
    pub login: Login,
    /// The proof that we know the password, too, where the way to log in asks for it.
    pub signature: Option<[u8; 32]>,
    pub shown: Option<Arc<Shown>>,
    pub token: Option<Arc<ShownToken>>,
}

impl From<Login> for Entered {
    fn from(login: Login) -> Self {
        Self { login, signature: None, shown: None, token: None }
    }
}

/// Where somebody logs in, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    pub scope: Scope,
    /// Failures count against it.
    pub peer: IpAddr,
}

/// What is offered beside a password, at one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    pub scram: bool,
    /// Such a login may be bound to its connection.
    pub scram_plus: bool,
    /// TLS asks for the client's certificate, and who shows one may log in by it.
    pub certificate: bool,
    /// A provider's token opens the mailbox it names.
    pub token: bool,
}

/// The same at a port where TLS comes later, and at one where it comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtDoors {
    pub starttls: Ways,
    pub tls: Ways,
}

impl AtDoors {
    pub fn new(policy: &ClientPolicy, starttls: Port, tls: Port) -> Self {
        let at = |port| Ways { scram: policy.scram_at(port), scram_plus: policy.scram_plus_at(port), certificate: policy.certificate_at(port), token: policy.token_at(port) };
        Self { starttls: at(starttls), tls: at(tls) }
    }

    /// The same where no provider is believed, unless one is.
    #[must_use]
    pub fn with_tokens(mut self, believed: bool) -> Self {
        for ways in [&mut self.starttls, &mut self.tls] {
            ways.token &= believed;
        }
        self
    }
}

/// Certificates looked at at one time, at one server: they may wait for a list, and hash no password.
pub(super) const CERTIFICATES: usize = 32;

/// Tokens looked at at one time, in the process: they wait for nobody, and so not behind certificates.
pub(super) static TOKENS: Semaphore = Semaphore::const_new(32);

/// Calls block.
pub trait Accounts: Send + Sync {
    fn login(&self, user: &str, password: &Secret, visit: Visit) -> Result<Entered, LoginRefusal>;

    /// What a client that logs in by SCRAM is told; of whoever is not there, too.
    fn salt(&self, user: &str) -> Result<Salted, LoginRefusal>;

    /// With our own proof.
    fn prove(&self, proof: &Proof, visit: Visit) -> Result<Entered, LoginRefusal>;

    /// By what TLS was shown, the client's own certificate first; `user` where the client says whom it means.
    fn certificate(&self, certificates: &[Vec<u8>], user: Option<&str>, visit: Visit) -> Result<Entered, LoginRefusal>;

    /// By a provider's token.
    fn token(&self, bearer: &Bearer, visit: Visit) -> Result<Entered, LoginRefusal>;

    /// What whoever's token opens nothing is told.
    fn token_refused(&self) -> TokenRefused;

    /// The logins of before that are over, from now on.
    fn ended(&self) -> Ended;
}

/// A login that stands until it is said to be over: listened for since before it was checked.
pub struct Standing {
    pub login: Login,
    _shown: Option<Arc<Shown>>,
    _token: Option<Arc<ShownToken>>,
    ended: Ended,
}

impl Standing {
    pub fn new(entered: Entered, ended: Ended) -> Self {
        Self { login: entered.login, _shown: entered.shown, _token: entered.token, ended }
    }

    /// Whether it is over by now.
    pub fn is_over(&mut self) -> bool {
        self.ended.is_of(self.login.number, self.login.credential, self.login.operator)
    }

    /// Until it is over; for ever while it stands. Giving up waiting loses nothing.
    pub async fn over(&mut self) {
        self.ended.of(self.login.number, self.login.credential, self.login.operator).await;
    }
}
