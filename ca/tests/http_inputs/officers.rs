//! The officers' one address: operations that are almost right, and bodies that never end.

use std::os::unix::net::UnixStream;

use ca::flow::Proven;
use ca::http::administration;
use ca::operation::Operation;
use ca::service::{Service, pem};
use runtime::admin::{AdminSocket, SOCKET};
use serde_json::{Value, json};

use super::*;

/// A service behind its socket, whose owner may do everything.
struct Office {
    service: Service,
    serial: String,
    place: tempfile::TempDir,
}

impl Office {
    async fn found() -> Self {
        let place = tempfile::tempdir().unwrap();
        let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::new(SystemClock)).unwrap();
        let order = Order { profile: "enterprise-signing".into(), request: csr(&rcgen::KeyPair::generate().unwrap(), &[]), applicant: company(), issuer: None };
        let serial = serial_text(&issue(&opened.authority, Authorised::by_ownership(0), order).unwrap().what().serial);
        let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
        let socket = AdminSocket::bind(&place.path().join("ca")).await.unwrap();
        tokio::spawn(socket.serve(administration::router(service.clone()), Shutdown::new()));
        Self { service, serial, place }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.place.path().join("ca").join(SOCKET)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }
}

/// Operations as commands send them. Those that name a path of the machine are not among them: the owner of the machine, who
/// alone may, may write there anyway.
fn operations(serial: &str) -> Vec<Vec<u8>> {
    let request: Value = csr(&rcgen::KeyPair::generate().unwrap(), &[]).into();
    let applicant = json!({ "name": "广州天河测试有限公司", "code": "91440101MAT000018G" });
    let text = pem("CERTIFICATE REQUEST", &csr(&rcgen::KeyPair::generate().unwrap(), &[]));
    let all = [
        json!({ "issue": { "profile": "enterprise-signing", "request": request, "applicant": applicant, "issuer": null } }),
        json!({ "place-order": { "profile": "enterprise-signing", "request": text.as_bytes(), "applicant": applicant, "evidence": [{ "kind": "licence", "sha256": "ab".repeat(32) }], "key": "k-1" } }),
        json!({ "list": { "code": "91440101MAT000018G", "state": "good", "limit": 10 } }),
        json!({ "show": { "serial": serial } }),
        json!({ "revoke": { "serial": "40000000000000000000000000000001", "reason": "superseded", "at": null } }),
        json!({ "freeze": { "serial": "40000000000000000000000000000001", "authority": "法院", "reason": "1", "until": 4_102_444_800_i64 } }),
        json!({ "freeze-enterprise": { "code": "91440101MAT000018H", "authority": "法院", "reason": "1", "until": 4_102_444_800_i64 } }),
        json!({ "bulk": { "incident": "i-1", "act": "revoke", "reason": "superseded", "chosen": { "serials": [serial] }, "execute": false, "confirm": null } }),
        json!({ "block-key": { "key": "00".repeat(32) } }),
        json!({ "list-orders": { "state": "awaiting-approval", "limit": 10 } }),
        json!({ "decide-order": { "order": "00112233445566778899aabbccddeeff", "decision": "{}", "signature": "MAA=" } }),
        json!({ "adopt-certificate": { "der": "MAA=", "profile": null } }),
        json!({ "adopt-list": { "der": "MAA=" } }),
        json!({ "publish-root-crl": { "der": "MAA=" } }),
        json!({ "install-root": { "root": "MAA=", "by_present": "MAA=", "by_new": null } }),
        json!({ "propose-policies": { "documents": {} } }),
        json!({ "list-readings": { "since": 0, "limit": 10 } }),
        json!("doctor"),
    ];
    all.iter().map(|one| serde_json::to_vec(one).unwrap()).collect()
}

fn sent(mut stream: UnixStream, head: &str, body: &[u8]) -> Vec<u8> {
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn head(length: usize) -> String {
    format!("POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n", administration::PATH)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_is_too_strange_for_an_answer() {
    let _alone = ALONE.lock().await;
    let panics = panics_counted();
    let office = Arc::new(Office::found().await);
    let asking = {
        let office = Arc::clone(&office);
        move || {
            let (seeds, mut dice, began) = (operations(&office.serial), Dice(20_261_130), Instant::now());
            // Each is read as it stands: a seed that means nothing tries nothing.
            seeds.iter().for_each(|seed| drop(serde_json::from_slice::<Operation>(seed).unwrap()));
            let (above, mut answered, mut fine) = (Above::now(), 0, 0);
            while began.elapsed() < Duration::from_secs(5) && answered < 2_000 {
                let seed = &seeds[dice.below(seeds.len())];
                let body = dice.changed(seed);
                let answer = sent(office.connect(), &head(body.len()), &body);
                let status = status_of(&answer);
                assert!((200..500).contains(&status), "{} {}", body.escape_ascii(), answer.escape_ascii());
                answered += 1;
                fine += usize::from(status == 200);
            }
            (answered, fine, above.at_most())
        }
    };
    let (answered, fine, most) = tokio::task::spawn_blocking(asking).await.unwrap();
    println!("{answered} operations, {fine} done, {} KiB held at most", most >> 10);
    assert!(answered > 100 && fine > 0, "{answered} {fine}");
    assert!(most < 32 << 20, "{most}");
    assert_eq!(panics(), 0);
    // The log goes on, and what was there before still is.
    office.service.evidence.advance().unwrap();
    assert!(office.service.perform(&Proven::local(&office.service.authority, 0).unwrap(), Operation::Show { serial: office.serial.clone() }).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_read_no_further_than_its_operation_goes() {
    let _alone = ALONE.lock().await;
    let office = Arc::new(Office::found().await);
    // An operation of a few words, and one that may be as long as a list, both announced far longer than they may be.
    for (begins, bound) in [(r#"{"list":{"code":""#, 128 << 10), (r#"{"show":{"serial":""#, 128 << 10), (r#"{"publish-root-crl":{"der":""#, 1 << 20), (r#"{"adopt-list":{"der":""#, administration::MOST)] {
        let office = Arc::clone(&office);
        let (answer, most) = tokio::task::spawn_blocking(move || {
            let above = Above::now();
            let mut stream = office.connect();
            let piece = vec![b'0'; 64 << 10];
            stream.write_all(head(1 << 30).as_bytes()).unwrap();
            stream.write_all(begins.as_bytes()).unwrap();
            let mut written = 0;
            while written < 256 << 20 && stream.write_all(&piece).is_ok() {
                written += piece.len();
            }
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            (answer, above.at_most())
        })
        .await
        .unwrap();
        println!("{begins}: {} KiB held at most", most >> 10);
        assert!(answer.is_empty() || (status_of(&answer) == 422 && String::from_utf8_lossy(&answer).contains("too-large")), "{}", answer.escape_ascii());
        // A body that grows is moved: twice its bound and what the connection buffers.
        assert!(most < 3 * bound + (4 << 20), "{begins}: {most}");
    }
}
