//! Names as they are compared, and the constraints that an authority puts on the names below it.
// spec: rfc5280#7.1, rfc5280#4.2.1.10
use super::PathError;
use crate::asn1::{DerError, Reader};
use crate::view::{ALTERNATIVE_NAME, CertificateView};
use const_oid::ObjectIdentifier as Oid;

pub(super) const NAME_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.30");
const EMAIL_ADDRESS: Oid = Oid::new_unwrap("1.2.840.113549.1.9.1");
const SMTP_UTF8_MAILBOX: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.8.9");
/// The most names of one certificate, and subtrees of one authority, that are compared: their product is bounded.
const MAX_NAMES: usize = 256;

const OTHER: u8 = 0xa0;
const MAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const DIRECTORY: u8 = 0xa4;
const URI: u8 = 0x86;
const ADDRESS: u8 = 0x87;

/// One attribute: type, and its text in the form in which it is compared, or its octets when it is no text.
type Attribute<'a> = (&'a [u8], Result<String, &'a [u8]>);

/// Whether two Names, DER, are one: octet for octet, or but for case and spaces.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a == b || (last_may_agree(a, b) && matches!((relative_names(a), relative_names(b)), (Ok(a), Ok(b)) if a == b))
}

/// Whether the last relative names, the common names of our own, may be one: most names that are not the same differ there,
/// and are not read any further.
fn last_may_agree(a: &[u8], b: &[u8]) -> bool {
    let (Ok(Some(a)), Ok(Some(b))) = (last(a), last(b)) else { return true };
    a == b || !matches!((plain_text(a), plain_text(b)), (Some(a), Some(b)) if !folded(a).eq(folded(b)))
}

/// The text of a relative name of one attribute in UTF-8, as nearly all are; none of one whose case depends on what stands around.
fn plain_text(set: &[u8]) -> Option<&str> {
    let mut pair = Reader::new(Reader::only(set, 0x30).ok()?);
    pair.take(6).ok()?;
    let (tag, value, _) = pair.any().ok()?;
    pair.end().ok()?;
    let text = std::str::from_utf8(value).ok().filter(|_| tag == 0x0c || (matches!(tag, 0x13 | 0x16) && value.is_ascii()))?;
    (!text.contains(['Σ', 'σ', 'ς'])).then_some(text)
}

/// As [`compared`] makes it, a character at a time.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.split_whitespace().enumerate().flat_map(|(at, word)| (at > 0).then_some(' ').into_iter().chain(word.chars())).flat_map(char::to_lowercase)
}

/// The octets of the last relative name.
fn last(name: &[u8]) -> Result<Option<&[u8]>, DerError> {
    let mut rdns = Reader::new(Reader::only(name, 0x30)?);
    let mut last = None;
    while !rdns.is_empty() {
        last = Some(rdns.take(0x31)?);
    }
    Ok(last)
}

/// The relative names of a Name, each with its attributes in an order of their own.
fn relative_names(name: &[u8]) -> Result<Vec<Vec<Attribute<'_>>>, DerError> {
    let mut rdns = Reader::new(Reader::only(name, 0x30)?);
    let (mut all, mut count) = (Vec::new(), 0);
    while !rdns.is_empty() {
        all.push(relative_name(rdns.take(0x31)?, &mut count)?);
    }
    Ok(all)
}

/// The attributes of one relative name, counted on.
fn relative_name<'a>(set: &'a [u8], count: &mut usize) -> Result<Vec<Attribute<'a>>, DerError> {
    let mut set = Reader::new(set);
    let mut one = Vec::new();
    while !set.is_empty() {
        let mut pair = Reader::new(set.take(0x30)?);
        let (id, (tag, value, whole)) = (pair.take(6)?, pair.any()?);
        pair.end()?;
        *count += 1;
        if *count > MAX_NAMES {
            return Err(DerError::Value("more than 256 attributes of a name"));
        }
        one.push((id, compared(tag, value).ok_or(whole)));
    }
    one.sort_unstable();
    Ok(one)
}

