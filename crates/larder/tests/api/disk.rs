//! A disk that is full or gone.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use serde_json::json;
use tempfile::TempDir;
use testkit::{Answer, Api, Role, Server, random_bytes, run, sha256};

use crate::scene::{
    Calls as _, LAYER_TYPE, MANIFEST_TYPE, Organization, empty_config, expect_error, options,
};

/// A small disk of its own, in memory. It is unmounted when this is dropped, also after a failed test.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn new(size: &str) -> Self {
        Self::at(&TempDir::new().expect("a temporary directory can be made").keep(), size)
    }

    fn at(path: &Path, size: &str) -> Self {
        let options = std::ffi::CString::new(format!("size={size},mode=700")).expect("no null in it");
        mount("larder-test", path, "tmpfs", MountFlags::empty(), Some(options.as_c_str())).unwrap_or_else(
            |error| {
                panic!("cannot mount a small disk: {error}; this test has to run as root, as it does in CI")
            },
        );
        Self { path: path.to_owned() }
    }

    fn read_only(&self, is_so: bool) {
        let flags = if is_so { MountFlags::RDONLY } else { MountFlags::empty() };
        mount_remount(&self.path, flags, "").expect("the disk can be remounted");
    }

    /// Takes all the room that is left, until the file is removed.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.path.join("ballast")).expect("a file can be made");
        let piece = vec![1; 4096];
        while file.write_all(&piece).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.path.join("ballast")).expect("the ballast is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The server may still have files open; detached, the disk goes with the last of them.
        if let Err(error) = unmount(&self.path, UnmountFlags::DETACH) {
            eprintln!("cannot unmount {}: {error}", self.path.display());
        }
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// A server on a small disk, and somebody who may push to it.
struct Place {
    // Dropped in this order: the server ends before its disk goes.
    server: Server,
    disk: Disk,
    api: Api,
    repository: String,
}

impl Place {
    fn new(size: &str) -> Self {
        let disk = Disk::new(size);
        let data = disk.path.join("data");
        Self::on(disk, &data)
    }

    /// With the data in `data`, of which the disk is a part or the whole.
    fn on(disk: Disk, data: &Path) -> Self {
        let options = options().data_directory(data);
        // Durable, as everybody has it: a full disk may show only when bytes are synced.
        let options = options.env("LARDER_STORAGE__DURABILITY", "durable").env("LARDER_GC__ENABLED", "false");
        let server = Server::start(options.env("LARDER_GC__TRASH_DELAY", "0s"));
        let organization = Organization::on(&server.api());
        let (api, repository) = (organization.member(Role::Writer), organization.repository("app"));
        // Signed in and remembered before anything goes wrong.
        api.ask("GET", "/v2/").expect(&[200]);
        Self { server, disk, api, repository }
    }

    fn push(&self, bytes: &[u8]) -> Answer {
        let path = format!("/v2/{}/blobs/uploads/?digest={}", self.repository, sha256(bytes));
        self.api.call("POST", &path, &[], bytes.to_vec())
    }

    /// Whether the server says that it can take pushes. It is alive either way.
    #[track_caller]
    fn is_ready(&self, expected: bool) {
        let nobody = self.api.as_nobody();
        nobody.get("/healthz").expect(&[200]);
        let answer = nobody.get("/readyz").expect(&[if expected { 200 } else { 503 }]);
        // What is wrong is for the log: anybody may ask.
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains(&*self.disk.path.to_string_lossy()), "{answer}");
    }

    /// All that there is is right, and a push works.
    #[track_caller]
    fn works(&self) {
        self.is_ready(true);
        let bytes = random_bytes(10_000);
        self.push(&bytes).expect(&[201]);
        self.push(b"{}").expect(&[201]);
        let manifest = manifest_over(&bytes);
        self.api.manifest_put(&self.repository, "works", MANIFEST_TYPE, &manifest).expect(&[201]);
        assert!(
            self.api.blob_get(&self.repository, &sha256(&bytes)).expect(&[200]).body == bytes,
            "other bytes"
        );
        run(&mut self.server.command(&["scrub"])).success().says(": 0 suspects");
    }
}

