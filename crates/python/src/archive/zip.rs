//! A strict walk through ZIP files (APPNOTE.TXT, and the restrictions that the packaging community has put on
//! wheels).
//!
//! The central directory is read first. Then every local header is held against its central one, and the local
//! records must fill the file from its first byte to the central directory without gap or overlap. A reader
//! that believes only the local headers and one that believes only the directory thus find the same entries.

mod directory;
mod fields;

use std::cmp::Ordering;
use std::io::{BufRead, Read, Seek};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use self::directory::End;
pub(super) use self::directory::is_also_zip;
use self::fields::Header;
use super::budget::Budget;
use super::notes::Notes;
use super::path::PathSet;
use super::source::Source;
use super::{BUFFER_BYTES, Limits, REBUILD_WHEEL, archive_fault};
use crate::{Refused, excerpt};

/// The most bytes that all names of an archive may have together: what the table of entries may cost.
const MOST_NAME_BYTES: usize = 16 * 1024 * 1024;

/// A file or a directory in the archive.
#[derive(Debug)]
pub(super) struct Entry {
    /// The path; that of a directory ends in `/`.
    pub(super) name: Box<str>,
    /// The size of the content in bytes.
    pub(super) size: u64,
    stored_size: u64,
    crc: u32,
    deflated: bool,
    flags: u16,
    header_at: u64,
    content_at: u64,
}

impl Entry {
    /// Whether this is a directory.
    pub(super) fn is_directory(&self) -> bool {
        self.name.ends_with('/')
    }

    fn path(&self) -> &str {
        self.name.strip_suffix('/').unwrap_or(&self.name)
    }
}

/// A ZIP file whose structure is sound. The content of the entries is checked as it is read.
pub(super) struct Archive<R> {
    source: Source<R>,
    /// In the order of the file.
    entries: Vec<Entry>,
    /// Positions in `entries`, in the order of the paths.
    by_path: Vec<u32>,
    inflater: Decompress,
    buffer: Box<[u8]>,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the structure of a ZIP file: the central directory and all local headers.
    pub(super) fn open(mut source: Source<R>, limits: &Limits, notes: &mut Notes) -> Result<Self, Refused> {
        let end = directory::find_end(&mut source)?;
        if end.entries > u64::from(limits.entries) {
            return Err(refused(format!("it has more than {} entries; split it", limits.entries)));
        }
        let mut entries = read_directory(&mut source, &end, limits)?;
        entries.sort_unstable_by_key(|entry| entry.header_at);
        compare_local_headers(&mut source, &end, &mut entries, limits)?;
        let by_path = order_by_path(&entries)?;
        note_collisions(&entries, notes);
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Ok(Self { source, entries, by_path, inflater: Decompress::new(false), buffer })
    }

    /// All entries, in the order in which they lie in the file.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Where in [`Self::entries`] the file `name` is.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let found =
            self.by_path.binary_search_by(|&index| self.entries[index as usize].path().cmp(name)).ok()?;
        let index = self.by_path[found] as usize;
        (!self.entries[index].is_directory()).then_some(index)
    }

    /// The whole content of an entry, whose size the caller has found acceptable.
    pub(super) fn read(&mut self, index: usize) -> Result<Vec<u8>, Refused> {
        let mut content = Vec::new();
        self.stream(index, |bytes| content.extend_from_slice(bytes))?;
        Ok(content)
    }

    /// Passes the content of an entry to `sink`, piece by piece. An error means that the content is not what
    /// the headers say, and that what `sink` got is worthless.
    pub(super) fn stream(&mut self, index: usize, sink: impl FnMut(&[u8])) -> Result<(), Refused> {
        let entry = &self.entries[index];
        self.source.go_to(entry.content_at)?;
        let mut unpacking = Unpacking { entry, left: entry.stored_size, produced: 0, crc: Crc::new(), sink };
        if entry.deflated {
            self.inflater.reset(false);
            unpacking.inflate(&mut self.source, &mut self.inflater, &mut self.buffer)?;
        } else {
            unpacking.copy(&mut self.source)?;
        }
        unpacking.finish()
    }
}

/// The content of one entry on its way out.
struct Unpacking<'a, S> {
    entry: &'a Entry,
    /// Stored bytes that are still to come.
    left: u64,
    produced: u64,
    crc: Crc,
    sink: S,
}

impl<S: FnMut(&[u8])> Unpacking<'_, S> {
    fn copy<R: Read + Seek>(&mut self, source: &mut Source<R>) -> Result<(), Refused> {
        while self.left > 0 {
            let available = source.fill_buf()?;
            let length = at_most(available, self.left).len();
            self.produce(&available[..length])?;
            source.consume(length);
            self.left -= length as u64;
        }
        Ok(())
    }

    fn inflate<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        inflater: &mut Decompress,
        buffer: &mut [u8],
    ) -> Result<(), Refused> {
        loop {
            let input = if self.left > 0 { at_most(source.fill_buf()?, self.left) } else { &[] };
            let (read_before, written_before) = (inflater.total_in(), inflater.total_out());
            let status = inflater
                .decompress(input, buffer, FlushDecompress::None)
                .map_err(|_| self.damaged("its deflate stream is corrupt"))?;
            let read = inflater.total_in() - read_before;
            // Not more than the buffer has room for, hence no loss.
            let written = usize::try_from(inflater.total_out() - written_before).unwrap_or(usize::MAX);
            source.consume(usize::try_from(read).unwrap_or(usize::MAX));
            self.left -= read;
            self.produce(&buffer[..written])?;
            if status == Status::StreamEnd {
                break;
            }
            if read == 0 && written == 0 {
                return Err(self.damaged("its deflate stream does not end"));
            }
        }
        if self.left > 0 {
            return Err(self.damaged("data follows its deflate stream"));
        }
        Ok(())
    }

    fn produce(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.produced += bytes.len() as u64;
        if self.produced > self.entry.size {
            return Err(self.damaged("it holds more than its header says"));
        }
        self.crc.update(bytes);
        (self.sink)(bytes);
        Ok(())
    }

    fn finish(self) -> Result<(), Refused> {
        if self.produced != self.entry.size {
            return Err(self.damaged("it holds less than its header says"));
        }
        if self.crc.sum() != self.entry.crc {
            return Err(self.damaged("its checksum is wrong"));
        }
        Ok(())
    }

    fn damaged(&self, reason: &str) -> Refused {
        refused(format!(
            "the entry '{}' is damaged, {reason}; build and upload it again",
            excerpt(&self.entry.name)
        ))
    }
}

