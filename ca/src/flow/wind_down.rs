//! Writing the wind-down package while the service goes on: the records as they are at one moment, and exactly that much
//! of the log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use evidence::{Evidence, STREAM};
use serde::Serialize;
use store::{Batch, Key, Snapshot};

use super::authorise::Actor;
use super::backup::{BackupError, Found, Place, failed};
use crate::authority::Authority;
use crate::backup::{Item, Measured};
use crate::record::{CertificateRecord, CrlRecord, IssuerRecord, PublishedRoot, decode, log, serial_text};
use crate::service::pem;
use crate::wind_down::history::{About, Digest, Histories, read};
use crate::wind_down::{CERTIFICATES, CERTIFICATES_PEM, CertificateLine, ISSUERS, IssuerLine, LISTS, LOG, ListLine, MANIFEST, NOTE, PACKAGE, POLICIES, Package, RECORDS, RecordLine, WoundDown, note_text};

/// Octets of records read at a time.
const PAGE: usize = 4 << 20;

/// The whole line. `progress` is told what is written and how many of it.
pub fn export(authority: &Authority, evidence: &Evidence, by: &Actor, to: &Path, progress: &mut dyn FnMut(&str, u64)) -> Result<WoundDown, BackupError> {
    // 1. A place of its own beside the name, which it gets at the end: what has the name is whole.
    let place = Place::make(to, evidence.directory())?;
    // 2. One moment: the records, and the log as long as it was then.
    let snapshot = authority.store.snapshot()?;
    let taken = authority.clock.now().unix_timestamp();
    let length = snapshot.stream_length(STREAM)?;
    // 3. The log, and what it tells of each certificate.
    let mut histories = Histories::default();
    let mut strange = None;
    let directory = place.path(LOG);
    evidence.export_first(&directory, length, &mut |at, of, leaf| {
        match read(at, leaf) {
            Some(About::Certificate(serial, event)) => histories.push(serial, event),
            Some(_) => {}
            None => strange = strange.or(Some(at)),
        }
        if at % 100_000 == 0 || at + 1 == of {
            progress("log entries", at + 1);
        }
    })?;
    if let Some(entry) = strange {
        return Err(BackupError::Record { what: format!("entry {entry} of the log") });
    }
    let mut histories = histories.sorted();
    // 4. Every record of that moment.
    let mut items = Vec::new();
    let certificates = certificates(&place, &*snapshot, &mut histories, &mut items, progress)?;
    let issuers = issuers(&place, &*snapshot, &mut items)?;
    let lists = lists(&place, &*snapshot, &mut items)?;
    let mut records = BTreeMap::new();
    for (table, path) in RECORDS {
        let written = others(&place, &*snapshot, table, path, &mut items)?;
        progress(path, written);
        records.insert(path.to_owned(), written);
    }
    drop(snapshot);
    // 5. The rules by which all that was done.
    let mut found = Found::default();
    found.collect(POLICIES.to_owned(), &evidence.directory().join(POLICIES), 1)?;
    for path in &found.files {
        let from = evidence.directory().join(path);
        items.push(place.write(path, &mut File::open(&from).map_err(failed(&from))?)?);
    }
    let settings = &authority.settings;
    let package = Package {
        version: 1,
        taken,
        base_url: settings.base_url.clone(),
        origin: settings.log_origin.clone(),
        earlier_logs: settings.earlier_logs.clone(),
        log_entries: length,
        certificates,
        issuers,
        lists,
        records,
    };
    items.push(place.write(PACKAGE, &mut serde_json::to_vec_pretty(&package)?.as_slice())?);
    measured(&directory, LOG, &mut items)?;
    // 6. The list of all of it, signed.
    items.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest: String = items.iter().map(|item| format!("{}  {}\n", item.sha256, item.path)).collect();
    let sha256 = crate::sha256_hex(manifest.as_bytes());
    place.write(MANIFEST, &mut manifest.as_bytes())?;
    place.write(NOTE, &mut evidence.sign_note(&note_text(&sha256))?.as_bytes())?;
    // 7. Recorded before there is a package of that name: none is without its entry.
    let mut batch = Batch::new();
    let entry = log::Entry::WindDownExported { manifest_sha256: &sha256, certificates, entries: length, by: &by.to_string() };
    batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
    authority.store.commit(batch)?;
    // 8. Durable, then named.
    place.name(to)?;
    let (files, bytes) = (items.len() as u64 + 2, items.iter().map(|item| item.size).sum());
    Ok(WoundDown { directory: to.to_owned(), taken, certificates, log_entries: length, files, bytes, sha256, vkey: evidence.verifier()?.to_string() })
}

/// A file that grows line by line.
struct Lines {
    path: PathBuf,
    name: String,
    out: Measured<BufWriter<File>>,
    count: u64,
}

impl Lines {
    fn new(place: &Place, name: &str) -> Result<Self, BackupError> {
        Ok(Self { path: place.path(name), name: name.to_owned(), out: Measured::new(BufWriter::new(place.file(name)?)), count: 0 })
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), BackupError> {
        serde_json::to_writer(&mut self.out, line)?;
        self.text("\n")?;
        self.count += 1;
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), BackupError> {
        self.out.write_all(text.as_bytes()).map_err(failed(&self.path))
    }

    fn end(self) -> Result<(Item, u64), BackupError> {
        let (item, out) = self.out.end(&self.name);
        out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all()).map_err(failed(&self.path))?;
        Ok((item, self.count))
    }
}

