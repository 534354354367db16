//! A sheet as plain text: short lines for a phone, in the order a screen reader should speak them.

use policies::mailbox::Address;
use policies::statement::Figure;

use super::advice;
use super::correction::{self, Correction};
use super::history::History;
use super::html::push;
use super::sender::Sender;
use super::sheet::{Sheet, shown};

pub(super) fn text(sheet: &Sheet, sender: &Sender, to: &Address, correction: Option<&Correction<'_>>) -> String {
    let mut out = String::with_capacity(4096);
    let (title, title_en) = sheet.title();
    push(&mut out, &[title, " ", &sheet.month(), "\n", title_en, " ", &sheet.month_en(), "\n\n"]);
    push(&mut out, &[sender.name.as_str(), "\n", sender.name_en.as_str(), "\n"]);
    for (index, figure) in sheet.owner().enumerate() {
        push(&mut out, &[if index == 0 { "" } else { " " }]);
        shown(figure, &mut out);
    }
    out.push_str("\n\n");
    if let Some(correction) = correction {
        correction::text(correction, &mut out);
    }
    for (index, figure) in sheet.answer().enumerate() {
        line(figure, &mut out);
        // What changed stands beside what it changed to.
        if let Some(([chinese, english], amount)) = sheet.history.as_ref().filter(|_| index == 0).and_then(History::changed) {
            push(&mut out, &[&chinese, " ", &english, ": ", &amount, "\n"]);
        }
    }
    if let Some(history) = &sheet.history {
        history.text(&mut out);
    }
    for ((title, title_en), figures) in sheet.sections() {
        push(&mut out, &["\n【", title, " ", title_en, "】\n"]);
        figures.for_each(|figure| line(figure, &mut out));
    }
    advice::text(&advice::notes(sender, sheet.statement_id(), &sheet.file_name(), Some(to)), &mut out);
    out
}

fn line(figure: &Figure, out: &mut String) {
    push(out, &[figure.zh, " ", figure.en, ": "]);
    shown(figure, out);
    if let Some((_, english)) = figure.meaning {
        push(out, &[" ", english]);
    }
    out.push('\n');
}
