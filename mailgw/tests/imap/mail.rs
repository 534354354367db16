//! Logging in, reading, searching, filing: what one client sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tokio::net::TcpStream;

use super::harness::*;

#[tokio::test]
async fn nobody_logs_in_before_tls_and_nothing_sent_before_counts_after() {
    let server = start(quick()).await;
    let mut stream = TcpStream::connect(server.imap).await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut said = vec![0; 4096];
    let count = stream.read(&mut said).await.unwrap();
    assert!(String::from_utf8_lossy(&said[..count]).contains("STARTTLS LOGINDISABLED"));
    stream.write_all(format!("a LOGIN {ONE} \"x\"\r\n").as_bytes()).await.unwrap();
    let count = stream.read(&mut said).await.unwrap();
    assert!(said[..count].starts_with(b"a NO [PRIVACYREQUIRED]"));
    stream.write_all(b"b STARTTLS\r\nc LOGOUT\r\n").await.unwrap();
    let count = stream.read(&mut said).await.unwrap();
    assert_eq!(&said[..count], b"b OK Begin TLS\r\n");
    let mut client = Client::new(Box::new(secured(stream, &server.certificate).await));
    let (_, answer) = client.command(&format!("LOGIN {ONE} wrong")).await;
    assert_eq!(answer, "NO [AUTHENTICATIONFAILED] The name or the password is wrong");
    client.ok(&format!("LOGIN {ONE} {{{}+}}\r\n{PASSWORD}", PASSWORD.len())).await;
    client.ok("SELECT INBOX").await;
    assert_eq!(server.metric("imap_logins_total{result=\"ok\"}"), "1");
    assert_eq!(server.metric("imap_logins_total{result=\"denied\"}"), "1");
    assert_eq!(server.metric("imap_connections_total{door=\"starttls\"}"), "1");
}

#[tokio::test]
async fn a_new_certificate_serves_the_next_handshake() {
    let mut server = start(quick()).await;
    let mut old = server.client(ONE).await;
    let (certificate, config) = certified();
    server.tls.send_replace(config);
    server.certificate = certificate;
    server.client(ONE).await.ok("NOOP").await;
    old.ok("NOOP").await;
}

#[tokio::test]
async fn each_byte_comes_back_as_it_was_sent() {
    let server = start(quick()).await;
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX").await;
    let head = b"Subject: odd\r\nContent-Type: text/plain; charset=gb18030\r\n\r\n";
    let all: Vec<u8> = (1..=255).collect();
    let long = vec![b'x'; 100_000];
    let bodies: [&[u8]; 8] = [&all, b"bare\nline\rfeeds\n\r\n", b"no end", b"", b".\r\n..\r\n", b"a1 OK {5}\r\n* BYE\r\n", &long, b"\xb9\xab\xbb\xfd\xbd\xf0 \xff\xfe"];
    for (at, body) in bodies.iter().enumerate() {
        let (bytes, uid) = ([head.as_slice(), body].concat(), u32::try_from(at).unwrap() + 1);
        assert_eq!(client.append("INBOX", &bytes).await, format!("OK [APPENDUID 1 {uid}] Appended"));
        assert_eq!(client.fetch_bytes(uid, "BODY.PEEK[]").await, bytes);
        assert_eq!(client.fetch_bytes(uid, "RFC822.HEADER").await, head);
        assert_eq!(client.fetch_bytes(uid, "BODY.PEEK[TEXT]").await, *body);
        let start = bytes.len().saturating_sub(7);
        assert_eq!(client.fetch_bytes(uid, &format!("BODY.PEEK[]<{start}.99>")).await, bytes[start..]);
    }
    // A message that is no message at all.
    assert!(client.append("INBOX", b"\xff").await.starts_with("OK"));
    assert_eq!(client.fetch_bytes(9, "BODY.PEEK[]").await, b"\xff");
    // spec: rfc3501#4.3.1 unencoded binary strings are not permitted
    assert!(client.append("INBOX", b"Subject: nul\r\n\r\n\0").await.starts_with("NO"));
}

