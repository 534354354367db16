//! The operator's keys: in a sealed file, or in a PKCS#11 token that they never leave.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use keys::{DnType, KeyError, KeyHandle, KeyStore, Passphrase, PassphraseError, Pin, PinError, Token, TokenError, TokenPlace};
use pki::signer::{SignatureAlgorithm, Signer as _};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use serde::{Deserialize, Serialize};

use super::enterprise::Place;

const KEY: &str = "operator";
/// The label of keys in a token; their ids tell them apart.
const LABEL: &str = "suiyin-filing";
/// A key and a certificate a year: more than a directory lives.
const MAX_RENEWALS: u32 = 64;
const PASSPHRASE: &str = "filing-passphrase";
const PIN: &str = "filing-pin";
const MAX_NOTE: u64 = 16 << 10;
const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;

/// What opens the operator's key.
#[derive(Debug, Args)]
pub struct Secret {
    /// 口令文件，权限 0600；不写则在终端询问 (the file of the passphrase, mode 0600; asked for without it).
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// 令牌 PIN 文件，权限 0600 (the file of the token's PIN, mode 0600; the one given to `key new` without it).
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct KeyNew {
    #[command(flatten)]
    pub place: Place,
    /// 单位名称 (the enterprise's name).
    #[arg(long)]
    name: String,
    #[command(flatten)]
    secret: Secret,
    /// PKCS#11 模块：密钥在令牌中生成，永不离开 (a PKCS#11 module: the key is made in its token and never leaves it).
    #[arg(long, value_name = "FILE", requires = "token_label")]
    token_module: Option<PathBuf>,
    /// 令牌的标签或序列号 (the token's label or serial number).
    #[arg(long, value_name = "LABEL", requires = "token_module")]
    token_label: Option<String>,
}

/// The first key with its request and certificate, or one that followed: nothing is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u32);

impl Generation {
    fn name(self, word: &str, ending: &str) -> String {
        if self.0 == 1 { format!("{word}{ending}") } else { format!("{word}-{}{ending}", self.0) }
    }

    fn key(self) -> String {
        self.name(KEY, "")
    }

    /// What finds a key in its token again; none stands here for a sealed one.
    fn note(self) -> String {
        self.name(KEY, ".token.json")
    }

    pub fn request(self) -> String {
        self.name("request", ".csr")
    }

    pub fn certificate(self) -> String {
        self.name("certificate", ".pem")
    }

    pub fn next(self) -> Option<Self> {
        Some(Self(self.0 + 1)).filter(|next| next.0 <= MAX_RENEWALS)
    }

    fn all() -> impl Iterator<Item = Self> {
        (1..=MAX_RENEWALS).map(Self)
    }
}

/// What finds a key in its token again. Nothing of it is secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    module: PathBuf,
    token: String,
    label: String,
    /// CKA_ID, lower-case hexadecimal.
    id: String,
    /// SubjectPublicKeyInfo, base64 of DER.
    public_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin_file: Option<PathBuf>,
}

impl Place {
    /// The newest certificate that is here; the first one's place where there is none.
    pub(super) fn newest(&self) -> Generation {
        let kept = Generation::all().skip(1).take_while(|one| self.home().join(one.certificate()).exists());
        kept.last().unwrap_or(Generation(1))
    }

    fn noted(&self, generation: Generation) -> Result<Option<Noted>, Problem> {
        let path = self.home().join(generation.note());
        if !path.exists() {
            return Ok(None);
        }
        let shown = path.display();
        let damaged = |error: serde_json::Error| self.refuse(Exit::Damaged, "token", (&format!("{shown} 已损坏：{error}"), "请从备份恢复此文件"), (&format!("{shown} is damaged: {error}"), "restore it from a backup"));
        serde_json::from_slice(&self.read(&path, MAX_NOTE)?).map(Some).map_err(damaged)
    }

    /// The store of the operator's sealed keys, once its passphrase is given.
    fn sealed(&self, secret: &Secret) -> Result<KeyStore, Problem> {
        let passphrase = Passphrase::obtain(secret.passphrase_file.as_deref(), PASSPHRASE, self.said("口令", "Passphrase")).map_err(|error| self.locked(&error))?;
        KeyStore::open(&self.home(), &passphrase).map_err(|error| self.unopened(&error))
    }

    fn token(&self, noted: &Noted, secret: &Secret) -> Result<Token, Problem> {
        let file = secret.pin_file.as_deref().or(noted.pin_file.as_deref());
        let pin = Pin::obtain_or_ask(file, PIN, self.said("令牌 PIN", "PIN of the token")).map_err(|error| self.pinless(&error))?;
        Token::new(&TokenPlace { module: noted.module.clone(), token: noted.token.clone() }, pin).map_err(|error| self.tokenless(&error))
    }

