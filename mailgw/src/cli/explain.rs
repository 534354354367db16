//! `mailgw push explain`: what a bureau's engineer needs to write a push, made of the types that read it and of the policies.

use std::path::Path;

use policies::sender::LetterKinds;
use policies::statement::{Kind, MANIFEST_FIELDS, Recipient, Rule};
use runtime::exit::{Exit, Problem};
use runtime::terminal::{json, line, word};
use serde_json::{Value, json as object};
use zeroize::Zeroizing;

use super::ask::Place;
use crate::erds::REASONS;
use crate::flow::push::job::Opening;
use crate::flow::recipients_asked::{Answer, Person};
use crate::record::job::Format;
use crate::wire::push::REQUESTS;

/// A name, and what it says.
type Said = (String, String);

/// What a row of a kind holds, and what it is judged by.
struct Columns {
    columns: Vec<Said>,
    rules: Vec<Said>,
}

pub fn explain(place: &Place, kind: Option<&str>, policies: Option<&Path>) -> Result<(), Problem> {
    let kinds = letters(place, policies)?;
    match kind {
        Some(kind) => columns(place, kind, &of_kind(&kinds, kind).ok_or_else(|| unknown(&kinds, kind))?),
        None => all(place, &names(&kinds)),
    }
}

/// Those of a directory that was named or stands there; a bureau's own machine has none, and is told what is shipped.
fn letters(place: &Place, policies: Option<&Path>) -> Result<LetterKinds, Problem> {
    let own = place.directory.join(crate::policy::DIRECTORY);
    match policies.or_else(|| own.exists().then_some(own.as_path())) {
        Some(directory) => Ok(crate::policy::read(directory)?.letters),
        None => LetterKinds::parse(policies::sender::SHIPPED).map_err(|error| crate::init::InitError::from(error).into()),
    }
}

fn names(kinds: &LetterKinds) -> Vec<String> {
    Kind::ALL.iter().map(|kind| kind.name().to_owned()).chain(kinds.all().map(|kind| kind.name().to_owned())).collect()
}

fn unknown(kinds: &LetterKinds, kind: &str) -> Problem {
    let shown: String = kind.chars().take(40).collect();
    Problem::new(Exit::NotFound, "unknown-kind", format!("{shown:?} is no kind that is known here"), format!("name one of {}", names(kinds).join(", ")))
}

fn of_kind(kinds: &LetterKinds, name: &str) -> Option<Columns> {
    if let Some(kind) = Kind::from_name(name) {
        let column = |column: &policies::statement::Column| {
            let codes: Vec<String> = column.codes.iter().map(|(code, zh, en)| format!("{code} ({zh} / {en})")).collect();
            let form = if codes.is_empty() { column.form.to_string() } else { format!("one of {}", codes.join(", ")) };
            (column.name.to_owned(), format!("{form}; {} / {}", column.zh, column.en))
        };
        let rules = kind.rules().map(|rule| (rule.code().to_owned(), rule.says().to_owned())).collect();
        return Some(Columns { columns: kind.columns().iter().map(column).collect(), rules });
    }
    let kind = kinds.get(name)?;
    let head = Kind::Pension.columns().iter().take(policies::sender::HEAD.len()).map(|column| (column.name.to_owned(), format!("{}; {} / {}", column.form, column.zh, column.en)));
    let own = kind.fields().iter().map(|field| (field.name.clone(), format!("{}{}; {} / {}", field.of, if field.optional { ", or empty" } else { "" }, field.chinese, field.english)));
    let rules = kind.rules().map(|rule| rule.split_once(": ").map_or((rule.clone(), String::new()), |(name, says)| (name.to_owned(), says.to_owned())));
    Some(Columns { columns: head.chain(own).collect(), rules: rules.collect() })
}

fn columns(place: &Place, kind: &str, Columns { columns, rules }: &Columns) -> Result<(), Problem> {
    let id_types: Vec<Said> = Recipient::codes().into_iter().map(|(code, zh, en)| (code.to_owned(), format!("{zh} / {en}"))).collect();
    if place.json {
        return json(&object!({ "kind": kind, "columns": pairs(columns), "rules": pairs(rules), "id_type": pairs(&id_types) }));
    }
    line(&format!("{kind}: CSV in UTF-8, the first line names the columns, in any order; or JSON Lines, an object of strings a line"))?;
    told("columns", columns)?;
    told("id_type", &id_types)?;
    told("rules", rules)?;
    line("\nA file that supersedes has the column `supersedes` besides; one that withdraws has `stmt_id` alone.")
}

