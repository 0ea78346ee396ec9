//! Uploads whose form is wrong, whatever the file in it.

use serde_json::json;
use testkit::Method;
use testkit::python::{BuiltFile, Part, Upload};

use super::scene::{Index, expect_refusal, expect_taken, leaving_nothing, project, wheel};

const FORM: &str = "PYTHON_FORM_INVALID";
const DIGEST: &str = "DIGEST_INVALID";

/// A form of one part after the other, with the boundary `B`.
fn parts(heads_and_contents: &[(&str, &str)]) -> Vec<u8> {
    let part = |(head, content): &(&str, &str)| format!("--B\r\n{head}\r\n\r\n{content}\r\n");
    let parts: String = heads_and_contents.iter().map(part).collect();
    format!("{parts}--B--\r\n").into_bytes()
}

/// The form of twine with `head` for the head of the content part.
fn with_content_head(file: &BuiltFile, head: &str) -> Upload {
    Upload::new(file).content(|part| part.header = Some(format!("{head}\r\n").into_bytes()))
}

#[test]
fn b1_a_body_that_is_no_form() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let body = Upload::new(&file).body();
        let boundary = Upload::content_type();
        let boundary = boundary.split_once("boundary=").expect("the type has a boundary").1;
        for content_type in [
            "application/json",
            "application/x-www-form-urlencoded",
            "application/octet-stream",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            &format!("multipart/mixed; boundary={boundary}"),
            &format!("multipart/form-data; boundary={boundary}; boundary=other"),
            &format!("multipart/form-data; boundary={}", "b".repeat(71)),
        ] {
            let answer = index.send_body(content_type, &body);
            expect_refusal(answer, 415, "UNSUPPORTED", "an upload is sent as multipart/form-data");
        }
        let answer = index.writer.exchange(&Method::POST, &index.path(""), &[], &body);
        expect_refusal(answer, 415, "UNSUPPORTED", "an upload is sent as multipart/form-data");
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn b1_a_form_that_is_broken() {
    leaving_nothing(|index| {
        let text = "Content-Disposition: form-data; name=\"name\"";
        for body in [
            Vec::new(),
            b"not a form".to_vec(),
            b"--other\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nx\r\n--other--\r\n".to_vec(),
            parts(&[("no head at all", "x")]),
            parts(&[("Content-Type: text/plain", "x")]),
            parts(&[("Content-Disposition: attachment; name=\"name\"", "x")]),
            parts(&[("Content-Disposition: form-data", "x")]),
            parts(&[("Content-Disposition: form-data; name=\"name", "x")]),
            parts(&[(&format!("{text}; filename=\"a\" filename=\"b\""), "x")]),
            [b"x".repeat(100_000), parts(&[(text, "x")])].concat(),
            [parts(&[(text, "x")]), b"x".repeat(100_000)].concat(),
        ] {
            let answer = index.send_body("multipart/form-data; boundary=B", &body);
            expect_refusal(answer, 400, FORM, "malformed multipart body");
        }
    });
}

