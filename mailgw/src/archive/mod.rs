//! Mail outside of a mailbox: folders as mbox files or as Maildirs, and the signed inventory that says what an export holds.

pub mod inventory;
pub mod maildir;
pub mod mbox;

use std::borrow::Cow;

/// Whether every line ends in CRLF: such mail is written with LF alone, as programs expect it in files, and read back the same.
pub fn lines_end_in_crlf(message: &[u8]) -> bool {
    let mut before = 0;
    let mut any = false;
    for byte in message {
        if (*byte == b'\n') != (before == b'\r') {
            return false;
        }
        any |= *byte == b'\n';
        before = *byte;
    }
    any && before != b'\r'
}

pub fn with_lf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(text) => {
                out.extend_from_slice(text);
                out.push(b'\n');
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// Mail of files has LF, that of mailboxes CRLF. What has some CR is left as it is.
pub fn with_crlf(message: &[u8]) -> Cow<'_, [u8]> {
    if message.contains(&b'\r') {
        return Cow::Borrowed(message);
    }
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    for byte in message {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_go_and_come_back() {
        for whole in [b"a\r\n\r\nb".as_slice(), b"\r\n", b"a: b\r\n\r\n"] {
            assert!(lines_end_in_crlf(whole));
            assert_eq!(with_crlf(&with_lf(whole)).as_ref(), whole);
        }
        for mixed in [b"a\nb\r\n".as_slice(), b"a\rb\r\n", b"a\r\n\r", b"none", b""] {
            assert!(!lines_end_in_crlf(mixed));
        }
        assert_eq!(with_crlf(b"a\r\nb\n").as_ref(), b"a\r\nb\n");
    }
}
