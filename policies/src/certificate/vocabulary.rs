//! The words that profiles are written in, and the object identifiers they stand for.

use const_oid::ObjectIdentifier;

use crate::document::named;

named! {
    /// What a certificate is in the hierarchy.
    Kind { Root = "root", Issuing = "issuing", Leaf = "leaf" }
}

named! {
    /// The authorities of the hierarchy.
    Issuer {
        Root = "root",
        Enterprise = "enterprise-ca",
        /// Bureaus and officers.
        Officer = "officer-ca",
        Tls = "tls-ca",
        /// Owners of real-name mailboxes.
        Citizen = "citizen-ca",
    }
}

named! {
    KeyAlgorithm { P256 = "p256", P384 = "p384", Rsa2048 = "rsa2048", Rsa3072 = "rsa3072", Rsa4096 = "rsa4096" }
}

named! {
    /// Who may hold a certificate of a profile.
    ApplicantKind { Organization = "organization", Host = "host", Officer = "officer", Citizen = "citizen", Authority = "authority" }
}

named! {
    /// A subject attribute.
    Attribute {
        Country = "country",
        State = "state",
        Locality = "locality",
        Organization = "organization",
        OrganizationIdentifier = "organization-identifier",
        SerialNumber = "serial-number",
        Pseudonym = "pseudonym",
        CommonName = "common-name",
    }
}

impl Attribute {
    pub fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::Country => "2.5.4.6",
            Self::State => "2.5.4.8",
            Self::Locality => "2.5.4.7",
            Self::Organization => "2.5.4.10",
            Self::OrganizationIdentifier => "2.5.4.97",
            Self::SerialNumber => "2.5.4.5",
            Self::Pseudonym => "2.5.4.65",
            Self::CommonName => "2.5.4.3",
        })
    }

    /// The most characters it may have.
    // spec: rfc5280#appendix-A.1 (ub-name and its kin); x520#6.2
    pub fn limit(self) -> usize {
        match self {
            Self::Country => 2,
            Self::State | Self::Locality | Self::Pseudonym => 128,
            Self::OrganizationIdentifier => 256,
            Self::Organization | Self::SerialNumber | Self::CommonName => 64,
        }
    }
}

named! {
    /// The fact about the applicant that an attribute repeats.
    Source {
        OrganizationName = "organization-name",
        /// `NTRCN-` and the unified social credit code.
        CreditCode = "credit-code",
        /// The first host name, or the first address when there is no name.
        HostName = "host-name",
        OfficerName = "officer-name",
        OfficerNumber = "officer-number",
        /// A citizen's, who is named by nothing else.
        Pseudonym = "pseudonym",
        /// The address of the citizen's mailbox.
        MailAddress = "mail-address",
        AuthorityName = "authority-name",
    }
}

impl Source {
    pub fn applicant(self) -> ApplicantKind {
        match self {
            Self::OrganizationName | Self::CreditCode => ApplicantKind::Organization,
            Self::HostName => ApplicantKind::Host,
            Self::OfficerName | Self::OfficerNumber => ApplicantKind::Officer,
            Self::Pseudonym | Self::MailAddress => ApplicantKind::Citizen,
            Self::AuthorityName => ApplicantKind::Authority,
        }
    }
}

named! {
    // spec: rfc5280#4.2.1.3
    KeyUsage {
        DigitalSignature = "digitalSignature",
        NonRepudiation = "nonRepudiation",
        KeyEncipherment = "keyEncipherment",
        DataEncipherment = "dataEncipherment",
        KeyAgreement = "keyAgreement",
        KeyCertSign = "keyCertSign",
        CrlSign = "cRLSign",
    }
}

impl KeyUsage {
    /// The bit of RFC 5280: 0 is digitalSignature.
    pub fn bit(self) -> u8 {
        match self {
            Self::DigitalSignature => 0,
            Self::NonRepudiation => 1,
            Self::KeyEncipherment => 2,
            Self::DataEncipherment => 3,
            Self::KeyAgreement => 4,
            Self::KeyCertSign => 5,
            Self::CrlSign => 6,
        }
    }
}

named! {
    /// A kind of name in the subject alternative name.
    NameKind { Email = "email", Dns = "dns", Ip = "ip" }
}

named! {
    /// Whether a certificate carries a kind of alternative name.
    Presence { Never = "never", Optional = "optional", Required = "required" }
}

named! {
    /// What becomes of a request that asks for names which are not the applicant's. They are copied in no case.
    ForeignNames { Ignore = "ignore", Refuse = "refuse" }
}

named! {
    /// What becomes of a certificate that would outlive its issuer.
    BeyondIssuer { Shorten = "shorten", Refuse = "refuse" }
}

/// An extended key usage, by its name in RFC 5280, RFC 6960 and RFC 9336 or by its dotted identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct ExtendedKeyUsage(ObjectIdentifier);

const PURPOSES: [(&str, &str); 6] = [
    ("serverAuth", "1.3.6.1.5.5.7.3.1"),
    ("clientAuth", "1.3.6.1.5.5.7.3.2"),
    ("emailProtection", "1.3.6.1.5.5.7.3.4"),
    ("timeStamping", "1.3.6.1.5.5.7.3.8"),
    ("OCSPSigning", "1.3.6.1.5.5.7.3.9"),
    // spec: rfc9336
    ("documentSigning", "1.3.6.1.5.5.7.3.36"),
];

impl ExtendedKeyUsage {
    pub const EMAIL_PROTECTION: Self = Self(ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"));
    pub const TIME_STAMPING: Self = Self(ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8"));
    pub const OCSP_SIGNING: Self = Self(ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"));

    pub fn oid(self) -> ObjectIdentifier {
        self.0
    }

    /// The name, where the purpose has one here.
    pub fn name(self) -> Option<&'static str> {
        let dotted = self.0.to_string();
        PURPOSES.iter().find(|(_, oid)| *oid == dotted).map(|(name, _)| *name)
    }
}

impl TryFrom<String> for ExtendedKeyUsage {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let dotted = PURPOSES.iter().find(|(name, _)| *name == text).map_or(text.as_str(), |(_, oid)| *oid);
        if dotted == "2.5.29.37.0" {
            return Err("anyExtendedKeyUsage allows everything; name the purposes".to_owned());
        }
        ObjectIdentifier::new(dotted).map(Self).map_err(|_| {
            let names: Vec<&str> = PURPOSES.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no extended key usage; write one of {} or a dotted identifier", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_read_by_name_and_by_identifier() {
        let read = |text: &str| ExtendedKeyUsage::try_from(text.to_owned());
        assert_eq!(read("OCSPSigning"), Ok(ExtendedKeyUsage::OCSP_SIGNING));
        assert_eq!(read("1.3.6.1.5.5.7.3.4"), Ok(ExtendedKeyUsage::EMAIL_PROTECTION));
        assert_eq!(read("emailProtection").map(ExtendedKeyUsage::name), Ok(Some("emailProtection")));
        assert_eq!(read("1.2.3.4").map(ExtendedKeyUsage::name), Ok(None));
        assert!(read("emailprotection").unwrap_err().contains("serverAuth"));
        assert!(read("2.5.29.37.0").is_err());
    }

    #[test]
    fn names_and_members_are_inverse() {
        for kind in [Kind::Root, Kind::Issuing, Kind::Leaf] {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Issuer::from_name("enterprise-ca"), Some(Issuer::Enterprise));
        assert_eq!(Issuer::from_name("Enterprise"), None);
    }
}
