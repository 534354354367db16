//! The calls on a PKCS#11 module, as a trait, so that tests can let each of them fail; and the real ones.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::UserType;

use super::ecdsa::Curve;
use super::pin::Pin;

/// Why a call failed. None of it holds what was passed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Ckr(RvError),
    /// No slot holds the token that is named.
    Absent,
    /// More than one does.
    Ambiguous,
    /// The token holds no such key.
    NoKey,
    /// The module answers with what makes no sense, or cannot be loaded.
    Strange(String),
}

/// What is to be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The session, the token or the module was lost: begin with a new session and make the call again.
    Again,
    /// The PIN was refused. Never again: a few wrong ones lock the token for good.
    Never,
    /// The token works and says no; it will say so again.
    No,
}

impl Fault {
    pub fn remedy(&self) -> Remedy {
        use RvError::*;
        match self {
            Self::Ckr(PinIncorrect | PinInvalid | PinLenRange | PinExpired | PinLocked | UserPinNotInitialized) => Remedy::Never,
            Self::Ckr(
                MechanismInvalid | MechanismParamInvalid | KeyTypeInconsistent | KeyFunctionNotPermitted | KeySizeRange | CurveNotSupported | DomainParamsInvalid
                | TemplateIncomplete | TemplateInconsistent | AttributeTypeInvalid | AttributeValueInvalid | AttributeReadOnly | FunctionNotSupported | DataLenRange
                | DataInvalid | ArgumentsBad | TokenWriteProtected | SessionReadOnly | ActionProhibited,
            ) => Remedy::No,
            Self::Ambiguous => Remedy::No,
            // Also a key not found and an answer without sense: a token that comes back is not all there at once.
            Self::Ckr(_) | Self::Absent | Self::NoKey | Self::Strange(_) => Remedy::Again,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The short name: the long text of the standard tells an operator less.
            Self::Ckr(code) => write!(f, "the module answers {code:?}"),
            Self::Absent => f.write_str("no slot holds a token of this name"),
            Self::Ambiguous => f.write_str("more than one token has this name"),
            Self::NoKey => f.write_str("the key is not in the token"),
            Self::Strange(what) => f.write_str(what),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Pkcs11(code, _) => Self::Ckr(code),
            other => Self::Strange(other.to_string()),
        }
    }
}

/// A PKCS#11 module and the one token used in it.
pub(super) trait Module: Send + Sync {
    /// Ends the module's work and begins it anew: every session of this process is gone.
    fn restart(&self) -> Result<(), Fault>;
    /// A session with the token, not logged in yet.
    fn open(&self) -> Result<Box<dyn Session>, Fault>;
}

/// An open session. Dropping it leaves it open: only [`Session::close`] ends it, since after a restart of the
/// module its number may be another's.
pub(super) trait Session {
    fn login(&self, pin: &Pin) -> Result<(), Fault>;
    /// Makes a key pair that never leaves the token.
    fn generate(&self, label: &str, id: &[u8], curve: Curve) -> Result<(), Fault>;
    /// The private key.
    fn find(&self, label: &str, id: &[u8]) -> Result<ObjectHandle, Fault>;
    /// CKA_EC_POINT of the public key.
    fn point(&self, label: &str, id: &[u8]) -> Result<Vec<u8>, Fault>;
    /// Whether it holds the private key to one of these CKA_EC_POINTs, whatever it is called.
    fn holds(&self, points: &[Vec<u8>]) -> Result<bool, Fault>;
    /// CKM_ECDSA over a digest: `r | s`.
    fn sign(&self, key: ObjectHandle, digest: &[u8]) -> Result<Vec<u8>, Fault>;
    fn close(self: Box<Self>);
}

/// The module at a path, loaded and initialised when first used.
pub(super) struct Library {
    path: std::path::PathBuf,
    /// Label or serial number.
    token: String,
    loaded: Mutex<Option<Pkcs11>>,
}

impl Library {
    pub fn new(path: &Path, token: &str) -> Self {
        Self { path: path.to_owned(), token: token.to_owned(), loaded: Mutex::default() }
    }

