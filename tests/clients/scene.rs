//! What every client test starts from: a fresh server with the registry `demo/main`, somebody who may
//! write there, somebody who may only look, and somebody who has an account and nothing else.

use testkit::images::{Image, Index};
use testkit::{Api, Options, Place, Role, Sandbox, Server, random_word, sha256};

/// What somebody who has not logged in may read, depending on whether the client shows the server's text or,
/// after a HEAD request, only the status.
pub(crate) const NOT_LOGGED_IN: &[&str] =
    &["unauthorized", "authentication required", "401", "denied", "403"];

/// A person with a name and a password.
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) password: String,
}

/// A server with people.
pub(crate) struct Scene {
    pub(crate) server: Server,
    /// The administrator, who may look at everything in `demo`.
    pub(crate) admin: Api,
    /// A writer in `demo/main`.
    pub(crate) writer: Account,
    /// A viewer in `demo/main`.
    pub(crate) viewer: Account,
    /// Somebody without any membership.
    pub(crate) stranger: Account,
    /// The writer's home.
    pub(crate) home: Sandbox,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Options::new(env!("CARGO_BIN_EXE_larder")))
    }

    pub(crate) fn with(options: Options) -> Self {
        let server = Server::start(options);
        let admin = server.api();
        let [writer, viewer, stranger] =
            ["wendy", "victor", "stanley"].map(|name| Account { name, password: random_word() });
        for account in [&writer, &viewer, &stranger] {
            admin.user_create(account.name, &account.password);
        }
        admin.member_put(Place::Registry("demo", "main"), writer.name, Role::Writer);
        admin.member_put(Place::Registry("demo", "main"), viewer.name, Role::Viewer);
        Self { server, admin, writer, viewer, stranger, home: Sandbox::new() }
    }

    /// `localhost:PORT`.
    pub(crate) fn host(&self) -> String {
        self.server.host()
    }

    /// The full reference of `name` in `demo/main`: `hello:1` gives `localhost:PORT/demo/main/hello:1`.
    pub(crate) fn reference(&self, name: &str) -> String {
        self.server.reference(&repository(name))
    }

    /// The server holds `image` under `tag`, byte for byte.
    #[track_caller]
    pub(crate) fn holds_image(&self, name: &str, reference: &str, image: &Image) {
        let manifest = self.manifest(name, reference);
        assert_eq!(manifest, image.manifest.bytes, "the stored manifest differs from the pushed one");
        for blob in [&image.config, &image.layer] {
            let stored = self.admin.blob_get(&repository(name), &blob.digest()).expect(&[200]);
            assert!(
                stored.body == blob.bytes,
                "the stored blob {} differs from the pushed one",
                blob.digest()
            );
        }
    }

    /// The server holds `index` under `tag` with all its images, byte for byte.
    #[track_caller]
    pub(crate) fn holds_index(&self, name: &str, tag: &str, index: &Index) {
        assert_eq!(
            self.manifest(name, tag),
            index.manifest.bytes,
            "the stored index differs from the pushed one"
        );
        for image in &index.images {
            self.holds_image(name, &image.manifest.digest(), image);
        }
    }

    /// The bytes of a stored manifest, checked against the digest that the server gives it.
    #[track_caller]
    pub(crate) fn manifest(&self, name: &str, reference: &str) -> Vec<u8> {
        let answer = self.admin.manifest_get(&repository(name), reference).expect(&[200]);
        let digest = sha256(&answer.body);
        assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
        answer.body
    }

    /// The server no longer holds `reference` (a tag or a digest).
    #[track_caller]
    pub(crate) fn holds_nothing(&self, name: &str, reference: &str) {
        self.admin.manifest_get(&repository(name), reference).expect(&[404]);
    }
}

/// `demo/main/<name>`.
pub(crate) fn repository(name: &str) -> String {
    format!("demo/main/{name}")
}

/// Whether `part` lies somewhere in `whole`: how a test finds its file inside an archive that a client wrote.
pub(crate) fn contains(whole: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let starts = whole.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.map(|(start, _)| &whole[start..]).any(|rest| rest.starts_with(part))
}
