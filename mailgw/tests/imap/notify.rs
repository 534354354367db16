//! Two sessions over real sockets: one does, the other asked to be told.
use std::time::{Duration, Instant};

use super::harness::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_told_what_another_does() {
    let server = start(quick()).await;
    let (mut told, mut doing) = (server.client(ONE).await, server.client(ONE).await);
    told.ok("SELECT INBOX").await;
    let now = told.ok("NOTIFY SET STATUS (selected (MessageNew (UID ENVELOPE) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))").await;
    assert_eq!(now.iter().filter(|line| line.starts_with("* STATUS ")).count(), 5, "{now:?}");
    let begun = Instant::now();
    server.deliver(ONE, "INBOX", b"Subject: x\r\n\r\n");
    assert_eq!(told.line().await, "* 1 EXISTS");
    assert!(told.line().await.starts_with("* 1 FETCH (UID 1 ENVELOPE (NIL \"x\" "));
    doing.ok("SELECT INBOX").await;
    doing.ok("STORE 1 +FLAGS (\\Deleted)").await;
    assert_eq!(told.line().await, "* 1 FETCH (UID 1 FLAGS (\\Deleted))");
    doing.ok("MOVE 1 Trash").await;
    // The selected mailbox at once, the others when they were counted.
    assert_eq!(told.line().await, "* 1 EXPUNGE");
    assert_eq!(told.line().await, "* STATUS \"Trash\" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 6)");
    doing.ok("CREATE a/b").await;
    assert_eq!([told.line().await, told.line().await], ["* LIST (\\HasChildren) \"/\" \"a\"", "* LIST (\\HasNoChildren) \"/\" \"a/b\""]);
    doing.ok("RENAME a c").await;
    assert_eq!(told.line().await, "* LIST (\\HasChildren) \"/\" \"c\" (\"OLDNAME\" (\"a\"))");
    doing.ok("SUBSCRIBE c").await;
    assert_eq!(told.line().await, "* LIST (\\HasChildren \\Subscribed) \"/\" \"c\"");
    doing.ok("SETMETADATA c (/private/comment \"x\")").await;
    assert_eq!(told.line().await, "* METADATA \"c\" /private/comment");
    doing.ok("SETMETADATA \"\" (/private/comment \"x\")").await;
    assert_eq!(told.line().await, "* METADATA \"\" /private/comment");
    server.deliver(ONE, "c/b", b"x");
    assert_eq!(told.line().await, "* STATUS \"c/b\" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 8)");
    doing.ok("DELETE c/b").await;
    assert_eq!([told.line().await, told.line().await], ["* LIST (\\HasNoChildren \\Subscribed) \"/\" \"c\"", "* LIST (\\HasNoChildren \\NonExistent) \"/\" \"c/b\""]);
    assert!(begun.elapsed() < Duration::from_secs(8));
    // Of another's mailbox nothing is told, and of what one does itself.
    server.deliver(OTHER, "INBOX", b"x");
    server.deliver(ONE, "INBOX", b"x");
    assert_eq!(told.line().await, "* 1 EXISTS");
    assert!(told.line().await.starts_with("* 1 FETCH (UID 2 ENVELOPE "));
    told.ok("CREATE own").await;
    told.ok("APPEND Sent {1+}\r\nx").await;
    told.ok("COPY 1:* Sent").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(told.ok("NOOP").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_at_once_is_told_together_and_commands_are_answered_meanwhile() {
    let server = start(quick()).await;
    let mut told = server.client(ONE).await;
    told.ok("NOTIFY SET (inboxes (MessageNew MessageExpunge))").await;
    let messages = std::sync::Arc::clone(&server.messages);
    let many = tokio::task::spawn_blocking(move || {
        for number in 0..2_000_u32 {
            let folder = if number % 2 == 0 { "INBOX" } else { "Archive" };
            let delivery = mailgw::mailbox::Delivery { mailbox: ONE.into(), folder: folder.into(), content: b"x".to_vec().into(), unix_millis: 1, flags: protocol::imap::exchange::Flags::new(), event: None, mark: None };
            messages.deliver(&[delivery], 1).unwrap();
        }
    });
    let (mut lines, mut asked) = (Vec::new(), 0);
    while !many.is_finished() || asked < 3 {
        lines.extend(told.ok("NOOP").await);
        asked += 1;
    }
    many.await.unwrap();
    let is_last = |lines: &[String]| ["INBOX", "Archive"].iter().all(|name| lines.iter().any(|line| line.starts_with(&format!("* STATUS \"{name}\" (MESSAGES 1000 UIDNEXT 1001 "))));
    while !is_last(&lines) {
        lines.push(told.line().await);
    }
    assert!(lines.len() < 200, "{}", lines.len());
}
