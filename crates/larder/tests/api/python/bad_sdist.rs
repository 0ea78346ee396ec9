//! Source distributions whose archive is not one that every program unpacks in the same way.

use testkit::python::{BuiltFile, Entry, Sdist, Tar, TarEntry, Zip};

use super::scene::{Index, leaving_nothing, project};

const ARCHIVE: &str = "PYTHON_ARCHIVE_INVALID";
const METADATA: &str = "PYTHON_METADATA_INVALID";
const MEBIBYTE: u64 = 1024 * 1024;

fn sdist() -> Sdist {
    Sdist::new(&project(), "1.0")
}

/// A source distribution of a new project; `edit` gets the archive and the name of its directory.
fn edited(edit: impl FnOnce(&mut Tar, &str)) -> BuiltFile {
    let name = project();
    let directory = format!("{}-1.0", name.replace('-', "_"));
    Sdist::new(&name, "1.0").build_with(|archive| edit(archive, &directory))
}

/// One more member below the directory.
fn with(path: &str, member: impl FnOnce(String) -> TarEntry) -> BuiltFile {
    edited(|archive, directory| archive.entries.push(member(format!("{directory}/{path}"))))
}

/// A record of an extended header (POSIX.1, "pax Extended Header").
fn extended(key: &str, value: &str) -> TarEntry {
    let rest = format!(" {key}={value}\n");
    let length = (1..=9)
        .map(|digits| rest.len() + digits)
        .find(|length| length.to_string().len() + rest.len() == *length);
    let length = length.expect("a record of this length");
    TarEntry { kind: b'x', ..TarEntry::new("header", format!("{length}{rest}")) }
}

#[track_caller]
fn refused(rows: Vec<(BuiltFile, &str)>) {
    leaving_nothing(|index| {
        for (file, sentence) in rows {
            index.refuses(&file, ARCHIVE, &format!("tar archive not accepted: {sentence}"));
        }
    });
}

