//! Who may log in, how often, and what the answer tells.
use super::*;

const PASSWORD: &str = "三个不相干的词 and one";

fn with_password(store: &Arc<Memory>) -> (Directory, MailboxNumber) {
    let directory = directory(store);
    let number = directory.open(chen(), chosen(PASSWORD), NOW).unwrap().account.number;
    (directory, number)
}

#[test]
fn by_number_address_or_name_and_with_the_password_only() {
    let (directory, number) = with_password(&Arc::new(Memory::new()));
    for user in [number.to_string(), format!(" {number}@MAIL.gz.example")] {
        assert_eq!(login(&directory, &user, PASSWORD).unwrap().number, number);
    }
    let firm = opened(&directory, institution("91440101MAT000018G", "甲有限公司", "demo"));
    let secret = firm.password.expose().expose_secret();
    for user in ["demo", "DEMO@mail.gz.example"] {
        assert_eq!(login(&directory, user, secret).unwrap().number, firm.account.number);
    }
    for (user, secret) in [
        (number.to_string(), secret), (number.to_string(), ""), ("demo".into(), PASSWORD), ("nobody".into(), PASSWORD),
        (String::new(), PASSWORD), (format!("{number}@gz.example"), PASSWORD), ("1234567890".into(), PASSWORD),
    ] {
        assert!(matches!(login(&directory, &user, secret), Err(Refusal::Credentials { wait: Duration::ZERO })), "{user}");
    }
    assert!(matches!(login(&directory, "demo", &"a".repeat(1 << 20)), Err(Refusal::Credentials { .. })));
}

#[test]
fn a_new_password_ends_the_old_one_and_a_closed_mailbox_both() {
    let store = Arc::new(Memory::new());
    let (directory, number) = with_password(&store);
    // Another process of the same store, with a memory of its own.
    let other = super::directory(&store);
    let user = number.to_string();
    for directory in [&directory, &other] {
        assert!(login(directory, &user, PASSWORD).is_ok() && login(directory, &user, PASSWORD).is_ok());
    }
    assert!(matches!(directory.set_password(number, &chosen("short"), false, NOW), Err(DirectoryError::Password(_))));
    assert!(login(&directory, &user, PASSWORD).is_ok());
    let password = directory.set_password(number, &NewPassword::Generated, false, NOW).unwrap();
    let new = password.expose().expose_secret();
    for directory in [&directory, &other] {
        assert!(matches!(login(directory, &user, PASSWORD), Err(Refusal::Credentials { .. })));
        assert!(login(directory, &user, new).is_ok());
    }
    directory.close(number, NOW).unwrap();
    for directory in [&directory, &other] {
        let refused = login(directory, &user, new).unwrap_err();
        assert_eq!(refused.to_string(), login(directory, "nobody", new).unwrap_err().to_string());
    }
}

#[test]
fn a_client_that_reconnects_does_not_hash_again() {
    let (mut directory, number) = with_password(&Arc::new(Memory::new()));
    let user = number.to_string();
    assert!(login(&directory, &user, PASSWORD).is_ok());
    // From here on every hash fails, since no such memory is to be had: what works does so without one.
    let impossible = password::Cost { memory_kib: 1, passes: 1, lanes: 1 };
    directory.hasher = Hasher::new(Costs { chosen: impossible, generated: impossible });
    assert!(login(&directory, &user, PASSWORD).is_ok());
    // A fault of ours is not counted against anybody.
    for _ in 0..20 {
        assert!(matches!(login(&directory, &user, "another"), Err(Refusal::Directory(DirectoryError::Hash(HashError::Memory)))));
    }
    assert!(login(&directory, &user, PASSWORD).is_ok());
}

