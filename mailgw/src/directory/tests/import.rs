//! Files of applicants as they come.
use super::*;

fn run(directory: &Directory, file: &str) -> Vec<ImportedRow> {
    directory.import(file.as_bytes(), NOW).unwrap().map(Result::unwrap).collect()
}

fn states(rows: &[ImportedRow]) -> BTreeMap<u64, RowState> {
    rows.iter().map(|row| (row.line, row.state)).collect()
}

#[test]
fn good_rows_are_opened_bad_ones_told_and_nobody_is_named() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let file = "\u{feff}id_type,id_no,name\r\n\
        01,440106189602290015,陈秀英\r\n\
        01,440106189602290016,陈秀英\r\n\
        08,440106189602290015,陈秀英\r\n\
        \r\n\
        05,810000189602290010,司徒嘉欣\r\n\
        01,810000189602290010,司徒嘉欣\r\n\
        04,VAT440131022810,\r\n\
        01,510104189707071279\r\n\
        01,510104189707071279,李志强,\r\n\
        01,440106189602290015,陈秀丽";
    let rows = run(&directory, file);
    use RowState::{Exists, Opened, Refused};
    let expected = [(2, Opened), (3, Refused), (4, Refused), (6, Opened), (7, Exists), (8, Refused), (9, Refused), (10, Refused), (11, Exists)];
    assert_eq!(states(&rows), BTreeMap::from(expected));
    let reason = |line| rows.iter().find(|row| row.line == line).unwrap().reason.clone().unwrap_or_default();
    assert!(reason(3).contains("check digit"), "{}", reason(3));
    assert!(reason(4).contains("document type"));
    assert!(reason(8).contains("name: it is empty"));
    assert_eq!((reason(9), reason(10)), ("it has 2 fields and the header 3; look for a comma too many or too few".into(), "it has 4 fields and the header 3; look for a comma too many or too few".into()));
    assert_eq!(reason(7), "");
    assert!(reason(11).starts_with("the name is another"));
    // The same person by another type: the same mailbox.
    assert_eq!(rows[3].address, rows[4].address);
    for row in &rows {
        assert_eq!(row.password.is_some(), row.state == Opened);
        let told = format!("{row:?} {}", serde_json::to_string(&ImportedRow { password: None, ..row.clone() }).unwrap());
        assert!(!told.contains("18960229") && !told.contains("秀英") && !told.contains("司徒"), "{told}");
        assert!(row.password.as_ref().is_none_or(|password| !told.contains(password.expose())));
    }
    let (address, password) = (rows[0].address.as_ref().unwrap(), rows[0].password.as_ref().unwrap());
    assert!(login(&directory, address, password.expose()).is_ok());
    let json = serde_json::to_value(&rows[0]).unwrap();
    assert_eq!(json["password"], password.expose());
    assert_eq!(json["state"], "opened");
}

#[test]
fn running_again_changes_nothing() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let file = "uscc,name,alias\n91440101MAT000018G,甲有限公司,demo\n91440101MAT000026B,乙有限公司,\n92440101MAT0000A11,丙,demo\n";
    let first = run(&directory, file);
    assert_eq!(states(&first), BTreeMap::from([(2, RowState::Opened), (3, RowState::Opened), (4, RowState::Refused)]));
    assert!(first[2].reason.as_ref().unwrap().contains("demo"));
    directory.close(directory.find(first[1].address.as_ref().unwrap()).unwrap().unwrap().number, NOW).unwrap();
    let before = records(&*store);
    let again = run(&directory, file);
    assert_eq!(states(&again), BTreeMap::from([(2, RowState::Exists), (3, RowState::Closed), (4, RowState::Refused)]));
    assert_eq!(again.iter().map(|row| &row.address).collect::<Vec<_>>(), first.iter().map(|row| &row.address).collect::<Vec<_>>());
    assert!(again.iter().all(|row| row.password.is_none()) && records(&*store) == before);
}

/// The resident whose sequence number is `n`, born in 1899.
fn resident(n: usize) -> String {
    let seventeen = format!("44010618990101{n:03}");
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = seventeen.bytes().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    format!("{seventeen}{}", char::from(b"10X98765432"[sum as usize % 11]))
}

fn city(people: usize) -> String {
    let row = |n: usize| format!("01,{},陈秀英\n", resident(n));
    format!("id_type,id_no,name\n{}", (0..people).map(row).collect::<String>())
}

#[test]
fn a_crash_between_batches_loses_and_doubles_nobody() {
    let file = city(450);
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        let store = Arc::new(Memory::new());
        let faulty = Arc::new(Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(1, fault));
        let stopped_directory = directory(&faulty);
        let mut rows = Vec::new();
        let mut stopped = Vec::new();
        for row in stopped_directory.import(file.as_bytes(), NOW).unwrap() {
            match row {
                Ok(row) => rows.push(row),
                Err(error) => stopped.push(error),
            }
        }
        assert_eq!((rows.len(), stopped.len()), (200, 1));
        assert!(matches!(stopped[0], ImportError::Stopped { line: 202, .. }), "{}", stopped[0]);
        let problem = runtime::exit::Problem::from(stopped.pop().unwrap());
        assert!(problem.message.starts_with("line 202") && problem.next.contains("import the file again"), "{problem}");
        let again = run(&directory(&store), &file);
        let opened = again.iter().filter(|row| row.state == RowState::Opened).count();
        assert_eq!((again.len(), opened), (450, if fault == Fault::Lost { 250 } else { 50 }));
        assert_eq!((count(&*store, "account"), events(&*store).len()), (450, 450));
    }
}

#[test]
fn progress_is_told_and_the_end_is_the_end() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let file = city(3);
    let mut import = directory.import(file.as_bytes(), NOW).unwrap();
    assert!(import.by_ref().count() == 3 && import.bytes_read() == file.len() as u64 && import.next().is_none());
    assert!(run(&directory, "id_type,id_no,name\n").is_empty());
    let problem = runtime::exit::Problem::from(directory.import(&b"id_type,name\n"[..], NOW).err().unwrap());
    assert_eq!((problem.exit, problem.message.as_str()), (runtime::exit::Exit::Refused, "line 1: the column id_no is missing"));
}
