//! That nobody has logged in to a mailbox: it stands from the opening on until the first login takes it away. A mailbox of before there was
//! this has none, since nobody knows.

use policies::mailbox::MailboxNumber;
use store::Key;

use super::VERSION;

pub fn key(number: MailboxNumber) -> Key {
    Key::numbered("unentered mailbox", &[], number.get())
}

pub fn mark() -> Vec<u8> {
    vec![VERSION]
}
