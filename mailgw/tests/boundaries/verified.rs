//! Which mail is marked as a bureau's: what a bureau pushed, and signed mail about which everything agrees. Nothing else.

use std::sync::Arc;

use mailgw::bureau::senders;
use mailgw::bureau::trust::TrustError;
use mailgw::flow::accept::{Origin, Prepared, Reception, Recipients, register_verdicts};
use mailgw::flow::callers::Callers;
use mailgw::flow::verified::{NotVerified, Senders, Unfit};
use pki::path::PathError;
use pki::signer::SignatureAlgorithm;
use protocol::smtp::exchange::{Answer, Domain, Output, Request};
use protocol::smtp::session::{Role, Session, Settings};
use time::{Duration, OffsetDateTime};

use super::*;
use crate::city::{DOMAIN, REVOKED};

const FROM: &str = "notice@gjj.example.cn";
const EMAIL: &str = "1.3.6.1.5.5.7.3.4";

struct Writer {
    key: keys::KeyHandle,
    leaf: Vec<u8>,
    issuer: Vec<u8>,
}

impl Writer {
    fn new(city: &City, keys: &KeyStore, serial: u8, usage: &str, policy: &str, address: &str) -> Self {
        let key = keys.generate(&format!("mail-{serial}"), SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let (leaf, issuer) = city.mail_certificate(&key, serial, usage, policy, address);
        Self { key, leaf, issuer }
    }

    /// A mail as a bureau's own program makes it: the header is under the signature, too. spec: rfc9788
    fn mail(&self, from: &str, to: &str, text: &str, at: OffsetDateTime) -> String {
        let header = format!("From: {from}\r\nTo: {to}\r\nSubject: notice\r\nDate: Wed, 25 Nov 2026 16:00:00 +0800\r\nMessage-ID: <1@gjj.example.cn>\r\n");
        let entity = format!("{header}Content-Type: text/plain; charset=utf-8; hp=\"clear\"\r\n\r\n{text}\r\n");
        let signature = pki::cms::SignerPlan::new(&self.leaf, &[&self.issuer]).unwrap().seal(digest(entity.as_bytes()), at, &self.key).unwrap();
        use base64::Engine as _;
        let signature = base64::engine::general_purpose::STANDARD.encode(signature);
        format!(
            "{header}MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"b1\"\r\n\r\n--b1\r\n{entity}\r\n--b1\r\n\
             Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{signature}\r\n--b1--\r\n"
        )
    }
}

fn mail_keys(city: &City) -> KeyStore {
    KeyStore::create(&city.path("mail").join("keys"), &city::passphrase()).unwrap()
}

fn senders_of(city: &City, gateway: &Gateway) -> Senders {
    let lists = Arc::new(city.more_lists());
    Senders { store: Arc::clone(&gateway.store), anchors: Arc::clone(&gateway.anchors), lists }
}

fn mailbox(gateway: &Gateway, at: usize) -> String {
    let (id_type, id_no, _) = PEOPLE[at];
    gateway.directory.find_person(&Document::parse(id_type, id_no, today(NOW)).unwrap()).unwrap().unwrap().mailbox()
}

#[test]
fn only_mail_about_which_everything_agrees_is_a_bureaus() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let (keys, senders) = (mail_keys(&city), senders_of(&city, &gateway));
    let good = Writer::new(&city, &keys, 60, EMAIL, "3.1", FROM);
    let name = bureau_name(&gateway);
    let mail = |writer: &Writer| writer.mail(&format!("{name} <{FROM}>"), "a@mail.gz.example", "Dear owner", NOW);
    let judge = |mail: &str, at: OffsetDateTime| senders.judge(mail.as_bytes(), at);
    // Nobody who is in no registry.
    assert!(matches!(judge(&mail(&good), NOW), Err(NotVerified::NotRegistered)));
    senders::allow(&*gateway.store, &gateway.directory, FUND, "Notice@gjj.example.cn", NOW).unwrap();
    assert!(senders::allow(&*gateway.store, &gateway.directory, INSURANCE, FROM, NOW).is_err(), "an address of two bureaus");
    assert!(senders::allow(&*gateway.store, &gateway.directory, "nobody", "b@gjj.example.cn", NOW).is_err() && senders::allow(&*gateway.store, &gateway.directory, FUND, "b", NOW).is_err());
    let proved = judge(&mail(&good), NOW).unwrap();
    assert_eq!(proved.bureau(), FUND);
    assert!(proved.is_for("A@mail.gz.example") && !proved.is_for("b@mail.gz.example"));
    // Without a name, and with the English one.
    for from in [FROM.to_owned(), format!("\"Guangzhou Housing Fund Centre\" <{FROM}>")] {
        assert!(judge(&good.mail(&from, "a@mail.gz.example", "x", NOW), NOW).is_ok(), "{from}");
    }
    assert!(matches!(judge(&good.mail(&format!("税务局 <{FROM}>"), "a@mail.gz.example", "x", NOW), NOW), Err(NotVerified::OtherName)));
    // The signature.
    assert!(matches!(judge(&mail(&good).replace("Dear owner", "Pay, owner"), NOW), Err(NotVerified::Signature(_))));
    // Times: of a queue, of long ago, of no time, of a clock that is wrong.
    assert!(judge(&mail(&good), NOW + Duration::days(5)).is_ok());
    assert!(matches!(judge(&mail(&good), NOW + Duration::days(8)), Err(NotVerified::Time)));
    assert!(matches!(judge(&mail(&good), NOW - Duration::hours(1)), Err(NotVerified::Time)));
    // The certificate: revoked, of another use, another kind, another address, nobody's here; lists that are of before.
    let path = |found| matches!(found, Err(NotVerified::Trust(TrustError::Path { .. })));
    let revoked = Writer::new(&city, &keys, REVOKED, EMAIL, "3.1", FROM);
    assert!(matches!(judge(&mail(&revoked), NOW), Err(NotVerified::Trust(TrustError::Path { error: PathError::Revoked { .. }, .. }))));
    assert!(path(judge(&mail(&Writer::new(&city, &keys, 61, "1.3.6.1.5.5.7.3.2", "3.1", FROM)), NOW)));
    assert!(path(judge(&mail(&Writer::new(&city, &keys, 62, EMAIL, "6.2", FROM)), NOW)));
    assert!(matches!(judge(&mail(&Writer::new(&city, &keys, 63, EMAIL, "3.1", "gjj@gjj.example.cn")), NOW), Err(NotVerified::OtherAddress)));
    let elsewhere = City::found();
    assert!(path(judge(&mail(&Writer::new(&elsewhere, &mail_keys(&elsewhere), 64, EMAIL, "3.1", FROM)), NOW)));
    let late = NOW + Duration::days(6) + Duration::hours(12);
    assert!(matches!(judge(&mail(&good), late), Err(NotVerified::Trust(TrustError::Path { error: PathError::RevocationUnknown, .. }))));
    // A list of mail wraps it; a forger cites it.
    assert!(matches!(judge(&format!("List-Id: <l.example>\r\n{}", mail(&good)), NOW), Err(NotVerified::Unfit(Unfit::Field))));
    assert!(matches!(judge(&format!("From: {FROM}\r\nContent-Type: message/rfc822\r\n\r\n{}", mail(&good)), NOW), Err(NotVerified::Unfit(Unfit::NotSigned))));
    // Withdrawn, it is as before.
    senders::withdraw(&*gateway.store, FUND, FROM, NOW).unwrap();
    assert!(matches!(judge(&mail(&good), NOW), Err(NotVerified::NotRegistered)));
    let said: Vec<bool> = events(&*gateway.store).into_iter().filter_map(|event| if let Event::SenderAddressSet(set) = event { Some(set.holds) } else { None }).collect();
    assert_eq!(said, [true, false]);
}

