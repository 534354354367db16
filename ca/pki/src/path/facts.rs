//! What a certificate says of its holder, for showing and for deciding.
use crate::asn1::{DerError, Reader};
use crate::certificate::CREDIT_CODE;
use crate::name::{COMMON_NAME, ORGANIZATION, ORGANIZATION_IDENTIFIER};
use crate::view::{ALTERNATIVE_NAME, CRL_POINTS, CertificateView, INFORMATION_ACCESS, POLICIES};
use const_oid::ObjectIdentifier as Oid;
use time::OffsetDateTime;

const OCSP: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1");
const CA_ISSUERS: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.2");
/// The most values of one extension that are read.
const MAX_VALUES: usize = 64;
/// How a credit code stands in organizationIdentifier: a national registration, of China.
const REGISTRATION: &str = "NTRCN-";

/// Read from a certificate's DER; nothing of it is verified. Names are not in the debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Unsigned, big-endian, without leading zeros.
    pub serial: Vec<u8>,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    pub common_name: Option<String>,
    pub organization: Option<String>,
    /// As written, for example `NTRCN-…`.
    pub organization_identifier: Option<String>,
    /// The national extension.
    pub credit_code_extension: Option<String>,
    /// rfc822Name.
    pub emails: Vec<String>,
    pub crl_urls: Vec<String>,
    pub ocsp_urls: Vec<String>,
    pub ca_issuers_urls: Vec<String>,
}

impl std::fmt::Debug for CertificateFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateFacts").field("serial", &self.serial).field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl CertificateFacts {
    pub fn parse(certificate: &[u8]) -> Result<Self, DerError> {
        Self::of(&CertificateView::parse(certificate)?)
    }

    pub fn of(view: &CertificateView<'_>) -> Result<Self, DerError> {
        let name = Attributes::parse(view.subject)?;
        let access = view.extension(&INFORMATION_ACCESS).map_or(Ok(Vec::new()), information_access)?;
        let urls = |method: Oid| access.iter().filter(|(id, _)| *id == method.as_bytes()).map(|(_, url)| url.clone()).collect();
        Ok(Self {
            serial: view.serial.iter().copied().skip_while(|byte| *byte == 0).collect(),
            not_before: view.not_before,
            not_after: view.not_after,
            common_name: name.single(&COMMON_NAME)?,
            organization: name.single(&ORGANIZATION)?,
            organization_identifier: name.single(&ORGANIZATION_IDENTIFIER)?,
            credit_code_extension: view.extension(&CREDIT_CODE).map(credit_code).transpose()?,
            emails: view.extension(&ALTERNATIVE_NAME).map_or(Ok(Vec::new()), |value| general_names(Reader::only(value, 0x30)?, 0x81))?,
            crl_urls: distribution_points(view)?,
            ocsp_urls: urls(OCSP),
            ca_issuers_urls: urls(CA_ISSUERS),
        })
    }

    /// Where the full CRL is that tells of a certificate: that alone, of one that was read.
    pub fn lists_of(view: &CertificateView<'_>) -> Result<Vec<String>, DerError> {
        distribution_points(view)
    }

    /// Its responders: that alone.
    pub fn responders_of(view: &CertificateView<'_>) -> Result<Vec<String>, DerError> {
        let access = view.extension(&INFORMATION_ACCESS).map_or(Ok(Vec::new()), information_access)?;
        Ok(access.into_iter().filter(|(id, _)| *id == OCSP.as_bytes()).map(|(_, url)| url).collect())
    }

    /// The unified social credit code: of organizationIdentifier, and the national extension must not contradict it.
    pub fn credit_code(&self) -> Option<&str> {
        let code = self.organization_identifier.as_deref()?.strip_prefix(REGISTRATION)?;
        self.credit_code_extension.as_deref().is_none_or(|extension| extension == code).then_some(code)
    }
}

fn credit_code(value: &[u8]) -> Result<String, DerError> {
    let mut one = Reader::new(value);
    let (tag, text, _) = one.any()?;
    one.end()?;
    string(tag, text)
}

/// The attributes of a Name: identifier, tag and octets.
struct Attributes<'a>(Vec<(&'a [u8], u8, &'a [u8])>);

impl<'a> Attributes<'a> {
    fn parse(name: &'a [u8]) -> Result<Self, DerError> {
        let mut rdns = Reader::new(Reader::only(name, 0x30)?);
        let mut all = Vec::new();
        while !rdns.is_empty() {
            let mut set = Reader::new(rdns.take(0x31)?);
            while !set.is_empty() {
                let mut pair = Reader::new(set.take(0x30)?);
                let (id, (tag, value, _)) = (pair.take(6)?, pair.any()?);
                pair.end()?;
                if all.len() == MAX_VALUES {
                    return Err(DerError::Value("more than 64 name attributes"));
                }
                all.push((id, tag, value));
            }
        }
        Ok(Self(all))
    }

