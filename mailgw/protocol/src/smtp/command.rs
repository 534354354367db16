//! Commands and their grammar.
use super::address::{Address, AddressError, Host, Path, Recipient};
use super::exchange::{BodyKind, Hello};
use super::notice::{self, Notify, Original, Return, Xtext};
use super::session::Role;
use crate::sasl::{self, Secret};

pub(crate) enum Command {
    Hello(Hello),
    Mail(Mail),
    Rcpt { recipient: Recipient, notify: Option<Notify>, original: Option<Original> },
    /// `initial` is base64 undone, `None` in it where it was none.
    Auth { mechanism: String, initial: Option<Option<Secret>> },
    Data,
    Bdat { size: usize, last: bool },
    Rset,
    Noop,
    Quit,
    Vrfy,
    Help,
    StartTls,
}

pub(crate) struct Mail {
    pub reverse_path: Option<Address>,
    pub size: usize,
    pub body: BodyKind,
    pub smtputf8: bool,
    pub require_tls: bool,
    pub ret: Option<Return>,
    pub envelope_id: Option<Xtext>,
}

/// What decides which commands and parameters there are.
#[derive(Clone, Copy)]
pub(crate) struct Offered {
    pub role: Role,
    pub dsn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("The command is not known")]
    Unknown,
    /// A web client or a message instead of a command.
    #[error("This is a mail server, and that was no mail command")]
    Foreign,
    #[error("The command is not offered here")]
    NotOffered,
    #[error("This is LMTP; say LHLO")]
    NeedsLhlo,
    #[error("The command is not in UTF-8; write it in ASCII")]
    Encoding,
    /// Where its octets end nobody knows: nothing more can be read.
    #[error("BDAT takes a number of octets, and LAST with the last of them")]
    Octets,
    #[error("{0}")]
    Syntax(&'static str),
    #[error("The parameter {0}; leave it out")]
    Parameter(&'static str),
    #[error("{0}")]
    Sender(AddressError),
    #[error("{0}")]
    Recipient(AddressError),
    #[error("The address is not in ASCII; give SMTPUTF8 with MAIL")]
    NeedsUtf8,
}

impl CommandError {
    /// The reply's code and enhanced status. spec: rfc5321#4.2.4 rfc3463#3 rfc6531#3.5
    pub fn code(self) -> (u16, &'static str) {
        match self {
            Self::Unknown | Self::Encoding | Self::NeedsLhlo => (500, "5.5.2"),
            Self::Foreign => (421, "4.7.0"),
            Self::NotOffered => (502, "5.5.1"),
            Self::Syntax(_) | Self::Octets => (501, "5.5.4"),
            Self::Parameter(_) => (555, "5.5.4"),
            Self::Sender(_) => (501, "5.1.7"),
            Self::Recipient(_) => (501, "5.1.3"),
            Self::NeedsUtf8 => (553, "5.6.7"),
        }
    }
}

/// `line` is without its CRLF.
pub(crate) fn parse(line: &[u8], offered: Offered) -> Result<Command, CommandError> {
    let text = std::str::from_utf8(line).map_err(|_| CommandError::Encoding)?;
    // spec: rfc5321#4.1.1 white space before the CRLF is tolerated
    let text = text.trim_end_matches([' ', '\t']);
    let (verb, rest) = text.split_once(' ').map_or((text, None), |(verb, rest)| (verb, Some(rest)));
    let bare = |command: Command| if rest.is_none() { Ok(command) } else { Err(CommandError::Syntax("The command takes no parameter")) };
    match verb.to_ascii_uppercase().as_str() {
        // spec: rfc2033#4.1 a server of LMTP knows neither EHLO nor HELO, and no other knows LHLO
        "LHLO" if offered.role == Role::Neighbour => hello(rest, true, true),
        "EHLO" if offered.role != Role::Neighbour => hello(rest, true, false),
        "HELO" if offered.role != Role::Neighbour => hello(rest, false, false),
        "EHLO" | "HELO" => Err(CommandError::NeedsLhlo),
        "MAIL" => mail(after(rest, "FROM:")?, offered),
        "RCPT" => rcpt(after(rest, "TO:")?, offered),
        "AUTH" if offered.role == Role::Submission => auth(rest.unwrap_or_default()),
        "DATA" => bare(Command::Data),
        "BDAT" => bdat(rest.unwrap_or_default()),
        "RSET" => bare(Command::Rset),
        "QUIT" => bare(Command::Quit),
        "STARTTLS" => bare(Command::StartTls),
        "NOOP" => Ok(Command::Noop),
        "HELP" => Ok(Command::Help),
        "VRFY" if rest.is_some() => Ok(Command::Vrfy),
        "VRFY" => Err(CommandError::Syntax("VRFY needs an address")),
        "AUTH" | "ETRN" | "EXPN" | "SAML" | "SEND" | "SOML" | "TURN" => Err(CommandError::NotOffered),
        "CONNECT" | "GET" | "POST" | "PUT" => Err(CommandError::Foreign),
        word if word.len() > 1 && word.ends_with(':') => Err(CommandError::Foreign),
        _ => Err(CommandError::Unknown),
    }
}

/// Spaces after the colon are wrong and common.
fn after<'a>(rest: Option<&'a str>, word: &'static str) -> Result<&'a str, CommandError> {
    let rest = rest.unwrap_or_default();
    let head = rest.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word));
    let wrong = if word == "TO:" { "Write RCPT TO:<local@domain>" } else { "Write MAIL FROM:<local@domain>" };
    head.and_then(|head| rest.get(head.len()..)).map(|rest| rest.trim_start_matches(' ')).ok_or(CommandError::Syntax(wrong))
}

