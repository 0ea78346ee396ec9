use std::io::Cursor;

use proptest::prelude::*;

use super::super::LicenseFilePolicy;
use super::super::testing::{
    self, METADATA, SDIST_NAME, gzip, sdist_members, tar, tar_checksum, tar_extended, tar_file, tar_header,
    tar_member,
};
use super::*;

fn read_as(file_name: &str, file: &[u8], limits: &Limits) -> Result<Contents, Invalid> {
    match read_sdist(Cursor::new(file), file.len() as u64, &file_name.parse().unwrap(), limits) {
        Ok(contents) => Ok(contents),
        Err(Refused::Invalid(invalid)) => Err(invalid),
        Err(Refused::Io(error)) => panic!("memory does not fail: {error}"),
    }
}

fn read(file: &[u8]) -> Result<Contents, Invalid> {
    read_as(SDIST_NAME, file, &Limits::default())
}

/// A source distribution of the sound members and these.
fn with(members: &[Vec<u8>]) -> Vec<u8> {
    gzip(&tar(&[sdist_members(), members.to_vec()].concat()))
}

#[track_caller]
fn assert_refused(file: &[u8], reason: &str) {
    let invalid = read(file).expect_err(reason);
    assert!(invalid.message.contains(reason), "'{invalid}' should hold '{reason}'");
    let expected = if reason.contains("PKG-INFO") { Code::Metadata } else { Code::Archive };
    assert_eq!(invalid.code, expected, "{invalid}");
    let known = ["tar archive not accepted: ", "unsafe path in archive: ", "PKG-INFO "];
    assert!(known.iter().any(|prefix| invalid.message.starts_with(prefix)), "{invalid}");
}

#[test]
fn sound_source_distributions_are_read() {
    let contents = read(&with(&[])).unwrap();
    assert_eq!(contents, Contents { metadata: METADATA.as_bytes().to_vec(), warnings: Vec::new() });
    for members in [
        vec![tar_member("acme_demo-1.0/link", b'2', b"", "pyproject.toml")],
        vec![tar_member("acme_demo-1.0/a/link", b'2', b"", "../pyproject.toml")],
        vec![tar_member("acme_demo-1.0/same", b'1', b"", "acme_demo-1.0/pyproject.toml")],
        vec![tar_member("acme_demo-1.0/old", 0, b"x", "")],
        vec![tar_member("acme_demo-1.0/old/", 0, b"", "")],
        vec![tar_member("acme_demo-1.0/contiguous", b'7', b"x", "")],
        vec![tar_extended(b'g', &[("comment", "0123456789")]), tar_file("acme_demo-1.0/a", "")],
        vec![tar_file("acme_demo-1.0/large", &"x".repeat(100_000)), tar_file("acme_demo-1.0/a", "b")],
    ] {
        assert_eq!(read(&with(&members)).unwrap().warnings, [""; 0]);
    }
}

#[test]
fn the_end_may_be_one_block_or_many() {
    let members = sdist_members().concat();
    for zeros in [512, 1024, 10240, 513] {
        read(&gzip(&[members.clone(), vec![0; zeros]].concat())).unwrap();
    }
    assert_refused(&gzip(&members), "truncated, its end is missing");
    assert_refused(&gzip(&[members.clone(), vec![0; 100]].concat()), "truncated, its end is missing");
    assert_refused(&gzip(&[members.clone(), vec![0; 512], members.clone()].concat()), "data follows the end");
    assert_refused(&gzip(&[members, vec![0; 100_000], vec![1]].concat()), "data follows the end");
}

#[test]
fn other_files_are_not_source_distributions() {
    assert_refused(b"", "not compressed with gzip");
    assert_refused(&tar(&sdist_members()), "not compressed with gzip");
    assert_refused(&testing::zip(&[]), "not compressed with gzip");
    assert_refused(&gzip(b"hello"), "truncated");
    assert_refused(&gzip(&[b'x'; 5000]), "not a tar archive");
    assert_refused(&gzip(&tar(&[])), "it is empty");
    assert_refused(b"\x1f\x8b", "gzip stream is damaged");
}

#[test]
fn the_gzip_stream_is_one_and_whole() {
    let file = with(&[]);
    assert_refused(&[file.as_slice(), b"x"].concat(), "data follows the gzip stream");
    assert_refused(&[file.as_slice(), &[0; 600]].concat(), "data follows the gzip stream");
    assert_refused(&[file.clone(), file.clone()].concat(), "data follows the gzip stream");
    assert_refused(&[file.as_slice(), &testing::zip(&[])].concat(), "also a ZIP archive");
    assert_refused(&file[..file.len() - 1], "gzip stream is damaged");
    assert_refused(&file[..file.len() / 2], "gzip stream is damaged");
    let mut damaged = file.clone();
    let checksum_at = file.len() - 8;
    damaged[checksum_at] ^= 1;
    assert_refused(&damaged, "gzip stream is damaged");
}

