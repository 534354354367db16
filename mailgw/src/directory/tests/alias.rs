//! Names that institutions choose later.
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
    let (kind, id, name) = PEOPLE[0];
    let citizen = opened(&directory, citizen(kind, id, name)).account.number;
    assert!(matches!(directory.add_alias(citizen, &alias("somebody"), NOW), Err(DirectoryError::NoInstitution { .. })));
    directory.close(number, NOW).unwrap();
    assert!(matches!(directory.add_alias(number, &alias("one-more"), NOW), Err(DirectoryError::Closed { .. })));
}
