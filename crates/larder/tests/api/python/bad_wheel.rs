//! Wheels whose archive is not one that every program unpacks in the same way.

use testkit::python::{BuiltFile, Entry, Sdist, Tar, Wheel, Zip};

use super::scene::{Index, leaving_nothing, project, wheel};

const ARCHIVE: &str = "PYTHON_ARCHIVE_INVALID";
const MEBIBYTE: u64 = 1024 * 1024;

/// A wheel of a new project after `edit` of its archive.
fn edited(edit: impl FnOnce(&mut Zip)) -> BuiltFile {
    wheel().build_with(edit)
}

/// A wheel of a new project after `edit` of its first member, a module.
fn first(edit: impl FnOnce(&mut Entry)) -> BuiltFile {
    edited(|archive| edit(&mut archive.entries[0]))
}

/// A wheel of a new project with these bytes.
fn of_bytes(bytes: impl Into<Vec<u8>>) -> BuiltFile {
    BuiltFile { bytes: bytes.into(), ..wheel().build() }
}

#[track_caller]
fn refused(rows: Vec<(BuiltFile, &str)>) {
    leaving_nothing(|index| {
        for (file, sentence) in rows {
            index.refuses(&file, ARCHIVE, &format!("ZIP archive not accepted: {sentence}"));
        }
    });
}

#[test]
fn b9_files_that_are_no_zip_archive() {
    let gzip = Sdist::new(&project(), "1.0").build().bytes;
    let good = wheel().build().bytes;
    refused(vec![
        (
            of_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on, for long enough".as_slice()),
            "the file is not a ZIP archive, it looks like a PNG image",
        ),
        (of_bytes(gzip), "the file is not a ZIP archive, it looks like a gzip file"),
        (
            of_bytes(b"\x7fELF\x02\x01\x01 and so on, for long enough".as_slice()),
            "the file is not a ZIP archive, it looks like a program",
        ),
        (
            of_bytes(b"<!DOCTYPE html><title>404</title> and more".as_slice()),
            "the file is not a ZIP archive, it looks like a web page",
        ),
        (of_bytes(b"".as_slice()), "the file is"),
        (of_bytes(b"x".repeat(5000)), "the file is not a ZIP archive"),
        (of_bytes(&good[..good.len() - 1]), "the file is truncated"),
        (of_bytes(&good[..good.len() / 2]), "the file is truncated"),
    ]);
}

#[test]
fn b9_files_that_are_two_things_at_once() {
    let mut tar = Vec::new();
    let mut archive = Tar::default();
    archive.add("setup.py", "print('another program')\n");
    archive.write(&mut tar).expect("a vector takes every byte");
    let from_start = wheel().build_with(|archive| {
        archive.prefix.clone_from(&tar);
        archive.offsets_from_start = true;
    });
    refused(vec![
        (from_start, "the file is (also) a tar archive"),
        (edited(|archive| archive.prefix.clone_from(&tar)), "the file is (also) a tar archive"),
        (of_bytes(tar), "the file is (also) a tar archive"),
    ]);
}

#[test]
fn b9_data_around_and_between() {
    let other = wheel().build().bytes;
    let launcher = |from_start| {
        edited(|archive| {
            archive.prefix = b"MZ a program that unpacks itself".to_vec();
            archive.offsets_from_start = from_start;
        })
    };
    refused(vec![
        (launcher(false), "the file is not a ZIP archive, it looks like a program"),
        (launcher(true), "the file is not a ZIP archive, it looks like a program"),
        (
            edited(|archive| archive.prefix = b"#!/bin/sh\n".to_vec()),
            "the file is not a ZIP archive, or has data before it",
        ),
        (
            edited(|archive| archive.prefix = b"PK\x03\x04".to_vec()),
            "its central directory is not where its end record says",
        ),
        (
            edited(|archive| {
                archive.prefix = b"PK\x03\x04".to_vec();
                archive.offsets_from_start = true;
            }),
            "data that no entry accounts for",
        ),
        (edited(|archive| archive.suffix = b"x".to_vec()), "trailing data follows the archive"),
        (edited(|archive| archive.suffix = b"PK".to_vec()), "trailing data follows the archive"),
        (
            edited(|archive| archive.suffix.clone_from(&other)),
            "its central directory is not where its end record says",
        ),
        (edited(|archive| archive.gap = b"hidden".to_vec()), "data that no entry accounts for"),
        (edited(|archive| archive.comment = b"hello".to_vec()), "it has a comment"),
        (first(|entry| entry.comment = b"hello".to_vec()), "the entry '"),
    ]);
}

