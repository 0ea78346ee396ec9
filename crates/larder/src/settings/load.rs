//! Putting the layers together. An unknown key is an error that names the closest known one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use config::{Config, Environment, File, FileFormat};
use serde_json::{Value, json};

use super::Settings;
use super::provider::ProviderSettings;

/// What flags override.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) listen: Option<String>,
}

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "larder.toml";
const PREFIX: &str = "LARDER";
const SEPARATOR: &str = "__";
/// Stands for a key of the user's own. No TOML file can be made to hold it by accident.
const ANY: &str = "\0";

/// Reads the settings in force.
pub(crate) fn load(file: Option<&Path>, overrides: Overrides) -> anyhow::Result<Settings> {
    let environment = std::env::vars().filter(|(name, _)| name.starts_with("LARDER_")).collect();
    load_from(file, environment, overrides)
}

pub(super) fn load_from(
    file: Option<&Path>,
    environment: Vec<(String, String)>,
    overrides: Overrides,
) -> anyhow::Result<Settings> {
    let mut builder = Config::builder();
    if let Some(path) = file {
        anyhow::ensure!(path.is_file(), "there is no file {}", path.display());
    }
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    if path.is_file() {
        check_toml(path)?;
        builder = builder.add_source(File::from(path).format(FileFormat::Toml));
    }
    // What has no separator is no setting of ours: other tools put variables beside them.
    let environment: config::Map<String, String> =
        environment.into_iter().filter(|(name, _)| name.contains(SEPARATOR)).collect();
    builder = builder.add_source(
        Environment::with_prefix(PREFIX)
            .prefix_separator("_")
            .separator(SEPARATOR)
            .try_parsing(true)
            .source(Some(environment.clone())),
    );
    if let Some(data_dir) = overrides.data_dir {
        let text = data_dir.to_str().context("--data-dir is not UTF-8")?;
        builder = builder.set_override("storage.data_dir", text)?;
    }
    if let Some(listen) = overrides.listen {
        builder = builder.set_override("server.listen", listen)?;
    }
    let mut merged: Value = builder.build()?.try_deserialize()?;
    let known = known()?;
    check_known(&merged, &known, "")?;
    keep_type(&mut merged, &known, &environment, "");
    let settings: Settings =
        serde_json::from_value(merged.clone()).map_err(|error| name_key(&merged, error))?;
    settings.check()?;
    Ok(settings)
}

/// Says in one line where a file is not TOML.
fn check_toml(path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let Err(error) = text.parse::<toml::Table>() else { return Ok(()) };
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    anyhow::bail!("{} is not TOML: line {line}: {}", path.display(), error.message())
}

/// Every key with its default. In a section whose keys are names of the user's own, [`ANY`] stands for each.
fn known() -> anyhow::Result<Value> {
    let mut known = serde_json::to_value(Settings::default())?;
    let mut provider = serde_json::to_value(ProviderSettings::default())?;
    for claims in ["required_claims", "access_token_required_claims"] {
        provider[claims] = json!({ ANY: "" });
    }
    known["auth"]["providers"] = json!({ ANY: provider });
    Ok(known)
}

fn expected<'known>(known: &'known Value, key: &str) -> Option<&'known Value> {
    known.get(key).or_else(|| known.get(ANY))
}

/// Refuses a key that nothing knows.
fn check_known(found: &Value, known: &Value, path: &str) -> anyhow::Result<()> {
    let (Value::Object(found), Value::Object(keys)) = (found, known) else { return Ok(()) };
    for (key, value) in found {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let Some(expected) = expected(known, key) else {
            let closest = keys
                .keys()
                .max_by(|one, other| strsim::jaro(key, one).total_cmp(&strsim::jaro(key, other)))
                .map(|closest| if path.is_empty() { closest.clone() } else { format!("{path}.{closest}") })
                .unwrap_or_default();
            anyhow::bail!("{full} is not a setting; did you mean {closest}? `larder config print` lists all");
        };
        if expected.is_object() && !value.is_object() {
            anyhow::bail!("{full} is a section; settings in it are written {full}.<key>");
        }
        check_known(value, expected, &full)?;
    }
    Ok(())
}

