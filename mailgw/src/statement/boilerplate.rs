//! What all statements of a sender in one month have in common: rendered and encoded once, however many are sent.

use policies::certificate::HostName;
use policies::mailbox::Address;
use policies::statement::{Kind, Period, Row};
use time::OffsetDateTime;

use super::advice;
use super::frame::{Frame, NUMBER};
use super::sender::Sender;
use super::sheet::{Plan, Sheet};
use super::{Beside, Entity, Parts, assemble, from_field, html, json, message_id, subject_field, text, token};

pub struct Boilerplate {
    plan: Plan,
    sender: Sender,
    domain: HostName,
    date: OffsetDateTime,
    from: Vec<u8>,
    subject: Vec<u8>,
    file_name: String,
    text: Frame,
    html: Frame,
    json: Frame,
}

impl Boilerplate {
    /// `domain` is the recipients'. `date` is when the bureau's batch was taken in, not when this runs: a push that goes on after a crash
    /// makes the same bytes.
    pub fn new(kind: Kind, period: Period, sender: &Sender, domain: &HostName, date: OffsetDateTime) -> Self {
        let plan = Plan { kind, period };
        let file_name = plan.file_name();
        let notes = advice::notes(sender, NUMBER, &file_name, Some(domain));
        let [(title, title_en), (month, month_en)] = [plan.title(), (&*plan.month(), &*plan.month_en())];
        Self {
            plan,
            from: from_field(sender),
            subject: subject_field(&format!("{title} {month} / {title_en} {month_en}")),
            text: text::draft(plan, sender, &notes).frame(),
            html: html::draft(plan, sender, &notes).frame(),
            json: json::draft(plan).frame(),
            sender: sender.clone(),
            domain: domain.clone(),
            date,
            file_name,
        }
    }

    /// Renders a row for `to`; with a correction it says which statement it supersedes.
    pub fn entity(&self, row: &Row, to: &Address, beside: &Beside<'_>) -> Entity {
        let head = row.head();
        if (Plan { kind: row.kind(), period: head.period }) != self.plan || *to.domain() != self.domain {
            // Of another month or for another domain: it has its own.
            return Self::new(row.kind(), head.period, &self.sender, to.domain(), self.date).entity(row, to, beside);
        }
        let (sheet, correction, statement) = (&Sheet::new(row, beside.history), beside.correction, head.stmt_id.as_str());
        let corrected = correction.map(|_| {
            let (title, title_en) = self.plan.title();
            subject_field(&format!("更正：{title} {} / Corrected: {title_en} {}", self.plan.month(), self.plan.month_en()))
        });
        assemble(&Parts {
            sender: &self.sender,
            to,
            date: self.date,
            token: token("suiyin statement v1", &self.sender, statement),
            statement,
            from: &self.from,
            subject: corrected.as_ref().unwrap_or(&self.subject),
            about: correction.map(|correction| message_id(&self.sender, &token("suiyin statement v1", &self.sender, correction.corrects.as_str()))),
            text: &|out| self.text.fill(out, |slot, out| text::value(slot, sheet, correction, out)),
            html: &|out| self.html.fill(out, |slot, out| html::value(slot, sheet, correction, out)),
            file_name: &self.file_name,
            json: &|out| self.json.fill(out, |slot, out| json::value(slot, sheet, correction, out)),
            // Values, a year of months and a header are less than once more.
            room: (self.text.octets() + self.html.octets() + self.json.octets()) * 3 / 2,
        })
    }
}
