//! Mailboxes: their addresses, the names institutions may choose, and the limits that hold for them.

mod address;
mod clients;
mod inbound;
mod listeners;
mod notifications;
mod number;
mod opening;
mod password;
mod phone;
mod policy;
mod sending;

pub use address::{Address, AddressError, Alias, AliasError, LocalPart};
pub use clients::{ClientPolicy, EXTENSIONS, Port};
pub use inbound::{Disposition, Greylisting, InboundPolicy, Promise, PromiseMode, Rates, Silence, Tarpit, Work};
pub use listeners::{BeforeLogin, ListenerPolicy, MOST_BEFORE_LOGIN, Places, Reading, Receiving};
pub use notifications::{NotificationPolicy, day_of, next_day};
pub use number::MailboxNumber;
pub use opening::{Decision, DocumentProof, Grade, Graded, OpeningPolicy, PersonProof, Proofs};
pub use password::PasswordError;
pub use phone::{Phone, PhoneError};
pub use policy::{MAX_ALIASES, MailboxKind, MailboxPolicy, SHIPPED};
pub use sending::{Allowance, Conversation, SendingPolicy};
