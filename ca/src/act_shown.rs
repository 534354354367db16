//! What officers are shown of an act that they decide about: Chinese first, English beside.

use serde::{Deserialize, Serialize};

use crate::authority::Authority;
use crate::flow::act::{self, Needed};
use crate::flow::bulk::{self, Preview};
use crate::flow::order::OrderError;
use crate::flow::policies::{self, Change};
use crate::order_shown::{DecisionShown, Told, decisions};
use crate::problem::IssueError;
use crate::record::{ActDecision, ActRecord, ActState, Asked, Deed, OrderId};
use crate::register;
use crate::service::pem;

/// An act as it is shown. Times are Unix seconds.
#[derive(Clone, Serialize, Deserialize)]
pub struct ActShown {
    pub id: OrderId,
    pub state: Told,
    pub reasons: Vec<Told>,
    pub asked: Asked,
    pub changed_at: i64,
    pub ends_at: i64,
    /// What it takes by the rules as they are now.
    pub needed: Option<Needed>,
    pub decisions: Vec<DecisionShown>,
    /// To whose holder the power is granted, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Which certificates an open act in bulk is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// The documents to be accepted, beside those they take the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Change>,
}

impl ActShown {
    pub fn new(authority: &Authority, id: &OrderId, act: &ActRecord) -> Result<Self, OrderError> {
        let certificate = match act.asked.deed.certificate() {
            Some(serial) => Some(pem("CERTIFICATE", &register::get(&*authority.store, &register::serial(serial).map_err(IssueError::from)?).map_err(IssueError::from)?.der)),
            None => None,
        };
        Ok(Self {
            id: *id,
            state: state(&act.state),
            reasons: reasons(&act.state),
            asked: act.asked.clone(),
            changed_at: act.changed_at,
            ends_at: act.ends_at,
            needed: act::shown_needed(authority, act),
            decisions: if act.decisions > 0 { decisions::<ActDecision>(authority, id)? } else { Vec::new() },
            certificate,
            preview: None,
            policies: None,
        })
    }

    /// With the certificates of an act in bulk looked at, each, and the documents of a change.
    pub fn whole(authority: &Authority, id: &OrderId, act: &ActRecord) -> Result<Self, OrderError> {
        let preview = match &act.asked.deed {
            Deed::Bulk { incident, act: of, .. } if act.state.is_open() => Some(bulk::written_down(authority, incident, *of)?),
            _ => None,
        };
        Ok(Self { preview, policies: policies::change(authority, act)?, ..Self::new(authority, id, act)? })
    }
}

fn state(state: &ActState) -> Told {
    let (zh, en) = match state {
        ActState::AwaitingApproval => ("等待审批", "waiting for approval"),
        ActState::Approved => ("已批准,等待执行", "approved, waiting to be done"),
        ActState::Done => ("已执行", "done"),
        ActState::Refused(_) => ("未予执行,见原因", "refused, for the reason given"),
        ActState::Expired => ("逾期未决,已终止", "ended, since nobody decided in time"),
    };
    Told::new(state.word(), zh, en)
}

fn reasons(state: &ActState) -> Vec<Told> {
    match state {
        ActState::Refused(ground) => vec![Told::new(&ground.code, &ground.message, &ground.message)],
        _ => Vec::new(),
    }
}
