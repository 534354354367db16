//! What is asked about the operators of an institution's mailbox.

use runtime::exit::Problem;
use serde::{Deserialize, Serialize};

use super::{Outcome, Service};
use crate::flow::operator::{self, Application};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum OperatorOperation {
    /// What an officer or a first operator signed.
    Order(Application),
    /// At the counter's word.
    End { mailbox: String, operator: u32, papers: String },
    List { mailbox: String },
    /// Who sent the message of this id.
    Sent { mailbox: String, id: String },
}

impl Service {
    pub(super) fn operator(&self, operation: OperatorOperation) -> Result<Outcome, Problem> {
        let gateway = &*self.gateway;
        Ok(Outcome::Operators(match operation {
            OperatorOperation::Order(application) => vec![operator::carry_out(gateway, &self.lists, &application)?],
            OperatorOperation::End { mailbox, operator, papers } => vec![operator::end(gateway, self.number(&mailbox)?, operator, &papers)?],
            OperatorOperation::List { mailbox } => gateway.directory.operators(self.number(&mailbox)?)?,
            OperatorOperation::Sent { mailbox, id } => vec![gateway.directory.operator_who_sent(self.number(&mailbox)?, &id)?],
        }))
    }
}