fn bureau_name(gateway: &Gateway) -> String {
    mailgw::bureau::find(&*gateway.store, FUND).unwrap().name
}

/// The dialogue's envelope.
fn envelope(recipients: &[String]) -> Arc<protocol::smtp::exchange::Envelope> {
    let host = Domain::parse(HOST).unwrap();
    let settings = Settings { host, tls: false, starttls: false, role: Role::Exchange, dsn: false, offer: protocol::sasl::Offer::default(), budget: protocol::budget::Budget::default(), max_size: 100_000, max_recipients: 10, max_copies: 100_000 };
    let (mut session, _) = Session::new(settings);
    let mut out = session.receive(format!("EHLO x\r\nMAIL FROM:<{FROM}>\r\n").as_bytes());
    for recipient in recipients {
        out.extend(session.receive(format!("RCPT TO:<{recipient}>\r\n").as_bytes()));
        out.extend(session.answer(Answer::Known));
    }
    out.extend(session.receive(b"DATA\r\nx\r\n.\r\n"));
    let delivered = out.into_iter().find_map(|output| if let Output::Do(Request::Deliver { envelope, .. }) = output { Some(envelope) } else { None });
    Arc::new(delivered.unwrap())
}

fn reception(city: &City, gateway: &Gateway) -> Reception {
    let policy = gateway.directory.policy().inbound().clone();
    Reception {
        recipients: Arc::clone(&gateway.directory) as Arc<dyn Recipients>,
        messages: Arc::clone(&gateway.messages),
        host: Domain::parse(HOST).unwrap(),
        domain: Domain::parse(DOMAIN).unwrap(),
        callers: Callers::new(&policy),
        policy,
        verifier: None,
        verdicts: register_verdicts(&runtime::metrics::Registry::new()).unwrap(),
        queue: None,
        reports: None,
        senders: Some(senders_of(city, gateway)),
        notifications: Some(Arc::clone(&gateway.notifications)),
    }
}

