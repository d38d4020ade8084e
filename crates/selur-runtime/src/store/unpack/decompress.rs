//! Decompression of layers: gzip, zstd or none, as the first bytes say.

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, BufReader, Read};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Source: RFC 8878, section 3.1.1. Of a skippable frame the first byte varies in its lower half.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// What a zstd frame may make us hold in memory. Source: RFC 8878, section 3.1.1.1.2 recommends at least 8 MiB; the
/// highest level of `zstd` without `--ultra` needs 8 MiB, `--long` 128 MiB.
const MAX_WINDOW_BYTES: u64 = 128 << 20;

/// How a tar stream is packed, as its first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub(in super::super) fn of(beginning: &[u8]) -> Packing {
        if beginning.starts_with(&GZIP_MAGIC) {
            Packing::Gzip
        } else if beginning.starts_with(&ZSTD_MAGIC) || is_skippable(beginning) {
            Packing::Zstd
        } else {
            Packing::Plain
        }
    }
}

/// Reads the plain tar stream of a layer or an archive.
pub(crate) fn decompressed<R: BufRead + 'static>(mut blob: R) -> io::Result<Box<dyn Read>> {
    let beginning = blob.fill_buf()?;
    Ok(match Packing::of(beginning) {
        Packing::Gzip => Box::new(MultiGzDecoder::new(blob)),
        Packing::Zstd => Box::new(ZstdFrames::new(blob)),
        Packing::Plain => Box::new(BufReader::new(blob)),
    })
}

fn is_skippable(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|byte| byte & 0xf0 == 0x50) && bytes.get(1..4) == Some(&ZSTD_SKIPPABLE[..])
}

/// All frames of a zstd stream, one after the other: parallel compressors write several, and some tools append
/// skippable ones.
struct ZstdFrames<R> {
    source: R,
    decoder: FrameDecoder,
    is_within_frame: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(source: R) -> ZstdFrames<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW_BYTES);
        ZstdFrames {
            source,
            decoder,
            is_within_frame: false,
        }
    }

    /// Reads a frame's header; a skippable frame is passed over whole.
    fn begin_frame(&mut self) -> io::Result<()> {
        match self.decoder.init(&mut self.source) {
            Ok(()) => self.is_within_frame = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let length = u64::from(length);
                if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
        Ok(())
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_within_frame {
                if self.source.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.begin_frame()?;
                continue;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
            match self.decoder.read(buffer)? {
                0 => self.is_within_frame = false,
                count => return Ok(count),
            }
        }
    }
}
