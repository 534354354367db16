//! The shipped kinds of message: their meaning is the one we agreed to.
#![allow(clippy::unwrap_used)]

mod rules;

use policies::sender::{LetterKinds, SHIPPED};

/// `SUIYIN_GOLDEN=write cargo test --test senders` writes the file anew; read what changed before it is kept.
#[test]
fn what_the_program_understands_of_the_shipped_kinds() {
    let found: String = LetterKinds::parse(SHIPPED).unwrap().all().map(|kind| kind.resolved() + "\n").collect();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/senders/senders.txt");
    if std::env::var("SUIYIN_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(&path, &found).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), found);
}
