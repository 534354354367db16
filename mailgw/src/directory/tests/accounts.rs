//! Opening, finding, closing and showing.
use super::*;

#[test]
fn everyone_is_opened_alike_and_found_by_the_document() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let mut numbers = BTreeSet::new();
    for (kind, number, name) in PEOPLE {
        let Opened { account, password } = opened(&directory, citizen(kind, number, name));
        assert!(numbers.insert(account.number));
        assert_eq!(MailboxNumber::parse(&account.mailbox()), Ok(account.number), "its check digit");
        let found = directory.find_person(&document(kind, number)).unwrap().unwrap();
        assert!(found == account && found.is_open());
        assert_eq!(found.person(), Some(&PersonName::parse(name).unwrap()));
        assert!(login(&directory, &account.mailbox(), password.expose().expose_secret()).is_ok());
        let folders = crate::mailbox::MessageStore::new(Arc::clone(&store) as Arc<dyn Store>, data_key());
        assert!(folders.folder(&account.mailbox(), "INBOX").is_ok());
    }
    // However the same document is written.
    assert!(directory.find_person(&document("01", "440102190108080031")).unwrap().is_some());
    assert!(directory.find_person(&document("01", "440113188506150660")).unwrap().is_none());
    assert_eq!(events(&*store).len(), PEOPLE.len());
}

#[test]
fn nothing_personal_is_written_anywhere() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let mut told = String::new();
    let policy = MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap();
    for (kind, number, name) in PEOPLE {
        let applicant = citizen(kind, number, name);
        let done = directory.open(applicant.clone(), chosen("neither 4401 nor a name"), NOW).unwrap();
        let again = directory.open(applicant.clone(), NewPassword::Generated, NOW).unwrap_err();
        told += &format!("{applicant:?} {done:?} {:?} {again:?} {again}", done.password);
        told += &format!("{:?}", runtime::exit::Problem::from(again));
        let longer = format!("{number}1");
        let words = Words { id_type: Some(kind.into()), id_no: Some(longer), name: Some(format!("{name}\n{name}")), ..Words::default() };
        let refused = Applicant::parse(&words, &policy, today(NOW)).map_or_else(|error| format!("{error} {error:?}"), |applicant| format!("{applicant:?}"));
        told += &format!("{words:?} {refused}");
        told += &serde_json::to_string(&directory.shown(&done.account)).unwrap();
        told += &format!("{:?}", login(&directory, number, name).unwrap_err());
        directory.set_password(done.account.number, &NewPassword::Generated, false, NOW).unwrap();
        directory.close(done.account.number, NOW).unwrap();
    }
    let all = records(&*store);
    assert!(all.len() > PEOPLE.len() * 8);
    let written = all.iter().flat_map(|(key, value)| [key.as_bytes(), value]).chain([told.as_bytes()]);
    for text in written {
        let holds = |part: &str| text.windows(part.len()).any(|window| window == part.as_bytes());
        for (kind, number, name) in PEOPLE {
            let canonical = document(kind, number).canonical();
            assert!(!holds(number) && !holds(&canonical) && !holds(&canonical[3..]) && !holds(name), "{}", String::from_utf8_lossy(text));
        }
        assert!(!holds("neither 4401"));
    }
}

