//! In which language people are answered. Programs read what stands before: `+OK`, `-ERR` and the code in brackets. spec: rfc6856#3

/// As the client asked with LANG; English until it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Language {
    #[default]
    English,
    Chinese,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The tag, and the name of the language in itself. spec: rfc5646#2.1
    pub fn tag(self) -> (&'static str, &'static str) {
        match self {
            Self::English => ("en", "English"),
            Self::Chinese => ("zh", "中文"),
        }
    }

    /// The one of a range such as `zh-Hans-CN`; `*` is the one there is without asking.
    pub fn of(range: &str) -> Option<Self> {
        let first = range.split('-').next().unwrap_or_default();
        if range == "*" { Some(Self::default()) } else { Self::ALL.into_iter().find(|known| known.tag().0.eq_ignore_ascii_case(first)) }
    }

    /// A reply, its text in this language where it is known in it.
    pub fn reply(self, english: &str) -> String {
        if self == Self::English {
            return english.to_owned();
        }
        let (status, rest) = english.split_once(' ').unwrap_or((english, ""));
        let (code, text) = match rest.split_once("] ") {
            Some((code, text)) if code.starts_with('[') => (format!("{code}] "), text),
            _ => (String::new(), rest),
        };
        match TEXTS.iter().find(|(known, _)| *known == text) {
            Some((_, chinese)) => format!("{status} {code}{chinese}"),
            None => english.to_owned(),
        }
    }
}

/// What may be said, but numbers and names.
const TEXTS: [(&str, &str); 30] = [
    ("Now PASS", "请发送 PASS"),
    ("Begin TLS", "开始 TLS"),
    ("Goodbye", "再见"),
    ("Sizes", "各邮件大小"),
    ("Names", "各邮件标识"),
    ("Its top", "邮件开头"),
    ("It goes when you say QUIT", "发送 QUIT 后删除"),
    ("Nothing is marked", "已取消全部删除标记"),
    ("What is offered", "支持的功能"),
    ("Cancelled", "已取消"),
    ("Log in first", "请先登录"),
    ("Say USER first", "请先发送 USER"),
    ("Say STLS first: a password is not for others to read", "请先发送 STLS：密码不能以明文传送"),
    ("TLS is there already", "已在 TLS 之中"),
    ("You are logged in already", "您已登录"),
    ("The name or the password is wrong", "用户名或密码错误"),
    ("Too many logins failed; try again later", "登录失败次数过多，请稍后再试"),
    ("Too many logins failed", "登录失败次数过多"),
    ("Logins are not possible now; try again later", "现在无法登录，请稍后再试"),
    ("Another POP3 session has the mailbox; try again when it has ended", "另一个 POP3 会话正在使用该邮箱，请待其结束后再试"),
    ("The mailbox cannot be opened now; try again later", "现在无法打开邮箱，请稍后再试"),
    ("The message was removed meanwhile", "邮件已被删除"),
    ("The message cannot be read now; try again later", "现在无法读取邮件，请稍后再试"),
    ("Not all marked messages were removed; log in again", "部分标记的邮件未能删除，请重新登录"),
    ("There is no such message, or it is marked", "没有这封邮件，或它已标记删除"),
    ("Too many errors", "错误过多"),
    ("The command is not known", "未知命令"),
    ("Idle for too long", "空闲时间过长"),
    ("The language is not spoken here; LANG lists those that are", "不支持该语言；LANG 列出可用语言"),
    ("Say UTF8 before you log in", "请在登录之前发送 UTF8"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_read_stays_and_what_people_read_is_theirs() {
        let chinese = |text: &str| Language::Chinese.reply(text);
        assert_eq!(chinese("-ERR [AUTH] The name or the password is wrong"), "-ERR [AUTH] 用户名或密码错误");
        assert_eq!(chinese("+OK Goodbye"), "+OK 再见");
        for kept in ["+OK", "+OK 3 messages (40 octets)", "-ERR The base64 is none", "+ "] {
            assert_eq!((chinese(kept), Language::English.reply(kept)), (kept.to_owned(), kept.to_owned()));
        }
        assert_eq!(["zh-Hans-CN", "EN", "*", "fr", ""].map(Language::of), [Some(Language::Chinese), Some(Language::English), Some(Language::English), None, None]);
        // No text is there twice.
        assert!(TEXTS.iter().enumerate().all(|(at, (english, _))| TEXTS.iter().skip(at + 1).all(|(other, _)| other != english)));
    }
}
