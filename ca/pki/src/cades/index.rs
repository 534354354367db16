//! Reading what an archive timestamp covers.
// spec: en319122-1#5.5.2
use super::CadesError;
use super::archive::{imprint, unsigned_digest};
use super::parts::Parts;
use crate::asn1::Reader;
use crate::signature::DigestAlgorithm;
use crate::timestamp::Imprint;
use std::cell::RefCell;
use std::rc::Rc;

/// The digests that timestamps are compared with, each made once however many timestamps there are.
pub(super) struct Digests<'a> {
    parts: &'a Parts,
    document: &'a [u8],
    documents: RefCell<Vec<(DigestAlgorithm, Rc<Vec<u8>>)>>,
    elements: RefCell<Vec<(DigestAlgorithm, Rc<Elements>)>>,
}

struct Elements {
    certificates: Vec<Vec<u8>>,
    revocations: Vec<Vec<u8>>,
    unsigned: Vec<Vec<u8>>,
}

impl<'a> Digests<'a> {
    pub(super) fn new(parts: &'a Parts, document: &'a [u8]) -> Self {
        Self { parts, document, documents: RefCell::default(), elements: RefCell::default() }
    }

    pub(super) fn of_document(&self, algorithm: DigestAlgorithm) -> Rc<Vec<u8>> {
        once(&self.documents, algorithm, || algorithm.digest(self.document))
    }

    fn of_elements(&self, algorithm: DigestAlgorithm) -> Rc<Elements> {
        once(&self.elements, algorithm, || {
            let each = |list: &[Vec<u8>]| list.iter().map(|one| algorithm.digest(one)).collect();
            let unsigned = self.parts.unsigned.iter().map(|one| unsigned_digest(one, algorithm)).collect();
            Elements { certificates: each(&self.parts.certificates), revocations: each(&self.parts.revocations), unsigned }
        })
    }
}

fn once<T>(known: &RefCell<Vec<(DigestAlgorithm, Rc<T>)>>, algorithm: DigestAlgorithm, make: impl FnOnce() -> T) -> Rc<T> {
    let mut known = known.borrow_mut();
    if let Some((_, found)) = known.iter().find(|(one, _)| *one == algorithm) {
        return Rc::clone(found);
    }
    let made = Rc::new(make());
    known.push((algorithm, Rc::clone(&made)));
    made
}

/// What an index lists: digests of one hash, in the order in which they stand.
pub(super) struct Index<'a> {
    algorithm: DigestAlgorithm,
    certificates: Vec<&'a [u8]>,
    revocations: Vec<&'a [u8]>,
    unsigned: Vec<&'a [u8]>,
    whole: &'a [u8],
}

/// Which elements of a signature a timestamp proves to have been there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) certificates: Vec<bool>,
    pub(super) revocations: Vec<bool>,
    pub(super) unsigned: Vec<bool>,
}

impl<'a> Index<'a> {
    /// ATSHashIndexV3, DER, whole.
    pub(super) fn parse(whole: &'a [u8]) -> Result<Self, CadesError> {
        let mut fields = Reader::new(Reader::only(whole, 0x30)?);
        let algorithm = DigestAlgorithm::read(fields.take(0x30)?).map_err(|_| CadesError::Index)?;
        let mut list = |most| {
            let mut list = Reader::new(fields.take(0x30)?);
            let mut digests = Vec::new();
            while !list.is_empty() {
                let digest = list.take(4)?;
                if digest.len() != usize::from(algorithm.length()) || digests.len() == most {
                    return Err(CadesError::Index);
                }
                digests.push(digest);
            }
            Ok(digests)
        };
        let (certificates, revocations, unsigned) = (list(super::MAX_CERTIFICATES)?, list(super::MAX_REVOCATIONS)?, list(super::MAX_UNSIGNED)?);
        fields.end()?;
        Ok(Self { algorithm, certificates, revocations, unsigned, whole })
    }

    /// What of a signature's parts the timestamp over `stamped` covers; `None` when it is of something else, or when what it listed is
    /// there no more. spec: en319122-1#5.5.2
    pub(super) fn covered(&self, digests: &Digests<'_>, stamped: &Imprint) -> Option<Covered> {
        if *stamped != imprint(digests.parts, &digests.of_document(self.algorithm), self.whole, self.algorithm) {
            return None;
        }
        let elements = digests.of_elements(self.algorithm);
        Some(Covered {
            certificates: matched(&self.certificates, &elements.certificates)?,
            revocations: matched(&self.revocations, &elements.revocations)?,
            unsigned: matched(&self.unsigned, &elements.unsigned)?,
        })
    }
}

/// For each element whether it is listed; `None` when something is listed that is not there.
fn matched(listed: &[&[u8]], digests: &[Vec<u8>]) -> Option<Vec<bool>> {
    let all = listed.iter().all(|wanted| digests.iter().any(|digest| digest == wanted));
    all.then(|| digests.iter().map(|digest| listed.contains(&digest.as_slice())).collect())
}
