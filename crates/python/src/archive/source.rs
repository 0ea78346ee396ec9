//! The bytes of an uploaded file.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::BUFFER_BYTES;

/// A file of known size that is read in pieces.
///
/// Errors of the storage beneath are remembered, so that they are never taken for damage to the archive, even
/// when they pass through a decoder that reports its own errors in the same type.
pub(super) struct Source<R> {
    reader: BufReader<R>,
    size: u64,
    position: u64,
    failed: bool,
}

impl<R: Read + Seek> Source<R> {
    /// The `size` bytes of `reader`, from its beginning.
    pub(super) fn new(mut reader: R, size: u64) -> io::Result<Self> {
        reader.seek(SeekFrom::Start(0))?;
        Ok(Self { reader: BufReader::with_capacity(BUFFER_BYTES, reader), size, position: 0, failed: false })
    }

    /// The size of the file in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Where the next byte comes from.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether the storage beneath has failed.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Goes to `position`, which lies within the file.
    pub(super) fn go_to(&mut self, position: u64) -> io::Result<()> {
        // A relative move keeps the buffer when the target lies in it, as it does from one small entry to the
        // next.
        let moved = match i64::try_from(i128::from(position) - i128::from(self.position)) {
            Ok(distance) => self.reader.seek_relative(distance),
            Err(_) => self.reader.seek(SeekFrom::Start(position)).map(drop),
        };
        self.failed |= moved.is_err();
        moved?;
        self.position = position;
        Ok(())
    }

    /// The next `LENGTH` bytes, which lie within the file.
    pub(super) fn take_array<const LENGTH: usize>(&mut self) -> io::Result<[u8; LENGTH]> {
        let mut bytes = [0; LENGTH];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read + Seek> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.size.saturating_sub(self.position);
        if left == 0 {
            return Ok(&[]);
        }
        match self.reader.fill_buf() {
            Ok([]) => {
                self.failed = true;
                Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the stored file is shorter than its recorded size",
                ))
            }
            Ok(bytes) => {
                let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                Ok(&bytes[..length])
            }
            Err(error) => {
                self.failed |= error.kind() != io::ErrorKind::Interrupted;
                Err(error)
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
        self.position += amount as u64;
    }
}

impl<R: Read + Seek> Read for Source<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(into.len());
        into[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn nothing_beyond_the_size_is_read() {
        let mut source = Source::new(Cursor::new(b"abcdef"), 4).unwrap();
        let mut text = String::new();
        source.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), source.position(), source.failed()), ("abcd", 4, false));
    }

    #[test]
    fn a_shorter_file_is_a_failure_of_the_storage() {
        let mut source = Source::new(Cursor::new(b"ab"), 4).unwrap();
        assert_eq!(source.take_array::<4>().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(source.failed());
    }

    #[test]
    fn goes_back_and_forth() {
        let mut source = Source::new(Cursor::new(b"abcdef"), 6).unwrap();
        source.go_to(4).unwrap();
        assert_eq!(source.take_array::<2>().unwrap(), *b"ef");
        source.go_to(1).unwrap();
        assert_eq!(source.take_array::<2>().unwrap(), *b"bc");
        assert_eq!(source.position(), 3);
    }
}
