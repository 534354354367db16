//! Octets to text: charsets by the names mail gives them, and what to take them for where the name is missing or wrong.
use std::borrow::Cow;
use std::ops::ControlFlow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;

use super::decoding::{guess, pieces};

/// Octets of an encoded word. The standard has 75, senders have more.
const MAX_WORD: usize = 2048;

/// The text of octets under a charset's name; see [`super::decoding::pieces`].
pub(crate) fn decode(charset: Option<&str>, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let _ = pieces(charset, bytes, &mut |piece| {
        text.push_str(piece);
        ControlFlow::Continue(())
    });
    text
}

/// Names of one charset or of what it grew from, so that a character cut between words of two of them is read. Lower case.
pub(super) fn family(name: &str) -> String {
    let name = name.trim().trim_matches('"').to_ascii_lowercase();
    let grown = ["gb2312", "gbk", "gb18030", "cp936", "x-gbk", "csgb2312", "gb_2312-80", "euc-cn", "iso-ir-58", "csgbk", "ms936", "windows-936"];
    if grown.contains(&name.as_str()) { "gb18030".to_owned() } else { name }
}

/// What programs take raw octets for where mail does not say: each of them somebody's default.
const DEFAULTS: [&[u8]; 5] = [b"gb18030", b"big5", b"shift_jis", b"euc-jp", b"euc-kr"];

/// Raw octets as some program may show them: by our guess, and by the defaults of others.
pub(super) fn guesses(bytes: &[u8]) -> Vec<String> {
    let mut all = vec![guessed(bytes)];
    if !bytes.is_ascii() {
        all.extend(DEFAULTS.into_iter().filter_map(charset_decoder).map(|decoder| decoder(bytes)));
    }
    all
}

/// A header field's value as some program may show it.
pub fn readings(value: &[u8]) -> Vec<String> {
    let mut all = vec![words(value)];
    all.extend(guesses(value).iter().map(|text| words(text.as_bytes())));
    all.dedup();
    all
}

/// Raw octets without a name come from programs of here (QQ Mail, Foxmail): GBK when every octet agrees.
pub(super) fn guessed(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let _ = guess(bytes, &mut |piece| {
        text.push_str(piece);
        ControlFlow::Continue(())
    });
    text
}

/// A header field's value with its encoded words read. Neighbours in one charset are joined before they are read, for many
/// senders cut a character in two. spec: rfc2047#6.2
pub(crate) fn words(value: &[u8]) -> String {
    let mut out = String::new();
    let mut open: Option<(String, Vec<u8>)> = None;
    let mut rest = value;
    loop {
        let found = rest.windows(2).position(|pair| pair == b"=?").and_then(|at| Some((at, word(rest.get(at..)?)?)));
        let Some((at, Word { charset, bytes, length })) = found else {
            // What looks like a word and is none is text; a word may follow it.
            let skip = rest.windows(2).position(|pair| pair == b"=?").map_or(rest.len(), |at| at + 2);
            let (text, after) = rest.split_at(skip.min(rest.len()));
            if !text.is_empty() {
                close(&mut open, &mut out);
                out.push_str(&guessed(text));
            }
            if after.is_empty() {
                close(&mut open, &mut out);
                return out;
            }
            rest = after;
            continue;
        };
        let between = rest.get(..at).unwrap_or_default();
        let joins = open.is_some() && between.iter().all(u8::is_ascii_whitespace);
        match &mut open {
            Some((before, joined)) if joins && *before == charset => joined.extend(bytes),
            _ => {
                close(&mut open, &mut out);
                if !joins {
                    out.push_str(&guessed(between));
                }
                open = Some((charset, bytes));
            }
        }
        rest = rest.get(at + length..).unwrap_or_default();
    }
}

fn close(open: &mut Option<(String, Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = open.take() {
        out.push_str(&decode(Some(&charset), &bytes));
    }
}

/// Octets of the encoded word that `text` begins with.
pub(super) fn word_length(text: &[u8]) -> Option<usize> {
    word(text).map(|word| word.length)
}

struct Word {
    /// As [`family`] has it.
    charset: String,
    bytes: Vec<u8>,
    length: usize,
}

/// The encoded word that `text` begins with. spec: rfc2047#2, with the language of rfc2231#5 passed over
fn word(text: &[u8]) -> Option<Word> {
    let inner = text.strip_prefix(b"=?")?;
    let inner = inner.get(..MAX_WORD).unwrap_or(inner);
    let mut parts = inner.splitn(3, |byte| *byte == b'?');
    let (charset, coding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    // No word has the beginning of another in it; the padding before an end looks like one.
    let end = memchr::memmem::find(rest, b"?=")?;
    if memchr::memmem::find(rest.get(..end)?, b"=?").is_some() {
        return None;
    }
    let coded = rest.get(..end)?;
    let charset = family(std::str::from_utf8(charset).ok()?.split('*').next()?);
    let bytes = match coding {
        b"B" | b"b" => base64_decode(coded)?,
        b"Q" | b"q" => {
            let spaced: Vec<u8> = coded.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect();
            quoted_printable_decode(&spaced)?
        }
        _ => return None,
    };
    let length = 2 + inner.len() - rest.len() + end + 2;
    (!charset.is_empty()).then_some(Word { charset, bytes, length })
}

/// The octets a transfer encoding stands for; `None` for one that is not known, or octets that are not in it.
// spec: rfc2045#6
pub(crate) fn transferred<'x>(coding: Option<&str>, bytes: &'x [u8]) -> Option<Cow<'x, [u8]>> {
    match coding.unwrap_or("7bit").trim().to_ascii_lowercase().as_str() {
        "" | "7bit" | "8bit" | "binary" => Some(bytes.into()),
        "base64" => base64_decode(bytes).map(Cow::Owned),
        "quoted-printable" => quoted_printable_decode(bytes).map(Cow::Owned),
        _ => None,
    }
}

