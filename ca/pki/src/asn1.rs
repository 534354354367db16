//! The few DER primitives we write and read by hand: strict lengths, no recursion, no allocation from a claimed size.

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    #[error("the DER ends early")]
    Truncated,
    #[error("a DER length is not in its shortest form")]
    Length,
    #[error("a length is indefinite, which is BER and not DER; encode with definite lengths (openssl: without -stream or -indef)")]
    Indefinite,
    #[error("expected DER tag {expected:#04x}, found {found:#04x}")]
    Tag { expected: u8, found: u8 },
    #[error("bytes follow the end of the DER")]
    Trailing,
    #[error("a DER value is not valid: {0}")]
    Value(&'static str),
}

/// Tag, length and value.
pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    nested(tag, &[value])
}

/// Tag and length of a value that follows.
pub fn head(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    if length < 128 {
        out.push(length as u8);
    } else {
        let be = length.to_be_bytes();
        let skip = be.iter().take_while(|b| **b == 0).count();
        out.push(0x80 | (be.len() - skip) as u8);
        out.extend(be.iter().skip(skip));
    }
}

/// How many octets an element has whose value has so many.
pub fn length(value: usize) -> usize {
    let digits = if value < 128 { 0 } else { (usize::BITS - value.leading_zeros()).div_ceil(8) as usize };
    2 + digits + value
}

