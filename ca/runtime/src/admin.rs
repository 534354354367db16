//! Administration over `DIR/admin.sock`: HTTP/1.1 between processes of the same user on one host.

mod client;
mod lines;
mod reader;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use axum::Router;
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};

use crate::connection::{self, Door};
use crate::exit::{Exit, Problem};
use crate::http::{Caller, Limits};
use crate::shutdown::Shutdown;
use crate::state::{self, StateError};

pub use client::{AdminClient, Answer, CallError, Sent};
pub use lines::{Reporter, report};

/// The socket's name within the state directory.
pub const SOCKET: &str = "admin.sock";

#[derive(Debug, Error)]
pub enum AdminError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("a server answers on {} already; stop it, or send commands to it", path.display())]
    Living { path: PathBuf },
    #[error("{} is not a socket; move it away", path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot {action} {}: {source}; check the directory and that its path is short", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        let exit = match error {
            AdminError::State(error) => return error.into(),
            AdminError::Living { .. } | AdminError::Io { .. } => Exit::Unavailable,
            AdminError::NotASocket { .. } => Exit::Conflict,
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, ""));
        Problem::new(exit, "admin-socket", message, next)
    }
}

/// A bound administration socket. Its file goes when the value does.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    file: SocketFile,
    /// Whose processes are admitted, besides root's.
    user: u32,
}

/// Removes the socket's file when dropped, so that an orderly end leaves nothing stale.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A file left behind is replaced at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

impl AdminSocket {
    /// Binds `directory/admin.sock`. Hold the directory's lock (`StateDir`): it keeps two servers from judging the same
    /// old socket at once. A socket on which nobody answers is replaced, a living one refused.
    pub async fn bind(directory: &Path) -> Result<Self, AdminError> {
        Self::bind_beside(directory, SOCKET).await
    }

    /// As `bind`, under another name: a socket of its own for a part of what the server does.
    pub async fn bind_beside(directory: &Path, name: &str) -> Result<Self, AdminError> {
        // Between bind and chmod only the directory's mode keeps others out.
        state::check_private(directory)?;
        Self::bound(directory.join(name), 0o600, rustix::process::geteuid().as_raw()).await
    }

    /// A socket for the processes of another user: anybody may connect who reaches its directory, and whoever is neither
    /// that user nor root is turned away unheard.
    pub async fn bind_for(path: &Path, user: u32) -> Result<Self, AdminError> {
        Self::bound(path.to_owned(), 0o666, user).await
    }

    async fn bound(path: PathBuf, mode: u32, user: u32) -> Result<Self, AdminError> {
        remove_stale(&path).await?;
        let failed = |action| {
            let path = path.clone();
            move |source| AdminError::Io { action, path, source }
        };
        let listener = UnixListener::bind(&path).map_err(failed("bind"))?;
        let file = SocketFile(path.clone());
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed("set the mode of"))?;
        Ok(Self { listener, file, user })
    }

    /// Serves `router` to processes of its user and of root until `shutdown`. Axum's extractors take bodies up to 2 MB
    /// (`DefaultBodyLimit` on a route changes that); a handler that takes the streaming `Body` bounds it itself. A
    /// request may take as long as it needs.
    pub async fn serve(self, router: Router, shutdown: Shutdown) {
        let limits = Limits { body: None, request: None, write: None, connections: 64, ..Limits::default() };
        let gate = Gate { listener: self.listener, user: self.user };
        connection::run(gate, router, limits, shutdown).await;
        drop(self.file);
    }
}

async fn remove_stale(path: &Path) -> Result<(), AdminError> {
    let failed = |action, source| AdminError::Io { action, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("read", source)),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(AdminError::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(AdminError::Living { path: path.to_owned() }),
        // Only this says that nobody listens; a full queue, for one, is a living server's.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| failed("remove", source))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(AdminError::Living { path: path.to_owned() }),
        Err(source) => Err(failed("reach", source)),
    }
}

struct Gate {
    listener: UnixListener,
    user: u32,
}

impl Door for Gate {
    type Raw = UnixStream;
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    async fn greet(&self, stream: UnixStream) -> io::Result<(UnixStream, Caller)> {
        let user = stream.peer_cred()?.uid();
        if !admitted(user, self.user) {
            tracing::warn!(user, "a foreign user tried the administration socket");
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok((stream, Caller { user: Some(user), ..Caller::default() }))
    }
}

/// Root may read the socket's memory anyway; refusing it would only hinder the operator.
fn admitted(peer: u32, server: u32) -> bool {
    peer == server || peer == 0
}

#[cfg(test)]
mod tests;
