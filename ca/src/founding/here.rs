//! The whole hierarchy in one command, the root's key too: for a laptop and for demonstrations. `ca doctor` says so until that
//! key is out of reach.

use std::path::Path;
use std::sync::Arc;

use keys::{KeyStore, Passphrase};
use pki::signer::SignatureAlgorithm;
use policies::certificate::HostName;
use runtime::clock::Clock;
use store::Batch;

use super::{CITIZENS, FOUNDING, Ground, ISSUERS, ROOT_NAME};
use crate::authority::{Issuer, ROOT};
use crate::documents::Documents;
use crate::flow::own;
use crate::init::{self, Configuration, InitError, Opened};
use crate::record::IssuerRecord;
use crate::token::TokenConfiguration;

/// Makes the hierarchy in `path`: root, issuing authorities, an OCSP signer for each, the root's CRL.
pub fn init(path: &Path, base_url: &str, listen: std::net::SocketAddr, root: &Passphrase, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    init_with(path, base_url, Configuration::new(listen), root, passphrase, clock)
}

/// As [`init`], with the issuing keys where `configuration` says.
pub fn init_with(path: &Path, base_url: &str, configuration: Configuration, root: &Passphrase, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    init_bound(path, base_url, configuration, &[], root, passphrase, clock)
}

/// As [`init_with`], with the authority that certifies citizens bound to mailboxes of these domains.
pub fn init_bound(path: &Path, base_url: &str, configuration: Configuration, mail_domains: &[HostName], root: &Passphrase, passphrase: &Passphrase, clock: Arc<dyn Clock>) -> Result<Opened, InitError> {
    let base_url = init::base(base_url)?;
    let token = configuration.token.as_ref().map(TokenConfiguration::open).transpose()?;
    let directory = super::place(path, FOUNDING)?;
    configuration.write(path)?;
    let documents = Documents::shipped();
    documents.write_over(&path.join("policies"), &Documents::default())?;
    let root_keys = KeyStore::create(&path.join("root-keys"), root)?;
    let ground = Ground { base_url, keys: Arc::new(KeyStore::create(&path.join("keys"), passphrase)?), token, clock };
    let mut begun = super::begin(path, &configuration, &ground, &documents)?;
    let authority = &mut begun.authority;
    let root_key = root_keys.generate(ROOT, SignatureAlgorithm::EcdsaP384Sha384)?;
    authority.founding = Some(root_key.clone());
    let der = own::certify(authority, "root", None, ROOT_NAME, &root_key)?;
    super::found(authority, Batch::new(), IssuerRecord::new(ROOT, der), Some(root_key), None)?;
    for (id, name) in ISSUERS {
        let born = ground.birthplace().issuing(id)?;
        let der = own::certify_issuing(authority, name, if id == CITIZENS { mail_domains } else { &[] }, &born.handle)?;
        super::found(authority, Batch::new(), IssuerRecord { token_key: born.token_key, ..IssuerRecord::new(id, der) }, Some(born.handle), None)?;
        super::give_signer(authority, id, name)?;
    }
    authority.founding = None;
    let mut opened = super::finish(path, begun, ground, configuration, directory, None)?;
    // From here on the root's key is offline.
    if let Some(root) = opened.authority.issuers.remove(ROOT) {
        opened.authority.issuers.insert(ROOT.to_owned(), Arc::new(Issuer::new(root.record.clone(), None, None)?));
    }
    Ok(opened)
}
