//! The token against SoftHSM, in a process of its own for each test: a module belongs to a process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use cryptoki::context::Pkcs11;
use cryptoki::error::RvError;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::UserType;

use super::module::Session;
use super::*;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "8051-pin-4437";
const LABEL: &str = "suiyin test";
const QUICK: Limits = Limits { sessions: 4, waiting: 64, attempts: 7, pause: Duration::from_millis(1), answer: Duration::from_secs(5) };

/// Runs the test `name`, which is marked as ignored, with a new token in a new process; nothing it says holds the PIN.
fn in_its_own_process(name: &str) {
    let place = tempfile::tempdir().unwrap();
    let (tokens, configuration) = (place.path().join("tokens"), place.path().join("softhsm2.conf"));
    std::fs::create_dir(&tokens).unwrap();
    std::fs::set_permissions(&tokens, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(&configuration, format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = INFO\n", tokens.display())).unwrap();
    let util = ["--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "so-pin-1234"];
    let made = Command::new("softhsm2-util").args(util).env("SOFTHSM2_CONF", &configuration).output().expect("softhsm2 is installed: run scripts/test");
    assert!(made.status.success(), "{made:?}");
    let exact = format!("token::tests::{name}");
    let run = Command::new(std::env::current_exe().unwrap()).args(["--exact", &exact, "--ignored", "--nocapture"]).env("SOFTHSM2_CONF", &configuration).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("1 passed"), "{:?}: {said}", run.status);
    assert!(!said.contains(PIN), "the PIN was said");
}

fn pin() -> Pin {
    Pin::new(PIN.to_owned()).unwrap()
}

fn library() -> Library {
    Library::new(Path::new(MODULE), LABEL)
}

fn token() -> Token {
    Token::over(LABEL, Box::new(library()), pin(), LIMITS).unwrap()
}

/// Judged with ring, from the public key alone.
fn holds(key: &KeyHandle, message: &[u8], signature: &[u8]) -> bool {
    let public = pki::certificate::key_bits(key.public_key_info()).unwrap();
    let algorithm: &dyn ring::signature::VerificationAlgorithm = match Signer::algorithm(key) {
        SignatureAlgorithm::EcdsaP256Sha256 => &ring::signature::ECDSA_P256_SHA256_ASN1,
        _ => &ring::signature::ECDSA_P384_SHA384_ASN1,
    };
    ring::signature::UnparsedPublicKey::new(algorithm, public).verify(message, signature).is_ok()
}

/// A second way into the module of this process.
fn aside() -> (Pkcs11, cryptoki::slot::Slot) {
    let module = Pkcs11::new(MODULE).unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap().into_iter().next().unwrap();
    (module, slot)
}

#[test]
fn keys_are_made_and_used_in_the_token() {
    in_its_own_process("inner_makes_and_signs");
}

#[test]
#[ignore = "run by another test in a process of its own"]
fn inner_makes_and_signs() {
    let token = Token::over(LABEL, Box::new(library()), pin(), QUICK).unwrap();
    for algorithm in [SignatureAlgorithm::EcdsaP256Sha256, SignatureAlgorithm::EcdsaP384Sha384] {
        let made = token.generate("enterprise-ca", algorithm).unwrap();
        let again = token.key("enterprise-ca", &made.id, algorithm, made.handle.public_key_info()).unwrap();
        for round in 0..50_u32 {
            let message = round.to_be_bytes();
            assert!(holds(&made.handle, &message, &Signer::sign(&again, &message).unwrap()));
        }
        // Held against the public key: what is not of this key never gets out.
        let other = token.generate("enterprise-ca", algorithm).unwrap();
        // It is found by its public key alone; one of elsewhere is not.
        assert!(token.holds(made.handle.public_key_info()).unwrap() && token.holds(other.handle.public_key_info()).unwrap());
        let mut elsewhere = made.handle.public_key_info().to_vec();
        *elsewhere.last_mut().unwrap() ^= 1;
        assert!(!token.holds(&elsewhere).unwrap() && !token.holds(b"no key").unwrap());
        let crossed = token.key("enterprise-ca", &made.id, algorithm, other.handle.public_key_info()).unwrap();
        assert!(Signer::sign(&crossed, b"x").unwrap_err().reason.contains("another key"));
    }
    assert!(matches!(token.generate("x", SignatureAlgorithm::RsaPkcs1Sha256), Err(TokenError::Algorithm)));
    assert!(matches!(token.generate("X y", SignatureAlgorithm::EcdsaP256Sha256), Err(TokenError::Name(_))));
    // Nobody gets a private key out.
    let (module, slot) = aside();
    let session = module.open_ro_session(slot).unwrap();
    // The pool may have logged in already.
    let _ = session.login(UserType::User, Some(pin().secret()));
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
    assert_eq!(keys.len(), 4);
    for key in keys {
        use cryptoki::object::AttributeType::{Extractable, NeverExtractable, Sensitive, Token, Value};
        let found = session.get_attributes(key, &[Sensitive, Extractable, NeverExtractable, Token, Value]).unwrap();
        for wanted in [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::NeverExtractable(true), Attribute::Token(true)] {
            assert!(found.contains(&wanted), "{found:?}");
        }
        assert!(!found.iter().any(|attribute| matches!(attribute, Attribute::Value(_))));
    }
}

#[test]
fn a_lost_session_module_or_token_is_found_again() {
    in_its_own_process("inner_finds_again");
}

#[test]
#[ignore = "run by another test in a process of its own"]
fn inner_finds_again() {
    let token = token();
    let key = token.generate("tls-ca", SignatureAlgorithm::EcdsaP256Sha256).unwrap().handle;
    let sign = || Signer::sign(&key, b"m").map(|signature| assert!(holds(&key, b"m", &signature)));
    for round in 0..30 {
        let (module, slot) = aside();
        let begun = Instant::now();
        match round % 3 {
            // CKR_SESSION_HANDLE_INVALID: the module began anew behind our back.
            0 => {
                module.clone().finalize().unwrap();
                module.initialize(cryptoki::context::CInitializeArgs::new(cryptoki::context::CInitializeFlags::OS_LOCKING_OK)).unwrap();
            }
            // CKR_CRYPTOKI_NOT_INITIALIZED.
            1 => module.finalize().unwrap(),
            // CKR_USER_NOT_LOGGED_IN: the sessions live on.
            _ => module.open_ro_session(slot).unwrap().logout().unwrap(),
        }
        for _ in 0..5 {
            sign().unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(3), "round {round}");
    }
    // The token is taken away, and put back. Nothing is restarted.
    let configuration = std::env::var("SOFTHSM2_CONF").unwrap();
    let tokens = Path::new(&configuration).with_file_name("tokens");
    let away = tokens.with_file_name("away");
    std::fs::rename(&tokens, &away).unwrap();
    Pkcs11::new(MODULE).unwrap().finalize().unwrap();
    let begun = Instant::now();
    let said = sign().unwrap_err();
    assert!(said.reason.contains("cannot be used"), "{said}");
    assert!(begun.elapsed() < LIMITS.answer + Duration::from_secs(1));
    assert!(matches!(token.health(), Err(TokenError::Away { .. })));
    std::fs::rename(&away, &tokens).unwrap();
    let begun = Instant::now();
    sign().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(token.health(), Ok(()));
}

#[test]
fn a_wrong_pin_is_tried_once() {
    in_its_own_process("inner_wrong_pin");
}

#[test]
#[ignore = "run by another test in a process of its own"]
fn inner_wrong_pin() {
    let (calls, faulty) = Faulty::over(library());
    let wrong = Pin::new("not-the-pin".into()).unwrap();
    let token = Token::over(LABEL, Box::new(faulty), wrong, QUICK).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(matches!(token.generate("x", SignatureAlgorithm::EcdsaP256Sha256), Err(TokenError::PinRefused { .. }))));
        }
    });
    let said = token.generate("x", SignatureAlgorithm::EcdsaP256Sha256).unwrap_err();
    assert!(!format!("{said} {said:?} {token:?}").contains("not-the-pin"));
    assert_eq!(token.health(), Err(said));
    assert_eq!(calls.logins.load(Ordering::SeqCst), 1);
    drop(token);
    // It opens with the right one: it was not locked.
    super::tests::token().generate("x", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
}

