//! Bytes that several organizations have are stored once, and nobody can notice.

use testkit::{Role, random_bytes, run, sha256};

use crate::scene::{Calls as _, Organization, object_files, own_server};

#[test]
fn t42_collection_of_ones_content_leaves_the_others() {
    let server = own_server(&[
        ("LARDER_GC__ENABLED", "false"),
        ("LARDER_GC__GRACE", "0s"),
        ("LARDER_GC__TRASH_DELAY", "0s"),
    ]);
    let admin = server.api();
    let organizations = [Organization::on(&admin), Organization::on(&admin)];
    let [one, other] = organizations
        .each_ref()
        .map(|organization| (organization.member(Role::Writer), organization.repository("app")));
    let bytes = random_bytes(10_000);
    let digest = sha256(&bytes);
    let collect = || run(&mut server.command(&["gc", "--once"])).success();
    let image = |(api, repository): &(testkit::Api, String)| {
        let mut manifest = crate::scene::small_manifest();
        manifest["layers"] = serde_json::json!([{ "mediaType": crate::scene::LAYER_TYPE, "digest": digest, "size": bytes.len() }]);
        api.blob_push(repository, &bytes);
        api.image_push(repository, "v1", &manifest)
    };
    let pushed = [image(&one), image(&other)];
    assert_eq!(object_files(&server, &digest).len(), 2, "two uploads, of which one is in the trash");
    collect();
    assert_eq!(object_files(&server, &digest).len(), 1, "the bytes are stored once");

    let delete = |(api, repository): &(testkit::Api, String), manifest: &str| {
        api.ask("DELETE", &format!("/v2/{repository}/manifests/{manifest}")).expect(&[202]);
        api.ask("DELETE", &format!("/v2/{repository}/blobs/{digest}")).expect(&[202]);
        collect();
        api.blob_get(repository, &digest).expect(&[404]);
    };
    let holds = |(api, repository): &(testkit::Api, String)| {
        assert!(api.blob_get(repository, &digest).expect(&[200]).body == bytes, "other bytes");
        api.manifest_get(repository, "v1").expect(&[200]);
    };
    delete(&one, &pushed[0].digest);
    holds(&other);
    // The other way round, with the first one back.
    let again = image(&one);
    delete(&other, &pushed[1].digest);
    holds(&one);
    // With the last link the bytes go; so the collector did have something to do all the time.
    delete(&one, &again.digest);
    assert!(object_files(&server, &digest).is_empty(), "nobody has it, and the bytes are still there");
    // A whole registry that is deleted takes nothing of others along.
    image(&one);
    image(&other);
    admin
        .manage(
            "DELETE",
            &format!("/organizations/{}/registries/main?force=true", organizations[0].name),
            &serde_json::Value::Null,
        )
        .expect(&[204]);
    collect();
    holds(&other);
    run(&mut server.command(&["scrub"])).success();
}
