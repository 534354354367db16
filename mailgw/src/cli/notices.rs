//! `mailgw mailbox notices`: where the owner of a mailbox is told that something arrived.

use clap::{Args, ValueEnum};
use runtime::exit::Problem;
use runtime::terminal::line;

use super::kept::shown as time_shown;
use super::mailbox::first_line;
use crate::flow::notification::{Shown, Word};
use crate::record::notification::Channel;
use crate::service::Operation;

#[derive(Debug, Args)]
#[group(multiple = false, id = "said")]
pub struct Said {
    /// A mobile number, 13800138000 or +85291234567; `-` reads it from standard input, where no list of processes shows it. A code is sent there.
    #[arg(long)]
    phone: Option<String>,
    /// An address outside of this domain. A code is sent there.
    #[arg(long)]
    mail: Option<String>,
    /// The code that came there.
    #[arg(long)]
    code: Option<String>,
    /// Tell nothing any more.
    #[arg(long, value_name = "WAY")]
    withdraw: Option<Way>,
    /// `on`: of ordinary mail too; `off`: of what bureaus push alone.
    #[arg(long)]
    every_mail: Option<Switch>,
}

#[derive(Debug, Args)]
pub struct Notices {
    mailbox: String,
    #[command(flatten)]
    said: Said,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    Phone,
    Mail,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub fn operation(Notices { mailbox, said }: Notices) -> Result<Operation, Problem> {
    let word = match said {
        Said { phone: Some(phone), .. } => {
            let address = if phone == "-" { first_line(std::io::stdin().lock(), "standard input")? } else { phone };
            Some(Word::Name { channel: Channel::Text, address })
        }
        Said { mail: Some(address), .. } => Some(Word::Name { channel: Channel::Mail, address }),
        Said { code: Some(code), .. } => Some(Word::Confirm { code }),
        Said { withdraw: Some(way), .. } => Some(Word::Withdraw {
            channel: match way {
                Way::Phone => Some(Channel::Text),
                Way::Mail => Some(Channel::Mail),
                Way::All => None,
            },
        }),
        Said { every_mail: Some(switch), .. } => Some(Word::EveryMail { on: switch == Switch::On }),
        _ => None,
    };
    Ok(Operation::MailboxNotices { mailbox, word })
}

pub fn shown(shown: &Shown) -> Result<(), Problem> {
    line(&format!("address     {}", shown.address))?;
    if shown.places.is_empty() {
        return line("told        nowhere");
    }
    for place in &shown.places {
        let way = if place.channel == Channel::Text { "phone" } else { "mail" };
        let (word, at) = (if place.state == "confirmed" { "since" } else { "code sent, good until" }, time_shown(place.unix_millis));
        line(&format!("{way:<11} {}  {word} {at}", place.masked))?;
    }
    line(&format!("every mail  {}", if shown.every_mail { "yes" } else { "no, what bureaus push alone" }))
}
