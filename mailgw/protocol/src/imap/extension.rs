//! The extensions that can be switched off, and what each one is on the wire.
use super::framing::Unasked;
use super::parse::Command;
use super::parse::command::ListOptions;
use super::parse::{Item, Key, Notify, StatusItem};

macro_rules! extensions {
    ($($(#[$doc:meta])* $name:ident = $word:literal as $told:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Extension {
            $($(#[$doc])* $name,)*
        }

        impl Extension {
            pub const ALL: &[Extension] = &[$(Extension::$name,)*];

            /// The name by which it is switched.
            pub fn name(self) -> &'static str {
                match self {
                    $(Extension::$name => $word,)*
                }
            }

            /// What CAPABILITY tells of it.
            pub(crate) fn told(self) -> &'static str {
                match self {
                    $(Extension::$name => $told,)*
                }
            }
        }
    };
}

extensions! {
    SaslIr = "SASL-IR" as "SASL-IR",
    Unselect = "UNSELECT" as "UNSELECT",
    Enable = "ENABLE" as "ENABLE",
    LiteralPlus = "LITERAL+" as "LITERAL+",
    /// In the place of LITERAL+, where that is off. spec: rfc7888#5
    LiteralMinus = "LITERAL-" as "LITERAL-",
    Id = "ID" as "ID",
    Idle = "IDLE" as "IDLE",
    Namespace = "NAMESPACE" as "NAMESPACE",
    UidPlus = "UIDPLUS" as "UIDPLUS",
    Move = "MOVE" as "MOVE",
    SpecialUse = "SPECIAL-USE" as "SPECIAL-USE",
    CreateSpecialUse = "CREATE-SPECIAL-USE" as "CREATE-SPECIAL-USE",
    ESearch = "ESEARCH" as "ESEARCH",
    SearchRes = "SEARCHRES" as "SEARCHRES",
    CondStore = "CONDSTORE" as "CONDSTORE",
    QResync = "QRESYNC" as "QRESYNC",
    StatusSize = "STATUS=SIZE" as "STATUS=SIZE",
    ListExtended = "LIST-EXTENDED" as "LIST-EXTENDED",
    ListStatus = "LIST-STATUS" as "LIST-STATUS",
    Sort = "SORT" as "SORT SORT=DISPLAY",
    Thread = "THREAD" as "THREAD=ORDEREDSUBJECT THREAD=REFERENCES",
    Within = "WITHIN" as "WITHIN",
    ObjectId = "OBJECTID" as "OBJECTID",
    Preview = "PREVIEW" as "PREVIEW",
    Binary = "BINARY" as "BINARY",
    Quota = "QUOTA" as "QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE",
    AppendLimit = "APPENDLIMIT" as "APPENDLIMIT",
    /// Offered where all that it is made of is on.
    Rev2 = "IMAP4REV2" as "IMAP4rev2",
    Utf8 = "UTF8=ACCEPT" as "UTF8=ACCEPT",
    MultiAppend = "MULTIAPPEND" as "MULTIAPPEND",
    Replace = "REPLACE" as "REPLACE",
    SaveDate = "SAVEDATE" as "SAVEDATE",
    Partial = "PARTIAL" as "PARTIAL",
    UidOnly = "UIDONLY" as "UIDONLY",
    ESort = "ESORT" as "ESORT",
    Compress = "COMPRESS=DEFLATE" as "COMPRESS=DEFLATE",
    Unauthenticate = "UNAUTHENTICATE" as "UNAUTHENTICATE",
    Metadata = "METADATA" as "METADATA",
    Notify = "NOTIFY" as "NOTIFY",
}

/// What IMAP4rev2 contains, beside literals that come unasked. spec: rfc9051#appendix-E
const PARTS_OF_REV2: [Extension; 14] = [
    Extension::SaslIr, Extension::Unselect, Extension::Enable, Extension::Idle, Extension::Namespace, Extension::UidPlus, Extension::Move, Extension::SpecialUse, Extension::ESearch, Extension::SearchRes, Extension::StatusSize,
    Extension::ListExtended, Extension::ListStatus, Extension::Binary,
];

/// Some of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions(u64);

impl Extensions {
    pub const NONE: Self = Self(0);

    /// By their names; what is not known is left out.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = |name: &str| Extension::ALL.iter().copied().find(|known| known.name().eq_ignore_ascii_case(name));
        names.into_iter().filter_map(known).fold(Self::NONE, Self::with)
    }

    pub fn with(self, one: Extension) -> Self {
        Self(self.0 | 1 << one as u32)
    }

    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Of those that are off: whether this one is, or one that it is nothing without.
    pub fn has(self, one: Extension) -> bool {
        let needs: &[Extension] = match one {
            Extension::Rev2 => &PARTS_OF_REV2,
            Extension::ESort => &[Extension::Sort, Extension::ESearch],
            Extension::Partial => &[Extension::ESearch],
            // spec: rfc5161#3.1 what has to be enabled first
            Extension::Utf8 | Extension::UidOnly => &[Extension::Enable],
            Extension::QResync => &[Extension::Enable, Extension::CondStore],
            Extension::CreateSpecialUse => &[Extension::SpecialUse],
            _ => &[],
        };
        let unasked = one == Extension::Rev2 && unasked(self) == Unasked::None;
        self.0 & 1 << one as u32 != 0 || unasked || needs.iter().any(|part| self.has(*part))
    }
}

/// Which literals may come unasked, where these are off.
pub(crate) fn unasked(off: Extensions) -> Unasked {
    match (off.has(Extension::LiteralPlus), off.has(Extension::LiteralMinus)) {
        (false, _) => Unasked::Any,
        (true, false) => Unasked::Small,
        (true, true) => Unasked::None,
    }
}

