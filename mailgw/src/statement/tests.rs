#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::path::Path;
use std::process::Command;

use mail_parser::{MessageParser, MimeHeaders, PartType};
use policies::sender::{Addressee, Field, FieldType, HEAD, LetterHeader, LetterKinds, SHIPPED};
use policies::statement::{Kind, Reason, StatementId};
use proptest::prelude::*;
use time::macros::datetime;

use super::samples::{any, housing_fund, pension, recipient, sender};
use super::*;

pub(super) const AT: OffsetDateTime = datetime!(2026-11-01 08:00 +8);

fn sealed(row: &Row, signature: &[u8]) -> Vec<u8> {
    message(&referred(row).0, signature)
}

/// As it goes out, with the key that opens its reference.
fn referred(row: &Row) -> (Entity, DataKey) {
    let key = DataKey::fleeting().unwrap();
    (entity(row, &sender(row.kind()), &recipient(), AT, &Beside::default()).referred(&key).unwrap(), key)
}

/// What is signed, as OpenSSL finds it: from behind the line end of the first boundary to before the line end that
/// precedes the second.
fn signed_part(message: &str) -> &str {
    let boundary = message.split_once("boundary=\"").unwrap().1.split_once('"').unwrap().0;
    assert_eq!(message.matches(boundary).count(), 4, "the boundary occurs in the content");
    message.split(&format!("\r\n--{boundary}\r\n")).nth(1).unwrap()
}

/// The three renderings as another parser decodes them.
pub(super) struct Read {
    pub text: String,
    pub html: String,
    pub json: serde_json::Value,
}

pub(super) fn read(message: &[u8]) -> Read {
    let parsed = MessageParser::new().parse(message).unwrap();
    let found = |kind: &str| {
        let part = parsed.parts.iter().find(|part| {
            part.content_type().is_some_and(|found| format!("{}/{}", found.ctype(), found.subtype().unwrap_or_default()) == kind)
        });
        match &part.unwrap().body {
            PartType::Text(text) | PartType::Html(text) => text.replace("\r\n", "\n"),
            PartType::Binary(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    Read { text: found("text/plain"), html: found("text/html"), json: serde_json::from_str(&found("application/json")).unwrap() }
}

fn unescaped(html: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")].iter().fold(html.to_owned(), |html, (from, to)| html.replace(from, to))
}

/// The text of HTML: tags are taken out, and white space is one space.
pub(super) fn spoken(html: &str) -> String {
    let text: String = html.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text)).collect();
    unescaped(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn the_message_is_built_as_the_standards_say() {
    for row in [housing_fund("张伟", "广州示范有限公司"), pension("阿依古丽·买买提", "广州示范有限公司")] {
        let bytes = sealed(&row, &[0x30, 0x00]);
        let parsed = MessageParser::new().parse(&bytes).unwrap();
        let kinds: Vec<String> = parsed.parts.iter().filter_map(|part| part.content_type()).map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap())).collect();
        assert_eq!(kinds, [
            "multipart/signed", "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/json", "application/pkcs7-signature",
        ]);
        let outer = parsed.parts[0].content_type().unwrap();
        assert_eq!(outer.attribute("micalg"), Some("sha-256"));
        assert_eq!(outer.attribute("protocol"), Some("application/pkcs7-signature"));
        assert_eq!(parsed.parts[1].content_type().unwrap().attribute("hp"), Some("clear"));
        for index in [3, 4] {
            assert_eq!(parsed.parts[index].content_type().unwrap().attribute("charset"), Some("utf-8"));
        }
        assert_eq!(parsed.parts[5].attachment_name(), Some("statement-202610.json"));
        assert_eq!(parsed.parts[6].attachment_name(), Some("smime.p7s"));
        assert_eq!(parsed.parts[6].contents(), [0x30, 0x00]);
        let from = parsed.from().unwrap().first().unwrap();
        let bureau = sender(row.kind());
        assert_eq!((from.name(), from.address()), (Some(bureau.name.as_str()), Some(bureau.address.as_str())));
        assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some("0000000006@mail.gz.example"));
        assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-01T08:00:00+08:00");
        let subject = match row.kind() {
            Kind::HousingFund => "住房公积金月度对账单 2026年10月 / Housing fund statement 2026-10",
            Kind::Pension => "基本养老保险月度对账单 2026年10月 / Basic pension statement 2026-10",
        };
        assert_eq!(parsed.subject(), Some(subject));
        for protected in ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"] {
            assert_eq!(parsed.parts[0].headers.iter().filter(|header| header.name() == protected).count(), 1);
            assert_eq!(parsed.header_raw(protected), parsed.parts[1].headers.iter().find(|header| header.name() == protected).map(|header| {
                std::str::from_utf8(&bytes[header.offset_start() as usize..header.offset_end() as usize]).unwrap()
            }));
        }
    }
}

