//! One word sets the password of a mailbox that nobody was in, and withdraws any.
use super::*;
use crate::record::unentered;

fn app_password(directory: &Directory, number: MailboxNumber) -> (u32, String) {
    let (made, told) = directory.new_app_password(number, None, &AppPasswordName::parse("手机").unwrap(), &[Scope::Imap], NOW).unwrap();
    (made.number, told.expose().to_owned())
}

#[test]
fn a_password_is_set_until_the_first_login_and_withdrawn_at_any_time() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let Opened { account, password: lost } = opened(&directory, chen());
    let (number, mailbox) = (account.number, account.mailbox());
    let set = |app_passwords| directory.set_password(number, &NewPassword::Generated, app_passwords, NOW);
    let opens = |secret: &str| login(&directory, &mailbox, secret).is_ok();
    // The letter was lost.
    let (_, app) = app_password(&directory, number);
    let second = set(false).unwrap();
    assert!(!opens(lost.expose().expose_secret()) && opens(second.expose().expose_secret()) && opens(&app));
    let third = set(true).unwrap();
    assert!(opens(third.expose().expose_secret()) && !opens(&app));
    // Somebody is in, which is written once.
    directory.entered(number).unwrap();
    assert!(matches!(set(false), Err(DirectoryError::Entered { mailbox }) if mailbox == number));
    let before = records(&*store);
    directory.entered(number).unwrap();
    assert!(records(&*store) == before && opens(third.expose().expose_secret()));
    // Against a thief: the password alone, or with those of programs, whose numbers are not given again.
    let (numbered, app) = app_password(&directory, number);
    assert_eq!(directory.withdrawn(number).unwrap().0, None);
    directory.withdraw_password(number, false, NOW).unwrap();
    assert_eq!((directory.withdrawn(number).unwrap().0, directory.withdrawn_at(number).unwrap().as_deref()), (Some(unix_millis(NOW)), Some("2026-11-25T08:00:00Z")));
    assert!(!opens(third.expose().expose_secret()) && opens(&app));
    directory.withdraw_password(number, true, NOW).unwrap();
    assert!(!opens(&app) && directory.app_passwords(number).unwrap().is_empty() && matches!(set(false), Err(DirectoryError::Entered { .. })));
    assert_eq!((numbered, app_password(&directory, number).0), (2, 3));
    let said = |wanted: fn(&Event) -> bool| events(&*store).iter().filter(|event| wanted(event)).count();
    assert_eq!([said(|event| matches!(event, Event::PasswordSet(_))), said(|event| matches!(event, Event::PasswordWithdrawn(_))), said(|event| matches!(event, Event::AppPasswordWithdrawn(_)))], [2, 2, 2]);
    directory.close(number, NOW).unwrap();
    assert!(matches!(directory.withdraw_password(number, false, NOW), Err(DirectoryError::Closed { .. })) && directory.withdrawn(number).unwrap().0.is_none());
}

/// Until there is another: that of a mailbox that nobody was in yet is set by one word.
#[test]
fn a_withdrawal_is_noted_until_another_password_is_set() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, chen()).account.number;
    directory.withdraw_password(number, false, NOW).unwrap();
    assert!(directory.withdrawn(number).unwrap().0.is_some());
    directory.set_password(number, &NewPassword::Generated, false, NOW).unwrap();
    assert!(directory.withdrawn(number).unwrap().0.is_none());
}

#[test]
fn a_mailbox_of_before_is_taken_for_one_that_somebody_was_in() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, chen()).account.number;
    store.commit(store::Batch::new().delete(unentered::key(number))).unwrap();
    assert!(matches!(directory.set_password(number, &NewPassword::Generated, false, NOW), Err(DirectoryError::Entered { .. })));
}

#[test]
fn whoever_logs_in_at_the_same_moment_comes_first() {
    let store = Arc::new(Memory::new());
    let other = directory(&store);
    let Opened { account, password } = opened(&other, chen());
    let number = account.number;
    let outrun = Arc::new(Between::before_commit(Arc::clone(&store) as Arc<dyn Store>, 0, move || other.entered(number).unwrap()));
    assert!(matches!(directory(&outrun).set_password(number, &NewPassword::Generated, false, NOW), Err(DirectoryError::Entered { .. })));
    assert!(login(&directory(&store), &account.mailbox(), password.expose().expose_secret()).is_ok());
}

#[test]
fn a_withdrawal_is_whole_at_its_write_boundary() {
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        let store = Arc::new(Memory::new());
        let before = directory(&store);
        let Opened { account, password } = opened(&before, chen());
        let (_, app) = app_password(&before, account.number);
        let faulty = Arc::new(Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(0, fault));
        assert!(matches!(directory(&faulty).withdraw_password(account.number, true, NOW), Err(DirectoryError::Commit(CommitError::Poisoned { .. }))));
        let opens = |secret: &str| login(&directory(&store), &account.mailbox(), secret).is_ok();
        let stands = fault == Fault::Lost;
        assert_eq!((opens(password.expose().expose_secret()), opens(&app)), (stands, stands), "{fault:?}");
        assert_eq!(before.withdrawn(account.number).unwrap().0.is_none(), stands, "{fault:?}");
    }
}
