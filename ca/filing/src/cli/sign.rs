//! `filing sign`, and who signs: the operator's certificate, usable now, with its key.

use std::path::PathBuf;

use clap::Args;
use keys::KeyHandle;
use pki::cms::{ContentDigest, SignerPlan};
use pki::path::CertificateFacts;
use pki::signature::DigestAlgorithm;
use policies::authority::day_in_city;
use policies::identity::CreditCode;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use time::OffsetDateTime;

use super::enterprise::{Place, judged};
use super::key::Secret;
use super::mandate;
use crate::document::Signer as Role;

/// How the operator's key is reached.
#[derive(Debug, Args)]
pub struct Holder {
    /// 证书链 PEM (the certificate with its issuers), as the authority gave it; the newest of DIR without it.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    #[command(flatten)]
    secret: Secret,
}

#[derive(Debug, Args)]
pub struct Signed {
    #[command(flatten)]
    pub place: Place,
    /// 草稿 (a draft).
    file: PathBuf,
    /// 委托编号：代理他人签署 (sign as an agent, under this mandate).
    #[arg(long, value_name = "ID")]
    mandate: Option<String>,
    #[command(flatten)]
    holder: Holder,
}

/// One who may sign now.
pub(super) struct Signer {
    pub chain: Vec<Vec<u8>>,
    pub facts: CertificateFacts,
    key: KeyHandle,
}

impl Holder {
    /// The certificate is for signing, within its time, and of a key that is here.
    pub(super) fn signer(&self, place: &Place, now: OffsetDateTime) -> Result<Signer, Problem> {
        let chain = place.chain(self.certificate.as_deref())?;
        let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
        let facts = usable(place, leaf, now)?;
        let key = place.key(&self.secret, leaf)?;
        Ok(Signer { chain, facts, key })
    }
}

impl Signer {
    pub fn code(&self) -> Option<CreditCode> {
        self.facts.credit_code().and_then(|code| CreditCode::parse(code).ok())
    }

    /// Who calls a desk.
    pub fn caller(&self) -> (&[Vec<u8>], KeyHandle) {
        (&self.chain, self.key.clone())
    }

    /// A detached CAdES signature (B-B) over these octets, DER.
    pub fn seal(&self, place: &Place, content: &[u8], now: OffsetDateTime) -> Result<Vec<u8>, Problem> {
        let unsigned = |error: pki::cms::SealError| Problem::new(Exit::Refused, "signature", error.to_string(), place.said("请使用本密钥的证书", "use the certificate of this key"));
        let (leaf, above) = self.chain.split_first().ok_or_else(|| Problem::new(Exit::Internal, "certificate", "an empty chain", "report this"))?;
        let above: Vec<&[u8]> = above.iter().map(Vec::as_slice).collect();
        let plan = SignerPlan::new(leaf, &above).map_err(unsigned)?;
        let digest = match plan.digest_algorithm() {
            DigestAlgorithm::Sha384 => digest_of::<48>(DigestAlgorithm::Sha384, content).map(ContentDigest::from),
            _ => digest_of::<32>(DigestAlgorithm::Sha256, content).map(ContentDigest::from),
        };
        let digest = digest.ok_or_else(|| Problem::new(Exit::Internal, "digest", "the digest has another length than its hash", "report this"))?;
        plan.seal(digest, now, &self.key).map_err(unsigned)
    }
}

fn digest_of<const N: usize>(algorithm: DigestAlgorithm, content: &[u8]) -> Option<[u8; N]> {
    algorithm.digest(content).try_into().ok()
}

/// Signs what its rules allow: the canonical octets and a detached CAdES signature (B-B), side by side, never written over.
pub fn sign(wanted: &Signed) -> Result<(), Problem> {
    let place = &wanted.place;
    // 1. Only what keeps its rules is worth a signature.
    let filing = place.draft(&wanted.file, place.mandate(wanted.mandate.as_deref())?.as_ref())?;
    let filings = place.filings()?;
    place.warn_of(&filings, &filing);
    let judgement = judged(&filings, &filing);
    if !judgement.is_kept() {
        if place.json { json(&judgement)? } else { place.tell_all(&judgement)? }
        return Err(place.unkept(&judgement));
    }
    // 2. The certificate: this enterprise's, or an agent's with a mandate that covers the filing, for signing, and current.
    let now = SystemClock.now();
    let signer = wanted.holder.signer(place, now)?;
    match filing.signer() {
        Role::Agent(id) => mandate::covering(place, id, &filing, &signer, now)?,
        _ if signer.code().as_ref() != Some(filing.uscc()) => {
            let zh = ("证书中的统一社会信用代码与申报不一致", "请用本单位的证书；代理申报请用 --mandate");
            return Err(place.refuse(Exit::Refused, "certificate", zh, ("the certificate's credit code is not the filing's", "sign with this enterprise's certificate, or as an agent with --mandate")).at("/uscc"));
        }
        _ => {}
    }
    // 3. The signature over the canonical octets.
    let signature = signer.seal(place, filing.canonical(), now)?;
    // 4. Kept, the document first: a signature is never here without it. Signed again, the first signature stays.
    let (document, sealed) = (place.home().join(format!("{}.json", filing.id())), place.home().join(format!("{}.p7s", filing.id())));
    place.keep(&document, filing.canonical())?;
    if !sealed.exists() {
        place.keep(&sealed, &signature)?;
    }
    if place.json {
        return json(&serde_json::json!({ "filing_id": filing.id().as_str(), "document": document, "signature": sealed }));
    }
    line(&format!("{} {} {}", place.said("已签名：", "signed:"), document.display(), sealed.display()))
}

/// Whether a certificate may sign now: within its time, and made for signing.
pub(super) fn usable(place: &Place, certificate: &[u8], now: OffsetDateTime) -> Result<CertificateFacts, Problem> {
    let refused = |zh: String, en: String, next: (&str, &str)| Err(place.refuse(Exit::Refused, "certificate", (&zh, next.0), (&en, next.1)));
    let facts = CertificateFacts::parse(certificate).map_err(|error| Problem::new(Exit::Refused, "certificate", error.to_string(), place.said("请给出认证机构签发的证书", "give the certificate that the authority issued")))?;
    if now > facts.not_after {
        let ended = day_in_city(facts.not_after);
        return refused(format!("证书已于 {ended} 到期"), format!("the certificate ended on {ended}"), ("到期的证书不能再签，也不能换发：请另建目录执行 filing key new、filing request", "one that ended neither signs nor is renewed: order a new one from another directory, `filing key new` and `filing request`"));
    }
    if now < facts.not_before {
        let begins = day_in_city(facts.not_before);
        return refused(format!("证书自 {begins} 起生效"), format!("the certificate begins on {begins}"), ("请核对本机时间", "check this machine's clock"));
    }
    if !crate::desk::trust::signs(certificate) {
        return refused("该证书不能用于签名".into(), "the certificate is not for signing".into(), ("请使用企业签名证书", "use the enterprise's signing certificate"));
    }
    Ok(facts)
}