#[test]
fn to_be_refused_costs_the_same_for_everyone() {
    let (mut directory, number) = with_password(&Arc::new(Memory::new()));
    let generated = opened(&directory, citizen("03", "E12345678", "黄雅婷"));
    let closed = opened(&directory, citizen("07", "01234567", "林浩然"));
    directory.close(closed.account.number, NOW).unwrap();
    let password::Costs { chosen, generated: cheap } = password::tests::CHEAP;
    let impossible = password::Cost { memory_kib: 1, passes: 1, lanes: 1 };
    // Where one kind of hash cannot be made, whoever is refused is seen to have needed it.
    for costs in [Costs { chosen: impossible, generated: cheap }, Costs { chosen, generated: impossible }] {
        directory.hasher = Hasher::new(costs);
        for user in [number.to_string(), generated.account.mailbox(), closed.account.mailbox(), "1234567897".into(), "nobody".into()] {
            let refused = login(&directory, &user, "wrong").unwrap_err();
            assert!(matches!(refused, Refusal::Directory(DirectoryError::Hash(HashError::Memory))), "{user}: {refused}");
        }
    }
    assert!(login(&directory, &generated.account.mailbox(), generated.password.expose().expose_secret()).is_ok());
}

#[test]
fn an_account_under_attack_waits_and_its_neighbours_do_not() {
    let (directory, number) = with_password(&Arc::new(Memory::new()));
    let neighbour = opened(&directory, citizen("03", "E12345678", "黄雅婷"));
    let mut now = NOW;
    let from = |n: u8, now, user: &str, secret: &str| {
        directory.authenticate(user, &SecretString::from(secret), Scope::Imap, IpAddr::from([198, 51, n, 1]), now)
    };
    let (user, address) = (number.to_string(), format!("{number}@mail.gz.example"));
    // From another address every time, and under both names of the mailbox.
    for n in 0..15 {
        let user = if n % 2 == 0 { &user } else { &address };
        assert!(matches!(from(n, now, user, "wrong"), Err(Refusal::Credentials { wait: Duration::ZERO })));
    }
    let mut waits = Vec::new();
    for n in 15..25 {
        let Err(Refusal::Credentials { wait }) = from(n, now, &user, "wrong") else { panic!() };
        waits.push(wait.as_secs());
        // Right or wrong, nothing is heard before its time.
        let early = now + wait - Duration::from_millis(1);
        assert!(matches!(from(n, early, &user, PASSWORD), Err(Refusal::Later { .. })), "whoever failed");
        assert!(from(n, now, &neighbour.account.mailbox(), neighbour.password.expose().expose_secret()).is_ok());
        now += wait;
    }
    // One failure a minute is forgotten.
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 32, 60, 60, 60]);
    assert!(from(30, now, &user, PASSWORD).is_ok());
    assert!(matches!(from(30, now, &user, "wrong"), Err(Refusal::Credentials { wait: Duration::ZERO })));
}

#[test]
fn strangers_who_guess_do_not_keep_the_owner_out() {
    let (directory, number) = with_password(&Arc::new(Memory::new()));
    let user = number.to_string();
    let from = |network: u8, secret: &str, now| directory.authenticate(&user, &SecretString::from(secret), Scope::Imap, IpAddr::from([198, 51, network, 1]), now);
    assert!(from(1, PASSWORD, NOW).is_ok());
    let (mut now, mut next) = (NOW, NOW);
    for n in 100..124 {
        now = next;
        let Err(Refusal::Credentials { wait }) = from(n, "wrong", now) else { panic!() };
        next = now + wait;
    }
    assert_eq!(next - now, Duration::from_secs(60));
    // Whoever guessed waits, right or wrong. So does who comes from elsewhere, but for one network in half a minute: the owner on the way.
    assert!(matches!(from(100, PASSWORD, now), Err(Refusal::Later { .. })));
    assert!(from(2, PASSWORD, now).is_ok());
    assert!(matches!(from(3, PASSWORD, now + Duration::from_secs(29)), Err(Refusal::Later { .. })));
    assert!(matches!(from(3, "wrong", now + Duration::from_secs(30)), Err(Refusal::Credentials { .. })));
    // Which opens no door for those who guess, and is no second try.
    assert!(matches!(from(100, PASSWORD, now + Duration::from_secs(59)), Err(Refusal::Later { .. })));
    assert!(matches!(from(3, PASSWORD, now + Duration::from_secs(59)), Err(Refusal::Later { .. })));
    // The owner at home does not wait, and cannot guess without end there either.
    assert!(from(1, PASSWORD, now).is_ok());
    for _ in 0..16 {
        assert!(matches!(from(1, "wrong", now), Err(Refusal::Credentials { .. })));
    }
    assert!(matches!(from(1, PASSWORD, now), Err(Refusal::Later { .. })));
    // A login opens no door for others, and a new password makes a stranger of whoever knew the old one.
    let later = now + Duration::from_secs(3_600);
    assert!(from(1, PASSWORD, later).is_ok());
    let password = directory.set_password(number, &NewPassword::Generated, false, later).unwrap();
    for n in 100..117 {
        assert!(matches!(from(n, "wrong", later), Err(Refusal::Credentials { .. })));
    }
    assert!(matches!(from(1, password.expose().expose_secret(), later), Err(Refusal::Later { .. })));
}

