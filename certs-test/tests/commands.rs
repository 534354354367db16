//! The gateway's command line, as an administrator and their scripts meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use certs_test::demo::people::bureaus;
use certs_test::office::{DOMAIN, Office};
use certs_test::programs::{Said, openssl, oracle, program, run};
use serde_json::Value;

const KIND: &str = "housing-fund";

fn refused(said: &Said, exit: i32, code: &str, word: &str) {
    assert_eq!(said.code, exit, "{code}: {said:?}");
    let problem: Value = serde_json::from_str(&said.err).unwrap_or_else(|error| panic!("{code}: {error}: {said:?}"));
    assert_eq!(problem["code"], code, "{problem}");
    assert!(problem["message"].as_str().is_some_and(|text| !text.is_empty()) && problem["next"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    assert!(said.err.contains(word), "{word}: {problem}");
}

/// Every subcommand below `path`, as `--help` lists them.
fn walk(path: &mut Vec<String>, seen: &mut Vec<String>) {
    let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = run(program("mailgw"), &arguments, Path::new("/")).ok();
    let named = |line: &str| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
    let listed: Vec<String> = help.split("Commands:\n").nth(1).map(|rest| rest.lines().take_while(|line| !line.is_empty()).filter_map(named).collect()).unwrap_or_default();
    if listed.is_empty() || path.is_empty() {
        assert!(help.contains("Example") && help.contains("mailgw "), "no example: {path:?}\n{help}");
    }
    assert!(help.contains("--json") && help.contains("--dir"), "{path:?}");
    seen.push(path.join(" "));
    for name in listed.iter().filter(|name| *name != "help") {
        path.push(name.clone());
        walk(path, seen);
        path.pop();
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let mut seen = Vec::new();
    walk(&mut Vec::new(), &mut seen);
    for name in ["init", "serve", "push", "mailbox open", "mailbox import", "mailbox password", "bureau set", "tls install", "sealer request", "log verify"] {
        assert!(seen.iter().any(|path| path == name), "{name} in {seen:?}");
    }
}

#[test]
fn commands_answer_in_json_and_name_what_is_wrong() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 3);
    json_everywhere(&office);
    registrations(&office);
    mailboxes(&office);
    renamed(&office);
    documented(&office);
    imports(&office);
    closed(&office);
    named_by_choice(&mut office);
    places(&mut office);
    logs(&office);
}

fn json_everywhere(office: &Office) {
    let [fund, _] = bureaus();
    let address = office.people[0].address.as_str();
    let json = |arguments: &[&str]| office.mailgw(&[&["--json"], arguments].concat()).json();
    assert_eq!(json(&["mailbox", "show", address])["state"], "open");
    let shown = json(&["mailbox", "show", address]);
    assert!(shown["documents"][0]["masked"].as_str().unwrap().contains("***"), "{shown}");
    let page = json(&["mailbox", "list", "--kind", "citizen", "--limit", "2"]);
    assert_eq!(page["mailboxes"].as_array().unwrap().len(), 2);
    let rest = json(&["mailbox", "list", "--kind", "citizen", "--after", page["next"].as_str().unwrap()]);
    assert_eq!((rest["mailboxes"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    assert_eq!(json(&["bureau", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(json(&["bureau", "list"])[0]["code"], fund.code);
    assert!(json(&["tls", "request"])["pem"].as_str().unwrap().contains("CERTIFICATE REQUEST"));
    assert_eq!(json(&["tls", "install", "mailgw.pem"])["done"], true);
    assert!(json(&["mailbox", "password", address])["password"].as_str().unwrap().len() >= 12);
    let exported = json(&["log", "export", "json-export"]);
    let vkey = exported["vkey"].as_str().unwrap();
    assert_eq!(json(&["log", "verify", "json-export", "--vkey", vkey])["entries"], exported["entries"]);
    let request = office.sealer(&["--json", "sealer", "request", fund.code, "--name", fund.name]).json();
    assert!(request["pem"].as_str().unwrap().contains("CERTIFICATE REQUEST"));
    let (client, seal) = (format!("{}-client.pem", fund.code), format!("{}-seal.pem", fund.code));
    assert_eq!(office.sealer(&["--json", "sealer", "bureau", fund.code, "--client", &client, "--seal", &seal]).json()["done"], true);
    let http = |path: &str| run("curl", &["-sS", "-f", &format!("http://127.0.0.1:{}{path}", office.http)], &office.home).ok();
    http("/healthz");
    let metrics = http("/metrics");
    assert!(metrics.contains("smtp_connections_total") && !office.people.iter().any(|account| metrics.contains(&account.address[..10])), "{metrics}");
    // Errors, too, even those of the command line itself.
    for wrong in [&["--json", "mailbox", "show"][..], &["--json", "nonsense"], &["--json", "mailbox", "list", "--kind", "x"], &["--json"]] {
        let said = office.mailgw(wrong);
        assert_eq!(said.code, 2, "{wrong:?} {said:?}");
        let problem: Value = serde_json::from_str(&said.err).unwrap_or_else(|error| panic!("{wrong:?}: {error}: {said:?}"));
        assert!(!problem["next"].as_str().unwrap().is_empty(), "{problem}");
    }
}

fn registrations(office: &Office) {
    let [fund, insurance] = bureaus();
    let listed = || office.mailgw(&["--json", "bureau", "list"]).json();
    let before = listed();
    openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=stranger", "-keyout", "stranger.key", "-out", "stranger.pem"], &office.home).ok();
    let (client, seal) = (format!("{}-client.pem", fund.code), format!("{}-seal.pem", fund.code));
    let (other_client, other_seal) = (format!("{}-client.pem", insurance.code), format!("{}-seal.pem", insurance.code));
    let set = |change: &[&str]| {
        let mut words = std::collections::BTreeMap::from([("--name-en", "Fund"), ("--kind", KIND), ("--hotline", "12329"), ("--client", &client), ("--seal", &seal)]);
        words.extend(change.chunks(2).map(|pair| (pair[0], pair[1])));
        let words: Vec<&str> = words.iter().flat_map(|(name, value)| [*name, *value]).collect();
        office.mailgw(&[&["--json", "bureau", "set", fund.code], words.as_slice()].concat())
    };
    refused(&set(&["--kind", "salary"]), 2, "bureau", "salary");
    refused(&set(&["--hotline", "call us"]), 2, "bureau", "hotline");
    refused(&set(&["--name-en", "Fund\r\nBcc: all"]), 2, "bureau", "name_en");
    refused(&set(&["--client", &other_client]), 3, "other-organization", "one bureau");
    refused(&set(&["--seal", &client]), 3, "certificate", "mail address");
    refused(&set(&["--client", &seal]), 3, "certificate-not-trusted", "manifest-signing");
    refused(&set(&["--client", "stranger.pem"]), 3, "certificate", "credit code");
    refused(&set(&["--client", "pass"]), 2, "certificate-file", "PEM");
    refused(&set(&["--client", "nowhere.pem"]), 2, "file", "nowhere.pem");
    assert_eq!(listed(), before);
    let sealer = |seal: &str| office.sealer(&["--json", "sealer", "bureau", fund.code, "--client", &client, "--seal", seal]);
    refused(&sealer(&client), 3, "certificate", "mail address");
    refused(&sealer(&other_seal), 3, "other-organization", "one bureau");
    refused(&office.sealer(&["--json", "sealer", "request", "no code!", "--name", "x"]), 2, "bureau-code", "code");
    office.authority.request("own", "/C=CN");
    office.authority.issue("own", "bureau-seal", &["--name", fund.name, "--code", &fund.credit_code, "--mailbox", &format!("{}@{DOMAIN}", fund.alias)]);
    refused(&sealer("own.pem"), 3, "other-key", "no key made here");
}

fn mailboxes(office: &Office) {
    let open = |arguments: &[&str]| office.mailgw(&[&["--json", "mailbox", "open"], arguments].concat());
    let listed = || office.mailgw(&["--json", "mailbox", "list", "--limit", "1000"]).json();
    let before = listed();
    let city = std::fs::read_to_string(office.home.join("city/people.csv")).unwrap();
    let line: Vec<&str> = city.lines().nth(1).unwrap().split(',').collect();
    refused(&open(&["--id-type", line[0], "--id-no", line[1], "--name", line[2]]), 5, "mailbox-exists", &office.people[0].address[..10]);
    // A right outer check character and a wrong inner one.
    refused(&open(&["--code", "91440101MAT0000157", "--name", "x"]), 3, "applicant", "organisation");
    refused(&open(&["--code", "91440101MAT000018H", "--name", "x"]), 3, "applicant", "check");
    refused(&open(&["--id-type", "01", "--id-no", "440106189602290016", "--name", "陈一"]), 3, "applicant", "check");
    refused(&open(&["--id-type", "01", "--id-no", "440106189602300017", "--name", "陈一"]), 3, "applicant", "document");
    refused(&open(&["--id-type", "08", "--id-no", "440106189602290015", "--name", "陈一"]), 3, "applicant", "document");
    refused(&open(&["--name", "陈一"]), 2, "applicant", "document");
    refused(&open(&["--id-type", "01", "--id-no", "440106189602290015", "--code", "91440101MAT000018G", "--name", "陈一"]), 2, "applicant", "either");
    refused(&open(&["--code", "91440101MAT000018G", "--name", "x", "--alias", "postmaster"]), 3, "applicant", "alias");
    refused(&open(&["--code", "91440101MAT99998XT", "--name", "x", "--alias", "gjj"]), 3, "applicant", "code");
    for (password, word) in [("short\n", "12"), ("aaaaaaaaaaaaaaaa\n", "password"), ("123456789012\n", "password"), ("\n", "12")] {
        office.write("password", password.as_bytes());
        let said = open(&["--id-type", "01", "--id-no", "440106189602290015", "--name", "陈一", "--password-file", "password"]);
        refused(&said, 3, "password", word);
        assert!(password.trim().is_empty() || !said.err.contains(password.trim()), "{said:?}");
    }
    refused(&open(&["--id-type", "01", "--id-no", "440106189602290015", "--name", "陈一", "--password-file", "nowhere"]), 2, "password-file", "nowhere");
    refused(&office.mailgw(&["--json", "mailbox", "show", "0000000000"]), 4, "no-such-mailbox", "mailbox");
    refused(&office.mailgw(&["--json", "mailbox", "close", "nobody@elsewhere.example"]), 4, "no-such-mailbox", "mailbox");
    assert_eq!(listed(), before);
    office.write("password", "一个很长很长的密码足够十二字\n".as_bytes());
    let opened = open(&["--id-type", "01", "--id-no", "440106189602290015", "--name", "陈一", "--password-file", "password"]).json();
    assert_eq!(opened["password"], Value::Null, "what was chosen is not told");
    let user = format!("{}:一个很长很长的密码足够十二字", opened["address"].as_str().unwrap());
    run("curl", &["-sS", "--cacert", "ca/root.pem", "-u", &user, &format!("imaps://localhost:{}/", office.imaps)], &office.home).ok();
}

fn imports(office: &Office) {
    let listed = || office.mailgw(&["--json", "mailbox", "list", "--limit", "1000"]).json();
    let import = |name: &str, bytes: &[u8]| {
        office.write(name, bytes);
        office.mailgw(&["--json", "mailbox", "import", name])
    };
    let before = listed();
    let good = "01,440104189901010025,陈二\r\n";
    for (name, bytes, word) in [
        ("missing.csv", format!("id_type,id_no\r\n{good}").into_bytes(), "name"),
        ("doubled.csv", format!("id_type,id_no,id_no,name\r\n{good}").into_bytes(), "twice"),
        ("unknown.csv", format!("id_type,id_no,name,age\r\n{good}").into_bytes(), "column 4"),
        ("mixed.csv", format!("id_type,id_no,name,uscc\r\n{good}").into_bytes(), "two files"),
        ("headless.csv", good.as_bytes().to_vec(), "line 1"),
        ("empty.csv", Vec::new(), "empty"),
        ("utf16.csv", [b"\xff\xfe".to_vec(), "id_type,id_no,name\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect()].concat(), "UTF-16"),
        ("long.csv", vec![b'x'; 10 << 20], "longer"),
    ] {
        let said = import(name, &bytes);
        refused(&said, 3, "file", word);
        assert!(!said.err.contains("440104189901010025") && !said.err.contains("陈二"), "{said:?}");
    }
    refused(&office.mailgw(&["--json", "mailbox", "import", "nowhere.csv"]), 2, "file", "nowhere.csv");
    // Rows that are wrong are told by their line, and open nothing.
    let rows = [
        b"\xef\xbb\xbfid_type,id_no,name\r\n".as_slice(),
        b"01,440104189901010026,x\r\n",
        b"01,440104189901010025,\xb3\xc2\xb6\xfe\r\n",
        b"01,440104189901010025\r\n",
        b"01,440104189901010025,\"x\r\n",
        b"77,440104189901010025,x\r\n",
        &[b"01,440104189901010025,".as_slice(), &vec![b'x'; 1 << 20], b"\r\n"].concat(),
    ]
    .concat();
    let told = import("rows.csv", &rows).json();
    assert_eq!((&told["opened"], &told["refused"]), (&0.into(), &6.into()), "{told:#}");
    assert_eq!(told["rows"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7]);
    assert!(!told.to_string().contains("44010418990101002"), "{told}");
    assert_eq!(listed(), before);
    // Passwords that were told once are never written over.
    std::fs::write(office.home.join("taken.csv"), "x").unwrap();
    refused(&office.mailgw(&["--json", "mailbox", "import", "city/people.csv", "--out", "taken.csv"]), 5, "accounts-file", "taken.csv");
    let again = office.mailgw(&["--json", "mailbox", "import", "city/people.csv", "--out", "again.csv"]).json();
    assert_eq!((&again["opened"], &again["exists"]), (&0.into(), &3.into()), "{again:#}");
    assert_eq!(std::fs::read_to_string(office.home.join("again.csv")).unwrap(), "address,password\r\n");
    assert_eq!(std::fs::metadata(office.home.join("again.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(listed(), before);
}

/// A renewed card leads to the mailbox when what an operator saw is enough and one that the mailbox holds is shown, or two officers sign; its
/// owner reads of it, and its number is told to nobody. Nobody recovers the mailbox with it yet.
fn documented(office: &Office) {
    const NUMBER: &str = "E87654321";
    const HELD: &str = "510104189707071279";
    let opened = office.mailgw(&["--json", "mailbox", "open", "--id-type", "01", "--id-no", HELD, "--name", "李志强"]).json();
    let (address, password) = (opened["address"].as_str().unwrap(), opened["password"].as_str().unwrap());
    let show = || office.mailgw(&["--json", "mailbox", "show", address]).json();
    let mailgw = |command: &str| {
        let said = run("sh", &["-c", &format!("'{}' --dir mailgw --json mailbox {command}", program("mailgw").display())], &office.home);
        assert!(![NUMBER, HELD, "H87654321"].iter().any(|number| format!("{said:?}").contains(number)), "{said:?}");
        said
    };
    office.write("numbers.txt", format!("{NUMBER}\n{HELD}\n").as_bytes());
    office.write("another.txt", format!("{NUMBER}\n440106189602290015\n").as_bytes());
    let with = |name: &str, more: &str, held: &str| mailgw(&format!("document {address} --id-type 03 --name {name} --held 01 --papers 'counter 12, form 93' {more} < {held}"));
    let document = |name: &str, more: &str| with(name, more, "numbers.txt");
    let before = show();
    refused(&document("李志强", ""), 3, "not-enough", "none");
    refused(&document("李志强", "--document original"), 3, "not-enough", "person");
    refused(&document("李志强", "--document copy --person present"), 2, "evidence", "--evidence");
    refused(&document("李志明", "--document original --person present"), 3, "other-name", "paper");
    refused(&with("李志强", "--document original --person present", "another.txt"), 3, "not-held", "officers");
    assert_eq!(mailgw(&format!("document {address} --id-type 03 --name 李志强 --document original --person present --papers x < numbers.txt")).code, 2, "by what it is his");
    assert_eq!(show(), before);
    let done = document("李志强", "--document original --person present").json();
    assert_eq!(done["documents"].as_array().map(Vec::len), Some(2), "{done:#}");
    assert!(done["documents"][0]["added_at"].is_null() && done["documents"][1]["added_at"].is_string(), "{done:#}");
    // Who lost all of them: two officers sign for the very document, as `--help` says.
    ["one", "two"].iter().zip(["A-1", "A-2"]).for_each(|(name, number)| office.officer(name, number));
    let digest = |number: &str, name: &str, file: &str| {
        office.write("typed.txt", format!("{number}\n{name}\n").as_bytes());
        run("sh", &["-c", &format!("(read -r number; read -r name; printf '%s\\n' \"$number\" \"$name\" \"$(openssl rand -hex 16)\") < typed.txt > {file}")], &office.home).ok();
        run("sha256sum", &[file], &office.home).ok().split_whitespace().next().unwrap().to_owned()
    };
    let lost = digest("H87654321", "李志强", "document.txt");
    let request = format!(r#"{{"kind":"suiyin mailbox document v1","mailbox":"{address}","id_type":"06","document":"{lost}","proof":"permit seen, card lost abroad","papers":"form 94"}}"#);
    office.write("request.json", request.as_bytes());
    ["one", "two"].iter().for_each(|officer| office.approve("request.json", officer));
    let officers = |approvals: &str| mailgw(&format!("document {address} --id-type 06 --request request.json {approvals} --document original --person present --papers 'form 94' < document.txt"));
    refused(&officers("--approval one.p7s"), 3, "officers", "another");
    assert_eq!(officers("--approval one.p7s --approval two.p7s").json()["documents"].as_array().map(Vec::len), Some(3));
    refused(&officers("--approval one.p7s --approval two.p7s"), 5, "mailbox-exists", "already");
    // It is a new one, whoever asks; and what is typed is what the officers saw.
    let sign = |request: String| {
        office.write("signed.json", request.as_bytes());
        ["one", "two"].iter().for_each(|officer| office.approve("signed.json", officer));
    };
    let recover = |file: &str, id_type: &str| mailgw(&format!("recover {address} --request signed.json --approval one.p7s --approval two.p7s --id-type {id_type} < {file}"));
    let asks = |document: &str| sign(format!(r#"{{"kind":"suiyin mailbox recovery v1","mailbox":"{address}","owner":{{"citizen":{{"id_type":"06","document":"{document}"}}}},"proof":"permit seen","papers":"form 95"}}"#));
    asks(&lost);
    refused(&recover("document.txt", "06"), 3, "document-young", "proves the owner");
    refused(&recover("document.txt", "03"), 2, "recovery-request", "typed");
    let others = digest("H87654321", "李志明", "others.txt");
    refused(&recover("others.txt", "06"), 2, "recovery-request", "typed");
    asks(&others);
    refused(&recover("others.txt", "06"), 3, "not-the-owner", "papers");
    // Taken away again: a young one by the one word that took it in; one that counts, or that officers bound, by two officers.
    let withdraw = |more: &str| mailgw(&format!("document {address} --withdraw --papers 'form 96' {more}"));
    let named = |id_type: &str, file: &str| withdraw(&format!("--id-type {id_type} --name 李志强 < {file}"));
    assert_eq!(withdraw("--id-type 06 --name 李志强 --document original < document.txt").code, 2, "nothing is graded");
    refused(&withdraw("--id-type 06 --name 李志明 < document.txt"), 3, "other-name", "paper");
    refused(&named("06", "document.txt"), 3, "document-counts", "officers");
    assert_eq!(named("03", "numbers.txt").json()["documents"].as_array().map(Vec::len), Some(2));
    refused(&named("03", "numbers.txt"), 4, "no-such-document", "show");
    office.write("held.txt", format!("{HELD}\n").as_bytes());
    refused(&named("01", "held.txt"), 3, "document-counts", "officers");
    let held = digest(HELD, "李志强", "held.txt");
    sign(format!(r#"{{"kind":"suiyin mailbox document withdrawal v1","mailbox":"{address}","id_type":"01","document":"{held}","proof":"card of another person","papers":"form 96"}}"#));
    let signed = |approvals: &str| withdraw(&format!("--id-type 01 --request signed.json {approvals} < held.txt"));
    refused(&signed("--approval one.p7s"), 3, "officers", "another");
    let left = signed("--approval one.p7s --approval two.p7s").json();
    assert_eq!((left["documents"].as_array().map(Vec::len), left["documents"][0]["id_type"].as_str()), (Some(1), Some("06")));
    refused(&named("06", "document.txt"), 3, "last-document", "another first");
    assert_ne!(office.mailgw(&["--json", "mailbox", "open", "--id-type", "01", "--id-no", HELD, "--name", "李志强"]).json()["address"].as_str(), Some(address));
    refused(&document("李志强", "--document original --person present"), 3, "not-held", "show one");
    let read = || {
        let url = format!("imaps://localhost:{}/INBOX?TEXT%20document", office.imaps);
        run("curl", &["-sS", "--cacert", "ca/root.pem", "-u", &format!("{address}:{password}"), &url], &office.home).out
    };
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !read().trim().ends_with("1 2 3 4") {
        assert!(std::time::Instant::now() < until, "the owner is not told");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// A company that its registry renamed keeps its mailbox, and its name of before is shown; what proves too little changes nothing.
fn renamed(office: &Office) {
    const CODE: &str = "91440101MAT7700126";
    let opened = office.mailgw(&["--json", "mailbox", "open", "--code", CODE, "--name", "广州示范有限公司"]).json();
    let address = opened["address"].as_str().unwrap();
    let show = || office.mailgw(&["--json", "mailbox", "show", address]).json();
    let rename = |code: &str, more: &[&str]| office.mailgw(&[&["--json", "mailbox", "rename", address, "--code", code, "--name", "广州新名有限公司", "--papers", "counter 12, form 91"], more].concat());
    let proved = ["--document", "original", "--person", "present"];
    let before = show();
    refused(&rename(CODE, &[]), 3, "not-enough", "none");
    refused(&rename(CODE, &["--document", "original"]), 3, "not-enough", "person");
    refused(&rename(CODE, &["--document", "seen", "--person", "present"]), 2, "finding", "seen");
    refused(&rename(CODE, &["--document", "copy", "--person", "present"]), 2, "evidence", "--evidence");
    refused(&rename("91440101MAT99998XT", &proved), 3, "applicant", "code");
    refused(&rename("12440100000000123A", &proved), 3, "other-holder", "paper");
    assert_eq!(show(), before);
    let done = rename(CODE, &proved).json();
    assert_eq!((done["address"].as_str(), done["code"].as_str(), done["name"].as_str()), (Some(address), Some(CODE), Some("广州新名有限公司")));
    refused(&rename(CODE, &proved), 5, "same-name", "already");
    let shown = show();
    let former = shown["former_names"].as_array().unwrap();
    assert_eq!((former.len(), former[0]["name"].as_str(), former[0]["document"][0].as_str(), former[0]["person"][0].as_str()), (1, Some("广州示范有限公司"), Some("operator-original"), Some("operator-present")));
    assert!(office.mailgw(&["mailbox", "show", address]).ok().contains("formerly  广州示范有限公司, until "));
    // A further address, which takes mail like the number.
    let named = office.mailgw(&["--json", "mailbox", "alias", address, "new-name"]).json();
    assert_eq!(named["aliases"], serde_json::json!([format!("new-name@{DOMAIN}")]));
    assert_eq!(office.mailgw(&["--json", "mailbox", "show", &format!("new-name@{DOMAIN}")]).json()["code"], CODE);
    refused(&office.mailgw(&["--json", "mailbox", "alias", address, "new-name"]), 5, "alias-taken", "new-name");
    refused(&office.mailgw(&["--json", "mailbox", "alias", address, "adm1n"]), 3, "applicant", "alias");
}

/// A citizen has the number alone, or as many names as the policy says; nobody else is ever given one of them.
fn named_by_choice(office: &mut Office) {
    let firm = office.institutions[0].address.clone();
    let person = office.people[0].address.clone();
    refused(&office.mailgw(&["--json", "mailbox", "alias", &person, "somebody"]), 3, "number-alone", "[citizens]");
    let aliases = office.path("mailgw/policies/mailbox/aliases.toml");
    std::fs::write(&aliases, std::fs::read_to_string(&aliases).unwrap().replace("most = 0", "most = 1")).unwrap();
    office.kill_gateway();
    office.start_gateway();
    let person = person.as_str();
    refused(&office.mailgw(&["--json", "mailbox", "alias", person, "newname"]), 5, "alias-taken", "newname");
    refused(&office.mailgw(&["--json", "mailbox", "alias", person, "new-name"]), 5, "alias-taken", "new-name");
    refused(&office.mailgw(&["--json", "mailbox", "alias", person, "gz-tax"]), 3, "applicant", "institutions");
    let named = office.mailgw(&["--json", "mailbox", "alias", person, "somebody"]).json();
    assert_eq!(named["aliases"], serde_json::json!([format!("somebody@{DOMAIN}")]));
    refused(&office.mailgw(&["--json", "mailbox", "alias", person, "somebody-2"]), 3, "too-many", "names");
    refused(&office.mailgw(&["--json", "mailbox", "alias", &firm, "somebody"]), 5, "alias-taken", "somebody");
    let more = ["--json", "mailbox", "open", "--id-type", "03", "--id-no", "E12345679", "--name", "黄雅婷", "--alias", "ya-ting"];
    refused(&office.mailgw(&[&more[..], &["--alias", "yating-2"]].concat()), 3, "applicant", "alias");
    assert_eq!(office.mailgw(&more).json()["aliases"], serde_json::json!([format!("ya-ting@{DOMAIN}")]));
}

fn closed(office: &Office) {
    let account = &office.people[1];
    let curl = |arguments: &[&str]| run("curl", &[&["-sS", "--cacert", "ca/root.pem"], arguments].concat(), &office.home);
    let user = format!("{}:{}", account.address, account.password);
    let url = format!("imaps://localhost:{}/INBOX", office.imaps);
    curl(&["-u", &user, &url, "-X", "NOOP"]).ok();
    // Whoever is logged in is logged out, waiting or not, when the password is withdrawn and by the end of the mailbox.
    let session = [office.imaps.to_string(), account.address.clone(), account.password.clone()];
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/logged_out.py");
    let logged_out = |change: &str, session: &[String; 3]| {
        let mailgw = program("mailgw");
        let arguments = [judge, &session[0], &session[1], &session[2], mailgw.to_str().unwrap(), change, &office.people[2].address, &office.people[2].password];
        run(oracle("python"), &arguments, &office.home)
    };
    // One word sets a password until somebody was in; afterwards it only withdraws one.
    let guest = office.mailgw(&["--json", "mailbox", "open", "--id-type", "03", "--id-no", "UTO-L898902C3", "--name", "ANNA MARIA ERIKSSON"]).json();
    let address = guest["address"].as_str().unwrap();
    let told = office.mailgw(&["--json", "mailbox", "password", address]).json()["password"].as_str().unwrap().to_owned();
    let again = [office.imaps.to_string(), address.to_owned(), told.clone()];
    logged_out("password", &again).ok();
    refused(&office.mailgw(&["--json", "mailbox", "password", address]), 3, "mailbox-entered", "mailgw mailbox recover");
    assert_eq!(curl(&["-u", &format!("{address}:{told}"), &url, "-X", "NOOP"]).code, 67);
    logged_out("close", &session).ok();
    assert_eq!(office.mailgw(&["--json", "mailbox", "show", &account.address]).json()["state"], "closed");
    assert_eq!(curl(&["-u", &user, &url, "-X", "NOOP"]).code, 67);
    std::fs::write(office.home.join("letter.eml"), "Subject: late\r\n\r\nx\r\n").unwrap();
    let smtp = format!("smtp://localhost:{}/x.example", office.smtp);
    let sent = curl(&[&smtp, "-v", "--ssl-reqd", "--mail-from", "a@b.example", "--mail-rcpt", &account.address, "-T", "letter.eml"]);
    assert!(sent.code == 55 && sent.err.contains("550 5.2.1"), "{sent:?}");
    refused(&office.mailgw(&["--json", "mailbox", "close", &account.address]), 5, "mailbox-closed", "closed");
    refused(&office.mailgw(&["--json", "mailbox", "password", &account.address]), 5, "mailbox-closed", "closed");
    let city = std::fs::read_to_string(office.home.join("city/people.csv")).unwrap();
    let line: Vec<&str> = city.lines().nth(2).unwrap().split(',').collect();
    refused(&office.mailgw(&["--json", "mailbox", "open", "--id-type", line[0], "--id-no", line[1], "--name", line[2]]), 5, "mailbox-exists", "closed");
}

fn places(office: &mut Office) {
    let home = office.home.clone();
    let mailgw = |arguments: &[&str]| run(program("mailgw"), &[&["--json"], arguments].concat(), &home);
    let init = |directory: &str, domain: &str| mailgw(&["--dir", directory, "--passphrase-file", "pass", "init", "--domain", domain, "--host", "mx.example.cn", "--sealer", "sealer", "--root", "ca/root.pem"]);
    refused(&init("mailgw", DOMAIN), 5, "founded", "mailgw");
    std::fs::write(home.join("file"), "x").unwrap();
    refused(&init("file", DOMAIN), 5, "state-directory", "not a directory");
    refused(&init("new", "not a domain"), 2, "host-name", "not a domain");
    refused(&mailgw(&["--dir", "new", "--passphrase-file", "pass", "init", "--domain", DOMAIN, "--host", "mx.example.cn", "--sealer", "sealer", "--root", "pass"]), 2, "anchors", "root");
    assert!(!home.join("new").exists());
    refused(&mailgw(&["--dir", "sealer", "--passphrase-file", "pass", "sealer", "init", "--name", "x.example.cn", "--root", "ca/root.pem"]), 5, "founded", "sealer");
    refused(&mailgw(&["--dir", "nowhere", "--passphrase-file", "pass", "mailbox", "list"]), 4, "state-directory", "nowhere");
    // A second service over a living directory; and while none runs, the wrong words for one.
    let served = |arguments: &[&str]| mailgw(&[&["--dir", "mailgw"], arguments].concat());
    assert_eq!(served(&["--passphrase-file", "pass", "serve"]).code, 6);
    office.kill_gateway();
    office.write("wrong", b"wrong horse battery\n");
    assert_eq!(served(&["--passphrase-file", "wrong", "mailbox", "list"]).code, 8);
    assert_eq!(served(&["--passphrase-file", "nowhere", "mailbox", "list"]).code, 8);
    let other = served(&["--passphrase-file", "pass", "serve", "--domain", "other.example"]);
    refused(&other, 2, "other-domain", DOMAIN);
    let occupied = std::net::TcpListener::bind(("127.0.0.1", office.imaps)).unwrap();
    let said = served(&["--passphrase-file", "pass", "serve"]);
    let last = Said { err: said.err.lines().last().unwrap_or_default().to_owned(), ..said };
    refused(&last, 6, "listen", &office.imaps.to_string());
    drop(occupied);
    let mode = |mode| std::fs::set_permissions(home.join("mailgw"), std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o755);
    refused(&served(&["--passphrase-file", "pass", "mailbox", "list"]), 8, "state-directory", "chmod 700");
    mode(0o700);
    std::fs::set_permissions(home.join("pass"), std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&served(&["--passphrase-file", "pass", "mailbox", "list"]), 8, "passphrase", "chmod 600");
    std::fs::set_permissions(home.join("pass"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let toml = std::fs::read_to_string(home.join("mailgw/mailgw.toml")).unwrap();
    std::fs::write(home.join("mailgw/mailgw.toml"), format!("surprise = 1\n{toml}")).unwrap();
    let said = served(&["--passphrase-file", "pass", "mailbox", "list"]);
    assert!(said.code == 2 && said.err.contains("surprise"), "{said:?}");
    std::fs::write(home.join("mailgw/mailgw.toml"), toml).unwrap();
    assert_eq!(served(&["--passphrase-file", "pass", "mailbox", "list"]).json()["mailboxes"].as_array().map(Vec::is_empty), Some(false));
    office.start_gateway();
}

/// Both logs, proved by our program and by one written from the description of the form.
fn logs(office: &Office) {
    office.push(KIND).json();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/verify_log.py");
    let exports = [office.mailgw(&["--json", "log", "export", "gateway-log"]).json(), office.sealer(&["--json", "sealer", "export-log", "sealer-log"]).json()];
    for (name, exported) in ["gateway-log", "sealer-log"].iter().zip(&exports) {
        let vkey = exported["vkey"].as_str().unwrap();
        let verify = || office.mailgw(&["--json", "log", "verify", name, "--vkey", vkey]);
        assert_eq!(verify().json()["entries"], exported["entries"]);
        run(oracle("python"), &[script, name, vkey], &office.home).ok();
        let city = std::fs::read_to_string(office.home.join("city/people.csv")).unwrap();
        let leaves = run("grep", &["-r", "-a", "-h", "", name], &office.home).out;
        for person in city.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()) {
            assert!(!leaves.contains(person[1]) && !leaves.contains(person[2]), "a person in {name}");
        }
        // One flipped bit anywhere among the entries is found, and the key of another log proves nothing.
        let tile = run("find", &[name, "-path", "*entries*", "-type", "f"], &office.home).ok();
        let path = office.home.join(tile.lines().next().unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(verify().code, 7);
        assert_ne!(run(oracle("python"), &[script, name, vkey], &office.home).code, 0);
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        verify().ok();
    }
    let crossed = office.mailgw(&["--json", "log", "verify", "gateway-log", "--vkey", exports[1]["vkey"].as_str().unwrap()]);
    assert_eq!(crossed.code, 7, "{crossed:?}");
    let over = office.mailgw(&["--json", "log", "export", "gateway-log"]);
    assert!(over.code != 0 && over.err.contains("gateway-log"), "an export is never written over: {over:?}");
    assert_eq!(office.mailgw(&["log", "verify", "gateway-log", "--vkey", "nonsense"]).code, 2);
    assert_eq!(office.mailgw(&["log", "verify", "nowhere", "--vkey", exports[0]["vkey"].as_str().unwrap()]).code, 4);
}
