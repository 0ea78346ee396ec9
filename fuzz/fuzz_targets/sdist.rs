//! Source distributions. What begins like gzip is read as it is; any other input is a tar file, with the checksums
//! of its headers put right and compressed, because otherwise they stop almost every change.
#![no_main]

#[path = "../shared/archive.rs"]
mod archive;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

const BLOCK: usize = 512;

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"\x1f\x8b") {
        return archive::check("acme_demo-1.0.tar.gz", data);
    }
    let mut tar = data.to_vec();
    for block in tar.chunks_exact_mut(BLOCK).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar).expect("memory takes everything");
    archive::check("acme_demo-1.0.tar.gz", &gzip.finish().expect("memory takes everything"));
});
