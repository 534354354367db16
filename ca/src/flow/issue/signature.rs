//! What issuing and ceremonies do alike with the bytes of a certificate: a serial, a judgement, and a signature that is read
//! again before anybody sees it.

use keys::KeyHandle;
use pki::signer::{SignatureAlgorithm, Signer};
use ring::rand::{SecureRandom, SystemRandom};
use x509_parser::certificate::X509CertificateParser;
use x509_parser::nom::Parser;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::problem::IssueError;

/// Sixteen random octets, the top bit zero, so that every serial is positive and of one length.
pub(crate) fn fresh_serial() -> Result<[u8; 16], IssueError> {
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| IssueError::Randomness)?;
    let [first, ..] = &mut serial;
    // The second highest bit is set: the DER is never shortened and the serial never zero.
    *first = (*first & 0x7f) | 0x40;
    Ok(serial)
}

/// That no rule finds fault with these bytes, on their twin; ceremonies ask the same.
pub(crate) fn linted(tbs: &[u8], algorithm: SignatureAlgorithm, issuer: Option<&lint::Issuer>, facts: &lint::ProfileFacts) -> Result<(), IssueError> {
    let findings = lint::lint_certificate(&crate::throwaway::sign(algorithm, tbs)?, issuer, facts);
    if findings.iter().any(|finding| finding.severity == lint::Severity::Error) {
        return Err(IssueError::Lint { findings: findings.iter().map(|finding| format!("{}: {} ({})", finding.rule, finding.message, finding.clause)).collect() });
    }
    Ok(())
}

/// These bytes under a key, made and compared at once: a ceremony's signature.
pub(crate) fn signed(tbs: &[u8], key: &KeyHandle) -> Result<Vec<u8>, IssueError> {
    assembled(tbs, key, &Signer::sign(key, tbs)?)
}

pub(super) fn assembled(tbs: &[u8], key: &KeyHandle, signature: &[u8]) -> Result<Vec<u8>, IssueError> {
    let der = pki::certificate::assemble(tbs, Signer::algorithm(key), signature);
    // A fault in the token or in memory must not leave this process with our name under it.
    // What the extensions say was judged on the twin; here the bytes must be those, whole, under the issuer's key.
    let (rest, read) = X509CertificateParser::new().with_deep_parse_extensions(false).parse(&der).map_err(|_| IssueError::WrongSignature)?;
    let (_, issuer_key) = SubjectPublicKeyInfo::from_der(key.public_key_info()).map_err(|_| IssueError::WrongSignature)?;
    if !rest.is_empty() || read.tbs_certificate.as_ref() != tbs || read.verify_signature(Some(&issuer_key)).is_err() {
        return Err(IssueError::WrongSignature);
    }
    Ok(der)
}
