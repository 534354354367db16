//! OpenSSL asks and accepts what we answer; what differs from an honest token is refused.
#![allow(clippy::unwrap_used, clippy::panic)]
mod city;
use city::{Authority, Desk, EMAIL, Key, NOW, POLICY};
use const_oid::ObjectIdentifier as Oid;
use pki::asn1;
use pki::cms::CmsError;
use pki::signature::DigestAlgorithm;
use pki::signer::Signer as _;
use pki::timestamp::{Failure, Imprint, ImprintError, Moment, RequestError, Terms, TimeStampRequest, TimestampError, TokenError, TokenInfo, TokenPlan, granted, token_of, verify};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const CONTENT: &[u8] = b"filing 2026-05\n";
const TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");
const TERMS: Terms = Terms { policy: POLICY, accuracy_ms: 1_500, ordering: true };

struct Tsa {
    root: Authority,
    key: Key,
    certificate: Vec<u8>,
}

impl Tsa {
    fn new() -> Self {
        let (root, key) = (Authority::root("穗印根"), Key::p256());
        let certificate = certificate(&root, &key, &[TIME_STAMPING], true);
        Self { root, key, certificate }
    }

    fn stamp(&self, request: &TimeStampRequest) -> Vec<u8> {
        let moment = Moment { time: NOW + Duration::milliseconds(120), serial: city::serial() };
        TokenPlan::new(&self.certificate, &[]).unwrap().token(&TokenInfo::new(&TERMS, request, moment).unwrap(), &self.key).unwrap()
    }
}

fn certificate(root: &Authority, key: &Key, usages: &[Oid], critical: bool) -> Vec<u8> {
    root.seal(key.public_key_info(), |plan| {
        plan.extensions.extended_key_usage = usages.to_vec();
        plan.extensions.extended_key_usage_critical = critical;
    })
}

fn request() -> TimeStampRequest {
    TimeStampRequest { imprint: Imprint::of(DigestAlgorithm::Sha256, CONTENT), policy: None, nonce: Some(vec![0, 0x9a, 1]), certificate: true }
}

#[test]
fn openssl_asks_and_accepts_the_answer() {
    let (desk, tsa) = (Desk::new(), Tsa::new());
    desk.put("content", CONTENT);
    desk.pem("root.pem", "CERTIFICATE", &tsa.root.certificate);
    desk.pem("tsa.pem", "CERTIFICATE", &tsa.certificate);
    let at = NOW.unix_timestamp();
    for (hash, options) in [("sha256", "-cert"), ("sha384", "-no_nonce"), ("sha512", "-cert -tspolicy 1.3.6.1.4.1.32473.3.1")] {
        desk.ok(&format!("openssl ts -query -data content -{hash} {options} -out query"));
        let asked = TimeStampRequest::parse(&desk.get("query")).unwrap();
        assert_eq!((asked.certificate, asked.nonce.is_some(), asked.policy), (options.contains("-cert"), options != "-no_nonce", options.contains("policy").then_some(POLICY)));
        assert_eq!(TimeStampRequest::parse(&asked.der()), Ok(asked.clone()), "{hash}");
        let token = tsa.stamp(&asked);
        desk.put("reply", &granted(&token));
        let text = desk.ok("openssl ts -reply -in reply -text");
        for line in ["Status: Granted.", "Policy OID: 1.3.6.1.4.1.32473.3.1", "Jun  1 12:00:00.12 2026 GMT", "Accuracy: 0x01 seconds, 0x01F4 millis", "Ordering: yes"] {
            assert!(text.contains(line), "{line} in {text}");
        }
        desk.ok(&format!("openssl ts -verify -queryfile query -in reply -CAfile root.pem -untrusted tsa.pem -attime {at}"));
        desk.ok(&format!("openssl ts -verify -data content -in reply -CAfile root.pem -untrusted tsa.pem -attime {at}"));
        let known = [tsa.certificate.as_slice()];
        let verified = verify(token_of(&desk.get("reply")).unwrap(), &known).unwrap();
        assert_eq!((verified.imprint(), verified.nonce(), verified.policy()), (&asked.imprint, asked.nonce.as_deref(), POLICY));
        assert!(verified.imprint().is_of(CONTENT) && !verified.imprint().is_of(b"other"));
        assert_eq!((verified.gen_time(), verified.accuracy(), verified.ordering()), (NOW + Duration::milliseconds(120), Some(Duration::milliseconds(1_500)), true));
        assert_eq!(verified.signer_certificate(), tsa.certificate);
        if !asked.certificate {
            assert_eq!(verify(&token, &[]), Err(TimestampError::Signature(CmsError::NoCertificate)));
        }
    }
}

