//! Several operators of one enterprise with the built programs: authorised, listed, withdrawn, and the way back of an enterprise that
//! lost every key of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use certs_test::desk::{City, CODE, NAME};
use certs_test::programs::{Said, program, run};

#[test]
fn an_enterprise_says_who_signs_for_it_and_is_let_in_again_when_it_lost_its_keys() {
    let place = tempfile::tempdir().unwrap();
    let city = City::open(place.path());
    let home = city.desk.home.clone();
    let url = format!("https://localhost:{}", city.desk.https);
    let until = run("date", &["-d", "+1 year", "+%F"], &home).ok().trim().to_owned();
    let pass = ["--passphrase-file", "pass"];
    let filing = |whose: &[&str], arguments: &[&str]| -> Said { run(program("filing"), &[arguments, whose].concat(), &home) };
    // A key and a certificate each: the enterprise's own, an operator's, and later the one that is found.
    let certified = |whose: &[&str], at: &str| {
        filing(whose, &[&["key", "new", "--name", NAME], &pass[..]].concat()).ok();
        std::fs::copy(home.join(at).join("request.csr"), home.join("one.csr")).unwrap();
        city.office.authority.issue("one", "enterprise-signing", &["--name", NAME, "--code", CODE]);
        std::fs::copy(home.join("one.pem"), home.join(at).join("certificate.pem")).unwrap();
        std::fs::copy(home.join("ca/root.pem"), home.join(at).join("root.pem")).unwrap();
    };
    let (own, clerk, found) = (["--dir", "firm"], ["--dir", "firm", "--operator", "李四"], ["--dir", "found"]);
    certified(&own, "firm");
    certified(&clerk, "firm/operators/李四");
    certified(&found, "found");
    let asked = |whose: &[&str], arguments: &[&str]| filing(whose, &[arguments, &["--server", &url, "--json"], &pass[..]].concat());
    // 1. A timestamp signer is there once a filing goes; as its legal representative before anything was said of keys.
    let number = std::cell::Cell::new(0);
    let submitted = |whose: &[&str], role: &str, period: &str| {
        number.set(number.get() + 1);
        let mut document = certs_test::desk::vat(CODE, number.get(), period);
        document["signer_role"] = role.into();
        let file = format!("draft-{}.jsonc", number.get());
        std::fs::write(home.join(&file), document.to_string()).unwrap();
        let signed = filing(whose, &[&["sign", &file, "--json"], &pass[..]].concat()).json()["document"].as_str().unwrap().to_owned();
        asked(whose, &["submit", &signed])
    };
    assert_eq!(submitted(&own, "legal-representative", "202601").json()[0]["status"], "RECEIVED");
    // 2. Authorised, and again the same one; both see it.
    let key_of = "firm/operators/李四/certificate.pem";
    let give = || asked(&own, &["operator", "authorise", "--key-of", key_of, "--name", "李四", "--kind", "vat-general", "--until", &until]);
    let given = give().json();
    assert_eq!((give().json(), given["state"].as_str(), given["standing"].as_str()), (given.clone(), Some("live"), Some("operator")));
    let authorisation = given["authorisation_id"].as_str().unwrap().to_owned();
    assert_eq!(asked(&clerk, &["operator", "authorise", "--key-of", "found/certificate.pem", "--name", "x", "--kind", "vat-general", "--until", &until]).code, 2);
    let listed = asked(&clerk, &["operator", "list"]).json();
    let standing: Vec<(&str, &str)> = listed.as_array().unwrap().iter().map(|one| (one["standing"].as_str().unwrap(), one["state"].as_str().unwrap())).collect();
    assert_eq!(standing, [("own", "live"), ("operator", "live")], "{listed}");
    assert_eq!(submitted(&clerk, "operator", "202603").json()[0]["status"], "RECEIVED");
    // 3. As nobody else, and not after it was taken back.
    assert!(submitted(&clerk, "legal-representative", "202605").err.contains("check-10-signer"));
    asked(&own, &["operator", "withdraw", &authorisation]).ok();
    assert!(submitted(&clerk, "operator", "202605").err.contains("operator-ended"));
    assert_eq!(asked(&own, &["operator", "list"]).json()[1]["state"], "withdrawn");
    let again = give().json();
    assert_ne!(again["authorisation_id"], given["authorisation_id"]);
    // A second key of its own, and taken back by the first: from the next moment it speaks for nobody. A key does not withdraw
    // itself, and what is none of its own is told.
    let named = asked(&own, &["operator", "own", "--key-of", "found/certificate.pem", "--name", "备用"]).json();
    let second = named["key"].as_str().unwrap();
    let mine = || asked(&own, &["operator", "list"]).json().as_array().unwrap().iter().filter(|one| one["standing"] == "own").map(|one| one["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(mine().len() == 2 && mine().iter().any(|key| key == second));
    assert_eq!(submitted(&found, "legal-representative", "202605").json()[0]["status"], "RECEIVED");
    let withdraw = |whose: &[&str], key: &str| asked(whose, &["operator", "withdraw", "--own-key", key]);
    assert!(withdraw(&found, second).err.contains("does not withdraw itself"));
    assert_eq!(withdraw(&own, "3f0c").code, 3);
    let taken = withdraw(&own, second).json();
    assert_eq!((taken["key"].as_str(), taken["standing"].as_str(), taken["state"].as_str()), (Some(second), Some("own"), Some("withdrawn")));
    assert!(mine().len() == 1 && withdraw(&own, second).err.contains("none any more"));
    assert!(submitted(&found, "legal-representative", "202609").err.contains("check-10-signer"));
    assert_eq!(asked(&own, &["operator", "withdraw", &authorisation, "--own-key", second]).code, 2);
    // 4. The enterprise's directory is lost. Another certificate of it speaks for nobody, until the bureau says so.
    std::fs::rename(home.join("firm/certificate.pem"), home.join("lost.pem")).unwrap();
    assert!(submitted(&found, "legal-representative", "202607").err.contains("check-10-signer"));
    assert!(asked(&found, &["operator", "own", "--key-of", "found/certificate.pem", "--name", "x"]).code != 0);
    assert_eq!(city.desk.desk(&["operators", "reinstate", "lost.csr", "--reason", "x"]).code, 2);
    city.desk.desk(&["operators", "reinstate", "found/certificate.pem", "--reason", "法定代表人持营业执照到场", "--officer", "陈一"]).ok();
    assert_eq!(submitted(&found, "legal-representative", "202607").json()[0]["status"], "RECEIVED");
    let listed = asked(&found, &["operator", "list"]).json();
    assert_eq!(listed.as_array().unwrap().iter().filter(|one| one["standing"] == "own").count(), 1, "{listed}");
    // What the log says of it is proved from its export, and names nobody's code.
    let exported = city.desk.desk(&["--json", "log", "export", "exported"]).json();
    city.desk.desk(&["log", "verify", "exported", "--vkey", exported["vkey"].as_str().unwrap()]).ok();
}
