//! Who logs in to the built gateway and how: app passwords, SCRAM, certificates, tokens; POP3; and the settings mail programs find. Judged by
//! imaplib, smtplib, poplib, curl and OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::office::{Account, DOMAIN, HOST, Office};
use certs_test::programs::{free_port, openssl, oracle, program, run};
use serde_json::{Value, json};

/// The office's gateway started anew, with what it does not offer as it is founded.
fn open(place: &std::path::Path) -> (Office, Value) {
    let mut office = Office::open(place, 3);
    let (pop3, pop3s, autoconfig) = (free_port(), free_port(), free_port());
    office.kill_gateway();
    let configuration = std::fs::read_to_string(office.home.join("mailgw/mailgw.toml")).unwrap();
    let more = format!("[listen]\npop3 = \"127.0.0.1:{pop3}\"\npop3s = \"127.0.0.1:{pop3s}\"\nautoconfig = \"127.0.0.1:{autoconfig}\"\n");
    office.write("mailgw/mailgw.toml", configuration.replace("[listen]\n", &more).as_bytes());
    let clients = std::fs::read_to_string(office.home.join("mailgw/policies/mailbox/clients.toml")).unwrap();
    let everywhere = "scram = [\"imap\", \"imaps\", \"submission\", \"submissions\", \"pop3\", \"pop3s\"]";
    office.write("mailgw/policies/mailbox/clients.toml", clients.replace("scram = []", everywhere).as_bytes());
    office.start_gateway();
    for port in [pop3, pop3s, autoconfig] {
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }
    let ports = json!({ "imap": office.imap, "imaps": office.imaps, "submission": office.submission, "submissions": office.submissions, "pop3": pop3, "pop3s": pop3s, "autoconfig": autoconfig });
    (office, ports)
}

fn judged(office: &Office, given: &Value, step: &str) -> String {
    office.write("access.json", given.to_string().as_bytes());
    let (script, home) = (format!("{}/oracles/access_client.py", env!("CARGO_MANIFEST_DIR")), office.path(""));
    let said = run(oracle("python"), &[script.as_str(), home.as_str(), step], &office.home);
    let log = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap_or_default();
    assert_eq!(said.code, 0, "{step}: {}\n{}\n{}", said.out, said.err, log.lines().rev().take(15).collect::<Vec<_>>().join("\n"));
    print!("{}", said.out);
    said.out
}

fn made(office: &Office, mailbox: &str, scopes: &str, name: &str) -> String {
    let made = office.mailgw(&["--json", "mailbox", "app-password", "new", mailbox, "--scope", scopes, "--name", name]).json();
    assert_eq!(made["app_password"]["name"], name);
    made["password"].as_str().unwrap().to_owned()
}

/// How many mails of the gateway's own, whose subject has these words, are in an owner's inbox; looked for with curl.
fn told(office: &Office, owner: &Account, words: &str) -> usize {
    let (user, url) = (format!("{}:{}", owner.address, owner.password), format!("imaps://localhost:{}/INBOX", office.imaps));
    let search = format!("SEARCH FROM postmaster SUBJECT \"{words}\"");
    let said = run("curl", &["-sS", "--cacert", "ca/root.pem", "-u", &user, &url, "-X", &search], &office.home).ok();
    said.trim().strip_prefix("* SEARCH").unwrap().split_whitespace().count()
}

/// Judged by OpenSSL at a port where binding is switched off, and at one where it is not.
#[test]
fn scram_is_offered_without_binding_where_that_is_off() {
    let place = tempfile::tempdir().unwrap();
    let mut office = Office::open(place.path(), 1);
    office.kill_gateway();
    let clients = std::fs::read_to_string(office.home.join("mailgw/policies/mailbox/clients.toml")).unwrap();
    let switched = clients.replace("scram = []", "scram = [\"imaps\", \"submissions\"]").replace("no_scram_plus = []", "no_scram_plus = [\"imaps\"]");
    office.write("mailgw/policies/mailbox/clients.toml", switched.as_bytes());
    office.start_gateway();
    let said = |port: u16, words: &str| run("sh", &["-c", &format!("(printf '{words}'; sleep 2) | openssl s_client -quiet -tls1_3 -CAfile ca/root.pem -connect localhost:{port}")], &office.home).out;
    let (imap, smtp) = (said(office.imaps, "a CAPABILITY\\r\\nb LOGOUT\\r\\n"), said(office.submissions, "EHLO x\\r\\nQUIT\\r\\n"));
    assert!(imap.contains("AUTH=SCRAM-SHA-256 ") && !imap.contains("SCRAM-SHA-256-PLUS"), "{imap}");
    assert!(smtp.contains(" SCRAM-SHA-256-PLUS SCRAM-SHA-256 "), "{smtp}");
}

