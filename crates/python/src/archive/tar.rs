//! A strict walk through tar files (POSIX.1 `pax` interchange format with its `ustar` base, and the GNU
//! extension for long names).
//!
//! The walk is written out here, and not left to a general reader, for two reasons: a general reader collects
//! long names into memory before anybody can look at their size, and tar readers are known to disagree about
//! sizes and names that are given twice. What is ambiguous is refused.

mod block;
mod pax;

use std::io::{self, Read, Seek};

use flate2::bufread::GzDecoder;

pub(super) use self::block::is_header;
use self::block::{BLOCK_BYTES, Block};
use self::pax::Extended;
use super::budget::Budget;
use super::path;
use super::source::Source;
use super::{BUFFER_BYTES, archive_fault};
use crate::{Refused, excerpt};

/// The largest extended header, in bytes. They carry names, and sometimes file attributes of one system.
const MOST_EXTENDED_BYTES: u64 = 1024 * 1024;

/// What a member of the archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file with content.
    File,
    /// A directory.
    Directory,
    /// Another name for the member with this path, counted from the root of the archive.
    HardLink(String),
    /// A symbolic link with this target.
    SymbolicLink(String),
}

/// A member of the archive.
#[derive(Debug)]
pub(super) struct Member {
    /// The path, which is safe and does not end in `/`.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: Kind,
    /// The size of the content in bytes; zero if it is not a file.
    pub(super) size: u64,
}

/// A gzipped tar file on its way through the reader.
pub(super) struct Archive<R> {
    decoder: GzDecoder<Source<R>>,
    budget: Budget,
    name_limit: usize,
    /// What is left of the content of the current member, and the zeros that fill its last block.
    content_left: u64,
    padding_left: u64,
    buffer: Box<[u8]>,
}

impl<R: Read + Seek> Archive<R> {
    /// Begins to read the gzipped tar file in `source`.
    pub(super) fn new(mut source: Source<R>, budget: Budget, name_limit: usize) -> Result<Self, Refused> {
        source.go_to(0)?;
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        let decoder = GzDecoder::new(source);
        Ok(Self { decoder, budget, name_limit, content_left: 0, padding_left: 0, buffer })
    }

    /// The next member, or nothing after the last one. What is left of the content of the member before is
    /// passed over. Nothing is returned only if the rest of the file is as it should be.
    pub(super) fn next(&mut self) -> Result<Option<Member>, Refused> {
        self.pass_over_content()?;
        let mut long_name = None;
        let mut long_link = None;
        let mut extended = None;
        loop {
            let Some(block) = self.take_header()? else {
                if long_name.is_some() || long_link.is_some() || extended.is_some() {
                    return Err(refused("it ends after an extended header"));
                }
                self.check_end()?;
                return Ok(None);
            };
            if matches!(block.type_flag(), b'L' | b'K' | b'x' | b'g') && !block.may_be_extended() {
                // Some readers go by the flag alone, for others this is a file.
                return Err(refused("an extended header is of a format without them"));
            }
            match block.type_flag() {
                b'L' => put_once(&mut long_name, self.take_long_name(&block)?)?,
                b'K' => put_once(&mut long_link, self.take_long_name(&block)?)?,
                b'x' => put_once(&mut extended, Extended::parse(&self.take_extended(&block)?)?)?,
                // Some readers give the name in front to the global header, others to the member.
                b'g' if long_name.is_some() || long_link.is_some() || extended.is_some() => {
                    return Err(refused("a global extended header comes between a member and its own"));
                }
                b'g' => Extended::parse(&self.take_extended(&block)?)?.check_global()?,
                _ => {
                    let extended: Extended = extended.unwrap_or_default();
                    let name = choose(extended.path, long_name)?;
                    let link = choose(extended.link_path, long_link)?;
                    return self.begin_member(&block, name, link, extended.size).map(Some);
                }
            }
        }
    }

    /// The whole content of the current member, whose size the caller has found acceptable.
    pub(super) fn take_content(&mut self) -> Result<Vec<u8>, Refused> {
        let mut content = Vec::new();
        while self.content_left > 0 {
            let piece = self.take_piece()?;
            content.extend_from_slice(&self.buffer[..piece]);
        }
        Ok(content)
    }

    fn begin_member(
        &mut self,
        block: &Block,
        name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        extended_size: Option<u64>,
    ) -> Result<Member, Refused> {
        let name = match name {
            Some(name) => name,
            None => block.name().map_err(refused)?,
        };
        let name = path::text(&name, self.name_limit).map_err(refused)?;
        path::check(name)?;
        let shown = excerpt(name);
        let link = long_link.unwrap_or_else(|| block.link());
        let link_text = || path::text(&link, self.name_limit).map(str::to_owned).map_err(refused);
        let kind = match block.type_flag() {
            // The oldest format has no flag for directories.
            0 if name.ends_with('/') => Kind::Directory,
            b'0' | 0 | b'7' if !name.ends_with('/') => Kind::File,
            b'5' => Kind::Directory,
            b'1' => Kind::HardLink(link_text()?),
            b'2' => Kind::SymbolicLink(link_text()?),
            b'3' | b'4' | b'6' => return Err(refused(format!("'{shown}' is a device or a pipe"))),
            b'S' => return Err(refused(format!("'{shown}' is a sparse file; pack it without `--sparse`"))),
            _ => return Err(refused(format!("'{shown}' is not a file, a directory or a link"))),
        };
        let size = block.size().and_then(|size| agree(size, extended_size)).ok_or_else(|| {
            refused(format!("the size of '{shown}' is malformed or given twice with different values"))
        })?;
        if kind != Kind::File && size != 0 {
            return Err(refused(format!("'{shown}' is not a file and has content")));
        }
        self.begin_content(size);
        Ok(Member { path: name.strip_suffix('/').unwrap_or(name).to_owned(), kind, size })
    }

