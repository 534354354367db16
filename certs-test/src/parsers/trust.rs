//! What decides whom to trust: timestamps, lists of keys, paths, and the constraints on names along them.

use std::sync::OnceLock;

use pki::asn1::Reader;
use pki::cades::{Constraints, Floor, Given, Indication, MAX_VERIFICATIONS, Signature, assess};
use pki::cms::SignerPlan;
use pki::effort::Effort;
use pki::key::Blocklist;
use pki::ocsp::{CertId, CertStatus, HashAlgorithm, OcspAnswer, SingleResponse, assemble, responder_key_hash, response_data};
use pki::path::{ANY_PURPOSE, Anchors, Oid, Requirements, RevocationList, Validation};
use pki::signature::DigestAlgorithm;
use pki::signer::Signer as _;
use pki::timestamp::{Imprint, Moment, Terms, TimeStampRequest, TokenInfo, TokenPlan, verify};
use pki::view::CertificateView;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::OffsetDateTime;
use time::macros::datetime;

use super::pki_inputs::{crl_seeds, holder, parameters};

const NOW: OffsetDateTime = datetime!(2026-11-26 8:00 UTC);

/// What was read says the same when it is written and read again.
pub(super) fn timestamp_request(input: &[u8]) {
    let Ok(request) = TimeStampRequest::parse(input) else { return };
    assert_eq!(TimeStampRequest::parse(&request.der()), Ok(request));
}

fn request(policy: Option<Oid>) -> TimeStampRequest {
    TimeStampRequest { imprint: Imprint::of(DigestAlgorithm::Sha256, b"filing"), policy, nonce: Some(vec![1, 2, 3]), certificate: true }
}

pub(super) fn timestamp_request_seeds() -> Vec<Vec<u8>> {
    let other = TimeStampRequest { imprint: Imprint::of(DigestAlgorithm::Sha512, b""), policy: None, nonce: None, certificate: false };
    vec![request(Some(Oid::new_unwrap("1.3.6.1.4.1.32473.3.1"))).der(), other.der()]
}

/// Whatever verifies is of the content and the time that were signed.
pub(super) fn timestamp(input: &[u8]) {
    let Ok(verified) = verify(input, &[]) else { return };
    assert!(verified.imprint().is_of(b"filing") && !verified.imprint().is_of(b"other"));
    assert_eq!((verified.gen_time(), verified.nonce(), verified.serial()), (NOW, Some(&[1, 2, 3][..]), &[0x41; 16][..]));
}

pub(super) fn timestamp_seeds() -> Vec<Vec<u8>> {
    static TOKEN: OnceLock<Vec<u8>> = OnceLock::new();
    vec![TOKEN.get_or_init(|| token(&request(None))).clone()]
}

fn token(request: &TimeStampRequest) -> Vec<u8> {
    static PLAN: OnceLock<TokenPlan> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let mut parameters = parameters();
        parameters.subject_alt_names.clear();
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = Vec::new();
        // Critical, and the only one. spec: rfc3161#2.3
        let mut purpose = CustomExtension::from_oid_content(&[2, 5, 29, 37], vec![0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8]);
        purpose.set_criticality(true);
        parameters.custom_extensions.push(purpose);
        // The signer is the holder of the tests' one key.
        let certificate = parameters.self_signed(holder().issuer.key()).expect("a certificate");
        TokenPlan::new(certificate.der(), &[]).expect("a plan")
    });
    let told = TokenInfo::new(&terms(), request, Moment { time: NOW, serial: [0x41; 16] }).expect("what a token says");
    plan.token(&told, holder()).expect("a token")
}

fn terms() -> Terms {
    Terms { policy: Oid::new_unwrap("1.3.6.1.4.1.32473.3.1"), accuracy_ms: 1_500, ordering: true }
}

/// Whatever is believed was signed by the holder, who is its own issuer here, and is of the certificate that was asked about.
pub(super) fn ocsp_answer(input: &[u8]) {
    let Ok(answer) = OcspAnswer::parse(input) else { return };
    let issuer: &[u8] = holder().issuer.der();
    if let Ok((said, signer)) = answer.of(issuer, &ASKED, None) {
        assert_eq!((signer, said.status, said.this_update, answer.nonce()), (issuer, CertStatus::Good, NOW, Some(&[7; 16][..])));
    }
    assert!(answer.of(issuer, &[0x42], None).is_err());
}

