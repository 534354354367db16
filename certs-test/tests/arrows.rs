//! The arrows of dependency point one way: what each crate of the workspace may use of the others, and of the world.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Crate, its directory, and the crates of this workspace it may depend on outside tests.
const ARROWS: [(&str, &str, &[&str]); 13] = [
    ("policies", "policies", &[]),
    ("merkle", "ca/merkle", &[]),
    ("pdf", "ca/pdf", &[]),
    ("pki", "ca/pki", &[]),
    ("lint", "ca/lint", &[]),
    ("store", "ca/store", &[]),
    ("keys", "ca/keys", &["pki"]),
    ("runtime", "ca/runtime", &[]),
    ("evidence", "ca/evidence", &["keys", "merkle", "runtime", "store"]),
    ("protocol", "mailgw/protocol", &[]),
    ("ca", "ca", &["evidence", "keys", "lint", "merkle", "pki", "policies", "runtime", "store"]),
    ("filing", "ca/filing", &["evidence", "keys", "merkle", "pdf", "pki", "policies", "runtime", "store"]),
    ("mailgw", "mailgw", &["evidence", "keys", "merkle", "pdf", "pki", "policies", "protocol", "runtime", "store"]),
];

/// Pure crates bring no I/O, clock, environment or randomness of their own.
const PURE: [&str; 6] = ["policies", "merkle", "pdf", "pki", "lint", "protocol"];
const IMPURE_DEPENDENCIES: [&str; 10] = ["tokio", "axum", "hyper", "fjall", "sled", "rustls", "tempfile", "libc", "rustix", "tracing"];
const IMPURE_PATHS: [&str; 9] =
    ["std::fs", "std::net::Tcp", "std::env", "std::process", "std::thread", "SystemTime::now", "Instant::now", "OffsetDateTime::now", "SystemRandom"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn dependencies(directory: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(directory).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    manifest.get("dependencies").and_then(|table| table.as_table()).map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_crate_depends_on_one_above_it() {
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _, _)| *name).collect();
    for (name, directory, allowed) in ARROWS {
        for dependency in dependencies(directory) {
            assert!(!ours.contains(dependency.as_str()) || allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn every_member_is_judged() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let members: BTreeSet<&str> = manifest["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap()).collect();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(_, directory, _)| *directory).chain(["certs-test"]).collect();
    assert_eq!(members, known);
}

#[test]
fn pure_crates_touch_nothing() {
    for name in PURE {
        let (_, directory, _) = ARROWS.into_iter().find(|(known, _, _)| *known == name).unwrap();
        for dependency in dependencies(directory) {
            assert!(!IMPURE_DEPENDENCIES.contains(&dependency.as_str()), "{name} is pure and must not depend on {dependency}");
        }
        let mut files = Vec::new();
        sources(&root().join(directory).join("src"), &mut files);
        assert!(!files.is_empty());
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            // Tests beside the code may do what they need.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for path in IMPURE_PATHS {
                assert!(!code.contains(path), "{} is of a pure crate and names {path}", file.display());
            }
        }
    }
}

#[test]
fn only_store_names_an_engine_and_only_keys_a_private_key() {
    for (name, directory, _) in ARROWS {
        for dependency in dependencies(directory) {
            let engine = ["fjall", "sled"].contains(&dependency.as_str());
            assert!(!engine || name == "store", "{name} must not name an engine");
        }
    }
    assert!(dependencies("ca/keys").contains("argon2"));
}
