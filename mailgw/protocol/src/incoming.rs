//! The octets of a message as they come, of which no more is known than their bound.

/// From so many on a buffer is given all the room that it may need: addresses to which nothing is written take no memory, where a buffer that
/// grows by half or by twice is there twice each time.
const LARGE: usize = 1 << 20;

/// Adds to what came. All of it will have `most` octets at most, unless this part is more than that.
pub(crate) fn take(bytes: &mut Vec<u8>, part: &[u8], most: usize) {
    let needed = bytes.len() + part.len();
    if needed > bytes.capacity().max(LARGE) {
        // Where there is not so much room it grows as any other.
        let _ = bytes.try_reserve_exact(most.saturating_sub(bytes.len()).max(part.len()));
    } else if needed <= LARGE {
        // With room for a line end that comes by itself: it alone should not have the whole message copied to twice its place.
        bytes.reserve(part.len() + 2);
    }
    bytes.extend_from_slice(part);
}

/// Memory that it takes, about.
pub(crate) fn held(bytes: &Vec<u8>) -> usize {
    if bytes.len() < LARGE { bytes.capacity().min(LARGE) } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_is_moved_once() {
        let (mut bytes, part, most) = (Vec::new(), [7; 4_000], 10 << 20);
        let mut places = Vec::new();
        while bytes.len() + part.len() <= most {
            take(&mut bytes, &part, most);
            if bytes.len() > 2 * LARGE && places.last() != Some(&bytes.as_ptr()) {
                places.push(bytes.as_ptr());
            }
            assert!(held(&bytes) >= bytes.len() && held(&bytes) <= (2 * bytes.len()).max(4 * part.len()));
        }
        assert_eq!((places.len(), bytes.capacity()), (1, most));
        // No more than there is.
        let mut unbounded = vec![7; LARGE];
        take(&mut unbounded, b"more", usize::MAX);
        assert_eq!(unbounded.len(), LARGE + 4);
        // One part that is as large by itself, and one that is larger than was said.
        let mut whole = Vec::new();
        take(&mut whole, &bytes, bytes.len());
        assert_eq!((whole.capacity(), whole == bytes), (bytes.len(), true));
        take(&mut whole, b"more", 0);
        assert_eq!(whole.len(), bytes.len() + 4);
        // A short one grows as any other.
        let mut short = Vec::new();
        take(&mut short, b"short", most);
        assert!(short.capacity() < 100 && held(&short) < 100);
    }
}
