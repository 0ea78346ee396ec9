use proptest::prelude::*;

use super::*;

const MINIMAL: &str = "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n";

fn parse(text: &str) -> Metadata {
    Metadata::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> Invalid {
    Metadata::parse(text.as_bytes()).expect_err(text)
}

#[test]
fn a_usual_file() {
    let metadata = parse(
        "Metadata-Version: 2.4\nname: Acme.Demo\nVersion: 1.0.0\nSummary: a demo: with colon  \n\
         home-page: https://acme.example\nAuthor-Email: Zoë <zoe@acme.example>\n\
         Requires-Dist: six>=1.0\nRequires-Dist: attrs; extra == 'x'\nProvides-Extra: x\n\
         Requires-Python: >=3.8\nLicense-File: LICENSE\nLicense-File: a/b\nDynamic: summary\n\
         X-Vendor: yes\n\n# Title\n\nText\r\nwith: colon\n",
    );
    assert_eq!(metadata.metadata_version(), "2.4");
    assert_eq!(metadata.name().as_str(), "Acme.Demo");
    assert_eq!(metadata.version().to_string(), "1.0.0");
    assert_eq!(metadata.summary(), Some("a demo: with colon"));
    assert_eq!(metadata.requires_python(), Some(">=3.8"));
    assert_eq!(metadata.get("AUTHOR-EMAIL"), Some("Zoë <zoe@acme.example>"));
    assert_eq!(metadata.all("requires-dist").collect::<Vec<_>>(), ["six>=1.0", "attrs; extra == 'x'"]);
    assert_eq!(metadata.license_files().collect::<Vec<_>>(), ["LICENSE", "a/b"]);
    assert_eq!(metadata.dynamic().collect::<Vec<_>>(), ["summary"]);
    assert_eq!(metadata.description(), Some("# Title\n\nText\r\nwith: colon\n"));
    assert_eq!(metadata.warnings(), &[] as &[String]);
    let names: Vec<&str> = metadata.fields().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Metadata-Version",
            "Name",
            "Version",
            "Summary",
            "Home-page",
            "Author-email",
            "Requires-Dist",
            "Requires-Dist",
            "Provides-Extra",
            "Requires-Python",
            "License-File",
            "License-File",
            "Dynamic",
            "X-Vendor",
            "Description",
        ]
    );
}

#[test]
fn folded_values() {
    let metadata = parse(&format!(
        "{MINIMAL}License: MIT\n        Copyright\n          indented\n        \n        end\n\
         Keywords: one,\n  two,\n\tthree\nDescription: First\n       |  code\n       |end\n"
    ));
    assert_eq!(metadata.get("License"), Some("MIT\nCopyright\n  indented\n\nend"));
    assert_eq!(metadata.get("Keywords"), Some("one, two, three"));
    assert_eq!(metadata.description(), Some("First\n  code\nend"));
}

#[test]
fn windows_line_ends() {
    let metadata = parse("Metadata-Version: 2.1\r\nName: acme\r\nVersion: 1.0\r\n\r\nText\r\n");
    assert_eq!(metadata.name().as_str(), "acme");
    assert_eq!(metadata.description(), Some("Text\r\n"));
}

#[test]
fn placeholders_and_empty_values_are_left_out() {
    let metadata = parse(
        "Metadata-Version: 2.1\nName: UNKNOWN\nVersion: 1.0\nSummary: UNKNOWN\nLicense:\nRequires-Python: \nDescription: UNKNOWN\n\nbody\n",
    );
    assert_eq!(metadata.name().as_str(), "UNKNOWN");
    assert_eq!(metadata.summary(), None);
    assert_eq!(metadata.get("License"), None);
    assert_eq!(metadata.requires_python(), None);
    assert_eq!(metadata.description(), Some("body\n"));
}

#[test]
fn no_description() {
    assert_eq!(parse(MINIMAL).description(), None);
    assert_eq!(parse(&format!("{MINIMAL}\n\n \n")).description(), None);
}

#[test]
fn metadata_versions() {
    for version in ["1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6"] {
        let metadata = parse(&MINIMAL.replace("2.1", version));
        assert_eq!(metadata.warnings(), &[] as &[String], "{version}");
    }
    for version in ["2.7", "2.10", "1.3"] {
        let metadata = parse(&MINIMAL.replace("2.1", version));
        assert_eq!(metadata.warnings().len(), 1, "{version}");
    }
    for version in ["3.0", "0.9", "2", "2.x", "2.1.1", "-2.1", "+2.1", ".1", "2.", "99999999999.0"] {
        let error = refused(&MINIMAL.replace("2.1", version));
        assert_eq!(error.code, Code::Metadata, "{version}");
        assert!(error.message.contains("Metadata-Version"), "{error}");
    }
}

