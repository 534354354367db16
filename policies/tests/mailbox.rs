//! The shipped mailbox policy: its meaning, and what it decides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use policies::mailbox::{AliasError, MailboxKind, MailboxNumber, MailboxPolicy, PasswordError, Port, Promise, PromiseMode, SHIPPED};

fn shipped() -> MailboxPolicy {
    MailboxPolicy::parse(SHIPPED).unwrap()
}

/// `SUIYIN_GOLDEN=write cargo test -p policies` writes the file anew; read what changed before it is kept.
#[test]
fn the_meaning_of_the_shipped_policy_is_the_one_we_agreed_to() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/mailbox/mailbox.txt");
    if std::env::var("SUIYIN_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(path, shipped().resolved()).unwrap();
    }
    assert_eq!(shipped().resolved(), std::fs::read_to_string(path).unwrap_or_default());
}

#[test]
fn names_that_somebody_may_have() {
    let policy = shipped();
    assert_eq!(policy.grant_alias("GJJ").unwrap().as_str(), "gjj");
    assert_eq!(policy.grant_alias("Postmaster"), Err(AliasError::Reserved));
    for name in ["no-reply", "no.reply", "post-master", "tlsrpt", "adm1n", "adrnin", "vvebmaster", "new5", "ROOT", "r0-0t", "lnfo"] {
        assert_eq!(policy.grant_alias(name), Err(AliasError::Reserved), "{name}");
    }
    assert_eq!(policy.grant_alias("ab"), Err(AliasError::Length { min: 3, max: 32 }));
    assert_eq!(policy.grant_alias("a_b"), Err(AliasError::Form));
    assert_eq!(policy.grant_alias("o000000006"), Err(AliasError::ReadsAsNumber));
}

/// No citizen's speaks for an institution. A directory of before names no such words.
#[test]
fn names_that_no_citizen_has() {
    let judge = |name: &str| shipped().grant_citizen(&shipped().grant_alias(name).unwrap());
    for name in ["gjj", "g-jj", "gz.gjj", "she-bao", "shebao2026", "gz-shu1wu", "housing-fund", "housingfund-gz", "tax", "my.tax", "tax-office", "police", "po11ce", "p-o-l-i-c-e", "gongan.gz", "fayuan", "bank", "banl-bank", "gov-gz", "sheba02026", "gz-sheba05", "taxe52026"] {
        assert_eq!(judge(name), Err(AliasError::Institutional), "{name}");
    }
    for name in ["chen", "taxi", "banker", "policeman", "courtney", "boccaccio", "gov3rn", "chen-xiuying", "zheng-wu", "yin-lian", "swj1985", "mary.court"] {
        assert_eq!(judge(name), Ok(()), "{name}");
    }
    let documents = SHIPPED.map(|(name, text)| (name, if name == "aliases.toml" { without_words(text) } else { text.to_owned() }));
    let of_before = MailboxPolicy::parse(documents.iter().map(|(name, text)| (*name, text.as_str()))).unwrap();
    assert_eq!(of_before.grant_citizen(&of_before.grant_alias("gjj").unwrap()), Ok(()));
}

fn without_words(text: &str) -> String {
    let (before, from) = text.split_once("institutional = [").unwrap();
    format!("{before}{}", from.split_once("]\n").unwrap().1)
}

/// A directory of before says nothing of it: there they have the number alone.
#[test]
fn how_many_names_a_citizen_may_have() {
    let with = |from: &str, to: &str| MailboxPolicy::parse(SHIPPED.map(|(name, text)| (name, if name == "aliases.toml" { text.replacen(from, to, 1) } else { text.to_owned() })).iter().map(|(name, text)| (*name, text.as_str()))).unwrap().citizen_aliases();
    assert_eq!([shipped().citizen_aliases(), with("most = 0", "most = 1"), with("[citizens]\nmost = 0\n", "")], [0, 1, 0]);
}

