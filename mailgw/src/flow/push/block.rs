//! One block of rows: each is decided, those that go out are rendered and sealed, and all outcomes stand in the commit
//! that delivers.

use std::sync::{Arc, OnceLock};

use runtime::exit::Problem;

use super::PushError;
use super::decided::{Decided, Letter, Prepared, Sealed};
use super::delivery::Ready;
use super::file::RawRow;
use super::halves::halves;
use super::judge::Judge;
use super::proof::Columns;
use super::seen::Seen;
use crate::flow::encryption::Envelopes;
use crate::mailbox::{MailError, Part, TrustMark};
use crate::record::body;
use crate::record::dictionary::Dictionary;
use crate::record::push::{RowOutcome, State, decode_rows, rows_key};
use crate::sealer::{OTHER_CONTENT, Seal, UNKNOWN_JOB};
use crate::statement;

/// Commits that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 16;
/// Of what a dictionary is made of: another form makes other dictionaries.
const FORM: &[u8] = b"suiyin dictionary of statements v1";

/// What all blocks of one push have in common.
pub(super) struct Work<'a> {
    pub judge: Judge<'a>,
    pub sealer: &'a dyn Seal,
    pub job: &'a str,
    /// What messages are encrypted with whose readers asked for it.
    pub envelopes: Envelopes<'a>,
    /// Opens the job once more and gives its name, the same as before.
    pub open_job: &'a (dyn Fn() -> Result<String, PushError> + Sync),
    /// The registered sealing certificate, DER.
    pub seal: &'a [u8],
    /// What its messages are compressed with, once the first is sealed.
    pub dictionary: OnceLock<Arc<Dictionary>>,
}

/// How far a block came before its turn to be committed.
pub(super) enum SoFar {
    Nothing,
    Sealed(Prepared),
    Ready(Ready),
}

