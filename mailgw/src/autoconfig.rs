//! What mail programs ask for when somebody gives them an address: the settings of this gateway, in the forms of Thunderbird, Apple and
//! Outlook. They are the same for every address of the domain, whether anybody has it or not.

use std::fmt;

use policies::certificate::HostName;
use policies::mailbox::{Address, AddressError, Promise};

/// Longest request of Outlook, in bytes.
pub const MAX_REQUEST: usize = 16 * 1024;
/// What mail programs call the account.
const NAME: &str = "穗印实名邮箱 Suiyin";

/// Where mail programs find what, as it is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub domain: HostName,
    pub host: String,
    pub imaps: u16,
    pub submissions: u16,
    /// Where POP3 is spoken.
    pub pop3s: Option<u16>,
    /// What other servers are promised, where something is or is taken back.
    pub promise: Option<Promise>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Imap,
    Pop3,
    Smtp,
}

/// Text within XML. spec: xml#2.2 #2.4
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => formatter.write_str("&amp;"),
            '<' => formatter.write_str("&lt;"),
            '>' => formatter.write_str("&gt;"),
            '"' => formatter.write_str("&quot;"),
            '\'' => formatter.write_str("&apos;"),
            // No XML holds them, however they are written.
            control if control.is_control() && !matches!(control, '\t' | '\n' | '\r') => formatter.write_str("\u{fffd}"),
            other => write!(formatter, "{other}"),
        })
    }
}

impl Places {
    fn all(&self) -> impl Iterator<Item = (Protocol, u16)> {
        [Some((Protocol::Imap, self.imaps)), self.pop3s.map(|port| (Protocol::Pop3, port)), Some((Protocol::Smtp, self.submissions))].into_iter().flatten()
    }

    /// `config-v1.1.xml`, as Thunderbird and those that follow it read it; the program puts the address in itself.
    pub fn thunderbird(&self) -> String {
        let host = Escaped(&self.host);
        let mut servers = String::new();
        for (protocol, port) in self.all() {
            let (element, kind) = match protocol {
                Protocol::Imap => ("incomingServer", "imap"),
                Protocol::Pop3 => ("incomingServer", "pop3"),
                Protocol::Smtp => ("outgoingServer", "smtp"),
            };
            servers.push_str(&format!(
                "    <{element} type=\"{kind}\">\n      <hostname>{host}</hostname>\n      <port>{port}</port>\n      <socketType>SSL</socketType>\n      <authentication>password-cleartext</authentication>\n      <username>%EMAILADDRESS%</username>\n    </{element}>\n"
            ));
        }
        let domain = Escaped(self.domain.as_str());
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n  <emailProvider id=\"{domain}\">\n    <domain>{domain}</domain>\n    <displayName>{NAME}</displayName>\n    <displayShortName>{NAME}</displayShortName>\n{servers}  </emailProvider>\n</clientConfig>\n"
        )
    }

    /// A profile of Apple's for one address, by IMAP. Its owner types the password in; who opens it learns nothing that was not known.
    pub fn apple(&self, address: &str) -> Result<String, AddressError> {
        let address = Address::parse(address, &self.domain)?.to_string();
        let (host, shown, domain) = (Escaped(&self.host), Escaped(&address), self.domain.as_str());
        let identifier = format!("{domain}.mail");
        let (profile, account) = (uuid(&[domain, &address, "profile"]), uuid(&[domain, &address, "account"]));
        let string = |key: &str, value: &dyn fmt::Display| format!("      <key>{key}</key>\n      <string>{value}</string>\n");
        let number = |key: &str, value: u16| format!("      <key>{key}</key>\n      <integer>{value}</integer>\n");
        let yes = |key: &str| format!("      <key>{key}</key>\n      <true/>\n");
        let server = |way: &str, port: u16| {
            [
                string(&format!("{way}MailServerAuthentication"), &"EmailAuthPassword"), string(&format!("{way}MailServerHostName"), &host),
                number(&format!("{way}MailServerPortNumber"), port), yes(&format!("{way}MailServerUseSSL")), string(&format!("{way}MailServerUsername"), &shown),
            ]
            .concat()
        };
        let mail = [
            string("EmailAccountDescription", &NAME), string("EmailAccountType", &"EmailTypeIMAP"), string("EmailAddress", &shown), server("Incoming", self.imaps),
            server("Outgoing", self.submissions), yes("OutgoingPasswordSameAsIncomingPassword"), string("PayloadDisplayName", &NAME),
            string("PayloadIdentifier", &format!("{}.account", Escaped(&identifier))), string("PayloadType", &"com.apple.mail.managed"), string("PayloadUUID", &account), number("PayloadVersion", 1),
        ]
        .concat();
        let profile = [
            string("PayloadDisplayName", &NAME), string("PayloadIdentifier", &Escaped(&identifier)), string("PayloadOrganization", &Escaped(domain)), string("PayloadType", &"Configuration"),
            string("PayloadUUID", &profile), number("PayloadVersion", 1),
        ]
        .concat();
        Ok(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n  <key>PayloadContent</key>\n  <array>\n    <dict>\n{mail}    </dict>\n  </array>\n{profile}</dict>\n</plist>\n"
        ))
    }

    /// The answer to Outlook's Autodiscover (POX). spec: ms-oxdscli#2.2.4
    pub fn outlook(&self, address: &str) -> Result<String, AddressError> {
        let address = Address::parse(address, &self.domain)?.to_string();
        let (host, shown) = (Escaped(&self.host), Escaped(&address));
        let mut servers = String::new();
        for (protocol, port) in self.all() {
            let kind = match protocol {
                Protocol::Imap => "IMAP",
                Protocol::Pop3 => "POP3",
                Protocol::Smtp => "SMTP",
            };
            servers.push_str(&format!(
                "      <Protocol>\n        <Type>{kind}</Type>\n        <Server>{host}</Server>\n        <Port>{port}</Port>\n        <LoginName>{shown}</LoginName>\n        <DomainRequired>off</DomainRequired>\n        <SPA>off</SPA>\n        <SSL>on</SSL>\n        <Encryption>SSL</Encryption>\n        <AuthRequired>on</AuthRequired>\n      </Protocol>\n"
            ));
        }
        Ok(format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\n  <Response xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a\">\n    <Account>\n      <AccountType>email</AccountType>\n      <Action>settings</Action>\n{servers}    </Account>\n  </Response>\n</Autodiscover>\n"
        ))
    }
}

