//! Mail for domains that promise TLS by DANE or MTA-STS: a zone that Knot signs and Unbound proves, aiosmtpd behind it. And what our own
//! domain promises there, as the doctor compares it with what is served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use certs_test::office::{DOMAIN, Office};
use certs_test::outside::{Ended, Names, Zone, below, script};
use certs_test::programs::{free_port, openssl, oracle, program, run};

/// An authority of the world, and a server's certificate under it; the digests that DANE names them by.
fn certificates(office: &Office) -> (String, String) {
    let home = &office.home;
    openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "world.key", "-out", "world.pem", "-subj", "/CN=world", "-days", "2"], home).ok();
    openssl(&["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "peer.key", "-out", "peer.csr", "-subj", "/CN=peer"], home).ok();
    let policies = ["sts", "stsbad", "stsother", "ststest", "stsclear"].map(|name| format!("DNS:mta-sts.{name}.example"));
    let names = [&["DNS:mx.sts.example".to_owned(), "DNS:mx.stsother.example".to_owned(), "DNS:mx.stsclear.example".to_owned(), "DNS:mx.danetaken.example".to_owned()], policies.as_slice()].concat();
    std::fs::write(home.join("peer.ext"), format!("subjectAltName={}\n", names.join(","))).unwrap();
    openssl(&["x509", "-req", "-in", "peer.csr", "-CA", "world.pem", "-CAkey", "world.key", "-CAcreateserial", "-out", "end.pem", "-days", "2", "-extfile", "peer.ext"], home).ok();
    let chain = ["end.pem", "world.pem"].map(|file| std::fs::read_to_string(home.join(file)).unwrap()).concat();
    std::fs::write(home.join("peer.pem"), chain).unwrap();
    let digest = |certificate: &str, key: bool| {
        let shell = if key { format!("openssl x509 -in {certificate} -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum") } else { format!("openssl x509 -in {certificate} -outform DER | sha256sum") };
        run("sh", &["-c", &shell], home).ok().split(' ').next().unwrap().to_owned()
    };
    (digest("end.pem", true), digest("world.pem", false))
}

#[test]
fn what_a_domain_promises_of_tls_is_held_to() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 2);
    let (smtp, https) = (free_port(), free_port());
    let (key, authority) = certificates(&office);
    let mx = |address: &str| format!("@ MX 10 mx\nmx A {address}\n");
    let tlsa = |record: &str| format!("_{smtp}._tcp.mx TLSA {record}\n");
    let sts = |address: &str| format!("{}_mta-sts TXT \"v=STSv1; id=1;\"\nmta-sts A 127.0.0.1\n", mx(address));
    let zones = [
        ("dane.example", Zone::Signed, mx("127.0.0.1") + &tlsa(&format!("3 1 1 {key}")) + &tlsa(&format!("3 1 1 {}", "00".repeat(32)))),
        ("danetaken.example", Zone::Signed, mx("127.0.0.1") + &tlsa(&format!("2 0 1 {authority}"))),
        ("danebad.example", Zone::Signed, mx("127.0.0.1") + &tlsa(&format!("3 1 1 {}", "00".repeat(32)))),
        ("danenotls.example", Zone::Signed, mx("127.0.0.2") + &tlsa(&format!("3 1 1 {key}"))),
        ("danelacks.example", Zone::Signed, mx("127.0.0.3") + &tlsa(&format!("3 1 1 {key}"))),
        // Records that are of no use for mail ask for TLS and prove nothing.
        ("daneodd.example", Zone::Signed, mx("127.0.0.1") + &tlsa(&format!("1 1 1 {key}"))),
        ("daneoddclear.example", Zone::Signed, mx("127.0.0.2") + &tlsa(&format!("1 1 1 {key}"))),
        ("daneless.example", Zone::Unsigned, mx("127.0.0.1") + &tlsa(&format!("3 1 1 {}", "00".repeat(32)))),
        // A proved zone without records for DANE is held to its policy, as one that nobody signed.
        ("sts.example", Zone::Signed, sts("127.0.0.1")),
        ("stsbad.example", Zone::Signed, sts("127.0.0.1")),
        ("stsother.example", Zone::Unsigned, sts("127.0.0.1")),
        ("ststest.example", Zone::Unsigned, sts("127.0.0.1")),
        ("stsclear.example", Zone::Signed, sts("127.0.0.2")),
        ("stsgone.example", Zone::Unsigned, sts("127.0.0.1")),
        ("nothing.example", Zone::Signed, mx("127.0.0.1")),
        ("clear.example", Zone::Unsigned, mx("127.0.0.2")),
    ];
    std::fs::create_dir(office.home.join("policies")).unwrap();
    for (name, mode, host) in [("sts", "enforce", "mx.sts"), ("stsbad", "enforce", "mx.stsbad"), ("stsother", "enforce", "other.stsother"), ("ststest", "testing", "mx.ststest"), ("stsclear", "enforce", "*.stsclear")] {
        let text = format!("version: STSv1\r\nmode: {mode}\r\nmx: {host}.example\r\nmax_age: 86400\r\n");
        std::fs::write(office.home.join(format!("policies/{name}.example.txt")), text).unwrap();
    }
    let names = Names::open(&office.home, &zones);
    let arguments = [script("secured_peer"), smtp.to_string(), https.to_string(), below(&office.home, "taken.jsonl"), below(&office.home, "peer.pem"), below(&office.home, "peer.key"), below(&office.home, "policies")];
    let mut peer = Command::new(oracle("python")).args(&arguments).current_dir(&office.home).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(peer.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _peer = Ended(peer);
    assert_eq!(line, "ready\n");
    office.kill_gateway();
    names.configure(&office.home, smtp, &format!("roots = \"{}\"\nhttps_port = {https}\n", below(&office.home, "world.pem")));
    office.start_gateway();
    let mailgw = program("mailgw").to_string_lossy().into_owned();
    let arguments = [script("secured_client"), office.path(""), mailgw, office.submissions.to_string(), office.imaps.to_string(), office.path("taken.jsonl")];
    let said = run(oracle("python"), &arguments.each_ref().map(String::as_str), &office.home);
    let log = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap_or_default();
    assert_eq!(said.code, 0, "{}\n{}\n{}", said.out, said.err, log.lines().rev().take(20).collect::<Vec<_>>().join("\n"));
}

