//! Wheels. What begins like a ZIP file is read as one; any other input is the text of the files that describe a
//! wheel, put into an archive that is sound, because a checksum over them stops almost every change otherwise.
#![no_main]

#[path = "../shared/archive.rs"]
mod archive;

use libfuzzer_sys::fuzz_target;

const DIRECTORY: &str = "acme_demo-1.0.dist-info";

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"PK") {
        return archive::check("acme_demo-1.0-py3-none-any.whl", data);
    }
    let mut texts = data.split(|byte| *byte == 0);
    let mut zip = archive::Zip::default();
    zip.add("acme_demo.py", b"");
    for name in ["METADATA", "WHEEL", "entry_points.txt", "RECORD"] {
        if let Some(text) = texts.next() {
            zip.add(&format!("{DIRECTORY}/{name}"), text);
        }
    }
    for name in texts.take(8) {
        zip.add(&String::from_utf8_lossy(name), b"");
    }
    archive::check("acme_demo-1.0-py3-none-any.whl", &zip.finish());
});
