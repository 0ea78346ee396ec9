//! What is accepted here, the crate `tar` reads the same way. It is not what the server reads with, for the
//! reasons that the module above gives.

use std::io::{Cursor, Read as _};

use ::tar::{Archive as Library, Builder, EntryType, Header};
use proptest::prelude::*;

use super::super::testing::{
    METADATA, SDIST_NAME, gzip, sdist_members, tar, tar_checksum, tar_extended, tar_header,
};
use super::super::{Limits, read_sdist};
use super::*;

/// A member and its content.
type Found = Vec<(String, Kind, Vec<u8>)>;

fn ours(plain: &[u8]) -> Result<Found, Refused> {
    let file = gzip(plain);
    let size = file.len() as u64;
    let budget = Budget::new(size, 100, 1 << 20, 1 << 20);
    let mut archive = Archive::new(Source::new(Cursor::new(file), size)?, budget, 1024)?;
    let mut found = Found::new();
    while let Some(member) = archive.next()? {
        let content = archive.take_content()?;
        assert_eq!(member.size, content.len() as u64);
        found.push((member.path, member.kind, content));
    }
    Ok(found)
}

fn theirs(plain: &[u8]) -> Result<Found, TestCaseError> {
    let fault = |error: io::Error| TestCaseError::fail(format!("the library refuses it: {error}"));
    let mut archive = Library::new(plain);
    let mut found = Found::new();
    for entry in archive.entries().map_err(fault)? {
        let mut entry = entry.map_err(fault)?;
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let link = entry.link_name_bytes().unwrap_or_default().into_owned();
        let link = String::from_utf8(link).unwrap();
        let kind = match entry.header().entry_type() {
            EntryType::XGlobalHeader => continue,
            EntryType::Directory => Kind::Directory,
            // The oldest format has no flag for directories, which the library leaves to its caller.
            EntryType::Regular if path.ends_with('/') => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Link => Kind::HardLink(link),
            EntryType::Symlink => Kind::SymbolicLink(link),
            other => return Err(TestCaseError::fail(format!("an accepted member is a {other:?}"))),
        };
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(fault)?;
        found.push((path.strip_suffix('/').unwrap_or(&path).to_owned(), kind, content));
    }
    Ok(found)
}

/// Compares the readers if the file is accepted.
fn compare(plain: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(found) = ours(plain) {
        prop_assert_eq!(theirs(plain)?, found);
    }
    Ok(())
}

/// Where a header says which format it has, and what the formats write there.
const MAGIC: std::ops::Range<usize> = 257..265;
const MAGICS: [&[u8; 8]; 5] = [b"ustar\x0000", b"ustar  \0", &[0; 8], b"ustar\0\0\0", b"ustar   "];

fn any_magic() -> impl Strategy<Value = &'static [u8; 8]> {
    prop_oneof![3 => Just(MAGICS[0]), 2 => Just(MAGICS[1]), 1 => prop::sample::select(MAGICS.to_vec())]
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![3 => "t/[ab]{1,2}/?".boxed(), 1 => "t/[ab]{95,110}/[ab]{1,3}".boxed()]
}

/// A header block with its content, which may or may not be one that archives have.
fn any_piece() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(b"00000555112L LKKxg7S3\0\0".to_vec());
    let magic = any_magic();
    let content = prop_oneof![Just(String::new()), "[a-z]{1,20}".boxed(), Just("x".repeat(600))];
    let size = prop_oneof![9 => Just(0_u64), 1 => Just(1_u64)];
    let prefix = prop_oneof![9 => Just(String::new()), 1 => "t/[ab]{1,3}".boxed()];
    (kind, magic, any_name(), any_name(), content, size, prefix).prop_map(
        |(kind, magic, name, link, content, size, prefix)| {
            // The content of an extension header that is cut out of the member must be a name.
            let content = match kind {
                b'L' | b'K' => format!("{link}\0").into_bytes(),
                b'1' | b'2' | b'5' => Vec::new(),
                _ => content.into_bytes(),
            };
            let link = if matches!(kind, b'1' | b'2') { link.as_str() } else { "" };
            let mut block = tar_header(&name, kind, content.len() as u64 + size, link);
            block[MAGIC].copy_from_slice(magic);
            block[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
            let mut member = tar_checksum(block).to_vec();
            member.extend_from_slice(&content);
            member.resize(member.len().next_multiple_of(512), 0);
            member
        },
    )
}