#[test]
fn b23_files_that_are_no_gzipped_tar() {
    let good = sdist().build();
    let of_bytes = |bytes: &[u8]| BuiltFile { bytes: bytes.to_vec(), ..sdist().build() };
    let mut damaged = good.clone();
    let middle = damaged.bytes.len() / 2;
    for byte in &mut damaged.bytes[middle..middle + 20] {
        *byte ^= 0xff;
    }
    let mut checksum = sdist().build();
    let last = checksum.bytes.len() - 6;
    checksum.bytes[last] ^= 1;
    refused(vec![
        (sdist().uncompressed().build(), "the file is not compressed with gzip"),
        (of_bytes(b""), "the file is not compressed with gzip"),
        (of_bytes(b"PK\x03\x04 and so on"), "the file is not compressed with gzip"),
        (of_bytes(b"\x89PNG\r\n\x1a\n"), "the file is not compressed with gzip"),
        (of_bytes(b"\x1f\x8b"), ""),
        (of_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\x03 no deflate stream"), ""),
        (of_bytes(&good.bytes[..good.bytes.len() / 2]), ""),
        (of_bytes(&good.bytes[..good.bytes.len() - 4]), ""),
        (damaged, ""),
        (checksum, "its gzip stream is damaged"),
    ]);
}

#[test]
fn b23_data_behind_the_archive() {
    let second = sdist().build().bytes;
    let mut zip = Zip::default();
    zip.entries.push(Entry::new("a.py", "x"));
    refused(vec![
        (sdist().suffix("garbage").build(), "data follows the gzip stream"),
        // Programs disagree about a second gzip member: some go on reading, some stop.
        (sdist().suffix(second).build(), "data follows the gzip stream"),
        (sdist().suffix(zip.build()).build(), "the file is also a ZIP archive"),
        (edited(|archive, _| archive.suffix = b"garbage".to_vec()), "data follows the end of the archive"),
        (edited(|archive, _| archive.unfinished = true), "it is truncated, its end is missing"),
    ]);
}

#[test]
fn b23_not_exactly_one_directory_of_the_right_name() {
    let (name, other) = (project(), project());
    let other = other.replace('-', "_");
    refused(vec![
        (edited(|archive, _| archive.add("second-1.0/x", "x")), "it must contain exactly one top directory"),
        (edited(|archive, _| archive.add("x", "x")), "it must contain exactly one top directory"),
        (Sdist::new(&name, "1.0").directory(&format!("{other}-1.0")).build(), "the top directory '"),
        (
            Sdist::new(&name, "1.0").directory(&format!("{}-2.0", name.replace('-', "_"))).build(),
            "the top directory '",
        ),
        (Sdist::new(&name, "1.0").directory(&name.replace('-', "_")).build(), "the top directory '"),
        (Sdist::new(&name, "1.0").directory("src").build(), "the top directory '"),
        (edited(|archive, _| archive.entries.clear()), "it is empty"),
    ]);
}

#[test]
fn b23_package_information_that_is_missing_or_odd() {
    leaving_nothing(|index| {
        index.refuses(
            &sdist().without_metadata().build(),
            METADATA,
            "PKG-INFO is missing in the top directory",
        );
        let below = edited(|archive, directory| {
            archive.entries.remove(0);
            archive
                .add(&format!("{directory}/src/PKG-INFO"), "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n");
        });
        index.refuses(&below, METADATA, "PKG-INFO is missing in the top directory");
        let link = edited(|archive, directory| {
            archive.entries[0] = TarEntry::special(format!("{directory}/PKG-INFO"), b'2', "src/PKG-INFO");
        });
        index.refuses(&link, METADATA, "PKG-INFO is not a regular file");
        let folder = edited(|archive, directory| {
            archive.entries[0] = TarEntry::special(format!("{directory}/PKG-INFO/"), b'5', "");
        });
        index.refuses(&folder, METADATA, "PKG-INFO is not a regular file");
        let twice = edited(|archive, directory| {
            archive.add(&format!("{directory}/PKG-INFO"), "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n");
        });
        index.refuses(&twice, METADATA, "PKG-INFO is there twice");
        let latin = sdist().metadata(b"Metadata-Version: 2.1\nAuthor: J\xf6rg\n".as_slice()).build();
        index.refuses(&latin, METADATA, "METADATA is not UTF-8");
    });
}

#[test]
fn b23_t26_paths_that_lead_out_of_the_archive() {
    leaving_nothing(|index| {
        for path in
            ["../x", "/abs", "/etc/cron.d/x", "..", "C:\\x", "C:/x", "a\\b", "~/x", "./x", "a//b", "~root/x"]
        {
            let file = edited(|archive, _| archive.add(path, "x"));
            index.refuses(&file, ARCHIVE, "unsafe path in archive: '");
            let first = edited(|archive, _| archive.entries.insert(0, TarEntry::new(path, "x")));
            index.refuses(&first, ARCHIVE, "unsafe path in archive: '");
        }
        for path in ["../../x", "a/../../../x", "a/..", "b\\..\\..\\x", "./x", "a//b"] {
            let file = with(path, |path| TarEntry::new(path, "x"));
            index.refuses(&file, ARCHIVE, "unsafe path in archive: '");
        }
        let long = edited(|archive, directory| {
            archive.entries.push(extended("path", &format!("{directory}/../../x")));
            archive.add(&format!("{directory}/harmless"), "x");
        });
        index.refuses(&long, ARCHIVE, "unsafe path in archive: '");
        for (path, sentence) in [
            (b"a\nb".to_vec(), "holds a control character"),
            (b"a\x1b[2Jb".to_vec(), "holds a control character"),
            (b"a\xff".to_vec(), "is not UTF-8"),
        ] {
            let file = edited(|archive, directory| {
                let path = [directory.as_bytes(), b"/", path.as_slice()].concat();
                archive.entries.push(TarEntry::new(path, "x"));
            });
            index.refuses(&file, ARCHIVE, sentence);
        }
    });
}

#[test]
fn b23_t26_links_that_lead_out_of_the_archive() {
    leaving_nothing(|index| {
        for target in ["/etc/passwd", "..", "../x", "../../x", "a/../../x", "C:\\x", "~/x", "..\\x", ""] {
            let file = with("link", |path| TarEntry::special(path, b'2', target));
            index.refuses(&file, ARCHIVE, "unsafe path in archive: the link '");
        }
        for target in ["/etc/passwd", "../x", "C:\\x", "~/x"] {
            let file = with("link", |path| TarEntry::special(path, b'1', target));
            index.refuses(&file, ARCHIVE, "unsafe path in archive: '");
        }
        let outside = with("link", |path| TarEntry::special(path, b'1', "other-1.0/x"));
        index.refuses(&outside, ARCHIVE, "leaves the top directory");
        // A directory that is a link by the time that something is unpacked into it.
        let behind = edited(|archive, directory| {
            archive.entries.push(TarEntry::special(format!("{directory}/deep/er/link"), b'2', "../.."));
            archive.add(&format!("{directory}/deep/er/link/x"), "x");
        });
        index.refuses(&behind, ARCHIVE, "lies behind a symbolic link");
        let long = edited(|archive, directory| {
            archive.entries.push(extended("linkpath", "/etc/passwd"));
            archive.entries.push(TarEntry::special(format!("{directory}/link"), b'2', "harmless"));
        });
        index.refuses(&long, ARCHIVE, "unsafe path in archive: the link '");
        let top = edited(|archive, directory| {
            archive.entries.insert(0, TarEntry::special(directory, b'2', "/tmp"));
        });
        index.refuses(&top, ARCHIVE, "");
    });
}

#[test]
fn b23_t26_devices_pipes_and_sparse_files() {
    refused(vec![
        (with("sda", |path| TarEntry::special(path, b'4', "")), "'"),
        (with("null", |path| TarEntry::special(path, b'3', "")), "'"),
        (with("pipe", |path| TarEntry::special(path, b'6', "")), "'"),
        (with("sparse", |path| TarEntry { kind: b'S', ..TarEntry::new(path, "x") }), "'"),
        (with("dumpdir", |path| TarEntry { kind: b'D', ..TarEntry::new(path, "x") }), "'"),
        (with("volume", |path| TarEntry { kind: b'V', ..TarEntry::new(path, "") }), "'"),
        (
            edited(|archive, directory| {
                archive.entries.push(extended("GNU.sparse.realsize", "1000000000000"));
                archive.add(&format!("{directory}/sparse"), "x");
            }),
            "it holds a sparse file",
        ),
    ]);
    leaving_nothing(|index| {
        let device = with("null", |path| TarEntry::special(path, b'3', ""));
        index.refuses(&device, ARCHIVE, "is a device or a pipe");
        let sparse = with("sparse", |path| TarEntry { kind: b'S', ..TarEntry::new(path, "x") });
        index.refuses(&sparse, ARCHIVE, "is a sparse file");
    });
}

#[test]
fn b23_headers_that_two_programs_read_differently() {
    refused(vec![
        (
            with("x", |path| TarEntry { checksum: Some(1), ..TarEntry::new(path, "x") }),
            "the file is not a tar archive, or a header in it is damaged",
        ),
        (with("x", |path| TarEntry { size: Some(10_000), ..TarEntry::new(path, "x") }), ""),
        (with("x/", |path| TarEntry { kind: b'5', size: Some(512), ..TarEntry::new(path, "x") }), "'"),
        (
            edited(|archive, directory| {
                archive.entries.push(extended("size", "3"));
                archive.add(&format!("{directory}/x"), "x");
            }),
            "the size of '",
        ),
        (
            edited(|archive, directory| {
                archive.entries.push(extended("path", "a"));
                archive.entries.push(extended("path", "b"));
                archive.add(&format!("{directory}/x"), "x");
            }),
            "a member has two extended headers of one kind",
        ),
        (
            edited(|archive, _| {
                let entry = TarEntry { kind: b'g', ..extended("path", "other") };
                archive.entries.insert(0, entry);
            }),
            "a global extended header states a name or a size",
        ),
        (
            edited(|archive, _| archive.entries.push(extended("path", "a"))),
            "it ends after an extended header",
        ),
    ]);
}

/// A thousandth of its size when it is compressed.
#[test]
fn b23_t26_a_source_distribution_that_expands_too_much() {
    leaving_nothing(|index| {
        let bomb = with("zeros", |path| TarEntry::zeros(path, 128 * MEBIBYTE));
        assert!(bomb.bytes.len() < 200_000, "{}", bomb.bytes.len());
        index.refuses(&bomb, ARCHIVE, "expands too much");
        // The same behind the end of the archive.
        let behind = edited(|archive, _| archive.suffix = vec![0; 70 << 20]);
        index.refuses(&behind, ARCHIVE, "expands too much");
        let boast = with("zeros", |path| TarEntry { size: Some(8 << 30), ..TarEntry::new(path, "x") });
        index.refuses(&boast, ARCHIVE, "tar archive not accepted: ");
    });
}

#[test]
fn sound_source_distributions_of_less_common_shapes_are_taken() {
    let index = Index::new();
    for file in [
        with("link", |path| TarEntry::special(path, b'2', "PKG-INFO")),
        with("deep/link", |path| TarEntry::special(path, b'2', "../PKG-INFO")),
        edited(|archive, directory| {
            let target = format!("{directory}/PKG-INFO");
            archive.entries.push(TarEntry::special(format!("{directory}/hard"), b'1', &target));
        }),
        with("folder/", |path| TarEntry::special(path, b'5', "")),
        with("program", |path| TarEntry { mode: 0o4755, ..TarEntry::new(path, "#!/bin/sh\n") }),
        edited(|archive, directory| {
            archive.entries.push(extended("path", &format!("{directory}/{}/x", "long".repeat(50))));
            archive.add("cut", "x");
        }),
        edited(|archive, _| archive.suffix = vec![0; 10_240]),
    ] {
        index.takes(&file);
        assert_eq!(index.files(&file.name), [file.filename.as_str()]);
    }
}
