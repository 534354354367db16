//! What a profile's document must agree on with itself before it is a profile.

use std::ops::Range;

use toml::Spanned;

use super::profile::{Document, SubjectLine};
use super::vocabulary::{ApplicantKind, Attribute, ExtendedKeyUsage, Issuer, KeyUsage, Kind, NameKind, Presence};
use crate::document::PolicyError;

type Finding = (Range<usize>, String);

fn refuse<T>(at: &Spanned<T>, reason: impl Into<String>) -> Result<(), Finding> {
    Err((at.span(), reason.into()))
}

fn repeats<T: PartialEq>(list: &[T]) -> bool {
    list.iter().enumerate().any(|(at, item)| list.iter().take(at).any(|before| before == item))
}

impl Document {
    pub(super) fn check(&self, file: &str, text: &str) -> Result<(), PolicyError> {
        let found = self
            .words(file)
            .and_then(|()| self.hierarchy())
            .and_then(|()| self.subject())
            .and_then(|()| self.usage())
            .and_then(|()| self.names())
            .and_then(|()| self.status());
        found.map_err(|(span, reason)| PolicyError::at(file, text, Some(span), reason))
    }

    fn words(&self, file: &str) -> Result<(), Finding> {
        let stem = file.rsplit('/').next().and_then(|last| last.strip_suffix(".toml")).unwrap_or(file);
        if self.name.get_ref() != stem {
            return refuse(&self.name, format!("the profile must be named `{stem}`, as its file is"));
        }
        let purpose = self.purpose.get_ref();
        if purpose.is_empty() || purpose.len() > 200 || purpose.chars().any(char::is_control) {
            return refuse(&self.purpose, "the purpose is one line of 1 to 200 bytes");
        }
        if *self.approvals.get_ref() > 2 {
            return refuse(&self.approvals, "approvals are 0, 1 or 2 officers");
        }
        if *self.bulk.get_ref() && *self.approvals.get_ref() > 0 {
            return refuse(&self.bulk, "what officers approve one by one is not issued in bulk");
        }
        let keys = self.keys.get_ref();
        if keys.is_empty() || repeats(keys) {
            return refuse(&self.keys, "name at least one key algorithm, each once");
        }
        let validity = self.validity.get_ref();
        if !(1..=9_200).contains(&validity.days) || validity.backdate_minutes > 60 {
            return refuse(&self.validity, "days are 1 to 9200 and backdate_minutes 0 to 60");
        }
        if validity.private_key_days.is_some_and(|days| days == 0 || days >= validity.days) {
            return refuse(&self.validity, "private_key_days are at least 1 and fewer than days");
        }
        if let Some(path) = &self.cps_path {
            let text = path.get_ref();
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._/".contains(&b);
            if !text.starts_with('/') || text.len() > 128 || !text.bytes().all(fits) {
                return refuse(path, "cps_path is the path below the public address, such as /cps");
            }
        }
        Ok(())
    }

    fn hierarchy(&self) -> Result<(), Finding> {
        let issuers = self.issuers.get_ref();
        if repeats(issuers) {
            return refuse(&self.issuers, "an issuer is named twice");
        }
        let fits = match self.kind {
            Kind::Root => issuers.is_empty(),
            Kind::Issuing => issuers.as_slice() == [Issuer::Root],
            Kind::Leaf => !issuers.is_empty() && !issuers.contains(&Issuer::Root),
        };
        if !fits {
            return refuse(&self.issuers, "a root has no issuer, an issuing authority has the root, a leaf has issuing authorities");
        }
        let authority = self.kind != Kind::Leaf;
        let usage = self.key_usage.get_ref();
        if usage.contains(&KeyUsage::KeyCertSign) != authority || (usage.contains(&KeyUsage::CrlSign) && !authority) {
            return refuse(&self.key_usage, "a root and an issuing authority have keyCertSign; a leaf has neither it nor cRLSign");
        }
        match &self.basic_constraints {
            Some(basic) if basic.get_ref().ca != authority => refuse(basic, "ca is true for a root and an issuing authority alone"),
            // spec: rfc5280#4.2.1.9
            Some(basic) if basic.get_ref().path_length.is_some() && !authority => refuse(basic, "a leaf has no path_length"),
            None if authority => refuse(&self.key_usage, "a root and an issuing authority need basic_constraints with ca = true"),
            _ => Ok(()),
        }
    }

    fn subject(&self) -> Result<(), Finding> {
        let lines = self.subject.get_ref();
        let attributes: Vec<Attribute> = lines.iter().map(|line| line.attribute).collect();
        if repeats(&attributes) || !attributes.contains(&Attribute::CommonName) {
            return refuse(&self.subject, "a subject has a common-name and each attribute once");
        }
        for line in lines {
            if let Err(reason) = self.subject_line(line) {
                return refuse(&self.subject, format!("{}: {reason}", line.attribute));
            }
        }
        Ok(())
    }

