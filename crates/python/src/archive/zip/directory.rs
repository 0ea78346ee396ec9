//! The end of a ZIP file, which says where its central directory is.

use std::io::{Read, Seek};

use super::super::REBUILD_WHEEL;
use super::super::source::Source;
use super::fields::Fields;
use super::refused;
use crate::Refused;

const END_SIGNATURE: &[u8; 4] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const ZIP64_LOCATOR_SIGNATURE: &[u8; 4] = b"PK\x06\x07";
const ZIP64_LOCATOR_BYTES: usize = 20;
const ZIP64_END_SIGNATURE: &[u8; 4] = b"PK\x06\x06";
const ZIP64_END_BYTES: usize = 56;
/// The furthest from the end of the file that the end record can begin: a comment has at most 65,535 bytes.
const END_SEARCH_BYTES: u64 = 65_535 + END_BYTES as u64;

/// What other files begin with that people take for wheels.
const FOREIGN_MAGIC: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x89PNG", "a PNG image"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"<", "a web page"),
];

/// Where the central directory is, and what it says about itself.
#[derive(Debug)]
pub(super) struct End {
    /// How many entries there are.
    pub(super) entries: u64,
    /// Where the first central header begins.
    pub(super) directory_at: u64,
    /// The first byte behind the last central header.
    pub(super) directory_limit: u64,
}

/// Reads the end of the file: an end record without a comment as the very last bytes, before it the ZIP64
/// records if there are any, and directly before them the central directory.
pub(super) fn find_end<R: Read + Seek>(source: &mut Source<R>) -> Result<End, Refused> {
    check_beginning(source)?;
    let Some(end_at) = source.size().checked_sub(END_BYTES as u64) else {
        return Err(refused("the file is truncated, its end is missing; upload it again"));
    };
    source.go_to(end_at)?;
    let record = source.take_array::<END_BYTES>()?;
    let mut fields = Fields(&record);
    if fields.bytes() != *END_SIGNATURE {
        return Err(explain_missing_end(source)?);
    }
    let [disk, directory_disk, entries_here, entries] = [(); 4].map(|()| fields.u16());
    let (directory_bytes, directory_at, comment_bytes) = (fields.u32(), fields.u32(), fields.u16());
    if comment_bytes != 0 {
        return Err(refused("the file is truncated, its end is missing; upload it again"));
    }
    let small = Sizes {
        entries: u64::from(entries),
        directory_bytes: u64::from(directory_bytes),
        directory_at: u64::from(directory_at),
    };
    if disk != 0 || directory_disk != 0 || entries_here != entries {
        return Err(refused(format!("it is one of several parts; {REBUILD_WHEEL}")));
    }
    let (sizes, directory_end) = match find_zip64_end(source, end_at, &small)? {
        Some((sizes, zip64_end_at)) => (sizes, zip64_end_at),
        None => (small, end_at),
    };
    if sizes.directory_at.checked_add(sizes.directory_bytes) != Some(directory_end) {
        return Err(refused(format!(
            "its central directory is not where its end record says (data before the archive, or between its \
             parts); {REBUILD_WHEEL}"
        )));
    }
    Ok(End { entries: sizes.entries, directory_at: sizes.directory_at, directory_limit: directory_end })
}

/// The three numbers that ZIP64 widens.
struct Sizes {
    entries: u64,
    directory_bytes: u64,
    directory_at: u64,
}

