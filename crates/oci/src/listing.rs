//! Bodies of the tag list (OCI distribution-spec, "Listing Tags") and of the catalog (Docker Registry HTTP
//! API V2).

use serde::Serialize;

use crate::name::RepositoryName;

#[derive(Serialize)]
struct TagList<'a> {
    name: &'a RepositoryName,
    tags: Vec<&'a str>,
}

#[derive(Serialize)]
struct Catalog<'a> {
    repositories: Vec<&'a str>,
}

/// `{"name":…,"tags":[…]}`, in the order given; an empty list is `[]`.
pub fn render_tags<T: AsRef<str>>(name: &RepositoryName, tags: &[T]) -> Vec<u8> {
    serde_json::to_vec(&TagList { name, tags: tags.iter().map(AsRef::as_ref).collect() })
        .expect("only strings are in it")
}

/// `{"repositories":[…]}`, in the order given; an empty list is `[]`.
pub fn render_catalog<T: AsRef<str>>(repositories: &[T]) -> Vec<u8> {
    serde_json::to_vec(&Catalog { repositories: repositories.iter().map(AsRef::as_ref).collect() })
        .expect("only strings are in it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Tag;

    #[test]
    fn shapes() {
        let name: RepositoryName = "acme/prod/app".parse().unwrap();
        let tags: Vec<Tag> = vec!["a".parse().unwrap(), "b".parse().unwrap()];
        assert_eq!(render_tags(&name, &tags), br#"{"name":"acme/prod/app","tags":["a","b"]}"#);
        assert_eq!(render_tags::<Tag>(&name, &[]), br#"{"name":"acme/prod/app","tags":[]}"#);
        assert_eq!(render_catalog(&[name]), br#"{"repositories":["acme/prod/app"]}"#);
        assert_eq!(render_catalog(&["a/b/c"]), br#"{"repositories":["a/b/c"]}"#);
    }
}
