//! LMTP for neighbours: mail servers and list managers of this machine, which answer for what they bring. Who may reach the socket's
//! directory, or this machine's loopback, is a neighbour.
// spec: rfc2033

use std::fs::Permissions;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime::shutdown::Shutdown;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Door, Server};
use crate::wire::stream::Stream;

/// Where neighbours come: a socket's path, or an address of this machine alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    Socket(PathBuf),
    Loopback(SocketAddr),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error("{0} is not on this machine's loopback; LMTP asks nobody who they are, so give unix:/PATH or 127.0.0.1:PORT")]
    NotLocal(SocketAddr),
    #[error("give unix:/PATH, which is absolute, or 127.0.0.1:PORT")]
    Form,
}

impl std::str::FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Socket(path.into())) } else { Err(PlaceError::Form) };
        }
        let address: SocketAddr = text.parse().map_err(|_| PlaceError::Form)?;
        if address.ip().to_canonical().is_loopback() { Ok(Self::Loopback(address)) } else { Err(PlaceError::NotLocal(address)) }
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, PlaceError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        match place {
            Place::Socket(path) => format!("unix:{}", path.display()),
            Place::Loopback(address) => address.to_string(),
        }
    }
}

/// A place that is listened at. A socket is removed when it ends.
pub enum Listener {
    Socket(UnixListener, PathBuf),
    Loopback(TcpListener),
}

impl Listener {
    pub async fn bind(place: &Place) -> io::Result<Self> {
        match place {
            Place::Loopback(address) => Ok(Self::Loopback(TcpListener::bind(address).await?)),
            Place::Socket(path) => {
                // One that a killed server left behind is in the way; nothing else is removed.
                if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                    if std::os::unix::net::UnixStream::connect(path).is_ok() {
                        return Err(io::ErrorKind::AddrInUse.into());
                    }
                    std::fs::remove_file(path)?;
                }
                let listener = UnixListener::bind(path)?;
                // Its directory says who may come: a neighbour is of another user.
                std::fs::set_permissions(path, Permissions::from_mode(0o666))?;
                Ok(Self::Socket(listener, path.clone()))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Socket(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Server {
    /// As `serve`, for neighbours.
    pub async fn serve_neighbours(self: Arc<Self>, listener: Listener, shutdown: Shutdown) {
        let mut tasks = JoinSet::new();
        loop {
            while tasks.try_join_next().is_some() {}
            let accept = async {
                match &listener {
                    Listener::Socket(listener, _) => listener.accept().await.map(|(stream, _)| Stream::Local(stream)),
                    Listener::Loopback(listener) => {
                        let (stream, _) = listener.accept().await?;
                        stream.set_nodelay(true)?;
                        Ok(Stream::Clear(stream))
                    }
                }
            };
            let stream = tokio::select! {
                () = shutdown.wait() => break,
                accepted = accept => match accepted {
                    Ok(stream) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a neighbour's connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            tasks.spawn(Arc::clone(&self).neighbour(stream, shutdown.clone()));
        }
        drop(listener);
        if timeout(self.limits.grace, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            tasks.shutdown().await;
        }
    }

    async fn neighbour(self: Arc<Self>, mut stream: Stream, shutdown: Shutdown) {
        let peer = Ipv6Addr::LOCALHOST.into();
        match self.places.take(peer) {
            Ok(place) => self.talk(stream, place, peer, Door::StartTls, shutdown).await,
            Err(_) => {
                self.metrics.turned_away.increment();
                // It comes again by itself.
                let _ = stream.write(b"421 4.3.2 Too many connections; try again later\r\n", self.limits.linger).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn neighbours_are_on_this_machine() {
        for good in ["unix:/run/suiyin/lmtp.sock", "127.0.0.1:24", "[::1]:24"] {
            assert_eq!(String::from(good.parse::<Place>().unwrap()), good);
        }
        assert_eq!("10.0.0.1:24".parse::<Place>(), Err(PlaceError::NotLocal("10.0.0.1:24".parse().unwrap())));
        for wrong in ["unix:lmtp.sock", "", "lmtp", "0.0.0.0"] {
            assert_eq!(wrong.parse::<Place>(), Err(PlaceError::Form), "{wrong}");
        }
    }
}
