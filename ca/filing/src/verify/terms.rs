//! The city's word on what is believed, as validation takes it.

use pki::cades::{Algorithm, Floor};
use pki::key::KeyAlgorithm;
use pki::signature::DigestAlgorithm;
use policies::filing::Archive;
use time::{Duration, OffsetDateTime, Time};

#[derive(Clone, Debug)]
pub struct Terms {
    pub floor: Floor,
    pub answers_older: Duration,
    pub lists_older: Duration,
    pub timestamp_answers_older: Duration,
    pub grace: Duration,
    pub renew_before: Duration,
    pub skew: Duration,
}

impl Terms {
    pub fn new(archive: &Archive) -> Self {
        let until = archive.algorithms.iter().filter_map(|(name, day)| {
            let algorithm = match *name {
                "sha256" => Algorithm::Digest(DigestAlgorithm::Sha256),
                "sha384" => Algorithm::Digest(DigestAlgorithm::Sha384),
                "sha512" => Algorithm::Digest(DigestAlgorithm::Sha512),
                "p256" => Algorithm::Key(KeyAlgorithm::P256),
                "p384" => Algorithm::Key(KeyAlgorithm::P384),
                "rsa2048" => Algorithm::Key(KeyAlgorithm::Rsa2048),
                "rsa3072" => Algorithm::Key(KeyAlgorithm::Rsa3072),
                "rsa4096" => Algorithm::Key(KeyAlgorithm::Rsa4096),
                _ => return None,
            };
            // To the end of the day.
            Some((algorithm, OffsetDateTime::new_utc(day.next_day().unwrap_or(*day), Time::MIDNIGHT)))
        });
        Self {
            floor: Floor::new(until.collect()),
            answers_older: archive.answers_older,
            lists_older: archive.lists_older,
            timestamp_answers_older: archive.timestamp_answers_older,
            grace: archive.grace,
            renew_before: archive.renew_before,
            skew: archive.skew,
        }
    }
}
