//! A statement is the same octets wherever it is taken out, bears a mail signature of its author's own domain, and is ham to a filter
//! that knows nothing of it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use mailgw::archive::inventory::Format;
use mailgw::flow::export::{Wanted, export};
use runtime::exit::Problem;

use super::corrections::{go, superseding, withdrawing};
use super::evidence::install;
use super::*;

/// dkimpy's word: every signature verifies by the published records, and its domain is that of From.
const JUDGE: &str = "
import dkim, email, json, sys
records = json.load(open(sys.argv[1]))
message = open(sys.argv[2], 'rb').read()
def dns(name, timeout=5):
    return records.get(name.decode().rstrip('.'), '').encode()
signatures = email.message_from_bytes(message).get_all('DKIM-Signature')
assert signatures, 'no signature'
domain = email.utils.parseaddr(email.message_from_bytes(message)['From'])[1].rsplit('@', 1)[1]
for place, signature in enumerate(signatures):
    assert 'd=%s;' % domain in signature, signature
    assert dkim.DKIM(message).verify(idx=place, dnsfunc=dns), signature
print(len(signatures))
";

fn oracle(name: &str) -> std::path::PathBuf {
    std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).map(|place| place.join(name)).find(|path| path.is_file()).unwrap()
}

fn said(mut command: Command, input: &[u8]) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&input));
    let out = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn a_statement_is_ham_with_an_aligned_signature_and_the_same_octets_everywhere() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let pem = said({ let mut openssl = Command::new("openssl"); openssl.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]); openssl }, b"");
    let selector = gateway.dkim.make("2026a", Some(&pem), 1).unwrap();
    gateway.dkim.use_selector("2026a", 2).unwrap();
    let records: serde_json::Map<String, serde_json::Value> = selector.records.into_iter().map(|record| (record.name.trim_end_matches('.').to_owned(), record.text.into())).collect();
    std::fs::write(city.path("records.json"), serde_json::to_string(&records).unwrap()).unwrap();
    for kind in ["pension", "housing-fund"] {
        pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month(&city, kind, kind, 3)).unwrap();
    }
    // What corrects a statement, and what takes that back, are letters like it.
    for order in [superseding(&city, "corrected", &[("new", "housing-fund-0", 0)]), withdrawing(&city, "withdrawn", &["new"])] {
        assert_eq!(go(&city, &order).unwrap().counts.delivered, 1);
    }
    let mailbox = gateway.directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap().mailbox();
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    let kept: Vec<Vec<u8>> = view.messages.iter().map(|message| gateway.messages.load(&view.folder, message.uid).unwrap()).collect();
    assert_eq!(kept.len(), 4);
    for message in &kept {
        std::fs::write(city.path("statement.eml"), message).unwrap();
        let mut python = Command::new(oracle("python"));
        python.args(["-c", JUDGE]).arg(city.path("records.json")).arg(city.path("statement.eml"));
        assert_eq!(said(python, b"").trim(), "2", "a signature for each key");
        // The seal is below the mail signature, as it was.
        std::fs::write(city.path("root.pem"), &city.root_pem).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["cms", "-verify", "-purpose", "any", "-out", "/dev/null", "-attime", &NOW.unix_timestamp().to_string()]).arg("-in").arg(city.path("statement.eml")).arg("-CAfile").arg(city.path("root.pem"));
        said(openssl, b"");
        // Rules alone, nobody asked over the network.
        let mut spamassassin = Command::new("spamassassin");
        spamassassin.args(["-L", "-t"]).env("HOME", city.home.path());
        let judged = said(spamassassin, message);
        let status = judged.split("X-Spam-Status: ").nth(1).unwrap_or_else(|| panic!("no verdict: {judged}"));
        assert!(status.starts_with("No,"), "{}", status.lines().take(4).collect::<String>());
        println!("spamassassin: {}", status.lines().next().unwrap_or_default());
    }
    // Taken out of the mailbox: statements alone, octet for octet. A letter of somebody stays behind.
    let letter = mailgw::mailbox::Delivery { mailbox: mailbox.clone(), folder: "INBOX".into(), content: b"Subject: x\r\n\r\ny\r\n".to_vec().into(), unix_millis: 0, flags: protocol::imap::exchange::Flags::new(), event: None, mark: None };
    gateway.messages.deliver(&[letter], 0).unwrap();
    install(&city, &gateway);
    let take = |statements: bool, name: &str| export(&gateway, &city.lists, &Wanted { mailbox: mailbox.clone(), directory: city.path(name), format: Format::Maildir, deleted: false, statements, octets: true, request: "form 1".into() }, &mut |_, _| true);
    assert_eq!((take(true, "statements").unwrap().messages, take(false, "all").unwrap().messages), (4, 5));
    assert!(take(true, "statements").map_err(Problem::from).is_err_and(|problem| problem.code == "export-directory"), "what is there is not written over");
    let mut taken: Vec<Vec<u8>> = std::fs::read_dir(city.path("statements").join("mail/INBOX/cur")).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    let mut kept = kept;
    (taken.sort(), kept.sort());
    assert!(taken == kept);
    let count = Command::new(oracle("python")).args(["-c", "import mailbox, sys; print(len(list(mailbox.Maildir(sys.argv[1]))))"]).arg(city.path("all").join("mail/INBOX")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&count.stdout).trim(), "5");
}
