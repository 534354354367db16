//! One id for each request: in every line of the log that is about it, in its answer, and in the problem it ends in.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::task::JoinHandle;

use crate::metrics::Histogram;

/// Where the id stands in a request and in its answer.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Routes are named in the program and are few; should that ever be wrong, the rest is counted as one.
const MAX_ROUTES: usize = 256;

/// Names one request, over any door. Every request carries it (`Extension<RequestId>`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The one that the caller gave, if it is 8 to 64 letters, digits, dots, underscores or hyphens; else one of ours.
    pub fn of(headers: &HeaderMap) -> Self {
        let fits = |text: &&str| (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        match headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(fits) {
            Some(given) => Self(given.to_owned()),
            None => Self::made(),
        }
    }

    /// Unlike any other of this process and, but for a chance of 2^-64, of any other; nobody need be unable to guess it.
    fn made() -> Self {
        static PROCESS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        Self(format!("{:016x}{number:08x}", PROCESS.hash_one("process")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs `work` on a thread where it may wait; what it logs is the present request's.
pub fn spawn_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

/// How requests ended, and how long they took.
#[derive(Debug)]
struct Route {
    /// By the first digit of the status; the first place is for those whose caller left or that took too long.
    classes: [AtomicU64; 6],
    took: Histogram,
}

const CLASSES: [&str; 6] = ["unanswered", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counts the requests of a service by route and class of status. Labels are the routes as the program writes them,
/// never what a caller sent. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<RwLock<HashMap<String, Arc<Route>>>>);

impl Requests {
    pub fn new() -> Self {
        Self::default()
    }

    /// The router, with what it answers counted.
    pub fn counted(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), count))
    }

    fn route(&self, name: &str) -> Arc<Route> {
        if let Some(route) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(route);
        }
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let name = if routes.len() < MAX_ROUTES { name } else { "other" };
        let made = || Arc::new(Route { classes: Default::default(), took: Histogram::new(Histogram::SECONDS) });
        Arc::clone(routes.entry(name.to_owned()).or_insert_with(made))
    }

    /// In Prometheus' text format, routes in the order of their names.
    pub fn render(&self) -> String {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut routes: Vec<_> = routes.iter().collect();
        routes.sort_by_key(|(name, _)| name.as_str());
        let escape = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut text = String::from("# HELP suiyin_http_requests_total Requests by route and class of status.\n# TYPE suiyin_http_requests_total counter\n");
        for (name, route) in &routes {
            for (class, count) in CLASSES.iter().zip(&route.classes) {
                let count = count.load(Relaxed);
                if count > 0 {
                    // Writing to a string cannot fail.
                    let _ = writeln!(text, "suiyin_http_requests_total{{route=\"{}\",status=\"{class}\"}} {count}", escape(name));
                }
            }
        }
        text.push_str("# HELP suiyin_http_request_seconds Time from a request's head to its answer's head.\n# TYPE suiyin_http_request_seconds histogram\n");
        for (name, route) in &routes {
            route.took.write(&mut text, "suiyin_http_request_seconds", &[("route", name.as_str())]);
        }
        text
    }
}

/// Counts when it is dropped, also when the answer never came.
struct Counting {
    route: Arc<Route>,
    began: Instant,
    class: usize,
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(count) = self.route.classes.get(self.class) {
            count.fetch_add(1, Relaxed);
        }
        self.route.took.observe(self.began.elapsed().as_secs_f64());
    }
}

async fn count(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let route = requests.route(request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str));
    let mut counting = Counting { route, began: Instant::now(), class: 0 };
    let response = next.run(request).await;
    counting.class = usize::from(response.status().as_u16() / 100).min(CLASSES.len() - 1);
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_what_is_short_and_plain_is_taken() {
        let of = |text: &[u8]| RequestId::of(&HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(text).unwrap())]));
        assert_eq!(of(b"4bf92f35-77b34da6_A.9").as_str(), "4bf92f35-77b34da6_A.9");
        let long = "x".repeat(65);
        for wrong in [&b""[..], b"1234567", long.as_bytes(), b"1234 5678", b"12345678\"", b"12345678\xff", "号码号码号码".as_bytes()] {
            assert_eq!(of(wrong).as_str().len(), 24, "{wrong:?}");
        }
        let (first, second) = (RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
        assert!(first != second && first.as_str()[..16] == second.as_str()[..16]);
        assert_eq!(of(first.as_str().as_bytes()), first);
    }

    #[test]
    fn series_are_bounded_whatever_routes_there_are() {
        let requests = Requests::new();
        for number in 0..1_000 {
            drop(Counting { route: requests.route(&format!("/{number}")), began: Instant::now(), class: 2 });
        }
        drop(Counting { route: requests.route("/1000"), began: Instant::now(), class: 0 });
        let text = requests.render();
        assert_eq!(text.matches("suiyin_http_requests_total{").count(), MAX_ROUTES + 2);
        assert!(text.contains("{route=\"other\",status=\"2xx\"} 744\n") && text.contains("{route=\"other\",status=\"unanswered\"} 1\n"), "{text}");
    }
}
