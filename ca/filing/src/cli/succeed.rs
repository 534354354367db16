//! A certificate in the place of the enterprise's own, asked for with the still valid key: renewed, with another key, or saying
//! another name or mailbox.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use axum::http::StatusCode;
use clap::Args;
use keys::{DnType, KeyHandle};
use pki::cms::SignerPlan;
use pki::path::CertificateFacts;
use pki::signer::Signer as _;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::fetch::Fetcher;
use runtime::state::write_atomically;
use runtime::terminal::{json, line};
use serde::{Deserialize, Serialize};

use super::enrol::{Holder, MAX_ANSWER, MAX_SMALL, PATIENCE, PLACED, Placed, Shown, accept, odd, refused, shown, stored, told, written};
use super::enterprise::Place;
use super::kept::Trust;
use super::key::{Generation, Secret};
use super::sign::usable;
use super::wire::runtime;
use crate::desk::hex;

/// spec: rfc2985#5.2.1
const EMAIL_ADDRESS: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 1];

/// Who asks whom.
#[derive(Debug, Args)]
pub struct Asker {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    trust: Trust,
    /// 认证机构地址；缺省为申请时的地址 (the authority; the one of the order without).
    #[arg(long, env = "SUIYIN_CA_URL")]
    authority: Option<String>,
    #[command(flatten)]
    secret: Secret,
}

#[derive(Debug, Args)]
pub struct Renew {
    #[command(flatten)]
    pub asker: Asker,
    /// 不待到期即更换密钥；新证书仍于原到期日到期 (change the key before the end is near; the new certificate ends when the old one would have).
    #[arg(long)]
    rekey: bool,
}

#[derive(Debug, Args)]
pub struct Correct {
    #[command(flatten)]
    pub asker: Asker,
    /// 单位的新名称 (the enterprise's name as it is now).
    #[arg(long, required_unless_present = "mailbox")]
    name: Option<String>,
    /// 新的机构邮箱 (its mailbox as it is now).
    #[arg(long)]
    mailbox: Option<String>,
}

/// The certificate that is valid now, its key, and what follows them.
struct Present {
    chain: Vec<Vec<u8>>,
    facts: CertificateFacts,
    code: String,
    old: KeyHandle,
    generation: Generation,
    next: Generation,
    /// Made where the old one lives; one that was begun before is gone on with.
    new: KeyHandle,
    authority: String,
}

impl Asker {
    fn present(&self) -> Result<Present, Problem> {
        let (place, now) = (&self.place, SystemClock.now());
        let chain = place.chain(None)?;
        let facts = usable(place, chain.first().ok_or_else(|| odd(place, "an empty chain"))?, now)?;
        let none = || place.refuse(Exit::Refused, "certificate", ("证书中没有统一社会信用代码", "请使用企业证书"), ("the certificate bears no credit code", "use an enterprise's certificate"));
        let code = facts.credit_code().ok_or_else(none)?.to_owned();
        let placed: Option<Placed> = stored(place, PLACED)?;
        let authority = self.authority.clone().or(placed.map(|placed| placed.authority));
        let authority = authority.ok_or_else(|| place.refuse(Exit::Usage, "authority", ("不知道认证机构的地址", "请用 --authority 给出"), ("the authority's address is not known", "give it with --authority")))?;
        let old = place.key(&self.secret, chain.first().map(Vec::as_slice).unwrap_or_default())?;
        let generation = place.newest();
        let next = generation.next().ok_or_else(|| odd(place, "too many renewals"))?;
        let new = place.following(&self.secret, generation, next)?;
        Ok(Present { chain, facts, code, old, generation, next, new, authority })
    }
}

