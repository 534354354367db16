//! A sheet as plain text: short lines for a phone, in the order a screen reader should speak them.

use policies::statement::{Column, Form};

use super::advice::{self, Note};
use super::correction::{self, Correction};
use super::frame::{Draft, Slot};
use super::sender::Sender;
use super::sheet::{Plan, Sheet};
use crate::mime::quoted_printable::Quoted;

pub(super) fn draft(plan: Plan, sender: &Sender, notes: &[Note]) -> Draft {
    let mut draft = Draft::default();
    let (title, title_en) = plan.title();
    draft.push(&[title, " ", &plan.month(), "\n", title_en, " ", &plan.month_en(), "\n\n"]);
    draft.push(&[sender.name.as_str(), "\n", sender.name_en.as_str(), "\n"]);
    for (at, (column, _)) in plan.owner().enumerate() {
        draft.push(&[if at == 0 { "" } else { " " }]);
        draft.slot(Slot::Figure(column));
    }
    draft.push(&["\n\n"]);
    draft.slot(Slot::Correction);
    for (at, column) in plan.answer().enumerate() {
        line(column, &mut draft);
        if at == 0 {
            // What changed stands beside what it changed to.
            draft.slot(Slot::Changed);
        }
    }
    draft.slot(Slot::History);
    for ((title, title_en), columns) in plan.sections() {
        draft.push(&["\n【", title, " ", title_en, "】\n"]);
        columns.into_iter().for_each(|column| line(column, &mut draft));
    }
    let mut below = String::new();
    advice::text(notes, &mut below);
    draft.numbered(&below);
    draft
}

fn line((at, column): (usize, &Column), draft: &mut Draft) {
    draft.push(&[column.zh, " ", column.en, ": "]);
    draft.slot(Slot::Figure(at));
    if column.form == Form::Code {
        draft.slot(Slot::Meaning(at));
    }
    draft.push(&["\n"]);
}

/// What stands in a place of the draft.
pub(super) fn value(slot: Slot, sheet: &Sheet, correction: Option<&Correction<'_>>, out: &mut Quoted<'_>) {
    match slot {
        Slot::Figure(column) => out.piece(sheet.encoded(column)),
        Slot::Meaning(column) => {
            if let Some(english) = sheet.meaning(column) {
                out.text(" ");
                out.text(english);
            }
        }
        Slot::Number => out.text(&sheet.number),
        Slot::Changed => {
            if let Some(([chinese, english], amount)) = sheet.history.as_ref().and_then(|history| history.changed()) {
                [&chinese, " ", &english, ": ", &amount, "\n"].iter().for_each(|part| out.text(part));
            }
        }
        Slot::History => {
            if let Some(history) = &sheet.history {
                history.text(out);
            }
        }
        Slot::Correction => {
            if let Some(correction) = correction {
                let mut text = String::with_capacity(512);
                correction::text(correction, &mut text);
                out.text(&text);
            }
        }
    }
}
