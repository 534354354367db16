//! A power cut: what was never synced is gone, or there in part.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use super::writer::run_and_kill;
use super::{Acknowledged, Engine, how_many, lost, random};

/// What becomes of writes that no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsynced {
    Gone,
    /// Each page of four kilobytes made it or did not, in no order.
    Torn,
}

/// When a new file's name is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// As POSIX has it: when its directory is synced.
    WithDirectory,
    /// As ext4, XFS and btrfs have it: when the file is synced, too.
    WithFile,
}

const PAGE: usize = 4_096;

/// The library that keeps what was synced; see its first lines.
fn shadow(place: &Path) -> PathBuf {
    let library = place.join("shadow.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/shadow.c");
    let built = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-pthread", "-o"]).arg(&library).arg(source).status();
    assert!(built.expect("a C compiler: apt-get install gcc").success());
    library
}

/// As `shadow.c` writes it.
fn identity(path: &Path) -> String {
    let metadata = fs::symlink_metadata(path).unwrap();
    let born = metadata.created().unwrap().duration_since(UNIX_EPOCH).unwrap();
    format!("{}-{}-{}", metadata.ino(), born.as_secs(), born.subsec_nanos())
}

/// Files that are still there, by identity.
fn present(directory: &Path, found: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            present(&path, found);
        } else {
            found.insert(identity(&path), path);
        }
    }
}

/// What a machine finds after the cut: the names and bytes that were kept, made anew in `to`.
struct Remains<'a> {
    kept: &'a Path,
    present: BTreeMap<String, PathBuf>,
    unsynced: Unsynced,
}

impl Remains<'_> {
    fn directory(&self, id: &str, to: &Path) {
        fs::create_dir(to).unwrap();
        let names = fs::read_to_string(self.kept.join(format!("dir.{id}"))).unwrap_or_default();
        for line in names.lines() {
            let [kind, id, name] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            match kind {
                "d" => self.directory(id, &to.join(name)),
                _ => self.file(id, &to.join(name)),
            }
        }
    }

    /// A name without a sync of its file is an empty file.
    fn file(&self, id: &str, to: &Path) {
        let synced = fs::read(self.kept.join(format!("file.{id}"))).unwrap_or_default();
        let latest = match self.unsynced {
            Unsynced::Gone => None,
            Unsynced::Torn => self.present.get(id).map(|path| fs::read(path).unwrap()),
        };
        let latest = latest.filter(|_| random(4) > 0).unwrap_or_else(|| synced.clone());
        let file = fs::File::create(to).unwrap();
        file.set_len(latest.len() as u64).unwrap();
        for (number, new) in latest.chunks(PAGE).enumerate() {
            let old = synced.chunks(PAGE).nth(number).unwrap_or_default();
            let page = if old == new || random(2) == 0 { new } else { old };
            let page = &page[..page.len().min(new.len())];
            // Holes stay holes.
            if page.iter().any(|byte| *byte != 0) {
                file.write_all_at(page, (number * PAGE) as u64).unwrap();
            }
        }
    }
}

/// Cuts the power again and again, each time going on from the remains. Gives how many of those acknowledged were lost,
/// all of them when the remains do not open, at the first cut that loses any.
fn losses(engine: Engine, names: Names, unsynced: Unsynced, cuts: usize) -> (usize, String) {
    let place = tempfile::tempdir().unwrap();
    let library = shadow(place.path());
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    let mut directory = place.path().join("store");
    fs::create_dir(&directory).unwrap();
    for cut in 0..cuts {
        let kept = place.path().join(format!("kept{cut}"));
        fs::create_dir(&kept).unwrap();
        keep_all(&directory, &kept);
        let mut environment = vec![("LD_PRELOAD", &*library), ("SHADOW_ROOT", &directory), ("SHADOW_KEPT", &kept)];
        if names == Names::WithFile {
            environment.push(("SHADOW_NAMES", Path::new("1")));
        }
        acknowledged.extend(run_and_kill(engine, &directory, cut, &environment));
        let mut present_now = BTreeMap::new();
        present(&directory, &mut present_now);
        let after = place.path().join(format!("after{cut}"));
        Remains { kept: &kept, present: present_now, unsynced }.directory(&identity(&directory), &after);
        let found = engine.open(&after).and_then(|store| lost(&store, &acknowledged));
        fs::remove_dir_all(&kept).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        match found {
            Ok(0) => {}
            Ok(lost) => return (lost, format!("cut {cut}: {lost} of {} lost", acknowledged.len())),
            Err(error) => return (acknowledged.len(), format!("cut {cut}: {error}")),
        }
        directory = after;
    }
    (0, format!("{} acknowledged", acknowledged.len()))
}

/// What stood on the disk before the machine started is synced.
fn keep_all(directory: &Path, kept: &Path) {
    let mut names = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let (id, name) = (identity(&path), path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            names += &format!("d {id} {name}\n");
            keep_all(&path, kept);
        } else {
            names += &format!("f {id} {name}\n");
            fs::copy(&path, kept.join(format!("file.{id}"))).unwrap();
        }
    }
    fs::write(kept.join(format!("dir.{}", identity(directory))), names).unwrap();
}

fn cuts() -> usize {
    how_many("SUIYIN_CUTS", 6)
}

fn loses_nothing(engine: Engine, names: Names) {
    for unsynced in [Unsynced::Gone, Unsynced::Torn] {
        let (lost, said) = losses(engine, names, unsynced, cuts());
        assert_eq!(lost, 0, "{engine:?} {names:?} {unsynced:?}: {said}");
    }
}

#[test]
fn fjall_loses_nothing_to_a_power_cut() {
    loses_nothing(Engine::Fjall, Names::WithDirectory);
}

/// fjall never syncs the directory of its separated bodies, so they need a file system that keeps names with files.
#[test]
fn fjall_that_makes_tables_loses_nothing_to_a_power_cut() {
    loses_nothing(Engine::FjallFlushing, Names::WithFile);
}

#[test]
fn sled_loses_nothing_to_a_power_cut() {
    loses_nothing(Engine::Sled, Names::WithDirectory);
}

/// The instrument finds what it is for.
#[test]
fn sled_without_our_sync_does_lose() {
    let (lost, said) = losses(Engine::SledAsItIs, Names::WithFile, Unsynced::Gone, 4);
    assert_ne!(lost, 0, "{said}");
}
