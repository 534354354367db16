//! A wind-down package verified by whoever has the root and the log's key, and nothing else of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use merkle::VerifierKey;
use pki::asn1::Reader;
use pki::signature::Scheme;
use pki::view::{CertificateView, Signed};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::history::{About, Digest, Histories, agrees, read};
use super::{CERTIFICATES, CERTIFICATES_PEM, CertificateLine, ISSUERS, IssuerLine, LISTS, LOG, ListLine, MANIFEST, NOTE, ORDERS, PACKAGE, Package, PackageError, RecordLine, note_text};
use crate::authority::ROOT;
use crate::backup::Measured;
use crate::record::{CertificateRecord, OrderId, OrderRecord, Record, serial_text};

/// The longest list of files, note or description, and the longest line of records, that are read.
const LONGEST: u64 = 64 << 20;
/// The longest certificate in PEM.
const LONGEST_PEM: usize = 32 << 10;
/// The longest list of revoked certificates.
const LONGEST_LIST: u64 = 1 << 30;
const DEEPEST: usize = 10;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    pub sha256: String,
    /// Unix seconds.
    pub taken: i64,
    pub base_url: String,
    pub files: u64,
    pub certificates: u64,
    pub issuers: u64,
    pub lists: u64,
    pub orders: u64,
    pub log_entries: u64,
}

fn wrong(path: impl Into<String>, reason: impl Into<String>) -> PackageError {
    PackageError::Wrong { path: path.into(), reason: reason.into() }
}

fn unread(path: &str) -> impl FnOnce(io::Error) -> PackageError {
    let path = path.to_owned();
    move |error| match error.kind() {
        io::ErrorKind::NotFound => PackageError::Missing { path },
        _ => PackageError::Unread { path, reason: error.to_string() },
    }
}

/// The whole line. `root` is DER; `progress` is told what is verified and how many of it.
pub fn verify(directory: &Path, root: &[u8], vkey: &str, progress: &mut dyn FnMut(&str, u64)) -> Result<Whole, PackageError> {
    let key = VerifierKey::from_str(vkey.trim()).map_err(|error| PackageError::Key(error.to_string()))?;
    let trusted = X509Certificate::from_der(root).ok().filter(|(rest, read)| rest.is_empty() && read.is_ca() && read.verify_signature(None).is_ok());
    if trusted.is_none() {
        return Err(PackageError::Root);
    }
    let package = Reading { directory };
    // 1. The list of files is the one that the log's key signed.
    let manifest = package.whole(MANIFEST)?;
    let sha256 = crate::sha256_hex(&manifest);
    let note = package.whole(NOTE)?;
    if merkle::open_note(&note, &key).map_err(|error| wrong(NOTE, error.to_string()))? != note_text(&sha256) {
        return Err(PackageError::Changed { path: MANIFEST.into() });
    }
    let files = listed(&manifest)?;
    // 2. Each of them is there as it was, and nothing else is.
    let mut found = BTreeSet::new();
    package.walk("", 0, &mut found)?;
    if let Some(path) = found.iter().find(|path| !files.contains_key(*path) && *path != MANIFEST && *path != NOTE) {
        return Err(PackageError::Strange { path: path.clone() });
    }
    for (done, (path, digest)) in (1..).zip(&files) {
        if package.digest(path)? != *digest {
            return Err(PackageError::Changed { path: path.clone() });
        }
        progress("files", done);
    }
    let about: Package = serde_json::from_slice(&package.whole(PACKAGE)?).map_err(|error| wrong(PACKAGE, error.to_string()))?;
    // 3. The log: all its hashes, and what it tells.
    let mut log = package.log(&key, about.log_entries)?;
    progress("log entries", about.log_entries);
    // 4. Issuers, each up to the root.
    let issuers = package.issuers(root)?;
    // 5. Certificates: under their issuers, and as the log tells of them.
    let certificates = package.certificates(&issuers, &mut log.histories, progress)?;
    if let Some((serial, entry)) = log.histories.untold() {
        return Err(PackageError::Untold { path: LOG, entry, serial: serial_text(&serial) });
    }
    // 6. Lists under their issuers, each the last that the log tells of.
    let lists = package.lists(&issuers, &log.lists)?;
    // 7. Orders: what was applied for is what the log has digests of, and there is none without.
    let orders = package.orders(&log.orders)?;
    for (path, count, said) in [(CERTIFICATES, certificates, about.certificates), (ISSUERS, issuers.len() as u64, about.issuers), (LISTS, lists, about.lists)] {
        if count != said {
            return Err(wrong(path, format!("it has {count} lines, and {PACKAGE} says {said}")));
        }
    }
    for (path, said) in &about.records {
        let mut count = 0;
        package.lines::<RecordLine>(path, |_, _| {
            count += 1;
            Ok(())
        })?;
        if count != *said {
            return Err(wrong(path, format!("it has {count} lines, and {PACKAGE} says {said}")));
        }
    }
    let files = files.len() as u64;
    Ok(Whole { sha256, taken: about.taken, base_url: about.base_url, files, certificates, issuers: issuers.len() as u64, lists, orders, log_entries: about.log_entries })
}