#[test]
fn an_institution_has_its_code_and_its_name() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let account = opened(&directory, institution("91440101MAT000018G", "广州示范有限公司", "Demo")).account;
    assert_eq!(directory.find_institution(&CreditCode::parse("91440101mat000018g").unwrap()).unwrap(), Some(account.clone()));
    for text in ["demo", "DEMO", "demo@mail.gz.example", "Demo@MAIL.gz.EXAMPLE", &account.mailbox(), &format!("{}@{DOMAIN}", account.mailbox())] {
        assert_eq!(directory.find(text).unwrap(), Some(account.clone()), "{text}");
    }
    for text in ["demo2", "demo@gz.example", "demo@", "@mail.gz.example", "", "1234567897", "1234567890", "demo@mail.gz.example.", "示范"] {
        assert_eq!(directory.find(text).unwrap(), None, "{text}");
    }
    assert_eq!(directory.find_address("demo").unwrap(), None);
    let person = opened(&directory, chen()).account;
    let bytes = |mailbox: &str| directory.quota(mailbox).bytes;
    assert_eq!((bytes(&account.mailbox()), bytes(&person.mailbox()), bytes("1234567897")), (10_737_418_240, 1_073_741_824, u64::MAX));
    assert_eq!(directory.find_address("demo@mail.gz.example").unwrap(), Some(account.clone()));
    let other = directory.open(institution("91440101MAT000026B", "广州示范二有限公司", "demo"), NewPassword::Generated, NOW);
    assert!(matches!(other, Err(DirectoryError::AliasTaken { .. })));
    let shown = directory.show("demo").unwrap();
    assert_eq!((shown.name.as_str(), shown.code.as_deref(), shown.aliases.as_slice()), ("广州示范有限公司", Some("91440101MAT000018G"), &["demo@mail.gz.example".to_owned()][..]));
    let kept = records(&*store);
    assert!(!kept.iter().any(|(key, value)| [key.as_bytes(), value].iter().any(|bytes| bytes.windows(5).any(|part| part == b"MAT00"))));
}

#[test]
fn names_kept_for_the_operator_are_the_operators() {
    let policy = MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap();
    let mut words = Words {
        code: Some("91440101MAT000018G".into()), name: Some("穗印运营".into()),
        aliases: vec!["postmaster".into(), "Abuse".into(), "abuse".into()], ..Words::default()
    };
    assert_eq!(Applicant::parse(&words, &policy, today(NOW)), Err(ApplicantError::Alias(policies::mailbox::AliasError::Reserved)));
    words.operator = true;
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    assert_eq!(directory.find_address("postmaster@mail.gz.example").unwrap(), None);
    let account = opened(&directory, Applicant::parse(&words, &policy, today(NOW)).unwrap()).account;
    assert_eq!(account.aliases.len(), 2);
    assert_eq!(directory.find_address("Postmaster@mail.gz.example").unwrap(), Some(account));
}

#[test]
fn words_that_are_no_applicant() {
    let policy = with_names_of_citizens("most = 1");
    let refused = |words: Words| Applicant::parse(&words, &policy, today(NOW)).unwrap_err();
    let full = Words { id_type: Some("01".into()), id_no: Some("440106189602290015".into()), name: Some("陈秀英".into()), ..Words::default() };
    assert_eq!(refused(Words { name: None, ..full.clone() }), ApplicantError::Incomplete);
    assert_eq!(refused(Words { id_no: None, ..full.clone() }), ApplicantError::Incomplete);
    assert_eq!(refused(Words { code: Some("91440101MAT000018G".into()), ..full.clone() }), ApplicantError::Mixed);
    assert_eq!(refused(Words { operator: true, ..full.clone() }), ApplicantError::Mixed);
    assert_eq!(refused(Words { aliases: vec!["chen".into(), "xiuying".into()], ..full.clone() }), ApplicantError::CitizenAliases { most: 1 });
    let one = Words { aliases: vec!["chen".into()], ..full.clone() };
    assert_eq!(Applicant::parse(&one, &with_names_of_citizens("most = 0"), today(NOW)).unwrap_err(), ApplicantError::CitizenAliases { most: 0 });
    assert!(Applicant::parse(&one, &policy, today(NOW)).is_ok());
    for name in ["postmaster", "adm1n", "o000000006"] {
        assert!(matches!(refused(Words { aliases: vec![name.into()], ..full.clone() }), ApplicantError::Alias(_)), "{name}");
    }
    assert!(matches!(refused(Words { id_no: Some("440106189602290016".into()), ..full.clone() }), ApplicantError::Document(_)));
    assert!(matches!(refused(Words { name: Some(" ".into()), ..full.clone() }), ApplicantError::Name(_)));
    let wrong_inside = Words { code: Some("91440101MAT0000157".into()), name: full.name.clone(), ..Words::default() };
    assert_eq!(refused(wrong_inside.clone()), ApplicantError::CreditCode(policies::identity::NumberError::InnerCheckDigit));
    let problem = runtime::exit::Problem::from(refused(wrong_inside));
    assert_eq!((problem.exit, problem.field.as_deref()), (runtime::exit::Exit::Refused, Some("code")));
    let many = (0..9).map(|n| format!("name{n}")).collect();
    assert_eq!(refused(Words { code: Some("91440101MAT000018G".into()), name: full.name, aliases: many, ..Words::default() }), ApplicantError::Aliases);
}

