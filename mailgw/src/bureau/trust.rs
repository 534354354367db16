//! Which certificates of bureaus are believed: under our roots, of the right kind and policy, not revoked.

use const_oid::ObjectIdentifier as Oid;
use pki::path::{self, CertificateFacts, ListError, PathError, Requirements, RevocationList, Trusted, Validation};
use runtime::exit::{Exit, Problem};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::record::bureau::Chain;

const CLIENT_AUTHENTICATION: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.2");
const TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");
// spec: rfc9336#3
const DOCUMENT_SIGNING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.36");
const EMAIL_PROTECTION: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.4");
/// The bit of digitalSignature. spec: rfc5280#4.2.1.3
const DIGITAL_SIGNATURE: u8 = 0;
const KEY_AGREEMENT: u8 = 4;
/// Below the operator's arc, as the CA's profiles `bureau-client`, `bureau-seal`, `delivery-evidence`, `citizen` and `registrar`
/// have them.
const CLIENT_POLICY: &str = "6.2";
const SEAL_POLICY: &str = "3.1";
const EVIDENCE_POLICY: &str = "3.2";
const CITIZEN_POLICY: &str = "2.2";
/// Of `enterprise-signing` with a mailbox.
const INSTITUTION_POLICY: &str = "2.1";
const REGISTRAR_POLICY: &str = "6.5";
/// Of the authority's own timestamp service.
const TIMESTAMP_POLICY: &str = "6.4";
const OFFICER_POLICY: &str = "6.1";
/// The attribute in which an officer's number stands. spec: x520#6.2.9
const SERIAL_NUMBER: &str = "2.5.4.5";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error("the file of roots cannot be used: {reason}; give the PEM file of the CA's root")]
    Anchors { reason: String },
    #[error("{found:?} is no policy arc; write the one of the CA's policies, such as 1.3.6.1.4.1.32473")]
    Arc { found: String },
    #[error("the {what} certificate cannot be read: {reason}; give the PEM file that `ca issue --out` wrote")]
    Certificate { what: &'static str, reason: String },
    #[error("the {what} certificate is valid from {from} to {until} (Unix seconds), and now is {now}; have a fresh one issued")]
    NotValid { what: &'static str, from: i64, until: i64, now: i64 },
    #[error("the {what} certificate names no {missing}; have it issued under the profile for bureaus")]
    Incomplete { what: &'static str, missing: &'static str },
    #[error("a revocation list cannot be used: {0}; see what the CA serves")]
    List(#[from] ListError),
    #[error("the {what} certificate is not trusted: {error}")]
    Path { what: &'static str, error: PathError },
}

impl From<TrustError> for Problem {
    fn from(error: TrustError) -> Self {
        let (exit, code) = match &error {
            TrustError::Anchors { .. } => (Exit::Usage, "anchors"),
            TrustError::Arc { .. } => (Exit::Usage, "policy-arc"),
            TrustError::Certificate { .. } => (Exit::Usage, "certificate-file"),
            TrustError::NotValid { .. } | TrustError::Incomplete { .. } => (Exit::Refused, "certificate"),
            TrustError::List(_) | TrustError::Path { error: PathError::RevocationUnknown, .. } => (Exit::Unavailable, "revocation-unknown"),
            TrustError::Path { error: PathError::Revoked { .. }, .. } => (Exit::Refused, "certificate-revoked"),
            TrustError::Path { .. } => (Exit::Refused, "certificate-not-trusted"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// What a certificate is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To sign manifests, with a key that only the bureau has.
    Manifest,
    /// To seal statements, with a key that the sealer holds for the bureau.
    Seal,
    /// To sign evidence of deliveries, with the gateway's own key.
    Evidence,
    /// A citizen's: to sign mail, and to have mail sealed to it.
    Citizen,
    /// A citizen's: to encrypt mail to it.
    Secrecy,
    /// An institution's with its mailbox: to log in to that.
    Institution,
    /// This gateway's own: to sign statements about mailboxes.
    Registrar,
    /// A timestamp authority's.
    Timestamp,
    /// An officer's: to approve.
    Officer,
}

impl Purpose {
    fn what(self) -> &'static str {
        match self {
            Self::Manifest => "manifest-signing",
            Self::Seal => "sealing",
            Self::Evidence => "evidence",
            Self::Citizen | Self::Secrecy => "citizen's",
            Self::Institution => "institution's",
            Self::Registrar => "registrar's",
            Self::Timestamp => "timestamp authority's",
            Self::Officer => "officer's",
        }
    }
}

/// The roots, and what the city's policies are called.
#[derive(Debug)]
pub struct Anchors {
    roots: path::Anchors,
    manifest: Requirements,
    seal: Requirements,
    evidence: Requirements,
    citizen: Requirements,
    secrecy: Requirements,
    institution: Requirements,
    registrar: Requirements,
    timestamp: Requirements,
    officer: Requirements,
}

impl Anchors {
    /// `arc` is the operator's arc of policies in dotted form.
    pub fn parse(pem: &[u8], arc: &str) -> Result<Self, TrustError> {
        let chain = crate::tls::chain(pem).map_err(|error| TrustError::Anchors { reason: error.to_string() })?;
        let roots = path::Anchors::new(&chain).map_err(|error| TrustError::Anchors { reason: error.to_string() })?;
        let policy = |below: &str| Oid::new(&format!("{arc}.{below}")).map_err(|_| TrustError::Arc { found: arc.chars().take(80).collect() });
        let required = |purpose, below| -> Result<_, TrustError> {
            Ok(Requirements { extended_key_usage: purpose, key_usage: vec![DIGITAL_SIGNATURE], policies: vec![policy(below)?] })
        };
        Ok(Self {
            roots,
            manifest: required(CLIENT_AUTHENTICATION, CLIENT_POLICY)?,
            seal: required(EMAIL_PROTECTION, SEAL_POLICY)?,
            evidence: required(DOCUMENT_SIGNING, EVIDENCE_POLICY)?,
            citizen: required(EMAIL_PROTECTION, CITIZEN_POLICY)?,
            secrecy: Requirements { key_usage: vec![KEY_AGREEMENT], ..required(EMAIL_PROTECTION, CITIZEN_POLICY)? },
            institution: required(EMAIL_PROTECTION, INSTITUTION_POLICY)?,
            registrar: required(DOCUMENT_SIGNING, REGISTRAR_POLICY)?,
            timestamp: required(TIME_STAMPING, TIMESTAMP_POLICY)?,
            officer: required(CLIENT_AUTHENTICATION, OFFICER_POLICY)?,
        })
    }

    /// The roots, DER: whom TLS asks for clients' certificates under.
    pub fn roots(&self) -> impl Iterator<Item = &[u8]> {
        self.roots.certificates()
    }

    /// Trusted at `now` but for revocation, which nobody has looked up yet: where lists are is believed of no stranger.
    pub fn trusted_but_for_revocation(&self, chain: &Chain, purpose: Purpose, now: OffsetDateTime) -> Result<(), TrustError> {
        match self.trusted(chain, purpose, &[] as &[Vec<u8>], now) {
            Ok(_) | Err(TrustError::Path { error: PathError::RevocationUnknown, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The part of a chain that leads from its own certificate to a root of ours, the root left out; trusted at `now` but for
    /// revocation. Whatever else was shown beside it is a stranger's word, and nobody is asked for lists on that.
    pub fn path(&self, chain: &Chain, purpose: Purpose, now: OffsetDateTime) -> Result<Chain, TrustError> {
        let wrong = |error| TrustError::Path { what: purpose.what(), error };
        let issuers: Vec<&[u8]> = chain.issuers().collect();
        let validation = Validation { anchors: &self.roots, lists: &[], required: self.required(purpose), at: now };
        let mut path = validation.path(chain.leaf(), &issuers).map_err(wrong)?;
        path.pop();
        Chain::new(path).ok_or(wrong(PathError::UnknownIssuer))
    }

    fn required(&self, purpose: Purpose) -> &Requirements {
        match purpose {
            Purpose::Manifest => &self.manifest,
            Purpose::Seal => &self.seal,
            Purpose::Evidence => &self.evidence,
            Purpose::Citizen => &self.citizen,
            Purpose::Secrecy => &self.secrecy,
            Purpose::Institution => &self.institution,
            Purpose::Registrar => &self.registrar,
            Purpose::Timestamp => &self.timestamp,
            Purpose::Officer => &self.officer,
        }
    }

    /// Trusted at `now`, by lists that cover every certificate of the path.
    pub fn trusted(&self, chain: &Chain, purpose: Purpose, crls: &[impl AsRef<[u8]>], now: OffsetDateTime) -> Result<Trusted, TrustError> {
        let lists = crls.iter().map(|der| RevocationList::parse(der.as_ref())).collect::<Result<Vec<_>, _>>()?;
        self.trusted_by(chain, purpose, &lists, now)
    }

    /// Trusted at `at`, and not revoked by then as far as lists of a later day know, which were current at `known`: what is proved years
    /// after it was signed. Whether it was signed at that time is another's proof.
    pub fn stood(&self, chain: &Chain, purpose: Purpose, lists: &[RevocationList], at: OffsetDateTime, known: OffsetDateTime) -> Result<CertificateFacts, TrustError> {
        let wrong = |error| TrustError::Path { what: purpose.what(), error };
        let issuers: Vec<&[u8]> = chain.issuers().collect();
        let path = Validation { anchors: &self.roots, lists: &[], required: self.required(purpose), at }.path(chain.leaf(), &issuers).map_err(wrong)?;
        let later = Validation { anchors: &self.roots, lists, required: self.required(purpose), at: known };
        for (place, pair) in path.windows(2).enumerate() {
            let [subject, issuer] = pair else { continue };
            match later.standing(subject, issuer, place > 0) {
                Err(PathError::Revoked { at: when, .. }) if when > at => {}
                standing => standing.map_err(wrong)?,
            }
        }
        CertificateFacts::parse(chain.leaf()).map_err(|error| unreadable(purpose, &error))
    }

    /// As [`Self::trusted`], by lists that were read already.
    pub fn trusted_by(&self, chain: &Chain, purpose: Purpose, lists: &[RevocationList], now: OffsetDateTime) -> Result<Trusted, TrustError> {
        let issuers: Vec<&[u8]> = chain.issuers().collect();
        let validation = Validation { anchors: &self.roots, lists, required: self.required(purpose), at: now };
        validation.trust(chain.leaf(), &issuers).map_err(|error| TrustError::Path { what: purpose.what(), error })
    }
}

/// What an organisation's certificate says that we rely on.
#[derive(Clone, PartialEq, Eq)]
pub struct BureauFacts {
    pub organization: String,
    pub credit_code: String,
    /// The address that statements come from; only a sealing certificate has one.
    pub email: Option<String>,
    pub crl_urls: Vec<String>,
}

/// Reads a chain from PEM: current, of an organisation with its credit code, and with a mail address where it seals.
/// Nothing is trusted yet.
pub fn chain(pem: &[u8], purpose: Purpose, now: OffsetDateTime) -> Result<(Chain, BureauFacts), TrustError> {
    let what = purpose.what();
    let unreadable = |reason: String| TrustError::Certificate { what, reason };
    let certificates = crate::tls::chain(pem).map_err(|error| unreadable(error.to_string()))?;
    let chain = Chain::new(certificates).ok_or_else(|| unreadable("it is empty".into()))?;
    let leaf = CertificateFacts::parse(chain.leaf()).map_err(|error| unreadable(error.to_string()))?;
    if !(leaf.not_before..=leaf.not_after).contains(&now) {
        let (from, until, now) = (leaf.not_before.unix_timestamp(), leaf.not_after.unix_timestamp(), now.unix_timestamp());
        return Err(TrustError::NotValid { what, from, until, now });
    }
    let credit_code = leaf.credit_code().map(str::to_owned).ok_or(TrustError::Incomplete { what, missing: "unified social credit code" })?;
    let organization = leaf.organization.clone().ok_or(TrustError::Incomplete { what, missing: "organisation" })?;
    let email = match (purpose, leaf.emails.as_slice()) {
        (Purpose::Manifest | Purpose::Evidence | Purpose::Citizen | Purpose::Secrecy | Purpose::Institution | Purpose::Registrar | Purpose::Timestamp | Purpose::Officer, _) => None,
        (Purpose::Seal, [email]) => Some(email.clone()),
        (Purpose::Seal, _) => return Err(TrustError::Incomplete { what, missing: "single mail address" }),
    };
    let crl_urls = crl_urls(&chain).map_err(|error| unreadable(error.to_string()))?;
    Ok((chain, BureauFacts { organization, credit_code, email, crl_urls }))
}

/// Where the lists are that cover a chain: those of every certificate in it.
pub fn crl_urls(chain: &Chain) -> Result<Vec<String>, pki::asn1::DerError> {
    let mut urls = Vec::new();
    for certificate in chain.certificates() {
        for url in CertificateFacts::parse(certificate)?.crl_urls {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
    }
    Ok(urls)
}

/// A certificate kept here that cannot be read.
pub(crate) fn unreadable(purpose: Purpose, error: &pki::asn1::DerError) -> TrustError {
    TrustError::Certificate { what: purpose.what(), reason: error.to_string() }
}

/// The number by which a chain's own certificate tells a person.
pub(crate) fn person_number(chain: &Chain) -> Option<String> {
    let (_, read) = X509Certificate::from_der(chain.leaf()).ok()?;
    let mut numbers = read.subject().iter_attributes().filter(|attribute| attribute.attr_type().to_id_string() == SERIAL_NUMBER);
    let number = numbers.next()?.as_str().ok()?.to_owned();
    (numbers.next().is_none() && !number.is_empty()).then_some(number)
}

/// SubjectPublicKeyInfo of a chain's own certificate, DER.
pub(crate) fn public_key_info(chain: &Chain, purpose: Purpose) -> Result<Vec<u8>, TrustError> {
    let unreadable = |_| TrustError::Certificate { what: purpose.what(), reason: "it is no X.509 certificate".into() };
    let (_, read) = X509Certificate::from_der(chain.leaf()).map_err(unreadable)?;
    Ok(read.public_key().raw.to_vec())
}
