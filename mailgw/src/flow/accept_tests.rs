#![allow(clippy::unwrap_used)]
use policies::mailbox::MailboxPolicy;
use protocol::imap::exchange::SpecialUses;
use store::Memory;

use super::*;
use crate::mailbox::{standard_folders, test_keys};

const BOX: &str = "1234567897";

struct Nobody;

impl Recipients for Nobody {
    fn find(&self, _: &Recipient) -> Result<Found, NotFound> {
        Err(NotFound::Unknown)
    }
}

fn reception(messages: &Arc<MessageStore>) -> Reception {
    let domain = Domain::parse("b.cn").unwrap();
    let policy = MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap().inbound().clone();
    let (verdicts, callers) = (register_verdicts(&Registry::new()).unwrap(), Callers::new(&policy));
    let messages = Arc::clone(messages);
    Reception { recipients: Arc::new(Nobody), messages, host: domain.clone(), domain, policy, verifier: None, verdicts, callers, queue: None, reports: None, senders: None, notifications: None }
}

/// Junk goes to the folder that is for it, which is the owner's to choose. spec: rfc6154#3
#[test]
fn junk_goes_where_its_owner_made_a_folder_for_it() {
    let store = Arc::new(Memory::new());
    store::Store::commit(&*store, standard_folders(Batch::new(), BOX)).unwrap();
    let messages = Arc::new(MessageStore::new(store, test_keys::data_key()));
    let reception = reception(&messages);
    let message = b"Subject: junk\r\n\r\n";
    let body = Arc::new(messages.body(message).unwrap());
    let filed = || {
        let copy = reception.copy(BOX.to_owned(), &body, message, 1, Verdict::Junk(Reason::NoAuthor)).unwrap();
        assert!(copy.flags.keywords().any(|keyword| keyword.as_str() == "$Junk"));
        copy.folder
    };
    assert_eq!(filed(), "Junk");
    messages.delete_folder(BOX, "Junk", 9).unwrap();
    assert_eq!(filed(), "INBOX");
    messages.create_folder(BOX, "垃圾").unwrap();
    assert_eq!(filed(), "INBOX");
    messages.create_folder_for(BOX, "垃圾邮件", SpecialUses::NONE.with(SpecialUse::Junk)).unwrap();
    assert_eq!(filed(), "垃圾邮件");
}
