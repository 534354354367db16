//! Revocation lists, fetched over HTTP from where certificates say and kept for a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::exit::{Exit, Problem};

/// A revocation takes effect here at most this long after the CA has published it.
const KEEP: time::Duration = time::Duration::seconds(60);
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an address that gave no list is not asked again for those who do not wait, from when it was given up: a list that is away costs
/// one of them its patience in so long, and not each. Longer than that patience, and within `KEEP`.
const SILENT: Duration = Duration::from_secs(30);
/// How long a list is confirmed without being sent anew.
const CONFIRMED: time::Duration = time::Duration::minutes(10);
/// A million revoked certificates make about 75 MB when each bears an invalidity date.
const MAX_BYTES: usize = 128 << 20;
/// Chains are short and each certificate names one list.
const MAX_KEPT: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    #[error("{url} is no address that revocation lists are fetched from; have the certificate issued with an http:// address")]
    Address { url: String },
    #[error("the revocation list {url} cannot be fetched: {reason}; see that the CA serves it, then try again")]
    Unreachable { url: String, reason: String },
    #[error("the revocation list {url} could not be fetched a moment ago: {reason}; see that the CA serves it, then try again")]
    Silent { url: String, reason: String },
}

impl From<RevocationError> for Problem {
    fn from(error: RevocationError) -> Self {
        let (exit, code) = match &error {
            RevocationError::Address { .. } => (Exit::Refused, "revocation-address"),
            RevocationError::Unreachable { .. } | RevocationError::Silent { .. } => (Exit::Unavailable, "revocation-unknown"),
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Problem::new(exit, code, message, next)
    }
}

struct Kept {
    /// When it was asked for last, and when it came itself.
    at: OffsetDateTime,
    came: OffsetDateTime,
    list: Vec<u8>,
    /// What its publisher calls this very list: where it is still that one, nothing is sent anew.
    tag: Option<HeaderValue>,
}

/// Fetches lists from blocking threads, on the process's runtime. What a list is worth is judged where it is used.
pub struct RevocationLists {
    handle: Handle,
    kept: Mutex<HashMap<String, Kept>>,
    /// Why there was none, and when that was found out: by a clock that nobody sets, and after the wait.
    silent: Mutex<HashMap<String, (Instant, String)>>,
    /// Who asks in passing now, one for each address.
    asking: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

impl RevocationLists {
    pub fn new(handle: Handle) -> Self {
        Self { handle, kept: Mutex::default(), silent: Mutex::default(), asking: Mutex::default() }
    }

    /// The lists at these addresses, none of them older than a minute at `now`.
    pub fn fetch(&self, urls: &[String], now: OffsetDateTime) -> Result<Vec<Vec<u8>>, RevocationError> {
        self.fetch_within(urls, now, KEEP)
    }

    /// The same, none of them older than `most`, where a revocation has to take effect sooner.
    pub fn fetch_within(&self, urls: &[String], now: OffsetDateTime, most: time::Duration) -> Result<Vec<Vec<u8>>, RevocationError> {
        urls.iter().map(|url| self.one(url, now, most.min(KEEP))).collect()
    }

    /// As `fetch_within`, where others wait behind whoever asks: an address that gave no list a moment ago is not asked again yet, and those
    /// who come while one asks hear what that one hears.
    pub fn fetch_in_passing(&self, urls: &[String], now: OffsetDateTime, most: time::Duration) -> Result<Vec<Vec<u8>>, RevocationError> {
        urls.iter().map(|url| self.in_passing(url, now, most.min(KEEP))).collect()
    }

    fn in_passing(&self, url: &str, now: OffsetDateTime, most: time::Duration) -> Result<Vec<u8>, RevocationError> {
        if let Some(known) = self.known(url, now, most) {
            return known;
        }
        let turn = self.turn(url);
        let _mine = turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever had to wait for another's answer has it now.
        match self.known(url, now, most) {
            Some(known) => known,
            None => self.one(url, now, most),
        }
    }

    fn known(&self, url: &str, now: OffsetDateTime, most: time::Duration) -> Option<Result<Vec<u8>, RevocationError>> {
        self.kept(url, now, most).map(Ok).or_else(|| self.was_silent(url).map(Err))
    }

    fn turn(&self, url: &str) -> Arc<Mutex<()>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // Only those that somebody holds are of use.
        asking.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(asking.entry(url.to_owned()).or_default())
    }

