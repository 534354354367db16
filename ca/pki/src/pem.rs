//! PEM, one block: only the labels that are expected.
use base64::Engine as _;

#[derive(Debug)]
pub(crate) enum PemError {
    Damaged,
    /// What stands there instead, cut to 64 characters.
    Label(String),
}

pub(crate) fn decode(bytes: &[u8], labels: &[&str]) -> Result<Vec<u8>, PemError> {
    let text = std::str::from_utf8(bytes).map_err(|_| PemError::Damaged)?;
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(PemError::Damaged)?;
    let (label, rest) = rest.split_once("-----").ok_or(PemError::Damaged)?;
    if !labels.contains(&label) {
        return Err(PemError::Label(label.chars().take(64).collect()));
    }
    let (body, end) = rest.split_once("-----END ").ok_or(PemError::Damaged)?;
    if !end.starts_with(&format!("{label}-----")) {
        return Err(PemError::Damaged);
    }
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(body).map_err(|_| PemError::Damaged)
}