/// Spaces at the ends are nothing, those between are one, and case is nothing; strings of any kind are one text.
fn compared(tag: u8, value: &[u8]) -> Option<String> {
    let text = match tag {
        0x0c => std::str::from_utf8(value).ok()?.to_owned(),
        0x13 | 0x16 if value.is_ascii() => String::from_utf8_lossy(value).into_owned(),
        0x1e => {
            let (units, rest) = value.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())?
        }
        _ => return None,
    };
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
}

/// What an authority's certificate says of the names below it: kind and octets of each subtree.
struct Subtrees<'a> {
    permitted: Vec<(u8, &'a [u8])>,
    excluded: Vec<(u8, &'a [u8])>,
}

impl<'a> Subtrees<'a> {
    fn of(authority: &CertificateView<'a>) -> Result<Option<Self>, DerError> {
        let Some(value) = authority.extension(&NAME_CONSTRAINTS) else { return Ok(None) };
        let mut fields = Reader::new(Reader::only(value, 0x30)?);
        let (permitted, excluded) = (fields.optional(0xa0)?, fields.optional(0xa1)?);
        fields.end()?;
        Ok(Some(Self { permitted: subtrees(permitted)?, excluded: subtrees(excluded)? }))
    }
}

fn subtrees(list: Option<&[u8]>) -> Result<Vec<(u8, &[u8])>, DerError> {
    let mut list = Reader::new(list.unwrap_or_default());
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut one = Reader::new(list.take(0x30)?);
        let (kind, base, _) = one.any()?;
        // Minimum and maximum are not used: the first is 0, which is not written, the second absent.
        one.end()?;
        if found.len() == MAX_NAMES {
            return Err(DerError::Value("more than 256 name constraints"));
        }
        found.push((kind, base));
    }
    Ok(found)
}

/// Every name of a certificate: its subject, its alternative names, and the mail addresses in its subject.
fn names<'a>(view: &CertificateView<'a>) -> Result<Vec<(u8, &'a [u8])>, DerError> {
    let mut found = Vec::new();
    if view.subject != [0x30, 0] {
        found.push((DIRECTORY, view.subject));
    }
    let mut rdns = Reader::new(Reader::only(view.subject, 0x30)?);
    while !rdns.is_empty() {
        let mut set = Reader::new(rdns.take(0x31)?);
        while !set.is_empty() {
            let mut pair = Reader::new(set.take(0x30)?);
            let (id, (_, value, _)) = (pair.take(6)?, pair.any()?);
            if id == EMAIL_ADDRESS.as_bytes() {
                found.push((MAIL, value));
            }
        }
    }
    let mut list = Reader::new(view.extension(&ALTERNATIVE_NAME).map_or(Ok(&[][..]), |value| Reader::only(value, 0x30))?);
    while !list.is_empty() {
        let (kind, value, _) = list.any()?;
        found.push((kind, value));
    }
    if found.len() > MAX_NAMES { Err(DerError::Value("more than 256 names")) } else { Ok(found) }
}

/// Whether the names of everything below `authority` are such as it allows; `below` begins with the holder. An
/// authority's other certificate in its own name is not judged, the holder always is. spec: rfc5280#6.1.3 (b), (c)
pub(super) fn allowed(authority: &CertificateView<'_>, below: &[&CertificateView<'_>]) -> Result<(), PathError> {
    let Some(subtrees) = Subtrees::of(authority)? else { return Ok(()) };
    for (depth, view) in below.iter().enumerate() {
        if depth > 0 && same(view.subject, view.issuer) {
            continue;
        }
        for (kind, name) in names(view)? {
            // Addresses that are not ASCII stand in another kind of name, and no constraint on addresses would bind them.
            let hidden = kind == OTHER && Reader::new(name).take(6)? == SMTP_UTF8_MAILBOX.as_bytes();
            let about = if hidden { MAIL } else { kind };
            // What we cannot compare is not allowed: nobody knows what it was meant to bind.
            let within = |base: &[u8]| if hidden { None } else { lies_within(kind, name, base) };
            let judged = |list: &[(u8, &[u8])]| list.iter().filter(|(other, _)| *other == about).map(|(_, base)| within(base)).collect::<Option<Vec<_>>>();
            let permitted = judged(&subtrees.permitted).ok_or(PathError::Constraint)?;
            let excluded = judged(&subtrees.excluded).ok_or(PathError::Constraint)?;
            if excluded.contains(&true) || !(permitted.is_empty() || permitted.contains(&true)) {
                return Err(PathError::Constraint);
            }
        }
    }
    Ok(())
}