#[test]
fn passwords() {
    let owner = MailboxNumber::from_random(123_456_789).unwrap();
    let judge = |password: &str| shipped().judge_password(password, Some(owner));
    assert_eq!(judge("twelve chars"), Ok(()));
    assert_eq!(judge("一二三四五六七八九十甲乙"), Ok(()));
    assert_eq!(judge("eleven char"), Err(PasswordError::TooShort { min: 12 }));
    assert_eq!(judge(&"ab".repeat(129)), Err(PasswordError::TooLong { max: 256 }));
    assert_eq!(judge("twelve\0chars"), Err(PasswordError::Control));
    for plain in ["aaaaaaaaaaaa", "abababababab", "1234123412341", "123456789012", "zyxwvutsrqpon", "穗印穗印穗印穗印穗印穗印"] {
        assert_eq!(judge(plain), Err(PasswordError::Plain), "{plain}");
    }
    for good in ["123456789013", "abcabcabcabx", "广州塔下的猫和鱼和鸟一二三"] {
        assert_eq!(judge(good), Ok(()), "{good}");
    }
    assert_eq!(judge(&format!("my{owner}")), Err(PasswordError::Plain));
}

#[test]
fn tries_become_rarer_and_end() {
    let policy = shipped();
    let minutes: Vec<u64> = (0..9).map(|tries| policy.sending().retry_after(tries) / 60_000).collect();
    assert_eq!(minutes, [5, 5, 15, 30, 60, 120, 240, 240, 240]);
    assert_eq!((policy.sending().give_up_after(), policy.sending().late_after()), (432_000_000, Some(14_400_000)));
    assert!(policy.sending().allowance(MailboxKind::Citizen).messages_per_day < policy.sending().allowance(MailboxKind::Institution).messages_per_day);
}

/// A promise that was made is taken back by a policy that says so; only where none stands nothing is said.
#[test]
fn a_promise_of_tls_is_taken_back_in_words() {
    let with = |from: &str, to: &str| {
        let documents = SHIPPED.map(|(name, text)| (name, if name == "inbound.toml" { text.replacen(from, to, 1) } else { text.to_owned() }));
        MailboxPolicy::parse(documents.iter().map(|(name, text)| (*name, text.as_str()))).unwrap().inbound().promise
    };
    assert_eq!(with("mode = \"testing\"", "mode = \"none\""), Some(Promise { mode: PromiseMode::None, days: 14 }));
    assert_eq!(with("[promise]\nmode = \"testing\"\ndays = 14\n", ""), None);
}