    fn in_token(&self, noted: &Noted, secret: &Secret) -> Result<KeyHandle, Problem> {
        let public_key = STANDARD.decode(&noted.public_key).unwrap_or_default();
        let key = self.token(noted, secret)?.key(&noted.label, &noted.id, ALGORITHM, &public_key).map_err(|error| self.tokenless(&error))?;
        // A token that is away or refuses its PIN is told here, and not in the middle of a handshake.
        key.sign(b"suiyin filing: the token answers").map_err(|error| {
            let text = error.to_string();
            let (what, next) = text.rsplit_once("; ").unwrap_or((&text, "look at the token"));
            self.refuse(Exit::Unavailable, "token", (&format!("令牌未能签名：{what}"), "请插好令牌，核对模块、标签与 PIN"), (&format!("the token does not sign: {what}"), next))
        })?;
        Ok(key)
    }

    /// The operator's key of this certificate.
    pub(super) fn key(&self, secret: &Secret, certificate: &[u8]) -> Result<KeyHandle, Problem> {
        let view = pki::view::CertificateView::parse(certificate).ok();
        let is_its = |public_key: &[u8]| view.as_ref().is_some_and(|view| view.spki == public_key);
        // Tokens first: what is noted of them needs no secret to be read.
        for generation in Generation::all() {
            if let Some(noted) = self.noted(generation)?.filter(|noted| is_its(&STANDARD.decode(&noted.public_key).unwrap_or_default())) {
                return self.in_token(&noted, secret);
            }
        }
        let other = || self.refuse(Exit::Refused, "certificate", ("证书不是本目录密钥的", "请使用本密钥的证书"), ("the certificate is of no key that is here", "use the certificate of this directory's key"));
        if self.noted(Generation(1))?.is_some() && self.noted(self.newest())?.is_some() {
            return Err(other());
        }
        let keys = self.sealed(secret)?;
        for generation in Generation::all() {
            match keys.load(&generation.key()) {
                Ok(key) if is_its(key.public_key_info()) => return Ok(key),
                Ok(_) => {}
                Err(KeyError::NotFound { .. }) if generation.0 > 1 => break,
                Err(error) => return Err(self.unopened(&error)),
            }
        }
        Err(other())
    }

    /// The key that follows this generation's, made where that one lives; one that was begun before is gone on with.
    pub(super) fn following(&self, secret: &Secret, present: Generation, next: Generation) -> Result<KeyHandle, Problem> {
        if let Some(noted) = self.noted(next)? {
            return self.in_token(&noted, secret);
        }
        if let Some(noted) = self.noted(present)? {
            let token = self.token(&noted, secret)?;
            return self.made_in_token(&token, noted, next);
        }
        let keys = self.sealed(secret)?;
        match keys.load(&next.key()) {
            Err(KeyError::NotFound { .. }) => keys.generate(&next.key(), ALGORITHM).map_err(|error| self.unopened(&error)),
            loaded => loaded.map_err(|error| self.unopened(&error)),
        }
    }

    /// Noted once it is there: one that was lost between is left behind in the token and does no harm.
    fn made_in_token(&self, token: &Token, place: Noted, generation: Generation) -> Result<KeyHandle, Problem> {
        let made = token.generate(LABEL, ALGORITHM).map_err(|error| self.tokenless(&error))?;
        let noted = Noted { label: LABEL.into(), id: made.id, public_key: STANDARD.encode(made.handle.public_key_info()), ..place };
        let text = serde_json::to_vec_pretty(&noted).map_err(|error| Problem::new(Exit::Internal, "json", error.to_string(), "report this"))?;
        self.keep(&self.home().join(generation.note()), &text)?;
        Ok(made.handle)
    }

    fn locked(&self, error: &PassphraseError) -> Problem {
        let (zh, next) = match error {
            PassphraseError::File { path, .. } => (format!("读不到口令文件 {}", path.display()), "请核对 --passphrase-file"),
            PassphraseError::Mode { path, .. } => (format!("别人也能读口令文件 {}", path.display()), "请执行 chmod 600"),
            PassphraseError::TooShort(characters) => (format!("口令只有 {characters} 个字符"), "口令至少 12 个字符"),
            PassphraseError::NotText => ("口令不是 1024 字节以内的文字".into(), "请改写口令文件的第一行"),
            PassphraseError::Differ => ("两次输入的口令不同".into(), "请重试"),
            PassphraseError::None(_) => ("没有给出口令".into(), "请用 --passphrase-file 给出口令文件，或在终端运行"),
        };
        let en = error.to_string();
        let (en, next_en) = en.split_once("; ").unwrap_or((&en, "give at least 12 characters on the first line of a file of mode 0600, with --passphrase-file"));
        self.refuse(Exit::Denied, "passphrase", (&zh, next), (en, next_en))
    }

