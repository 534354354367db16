//! An order proved to whoever has the root and the log's key, and nothing else of ours: what was applied for, what
//! officers signed, what was issued, and that the log tells the same.
//!
//! One file, in one form: whatever byte of it is changed, it is refused.

use const_oid::ObjectIdentifier as Oid;
use evidence::Evidence;
use pki::path::Anchors;
use pki::request::Request;
use policies::certificate::RequestedName;
use runtime::exit::Problem;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_SERIALNUMBER};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::approval::Judge;
use crate::authority::Authority;
use crate::flow::approve;
use crate::flow::order::{OrderError, load};
use crate::flow::plan::alternative_name;
use crate::flow::roots;
use crate::problem::IssueError;
use crate::proof::{self, Entry, MAX_ENTRIES, Signature, Told, der, lists_of, proved};
pub use crate::proof::{MAX_BYTES, ProofError};
use crate::record::{Application, Decision, OrderId, OrderRecord, OrderState, log, serial_of, serial_text};
use crate::register;
use crate::service::pem;

const FORM: &str = "suiyin order proof 1";
/// spec: X.520 organizationIdentifier
const ORGANIZATION_IDENTIFIER: x509_parser::der_parser::Oid<'static> = x509_parser::der_parser::oid!(2.5.4.97);

const RECEIVED: u8 = 20;
const DECIDED: u8 = 21;
const MOVED: u8 = 22;
const APPROVED: u8 = log::ORDER_APPROVED;
const ISSUED: u8 = 4;

fn is_move(told: &Told) -> bool {
    [MOVED, APPROVED].contains(&told.kind)
}

/// What is handed to whoever wants proof.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    pub form: String,
    pub order: OrderId,
    pub state: String,
    pub application: Application,
    /// PEM.
    pub request: String,
    pub decisions: Vec<Signature>,
    /// The lists in force when something was decided, PEM.
    pub lists: Vec<String>,
    /// The certificate issued and its issuers without the root, PEM.
    pub certificates: Vec<String>,
    /// The signed head of the log.
    pub checkpoint: String,
    pub entries: Vec<Entry>,
}

/// The proof of an order as it stands.
pub fn export(authority: &Authority, evidence: &Evidence, id: &OrderId) -> Result<Proof, Problem> {
    let (_, order) = load(authority, id)?;
    let decisions = approve::decisions(authority, id)?;
    let lists = lists_of(authority, &decisions)?;
    let certificates = match &order.state {
        OrderState::Issued { serial } => {
            let record = register::get(&*authority.store, &register::serial(serial).map_err(IssueError::from)?).map_err(IssueError::from)?;
            let above = roots::above(authority, &record.issuer);
            std::iter::once(&record.der).chain(&above).map(|der| pem("CERTIFICATE", der)).collect()
        }
        _ => Vec::new(),
    };
    let (from, to) = OrderRecord::entries(id);
    let kept = authority.store.scan(&from, &to, MAX_ENTRIES).map_err(OrderError::from)?;
    let indexes: Vec<u64> = kept.iter().filter_map(|(key, _)| OrderRecord::position(id, key)).collect();
    let (checkpoint, entries) = proved(evidence, &indexes)?;
    Ok(Proof {
        form: FORM.to_owned(),
        order: *id,
        state: order.state.word().to_owned(),
        application: order.application,
        request: pem("CERTIFICATE REQUEST", &order.request),
        decisions: decisions.into_iter().map(|record| Signature { decision: record.decision, signature: pem("CMS", &record.signature) }).collect(),
        lists,
        certificates,
        checkpoint,
        entries,
    })
}

impl Proof {
    pub fn text(&self) -> Result<String, serde_json::Error> {
        proof::written(self)
    }

    /// Only from the one form that it is written in.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        proof::parse(bytes, |proof: &Self| proof.form == FORM && proof.entries.len() <= MAX_ENTRIES)
    }
}

/// What was proved.
#[derive(Clone, Debug, Serialize)]
pub struct Proven {
    pub state: String,
    pub profile: String,
    /// When the log received the order and when it came to its state, Unix seconds.
    pub received_at: i64,
    pub state_at: i64,
    /// Serials of the certificates of the officers who approved, and of those who refused.
    pub approved_by: Vec<String>,
    pub refused_by: Vec<String>,
    /// Of the certificate issued.
    pub serial: Option<String>,
    /// Entries that the log had.
    pub log_size: u64,
}

