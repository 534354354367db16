//! Names that people and institutions choose later.
use super::*;
use store::Batch;

const CODE: &str = "91440101MAT000018G";

#[test]
fn an_institution_chooses_a_further_name_that_nobody_else_ever_gets() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, institution(CODE, "广州示范有限公司", "demo")).account.number;
    let alias = |name: &str| directory.policy().grant_alias(name).unwrap();
    let (_, unchanged) = directory.names_like(&alias("demo-fund")).unwrap();
    let named = directory.add_alias(number, &alias("demo-fund"), NOW).unwrap();
    assert_eq!(named.aliases.iter().map(ToString::to_string).collect::<Vec<_>>(), ["demo", "demo-fund"]);
    assert!(directory.find("demo-fund").unwrap().is_some_and(|found| found.number == number));
    // Who looked at all names before it came does not rest on them any more, though the same mailbox was the last to get one.
    assert!(matches!(store.commit(Batch::new().expect(unchanged)), Err(CommitError::Conflict { .. })));
    assert!(matches!(directory.add_alias(number, &alias("demo"), NOW), Err(DirectoryError::AliasTaken { .. })));
    assert!(matches!(events(&*store).pop(), Some(Event::AliasAdded(told)) if told.mailbox == number.to_string()));
    for place in 2..8 {
        directory.add_alias(number, &alias(&format!("branch-{}", ["north", "south", "west", "east", "upper", "lower"][place - 2])), NOW).unwrap();
    }
    assert!(matches!(directory.add_alias(number, &alias("one-more"), NOW), Err(DirectoryError::TooManyAliases { .. })));
    directory.close(number, NOW).unwrap();
    assert!(matches!(directory.add_alias(number, &alias("one-more"), NOW), Err(DirectoryError::Closed { .. })));
}

/// By the same rules, as many as the policy says: none where it says none.
#[test]
fn a_citizen_chooses_a_name_as_the_policy_says() {
    let store = Arc::new(Memory::new());
    let mut directory = directory(&store);
    let alias = |name: &str| MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap().grant_alias(name).unwrap();
    let (kind, id, name) = PEOPLE[0];
    let number = opened(&directory, citizen(kind, id, name)).account.number;
    directory.policy = Arc::new(with_names_of_citizens("most = 0"));
    assert!(matches!(directory.add_alias(number, &alias("somebody"), NOW), Err(DirectoryError::NumberAlone { mailbox }) if mailbox == number));
    directory.policy = Arc::new(with_names_of_citizens("most = 1"));
    let firm = opened(&directory, institution(CODE, "广州示范有限公司", "demo")).account.number;
    let alike: Vec<_> = ["demo", "dem0", "de.mo", "de-mo"].into_iter().map(alias).filter(|name| name.reads_like(&alias("demo"))).collect();
    assert!(alike.len() > 1);
    for like in alike {
        assert!(matches!(directory.add_alias(number, &like, NOW), Err(DirectoryError::AliasTaken { .. })), "{like}");
    }
    let named = directory.add_alias(number, &alias("somebody"), NOW).unwrap();
    assert_eq!(named.aliases.iter().map(ToString::to_string).collect::<Vec<_>>(), ["somebody"]);
    assert_eq!(directory.find_address(&format!("Somebody@{DOMAIN}")).unwrap().map(|found| found.number), Some(number));
    assert!(matches!(directory.add_alias(firm, &alias("somebody"), NOW), Err(DirectoryError::AliasTaken { .. })));
    assert!(matches!(directory.add_alias(number, &alias("one-more"), NOW), Err(DirectoryError::TooManyAliases { .. })));
    // Nor does anybody get it when the mailbox is closed.
    directory.close(number, NOW).unwrap();
    assert!(matches!(directory.add_alias(firm, &alias("somebody"), NOW), Err(DirectoryError::AliasTaken { .. })));
    let (kind, id, name) = PEOPLE[1];
    let words = Words { id_type: Some(kind.into()), id_no: Some(id.into()), name: Some(name.into()), aliases: vec!["other-name".into()], ..Words::default() };
    let like = Words { aliases: vec!["s0mebody".into()], ..words.clone() };
    let like = directory.open(Applicant::parse(&like, directory.policy(), today(NOW)).unwrap(), NewPassword::Generated, NOW);
    assert!(matches!(like, Err(DirectoryError::AliasTaken { .. })));
    let other = opened(&directory, Applicant::parse(&words, directory.policy(), today(NOW)).unwrap()).account;
    assert_eq!(directory.find("other-name").unwrap().map(|found| found.number), Some(other.number));
}