#[test]
fn there_is_one_top_directory_named_after_the_file() {
    assert_refused(
        &with(&[tar_file("other/a", "")]),
        "exactly one top directory, found 'acme_demo-1.0' and 'other'",
    );
    assert_refused(&with(&[tar_file("a", "")]), "exactly one top directory");
    assert_refused(&gzip(&tar(&[tar_file("other-1.0/PKG-INFO", METADATA)])), "not that of acme-demo 1.0");
    assert_refused(&gzip(&tar(&[tar_file("PKG-INFO", METADATA)])), "not that of acme-demo 1.0");
    assert_refused(&gzip(&tar(&[tar_file("acme_demo-1.0", "")])), "is not a directory");
    assert_refused(&gzip(&tar(&[tar_member("acme_demo-1.0", b'2', b"", "x")])), "is not a directory");
    for top in ["Acme.Demo-1.0.0", "acme-demo-1.0"] {
        read(&gzip(&tar(&[tar_file(&format!("{top}/PKG-INFO"), METADATA)]))).unwrap();
    }
    let invalid = read_as("acme_demo-1.1.tar.gz", &with(&[]), &Limits::default()).unwrap_err();
    assert!(invalid.message.contains("not that of acme-demo 1.1"), "{invalid}");
}

#[test]
fn package_information_is_one_regular_file_in_the_top_directory() {
    let only = |member: Vec<u8>| gzip(&tar(&[member]));
    assert_refused(&only(tar_file("acme_demo-1.0/a/PKG-INFO", METADATA)), "PKG-INFO is missing");
    assert_refused(&only(tar_file("acme_demo-1.0/pkg-info", METADATA)), "PKG-INFO is missing");
    for kind in [b'1', b'2'] {
        let target = if kind == b'1' { "acme_demo-1.0/a" } else { "a" };
        let link = only(tar_member("acme_demo-1.0/PKG-INFO", kind, b"", target));
        assert_refused(&link, "PKG-INFO is not a regular file");
    }
    assert_refused(
        &only(tar_member("acme_demo-1.0/PKG-INFO", b'5', b"", "")),
        "PKG-INFO is not a regular file",
    );
    assert_refused(&with(&[tar_file("acme_demo-1.0/PKG-INFO", METADATA)]), "PKG-INFO is there twice");
    let large = format!("{METADATA}\n{}", "x".repeat(4 * 1024 * 1024));
    assert_refused(
        &only(tar_file("acme_demo-1.0/PKG-INFO", &large)),
        "PKG-INFO is larger than 4194304 bytes",
    );
    assert_eq!(read(&only(tar_file("acme_demo-1.0/PKG-INFO", ""))).unwrap_err().code, Code::Metadata);
}

#[test]
fn paths_must_be_safe() {
    for name in [
        "/etc/passwd",
        "acme_demo-1.0/../../x",
        "..",
        "acme_demo-1.0\\x",
        "C:/x",
        "~/x",
        "./x",
        "acme_demo-1.0//x",
    ] {
        assert_refused(&with(&[tar_file(name, "")]), "unsafe path in archive: ");
        assert_refused(
            &with(&[tar_extended(b'x', &[("path", name)]), tar_file("acme_demo-1.0/a", "")]),
            "unsafe path in archive: ",
        );
    }
    assert_refused(&with(&[tar_file("acme_demo-1.0/\u{7}", "")]), "control character");
    let mut block = tar_header("acme_demo-1.0/x", b'0', 0, "");
    block[14] = 0xff;
    assert_refused(&with(&[tar_checksum(block).to_vec()]), "not UTF-8");
}

#[test]
fn links_stay_in_the_top_directory() {
    for target in ["/etc/passwd", "..", "../x", "a/../../x", "a/../b", "a\\b", ""] {
        let link = tar_member("acme_demo-1.0/link", b'2', b"", target);
        assert_refused(&with(&[link]), "unsafe path in archive: the link 'acme_demo-1.0/link'");
    }
    for target in ["other/x", "acme_demo-1.0", "x"] {
        assert_refused(
            &with(&[tar_member("acme_demo-1.0/link", b'1', b"", target)]),
            "leaves the top directory",
        );
    }
    for target in ["/etc/passwd", "acme_demo-1.0/../../x", "../x", ""] {
        let link = tar_member("acme_demo-1.0/link", b'1', b"", target);
        assert_refused(&with(&[link]), "unsafe path in archive: ");
    }
    let behind = [
        tar_member("acme_demo-1.0/d", b'2', b"", "."),
        tar_member("acme_demo-1.0/d/link", b'2', b"", "../x"),
    ];
    assert_refused(&with(&behind), "lies behind a symbolic link");
    let long =
        [tar_extended(b'x', &[("linkpath", "../../x")]), tar_member("acme_demo-1.0/l", b'2', b"", "a")];
    assert_refused(&with(&long), "leaves the top directory");
}

