//! How the proofs of whoever applies for a mailbox are graded, and what a grade is good for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use crate::document::{PolicyError, named, read};

named! {
    /// What proves that a document was issued to a name.
    DocumentProof {
        Evidence = "evidence",
        RegistryRecord = "registry-record",
        RegistryChip = "registry-chip",
        OperatorCopy = "operator-copy",
        OperatorOriginal = "operator-original",
    }
}

named! {
    /// What proves that an applicant is the person a document was issued to.
    PersonProof {
        Evidence = "evidence",
        Certificate = "certificate",
        RegistryLogin = "registry-login",
        RegistryFace = "registry-face",
        RegistryPresent = "registry-present",
        OperatorVideo = "operator-video",
        OperatorPresent = "operator-present",
    }
}

/// What came with an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proofs {
    pub document: BTreeSet<DocumentProof>,
    pub person: BTreeSet<PersonProof>,
}

impl Proofs {
    pub fn and(&self, more: &Self) -> Self {
        Self { document: self.document.union(&more.document).copied().collect(), person: self.person.union(&more.person).copied().collect() }
    }
}

/// A grade by its place among those of the policy; the least is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grade(usize);

/// What each rule gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graded {
    pub document: Grade,
    pub person: Grade,
}

impl Graded {
    /// No rule makes up for the other.
    pub fn worth(self) -> Grade {
        self.document.min(self.person)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Opens,
    Waits,
    Refused,
}

/// Had only from a document that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningPolicy {
    grades: Vec<String>,
    document: BTreeMap<DocumentProof, Grade>,
    person: BTreeMap<PersonProof, Grade>,
    at_once: Grade,
    accepted: Grade,
    waits: Grade,
    pub applications_per_hour: u32,
    pub questions_per_hour: u32,
    pub waiting: usize,
    pub waiting_days: u32,
    pub kept_days: u32,
    pub assertion_hours: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    grades: Vec<Spanned<String>>,
    document: BTreeMap<DocumentProof, Spanned<String>>,
    person: BTreeMap<PersonProof, Spanned<String>>,
    decision: DecisionWords,
    limits: LimitsWords,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionWords {
    at_once: Spanned<String>,
    accepted: Spanned<String>,
    waits: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsWords {
    applications_per_hour: Spanned<u32>,
    questions_per_hour: Spanned<u32>,
    waiting: Spanned<u32>,
    waiting_days: Spanned<u32>,
    kept_days: Spanned<u32>,
    assertion_hours: Spanned<u32>,
}

impl OpeningPolicy {
    pub(super) fn parse((file, text): (&str, &str)) -> Result<Self, PolicyError> {
        let Document { grades: names, document, person, decision, limits } = read(file, text)?;
        let mut grades: Vec<String> = Vec::with_capacity(names.len());
        for name in &names {
            let good = name.get_ref().chars().all(|c| c.is_ascii_lowercase() || c == '-') && (1..=32).contains(&name.get_ref().len());
            if !good || grades.contains(name.get_ref()) || grades.len() >= 16 {
                return Err(PolicyError::at(file, text, Some(name.span()), "grades are at most sixteen names of small letters, each once"));
            }
            grades.push(name.get_ref().clone());
        }
        let grade = |name: &Spanned<String>| {
            let at = grades.iter().position(|grade| grade == name.get_ref());
            at.map(|at| Grade(at + 1)).ok_or_else(|| PolicyError::at(file, text, Some(name.span()), "no grade has this name"))
        };
        let within = |value: &Spanned<u32>, least: u32, most: u32| {
            let fits = (least..=most).contains(value.get_ref());
            if fits { Ok(*value.get_ref()) } else { Err(PolicyError::at(file, text, Some(value.span()), format!("it is {least} to {most}"))) }
        };
        let (at_once, accepted, waits) = (grade(&decision.at_once)?, grade(&decision.accepted)?, grade(&decision.waits)?);
        if at_once < accepted || accepted < waits {
            return Err(PolicyError::at(file, text, Some(decision.accepted.span()), "what an operator may accept is worth no more than what opens at once, and no less than what waits"));
        }
        Ok(Self {
            document: document.iter().map(|(proof, name)| Ok((*proof, grade(name)?))).collect::<Result<_, PolicyError>>()?,
            person: person.iter().map(|(proof, name)| Ok((*proof, grade(name)?))).collect::<Result<_, PolicyError>>()?,
            at_once,
            accepted,
            waits,
            applications_per_hour: within(&limits.applications_per_hour, 1, 100_000)?,
            questions_per_hour: within(&limits.questions_per_hour, 10, 1_000_000)?,
            waiting: within(&limits.waiting, 1, 1_000_000)? as usize,
            waiting_days: within(&limits.waiting_days, 1, 366)?,
            kept_days: within(&limits.kept_days, 1, 3_650)?,
            assertion_hours: within(&limits.assertion_hours, 1, 720)?,
            grades,
        })
    }

    /// Both rules, each by the best proof it knows.
    pub fn grade(&self, proofs: &Proofs) -> Graded {
        let document = proofs.document.iter().filter_map(|proof| self.document.get(proof)).max();
        let person = proofs.person.iter().filter_map(|proof| self.person.get(proof)).max();
        Graded { document: document.copied().unwrap_or_default(), person: person.copied().unwrap_or_default() }
    }

    pub fn decide(&self, graded: Graded) -> Decision {
        match graded.worth() {
            worth if worth >= self.at_once => Decision::Opens,
            worth if worth >= self.waits => Decision::Waits,
            _ => Decision::Refused,
        }
    }

    /// Whether it is enough, with what an operator found.
    pub fn may_accept(&self, graded: Graded) -> bool {
        graded.worth() >= self.accepted
    }

    pub fn name(&self, grade: Grade) -> &str {
        grade.0.checked_sub(1).and_then(|at| self.grades.get(at)).map_or("none", String::as_str)
    }

    pub(super) fn resolved(&self, text: &mut String) {
        let mut line = |name: &str, value: String| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        line("grades of proofs, the weakest first", self.grades.join(", "));
        for (proof, grade) in &self.document {
            line(&format!("of the document, {proof}"), self.name(*grade).to_owned());
        }
        for (proof, grade) in &self.person {
            line(&format!("of the person, {proof}"), self.name(*grade).to_owned());
        }
        line("a mailbox that is applied for opens at once from", self.name(self.at_once).to_owned());
        line("an operator may accept from", self.name(self.accepted).to_owned());
        line("an application waits from", self.name(self.waits).to_owned());
        line("applications and questions of one network in an hour", format!("{} and {}", self.applications_per_hour, self.questions_per_hour));
        line("applications that wait, and days", format!("{} for {} days", self.waiting, self.waiting_days));
        line("days that an application is remembered", self.kept_days.to_string());
        line("hours that a registry's word is fresh", self.assertion_hours.to_string());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const SHIPPED: &str = include_str!("../../mailbox/opening.toml");

    fn shipped() -> OpeningPolicy {
        OpeningPolicy::parse(("opening.toml", SHIPPED)).unwrap()
    }

    fn proofs(document: &[DocumentProof], person: &[PersonProof]) -> Proofs {
        Proofs { document: document.iter().copied().collect(), person: person.iter().copied().collect() }
    }

    #[test]
    fn no_rule_makes_up_for_the_other() {
        use {DocumentProof as D, PersonProof as P};
        let policy = shipped();
        for (proofs, decision, accepted) in [
            (proofs(&[D::RegistryChip], &[P::RegistryFace]), Decision::Opens, true),
            (proofs(&[D::OperatorOriginal], &[P::OperatorPresent]), Decision::Opens, true),
            (proofs(&[D::RegistryChip], &[P::Evidence]), Decision::Waits, false),
            (proofs(&[D::RegistryChip], &[P::RegistryLogin]), Decision::Waits, true),
            (proofs(&[D::Evidence], &[P::Evidence]), Decision::Waits, false),
            (proofs(&[D::RegistryChip], &[]), Decision::Refused, false),
            (proofs(&[], &[P::RegistryFace, P::Certificate]), Decision::Refused, false),
            (proofs(&[], &[]), Decision::Refused, false),
        ] {
            let graded = policy.grade(&proofs);
            assert_eq!((policy.decide(graded), policy.may_accept(graded)), (decision, accepted), "{proofs:?}");
        }
    }

    #[test]
    fn documents_that_make_no_sense() {
        for (from, to, reason) in [
            ("[\"claimed\", \"shown\"", "[\"claimed\", \"claimed\"", "each once"),
            ("evidence = \"claimed\"", "evidence = \"guessed\"", "no grade has this name"),
            ("accepted = \"shown\"", "accepted = \"claimed\"\n#", ""),
            ("at_once = \"proved\"", "at_once = \"claimed\"", "worth no more"),
            ("waits = \"claimed\"", "waits = \"proved\"", "no less than what waits"),
            ("registry-chip", "registry-chips", "unknown variant"),
            ("applications_per_hour = 30", "applications_per_hour = 0", "it is 1 to"),
        ] {
            let parsed = OpeningPolicy::parse(("opening.toml", &SHIPPED.replacen(from, to, 1)));
            match reason {
                "" => drop(parsed.unwrap()),
                reason => assert!(parsed.clone().unwrap_err().reason.contains(reason), "{to}: {parsed:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn more_proofs_are_never_worth_less(all in prop::collection::vec((0..5_usize, 0..7_usize), 0..6), more in (0..5_usize, 0..7_usize)) {
            let document = [DocumentProof::Evidence, DocumentProof::RegistryRecord, DocumentProof::RegistryChip, DocumentProof::OperatorCopy, DocumentProof::OperatorOriginal];
            let person = [PersonProof::Evidence, PersonProof::Certificate, PersonProof::RegistryLogin, PersonProof::RegistryFace, PersonProof::RegistryPresent, PersonProof::OperatorVideo, PersonProof::OperatorPresent];
            let of = |(one, other): &(usize, usize)| proofs(&document[*one..=*one], &person[*other..=*other]);
            let (policy, before) = (shipped(), all.iter().map(of).fold(Proofs::default(), |sum, one| sum.and(&one)));
            prop_assert!(policy.grade(&before.and(&of(&more))).worth() >= policy.grade(&before).worth());
        }
    }
}