    fn kept(&self, url: &str, now: OffsetDateTime, most: time::Duration) -> Option<Vec<u8>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(url).filter(|kept| (kept.at..kept.at + most).contains(&now)).map(|kept| kept.list.clone())
    }

    fn was_silent(&self, url: &str) -> Option<RevocationError> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, reason) = silent.get(url)?;
        (at.elapsed() < SILENT).then(|| RevocationError::Silent { url: url.to_owned(), reason: reason.clone() })
    }

    fn one(&self, url: &str, now: OffsetDateTime, most: time::Duration) -> Result<Vec<u8>, RevocationError> {
        if let Some(list) = self.kept(url, now, most) {
            return Ok(list);
        }
        // What came garbled, or was put there, is not confirmed for ever.
        let tag = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(url).filter(|kept| (kept.came..kept.came + CONFIRMED).contains(&now)).and_then(|kept| kept.tag.clone());
        let list = self.handle.block_on(async { timeout(PATIENCE, get(url, tag)).await });
        let list = list.unwrap_or_else(|_| Err(RevocationError::Unreachable { url: url.to_owned(), reason: format!("no answer within {} s", PATIENCE.as_secs()) }));
        let list = list.inspect_err(|error| self.note_silence(url, error))?;
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).remove(url);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT && !kept.contains_key(url) {
            kept.clear();
        }
        match list {
            Got::New(list, tag) => {
                kept.insert(url.to_owned(), Kept { at: now, came: now, list: list.clone(), tag });
                Ok(list)
            }
            Got::Same => kept.get_mut(url).map(|kept| {
                kept.at = now;
                kept.list.clone()
            }).ok_or_else(|| RevocationError::Unreachable { url: url.to_owned(), reason: "it was let go of meanwhile".into() }),
        }
    }

    fn note_silence(&self, url: &str, error: &RevocationError) {
        let RevocationError::Unreachable { reason, .. } = error else { return };
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|_, (at, _)| at.elapsed() < SILENT);
        // Whoever waits behind this one finds the note: where there are too many, the oldest goes.
        let oldest = silent.iter().min_by_key(|(_, (at, _))| *at).map(|(url, _)| url.clone());
        if let Some(oldest) = oldest.filter(|_| silent.len() >= MAX_KEPT) {
            silent.remove(&oldest);
        }
        silent.insert(url.to_owned(), (Instant::now(), reason.clone()));
    }
}

enum Got {
    New(Vec<u8>, Option<HeaderValue>),
    /// The one that was had before.
    Same,
}