/// Hands on the records of one table, in the order of their keys.
fn table(snapshot: &dyn Snapshot, table: &str, mut visit: impl FnMut(&Key, &[u8]) -> Result<(), BackupError>) -> Result<(), BackupError> {
    let (mut after, to) = Key::range(table, &[]);
    loop {
        let page = snapshot.page(Some(&after), PAGE)?;
        for (key, value) in &page {
            if *key >= to {
                return Ok(());
            }
            visit(key, value)?;
        }
        match page.into_iter().next_back() {
            Some((last, _)) => after = last,
            None => return Ok(()),
        }
    }
}

fn damaged(what: &str) -> BackupError {
    BackupError::Record { what: what.to_owned() }
}

fn certificates(place: &Place, snapshot: &dyn Snapshot, histories: &mut Histories, items: &mut Vec<Item>, progress: &mut dyn FnMut(&str, u64)) -> Result<u64, BackupError> {
    let (mut lines, mut bodies) = (Lines::new(place, CERTIFICATES)?, Lines::new(place, CERTIFICATES_PEM)?);
    table(snapshot, CertificateRecord::TABLE, |key, value| {
        let serial = key.last_part().ok_or_else(|| damaged("a certificate"))?;
        let record: CertificateRecord = decode(value).map_err(|_| damaged("a certificate"))?;
        bodies.text(&pem("CERTIFICATE", &record.der))?;
        lines.line(&CertificateLine { serial: serial_text(&serial), sha256: Digest::of(&record.der).into(), history: histories.take(&serial), record })?;
        if lines.count.is_multiple_of(100_000) {
            progress("certificates", lines.count);
        }
        Ok(())
    })?;
    items.push(bodies.end()?.0);
    let (item, count) = lines.end()?;
    items.push(item);
    progress("certificates", count);
    Ok(count)
}

fn issuers(place: &Place, snapshot: &dyn Snapshot, items: &mut Vec<Item>) -> Result<u64, BackupError> {
    let mut lines = Lines::new(place, ISSUERS)?;
    let mut write = |record: IssuerRecord| {
        items.push(place.write(&format!("issuers/{}.pem", record.id), &mut pem("CERTIFICATE", &record.der).as_bytes())?);
        lines.line(&IssuerLine { sha256: crate::sha256_hex(&record.der), record })
    };
    table(snapshot, IssuerRecord::TABLE, |_, value| write(decode(value).map_err(|_| damaged("an issuer"))?))?;
    // Roots of later generations, with what leads to them.
    table(snapshot, PublishedRoot::TABLE, |_, value| {
        let published: PublishedRoot = decode(value).map_err(|_| damaged("a root"))?;
        write(published.issuer().unwrap_or_else(|| IssuerRecord::new(published.id, published.der)))
    })?;
    let (item, count) = lines.end()?;
    items.push(item);
    Ok(count)
}

fn lists(place: &Place, snapshot: &dyn Snapshot, items: &mut Vec<Item>) -> Result<u64, BackupError> {
    let mut lines = Lines::new(place, LISTS)?;
    table(snapshot, CrlRecord::TABLE, |key, value| {
        // Whole lists, which are complete: parts and deltas say nothing beside them.
        let named = key.last_part().and_then(|part| String::from_utf8(part).ok());
        let Some(issuer) = named.filter(|issuer| *key == CrlRecord::key(issuer)) else { return Ok(()) };
        let list: CrlRecord = decode(value).map_err(|_| damaged("a list"))?;
        let item = place.write(&format!("lists/{issuer}.crl"), &mut list.der.as_slice())?;
        lines.line(&ListLine { issuer, number: list.number, this_update: list.this_update, next_update: list.next_update, entries: list.entries, sha256: item.sha256.clone() })?;
        items.push(item);
        Ok(())
    })?;
    let (item, count) = lines.end()?;
    items.push(item);
    Ok(count)
}

/// Records of one table, JSON and what goes with it, or the octets of those that have none.
fn others(place: &Place, snapshot: &dyn Snapshot, name: &str, path: &str, items: &mut Vec<Item>) -> Result<u64, BackupError> {
    let mut lines = Lines::new(place, path)?;
    let before = Key::new(name, &[]);
    table(snapshot, name, |key, value| {
        let key = crate::hex(key.as_bytes().strip_prefix(before.as_bytes()).unwrap_or_default());
        let mut parts = value.splitn(2, |octet| *octet == 0);
        let (json, body) = (parts.next().unwrap_or_default(), parts.next());
        match serde_json::from_slice::<serde_json::Value>(json) {
            Ok(record @ serde_json::Value::Object(_)) => lines.line(&RecordLine { key, record: Some(record), octets: body.map(|body| STANDARD.encode(body)) }),
            _ => lines.line(&RecordLine { key, record: None, octets: Some(STANDARD.encode(value)) }),
        }
    })?;
    let (item, count) = lines.end()?;
    items.push(item);
    Ok(count)
}

/// The files of a directory that another part wrote, made durable.
fn measured(directory: &Path, name: &str, items: &mut Vec<Item>) -> Result<(), BackupError> {
    for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
        let entry = entry.map_err(failed(directory))?;
        let (path, file_name) = (entry.path(), entry.file_name());
        let name = format!("{name}/{}", file_name.to_string_lossy());
        if path.is_dir() {
            measured(&path, &name, items)?;
            continue;
        }
        let file = File::open(&path).map_err(failed(&path))?;
        let mut through = Measured::new(file);
        io::copy(&mut through, &mut io::sink()).map_err(failed(&path))?;
        let (item, file) = through.end(&name);
        file.sync_all().map_err(failed(&path))?;
        items.push(item);
    }
    Ok(())
}