/// Whoever serves the list takes connections and says nothing. The first mail waits for it as long as it is waited for, those after it
/// do not, and all are in the mailbox, unmarked.
#[test]
fn a_list_that_is_away_delays_one_mail_and_loses_none() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use mailgw::wire::smtp::{Desk, Limits, Metrics, Server, neighbours};

    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    senders::allow(&*gateway.store, &gateway.directory, FUND, FROM, NOW).unwrap();
    let (listener, asked) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(AtomicUsize::new(0)));
    let (list, count) = (format!("http://{}/bureaus.crl", listener.local_addr().unwrap()), Arc::clone(&asked));
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for connection in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            kept.push(connection);
        }
    });
    let keys = mail_keys(&city);
    let key = keys.generate("mail-away", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let (leaf, issuer) = city.mail_certificate_listed(&key, 65, FROM, &list);
    let (writer, one) = (Writer { key, leaf, issuer }, mailbox(&gateway, 0));
    let to = format!("{one}@{DOMAIN}");
    let mail = writer.mail(FROM, &to, "Dear owner", NOW);
    // Neighbours' own way to the door, with its one thread that serves.
    let served = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let certified = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider())).with_safe_default_protocol_versions().unwrap();
    let (_tls, watched) = tokio::sync::watch::channel(Arc::new(tls.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap()));
    let server = Server::new(Desk::Neighbours(Arc::new(reception(&city, &gateway))), city.clock.clone(), watched, Limits::default(), Metrics::register_neighbours(&runtime::metrics::Registry::new()).unwrap());
    let socket = city.path("lmtp.sock");
    let (listening, shutdown) = (served.block_on(neighbours::Listener::bind(&neighbours::Place::Socket(socket.clone()))).unwrap(), runtime::shutdown::Shutdown::new());
    served.spawn(server.serve_neighbours(listening, shutdown.clone()));
    let deliver = |mail: &str| {
        let stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let (mut reader, mut writer, mut line) = (BufReader::new(stream.try_clone().unwrap()), stream, String::new());
        writer.write_all(format!("LHLO x\r\nMAIL FROM:<{FROM}>\r\nRCPT TO:<{to}>\r\nDATA\r\n{mail}.\r\nQUIT\r\n").as_bytes()).unwrap();
        let began = Instant::now();
        let mut taken = false;
        while { line.clear(); reader.read_line(&mut line).unwrap() > 0 } {
            taken |= line.starts_with("250 2.0.0");
            assert!(!line.starts_with(['4', '5']), "{line}");
        }
        assert!(taken);
        began.elapsed().as_secs_f64()
    };
    let plain = "From: x@example.org\r\nSubject: plain\r\n\r\nplain\r\n";
    std::thread::scope(|scope| {
        let first = scope.spawn(|| deliver(&mail));
        // Meanwhile others are served, by the one thread there is.
        while asked.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(deliver(plain) < 5.0);
        // The clock goes on while the first waits.
        city.clock.advance(time::Duration::seconds(10));
        let waited = first.join().unwrap();
        assert!((9.0..20.0).contains(&waited), "{waited}");
    });
    for _ in 0..3 {
        let waited = deliver(&mail);
        assert!(waited < 5.0, "{waited}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the list was asked for again at once");
    let view = gateway.messages.view(&one, "INBOX").unwrap();
    let texts: Vec<String> = view.messages.iter().map(|message| String::from_utf8(gateway.messages.load(&view.folder, message.uid).unwrap()).unwrap()).collect();
    assert_eq!(texts.iter().filter(|text| text.ends_with(&mail)).count(), 4);
    assert!(texts.len() == 5 && texts.iter().all(|text| !text.contains("Suiyin-Verified")) && gateway.messages.count_marked(&one).unwrap() == 0);
    shutdown.begin();
}

