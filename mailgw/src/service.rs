//! What an administrator can ask for: one list, whether it comes over the socket or from a command that
//! opened the store itself.

mod life;
mod long;
mod opening;
mod operators;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::evidence::Evidence;
use policies::mailbox::{MailboxNumber, PromiseMode};
use runtime::exit::Problem;
use runtime::shutdown::Shutdown;
use rustls::ServerConfig;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::{RwLock, watch};

use runtime::revocation::RevocationLists;
pub use self::long::{LongOperation, Told};
pub use self::life::{NewRules, ShownDeleted, ShownVerified};
pub use self::opening::{OpeningOperation, OpeningOutcome};
pub use self::operators::OperatorOperation;
use crate::bureau::senders::{self, ShownSender};
use crate::bureau::{self, Registration, ShownBureau};
use crate::directory::{Applicant, AppPasswordName, DirectoryError, NewPassword, Page, Password, Query, Scope, ShownAppPassword, ShownMailbox, ShownOperator, ToldPassword, Words, today};
use crate::flow::approval::SignedRequest;
use crate::flow::evidence::{self, Installed, Wanted};
use crate::flow::certificate;
use crate::flow::consent;
use crate::flow::enrolment;
use crate::flow::export;
use crate::flow::hold;
use crate::flow::load;
use crate::flow::notification;
use crate::flow::opening::document_withdrawal::Withdrawal;
use crate::flow::opening::further_document::FurtherDocument;
use crate::flow::opening::renaming::Renaming;
use crate::flow::owner_notices;
use crate::flow::paper;
use crate::flow::push::job::Jobs;
use crate::flow::encryption;
use crate::flow::retention;
use crate::record::hold::Held;
use crate::flow::recovery;
use crate::flow::push::{self, Report, ReportWanted};
use crate::gateway::Gateway;
use crate::mailbox::Choice;
use crate::dkim::ShownSelector;
use crate::queue::{Listed, ShownMessage};
use crate::sealer::{RemoteSealer, Seal};
use crate::registrar::authority::{Authority, RemoteAuthority};
use crate::registrar;
use crate::tls;

/// A password on its way over the administration socket; `Debug` shows nothing of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TypedPassword(zeroize::Zeroizing<String>);

