//! The log over HTTP, before a verifier that is not ours and before a witness: followed, asked for one's own name, and
//! caught when it is rolled back or shows another history.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use certs_test::programs::{Authority, Said, openssl, oracle, program, run};
use serde_json::Value;

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];
const OTHER: [&str; 4] = ["--name", "广州海珠测试有限公司", "--code", "91440101MAT000026B"];

fn vkey(authority: &Authority) -> String {
    let directory = authority.path("exported");
    let exported = authority.ca(&["--json", "log", "export", &directory]).json();
    std::fs::remove_dir_all(directory).unwrap();
    exported["vkey"].as_str().unwrap().to_owned()
}

/// Without a state directory of an authority, as anybody would.
fn follow(authority: &Authority, vkey: &str, more: &[&str]) -> Said {
    let url = format!("{}/log", authority.url);
    let arguments = [&["--json", "log", "follow", "--url", &url, "--vkey", vkey, "--state", "seen.json", "--once"], more].concat();
    run(program("ca"), &arguments, &authority.home)
}

/// Until the head covers all that was done: it is signed four times a second.
fn settled(authority: &Authority) -> u64 {
    let size = || {
        let note = run("curl", &["-sf", &format!("{}/log/checkpoint", authority.url)], &authority.home).ok();
        note.lines().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let mut last = 0;
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(350));
        let now = size();
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("the log does not come to rest")
}

fn copy(from: &Path, to: &Path) {
    run("cp", &["-a", from.to_str().unwrap(), to.to_str().unwrap()], Path::new("/")).ok();
}

