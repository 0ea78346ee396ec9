//! Backups, snapshots, and the way back from both.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use testkit::{Api, Output, Role, Server, random_bytes, run};

use crate::scene::{Calls as _, LAYER_TYPE, Organization, options, own_server, small_manifest};

const LAYER: usize = 20_000;

/// A server with a repository, and a folder for backups.
struct Place {
    server: Server,
    api: Api,
    repository: String,
    folder: TempDir,
}

/// An image that was acknowledged.
#[derive(Clone, Debug)]
struct Image {
    tag: String,
    manifest: String,
    layer: String,
}

impl Place {
    fn new(variables: &[(&str, &str)]) -> Self {
        let server = own_server(variables);
        let organization = Organization::on(&server.api());
        let (api, repository) = (organization.member(Role::Writer), organization.repository("app"));
        Self { server, api, repository, folder: TempDir::new().expect("a temporary directory can be made") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backup(&self, arguments: &[&str]) -> Output {
        let to = self.path("backup");
        let to = to.to_str().expect("temporary paths are text");
        run(&mut self.server.command(&[&["backup", "--to", to], arguments].concat()))
    }

    /// The program over another data folder.
    fn elsewhere(&self, data: &str, arguments: &[&str]) -> Output {
        let command = self.server.command(&[]);
        let mut other = Command::new(command.get_program());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => other.env(name, value),
                None => other.env_remove(name),
            };
        }
        run(other.args(arguments).arg("--data-dir").arg(self.path(data)))
    }

    fn restore(&self, data: &str, arguments: &[&str]) -> Output {
        let from = self.path("backup");
        let from = from.to_str().expect("temporary paths are text");
        self.elsewhere(data, &[&["restore", "--from", from], arguments].concat())
    }

    fn image(&self, tag: &str) -> Image {
        self.image_try(tag).expect("nothing is in the way of a push")
    }

    /// Pushes an image; `None` when the collector was faster than its manifest.
    fn image_try(&self, tag: &str) -> Option<Image> {
        let layer = self.api.blob_push(&self.repository, &random_bytes(LAYER));
        self.api.blob_push(&self.repository, b"{}");
        let mut manifest = small_manifest();
        manifest["layers"] = json!([{ "mediaType": LAYER_TYPE, "digest": layer, "size": LAYER }]);
        let bytes = manifest.to_string().into_bytes();
        let answer = self.api.manifest_put(&self.repository, tag, crate::scene::MANIFEST_TYPE, &bytes);
        let manifest = testkit::sha256(&bytes);
        (answer.status == 201).then(|| Image { tag: tag.to_owned(), manifest, layer })
    }

    /// That a server with the restored data serves these images.
    fn serves(&self, data: &str, images: &[Image]) {
        let server = Server::start(options().data_directory(self.path(data)));
        let api = server.api().as_user("admin", self.server.admin_password());
        for image in images {
            let pulled = api.manifest_get(&self.repository, &image.tag).expect(&[200]);
            assert_eq!(testkit::sha256(&pulled.body), image.manifest);
            let layer = api.blob_get(&self.repository, &image.layer).expect(&[200]);
            assert_eq!(testkit::sha256(&layer.body), image.layer);
        }
        let again = api.blob_push(&self.repository, b"life goes on");
        api.blob_get(&self.repository, &again).expect(&[200]);
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The number before a word in what a command said.
fn number(output: &Output, word: &str) -> u64 {
    let (before, _) = output.stdout.split_once(word).expect("the word is there");
    let number = before.trim_end().rsplit(|character: char| !character.is_ascii_digit()).next();
    number.and_then(|number| number.parse().ok()).expect("a number stands before it")
}

#[test]
fn i2_a_backup_under_load_holds_everything_that_was_acknowledged_before_it() {
    let place = Place::new(&[
        ("LARDER_GC__INTERVAL", "1s"),
        ("LARDER_GC__GRACE", "1s"),
        ("LARDER_GC__TRASH_DELAY", "0s"),
    ]);
    let (kept, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let load = |name: &str| {
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if let Some(image) = place.image_try(&format!("{name}-{number}")) {
                kept.lock().unwrap().push(image);
            }
            // What goes again: its bytes are deleted within a second or two.
            if let Some(passing) = place.image_try("passing") {
                let path = format!("/v2/{}/manifests/{}", place.repository, passing.manifest);
                place.api.ask("DELETE", &path).expect(&[202, 404]);
            }
        }
    };
    let acknowledged = std::thread::scope(|scope| {
        let threads = [scope.spawn(|| load("one")), scope.spawn(|| load("two"))];
        std::thread::sleep(Duration::from_secs(3));
        let acknowledged = kept.lock().unwrap().clone();
        place.backup(&[]).success().says("0 removed");
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().expect("the load runs to its end");
        }
        acknowledged
    });
    assert!(acknowledged.len() > 10, "{} images", acknowledged.len());
    place.restore("restored", &[]).success().says(" 0 are not").says("larder scrub");
    place.elsewhere("restored", &["scrub"]).success().says(": 0 suspects");
    place.serves("restored", &acknowledged);
    // Onto what is there already, nothing is restored.
    place.restore("restored", &[]).failure().says("the database holds rows already").says("--data-dir");
}

#[test]
fn a_second_backup_copies_what_is_new_and_prunes_when_told() {
    let place = Place::new(&[
        ("LARDER_GC__ENABLED", "false"),
        ("LARDER_GC__GRACE", "0s"),
        ("LARDER_GC__TRASH_DELAY", "0s"),
    ]);
    let images: Vec<Image> = (0..5).map(|tag| place.image(&format!("v{tag}"))).collect();
    let first = place.backup(&[]).success();
    assert_eq!((number(&first, " copied"), number(&first, " were there")), (6, 0), "{first}");
    place.image("late");
    let second = place.backup(&[]).success();
    assert_eq!((number(&second, " copied"), number(&second, " were there")), (1, 6), "{second}");

    let path = format!("/v2/{}/manifests/{}", place.repository, images[0].manifest);
    place.api.ask("DELETE", &path).expect(&[202]);
    run(&mut place.server.command(&["gc", "--once"])).success();
    let kept = place.backup(&[]).success();
    assert_eq!((number(&kept, " were there"), number(&kept, " removed")), (6, 0), "{kept}");
    let pruned = place.backup(&["--prune"]).success();
    assert_eq!((number(&pruned, " were there"), number(&pruned, " removed")), (6, 1), "{pruned}");

    // Bytes that rot in the backup are noticed by whoever asks for it.
    let objects = files(&place.path("backup/objects"));
    assert_eq!(objects.len(), 6);
    let rotten = objects.iter().find(|file| file.metadata().unwrap().len() == LAYER as u64).unwrap();
    let mut bytes = std::fs::read(rotten).unwrap();
    bytes[7] ^= 1;
    std::fs::write(rotten, bytes).unwrap();
    assert_eq!(number(&place.backup(&[]).success(), " copied"), 0);
    assert_eq!(number(&place.backup(&["--verify"]).success(), " copied"), 1);
    place.restore("restored", &[]).success();
    place.serves("restored", &images[1..]);

    for file in files(&place.path("backup")) {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} can be read by others", file.display());
    }
}

