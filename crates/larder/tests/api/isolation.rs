//! Two organizations on one server learn nothing of each other. The numbers in the tests' names are those of
//! the project's list of threats.

mod content;
mod documents;
mod lists;
mod matrix;
mod paths;
mod resources;
mod rights;
mod shared;
mod table;

pub(crate) use table::api_endpoints;

use serde_json::{Value, json};
use testkit::python::{BuiltFile, Wheel};
use testkit::{Api, Role, Visibility, random_bytes, random_word, sha256};

use crate::scene::{Calls as _, Organization, Pushed, referrer_of, small_manifest};

/// An organization with something to hide.
struct Victim {
    organization: Organization,
    /// The name of the registry.
    registry: String,
    /// The full name of the repository that holds everything below.
    repository: String,
    /// Who pushed it.
    writer: Api,
    /// A layer of its image, and its digest.
    layer: Vec<u8>,
    layer_digest: String,
    /// The image, and the tag that it is under.
    image: Pushed,
    tag: String,
    /// An artifact that refers to the image.
    referrer: Pushed,
    /// An open upload's path, with these bytes in it.
    upload: String,
    /// A personal token of the writer.
    token_id: String,
    /// A service account of the organization, a token and a binding of it, and an invitation.
    account: String,
    account_token_id: String,
    binding_id: String,
    invitation_id: String,
    /// A Python project in the same registry, and its one wheel.
    project: String,
    wheel: BuiltFile,
}

/// What the open upload holds.
const UPLOADED: &[u8] = b"half of it";

impl Victim {
    fn new() -> Self {
        Self::in_organization(Organization::new())
    }

    /// Every name is one that turns up nowhere else, so that it can be looked for in answers.
    fn in_organization(organization: Organization) -> Self {
        let (registry, tag) = (format!("vault-{}", random_word()), format!("tag-{}", random_word()));
        organization.registry(&registry, Visibility::Private);
        let writer = organization.member(Role::Writer);
        let repository = format!("{}/{registry}/app-{}", organization.name, random_word());
        let layer = random_bytes(4096);
        let layer_digest = writer.blob_push(&repository, &layer);
        let mut manifest = small_manifest();
        manifest["layers"] =
            json!([{ "mediaType": crate::scene::LAYER_TYPE, "digest": layer_digest, "size": layer.len() }]);
        let image = writer.image_push(&repository, &tag, &manifest);
        let referrer = referrer_of(&image.descriptor(), "application/vnd.example.signature");
        let referrer = writer.image_push(&repository, "", &referrer);
        let upload = writer.upload_open(&repository);
        writer.call("PATCH", &upload, &[], UPLOADED).expect(&[202]);
        let token_id = writer.token_create("laptop")["id"].as_str().expect("a token has an id").to_owned();
        let wheel = wheel_of(&format!("pkg-{}", random_word()));
        writer.python_upload(&organization.name, &registry, &wheel).expect(&[200]);
        let account = account_name();
        let made = |rest: &str, body: &Value| -> Value {
            let path = format!("/organizations/{}{rest}", organization.name);
            organization.admin().manage("POST", &path, body).expect(&[201]).json()
        };
        let id = |made: Value| made["id"].as_str().expect("what was made has an id").to_owned();
        made("/service-accounts", &json!({ "name": account }));
        let account_token_id =
            id(made(&format!("/service-accounts/{account}/tokens"), &json!({ "name": "ci" })));
        let binding = json!({
            "name": "release",
            "issuer": "https://gitlab.com",
            "claims": [{ "claim": "project_id", "equals": "74" }],
        });
        let binding_id = id(made(&format!("/service-accounts/{account}/bindings"), &binding));
        let invitation_id =
            id(made(&format!("/registries/{registry}/invitations"), &json!({ "role": "viewer" })));
        Self {
            account,
            account_token_id,
            binding_id,
            invitation_id,
            organization,
            registry,
            repository,
            writer,
            layer,
            layer_digest,
            image,
            tag,
            referrer,
            upload,
            token_id,
            project: wheel.name.clone(),
            wheel,
        }
    }

    /// The identifier of the open upload.
    fn upload_id(&self) -> &str {
        self.upload.rsplit('/').next().expect("a path has a last part")
    }

