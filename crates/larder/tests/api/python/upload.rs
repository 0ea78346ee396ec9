//! Uploads that are taken, the same ones again, and the tags that come of them.

use std::thread;

use serde_json::json;
use testkit::python::{Part, Sdist, Upload, Wheel};
use testkit::{Method, random_bytes, random_word};

use super::scene::{Index, OwnIndex, expect_refusal, expect_taken, project, wheel};
use crate::scene::Calls as _;

#[test]
fn u2_the_upload_url_with_and_without_a_slash() {
    let index = Index::new();
    let file = wheel().build();
    let content_type = Upload::content_type();
    for slash in ["", "/"] {
        let headers = [("Content-Type", content_type.as_str())];
        let body = Upload::new(&file).body();
        expect_taken(index.writer.exchange(&Method::POST, &index.path(slash), &headers, &body));
    }
    assert_eq!(index.files(&file.name), [file.filename]);
}

#[test]
fn u4_the_same_files_again_change_nothing() {
    let own = OwnIndex::new();
    let index = &own.index;
    let name = project();
    let files = [Wheel::new(&name, "1.0").build(), Sdist::new(&name, "1.0").build()];
    let state = || {
        let page = index.page(&name).expect(&[200]);
        let tags = index.tags(&name);
        let manifests: Vec<_> = tags
            .iter()
            .map(|tag| index.writer.manifest_get(&index.repository(&name), tag).expect(&[200]).body)
            .collect();
        let rows: Vec<_> = files.iter().map(|file| index.row(&name, &file.filename)).collect();
        (page.header("etag").map(str::to_owned), page.body, tags, manifests, rows)
    };
    for file in &files {
        index.takes(file);
    }
    let before = state();
    assert_eq!(index.files(&name).len(), 2);
    own.collect();
    let objects = crate::scene::stored_files(&own.server);
    for _ in 0..3 {
        for file in &files {
            index.takes(file);
        }
    }
    assert!(state() == before, "an identical upload changed something");
    // What came again is not kept again.
    own.collect();
    own.scrub();
    assert_eq!(crate::scene::stored_files(&own.server), objects);
}

#[test]
fn u5_b25_other_content_under_a_name_that_exists() {
    let own = OwnIndex::new();
    let index = &own.index;
    let file = wheel().build();
    index.takes(&file);
    let page = index.page(&file.name).expect(&[200]);
    let tags = index.tags(&file.name);
    let other = Wheel::new(&file.name, "1.0").file("more.py", random_bytes(100)).build();
    assert_eq!(other.filename, file.filename);
    let refused = |file| {
        let answer = index.upload(file);
        expect_refusal(answer, 409, "PYTHON_FILE_EXISTS", "File already exists ('")
    };
    let message = refused(&other);
    assert!(message.contains("content differs (sha256 "), "{message}");
    assert!(message.contains(&file.sha256()[..16]) && message.contains(&other.sha256()[..16]), "{message}");
    // Nor when what differs is broken.
    refused(&testkit::python::BuiltFile { bytes: b"no wheel".to_vec(), ..file.clone() });
    let after = index.page(&file.name).expect(&[200]);
    assert_eq!((after.header("etag"), &after.body), (page.header("etag"), &page.body));
    assert_eq!(index.tags(&file.name), tags);
    let organization = &index.organization().name;
    let stored = index.writer.python_file(organization, "main", &file.name, &file.filename).expect(&[200]);
    assert!(stored.body == file.bytes, "other bytes");
    own.collect();
    own.scrub();
    own.holds(true, &file);
    own.holds(false, &other);
}

#[test]
fn b25_the_same_file_name_spelled_differently() {
    let index = Index::new();
    let word = random_word();
    let name = format!("Mark.{word}");
    let normal = Wheel::new(&name, "3.0").tag("py2.py3-none-any").build();
    index.takes(&normal);
    let spelled = format!("mark_{word}");
    for filename in [
        format!("Mark_{word}-3.0-py2.py3-none-any.whl"),
        format!("Mark.{word}-3.0-py2.py3-none-any.whl"),
        format!("{spelled}-3.0.0-py2.py3-none-any.whl"),
        format!("{spelled}-3.0-py3.py2-none-any.whl"),
        format!("{spelled}-3.0-PY2.PY3-none-any.whl"),
    ] {
        let answer = index.upload(&normal.clone().renamed(&filename));
        expect_refusal(answer, 409, "PYTHON_FILE_EXISTS", "File already exists ('");
    }
    // A build number makes another file of it.
    index.takes(&Wheel::new(&name, "3.0").tag("py2.py3-none-any").build_number("1").build());
    assert_eq!(index.files(&format!("mark-{word}")).len(), 2);
}