#[tokio::test]
async fn chinese_is_searched_by_literal_and_charset() {
    let server = start(quick()).await;
    let utf8 = "Subject: =?UTF-8?B?5L2P5oi/5YWs56ev6YeR?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n您的余额为100元\r\n".as_bytes();
    let gbk = b"Subject: =?GB2312?B?0fjAz73w?=\r\nContent-Type: text/plain; charset=gb2312\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc4\xfa\xba\xc3\r\n";
    server.deliver(ONE, "INBOX", utf8);
    server.deliver(ONE, "INBOX", gbk);
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX").await;
    for (key, text, found) in [("SUBJECT", "公积金", " 1"), ("SUBJECT", "养老", " 2"), ("BODY", "余额", " 1"), ("TEXT", "您好", " 2"), ("TEXT", "您", " 1 2"), ("TEXT", "无", "")] {
        let search = format!("UID SEARCH CHARSET UTF-8 {key} {{{}+}}\r\n{text}", text.len());
        assert_eq!(client.ok(&search).await, [format!("* SEARCH{found}")], "{text}");
    }
    // The synchronising form waits for leave.
    client.send("s SEARCH CHARSET UTF-8 SUBJECT {9}\r\n".as_bytes()).await;
    assert!(client.line().await.starts_with('+'));
    client.send("公积金\r\n".as_bytes()).await;
    assert_eq!(client.answer("s").await.0, ["* SEARCH 1"]);
    assert!(client.command("SEARCH CHARSET GBK TEXT x").await.1.starts_with("NO [BADCHARSET"));
}

#[tokio::test]
async fn messages_are_flagged_copied_moved_and_removed() {
    let server = start(quick()).await;
    for text in ["one", "two", "three"] {
        server.deliver(ONE, "INBOX", text.as_bytes());
    }
    let mut client = server.client(ONE).await;
    let opened = client.ok("SELECT INBOX").await;
    assert_eq!(opened[0], "* 3 EXISTS");
    assert_eq!(client.ok("STORE 1:2 +FLAGS (\\Seen $Paid)").await, ["* 1 FETCH (UID 1 FLAGS (\\Seen $Paid))", "* 2 FETCH (UID 2 FLAGS (\\Seen $Paid))"]);
    assert_eq!(client.command("COPY 2 Archive").await.1, "OK [COPYUID 2 2 1] Copied");
    assert_eq!(client.command("COPY 2 Nowhere").await.1, "NO [TRYCREATE] the folder does not exist; create it first");
    assert_eq!(client.ok("UID MOVE 1 Trash").await, ["* OK [COPYUID 6 1 1] Moved", "* 1 EXPUNGE"]);
    assert_eq!(client.ok("STORE 1 +FLAGS.SILENT \\Deleted").await, Vec::<String>::new());
    assert_eq!(client.ok("EXPUNGE").await, ["* 1 EXPUNGE"]);
    assert_eq!(client.ok("UID FETCH 1:* FLAGS").await, ["* 1 FETCH (UID 3 FLAGS ())"]);
    assert_eq!(client.fetch_bytes(3, "BODY[]").await, b"three");
    assert_eq!(client.ok("STATUS Archive (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)").await, ["* STATUS \"Archive\" (MESSAGES 1 UNSEEN 0 UIDNEXT 2 UIDVALIDITY 2)"]);
    client.ok("EXAMINE Archive").await;
    assert!(client.command("STORE 1 +FLAGS \\Deleted").await.1.starts_with("NO [READ-ONLY]"));
    assert_eq!(client.fetch_bytes(1, "BODY[]").await, b"two");
    // Another's mailbox is another world.
    let mut other = server.client(OTHER).await;
    assert_eq!(other.ok("SELECT INBOX").await[0], "* 0 EXISTS");
    client.ok("LOGOUT").await;
    assert!(client.ended().await);
}