/// What reads like an institution's, also one that is yet to come, is refused in every way in which a citizen gets a name.
#[test]
fn a_citizen_has_no_name_that_speaks_for_an_institution() {
    let store = Arc::new(Memory::new());
    let mut directory = directory(&store);
    directory.policy = Arc::new(with_names_of_citizens("most = 1"));
    let (kind, id, name) = PEOPLE[0];
    let number = opened(&directory, citizen(kind, id, name)).account.number;
    let length = records(&*store).len();
    for word in ["she-bao", "gz-gjj", "ta.x", "police-gz", "my.bank1", "officer-p0lice"] {
        let alias = directory.policy().grant_alias(word).unwrap();
        let refused = directory.add_alias(number, &alias, NOW).unwrap_err();
        assert!(matches!(&refused, DirectoryError::Alias(policies::mailbox::AliasError::Institutional)), "{word}");
        let problem = runtime::exit::Problem::from(refused);
        assert_eq!((problem.exit, problem.field.as_deref()), (runtime::exit::Exit::Refused, Some("alias")), "{word}");
        let (kind, id, name) = PEOPLE[1];
        let words = Words { id_type: Some(kind.into()), id_no: Some(id.into()), name: Some(name.into()), aliases: vec![word.into()], ..Words::default() };
        assert!(matches!(Applicant::parse(&words, directory.policy(), today(NOW)), Err(ApplicantError::Alias(policies::mailbox::AliasError::Institutional))), "{word}");
        // An institution has it.
        let words = Words { code: Some(CODE.into()), name: Some("广州示范有限公司".into()), aliases: vec![word.into()], ..Words::default() };
        assert!(Applicant::parse(&words, directory.policy(), today(NOW)).is_ok(), "{word}");
    }
    assert_eq!(records(&*store).len(), length, "nothing was recorded");
    directory.add_alias(number, &directory.policy().grant_alias("chen-bankes").unwrap(), NOW).unwrap();
}

/// Words of the applicants of one batch, of whom the first two are citizens and the others institutions.
fn with_names(directory: &Directory, names: [&str; 4]) -> Vec<Application> {
    let codes = [CODE, "92440101MAT0000A11"];
    let words = names.iter().enumerate().map(|(at, name)| {
        let aliases = if name.is_empty() { Vec::new() } else { vec![(*name).to_owned()] };
        match at {
            0 | 1 => Words { id_type: Some(PEOPLE[at].0.into()), id_no: Some(PEOPLE[at].1.into()), name: Some(PEOPLE[at].2.into()), aliases, ..Words::default() },
            _ => Words { code: Some(codes[at - 2].into()), name: Some("广州示范有限公司".into()), aliases, ..Words::default() },
        }
    });
    words.map(|words| Application { applicant: Applicant::parse(&words, directory.policy(), today(NOW)).unwrap(), password: NewPassword::Generated }).collect()
}

/// Nobody's name reads like a citizen's, whichever was first, also of those that one commit opens; institutions' may read like each other.
#[test]
fn of_names_that_read_alike_a_citizens_is_alone() {
    for (names, opens) in [
        (["somebody", "some-body", "s0mebody", "others"], [true, false, false, true]),
        (["one-name", "other-name", "gz-mill", "gzrnill"], [true, true, true, true]),
        (["", "one-name", "one.name", "onename"], [true, true, false, false]),
    ] {
        let store = Arc::new(Memory::new());
        let mut directory = directory(&store);
        directory.policy = Arc::new(with_names_of_citizens("most = 1"));
        let done = directory.open_all(&with_names(&directory, names), NOW).unwrap();
        assert_eq!(done.iter().map(Result::is_ok).collect::<Vec<_>>(), opens, "{names:?}");
        assert!(done.iter().filter_map(|done| done.as_ref().err()).all(|error| matches!(error, DirectoryError::AliasTaken { .. })));
        // One after another the same.
        let store = Arc::new(Memory::new());
        let mut directory = super::directory(&store);
        directory.policy = Arc::new(with_names_of_citizens("most = 1"));
        let one = |application: Application| directory.open(application.applicant, application.password, NOW).is_ok();
        assert_eq!(with_names(&directory, names).into_iter().map(one).collect::<Vec<_>>(), opens, "{names:?}");
    }
}