    fn begin_content(&mut self, size: u64) {
        self.content_left = size;
        let block = BLOCK_BYTES as u64;
        self.padding_left = (block - size % block) % block;
    }

    /// The next header, or nothing if the archive ends here.
    fn take_header(&mut self) -> Result<Option<Block>, Refused> {
        let mut bytes = [0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.read_some(filled, &mut bytes)? {
                0 => return Err(refused("it is truncated, its end is missing; build and upload it again")),
                read => filled += read,
            }
        }
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        Block::parse(&bytes).map(Some).ok_or_else(|| {
            refused("the file is not a tar archive, or a header in it is damaged; build and upload it again")
        })
    }

    fn take_long_name(&mut self, block: &Block) -> Result<Vec<u8>, Refused> {
        // The name ends in a zero byte.
        let limit = self.name_limit as u64 + 1;
        let size = block
            .size()
            .filter(|&size| size <= limit)
            .ok_or_else(|| refused(format!("an entry name is longer than {} bytes", self.name_limit)))?;
        self.begin_content(size);
        let mut name = self.take_content()?;
        self.pass_over_content()?;
        let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        // Some readers cut the name at the first zero, others take only the last one away.
        if length + 1 < name.len() {
            return Err(refused("an entry name holds a control character"));
        }
        name.truncate(length);
        Ok(name)
    }

    fn take_extended(&mut self, block: &Block) -> Result<Vec<u8>, Refused> {
        let size = block.size().filter(|&size| size <= MOST_EXTENDED_BYTES).ok_or_else(|| {
            refused(format!("an extended header is larger than {MOST_EXTENDED_BYTES} bytes"))
        })?;
        self.begin_content(size);
        let records = self.take_content()?;
        self.pass_over_content()?;
        Ok(records)
    }

    fn pass_over_content(&mut self) -> Result<(), Refused> {
        while self.content_left > 0 {
            self.take_piece()?;
        }
        self.content_left = std::mem::take(&mut self.padding_left);
        while self.content_left > 0 {
            self.take_piece()?;
        }
        Ok(())
    }

    /// Reads some of the content that is left into the buffer.
    fn take_piece(&mut self) -> Result<usize, Refused> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let wanted = usize::try_from(self.content_left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.read_some(0, &mut buffer[..wanted]);
        self.buffer = buffer;
        match read? {
            0 => Err(refused("it is truncated in the middle of a file; build and upload it again")),
            read => {
                self.content_left -= read as u64;
                Ok(read)
            }
        }
    }

    /// Checks that nothing but zeros follows in the tar file, and nothing at all behind the gzip stream.
    fn check_end(&mut self) -> Result<(), Refused> {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.read_some(0, &mut buffer)? {
                0 => break,
                read if buffer[..read].iter().all(|&byte| byte == 0) => {}
                _ => return Err(refused("data follows the end of the archive")),
            }
        }
        self.buffer = buffer;
        let source = self.decoder.get_ref();
        if source.position() != source.size() {
            return Err(refused(
                "data follows the gzip stream (it must be one gzip member and nothing else)",
            ));
        }
        Ok(())
    }

    /// Reads expanded bytes into `into`, from `from` on; zero at the end of the gzip stream.
    fn read_some(&mut self, from: usize, into: &mut [u8]) -> Result<usize, Refused> {
        loop {
            match self.decoder.read(&mut into[from..]) {
                Ok(read) => {
                    self.budget.spend(read as u64).map_err(|exhausted| refused(exhausted.to_string()))?;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.decoder.get_ref().failed() => return Err(Refused::Io(error)),
                Err(_) => return Err(refused("its gzip stream is damaged; build and upload it again")),
            }
        }
    }
}

/// Keeps an extended header, of which a member has at most one of a kind.
fn put_once<T>(kept: &mut Option<T>, new: T) -> Result<(), Refused> {
    if kept.replace(new).is_some() {
        return Err(refused("a member has two extended headers of one kind"));
    }
    Ok(())
}

/// Of the two formats for long names, a member may use one.
fn choose(extended: Option<Vec<u8>>, long: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Refused> {
    match (extended, long) {
        (Some(_), Some(_)) => Err(refused("a member has two long names")),
        (extended, long) => Ok(extended.or(long)),
    }
}

/// The size of a member whose header says `header` and whose extended header may say something as well. A
/// header has room for eleven octal digits; writers put zero there if the size has more.
fn agree(header: u64, extended: Option<u64>) -> Option<u64> {
    const FIRST_THAT_DOES_NOT_FIT: u64 = 1 << 33;
    match extended {
        None => Some(header),
        Some(extended) if extended == header => Some(header),
        Some(extended) if header == 0 && extended >= FIRST_THAT_DOES_NOT_FIT => Some(extended),
        Some(_) => None,
    }
}

/// A refusal of the file as a tar archive.
pub(super) fn refused(reason: impl std::fmt::Display) -> Refused {
    archive_fault(format!("tar archive not accepted: {reason}"))
}

#[cfg(test)]
mod agreement;
