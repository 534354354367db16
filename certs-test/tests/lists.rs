//! Parts and deltas of the built `ca`, fetched as relying parties fetch them and judged by OpenSSL, GnuTLS and pkilint.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use certs_test::programs::{Authority, Said, openssl, oracle, run};

const ENTERPRISE: [&str; 4] = ["--name", "广州天河测试有限公司", "--code", "91440101MAT000018G"];

/// A list as it is now, without judges: they may take longer than what is waited for.
fn glance(authority: &Authority, url: &str) -> String {
    run("curl", &["-sf", "-o", "glance.crl", url], &authority.home).ok();
    openssl(&["crl", "-inform", "DER", "-in", "glance.crl", "-noout", "-text"], &authority.home).ok()
}

/// Fetches a list into `NAME.crl` and, as PEM, `NAME.pem`; its text.
fn fetch(authority: &Authority, url: &str, name: &str) -> String {
    let (der, pem) = (format!("{name}.crl"), format!("{name}.pem"));
    run("curl", &["-sf", "-o", &der, url], &authority.home).ok();
    // Signed by its issuer.
    let said = openssl(&["crl", "-inform", "DER", "-in", &der, "-CAfile", "ca/enterprise-ca.pem", "-out", &pem], &authority.home);
    assert!(said.err.contains("verify OK"), "{said:?}");
    let said = run(oracle("lint_crl"), &["lint", "-t", "CRL", "-p", "PKIX", "-s", "WARNING", &der], &authority.home);
    assert!(said.code == 0 && said.out.trim().is_empty(), "{said:?}");
    openssl(&["crl", "-inform", "DER", "-in", &der, "-noout", "-text"], &authority.home).ok()
}

/// The address that a certificate names.
fn point(authority: &Authority, certificate: &str) -> String {
    let text = openssl(&["x509", "-in", certificate, "-noout", "-ext", "crlDistributionPoints"], &authority.home).ok();
    text.lines().find_map(|line| Some(line.split_once("URI:")?.1.trim().to_owned())).unwrap()
}

