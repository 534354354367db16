//! Files of a bureau: rows that are right, and some of every kind that is not.

use mailgw::flow::push::Order;
use ring::digest::{SHA256, digest};

use crate::city::{City, FUND, INSURANCE, NOW, PEOPLE, written};

const HOUSING_FUND: &str = "stmt_id,period,id_type,id_no,name,acct_no,unit_acct_no,unit_name,uscc,base,unit_rate,person_rate,unit_amt,person_amt,month_amt,\
open_bal,paid_in,backpay,transfer_in,withdraw,transfer_out,interest,adjust,close_bal,carry_bal,cur_bal,paid_to,status,loan_bal,loan_due,src_batch";
const PENSION: &str = "stmt_id,period,id_type,id_no,name,unit_name,uscc,base,person_rate,person_amt,unit_rate,unit_amt,year_open,open_interest,ytd_credit,\
ytd_interest,transfer_in,transfer_out,payout,close,months_year,months_actual,months_deemed,status,src_batch";
/// Rows that are delivered to nobody, at the end of every file.
pub const BAD: u64 = 4;

pub struct Month {
    pub bureau: &'static str,
    pub batch: String,
    pub good: u64,
    pub order: Order,
}

/// `good` rows for the city's people — of a pension, which a person has one of, no more than there are people — then one that was seen before, one whose figures are wrong, one for a stranger
/// and one under another's name. `batch` is in every key, so no two files share a statement.
pub fn month(city: &City, kind: &str, batch: &str, good: u64) -> Month {
    let line = |id: u64, (id_type, id_no, name): (&str, &str, &str), close: &str| match kind {
        "pension" => pension(&format!("{batch}-{id}"), (id_type, id_no, name), close),
        _ => fund(&format!("{batch}-{id}"), (id_type, id_no, name), close),
    };
    let (bureau, header, close, wrong, fen, paid) = match kind {
        "pension" => (INSURANCE, PENSION, "174757.63", "174757.64", 17_475_763, 68_936),
        _ => (FUND, HOUSING_FUND, "163492.96", "163492.97", 16_349_296, 380_270),
    };
    let person = |id: u64| PEOPLE[id as usize % PEOPLE.len()];
    let mut lines = vec![header.to_owned()];
    lines.extend((0..good).map(|id| line(id, person(id), close)));
    lines.push(line(0, person(0), close));
    lines.push(line(good, person(0), wrong));
    lines.push(line(good + 1, ("01", "510104189707071279", "李志强"), close));
    lines.push(line(good + 2, (PEOPLE[0].0, PEOPLE[0].1, "李志强"), close));
    let rows = good + BAD;
    let text = lines.join("\r\n") + "\r\n";
    let order = order(city, bureau, kind, batch, &text, rows, [fen * rows + 1, paid * rows], None);
    Month { bureau, batch: batch.to_owned(), good, order }
}

/// A file and its signed manifest, with the sums of its amounts in fen; `purpose` is a member besides.
#[allow(clippy::too_many_arguments)]
pub fn order(city: &City, bureau: &str, kind: &str, batch: &str, text: &str, rows: u64, sums: [u64; 2], purpose: Option<(&str, serde_json::Value)>) -> Order {
    let [close, paid] = sums.map(|fen| format!("{}.{:02}", fen / 100, fen % 100));
    let sha256: String = digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut manifest = serde_json::json!({
        "batch_id": batch, "created_at": written(NOW), "kind": kind, "period": "202610", "rows": rows, "schema_version": 1,
        "sender_code": bureau, "sha256": sha256, "sum_close": close, "sum_paid_in": paid,
    });
    if let Some((name, value)) = purpose {
        manifest[name] = value;
    }
    let (manifest, path) = (manifest.to_string(), city.path(&format!("{batch}.csv")));
    std::fs::write(&path, text).unwrap();
    Order { signature: city.sign(&manifest), manifest, rows: path, report: None }
}

/// A housing-fund row of an account of its own; the figures are right where `close` is `163492.96`.
pub fn fund(statement: &str, person: (&str, &str, &str), close: &str) -> String {
    fund_of(statement, statement, person, close)
}

/// The same, of the account of another statement that `fund` made.
pub fn fund_of(first: &str, statement: &str, (id_type, id_no, name): (&str, &str, &str), close: &str) -> String {
    let account: u64 = digest(&SHA256, first.as_bytes()).as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    format!(
        "{statement},202610,{id_type},{id_no},{name},GJJ{:012},DW0000001,广州示范0059有限公司,91440101MAT000595U,17285.00,11.00,11.00,1901.35,\
1901.35,3802.70,159690.26,3802.70,0.00,0.00,0.00,0.00,0.00,0.00,{close},79845.13,83647.83,202610,01,0.00,0.00,B202610",
        account % 1_000_000_000_000
    )
}

/// A pension row; the person's own figures are right where `close` is `174757.63`.
pub fn pension(statement: &str, (id_type, id_no, name): (&str, &str, &str), close: &str) -> String {
    format!(
        "{statement},202610,{id_type},{id_no},{name},广州示范0059有限公司,91440101MAT000595U,8617.00,8.00,689.36,16.00,1378.72,167864.03,0.00,6893.60,\
0.00,0.00,0.00,0.00,{close},10,142,0,参保缴费,B202610"
    )
}

/// Pension rows with their first line.
pub fn pensions(rows: &[String]) -> String {
    file(PENSION, rows)
}

/// Housing-fund rows with their first line; what else a row has stands in front.
pub fn funds(more: &str, rows: &[String]) -> String {
    file(&format!("{more}{HOUSING_FUND}"), rows)
}

fn file(header: &str, rows: &[String]) -> String {
    std::iter::once(header.to_owned()).chain(rows.iter().cloned()).map(|line| line + "\r\n").collect()
}
