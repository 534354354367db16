//! Seals as they travel. Those of one order bear the same certificates, so that together they are little more than their signatures.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The most octets of one seal, its certificates with it.
const MAX_SEAL: usize = 64 * 1024;
const LEVEL: i32 = 1;

/// Each after its length, packed, in base64; `None` where a seal is longer than any is.
pub(super) fn pack(seals: &[Vec<u8>]) -> Option<String> {
    let mut all = Vec::with_capacity(seals.iter().map(|seal| seal.len() + 4).sum());
    for seal in seals {
        all.extend_from_slice(&u32::try_from(seal.len()).ok().filter(|_| seal.len() <= MAX_SEAL)?.to_be_bytes());
        all.extend_from_slice(seal);
    }
    Some(STANDARD.encode(zstd::bulk::compress(&all, LEVEL).ok()?))
}

/// So many seals and no octet more.
pub(super) fn unpack(packed: &str, count: usize) -> Option<Vec<Vec<u8>>> {
    let all = zstd::bulk::decompress(&STANDARD.decode(packed).ok()?, count.checked_mul(MAX_SEAL + 4)?).ok()?;
    let (mut rest, mut seals) = (all.as_slice(), Vec::with_capacity(count));
    for _ in 0..count {
        let (length, more) = rest.split_first_chunk::<4>()?;
        let (seal, after) = more.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        seals.push(seal.to_vec());
        rest = after;
    }
    rest.is_empty().then_some(seals)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn seals_come_back_as_they_were(seals in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let packed = pack(&seals).unwrap();
            prop_assert_eq!(unpack(&packed, seals.len()), Some(seals.clone()));
            prop_assert_eq!(unpack(&packed, seals.len() + 1), None);
            if !seals.is_empty() {
                prop_assert_eq!(unpack(&packed, seals.len() - 1), None);
            }
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        assert_eq!(pack(&[vec![0; MAX_SEAL + 1]]), None);
        for packed in ["", "!", "AAAA", &STANDARD.encode(zstd::bulk::compress(&[0, 0, 0, 9, 1], 1).unwrap())] {
            assert_eq!(unpack(packed, 1), None, "{packed}");
        }
    }
}
