//! Strict I-JSON (RFC 7493): one meaning or a refusal. Numbers are whole and within 2^53; amounts are texts.

use std::cmp::Ordering;
use std::fmt;

/// The largest document that is read: ten thousand members of staff take four megabytes.
pub const MAX_BYTES: usize = 16 << 20;
pub const MAX_DEPTH: usize = 12;
/// Values of any kind in one document, itself counted.
pub const MAX_VALUES: usize = 1_000_000;
const MAX_TEXT: usize = 64 << 10;
/// spec: rfc7493#2.2: what every reader keeps exactly.
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// A JSON value without numbers that readers understand differently.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Boolean(bool),
    /// Within 2^53 on both sides of nought.
    Integer(i64),
    Text(String),
    Array(Vec<Value>),
    Object(Object),
}

/// Members sorted as canonical JSON writes them, each name once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Value)>);

/// spec: rfc8785#3.2.3: names are ordered by their UTF-16 code units.
fn order(left: &str, right: &str) -> Ordering {
    // Octets and code units are in one order, but for surrogates, which stand below U+E000 to U+FFFF: whoever differs in an octet
    // from 0xEE on may be either.
    match left.bytes().zip(right.bytes()).find(|(one, other)| one != other) {
        None => left.len().cmp(&right.len()),
        Some((one, other)) if one.max(other) < 0xee => one.cmp(&other),
        Some(_) => left.encode_utf16().cmp(right.encode_utf16()),
    }
}

impl Object {
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.0.binary_search_by(|(known, _)| order(known, name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Puts a member in; what stood there is given back.
    pub fn insert(&mut self, name: &str, value: Value) -> Option<Value> {
        match self.0.binary_search_by(|(known, _)| order(known, name)) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.0.insert(at, (name.to_owned(), value));
                None
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a reader takes it: its canonical octets are read again. Their number alone is not counted here.
    pub fn fits(&self) -> bool {
        let mut left = MAX_VALUES - 1;
        self.0.iter().all(|(name, value)| name.len() <= MAX_TEXT && value.fits_at(1, &mut left))
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Object {
    fn from(members: [(&str, Value); N]) -> Self {
        let mut object = Self(Vec::with_capacity(N));
        for (name, value) in members {
            object.insert(name, value);
        }
        object
    }
}

/// A filing holds people's numbers: what is printed is its shape.
impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(values) => write!(formatter, "Value(array of {})", values.len()),
            Self::Object(object) => write!(formatter, "Value({object:?})"),
            other => write!(formatter, "Value({})", other.type_name()),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "object of {}", self.0.len())
    }
}

/// Why a text is no JSON that can be signed. Lines and columns (in characters) count from one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}")]
pub struct JsonError {
    pub line: usize,
    pub column: usize,
    pub fault: JsonFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    #[error("the document has more than {MAX_BYTES} bytes; split it")]
    TooLong,
    #[error("this is not UTF-8; save the file as UTF-8")]
    Encoding,
    #[error("arrays and objects stand more than {MAX_DEPTH} deep within each other; no form does that")]
    TooDeep,
    #[error("the document has more than {MAX_VALUES} values; split it")]
    TooMany,
    #[error("the text has more than {MAX_TEXT} bytes; shorten it")]
    TextTooLong,
    #[error("a value is missing here, or it is not written as JSON writes it; look at what stands before it")]
    Value,
    #[error("a comma, a colon or a closing bracket is missing here")]
    Separator,
    #[error("a member's name in double quotes is missing here")]
    Name,
    #[error("a member of this name stands above already; keep one of them")]
    Duplicate,
    #[error("the text is not closed, or has a control character or an escape that JSON does not know")]
    Text,
    #[error("half of a surrogate pair stands alone; write the character itself")]
    Surrogate,
    #[error("numbers are whole, without fraction, exponent, leading nought or minus nought, and within 2^53; write an amount as a text: \"12.50\"")]
    Number,
    #[error("the document is over, and more follows")]
    Trailing,
}

impl JsonFault {
    /// The same for whoever files.
    pub fn chinese(self) -> String {
        match self {
            Self::TooLong => format!("文件超过 {MAX_BYTES} 字节；请分成几份申报"),
            Self::Encoding => "此处不是 UTF-8 编码；请将文件另存为 UTF-8".into(),
            Self::TooDeep => format!("嵌套超过 {MAX_DEPTH} 层；没有这样的表"),
            Self::TooMany => format!("超过 {MAX_VALUES} 个数据项；请分成几份申报"),
            Self::TextTooLong => format!("文字超过 {MAX_TEXT} 字节；请缩短"),
            Self::Value => "此处缺少数值，或写法不符合 JSON；请看前面的内容".into(),
            Self::Separator => "此处缺少逗号、冒号或右括号".into(),
            Self::Name => "此处缺少用双引号括起的栏目名".into(),
            Self::Duplicate => "同名栏目前面已经有了；请只保留一个".into(),
            Self::Text => "文字没有用双引号结束，或含有控制字符、未知的转义".into(),
            Self::Surrogate => "单独出现了半个代理对；请直接写出该字".into(),
            Self::Number => "数字只能是整数，不带小数、指数、前导零，且在 2^53 以内；金额请写成文字：\"12.50\"".into(),
            Self::Trailing => "文件已经结束，后面还有多余内容".into(),
        }
    }
}

impl Value {
    /// Reads octets that are one JSON text and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        read(bytes, false)
    }

    /// The same, for what a person wrote: `//` begins a comment that ends with its line, a comma may stand before a closing
    /// bracket, and the byte order mark that editors put before the text is passed over.
    pub fn parse_draft(bytes: &[u8]) -> Result<Self, JsonError> {
        read(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), true)
    }

    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Text(_) => "text",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// As [`Object::fits`], of what stands so deep; `left` is how many values a reader takes yet.
    fn fits_at(&self, depth: usize, left: &mut usize) -> bool {
        let Some(fewer) = left.checked_sub(1) else { return false };
        *left = fewer;
        match self {
            Self::Null | Self::Boolean(_) => true,
            Self::Integer(number) => number.unsigned_abs() <= MAX_INTEGER.unsigned_abs(),
            Self::Text(text) => text.len() <= MAX_TEXT,
            Self::Array(values) => depth < MAX_DEPTH && values.iter().all(|value| value.fits_at(depth + 1, left)),
            Self::Object(object) => depth < MAX_DEPTH && object.iter().all(|(name, value)| name.len() <= MAX_TEXT && value.fits_at(depth + 1, left)),
        }
    }

