//! The shipped figures: their meaning, and documents that make no sense.

use policies::statement::{Kind, Parameters, Period, SHIPPED};

use super::shipped;

/// `SUIYIN_GOLDEN=write cargo test -p policies` writes the files anew; read what changed before it is kept.
#[test]
fn the_meaning_of_the_shipped_policy_is_the_one_we_agreed_to() {
    for kind in Kind::ALL {
        let path = format!("{}/tests/golden/statements/{kind}.txt", env!("CARGO_MANIFEST_DIR"));
        if std::env::var("SUIYIN_GOLDEN").as_deref() == Ok("write") {
            std::fs::write(&path, shipped().resolved(kind)).unwrap();
        }
        assert_eq!(shipped().resolved(kind), std::fs::read_to_string(&path).unwrap_or_default(), "the meaning of {kind} changed");
    }
}

#[test]
fn the_figures_of_a_month_are_the_last_that_began() {
    let cap = |period| shipped().pension_at(Period::parse(period).unwrap()).map(|figures| figures.base_cap.to_string());
    assert_eq!(cap("202406"), None);
    assert_eq!(cap("202407").as_deref(), Some("27501.00"));
    assert_eq!(cap("202506").as_deref(), Some("27501.00"));
    assert_eq!(cap("202507").as_deref(), Some("27549.00"));
    assert_eq!(cap("209901").as_deref(), Some("27549.00"));
}

/// Each change makes a document that must be refused: file, what is replaced, by what, the line, part of the reason.
#[test]
fn documents_that_make_no_sense() {
    for (file, from, to, line, reason) in [
        ("housing-fund.toml", "\"201607\"", "\"201613\"", 6, "no month"),
        ("housing-fund.toml", "\"1000.00\"", "\"1000\"", 8, "no amount"),
        ("housing-fund.toml", "\"1000.00\"", "\"45000.01\"", 8, "no more than base_cap"),
        ("housing-fund.toml", "\"5.00\"", "\"12.01\"", 11, "no more than rate_max"),
        ("housing-fund.toml", "\"fen\"", "\"jiao\"", 14, "unknown variant `jiao`"),
        ("housing-fund.toml", "percent = 150", "percent = 50", 17, "100 to 1000"),
        ("housing-fund.toml", "interest_month = 6", "interest_month = 13", 18, "1 to 12"),
        ("housing-fund.toml", "rate_max", "rate_most", 12, "unknown field `rate_most`"),
        ("pension.toml", "\"202501\"", "\"202407\"", 16, "oldest first"),
        ("pension.toml", "\"202501\"", "\"202307\"", 16, "oldest first"),
        ("pension.toml", "source = \"Bases as before", "source = \" \" #", 24, "says where"),
        ("pension.toml", "person_rate = \"8.00\"\n", "", 4, "missing field `person_rate`"),
    ] {
        let documents = SHIPPED.map(|(name, text)| (name, if name == file { text.replacen(from, to, 1) } else { text.to_owned() }));
        assert!(documents.iter().zip(SHIPPED).any(|(changed, shipped)| changed.1 != shipped.1), "{file}: {from}");
        let refused = Parameters::parse(documents.iter().map(|(name, text)| (*name, text.as_str()))).unwrap_err();
        assert!(refused.reason.contains(reason), "{to}: {refused}");
        assert_eq!((refused.file.as_str(), refused.line), (file, line), "{to}: {refused}");
    }
    let refused = |documents: Vec<(&str, &str)>| Parameters::parse(documents).unwrap_err().to_string();
    assert!(refused(vec![SHIPPED[0]]).starts_with("pension.toml, line 1: it is missing"));
    assert!(refused(vec![("housing-fund.toml", "figures = []"), SHIPPED[1]]).contains("1 to 512 rows"));
}

#[test]
fn every_document_of_both_directories_is_shipped() {
    for (directory, shipped) in [("statements", SHIPPED.as_slice()), ("mailbox", policies::mailbox::SHIPPED.as_slice())] {
        let directory = format!("{}/{directory}", env!("CARGO_MANIFEST_DIR"));
        let mut found: Vec<String> = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        assert_eq!(found, shipped.iter().map(|(file, _)| *file).collect::<Vec<_>>());
    }
}
