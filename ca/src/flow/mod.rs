//! One request, one page: each file here is one straight line.

pub mod act;
pub mod adopt;
pub mod approve;
mod authorise;
pub mod backup;
pub mod block;
pub mod bulk;
pub mod eligible;
pub mod certified;
mod ended;
pub mod ending;
pub mod enterprise;
mod facts;
pub mod hold;
pub mod issue;
pub mod listing;
pub mod numbering;
pub mod officer;
pub mod order;
pub mod notice;
pub mod outbox;
pub mod own;
pub mod own_name;
mod owner;
pub mod plan;
pub mod possession;
pub mod publish;
pub mod renew;
pub mod replace;
pub mod restore;
pub mod revoke;
pub mod take_over;
pub mod succeed;
pub mod timestamp;
pub mod wind_down;

pub use authorise::{Actor, Administrator, Auditor, Authorised, Courier, Holder, OFFICER, Office, Operator, Orderer, Proven, Revoker, Role};