#[test]
fn what_is_missing_is_listed_and_the_rest_is_saved() {
    let place = Place::new(&[]);
    let (lost, image) = (place.image("lost"), place.image("kept"));
    let file = crate::scene::object_files(&place.server, &lost.layer).pop().expect("it is stored");
    std::fs::remove_file(file).expect("it can be lost");
    place
        .backup(&[])
        .failure()
        .says(&format!("({}): it is missing", lost.layer))
        .says("1 objects are missing");
    place
        .restore("restored", &[])
        .failure()
        .says(&lost.layer)
        .says("no row was restored")
        .says("--allow-missing");
    place.restore("restored", &["--allow-missing"]).failure().says("1 are not").says("larder serve");
    place.elsewhere("restored", &["scrub"]).failure().says("missing: object").says(": 1 suspects");
    place.serves("restored", &[image]);
}

#[test]
fn i1_a_damaged_backup_is_refused_and_restoring_goes_on_once_it_is_whole() {
    let place = Place::new(&[]);
    let images = [place.image("v1"), place.image("v2")];
    place.backup(&[]).success();
    let (dump, objects) = (place.path("backup/backup/database.larder"), files(&place.path("backup/objects")));
    let turn = |file: &Path, at: usize| {
        let mut bytes = std::fs::read(file).unwrap();
        bytes[at] ^= 0x10;
        std::fs::write(file, bytes).unwrap();
    };

    turn(&dump, 1000);
    place.restore("restored", &[]).failure().says("backup/database.larder cannot be used").says("damaged");
    assert!(files(&place.path("restored/objects")).is_empty(), "something was copied");
    turn(&dump, 1000);

    let object = objects.iter().find(|file| file.metadata().unwrap().len() == LAYER as u64).unwrap();
    turn(object, LAYER / 2);
    let key = object.file_name().unwrap().to_str().unwrap();
    let refused = place.restore("restored", &[]).failure();
    refused
        .says(&format!("bad: object {key}"))
        .says("does not hash to its digest")
        .says("no row was restored");
    turn(object, LAYER / 2);
    // Another backup does not go on top of the half of this one.
    place.image("v3");
    let other = place.path("other");
    run(&mut place.server.command(&["backup", "--to", other.to_str().unwrap()])).success();
    let from = ["restore", "--from", other.to_str().unwrap()];
    place.elsewhere("restored", &from).failure().says("another backup was begun");

    let restored = place.restore("restored", &[]).success();
    assert_eq!(
        (number(&restored, " objects copied"), number(&restored, " were there")),
        (1, 2),
        "{restored}"
    );
    place.elsewhere("restored", &["scrub"]).success().says(": 0 suspects");
    place.serves("restored", &images);
}

