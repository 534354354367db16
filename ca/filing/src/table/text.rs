//! The text of a table's octets: what spreadsheets in use here write.

use crate::document::MAX_BYTES;

/// How a file's characters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// GBK and GB2312 are parts of it.
    Gb18030,
    Utf16Le,
    Utf16Be,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("the table has more than {MAX_BYTES} bytes; make several of it")]
    TooLong,
    #[error("line {line}: this is neither UTF-8 nor GB18030; save the table as CSV UTF-8")]
    Unknown { line: usize },
    #[error("line {line}: a character stands there that is no text; save the table as CSV, not as a workbook")]
    NoText { line: usize },
}

impl TextError {
    pub(super) fn chinese(&self) -> (String, String) {
        match self {
            Self::TooLong => (format!("表格超过 {MAX_BYTES} 字节"), "请分成几份".into()),
            Self::Unknown { line } => (format!("第 {line} 行不是 UTF-8，也不是 GB18030 编码"), "请另存为“CSV UTF-8”".into()),
            Self::NoText { line } => (format!("第 {line} 行含有不是文字的内容"), "请另存为 CSV，而不是工作簿（xlsx）".into()),
        }
    }
}

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const GB18030_MARK: &[u8] = b"\x84\x31\x95\x33";

/// By its mark; without one UTF-8 where it is that, else GB18030.
pub fn decoded(bytes: &[u8], encoding: Option<Encoding>) -> Result<String, TextError> {
    if bytes.len() > MAX_BYTES {
        return Err(TextError::TooLong);
    }
    let marked = [(UTF8_MARK, Encoding::Utf8), (GB18030_MARK, Encoding::Gb18030), (b"\xff\xfe".as_slice(), Encoding::Utf16Le), (b"\xfe\xff".as_slice(), Encoding::Utf16Be)];
    let found = marked.into_iter().find_map(|(mark, encoding)| bytes.strip_prefix(mark).map(|rest| (rest, encoding)));
    let (rest, encoding) = match (found, encoding) {
        (Some((rest, of_mark)), _) => (rest, of_mark),
        (None, Some(said)) => (bytes, said),
        (None, None) if std::str::from_utf8(bytes).is_ok() => (bytes, Encoding::Utf8),
        (None, None) => (bytes, Encoding::Gb18030),
    };
    let reader = match encoding {
        Encoding::Utf8 => encoding_rs::UTF_8,
        Encoding::Gb18030 => encoding_rs::GB18030,
        Encoding::Utf16Le => encoding_rs::UTF_16LE,
        Encoding::Utf16Be => encoding_rs::UTF_16BE,
    };
    let text = reader.decode_without_bom_handling_and_without_replacement(rest);
    let text = text.ok_or_else(|| TextError::Unknown { line: unreadable(reader, rest) })?;
    match text.lines().position(|line| line.chars().any(|c| c.is_control() && c != '\t' && c != '\r')) {
        Some(at) => Err(TextError::NoText { line: at + 1 }),
        None => Ok(text.into_owned()),
    }
}

/// The first line that is not of this encoding. Line breaks are single octets in all but UTF-16.
fn unreadable(reader: &'static encoding_rs::Encoding, bytes: &[u8]) -> usize {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    lines.position(|line| reader.decode_without_bom_handling_and_without_replacement(line).is_none()).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_text_in_every_encoding() {
        let text = "姓名,月工资\r\n𠮷野,8000\r\n";
        let (gb, _, lost) = encoding_rs::GB18030.encode(text);
        assert!(!lost);
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wide_be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let with = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
        for bytes in [text.as_bytes().to_vec(), with(UTF8_MARK, text.as_bytes()), gb.to_vec(), with(GB18030_MARK, &gb), with(b"\xff\xfe", &wide), with(b"\xfe\xff", &wide_be)] {
            assert_eq!(decoded(&bytes, None).unwrap(), text);
        }
        // What is told is believed where no mark says otherwise.
        assert_eq!(decoded(&wide, Some(Encoding::Utf16Le)).unwrap(), text);
        assert_eq!(decoded(&with(UTF8_MARK, text.as_bytes()), Some(Encoding::Gb18030)).unwrap(), text);
    }

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        assert_eq!(decoded(b"a,b\n1,2\n\xff\xff,3\n", None), Err(TextError::Unknown { line: 3 }));
        assert_eq!(decoded(b"a,b\n1,\0\n", None), Err(TextError::NoText { line: 2 }));
        assert_eq!(decoded(b"PK\x03\x04", None), Err(TextError::NoText { line: 1 }));
        assert_eq!(decoded(&vec![b' '; MAX_BYTES + 1], None), Err(TextError::TooLong));
    }
}
