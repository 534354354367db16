//! A client and the mailbox in memory it talks to: `C:` lines go in, `S:` lines must come out, `!` lines are other sessions'
//! changes.
use std::collections::BTreeMap;

use protocol::imap::content::outline;
use protocol::imap::exchange::*;
use protocol::imap::extension::Extensions;
use protocol::imap::session::{Session, Settings};
use time::macros::datetime;

const MAIL: &[u8] = b"From: =?UTF-8?B?5Y+w5YyX?= <a@b.cn>\r\nTo: c@d.cn\r\nSubject: =?UTF-8?B?5YWs56ev6YeR?=\r\nDate: Tue, 1 Oct 2024 10:00:00 +0800\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n5L2g5aW9\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhello\r\n--x--\r\n";

pub struct Mail {
    pub info: MessageInfo,
    pub bytes: Vec<u8>,
}

/// INBOX with two messages, and a folder 台北.
pub struct Fake {
    pub mails: Vec<Mail>,
    pub next: u32,
    pub modseq: u64,
    pub damaged: u32,
    /// Uids removed, each with the MODSEQ of its removal.
    pub removed: Vec<(u32, u64)>,
    pub mailboxes: Vec<MailboxInfo>,
    /// Of the account: told before the next answer.
    pub happens_before_answers: AccountChanges,
    pub notes: BTreeMap<(Option<String>, String), Vec<u8>>,
    /// The requests of the last command.
    pub asked: Vec<String>,
    /// Of the messages that were loaded, whether the client was to get content of them.
    pub shown: Vec<bool>,
    /// With each of them, what was announced.
    pub announced: Vec<Vec<u32>>,
}

pub fn mailbox(name: &str, id: u64, subscribed: bool) -> MailboxInfo {
    MailboxInfo { name: name.into(), id: Some(id), subscribed, uses: SpecialUses::NONE, has_children: false }
}

impl Fake {
    fn new() -> Self {
        let mut fake = Self { mails: Vec::new(), next: 4, modseq: 1, damaged: 0, removed: Vec::new(), mailboxes: vec![mailbox("INBOX", 77, true), mailbox("台北", 78, false)], happens_before_answers: AccountChanges::default(), notes: BTreeMap::new(), asked: Vec::new(), shown: Vec::new(), announced: Vec::new() };
        fake.add(MAIL.to_vec(), Flags::new());
        fake.add(b"Subject: two\r\n\r\nbody\r\n".to_vec(), Flags::new().with(SystemFlag::Seen));
        fake
    }

    pub fn add(&mut self, bytes: Vec<u8>, flags: Flags) -> MessageInfo {
        let internal_date = datetime!(2024-10-01 10:00 +8);
        let info = MessageInfo { uid: self.next, flags, modseq: self.modseq, internal_date, saved: Some(datetime!(2024-10-02 09:00 +8)), size: bytes.len() as u64, content: u64::from(self.next) };
        self.next += 1;
        self.mails.push(Mail { info: info.clone(), bytes });
        info
    }

    fn remove(&mut self, uids: &[u32]) {
        self.mails.retain(|mail| !uids.contains(&mail.info.uid));
        self.modseq += 1;
        self.removed.extend(uids.iter().map(|uid| (*uid, self.modseq)));
    }

    fn mailbox(&self, name: &str) -> Option<Answer> {
        if ["INBOX", "台北"].contains(&name) || self.mailboxes.iter().any(|known| known.name == name) { None } else { Some(Answer::Refused { code: RefusalCode::TryCreate, text: "No such mailbox".into() }) }
    }