#[test]
fn i2_a_backup_that_was_cut_off_leaves_the_one_before_it_whole() {
    let place = Place::new(&[]);
    let image = place.image("v1");
    place.backup(&[]).success();
    let late = place.image("late");
    // What a run leaves that died in the middle: half an object, and one of the right length with other bytes.
    std::fs::copy(place.path("backup/backup/database.larder"), place.path("backup/backup/unfinished"))
        .unwrap();
    let stored = crate::scene::object_files(&place.server, &late.layer).pop().expect("it is stored");
    let relative = stored.strip_prefix(place.server.data_directory()).unwrap();
    let torn = place.path("backup").join(relative);
    std::fs::create_dir_all(torn.parent().unwrap()).unwrap();
    std::fs::write(&torn, vec![0; LAYER]).unwrap();
    place.restore("before", &[]).success();
    place.serves("before", std::slice::from_ref(&image));

    let next = place.backup(&[]).success();
    assert_eq!((number(&next, " copied"), number(&next, " were there")), (1, 2), "{next}");
    assert!(!place.path("backup/backup/unfinished").exists());
    place.restore("restored", &[]).success();
    place.serves("restored", &[image, late]);
}

#[test]
fn a_place_that_cannot_be_meant_is_refused() {
    let place = Place::new(&[]);
    let data = place.server.data_directory();
    run(&mut place.server.command(&["backup", "--to", data.to_str().unwrap()]))
        .failure()
        .says("data folder itself");
    run(&mut place.server.command(&["backup"])).failure().says("--to");
    place.restore("restored", &[]).failure().says("there is no backup in");
    std::fs::create_dir_all(place.path("backup/objects")).unwrap();
    place.restore("restored", &[]).failure().says("there is no whole backup there");
    place.elsewhere("restored", &["restore"]).failure().says("--from");
    place
        .elsewhere("restored", &["restore", "--from", "latest"])
        .failure()
        .says("no snapshot in this storage");
    let unknown = ["restore", "--from", "snapshot:../../etc/passwd"];
    place.elsewhere("restored", &unknown).failure().says("not the name of a snapshot");
    // A storage that holds content keeps it, even when its database is gone.
    place.image("v1");
    place.backup(&[]).success();
    let copied = place.path("taken/objects/00");
    std::fs::create_dir_all(&copied).unwrap();
    std::fs::write(copied.join("0".repeat(32)), b"content").unwrap();
    place.restore("taken", &[]).failure().says("the storage holds objects already").says("--from latest");
}

#[test]
fn a_lost_database_comes_back_from_its_snapshot() {
    let mut place = Place::new(&[("LARDER_DATABASE__SNAPSHOTS", "1s")]);
    let image = place.image("v1");
    let taken = |place: &Place| place.server.log().matches("took a snapshot").count();
    let before = taken(&place);
    let deadline = Instant::now() + Duration::from_secs(20);
    // The first of them may have begun before the push.
    while taken(&place) < before + 2 {
        assert!(Instant::now() < deadline, "no snapshots are taken");
        place.image("filler");
        std::thread::sleep(Duration::from_millis(200));
    }
    let listed = run(&mut place.server.command(&["restore", "--list-snapshots"])).success();
    assert!(
        listed.lines().iter().all(|line| line.starts_with("20") && line.contains("Z.larder")),
        "{listed}"
    );
    run(&mut place.server.command(&["restore", "--from", "latest"])).failure().says("in use");
    place.server.stop();
    run(&mut place.server.command(&["restore", "--from", "latest"]))
        .failure()
        .says("the database holds rows already");

    let data = place.server.data_directory();
    for file in ["larder.db", "larder.db-wal", "larder.db-shm"] {
        let _ = std::fs::remove_file(data.join(file));
    }
    // A server that started now would hide everything and, in a day, lose the snapshots as well.
    run(&mut place.server.command(&["serve", "--listen", "localhost:0"]))
        .failure()
        .says("snapshots of one that is gone")
        .says("restore --from latest");
    // A snapshot that is damaged is passed over.
    let mut snapshots = files(&data.join("snapshots"));
    snapshots.sort();
    let newest = snapshots.last().unwrap();
    std::fs::write(data.join("snapshots/29991231T000000Z.larder"), b"none").unwrap();
    assert_eq!(newest.metadata().unwrap().permissions().mode() & 0o077, 0);
    run(&mut place.server.command(&["restore", "--from", "latest"])).success().says(" 0 are not");
    run(&mut place.server.command(&["scrub"])).says_nothing_of("missing");
    place.server.restart();
    let pulled = place.api.manifest_get(&place.repository, "v1").expect(&[200]);
    assert_eq!(testkit::sha256(&pulled.body), image.manifest);
    place.api.blob_get(&place.repository, &image.layer).expect(&[200]);
}

#[test]
fn a_database_that_does_not_change_is_not_saved_again() {
    let place = Place::new(&[("LARDER_DATABASE__SNAPSHOTS", "1s"), ("LARDER_GC__ENABLED", "false")]);
    place.image("v1");
    let taken = || place.server.log().matches("took a snapshot").count();
    std::thread::sleep(Duration::from_secs(4));
    let settled = taken();
    assert!(settled > 0, "no snapshot was taken");
    // Readiness checks write, and change nothing.
    for _ in 0..10 {
        place.api.get("/readyz").expect(&[200]);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(taken(), settled);
}
