//! The outbox's socket, where the mail gateway takes letters and says what became of them. Nothing else is asked here.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Extension, Json, Router};
use runtime::exit::{Exit, Problem};
use runtime::http::Caller;

use crate::authority::Authority;
use crate::flow::outbox::{self, Done, PAGE, Page};
use crate::flow::{Authorised, Courier};

/// The socket's name within the state directory.
pub const SOCKET: &str = "outbox.sock";
/// What became of a page of letters is told in less.
const LONGEST: usize = 64 * 1024;

pub fn router(authority: Arc<Authority>) -> Router {
    Router::new().route("/v1/outbox/collect", post(collect)).route("/v1/outbox/done", post(done)).layer(DefaultBodyLimit::max(LONGEST)).with_state(authority)
}

async fn collect(State(authority): State<Arc<Authority>>, Extension(caller): Extension<Caller>) -> Result<Json<Page>, Problem> {
    let courier = courier(&caller)?;
    worked(move || outbox::collect(&authority, &courier).map_err(Problem::from)).await.map(Json)
}

async fn done(State(authority): State<Arc<Authority>>, Extension(caller): Extension<Caller>, Json(told): Json<Vec<Done>>) -> Result<Json<()>, Problem> {
    let courier = courier(&caller)?;
    if told.len() > PAGE {
        return Err(Problem::new(Exit::Refused, "too-many", format!("{} letters are told of at once", told.len()), format!("tell of at most {PAGE}")));
    }
    worked(move || outbox::done(&authority, &courier, &told).map_err(Problem::from)).await.map(Json)
}

/// The socket admits the gateway's user and root alone; over any other door nobody is known.
fn courier(caller: &Caller) -> Result<Authorised<Courier>, Problem> {
    let user = caller.user.ok_or_else(|| Problem::new(Exit::Denied, "caller", "nobody is known at the other end", "use the outbox's socket"))?;
    Ok(Authorised::by_outbox(user))
}

/// The store may wait for the disk: not on this thread.
async fn worked<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::new(Exit::Internal, "outbox", error.to_string(), "report this with the authority's log"))?
}
