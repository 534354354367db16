//! What one message may cost whoever takes it and whoever looks into it: processor time and memory of the gateway for messages made to be
//! dear, as large as fifty megabytes. Nothing of Postfix or Dovecot is beside it: the aims are 2 s, and 64 MiB beyond the message.

use std::fs;
use std::time::Duration;

use super::town::Town;
use super::wire::{Imap, Smtp, source, stuffed};

const LARGE: usize = 50_000_000;
const SECONDS: f64 = 2.0;
const BEYOND: f64 = 64.0;
/// What is done after the answer is done by then.
const AFTER: Duration = Duration::from_millis(1_500);

/// Lines again and again below this header.
fn again(header: &str, line: &[u8]) -> Vec<u8> {
    let head = format!("From: a@neighbour.example\r\nSubject: dear\r\n{header}");
    let lines = LARGE.saturating_sub(head.len()) / line.len();
    [head.as_bytes(), &line.repeat(lines)].concat()
}

/// Lines of base64 that nothing makes smaller than a quarter.
fn noise() -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        LETTERS[(state >> 58) as usize]
    };
    (0..LARGE / 78 / 4).flat_map(|_| (0..76).map(|_| letter()).chain(*b"\r\n").collect::<Vec<u8>>()).collect()
}

fn messages() -> Vec<(&'static str, Vec<u8>)> {
    // 公积金 in GBK, and in its base64.
    let gbk = [&[0xb9, 0xab, 0xbb, 0xfd, 0xbd, 0xf0].repeat(12), b"\r\n".as_slice()].concat();
    let base64 = "uau7/b3w".repeat(9) + "\r\n";
    let text = |more: &str| format!("Content-Type: text/plain; charset=gbk\r\n{more}\r\n");
    let parts = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let nested: String = (0..20).map(|at| format!("Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n")).collect();
    vec![
        ("text in GBK", again(&text(""), &gbk)),
        ("text of no charset, neither GBK nor UTF-8", again("\r\n", b"\xff\xff\xff\xff\xff\xb9\r\n")),
        ("text in base64", again(&text("Content-Transfer-Encoding: base64\r\n"), base64.as_bytes())),
        ("text in quoted-printable", again(&text("Content-Transfer-Encoding: quoted-printable\r\n"), b"letters, =B9=AB=BB=FD=BD=F0=\r\n")),
        ("noise in base64", again("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n", &noise())),
        ("HTML", again("Content-Type: text/html; charset=utf-8\r\n\r\n", "<div a=\"&amp\">公积金<\r\n".as_bytes())),
        ("lines of nothing", again("\r\n", b"\r\n")),
        ("a thousand parts and more", again(parts, b"--b\r\n\r\nx\r\n")),
        ("lines that are almost its boundary", again(parts, b"--b-\r\n")),
        ("parts within each other", again(&nested, b"--b7-\r\n")),
        ("messages within each other", again("", b"Content-Type: message/rfc822\r\n\r\n")),
        ("a header without end", again("", b"Subject: =?utf-8?Q?=?=\r\n To: (\"a@b.cn, \r\n")),
    ]
}

/// Memory of one process in MiB: `VmRSS` now, `VmHWM` the most since it was told to forget.
fn memory(id: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<f64>().unwrap() / 1024.0
}

/// A gateway that takes messages as large as these.
fn enlarge(town: &mut Town) {
    let path = town.office.path("mailgw/policies/mailbox/limits.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("max_bytes = 26_214_400", "max_bytes = 52_428_800")).unwrap();
    town.office.kill_gateway();
    town.office.start_gateway();
}

pub fn hostile(town: &mut Town) {
    enlarge(town);
    let town = &*town;
    let id = town.office.gateway_id().unwrap();
    println!("one message of 50 MB, and what it costs the gateway: processor time (aim {SECONDS} s), memory beyond its size (aim {BEYOND} MiB)");
    // What is given back late is counted as held before: so the two ends are told, too.
    let (mut least, mut most) = (f64::MAX, 0_f64);
    for (name, message) in messages() {
        let size = message.len() as f64 / 1_048_576.0;
        let mut cost = |what: &str, work: &mut dyn FnMut()| {
            fs::write(format!("/proc/{id}/clear_refs"), "5").unwrap();
            let before = memory(id, "VmRSS");
            let took = town.gateway().measure(|| {
                work();
                std::thread::sleep(AFTER);
                1
            });
            let highest = memory(id, "VmHWM");
            let beyond = highest - before - size;
            (least, most) = (least.min(before), most.max(highest));
            let missed = if took.processor > SECONDS || beyond > BEYOND { " *" } else { "" };
            println!("  {name:<44}{what:<34}{:>6.2} s{beyond:>8.0} MiB{missed}", took.processor);
        };
        let to = &town.accounts[0];
        let sent = stuffed(&message);
        cost("taken at port 25", &mut || {
            let mut client = Smtp::open(town.ours().smtp, source(1), "EHLO");
            println!("    said at port 25: {}", client.offer(to, &sent).trim_end());
        });
        let mut client = Imap::open(town.ours().imaps, source(0), &town.trust, &town.reader);
        cost("APPEND", &mut || client.append(std::slice::from_ref(&message)));
        client.ask("SELECT INBOX");
        for (what, command) in [
            ("its listing", "FETCH * (ENVELOPE BODYSTRUCTURE PREVIEW)".to_owned()),
            ("one word sought", "SEARCH CHARSET UTF-8 BODY \"not there\"".to_owned()),
            ("32 words sought", format!("SEARCH CHARSET UTF-8 {}TEXT \"nowhere\"", (1..32).map(|at| format!("NOT BODY \"not there {at}\" ")).collect::<String>())),
            ("all of it", "FETCH * BODY.PEEK[]".to_owned()),
            ("a part without its encoding, in bits", format!("FETCH * ({})", (0..40).map(|at| format!("BINARY.PEEK[1]<{at}.1>")).collect::<Vec<_>>().join(" "))),
            ("SORT", "SORT (SUBJECT FROM) UTF-8 ALL".to_owned()),
        ] {
            cost(what, &mut || {
                let said = client.answer(&command);
                assert!(!said.starts_with("BAD"), "{said}");
            });
        }
        client.ask("STORE 1:* +FLAGS (\\Deleted)");
        client.ask("EXPUNGE");
        client.logout();
    }
    println!("  the gateway held {least:.0} MiB when it held least before one of these, and {most:.0} MiB at most");
}
