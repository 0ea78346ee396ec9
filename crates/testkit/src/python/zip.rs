//! ZIP archives with every field open: APPNOTE.TXT 4.3, the parts that Python's packaging uses.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// The compression method "deflate".
const DEFLATED: u16 = 8;

/// The first of January 1980, midnight: the oldest time that the format knows.
const OLDEST_DATE: u16 = 0x21;

/// Bit 3 of the flags: sizes and checksum follow the content.
const DATA_DESCRIPTOR: u16 = 1 << 3;

/// One member. Whatever is `None` is written as the truth.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path, in whatever bytes.
    pub name: Vec<u8>,
    /// What the local header calls it when that is something else.
    pub local_name: Option<Vec<u8>>,
    /// The content before compression.
    pub content: Vec<u8>,
    /// That many zero bytes instead of the content, written without holding them.
    pub zeros: Option<u64>,
    /// 0 stores, 8 deflates; the content of any other method is written as it is.
    pub method: u16,
    /// General purpose flags: bit 0 encrypted, bit 3 data descriptor (written too), bit 11 UTF-8 names.
    pub flags: u16,
    /// Version made by; its upper byte is the system, 3 for Unix.
    pub made_by: u16,
    /// Mode of a Unix file in the upper half, such as `0o120777 << 16` for a symbolic link.
    pub external_attributes: u32,
    /// CRC-32 in both directories.
    pub checksum: Option<u32>,
    /// Compressed size in both directories.
    pub compressed_size: Option<u32>,
    /// Size in both directories.
    pub size: Option<u32>,
    /// Size in the local header alone, on top of the field before.
    pub local_size: Option<u32>,
    /// Extra field of the local header.
    pub local_extra: Vec<u8>,
    /// Extra field of the central directory.
    pub central_extra: Vec<u8>,
    /// Comment in the central directory.
    pub comment: Vec<u8>,
    /// Where the central directory says that the local header is.
    pub offset: Option<u32>,
    /// Left out of the central directory.
    pub local_only: bool,
    /// Left out of the file itself.
    pub central_only: bool,
}

impl Entry {
    /// An ordinary deflated file.
    pub fn new(name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            local_name: None,
            content: content.into(),
            zeros: None,
            method: DEFLATED,
            flags: 0,
            made_by: 0x0314,
            external_attributes: 0o100_644 << 16,
            checksum: None,
            compressed_size: None,
            size: None,
            local_size: None,
            local_extra: Vec::new(),
            central_extra: Vec::new(),
            comment: Vec::new(),
            offset: None,
            local_only: false,
            central_only: false,
        }
    }

    /// A file of `length` zero bytes: a thousandth of that in the archive.
    pub fn zeros(name: impl Into<Vec<u8>>, length: u64) -> Self {
        Self { zeros: Some(length), ..Self::new(name, []) }
    }

    /// A symbolic link to `target`.
    pub fn link(name: impl Into<Vec<u8>>, target: &str) -> Self {
        Self { external_attributes: 0o120_777 << 16, ..Self::new(name, target) }
    }

    /// The compressed content, its CRC-32 and its true size.
    fn packed(&self) -> (Vec<u8>, u32, u64) {
        let mut checksum = crc32fast::Hasher::new();
        let size = self.zeros.unwrap_or(self.content.len() as u64);
        if self.method != DEFLATED && self.zeros.is_none() {
            checksum.update(&self.content);
            return (self.content.clone(), checksum.finalize(), size);
        }
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        for piece in self.pieces() {
            checksum.update(piece);
            encoder.write_all(piece).expect("a vector takes every byte");
        }
        (encoder.finish().expect("a vector takes every byte"), checksum.finalize(), size)
    }

    fn pieces(&self) -> Vec<&[u8]> {
        const ZEROS: &[u8] = &[0; 1 << 16];
        let Some(mut left) = self.zeros else { return vec![&self.content] };
        let mut pieces = Vec::new();
        while left > 0 {
            let piece = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            pieces.push(&ZEROS[..piece]);
            left -= piece as u64;
        }
        pieces
    }
}

/// An archive. What is `None` is written as the truth, and all lists are in file order.
#[derive(Clone, Debug, Default)]
pub struct Zip {
    /// The members.
    pub entries: Vec<Entry>,
    /// Bytes before the first member; offsets count from behind them, as self-extracting archives have it,
    /// unless `offsets_from_start`.
    pub prefix: Vec<u8>,
    /// Offsets count from the first byte of the file even with a prefix.
    pub offsets_from_start: bool,
    /// Bytes between the last member and the central directory.
    pub gap: Vec<u8>,
    /// Bytes behind the end of the archive.
    pub suffix: Vec<u8>,
    /// Comment of the archive.
    pub comment: Vec<u8>,
    /// Number of this disk.
    pub disk: u16,
    /// Number of entries in the end record.
    pub count: Option<u16>,
    /// Size of the central directory in the end record.
    pub directory_size: Option<u32>,
    /// Offset of the central directory in the end record.
    pub directory_offset: Option<u32>,
    /// ZIP64 end record and locator with these values for entries, size and offset, before the end record.
    pub zip64: Option<(u64, u64, u64)>,
}

