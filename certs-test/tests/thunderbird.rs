//! A mailbox as Thunderbird uses it, without a display: folders, reading, marking, moving, searching, being told, sending, and whose
//! signature it believes. It is judged where that is asked for, `cargo test --workspace --test thunderbird -- --ignored`: on a
//! machine that is busy with other work some of its own steps do not come to an end within their minute, and that is no verdict on us.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};

use certs_test::office::Office;
use certs_test::programs::{oracle, program, run};

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

#[test]
#[ignore = "asks for Thunderbird and a machine that does nothing else"]
fn a_mailbox_as_thunderbird_uses_it() {
    if let Some(missing) = ["thunderbird", "certutil"].into_iter().find(|program| !is_there(program)) {
        panic!("{missing} is not installed: apt-get install thunderbird libnss3-tools");
    }
    let place = tempfile::tempdir().unwrap();
    let office = Office::open(place.path(), 3);
    let (script, home) = (format!("{}/oracles/thunderbird_client.py", env!("CARGO_MANIFEST_DIR")), office.path(""));
    office.sign("housing-fund");
    let mailgw = program("mailgw").to_string_lossy().into_owned();
    let push = [mailgw.as_str(), "--dir", "mailgw", "push", "city/housing-fund.csv", "--manifest", "city/housing-fund.manifest.json", "--signature", "housing-fund.p7s", "--report", "report.jsonl"];
    let ports = [office.smtp, office.submissions, office.imaps].map(|port| port.to_string());
    let arguments: Vec<&str> = [script.as_str(), &home].into_iter().chain(ports.iter().map(String::as_str)).chain(push).collect();
    let said = run(oracle("python"), &arguments, &office.home);
    assert_eq!(said.code, 0, "{}\n{}\n{}", said.out, said.err, std::fs::read_to_string(office.home.join("thunderbird.log")).unwrap_or_default());
    print!("{}", said.out);
}