#[tokio::test]
async fn folders_are_made_and_unmade() {
    let server = start(quick()).await;
    let mut client = server.client(ONE).await;
    let special: Vec<String> = client.ok("LIST \"\" *").await;
    assert_eq!(special[..3], ["* LIST (\\HasNoChildren) \"/\" \"INBOX\"", "* LIST (\\HasNoChildren \\Archive) \"/\" \"Archive\"", "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Drafts\""]);
    client.ok("CREATE &UVp5Tw-/2026/10").await;
    assert!(client.command("CREATE &UVp5Tw-").await.1.starts_with("NO [ALREADYEXISTS]"));
    client.ok("SUBSCRIBE &UVp5Tw-/2026/10").await;
    assert_eq!(client.ok("LSUB \"\" &UVp5Tw-/%").await, ["* LSUB (\\HasChildren \\Noselect) \"/\" \"&UVp5Tw-/2026\""]);
    client.ok("DELETE &UVp5Tw-/2026").await;
    assert_eq!(client.ok("LIST \"\" &UVp5Tw-/*").await, ["* LIST (\\HasChildren \\Noselect) \"/\" \"&UVp5Tw-/2026\"", "* LIST (\\HasNoChildren) \"/\" \"&UVp5Tw-/2026/10\""]);
    client.ok("RENAME &UVp5Tw- Bills").await;
    assert_eq!(client.ok("LIST \"\" Bills*").await, ["* LIST (\\HasChildren) \"/\" \"Bills\"", "* LIST (\\HasChildren \\Noselect) \"/\" \"Bills/2026\"", "* LIST (\\HasNoChildren) \"/\" \"Bills/2026/10\""]);
    assert_eq!(client.ok("LSUB \"\" *2026*").await, ["* LSUB (\\HasNoChildren) \"/\" \"&UVp5Tw-/2026/10\""]);
    assert!(client.command("DELETE INBOX").await.1.starts_with("NO [CANNOT]"));
    // A use is one folder's, until that goes.
    assert!(client.command("CREATE spam (USE (\\Junk))").await.1.starts_with("NO [USEATTR] another folder has that use"));
    client.ok("DELETE Junk").await;
    let (_, made) = client.command("CREATE spam (USE (\\Junk))").await;
    assert_eq!(client.ok("LIST (SPECIAL-USE) \"\" spam").await, ["* LIST (\\HasNoChildren \\Junk) \"/\" \"spam\""]);
    // spec: rfc6154#4 it may also be given and taken, and is told where annotations are
    assert_eq!(client.ok("GETMETADATA (DEPTH infinity) spam /private").await, [r#"* METADATA "spam" (/private/specialuse "\\Junk")"#]);
    assert!(client.command(r#"SETMETADATA Bills (/private/specialuse "\\Junk")"#).await.1.starts_with("NO [USEATTR] another folder has that use"));
    for (mailbox, value) in [("Bills", r#""\\Flagged""#), ("Bills", "\"Junk\""), ("INBOX", r#""\\Junk""#)] {
        assert!(client.command(&format!("SETMETADATA {mailbox} (/private/specialuse {value})")).await.1.starts_with("NO [USEATTR] no folder is kept for that use here"));
    }
    assert!(client.command(r#"SETMETADATA Nowhere (/private/specialuse "\\Junk")"#).await.1.starts_with("NO [NONEXISTENT]"));
    client.ok("SETMETADATA spam (/private/specialuse NIL)").await;
    assert_eq!(client.ok("GETMETADATA spam /private/specialuse").await, [r#"* METADATA "spam" (/private/specialuse NIL)"#]);
    client.ok("DELETE Trash").await;
    client.ok(r#"SETMETADATA Bills (/private/specialuse "\\trash \\Junk" /private/comment "x")"#).await;
    assert_eq!(client.ok("GETMETADATA Bills (/private/specialuse /private/comment)").await, [r#"* METADATA "Bills" (/private/comment "x" /private/specialuse "\\Junk \\Trash")"#]);
    assert_eq!(client.ok("LIST (SPECIAL-USE) \"\" (spam Bills)").await, ["* LIST (\\HasChildren \\Junk \\Trash) \"/\" \"Bills\""]);
    client.ok("SETMETADATA Bills (/private/specialuse NIL)").await;
    client.ok(r#"SETMETADATA spam (/private/specialuse "\\Junk")"#).await;
    assert_eq!(client.ok("LIST (SPECIAL-USE) \"\" spam").await, ["* LIST (\\HasNoChildren \\Junk) \"/\" \"spam\""]);
    // spec: rfc8474#4.1 the id of what was made is the one that is told ever after
    let id = made.strip_prefix("OK [MAILBOXID (").unwrap().split_once(')').unwrap().0;
    assert_eq!(client.ok("STATUS spam (MAILBOXID)").await, [format!("* STATUS \"spam\" (MAILBOXID ({id}))")]);
    assert!(client.command("DELETE Nowhere").await.1.starts_with("NO [NONEXISTENT]"));
    assert!(client.command("SELECT Bills/2026").await.1.starts_with("NO [NONEXISTENT]"));
}

#[tokio::test]
async fn dates_are_days_of_the_city_to_the_end_of_the_calendar() {
    let server = start(quick()).await;
    let mut client = server.client(ONE).await;
    for (date, told) in [
        ("31-Oct-2026 23:30:00 +0000", "01-Nov-2026 07:30:00 +0800"),
        (" 1-Nov-2026 09:00:00 +0900", "01-Nov-2026 08:00:00 +0800"),
        ("31-Dec-9998 23:59:59 +0000", "01-Jan-9999 07:59:59 +0800"),
    ] {
        client.ok(&format!("APPEND INBOX \"{date}\" {{2+}}\r\nhi")).await;
        client.ok("SELECT INBOX").await;
        let lines = client.ok("FETCH * INTERNALDATE").await;
        assert!(lines[0].ends_with(&format!("FETCH (INTERNALDATE \"{told}\")")), "{lines:?}");
    }
    assert_eq!(client.ok("SEARCH ON 1-Nov-2026").await, ["* SEARCH 1 2"]);
}

/// On one thread, where whoever computes keeps everybody waiting.
#[tokio::test]
async fn a_search_in_a_large_message_keeps_nobody_waiting() {
    let server = start(quick()).await;
    let text = "a line of a long mail\r\n".repeat(2_600_000);
    server.deliver(ONE, "INBOX", format!("Subject: long\r\n\r\n{text}").as_bytes());
    let mut client = server.client(ONE).await;
    client.ok("SELECT INBOX").await;
    let (longest, done) = (std::sync::Arc::new(std::sync::Mutex::new(std::time::Duration::ZERO)), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let (seen, over) = (longest.clone(), done.clone());
    let waiting = tokio::spawn(async move {
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            let before = std::time::Instant::now();
            tokio::task::yield_now().await;
            let mut longest = seen.lock().unwrap();
            *longest = before.elapsed().max(*longest);
        }
    });
    let began = std::time::Instant::now();
    assert_eq!(client.ok("SEARCH BODY nowhere").await, ["* SEARCH"]);
    let whole = began.elapsed();
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    waiting.await.unwrap();
    let longest = *longest.lock().unwrap();
    assert!(longest < whole / 2, "others waited for {longest:?} of {whole:?}");
}

/// Another has deleted or renamed the folder between the look at it and the commit: the message goes nowhere else, and is told of.
#[tokio::test]
async fn a_folder_that_goes_while_something_is_appended_to_it() {
    type Other = fn(&mailgw::mailbox::MessageStore);
    let cases: [(Other, &str, &str); 4] = [
        (|other| other.delete_folder(ONE, "Archive", 9).unwrap(), "NO [TRYCREATE]", ""),
        (|other| other.rename_folder(ONE, "Archive", "Old").unwrap(), "NO [TRYCREATE]", "Old"),
        (|other| { other.delete_folder(ONE, "Archive", 9).unwrap(); other.create_folder(ONE, "Archive").unwrap(); }, "OK [APPENDUID 7 1]", "Archive"),
        (|other| { other.rename_folder(ONE, "Archive", "Old").unwrap(); other.create_folder(ONE, "Archive").unwrap(); }, "OK [APPENDUID 7 1]", "Archive"),
    ];
    for (at, (happens, said, left)) in cases.into_iter().enumerate() {
        let (memory, happened): (std::sync::Arc<dyn store::Store>, _) = (std::sync::Arc::new(store::Memory::new()), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        // Behind the two commits that make the accounts.
        let between = store::Between::before_commit(std::sync::Arc::clone(&memory), 2, {
            let (other, happened) = (another(std::sync::Arc::clone(&memory)), std::sync::Arc::clone(&happened));
            move || {
                happens(&other);
                happened.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        });
        let server = start_on(std::sync::Arc::new(between), quick(), "127.0.0.1:0", "127.0.0.1:0").await;
        let mut client = server.client(ONE).await;
        assert!(!happened.load(std::sync::atomic::Ordering::Relaxed), "something else was committed first");
        let answer = client.append("Archive", b"appended").await;
        assert!(happened.load(std::sync::atomic::Ordering::Relaxed) && answer.starts_with(said), "{at}: {answer}");
        // Whole or not at all, and in no other folder.
        for line in client.ok("LIST \"\" *").await {
            let name = line.rsplit('"').nth(1).unwrap();
            let count = u32::from(said.starts_with("OK") && name == left);
            assert_eq!(client.ok(&format!("STATUS {name} (MESSAGES)")).await, [format!("* STATUS \"{name}\" (MESSAGES {count})")], "{at}");
        }
        if !left.is_empty() {
            client.ok(&format!("SELECT {left}")).await;
        }
        assert_eq!(server.messages.quota_of(ONE).unwrap().used_messages, u64::from(said.starts_with("OK")), "{at}");
    }
}
