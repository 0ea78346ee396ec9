//! Wheels whose archive is sound and whose description of themselves is not.

use serde_json::json;
use testkit::python::{BuiltFile, Sdist, Wheel};

use super::scene::{Index, leaving_nothing, project, wheel};

const ARCHIVE: &str = "PYTHON_ARCHIVE_INVALID";
const METADATA: &str = "PYTHON_METADATA_INVALID";

#[test]
fn b15_not_exactly_one_dist_info_directory() {
    leaving_nothing(|index| {
        let sentence = "wheel must contain exactly one .dist-info directory";
        let none = wheel().dist_info("acme-1.0.info").build();
        index.refuses(&none, ARCHIVE, sentence);
        let nested = wheel().dist_info("lib/acme-1.0.dist-info").build();
        index.refuses(&nested, ARCHIVE, sentence);
        for second in
            ["other-1.0.dist-info/METADATA", "other-1.0.dist-info/x", "zzz.dist-info/x", "z.DIST-INFO/x"]
        {
            let two = wheel().file(second, "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n").build();
            index.refuses(&two, ARCHIVE, sentence);
        }
    });
}

#[test]
fn b15_the_dist_info_directory_of_something_else() {
    leaving_nothing(|index| {
        let (name, other) = (project(), project());
        let (spelled, other_spelled) = (name.replace('-', "_"), other.replace('-', "_"));
        for directory in [
            format!("{other_spelled}-1.0.dist-info"),
            format!("{spelled}-2.0.dist-info"),
            format!("{spelled}.dist-info"),
            format!("{spelled}-1.0-1.dist-info"),
            format!("{spelled}-1.0.DIST-INFO"),
            ".dist-info".to_owned(),
        ] {
            let file = Wheel::new(&name, "1.0").dist_info(&directory).build();
            index.refuses(&file, ARCHIVE, "is not that of ");
        }
    });
}

#[test]
fn b15_the_dist_info_directory_in_another_spelling_is_fine() {
    let index = Index::new();
    let word = testkit::random_word();
    let file =
        Wheel::new(&format!("Acme.{word}"), "1.0").dist_info(&format!("Acme.{word}-1.0.0.dist-info")).build();
    index.takes(&file);
}

#[test]
fn b16_metadata_that_is_missing_or_unreadable() {
    leaving_nothing(|index| {
        index.refuses(&wheel().without("METADATA").build(), METADATA, "METADATA is missing in '");
        let name = project();
        let start = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
        for (metadata, sentence) in [
            (b"".to_vec(), "METADATA has no Metadata-Version"),
            (format!("Name: {name}\nVersion: 1.0\n").into(), "METADATA has no Metadata-Version"),
            (b"Metadata-Version: 2.1\nVersion: 1.0\n".to_vec(), "METADATA has no Name"),
            (b"Metadata-Version: 2.1\nName:\nVersion: 1.0\n".to_vec(), "METADATA has no Name"),
            (format!("Metadata-Version: 2.1\nName: {name}\n").into(), "METADATA has no Version"),
            (format!("Metadata-Version: 2.1\n\nName: {name}\nVersion: 1.0\n").into(), "METADATA has no Name"),
            ([start.as_bytes(), b"Author: J\xf6rg\n"].concat(), "METADATA is not UTF-8"),
            ([start.as_bytes(), b"\n\xff\xfe description"].concat(), "METADATA is not UTF-8"),
            (format!("{start}Name: {name}\n").into(), "METADATA states Name more than once"),
            (format!("{start}Name: other\n").into(), "METADATA states Name more than once"),
            (format!("{start}version: 1.0\n").into(), "METADATA states Version more than once"),
            (format!("{start}Summary: a\nSummary: b\n").into(), "METADATA states Summary more than once"),
            (format!("{start}no field at all\n").into(), "METADATA has a line 4 that is not a field"),
            (format!(" {start}").into(), "METADATA begins with an indented line"),
            (
                format!("{start}{}", "Classifier: a\n".repeat(10_000)).into(),
                "METADATA has more than 10000 fields",
            ),
            (format!("{start}Author: a\0b\n").into(), "METADATA has a control character in line 4"),
            (format!("{start}Author: a\rName: other\n").into(), "METADATA has a control character in line 4"),
        ] {
            let file = Wheel::new(&name, "1.0").metadata(metadata).build();
            index.refuses(&file, METADATA, sentence);
        }
    });
}

