//! What a mail gateway says to the authority about a real-name mailbox, in the one form that is signed.
//!
//! One line of JSON, its keys in this order and nothing besides: whatever reads the same and is written otherwise is refused,
//! so that one statement has one digest.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::certificate::{Email, Pseudonym};
use crate::document::named;

/// The most bytes of a statement.
pub const MAX_STATEMENT_BYTES: usize = 2_048;
/// What keeps these words apart from whatever else is signed with the same key.
const FORM: &str = "suiyin registrar statement 1";

named! {
    /// How the account stands with the gateway.
    Standing {
        /// The mailbox is open, and of a person whose documents were seen.
        Open = "open",
        Closed = "closed",
    }
}

named! {
    /// Why a mailbox's certificates end, by the names of RFC 5280.
    // spec: rfc5280#5.3.1
    Ending {
        /// The holder says that somebody else may have the key.
        KeyCompromise = "key-compromise",
        /// The holder wants another one, or none.
        Superseded = "superseded",
        /// The mailbox is closed.
        CessationOfOperation = "cessation-of-operation",
    }
}

/// By what a statement is known: sixteen random octets, used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementId([u8; 16]);

impl StatementId {
    pub fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |octet: u8| match octet {
            b'0'..=b'9' => Some(octet - b'0'),
            b'a'..=b'f' => Some(octet - b'a' + 10),
            _ => None,
        };
        let octets: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        octets.filter(|_| rest.is_empty())?.try_into().ok().map(Self)
    }
}

/// Thirty-two lower-case hexadecimal digits.
impl std::fmt::Display for StatementId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// What is said about the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Its owner, who is called so, asks for a certificate by this request.
    Certify {
        pseudonym: Pseudonym,
        /// SHA-256 of the PKCS#10, DER.
        request_sha256: [u8; 32],
    },
    /// Its certificates end.
    Withdraw { reason: Ending },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub id: StatementId,
    pub mailbox: Email,
    pub standing: Standing,
    /// Whole seconds, UTC.
    pub at: OffsetDateTime,
    pub said: Said,
}

/// A text that is no statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a statement in the one form that is signed; sign what `mailgw mailbox certificate` writes")]
pub struct StatementError;

