//! A message of a kind that a policy defines, as text, HTML and JSON of the same figures.

use policies::mailbox::Address;
use policies::sender::{Evidence, Letter, LetterFigure, LetterKind};
use policies::statement::{Form, Period};

use super::advice::{self, Note};
use super::correction::{self, Correction};
use super::html::{AMOUNT, HEADING, LINED, TABLE, WORDS, escape, from, meant, push, wrapped};
use super::json::string;
use super::sender::Sender;
use super::sheet::{month, month_en, say};

/// What is rendered.
pub(super) struct Page<'a> {
    pub kind: &'a LetterKind,
    pub letter: &'a Letter,
    pub to: &'a Address,
    pub correction: Option<&'a Correction<'a>>,
}

/// A figure as people read it in Chinese.
fn chinese(figure: &LetterFigure) -> String {
    let mut out = String::with_capacity(64);
    say(figure.form, &figure.value, figure.meaning.as_ref().map(|(chinese, _)| chinese.as_str()), &mut out);
    out
}

/// And in English: what has no unit of its own in the value has one before it.
fn english(figure: &LetterFigure) -> String {
    match (figure.form, &figure.meaning) {
        (_, Some((_, english))) => english.clone(),
        (Form::Amount, None) => format!("CNY {}", figure.value),
        (Form::Rate, None) => format!("{} %", figure.value),
        (Form::Month, None) => Period::parse(&figure.value).map_or_else(|_| figure.value.clone(), month_en),
        _ => figure.value.clone(),
    }
}

impl Page<'_> {
    pub fn subject(&self) -> String {
        let ((title, title_en), period) = (self.kind.title(), self.letter.period);
        let (mark, mark_en) = if self.correction.is_some() { ("更正：", "Corrected: ") } else { ("", "") };
        format!("{mark}{title} {} / {mark_en}{title_en} {}", month(period), month_en(period))
    }

    pub fn file_name(&self) -> String {
        format!("{}-{}.json", self.kind.name(), self.letter.period)
    }

    /// Of what is not kept on record nobody has it that it was read.
    fn notes(&self, sender: &Sender) -> Vec<Note> {
        let on_record = (self.kind.evidence() == Evidence::Registered).then_some(self.to.domain());
        let notes = advice::notes(sender, self.letter.stmt_id.as_str(), &self.file_name(), on_record).into_iter();
        notes.chain(self.kind.needs_consent().then(|| advice::consented(sender, self.kind.name(), self.to.domain().as_str()))).collect()
    }

    fn paragraphs(&self) -> [Vec<String>; 2] {
        let (zh, en) = self.kind.template();
        let (letter, period) = (self.letter, self.letter.period);
        [zh.filled(&month(period), &letter.figures, chinese), en.filled(&month_en(period), &letter.figures, english)]
    }

    pub fn text(&self, sender: &Sender) -> String {
        let ((title, title_en), period) = (self.kind.title(), self.letter.period);
        let mut out = String::with_capacity(4_096);
        push(&mut out, &[title, " ", &month(period), "\n", title_en, " ", &month_en(period), "\n\n"]);
        push(&mut out, &[sender.name.as_str(), "\n", sender.name_en.as_str(), "\n\n"]);
        if let Some(correction) = self.correction {
            correction::text(correction, &mut out);
        }
        for paragraph in self.paragraphs().into_iter().flatten() {
            push(&mut out, &[&paragraph, "\n"]);
        }
        out.push('\n');
        for figure in &self.letter.figures {
            push(&mut out, &[&figure.chinese, " ", &figure.english, ": ", &chinese(figure)]);
            if let Some((_, english)) = &figure.meaning {
                push(&mut out, &[" ", english]);
            }
            out.push('\n');
        }
        advice::text(&self.notes(sender), &mut out);
        out
    }

    pub fn html(&self, sender: &Sender) -> String {
        let period = self.letter.period;
        wrapped(self.kind.title(), &month(period), &month_en(period), |out| {
            from(sender, out);
            if let Some(correction) = self.correction {
                correction::html(correction, out);
            }
            let [zh, en] = self.paragraphs();
            for (paragraphs, open) in [(zh, "<p style=\"margin:8px 0\"><bdi>"), (en, "<p lang=\"en\" style=\"margin:8px 0;font-size:14px\"><bdi>")] {
                for paragraph in paragraphs {
                    out.push_str(open);
                    escape(&paragraph, out);
                    out.push_str("</bdi></p>\n");
                }
            }
            push(out, &[TABLE, "\">\n<col width=\"40%\">\n"]);
            self.letter.figures.iter().for_each(|figure| row(figure, out));
            out.push_str("</table>\n");
            advice::html(&self.notes(sender), out);
        })
    }

    pub fn json(&self) -> String {
        let (letter, period) = (self.letter, self.letter.period.to_string());
        let mut out = String::from("{\n\"kind\": ");
        string(self.kind.name(), &mut out);
        for (name, value) in [("stmt_id", letter.stmt_id.as_str()), ("period", &period)] {
            push(&mut out, &[",\n\"", name, "\": "]);
            string(value, &mut out);
        }
        for figure in &letter.figures {
            push(&mut out, &[",\n\"", &figure.key, "\": "]);
            match figure.form {
                Form::Number | Form::Count => out.push_str(&number(&figure.value)),
                _ => string(&figure.value, &mut out),
            }
        }
        if let Some(correction) = self.correction {
            correction::json(correction, &mut out);
        }
        out.push_str("\n}\n");
        out
    }
}

/// A whole number in JSON has no leading nought.
fn number(text: &str) -> String {
    text.parse::<u32>().map_or_else(|_| "0".to_owned(), |number| number.to_string())
}

fn row(figure: &LetterFigure, out: &mut String) {
    let cell = if matches!(figure.form, Form::Text | Form::Code) { WORDS } else { AMOUNT };
    push(out, &[LINED, HEADING, ">\n"]);
    escape(&figure.chinese, out);
    out.push_str("<br>\n<small lang=\"en\">");
    escape(&figure.english, out);
    push(out, &["</small></th>\n", cell, "<bdi>"]);
    escape(&chinese(figure), out);
    out.push_str("</bdi>");
    figure.meaning.iter().for_each(|(_, english)| meant(english, out));
    out.push_str("</td></tr>\n");
}