#[test]
fn b25_one_source_distribution_of_a_release() {
    let index = Index::new();
    let name = project();
    let file = Sdist::new(&name, "1.0").build();
    index.takes(&file);
    let spelled = name.replace('-', "_");
    for filename in [format!("{name}-1.0.tar.gz"), format!("{spelled}-1.0.0.tar.gz")] {
        let second = Sdist::new(&name, "1.0").filename(&filename).file("more", "x").build();
        expect_refusal(index.upload(&second), 409, "PYTHON_FILE_EXISTS", "File already exists ('");
    }
    assert_eq!(index.files(&name), [file.filename]);
}

#[test]
fn b25_the_name_of_a_deleted_file_stays_used() {
    let own = OwnIndex::new();
    let index = &own.index;
    let file = wheel().build();
    index.takes(&file);
    let path = format!("/projects/{}/files/{}", file.name, file.filename);
    index.manage("DELETE", &path, &json!(null)).expect(&[204]);
    let other = Wheel::new(&file.name, "1.0").file("more.py", "x").build();
    let respelled = Wheel::new(&file.name, "1.0").filename(&file.filename.replace("1.0", "1.0.0")).build();
    for again in [&file, &other, &respelled] {
        let sentence = "This filename was previously used by a deleted file";
        expect_refusal(index.upload(again), 409, "PYTHON_FILENAME_USED", sentence);
    }
    assert_eq!(index.files(&file.name), [""; 0]);
    // Another file of the release is welcome.
    index.takes(&Sdist::new(&file.name, "1.0").build());
    own.collect();
    own.scrub();
    own.holds(false, &other);
}

#[test]
fn u11_spellings_of_one_project() {
    let index = Index::new();
    let word = random_word();
    let name = format!("Acme.{word}_pkg");
    let project = format!("acme-{word}-pkg");
    let one = Wheel::new(&name, "1.0").build();
    let two = Wheel::new(&name, "2.0").build();
    // As twine and as uv name it in the form.
    expect_taken(index.send(&Upload::new(&one).field("name", &format!("Acme.{word}-pkg"))));
    expect_taken(index.send(&Upload::new(&two).field("name", &name)));
    assert_eq!(index.files(&project), [one.filename, two.filename]);
    let list = index.manage("GET", "/projects", &json!(null)).expect(&[200]).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list["items"][0]["name"], project);
    assert_eq!(list["items"][0]["display_name"], name);
}

#[test]
fn u14_twenty_clients_with_one_file_at_once() {
    let own = OwnIndex::new();
    let index = &own.index;
    let file = wheel().file("data", random_bytes(50_000)).build();
    // Several of them are the same user.
    let members: [_; 5] = std::array::from_fn(|_| index.organization().member(testkit::Role::Writer));
    let writers: Vec<_> = members.iter().cycle().take(20).collect();
    let answers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = writers
            .iter()
            .map(|writer| scope.spawn(|| writer.python_upload(&index.organization().name, "main", &file)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("an upload gets an answer")).collect()
    });
    answers.into_iter().for_each(expect_taken);
    assert_eq!(index.files(&file.name), [file.filename.as_str()]);
    let list =
        index.manage("GET", &format!("/projects/{}/files", file.name), &json!(null)).expect(&[200]).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    let [file_tag, version_tag] = ["1.0-py3-none-any", "1.0"]
        .map(|tag| index.writer.manifest_get(&index.repository(&file.name), tag).expect(&[200]).body);
    assert_eq!(file_tag, version_tag);
    own.collect();
    own.scrub();
    assert_eq!(crate::scene::object_files(&own.server, &testkit::sha256(&file.bytes)).len(), 1);
}

#[test]
fn b25_different_content_under_one_name_at_once() {
    let own = OwnIndex::new();
    let index = &own.index;
    let name = project();
    let files: Vec<_> =
        (0..10).map(|_| Wheel::new(&name, "1.0").file("data", random_bytes(20_000)).build()).collect();
    let answers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = files.iter().map(|file| scope.spawn(|| index.upload(file))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an upload gets an answer")).collect()
    });
    let winner = answers.iter().position(|answer| answer.status == 200).expect("one of them is taken");
    for (number, answer) in answers.into_iter().enumerate() {
        if number == winner {
            expect_taken(answer);
        } else {
            expect_refusal(answer, 409, "PYTHON_FILE_EXISTS", "content differs");
        }
    }
    let file = &files[winner];
    assert_eq!(index.entry(&name, &file.filename)["hashes"]["sha256"], file.sha256());
    assert_eq!(index.tags(&name), ["1.0", "1.0-py3-none-any"]);
    own.collect();
    own.scrub();
    for (number, file) in files.iter().enumerate() {
        own.holds(number == winner, file);
    }
}

