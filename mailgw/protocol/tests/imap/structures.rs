//! ENVELOPE and BODYSTRUCTURE whole, as rfc3501#7.4.2 and rfc9051#7.5.2 want them: each expected text was written from there by hand.
use crate::client::Client;

/// What is told of a message whose lines end as the lines of `message` do.
fn told(message: &str) -> String {
    let mut client = Client::selected();
    client.arrives(message.as_bytes());
    client.send(b"x NOOP\r\n");
    client.send(b"a UID FETCH 6 (ENVELOPE BODYSTRUCTURE)\r\n")
}

fn tells(what: &str, message: &str, envelope: &str, structure: &str) {
    assert_eq!(told(message), format!("* 3 FETCH (UID 6 ENVELOPE {envelope} BODYSTRUCTURE {structure})\r\na OK Fetched\r\n"), "{what}");
}

const NOBODY: &str = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";

#[test]
fn a_single_part_with_all_its_fields() {
    tells(
        "all fields",
        "Content-Type: text/plain; charset=\"utf-8\"; format=flowed\r\nContent-ID: <part@b.example>\r\nContent-Description: A \"letter\"\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Disposition: attachment; filename=a.txt; size=3\r\nContent-Language: en\r\nContent-Location: http://b.example/a\r\n\r\none\r\ntwo\r\n",
        NOBODY,
        r#"("text" "plain" ("charset" "utf-8" "format" "flowed") "<part@b.example>" "A \"letter\"" "quoted-printable" 10 2 "Q2hlY2sgSW50ZWdyaXR5IQ==" ("attachment" ("filename" "a.txt" "size" "3")) "en" "http://b.example/a")"#,
    );
    tells(
        "no text, so no lines",
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\nAA==\r\n",
        NOBODY,
        r#"("application" "octet-stream" NIL NIL NIL "base64" 6 NIL ("attachment" NIL) NIL NIL)"#,
    );
    // Several languages are a list. spec: rfc3282#2
    for (field, said) in [("de, en-GB", r#"("de" "en-GB")"#), ("en (English),\r\n\tzh-Hans-CN", r#"("en" "zh-Hans-CN")"#), ("en (English)", r#""en""#), ("no tag, fr", r#""no tag, fr""#), (",", r#"",""#)] {
        tells(field, &format!("Content-Language: {field}\r\n\r\nx\r\n"), NOBODY, &format!(r#"("text" "plain" NIL NIL NIL "7BIT" 3 1 NIL NIL {said} NIL)"#));
    }
}

#[test]
fn parts_within_parts() {
    tells(
        "an alternative in a mixed, with a preamble and epilogues",
        "Content-Type: multipart/mixed; boundary=\"out er\"\r\nContent-Disposition: inline\r\nContent-Language: en\r\nContent-Location: a/b\r\n\r\npreamble\r\n--out er\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\nContent-Type: text/plain\r\n\r\nplain\r\n--in\r\nContent-Type: text/html; charset=us-ascii\r\n\r\n<p>html</p>\r\n\r\n--in--\r\nbetween\r\n--out er\r\nContent-Type: image/png; name=\"a.png\"\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n--out er--\r\nepilogue\r\n--out er\r\n",
        NOBODY,
        r#"((("text" "plain" NIL NIL NIL "7BIT" 5 1 NIL NIL NIL NIL)("text" "html" ("charset" "us-ascii") NIL NIL "7BIT" 13 1 NIL NIL NIL NIL) "alternative" ("boundary" "in") NIL NIL NIL)("image" "png" ("name" "a.png") NIL NIL "base64" 8 NIL NIL NIL NIL) "mixed" ("boundary" "out er") ("inline" NIL) "en" "a/b")"#,
    );
    tells(
        "a message in a mixed: its lines are those of its header, too",
        "Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Description: forwarded\r\n\r\nDate: today\r\nFrom: In Ner <in@b.example>\r\nSubject: inner\r\n\r\none\r\ntwo\r\n--b--\r\n",
        r#"(NIL "outer" NIL NIL NIL NIL NIL NIL NIL NIL)"#,
        // 13 + 29 + 16 + 2 + 5 + 3 octets.
        r#"(("message" "rfc822" NIL NIL "forwarded" "7BIT" 68 ("today" "inner" (("In Ner" NIL "in" "b.example")) (("In Ner" NIL "in" "b.example")) (("In Ner" NIL "in" "b.example")) NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7BIT" 8 2 NIL NIL NIL NIL) 6 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL)"#,
    );
    tells(
        "a message that holds a multipart",
        "Content-Type: message/rfc822\r\n\r\nMessage-ID: <i@b.example>\r\nIn-Reply-To: <j@b.example>\r\nContent-Type: multipart/related; boundary=b; type=\"text/html\"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nx\r\n--b--\r\n",
        NOBODY,
        // 27 + 28 + 63 + 2 + 5 + 25 + 2 + 3 + 7 octets.
        r#"("message" "rfc822" NIL NIL NIL "7BIT" 162 (NIL NIL NIL NIL NIL NIL NIL NIL "<j@b.example>" "<i@b.example>") (("text" "html" NIL NIL NIL "7BIT" 1 1 NIL NIL NIL NIL) "related" ("boundary" "b" "type" "text/html") NIL NIL NIL) 9 NIL NIL NIL NIL)"#,
    );
    tells(
        "parts of a digest are messages unless they say otherwise",
        "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: one\r\n\r\nx\r\n--b\r\nContent-Type: text/plain\r\n\r\ny\r\n--b--\r\n",
        NOBODY,
        r#"(("message" "rfc822" NIL NIL NIL "7BIT" 17 (NIL "one" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7BIT" 1 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)("text" "plain" NIL NIL NIL "7BIT" 1 1 NIL NIL NIL NIL) "digest" ("boundary" "b") NIL NIL NIL)"#,
    );
    // spec: rfc2046#5.2.1 it may not be in a coding, and then its parts cannot be told
    tells(
        "a message in base64",
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==\r\n",
        NOBODY,
        r#"("application" "octet-stream" NIL NIL NIL "base64" 18 NIL NIL NIL NIL)"#,
    );
}

/// A message in UTF-8 that was put in another is a message as any: its parts are told, numbered, decoded and looked through. spec: rfc9051#7.5.2
#[test]
fn a_message_in_utf_8_within_another() {
    let inner = "From: \u{5f20}\u{4e09} <zhang@b.example>\r\nSubject: \u{5185}\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n56mX5Y2w\r\n--i\r\nContent-Type: application/octet-stream\r\n\r\nxyz\r\n--i--\r\n";
    let message = format!("Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nplain\r\n--o\r\nContent-Type: message/global\r\n\r\n{inner}\r\n--o--\r\n");
    let zhang = r#"(("=?UTF-8?B?5byg5LiJ?=" NIL "zhang" "b.example"))"#;
    let lines = inner.lines().count();
    tells(
        "message/global",
        &message,
        r#"(NIL "outer" NIL NIL NIL NIL NIL NIL NIL NIL)"#,
        &format!(
            r#"(("text" "plain" NIL NIL NIL "7BIT" 5 1 NIL NIL NIL NIL)("message" "global" NIL NIL NIL "7BIT" {} (NIL "=?UTF-8?B?5YaF?=" {zhang} {zhang} {zhang} NIL NIL NIL NIL NIL) (("text" "plain" ("charset" "utf-8") NIL NIL "base64" 8 1 NIL NIL NIL NIL)("application" "octet-stream" NIL NIL NIL "7BIT" 3 NIL NIL NIL NIL) "mixed" ("boundary" "i") NIL NIL NIL) {lines} NIL NIL NIL NIL) "mixed" ("boundary" "o") NIL NIL NIL)"#,
            inner.len()
        ),
    );
    let mut client = Client::selected();
    client.arrives(message.as_bytes());
    client.send(b"x NOOP\r\n");
    let (header, text) = inner.split_once("\r\n\r\n").unwrap();
    let (header, mime) = (format!("{header}\r\n\r\n"), "Content-Type: message/global\r\n\r\n");
    for (item, said) in [
        ("BODY[2]", inner),
        ("BODY[2.MIME]", mime),
        ("BODY[2.HEADER]", &header),
        ("BODY[2.HEADER.FIELDS (SUBJECT)]", "Subject: \u{5185}\r\n\r\n"),
        ("BODY[2.TEXT]", text),
        ("BODY[2.1]", "56mX5Y2w"),
        ("BODY[2.2.MIME]", "Content-Type: application/octet-stream\r\n\r\n"),
        ("BINARY[2.1]", "\u{7a57}\u{5370}"),
        ("BINARY[2.2]", "xyz"),
        ("BINARY[2]", inner),
    ] {
        let asked = item.replacen("[", ".PEEK[", 1);
        assert_eq!(client.send(format!("a UID FETCH 6 {asked}\r\n").as_bytes()), format!("* 3 FETCH (UID 6 {item} {{{}}}\r\n{said})\r\na OK Fetched\r\n", said.len()), "{item}");
    }
    assert_eq!(client.send(b"a UID FETCH 6 (BODY.PEEK[2.3] BINARY.SIZE[2.1])\r\n"), "* 3 FETCH (UID 6 BODY[2.3] NIL BINARY.SIZE[2.1] 6)\r\na OK Fetched\r\n");
    // What its text says in base64 is found, what its attachment says is no text.
    for (criterion, found) in [("BODY {6}\r\n\u{7a57}\u{5370}", " 3"), ("BODY 56mX", ""), ("BODY zyx", "")] {
        let (first, rest) = criterion.split_once("\r\n").map_or((criterion.to_owned(), ""), |(first, rest)| (first.replace('}', "+}") + "\r\n", rest));
        assert_eq!(client.send(format!("a SEARCH CHARSET UTF-8 {first}{rest}\r\n").as_bytes()), format!("* SEARCH{found}\r\na OK Searched\r\n"), "{criterion}");
    }
    // In a coding it is octets, as is a message in one: what lies within has none of its own.
    tells(
        "message/global in base64",
        "Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==\r\n",
        NOBODY,
        r#"("application" "octet-stream" NIL NIL NIL "base64" 18 NIL NIL NIL NIL)"#,
    );
    // Of no message, but of what one says of others.
    tells("a report", "Content-Type: message/global-delivery-status\r\n\r\nx\r\n", NOBODY, r#"("message" "global-delivery-status" NIL NIL NIL "7BIT" 3 NIL NIL NIL NIL)"#);
}

#[test]
fn parts_that_are_broken() {
    // A multipart has one part at least, says the grammar; so what has none is text.
    for (what, parameters, body, octets, lines) in [
        ("nothing but the end", "; boundary=b", "--b--\r\n", 7, 1),
        ("no boundary is named", "", "--b\r\n\r\nx\r\n--b--\r\n", 17, 4),
        ("an empty boundary", "; boundary=\"\"", "--\r\n\r\nx\r\n", 9, 3),
        ("the boundary never comes", "; boundary=b", "--c\r\n\r\nx\r\n--c--", 15, 4),
        ("no octets", "; boundary=b", "", 0, 0),
    ] {
        tells(what, &format!("Content-Type: multipart/mixed{parameters}\r\n\r\n{body}"), NOBODY, &format!(r#"("text" "plain" NIL NIL NIL "7BIT" {octets} {lines} NIL NIL NIL NIL)"#));
    }
    // What ends without a delimiter ends with the message; what begins with one and has nothing is an empty part.
    for (what, body, octets, lines) in [
        ("not closed", "--b\r\n\r\none\r\ntwo\r\n", 10, 2),
        ("cut within a line", "--b\r\n\r\none\r\ntw", 7, 2),
        ("no octets", "--b\r\n\r\n--b--\r\n", 0, 0),
        ("an empty line", "--b\r\n\r\n\r\n--b--\r\n", 0, 0),
        ("two empty lines", "--b\r\n\r\n\r\n\r\n--b--\r\n", 2, 1),
        ("no header and no blank line", "--b\r\n--b--\r\n", 0, 0),
        ("a delimiter that is padded", "--b \t\r\n\r\nx\r\n--b-- \r\n", 1, 1),
        ("a line that only begins like a delimiter", "--b\r\n\r\n--bc\r\n--b--\r\n", 4, 1),
        ("the last line is the delimiter", "--b\r\n\r\nx\r\n--b--", 1, 1),
    ] {
        tells(
            what,
            &format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{body}"),
            NOBODY,
            &format!(r#"(("text" "plain" NIL NIL NIL "7BIT" {octets} {lines} NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL)"#),
        );
    }
    for (what, message, subject, octets, lines) in [
        ("a header without its blank line", "Subject: x\r\n", r#""x""#, 0, 0),
        ("a header cut within a line", "Subject: x", r#""x""#, 0, 0),
        ("no octets at all", "", "NIL", 0, 0),
        ("no header at all", "\r\nonly text\r\n", "NIL", 11, 1),
        ("a last line without its end", "Subject: x\r\n\r\none\r\ntwo", r#""x""#, 8, 2),
        ("a line that is no field", "Subject: x\r\nno field\r\n\r\none\r\n", r#""x""#, 5, 1),
        ("a subject of nothing is not absent", "Subject:\r\n\r\none\r\n", r#""""#, 5, 1),
    ] {
        tells(what, message, &format!("(NIL {subject} NIL NIL NIL NIL NIL NIL NIL NIL)"), &format!(r#"("text" "plain" NIL NIL NIL "7BIT" {octets} {lines} NIL NIL NIL NIL)"#));
    }
    // spec: rfc2045#5.2 what cannot be read is plain text
    for garbage in ["text", "", ";;;", "/", "text/", "/plain", "te@xt/html", "text/ht=ml", "text html", "=?utf-8?Q?text/html?="] {
        tells(garbage, &format!("Content-Type: {garbage}\r\n\r\nx\r\n"), NOBODY, r#"("text" "plain" NIL NIL NIL "7BIT" 3 1 NIL NIL NIL NIL)"#);
    }
    for (garbage, said) in [("text/html;", "NIL"), ("text/html; ; =x; charset", "NIL"), ("text/html; charset=utf-8;;", r#"("charset" "utf-8")"#)] {
        tells(garbage, &format!("Content-Type: {garbage}\r\n\r\nx\r\n"), NOBODY, &format!(r#"("text" "html" {said} NIL NIL "7BIT" 3 1 NIL NIL NIL NIL)"#));
    }
}

#[test]
fn people_of_an_envelope() {
    let text = r#"("text" "plain" NIL NIL NIL "7BIT" 3 1 NIL NIL NIL NIL)"#;
    tells(
        "all fields",
        "Date: Tue, 1 Dec 2026 09:00:00 +0800\r\nSubject: all\r\nFrom: One <one@b.example>, Two <two@b.example>\r\nSender: Three <three@b.example>\r\nReply-To: four@b.example\r\nTo: five@b.example\r\nCc: six@b.example\r\nBcc: seven@b.example\r\nIn-Reply-To: <a@b.example> <b@b.example>\r\nMessage-ID: <c@b.example>\r\n\r\nx\r\n",
        r#"("Tue, 1 Dec 2026 09:00:00 +0800" "all" (("One" NIL "one" "b.example")("Two" NIL "two" "b.example")) (("Three" NIL "three" "b.example")) ((NIL NIL "four" "b.example")) ((NIL NIL "five" "b.example")) ((NIL NIL "six" "b.example")) ((NIL NIL "seven" "b.example")) "<a@b.example> <b@b.example>" "<c@b.example>")"#,
        text,
    );
    tells(
        "an empty Sender and no Reply-To are From; an empty Cc is none; an empty date is empty",
        "Date: \r\nFrom: a@b.example, c@d.example\r\nSender:\r\nCc: \r\n\r\nx\r\n",
        r#"("" NIL ((NIL NIL "a" "b.example")(NIL NIL "c" "d.example")) ((NIL NIL "a" "b.example")(NIL NIL "c" "d.example")) ((NIL NIL "a" "b.example")(NIL NIL "c" "d.example")) NIL NIL NIL NIL NIL)"#,
        text,
    );
    for (what, to, said) in [
        ("a group", "Team: a@b.example, B <b@b.example>;", r#"(NIL NIL "Team" NIL)(NIL NIL "a" "b.example")("B" NIL "b" "b.example")(NIL NIL NIL NIL)"#),
        ("an empty group", "undisclosed-recipients:;", r#"(NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)"#),
        ("a group among others", "c@b.example, \"The, team\": a@b.example;, d@b.example", r#"(NIL NIL "c" "b.example")(NIL NIL "The, team" NIL)(NIL NIL "a" "b.example")(NIL NIL NIL NIL)(NIL NIL "d" "b.example")"#),
        ("two groups", "One:; , Two: a@b.example;", r#"(NIL NIL "One" NIL)(NIL NIL NIL NIL)(NIL NIL "Two" NIL)(NIL NIL "a" "b.example")(NIL NIL NIL NIL)"#),
        ("a source route", "Routed <@x.example,@y.example:joe@z.example>, a@b.example", r#"("Routed" "@x.example,@y.example" "joe" "z.example")(NIL NIL "a" "b.example")"#),
        ("a name in quotation marks", "\"Doe, \\\"J\\\" \\\\\" <a@b.example>", r#"("Doe, \"J\" \\" NIL "a" "b.example")"#),
        ("a local part in quotation marks", "<\"john doe\"@b.example>, <\"a@\\\"b\"@c.example>", r#"(NIL NIL "john doe" "b.example")(NIL NIL "a@\"b" "c.example")"#),
        ("a local part in quotation marks without brackets", "\"john doe\"@b.example", r#"(NIL NIL "john doe" "b.example")"#),
        // A comment is no part of it. Names and addresses as Python's `email.utils` reads them.
        ("such a one and a comment", "\"john doe\"@b.example (J), (K) \"a.b\"@c.example", r#"("J" NIL "john doe" "b.example")("K" NIL "a.b" "c.example")"#),
        ("parentheses and other signs in it", "\"john (x), <y>; z\"@b.example, \"a\\\"b\\\\\"@c.example (J)", r#"(NIL NIL "john (x), <y>; z" "b.example")("J" NIL "a\"b\\" "c.example")"#),
        ("a word before it", "a.\"b c\"@d.example (J)", r#"("J" NIL "a.b c" "d.example")"#),
        ("a name before it", "\"Doe, J\" \"john doe\"@b.example", r#"("Doe, J" NIL "john doe" "b.example")"#),
        ("such a one in a group, and quotation marks in comments", "Team: \"john doe\"@b.example (5\" (\"x\"@y)), a@b.example;", r#"(NIL NIL "Team" NIL)("5\" (\"x\"@y)" NIL "john doe" "b.example")(NIL NIL "a" "b.example")(NIL NIL NIL NIL)"#),
        ("encoded words beside it", "\"john doe\"@b.example (=?utf-8?B?5byg5LiJ?=)", r#"("=?utf-8?B?5byg5LiJ?=" NIL "john doe" "b.example")"#),
        ("quotation marks without an end", "\"john\"@b.example, \"doe@c.example", r#"(NIL NIL "john" "b.example")("doe@c.example" NIL "" "")"#),
        ("a literal of a host", "<a@[192.0.2.1]>, <b@[IPv6:2001:db8::1]>", r#"(NIL NIL "a" "[192.0.2.1]")(NIL NIL "b" "[IPv6:2001:db8::1]")"#),
        ("an escaped backslash in a local part", "<\"a\\\\b\"@c.example>", r#"(NIL NIL "a\\b" "c.example")"#),
        // No phrase, but so names were written before there were any. spec: rfc5322#3.4
        ("a comment", "a@b.example (Two)", r#"("Two" NIL "a" "b.example")"#),
        ("folded", "A\r\n <a@b.example>,\r\n\t\"B\r\n C\" <b@b.example>", r#"("A" NIL "a" "b.example")("B C" NIL "b" "b.example")"#),
        // An absent host would mean a group.
        ("no host", "<root>", r#"(NIL NIL "root" "")"#),
    ] {
        tells(what, &format!("To: {to}\r\n\r\nx\r\n"), &format!("(NIL NIL NIL NIL NIL ({said}) NIL NIL NIL NIL)"), text);
    }
}