impl Zip {
    /// The member called `name`; panics when there is none.
    #[track_caller]
    pub fn entry(&mut self, name: &str) -> &mut Entry {
        let found = self.entries.iter_mut().find(|entry| entry.name == name.as_bytes());
        found.unwrap_or_else(|| panic!("the archive has no member {name}"))
    }

    /// Adds an ordinary file.
    pub fn add(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.entries.push(Entry::new(name, content));
    }

    /// The bytes of the archive.
    pub fn build(&self) -> Vec<u8> {
        let mut file = self.prefix.clone();
        let base = if self.offsets_from_start { 0 } else { self.prefix.len() };
        let mut directory = Vec::new();
        let mut count = 0_u16;
        for entry in &self.entries {
            let (packed, checksum, size) = entry.packed();
            let offset = entry.offset.unwrap_or_else(|| short(file.len() - base));
            let facts = Facts {
                checksum: entry.checksum.unwrap_or(checksum),
                compressed_size: entry.compressed_size.unwrap_or_else(|| short(packed.len())),
                size: entry.size.unwrap_or_else(|| short_64(size)),
            };
            if !entry.central_only {
                facts.write_local(entry, &packed, &mut file);
            }
            if !entry.local_only {
                facts.write_central(entry, offset, &mut directory);
                count = count.wrapping_add(1);
            }
        }
        file.extend(&self.gap);
        let start = short(file.len() - base);
        file.extend(&directory);
        if let Some((entries, size, offset)) = self.zip64 {
            let record = (file.len() - base) as u64;
            put(&mut file, b"PK\x06\x06");
            put(&mut file, &44_u64.to_le_bytes());
            put(&mut file, &[45, 3, 45, 0]);
            put(&mut file, &[0; 8]);
            for value in [entries, entries, size, offset] {
                put(&mut file, &value.to_le_bytes());
            }
            put(&mut file, b"PK\x06\x07");
            put(&mut file, &[0; 4]);
            put(&mut file, &record.to_le_bytes());
            put(&mut file, &1_u32.to_le_bytes());
        }
        put(&mut file, b"PK\x05\x06");
        let count = self.count.unwrap_or(count);
        for value in [self.disk, self.disk, count, count] {
            put(&mut file, &value.to_le_bytes());
        }
        put(&mut file, &self.directory_size.unwrap_or_else(|| short(directory.len())).to_le_bytes());
        put(&mut file, &self.directory_offset.unwrap_or(start).to_le_bytes());
        put(&mut file, &shorter(self.comment.len()).to_le_bytes());
        file.extend(&self.comment);
        file.extend(&self.suffix);
        file
    }
}

/// What both headers of a member say.
struct Facts {
    checksum: u32,
    compressed_size: u32,
    size: u32,
}

impl Facts {
    fn write_local(&self, entry: &Entry, packed: &[u8], file: &mut Vec<u8>) {
        let name = entry.local_name.as_ref().unwrap_or(&entry.name);
        let described = entry.flags & DATA_DESCRIPTOR != 0;
        put(file, b"PK\x03\x04");
        for value in [20, entry.flags, entry.method, 0, OLDEST_DATE] {
            put(file, &value.to_le_bytes());
        }
        let size = entry.local_size.unwrap_or(self.size);
        let values = if described { [0, 0, 0] } else { [self.checksum, self.compressed_size, size] };
        for value in values {
            put(file, &value.to_le_bytes());
        }
        put(file, &shorter(name.len()).to_le_bytes());
        put(file, &shorter(entry.local_extra.len()).to_le_bytes());
        file.extend(name);
        file.extend(&entry.local_extra);
        file.extend(packed);
        if described {
            put(file, b"PK\x07\x08");
            for value in [self.checksum, self.compressed_size, size] {
                put(file, &value.to_le_bytes());
            }
        }
    }

    fn write_central(&self, entry: &Entry, offset: u32, directory: &mut Vec<u8>) {
        put(directory, b"PK\x01\x02");
        for value in [entry.made_by, 20, entry.flags, entry.method, 0, OLDEST_DATE] {
            put(directory, &value.to_le_bytes());
        }
        for value in [self.checksum, self.compressed_size, self.size] {
            put(directory, &value.to_le_bytes());
        }
        for length in [entry.name.len(), entry.central_extra.len(), entry.comment.len()] {
            put(directory, &shorter(length).to_le_bytes());
        }
        put(directory, &[0; 4]);
        put(directory, &entry.external_attributes.to_le_bytes());
        put(directory, &offset.to_le_bytes());
        directory.extend(&entry.name);
        directory.extend(&entry.central_extra);
        directory.extend(&entry.comment);
    }
}

fn put(target: &mut Vec<u8>, bytes: &[u8]) {
    target.extend_from_slice(bytes);
}

/// A length in a 32-bit field; the mark of ZIP64 where it does not fit.
fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn short_64(length: u64) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn shorter(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
