//! A sheet as JSON: one object, the names of the wire; amounts, rates and months are strings, counts are numbers.

use policies::statement::Form;

use super::correction::{self, Correction};
use super::sheet::Sheet;

pub(super) fn json(sheet: &Sheet, correction: Option<&Correction<'_>>) -> String {
    let mut out = String::with_capacity(2048);
    out.push_str("{\n\"kind\": ");
    string(sheet.kind().name(), &mut out);
    for figure in &sheet.figures {
        out.push_str(",\n");
        string(figure.key, &mut out);
        out.push_str(": ");
        match figure.form {
            Form::Count | Form::Number => out.push_str(&figure.value),
            _ => string(&figure.value, &mut out),
        }
    }
    if let Some(history) = &sheet.history {
        history.json(&mut out);
    }
    if let Some(correction) = correction {
        correction::json(correction, &mut out);
    }
    out.push_str("\n}\n");
    out
}

// spec: rfc8259#7; the values hold no control characters, but one would not make other JSON of it.
pub(super) fn string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out.push('"');
}
