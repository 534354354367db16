//! Writes the demonstration city into a directory: `people.csv`, `enterprises.csv`, `institutions.csv`,
//! `bureaus.json`, and for each kind of statement a CSV and its unsigned manifest.

use std::{fs, path::PathBuf, process::ExitCode};

use certs_test::demo::{Dice, people, statements};
use clap::Parser;
use ring::digest;
use serde_json::json;

/// Make a city that never was, the same for the same seed.
#[derive(Parser)]
#[command(after_help = "Example: demo-data --out /tmp/city --people 1000 --period 202610")]
struct Arguments {
    /// Directory to write into; made if absent, and refused if it already holds a city.
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    people: u64,
    /// Month of the statements, YYYYMM.
    #[arg(long, default_value = "202610", value_parser = period)]
    period: String,
    #[arg(long, default_value_t = 20061124)]
    seed: u64,
    /// The time written into the manifests, RFC 3339.
    #[arg(long, default_value = "2026-11-01T00:00:00Z")]
    created_at: String,
}

fn period(text: &str) -> Result<String, String> {
    let month = text.get(4..).and_then(|month| month.parse::<u8>().ok());
    let shaped = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    match month {
        Some(1..=12) if shaped => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is not a month; write it as YYYYMM, such as 202610")),
    }
}

/// A statement file being built, with the totals its manifest states.
struct Month {
    kind: &'static str,
    sender: &'static str,
    text: String,
    rows: u64,
    sum_close: u64,
    sum_paid_in: u64,
}

impl Month {
    fn new(kind: &'static str, sender: &'static str, header: &str) -> Self {
        Self { kind, sender, text: format!("{header}\r\n"), rows: 0, sum_close: 0, sum_paid_in: 0 }
    }

    fn add(&mut self, row: &statements::Row) {
        self.text.push_str(&row.line);
        self.text.push_str("\r\n");
        self.rows += 1;
        self.sum_close += row.close;
        self.sum_paid_in += row.paid_in;
    }

    fn write(&self, arguments: &Arguments) -> std::io::Result<()> {
        let yuan = |fen: u64| format!("{}.{:02}", fen / 100, fen % 100);
        let sha256 = digest::digest(&digest::SHA256, self.text.as_bytes());
        let sha256: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let manifest = json!({
            "batch_id": format!("{}-{}-{}", self.sender, self.kind, arguments.period),
            "sender_code": self.sender,
            "kind": self.kind,
            "period": arguments.period,
            "schema_version": 1,
            "rows": self.rows,
            "sum_close": yuan(self.sum_close),
            "sum_paid_in": yuan(self.sum_paid_in),
            "sha256": sha256,
            "created_at": arguments.created_at,
        });
        fs::write(arguments.out.join(format!("{}.csv", self.kind)), &self.text)?;
        fs::write(arguments.out.join(format!("{}.manifest.json", self.kind)), format!("{manifest:#}\n"))
    }
}

fn write_city(arguments: &Arguments) -> std::io::Result<()> {
    fs::create_dir_all(&arguments.out)?;
    if arguments.out.join("people.csv").exists() {
        return Err(std::io::Error::other("people.csv is already there; choose another --out"));
    }
    let mut dice = Dice::new(arguments.seed);
    let mut citizens = String::from("id_type,id_no,name\r\n");
    let mut fund = Month::new("housing-fund", "gz-housing-fund", statements::HOUSING_FUND_HEADER);
    let mut pension = Month::new("pension", "gz-social-insurance", statements::PENSION_HEADER);
    let month: u64 = arguments.period.get(4..).and_then(|month| month.parse().ok()).unwrap_or(1);
    let employers: Vec<_> = (1..=100).map(people::enterprise).collect();
    for index in 0..arguments.people {
        let who = people::person(&mut dice, index);
        citizens.push_str(&format!("{},{},{}\r\n", who.document_type, who.number, who.name));
        if let Some(employer) = dice.pick(&employers).cloned() {
            fund.add(&statements::housing_fund(&mut dice, index, &arguments.period, &who, &employer));
            pension.add(&statements::pension(&mut dice, index, &arguments.period, month, &who, &employer));
        }
    }
    fs::write(arguments.out.join("people.csv"), citizens)?;
    let listed: String = employers.iter().map(|unit| format!("{},{}\r\n", unit.code, unit.name)).collect();
    fs::write(arguments.out.join("enterprises.csv"), format!("uscc,name\r\n{listed}"))?;
    let mut institutions = String::from("uscc,name,alias\r\n");
    let bureaus = people::bureaus();
    bureaus.iter().for_each(|bureau| institutions.push_str(&format!("{},{},{}\r\n", bureau.credit_code, bureau.name, bureau.alias)));
    employers.iter().for_each(|unit| institutions.push_str(&format!("{},{},\r\n", unit.code, unit.name)));
    fs::write(arguments.out.join("institutions.csv"), institutions)?;
    let bureaus: Vec<_> = bureaus
        .iter()
        .map(|bureau| json!({ "code": bureau.code, "uscc": bureau.credit_code, "name": bureau.name, "name_en": bureau.name_en, "alias": bureau.alias, "hotline": bureau.hotline }))
        .collect();
    fs::write(arguments.out.join("bureaus.json"), format!("{:#}\n", json!(bureaus)))?;
    fund.write(arguments)?;
    pension.write(arguments)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match write_city(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo-data: {}: {error}", arguments.out.display());
            ExitCode::FAILURE
        }
    }
}