#[test]
fn different_files_of_one_release_at_once() {
    let index = Index::new();
    let name = project();
    let files: Vec<_> = (0..12)
        .map(|number| Wheel::new(&name, "1.0").tag(&format!("cp3{number}-cp3{number}-win_amd64")).build())
        .collect();
    thread::scope(|scope| {
        for file in &files {
            scope.spawn(|| index.takes(file));
        }
    });
    let mut expected: Vec<_> = files.iter().map(|file| file.filename.clone()).collect();
    expected.sort();
    assert_eq!(index.files(&name), expected);
    let release = index.writer.manifest_get(&index.repository(&name), "1.0").expect(&[200]).json();
    assert_eq!(release["manifests"].as_array().map(Vec::len), Some(12), "{release}");
    assert_eq!(index.tags(&name).len(), 13);
}

#[test]
fn u16_u17_versions_with_a_plus_and_an_exclamation_mark() {
    let index = Index::new();
    for (version, tag) in [("1.0+cu118.abc", "1.0_cu118.abc"), ("1!2.0", "1__2.0"), ("1!2.0+a", "1__2.0_a")] {
        let file = Wheel::new(&project(), version).build();
        index.takes(&file);
        assert_eq!(index.tags(&file.name), [tag.to_owned(), format!("{tag}-py3-none-any")]);
        let url =
            index.entry(&file.name, &file.filename)["url"].as_str().expect("a file has a URL").to_owned();
        assert!(!url.contains(['+', '!']), "{url}");
        let path = index.writer.python_path(&index.organization().name, "main", &file.name, &file.filename);
        for path in [path.clone(), path.replace("%2B", "+").replace("%21", "!")] {
            let answer = index.writer.ask("GET", &path).expect(&[200]);
            assert!(answer.body == file.bytes, "other bytes at {path}");
        }
        let page = index.page(&file.name).expect(&[200]).json();
        assert_eq!(page["versions"], json!([version]), "{page}");
    }
}

#[test]
fn u18_u19_tags_of_long_file_names() {
    let index = Index::new();
    let name = project();
    let platforms = "manylinux_2_5_x86_64.manylinux1_x86_64.manylinux_2_17_x86_64.manylinux2014_x86_64";
    let long = Wheel::new(&name, "1.17.0").tag(&format!("cp311-cp311-{platforms}")).build();
    index.takes(&long);
    let tag = format!("1.17.0-cp311-cp311-{platforms}");
    assert_eq!(tag.len(), 100);
    assert_eq!(index.tags(&name), ["1.17.0".to_owned(), tag.clone()]);
    index.writer.manifest_get(&index.repository(&name), &tag).expect(&[200]);

    let longer = Wheel::new(&name, "2.0")
        .tag(&format!("cp311-cp311-{platforms}.macosx_11_0_universal2.win_amd64"))
        .build();
    index.takes(&longer);
    let hash = testkit::sha256(longer.filename.as_bytes());
    let tag = format!("2.0-x{}", &hash["sha256:".len()..][..40]);
    assert!(index.tags(&name).contains(&tag), "{tag} is none of {:?}", index.tags(&name));
    let manifest = index.writer.manifest_get(&index.repository(&name), &tag).expect(&[200]).json();
    assert_eq!(manifest["layers"][0]["digest"], testkit::sha256(&longer.bytes));
}

#[test]
fn u23_parts_in_any_order_and_without_a_type() {
    let index = Index::new();
    let form = || {
        let file = Wheel::new(&project(), "1.0").build();
        (Upload::new(&file), file)
    };
    let (first, file) = form();
    expect_taken(index.send(&first.content_first()));
    assert_eq!(index.files(&file.name), [file.filename]);
    let (untyped, file) = form();
    expect_taken(index.send(&untyped.content(|part| part.content_type = None)));
    assert_eq!(index.files(&file.name), [file.filename]);
    let (mut reversed, file) = form();
    reversed.parts.reverse();
    expect_taken(index.send(&reversed));
    assert_eq!(index.files(&file.name), [file.filename]);
    let (typed, file) = form();
    let fields = typed
        .last(Part { content_type: Some("text/plain; charset=utf-8".into()), ..Part::text("summary", "ü") });
    expect_taken(index.send(&fields));
    assert_eq!(index.files(&file.name), [file.filename]);
}

#[test]
fn an_upload_in_chunks_without_a_length_is_taken() {
    let index = Index::new();
    let file = wheel().file("data", random_bytes(200_000)).build();
    let body = crate::scene::chunked(&Upload::new(&file).body());
    let headers = [("content-type", Upload::content_type())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    index.writer.call("POST", &index.path(""), &headers, body).expect(&[200]);
    assert_eq!(index.files(&file.name), [file.filename]);
}
