//! The bureaus' desk: which bureau accepts what, and what the desk grants whoever files.

mod bureau;
mod limits;
mod unnamed;

use std::fmt::Write as _;

use crate::certificate::Arc;
use crate::document::{PolicyError, one_of_each};

pub use bureau::{Accepts, Bureau, BureauCode, BureauCodeError, Late};
pub use limits::{Limits, Uploads, Verify};
pub use unnamed::Unnamed;

/// File name and text of each document of `policies/desk/`, in the order of the names.
pub const SHIPPED: [(&str, &str); 2] =
    [("bureaus.toml", include_str!("../../desk/bureaus.toml")), limits::SHIPPED];

/// What holds at the desk. Had only from documents that make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskPolicy {
    bureaus: Vec<Bureau>,
    pub limits: Limits,
    pub unnamed: Unnamed,
}

impl DeskPolicy {
    /// Reads `bureaus.toml` and `limits.toml`: pairs of file name and text. `arc` is the operator's arc of policies.
    pub fn parse<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>, arc: Arc) -> Result<Self, PolicyError> {
        let [bureaus, limits] = one_of_each(["bureaus.toml", "limits.toml"], documents)?;
        let (limits, unnamed) = limits::parse(limits)?;
        Ok(Self { bureaus: bureau::parse(bureaus, arc)?, limits, unnamed })
    }

    pub fn bureaus(&self) -> &[Bureau] {
        &self.bureaus
    }

    pub fn bureau(&self, code: &str) -> Option<&Bureau> {
        self.bureaus.iter().find(|bureau| bureau.code.as_str() == code)
    }

    /// The bureau that takes filings of a kind, and what it asks of them.
    pub fn accepting(&self, kind: &str) -> Option<(&Bureau, &Accepts)> {
        self.bureaus.iter().find_map(|bureau| bureau.accepts.iter().find(|accepts| accepts.kind == kind).map(|accepts| (bureau, accepts)))
    }

    /// What the program understands, for people to agree to.
    pub fn resolved(&self) -> String {
        let mut text = String::new();
        for bureau in &self.bureaus {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}: {} ({}), hotline {}, late filings: {}, anchors {}, {}", bureau.code.as_str(), bureau.name, bureau.name_en, bureau.hotline, bureau.late, bureau.anchors.join(" "), bureau.calendar);
            for accepts in &bureau.accepts {
                let policies: Vec<String> = accepts.policies.iter().map(ToString::to_string).collect();
                let _ = writeln!(text, "  {} signed under {}", accepts.kind, policies.join(" or "));
            }
        }
        self.limits.resolve(&mut text);
        self.unnamed.resolve(&mut text);
        text
    }
}
