//! What Outlook and Apple's Mail do with folders and with what they moved, against a whole server. No recording of either is public: the
//! commands are those that the threads tell of which stand beside each.
use super::harness::*;

/// Outlook makes `A/B` where there may be no `A`, and later takes what it lists for a folder, whether one can be in it or not; servers on which
/// that lost folders had a `\Noselect` parent. cyrusimap/cyrus-imapd#2990 #290
#[tokio::test]
async fn outlook_and_a_folder_that_is_only_a_level() {
    let server = start(quick()).await;
    let mut client = server.client(ONE).await;
    client.ok("CREATE \"A/B/C\"").await;
    let list = "LIST \"\" \"A*\"";
    let level = |name: &str| format!("* LIST (\\HasChildren) \"/\" \"{name}\"");
    let archive = "* LIST (\\HasNoChildren \\Archive) \"/\" \"Archive\"".to_owned();
    let leaf = "* LIST (\\HasNoChildren) \"/\" \"A/B/C\"".to_owned();
    assert_eq!(client.ok(list).await, [level("A"), level("A/B"), leaf.clone(), archive.clone()]);
    assert!(client.append("A/B", b"one").await.starts_with("OK"));
    assert!(client.append("A/B/C", b"two").await.starts_with("OK"));
    // Deleted with a folder below it, it is a level.
    let before = client.ok("STATUS \"A/B\" (UIDVALIDITY)").await;
    client.ok("DELETE \"A/B\"").await;
    assert_eq!(client.ok(list).await, [level("A"), "* LIST (\\HasChildren \\Noselect) \"/\" \"A/B\"".to_owned(), leaf.clone(), archive.clone()]);
    assert_eq!(client.ok("LIST \"\" \"A/%\" RETURN (CHILDREN)").await, ["* LIST (\\HasChildren \\Noselect) \"/\" \"A/B\""]);
    client.ok("SELECT INBOX").await;
    for refused in ["SELECT \"A/B\"", "EXAMINE \"A/B\"", "STATUS \"A/B\" (MESSAGES UNSEEN)", "DELETE \"A/B\""] {
        let (lines, answer) = client.command(refused).await;
        assert!(answer.starts_with("NO [NONEXISTENT]") && !lines.iter().any(|line| line.contains("EXISTS")), "{refused}: {answer} {lines:?}");
    }
    assert!(client.append("A/B", b"x").await.starts_with("NO [TRYCREATE]"));
    // A folder that could not be opened leaves none open.
    assert!(client.command("UID FETCH 1:* FLAGS").await.1.starts_with("BAD"));
    // What lies below was not touched; made again it is another folder.
    assert_eq!(client.ok("STATUS \"A/B/C\" (MESSAGES)").await, ["* STATUS \"A/B/C\" (MESSAGES 1)"]);
    client.ok("CREATE \"A/B\"").await;
    assert_eq!(client.ok(list).await, [level("A"), level("A/B"), leaf, archive]);
    assert_ne!(client.ok("STATUS \"A/B\" (UIDVALIDITY)").await, before);
    assert_eq!(client.ok("STATUS \"A/B\" (MESSAGES)").await, ["* STATUS \"A/B\" (MESSAGES 0)"]);
    // With the hierarchy sign at its end, as it is said of what will hold folders. spec: rfc3501#6.3.3
    client.ok("CREATE \"A/D/\"").await;
    assert_eq!(client.ok("LIST \"\" \"A/D\"").await, ["* LIST (\\HasNoChildren) \"/\" \"A/D\""]);
    // A level goes with the last folder below it.
    for name in ["A/D", "A", "A/B", "A/B/C"] {
        client.ok(&format!("DELETE \"{name}\"")).await;
    }
    assert_eq!(client.ok(list).await, ["* LIST (\\HasNoChildren \\Archive) \"/\" \"Archive\""]);
}

