//! A request for a certificate of a key that lives here, made as any subscriber makes one.

use rcgen::{CertificateParams, DistinguishedName};

use crate::KeyHandle;

pub use rcgen::DnType;

/// rcgen's words on what cannot stand in a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request could not be made: {0}; look at the host names")]
pub struct RequestFailure(String);

impl KeyHandle {
    /// PKCS#10, PEM: for these DNS names or addresses and, if any, this subject.
    pub fn request(&self, names: Vec<String>, subject: &[(DnType, String)]) -> Result<String, RequestFailure> {
        let failed = |error: rcgen::Error| RequestFailure(error.to_string());
        let mut parameters = CertificateParams::new(names).map_err(failed)?;
        parameters.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            parameters.distinguished_name.push(kind.clone(), value.as_str());
        }
        parameters.serialize_request(self).and_then(|request| request.pem()).map_err(failed)
    }
}
