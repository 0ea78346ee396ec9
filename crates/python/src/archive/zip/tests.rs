use std::io::Cursor;

use proptest::prelude::*;

use super::super::testing::{self, Entry as Made, REGULAR, end_record, with_zip64_end, zip};
use super::*;

/// Names with their content, in the order of the file.
type Files = Vec<(String, Vec<u8>)>;

/// All entries with their content, and the warnings.
fn unpack_within(file: &[u8], limits: &Limits) -> Result<(Files, Vec<String>), String> {
    let mut notes = Notes::default();
    let source = Source::new(Cursor::new(file), file.len() as u64).unwrap();
    let mut archive = Archive::open(source, limits, &mut notes).map_err(|refused| refused.to_string())?;
    let mut files = Vec::new();
    for index in 0..archive.entries().len() {
        let content = archive.read(index).map_err(|refused| refused.to_string())?;
        files.push((archive.entries()[index].name.to_string(), content));
    }
    Ok((files, notes.into_warnings()))
}

fn unpack(file: &[u8]) -> Result<Files, String> {
    unpack_within(file, &Limits::default()).map(|(files, _)| files)
}

#[track_caller]
fn assert_refused(file: &[u8], reason: &str) {
    let refusal = unpack(file).expect_err(reason);
    let known =
        refusal.starts_with("ZIP archive not accepted: ") || refusal.starts_with("unsafe path in archive: ");
    assert!(known && refusal.contains(reason), "'{refusal}' should hold '{reason}'");
}

fn sound() -> Vec<Made> {
    vec![Made::stored("a.txt", b"hello"), Made::deflated("d/b.txt", &[b'x'; 1000]), Made::stored("ö/", b"")]
}

/// A sound file whose first entry is changed.
fn changed(change: impl FnOnce(Made) -> Made) -> Vec<u8> {
    let mut entries = sound();
    let first = entries.remove(0);
    entries.insert(0, change(first));
    zip(&entries)
}