/// Text as it is looked for: without regard to case and to full and half width. Traditional and simplified stay apart.
pub fn fold(text: &str) -> String {
    let mut folded = String::new();
    fold_onto(text, &mut folded);
    folded
}

/// Adds the folded text to what is there.
pub(super) fn fold_onto(text: &str, folded: &mut String) {
    folded.reserve(text.len());
    let begin = folded.len();
    if text.is_ascii() {
        folded.push_str(text);
        folded.get_mut(begin..).unwrap_or_default().make_ascii_lowercase();
    } else {
        folded.extend(text.chars().map(narrowed).flat_map(char::to_lowercase));
    }
}

/// The compatibility form of one character of the forms of full and half width; any other as it is.
fn narrowed(ch: char) -> char {
    let mut narrow = ch;
    if matches!(ch, '\u{3000}' | '\u{ff01}'..='\u{ffee}') {
        unicode_normalization::char::decompose_compatible(ch, |form| narrow = form);
    }
    narrow
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::Engine as _;

    fn b64(bytes: &[u8]) -> String {
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }

    #[test]
    fn chinese_in_all_its_dresses() {
        // 公积金 in GB 2312: B9AB BBFD BDF0.
        let gbk = [0xb9, 0xab, 0xbb, 0xfd, 0xbd, 0xf0];
        for name in ["GB2312", "gbk", "gb18030", "cp936", "x-gbk"] {
            assert_eq!(decode(Some(name), &gbk), "公积金", "{name}");
        }
        assert_eq!(decode(Some("hz-gb-2312"), b"a~~~{9+;}=p~}b ~\r\nc"), "a~公积金b c");
        assert_eq!(decode(Some("hz-gb-2312"), b"~{9+\nplain"), "公\nplain");
        // 公積金 in Big5: A4BD BF6E AAF7.
        assert_eq!(decode(Some("Big5"), &[0xa4, 0xbd, 0xbf, 0x6e, 0xaa, 0xf7]), "公積金");
        // A character of GB 18030 alone, in four octets: 𠀀.
        assert_eq!(decode(Some("gb2312"), &[0x95, 0x32, 0x82, 0x36]), "𠀀");
        for none in [None, Some("us-ascii"), Some("utf-8"), Some("x-no-such-charset")] {
            assert_eq!(decode(none, &gbk), "公积金", "{none:?}");
            assert_eq!(decode(none, "公积金".as_bytes()), "公积金", "{none:?}");
        }
        assert_eq!(decode(None, b"\xff\xfe\xff"), "\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn words_cut_within_a_character() {
        let utf8 = "住房公积金".as_bytes();
        let (first, second) = utf8.split_at(7);
        let split = format!("=?UTF-8?B?{}?=\r\n =?utf-8?B?{}?= end", b64(first), b64(second));
        assert_eq!(words(split.as_bytes()), "住房公积金 end");
        let gbk = [0xb9, 0xab, 0xbb, 0xfd, 0xbd, 0xf0];
        let split = format!("=?gb2312?B?{}?= =?GB2312?Q?=FD=BD=F0?=", b64(&gbk[..3]));
        assert_eq!(words(split.as_bytes()), "公积金");
        assert_eq!(words(b"=?utf-8*zh?Q?a_b?= (=?big5?B?pL0=?=)"), "a b (公)");
        // Octets as they are, and what looks like a word and is none.
        assert_eq!(words(&[b"Re: ", &gbk[..]].concat()), "Re: 公积金");
        for odd in ["=?", "=?utf-8?B?", "=?utf-8?X?a?=", "a =?=?utf-8?q?b?=", "=?utf-8?B?*?="] {
            let read = words(odd.as_bytes());
            assert!(read == odd || read == "a =?b", "{odd}: {read}");
        }
    }

    #[test]
    fn folded() {
        assert_eq!(fold("ＡＢＣ１２３　Ｑｑ！ｱ"), "abc123 qq!ア");
        assert_eq!(fold("公積金≠公积金 ÄΣ"), "公積金≠公积金 äσ");
        assert_eq!(fold("Plain"), "plain");
    }
}
