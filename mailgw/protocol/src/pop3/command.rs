//! Commands and their grammar. spec: rfc1939#3 rfc2449#4
use crate::sasl::{self, Secret};

/// A command with its CRLF; a SASL response may be longer. spec: rfc2449#4 rfc5034#4
pub(super) const MAX_LINE: usize = 255;
pub(super) const MAX_RESPONSE: usize = 12_288;

pub(super) enum Command {
    Capa,
    /// `None`: the client asks which mechanisms there are.
    Auth(Option<Mechanism>),
    User(String),
    Pass(Secret),
    Stls,
    Quit,
    Stat,
    List(Option<usize>),
    Uidl(Option<usize>),
    Retr(usize),
    Top { message: usize, lines: u64 },
    Dele(usize),
    Noop,
    Rset,
    /// spec: rfc6856#2.1
    Utf8,
    /// `None`: which languages there are. spec: rfc6856#3
    Lang(Option<String>),
}

/// `initial` is base64 undone, `None` in it where it was none.
pub(super) struct Mechanism {
    pub name: String,
    pub initial: Option<Option<Secret>>,
}

/// The text goes to the client after -ERR.
pub(super) fn parse(line: &[u8]) -> Result<Command, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "The command is not in UTF-8")?;
    let (verb, rest) = text.split_once(' ').map_or((text, None), |(verb, rest)| (verb, Some(rest)));
    let bare = |command| if rest.is_none_or(|rest| rest.trim().is_empty()) { Ok(command) } else { Err("The command takes no argument") };
    let number = |word: &str| word.parse::<usize>().ok().filter(|number| *number > 0).ok_or("A message has a number from 1 on");
    let perhaps = || rest.map(str::trim).filter(|rest| !rest.is_empty()).map(number).transpose();
    let needed = || perhaps()?.ok_or("The command needs the number of a message");
    match verb.to_ascii_uppercase().as_str() {
        "CAPA" => bare(Command::Capa),
        "QUIT" => bare(Command::Quit),
        "STAT" => bare(Command::Stat),
        "NOOP" => bare(Command::Noop),
        "RSET" => bare(Command::Rset),
        "STLS" => bare(Command::Stls),
        "UTF8" => bare(Command::Utf8),
        "LANG" => Ok(Command::Lang(rest.map(str::trim).filter(|rest| !rest.is_empty()).map(str::to_owned))),
        "LIST" => Ok(Command::List(perhaps()?)),
        "UIDL" => Ok(Command::Uidl(perhaps()?)),
        "RETR" => Ok(Command::Retr(needed()?)),
        "DELE" => Ok(Command::Dele(needed()?)),
        "TOP" => {
            let (message, lines) = rest.unwrap_or_default().trim().split_once(' ').ok_or("Write TOP, the number of a message, and how many lines")?;
            Ok(Command::Top { message: number(message)?, lines: lines.trim().parse().map_err(|_| "Write how many lines in digits")? })
        }
        "USER" => rest.map(str::trim).filter(|user| !user.is_empty()).map(|user| Command::User(user.to_owned())).ok_or("USER needs a name"),
        // spec: rfc1939#7 spaces are of the password
        "PASS" => rest.map(|password| Command::Pass(Secret::new(password.to_owned()))).ok_or("PASS needs a password"),
        "AUTH" => Ok(Command::Auth(rest.map(str::trim).filter(|rest| !rest.is_empty()).map(mechanism))),
        "APOP" => Err("APOP is not offered: it needs passwords kept as they are"),
        _ => Err("The command is not known"),
    }
}

fn mechanism(text: &str) -> Mechanism {
    let (name, initial) = text.split_once(' ').map_or((text, None), |(name, initial)| (name, Some(initial.trim())));
    Mechanism { name: name.to_ascii_uppercase(), initial: initial.map(|initial| sasl::response(initial.as_bytes())) }
}