/// From the file, the root and the log's key alone. `officers` are the policies of officers' certificates.
pub fn verify(bytes: &[u8], root: &[u8], vkey: &str, officers: Vec<Oid>) -> Result<Proven, ProofError> {
    // 1. One form, and PEM in its one form.
    let proof = Proof::parse(bytes)?;
    let request = der("CERTIFICATE REQUEST", &proof.request)?;
    let lists = proof::lists(&proof.lists)?;
    let certificates = proof.certificates.iter().map(|text| der("CERTIFICATE", text)).collect::<Result<Vec<_>, _>>()?;
    let anchors = Anchors::new(&[root]).map_err(|_| ProofError::Root)?;
    // 2. The head is the log's, and every entry is in it.
    let (head, told) = proof::opened(&proof.checkpoint, &proof.entries, vkey)?;
    // 3. They tell of this order, from its receipt to its state.
    let story = Story::read(&proof, &told)?;
    // 4. What was received is what stands here.
    let record = OrderRecord { application: proof.application.clone(), state: OrderState::Received, changed_at: 0, ends_at: 0, flags: Vec::new(), decisions: 0, request };
    if record.content_digest(&proof.order).ok().as_deref() != Some(story.received.word("content_sha256")) {
        return Err(ProofError::Content);
    }
    let request = Request::parse(&record.request)?;
    // 5. Every decision that the log knows is here, and each holds by itself.
    let judge = Judge { anchors: &anchors, lists: &lists, policies: officers };
    let about = |decision: &Decision| decision.is_about(&proof.order, &record);
    let (approved_by, refused_by) = proof::decisions(&proof.decisions, &story.decided, &judge, about, |person| record.application.is_of(person))?;
    // 6. The certificate is the one that the log says was issued, of this request and of these words, beneath the root.
    let serial = match story.serial {
        Some(serial) => Some(issued(&certificates, root, &record, &request, serial, &story)?),
        None if certificates.is_empty() => None,
        None => return Err(ProofError::Certificate("there is one, and the log issued none for this order")),
    };
    let seconds = |told: &Told| told.at().map_or(0, OffsetDateTime::unix_timestamp);
    Ok(Proven {
        state: proof.state.clone(),
        profile: proof.application.profile.clone(),
        received_at: seconds(story.received),
        state_at: seconds(story.last),
        approved_by,
        refused_by,
        serial,
        log_size: head.size(),
    })
}

/// The entries of one order, in their order in the log.
struct Story<'a> {
    received: &'a Told,
    decided: Vec<&'a Told>,
    last: &'a Told,
    /// The certificate's entry and serial, when one was issued.
    certificate: Option<&'a Told>,
    serial: Option<&'a str>,
}

impl<'a> Story<'a> {
    fn read(proof: &Proof, told: &'a [Told]) -> Result<Self, ProofError> {
        let digest = proof.order.digest();
        if told.iter().any(|one| one.kind != ISSUED && one.word("order_sha256") != digest) {
            return Err(ProofError::Story("one is about another order"));
        }
        if told.iter().any(|one| ![RECEIVED, DECIDED, MOVED, APPROVED, ISSUED].contains(&one.kind)) {
            return Err(ProofError::Story("one is of another kind"));
        }
        let of_kind = |kind: u8| told.iter().filter(move |one| one.kind == kind);
        let received = told.first().filter(|first| first.kind == RECEIVED && of_kind(RECEIVED).count() == 1).ok_or(ProofError::Story("the receipt is missing, or there are two"))?;
        let mut state = OrderState::Received;
        for (at, one) in told.iter().enumerate().filter(|(_, one)| is_move(one)) {
            let next = OrderState::told(one.to(), one.word("serial")).filter(|next| state.may_become(next));
            let next = next.ok_or(ProofError::Story("a move is missing, or is none that an order makes"))?;
            if !Self::is_decided(proof, told, at, &state, &next) {
                return Err(ProofError::Story("the decision that moved it is missing, or came before its time"));
            }
            state = next;
        }
        if state.word() != proof.state {
            return Err(ProofError::Story("its last state is another"));
        }
        let last = told.iter().rfind(|one| is_move(one)).unwrap_or(received);
        let serial = matches!(state, OrderState::Issued { .. }).then(|| last.word("serial"));
        let issued: Vec<&Told> = of_kind(ISSUED).collect();
        let certificate = match (serial, issued.as_slice()) {
            (None, []) => None,
            (Some(serial), [one]) if one.word("serial") == serial && one.word("profile") == proof.application.profile => Some(*one),
            _ => return Err(ProofError::Story("the certificate's entry is missing or of another")),
        };
        Ok(Self { received, decided: of_kind(DECIDED).collect(), last, certificate, serial })
    }

