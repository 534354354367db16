//! MTA-STS: what a domain says over HTTPS of its servers. Text in, policy out; time is an argument.
// spec: rfc8461

use serde::{Deserialize, Serialize};

/// Octets of a policy that are read. spec: rfc8461#3.3
pub(super) const MAX_POLICY: usize = 64 * 1024;
/// Seconds that a policy may hold. spec: rfc8461#3.2
const MAX_AGE: u64 = 31_557_600;
const MAX_PATTERNS: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Enforce,
    Testing,
    None,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Policy {
    pub mode: Mode,
    /// Seconds.
    pub max_age: u64,
    pub mx: Vec<String>,
}

/// A policy as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub id: String,
    /// Unix milliseconds.
    pub fetched: u64,
    pub policy: Policy,
}

impl Kept {
    pub fn holds(&self, now: u64) -> bool {
        now < self.fetched.saturating_add(self.policy.max_age.saturating_mul(1_000))
    }
}

/// The id in the texts of `_mta-sts.DOMAIN`: exactly one of them has to be a record. spec: rfc8461#3.1
pub(super) fn id(texts: &[String]) -> Option<String> {
    let mut records = texts.iter().filter(|text| text.trim_start().starts_with("v=STSv1;") || text.trim() == "v=STSv1");
    let record = records.next().filter(|_| records.next().is_none())?;
    let id = record.split(';').filter_map(|field| field.split_once('=')).find(|(name, _)| name.trim() == "id")?.1.trim();
    let fits = (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| id.to_owned())
}

impl Policy {
    /// spec: rfc8461#3.2
    pub fn parse(text: &str) -> Option<Self> {
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            match name.trim() {
                // A field that stands twice counts as it stands first, but for `mx`.
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" if mx.len() < MAX_PATTERNS => mx.push(value.trim_end_matches('.').to_ascii_lowercase()),
                _ => {}
            }
        }
        let mode = match mode? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            _ => return None,
        };
        let max_age: u64 = max_age.filter(|text| text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
        (version? == "STSv1" && (mode == Mode::None || !mx.is_empty())).then(|| Self { mode, max_age: max_age.min(MAX_AGE), mx })
    }

    /// Whether a server is one of the domain's. A star stands for one label. spec: rfc8461#4.1
    pub fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(above) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == above),
            None => *pattern == host,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records() {
        let of = |texts: &[&str]| id(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["v=STSv1; id=20261129T000000;"]).as_deref(), Some("20261129T000000"));
        assert_eq!(of(&["other", "v=STSv1;id=a"]).as_deref(), Some("a"));
        for wrong in [&["v=STSv1; id=a", "v=STSv1; id=b"][..], &["v=STSv2; id=a"], &["v=STSv1"], &["v=STSv1; id=a-b"], &["v=STSv1; id="], &[]] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn policies() {
        let policy = Policy::parse("version: STSv1\r\nmode: enforce\r\nmx: MX1.c.cn\r\nmx: *.mail.c.cn\r\nmax_age: 604800\r\nnew: thing\r\n").unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
        for (host, named) in [("mx1.c.cn", true), ("MX1.C.CN.", true), ("a.mail.c.cn", true), ("a.b.mail.c.cn", false), ("mail.c.cn", false), (".mail.c.cn", false), ("mx2.c.cn", false)] {
            assert_eq!(policy.names(host), named, "{host}");
        }
        assert_eq!(Policy::parse("version: STSv1\nmode: none\nmax_age: 1\n").unwrap().mode, Mode::None);
        for wrong in ["", "version: STSv1\nmode: enforce\nmax_age: 1\n", "version: STSv1\nmode: maybe\nmx: a\nmax_age: 1\n", "version: STSv1\nmode: enforce\nmx: a\n", "mode: enforce\nmx: a\nmax_age: 1\n", "version: STSv1\nmode: enforce\nmx: a\nmax_age: -1\n", "<html>"] {
            assert_eq!(Policy::parse(wrong), None, "{wrong}");
        }
        let kept = Kept { id: "a".into(), fetched: 1_000, policy: Policy { max_age: 2, ..policy } };
        assert!(kept.holds(2_999) && !kept.holds(3_000));
    }
}
