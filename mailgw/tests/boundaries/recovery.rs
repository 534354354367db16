//! A new password for who lost every way in: two officers, a notice, a cooling-off, and any login ends it.

use mailgw::directory::{AppPasswordName, Applicant, DirectoryError, NewPassword, Ordered, Scope, Somebody, Words};
use mailgw::flow::login::Logins;
use mailgw::flow::approval::ApprovalError;
use mailgw::flow::recovery::{Application, Papers, RecoveryError, apply};
use mailgw::record::operator::By;
use mailgw::service::TypedPassword;
use mailgw::wire::accounts::{Accounts, Visit};
use pki::signer::SignatureAlgorithm;
use protocol::sasl::Secret;
use runtime::clock::Clock;
use ::secrecy::ExposeSecret as _;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::city::{DOMAIN, REVOKED};

/// Somebody with a certificate who signs.
pub struct Officer {
    key: keys::KeyHandle,
    leaf: Vec<u8>,
    issuer: Vec<u8>,
}

impl Officer {
    pub fn new(city: &City, keys: &KeyStore, serial: u8, number: &str, policy: &str) -> Self {
        Self::of(keys, serial, |key| city.officer(key, serial, number, policy))
    }

    pub fn of(keys: &KeyStore, serial: u8, certified: impl FnOnce(&keys::KeyHandle) -> (Vec<u8>, Vec<u8>)) -> Self {
        let key = keys.generate(&format!("officer-{serial}"), SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let (leaf, issuer) = certified(&key);
        Self { key, leaf, issuer }
    }

    pub fn signs(&self, request: &str, at: OffsetDateTime) -> String {
        let plan = pki::cms::SignerPlan::new(&self.leaf, &[&self.issuer]).unwrap();
        city::pem("CMS", &plan.seal(digest(request.as_bytes()), at, &self.key).unwrap())
    }
}

pub const SALT: &str = "00112233445566778899aabbccddeeff";

/// As officers name a document and whose it is.
pub fn signed_document(id_no: &str, name: &str) -> String {
    hex(&digest(format!("{id_no}\n{name}\n{SALT}\n").as_bytes()))
}

/// What two officers sign who saw this document.
fn request_of(mailbox: &str, (id_type, id_no, name): (&str, &str, &str)) -> String {
    let document = signed_document(id_no, name);
    format!(r#"{{"kind":"suiyin mailbox recovery v1","mailbox":"{mailbox}@{DOMAIN}","owner":{{"citizen":{{"id_type":"{id_type}","document":"{document}"}}}},"proof":"card read by chip, face compared","papers":"counter 12, form 91"}}"#)
}

fn papers((id_type, id_no, name): (&str, &str, &str)) -> Papers {
    let typed = |text: &str| TypedPassword::new(text.to_owned());
    Papers::Citizen { id_type: id_type.into(), id_no: typed(id_no), name: typed(name), salt: typed(SALT) }
}

#[test]
fn two_officers_a_notice_a_cooling_off_and_any_login_ends_it() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let [one, two] = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    let account = gateway.directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap();
    let (number, mailbox) = (account.number, account.mailbox());
    let old = gateway.directory.set_password(number, &NewPassword::Generated, false, NOW).unwrap();
    let (_, app) = gateway.directory.new_app_password(number, None, &AppPasswordName::parse("手机").unwrap(), &[Scope::Imap], NOW).unwrap();
    let request = request_of(&mailbox, PEOPLE[0]);
    let at = |offset: Duration| NOW + offset;
    let applied = |request: &str, approvals: Vec<String>, seen: (&str, &str, &str)| apply(&gateway, &city.more_lists(), &Application { request: request.into(), approvals, papers: papers(seen) });
    let both = |request: &str| vec![one.signs(request, NOW), two.signs(request, NOW)];
    // Another's document, another's name, another form.
    for seen in [PEOPLE[1], (PEOPLE[0].0, PEOPLE[0].1, "李志强"), (PEOPLE[0].0, PEOPLE[1].1, PEOPLE[0].2)] {
        let request = request_of(&mailbox, seen);
        assert!(matches!(applied(&request, both(&request), seen), Err(RecoveryError::NotTheOwner)));
        // The officers saw an accomplice's genuine card; the owner's was typed.
        let refused = applied(&request, both(&request), PEOPLE[0]).unwrap_err();
        assert!(matches!(refused, RecoveryError::Request { .. }) && !refused.to_string().contains(PEOPLE[0].1), "{refused}");
    }
    // Of another type, without its owner, of an institution, with a salt that could be tried out.
    let short = request.replace(&signed_document(PEOPLE[0].1, PEOPLE[0].2), &hex(&digest(format!("{}\n{}\n\n", PEOPLE[0].1, PEOPLE[0].2).as_bytes())));
    let institution = request.replace(&format!(r#"{{"citizen":{{"id_type":"01","document":"{}"}}}}"#, signed_document(PEOPLE[0].1, PEOPLE[0].2)), r#"{"institution":{"code":"91440101MAT000018G","name":"陈秀英"}}"#);
    for wrong in [request.replace(r#""id_type":"01""#, r#""id_type":"03""#), request.replace(r#""owner""#, r#""holder""#), institution, short.clone()] {
        assert!(wrong != request && matches!(applied(&wrong, both(&wrong), PEOPLE[0]), Err(RecoveryError::Request { .. })), "{wrong}");
    }
    let typed = |text: &str| TypedPassword::new(text.to_owned());
    let unsalted = Papers::Citizen { id_type: PEOPLE[0].0.into(), id_no: typed(PEOPLE[0].1), name: typed(PEOPLE[0].2), salt: typed("") };
    assert!(matches!(apply(&gateway, &city.more_lists(), &Application { request: short.clone(), approvals: both(&short), papers: unsalted }), Err(RecoveryError::Request { reason }) if reason.contains("salt")));
    assert!(matches!(applied("{}", both("{}"), PEOPLE[0]), Err(RecoveryError::Request { .. })));
    // Signed for another gateway, or for any.
    for elsewhere in [request.replace(DOMAIN, "mail.elsewhere.example"), request.replace(&format!("@{DOMAIN}"), "")] {
        assert!(elsewhere != request && matches!(applied(&elsewhere, both(&elsewhere), PEOPLE[0]), Err(RecoveryError::Request { .. })), "{elsewhere}");
    }
    // One officer, the same twice, the same person with two keys, other words, long ago, one who is none, one who is no more.
    let again = Officer::new(&city, &keys, 82, "A-1", "6.1");
    assert!(matches!(applied(&request, vec![one.signs(&request, NOW)], PEOPLE[0]), Err(RecoveryError::Approval(ApprovalError::Officers))));
    assert!(matches!(applied(&request, vec![one.signs(&request, NOW), one.signs(&request, NOW)], PEOPLE[0]), Err(RecoveryError::Approval(ApprovalError::Officers))));
    assert!(matches!(applied(&request, vec![one.signs(&request, NOW), again.signs(&request, NOW)], PEOPLE[0]), Err(RecoveryError::Approval(ApprovalError::Officers))));
    assert!(matches!(applied(&request, vec![one.signs(&request, NOW), two.signs("other", NOW)], PEOPLE[0]), Err(RecoveryError::Approval(ApprovalError::Signature { number: 2, .. }))));
    assert!(matches!(applied(&request, vec![one.signs(&request, at(Duration::days(-2))), two.signs(&request, NOW)], PEOPLE[0]), Err(RecoveryError::Approval(ApprovalError::Signature { number: 1, .. }))));
    let (clerk, former) = (Officer::new(&city, &keys, 83, "A-3", "6.2"), Officer::new(&city, &keys, REVOKED, "A-4", "6.1"));
    for other in [clerk, former] {
        assert!(matches!(applied(&request, vec![one.signs(&request, NOW), other.signs(&request, NOW)], PEOPLE[0]), Err(RecoveryError::Approval(ApprovalError::Trust(_)))));
    }
    assert!(gateway.messages.view(&mailbox, "INBOX").unwrap().messages.is_empty() && gateway.directory.recovery(number).unwrap().is_none());
    // Two.
    let shown = applied(&request, both(&request), PEOPLE[0]).unwrap();
    assert_eq!((shown.officers.as_slice(), shown.due_unix_millis - shown.since_unix_millis), (["A-1".to_owned(), "A-2".to_owned()].as_slice(), 72 * 3_600_000));
    assert!(matches!(applied(&request, both(&request), PEOPLE[0]), Err(RecoveryError::UnderWay)));
    assert_eq!(gateway.messages.view(&mailbox, "INBOX").unwrap().messages.len(), 1, "the mailbox is told once");
    let complete = || gateway.directory.complete_recovery(number, &NewPassword::Generated, city.clock.now());
    assert!(matches!(complete(), Err(DirectoryError::CoolingOff { .. })));
    // Nobody takes the owner's way in away meanwhile.
    assert!(matches!(gateway.directory.withdraw_password(number, true, NOW), Err(DirectoryError::RecoveryUnderWay { .. })));
    // Whoever logs in ends it; who guesses does not.
    let logins = Logins { directory: Arc::clone(&gateway.directory), clock: Arc::clone(&city.clock) as Arc<dyn Clock>, certificates: None, tokens: None };
    let login = |secret: &str| logins.login(&mailbox, &Secret::new(secret.to_owned()), Visit { scope: Scope::Imap, peer: [192, 0, 2, 7].into() }).is_ok();
    assert!(!login("a wrong password") && gateway.directory.recovery(number).unwrap().is_some());
    assert!(login(old.expose().expose_secret()) && gateway.directory.recovery(number).unwrap().is_none());
    city.clock.set(at(Duration::hours(73)));
    assert!(matches!(complete(), Err(DirectoryError::NoRecovery { .. })));
    // Undisturbed it ends with a new password, and nothing else opens the mailbox any more. What was ended is not begun again with the
    // same signatures.
    city.clock.set(NOW);
    assert!(matches!(applied(&request, both(&request), PEOPLE[0]), Err(RecoveryError::Spent)));
    let request = request.replace("form 91", "form 92");
    applied(&request, both(&request), PEOPLE[0]).unwrap();
    city.clock.set(at(Duration::hours(72)));
    let new = complete().unwrap();
    assert!(login(new.expose().expose_secret()) && !login(old.expose().expose_secret()) && !login(app.expose()));
    assert!(matches!(complete(), Err(DirectoryError::NoRecovery { .. })));
    let ends: Vec<String> = events(&*city.store).into_iter().filter_map(|event| if let Event::RecoveryEnded(ended) = event { Some(ended.why) } else { None }).collect();
    assert_eq!(ends, ["login", "completed"]);
    assert_eq!(events(&*city.store).iter().filter(|event| matches!(event, Event::RecoveryBegun(_))).count(), 2);
}

#[test]
fn an_institution_gets_a_new_password_by_its_code_and_its_name() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let directory = &gateway.directory;
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let [one, two] = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    let (code, name) = ("91440101MAT000018G", "广州示范有限公司");
    let open = |code: &str, name: &str| {
        let words = Words { code: Some(code.into()), name: Some(name.into()), ..Words::default() };
        directory.open(Applicant::parse(&words, directory.policy(), today(NOW)).unwrap(), NewPassword::Generated, NOW).unwrap()
    };
    let firm = open(code, name);
    let other = open("91440101MAT000026B", "广州示范二有限公司").account.number;
    let (number, mailbox) = (firm.account.number, firm.account.mailbox());
    let person = directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap().number;
    directory.name_operator(number, &Somebody::Named("李四".into()), false, &Ordered { by: By::Officer("A-1".into()), request: "one".into() }, NOW).unwrap();
    let app = |operator| directory.new_app_password(number, operator, &AppPasswordName::parse("电脑").unwrap(), &[Scope::Imap], NOW).unwrap().1;
    let apps = [app(None), app(Some(1))];
    let asked_of = |mailbox: &str, code: &str, name: &str, form: &str| format!(r#"{{"kind":"suiyin mailbox recovery v1","mailbox":"{mailbox}@{DOMAIN}","owner":{{"institution":{{"code":"{code}","name":"{name}"}}}},"proof":"licence and legal representative seen","papers":"counter 12, form {form}"}}"#);
    let asked = |mailbox: &str, form: &str| asked_of(mailbox, code, name, form);
    let applied = |request: &str, papers: Papers| apply(&gateway, &city.more_lists(), &Application { request: request.into(), approvals: vec![one.signs(request, NOW), two.signs(request, NOW)], papers });
    let institution = |code: &str, name: &str| Papers::Institution { code: code.into(), name: name.into() };
    let request = asked(&mailbox, "91");
    // Another's code, another name, a person's document; an institution's code for a person's mailbox.
    for (mailbox, shown, called) in [(&mailbox, "91440101MAT000026B", name), (&mailbox, code, "广州示范二有限公司"), (&mailbox, "", ""), (&other.to_string(), code, name), (&person.to_string(), code, name)] {
        let request = asked_of(mailbox, shown, called, "91");
        assert!(matches!(applied(&request, institution(shown, called)), Err(RecoveryError::NotTheOwner)), "{request}");
    }
    let citizens = request_of(&mailbox, PEOPLE[0]);
    assert!(matches!(applied(&citizens, papers(PEOPLE[0])), Err(RecoveryError::NotTheOwner)));
    // Typed otherwise than the officers saw.
    for (request, papers) in [
        (&request, institution("91440101MAT000026B", name)), (&request, institution(code, "广州示范二有限公司")), (&request, papers(PEOPLE[0])),
        (&asked_of(&mailbox, "91440101MAT000026B", name, "91"), institution(code, name)), (&citizens, institution(code, name)),
    ] {
        assert!(matches!(applied(request, papers), Err(RecoveryError::Request { .. })), "{request}");
    }
    // Two officers; the mailbox is told, and an operator's login ends it like the owner's.
    let shown = applied(&request, institution(code, name)).unwrap();
    assert_eq!(shown.due_unix_millis - shown.since_unix_millis, 72 * 3_600_000);
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    let notice = mail_parser::MessageParser::new().parse(&gateway.messages.load(&view.folder, view.messages.last().unwrap().uid).unwrap()).unwrap().body_text(0).unwrap().into_owned();
    assert!(notice.contains("with a password, a program's own included, or a certificate, which cancels it") && !notice.contains("停用"), "{notice}");
    assert!(notice.contains("有人凭单位证照在服务窗口申请") && !notice.contains(code), "{notice}");
    let complete = || directory.complete_recovery(number, &NewPassword::Generated, city.clock.now());
    assert!(matches!(complete(), Err(DirectoryError::CoolingOff { .. })));
    let logins = Logins { directory: Arc::clone(directory), clock: Arc::clone(&city.clock) as Arc<dyn Clock>, certificates: None, tokens: None };
    let login = |secret: &str| logins.login(&mailbox, &Secret::new(secret.to_owned()), Visit { scope: Scope::Imap, peer: [192, 0, 2, 7].into() }).is_ok();
    assert!(login(apps[1].expose()) && directory.recovery(number).unwrap().is_none());
    // Undisturbed: a new password, and no former one, an operator's neither, who is an operator still.
    let request = asked(&mailbox, "92");
    applied(&request, institution(code, name)).unwrap();
    city.clock.set(NOW + Duration::hours(72));
    let new = complete().unwrap();
    let olds = [firm.password.expose().expose_secret(), apps[0].expose(), apps[1].expose()];
    assert!(login(new.expose().expose_secret()) && !olds.iter().any(|old| login(old)) && directory.operator_stands(number, 1).unwrap());
    assert!(mailgw::flow::owner_notices::tell_all(&gateway).unwrap() > 0);
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    let last = gateway.messages.load(&view.folder, view.messages.last().unwrap().uid).unwrap();
    assert_eq!(mail_parser::MessageParser::new().parse(&last).unwrap().subject(), Some("您的邮箱密码已按申请重设 / The recovery of your mailbox is complete"));
}

/// Whose password was withdrawn cannot object with it: the officers know and sign for that, and it takes longer; whatever other way in there
/// is ends it all the same.
#[test]
fn a_recovery_after_a_withdrawal_says_so_and_takes_longer() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let directory = &gateway.directory;
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let officers = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    let number = directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap().number;
    let (_, app) = directory.new_app_password(number, None, &AppPasswordName::parse("手机").unwrap(), &[Scope::Imap], NOW).unwrap();
    let plain = request_of(&number.to_string(), PEOPLE[0]);
    let [withdrawn, expressly] = ["true", "false"].map(|word| plain.replace(r#""proof""#, &format!(r#""withdrawn":{word},"proof""#)));
    let signed_at = |request: &str, at: OffsetDateTime| {
        apply(&gateway, &city.more_lists(), &Application { request: request.into(), approvals: officers.iter().map(|officer| officer.signs(request, at)).collect(), papers: papers(PEOPLE[0]) })
    };
    let applied = |request: &str| signed_at(request, NOW);
    assert!(matches!(applied(&withdrawn), Err(RecoveryError::NotWithdrawn)));
    directory.withdraw_password(number, false, NOW).unwrap();
    assert!(matches!(applied(&plain), Err(RecoveryError::Withdrawn)) && matches!(applied(&expressly), Err(RecoveryError::Withdrawn)));
    assert!(runtime::exit::Problem::from(RecoveryError::Withdrawn).next.starts_with("have two officers sign a request that says \"withdrawn\""));
    // Nobody signs for it ahead.
    assert!(matches!(signed_at(&withdrawn, NOW - Duration::hours(1)), Err(RecoveryError::Approval(ApprovalError::Signature { number: 1, .. }))));
    assert!(directory.recovery(number).unwrap().is_none());
    let shown = applied(&withdrawn).unwrap();
    assert_eq!(shown.due_unix_millis - shown.since_unix_millis, 336 * 3_600_000);
    let view = gateway.messages.view(&number.to_string(), "INBOX").unwrap();
    let notice = mail_parser::MessageParser::new().parse(&gateway.messages.load(&view.folder, view.messages.last().unwrap().uid).unwrap()).unwrap().body_text(0).unwrap().into_owned();
    assert!(notice.contains("本邮箱的密码已由服务窗口停用，不能再用来登录。如无人以程序专用密码或证书登录本邮箱") && notice.contains("凭统一身份认证令牌登录不能取消"), "{notice}");
    assert!(notice.contains("log in once before then with a program's own password or a certificate, which cancels it; a login by a token of the identity provider does not. Who cannot log in so tells the counter at once"), "{notice}");
    assert!(notice.contains("a new password is set after"), "{notice}");
    let Some(begun) = events(&*city.store).into_iter().find_map(|event| if let Event::RecoveryBegun(begun) = event { Some(begun) } else { None }) else { panic!("the log does not know of it") };
    assert!(begun.withdrawn);
    let complete = || directory.complete_recovery(number, &NewPassword::Generated, city.clock.now());
    city.clock.set(NOW + Duration::hours(335));
    assert!(matches!(complete(), Err(DirectoryError::CoolingOff { .. })));
    // A program's password ends it.
    let logins = Logins { directory: Arc::clone(directory), clock: Arc::clone(&city.clock) as Arc<dyn Clock>, certificates: None, tokens: None };
    assert!(logins.login(&number.to_string(), &Secret::new(app.expose().to_owned()), Visit { scope: Scope::Imap, peer: [192, 0, 2, 7].into() }).is_ok());
    assert!(directory.recovery(number).unwrap().is_none());
    // Completed there is a password again, and what is said of the next is that.
    city.clock.set(NOW);
    applied(&withdrawn.replace("form 91", "form 92")).unwrap();
    city.clock.set(NOW + Duration::hours(336));
    complete().unwrap();
    city.clock.set(NOW);
    assert!(directory.withdrawn(number).unwrap().0.is_none());
    assert!(matches!(applied(&withdrawn.replace("form 91", "form 93")), Err(RecoveryError::NotWithdrawn)));
    applied(&plain).unwrap();
}

/// Its password is withdrawn while a recovery is about to begin: one of both is told to look again.
#[test]
fn a_withdrawal_and_a_recovery_at_one_moment() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let officers = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    let number = gateway.directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap().number;
    let request = request_of(&number.to_string(), PEOPLE[0]);
    let other = city.gateway(Arc::clone(&city.store));
    let racing = store::Between::before_commit(Arc::clone(&city.store), 0, move || drop(other.directory.withdraw_password(number, true, NOW).unwrap()));
    let papers = papers(PEOPLE[0]);
    let approvals = officers.iter().map(|officer| officer.signs(&request, NOW)).collect();
    let raced = apply(&city.gateway(Arc::new(racing)), &city.more_lists(), &Application { request, approvals, papers });
    assert!(matches!(raced, Err(RecoveryError::Directory(DirectoryError::Busy))), "{raced:?}");
    assert!(gateway.directory.recovery(number).unwrap().is_none() && gateway.directory.withdrawn(number).unwrap().0.is_some());
}

/// The document that was shown is withdrawn while a recovery by it is about to begin: it rests on nothing, and does not begin.
#[test]
fn a_document_that_goes_and_a_recovery_by_it_at_one_moment() {
    use mailgw::directory::{Binding, HolderProof};
    use mailgw::flow::approval::Approved;
    use policies::identity::PersonName;
    use policies::mailbox::Proofs;

    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let officers = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    let document = |kind: &str, number: &str| Document::parse(kind, number, today(NOW)).unwrap();
    let (card, passport, name) = (document(PEOPLE[0].0, PEOPLE[0].1), document("03", "E12345678"), || PersonName::parse(PEOPLE[0].2).unwrap());
    let number = gateway.directory.find_person(&card).unwrap().unwrap().number;
    let proof = HolderProof { proofs: Proofs::default(), document_grade: "proved".into(), person_grade: "proved".into(), evidence: Vec::new(), papers: "ab".into() };
    gateway.directory.add_document(number, &passport, &name(), &Binding::Held(card), &proof, NOW - Duration::days(40)).unwrap();
    let shown = ("03", "E12345678", PEOPLE[0].2);
    let request = request_of(&number.to_string(), shown);
    let approved = Approved { request: "withdrawal".into(), officers: vec!["A-1".into(), "A-2".into()] };
    let (other, gone, owner) = (city.gateway(Arc::clone(&city.store)), passport.clone(), name());
    let racing = store::Between::before_commit(Arc::clone(&city.store), 0, move || drop(other.directory.withdraw_document(number, &gone, &owner, Some(&approved), "ab", NOW).unwrap()));
    let approvals = officers.iter().map(|officer| officer.signs(&request, NOW)).collect();
    let raced = apply(&city.gateway(Arc::new(racing)), &city.more_lists(), &Application { request, approvals, papers: papers(shown) });
    assert!(matches!(raced, Err(RecoveryError::Directory(DirectoryError::Busy))), "{raced:?}");
    assert!(gateway.directory.recovery(number).unwrap().is_none() && gateway.directory.find_person(&passport).unwrap().is_none());
}

/// A document that the counter took in lately leads two honest officers nowhere; it is told from when on it counts, and not its number.
#[test]
fn a_document_of_yesterday_recovers_nothing() {
    use mailgw::directory::{Binding, HolderProof};
    use policies::identity::PersonName;
    use policies::mailbox::Proofs;

    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let directory = &gateway.directory;
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let officers = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    let card = Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap();
    let number = directory.find_person(&card).unwrap().unwrap().number;
    let proof = HolderProof { proofs: Proofs::default(), document_grade: "proved".into(), person_grade: "proved".into(), evidence: Vec::new(), papers: "ab".into() };
    let added = |days| directory.add_document(number, &Document::parse("03", "E12345678", today(NOW)).unwrap(), &PersonName::parse(PEOPLE[0].2).unwrap(), &Binding::Held(card.clone()), &proof, NOW - Duration::days(days));
    added(29).unwrap();
    let applied = |id_no: &str, name: &str| {
        let request = request_of(&number.to_string(), ("03", id_no, name));
        let approvals = officers.iter().map(|officer| officer.signs(&request, NOW)).collect();
        apply(&gateway, &city.more_lists(), &Application { request, approvals, papers: papers(("03", id_no, name)) })
    };
    let young = applied("E12345678", PEOPLE[0].2).unwrap_err();
    let said = young.to_string();
    assert!(matches!(young, RecoveryError::Directory(DirectoryError::DocumentYoung { .. })) && said.contains("T08:00:00Z") && !said.contains("12345678"), "{said}");
    assert_eq!(runtime::exit::Problem::from(young).code, "document-young");
    // To whom the name is not known nothing is told of it.
    assert!(matches!(applied("E12345678", "李志强"), Err(RecoveryError::NotTheOwner)) && matches!(applied("E12345679", PEOPLE[0].2), Err(RecoveryError::NotTheOwner)));
    assert!(directory.recovery(number).unwrap().is_none());
    // A day later it is as good as any.
    city.clock.set(NOW + Duration::hours(24));
    applied("E12345678", PEOPLE[0].2).unwrap();
}

/// A mailbox that is closed while a recovery is under way: there is none any more.
#[test]
fn a_recovery_ends_with_its_mailbox() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let officers = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    for (person, raced) in [(PEOPLE[0], false), (PEOPLE[1], true)] {
        let number = gateway.directory.find_person(&Document::parse(person.0, person.1, today(NOW)).unwrap()).unwrap().unwrap().number;
        let request = request_of(&number.to_string(), person);
        let approvals = officers.iter().map(|officer| officer.signs(&request, NOW)).collect();
        let application = Application { request, approvals, papers: papers(person) };
        let (other, lists) = (city.gateway(Arc::clone(&city.store)), city.more_lists());
        let begin = move || drop(apply(&other, &lists, &application).unwrap());
        // Begun before it, or at that very moment.
        if raced {
            city.gateway(Arc::new(store::Between::before_commit(Arc::clone(&city.store), 0, begin))).directory.close(number, NOW).unwrap();
        } else {
            begin();
            gateway.directory.close(number, NOW).unwrap();
        }
        assert!(gateway.directory.recovery(number).unwrap().is_none());
        let ends = events(&*city.store).into_iter().filter(|event| matches!(event, Event::RecoveryEnded(ended) if ended.mailbox == number.to_string() && ended.why == "closed"));
        assert_eq!(ends.count(), 1);
    }
}
