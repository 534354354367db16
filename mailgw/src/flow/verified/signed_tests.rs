#![allow(clippy::unwrap_used)]
use super::*;

const HEADER: &str = "From: =?UTF-8?B?5YWs56ev6YeR?= <notice@gjj.example.cn>\r\nTo: <1234567897@mail.b.cn>, other@c.cn\r\nSubject: about your\r\n account\r\nDate: Wed, 25 Nov 2026 16:00:00 +0800\r\nMessage-ID: <1@gjj.example.cn>\r\n";

fn entity() -> String {
    format!("{HEADER}Content-Type: text/plain; charset=utf-8; hp=\"clear\"\r\n\r\nDear owner\r\n")
}

fn mail() -> String {
    format!(
        "Received: from a by b; Wed, 25 Nov 2026 16:00:01 +0800\r\n{HEADER}MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg=sha-256; boundary=\"b1\"\r\n\r\n\
         This is an S/MIME signed message\r\n\r\n--b1\r\n{}\r\n--b1\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\r\nMAsG\r\nCSo=\r\n\r\n--b1--\r\n\r\n",
        entity()
    )
}

fn unfit(mail: &str) -> Option<Unfit> {
    Signed::read(mail.as_bytes()).err()
}

#[test]
fn what_is_signed_as_a_whole_is_read() {
    let read = Signed::read(mail().as_bytes()).unwrap();
    assert_eq!((read.from.as_str(), read.name.as_deref()), ("notice@gjj.example.cn", Some("公积金")));
    assert_eq!(read.to, ["1234567897@mail.b.cn", "other@c.cn"]);
    assert_eq!(read.entity, entity().as_bytes());
    assert_eq!(read.signature, STANDARD.decode("MAsGCSo=").unwrap());
    // Folded elsewhere on its way it is still the same.
    assert_eq!(unfit(&mail().replacen("Subject: about your\r\n account", "Subject: about\r\n your account", 1)), None);
}

#[test]
fn whatever_could_be_seen_beside_it_makes_it_none() {
    let whole = mail();
    let changed = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        unfit(&whole.replacen(from, to, 1))
    };
    // Re-wrapped: another reader's name, subject, date; a field more; the same fields twice.
    assert_eq!(changed("Subject: about your", "Subject: pay your"), Some(Unfit::Field));
    assert_eq!(changed("To: <1234567897@", "To: <0000000006@"), Some(Unfit::Field));
    assert_eq!(changed("Date: Wed, 25", "Date: Thu, 26"), Some(Unfit::Field));
    assert_eq!(changed("From: =?UTF-8?B?5YWs56ev6YeR?= <notice@", "From: Fund <notice@"), Some(Unfit::Field));
    for more in ["Reply-To: evil@c.cn", "Sender: evil@c.cn", "Resent-From: evil@c.cn", "List-Id: <list.c.cn>", "Subject: another", "From: evil@c.cn", "Cc: evil@c.cn"] {
        assert_eq!(changed("MIME-Version", &format!("{more}\r\nMIME-Version")), Some(Unfit::Field), "{more}");
    }
    assert_eq!(unfit(&whole.replacen("Message-ID: <1@gjj.example.cn>\r\n", "", 2)), Some(Unfit::Field));
    assert_eq!(changed("MIME-Version", "From : evil@c.cn\r\nMIME-Version"), Some(Unfit::Malformed));
    // Half signed: text around, a part more, a list's footer, the signature in a mixed mail.
    assert_eq!(changed("This is an S/MIME signed message", "Please pay to account 1"), Some(Unfit::Beside));
    assert_eq!(changed("--b1--\r\n\r\n", "--b1--\r\nPlease pay to account 1\r\n"), Some(Unfit::Beside));
    assert_eq!(changed("\r\n--b1--", "\r\n--b1\r\n\r\nmore\r\n--b1--"), Some(Unfit::Beside));
    assert_eq!(changed("\r\n--b1--", "\r\n--b1-x\r\n--b1--"), Some(Unfit::Beside));
    assert_eq!(changed("\r\n--b1--", ""), Some(Unfit::Beside));
    assert_eq!(changed("multipart/signed", "multipart/mixed"), Some(Unfit::NotSigned));
    assert_eq!(changed("protocol=\"application/pkcs7-signature\"", "protocol=\"application/pgp-signature\""), Some(Unfit::NotSigned));
    assert_eq!(changed("MIME-Version: 1.0", "Content-Type: text/html\r\nMIME-Version: 1.0"), Some(Unfit::NotSigned));
    // Nested: a genuine one inside another mail.
    assert_eq!(unfit(&format!("From: evil@c.cn\r\nContent-Type: message/rfc822\r\n\r\n{whole}")), Some(Unfit::NotSigned));
    assert_eq!(unfit(&format!("{HEADER}Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n{whole}\r\n--x--\r\n")), Some(Unfit::NotSigned));
    // Lines that programs end in different places.
    assert_eq!(changed("Dear owner\r\n", "Dear owner\n"), Some(Unfit::Malformed));
    assert_eq!(changed("Dear owner\r\n", "Dear\rowner\r\n"), Some(Unfit::Malformed));
}