impl Present {
    /// What this door of the authority answers to the request, signed with the key that is still good.
    fn asked(&self, place: &Place, fetcher: &mut Fetcher, door: &str, csr: &[u8]) -> Result<(StatusCode, Vec<u8>), Problem> {
        let unsigned = |error: pki::cms::SealError| Problem::new(Exit::Refused, "signature", error.to_string(), place.said("请核对密钥与证书", "check key and certificate"));
        let (leaf, above) = self.chain.split_first().ok_or_else(|| odd(place, "an empty chain"))?;
        let above: Vec<&[u8]> = above.iter().map(Vec::as_slice).collect();
        let signed = SignerPlan::new(leaf, &above).and_then(|plan| plan.attach(csr, SystemClock.now(), &self.old)).map_err(unsigned)?;
        Ok(runtime()?.block_on(fetcher.post(door, ("application/pkcs7-mime", signed), MAX_ANSWER))?)
    }
}

/// An enterprise that named keys is spoken for by those alone, and the new one is none of them yet.
fn hint_of_own_keys(place: &Place, to: &Path, before: &Path) {
    if place.home().join("authorisations").exists() {
        let hint = place.format(&format!("本单位登记过密钥：请在旧证书到期前用它登记新密钥：filing operator own --key-of {} --certificate {} --name …", to.display(), before.display()), &format!("this enterprise named its keys: name the new one with the old before that ends: filing operator own --key-of {} --certificate {} --name …", to.display(), before.display()));
        runtime::terminal::progress(&hint, true);
    }
}

/// 1 the certificate that is still valid · 2 a new key and its request, kept before they are sent · 3 asked for with the old
/// key · 4 checked and kept beside the old one. Cut off, the same command goes on with the same key.
pub fn renew(wanted: &Renew) -> Result<(), Problem> {
    let place = &wanted.asker.place;
    // 1.
    let present = wanted.asker.present()?;
    if Correction::of(place)?.is_some() {
        let hint = place.said("本目录有更正申请在办：换发之后它就作废，需要时请重新执行 filing correct", "a correction is under way: once the certificate is renewed it comes to nothing, run `filing correct` again then");
        runtime::terminal::progress(hint, true);
    }
    // 2. What is meant stands in the request: one that was made for another purpose has another name.
    let request = place.home().join(present.next.request());
    let (door, path, name) = match wanted.rekey {
        true => ("rekey", request.with_extension("rekey.csr"), format!("rekey {}", hex(&present.facts.serial))),
        false => ("renew", request, present.facts.common_name.clone().unwrap_or_default()),
    };
    if !path.exists() {
        let csr = present.new.request(Vec::new(), &[(DnType::CommonName, name)]).map_err(|error| odd(place, error))?;
        place.keep(&path, csr.as_bytes())?;
    }
    let csr = place.read(&path, MAX_SMALL)?;
    // 3.
    let (status, answer) = present.asked(place, &mut Fetcher::new(&present.authority, PATIENCE)?, door, &csr)?;
    if !status.is_success() {
        return Err(refused(place, status, &answer));
    }
    // 4.
    let text = String::from_utf8(answer).map_err(|error| odd(place, error))?;
    let to = place.home().join(present.next.certificate());
    let holder = Holder { name: present.facts.organization.as_deref(), code: &present.code, mailbox: None };
    accept(place, &wanted.asker.trust, &text, present.new.public_key_info(), &holder, &to)?;
    hint_of_own_keys(place, &to, &place.home().join(present.generation.certificate()));
    if place.json { json(&serde_json::json!({ "certificate": to })) } else { Ok(()) }
}

/// A correction that was begun and whose certificate is not here yet: one file, so that its words, its request and its order are
/// always of one another.
#[derive(Serialize, Deserialize)]
pub(super) struct Correction {
    words: Words,
    /// PKCS#10, PEM.
    request: String,
    placed: Option<Placed>,
}

/// What the next certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Words {
    /// Of the certificate that is corrected.
    serial: String,
    name: Option<String>,
    mailbox: Option<String>,
}