/// The digests are made by OpenSSL and sha256sum.
#[test]
fn the_doctor_compares_what_the_zone_promises_with_what_is_served() {
    let place = tempfile::tempdir().unwrap();
    let office = Office::open(place.path(), 2);
    let digest = |shell: &str| run("sh", &["-c", &format!("{shell} | sha256sum")], &office.home).ok().split(' ').next().unwrap().to_owned();
    let key = digest("openssl x509 -in mailgw.pem -pubkey -noout | openssl pkey -pubin -outform DER");
    let policy = digest(&format!("printf 'version: STSv1\\r\\nmode: testing\\r\\nmx: mx.{DOMAIN}\\r\\nmax_age: 1209600\\r\\n'"));
    let (sts, tlsa) = (format!("v=STSv1; id={};", &policy[..16]), format!("3 1 1 {key}"));
    let (other_sts, other_tlsa) = ("v=STSv1; id=1;", format!("3 1 1 {}", "00".repeat(32)));
    let records = |sts: &[&str], tlsa: &[&str]| {
        let mut zone = "@ MX 10 mx\nmx A 127.0.0.1\n".to_owned();
        sts.iter().for_each(|sts| zone.push_str(&format!("_mta-sts TXT \"{sts}\"\n")));
        tlsa.iter().for_each(|tlsa| zone.push_str(&format!("_25._tcp.mx TLSA {tlsa}\n")));
        zone
    };
    let (publish_sts, publish_tlsa) = (format!("_mta-sts.{DOMAIN}. TXT \"{sts}\""), format!("publish: _25._tcp.mx.{DOMAIN}. TLSA {tlsa}"));
    let file = office.home.join("mailgw/mailgw.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    // How the zone stands, what it holds, and what is said of either, with the grade.
    let told = |zone: Zone, name: &str, held: String, expected: &[(&str, &str, &str)]| {
        let home = office.home.join(name);
        let names = Names::open(&home, &[(DOMAIN, zone, held)]);
        std::fs::write(&file, &before).unwrap();
        names.configure(&office.home, free_port(), "");
        let said = office.mailgw(&["doctor"]);
        for (grade, subject, words) in expected {
            let lines: Vec<&str> = said.out.lines().filter(|line| line.contains(subject)).collect();
            assert!(matches!(lines.as_slice(), [line] if line.starts_with(grade) && line.contains(words)), "{name}: {grade} {subject} {words}\n{}\n{}", said.out, said.err);
        }
        let fails = expected.iter().any(|(grade, ..)| *grade == "fail");
        assert_eq!(said.code != 0, fails, "{name}\n{}\n{}", said.out, said.err);
    };
    told(Zone::Signed, "right", records(&[&sts], &[&tlsa, &other_tlsa]), &[("ok", "MTA-STS: ", "is that of the policy that is served"), ("ok", "DANE: ", "is published and proved")]);
    told(Zone::Signed, "none", records(&[], &[]), &[("warn", "MTA-STS: ", &publish_sts), ("warn", "DANE: ", &publish_tlsa)]);
    told(Zone::Signed, "other", records(&[other_sts], &[&other_tlsa]), &[("fail", "MTA-STS: ", &publish_sts), ("fail", "DANE: ", &publish_tlsa)]);
    told(Zone::Signed, "several", records(&[&sts, other_sts], &[&tlsa]), &[("fail", "MTA-STS: ", &publish_sts), ("ok", "DANE: ", "is published and proved")]);
    told(Zone::Unsigned, "unsigned", records(&[&sts], &[&tlsa]), &[("ok", "MTA-STS: ", "is that of the policy that is served"), ("warn", "DANE: ", "in a zone that is not proved")]);
    told(Zone::Bogus, "bogus", records(&[&sts], &[&tlsa]), &[("fail", "MTA-STS: ", "the DNS does not say"), ("fail", "DANE: ", "the DNS does not say")]);
}