/// A sound file whose end record has other bytes at `at`.
fn with_end(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = zip(&sound());
    let at = end_record(&file) + at;
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn sound_archives_are_read() {
    let expected = [
        ("a.txt".to_owned(), b"hello".to_vec()),
        ("d/b.txt".to_owned(), vec![b'x'; 1000]),
        ("ö/".to_owned(), Vec::new()),
    ];
    assert_eq!(unpack(&zip(&sound())).unwrap(), expected);
    assert_eq!(unpack(&with_zip64_end(&zip(&sound()))).unwrap(), expected);
    assert_eq!(unpack(&zip(&[])).unwrap(), []);
    let large: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = zip(&[Made::deflated("large", &large), Made::stored("same", &large)]);
    assert_eq!(unpack(&file).unwrap(), [("large".to_owned(), large.clone()), ("same".to_owned(), large)]);
}

#[test]
fn names_are_found() {
    let file = zip(&sound());
    let source = Source::new(Cursor::new(&file), file.len() as u64).unwrap();
    let archive = Archive::open(source, &Limits::default(), &mut Notes::default()).unwrap();
    assert_eq!(archive.find("d/b.txt"), Some(1));
    assert_eq!(
        (archive.find("ö"), archive.find("ö/"), archive.find("d"), archive.find("")),
        (None, None, None, None)
    );
}

#[test]
fn other_files_are_not_zip_archives() {
    for (file, reason) in [
        (b"".as_slice(), "not a ZIP archive"),
        (b"\x1f\x8b\x08 and so on, for long enough", "looks like a gzip file"),
        (b"\x89PNG\r\n\x1a\n and so on, for long enough", "looks like a PNG image"),
        (b"<!DOCTYPE html> and so on, for long enough", "looks like a web page"),
        (b"PK\x03\x04", "truncated"),
        (b"PK\x03\x04 and so on, for long enough", "truncated"),
    ] {
        assert_refused(file, reason);
    }
    assert_refused(&testing::tar(&testing::sdist_members()), "(also) a tar archive");
}

#[test]
fn a_tar_archive_that_is_a_zip_archive_too_is_refused() {
    let header = testing::tar_header("PK\x03\x04", b'0', 0, "");
    let mut file = header.to_vec();
    file.extend_from_slice(&zip(&[]));
    assert_refused(&file, "(also) a tar archive");
}

#[test]
fn data_around_the_archive_is_refused() {
    let sound = zip(&sound());
    assert_refused(&[b"#!/usr/bin/python\n", sound.as_slice()].concat(), "data before it");
    assert_refused(&[b"PK\x03\x04", sound.as_slice()].concat(), "data before the archive");
    assert_refused(&[sound.as_slice(), b"x"].concat(), "trailing data");
    assert_refused(&[sound.as_slice(), sound.as_slice()].concat(), "data before the archive");
    assert_refused(&sound[..sound.len() - 1], "truncated");
    let mut commented = [sound.as_slice(), b"hi"].concat();
    let end = end_record(&sound);
    commented[end + 20] = 2;
    assert_refused(&commented, "it has a comment");
    assert_refused(&with_end(20, &[5, 0]), "truncated");
}

#[test]
fn the_end_record_must_be_right() {
    assert_refused(&with_end(4, &[1, 0]), "several parts");
    assert_refused(&with_end(6, &[1, 0]), "several parts");
    assert_refused(&with_end(8, &[2, 0]), "several parts");
    assert_refused(&with_end(8, &[2, 0, 2, 0]), "more entries than it says");
    assert_refused(&with_end(8, &[4, 0, 4, 0]), "no header");
    assert_refused(&with_end(12, &[1]), "not where its end record says");
    assert_refused(&with_end(16, &[1]), "not where its end record says");
    assert_refused(&with_end(12, &[0xff; 8]), "not where its end record says");
}

#[test]
fn zip64_end_records_must_make_sense() {
    let wide = with_zip64_end(&zip(&sound()));
    let end = end_record(&wide);
    // Offsets back from the end record: the locator has 20 bytes, the ZIP64 record 56.
    for (name, at, byte) in [
        ("disk in the locator", end - 16, 1),
        ("position of the record", end - 12, 1),
        ("number of disks", end - 4, 2),
        ("signature", end - 76, b'X'),
        ("size of the record", end - 72, 45),
        ("disk", end - 60, 1),
        ("disk of the directory", end - 56, 1),
        ("entries here", end - 52, 1),
        ("entries", end - 44, 1),
    ] {
        let mut file = wide.clone();
        file[at] = byte;
        let refusal = unpack(&file).expect_err(name);
        assert!(refusal.contains("ZIP64 records contradict"), "{name}: {refusal}");
    }
    // A number that fits may be stated in both records, if it is the same.
    let mut file = wide.clone();
    file[end + 8..end + 12].copy_from_slice(&[3, 0, 3, 0]);
    unpack(&file).unwrap();
    file[end + 8..end + 12].copy_from_slice(&[2, 0, 2, 0]);
    assert_refused(&file, "ZIP64 records contradict");
    let mut file = wide;
    file[end - 28..end - 20].fill(0xff);
    assert_refused(&file, "not where its end record says");
}

#[test]
fn zip64_fields_must_make_sense() {
    let field = |kind: u8, numbers: &[u64]| {
        let mut field = vec![kind, 0, u8::try_from(numbers.len() * 8).unwrap(), 0];
        field.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        field
    };
    let wide = |numbers: &[u64]| {
        let extra = field(1, numbers);
        changed(|entry| {
            entry.both(|header| {
                (header.size, header.stored_size) = (u32::MAX, u32::MAX);
                header.extra.clone_from(&extra);
            })
        })
    };
    assert_eq!(unpack(&wide(&[5, 5])).unwrap()[0].1, b"hello");
    for numbers in [[].as_slice(), &[5], &[5, 5, 0]] {
        assert_refused(&wide(numbers), "ZIP64 field");
    }
    // Some writers use the wide form for the local header only.
    let local = changed(|entry| {
        entry.local(|header| {
            (header.size, header.stored_size) = (u32::MAX, u32::MAX);
            header.extra = field(1, &[5, 5]);
        })
    });
    assert_eq!(unpack(&local).unwrap()[0].1, b"hello");
    let twice = [field(1, &[]), field(1, &[])].concat();
    for (extra, reason) in [
        (field(1, &[5]), "ZIP64 field"),
        (field(1, &[]), "ZIP64 field"),
        (twice, "extra fields"),
        (vec![2, 0, 9, 0, 1], "extra fields"),
        (vec![2, 0, 0], "extra fields"),
        (vec![0x75, 0x70, 0, 0], "second name"),
    ] {
        assert_refused(&changed(|entry| entry.both(|header| header.extra.clone_from(&extra))), reason);
    }
    assert!(unpack(&changed(|entry| entry.both(|header| header.extra = field(2, &[7])))).is_ok());
}

#[test]
fn only_plain_entries_are_accepted() {
    assert_refused(&changed(|entry| entry.both(|header| header.flags |= 8)), "data descriptor");
    assert_refused(&changed(|entry| entry.both(|header| header.flags |= 1)), "encrypted");
    assert_refused(&changed(|entry| entry.both(|header| header.flags |= 1 << 6)), "flags");
    assert_refused(&changed(|entry| entry.both(|header| header.flags |= 1 << 13)), "flags");
    for method in [1, 9, 12, 14, 93, 99] {
        assert_refused(
            &changed(|entry| entry.both(|header| header.method = method)),
            "unsupported compression",
        );
    }
    assert_refused(&changed(|entry| entry.with(|entry| entry.comment = b"hi".to_vec())), "has a comment");
    assert_refused(&changed(|entry| entry.with(|entry| entry.disk = 1)), "another part");
    for kind in [0o120_000, 0o020_000, 0o060_000, 0o010_000, 0o140_000] {
        let file = changed(|entry| entry.with(|entry| entry.attributes = (kind | 0o777) << 16));
        assert_refused(&file, "a link or a device");
    }
    for attributes in [0, REGULAR, 0o040_755 << 16 | 0x10, 0o104_755 << 16] {
        unpack(&changed(|entry| entry.with(|entry| entry.attributes = attributes))).unwrap();
    }
}

#[test]
fn names_must_be_safe() {
    let named = |name: &[u8]| changed(|entry| entry.both(|header| header.name = name.to_vec()));
    for name in ["../x", "/abs", "C:\\x", "C:x", "a\\b", "~/x", "a/../../b", "a//b", "./a", ""] {
        assert_refused(&named(name.as_bytes()), "unsafe path in archive: ");
    }
    assert_refused(&named(b"a\0b"), "control character");
    assert_refused(&named(b"a\x1b[31m"), "control character");
    assert_refused(&named(b"a\xff"), "not UTF-8");
    assert_refused(&named("ü".as_bytes()), "not marked as UTF-8");
    assert_refused(&named(&[b'a'; 1025]), "longer than 1024 bytes");
    unpack(&named(&[b'a'; 1024])).unwrap();
    assert_refused(&named(b"a.txt/"), "has content");
}

#[test]
fn names_must_be_unique() {
    let twice = |first: &str, second: &str| zip(&[Made::stored(first, b""), Made::stored(second, b"")]);
    assert_refused(&twice("a", "a"), "'a' twice");
    assert_refused(&twice("a", "a/"), "'a' twice");
    let (_, warnings) = unpack_within(&twice("a/Ö", "A/ö"), &Limits::default()).unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("upper and lower case"), "{warnings:?}");
}

