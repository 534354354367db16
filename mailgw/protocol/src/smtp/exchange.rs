//! What the session and the server around it say to each other: a [`Request`] goes out, exactly one [`Answer`] comes back.
use std::fmt;

pub use super::address::{Address, AddressError, Domain, Host, Recipient};
pub use super::notice::{Notify, Original, Return, Xtext};
pub use crate::sasl::{Offer, Question, Salted, Secret, TokenRefused};

/// How a client named itself in HELO or EHLO: letters, digits and `.-_:[]`, so that it is harmless in a header. Nobody checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    pub(crate) name: String,
    pub(crate) extended: bool,
    pub(crate) local: bool,
}

impl Hello {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// EHLO or LHLO, not HELO.
    pub fn extended(&self) -> bool {
        self.extended
    }

    /// LHLO.
    pub fn local(&self) -> bool {
        self.local
    }
}

/// What the client declared of its message. spec: rfc6152#3 rfc3030#3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    SevenBit,
    EightBitMime,
    /// Any octets, by BDAT alone.
    BinaryMime,
}

/// A recipient that was accepted, and what the sender wishes to hear of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    pub recipient: Recipient,
    /// `None`: as servers have it, of failure and perhaps of delay.
    pub notify: Option<Notify>,
    pub original: Option<Original>,
}

impl Addressee {
    pub fn as_str(&self) -> &str {
        self.recipient.as_str()
    }
}

/// One mail transaction. Its parts live and end together: a new MAIL, RSET, EHLO or STARTTLS leaves nothing of the last.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    pub hello: Hello,
    /// `None`: the null path of a notification, to which nothing is ever returned.
    pub reverse_path: Option<Address>,
    /// As given and as accepted, in that order; the same one may stand twice.
    pub recipients: Vec<Addressee>,
    /// Octets the message will have, as its client says in SIZE; 0 when it does not say.
    pub declared: usize,
    pub body: BodyKind,
    /// The client asked for SMTPUTF8: addresses and header may be in UTF-8.
    pub smtputf8: bool,
    /// The message came under TLS.
    pub tls: bool,
    /// It goes on under TLS with a server that proves its name, or comes back. spec: rfc8689#4
    pub require_tls: bool,
    /// How much of the message a report holds.
    pub ret: Option<Return>,
    /// The sender's own name for this transaction.
    pub envelope_id: Option<Xtext>,
}

/// Addresses are people's: only what says nothing of them.
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("recipients", &self.recipients.len()).field("body", &self.body).field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// Work for the server. Each one is answered by one [`Answer`].
pub enum Request {
    /// May this user log in? Answer: `LoggedIn`, `Denied`, `TooMany` or `Failed`. Asked under TLS alone.
    Login { user: String, password: Secret },
    /// A step of another way to log in; `TooMany` and `Failed` are answers to each.
    Sasl(Question),
    /// May who is logged in send with this reverse path, and anything now? Answer: `Known`, `Refused`, `TooMany` or `Failed`.
    Sender { reverse_path: Option<Address> },
    /// Is there such a recipient, with room for `declared` octets of this sender's? Answer: `Known`, `Unknown`, `Full`, `Refused`,
    /// `Greylisted`, `TooMany` or `Failed`.
    Recipient { reverse_path: Option<Address>, recipient: Recipient, declared: usize },
    /// `bytes`: the message as it was before dot-stuffing, each line ending with CRLF. Answer: `Durable` once it cannot be lost,
    /// otherwise `Full`, `Refused`, `Unproved` or `Failed`, and nothing was kept for anyone; to a neighbour `Each` as well. A
    /// message of `BodyKind::BinaryMime` has any octets below its header.
    Deliver { envelope: Envelope, bytes: Vec<u8> },
}

/// Only the kind: neither addresses nor messages are for logs.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login { .. } => "Login",
            Self::Sasl(_) => "Sasl",
            Self::Sender { .. } => "Sender",
            Self::Recipient { .. } => "Recipient",
            Self::Deliver { .. } => "Deliver",
        })
    }
}

/// The server's answer to a [`Request`]. An answer of another kind than asked for ends the session with 421.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    LoggedIn,
    /// Logged in, once the client has taken this proof that the server knows it, too.
    Proved { signature: [u8; 32] },
    Salted(Salted),
    /// The token opens nothing.
    NoToken(TokenRefused),
    /// The user or the password is wrong, or there is no such user.
    Denied,
    /// As many logins or messages as are allowed for now.
    TooMany,
    Known,
    Unknown,
    /// No room in the mailbox now.
    Full,
    /// Durable for every recipient. `id`: a name for the client's log; characters other than letters, digits, `.` and `-` are left out.
    Durable { id: String },
    /// One for each recipient, in their order: for a neighbour alone.
    Each(Vec<Answer>),
    /// Somebody not met before: the client tries again in a while.
    Greylisted,
    /// The DNS does not say now whether the mail is its sender's: the client tries again later.
    Unproved,
    /// The server cannot say or keep now: the client tries again later.
    Failed,
    Refused(Refusal),
}

/// Why the server refuses for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The domain is not served here.
    Relaying,
    /// The mailbox takes no mail any more.
    Closed,
    /// The envelope's sender is not whoever is logged in.
    Sender,
    /// The header's author is not, or there are several.
    Author,
    /// A line of the header is no field.
    Malformed,
    /// An address in brackets: mail goes to names alone.
    Literal,
    /// The sender, or what it may send, is not welcome.
    Policy,
    /// The message has passed here before, or through too many servers.
    Loop,
    /// Its header is larger than any honest one.
    Header,
    /// Larger than this recipient or this server takes.
    TooLarge,
    /// The envelope sender's domain says that the client does not send its mail.
    Spf,
    /// The author's domain asks that mail it does not vouch for be refused.
    Dmarc,
    /// There is no author, or they are of several domains.
    NoAuthor,
}

/// What the server has to do, in this order. After `Do` nothing follows until [`super::session::Session::answer`].
#[derive(Debug)]
pub enum Output {
    /// Bytes for the client.
    Send(Vec<u8>),
    Do(Request),
    /// After what was sent: begin TLS, then call [`super::session::Session::tls_started`]. Plaintext read before that is
    /// already thrown away here; the server drops what its own buffers hold.
    StartTls,
    /// After what was sent: close the connection.
    Close,
}