impl Words {
    /// As the authority reads them in the request's subject.
    fn subject(&self) -> Vec<(DnType, String)> {
        let name = self.name.clone().map(|name| (DnType::OrganizationName, name));
        let mailbox = self.mailbox.clone().map(|mailbox| (DnType::CustomDnType(EMAIL_ADDRESS.to_vec()), mailbox));
        [Some((DnType::CommonName, format!("correct {}", self.serial))), name, mailbox].into_iter().flatten().collect()
    }
}

/// The generation that a correction of the newest certificate would be.
fn following(place: &Place) -> Result<Generation, Problem> {
    place.newest().next().ok_or_else(|| odd(place, "too many renewals"))
}

impl Correction {
    fn name(next: Generation) -> String {
        Path::new(&next.request()).with_extension("correct.json").display().to_string()
    }

    /// The one of the newest certificate.
    pub fn of(place: &Place) -> Result<Option<Self>, Problem> {
        stored(place, &Self::name(following(place)?))
    }

    /// Its order, once the authority has it.
    pub fn placed(&self) -> Option<&Placed> {
        self.placed.as_ref()
    }

    fn keep(&self, place: &Place, next: Generation) -> Result<(), Problem> {
        let path = place.home().join(Self::name(next));
        write_atomically(&path, &written(self)?, 0o600).map_err(|error| place.failed(&path, &error))
    }

    fn forget(place: &Place, next: Generation) -> Result<(), Problem> {
        let path = place.home().join(Self::name(next));
        std::fs::remove_file(&path).map_err(|error| place.failed(&path, &error))
    }

    /// The certificate that came: of the new key, of the same enterprise, and it says what was asked for.
    pub fn accept(&self, place: &Place, trust: &Trust, text: &str) -> Result<(), Problem> {
        let (chain, generation) = (place.chain(None)?, place.newest());
        let before = chain.first().and_then(|leaf| CertificateFacts::parse(leaf).ok()).ok_or_else(|| odd(place, "no certificate"))?;
        let request = pki::request::Request::parse(self.request.as_bytes()).map_err(|error| odd(place, error))?;
        let name = self.words.name.as_deref().or(before.organization.as_deref());
        let holder = Holder { name, code: before.credit_code().unwrap_or_default(), mailbox: self.words.mailbox.as_deref() };
        let to = place.home().join(following(place)?.certificate());
        accept(place, trust, text, &request.spki, &holder, &to)?;
        hint_of_own_keys(place, &to, &place.home().join(generation.certificate()));
        Ok(())
    }
}

impl Correction {
    /// What the authority has of it, which is kept; to look orders nothing. `None` where it has none, and it is forgotten.
    fn found(mut self, place: &Place, present: &Present) -> Result<Option<Self>, Problem> {
        let (status, answer) = present.asked(place, &mut Fetcher::new(&present.authority, PATIENCE)?, "correct/order", self.request.as_bytes())?;
        if status.is_success() {
            self.keep_placed(place, present, &answer)?;
            return Ok(Some(self));
        }
        match refused(place, status, &answer) {
            // In the authority's own words: another one's, or a page of somebody between, says nothing of it.
            problem if problem.code == "no-such-order" => Self::forget(place, present.next).map(|()| None),
            problem => Err(problem),
        }
    }

    fn keep_placed(&mut self, place: &Place, present: &Present, answer: &[u8]) -> Result<Shown, Problem> {
        let shown: Shown = serde_json::from_slice(answer).map_err(|error| odd(place, error))?;
        self.placed = Some(Placed { authority: present.authority.clone(), id: shown.id.clone() });
        self.keep(place, present.next)?;
        Ok(shown)
    }