impl TypedPassword {
    pub fn new(text: String) -> Self {
        Self(zeroize::Zeroizing::new(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TypedPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TypedPassword(..)")
    }
}

impl From<TypedPassword> for NewPassword {
    fn from(typed: TypedPassword) -> Self {
        Self::Chosen(SecretString::from(typed.expose().to_owned()))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// A request for the gateway's own TLS certificate, for its host and these other names.
    TlsRequest { names: Vec<String> },
    /// The chain that was issued for it, PEM.
    TlsInstall { pem: String },
    /// Without a password one is made.
    MailboxOpen { applicant: Words, password: Option<TypedPassword> },
    /// One more document of a citizen who has a mailbox.
    MailboxDocument(Box<FurtherDocument>),
    /// One document less.
    MailboxDocumentWithdraw(Box<Withdrawal>),
    /// A further name of an institution's.
    MailboxAlias { mailbox: String, name: String },
    /// Its holder is called otherwise, as papers prove.
    MailboxRename(Box<Renaming>),
    MailboxShow { mailbox: String },
    MailboxList(Query),
    MailboxClose { mailbox: String },
    /// Of a mailbox that nobody has logged in to. `app_passwords`: those of its programs are withdrawn with it.
    MailboxPassword {
        mailbox: String,
        password: Option<TypedPassword>,
        #[serde(default)]
        app_passwords: bool,
    },
    /// It opens nothing any more; `app_passwords`: nor do those of its programs.
    MailboxPasswordWithdraw { mailbox: String, app_passwords: bool },
    /// One more password of the mailbox, for one program.
    AppPasswordNew {
        mailbox: String,
        name: String,
        scopes: Vec<Scope>,
        /// Of an institution: the operator whose it is.
        #[serde(default)]
        operator: Option<u32>,
    },
    AppPasswordList { mailbox: String },
    AppPasswordWithdraw { mailbox: String, number: u32 },
    /// Of the operators of an institution's mailbox.
    Operator(OperatorOperation),
    /// A certificate for its owner, by this request, PKCS#10 in PEM.
    MailboxCertify { mailbox: String, request: String },
    /// The certificate that is kept with it.
    MailboxCertificate { mailbox: String },
    /// One that its owner renewed, PEM.
    MailboxCertificateTake { mailbox: String, pem: String },
    /// All its certificates end.
    MailboxCertificateWithdraw { mailbox: String, reason: String },
    RegistrarRequest,
    /// The chain that was issued for it, PEM, and the authority's address.
    RegistrarInstall { pem: String, authority: String },
    BureauSet(Registration),
    BureauList,
    /// Whether a bureau may send signed mail as an address.
    SenderSet { bureau: String, address: String, holds: bool },
    SenderList,
    MailboxVerified { mailbox: String, limit: usize },
    RecoveryApply(Box<recovery::Application>),
    RecoveryShow { mailbox: String },
    RecoveryCancel { mailbox: String },
    RecoveryComplete { mailbox: String, password: Option<TypedPassword> },
    /// The rules of a mailbox; with an order, what they are from now on, none where it has no text.
    MailboxRules { mailbox: String, set: Option<NewRules> },
    /// `since`: Unix milliseconds.
    MailboxDeleted { mailbox: String, folder: Option<String>, since: Option<u64> },
    MailboxUndelete { mailbox: String, folder: Option<String>, since: Option<u64>, request: String },
    /// Legal holds; with a word, what an authority says now.
    MailboxHold { mailbox: String, word: Option<hold::Word> },
    /// One ends, as two officers signed.
    MailboxHoldLift { mailbox: String, lift: SignedRequest },
    /// Applications for mailboxes, and the registries whose word counts.
    Opening(OpeningOperation),
    ExportLog { directory: PathBuf },
    /// `rsa`: an RSA key, PEM.
    DkimNew { selector: String, rsa: Option<TypedPassword> },
    DkimUse { selector: String },
    DkimShow,
    /// What `mailgw doctor` needs to know of the store.
    Doctor,
    QueueList(Listed),
    QueueShow { message: String },
    QueueOrder { message: String, order: QueueOrder },
    /// A key for evidence of deliveries and a request for it, of the organisation that runs the gateway.
    EvidenceRequest { organization: String },
    /// The chain that was issued for it, PEM.
    EvidenceInstall { pem: String },
    EvidenceExport(Wanted),
    /// A statement with all that proves it, into a new directory.
    EvidenceCourt(evidence::CourtWanted),
    /// Where the owner of a mailbox is told that something arrived; with a word, what the owner says now.
    MailboxNotices { mailbox: String, word: Option<notification::Word> },
    /// Whether statements are encrypted to a mailbox's owner; with a word, what the owner says now.
    MailboxEncryption { mailbox: String, on: Option<bool> },
    /// What the owner of a mailbox agreed with a sender; with a word, what the owner says now.
    MailboxAgreement { mailbox: String, bureau: String, word: Option<enrolment::Word> },
    /// What the owner of a mailbox consented to, of every sender; with a word, what the owner says now of a kind.
    MailboxConsents { mailbox: String, kind: Option<String>, give: Option<bool> },
    /// A statement by its bureau's own number.
    StatementShow { bureau: String, statement: String },
    /// Ends what is over; a trial says what would end.
    RetentionRun { trial: bool },
    RetentionHold { held: Held, by: retention::By },
    /// One ends, as two officers signed.
    RetentionRelease(SignedRequest),
    RetentionHolds,
    /// A statement on paper.
    StatementPaper(paper::Wanted),
    /// The signed report of a push that has ended, into a file.
    PushReport(ReportWanted),
}

/// What may be done with a message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueOrder {
    Hold,
    Release,
    Flush,
    Cancel,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// PEM.
    Request(String),
    Done,
    /// A mailbox, and its password where one was made now.
    Mailbox { mailbox: Box<ShownMailbox>, password: Option<ToldPassword> },
    Mailboxes(Page),
    /// An app password that was made now; told once.
    AppPassword { address: String, made: ShownAppPassword, password: ToldPassword },
    AppPasswords(Vec<ShownAppPassword>),
    Operators(Vec<ShownOperator>),
    Bureaus(Vec<ShownBureau>),
    Senders(Vec<ShownSender>),
    Verified(Vec<ShownVerified>),
    Deleted(Vec<ShownDeleted>),
    Restored(usize),
    Written(export::Written),
    Loaded(load::Loaded),
    MailboxHolds(Vec<hold::ShownHold>),
    Recovery(Option<recovery::Shown>),
    Opening(OpeningOutcome),
    /// As they were given.
    Rules(Option<String>),
    Selectors(Vec<ShownSelector>),
    Queue(crate::queue::Page),
    Queued(Box<ShownMessage>),
    Report(Box<Report>),
    Trial(Box<push::Trial>),
    Statement(Box<push::ShownStatement>),
    Paper(paper::Made),
    Retained(retention::Retained),
    Holds(Vec<retention::ShownHold>),
    Agreed(enrolment::Agreed),
    Consents(consent::Consents),
    Encryption(encryption::Shown),
    Notices(notification::Shown),
    Certificate(ShownCertificate),
    /// Serial numbers of what ended.
    Withdrawn(Vec<String>),
    Exported(Exported),
    Examined(crate::doctor::Examined),
    EvidenceSigner(Installed),
    Evidence(evidence::Exported),
    Court(evidence::Package),
}

/// A citizen's certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownCertificate {
    pub address: String,
    /// What its subject calls the owner.
    pub pseudonym: String,
    /// The certificate and its issuers.
    pub pem: String,
}

impl From<certificate::Kept> for ShownCertificate {
    fn from(kept: certificate::Kept) -> Self {
        let pem = |der: &[u8]| pem::encode_config(&pem::Pem::new("CERTIFICATE", der), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF));
        Self { address: kept.address, pseudonym: kept.pseudonym, pem: kept.chain.certificates().map(pem).collect() }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exported {
    pub directory: PathBuf,
    pub entries: u64,
    pub vkey: String,
}

/// An open gateway, its log, and what it reaches beyond itself.
#[derive(Clone)]
pub struct Service {
    pub gateway: Arc<Gateway>,
    pub evidence: Arc<Evidence>,
    pub lists: Arc<RevocationLists>,
    pub sealer: Arc<dyn Seal>,
    /// Where statements about mailboxes go.
    pub authority: Arc<dyn Authority>,
    /// Pushes that bureaus' own systems send.
    pub jobs: Arc<Jobs>,
    /// What the listeners serve, while there are listeners.
    pub tls: Option<watch::Sender<Arc<ServerConfig>>>,
    /// When it begins, long work ends at its next commit.
    pub shutdown: Shutdown,
    /// Held for reading by long work: who writes waits for its end.
    pub long_work: Arc<RwLock<()>>,
}

impl Service {
    /// `sealer` is the sealer's state directory; calls to it and fetches of lists run on `handle`.
    pub fn new(gateway: Gateway, evidence: Arc<Evidence>, sealer: &Path, handle: &Handle) -> Self {
        let lists = Arc::new(RevocationLists::new(handle.clone()));
        let sealer = Arc::new(RemoteSealer::new(sealer, handle.clone()));
        let authority = Arc::new(RemoteAuthority::new(handle.clone()));
        Self { gateway: Arc::new(gateway), evidence, lists, sealer, authority, jobs: Arc::default(), tls: None, shutdown: Shutdown::new(), long_work: Arc::default() }
    }

