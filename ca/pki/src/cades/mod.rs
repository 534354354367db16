//! Signatures that prove themselves for years: CAdES, each level made out of the one below it.
//!
//! B-B is what [`crate::cms::SignerPlan::seal`] makes: detached, one signer, its certificate named under the signature. To it
//! are added, from outside, a timestamp over the signature's value (B-T), the certificates and revocation answers by which
//! it is judged (B-LT), and timestamps over all of it (B-LTA), the next one before the last one's certificate or algorithm
//! ends. Whoever adds fetches the token; here is computed what it must be of.
// spec: en319122-1
mod archive;
mod assess;
mod error;
mod floor;
mod index;
mod judge;
mod parts;
mod proofs;
mod prove;
mod signature;
mod timestamps;
mod verdict;

pub use archive::ArchiveImprint;
pub use assess::{Assessment, Constraints, Given, Level, MAX_VERIFICATIONS, TimestampFacts, assess, validate};
pub use error::CadesError;
pub use floor::{Algorithm, Floor};
pub use judge::{Judged, Used};
pub use prove::Proved;
pub use signature::{MAX_BYTES, MAX_CERTIFICATES, MAX_REVOCATIONS, MAX_UNSIGNED, Signature};
pub use verdict::{Finding, Indication, PassedOver, SubIndication};

use const_oid::ObjectIdentifier as Oid;

/// Over the signature's value. spec: en319122-1#5.3
const SIGNATURE_TIMESTAMP: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.14");
/// Over everything that an index lists. spec: en319122-1#5.5.3
const ARCHIVE_TIMESTAMP: Oid = Oid::new_unwrap("0.4.0.1733.2.4");
/// The index, in the archive timestamp's own unsigned attributes. spec: en319122-1#5.5.2
const HASH_INDEX: Oid = Oid::new_unwrap("0.4.0.19122.1.5");
/// An OCSPResponse among revocation answers. spec: rfc5940#2.1
const OCSP_RESPONSE: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.16.2");
