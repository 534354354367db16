//! A mailbox as Thunderbird uses it, without a display: it finds its settings by itself, has folders, reads, downloads, marks, moves,
//! searches, is told, sends, comes back, outlives a killed gateway, and says whose signature it believes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use certs_test::office::{DOMAIN, HOST, Office};
use certs_test::programs::{free_port, oracle, program};
use serde_json::json;

/// The gateway tells mail programs its settings, under the name where Thunderbird asks for them.
fn tells_its_settings(office: &mut Office) -> u16 {
    let autoconfig = free_port();
    office.mailgw(&["tls", "request", "--name", "localhost", "--out", "settings.csr"]).ok();
    office.authority.issue("settings", "tls-server", &["--dns", HOST, "--dns", "localhost", "--dns", &format!("autoconfig.{DOMAIN}"), "--ip", "127.0.0.1"]);
    office.mailgw(&["tls", "install", "settings.pem"]).ok();
    office.kill_gateway();
    let configuration = std::fs::read_to_string(office.home.join("mailgw/mailgw.toml")).unwrap();
    let more = format!("[listen]\nautoconfig = \"127.0.0.1:{autoconfig}\"\n");
    office.write("mailgw/mailgw.toml", configuration.replace("[listen]\n", &more).as_bytes());
    office.start_gateway();
    autoconfig
}

#[test]
fn a_mailbox_as_thunderbird_uses_it() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 3);
    let autoconfig = tells_its_settings(&mut office);
    office.sign("housing-fund");
    let push = ["--dir", "mailgw", "push", "city/housing-fund.csv", "--manifest", "city/housing-fund.manifest.json", "--signature", "housing-fund.p7s", "--report", "report.jsonl"];
    let push: Vec<String> = [program("mailgw").to_string_lossy().into_owned()].into_iter().chain(push.map(str::to_owned)).collect();
    let given = json!({ "domain": DOMAIN, "host": HOST, "autoconfig": autoconfig, "smtp": office.smtp, "submissions": office.submissions, "imaps": office.imaps, "marionette": free_port(), "nobody": free_port(), "push": push });
    office.write("thunderbird.json", given.to_string().as_bytes());
    let (script, home) = (format!("{}/oracles/thunderbird_client.py", env!("CARGO_MANIFEST_DIR")), office.path(""));
    let heard = std::fs::File::create(office.home.join("client.log")).unwrap();
    let mut client = Command::new(oracle("python")).args([&script, &home]).current_dir(&office.home).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(heard).spawn().unwrap();
    let (mut asks, said) = (client.stdin.take().unwrap(), BufReader::new(client.stdout.take().unwrap()));
    // What happens to the gateway is in the script's order, and done here, where the gateway is a child.
    for line in said.lines() {
        match line.unwrap().as_str() {
            "kill the gateway" => office.kill_gateway(),
            "start the gateway" => office.start_gateway(),
            other => {
                println!("{other}");
                continue;
            }
        }
        asks.write_all(b"done\n").unwrap();
    }
    let ended = client.wait().unwrap();
    let told = |name: &str| std::fs::read_to_string(office.home.join(name)).unwrap_or_default();
    let last = |name: &str| told(name).lines().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    assert!(ended.success(), "{}\n{}\n{}", told("client.log"), last("thunderbird.log"), last("mailgw.log"));
}
