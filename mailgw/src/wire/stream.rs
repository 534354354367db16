//! A connection in clear or under TLS, with a bound on how long the other end may take.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use protocol::sasl::Offer;
use rustls::{ProtocolVersion, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::accounts::Ways;

/// Octets written before the clock of a slow reader starts anew.
const PIECE: usize = 64 * 1024;

pub(super) enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// From a process of this machine.
    Local(UnixStream),
}

impl Stream {
    /// Begins TLS on a connection in clear.
    pub async fn upgrade(self, config: Arc<ServerConfig>, limit: Duration) -> io::Result<Self> {
        match self {
            Self::Clear(stream) => {
                // A handshake's future is large, and a connection should be small when it waits.
                let handshake = Box::pin(TlsAcceptor::from(config).accept(stream));
                let stream = timeout(limit, handshake).await.map_err(|_| io::ErrorKind::TimedOut)??;
                Ok(Self::Tls(Box::new(stream)))
            }
            Self::Tls(_) => Err(io::Error::other("TLS stands already")),
            Self::Local(_) => Err(io::Error::other("no TLS within one machine")),
        }
    }

    /// What who logs in over it is offered.
    pub fn offer(&self, ways: Ways) -> Offer {
        let Self::Tls(stream) = self else { return Offer::default() };
        let (_, session) = stream.get_ref();
        // spec: rfc9266#4 before TLS 1.3 the exporter alone binds nothing
        let binds = ways.scram_plus && session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let binding = if binds { session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).ok() } else { None };
        let certificate = ways.certificate && session.peer_certificates().is_some_and(|shown| !shown.is_empty());
        Offer { scram: ways.scram, binding, certificate, token: ways.token }
    }

    /// What the client showed, its own certificate first.
    pub fn certificates(&self) -> Vec<Vec<u8>> {
        let Self::Tls(stream) = self else { return Vec::new() };
        stream.get_ref().1.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect()
    }

    /// Giving up waiting loses nothing.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
            Self::Local(stream) => stream.read(buffer).await,
        }
    }

    /// `limit` is for each piece: whoever reads on is waited for.
    pub async fn write(&mut self, bytes: &[u8], limit: Duration) -> io::Result<()> {
        for piece in bytes.chunks(PIECE) {
            let written = async {
                match self {
                    Self::Clear(stream) => stream.write_all(piece).await,
                    Self::Local(stream) => stream.write_all(piece).await,
                    Self::Tls(stream) => {
                        stream.write_all(piece).await?;
                        stream.flush().await
                    }
                }
            };
            timeout(limit, written).await.map_err(|_| io::ErrorKind::TimedOut)??;
        }
        Ok(())
    }

    pub async fn close(&mut self, limit: Duration) {
        let closed = async {
            match self {
                Self::Clear(stream) => stream.shutdown().await,
                Self::Local(stream) => stream.shutdown().await,
                Self::Tls(stream) => stream.shutdown().await,
            }
        };
        // What was promised is sent; a peer that is gone already is no matter.
        let _ = timeout(limit, closed).await;
    }
}