#[test]
fn the_same_statement_is_the_same_bytes_under_the_same_identifier() {
    let row = housing_fund("张伟", "广州示范有限公司");
    let bureau = sender(Kind::HousingFund);
    let first = entity(&row, &bureau, &recipient(), AT, &Beside::default());
    assert_eq!(first, entity(&row, &bureau, &recipient(), AT, &Beside::default()));
    let later = entity(&row, &bureau, &recipient(), AT + time::Duration::days(1), &Beside::default());
    assert_eq!(first.message_id(), later.message_id());
    assert_ne!(first.message_id(), entity(&row, &sender(Kind::Pension), &recipient(), AT, &Beside::default()).message_id());
    assert_ne!(token("a", &bureau, "bc"), token("ab", &bureau, "c"));
    assert_eq!(format!("{first:?}"), format!("Entity({})", first.message_id()));
}

#[test]
fn nothing_tells_a_number_or_a_name() {
    for row in [housing_fund("欧阳示例", "广州示范有限公司"), pension("欧阳示例", "广州示范有限公司")] {
        let bytes = sealed(&row, b"signature");
        let Read { text, html, json } = read(&bytes);
        for whole in [text, html, json.to_string()] {
            for secret in ["440106189602290015", "18960229", "欧阳示例", "GJJ000000000001", "DW0000001"] {
                assert!(!whole.contains(secret), "{secret}");
            }
            assert!(whole.contains("欧*") && whole.contains("440***********0015"));
        }
        let header = std::str::from_utf8(&bytes).unwrap().split("\r\n\r\n").next().unwrap();
        assert!(!header.contains("HF2026") && !header.contains("0015") && !header.contains("68400"));
        // Nor where all else is encrypted; the gateway alone finds which statement it is.
        let (entity, key) = referred(&row);
        let closed = encrypted(&entity, b"envelope");
        let header = std::str::from_utf8(&closed).unwrap().split("\r\n\r\n").next().unwrap();
        for secret in [row.head().stmt_id.as_str(), sender(row.kind()).code.as_str()] {
            assert!(!header.contains(secret), "{secret}");
        }
        assert_eq!(named_by(&closed, &key).unwrap().statement, row.head().stmt_id.as_str());
    }
}

#[test]
fn html_fetches_nothing_and_runs_nothing() {
    for row in [housing_fund("<script>甲", "\"><img src=x onerror=a()>甲&乙"), pension("'甲", "<b>甲</b>")] {
        let Read { html, .. } = read(&sealed(&row, b""));
        for forbidden in ["<script", "<img", "<link", "<style", "<a ", "<b>", "href", "src=\"", "url(", "http", "@import", "<form", "<iframe"] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        assert!(html.contains("<html lang=\"zh-CN\">") && html.contains("<th scope=\"row\""));
    }
}