#[test]
fn app_passwords_proved_told_and_withdrawn() {
    let place = tempfile::tempdir().unwrap();
    let (office, ports) = open(place.path());
    let user = office.people.first().unwrap().address.clone();
    let (every, reading) = (made(&office, &user, "imap,smtp,pop3", "手机"), made(&office, &user, "imap", "平板"));
    let mailgw = program("mailgw").to_string_lossy().into_owned();
    let withdraw = [mailgw.as_str(), "--dir", "mailgw", "--passphrase-file", "pass", "mailbox", "app-password", "withdraw", &user, "2"].map(str::to_owned);
    let given = json!({ "ports": ports, "user": user, "every": every, "reading": reading, "nobody": format!("2234567898@{DOMAIN}"), "host": HOST, "withdraw": withdraw });
    for step in ["app_passwords", "bound", "settings", "withdrawn"] {
        judged(&office, &given, step);
    }
    let listed = office.mailgw(&["--json", "mailbox", "app-password", "list", &user]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert!(listed[0]["last_used"].is_string() && !listed.to_string().contains(&every));
    // Its owner was told of each.
    let owner = office.people.first().unwrap();
    assert_eq!([told(&office, owner, "Your mailbox has a new app password"), told(&office, owner, "An app password of your mailbox was withdrawn")], [2, 1]);
    // Neither a password nor what its owner calls it stands in a log.
    let log = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap();
    assert!(![every.as_str(), reading.as_str(), "手机"].iter().any(|word| log.contains(word)));
}

#[test]
fn an_old_mail_program_empties_its_maildrop() {
    let place = tempfile::tempdir().unwrap();
    let (office, ports) = open(place.path());
    let user = office.people.first().unwrap().address.clone();
    let every = made(&office, &user, "imap,pop3", "旧电脑");
    let mails = [
        "From: a@peer.example\r\nSubject: one\r\n\r\none\r\n", "From: a@peer.example\r\nSubject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\n.\r\nend\r\n",
        "From: a@peer.example\r\nSubject: =?utf-8?b?5LiJ?=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n穗印\r\n",
    ];
    for (number, mail) in mails.iter().enumerate() {
        office.write("one.eml", mail.as_bytes());
        let to = format!("smtp://127.0.0.1:{}", office.smtp);
        run("curl", &["-s", "--url", &to, "--mail-from", "a@peer.example", "--mail-rcpt", &user, "--upload-file", "one.eml"], &office.home).ok();
        assert!(number < 3);
    }
    judged(&office, &json!({ "ports": ports, "user": user, "every": every, "mails": mails }), "maildrop");
}

#[test]
fn a_citizens_certificate_opens_the_mailbox_until_it_is_revoked() {
    let place = tempfile::tempdir().unwrap();
    let (office, ports) = open(place.path());
    office.mailgw(&["registrar", "request", "--out", "registrar.csr"]).ok();
    let serial = office.authority.issue("registrar", "registrar", &["--dns", HOST]);
    office.mailgw(&["registrar", "install", "registrar.pem", "--authority", &office.authority.url]).ok();
    office.authority.ca(&["registrar", "set", &serial, "--domain", DOMAIN]).ok();
    let (user, other) = (office.people.first().unwrap().address.clone(), office.people.get(1).unwrap().address.clone());
    office.authority.request("anna", "/C=CN");
    office.mailgw(&["--json", "mailbox", "certificate", &user, "--request", "anna.csr", "--out", "anna.pem"]).ok();
    // One that says the same and that nobody we know has signed.
    openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "stranger.key", "-out", "stranger.pem", "-subj", "/C=CN", "-addext", &format!("subjectAltName=email:{user}"), "-days", "2"], &office.home).ok();
    let anna = openssl(&["x509", "-in", "anna.pem", "-noout", "-serial"], &office.home).ok().trim().trim_start_matches("serial=").to_lowercase();
    let ca = program("ca").to_string_lossy().into_owned();
    let revoke = [ca.as_str(), "--dir", "ca", "--passphrase-file", "pass", "revoke", &anna, "--reason", "key-compromise"].map(str::to_owned);
    let given = json!({ "ports": ports, "user": user, "other": other, "every": made(&office, &user, "imap,smtp", "手机"), "revoke": revoke });
    judged(&office, &given, "certificate");
    assert_eq!(told(&office, office.people.first().unwrap(), "A certificate of your mailbox was asked for"), 1);
}

