//! What an administrator can ask for: one list, whether it comes over the socket or from a command that
//! opened the store itself.

use std::path::PathBuf;
use std::sync::Arc;

use evidence::Evidence;
use runtime::exit::Problem;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::gateway::Gateway;
use crate::tls;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// A request for the gateway's own TLS certificate, for its host and these other names.
    TlsRequest { names: Vec<String> },
    /// The chain that was issued for it, PEM.
    TlsInstall { pem: String },
    ExportLog { directory: PathBuf },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// PEM.
    Request(String),
    Done,
    Exported(Exported),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exported {
    pub directory: PathBuf,
    pub entries: u64,
    pub vkey: String,
}

/// An open gateway and its log.
#[derive(Clone)]
pub struct Service {
    pub gateway: Arc<Gateway>,
    pub evidence: Arc<Evidence>,
    /// What the listeners serve, while there are listeners.
    pub tls: Option<watch::Sender<Arc<ServerConfig>>>,
}

impl Service {
    pub fn perform(&self, operation: Operation) -> Result<Outcome, Problem> {
        let gateway = &*self.gateway;
        match operation {
            Operation::TlsRequest { names } => Ok(Outcome::Request(tls::request(&*gateway.store, &gateway.keys, &gateway.settings.host, &names)?)),
            Operation::TlsInstall { pem } => {
                let config = tls::install(&*gateway.store, &gateway.keys, &gateway.settings.host, pem.as_bytes(), gateway.now_unix_millis())?;
                if let Some(listeners) = &self.tls {
                    listeners.send_replace(config);
                }
                Ok(Outcome::Done)
            }
            Operation::ExportLog { directory } => {
                let entries = self.evidence.export(&directory, &|_, _| {})?;
                let vkey = self.evidence.verifier()?.to_string();
                Ok(Outcome::Exported(Exported { directory, entries, vkey }))
            }
        }
    }
}
