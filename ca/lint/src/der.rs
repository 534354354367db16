//! Whether the encoding is DER and not merely BER: one way to write each value.

const DEPTH_LIMIT: u8 = 24;

/// The next element: tag, value, and what follows.
fn element(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), String> {
    let bad = || "a DER length is cut, indefinite or not the shortest".to_owned();
    let (tag, length, rest) = match bytes {
        [tag, length, rest @ ..] if *length < 0x80 => (*tag, usize::from(*length), rest),
        [tag, 0x81, length, rest @ ..] if *length >= 0x80 => (*tag, usize::from(*length), rest),
        [tag, more, rest @ ..] if (0x82..=0x84).contains(more) => {
            let (octets, rest) = rest.split_at_checked(usize::from(more & 0x7f)).ok_or_else(bad)?;
            if octets.first() == Some(&0) {
                return Err(bad());
            }
            (*tag, octets.iter().fold(0, |sum, octet| (sum << 8) | usize::from(*octet)), rest)
        }
        _ => return Err(bad()),
    };
    let (value, rest) = rest.split_at_checked(length).ok_or_else(bad)?;
    Ok((tag, value, rest))
}

/// What follows the next element, and that element's value.
pub(crate) fn next(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    element(bytes).map(|(_, value, rest)| (rest, value))
}

/// The value of one element.
pub(crate) fn value(der: &[u8]) -> Result<&[u8], String> {
    element(der).map(|(_, value, _)| value)
}

/// The next element whole, and what follows it.
pub(crate) fn first(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let (_, _, rest) = element(bytes)?;
    let (whole, rest) = bytes.split_at_checked(bytes.len() - rest.len()).ok_or("a DER length is cut")?;
    Ok((rest, whole))
}

/// The elements inside one constructed element.
pub(crate) fn elements(der: &[u8]) -> Result<Vec<(u8, &[u8])>, String> {
    fields(value(der)?)
}

/// The elements that follow one another: tag and value.
pub(crate) fn fields(mut rest: &[u8]) -> Result<Vec<(u8, &[u8])>, String> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (tag, value, tail) = element(rest)?;
        parts.push((tag, value));
        rest = tail;
    }
    Ok(parts)
}

/// The bytes are one element and nothing after it.
pub(crate) fn single(der: &[u8]) -> Result<(), String> {
    match element(der)? {
        (_, _, []) => Ok(()),
        (_, _, rest) => Err(format!("{} octets follow an extension's value", rest.len())),
    }
}

/// Every element is in its one DER form; times are `…SSZ`, no DEFAULT FALSE is written.
pub(crate) fn canonical(der: &[u8]) -> Result<(), String> {
    walk(der, DEPTH_LIMIT)
}

fn walk(mut bytes: &[u8], depth: u8) -> Result<(), String> {
    let deeper = depth.checked_sub(1).ok_or("the DER is nested too deep")?;
    while !bytes.is_empty() {
        let (tag, value, rest) = element(bytes)?;
        let right = match tag {
            1 => value == [0xff],
            2 | 10 => match value {
                [] => false,
                [0, second, ..] => second & 0x80 != 0,
                [0xff, second, ..] => second & 0x80 == 0,
                _ => true,
            },
            3 => matches!(value, [0..=7, ..]),
            5 => value.is_empty(),
            0x17 => is_time(value, 13),
            0x18 => is_time(value, 15),
            _ => tag & 0x1f != 0x1f,
        };
        if !right {
            return Err(format!("an element with tag {tag:#04x} is not in its DER form"));
        }
        if tag & 0x20 != 0 {
            walk(value, deeper)?;
        }
        bytes = rest;
    }
    Ok(())
}

fn is_time(value: &[u8], length: usize) -> bool {
    value.len() == length && value.split_last().is_some_and(|(zone, digits)| *zone == b'Z' && digits.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_each() {
        for good in [&[][..], &[5, 0], &[2, 1, 0], &[2, 2, 0, 0x80], &[0x30, 3, 1, 1, 0xff], b"\x17\x0d261124000000Z"] {
            assert_eq!(canonical(good), Ok(()));
        }
        for bad in [
            &[5, 1, 0][..], &[2, 0], &[2, 2, 0, 1], &[2, 2, 0xff, 0x80], &[1, 1, 1], &[0x30, 0x80, 0, 0], &[0x30, 0x81, 1, 0], &[4, 0x82, 0, 1, 0],
            &[5], &[4, 9, 0], b"\x17\x0b2611240000Z", b"\x18\x1120261124000000.5Z", &[0x1f, 0x81, 0],
        ] {
            assert!(canonical(bad).is_err(), "{bad:x?}");
        }
        assert!(canonical(&[0x30, 2, 0x30, 0].repeat(3)).is_ok());
        let deep = (0..60).fold(Vec::new(), |inner: Vec<u8>, _| [&[0x30, inner.len() as u8][..], &inner].concat());
        assert!(canonical(&deep).is_err());
    }
}
