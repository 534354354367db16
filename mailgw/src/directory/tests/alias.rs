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