    /// Everything is as it was.
    #[track_caller]
    fn is_untouched(&self) {
        let layer = self.writer.blob_get(&self.repository, &self.layer_digest).expect(&[200]);
        assert!(layer.body == self.layer, "the layer changed");
        for reference in [self.tag.as_str(), self.image.digest.as_str()] {
            let image = self.writer.manifest_get(&self.repository, reference).expect(&[200]);
            assert_eq!(image.body, self.image.bytes);
            assert_eq!(image.header("content-type"), Some(self.image.media_type.as_str()));
        }
        assert_eq!(self.writer.tag_list(&self.repository), [self.tag.as_str()]);
        let path = format!("/v2/{}/referrers/{}", self.repository, self.image.digest);
        let listed = self.writer.ask("GET", &path).expect(&[200]).json();
        let digests: Vec<_> =
            listed["manifests"].as_array().into_iter().flatten().map(|entry| &entry["digest"]).collect();
        assert_eq!(digests, [&json!(self.referrer.digest)]);
        let upload = self.writer.ask("GET", &self.upload).expect(&[204]);
        assert_eq!(upload.header("range"), Some(format!("0-{}", UPLOADED.len() - 1).as_str()), "{upload}");
        let tokens = self.writer.token_list();
        let mut ids = tokens["items"].as_array().into_iter().flatten().map(|token| &token["id"]);
        assert!(ids.any(|id| *id == self.token_id), "{tokens}");
        let path = format!("/organizations/{}/registries/{}", self.organization.name, self.registry);
        let registry =
            self.organization.admin().manage("GET", &path, &serde_json::Value::Null).expect(&[200]);
        assert_eq!(registry.json()["visibility"], "private", "{registry}");
        self.account_is_untouched();
        self.project_is_untouched();
    }

    /// So is its service account, with what hangs on it.
    #[track_caller]
    fn account_is_untouched(&self) {
        let path = format!("/organizations/{}", self.organization.name);
        let read = |rest: String| {
            let answer = self.organization.admin().manage("GET", &format!("{path}{rest}"), &Value::Null);
            answer.expect(&[200]).json()
        };
        let account = format!("/service-accounts/{}", self.account);
        assert_eq!(read(account.clone())["disabled"], false);
        for (rest, id) in [
            (format!("{account}/tokens"), &self.account_token_id),
            (format!("{account}/bindings"), &self.binding_id),
            (format!("/registries/{}/invitations", self.registry), &self.invitation_id),
        ] {
            let list = read(rest);
            assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
            assert_eq!(list["items"][0]["id"], id.as_str(), "{list}");
        }
    }

    /// So is its Python project.
    #[track_caller]
    fn project_is_untouched(&self) {
        let (organization, project) = (&self.organization.name, &self.project);
        let page = self.writer.python_page(organization, &self.registry, project).expect(&[200]).json();
        assert_eq!(page["project-status"], json!({ "status": "active" }), "{page}");
        assert_eq!(page["versions"], json!([self.wheel.version]), "{page}");
        assert_eq!(page["files"].as_array().map(Vec::len), Some(1), "{page}");
        assert_eq!(page["files"][0]["yanked"], false, "{page}");
        assert_eq!(page["files"][0]["hashes"]["sha256"], self.wheel.sha256(), "{page}");
        let file = self.writer.python_file(organization, &self.registry, project, &self.wheel.filename);
        assert!(file.expect(&[200]).body == self.wheel.bytes, "the wheel changed");
        let tags = self.writer.tag_list(&format!("{organization}/{}/{project}", self.registry));
        assert_eq!(tags.len(), 2, "{tags:?}");
    }
}

/// Somebody from another organization, who may write there.
struct Attacker {
    api: Api,
    repository: String,
}

impl Attacker {
    fn new() -> Self {
        let organization = Organization::new();
        let (api, repository) = (organization.member(Role::Writer), organization.repository("app"));
        // The repository exists, so that its own "not there" is the honest one.
        api.image_push(&repository, "own", &small_manifest());
        Self { api, repository }
    }
}

/// A wheel whose version turns up nowhere else.
fn wheel_of(project: &str) -> BuiltFile {
    let version: String = random_word().bytes().take(9).map(|byte| char::from(b'1' + byte % 9)).collect();
    Wheel::new(project, &format!("7.{version}")).build()
}

/// A name that no service account has.
fn account_name() -> String {
    format!("m-{}", &random_word()[..12])
}

/// The digest of something that nobody ever pushed.
fn digest_of_nothing() -> String {
    sha256(&random_bytes(32))
}

/// The identifier of an upload that nobody opened.
fn upload_of_nothing() -> String {
    let digits = random_word() + &random_word();
    format!(
        "{}-{}-4{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..15],
        &digits[15..18],
        &digits[18..30]
    )
}
