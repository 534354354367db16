//! The three servers over the same accounts, each in a directory of its own: our gateway with its authority and sealer, Postfix, Dovecot.

use std::path::Path;
use std::sync::Arc;

use certs_test::office::{Account, Office};
use certs_test::programs::free_port;
use rustls::ClientConfig;

use super::measure::Trees;
use super::peers::{Dovecot, Postfix};
use super::wire::trust;

/// Where one server is reached.
#[derive(Clone, Debug)]
pub struct Place {
    pub imaps: u16,
    pub lmtp: u16,
    pub smtp: u16,
}

pub struct Town {
    pub office: Office,
    pub postfix: Postfix,
    pub dovecot: Dovecot,
    /// Citizens' mailboxes.
    pub accounts: Vec<Account>,
    /// Whose mailbox is filled to be read: an institution's, which gets no statements.
    pub reader: Account,
    pub trust: Arc<ClientConfig>,
    lmtp: u16,
}

impl Town {
    pub fn open(home: &Path, people: usize) -> Self {
        let mut office = Office::open(home, people as u64);
        // As an operator names neighbours later: in the configuration, with a new start.
        let (file, lmtp) = (home.join("mailgw/mailgw.toml"), free_port());
        let configuration = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, configuration.replace("[listen]\n", &format!("[listen]\nlmtp = \"127.0.0.1:{lmtp}\"\n"))).unwrap();
        office.kill_gateway();
        office.start_gateway();
        // Under the same authority and with a key of the same kind.
        office.authority.request("dovecot", "/CN=localhost");
        office.authority.issue("dovecot", "tls-server", &["--dns", "localhost", "--ip", "127.0.0.1"]);
        let (accounts, reader) = (office.people.clone(), office.institutions[0].clone());
        let all = [accounts.as_slice(), std::slice::from_ref(&reader)].concat();
        let postfix = Postfix::start(&home.join("postfix"), &all);
        let dovecot = Dovecot::start(&home.join("dovecot"), &all, &office.path("dovecot.pem"), &office.path("dovecot.key"));
        let trust = trust(&std::fs::read(home.join("ca/root.pem")).unwrap());
        Self { office, postfix, dovecot, accounts, reader, trust, lmtp }
    }

    pub fn ours(&self) -> Place {
        Place { imaps: self.office.imaps, lmtp: self.lmtp, smtp: self.office.smtp }
    }

    pub fn theirs(&self) -> Place {
        Place { imaps: self.dovecot.imaps, lmtp: self.dovecot.lmtp, smtp: self.postfix.smtp }
    }

    pub fn gateway(&self) -> Trees {
        Trees(self.office.gateway_id().into_iter().collect())
    }

    /// What a push keeps busy.
    pub fn gateway_and_sealer(&self) -> Trees {
        Trees(self.office.gateway_id().into_iter().chain(self.office.sealer_id()).collect())
    }

    pub fn dovecot_trees(&self) -> Trees {
        Trees(vec![self.dovecot.id()])
    }

    pub fn postfix_trees(&self) -> Trees {
        Trees(vec![self.postfix.id()])
    }
}
