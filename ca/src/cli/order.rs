//! `ca order`: applications at the counter, and what became of them.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pki::cms::{ContentDigest, SealError, SignerPlan};
use pki::request::Request;
use policies::certificate::{Policies, SHIPPED};
use ring::digest::{Context, SHA256};
use runtime::clock::{Clock, SystemClock};
use runtime::exit::{Exit, Problem};

use super::ask::{self, Place};
use super::print::{date, json, line, plain};
use super::{Applicant, offline};
use super::identity::Identity;
use crate::flow::OFFICER;
use crate::flow::approve::Decided;
use crate::flow::order::{Applied, OrderQuery};
use crate::act_proof::{self, ActProof};
use crate::act_shown::ActShown;
use crate::order_proof::{self, ProofError};
use crate::order_shown::{OrderShown, Told};
use crate::problem::IssueError;
use crate::record::{Decision, Evidence, OrderId, Verdict};
use crate::operation::Operation;
use crate::service::Outcome;

/// The largest document of evidence that is read.
const DOCUMENT_LIMIT: u64 = 1 << 30;

#[derive(Debug, Subcommand)]
pub enum Order {
    /// Enter what somebody applies for at the counter.
    #[command(after_help = "Example:\n  ca order place enterprise-signing --request r.csr --name 广州某某有限公司 --code 91440101MAT000018G \\\n     --evidence licence=licence.pdf --key 2026-000123")]
    Place(Box<Application>),
    /// Show an order, or an act that officers approve: what was asked for, where it stands and why.
    #[command(after_help = "Example:\n  ca order show 0f1e2d3c4b5a69788796a5b4c3d2e1f0")]
    Show { id: OrderId },
    /// List orders: the open ones, or those of a state or a code.
    #[command(after_help = "Examples:\n  ca order list --state awaiting-approval\n  ca order list --code 91440101MAT000018G --json")]
    List {
        #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(crate::record::OrderState::WORDS))]
        state: Option<String>,
        #[arg(long)]
        code: Option<String>,
        /// At most this many, up to 1000.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// List the acts that wait for officers' approval: powers to be granted, and what is to be done in bulk.
    #[command(after_help = "Example:\n  ca order acts --json")]
    Acts,
    /// Cancel an order that is not issued yet.
    #[command(after_help = "Example:\n  ca order cancel 0f1e2d3c4b5a69788796a5b4c3d2e1f0")]
    Cancel { id: OrderId },
    /// Approve an order or an act with your own key, after seeing exactly what you sign.
    #[command(after_help = "Examples:\n  ca --server https://ca.example.cn:8441 --identity me order approve 0f1e2d3c4b5a69788796a5b4c3d2e1f0\n  ca --dir ca-state --identity me order approve 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --reason '核对无误' --yes")]
    Approve(Deciding),
    /// Refuse an order or an act with your own key; the applicant is told the reason.
    #[command(after_help = "Example:\n  ca --server https://ca.example.cn:8441 --identity me order refuse 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --reason '营业执照已过期'")]
    Refuse(Deciding),
    /// Write the proof of an order or an act: what was asked for, decided and done, with the log's proofs.
    #[command(after_help = "Example:\n  ca order export 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --out order.json")]
    Export {
        id: OrderId,
        /// Write the proof here instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Prove an exported order or act, offline, from nothing but the root and the log's key.
    #[command(after_help = "Example:\n  ca order verify order.json --root root.pem --vkey 'ca.example.cn/ca+1a2b3c4d+AbC...'")]
    Verify {
        file: PathBuf,
        /// The root's certificate, PEM, from a source you trust.
        #[arg(long)]
        root: PathBuf,
        /// The log's key as you know it.
        #[arg(long)]
        vkey: String,
        /// A directory with `certificates/*.toml`, where the policies are not those that come with the program.
        #[arg(long)]
        policies: Option<PathBuf>,
    },
}

#[derive(Args)]
pub struct Deciding {
    id: OrderId,
    /// Why, in your words; the applicant reads them. Name no person.
    #[arg(long, default_value = "")]
    reason: String,
    /// Sign without being asked.
    #[arg(long)]
    yes: bool,
}

/// Without the words: the reason may name people.
impl std::fmt::Debug for Deciding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deciding").field("yes", &self.yes).finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
pub struct Application {
    /// A profile of `ca policy check`.
    profile: String,
    /// PKCS#10, PEM or DER; `-` reads standard input.
    #[arg(long)]
    request: PathBuf,
    #[command(flatten)]
    applicant: Applicant,
    /// The authority that signs, where the profile leaves a choice.
    #[arg(long)]
    issuer: Option<String>,
    /// A document that was shown, as KIND=FILE: its digest is kept, the file is not. May be repeated.
    #[arg(long, value_name = "KIND=FILE")]
    evidence: Vec<String>,
    /// Your own name for this order: entered twice, it is the same order.
    #[arg(long)]
    key: String,
}

pub fn order(place: &Place, identity: Option<&Path>, order: Order) -> Result<(), Problem> {
    let operation = match order {
        Order::Place(application) => {
            let Application { profile, request, applicant, issuer, evidence, key } = *application;
            let evidence = evidence.iter().map(|given| document(given)).collect::<Result<_, _>>()?;
            Operation::PlaceOrder(Applied { profile, request: offline::read_request(&request)?, applicant: applicant.words(), issuer, evidence, key })
        }
        Order::Show { id } => Operation::ShowOrder { id },
        Order::List { state, code, limit } => Operation::ListOrders(OrderQuery { state, code, limit }),
        Order::Acts => Operation::ListActs,
        Order::Cancel { id } => Operation::CancelOrder { id },
        Order::Approve(deciding) => return decide(place, identity, &deciding, Verdict::Approve),
        Order::Refuse(deciding) => return decide(place, identity, &deciding, Verdict::Refuse),
        Order::Export { id, out } => return export(place, id, out.as_deref()),
        Order::Verify { file, root, vkey, policies } => return verify(&file, &root, &vkey, policies.as_deref(), place.json),
    };
    super::print::outcome(&ask::ask(place, operation)?, place.json)
}

/// Shows what is signed, made here of the order itself; signs it with the officer's key, which never leaves this machine.
fn decide(place: &Place, identity: Option<&Path>, deciding: &Deciding, verdict: Verdict) -> Result<(), Problem> {
    let directory = identity.ok_or_else(|| Problem::new(Exit::Usage, "identity", "whose key is to sign is not told", "give --identity with the directory of your identity"))?;
    let text = match ask::ask(place, Operation::ShowOrder { id: deciding.id })? {
        Outcome::Order(order) => about_order(&order, deciding, verdict)?,
        Outcome::Act(act) => about_act(place, &act, deciding, verdict)?,
        _ => return Err(unasked()),
    };
    // 3.
    let Identity { key, certificate, chain, .. } = Identity::load(directory, place.passphrase_file.as_deref())?;
    let refused = |error: SealError| Problem::new(Exit::Refused, "identity", error.to_string(), "have the identity's certificate issued anew");
    let others: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let plan = SignerPlan::new(&certificate, &others).map_err(refused)?;
    let digest = plan.digest_algorithm().digest(text.as_bytes());
    let content = match (<[u8; 32]>::try_from(digest.as_slice()), <[u8; 48]>::try_from(digest.as_slice())) {
        (Ok(digest), _) => ContentDigest::from(digest),
        (_, Ok(digest)) => ContentDigest::from(digest),
        _ => return Err(refused(SealError::Digest)),
    };
    let signature = plan.seal(content, SystemClock.now(), &key).map_err(refused)?;
    super::print::outcome(&ask::ask(place, Operation::DecideOrder(Decided { order: deciding.id, decision: text, signature }))?, place.json)
}

fn about_act(place: &Place, act: &ActShown, deciding: &Deciding, verdict: Verdict) -> Result<String, Problem> {
    // 1. About the number that was given; what it names by digests is looked at here.
    if act.id != deciding.id {
        return Err(unasked());
    }
    let decision = super::act::decision(place, act, verdict, deciding.reason.trim().to_owned(), SystemClock.now().unix_timestamp())?;
    let text = decision.text().map_err(IssueError::from)?;
    // 2. The officer sees what they sign, and says so.
    if !deciding.yes {
        super::act::whole(act)?;
        one(&format!("signed   {text}"))?;
        confirmed(verdict)?;
    }
    Ok(text)
}

fn about_order(order: &OrderShown, deciding: &Deciding, verdict: Verdict) -> Result<String, Problem> {
    // 1. The request as it stands here, its possession proved here; nothing is signed on the server's word.
    let request = Request::parse(order.request.as_bytes()).map_err(IssueError::from)?;
    let request_sha256 = crate::sha256_hex(request.der());
    if order.id != deciding.id || order.request_sha256 != request_sha256 {
        return Err(Problem::new(Exit::Damaged, "other-order", "the server shows another order than the one asked for, or another request than it says", "sign nothing, and tell whoever runs it"));
    }
    let decision = Decision {
        act: crate::record::act_of(order.corrects.as_ref()),
        order: deciding.id,
        profile: order.profile.clone(),
        request_sha256,
        applicant: order.applicant.said().into_iter().map(|(word, said)| (word.to_owned(), said)).collect(),
        evidence: order.evidence.clone(),
        decision: verdict,
        reason: deciding.reason.trim().to_owned(),
        at: SystemClock.now().unix_timestamp(),
    };
    let text = decision.text().map_err(IssueError::from)?;
    // 2. The officer sees what they sign, and says so.
    if !deciding.yes {
        whole(order)?;
        one(&format!("signed   {text}"))?;
        confirmed(verdict)?;
    }
    Ok(text)
}

fn confirmed(verdict: Verdict) -> Result<(), Problem> {
    let not_asked = || Problem::new(Exit::Usage, "not-confirmed", "nothing was signed", "answer yes at a terminal, or give --yes when you have seen it");
    if !std::io::stdin().is_terminal() {
        return Err(not_asked());
    }
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{} this with your key? yes/no: ", if verdict == Verdict::Approve { "Approve" } else { "Refuse" });
    let _ = err.flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().take(16).read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" { Ok(()) } else { Err(not_asked()) }
}

fn export(place: &Place, id: OrderId, out: Option<&Path>) -> Result<(), Problem> {
    let text = match ask::ask(place, Operation::ExportOrder { id })? {
        Outcome::OrderProof(proof) => proof.text(),
        Outcome::ActProof(proof) => proof.text(),
        _ => return Err(unasked()),
    };
    let text = text.map_err(IssueError::from)?;
    match out {
        Some(path) => super::print::file_for(path, text.as_bytes(), 0o600).map_err(|error| Problem::new(Exit::Unavailable, "file", format!("{} cannot be written: {error}", path.display()), "check the path and the disk")),
        None => line(text.trim_end()),
    }
}

fn verify(file: &Path, root: &Path, vkey: &str, policies: Option<&Path>, as_json: bool) -> Result<(), Problem> {
    let read = |path: &Path, limit: usize| {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
        read.map(|_| bytes).map_err(|error| Problem::new(Exit::Usage, "file", format!("{} cannot be read: {error}", path.display()), "check the path"))
    };
    let policies = match policies {
        Some(directory) => crate::init::read_policies(directory)?.certificates,
        None => Policies::parse(SHIPPED).map_err(crate::init::InitError::from)?,
    };
    let officers = policies.profile(OFFICER).map(|profile| profile.policies().to_vec()).unwrap_or_default();
    let root = pem::parse(read(root, 64 * 1024)?).map_err(|_| ProofError::Root)?;
    let bytes = read(file, order_proof::MAX_BYTES)?;
    if ActProof::parse(&bytes).is_ok() {
        let proven = act_proof::verify(&bytes, root.contents(), vkey, officers)?;
        return if as_json { json(&proven) } else { super::act::proven(&proven) };
    }
    let proven = order_proof::verify(&bytes, root.contents(), vkey, officers)?;
    if as_json {
        return json(&proven);
    }
    line(&format!("the order is {}: received {}, so since {}", proven.state, date(proven.received_at), date(proven.state_at)))?;
    proven.approved_by.iter().try_for_each(|serial| line(&format!("approved by the officer of certificate {serial}")))?;
    proven.refused_by.iter().try_for_each(|serial| line(&format!("refused by the officer of certificate {serial}")))?;
    match &proven.serial {
        Some(serial) => line(&format!("certificate {serial} was issued for it")),
        None => Ok(()),
    }
}

fn unasked() -> Problem {
    Problem::new(Exit::Internal, "operation", "the answer is to another question", "see that server and command are the same version")
}

/// `KIND=FILE`, read for its digest alone.
fn document(given: &str) -> Result<Evidence, Problem> {
    let wrong = |reason: String| Problem::new(Exit::Usage, "evidence", reason, "write it like --evidence licence=licence.pdf");
    let (kind, path) = given.split_once('=').ok_or_else(|| wrong("a document has a kind and a file".into()))?;
    let sha256 = digest(Path::new(path)).map_err(|error| wrong(format!("{path}: {error}")))?;
    Ok(Evidence { kind: kind.to_owned(), sha256 })
}

fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?.take(DOCUMENT_LIMIT + 1);
    let (mut context, mut read, mut chunk) = (Context::new(&SHA256), 0_u64, vec![0; 64 * 1024]);
    loop {
        let more = file.read(&mut chunk)?;
        if more == 0 {
            return Ok(crate::hex(context.finish().as_ref()));
        }
        read += more as u64;
        if read > DOCUMENT_LIMIT {
            return Err(std::io::Error::other("it has more than 1 GiB"));
        }
        context.update(chunk.get(..more).unwrap_or_default());
    }
}

pub fn shown(outcome: &Outcome, as_json: bool) -> Result<(), Problem> {
    match outcome {
        Outcome::OrderProof(proof) => json(proof),
        Outcome::Order(order) if as_json => json(order),
        Outcome::Orders(orders) if as_json => json(orders),
        Outcome::Order(order) => whole(order),
        Outcome::Orders(orders) if orders.is_empty() => line("no order fits"),
        Outcome::Orders(orders) => orders.iter().try_for_each(row),
        _ => Ok(()),
    }
}

fn row(order: &OrderShown) -> Result<(), Problem> {
    let code = order.applicant.code.as_deref().unwrap_or("-");
    one(&format!("{}  {:<17} {:<19} {:<18} {}  {}", order.id, order.state.code, order.profile, code, date(order.placed_at), order.key))
}

/// One line and never two, whatever a server sent: nothing reads as a line of ours that is not.
fn one(text: &str) -> Result<(), Problem> {
    line(&plain(text))
}

fn whole(order: &OrderShown) -> Result<(), Problem> {
    let told = |told: &Told| if told.zh == told.en { told.en.clone() } else { format!("{} ({})", told.zh, told.en) };
    one(&format!("order    {}{}", order.id, if order.before { ", placed before with this key" } else { "" }))?;
    one(&format!("state    {}: {}", order.state.code, told(&order.state)))?;
    for reason in &order.reasons {
        one(&format!("note     {}: {}", reason.code, told(reason)))?;
    }
    if let Some(needed) = &order.needed {
        one(&format!("needs    {} approvals, by holders of the power {}", needed.approvals, needed.by))?;
    }
    for decided in &order.decisions {
        let words = if decided.reason.is_empty() { String::new() } else { format!(": {}", decided.reason) };
        one(&format!("decided  {} by the officer of {}, {}{words}", super::print::word(&decided.decision), decided.officer, date(decided.at)))?;
    }
    one(&format!("profile  {}", order.profile))?;
    for (word, said) in order.applicant.said() {
        one(&format!("{word:<8} {said}"))?;
    }
    if let Some(corrects) = &order.corrects {
        one(&format!("corrects certificate {}, signed with its key", corrects.serial))?;
    }
    for document in &order.evidence {
        one(&format!("shown    {} {}", document.kind, document.sha256))?;
    }
    one(&format!("request  sha256 {}", order.request_sha256))?;
    one(&format!("key      {}", order.key))?;
    one(&format!("placed   {} by {}; changed {}", date(order.placed_at), order.by, date(order.changed_at)))?;
    one(&format!("address  {}", order.address))?;
    match &order.certificate {
        Some(certificate) => {
            one(&format!("serial   {}", certificate.serial))?;
            line(format!("{}{}", certificate.certificate, certificate.chain).trim_end())
        }
        None => Ok(()),
    }
}