/// Path and digest of each file, from the form that `sha256sum` writes, sorted and each once.
fn listed(manifest: &[u8]) -> Result<BTreeMap<String, Digest>, PackageError> {
    let form = || wrong(MANIFEST, "it is not in the form that is written");
    let text = std::str::from_utf8(manifest).map_err(|_| form())?;
    let mut files = BTreeMap::new();
    for line in text.lines() {
        let (digest, path) = line.split_once("  ").ok_or_else(form)?;
        let digest = Digest::try_from(digest.to_owned()).map_err(|_| form())?;
        let plain = path.split('/').count() <= DEEPEST && path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']));
        if !plain || files.insert(path.to_owned(), digest).is_some() {
            return Err(form());
        }
    }
    Ok(files)
}

/// An issuer that leads to the root.
struct Trusted {
    subject: Vec<u8>,
    spki: Vec<u8>,
}

impl Trusted {
    fn signed(&self, signed: &Signed<'_>) -> Result<(), String> {
        let algorithm = Reader::only(signed.algorithm, 0x30).map_err(|error| error.to_string())?;
        let scheme = Scheme::read(algorithm, None).map_err(|error| error.to_string())?;
        scheme.verify(&self.spki, signed.tbs, signed.signature).map_err(|error| error.to_string())
    }
}

/// What the log tells, by what it is about.
struct Told {
    histories: Histories,
    /// The digest of the last list of each issuer.
    lists: BTreeMap<String, Digest>,
    /// What was applied for, by order.
    orders: BTreeMap<Digest, Digest>,
}

/// A package whose files are read.
struct Reading<'a> {
    directory: &'a Path,
}

