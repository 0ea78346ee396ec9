use proptest::prelude::*;

use super::*;

fn file(text: &str) -> FileName {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> Invalid {
    text.parse::<FileName>().expect_err(text)
}

#[test]
fn a_wheel_is_taken_apart() {
    let wheel =
        file("Acme.Demo_pkg-1.0+CU118-2a-py2.py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl");
    assert_eq!(wheel.kind(), Kind::Wheel);
    assert_eq!(wheel.project().as_str(), "acme-demo-pkg");
    assert_eq!(wheel.project_text(), "Acme.Demo_pkg");
    assert_eq!(wheel.version_text(), "1.0+CU118");
    assert_eq!(wheel.version().to_string(), "1.0+cu118");
    let tags = wheel.tags().expect("a wheel has tags");
    assert_eq!(tags.python, ["py2", "py3"]);
    assert_eq!(tags.abi, ["none"]);
    assert_eq!(tags.platform, ["manylinux_2_17_x86_64", "manylinux2014_x86_64"]);
    assert_eq!(wheel.wheel_tail(), Some("2a-py2.py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64"));
    assert_eq!(
        wheel.canonical(),
        "acme_demo_pkg-1+cu118-2a-py2.py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
    );
    assert!(!wheel.is_strict());
}

#[test]
fn a_source_archive_is_taken_apart() {
    for (text, project, version, strict) in [
        ("six-1.17.0.tar.gz", "six", "1.17.0", true),
        ("zope_event-5.0.tar.gz", "zope-event", "5.0", true),
        ("zope.event-5.0.tar.gz", "zope-event", "5.0", false),
        ("more-itertools-10.5.0.tar.gz", "more-itertools", "10.5.0", false),
        ("acme-1.0-beta.tar.gz", "acme", "1.0b0", false),
        ("acme-1!2.0+local.1.tar.gz", "acme", "1!2.0+local.1", true),
        ("acme-1.0RC1.tar.gz", "acme", "1.0rc1", false),
    ] {
        let sdist = file(text);
        assert_eq!(sdist.kind(), Kind::Sdist);
        assert_eq!(sdist.project().as_str(), project, "{text}");
        assert_eq!(sdist.version().to_string(), version, "{text}");
        assert_eq!(sdist.is_strict(), strict, "{text}");
        assert_eq!(sdist.tags(), None);
        assert_eq!(sdist.wheel_tail(), None);
    }
}

#[test]
fn strict_wheels() {
    for (text, strict) in [
        ("markupsafe-3.0.2-cp311-cp311-win_amd64.whl", true),
        ("MarkupSafe-3.0.2-cp311-cp311-win_amd64.whl", false),
        ("jaraco.classes-3.4.0-py3-none-any.whl", false),
        ("jaraco_classes-3.4.0-py3-none-any.whl", true),
        ("acme-1.0.0-1-py3-none-any.whl", true),
        ("acme-1.0-rc1-py3-none-any.whl", false),
    ] {
        let strictly = text.parse::<FileName>().is_ok_and(|name| name.is_strict());
        assert_eq!(strictly, strict, "{text}");
    }
}

#[test]
fn spellings_of_one_file_share_a_canonical_name() {
    for (left, right) in [
        ("MarkupSafe-3.0.2-py3-none-any.whl", "markupsafe-3.0.2-py3-none-any.whl"),
        ("acme-1.0-py2.py3-none-any.whl", "acme-1.0.0-py3.py2-none-any.whl"),
        ("acme-1.0-01-py3-none-any.whl", "acme-1.0-1-py3-none-any.whl"),
        ("acme-1.0-00a-py3-none-any.whl", "acme-1.0-0a-py3-none-any.whl"),
        ("acme-1.0-PY3-NONE-any.whl", "acme-1.0-py3-none-ANY.whl"),
        ("zope.event-5.0.tar.gz", "zope_event-5.tar.gz"),
        ("more-itertools-1.0.tar.gz", "more_itertools-1.0.tar.gz"),
    ] {
        assert_eq!(file(left).canonical(), file(right).canonical());
    }
}

#[test]
fn different_files_have_different_canonical_names() {
    let names = [
        "acme-1.0-py3-none-any.whl",
        "acme-1.1-py3-none-any.whl",
        "acme-1.0-1-py3-none-any.whl",
        "acme-1.0-2-py3-none-any.whl",
        "acme-1.0-2a-py3-none-any.whl",
        "acme-1.0-0-py3-none-any.whl",
        "acme-1.0-py2-none-any.whl",
        "acme-1.0-py2.py3-none-any.whl",
        "acme-1.0+1-py3-none-any.whl",
        "acme-1.0.tar.gz",
        "acme-1.0+1.tar.gz",
    ];
    let canonical: std::collections::BTreeSet<String> = names.map(|name| file(name).canonical()).into();
    assert_eq!(canonical.len(), names.len());
}

#[test]
fn names_that_are_refused() {
    let long = format!("acme-1.0-py3-none-{}.whl", "a".repeat(MAX_FILE_NAME_BYTES));
    for (text, code, part) in [
        ("", Code::FileName, "Invalid filename"),
        (".acme-1.0.tar.gz", Code::FileName, "dot"),
        ("a/b-1.0.tar.gz", Code::FileName, "Invalid filename"),
        ("a\\b-1.0.tar.gz", Code::FileName, "Invalid filename"),
        ("acmé-1.0.tar.gz", Code::FileName, "Invalid filename"),
        ("acme-1.0\n.tar.gz", Code::FileName, "Invalid filename"),
        ("acme 1.0.tar.gz", Code::FileName, "Invalid filename"),
        (long.as_str(), Code::FileName, "255"),
        ("acme-1.0.zip", Code::FileType, "Use .whl or .tar.gz"),
        ("acme-1.0-py3.11.egg", Code::FileType, "Use .whl or .tar.gz"),
        ("acme-1.0.tar.bz2", Code::FileType, "Use .whl or .tar.gz"),
        ("acme-1.0.exe", Code::FileType, "Use .whl or .tar.gz"),
        ("acme-1.0.tar.gz.asc", Code::FileType, "Use .whl or .tar.gz"),
        ("acme-1.0-py3-none-any.whl.publish.attestation", Code::FileType, "Use .whl or .tar.gz"),
        ("acme-1.0-py3-none-any.WHL", Code::FileType, "Use .whl or .tar.gz"),
        ("acme-1.0-py3-none.whl", Code::FileName, "Invalid wheel filename"),
        ("acme-1.0-1-py3-none-any-x.whl", Code::FileName, "Invalid wheel filename"),
        ("acme-1.0-x1-py3-none-any.whl", Code::FileName, "build number"),
        ("acme-1.0--py3-none-any.whl", Code::FileName, "build number"),
        ("acme-1.0-1!2-py3-none-any.whl", Code::FileName, "build number"),
        ("acme-1.0-py3--any.whl", Code::FileName, "abi tag is empty"),
        ("acme-1.0-py2..py3-none-any.whl", Code::FileName, "python tag is empty"),
        ("acme-1.0-py3-none-a+b.whl", Code::FileName, "platform tag"),
        ("acme-1.0-3-none-any.whl", Code::FileName, "python tag"),
        ("a__b-1.0-py3-none-any.whl", Code::FileName, "'__'"),
        ("_x-1.0-py3-none-any.whl", Code::Name, "Invalid project name"),
        ("x.-1.0-py3-none-any.whl", Code::Name, "Invalid project name"),
        ("-1.0.tar.gz", Code::Name, "Invalid project name"),
        ("acme-latest-py3-none-any.whl", Code::Version, "Invalid version"),
        ("acme.tar.gz", Code::FileName, "name-version.tar.gz"),
        ("acme-latest.tar.gz", Code::FileName, "name-version.tar.gz"),
    ] {
        let error = refused(text);
        assert_eq!(error.code, code, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn kinds_of_the_form() {
    for kind in [Kind::Wheel, Kind::Sdist] {
        assert_eq!(kind.as_str().parse::<Kind>(), Ok(kind));
    }
    for text in ["", "bdist_egg", "SDIST", "bdist_wininst"] {
        assert_eq!(text.parse::<Kind>().expect_err(text).code, Code::FileType);
    }
}

fn any_wheel() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9](_[a-zA-Z0-9]|\\.[a-zA-Z0-9]|[a-zA-Z0-9]){0,5}-[01]\\.[01](\\.0)?(a1)?(-[0-9]{1,3}[a-z]?)?-(py3|cp3[0-9]{1,2})(\\.py2)?-(none|abi3|CP311)-(any|win_amd64)(\\.linux_x86_64)?\\.whl"
}

proptest! {
    #[test]
    fn canonical_names_are_fixed_points(text in any_wheel()) {
        let name = file(&text);
        let canonical = file(&name.canonical());
        prop_assert_eq!(canonical.canonical(), name.canonical());
        prop_assert_eq!(canonical.project(), name.project());
        prop_assert_eq!(canonical.version(), name.version());
        prop_assert!(canonical.is_strict());
    }

    #[test]
    fn equivalent_spellings_are_one_file(text in any_wheel(), zeros in "(\\.0){0,3}") {
        let name = file(&text);
        let tail = name.wheel_tail().expect("a wheel has a tail").to_ascii_uppercase();
        // A pre-release takes no more zeros after it.
        prop_assume!(name.version_text().bytes().all(|byte| byte != b'a'));
        // Case matters in a build number.
        prop_assume!(tail.split('-').count() == 3);
        let other = format!(
            "{}-{}{zeros}-{tail}.whl",
            name.project_text().to_ascii_uppercase().replace('.', "_"),
            name.version_text(),
        );
        prop_assert_eq!(file(&other).canonical(), name.canonical());
    }

    #[test]
    fn any_text_is_kept_or_refused(text in "[A-Za-z0-9_.!+\\-]{0,20}(-[0-9.]{1,5})?(-py3-none-any\\.whl|\\.tar\\.gz|)|\\PC*") {
        if let Ok(name) = text.parse::<FileName>() {
            prop_assert_eq!(name.as_str(), text.as_str());
            prop_assert!(name.canonical().parse::<FileName>().is_ok());
        }
    }
}
