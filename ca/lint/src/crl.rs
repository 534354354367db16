//! Certificate revocation lists, judged rule by rule. A list may have a million entries: they are read one at a time, and
//! none is kept.

use crate::{Finding, Issuer, der, error, rules};
use x509_parser::prelude::{CertificateRevocationList, FromDer};
use x509_parser::revocation_list::{RevokedCertificate, TbsCertList};

/// A list taken apart: what is said of it as a whole, which is small, and its entries.
pub struct ReadList<'a> {
    /// The DER of the same list without its entries.
    head: Vec<u8>,
    tbs: &'a [u8],
    entries: &'a [u8],
}

impl<'a> ReadList<'a> {
    /// `None` when the DER is not exactly one list.
    pub fn read(der: &'a [u8]) -> Option<Self> {
        der::single(der).ok()?;
        let [(0x30, tbs), (_, algorithm), (3, signature)] = der::elements(der).ok()?[..] else { return None };
        let algorithm = wrapped(0x30, &[algorithm]);
        let (_, whole_tbs) = der::first(der::value(der).ok()?).ok()?;
        // What stands between the times and the extensions. spec: rfc5280#5.1
        let (mut fields, mut after_time, mut entries) = (Vec::new(), false, None);
        for (tag, value) in der::fields(tbs).ok()? {
            match tag {
                0x30 if after_time && entries.is_none() => entries = Some(value),
                _ => fields.push(wrapped(tag, &[value])),
            }
            after_time |= matches!(tag, 0x17 | 0x18);
        }
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let head = wrapped(0x30, &[&wrapped(0x30, &fields), &algorithm, &wrapped(3, &[signature])]);
        Some(Self { head, tbs: whole_tbs, entries: entries.unwrap_or_default() })
    }

    /// The list as if nobody were on it; its signature is over [`Self::tbs`].
    pub fn head(&self) -> Option<CertificateRevocationList<'_>> {
        match CertificateRevocationList::from_der(&self.head) {
            Ok(([], list)) => Some(list),
            _ => None,
        }
    }

    /// The bytes that were signed.
    pub fn tbs(&self) -> &'a [u8] {
        self.tbs
    }

    /// The entries as they come; after one that cannot be read there is nothing more.
    pub fn entries(&self) -> impl Iterator<Item = Option<RevokedCertificate<'a>>> + use<'a> {
        let mut rest = Some(self.entries);
        std::iter::from_fn(move || {
            let bytes = rest.filter(|bytes| !bytes.is_empty())?;
            let read = RevokedCertificate::from_der(bytes).ok();
            rest = read.as_ref().map(|(left, _)| *left);
            Some(read.map(|(_, entry)| entry))
        })
    }

    /// The serials alone, of entries that can be read.
    pub(crate) fn serials(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.entries;
        std::iter::from_fn(move || {
            let (left, entry) = der::next(rest).ok()?;
            rest = left;
            der::next(entry).ok().map(|(_, serial)| serial)
        })
    }
}

fn wrapped(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match length {
        0..128 => out.push(length as u8),
        _ => {
            let octets = length.to_be_bytes();
            let skip = octets.iter().take_while(|octet| **octet == 0).count();
            out.push(0x80 | (octets.len() - skip) as u8);
            out.extend(octets.iter().skip(skip));
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// A list and its issuer, as the rules see them.
pub(crate) struct List<'a> {
    pub der: &'a [u8],
    pub read: &'a ReadList<'a>,
    /// Without its entries.
    pub crl: &'a CertificateRevocationList<'a>,
    pub issuer: &'a Issuer,
}

impl<'a> List<'a> {
    pub(crate) fn tbs(&self) -> &TbsCertList<'a> {
        &self.crl.tbs_cert_list
    }
}

/// One rule: its name, its clause, and the check, which says what it found.
pub(crate) struct CrlRule {
    pub name: &'static str,
    pub clause: &'static str,
    pub check: fn(&List<'_>) -> Result<(), String>,
}

/// One rule of every entry.
pub(crate) struct EntryRule {
    pub name: &'static str,
    pub clause: &'static str,
    /// Of a list and one entry of it.
    pub check: fn(&List<'_>, &RevokedCertificate<'_>) -> Result<(), String>,
}

/// Every rule that the list breaks, with its issuer at hand. The signature's value is not looked at.
pub fn lint_crl(der: &[u8], issuer: &Issuer) -> Vec<Finding> {
    lint_crl_with(der, issuer, &mut |_| ())
}

/// The same, showing each entry to `each` on the way: a long list is gone through once for all that is asked of it.
pub fn lint_crl_with(der: &[u8], issuer: &Issuer, each: &mut dyn FnMut(&RevokedCertificate<'_>)) -> Vec<Finding> {
    let not_one = |_: ()| vec![error("crl-parses", "rfc5280#5.1", "the DER is not exactly one CRL")];
    let Some(read) = ReadList::read(der) else { return not_one(()) };
    let Some(crl) = read.head() else { return not_one(()) };
    let list = List { der, read: &read, crl: &crl, issuer };
    let mut found: Vec<Finding> = rules::crl::ALL.iter().filter_map(|rule| (rule.check)(&list).err().map(|message| error(rule.name, rule.clause, message))).collect();
    let mut unbroken: Vec<&EntryRule> = rules::crl::OF_ENTRIES.iter().collect();
    for entry in read.entries() {
        let Some(entry) = entry else { return not_one(()) };
        // A rule is broken once, however many entries break it.
        unbroken.retain(|rule| match (rule.check)(&list, &entry) {
            Ok(()) => true,
            Err(message) => {
                found.push(error(rule.name, rule.clause, message));
                false
            }
        });
        each(&entry);
    }
    found
}
