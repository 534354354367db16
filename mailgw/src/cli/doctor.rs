//! `mailgw doctor`: what is not well, and what to do.

use std::os::unix::net::UnixStream;

use runtime::admin::SOCKET;
use runtime::doctor::Finding;
use runtime::exit::Problem;

use super::ask::{self, Place};
use crate::init::{CONFIGURATION, Configuration};
use crate::service::{Operation, Outcome};

pub fn doctor(place: &Place) -> Result<(), Problem> {
    let mut findings = Vec::new();
    if UnixStream::connect(place.directory.join(SOCKET)).is_err() {
        findings.push(Finding::warn("service: it is not running", "start it with `mailgw serve`"));
    }
    let configuration: Configuration = runtime::config::read(&place.directory.join(CONFIGURATION))?;
    let without = "no mail is taken in";
    findings.push(runtime::room::finding(&place.directory, without));
    let store = store::place(&configuration.store, &place.directory);
    if !store.starts_with(&place.directory) {
        findings.push(runtime::room::finding(&store, without));
    }
    let examined = ask::ask(place, Operation::Doctor);
    let read = if let Ok(Outcome::Examined(examined)) = &examined { examined.policies.as_deref() } else { None };
    findings.push(crate::doctor::policies(&place.directory.join(crate::policy::DIRECTORY), read));
    match examined {
        Ok(Outcome::Examined(examined)) => {
            findings.extend(crate::doctor::senders(&examined));
            findings.extend(crate::doctor::look_alikes(&examined));
            findings.push(crate::doctor::tokens(configuration.tokens.as_ref(), &place.directory, &examined.token_ports));
            findings.extend(ask::runtime()?.block_on(crate::doctor::world(configuration.sending.as_ref(), &examined)));
        }
        Ok(_) => findings.push(Finding::fail("service: it answered something else", "run the same version of `mailgw` as the service")),
        Err(problem) => findings.push(Finding::fail(format!("gateway: {}", problem.message), problem.next)),
    }
    runtime::doctor::tell(&findings, place.json)
}
