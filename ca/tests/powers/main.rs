//! Every role against every operation and every address: who may do what, over the socket and over mutual TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod matrix;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::http::Method;
use ca::administration::{Administration, Endpoint};
use ca::authority::ROOT;
use ca::cli::identity::Identity;
use ca::flow::hold::suspend;
use ca::flow::issue::{Order, issue};
use ca::flow::officer::{Grant, Withdraw, grant, withdraw};
use ca::flow::plan::Words;
use ca::flow::reading::{self, ReadingQuery};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::take_over;
use ca::flow::{Administrator, Authorised, Operator, Proven};
use ca::http::administration::PATH;
use ca::init::init;
use ca::record::{AdministrationCertificate, Reason, log, serial_text};
use ca::operation::{Operation, Trace};
use ca::service::{Outcome, Service};
use ca::status::Status;
use keys::{KeyHandle, KeyStore, Passphrase};
use pki::signer::SignatureAlgorithm;
use policies::authority::Power;
use runtime::admin::{AdminClient, AdminSocket, CallError, SOCKET};
use runtime::clock::{Clock, FakeClock};
use runtime::exit::Exit;
use runtime::shutdown::Shutdown;
use store::{Fault, Faulty};
use matrix::{COMMANDS, MATRIX, sample};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

struct Office {
    service: Service,
    clock: Arc<FakeClock>,
    keys: Arc<KeyStore>,
    status: Arc<Status>,
    place: tempfile::TempDir,
}

impl Office {
    fn found() -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()));
        let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let status = Arc::new(Status::new(&opened.authority).unwrap());
        let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
        Self { service, clock, keys: opened.keys, status, place }
    }

    fn certify(&self, profile: &str, applicant: Words, key: &KeyHandle) -> (String, Vec<u8>) {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let request = parameters.serialize_request(key).unwrap().der().to_vec();
        let issued = issue(&self.service.authority, Authorised::service(), Order { profile: profile.into(), request, applicant, issuer: None }).unwrap();
        (serial_text(&issued.what().serial), issued.what().record.der.clone())
    }

    /// An identity with a certificate of a profile.
    fn identity(&self, name: &str, profile: &str, applicant: Words) -> (String, Identity) {
        let key = self.keys.generate(name, SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let (serial, certificate) = self.certify(profile, applicant, &key);
        let issuer = match profile {
            "officer" | "bureau-client" => "officer-ca",
            "tls-server" => "tls-ca",
            _ => "enterprise-ca",
        };
        let issuers = &self.service.authority.issuers;
        (serial, Identity { key, certificate, chain: vec![issuers[issuer].record.der.clone()], root: issuers["root"].record.der.clone() })
    }

    fn officer(&self, name: &str) -> (String, Identity) {
        self.identity(name, "officer", Words { officer: Some("陈一".into()), number: Some(name.into()), ..Words::default() })
    }

    fn powerful(&self, name: &str, power: Power, by: &Authorised<Administrator>) -> (String, Identity) {
        let (serial, identity) = self.officer(name);
        grant(&self.service.authority, by, &Grant { serial: serial.clone(), power }).unwrap();
        (serial, identity)
    }

    /// Starts the listener for officers, on a port of its own.
    async fn listen(&self, shutdown: &Shutdown) -> SocketAddr {
        let configured = Administration { listen: "127.0.0.1:8441".parse().unwrap(), host: "ca.example.cn".into() };
        let endpoint = Arc::new(Endpoint::new(configured).unwrap());
        endpoint.refresh(&self.service.authority, &self.status, &self.keys, true).unwrap();
        let listener = runtime::http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = endpoint.tls(&self.service.authority).unwrap();
        tokio::spawn(ca::administration::serve(listener, tls, ca::http::administration::router(self.service.clone()), shutdown.clone()));
        address
    }

    /// The next generation of `issuer` takes over.
    fn succeed(&self, issuer: &str) {
        let (place, authority) = (self.place.path(), &self.service.authority);
        let requested = take_over::request(authority, &Authorised::<ca::flow::Administrator>::service(), issuer).unwrap();
        std::fs::write(place.join("next.csr"), &requested.request).unwrap();
        let sha256 = |bytes: &[u8]| hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
        let of = |name: &str| sha256(&std::fs::read(place.join(name)).unwrap());
        let policies = ca::init::read_policies(&place.join("ca/policies")).unwrap().digest;
        let written = |at: OffsetDateTime| at.replace_nanosecond(0).unwrap().format(&time::format_description::well_known::Rfc3339).unwrap();
        let (from, until) = (written(self.clock.now()), written(self.clock.now() + Duration::days(3_000)));
        let text = format!(
            "kind = \"issuing\"\nroot = {{ file = \"ca/root.pem\", sha256 = \"{}\" }}\nroot_key_id = \"{}\"\nrequest = {{ file = \"next.csr\", sha256 = \"{}\" }}\nname = \"下一代\"\n\
             not_before = \"{from}\"\nnot_after = \"{until}\"\npath_length = 0\nbase_url = \"{}\"\npolicies = \"ca/policies\"\npolicies_sha256 = \"{policies}\"\npresent = [\"a\", \"b\"]\n",
            of("ca/root.pem"), hex(&authority.issuers[ROOT].key_id), of("next.csr"), authority.settings.base_url
        );
        std::fs::write(place.join("ceremony.toml"), &text).unwrap();
        ca::ceremony::run(&place.join("ceremony.toml"), &sha256(text.as_bytes()), &place.join("ca/root-keys"), &passphrase(), &place.join("out"), false, &*self.clock).unwrap();
        let der = pem::parse(std::fs::read(place.join("out/certificate.pem")).unwrap()).unwrap().into_contents();
        take_over::install(authority, &Authorised::<ca::flow::Administrator>::by_ownership(7), &der).unwrap();
    }

    /// Entries of the log but those of who looked.
    fn changes(&self) -> usize {
        let store = &self.service.authority.store;
        store.read_stream(log::STREAM, 0, store.stream_length(log::STREAM).unwrap() as usize).unwrap().iter().filter(|entry| entry[1] != log::RECORDS_READ).count()
    }

    /// Who looked at records, and by what.
    fn looked(&self) -> BTreeSet<(String, String)> {
        reading::list(&self.service.authority, &ReadingQuery::default()).unwrap().readings.into_iter().map(|one| (one.by, one.what)).collect()
    }
}

