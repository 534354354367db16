//! The mailbox policy, read from its eight documents and checked for sense.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use super::address::{Alias, AliasError};
use super::clients::ClientPolicy;
use super::inbound::InboundPolicy;
use super::listeners::ListenerPolicy;
use super::notifications::NotificationPolicy;
use super::number::MailboxNumber;
use super::opening::OpeningPolicy;
use super::password::{self, PasswordError};
use super::sending::SendingPolicy;
use crate::document::{PolicyError, named, one_of_each, read};

/// The most names of its own that any mailbox has.
pub const MAX_ALIASES: u8 = 8;

/// File name and text of each document of `policies/mailbox/`, in the order of the names.
pub const SHIPPED: [(&str, &str); 8] = [
    ("aliases.toml", include_str!("../../mailbox/aliases.toml")),
    ("clients.toml", include_str!("../../mailbox/clients.toml")),
    ("inbound.toml", include_str!("../../mailbox/inbound.toml")),
    ("limits.toml", include_str!("../../mailbox/limits.toml")),
    ("listeners.toml", include_str!("../../mailbox/listeners.toml")),
    ("notifications.toml", include_str!("../../mailbox/notifications.toml")),
    ("opening.toml", include_str!("../../mailbox/opening.toml")),
    ("sending.toml", include_str!("../../mailbox/sending.toml")),
];

named! {
    /// Whose mailbox it is.
    MailboxKind {
        Citizen = "citizen",
        Institution = "institution",
    }
}

/// What holds for every mailbox. Had only from documents that make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxPolicy {
    min_alias: usize,
    max_alias: usize,
    reserved: BTreeSet<Alias>,
    institutional: BTreeSet<Alias>,
    citizen_aliases: usize,
    citizen_bytes: u64,
    institution_bytes: u64,
    message_bytes: u64,
    recipients: usize,
    min_password: usize,
    max_password: usize,
    notice_bytes: u64,
    deleted_days: u16,
    deleted_percent: u16,
    warning_percent: Vec<u8>,
    cooling_off_hours: u16,
    withdrawn_hours: u16,
    document_days: u16,
    arrange_bytes: u64,
    arrange_bytes_of_all: u64,
    compressed: usize,
    sending: SendingPolicy,
    clients: ClientPolicy,
    inbound: InboundPolicy,
    listeners: ListenerPolicy,
    opening: OpeningPolicy,
    notifications: NotificationPolicy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Aliases {
    min_characters: Spanned<u8>,
    max_characters: Spanned<u8>,
    reserved: Vec<Spanned<String>>,
    /// Absent in documents of before.
    #[serde(default)]
    institutional: Vec<Spanned<String>>,
    #[serde(default)]
    citizens: CitizenNames,
}

/// Absent in documents of before: citizens have the number alone.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CitizenNames {
    most: Option<Spanned<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    mailbox_bytes: MailboxBytes,
    message: Message,
    password: Password,
    notices: Notices,
    arranging: Arranging,
    compression: CompressionLimits,
    #[serde(default)]
    deleted: DeletedLimits,
    #[serde(default)]
    warnings: Warnings,
    #[serde(default)]
    recovery: RecoveryLimits,
}

/// Absent in documents of before: three days, fourteen after a withdrawal, and thirty of a document.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecoveryLimits {
    cooling_off_hours: Option<Spanned<u16>>,
    cooling_off_hours_after_withdrawal: Option<Spanned<u16>>,
    document_days: Option<Spanned<u16>>,
}

/// Absent in documents of before: thirty days, and as much as the quota.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeletedLimits {
    keep_days: Option<Spanned<u16>>,
    quota_percent: Option<Spanned<u16>>,
}