fn verify(authority: &Authority, lists: &[&str], more: &[&str], certificate: &str) -> Said {
    let lists: Vec<&str> = lists.iter().flat_map(|list| ["-CRLfile", list]).collect();
    let arguments = [&["verify", "-x509_strict", "-crl_check", "-CAfile", "ca/root.pem", "-untrusted", "ca/enterprise-ca.pem"], more, &lists, &[certificate]].concat();
    openssl(&arguments, &authority.home)
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(90);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} does not come");
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn relying_parties_with_parts_and_with_deltas_are_told_the_same() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.partition("enterprise-ca", 2);
    authority.start();
    for name in ["a", "b"] {
        authority.request(name, "/C=CN");
    }
    let (a, b) = (authority.issue("a", "enterprise-signing", &ENTERPRISE), authority.issue("b", "enterprise-signing", &ENTERPRISE));
    let (whole_url, delta_url) = (format!("{}/crl/enterprise-ca.crl", authority.url), format!("{}/crl/enterprise-ca-delta.crl", authority.url));
    authority.ca(&["suspend", &b]).ok();
    authority.ca(&["crl", "publish", "enterprise-ca"]).ok();
    let text = fetch(&authority, &whole_url, "base");
    assert!(text.contains("Freshest CRL") && text.contains(&delta_url) && text.contains("Certificate Hold"), "{text}");

    // A certificate's own part speaks of it; another does not.
    let own_url = point(&authority, "a.pem");
    let own: u16 = own_url.rsplit_once('/').unwrap().1.strip_suffix(".crl").unwrap().parse().unwrap();
    let text = fetch(&authority, &own_url, "own");
    assert!(text.contains("Issuing Distribution Point: critical") && text.contains("Only User Certificates") && text.contains(&own_url), "{text}");
    fetch(&authority, &format!("{}/crl/enterprise-ca/{}.crl", authority.url, 1 - own), "other");
    assert_eq!(verify(&authority, &["own.pem"], &["-extended_crl"], "a.pem").code, 0);
    let said = verify(&authority, &["other.pem"], &["-extended_crl"], "a.pem");
    assert!(said.code != 0 && said.err.contains("unable to get certificate CRL") || said.err.contains("scope"), "{said:?}");

    // Revoked and resumed: within a minute the delta and the part say so, without anybody's asking.
    authority.ca(&["resume", &b]).ok();
    authority.ca(&["revoke", &a, "--reason", "superseded"]).ok();
    let began = Instant::now();
    wait_for("the delta", || {
        let text = glance(&authority, &delta_url);
        (text.contains("Superseded") && text.contains("Remove From CRL")).then_some(())
    });
    wait_for("the part", || glance(&authority, &own_url).contains("Superseded").then_some(()));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let text = fetch(&authority, &delta_url, "delta");
    assert!(text.contains("Delta CRL Indicator: critical") && !text.contains("Freshest CRL"), "{text}");
    fetch(&authority, &own_url, "own");
    let revoked = |said: &Said| said.code != 0 && said.err.contains("certificate revoked");
    assert!(revoked(&verify(&authority, &["own.pem"], &["-extended_crl"], "a.pem")));
    // Who holds the whole list of before: wrong without the delta, right with it.
    assert_eq!(verify(&authority, &["base.pem"], &[], "a.pem").code, 0);
    assert!(revoked(&verify(&authority, &["base.pem"], &[], "b.pem")));
    let deltas = ["-extended_crl", "-use_deltas"];
    assert!(revoked(&verify(&authority, &["base.pem", "delta.pem"], &deltas, "a.pem")));
    let said = verify(&authority, &["base.pem", "delta.pem"], &deltas, "b.pem");
    assert_eq!(said.code, 0, "{said:?}");

    // GnuTLS reads every kind, and judges by the part.
    let chain = ["a.pem", "ca/root.pem"].map(|file| std::fs::read_to_string(authority.home.join(file)).unwrap()).concat();
    std::fs::write(authority.home.join("path.pem"), chain).unwrap();
    for list in ["base", "own", "delta"] {
        let said = run("certtool", &["--crl-info", "--inder", "--infile", &format!("{list}.crl")], &authority.home);
        assert!(said.code == 0 && said.out.contains("X.509 Certificate Revocation List Information"), "{said:?}");
    }
    let said = run("certtool", &["--verify", "--verify-profile", "medium", "--load-ca-certificate", "ca/root.pem", "--load-crl", "own.pem", "--infile", "path.pem"], &authority.home);
    assert!(said.code != 0 && said.out.contains("revoked"), "{said:?}");
}

#[test]
fn lists_are_fetched_with_what_caches_need() {
    let place = tempfile::tempdir().unwrap();
    let mut authority = Authority::found(place.path());
    authority.start();
    let code = |path: &str, more: &[&str]| run("curl", &[&["-s", "-o", "/dev/null", "-w", "%{http_code}", &format!("{}{path}", authority.url)], more].concat(), &authority.home).ok();
    wait_for("the first delta", || (code("/crl/enterprise-ca-delta.crl", &[]) == "200").then_some(()));
    for path in ["/crl/enterprise-ca.crl", "/crl/enterprise-ca/15.crl", "/crl/enterprise-ca-delta.crl", "/crl/root.crl"] {
        let head = run("curl", &["-sf", "-D", "-", "-o", "/dev/null", &format!("{}{path}", authority.url)], &authority.home).ok().to_lowercase();
        let of = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_else(|| panic!("{path}: no {name} in {head}")).to_owned();
        assert_eq!(of("content-type:"), "application/pkix-crl");
        assert!(of("cache-control:").starts_with("max-age=300, public") && of("last-modified:").ends_with("gmt") && of("expires:").ends_with("gmt"), "{head}");
        assert_eq!(code(path, &["-H", &format!("If-None-Match: {}", of("etag:"))]), "304");
    }
    let long = format!("/crl/enterprise-ca/{}.crl", "1".repeat(5_000));
    for path in ["/crl/enterprise-ca/16.crl", "/crl/enterprise-ca/01.crl", "/crl/enterprise-ca/+1.crl", "/crl/enterprise-ca/-1.crl", "/crl/enterprise-ca/65536.crl", "/crl/nobody/1.crl", "/crl/root/0.crl",
        "/crl/root-delta.crl", "/crl/nobody-delta.crl", "/crl/-delta.crl", "/crl/enterprise-ca", "/crl/enterprise-ca/0", "/crl/enterprise-ca/0.crl/1", &long] {
        assert_eq!(code(path, &[]), "404", "{path}");
    }
}