/// Tag, length and the parts of the value, one after the other.
pub(crate) fn nested(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let n = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(n + 6);
    head(&mut out, tag, n);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

pub fn seq(parts: &[&[u8]]) -> Vec<u8> {
    nested(0x30, parts)
}

/// INTEGER from unsigned big-endian bytes.
pub fn uint(bytes: &[u8]) -> Vec<u8> {
    let skip = bytes.iter().take_while(|b| **b == 0).count();
    let mut v: Vec<u8> = bytes.iter().skip(skip).copied().collect();
    if v.first().is_none_or(|b| b & 0x80 != 0) {
        v.insert(0, 0);
    }
    tlv(2, &v)
}

pub fn bits(bytes: &[u8]) -> Vec<u8> {
    nested(3, &[&[0], bytes])
}

/// OBJECT IDENTIFIER.
pub fn oid(oid: &const_oid::ObjectIdentifier) -> Vec<u8> {
    tlv(6, oid.as_bytes())
}

/// UTCTime before 2050, GeneralizedTime from then on.
pub fn time(t: time::OffsetDateTime) -> Vec<u8> {
    let mut out = Vec::with_capacity(17);
    put_time(&mut out, t);
    out
}

pub fn generalized(t: time::OffsetDateTime) -> Vec<u8> {
    let mut out = Vec::with_capacity(17);
    put_generalized(&mut out, t);
    out
}

/// As [`time`], at the end of what is written already.
pub fn put_time(out: &mut Vec<u8>, t: time::OffsetDateTime) {
    match digits(t) {
        [b'1', b'9', rest @ ..] if rest[0] >= b'5' => put_digits(out, 0x17, &rest),
        [b'2', b'0', rest @ ..] if rest[0] < b'5' => put_digits(out, 0x17, &rest),
        all => put_digits(out, 0x18, &all),
    }
}

/// As [`generalized`], at the end of what is written already.
pub fn put_generalized(out: &mut Vec<u8>, t: time::OffsetDateTime) {
    put_digits(out, 0x18, &digits(t));
}

fn put_digits(out: &mut Vec<u8>, tag: u8, digits: &[u8]) {
    head(out, tag, digits.len() + 1);
    out.extend_from_slice(digits);
    out.push(b'Z');
}

/// YYYYMMDDHHMMSS.
fn digits(t: time::OffsetDateTime) -> [u8; 14] {
    let t = t.to_offset(time::UtcOffset::UTC);
    let year = t.year().clamp(0, 9999);
    let parts = [(year / 100) as u8, (year % 100) as u8, u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second()];
    let mut digits = [b'0'; 14];
    for (pair, part) in digits.as_chunks_mut::<2>().0.iter_mut().zip(parts) {
        *pair = [b'0' + part / 10, b'0' + part % 10];
    }
    digits
}

/// An element under an IMPLICIT tag in the place of its own.
pub fn implicit(tag: u8, mut element: Vec<u8>) -> Vec<u8> {
    if let Some(own) = element.first_mut() {
        *own = tag;
    }
    element
}

/// Reads one level of DER.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }
    /// The octets read since, when `later` is this reader further on.
    pub fn until(&self, later: &Self) -> &'a [u8] {
        self.rest.len().checked_sub(later.rest.len()).and_then(|read| self.rest.get(..read)).unwrap_or_default()
    }
    /// Tag, value, and the whole element.
    pub fn any(&mut self) -> Result<(u8, &'a [u8], &'a [u8]), DerError> {
        let [tag, first, tail @ ..] = self.rest else { return Err(DerError::Truncated) };
        if tag & 0x1f == 0x1f {
            return Err(DerError::Value("high tag number"));
        }
        let (len, head) = if *first < 0x80 {
            (usize::from(*first), 2)
        } else {
            let n = usize::from(first & 0x7f);
            if n == 0 {
                return Err(DerError::Indefinite);
            }
            if n > 4 {
                return Err(DerError::Length);
            }
            let bytes = tail.get(..n).ok_or(DerError::Truncated)?;
            let len = bytes.iter().fold(0usize, |a, b| (a << 8) | usize::from(*b));
            if bytes.first() == Some(&0) || len < 128 {
                return Err(DerError::Length);
            }
            (len, 2 + n)
        };
        let end = head + len;
        let whole = self.rest.get(..end).ok_or(DerError::Truncated)?;
        let value = whole.get(head..).ok_or(DerError::Truncated)?;
        self.rest = self.rest.get(end..).unwrap_or(&[]);
        Ok((*tag, value, whole))
    }
    pub fn take(&mut self, expected: u8) -> Result<&'a [u8], DerError> {
        match self.peek() {
            Some(t) if t == expected => Ok(self.any()?.1),
            Some(found) => Err(DerError::Tag { expected, found }),
            None => Err(DerError::Truncated),
        }
    }
    pub fn whole(&mut self, expected: u8) -> Result<&'a [u8], DerError> {
        match self.peek() {
            Some(t) if t == expected => Ok(self.any()?.2),
            Some(found) => Err(DerError::Tag { expected, found }),
            None => Err(DerError::Truncated),
        }
    }
    /// The value of the next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.peek() == Some(tag) { Ok(Some(self.take(tag)?)) } else { Ok(None) }
    }
    /// The only element of a value: nothing follows it.
    pub fn only(bytes: &'a [u8], tag: u8) -> Result<&'a [u8], DerError> {
        let mut one = Self::new(bytes);
        let value = one.take(tag)?;
        one.end()?;
        Ok(value)
    }
    /// The bytes of a BIT STRING that ends on an octet.
    pub fn octet_bits(&mut self) -> Result<&'a [u8], DerError> {
        match self.take(3)? {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(DerError::Value("unused bits")),
        }
    }
    /// The octets of an INTEGER in their shortest form, so that equal numbers are equal octets. spec: x690#8.3.2
    pub fn integer(&mut self) -> Result<&'a [u8], DerError> {
        match self.take(2)? {
            [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(DerError::Value("an INTEGER that is not in its shortest form")),
            octets => Ok(octets),
        }
    }
    /// BOOLEAN DEFAULT FALSE: written only when it is true. spec: x690#11.1
    pub fn default_false(&mut self) -> Result<bool, DerError> {
        match self.optional(1)? {
            None => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(DerError::Value("a default that is written out")),
        }
    }
    /// UTCTime or GeneralizedTime, in seconds and Z. spec: rfc5280#4.1.2.5
    pub fn time(&mut self) -> Result<time::OffsetDateTime, DerError> {
        const WRONG: DerError = DerError::Value("time");
        let (tag, text, _) = self.any()?;
        let (century, rest) = match (tag, text) {
            // Two digits stand for 1950 to 2049.
            (0x17, [tens, ..]) => (if *tens >= b'5' { 19 } else { 20 }, text),
            (0x18, [a, b, rest @ ..]) if a.is_ascii_digit() && b.is_ascii_digit() => (i32::from(a - b'0') * 10 + i32::from(b - b'0'), rest),
            _ => return Err(WRONG),
        };
        let [digits @ .., b'Z'] = rest else { return Err(WRONG) };
        if digits.len() != 12 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(WRONG);
        }
        let mut pairs = digits.as_chunks::<2>().0.iter().map(|[a, b]| (a - b'0') * 10 + (b - b'0'));
        let mut next = || pairs.next().ok_or(WRONG);
        let (year, month, day) = (century * 100 + i32::from(next()?), next()?, next()?);
        let month = time::Month::try_from(month).map_err(|_| WRONG)?;
        let date = time::Date::from_calendar_date(year, month, day).map_err(|_| WRONG)?;
        let clock = time::Time::from_hms(next()?, next()?, next()?).map_err(|_| WRONG)?;
        Ok(time::OffsetDateTime::new_utc(date, clock))
    }
    pub fn end(&self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_as_long_as_was_told() {
        for value in [0, 1, 127, 128, 255, 256, 65_535, 65_536, 16_777_215, 16_777_216] {
            let mut out = Vec::new();
            head(&mut out, 0x30, value);
            assert_eq!(out.len() + value, length(value), "{value}");
        }
    }
}
