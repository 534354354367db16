//! A housing-fund row (住房公积金): the columns, in the words of JGJ/T 320-2014.

use super::column::{amount, row, status};
use super::money::{Money, Rate};
use super::period::Period;
use super::value::{AccountNumber, BatchId, UnitName, credit_code};
use crate::identity::CreditCode;

status! {
    /// GRZHZT of JGJ/T 320-2014.
    HousingFundStatus {
        Normal = "01", "正常", "normal";
        Sealed = "02", "封存", "sealed";
        Merged = "03", "合并销户", "closed by merging";
        MovedAway = "04", "外部转出销户", "closed by transfer elsewhere";
        Withdrawn = "05", "提取销户", "closed by withdrawal";
        Frozen = "06", "冻结", "frozen";
        Other = "99", "其他", "other";
    }
}

impl HousingFundStatus {
    pub(super) fn is_closed(self) -> bool {
        matches!(self, Self::Merged | Self::MovedAway | Self::Withdrawn)
    }
}

row! {
    /// One account in one month.
    HousingFundRow {
        acct_no: AccountNumber = AccountNumber::parse, "个人账号", "Account";
        unit_acct_no: AccountNumber = AccountNumber::parse, "单位账号", "Employer's account";
        unit_name: UnitName = UnitName::parse, "单位名称", "Employer";
        uscc: CreditCode = credit_code, "统一社会信用代码", "Employer's credit code";
        base: Money = amount, "缴存基数", "Contribution base";
        unit_rate: Rate = Rate::parse, "单位缴存比例", "Employer's rate";
        person_rate: Rate = Rate::parse, "个人缴存比例", "Own rate";
        unit_amt: Money = amount, "单位月缴存额", "Employer's monthly contribution";
        person_amt: Money = amount, "个人月缴存额", "Own monthly contribution";
        month_amt: Money = amount, "月缴存额合计", "Monthly contribution, both";
        open_bal: Money = amount, "期初余额", "Opening balance";
        paid_in: Money = amount, "本月汇缴", "Paid in this month";
        backpay: Money = amount, "本月补缴", "Paid in for earlier months";
        transfer_in: Money = amount, "本月转入", "Transferred in";
        withdraw: Money = amount, "本月提取", "Withdrawn";
        transfer_out: Money = amount, "本月转出", "Transferred out";
        interest: Money = amount, "结息", "Interest";
        adjust: Money = Money::parse, "冲账调整", "Correction";
        close_bal: Money = amount, "期末余额", "Closing balance";
        carry_bal: Money = amount, "上年结转余额", "Of which from earlier years";
        cur_bal: Money = amount, "当年归集余额", "Of which from this year";
        paid_to: Period = Period::parse, "缴至年月", "Paid up to";
        status: HousingFundStatus = HousingFundStatus::parse, "账户状态", "Status";
        loan_bal: Money = amount, "贷款余额", "Loan outstanding";
        loan_due: Money = amount, "当期应还贷款", "Loan due this month";
        src_batch: BatchId = BatchId::parse, "来源批次", "Source batch";
    }
}
