//! What was done at the counter to who can open a mailbox is told in it: once, whatever happens between the act and the mail, and however
//! full the mailbox is.

use mailgw::directory::{AppPasswordName, Applicant, NewPassword, Ordered, Scope, Somebody, Words};
use mailgw::flow::owner_notices::tell_all;
use mailgw::mailbox::Delivery;
use mailgw::record::operator::By;
use mailgw::record::owner_notice::{Act, OwnerNotice};
use policies::mailbox::MailboxNumber;
use protocol::imap::exchange::Flags;
use ::secrecy::ExposeSecret as _;

use super::*;

fn owner(gateway: &Gateway) -> MailboxNumber {
    let (id_type, id_no, _) = PEOPLE[0];
    gateway.directory.find_person(&Document::parse(id_type, id_no, today(NOW)).unwrap()).unwrap().unwrap().number
}

/// Everything in the inbox, as another reader reads it: subject and text.
fn read(gateway: &Gateway, mailbox: MailboxNumber) -> Vec<(String, String)> {
    let view = gateway.messages.view(&mailbox.to_string(), "INBOX").unwrap();
    let one = |uid| {
        let bytes = gateway.messages.load(&view.folder, uid).unwrap();
        let message = mail_parser::MessageParser::new().parse(&bytes).unwrap();
        (message.subject().unwrap().to_owned(), message.body_text(0).unwrap().into_owned())
    };
    view.messages.iter().map(|message| one(message.uid)).collect()
}

fn app_password(gateway: &Gateway, number: MailboxNumber, operator: Option<u32>) -> String {
    gateway.directory.new_app_password(number, operator, &AppPasswordName::parse("手机").unwrap(), &[Scope::Imap, Scope::Smtp], NOW).unwrap().1.expose().to_owned()
}