fn lines(said: Said) -> Vec<Value> {
    said.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn anybody_verifies_the_log_and_a_holder_finds_its_own_certificates() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    let (vkey, base) = (vkey(&authority), format!("{}/log", authority.url));
    ["a", "b"].iter().for_each(|name| authority.request(name, "/C=CN"));
    let first = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    authority.issue("b", "enterprise-signing", &OTHER);
    // Enough for a full tile.
    for _ in 0..40 {
        authority.issue("b", "enterprise-signing", &OTHER);
        authority.ca(&["crl", "publish", "enterprise-ca"]).ok();
    }
    for _ in 0..6 {
        authority.ca(&["crl", "publish"]).ok();
    }
    let size = settled(&authority);
    assert!(size > 256, "{size}");
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/verify_log.py");
    assert_eq!(run(oracle("python"), &[judge, &base, &vkey], &authority.home).ok(), format!("{size} entries verified\n"));
    let head = |path: &str, more: &[&str]| {
        let url = format!("{base}/{path}");
        let said = run("curl", &[&["-s", "-o", "got", "-D", "-", &url], more].concat(), &authority.home).ok();
        said.to_ascii_lowercase()
    };
    let full = head("tile/0/000", &[]);
    assert!(full.starts_with("http/1.1 200") && full.contains("immutable") && full.contains("max-age=31536000") && full.contains("application/octet-stream"), "{full}");
    assert_eq!(std::fs::metadata(authority.home.join("got")).unwrap().len(), 8_192);
    assert!(head("tile/0/000.p/3", &[]).contains("max-age=3600"));
    let checkpoint = head("checkpoint", &[]);
    assert!(checkpoint.contains("text/plain") && checkpoint.contains("no-cache"), "{checkpoint}");
    let tag = checkpoint.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim().to_owned();
    assert!(head("checkpoint", &["-H", &format!("If-None-Match: {tag}")]).starts_with("http/1.1 304"));
    for absent in ["tile/0/999", "tile/0/000.p/256", "tile/0/0", "tile/8/000", "tile/entries/x018/x446/x744/x073/x709/x551/615", "tile/0/..%2f000", "tile/", "tile/0/%ff", "log-head"] {
        assert!(head(absent, &[]).starts_with("http/1.1 404"), "{absent}");
    }
    // The holder asks with its own key, over a line that everybody may read.
    let asked = ["--json", "log", "own-name", "--url", &base, "--certificate", "a.pem", "--key", "a.key", "--out", "own.json"];
    run(program("ca"), &asked, &authority.home).json();
    let with_other_key = run(program("ca"), &["--json", "log", "own-name", "--url", &base, "--certificate", "a.pem", "--key", "b.key", "--out", "stolen.json"], &authority.home);
    assert!(with_other_key.code == 4 && !authority.home.join("stolen.json").exists(), "{with_other_key:?}");
    authority.ca(&["log", "own-name", "--serial", &first, "--out", "counter.json"]).ok();
    let read = |name: &str| std::fs::read_to_string(authority.home.join(name)).unwrap();
    assert_eq!(read("own.json"), read("counter.json"));
    let seen = lines(follow(&authority, &vkey, &["--own-name-secret", "own.json"]));
    assert_eq!((&seen[0]["warning"], &seen[0]["serial"], seen.len()), (&"own-name".into(), &first.as_str().into(), 2));
    // Python makes the same tags, from what the page on the log says.
    let secret: Value = serde_json::from_str(&read("own.json")).unwrap();
    let tag = "import hmac,sys; print(hmac.new(bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2]), 'sha256').hexdigest())";
    let tag = run("python3", &["-c", tag, secret["secret"].as_str().unwrap(), &first], &authority.home).ok();
    run("curl", &["-sf", "-o", "bundle", &format!("{base}/tile/entries/000")], &authority.home).ok();
    let bundle = String::from_utf8_lossy(&std::fs::read(authority.home.join("bundle")).unwrap()).into_owned();
    assert!(bundle.contains(tag.trim()) && !bundle.contains("91440101MAT000018G"));
    // Later rounds tell what is new, and only that.
    assert_eq!(lines(follow(&authority, &vkey, &["--own-name-secret", "own.json"])).len(), 1);
    let second = authority.issue("a", "enterprise-signing", &ENTERPRISE);
    settled(&authority);
    let seen = lines(follow(&authority, &vkey, &["--own-name-secret", "own.json"]));
    assert_eq!((&seen[0]["serial"], seen.len()), (&second.as_str().into(), 2));
    // Whoever changes the secret cannot blind who watches with the one before: that is told, and Python makes that tag too.
    let anew = ["--json", "log", "own-name", "--new", "--url", &base, "--certificate", "a.pem", "--key", "a.key", "--out", "new.json"];
    run(program("ca"), &anew, &authority.home).json();
    settled(&authority);
    let seen = lines(follow(&authority, &vkey, &["--own-name-secret", "own.json"]));
    assert_eq!((&seen[0]["warning"], seen.len()), (&"secret-changed".into(), 2));
    let in_whose_name = seen[0]["serial"].as_str().unwrap();
    let tag = "import hmac,sys; print(hmac.new(bytes.fromhex(sys.argv[1]), b'suiyin own name change tag 1' + bytes.fromhex(sys.argv[2]), 'sha256').hexdigest())";
    let tag = run("python3", &["-c", tag, secret["secret"].as_str().unwrap(), in_whose_name], &authority.home).ok();
    authority.ca(&["log", "export", "exported"]).ok();
    let grep = run("grep", &["-r", "-a", "-l", tag.trim(), "exported"], &authority.home);
    assert_eq!(grep.code, 0, "{grep:?}");
    // Wrong words and places.
    assert_eq!(follow(&authority, "nonsense", &[]).code, 2);
    assert_eq!(follow(&authority, &vkey, &["--own-name-secret", "a.pem"]).code, 2);
    authority.kill();
    assert_eq!(follow(&authority, &vkey, &[]).code, 6);
}