#[test]
fn b9_parts_encryption_and_impossible_numbers() {
    let good = edited(|_| ());
    let length = good.bytes.len() as u64;
    refused(vec![
        (edited(|archive| archive.disk = 1), "it is one of several parts"),
        (first(|entry| entry.flags = 1), "the entry '"),
        (first(|entry| entry.flags = 1 << 13), "the entry '"),
        (edited(|archive| archive.count = Some(2)), "its central directory has more entries than it says"),
        (edited(|archive| archive.count = Some(9)), "an entry has no header where its header should be"),
        (edited(|archive| archive.count = Some(0)), "its central directory has more entries than it says"),
        (
            edited(|archive| archive.directory_size = Some(1)),
            "its central directory is not where its end record says",
        ),
        (
            edited(|archive| archive.directory_offset = Some(u32::MAX - 1)),
            "its central directory is not where its end record says",
        ),
        (edited(|archive| archive.zip64 = Some((u64::MAX, u64::MAX, u64::MAX))), ""),
        (edited(|archive| archive.zip64 = Some((4, length, 0))), ""),
        (edited(|archive| archive.zip64 = Some((5, 0, length))), ""),
        (first(|entry| entry.central_extra = vec![1, 0, 4, 0, 1, 2, 3, 4]), "the ZIP64 field of the entry '"),
        (first(|entry| entry.local_extra = vec![1, 0, 60, 0, 1]), "the extra fields of the entry '"),
        // A second name (Info-ZIP Unicode path), which some programs unpack under and others do not.
        (first(|entry| entry.central_extra = vec![0x75, 0x70, 2, 0, 1, 0]), "the entry '"),
    ]);
}

#[test]
fn b10_data_descriptors() {
    refused(vec![(first(|entry| entry.flags = 8), "the entry '")]);
    leaving_nothing(|index| {
        let file = first(|entry| entry.flags = 8);
        index.refuses(&file, ARCHIVE, "has a data descriptor (it was written as a stream)");
    });
}

#[test]
fn b11_a_duplicate_entry() {
    leaving_nothing(|index| {
        let twice = edited(|archive| {
            let again = archive.entries[0].clone();
            archive.entries.insert(0, again);
        });
        index.refuses(&twice, ARCHIVE, "' twice");
        let other = edited(|archive| {
            let name = archive.entries[0].name.clone();
            archive.entries.push(Entry::new(name, "another content"));
        });
        index.refuses(&other, ARCHIVE, "' twice");
        let directory = edited(|archive| {
            let name = [archive.entries[0].name.as_slice(), b"/"].concat();
            archive.entries.push(Entry { method: 0, ..Entry::new(name, "") });
        });
        index.refuses(&directory, ARCHIVE, "' twice");
        let metadata = wheel();
        let path = format!("{}/METADATA", metadata.directory());
        let second = metadata.build_with(|archive| {
            archive.add(&path, "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n");
        });
        index.refuses(&second, ARCHIVE, "' twice");
    });
}

