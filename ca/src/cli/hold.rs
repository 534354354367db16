//! Suspending on the command line: the words of an order, and how a hold is told.

use clap::Args;
use runtime::exit::{Exit, Problem};

use super::offline;
use super::print::{date, line};
use crate::flow::enterprise::EnterpriseOrder;
use crate::flow::hold::{FreezeOrder, LiftWords, Resume};
use crate::operation::Operation;
use crate::service::Shown;

#[derive(Args)]
pub struct Freeze {
    #[arg(required_unless_present = "code")]
    serial: Option<String>,
    /// Every certificate of this unified social credit code, and nothing more is issued for it.
    #[arg(long, conflicts_with = "serial")]
    code: Option<String>,
    /// The authority that orders it, by its full name.
    #[arg(long)]
    authority: String,
    /// Why, best by the number of its document; name no person.
    #[arg(long)]
    reason: String,
    /// When the order ends, RFC 3339; from then on the certificate is what it was before.
    #[arg(long)]
    until: String,
}

/// Without the words: the reason may name people.
impl std::fmt::Debug for Freeze {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Freeze").field("serial", &self.serial).finish_non_exhaustive()
    }
}

pub fn freeze(order: Freeze) -> Result<Operation, Problem> {
    let until = offline::instant(&order.until)?;
    let Freeze { serial, code, authority, reason, .. } = order;
    Ok(match code {
        Some(code) => Operation::FreezeEnterprise(EnterpriseOrder { code, authority, reason, until }),
        None => Operation::Freeze(FreezeOrder { serial: serial.unwrap_or_default(), authority, reason, until }),
    })
}

#[derive(Args)]
pub struct Resumed {
    #[arg(required_unless_present = "code")]
    serial: Option<String>,
    /// Lift the order that freezes the whole enterprise of this code.
    #[arg(long, conflicts_with_all = ["serial", "freeze"], requires_all = ["authority", "reason"])]
    code: Option<String>,
    /// Lift the order of an authority before its end date; a suspension below it goes on.
    #[arg(long, requires_all = ["authority", "reason"])]
    freeze: bool,
    /// The authority on whose word the order is lifted, by its full name.
    #[arg(long)]
    authority: Option<String>,
    /// Why, best by the number of its document; name no person.
    #[arg(long, requires = "authority")]
    reason: Option<String>,
}

/// Without the words: the reason may name people.
impl std::fmt::Debug for Resumed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resumed").field("serial", &self.serial).finish_non_exhaustive()
    }
}

pub fn resume(wanted: Resumed) -> Result<Operation, Problem> {
    let Resumed { serial, code, freeze, authority, reason } = wanted;
    if authority.is_some() && !freeze && code.is_none() {
        return Err(Problem::new(Exit::Usage, "freeze", "a suspension ends without an authority's word", "say --freeze to lift an order, or leave out --authority and --reason"));
    }
    let words = LiftWords { authority: authority.unwrap_or_default(), reason: reason.unwrap_or_default() };
    Ok(match code {
        Some(code) => Operation::LiftEnterprise { code, words },
        None => Operation::Resume(Resume { serial: serial.unwrap_or_default(), freeze: freeze.then_some(words) }),
    })
}

/// Since when and until when, by whom and why; and the orders that are over.
pub fn lines(shown: &Shown) -> Result<(), Problem> {
    if let (Some(since), Some(until)) = (shown.held_since, shown.held_until) {
        match &shown.freeze {
            Some(order) => line(&format!("frozen   {} to {}, by {}: {}", date(order.at), date(until), order.authority, order.reason))?,
            None => line(&format!("held     {}, revoked on {} unless resumed", date(since), date(until)))?,
        }
    }
    for order in shown.orders.iter().filter(|order| shown.freeze.as_ref() != Some(order)) {
        line(&format!("order    {} to {}, by {}: {}", date(order.at), date(order.until), order.authority, order.reason))?;
    }
    for lift in &shown.lifts {
        line(&format!("lifted   {}, on the word of {}: {}", date(lift.at), lift.authority, lift.reason))?;
    }
    Ok(())
}