#[test]
fn b1_a_form_that_is_cut_off() {
    leaving_nothing(|index| {
        let file = wheel().file("data", testkit::random_bytes(300_000)).build();
        let body = Upload::new(&file).body();
        // In the first head, in a field, in the head of the file, in the file, and before the last boundary.
        let content =
            body.windows(4).position(|window| window == b"PK\x03\x04").expect("the form has a wheel");
        for length in [10, 100, content - 30, content + 1, content + 200_000, body.len() - 10] {
            let answer = index.send_body(&Upload::content_type(), &body[..length]);
            expect_refusal(answer, 400, FORM, "malformed multipart body");
        }
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn b2_exactly_one_file() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let form = || Upload::new(&file);
        let content = Part::file("content", &file.filename, file.bytes.as_slice());
        let other = wheel().build();
        let other = Part::file("content", &other.filename, other.bytes);
        for second in [content, other] {
            index.refuses_form(&form().last(second), FORM, "exactly one file per upload");
        }
        index.refuses_form(&form().without("content"), FORM, "the upload has no file");
        let as_text = form().content(|part| part.filename = None);
        index.refuses_form(&as_text, FORM, "content: must be a file");
        for field in ["name", "version", "metadata_version", ":action", "sha256_digest", "attestations"] {
            let as_file = form().without(field).part(Part::file(field, "a.txt", "x"));
            index.refuses_form(&as_file, FORM, &format!("{field}: must not be a file"));
        }
        index.refuses_form(
            &form().part(Part::text("summary", b"\xff")),
            FORM,
            "summary: must be text in UTF-8",
        );
        for field in ["name", "version", "filetype", ":action", "sha256_digest"] {
            let twice = form().part(Part::text(field, "something else"));
            index.refuses_form(&twice, FORM, &format!("{field}: two different values"));
        }
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn b3_every_digest_has_to_be_that_of_the_file() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let form = || Upload::new(&file);
        let none = form().without("sha256_digest").without("blake2_256_digest");
        index.refuses_form(&none, DIGEST, "the form has no digest of the file");
        for (field, shown, length) in [
            ("sha256_digest", "sha256", 64),
            ("blake2_256_digest", "blake2_256", 64),
            ("md5_digest", "md5", 32),
        ] {
            let wrong = form().field(field, &"0".repeat(length));
            let sentence = format!("The digest supplied does not match the uploaded file ({shown})");
            index.refuses_form(&wrong, DIGEST, &sentence);
            // One right digest makes up for no wrong one, and a wrong one alone is no better.
            let alone = none.clone().field(field, &"0".repeat(length));
            index.refuses_form(&alone, DIGEST, &sentence);
            let short = form().field(field, &"0".repeat(length - 2));
            index.refuses_form(&short, DIGEST, &sentence);
            let malformed = form().field(field, &"x".repeat(length));
            let sentence = format!("{shown}_digest is not a digest in hexadecimal digits");
            index.refuses_form(&malformed, DIGEST, &sentence);
        }
        // The digest is looked at before anything that takes work: an archive that is none says nothing yet.
        let damaged = BuiltFile { bytes: b"not a wheel".to_vec(), ..file.clone() };
        let wrong = Upload::new(&damaged).field("sha256_digest", &file.sha256());
        index.refuses_form(&wrong, DIGEST, "does not match the uploaded file (sha256)");
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn digests_in_any_form_that_clients_send() {
    let index = Index::new();
    let file = wheel().build();
    let bare = Upload::new(&file).without("sha256_digest").without("blake2_256_digest");
    for form in [
        bare.clone().field("md5_digest", &file.md5()),
        bare.clone().field("sha256_digest", &file.sha256().to_uppercase()),
        bare.clone().field("blake2_256_digest", &file.blake2b_256()),
        Upload::new(&file).field("md5_digest", "UNKNOWN"),
    ] {
        expect_taken(index.send(&form));
    }
}

#[test]
fn u29_actions_of_old_are_gone_and_others_are_unknown() {
    leaving_nothing(|index| {
        let file = wheel().build();
        for action in ["submit", "submit_pkg_info", "doc_upload"] {
            let form = Upload::new(&file).field(":action", action);
            for form in [form.clone(), form.content_first()] {
                let sentence = format!("action {action} is gone");
                expect_refusal(index.send(&form), 410, "UNSUPPORTED", &sentence);
            }
        }
        let form = Upload::new(&file).without(":action");
        index.refuses_form(&form, FORM, "the form has no :action");
        let form = Upload::new(&file).field(":action", "dance\x1b[31m");
        index.refuses_form(&form, FORM, ":action 'dance?[31m' is not understood");
        let form = Upload::new(&file).field("protocol_version", "2");
        index.refuses_form(&form, FORM, "protocol_version '2' is not understood");
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn b4_the_filetype_is_that_of_the_file() {
    leaving_nothing(|index| {
        let file = wheel().build();
        for (filetype, sentence) in [
            ("sdist", "filetype sdist does not fit the file name"),
            ("bdist_egg", "Invalid filetype 'bdist_egg': use bdist_wheel"),
            ("", "the form has no filetype"),
        ] {
            let form = Upload::new(&file).field("filetype", filetype);
            index.refuses_form(&form, "PYTHON_FILETYPE_INVALID", sentence);
        }
        let sdist = testkit::python::Sdist::new(&project(), "1.0").build();
        let form = Upload::new(&sdist).field("filetype", "bdist_wheel");
        index.refuses_form(&form, "PYTHON_FILETYPE_INVALID", "filetype bdist_wheel does not fit");
        index.has_nothing_of(&file.name);
        index.has_nothing_of(&sdist.name);
    });
}

#[test]
fn b6_b7_b17_the_form_says_the_same_as_the_file() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let form = || Upload::new(&file);
        let other = project();
        index.refuses_form(
            &form().field("name", &other),
            "PYTHON_NAME_MISMATCH",
            &format!("METADATA Name '{}' does not match '{other}'", file.name),
        );
        for name in ["_x", "x-", "acm\u{e9}", "Kelvin K", "\u{212a}elvin", "a/b"] {
            index.refuses_form(
                &form().field("name", name),
                "PYTHON_NAME_INVALID",
                &format!("Invalid project name '{name}'"),
            );
        }
        index.refuses_form(
            &form().field("version", "2.0"),
            "PYTHON_VERSION_MISMATCH",
            "the form says version 2.0, METADATA says 1.0",
        );
        index.refuses_form(
            &form().field("version", "newest"),
            "PYTHON_VERSION_INVALID",
            "Invalid version 'newest'",
        );
        for field in ["name", "version"] {
            index.refuses_form(&form().without(field), FORM, &format!("the form has no {field}"));
        }
        index.has_nothing_of(&file.name);
        index.has_nothing_of(&other);
    });
}

#[test]
fn b29_headers_that_two_programs_read_differently() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let name = &file.filename;
        let base = format!("Content-Disposition: form-data; name=\"content\"; filename=\"{name}\"");
        for head in [
            format!("{base}; filename*=UTF-8''other-1.0-py3-none-any.whl"),
            format!("{base}; filename*=ISO-8859-1''{name}"),
            format!("{base}; filename=\"other-1.0-py3-none-any.whl\""),
            format!("{base}; name=\"name\""),
            format!("{base}\r\nContent-Disposition: form-data; name=\"comment\""),
            format!("{base}\r\n with a fold: that nobody should need"),
        ] {
            index.refuses_form(&with_content_head(&file, &head), FORM, "malformed multipart body");
        }
        // A head of more than any client sends.
        let long = format!("{base}\r\nX-Filler: {}", "x".repeat(20_000));
        let answer = index.send(&with_content_head(&file, &long));
        expect_refusal(answer, 413, "SIZE_INVALID", "the head of a part is longer than 16384 bytes");

        let body = Upload::new(&file).body();
        let content_type = Upload::content_type();
        let lengths = [body.len().to_string(), (body.len() - 10).to_string()];
        for lengths in [[&lengths[0], &lengths[1]], [&lengths[1], &lengths[0]]] {
            let headers = [
                ("Content-Type", content_type.as_str()),
                ("Content-Length", lengths[0]),
                ("Content-Length", lengths[1]),
            ];
            index.writer.exchange(&Method::POST, &index.path(""), &headers, &body).expect(&[400]);
        }
        let types =
            [("Content-Type", content_type.as_str()), ("Content-Type", "multipart/form-data; boundary=B")];
        let answer = index.writer.exchange(&Method::POST, &index.path(""), &types, &body);
        expect_refusal(answer, 415, "UNSUPPORTED", "an upload is sent as multipart/form-data");
        let fields: Vec<_> = std::iter::repeat_n(("X-Field", "x"), 200).collect();
        index.writer.exchange(&Method::POST, &index.path(""), &fields, &body).expect(&[431]);
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn a_file_name_in_both_spellings_is_fine_when_they_are_the_same() {
    let index = Index::new();
    let file = wheel().build();
    let name = &file.filename;
    let head = format!(
        "Content-Disposition: form-data; name=\"content\"; filename=\"{name}\"; filename*=UTF-8''{name}"
    );
    expect_taken(index.send(&with_content_head(&file, &head)));
    assert_eq!(index.files(&file.name), [name.as_str()]);
}

#[test]
fn fields_that_nobody_knows_and_values_that_stand_for_none_are_passed_over() {
    let index = Index::new();
    let file = wheel().build();
    let form = Upload::new(&file)
        .part(Part::text("import_names", "a"))
        .part(Part::text("import_names", "b"))
        .part(Part::text("future_field", "x"))
        .part(Part::text("author", "UNKNOWN"))
        .part(Part::text("requires_python", ""))
        .part(Part::text("name", "UNKNOWN"))
        .part(Part::text("classifiers", "No :: Such :: Classifier"))
        .part(Part::text("metadata_version", "9.9"))
        .part(Part::file("future_file", "x.bin", testkit::random_bytes(1000)));
    expect_taken(index.send(&form));
    // What the form says of the metadata is not what is stored.
    let entry = index.entry(&file.name, &file.filename);
    assert_eq!(entry["requires-python"], json!(null), "{entry}");
}
