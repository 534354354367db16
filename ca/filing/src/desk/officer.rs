//! Who acts for a bureau, as the log names them: by the name they give and by the account they come from, which the system
//! tells. Who may use that account is the operator's to say.

use super::problem::DeskError;

const MAX_CHARACTERS: usize = 60;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Officer {
    name: String,
    user: u32,
}

impl Officer {
    /// One line of at most 60 characters, without digits in a row that could be a person's number.
    pub fn new(name: &str, user: u32) -> Result<Self, DeskError> {
        let name = name.trim();
        let digits = name.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
        let fits = !name.is_empty() && name.chars().count() <= MAX_CHARACTERS && !name.chars().any(char::is_control) && digits < 9;
        if fits { Ok(Self { name: name.to_owned(), user }) } else { Err(DeskError::Request("an officer is told by a name of one line, at most 60 characters, or by a staff number of at most 8 digits; give it with --officer".into())) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn user(&self) -> u32 {
        self.user
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_but_no_numbers_of_persons() {
        assert_eq!(Officer::new(" 陈一 A-17 ", 1000).unwrap().name(), "陈一 A-17");
        for wrong in ["", " ", "a\nb", "440105190003010052", &"x".repeat(61)] {
            assert!(Officer::new(wrong, 0).is_err(), "{wrong}");
        }
    }
}