#[test]
fn b16_metadata_of_five_mebibytes() {
    leaving_nothing(|index| {
        let text = "all work and no play ".repeat(5 << 20 >> 4);
        let file = wheel().description(&text).build();
        index.refuses(&file, METADATA, "METADATA is larger than 4194304 bytes");
        let sdist = Sdist::new(&project(), "1.0").description(&text).build();
        index.refuses(&sdist, METADATA, "PKG-INFO is larger than 4194304 bytes");
    });
}

#[test]
fn b16_u21_versions_of_metadata() {
    let index = Index::new();
    for version in ["1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6"] {
        let file = wheel().metadata_version(version).build();
        index.takes(&file);
        assert_eq!(index.warnings(&file.name, &file.filename), [""; 0], "{version}");
    }
    for version in ["2.7", "2.99", "1.3"] {
        let file = wheel().metadata_version(version).build();
        index.takes(&file);
        let warnings = index.warnings(&file.name, &file.filename);
        let sentence = format!("METADATA has version {version}, which is newer");
        assert!(warnings.iter().any(|warning| warning.contains(&sentence)), "{warnings:?}");
    }
    leaving_nothing(|index| {
        for version in ["3.0", "10.1", "0.9", "2", "2.x", "two", "-2.1", "2.1.1"] {
            let file = wheel().metadata_version(version).build();
            index.refuses(&file, METADATA, &format!("METADATA has Metadata-Version '{version}'"));
        }
    });
}

#[test]
fn b18_wheel_files_that_are_missing_or_too_new() {
    leaving_nothing(|index| {
        index.refuses(&wheel().without("WHEEL").build(), ARCHIVE, "WHEEL is missing in '");
        for (content, sentence) in [
            (
                b"Wheel-Version: 2.0\nTag: py3-none-any\n".as_slice(),
                "WHEEL has the unsupported Wheel-Version '2.0'",
            ),
            (b"Wheel-Version: x\n", "WHEEL has the unsupported Wheel-Version 'x'"),
            (b"Tag: py3-none-any\n", "WHEEL has no Wheel-Version"),
            (b"", "WHEEL has no Wheel-Version"),
            (b"\xff", "WHEEL is not UTF-8"),
        ] {
            index.refuses(&wheel().wheel(content).build(), ARCHIVE, sentence);
        }
    });
}

#[test]
fn b19_a_wheel_without_record_is_refused_under_every_policy() {
    leaving_nothing(|index| {
        index.refuses(&wheel().without("RECORD").build(), ARCHIVE, "RECORD is missing in '");
        index.policy(&json!({ "record": "warn" }));
        index.refuses(&wheel().without("RECORD").build(), ARCHIVE, "RECORD is missing in '");
    });
}

/// A wheel of a new project with a RECORD made of the path of its module and the name of its `.dist-info`
/// directory.
fn recorded(record: impl FnOnce(&str, &str) -> String) -> BuiltFile {
    let name = project();
    let wheel = Wheel::new(&name, "1.0");
    let (module, directory) = (format!("{}.py", name.replace('-', "_")), wheel.directory());
    wheel.record(record(&module, &directory)).build()
}

