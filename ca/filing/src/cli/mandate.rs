//! `filing mandate`: a principal lets an agent (代理记账) file for it and takes that back; both see what there is.
//!
//! What was signed here, and what was shown by the desk and proved, is kept in `DIR/mandates`; how, is `word`'s.

use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use policies::authority::day_in_city;
use policies::filing::KindName;
use policies::identity::CreditCode;
use policies::statement::Period;
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use serde::Deserialize;
use time::OffsetDateTime;

use super::enterprise::Place;
use super::sign::Signer;
use super::wire::Body;
use super::word::{Kept, Unproved, With, day, in_pieces, kinds_of, stands, state_of};
use crate::document::{Filing, Mandate, MandateId, Withdrawal};

/// Within the operator's directory: ids of mandates look like those of filings.
const KEPT: Kept = Kept("mandates");
/// The problem of one that cannot be proved today.
const UNPROVED: &str = "mandate-unproved";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// 委托代理申报：签署并提交委托；相同的委托重复执行仍是同一份 (sign a mandate and send it; the same again is the same one).
    #[command(after_help = "Example:\n  filing mandate give --agent 91440101MAT000026B --kind vat-general --kind si-staff-change --until 2027-06-30 --server https://desk.example.cn:8450 --passphrase-file pass")]
    Give(Give),
    /// 撤回委托，立即生效 (take a mandate back, at once).
    #[command(after_help = "Example:\n  filing mandate withdraw 01JDPD6Z3SFM7T5K9V8R2Q4XNB --server https://desk.example.cn:8450 --passphrase-file pass")]
    Withdraw(One),
    /// 本单位给出的和受托的委托 (what this enterprise gave and what it holds).
    #[command(after_help = "Example:\n  filing mandate list --server https://desk.example.cn:8450 --passphrase-file pass --json")]
    List(List),
    /// 一份委托，核验后保存 (one mandate, proved and kept).
    #[command(after_help = "Example:\n  filing mandate show 01JDPD6Z3SFM7T5K9V8R2Q4XNB --server https://desk.example.cn:8450 --passphrase-file pass")]
    Show(One),
}

impl Command {
    pub fn place(&self) -> &Place {
        match self {
            Self::Give(wanted) => &wanted.with.place,
            Self::Withdraw(wanted) | Self::Show(wanted) => &wanted.with.place,
            Self::List(wanted) => &wanted.with.place,
        }
    }
}

#[derive(Debug, Args)]
pub struct Give {
    #[command(flatten)]
    with: With,
    /// 代理单位的统一社会信用代码 (the agent's unified social credit code).
    #[arg(long, value_name = "CODE")]
    agent: String,
    /// 委托的申报种类，可多次 (a kind that it may file; may be said again).
    #[arg(long, required = true)]
    kind: Vec<String>,
    /// 第一个所属月份；不写则不限 (the first month that it may file for): 202601.
    #[arg(long, value_name = "YYYYMM", requires = "last_period")]
    first_period: Option<String>,
    /// 最后一个所属月份 (the last month that it may file for): 202612.
    #[arg(long, value_name = "YYYYMM", requires = "first_period")]
    last_period: Option<String>,
    /// 生效日期，缺省为今天 (the first day, today without): 2026-12-01.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// 最后一天 (the last day): 2027-06-30.
    #[arg(long, value_name = "DAY")]
    until: String,
}

#[derive(Debug, Args)]
pub struct One {
    #[command(flatten)]
    with: With,
    /// 委托编号 (the mandate's id).
    id: String,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    with: With,
}

/// As the desk shows it.
#[derive(Deserialize)]
struct Shown {
    mandate_id: String,
    state: String,
    document: String,
    signature: String,
    withdrawal: Option<ShownWithdrawal>,
}

#[derive(Deserialize)]
struct ShownWithdrawal {
    document: String,
    signature: String,
}

#[derive(Deserialize)]
struct Piece {
    mandates: Vec<Shown>,
    next: Option<String>,
}