#[test]
fn b11_directories_that_disagree() {
    refused(vec![
        (
            edited(|archive| {
                archive.entries.insert(1, Entry { local_only: true, ..Entry::new("hidden.py", "x") });
            }),
            "data that no entry accounts for",
        ),
        (
            edited(|archive| {
                archive.entries.push(Entry { local_only: true, ..Entry::new("hidden.py", "x") });
            }),
            "data that no entry accounts for",
        ),
        (
            edited(|archive| {
                archive.entries.push(Entry { central_only: true, ..Entry::new("ghost.py", "x") });
            }),
            "",
        ),
        (first(|entry| entry.local_name = Some(b"other.py".to_vec())), "the name of the entry '"),
        (first(|entry| entry.local_size = Some(1)), "the size of the entry '"),
    ]);
    leaving_nothing(|index| {
        let wrong = first(|entry| entry.checksum = Some(1));
        index.refuses(&wrong, ARCHIVE, "its checksum is wrong");
        let short = first(|entry| entry.size = Some(3));
        index.refuses(&short, ARCHIVE, "it holds more than its header says");
        let long = first(|entry| entry.size = Some(3000));
        index.refuses(&long, ARCHIVE, "it holds less than its header says");
        let stored = first(|entry| (entry.method, entry.size) = (0, Some(3)));
        index.refuses(&stored, ARCHIVE, "ZIP archive not accepted: the two sizes of the uncompressed entry");
        let reaching = first(|entry| entry.compressed_size = Some(1_000_000));
        index.refuses(&reaching, ARCHIVE, "reaches into the central directory");
    });
}

/// One piece of compressed data under many names, as bombs of a few kilobytes have it that expand to petabytes.
#[test]
fn b11_b13_t26_entries_that_overlap() {
    refused(vec![
        (
            edited(|archive| {
                for number in 0..100 {
                    let entry = Entry {
                        offset: Some(0),
                        central_only: true,
                        ..Entry::new(format!("{number}.py"), "x")
                    };
                    archive.entries.push(entry);
                }
            }),
            "",
        ),
        (
            edited(|archive| {
                let again = Entry { offset: Some(0), central_only: true, ..archive.entries[0].clone() };
                archive.entries.push(again);
            }),
            "the entry '",
        ),
        (edited(|archive| archive.entries[1].offset = Some(0)), "the entry '"),
        (edited(|archive| archive.entries[1].offset = Some(10)), "the entry '"),
    ]);
    leaving_nothing(|index| {
        let file = edited(|archive| archive.entries[1].offset = Some(0));
        index.refuses(&file, ARCHIVE, "overlaps another");
    });
}

#[test]
fn b12_compression_that_not_every_program_knows() {
    leaving_nothing(|index| {
        // Shrink, deflate64, bzip2, LZMA, Zstandard, XZ, and AES.
        for method in [1, 9, 12, 14, 93, 95, 99] {
            let file = first(|entry| entry.method = method);
            index.refuses(&file, ARCHIVE, &format!("unsupported compression (method {method})"));
        }
    });
}

#[test]
fn b13_t26_a_wheel_that_expands_too_much() {
    leaving_nothing(|index| {
        let bomb = edited(|archive| archive.entries.push(Entry::zeros("zeros", 65 * MEBIBYTE)));
        index.refuses(&bomb, ARCHIVE, "expands too much");
        let many = edited(|archive| {
            for number in 0..14 {
                archive.entries.push(Entry::zeros(format!("{number}"), 5 * MEBIBYTE));
            }
        });
        index.refuses(&many, ARCHIVE, "expands too much");
        // What the headers say is enough: nothing is inflated.
        let boast = first(|entry| entry.size = Some(u32::MAX - 1));
        index.refuses(&boast, ARCHIVE, "expands too much");
        // Headers that say too little do not help either.
        let lie = wheel()
            .file("zeros", vec![0; 65 << 20])
            .build_with(|archive| archive.entry("zeros").size = Some(10));
        index.refuses(&lie, ARCHIVE, "it holds more than its header says");
    });
}

