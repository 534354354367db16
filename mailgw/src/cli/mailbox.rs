//! `mailgw mailbox …`: who has a mailbox.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line, word};
use serde_json::json as object;

use super::ask::{Place, ask, ask_long};
use super::found::{absolute, read_text};
use super::opening::Seen;
use crate::directory::{ImportedRow, Kind, Page, Query, RowState, ShownFormerName, ShownMailbox, State, Words};
use crate::flow::consent::{Consents, Offer};
use crate::flow::enrolment::{Agreed, Word};
use crate::flow::opening::renaming::Renaming;
use crate::service::{LongOperation, Operation, Outcome, Told, TypedPassword};

/// Longer than any password or document number.
const MAX_LINE: u64 = 4_096;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open a mailbox for a citizen (a document) or an institution (a credit code); a password is made unless one is given.
    #[command(after_help = "Examples:\n  mailgw mailbox open --id-type 01 --id-no - --name 测试甲 --alias jia < number.txt\n  mailgw mailbox open --code 12440100000000123A --name 广州住房公积金管理中心 --alias gjj")]
    Open {
        /// 01 resident identity card, 03 passport, 04 foreigner's permanent residence, 05 residence permit of Hong Kong, Macao and Taiwan residents …
        #[arg(long)]
        id_type: Option<String>,
        /// The document's number; `-` reads it from standard input, where no list of processes shows it.
        #[arg(long)]
        id_no: Option<String>,
        #[arg(long)]
        name: String,
        /// Unified social credit code of an institution.
        #[arg(long)]
        code: Option<String>,
        /// A name beside the number; may be repeated, by a citizen as often as policies/mailbox/aliases.toml says.
        #[arg(long)]
        alias: Vec<String>,
        /// The operator's own institution: it may have names such as `postmaster`.
        #[arg(long)]
        operator: bool,
        /// A file whose first line is the password.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Apply for a citizen's mailbox with a proof of identity, as over the network: two rules grade it (policies/mailbox/opening.toml).
    #[command(after_help = "Example:\n  mailgw mailbox apply application.json\n\nThe application:\n  {\"key\": \"22 to 128 random letters and digits\", \"id_type\": \"01\", \"id_no\": \"…\", \"name\": \"测试甲\", \"password\": \"…\",\n   \"evidence\": [{\"kind\": \"document-front\", \"sha256\": \"…\"}],\n   \"assertion\": {\"text\": \"a card registry's word, see `mailgw registry set --help`\", \"signature\": \"PEM\"},\n   \"signature\": \"PEM: the text of `--text`, signed with the certificate of an own mailbox\"}\n\nOver HTTPS (`mailgw init --applications ADDR`): POST it to /v1/applications; GET or DELETE the path in the answer.")]
    Apply(super::opening::Apply),
    /// Applications that wait for an operator, and what became of others.
    #[command(subcommand)]
    Application(super::opening::Command),
    /// Open mailboxes from a CSV file: `id_type,id_no,name` or `uscc,name,alias`. Running it again changes nothing.
    #[command(after_help = "Example:\n  mailgw mailbox import people.csv --out accounts.csv")]
    Import {
        file: PathBuf,
        /// Write address and password of each mailbox opened now here (mode 0600), as CSV.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// A further document of a mailbox's owner, such as a renewed card: either finds the mailbox from then on, and counts in a recovery some
    /// days later (`document_days` in policies/mailbox/limits.toml). With it a document is shown that the mailbox holds, since a name alone is
    /// others' too; where none can be shown any more, two officers sign. The two rules of opening grade what you saw
    /// (policies/mailbox/opening.toml), and the owner is told. `--withdraw` takes away one that was another's or taken in by mistake: on one
    /// word while it does not count and one word took it in, with two officers' signatures otherwise, which end a recovery under way.
    #[command(after_help = "Examples:\n  mailgw mailbox document 1234567897 --id-type 03 --name 测试甲 --held 01 --document original --person present --papers 'counter 12, form 93' < numbers.txt   # the new document's number, the held one's\n  (read -r number; read -r name; printf '%s\\n' \"$number\" \"$name\" \"$(openssl rand -hex 16)\") > document.txt && sha256sum document.txt   # its number, the name on it and a salt, for the request\n  openssl cms -sign -binary -in request.json -signer officer.pem -inkey officer.key -certfile issuers.pem -outform PEM -out a.p7s   # each of two officers, who saw the document and made the same digest\n  mailgw mailbox document 1234567897 --id-type 03 --request request.json --approval a.p7s --approval b.p7s --document original --person present --papers 'counter 12, form 93' < document.txt\n  mailgw mailbox document 1234567897 --withdraw --id-type 03 --name 测试甲 --papers 'counter 12, form 94' < number.txt   # one that was taken in lately\n  mailgw mailbox document 1234567897 --withdraw --id-type 03 --request request.json --approval a.p7s --approval b.p7s --papers 'counter 12, form 94' < document.txt   # any but the last\n\nThe request:\n  {\"kind\": \"suiyin mailbox document v1\", \"mailbox\": \"1234567897@mail.example.cn\", \"id_type\": \"03\", \"document\": \"SHA-256 of document.txt\",\n   \"proof\": \"passport read by chip, face compared, card lost abroad\", \"papers\": \"where they are\"}\n  and for a withdrawal \"kind\": \"suiyin mailbox document withdrawal v1\", with the name of the mailbox's owner in document.txt")]
    Document(Box<super::further_document::Document>),
    /// A further name of a person or an institution beside the number, never given to anybody else; how many a citizen may have is in
    /// policies/mailbox/aliases.toml. The owner is told. App passwords made before know it for programs that
    /// send the password itself; for SCRAM make new ones.
    #[command(after_help = "Example:\n  mailgw mailbox alias 2234567898 school-9")]
    Alias { mailbox: String, name: String },
    /// The holder has another name: a company that its registry renamed, a person with another legal name. The two rules of opening grade
    /// what you saw (policies/mailbox/opening.toml); the name of before is kept and shown. Rows of statements under the old name are kept back
    /// (`V10`) until their bureau sends the new one.
    #[command(after_help = "Examples:\n  mailgw mailbox rename 2234567898 --code 91440101MAT000018G --name 广州新名有限公司 --document original --person present --papers 'counter 12, form 91'\n  mailgw mailbox rename 1234567897 --id-type 01 --name 测试乙 --document original --person present --papers 'counter 12, form 92' < number.txt")]
    Rename(Box<Rename>),
    /// Show one mailbox, by its number, address or alias.
    #[command(after_help = "Example:\n  mailgw mailbox show 1234567897")]
    Show { mailbox: String },
    /// List mailboxes.
    #[command(after_help = "Example:\n  mailgw mailbox list --kind institution --state open --json")]
    List {
        #[arg(long)]
        kind: Option<Kind>,
        #[arg(long)]
        state: Option<State>,
        /// At most this many, up to 1000.
        #[arg(long)]
        limit: Option<usize>,
        /// Go on after this number.
        #[arg(long)]
        after: Option<String>,
    },
    /// Close a mailbox for ever: no mail, no login, and its number is never given again.
    #[command(after_help = "Example:\n  mailgw mailbox close 1234567897")]
    Close { mailbox: String },
    /// Make the search index of a mailbox anew. Searches go on meanwhile and miss nothing.
    #[command(after_help = "Example:\n  mailgw mailbox reindex 1234567897")]
    Reindex { mailbox: String },
    /// The mail certificate of a citizen's mailbox: show it, have one issued, take in a renewed one, or have all end. Whoever stands
    /// at the counter was seen to own the mailbox.
    #[command(after_help = "Examples:\n  mailgw mailbox certificate 1234567897 --request r.csr --out c.pem\n  mailgw mailbox certificate 1234567897\n  mailgw mailbox certificate 1234567897 --take renewed.pem\n  mailgw mailbox certificate 1234567897 --withdraw key-compromise")]
    Certificate {
        mailbox: String,
        /// PKCS#10, PEM, as `openssl req -new` makes it on the owner's own machine.
        #[arg(long, value_name = "FILE")]
        request: Option<PathBuf>,
        /// Write the certificate and its issuers here too.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// PEM: the certificate that its owner renewed at the authority, and its issuers.
        #[arg(long, value_name = "FILE", conflicts_with = "request")]
        take: Option<PathBuf>,
        /// superseded, key-compromise or cessation-of-operation.
        #[arg(long, value_name = "REASON", conflicts_with_all = ["request", "take", "out"])]
        withdraw: Option<String>,
    },
    /// Statements encrypted to the owner's own certificate: show what holds, or record the owner's word.
    #[command(after_help = "Example:\n  mailgw mailbox encryption 1234567897 --on\n  mailgw mailbox encryption 1234567897")]
    Encryption {
        mailbox: String,
        /// From the next statement on, while the certificate is good.
        #[arg(long, conflicts_with = "off")]
        on: bool,
        #[arg(long)]
        off: bool,
    },
    /// Consent of a mailbox's owner to the kinds that a sender may send with consent alone: show it, record it, take it back.
    #[command(after_help = "Examples:\n  mailgw mailbox consent 1234567897\n  mailgw mailbox consent 1234567897 --kind utility-bill --give\n  mailgw mailbox consent 1234567897 --sender gz-gas --kind utility-bill --give\n  mailgw mailbox consent 1234567897 --kind utility-bill --withdraw\n  mailgw mailbox consent 1234567897 --sender gz-gas --withdraw\n  mailgw mailbox consent 1234567897 --withdraw --all")]
    Consent {
        mailbox: String,
        /// The sender's code in the register of bureaus. Without it, what is said is of the one sender of the kind; shown or taken back, of all senders.
        #[arg(long)]
        sender: Option<String>,
        /// One kind; where none is named, all of the sender's that ask for consent.
        #[arg(long)]
        kind: Option<String>,
        #[arg(long, conflicts_with = "withdraw")]
        give: bool,
        /// Of the kind or of the sender that is named, or with `--all` of everything.
        #[arg(long)]
        withdraw: bool,
        /// Whatever was consented to, of every sender.
        #[arg(long, requires = "withdraw", conflicts_with_all = ["sender", "kind"])]
        all: bool,
    },
    /// The token by which a sender names a mailbox without a document's number: the same until it is withdrawn, another for
    /// each sender.
    #[command(after_help = "Examples:\n  mailgw mailbox enrol 1234567897 --sender gz-gas\n  mailgw mailbox enrol 1234567897 --sender gz-gas --withdraw\n\nThe sender writes the token into its rows as id_type=token,id_no=TOKEN, with the owner's name.")]
    Enrol {
        mailbox: String,
        /// The sender's code in the register of bureaus.
        #[arg(long)]
        sender: String,
        #[arg(long)]
        withdraw: bool,
    },
    /// Passwords for one mail program each, beside the mailbox's own.
    #[command(subcommand)]
    AppPassword(super::app_password::Command),
    /// Several persons in an institution's mailbox, each with app passwords of their own (`app-password new --operator N`), or logging in by
    /// the certificate of their own mailbox in the institution's name. Which of them sent a message is known here and told to nobody.
    #[command(subcommand)]
    Operator(super::operator::Command),
    /// A new password for a citizen or an institution that lost every way into its mailbox: by a new proof of identity that two officers
    /// signed for, after a cooling-off that a login with a password, a program's too, or a certificate ends, and one by a token does not. A
    /// document that the counter took in lately proves nothing yet. Without more: show what is under way.
    #[command(after_help = "Examples:\n  (read -r number; read -r name; printf '%s\\n' \"$number\" \"$name\" \"$(openssl rand -hex 16)\") > document.txt && sha256sum document.txt   # a citizen's document: its number, the name on it and a salt, for the request\n  openssl cms -sign -binary -in request.json -signer officer.pem -inkey officer.key -certfile issuers.pem -outform PEM -out a.p7s   # each of two officers, who saw the papers and made the same digest\n  mailgw mailbox recover 1234567897 --request request.json --approval a.p7s --approval b.p7s --id-type 01 < document.txt\n  mailgw mailbox recover 2234567898 --request request.json --approval a.p7s --approval b.p7s --code 91440101MAT000018G --name 广州示范有限公司\n  mailgw mailbox recover 1234567897 --complete\n\nThe request:\n  {\"kind\": \"suiyin mailbox recovery v1\", \"mailbox\": \"1234567897@mail.example.cn\", \"proof\": \"card read by chip, face compared\", \"papers\": \"where they are\",\n   \"owner\": {\"citizen\": {\"id_type\": \"01\", \"document\": \"SHA-256 of document.txt\"}}}\n  or \"owner\": {\"institution\": {\"code\": \"91440101MAT000018G\", \"name\": \"广州示范有限公司\"}},\n  and \"withdrawn\": true, where the counter withdrew its password: then the cooling-off is longer (policies/mailbox/limits.toml)")]
    Recover(Box<super::recovery::Recover>),
    /// A phone or another mailbox that is told that something arrived, and nothing of what: show where, or record the owner's word. A code is
    /// sent there first, and the owner says it. Owners do the same by mail to `notice@` the domain. Of places that are changed here they are told in
    /// their mailbox, and a place that is withdrawn or replaced here is told so for the last time.
    #[command(after_help = "Examples:\n  mailgw mailbox notices 1234567897 --phone - < number.txt\n  mailgw mailbox notices 1234567897 --mail name@example.cn\n  mailgw mailbox notices 1234567897 --code 012345\n  mailgw mailbox notices 1234567897 --every-mail on\n  mailgw mailbox notices 1234567897 --withdraw phone\n  mailgw mailbox notices 1234567897")]
    Notices(super::notices::Notices),
    #[command(flatten)]
    Archive(super::archive::Command),
    #[command(flatten)]
    Kept(super::kept::Command),
    /// A new password for a mailbox that nobody has logged in to, whose letter was lost, say; one is made unless one is given. After the
    /// first login there is `recover`. A password that a thief has is withdrawn before it; its owner ends no recovery with it then, which so
    /// takes longer.
    #[command(after_help = "Examples:\n  mailgw mailbox password 1234567897\n  mailgw mailbox password 1234567897 --withdraw --withdraw-app-passwords     # nobody logs in by one any more; certificates and tokens stand")]
    Password {
        mailbox: String,
        /// A file whose first line is the password.
        #[arg(long, value_name = "FILE", conflicts_with = "withdraw")]
        password_file: Option<PathBuf>,
        /// The present one opens nothing any more, and who is logged in is logged out; none takes its place.
        #[arg(long)]
        withdraw: bool,
        /// Withdraw the mailbox's app passwords as well.
        #[arg(long)]
        withdraw_app_passwords: bool,
    },
}

#[derive(Debug, Args)]
pub struct Rename {
    mailbox: String,
    /// An institution's credit code, which stays.
    #[arg(long, required_unless_present = "id_type", conflicts_with = "id_type")]
    code: Option<String>,
    /// As for `open`: a document of the person's that the mailbox knows; its number is read from standard input.
    #[arg(long)]
    id_type: Option<String>,
    /// As the papers say now.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    seen: Seen,
}

impl Rename {
    fn operation(self) -> Result<Operation, Problem> {
        let id_no = self.id_type.is_some().then(|| first_line(std::io::stdin().lock(), "standard input")).transpose()?;
        let holder = Words { id_type: self.id_type, id_no, name: Some(self.name), code: self.code, ..Words::default() };
        Ok(Operation::MailboxRename(Box::new(Renaming { mailbox: self.mailbox, holder, findings: self.seen.findings()? })))
    }
}

pub fn run(place: &Place, command: Command) -> Result<(), Problem> {
    let operation = match command {
        Command::Open { id_type, id_no, name, code, alias, operator, password_file } => {
            let id_no = match id_no.as_deref() {
                Some("-") => Some(first_line(std::io::stdin().lock(), "standard input")?),
                _ => id_no,
            };
            let applicant = Words { id_type, id_no, name: Some(name), code, aliases: alias, operator };
            Operation::MailboxOpen { applicant, password: password(password_file.as_deref())? }
        }
        Command::Document(document) => super::further_document::operation(*document)?,
        Command::Alias { mailbox, name } => Operation::MailboxAlias { mailbox, name },
        Command::Rename(rename) => rename.operation()?,
        Command::Import { file, out } => return import(place, &file, out.as_deref()),
        Command::Reindex { mailbox } => return reindex(place, mailbox),
        Command::AppPassword(command) => super::app_password::operation(command),
        Command::Operator(command) => super::operator::operation(command)?,
        Command::Apply(apply) => super::opening::apply(&apply)?,
        Command::Application(command) => super::opening::operation(command)?,
        Command::Recover(recover) => super::recovery::operation(*recover)?,
        Command::Notices(notices) => super::notices::operation(notices)?,
        Command::Archive(command) => return super::archive::run(place, command),
        Command::Kept(command) => super::kept::operation(command)?,
        Command::Show { mailbox } => Operation::MailboxShow { mailbox },
        Command::List { kind, state, limit, after } => Operation::MailboxList(Query { kind, state, limit, after }),
        Command::Close { mailbox } => Operation::MailboxClose { mailbox },
        Command::Encryption { mailbox, on, off } => Operation::MailboxEncryption { mailbox, on: on.then_some(true).or(off.then_some(false)) },
        // A forgotten flag takes nothing back that nobody named.
        Command::Consent { sender: None, kind: None, withdraw: true, all: false, .. } => {
            return Err(Problem::new(Exit::Usage, "kind", "it is not said which consent is taken back", "name --kind, --sender or both; everything of every sender is --all"));
        }
        Command::Consent { mailbox, sender: None, kind, give, withdraw, .. } => Operation::MailboxConsents { mailbox, kind, give: give.then_some(true).or(withdraw.then_some(false)) },
        Command::Consent { mailbox, sender: Some(sender), kind, give, withdraw, .. } => {
            let word = if give { Some(Word::GiveConsent(kind)) } else { withdraw.then_some(Word::WithdrawConsent(kind)) };
            Operation::MailboxAgreement { mailbox, bureau: sender, word }
        }
        Command::Enrol { mailbox, sender, withdraw } => {
            let word = if withdraw { Word::WithdrawToken } else { Word::Enrol };
            Operation::MailboxAgreement { mailbox, bureau: sender, word: Some(word) }
        }
        Command::Certificate { mailbox, request, out, take, withdraw } => {
            let operation = match (request, take, withdraw) {
                (Some(request), ..) => Operation::MailboxCertify { mailbox, request: read_text(&request)? },
                (_, Some(pem), _) => Operation::MailboxCertificateTake { mailbox, pem: read_text(&pem)? },
                (.., Some(reason)) => Operation::MailboxCertificateWithdraw { mailbox, reason },
                _ => Operation::MailboxCertificate { mailbox },
            };
            let outcome = ask(place, operation)?;
            if let (Outcome::Certificate(shown), Some(out)) = (&outcome, &out) {
                std::fs::write(out, &shown.pem).map_err(|error| Problem::new(Exit::Unavailable, "file", format!("{}: {error}", out.display()), "ask again without --request: it is kept"))?;
            }
            return super::print::outcome(&outcome, place.json);
        }
        Command::Password { mailbox, withdraw: true, withdraw_app_passwords, .. } => Operation::MailboxPasswordWithdraw { mailbox, app_passwords: withdraw_app_passwords },
        Command::Password { mailbox, password_file, withdraw_app_passwords, .. } => {
            Operation::MailboxPassword { mailbox, password: password(password_file.as_deref())?, app_passwords: withdraw_app_passwords }
        }
    };
    super::print::outcome(&ask(place, operation)?, place.json)
}

pub(super) fn password(file: Option<&Path>) -> Result<Option<TypedPassword>, Problem> {
    let Some(path) = file else { return Ok(None) };
    let failed = |error: std::io::Error| Problem::new(Exit::Usage, "password-file", format!("{} cannot be read: {error}", path.display()), "check the path");
    let opened = std::fs::File::open(path).map_err(failed)?;
    first_line(std::io::BufReader::new(opened), &path.display().to_string()).map(|line| Some(TypedPassword::new(line)))
}

pub(super) fn first_line(reader: impl BufRead, name: &str) -> Result<String, Problem> {
    let mut line = String::new();
    let read = reader.take(MAX_LINE).read_line(&mut line);
    read.map_err(|error| Problem::new(Exit::Usage, "input", format!("{name} cannot be read: {error}"), "check what it holds"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[derive(Default)]
struct Tally {
    opened: u64,
    exists: u64,
    closed: u64,
    refused: u64,
}

impl Tally {
    fn count(&mut self, state: &RowState) {
        match state {
            RowState::Opened => self.opened += 1,
            RowState::Exists => self.exists += 1,
            RowState::Closed => self.closed += 1,
            RowState::Refused => self.refused += 1,
        }
    }

    fn text(&self) -> String {
        format!("{} opened, {} exist already, {} were closed, {} refused", self.opened, self.exists, self.closed, self.refused)
    }
}

fn import(place: &Place, file: &Path, out: Option<&Path>) -> Result<(), Problem> {
    let mut accounts = out.map(Accounts::create).transpose()?;
    let (mut tally, mut rows, mut failed) = (Tally::default(), Vec::new(), None);
    let done = ask_long(place, LongOperation::MailboxImport { file: absolute(file)? }, |told| {
        let Told::Imported(imported) = told else { return };
        for row in imported {
            tally.count(&row.state);
            if let Some(accounts) = &mut accounts
                && let Err(error) = accounts.write(&row)
            {
                failed.get_or_insert(error);
            }
            // Without a file the passwords go to the screen; with one only what was refused does.
            if accounts.is_none() || matches!(row.state, RowState::Refused | RowState::Closed) {
                rows.push(row);
            }
        }
        place.progress(&format!("importing: {}", tally.text()), false);
    });
    place.progress(&format!("import: {}", tally.text()), true);
    if let Some(accounts) = accounts {
        accounts.finish()?;
    }
    done?;
    if let Some(error) = failed {
        return Err(error);
    }
    if place.json {
        let told = object!({ "opened": tally.opened, "exists": tally.exists, "closed": tally.closed, "refused": tally.refused, "rows": rows });
        return json(&told);
    }
    rows.iter().try_for_each(|row| line(&shown(row)))
}

fn reindex(place: &Place, mailbox: String) -> Result<(), Problem> {
    let (mut last, mut count) = (false, 0);
    let outcome = ask_long(place, LongOperation::MailboxReindex { mailbox }, |told| {
        let Told::Indexed { done, all } = told else { return };
        (last, count) = (done == all, done);
        place.progress(&format!("indexing: {done} of {all} messages"), last);
    })?;
    if place.json { json(&object!({ "indexed": count, "whole": last || count == 0 })) } else { super::print::outcome(&outcome, false) }
}

fn shown(row: &ImportedRow) -> String {
    let address = row.address.as_deref().unwrap_or("-");
    let rest = row.password.as_ref().map_or_else(|| row.reason.clone().unwrap_or_default(), |password| password.expose().to_owned());
    format!("line {:<6} {:<8} {address}  {rest}", row.line, word(&row.state))
}

/// The file that tells owners their address and first password.
struct Accounts {
    path: PathBuf,
    file: std::io::BufWriter<std::fs::File>,
}

impl Accounts {
    fn create(path: &Path) -> Result<Self, Problem> {
        use std::os::unix::fs::OpenOptionsExt;
        let failed = |error: std::io::Error| {
            let next = "name a file that does not exist: passwords told once are never overwritten";
            Problem::new(Exit::Conflict, "accounts-file", format!("{} cannot be made: {error}", path.display()), next)
        };
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let mut this = Self { path: path.to_owned(), file: std::io::BufWriter::new(file) };
        writeln!(this.file, "address,password\r").map_err(|error| this.failed(&error))?;
        Ok(this)
    }

    fn failed(&self, error: &std::io::Error) -> Problem {
        let next = "set new passwords with `mailgw mailbox password` where they were lost";
        Problem::new(Exit::Unavailable, "accounts-file", format!("{}: {error}", self.path.display()), next)
    }

    fn write(&mut self, row: &ImportedRow) -> Result<(), Problem> {
        let (Some(address), Some(password)) = (&row.address, &row.password) else { return Ok(()) };
        writeln!(self.file, "{address},{}\r", password.expose()).map_err(|error| self.failed(&error))
    }

    fn finish(mut self) -> Result<(), Problem> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.map_err(|error| self.failed(&error))
    }
}

pub fn mailbox(mailbox: &ShownMailbox, password: Option<&str>) -> Result<(), Problem> {
    line(&format!("address   {}", mailbox.address))?;
    if let Some(password) = password {
        line(&format!("password  {password}    (told once)"))?;
    }
    for alias in &mailbox.aliases {
        line(&format!("alias     {alias}"))?;
    }
    line(&format!("state     {}", word(&mailbox.state)))?;
    line(&format!("holder    {} ({})", mailbox.name, word(&mailbox.kind)))?;
    for ShownFormerName { name, until, document, person } in &mailbox.former_names {
        line(&format!("formerly  {name}, until {until} (the change was proved by {})", document.iter().chain(person).map(String::as_str).collect::<Vec<_>>().join(", ")))?;
    }
    if let Some(code) = &mailbox.code {
        line(&format!("code      {code}"))?;
    }
    for document in &mailbox.documents {
        let added = document.added_at.as_ref().map(|at| format!(", taken in {at}")).unwrap_or_default();
        line(&format!("document  {} {}{added}", document.id_type, document.masked))?;
    }
    for operator in &mailbox.operators {
        line(&format!("operator  {}", super::operator::shown(operator)))?;
    }
    line(&format!("opened    {}", mailbox.opened_at))?;
    if let Some(at) = &mailbox.password_withdrawn_at {
        line(&format!("password  withdrawn {at}"))?;
    }
    if let Some(at) = &mailbox.closed_at {
        line(&format!("closed    {at}"))?;
    }
    let Some(holds) = &mailbox.holds else { return Ok(()) };
    line(&format!("holds     {} messages, {} of {} bytes", holds.messages, holds.bytes, holds.limit_bytes))?;
    line(&format!("verified  {} messages", holds.verified))?;
    line(&format!("deleted   {} messages are kept", holds.deleted))?;
    if holds.legal_holds > 0 { line(&format!("held      by {} authorities: nothing is deleted for good", holds.legal_holds)) } else { Ok(()) }
}

pub fn agreed(agreed: &Agreed) -> Result<(), Problem> {
    line(&format!("address  {}", agreed.address))?;
    line(&format!("sender   {}", agreed.bureau))?;
    line(&format!("consent  {}", if agreed.consent { format!("given to {}", agreed.kinds.join(", ")) } else { "not given".to_owned() }))?;
    line(&format!("token    {}", agreed.token.as_deref().unwrap_or("none")))
}

pub fn consents(consents: &Consents) -> Result<(), Problem> {
    line(&format!("address  {}", consents.address))?;
    if consents.taken_back {
        line("taken back, from the next delivery on")?;
    } else if consents.kinds.is_empty() {
        return line("no sender here sends anything that asks for consent");
    }
    consents.kinds.iter().try_for_each(|Offer { bureau, sender, kind, title, holds, .. }| {
        line(&format!("{:<9}  {bureau} {kind}  {} — {}", if *holds { "given" } else { "not given" }, title[0], sender[0]))
    })
}

pub fn page(page: &Page) -> Result<(), Problem> {
    for mailbox in &page.mailboxes {
        line(&format!("{}  {:<6} {:<11} {}", mailbox.address, word(&mailbox.state), word(&mailbox.kind), mailbox.name))?;
    }
    match &page.next {
        Some(next) => line(&format!("more: --after {next}")),
        None if page.mailboxes.is_empty() => line("no mailbox fits"),
        None => Ok(()),
    }
}

/// A mailbox as JSON, with its password where one was made now.
pub fn as_json(outcome: &Outcome) -> Option<serde_json::Value> {
    let Outcome::Mailbox { mailbox, password } = outcome else { return None };
    let mut value = serde_json::to_value(mailbox).ok()?;
    if let (Some(password), Some(object)) = (password, value.as_object_mut()) {
        object.insert("password".to_owned(), password.expose().into());
    }
    Some(value)
}