    /// From a blocking thread.
    pub fn perform(&self, operation: Operation) -> Result<Outcome, Problem> {
        let outcome = self.performed(operation);
        // What was done is done, and owners hear of it: now, or when the service looks again.
        if let Err(error) = owner_notices::tell_all(&self.gateway) {
            tracing::warn!(%error, "owners are not told yet what was done to their mailboxes at the counter");
        }
        outcome
    }

    fn performed(&self, operation: Operation) -> Result<Outcome, Problem> {
        let gateway = &*self.gateway;
        let (directory, now) = (&gateway.directory, gateway.clock.now());
        match operation {
            Operation::TlsRequest { names } => Ok(Outcome::Request(tls::request(&*gateway.store, &gateway.keys, &gateway.settings.host, &names)?)),
            Operation::TlsInstall { pem } => {
                let config = tls::install(&*gateway.store, &gateway.keys, &gateway.settings.host, pem.as_bytes(), gateway.now_unix_millis())?;
                if let Some(listeners) = &self.tls {
                    listeners.send_replace(config);
                }
                Ok(Outcome::Done)
            }
            Operation::MailboxOpen { applicant, password } => {
                let applicant = Applicant::parse(&applicant, directory.policy(), today(now))?;
                let made = password.is_none();
                let opened = directory.open(applicant, password.map_or(NewPassword::Generated, NewPassword::from), now)?;
                Ok(mailbox(directory.shown(&opened.account), told(made, &opened.password)))
            }
            Operation::MailboxShow { mailbox } => {
                let (mut shown, number) = (directory.show(&mailbox)?, self.number(&mailbox)?);
                shown.holds = Some(self.holds(&mailbox)?);
                shown.operators = directory.operators(number)?;
                shown.former_names = directory.former_names(number)?;
                shown.password_withdrawn_at = directory.withdrawn_at(number)?;
                Ok(self::mailbox(shown, None))
            }
            Operation::Opening(operation) => self.opening(operation),
            Operation::RecoveryApply(application) => Ok(Outcome::Recovery(Some(recovery::apply(gateway, &self.lists, &application)?))),
            Operation::RecoveryShow { mailbox } => Ok(Outcome::Recovery(recovery::show(gateway, self.number(&mailbox)?)?)),
            Operation::RecoveryCancel { mailbox } => {
                let number = self.number(&mailbox)?;
                if !directory.end_recovery(number, "cancelled", now)? {
                    return Err(DirectoryError::NoRecovery { mailbox: number }.into());
                }
                Ok(Outcome::Done)
            }
            Operation::RecoveryComplete { mailbox, password } => {
                let (number, made) = (self.number(&mailbox)?, password.is_none());
                let set = directory.complete_recovery(number, &password.map_or(NewPassword::Generated, NewPassword::from), now)?;
                Ok(self::mailbox(directory.show(&mailbox)?, told(made, &set)))
            }
            Operation::MailboxAlias { mailbox, name } => self.add_alias(&mailbox, &name),
            Operation::MailboxRename(renaming) => self.rename(&renaming),
            Operation::MailboxDocument(further) => self.add_document(&further),
            Operation::MailboxDocumentWithdraw(withdrawal) => self.withdraw_document(&withdrawal),
            Operation::MailboxRules { mailbox, set } => self.rules(&mailbox, set),
            Operation::MailboxVerified { mailbox, limit } => self.verified(&mailbox, limit),
            Operation::MailboxDeleted { mailbox, folder, since } => self.deleted(&mailbox, &Choice { folder, since }),
            Operation::MailboxUndelete { mailbox, folder, since, request } => self.undelete(&mailbox, &Choice { folder, since }, &request),
            Operation::MailboxHold { mailbox, word } => Ok(Outcome::MailboxHolds(match word {
                Some(word) => hold::set(gateway, &mailbox, &word)?,
                None => hold::show(gateway, &mailbox)?,
            })),
            Operation::MailboxHoldLift { mailbox, lift } => Ok(Outcome::MailboxHolds(hold::lift(gateway, &self.lists, &mailbox, &lift)?)),
            Operation::SenderSet { bureau, address, holds } => {
                let said = if holds { senders::allow(&*gateway.store, directory, &bureau, &address, now) } else { senders::withdraw(&*gateway.store, &bureau, &address, now) };
                Ok(Outcome::Senders(vec![said?]))
            }
            Operation::SenderList => Ok(Outcome::Senders(senders::list(&*gateway.store)?)),
            Operation::MailboxList(query) => Ok(Outcome::Mailboxes(directory.list(&query)?)),
            Operation::MailboxClose { mailbox } => {
                let closed = directory.close(self.number(&mailbox)?, now)?;
                Ok(self::mailbox(directory.shown(&closed), None))
            }
            Operation::MailboxPassword { mailbox, password, app_passwords } => {
                let (number, made) = (self.number(&mailbox)?, password.is_none());
                let set = directory.set_password(number, &password.map_or(NewPassword::Generated, NewPassword::from), app_passwords, now)?;
                Ok(self::mailbox(directory.show(&mailbox)?, told(made, &set)))
            }
            Operation::MailboxPasswordWithdraw { mailbox, app_passwords } => {
                let account = directory.withdraw_password(self.number(&mailbox)?, app_passwords, now)?;
                Ok(self::mailbox(directory.shown(&account), None))
            }
            Operation::AppPasswordNew { mailbox, name, scopes, operator } => {
                let (number, name) = (self.number(&mailbox)?, AppPasswordName::parse(&name).map_err(DirectoryError::from)?);
                let (made, password) = directory.new_app_password(number, operator, &name, &scopes, now)?;
                Ok(Outcome::AppPassword { address: directory.address(number), made, password })
            }
            Operation::AppPasswordList { mailbox } => Ok(Outcome::AppPasswords(directory.app_passwords(self.number(&mailbox)?)?)),
            Operation::AppPasswordWithdraw { mailbox, number } => {
                Ok(Outcome::AppPasswords(vec![directory.withdraw_app_password(self.number(&mailbox)?, number, now)?]))
            }
            Operation::Operator(operation) => self.operator(operation),
            Operation::MailboxCertify { mailbox, request } => Ok(Outcome::Certificate(certificate::certify(gateway, &*self.authority, &mailbox, &request)?.into())),
            Operation::MailboxCertificate { mailbox } => Ok(Outcome::Certificate(certificate::show(gateway, &mailbox)?.into())),
            Operation::MailboxCertificateTake { mailbox, pem } => Ok(Outcome::Certificate(certificate::take(gateway, &mailbox, &pem)?.into())),
            Operation::MailboxCertificateWithdraw { mailbox, reason } => Ok(Outcome::Withdrawn(certificate::withdraw(gateway, &*self.authority, &mailbox, &reason)?)),
            Operation::RegistrarRequest => Ok(Outcome::Request(registrar::request(&*gateway.store, &gateway.keys, &gateway.settings.host)?)),
            Operation::RegistrarInstall { pem, authority } => {
                registrar::install(&*gateway.store, &gateway.keys, &gateway.anchors, pem.as_bytes(), &authority, now)?;
                Ok(Outcome::Done)
            }
            Operation::BureauSet(registration) => {
                let shown = bureau::register(&*gateway.store, &gateway.directory, &gateway.anchors, &self.lists, &gateway.letters, &registration, now)?;
                Ok(Outcome::Bureaus(vec![shown]))
            }
            Operation::BureauList => Ok(Outcome::Bureaus(bureau::list(&*gateway.store)?)),
            Operation::EvidenceRequest { organization } => Ok(Outcome::Request(evidence::request(gateway, &organization)?)),
            Operation::EvidenceInstall { pem } => Ok(Outcome::EvidenceSigner(evidence::install(gateway, &self.lists, pem.as_bytes(), now)?)),
            Operation::EvidenceExport(wanted) => Ok(Outcome::Evidence(evidence::export(gateway, &self.lists, &wanted)?)),
            Operation::EvidenceCourt(wanted) => Ok(Outcome::Court(evidence::court(gateway, &self.evidence, &self.lists, &wanted)?)),
            Operation::MailboxNotices { mailbox, word } => Ok(Outcome::Notices(notification::say(gateway, &mailbox, word.as_ref())?)),
            Operation::MailboxEncryption { mailbox, on } => Ok(Outcome::Encryption(encryption::say(gateway, &mailbox, on)?)),
            Operation::MailboxAgreement { mailbox, bureau, word } => Ok(Outcome::Agreed(match word {
                Some(word) => enrolment::say(gateway, &mailbox, &bureau, word)?,
                None => enrolment::show(gateway, &mailbox, &bureau)?,
            })),
            Operation::MailboxConsents { mailbox, kind, give } => Ok(Outcome::Consents(consent::say_of_all(gateway, &mailbox, kind.as_deref(), give)?)),
            Operation::StatementShow { bureau, statement } => Ok(Outcome::Statement(Box::new(push::statement(gateway, &bureau, &statement)?))),
            Operation::RetentionRun { trial } => Ok(Outcome::Retained(retention::retain(gateway, trial)?)),
            Operation::RetentionHold { held, by } => Ok(Outcome::Holds(retention::hold(gateway, &held, &by)?)),
            Operation::RetentionRelease(signed) => Ok(Outcome::Holds(retention::release(gateway, &self.lists, &signed)?)),
            Operation::RetentionHolds => Ok(Outcome::Holds(retention::holds(gateway)?)),
            Operation::StatementPaper(wanted) => Ok(Outcome::Paper(paper::make(gateway, &*self.sealer, &self.lists, &wanted)?)),
            Operation::PushReport(wanted) => {
                push::write_signed(gateway, &self.lists, &wanted.bureau, &wanted.batch, &wanted.file)?;
                Ok(Outcome::Done)
            }
            Operation::DkimNew { selector, rsa } => {
                let made = gateway.dkim.make(&selector, rsa.as_ref().map(TypedPassword::expose), gateway.now_unix_millis())?;
                Ok(Outcome::Selectors(vec![made]))
            }
            Operation::DkimUse { selector } => Ok(Outcome::Selectors(vec![gateway.dkim.use_selector(&selector, gateway.now_unix_millis())?])),
            Operation::DkimShow => Ok(Outcome::Selectors(gateway.dkim.show()?)),
            Operation::Doctor => {
                let (domain, host) = (gateway.settings.domain.clone(), gateway.settings.host.clone());
                let promised = directory.policy().inbound().promise;
                let taken_back = promised.is_some_and(|promise| promise.mode == PromiseMode::None);
                let promise = promised.map(|promise| crate::promise::record(&crate::promise::policy(promise, &host)));
                let key = tls::public_key_info(&*gateway.store, &gateway.keys)?.map(|key| crate::promise::key_digest(&key));
                let policies = crate::policy::noted(&*gateway.store).map_err(DirectoryError::from)?;
                let known: BTreeSet<String> = bureau::list(&*gateway.store)?.into_iter().map(|bureau| bureau.code).collect();
                let strangers = gateway.letters.all().flat_map(|kind| kind.senders().map(|sender| (kind.name().to_owned(), sender.to_owned()))).filter(|(_, sender)| !known.contains(sender)).collect();
                let alike = bureau::address::look_alikes(&*gateway.store, directory)?;
                let look_alikes = alike.into_iter().map(|(mailbox, name, borne)| (mailbox.to_string(), name.to_string(), borne)).collect();
                Ok(Outcome::Examined(crate::doctor::Examined { domain, host, promise, taken_back, key, selectors: gateway.dkim.show()?, policies, strangers, look_alikes, token_ports: directory.policy().clients().token_ports().collect() }))
            }
            Operation::QueueList(listed) => Ok(Outcome::Queue(gateway.queue.list(&listed)?)),
            Operation::QueueShow { message } => Ok(Outcome::Queued(Box::new(gateway.queue.show(&message)?))),
            Operation::QueueOrder { message, order } => {
                let done = match order {
                    QueueOrder::Hold => gateway.queue.hold(&message, now),
                    QueueOrder::Release => gateway.queue.release(&message, now),
                    QueueOrder::Flush => gateway.queue.flush(&message, now),
                    QueueOrder::Cancel => gateway.queue.cancel(&message, now),
                };
                Ok(Outcome::Queued(Box::new(done?)))
            }
            Operation::ExportLog { directory } => {
                let entries = self.evidence.export(&directory, &|_, _| {})?;
                let vkey = self.evidence.verifier()?.to_string();
                Ok(Outcome::Exported(Exported { directory, entries, vkey }))
            }
        }
    }

    fn number(&self, text: &str) -> Result<MailboxNumber, DirectoryError> {
        Ok(self.gateway.directory.find(text)?.ok_or(DirectoryError::NotFound)?.number)
    }
}

/// A password that was made here; one that was chosen is known.
fn told(made: bool, password: &Password) -> Option<ToldPassword> {
    made.then(|| ToldPassword::from(password))
}

fn mailbox(mailbox: ShownMailbox, password: Option<ToldPassword>) -> Outcome {
    Outcome::Mailbox { mailbox: Box::new(mailbox), password }
}
