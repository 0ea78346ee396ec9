use std::io::Cursor;

use proptest::prelude::*;

use super::super::testing::{
    self, Entry as Made, METADATA, WHEEL, WHEEL_NAME, record, record_line, wheel_entries, wheel_files, zip,
};
use super::super::{LicenseFilePolicy, RecordPolicy};
use super::*;

const INFORMATION: &str = "acme_demo-1.0.dist-info";

/// Makes another RECORD out of the right one.
type Change<'a> = &'a dyn Fn(&str) -> String;

fn read_as(file_name: &str, file: &[u8], limits: &Limits) -> Result<Contents, Invalid> {
    match read_wheel(Cursor::new(file), file.len() as u64, &file_name.parse().unwrap(), limits) {
        Ok(contents) => Ok(contents),
        Err(Refused::Invalid(invalid)) => Err(invalid),
        Err(Refused::Io(error)) => panic!("memory does not fail: {error}"),
    }
}

fn read(file: &[u8]) -> Result<Contents, Invalid> {
    read_as(WHEEL_NAME, file, &Limits::default())
}

/// A wheel of the sound files, changed by `change`, with a RECORD that fits.
fn wheel(change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut files = wheel_files();
    change(&mut files);
    let record = record(&files);
    zip(&wheel_entries(&files, &record))
}

fn add(files: &mut Vec<(String, Vec<u8>)>, name: &str, content: &str) {
    files.push((name.to_owned(), content.as_bytes().to_vec()));
}

fn replace(files: &mut [(String, Vec<u8>)], name: &str, content: &[u8]) {
    let path = format!("{INFORMATION}/{name}");
    let file = files.iter_mut().find(|(name, _)| *name == path).unwrap();
    file.1 = content.to_vec();
}

/// A sound wheel whose RECORD is changed by `change`.
fn with_record(change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let files = wheel_files();
    let record = change(&record(&files));
    zip(&wheel_entries(&files, &record))
}

#[track_caller]
fn assert_refused(file: &[u8], code: Code, reason: &str) {
    let invalid = read(file).expect_err(reason);
    assert!(invalid.message.contains(reason), "'{}' should hold '{reason}'", invalid.message);
    assert_eq!(invalid.code, code, "{invalid}");
}

#[test]
fn sound_wheels_are_read() {
    let contents = read(&wheel(|_| {})).unwrap();
    assert_eq!(contents, Contents { metadata: METADATA.as_bytes().to_vec(), warnings: Vec::new() });
    // A directory needs no line in RECORD, and the signatures of RECORD need none either.
    let files = wheel_files();
    let mut entries = wheel_entries(&files, &record(&files));
    entries.insert(0, Made::stored("acme_demo/", b""));
    entries.push(Made::stored(&format!("{INFORMATION}/RECORD.jws"), b"{}"));
    entries.push(Made::stored(&format!("{INFORMATION}/RECORD.p7s"), b"x"));
    assert_eq!(read(&zip(&entries)).unwrap().warnings, [""; 0]);
}

#[test]
fn metadata_is_returned_byte_for_byte() {
    let odd = b"Metadata-Version: 2.1\r\nName: acme-demo\r\nVersion: 1.0\r\n\r\n  trailing \r\n\r\n";
    assert_eq!(read(&wheel(|files| replace(files, "METADATA", odd))).unwrap().metadata, odd);
}

