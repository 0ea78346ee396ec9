//! What both kinds of archive have in common: limits that small inputs reach, and what has to hold for any input.

use std::io::Cursor;

use python::{FileName, LicenseFilePolicy, Limits, Metadata, RecordPolicy, Refused, examine};

const METADATA_BYTES: u64 = 4096;

fn limits(record: RecordPolicy) -> Limits {
    Limits {
        metadata_bytes: METADATA_BYTES,
        entries: 16,
        sdist_entries: 16,
        name_bytes: 64,
        free_expansion: 16 * 1024,
        wheel_ratio: 50,
        sdist_ratio: 100,
        wheel_expanded: 256 * 1024,
        sdist_expanded: 256 * 1024,
        record,
        license_files: LicenseFilePolicy::Warn,
    }
}

/// Reading ends, and in one of two ways: with metadata that can be read, or with a refusal that can be shown. A
/// failure to read is impossible, since everything is in memory.
pub fn check(name: &str, data: &[u8]) {
    let file: FileName = name.parse().expect("a sound name");
    let examined = |policy| examine(Cursor::new(data), data.len() as u64, &file, &limits(policy), true);
    let (strict, lenient) = (examined(RecordPolicy::Reject), examined(RecordPolicy::Warn));
    for found in [&strict, &lenient] {
        match found {
            Ok(distribution) => {
                assert!(distribution.metadata_bytes.len() as u64 <= METADATA_BYTES);
                assert_eq!(
                    Metadata::parse(&distribution.metadata_bytes).as_ref(),
                    Ok(&distribution.metadata)
                );
                assert!(distribution.warnings.len() < 100);
                for warning in &distribution.warnings {
                    assert!(!warning.contains(char::is_control) && warning.len() < 1000);
                }
            }
            Err(Refused::Invalid(invalid)) => {
                assert!(!invalid.message.contains(char::is_control) && invalid.message.len() < 1000);
            }
            Err(Refused::Io(error)) => panic!("memory cannot be read: {error}"),
        }
    }
    assert!(lenient.is_ok() || strict.is_err(), "what the strict policy takes, the lenient one refuses");
}

/// Writes a ZIP file whose entries are stored and whose records are right.
#[derive(Default)]
#[allow(dead_code, reason = "source distributions need none")]
pub struct Zip {
    file: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

#[allow(dead_code, reason = "source distributions need none")]
impl Zip {
    pub fn add(&mut self, name: &str, content: &[u8]) {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let length = (content.len() as u32).to_le_bytes();
        // Version, flags (names are UTF-8), method, time, date; then what both headers go on with.
        let mut header = vec![20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0];
        header.extend(crc.sum().to_le_bytes());
        header.extend([length, length].concat());
        header.extend((name.len() as u16).to_le_bytes());
        header.extend([0, 0]);
        let offset = (self.file.len() as u32).to_le_bytes();
        self.file.extend(b"PK\x03\x04");
        self.file.extend(&header);
        self.file.extend(name.as_bytes());
        self.file.extend(content);
        self.directory.extend(b"PK\x01\x02\x14\x03");
        self.directory.extend(&header);
        self.directory.extend([0; 6]);
        self.directory.extend((0o100_644_u32 << 16).to_le_bytes());
        self.directory.extend(offset);
        self.directory.extend(name.as_bytes());
        self.count += 1;
    }

    pub fn finish(self) -> Vec<u8> {
        let Self { mut file, directory, count } = self;
        let offset = (file.len() as u32).to_le_bytes();
        file.extend(&directory);
        file.extend(b"PK\x05\x06\0\0\0\0");
        file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
        file.extend((directory.len() as u32).to_le_bytes());
        file.extend(offset);
        file.extend([0, 0]);
        file
    }
}
