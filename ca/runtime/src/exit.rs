//! How a command ends and how a service refuses: one table of exit codes, one JSON form of an error.

use std::fmt;
use std::process::ExitCode;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// The exit codes of every command. Scripts rely on the numbers; they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Exit {
    /// 0: done.
    Ok = 0,
    /// 1: a fault of ours, or one nobody foresaw.
    Internal = 1,
    /// 2: the command line or the configuration is wrong.
    Usage = 2,
    /// 3: understood and refused: a policy forbids it, or the input is bad.
    Refused = 3,
    /// 4: no such thing.
    NotFound = 4,
    /// 5: it exists already, or somebody else changed it first.
    Conflict = 5,
    /// 6: cannot be done now: server not running, port occupied, disk full. Trying later may help.
    Unavailable = 6,
    /// 7: damage found, or a verification failed.
    Damaged = 7,
    /// 8: not permitted: wrong user, wrong mode, wrong passphrase.
    Denied = 8,
}

impl Exit {
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Internal,
        Self::Usage,
        Self::Refused,
        Self::NotFound,
        Self::Conflict,
        Self::Unavailable,
        Self::Damaged,
        Self::Denied,
    ];

    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The exit a process code stands for; `None` for a number outside the table.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// The HTTP status a server answers with. Each exit has its own, so the way back loses nothing.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Ok => StatusCode::OK,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Usage => StatusCode::BAD_REQUEST,
            Self::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Damaged => StatusCode::FAILED_DEPENDENCY,
            Self::Denied => StatusCode::FORBIDDEN,
        }
    }

    /// The exit for an HTTP status, also one that a proxy or the HTTP layer itself made.
    pub fn from_status(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=399 => Self::Ok,
            400 | 405 | 406 | 415 => Self::Usage,
            401 | 403 => Self::Denied,
            404 | 410 => Self::NotFound,
            409 | 412 => Self::Conflict,
            424 => Self::Damaged,
            408 | 429 | 502 | 503 | 504 | 507 => Self::Unavailable,
            401..=499 => Self::Refused,
            _ => Self::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

impl TryFrom<ExitCode> for Exit {
    type Error = ExitCode;

    /// `ExitCode` shows its number to nobody, so it is compared against the table; a stranger is given back.
    fn try_from(code: ExitCode) -> Result<Self, ExitCode> {
        Self::ALL.into_iter().find(|exit| ExitCode::from(*exit) == code).ok_or(code)
    }
}

/// The one form of an error over HTTP, over the administration socket and with `--json`:
/// `{"code":"no-such-certificate","message":"..","next":"..","field":".."}`; `field` is left out when no input field is to blame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable kebab-case identifier for programs.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
    /// What to do next, for people.
    pub next: String,
    /// The input field to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The id of the request that ended so, as the service's log has it; set by the service's shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<str>>,
    /// How the command ends. Travels as the HTTP status, not in the body.
    #[serde(skip, default = "internal")]
    pub exit: Exit,
}

fn internal() -> Exit {
    Exit::Internal
}

impl Problem {
    pub fn new(exit: Exit, code: impl Into<String>, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), next: next.into(), field: None, request: None, exit }
    }

    /// Names the input field to blame.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// A body received with `status`; the status says how the command ends.
    pub fn received(mut self, status: StatusCode) -> Self {
        self.exit = Exit::from_status(status);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        write!(f, "{}; {}", self.message, self.next)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.exit.status(), Json(&self)).into_response();
        // The shell, which knows the request, writes it anew with its id.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_exit_survives_the_way_there_and_back() {
        for (number, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(exit.code()), number);
            assert_eq!(Exit::from_code(exit.code()), Some(exit));
            assert_eq!(Exit::from_status(exit.status()), exit);
            assert_eq!(Exit::try_from(ExitCode::from(exit)).unwrap(), exit);
        }
        assert_eq!(Exit::from_code(9), None);
        assert!(Exit::try_from(ExitCode::from(200)).is_err());
    }

    #[test]
    fn statuses_of_the_http_layer_have_an_exit() {
        assert_eq!(Exit::from_status(StatusCode::PAYLOAD_TOO_LARGE), Exit::Refused);
        assert_eq!(Exit::from_status(StatusCode::METHOD_NOT_ALLOWED), Exit::Usage);
        assert_eq!(Exit::from_status(StatusCode::BAD_GATEWAY), Exit::Unavailable);
        assert_eq!(Exit::from_status(StatusCode::UNAUTHORIZED), Exit::Denied);
        assert_eq!(Exit::from_status(StatusCode::NOT_IMPLEMENTED), Exit::Internal);
    }

    #[test]
    fn a_problem_survives_json_and_leaves_out_what_it_has_not() {
        let bare = Problem::new(Exit::NotFound, "no-such-serial", "no certificate has this serial", "check the serial");
        let text = serde_json::to_string(&bare).unwrap();
        assert_eq!(text, r#"{"code":"no-such-serial","message":"no certificate has this serial","next":"check the serial"}"#);
        let back: Problem = serde_json::from_str(&text).unwrap();
        assert_eq!(back.received(StatusCode::NOT_FOUND), bare);

        let blamed = bare.at("serial");
        let back: Problem = serde_json::from_str(&serde_json::to_string(&blamed).unwrap()).unwrap();
        assert_eq!(back.received(StatusCode::NOT_FOUND), blamed);
        assert_eq!(blamed.to_string(), "serial: no certificate has this serial; check the serial");
        assert_eq!(blamed.into_response().status(), StatusCode::NOT_FOUND);
    }
}