/// The extension without which a command would not exist, of those that are off.
pub(crate) fn refused(command: &Command, off: Extensions) -> Option<Extension> {
    used(command).into_iter().find(|one| off.has(*one))
}

/// What a command uses beyond the base. CONDSTORE carries QRESYNC.
fn used(command: &Command) -> Vec<Extension> {
    let mut used = Vec::new();
    match command {
        Command::Authenticate { initial: Some(_), .. } => used.push(Extension::SaslIr),
        Command::Unselect => used.push(Extension::Unselect),
        Command::Enable(_) => used.push(Extension::Enable),
        Command::Id => used.push(Extension::Id),
        Command::Idle => used.push(Extension::Idle),
        Command::Namespace => used.push(Extension::Namespace),
        Command::Expunge { uids: Some(_) } => used.push(Extension::UidPlus),
        Command::Move { .. } => used.push(Extension::Move),
        Command::Create { uses: Some(_), .. } => used.push(Extension::CreateSpecialUse),
        Command::GetQuota { .. } | Command::GetQuotaRoot(_) | Command::SetQuota => used.push(Extension::Quota),
        Command::Append { messages, .. } => {
            used.extend((messages.len() > 1).then_some(Extension::MultiAppend));
            used.extend(messages.iter().any(|message| message.utf8).then_some(Extension::Utf8));
        }
        Command::Replace { message, .. } => {
            used.push(Extension::Replace);
            used.extend(message.utf8.then_some(Extension::Utf8));
        }
        Command::Compress { .. } => used.push(Extension::Compress),
        Command::Unauthenticate => used.push(Extension::Unauthenticate),
        Command::GetMetadata { .. } | Command::SetMetadata { .. } => used.push(Extension::Metadata),
        Command::Sort { told, key, .. } => {
            used.push(Extension::Sort);
            if let Some(told) = told {
                used.push(Extension::ESort);
                used.extend(told.partial.map(|_| Extension::Partial));
            }
            keys(key, &mut used);
        }
        Command::Thread { key, .. } => {
            used.push(Extension::Thread);
            keys(key, &mut used);
        }
        Command::Search { told, key, .. } => {
            if let Some(told) = told {
                used.push(Extension::ESearch);
                used.extend(told.save.then_some(Extension::SearchRes));
                used.extend(told.partial.map(|_| Extension::Partial));
            }
            keys(key, &mut used);
        }
        Command::List(options) => list(options, &mut used),
        Command::Status { items, .. } => status(items, &mut used),
        Command::Select { condstore, resync, .. } => {
            used.extend(condstore.then_some(Extension::CondStore));
            used.extend(resync.as_ref().map(|_| Extension::QResync));
        }
        Command::Store { unchanged_since: Some(_), .. } => used.push(Extension::CondStore),
        Command::Fetch { items, since, vanished, partial, .. } => {
            used.extend(partial.map(|_| Extension::Partial));
            used.extend(since.map(|_| Extension::CondStore));
            used.extend(vanished.then_some(Extension::QResync));
            used.extend(items.iter().filter_map(of_item));
        }
        Command::Notify(asked) => {
            used.push(Extension::Notify);
            if let Notify::Set { groups, .. } = asked {
                used.extend(groups.iter().flat_map(|group| &group.events.items).filter_map(of_item));
            }
        }
        _ => {}
    }
    if used.contains(&Extension::QResync) {
        used.push(Extension::CondStore);
    }
    used
}

fn of_item(item: &Item) -> Option<Extension> {
    match item {
        Item::ModSeq => Some(Extension::CondStore),
        Item::EmailId | Item::ThreadId => Some(Extension::ObjectId),
        Item::Preview => Some(Extension::Preview),
        Item::SaveDate => Some(Extension::SaveDate),
        Item::Binary { .. } | Item::BinarySize { .. } => Some(Extension::Binary),
        _ => None,
    }
}

fn keys(key: &Key, used: &mut Vec<Extension>) {
    match key {
        Key::Older(_) | Key::Younger(_) => used.push(Extension::Within),
        Key::Content(_) | Key::Thread(_) => used.push(Extension::ObjectId),
        Key::SavedBefore(_) | Key::SavedOn(_) | Key::SavedSince(_) => used.push(Extension::SaveDate),
        Key::ModSeq(_) => used.push(Extension::CondStore),
        Key::Not(key) => keys(key, used),
        Key::Or(left, right) => {
            keys(left, used);
            keys(right, used);
        }
        Key::And(all) => all.iter().for_each(|key| keys(key, used)),
        _ => {}
    }
}

fn list(options: &ListOptions, used: &mut Vec<Extension>) {
    let extended = options.only_subscribed || options.recursive_match || options.return_subscribed || options.patterns.len() > 1;
    used.extend(extended.then_some(Extension::ListExtended));
    used.extend(options.only_special_use.then_some(Extension::SpecialUse));
    if !options.return_status.is_empty() {
        used.push(Extension::ListStatus);
        status(&options.return_status, used);
    }
}

fn status(items: &[StatusItem], used: &mut Vec<Extension>) {
    used.extend(items.iter().filter_map(|item| match item {
        StatusItem::Size => Some(Extension::StatusSize),
        StatusItem::HighestModSeq => Some(Extension::CondStore),
        StatusItem::MailboxId => Some(Extension::ObjectId),
        StatusItem::DeletedStorage => Some(Extension::Quota),
        StatusItem::AppendLimit => Some(Extension::AppendLimit),
        _ => None,
    }));
}
