//! Certificate revocation lists, judged rule by rule.

use crate::{Finding, Issuer, error, rules};
use x509_parser::prelude::{CertificateRevocationList, FromDer};
use x509_parser::revocation_list::TbsCertList;

/// A list and its issuer, as the rules see them.
pub(crate) struct List<'a> {
    pub der: &'a [u8],
    pub crl: CertificateRevocationList<'a>,
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

/// Every rule that the list breaks, with its issuer at hand. The signature's value is not looked at.
pub fn lint_crl(der: &[u8], issuer: &Issuer) -> Vec<Finding> {
    let crl = match CertificateRevocationList::from_der(der) {
        Ok(([], crl)) => crl,
        _ => return vec![error("crl-parses", "rfc5280#5.1", "the DER is not exactly one CRL")],
    };
    let list = List { der, crl, issuer };
    let found = rules::crl::ALL.iter().filter_map(|rule| (rule.check)(&list).err().map(|message| error(rule.name, rule.clause, message)));
    found.collect()
}