/// Wheels with a RECORD that does not match, and what is said of it.
fn mismatches() -> Vec<(BuiltFile, &'static str)> {
    let line = |hash: &'static str| {
        recorded(|module, directory| format!("{module},{hash},16\n{directory}/RECORD,,\n"))
    };
    let wrong_hash = {
        let name = project();
        Wheel::new(&name, "1.0").wrong_hash(&format!("{}.py", name.replace('-', "_"))).build()
    };
    let wrong_size = {
        let name = project();
        let module = format!("{}.py", name.replace('-', "_"));
        Wheel::new(&name, "1.0").build_with(|archive| {
            let record = archive.entries.last_mut().expect("RECORD comes last");
            let text = String::from_utf8_lossy(&record.content).replacen(",16\n", ",17\n", 1);
            assert!(text.starts_with(&module), "{text}");
            record.content = text.into_bytes();
        })
    };
    vec![
        (wrong_hash, "the hash of '"),
        (wrong_size, "the size of '"),
        (wheel().build_with(|archive| archive.add("unlisted.py", "x")), "'unlisted.py' is not listed"),
        (recorded(|_, _| String::new()), "is not listed"),
        (line(""), "there is no hash of '"),
        (line("md5=1B2M2Y8AsgTpgAmY7PhCfg"), "the hash algorithm is too weak"),
        (line("sha1=2jmj7l5rSw0yVb_vlWAYkK_YBwk"), "the hash algorithm is too weak"),
        (line("sha256=x"), "the hash is malformed"),
        (recorded(|_, _| "absent.py,sha256=x,1\n".to_owned()), "'absent.py' is listed but not in"),
        (recorded(|_, _| "one field\n".to_owned()), "a line is not a path, a hash and a size"),
    ]
}

#[test]
fn b19_a_record_that_does_not_match() {
    leaving_nothing(|index| {
        for (file, sentence) in mismatches() {
            index.refuses(&file, ARCHIVE, "RECORD does not match the wheel: ");
            index.refuses(&file, ARCHIVE, sentence);
        }
    });
    let index = Index::new();
    index.policy(&json!({ "record": "warn" }));
    for (file, sentence) in mismatches() {
        index.takes(&file);
        let warnings = index.warnings(&file.name, &file.filename);
        let found = |warning: &String| {
            warning.contains("RECORD does not match the wheel") && warning.contains(sentence)
        };
        assert!(warnings.iter().any(found), "{sentence}: {warnings:?}");
    }
}

#[test]
fn b20_tags_that_are_not_those_of_the_file_name_are_noted() {
    let index = Index::new();
    let file = wheel().wheel("Wheel-Version: 1.0\nTag: cp39-cp39-win32\n").build();
    index.takes(&file);
    let warnings = index.warnings(&file.name, &file.filename);
    let found = |warning: &String| warning.contains("the tags in WHEEL are not those in the file name");
    assert!(warnings.iter().any(found), "{warnings:?}");
}

#[test]
fn b21_entry_points_that_cannot_be_read_or_lead_elsewhere() {
    leaving_nothing(|index| {
        for text in [
            "[console_scripts]\n../../bin/ls = a:b\n",
            "[console_scripts]\n/bin/ls = a:b\n",
            "[gui_scripts]\nC:\\x = a:b\n",
            "[console_scripts]\n.. = a:b\n",
            "[console_scripts]\nx\n",
            "x = a:b\n",
            "[console_scripts\nx = a:b\n",
            "[console_scripts]\nx = a:b\nx = c:d\n",
            "[console_scripts]\nx = a:b\n[console_scripts]\ny = c:d\n",
        ] {
            let file = wheel().dist_info_file("entry_points.txt", text).build();
            index.refuses(&file, ARCHIVE, "invalid entry points: ");
        }
        let file = wheel().dist_info_file("entry_points.txt", b"[a]\n\xff = b\n".as_slice()).build();
        index.refuses(&file, ARCHIVE, "invalid entry points: ");
    });
    let good =
        wheel().dist_info_file("entry_points.txt", "[console_scripts]\nacme-demo = acme.demo:main\n").build();
    Index::new().takes(&good);
}

