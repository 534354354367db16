//! The push interface as a bureau's system uses it: by the reference client and by curl, cut off, killed, and abused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use certs_test::disk::Disk;
use certs_test::office::{Office, bureau_of, of_another_account};
use certs_test::programs::{Said, program, run};
use serde_json::{Value, json};

const KIND: &str = "housing-fund";

/// curl as the bureau of a kind; the body comes before a last line with the status.
fn curl(office: &Office, kind: &str, path: &str, more: &[&str]) -> (u16, Value) {
    let code = bureau_of(kind).code;
    let (certificate, key, url) = (format!("{code}-client.pem"), format!("{code}-client.key"), format!("https://localhost:{}{path}", office.push));
    let arguments = [&["-sS", "--cacert", "ca/root.pem", "--cert", &certificate, "--key", &key, "-w", "\n%{http_code}", &url], more].concat();
    let said = run("curl", &arguments, &office.home).ok();
    let (body, status) = said.rsplit_once('\n').unwrap();
    (status.trim().parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| body.into()))
}

fn place(kind: &str, batch: &str) -> String {
    format!("/v1/push/{}/{batch}", bureau_of(kind).code)
}

/// Signs `city/NAME.manifest.json` and opens its job.
fn open(office: &Office, name: &str, format: &str) -> (u16, Value) {
    office.sign_file(&bureau_of(KIND), &format!("city/{name}.manifest.json"), &format!("{name}.p7s"));
    let read = |file: &str| std::fs::read_to_string(office.home.join(file)).unwrap();
    let opening = json!({ "manifest": read(&format!("city/{name}.manifest.json")), "signature": read(&format!("{name}.p7s")), "format": format });
    std::fs::write(office.home.join("opening.json"), opening.to_string()).unwrap();
    curl(office, KIND, &place(KIND, name), &["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", "@opening.json"])
}

fn sums(job: &Value) {
    let count = |name: &str| job[name].as_u64().unwrap();
    let all = ["delivered", "duplicate", "quarantined", "undeliverable", "waiting"].iter().map(|name| count(name)).sum::<u64>();
    assert_eq!(all, count("rows"), "{job:#}");
}

/// Asks for changes until the job is in a state, or a minute has passed.
fn until(office: &Office, name: &str, states: &[&str]) -> Value {
    let end = Instant::now() + Duration::from_secs(90);
    let mut version = 0;
    loop {
        let (status, job) = curl(office, KIND, &format!("{}?after={version}&wait=5", place(KIND, name)), &[]);
        assert_eq!(status, 200, "{job}");
        sums(&job);
        if states.contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        assert!(Instant::now() < end, "{job:#}");
        version = job["version"].as_u64().unwrap();
    }
}

fn remote(office: &Office, name: &str, more: &[&str]) -> Said {
    let code = bureau_of(KIND).code;
    let url = format!("https://localhost:{}", office.push);
    let [rows, manifest, signature, client, key] =
        [format!("city/{name}.csv"), format!("city/{name}.manifest.json"), format!("{name}.p7s"), format!("{code}-client.pem"), format!("{code}-client.key")];
    let arguments = ["--json", "push", &rows, "--manifest", &manifest, "--signature", &signature, "--server", &url, "--client", &client, "--client-key", &key, "--root", "ca/root.pem"];
    // A machine of its own: no directory of a gateway.
    run(program("mailgw"), &[arguments.as_slice(), more].concat(), &office.home)
}

