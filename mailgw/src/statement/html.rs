//! A sheet as HTML for a phone: one column, no script, nothing fetched, styles inline, readable in the dark.
//!
//! Text and ground keep the reader's own colours, but for the card with the answer, which sets both. Lines stay short,
//! so that quoted-printable keeps them in place and messages of one kind compress against each other.

use policies::mailbox::Address;
use policies::statement::{Figure, Form};

use super::advice;
use super::correction::{self, Correction};
use super::history::History;
use super::sender::Sender;
use super::sheet::{Pair, Sheet, shown};

const PAGE: &str = "max-width:34em;margin:0 auto;padding:16px;\nfont:16px/1.4 sans-serif;overflow-wrap:break-word";
const CARD: &str = "background:#0b5345;color:#fff;border-radius:12px;\npadding:12px 16px";
pub(super) const TABLE: &str = "width:100%;border-collapse:collapse;text-align:right;";
pub(super) const HEADING: &str = "text-align:left;font-weight:normal;";

pub(super) fn html(sheet: &Sheet, sender: &Sender, to: &Address, correction: Option<&Correction<'_>>) -> String {
    wrapped(sheet.title(), &sheet.month(), &sheet.month_en(), |out| {
        out.push_str("<p style=\"margin:12px 0\">");
        escape(sender.name.as_str(), out);
        out.push_str("<br>\n<small lang=\"en\">");
        escape(sender.name_en.as_str(), out);
        out.push_str("</small><br>\n");
        for figure in sheet.owner() {
            // A name of another script turns nothing beside it.
            out.push_str("<bdi>");
            escaped(figure, out);
            out.push_str("</bdi>\n");
        }
        out.push_str("</p>\n");
        if let Some(correction) = correction {
            correction::html(correction, out);
        }
        card(sheet.answer(), sheet.history.as_ref().and_then(History::changed), out);
        if let Some(history) = &sheet.history {
            history.html(out);
        }
        for (title, figures) in sheet.sections() {
            table(title, figures, out);
        }
        advice::html(&advice::notes(sender, sheet.statement_id(), &sheet.file_name(), Some(to)), out);
    })
}

/// A page with its headline around a content.
pub(super) fn wrapped((title, title_en): (&str, &str), month: &str, month_en: &str, content: impl FnOnce(&mut String)) -> String {
    let mut page = String::with_capacity(16 * 1024);
    let out = &mut page;
    // A kind's title comes from a policy file, which writes no HTML.
    let [title, title_en] = [title, title_en].map(|words| {
        let mut text = String::with_capacity(words.len());
        escape(words, &mut text);
        text
    });
    push(out, &[
        "<!doctype html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n",
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n",
        "<meta name=\"color-scheme\" content=\"light dark\">\n",
        // Amounts and account numbers are no telephone numbers.
        "<meta name=\"format-detection\"\ncontent=\"telephone=no,date=no,address=no,email=no\">\n<title>",
        &title, " ", month, "</title>\n</head>\n<body style=\"margin:0\">\n",
        // Web mail drops the outer elements: what they say is said again.
        "<div lang=\"zh-CN\" style=\"", PAGE, "\">\n<h1 style=\"font-size:20px;line-height:1.3;margin:0\">", &title,
        "\n<span style=\"white-space:nowrap\">", month, "</span></h1>\n<p lang=\"en\" style=\"margin:0\">", &title_en, " ",
        month_en, "</p>\n",
    ]);
    content(out);
    out.push_str("</div>\n</body>\n</html>\n");
    page
}

/// What matters, the first of it large, and what changed since the month before.
fn card<'a>(mut answer: impl Iterator<Item = &'a Figure>, changed: Option<([String; 2], String)>, out: &mut String) {
    push(out, &["<div style=\"", CARD, "\">\n"]);
    if let Some(figure) = answer.next() {
        push(out, &["<p style=\"margin:0 0 8px\">", figure.zh, "\n<small lang=\"en\">", figure.en, "</small><br>\n<b style=\"font-size:28px\">"]);
        escaped(figure, out);
        out.push_str("</b></p>\n");
    }
    push(out, &["<table style=\"", TABLE, "\ncolor:#fff\">\n<caption style=\"text-align:left;font-weight:bold\">\n本月概要 <span lang=\"en\">In short</span></caption>\n"]);
    if let Some(([chinese, english], amount)) = changed {
        head(&chinese, &english, "<tr>", "width:60%;padding:4px 0", out);
        push(out, &["<td style=\"white-space:nowrap\">", &amount, "</td></tr>\n"]);
    }
    answer.for_each(|figure| row(figure, "<tr>", "padding:4px 0", out));
    out.push_str("</table>\n</div>\n");
}

fn table<'a>((title, title_en): Pair, figures: impl Iterator<Item = &'a Figure>, out: &mut String) {
    push(out, &["<table style=\"", TABLE, "\nmargin-top:24px\">\n"]);
    push(out, &["<caption style=\"text-align:left;font-weight:bold;padding:4px 0\">\n", title, " <span lang=\"en\">", title_en, "</span></caption>\n"]);
    figures.for_each(|figure| row(figure, "<tr style=\"border-top:1px solid #8886\">", "padding:6px 0", out));
    out.push_str("</table>\n");
}

fn row(figure: &Figure, open: &str, padding: &str, out: &mut String) {
    // An amount is never broken over two lines; the name of an employer may be, anywhere, and has the more room.
    let (width, breaks) = match figure.form {
        Form::Amount | Form::Rate | Form::Count | Form::Number => ("width:60%;", "white-space:nowrap"),
        Form::Month | Form::Date | Form::Code => ("width:40%;", ""),
        Form::Text => ("width:40%;", "word-break:break-word;padding:6px 0 6px 12px"),
    };
    head(figure.zh, figure.en, open, &[width, padding].concat(), out);
    match breaks {
        "" => out.push_str("<td>"),
        breaks => push(out, &["<td style=\"", breaks, "\">"]),
    }
    escaped(figure, out);
    if let Some((_, english)) = figure.meaning {
        push(out, &["\n<br><small lang=\"en\">", english, "</small>"]);
    }
    out.push_str("</td></tr>\n");
}

/// The heading of a row.
fn head(chinese: &str, english: &str, open: &str, style: &str, out: &mut String) {
    push(out, &[open, "\n<th scope=\"row\" style=\"", HEADING, "\n", style, "\">", chinese, "\n<br><small lang=\"en\">", english, "</small></th>\n"]);
}

fn escaped(figure: &Figure, out: &mut String) {
    let mut text = String::with_capacity(64);
    shown(figure, &mut text);
    escape(&text, out);
}

pub(super) fn push(out: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| out.push_str(part));
}

pub(super) fn escape(text: &str, out: &mut String) {
    for piece in text.split_inclusive(['&', '<', '>', '"', '\'']) {
        let (plain, entity) = match piece.chars().next_back() {
            Some('&') => (piece.strip_suffix('&'), "&amp;"),
            Some('<') => (piece.strip_suffix('<'), "&lt;"),
            Some('>') => (piece.strip_suffix('>'), "&gt;"),
            Some('"') => (piece.strip_suffix('"'), "&quot;"),
            Some('\'') => (piece.strip_suffix('\''), "&#39;"),
            _ => (None, ""),
        };
        out.push_str(plain.unwrap_or(piece));
        out.push_str(entity);
    }
}