    fn answer(&mut self, request: Request) -> Answer {
        self.asked.push(format!("{request:?}"));
        self.shown.extend(if let Request::Load { shows, .. } = request { Some(shows) } else { None });
        self.announced.extend(if let Request::Load { ahead, .. } = &request { Some(ahead.clone()) } else { None });
        let refused = |code: RefusalCode| Answer::Refused { code, text: "No".into() };
        match request {
            Request::Login { user, password } if user == "a@b.cn" && password.expose() == "pw" => Answer::LoggedIn { off: Extensions::NONE },
            Request::Login { .. } => refused(RefusalCode::AuthenticationFailed),
            Request::List | Request::WatchAccount => Answer::Mailboxes(self.mailboxes.clone()),
            Request::Open { mailbox, .. } if mailbox == "INBOX" => {
                let messages = self.mails.iter().map(|mail| mail.info.clone()).collect();
                Answer::Opened { uid_validity: 9, uid_next: self.next, highest_modseq: self.modseq, id: 77, messages }
            }
            Request::Open { .. } => refused(RefusalCode::NonExistent),
            Request::Status { .. } => Answer::Status(MailboxStatus { messages: 2, unseen: 1, deleted: 1, size: 7_000_000_000, uid_next: self.next, uid_validity: 9, highest_modseq: 1, deleted_size: 12, id: 77 }),
            Request::Load { uid, .. } if uid == self.damaged => refused(RefusalCode::ServerBug),
            Request::Load { uid, .. } => match self.mails.iter().find(|mail| mail.info.uid == uid) {
                Some(mail) => Answer::Bytes(mail.bytes.clone().into()),
                None => refused(RefusalCode::NonExistent),
            },
            Request::Store { uids, op, flags, unchanged_since } => {
                self.modseq += 1;
                let (mut after, mut modified) = (Vec::new(), Vec::new());
                for mail in self.mails.iter_mut().filter(|mail| uids.contains(&mail.info.uid)) {
                    if unchanged_since.is_some_and(|since| mail.info.modseq > since) {
                        modified.push(mail.info.uid);
                        continue;
                    }
                    mail.info.flags = mail.info.flags.after(op, &flags);
                    mail.info.modseq = self.modseq;
                    after.push(mail.info.clone());
                }
                Answer::Stored { after, modified }
            }
            Request::Append { mailbox, messages } => self.mailbox(&mailbox).unwrap_or_else(|| {
                Answer::Appended { uid_validity: 9, uids: messages.into_iter().map(|message| self.add(message.bytes, message.flags).uid).collect() }
            }),
            Request::Replace { uid, mailbox, message } => self.mailbox(&mailbox).unwrap_or_else(|| {
                self.remove(&[uid]);
                Answer::Appended { uid_validity: 9, uids: vec![self.add(message.bytes, message.flags).uid] }
            }),
            Request::Metadata { mailbox } => {
                let of = self.notes.iter().filter(|((owner, _), _)| *owner == mailbox);
                Answer::Metadata(of.map(|((_, entry), value)| (entry.clone(), value.clone())).collect())
            }
            Request::SetMetadata { mailbox, values } => {
                for (entry, value) in values {
                    let place = (mailbox.clone(), entry);
                    match value {
                        Some(value) => drop(self.notes.insert(place, value)),
                        None => drop(self.notes.remove(&place)),
                    }
                }
                if self.notes.len() > 3 { refused(RefusalCode::TooManyAnnotations) } else { Answer::Done }
            }
            Request::Copy { uids, to } => self.mailbox(&to).unwrap_or_else(|| Answer::Copied { uid_validity: 7, to: (1..).take(uids.len()).collect(), from: uids }),
            Request::Move { uids, to } => self.mailbox(&to).unwrap_or_else(|| {
                self.remove(&uids);
                Answer::Copied { uid_validity: 7, to: (1..).take(uids.len()).collect(), from: uids }
            }),
            Request::Expunge { uids } => {
                let doomed = |mail: &&Mail| mail.info.flags.has(SystemFlag::Deleted) && uids.as_ref().is_none_or(|uids| uids.contains(&mail.info.uid));
                let gone: Vec<u32> = self.mails.iter().filter(doomed).map(|mail| mail.info.uid).collect();
                self.remove(&gone);
                Answer::Expunged(gone)
            }
            // Of every other message, as many as may be held at once.
            Request::Outlines { contents, listing, header } => {
                let mut outlines = Outlines::default();
                for mail in self.mails.iter().filter(|mail| mail.info.uid % 2 == 0 && contents.contains(&mail.info.content)) {
                    let kept = outline(&mail.bytes);
                    let texts = kept.texts();
                    if outlines.octets() + texts.header.len() > 1 << 20 {
                        break;
                    }
                    let (envelope, structure) = if listing { (texts.envelope, texts.structure) } else { Default::default() };
                    outlines.push(mail.info.content, Texts { envelope, structure, header: if header { texts.header } else { &[] } });
                }
                Answer::Outlines(outlines)
            }
            Request::Find { .. } => refused(RefusalCode::Cannot),
            Request::Quota => Answer::Quota(Quota { used_octets: 1025, octets: Some(10 << 20), used_messages: 3, messages: None }),
            Request::Time => Answer::Time(datetime!(2024-10-01 11:00 +8)),
            Request::Vanished { since } => {
                let mut gone: Vec<u32> = self.removed.iter().filter(|(_, modseq)| *modseq > since).map(|(uid, _)| *uid).collect();
                gone.sort_unstable();
                Answer::Vanished(gone.into_iter().map(|uid| (uid, uid)).collect())
            }
            Request::Create { mailbox, .. } if mailbox == "taken" => refused(RefusalCode::UseAttr),
            Request::Create { mailbox: name, uses } => {
                // What is for nothing in particular is not remembered: tests say themselves what there is.
                self.mailboxes.extend((!uses.is_empty()).then(|| MailboxInfo { uses, ..mailbox(&name, 79, false) }));
                Answer::Created { id: 79 }
            }
            _ => Answer::Done,
        }
    }
}