/// The operations there are, as the program itself names them.
fn operations() -> BTreeSet<String> {
    let refused = serde_json::from_value::<Operation>(json!("no-such")).unwrap_err().to_string();
    let named = refused.split("expected one of ").nth(1).unwrap();
    named.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

/// What came of a request: whether the door was open, and the code of the problem.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// Done, or refused for what was asked.
    Heard,
    Denied(String),
    /// TLS did not begin.
    ShutOut,
}

async fn ask(client: &AdminClient, operation: &Value) -> Came {
    const DENIALS: [&str; 7] = ["powerless", "no-powers", "other-profile", "officer-revoked", "officer-suspended", "officer-expired", "not-of-here"];
    match client.call::<Value, Value>(Method::POST, PATH, Some(operation)).await {
        Ok(_) => Came::Heard,
        Err(CallError::Problem(problem)) if problem.exit == runtime::exit::Exit::Denied => {
            assert!(DENIALS.contains(&problem.code.as_str()), "{problem:?}");
            Came::Denied(problem.code)
        }
        Err(CallError::Problem(_)) => Came::Heard,
        Err(CallError::Tls { .. } | CallError::Io { .. }) => Came::ShutOut,
        Err(other) => panic!("{other}"),
    }
}

fn remote(address: SocketAddr, identity: &Identity) -> AdminClient {
    AdminClient::remote(&format!("https://{address}"), identity.tls().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_against_every_operation() {
    let office = Office::found();
    let authority = &office.service.authority;
    let rows: BTreeMap<&str, [bool; 4]> = MATRIX.iter().copied().collect();
    assert_eq!(rows.keys().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), operations(), "each operation has one row");
    let shutdown = Shutdown::new();
    let socket = AdminSocket::bind(&office.place.path().join("ca")).await.unwrap();
    tokio::spawn(socket.serve(ca::http::administration::router(office.service.clone()), shutdown.clone()));
    let owner = AdminClient::connect(&office.place.path().join("ca").join(SOCKET)).await.unwrap();
    let address = office.listen(&shutdown).await;
    // The owner of the machine, before there are officers: everything.
    for name in rows.keys() {
        assert_eq!(ask(&owner, &sample(name)).await, Came::Heard, "{name}");
    }
    let first: Authorised<Administrator> = Authorised::by_ownership(7);
    let auditor = office.powerful("c-1", Power::Auditor, &first);
    let operator = office.powerful("b-1", Power::Operator, &first);
    let withdrawn = office.powerful("d-1", Power::Operator, &first);
    let (revoked, suspended) = (office.powerful("e-1", Power::Operator, &first), office.powerful("f-1", Power::Operator, &first));
    let administrator = office.powerful("a-1", Power::Administrator, &first);
    let second = Proven::officer(authority, &administrator.1.certificate).unwrap().acting::<Administrator>().unwrap();
    withdraw(authority, &second, &Withdraw { serial: withdrawn.0.clone(), power: None }).unwrap();
    revoke(authority, &Authorised::<Operator>::by_ownership(7), &Revoke { serial: revoked.0.clone(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    suspend(authority, &Authorised::by_ownership(7), &suspended.0).unwrap();
    let company = || Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    let bureau = office.identity("bureau", "bureau-client", company());
    let enterprise = office.identity("enterprise", "enterprise-signing", company());
    let server = office.identity("server", "tls-server", Words { dns: vec!["a.example.cn".into()], ..Words::default() });
    let none = office.officer("g-1");
    // Another authority of the same names, which certifies an officer of the same name and number.
    let other = Office::found();
    let foreign = other.powerful("a-1", Power::Administrator, &first);
    let foreign = Identity { root: administrator.1.root.clone(), ..foreign.1 };
    // Somebody shows another's certificate and has not the key of it.
    let stolen = Identity { key: none.1.key.clone(), ..administrator.1.clone() };
    let before = office.changes();
    for (column, (role, client)) in [("administrator", remote(address, &administrator.1)), ("operator", remote(address, &operator.1)), ("auditor", remote(address, &auditor.1)), ("owner", owner)].into_iter().enumerate() {
        for (name, row) in &rows {
            let expected = if row[column] { Came::Heard } else { Came::Denied("powerless".into()) };
            assert_eq!(ask(&client, &sample(name)).await, expected, "{role}: {name}");
        }
    }
    for (role, identity, code) in [("none", &none.1, "no-powers"), ("withdrawn", &withdrawn.1, "no-powers"), ("revoked", &revoked.1, "officer-revoked"), ("suspended", &suspended.1, "officer-suspended"), ("bureau", &bureau.1, "other-profile")] {
        for name in rows.keys() {
            assert_eq!(ask(&remote(address, identity), &sample(name)).await, Came::Denied(code.into()), "{role}: {name}");
        }
    }
    for (role, identity) in [("enterprise", &enterprise.1), ("server", &server.1), ("foreign", &foreign), ("stolen", &stolen)] {
        for name in rows.keys() {
            assert_eq!(ask(&remote(address, identity), &sample(name)).await, Came::ShutOut, "{role}: {name}");
        }
    }
    // What was heard prepared the root's list twice and no more: nobody who was refused changed anything.
    assert_eq!(office.changes() - before, 1);
    // Whoever looked at records has one entry for each way of looking in this hour; nobody else has any.
    let looks = |column: usize, by: String, remote: bool| {
        let operations = rows.iter().filter(move |(_, row)| row[column]).map(|(name, _)| serde_json::from_value::<Operation>(sample(name)).unwrap());
        operations.filter(move |operation| operation.trace() == Trace::Reading && !(remote && operation.is_local_only())).map(move |operation| (by.clone(), operation.power().0.to_owned())).collect::<Vec<_>>()
    };
    let mut expected: BTreeSet<(String, String)> = BTreeSet::new();
    for (column, officer) in [&administrator.0, &operator.0, &auditor.0].into_iter().enumerate() {
        expected.extend(looks(column, format!("officer:{officer}"), true));
    }
    // The owner looked at all there is, before there were officers.
    let owner_is = format!("uid:{}", rustix::process::geteuid().as_raw());
    expected.extend((0..3).flat_map(|column| looks(column, owner_is.clone(), false)));
    assert_eq!(office.looked(), expected);
    let store = &authority.store;
    let entries = store.read_stream(log::STREAM, 0, store.stream_length(log::STREAM).unwrap() as usize).unwrap();
    assert_eq!(entries.iter().filter(|entry| entry[1] == log::RECORDS_READ).count(), expected.len());
    // In the next hour it is told again, once, however often they look.
    office.clock.advance(Duration::hours(1));
    for _ in 0..3 {
        assert_eq!(ask(&remote(address, &auditor.1), &sample("list")).await, Came::Heard);
    }
    assert_eq!(store.stream_length(log::STREAM).unwrap(), entries.len() as u64 + 1);
    // The newest first, and whether there are more.
    let newest = reading::list(authority, &ReadingQuery { by: Some(format!("officer:{}", auditor.0)), limit: Some(2), ..ReadingQuery::default() }).unwrap();
    assert!(newest.more && newest.readings.len() == 2 && newest.readings[0].what == "list" && newest.readings[0].hour > newest.readings[1].hour, "{newest:?}");
    // An officer whose certificate ends is shut out.
    office.clock.advance(Duration::days(366));
    assert_eq!(ask(&remote(address, &administrator.1), &json!({ "list": {} })).await, Came::ShutOut);
    shutdown.begin();
}

#[test]
fn every_command_asks_for_operations_of_the_matrix_or_for_none() {
    fn leaves(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        let below: Vec<_> = command.get_subcommands().collect();
        if below.is_empty() {
            found.insert(path.to_owned());
        }
        below.into_iter().for_each(|one| leaves(one, format!("{path} {}", one.get_name()).trim(), found));
    }
    let mut found = BTreeSet::new();
    leaves(&<ca::cli::Cli as clap::CommandFactory>::command(), "", &mut found);
    assert_eq!(COMMANDS.iter().map(|(path, _)| (*path).to_owned()).collect::<BTreeSet<_>>(), found, "each command has one row");
    // Nor is there an operation that no command asks for, and that only a program of somebody's own would find.
    let asked: BTreeSet<String> = COMMANDS.iter().flat_map(|(_, operations)| *operations).map(|name| (*name).to_owned()).collect();
    assert_eq!(asked, operations());
}

#[test]
fn where_it_cannot_be_recorded_who_looks_nobody_is_shown_anything() {
    let office = Office::found();
    let whole = &office.service.authority;
    let faulty = Arc::new(Faulty::new(Arc::clone(&whole.store)).at(0, Fault::Lost));
    let broken = Service { authority: Arc::new(whole.over(faulty)), ..office.service.clone() };
    let asked = |service: &Service, name: &str| service.perform(&Proven::local(whole, 7).unwrap(), serde_json::from_value(sample(name)).unwrap());
    for name in ["list", "show", "list-officers", "list-orders"] {
        assert!(asked(&broken, name).is_err_and(|problem| problem.exit == Exit::Unavailable), "{name}");
    }
    assert!(office.looked().is_empty());
    // Copies that save what is left are taken, and say that nobody can tell of them.
    let saved = |name: &str, to: &str| broken.perform(&Proven::local(whole, 7).unwrap(), serde_json::from_value(json!({ name: { "directory": office.place.path().join(to) } })).unwrap());
    assert!(matches!(saved("export-log", "log").unwrap(), Outcome::Exported(exported) if exported.unrecorded));
    assert!(matches!(saved("backup", "backup").unwrap(), Outcome::BackedUp(done) if done.unrecorded));
    // What is wrong is told all the same.
    assert!(asked(&broken, "doctor").is_ok() && asked(&broken, "show-policies").is_ok());
    assert!(asked(&office.service, "list").is_ok());
    assert_eq!(office.looked(), BTreeSet::from([("uid:7".to_owned(), "list".to_owned())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_prove_to_be_good_is_not_called() {
    let office = Office::found();
    let authority = &office.service.authority;
    let admin = office.powerful("a-1", Power::Administrator, &Authorised::by_ownership(7)).1;
    let shutdown = Shutdown::new();
    let configured = Administration { listen: "127.0.0.1:8441".parse().unwrap(), host: "ca.example.cn".into() };
    let endpoint = Arc::new(Endpoint::new(configured).unwrap());
    endpoint.refresh(authority, &office.status, &office.keys, true).unwrap();
    let listener = runtime::http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(ca::administration::serve(listener, endpoint.tls(authority).unwrap(), ca::http::administration::router(office.service.clone()), shutdown.clone()));
    let called = async || remote(address, &admin).call::<Value, Value>(Method::POST, PATH, Some(&json!({ "list": { "limit": 1 } }))).await;
    assert!(called().await.is_ok());
    // Revoked, and shown on with its answer.
    let shown: ca::record::AdministrationCertificate = ca::record::decode(&authority.store.get(&ca::record::AdministrationCertificate::key()).unwrap().unwrap()).unwrap();
    let serial = serial_text(&ca::record::serial_of(&shown.der).unwrap());
    revoke(authority, &Authorised::<Operator>::by_ownership(7), &Revoke { serial, reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    endpoint.refresh(authority, &Status::new(authority).unwrap(), &office.keys, false).unwrap();
    let told = |error: CallError| runtime::exit::Problem::from(error);
    let refused = told(called().await.unwrap_err());
    assert!(refused.code == "server-unproven" && refused.message.contains("is revoked") && refused.next.contains("call nobody"), "{refused:?}");
    shutdown.begin();
    // No answer, one of yesterday, one of another certificate: from a server with the same key and certificate.
    let issuer = authority.issuers["tls-ca"].record.der.clone();
    for (answer, says) in [(Vec::new(), "shows no OCSP answer"), (b"nonsense".to_vec(), "does not hold")] {
        let mut certified = rustls::sign::CertifiedKey::new([shown.der.clone(), issuer.clone()].map(Into::into).to_vec(), office.keys.load(&shown.key).unwrap().rustls());
        certified.ocsp = (!answer.is_empty()).then_some(answer);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(config.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified))));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut tls = rustls::ServerConnection::new(config).unwrap();
            let _ = rustls::Stream::new(&mut tls, &mut socket).read(&mut [0; 16]);
        });
        let refused = told(remote(address, &admin).call::<Value, Value>(Method::POST, PATH, Some(&json!("list-acts"))).await.unwrap_err());
        assert!(refused.code == "server-unproven" && refused.message.contains(says), "{refused:?}");
        server.join().unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn officers_of_the_next_generation_are_let_in_without_a_restart() {
    let office = Office::found();
    let shutdown = Shutdown::new();
    let address = office.listen(&shutdown).await;
    let first: Authorised<Administrator> = Authorised::by_ownership(7);
    let before = office.powerful("a-1", Power::Administrator, &first).1;
    let socket = AdminSocket::bind(&office.place.path().join("ca")).await.unwrap();
    tokio::spawn(socket.serve(ca::http::administration::router(office.service.clone()), shutdown.clone()));
    let list = json!({ "list": { "limit": 1 } });
    assert_eq!(ask(&remote(address, &before), &list).await, Came::Heard);
    office.succeed("officer-ca");
    let by = Proven::officer(&office.service.authority, &before.certificate).unwrap().acting::<Administrator>().unwrap();
    let (serial, after) = office.powerful("a-2", Power::Administrator, &by);
    let of = ca::register::get(&*office.service.authority.store, &ca::register::serial(&serial).unwrap()).unwrap().issuer;
    assert_eq!(of, "officer-ca-2");
    // Both, and whoever the new one certified as something else is heard no further than before.
    for identity in [&before, &after] {
        assert_eq!(ask(&remote(address, identity), &list).await, Came::Heard);
    }
    let bureau = office.identity("bureau", "bureau-client", Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() });
    assert_eq!(ask(&remote(address, &bureau.1), &list).await, Came::Denied("other-profile".into()));
    // A list too long for a request goes by its path: the administrator's power suffices, from wherever; the owner's does not.
    let stored: ca::record::CrlRecord = ca::record::decode(&office.service.authority.store.get(&ca::record::CrlRecord::key("officer-ca")).unwrap().unwrap()).unwrap();
    let path = office.place.path().join("long.crl");
    std::fs::write(&path, &stored.der).unwrap();
    let adopt = |path: &Path| json!({ "adopt-list-file": { "file": path } });
    let adopted: Value = remote(address, &after).call(Method::POST, PATH, Some(&adopt(&path))).await.unwrap();
    assert_eq!(adopted["list-adopted"]["issuer"], "officer-ca", "{adopted}");
    let owner = AdminClient::connect(&office.place.path().join("ca").join(SOCKET)).await.unwrap();
    assert_eq!(ask(&owner, &adopt(&path)).await, Came::Denied("powerless".into()));
    // What never ends is not read.
    for endless in ["/dev/zero", "/dev/stdin"] {
        let refused = remote(address, &after).call::<Value, Value>(Method::POST, PATH, Some(&adopt(Path::new(endless)))).await;
        assert!(matches!(refused, Err(CallError::Problem(problem)) if problem.code == "file"), "{endless}");
    }
    shutdown.begin();
}

/// One request over TLS, written by hand: the answer up to where the server stops or waits.
fn by_hand(address: SocketAddr, config: rustls::ClientConfig, request: &[u8]) -> String {
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
    let mut stream = rustls::Stream::new(&mut tls, &mut socket);
    let mut said = Vec::new();
    if stream.write_all(request).is_ok() {
        let mut piece = [0; 4_096];
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            said.extend_from_slice(&piece[..length]);
            if said.ends_with(b"}") || said.ends_with(b"\r\n\r\n") {
                break;
            }
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_and_no_other_address_answers_before_it_is_known_who_asks() {
    let office = Office::found();
    let shutdown = Shutdown::new();
    let address = office.listen(&shutdown).await;
    let nobody = office.officer("g-1");
    let admin = office.powerful("a-1", Power::Administrator, &Authorised::by_ownership(7));
    let told = move |identity: &Identity, request: &'static str| {
        let config = identity.tls().unwrap();
        tokio::task::spawn_blocking(move || by_hand(address, config, request.as_bytes()))
    };
    // A body is promised and never sent: who has no power is answered all the same.
    let answer = told(&nobody.1, "POST /v1/operation HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("no-powers"), "{answer}");
    // One request within another is none: lengths that contradict each other are refused whole.
    let smuggled = "POST /v1/operation HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 4\r\nContent-Length: 60\r\n\r\nnullPOST /v1/operation HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = told(&admin.1, smuggled).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1").count() == 1, "{answer}");
    for path in ["/", "/ocsp", "/crl/enterprise-ca.crl", "/metrics", "/healthz", "/v1/operation/", "/v1", "//v1/operation"] {
        let request: &'static str = Box::leak(format!("GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").into_boxed_str());
        let answer = told(&admin.1, request).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    // No certificate at all.
    let mut roots = rustls::RootCertStore::empty();
    roots.add(admin.1.root.clone().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let bare = |versions: &[&'static rustls::SupportedProtocolVersion]| rustls::ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap().with_root_certificates(roots.clone()).with_no_client_auth();
    for config in [bare(&[&rustls::version::TLS13]), bare(&[&rustls::version::TLS12])] {
        let said = tokio::task::spawn_blocking(move || by_hand(address, config, b"POST /v1/operation HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await.unwrap();
        assert_eq!(said, "");
    }
    shutdown.begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_ends_with_the_request_and_not_with_the_connection() {
    let office = Office::found();
    let shutdown = Shutdown::new();
    let address = office.listen(&shutdown).await;
    let owner: Authorised<Administrator> = Authorised::by_ownership(7);
    let (auditor, operator) = (office.powerful("c-1", Power::Auditor, &owner), office.powerful("b-1", Power::Operator, &owner));
    let authority = Arc::clone(&office.service.authority);
    let said = tokio::task::spawn_blocking(move || {
        let ends: [&dyn Fn(); 2] = [
            &|| drop(withdraw(&authority, &owner, &Withdraw { serial: auditor.0.clone(), power: None }).unwrap()),
            &|| drop(suspend(&authority, &Authorised::by_ownership(7), &operator.0).unwrap()),
        ];
        let identities = [&auditor.1, &operator.1];
        std::array::from_fn::<_, 2, _>(|at| {
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            let mut tls = rustls::ClientConnection::new(Arc::new(identities[at].tls().unwrap()), "127.0.0.1".try_into().unwrap()).unwrap();
            let mut stream = rustls::Stream::new(&mut tls, &mut socket);
            let mut once = || {
                stream.write_all(b"POST /v1/operation HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"list\":{\"limit\":1}}").unwrap();
                let mut said = vec![0; 16_384];
                let length = stream.read(&mut said).unwrap();
                String::from_utf8_lossy(&said[..length]).into_owned()
            };
            let before = once();
            ends[at]();
            (before, once())
        })
    });
    for ((before, after), code) in said.await.unwrap().iter().zip(["no-powers", "officer-suspended"]) {
        assert!(before.starts_with("HTTP/1.1 200 "), "{before}");
        assert!(after.starts_with("HTTP/1.1 403 ") && after.contains(code), "{after}");
    }
    shutdown.begin();
}

#[test]
fn the_listeners_certificate_is_kept_young_good_and_for_its_names() {
    let office = Office::found();
    let authority = &office.service.authority;
    let endpoint = |host: &str| Endpoint::new(Administration { listen: "127.0.0.1:8441".parse().unwrap(), host: host.into() }).unwrap();
    let kept = || ca::record::decode::<AdministrationCertificate>(&authority.store.get(&AdministrationCertificate::key()).unwrap().unwrap()).unwrap();
    let refreshed = |endpoint: &Endpoint, may_issue| endpoint.refresh(authority, &office.status, &office.keys, may_issue);
    let here = endpoint("ca.example.cn");
    assert!(refreshed(&here, false).is_err());
    refreshed(&here, true).unwrap();
    let first = kept();
    assert_eq!((first.key.as_str(), &first.names), ("administration-tls", &vec!["ca.example.cn".to_owned(), "127.0.0.1".to_owned()]));
    // Nothing is due: nothing changes, however often it is looked at.
    let before = office.changes();
    office.clock.advance(Duration::days(59));
    (0..20).for_each(|_| refreshed(&here, true).unwrap());
    assert_eq!(office.changes(), before);
    // Two thirds of its life are over; while nothing may be issued the old one is shown on.
    office.clock.advance(Duration::days(2));
    refreshed(&here, false).unwrap();
    assert_eq!(kept(), first);
    refreshed(&here, true).unwrap();
    let second = kept();
    assert_eq!(second.key, "administration-tls-2");
    // Revoked, it is replaced; for another host too.
    let serial = serial_text(&ca::record::serial_of(&second.der).unwrap());
    revoke(authority, &Authorised::<Operator>::by_ownership(7), &Revoke { serial, reason: Reason::KeyCompromise, at: None, invalid_since: None }).unwrap();
    refreshed(&here, true).unwrap();
    assert_eq!(kept().key, "administration-tls-3");
    refreshed(&endpoint("other.example.cn"), true).unwrap();
    assert_eq!((kept().key.as_str(), kept().names[0].as_str()), ("administration-tls-4", "other.example.cn"));
    let entries = authority.store.read_stream(log::STREAM, 0, 10_000).unwrap();
    assert_eq!(entries.iter().filter(|entry| entry[1] == 12).count(), 4);
}

/// Addresses that answer everybody. One that is in the program and not here fails the test.
const PUBLIC: &[&str] = &["/ocsp", "/ocsp/", "/ocsp/{*request}", "/crl/{file}", "/crl/{issuer}/{file}", "/issuer/{file}", "/roots", "/cps", "/revoke", "/renew", "/rekey", "/correct", "/correct/order", "/orders", "/orders/{id}", "/orders/{id}/cancel", "/citizen", "/citizen/withdraw", "/timestamp", "/log/checkpoint", "/log/tile/{*path}", "/log/own-name", "/healthz", "/metrics"];
/// Behind the outbox's own socket, whose owner alone comes in.
const OUTBOX: &[&str] = &["/v1/outbox/collect", "/v1/outbox/done"];

#[test]
fn no_address_is_open_but_those_that_are_meant_to_be() {
    fn routes(place: &Path, found: &mut BTreeSet<String>) {
        let files: Vec<_> = if place.is_dir() { std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect() } else { vec![place.to_owned()] };
        for path in files {
            if path.is_dir() {
                routes(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // One place alone may name its address otherwise than in words.
                let administration = path.ends_with("http/administration.rs");
                let named: Vec<&str> = text.split(".route(").skip(1).map(|rest| rest.trim_start()).collect();
                for route in named {
                    match route.strip_prefix('"') {
                        Some(address) => drop(found.insert(address.split('"').next().unwrap().to_owned())),
                        None => assert!(administration && route.starts_with("PATH,"), "{}: an address that cannot be read here", path.display()),
                    }
                }
                assert!(!text.contains(".nest(") && !text.contains("fallback_service("), "{}: addresses below others", path.display());
            }
        }
    }
    let mut found = BTreeSet::new();
    routes(Path::new("src"), &mut found);
    // The shell's own; what else the runtime routes, its tests do.
    routes(Path::new("runtime/src/http.rs"), &mut found);
    assert_eq!(found, PUBLIC.iter().chain(OUTBOX).map(|address| (*address).to_owned()).collect());
}

#[test]
fn powers_are_proved_by_requests_and_not_made_up() {
    fn sources(directory: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if std::fs::read_to_string(&path).unwrap().contains("by_ownership(") {
                found.push(path.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    sources(Path::new("src"), &mut found);
    found.sort();
    assert_eq!(found, ["src/flow/authorise.rs"]);
}
