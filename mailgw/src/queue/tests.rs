//! What becomes of a message whose sender's mailbox is full.
#![allow(clippy::unwrap_used)]

use ring::rand::SystemRandom;
use store::Memory;
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::directory::NewPassword;
use crate::directory::tests::{chen, directory};
use crate::mailbox::Quota;
use crate::mailbox::test_keys::data_key;
use crate::record::queue::Said;

#[test]
fn a_sender_whose_mailbox_is_full_is_told_from_its_reserve_and_else_later() {
    let (store, now) = (Arc::new(Memory::new()), datetime!(2026-11-29 08:00 UTC));
    let directory = Arc::new(directory(&store));
    let mailbox = directory.open(chen(), NewPassword::Generated, now).unwrap().account.mailbox();
    let messages = MessageStore::new(store.clone(), data_key()).with_quota(|_| Quota { bytes: 10, messages: 100 }).with_reserve(1_024);
    let messages = Arc::new(messages);
    let domain = Domain::parse("mail.gz.example").unwrap();
    let key = {
        let place = tempfile::tempdir().unwrap();
        let passphrase = keys::Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
        keys::KeyStore::create(&place.path().join("keys"), &passphrase).unwrap().data_key("queue").unwrap()
    };
    let queue = Queue::new(store.clone(), messages.clone(), directory, key, Arc::new(SystemRandom::new()), domain.clone(), domain);
    let full = Delivery { mailbox: mailbox.clone(), folder: "INBOX".into(), content: b"0123456789".to_vec().into(), unix_millis: 0, flags: Flags::new(), event: None, mark: None };
    messages.deliver(&[full], 1).unwrap();

    let put = |text: &str| {
        // The second is kept in pieces.
        let more = if text == "two" { "0123456789\r\n".repeat(200_000) } else { String::new() };
        let body = messages.body(format!("Subject: {text}\r\n\r\n{more}").as_bytes()).unwrap();
        let mut queued = decide::tests::queued(vec![decide::tests::waiting("a@c.cn", None)]);
        (queued.mailbox, queued.size, queued.digest, queued.accepted) = (mailbox.clone(), body.size(), crate::hex(body.digest()), unix_millis(now));
        let batch = body.put(Batch::new()).put(record::key(body.id()), queued.seal(body.id(), &queue.key).unwrap());
        store.commit(batch).unwrap();
        queue.accepted(body.id());
        body.id()
    };
    let never = [(0, Outcome::Never(Said { host: None, code: 550, status: "5.1.1".into(), text: "no".into() }))];
    let inbox = || messages.view(&mailbox, "INBOX").unwrap();
    // 1. The reserve takes what it has room for; a notice is larger than all of it.
    let (first, second) = (put("one"), put("two"));
    let taken = queue.take(now).unwrap();
    queue.settle(first, &never, now).unwrap();
    queue.back(&taken);
    assert!(queue.get(first).unwrap().is_none() && inbox().messages.len() == 2);
    // 2. The next one is kept, with the message, and does not go out again.
    let taken = queue.take(now).unwrap();
    queue.settle(second, &never, now).unwrap();
    queue.back(&taken);
    let kept = queue.get(second).unwrap().unwrap();
    assert_eq!((inbox().messages.len(), kept.recipients[0].end, kept.recipients[0].untold), (2, Some(End::Returned), Some(Action::Failed)));
    assert_eq!(queue.take(now), None);
    // 3. When there is room it is told, once, and the message is gone, its bytes too.
    let item = queue.take(now + Duration::minutes(5)).unwrap();
    assert!(kept.owes(&item.domain, unix_millis(now + Duration::minutes(5))));
    let view = inbox();
    let uids: Vec<u32> = view.messages.iter().map(|message| message.uid).collect();
    messages.store_flags(&mailbox, &view.folder, &uids, protocol::imap::exchange::StoreOp::Add, &Flags::new().with(protocol::imap::exchange::SystemFlag::Deleted)).unwrap();
    messages.expunge(&mailbox, &view.folder, &uids, 9).unwrap();
    queue.settle(second, &[], now + Duration::minutes(5)).unwrap();
    queue.back(&item);
    assert_eq!((inbox().messages.len(), queue.counts()), (1, (0, 0)));
    assert!(body::keys(second, 2_500_000).all(|place| store.get(&place).unwrap().is_none()));
    let told = messages.load(&view.folder, inbox().messages[0].uid).unwrap();
    assert!(String::from_utf8(told).unwrap().contains("Subject: two"));
    // 4. A mailbox that stays full for as long again as a message is tried is never told.
    let third = put("three");
    let full = Delivery { mailbox: mailbox.clone(), folder: "INBOX".into(), content: vec![b'x'; 2_000].into(), unix_millis: 0, flags: Flags::new(), event: None, mark: None };
    messages.deliver_promised(&[full], Batch::new(), 1).unwrap_err();
    queue.settle(third, &never, now + Duration::days(10)).unwrap();
    assert!(queue.get(third).unwrap().is_none());
}