    /// An identity said twice is none.
    fn single(&self, id: &Oid) -> Result<Option<String>, DerError> {
        let mut found = self.0.iter().filter(|(known, ..)| *known == id.as_bytes());
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((_, tag, value)), None) => Ok(Some(string(*tag, value)?)),
            (Some(_), Some(_)) => Err(DerError::Value("a name attribute that is there twice")),
        }
    }
}

/// A DirectoryString that can be shown. spec: rfc5280#4.1.2.4
fn string(tag: u8, value: &[u8]) -> Result<String, DerError> {
    const WRONG: DerError = DerError::Value("a name's characters");
    let text = match tag {
        0x0c => std::str::from_utf8(value).map_err(|_| WRONG)?.to_owned(),
        0x13 | 0x16 if value.is_ascii() => String::from_utf8_lossy(value).into_owned(),
        0x1e => {
            let (units, rest) = value.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty()).ok_or(WRONG)?
        }
        _ => return Err(WRONG),
    };
    if text.chars().any(char::is_control) { Err(WRONG) } else { Ok(text) }
}

/// The IA5 names of one kind among GeneralNames.
pub(super) fn general_names(names: &[u8], kind: u8) -> Result<Vec<String>, DerError> {
    let mut list = Reader::new(names);
    let mut found = Vec::new();
    while !list.is_empty() {
        let (tag, value, _) = list.any()?;
        if tag != kind {
            continue;
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_graphic) || found.len() == MAX_VALUES {
            return Err(DerError::Value("an address, or more than 64 of them"));
        }
        found.push(String::from_utf8_lossy(value).into_owned());
    }
    Ok(found)
}

/// The full names of a DistributionPointName, as URLs. spec: rfc5280#4.2.1.13
pub(super) fn point_names(name: &[u8]) -> Result<Vec<String>, DerError> {
    let mut choice = Reader::new(name);
    let (tag, value, _) = choice.any()?;
    choice.end()?;
    if tag == 0xa0 { general_names(value, 0x86) } else { Ok(Vec::new()) }
}

/// Where the certificate's full CRL is: points for some reasons only, or of another issuer, are left out.
pub(super) fn distribution_points(view: &CertificateView<'_>) -> Result<Vec<String>, DerError> {
    let Some(value) = view.extension(&CRL_POINTS) else { return Ok(Vec::new()) };
    let mut points = Reader::new(Reader::only(value, 0x30)?);
    let mut urls = Vec::new();
    while !points.is_empty() {
        let mut point = Reader::new(points.take(0x30)?);
        let name = point.optional(0xa0)?;
        if let (Some(name), true) = (name, point.is_empty()) {
            urls.extend(point_names(name)?);
        }
        if urls.len() > MAX_VALUES {
            return Err(DerError::Value("more than 64 distribution points"));
        }
    }
    Ok(urls)
}

/// Method and URL of each access description. spec: rfc5280#4.2.2.1
fn information_access(value: &[u8]) -> Result<Vec<(&[u8], String)>, DerError> {
    let mut list = Reader::new(Reader::only(value, 0x30)?);
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut one = Reader::new(list.take(0x30)?);
        let (method, (_, _, location)) = (one.take(6)?, one.any()?);
        one.end()?;
        if found.len() > MAX_VALUES {
            return Err(DerError::Value("more than 64 access descriptions"));
        }
        found.extend(general_names(location, 0x86)?.into_iter().map(|url| (method, url)));
    }
    Ok(found)
}

/// The identifiers of certificatePolicies; none without the extension. spec: rfc5280#4.2.1.4
pub(super) fn policies<'a>(view: &CertificateView<'a>) -> Result<Vec<&'a [u8]>, DerError> {
    let Some(value) = view.extension(&POLICIES) else { return Ok(Vec::new()) };
    let mut list = Reader::new(Reader::only(value, 0x30)?);
    let mut found = Vec::new();
    while !list.is_empty() {
        let id = Reader::new(list.take(0x30)?).take(6)?;
        if found.contains(&id) || found.len() == MAX_VALUES {
            return Err(DerError::Value("a certificate policy that is there twice, or more than 64 of them"));
        }
        found.push(id);
    }
    Ok(found)
}