/// A manifest with one layer.
fn manifest_over(layer: &[u8]) -> Vec<u8> {
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": empty_config() });
    manifest["layers"] = json!([{ "mediaType": LAYER_TYPE, "digest": sha256(layer), "size": layer.len() }]);
    manifest.to_string().into_bytes()
}

#[test]
fn a_full_disk_refuses_pushes_and_serves_pulls() {
    let place = Place::new("24m");
    let kept = random_bytes(100_000);
    place.push(&kept).expect(&[201]);
    place.push(b"{}").expect(&[201]);
    let manifest = manifest_over(&kept);
    place.api.manifest_put(&place.repository, "kept", MANIFEST_TYPE, &manifest).expect(&[201]);
    place.is_ready(true);

    // An upload runs into the end of the disk: it says so, and nothing of it can be pulled.
    let large = random_bytes(32 << 20);
    let message = expect_error(place.push(&large), 507, "UNAVAILABLE");
    assert!(message.contains("disk is full") && message.contains("free space"), "{message}");
    place.api.blob_get(&place.repository, &sha256(&large)).expect(&[404]);
    let upload = place.api.upload_open(&place.repository);
    let message = expect_error(place.api.call("PATCH", &upload, &[], large.clone()), 507, "UNAVAILABLE");
    assert!(message.contains("disk is full"), "{message}");
    // The session stands where it stood, so that the client may go on once there is room.
    place.api.ask("GET", &upload).expect(&[204]);

    place.disk.fill();
    place.is_ready(false);
    let small = random_bytes(50_000);
    let refused = place.push(&small);
    assert!([503, 507].contains(&refused.status), "{refused}");
    let status = refused.status;
    expect_error(refused, status, "UNAVAILABLE");
    let mut other = manifest_over(&kept);
    other.extend(vec![b' '; 200_000]);
    let refused = place.api.manifest_put(&place.repository, "kept", MANIFEST_TYPE, &other);
    assert!([503, 507].contains(&refused.status), "{refused}");
    let status = refused.status;
    expect_error(refused, status, "UNAVAILABLE");
    // What was acknowledged is served all the while, and nothing else.
    let pulled = place.api.manifest_get(&place.repository, "kept").expect(&[200]);
    assert_eq!(pulled.body, manifest, "half a push shows");
    assert!(place.api.blob_get(&place.repository, &sha256(&kept)).expect(&[200]).body == kept, "other bytes");
    place.api.blob_get(&place.repository, &sha256(&small)).expect(&[404]);
    place.api.manifest_get(&place.repository, &sha256(&other)).expect(&[404]);

    place.disk.free();
    // What the refused pushes left is no content, and the collector takes it.
    run(&mut place.server.command(&["gc", "--once"])).success();
    place.api.ask("DELETE", &upload).expect(&[204]);
    run(&mut place.server.command(&["gc", "--once"])).success();
    place.works();
    place.push(&small).expect(&[201]);
    place.api.manifest_put(&place.repository, "kept", MANIFEST_TYPE, &other).expect(&[201]);
}

#[test]
fn an_upload_goes_on_where_the_disk_was_full() {
    let place = Place::new("24m");
    let bytes = random_bytes(1 << 20);
    let upload = place.api.upload_open(&place.repository);
    let (first, rest) = bytes.split_at(300_000);
    place.api.call("PATCH", &upload, &[], first.to_vec()).expect(&[202]);
    place.disk.fill();
    let refused = place.api.call("PATCH", &upload, &[], rest.to_vec());
    expect_error(refused, 507, "UNAVAILABLE");
    place.disk.free();
    let status = place.api.ask("GET", &upload).expect(&[204]);
    let range = status.header("range").expect("a session says where it stands");
    let offset = range.strip_prefix("0-").and_then(|last| last.parse::<usize>().ok()).expect("a range") + 1;
    assert!(offset >= first.len() && offset < bytes.len(), "{status}");
    place.api.call("PATCH", &upload, &[], bytes[offset..].to_vec()).expect(&[202]);
    place.api.ask("PUT", &format!("{upload}?digest={}", sha256(&bytes))).expect(&[201]);
    assert!(
        place.api.blob_get(&place.repository, &sha256(&bytes)).expect(&[200]).body == bytes,
        "other bytes"
    );
}