#[test]
fn nobody_has_two_mailboxes_and_a_closed_one_stays_closed() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, chen()).account.number;
    let exists = |state| matches!(directory.open(chen(), NewPassword::Generated, NOW), Err(DirectoryError::Exists { mailbox, state: found }) if mailbox == number && found == state);
    assert!(exists(State::Open));
    let deliver = || store.commit(store::Batch::new().expect(still_open(number)));
    assert!(deliver().is_ok());
    let later = NOW + time::Duration::HOUR;
    assert_eq!(directory.close(number, later).unwrap().closed_at, Some(unix_millis(later)));
    assert_eq!(deliver(), Err(CommitError::Conflict { expectation: 0 }));
    assert!(exists(State::Closed));
    assert_eq!(directory.find_person(&document("01", "440106189602290015")).unwrap().unwrap().state(), State::Closed);
    assert!(matches!(directory.close(number, later), Err(DirectoryError::Closed { .. })));
    assert!(matches!(directory.set_password(number, &NewPassword::Generated, false, later), Err(DirectoryError::Closed { .. })));
    let other = MailboxNumber::from_random(1).unwrap();
    assert!(matches!(directory.close(other, later), Err(DirectoryError::NotFound)));
    let mailbox = || event::Mailbox { mailbox: number.to_string() };
    assert_eq!(events(&*store), [Event::MailboxOpened(mailbox()), Event::MailboxClosed(mailbox())]);
    let shown = directory.show(&number.to_string()).unwrap();
    assert_eq!((shown.opened_at.as_str(), shown.closed_at.as_deref()), ("2026-11-25T08:00:00Z", Some("2026-11-25T09:00:00Z")));
    assert_eq!((shown.name.as_str(), shown.documents[0].masked.as_str()), ("陈*", "440***********0015"));
}

#[test]
fn one_person_has_several_documents() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, citizen("04", "VAT440131022810", "MARIE EXEMPLE")).account.number;
    let other = opened(&directory, chen()).account.number;
    let card = document("04", "944840189602290018");
    assert!(directory.find_person(&card).unwrap().is_none());
    let marie = PersonName::parse("MARIE EXEMPLE").unwrap();
    let held = |document: Document| Binding::Held(document);
    let add_with = |number, card: &Document, name: &PersonName, binding: Binding| directory.add_document(number, card, name, &binding, &rename::proof(), NOW);
    let add = |number, card: &Document, name: &PersonName| add_with(number, card, name, held(document("04", "VAT440131022810")));
    // A card that bears another's name leads to nobody.
    assert!(matches!(add(other, &card, &marie), Err(DirectoryError::OtherName { mailbox }) if mailbox == other));
    add(number, &card, &marie).unwrap();
    let Some(Event::DocumentProved(told)) = events(&*store).pop() else { panic!("the log does not know of it") };
    assert_eq!((told.mailbox, told.document, told.person), (number.to_string(), vec!["operator-original".to_owned()], vec!["operator-present".to_owned()]));
    assert!(told.held_shown && told.request.is_none() && told.officers.is_empty());
    let account = directory.find_person(&card).unwrap().unwrap();
    assert_eq!(account, directory.find_person(&document("04", "VAT440131022810")).unwrap().unwrap());
    assert_eq!(directory.shown(&account).documents.len(), 2);
    assert!(matches!(add_with(other, &card, &PersonName::parse("陈秀英").unwrap(), held(document("01", "440106189602290015"))), Err(DirectoryError::DocumentTaken { mailbox }) if mailbox == number));
    assert!(matches!(add(number, &card, &marie), Err(DirectoryError::Exists { .. })));
    assert!(matches!(directory.open(citizen("04", "944840189602290018", "MARIE EXEMPLE"), NewPassword::Generated, NOW), Err(DirectoryError::Exists { .. })));
    let firm = opened(&directory, institution("91440101MAT000018G", "广州示范有限公司", "")).account.number;
    assert!(matches!(add(firm, &document("03", "E12345678"), &marie), Err(DirectoryError::NoCitizen { .. })));
}

