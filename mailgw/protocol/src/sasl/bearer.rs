//! A bearer token as a client brings it, and what it is told where the token opens nothing. What the token says is the server's to judge.
//! spec: rfc7628
use std::fmt;

use super::Secret;
use super::scram::name;

/// Octets of a response: in base64 they fit a line of IMAP. Honest tokens have one or two thousand.
const MAX_RESPONSE: usize = 5_120;
const MAX_PAIRS: usize = 16;
const SEPARATOR: char = '\x01';

/// What a client logs in with. Not printed: whoever has the token is let in.
pub struct Bearer {
    /// Whom the client says it acts as, where it says so.
    pub user: Option<String>,
    /// Where the client thinks it is; told, not judged: it may have come through another name.
    pub host: Option<String>,
    pub port: Option<u16>,
    pub token: Secret,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(..)")
    }
}

impl Bearer {
    /// spec: rfc7628#3.1 client-resp, with a header of rfc5801#4
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "That is no response of OAUTHBEARER";
        if text.len() > MAX_RESPONSE {
            return Err("The response of OAUTHBEARER is too long");
        }
        let (header, rest) = text.split_once(SEPARATOR).ok_or(WRONG)?;
        let mut parts = header.split(',');
        let (flag, acts_as) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(flag), Some(acts_as), Some(""), None) => (flag, acts_as),
            _ => return Err(WRONG),
        };
        // Nothing binds a bearer token to a connection.
        if !matches!(flag, "n" | "y") {
            return Err("OAUTHBEARER binds to no connection");
        }
        let user = if acts_as.is_empty() { None } else { Some(acts_as.strip_prefix("a=").and_then(name).ok_or(WRONG)?) };
        // Each pair ends with a separator, and so does the whole.
        let pairs = rest.strip_suffix(SEPARATOR).and_then(|pairs| pairs.strip_suffix(SEPARATOR)).ok_or(WRONG)?;
        let (mut token, mut host, mut port) = (None, None, None);
        for (at, pair) in pairs.split(SEPARATOR).enumerate() {
            let (key, value) = pair.split_once('=').filter(|(key, value)| at < MAX_PAIRS && is_key(key) && value.bytes().all(is_of_value)).ok_or(WRONG)?;
            let is_first = match key {
                "auth" => token.replace(bearer(value).ok_or("Expected auth=Bearer and a token")?).is_none(),
                "host" => host.replace(value.to_owned()).is_none(),
                "port" => port.replace(digits(value).ok_or(WRONG)?).is_none(),
                // spec: rfc7628#3.1 what is not known is passed over
                _ => true,
            };
            if !is_first {
                return Err(WRONG);
            }
        }
        Ok(Self { user, host, port, token: token.ok_or("Expected auth=Bearer and a token")? })
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_of_value(byte: u8) -> bool {
    byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// spec: rfc6750#2.1 b64token, after a scheme of any case
fn bearer(value: &str) -> Option<Secret> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let body = token.trim_end_matches('=');
    let is_token = !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/'));
    (scheme.eq_ignore_ascii_case("Bearer") && is_token).then(|| Secret::new(token.to_owned()))
}

/// What a client is told whose token opens nothing: where tokens are had, and nothing of why. spec: rfc7628#3.2.2
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRefused {
    scope: Option<String>,
    configuration: Option<String>,
}

impl TokenRefused {
    /// `None` where one of them cannot stand between quotes as it is. `configuration`: the address of the provider's metadata.
    pub fn new(scope: Option<&str>, configuration: Option<&str>) -> Option<Self> {
        let plain = |text: &&str| text.bytes().all(|byte| (byte.is_ascii_graphic() || byte == b' ') && !matches!(byte, b'"' | b'\\'));
        let is_plain = [scope, configuration].iter().flatten().all(plain);
        is_plain.then(|| Self { scope: scope.map(str::to_owned), configuration: configuration.map(str::to_owned) })
    }