/// Names that are no domains are common and harmless; what a header could be forged with is not.
fn hello(rest: Option<&str>, extended: bool, local: bool) -> Result<Command, CommandError> {
    let name = rest.unwrap_or_default();
    let harmless = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let known = harmless && !name.is_empty() || name.starts_with('[') && Host::parse(name).is_ok();
    if !known || name.len() > 255 {
        return Err(CommandError::Syntax("Give the name of your host, or its address in brackets"));
    }
    Ok(Command::Hello(Hello { name: name.to_owned(), extended, local }))
}

fn mail(text: &str, offered: Offered) -> Result<Command, CommandError> {
    let (path, rest) = Path::parse(text).map_err(CommandError::Sender)?;
    let reverse_path = match path {
        Path::Null => None,
        Path::Mailbox(address) => Some(address),
        Path::Postmaster => return Err(CommandError::Sender(AddressError::Form)),
    };
    let Offered { role, dsn } = offered;
    let (mut size, mut body, mut smtputf8, mut require_tls, mut ret, mut envelope_id, mut on_behalf) = (None, None, None, None, None, None, None);
    for (name, value) in parameters(rest)? {
        let again = match (name.to_ascii_uppercase().as_str(), value) {
            ("SIZE", Some(value)) => size.replace(octets(value)?).is_some(),
            ("BODY", Some(value)) => body.replace(body_kind(value, role)?).is_some(),
            ("SMTPUTF8", None) => smtputf8.replace(()).is_some(),
            // spec: rfc8689#2
            ("REQUIRETLS", None) if role != Role::Neighbour => require_tls.replace(()).is_some(),
            ("RET", Some(value)) if dsn => ret.replace(Return::parse(value).ok_or(CommandError::Syntax("RET takes FULL or HDRS"))?).is_some(),
            ("ENVID", Some(value)) if dsn => envelope_id.replace(notice::envelope_id(value).ok_or(CommandError::Syntax("ENVID takes xtext"))?).is_some(),
            // spec: rfc4954#5 who wrote it first; here nobody writes for another, and it is not passed on
            ("AUTH", Some(_)) if role == Role::Submission => on_behalf.replace(()).is_some(),
            ("SIZE" | "BODY" | "SMTPUTF8", _) => return Err(CommandError::Syntax("A parameter has a value too many or too few")),
            _ => return Err(CommandError::Parameter("is not known")),
        };
        if again {
            return Err(CommandError::Syntax("A parameter stands twice"));
        }
    }
    // spec: rfc6531#3.5
    if smtputf8.is_none() && reverse_path.as_ref().is_some_and(|address| !address.is_ascii()) {
        return Err(CommandError::NeedsUtf8);
    }
    let (size, body) = (size.unwrap_or(0), body.unwrap_or(BodyKind::SevenBit));
    let (smtputf8, require_tls) = (smtputf8.is_some(), require_tls.is_some());
    Ok(Command::Mail(Mail { reverse_path, size, body, smtputf8, require_tls, ret, envelope_id }))
}

