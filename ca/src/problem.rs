//! What can go wrong in the authority, and the one place where it becomes an exit code and a problem.

use policies::authority::Power;
use policies::certificate::{Refusal, WordError};
use runtime::exit::{Exit, Problem};
use store::{CommitError, StoreError};

use crate::register::RegisterError;

#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("there is no profile {profile:?}; this authority has: {}", known.join(", "))]
    UnknownProfile { profile: String, known: Vec<String> },
    #[error("there is no issuer {issuer:?}; this authority has: {}", known.join(", "))]
    UnknownIssuer { issuer: String, known: Vec<String> },
    #[error("{field}: {error}")]
    Word { field: &'static str, error: WordError },
    #[error("credit code: {0}")]
    CreditCode(policies::identity::NumberError),
    #[error("the applicant is not told: give either --name and --code, or --dns/--ip, or --officer and --number")]
    NoApplicant,
    #[error("{word} does not go with {with}; give the words of one applicant only")]
    StrayWord { word: &'static str, with: String },
    #[error(transparent)]
    Request(#[from] pki::request::RequestError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("this key was reported as compromised and is never certified again; make a new key pair")]
    BlockedKey,
    #[error("this key is on a list of keys that the world knows, and is never certified; make a new key pair, with a program that is up to date")]
    ListedKey,
    #[error("this key belongs to somebody else here; make a key pair of your own")]
    KeyOfAnother,
    #[error("{profile} certificates need the approval of {officers} officer(s); place an order with `ca order place` and have it approved")]
    ApprovalNeeded { profile: String, officers: u8 },
    #[error("an authority is bound to 16 mail domains at most; name fewer")]
    TooManyDomains,
    #[error("the secret of this name was changed as often as it can be; ask at the counter what can be done")]
    TooManyChanges,
    #[error("too many acts wait for approval; decide about those first")]
    TooManyActs,
    #[error("what would be issued is not what was ordered and approved, so it was not signed; have the store examined")]
    OtherPlan,
    #[error("the key of {issuer} is offline; its list is made with `ca crl root`")]
    Offline { issuer: String },
    #[error("the certificate of {issuer} is revoked, so it certifies nobody; have the next generation of the authority certified by a good root (`ca issuer request`, with --recover for the officers' where no administrator is left)")]
    IssuerRevoked { issuer: String },
    #[error("the certificate as planned breaks the rules, so it was not signed: {}", findings.join("; "))]
    Lint { findings: Vec<String> },
    #[error("the signature made does not fit the issuer's key, so nothing was issued; have the key store or token examined")]
    WrongSignature,
    #[error("the issuer's key is of an algorithm that this authority does not sign with")]
    Algorithm,
    #[error("the system gave no randomness; nothing was issued")]
    Randomness,
    #[error("the plan cannot be written: {0}")]
    Build(#[from] pki::certificate::BuildError),
    #[error("the plan's name cannot be written: {0}")]
    Name(#[from] pki::name::NameError),
    #[error(transparent)]
    Sign(#[from] pki::signer::SignError),
    #[error("certificate {serial} could not be signed now: {reason}; it is issued as soon as the key can be used again, so do not ask for it twice")]
    Unfinished { serial: String, reason: String },
    #[error("{what} in the store is damaged; restore it from a backup")]
    Damaged { what: &'static str },
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error("certificate {serial} was revoked before ({reason}); a revocation is final")]
    AlreadyRevoked { serial: String, reason: String },
    #[error("certificate {serial} is suspended already; `ca resume` ends that")]
    AlreadyHeld { serial: String },
    #[error("certificate {serial} is frozen by an order until {until}; wait until then, or lift the order with `ca resume --freeze`")]
    Frozen { serial: String, until: String },
    #[error("this enterprise is frozen by an order until {until}, so nothing is issued for it; wait until then, or lift the order with `ca resume --code`")]
    EnterpriseFrozen { until: String },
    #[error("certificate {serial} is frozen with its enterprise until {until}; lift that order with `ca resume --code`")]
    FrozenWithAll { serial: String, until: String },
    #[error("this enterprise is not frozen by an order; look at its certificates with `ca list --code`")]
    EnterpriseNotFrozen,
    #[error("certificate {serial} is suspended but not frozen by an order; leave out --freeze to resume it")]
    NotFrozen { serial: String },
    #[error("certificate {serial} is not suspended; look at it with `ca show`")]
    NotHeld { serial: String },
    #[error("certificate {serial} has ended, so nobody relies on it any more; leave it")]
    Ended { serial: String },
    #[error("a certificate of the profile {profile} is the authority's own and is never suspended; revoke it when it is not to be relied on")]
    OwnCertificate { profile: String },
    #[error("{serial} is the certificate of an authority, and with it all would fall that it certified; an administrator asks for it with `ca bulk revoke`, and another approves")]
    AuthorityCertificate { serial: String },
    #[error("the {field} of the order is empty, longer than {longest} characters or has signs that are not shown; write it in plain words")]
    OrderWords { field: &'static str, longest: usize },
    #[error("the end of the order is not in the future; give the date on which it ends")]
    FreezeEnd,
    #[error("the date of revocation is {0}; give one between the certificate's beginning and now")]
    RevocationDate(&'static str),
    #[error("the date of invalidity is {0}; give one between the certificate's beginning and its revocation")]
    InvalidityDate(&'static str),
    #[error("another publication of this list came between; look at it before publishing again")]
    Race,
    #[error("no whole list of {issuer} was published that a delta could change; publish one with `ca crl publish {issuer}`")]
    NoBase { issuer: String },
    #[error("a list of {issuer} grew beyond {longest} bytes at entry {entries}, which the store does not take, so the one before stands until it ends; have a new generation take over with `ca issuer request {issuer}`, whose lists begin empty, and see that certificates are put into parts (policies/authority/crl.toml)")]
    ListTooLong { issuer: String, entries: u64, longest: usize },
    #[error("this is not the list that was prepared last; prepare one with `ca crl root prepare` and have that one signed")]
    NotPrepared,
    #[error("the list of {issuer} begins in the future; set the clock, or wait for its first moment")]
    ListNotBegun { issuer: String },
    #[error("the list of {issuer} has ended; sign the next one where that key is, and bring that")]
    ListEnded { issuer: String },
    #[error("the request's subject says nothing that a key's holder may say; write the common name alone: `compromised key`, or `revoke SERIAL REASON`")]
    NotSaid,
    #[error("no certificate of this authority has this key and serial; sign the request with the certificate's own key")]
    NotOfThisKey,
    #[error("the request's subject does not ask for the secret of an own name; write `own name SERIAL` as common name and the key of the question as organisation, as `ca log own-name` does")]
    NotAsked,
    #[error("certificate {serial} is not good and current, so its holder is told nothing; ask with one that is")]
    NotGood { serial: String },
    #[error("the list made for {issuer} is not what the register says, so it was not published; report this with the service's log")]
    ListDiffers { issuer: String },
    #[error("no notice {id} has failed; `ca notice list --state failed` shows which have")]
    NoNotice { id: String },
    #[error("there is no notice {id}; `ca notice list` shows what there is")]
    UnknownNotice { id: String },
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("a record could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        Self::Commit(CommitError::Store(error))
    }
}

impl IssueError {
    /// As programs know it.
    pub fn code(&self) -> &'static str {
        self.class().1
    }

    /// Whether it is about one certificate alone, so that work on others goes on.
    pub fn is_of_one(&self) -> bool {
        matches!(
            self,
            Self::Register(RegisterError::NotFound(_)) | Self::AlreadyRevoked { .. } | Self::OwnCertificate { .. } | Self::RevocationDate(_) | Self::InvalidityDate(_)
        )
    }

    pub(crate) fn class(&self) -> (Exit, &'static str) {
        match self {
            Self::UnknownProfile { .. } => (Exit::NotFound, "unknown-profile"),
            Self::UnknownIssuer { .. } => (Exit::NotFound, "unknown-issuer"),
            Self::Word { .. } => (Exit::Refused, "applicant"),
            Self::CreditCode(_) => (Exit::Refused, "credit-code"),
            Self::NoApplicant => (Exit::Usage, "no-applicant"),
            Self::StrayWord { .. } => (Exit::Usage, "stray-word"),
            Self::Request(pki::request::RequestError::WeakKey(_)) => (Exit::Refused, "weak-key"),
            Self::Request(_) => (Exit::Refused, "request"),
            Self::Refused(refusal) => (Exit::Refused, refusal.code()),
            Self::BlockedKey => (Exit::Refused, "blocked-key"),
            Self::ListedKey => (Exit::Refused, "listed-key"),
            Self::KeyOfAnother => (Exit::Refused, "key-of-another"),
            Self::TooManyActs => (Exit::Unavailable, "too-many-acts"),
            Self::ApprovalNeeded { .. } => (Exit::Refused, "approval-needed"),
            Self::TooManyDomains => (Exit::Usage, "mail-domains"),
            Self::TooManyChanges => (Exit::Refused, "too-many-changes"),
            Self::OtherPlan => (Exit::Damaged, "other-plan"),
            Self::Offline { .. } => (Exit::Refused, "issuer-offline"),
            Self::IssuerRevoked { .. } => (Exit::Refused, "issuer-revoked"),
            Self::Lint { .. } => (Exit::Refused, "lint"),
            Self::WrongSignature => (Exit::Damaged, "wrong-signature"),
            Self::Algorithm | Self::Build(_) | Self::Name(_) => (Exit::Refused, "plan"),
            Self::Randomness | Self::Sign(_) | Self::Unfinished { .. } => (Exit::Unavailable, "signing"),
            Self::Damaged { .. } | Self::Register(RegisterError::Damaged { .. }) => (Exit::Damaged, "damaged"),
            Self::Register(RegisterError::NotFound(_)) => (Exit::NotFound, "not-found"),
            Self::Register(RegisterError::Serial(_)) => (Exit::Usage, "serial"),
            Self::AlreadyRevoked { .. } => (Exit::Conflict, "already-revoked"),
            Self::AlreadyHeld { .. } => (Exit::Conflict, "already-suspended"),
            Self::Frozen { .. } => (Exit::Conflict, "frozen"),
            Self::EnterpriseFrozen { .. } => (Exit::Refused, "enterprise-frozen"),
            Self::FrozenWithAll { .. } => (Exit::Conflict, "enterprise-frozen"),
            Self::EnterpriseNotFrozen => (Exit::Conflict, "not-frozen"),
            Self::NotFrozen { .. } => (Exit::Conflict, "not-frozen"),
            Self::NotHeld { .. } => (Exit::Conflict, "not-suspended"),
            Self::Ended { .. } => (Exit::Refused, "ended"),
            Self::OwnCertificate { .. } => (Exit::Refused, "own-certificate"),
            Self::AuthorityCertificate { .. } => (Exit::Denied, "authority-certificate"),
            Self::OrderWords { .. } => (Exit::Refused, "order-words"),
            Self::FreezeEnd => (Exit::Refused, "freeze-end"),
            Self::RevocationDate(_) => (Exit::Refused, "revocation-date"),
            Self::InvalidityDate(_) => (Exit::Refused, "invalidity-date"),
            Self::ListTooLong { .. } => (Exit::Unavailable, "list-too-long"),
            Self::NoBase { .. } => (Exit::Conflict, "no-base"),
            Self::ListNotBegun { .. } => (Exit::Refused, "not-now"),
            Self::ListEnded { .. } => (Exit::Refused, "list-ended"),
            Self::NotPrepared => (Exit::Conflict, "not-prepared"),
            Self::NotSaid => (Exit::Refused, "not-said"),
            Self::NotAsked => (Exit::Refused, "not-asked"),
            Self::NotGood { .. } => (Exit::Refused, "not-good"),
            Self::NotOfThisKey => (Exit::NotFound, "not-of-this-key"),
            Self::NoNotice { .. } | Self::UnknownNotice { .. } => (Exit::NotFound, "no-notice"),
            Self::ListDiffers { .. } => (Exit::Damaged, "list-differs"),
            Self::Race | Self::Commit(CommitError::Conflict { .. }) => (Exit::Conflict, "conflict"),
            Self::Register(RegisterError::Store(StoreError::Corrupt { .. })) | Self::Commit(CommitError::Store(StoreError::Corrupt { .. })) => (Exit::Damaged, "store-damaged"),
            Self::Register(RegisterError::Store(StoreError::Unavailable { .. })) | Self::Commit(_) => (Exit::Unavailable, "store-unavailable"),
            Self::Json(_) => (Exit::Internal, "internal"),
        }
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        let (exit, code) = error.class();
        let text = error.to_string();
        // Every message above is written as `what is wrong; what to do`.
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "correct it and try again"));
        let problem = Self::new(exit, code, message, next);
        match error {
            IssueError::Word { field, .. } => problem.at(field),
            IssueError::CreditCode(_) => problem.at("code"),
            IssueError::OrderWords { field, .. } => problem.at(field),
            _ => problem,
        }
    }
}

/// Why somebody is no officer, or may not do what they ask for.
#[derive(Debug, thiserror::Error)]
pub enum OfficerError {
    #[error("no client certificate was shown; give --identity with the directory of an officer's identity")]
    Nobody,
    #[error("the certificate shown was not issued here; show an officer's certificate of this authority")]
    NotOfHere,
    #[error("certificate {serial} is of the profile {profile} and makes nobody an officer; use one of the profile officer")]
    OtherProfile { serial: String, profile: String },
    #[error("certificate {serial} is of the profile {profile} and makes nobody a registrar; use one of the profile registrar")]
    NoRegistrarsCertificate { serial: String, profile: String },
    #[error("certificate {serial} is no registrar's, or was withdrawn before; look at `ca registrar list`")]
    NoRegistrar { serial: String },
    #[error("the authority that certifies citizens is bound to mailboxes of {domains}; name one of these, or hold a ceremony for its next generation")]
    OtherDomain { domains: String },
    #[error("certificate {serial} is revoked; have another one issued, and powers granted to it")]
    Revoked { serial: String },
    #[error("certificate {serial} is suspended; have it resumed by an operator")]
    Held { serial: String },
    #[error("certificate {serial} has ended or not begun; have another one issued, and powers granted to it")]
    NotValid { serial: String },
    #[error("certificate {serial} names no officer by one number; have another one issued with --officer and --number")]
    NoPerson { serial: String },
    #[error("certificate {serial} has no such power; an administrator grants powers with `ca officer grant`")]
    NoPowers { serial: String },
    #[error("{operation} is for the {needed}; {}", if *local { "an officer does it over the network, with --server and --identity" } else { "ask one of them" })]
    Powerless { operation: &'static str, needed: String, local: bool },
    #[error("certificate {serial} has the power {power} already; look at `ca officer list`")]
    Granted { serial: String, power: Power },
    #[error("this person holds the power {other}, and nobody holds {power} beside it; choose another person, or withdraw the other one first")]
    Excluded { power: Power, other: Power },
    #[error("nobody grants themselves a power; ask another administrator")]
    Own,
    #[error("{approvals} other officers approve that a power is granted; ask for it with `ca officer grant`")]
    ApprovalNeeded { approvals: u8 },
    #[error("this is the last administrator whose certificate is good, and somebody must be able to grant powers; grant it to another one first")]
    LastAdministrator,
    #[error("{operation} names a path of the authority's own machine; do it there")]
    LocalOnly { operation: &'static str },
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<OfficerError> for Problem {
    fn from(error: OfficerError) -> Self {
        let (exit, code) = match &error {
            OfficerError::Nobody => (Exit::Denied, "no-certificate"),
            OfficerError::NotOfHere => (Exit::Denied, "not-of-here"),
            OfficerError::OtherProfile { .. } => (Exit::Denied, "other-profile"),
            OfficerError::NoRegistrarsCertificate { .. } => (Exit::Refused, "other-profile"),
            OfficerError::NoRegistrar { .. } => (Exit::NotFound, "no-registrar"),
            OfficerError::OtherDomain { .. } => (Exit::Refused, "other-domain"),
            OfficerError::Revoked { .. } => (Exit::Denied, "officer-revoked"),
            OfficerError::Held { .. } => (Exit::Denied, "officer-suspended"),
            OfficerError::NotValid { .. } => (Exit::Denied, "officer-expired"),
            OfficerError::NoPerson { .. } => (Exit::Refused, "no-person"),
            OfficerError::NoPowers { .. } => (Exit::Denied, "no-powers"),
            OfficerError::Powerless { .. } => (Exit::Denied, "powerless"),
            OfficerError::Granted { .. } => (Exit::Conflict, "already-granted"),
            OfficerError::Excluded { .. } => (Exit::Refused, "excluded"),
            OfficerError::ApprovalNeeded { .. } => (Exit::Refused, "approval-needed"),
            OfficerError::Own => (Exit::Refused, "own-power"),
            OfficerError::LastAdministrator => (Exit::Refused, "last-administrator"),
            OfficerError::LocalOnly { .. } => (Exit::Refused, "local-only"),
            OfficerError::Issue(_) => (Exit::Internal, "internal"),
        };
        if let OfficerError::Issue(error) = error {
            return error.into();
        }
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Self::new(exit, code, message, next)
    }
}