#[test]
fn b22_license_files_that_are_not_there() {
    let index = Index::new();
    let lacking = || {
        [
            wheel().metadata_version("2.4").header("License-File", "LICENSE.txt").build(),
            Sdist::new(&project(), "1.0")
                .metadata_version("2.4")
                .header("License-File", "LICENSE.txt")
                .build(),
        ]
    };
    for file in lacking() {
        index.takes(&file);
        let warnings = index.warnings(&file.name, &file.filename);
        let found = |warning: &String| warning.contains("the license file 'LICENSE.txt' is not in");
        assert!(warnings.iter().any(found), "{warnings:?}");
    }
    index.policy(&json!({ "license_files": "reject" }));
    for file in lacking() {
        index.refuses(&file, ARCHIVE, "the license file 'LICENSE.txt' is not in");
    }
    for file in [
        wheel()
            .metadata_version("2.4")
            .header("License-File", "LICENSE.txt")
            .dist_info_file("licenses/LICENSE.txt", "Do as you like.\n")
            .build(),
        Sdist::new(&project(), "1.0")
            .metadata_version("2.4")
            .header("License-File", "LICENSE.txt")
            .file("LICENSE.txt", "Do as you like.\n")
            .build(),
        // Before version 2.4 the field had no meaning that everybody shared.
        wheel().header("License-File", "LICENSE.txt").build(),
    ] {
        index.takes(&file);
        assert_eq!(index.warnings(&file.name, &file.filename), [""; 0]);
    }
}

#[test]
fn requirements_that_installers_do_not_understand_are_noted() {
    let index = Index::new();
    let file = wheel().header("Requires-Python", ">=3.8.*").header("Requires-Dist", "what (is this").build();
    index.takes(&file);
    let warnings = index.warnings(&file.name, &file.filename);
    for field in ["Requires-Python", "Requires-Dist"] {
        assert!(warnings.iter().any(|warning| warning.contains(field)), "{field}: {warnings:?}");
    }
}

/// Every page and every index of a release repeats this field, so it has to be short.
#[test]
fn b16_a_python_requirement_of_absurd_length() {
    leaving_nothing(|index| {
        for requirement in
            [">=3.8,".repeat(600_000), "x".repeat(100_000), format!(">=3.{}", "0".repeat(1100))]
        {
            let file = wheel().header("Requires-Python", &requirement).build();
            index.refuses(&file, METADATA, "METADATA has a Requires-Python of more than 1024 bytes");
        }
    });
    let long = format!(">=3.8{}", ",!=3.9.0".repeat(120));
    let file = wheel().header("Requires-Python", &long).build();
    let index = Index::new();
    index.takes(&file);
    assert_eq!(index.entry(&file.name, &file.filename)["requires-python"], long);
}

/// What is too much for the manifest is left out of it, and nothing is lost: METADATA itself is served whole.
#[test]
fn b16_metadata_of_nearly_the_limit_is_taken() {
    let index = Index::new();
    let long = (0..6000)
        .fold(wheel(), |wheel, number| wheel.header("Classifier", &format!("Topic :: {number:0>400}")));
    let odd = "\u{1}\u{7f}\"\\\u{2028}<script>".repeat(2000);
    for wheel in [
        long.description(&"all work and no play ".repeat(40_000)),
        wheel().description(&odd),
        wheel().header("License", &"x".repeat(1 << 20)).header("Keywords", &"y".repeat(1 << 20)),
        wheel().header("Author", &"z".repeat(2 << 20)).header("X-Vendor", &"v".repeat(1 << 20)),
    ] {
        let file = wheel.build();
        index.takes(&file);
        let manifest = index.writer.manifest_get(&index.repository(&file.name), "1.0").expect(&[200]);
        assert!(manifest.body.len() < 1 << 20, "{} bytes", manifest.body.len());
        let path = index.writer.python_path(&index.organization().name, "main", &file.name, &file.filename);
        let metadata = index.writer.get(&format!("{path}.metadata")).expect(&[200]);
        assert!(metadata.body == file.metadata, "other bytes");
    }
}
