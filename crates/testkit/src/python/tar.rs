//! Tar archives with every field open: POSIX.1-1988 (ustar) headers, as source distributions have them.

/// Tar works in blocks of this many bytes.
const BLOCK: usize = 512;
/// Where the checksum lies in a header.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// One member. Whatever is `None` is written as the truth.
#[derive(Clone, Debug)]
pub struct TarEntry {
    /// The path; what does not fit in 100 bytes is cut off.
    pub name: Vec<u8>,
    /// `0` a file, `1` a hard link, `2` a symbolic link, `3` a device, `5` a directory, `S` a sparse file,
    /// `x` extended fields for the next member.
    pub kind: u8,
    /// The content.
    pub content: Vec<u8>,
    /// That many zero bytes instead of the content.
    pub zeros: Option<u64>,
    /// Permission bits.
    pub mode: u32,
    /// Where a link leads.
    pub target: Vec<u8>,
    /// The size in the header.
    pub size: Option<u64>,
    /// The checksum in the header.
    pub checksum: Option<u32>,
}

impl TarEntry {
    /// An ordinary file.
    pub fn new(name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            kind: b'0',
            content: content.into(),
            zeros: None,
            mode: 0o644,
            target: Vec::new(),
            size: None,
            checksum: None,
        }
    }

    /// A member of another kind without content.
    pub fn special(name: impl Into<Vec<u8>>, kind: u8, target: &str) -> Self {
        Self { kind, target: target.into(), ..Self::new(name, []) }
    }

    /// A file of `length` zero bytes.
    pub fn zeros(name: impl Into<Vec<u8>>, length: u64) -> Self {
        Self { zeros: Some(length), ..Self::new(name, []) }
    }

    fn header(&self) -> [u8; BLOCK] {
        let mut header = [0; BLOCK];
        let mut put = |start: usize, room: usize, bytes: &[u8]| {
            let length = bytes.len().min(room);
            header[start..start + length].copy_from_slice(&bytes[..length]);
        };
        let size = self.size.unwrap_or_else(|| self.zeros.unwrap_or(self.content.len() as u64));
        put(0, 100, &self.name);
        put(100, 8, format!("{:07o}", self.mode).as_bytes());
        put(108, 8, b"0000000");
        put(116, 8, b"0000000");
        put(124, 12, format!("{size:011o}").as_bytes());
        put(136, 12, b"00000000000");
        put(CHECKSUM.start, CHECKSUM.len(), b"        ");
        put(156, 1, &[self.kind]);
        put(157, 100, &self.target);
        put(257, 8, b"ustar\x0000");
        let sum = header.iter().map(|byte| u32::from(*byte)).sum();
        let text = format!("{:06o}\0 ", self.checksum.unwrap_or(sum));
        header[CHECKSUM].copy_from_slice(text.as_bytes());
        header
    }
}

/// An archive.
#[derive(Clone, Debug, Default)]
pub struct Tar {
    /// The members, in file order.
    pub entries: Vec<TarEntry>,
    /// Without the two empty blocks at the end.
    pub unfinished: bool,
    /// Bytes behind the end of the archive.
    pub suffix: Vec<u8>,
}

impl Tar {
    /// Adds an ordinary file.
    pub fn add(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.entries.push(TarEntry::new(name, content));
    }

    /// Writes the archive; a member of zeros is never held as a whole.
    pub fn write(&self, target: &mut impl std::io::Write) -> std::io::Result<()> {
        for entry in &self.entries {
            target.write_all(&entry.header())?;
            let length = if let Some(zeros) = entry.zeros {
                std::io::copy(&mut std::io::Read::take(std::io::repeat(0), zeros), target)?;
                zeros
            } else {
                target.write_all(&entry.content)?;
                entry.content.len() as u64
            };
            let padding = usize::try_from(length.next_multiple_of(BLOCK as u64) - length).unwrap_or(0);
            target.write_all(&[0; BLOCK][..padding])?;
        }
        if !self.unfinished {
            target.write_all(&[0; 2 * BLOCK])?;
        }
        target.write_all(&self.suffix)
    }
}