const ASKED: [u8; 1] = [0x41];

pub(super) fn ocsp_answer_seeds() -> Vec<Vec<u8>> {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let answer = || {
        let issuer = CertificateView::parse(holder().issuer.der()).expect("a view");
        let id = CertId::new(HashAlgorithm::Sha256, issuer.subject, issuer.spki, &ASKED).expect("an id");
        let single = SingleResponse { id: &id.der, status: CertStatus::Good, this_update: NOW, next_update: NOW + time::Duration::DAY, archive_cutoff: Some(NOW) };
        let data = response_data(&responder_key_hash(issuer.spki).expect("a hash"), NOW, &[single], Some(&[7; 16]));
        assemble(&data, holder().algorithm(), &holder().sign(&data).expect("a signature"), holder().issuer.der())
    };
    SEEDS.get_or_init(|| vec![answer(), pki::ocsp::Failure::TryLater.der()]).clone()
}

const DOCUMENT: &[u8] = b"{\"filing_id\":\"01K\"}";

/// Whatever is proved was signed by the holder over this document; what is read is written and read again; what is trusted
/// by nobody never passes.
pub(super) fn cades(input: &[u8]) {
    let Ok(signature) = Signature::read(input) else { return };
    if let Ok(again) = signature.with_evidence([], [], []) {
        assert_eq!(again.value(), signature.value());
        assert_eq!(Signature::read(again.der()).as_ref(), Ok(&again));
    }
    if let Ok(proved) = signature.prove(DOCUMENT, &[]) {
        assert_eq!(CertificateView::parse(proved.signer_certificate()).expect("a view").spki, holder().spki);
        assert!(signature.prove(b"other", &[]).is_err());
    }
    let nobody = Anchors::new(&[] as &[Vec<u8>]).expect("no anchors");
    let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: Vec::new() };
    let constraints = Constraints {
        anchors: &nobody,
        timestamp_anchors: &nobody,
        required: &required,
        credit_code: None,
        timestamped: false,
        claimed_within: None,
        signs_by: &[],
        answers_after: time::Duration::ZERO,
        lists_older: time::Duration::ZERO,
        timestamp_answers_after: time::Duration::ZERO,
        skew: time::Duration::ZERO,
        floor: &Floor::new(Vec::new()),
    };
    let told = |most| {
        let effort = Effort::new(most);
        let found = assess(DOCUMENT, &signature, &constraints, &Given { effort: Some(&effort), ..Given::default() }, NOW);
        assert!(effort.made() <= most);
        (effort.is_spent(), found.map_or_else(|finding| (finding.indication(), Some(finding.sub)), |found| (found.verdict().0, found.verdict().1.map(|finding| finding.sub))))
    };
    let (_, whole) = told(MAX_VERIFICATIONS);
    assert_ne!(whole.0, Indication::TotalPassed);
    // With less effort it is the same, or unknown.
    let (spent, few) = told(2);
    assert!(few == whole || (spent && few.0 == Indication::Indeterminate));
}

pub(super) fn cades_seeds() -> Vec<Vec<u8>> {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let stamp = |imprint: &Imprint| token(&TimeStampRequest { imprint: imprint.clone(), policy: None, nonce: None, certificate: true });
    SEEDS
        .get_or_init(|| {
            let digest: [u8; 32] = DigestAlgorithm::Sha256.digest(DOCUMENT).try_into().expect("32 octets");
            let basic = SignerPlan::new(holder().issuer.der(), &[]).expect("a plan").seal(digest, NOW, holder()).expect("a signature");
            let basic = Signature::read(&basic).expect("what was just made");
            let stamped = basic.with_timestamp(&stamp(&basic.timestamp_imprint(DigestAlgorithm::Sha256))).expect("a timestamp");
            let lists = crl_seeds();
            let lasting = stamped.with_evidence([holder().issuer.der().as_ref()], [], lists.iter().map(Vec::as_slice)).expect("evidence");
            let covered = lasting.archive_imprint(DOCUMENT, DigestAlgorithm::Sha512);
            let archived = lasting.with_archive_timestamp(&covered, &stamp(covered.imprint())).expect("an archive timestamp");
            [basic, stamped, lasting, archived].map(|one| one.der().to_vec()).to_vec()
        })
        .clone()
}

