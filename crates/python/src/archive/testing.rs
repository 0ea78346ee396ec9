//! Builders of archives with any defect, byte by byte, for the tests of this module.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use sha2::{Digest, Sha256};

/// The unix mode of an ordinary file as it stands in the external attributes.
pub(super) const REGULAR: u32 = 0o100_644 << 16;

/// The fields that both headers of an entry have.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) stored_size: u32,
    pub(super) size: u32,
    pub(super) extra: Vec<u8>,
}

/// An entry of a ZIP file. `None` as a header leaves it out.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) local: Option<Header>,
    pub(super) central: Option<Header>,
    /// What is written as content.
    pub(super) data: Vec<u8>,
    /// What is written before the local header.
    pub(super) before: Vec<u8>,
    pub(super) attributes: u32,
    pub(super) comment: Vec<u8>,
    pub(super) disk: u16,
    /// Where the central header says that the local one is.
    pub(super) header_at: Option<u32>,
}

impl Entry {
    pub(super) fn stored(name: &str, content: &[u8]) -> Self {
        Self::new(name, content, 0, content.to_vec())
    }

    pub(super) fn deflated(name: &str, content: &[u8]) -> Self {
        Self::new(name, content, 8, deflate(content))
    }

    fn new(name: &str, content: &[u8], method: u16, data: Vec<u8>) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let header = Header {
            name: name.as_bytes().to_vec(),
            flags: if name.is_ascii() { 0 } else { 1 << 11 },
            method,
            crc: crc.sum(),
            stored_size: u32::try_from(data.len()).unwrap(),
            size: u32::try_from(content.len()).unwrap(),
            extra: Vec::new(),
        };
        Self {
            local: Some(header.clone()),
            central: Some(header),
            data,
            before: Vec::new(),
            attributes: REGULAR,
            comment: Vec::new(),
            disk: 0,
            header_at: None,
        }
    }

    /// Changes both headers alike.
    pub(super) fn both(mut self, change: impl Fn(&mut Header)) -> Self {
        self.local.iter_mut().chain(self.central.iter_mut()).for_each(change);
        self
    }

    /// Changes the local header only.
    pub(super) fn local(mut self, change: impl Fn(&mut Header)) -> Self {
        self.local.iter_mut().for_each(change);
        self
    }

    /// Changes the entry in any way.
    pub(super) fn with(mut self, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The raw deflate stream of `content`.
pub(super) fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Writes a ZIP file.
pub(super) fn zip(entries: &[Entry]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    let mut count = 0_u16;
    for entry in entries {
        file.extend_from_slice(&entry.before);
        let header_at = entry.header_at.unwrap_or_else(|| u32::try_from(file.len()).unwrap());
        if let Some(local) = &entry.local {
            file.extend_from_slice(b"PK\x03\x04\x14\0");
            common(&mut file, local);
            file.extend_from_slice(&local.name);
            file.extend_from_slice(&local.extra);
            file.extend_from_slice(&entry.data);
        }
        if let Some(central) = &entry.central {
            count += 1;
            directory.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0");
            common(&mut directory, central);
            directory.extend_from_slice(&u16::try_from(entry.comment.len()).unwrap().to_le_bytes());
            directory.extend_from_slice(&entry.disk.to_le_bytes());
            directory.extend_from_slice(&[0, 0]);
            directory.extend_from_slice(&entry.attributes.to_le_bytes());
            directory.extend_from_slice(&header_at.to_le_bytes());
            directory.extend_from_slice(&central.name);
            directory.extend_from_slice(&central.extra);
            directory.extend_from_slice(&entry.comment);
        }
    }
    let directory_at = u32::try_from(file.len()).unwrap();
    file.extend_from_slice(&directory);
    file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    file.extend_from_slice(&count.to_le_bytes());
    file.extend_from_slice(&count.to_le_bytes());
    file.extend_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
    file.extend_from_slice(&directory_at.to_le_bytes());
    file.extend_from_slice(&[0, 0]);
    file
}

fn common(into: &mut Vec<u8>, header: &Header) {
    into.extend_from_slice(&header.flags.to_le_bytes());
    into.extend_from_slice(&header.method.to_le_bytes());
    into.extend_from_slice(&[0, 0, 0x21, 0]);
    for number in [header.crc, header.stored_size, header.size] {
        into.extend_from_slice(&number.to_le_bytes());
    }
    for length in [header.name.len(), header.extra.len()] {
        into.extend_from_slice(&u16::try_from(length).unwrap().to_le_bytes());
    }
}

/// The position of the end record of a file that [`zip`] wrote.
pub(super) fn end_record(file: &[u8]) -> usize {
    file.len() - 22
}

/// Puts ZIP64 end records into a file that [`zip`] wrote; the small record then says that they are needed.
pub(super) fn with_zip64_end(file: &[u8]) -> Vec<u8> {
    let end = end_record(file);
    let number = |at: usize| u64::from(u32::from_le_bytes(file[at..at + 4].try_into().unwrap()));
    let count = u64::from(u16::from_le_bytes(file[end + 8..end + 10].try_into().unwrap()));
    let mut wide = file[..end].to_vec();
    wide.extend_from_slice(b"PK\x06\x06");
    wide.extend_from_slice(&44_u64.to_le_bytes());
    wide.extend_from_slice(&[45, 3, 45, 0]);
    wide.extend_from_slice(&[0; 8]);
    for value in [count, count, number(end + 12), number(end + 16)] {
        wide.extend_from_slice(&value.to_le_bytes());
    }
    wide.extend_from_slice(b"PK\x06\x07\0\0\0\0");
    wide.extend_from_slice(&(end as u64).to_le_bytes());
    wide.extend_from_slice(&[1, 0, 0, 0]);
    wide.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    wide.extend_from_slice(&[0xff; 12]);
    wide.extend_from_slice(&[0, 0]);
    wide
}

/// The name of the wheel that [`wheel_files`] makes.
pub(super) const WHEEL_NAME: &str = "acme_demo-1.0-py3-none-any.whl";
pub(super) const METADATA: &str = "Metadata-Version: 2.4\nName: Acme.Demo\nVersion: 1.0\n";
pub(super) const WHEEL: &str = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";

/// The files of a sound wheel, all but RECORD.
pub(super) fn wheel_files() -> Vec<(String, Vec<u8>)> {
    let files: [(&str, &[u8]); 4] = [
        ("acme_demo/__init__.py", b"print('hello')\n"),
        ("acme_demo/empty", b""),
        ("acme_demo-1.0.dist-info/METADATA", METADATA.as_bytes()),
        ("acme_demo-1.0.dist-info/WHEEL", WHEEL.as_bytes()),
    ];
    files.map(|(name, content)| (name.to_owned(), content.to_vec())).to_vec()
}

/// The line of RECORD for a file.
pub(super) fn record_line(name: &str, content: &[u8]) -> String {
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(content));
    format!("\"{}\",sha256={hash},{}\n", name.replace('"', "\"\""), content.len())
}