#[test]
fn a_providers_token_opens_the_mailbox_until_it_is_over() {
    let place = tempfile::tempdir().unwrap();
    let (mut office, ports) = open(place.path());
    let (user, other) = (office.people.first().unwrap().address.clone(), office.people.get(1).unwrap().address.clone());
    let every = made(&office, &user, "imap,smtp,pop3", "手机");
    let given = json!({ "ports": ports, "user": user, "other": other, "nobody": format!("2234567898@{DOMAIN}"), "every": every });
    let said = |office: &Office| office.mailgw(&["--json", "doctor"]).out;
    assert!(said(&office).contains("no provider is named"));
    judged(&office, &given, "provider_keys");
    office.write("mailgw/revoked-tokens", b"revoked-1\n");
    let configuration = std::fs::read_to_string(office.home.join("mailgw/mailgw.toml")).unwrap();
    let provider = "\n[tokens]\nissuer = \"https://id.example\"\naudience = \"suiyin-mail\"\nkeys = \"tokens.json\"\nrevoked = \"revoked-tokens\"\nopenid_configuration = \"https://id.example/.well-known/openid-configuration\"\n";
    office.write("mailgw/mailgw.toml", (configuration + provider).as_bytes());
    office.kill_gateway();
    office.start_gateway();
    assert!(said(&office).contains("2 keys of https://id.example, taken at imap, imaps, submission, submissions, pop3, pop3s"));
    judged(&office, &given, "tokens");
    // A token is a secret, and whose it is stands in no log.
    let log = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap();
    assert!(log.contains("a client's token is refused") && !log.contains("eyJ") && !log.contains(user.split('@').next().unwrap()));
    office.write("mailgw/tokens.json", b"{}");
    assert!(said(&office).contains("it is no JWK set"));
}

