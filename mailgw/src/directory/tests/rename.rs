//! Holders with another name.
use super::*;
use crate::record::former_name::MOST;
use policies::mailbox::{DocumentProof, PersonProof, Proofs};

const CODE: &str = "91440101MAT000018G";

pub(super) fn proof() -> HolderProof {
    let proofs = Proofs { document: [DocumentProof::OperatorOriginal].into(), person: [PersonProof::OperatorPresent].into() };
    HolderProof { proofs, document_grade: "proved".into(), person_grade: "proved".into(), evidence: Vec::new(), papers: "ab".into() }
}

#[test]
fn a_renamed_institution_keeps_its_mailbox_and_its_names_of_before() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let opened = opened(&directory, institution(CODE, "广州示范有限公司", "demo"));
    let (number, code) = (opened.account.number, CreditCode::parse(CODE).unwrap());
    let later = NOW + Duration::from_secs(3_600);
    directory.rename(number, &institution(CODE, "广州新名有限公司", ""), &proof(), later).unwrap();
    directory.rename(number, &institution(CODE, "广州示范有限公司", ""), &proof(), later).unwrap();
    let renamed = directory.rename(number, &institution(CODE, "广州再名有限公司", ""), &proof(), later).unwrap();
    let found = directory.find_institution(&code).unwrap().unwrap();
    assert!(found == renamed && found.number == number && found.aliases == opened.account.aliases && found.opened_at == opened.account.opened_at);
    assert_eq!(directory.shown(&found).name, "广州再名有限公司");
    let former = directory.former_names(number).unwrap();
    assert_eq!(former.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["广州示范有限公司", "广州新名有限公司", "广州示范有限公司"]);
    assert_eq!((former[0].until.as_str(), former[0].document.as_slice(), former[0].person.as_slice()), ("2026-11-25T09:00:00Z", &["operator-original".to_owned()][..], &["operator-present".to_owned()][..]));
    assert!(login(&directory, "demo", opened.password.expose().expose_secret()).is_ok(), "who works in it goes on");
    let named: Vec<String> = events(&*store).into_iter().filter_map(|event| if let Event::HolderRenamed(told) = event { Some(told.name) } else { None }).collect();
    assert!(named.len() == 3 && named.iter().collect::<BTreeSet<_>>().len() == 3 && !named.iter().any(|name| name.contains("广州")), "{named:?}");
}

#[test]
fn a_person_is_renamed_by_a_document_of_their_own() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    for (kind, id, name) in PEOPLE {
        let number = opened(&directory, citizen(kind, id, name)).account.number;
        directory.rename(number, &citizen(kind, id, "NEW NAME"), &proof(), NOW).unwrap();
        let account = directory.find_person(&document(kind, id)).unwrap().unwrap();
        assert!(account.number == number && account.person() == Some(&PersonName::parse("NEW NAME").unwrap()));
        let former = directory.former_names(number).unwrap();
        assert_eq!(former.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), [PersonName::parse(name).unwrap().masked()]);
    }
    for (_, record) in records(&*store) {
        assert!(PEOPLE.iter().all(|(.., name)| !record.windows(name.len()).any(|part| part == name.as_bytes())), "names stand sealed");
    }
}

#[test]
fn anothers_papers_rename_nobody() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let firm = opened(&directory, institution(CODE, "广州示范有限公司", "")).account.number;
    let person = opened(&directory, chen()).account.number;
    let other = opened(&directory, citizen("03", "E12345678", "黄雅婷")).account.number;
    let before = (records(&*store), events(&*store));
    let rename = |number, holder: Applicant| directory.rename(number, &holder, &proof(), NOW).unwrap_err();
    assert!(matches!(rename(firm, institution("12440100000000123A", "广州新名有限公司", "")), DirectoryError::OtherHolder { .. }));
    assert!(matches!(rename(firm, citizen("01", "440106189602290015", "陈秀")), DirectoryError::OtherHolder { .. }));
    assert!(matches!(rename(person, citizen("03", "E12345678", "陈秀")), DirectoryError::OtherHolder { .. }));
    assert!(matches!(rename(other, citizen("03", "E87654321", "陈秀")), DirectoryError::OtherHolder { .. }));
    assert!(matches!(rename(firm, institution(CODE, "广州示范有限公司", "")), DirectoryError::SameName { mailbox } if mailbox == firm));
    assert!(before == (records(&*store), events(&*store)));
    directory.close(firm, NOW).unwrap();
    assert!(matches!(rename(firm, institution(CODE, "广州新名有限公司", "")), DirectoryError::Closed { .. }));
}

/// Each of them is the name of before of the next.
#[test]
fn renamings_at_one_moment_all_stand_in_a_row() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, institution(CODE, "广州示范有限公司", "")).account.number;
    let names: Vec<String> = (0..8).map(|n| format!("广州第{n}有限公司")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let directory = &directory;
            scope.spawn(move || directory.rename(number, &institution(CODE, name, ""), &proof(), NOW).unwrap());
        }
    });
    let borne: BTreeSet<String> = directory.former_names(number).unwrap().into_iter().map(|one| one.name).chain([directory.show(&number.to_string()).unwrap().name]).collect();
    assert_eq!(borne, names.into_iter().chain(["广州示范有限公司".to_owned()]).collect());
    for n in 8..MOST {
        directory.rename(number, &institution(CODE, &format!("广州第{n}有限公司"), ""), &proof(), NOW).unwrap();
    }
    assert!(matches!(directory.rename(number, &institution(CODE, "广州再名有限公司", ""), &proof(), NOW), Err(DirectoryError::TooManyNames { .. })));
}