fn rcpt(text: &str, Offered { dsn, .. }: Offered) -> Result<Command, CommandError> {
    let (path, rest) = Path::parse(text).map_err(CommandError::Recipient)?;
    let (mut notify, mut original) = (None, None);
    for (name, value) in parameters(rest)? {
        let again = match (name.to_ascii_uppercase().as_str(), value) {
            ("NOTIFY", Some(value)) if dsn => {
                notify.replace(Notify::parse(value).ok_or(CommandError::Syntax("NOTIFY takes NEVER, or SUCCESS, FAILURE and DELAY with commas"))?).is_some()
            }
            ("ORCPT", Some(value)) if dsn => original.replace(Original::parse(value).ok_or(CommandError::Syntax("ORCPT takes a type, `;` and xtext"))?).is_some(),
            _ => return Err(CommandError::Parameter("is not known")),
        };
        if again {
            return Err(CommandError::Syntax("A parameter stands twice"));
        }
    }
    match path {
        Path::Null => Err(CommandError::Recipient(AddressError::Form)),
        Path::Postmaster => Ok(Command::Rcpt { recipient: Recipient::Postmaster, notify, original }),
        Path::Mailbox(address) => Ok(Command::Rcpt { recipient: Recipient::Mailbox(address), notify, original }),
    }
}

/// spec: rfc4954#4 an initial response, `=` when it is empty
fn auth(text: &str) -> Result<Command, CommandError> {
    let (mechanism, initial) = text.split_once(' ').map_or((text, None), |(mechanism, initial)| (mechanism, Some(initial)));
    if mechanism.is_empty() {
        return Err(CommandError::Syntax("AUTH needs a mechanism"));
    }
    let initial = initial.map(|text| if text == "=" { Some(Secret::new(String::new())) } else { sasl::response(text.as_bytes()) });
    Ok(Command::Auth { mechanism: mechanism.to_ascii_uppercase(), initial })
}

/// What follows a path: nothing, or parameters, each after a space. spec: rfc5321#4.1.2 Mail-parameters
fn parameters(rest: &str) -> Result<impl Iterator<Item = (&str, Option<&str>)>, CommandError> {
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err(CommandError::Syntax("A space goes between the path and its parameters"));
    }
    let words = rest.split(' ').filter(|word| !word.is_empty());
    Ok(words.map(|word| word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)))))
}

/// spec: rfc1870#3 up to 20 digits; a number too large to count is a message too large to take.
fn octets(value: &str) -> Result<usize, CommandError> {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    if digits { Ok(value.parse().unwrap_or(usize::MAX)) } else { Err(CommandError::Syntax("SIZE takes 1 to 20 digits")) }
}

/// spec: rfc3030#2
fn bdat(text: &str) -> Result<Command, CommandError> {
    let (size, last) = match text.split_once(' ') {
        None => (text, false),
        Some((size, last)) if last.eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return Err(CommandError::Octets),
    };
    let digits = (1..=20).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_digit());
    if digits { Ok(Command::Bdat { size: size.parse().unwrap_or(usize::MAX), last }) } else { Err(CommandError::Octets) }
}

fn body_kind(value: &str, role: Role) -> Result<BodyKind, CommandError> {
    match value.to_ascii_uppercase().as_str() {
        // What is passed on is sent after DATA.
        "BINARYMIME" if role != Role::Submission => Ok(BodyKind::BinaryMime),
        "7BIT" => Ok(BodyKind::SevenBit),
        "8BITMIME" => Ok(BodyKind::EightBitMime),
        _ => Err(CommandError::Parameter("BODY has a value that is not known")),
    }
}