#[test]
fn a_peer_that_guesses_at_many_accounts_waits() {
    let (directory, number) = with_password(&Arc::new(Memory::new()));
    let guess = |n: u16, peer: &str| directory.authenticate(&format!("user{n}"), &SecretString::from("wrong"), Scope::Imap, peer.parse().unwrap(), NOW);
    for n in 0..63 {
        assert!(matches!(guess(n, &format!("2001:db8:1:2::{n:x}")), Err(Refusal::Credentials { wait: Duration::ZERO })), "{n}");
    }
    assert!(matches!(guess(63, "2001:db8:1:2:ffff::1"), Err(Refusal::Credentials { wait }) if wait == Duration::from_secs(1)));
    let right = |peer: &str| directory.authenticate(&number.to_string(), &SecretString::from(PASSWORD), Scope::Imap, peer.parse().unwrap(), NOW);
    assert!(matches!(right("2001:db8:1:2::9"), Err(Refusal::Later { wait }) if wait == Duration::from_secs(1)));
    assert!(right("2001:db8:1:3::9").is_ok());
}

#[test]
fn guesses_at_once_are_counted_before_they_are_judged() {
    let (directory, number) = with_password(&Arc::new(Memory::new()));
    let guess = |n: u8| {
        let peer = IpAddr::from([10, 0, n, 1]);
        directory.authenticate(&number.to_string(), &SecretString::from("wrong"), Scope::Imap, peer, NOW)
    };
    let judged = std::thread::scope(|scope| {
        let guess = &guess;
        let threads: Vec<_> = (0..64).map(|n| scope.spawn(move || guess(n))).collect();
        let answers = threads.into_iter().map(|thread| thread.join().unwrap());
        answers.filter(|answer| matches!(answer, Err(Refusal::Credentials { .. }))).count()
    });
    // Sixteen that are free, and one from a network that had not failed before.
    assert_eq!(judged, 17);
}

#[test]
fn waits_do_not_tell_which_names_there_are() {
    let directory = directory(&Arc::new(Memory::new()));
    let firm = opened(&directory, institution("91440101MAT000018G", "甲有限公司", "demo"));
    let guess = |n: u8, user: &str| directory.authenticate(user, &SecretString::from("wrong"), Scope::Imap, IpAddr::from([198, 51, n, 1]), NOW);
    // Eighteen guesses at a name, in all the ways to write it: a name of a mailbox and one of none wait alike.
    let waits = |name: &str| (0..18).map(|n| guess(n, &[name.to_owned(), name.to_uppercase(), format!(" {name}@MAIL.gz.example")][usize::from(n % 3)]).is_err_and(|refused| matches!(refused, Refusal::Later { .. }))).collect::<Vec<_>>();
    let known = waits("demo");
    assert_eq!(known, waits("nobody"));
    assert!(known[17] && !known[16]);
    // Its number is not seen to be its as well.
    assert!(matches!(guess(200, &firm.account.mailbox()), Err(Refusal::Credentials { wait: Duration::ZERO })));
}