/// A list that is read holds as many keys as it has lines of them, and a key that none names is not held.
pub(super) fn blocklist(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(list) = Blocklist::parse([("a", text)]) else { return };
    let lines = text.lines().filter(|line| !line.split('#').next().unwrap_or_default().trim().is_empty()).count();
    assert_eq!((list.len(), list.is_empty()), (lines, lines == 0));
    let key = &holder().spki;
    let digest: String = pki::ocsp::HashAlgorithm::Sha256.digest(key).iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(list.holds(key), text.lines().any(|line| line.split('#').next().unwrap_or_default().trim().eq_ignore_ascii_case(&digest)));
}

pub(super) fn blocklist_seeds() -> Vec<Vec<u8>> {
    let digest: String = pki::ocsp::HashAlgorithm::Sha256.digest(&holder().spki).iter().map(|octet| format!("{octet:02x}")).collect();
    vec![format!("# known\n{digest}\n{} # another\n", "0".repeat(64)).into_bytes(), b"0123456789abcdef0123\r\n\nABCDEF0123456789ABCD\n".to_vec()]
}

/// A certificate, its issuers and their lists, one after the other: what is trusted is what the issuer signed.
pub(super) fn path(input: &[u8]) {
    let mut pieces = Reader::new(input);
    let (mut certificates, mut lists) = (Vec::new(), Vec::new());
    while let Ok((_, _, whole)) = pieces.any() {
        match RevocationList::parse(whole) {
            Ok(list) if lists.len() < 16 => lists.push(list),
            _ => certificates.push(whole),
        }
    }
    let Some((first, others)) = certificates.split_first() else { return };
    let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: Vec::new() };
    let anchors = Anchors::new(&[holder().issuer.der()]).expect("an anchor");
    let Ok(trusted) = (Validation { anchors: &anchors, lists: &lists, required: &required, at: NOW }).trust(first, others) else { return };
    let signed = |der: &[u8]| CertificateView::parse(der).map(|view| view.signed.tbs.to_vec());
    assert!(chain().iter().any(|known| signed(known) == signed(trusted.certificate())), "what nobody signed is trusted");
}

/// A holder, the authority between, and the lists of both issuers.
fn chain() -> &'static [Vec<u8>; 4] {
    static CHAIN: OnceLock<[Vec<u8>; 4]> = OnceLock::new();
    CHAIN.get_or_init(|| {
        let key = KeyPair::generate().expect("a key");
        let mut between = parameters();
        between.subject_alt_names.clear();
        between.distinguished_name.push(DnType::CommonName, "between");
        between.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        between.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = between.signed_by(&key, &holder().issuer).expect("a certificate");
        let issuer = Issuer::from_params(&between, &key);
        let mut leaf = parameters();
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
        let list = rcgen::CertificateRevocationListParams {
            this_update: datetime!(2026-11-25 8:00 UTC),
            next_update: datetime!(2026-12-02 8:00 UTC),
            crl_number: 7_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&issuer).expect("a list").der().to_vec();
        [leaf.der().to_vec(), authority.der().to_vec(), list, crl_seeds().swap_remove(0)]
    })
}

pub(super) fn path_seeds() -> Vec<Vec<u8>> {
    let [leaf, authority, list, lists] = chain();
    let whole = [leaf.as_slice(), authority, list, lists].concat();
    let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: Vec::new() };
    let anchors = Anchors::new(&[holder().issuer.der()]).expect("an anchor");
    let lists = [list, lists].map(|der| RevocationList::parse(der).expect("a list"));
    (Validation { anchors: &anchors, lists: &lists, required: &required, at: NOW }).trust(leaf, &[authority]).expect("the seed itself is trusted");
    vec![whole]
}