/// What a command that failed says.
fn problem(said: &Said) -> Value {
    serde_json::from_str(&said.err).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// How many messages each person has, by their subjects' digests: all of them different.
fn held(office: &Office) -> Vec<usize> {
    let url = format!("imaps://localhost:{}/", office.imaps);
    let of = |account: &certs_test::office::Account| {
        let user = format!("{}:{}", account.address, account.password);
        let said = run("curl", &["-sS", "--cacert", "ca/root.pem", "-u", &user, &url, "-X", "STATUS INBOX (MESSAGES)"], &office.home).ok();
        said.split("MESSAGES ").nth(1).unwrap().split(')').next().unwrap().parse().unwrap()
    };
    office.people.iter().map(of).collect()
}

#[test]
fn a_bureau_pushes_from_its_own_machine() {
    let place_ = tempfile::tempdir().unwrap();
    let office = Office::open(place_.path(), 30);
    office.sign(KIND);
    let job = remote(&office, KIND, &["--report", "outcomes.jsonl", "--evidence", "evidence.jsonl"]).json();
    sums(&job);
    assert_eq!((&job["state"], &job["delivered"]), (&json!("ended"), &json!(30)), "{job:#}");
    // The same once more is answered as the first time, and the administrator's way finds the same batch.
    assert_eq!(remote(&office, KIND, &[]).json()["delivered"], 30);
    let report = office.push_signed(KIND).json();
    assert_eq!(report["counts"]["delivered"], 30);
    let outcomes = std::fs::read(office.home.join("outcomes.jsonl")).unwrap();
    assert_eq!(outcomes, std::fs::read(office.home.join(format!("{KIND}.jsonl"))).unwrap());
    let digest: String = ring::digest::digest(&ring::digest::SHA256, &outcomes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(report["outcomes"], digest);
    let said = run(program("mailgw"), &["--json", "evidence", "verify", "evidence.jsonl", "--anchor", "ca/root.pem"], &office.home).json();
    assert_eq!(said["events"], json!({ "ContentConsignment": 30, "SubmissionAcceptance": 30 }));
    assert_eq!(held(&office), vec![1; 30]);

    // By curl: packed, in halves, resumed, as JSON Lines.
    office.amend(KIND, "halves", "halves", |_, fields| of_another_account(fields, "HALVES"));
    let rows = std::fs::read(office.home.join("city/halves.csv")).unwrap();
    let (status, job) = open(&office, "halves", "csv");
    assert_eq!((status, &job["state"], &job["bytes"]), (200, &json!("receiving"), &json!(0)), "{job}");
    let half = rows.len() / 2;
    std::fs::write(office.home.join("first.csv"), &rows[..half]).unwrap();
    std::fs::write(office.home.join("second.csv"), &rows[half..]).unwrap();
    run("gzip", &["-kf", "first.csv"], &office.home).ok();
    run("python3", &["-c", "import zlib; open('broken.gz', 'wb').write(open('first.csv.gz', 'rb').read()[:-20])"], &office.home).ok();
    let upload = |file: &str, from: usize, more: &[&str]| {
        let data = format!("@{file}");
        curl(&office, KIND, &format!("{}/rows?from={from}", place(KIND, "halves")), &[&["--data-binary", &data, "-H", "Content-Type: text/csv"], more].concat())
    };
    // A packed body that is cut off leaves what unpacks; anew from the start replaces it.
    let (status, problem) = upload("broken.gz", 0, &["-H", "Content-Encoding: gzip"]);
    assert_eq!((status, &problem["code"]), (400, &json!("rows-broken")), "{problem}");
    assert_eq!(upload("first.csv.gz", 0, &["-H", "Content-Encoding: gzip"]).1["bytes"], half);
    let (status, problem) = upload("second.csv", half + 1, &[]);
    assert_eq!((status, &problem["code"]), (409, &json!("offset")), "{problem}");
    assert!(problem["message"].as_str().unwrap().contains(&half.to_string()), "{problem}");
    assert_eq!(upload("second.csv", half, &[]).1["bytes"], rows.len());
    assert_eq!(upload("second.csv", half, &["-H", "Content-Encoding: br"]).0, 400);
    assert_eq!(curl(&office, KIND, &format!("{}/pause", place(KIND, "halves")), &["-X", "POST"]).0, 409);
    assert_eq!(curl(&office, KIND, &format!("{}/close", place(KIND, "halves")), &["-X", "POST"]).0, 200);
    assert_eq!(until(&office, "halves", &["ended", "refused"])["delivered"], 30);
    assert_eq!(held(&office), vec![2; 30]);

    office.amend(KIND, "lines", "lines", |_, fields| of_another_account(fields, "LINES"));
    let text = std::fs::read_to_string(office.home.join("city/lines.csv")).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let object = |line: &str| names.iter().zip(line.split(',')).map(|(name, value)| (name.to_string(), Value::from(value))).collect::<serde_json::Map<_, _>>();
    let jsonl: String = lines.map(|line| format!("{}\n", Value::Object(object(line)))).collect();
    let mut manifest: Value = serde_json::from_str(&std::fs::read_to_string(office.home.join("city/lines.manifest.json")).unwrap()).unwrap();
    manifest["sha256"] = ring::digest::digest(&ring::digest::SHA256, jsonl.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    std::fs::write(office.home.join("city/lines.manifest.json"), manifest.to_string()).unwrap();
    std::fs::write(office.home.join("rows.jsonl"), jsonl).unwrap();
    assert_eq!(open(&office, "lines", "json-lines").0, 200);
    curl(&office, KIND, &format!("{}/rows?from=0", place(KIND, "lines")), &["--data-binary", "@rows.jsonl"]);
    curl(&office, KIND, &format!("{}/close", place(KIND, "lines")), &["-X", "POST"]);
    assert_eq!(until(&office, "lines", &["ended", "refused"])["delivered"], 30);
    assert_eq!(held(&office), vec![3; 30]);
}

#[test]
fn nobody_else_gets_in_and_nothing_hostile_goes_on() {
    let place_ = tempfile::tempdir().unwrap();
    let office = Office::open(place_.path(), 12);
    // No certificate, another bureau's, one of no bureau, a batch that is not there.
    let url = format!("https://localhost:{}{}", office.push, place(KIND, "x"));
    assert_ne!(run("curl", &["-sS", "--cacert", "ca/root.pem", &url], &office.home).code, 0);
    assert_eq!(curl(&office, "pension", &place(KIND, "x"), &[]).0, 403);
    assert_eq!(curl(&office, KIND, "/v1/push/nobody/x", &[]).0, 403);
    assert_eq!(curl(&office, KIND, &place(KIND, "x"), &[]).0, 404);
    // Whatever is wrong with a request is told in one form, with what to do.
    let told = |status: u16, code: &str, path: &str, more: &[&str]| {
        let (found, problem) = curl(&office, KIND, path, more);
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{path}: {problem}");
        assert!(problem["message"].is_string() && problem["next"].as_str().is_some_and(|next| !next.is_empty()), "{problem}");
    };
    let (post, put, text, as_json) = (["-X", "POST"], ["-X", "PUT"], ["-H", "Content-Type: text/plain"], ["-H", "Content-Type: application/json"]);
    told(404, "unknown-batch", &format!("{}/outcomes", place(KIND, "x")), &[]);
    told(404, "unknown-job", &format!("{}/cancel", place(KIND, "x")), &post);
    told(404, "no-such-place", "/v2/push", &[]);
    told(405, "method", &place(KIND, "x"), &["-X", "DELETE"]);
    told(400, "query", &format!("{}?after=no", place(KIND, "x")), &[]);
    told(400, "query", &format!("{}/rows", place(KIND, "x")), &post);
    told(415, "content-type", &place(KIND, "x"), &[put.as_slice(), &text, &["--data-binary", "{}"]].concat());
    told(422, "body", &place(KIND, "x"), &[put.as_slice(), &as_json, &["--data-binary", "{}"]].concat());
    told(400, "body", &format!("/v1/push/{}/recipients", bureau_of(KIND).code), &[as_json.as_slice(), &["--data-binary", "[{\"id_no\": \"440105190003010052\""]].concat());
    // Each request that `explain` lists is one that is served.
    let explained = run(program("mailgw"), &["--json", "push", "explain"], &office.home).json();
    for request in explained["requests"].as_array().unwrap() {
        let path = request["path"].as_str().unwrap().replace("BUREAU", &bureau_of(KIND).code).replace("BATCH", "x").replace("BYTE", "0").replace("VERSION", "0").replace("SECONDS", "0");
        let (_, problem) = curl(&office, KIND, &path, &["-X", request["method"].as_str().unwrap()]);
        assert!(!["no-such-place", "method", "query"].contains(&problem["code"].as_str().unwrap_or_default()), "{path}: {problem}");
    }
    // A manifest in another's place, and one that its bureau did not sign.
    office.sign(KIND);
    let read = |file: &str| std::fs::read_to_string(office.home.join(file)).unwrap();
    let mut opening = json!({ "manifest": read("city/housing-fund.manifest.json"), "signature": read("housing-fund.p7s"), "format": "csv" });
    let put = |opening: &Value, at: &str| {
        std::fs::write(office.home.join("opening.json"), opening.to_string()).unwrap();
        curl(&office, KIND, at, &["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", "@opening.json"])
    };
    assert_eq!(put(&opening, &place(KIND, "x")).1["code"], "other-place");
    opening["manifest"] = opening["manifest"].as_str().unwrap().replace("202610", "202609").into();
    assert_eq!(put(&opening, &place(KIND, "x")).1["code"], "manifest-signature");
    // A file that is not the manifest's delivers nothing, and says why.
    office.amend(KIND, "wrong", "wrong", |_, _| ());
    assert_eq!(open(&office, "wrong", "csv").0, 200);
    curl(&office, KIND, &format!("{}/rows?from=0", place(KIND, "wrong")), &["--data-binary", "@city/people.csv"]);
    curl(&office, KIND, &format!("{}/close", place(KIND, "wrong")), &["-X", "POST"]);
    let job = until(&office, "wrong", &["refused", "ended"]);
    assert_eq!((&job["state"], &job["waiting"]), (&json!("refused"), &json!(12)), "{job:#}");
    assert!(job["trouble"].as_str().unwrap().len() > 20);
    // The client that sent it says that it failed; with the manifest's own file it begins anew, and is delivered at the end of this test.
    std::fs::copy(office.home.join("city/wrong.csv"), office.home.join("right.csv")).unwrap();
    std::fs::copy(office.home.join("city/people.csv"), office.home.join("city/wrong.csv")).unwrap();
    let refused = remote(&office, "wrong", &["--report", "none.jsonl"]);
    assert!(refused.code != 0 && problem(&refused)["code"] == "job-refused" && !office.home.join("none.jsonl").exists(), "{refused:?}");
    // Taking off what was never opened opens nothing.
    office.amend(KIND, "never", "never", |at, fields| fields[0] = format!("NEVER-{at}"));
    office.sign_file(&bureau_of(KIND), "city/never.manifest.json", "never.p7s");
    let cancelled = remote(&office, "never", &["--cancel"]);
    assert!(cancelled.code != 0 && problem(&cancelled)["code"] == "unknown-job", "{cancelled:?}");
    assert_eq!(curl(&office, KIND, &place(KIND, "never"), &[]).0, 404);
    // What was cancelled, or is paused, was not delivered, and whoever pushes it is told so.
    assert_eq!(open(&office, "never", "csv").0, 200);
    assert_eq!(remote(&office, "never", &["--cancel"]).json()["state"], "cancelled");
    assert_eq!(problem(&remote(&office, "never", &[]))["code"], "job-cancelled");
    // A bomb: a gigabyte of zeros in a megabyte, for twelve rows.
    office.amend(KIND, "bomb", "bomb", |_, _| ());
    assert_eq!(open(&office, "bomb", "csv").0, 200);
    let pack = "import gzip; f = gzip.open('bomb.gz', 'wb'); [f.write(bytes(1 << 20)) for _ in range(1024)]; f.close()";
    run("python3", &["-c", pack], &office.home).ok();
    let (status, problem) = curl(&office, KIND, &format!("{}/rows?from=0", place(KIND, "bomb")), &["--data-binary", "@bomb.gz", "-H", "Content-Encoding: gzip"]);
    assert_eq!((status, &problem["code"]), (422, &json!("too-long")), "{problem}");
    let (_, job) = curl(&office, KIND, &format!("{}/cancel", place(KIND, "bomb")), &["-X", "POST"]);
    assert_eq!(job["state"], "cancelled");
    assert_eq!(curl(&office, KIND, &format!("{}/rows?from=0", place(KIND, "bomb")), &["--data-binary", "@city/people.csv"]).0, 409);
    assert_eq!(held(&office), vec![0; 12]);
    std::fs::copy(office.home.join("right.csv"), office.home.join("city/wrong.csv")).unwrap();
    assert_eq!(remote(&office, "wrong", &[]).json()["delivered"], 12);
    // Who can be reached: by number and name together; no names in the log.
    let city = read("city/people.csv");
    let person: Vec<&str> = city.lines().nth(1).unwrap().split(',').collect();
    let institutions = read("city/institutions.csv");
    let institution: Vec<&str> = institutions.lines().nth(1).unwrap().split(',').collect();
    let enrolled = office.mailgw(&["--json", "mailbox", "enrol", &office.people[0].address, "--sender", &bureau_of(KIND).code]).json();
    let token = enrolled["token"].as_str().unwrap();
    let asked = json!([
        { "id_type": person[0], "id_no": person[1], "name": person[2] },
        { "id_type": person[0], "id_no": person[1], "name": "别人" },
        { "id_type": "01", "id_no": "440105190003010052", "name": "别人" },
        { "id_type": "01", "id_no": "1", "name": "别人" },
        { "id_type": "uscc", "id_no": institution[0], "name": institution[1] },
        { "id_type": "uscc", "id_no": institution[0], "name": "别的公司" },
        { "id_type": "token", "id_no": token, "name": person[2] },
        { "id_type": "token", "id_no": token, "name": "别人" },
    ]);
    std::fs::write(office.home.join("asked.json"), asked.to_string()).unwrap();
    let ask = || curl(&office, KIND, &format!("/v1/push/{}/recipients", bureau_of(KIND).code), &["-H", "Content-Type: application/json", "--data-binary", "@asked.json"]);
    assert_eq!(ask().1["answers"], json!(["reachable", "unknown-person", "unknown-person", "unreadable", "reachable", "unknown-person", "reachable", "unknown-person"]));
    let code = bureau_of(KIND).code;
    let (url, client, key) = (format!("https://localhost:{}", office.push), format!("{code}-client.pem"), format!("{code}-client.key"));
    let asking = ["--json", "push", "recipients", "asked.json", "--bureau", &code, "--server", &url, "--client", &client, "--client-key", &key, "--root", "ca/root.pem"];
    assert_eq!(run(program("mailgw"), &asking, &office.home).json()["answers"], json!(["reachable", "unknown-person", "unknown-person", "unreadable", "reachable", "unknown-person", "reachable", "unknown-person"]));
    std::fs::write(office.home.join("asked.json"), Value::from(vec![asked[0].clone(); 100]).to_string()).unwrap();
    let statuses: BTreeSet<u16> = (0..21).map(|_| ask().0).collect();
    assert_eq!(statuses, BTreeSet::from([200, 429]), "an hour's persons are asked about, and no more");
    let log = read("mailgw.log");
    assert!(!log.contains(person[1]) && !log.contains(person[2]), "a person in the log");
}

#[test]
fn killed_and_cut_off_at_random_each_statement_arrives_once() {
    let place_ = tempfile::tempdir().unwrap();
    let mut office = Office::open(place_.path(), 60);
    // 3000 rows: each person fifty times, under keys and accounts of their own.
    let text = std::fs::read_to_string(office.home.join("city/housing-fund.csv")).unwrap();
    let (header, rows) = text.split_once("\r\n").unwrap();
    let many: String = (0..50).flat_map(|round| rows.lines().map(move |row| row.replacen("HF", &format!("R{round}"), 1).replacen("GJJ", &format!("G{round}-"), 1) + "\r\n")).collect();
    std::fs::write(office.home.join("city/housing-fund.csv"), format!("{header}\r\n{many}")).unwrap();
    // More rows than a bureau may have tried at once wait for their push, or go.
    office.amend(KIND, "long", "long", |_, _| ());
    office.sign_file(&bureau_of(KIND), "city/long.manifest.json", "long.p7s");
    let refused = remote(&office, "long", &["--dry-run"]);
    assert!(refused.code != 0 && problem(&refused)["code"] == "dry-run-too-long", "{refused:?}");
    assert_eq!(curl(&office, KIND, &place(KIND, "long"), &[]).1["state"], "receiving");
    assert_eq!(remote(&office, "long", &["--cancel"]).json()["state"], "cancelled");
    office.amend(KIND, "storm", "storm", |_, _| ());
    office.sign_file(&bureau_of(KIND), "city/storm.manifest.json", "storm.p7s");
    let waits = [150, 900, 40, 2_500, 600, 1_500];
    for (round, wait) in waits.iter().enumerate() {
        let code = bureau_of(KIND).code;
        let mut client = std::process::Command::new(program("mailgw"));
        client.args(["--json", "push", "city/storm.csv", "--manifest", "city/storm.manifest.json", "--signature", "storm.p7s", "--server"]);
        client.arg(format!("https://localhost:{}", office.push)).args(["--client", &format!("{code}-client.pem"), "--client-key", &format!("{code}-client.key"), "--root", "ca/root.pem"]);
        let mut client = client.current_dir(&office.home).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(*wait));
        // The client goes first, or the gateway does.
        if round % 2 == 0 {
            client.kill().unwrap();
        }
        office.kill_gateway();
        let _ = client.kill();
        client.wait().unwrap();
        office.start_gateway();
    }
    let job = remote(&office, "storm", &["--report", "storm.jsonl", "--evidence", "storm.evidence"]).json();
    sums(&job);
    assert_eq!((&job["state"], &job["delivered"]), (&json!("ended"), &json!(3_000)), "{job:#}");
    assert_eq!(held(&office), vec![50; 60]);
    let said = run(program("mailgw"), &["--json", "evidence", "verify", "storm.evidence", "--anchor", "ca/root.pem"], &office.home).json();
    assert_eq!(said["events"], json!({ "ContentConsignment": 3_000, "SubmissionAcceptance": 3_000 }));
    // Rows that are over leave nothing of their persons behind: the next start finds nothing to do.
    assert_eq!(office.push_signed("storm").json()["counts"]["delivered"], 3_000);
}

/// What happens to a push in a round.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Gateway,
    Client,
    Sealer,
    FullDisk,
}

/// Rows and rounds: `SUIYIN_KILLS` (`scripts/test --long`) pushes a hundred thousand rows through fifty blows.
fn trial() -> (usize, usize) {
    if std::env::var_os("SUIYIN_KILLS").is_some() { (100_000, 50) } else { (9_000, 15) }
}

#[test]
fn killed_cut_off_and_on_a_full_disk_each_statement_arrives_once_and_nobody_repairs_anything() {
    let (rows, rounds) = trial();
    let disk = Disk::of(1_500);
    let mut office = Office::open(disk.path(), 60);
    let copies = rows / 60;
    let text = std::fs::read_to_string(office.home.join("city/housing-fund.csv")).unwrap();
    let (header, lines) = text.split_once("\r\n").unwrap();
    let many: String = (0..copies).flat_map(|copy| lines.lines().map(move |row| row.replacen("HF", &format!("T{copy}-"), 1).replacen("GJJ", &format!("G{copy}-"), 1) + "\r\n")).collect();
    std::fs::write(office.home.join("city/housing-fund.csv"), format!("{header}\r\n{many}")).unwrap();
    office.amend(KIND, "trial", "trial", |_, _| ());
    office.sign_file(&bureau_of(KIND), "city/trial.manifest.json", "trial.p7s");
    let code = bureau_of(KIND).code;
    let client = |office: &Office| {
        let mut client = std::process::Command::new(program("mailgw"));
        client.args(["--json", "push", "city/trial.csv", "--manifest", "city/trial.manifest.json", "--signature", "trial.p7s", "--server"]);
        client.arg(format!("https://localhost:{}", office.push)).args(["--client", &format!("{code}-client.pem"), "--client-key", &format!("{code}-client.key"), "--root", "ca/root.pem"]);
        client.current_dir(&office.home).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    // The same run for the same seed; early blows are close together, so that the job is under way for all of them.
    let mut dice = 20_261_129_u64;
    let mut below = |limit: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % limit
    };
    let mut last = 0;
    for round in 0..rounds {
        let mut pushing = client(&office);
        std::thread::sleep(Duration::from_millis(100 + below(1_200)));
        let blow = match below(4) {
            0 if disk.is_small() => Blow::FullDisk,
            1 => Blow::Client,
            2 => Blow::Sealer,
            _ => Blow::Gateway,
        };
        match blow {
            Blow::Client => {}
            Blow::Gateway => office.kill_gateway(),
            Blow::Sealer => office.kill_sealer(),
            Blow::FullDisk => {
                let filler = disk.fill();
                std::thread::sleep(Duration::from_millis(500 + below(1_000)));
                std::fs::remove_file(filler).unwrap();
                // A store that found no room takes nothing more until it is opened again: the service is started anew.
                office.kill_gateway();
                office.kill_sealer();
            }
        }
        let _ = pushing.kill();
        pushing.wait().unwrap();
        if office.sealer_id().is_none() {
            office.start_sealer();
        }
        if office.gateway_id().is_none() {
            office.start_gateway();
        }
        let (status, job) = curl(&office, KIND, &place(KIND, "trial"), &[]);
        if status == 404 {
            continue;
        }
        assert_eq!(status, 200, "round {round}, {blow:?}: {job}");
        sums(&job);
        let delivered = job["delivered"].as_u64().unwrap();
        assert!(delivered >= last, "round {round}, {blow:?}: what was told is not so any more");
        last = delivered;
    }
    let job = remote(&office, "trial", &["--report", "trial.jsonl", "--evidence", "trial.evidence"]).json();
    sums(&job);
    let all = copies as u64 * 60;
    assert_eq!((&job["state"], &job["delivered"]), (&json!("ended"), &json!(all)), "{job:#}");
    assert_eq!(held(&office), vec![copies; 60]);
    let said = run(program("mailgw"), &["--json", "evidence", "verify", "trial.evidence", "--anchor", "ca/root.pem"], &office.home).json();
    assert_eq!(said["events"], json!({ "ContentConsignment": all, "SubmissionAcceptance": all }));
    println!("{rows} rows, {rounds} blows, {last} delivered before the last");
}