fn at_most(bytes: &[u8], limit: u64) -> &[u8] {
    let length = usize::try_from(limit).map_or(bytes.len(), |limit| limit.min(bytes.len()));
    &bytes[..length]
}

/// Reads the central directory.
fn read_directory<R: Read + Seek>(
    source: &mut Source<R>,
    end: &End,
    limits: &Limits,
) -> Result<Vec<Entry>, Refused> {
    let mut budget =
        Budget::new(source.size(), limits.wheel_ratio, limits.free_expansion, limits.wheel_expanded);
    let mut name_bytes = 0;
    let mut entries = Vec::new();
    source.go_to(end.directory_at)?;
    for _ in 0..end.entries {
        let (header, central) = Header::read_central(source, end.directory_limit, limits.name_bytes)?;
        name_bytes += header.name.len();
        if name_bytes > MOST_NAME_BYTES {
            return Err(refused(format!("its entry names have more than {MOST_NAME_BYTES} bytes; split it")));
        }
        budget.spend(header.size).map_err(|exhausted| refused(exhausted.to_string()))?;
        entries.push(Entry {
            name: header.name.into_boxed_str(),
            size: header.size,
            stored_size: header.stored_size,
            crc: header.crc,
            deflated: header.deflated,
            flags: header.flags,
            header_at: central.header_at,
            content_at: 0,
        });
    }
    if source.position() != end.directory_limit {
        return Err(refused(format!("its central directory has more entries than it says; {REBUILD_WHEEL}")));
    }
    Ok(entries)
}

/// Holds every local header against the central one and sets `content_at`. `entries` are in the order of the
/// file, and must fill it up to the central directory.
fn compare_local_headers<R: Read + Seek>(
    source: &mut Source<R>,
    end: &End,
    entries: &mut [Entry],
    limits: &Limits,
) -> Result<(), Refused> {
    let mut expected_at = 0;
    for entry in entries {
        let shown = excerpt(&entry.name);
        match entry.header_at.cmp(&expected_at) {
            Ordering::Less => return Err(refused(format!("the entry '{shown}' overlaps another"))),
            Ordering::Greater => {
                return Err(refused(format!("data that no entry accounts for lies before '{shown}'")));
            }
            Ordering::Equal => {}
        }
        source.go_to(entry.header_at)?;
        let local = Header::read_local(source, end.directory_at, limits.name_bytes)?;
        let difference = if *local.name != *entry.name {
            Some("name")
        } else if local.size != entry.size || local.stored_size != entry.stored_size {
            Some("size")
        } else if local.crc != entry.crc {
            Some("checksum")
        } else if local.deflated != entry.deflated {
            Some("compression")
        } else if local.flags != entry.flags {
            Some("flags")
        } else {
            None
        };
        if let Some(difference) = difference {
            return Err(refused(format!(
                "the {difference} of the entry '{shown}' differs between its local header and the central \
                 directory; {REBUILD_WHEEL}"
            )));
        }
        entry.content_at = source.position();
        expected_at = entry
            .content_at
            .checked_add(entry.stored_size)
            .filter(|&content_end| content_end <= end.directory_at)
            .ok_or_else(|| refused(format!("the entry '{shown}' reaches into the central directory")))?;
    }
    if expected_at != end.directory_at {
        return Err(refused("data that no entry accounts for lies before the central directory"));
    }
    Ok(())
}

fn order_by_path(entries: &[Entry]) -> Result<Vec<u32>, Refused> {
    let count = u32::try_from(entries.len()).map_err(|_| refused("it has too many entries"))?;
    let mut by_path: Vec<u32> = (0..count).collect();
    by_path.sort_unstable_by_key(|&index| entries[index as usize].path());
    for pair in by_path.windows(2) {
        let path = entries[pair[0] as usize].path();
        if path == entries[pair[1] as usize].path() {
            return Err(refused(format!("it holds '{}' twice; {REBUILD_WHEEL}", excerpt(path))));
        }
    }
    Ok(by_path)
}

fn note_collisions(entries: &[Entry], notes: &mut Notes) {
    let mut seen = PathSet::default();
    for entry in entries {
        if !seen.insert(&entry.path().to_lowercase()) {
            notes.add(|| {
                format!(
                    "the path '{}' differs from another only in upper and lower case",
                    excerpt(entry.path())
                )
            });
        }
    }
}

/// A refusal of the file as a ZIP archive.
fn refused(reason: impl std::fmt::Display) -> Refused {
    archive_fault(format!("ZIP archive not accepted: {reason}"))
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
