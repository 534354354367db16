//! A new root beside the present one.

use ca::authority::ROOT;
use ca::ceremony::{self};
use ca::flow::roots::{self, Across, NewRoot, RootsError};
use ca::record::log;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::place::{Place, URL, admin, certify, passphrase, sha256};

#[test]
fn a_new_root_is_published_beside_the_present_one_with_what_vouches_for_both() {
    let place = Place::new();
    let opened = place.found();
    let policies = ca::init::read_policies(&place.path("ca/policies")).unwrap().digest;
    let dates = "not_before = \"2027-03-01T00:00:00Z\"\nnot_after = \"2037-02-01T00:00:00Z\"\npath_length = 1\n";
    let ends = format!("policies = \"ca/policies\"\npolicies_sha256 = \"{policies}\"\npresent = [\"a\", \"b\"]\n");
    let held = |text: String, keys: &str, out: &str| {
        std::fs::write(place.path("c.toml"), &text).unwrap();
        ceremony::run(&place.path("c.toml"), &sha256(text.as_bytes()), &place.path(keys), &passphrase(), &place.path(out), false, &*place.clock).unwrap();
        place.certified(out)
    };
    let file = |name: &str| format!("{{ file = \"{name}\", sha256 = \"{}\" }}", sha256(&std::fs::read(place.path(name)).unwrap()));
    let key_id = |name: &str| {
        let der = pem::parse(std::fs::read(place.path(name)).unwrap()).unwrap().into_contents();
        let (_, read) = X509Certificate::from_der(&der).unwrap();
        pki::certificate::key_id(read.public_key().raw).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let cross = |keys: &str, by: &str, of: &str, name: &str, out: &str| {
        let text = format!("kind = \"cross\"\nroot = {}\nroot_key_id = \"{}\"\npublished_as = \"{name}\"\ncertified = {}\nbase_url = \"{URL}\"\n{dates}{ends}", file(by), key_id(by), file(of));
        held(text, keys, out)
    };
    let root = held(format!("kind = \"root\"\nsucceeds = {}\npublished_as = \"root-2\"\nbase_url = \"{URL}\"\nname = \"穗印根证书机构\"\n{dates}{ends}", file("ca/root.pem")), "new-keys", "new");
    let by_present = cross("ca/root-keys", "ca/root.pem", "new/certificate.pem", "root", "new-by-old");
    let by_new = cross("new-keys", "new/certificate.pem", "ca/root.pem", "root-2", "old-by-new");
    let misnamed = cross("new-keys", "new/certificate.pem", "ca/root.pem", "root-3", "misnamed");
    let authority = &opened.authority;
    let given = |root: &[u8], by_present: &[u8], by_new: Option<&[u8]>| NewRoot { root: root.to_vec(), by_present: by_present.to_vec(), by_new: by_new.map(|der| Across(der.to_vec())) };
    let install = |new: NewRoot| roots::install(authority, &admin(), &new);
    // Nothing but what the ceremonies make of these very keys.
    let present = authority.issuers[ROOT].record.der.clone();
    assert!(matches!(install(given(&present, &by_present, None)), Err(RootsError::Present)));
    assert!(matches!(install(given(&by_present, &by_present, None)), Err(RootsError::Ceremony(_))));
    assert!(matches!(install(given(&root, &by_new, None)), Err(RootsError::OtherKey { of: "new" })));
    assert!(matches!(install(given(&root, &root, None)), Err(RootsError::Certified(_))));
    assert!(matches!(install(given(&root, &by_present, Some(&by_present))), Err(RootsError::OtherKey { of: "present" })));
    assert!(matches!(install(given(&root, &by_present, Some(&misnamed))), Err(RootsError::Certified(_))));
    let entries = authority.store.stream_length(log::STREAM).unwrap();
    let named = |published: Vec<roots::Published>| published.into_iter().map(|one| one.id).collect::<Vec<_>>();
    // The certificate the other way round may come later, and then it is published.
    assert_eq!(named(install(given(&root, &by_present, None)).unwrap()), ["root-2", "root-2-by-root"]);
    let without = authority.store.stream_length(log::STREAM).unwrap();
    let published = install(given(&root, &by_present, Some(&by_new))).unwrap();
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap() - without, 3);
    // Another one in its place is refused.
    assert!(matches!(install(given(&root, &by_present, Some(&misnamed))), Err(RootsError::Different { id }) if id == "root-by-root-2"));
    assert!(matches!(install(given(&root, &by_new, None)), Err(RootsError::Different { id }) if id == "root-2-by-root"));
    assert_eq!(published[0].address, format!("{URL}/issuer/root-2.der"));
    assert_eq!(named(published), ["root-2", "root-2-by-root", "root-by-root-2"]);
    // The register knows what the present root signed; said again, nothing is done.
    let (_, read) = X509Certificate::from_der(&by_present).unwrap();
    assert_eq!(ca::register::get(&*authority.store, read.raw_serial()).unwrap().issuer, ROOT);
    let after = authority.store.stream_length(log::STREAM).unwrap();
    assert_eq!(after - entries, 8);
    assert_eq!(named(install(given(&root, &by_present, None)).unwrap()), ["root-2", "root-2-by-root", "root-by-root-2"]);
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), after);
    drop(opened);
    let opened = place.open();
    assert_eq!(roots::published(&opened.authority).unwrap().iter().map(|one| one.der.as_slice()).collect::<Vec<_>>(), [&root[..], &by_present, &by_new]);
    // The service goes on as before.
    certify(&opened.authority);
}