impl Reading<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    fn open(&self, path: &str) -> Result<File, PackageError> {
        File::open(self.path(path)).map_err(unread(path))
    }

    fn whole(&self, path: &str) -> Result<Vec<u8>, PackageError> {
        self.at_most(path, LONGEST)
    }

    fn at_most(&self, path: &str, longest: u64) -> Result<Vec<u8>, PackageError> {
        let mut bytes = Vec::new();
        self.open(path)?.take(longest + 1).read_to_end(&mut bytes).map_err(unread(path))?;
        if bytes.len() as u64 > longest { Err(wrong(path, "it is too long")) } else { Ok(bytes) }
    }

    fn digest(&self, path: &str) -> Result<Digest, PackageError> {
        let mut through = Measured::new(self.open(path)?);
        io::copy(&mut through, &mut io::sink()).map_err(unread(path))?;
        Digest::try_from(through.end(path).0.sha256).map_err(|reason| wrong(path, reason))
    }

    /// Every file below, by its path; a link or what else is no file is strange.
    fn walk(&self, below: &str, depth: usize, found: &mut BTreeSet<String>) -> Result<(), PackageError> {
        let shown = if below.is_empty() { "the directory" } else { below };
        for entry in fs::read_dir(self.path(below)).map_err(unread(shown))? {
            let entry = entry.map_err(unread(shown))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let kind = entry.file_type().map_err(unread(&path))?;
            if kind.is_dir() && depth < DEEPEST {
                self.walk(&path, depth + 1, found)?;
            } else if kind.is_file() {
                found.insert(path);
            } else {
                return Err(PackageError::Strange { path });
            }
        }
        Ok(())
    }

    /// Line by line, each with its number.
    fn lines<T: DeserializeOwned>(&self, path: &str, mut visit: impl FnMut(u64, T) -> Result<(), PackageError>) -> Result<(), PackageError> {
        let mut input = BufReader::new(self.open(path)?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = (&mut input).take(LONGEST_LIST).read_until(b'\n', &mut line).map_err(unread(path))?;
            if read == 0 {
                break;
            }
            visit(number, serde_json::from_slice(&line).map_err(|error| wrong(path, format!("line {number}: {error}")))?)?;
        }
        Ok(())
    }

    fn log(&self, key: &VerifierKey, entries: u64) -> Result<Told, PackageError> {
        let mut told = Told { histories: Histories::default(), lists: BTreeMap::new(), orders: BTreeMap::new() };
        let mut strange = None;
        let file = |path: &str| match fs::read(self.path(LOG).join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let verified = merkle::read_export(file, key, None, |at, leaf| match read(at, leaf) {
            Some(About::Certificate(serial, event)) => told.histories.push(serial, event),
            Some(About::List(issuer, digest)) => drop(told.lists.insert(issuer, digest)),
            Some(About::Order(order, content)) => drop(told.orders.insert(order, content)),
            Some(About::Forgotten(order)) => drop(told.orders.remove(&order)),
            Some(About::Other) => {}
            None => strange = strange.or(Some(at)),
        });
        let verified = verified.map_err(|error| wrong(format!("{LOG}/{}", error.path), error.reason.to_string()))?;
        if let Some(entry) = strange {
            return Err(wrong(LOG, format!("entry {entry} is not as this program writes them")));
        }
        if verified.size != entries {
            return Err(wrong(LOG, format!("it has {} entries, and {PACKAGE} says {entries}", verified.size)));
        }
        told.histories = told.histories.sorted();
        Ok(told)
    }

    fn issuers(&self, root: &[u8]) -> Result<BTreeMap<String, Trusted>, PackageError> {
        let mut ders = BTreeMap::new();
        self.lines::<IssuerLine>(ISSUERS, |_, line| {
            let (id, der) = (line.record.id, line.record.der);
            let path = format!("issuers/{id}.pem");
            let beside = pem::parse(self.whole(&path)?).map_err(|error| wrong(&path, error.to_string()))?;
            if beside.contents() != der || crate::sha256_hex(&der) != line.sha256 || ders.insert(id, der).is_some() {
                return Err(wrong(path, format!("it is not the certificate of {ISSUERS}")));
            }
            Ok(())
        })?;
        if ders.get(ROOT).map(Vec::as_slice) != Some(root) {
            return Err(wrong(format!("issuers/{ROOT}.pem"), "it is not the root that was given"));
        }
        let path = |id: &str| format!("issuers/{id}.pem");
        let parsed = |id: &str, der: &'_ [u8]| X509Certificate::from_der(der).map(|_| ()).map_err(|error| wrong(path(id), error.to_string()));
        ders.iter().try_for_each(|(id, der)| parsed(id, der))?;
        let read: BTreeMap<&str, X509Certificate<'_>> = ders.iter().filter_map(|(id, der)| Some((id.as_str(), X509Certificate::from_der(der).ok()?.1))).collect();
        // From the root down: who is signed by one that is trusted is trusted, and so is a root whose name and key one has that is.
        let mut trusted: BTreeSet<&str> = BTreeSet::from([ROOT]);
        loop {
            let signed = |one: &X509Certificate<'_>| {
                let above = |id: &&&str| read.get(**id).is_some_and(|above| one.issuer().as_raw() == above.subject().as_raw() && one.verify_signature(Some(above.public_key())).is_ok());
                let same = |id: &&&str| read.get(**id).is_some_and(|known| known.subject().as_raw() == one.subject().as_raw() && known.public_key().raw == one.public_key().raw && one.verify_signature(None).is_ok());
                one.is_ca() && trusted.iter().any(|id| above(&id) || same(&id))
            };
            let more: Vec<&str> = read.iter().filter(|(id, one)| !trusted.contains(**id) && signed(one)).map(|(id, _)| *id).collect();
            if more.is_empty() {
                break;
            }
            trusted.extend(more);
        }
        if let Some(id) = read.keys().find(|id| !trusted.contains(**id)) {
            return Err(wrong(path(id), "it does not lead to the root"));
        }
        Ok(read.iter().map(|(id, one)| ((*id).to_owned(), Trusted { subject: one.subject().as_raw().to_vec(), spki: one.public_key().raw.to_vec() })).collect())
    }

    fn certificates(&self, issuers: &BTreeMap<String, Trusted>, histories: &mut Histories, progress: &mut dyn FnMut(&str, u64)) -> Result<u64, PackageError> {
        let mut bodies = BufReader::new(self.open(CERTIFICATES_PEM)?);
        let (mut count, mut before) = (0, String::new());
        self.lines::<CertificateLine>(CERTIFICATES, |line, certificate| {
            let CertificateLine { serial, sha256, record, history } = certificate;
            let refused = |reason: &'static str| PackageError::Certificate { path: CERTIFICATES, line, serial: serial.clone(), reason };
            // In step with the certificates themselves.
            let der = next(&mut bodies)?.ok_or_else(|| wrong(CERTIFICATES_PEM, "it ends too early"))?;
            let record = CertificateRecord { der, ..record };
            if crate::sha256_hex(&record.der) != sha256 {
                return Err(refused("it is not the one at its place in certificates.pem"));
            }
            if serial <= before {
                return Err(refused("it is not in the order of the serials"));
            }
            let view = CertificateView::parse(&record.der).map_err(|_| refused("it cannot be read"))?;
            let digest = ring::digest::digest(&ring::digest::SHA256, view.spki);
            let same = serial_text(view.serial) == serial
                && (view.not_before.unix_timestamp(), view.not_after.unix_timestamp()) == (record.not_before, record.not_after)
                && digest.as_ref() == record.key_digest;
            if !same {
                return Err(refused("its record is of another certificate"));
            }
            let issuer = issuers.get(&record.issuer).filter(|issuer| issuer.subject == view.issuer).ok_or_else(|| refused("its issuer is not in the package"))?;
            issuer.signed(&view.signed).map_err(|_| refused("its issuer did not sign it"))?;
            if histories.take(view.serial) != history {
                return Err(refused("its history is not the one that the log tells"));
            }
            agrees(&record, &history).map_err(refused)?;
            count += 1;
            if count % 1_000 == 0 {
                progress("certificates", count);
            }
            before = serial;
            Ok(())
        })?;
        if next(&mut bodies)?.is_some() {
            return Err(wrong(CERTIFICATES_PEM, "it has a certificate without a record"));
        }
        progress("certificates", count);
        Ok(count)
    }

    fn lists(&self, issuers: &BTreeMap<String, Trusted>, told: &BTreeMap<String, Digest>) -> Result<u64, PackageError> {
        let mut known = BTreeSet::new();
        self.lines::<ListLine>(LISTS, |_, line| {
            let path = format!("lists/{}.crl", line.issuer);
            let der = self.at_most(&path, LONGEST_LIST)?;
            let issuer = issuers.get(&line.issuer).ok_or_else(|| wrong(&path, "its issuer is not in the package"))?;
            let signed = Signed::parse(&der).map_err(|error| wrong(&path, error.to_string()))?;
            issuer.signed(&signed).map_err(|reason| wrong(&path, reason))?;
            let digest = Digest::of(&der);
            if String::from(digest) != line.sha256 || told.get(&line.issuer) != Some(&digest) {
                return Err(wrong(path, "it is not the last list that the log tells of"));
            }
            known.insert(line.issuer);
            Ok(())
        })?;
        match told.keys().find(|issuer| !known.contains(*issuer)) {
            Some(issuer) => Err(wrong(LISTS, format!("the list of {issuer} is missing"))),
            None => Ok(known.len() as u64),
        }
    }

    fn orders(&self, told: &BTreeMap<Digest, Digest>) -> Result<u64, PackageError> {
        let mut count = 0;
        self.lines::<RecordLine>(ORDERS, |number, line| {
            let refused = |reason: &str| wrong(ORDERS, format!("line {number}: {reason}"));
            let order: OrderRecord = line.record.and_then(|record| serde_json::from_value(record).ok()).ok_or_else(|| refused("it is no order"))?;
            let request = line.octets.and_then(|octets| STANDARD.decode(octets).ok()).ok_or_else(|| refused("its request is missing"))?;
            let order = order.with_body(&request).ok_or_else(|| refused("its request is missing"))?;
            let id = id_of(&line.key).ok_or_else(|| refused("it has no number"))?;
            let digest = |text: String| Digest::try_from(text).map_err(&refused);
            let content = digest(order.content_digest(&id).map_err(|error| refused(&error.to_string()))?)?;
            if told.get(&digest(id.digest())?) != Some(&content) {
                return Err(refused("what was applied for is not what the log has a digest of"));
            }
            count += 1;
            Ok(())
        })?;
        if count == told.len() as u64 { Ok(count) } else { Err(wrong(ORDERS, format!("it has {count} orders, and the log tells of {}", told.len()))) }
    }
}