fn all(place: &Place, kinds: &[String]) -> Result<(), Problem> {
    let manifest: Vec<Said> = MANIFEST_FIELDS.iter().map(|field| (field.name.to_owned(), format!("{}; {}{}", field.example, field.says, if field.needed { "" } else { " (one of these three, or none)" }))).collect();
    let requests: Vec<Said> = REQUESTS.iter().map(|(method, path, says)| (format!("{method:<4} {path}"), (*says).to_owned())).collect();
    let reasons: Vec<Said> = REASONS.iter().map(|(code, says)| ((*code).to_owned(), (*says).to_owned())).chain(Rule::ALL.iter().map(|rule| (rule.code().to_owned(), rule.says().to_owned()))).collect();
    let opening = Opening { manifest: "manifest.json, every octet of it".to_owned(), signature: "-----BEGIN CMS----- …".to_owned(), format: Format::Csv };
    let person = Person { id_type: "01".to_owned(), id_no: Zeroizing::new("…".to_owned()), name: Zeroizing::new("…".to_owned()) };
    let formats: Vec<String> = [Format::Csv, Format::JsonLines].iter().map(word).collect();
    let answers: Vec<String> = Answer::ALL.iter().map(word).collect();
    let shape = |shape: serde_json::Result<String>| shape.map_err(|error| Problem::new(Exit::Internal, "json", error.to_string(), "report this"));
    if place.json {
        return json(&object!({
            "manifest": pairs(&manifest), "opening": opening, "formats": formats, "requests": REQUESTS.map(|(method, path, says)| object!({ "method": method, "path": path, "says": says })),
            "recipients": [person], "answers": answers, "reasons": pairs(&reasons), "kinds": kinds,
        }));
    }
    told("manifest.json, which the bureau signs (openssl cms -sign -binary -in manifest.json -signer client.pem -inkey client.key -outform PEM -out manifest.p7s)", &manifest)?;
    line("\nopening.json")?;
    line(&format!("  {}", shape(serde_json::to_string(&opening))?))?;
    line(&format!("  format: {}", formats.join(" or ")))?;
    told("requests, over mutual TLS with the bureau's client certificate", &requests)?;
    line("\nrecipients")?;
    line(&format!("  {}", shape(serde_json::to_string(&[person]))?))?;
    line(&format!("  answers: {}", answers.join(", ")))?;
    told("reasons of rows that were not delivered", &reasons)?;
    line(&format!("\nkinds: {}; `mailgw push explain KIND` tells the columns of one", kinds.join(", ")))
}

fn told(title: &str, said: &[Said]) -> Result<(), Problem> {
    line(&format!("\n{title}"))?;
    let width = said.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    said.iter().try_for_each(|(name, says)| line(&format!("  {name:<width$}  {says}")))
}

fn pairs(said: &[Said]) -> Vec<Value> {
    said.iter().map(|(name, says)| object!({ "name": name, "says": says })).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn every_kind_is_told_with_the_columns_that_its_files_have() {
        let kinds = LetterKinds::parse(policies::sender::SHIPPED).unwrap();
        for name in names(&kinds) {
            let told = of_kind(&kinds, &name).expect(&name);
            let columns: Vec<&str> = told.columns.iter().map(|(column, _)| column.as_str()).collect();
            match kinds.get(&name) {
                Some(kind) => drop(policies::sender::LetterHeader::parse(kind, &columns, false).expect(&name)),
                None => drop(policies::statement::Header::parse(Kind::from_name(&name).unwrap(), &columns).expect(&name)),
            }
        }
        let (fund, bill) = (of_kind(&kinds, "housing-fund").unwrap(), of_kind(&kinds, "utility-bill").unwrap());
        assert!(fund.columns.iter().any(|(name, says)| name == "status" && says.contains("02 (封存 / sealed)")));
        assert!(fund.rules.iter().any(|(rule, _)| rule == "V1") && !fund.rules.iter().any(|(rule, _)| rule == "P1"));
        assert_eq!(bill.rules, [("sum".to_owned(), "usage_fee + basic_fee + arrears + credit = due".to_owned())]);
        assert!(of_kind(&kinds, "salary").is_none());
    }

    #[test]
    fn the_shapes_that_are_told_are_those_that_are_read() {
        let known = |error: serde_json::Error| error.to_string().split_once("expected").unwrap().1.matches('`').count() / 2;
        let opening = object!(Opening { manifest: String::new(), signature: String::new(), format: Format::Csv });
        assert_eq!(known(serde_json::from_value::<Opening>(object!({ "?": 1 })).unwrap_err()), opening.as_object().unwrap().len());
        let answers: Vec<String> = Answer::ALL.iter().map(word).collect();
        let told = serde_json::from_value::<Answer>(object!("?")).unwrap_err().to_string();
        assert!(answers.iter().all(|answer| told.contains(&format!("`{answer}`"))) && told.matches('`').count() / 2 - 1 == answers.len(), "{told}");
    }
}
