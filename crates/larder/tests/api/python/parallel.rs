//! Many clients at once.

use serde_json::json;
use testkit::python::{BuiltFile, Sdist, Wheel};

use super::scene::{Index, OwnIndex, project};

/// The digests that the index of a release names, in its order.
fn release(index: &Index, name: &str, tag: &str) -> Vec<String> {
    let answer = index.writer.manifest_get(&index.repository(name), tag).expect(&[200]);
    let document = answer.json();
    let manifests = document["manifests"].as_array().unwrap_or_else(|| panic!("no index: {answer}"));
    manifests.iter().map(|entry| entry["digest"].as_str().expect("a digest is text").to_owned()).collect()
}

/// Uploads every file at the same time and gives the statuses in order.
fn at_once(index: &Index, files: &[BuiltFile]) -> Vec<u16> {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            files.iter().map(|file| scope.spawn(move || index.upload(file).status)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an upload ends")).collect()
    })
}

#[test]
fn u12_wheels_of_one_release_from_several_clients() {
    for _ in 0..5 {
        let index = Index::new();
        let name = project();
        let tags = [
            "cp312-cp312-manylinux_2_17_x86_64",
            "cp312-cp312-manylinux_2_17_aarch64",
            "cp312-cp312-win_amd64",
            "cp312-cp312-macosx_11_0_arm64",
        ];
        let files = tags.map(|tag| Wheel::new(&name, "3.0.2").tag(tag).build());
        assert_eq!(at_once(&index, &files), [200; 4]);
        let mut expected = files.each_ref().map(|file| file.filename.clone());
        expected.sort_unstable();
        assert_eq!(index.files(&name), expected);
        let digests = release(&index, &name, "3.0.2");
        let rows = expected.each_ref().map(|filename| index.row(&name, filename)["manifest_digest"].clone());
        assert_eq!(digests, rows.map(|digest| digest.as_str().unwrap_or_default().to_owned()));
    }
}

#[test]
fn u13_fifty_wheels_of_one_release_and_one_of_them_ten_times() {
    let own = OwnIndex::new();
    let name = project();
    let mut files: Vec<BuiltFile> = (0..50)
        .map(|number| Wheel::new(&name, "1.0").tag(&format!("cp3{number}-none-any")).build())
        .collect();
    for _ in 0..10 {
        files.push(files[7].clone());
    }
    let statuses = at_once(&own.index, &files);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(own.index.files(&name).len(), 50);
    assert_eq!(release(&own.index, &name, "1.0").len(), 50);
    assert_eq!(own.index.tags(&name).len(), 51);
    own.collect();
    own.scrub();
    for file in &files {
        own.holds(true, file);
    }
}

#[test]
fn u14_one_file_from_twenty_clients() {
    let own = OwnIndex::new();
    let file = Wheel::new(&project(), "1.0").build();
    assert_eq!(at_once(&own.index, &vec![file.clone(); 20]), [200; 20]);
    assert_eq!(own.index.files(&file.name), [file.filename.as_str()]);
    let list = own.index.manage("GET", &format!("/projects/{}/files", file.name), &serde_json::Value::Null);
    assert_eq!(list.expect(&[200]).json()["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(own.index.tags(&file.name), ["1.0", "1.0-py3-none-any"]);
    // The bytes once, and the config.
    own.collect();
    assert_eq!(crate::scene::stored_files(&own.server).len(), 2);
}

/// Of two different files of one name one is taken, and who sent the other hears so.
#[test]
fn of_two_files_of_one_name_one_wins() {
    for _ in 0..5 {
        let index = Index::new();
        let name = project();
        let files: Vec<_> = (0..6)
            .map(|number| Wheel::new(&name, "1.0").file("data.py", format!("x = {number}\n")).build())
            .collect();
        let mut statuses = at_once(&index, &files);
        let winner = statuses.iter().position(|status| *status == 200).expect("one is taken");
        let entry = index.entry(&name, &files[winner].filename);
        assert_eq!(entry["hashes"]["sha256"], files[winner].sha256());
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409]);
    }
}

/// Names that can be mistaken for each other: the first one has it.
#[test]
fn of_two_names_that_look_alike_one_is_taken() {
    let index = Index::new();
    let word = project();
    let files = [format!("{word}-li0"), format!("{word}-1iO"), format!("{word}-ll-o")]
        .map(|name| Wheel::new(&name, "1.0").build());
    let mut statuses = at_once(&index, &files);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409]);
}

#[test]
fn reading_goes_on_while_files_come() {
    let index = Index::new();
    let name = project();
    index.takes(&Wheel::new(&name, "1.0").build());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..40 {
                index.takes(&Sdist::new(&name, &format!("2.{number}")).build());
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            let page = index.page(&name).expect(&[200]).json();
            let files = page["files"].as_array().expect("a page has files");
            // Never fewer than before, and never a version without a file.
            assert!(files.len() >= seen, "{page}");
            seen = files.len();
            assert_eq!(page["versions"].as_array().map(Vec::len), Some(seen), "{page}");
            let last = files.last().and_then(|file| file["url"].as_str()).expect("a file has an address");
            index.writer.get(last).expect(&[200]);
        }
    });
    assert_eq!(index.files(&name).len(), 41);
    assert_ne!(index.page(&name).json()["versions"], json!([]));
}
