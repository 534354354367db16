//! Parts of a message in base64.

/// Of a length that every mail program reads. spec: rfc2045#6.8
pub fn lines(out: &mut String, base64: &str) {
    for line in base64.as_bytes().chunks(76) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push_str("\r\n");
    }
}
