//! The practice statement, at the address that certificates name.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{KEPT, is_known, put};

struct Statement {
    text: Bytes,
    tag: String,
}

/// Serves `text`, Markdown, as it was read when the service started.
pub fn router(text: String) -> Router {
    let tag = format!("\"{}\"", crate::sha256_hex(text.as_bytes()));
    Router::new().route("/cps", get(statement)).with_state(Arc::new(Statement { text: text.into(), tag }))
}

async fn statement(State(statement): State<Arc<Statement>>, asked: HeaderMap) -> Response {
    let mut headers = HeaderMap::new();
    put(&mut headers, header::CACHE_CONTROL, &format!("max-age={KEPT}, public"));
    put(&mut headers, header::ETAG, &statement.tag);
    if is_known(&asked, &statement.tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    // spec: rfc7763#2
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"));
    (headers, statement.text.clone()).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::ValueEnum;
    use policies::PRACTICE_STATEMENT;

    use super::*;
    use crate::{job, status};

    #[tokio::test]
    async fn the_statement_is_sent_as_markdown_and_once() {
        let statement = Arc::new(Statement { text: "# 声明\n".into(), tag: "\"1\"".into() });
        let first = super::statement(State(Arc::clone(&statement)), HeaderMap::new()).await;
        assert_eq!((first.status(), &first.headers()[header::CONTENT_TYPE]), (StatusCode::OK, &HeaderValue::from_static("text/markdown; charset=utf-8")));
        assert_eq!(axum::body::to_bytes(first.into_body(), 100).await.unwrap(), "# 声明\n");
        let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"1\""))]);
        assert_eq!(super::statement(State(statement), known).await.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn another_text_is_another_digest_and_none_is_refused() {
        let place = tempfile::tempdir().unwrap();
        for (directory, documents) in [("certificates", &policies::certificate::SHIPPED[..]), ("authority", &policies::authority::SHIPPED[..])] {
            std::fs::create_dir(place.path().join(directory)).unwrap();
            documents.iter().for_each(|(file, text)| std::fs::write(place.path().join(directory).join(file), text).unwrap());
        }
        let file = place.path().join("practice-statement.md");
        let missing = crate::init::read_policies(place.path()).unwrap_err().to_string();
        assert!(missing.contains("practice-statement.md"), "{missing}");
        std::fs::write(&file, PRACTICE_STATEMENT).unwrap();
        let before = crate::init::read_policies(place.path()).unwrap();
        assert_eq!(before.practice_statement, PRACTICE_STATEMENT);
        std::fs::write(&file, format!("{PRACTICE_STATEMENT}\n")).unwrap();
        assert_ne!(crate::init::read_policies(place.path()).unwrap().digest, before.digest);
        std::fs::write(&file, "x".repeat(256 * 1024 + 1)).unwrap();
        assert!(crate::init::read_policies(place.path()).is_err());
    }

    #[test]
    fn the_terms_of_the_statement_are_those_of_the_program() {
        let reasons: Vec<_> = crate::record::Reason::value_variants().iter().filter_map(|reason| reason.to_possible_value()).collect();
        let reasons: Vec<_> = reasons.iter().map(|reason| reason.get_name().to_owned()).collect();
        // What rules say — of citizens, lists, a suspension, an order, notices, records, timestamps — has its test beside the statement.
        let terms = [
            ("OCSP answer: from thisUpdate to nextUpdate, at most", format!("{} hours", status::GOOD_FOR.whole_hours())),
            ("OCSP answer: signed anew, with nothing changed, after", format!("{} hours", status::RENEW_AFTER.whole_hours())),
            ("OCSP answers and CRLs: kept by caches, at most", format!("{KEPT} seconds")),
            ("Root's CRL: the service reports a fault before its end by", format!("{} days", job::ROOT_BEFORE_END / 86_400)),
            ("Reasons of revocation", reasons.join(", ")),
        ];
        let expected: Vec<String> = terms.into_iter().map(|(term, value)| format!("| {term} | {value} |")).collect();
        let written = PRACTICE_STATEMENT.lines().skip_while(|line| *line != "| Term | Value |").skip(2).take_while(|line| line.starts_with('|'));
        let rules = ["| Suspension:", "| Records:", "| Order:", "| Timestamp:", "| Notices ", "| Whole CRL", "| CRL of a part", "| Delta CRL", "| Root's CRL: from", "| Citizens:"];
        let written: Vec<&str> = written.filter(|line| !rules.iter().any(|rule| line.starts_with(rule))).collect();
        assert_eq!(written, expected);
    }
}