    /// Whether an order that waited was approved or refused by an officer, whose word stands directly before the move
    /// since both are of one commit, and one that did not wait by the service.
    fn is_decided(proof: &Proof, told: &[Told], at: usize, state: &OrderState, next: &OrderState) -> bool {
        let word = match next {
            OrderState::Approved => "approve",
            OrderState::Refused(_) => "refuse",
            _ => return true,
        };
        let entry = |at: usize| proof.entries.get(at).zip(told.get(at));
        let (Some((place, moved)), Some((before, said))) = (entry(at), at.checked_sub(1).and_then(entry)) else { return false };
        if *state != OrderState::AwaitingApproval {
            return moved.word("by") == "service";
        }
        // An approval tells of how many, where the log is not older than that.
        if moved.kind == APPROVED && !told.get(..at).is_some_and(|before| proof::is_enough(moved, before, DECIDED)) {
            return false;
        }
        before.index.checked_add(1) == Some(place.index) && said.kind == DECIDED && said.word("decision") == word && said.word("by") == moved.word("by")
    }
}

fn issued(certificates: &[Vec<u8>], root: &[u8], record: &OrderRecord, request: &Request, serial: &str, story: &Story<'_>) -> Result<String, ProofError> {
    let refused = ProofError::Certificate;
    let [certificate, issuers @ ..] = certificates else { return Err(refused("it is missing")) };
    let digest = crate::sha256_hex(certificate);
    if story.certificate.is_none_or(|entry| entry.word("sha256") != digest) || serial_of(certificate).map(|serial| serial_text(&serial)).as_deref() != Some(serial) {
        return Err(refused("the log issued another one"));
    }
    let read = |der: &'_ [u8]| -> Result<(), ProofError> { X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty()).map(|_| ()).ok_or(refused("it or an issuer cannot be read")) };
    certificates.iter().map(Vec::as_slice).chain([root]).try_for_each(read)?;
    // From each to the next and to the root: names and signatures; what an issuer may sign was judged by the authority.
    let chain: Vec<X509Certificate<'_>> =
        std::iter::once(certificate).chain(issuers).map(Vec::as_slice).chain([root]).filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, read)| read).collect();
    for pair in chain.array_windows() {
        let [below, above] = pair;
        if below.issuer().as_raw() != above.subject().as_raw() || below.verify_signature(Some(above.public_key())).is_err() || !above.is_ca() {
            return Err(refused("it does not lead to the root"));
        }
    }
    let [holder, ..] = chain.as_slice() else { return Err(refused("it cannot be read")) };
    if holder.public_key().raw != request.spki {
        return Err(refused("its key is not the request's"));
    }
    let words = &record.application.applicant;
    let name = words.name.as_ref().or(words.officer.as_ref());
    if name.is_some_and(|name| attribute(holder, &OID_X509_COMMON_NAME) != Some(name.as_str())) {
        return Err(refused("it names somebody else"));
    }
    if words.code.as_ref().map(|code| format!("NTRCN-{code}")).as_deref() != attribute(holder, &ORGANIZATION_IDENTIFIER) {
        return Err(refused("its code is another"));
    }
    if words.number.as_deref() != attribute(holder, &OID_X509_SERIALNUMBER) {
        return Err(refused("its officer's number is another"));
    }
    let found = holder.subject_alternative_name().map_err(|_| refused("it cannot be read"))?;
    let found: Vec<RequestedName> = found.iter().flat_map(|extension| extension.value.general_names.iter().map(alternative_name)).collect();
    let hosts = words.dns.iter().map(|host| RequestedName::Dns(host.clone())).chain(words.ip.iter().map(|address| RequestedName::Ip(*address)));
    let asked: Vec<RequestedName> = words.mailbox.iter().map(|mailbox| RequestedName::Email(mailbox.clone())).chain(hosts).collect();
    if found.len() != asked.len() || !asked.iter().all(|name| found.contains(name)) {
        return Err(refused("its mailbox or hosts are others"));
    }
    Ok(serial.to_owned())
}

fn attribute<'a>(certificate: &'a X509Certificate<'_>, kind: &x509_parser::der_parser::Oid<'_>) -> Option<&'a str> {
    certificate.subject().iter_attributes().find(|attribute| attribute.attr_type() == kind).and_then(|found| found.as_str().ok())
}
