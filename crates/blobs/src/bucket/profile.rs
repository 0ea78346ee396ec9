//! Credentials in the files that the command line of AWS writes.

use std::path::PathBuf;

/// One profile of `~/.aws/credentials` and `~/.aws/config`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) token: Option<String>,
    pub(super) region: Option<String>,
}

/// The profile that the environment chooses. `None`: credentials come from somewhere else, because the
/// environment holds them, or because no profile does.
pub(super) fn from_environment() -> Result<Option<Profile>, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    read(&variable, &|path| std::fs::read_to_string(path).ok())
}

fn read(
    variable: &dyn Fn(&str) -> Option<String>,
    file: &dyn Fn(&PathBuf) -> Option<String>,
) -> Result<Option<Profile>, String> {
    if variable("AWS_ACCESS_KEY_ID").is_some() || variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
        return Ok(None);
    }
    let path = |name: &str, usual: &str| {
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".aws").join(usual));
        variable(name).map(PathBuf::from).or_else(home)
    };
    let text = |path: Option<PathBuf>| path.and_then(|path| file(&path)).unwrap_or_default();
    let credentials = text(path("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
    let config = text(path("AWS_CONFIG_FILE", "config"));
    let chosen = variable("AWS_PROFILE");
    let name = chosen.as_deref().unwrap_or("default");
    // In the second file, every profile but the default one says that it is one.
    let titles =
        [(&credentials, name.to_owned()), (&config, name.to_owned()), (&config, format!("profile {name}"))];
    let value = |key: &str| titles.iter().find_map(|(text, title)| value_of(text, title, key));
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(access_key), Some(secret_key)) => Ok(Some(Profile {
            access_key,
            secret_key,
            token: value("aws_session_token"),
            region: value("region"),
        })),
        _ if chosen.is_some() => Err(format!(
            "AWS_PROFILE is {name}, but neither ~/.aws/credentials nor ~/.aws/config has an aws_access_key_id and \
             an aws_secret_access_key for it; add them, or unset AWS_PROFILE"
        )),
        _ => Ok(None),
    }
}

/// The value of a key in a section of an INI file.
fn value_of(text: &str, section: &str, key: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            inside = title.0.split_whitespace().eq(section.split_whitespace());
        } else if let Some((name, value)) = line.split_once('=')
            && inside
            && name.trim() == key
        {
            return Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=a=b\n\n\
        [ work ]\naws_access_key_id=AKIA2\naws_secret_access_key=two\naws_session_token = t\n";
    const CONFIG: &str = "[default]\nregion = eu-north-1\n[profile work]\nregion=us-west-2\n";

    fn profile(variables: &[(&str, &str)]) -> Result<Option<Profile>, String> {
        read(
            &|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
            &|path| match path.to_str() {
                Some("/home/me/.aws/credentials" | "/elsewhere") => Some(CREDENTIALS.to_owned()),
                Some("/home/me/.aws/config") => Some(CONFIG.to_owned()),
                _ => None,
            },
        )
    }

    #[test]
    fn the_environment_chooses_the_profile() {
        let default = profile(&[("HOME", "/home/me")]).unwrap().unwrap();
        assert_eq!((default.access_key.as_str(), default.secret_key.as_str()), ("AKIA1", "a=b"));
        assert_eq!((default.region.as_deref(), &default.token), (Some("eu-north-1"), &None));
        let work = profile(&[("HOME", "/home/me"), ("AWS_PROFILE", "work")]).unwrap().unwrap();
        assert_eq!((work.access_key.as_str(), work.token.as_deref()), ("AKIA2", Some("t")));
        assert_eq!(work.region.as_deref(), Some("us-west-2"));
        let elsewhere = profile(&[("AWS_SHARED_CREDENTIALS_FILE", "/elsewhere")]).unwrap().unwrap();
        assert_eq!((elsewhere.access_key.as_str(), elsewhere.region), ("AKIA1", None));
        assert!(profile(&[]).unwrap().is_none());
        assert!(profile(&[("HOME", "/home/me"), ("AWS_ACCESS_KEY_ID", "AKIA3")]).unwrap().is_none());
        let error = profile(&[("HOME", "/home/me"), ("AWS_PROFILE", "wrk")]).err().unwrap();
        assert!(error.contains("AWS_PROFILE is wrk"), "{error}");
    }

    proptest! {
        #[test]
        fn any_file_can_be_read(text in "([\\[\\]=#a ]|\n){0,60}|\\PC{0,60}") {
            value_of(&text, "a", "a");
        }
    }
}