/// Each change makes a document that must be refused: file, what is replaced, by what, the line, part of the reason.
#[test]
fn documents_that_make_no_sense() {
    assert!(shipped().mailbox_bytes(MailboxKind::Citizen) >= shipped().message_bytes());
    for (file, from, to, line, reason) in [
        ("aliases.toml", "min_characters = 3", "min_characters = 33", 2, "the least no more than the most"),
        ("aliases.toml", "\"abuse\", ", "", 1, "`abuse` is not reserved"),
        ("aliases.toml", "\"admin\",", "\"admin\", \"Admin\",", 6, "reserved twice"),
        ("aliases.toml", "\"admin\",", "\"_admin\",", 6, "begins with a letter"),
        ("aliases.toml", "max_characters", "max_chars", 3, "unknown field `max_chars`"),
        ("aliases.toml", "\"gjj\",", "\"gjj\", \"GJJ\",", 18, "reserved twice"),
        ("aliases.toml", "most = 0", "most = 9", 29, "0 to 8 names"),
        ("limits.toml", "citizen = 1_073_741_824", "citizen = 1_000_000", 4, "26214400 to"),
        ("limits.toml", "max_bytes = 26_214_400", "max_bytes = 1000", 9, "65536 to"),
        ("limits.toml", "max_recipients = 100", "max_recipients = 99", 11, "100 to 10000"),
        ("limits.toml", "min_characters = 12", "min_characters = 4", 15, "8 to 64"),
        ("limits.toml", "max_bytes = 256", "max_bytes = 32", 17, "64 to 1024"),
        ("sending.toml", "messages_per_hour = 60", "messages_per_hour = 301", 6, "no fewer than in an hour"),
        ("sending.toml", "recipients_per_day = 500", "recipients_per_day = 299", 7, "no fewer than messages"),
        ("sending.toml", "[5, 15,", "[5, 4,", 17, "none shorter than the one before"),
        ("sending.toml", "give_up_hours = 120", "give_up_hours = 24", 19, "96 to 720 hours"),
        ("sending.toml", "late_after_hours = 4", "late_after_hours = 121", 21, "0 to 120 hours"),
        ("sending.toml", "at_once = 40", "at_once = 4", 25, "no fewer than for one domain"),
        ("inbound.toml", "signatures = 8", "signatures = 0", 6, "1 to 50 signatures"),
        ("inbound.toml", "spf_fail = \"junk\"", "spf_fail = \"drop\"", 21, "unknown variant `drop`"),
        ("inbound.toml", "trusted_forwarders = []", "trusted_forwarders = [\"a_b\"]", 27, ""),
        ("inbound.toml", "dns_silent = \"later\"", "dns_silent = \"reject\"", 25, "unknown variant `reject`"),
        ("inbound.toml", "days = 14", "days = 366", 58, "1 to 365 days"),
        ("inbound.toml", "mode = \"testing\"", "mode = \"strict\"", 57, "unknown variant `strict`"),
        ("sending.toml", "per_sender = 4", "per_sender = 41", 24, "no more than to all"),
        ("sending.toml", "end_seconds = 600", "end_seconds = 60", 33, "600 to 3600 seconds"),
        ("sending.toml", "whole_seconds = 900", "whole_seconds = 500", 35, "no fewer than for the reply"),
        ("limits.toml", "reserve_bytes = 4_194_304", "reserve_bytes = 1", 21, "65536 to"),
        ("limits.toml", "bytes_of_all = 268_435_456", "bytes_of_all = 67_108_863", 46, "67108864 to"),
        ("limits.toml", "keep_days = 30", "keep_days = 0", 25, "1 to 3650"),
        ("limits.toml", "quota_percent = 100", "quota_percent = 0", 28, "1 to 1000"),
        ("limits.toml", "percent = [80, 95]", "percent = [95, 80]", 32, "each above the one before"),
        ("limits.toml", "cooling_off_hours = 72", "cooling_off_hours = 0", 36, "1 to 720"),
        ("limits.toml", "after_withdrawal = 336", "after_withdrawal = 71", 38, "no fewer than without a withdrawal"),
        ("limits.toml", "after_withdrawal = 336", "after_withdrawal = 2161", 38, "at most 2160"),
        ("limits.toml", "document_days = 30", "document_days = 366", 40, "0 to 365"),
        ("listeners.toml", "of_one_address = 50", "of_one_address = 501", 7, "no more than of a network"),
        ("listeners.toml", "of_one_network = 500", "of_one_network = 1001", 9, "no more than of all"),
        ("listeners.toml", "idle_seconds = 300", "idle_seconds = 299", 11, "300 to 3600 seconds"),
        ("listeners.toml", "receiving_bytes = 268_435_456", "receiving_bytes = 52_428_799", 17, "52428800 (two of the largest messages) to"),
        ("listeners.toml", "before_login = 500", "before_login = 1001", 32, "no more than of all"),
        // The bound on what strangers send holds whatever the policy says.
        ("listeners.toml", "bytes_before_login = 262_144", "bytes_before_login = 262_145", 36, "16384 to 262144 bytes"),
        ("listeners.toml", "idle_minutes = 30", "idle_minutes = 29", 54, "30 to 1440 minutes"),
        ("listeners.toml", "idle_minutes = 10", "idle_minutes = 9", 67, "10 to 120 minutes"),
        ("listeners.toml", "at_once = 4", "at_once = 0", 74, "1 to 64 passwords"),
        ("listeners.toml", "connections = 20_000", "connections = 200_001", 45, "1 to 200000 connections"),
        ("listeners.toml", "[settings]", "[setting]", 84, "unknown field `setting`"),
        ("limits.toml", "[password]", "[passwords]", 13, "unknown field `passwords`"),
    ] {
        let documents = SHIPPED.map(|(name, text)| (name, if name == file { text.replacen(from, to, 1) } else { text.to_owned() }));
        assert!(documents.iter().all(|(name, text)| *name != file || text.contains(to)), "{file}: {from}");
        let refused = MailboxPolicy::parse(documents.iter().map(|(name, text)| (*name, text.as_str()))).unwrap_err();
        assert!(refused.reason.contains(reason), "{to}: {refused}");
        assert_eq!((refused.file.as_str(), refused.line), (file, line), "{to}: {refused}");
    }
    let refused = |documents: Vec<(&str, &str)>| MailboxPolicy::parse(documents).unwrap_err().to_string();
    assert!(refused(vec![SHIPPED[0], SHIPPED[1], SHIPPED[2]]).starts_with("limits.toml, line 1: it is missing"));
    assert!(refused(vec![SHIPPED[0], SHIPPED[0]]).contains("given twice"));
    assert!(refused(vec![SHIPPED[0], ("b.toml", "")]).contains("no document of this name"));
}

