//! A receipt as a PDF, of the values that its JSON has.

use pdf::Piece;

use super::rows;
use crate::desk::problem::DeskError;

/// Of the receipt's canonical octets.
pub fn page(document: &[u8]) -> Result<Vec<u8>, DeskError> {
    let rows = rows(document)?;
    let number = rows.first().map(|(_, _, number)| number.clone()).unwrap_or_default();
    let mut pieces = vec![Piece::Title("申报回执  Filing receipt".to_owned())];
    pieces.extend(rows.into_iter().map(|(zh, en, value)| Piece::Figure(format!("{zh} {en}"), value)));
    pieces.push(Piece::Gap);
    pieces.extend(["由受理单位加盖电子印章的是回执的 JSON 原文；本页是其同值副本。", "What the bureau sealed is the receipt's JSON; this page says the same."].map(|note| Piece::Note(note.to_owned())));
    Ok(pdf::document(&pieces, &number))
}
