//! CMS signatures: detached ones made from a content's digest alone and verified over a content; enclosing ones for
//! timestamps, and for what a certificate's holder asks.
// spec: rfc5652#5, rfc8551, rfc5754, rfc5035, rfc6211, rfc8933
mod read;
mod seal;
mod verify;

use const_oid::ObjectIdentifier as Oid;
pub use seal::{ContentDigest, SealError, SignerPlan};
pub(crate) use read::{Bounds, SignedData};
pub(crate) use verify::verify_enclosing;
pub use verify::{Attached, CmsError, MAX_BYTES, Verified, verify};

pub(crate) const SIGNED_DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.2");
pub(crate) const DATA: Oid = Oid::new_unwrap("1.2.840.113549.1.7.1");
const CONTENT_TYPE: Oid = Oid::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: Oid = Oid::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_TIME: Oid = Oid::new_unwrap("1.2.840.113549.1.9.5");
const ALGORITHM_PROTECTION: Oid = Oid::new_unwrap("1.2.840.113549.1.9.52");
const SIGNING_CERTIFICATE_V2: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.47");
const CONTENT_TIMESTAMP: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.20");

/// The most certificates that travel with a signature.
pub const MAX_CERTIFICATES: usize = 16;
