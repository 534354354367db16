//! Several persons in an institution's mailbox: who they are, what they log in with, and how it ends.
use super::*;
use crate::record::operator::{By, MOST};

const CODE: &str = "12440100000000123A";

fn ordered(request: &str) -> Ordered {
    Ordered { by: By::Officer("A-17".into()), request: request.into() }
}

fn fund(directory: &Directory) -> MailboxNumber {
    opened(directory, institution(CODE, "广州住房公积金管理中心", "gjj")).account.number
}

fn password(directory: &Directory, number: MailboxNumber, operator: Option<u32>) -> String {
    let name = AppPasswordName::parse("电脑").unwrap();
    directory.new_app_password(number, operator, &name, &[Scope::Imap, Scope::Smtp], NOW).unwrap().1.expose().to_owned()
}

fn enter(directory: &Directory, secret: &str) -> Result<Login, Refusal> {
    directory.authenticate("gjj", &SecretString::from(secret), Scope::Smtp, PEER, NOW)
}

fn wrong<T: std::fmt::Debug>(result: Result<T, DirectoryError>) -> OperatorError {
    match result.unwrap_err() {
        DirectoryError::Operator(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_logs_in_as_oneself_and_one_who_is_ended_no_more() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let (number, citizen) = (fund(&directory), opened(&directory, chen()).account.number);
    let first = directory.name_operator(number, &Somebody::Citizen(citizen), true, &ordered("one"), NOW).unwrap();
    let other = directory.name_operator(number, &Somebody::Named("李四".into()), false, &Ordered { by: By::Operator(1), request: "two".into() }, NOW).unwrap();
    assert_eq!((first.number, first.first, first.address.as_deref(), first.stands), (1, true, Some(directory.address(citizen).as_str()), true));
    assert_eq!((other.number, other.name.as_str(), other.address, other.named_by.as_str()), (2, "李*", None, "operator 1"));
    let (own, one, two) = (password(&directory, number, None), password(&directory, number, Some(1)), password(&directory, number, Some(2)));
    let operator = |secret: &str| enter(&directory, secret).unwrap().operator;
    assert_eq!([operator(&own), operator(&one), operator(&two)], [None, Some(1), Some(2)]);
    // By whatever they came, and nobody else.
    let [mut ended, mut stays, mut owner] = [(); 3].map(|()| directory.ended());
    let gone = directory.end_operator(number, 2, &ordered("three"), NOW).unwrap();
    assert_eq!((gone.stands, gone.ended_by.as_deref()), (false, Some("officer A-17")));
    assert!(ended.is_of(number, Credential::App(3), Some(2)) && !stays.is_of(number, Credential::App(2), Some(1)) && !owner.is_of(number, Credential::Password, None));
    assert!(enter(&directory, &two).is_err());
    assert_eq!([operator(&own), operator(&one)], [None, Some(1)]);
    assert_eq!(directory.app_passwords(number).unwrap().iter().map(|kept| kept.operator).collect::<Vec<_>>(), [None, Some(1)]);
    // The citizen's own mailbox is closed: the institution keeps its own, and the operator logs in no more.
    let mut closed = directory.ended();
    directory.close(citizen, NOW).unwrap();
    assert!(closed.is_of(number, Credential::App(2), Some(1)));
    assert!(enter(&directory, &one).is_err() && enter(&directory, &own).is_ok());
    // All of it is remembered, sealed, and in the log without names.
    let shown = directory.operators(number).unwrap();
    assert_eq!(shown.iter().map(|one| (one.number, one.stands, one.ended_at.is_some())).collect::<Vec<_>>(), [(1, false, false), (2, false, true)]);
    for (key, value) in records(&*store) {
        assert!(!value.windows("李四".len()).any(|window| window == "李四".as_bytes()), "{key:?}");
    }
    let told = |operator, citizen: Option<MailboxNumber>, by: &str, request: &str| event::MailboxOperator { mailbox: number.to_string(), operator, citizen: citizen.map(|citizen| citizen.to_string()), by: by.into(), request: request.into() };
    let logged: Vec<Event> = events(&*store).into_iter().filter(|event| matches!(event, Event::OperatorNamed(_) | Event::OperatorEnded(_))).collect();
    assert_eq!(logged, [
        Event::OperatorNamed(told(1, Some(citizen), "officer A-17", "one")),
        Event::OperatorNamed(told(2, None, "operator 1", "two")),
        Event::OperatorEnded(told(2, None, "officer A-17", "three")),
    ]);
}

#[test]
fn who_is_no_operator_and_what_is_said_twice_changes_nothing() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let (number, citizen) = (fund(&directory), opened(&directory, chen()).account.number);
    let named = |somebody: Somebody, first: bool, request: &str| directory.name_operator(number, &somebody, first, &ordered(request), NOW);
    assert_eq!(wrong(named(Somebody::Citizen(number), false, "a")), OperatorError::Nobody);
    assert_eq!(wrong(named(Somebody::Citizen(MailboxNumber::parse("1234567897").unwrap()), false, "a")), OperatorError::Nobody);
    assert_eq!(wrong(named(Somebody::Named("\n".into()), false, "a")), OperatorError::Nobody);
    // Who may name others has to sign.
    assert_eq!(wrong(named(Somebody::Named("李四".into()), true, "a")), OperatorError::FirstSigns);
    assert_eq!(wrong(directory.name_operator(citizen, &Somebody::Named("李四".into()), false, &ordered("a"), NOW)), OperatorError::NoInstitution { mailbox: citizen });
    named(Somebody::Citizen(citizen), false, "a").unwrap();
    assert_eq!(wrong(named(Somebody::Citizen(citizen), false, "b")), OperatorError::Already { mailbox: number, operator: 1 });
    assert_eq!(wrong(named(Somebody::Named("李四".into()), false, "a")), OperatorError::Spent);
    assert_eq!(wrong(directory.end_operator(number, 2, &ordered("b"), NOW)), OperatorError::NotFound { mailbox: number, operator: 2 });
    assert!(matches!(directory.new_app_password(number, Some(2), &AppPasswordName::parse("x").unwrap(), &[Scope::Imap], NOW), Err(DirectoryError::Operator(OperatorError::NotFound { .. }))));
    assert_eq!(directory.operators(number).unwrap().len(), 1);
    for one in 1..MOST {
        named(Somebody::Named("李四".into()), false, &format!("{one}")).unwrap();
    }
    assert_eq!(wrong(named(Somebody::Named("李四".into()), false, "many")), OperatorError::TooMany { mailbox: number });
    // Those of one keep no other from having theirs.
    (0..16).for_each(|_| drop(password(&directory, number, Some(3))));
    assert!(matches!(directory.new_app_password(number, Some(3), &AppPasswordName::parse("x").unwrap(), &[Scope::Imap], NOW), Err(DirectoryError::AppPassword(AppPasswordError::TooMany { .. }))));
    password(&directory, number, Some(4));
    // Nothing is known of who sent what.
    assert_eq!(wrong(directory.operator_who_sent(number, "19ac-1")), OperatorError::NotSent { mailbox: number });
}

/// An operator who is ended while a password is made for them has none afterwards, whichever commits first.
#[test]
fn one_who_is_ended_at_this_moment_gets_no_password() {
    let store = Arc::new(Memory::new());
    let town = directory(&store);
    let number = fund(&town);
    town.name_operator(number, &Somebody::Named("李四".into()), false, &ordered("one"), NOW).unwrap();
    let other = Arc::clone(&store);
    let ends = move || drop(directory(&other).end_operator(number, 1, &ordered("two"), NOW).unwrap());
    let slow = directory(&Arc::new(Between::before_commit(Arc::clone(&store) as Arc<dyn Store>, 0, ends)));
    let made = slow.new_app_password(number, Some(1), &AppPasswordName::parse("x").unwrap(), &[Scope::Imap], NOW);
    assert_eq!(wrong(made.map(|_| ())), OperatorError::NotFound { mailbox: number, operator: 1 });
    assert!(town.app_passwords(number).unwrap().is_empty());
    // And one that is made while they are ended goes with them.
    town.name_operator(number, &Somebody::Named("王五".into()), false, &ordered("three"), NOW).unwrap();
    let other = Arc::clone(&store);
    let makes = move || drop(password(&directory(&other), number, Some(2)));
    let slow = directory(&Arc::new(Between::before_commit(Arc::clone(&store) as Arc<dyn Store>, 0, makes)));
    slow.end_operator(number, 2, &ordered("four"), NOW).unwrap();
    assert!(town.app_passwords(number).unwrap().is_empty());
}

/// The word of an operator holds while they are a first one, stand, and their own mailbox is open: looked at where it is carried out, and
/// still so when that is durable.
#[test]
fn the_word_of_one_who_is_ended_at_this_moment_is_not_carried_out() {
    let ends: fn(&Directory, MailboxNumber, MailboxNumber) = |town, number, _| drop(town.end_operator(number, 1, &ordered("end"), NOW).unwrap());
    let closes: fn(&Directory, MailboxNumber, MailboxNumber) = |town, _, citizen| drop(town.close(citizen, NOW).unwrap());
    let by = |operator, request: &str| Ordered { by: By::Operator(operator), request: request.into() };
    let li = || Somebody::Named("李四".into());
    for change in [ends, closes] {
        // Before the order is read, or between that and its commit.
        for is_late in [false, true] {
            let store = Arc::new(Memory::new());
            let town = directory(&store);
            let (number, citizen) = (fund(&town), opened(&town, chen()).account.number);
            town.name_operator(number, &Somebody::Citizen(citizen), true, &ordered("one"), NOW).unwrap();
            town.name_operator(number, &li(), false, &by(1, "two"), NOW).unwrap();
            if !is_late {
                change(&town, number, citizen);
            }
            for names in [true, false] {
                let other = Arc::clone(&store);
                let first = (is_late && names).then_some(move || change(&directory(&other), number, citizen));
                let slow = match first {
                    Some(first) => directory(&Arc::new(Between::before_commit(Arc::clone(&store) as Arc<dyn Store>, 0, first))),
                    None => directory(&store),
                };
                let done = if names { slow.name_operator(number, &li(), false, &by(1, "three"), NOW) } else { slow.end_operator(number, 2, &by(1, "four"), NOW) };
                assert_eq!(wrong(done), OperatorError::NotEntitled { mailbox: number, operator: 1 });
            }
            assert_eq!(town.operators(number).unwrap().iter().map(|one| one.ended_by.as_deref() == Some("operator 1")).collect::<Vec<_>>(), [false, false]);
            // Nothing was spent: an officer may have the same order carried out.
            town.name_operator(number, &li(), false, &ordered("three"), NOW).unwrap();
        }
    }
    // Who is none of the first, or nobody, orders nothing; one of the first may end oneself.
    let store = Arc::new(Memory::new());
    let town = directory(&store);
    let (number, citizen) = (fund(&town), opened(&town, chen()).account.number);
    town.name_operator(number, &Somebody::Citizen(citizen), true, &ordered("one"), NOW).unwrap();
    town.name_operator(number, &li(), false, &ordered("two"), NOW).unwrap();
    for nobody in [2, 3] {
        assert_eq!(wrong(town.end_operator(number, 1, &by(nobody, "three"), NOW)), OperatorError::NotEntitled { mailbox: number, operator: nobody });
    }
    assert!(!town.end_operator(number, 1, &by(1, "four"), NOW).unwrap().stands);
}

/// Whether a closing is durable may be unclear: who was logged in elsewhere as an operator is logged out all the same.
#[test]
fn a_closing_that_is_unclear_logs_out_everywhere() {
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        let store = Arc::new(Memory::new());
        let town = directory(&store);
        let (number, citizen) = (fund(&town), opened(&town, chen()).account.number);
        town.name_operator(number, &Somebody::Citizen(citizen), true, &ordered("one"), NOW).unwrap();
        let failing = directory(&Arc::new(Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(0, fault)));
        let [mut own, mut theirs, mut owner] = [(); 3].map(|()| failing.ended());
        assert!(matches!(failing.close(citizen, NOW), Err(DirectoryError::Commit(CommitError::Poisoned { .. }))));
        assert!(own.is_of(citizen, Credential::Password, None) && theirs.is_of(number, Credential::Certificate([1; 32]), Some(1)), "{fault:?}");
        assert!(!owner.is_of(number, Credential::Password, None));
    }
}

/// No password for an operator whose own mailbox is closed.
#[test]
fn who_does_not_stand_gets_no_password() {
    let store = Arc::new(Memory::new());
    let town = directory(&store);
    let (number, citizen) = (fund(&town), opened(&town, chen()).account.number);
    town.name_operator(number, &Somebody::Citizen(citizen), true, &ordered("one"), NOW).unwrap();
    let made = |town: &Directory| town.new_app_password(number, Some(1), &AppPasswordName::parse("x").unwrap(), &[Scope::Imap], NOW).map(|_| ());
    let other = Arc::clone(&store);
    let closes = move || drop(directory(&other).close(citizen, NOW).unwrap());
    let slow = directory(&Arc::new(Between::before_commit(Arc::clone(&store) as Arc<dyn Store>, 0, closes)));
    for town in [&slow, &town] {
        assert_eq!(wrong(made(town)), OperatorError::NotFound { mailbox: number, operator: 1 });
    }
    assert!(town.app_passwords(number).unwrap().is_empty());
}
