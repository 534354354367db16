//! Every write boundary of opening, closing, a password and a document: the store fails there, both ways, or
//! somebody else comes first.
use super::*;

/// Of whom `chen` opens a mailbox.
fn name() -> PersonName {
    PersonName::parse("陈秀英").unwrap()
}

/// The one she opened it with.
fn held() -> Binding {
    Binding::Held(document("01", "440106189602290015"))
}

type Step = fn(&Directory, MailboxNumber) -> Result<(), DirectoryError>;
type Check = fn(&Account, &Directory) -> bool;

#[test]
fn nothing_is_half_done_at_any_write_boundary() {
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        let done = fault == Fault::DoneReportedLost;
        let store = Arc::new(Memory::new());
        // As at every start.
        directory(&store).index_readings().unwrap();
        let faulty = Arc::new(Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(0, fault));
        let failed = directory(&faulty).open(institution("91440101MAT000018G", "甲有限公司", "demo"), NewPassword::Generated, NOW);
        assert!(matches!(failed, Err(DirectoryError::Commit(CommitError::Poisoned { .. }))));
        let tables = ["account", "open-mailbox", "institution", "alias", "alias as read"];
        let expected = usize::from(done);
        assert_eq!(tables.map(|table| count(&*store, table)), [expected; 5], "{fault:?}");
        assert_eq!((count(&*store, "folder"), events(&*store).len()), (expected * 6, expected));
        // The operator asks again: it exists, or is opened now; never twice.
        let again = directory(&store).open(institution("91440101MAT000018G", "甲有限公司", "demo"), NewPassword::Generated, NOW);
        assert_eq!(matches!(again, Err(DirectoryError::Exists { .. })), done);
        assert_eq!((tables.map(|table| count(&*store, table)), events(&*store).len()), ([1; 5], 1));
    }
    let steps: [(Step, Check); 4] = [
        (|directory, number| directory.close(number, NOW).map(drop), |account, _| !account.is_open()),
        (
            |directory, number| directory.set_password(number, &chosen("another password"), false, NOW).map(drop),
            |account, directory| login(directory, &account.mailbox(), "another password").is_ok(),
        ),
        (
            |directory, number| directory.add_document(number, &document("03", "E12345678"), &name(), &held(), &rename::proof(), NOW).map(drop),
            |account, directory| directory.find_person(&document("03", "E12345678")).unwrap().as_ref() == Some(account),
        ),
        (
            |directory, number| directory.rename(number, &citizen("01", "440106189602290015", "陈新"), &rename::proof(), NOW).map(drop),
            |account, directory| account.person() == Some(&PersonName::parse("陈新").unwrap()) && directory.former_names(account.number).unwrap().len() == 1,
        ),
    ];
    for (step, is_done) in steps {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let store = Arc::new(Memory::new());
            let number = opened(&directory(&store), chen()).account.number;
            let faulty = Arc::new(Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(0, fault));
            let failed = step(&directory(&faulty), number);
            assert!(matches!(failed, Err(DirectoryError::Commit(CommitError::Poisoned { .. }))));
            let directory = directory(&store);
            let account = directory.get(number).unwrap().unwrap();
            let done = fault == Fault::DoneReportedLost;
            assert_eq!((is_done(&account, &directory), events(&*store).len()), (done, 1 + usize::from(done)), "{fault:?}");
            assert_eq!(count(&*store, "open-mailbox") == 1, account.is_open());
        }
    }
}

#[test]
fn changes_that_race_are_all_made() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, chen()).account.number;
    std::thread::scope(|scope| {
        for n in 1..=8 {
            let directory = &directory;
            scope.spawn(move || directory.add_document(number, &document("07", &format!("0000000{n}")), &name(), &held(), &rename::proof(), NOW).unwrap());
            scope.spawn(move || directory.set_password(number, &NewPassword::Generated, false, NOW).unwrap());
        }
    });
    assert_eq!(directory.shown(&directory.get(number).unwrap().unwrap()).documents.len(), 9);
    assert_eq!(events(&*store).len(), 17);
}

#[test]
fn a_change_decided_on_what_was_is_decided_anew() {
    let outrun_by = |first: fn(&Directory, MailboxNumber)| {
        let store = Arc::new(Memory::new());
        let other = directory(&store);
        let number = opened(&other, chen()).account.number;
        let outrun = Arc::new(Between::before_commit(Arc::clone(&store) as Arc<dyn Store>, 0, move || first(&other, number)));
        (directory(&outrun), number, store)
    };
    let closes: fn(&Directory, MailboxNumber) = |other, number| drop(other.close(number, NOW).unwrap());
    let (directory, number, store) = outrun_by(closes);
    assert!(matches!(directory.set_password(number, &NewPassword::Generated, false, NOW), Err(DirectoryError::Closed { .. })));
    assert_eq!((directory.get(number).unwrap().unwrap().state(), events(&*store).len()), (State::Closed, 2));
    let (directory, number, _) = outrun_by(closes);
    assert!(matches!(directory.add_document(number, &document("03", "E12345678"), &name(), &held(), &rename::proof(), NOW), Err(DirectoryError::Closed { .. })));
    assert!(directory.find_person(&document("03", "E12345678")).unwrap().is_none());
    // A document that another mailbox takes meanwhile is that one's.
    let (directory, number, _) = outrun_by(|other, _| drop(opened(other, citizen("03", "E12345678", "黄雅婷"))));
    assert!(matches!(directory.add_document(number, &document("03", "E12345678"), &name(), &held(), &rename::proof(), NOW), Err(DirectoryError::DocumentTaken { mailbox }) if mailbox != number));
    // And a password set meanwhile does not undo a closing.
    let (directory, number, _) = outrun_by(|other, number| drop(other.set_password(number, &chosen("another password"), false, NOW).unwrap()));
    assert!(!directory.close(number, NOW).unwrap().is_open());
    assert!(login(&directory, &number.to_string(), "another password").is_err());
}
