//! A pension row (企业职工基本养老保险): the columns of one personal account.

use super::column::{amount, row, status};
use super::money::{Money, Rate};
use super::value::{BatchId, UnitName, count, credit_code};
use crate::identity::CreditCode;

status! {
    /// Where the person stands in the scheme; the code is the word.
    PensionStatus {
        Contributing = "参保缴费", "参保缴费", "contributing";
        Suspended = "暂停", "暂停缴费", "suspended";
        Ended = "终止", "终止", "ended";
        Receiving = "领取", "领取待遇", "receiving a pension";
    }
}

row! {
    /// One personal account in one month.
    PensionRow {
        unit_name: UnitName = UnitName::parse, "单位名称", "Employer";
        uscc: CreditCode = credit_code, "统一社会信用代码", "Employer's credit code";
        base: Money = amount, "缴费基数", "Contribution base";
        person_rate: Rate = Rate::parse, "个人缴费比例", "Own rate";
        person_amt: Money = amount, "个人缴费", "Own contribution";
        unit_rate: Rate = Rate::parse, "单位缴费比例", "Employer's rate";
        unit_amt: Money = amount, "单位缴费", "Employer's contribution, to the pool";
        year_open: Money = amount, "年初储存额", "Balance at the start of the year";
        open_interest: Money = amount, "年初储存额利息", "Interest on that balance";
        ytd_credit: Money = amount, "本年累计记账", "Credited this year";
        ytd_interest: Money = amount, "本年记账利息", "Interest on this year's credit";
        transfer_in: Money = amount, "本年转入", "Transferred in";
        transfer_out: Money = amount, "本年转出", "Transferred out";
        payout: Money = amount, "本年支出", "Paid out";
        close: Money = amount, "个人账户储存额", "Balance of the account";
        months_year: u16 = count, "本年缴费月数", "Months paid this year";
        months_actual: u16 = count, "实际缴费月数", "Months paid in all";
        months_deemed: u16 = count, "视同缴费月数", "Months deemed paid";
        status: PensionStatus = PensionStatus::parse, "参保状态", "Status";
        src_batch: BatchId = BatchId::parse, "来源批次", "Source batch";
    }
}
