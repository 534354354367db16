//! A sheet as JSON: one object, the names of the wire; amounts, rates and months are strings, counts are numbers.

use policies::statement::Form;

use super::correction::{self, Correction};
use super::frame::{Draft, Slot};
use super::sheet::{Plan, Sheet};
use crate::mime::quoted_printable::Quoted;

pub(super) fn draft(plan: Plan) -> Draft {
    let mut draft = Draft::default();
    draft.push(&["{\n\"kind\": \"", plan.kind.name(), "\""]);
    for (at, column) in plan.kind.columns().iter().enumerate() {
        let quote = if matches!(column.form, Form::Count | Form::Number) { "" } else { "\"" };
        draft.push(&[",\n\"", column.name, "\": ", quote]);
        draft.slot(Slot::Figure(at));
        draft.push(&[quote]);
    }
    draft.slot(Slot::History);
    draft.slot(Slot::Correction);
    draft.push(&["\n}\n"]);
    draft
}

/// What stands in a place of the draft.
pub(super) fn value(slot: Slot, sheet: &Sheet, correction: Option<&Correction<'_>>, out: &mut Quoted<'_>) {
    let mut text = String::new();
    match slot {
        Slot::Figure(column) => {
            let value = sheet.plain(column);
            if !value.contains(is_special) {
                return out.text(value);
            }
            escape(value, &mut text);
        }
        Slot::History => sheet.history.iter().for_each(|history| history.json(&mut text)),
        Slot::Correction => correction.iter().for_each(|correction| correction::json(correction, &mut text)),
        Slot::Meaning(_) | Slot::Number | Slot::Changed => {}
    }
    out.text(&text);
}

pub(super) fn string(text: &str, out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}

fn is_special(character: char) -> bool {
    matches!(character, '"' | '\\') || character.is_control()
}

// spec: rfc8259#7; the values hold no control characters, but one would not make other JSON of it.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
}