#[test]
fn both_headers_must_agree() {
    let differing = |change: fn(&mut testing::Header)| changed(|entry| entry.local(change));
    assert_refused(&differing(|header| header.name = b"b.txt".to_vec()), "name of the entry");
    assert_refused(&differing(|header| header.crc ^= 1), "checksum of the entry");
    assert_refused(&differing(|header| (header.size, header.stored_size) = (4, 4)), "size of the entry");
    assert_refused(&differing(|header| header.method = 8), "compression of the entry");
    assert_refused(&differing(|header| header.flags |= 8), "data descriptor");
    assert_refused(&differing(|header| header.flags |= 2), "flags of the entry");
}

#[test]
fn local_records_must_fill_the_file() {
    let mut gap = sound();
    gap[1].before = b"hidden".to_vec();
    assert_refused(&zip(&gap), "data that no entry accounts for lies before 'd/b.txt'");

    let mut unlisted = sound();
    unlisted[1].central = None;
    assert_refused(&zip(&unlisted), "data that no entry accounts for");

    let mut last_unlisted = sound();
    last_unlisted[2].central = None;
    assert_refused(&zip(&last_unlisted), "before the central directory");

    let mut missing = sound();
    missing[1].local = None;
    missing[1].data = Vec::new();
    assert!(unpack(&zip(&missing)).is_err());

    let mut overlapping = sound();
    overlapping[1].header_at = Some(0);
    assert_refused(&zip(&overlapping), "overlaps");

    let mut inside = sound();
    inside[1].header_at = Some(33);
    assert_refused(&zip(&inside), "overlaps");

    let mut outside = sound();
    outside[1].header_at = Some(u32::MAX - 1);
    assert!(unpack(&zip(&outside)).is_err());

    let long = changed(|entry| entry.both(|header| (header.size, header.stored_size) = (50_000, 50_000)));
    assert_refused(&long, "reaches into the central directory");
}