#[test]
fn refusals_are_read_by_openssl() {
    let desk = Desk::new();
    for (failure, text) in [
        (Failure::BadAlgorithm, "unrecognized or unsupported algorithm identifier"),
        (Failure::BadRequest, "transaction not permitted or supported"),
        (Failure::BadDataFormat, "the data submitted has the wrong format"),
        (Failure::TimeNotAvailable, "the TSA's time source is not available"),
        (Failure::UnacceptedPolicy, "the requested TSA policy is not supported by the TSA"),
        (Failure::UnacceptedExtension, "the requested extension is not supported by the TSA"),
        (Failure::AdditionalInformationNotAvailable, "the additional information requested could not be understood or is not available"),
        (Failure::SystemFailure, "the request cannot be handled due to system failure"),
    ] {
        desk.put("reply", &failure.der());
        let told = desk.ok("openssl ts -reply -in reply -text");
        assert!(told.contains("Status: Rejected.") && told.contains(text), "{told}");
        assert_eq!(token_of(&failure.der()), Err(TimestampError::Rejected));
    }
}

#[test]
fn bad_requests_have_their_failure() {
    let imprint = |oid: &str, length: usize| asn1::seq(&[&asn1::seq(&[&asn1::oid(&Oid::new(oid).unwrap())]), &asn1::tlv(4, &vec![7; length])]);
    let good = imprint("2.16.840.1.101.3.4.2.1", 32);
    let with = |version: &[u8], imprint: &[u8], rest: &[u8]| {
        let error = TimeStampRequest::parse(&asn1::seq(&[version, imprint, rest])).unwrap_err();
        (error.failure(), error)
    };
    let one = [2, 1, 1];
    assert_eq!(with(&[2, 1, 2], &good, &[]), (Failure::BadRequest, RequestError::Version));
    assert_eq!(with(&one, &imprint("1.3.14.3.2.26", 20), &[]), (Failure::BadAlgorithm, RequestError::Imprint(ImprintError::Algorithm)));
    assert_eq!(with(&one, &imprint("2.16.840.1.101.3.4.2.3", 32), &[]), (Failure::BadDataFormat, RequestError::Imprint(ImprintError::Length)));
    assert_eq!(with(&one, &good, &asn1::tlv(2, &[7; 21])), (Failure::BadRequest, RequestError::Nonce));
    assert!(TimeStampRequest::parse(&asn1::seq(&[&one, &good, &asn1::uint(&[0xff; 20])])).is_ok());
    assert_eq!(with(&one, &good, &asn1::tlv(0xa0, &[])), (Failure::UnacceptedExtension, RequestError::Extensions));
    assert_eq!(with(&one, &good, &[1, 1, 0]).0, Failure::BadDataFormat);
    assert_eq!(with(&one, &good, &[5, 0]).0, Failure::BadDataFormat);
    assert_eq!(TimeStampRequest::parse(&[0x30; 5_000]).unwrap_err(), RequestError::TooLarge(5_000));
}

#[test]
fn only_a_certificate_for_timestamps_alone_stamps() {
    let tsa = Tsa::new();
    for (usages, critical) in [(vec![TIME_STAMPING], false), (vec![TIME_STAMPING, EMAIL], true), (vec![EMAIL], true), (vec![], false)] {
        let other = certificate(&tsa.root, &tsa.key, &usages, critical);
        assert_eq!(TokenPlan::new(&other, &[]).unwrap_err(), TokenError::Usage);
    }
    let plan = TokenPlan::new(&tsa.certificate, &[]).unwrap();
    let moment = Moment { time: NOW, serial: city::serial() };
    assert_eq!(TokenInfo::new(&TERMS, &TimeStampRequest { policy: Some(EMAIL), ..request() }, moment), Err(TokenError::Policy));
    assert!(plan.token(&TokenInfo::new(&TERMS, &request(), moment).unwrap(), &Key::p256()).is_err());
}

