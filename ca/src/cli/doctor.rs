//! The grades of everything, one line each: what the authority tells, what its directory shows, what its address answers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime::admin::SOCKET;
use runtime::clock::{Clock as _, SystemClock};
use runtime::exit::Problem;

use super::ask::{self, Place};
use crate::authority::ROOT;
use crate::doctor::{Examined, Finding};
use crate::init::Configuration;
use crate::operation::Operation;
use crate::service::Outcome;
use crate::time_source::{Doubt, TimeSource};

const WAIT: Duration = Duration::from_secs(5);

pub fn doctor(place: &Place, online: bool) -> Result<(), Problem> {
    let remote = place.server.is_some();
    let running = remote || UnixStream::connect(place.directory.join(SOCKET)).is_ok();
    // Of another machine nobody sees the directory from here.
    let mut findings = if remote { Vec::new() } else { modes(&place.directory) };
    let within_reach = if remote { Vec::new() } else { roots_within_reach(&place.directory) };
    if !remote {
        findings.push(runtime::room::finding(&place.directory, "nothing is issued or revoked"));
        findings.push(time_source(&place.directory));
    }
    match ask::ask(place, Operation::Doctor) {
        Ok(Outcome::Examined(Examined { base_url, findings: told, roots_in_token })) => {
            let demonstration = is_loopback(host_name(&base_url));
            findings.extend(told);
            findings.extend(within_reach.iter().map(|store| root_within_reach(store, demonstration)));
            findings.extend(roots_in_token.iter().map(|root| root_in_token(root, demonstration)));
            if running {
                findings.extend(answers(&base_url, online));
            } else {
                findings.push(Finding::warn("service: it is not running", "start it with `ca serve`"));
            }
        }
        Ok(_) => findings.push(Finding::fail("service: it answered something else", "run the same version of `ca` as the service")),
        Err(problem) => findings.push(Finding::fail(format!("authority: {}", problem.message), problem.next)),
    }
    runtime::doctor::tell(&findings, place.json)
}

/// The directory, the key stores in it and each sealed key: closed to all but their owner.
fn modes(directory: &Path) -> Vec<Finding> {
    let mut places = vec![directory.to_owned()];
    for store in ["keys", "root-keys"].map(|name| directory.join(name)) {
        places.extend(fs::read_dir(&store).into_iter().flatten().flatten().map(|entry| entry.path()));
        places.extend(store.is_dir().then_some(store));
    }
    let open: Vec<_> = places.iter().filter(|path| fs::metadata(path).is_ok_and(|found| found.mode() & 0o077 != 0)).collect();
    let mut findings: Vec<Finding> = open.iter().map(|path| Finding::fail(format!("mode of {}: others can reach it", path.display()), format!("run: chmod go-rwx {}", path.display()))).collect();
    if findings.is_empty() {
        findings.push(Finding::ok("modes: keys are closed to all but their owner"));
    }
    findings
}

/// Entries looked at in one directory.
const MOST_BESIDE: usize = 1_000;

/// Key stores with a root's key that whoever took over the service would find first: in its directory and beside it.
fn roots_within_reach(directory: &Path) -> Vec<PathBuf> {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let below = |place: &Path| fs::read_dir(place).into_iter().flatten().take(MOST_BESIDE).flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let places = [directory.clone()].into_iter().chain(below(&directory)).chain(directory.parent().map(below).unwrap_or_default());
    let found: BTreeSet<PathBuf> = places.filter(|place| place.join(format!("{ROOT}.key")).is_file()).collect();
    found.into_iter().collect()
}

/// Of an authority that others rely on nobody may find the root's key beside it; at an address of this machine alone it is a
/// demonstration.
fn root_within_reach(store: &Path, demonstration: bool) -> Finding {
    let what = format!("root's key: {} is within reach of the service, and with its passphrase whoever takes the service over makes authorities", store.display());
    let next = format!("move {} to a machine without a network; an authority whose root was never here is founded with `ca hierarchy request`", store.display());
    if demonstration { Finding::warn(what, next) } else { Finding::fail(what, next) }
}

/// Graded as a file within reach is: the service's PIN opens it.
fn root_in_token(root: &str, demonstration: bool) -> Finding {
    let what = format!("root's key: that of {root} is in the token that the service opens, so within reach of the service, and whoever takes the service over makes authorities");
    let next = "keep it in a token of its own, with a PIN of its own, on a machine without a network; an authority whose root was never here is founded with `ca hierarchy request`";
    if demonstration { Finding::warn(what, next) } else { Finding::fail(what, next) }
}

/// Whether the source that ca.toml names vouches for this host's clock, asked here and now.
fn time_source(directory: &Path) -> Finding {
    let configuration = runtime::config::read::<Configuration>(&directory.join("ca.toml")).map_err(Problem::from);
    let read = configuration.and_then(|configuration| Ok((configuration, crate::init::read_policies(&directory.join("policies"))?)));
    match read {
        Ok((configuration, policies)) => {
            let (source, accuracy) = (configuration.timestamp.unwrap_or_default(), Duration::from_millis(policies.rules.timestamp.accuracy_ms.into()));
            let reading = source.read(SystemClock.now()).and_then(|reading| reading.within(accuracy));
            vouched(&source, reading.map(|reading| reading.error))
        }
        Err(problem) => Finding::warn(format!("time source: {}", problem.message), problem.next),
    }
}

