//! The command line of enterprises and bureaus.

mod desk;
mod draft;
mod enrol;
mod enterprise;
mod expiry;
mod fill;
mod keep;
mod kept;
mod key;
mod mandate;
mod operator;
mod sign;
mod submit;
mod succeed;
mod usage;
mod verify;
mod wire;
mod word;

use clap::{Parser, Subcommand};
use runtime::exit::Exit;

pub use usage::arguments;

/// 企业申报：密钥与证书、填表、核对、签名、提交、回执 (sign a filing, submit it, keep its receipt).
#[derive(Debug, Parser)]
#[command(name = "filing", version, after_help = ENDS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// How commands end; scripts rely on the numbers.
const ENDS: &str = "退出码 (exit codes):
  0  完成 (done)
  1  程序内部错误，请报告 (a fault of ours)
  2  命令写错了 (the command line is wrong)
  3  被拒绝：内容不符合规则、证书不符、文件有误；或暂时无法判定 (refused: a rule, the certificate, the file; or it cannot be told)
  4  没有这份申报、委托或申请 (no such filing, mandate or order)
  5  已有别的内容，不会覆盖 (another content is there already)
  6  现在办不到，稍后重试：受理系统或令牌不在、证书尚未签发 (not now: desk or token away, certificate not issued yet)
  7  核验不通过或文件已损坏 (a verification failed, or damage)
  8  不允许：口令、PIN、权限或身份不符 (not permitted: passphrase, PIN, mode, or another enterprise's)

Example:
  filing key new --name 广州某某有限公司 --passphrase-file pass
  filing new --kind vat-general --period 202610 --code 91440101MAT000018G --out vat.jsonc
  filing check vat.jsonc && filing sign vat.jsonc --passphrase-file pass";

#[derive(Debug, Subcommand)]
enum Command {
    /// The bureau's side: receive filings, prove them, seal receipts.
    Desk(desk::Desk),
    /// Verify a signature or a receipt's seal, offline (离线验证).
    Verify(Box<verify::Verify>),
    /// 密钥 (the operator's key).
    #[command(subcommand)]
    Key(Key),
    /// 新建草稿，每栏都有说明 (a draft with every field explained).
    #[command(after_help = "Example:\n  filing new --kind vat-general --period 202610 --code 91440101MAT000018G --out vat.jsonc\n  filing new --kind si-staff-change --period 202611 --code 91440101MAT000018G --from staff.csv --out staff.jsonc\n  filing new --kind vat-general --period 202610 --code 91440101MAT000018G --revises filing-state/01JDPD6Z3SFM7T5K9V8R2Q4XNB.json --attach 附表.pdf --out vat-2.jsonc")]
    New(Box<enterprise::New>),
    /// 签名前核对全部规则 (every rule, before it is signed).
    #[command(after_help = "Example:\n  filing check vat.jsonc\n  filing check staff.csv --kind si-staff-change --period 202611 --code 91440101MAT000018G")]
    Check(Box<enterprise::Checked>),
    /// 签名 (sign: canonical JSON and a detached CAdES signature).
    #[command(after_help = "Example:\n  filing sign vat.jsonc --certificate enterprise.pem --passphrase-file pass")]
    Sign(sign::Signed),
    /// 在线申请证书；重复执行仍是同一申请 (order the certificate at the authority; again is the same order).
    #[command(after_help = "Example:\n  filing request --authority http://ca.example.cn --name 广州某某有限公司 --code 91440101MAT000018G --evidence licence=licence.pdf")]
    Request(enrol::Request),
    /// 查询申请，核对并保存证书 (the order's state; the certificate is checked before it is kept). Ends with 6 while it waits.
    #[command(after_help = "Example:\n  filing fetch --anchor root.pem")]
    Fetch(enrol::Fetch),
    /// 换发证书：新密钥，旧密钥签名 (renew: a new key, asked for with the still valid one).
    #[command(after_help = "Example:\n  filing renew --passphrase-file pass")]
    Renew(succeed::Renew),
    /// 更正证书：单位改名或换邮箱，用仍有效的密钥申请，批准后 fetch (correct: another name or mailbox, asked for with the still valid key; fetched once approved).
    #[command(after_help = "Example:\n  filing correct --name 广州某某新名有限公司 --passphrase-file pass\n  filing fetch                    # 批准之后 (once it is approved)")]
    Correct(succeed::Correct),
    /// 提交并保存核验过的回执；重复提交不会重复申报 (submit, and keep the proved receipt; again is the same).
    #[command(after_help = "Example:\n  filing submit filing-state/01JDPD6Z3SFM7T5K9V8R2Q4XNB.json --server https://desk.example.cn:8450 --passphrase-file pass")]
    Submit(submit::Submit),
    /// 申报状态，并保存新的回执 (where filings stand; new receipts are proved and kept).
    #[command(after_help = "Example:\n  filing status 01JDPD6Z3SFM7T5K9V8R2Q4XNB --server https://desk.example.cn:8450")]
    Status(submit::Status),
    /// 委托代理申报 (mandates: what an agent may file for a principal).
    #[command(subcommand)]
    Mandate(Box<mandate::Command>),
    /// 经办人与本单位自己的密钥 (which keys sign for the enterprise).
    #[command(subcommand)]
    Operator(Box<operator::Command>),
    /// 把申报、签名与全部回执存入一个文件，十年后只凭信任锚也能核验 (a filing with every receipt in one file that proves itself with the anchor alone).
    #[command(after_help = "Example:\n  filing keep 01JDPD6Z3SFM7T5K9V8R2Q4XNB --out vat-202610.keep.json --server https://desk.example.cn:8450\n  filing receipt verify vat-202610.keep.json --anchor root.pem")]
    Keep(Box<keep::Keep>),
    /// 本目录中的申报与回执 (what was signed here, and its receipts).
    #[command(after_help = "Example:\n  filing list --json")]
    List(kept::List),
    /// 回执 (receipts).
    #[command(subcommand)]
    Receipt(Receipt),
}

#[derive(Debug, Subcommand)]
enum Receipt {
    /// 离线核验回执：只需信任锚 (prove a receipt offline, with the anchor only). Ends with 0, 3 (cannot be told) or 7 (failed).
    #[command(after_help = "Example:\n  filing receipt verify filing-state/01JDPD6Z3SFM7T5K9V8R2Q4XNB-1.receipt.json --anchor root.pem\n  filing receipt verify filing-state/01JDPD6Z3SFM7T5K9V8R2Q4XNB-1.receipt.json --anchor root.pem --log desk-log --log-key 'desk.example.cn/filing+1a2b3c4d+AbC...'")]
    Verify(kept::Proved),
}

#[derive(Debug, Subcommand)]
enum Key {
    /// 新建密钥与证书请求 (a sealed key, and the request for its certificate).
    #[command(after_help = "Example:\n  filing key new --dir filing-state --name 广州某某有限公司 --passphrase-file pass\n  filing key new --dir filing-state --operator 李四 --name 广州某某有限公司 --token-module /usr/lib/softhsm/libsofthsm2.so --token-label 企业令牌 --pin-file pin")]
    New(key::KeyNew),
}

fn ended(done: Result<(), runtime::exit::Problem>, json: bool) -> Exit {
    match done {
        Ok(()) => Exit::Ok,
        Err(problem) => {
            runtime::terminal::problem("filing", &problem, json);
            problem.exit
        }
    }
}

/// Where an enterprise's command works; the commands that make or change its certificate say themselves how it stands.
fn place(command: &Command) -> Option<&enterprise::Place> {
    match command {
        Command::Desk(_) | Command::Verify(_) | Command::Key(_) | Command::Request(_) | Command::Fetch(_) | Command::Renew(_) | Command::Correct(_) => None,
        Command::New(wanted) => Some(&wanted.place),
        Command::Check(wanted) => Some(&wanted.place),
        Command::Sign(wanted) => Some(&wanted.place),
        Command::Submit(wanted) => Some(&wanted.place),
        Command::Mandate(command) => Some(command.place()),
        Command::Operator(command) => Some(command.place()),
        Command::Status(wanted) => Some(&wanted.place),
        Command::Keep(wanted) => Some(&wanted.place),
        Command::List(wanted) => Some(&wanted.place),
        Command::Receipt(Receipt::Verify(wanted)) => Some(&wanted.place),
    }
}

/// Runs the program once.
pub fn run(cli: Cli) -> Exit {
    if let Some(place) = place(&cli.command) {
        expiry::warn(place);
    }
    match cli.command {
        Command::Desk(desk) => desk::run(desk),
        Command::Verify(asked) => verify::run(&asked),
        Command::Key(Key::New(wanted)) => ended(key::key_new(&wanted), wanted.place.json),
        Command::New(wanted) => ended(enterprise::new(&wanted), wanted.place.json),
        Command::Check(wanted) => ended(enterprise::check(&wanted), wanted.place.json),
        Command::Request(wanted) => ended(enrol::request(&wanted), wanted.place.json),
        Command::Fetch(wanted) => ended(enrol::fetch(&wanted), wanted.place.json),
        Command::Renew(wanted) => ended(succeed::renew(&wanted), wanted.asker.place.json),
        Command::Correct(wanted) => ended(succeed::correct(&wanted), wanted.asker.place.json),
        Command::Submit(wanted) => ended(submit::submit(&wanted), wanted.place.json),
        Command::Status(wanted) => ended(submit::status(&wanted), wanted.place.json),
        Command::Keep(wanted) => ended(keep::keep(&wanted), wanted.place.json),
        Command::List(wanted) => ended(kept::list(&wanted), wanted.place.json),
        Command::Receipt(Receipt::Verify(wanted)) => kept::verify(&wanted),
        Command::Sign(wanted) => ended(sign::sign(&wanted), wanted.place.json),
        Command::Mandate(command) => ended(mandate::run(&command), command.place().json),
        Command::Operator(command) => ended(operator::run(&command), command.place().json),
    }
}
