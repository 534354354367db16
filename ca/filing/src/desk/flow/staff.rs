//! Who is insured through an enterprise, given as a list by the bureau: what the desk did not see itself.
//!
//! 1 read      every row is a person's document and insurances, nobody twice
//! 2 record    sealed, with its leaf of the log, in one commit; filings at this moment are judged anew

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use policies::identity::{CreditCode, Document};
use store::Batch;
use time::Date;

use super::judge::city;
use crate::desk::grounds::Grounds;
use crate::desk::problem::DeskError;
use crate::desk::record::event::{Event, keyed};
use crate::desk::record::staff;
use crate::rules::{MOST_PEOPLE, Staff};

/// Far above any list.
const MAX_FILE: u64 = 32 << 20;
const MAX_INSURANCES: usize = 16;

/// How many people there are. The file is CSV with the heading `id_type,id_no,insurances`, the last one separated by spaces.
pub fn import(desk: &Grounds, enterprise: &CreditCode, path: &Path) -> Result<u64, DeskError> {
    let now = desk.clock.now();
    let people = read(path, city(now).date())?;
    let count = people.len() as u64;
    let staff = Staff::whole(people);
    let uscc = enterprise.as_str();
    let mut batch = Batch::new().put(staff::key(uscc), staff::seal(uscc, &staff, &desk.data)?);
    Event::StaffListSet { enterprise: &keyed(&desk.data, "enterprise", uscc.as_bytes()), people: count }.append(&mut batch, now)?;
    desk.store.commit(batch)?;
    Ok(count)
}

fn read(path: &Path, today: Date) -> Result<Vec<(Document, BTreeSet<String>)>, DeskError> {
    use std::io::Read as _;
    let failed = |error: &dyn std::fmt::Display| DeskError::File { path: path.to_owned(), reason: error.to_string().replace("; ", ", ") };
    let mut text = String::new();
    std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text)).map_err(|error| failed(&error))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(&"it has more than 32 MiB"));
    }
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let (mut found, mut heading) = (BTreeMap::new(), true);
    for row in rows.records() {
        let row = row.map_err(|_| failed(&"it is no CSV"))?;
        // Nothing of the row is told: it is about a person.
        let wrong = |reason: &str| DeskError::Request(format!("{}, line {}: {reason}; correct the list", path.display(), row.position().map_or(0, csv::Position::line)));
        let cells: Vec<&str> = row.iter().map(str::trim).collect();
        let &[id_type, number, insurances] = cells.as_slice() else { return Err(wrong("a row has three cells: id_type, id_no, insurances")) };
        if heading {
            if (id_type, number, insurances) != ("id_type", "id_no", "insurances") {
                return Err(wrong("the heading is not id_type,id_no,insurances"));
            }
            heading = false;
            continue;
        }
        let document = Document::parse(id_type, number, today).map_err(|_| wrong("type and number are no document's"))?;
        let named: BTreeSet<String> = insurances.split_whitespace().map(str::to_owned).collect();
        let code = |insurance: &String| insurance.len() == 3 && insurance.bytes().all(|digit| digit.is_ascii_digit());
        if named.is_empty() || named.len() > MAX_INSURANCES || !named.iter().all(code) {
            return Err(wrong("insurances are codes of three digits, separated by spaces"));
        }
        if found.insert(document.canonical(), (document, named)).is_some() {
            return Err(wrong("this person stands in the list twice"));
        }
        if found.len() > MOST_PEOPLE {
            return Err(wrong("a list has at most 200,000 people"));
        }
    }
    if heading {
        return Err(failed(&"the heading id_type,id_no,insurances is missing"));
    }
    Ok(found.into_values().collect())
}
