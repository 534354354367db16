//! Who acts for a bureau, as the log names them: by the name they give and by the account they come from, which the system
//! tells. Who may use that account is the operator's to say.

use super::problem::DeskError;

const MAX_CHARACTERS: usize = 60;
const MAX_REASON: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Officer {
    name: String,
    user: u32,
}

impl Officer {
    /// One line of at most 60 characters, without digits in a row that could be a person's number.
    pub fn new(name: &str, user: u32) -> Result<Self, DeskError> {
        let name = name.trim();
        let fits = !name.is_empty() && name.chars().count() <= MAX_CHARACTERS && !name.chars().any(char::is_control) && !bears_number(name);
        if fits { Ok(Self { name: name.to_owned(), user }) } else { Err(DeskError::Request("an officer is told by a name of one line, at most 60 characters, or by a staff number of at most 8 digits; give it with --officer".into())) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn user(&self) -> u32 {
        self.user
    }
}

/// Why an officer does something, as the log keeps it for ever.
pub fn reason(text: &str) -> Result<&str, DeskError> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= MAX_REASON && !text.chars().any(char::is_control) && !bears_number(text);
    if fits { Ok(text) } else { Err(DeskError::Request("a reason is one line of at most 200 characters, without digits that could be a person's number; give it with --reason".into())) }
}

/// Digits that could be a person's number: nine in a row, or fifteen with spaces and dashes between them, as they are read out.
fn bears_number(text: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit() || ('０'..='９').contains(&c);
    let most = |text: &str| text.split(|c| !digit(c)).map(|run| run.chars().count()).max().unwrap_or(0);
    let joined: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '－' | '–' | '—' | '.' | '·')).collect();
    most(text) >= 9 || most(&joined) >= 15
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

    #[test]
    fn reasons_but_no_numbers_of_persons() {
        for right in [" 2026-11-29 法定代表人持营业执照到场 ", "复议案号 2026-118，共 3 页", "x"] {
            assert_eq!(reason(right).unwrap(), right.trim());
        }
        for wrong in ["", " ", "a\nb", "查 440105190003010052", "查 440105 19000301 005X 的申报", "查 ４４０１０５１９０００３０１００５２", "致电 13800000000", &"x".repeat(201)] {
            let refused = reason(wrong).unwrap_err().to_string();
            assert!(refused.contains("--reason") && !refused.contains("4401"), "{wrong}");
        }
    }
}