/// Web mail takes away the attributes that its sanitiser does not know, Roundcube those without a value too. Of a page it shows what the
/// body holds. Which of those that pass were seen.
fn survives_a_sanitiser(html: &str) -> std::collections::BTreeSet<&'static str> {
    // On both lists: Roundcube's (rcube_washtml) and DOMPurify's.
    const PASSED: [&str; 6] = ["align", "cellpadding", "lang", "nowrap", "style", "width"];
    // Roundcube takes these away: the page looks the same without them.
    const SPOKEN: [&str; 3] = ["aria-hidden", "role", "scope"];
    let body = html.split_once("<body").unwrap().1.split_once('>').unwrap().1;
    let mut seen = std::collections::BTreeSet::new();
    for tag in body.split('<').skip(1).filter_map(|piece| piece.split_once('>')).map(|(tag, _)| tag) {
        let (_, mut rest) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        while !rest.is_empty() {
            let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("<{tag}> has an attribute without a value"));
            let (value, after) = after.split_once('"').unwrap();
            let passed = PASSED.iter().find(|passed| **passed == name);
            assert!(passed.is_some() || SPOKEN.contains(&name), "<{tag}>: web mail takes {name}");
            assert!(!value.is_empty(), "<{tag}>: {name} is empty");
            seen.extend(passed);
            rest = after.trim_start();
        }
    }
    seen
}

#[test]
fn html_looks_the_same_after_a_sanitiser() {
    let history = [(Period::parse("202609").unwrap(), Money::from_fen(6_600_000).unwrap())];
    let (corrects, reason) = (StatementId::parse("HF20261000000000").unwrap(), Reason { chinese: "甲".into(), english: "a".into() });
    let correction = Correction { corrects: &corrects, reason: &reason };
    for row in [housing_fund("张伟", "广州示范科技有限公司"), pension("张伟", "广州示范科技有限公司")] {
        let beside = Beside { correction: Some(&correction), history: &history };
        let Read { html, .. } = read(&message(&entity(&row, &sender(row.kind()), &recipient(), AT, &beside), b""));
        assert!(survives_a_sanitiser(&html).iter().eq(&["align", "cellpadding", "lang", "nowrap", "style", "width"]));
        assert!(html.contains("<tr style=\"border-top:"), "rows have lines between them");
    }
}

/// A message of a kind that a policy defines, with a value of every field. A text is one that HTML reads as something else.
pub(super) fn letter_of(kind: &LetterKind) -> Letter {
    let value = |field: &Field| match &field.of {
        FieldType::Text { max_bytes } => if *max_bytes < 12 { "<b>&" } else { "<i a>&\"甲" }.to_owned(),
        FieldType::Date => "2026-10-31".to_owned(),
        FieldType::Month => "202610".to_owned(),
        FieldType::Fen { max, .. } => max.to_string(),
        FieldType::Percent { max, .. } => max.to_string(),
        FieldType::Count { .. } => "3".to_owned(),
        FieldType::Code { codes } => codes[0].0.clone(),
    };
    let [id_type, id_no, name] = match kind.addressee() {
        Addressee::Person => ["01", "440106189602290015", "张伟"],
        Addressee::Institution => ["uscc", "91440101MAT000018G", "广州示范科技有限公司"],
    };
    let mut columns: Vec<(&str, String)> = HEAD.into_iter().zip(["L-1", "202610", id_type, id_no, name].map(str::to_owned)).collect();
    columns.extend(kind.fields().iter().map(|field| (field.name.as_str(), value(field))));
    let (names, values): (Vec<&str>, Vec<&str>) = columns.iter().map(|(name, value)| (*name, value.as_str())).unzip();
    LetterHeader::parse(kind, &names, false).unwrap().record(&values).unwrap().letter(kind, time::macros::date!(2026 - 11 - 01)).unwrap()
}

