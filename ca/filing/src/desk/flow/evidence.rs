//! What is known now of the certificates by which a signature and its timestamps are judged: answers, and the paths.

use pki::cades::Signature;
use pki::path::CertificateFacts;
use pki::timestamp;
use time::OffsetDateTime;

use crate::desk::Desk;

/// DER. Whoever is away leaves nothing here.
#[derive(Debug, Default)]
pub struct Gathered {
    pub certificates: Vec<Vec<u8>>,
    pub crls: Vec<Vec<u8>>,
    pub ocsp: Vec<Vec<u8>>,
}

impl Gathered {
    fn add(list: &mut Vec<Vec<u8>>, one: Vec<u8>) {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}

/// The lists of every certificate on the paths of the signer and of each timestamp's authority, and the signer's status by
/// its responder.
pub fn gather(desk: &Desk, bureau: &str, signature: &Signature, document: &[u8], now: OffsetDateTime) -> Gathered {
    let mut gathered = Gathered::default();
    let mut others = signature.certificates().to_vec();
    let mut holders: Vec<Vec<u8>> = Vec::new();
    let known: Vec<&[u8]> = signature.certificates().iter().map(Vec::as_slice).collect();
    for token in signature.signature_timestamps().chain(signature.archive_timestamps()) {
        if let Ok(authority) = timestamp::authority(token, &known) {
            others.extend(authority.certificates);
            holders.push(authority.signer_certificate);
        }
    }
    let signer = signature.prove(document, &[]).ok().map(|proved| proved.signer_certificate().to_vec());
    for (holder, is_signer) in holders.iter().map(|one| (one, false)).chain(signer.iter().map(|one| (one, true))) {
        let Ok(facts) = CertificateFacts::parse(holder) else { continue };
        // The path as it stood while the certificate did.
        let at = now.clamp(facts.not_before, facts.not_after.max(facts.not_before));
        let Ok(path) = desk.trust.path(bureau, holder, &nearest(&others, holder), &[], at) else { continue };
        // A responder tells of the holder, lists of everyone below the anchor.
        let answer = if is_signer { desk.trust.status(&path).ok().map(|status| status.answer) } else { None };
        let answered = answer.is_some();
        answer.into_iter().for_each(|answer| Gathered::add(&mut gathered.ocsp, answer));
        for (depth, certificate) in path.iter().rev().skip(1).rev().enumerate() {
            Gathered::add(&mut gathered.certificates, certificate.clone());
            if depth == 0 && answered {
                continue;
            }
            let urls = CertificateFacts::parse(certificate).map(|facts| facts.crl_urls).unwrap_or_default();
            if let Ok(lists) = desk.outside.lists(&urls, now) {
                lists.into_iter().for_each(|list| Gathered::add(&mut gathered.crls, list));
            }
        }
    }
    gathered
}

/// Possible issuers above a certificate, by name: a signature of many years carries more than one path takes.
fn nearest(others: &[Vec<u8>], holder: &[u8]) -> Vec<Vec<u8>> {
    let Ok(view) = pki::view::CertificateView::parse(holder) else { return Vec::new() };
    let views: Vec<_> = others.iter().filter_map(|one| pki::view::CertificateView::parse(one).ok()).collect();
    let (mut names, mut found, mut next) = (vec![view.issuer], Vec::new(), 0);
    while let Some(name) = names.get(next).copied() {
        next += 1;
        for issuer in views.iter().filter(|issuer| issuer.subject == name) {
            if found.len() < pki::path::MAX_INTERMEDIATES && !found.iter().any(|one: &Vec<u8>| one == issuer.der) {
                found.push(issuer.der.to_vec());
                names.push(issuer.issuer);
            }
        }
    }
    found
}
