//! What may be sent, and how long it is tried.

use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use super::policy::MailboxKind;
use crate::document::{PolicyError, read};

/// What one mailbox may send to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub messages_per_hour: u32,
    pub messages_per_day: u32,
    /// Each recipient of each message counts.
    pub recipients_per_day: u32,
}

/// Had only from a document that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingPolicy {
    citizen: Allowance,
    institution: Allowance,
    retry_minutes: Vec<u32>,
    give_up_hours: u32,
    late_after_hours: u32,
    per_destination: usize,
    per_sender: usize,
    at_once: usize,
    conversation: Conversation,
}

/// How long another server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub connect_seconds: u32,
    pub reply_seconds: u32,
    /// For the next piece of a message to be taken.
    pub piece_seconds: u32,
    /// For the reply to a whole message.
    pub end_seconds: u32,
    /// For all of one try, and beside it a second for so many bytes.
    pub whole_seconds: u32,
    pub least_bytes_per_second: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    citizen: AllowanceWords,
    institution: AllowanceWords,
    queue: QueueWords,
    conversation: ConversationWords,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConversationWords {
    connect_seconds: Spanned<u32>,
    reply_seconds: Spanned<u32>,
    piece_seconds: Spanned<u32>,
    end_seconds: Spanned<u32>,
    whole_seconds: Spanned<u32>,
    least_bytes_per_second: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowanceWords {
    messages_per_hour: Spanned<u32>,
    messages_per_day: Spanned<u32>,
    recipients_per_day: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueWords {
    retry_minutes: Spanned<Vec<u32>>,
    give_up_hours: Spanned<u32>,
    late_after_hours: Spanned<u32>,
    per_destination: Spanned<u32>,
    per_sender: Spanned<u32>,
    at_once: Spanned<u32>,
}

const MILLIS_PER_MINUTE: u64 = 60_000;
const MILLIS_PER_HOUR: u64 = 60 * MILLIS_PER_MINUTE;

impl SendingPolicy {
    pub(super) fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let Document { citizen, institution, queue, conversation } = read(file, text)?;
        let within = |value: &Spanned<u32>, least: u32, most: u32, unit: &str| {
            let fits = (least..=most).contains(value.get_ref());
            if fits { Ok(*value.get_ref()) } else { Err(PolicyError::at(file, text, Some(value.span()), format!("it is {least} to {most} {unit}"))) }
        };
        let allowance = |words: &AllowanceWords| {
            let messages_per_hour = within(&words.messages_per_hour, 1, 1_000_000, "messages")?;
            let messages_per_day = within(&words.messages_per_day, messages_per_hour, 1_000_000, "messages, no fewer than in an hour")?;
            let recipients_per_day = within(&words.recipients_per_day, messages_per_day, 10_000_000, "recipients, no fewer than messages")?;
            Ok(Allowance { messages_per_hour, messages_per_day, recipients_per_day })
        };
        let retry = queue.retry_minutes.get_ref();
        let rises = retry.iter().zip(retry.iter().skip(1)).all(|(before, after)| before <= after);
        if !(1..=20).contains(&retry.len()) || !rises || retry.iter().any(|minutes| !(1..=1_440).contains(minutes)) {
            let reason = "times between tries are 1 to 1440 minutes, 1 to 20 of them, none shorter than the one before";
            return Err(PolicyError::at(file, text, Some(queue.retry_minutes.span()), reason));
        }
        // spec: rfc5321#4.5.4.1 at least four to five days
        let give_up_hours = within(&queue.give_up_hours, 96, 720, "hours")?;
        let late_after_hours = within(&queue.late_after_hours, 0, give_up_hours, "hours")?;
        let per_destination = within(&queue.per_destination, 1, 100, "messages")?;
        let at_once = within(&queue.at_once, per_destination, 1_000, "messages, no fewer than for one domain")?;
        let per_sender = within(&queue.per_sender, 1, at_once, "messages, no more than to all")?;
        // spec: rfc5321#4.5.3.2
        let end_seconds = within(&conversation.end_seconds, 600, 3_600, "seconds")?;
        let conversation = Conversation {
            connect_seconds: within(&conversation.connect_seconds, 5, 300, "seconds")?,
            reply_seconds: within(&conversation.reply_seconds, 300, 3_600, "seconds")?,
            piece_seconds: within(&conversation.piece_seconds, 180, 3_600, "seconds")?,
            end_seconds,
            whole_seconds: within(&conversation.whole_seconds, end_seconds, 86_400, "seconds, no fewer than for the reply to a message")?,
            least_bytes_per_second: within(&conversation.least_bytes_per_second, 1_024, 1 << 20, "bytes a second")?,
        };
        let (citizen, institution) = (allowance(&citizen)?, allowance(&institution)?);
        Ok(Self {
            citizen,
            institution,
            retry_minutes: retry.clone(),
            give_up_hours,
            late_after_hours,
            per_destination: per_destination as usize,
            per_sender: per_sender as usize,
            at_once: at_once as usize,
            conversation,
        })
    }

    pub fn allowance(&self, kind: MailboxKind) -> Allowance {
        match kind {
            MailboxKind::Citizen => self.citizen,
            MailboxKind::Institution => self.institution,
        }
    }

    /// Milliseconds to the next try after so many have failed, at least one.
    pub fn retry_after(&self, tries: u32) -> u64 {
        let place = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let minutes = self.retry_minutes.get(place).or(self.retry_minutes.last()).copied().unwrap_or(30);
        u64::from(minutes) * MILLIS_PER_MINUTE
    }

    /// Milliseconds after which a message is returned.
    pub fn give_up_after(&self) -> u64 {
        u64::from(self.give_up_hours) * MILLIS_PER_HOUR
    }

    /// Milliseconds after which its sender hears that a message is late.
    pub fn late_after(&self) -> Option<u64> {
        (self.late_after_hours > 0).then(|| u64::from(self.late_after_hours) * MILLIS_PER_HOUR)
    }

    pub fn per_destination(&self) -> usize {
        self.per_destination
    }

    /// Of one mailbox, to whichever domains.
    pub fn per_sender(&self) -> usize {
        self.per_sender
    }

    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// How long another server may take.
    pub fn conversation(&self) -> Conversation {
        self.conversation
    }

    pub(super) fn resolved(&self, text: &mut String) {
        let mut line = |name: &str, value: String| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        for (whose, allowance) in [("a citizen", self.citizen), ("an institution", self.institution)] {
            let Allowance { messages_per_hour, messages_per_day, recipients_per_day } = allowance;
            line(&format!("sent by {whose}"), format!("{messages_per_hour} messages an hour, {messages_per_day} a day, to {recipients_per_day} recipients a day"));
        }
        let minutes: Vec<String> = self.retry_minutes.iter().map(u32::to_string).collect();
        line("minutes between tries", minutes.join(", "));
        line("hours until it is returned", self.give_up_hours.to_string());
        line("hours until it is called late", self.late_after_hours.to_string());
        line("messages on their way at once", format!("{} to one domain, {} of one sender, {} to all", self.per_destination, self.per_sender, self.at_once));
        let Conversation { connect_seconds, reply_seconds, piece_seconds, end_seconds, whole_seconds, least_bytes_per_second } = self.conversation;
        line("seconds for another server", format!("{connect_seconds} to be reached, {reply_seconds} for a reply, {piece_seconds} for a piece, {end_seconds} for the reply to a message"));
        line("seconds for a try", format!("{whole_seconds}, and one for each {least_bytes_per_second} bytes"));
    }
}