impl Work<'_> {
    /// What becomes of the rows of a block as things stand; `None` when it is done already.
    pub fn decide(&self, number: u64, columns: &Columns, rows: &[RawRow]) -> Result<Option<Decided<Letter>>, PushError> {
        if self.judge.gateway.store.get(&rows_key(self.judge.bureau, self.judge.batch(), number))?.is_some() {
            return Ok(None);
        }
        self.judge.decide_all(columns, rows, &Seen::default()).map(Some)
    }

    /// What was decided, sealed and in the form in which it will stand in the store.
    pub fn prepare(&self, mut decided: Decided<Letter>) -> Result<Prepared, PushError> {
        let seals = self.seal(&mut decided)?;
        let Decided { letters, told } = decided;
        let sealed: Vec<(Letter, Vec<u8>)> = letters.into_iter().zip(seals).collect();
        let dictionary = sealed.first().map(|(letter, seal)| self.dictionary(letter, seal)).transpose()?.flatten();
        let body = |(letter, seal): &(Letter, Vec<u8>)| {
            // Sealed by the bureau first, then encrypted to its reader.
            let (envelope, secrecy) = match self.envelopes.seal(&letter.account, || statement::signed(&letter.entity, seal))? {
                Some((secrecy, envelope)) => (envelope, Some(secrecy)),
                None => (None, None),
            };
            // What was sealed stands in it as it was digested for that, unless it is encrypted.
            let (message, signed) = match envelope {
                Some(envelope) => (statement::encrypted(&letter.entity, &envelope), None),
                None => statement::message_around(&letter.entity, seal),
            };
            // Sealed for the bureau here: nobody has to be asked whether it is the bureau's.
            let mark = TrustMark { bureau: self.judge.bureau.to_owned(), unix_millis: crate::gateway::unix_millis(self.judge.begun) };
            let part = signed.map(|at| Part { at, length: letter.entity.bytes().len(), digest: *letter.entity.digest() });
            let before = self.mail_signature(&message)?;
            Ok((Arc::new(self.judge.gateway.messages.verified_body_of(&before, &message, part, &mark, dictionary.as_ref())?), secrecy))
        };
        let bodies = halves(&sealed, body)?;
        let whole = |((mut letter, _), (body, secrecy)): ((Letter, Vec<u8>), _)| {
            letter.entity.let_go();
            Sealed { letter, body, secrecy }
        };
        let letters = sealed.into_iter().zip(bodies).map(whole).collect();
        Ok(Prepared { letters, told })
    }

    /// What the statements of this push have in common, which is most of each: an example of nobody's, sealed like this one but for what
    /// is this one's own. Kinds that a policy defines have no example.
    fn dictionary(&self, letter: &Letter, seal: &[u8]) -> Result<Option<Arc<Dictionary>>, PushError> {
        if let Some(found) = self.dictionary.get() {
            return Ok(Some(Arc::clone(found)));
        }
        let Judge { gateway, sender, manifest, .. } = &self.judge;
        let Some(example) = manifest.manifest().statement().and_then(|kind| statement::example(kind, sender, gateway.directory.domain())) else { return Ok(None) };
        let digest = letter.entity.digest();
        let what = body::digest(&[FORM, example.digest(), &body::digest(self.seal)].concat());
        let found = gateway.messages.dictionary_for(&what, &|| statement::message(&example, &statement::likeness(seal, digest)))?;
        Ok(Some(Arc::clone(self.dictionary.get_or_init(|| found))))
    }

    /// The gateway's own mail signature, which stands above the message, where its author is of the gateway's domain; else nothing.
    // spec: rfc7489#3.1.1
    fn mail_signature(&self, message: &[u8]) -> Result<Vec<u8>, PushError> {
        let Judge { gateway, sender, .. } = &self.judge;
        let aligned = sender.address.as_str().rsplit('@').next().is_some_and(|domain| domain.eq_ignore_ascii_case(&gateway.settings.domain));
        if !gateway.push_limits.dkim || !aligned {
            return Ok(Vec::new());
        }
        Ok(gateway.dkim.sign(message, gateway.clock.now())?)
    }

    /// A block that was sealed, put together for its commit.
    pub fn ready(&self, number: u64, prepared: Prepared) -> Result<Ready, PushError> {
        self.assemble(number, &rows_key(self.judge.bureau, self.judge.batch(), number), prepared)
    }

    /// The outcomes of a block, durable. A block that has them already is answered from the record; one whose decisions rest on what
    /// somebody changed meanwhile is decided anew.
    pub fn commit(&self, number: u64, columns: &Columns, rows: &[RawRow], so_far: SoFar) -> Result<Vec<RowOutcome>, PushError> {
        let key = rows_key(self.judge.bureau, self.judge.batch(), number);
        let mut ready = match so_far {
            SoFar::Nothing => None,
            SoFar::Sealed(prepared) => Some(self.ready(number, prepared)?),
            SoFar::Ready(ready) => Some(ready),
        };
        for _ in 0..ATTEMPTS {
            if let Some(Ready { deliveries, outcomes }) = ready.take() {
                match self.judge.gateway.messages.commit_assembled(deliveries) {
                    Ok(_) => return Ok(outcomes),
                    Err(MailError::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some(found) = self.judge.gateway.store.get(&key)? {
                return Ok(decode_rows(&found)?);
            }
            let decided = self.decide(number, columns, rows)?;
            ready = decided.map(|decided| self.ready(number, self.prepare(decided)?)).transpose()?;
        }
        Err(MailError::Busy.into())
    }

    /// One seal for each letter. A row that was sealed before with another content, in a push that was cut off before it
    /// delivered it, is kept back: its mailbox, its bureau's words or this program have changed since.
    fn seal(&self, decided: &mut Decided<Letter>) -> Result<Vec<Vec<u8>>, PushError> {
        let mut reopened = false;
        loop {
            let rows: Vec<(u64, [u8; 32])> = decided.letters.iter().map(|letter| (letter.row, *letter.entity.digest())).collect();
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            match self.sealer.seal(self.job, &rows) {
                Ok(seals) => return self.judge_seal(&decided.letters, &seals).map(|()| seals),
                // The sealer was started anew, or wants to look at the manifest and the lists again.
                Err(problem) if problem.code == UNKNOWN_JOB && !reopened => {
                    (self.open_job)()?;
                    reopened = true;
                }
                Err(problem) if problem.code == OTHER_CONTENT && named(&problem).is_some_and(|row| keep_back(decided, row)) => {}
                Err(problem) => return Err(PushError::Sealer(problem)),
            }
        }
    }

    /// Readers see the sealing certificate beside the bureau's name and address: the sealer must hold the one registered here.
    /// One seal tells, since a job has one certificate.
    fn judge_seal(&self, letters: &[Letter], seals: &[Vec<u8>]) -> Result<(), PushError> {
        let other = || PushError::OtherSeal { bureau: self.judge.bureau.to_owned() };
        let (Some(letter), Some(seal)) = (letters.first(), seals.first()) else { return Err(other()) };
        let signed = pki::cms::verify(seal, letter.entity.bytes(), &[self.seal]).map_err(|_| other())?;
        if signed.signer_certificate() == self.seal && seals.len() == letters.len() { Ok(()) } else { Err(other()) }
    }
}

fn keep_back(decided: &mut Decided<Letter>, row: u64) -> bool {
    let detail = "the push was cut off after this row was sealed, and it would read otherwise now; send it in another batch";
    decided.withdraw(row, &State::Quarantined, "changed-since-sealed", Some(detail))
}

/// The row that the sealer names in a refusal.
fn named(problem: &Problem) -> Option<u64> {
    problem.field.as_deref()?.strip_prefix("row ")?.parse().ok()
}
