//! Mail from other hosts, judged with a DNS that Knot serves and Unbound proves, signed by dkimpy: verdicts and where they lead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::office::Office;
use certs_test::outside::{Names, Zone, script};
use certs_test::programs::{free_port, oracle, program, run};

#[test]
fn mail_is_whose_it_says_or_it_is_filed_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 2);
    let home = office.path("");
    run(oracle("python"), &[&script("verdict_keys"), &home], &office.home).ok();
    let keys = std::fs::read_to_string(office.home.join("keys.zone")).unwrap();
    let policy = |asked: &str| format!("_dmarc TXT \"v=DMARC1; {asked}\"\n");
    let host = |ends: &str| format!("@ TXT \"v=spf1 ip4:127.0.0.1 {ends}\"\n");
    let elsewhere = |ends: &str| format!("@ TXT \"v=spf1 ip4:192.0.2.1 {ends}\"\n");
    let zones = [
        ("good.example", Zone::Signed, [keys.as_str(), "@ MX 10 mx\nmx A 127.0.0.7\n", &host("-all"), &policy("p=reject")].concat()),
        ("lists.example", Zone::Signed, keys.clone()),
        ("other.example", Zone::Unsigned, keys.clone()),
        ("evil.example", Zone::Unsigned, host("-all")),
        ("quarantine.example", Zone::Signed, policy("p=quarantine")),
        ("watched.example", Zone::Unsigned, policy("p=none; rua=mailto:a@watched.example")),
        ("trial.example", Zone::Unsigned, policy("p=reject; t=y")),
        ("hard.example", Zone::Signed, elsewhere("-all")),
        ("soft.example", Zone::Unsigned, elsewhere("~all")),
        ("nothing.example", Zone::Unsigned, String::new()),
        ("loops.example", Zone::Unsigned, "@ TXT \"v=spf1 include:loops.example -all\"\n".to_owned()),
        ("bogus.example", Zone::Bogus, [host("-all"), policy("p=reject")].concat()),
        ("silent.example", Zone::Silent, String::new()),
    ];
    let names = Names::open(&office.home, &zones);
    office.kill_gateway();
    names.configure(&office.home, free_port(), "");
    let path = office.home.join("mailgw/mailgw.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, before.replace("[listen]\n", &format!("[listen]\nlmtp = \"unix:{}\"\n", office.path("lmtp.sock")))).unwrap();
    let path = office.home.join("mailgw/policies/mailbox/inbound.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, before.replace("trusted_forwarders = []", "trusted_forwarders = [\"lists.example\"]")).unwrap();
    office.start_gateway();
    let ports = [office.smtp, office.imaps].map(|port| port.to_string());
    let said = run(oracle("python"), &[&script("verdict_client"), &home, &ports[0], &ports[1], &program("mailgw").to_string_lossy()], &office.home);
    let log = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap_or_default();
    assert_eq!(said.code, 0, "{}\n{}\n{}", said.out, said.err, log.lines().rev().take(20).collect::<Vec<_>>().join("\n"));
    // Whose mail was junk stands in the log, and why; who sent it does not.
    office.mailgw(&["log", "export", "log"]).ok();
    assert!(log.contains("dmarc-quarantine") && !log.contains("quarantine.example"), "{log}");
}