#[test]
fn every_act_is_told_once_in_both_languages_and_nothing_secret_with_it() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let directory = &gateway.directory;
    let number = owner(&gateway);
    let firm = Applicant::parse(&Words { code: Some("91440101MAT000018G".into()), name: Some("广州示范有限公司".into()), ..Words::default() }, directory.policy(), today(NOW)).unwrap();
    let firm = directory.open(firm, NewPassword::Generated, NOW).unwrap().account.number;
    let set = directory.set_password(number, &NewPassword::Generated, true, NOW).unwrap();
    let app = app_password(&gateway, number, None);
    directory.withdraw_app_password(number, 1, NOW).unwrap();
    directory.withdraw_password(number, false, NOW).unwrap();
    directory.name_operator(firm, &Somebody::Named("李四".into()), false, &Ordered { by: By::Officer("A-1".into()), request: "one".into() }, NOW).unwrap();
    let operators = app_password(&gateway, firm, Some(1));
    app_password(&gateway, firm, None);
    app_password(&gateway, firm, Some(1));
    directory.end_operator(firm, 1, &Ordered { by: By::Counter, request: "two".into() }, NOW).unwrap();
    // A crash: nothing was told yet, and everything is.
    drop(gateway);
    let gateway = city.gateway(Arc::clone(&city.store));
    assert_eq!((tell_all(&gateway).unwrap(), tell_all(&gateway).unwrap()), (9, 0));
    let all = read(&gateway, number);
    let subjects: Vec<&str> = all.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(subjects, [
        "您的邮箱密码已重设 / Your mailbox has a new password", "您的邮箱新设了一个程序专用密码 / Your mailbox has a new app password",
        "您的邮箱撤销了一个程序专用密码 / An app password of your mailbox was withdrawn", "您的邮箱密码已停用 / The password of your mailbox was withdrawn",
    ]);
    let told = read(&gateway, firm);
    assert!(told[0].1.contains("第 1 号操作员") && told[1].1.contains("（可用于 imap, smtp），供第 1 号操作员使用"), "{told:?}");
    // Which of them went with the operator.
    let (subject, ended) = told.last().unwrap();
    assert_eq!(subject, "您的邮箱停用了一名操作员 / An operator of your mailbox was ended");
    assert!(ended.contains("第 1 号操作员已停用，不能再登录本邮箱，其第 1、3 号程序专用密码一并撤销") && ended.contains("withdrawn with it: 1, 3"), "{ended}");
    for (_, text) in all.iter().chain(&told) {
        assert!(text.starts_with("您好：") && text.find("Dear owner,").unwrap() > text.find("请立即联系服务窗口").unwrap(), "{text}");
        for secret in [set.expose().expose_secret(), app.as_str(), operators.as_str(), PEOPLE[0].1, PEOPLE[0].2, "李四", "91440101MAT000018G"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_full_mailbox_is_told_and_a_closed_one_owes_nothing() {
    let city = City::found();
    let limits = city.path("policies/mailbox/limits.toml");
    let text = std::fs::read_to_string(&limits).unwrap();
    std::fs::write(&limits, text.replace("citizen = 1_073_741_824", "citizen = 1_000_000").replace("max_bytes = 26_214_400", "max_bytes = 65_536")).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    let number = owner(&gateway);
    let mailbox = number.to_string();
    // Full, the reserve for notices too.
    let one = || Delivery { mailbox: mailbox.clone(), folder: "INBOX".into(), content: vec![b'x'; 900_000].into(), unix_millis: 0, flags: Flags::new(), event: None, mark: None };
    while gateway.messages.has_room_for_notices(&mailbox).unwrap() {
        gateway.messages.deliver_notices(&[one()], store::Batch::new(), 0).unwrap();
    }
    let before = gateway.messages.view(&mailbox, "INBOX").unwrap().messages.len();
    app_password(&gateway, number, None);
    assert_eq!(tell_all(&gateway).unwrap(), 1);
    assert_eq!(gateway.messages.view(&mailbox, "INBOX").unwrap().messages.len(), before + 1);
    app_password(&gateway, number, None);
    gateway.directory.close(number, NOW).unwrap();
    let before = gateway.messages.view(&mailbox, "INBOX").unwrap().messages.len();
    assert_eq!((tell_all(&gateway).unwrap(), all(&*city.store, "owner notice").len()), (1, 0), "it is forgotten");
    assert_eq!(gateway.messages.view(&mailbox, "INBOX").unwrap().messages.len(), before);
}

/// One that this program cannot read, whoever wrote it.
#[test]
fn a_notice_that_cannot_be_told_holds_up_no_other() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let number = owner(&gateway);
    let mut batch = store::Batch::new();
    OwnerNotice::owe(&mut batch, number, Act::HolderRenamed, 1).unwrap();
    OwnerNotice::owe(&mut batch, number, Act::CertificateRenewed, 1).unwrap();
    city.store.commit(batch).unwrap();
    let (key, _) = all(&*city.store, "owner notice").into_iter().next().unwrap();
    let whole = city.store.get(&key).unwrap().unwrap();
    city.store.commit(store::Batch::new().put(key.clone(), b"nonsense".as_slice())).unwrap();
    assert!(tell_all(&gateway).is_err());
    city.store.commit(store::Batch::new().put(key, whole)).unwrap();
    assert_eq!(tell_all(&gateway).unwrap(), 1);
    let subjects: Vec<String> = read(&gateway, number).into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(subjects, ["您的邮箱登记了续期的证书 / A renewed certificate of your mailbox was taken in", "您的邮箱所有人名称已变更 / The holder of your mailbox was renamed"]);
}

#[test]
fn the_mail_and_its_end_are_one_commit() {
    for fault in FAULTS {
        let city = City::found();
        let number = owner(&city.gateway(Arc::clone(&city.store)));
        let mut batch = store::Batch::new();
        OwnerNotice::owe(&mut batch, number, Act::CertificateAsked, 1).unwrap();
        OwnerNotice::owe(&mut batch, number, Act::DocumentAdded, 1).unwrap();
        OwnerNotice::owe(&mut batch, number, Act::AliasAdded { place: 1 }, 1).unwrap();
        OwnerNotice::owe(&mut batch, number, Act::RecoveryCompleted, 1).unwrap();
        city.store.commit(batch).unwrap();
        // What a start writes, the first mail, and then the second is struck.
        let started = faulty(&city.store, None);
        drop(city.gateway(Arc::clone(&started) as Arc<dyn Store>));
        let struck = faulty(&city.store, Some((started.commits() + 1, fault)));
        let broken = city.gateway(Arc::clone(&struck) as Arc<dyn Store>);
        assert!(tell_all(&broken).is_err(), "{fault:?}");
        let gateway = city.gateway(Arc::clone(&city.store));
        tell_all(&gateway).unwrap();
        let subjects: Vec<String> = read(&gateway, number).into_iter().map(|(subject, _)| subject).collect();
        assert_eq!(subjects, ["有人为您的邮箱申请了证书 / A certificate of your mailbox was asked for", "您的邮箱登记了一份新的证件 / A further document of yours was taken in", "您的邮箱新增了一个别名地址 / Your mailbox has a further address", "您的邮箱密码已按申请重设 / The recovery of your mailbox is complete"]);
    }
}
