//! Octets to text a piece at a time, so that a text of many megabytes is read without being held.
use std::ops::ControlFlow;

use encoding_rs::{BIG5, CoderResult, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};
use mail_parser::decoders::charsets::map::charset_decoder;

use super::charset::family;

/// Octets of a piece: of text, or of what a piece of text is made of.
const PIECE: usize = 64 << 10;
/// Charsets in which a character may be cut between two pieces, or means what stood before it says.
const LINKED: [&Encoding; 8] = [BIG5, EUC_JP, EUC_KR, GBK, ISO_2022_JP, SHIFT_JIS, UTF_16BE, UTF_16LE];

/// Who hears the pieces of a text, and may have heard enough.
pub(super) type Hears<'h> = &'h mut dyn FnMut(&str) -> ControlFlow<()>;

/// The text of octets under a charset's name; where there is none, or none that can be, UTF-8 if it is that and the charset of
/// mainland China if it is that. No character is cut between two pieces.
pub(super) fn pieces(charset: Option<&str>, bytes: &[u8], hears: Hears<'_>) -> ControlFlow<()> {
    let named = charset.map(family);
    match named.as_deref() {
        // spec: rfc1843 a 7-bit dress of GB 2312
        Some("hz-gb-2312" | "hz") => by_lines(bytes, &|lines| gb18030(&undressed(lines)), hears),
        // Who says GB2312 or GBK means whichever of the family has the character.
        Some("gb18030") => linked(GB18030, bytes, hears),
        None | Some("" | "us-ascii" | "ascii" | "utf-8" | "utf8" | "unknown-8bit" | "x-unknown" | "8bit" | "default") => guess(bytes, hears),
        Some(name) => match (linked_by(name), charset_decoder(name.as_bytes())) {
            (Some(found), _) => linked(found, bytes, hears),
            (None, Some(decoder)) => by_lines(bytes, &decoder, hears),
            (None, None) => guess(bytes, hears),
        },
    }
}

/// One of these charsets by any of the names that mail gives it. Lower case.
fn linked_by(name: &str) -> Option<&'static Encoding> {
    let name = match name {
        "csutf16" => "utf-16",
        "csutf16le" => "utf-16le",
        "csutf16be" => "utf-16be",
        name => name,
    };
    Encoding::for_label(name.replace('_', "-").as_bytes()).or_else(|| Encoding::for_label(name.as_bytes())).filter(|found| LINKED.contains(found))
}

/// Raw octets: UTF-8 if they are, else the charset of mainland China if every octet agrees, else UTF-8 with its faults marked.
pub(super) fn guess(bytes: &[u8], hears: Hears<'_>) -> ControlFlow<()> {
    if let Ok(mut text) = std::str::from_utf8(bytes) {
        while !text.is_empty() {
            let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE));
            hears(piece)?;
            text = rest;
        }
        return ControlFlow::Continue(());
    }
    let mut agrees = |piece: &str| if piece.contains(char::REPLACEMENT_CHARACTER) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    if linked(GB18030, bytes, &mut agrees).is_continue() { linked(GB18030, bytes, hears) } else { decoded(UTF_8.new_decoder_without_bom_handling(), bytes, hears) }
}

fn linked(encoding: &'static Encoding, bytes: &[u8], hears: Hears<'_>) -> ControlFlow<()> {
    decoded(encoding.new_decoder(), bytes, hears)
}

fn decoded(mut decoder: encoding_rs::Decoder, bytes: &[u8], hears: Hears<'_>) -> ControlFlow<()> {
    let mut text = String::with_capacity(decoder.max_utf8_buffer_length(bytes.len()).map_or(PIECE, |most| most.min(PIECE)));
    let mut rest = bytes;
    loop {
        let (done, read, _) = decoder.decode_to_string(rest, &mut text, true);
        rest = rest.get(read..).unwrap_or_default();
        if !text.is_empty() {
            hears(&text)?;
        }
        text.clear();
        if done == CoderResult::InputEmpty {
            return ControlFlow::Continue(());
        }
    }
}

/// For charsets that no line end stands within: what is read is cut after one. A line that is longer than a piece is cut where the piece
/// ends.
fn by_lines(bytes: &[u8], decoder: &dyn Fn(&[u8]) -> String, hears: Hears<'_>) -> ControlFlow<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (most, _) = rest.split_at(rest.len().min(PIECE));
        let end = if most.len() == rest.len() { most.len() } else { memchr::memrchr(b'\n', most).map_or(most.len(), |at| at + 1) };
        let (piece, after) = rest.split_at(end);
        hears(&decoder(piece))?;
        rest = after;
    }
    ControlFlow::Continue(())
}

fn gb18030(bytes: &[u8]) -> String {
    GB18030.decode_with_bom_removal(bytes).0.into_owned()
}

