//! Cancelling: by an operator, or by whoever holds the order's key.

use pki::name::COMMON_NAME;
use pki::request::Request;
use ring::digest::{SHA256, digest};
use store::CommitError;

use super::{ATTEMPTS, OrderError, change, load};
use crate::authority::Authority;
use crate::flow::authorise::{Actor, Authorised, Holder, Operator};
use crate::problem::IssueError;
use crate::record::{OrderId, OrderRecord, OrderState};

/// By an operator.
pub fn cancel(authority: &Authority, authorised: &Authorised<Operator>, id: &OrderId) -> Result<OrderRecord, OrderError> {
    cancelled(authority, authorised.actor(), id)
}

/// By whoever holds the order's key: a PKCS#10 request signed with it, whose common name says what is meant.
pub fn cancel_by_possession(authority: &Authority, id: &OrderId, request: &[u8]) -> Result<OrderRecord, OrderError> {
    cancel_proved(authority, &prove_cancel(authority, id, request)?)
}

/// That whoever holds an order's key wants it cancelled. Had only from `prove_cancel`.
pub struct Cancelling {
    id: OrderId,
    /// SHA-256 of the key.
    pub key: Vec<u8>,
}

impl Cancelling {
    /// The number of the order.
    pub fn said(&self) -> Vec<u8> {
        self.id.bytes().to_vec()
    }
}

pub fn prove_cancel(authority: &Authority, id: &OrderId, request: &[u8]) -> Result<Cancelling, OrderError> {
    // Whoever knows no order learns so before anything is verified for them.
    let (_, found) = load(authority, id)?;
    let request = Request::parse(request).map_err(IssueError::from)?;
    let ordered = Request::parse(&found.request).map_err(IssueError::from)?;
    let says = matches!(request.subject.as_slice(), [(oid, text)] if *oid == COMMON_NAME && *text == format!("cancel order {id}"));
    if !says || request.spki != ordered.spki {
        return Err(OrderError::NotSaid);
    }
    Ok(Cancelling { id: *id, key: digest(&SHA256, &request.spki).as_ref().to_vec() })
}

pub fn cancel_proved(authority: &Authority, Cancelling { id, key }: &Cancelling) -> Result<OrderRecord, OrderError> {
    cancelled(authority, Authorised::<Holder>::by_possession(key).actor(), id)
}

fn cancelled(authority: &Authority, by: &Actor, id: &OrderId) -> Result<OrderRecord, OrderError> {
    for _ in 0..ATTEMPTS {
        let (stored, found) = load(authority, id)?;
        match &found.state {
            // Said before: the answer is the same, and nothing changes.
            OrderState::Cancelled => return Ok(found),
            state if !state.may_become(&OrderState::Cancelled) => return Err(OrderError::Decided { state: state.word() }),
            _ => {}
        }
        match change(authority, id, stored, found, OrderState::Cancelled, by) {
            Ok(()) | Err(OrderError::Issue(IssueError::Commit(CommitError::Conflict { .. }))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(load(authority, id)?.1)
}
