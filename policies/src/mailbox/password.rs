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
    #[error("the password holds the mailbox number, or repeats or counts as many do; choose a few unrelated words")]
    Plain,
}

pub(super) fn judge(password: &str, owner: Option<MailboxNumber>, min: usize, max: usize) -> Result<(), PasswordError> {
    if password.len() > max {
        return Err(PasswordError::TooLong { max });
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordError::Control);
    }
    if password.chars().count() < min {
        return Err(PasswordError::TooShort { min });
    }
    if repeats(password) || counts(password) || owner.is_some_and(|owner| password.contains(&owner.to_string())) { Err(PasswordError::Plain) } else { Ok(()) }
}

/// Up to four characters again and again, such as `aaaaaaaaaaaa` or `123412341234`.
fn repeats(password: &str) -> bool {
    (1..=4).any(|period| password.chars().skip(period).zip(password.chars()).all(|(after, before)| after == before))
}

/// Each character follows the one before, up or down, such as `abcdefghijkl` or `123456789012`.
fn counts(password: &str) -> bool {
    let follows = |(before, after): (char, char)| match (before.to_digit(10), after.to_digit(10)) {
        (Some(before), Some(after)) => (before + 1) % 10 == after,
        _ => u32::from(before).checked_add(1) == Some(u32::from(after)),
    };
    let pairs = || password.chars().zip(password.chars().skip(1));
    pairs().all(follows) || pairs().all(|(before, after)| follows((after, before)))
}