#[test]
fn only_files_directories_and_links_are_accepted() {
    for kind in [b'3', b'4', b'6'] {
        assert_refused(&with(&[tar_member("acme_demo-1.0/x", kind, b"", "")]), "device or a pipe");
    }
    assert_refused(&with(&[tar_member("acme_demo-1.0/x", b'S', b"x", "")]), "sparse");
    for kind in [b'D', b'M', b'N', b'V', b'X', b'8', b'A'] {
        assert_refused(
            &with(&[tar_member("acme_demo-1.0/x", kind, b"", "")]),
            "not a file, a directory or a link",
        );
    }
    for key in ["GNU.sparse.major", "GNU.sparse.name", "GNU.sparse.map"] {
        let sparse = [tar_extended(b'x', &[(key, "1")]), tar_file("acme_demo-1.0/x", "")];
        assert_refused(&with(&sparse), "sparse");
    }
    for kind in [b'5', b'1', b'2'] {
        let member = tar_member("acme_demo-1.0/x", kind, b"content", "acme_demo-1.0/y");
        assert_refused(&with(&[member]), "is not a file and has content");
    }
    assert_refused(
        &with(&[tar_member("acme_demo-1.0/x/", 0, b"content", "")]),
        "is not a file and has content",
    );
    assert_refused(&with(&[tar_file("acme_demo-1.0/x/", "")]), "not a file, a directory or a link");
}

#[test]
fn setuid_bits_do_not_matter() {
    let mut block = tar_header("acme_demo-1.0/x", b'0', 0, "");
    block[100..107].copy_from_slice(b"0006755");
    read(&with(&[tar_checksum(block).to_vec()])).unwrap();
}

#[test]
fn long_names_are_read_and_bounded() {
    let long = format!("acme_demo-1.0/{}", "x".repeat(1010));
    assert_eq!(long.len(), 1024);
    let gnu = |name: &str| tar_member("././@LongLink", b'L', format!("{name}\0").as_bytes(), "");
    let short = || tar_file("acme_demo-1.0/short", "");
    // The same name a second time shows that it was read.
    let both = [gnu(&long), short(), tar_extended(b'x', &[("path", &long)]), tar_file("acme_demo-1.0/b", "")];
    let warnings = read(&with(&both)).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("twice"), "{warnings:?}");

    let longer = format!("{long}x");
    assert_refused(&with(&[gnu(&longer), short()]), "longer than 1024 bytes");
    assert_refused(&with(&[tar_extended(b'x', &[("path", &longer)]), short()]), "longer than 1024 bytes");
    // What a header claims is not believed before it is there, nor collected beyond the limit.
    let claim = |kind| tar_header("x", kind, 1 << 32, "").to_vec();
    assert_refused(&with(&[claim(b'L')]), "longer than 1024 bytes");
    assert_refused(&with(&[claim(b'K')]), "longer than 1024 bytes");
    assert_refused(&with(&[claim(b'x')]), "larger than 1048576 bytes");
    assert_refused(&with(&[claim(b'g')]), "larger than 1048576 bytes");

    assert_refused(&with(&[gnu(&long), gnu(&long), short()]), "two extended headers");
    assert_refused(&with(&[gnu(&long), tar_extended(b'x', &[("path", &long)]), short()]), "two long names");
    assert_refused(&with(&[gnu(&long)]), "ends after an extended header");
    assert_refused(&with(&[gnu("acme_demo-1.0/a\0b"), short()]), "control character");
    assert_refused(
        &with(&[tar_extended(b'g', &[("path", "acme_demo-1.0/x")]), short()]),
        "global extended header",
    );
}