#[test]
fn other_files_are_not_wheels() {
    assert_refused(&testing::gzip(&[b'x'; 100]), Code::Archive, "not a ZIP archive");
    assert_refused(&testing::tar(&testing::sdist_members()), Code::Archive, "tar archive");
    assert_refused(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on", Code::Archive, "not a ZIP archive");
    assert_refused(b"", Code::Archive, "not a ZIP archive");
}

#[test]
fn there_is_one_information_directory() {
    let none = zip(&[Made::stored("acme_demo/a.py", b"")]);
    assert_refused(&none, Code::Archive, "exactly one .dist-info directory, found none");
    for second in ["other-1.0.dist-info/METADATA", "acme_demo-1.0.DIST-INFO/METADATA", "x.dist-info"] {
        let two = wheel(|files| add(files, second, ""));
        assert_refused(&two, Code::Archive, "wheel must contain exactly one .dist-info directory, found ");
    }
    // Below the root it is an ordinary directory.
    read(&wheel(|files| add(files, "acme_demo/other-1.0.dist-info/METADATA", ""))).unwrap();
}

#[test]
fn the_information_directory_is_that_of_the_file() {
    let file = wheel(|_| {});
    for name in ["Acme.Demo-1.0.0-py3-none-any.whl", "acme_demo-1.0-py3-none-any.whl"] {
        read_as(name, &file, &Limits::default()).unwrap();
    }
    for name in
        ["acme-1.0-py3-none-any.whl", "acme_demo-1.1-py3-none-any.whl", "acme_demo2-1.0-py3-none-any.whl"]
    {
        let invalid = read_as(name, &file, &Limits::default()).unwrap_err();
        assert!(invalid.message.contains("is not that of"), "{invalid}");
    }
}

#[test]
fn the_files_that_describe_the_wheel_are_there() {
    for (name, code) in [("METADATA", Code::Metadata), ("WHEEL", Code::Archive)] {
        let path = format!("{INFORMATION}/{name}");
        let file = wheel(|files| files.retain(|(name, _)| *name != path));
        assert_refused(&file, code, &format!("{name} is missing"));
    }
    let files = wheel_files();
    let without_record: Vec<Made> = files.iter().map(|(name, content)| Made::stored(name, content)).collect();
    assert_refused(&zip(&without_record), Code::Archive, "RECORD is missing");
    let limits = Limits { record: RecordPolicy::Warn, ..Limits::default() };
    let invalid = read_as(WHEEL_NAME, &zip(&without_record), &limits).unwrap_err();
    assert!(invalid.message.contains("RECORD is missing"), "absence is refused under any policy: {invalid}");
}

#[test]
fn the_files_that_describe_the_wheel_are_bounded() {
    let mut metadata = METADATA.as_bytes().to_vec();
    metadata.resize(4 * 1024 * 1024 + 1, b'\n');
    let file = wheel(|files| replace(files, "METADATA", &metadata));
    assert_refused(&file, Code::Metadata, "METADATA is larger than 4194304 bytes");
    let file = wheel(|files| replace(files, "WHEEL", &vec![b'\n'; 300_000]));
    assert_refused(&file, Code::Archive, "WHEEL is larger than 262144 bytes");
    let file = wheel(|files| add(files, &format!("{INFORMATION}/entry_points.txt"), &"\n".repeat(1_100_000)));
    assert_refused(&file, Code::Archive, "entry_points.txt is larger than 1048576 bytes");
    let file = with_record(|record| record.to_owned() + &"\n".repeat(17 * 1024 * 1024));
    assert_refused(&file, Code::Archive, "RECORD is larger than 16777216 bytes");
}

#[test]
fn unreadable_metadata_is_refused() {
    assert_refused(&wheel(|files| replace(files, "METADATA", b"\xff")), Code::Metadata, "");
}

#[test]
fn the_wheel_file_is_checked() {
    let newer = WHEEL.replace("1.0", "2.0");
    let file = wheel(|files| replace(files, "WHEEL", newer.as_bytes()));
    assert_refused(&file, Code::Archive, "unsupported Wheel-Version '2.0'");
    let other_tag = WHEEL.replace("py3", "py2");
    let warnings = read(&wheel(|files| replace(files, "WHEEL", other_tag.as_bytes()))).unwrap().warnings;
    assert_eq!(warnings, ["the tags in WHEEL are not those in the file name"]);
}

#[test]
fn entry_points_are_checked() {
    let with = |text: &str| wheel(|files| add(files, &format!("{INFORMATION}/entry_points.txt"), text));
    read(&with("[console_scripts]\nacme = acme_demo:main\n")).unwrap();
    assert_refused(
        &with("[console_scripts]\n../acme = acme_demo:main\n"),
        Code::Archive,
        "invalid entry points: ",
    );
}

#[test]
fn record_must_match_the_files() {
    let line = |name: &str, content: &[u8]| record_line(name, content);
    let empty = "acme_demo/empty";
    let without = |record: &str| record.replace(&line(empty, b""), "");
    let cases: [(&str, Change); 13] = [
        ("'acme_demo/empty' is not listed", &without),
        ("is not listed", &|_| String::new()),
        ("'acme_demo/gone' is listed but not in the archive", &|record| {
            record.to_owned() + &line("acme_demo/gone", b"")
        }),
        ("'../acme' is listed but not in the archive", &|record| record.to_owned() + &line("../acme", b"")),
        ("the hash of 'acme_demo/empty' differs", &|record| {
            without(record) + &line(empty, b"x").replace(",1\n", ",0\n")
        }),
        ("the size of 'acme_demo/empty' differs", &|record| {
            without(record) + &line(empty, b"").replace(",0\n", ",1\n")
        }),
        ("too weak for the entry of 'acme_demo/empty'", &|record| {
            without(record) + "acme_demo/empty,md5=1B2M2Y8AsgTpgAmY7PhCfg,0\n"
        }),
        ("too weak for the entry of 'acme_demo/empty'", &|record| {
            without(record) + "acme_demo/empty,sha1=2jmj7l5rSw0yVb_vlWAYkK_YBwk,0\n"
        }),
        ("there is no hash of 'acme_demo/empty'", &|record| without(record) + "acme_demo/empty,,\n"),
        ("that of 'acme_demo/empty'", &|record| without(record) + "acme_demo/empty,sha256=x,0\n"),
        ("'acme_demo/empty' is listed twice", &|record| {
            record.to_owned() + &line(empty, b"").replace(",0\n", ",\n")
        }),
        ("a line is not", &|record| record.to_owned() + "a,b\n"),
        ("a line is not", &|record| record.to_owned() + "a,b,c,d\n"),
    ];
    let warn = Limits { record: RecordPolicy::Warn, ..Limits::default() };
    for (reason, change) in cases {
        let file = with_record(change);
        assert_refused(&file, Code::Archive, reason);
        let invalid = read(&file).unwrap_err();
        assert!(invalid.message.starts_with("RECORD does not match the wheel: "), "{invalid}");
        let warnings = read_as(WHEEL_NAME, &file, &warn).unwrap().warnings;
        let found = warnings.iter().any(|warning| warning.contains(reason));
        assert!(found, "{warnings:?} should hold '{reason}'");
    }
}

#[test]
fn record_may_be_written_in_several_ways() {
    for change in [
        |record: &str| record.replace('"', ""),
        |record: &str| record.replace('\n', "\r\n"),
        |record: &str| record.trim_end().to_owned(),
        |record: &str| record.to_owned() + "\n\nacme_demo/,,\n",
        |record: &str| record.to_owned() + record,
        |record: &str| record.replace("acme_demo-1.0.dist-info/RECORD,,\n", ""),
    ] {
        assert_eq!(read(&with_record(change)).unwrap().warnings, [""; 0]);
    }
    read(&wheel(|files| add(files, "acme_demo/a,\"b\".txt", "x"))).unwrap();
}

#[test]
fn content_that_differs_from_its_checksum_is_refused_under_any_policy() {
    let files = wheel_files();
    let mut entries = wheel_entries(&files, &record(&files));
    entries[0] = entries[0].clone().both(|header| header.crc ^= 1);
    let limits = Limits { record: RecordPolicy::Warn, ..Limits::default() };
    let invalid = read_as(WHEEL_NAME, &zip(&entries), &limits).unwrap_err();
    assert!(invalid.message.contains("checksum is wrong"), "{invalid}");
}

#[test]
fn many_faults_give_few_warnings() {
    let limits = Limits { record: RecordPolicy::Warn, ..Limits::default() };
    let file = with_record(|record| record.to_owned() + &"a,b\n".repeat(1000));
    assert_eq!(read_as(WHEEL_NAME, &file, &limits).unwrap().warnings.len(), 21);
}

#[test]
fn license_files_must_be_there() {
    let metadata = format!("{METADATA}License-File: LICENSE.txt\n");
    let missing = wheel(|files| replace(files, "METADATA", metadata.as_bytes()));
    let warnings = read(&missing).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("license file 'LICENSE.txt'"), "{warnings:?}");

    let strict = Limits { license_files: LicenseFilePolicy::Reject, ..Limits::default() };
    let invalid = read_as(WHEEL_NAME, &missing, &strict).unwrap_err();
    assert!(invalid.message.contains("license file 'LICENSE.txt'"), "{invalid}");

    let present = wheel(|files| {
        replace(files, "METADATA", metadata.as_bytes());
        add(files, &format!("{INFORMATION}/licenses/LICENSE.txt"), "free");
    });
    assert_eq!(read_as(WHEEL_NAME, &present, &strict).unwrap().warnings, [""; 0]);

    let old = metadata.replace("2.4", "2.3");
    let old = wheel(|files| replace(files, "METADATA", old.as_bytes()));
    assert_eq!(read_as(WHEEL_NAME, &old, &strict).unwrap().warnings, [""; 0]);
}

proptest! {
    #[test]
    fn mutated_wheels_do_not_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = wheel(|files| add(files, &format!("{INFORMATION}/entry_points.txt"), "[a]\nb=c\n"));
        let _ = read(&file[..cut.index(file.len())]);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = read(&file);
    }

    #[test]
    fn arbitrary_descriptions_do_not_panic(
        record in "(acme_demo/empty|,|sha256=|\"|\n|.){0,40}",
        wheel_file in "(Wheel-Version: 1\\.0\n)?(.|\n){0,40}",
        entry_points in "(\\[|\\]|=|.|\n){0,40}",
    ) {
        let mut files = wheel_files();
        replace(&mut files, "WHEEL", wheel_file.as_bytes());
        add(&mut files, &format!("{INFORMATION}/entry_points.txt"), &entry_points);
        let file = zip(&wheel_entries(&files, &record));
        let _ = read_as(WHEEL_NAME, &file, &Limits { record: RecordPolicy::Warn, ..Limits::default() });
    }
}
