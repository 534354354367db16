//! The roots under which certificates are believed.

use runtime::exit::{Exit, Problem};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error("the file of roots holds no certificate; give the PEM file of the CA's root")]
    NoAnchor,
}

impl From<TrustError> for Problem {
    fn from(error: TrustError) -> Self {
        let (exit, code) = match &error {
            TrustError::NoAnchor => (Exit::Usage, "anchors"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// The roots, DER; never none.
#[derive(Clone, Debug)]
pub struct Anchors(Vec<Vec<u8>>);

impl Anchors {
    pub fn parse(pem: &[u8]) -> Result<Self, TrustError> {
        crate::tls::chain(pem).map(Self).map_err(|_| TrustError::NoAnchor)
    }
}
