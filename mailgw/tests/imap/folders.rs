//! Folders that come and go under the sessions that have them open: what is told of them is held against what an account holds, and a second
//! account with folders of the same names has nothing in common with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::harness::*;
use super::letters::Dice;

const NAMES: [&str; 6] = ["a", "b", "d", "a/c", "b/c", "d/c"];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    validity: u32,
    next: u32,
    held: BTreeMap<u32, String>,
}

/// What an account holds; nothing else is in it.
struct Account {
    number: &'static str,
    folders: BTreeMap<String, Folder>,
    /// Every UIDVALIDITY that a folder of it ever had.
    given: BTreeSet<u32>,
}

struct Session {
    client: Client,
    account: usize,
    /// The UIDVALIDITY of the folder that is open: its name may be another by now.
    open: Option<u32>,
}

/// Untagged lines and the answer; without an answer where the server ended the session.
async fn ask(client: &mut Client, text: &str) -> (Vec<String>, Option<String>) {
    client.send(format!("q {text}\r\n").as_bytes()).await;
    let mut lines = Vec::new();
    loop {
        match client.line().await {
            end if end.is_empty() => return (lines, None),
            line => match line.strip_prefix("q ") {
                Some(answer) => return (lines, Some(answer.to_owned())),
                None => lines.push(line),
            },
        }
    }
}

/// The numbers of a code such as `[APPENDUID 7 1]`.
fn code(lines: &[String], answer: &str, name: &str) -> Option<Vec<u32>> {
    let found = lines.iter().map(String::as_str).chain([answer]).find_map(|line| Some(line.split_once(&format!("[{name} "))?.1.split_once(']')?.0.to_owned()))?;
    Some(found.split(' ').map(|number| number.parse().unwrap()).collect())
}

fn number(line: &str, name: &str) -> u32 {
    line.split_once(&format!("{name} ")).unwrap_or_else(|| panic!("{line}")).1.split([' ', ')', ']']).next().unwrap().parse().unwrap()
}

/// UID and text of each message that a FETCH of `(UID BODY.PEEK[])` tells; no text here has a line end.
fn told(lines: &[String]) -> BTreeMap<u32, String> {
    let pairs = lines.iter().zip(lines.iter().skip(1));
    pairs.filter(|(line, _)| line.contains(" FETCH (UID ")).map(|(line, text)| (number(line, "UID"), text.strip_suffix(')').unwrap().to_owned())).collect()
}

const READ: &str = "UID FETCH 1:* (UID BODY.PEEK[])";

impl Account {
    fn name_of(&self, validity: u32) -> Option<String> {
        self.folders.iter().find(|(_, folder)| folder.validity == validity).map(|(name, _)| name.clone())
    }

    /// A folder that was made has a UIDVALIDITY that none had before, and is empty.
    async fn made(&mut self, client: &mut Client, name: &str) {
        let lines = client.ok(&format!("STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY)")).await;
        let validity = number(&lines[0], "UIDVALIDITY");
        assert!(self.given.insert(validity), "{name} has the UIDVALIDITY {validity} of one before");
        assert_eq!((number(&lines[0], "MESSAGES"), number(&lines[0], "UIDNEXT")), (0, 1), "{name}");
        self.folders.insert(name.to_owned(), Folder { validity, next: 1, held: BTreeMap::new() });
    }

    async fn levels_made(&mut self, client: &mut Client, name: &str) {
        for level in name.match_indices('/').map(|(at, _)| &name[..at]).chain([name]) {
            if !self.folders.contains_key(level) {
                self.made(client, level).await;
            }
        }
    }
}

