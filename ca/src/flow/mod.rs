//! One request, one page: each file here is one straight line.

mod authorise;
pub mod block;
mod ended;
pub mod hold;
pub mod issue;
pub mod own;
mod owner;
pub mod plan;
pub mod possession;
pub mod publish;
pub mod revoke;

pub use authorise::{Actor, Authorised, Holder, Operator, Revoker, Role};
