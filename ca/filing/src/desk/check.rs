//! The fourteen checks that a filing passes, in their order, and what is told of one that it does not.
// spec: domain.md 6.4

use serde::Serialize;

/// Programs rely on numbers and codes; neither ever changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Check {
    /// Form, version and size.
    Form = 1,
    /// CMS, whose algorithms suffice, of exactly one signer.
    Cms = 2,
    /// Digest and signature.
    Signature = 3,
    /// A path to a root that this bureau believes.
    Path = 4,
    /// A certificate for signing.
    Usage = 5,
    /// Issued under a policy that this kind asks for.
    Policy = 6,
    /// A trusted timestamp within the certificate's validity.
    Time = 7,
    /// Not revoked at that time.
    Revocation = 8,
    /// The credit code is the same in every place.
    Enterprise = 9,
    /// The signer may sign for the enterprise.
    Signer = 10,
    /// Not filed before.
    Replay = 11,
    /// The next revision of an open period.
    Sequence = 12,
    Deadline = 13,
    /// The rules of the kind.
    Rules = 14,
}

impl Check {
    pub const ALL: [Self; 14] = [
        Self::Form,
        Self::Cms,
        Self::Signature,
        Self::Path,
        Self::Usage,
        Self::Policy,
        Self::Time,
        Self::Revocation,
        Self::Enterprise,
        Self::Signer,
        Self::Replay,
        Self::Sequence,
        Self::Deadline,
        Self::Rules,
    ];

    pub fn number(self) -> u8 {
        self as u8
    }

    /// As problems name it.
    pub fn code(self) -> &'static str {
        self.series().first().map_or("", |(_, code)| code)
    }

    /// The labels of its metric.
    pub fn series(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Form => &[("outcome", "check-01-form")],
            Self::Cms => &[("outcome", "check-02-cms")],
            Self::Signature => &[("outcome", "check-03-signature")],
            Self::Path => &[("outcome", "check-04-path")],
            Self::Usage => &[("outcome", "check-05-usage")],
            Self::Policy => &[("outcome", "check-06-policy")],
            Self::Time => &[("outcome", "check-07-time")],
            Self::Revocation => &[("outcome", "check-08-revocation")],
            Self::Enterprise => &[("outcome", "check-09-enterprise")],
            Self::Signer => &[("outcome", "check-10-signer")],
            Self::Replay => &[("outcome", "check-11-replay")],
            Self::Sequence => &[("outcome", "check-12-sequence")],
            Self::Deadline => &[("outcome", "check-13-deadline")],
            Self::Rules => &[("outcome", "check-14-rules")],
        }
    }

    /// What is wrong and what to do, where nothing more is known: Chinese, then English.
    fn words(self) -> [&'static str; 4] {
        match self {
            Self::Form => ["内容的格式或版本不符", "请用 filing new 重新生成", "the form or its version is not right", "make it anew with `filing new`"],
            Self::Cms => ["签名的格式或算法不符", "请用 filing sign 重新签署", "the signature's form or algorithms are not right", "sign anew with `filing sign`"],
            Self::Signature => ["签名与内容不符", "请提交签署时的原文，或重新签署", "the signature is not over this content", "send the very octets that were signed, or sign anew"],
            Self::Path => ["证书不是本单位认可的机构签发的", "请使用本市企业证书", "the certificate is of no authority that this bureau believes", "use an enterprise certificate of this city"],
            Self::Usage => ["证书不能用于签名", "请使用签名证书，而不是加密证书", "the certificate is not for signing", "use the signing certificate, not the one for encryption"],
            Self::Policy => ["证书的用途不包括此类申报", "请申请包含此用途的证书", "the certificate was not issued for this kind of filing", "have one issued that is"],
            Self::Time => ["签署时间无效", "请校准时钟后重新签署", "the time of signing does not hold", "set the clock and sign anew"],
            Self::Revocation => ["证书在签署时已被吊销或冻结", "请换用有效证书重新签署；冻结解除后可再次提交", "the certificate was revoked or on hold when it signed", "sign with a good one; after a hold has ended send it again"],
            Self::Enterprise => ["统一社会信用代码不一致", "请核对申报与证书中的代码", "the credit code is not the same everywhere", "compare the filing's with the certificate's"],
            Self::Signer => ["签署人无权代表该企业", "代理申报须有有效的委托", "the signer may not sign for this enterprise", "an agent needs a live mandate"],
            Self::Replay => ["该申报已经提交过", "请查询回执，或另起一版", "this was filed before", "see its receipt, or file another revision"],
            Self::Sequence => ["版次不连续，或该所属期已关闭", "请查询最新版次后再提交", "the revision is not the next one, or the period is closed", "ask for the newest revision first"],
            Self::Deadline => ["已过申报期限", "请与受理单位联系", "the deadline is over", "call the bureau"],
            Self::Rules => ["内容不符合填报规则", "请按所列各项更正", "the content breaks rules of its kind", "correct each of those listed"],
        }
    }
}

/// One check that was not passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub check: Check,
    pub zh: String,
    pub en: String,
    pub next_zh: String,
    pub next_en: String,
    /// JSON pointer to blame.
    pub field: Option<String>,
    /// A rule of the kind, by its name.
    pub rule: Option<String>,
}

impl Finding {
    pub fn new(check: Check) -> Self {
        let [zh, next_zh, en, next_en] = check.words().map(str::to_owned);
        Self { check, zh, en, next_zh, next_en, field: None, rule: None }
    }

    /// With what is known more.
    pub fn because(mut self, zh: impl std::fmt::Display, en: impl std::fmt::Display) -> Self {
        self.zh = format!("{}：{zh}", self.zh);
        self.en = format!("{}: {en}", self.en);
        self
    }

    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into()).filter(|field: &String| !field.is_empty());
        self
    }
}

/// A finding as it is answered.
#[derive(Debug, Serialize)]
pub struct Failure<'a> {
    pub check: u8,
    pub code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'a str>,
    pub message: &'a str,
    pub message_en: &'a str,
    pub next: &'a str,
    pub next_en: &'a str,
}

impl<'a> From<&'a Finding> for Failure<'a> {
    fn from(finding: &'a Finding) -> Self {
        let Finding { check, zh, en, next_zh, next_en, field, rule } = finding;
        Self { check: check.number(), code: check.code(), rule: rule.as_deref(), field: field.as_deref(), message: zh, message_en: en, next: next_zh, next_en }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_number_and_its_code() {
        for (place, check) in Check::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(check.number()), place + 1);
            assert!(check.code().starts_with(&format!("check-{:02}-", check.number())));
        }
    }
}