    /// Asked for with the old key, and as often as it is not known what became of it: the same request is the same order.
    fn ask(&mut self, place: &Place, present: &Present) -> Result<Shown, Problem> {
        let mut fetcher = Fetcher::new(&present.authority, PATIENCE)?;
        let known = place.home().join(Self::name(present.next)).exists();
        self.keep(place, present.next)?;
        let (status, answer) = match present.asked(place, &mut fetcher, "correct", self.request.as_bytes()) {
            Ok(answered) => answered,
            Err(problem) => {
                // What never left is in nobody's hands.
                if !known && !fetcher.asked() {
                    Self::forget(place, present.next)?;
                }
                return Err(problem);
            }
        };
        if status.is_success() {
            return self.keep_placed(place, present, &answer);
        }
        let problem = refused(place, status, &answer);
        // The authority's own word, and not one of somebody between; where it had no time it is asked again as it is.
        let decided = matches!(problem.exit, Exit::Usage | Exit::Denied | Exit::Conflict | Exit::Refused) && problem.code != "http";
        if self.placed.is_some() || !decided {
            return Err(problem);
        }
        // It has no order of it and makes none; forgotten, other words may be said.
        Self::forget(place, present.next)?;
        Err(problem)
    }
}

/// 1 alone, and what is to be another · 2 what was begun before: the authority is asked for its fate where nobody heard of it, which
/// orders nothing, and one that came to nothing gives way · 3 the same is gone on with, and a new one kept before it is sent · 4 asked
/// for with the old key: an order, which an officer approves · 5 its number kept, for `filing fetch`.
pub fn correct(wanted: &Correct) -> Result<(), Problem> {
    let place = &wanted.asker.place;
    // 1.
    let _alone = alone(place)?;
    let present = wanted.asker.present()?;
    let words = words(wanted, &present.facts)?;
    // 2.
    let begun = match Correction::of(place)? {
        Some(unheard) if unheard.placed.is_none() && unheard.words != words => unheard.found(place, &present)?,
        begun => begun,
    };
    let begun = match begun {
        Some(Correction { placed: Some(placed), .. }) if shown(place, &placed)?.as_ref().is_none_or(Shown::is_refused) => {
            Correction::forget(place, present.next)?;
            None
        }
        Some(other) if other.words != words => {
            return Err(place.refuse(Exit::Conflict, "correction", ("另一项更正正在办理", "请先执行 filing fetch；批准或退回之后再申请"), ("another correction is under way", "run `filing fetch` first; ask again when it is approved or refused")));
        }
        begun => begun,
    };
    // 3.
    let mut correction = match begun {
        Some(begun) => begun,
        None => Correction { request: present.new.request(Vec::new(), &words.subject()).map_err(|error| odd(place, error))?, words, placed: None },
    };
    // 4, 5.
    let shown = correction.ask(place, &present)?;
    told(place, &shown)?;
    if place.json { Ok(()) } else { line(place.said("批准后执行 filing fetch 取更正后的证书；在此之前旧证书照常使用。", "when it is approved: filing fetch; until then the old certificate is used as ever")) }
}

/// Two at one moment would each write over what the other began. Where there is no directory, what follows says so.
fn alone(place: &Place) -> Result<Option<File>, Problem> {
    let path = place.home().join("correct.lock");
    let file = match File::options().create(true).write(true).truncate(false).mode(0o600).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(place.failed(&path, &error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(place.refuse(Exit::Conflict, "correction", ("本目录正在执行另一个 filing correct", "请等它结束后再执行"), ("another `filing correct` works in this directory", "run it again when that one has ended"))),
        Err(TryLockError::Error(error)) => Err(place.failed(&path, &error)),
    }
}

/// What is as it was is not asked for.
fn words(wanted: &Correct, facts: &CertificateFacts) -> Result<Words, Problem> {
    let place = &wanted.asker.place;
    let name = wanted.name.clone().filter(|name| facts.organization.as_ref() != Some(name));
    let mailbox = wanted.mailbox.clone().filter(|mailbox| !facts.emails.contains(mailbox));
    if name.is_none() && mailbox.is_none() {
        return Err(place.refuse(Exit::Refused, "nothing-new", ("证书上已经是这样写的", "没有需要更正的内容；请核对 --name 与 --mailbox"), ("the certificate says so already", "there is nothing to correct; check --name and --mailbox")));
    }
    Ok(Words { serial: hex(&facts.serial), name, mailbox })
}
