//! What the policy grants at each port, as its listener takes it.

use std::sync::Arc;
use std::time::Duration;

use policies::mailbox::{BeforeLogin, MailboxPolicy, Places, Port, Receiving};
use protocol::budget::Budget;

use super::accounts::AtDoors;
use super::{imap, pop3, smtp};

/// Mail from other hosts.
pub fn exchange(policy: &MailboxPolicy) -> smtp::Limits {
    let ((places, receiving), tarpit) = (policy.listeners().exchange, policy.inbound().tarpit);
    smtp::Limits { patience: tarpit.after_errors, tarpit: seconds(tarpit.seconds), ..receives(policy, places, receiving) }
}

/// Mail of neighbours.
pub fn neighbours(policy: &MailboxPolicy) -> smtp::Limits {
    let (places, receiving) = policy.listeners().neighbours;
    receives(policy, places, receiving)
}

/// Mail of those who log in.
pub fn submission(policy: &MailboxPolicy) -> smtp::Limits {
    let (places, login, receiving) = policy.listeners().submission;
    let received = receives(policy, places, receiving);
    smtp::Limits {
        before_login: login.connections,
        authentication: seconds(login.seconds),
        budget: Budget { failures: login.failures, octets: login.bytes, ..received.budget },
        logins: policy.listeners().hashed_at_once,
        refusal: seconds(policy.listeners().refusal_seconds),
        ways: AtDoors::new(policy.clients(), Port::Submission, Port::Submissions),
        ..received
    }
}

pub fn imap(policy: &MailboxPolicy) -> imap::Limits {
    let ((places, login, reading), (arrange, arrange_all)) = (policy.listeners().imap, policy.arrange_bytes());
    imap::Limits {
        connections: places.all,
        of_one_address: places.of_one_address,
        of_one_network: places.of_one_network,
        before_login: login.connections,
        authentication: seconds(login.seconds),
        budget: budget(login, reading.errors),
        silence: seconds(reading.idle_minutes * 60),
        logins: policy.listeners().hashed_at_once,
        refusal: seconds(policy.listeners().refusal_seconds),
        append: octets(policy.message_bytes()),
        arrange: octets(arrange),
        arrange_all: octets(arrange_all),
        compressed: policy.compressed(),
        switches: Arc::new(policy.clients().into()),
        ways: AtDoors::new(policy.clients(), Port::Imap, Port::Imaps),
        ..imap::Limits::default()
    }
}

pub fn pop3(policy: &MailboxPolicy) -> pop3::Limits {
    let (places, login, reading) = policy.listeners().pop3;
    pop3::Limits {
        connections: places.all,
        of_one_address: places.of_one_address,
        of_one_network: places.of_one_network,
        before_login: login.connections,
        authentication: seconds(login.seconds),
        budget: budget(login, reading.errors),
        silence: seconds(reading.idle_minutes * 60),
        logins: policy.listeners().hashed_at_once,
        refusal: seconds(policy.listeners().refusal_seconds),
        not_for: Arc::new(policy.clients().no_pop3().clone()),
        ways: AtDoors::new(policy.clients(), Port::Pop3, Port::Pop3s),
        ..pop3::Limits::default()
    }
}

fn receives(policy: &MailboxPolicy, places: Places, receiving: Receiving) -> smtp::Limits {
    smtp::Limits {
        connections: places.all,
        of_one_address: places.of_one_address,
        of_one_network: places.of_one_network,
        idle: seconds(receiving.idle_seconds),
        connection: seconds(receiving.whole_minutes * 60),
        budget: Budget { errors: receiving.errors, commands: receiving.empty_commands, ..Budget::default() },
        memory: octets(receiving.bytes),
        max_size: octets(policy.message_bytes()),
        max_recipients: policy.max_recipients(),
        ..smtp::Limits::default()
    }
}

fn budget(login: BeforeLogin, errors: u32) -> Budget {
    Budget { failures: login.failures, errors, commands: login.commands, octets: login.bytes }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

fn octets(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use policies::mailbox::SHIPPED;

    use super::*;

    /// The limits that a listener has by itself are those that are shipped: what is measured with the one holds with the other.
    #[test]
    fn what_is_shipped_is_what_listeners_have_by_themselves() {
        let policy = MailboxPolicy::parse(SHIPPED).unwrap();
        let smtp = |limits: smtp::Limits| {
            let smtp::Limits { connections, of_one_address, of_one_network, before_login, authentication, budget, idle, connection, memory, logins, refusal, .. } = limits;
            ((connections, of_one_address, of_one_network, before_login), (authentication, idle, connection, refusal), (budget.errors, budget.commands, budget.octets), (memory, logins))
        };
        assert_eq!(smtp(exchange(&policy)), smtp(smtp::Limits::default()));
        assert_eq!(smtp(submission(&policy)), smtp(smtp::Limits::default()));
        assert_eq!(submission(&policy).budget, smtp::Limits::default().budget);
        let (near, all) = (neighbours(&policy), smtp::Limits::default());
        assert_eq!((near.connections, near.of_one_address, near.memory, near.idle), (all.of_one_address, all.of_one_address, all.memory, all.idle));
        let (one, other) = (imap(&policy), imap::Limits::default());
        assert_eq!((one.connections, one.of_one_address, one.of_one_network, one.before_login), (other.connections, other.of_one_address, other.of_one_network, other.before_login));
        assert_eq!((one.authentication, one.silence, one.refusal, one.logins, one.budget.failures), (other.authentication, other.silence, other.refusal, other.logins, other.budget.failures));
        let (one, other) = (pop3(&policy), pop3::Limits::default());
        assert_eq!((one.connections, one.of_one_address, one.of_one_network, one.before_login), (other.connections, other.of_one_address, other.of_one_network, other.before_login));
        assert_eq!((one.authentication, one.silence, one.refusal, one.logins, one.budget), (other.authentication, other.silence, other.refusal, other.logins, other.budget));
    }
}
