//! What a list or an OCSP response says of one certificate, and whether who says it may.
// spec: rfc5280#6.3.3, rfc6960#3.2
use super::{CRL_SIGN, DerError, ListError, Revocation, RevocationList, key_usage};
use crate::asn1::Reader;
use crate::effort::Effort;
use crate::ocsp::{AnswerError, CertStatus, OcspAnswer, must_be_asked_about};
use crate::signature::{DigestAlgorithm, Scheme};
use crate::view::CertificateView;
use std::sync::Arc;
use time::OffsetDateTime;

enum Form {
    List(RevocationList),
    Ocsp(OcspAnswer),
}

/// A revocation answer of either form, read once; whom it is from is found out with the path.
#[derive(Clone)]
pub struct RevocationAnswer {
    form: Arc<Form>,
    digest: [u8; 32],
}

impl std::fmt::Debug for RevocationAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RevocationAnswer").field("form", &self.form()).finish_non_exhaustive()
    }
}

/// What is said of a certificate by one who may say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `None` while it is good.
    pub revocation: Option<Revocation>,
    /// As of when.
    pub this_update: OffsetDateTime,
    /// Of a list, until when it is the newest there need be; a response says as of when it tells, no more.
    pub next_update: Option<OffsetDateTime>,
    /// Whether who answers still knew of a certificate that had ended by then.
    pub knows_ended: bool,
    /// Until when the answer's own signer may be believed.
    pub signer_ends: OffsetDateTime,
    /// When it was made, and the certificate (DER) of a signer who must be asked about too. spec: rfc6960#4.2.2.2.1
    pub(crate) charged: Option<(OffsetDateTime, Vec<u8>)>,
    /// Each signature that it rests on: how it is made, and by whose key (SPKI, DER).
    pub(crate) signed: Vec<(Scheme, Vec<u8>)>,
}

impl RevocationAnswer {
    /// A full CRL, DER.
    pub fn list(der: &[u8]) -> Result<Self, ListError> {
        Ok(Self { form: Arc::new(Form::List(RevocationList::parse(der)?)), digest: sha256(der) })
    }

    /// An OCSPResponse, DER.
    pub fn ocsp(der: &[u8]) -> Result<Self, AnswerError> {
        Ok(Self { form: Arc::new(Form::Ocsp(OcspAnswer::parse(der)?)), digest: sha256(der) })
    }

    /// As [`Self::ocsp`], of which one may have been read already.
    pub(crate) fn ocsp_known(der: &[u8], known: &[Self]) -> Result<Self, AnswerError> {
        let digest = sha256(der);
        match known.iter().find(|one| one.digest == digest && matches!(*one.form, Form::Ocsp(_))) {
            Some(read) => Ok(read.clone()),
            None => Ok(Self { form: Arc::new(Form::Ocsp(OcspAnswer::parse(der)?)), digest }),
        }
    }

    /// What it says as a response, where it is one.
    pub fn as_ocsp(&self) -> Option<&OcspAnswer> {
        if let Form::Ocsp(answer) = &*self.form { Some(answer) } else { None }
    }

    /// `crl` or `ocsp`.
    pub fn form(&self) -> &'static str {
        match *self.form {
            Form::List(_) => "crl",
            Form::Ocsp(_) => "ocsp",
        }
    }

    /// SHA-256 of the answer, DER.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// What is said of `subject`, whose issuer is `issuer`; `None` when nothing is, or not by one who may.
    pub(crate) fn says(&self, subject: &CertificateView<'_>, issuer: &CertificateView<'_>, is_authority: bool, effort: &Effort<'_>) -> Result<Option<Said>, DerError> {
        match &*self.form {
            Form::List(list) => listed(list, &self.digest, subject, issuer, is_authority, effort),
            Form::Ocsp(answer) => told(answer, subject, issuer, effort),
        }
    }
}

fn listed(list: &RevocationList, digest: &[u8; 32], subject: &CertificateView<'_>, issuer: &CertificateView<'_>, is_authority: bool, effort: &Effort<'_>) -> Result<Option<Said>, DerError> {
    let may = key_usage(issuer)?.is_none_or(|usage| usage.has(CRL_SIGN));
    if !may || !list.is_about(subject, is_authority)? || effort.verify_known(list.scheme(), issuer.spki, digest, || list.verify(issuer.spki)).is_err() {
        return Ok(None);
    }
    Ok(Some(Said {
        revocation: list.find(subject.serial),
        this_update: list.this_update(),
        next_update: Some(list.next_update()),
        // A list need not name those that ended. spec: rfc5280#3.3
        knows_ended: list.this_update() <= subject.not_after,
        signer_ends: issuer.not_after,
        charged: None,
        signed: vec![(list.scheme(), issuer.spki.to_vec())],
    }))
}

fn told(answer: &OcspAnswer, subject: &CertificateView<'_>, issuer: &CertificateView<'_>, effort: &Effort<'_>) -> Result<Option<Said>, DerError> {
    let Ok((said, signer)) = answer.of_within(issuer.der, subject.serial, None, effort) else { return Ok(None) };
    let revocation = match said.status {
        CertStatus::Good => None,
        CertStatus::Revoked { at, reason, invalid_since } => Some(Revocation { at, reason, invalid_since }),
        CertStatus::Unknown => return Ok(None),
    };
    let signer = CertificateView::parse(signer)?;
    let mut signed = vec![(answer.scheme(), signer.spki.to_vec())];
    if signer.der != issuer.der
        && let Ok(scheme) = Scheme::read(Reader::only(signer.signed.algorithm, 0x30)?, None)
    {
        signed.push((scheme, issuer.spki.to_vec()));
    }
    Ok(Some(Said {
        revocation,
        this_update: said.this_update,
        next_update: None,
        knows_ended: said.this_update <= subject.not_after || said.archive_cutoff.is_some_and(|since| since <= subject.not_after),
        signer_ends: signer.not_after,
        charged: must_be_asked_about(&signer, issuer.der).then(|| (answer.produced_at(), signer.der.to_vec())),
        signed,
    }))
}

fn sha256(der: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(&DigestAlgorithm::Sha256.digest(der));
    digest
}
