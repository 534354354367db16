//! What an operator asks about applications for mailboxes, and about the registries whose word counts.

use runtime::exit::Problem;
use serde::{Deserialize, Serialize};

use super::{Outcome, Service};
use crate::bureau::registries::{self, ShownRegistry};
use crate::directory::today;
use crate::flow::opening::answer::{self, Acceptance, Refusal};
use crate::flow::opening::{self, Application, Sent, Shown, ShownToOperator};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum OpeningOperation {
    /// At a desk, for somebody who stands there.
    Apply(Box<Sent>),
    /// What of an application is signed.
    Text(Box<Sent>),
    List { all: bool },
    Show { id: String },
    Accept(Box<Acceptance>),
    Refuse(Refusal),
    /// Certificates are PEM, each with its issuers.
    RegistrySet { code: String, clients: Vec<String> },
    RegistryList,
    RegistryWithdraw { code: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpeningOutcome {
    Applied(Box<Shown>),
    Text(String),
    Applications(Vec<ShownToOperator>),
    Application(Box<ShownToOperator>),
    Registries(Vec<ShownRegistry>),
}

impl Service {
    pub(super) fn opening(&self, operation: OpeningOperation) -> Result<Outcome, Problem> {
        let (gateway, now) = (&*self.gateway, self.gateway.clock.now());
        Ok(Outcome::Opening(match operation {
            OpeningOperation::Apply(sent) => OpeningOutcome::Applied(Box::new(opening::apply(gateway, &self.lists, &sent)?)),
            OpeningOperation::Text(sent) => OpeningOutcome::Text(Application::parse(&sent, today(now))?.text(&gateway.settings.domain).to_string()),
            OpeningOperation::List { all } => OpeningOutcome::Applications(answer::list(gateway, all)?),
            OpeningOperation::Show { id } => OpeningOutcome::Application(Box::new(answer::show(gateway, &id)?)),
            OpeningOperation::Accept(acceptance) => OpeningOutcome::Application(Box::new(answer::accept(gateway, &self.lists, &acceptance)?)),
            OpeningOperation::Refuse(refusal) => OpeningOutcome::Application(Box::new(answer::refuse(gateway, &refusal)?)),
            OpeningOperation::RegistrySet { code, clients } => OpeningOutcome::Registries(vec![registries::register(&*gateway.store, &gateway.anchors, &self.lists, (&code, &clients), now)?]),
            OpeningOperation::RegistryList => OpeningOutcome::Registries(registries::list(&*gateway.store)?),
            OpeningOperation::RegistryWithdraw { code } => OpeningOutcome::Registries(vec![registries::withdraw(&*gateway.store, &code, now)?]),
        }))
    }
}