/// Octets that a SORT or THREAD of this client may keep.
pub const ARRANGE_LIMIT: usize = 4 << 20;

pub struct Client {
    pub session: Session,
    pub fake: Fake,
    pub said: Vec<u8>,
    /// Octets of the longest piece that went out at once.
    pub longest: usize,
    pub closed: bool,
    pub tls: bool,
    pub compressed: bool,
}

impl Client {
    pub fn new(tls: bool) -> Self {
        Self::without(tls, Extensions::NONE)
    }

    pub fn without(tls: bool, off: Extensions) -> Self {
        let (session, greeting) = Session::new(Settings { tls, starttls: true, offer: Offer::default(), budget: protocol::budget::Budget::default(), append_limit: 20_000, arrange_limit: ARRANGE_LIMIT, off });
        let mut client = Self { session, fake: Fake::new(), said: Vec::new(), longest: 0, closed: false, tls, compressed: false };
        client.take(greeting);
        client
    }

    fn take(&mut self, mut out: Vec<Output>) {
        while !out.is_empty() {
            let mut next = Vec::new();
            for output in out {
                match output {
                    Output::Send(bytes) => {
                        self.longest = self.longest.max(bytes.len());
                        self.said.extend(bytes);
                    }
                    Output::Do(request) => {
                        let answer = self.fake.answer(request);
                        next.extend(self.session.account_changed(std::mem::take(&mut self.fake.happens_before_answers)));
                        next.extend(self.session.answer(answer));
                    }
                    Output::StartTls => {
                        self.session.tls_started(Offer::default());
                        self.tls = true;
                    }
                    Output::Compress => self.compressed = true,
                    Output::Close => self.closed = true,
                }
            }
            out = next;
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> String {
        self.fake.asked.clear();
        self.fake.announced.clear();
        let out = self.session.receive(bytes);
        self.take(out);
        String::from_utf8_lossy(&std::mem::take(&mut self.said)).into_owned()
    }

    pub fn change(&mut self, change: Change) -> String {
        if let Change::Gone { uid, .. } = &change {
            self.fake.remove(&[*uid]);
        }
        let out = self.session.changed([change]);
        self.take(out);
        String::from_utf8_lossy(&std::mem::take(&mut self.said)).into_owned()
    }

    /// Something happened in the account.
    pub fn account(&mut self, happened: impl FnOnce(&mut AccountChanges)) -> String {
        let mut changes = AccountChanges::default();
        happened(&mut changes);
        let out = self.session.account_changed(changes);
        self.take(out);
        String::from_utf8_lossy(&std::mem::take(&mut self.said)).into_owned()
    }

    /// A message came to the opened mailbox.
    pub fn arrives(&mut self, bytes: &[u8]) -> String {
        let info = self.fake.add(bytes.to_vec(), Flags::new());
        self.change(Change::New(info))
    }

    pub fn selected() -> Self {
        let mut client = Self::new(true);
        client.send(b"a LOGIN a@b.cn pw\r\nb SELECT inbox\r\n");
        client
    }

    /// Each `C:` with the `S:` that must be all of its reply.
    pub fn script(&mut self, text: &str) {
        let mut reply = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(sent) = line.strip_prefix("C: ") {
                assert_eq!(reply, "", "before {sent}");
                reply = self.send(format!("{}\r\n", sent.replace("\\r\\n", "\r\n").replace("\\0", "\0")).as_bytes());
            } else if let Some(uid) = line.strip_prefix("! gone ") {
                reply.push_str(&self.change(Change::Gone { uid: uid.parse().unwrap(), modseq: 50 }));
            } else if line == "! new" {
                let info = self.fake.add(b"Subject: new\r\n\r\n".to_vec(), Flags::new());
                reply.push_str(&self.change(Change::New(info)));
            } else {
                let expected = if line == "S:" { "" } else { line.strip_prefix("S: ").unwrap() };
                let (first, rest) = reply.split_once("\r\n").unwrap_or_else(|| panic!("no reply, expected {expected}"));
                assert_eq!(first, expected);
                reply = rest.to_owned();
            }
        }
        assert_eq!(reply, "");
    }
}

