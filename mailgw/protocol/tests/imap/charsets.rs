//! Headers as programs of here write them: raw octets, and words cut where a line was full.
use crate::client::Client;

/// What a FETCH of this item says of a message.
fn told(message: &[u8], item: &str) -> String {
    let mut client = Client::selected();
    client.arrives(message);
    client.send(b"x NOOP\r\n");
    client.send(format!("a UID FETCH 6 {item}\r\n").as_bytes())
}

fn envelope(header: &[u8]) -> String {
    told(&[header, b"\r\n\r\nx\r\n"].concat(), "ENVELOPE")
}

#[test]
fn an_envelope_of_ascii_is_as_it_was_written() {
    // A character cut between two words, hz, and words this server does not know.
    for (text, said) in [
        ("=?gb2312?B?uau7/b0=?=\r\n\t=?gb2312?B?8A==?=", "=?gb2312?B?uau7/b0=?= =?gb2312?B?8A==?="),
        ("=?hz-gb-2312?B?fns5K359?=", "=?hz-gb-2312?B?fns5K359?="),
        ("=?x-none?Q?a,b<c>?=", "=?x-none?Q?a,b<c>?="),
    ] {
        let said_by = envelope(format!("Subject: {text}\r\nFrom: {text} <a@b.cn>, \"Doe, \\\"J\\\"\" <c@d.cn>\r\nTo: {text}: {text} <e@f.cn>;").as_bytes());
        assert!(said_by.contains(&format!("(NIL \"{said}\" ((\"{said}\" NIL \"a\" \"b.cn\")(\"Doe, \\\"J\\\"\" NIL \"c\" \"d.cn\"))")), "{said_by}");
        assert!(said_by.contains(&format!("((NIL NIL \"{said}\" NIL)(\"{said}\" NIL \"e\" \"f.cn\")(NIL NIL NIL NIL))")), "{said_by}");
    }
}

#[test]
fn raw_octets_of_an_envelope_are_read() {
    // 公积金 in GBK, and 誠 whose second octet is a backslash.
    let said = envelope(b"Subject: \xb9\xab\xbb\xfd\xbd\xf0\r\nFrom: \"\xb9\xab\xbb\xfd\xbd\xf0\" <a@b.cn>\r\nTo: \xd5\\ <c@d.cn>, =?gb2312?B?uau7/b0=?= =?gb2312?B?8A==?= \xd5\\ <e@f.cn>");
    assert!(said.contains(r#"(NIL "=?UTF-8?B?5YWs56ev6YeR?=" (("=?UTF-8?B?5YWs56ev6YeR?=" NIL "a" "b.cn"))"#), "{said}");
    // 誠 by itself, and 公积金 誠: one text, encoded once.
    assert!(said.contains(r#"(("=?UTF-8?B?6Kqg?=" NIL "c" "d.cn")("=?UTF-8?B?5YWs56ev6YeRIOiqoA==?=" NIL "e" "f.cn"))"#), "{said}");
    let said = envelope("Subject: 公积金\r\nFrom: 公积金 <a@b.cn>".as_bytes());
    assert!(said.contains(r#"(NIL "=?UTF-8?B?5YWs56ev6YeR?=" (("=?UTF-8?B?5YWs56ev6YeR?=" NIL "a" "b.cn"))"#), "{said}");
}

#[test]
fn names_of_files() {
    let gbk = "\"=?UTF-8?B?5YWs56ev6YeR?=\"";
    for (parameters, said) in [
        (&b"; filename=\"\xb9\xab\xbb\xfd\xbd\xf0\""[..], gbk),
        (b"; filename=\xb9\xab\xbb\xfd\xbd\xf0", gbk),
        (b"; filename=\"\xd5\\.doc\"", "\"=?UTF-8?B?6KqgLmRvYw==?=\""),
        (b"; filename*=gb2312''%B9%AB%BB%FD%BD%F0", gbk),
        // A character cut between two pieces, whose order is not theirs.
        (b";\r\n filename*1*=%FD%BD%F0;\r\n filename*0*=gb2312'zh'%B9%AB%BB", gbk),
        (b"; filename=\"x\"; filename*=UTF-8''%E5%85%AC%E7%A7%AF%E9%87%91", gbk),
        (b"; filename*0=\"a \"; filename*1=b.doc", "\"a b.doc\""),
        (b"; filename=\"=?gb2312?B?uau7/b0=?= =?gb2312?B?8A==?=\"", "\"=?gb2312?B?uau7/b0=?= =?gb2312?B?8A==?=\""),
        (b"; filename=\"a;\\\"b\\\".doc\"", "\"a;\\\"b\\\".doc\""),
        (b"; filename=a (b).doc; size=3", "\"a\" \"size\" \"3\""),
    ] {
        let message = [b"Content-Type: text/plain\r\nContent-Disposition: attachment", parameters, b"\r\n\r\nx\r\n"].concat();
        let told = told(&message, "BODYSTRUCTURE");
        assert!(told.contains(&format!("(\"attachment\" (\"filename\" {said}))")), "{}: {told}", parameters.escape_ascii());
        let message = [b"Content-Type: text/plain", parameters, b"; charset=gbk\r\n\r\nx\r\n"].concat();
        let told = self::told(&message, "BODYSTRUCTURE");
        assert!(told.contains(&format!("(\"text\" \"plain\" (\"filename\" {said} \"charset\" \"gbk\")")), "{}: {told}", parameters.escape_ascii());
    }
}

#[test]
fn people_are_sorted_by_what_their_names_say() {
    let mut client = Client::selected();
    // 公 (U+516C) before 积 (U+79EF) before 金 (U+91D1); by octets as they stand they are in another order.
    for from in [&b"=?gb2312?B?vQ==?= =?gbk?B?8A==?="[..], b"\xb9\xab", b"=?hz-gb-2312?B?fns7fX59?="] {
        client.arrives(&[b"From: ", from, b" <same@b.cn>\r\nTo: ", from, b" <same@b.cn>\r\n\r\nx\r\n"].concat());
    }
    client.send(b"x NOOP\r\n");
    client.script("C: a UID SORT (DISPLAYFROM) UTF-8 UID 6:8\nS: * SORT 7 8 6\nS: a OK Sorted\nC: b UID SORT (DISPLAYTO) UTF-8 UID 6:8\nS: * SORT 7 8 6\nS: b OK Sorted\n");
}
