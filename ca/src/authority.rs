//! What every flow works with: the store, the issuers and their keys, the policies, the clock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use keys::KeyHandle;
use pki::certificate::CertificatePlan;
use pki::signer::{SignatureAlgorithm, Signer};
use policies::authority::Rules;
use policies::certificate::{ApplicantKind, IssuerFacts, Kind, Policies, Profile};
use runtime::clock::Clock;
use store::Store;
use time::OffsetDateTime;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::own_name::OwnNames;
use crate::issuers::{FOUNDED_LATER, Issuers};
use crate::problem::IssueError;
use crate::record::{IssuerRecord, Scope, Settings};
use crate::registry::Registry;

/// The name of the root among the issuers.
pub const ROOT: &str = "root";

/// An authority of the hierarchy.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub record: IssuerRecord,
    /// The issuer's subject, DER, byte for byte.
    pub name: Vec<u8>,
    /// Of its own certificate, as the register knows it.
    pub serial: Vec<u8>,
    pub public_key_info: Vec<u8>,
    pub key_id: Vec<u8>,
    /// Its certificate, as the lints see it; none for a root that is just being founded.
    pub linted: Option<lint::Issuer>,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// `None` for the root once it is founded: its key is offline.
    pub key: Option<KeyHandle>,
    pub ocsp_key: Option<KeyHandle>,
    /// Serials whose intent is durable and whose signature could not be made, since the key was away.
    pub unfinished: Arc<Mutex<BTreeSet<Vec<u8>>>>,
}

impl Issuer {
    /// From its record; the certificate is parsed again at every start.
    pub fn new(record: IssuerRecord, key: Option<KeyHandle>, ocsp_key: Option<KeyHandle>) -> Result<Self, IssueError> {
        let damaged = || IssueError::Damaged { what: "an issuer's certificate" };
        let (_, read) = X509Certificate::from_der(&record.der).map_err(|_| damaged())?;
        let public_key_info = read.public_key().raw.to_vec();
        if key.as_ref().is_some_and(|key| key.public_key_info() != public_key_info) {
            return Err(IssueError::Damaged { what: "an issuer's key: it is not the one certified" });
        }
        let key_id = pki::certificate::key_id(&public_key_info).map_err(|_| damaged())?;
        let (name, serial, validity) = (read.subject().as_raw().to_vec(), read.raw_serial().to_vec(), read.validity().clone());
        Ok(Self {
            name,
            serial,
            key_id,
            linted: Some(lint::Issuer::parse(&record.der).map_err(|_| damaged())?),
            public_key_info,
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            record,
            key,
            ocsp_key,
            unfinished: Arc::default(),
        })
    }

    pub fn id(&self) -> &str {
        &self.record.id
    }

    pub fn is_root(&self) -> bool {
        self.record.is_root()
    }

    /// Whether this key signed a certificate that names it as its issuer: two roots have one name.
    pub fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        let key = SubjectPublicKeyInfo::from_der(&self.public_key_info);
        certificate.issuer().as_raw() == self.name && key.is_ok_and(|(_, key)| certificate.verify_signature(Some(&key)).is_ok())
    }

    /// The authority it is a generation of, as policies name it.
    pub fn policy_name(&self) -> &str {
        self.record.generation.as_ref().map_or(self.id(), |generation| &generation.of)
    }

    /// What it signs with, also when its key is elsewhere.
    pub fn algorithm(&self) -> Result<SignatureAlgorithm, IssueError> {
        match pki::key::check(&self.public_key_info) {
            Ok(pki::key::KeyAlgorithm::P256) => Ok(SignatureAlgorithm::EcdsaP256Sha256),
            Ok(pki::key::KeyAlgorithm::P384) => Ok(SignatureAlgorithm::EcdsaP384Sha384),
            _ => Err(IssueError::Algorithm),
        }
    }

    pub fn facts(&self) -> Result<IssuerFacts, IssueError> {
        let issuer = policies::certificate::Issuer::from_name(self.policy_name()).ok_or(IssueError::Damaged { what: "an issuer's name" })?;
        Ok(IssuerFacts { issuer, not_before: self.not_before, not_after: self.not_after })
    }
}

/// The addresses that certificates carry; fixed by the base URL recorded at `init`.
#[derive(Clone, Debug)]
pub struct Addresses {
    base: String,
}

