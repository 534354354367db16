//! What becomes of a message whose sender's mailbox is full.
#![allow(clippy::unwrap_used)]

use protocol::smtp::exchange::{Answer, Output, Request};
use protocol::smtp::session::{Role, Session, Settings};
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

fn queue(store: &Arc<Memory>, messages: &Arc<MessageStore>, directory: Arc<Directory>) -> Queue {
    let domain = Domain::parse("mail.gz.example").unwrap();
    let place = tempfile::tempdir().unwrap();
    let passphrase = keys::Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
    let key = keys::KeyStore::create(&place.path().join("keys"), &passphrase).unwrap().data_key("queue").unwrap();
    Queue::new(store.clone(), messages.clone(), directory, key, Arc::new(SystemRandom::new()), domain.clone(), domain)
}

/// A message from elsewhere under TLS, of whose delivery its sender wants to be told.
fn envelope(parameters: &str) -> Envelope {
    let host = Domain::parse("mail.gz.example").unwrap();
    let settings = Settings { host, tls: true, starttls: false, role: Role::Exchange, dsn: true, offer: protocol::sasl::Offer::default(), budget: protocol::budget::Budget::default(), max_size: 1_000, max_recipients: 1, max_copies: 1_000 };
    let (mut session, _) = Session::new(settings);
    let mut out = session.receive(format!("EHLO x\r\nMAIL FROM:<a@c.cn> RET=FULL{parameters}\r\nRCPT TO:<b@mail.gz.example> NOTIFY=SUCCESS\r\n").as_bytes());
    out.extend(session.answer(Answer::Known));
    out.extend(session.receive(b"DATA\r\nx\r\n.\r\n"));
    out.into_iter().find_map(|output| if let Output::Do(Request::Deliver { envelope, .. }) = output { Some(envelope) } else { None }).unwrap()
}

/// What a sender elsewhere is told of its delivery says as much as the message's header does. spec: rfc8689#5
#[test]
fn a_report_of_success_goes_under_tls_alone_where_the_message_came_so() {
    let (store, now) = (Arc::new(Memory::new()), datetime!(2026-11-29 08:00 UTC));
    let messages = Arc::new(MessageStore::new(store.clone(), data_key()));
    let queue = queue(&store, &messages, Arc::new(directory(&store)));
    for (parameters, require_tls) in [("", false), (" REQUIRETLS", true)] {
        let envelope = envelope(parameters);
        assert_eq!(envelope.require_tls, require_tls);
        let report = queue.delivered_elsewhere(&envelope, b"Subject: x\r\n\r\nthe body\r\n", now).unwrap().unwrap();
        let text = String::from_utf8_lossy(&report);
        assert!(text.contains("Action: delivered") && text.contains("Subject: x") && !text.contains("the body"), "{text}");
        let body = messages.body(&report).unwrap();
        store.commit(queue.enqueue_report(Batch::new(), &body, envelope.reverse_path.as_ref().unwrap(), &envelope, now).unwrap()).unwrap();
        queue.accepted(body.id());
        let queued = queue.get(body.id()).unwrap().unwrap();
        assert_eq!((queued.require_tls, queued.reverse_path, queued.recipients[0].address.as_str()), (require_tls, None, "a@c.cn"));
    }
}

#[test]
fn a_sender_whose_mailbox_is_full_is_told_from_its_reserve_and_else_later() {
    let (store, now) = (Arc::new(Memory::new()), datetime!(2026-11-29 08:00 UTC));
    let directory = Arc::new(directory(&store));
    let mailbox = directory.open(chen(), NewPassword::Generated, now).unwrap().account.mailbox();
    let messages = MessageStore::new(store.clone(), data_key()).with_quota(|_| Quota { bytes: 10, messages: 100 }).with_reserve(1_024);
    let messages = Arc::new(messages);
    let queue = queue(&store, &messages, directory);
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
