//! What SMTP, IMAP and POP3 have in common of logging in: the mechanisms of SASL, as one exchange without I/O.
//!
//! A session hands in what the client answers and does the [`Step`] it gets: the words around are its protocol's.
mod bearer;
mod scram;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use bearer::{Bearer, TokenRefused};
pub(crate) use scram::First;
pub use scram::{Proof, Salted};

/// A password on its way to the check; neither printed nor compared here, wiped when dropped.
pub struct Secret(zeroize::Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(zeroize::Zeroizing::new(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a connection under TLS may be offered beside a password in the clear within it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offer {
    /// SCRAM-SHA-256. Only app passwords can be proved by it.
    pub scram: bool,
    /// What binds a login to this very connection; with it, SCRAM-SHA-256-PLUS. spec: rfc9266#2 tls-exporter
    pub binding: Option<[u8; 32]>,
    /// The client showed a certificate: EXTERNAL.
    pub certificate: bool,
    /// Tokens of a provider are believed: OAUTHBEARER.
    pub token: bool,
}

impl Offer {
    /// Names, those first that tell a server the least.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let Self { scram, binding, certificate, token } = *self;
        let all = [("EXTERNAL", certificate), ("SCRAM-SHA-256-PLUS", scram && binding.is_some()), ("SCRAM-SHA-256", scram), ("OAUTHBEARER", token), ("PLAIN", true)];
        all.into_iter().filter_map(|(name, offered)| offered.then_some(name))
    }
}

/// What the server alone can say.
pub enum Question {
    /// What this user's app passwords are salted with; of a user that is not there, too. Answer: `Salted`.
    Salt { user: String },
    /// Whether one of this user's app passwords was proved. Answer: `Proved` or `Denied`.
    Proof(Proof),
    /// Whose the client's certificate is; `user` when the client says whom it means. Answer: `LoggedIn` or `Denied`.
    Certificate { user: Option<String> },
    /// Whom a token opens a mailbox to. Answer: `LoggedIn`, or `NoToken` with what is told then.
    Token(Bearer),
}

/// Users are persons: only the kind.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Salt { .. } => "Salt",
            Self::Proof(_) => "Proof",
            Self::Certificate { .. } => "Certificate",
            Self::Token(_) => "Token",
        })
    }
}

/// What the next response of the client holds.
pub(crate) enum Exchange {
    Plain,
    User,
    Password { user: String },
    ScramFirst { plus: bool },
    ScramFinal(scram::Challenged),
    /// The server's own proof was sent; an empty response ends the exchange.
    ScramTaken,
    External,
    Bearer,
    /// The client was told that its token opens nothing; whatever it answers ends the exchange.
    TokenRefused,
}

/// What a session has to do next.
pub(crate) enum Step {
    /// Send this, base64, and hand in what comes back.
    Challenge(String, Exchange),
    Login { user: String, password: Secret },
    /// Ask; an answer of `Salted` goes to [`First::salted`], the server's proof to [`proved`].
    Ask(Question, Asked),
    /// Who was found out before is logged in.
    Done,
    /// Who was refused before has taken it.
    Denied,
    /// What came is no response of this mechanism.
    Malformed(&'static str),
    /// No mechanism that is offered.
    Unknown,
}

/// Why something was asked.
pub(crate) enum Asked {
    Salt(First),
    Verdict,
}

impl First {
    pub fn salted(self, salted: &Salted) -> Step {
        let (text, challenged) = self.challenged(salted);
        Step::Challenge(STANDARD.encode(text), Exchange::ScramFinal(challenged))
    }
}

/// The server proves that it knew the password's keys, too. spec: rfc5802#3
pub(crate) fn proved(signature: &[u8; 32]) -> Step {
    Step::Challenge(STANDARD.encode(format!("v={}", STANDARD.encode(signature))), Exchange::ScramTaken)
}

/// The client is told where tokens are had, and says that it heard. spec: rfc7628#3.2.3
pub(crate) fn no_token(told: &TokenRefused) -> Step {
    Step::Challenge(STANDARD.encode(told.json()), Exchange::TokenRefused)
}

/// `initial`: the response that came along; `None` in it where it was no base64.
pub(crate) fn begin(mechanism: &str, initial: Option<Option<Secret>>, offer: &Offer) -> Step {
    let (first, challenge) = match mechanism {
        "PLAIN" => (Exchange::Plain, ""),
        // The words are fixed by those who began with them: base64 of `Username:` and `Password:`.
        "LOGIN" => (Exchange::User, "VXNlcm5hbWU6"),
        "SCRAM-SHA-256" if offer.scram => (Exchange::ScramFirst { plus: false }, ""),
        "SCRAM-SHA-256-PLUS" if offer.scram && offer.binding.is_some() => (Exchange::ScramFirst { plus: true }, ""),
        "EXTERNAL" if offer.certificate => (Exchange::External, ""),
        "OAUTHBEARER" if offer.token => (Exchange::Bearer, ""),
        _ => return Step::Unknown,
    };
    match initial {
        Some(response) => first.respond(response, offer),
        None => Step::Challenge(challenge.to_owned(), first),
    }
}

impl Exchange {
    /// The server took the client's proof already: whoever gives up now has a login that nobody uses, and is let go.
    pub fn is_proved(&self) -> bool {
        matches!(self, Self::ScramTaken)
    }

