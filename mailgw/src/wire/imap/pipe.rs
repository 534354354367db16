//! A connection that may come to be compressed. spec: rfc4978

use std::io;
use std::sync::Arc;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use protocol::sasl::Offer;
use rustls::ServerConfig;
use tokio::sync::OwnedSemaphorePermit;

use crate::wire::accounts::Ways;
use crate::wire::stream::Stream;

/// Octets read of the connection at once, and those that are compressed before they go out.
const INPUT: usize = 16 * 1024;
const OUTPUT: usize = 32 * 1024;

pub(super) struct Pipe {
    stream: Stream,
    deflate: Option<Box<Deflate>>,
}

/// What both directions remember: some 300 KiB, so that only so many connections have it.
struct Deflate {
    inflate: Decompress,
    deflate: Compress,
    /// Read, and not inflated yet from `at` on.
    input: Vec<u8>,
    at: usize,
    _place: OwnedSemaphorePermit,
}

impl Pipe {
    pub fn new(stream: Stream) -> Self {
        Self { stream, deflate: None }
    }

    pub async fn upgrade(self, config: Arc<ServerConfig>, limit: Duration) -> io::Result<Self> {
        Ok(Self { stream: self.stream.upgrade(config, limit).await?, deflate: self.deflate })
    }

    /// What who logs in over it is offered.
    pub fn offer(&self, ways: Ways) -> Offer {
        self.stream.offer(ways)
    }

    /// What the client showed, its own certificate first.
    pub fn certificates(&self) -> Vec<Vec<u8>> {
        self.stream.certificates()
    }

    /// From here on both directions are compressed.
    pub fn compress(&mut self, place: OwnedSemaphorePermit) {
        let (inflate, deflate) = (Decompress::new(false), Compress::new(Compression::fast(), false));
        self.deflate = Some(Box::new(Deflate { inflate, deflate, input: Vec::new(), at: 0, _place: place }));
    }

    /// Giving up waiting loses nothing. However much a few octets may become, no more than the buffer holds is made of them at once.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(deflate) = &mut self.deflate else { return self.stream.read(buffer).await };
        loop {
            let count = deflate.inflated(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            let mut input = vec![0; INPUT];
            let count = self.stream.read(&mut input).await?;
            if count == 0 {
                return Ok(0);
            }
            input.truncate(count);
            (deflate.input, deflate.at) = (input, 0);
        }
    }

    pub async fn write(&mut self, bytes: &[u8], limit: Duration) -> io::Result<()> {
        let Some(deflate) = &mut self.deflate else { return self.stream.write(bytes, limit).await };
        for piece in bytes.chunks(OUTPUT) {
            let packed = deflate.deflated(piece)?;
            self.stream.write(&packed, limit).await?;
        }
        Ok(())
    }

    pub async fn close(&mut self, limit: Duration) {
        self.stream.close(limit).await;
    }
}

impl Deflate {
    /// 0: more input is needed.
    fn inflated(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (read, made) = (self.inflate.total_in(), self.inflate.total_out());
        let input = self.input.get(self.at..).unwrap_or_default();
        let status = self.inflate.decompress(input, buffer, FlushDecompress::None).map_err(io::Error::other)?;
        self.at += usize::try_from(self.inflate.total_in() - read).unwrap_or(usize::MAX);
        let count = usize::try_from(self.inflate.total_out() - made).unwrap_or(0);
        if count == 0 && status == Status::StreamEnd {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(count)
    }

    /// Whole: the other end can read all of it. spec: rfc4978#3
    fn deflated(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        let (begun, mut packed) = (self.deflate.total_in(), Vec::with_capacity(piece.len() / 2 + 64));
        loop {
            let taken = usize::try_from(self.deflate.total_in() - begun).unwrap_or(usize::MAX);
            let rest = piece.get(taken..).unwrap_or_default();
            self.deflate.compress_vec(rest, &mut packed, FlushCompress::Sync).map_err(io::Error::other)?;
            // Room that is left says that all is out.
            if packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(packed.capacity().max(1_024));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;
    use tokio::sync::Semaphore;

    use super::*;

    fn end() -> Deflate {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Deflate { inflate: Decompress::new(false), deflate: Compress::new(Compression::fast(), false), input: Vec::new(), at: 0, _place: place }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(pieces in prop::collection::vec((any::<u8>(), 0_usize..70_000, any::<bool>()), 1..8), room in 1_usize..5_000) {
            let (mut here, mut there) = (end(), end());
            for (byte, length, noise) in pieces {
                let piece: Vec<u8> = (0..length).map(|at| if noise { (at.wrapping_mul(2_654_435_761) >> 13) as u8 } else { byte }).collect();
                let (mut got, mut buffer) = (Vec::new(), vec![0; room]);
                (there.input, there.at) = (here.deflated(&piece).unwrap(), 0);
                loop {
                    let count = there.inflated(&mut buffer).unwrap();
                    if count == 0 {
                        break;
                    }
                    got.extend_from_slice(&buffer[..count]);
                }
                prop_assert_eq!(got, piece);
            }
        }
    }

    #[test]
    fn what_is_no_deflate_is_an_error_and_a_bomb_is_opened_piece_by_piece() {
        let mut broken = end();
        broken.input = vec![0xff; 64];
        assert!(broken.inflated(&mut [0; 64]).is_err());
        let mut bomb = end();
        let (mut here, zeros) = (end(), vec![b'x'; 10 << 20]);
        bomb.input = here.deflated(&zeros).unwrap();
        assert!(bomb.input.len() < 256 << 10);
        assert_eq!(bomb.inflated(&mut [0; 1_024]).unwrap(), 1_024);
        assert!(bomb.at < bomb.input.len());
    }
}