#[test]
fn content_must_be_what_the_headers_say() {
    assert_refused(&changed(|entry| entry.both(|header| header.crc ^= 1)), "checksum is wrong");
    assert_refused(&changed(|entry| entry.both(|header| header.size = 6)), "two sizes");
    let deflated = |change: &dyn Fn(&mut Made)| {
        let mut entry = Made::deflated("a", &[b'x'; 1000]);
        change(&mut entry);
        let stored_size = u32::try_from(entry.data.len()).unwrap();
        zip(&[entry.both(|header| header.stored_size = stored_size)])
    };
    unpack(&deflated(&|_| {})).unwrap();
    let resize = |entry: &mut Made, size| *entry = entry.clone().both(|header| header.size = size);
    assert_refused(&deflated(&|entry| resize(entry, 999)), "more than its header says");
    assert_refused(&deflated(&|entry| resize(entry, 1001)), "less than its header says");
    assert_refused(&deflated(&|entry| entry.data.push(0)), "data follows its deflate stream");
    assert_refused(&deflated(&|entry| entry.data.truncate(entry.data.len() - 1)), "does not end");
    assert_refused(&deflated(&|entry| entry.data.clear()), "does not end");
    assert_refused(&deflated(&|entry| entry.data[0] = 0x07), "corrupt");
}

#[test]
fn archives_that_expand_too_much_are_refused_before_they_do() {
    let limits = Limits { free_expansion: 1000, ..Limits::default() };
    let bomb = zip(&[Made::deflated("a", &vec![0; 1_000_000])]);
    let refusal = unpack_within(&bomb, &limits).unwrap_err();
    assert!(refusal.contains("expands too much"), "{refusal}");
    unpack(&bomb).unwrap();

    let limits = Limits { wheel_expanded: 999_999, ..Limits::default() };
    assert!(unpack_within(&bomb, &limits).unwrap_err().contains("more than 999999 bytes"));

    // A lie about the size does not help: inflating stops at the size that was stated.
    let lie = zip(&[Made::deflated("a", &vec![0; 1_000_000]).both(|header| header.size = 10)]);
    assert_refused(&lie, "more than its header says");
}

#[test]
fn entries_and_names_are_counted() {
    let limits = Limits { entries: 2, ..Limits::default() };
    assert!(unpack_within(&zip(&sound()), &limits).unwrap_err().contains("more than 2 entries"));
    let names: Vec<Made> = (0..17_000).map(|number| Made::stored(&format!("{number:01024}"), b"")).collect();
    assert_refused(&zip(&names), "entry names have more than");
}

#[test]
fn a_failing_storage_is_not_the_fault_of_the_archive() {
    let file = zip(&sound());
    let source = Source::new(Cursor::new(&file[..10]), file.len() as u64).unwrap();
    let refused = Archive::open(source, &Limits::default(), &mut Notes::default()).err();
    assert!(matches!(refused, Some(Refused::Io(_))), "{refused:?}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(file in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = unpack(&file);
    }

    #[test]
    fn mutated_archives_do_not_panic(
        wide in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = zip(&sound());
        if wide {
            file = with_zip64_end(&file);
        }
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(files) = unpack(&file) {
            prop_assert!(files.len() == 3 && files.iter().all(|(_, content)| content.len() <= 1000));
        }
    }
}
