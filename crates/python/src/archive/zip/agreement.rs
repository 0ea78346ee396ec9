//! What is accepted here, the crate `zip` reads the same way, from the central directory and from the local
//! headers alike. It is not what the server reads with: it believes the directory, and passes over what the
//! local headers say and what lies between the entries.

use std::io::{Cursor, Read as _, Seek as _, SeekFrom, Write as _};

use ::zip::read::read_zipfile_from_stream;
use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipArchive, ZipWriter};
use proptest::prelude::*;

use super::super::testing::{self, Entry as Made, METADATA, WHEEL, WHEEL_NAME, record, wheel_entries};
use super::super::{Limits, read_wheel};
use super::*;

/// Entries as names and contents, ordered by name.
type Found = Vec<(String, Vec<u8>)>;

fn ours(file: &[u8]) -> Result<Found, Refused> {
    let source = Source::new(Cursor::new(file), file.len() as u64)?;
    let mut archive = Archive::open(source, &Limits::default(), &mut Notes::default())?;
    let mut found = Found::new();
    for index in 0..archive.entries().len() {
        let content = archive.read(index)?;
        let entry = &archive.entries()[index];
        assert_eq!(entry.size, content.len() as u64);
        found.push((entry.name.to_string(), content));
    }
    found.sort();
    Ok(found)
}

fn theirs_by_directory(file: &[u8]) -> Found {
    let mut archive = ZipArchive::new(Cursor::new(file)).expect("what is accepted is a ZIP file");
    let mut found = Found::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an accepted entry can be read");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("an accepted entry is whole");
        assert_eq!(entry.size(), content.len() as u64);
        found.push((String::from_utf8(entry.name_raw().to_vec()).unwrap(), content));
    }
    found.sort();
    found
}

fn theirs_by_local_headers(file: &[u8]) -> Found {
    let mut reader = Cursor::new(file);
    let mut found = Found::new();
    while let Some(mut entry) = read_zipfile_from_stream(&mut reader).expect("an accepted header can be read")
    {
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("an accepted entry is whole");
        found.push((String::from_utf8(entry.name_raw().to_vec()).unwrap(), content));
    }
    found.sort();
    found
}

/// Compares the readers if the file is accepted.
fn compare(file: &[u8]) -> Result<(), TestCaseError> {
    let Ok(found) = ours(file) else { return Ok(()) };
    prop_assert_eq!(&theirs_by_directory(file), &found);
    // Where nothing is, there is no header to begin with.
    if !found.is_empty() {
        prop_assert_eq!(&theirs_by_local_headers(file), &found);
    }
    Ok(())
}

/// A change to an entry, most of which are defects.
#[derive(Debug, Clone)]
enum Oddity {
    Flags(u16),
    LocalFlags(u16),
    Method(u16),
    Checksum,
    LocalSize,
    StoredSize,
    LocalName,
    LocalExtra(Vec<u8>),
    CentralExtra(Vec<u8>),
    BothExtra(Vec<u8>),
    Comment,
    Before,
    Attributes(u32),
    HeaderAt(u32),
    NoLocal,
    NoCentral,
}

impl Oddity {
    fn apply(&self, entry: Made) -> Made {
        match self.clone() {
            Self::Flags(flags) => entry.both(|header| header.flags ^= flags),
            Self::LocalFlags(flags) => entry.local(|header| header.flags ^= flags),
            Self::Method(method) => entry.both(|header| header.method = method),
            Self::Checksum => entry.both(|header| header.crc ^= 1),
            Self::LocalSize => entry.local(|header| header.size += 1),
            Self::StoredSize => entry.both(|header| header.stored_size += 1),
            Self::LocalName => entry.local(|header| header.name.push(b'x')),
            Self::LocalExtra(extra) => entry.local(|header| header.extra.clone_from(&extra)),
            Self::CentralExtra(extra) => entry.with(|entry| {
                entry.central.iter_mut().for_each(|header| header.extra.clone_from(&extra));
            }),
            Self::BothExtra(extra) => entry.both(|header| header.extra.clone_from(&extra)),
            Self::Comment => entry.with(|entry| entry.comment = b"x".to_vec()),
            Self::Before => entry.with(|entry| entry.before = b"PK\x03\x04".to_vec()),
            Self::Attributes(attributes) => entry.with(|entry| entry.attributes = attributes),
            Self::HeaderAt(position) => entry.with(|entry| entry.header_at = Some(position)),
            Self::NoLocal => entry.with(|entry| entry.local = None),
            Self::NoCentral => entry.with(|entry| entry.central = None),
        }
    }
}

/// Extra fields, whole and cut off, with the kinds that change how an entry is read. Those for times
/// and comments are not among them: the library refuses some of them that nobody else looks at.
fn any_extra() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![0x0001_u16, 0x0009, 0x5855, 0x7075, 0x7875, 0x9901, 0xcafe]);
    let field = (kind, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(kind, value)| {
        let length = u16::try_from(value.len()).unwrap().to_le_bytes();
        [kind.to_le_bytes().to_vec(), length.to_vec(), value].concat()
    });
    (prop::collection::vec(field, 0..3), 0..8_usize).prop_map(|(fields, cut)| {
        let mut extra = fields.concat();
        extra.truncate(extra.len() - if cut < 3 { cut.min(extra.len()) } else { 0 });
        extra
    })
}