/// Sessions that have this folder open are ended, and say why; who comes again finds the account as it is.
async fn end_those_in(server: &Server, sessions: &mut [Session], accounts: &[Account], account: usize, validity: u32) {
    for session in sessions.iter_mut().filter(|session| session.account == account && session.open == Some(validity)) {
        let (lines, answer) = ask(&mut session.client, READ).await;
        let mut lines: Vec<String> = lines.into_iter().chain(answer.clone()).collect();
        if answer.is_some() {
            loop {
                let line = session.client.line().await;
                if line.is_empty() {
                    break;
                }
                lines.push(line);
            }
        }
        assert!(lines.iter().any(|line| line.starts_with("* BYE The mailbox was deleted")), "{lines:?}");
        assert!(told(&lines).is_empty(), "{lines:?}");
        (session.client, session.open) = (server.client(accounts[account].number).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_come_and_go_under_those_who_have_them_open() {
    one_after_another(1).await;
    for _ in 0..2 {
        let mut chance = [0; 8];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut chance).unwrap();
        println!("one_after_another({})", u64::from_ne_bytes(chance));
        one_after_another(u64::from_ne_bytes(chance)).await;
    }
}

async fn one_after_another(chance: u64) {
    let server = start(quick()).await;
    let mut dice = Dice(chance);
    let mut accounts: Vec<Account> = [ONE, OTHER].map(|number| Account { number, folders: BTreeMap::new(), given: BTreeSet::new() }).into();
    let mut sessions = Vec::new();
    for account in [0, 0, 0, 0, 1, 1] {
        let mut client = server.client(accounts[account].number).await;
        if !sessions.iter().any(|session: &Session| session.account == account) {
            for line in client.ok("LIST \"\" *").await {
                accounts[account].made(&mut client, line.rsplit('"').nth(1).unwrap()).await;
            }
        }
        sessions.push(Session { client, account, open: None });
    }
    for step in 0..350 {
        let mut pick = |count: usize| usize::try_from(dice.roll(count as u64)).unwrap();
        let at = pick(sessions.len());
        let (what, name, to) = (pick(14), NAMES[pick(NAMES.len())], NAMES[pick(NAMES.len())]);
        let place = if pick(3) == 0 { "INBOX" } else { name };
        let chosen = pick(1_000);
        let Session { client, account: of, open } = &mut sessions[at];
        let (of, opened) = (*of, *open);
        let account = &mut accounts[of];
        let exists = account.folders.contains_key(place);
        // One message of the folder that is open, which the session knows of.
        if opened.is_some() {
            client.ok("NOOP").await;
        }
        let within = opened.and_then(|validity| account.name_of(validity));
        let uid = within.as_ref().and_then(|open| account.folders[open].held.keys().nth(chosen % account.folders[open].held.len().max(1)).copied());
        let refused = |answer: Option<String>, code: &str| assert!(answer.as_ref().is_some_and(|answer| answer.starts_with(code)), "{step}: {answer:?}");
        match what {
            0 | 1 => {
                let (_, answer) = ask(client, &format!("CREATE {name}")).await;
                if account.folders.contains_key(name) {
                    refused(answer, "NO [ALREADYEXISTS]");
                } else {
                    refused(answer, "OK ");
                    account.levels_made(client, name).await;
                }
            }
            2 => {
                client.send(format!("q DELETE {name}\r\n").as_bytes()).await;
                // Where it was open here the answer may come behind the end.
                let mut line = client.line().await;
                while line.starts_with("* ") && !line.starts_with("* BYE") {
                    line = client.line().await;
                }
                match account.folders.remove(name) {
                    Some(folder) => {
                        assert!(line.starts_with("q OK") || (opened == Some(folder.validity) && line.starts_with("* BYE")), "{step}: {line}");
                        if line.starts_with("* BYE") {
                            (sessions[at].client, sessions[at].open) = (server.client(accounts[of].number).await, None);
                        }
                        end_those_in(&server, &mut sessions, &accounts, of, folder.validity).await;
                    }
                    None => assert!(line.starts_with("q NO [NONEXISTENT]"), "{step}: {line}"),
                }
            }
            3 => {
                // INBOX keeps its name: what was in it goes to the other, under the UIDVALIDITY that it had.
                let from = if chosen % 5 == 0 { "INBOX" } else { name };
                let (_, answer) = ask(client, &format!("RENAME {from} {to}")).await;
                let below = |name: &str| from != "INBOX" && name.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'));
                let moved: Vec<String> = account.folders.keys().filter(|name| *name == from || below(name)).cloned().collect();
                let new = |name: &String| format!("{to}{}", name.strip_prefix(from).unwrap());
                if moved.is_empty() || moved.iter().any(|name| account.folders.contains_key(&new(name))) || account.folders.contains_key(to) || to == from || below(to) {
                    refused(answer, "NO [");
                } else {
                    refused(answer, "OK ");
                    let folders: Vec<(String, Folder)> = moved.iter().map(|name| (new(name), account.folders.remove(name).unwrap())).collect();
                    account.folders.extend(folders.clone());
                    // Where INBOX was open here this session ends.
                    let client = &mut server.client(account.number).await;
                    // What was a level alone is one under its new name.
                    if let Some((above, _)) = to.rsplit_once('/') {
                        account.levels_made(client, above).await;
                    }
                    for (name, folder) in &folders {
                        let told = client.ok(&format!("STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY)")).await;
                        assert_eq!((number(&told[0], "UIDVALIDITY"), number(&told[0], "UIDNEXT"), number(&told[0], "MESSAGES") as usize), (folder.validity, folder.next, folder.held.len()), "{step}: {name}");
                    }
                    if from == "INBOX" {
                        account.made(client, "INBOX").await;
                        end_those_in(&server, &mut sessions, &accounts, of, folders[0].1.validity).await;
                    }
                }
            }
            4 | 5 => {
                let (lines, answer) = ask(client, &format!("SELECT {place}")).await;
                *open = if exists {
                    let folder = &account.folders[place];
                    let line = |name: &str| lines.iter().find(|line| line.contains(&format!("[{name} "))).unwrap_or_else(|| panic!("{lines:?}"));
                    assert_eq!((number(line("UIDVALIDITY"), "UIDVALIDITY"), number(line("UIDNEXT"), "UIDNEXT")), (folder.validity, folder.next), "{step}: {place}");
                    refused(answer, "OK ");
                    Some(folder.validity)
                } else {
                    refused(answer, "NO [NONEXISTENT]");
                    None
                };
            }
            6..=8 => {
                let text = format!("{}-{step}", account.number);
                let (lines, answer) = ask(client, &format!("APPEND {place} {{{}+}}\r\n{text}", text.len())).await;
                match account.folders.get_mut(place) {
                    Some(folder) => {
                        assert_eq!(code(&lines, &answer.unwrap(), "APPENDUID"), Some(vec![folder.validity, folder.next]), "{step}");
                        folder.held.insert(folder.next, text);
                        folder.next += 1;
                    }
                    None => refused(answer, "NO [TRYCREATE]"),
                }
            }
            9 | 10 => {
                let Some((uid, within)) = uid.zip(within) else { continue };
                let moves = what == 10 && within != place;
                let (lines, answer) = ask(client, &format!("UID {} {uid} {place}", if moves { "MOVE" } else { "COPY" })).await;
                let text = account.folders[&within].held[&uid].clone();
                match account.folders.get_mut(place) {
                    Some(folder) => {
                        assert_eq!(code(&lines, &answer.unwrap(), "COPYUID"), Some(vec![folder.validity, uid, folder.next]), "{step}");
                        folder.held.insert(folder.next, text);
                        folder.next += 1;
                        if moves {
                            account.folders.get_mut(&within).unwrap().held.remove(&uid);
                        }
                    }
                    None => refused(answer, "NO [TRYCREATE]"),
                }
            }
            11 => {
                let Some((uid, within)) = uid.zip(within) else { continue };
                client.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)")).await;
                client.ok(&format!("UID EXPUNGE {uid}")).await;
                account.folders.get_mut(&within).unwrap().held.remove(&uid);
            }
            12 => {
                let names: BTreeSet<String> = client.ok("LIST \"\" *").await.iter().filter(|line| !line.contains("\\Noselect")).map(|line| line.rsplit('"').nth(1).unwrap().to_owned()).collect();
                assert_eq!(names, account.folders.keys().cloned().collect(), "{step}");
            }
            _ => {
                let Some(within) = within else { continue };
                assert_eq!(told(&client.ok(READ).await), account.folders[&within].held, "{step}: {within}");
            }
        }
    }
    // Each account holds what was put there, and nothing of the other's.
    for account in &accounts {
        let mut client = server.client(account.number).await;
        for (name, folder) in &account.folders {
            let lines = client.ok(&format!("SELECT {name}")).await;
            assert_eq!(lines.iter().find(|line| line.contains("[UIDVALIDITY ")).map(|line| number(line, "UIDVALIDITY")), Some(folder.validity));
            assert_eq!(told(&client.ok(READ).await), folder.held, "{name}");
            assert!(folder.held.values().all(|text| text.starts_with(account.number)));
        }
    }
    for session in &mut sessions {
        if let Some(within) = session.open.and_then(|validity| accounts[session.account].name_of(validity)) {
            session.client.ok("NOOP").await;
            assert_eq!(told(&session.client.ok(READ).await), accounts[session.account].folders[&within].held);
        }
    }
}

/// What was told of each message: its account, UIDVALIDITY and UID.
type Told = (usize, u32, u32, String);
/// What sessions were told that they put, by account, UIDVALIDITY and UID.
type Put = Mutex<BTreeMap<(usize, u32, u32), String>>;

/// All at one moment: a UID under a UIDVALIDITY is given once, whatever becomes of the folder, and always names the same message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_uid_names_one_message_however_folders_come_and_go() {
    let server = Arc::new(start(quick()).await);
    let put: Arc<Put> = Arc::default();
    let sessions: Vec<_> = (1..=6_u64).map(|session| tokio::spawn({
        let (server, put) = (Arc::clone(&server), Arc::clone(&put));
        async move { wander(&server, &put, session, usize::from(session > 4)).await }
    })).collect();
    let mut heard: Vec<Told> = Vec::new();
    for session in sessions {
        heard.extend(session.await.unwrap());
    }
    assert!(!heard.is_empty());
    // What was copied, or whose answer went with its session, nobody was told of as put; it is what whoever reads it first reads.
    let mut known = put.lock().unwrap().clone();
    for (account, validity, uid, text) in heard {
        assert!(text.starts_with([ONE, OTHER][account]), "{text}");
        assert_eq!(*known.entry((account, validity, uid)).or_insert_with(|| text.clone()), text, "{validity} {uid}");
    }
}