fn vouched(source: &TimeSource, reading: Result<Duration, Doubt>) -> Finding {
    let name = source.name();
    match reading {
        _ if source.is_unchecked() => Finding::warn("time source: unchecked, so timestamps tell a clock that nobody vouches for", "name another [timestamp] source in ca.toml: kernel, file or command"),
        Ok(error) => Finding::ok(format!("time source: {name}, the clock is right to {:.1} ms", error.as_secs_f64() * 1e3)),
        Err(doubt) => {
            let text = doubt.to_string();
            let (what, next) = text.rsplit_once("; ").unwrap_or((&text, "see to the host's time service"));
            // Whoever asks whether a certificate is good is answered all the same: that must not end with a time service.
            Finding::warn(format!("time source: no timestamps are made, while OCSP, lists and issuing go on: {what}"), next)
        }
    }
}

/// What the public address answers. It is asked only on this machine, or when that was wished: a doctor calls nobody unasked.
fn answers(base_url: &str, online: bool) -> Vec<Finding> {
    let (host, name) = (base_url.trim_start_matches("http://"), host_name(base_url));
    if !is_loopback(name) && !online {
        return vec![Finding::ok(format!("{base_url}: not asked; `--online` asks it"))];
    }
    let address = if name == host { format!("{host}:80") } else { host.to_owned() };
    let ask = |path: &str| match status(&address, host, path) {
        Ok(200) => Finding::ok(format!("{base_url}{path}: answers")),
        Ok(other) => Finding::fail(format!("{base_url}{path}: answers {other}"), "read the service's log"),
        Err(error) => Finding::fail(format!("{base_url}{path}: {error}"), "check the address, the proxy before it and the service"),
    };
    ["/healthz", "/crl/enterprise-ca.crl"].map(ask).into()
}

/// Without scheme and port.
fn host_name(base_url: &str) -> &str {
    let host = base_url.trim_start_matches("http://");
    host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit())).map_or(host, |(name, _)| name)
}

fn is_loopback(name: &str) -> bool {
    name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The status of a GET: of the answer no more than the first line is read.
fn status(address: &str, host: &str, path: &str) -> std::io::Result<u16> {
    let nobody = || std::io::Error::other("the name has no address");
    let address = address.to_socket_addrs()?.next().ok_or_else(nobody)?;
    let mut stream = TcpStream::connect_timeout(&address, WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut line = [0; 12];
    stream.read_exact(&mut line)?;
    // spec: rfc9112#4
    let code = line.strip_prefix(b"HTTP/1.1 ").and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
    code.ok_or_else(|| std::io::Error::other("what answers speaks no HTTP/1.1"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use runtime::doctor::verdict;
    use runtime::exit::Exit;

    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn an_open_key_fails_and_a_root_beside_is_told() {
        let place = tempfile::tempdir().unwrap();
        let key = place.path().join("keys/tls-ca.json");
        fs::create_dir(place.path().join("keys")).unwrap();
        fs::write(&key, b"{}").unwrap();
        for (path, mode) in [(place.path().to_owned(), 0o700), (place.path().join("keys"), 0o700), (key.clone(), 0o600)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert!(modes(place.path()).iter().all(|finding| finding.grade == Grade::Ok));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        let found = modes(place.path());
        assert!(found.iter().any(|finding| finding.grade == Grade::Fail && finding.next.contains("tls-ca.json")));
        // A root's key in the directory, and one beside it, under whatever name.
        let directory = place.path().join("ca");
        fs::create_dir(&directory).unwrap();
        assert!(roots_within_reach(&directory).is_empty());
        for store in ["ca/root-keys", "usb"] {
            fs::create_dir(place.path().join(store)).unwrap();
            fs::write(place.path().join(store).join("root.key"), b"{}").unwrap();
        }
        assert_eq!(roots_within_reach(&directory).len(), 2);
        assert_eq!([true, false].map(|demonstration| root_within_reach(&directory, demonstration).grade), [Grade::Warn, Grade::Fail]);
        assert_eq!([true, false].map(|demonstration| root_in_token("root", demonstration).grade), [Grade::Warn, Grade::Fail]);
        assert_eq!(["http://127.0.0.1:8440", "http://localhost", "http://[::1]:80", "http://ca.example.cn:8440"].map(|url| is_loopback(host_name(url))), [true, true, true, false]);
        assert_eq!(verdict(&found).unwrap_err().exit, Exit::Damaged);
    }

    #[test]
    fn only_this_machine_is_asked_unasked() {
        assert!(answers("http://ca.example.cn", false).iter().all(|finding| finding.what.contains("not asked")));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            for answer in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n\r\n"] {
                let (mut stream, _) = listener.accept().unwrap();
                // The whole of it: what is left unread when the connection ends takes the answer with it.
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut octet = [0; 1];
                    stream.read_exact(&mut octet).unwrap();
                    request.extend(octet);
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let grades: Vec<Grade> = answers(&base, false).iter().map(|finding| finding.grade).collect();
        assert_eq!(grades, [Grade::Ok, Grade::Fail]);
        served.join().unwrap();
    }
}
