//! A statement on paper, sealed like the statement: the sealer makes the page itself, of a content that it signed for a row of a
//! proved manifest, and of nothing else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::cms::SignerPlan;
use serde::{Deserialize, Serialize};
use store::Batch;
use time::OffsetDateTime;

use super::state::Sealer;
use super::{SealerError, state};
use crate::bureau::trust::Purpose;
use crate::record::body;
use crate::record::bureau::SealingBureau;
use crate::record::event::{Event, Paper as Said};
use crate::record::sealing;
use crate::statement::{paper, paper_letter};

/// Whose page is wanted, and when it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    pub bureau: &'a str,
    pub batch: &'a str,
    pub row: u64,
    /// The sealed part of its message.
    pub entity: &'a [u8],
    pub at: OffsetDateTime,
}

/// Detached CMS, DER: over the PDF, and over the message that brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaperSeals {
    pub paper: Vec<u8>,
    pub letter: Vec<u8>,
}

/// As it travels; octets in base64, Unix seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedPage {
    pub bureau: String,
    pub batch: String,
    pub row: u64,
    pub entity: String,
    pub at: i64,
    pub crls: Vec<String>,
}

impl WantedPage {
    pub(super) fn new(page: &Page<'_>, crls: &[Vec<u8>]) -> Self {
        let crls = crls.iter().map(|crl| STANDARD.encode(crl)).collect();
        Self { bureau: page.bureau.to_owned(), batch: page.batch.to_owned(), row: page.row, entity: STANDARD.encode(page.entity), at: page.at.unix_timestamp(), crls }
    }
}

impl Sealer {
    pub(super) fn wanted_page(&self, wanted: &WantedPage) -> Result<PaperSeals, SealerError> {
        let crls: Vec<Vec<u8>> = wanted.crls.iter().map(|crl| state::base64("a revocation list", crl)).collect::<Result<_, _>>()?;
        let entity = state::base64("the statement", &wanted.entity)?;
        let at = OffsetDateTime::from_unix_timestamp(wanted.at).map_err(|_| SealerError::Encoding { what: "the time" })?;
        self.page(&Page { bureau: &wanted.bureau, batch: &wanted.batch, row: wanted.row, entity: &entity, at }, &crls)
    }

    /// 1 this content was signed here for that row · 2 the seal is trusted and not revoked today · 3 the page is made of it, here · 4 that it
    /// will be signed is durable · 5 signed.
    pub(super) fn page(&self, page: &Page<'_>, crls: &[Vec<u8>]) -> Result<PaperSeals, SealerError> {
        // 1
        let (content, row) = (body::digest(page.entity), sealing::row_key(page.bureau, page.batch, page.row));
        match self.store().get(&row)? {
            Some(found) if sealing::decode(&found)? == content => {}
            _ => return Err(SealerError::NotSealed { row: page.row }),
        }
        // 2
        let record = self.store().get(&SealingBureau::key(page.bureau))?.ok_or_else(|| SealerError::UnknownBureau { code: page.bureau.to_owned() })?;
        let record = SealingBureau::decode(&record)?;
        let now = self.now();
        self.anchors().trusted(&record.seal, Purpose::Seal, crls, now)?;
        // 3
        let pdf = paper(page.entity)?;
        let letter = paper_letter(page.entity, &pdf, page.at)?;
        // 4
        let (pdf, letter) = (body::digest(&pdf), body::digest(letter.bytes()));
        let said = Said { bureau: page.bureau.to_owned(), batch: page.batch.to_owned(), row: page.row, content: crate::hex(&content), paper: crate::hex(&pdf) };
        let mut write = Batch::new();
        Event::PaperIntended(said).append(&mut write, crate::gateway::unix_millis(now))?;
        self.store().commit(write)?;
        // 5
        let others: Vec<&[u8]> = record.seal.issuers().collect();
        let (plan, key) = (SignerPlan::new(record.seal.leaf(), &others)?, self.key(&record.key)?);
        Ok(PaperSeals { paper: plan.seal(pdf, now, &key)?, letter: plan.seal(letter, now, &key)? })
    }
}