/// Every bit of a token is under the signature or is it.
#[test]
fn no_bit_of_a_token_may_flip_and_damage_never_panics() {
    let tsa = Tsa::new();
    let (token, asked) = (tsa.stamp(&request()), request().der());
    assert!(verify(&token, &[]).is_ok());
    for (at, _) in token.iter().enumerate() {
        assert!(verify(&token[..at], &[]).is_err(), "cut at {at}");
        let mut damaged = token.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(verify(&damaged, &[]).is_err(), "byte {at}");
    }
    for (at, bit) in (0..asked.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut damaged = asked.clone();
        damaged[at] ^= 1 << bit;
        assert_ne!(TimeStampRequest::parse(&damaged), Ok(request()));
        assert!(TimeStampRequest::parse(&asked[..at]).is_err());
    }
}

#[test]
fn the_key_signs_in_its_own_time_and_not_in_that_of_its_certificate() {
    let tsa = Tsa::new();
    let stamped = |period: Option<(OffsetDateTime, OffsetDateTime)>, time| {
        let certificate = tsa.root.seal(tsa.key.public_key_info(), |plan| {
            (plan.extensions.extended_key_usage, plan.extensions.extended_key_usage_critical) = (vec![TIME_STAMPING], true);
            plan.extensions.private_key_period = period;
        });
        let info = TokenInfo::new(&TERMS, &request(), Moment { time, serial: city::serial() }).unwrap();
        TokenPlan::new(&certificate, &[]).unwrap().token(&info, &tsa.key).map(|token| verify(&token, &[]).unwrap().gen_time())
    };
    let (hour, last) = (Duration::HOUR, Duration::SECOND - Duration::MICROSECOND);
    let period = Some((NOW - hour, NOW + hour));
    for time in [NOW - hour, NOW, NOW + hour, NOW + hour + last] {
        assert_eq!(stamped(period, time), Ok(time));
    }
    for time in [NOW - hour - Duration::MICROSECOND, NOW + hour + Duration::SECOND] {
        assert_eq!(stamped(period, time), Err(TokenError::Ended));
        assert_eq!(stamped(None, time), Ok(time));
    }
    assert_eq!(stamped(None, NOW + Duration::days(9_000)), Err(TokenError::Ended));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_asked_and_stamped_comes_back(
        content: Vec<u8>, nonce: Option<[u8; 8]>, certificate: bool, policy: bool,
        micros in -631_152_000_000_000i64..253_402_300_800_000_000, accuracy in 0u32..10_000_000,
    ) {
        static TSA: std::sync::LazyLock<Tsa> = std::sync::LazyLock::new(|| {
            let tsa = Tsa::new();
            let certificate = tsa.root.seal(tsa.key.public_key_info(), |plan| {
                (plan.not_before, plan.not_after) = (datetime!(1950-01-01 0:00 UTC), datetime!(9999-12-31 23:59:59 UTC));
                (plan.extensions.extended_key_usage, plan.extensions.extended_key_usage_critical) = (vec![TIME_STAMPING], true);
            });
            Tsa { certificate, ..tsa }
        });
        let nonce = nonce.map(|octets| asn1::Reader::only(&asn1::uint(&octets), 2).unwrap().to_vec());
        let asked = TimeStampRequest { imprint: Imprint::of(DigestAlgorithm::Sha512, &content), policy: policy.then_some(POLICY), nonce, certificate };
        assert_eq!(TimeStampRequest::parse(&asked.der()), Ok(asked.clone()));
        let time = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap();
        let moment = Moment { time, serial: city::serial() };
        let terms = Terms { accuracy_ms: accuracy, ordering: policy, ..TERMS };
        let info = TokenInfo::new(&terms, &asked, moment).unwrap();
        let token = TokenPlan::new(&TSA.certificate, &[]).unwrap().token(&info, &TSA.key).unwrap();
        assert_eq!(*verify(&token, &[TSA.certificate.as_slice()]).unwrap(), pki::timestamp::Stamp::parse(info.der()).unwrap());
        let verified = verify(&token, &[TSA.certificate.as_slice()]).unwrap();
        assert_eq!((verified.gen_time(), verified.serial(), verified.imprint()), (time, moment.serial.as_slice(), &asked.imprint));
        assert_eq!((verified.accuracy(), verified.ordering(), verified.nonce()), (Some(Duration::milliseconds(i64::from(accuracy))), policy, asked.nonce.as_deref()));
    }

    #[test]
    fn noise_never_panics(noise: Vec<u8>) {
        let _ = (TimeStampRequest::parse(&noise), verify(&noise, &[]), token_of(&noise), pki::timestamp::Stamp::parse(&noise));
    }
}