/// Absent in documents of before: at 80 and 95.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Warnings {
    percent: Option<Spanned<Vec<u8>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CompressionLimits {
    connections: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailboxBytes {
    citizen: Spanned<u64>,
    institution: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    max_bytes: Spanned<u64>,
    max_recipients: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    min_characters: Spanned<u16>,
    max_bytes: Spanned<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Notices {
    reserve_bytes: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arranging {
    bytes_of_one: Spanned<u64>,
    bytes_of_all: Spanned<u64>,
}

impl MailboxPolicy {
    /// Reads `aliases.toml`, `clients.toml`, `inbound.toml`, `limits.toml`, `listeners.toml`, `notifications.toml`, `opening.toml` and `sending.toml`: pairs of file name and text.
    pub fn parse<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyError> {
        let names = ["aliases.toml", "clients.toml", "inbound.toml", "limits.toml", "listeners.toml", "notifications.toml", "opening.toml", "sending.toml"];
        let [aliases, clients, inbound, limits, listeners, notifications, opening, sending] = one_of_each(names, documents)?;
        let names = Names::parse(aliases)?;
        let (file, text) = limits;
        let limits: Limits = read(file, text)?;
        let within = |value: &Spanned<u64>, least: u64, most: u64| {
            let reason = || format!("it is {least} to {most} bytes");
            let fits = (least..=most).contains(value.get_ref());
            if fits { Ok(*value.get_ref()) } else { Err(PolicyError::at(file, text, Some(value.span()), reason())) }
        };
        let message_bytes = within(&limits.message.max_bytes, 65_536, 1 << 30)?;
        let recipients = *limits.message.max_recipients.get_ref();
        // spec: rfc5321#4.5.3.1.8
        if !(100..=10_000).contains(&recipients) {
            return Err(PolicyError::at(file, text, Some(limits.message.max_recipients.span()), "recipients are 100 to 10000"));
        }
        let (min, max) = (limits.password.min_characters, limits.password.max_bytes);
        if !(8..=64).contains(min.get_ref()) {
            return Err(PolicyError::at(file, text, Some(min.span()), "a password has at least 8 to 64 characters"));
        }
        if !(64..=1024).contains(max.get_ref()) {
            return Err(PolicyError::at(file, text, Some(max.span()), "a password has at most 64 to 1024 bytes"));
        }
        let compressed = *limits.compression.connections.get_ref();
        if !(1..=100_000).contains(&compressed) {
            return Err(PolicyError::at(file, text, Some(limits.compression.connections.span()), "connections are 1 to 100000"));
        }
        let deleted_days = limits.deleted.keep_days.as_ref().map_or(30, |days| *days.get_ref());
        if let Some(days) = limits.deleted.keep_days.as_ref().filter(|days| !(1..=3_650).contains(days.get_ref())) {
            return Err(PolicyError::at(file, text, Some(days.span()), "days are 1 to 3650"));
        }
        let deleted_percent = limits.deleted.quota_percent.as_ref().map_or(100, |percent| *percent.get_ref());
        if let Some(percent) = limits.deleted.quota_percent.as_ref().filter(|percent| !(1..=1_000).contains(percent.get_ref())) {
            return Err(PolicyError::at(file, text, Some(percent.span()), "percent are 1 to 1000"));
        }
        let cooling_off_hours = limits.recovery.cooling_off_hours.as_ref().map_or(72, |hours| *hours.get_ref());
        if let Some(hours) = limits.recovery.cooling_off_hours.as_ref().filter(|hours| !(1..=720).contains(hours.get_ref())) {
            return Err(PolicyError::at(file, text, Some(hours.span()), "hours are 1 to 720"));
        }
        // Whose owner cannot object by a login waits no less.
        let withdrawn_hours = limits.recovery.cooling_off_hours_after_withdrawal.as_ref().map_or(cooling_off_hours.max(336), |hours| *hours.get_ref());
        if let Some(hours) = limits.recovery.cooling_off_hours_after_withdrawal.as_ref().filter(|hours| !(cooling_off_hours..=2_160).contains(hours.get_ref())) {
            return Err(PolicyError::at(file, text, Some(hours.span()), "hours are no fewer than without a withdrawal, and at most 2160"));
        }
        let document_days = limits.recovery.document_days.as_ref().map_or(30, |days| *days.get_ref());
        if let Some(days) = limits.recovery.document_days.as_ref().filter(|days| *days.get_ref() > 365) {
            return Err(PolicyError::at(file, text, Some(days.span()), "days are 0 to 365"));
        }
        let warning_percent = limits.warnings.percent.as_ref().map_or_else(|| vec![80, 95], |percent| percent.get_ref().clone());
        let rises = warning_percent.windows(2).all(|two| two.first() < two.last()) && warning_percent.iter().all(|percent| (1..=99).contains(percent));
        if let Some(percent) = limits.warnings.percent.as_ref().filter(|_| !rises || warning_percent.len() > 8) {
            return Err(PolicyError::at(file, text, Some(percent.span()), "they are at most eight, 1 to 99, each above the one before"));
        }
        let arrange_bytes = within(&limits.arranging.bytes_of_one, 1 << 20, 1 << 32)?;
        Ok(Self {
            min_alias: names.min,
            max_alias: names.max,
            reserved: names.reserved,
            institutional: names.institutional,
            citizen_aliases: names.citizens,
            // A mailbox holds at least one message of the largest size.
            citizen_bytes: within(&limits.mailbox_bytes.citizen, message_bytes, 1 << 50)?,
            institution_bytes: within(&limits.mailbox_bytes.institution, message_bytes, 1 << 50)?,
            message_bytes,
            recipients: recipients as usize,
            min_password: usize::from(min.into_inner()),
            max_password: usize::from(max.into_inner()),
            deleted_days,
            deleted_percent,
            warning_percent,
            cooling_off_hours,
            withdrawn_hours,
            document_days,
            notice_bytes: within(&limits.notices.reserve_bytes, 65_536, 1 << 30)?,
            arrange_bytes,
            arrange_bytes_of_all: within(&limits.arranging.bytes_of_all, arrange_bytes, 1 << 36)?,
            compressed: compressed as usize,
            sending: SendingPolicy::parse(sending)?,
            clients: ClientPolicy::parse(clients)?,
            inbound: InboundPolicy::parse(inbound)?,
            listeners: ListenerPolicy::parse(listeners, message_bytes)?,
            opening: OpeningPolicy::parse(opening)?,
            notifications: NotificationPolicy::parse(notifications)?,
        })
    }

    /// How many names a citizen may have beside the number.
    pub fn citizen_aliases(&self) -> usize {
        self.citizen_aliases
    }

    /// A name that somebody asks for; whether another has it already is for the directory to say.
    pub fn grant_alias(&self, text: &str) -> Result<Alias, AliasError> {
        let alias = Alias::parse_new(text)?;
        let (min, max) = (self.min_alias, self.max_alias);
        if !(min..=max).contains(&alias.as_str().len()) {
            return Err(AliasError::Length { min, max });
        }
        // `post-master`, `no.reply` and `adm1n` speak for the operator as well as the names themselves.
        let reserved = self.reserved.iter().any(|name| name.reads_like(&alias));
        if reserved { Err(AliasError::Reserved) } else { Ok(alias) }
    }

    /// What is asked beside it of a citizen's name: it speaks for no institution, also not for one whose mailbox is yet to come.
    pub fn grant_citizen(&self, alias: &Alias) -> Result<(), AliasError> {
        if self.institutional.iter().any(|word| alias.bears(word)) { Err(AliasError::Institutional) } else { Ok(()) }
    }

    /// `owner` is not known yet where the mailbox is applied for.
    pub fn judge_password(&self, password: &str, owner: Option<MailboxNumber>) -> Result<(), PasswordError> {
        password::judge(password, owner, self.min_password, self.max_password)
    }

    /// What mail programs are not offered.
    pub fn clients(&self) -> &ClientPolicy {
        &self.clients
    }

    /// The most bytes that a mailbox holds.
    pub fn mailbox_bytes(&self, kind: MailboxKind) -> u64 {
        match kind {
            MailboxKind::Citizen => self.citizen_bytes,
            MailboxKind::Institution => self.institution_bytes,
        }
    }

    /// Bytes beyond a full mailbox's own, for what the gateway itself has to tell its owner.
    pub fn notice_bytes(&self) -> u64 {
        self.notice_bytes
    }

    /// Days that a deleted message can be had back.
    pub fn deleted_days(&self) -> u16 {
        self.deleted_days
    }

    /// How much of the quota's octets deleted messages may take beside it, percent.
    pub fn deleted_percent(&self) -> u16 {
        self.deleted_percent
    }

    /// Hours between a proof of identity and the new password that it is for; `withdrawn`: the present one opens nothing.
    pub fn cooling_off_hours(&self, withdrawn: bool) -> u16 {
        if withdrawn { self.withdrawn_hours } else { self.cooling_off_hours }
    }

    /// Days after which a further document proves its owner.
    pub fn document_days(&self) -> u16 {
        self.document_days
    }

    /// How full a mailbox is when its owner is warned, ascending.
    pub fn warning_percent(&self) -> &[u8] {
        &self.warning_percent
    }

    /// Memory for what SORT and THREAD read: of one, and of all at one time.
    pub fn arrange_bytes(&self) -> (u64, u64) {
        (self.arrange_bytes, self.arrange_bytes_of_all)
    }

    /// Connections that are compressed at one time.
    pub fn compressed(&self) -> usize {
        self.compressed
    }

    /// The most bytes of one message.
    pub fn message_bytes(&self) -> u64 {
        self.message_bytes
    }

    /// The most recipients of one message.
    pub fn max_recipients(&self) -> usize {
        self.recipients
    }

    /// What may be sent, and how long it is tried.
    pub fn sending(&self) -> &SendingPolicy {
        &self.sending
    }

    /// What is made of mail from other hosts.
    pub fn inbound(&self) -> &InboundPolicy {
        &self.inbound
    }

    /// What each port grants to who connects.
    pub fn listeners(&self) -> &ListenerPolicy {
        &self.listeners
    }

    /// How applications are graded.
    pub fn opening(&self) -> &OpeningPolicy {
        &self.opening
    }

    /// How owners are told elsewhere that something arrived.
    pub fn notifications(&self) -> &NotificationPolicy {
        &self.notifications
    }

    /// The same meaning gives the same text: it is kept under test, so that a change of policy shows.
    pub fn resolved(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        line("number", "nine random digits and a check digit (ISO 7064 MOD 11,10)".to_owned());
        line("alias", "people and institutions; a to z first, then a to z, 0 to 9, single dots and hyphens".to_owned());
        line("alias characters", format!("{} to {}", self.min_alias, self.max_alias));
        line("aliases of a citizen, at most", self.citizen_aliases.to_string());
        for name in &self.reserved {
            line("reserved", name.to_string());
        }
        for word in &self.institutional {
            line("no citizen's name bears", word.to_string());
        }
        line("bytes of a citizen's mailbox", self.citizen_bytes.to_string());
        line("bytes of an institution's mailbox", self.institution_bytes.to_string());
        line("bytes of a message", self.message_bytes.to_string());
        line("recipients of a message", self.recipients.to_string());
        line("password characters, at least", self.min_password.to_string());
        line("password bytes, at most", self.max_password.to_string());
        line("bytes beyond it for notices of the gateway", self.notice_bytes.to_string());
        line("days that deleted messages are kept", self.deleted_days.to_string());
        line("percent of the quota that deleted messages take beside it", self.deleted_percent.to_string());
        line("owners are warned at percent", self.warning_percent.iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
        line("hours until a recovery is completed", self.cooling_off_hours.to_string());
        line("hours until a recovery is completed whose mailbox has no password", self.withdrawn_hours.to_string());
        line("days after which a further document proves its owner", self.document_days.to_string());
        line("bytes that messages being ordered take", format!("{} for one order, {} for all", self.arrange_bytes, self.arrange_bytes_of_all));
        line("connections compressed at one time", self.compressed.to_string());
        self.sending.resolved(&mut text);
        self.clients.resolved(&mut text);
        self.inbound.resolved(&mut text);
        self.listeners.resolved(&mut text);
        self.opening.resolved(&mut text);
        self.notifications.resolved(&mut text);
        text
    }
}

struct Names {
    min: usize,
    max: usize,
    reserved: BTreeSet<Alias>,
    institutional: BTreeSet<Alias>,
    citizens: usize,
}

impl Names {
    fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let document: Aliases = read(file, text)?;
        let (min, max) = (document.min_characters, document.max_characters);
        if *min.get_ref() == 0 || min.get_ref() > max.get_ref() || *max.get_ref() > 64 {
            return Err(PolicyError::at(file, text, Some(min.span()), "a name has 1 to 64 characters, the least no more than the most"));
        }
        let each_once = |names: Vec<Spanned<String>>| {
            let mut found = BTreeSet::new();
            for name in names {
                let refused = |reason: String| PolicyError::at(file, text, Some(name.span()), reason);
                let alias = Alias::parse(name.get_ref()).map_err(|error| refused(error.to_string()))?;
                if !found.insert(alias) {
                    return Err(refused("the name is reserved twice; keep one".to_owned()));
                }
            }
            Ok(found)
        };
        let (reserved, institutional) = (each_once(document.reserved)?, each_once(document.institutional)?);
        // spec: rfc5321#4.5.1; rfc2142#4
        for role in ["abuse", "postmaster"] {
            if !reserved.iter().any(|alias: &Alias| alias.as_str() == role) {
                return Err(PolicyError::at(file, text, None, format!("`{role}` is not reserved; every mail domain keeps it")));
            }
        }
        if let Some(most) = document.citizens.most.as_ref().filter(|most| *most.get_ref() > MAX_ALIASES) {
            return Err(PolicyError::at(file, text, Some(most.span()), format!("a citizen has 0 to {MAX_ALIASES} names")));
        }
        let citizens = usize::from(document.citizens.most.map_or(0, Spanned::into_inner));
        Ok(Self { min: usize::from(min.into_inner()), max: usize::from(max.into_inner()), reserved, institutional, citizens })
    }
}
