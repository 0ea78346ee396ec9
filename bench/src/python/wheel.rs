//! Wheels (packaging specification "Binary distribution format"), made in code: a ZIP file whose entries are
//! stored, with what an index looks at.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// A wheel and what an upload form says of it.
#[derive(Debug)]
pub(super) struct Wheel {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) filename: String,
    pub(super) bytes: Vec<u8>,
    /// 64 hexadecimal digits.
    pub(super) sha256: String,
}

impl Wheel {
    /// A wheel of `name`, which is in lower case and has no hyphens, whose one module has `payload` bytes and a
    /// few. Project, version and build number make it different from every other.
    pub(super) fn new(name: &str, version: &str, build: usize, payload: usize) -> Self {
        let directory = format!("{name}-{version}.dist-info");
        let module = format!("build = {build}\npayload = \"{}\"\n", "x".repeat(payload));
        let metadata = format!(
            "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Something to measure with\n\
             Requires-Python: >=3.8\n"
        );
        let wheel = format!(
            "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nBuild: {build}\nTag: py3-none-any\n"
        );
        let mut archive = Archive::default();
        let mut record = String::new();
        for (path, content) in [
            (format!("{name}.py"), module),
            (format!("{directory}/METADATA"), metadata),
            (format!("{directory}/WHEEL"), wheel),
        ] {
            let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&content));
            writeln!(record, "{path},sha256={hash},{}", content.len()).expect("a string takes every line");
            archive.add(&path, content.as_bytes());
        }
        writeln!(record, "{directory}/RECORD,,").expect("a string takes every line");
        archive.add(&format!("{directory}/RECORD"), record.as_bytes());
        let bytes = archive.finish();
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            filename: format!("{name}-{version}-{build}-py3-none-any.whl"),
            sha256: hex::encode(Sha256::digest(&bytes)),
            bytes,
        }
    }

    /// The media type of [`Self::form`].
    pub(super) const FORM_TYPE: &str = "multipart/form-data; boundary=bench-2b9f8c7d1e";

    /// The form that twine sends, as far as any of the servers looks at it.
    pub(super) fn form(&self) -> Vec<u8> {
        const BOUNDARY: &str = "bench-2b9f8c7d1e";
        let fields = [
            (":action", "file_upload"),
            ("protocol_version", "1"),
            ("metadata_version", "2.1"),
            ("name", &self.name),
            ("version", &self.version),
            ("filetype", "bdist_wheel"),
            ("pyversion", "py3"),
            ("requires_python", ">=3.8"),
            ("sha256_digest", &self.sha256),
        ];
        let mut form = String::new();
        for (name, value) in fields {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            form.extend([&head, value, "\r\n"]);
        }
        write!(
            form,
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            self.filename
        )
        .expect("a string takes every line");
        let end = format!("\r\n--{BOUNDARY}--\r\n");
        [form.as_bytes(), &self.bytes, end.as_bytes()].concat()
    }
}

/// A ZIP file that grows (APPNOTE, sections 4.3.7, 4.3.12 and 4.3.16).
#[derive(Default)]
struct Archive {
    file: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

impl Archive {
    fn add(&mut self, name: &str, content: &[u8]) {
        let size = length(content.len());
        let mut header = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        header.extend(crc32fast::hash(content).to_le_bytes());
        header.extend([size, size].concat());
        header.extend(&length(name.len())[..2]);
        header.extend([0, 0]);
        let offset = length(self.file.len());
        self.file.extend([b"PK\x03\x04", header.as_slice(), name.as_bytes(), content].concat());
        self.directory.extend([b"PK\x01\x02\x14\x03", header.as_slice(), &[0; 6]].concat());
        self.directory.extend((0o100_644_u32 << 16).to_le_bytes());
        self.directory.extend([&offset, name.as_bytes()].concat());
        self.count += 1;
    }

    fn finish(mut self) -> Vec<u8> {
        let offset = length(self.file.len());
        let count = self.count.to_le_bytes();
        self.file.extend(&self.directory);
        self.file.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count].concat());
        self.file.extend([length(self.directory.len()), offset].concat());
        self.file.extend([0, 0]);
        self.file
    }
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("these wheels are small").to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheels_differ_and_their_forms_hold_them() {
        let wheels = [(1, "1.0"), (2, "1.0"), (1, "1.1")]
            .map(|(build, version)| Wheel::new("acme", version, build, 10));
        assert_eq!(wheels[1].filename, "acme-1.0-2-py3-none-any.whl");
        assert_ne!(wheels[0].sha256, wheels[1].sha256);
        assert_ne!(wheels[0].sha256, wheels[2].sha256);
        let form = wheels[0].form();
        assert!(form.windows(wheels[0].bytes.len()).any(|window| window == wheels[0].bytes));
    }
}