/// `None` when it cannot be told: an unknown kind, or a name or base that is not well formed.
fn lies_within(kind: u8, name: &[u8], base: &[u8]) -> Option<bool> {
    match kind {
        DIRECTORY => {
            let (name, base) = (relative_names(name).ok()?, relative_names(base).ok()?);
            Some(name.starts_with(&base))
        }
        MAIL => mail_within(ascii(name)?, ascii(base)?),
        DNS => dns_within(host(ascii(name)?)?, ascii(base)?),
        URI => {
            let (host, base) = (host_of(ascii(name)?)?, ascii(base)?);
            Some(host_within(host, base))
        }
        ADDRESS => {
            let (network, mask) = base.split_at_checked(base.len() / 2)?;
            if !matches!(base.len(), 8 | 32) || !matches!(name.len(), 4 | 16) {
                return None;
            }
            let bits = |octets: &[u8]| octets.iter().zip(mask).map(|(octet, mask)| octet & mask).collect::<Vec<_>>();
            Some(name.len() == network.len() && bits(name) == bits(network))
        }
        _ => None,
    }
}

fn ascii(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// A base with `@` is one mailbox, one with a leading dot all below that domain, another one host.
fn mail_within(name: &str, base: &str) -> Option<bool> {
    // A quoted local part may hold another at sign; the last one is the address's own.
    let (local, at) = name.rsplit_once('@').filter(|(local, _)| !local.is_empty())?;
    let at = host(at)?;
    Some(match base.rsplit_once('@') {
        Some((of, host)) => local == of && at.eq_ignore_ascii_case(host),
        None => host_within(at, base),
    })
}

/// A name of a host in the one form in which it is compared: with a dot at its end it would be the same host and another
/// text, and lie outside of what excludes it.
fn host(name: &str) -> Option<&str> {
    name.split('.').all(|label| !label.is_empty()).then_some(name)
}

/// A star stands for names within the base and others, where the base lies below it: that cannot be told.
fn dns_within(name: &str, base: &str) -> Option<bool> {
    let within = host_below(name, base);
    let covers = name.strip_prefix("*.").is_some_and(|parent| host_below(base, parent));
    if covers && !within { None } else { Some(within) }
}

/// A base with a leading dot is all below that domain but not it, another one host; an empty one is every host.
fn host_within(host: &str, base: &str) -> bool {
    match base.strip_prefix('.') {
        Some(domain) => host.len() > domain.len() && host_below(host, domain),
        None => base.is_empty() || host.eq_ignore_ascii_case(base),
    }
}

/// The host or any below it.
fn host_below(host: &str, base: &str) -> bool {
    let base = base.strip_prefix('.').unwrap_or(base);
    let Some((front, tail)) = host.len().checked_sub(base.len()).and_then(|at| host.split_at_checked(at)) else { return false };
    tail.eq_ignore_ascii_case(base) && (base.is_empty() || front.is_empty() || front.ends_with('.'))
}

/// The host of a URI; one that names none, or an address, cannot be told. spec: rfc5280#4.2.1.10
fn host_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let is_name = !host.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err();
    self::host(host).filter(|_| is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_addresses() {
        let within = |name: &str, base: &str| lies_within(MAIL, name.as_bytes(), base.as_bytes());
        for (name, base) in [("a@b.cn", "a@b.cn"), ("a@B.CN", "a@b.cn"), ("a@b.cn", "b.cn"), ("a@b.cn", "B.cn"), ("a@x.b.cn", ".b.cn"), ("a@y.x.b.cn", ".b.cn"), ("\"a@x\"@b.cn", "b.cn"), ("a@b.cn", "")] {
            assert_eq!(within(name, base), Some(true), "{name} {base}");
        }
        for (name, base) in [("A@b.cn", "a@b.cn"), ("a@x.b.cn", "b.cn"), ("a@b.cn", ".b.cn"), ("a@xb.cn", ".b.cn"), ("a@xb.cn", "b.cn"), ("a@b.cn.evil", "b.cn"), ("\"a@b.cn\"@evil", "b.cn")] {
            assert_eq!(within(name, base), Some(false), "{name} {base}");
        }
        for name in ["b.cn", "@b.cn", "a@", "", "a b@b.cn", "张@b.cn", "a@b.cn\0", "a@b.cn.", "a@.b.cn", "a@x..b.cn"] {
            assert_eq!(within(name, "b.cn"), None, "{name}");
        }
    }

    #[test]
    fn hosts_and_addresses() {
        let dns = |name: &str, base: &str| lies_within(DNS, name.as_bytes(), base.as_bytes());
        assert!(dns("b.cn", "b.cn") == Some(true) && dns("x.B.cn", "b.CN") == Some(true) && dns("x.b.cn", ".b.cn") == Some(true) && dns("anything", "") == Some(true));
        assert!(dns("xb.cn", "b.cn") == Some(false) && dns("cn", "b.cn") == Some(false) && dns("b.cn.x", "b.cn") == Some(false));
        // Another text of an excluded host, and a star that stands for it.
        assert!(dns("b.cn.", "b.cn").is_none() && dns("x..b.cn", "b.cn").is_none() && dns("*.cn", "b.cn").is_none() && dns("*.CN", "x.b.cn").is_none());
        assert!(dns("*.b.cn", "b.cn") == Some(true) && dns("*.b.cn", "c.cn") == Some(false) && dns("*.b.cn", "") == Some(true));
        let uri = |name: &str, base: &str| lies_within(URI, name.as_bytes(), base.as_bytes());
        assert!(uri("http://u@b.cn:80/x", "b.cn") == Some(true) && uri("https://x.b.cn?y", ".b.cn") == Some(true));
        assert!(uri("http://x.b.cn/", "b.cn") == Some(false) && uri("http://b.cn@evil/", "b.cn") == Some(false) && uri("http://b.cn/", ".b.cn") == Some(false));
        assert!(uri("http://b.cn./", "b.cn").is_none() && uri("http:///x", "b.cn").is_none());
        assert!(uri("urn:x", "b.cn").is_none() && uri("http://192.0.2.1/", "b.cn").is_none() && uri("http://[::1]/", "b.cn").is_none());
        let address = |name: &[u8], base: &[u8]| lies_within(ADDRESS, name, base);
        assert_eq!(address(&[192, 0, 2, 7], &[192, 0, 2, 0, 255, 255, 255, 0]), Some(true));
        assert_eq!(address(&[192, 0, 3, 7], &[192, 0, 2, 0, 255, 255, 255, 0]), Some(false));
        assert_eq!(address(&[0; 16], &[0; 8]), Some(false));
        assert!(address(&[1, 2, 3], &[0; 8]).is_none() && address(&[0; 4], &[0; 7]).is_none());
        assert_eq!(lies_within(0x88, &[1], &[1]), None);
    }

    proptest::proptest! {
        #[test]
        fn characters_fold_as_their_text_does(text in "\\PC{0,12}", spaced in "[ \t\u{3000}aAßİK\u{130}]{0,8}") {
            for text in [text, spaced] {
                if !text.contains(['Σ', 'σ', 'ς']) {
                    proptest::prop_assert_eq!(folded(&text).collect::<String>(), compared(0x0c, text.as_bytes()).unwrap());
                }
            }
        }
    }

    #[test]
    fn names_but_for_case_and_spaces() {
        let name = |tag: u8, text: &str| {
            let attribute = crate::asn1::seq(&[&[6, 3, 0x55, 4, 3], &crate::asn1::tlv(tag, text.as_bytes())]);
            crate::asn1::seq(&[&crate::asn1::tlv(0x31, &attribute)])
        };
        assert!(same(&name(0x13, "Good  CA"), &name(0x0c, " good ca ")) && same(&name(0x0c, "穗印 CA"), &name(0x0c, "穗印 ca")));
        assert!(!same(&name(0x13, "Good CA"), &name(0x13, "GoodCA")) && !same(&name(0x13, "a"), &[0x30, 0]) && !same(&name(0x14, "a"), &name(0x13, "a")));
        assert!(same(&name(0x14, "a"), &name(0x14, "a")) && !same(&[0x31, 0], &[0x30, 0]));
    }
}