#[test]
fn files_that_are_refused() {
    for (text, code, part) in [
        (String::new(), Code::Metadata, "no Metadata-Version"),
        ("\nMetadata-Version: 2.1\nName: a\nVersion: 1\n".to_owned(), Code::Metadata, "no Metadata-Version"),
        ("Metadata-Version: 2.1\nVersion: 1\n".to_owned(), Code::Metadata, "no Name"),
        ("Metadata-Version: 2.1\nName: a\n".to_owned(), Code::Metadata, "no Version"),
        ("Metadata-Version: 2.1\nName: a\n\nVersion: 1\n".to_owned(), Code::Metadata, "no Version"),
        ("Metadata-Version: 2.1\nName: acmé\nVersion: 1\n".to_owned(), Code::Name, "acmé"),
        ("Metadata-Version: 2.1\nName: a\nVersion: x\n".to_owned(), Code::Version, "'x'"),
        (format!("{MINIMAL}Name: other\n"), Code::Metadata, "Name more than once"),
        (format!("{MINIMAL}version: 1.0\n"), Code::Metadata, "Version more than once"),
        (format!("{MINIMAL}Version: UNKNOWN\n"), Code::Metadata, "Version more than once"),
        (format!("Version:\n{MINIMAL}"), Code::Metadata, "Version more than once"),
        (format!("{MINIMAL}Description: a\nDescription: b\n"), Code::Metadata, "Description more than once"),
        (format!("{MINIMAL}Description: a\n\nb\n"), Code::Metadata, "Description more than once"),
        (format!("{MINIMAL}no colon\n"), Code::Metadata, "line 4"),
        (format!("{MINIMAL}Summary : x\n"), Code::Metadata, "line 4"),
        (format!("{MINIMAL}: x\n"), Code::Metadata, "line 4"),
        (format!("\u{feff}{MINIMAL}"), Code::Metadata, "line 1"),
        (format!(" x\n{MINIMAL}"), Code::Metadata, "indented"),
        (format!("{MINIMAL}Summary: a\rRequires-Dist: b\n"), Code::Metadata, "control character"),
        (format!("{MINIMAL}Summary: a\0b\n"), Code::Metadata, "control character"),
        (
            format!("{MINIMAL}Requires-Python: >={}\n", "1".repeat(1023)),
            Code::Metadata,
            "more than 1024 bytes",
        ),
        (format!("{MINIMAL}{}", "Classifier: a\n".repeat(9998)), Code::Metadata, "more than 10000 fields"),
    ] {
        let error = refused(&text);
        assert_eq!(error.code, code, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
        assert!(error.code != Code::Metadata || error.message.starts_with("METADATA "), "{error}");
    }
    let error = Metadata::parse(b"Metadata-Version: 2.1\nName: \xff\n").expect_err("not UTF-8");
    assert!(error.message.starts_with("METADATA is not UTF-8"), "{error}");
}

#[test]
fn requirements_that_installers_may_not_understand() {
    for (value, warned) in [
        ("six", false),
        ("six (>=1.0)", false),
        ("six[a,b] >=1.0,<2 ; python_version < '3'", false),
        ("acme @ https://acme.example/a;b.whl ; extra == 'x'", false),
        ("six ; this marker is not looked at", false),
        ("six >=", true),
        ("-six", true),
        ("six-==1", true),
        ("six[a-]", true),
        ("six[a", true),
        ("six[ ]", false),
        ("acme @", true),
        ("six == 1.0 oops", true),
    ] {
        let metadata = parse(&format!("{MINIMAL}Requires-Dist: {value}\n"));
        assert_eq!(!metadata.warnings().is_empty(), warned, "{value}: {:?}", metadata.warnings());
    }
    for (value, warned) in [(">=3.8", false), (">=3.8,<4,!=3.9.*", false), ("~=3.8", false), ("three", true)]
    {
        let metadata = parse(&format!("{MINIMAL}Requires-Python: {value}\n"));
        assert_eq!(!metadata.warnings().is_empty(), warned, "{value}");
        assert_eq!(metadata.requires_python(), Some(value));
    }
}

#[test]
fn warnings_are_bounded() {
    let many = "Requires-Dist: >\n".repeat(1000);
    assert_eq!(parse(&format!("{MINIMAL}{many}")).warnings().len(), MAX_WARNINGS);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Metadata::parse(&bytes);
    }

    #[test]
    fn any_tail_is_read_or_refused(tail in "([A-Za-z-]{0,12}:?[ \\t]?\\PC{0,20}\\r?\\n?){0,8}") {
        if let Ok(metadata) = Metadata::parse(format!("{MINIMAL}{tail}").as_bytes()) {
            prop_assert_eq!(metadata.name().as_str(), "acme");
        }
    }

    #[test]
    fn written_fields_are_read_back(
        summary in "[!-~é]([ -~é]{0,30}[!-~é])?",
        classifiers in proptest::collection::vec("[A-Za-z]([A-Za-z: ]{0,20}[A-Za-z])?", 0..5),
        description in "\\PC{0,40}(\n\\PC{0,40}){0,3}",
    ) {
        prop_assume!(summary != "UNKNOWN" && description.trim() != "" && description != "UNKNOWN");
        prop_assume!(!description.starts_with('\n'));
        let lines: String = classifiers.iter().flat_map(|value| ["Classifier: ", value, "\n"]).collect();
        let metadata = parse(&format!("{MINIMAL}Summary: {summary}\n{lines}\n{description}"));
        prop_assert_eq!(metadata.summary(), Some(summary.as_str()));
        let expected: Vec<&str> =
            classifiers.iter().map(String::as_str).filter(|value| *value != "UNKNOWN").collect();
        prop_assert_eq!(metadata.all("Classifier").collect::<Vec<_>>(), expected);
        prop_assert_eq!(metadata.description(), Some(description.as_str()));
    }
}