fn any_extended() -> impl Strategy<Value = Vec<u8>> {
    let record = prop_oneof![
        any_name().prop_map(|name| ("path", name)),
        any_name().prop_map(|name| ("linkpath", name)),
        (0_u32..30).prop_map(|size| ("size", size.to_string())),
        Just(("mtime", "1.5".to_owned())),
        Just(("uid", "7".to_owned())),
        Just(("comment", "path=x".to_owned())),
        Just(("SCHILY.xattr.user.x", "\u{1}\n12 path=t/x\n".to_owned())),
    ];
    let kind = prop_oneof![4 => Just(b'x'), 1 => Just(b'g')];
    let magic = any_magic();
    (kind, magic, prop::collection::vec(record, 0..3)).prop_map(|(kind, magic, records)| {
        let records: Vec<(&str, &str)> = records.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let mut member = tar_extended(kind, &records);
        let mut block: [u8; BLOCK_BYTES] = member[..BLOCK_BYTES].try_into().unwrap();
        block[MAGIC].copy_from_slice(magic);
        member[..BLOCK_BYTES].copy_from_slice(&tar_checksum(block));
        member
    })
}

/// How a member is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Ustar,
    Gnu,
    Pax,
    PaxWithSize,
}

/// Writes a file in a form, as far as that has room for its name.
fn append(builder: &mut Builder<Vec<u8>>, form: Form, path: &str, content: &[u8]) {
    let mut header = match form {
        Form::Gnu => Header::new_gnu(),
        Form::Ustar | Form::Pax | Form::PaxWithSize => Header::new_ustar(),
    };
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(EntryType::Regular);
    match form {
        Form::Gnu => return builder.append_data(&mut header, path, content).unwrap(),
        Form::Ustar if header.set_path(path).is_ok() => {}
        Form::Ustar | Form::Pax | Form::PaxWithSize => {
            let size = content.len().to_string();
            let records = [("path", path.as_bytes()), ("mtime", b"1700000000.25"), ("size", size.as_bytes())];
            let count = if matches!(form, Form::PaxWithSize) { 3 } else { 2 };
            builder.append_pax_extensions(records[..count].iter().copied()).unwrap();
            header.set_path("acme_demo-1.0/cut").unwrap();
        }
    }
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

fn any_form() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![Form::Ustar, Form::Gnu, Form::Pax, Form::PaxWithSize])
}

#[test]
fn the_source_distribution_of_the_tests_is_read_alike() {
    let plain = tar(&sdist_members());
    let found = ours(&plain).unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(theirs(&plain).unwrap(), found);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_accepted_is_read_alike(
        pieces in prop::collection::vec(prop_oneof![3 => any_piece().boxed(), 1 => any_extended().boxed()], 0..5),
    ) {
        compare(&tar(&pieces))?;
    }
}

proptest! {
    #[test]
    fn source_distributions_that_the_library_writes_are_accepted(
        package_info in any_form(),
        description in "\\PC{0,40}(\n\\PC{0,40}){0,3}",
        files in prop::collection::vec((any_form(), "[a-zé]{1,8}(/[a-zé ]{1,60}x){0,3}\\.py", any::<Vec<u8>>()), 0..6),
        commented in any::<bool>(),
        linked in any::<bool>(),
    ) {
        let metadata = format!("{METADATA}\n{description}");
        let mut builder = Builder::new(Vec::new());
        if commented {
            let record = b"14 comment=ab\n";
            let mut header = Header::new_ustar();
            header.set_path("pax_global_header").unwrap();
            header.set_entry_type(EntryType::XGlobalHeader);
            header.set_size(record.len() as u64);
            header.set_cksum();
            builder.append(&header, &record[..]).unwrap();
        }
        append(&mut builder, package_info, "acme_demo-1.0/PKG-INFO", metadata.as_bytes());
        let mut expected = vec![("acme_demo-1.0/PKG-INFO".to_owned(), Kind::File, metadata.into_bytes())];
        for (number, (form, path, content)) in files.into_iter().enumerate() {
            let path = format!("acme_demo-1.0/{number}/{path}");
            append(&mut builder, form, &path, &content);
            expected.push((path, Kind::File, content));
        }
        if linked {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            let (link, target) = ("acme_demo-1.0/docs/link", format!("../{}", "long/".repeat(30)));
            builder.append_link(&mut header, link, &target).unwrap();
            expected.push((link.to_owned(), Kind::SymbolicLink(target), Vec::new()));
        }
        let plain = builder.into_inner().unwrap();
        let file = gzip(&plain);
        let name = SDIST_NAME.parse().unwrap();
        let contents = read_sdist(Cursor::new(&file), file.len() as u64, &name, &Limits::default());
        let contents = contents.map_err(|refused| TestCaseError::fail(refused.to_string()))?;
        prop_assert_eq!(&contents.metadata, &expected[0].2);
        prop_assert_eq!(&ours(&plain).unwrap(), &expected);
        prop_assert_eq!(&theirs(&plain)?, &expected);
    }
}
