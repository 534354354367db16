//! Character classes of the grammar.

/// spec: rfc3501#9 ATOM-CHAR, without `]`, which ends a response code or a section.
pub(crate) fn is_atom_char(byte: u8) -> bool {
    is_astring_char(byte) && byte != b']'
}

/// spec: rfc3501#9 ASTRING-CHAR = ATOM-CHAR / resp-specials
pub(crate) fn is_astring_char(byte: u8) -> bool {
    (0x21..0x7f).contains(&byte) && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}
