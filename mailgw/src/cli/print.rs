//! What the gateway's commands print.

use std::path::Path;

use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line};
use serde_json::json as object;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::service::{Exported, Outcome};

/// A time by RFC 3339, to the second.
pub fn moment(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_else(|_| at.unix_timestamp().to_string())
}

/// Of Unix seconds.
pub fn second(unix: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix).map_or_else(|_| unix.to_string(), moment)
}

pub fn request(outcome: &Outcome, out: Option<&Path>, as_json: bool) -> Result<(), Problem> {
    match outcome {
        Outcome::Request(pem) => request_pem(pem, out, as_json),
        other => self::outcome(other, as_json),
    }
}

/// A request, into a file or onto the screen.
pub fn request_pem(pem: &str, out: Option<&Path>, as_json: bool) -> Result<(), Problem> {
    if let Some(path) = out {
        std::fs::write(path, pem).map_err(|error| Problem::new(Exit::Unavailable, "file", format!("{}: {error}", path.display()), "check the path and the disk"))?;
        return if as_json { json(&object!({ "request": path })) } else { line(&format!("request in {}", path.display())) };
    }
    if as_json { json(&object!({ "pem": pem })) } else { line(pem.trim_end()) }
}

pub fn exported(exported: &Exported, as_json: bool) -> Result<(), Problem> {
    if as_json {
        return json(exported);
    }
    line(&format!("{} entries in {}", exported.entries, exported.directory.display()))?;
    line(&format!("verify with: mailgw log verify {} --vkey '{}'", exported.directory.display(), exported.vkey))
}

pub fn outcome(outcome: &Outcome, as_json: bool) -> Result<(), Problem> {
    match outcome {
        Outcome::Request(pem) => request_pem(pem, None, as_json),
        Outcome::Done if as_json => json(&object!({ "done": true })),
        Outcome::Done => line("done"),
        Outcome::Mailbox { .. } if as_json => json(&super::mailbox::as_json(outcome)),
        Outcome::Mailbox { mailbox, password } => super::mailbox::mailbox(mailbox, password.as_ref().map(crate::directory::ToldPassword::expose)),
        Outcome::AppPassword { address, made, password } if as_json => json(&object!({ "address": address, "app_password": made, "password": password.expose() })),
        Outcome::AppPassword { address, made, password } => super::app_password::made(address, made, password.expose()),
        Outcome::AppPasswords(kept) if as_json => json(kept),
        Outcome::AppPasswords(kept) => super::app_password::listed(kept),
        Outcome::Operators(operators) if as_json => json(operators),
        Outcome::Operators(operators) => super::operator::listed(operators),
        Outcome::Mailboxes(page) if as_json => json(page),
        Outcome::Mailboxes(page) => super::mailbox::page(page),
        Outcome::Bureaus(bureaus) if as_json => json(bureaus),
        Outcome::Bureaus(bureaus) => super::bureau::listed(bureaus),
        Outcome::Senders(senders) if as_json => json(senders),
        Outcome::Senders(senders) => super::bureau::senders(senders),
        Outcome::Verified(messages) if as_json => json(messages),
        Outcome::Verified(messages) => super::kept::verified(messages),
        Outcome::Deleted(messages) if as_json => json(messages),
        Outcome::Deleted(messages) => super::kept::deleted(messages),
        Outcome::Restored(count) if as_json => json(&object!({ "restored": count })),
        Outcome::Restored(count) => line(&format!("{count} messages are in the mailbox again")),
        Outcome::Written(written) => json(written),
        Outcome::Loaded(loaded) => json(loaded),
        Outcome::Rules(rules) if as_json => json(&object!({ "rules": rules })),
        Outcome::Rules(rules) => line(rules.as_deref().map_or("no rules", str::trim_end)),
        Outcome::Opening(outcome) => super::opening::outcome(outcome, as_json),
        Outcome::Recovery(shown) if as_json => json(shown),
        Outcome::Recovery(shown) => super::recovery::shown(shown.as_ref()),
        Outcome::MailboxHolds(holds) if as_json => json(holds),
        Outcome::MailboxHolds(holds) => super::kept::holds(holds),
        Outcome::Selectors(selectors) if as_json => json(selectors),
        Outcome::Selectors(selectors) => super::dkim::selectors(selectors),
        Outcome::Queue(page) if as_json => json(page),
        Outcome::Queue(page) => super::queue::page(page),
        Outcome::Queued(message) if as_json => json(message),
        Outcome::Queued(message) => super::queue::message(message),
        Outcome::Report(report) => json(report),
        Outcome::Trial(trial) => json(trial),
        Outcome::Notices(shown) if as_json => json(shown),
        Outcome::Notices(shown) => super::notices::shown(shown),
        Outcome::Encryption(shown) if as_json => json(shown),
        Outcome::Encryption(shown) => {
            line(&format!("address     {}", shown.address))?;
            line(&format!("encrypted   {}", if shown.encrypted { "yes, where the certificate is good" } else { "no" }))?;
            line(&format!("certificate {}", if shown.certificate { "yes" } else { "no" }))
        }
        Outcome::Agreed(agreed) if as_json => json(agreed),
        Outcome::Agreed(agreed) => super::mailbox::agreed(agreed),
        Outcome::Consents(consents) if as_json => json(consents),
        Outcome::Consents(consents) => super::mailbox::consents(consents),
        Outcome::Statement(shown) if as_json => json(shown),
        Outcome::Statement(shown) => super::statement::shown(shown),
        Outcome::Retained(retained) if as_json => json(retained),
        Outcome::Retained(retained) => super::retention::retained(retained),
        Outcome::Holds(holds) if as_json => json(holds),
        Outcome::Holds(holds) => super::retention::holds(holds),
        Outcome::Paper(made) if as_json => json(made),
        Outcome::Paper(made) => super::statement::papered(made),
        Outcome::EvidenceSigner(installed) => json(installed),
        Outcome::Evidence(exported) => json(exported),
        Outcome::Court(package) => json(package),
        Outcome::Certificate(shown) if as_json => json(shown),
        Outcome::Certificate(shown) => {
            line(&format!("address    {}", shown.address))?;
            line(&format!("pseudonym  {}", shown.pseudonym))?;
            line(shown.pem.trim_end())
        }
        Outcome::Withdrawn(serials) if as_json => json(&object!({ "withdrawn": serials })),
        Outcome::Withdrawn(serials) if serials.is_empty() => line("the mailbox had no certificate that was not over"),
        Outcome::Withdrawn(serials) => serials.iter().try_for_each(|serial| line(&format!("ended  {serial}"))),
        Outcome::Exported(exported) => self::exported(exported, as_json),
        Outcome::Examined(examined) => json(examined),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_rfc_3339() {
        assert_eq!(second(1_827_564_103), "2027-11-30T08:41:43Z");
        assert_eq!(moment(time::macros::datetime!(2026-11-30 08:45:07.588 +8)), "2026-11-30T08:45:07+08:00");
        assert_eq!(second(i64::MAX), i64::MAX.to_string());
    }
}