    /// The client was refused already, and has but to say that it heard: it failed, however it ends.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::TokenRefused)
    }

    /// `None`: what came was no base64 of UTF-8.
    pub fn respond(self, response: Option<Secret>, offer: &Offer) -> Step {
        let Some(response) = response else { return if self.is_refused() { Step::Denied } else { Step::Malformed("That is no base64") } };
        match self {
            Self::Plain => match plain(&response) {
                Some((user, password)) => Step::Login { user, password },
                None => Step::Malformed("Expected base64 of NUL user NUL password"),
            },
            Self::User if response.expose().is_empty() => Step::Malformed("That is no name in base64"),
            Self::User => Step::Challenge("UGFzc3dvcmQ6".to_owned(), Self::Password { user: response.expose().to_owned() }),
            Self::Password { user } => Step::Login { user, password: response },
            Self::ScramFirst { plus } => match scram::First::parse(response.expose(), plus, offer.binding.as_ref()) {
                Ok(first) => Step::Ask(Question::Salt { user: first.user().to_owned() }, Asked::Salt(first)),
                Err(reason) => Step::Malformed(reason),
            },
            Self::ScramFinal(challenged) => match challenged.proof(response.expose()) {
                Ok(proof) => Step::Ask(Question::Proof(proof), Asked::Verdict),
                Err(reason) => Step::Malformed(reason),
            },
            Self::ScramTaken if response.expose().is_empty() => Step::Done,
            Self::ScramTaken => Step::Malformed("Expected an empty response"),
            // spec: rfc4422#A an empty response means whom the certificate names
            Self::External if response.expose().contains('\0') => Step::Malformed("That is no name"),
            Self::External => {
                let user = Some(response.expose().to_owned()).filter(|user| !user.is_empty());
                Step::Ask(Question::Certificate { user }, Asked::Verdict)
            }
            Self::Bearer => match Bearer::parse(response.expose()) {
                Ok(bearer) => Step::Ask(Question::Token(bearer), Asked::Verdict),
                Err(reason) => Step::Malformed(reason),
            },
            Self::TokenRefused => Step::Denied,
        }
    }
}

/// A SASL response: base64 of UTF-8; `=` is an empty one where a line cannot be empty. spec: rfc4954#4 rfc4959#3 rfc5034#4
pub(crate) fn response(text: &[u8]) -> Option<Secret> {
    if text == b"=" {
        return Some(Secret::new(String::new()));
    }
    let bytes = STANDARD.decode(text).ok()?;
    String::from_utf8(bytes).ok().map(Secret::new)
}

/// Who logs in and with what. Nobody acts in another's name.
// spec: rfc4616#2 authzid NUL authcid NUL password
fn plain(response: &Secret) -> Option<(String, Secret)> {
    let mut parts = response.expose().split('\0');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(acts_as), Some(user), Some(password), None) if !user.is_empty() && (acts_as.is_empty() || acts_as == user) => {
            Some((user.to_owned(), Secret::new(password.to_owned())))
        }
        _ => None,
    }
}