/// Gives what it was given, then the system's.
struct Given(Mutex<Vec<u8>>);

impl Random for Given {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        let mut given = self.0.lock().unwrap();
        if bytes.len() == 4 && given.len() >= 4 {
            bytes.copy_from_slice(&given.drain(..4).collect::<Vec<_>>());
            return Ok(());
        }
        Random::fill(&SystemRandom::new(), bytes)
    }
}

#[test]
fn a_number_is_never_given_twice() {
    let store = Arc::new(Memory::new());
    let draws = [5_u32, 5, u32::MAX, 6, 6, 5, 7].map(u32::to_be_bytes).concat();
    let directory = directory_with(Arc::clone(&store) as Arc<dyn Store>, Arc::new(Given(Mutex::new(draws))));
    let numbered = |nine| MailboxNumber::from_random(nine).unwrap();
    let first = opened(&directory, chen()).account.number;
    assert_eq!(first, numbered(5));
    directory.close(first, NOW).unwrap();
    let [(kind, number, name), .., (other_kind, other_number, other_name)] = &PEOPLE[1..] else { panic!() };
    let application = |applicant| Application { applicant, password: NewPassword::Generated };
    // Both in one batch: 5 was given and closed, 2^30 - 1 is none, 6 goes to the one and then not to the other.
    let both = [application(citizen(kind, number, name)), application(citizen(other_kind, other_number, other_name))];
    let done = directory.open_all(&both, NOW).unwrap();
    assert_eq!(done.iter().map(|one| one.as_ref().unwrap().account.number).collect::<Vec<_>>(), [numbered(6), numbered(7)]);
    struct Same;
    impl Random for Same {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
            bytes.fill(0);
            Ok(())
        }
    }
    let stuck = directory_with(Arc::clone(&store) as Arc<dyn Store>, Arc::new(Same));
    assert!(stuck.open(citizen(kind, "440104189901010025", name), NewPassword::Generated, NOW).is_ok());
    assert!(matches!(stuck.open(citizen(kind, "44010218880808003X", name), NewPassword::Generated, NOW), Err(DirectoryError::NoNumber)));
}

#[test]
fn of_many_who_open_at_once_one_does() {
    let store = Arc::new(Memory::new());
    let directories = [directory(&store), directory(&store)];
    for (kind, number, name) in PEOPLE {
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let open = |n: usize| directories[n % 2].open(citizen(kind, number, name), NewPassword::Generated, NOW);
            let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || open(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let winner: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(winner.len(), 1);
        for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert!(matches!(lost, DirectoryError::Exists { mailbox, .. } if *mailbox == winner[0].account.number), "{lost}");
        }
    }
    assert_eq!((count(&*store, "account"), count(&*store, "person"), events(&*store).len()), (14, 14, 14));
}