impl Addresses {
    pub fn new(settings: &Settings) -> Self {
        Self::at_base(&settings.base_url)
    }

    /// Of an authority that is not founded yet.
    pub fn at_base(base_url: &str) -> Self {
        Self { base: base_url.trim_end_matches('/').to_owned() }
    }

    pub fn ocsp(&self) -> String {
        format!("{}/ocsp", self.base)
    }

    pub fn issuer(&self, id: &str) -> String {
        format!("{}/issuer/{id}.der", self.base)
    }

    /// The whole list.
    pub fn crl(&self, id: &str) -> String {
        self.list(id, Scope::Whole)
    }

    pub fn list(&self, id: &str, scope: Scope) -> String {
        match scope {
            Scope::Whole => format!("{}/crl/{id}.crl", self.base),
            Scope::Shard(shard) => format!("{}/crl/{id}/{shard}.crl", self.base),
            Scope::Delta => format!("{}/crl/{id}-delta.crl", self.base),
        }
    }

    /// The part whose list a certificate of ours names.
    pub fn shard(&self, id: &str, certificate: &X509Certificate<'_>) -> Option<u16> {
        let points = certificate.extensions().iter().find_map(|one| if let ParsedExtension::CRLDistributionPoints(points) = one.parsed_extension() { Some(points) } else { None })?;
        let Some(DistributionPointName::FullName(names)) = &points.points.first()?.distribution_point else { return None };
        let Some(GeneralName::URI(url)) = names.first() else { return None };
        let shard: u16 = url.strip_prefix(&format!("{}/crl/{id}/", self.base))?.strip_suffix(".crl")?.parse().ok()?;
        (shard < policies::authority::MAX_PARTITIONS).then_some(shard)
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}/{}", self.base, path.trim_start_matches('/'))
    }
}

/// Told of every durable change of what relying parties are shown, before the change is answered.
pub trait Watcher: Send + Sync {
    /// A certificate's status is another one.
    fn changed(&self, _issuer: &str, _serial: &[u8]) {}

    /// A list of an issuer is another one.
    fn published(&self, _issuer: &str, _scope: Scope) {}

    /// There is another issuer, which will issue as soon as everybody was told.
    fn joined(&self, _issuer: &Issuer) {}
}

/// An open authority.
pub struct Authority {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    pub addresses: Addresses,
    pub policies: Policies,
    pub rules: Rules,
    /// Keys that the world knows, as the operator's lists name them.
    pub key_lists: Arc<pki::key::Blocklist>,
    /// What makes the tags of own names in the log.
    pub own_names: Arc<OwnNames>,
    /// Where enterprises are looked up.
    pub registry: Arc<dyn Registry>,
    pub issuers: Issuers,
    /// The root's key, while the hierarchy is founded.
    pub founding: Option<KeyHandle>,
    pub watchers: Vec<Arc<dyn Watcher>>,
}

impl Authority {
    /// The same authority over another store, with nobody watching: for trials of what the store does to it.
    pub fn over(&self, store: Arc<dyn Store>) -> Self {
        Self {
            store,
            clock: Arc::clone(&self.clock),
            settings: self.settings.clone(),
            addresses: self.addresses.clone(),
            policies: self.policies.clone(),
            rules: self.rules.clone(),
            key_lists: Arc::clone(&self.key_lists),
            own_names: Arc::clone(&self.own_names),
            registry: Arc::clone(&self.registry),
            issuers: self.issuers.clone(),
            founding: None,
            watchers: Vec::new(),
        }
    }

    /// Tells whoever watches that a certificate's status is another one.
    pub fn changed(&self, issuer: &str, serial: &[u8]) {
        self.watchers.iter().for_each(|watcher| watcher.changed(issuer, serial));
    }

    /// Tells whoever watches that a list of an issuer is another one.
    pub fn published(&self, issuer: &str, scope: Scope) {
        self.watchers.iter().for_each(|watcher| watcher.published(issuer, scope));
    }

    /// Issuers and profiles that do not fit together: a profile that nobody can sign, an authority that signs nothing.
    pub fn unmatched(&self) -> Vec<String> {
        self.unmatched_with(&self.policies, &self.rules)
    }