async fn wander(server: &Server, put: &Put, session: u64, account: usize) -> Vec<Told> {
    let account_number = [ONE, OTHER][account];
    let (mut client, mut dice, mut heard, mut open) = (server.client(account_number).await, Dice(session), Vec::new(), None);
    for step in 0..200 {
        let [what, name, to] = [8, 3, 3].map(|sides| usize::try_from(dice.roll(sides)).unwrap());
        // Few names, so that they meet.
        let (name, to) = (NAMES[name], NAMES[to]);
        let text = format!("{account_number}-{session}-{step}");
        let command = match what {
            0 => format!("CREATE {name}"),
            1 => format!("DELETE {name}"),
            2 => format!("RENAME {name} {to}"),
            3 => format!("SELECT {name}"),
            4 | 5 => format!("APPEND {name} {{{}+}}\r\n{text}", text.len()),
            6 if open.is_some() => format!("UID COPY 1:* {name}"),
            _ if open.is_some() => READ.to_owned(),
            _ => continue,
        };
        let (lines, answer) = ask(&mut client, &command).await;
        if let Some(validity) = open.filter(|_| command == READ) {
            heard.extend(told(&lines).into_iter().map(|(uid, text)| (account, validity, uid, text)));
        }
        let Some(answer) = answer else {
            assert!(lines.iter().any(|line| line.starts_with("* BYE The mailbox was deleted")), "{command}: {lines:?}");
            (client, open) = (server.client(account_number).await, None);
            continue;
        };
        assert!(!answer.starts_with("BAD") && !answer.contains("SERVERBUG"), "{command}: {answer}");
        if what == 3 {
            let validity = lines.iter().find(|line| line.contains("[UIDVALIDITY ")).map(|line| number(line, "UIDVALIDITY"));
            open = validity.filter(|_| answer.starts_with("OK"));
        }
        if let Some(told) = code(&lines, &answer, "APPENDUID") {
            assert!(put.lock().unwrap().insert((account, told[0], told[1]), text).is_none(), "UID {} under {} was given twice", told[1], told[0]);
        }
    }
    heard
}