fn any_oddity() -> impl Strategy<Value = Oddity> {
    prop_oneof![
        prop::sample::select(vec![1_u16, 2, 4, 6, 8, 1 << 6, 1 << 11, 1 << 13]).prop_map(Oddity::Flags),
        Just(Oddity::LocalFlags(2)),
        prop::sample::select(vec![0_u16, 8, 9, 12, 93]).prop_map(Oddity::Method),
        Just(Oddity::Checksum),
        Just(Oddity::LocalSize),
        Just(Oddity::StoredSize),
        Just(Oddity::LocalName),
        any_extra().prop_map(Oddity::LocalExtra),
        any_extra().prop_map(Oddity::CentralExtra),
        any_extra().prop_map(Oddity::BothExtra),
        Just(Oddity::Comment),
        Just(Oddity::Before),
        prop::sample::select(vec![0_u32, 0o100_755 << 16, 0o040_755 << 16 | 16, 0o120_777 << 16])
            .prop_map(Oddity::Attributes),
        (0_u32..200).prop_map(Oddity::HeaderAt),
        Just(Oddity::NoLocal),
        Just(Oddity::NoCentral),
    ]
}

fn any_entry() -> impl Strategy<Value = Made> {
    let content = prop_oneof![prop::collection::vec(any::<u8>(), 0..200), Just(vec![b'x'; 5000])];
    let oddities = prop_oneof![4 => Just(None), 1 => any_oddity().prop_map(Some)];
    ("[a-cé]{1,3}(/[a-c.é]{1,3}){0,2}/?", content, any::<bool>(), oddities).prop_map(
        |(name, mut content, deflated, oddity)| {
            if name.ends_with('/') {
                content.clear();
            }
            let entry =
                if deflated { Made::deflated(&name, &content) } else { Made::stored(&name, &content) };
            match oddity {
                Some(oddity) => oddity.apply(entry),
                None => entry,
            }
        },
    )
}

/// A path, its content, and how it is written: deflated, with room for a large size, executable.
type Planned = (String, Vec<u8>, bool, bool, bool);

fn any_plan() -> impl Strategy<Value = Vec<Planned>> {
    let content = prop_oneof![prop::collection::vec(any::<u8>(), 0..300), Just(vec![b'x'; 100_000])];
    let file = (
        "acme_demo/[a-zé_ ]{1,8}(/[a-z.]{1,5}x)?\\.py",
        content,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    prop::collection::vec(file, 0..6).prop_map(|mut plan| {
        plan.sort();
        plan.dedup_by(|left, right| left.0 == right.0);
        plan
    })
}

/// A wheel as the library writes it.
fn written(plan: &[Planned], metadata: &[u8]) -> Vec<u8> {
    let mut plan = plan.to_vec();
    for (name, content) in [("METADATA", metadata), ("WHEEL", WHEEL.as_bytes())] {
        plan.push((format!("acme_demo-1.0.dist-info/{name}"), content.to_vec(), true, false, false));
    }
    let files: Vec<_> = plan.iter().map(|planned| (planned.0.clone(), planned.1.clone())).collect();
    let record = record(&files).into_bytes();
    plan.push(("acme_demo-1.0.dist-info/RECORD".to_owned(), record, true, false, false));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_directory("acme_demo/", SimpleFileOptions::default()).unwrap();
    for (name, content, deflated, large, executable) in plan {
        let method = if deflated { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .large_file(large)
            .unix_permissions(if executable { 0o755 } else { 0o644 });
        writer.start_file(name, options).unwrap();
        writer.write_all(&content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn the_wheel_of_the_tests_is_read_alike() {
    let files = testing::wheel_files();
    let file = testing::zip(&wheel_entries(&files, &record(&files)));
    let found = ours(&file).unwrap();
    assert_eq!(found.len(), files.len() + 1);
    assert_eq!(theirs_by_directory(&file), found);
    assert_eq!(theirs_by_local_headers(&file), found);
    let wide = testing::with_zip64_end(&file);
    assert_eq!(ours(&wide).unwrap(), found);
    assert_eq!(theirs_by_directory(&wide), found);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_accepted_is_read_alike(entries in prop::collection::vec(any_entry(), 0..5)) {
        compare(&testing::zip(&entries))?;
    }

    #[test]
    fn what_is_accepted_after_damage_is_read_alike(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        wide in any::<bool>(),
    ) {
        let files = testing::wheel_files();
        let mut file = testing::zip(&wheel_entries(&files, &record(&files)));
        if wide {
            file = testing::with_zip64_end(&file);
        }
        for (position, byte) in damage {
            let position = position.index(file.len());
            file[position] = byte;
        }
        compare(&file)?;
    }
}

proptest! {
    #[test]
    fn wheels_that_the_library_writes_are_accepted(
        plan in any_plan(),
        description in "\\PC{0,40}(\n\\PC{0,40}){0,3}",
    ) {
        let metadata = format!("{METADATA}\n{description}");
        let file = written(&plan, metadata.as_bytes());
        let name = WHEEL_NAME.parse().unwrap();
        let mut reader = Cursor::new(&file);
        let contents = read_wheel(&mut reader, file.len() as u64, &name, &Limits::default());
        let contents = contents.map_err(|refused| TestCaseError::fail(refused.to_string()))?;
        compare(&file)?;
        reader.seek(SeekFrom::Start(0)).unwrap();
        let mut theirs = Vec::new();
        let mut archive = ZipArchive::new(reader).unwrap();
        archive.by_name("acme_demo-1.0.dist-info/METADATA").unwrap().read_to_end(&mut theirs).unwrap();
        prop_assert_eq!(contents.metadata, theirs);
    }
}
