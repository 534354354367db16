//! By when each part of a signature is proved to have been there.
use super::timestamps::Over;
use super::Signature;
use time::OffsetDateTime;

pub(super) struct Proofs {
    /// What nothing proves older is there now.
    now: OffsetDateTime,
    pub(super) value: OffsetDateTime,
    certificates: Vec<OffsetDateTime>,
    revocations: Vec<OffsetDateTime>,
    unsigned: Vec<OffsetDateTime>,
}

impl Proofs {
    pub(super) fn new(signature: &Signature, existed_at: Option<OffsetDateTime>, now: OffsetDateTime) -> Self {
        let parts = &signature.parts;
        Self {
            now,
            value: existed_at.map_or(now, |at| at.min(now)),
            certificates: vec![now; parts.certificates.len()],
            revocations: vec![now; parts.revocations.len()],
            unsigned: vec![now; parts.unsigned.len()],
        }
    }

    /// A believed timestamp of that time is over this.
    pub(super) fn covered(&mut self, over: &Over, at: OffsetDateTime) {
        match over {
            Over::Content => {}
            Over::Value => self.value = self.value.min(at),
            Over::Archive(covered) => {
                self.value = self.value.min(at);
                for (times, covered) in [(&mut self.certificates, &covered.certificates), (&mut self.revocations, &covered.revocations), (&mut self.unsigned, &covered.unsigned)] {
                    times.iter_mut().zip(covered).filter(|(_, covered)| **covered).for_each(|(time, _)| *time = at.min(*time));
                }
            }
        }
    }

    /// Of a timestamp at its place; of one over the content, that of the signature, which covers it.
    pub(super) fn of_timestamp(&self, place: Option<usize>) -> OffsetDateTime {
        place.and_then(|place| self.unsigned.get(place).copied()).unwrap_or(self.value)
    }

    pub(super) fn of_certificate(&self, place: Option<usize>) -> OffsetDateTime {
        place.and_then(|place| self.certificates.get(place).copied()).unwrap_or(self.now)
    }

    pub(super) fn of_answer(&self, place: Option<usize>) -> OffsetDateTime {
        place.and_then(|place| self.revocations.get(place).copied()).unwrap_or(self.now)
    }
}