#[test]
fn b13_an_archive_in_an_archive_is_content_like_any_other() {
    let index = Index::new();
    let bomb = edited(|archive| archive.entries.push(Entry::zeros("zeros", 65 * MEBIBYTE))).bytes;
    index.takes(&wheel().file("data/bomb.whl", bomb).build());
    // Up to 64 MiB expand freely.
    index.takes(&wheel().file("zeros", vec![0; 60 << 20]).build());
}

#[test]
fn b14_paths_that_lead_out_of_the_archive() {
    leaving_nothing(|index| {
        for path in [
            "../x",
            "a/../../x",
            "a/..",
            "..",
            "/abs",
            "//host/share",
            "C:\\x",
            "C:/x",
            "c:x",
            "a\\b",
            "..\\x",
            "\\x",
            "~/x",
            "~root/.ssh/authorized_keys",
            "./x",
            "a/./b",
            "a//b",
            "",
        ] {
            let file = edited(|archive| archive.add(path, "x"));
            index.refuses(&file, ARCHIVE, "unsafe path in archive: '");
            let file = edited(|archive| {
                archive.entries.push(Entry { local_name: Some(path.into()), ..Entry::new("harmless", "x") });
            });
            index.refuses(&file, ARCHIVE, "");
        }
        for (path, sentence) in [
            (b"a\0b".to_vec(), "holds a control character"),
            (b"a\nb".to_vec(), "holds a control character"),
            (b"a\x1b[2Jb".to_vec(), "holds a control character"),
            (b"a\xff".to_vec(), "is not UTF-8"),
            ("\u{e4}".into(), "is not marked as UTF-8"),
            (vec![b'a'; 1025], "an entry name is longer than 1024 bytes"),
        ] {
            let file = edited(|archive| archive.entries.push(Entry::new(path, "x")));
            index.refuses(&file, ARCHIVE, sentence);
        }
    });
}

#[test]
fn b14_t26_links_and_devices_in_a_wheel() {
    leaving_nothing(|index| {
        let link = edited(|archive| archive.entries.push(Entry::link("link", "/etc/passwd")));
        index.refuses(&link, ARCHIVE, "is a link or a device");
        let inside = edited(|archive| archive.entries.push(Entry::link("link", "METADATA")));
        index.refuses(&inside, ARCHIVE, "is a link or a device");
        // Character device, block device, pipe, socket.
        for kind in [0o020_000_u32, 0o060_000, 0o010_000, 0o140_000] {
            let device = first(|entry| entry.external_attributes = (kind | 0o666) << 16);
            index.refuses(&device, ARCHIVE, "is a link or a device");
        }
    });
}

#[test]
fn b14_names_that_differ_only_in_case_are_noted() {
    let index = Index::new();
    let file = wheel().file("data/Read.me", "one").file("data/read.ME", "two").build();
    index.takes(&file);
    let warnings = index.warnings(&file.name, &file.filename);
    assert!(warnings.iter().any(|warning| warning.contains("only in upper and lower case")), "{warnings:?}");
}

#[test]
fn sound_wheels_of_less_common_shapes_are_taken() {
    let index = Index::new();
    let spelled = |wheel: Wheel, edit: &dyn Fn(&mut Zip)| wheel.build_with(edit);
    for file in [
        // Members that are stored as they are, directories, and names beyond ASCII.
        spelled(wheel(), &|archive| archive.entries.iter_mut().for_each(|entry| entry.method = 0)),
        spelled(wheel(), &|archive| {
            archive.entries.push(Entry {
                method: 0,
                external_attributes: 0o040_755 << 16 | 0x10,
                ..Entry::new("folder/", "")
            });
        }),
        wheel().build_number("1").build(),
        wheel().tag("cp39.cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64").build(),
    ] {
        index.takes(&file);
        assert_eq!(index.files(&file.name), [file.filename.as_str()]);
    }
}
