//! A small file system of its own, to see what a full disk does.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unmounted when dropped; an ordinary directory where mounting is not allowed.
pub struct Disk {
    place: tempfile::TempDir,
    small: bool,
}

impl Disk {
    /// Of so many MiB, in memory.
    pub fn of(mib: u32) -> Self {
        let place = tempfile::tempdir().expect("a place for a disk");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(place.path()).output();
        let small = mounted.is_ok_and(|output| output.status.success());
        if !small {
            println!("SKIPPED: no tmpfs can be mounted here; run as root to try a full disk");
        }
        Self { place, small }
    }

    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Whether it can be filled.
    pub fn is_small(&self) -> bool {
        self.small
    }

    /// Nobody can write any more, until the file is gone.
    pub fn fill(&self) -> PathBuf {
        let filler = self.place.path().join("filler");
        let (mut file, piece) = (std::fs::File::create(&filler).expect("a file"), vec![0; 1 << 20]);
        while file.write_all(&piece).is_ok() {}
        while file.write_all(&[0; 4_096]).is_ok() {}
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.small {
            let _ = Command::new("umount").arg("--lazy").arg(self.place.path()).output();
        }
    }
}