#[test]
fn a_batch_opens_what_can_be_opened_and_says_why_not() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let application = |applicant| Application { applicant, password: NewPassword::Generated };
    let short = Application { applicant: citizen("03", "E12345678", "黄雅婷"), password: chosen("short") };
    let batch = [
        application(chen()), application(chen()), short,
        application(institution("91440101MAT000018G", "甲有限公司", "demo")), application(institution("91440101MAT000026B", "乙有限公司", "demo")),
    ];
    let done = directory.open_all(&batch, NOW).unwrap();
    assert!(matches!(&done[0], Ok(first) if matches!(&done[1], Err(DirectoryError::Exists { mailbox, .. }) if *mailbox == first.account.number)));
    assert!(matches!(&done[2], Err(DirectoryError::Password(_))));
    assert!(done[3].is_ok() && matches!(&done[4], Err(DirectoryError::AliasTaken { .. })));
    assert_eq!(count(&*store, "account"), 2);
    assert!(matches!(directory.open_all(&vec![application(chen()); 201], NOW), Err(DirectoryError::TooMany { count: 201 })));
    let before = records(&*store);
    assert!(directory.open_all(&batch[..2], NOW).unwrap().iter().all(Result::is_err));
    assert!(records(&*store) == before, "to open nobody writes nothing");
}

#[test]
fn lists_page_through_everyone_once() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    for (kind, number, name) in PEOPLE {
        opened(&directory, citizen(kind, number, name));
    }
    let firm = opened(&directory, institution("91440101MAT000018G", "广州示范有限公司", "")).account;
    directory.close(firm.number, NOW).unwrap();
    let everyone = |kind, state, limit| {
        let (mut found, mut query) = (Vec::new(), Query { kind, state, limit: Some(limit), after: None });
        loop {
            let page = directory.list(&query).unwrap();
            assert!(page.mailboxes.len() <= limit);
            found.extend(page.mailboxes.into_iter().map(|shown| shown.address));
            query.after = page.next;
            if query.after.is_none() {
                return found;
            }
        }
    };
    for limit in [1, 2, 5, 15, 16, 1_000] {
        let all = everyone(None, None, limit);
        assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (15, 15), "{limit}");
        assert!(all.is_sorted());
        assert_eq!(everyone(Some(Kind::Citizen), None, limit).len(), 14);
        assert_eq!(everyone(None, Some(State::Closed), limit), [directory.address(firm.number)]);
        assert_eq!(everyone(Some(Kind::Citizen), Some(State::Closed), limit), [""; 0]);
    }
    assert!(matches!(directory.list(&Query { after: Some("x".into()), ..Query::default() }), Err(DirectoryError::NotFound)));
}

#[test]
fn a_record_moved_or_altered_does_not_open() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let [one, two] = [0, 1].map(|n| opened(&directory, citizen(PEOPLE[n].0, PEOPLE[n].1, PEOPLE[n].2)).account.number);
    let sealed = store.get(&account::key(one)).unwrap().unwrap();
    store.commit(store::Batch::new().put(account::key(two), sealed.clone())).unwrap();
    assert!(matches!(directory.get(two), Err(DirectoryError::Record(RecordError::Key(_)))));
    for at in 0..sealed.len() {
        let mut wrong = sealed.clone();
        wrong[at] ^= 1;
        assert!(account::open(one, &wrong, &data_key()).is_err());
        assert!(account::open(one, &sealed[..at], &data_key()).is_err());
    }
    assert!(index::decode(&[1, 2]).is_err() && index::decode(&[1, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
}

#[test]
fn a_mailbox_is_bounded_in_messages_too() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let (kind, number, name) = PEOPLE[0];
    let account = opened(&directory, citizen(kind, number, name)).account;
    let quota = directory.quota(&account.mailbox());
    assert!(quota.bytes >= 1 << 30 && quota.messages * 1_024 == quota.bytes, "{quota:?}");
    assert_eq!(directory.quota("1234567890"), crate::mailbox::Quota::NONE);
}