/// Constraints of an authority and names of a holder below it, as somebody would sign them: the first octet says how many
/// octets are the constraints. Whatever is excluded is not permitted as well.
pub(super) fn constraints(input: &[u8]) {
    let Some((length, rest)) = input.split_first() else { return };
    let Some((constraints, names)) = rest.split_at_checked(usize::from(*length)) else { return };
    if rest.len() > 4_000 {
        return;
    }
    let trusted = |constraints: &[u8]| {
        let extension = |last: u8, content: &[u8]| CustomExtension::from_oid_content(&[2, 5, 29, last.into()], content.to_vec());
        let authority = |name: &str| {
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name.push(DnType::OrganizationName, name);
            (parameters.not_before, parameters.not_after) = (datetime!(2026-01-01 0:00 UTC), datetime!(2036-01-01 0:00 UTC));
            parameters
        };
        let mut root = authority("root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.custom_extensions.push(extension(30, constraints));
        let key = holder().issuer.key();
        let root_der = root.self_signed(key).expect("a certificate").der().to_vec();
        let mut leaf = authority("leaf");
        leaf.custom_extensions.push(extension(17, names));
        let leaf = leaf.signed_by(key, &Issuer::from_params(&root, key)).expect("a certificate").der().to_vec();
        let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: Vec::new() };
        let anchors = Anchors::new(&[root_der]).expect("an anchor");
        let judged = (Validation { anchors: &anchors, lists: &[], required: &required, at: NOW }).trust(&leaf, &[] as &[&[u8]]);
        // There is no list: to get as far as that is to have names that are allowed.
        matches!(judged, Err(pki::path::PathError::RevocationUnknown))
    };
    // The same subtrees, permitted and excluded.
    if let Ok([0xa0, subtrees @ ..]) = Reader::only(constraints, 0x30).map(|fields| fields.to_vec()).as_deref() {
        let turned = pki::asn1::seq(&[&[&[0xa1], subtrees].concat()]);
        let of_a_kind = trusted(constraints) && trusted(&turned);
        // Both may hold only when no name is of a kind that the subtrees are about.
        assert!(!of_a_kind || !speaks_of(subtrees, names), "permitted and excluded at once");
    } else {
        trusted(constraints);
    }
}

/// Whether a name is of the kind of some subtree, by the tags alone.
fn speaks_of(subtrees: &[u8], names: &[u8]) -> bool {
    let tags = |der: &[u8]| {
        let mut list = Reader::new(der);
        std::iter::from_fn(move || list.any().ok().map(|(tag, value, _)| (tag, value.to_vec()))).collect::<Vec<_>>()
    };
    let Ok(subtrees) = Reader::only(&[&[0x30], subtrees].concat(), 0x30).map(<[u8]>::to_vec) else { return false };
    let kinds: Vec<u8> = tags(&subtrees).iter().filter_map(|(_, one)| one.first().copied()).collect();
    let names = Reader::only(names, 0x30).map(<[u8]>::to_vec).unwrap_or_default();
    tags(&names).iter().any(|(tag, _)| kinds.contains(tag))
}

pub(super) fn constraints_seeds() -> Vec<Vec<u8>> {
    let name = |tag: u8, text: &[u8]| pki::asn1::tlv(tag, text);
    let subtrees = |tag: u8, names: &[Vec<u8>]| {
        let all: Vec<u8> = names.iter().flat_map(|name| pki::asn1::seq(&[name])).collect();
        pki::asn1::tlv(tag, &all)
    };
    let seed = |constraints: Vec<u8>, names: &[Vec<u8>]| [vec![u8::try_from(constraints.len()).expect("short")], constraints, pki::asn1::tlv(0x30, &names.concat())].concat();
    let permitted = subtrees(0xa0, &[name(0x81, b".example.cn"), name(0x82, b"example.cn"), name(0x87, &[192, 0, 2, 0, 255, 255, 255, 0])]);
    vec![
        seed(pki::asn1::seq(&[&permitted]), &[name(0x81, b"office@mail.example.cn"), name(0x82, b"a.example.cn"), name(0x87, &[192, 0, 2, 1])]),
        seed(pki::asn1::seq(&[&subtrees(0xa1, &[name(0x81, b"a@example.cn"), name(0x86, b".example.cn")])]), &[name(0x86, b"http://a.example.cn/x"), name(0x81, b"b@example.cn")]),
    ]
}