    /// Loaded and initialised by one thread while the others wait: modules bear no two at once. Later on only
    /// [`Module::restart`] initialises, with everybody else outside.
    fn module(&self) -> Result<Pkcs11, Fault> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = &*loaded {
            return Ok(module.clone());
        }
        let module = Pkcs11::new(&self.path)?;
        Self::initialise(&module)?;
        *loaded = Some(module.clone());
        Ok(module)
    }

    fn initialise(module: &Pkcs11) -> Result<(), Fault> {
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(Fault::from) {
            Err(Fault::Ckr(RvError::CryptokiAlreadyInitialized)) => Ok(()),
            other => other,
        }
    }
}

impl Module for Library {
    fn restart(&self) -> Result<(), Fault> {
        let module = self.module()?;
        match module.clone().finalize().map_err(Fault::from) {
            Ok(()) | Err(Fault::Ckr(RvError::CryptokiNotInitialized)) => {}
            Err(fault) => return Err(fault),
        }
        Self::initialise(&module)
    }

    fn open(&self) -> Result<Box<dyn Session>, Fault> {
        let module = self.module()?;
        let mut found = None;
        for slot in module.get_slots_with_token()? {
            // A slot that fails here is not ours, or ours is away.
            let Ok(token) = module.get_token_info(slot) else { continue };
            if token.label() == self.token || token.serial_number() == self.token {
                if found.is_some() {
                    return Err(Fault::Ambiguous);
                }
                found = Some(slot);
            }
        }
        // Read and write, since keys are made in it too.
        let session = module.open_rw_session_no_drop(found.ok_or(Fault::Absent)?)?;
        Ok(Box::new(Opened(session)))
    }
}

struct Opened(cryptoki::session::Session);

impl Opened {
    fn object(&self, class: ObjectClass, label: &str, id: &[u8]) -> Result<ObjectHandle, Fault> {
        let template = [Attribute::Class(class), Attribute::Token(true), Attribute::Label(label.as_bytes().to_vec()), Attribute::Id(id.to_vec())];
        self.0.find_objects(&template)?.into_iter().next().ok_or(Fault::NoKey)
    }
}

impl Session for Opened {
    fn login(&self, pin: &Pin) -> Result<(), Fault> {
        match self.0.login(UserType::User, Some(pin.secret())).map_err(Fault::from) {
            // Another session of this process did it: the login is the process's.
            Err(Fault::Ckr(RvError::UserAlreadyLoggedIn)) => Ok(()),
            other => other,
        }
    }

    fn generate(&self, label: &str, id: &[u8], curve: Curve) -> Result<(), Fault> {
        let (label, id) = (Attribute::Label(label.as_bytes().to_vec()), Attribute::Id(id.to_vec()));
        let public = [Attribute::Token(true), Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(curve.parameters().to_vec()), label.clone(), id.clone()];
        let private = [Attribute::Token(true), Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Sign(true), label, id];
        self.0.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)?;
        Ok(())
    }

    fn find(&self, label: &str, id: &[u8]) -> Result<ObjectHandle, Fault> {
        self.object(ObjectClass::PRIVATE_KEY, label, id)
    }

    fn point(&self, label: &str, id: &[u8]) -> Result<Vec<u8>, Fault> {
        let object = self.object(ObjectClass::PUBLIC_KEY, label, id)?;
        let attributes = self.0.get_attributes(object, &[AttributeType::KeyType, AttributeType::EcPoint])?;
        let elliptic = attributes.iter().any(|attribute| matches!(attribute, Attribute::KeyType(KeyType::EC)));
        let point = attributes.into_iter().find_map(|attribute| if let Attribute::EcPoint(point) = attribute { Some(point) } else { None });
        point.filter(|_| elliptic).ok_or_else(|| Fault::Strange("the public key in the token has no curve point".into()))
    }

    fn holds(&self, points: &[Vec<u8>]) -> Result<bool, Fault> {
        for point in points {
            // By its public half: a token tells nobody the point of a private key.
            for public in self.0.find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::EcPoint(point.clone())])? {
                for id in self.0.get_attributes(public, &[AttributeType::Id])? {
                    if !self.0.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), id])?.is_empty() {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn sign(&self, key: ObjectHandle, digest: &[u8]) -> Result<Vec<u8>, Fault> {
        Ok(self.0.sign(&Mechanism::Ecdsa, key, digest)?)
    }

    fn close(self: Box<Self>) {
        // A session that cannot be closed is gone already.
        let _ = self.0.close();
    }
}