/// `~{` … `~}` bracket pairs of GB 2312 with the high bit off, `~~` is a tilde, `~` at a line's end joins lines.
// spec: rfc1843#2
fn undressed(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut chinese, mut rest) = (Vec::with_capacity(bytes.len()), false, bytes);
    loop {
        rest = match (rest, chinese) {
            ([], _) => return out,
            ([b'~', b'{', rest @ ..], false) => {
                chinese = true;
                rest
            }
            ([b'~', b'}', rest @ ..], true) => {
                chinese = false;
                rest
            }
            ([b'~', b'~', rest @ ..], false) => {
                out.push(b'~');
                rest
            }
            ([b'~', b'\n', rest @ ..] | [b'~', b'\r', b'\n', rest @ ..], false) => rest,
            ([first @ 0x21..=0x77, second @ 0x21..=0x7e, rest @ ..], true) => {
                out.extend([first | 0x80, second | 0x80]);
                rest
            }
            // A line that forgot to close its bracket closes it.
            ([byte, rest @ ..], _) => {
                chinese &= *byte != b'\n';
                out.push(*byte);
                rest
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn heard(charset: Option<&str>, bytes: &[u8]) -> (String, usize) {
        let (mut text, mut count) = (String::new(), 0);
        let end = pieces(charset, bytes, &mut |piece| {
            assert!(piece.len() <= 4 * PIECE);
            text.push_str(piece);
            count += 1;
            ControlFlow::Continue(())
        });
        assert!(end.is_continue());
        (text, count)
    }

    /// Lines of Chinese, so long in all that every charset cuts them between and within characters.
    #[test]
    fn a_long_text_is_the_same_in_pieces_as_at_once() {
        let line = "住房公积金12月\u{3000}缴存\u{ff11}\u{ff12}元\r\n";
        for lead in 0..5 {
            let text = "x".repeat(lead) + &line.repeat(20_000);
            let (whole, count) = heard(None, text.as_bytes());
            assert!(whole == text && count > 2, "utf-8");
            for (name, encoding) in [("gb18030", GB18030), ("big5", BIG5), ("euc-jp", EUC_JP), ("shift_jis", SHIFT_JIS), ("iso-2022-jp", ISO_2022_JP), ("euc-kr", EUC_KR)] {
                let (bytes, ..) = encoding.encode(&text);
                let (whole, count) = (encoding.decode_without_bom_handling(&bytes).0, heard(Some(name), &bytes));
                assert!(count.0 == whole && count.1 > 2, "{name}");
            }
            let (gbk, ..) = GB18030.encode(&text);
            assert!(heard(None, &gbk).0 == text, "unnamed GBK");
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for name in ["utf-16le", "utf_16le", "csutf16le", "UTF-16", "csutf16", "ucs-2", "ucs_2", "iso-10646-ucs-2", "ISO_10646_UCS_2", "csunicode"] {
                assert!(heard(Some(name), &wide).0 == text, "{name}");
            }
            let wide: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
            for name in ["utf-16", "csutf16"] {
                assert!(heard(Some(name), &wide).0 == text, "{name}");
            }
            // Of one line, too.
            let one = text.replace("\r\n", " ");
            let (gbk, ..) = GB18030.encode(&one);
            for name in ["gb2312", "gbk", "cp936", "ms936", "windows-936", "csgbk", "chinese", "gb_2312", "csiso58gb231280"] {
                assert!(heard(Some(name), &gbk).0 == one, "{name}");
            }
        }
        let russian = "пенсия за декабрь\r\n".repeat(10_000);
        let (bytes, ..) = encoding_rs::KOI8_R.encode(&russian);
        assert!(heard(Some("koi8-r"), &bytes).0 == russian);
        assert!(heard(Some("hz-gb-2312"), "~{9+;}=p~} 12\r\n".repeat(20_000).as_bytes()).0 == "公积金 12\r\n".repeat(20_000));
        assert!(heard(Some("utf-7"), "+UWx575HR- 12\r\n".repeat(20_000).as_bytes()).0 == "公积金 12\r\n".repeat(20_000));
        let broken = [b"\xff\xff".as_slice(), "公".as_bytes(), b"\xe5\x85"].concat().repeat(30_000);
        assert!(heard(Some("utf-8"), &broken).0 == String::from_utf8_lossy(&broken));
        assert_eq!(heard(None, b""), (String::new(), 0));
    }

    #[test]
    fn whoever_has_heard_enough_hears_no_more() {
        for charset in [None, Some("gb18030"), Some("koi8-r")] {
            let mut count = 0;
            let end = pieces(charset, &vec![b'a'; 10 * PIECE], &mut |_| {
                count += 1;
                ControlFlow::Break(())
            });
            assert!(end.is_break() && count == 1);
        }
    }
}