#[test]
fn a_log_rolled_back_rewritten_or_of_another_key_is_an_alarm() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    let vkey = vkey(&authority);
    authority.request("a", "/C=CN");
    authority.issue("a", "enterprise-signing", &ENTERPRISE);
    settled(&authority);
    authority.kill();
    copy(&authority.home.join("ca"), &authority.home.join("before"));
    authority.start();
    authority.issue("a", "enterprise-signing", &ENTERPRISE);
    settled(&authority);
    follow(&authority, &vkey, &[]).ok();
    authority.kill();
    // An operator who puts back what stood there before, signed head and all: the authority itself cannot know.
    std::fs::remove_dir_all(authority.home.join("ca")).unwrap();
    copy(&authority.home.join("before"), &authority.home.join("ca"));
    authority.start();
    let alarm = follow(&authority, &vkey, &[]);
    assert!(alarm.code == 7 && alarm.err.contains("log-rolled-back"), "{alarm:?}");
    // And goes on from there with other entries: longer than before, and another history.
    for _ in 0..3 {
        authority.issue("a", "enterprise-signing", &ENTERPRISE);
    }
    settled(&authority);
    for more in [&[][..], &["--entries"]] {
        let alarm = follow(&authority, &vkey, more);
        assert!(alarm.code == 7 && alarm.err.contains("log-split-view"), "{alarm:?}");
    }
    let kept: Vec<_> = std::fs::read_dir(&authority.home).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().contains("seen.json.alarm-")).collect();
    assert!(!kept.is_empty());
    for directory in &kept {
        for note in ["remembered", "shown"] {
            assert!(std::fs::read_to_string(directory.join(note)).unwrap().starts_with(&vkey[..vkey.find('+').unwrap()]));
        }
    }
    // Another log in its place, and a witness whose key is another's.
    let other = openssl(&["genpkey", "-algorithm", "ed25519", "-outform", "DER", "-out", "other.key"], &authority.home);
    other.ok();
    std::fs::remove_file(authority.home.join("seen.json")).unwrap();
    let make = "import sys,base64,hashlib; from cryptography.hazmat.primitives.serialization import *; k=load_der_private_key(open('other.key','rb').read(),None).public_key().public_bytes(Encoding.Raw,PublicFormat.Raw); n=sys.argv[1]; t=b'\\x01'+k; print(n+'+'+hashlib.sha256(n.encode()+b'\\n'+t).hexdigest()[:8]+'+'+base64.b64encode(t).decode())";
    let theirs = run(oracle("python"), &["-c", make, &vkey[..vkey.find('+').unwrap()]], &authority.home).ok();
    let alarm = follow(&authority, theirs.trim(), &[]);
    assert!(alarm.code == 7 && alarm.err.contains("log-forged") && !authority.home.join("seen.json").exists(), "{alarm:?}");
}

#[test]
fn a_witness_follows_until_it_is_stopped() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    let (vkey, url) = (vkey(&authority), format!("{}/log", authority.url));
    let witness = std::process::Command::new(program("ca"))
        .args(["--json", "log", "follow", "--url", &url, "--vkey", &vkey, "--state", "seen.json", "--entries", "--every", "1"])
        .current_dir(&authority.home)
        .stdout(std::fs::File::create(authority.home.join("said")).unwrap())
        .stderr(std::fs::File::create(authority.home.join("complained")).unwrap())
        .spawn();
    let mut witness = witness.unwrap();
    let home = authority.home.clone();
    let said = |name: &str| std::fs::read_to_string(home.join(name)).unwrap();
    let until = |what: &dyn Fn() -> bool| {
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !what() {
            assert!(std::time::Instant::now() < limit, "{} {}", said("said"), said("complained"));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    until(&|| said("said").contains("entries"));
    // A log that is away is waited for.
    authority.stop_hard();
    until(&|| said("complained").contains("unreachable"));
    authority.reap();
    authority.start();
    authority.request("a", "/C=CN");
    authority.issue("a", "enterprise-signing", &ENTERPRISE);
    let size = settled(&authority);
    until(&|| said("said").lines().any(|line| line.contains(&format!("\"entries\":{size},"))));
    run("kill", &["-TERM", &witness.id().to_string()], place.path()).ok();
    assert!(witness.wait().unwrap().success());
}