pub fn run(command: &Command) -> Result<(), Problem> {
    match command {
        Command::Give(wanted) => give(wanted),
        Command::Withdraw(wanted) => withdraw(wanted),
        Command::List(wanted) => list(wanted),
        Command::Show(wanted) => show(wanted),
    }
}

/// 1 its terms · 2 the one that was made with these terms, or a new one · 3 signed and kept · 4 sent.
fn give(wanted: &Give) -> Result<(), Problem> {
    let (with, place, now) = (&wanted.with, &wanted.with.place, SystemClock.now());
    // 1.
    let terms = terms(wanted, now)?;
    let (signer, principal, desk) = with.desk(now)?;
    let of = |id| Mandate { id, principal: principal.clone(), ..terms.clone() };
    // 2. Cut off between signing and sending, the same command sends the same mandate.
    let before = KEPT.all(place)?.iter().map(|id| kept(place, id)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().find(|one| *one == of(one.id.clone()) && !KEPT.is_withdrawn(place, &one.id));
    let mandate = before.unwrap_or_else(|| of(terms.id.clone()));
    let document = mandate.canonical();
    Mandate::parse(&document).map_err(|error| place.misread(&error))?;
    // 3.
    let signature = KEPT.of(place, &mandate.id).signed(place, &document, || signer.seal(place, &document, now))?;
    // 4.
    with.send(&desk, "/mandates", &document, &signature)?;
    told(place, &mandate, "given", "live", &principal)
}

fn terms(wanted: &Give, now: OffsetDateTime) -> Result<Mandate, Problem> {
    let place = &wanted.with.place;
    let usage = |field: &str, zh: (&str, &str), en: (&str, &str)| place.refuse(Exit::Usage, "mandate", zh, en).at(field);
    let month = |field: &str, text: &str| {
        let wrong = || usage(field, (&format!("“{text}”不是月份"), "请写作 202612"), (&format!("`{text}` is no month"), "write it as 202612"));
        Period::parse(text).map_err(|_| wrong())
    };
    let today = day_in_city(now);
    let (from, until) = (wanted.from.as_deref().map_or(Ok(today), |text| day(place, "from", text))?, day(place, "until", &wanted.until)?);
    if until < today {
        return Err(usage("until", (&format!("最后一天 {until} 已经过去"), "请写今天或以后的日期"), (&format!("the last day {until} is over"), "write today or a later one")));
    }
    let kinds = kinds_of(place, &wanted.kind)?;
    let periods = match (&wanted.first_period, &wanted.last_period) {
        (Some(first), Some(last)) => Some(month("first-period", first)?..=month("last-period", last)?),
        _ => None,
    };
    let agent = place.code(&wanted.agent).map_err(|problem| problem.at("agent"))?;
    // The principal is who signs.
    Ok(Mandate { id: MandateId::from_random(place.random()?), principal: agent.clone(), agent, kinds, periods, from, until })
}

/// Signed, kept, sent: whoever withdraws need not hold the mandate.
fn withdraw(wanted: &One) -> Result<(), Problem> {
    let (with, place, now) = (&wanted.with, &wanted.with.place, SystemClock.now());
    let id = identified(place, &wanted.id)?;
    let (signer, principal, desk) = with.desk(now)?;
    let document = Withdrawal { id: id.clone(), principal }.canonical();
    with.withdraw(&desk, "/mandates/withdraw", &KEPT.withdrawal_of(place, &id), &document, || signer.seal(place, &document, now))?;
    if place.json {
        return json(&serde_json::json!({ "mandate_id": id.as_str(), "state": "withdrawn" }));
    }
    line(&format!("{} {id}", place.said("委托已撤回，即刻起代理不能再以此申报：", "the mandate is withdrawn, nothing is filed under it any more:")))
}

/// Everything that the desk has of this enterprise, proved and kept.
fn list(wanted: &List) -> Result<(), Problem> {
    let (with, place, now) = (&wanted.with, &wanted.with.place, SystemClock.now());
    let (_, code, desk) = with.desk(now)?;
    let mut all = Vec::new();
    in_pieces(&desk, "/mandates", |piece: Piece, _| {
        for shown in &piece.mandates {
            let mandate = match proved(with, shown, now) {
                Ok(mandate) => mandate,
                // What stands there besides is shown all the same.
                Err(problem) if problem.code == UNPROVED => {
                    runtime::terminal::progress(&format!("{}{}{}", problem.message, place.said("；", "; "), problem.next), true);
                    continue;
                }
                Err(problem) => return Err(problem),
            };
            let side = if mandate.principal == code { "given" } else { "held" };
            if place.json { all.push(as_json(&mandate, side, &shown.state)) } else { told(place, &mandate, side, &shown.state, &code)? }
        }
        Ok(piece.next.filter(|next| MandateId::parse(next).is_some()))
    })?;
    if place.json { json(&all) } else { Ok(()) }
}

fn show(wanted: &One) -> Result<(), Problem> {
    let (with, place, now) = (&wanted.with, &wanted.with.place, SystemClock.now());
    let id = identified(place, &wanted.id)?;
    let (_, code, desk) = with.desk(now)?;
    let shown: Shown = desk.read(&desk.send(&Method::GET, &format!("/mandates/{id}"), &Body::Nothing)?)?;
    let mandate = proved(with, &shown, now)?;
    told(place, &mandate, if mandate.principal == code { "given" } else { "held" }, &shown.state, &code)
}

fn identified(place: &Place, text: &str) -> Result<MandateId, Problem> {
    place.mandate(Some(text))?.ok_or_else(|| Problem::new(Exit::Internal, "mandate", "no id", "report this"))
}

/// What the desk shows is believed only as far as the principal's own signature goes; then it is kept.
fn proved(with: &With, shown: &Shown, now: OffsetDateTime) -> Result<Mandate, Problem> {
    let place = &with.place;
    let unsound = |why: &str| {
        let next = ("请勿据此申报，并向受理单位查询", "do not file under it, and ask the bureau");
        place.refuse(Exit::Damaged, "mandate", (&format!("委托 {} 不能证明是委托单位所签：{why}", shown.mandate_id), next.0), (&format!("the mandate {} is not proved to be its principal's: {why}", shown.mandate_id), next.1))
    };
    let unproved = |why: Unproved| match why {
        Unproved::Never(why) => unsound(&why),
        Unproved::Today(why) => {
            let (zh, en) = (format!("委托 {} 今天不能证明是委托单位所签，略过：{why}", shown.mandate_id), format!("the mandate {} cannot be proved today to be its principal's and is passed over: {why}", shown.mandate_id));
            place.refuse(Exit::Unavailable, UNPROVED, (&zh, "请向受理单位查询其状态"), (&en, "ask the bureau how it stands"))
        }
    };
    let decoded = |text: &str| STANDARD.decode(text).map_err(|error| unsound(&error.to_string()));
    let (document, signature) = (decoded(&shown.document)?, decoded(&shown.signature)?);
    let mandate = Mandate::parse(&document).map_err(|error| unsound(&error.to_string()))?;
    if mandate.id.as_str() != shown.mandate_id {
        return Err(unsound("id"));
    }
    signed_by(with, &document, &signature, &mandate.principal, now).map_err(unproved)?;
    KEPT.of(place, &mandate.id).signed(place, &document, || Ok(signature))?;
    if let Some(taken) = &shown.withdrawal {
        let (document, signature) = (decoded(&taken.document)?, decoded(&taken.signature)?);
        let withdrawal = Withdrawal::parse(&document).map_err(|error| unsound(&error.to_string()))?;
        if (&withdrawal.id, &withdrawal.principal) != (&mandate.id, &mandate.principal) {
            return Err(unsound("withdrawal"));
        }
        signed_by(with, &document, &signature, &mandate.principal, now).map_err(unproved)?;
        KEPT.withdrawal_of(place, &mandate.id).signed(place, &document, || Ok(signature))?;
    }
    Ok(mandate)
}

fn signed_by(with: &With, document: &[u8], signature: &[u8], principal: &CreditCode, now: OffsetDateTime) -> Result<(), Unproved> {
    let anchors = with.trust.anchors(&with.place).map_err(|problem| Unproved::Never(problem.message))?;
    stands(document, signature, principal, &anchors, now)
}

/// A mandate that is kept here.
fn kept(place: &Place, id: &MandateId) -> Result<Option<Mandate>, Problem> {
    let document = KEPT.of(place, id).read(place)?;
    document.map(|document| Mandate::parse(&document).map_err(|error| place.misread(&error))).transpose()
}

/// To whom it was given, where it is kept here.
pub(super) fn agent_of(place: &Place, id: &MandateId) -> Result<Option<CreditCode>, Problem> {
    Ok(kept(place, id)?.map(|mandate| mandate.agent))
}

/// Before an agent signs: a mandate that is known here must cover the filing. One that is not known is the desk's to judge.
pub(super) fn covering(place: &Place, id: &MandateId, filing: &Filing, signer: &Signer, now: OffsetDateTime) -> Result<(), Problem> {
    let refused = |zh: &str, en: &str| {
        let next = ("请核对 filing mandate list，或请委托单位另行委托", "see `filing mandate list`, or have the principal give another");
        Err(place.refuse(Exit::Refused, "mandate", (zh, next.0), (en, next.1)).at("/mandate"))
    };
    let Some(mandate) = kept(place, id)? else {
        let unknown = place.format("本目录没有这份委托，签署前未能核对；可先执行 filing mandate list", "this mandate is not kept here and was not checked before signing; `filing mandate list` fetches it");
        runtime::terminal::progress(&unknown, true);
        return Ok(());
    };
    if KEPT.is_withdrawn(place, id) {
        return refused("委托已经撤回", "the mandate was withdrawn");
    }
    if mandate.principal != *filing.uscc() {
        return refused("委托单位不是申报的单位", "its principal is not the enterprise of the filing");
    }
    if signer.code().as_ref() != Some(&mandate.agent) {
        return refused("受托的不是本单位", "its agent is not the holder of this certificate");
    }
    if !mandate.kinds.contains(filing.kind()) {
        return refused("委托不包括这种申报", "it is not for this kind of filing");
    }
    if !mandate.is_for(filing.period()) {
        return refused("委托不包括这一所属期", "it is not for this period");
    }
    let today = day_in_city(now);
    if !(mandate.from..=mandate.until).contains(&today) {
        let (from, until) = (mandate.from, mandate.until);
        return refused(&format!("委托的期限是 {from} 至 {until}"), &format!("it is good from {from} to {until}"));
    }
    Ok(())
}

fn as_json(mandate: &Mandate, side: &str, state: &str) -> serde_json::Value {
    serde_json::json!({
        "mandate_id": mandate.id.as_str(), "side": side, "state": state, "principal": mandate.principal.as_str(), "agent": mandate.agent.as_str(),
        "kinds": mandate.kinds.iter().map(KindName::as_str).collect::<Vec<_>>(),
        "first_period": mandate.periods.as_ref().map(|periods| periods.start().to_string()), "last_period": mandate.periods.as_ref().map(|periods| periods.end().to_string()),
        "from": mandate.from.to_string(), "until": mandate.until.to_string(),
    })
}

fn told(place: &Place, mandate: &Mandate, side: &str, state: &str, own: &CreditCode) -> Result<(), Problem> {
    if place.json {
        return json(&as_json(mandate, side, state));
    }
    let state = state_of(place, state);
    let (side, other) = if mandate.principal == *own { (place.said("委托给", "given to"), &mandate.agent) } else { (place.said("受托于", "held of"), &mandate.principal) };
    let kinds: Vec<String> = mandate.kinds.iter().map(KindName::typed).collect();
    let periods = mandate.periods.as_ref().map_or_else(|| place.said("各期", "every period").to_owned(), |periods| format!("{}–{}", periods.start(), periods.end()));
    line(&format!("{}  {state}  {side} {}  {}  {periods}  {}–{}", mandate.id, other.as_str(), kinds.join(","), mandate.from, mandate.until))
}
