//! Bodies of requests and answers, between the network and threads that may block.

use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Frame;
use runtime::exit::{Exit, Problem};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

/// Pieces of a body that wait for their reader.
const AHEAD: usize = 4;
/// A caller that sends nothing for so long has gone.
const SILENCE: Duration = Duration::from_secs(30);
/// The window that a compressed body may ask for, as a power of two: 8 MiB.
const WINDOW: u32 = 23;
/// Bytes of a download sent at once.
const CHUNK: usize = 64 << 10;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        // spec: rfc9110#8.4 each field is a coding more, and rows have one at most
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        match (codings.next().map(|value| value.as_bytes().to_ascii_lowercase()).as_deref(), codings.next()) {
            (None | Some(b"identity"), None) => Ok(Self::Identity),
            (Some(b"gzip" | b"x-gzip"), None) => Ok(Self::Gzip),
            (Some(b"zstd"), None) => Ok(Self::Zstd),
            _ => Err(Problem::new(Exit::Usage, "content-encoding", "rows come as they are, or packed once, by gzip or zstd", "pack them so, or not at all")),
        }
    }

    /// What it unpacks to is bounded by whoever reads: it gives as many octets as are asked for.
    pub fn reader(self, body: Incoming) -> Result<Box<dyn Read>, Problem> {
        let failed = |error: io::Error| Problem::new(Exit::Internal, "zstd", error.to_string(), "report this");
        Ok(match self {
            Self::Identity => Box::new(body),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(body).map_err(failed)?;
                decoder.window_log_max(WINDOW).map_err(failed)?;
                Box::new(decoder)
            }
        })
    }
}

/// A body that is read in a blocking thread while the network brings it.
pub struct Incoming {
    pieces: Receiver<io::Result<Bytes>>,
    left: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.left = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.left.len());
        let taken = self.left.split_to(count);
        for (to, from) in buffer.iter_mut().zip(taken.iter()) {
            *to = *from;
        }
        Ok(count)
    }
}

/// Does `work` with a body as it comes.
pub async fn taken<T: Send + 'static>(mut body: Body, work: impl FnOnce(Incoming) -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let (sender, pieces) = channel(AHEAD);
    let feed = async move {
        loop {
            let piece = match timeout(SILENCE, body.frame()).await {
                Ok(None) => return,
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Ok(data),
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => Err(io::Error::new(io::ErrorKind::ConnectionReset, error.to_string())),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing came for {} s", SILENCE.as_secs()))),
            };
            let last = piece.is_err();
            // Whoever reads has ended before the body: with a refusal, which is the answer.
            if sender.send(piece).await.is_err() || last {
                return;
            }
        }
    };
    let worked = runtime::request::spawn_blocking(move || work(Incoming { pieces, left: Bytes::new() }));
    let ((), done) = tokio::join!(feed, worked);
    done.map_err(|error| Problem::new(Exit::Internal, "push", error.to_string(), "report this with the log"))?
}

/// A file that `write` makes in the service's directory, opened, and without a name any more.
pub fn made(directory: &Path, write: impl FnOnce(&Path) -> Result<(), Problem>) -> Result<std::fs::File, Problem> {
    let failed = |error: io::Error| Problem::new(Exit::Unavailable, "file", error.to_string(), "look at the disk of the gateway, then ask again");
    let number: [u8; 8] = runtime_number()?;
    let path = directory.join(format!("download-{}.tmp", crate::hex(&number)));
    let written = write(&path);
    let opened = written.and_then(|()| std::fs::File::open(&path).map_err(failed));
    let _ = std::fs::remove_file(&path);
    opened
}

fn runtime_number() -> Result<[u8; 8], Problem> {
    let mut number = [0; 8];
    let drawn = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut number);
    drawn.map(|()| number).map_err(|_| Problem::new(Exit::Unavailable, "randomness", "the system gave no randomness", "look at the host"))
}

/// The file as a body, read as fast as the caller takes it.
pub fn sent(file: std::fs::File) -> Body {
    Body::new(Outgoing { file: tokio::fs::File::from_std(file), buffer: vec![0; CHUNK] })
}

struct Outgoing {
    file: tokio::fs::File,
    buffer: Vec<u8>,
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let mut buffer = tokio::io::ReadBuf::new(&mut this.buffer);
        match std::task::ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut this.file), context, &mut buffer)) {
            Err(error) => Poll::Ready(Some(Err(error))),
            Ok(()) if buffer.filled().is_empty() => Poll::Ready(None),
            Ok(()) => Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(buffer.filled()))))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn rows_are_packed_once_or_not_at_all() {
        let of = |codings: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            Encoding::of(&headers).ok()
        };
        assert_eq!([of(&[]), of(&["identity"]), of(&["GZip"]), of(&["zstd"])], [Some(Encoding::Identity), Some(Encoding::Identity), Some(Encoding::Gzip), Some(Encoding::Zstd)]);
        assert_eq!([of(&["br"]), of(&["gzip, zstd"]), of(&["gzip", "zstd"]), of(&["identity", "gzip"])], [None; 4]);
    }
}