#[test]
fn marked_is_whom_the_bureau_wrote_to_and_what_it_pushed() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    senders::allow(&*gateway.store, &gateway.directory, FUND, FROM, NOW).unwrap();
    let reception = reception(&city, &gateway);
    // As at the door: whether it took the way of what is proved.
    let arrives = |mail: &str, recipients: &[String]| {
        let block = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = block.block_on(async {
            let examined = reception.examine(Origin::Host("192.0.2.1".parse().unwrap()), envelope(recipients), Arc::new(mail.as_bytes().to_vec()), NOW).await;
            match reception.prepare(examined.ok().unwrap(), NOW) {
                Prepared::Ready(ready) => reception.record(ready).await,
                Prepared::Slowly(examined) => Err(examined),
                Prepared::Answered(answer) => Ok(answer),
            }
        });
        let slowly = answer.is_err();
        let answer = answer.unwrap_or_else(|examined| reception.accept(examined, NOW));
        assert!(matches!(answer, Answer::Durable { .. }), "{answer:?}");
        slowly
    };
    let [one, two] = [mailbox(&gateway, 0), mailbox(&gateway, 1)];
    let [to_one, to_two] = [&one, &two].map(|number| format!("{number}@{DOMAIN}"));
    let good = Writer::new(&city, &mail_keys(&city), 60, EMAIL, "3.1", FROM);
    let mail = good.mail(FROM, &to_one, "Dear owner", NOW);
    // The same mail to both: whom it was not written to gets it unmarked, as one who was sent somebody else's.
    assert!(arrives(&mail, &[to_one.clone(), to_two.clone()]));
    // A forged mark on an unsigned mail, and on one of somebody of whom the register knows nothing, with a verdict in our name.
    assert!(arrives(&format!("Suiyin-Verified: {FUND}; at=1; code=00\r\nFrom: {FROM}\r\n\r\nsend money\r\n"), &[to_one.clone()]));
    let stranger = format!("Suiyin-Verified: {FUND}; at=1; code=00\r\nAuthentication-Results: {HOST}; dkim=pass\r\nFrom: x@example.org\r\n\r\nand more\r\n");
    assert!(!arrives(&stranger, &[to_one.clone()]));
    let read = |mailbox: &str| {
        let view = gateway.messages.view(mailbox, "INBOX").unwrap();
        let one = |message: &protocol::imap::exchange::MessageInfo| {
            let flagged = message.flags.keywords().any(|keyword| keyword.as_str() == "$istrusted");
            (flagged, String::from_utf8(gateway.messages.load(&view.folder, message.uid).unwrap()).unwrap())
        };
        view.messages.iter().map(one).collect::<Vec<_>>()
    };
    let (ones, twos) = (read(&one), read(&two));
    // What a mail rests on may be another when it is recorded: it is decided anew, and comes once.
    let block = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let late = block.block_on(async {
        let examined = reception.examine(Origin::Host("192.0.2.1".parse().unwrap()), envelope(&[to_two.clone()]), Arc::new(b"From: x@example.org\r\n\r\nlate\r\n".to_vec()), NOW).await;
        let Prepared::Ready(ready) = reception.prepare(examined.ok().unwrap(), NOW) else { panic!("it takes no longer than others") };
        gateway.messages.rename_folder(&two, "INBOX", "Before").unwrap();
        reception.record(ready).await
    });
    assert!(matches!(reception.accept(late.unwrap_err(), NOW), Answer::Durable { .. }));
    assert!(read(&two).iter().map(|(_, text)| text.ends_with("late\r\n")).eq([true]));
    assert!(ones[0].0 && ones[0].1.starts_with(&format!("Suiyin-Verified: {FUND}; at=")) && ones[0].1.ends_with(&mail));
    assert!(!ones[1].0 && !ones[1].1.contains("Suiyin-Verified") && ones[1].1.ends_with("send money\r\n"));
    assert!(!ones[2].0 && !ones[2].1.contains("Suiyin-Verified") && !ones[2].1.contains("dkim=pass") && ones[2].1.ends_with("and more\r\n"));
    assert!(!twos[0].0 && !twos[0].1.contains("Suiyin-Verified") && twos[0].1.ends_with(&mail));
    let verified: Vec<_> = events(&*gateway.store).into_iter().filter_map(|event| if let Event::MessageVerified(verified) = event { Some((verified.mailbox, verified.bureau)) } else { None }).collect();
    assert_eq!(verified, [(one.clone(), FUND.to_owned())]);
    // Statements are marked by how they are made.
    let (sealer, month) = (Watched::new(&city, Arc::clone(&city.sealing), None), month(&city, "housing-fund", "verified", 3));
    pushed(&city, &gateway, &sealer, &month).unwrap();
    assert_eq!(gateway.messages.marked(&two, 9).unwrap().iter().map(|marked| marked.mark.bureau.as_str()).collect::<Vec<_>>(), [FUND]);
    assert_eq!(gateway.messages.count_marked(&one).unwrap(), 2);
}