    pub(crate) fn json(&self) -> String {
        let mut json = String::from(r#"{"status":"invalid_token""#);
        for (key, value) in [("scope", &self.scope), ("openid-configuration", &self.configuration)] {
            if let Some(value) = value {
                json.push_str(&format!(r#","{key}":"{value}""#));
            }
        }
        json + "}"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// spec: rfc7628#4.1 the response there
    #[test]
    fn the_known_response() {
        let known = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let bearer = Bearer::parse(known).unwrap();
        assert_eq!((bearer.user.as_deref(), bearer.host.as_deref(), bearer.port), (Some("user@example.com"), Some("server.example.com"), Some(143)));
        assert_eq!(bearer.token.expose(), "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        assert_eq!(format!("{bearer:?} {:?}", bearer.token), "Bearer(..) Secret(..)");
    }

    #[test]
    fn what_may_be_said_otherwise() {
        for (text, user) in [
            ("n,,\x01auth=Bearer t\x01\x01", None), ("y,,\x01auth=bearer t\x01\x01", None), ("n,,\x01auth=BEARER   t\x01\x01", None), ("n,a=a=2Cb=3D,\x01auth=Bearer a-._~+/9==\x01\x01", Some("a,b=")),
            ("n,,\x01mthd=POST\x01auth=Bearer t\x01path=/ \t\r\n\x01\x01", None),
        ] {
            assert_eq!(Bearer::parse(text).map(|bearer| bearer.user), Ok(user.map(str::to_owned)), "{text:?}");
        }
    }

    #[test]
    fn what_is_none() {
        let long = format!("n,,\x01auth=Bearer {}\x01\x01", "t".repeat(MAX_RESPONSE));
        let many = format!("n,,\x01{}auth=Bearer t\x01\x01", "x=y\x01".repeat(MAX_PAIRS));
        for text in [
            "", "\x01", "n,,", "n,,\x01", "n,,\x01\x01", "n,,\x01\x01\x01", "n,,\x01auth=Bearer t", "n,,\x01auth=Bearer t\x01", "n,,auth=Bearer t\x01\x01", "n,,\x01auth=Bearer t\x01\x01\x01", "n,,\x01auth=Bearer t\x01\x01 ",
            "n,\x01auth=Bearer t\x01\x01", "n,,,\x01auth=Bearer t\x01\x01", ",,\x01auth=Bearer t\x01\x01", "F,n,,\x01auth=Bearer t\x01\x01", "p=tls-exporter,,\x01auth=Bearer t\x01\x01",
            "n,b,\x01auth=Bearer t\x01\x01", "n,a=,\x01auth=Bearer t\x01\x01", "n,a==2,\x01auth=Bearer t\x01\x01", "n,a==,\x01auth=Bearer t\x01\x01", "n,a=a=41,\x01auth=Bearer t\x01\x01",
            "n,,\x01auth=Bearer\x01\x01", "n,,\x01auth=Bearer \x01\x01", "n,,\x01auth=Basic t\x01\x01", "n,,\x01auth=Bearer a b\x01\x01", "n,,\x01auth=Bearer a=b\x01\x01", "n,,\x01auth=Bearer ==\x01\x01", "n,,\x01auth=Bearer é\x01\x01",
            "n,,\x01auth=Bearer a\x01auth=Bearer a\x01\x01", "n,,\x01host=a\x01host=b\x01auth=Bearer t\x01\x01", "n,,\x01port=99999\x01auth=Bearer t\x01\x01", "n,,\x01port=\x01auth=Bearer t\x01\x01", "n,,\x01port=+1\x01auth=Bearer t\x01\x01",
            "n,,\x01=x\x01auth=Bearer t\x01\x01", "n,,\x01a1=x\x01auth=Bearer t\x01\x01", "n,,\x01x\x01auth=Bearer t\x01\x01", "n,,\x01x=\0\x01auth=Bearer t\x01\x01", "n,,\x01x=穗\x01auth=Bearer t\x01\x01", "n,,\x01Auth=Bearer t\x01\x01",
            &long, &many,
        ] {
            assert!(Bearer::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_told_of_a_refusal() {
        assert_eq!(TokenRefused::default().json(), r#"{"status":"invalid_token"}"#);
        let told = TokenRefused::new(Some("mail imap"), Some("https://id.example/.well-known/openid-configuration")).unwrap();
        assert_eq!(told.json(), r#"{"status":"invalid_token","scope":"mail imap","openid-configuration":"https://id.example/.well-known/openid-configuration"}"#);
        assert!([Some("a\"b"), Some("a\\b"), Some("a\nb"), Some("穗")].into_iter().all(|text| TokenRefused::new(text, None).is_none() && TokenRefused::new(None, text).is_none()));
    }
}
