//! The outbox's socket, where the mail gateway takes letters and says what became of them. Nothing else is asked here.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Extension, Json, Router};
use runtime::exit::{Exit, Problem};
use runtime::http::Caller;

use super::{Refused, worked};
use crate::desk::Desk;
use crate::desk::flow::outbox::{self, Done, PAGE, Page};

/// The socket's name within the state directory.
pub const SOCKET: &str = "outbox.sock";
/// What became of a page of letters is told in less.
const LONGEST: usize = 64 * 1024;

pub fn router(desk: Arc<Desk>) -> Router {
    Router::new().route("/v1/outbox/collect", post(collect)).route("/v1/outbox/done", post(done)).layer(DefaultBodyLimit::max(LONGEST)).with_state(desk)
}

async fn collect(State(desk): State<Arc<Desk>>, Extension(caller): Extension<Caller>) -> Result<Json<Page>, Refused> {
    known(&caller)?;
    worked(move || outbox::collect(&desk)).await.map(Json)
}

async fn done(State(desk): State<Arc<Desk>>, Extension(caller): Extension<Caller>, Json(told): Json<Vec<Done>>) -> Result<Json<()>, Refused> {
    known(&caller)?;
    if told.len() > PAGE {
        return Err(Problem::new(Exit::Refused, "too-many", format!("{} letters are told of at once", told.len()), format!("tell of at most {PAGE}")).into());
    }
    worked(move || outbox::done(&desk, &told)).await.map(Json)
}

/// The socket admits this user and root alone; over any other door nobody is known.
fn known(caller: &Caller) -> Result<(), Problem> {
    caller.user.map(|_| ()).ok_or_else(|| Problem::new(Exit::Denied, "caller", "nobody is known at the other end", "use the outbox's socket"))
}
