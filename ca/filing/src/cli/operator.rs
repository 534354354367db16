//! `filing operator`: an enterprise says which keys sign for it as operators (经办人), for which kinds and until when, which keys are
//! its own, and takes either back; it sees what the desk has of it.
//!
//! What was signed here is kept in `DIR/authorisations`, so that a command that was cut off sends the same again.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use pki::view::CertificateView;
use policies::authority::day_in_city;
use policies::identity::CreditCode;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use serde::Deserialize;
use time::OffsetDateTime;

use super::enterprise::Place;
use super::word::{Kept, With, day, in_pieces, kinds_of, stands, state_of};
use crate::document::{Authorisation, MandateId, Named, OperatorWithdrawal, OwnKey, OwnKeyWithdrawal};

const KEPT: Kept = Kept("authorisations");

#[derive(Debug, Subcommand)]
pub enum Command {
    /// 授权经办人：其密钥可签署所列申报；相同的授权重复执行仍是同一份 (let an operator's key sign; the same again is the same one).
    #[command(after_help = "Example:\n  filing operator authorise --key-of filing-state/operators/李四/certificate.pem --name 李四 --kind vat-general --until 2027-06-30 \\\n     --server https://desk.example.cn:8450 --passphrase-file pass")]
    Authorise(Authorise),
    /// 登记本单位自己的另一把密钥，如换发证书之后 (name another key as the enterprise's own, as after a renewal).
    #[command(after_help = "Example:\n  filing operator own --key-of filing-state/certificate-2.pem --name 换发后的证书 --certificate filing-state/certificate.pem \\\n     --server https://desk.example.cn:8450 --passphrase-file pass")]
    Own(Own),
    /// 撤回授权或登记，立即生效 (take either back, at once).
    #[command(after_help = "Example:\n  filing operator withdraw 01JDPD6Z3SFM7T5K9V8R2Q4XNB --server https://desk.example.cn:8450 --passphrase-file pass\n  filing operator withdraw --own-key 3f0c… --certificate filing-state/certificate-2.pem --server https://desk.example.cn:8450 --passphrase-file pass")]
    Withdraw(Withdraw),
    /// 本单位的经办人与自己的密钥 (this enterprise's operators and its own keys).
    #[command(after_help = "Example:\n  filing operator list --server https://desk.example.cn:8450 --passphrase-file pass --json")]
    List(List),
}

impl Command {
    pub fn place(&self) -> &Place {
        match self {
            Self::Authorise(wanted) => &wanted.with.place,
            Self::Own(wanted) => &wanted.with.place,
            Self::Withdraw(wanted) => &wanted.with.place,
            Self::List(wanted) => &wanted.with.place,
        }
    }
}

#[derive(Debug, Args)]
pub struct Authorise {
    #[command(flatten)]
    with: With,
    /// 经办人的证书 PEM (the operator's certificate, whose key is meant).
    #[arg(long, value_name = "FILE")]
    key_of: PathBuf,
    /// 如何称呼经办人；不要写证件号码 (how the operator is called; no number of a person).
    #[arg(long)]
    name: String,
    /// 可签署的申报种类，可多次 (a kind that it may sign; may be said again).
    #[arg(long, required = true)]
    kind: Vec<String>,
    /// 生效日期，缺省为今天 (the first day, today without): 2026-12-01.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// 最后一天 (the last day): 2027-06-30.
    #[arg(long, value_name = "DAY")]
    until: String,
}

#[derive(Debug, Args)]
pub struct Own {
    #[command(flatten)]
    with: With,
    /// 证书 PEM (the certificate whose key is meant).
    #[arg(long, value_name = "FILE")]
    key_of: PathBuf,
    /// 如何称呼 (how it is called).
    #[arg(long)]
    name: String,
}

#[derive(Debug, Args)]
pub struct Withdraw {
    #[command(flatten)]
    with: With,
    /// 授权或登记编号 (the id of the authorisation or naming).
    #[arg(required_unless_present = "own_key", conflicts_with = "own_key")]
    id: Option<String>,
    /// 本单位自己的密钥，如 list 所列，用另一把自己的密钥签署 (a key of the enterprise's own, as `list` tells it; sign with another).
    #[arg(long, value_name = "SHA256")]
    own_key: Option<String>,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    with: With,
}

pub fn run(command: &Command) -> Result<(), Problem> {
    match command {
        Command::Authorise(wanted) => authorise(wanted),
        Command::Own(wanted) => own(wanted),
        Command::Withdraw(wanted) => withdraw(wanted),
        Command::List(wanted) => list(wanted),
    }
}