#[test]
fn a_token_let_go_has_left_its_module() {
    in_its_own_process("inner_leaves");
}

#[test]
#[ignore = "run by another test in a process of its own"]
fn inner_leaves() {
    for _ in 0..20 {
        // Made at once by many: a module is initialised by one of them.
        let token = token();
        let key = token.generate("x", SignatureAlgorithm::EcdsaP256Sha256).unwrap().handle;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Signer::sign(&key, b"m").unwrap());
            }
        });
        drop((token, key));
        // A last answer may come before the last thread is quite gone.
        let at_work = || {
            let threads = std::fs::read_dir("/proc/self/task").unwrap();
            threads.filter(|thread| std::fs::read_to_string(thread.as_ref().unwrap().path().join("comm")).is_ok_and(|name| name.trim() == "token")).count()
        };
        let until = Instant::now() + Duration::from_millis(200);
        while at_work() > 0 {
            assert!(Instant::now() < until, "{} threads are left", at_work());
        }
    }
}

#[test]
fn a_module_that_hangs_holds_up_nobody_for_good() {
    in_its_own_process("inner_hangs");
}

#[test]
#[ignore = "run by another test in a process of its own"]
fn inner_hangs() {
    let (calls, faulty) = Faulty::over(library());
    let limits = Limits { sessions: 2, waiting: 3, answer: Duration::from_secs(1), ..QUICK };
    let token = Token::over(LABEL, Box::new(faulty), pin(), limits).unwrap();
    let key = token.generate("x", SignatureAlgorithm::EcdsaP256Sha256).unwrap().handle;
    calls.hang.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let said: Vec<String> = std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..12).map(|_| scope.spawn(|| Signer::sign(&key, b"m").unwrap_err().reason)).collect();
        waiting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(begun.elapsed() < 7 * limits.answer);
    assert!(said.iter().any(|text| text.contains("no answer")) && said.iter().any(|text| text.contains("too much waits")), "{said:?}");
    assert!(matches!(token.health(), Err(TokenError::Late { .. })));
    calls.hang.store(false, Ordering::SeqCst);
    let until = Instant::now() + 10 * limits.answer;
    while Signer::sign(&key, b"m").is_err() {
        assert!(Instant::now() < until);
    }
}