async fn get(url: &str, had: Option<HeaderValue>) -> Result<Got, RevocationError> {
    let refused = || RevocationError::Address { url: url.to_owned() };
    let unreachable = |reason: String| RevocationError::Unreachable { url: url.to_owned(), reason };
    let uri: Uri = url.parse().map_err(|_| refused())?;
    // Lists are signed: plain HTTP is how they are meant to be fetched. spec: rfc5280#8
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(refused)?;
    // An IPv6 address stands in brackets there, and nowhere else.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.map_err(|error| unreachable(error.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path).header(header::HOST, authority.as_str()).body(Empty::<Bytes>::new()).map_err(|_| refused())?;
    // spec: rfc9110#13.1.2
    let asked_anew = had.map(|tag| request.headers_mut().insert(header::IF_NONE_MATCH, tag)).is_some();
    let answer = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
    if asked_anew && answer.status() == StatusCode::NOT_MODIFIED {
        connection.abort();
        return Ok(Got::Same);
    }
    if !answer.status().is_success() {
        return Err(unreachable(format!("the answer is {}", answer.status())));
    }
    let tag = answer.headers().get(header::ETAG).cloned();
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await.map_err(|error| unreachable(error.to_string()))?;
    connection.abort();
    Ok(Got::New(body.to_bytes().to_vec(), tag))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

    use time::Duration;

    use super::*;

    /// An authority that is away for a while, and how often it was asked.
    struct Away {
        url: String,
        is_away: Arc<AtomicBool>,
        asked: Arc<AtomicUsize>,
    }

    impl Away {
        fn serve() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let this = Self { url: format!("http://{}/a.crl", listener.local_addr().unwrap()), is_away: Arc::default(), asked: Arc::default() };
            let (is_away, asked) = (Arc::clone(&this.is_away), Arc::clone(&this.asked));
            std::thread::spawn(move || {
                for mut connection in listener.incoming().flatten() {
                    asked.fetch_add(1, SeqCst);
                    if !is_away.load(SeqCst) && connection.read(&mut [0; 1_024]).is_ok() {
                        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlist");
                    }
                }
            });
            this
        }
    }

    #[test]
    fn a_list_that_is_away_is_asked_for_once_in_a_while_in_passing() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (authority, lists, now) = (Away::serve(), RevocationLists::new(runtime.handle().clone()), OffsetDateTime::UNIX_EPOCH);
        let urls = [authority.url.clone()];
        let passes = |time: std::time::Duration| lists.silent.lock().unwrap().values_mut().for_each(|(at, _)| *at = at.checked_sub(time).unwrap());
        let in_passing = |seconds: i64, most: i64| lists.fetch_in_passing(&urls, now + Duration::seconds(seconds), Duration::seconds(most));
        assert_eq!(in_passing(0, 60).unwrap(), [b"list"]);
        authority.is_away.store(true, SeqCst);
        // Whoever wants it younger hears that there is none, and others go on with the one that is young enough for them.
        assert!(matches!(in_passing(40, 30), Err(RevocationError::Unreachable { .. })));
        assert!(matches!(in_passing(41, 30), Err(RevocationError::Silent { .. })));
        assert_eq!(in_passing(41, 60).unwrap(), [b"list"]);
        // Whoever looked at the clock before it was given up hears of it, too.
        assert!(matches!(in_passing(39, 30), Err(RevocationError::Silent { .. })));
        assert_eq!(authority.asked.load(SeqCst), 2);
        // Who waits for it asks all the same; and after a while everybody does.
        assert!(matches!(lists.fetch_within(&urls, now + Duration::seconds(42), Duration::seconds(30)), Err(RevocationError::Unreachable { .. })));
        passes(SILENT - PATIENCE);
        assert!(matches!(in_passing(62, 30), Err(RevocationError::Silent { .. })));
        passes(PATIENCE);
        assert!(matches!(in_passing(72, 30), Err(RevocationError::Unreachable { .. })));
        assert_eq!(authority.asked.load(SeqCst), 4);
        authority.is_away.store(false, SeqCst);
        passes(SILENT);
        assert_eq!(in_passing(102, 30).unwrap(), [b"list"]);
        // What is no address is nobody's silence.
        let wrong = ["ftp://a/b".to_owned()];
        assert!((0..2).all(|_| matches!(lists.fetch_in_passing(&wrong, now, Duration::seconds(30)), Err(RevocationError::Address { .. }))));
    }

    #[test]
    fn a_list_that_is_still_the_same_is_not_sent_anew() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let urls = [format!("http://{}/a.crl", listener.local_addr().unwrap())];
        let publisher = std::thread::spawn(move || {
            let mut known = Vec::new();
            for (tag, list) in [("\"1\"", "old"), ("\"1\"", "old"), ("\"2\"", "new")] {
                let (mut connection, _) = listener.accept().unwrap();
                let mut asked = [0; 1_024];
                let length = connection.read(&mut asked).unwrap();
                let has_it = String::from_utf8_lossy(&asked[..length]).to_lowercase().contains(&format!("if-none-match: {tag}"));
                let answer = if has_it { "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned() } else { format!("HTTP/1.1 200 OK\r\nETag: {tag}\r\nContent-Length: 3\r\n\r\n{list}") };
                connection.write_all(answer.as_bytes()).unwrap();
                known.push(has_it);
            }
            known
        });
        let lists = RevocationLists::new(runtime.handle().clone());
        let had = |seconds: i64| lists.fetch_within(&urls, OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds), Duration::seconds(10)).unwrap();
        // Told to be the same at ten seconds, it is young again until twenty.
        assert_eq!([0, 9, 10, 19, 20].map(|at| had(at).concat()), [b"old", b"old", b"old", b"old", b"new"]);
        assert_eq!(publisher.join().unwrap(), [false, true, false]);
    }

    #[test]
    fn one_at_a_time_asks_in_passing_and_the_others_hear_what_it_heard() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (listener, asked) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(AtomicUsize::new(0)));
        let (urls, count) = ([format!("http://{}/a.crl", listener.local_addr().unwrap())], Arc::clone(&asked));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                count.fetch_add(1, SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(300));
                drop(connection);
            }
        });
        let lists = RevocationLists::new(runtime.handle().clone());
        let fails = || lists.fetch_in_passing(&urls, OffsetDateTime::UNIX_EPOCH, Duration::seconds(30)).is_err();
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(fails)).collect();
            assert!(all.into_iter().all(|one| one.join().unwrap()));
        });
        assert_eq!(asked.load(SeqCst), 1);
    }
}