    fn unopened(&self, error: &KeyError) -> Problem {
        let (exit, zh): (Exit, (String, &str)) = match error {
            KeyError::WrongPassphrase => (Exit::Denied, ("口令不对".into(), "请核对口令")),
            KeyError::Exists { path } => (Exit::Refused, (format!("{} 中已有密钥", path.display()), "已有密钥不会被覆盖；请换一个目录，或用 filing renew 换发")),
            KeyError::File { path, .. } => (Exit::Denied, (format!("{} 中没有可用的密钥", path.display()), "请核对 --dir；没有密钥时先执行 filing key new")),
            KeyError::Mode { path, mode } => (Exit::Denied, (format!("{} 的权限是 {mode:04o}，别人也能读写", path.display()), "请执行 chmod go-rwx")),
            KeyError::NotFound { .. } => (Exit::Denied, ("本目录没有密钥".into(), "请先执行 filing key new")),
            other => (Exit::Denied, (format!("密钥打不开：{other}"), "请核对目录与口令")),
        };
        let text = error.to_string();
        let (en, next) = text.rsplit_once("; ").unwrap_or((&text, "check directory and passphrase"));
        self.refuse(exit, "key", (&zh.0, zh.1), (en, next))
    }

    fn pinless(&self, error: &PinError) -> Problem {
        let (zh, next) = match error {
            PinError::File { path, .. } => (format!("读不到 PIN 文件 {}", path.display()), "请核对 --pin-file"),
            PinError::Mode { path, .. } => (format!("别人也能读 PIN 文件 {}", path.display()), "请执行 chmod 600"),
            PinError::Length => ("PIN 不是 4 至 255 字节的文字".into(), "请把用户 PIN 单独写在文件第一行"),
            PinError::None(_) => ("没有给出令牌的 PIN".into(), "请用 --pin-file 给出 PIN 文件，或在终端运行"),
        };
        let en = error.to_string();
        let (en, next_en) = en.rsplit_once("; ").unwrap_or((&en, "give the PIN"));
        self.refuse(Exit::Denied, "pin", (&zh, next), (en, next_en))
    }

    fn tokenless(&self, error: &TokenError) -> Problem {
        let (exit, zh) = match error {
            TokenError::PinRefused { token } => (Exit::Denied, (format!("令牌“{token}”拒绝了 PIN；连续输错会锁定令牌，因此不再重试"), "请核对 PIN 后重试")),
            TokenError::Away { token, reason } => (Exit::Unavailable, (format!("令牌“{token}”无法使用：{reason}"), "请插好令牌，核对模块路径与标签")),
            TokenError::Late { token, .. } | TokenError::Busy { token } => (Exit::Unavailable, (format!("令牌“{token}”没有应答"), "请重新插拔令牌后重试")),
            other => (Exit::Refused, (format!("令牌不能这样用：{other}"), "请换用支持 P-256 签名的令牌")),
        };
        let text = error.to_string();
        let (en, next) = text.rsplit_once("; ").unwrap_or((&text, "look at the token"));
        self.refuse(exit, "token", (&zh.0, zh.1), (en, next))
    }
}

/// Makes the operator's key and the request for its certificate.
pub fn key_new(wanted: &KeyNew) -> Result<(), Problem> {
    let place = &wanted.place;
    let key = match (&wanted.token_module, &wanted.token_label) {
        (Some(module), Some(label)) => new_in_token(place, module, label, &wanted.secret)?,
        _ => {
            let passphrase = Passphrase::obtain_new(wanted.secret.passphrase_file.as_deref(), PASSPHRASE, place.said("新口令", "New passphrase")).map_err(|error| place.locked(&error))?;
            place.free_of_keys()?;
            KeyStore::create(&place.home(), &passphrase).and_then(|keys| keys.generate(KEY, ALGORITHM)).map_err(|error| place.unopened(&error))?
        }
    };
    let request = key.request(Vec::new(), &[(DnType::CommonName, wanted.name.clone())]);
    let request = request.map_err(|error| Problem::new(Exit::Usage, "request", error.to_string(), place.said("请核对单位名称", "check the name")))?;
    let path = place.home().join(Generation(1).request());
    place.keep(&path, request.as_bytes())?;
    if place.json {
        return json(&serde_json::json!({ "directory": place.home(), "request": path }));
    }
    line(&format!("{} {}", place.said("密钥已生成；请将此证书请求交受理点或在线提交：", "the key is made; have this request certified:"), path.display()))
}

impl Place {
    fn free_of_keys(&self) -> Result<(), Problem> {
        match self.noted(Generation(1))? {
            Some(_) => Err(self.unopened(&KeyError::Exists { path: self.home() })),
            None => Ok(()),
        }
    }
}

fn new_in_token(place: &Place, module: &Path, label: &str, secret: &Secret) -> Result<KeyHandle, Problem> {
    place.free_of_keys()?;
    let home = place.home();
    if home.join("keystore.json").exists() {
        return Err(place.unopened(&KeyError::Exists { path: home }));
    }
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| place.failed(path, &error));
    let noted = Noted { module: absolute(module)?, token: label.into(), label: LABEL.into(), id: String::new(), public_key: String::new(), pin_file: secret.pin_file.as_deref().map(absolute).transpose()? };
    let token = place.token(&noted, secret)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&home).map_err(|error| place.failed(&home, &error))?;
    place.made_in_token(&token, noted, Generation(1))
}
