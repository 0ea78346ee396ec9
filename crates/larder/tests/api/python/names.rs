//! Names of new projects that are refused because people would take them for something else.

use serde_json::json;
use testkit::python::{Sdist, Wheel};
use testkit::{Role, random_word};

use super::scene::{Index, OwnIndex, expect_refusal, leaving_nothing, project, wheel};
use crate::scene::{Calls as _, small_manifest};

/// A word without the letters and digits that can be taken for one another.
fn word() -> String {
    random_word().replace(['0', '1'], "x")
}

#[test]
fn b26_s1_a_name_that_looks_like_another_one() {
    let own = OwnIndex::new();
    let index = &own.index;
    let word = word();
    let first = Wheel::new(&format!("acme-lib0-{word}"), "1.0").build();
    index.takes(&first);
    let twins: Vec<_> = [
        format!("acme-1ib0-{word}"),
        format!("acme-Iib0-{word}"),
        format!("acme-libo-{word}"),
        format!("acme-libO-{word}"),
        format!("acmelib0{word}"),
        format!("a.c.m.e.lib0_{word}"),
        format!("acme-l1bo{word}"),
    ]
    .map(|name| Wheel::new(&name, "1.0").build())
    .into();
    for twin in &twins {
        let answer = index.upload(twin);
        let sentence = format!("is too similar to existing project '{}'", first.name);
        expect_refusal(answer, 409, "PYTHON_NAME_SIMILAR", &sentence);
        index.has_nothing_of(&twin.name);
    }
    own.collect();
    own.scrub();
    for twin in &twins {
        own.holds(false, twin);
    }
    // What is only alike in other ways is another name.
    index.takes(&Wheel::new(&format!("acme-lib2-{word}"), "1.0").build());
    // The project itself goes on, in whatever spelling.
    index.takes(&Wheel::new(&format!("Acme_Lib0.{word}"), "2.0").build());
    index.policy(&json!({ "allow_similar_names": true }));
    index.takes(&twins[0]);
    index.policy(&json!({ "allow_similar_names": false }));
    // The rule is for new names.
    index.takes(&Wheel::new(&twins[0].name, "2.0").build());
    expect_refusal(index.upload(&twins[1]), 409, "PYTHON_NAME_SIMILAR", "is too similar");
}

#[test]
fn s1_names_are_compared_within_one_registry() {
    let word = word();
    let (one, other) = (Index::new(), Index::new());
    one.takes(&Wheel::new(&format!("acme-lib-{word}"), "1.0").build());
    other.takes(&Wheel::new(&format!("acme-1ib-{word}"), "1.0").build());
    one.organization().registry("second", testkit::Visibility::Private);
    let twin = Wheel::new(&format!("acme-1ib-{word}"), "1.0").build();
    super::scene::expect_taken(one.writer.python_upload(&one.organization().name, "second", &twin));
}

#[test]
fn s1_two_clients_with_names_that_look_alike_at_once() {
    let index = Index::new();
    let word = word();
    let files = [format!("acme-lib-{word}"), format!("acme-1ib-{word}"), format!("acme-iib-{word}")]
        .map(|name| Wheel::new(&name, "1.0").build());
    let mut statuses: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = files.iter().map(|file| scope.spawn(|| index.upload(file).status)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an upload gets an answer")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409]);
}

#[test]
fn b26_s1_names_of_modules_of_python_itself() {
    leaving_nothing(|index| {
        for name in ["json", "Asyncio", "concurrent", "unittest", "tomllib", "distutils", "xml"] {
            for file in [Wheel::new(name, "1.0").build(), Sdist::new(name, "1.0").build()] {
                let sentence =
                    format!("project {} would be called like a module of Python", name.to_lowercase());
                expect_refusal(index.upload(&file), 409, "PYTHON_NAME_RESERVED", &sentence);
            }
            index.has_nothing_of(name);
        }
    });
    let index = Index::new();
    index.policy(&json!({ "allow_standard_library_names": true }));
    index.takes(&Wheel::new("json", "1.0").build());
    index.policy(&json!({ "allow_standard_library_names": false }));
    index.takes(&Wheel::new("json", "2.0").build());
    index.takes(&Wheel::new("json-tools", "1.0").build());
}

#[test]
fn b26_a_name_that_a_repository_of_containers_has() {
    let own = OwnIndex::new();
    let index = &own.index;
    let file = wheel().build();
    let repository = index.repository(&file.name);
    let pushed = index.writer.image_push(&repository, "1.0", &small_manifest());
    let answer = index.upload(&file);
    let sentence = format!("repository {} of this registry holds other artifacts", file.name);
    expect_refusal(answer, 409, "PYTHON_NAME_TAKEN", &sentence);
    index.page(&file.name).expect(&[404]);
    index.is_empty();
    assert_eq!(index.tags(&file.name), ["1.0"]);
    assert!(index.writer.manifest_get(&repository, "1.0").expect(&[200]).body == pushed.bytes, "other bytes");
    own.collect();
    own.scrub();
    own.holds(false, &file);
}

#[test]
fn the_longest_names_are_taken() {
    let index = Index::new();
    let name = format!("{}{}", "a".repeat(76), word());
    assert_eq!(name.len(), 100);
    let file = Wheel::new(&name, "1.0").build();
    index.takes(&file);
    assert_eq!(index.files(&name), [file.filename]);
}

#[test]
fn settings_that_make_no_sense_change_nothing() {
    let index = Index::new();
    let organization = index.organization();
    let path = format!("/organizations/{}/registries/main", organization.name);
    let before = organization.admin().manage("GET", &path, &json!(null)).expect(&[200]).json();
    for python in [
        json!({ "record": "ignore" }),
        json!({ "strict_filenames": "yes" }),
        json!({ "file_bytes": -1 }),
        json!({ "no_such_setting": true }),
    ] {
        let change = json!({ "python": python });
        organization.admin().manage("PATCH", &path, &change).expect(&[400, 422]);
    }
    // Nor may a writer change the rules.
    let change = json!({ "python": { "record": "warn" } });
    let writer = organization.member(Role::Writer);
    writer.manage("PATCH", &path, &change).expect(&[403]);
    let after = organization.admin().manage("GET", &path, &json!(null)).expect(&[200]).json();
    assert_eq!(before, after);
    index.refuses(&Wheel::new(&project(), "1.0").record("").build(), "PYTHON_ARCHIVE_INVALID", "RECORD");
}