#[test]
fn names_in_two_parts_are_joined_in_one_format_only() {
    let prefixed = |magic: &[u8; 8], prefix: &str| {
        let mut block = tar_header("x", b'0', 0, "");
        block[257..265].copy_from_slice(magic);
        block[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
        tar_checksum(block).to_vec()
    };
    read(&with(&[prefixed(b"ustar\x0000", "acme_demo-1.0/a")])).unwrap();
    assert_refused(&with(&[prefixed(b"ustar\x0000", "other")]), "exactly one top directory");
    assert_refused(&with(&[prefixed(b"ustar  \0", "acme_demo-1.0/a")]), "name prefix");
    assert_refused(&with(&[prefixed(&[0; 8], "acme_demo-1.0/a")]), "name prefix");
}

#[test]
fn sizes_are_stated_once() {
    let sized = |size: &str, content: &str| {
        with(&[tar_extended(b'x', &[("size", size)]), tar_file("acme_demo-1.0/x", content)])
    };
    read(&sized("3", "abc")).unwrap();
    assert_refused(&sized("2", "abc"), "given twice with different values");
    assert_refused(&sized("512", ""), "given twice with different values");
    assert_refused(&sized("8589934592", ""), "truncated");
    let mut block = tar_header("acme_demo-1.0/x", b'0', 0, "");
    block[124..136].copy_from_slice(b"0000000x000\0");
    assert_refused(&with(&[tar_checksum(block).to_vec()]), "malformed");
    block[124..136].copy_from_slice(&[0xff; 12]);
    assert_refused(&with(&[tar_checksum(block).to_vec()]), "malformed");
    block[124..136].copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    assert_refused(&with(&[tar_checksum(block).to_vec()]), "truncated");
    block[124..136].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    assert!(read(&with(&[tar_checksum(block).to_vec()])).is_err());
}

#[test]
fn damaged_headers_are_refused() {
    let mut member = tar_file("acme_demo-1.0/x", "");
    member[0] ^= 1;
    assert_refused(&with(&[member]), "a header in it is damaged");
}

#[test]
fn archives_that_expand_too_much_are_refused() {
    let bomb = with(&[tar_file("acme_demo-1.0/zeros", &"\0".repeat(1_000_000))]);
    read(&bomb).unwrap();
    for limits in [
        Limits { free_expansion: 10_000, ..Limits::default() },
        Limits { sdist_expanded: 999_999, ..Limits::default() },
    ] {
        let invalid = read_as(SDIST_NAME, &bomb, &limits).unwrap_err();
        assert!(invalid.message.contains("it expands too much"), "{invalid}");
    }
    // Padding counts as well.
    let padded = gzip(&[sdist_members().concat(), vec![0; 1_000_000]].concat());
    let limits = Limits { free_expansion: 10_000, ..Limits::default() };
    assert!(read_as(SDIST_NAME, &padded, &limits).unwrap_err().message.contains("expands too much"));
}

#[test]
fn entries_are_counted() {
    let limits = Limits { sdist_entries: 2, ..Limits::default() };
    let invalid = read_as(SDIST_NAME, &with(&[]), &limits).unwrap_err();
    assert!(invalid.message.contains("more than 2 entries"), "{invalid}");
}

#[test]
fn license_files_must_be_there() {
    let metadata = format!("{METADATA}License-File: a/LICENSE\n");
    let members =
        |more: &[Vec<u8>]| gzip(&tar(&[&[tar_file("acme_demo-1.0/PKG-INFO", &metadata)], more].concat()));
    let strict = Limits { license_files: LicenseFilePolicy::Reject, ..Limits::default() };
    assert!(read(&members(&[])).unwrap().warnings[0].contains("license file 'a/LICENSE'"));
    assert_eq!(read_as(SDIST_NAME, &members(&[]), &strict).unwrap_err().code, Code::Archive);
    let whole = members(&[tar_file("acme_demo-1.0/a/LICENSE", "")]);
    assert_eq!(read_as(SDIST_NAME, &whole, &strict).unwrap().warnings, [""; 0]);
}

#[test]
fn collisions_give_a_warning() {
    let warnings = read(&with(&[tar_file("acme_demo-1.0/PyProject.toml", "")])).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("only in case"), "{warnings:?}");
}

#[test]
fn a_failing_storage_is_not_the_fault_of_the_archive() {
    let file = with(&[]);
    for kept in [1, 5, file.len() / 2, file.len() - 1] {
        let refused = read_sdist(
            Cursor::new(&file[..kept]),
            file.len() as u64,
            &SDIST_NAME.parse().unwrap(),
            &Limits::default(),
        );
        assert!(matches!(refused, Err(Refused::Io(_))), "{refused:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(tar in proptest::collection::vec(any::<u8>(), 0..1200)) {
        let _ = read(&gzip(&tar));
        let _ = read(&[b"\x1f\x8b\x08", tar.as_slice()].concat());
    }

    #[test]
    fn mutated_source_distributions_do_not_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        outer in any::<bool>(),
    ) {
        let members = [
            tar_extended(b'x', &[("path", "acme_demo-1.0/long"), ("size", "1")]),
            tar_file("acme_demo-1.0/x", "x"),
            tar_member("././@LongLink", b'L', b"acme_demo-1.0/longer\0", ""),
            tar_member("acme_demo-1.0/y", b'2', b"", "x"),
        ];
        let mut file = tar(&[sdist_members(), members.to_vec()].concat());
        if outer {
            file = gzip(&file);
        }
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if !outer {
            // Only a right checksum leads beyond the header.
            for block in file.chunks_exact_mut(512) {
                if block[257..].starts_with(b"ustar") {
                    let mended = tar_checksum(block.try_into().unwrap());
                    block.copy_from_slice(&mended);
                }
            }
            file = gzip(&file);
        }
        let _ = read(&file);
    }
}