/// An error of the whole does not say which key it is about, so each value is tried alone.
fn name_key(found: &Value, error: serde_json::Error) -> anyhow::Error {
    first_unusable(found, &mut Vec::new()).unwrap_or_else(|| error.into())
}

fn first_unusable(found: &Value, path: &mut Vec<String>) -> Option<anyhow::Error> {
    let alone = path.iter().rev().fold(found.clone(), |value, key| json!({ key: value }));
    let error = serde_json::from_value::<Settings>(alone).err()?;
    for (key, value) in found.as_object().into_iter().flatten() {
        path.push(key.clone());
        if let Some(error) = first_unusable(value, path) {
            return Some(error);
        }
        path.pop();
    }
    (!path.is_empty()).then(|| anyhow::Error::new(error).context(format!("{} is not usable", path.join("."))))
}

/// A variable is text. Guessing its type is right for numbers and wrong for a password of digits, so where
/// a text is expected the variable's own text is put back, and where a list is, the text between its commas.
fn keep_type(found: &mut Value, known: &Value, environment: &config::Map<String, String>, path: &str) {
    let Value::Object(found) = found else { return };
    for (key, value) in found {
        let name = if path.is_empty() { key.clone() } else { format!("{path}{SEPARATOR}{key}") };
        let variable = || environment.get(&format!("{PREFIX}_{}", name.to_uppercase()));
        match expected(known, key) {
            Some(Value::String(_)) if !value.is_string() => {
                if let Some(text) = variable() {
                    *value = Value::String(text.clone());
                }
            }
            Some(Value::Array(_)) if !value.is_array() => {
                if let Some(text) = variable() {
                    *value = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
                }
            }
            Some(section) => keep_type(value, section, environment, &name),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    const KEY: &str = "c29tZSBzZWFsaW5nIGtleSBvZiAzMiByYW5kb20gYi4=";

    fn load_with(toml: &str, environment: &[(&str, &str)], overrides: Overrides) -> anyhow::Result<Settings> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load_from(Some(file.path()), environment, overrides)
    }

    #[test]
    fn nothing_configured_is_the_default() {
        let settings = load_with("", &[], Overrides::default()).unwrap();
        assert_eq!(settings.server.listen, "localhost:5000");
        assert_eq!(settings.bootstrap.organization, "demo");
        let db::Location::Sqlite(path) = settings.database_options().unwrap().location else {
            panic!("a file")
        };
        assert_eq!(path, Path::new("./larder-data/larder.db"));
    }

    #[test]
    fn flags_win_over_variables_and_these_over_the_file() {
        let toml = "[server]\nlisten = \"a:1\"\n[gc]\ngrace = \"1h\"\n[log]\nlevel = \"warn\"\n";
        let environment = [("LARDER_SERVER__LISTEN", "b:2"), ("LARDER_LOG__LEVEL", "debug")];
        let overrides = Overrides { listen: Some("c:3".to_owned()), data_dir: None };
        let settings = load_with(toml, &environment, overrides).unwrap();
        assert_eq!(settings.server.listen, "c:3");
        assert_eq!(settings.log.level, "debug");
        assert_eq!(settings.registry().grace.as_secs(), 3600);
    }

    #[test]
    fn an_unknown_key_names_the_closest_known_one() {
        let error = load_with("[server]\nlisten_on = \"a:1\"\n", &[], Overrides::default()).unwrap_err();
        assert!(
            error.to_string().contains("server.listen_on is not a setting; did you mean server.listen?"),
            "{error}"
        );
        let error = load_with("", &[("LARDER_GC__GRASE", "1h")], Overrides::default()).unwrap_err();
        assert!(error.to_string().contains("did you mean gc.grace?"), "{error}");
        let error = load_with("[sever]\nlisten = \"a:1\"\n", &[], Overrides::default()).unwrap_err();
        assert!(error.to_string().contains("did you mean server?"), "{error}");
    }

    #[test]
    fn variables_have_the_type_that_the_setting_has() {
        let environment = [
            ("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "0123456789012"),
            ("LARDER_BOOTSTRAP__ORGANIZATION", ""),
            ("LARDER_GC__ENABLED", "false"),
            ("LARDER_UPLOADS__OPEN_PER_USER", "7"),
            ("LARDER_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1"),
            ("LARDER_SOMETHING_ELSE", "ignored"),
        ];
        let settings = load_with("", &environment, Overrides::default()).unwrap();
        assert_eq!(settings.bootstrap.admin_password.expose_secret(), "0123456789012");
        assert_eq!(settings.bootstrap.organization, "");
        assert!(!settings.gc.enabled);
        assert_eq!(settings.registry().open_uploads_per_user, 7);
        assert_eq!(settings.http().unwrap().trusted_proxies.len(), 2);
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_key() {
        for (toml, part) in [
            ("[gc]\ngrace = \"soon\"\n", "such as 90s"),
            ("[gc]\ninterval = \"0s\"\n", "gc.interval"),
            ("[gc]\ngrace = 90\n", "gc.grace is not usable"),
            ("[uploads]\nopen_per_user = \"many\"\n", "uploads.open_per_user is not usable"),
            ("[server]\ntls_key = \"key.pem\"\n", "go together"),
            ("[server]\npublic_url = \"registry.example.org\"\n", "server.public_url"),
            ("[server]\ntrusted_proxies = [\"proxy\"]\n", "server.trusted_proxies"),
            ("[server]\nlisten = \"localhost\"\n", "server.listen"),
            ("[server]\nlisten = \"localhost:http\"\n", "server.listen"),
            ("[server]\noperations_listen = \"5001\"\n", "server.operations_listen"),
            ("[server]\noperations_listen = \"localhost:5000\"\n", "are both"),
            ("[auth]\naccess_token_ttl = \"5s\"\n", "auth.access_token_ttl"),
            ("[database]\nurl = \"mysql://localhost/larder\"\n", "database.url"),
            ("[database]\nurl = \"sqlite:\"\n", "sqlite:PATH"),
            ("[database]\nconnections = 0\n", "database.connections"),
            ("[database]\nurl = \"postgres://localhost/larder\"\n", "larder config new-key"),
            ("[auth.providers]\ncorp = 5\n", "auth.providers.corp is a section"),
            ("[auth.providers.corp]\nscopes = 5\n", "auth.providers.corp.scopes is not usable"),
            ("[auth.providers.corp]\nisuer = \"\"\n", "did you mean auth.providers.corp.issuer?"),
            (
                "[auth.providers.corp.required_claims]\ntoken_use = 5\n",
                "required_claims.token_use is not usable",
            ),
            ("[server.listen]\nhost = \"localhost\"\n", "server.listen"),
            ("server = 5\n", "section"),
            ("not toml", "TOML"),
        ] {
            let error = format!("{:#}", load_with(toml, &[], Overrides::default()).unwrap_err());
            assert!(error.contains(part), "{toml}: {error}");
        }
    }

    #[test]
    fn printing_masks_secrets_and_can_be_read_back() {
        let settings = load_with(
            "",
            &[
                ("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "correct horse battery"),
                ("LARDER_DATABASE__URL", "postgres://larder:hunter2@db.example.org/larder?sslmode=require"),
                ("LARDER_AUTH__SEALING_KEY", KEY),
            ],
            Overrides::default(),
        )
        .unwrap();
        let text = settings.masked().unwrap();
        assert!(!text.contains("correct horse"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("postgres://larder:********@db.example.org/larder?sslmode=require"), "{text}");
        assert!(!text.contains(KEY), "{text}");
        assert!(text.contains("sealing_key = \"********\""), "{text}");
        // What is not masked is as it was; what is has to come from where it is kept.
        load_with(&text, &[("LARDER_AUTH__SEALING_KEY", KEY)], Overrides::default()).unwrap();
        let error = format!("{:#}", load_with(&text, &[], Overrides::default()).unwrap_err());
        assert!(error.contains("auth.sealing_key is not usable"), "{error}");
    }
}
