//! The header of an entry, which is written twice: before its content and in the central directory.

use std::io::{self, Read, Seek};

use super::super::source::Source;
use super::super::{REBUILD_WHEEL, path};
use super::refused;
use crate::{Refused, excerpt};

const LOCAL_SIGNATURE: &[u8; 4] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
const CENTRAL_SIGNATURE: &[u8; 4] = b"PK\x01\x02";
const CENTRAL_BYTES: usize = 46;

const FLAG_ENCRYPTED: u16 = 1;
/// Two bits in which a compressor may record its effort.
const FLAGS_EFFORT: u16 = 0b110;
const FLAG_DATA_DESCRIPTOR: u16 = 1 << 3;
const FLAG_UTF_8: u16 = 1 << 11;

const METHOD_STORED: u16 = 0;
const METHOD_DEFLATED: u16 = 8;

/// The extra field that holds the numbers that do not fit into the header.
const EXTRA_ZIP64: u16 = 0x0001;
/// The extra field that gives the entry another name than the header.
const EXTRA_UNICODE_PATH: u16 = 0x7075;

/// The largest value of a 32-bit field, which says that the number is in the ZIP64 extra field.
const WIDENED: u64 = u32::MAX as u64;

/// The file type in the upper half of the external attributes, as `stat` gives it.
const UNIX_TYPE_MASK: u32 = 0o170_000;
const UNIX_REGULAR: u32 = 0o100_000;
const UNIX_DIRECTORY: u32 = 0o040_000;

/// Little-endian numbers at the front of a record whose size was checked.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    /// The next `LENGTH` bytes.
    pub(super) fn bytes<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let (bytes, rest) = self.0.split_first_chunk().expect("the record is long enough for its fields");
        self.0 = rest;
        *bytes
    }

    /// The next two bytes as a number.
    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    /// The next four bytes as a number.
    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    /// The next eight bytes as a number.
    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
}

/// What a local header and its central header both say.
#[derive(Debug)]
pub(super) struct Header {
    /// The path, which is safe; that of a directory ends in `/`.
    pub(super) name: String,
    /// The size of the content in bytes.
    pub(super) size: u64,
    /// The size of the content in the archive, in bytes.
    pub(super) stored_size: u64,
    /// The CRC-32 of the content.
    pub(super) crc: u32,
    /// Whether the content is deflated; it is stored as it is otherwise.
    pub(super) deflated: bool,
    /// The general purpose flags.
    pub(super) flags: u16,
}

/// What only the central header says.
#[derive(Debug)]
pub(super) struct Central {
    /// Where the local header begins.
    pub(super) header_at: u64,
}

/// The fields that both headers have in the same order.
struct Common {
    flags: u16,
    method: u16,
    crc: u32,
    stored_size: u32,
    size: u32,
    name_bytes: u16,
    extra_bytes: u16,
}

impl Common {
    fn read(fields: &mut Fields) -> Self {
        let (flags, method) = (fields.u16(), fields.u16());
        let _modified = fields.u32();
        Self {
            flags,
            method,
            crc: fields.u32(),
            stored_size: fields.u32(),
            size: fields.u32(),
            name_bytes: fields.u16(),
            extra_bytes: fields.u16(),
        }
    }
}

impl Header {
    /// Reads the central header at hand, which must end at `directory_end` or before.
    pub(super) fn read_central<R: Read + Seek>(
        source: &mut Source<R>,
        directory_end: u64,
        name_limit: usize,
    ) -> Result<(Self, Central), Refused> {
        let record = take_record::<CENTRAL_BYTES, R>(source, directory_end, *CENTRAL_SIGNATURE)?;
        let mut fields = Fields(&record);
        let (_signature, _versions) = (fields.u32(), fields.u32());
        let common = Common::read(&mut fields);
        let (comment_bytes, disk, _internal) = (fields.u16(), fields.u16(), fields.u16());
        let (attributes, header_at) = (fields.u32(), fields.u32());

        let (name, extra) = take_variable(source, directory_end, &common, name_limit)?;
        let shown = excerpt(&name);
        if comment_bytes != 0 {
            return Err(refused(format!("the entry '{shown}' has a comment; {REBUILD_WHEEL}")));
        }
        if disk != 0 {
            return Err(refused(format!("the entry '{shown}' is in another part of the archive")));
        }
        if !matches!((attributes >> 16) & UNIX_TYPE_MASK, 0 | UNIX_REGULAR | UNIX_DIRECTORY) {
            return Err(refused(format!(
                "the entry '{shown}' is a link or a device; a wheel holds only files and directories"
            )));
        }
        let mut header_at = u64::from(header_at);
        let header = Self::new(name, &common, &extra, Some(&mut header_at))?;
        Ok((header, Central { header_at }))
    }

    /// Reads the local header at hand, which must end at `directory_at` or before. The content follows.
    pub(super) fn read_local<R: Read + Seek>(
        source: &mut Source<R>,
        directory_at: u64,
        name_limit: usize,
    ) -> Result<Self, Refused> {
        let record = take_record::<LOCAL_BYTES, R>(source, directory_at, *LOCAL_SIGNATURE)?;
        let mut fields = Fields(&record);
        let (_signature, _version) = (fields.u32(), fields.u16());
        let common = Common::read(&mut fields);
        let (name, extra) = take_variable(source, directory_at, &common, name_limit)?;
        Self::new(name, &common, &extra, None)
    }

