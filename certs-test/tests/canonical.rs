//! Canonical JSON (RFC 8785) as another reads and writes it: a small writer in Python, of its own making, and the standard's examples.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::programs::run;
use filing::document::Value;

/// Values of every form, each written in a way that nobody would, and in the canonical one, base64 and a line each. Python's
/// own writer is used for nothing but the strange way.
const WRITER: &str = r##"
import base64, json, random, sys
rng = random.Random(int(sys.argv[1]))
POINTS = [range(0, 0x20), range(0x20, 0x7f), range(0x7f, 0x100), range(0x4e00, 0x4e40), range(0xd7f0, 0xd800), range(0xe000, 0xe010),
          range(0xfb30, 0xfb40), range(0xfff0, 0x10000), range(0x10000, 0x10010), range(0x20bb0, 0x20bc0), range(0x1f600, 0x1f610), range(0x10fff0, 0x110000)]
def text():
    return "".join(chr(rng.choice(rng.choice(POINTS))) for _ in range(rng.randrange(0, 8)))
def value(depth):
    kind = rng.randrange(0, 7 if depth else 4)
    if kind == 0: return rng.choice([None, True, False])
    if kind == 1: return rng.choice([0, 1, -1, 2**53 - 1, 1 - 2**53, rng.randrange(-2**53 + 1, 2**53)])
    if kind in (2, 3): return text()
    if kind == 4: return [value(depth - 1) for _ in range(rng.randrange(0, 5))]
    return {text(): value(depth - 1) for _ in range(rng.randrange(0, 6))}
SHORT = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
def quoted(text):
    return '"' + "".join(SHORT.get(ord(c), "\\u%04x" % ord(c) if ord(c) < 32 else c) for c in text) + '"'
def canonical(v):
    if v is None: return "null"
    if v is True: return "true"
    if v is False: return "false"
    if isinstance(v, int): return str(v)
    if isinstance(v, str): return quoted(v)
    if isinstance(v, list): return "[" + ",".join(map(canonical, v)) + "]"
    return "{" + ",".join(quoted(k) + ":" + canonical(v[k]) for k in sorted(v, key=lambda k: k.encode("utf-16-be"))) + "}"
for _ in range(int(sys.argv[2])):
    v = value(4)
    strange = json.dumps(v, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1, "\t"]), separators=rng.choice([None, (" , ", " : ")]))
    for one in (strange, canonical(v)):
        print(base64.b64encode(one.encode("utf-8")).decode())
"##;

#[test]
fn another_writer_makes_the_same_octets() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let seed = std::env::var("SUIYIN_SEED").unwrap_or_else(|_| "8785".into());
    let made = run("python3", &["-c", WRITER, &seed, "3000"], std::path::Path::new(".")).ok();
    let lines: Vec<Vec<u8>> = made.lines().map(|line| STANDARD.decode(line).unwrap()).collect();
    assert_eq!(lines.len(), 6_000);
    let mut seen = std::collections::HashMap::new();
    for pair in lines.chunks(2) {
        let (strange, canonical) = (&pair[0], &pair[1]);
        let ours = Value::parse(strange).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(strange)));
        assert!(ours.canonical() == *canonical, "seed {seed}\n{}\n{}", String::from_utf8_lossy(&ours.canonical()), String::from_utf8_lossy(canonical));
        // What is canonical is read as the same, and no two meanings have one form.
        assert!(Value::parse(canonical).unwrap() == ours);
        if let Some(before) = seen.insert(canonical.clone(), ours.clone()) {
            assert!(before == ours);
        }
    }
}

/// The examples of the standard that hold no fraction, which nothing here signs.
#[test]
fn the_standards_own_examples() {
    for (input, expected) in [
        // spec: rfc8785#3.2.3
        (r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
         "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\"\u{20ac}\":\"Euro Sign\",\"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"),
        // spec: rfc8785#3.2.2 without its numbers
        (r#"{"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#, "{\"literals\":[null,true,false],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"),
    ] {
        assert_eq!(String::from_utf8(Value::parse(input.as_bytes()).unwrap().canonical()).unwrap(), expected);
    }
    // Its numbers that are not whole, or not as one reader writes them, are refused and never rounded. spec: rfc8785#B
    for number in ["333333333.33333329", "1E30", "4.50", "2e-3", "0.000000000000000000000000001", "-0", "1.0", "9007199254740992", "-9007199254740992", "295147905179352830000", "0x10", "1_000", "٣", "１", "Infinity", "NaN", ".5", "5.", "+1", "01", "1e0"] {
        assert!(Value::parse(format!("{{\"n\":{number}}}").as_bytes()).is_err(), "{number}");
    }
    // Names that are one name after their escapes are read; halves of surrogate pairs in names and values.
    for text in [r#"{"a":1,"\u0061":2}"#, r#"{"":1,"":1}"#, r#"{"\ud83d\ude00":1,"😀":1}"#, r#"{"\ud800":1}"#, r#"["\udfff\ud800"]"#, r#"["\ud83d\u0041"]"#, r#"["\ud83d"]"#] {
        assert!(Value::parse(text.as_bytes()).is_err(), "{text}");
    }
    // Nothing is normalised: é in one character and in two are two texts.
    assert!(Value::parse("\"\u{e9}\"".as_bytes()).unwrap().canonical() != Value::parse("\"e\u{301}\"".as_bytes()).unwrap().canonical());
}
