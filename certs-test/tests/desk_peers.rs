//! Signatures that other people's programs make, at the built desk. OpenSSL's stand in `desk.rs`; here pyHanko's, Bouncy Castle's and
//! GnuTLS's, each receipted. What names no signer's certificate is no CAdES, and is told so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::desk::{City, CODE, vat};
use certs_test::programs::{openssl, oracle, run};

const ORACLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracles/");

#[test]
fn the_desk_takes_what_pyhanko_bouncy_castle_and_gnutls_sign() {
    let place = tempfile::tempdir().unwrap();
    let city = City::open(place.path());
    let (desk, home) = (&city.desk, &city.desk.home);
    // OpenSSL first: that waits for a timestamp signer.
    assert_eq!(city.file("firm", "openssl.json", &vat(CODE, 1, "202610")).0, 200);
    openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", "firm.key", "-outform", "DER", "-out", "firm.p8"], home).ok();
    for (from, name) in [("firm.pem", "leaf"), ("firm.issuers.pem", "issuer")] {
        openssl(&["x509", "-in", from, "-out", &format!("{name}.pem")], home).ok();
        openssl(&["x509", "-in", from, "-outform", "DER", "-out", &format!("{name}.der")], home).ok();
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
    let (hanko, gnutls, java) = (format!("{ORACLES}cades.py"), format!("{ORACLES}gnutls_cades.py"), format!("{ORACLES}Cades.java"));
    let jars = ["bcprov", "bcpkix", "bcutil"].map(|jar| format!("/usr/share/java/{jar}.jar")).join(":");
    let document = |file: &str, serial: u64, period: &str| std::fs::write(home.join(file), vat(CODE, serial, period).to_string()).unwrap();
    // Months apart: none is the one before another.
    document("hanko.json", 2, "202608");
    run(oracle("python"), &[&hanko, "file", "hanko.json", "firm.p8", "leaf.der", "issuer.der", &now, "hanko.json.p7s"], home).ok();
    document("bouncy.json", 3, "202606");
    run("java", &["-XX:TieredStopAtLevel=1", "-cp", &jars, &java, "file", "bouncy.json", "firm.p8", "leaf.der", "issuer.der", "bouncy.json.p7s"], home).ok();
    document("gnutls.json", 4, "202604");
    run(oracle("python"), &[&gnutls, "gnutls.json", "firm.key", "leaf.pem", "issuer.pem", "gnutls.json.p7s"], home).ok();
    for file in ["hanko.json", "bouncy.json", "gnutls.json"] {
        desk.enclose(file);
        let (status, answer) = desk.send("firm", "filings", file);
        assert_eq!(status, 200, "{file}: {answer}");
        // And each of them is the same again.
        assert_eq!(desk.send("firm", "filings", file), (200, answer), "{file}");
    }
    // certtool's PKCS#7 and OpenSSL's plain CMS leave open whose certificate was meant.
    // spec: en319122-1#5.2.2
    document("plain.json", 5, "202602");
    run("certtool", &["--p7-detached-sign", "--p7-time", "--load-privkey", "firm.key", "--load-certificate", "leaf.pem", "--infile", "plain.json", "--outder", "--outfile", "plain.json.p7s"], home).ok();
    desk.enclose("plain.json");
    let (status, refused) = desk.send("firm", "filings", "plain.json");
    assert_eq!((status, refused["code"].as_str()), (422, Some("check-02-cms")), "{refused}");
}