/// Apple's Mail goes on with the UIDs that it moved, of which others made ghosts that could not be deleted. stalwartlabs/stalwart#1201
#[tokio::test]
async fn apples_mail_goes_on_with_what_it_moved() {
    let server = start(quick()).await;
    for text in ["one", "two", "three"] {
        server.deliver(ONE, "INBOX", text.as_bytes());
    }
    let (mut mail, mut phone) = (server.client(ONE).await, server.client(ONE).await);
    assert_eq!(mail.ok("ID (\"name\" \"Mac OS X Mail\" \"version\" \"16.0 (3826.200.121)\" \"os\" \"Mac OS X\" \"os-version\" \"15.2 (24C101)\" \"vendor\" \"Apple Inc.\")").await, ["* ID (\"name\" \"Suiyin\")"]);
    assert_eq!(phone.ok("ID (\"name\" \"com.apple.email.maild\" \"version\" \"22C152\" \"os\" \"iOS\" \"os-version\" \"18.2 (22C152)\" \"vendor\" \"Apple Inc\" \"device\" NIL)").await, ["* ID (\"name\" \"Suiyin\")"]);
    assert_eq!(mail.ok("NAMESPACE").await, ["* NAMESPACE ((\"\" \"/\")) NIL NIL"]);
    // Older ones ask for it where CAPABILITY does not name it: no folder is made of that, and the session goes on.
    assert!(mail.command("XLIST \"\" \"*\"").await.1.starts_with("BAD"));
    assert_eq!(mail.ok("LIST \"\" \"\"").await, ["* LIST (\\Noselect) \"/\" \"\""]);
    for client in [&mut mail, &mut phone] {
        client.ok("SELECT INBOX").await;
    }
    assert_eq!(mail.ok("UID MOVE 1:2 Trash").await, ["* OK [COPYUID 6 1:2 1:2] Moved", "* 1 EXPUNGE", "* 1 EXPUNGE"]);
    for (command, answer) in [
        ("UID FETCH 1:2 (UID FLAGS)", "OK"),
        ("UID STORE 1:2 +FLAGS.SILENT (\\Deleted)", "OK"),
        ("UID STORE 1:2 +FLAGS (\\Seen)", "OK"),
        ("UID EXPUNGE 1:2", "OK"),
        ("UID MOVE 1:2 Trash", "OK"),
        ("UID COPY 1 Archive", "OK"),
        ("UID SEARCH UID 1:2", "OK"),
    ] {
        let (lines, said) = mail.command(command).await;
        assert!(said.starts_with(answer) && !said.contains("COPYUID"), "{command}: {said}");
        assert!(lines.iter().all(|line| line == "* SEARCH"), "{command}: {lines:?}");
    }
    // The other device, which was not told yet, does the same with what it still shows.
    for command in ["UID STORE 1 +FLAGS (\\Deleted)", "UID FETCH 1 (UID FLAGS BODY.PEEK[])", "UID MOVE 2 Trash", "UID EXPUNGE 1:2"] {
        let (lines, said) = phone.command(command).await;
        assert!(!said.starts_with("BAD") && !said.contains("COPYUID") && !lines.iter().any(|line| line.contains("BODY[]")), "{command}: {said} {lines:?}");
    }
    phone.ok("NOOP").await;
    for client in [&mut mail, &mut phone] {
        assert_eq!(client.ok("UID FETCH 1:* (UID FLAGS)").await, ["* 1 FETCH (UID 3 FLAGS ())"]);
    }
    // Moved once, as they were.
    assert_eq!(mail.ok("STATUS Trash (MESSAGES UNSEEN UIDNEXT)").await, ["* STATUS \"Trash\" (MESSAGES 2 UNSEEN 2 UIDNEXT 3)"]);
    assert_eq!(mail.ok("STATUS Archive (MESSAGES)").await, ["* STATUS \"Archive\" (MESSAGES 0)"]);
    mail.ok("SELECT Trash").await;
    assert_eq!(mail.ok("UID FETCH 1:* (UID FLAGS)").await, ["* 1 FETCH (UID 1 FLAGS ())", "* 2 FETCH (UID 2 FLAGS ())"]);
}