#[test]
fn under_injected_faults_a_signature_is_right_or_an_error() {
    in_its_own_process("inner_faults");
}

#[test]
#[ignore = "run by another test in a process of its own"]
fn inner_faults() {
    let (calls, faulty) = Faulty::over(library());
    let token = Token::over(LABEL, Box::new(faulty), pin(), QUICK).unwrap();
    calls.rate.store(80, Ordering::SeqCst);
    let mut keys = Vec::new();
    let mut refused = 0;
    for number in 0..40_u32 {
        let algorithm = if number.is_multiple_of(2) { SignatureAlgorithm::EcdsaP256Sha256 } else { SignatureAlgorithm::EcdsaP384Sha384 };
        match token.generate("issuing", algorithm) {
            Ok(made) => keys.push(made),
            Err(TokenError::Away { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(keys.len() >= 30, "{refused} refused");
    let (right, errors) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for thread in 0..6_u32 {
            let (keys, right, errors) = (&keys, &right, &errors);
            scope.spawn(move || {
                for round in 0..150_u32 {
                    let key = &keys[(thread * 31 + round) as usize % keys.len()].handle;
                    let message = (thread << 16 | round).to_be_bytes();
                    match Signer::sign(key, &message) {
                        Ok(signature) => {
                            assert!(holds(key, &message, &signature));
                            right.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => {
                            assert!(error.reason.contains("cannot be used") || error.reason.contains("no answer"), "{error}");
                            errors.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
    });
    let (right, errors) = (right.into_inner(), errors.into_inner());
    println!("{right} right, {errors} errors, {} faults injected, {} restarts", calls.injected.load(Ordering::SeqCst), calls.restarts.load(Ordering::SeqCst));
    assert_eq!(right + errors, 900);
    assert!(right >= 850 && calls.injected.load(Ordering::SeqCst) >= 200);
    calls.rate.store(0, Ordering::SeqCst);
    keys.iter().for_each(|key| assert!(holds(&key.handle, b"m", &Signer::sign(&key.handle, b"m").unwrap())));
    // An answer that was lost made no second pair.
    let (module, slot) = aside();
    let session = module.open_ro_session(slot).unwrap();
    // The pool may have logged in already.
    let _ = session.login(UserType::User, Some(pin().secret()));
    for key in &keys {
        let id = (0..ID).map(|at| u8::from_str_radix(&key.id[2 * at..2 * at + 2], 16).unwrap()).collect();
        assert_eq!(session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id)]).unwrap().len(), 1);
    }
}

/// What is done to the calls, and what was counted of them.
#[derive(Default)]
struct Calls {
    /// How many of a thousand calls fail.
    rate: AtomicU32,
    hang: AtomicBool,
    logins: AtomicU32,
    restarts: AtomicU32,
    injected: AtomicU32,
    seed: AtomicU64,
}

impl Calls {
    /// The call, or a fault before it, or a fault after it was carried out.
    fn around<T>(&self, call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        use RvError::*;
        const CODES: [RvError; 14] = [
            SessionHandleInvalid, SessionClosed, DeviceRemoved, DeviceError, TokenNotPresent, UserNotLoggedIn, CryptokiNotInitialized, KeyHandleInvalid, GeneralError,
            FunctionFailed, OperationActive, DeviceMemory, HostMemory, SlotIdInvalid,
        ];
        while self.hang.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // SplitMix64.
        let mut dice = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        dice = (dice ^ dice >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        dice = (dice ^ dice >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        dice ^= dice >> 31;
        if dice % 1_000 >= u64::from(self.rate.load(Ordering::SeqCst)) {
            return call();
        }
        self.injected.fetch_add(1, Ordering::SeqCst);
        if dice >> 40 & 1 == 1 {
            let _ = call();
        }
        Err(Fault::Ckr(CODES[(dice >> 20) as usize % CODES.len()]))
    }
}

struct Faulty {
    inner: Library,
    calls: Arc<Calls>,
}

impl Faulty {
    fn over(inner: Library) -> (Arc<Calls>, Self) {
        let calls = Arc::new(Calls::default());
        (Arc::clone(&calls), Self { inner, calls })
    }
}

impl Module for Faulty {
    fn restart(&self) -> Result<(), Fault> {
        self.calls.restarts.fetch_add(1, Ordering::SeqCst);
        self.calls.around(|| self.inner.restart())
    }

    fn open(&self) -> Result<Box<dyn Session>, Fault> {
        let session = self.calls.around(|| self.inner.open())?;
        Ok(Box::new(FaultySession { inner: session, calls: Arc::clone(&self.calls) }))
    }
}

struct FaultySession {
    inner: Box<dyn Session>,
    calls: Arc<Calls>,
}

impl Session for FaultySession {
    fn login(&self, pin: &Pin) -> Result<(), Fault> {
        self.calls.logins.fetch_add(1, Ordering::SeqCst);
        self.calls.around(|| self.inner.login(pin))
    }

    fn generate(&self, label: &str, id: &[u8], curve: Curve) -> Result<(), Fault> {
        self.calls.around(|| self.inner.generate(label, id, curve))
    }

    fn find(&self, label: &str, id: &[u8]) -> Result<ObjectHandle, Fault> {
        self.calls.around(|| self.inner.find(label, id))
    }

    fn point(&self, label: &str, id: &[u8]) -> Result<Vec<u8>, Fault> {
        self.calls.around(|| self.inner.point(label, id))
    }

    fn holds(&self, points: &[Vec<u8>]) -> Result<bool, Fault> {
        self.calls.around(|| self.inner.holds(points))
    }

    fn sign(&self, key: ObjectHandle, digest: &[u8]) -> Result<Vec<u8>, Fault> {
        self.calls.around(|| self.inner.sign(key, digest))
    }

    fn close(self: Box<Self>) {
        self.inner.close();
    }
}
