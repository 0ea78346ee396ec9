//! Files whose names no index can have, or which are of a kind that it does not take.

use serde_json::json;
use testkit::python::{BuiltFile, Part, Sdist, Upload, Wheel};

use super::scene::{Index, expect_taken, leaving_nothing, project, wheel};

const FILENAME: &str = "PYTHON_FILENAME_INVALID";
const FILETYPE: &str = "PYTHON_FILETYPE_INVALID";
const NAME: &str = "PYTHON_NAME_INVALID";

/// The form of a wheel under a file name that the header of its part spells in percent-encoded UTF-8.
fn encoded(file: &BuiltFile, filename: &str) -> Upload {
    let encoded: Vec<_> = filename.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let encoded = encoded.concat();
    let header = format!("Content-Disposition: form-data; name=\"content\"; filename*=UTF-8''{encoded}\r\n");
    Upload::new(file).content(|part| part.header = Some(header.into_bytes()))
}

#[test]
fn b4_file_names_with_characters_that_none_has() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let name = &file.filename;
        let long = format!("{}-1.0-py3-none-any.whl", "a".repeat(255));
        for bad in [
            &format!("a\r\nX-Injected: 1\r\n{name}"),
            &format!("{name}\n"),
            &format!("a\0{name}"),
            &format!("a\u{7f}{name}"),
            &format!("\u{202e}{name}"),
            &format!("../{name}"),
            &format!("/tmp/{name}"),
            &format!("..\\{name}"),
            &format!("C:{name}"),
            &format!(".{name}"),
            &name.replace("pkg", "p\u{43a}g"),
            &name.replace("pkg", "p\u{ff4b}g"),
            &format!("{name} "),
            &name.replace("pkg", "p%6bg"),
            &name.replace("pkg", "p~g"),
            &long,
            "",
        ] {
            index.refuses_form(&encoded(&file, bad), FILENAME, "Invalid filename '");
        }
        // The same where the header can hold it as it is.
        for bad in
            [format!("../{name}"), format!("a\\{name}"), format!(".{name}"), name.replace("pkg", "p\u{e9}")]
        {
            let form = Upload::new(&file).content(|part| part.filename = Some(bad));
            index.refuses_form(&form, FILENAME, "Invalid filename '");
        }
        let control = Upload::new(&file).content(|part| part.filename = Some(format!("a\u{1}{name}")));
        index.refuses_form(&control, "PYTHON_FORM_INVALID", "malformed multipart body");
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn b5_names_that_are_no_wheel_names() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let name = file.name.replace('-', "_");
        for bad in [
            format!("{name}.whl"),
            format!("{name}-1.0.whl"),
            format!("{name}-1.0-any.whl"),
            format!("{name}-1.0-none-any.whl"),
            format!("{name}-1.0-1-py3-none-any-label.whl"),
            format!("{name}-1.0-x1-py3-none-any.whl"),
            format!("{name}-1.0--py3-none-any.whl"),
            format!("{name}-1.0-py3--any.whl"),
            format!("{name}-1.0-py3-none-.whl"),
            format!("{name}-1.0-py2..py3-none-any.whl"),
            format!("{name}-1.0-.py3-none-any.whl"),
            format!("{name}-1.0-py3-none-any+local.whl"),
            format!("{name}-1.0-py3-none-a!b.whl"),
            format!("{name}__x-1.0-py3-none-any.whl"),
        ] {
            index.refuses(&file.clone().renamed(&bad), FILENAME, "Invalid wheel filename '");
        }
    });
}

#[test]
fn b6_names_that_are_no_project_names() {
    leaving_nothing(|index| {
        let file = wheel().build();
        for bad in [
            "_x-1.0-py3-none-any.whl",
            "x_-1.0-py3-none-any.whl",
            "x.-1.0-py3-none-any.whl",
            "-1.0-py3-none-any.whl",
        ] {
            index.refuses(&file.clone().renamed(bad), NAME, "Invalid project name '");
        }
        // 100 bytes are the most that a name has.
        let long = format!("{}-1.0-py3-none-any.whl", "a".repeat(101));
        index.refuses(&file.clone().renamed(&long), NAME, "use at most 100 characters");
        let sdist = Sdist::new(&project(), "1.0").build();
        for bad in ["_x-1.0.tar.gz", "x_-1.0.tar.gz", "-1.0.tar.gz"] {
            index.refuses(&sdist.clone().renamed(bad), NAME, "Invalid project name '");
        }
        for bad in ["x.tar.gz", "x-.tar.gz", "x-newest.tar.gz"] {
            index.refuses(&sdist.clone().renamed(bad), FILENAME, "Invalid filename '");
        }
    });
}

