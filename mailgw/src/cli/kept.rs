//! `mailgw mailbox verified | deleted | undelete | hold`: what a mailbox keeps beside what its owner sees.

use std::path::PathBuf;

use clap::Subcommand;
use runtime::exit::{Exit, Problem};
use runtime::terminal::line;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::flow::hold::{ShownHold, Word};
use super::found::{read_text, signed_request};
use crate::service::{NewRules, Operation, ShownDeleted, ShownVerified};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the messages that are marked as a bureau's: the newest of each folder.
    #[command(after_help = "Example:\n  mailgw mailbox verified 1234567897 --limit 20")]
    Verified {
        mailbox: String,
        /// At most this many of each folder.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Rules by which mail goes into folders, one a line: an address, or `@` and a domain, and a folder that is there. Owners set the same
    /// with their mail program, as the annotation /private/vendor/suiyin/rules.
    #[command(after_help = "Examples:\n  mailgw mailbox rules 1234567897 --set rules.txt      # gjj@mail.example.cn 公积金\n  mailgw mailbox rules 1234567897")]
    Rules {
        mailbox: String,
        #[arg(long, value_name = "FILE", conflicts_with = "clear")]
        set: Option<PathBuf>,
        #[arg(long)]
        clear: bool,
    },
    /// List what its owner deleted and can have back.
    #[command(after_help = "Example:\n  mailgw mailbox deleted 1234567897 --since 2026-11-01T00:00:00+08:00")]
    Deleted {
        mailbox: String,
        /// Of this folder alone.
        #[arg(long)]
        folder: Option<String>,
        /// Deleted since then, RFC 3339.
        #[arg(long)]
        since: Option<String>,
    },
    /// Put deleted messages back where they were, at their owner's request.
    #[command(after_help = "Example:\n  mailgw mailbox undelete 1234567897 --since 2026-11-01T00:00:00+08:00 --request 'counter 12, 2026-11-29, form 77'")]
    Undelete {
        mailbox: String,
        #[arg(long)]
        folder: Option<String>,
        /// Deleted since then, RFC 3339.
        #[arg(long)]
        since: Option<String>,
        /// Where the owner's request is kept; its digest stands in the log.
        #[arg(long)]
        request: String,
    },
    /// Legal holds: show them, set one by a named authority's word, end one by the same authority's, for which two officers signed within a
    /// day and since it was set. While one lasts nothing of the mailbox is deleted for good, nor of what is remembered of pushes to it.
    #[command(after_help = "Examples:\n  mailgw mailbox hold 1234567897 --authority 广州市中级人民法院 --reason '(2026)粤01执123号' --until 2027-01-01T00:00:00+08:00\n  mailgw mailbox hold 1234567897\n  openssl cms -sign -binary -in lift.json -signer officer.pem -inkey officer.key -certfile issuers.pem -outform PEM -out a.p7s   # each of two officers\n  mailgw mailbox hold 1234567897 --lift lift.json --approval a.p7s --approval b.p7s\n\nThe request, lift.json:\n  {\"kind\": \"suiyin mailbox hold lift v1\", \"mailbox\": \"1234567897@mail.example.cn\", \"hold\": 1, \"authority\": \"广州市中级人民法院\",\n   \"reason\": \"(2026)粤01执124号\", \"papers\": \"where they are\"}")]
    Hold {
        mailbox: String,
        #[arg(long, requires = "reason")]
        authority: Option<String>,
        #[arg(long, requires = "authority")]
        reason: Option<String>,
        /// When it ends by itself, RFC 3339, within ten years; without it when it is lifted.
        #[arg(long, requires = "authority")]
        until: Option<String>,
        /// End a hold: the request as JSON, whose authority is the one that set it.
        #[arg(long, value_name = "FILE", requires = "approval", conflicts_with = "authority")]
        lift: Option<PathBuf>,
        /// PEM: an officer's detached signature over the request, with the officer's certificate and its issuers; twice.
        #[arg(long, value_name = "FILE", requires = "lift")]
        approval: Vec<PathBuf>,
    },
}

pub fn operation(command: Command) -> Result<Operation, Problem> {
    Ok(match command {
        Command::Verified { mailbox, limit } => Operation::MailboxVerified { mailbox, limit },
        Command::Rules { mailbox, set, clear } => {
            let text = set.map(|file| read_text(&file)).transpose()?;
            let set = (clear || text.is_some()).then_some(NewRules { text });
            Operation::MailboxRules { mailbox, set }
        }
        Command::Deleted { mailbox, folder, since } => Operation::MailboxDeleted { mailbox, folder, since: moment(since.as_deref())? },
        Command::Undelete { mailbox, folder, since, request } => Operation::MailboxUndelete { mailbox, folder, since: moment(since.as_deref())?, request },
        Command::Hold { mailbox, lift: Some(lift), approval, .. } => Operation::MailboxHoldLift { mailbox, lift: signed_request(&lift, &approval)? },
        Command::Hold { mailbox, authority, reason, until, .. } => {
            let until_unix_millis = moment(until.as_deref())?;
            let word = authority.zip(reason).map(|(authority, reason)| Word { authority, reason, until_unix_millis });
            Operation::MailboxHold { mailbox, word }
        }
    })
}

fn moment(text: Option<&str>) -> Result<Option<u64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Problem::new(Exit::Usage, "time", format!("{:?} is no time", text.chars().take(40).collect::<String>()), "write it as 2026-11-01T00:00:00+08:00"))?;
    Ok(Some(crate::gateway::unix_millis(parsed)))
}

pub(super) fn shown(unix_millis: u64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(i64::try_from(unix_millis / 1_000).unwrap_or(0)).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| unix_millis.to_string())
}

pub fn verified(messages: &[ShownVerified]) -> Result<(), Problem> {
    if messages.is_empty() {
        return line("no message is marked");
    }
    messages.iter().try_for_each(|one| line(&format!("{:<12} {:>8}  {}  {}", one.folder, one.uid, shown(one.unix_millis), one.bureau)))
}

pub fn deleted(messages: &[ShownDeleted]) -> Result<(), Problem> {
    if messages.is_empty() {
        return line("nothing that was deleted is kept");
    }
    messages.iter().try_for_each(|one| line(&format!("{:<12} {:>8}  {}  {:>10} bytes  sha256 {}", one.folder, one.uid, shown(one.unix_millis), one.size, one.digest)))
}

pub fn holds(holds: &[ShownHold]) -> Result<(), Problem> {
    if holds.is_empty() {
        return line("no hold");
    }
    holds.iter().try_for_each(|hold| {
        let state = match hold.lifted_unix_millis {
            Some(at) if hold.lifted_by.is_empty() => format!("lifted {}", shown(at)),
            Some(at) => format!("lifted {} by officers {}", shown(at), hold.lifted_by.join(", ")),
            None if hold.holds => "holds".to_owned(),
            None => "over".to_owned(),
        };
        let until = hold.until_unix_millis.map_or_else(|| "it is lifted".to_owned(), shown);
        line(&format!("{:>3}  until {until}  {state}  {}  {}", hold.number, hold.authority, hold.reason))
    })
}