// An unknown key is not refused here but does not come out again, which refuses it.
#[derive(Serialize, Deserialize)]
struct Written {
    form: String,
    id: String,
    mailbox: String,
    standing: String,
    at: String,
    #[serde(flatten)]
    said: SaidWritten,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SaidWritten {
    Certify(CertifyWritten),
    Withdraw(WithdrawWritten),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CertifyWritten {
    pseudonym: String,
    request_sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WithdrawWritten {
    reason: String,
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl Statement {
    /// The very text that is signed.
    pub fn text(&self) -> Result<String, StatementError> {
        let said = match &self.said {
            Said::Certify { pseudonym, request_sha256 } => {
                SaidWritten::Certify(CertifyWritten { pseudonym: pseudonym.to_string(), request_sha256: hexadecimal(request_sha256) })
            }
            Said::Withdraw { reason } => SaidWritten::Withdraw(WithdrawWritten { reason: reason.to_string() }),
        };
        let at = self.at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).map_err(|_| StatementError)?;
        let written = Written { form: FORM.to_owned(), id: self.id.to_string(), mailbox: self.mailbox.to_string(), standing: self.standing.to_string(), at, said };
        serde_json::to_string(&written).map_err(|_| StatementError)
    }

    pub fn parse(text: &str) -> Result<Self, StatementError> {
        if text.len() > MAX_STATEMENT_BYTES {
            return Err(StatementError);
        }
        let written: Written = serde_json::from_str(text).map_err(|_| StatementError)?;
        let said = match written.said {
            SaidWritten::Certify(CertifyWritten { pseudonym, request_sha256 }) => Said::Certify {
                pseudonym: Pseudonym::parse(&pseudonym).map_err(|_| StatementError)?,
                request_sha256: digest(&request_sha256).ok_or(StatementError)?,
            },
            SaidWritten::Withdraw(WithdrawWritten { reason }) => Said::Withdraw { reason: Ending::from_name(&reason).ok_or(StatementError)? },
        };
        let at = OffsetDateTime::parse(&written.at, &Rfc3339).ok().filter(|at| at.nanosecond() == 0).ok_or(StatementError)?;
        let statement = Self {
            id: StatementId::parse(&written.id).ok_or(StatementError)?,
            mailbox: Email::parse(&written.mailbox).map_err(|_| StatementError)?,
            standing: Standing::from_name(&written.standing).ok_or(StatementError)?,
            at,
            said,
        };
        // Whatever was written otherwise comes out otherwise: other order, spaces, escapes, another form.
        if statement.text()? == text { Ok(statement) } else { Err(StatementError) }
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let (first, second) = text.split_at_checked(32)?;
    let halves = [StatementId::parse(first)?.0, StatementId::parse(second)?.0];
    halves.concat().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    fn certify() -> Statement {
        Statement {
            id: StatementId([7; 16]),
            mailbox: Email::parse("1234567897@mail.example.cn").unwrap(),
            standing: Standing::Open,
            at: datetime!(2026-11-29 06:30:00 UTC),
            said: Said::Certify { pseudonym: Pseudonym::of([1; 10]), request_sha256: [0xab; 32] },
        }
    }

    #[test]
    fn the_form_is_frozen() {
        let expected = format!(
            "{{\"form\":\"suiyin registrar statement 1\",\"id\":\"{}\",\"mailbox\":\"1234567897@mail.example.cn\",\"standing\":\"open\",\"at\":\"2026-11-29T06:30:00Z\",\"certify\":{{\"pseudonym\":\"{}\",\"request_sha256\":\"{}\"}}}}",
            "07".repeat(16),
            Pseudonym::of([1; 10]),
            "ab".repeat(32)
        );
        assert_eq!(certify().text().unwrap(), expected);
        let ended = Statement { standing: Standing::Closed, said: Said::Withdraw { reason: Ending::CessationOfOperation }, ..certify() };
        assert!(ended.text().unwrap().ends_with("\"withdraw\":{\"reason\":\"cessation-of-operation\"}}"));
        assert_eq!(Statement::parse(&ended.text().unwrap()), Ok(ended));
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        let good = certify().text().unwrap();
        assert_eq!(Statement::parse(&good), Ok(certify()));
        for (from, to) in [
            ("statement 1", "statement 2"),
            ("\"id\":\"07", "\"id\":\"0A"),
            ("\"id\":\"0707", "\"id\":\"07"),
            ("mail.example.cn", "Mail.example.cn"),
            ("1234567897@", "\\u0031234567897@"),
            ("\"standing\"", " \"standing\""),
            ("\"standing\":\"open\"", "\"standing\":\"frozen\""),
            ("06:30:00Z", "06:30:00+00:00"),
            ("06:30:00Z", "06:30:00.5Z"),
            ("P-", "p-"),
            ("abab", "ABAB"),
            ("abab", "ab"),
            ("\"certify\"", "\"x\":1,\"certify\""),
            ("}}", "},\"withdraw\":{\"reason\":\"superseded\"}}"),
            ("{\"form\"", "[{\"form\""),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            assert_eq!(Statement::parse(&changed), Err(StatementError), "{to}");
        }
        assert_eq!(Statement::parse(&format!("{good}\n")), Err(StatementError));
        assert_eq!(Statement::parse(&" ".repeat(MAX_STATEMENT_BYTES + 1)), Err(StatementError));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(id: [u8; 16], digits in "[0-9]{10}", seconds in 0i64..4_000_000_000, bits: [u8; 10], request_sha256: [u8; 32]) {
            let statement = Statement {
                id: StatementId(id),
                mailbox: Email::parse(&format!("{digits}@a.example")).unwrap(),
                at: OffsetDateTime::from_unix_timestamp(seconds).unwrap(),
                said: Said::Certify { pseudonym: Pseudonym::of(bits), request_sha256 },
                ..certify()
            };
            prop_assert_eq!(Statement::parse(&statement.text().unwrap()), Ok(statement));
        }

        #[test]
        fn no_text_panics(text in ".{0,300}") {
            let _ = Statement::parse(&text);
        }
    }
}
