//! Long work told line by line: `application/x-ndjson`, any number of progress lines and one last line with the outcome.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::{Body, Bytes, Frame};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::exit::{Exit, Problem};

pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";

/// One line: `{"progress":..}`, `{"done":..}` or `{"failed":{"exit":"refused","problem":{..}}}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line<P, R> {
    Progress(P),
    Done(R),
    Failed { exit: Exit, problem: Problem },
}

/// Tells the caller how far the work is. Clones tell the same caller.
#[derive(Clone, Debug)]
pub struct Reporter(mpsc::Sender<Bytes>);

impl Reporter {
    /// Sends one progress line; waits while the caller reads slowly. False once the caller has gone: the work may stop.
    pub async fn tell<P: Serialize>(&self, progress: &P) -> bool {
        self.0.send(encode::<&P, ()>(&Line::Progress(progress))).await.is_ok()
    }

    /// As `tell` from blocking code, which must not wait for a slow caller: the line is dropped when the queue is full.
    pub fn tell_or_drop<P: Serialize>(&self, progress: &P) -> bool {
        !matches!(self.0.try_send(encode::<&P, ()>(&Line::Progress(progress))), Err(mpsc::error::TrySendError::Closed(_)))
    }
}

/// Runs `work` in a task of its own and answers with its lines. The work goes on when the caller leaves.
pub fn report<R, W, F>(work: W) -> Response
where
    R: Serialize + Send + 'static,
    W: FnOnce(Reporter) -> F,
    F: Future<Output = Result<R, Problem>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(16);
    let work = work(Reporter(sender.clone()));
    let span = tracing::Span::current();
    let answering = async move {
        // A task of its own, so that a panic in the work becomes a last line and not a body that just ends.
        let outcome = tokio::spawn(work.in_current_span()).await.unwrap_or_else(|error| {
            tracing::error!(%error, "work failed unexpectedly");
            Err(Problem::new(Exit::Internal, "internal", "the server failed at this work", "look into the server's log"))
        });
        let last = match outcome {
            Ok(done) => Line::Done(done),
            Err(problem) => Line::Failed { exit: problem.exit, problem },
        };
        // The caller may have gone.
        let _ = sender.send(encode::<(), R>(&last)).await;
    };
    tokio::spawn(answering.instrument(span));
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], axum::body::Body::new(LinesBody(receiver))).into_response()
}

fn encode<P: Serialize, R: Serialize>(line: &Line<P, R>) -> Bytes {
    let mut text = serde_json::to_vec(line).unwrap_or_else(|error| {
        tracing::error!(%error, "a line does not serialise");
        let message = "the server cannot put its answer into JSON";
        let problem = Problem::new(Exit::Internal, "internal", message, "look into the server's log");
        serde_json::to_vec(&Line::<(), ()>::Failed { exit: Exit::Internal, problem }).unwrap_or_default()
    });
    text.push(b'\n');
    text.into()
}

struct LinesBody(mpsc::Receiver<Bytes>);

impl Body for LinesBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
