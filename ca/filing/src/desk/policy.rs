//! The policies as they stand in the state directory: read at every start, and what was read is in the log.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use policies::PolicyError;
use policies::certificate::Arc as PolicyArc;
use policies::desk::DeskPolicy;
use policies::filing::{Archive, Filings, SHIPPED_ARCHIVE, SHIPPED_CALENDAR, SHIPPED_FIGURES, SHIPPED_KINDS};
use ring::digest::{Context, SHA256};
use store::{Batch, Expectation, Key, Store};
use time::OffsetDateTime;

use super::init::InitError;
use super::record::event::Event;

/// Below the state directory.
pub const DIRECTORY: &str = "policies";
const DESK: &str = "desk";
const FILINGS: &str = "filings";
const KINDS: &str = "filings/kinds";
/// Before the names of calendars that bureaus keep beside the city's.
const CALENDAR_OF: &str = "calendar-";
const MAX_FILE: u64 = 256 * 1024;
const MAX_FILES: usize = 300;

pub struct Policies {
    pub filings: Filings,
    pub desk: DeskPolicy,
    /// How long signatures are believed.
    pub archive: Archive,
    /// SHA-256 of its text, hexadecimal.
    pub archive_digest: String,
    /// SHA-256 over their files, hexadecimal.
    pub digest: String,
}

/// What the program was shipped with.
pub fn shipped(arc: PolicyArc) -> Result<Policies, PolicyError> {
    let archive_digest = super::sha256_hex(SHIPPED_ARCHIVE.1.as_bytes());
    Ok(Policies { filings: Filings::shipped()?, desk: DeskPolicy::parse(policies::desk::SHIPPED, arc)?, archive: Archive::shipped()?, archive_digest, digest: String::new() })
}

/// Writes the policies the program was shipped with.
pub fn ship(path: &Path) -> Result<(), InitError> {
    let shipped = policies::desk::SHIPPED.iter().map(|document| (DESK, *document));
    let filings = [SHIPPED_FIGURES, SHIPPED_CALENDAR, SHIPPED_ARCHIVE].into_iter().map(|document| (FILINGS, document));
    for (below, (file, text)) in shipped.chain(filings).chain(SHIPPED_KINDS.into_iter().map(|document| (KINDS, document))) {
        let directory = path.join(below);
        std::fs::create_dir_all(&directory).map_err(|error| InitError::file(&directory, &error))?;
        super::init::write(&directory.join(file), text.as_bytes())?;
    }
    Ok(())
}

/// A directory founded before a policy was known gets it as it is shipped now.
pub fn ship_new(path: &Path) -> Result<(), InitError> {
    let archive = path.join(FILINGS).join(SHIPPED_ARCHIVE.0);
    if archive.exists() { Ok(()) } else { super::init::write(&archive, SHIPPED_ARCHIVE.1.as_bytes()) }
}

/// `path` holds `desk/`, `filings/` and `filings/kinds/`; `arc` is the one the CA's policies stand under.
pub fn read(path: &Path, arc: PolicyArc) -> Result<Policies, InitError> {
    let mut context = Context::new(&SHA256);
    let (desk, filings, kinds) = (documents(path, DESK, &mut context)?, documents(path, FILINGS, &mut context)?, documents(path, KINDS, &mut context)?);
    let pairs = |documents: &'_ BTreeMap<String, String>| documents.iter().map(|(file, text)| (file.clone(), text.clone())).collect::<Vec<_>>();
    let one = |name: &str| filings.get_key_value(name).map(|(file, text)| (file.as_str(), text.as_str())).ok_or_else(|| InitError::MissingPolicy { path: path.join(FILINGS).join(name) });
    let kinds = pairs(&kinds);
    let desk = DeskPolicy::parse(desk.iter().map(|(file, text)| (file.as_str(), text.as_str())), arc)?;
    let others = pairs(&filings).into_iter().filter(|(file, _)| file.starts_with(CALENDAR_OF)).collect::<Vec<_>>();
    let mut kinds = Filings::parse_with(texts(&kinds), one(SHIPPED_FIGURES.0)?, one(SHIPPED_CALENDAR.0)?, texts(&others))?;
    let (archive, archive_digest) = (Archive::parse(one(SHIPPED_ARCHIVE.0)?)?, super::sha256_hex(one(SHIPPED_ARCHIVE.0)?.1.as_bytes()));
    agree(&desk, &mut kinds, arc)?;
    Ok(Policies { filings: kinds, desk, archive, archive_digest, digest: super::hex(context.finish().as_ref()) })
}

