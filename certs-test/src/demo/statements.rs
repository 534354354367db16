//! One month of housing-fund and pension statements that keep every rule of their kind.

use super::people::{Enterprise, Person};
use super::Dice;

/// Integer fen as a decimal string.
fn yuan(fen: u64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

pub const HOUSING_FUND_HEADER: &str = "stmt_id,period,id_type,id_no,name,acct_no,unit_acct_no,unit_name,uscc,base,\
unit_rate,person_rate,unit_amt,person_amt,month_amt,open_bal,paid_in,backpay,transfer_in,withdraw,transfer_out,\
interest,adjust,close_bal,carry_bal,cur_bal,paid_to,status,loan_bal,loan_due,src_batch";

pub const PENSION_HEADER: &str = "stmt_id,period,id_type,id_no,name,unit_name,uscc,base,person_rate,person_amt,\
unit_rate,unit_amt,year_open,open_interest,ytd_credit,ytd_interest,transfer_in,transfer_out,payout,close,\
months_year,months_actual,months_deemed,status,src_batch";

/// A row and the two amounts its manifest adds up, in fen.
pub struct Row {
    pub line: String,
    pub close: u64,
    pub paid_in: u64,
}

/// A month in which `person` and employer pay at one rate and nothing else happens.
pub fn housing_fund(dice: &mut Dice, index: u64, period: &str, person: &Person, employer: &Enterprise) -> Row {
    let base = (5_000 + dice.below(22_000)) * 100;
    let rate = 5 + dice.below(8);
    let each = base * rate / 100;
    let month = each * 2;
    let open = dice.below(30_000_000);
    let carry = open / 2;
    let close = open + month;
    let line = format!(
        "HF{period}{index:08},{period},{},{},{},GJJ{index:012},DW{:07},{},{},{},{rate}.00,{rate}.00,{},{},{},{},{},0.00,0.00,\
0.00,0.00,0.00,0.00,{},{},{},{period},01,0.00,0.00,B{period}",
        person.document_type, person.number, person.name, index % 100, employer.name, employer.code, yuan(base),
        yuan(each), yuan(each), yuan(month), yuan(open), yuan(month), yuan(close), yuan(carry), yuan(close - carry),
    );
    Row { line, close, paid_in: month }
}

/// The `month`-th month of a year in which every month was paid on one base.
pub fn pension(dice: &mut Dice, index: u64, period: &str, month: u64, person: &Person, employer: &Enterprise) -> Row {
    // Whole yuan between the floor and the cap of 2025/26.
    let base = (5_510 + dice.below(22_000)) * 100;
    let own = base * 8 / 100;
    let unit = base * 16 / 100;
    let open = dice.below(25_000_000);
    let credited = own * month;
    let close = open + credited;
    let line = format!(
        "PN{period}{index:08},{period},{},{},{},{},{},{},8.00,{},16.00,{},{},0.00,{},0.00,0.00,0.00,0.00,{},{month},{},0,\
参保缴费,B{period}",
        person.document_type, person.number, person.name, employer.name, employer.code, yuan(base), yuan(own),
        yuan(unit), yuan(open), yuan(credited), yuan(close), month + 12 * dice.below(20),
    );
    Row { line, close, paid_in: own }
}

#[cfg(test)]
mod tests {
    use super::super::people;
    use super::*;

    #[test]
    fn rows_have_the_columns_of_their_header() {
        let mut dice = Dice::new(3);
        let who = people::person(&mut dice, 0);
        let unit = people::enterprise(1);
        let fund = housing_fund(&mut dice, 0, "202610", &who, &unit);
        assert_eq!(fund.line.split(',').count(), HOUSING_FUND_HEADER.split(',').count());
        let account = pension(&mut dice, 0, "202610", 10, &who, &unit);
        assert_eq!(account.line.split(',').count(), PENSION_HEADER.split(',').count());
    }
}
