//! Recipients of mail are the directory's addresses, and nothing else: no relaying, however the address is dressed up.

use protocol::smtp::exchange::{Host, Recipient};

use super::accept::{Found, NotFound, Recipients};
use crate::directory::{Directory, DirectoryError, still_open};

impl Recipients for Directory {
    fn find(&self, recipient: &Recipient) -> Result<Found, NotFound> {
        let domain = self.domain().as_str();
        let local = match recipient {
            // spec: rfc5321#4.5.1 the operator's mailbox bears this name
            Recipient::Postmaster => "postmaster",
            Recipient::Mailbox(address) => match address.host() {
                Host::Name(name) if name.as_str().eq_ignore_ascii_case(domain) => address.local(),
                _ => return Err(NotFound::Elsewhere),
            },
        };
        let (address, failed) = (format!("{local}@{domain}"), |error: DirectoryError| NotFound::Failed(error.to_string()));
        let number = match self.open_at(&address).map_err(failed)? {
            Some(number) => number,
            // One that takes no mail any more is told from one that never was.
            None => match self.find_address(&address).map_err(failed)? {
                None => return Err(NotFound::Unknown),
                Some(account) if !account.is_open() => return Err(NotFound::Closed),
                Some(account) => account.number,
            },
        };
        Ok(Found { mailbox: number.to_string(), open: Some(still_open(number)) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use policies::certificate::HostName;
    use policies::mailbox::MailboxPolicy;
    use protocol::smtp::exchange::{Answer, Domain, Output, Request};
    use protocol::smtp::session::{Role, Session, Settings};
    use time::macros::datetime;

    use super::*;
    use crate::directory::{Applicant, NewPassword, Words, today};

    fn recipient(path: &str) -> Recipient {
        let host = Domain::parse("mx.b.cn").unwrap();
        let (mut session, _) = Session::new(Settings { host, tls: false, starttls: false, role: Role::Exchange, dsn: false, offer: protocol::sasl::Offer::default(), budget: protocol::budget::Budget::default(), max_size: 1, max_recipients: 1, max_copies: 1 });
        let out = session.receive(format!("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{path}>\r\n").as_bytes());
        let request = out.into_iter().find_map(|output| if let Output::Do(request) = output { Some(request) } else { None });
        assert!(!session.answer(Answer::Known).is_empty());
        match request.unwrap() {
            Request::Recipient { recipient, .. } => recipient,
            _ => unreachable!(),
        }
    }

    #[test]
    fn addresses_of_the_directory_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let passphrase = keys::Passphrase::new("a passphrase for tests only".to_owned()).unwrap();
        let key = Arc::new(keys::KeyStore::create(&directory.path().join("keys"), &passphrase).unwrap().data_key("directory").unwrap());
        let policy = Arc::new(MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap());
        let domain = HostName::parse("mail.gz.example").unwrap();
        let random = Arc::new(ring::rand::SystemRandom::new());
        let directory = Directory::new(Arc::new(store::Memory::new()), key, domain, Arc::clone(&policy), random).unwrap();

        let now = datetime!(2026-11-25 08:00 UTC);
        let aliases = vec!["postmaster".to_owned(), "office".to_owned()];
        let words = Words { code: Some("91440101MAT000018G".into()), name: Some("信息办".into()), aliases, operator: true, ..Words::default() };
        let applicant = Applicant::parse(&words, &policy, today(now)).unwrap();
        let number = directory.open(applicant, NewPassword::Generated, now).unwrap().account.number;

        let found = |path: &str| Recipients::find(&directory, &recipient(path)).map(|found| found.mailbox);
        let by_number = format!("{number}@mail.gz.example");
        for path in ["postmaster", "PostMaster", "postmaster@MAIL.gz.example", "Office@mail.gz.example", "\"office\"@mail.gz.example", &by_number] {
            assert_eq!(found(path), Ok(number.to_string()), "{path}");
        }
        for local in ["nobody", "0000000006", "\"office@mail.gz.example\"", "\"a@b.cn\"", "office%b.cn", "b.cn!office"] {
            let path = &format!("{local}@mail.gz.example");
            assert_eq!(found(path), Err(NotFound::Unknown), "{path}");
        }
        for path in
            ["office@gz.example", "office@[127.0.0.1]", "\"office@mail.gz.example\"@b.cn", "@mail.gz.example:office@b.cn", "office@mail.gz.example.b.cn"]
        {
            assert_eq!(found(path), Err(NotFound::Elsewhere), "{path}");
        }
        directory.close(number, now).unwrap();
        assert_eq!(found("office@mail.gz.example"), Err(NotFound::Closed));
    }
}