#[test]
fn what_mail_programs_are_not_offered() {
    let with = |text: &str| MailboxPolicy::parse(SHIPPED.map(|(file, shipped)| (file, if file == "clients.toml" { text } else { shipped })));
    let policy = with("off = [\"move\"]\n[off_at]\nstarttls = [\"SORT\"]\ntls = []\n[off_for]\n1234567897 = [\"QRESYNC\"]\n").unwrap();
    let clients = policy.clients();
    assert_eq!(clients.off_at_starttls().iter().copied().collect::<Vec<_>>(), ["MOVE", "SORT"]);
    assert_eq!(clients.off_at_tls().iter().copied().collect::<Vec<_>>(), ["MOVE"]);
    let number = MailboxNumber::parse("1234567897").unwrap();
    assert!(clients.off_for().get(&number).unwrap().contains("QRESYNC"));
    assert!(shipped().clients().off_for().is_empty());
    // A directory of before says nothing of tokens: none is taken.
    assert!(!clients.token_at(Port::Imaps) && shipped().clients().token_at(Port::Imaps) && shipped().clients().token_ports().count() == 6);
    let text = "off = []\n[off_at]\nstarttls = []\ntls = []\n[off_for]\n[login]\ntoken = [\"imaps\"]\nno_token = [\"1234567897\"]\n";
    let switched = with(text).unwrap();
    assert!(switched.clients().token_at(Port::Imaps) && !switched.clients().token_at(Port::Submission) && switched.clients().no_token().contains(&number));
    assert!(with(&text.replace("1234567897", "1234567890")).is_err() && with(&text.replace("imaps", "smtp")).is_err());
    // What binds a login to its connection is switched off by itself.
    let bound = with(&text.replace("token = [\"imaps\"]", "scram = [\"imap\", \"imaps\"]\nno_scram_plus = [\"imaps\"]")).unwrap();
    assert!(bound.clients().scram_at(Port::Imaps) && !bound.clients().scram_plus_at(Port::Imaps) && bound.clients().scram_plus_at(Port::Imap));
    assert!(!bound.clients().scram_plus_at(Port::Submission), "nor where SCRAM is off");
    for bad in ["off = [\"XYZ\"]\n[off_at]\nstarttls = []\ntls = []\n[off_for]\n", "off = []\n[off_at]\nstarttls = []\ntls = []\n[off_for]\n1234567890 = []\n"] {
        assert!(with(bad).is_err(), "{bad}");
    }
}