/// SHA-256 of the SubjectPublicKeyInfo, as the desk tells keys.
fn key_of(place: &Place, path: &Path) -> Result<String, Problem> {
    let chain = place.chain(Some(path))?;
    let view = chain.first().and_then(|leaf| CertificateView::parse(leaf).ok());
    let bad = || place.refuse(Exit::Refused, "certificate", (&format!("{} 读不出证书", path.display()), "请给出 PEM 证书"), (&format!("{} holds no certificate that can be read", path.display()), "give it in PEM"));
    view.map(|view| crate::desk::sha256_hex(view.spki)).ok_or_else(bad)
}

/// 1 its terms · 2 the one that was made with these terms, or a new one · 3 signed, kept, sent.
fn authorise(wanted: &Authorise) -> Result<(), Problem> {
    let (with, place, now) = (&wanted.with, &wanted.with.place, SystemClock.now());
    let today = day_in_city(now);
    let (from, until) = (wanted.from.as_deref().map_or(Ok(today), |text| day(place, "from", text))?, day(place, "until", &wanted.until)?);
    let (key, kinds) = (key_of(place, &wanted.key_of)?, kinds_of(place, &wanted.kind)?);
    let named = |id, uscc: &CreditCode| Named::Operator(Authorisation { id, uscc: uscc.clone(), key: key.clone(), name: wanted.name.clone(), kinds: kinds.clone(), from, until });
    say(with, now, &named)
}

fn own(wanted: &Own) -> Result<(), Problem> {
    let (with, place, now) = (&wanted.with, &wanted.with.place, SystemClock.now());
    let key = key_of(place, &wanted.key_of)?;
    let named = |id, uscc: &CreditCode| Named::Own(OwnKey { id, uscc: uscc.clone(), key: key.clone(), name: wanted.name.clone() });
    say(with, now, &named)
}

fn say(with: &With, now: OffsetDateTime, named: &dyn Fn(MandateId, &CreditCode) -> Named) -> Result<(), Problem> {
    let place = &with.place;
    let (signer, uscc, desk) = with.desk(now)?;
    // Cut off between signing and sending, the same command sends the same.
    let before = kept(place)?.into_iter().find(|one| *one == named(one.id().clone(), &uscc) && !KEPT.is_withdrawn(place, one.id()));
    let said = before.map_or_else(|| Ok::<_, Problem>(named(MandateId::from_random(place.random()?), &uscc)), Ok)?;
    let document = match &said {
        Named::Operator(one) => one.canonical(),
        Named::Own(one) => one.canonical(),
    };
    Named::parse(&document).map_err(|error| place.misread(&error))?;
    let signature = KEPT.of(place, said.id()).signed(place, &document, || signer.seal(place, &document, now))?;
    with.send(&desk, "/operators", &document, &signature)?;
    if place.json {
        return json(&serde_json::json!({ "authorisation_id": said.id().as_str(), "key": said.key(), "standing": word(&said), "state": "live" }));
    }
    let done = if word(&said) == "own" { place.said("已登记为本单位自己的密钥：", "named as the enterprise's own:") } else { place.said("经办人已授权：", "the operator is authorised:") };
    line(&format!("{done} {}  {}", said.id(), said.key()))
}

fn word(named: &Named) -> &'static str {
    match named {
        Named::Operator(_) => "operator",
        Named::Own(_) => "own",
    }
}

fn withdraw(wanted: &Withdraw) -> Result<(), Problem> {
    let (with, place, now) = (&wanted.with, &wanted.with.place, SystemClock.now());
    if let Some(key) = &wanted.own_key {
        return withdraw_own(with, key, now);
    }
    let wrong = || place.refuse(Exit::Usage, "authorisation", ("这不是授权编号", "授权编号是 26 位字母数字；filing operator list 可以查到"), ("this is no authorisation's id", "it has 26 letters and digits; `filing operator list` tells it"));
    let id = wanted.id.as_deref().and_then(MandateId::parse).ok_or_else(wrong)?;
    let (signer, uscc, desk) = with.desk(now)?;
    let document = OperatorWithdrawal { id: id.clone(), uscc }.canonical();
    with.withdraw(&desk, "/operators/withdraw", &KEPT.withdrawal_of(place, &id), &document, || signer.seal(place, &document, now))?;
    if place.json {
        return json(&serde_json::json!({ "authorisation_id": id.as_str(), "state": "withdrawn" }));
    }
    line(&format!("{} {id}", place.said("已撤回，即刻起该密钥不能再以此签署：", "it is withdrawn, the key signs nothing by it any more:")))
}

