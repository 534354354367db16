//! What a reader is told of a statement that no longer holds: above the one that supersedes it, or in a notice of its own.

use policies::statement::{Period, Reason, StatementId};

use super::advice;
use super::html::{escape, from, push, wrapped};
use super::json::string;
use super::sender::Sender;
use super::sheet::{Pair, month, month_en};

/// Why a statement comes that corrects another, and which.
#[derive(Clone, Copy)]
pub struct Correction<'a> {
    pub corrects: &'a StatementId,
    pub reason: &'a Reason,
}

/// A statement that is withdrawn, and why.
pub struct Withdrawal<'a> {
    /// As files name it, and its title in Chinese and English.
    pub kind: &'a str,
    pub title: (&'a str, &'a str),
    pub period: Period,
    pub statement: &'a StatementId,
    pub reason: &'a Reason,
}

/// Chinese and English, without the reason.
fn says(correction: &Correction<'_>) -> (String, String) {
    let old = correction.corrects;
    (
        format!("本对账单更正并取代编号 {old} 的对账单。原对账单保留在您的邮箱中，不再有效。"),
        format!("This statement corrects and supersedes statement {old}, which stays in your mailbox and holds no more."),
    )
}

fn reasons(reason: &Reason) -> [String; 2] {
    [format!("原因：{}", reason.chinese), format!("Reason: {}", reason.english)]
}

pub(super) fn text(correction: &Correction<'_>, out: &mut String) {
    let (chinese, english) = says(correction);
    let [why, why_en] = reasons(correction.reason);
    push(out, &["【更正 Correction】\n", &chinese, "\n", &why, "\n", &english, "\n", &why_en, "\n\n"]);
}

pub(super) fn html(correction: &Correction<'_>, out: &mut String) {
    let (chinese, english) = says(correction);
    banner(("更正", "Correction"), &[chinese, english], &reasons(correction.reason), out);
}

/// Framed, so that it is seen before the figures.
fn banner((title, title_en): Pair, [chinese, english]: &[String; 2], [why, why_en]: &[String; 2], out: &mut String) {
    push(out, &["<div role=\"note\" style=\"border:2px solid #c0392b;\nborder-radius:12px;padding:12px 16px;margin:12px 0\">\n"]);
    push(out, &["<p style=\"margin:0\"><b>", title, "\n<span lang=\"en\">", title_en, "</span></b></p>\n"]);
    for (open, says, why) in [("<p style=\"margin:4px 0\">", chinese, why), ("<p lang=\"en\" style=\"margin:4px 0;font-size:14px\">", english, why_en)] {
        out.push_str(open);
        escape(says, out);
        out.push_str("<br>\n");
        escape(why, out);
        out.push_str("</p>\n");
    }
    out.push_str("</div>\n");
}

/// The members that a superseding statement has besides.
pub(super) fn json(correction: &Correction<'_>, out: &mut String) {
    let Reason { chinese, english } = correction.reason;
    for (name, value) in [("supersedes", correction.corrects.as_str()), ("reason", chinese), ("reason_en", english)] {
        push(out, &[",\n\"", name, "\": "]);
        string(value, out);
    }
}

impl Withdrawal<'_> {
    pub(super) fn subject(&self) -> String {
        let (title, title_en) = self.title;
        format!("撤回：{title} {} / Withdrawn: {title_en} {}", month(self.period), month_en(self.period))
    }

    fn says(&self) -> [String; 2] {
        let ((title, title_en), old) = (self.title, self.statement);
        [
            format!("{}的{title}（编号 {old}）已撤回，不再有效。原邮件保留在您的邮箱中，请勿据此办理事务。", month(self.period)),
            format!("The {title_en} of {} ({old}) is withdrawn and holds no more. Its mail stays in your mailbox; please do not rely on it.", month_en(self.period)),
        ]
    }

    pub(super) fn text(&self, sender: &Sender) -> String {
        let ([chinese, english], [why, why_en]) = (self.says(), reasons(self.reason));
        let mut out = String::with_capacity(2_048);
        push(&mut out, &["撤回通知\nWithdrawal\n\n", sender.name.as_str(), "\n", sender.name_en.as_str(), "\n\n"]);
        push(&mut out, &[&chinese, "\n", &why, "\n", &english, "\n", &why_en, "\n"]);
        advice::text(&advice::notes(sender, self.statement.as_str(), &self.file_name(), None), &mut out);
        out
    }

    pub(super) fn html(&self, sender: &Sender) -> String {
        wrapped(("撤回通知", "Withdrawal"), &month(self.period), &month_en(self.period), |out| {
            from(sender, out);
            banner(("撤回", "Withdrawn"), &self.says(), &reasons(self.reason), out);
            advice::html(&advice::notes(sender, self.statement.as_str(), &self.file_name(), None), out);
        })
    }

    pub(super) fn json(&self) -> String {
        let (period, Reason { chinese, english }) = (self.period.to_string(), self.reason);
        let mut out = String::from("{\n\"kind\": ");
        string(self.kind, &mut out);
        for (name, value) in [("period", period.as_str()), ("withdraws", self.statement.as_str()), ("reason", chinese), ("reason_en", english)] {
            push(&mut out, &[",\n\"", name, "\": "]);
            string(value, &mut out);
        }
        out.push_str("\n}\n");
        out
    }

    pub(super) fn file_name(&self) -> String {
        format!("withdrawal-{}.json", self.period)
    }
}