#[test]
fn b6_names_in_metadata_that_are_no_project_names() {
    leaving_nothing(|index| {
        for name in ["_x", "x-", ".x", "acm\u{e9}", "Kelvin K", "\u{212a}elvin", "a/b", "..", "a\u{200b}b"] {
            let built =
                wheel().metadata(format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")).build();
            index.refuses(&built, NAME, &format!("Invalid project name '{}'", name.replace('\u{200b}', "?")));
        }
    });
}

#[test]
fn b6_b17_a_name_that_is_that_of_another_project() {
    leaving_nothing(|index| {
        let (name, other) = (project(), project());
        let file = Wheel::new(&name, "1.0").spelled(&other.replace('-', "_")).build();
        let sentence = format!("METADATA Name '{name}' does not match filename '{}'", file.filename);
        index.refuses(&file, "PYTHON_NAME_MISMATCH", &sentence);
        index.has_nothing_of(&other);
        let spelled = other.replace('-', "_");
        let sdist = Sdist::new(&name, "1.0")
            .filename(&format!("{spelled}-1.0.tar.gz"))
            .directory(&format!("{spelled}-1.0"))
            .build();
        index.refuses(&sdist, "PYTHON_NAME_MISMATCH", "does not match filename '");
        index.has_nothing_of(&other);
    });
}

#[test]
fn b7_versions_that_are_none_or_another_one() {
    leaving_nothing(|index| {
        let name = project();
        let spelled = name.replace('-', "_");
        for version in ["newest", "1.0.dev_x", "1..0", "1.0_final_x", "1!", "2024.x", &"1".repeat(101)] {
            let file =
                Wheel::new(&name, "1.0").filename(&format!("{spelled}-{version}-py3-none-any.whl")).build();
            index.refuses(&file, "PYTHON_VERSION_INVALID", "Invalid version '");
        }
        for version in ["newest", "1.0 or later", "1.0-\u{661}", "v"] {
            let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
            let file = Wheel::new(&name, "1.0").metadata(metadata).build();
            index.refuses(&file, "PYTHON_VERSION_INVALID", "Invalid version '");
        }
        for (other, shown) in
            [("2.0", "2.0"), ("1.0.post1", "1.0.post1"), ("1!1.0", "1!1.0"), ("1.0+local", "1.0+local")]
        {
            let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {other}\n");
            let file = Wheel::new(&name, "1.0").metadata(metadata.as_str()).build();
            let sentence = format!("Version in filename is 1.0, METADATA says {shown}");
            index.refuses(&file, "PYTHON_VERSION_MISMATCH", &sentence);
            let sdist = Sdist::new(&name, "1.0").metadata(metadata).build();
            index.refuses(&sdist, "PYTHON_VERSION_MISMATCH", &sentence);
        }
    });
}

#[test]
fn b7_spellings_of_one_version_are_equal_and_the_file_name_stays() {
    let index = Index::new();
    let name = project();
    let spelled = name.replace('-', "_");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    let filename = format!("{spelled}-1.0.0-py3-none-any.whl");
    let file = Wheel::new(&name, "1.0").metadata(metadata).filename(&filename).build();
    expect_taken(index.send(&Upload::new(&file).field("version", "1.0.0.0")));
    assert_eq!(index.files(&name), [filename.as_str()]);
    assert_eq!(index.entry(&name, &filename)["hashes"]["sha256"], file.sha256());
    let page = index.page(&name).expect(&[200]).json();
    assert_eq!(page["versions"], json!(["1.0"]), "{page}");
}

#[test]
fn b8_u20_names_of_older_build_tools_are_taken_unless_the_registry_is_strict() {
    let index = Index::new();
    let word = testkit::random_word();
    let files = [
        Wheel::new(&format!("Mark{word}"), "3.0.2").spelled(&format!("Mark{word}")).build(),
        Wheel::new(&format!("jar.{word}"), "1.0").spelled(&format!("jar.{word}")).build(),
        Sdist::new(&format!("zope.{word}"), "5.0")
            .filename(&format!("zope.{word}-5.0.tar.gz"))
            .directory(&format!("zope.{word}-5.0"))
            .build(),
        Sdist::new(&format!("old-{word}"), "5.0")
            .filename(&format!("old-{word}-5.0.tar.gz"))
            .directory(&format!("old-{word}-5.0"))
            .build(),
    ];
    index.policy(&json!({ "strict_filenames": true }));
    for file in &files {
        index.refuses(file, FILENAME, "this registry takes names in normal form only");
    }
    index.takes(&wheel().build());
    index.takes(&Sdist::new(&project(), "1.0").build());
    index.policy(&json!({ "strict_filenames": false }));
    for file in &files {
        index.takes(file);
        let name = file.name.to_lowercase().replace('.', "-");
        assert_eq!(index.files(&name), [file.filename.as_str()]);
    }
}

#[test]
fn b24_kinds_of_file_that_are_not_taken() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let name = file.name.replace('-', "_");
        for bad in [
            format!("{name}-1.0.zip"),
            format!("{name}-1.0-py3.11.egg"),
            format!("{name}-1.0.win32.exe"),
            format!("{name}-1.0.tar.bz2"),
            format!("{name}-1.0.tgz"),
            format!("{name}-1.0.tar"),
            format!("{name}-1.0.tar.xz"),
            format!("{name}-1.0-1.noarch.rpm"),
            format!("{name}-1.0-py3-none-any.whl.metadata"),
            format!("{name}-1.0-py3-none-any.whl.publish.attestation"),
            format!("{name}-1.0-py3-none-any.whl.asc"),
            format!("{name}-1.0-py3-none-any.WHL"),
            format!("{name}-1.0-py3-none-any"),
            "whl".to_owned(),
        ] {
            index.refuses(&file.clone().renamed(&bad), FILETYPE, "Use .whl or .tar.gz");
        }
    });
}

#[test]
fn u30_a_detached_signature_is_passed_over() {
    let index = Index::new();
    let file = wheel().build();
    let signature =
        || Part::file("gpg_signature", &format!("{}.asc", file.filename), "-----BEGIN PGP SIGNATURE-----");
    expect_taken(index.send(&Upload::new(&file).part(signature())));
    assert_eq!(index.files(&file.name), [file.filename.as_str()]);
    expect_taken(index.send(&Upload::new(&file).last(signature())));
    index
        .writer
        .get(&format!("{}.asc", index.path(&format!("/simple/{}/{}", file.name, file.filename))))
        .expect(&[404]);
}
