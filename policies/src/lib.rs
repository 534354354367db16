//! What the city decided, as data, with the types that give it meaning. Pure: text in, meaning out.
#![forbid(unsafe_code)]

pub mod identity;