/// The ZIP64 end record and its position, if there is one. Where the small end record states a number that
/// fits, both must state the same.
fn find_zip64_end<R: Read + Seek>(
    source: &mut Source<R>,
    end_at: u64,
    small: &Sizes,
) -> Result<Option<(Sizes, u64)>, Refused> {
    let Some(locator_at) = end_at.checked_sub(ZIP64_LOCATOR_BYTES as u64) else { return Ok(None) };
    source.go_to(locator_at)?;
    let locator = source.take_array::<ZIP64_LOCATOR_BYTES>()?;
    let mut fields = Fields(&locator);
    if fields.bytes() != *ZIP64_LOCATOR_SIGNATURE {
        return Ok(None);
    }
    let nonsense = || refused(format!("its ZIP64 records contradict the others; {REBUILD_WHEEL}"));
    let (disk, record_at, disks) = (fields.u32(), fields.u64(), fields.u32());
    if disk != 0 || disks != 1 || locator_at.checked_sub(ZIP64_END_BYTES as u64) != Some(record_at) {
        return Err(nonsense());
    }
    source.go_to(record_at)?;
    let record = source.take_array::<ZIP64_END_BYTES>()?;
    let mut fields = Fields(&record);
    let (signature, record_bytes) = (fields.bytes::<4>(), fields.u64());
    let _versions = fields.u32();
    let (disk, directory_disk, entries_here) = (fields.u32(), fields.u32(), fields.u64());
    let wide = Sizes { entries: fields.u64(), directory_bytes: fields.u64(), directory_at: fields.u64() };
    let agrees = |narrow: u64, wide: u64, widened: u64| narrow == widened || narrow == wide;
    let (count_widened, size_widened) = (u64::from(u16::MAX), u64::from(u32::MAX));
    let sound = signature == *ZIP64_END_SIGNATURE
        // The record counts neither its signature nor this size.
        && record_bytes == ZIP64_END_BYTES as u64 - 12
        && (disk, directory_disk) == (0, 0)
        && entries_here == wide.entries
        && agrees(small.entries, wide.entries, count_widened)
        && agrees(small.directory_bytes, wide.directory_bytes, size_widened)
        && agrees(small.directory_at, wide.directory_at, size_widened);
    if sound { Ok(Some((wide, record_at))) } else { Err(nonsense()) }
}

/// Refuses what does not begin like a ZIP file, or begins like a tar file as well.
fn check_beginning<R: Read + Seek>(source: &mut Source<R>) -> Result<(), Refused> {
    source.go_to(0)?;
    let mut beginning = Vec::new();
    source.take(512).read_to_end(&mut beginning)?;
    if super::super::tar::is_header(&beginning) {
        return Err(refused("the file is (also) a tar archive; upload a wheel that is only a ZIP archive"));
    }
    if beginning.starts_with(b"PK\x03\x04") || beginning.starts_with(END_SIGNATURE) {
        return Ok(());
    }
    let foreign = FOREIGN_MAGIC.iter().find(|(magic, _)| beginning.starts_with(magic));
    Err(match foreign {
        Some((_, what)) => refused(format!("the file is not a ZIP archive, it looks like {what}")),
        None => refused("the file is not a ZIP archive, or has data before it"),
    })
}

/// Says why the last bytes of a file are not an end record.
fn explain_missing_end<R: Read + Seek>(source: &mut Source<R>) -> Result<Refused, Refused> {
    source.go_to(source.size().saturating_sub(END_SEARCH_BYTES))?;
    let mut tail = Vec::new();
    source.read_to_end(&mut tail)?;
    let last = tail.windows(END_BYTES).rposition(|window| window.starts_with(END_SIGNATURE)).map(|at| {
        (tail.len() - at - END_BYTES, usize::from(u16::from_le_bytes([tail[at + 20], tail[at + 21]])))
    });
    Ok(match last {
        Some((behind, comment)) if comment > 0 && behind == comment => {
            refused(format!("it has a comment; {REBUILD_WHEEL}"))
        }
        Some(_) => refused("trailing data follows the archive; upload the file as it was built"),
        None => refused("the file is truncated, its end is missing; upload it again"),
    })
}

/// Whether a file that should be something else can be opened as a ZIP file too: an end record whose comment
/// reaches exactly to the end of the file.
pub(in super::super) fn is_also_zip<R: Read + Seek>(source: &mut Source<R>) -> std::io::Result<bool> {
    source.go_to(source.size().saturating_sub(END_SEARCH_BYTES))?;
    let mut tail = Vec::new();
    source.read_to_end(&mut tail)?;
    Ok(tail.windows(END_BYTES).enumerate().any(|(at, window)| {
        window.starts_with(END_SIGNATURE)
            && usize::from(u16::from_le_bytes([window[20], window[21]])) == tail.len() - at - END_BYTES
    }))
}