    /// The same with other policies.
    pub fn unmatched_with(&self, policies: &Policies, rules: &Rules) -> Vec<String> {
        let signed_by = |id: &str| policies.profiles().any(|profile| profile.issuers().iter().any(|issuer| issuer.name() == id));
        let unsigned = policies.profiles().flat_map(|profile| profile.issuers().iter().map(move |issuer| (profile.name(), issuer.name())));
        let later = |issuer: &str| FOUNDED_LATER.iter().any(|(id, _)| *id == issuer);
        let unsigned = unsigned.filter(|(_, issuer)| !self.issuers.contains_key(issuer) && !later(issuer)).map(|(profile, issuer)| format!("the profile {profile} names the issuer {issuer}, which is not here"));
        let idle = self.issuers.values().filter(|issuer| !signed_by(issuer.policy_name())).map(|issuer| format!("no profile is signed by the issuer {}", issuer.id()));
        let holders = |name: &str| policies.profile(name).is_some_and(|profile| profile.kind() == Kind::Leaf && profile.applicant() != ApplicantKind::Authority);
        let renewed = rules.renewal.profiles().filter(|(name, _)| !holders(name)).map(|(name, _)| format!("certificates of {name} are to be renewed, and no holder has such"));
        let (online, asked) = (rules.orders.profiles().map(|profile| ("orders.toml", profile)), rules.approvals.profiles().map(|profile| ("approvals.toml", profile)));
        let absent = online.chain(asked).filter(|(_, profile)| policies.profile(profile).is_none()).map(|(file, profile)| format!("{file} names the profile {profile}, which is not here"));
        // What strangers apply for somebody looks at.
        let unseen = rules.orders.profiles().filter_map(|name| policies.profile(name)).filter(|profile| rules.approvals.of(profile.name(), profile.approvals()).online == 0);
        let unseen = unseen.map(|profile| format!("orders.toml lets anybody order certificates of {} over the network, and approvals.toml asks for no approval of such an order", profile.name()));
        unsigned.chain(idle).chain(renewed).chain(absent).chain(unseen).collect()
    }

    /// Profiles that issue nothing yet, since the authority that signs them was not there when this one was founded.
    pub fn dormant(&self) -> Vec<String> {
        let waits = |profile: &Profile| profile.issuers().len() == 1 && profile.issuers().iter().all(|issuer| !self.issuers.contains_key(issuer.name()));
        self.policies.profiles().filter(|profile| waits(profile)).map(|profile| format!("the profile {} waits for its authority", profile.name())).collect()
    }

    /// The issuer that signs certificates of `profile`: the one wanted, or the only one there is.
    pub fn issuer_for(&self, profile: &Profile, wanted: Option<&str>) -> Result<Arc<Issuer>, IssueError> {
        let only = match profile.issuers() {
            [only] => Some(only.name()),
            _ => None,
        };
        let id = wanted.or(only).unwrap_or_default();
        let known = || profile.issuers().iter().map(|issuer| issuer.name().to_owned()).collect();
        // The authority's own certificates are by the very generation they serve; all others by the newest.
        let newest = || self.issuers.newest(self.issuers.get(id).map_or(id, |issuer| issuer.policy_name()));
        let found = if profile.applicant() == ApplicantKind::Authority { self.issuers.get(id) } else { newest() };
        found.cloned().ok_or_else(|| IssueError::UnknownIssuer { issuer: id.chars().take(64).collect(), known: known() })
    }

    /// The issuer of a root's own certificate: itself, before it has one.
    pub fn founding_root(&self, plan: &CertificatePlan) -> Result<Issuer, IssueError> {
        let key = self.founding.clone().ok_or_else(|| IssueError::Offline { issuer: ROOT.to_owned() })?;
        let key_id = pki::certificate::key_id(&plan.spki).map_err(|_| IssueError::WrongSignature)?;
        Ok(Issuer {
            record: IssuerRecord::new(ROOT, Vec::new()),
            name: plan.issuer.clone(),
            serial: Vec::new(),
            public_key_info: plan.spki.clone(),
            key_id,
            linted: None,
            not_before: plan.not_before,
            not_after: plan.not_after,
            key: Some(key),
            ocsp_key: None,
            unfinished: Arc::default(),
        })
    }
}