    fn subject_line(&self, line: &SubjectLine) -> Result<(), String> {
        match (&line.fixed, line.from) {
            (Some(text), None) => {
                let characters = text.chars().count();
                let limit = line.attribute.limit();
                if characters == 0 || characters > limit || text.chars().any(char::is_control) || text.trim() != text {
                    return Err(format!("the fixed value has 1 to {limit} characters without spaces around"));
                }
                if line.attribute == Attribute::Country && !text.bytes().all(|b| b.is_ascii_uppercase()) {
                    return Err("the country is two capital letters".to_owned());
                }
                Ok(())
            }
            (None, Some(source)) if source.applicant() != self.applicant => {
                Err(format!("`{source}` is known of {} applicants, this profile is for {} applicants", source.applicant(), self.applicant))
            }
            (None, Some(_)) => Ok(()),
            _ => Err("write either `fixed` or `from`".to_owned()),
        }
    }

    fn usage(&self) -> Result<(), Finding> {
        let usage = self.key_usage.get_ref();
        if usage.is_empty() || repeats(usage) || repeats(&self.extended_key_usage) {
            return refuse(&self.key_usage, "name at least one key usage, and each usage once");
        }
        if self.kind == Kind::Leaf && self.extended_key_usage.is_empty() {
            return refuse(&self.key_usage, "a leaf needs extended_key_usage: without it every purpose is allowed");
        }
        // spec: rfc3161#2.3 (one purpose, critical); the key ends before the certificate, so that tokens can be verified for years
        let stamps = self.extended_key_usage.contains(&ExtendedKeyUsage::TIME_STAMPING);
        let alone = self.extended_key_usage.len() == 1 && self.extended_key_usage_critical && usage.as_slice() == [KeyUsage::DigitalSignature];
        if stamps && !(alone && self.validity.get_ref().private_key_days.is_some()) {
            return refuse(&self.key_usage, "timeStamping is the only purpose, critical, with digitalSignature alone and private_key_days");
        }
        if self.credit_code_extension && self.applicant != ApplicantKind::Organization {
            return refuse(&self.name, "only an organization has a credit code");
        }
        Ok(())
    }

    fn names(&self) -> Result<(), Finding> {
        let applicants: [(NameKind, &[ApplicantKind]); 3] =
            [(NameKind::Email, &[ApplicantKind::Organization, ApplicantKind::Citizen]), (NameKind::Dns, &[ApplicantKind::Host]), (NameKind::Ip, &[ApplicantKind::Host])];
        for (kind, applicants) in applicants {
            if self.alternative_names.of(kind) != Presence::Never && !applicants.contains(&self.applicant) {
                let whose = applicants.iter().map(ApplicantKind::to_string).collect::<Vec<_>>().join(" and ");
                return refuse(&self.name, format!("alternative names of kind `{kind}` are for {whose} applicants"));
            }
        }
        let email = self.alternative_names.email;
        // spec: rfc8550#3 (a mail agent needs the address in the certificate)
        if self.extended_key_usage.contains(&ExtendedKeyUsage::EMAIL_PROTECTION) && email != Presence::Required {
            return refuse(&self.name, "emailProtection needs alternative_names.email = \"required\"; put it under with_mailbox");
        }
        match &self.with_mailbox {
            Some(line) if email != Presence::Optional => {
                refuse(line, "with_mailbox needs alternative_names.email = \"optional\"")
            }
            Some(line) if line.get_ref().extended_key_usage.iter().any(|usage| self.extended_key_usage.contains(usage)) => {
                refuse(line, "with_mailbox repeats an extended key usage")
            }
            _ => Ok(()),
        }
    }

    fn status(&self) -> Result<(), Finding> {
        let signs_status = self.extended_key_usage.contains(&ExtendedKeyUsage::OCSP_SIGNING);
        // spec: rfc6960#4.2.2.2.1
        if signs_status != self.ocsp_no_check {
            return refuse(&self.name, "OCSPSigning and ocsp_no_check go together: an OCSP signer cannot answer for itself");
        }
        let pointers = self.pointers.get_ref();
        if signs_status && (pointers.ocsp || self.extended_key_usage.len() > 1) {
            return refuse(&self.pointers, "an OCSP signer points at no OCSP service and has no second purpose");
        }
        if self.kind == Kind::Root && (pointers.ocsp || pointers.crl || pointers.issuer_certificate) {
            return refuse(&self.pointers, "a root points nowhere: trust in it is withdrawn by hand");
        }
        if self.kind != Kind::Root && !signs_status && !pointers.crl {
            return refuse(&self.pointers, "a certificate that can be revoked points at its CRL");
        }
        Ok(())
    }
}