#[test]
fn several_persons_work_in_an_institutions_mailbox_and_one_who_is_ended_is_out() {
    let place = tempfile::tempdir().unwrap();
    let (office, ports) = open(place.path());
    office.mailgw(&["registrar", "request", "--out", "registrar.csr"]).ok();
    let serial = office.authority.issue("registrar", "registrar", &["--dns", HOST]);
    office.mailgw(&["registrar", "install", "registrar.pem", "--authority", &office.authority.url]).ok();
    office.authority.ca(&["registrar", "set", &serial, "--domain", DOMAIN]).ok();
    let (firm, anna, to) = (office.institutions.first().unwrap().address.clone(), office.people.first().unwrap().address.clone(), office.people.get(1).unwrap());
    let number = |address: &str| address.split('@').next().unwrap().to_owned();
    office.authority.request("anna", "/C=CN");
    office.mailgw(&["--json", "mailbox", "certificate", &anna, "--request", "anna.csr", "--out", "anna.pem"]).ok();
    office.officer("officer", "A-17");
    // An officer names the first, who names another.
    let order = |order: &str, papers: &str, signer: &str| {
        office.write("order.json", format!(r#"{{"kind":"suiyin mailbox operator v1","mailbox":"{}","order":{order},"papers":"{papers}"}}"#, firm).as_bytes());
        let (certificate, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let chain = std::fs::read_to_string(office.home.join(&certificate)).unwrap();
        office.write("issuers.pem", chain.split_once("-----END CERTIFICATE-----\n").unwrap().1.as_bytes());
        openssl(&["cms", "-sign", "-binary", "-in", "order.json", "-signer", &certificate, "-certfile", "issuers.pem", "-inkey", &key, "-outform", "PEM", "-out", "order.p7s"], &office.home).ok();
        office.mailgw(&["--json", "mailbox", "operator", "order", "--request", "order.json", "--approval", "order.p7s"])
    };
    let first = order(&format!(r#"{{"citizen":{{"mailbox":"{anna}","first":true}}}}"#), "letter 17", "officer").json();
    assert_eq!((first[0]["number"].as_u64(), first[0]["named_by"].as_str(), first[0]["address"].as_str()), (Some(1), Some("officer A-17"), Some(anna.as_str())));
    assert_eq!(order(r#"{"named":{"name":"李四"}}"#, "letter 18", "anna").json()[0]["number"], 2);
    assert_ne!(order(r#"{"named":{"name":"李四"}}"#, "letter 18", "anna").code, 0, "an order is carried out once");
    let password = |operator: &str| office.mailgw(&["--json", "mailbox", "app-password", "new", &firm, "--operator", operator, "--scope", "imap,smtp", "--name", "电脑"]).json()["password"].as_str().unwrap().to_owned();
    let (mailgw, passwords) = (program("mailgw").to_string_lossy().into_owned(), [password("1"), password("2")]);
    let end = |operator: &str| [mailgw.as_str(), "--dir", "mailgw", "--passphrase-file", "pass", "mailbox", "operator", "end", &firm, operator, "--papers", "letter 19"].map(str::to_owned);
    let given = json!({
        "ports": ports, "user": firm, "passwords": passwords, "to": to.address, "to_password": to.password, "end": end("2"), "end_first": end("1"),
        "names": ["perator", number(&anna), "李四"],
    });
    let said = judged(&office, &given, "operators");
    let sent_as: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let sent = |at: usize| office.mailgw(&["--json", "mailbox", "operator", "sent", &firm, sent_as["ids"][at].as_str().unwrap()]).json()[0]["number"].as_u64();
    assert_eq!([sent(0), sent(1)], [Some(1), Some(2)]);
    let shown = office.mailgw(&["--json", "mailbox", "show", &firm]).json();
    assert_eq!(shown["operators"].as_array().unwrap().iter().map(|one| one["ended_by"].as_str().unwrap()).collect::<Vec<_>>(), ["the counter", "the counter"]);
    assert!(!office.mailgw(&["mailbox", "show", &firm]).ok().contains("李四"));
    let owner = office.institutions.first().unwrap();
    assert_eq!([told(&office, owner, "Your mailbox has a new operator"), told(&office, owner, "An operator of your mailbox was ended")], [2, 2]);
    // It lost every way in, says somebody with its papers whom two officers saw; and somebody logs in.
    office.officer("other", "A-18");
    let (code, name) = (shown["code"].as_str().unwrap().to_owned(), shown["name"].as_str().unwrap().to_owned());
    let asks = |mailbox: &str, more: &str| {
        office.write("request.json", format!(r#"{{"kind":"suiyin mailbox recovery v1","mailbox":"{mailbox}","owner":{{"institution":{{"code":"{code}","name":"{name}"}}}},"proof":"licence and legal representative seen",{more}"papers":"counter 12, form 93"}}"#).as_bytes());
        ["officer", "other"].iter().for_each(|officer| office.approve("request.json", officer));
    };
    let recover = |more: &[&str]| office.mailgw(&[&["--json", "mailbox", "recover", &firm], more].concat());
    let apply = |approvals: &[&str], name: &str| recover(&[&["--request", "request.json", "--code", &code, "--name", name], approvals].concat());
    let both = ["--approval", "officer.p7s", "--approval", "other.p7s"];
    asks(&number(&firm), "");
    assert!(apply(&both, &name).err.contains("\"recovery-request\""));
    asks(&firm, "");
    assert!(apply(&both[..2], &name).err.contains("\"officers\"") && apply(&both, "广州另一有限公司").err.contains("\"recovery-request\""));
    assert_eq!(apply(&both, &name).json()["officers"], json!(["A-17", "A-18"]));
    assert!(recover(&["--complete"]).err.contains("\"cooling-off\""));
    assert_eq!(told(&office, owner, "A new password was asked for"), 1);
    assert_eq!((recover(&[]).json(), apply(&both, &name).code), (Value::Null, 5));
    // Whose password was withdrawn cannot end it with that: the officers sign for that, and it takes longer.
    office.mailgw(&["--json", "mailbox", "password", &firm, "--withdraw"]).ok();
    assert!(office.mailgw(&["--json", "mailbox", "show", &firm]).json()["password_withdrawn_at"].is_string());
    assert!(apply(&both, &name).err.contains("\"withdrawn\""));
    asks(&firm, r#""withdrawn":true,"#);
    let begun = apply(&both, &name).json();
    assert_eq!(begun["due_unix_millis"].as_u64().unwrap() - begun["since_unix_millis"].as_u64().unwrap(), 336 * 3_600_000);
    let log = std::fs::read_to_string(office.home.join("mailgw.log")).unwrap();
    assert!(![passwords[0].as_str(), passwords[1].as_str(), "李四"].iter().any(|word| log.contains(word)));
}

#[test]
fn what_each_port_grants_is_the_policys_and_a_bad_value_is_named() {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    let place = tempfile::tempdir().unwrap();
    let (mut office, _) = open(place.path());
    let file = office.home.join("mailgw/policies/mailbox/listeners.toml");
    let shipped = std::fs::read_to_string(&file).unwrap();
    let set = |section: &str, from: &str, to: &str, text: &str| {
        let (before, after) = text.split_once(section).unwrap();
        assert!(after.contains(from), "{from}");
        format!("{before}{section}{}", after.replacen(from, to, 1))
    };
    // A bad one is refused at a start, and told of before: which, where, and what would be right.
    office.write("mailgw/policies/mailbox/listeners.toml", set("[imap]", "idle_minutes = 30", "idle_minutes = 3", &shipped).as_bytes());
    let said = office.mailgw(&["doctor"]);
    assert!(said.code != 0 && said.out.contains("listeners.toml, line 54: it is 30 to 1440 minutes"), "{} {}", said.out, said.err);
    office.kill_gateway();
    let said = office.mailgw(&["serve"]);
    assert!(said.code != 0 && said.err.contains("listeners.toml, line 54: it is 30 to 1440 minutes"), "{}", said.err);
    let mut text = set("[imap]", "of_one_address = 200", "of_one_address = 2", &shipped);
    text = set("[imap]", "commands_before_login = 100", "commands_before_login = 20", &text);
    text = set("[submission]", "login_seconds = 300", "login_seconds = 10", &text);
    office.write("mailgw/policies/mailbox/listeners.toml", text.as_bytes());
    office.start_gateway();
    let reach = |port: u16| {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    };
    let rest = |mut stream: TcpStream| {
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    };
    // Who has not logged in by then is sent away, however much it says.
    let (begun, mut waiting) = (Instant::now(), reach(office.submission));
    waiting.read_exact(&mut [0; 4]).unwrap();
    waiting.write_all(b"EHLO x\r\nNOOP\r\n").unwrap();
    // As many as one address may have; and as many commands as one may say before a login.
    let greeted = || {
        // Those by which it was seen to be up may not have been noticed to be gone.
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let (mut stream, mut begins) = (reach(office.imap), [0; 4]);
            if stream.read_exact(&mut begins).is_ok() && begins == *b"* OK" {
                return stream;
            }
            assert!(Instant::now() < until, "nobody is let in");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let two = [greeted(), greeted()];
    assert_eq!(rest(reach(office.imap)), "* BYE [UNAVAILABLE] Too many connections; try again later\r\n");
    let [mut one, other] = two;
    drop(other);
    one.write_all("a NOOP\r\n".repeat(21).as_bytes()).unwrap();
    assert!(rest(one).ends_with("* BYE Too many commands before a login\r\n"));
    let said = rest(waiting);
    assert!(said.ends_with("421 4.4.2 It took too long; connect again\r\n") && (10..20).contains(&begun.elapsed().as_secs()), "{said}");
}
