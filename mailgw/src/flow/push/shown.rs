//! A statement as an operator looks at it.

use serde::{Deserialize, Serialize};

use super::PushError;
use crate::gateway::Gateway;
use crate::record::push::{Item, item_key};

/// A statement as this gateway remembers it: where it went, and whether it holds still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownStatement {
    pub bureau: String,
    pub statement: String,
    /// `holds`, `superseded` or `withdrawn`.
    pub state: String,
    #[serde(flatten)]
    pub item: Item,
}

/// A statement by its bureau's own number.
pub fn statement(gateway: &Gateway, bureau: &str, statement: &str) -> Result<ShownStatement, PushError> {
    let unknown = || PushError::UnknownStatement { statement: statement.chars().take(80).collect() };
    let item = Item::decode(&gateway.store.get(&item_key(bureau, statement))?.ok_or_else(unknown)?)?;
    let state = match &item.ended {
        None => "holds",
        Some(ended) if ended.superseded_by.is_some() => "superseded",
        Some(_) => "withdrawn",
    };
    Ok(ShownStatement { bureau: bureau.to_owned(), statement: statement.to_owned(), state: state.to_owned(), item })
}
