//! What a password must be: long enough, and nothing that everyone can see.

use super::number::MailboxNumber;

/// Why a password was refused. Fields never hold the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the password has fewer than {min} characters; a few unrelated words are easy to keep")]
    TooShort { min: usize },
    #[error("the password has more than {max} bytes; shorten it")]
    TooLong { max: usize },
    #[error("the password has a control character; mail programs cannot send it")]
    Control,
    #[error("the password holds the mailbox number or is one character repeated; choose another")]
    Plain,
}

pub(super) fn judge(password: &str, owner: MailboxNumber, min: usize, max: usize) -> Result<(), PasswordError> {
    if password.len() > max {
        return Err(PasswordError::TooLong { max });
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordError::Control);
    }
    if password.chars().count() < min {
        return Err(PasswordError::TooShort { min });
    }
    let mut characters = password.chars();
    let first = characters.next();
    let plain = characters.all(|c| Some(c) == first) || password.contains(&owner.to_string());
    if plain { Err(PasswordError::Plain) } else { Ok(()) }
}
