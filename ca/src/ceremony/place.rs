//! Where a ceremony's files go: a directory beside the new one until all is there, then the new one, at once.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::CeremonyError;

/// The bytes that the key signs, there before it does.
pub const TO_BE_SIGNED: &str = "to-be-signed.der";

/// A directory that is not finished. What a crash leaves stays for whoever examines it, and is never written over.
pub struct Place {
    beside: PathBuf,
    out: PathBuf,
}

impl Place {
    /// With what is about to be signed, durable before it is: nothing is signed of which there is no trace.
    pub fn begin<'a>(out: &Path, to_be_signed: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, CeremonyError> {
        free(out)?;
        let place = Self { beside: beside(out), out: out.to_owned() };
        match DirBuilder::new().mode(0o700).create(&place.beside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(CeremonyError::Exists { path: place.beside }),
            made => made.map_err(failed(&place.beside))?,
        }
        for (name, bytes) in to_be_signed {
            place.write(name, bytes)?;
        }
        place.settled()?;
        Ok(place)
    }

    /// Where it is until it is finished.
    pub fn path(&self, name: &str) -> PathBuf {
        self.beside.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CeremonyError> {
        let path = self.beside.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all())).map_err(failed(&path))
    }

    fn settled(&self) -> Result<(), CeremonyError> {
        let durable = |path: &Path| fs::File::open(path).and_then(|directory| directory.sync_all()).map_err(failed(path));
        durable(&self.beside)?;
        durable(parent(&self.out))
    }

    /// All is written: it becomes the new directory.
    pub fn finish(self) -> Result<(), CeremonyError> {
        self.settled()?;
        absent(&self.out)?;
        fs::rename(&self.beside, &self.out).map_err(failed(&self.out))?;
        let parent = parent(&self.out);
        fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed(parent))
    }
}

/// Refused when anything stands at `out`, or is left beside it by a ceremony that was cut off: found out before a key is born.
pub fn free(out: &Path) -> Result<(), CeremonyError> {
    absent(out)?;
    absent(&beside(out))
}

fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    parent(out).join(name)
}

/// Nothing stands there, not even a link that leads nowhere.
fn absent(out: &Path) -> Result<(), CeremonyError> {
    if out.file_name().is_none() || fs::symlink_metadata(out).is_ok() { Err(CeremonyError::Exists { path: out.to_owned() }) } else { Ok(()) }
}

fn parent(out: &Path) -> &Path {
    out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CeremonyError + use<> {
    let path = path.to_owned();
    move |error| CeremonyError::Disk { path, reason: error.to_string() }
}
