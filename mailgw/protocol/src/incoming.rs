//! The octets of a message as they come, of which no more is known than their bound.

/// From so many on a buffer grows by steps of four, and to its bound at last: what it moves away from stays in memory for a while, and steps of
/// two would leave as much behind as they take.
const LARGE: usize = 1 << 20;

/// Adds to what came. All of it will have `most` octets at most, unless this part is more than that.
pub(crate) fn take(bytes: &mut Vec<u8>, part: &[u8], most: usize) {
    let needed = bytes.len() + part.len();
    if needed > bytes.capacity().max(LARGE) {
        bytes.reserve_exact(most.min(needed.saturating_mul(4)).max(needed) - bytes.len());
    } else if needed <= LARGE {
        // With room for a line end that comes by itself: it alone should not have the whole message copied to twice its place.
        bytes.reserve(part.len() + 2);
    }
    bytes.extend_from_slice(part);
}

/// Memory that it takes: all that it was given, since an allocator gives what others used before.
pub(crate) fn held(bytes: &Vec<u8>) -> usize {
    bytes.capacity()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_is_moved_seldom_and_all_its_room_is_counted() {
        let (mut bytes, part, most) = (Vec::new(), [7; 4_000], 50 << 20);
        let mut places = Vec::new();
        while bytes.len() + part.len() <= most {
            take(&mut bytes, &part, most);
            if bytes.len() > 2 * LARGE && places.last() != Some(&bytes.as_ptr()) {
                places.push(bytes.as_ptr());
            }
            assert!((bytes.len()..=(4 * bytes.len()).max(4 * part.len()).min(most.max(2 * LARGE))).contains(&held(&bytes)), "{} of {}", held(&bytes), bytes.len());
        }
        assert!(places.len() <= 4 && bytes.capacity() == most, "{}", places.len());
        // No more than there is.
        let mut unbounded = vec![7; LARGE];
        take(&mut unbounded, b"more", usize::MAX);
        assert_eq!((unbounded.len(), held(&unbounded)), (LARGE + 4, 4 * (LARGE + 4)));
        // One part that is as large by itself, and one that is larger than was said.
        let mut whole = Vec::new();
        take(&mut whole, &bytes, bytes.len());
        assert_eq!((whole.capacity(), whole == bytes), (bytes.len(), true));
        take(&mut whole, b"more", 0);
        assert_eq!(whole.len(), bytes.len() + 4);
        // A short one grows as any other.
        let mut short = Vec::new();
        take(&mut short, b"short", most);
        assert!(short.capacity() < 100);
    }
}