/// An order's number, from the part of its key in the form of the store: 00 is written 00 ff, and 00 00 ends it.
fn id_of(key: &str) -> Option<OrderId> {
    let (pairs, _) = key.as_bytes().as_chunks::<2>();
    let octets: Option<Vec<u8>> = pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    let (mut id, octets) = (Vec::new(), octets?);
    let mut rest = octets.strip_suffix(&[0, 0])?.iter();
    while let Some(octet) = rest.next() {
        id.push(*octet);
        if *octet == 0 && rest.next() != Some(&0xff) {
            return None;
        }
    }
    OrderId::from_bytes(&id)
}

/// The next certificate of a PEM file as it is written here.
fn next(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, PackageError> {
    let failed = |reason: &str| wrong(CERTIFICATES_PEM, reason);
    let mut text = Vec::new();
    loop {
        let from = text.len();
        let read = input.take(LONGEST_PEM as u64).read_until(b'\n', &mut text).map_err(unread(CERTIFICATES_PEM))?;
        if read == 0 {
            return if text.is_empty() { Ok(None) } else { Err(failed("it ends within a certificate")) };
        }
        if text.len() > LONGEST_PEM {
            return Err(failed("a certificate is too long"));
        }
        if text.get(from..) == Some(b"-----END CERTIFICATE-----\n") {
            let parsed = pem::parse(&text).map_err(|_| failed("a certificate is no PEM"))?;
            return Ok(Some(parsed.into_contents()));
        }
    }
}
