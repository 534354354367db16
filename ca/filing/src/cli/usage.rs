//! A command line that is wrong, told in Chinese with the English beside it.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};
use runtime::exit::{Exit, Problem};

use super::Cli;

/// The command line; or how the process ends, once help was shown or a wrong word told.
pub fn arguments() -> Result<Cli, Exit> {
    let error = match Cli::try_parse() {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    // A file may be called by octets that are no text.
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let has = |word: &str| words.iter().any(|one| one == word);
    let english = words.windows(2).any(|pair| matches!(pair, [name, value] if name == "--lang" && value == "en")) || has("--lang=en") || std::env::var("SUIYIN_LANG").is_ok_and(|lang| lang == "en");
    // Help, the bureau's operators and programs get what every command here gives them.
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand || has("--json") || english || words.get(1).is_some_and(|word| word == "desk") {
        return runtime::terminal::arguments("filing");
    }
    let said = |kind| error.get(kind).map(|value| match value {
        ContextValue::Strings(all) => all.join("、"),
        other => other.to_string(),
    });
    let (what, value) = (said(ContextKind::InvalidArg).unwrap_or_default(), said(ContextKind::InvalidValue).unwrap_or_default());
    let message = match error.kind() {
        ErrorKind::MissingRequiredArgument => format!("缺少 {what}"),
        ErrorKind::UnknownArgument => format!("没有 {what} 这个参数"),
        ErrorKind::InvalidSubcommand => format!("没有 {} 这个命令", said(ContextKind::InvalidSubcommand).unwrap_or_default()),
        ErrorKind::InvalidValue if value.is_empty() => format!("{what} 没有给出数值"),
        ErrorKind::InvalidValue => format!("{what} 不能是“{value}”，可用：{}", said(ContextKind::ValidValue).unwrap_or_default()),
        ErrorKind::ValueValidation => format!("{what} 不能是“{value}”{}", std::error::Error::source(&error).map(|source| format!("：{source}")).unwrap_or_default()),
        ErrorKind::ArgumentConflict => format!("{what} 不能重复，也不能与 {} 同时使用", said(ContextKind::PriorArg).unwrap_or_default()),
        _ => "命令写错了".to_owned(),
    };
    let command: Vec<&str> = words.iter().skip(1).map(String::as_str).take_while(|word| !word.starts_with('-')).filter(|word| known(word)).collect();
    let next = format!("用法见 filing {}--help (see its --help)", command.iter().map(|word| format!("{word} ")).collect::<String>());
    runtime::terminal::problem("filing", &Problem::new(Exit::Usage, "command-line", message, next), false);
    Err(Exit::Usage)
}

/// A command of ours, at any depth.
fn known(word: &str) -> bool {
    let top = Cli::command();
    top.get_subcommands().flat_map(|command| std::iter::once(command.get_name().to_owned()).chain(command.get_subcommands().map(|inner| inner.get_name().to_owned()))).any(|name| name == word)
}