/// The address in Outlook's question. It is read for this one element, whose text is an address or nothing: no more of XML is understood.
pub fn asked(request: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(request).ok()?;
    let (_, rest) = text.split_once("<EMailAddress>")?;
    let (address, _) = rest.split_once("</EMailAddress>")?;
    Some(address.trim()).filter(|address| !address.is_empty() && address.len() <= 320 && !address.contains(['<', '&']))
}

/// The same for the same words: a profile that is taken in again replaces the one before.
fn uuid(words: &[&str]) -> String {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(crate::record::body::digest(words.join("\n").as_bytes())).for_each(|(to, from)| *to = from);
    // spec: rfc9562#5.8 made of what its maker likes
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = (*version & 0x0f) | 0x80;
    *variant = (*variant & 0x3f) | 0x80;
    let hex = crate::hex(&bytes).to_uppercase();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn places(pop3s: Option<u16>) -> Places {
        Places { domain: HostName::parse("mail.gz.example").unwrap(), host: "mx.mail.gz.example".into(), imaps: 993, submissions: 465, pop3s, promise: None }
    }

    #[test]
    fn what_is_offered_is_told_and_nothing_else() {
        let with = places(Some(995)).thunderbird();
        assert!(with.contains("type=\"pop3\"") && with.contains("<port>995</port>") && with.contains("%EMAILADDRESS%"));
        let without = places(None).thunderbird();
        assert!(!without.contains("pop3") && without.contains("<port>993</port>") && without.contains("<port>465</port>"));
        assert!(!places(None).outlook("1234567897@mail.gz.example").unwrap().contains("POP3"));
    }

    #[test]
    fn the_same_for_whoever_has_a_mailbox_and_whoever_has_none() {
        let places = places(None);
        let [one, other] = ["1234567897@mail.gz.example", "2234567898@mail.gz.example"].map(|address| places.outlook(address).unwrap().replace(address, ""));
        assert_eq!(one, other);
        for wrong in ["", "a", "1234567897@elsewhere.example", "1234567890@mail.gz.example", "a\"><x@mail.gz.example"] {
            assert!(places.outlook(wrong).is_err() && places.apple(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_profile_replaces_the_one_before() {
        let places = places(None);
        let profile = places.apple("1234567897@MAIL.gz.example").unwrap();
        assert_eq!(profile, places.apple("1234567897@mail.gz.example").unwrap());
        assert_ne!(profile, places.apple("2234567898@mail.gz.example").unwrap());
        assert!(profile.contains("<string>1234567897@mail.gz.example</string>") && profile.contains("<integer>993</integer>"));
        assert_eq!(uuid(&["a"]).len(), 36);
        assert_eq!(uuid(&["a"]).as_bytes().get(14), Some(&b'8'));
    }

    #[test]
    fn outlooks_question() {
        let text = "<?xml version=\"1.0\"?><Autodiscover><Request><EMailAddress> a@b.cn </EMailAddress></Request></Autodiscover>";
        assert_eq!(asked(text.as_bytes()), Some("a@b.cn"));
        for wrong in ["", "<EMailAddress></EMailAddress>", "<EMailAddress>a@b.cn", "<EMailAddress>&x;@b.cn</EMailAddress>", "<EMailAddress><a/></EMailAddress>"] {
            assert_eq!(asked(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(asked(&[0xff]), None);
        assert_eq!(Escaped("a<b>&\"'\u{1}").to_string(), "a&lt;b&gt;&amp;&quot;&apos;\u{fffd}");
    }
}
