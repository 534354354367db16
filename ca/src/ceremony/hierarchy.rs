//! A whole hierarchy is founded where the root's key is born: the root, the first generation of every authority beneath it,
//! and the root's first list.
//!
//! 1 reviewed   the file and its inputs, each by its digest (`run_with`)
//! 2 rehearse   all of it judged under a key that is kept nowhere: what would be refused is refused before a key is born
//! 3 born       the root's key
//! 4 judge      the very bytes to be signed, durable before the first signature
//! 5 sign       each, and judged once more as it will be read
//! 6 close      the transcript under the same key, and all of it in its place at once

use std::path::Path;

use pki::request::Request;
use pki::signer::Signer;
use runtime::clock::Clock;
use time::OffsetDateTime;

use super::file::{Ceremony, Hierarchy};
use super::keys::{Born, RootKeys};
use super::place::Place;
use super::transcript::{SIGNATURE, Step, TRANSCRIPT, Transcript, signed_text};
use super::{CeremonyError, Done, Judged, Refused, addresses, judged, lint_list, reviewed, root_crl, roots};
use crate::authority::ROOT;
use crate::flow::certified::{self, Wanted};
use crate::flow::issue;
use crate::init::ReadPolicies;
use crate::problem::IssueError;

/// What is to be signed: the root first, then those beneath it, the list last.
struct Whole {
    root: Judged,
    /// By the names of the authorities.
    beneath: Vec<(String, Judged)>,
    list: Vec<u8>,
}

pub(super) fn found(ceremony: &Ceremony, wanted: &Hierarchy, mut transcript: Transcript, root_keys: &RootKeys<'_>, out: &Path, rehearsal: bool, clock: &dyn Clock) -> Result<Done, CeremonyError> {
    let now = || clock.now().unix_timestamp();
    // 2.
    root_keys.free()?;
    let (read, refused) = (reviewed(&wanted.policies, &wanted.policies_sha256)?, Refused::read(ceremony)?);
    let whole = |key: &[u8]| planned(&read, wanted, &refused, key, clock.now());
    let rehearsed = whole(&roots::passing_key()?)?;
    let kind = ceremony.act.kind();
    let mut done = Done { kind, ceremony_sha256: ceremony.sha256.clone(), root_key_id: None, root_sha256: None, token_key: None, tbs_sha256: crate::sha256_hex(&rehearsed.root.tbs), output: None, more: Vec::new(), transcript: None };
    if rehearsal {
        return Ok(done);
    }
    // 3.
    let Born { key, token_key } = root_keys.born()?;
    let key_id = crate::hex(&pki::certificate::key_id(Signer::public_key_info(&key)).map_err(|_| CeremonyError::OtherKey)?);
    transcript.add(now(), Step::Key { key_id: key_id.clone() })?;
    // 4.
    let Whole { root, beneath, list } = whole(Signer::public_key_info(&key))?;
    let named: Vec<String> = beneath.iter().map(|(id, _)| format!("{id}.tbs")).collect();
    let each = named.iter().map(String::as_str).zip(beneath.iter().map(|(_, one)| one.tbs.as_slice()));
    let place = Place::begin(out, [("root.tbs", root.tbs.as_slice()), ("root-list.tbs", &list)].into_iter().chain(each))?;
    for tbs in [&root.tbs].into_iter().chain(beneath.iter().map(|(_, one)| &one.tbs)).chain([&list]) {
        transcript.add(now(), Step::Judged { tbs_sha256: crate::sha256_hex(tbs) })?;
    }
    // 5.
    let mut made = |file: String, bytes: Vec<u8>, tbs: &[u8]| -> Result<(), CeremonyError> {
        transcript.add(now(), Step::Output { file: file.clone(), sha256: crate::sha256_hex(&bytes), tbs_sha256: crate::sha256_hex(tbs) })?;
        place.write(&file, &bytes)?;
        done.more.push(out.join(file));
        Ok(())
    };
    let pem = |der: &[u8]| crate::service::pem("CERTIFICATE", der).into_bytes();
    let der = issue::signed(&root.tbs, &key)?;
    roots::check(&der, facts(&root)?)?;
    made(format!("{ROOT}.pem"), pem(&der), &root.tbs)?;
    let authority = roots::signs_itself(&der, ROOT)?;
    for (id, one) in &beneath {
        let der = issue::signed(&one.tbs, &key)?;
        certified::check(&der, &authority, facts(one)?)?;
        made(format!("{id}.pem"), pem(&der), &one.tbs)?;
    }
    let signed = root_crl::sign(&list, &key)?;
    lint_list(&signed, &authority)?;
    made(format!("{ROOT}.crl"), signed, &list)?;
    // 6.
    let signature = Signer::sign(&key, signed_text(transcript.text()).as_bytes()).map_err(IssueError::from)?;
    place.write(TRANSCRIPT, transcript.text().as_bytes())?;
    place.write(SIGNATURE, &signature)?;
    place.finish()?;
    done.output = Some(done.more.remove(0));
    (done.root_key_id, done.root_sha256, done.token_key) = (Some(key_id), Some(crate::sha256_hex(&der)), token_key);
    (done.tbs_sha256, done.transcript) = (crate::sha256_hex(&root.tbs), Some(out.join(TRANSCRIPT)));
    Ok(done)
}

fn facts(judged: &Judged) -> Result<&lint::ProfileFacts, CeremonyError> {
    judged.facts.as_ref().ok_or(CeremonyError::NoRoot("there is none"))
}

/// All that is to be signed under this key, when no rule finds fault with any of it. Whatever signs, the bytes are the same.
fn planned(read: &ReadPolicies, wanted: &Hierarchy, refused: &Refused, public_key_info: &[u8], now: OffsetDateTime) -> Result<Whole, CeremonyError> {
    let addresses = addresses(&wanted.base_url)?;
    refused.judge(public_key_info)?;
    let root = judged(roots::root(&read.certificates, &addresses, &wanted.name, wanted.dates, public_key_info)?, wanted.path_length, None, now)?;
    let above = roots::twin(&root.tbs, ROOT)?;
    let mut keys = vec![public_key_info.to_vec()];
    let mut beneath = Vec::new();
    for one in &wanted.authorities {
        // The sender holds the key; it is none of those that are refused, and nobody else's here.
        let request = Request::parse(&one.request).map_err(IssueError::from)?;
        refused.judge(&request.spki)?;
        if keys.contains(&request.spki) {
            return Err(CeremonyError::SharedKey { id: one.id.clone() });
        }
        keys.push(request.spki.clone());
        let asked = Wanted { name: &one.name, not_before: one.dates.from, not_after: one.dates.until, mail_domains: &one.mail_domains, request: &request };
        let planned = certified::plan(&read.certificates, &addresses, &above, &asked)?;
        beneath.push((one.id.clone(), judged(planned, one.path_length, Some(&above), now)?));
    }
    let list = root_crl::first(&above, read.rules.crl.root_seconds)?;
    lint_list(&crate::throwaway::sign(above.algorithm()?, &list)?, &above)?;
    Ok(Whole { root, beneath, list })
}