#[test]
fn a_disk_that_takes_no_writes_serves_pulls() {
    // The content has a disk of its own: one with an open database on it cannot be made read-only.
    let directory = TempDir::new().expect("a temporary directory can be made");
    let objects = directory.path().join("objects");
    std::fs::create_dir(&objects).expect("a folder can be made");
    let disk = Disk::at(&objects, "8m");
    let place = Place::on(disk, directory.path());
    let kept = random_bytes(100_000);
    place.push(&kept).expect(&[201]);
    place.push(b"{}").expect(&[201]);
    let upload = place.api.upload_open(&place.repository);
    place.api.call("PATCH", &upload, &[], "some").expect(&[202]);
    place.is_ready(true);

    place.disk.read_only(true);
    place.is_ready(false);
    assert!(place.server.log().contains("read-only"), "{}", place.server.log());
    let new = random_bytes(1000);
    let message = expect_error(place.push(&new), 503, "UNAVAILABLE");
    assert!(message.contains("cannot write to its storage"), "{message}");
    expect_error(place.api.call("PATCH", &upload, &[], "more"), 503, "UNAVAILABLE");
    place.api.blob_get(&place.repository, &sha256(&new)).expect(&[404]);
    assert!(place.api.blob_get(&place.repository, &sha256(&kept)).expect(&[200]).body == kept, "other bytes");
    // A manifest over what is there needs the database alone.
    let manifest = manifest_over(&kept);
    place.api.manifest_put(&place.repository, "kept", MANIFEST_TYPE, &manifest).expect(&[201]);

    place.disk.read_only(false);
    let status = place.api.ask("GET", &upload).expect(&[204]);
    assert_eq!(status.header("range"), Some("0-3"), "{status}");
    place.api.call("PATCH", &upload, &[], "more").expect(&[202]);
    place.api.ask("PUT", &format!("{upload}?digest={}", sha256(b"somemore"))).expect(&[201]);
    place.works();
}

#[test]
fn a_folder_that_is_gone_is_reported_and_a_restart_begins_anew() {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let data = directory.path().join("data");
    let mut server = Server::start(options().data_directory(&data));
    let organization = Organization::on(&server.api());
    let (api, repository) = (organization.member(Role::Writer), organization.repository("app"));
    api.blob_push(&repository, b"there");
    std::fs::rename(&data, directory.path().join("elsewhere")).expect("the folder can be moved away");
    let nobody = api.as_nobody();
    nobody.get("/healthz").expect(&[200]);
    nobody.get("/readyz").expect(&[503]);
    assert!(server.log().contains("removed, replaced or unmounted"), "{}", server.log());
    std::fs::rename(directory.path().join("elsewhere"), &data).expect("the folder can be moved back");
    nobody.get("/readyz").expect(&[200]);
    api.blob_get(&repository, &sha256(b"there")).expect(&[200]);
    // Content that went, while the database stayed.
    std::fs::remove_dir_all(data.join("objects")).expect("the content can be removed");
    let message = expect_error(api.blob_get(&repository, &sha256(b"there")), 503, "UNAVAILABLE");
    assert!(message.contains("missing from the server's storage"), "{message}");
    let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(b"new"));
    expect_error(api.call("POST", &path, &[], "new"), 503, "UNAVAILABLE");
    // Management needs the database alone.
    api.token_create("still");
    server.restart();
    api.blob_push(&repository, b"new");
    assert_eq!(api.blob_push(&repository, b"there"), sha256(b"there"));
    api.blob_get(&repository, &sha256(b"there")).expect(&[200]);
}