/// The other is given its name between the look and the commit.
#[test]
fn of_two_that_ask_for_such_names_at_one_moment_one_has_it() {
    for (first, second) in [([0, 1], "some-body"), ([2, 1], "some.body"), ([0, 2], "s0mebody")] {
        let store = Arc::new(Memory::new());
        let policy = Arc::new(with_names_of_citizens("most = 1"));
        let mut coming = directory(&store);
        coming.policy = Arc::clone(&policy);
        let applications = with_names(&coming, [if first[0] == 0 { "somebody" } else { "" }, second, if first[0] == 2 { "somebody" } else { second }, ""]);
        let [one, other] = first.map(|at| applications[at].clone());
        coming.index_readings().unwrap();
        let racing = Between::before_commit(Arc::clone(&store) as Arc<dyn Store>, 0, move || drop(coming.open(one.applicant.clone(), one.password.clone(), NOW).unwrap()));
        let mut directory = directory_with(Arc::new(racing), Arc::new(SystemRandom::new()));
        directory.policy = policy;
        assert!(matches!(directory.open(other.applicant, other.password, NOW), Err(DirectoryError::AliasTaken { .. })), "{first:?}");
    }
}

/// Stores of before know nothing of readings: nobody is given a name before they do, and where that was cut off it is begun anew.
#[test]
fn names_of_before_are_found_by_their_reading() {
    let store = Arc::new(Memory::new());
    let mut directory = directory(&store);
    directory.policy = Arc::new(with_names_of_citizens("most = 8"));
    let [code, other] = [CODE, "92440101MAT0000A11"];
    let first = opened(&directory, institution(code, "广州示范有限公司", "demo")).account.number;
    let second = opened(&directory, institution(other, "广州示范有限公司", "dem0")).account.number;
    let (kind, id, name) = PEOPLE[0];
    let person = opened(&directory, citizen(kind, id, name)).account.number;
    directory.add_alias(person, &directory.policy().grant_alias("somebody").unwrap(), NOW).unwrap();
    directory.close(second, NOW).unwrap();
    let alias = |name: &str| directory.policy().grant_alias(name).unwrap();
    let readings = || {
        let (from, to) = index::readings();
        store.scan(&from, &to, usize::MAX).unwrap()
    };
    let written = readings();
    assert_eq!(written.len(), 2);
    for left in 0..=written.len() {
        let batch = written.iter().skip(left).fold(Batch::new().delete(index::readings_whole()), |batch, (key, _)| batch.delete(key.clone()));
        store.commit(batch).unwrap();
        assert_eq!(readings().len(), left);
        for taken in ["de-mo", "some-body"] {
            assert!(matches!(directory.add_alias(person, &alias(taken), NOW), Err(DirectoryError::AliasTaken { .. })), "{taken}");
        }
        let (alike, _) = directory.names_like(&alias("d.emo")).unwrap();
        assert_eq!(alike.iter().map(|(account, borne)| (account.number, borne.as_str())).collect::<BTreeSet<_>>(), BTreeSet::from([(first, "demo"), (second, "dem0")]));
        let numbers = |readings: Vec<(Key, Vec<u8>)>| readings.into_iter().map(|(key, numbers)| (key, index::decode_all(&numbers).unwrap().into_iter().collect::<BTreeSet<_>>())).collect::<Vec<_>>();
        assert_eq!(numbers(readings()), numbers(written.clone()));
    }
}