/// What an enterprise needs of them: kinds, figures, and the calendar of each bureau. Under which arc makes no difference there.
pub fn read_filings(path: &Path) -> Result<Filings, InitError> {
    let arc = PolicyArc::parse("arc.toml", &format!("arc = {:?}", policies::certificate::DOCUMENTATION_ARC))?;
    Ok(read(path, arc)?.filings)
}

/// A bureau takes kinds that there are, under policies that the kind allows: it may ask for fewer, never for others, for then
/// what `filing check` lets pass the desk would refuse. And its calendar knows their deadlines.
fn agree(desk: &DeskPolicy, filings: &mut Filings, arc: PolicyArc) -> Result<(), InitError> {
    for (bureau, accepts) in desk.bureaus().iter().flat_map(|bureau| bureau.accepts.iter().map(move |accepts| (bureau, accepts))) {
        let disagree = |reason: String| InitError::Disagree { bureau: bureau.code.as_str().to_owned(), kind: accepts.kind.clone(), reason };
        let mut kinds = filings.kinds().iter().filter(|kind| kind.name().as_str() == accepts.kind).peekable();
        if kinds.peek().is_none() {
            return Err(disagree("no document of filings/kinds is of that kind".into()));
        }
        for kind in kinds {
            let allowed: Vec<String> = kind.policies().iter().map(|below| format!("{}{below}", arc.oid())).collect();
            if let Some(other) = accepts.policies.iter().map(ToString::to_string).find(|policy| !allowed.contains(policy)) {
                return Err(disagree(format!("the bureau asks for certificate policy {other}, and the kind allows {}", allowed.join(" or "))));
            }
        }
        if !filings.keep_by(&accepts.kind, &bureau.calendar) {
            return Err(disagree(format!("{} is not in filings/, or knows no deadline of the kind's name and period", bureau.calendar)));
        }
    }
    Ok(())
}

fn texts(documents: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    documents.iter().map(|(file, text)| (file.as_str(), text.as_str()))
}

/// Every file adds its path below the policies and its text to the digest, each after its length.
fn documents(path: &Path, below: &str, context: &mut Context) -> Result<BTreeMap<String, String>, InitError> {
    let directory = path.join(below);
    let mut documents = BTreeMap::new();
    for entry in std::fs::read_dir(&directory).map_err(|error| InitError::file(&directory, &error))? {
        let found = entry.map_err(|error| InitError::file(&directory, &error))?.path();
        if found.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let mut text = String::new();
        let read = std::fs::File::open(&found).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
        read.map_err(|error| InitError::file(&found, &error))?;
        if text.len() as u64 > MAX_FILE || documents.len() >= MAX_FILES {
            return Err(InitError::File { path: found, reason: format!("a policy has at most {MAX_FILE} bytes, and there are at most {MAX_FILES}") });
        }
        documents.insert(found.file_name().unwrap_or_default().to_string_lossy().into_owned(), text);
    }
    for (file, text) in &documents {
        for part in [&format!("{below}/{file}"), text] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
    }
    Ok(documents)
}