#[test]
fn there_is_one_author() {
    let of = |from: &str| unfit(&mail().replace("From: =?UTF-8?B?5YWs56ev6YeR?= <notice@gjj.example.cn>", from));
    assert_eq!(of("From: notice@gjj.example.cn"), None);
    for several in [
        "From: notice@gjj.example.cn, evil@c.cn",
        "From: evil@c.cn, notice@gjj.example.cn",
        "From: \"notice@gjj.example.cn\" <evil@c.cn>",
        "From: bureaus: notice@gjj.example.cn;",
        "From: notice@gjj.example.cn (evil@c.cn)",
        "From: nobody",
        "From: notice\u{ff20}gjj.example.cn <evil@c.cn>",
    ] {
        assert_eq!(of(several), Some(Unfit::Author), "{several}");
    }
}

/// As the parser reads them from the whole header.
#[test]
fn recipients_are_all_of_the_last_to_and_the_last_cc() {
    let to = |header: &str| Signed::read(mail().replace("To: <1234567897@mail.b.cn>, other@c.cn", header).as_bytes()).unwrap().to;
    assert_eq!(to("To: =?UTF-8?Q?a=2Cb?= <A@mail.b.cn>, \"x, y\"\r\n <b@c.cn>\r\nCc: friends: c@c.cn, d@c.cn;, e@c.cn"), ["a@mail.b.cn", "b@c.cn", "c@c.cn", "d@c.cn", "e@c.cn"]);
    // Several that only the signed header has: nobody sees the first.
    let whole = mail();
    let (outside, signed) = whole.split_once("--b1\r\nFrom").unwrap();
    let several = format!("{outside}--b1\r\nCc: first@c.cn\r\nCc: last@c.cn\r\nFrom{signed}");
    assert_eq!(Signed::read(several.as_bytes()).unwrap().to, ["1234567897@mail.b.cn", "other@c.cn", "last@c.cn"]);
    // However many, each with its name.
    let many: Vec<String> = (0..2_000).map(|number| format!("=?UTF-8?B?5YWs56ev6YeR?= <{number}@c.cn>")).collect();
    let read = to(&format!("To: {}", many.join(",\r\n ")));
    assert_eq!((read.len(), read.first().unwrap().as_str(), read.last().unwrap().as_str()), (2_000, "0@c.cn", "1999@c.cn"));
}

/// So long that to look for the end of each encoded word would not end; a signed header as long as that is not read at all.
#[test]
fn hostile_fields_are_read_once() {
    let words = "=?aa?Q?x ".repeat(1 << 20);
    let folded = words.replace(' ', "\r\n ");
    for (known, hostile) in [("notice@gjj", format!("{words} notice@gjj")), ("Subject: about", format!("Subject: {folded} about")), ("To: <", format!("To: {folded} <"))] {
        assert_eq!(unfit(&mail().replace(known, &hostile)), Some(Unfit::Malformed), "{known}");
    }
    let fields = mail().replace("--b1\r\nFrom", &format!("--b1\r\n{}From", "X: y\r\n".repeat(1 << 20)));
    assert!(fields.len() > 6 << 20);
    assert_eq!(unfit(&fields), Some(Unfit::Malformed));
    for more in ["X-Other", "DKIM-Signature"] {
        assert_eq!(unfit(&mail().replacen("MIME-Version", &format!("{more}: {folded}\r\nMIME-Version"), 1)), None, "{more}");
    }
    assert_eq!(unfit(&mail().replacen("micalg", &format!("x=\"{folded}\"; micalg"), 1)), Some(Unfit::Malformed));
    // As long as a header may be.
    let (words, folded) = (words.get(..18_000).unwrap(), folded.get(..20_000).unwrap());
    assert_eq!(unfit(&mail().replace("notice@gjj", &format!("{words} notice@gjj"))), Some(Unfit::Author));
    assert_eq!(unfit(&mail().replace("Subject: about", &format!("Subject: {folded} about"))), None);
    let to = Signed::read(mail().replace("To: <", &format!("To: {folded} <")).as_bytes()).unwrap().to;
    assert_eq!(to, ["1234567897@mail.b.cn", "other@c.cn"]);
}

#[test]
fn nothing_makes_it_panic() {
    let whole = mail();
    for end in 0..whole.len() {
        let _ = Signed::read(whole.as_bytes().get(..end).unwrap());
    }
}