#[test]
fn letters_and_withdrawals_look_the_same_after_a_sanitiser() {
    let kinds = LetterKinds::parse(SHIPPED).unwrap();
    let (old, reason) = (StatementId::parse("L-0").unwrap(), Reason { chinese: "<甲>".into(), english: "\"a\"".into() });
    let (bureau, correction) = (sender(Kind::Pension), Correction { corrects: &old, reason: &reason });
    let mut seen = std::collections::BTreeSet::new();
    for kind in kinds.all() {
        for correction in [None, Some(&correction)] {
            let Read { html, .. } = read(&message(&letter(kind, &letter_of(kind), &bureau, &recipient(), AT, correction), b""));
            seen.extend(survives_a_sanitiser(&html));
            assert!(html.contains("<tr style=\"border-top:"), "{}: rows have lines between them", kind.name());
        }
        let withdrawn = Withdrawal { kind: kind.name(), title: kind.title(), period: Period::parse("202610").unwrap(), statement: &old, reason: &reason };
        seen.extend(survives_a_sanitiser(&read(&message(&withdrawal(&withdrawn, &bureau, &recipient(), AT), b"")).html));
    }
    assert!(seen.iter().eq(&["align", "cellpadding", "lang", "nowrap", "style", "width"]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_stands_untouched_in_what_is_sent(row in any(), signature in proptest::collection::vec(prop::num::u8::ANY, 0..3000)) {
        let entity = entity(&row, &sender(row.kind()), &recipient(), AT, &Beside::default());
        let message = String::from_utf8(message(&entity, &signature)).unwrap();
        prop_assert_eq!(signed_part(&message).as_bytes(), entity.bytes());
        prop_assert!(message.ends_with("--\r\n"));
        for line in message.split_terminator("\r\n") {
            prop_assert!(line.len() <= 78 && line.bytes().all(|b| matches!(b, b' '..=b'~')) && !line.ends_with(' '), "{line}");
        }
        let parsed = MessageParser::new().parse(&message).unwrap();
        prop_assert_eq!(parsed.parts.last().unwrap().contents(), signature);
    }
}

pub(super) fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output().expect(program);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const DEFECTS: &str = "
import email, email.policy, sys
m = email.message_from_binary_file(open('m.eml', 'rb'), policy=email.policy.SMTP)
for part in m.walk():
    assert not part.defects, (part.get_content_type(), part.defects)
    for name, value in part.items():
        assert not value.defects, (name, value.defects)
print([part.get_content_type() for part in m.walk()])
print(m['subject'], m['from'].addresses[0].display_name, sep='|')
assert m.as_bytes() == open('m.eml', 'rb').read()
";

#[test]
fn openssl_verifies_it_and_python_finds_no_defect() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    run("openssl", &[
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "k.pem", "-out", "c.pem", "-days", "1", "-subj",
        "/CN=test", "-addext", "keyUsage=digitalSignature", "-addext", "extendedKeyUsage=emailProtection", "-addext", "subjectAltName=email:gjj@mail.gz.example",
    ], at);
    for row in [housing_fund("𬭼㛃", "广州䶮𠅤有限公司"), pension("阿依古丽·买买提", "甲<乙>&丙")] {
        let entity = entity(&row, &sender(row.kind()), &recipient(), AT, &Beside::default());
        std::fs::write(at.join("entity"), entity.bytes()).unwrap();
        run("openssl", &["cms", "-sign", "-binary", "-md", "sha256", "-outform", "DER", "-in", "entity", "-signer", "c.pem", "-inkey", "k.pem", "-out", "s.der"], at);
        std::fs::write(at.join("m.eml"), message(&entity, &std::fs::read(at.join("s.der")).unwrap())).unwrap();
        run("openssl", &["cms", "-verify", "-in", "m.eml", "-CAfile", "c.pem", "-out", "verified"], at);
        assert_eq!(std::fs::read(at.join("verified")).unwrap(), entity.bytes());
        let said = run("python3", &["-c", DEFECTS], at);
        assert!(said.starts_with("['multipart/signed', 'multipart/mixed', 'multipart/alternative', 'text/plain', 'text/html', 'application/json', 'application/pkcs7-signature']\n"));
        let bureau = sender(row.kind());
        assert!(said.contains(&format!("statement 2026-10|{}", bureau.name)), "{said}");
    }
}

/// A change of what citizens see shows as a change of these files; `SUIYIN_GOLDEN=write` writes them anew.
#[test]
fn what_citizens_see() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, row) in [("housing-fund", housing_fund("张伟", "广州示范科技有限公司")), ("pension", pension("张伟", "广州示范科技有限公司"))] {
        let Read { text, html, json } = read(&sealed(&row, b""));
        let json = serde_json::to_string_pretty(&json).unwrap() + "\n";
        for (ending, found) in [("txt", text), ("html", html), ("json", json)] {
            let path = directory.join(format!("statement-{name}.{ending}"));
            if std::env::var("SUIYIN_GOLDEN").as_deref() == Ok("write") {
                std::fs::create_dir_all(&directory).unwrap();
                std::fs::write(&path, &found).unwrap();
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), found, "{}", path.display());
        }
    }
}