/// An entry of the log when they are others than were read last.
pub fn note(store: &dyn Store, policies: &Policies, now: OffsetDateTime) -> Result<(), InitError> {
    let (key, digest) = (Key::new("policies read", &[]), policies.digest.as_bytes());
    let before = store.get(&key)?;
    if before.as_deref() == Some(digest) {
        return Ok(());
    }
    let still = before.map_or(Expectation::Absent(key.clone()), |before| Expectation::Equals(key.clone(), before));
    let mut batch = Batch::new().expect(still).put(key, digest);
    Event::PoliciesRead { sha256: &policies.digest }.append(&mut batch, now)?;
    store.commit(batch)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_from_before_the_archive_gets_its_policy_and_keeps_what_it_has() {
        let place = tempfile::tempdir().unwrap();
        let arc = || PolicyArc::parse("arc.toml", "arc = \"1.3.6.1.4.1.32473\"").unwrap();
        ship(place.path()).unwrap();
        let (archive, whole) = (place.path().join(FILINGS).join(SHIPPED_ARCHIVE.0), read(place.path(), arc()).unwrap());
        std::fs::remove_file(&archive).unwrap();
        assert!(matches!(read(place.path(), arc()), Err(InitError::MissingPolicy { .. })));
        ship_new(place.path()).unwrap();
        assert_eq!(read(place.path(), arc()).unwrap().digest, whole.digest);
        // A bureau and a kind that disagree are refused, each told by name.
        let bureaus = place.path().join(DESK).join("bureaus.toml");
        let text = std::fs::read_to_string(&bureaus).unwrap();
        for (from, to) in [("policies = [\".1.2\", \".1.9\"]", "policies = [\".1.3\"]"), ("SI_WAGE_BASE", "NO_SUCH_KIND")] {
            assert!(text.contains(from));
            std::fs::write(&bureaus, text.replacen(from, to, 1)).unwrap();
            let error = read(place.path(), arc()).err().unwrap().to_string();
            assert!(error.contains("gz-social-insurance") && (error.contains("1.3.6.1.4.1.32473.1.3") || error.contains("NO_SUCH_KIND")), "{error}");
        }
        // A calendar that is not there, or knows no deadline of its kinds, is told; one that does is kept.
        let with = |calendar: &str| std::fs::write(&bureaus, text.replacen("hotline = \"12333\"", &format!("hotline = \"12333\"\ncalendar = \"{calendar}\""), 1)).unwrap();
        with("calendar-social.toml");
        let why = || read(place.path(), arc()).err().unwrap().to_string();
        assert!(why().contains("calendar-social.toml is not in filings/"));
        let own = place.path().join(FILINGS).join("calendar-social.toml");
        std::fs::write(&own, SHIPPED_CALENDAR.1.replace("si-year", "another")).unwrap();
        assert!(why().contains("SI_WAGE_BASE"));
        std::fs::write(&own, SHIPPED_CALENDAR.1.replace("day = 25", "day = 5")).unwrap();
        let read_back = read(place.path(), arc()).unwrap().filings;
        let due = |kind: &str, period: &str| {
            let (name, period) = (policies::filing::KindName::parse(kind).unwrap(), policies::filing::FilingPeriod::parse(period).unwrap());
            read_back.deadline(read_back.current(&name, period).unwrap(), period).unwrap().date.to_string()
        };
        assert_eq!((due("SI_STAFF_CHANGE", "202611").as_str(), due("VAT_GENERAL", "202610").as_str()), ("2026-11-05", "2026-11-16"));
        std::fs::remove_file(&own).unwrap();
        // Fewer than the kind allows is the bureau's choice.
        std::fs::write(&bureaus, text.replace(", \".1.9\"", "")).unwrap();
        read(place.path(), arc()).unwrap();
        std::fs::write(&bureaus, text).unwrap();
        std::fs::write(&archive, SHIPPED_ARCHIVE.1.replace("grace_hours = 26", "grace_hours = 30")).unwrap();
        ship_new(place.path()).unwrap();
        assert_eq!(read(place.path(), arc()).unwrap().archive.grace, time::Duration::hours(30));
    }
}