/// Each time a document of its own: one that ended a key's standing once does not end it again, once it was named anew.
fn withdraw_own(with: &With, key: &str, now: OffsetDateTime) -> Result<(), Problem> {
    let place = &with.place;
    let (signer, uscc, desk) = with.desk(now)?;
    let withdrawal = OwnKeyWithdrawal { id: MandateId::from_random(place.random()?), uscc, key: key.to_owned() };
    let document = withdrawal.canonical();
    OwnKeyWithdrawal::parse(&document).map_err(|error| place.misread(&error))?;
    with.withdraw(&desk, "/operators/withdraw", &KEPT.withdrawal_of(place, &withdrawal.id), &document, || signer.seal(place, &document, now))?;
    if place.json {
        return json(&serde_json::json!({ "withdrawal_id": withdrawal.id.as_str(), "key": key, "standing": "own", "state": "withdrawn" }));
    }
    line(&format!("{} {key}", place.said("已撤回，即刻起该密钥不再是本单位自己的：", "it is withdrawn, the key is the enterprise's own no more:")))
}

#[derive(Deserialize)]
struct Piece {
    operators: Vec<Shown>,
    own: Vec<Key>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Shown {
    authorisation_id: String,
    state: String,
    document: String,
    signature: String,
}

#[derive(Deserialize)]
struct Key {
    key: String,
    authorisation_id: Option<String>,
}

/// Everything that the desk has of this enterprise's keys; what is told of an operator is proved to be the enterprise's own word.
fn list(wanted: &List) -> Result<(), Problem> {
    let (with, place, now) = (&wanted.with, &wanted.with.place, SystemClock.now());
    let (_, uscc, desk) = with.desk(now)?;
    let anchors = with.trust.anchors(place)?;
    let mut all = Vec::new();
    in_pieces(&desk, "/operators", |piece: Piece, first| {
        for Key { key, authorisation_id } in piece.own.iter().filter(|_| first) {
            all.push(serde_json::json!({ "standing": "own", "key": key, "authorisation_id": authorisation_id, "state": "live" }));
            if !place.json {
                line(&format!("{}  {}  {key}", authorisation_id.as_deref().unwrap_or("-"), place.said("本单位自己的", "own")))?;
            }
        }
        for shown in &piece.operators {
            let unsound = |why: &str| place.refuse(Exit::Damaged, "authorisation", (&format!("授权 {} 不能证明是本单位所签：{why}", shown.authorisation_id), "请向受理单位查询"), (&format!("the authorisation {} is not proved to be this enterprise's: {why}", shown.authorisation_id), "ask the bureau"));
            let decoded = |text: &str| STANDARD.decode(text).map_err(|error| unsound(&error.to_string()));
            let (document, signature) = (decoded(&shown.document)?, decoded(&shown.signature)?);
            let one = Authorisation::parse(&document).map_err(|error| unsound(&error.to_string()))?;
            if (one.id.as_str(), &one.uscc) != (shown.authorisation_id.as_str(), &uscc) {
                return Err(unsound("id"));
            }
            stands(&document, &signature, &uscc, &anchors, now).map_err(|why| unsound(&why.to_string()))?;
            told(place, &one, &shown.state)?;
            all.push(as_json(&one, &shown.state));
        }
        Ok(piece.next.filter(|next| next.len() == 64))
    })?;
    if place.json { json(&all) } else { Ok(()) }
}

fn as_json(one: &Authorisation, state: &str) -> serde_json::Value {
    serde_json::json!({
        "standing": "operator", "key": one.key, "authorisation_id": one.id.as_str(), "state": state, "name": one.name,
        "kinds": one.kinds.iter().map(policies::filing::KindName::as_str).collect::<Vec<_>>(), "from": one.from.to_string(), "until": one.until.to_string(),
    })
}

fn told(place: &Place, one: &Authorisation, state: &str) -> Result<(), Problem> {
    if place.json {
        return Ok(());
    }
    let state = state_of(place, state);
    let kinds: Vec<String> = one.kinds.iter().map(policies::filing::KindName::typed).collect();
    line(&format!("{}  {state}  {} {}  {}  {}–{}  {}", one.id, place.said("经办人", "operator"), runtime::terminal::plain(&one.name), kinds.join(","), one.from, one.until, one.key))
}

/// What was said here.
fn kept(place: &Place) -> Result<Vec<Named>, Problem> {
    let documents = KEPT.all(place)?.into_iter().filter_map(|id| KEPT.of(place, &id).read(place).transpose());
    documents.map(|document| Named::parse(&document?).map_err(|error| place.misread(&error))).collect()
}