/// RECORD for these files.
pub(super) fn record(files: &[(String, Vec<u8>)]) -> String {
    let lines: String = files.iter().map(|(name, content)| record_line(name, content)).collect();
    lines + "acme_demo-1.0.dist-info/RECORD,,\n"
}

/// The entries of a wheel with these files and this RECORD.
pub(super) fn wheel_entries(files: &[(String, Vec<u8>)], record: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        files.iter().map(|(name, content)| Entry::deflated(name, content)).collect();
    entries.push(Entry::stored("acme_demo-1.0.dist-info/RECORD", record.as_bytes()));
    entries
}

/// The name of the source distribution that [`sdist_members`] makes.
pub(super) const SDIST_NAME: &str = "acme_demo-1.0.tar.gz";

/// A header block. Text that is too long for its field is cut.
pub(super) fn tar_header(name: &str, kind: u8, size: u64, link: &str) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, room: usize, text: &[u8]| {
        let length = text.len().min(room);
        block[at..at + length].copy_from_slice(&text[..length]);
    };
    put(0, 100, name.as_bytes());
    put(100, 8, b"0000644\0");
    put(108, 8, b"0000000\0");
    put(116, 8, b"0000000\0");
    put(124, 12, format!("{size:011o}\0").as_bytes());
    put(136, 12, b"00000000000\0");
    put(156, 1, &[kind]);
    put(157, 100, link.as_bytes());
    put(257, 8, b"ustar\x0000");
    tar_checksum(block)
}

/// The block with the right checksum.
pub(super) fn tar_checksum(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A member: header, content and padding.
pub(super) fn tar_member(name: &str, kind: u8, content: &[u8], link: &str) -> Vec<u8> {
    let mut member = tar_header(name, kind, content.len() as u64, link).to_vec();
    member.extend_from_slice(content);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

/// A file as a member.
pub(super) fn tar_file(name: &str, content: &str) -> Vec<u8> {
    tar_member(name, b'0', content.as_bytes(), "")
}

/// An extended header with these records.
pub(super) fn tar_extended(kind: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        // The length counts its own digits, of which there are at most four here.
        let length = (rest + 1..rest + 5).find(|length| length.to_string().len() + rest == *length).unwrap();
        writeln!(text, "{length} {key}={value}").unwrap();
    }
    tar_member("PaxHeader", kind, &text, "")
}

/// The members of a sound source distribution.
pub(super) fn sdist_members() -> Vec<Vec<u8>> {
    vec![
        tar_member("acme_demo-1.0/", b'5', b"", ""),
        tar_file("acme_demo-1.0/PKG-INFO", METADATA),
        tar_file("acme_demo-1.0/pyproject.toml", "[project]\n"),
    ]
}

/// A tar file of these members, with its end.
pub(super) fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    let mut file = members.concat();
    file.resize(file.len() + 1024, 0);
    file
}

/// One gzip member.
pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
