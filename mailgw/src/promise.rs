//! What this domain promises other servers of TLS: a policy of MTA-STS, and the key of the certificate for DANE. Both stand where the
//! operator publishes them, so `mailgw doctor` compares.
// spec: rfc8461#3, rfc7672#3.1

use policies::mailbox::Promise;

use crate::record::body::digest;

/// Served as `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`. spec: rfc8461#3.2
pub fn policy(promise: Promise, host: &str) -> String {
    format!("version: STSv1\r\nmode: {}\r\nmx: {host}\r\nmax_age: {}\r\n", promise.mode, u64::from(promise.days) * 86_400)
}

/// Of `_mta-sts.DOMAIN`: another policy has another id, or nobody would fetch it. spec: rfc8461#3.1
pub fn record(policy: &str) -> String {
    let id = crate::hex(digest(policy.as_bytes()).get(..8).unwrap_or_default());
    format!("v=STSv1; id={id};")
}

/// What the server's own key is named by in TLSA: `3 1 1` and this. spec: rfc7672#3.1.1
pub fn key_digest(public_key_info: &[u8]) -> String {
    crate::hex(&digest(public_key_info))
}

#[cfg(test)]
mod tests {
    use policies::mailbox::PromiseMode;

    use super::*;

    #[test]
    fn another_policy_has_another_id() {
        let of = |mode, days| policy(Promise { mode, days }, "mx.mail.gz.example");
        let testing = of(PromiseMode::Testing, 14);
        assert_eq!(testing, "version: STSv1\r\nmode: testing\r\nmx: mx.mail.gz.example\r\nmax_age: 1209600\r\n");
        assert!(record(&testing).starts_with("v=STSv1; id=") && record(&testing).len() == "v=STSv1; id=;".len() + 16);
        assert!(record(&testing) != record(&of(PromiseMode::Enforce, 14)) && record(&testing) != record(&of(PromiseMode::Testing, 15)));
        assert_eq!(record(&testing), record(&of(PromiseMode::Testing, 14)));
        // What is taken back is said by a policy of its own. spec: rfc8461#8.3
        let none = of(PromiseMode::None, 1);
        assert_eq!(none, "version: STSv1\r\nmode: none\r\nmx: mx.mail.gz.example\r\nmax_age: 86400\r\n");
        assert!(record(&none) != record(&of(PromiseMode::Enforce, 1)));
    }
}