    fn new(
        name: String,
        common: &Common,
        extra: &[u8],
        header_at: Option<&mut u64>,
    ) -> Result<Self, Refused> {
        let mut stored_size = u64::from(common.stored_size);
        let mut size = u64::from(common.size);
        widen(&name, extra, [Some(&mut size), Some(&mut stored_size), header_at])?;
        let shown = excerpt(&name);
        let deflated = match common.method {
            METHOD_STORED => false,
            METHOD_DEFLATED => true,
            method => {
                return Err(refused(format!(
                    "unsupported compression (method {method}) of the entry '{shown}'; use deflate or none"
                )));
            }
        };
        if !deflated && size != stored_size {
            return Err(refused(format!("the two sizes of the uncompressed entry '{shown}' differ")));
        }
        if name.ends_with('/') && size != 0 {
            return Err(refused(format!("the directory '{shown}' has content")));
        }
        Ok(Self { name, size, stored_size, crc: common.crc, deflated, flags: common.flags })
    }
}

fn check_flags(flags: u16, name: &str) -> Result<(), Refused> {
    let shown = excerpt(name);
    if flags & FLAG_ENCRYPTED != 0 {
        return Err(refused(format!("the entry '{shown}' is encrypted")));
    }
    if flags & FLAG_DATA_DESCRIPTOR != 0 {
        return Err(refused(format!(
            "the entry '{shown}' has a data descriptor (it was written as a stream); {REBUILD_WHEEL}"
        )));
    }
    if flags & !(FLAGS_EFFORT | FLAG_UTF_8) != 0 {
        return Err(refused(format!("the entry '{shown}' has the unsupported flags {flags:#06x}")));
    }
    if flags & FLAG_UTF_8 == 0 && !name.is_ascii() {
        return Err(refused(format!("the entry name '{shown}' is not marked as UTF-8; {REBUILD_WHEEL}")));
    }
    Ok(())
}

/// Takes a record of fixed size that must end at `limit` or before.
fn take_record<const LENGTH: usize, R: Read + Seek>(
    source: &mut Source<R>,
    limit: u64,
    signature: [u8; 4],
) -> Result<[u8; LENGTH], Refused> {
    let misplaced =
        || refused("an entry has no header where its header should be; build and upload it again");
    if limit.saturating_sub(source.position()) < LENGTH as u64 {
        return Err(misplaced());
    }
    let record = source.take_array::<LENGTH>()?;
    if record.starts_with(&signature) { Ok(record) } else { Err(misplaced()) }
}

/// Takes the name and the extra fields that follow a header, and checks the name and the flags.
fn take_variable<R: Read + Seek>(
    source: &mut Source<R>,
    limit: u64,
    common: &Common,
    name_limit: usize,
) -> Result<(String, Vec<u8>), Refused> {
    let length = u64::from(common.name_bytes) + u64::from(common.extra_bytes);
    if limit.saturating_sub(source.position()) < length {
        return Err(refused("the header of an entry is cut off; build and upload it again"));
    }
    let name = take_bytes(source, common.name_bytes)?;
    let extra = take_bytes(source, common.extra_bytes)?;
    let name = path::text(&name, name_limit).map_err(refused)?;
    path::check(name)?;
    check_flags(common.flags, name)?;
    Ok((name.to_owned(), extra))
}

fn take_bytes<R: Read + Seek>(source: &mut Source<R>, length: u16) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(length)];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Replaces the numbers that did not fit into the header by those in the ZIP64 extra field, which must hold
/// exactly them. All extra fields must be whole, and none may rename the entry.
fn widen(name: &str, mut extra: &[u8], numbers: [Option<&mut u64>; 3]) -> Result<(), Refused> {
    let shown = excerpt(name);
    let mut zip64 = None;
    while !extra.is_empty() {
        let damaged = || refused(format!("the extra fields of the entry '{shown}' are damaged"));
        let (head, rest) = extra.split_first_chunk::<4>().ok_or_else(damaged)?;
        let mut fields = Fields(head);
        let (kind, length) = (fields.u16(), fields.u16());
        let (value, rest) = rest.split_at_checked(usize::from(length)).ok_or_else(damaged)?;
        match kind {
            EXTRA_ZIP64 if zip64.is_some() => return Err(damaged()),
            EXTRA_ZIP64 => zip64 = Some(value),
            EXTRA_UNICODE_PATH => {
                return Err(refused(format!("the entry '{shown}' has a second name; {REBUILD_WHEEL}")));
            }
            _ => {}
        }
        extra = rest;
    }

    let widened: Vec<&mut u64> = numbers.into_iter().flatten().filter(|number| **number == WIDENED).collect();
    let value = zip64.unwrap_or_default();
    if value.len() != widened.len() * size_of::<u64>() || (zip64.is_some() && widened.is_empty()) {
        return Err(refused(format!(
            "the ZIP64 field of the entry '{shown}' makes no sense; {REBUILD_WHEEL}"
        )));
    }
    let mut fields = Fields(value);
    for number in widened {
        *number = fields.u64();
    }
    Ok(())
}