    /// What stands at a JSON pointer (RFC 6901).
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        let mut at = self;
        for part in pointer.split('/').skip(1) {
            at = match at {
                Self::Object(object) if !part.contains('~') => object.get(part)?,
                Self::Object(object) => object.get(&part.replace("~1", "/").replace("~0", "~"))?,
                Self::Array(values) => values.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(at)
    }
}

fn read(bytes: &[u8], draft: bool) -> Result<Value, JsonError> {
    let mut reader = Reader { bytes, at: 0, draft, values: 0 };
    reader.document().map_err(|fault| located(bytes, reader.at, fault))
}

fn located(bytes: &[u8], at: usize, fault: JsonFault) -> JsonError {
    let before = bytes.get(..at.min(bytes.len())).unwrap_or_default();
    let line = before.split(|&byte| byte == b'\n').next_back().unwrap_or_default();
    // Octets that go on with a character begin with the bits 10.
    let column = 1 + line.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    JsonError { line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(), column, fault }
}

/// How many octets stand for themselves in a text, up to the first that does not: looked at in pieces, since nearly all do.
pub(super) fn plain(bytes: &[u8]) -> usize {
    // Counted, without a way out within a piece, the compiler looks at all of it at once.
    let specials = |piece: &[u8; 32]| piece.iter().fold(0_u8, |found, &byte| found | u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20));
    let whole = 32 * bytes.as_chunks().0.iter().take_while(|piece| specials(piece) == 0).count();
    let rest = bytes.get(whole..).unwrap_or_default();
    whole + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(rest.len())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    draft: bool,
    values: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Value, JsonFault> {
        if self.bytes.len() > MAX_BYTES {
            return Err(JsonFault::TooLong);
        }
        if let Err(error) = std::str::from_utf8(self.bytes) {
            self.at = error.valid_up_to();
            return Err(JsonFault::Encoding);
        }
        let value = self.value(0)?;
        self.blank();
        if self.at == self.bytes.len() { Ok(value) } else { Err(JsonFault::Trailing) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn blank(&mut self) {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
                self.at += 1;
            }
            if !(self.draft && self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"//"))) {
                return;
            }
            while self.peek().is_some_and(|byte| byte != b'\n') {
                self.at += 1;
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonFault> {
        self.blank();
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(JsonFault::TooMany);
        }
        match self.peek() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => Err(JsonFault::TooDeep),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.text().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.integer().map(Value::Integer),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, JsonFault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        for (word, value) in [("true", Value::Boolean(true)), ("false", Value::Boolean(false)), ("null", Value::Null)] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(JsonFault::Value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonFault> {
        let mut values = Vec::new();
        self.at += 1;
        self.blank();
        if self.take(b']') {
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if self.ends(b']')? {
                return Ok(Value::Array(values));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonFault> {
        let mut members: Vec<(String, Value, usize)> = Vec::new();
        self.at += 1;
        self.blank();
        let mut closed = self.take(b'}');
        while !closed {
            self.blank();
            let began = self.at;
            if self.peek() != Some(b'"') {
                return Err(JsonFault::Name);
            }
            let name = self.text()?;
            self.blank();
            if !self.take(b':') {
                return Err(JsonFault::Separator);
            }
            members.push((name, self.value(depth + 1)?, began));
            closed = self.ends(b'}')?;
        }
        // The sort is stable: of two of one name the later one is pointed at.
        members.sort_by(|left, right| order(&left.0, &right.0));
        for pair in members.windows(2) {
            if let [(first, ..), (second, _, at)] = pair && first == second {
                self.at = *at;
                return Err(JsonFault::Duplicate);
            }
        }
        Ok(Value::Object(Object(members.into_iter().map(|(name, value, _)| (name, value)).collect())))
    }

    /// After a value: whether the bracket closes; else a comma has been taken.
    fn ends(&mut self, closing: u8) -> Result<bool, JsonFault> {
        self.blank();
        if self.take(closing) {
            return Ok(true);
        }
        if !self.take(b',') {
            return Err(JsonFault::Separator);
        }
        if self.draft {
            self.blank();
            return Ok(self.take(closing));
        }
        Ok(false)
    }

    fn integer(&mut self) -> Result<i64, JsonFault> {
        let began = self.at;
        let negative = self.take(b'-');
        let mut number: i64 = 0;
        let digits = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.checked_mul(10).and_then(|number| number.checked_add(i64::from(digit - b'0'))).unwrap_or(i64::MAX);
            self.at += 1;
        }
        let count = self.at - digits;
        // spec: rfc8785#3.2.2.3 knows one form of each number; minus nought has two meanings.
        let plain = count >= 1 && (count == 1 || self.bytes.get(digits) != Some(&b'0')) && !(negative && number == 0);
        if plain && number <= MAX_INTEGER && !matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Ok(if negative { -number } else { number });
        }
        self.at = began;
        Err(JsonFault::Number)
    }

    fn text(&mut self) -> Result<String, JsonFault> {
        let began = self.at;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            // What stands for itself is taken at once: nearly every text is one such piece.
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let plain = plain(rest);
            text.extend_from_slice(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                _ if text.len() > MAX_TEXT => {
                    self.at = began;
                    return Err(JsonFault::TextTooLong);
                }
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut text)?,
                _ => return Err(JsonFault::Text),
            }
        }
        self.at += 1;
        // The document is UTF-8, and an escape puts in whole characters.
        String::from_utf8(text).map_err(|_| JsonFault::Encoding)
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), JsonFault> {
        let character = match self.bytes.get(self.at + 1) {
            Some(b'u') => {
                let first = self.unit(self.at + 2)?;
                let (units, length): (&[u16], usize) = match first {
                    0xd800..=0xdbff if self.bytes.get(self.at + 6..self.at + 8) == Some(b"\\u") => (&[first, self.unit(self.at + 8)?], 12),
                    _ => (&[first], 6),
                };
                let character = char::decode_utf16(units.iter().copied()).next().and_then(Result::ok).ok_or(JsonFault::Surrogate)?;
                self.at += length;
                character
            }
            Some(letter) => {
                let known = [(b'"', '"'), (b'\\', '\\'), (b'/', '/'), (b'b', '\u{8}'), (b'f', '\u{c}'), (b'n', '\n'), (b'r', '\r'), (b't', '\t')];
                let character = known.into_iter().find(|(known, _)| known == letter).ok_or(JsonFault::Text)?.1;
                self.at += 2;
                character
            }
            None => return Err(JsonFault::Text),
        };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn unit(&self, at: usize) -> Result<u16, JsonFault> {
        let digits = self.bytes.get(at..at + 4).ok_or(JsonFault::Text)?;
        digits.iter().try_fold(0_u16, |unit, &digit| {
            let digit = char::from(digit).to_digit(16).and_then(|digit| u16::try_from(digit).ok()).ok_or(JsonFault::Text)?;
            Ok(unit << 4 | digit)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &[u8]) -> (JsonFault, usize, usize) {
        let error = Value::parse(text).unwrap_err();
        (error.fault, error.line, error.column)
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused_where_it_stands() {
        for (text, fault_expected, line, column) in [
            (&b"{\"a\":1,\n \"b\":2, \"a\":3}"[..], JsonFault::Duplicate, 2, 9),
            (b"{\"a\":1,\"\\u0061\":3}", JsonFault::Duplicate, 1, 8),
            (b"[1.0]", JsonFault::Number, 1, 2),
            (b"[1e3]", JsonFault::Number, 1, 2),
            (b"[-0]", JsonFault::Number, 1, 2),
            (b"[01]", JsonFault::Number, 1, 2),
            (b"[-]", JsonFault::Number, 1, 2),
            (b"[9007199254740992]", JsonFault::Number, 1, 2),
            (b"[99999999999999999999999]", JsonFault::Number, 1, 2),
            (b"[NaN]", JsonFault::Value, 1, 2),
            (b"[+1]", JsonFault::Value, 1, 2),
            (b"[\"\\ud800\"]", JsonFault::Surrogate, 1, 3),
            (b"[\"\\ud800\\u0041\"]", JsonFault::Surrogate, 1, 3),
            (b"[\"\\udc00\"]", JsonFault::Surrogate, 1, 3),
            (b"[\"\xed\xa0\x80\"]", JsonFault::Encoding, 1, 3),
            (b"\xef\xbb\xbf[]", JsonFault::Value, 1, 1),
            (b"[\"a\nb\"]", JsonFault::Text, 1, 4),
            (b"[\"\\x\"]", JsonFault::Text, 1, 3),
            (b"['a']", JsonFault::Value, 1, 2),
            (b"{a:1}", JsonFault::Name, 1, 2),
            (b"[1,]", JsonFault::Value, 1, 4),
            (b"[1 2]", JsonFault::Separator, 1, 4),
            (b"{\"a\" 1}", JsonFault::Separator, 1, 6),
            (b"[] []", JsonFault::Trailing, 1, 4),
            (b"// a\n[]", JsonFault::Value, 1, 1),
            (b"", JsonFault::Value, 1, 1),
        ] {
            assert_eq!(fault(text), (fault_expected, line, column), "{}", text.escape_ascii());
        }
        assert_eq!(fault("[\"\u{7a57}\",1.5]".as_bytes()), (JsonFault::Number, 1, 6));
        assert_eq!(Value::parse(b"[9007199254740991,-9007199254740991]").unwrap().pointer("/1").unwrap().as_integer(), Some(-9_007_199_254_740_991));
    }

    #[test]
    fn bounds_hold() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Value::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(fault(nested(MAX_DEPTH + 1).as_bytes()).0, JsonFault::TooDeep);
        assert_eq!(fault(format!("[{}1]", "1,".repeat(MAX_VALUES)).as_bytes()).0, JsonFault::TooMany);
        assert_eq!(fault(format!("\"{}\"", "a".repeat(MAX_TEXT + 1)).as_bytes()).0, JsonFault::TextTooLong);
        assert_eq!(fault(&vec![b' '; MAX_BYTES + 1]).0, JsonFault::TooLong);
    }

    #[test]
    fn a_draft_may_have_comments_and_a_last_comma() {
        let draft = "{ // 纳税人\n \"a\": [1, 2,], // \"b\": 3,\n \"c\": \"http://x\", }";
        assert_eq!(Value::parse_draft(draft.as_bytes()).unwrap(), Value::parse(br#"{"a":[1,2],"c":"http://x"}"#).unwrap());
        assert_eq!(Value::parse_draft("\u{feff}[1]".as_bytes()).unwrap(), Value::parse(b"[1]").unwrap());
        for wrong in ["[,]", "{,}", "[1,,]", "[1] / 2"] {
            assert!(Value::parse_draft(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        /// Among them the characters whose octets and code units are in another order.
        #[test]
        fn names_are_ordered_by_their_code_units(left in "[a-b\u{e9}\u{d7ff}\u{e000}\u{fb33}\u{ffff}\u{10000}\u{1f600}]{0,4}", right in "[a-b\u{e9}\u{d7ff}\u{e000}\u{fb33}\u{ffff}\u{10000}\u{1f600}]{0,4}") {
            prop_assert_eq!(order(&left, &right), left.encode_utf16().cmp(right.encode_utf16()));
        }

        #[test]
        fn what_stands_for_itself_ends_where_something_does_not(bytes in prop::collection::vec(prop_oneof![9 => any::<u8>(), 40 => Just(b'a'), 1 => Just(b'"'), 1 => Just(b'\\')], 0..80)) {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
            prop_assert_eq!(plain(&bytes), bytes.iter().position(special).unwrap_or(bytes.len()));
        }
    }

    #[test]
    fn what_is_printed_is_the_shape() {
        let value = Value::parse(br#"{"id_no":"440105190003010052"}"#).unwrap();
        assert_eq!(format!("{value:?} {:?}", value.pointer("/id_no")), "Value(object of 1) Some(Value(text))");
        assert_eq!(value.pointer("/no"), None);
        assert_eq!(value.pointer("/id_no/0"), None);
    }
}
