//! Putting the layers together. An unknown key is an error that names the closest known one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use config::{Config, Environment, File, FileFormat};
use serde_json::Value;

use super::Settings;

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

/// Reads the settings in force.
pub(crate) fn load(file: Option<&Path>, overrides: Overrides) -> anyhow::Result<Settings> {
    let environment = std::env::vars().filter(|(name, _)| name.starts_with("LARDER_")).collect();
    load_from(file, environment, overrides)
}

fn load_from(
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
            .list_separator(",")
            .with_list_parse_key("server.trusted_proxies")
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
    let known = serde_json::to_value(Settings::default())?;
    check_known(&merged, &known, "")?;
    keep_text(&mut merged, &known, &environment, "");
    let settings: Settings =
        serde_json::from_value(merged.clone()).map_err(|error| name_key(&merged, &known, error))?;
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

/// Refuses a key that the default settings do not have.
fn check_known(found: &Value, known: &Value, path: &str) -> anyhow::Result<()> {
    let (Value::Object(found), Value::Object(known)) = (found, known) else { return Ok(()) };
    for (key, value) in found {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let Some(expected) = known.get(key) else {
            let closest = known
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

/// An error of the whole does not say which key it is about, so each key is tried alone.
fn name_key(found: &Value, known: &Value, error: serde_json::Error) -> anyhow::Error {
    let keys = found.as_object().into_iter().flatten().flat_map(|(section, values)| {
        values.as_object().into_iter().flatten().map(move |(key, value)| (section, key, value))
    });
    for (section, key, value) in keys {
        let mut settings = known.clone();
        settings[section][key] = value.clone();
        if let Err(error) = serde_json::from_value::<Settings>(settings) {
            return anyhow::Error::new(error).context(format!("{section}.{key} is not usable"));
        }
    }
    error.into()
}

/// A variable is text. Guessing its type is right for numbers and wrong for a password of digits, so where
/// a text is expected the variable's own text is put back.
fn keep_text(found: &mut Value, known: &Value, environment: &config::Map<String, String>, path: &str) {
    let (Value::Object(found), Value::Object(known)) = (found, known) else { return };
    for (key, value) in found {
        let name = if path.is_empty() { key.clone() } else { format!("{path}{SEPARATOR}{key}") };
        match known.get(key) {
            Some(Value::String(_)) => {
                let variable = format!("{PREFIX}_{}", name.to_uppercase());
                if !value.is_string()
                    && let Some(text) = environment.get(&variable)
                {
                    *value = Value::String(text.clone());
                }
            }
            Some(section) => keep_text(value, section, environment, &name),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use secrecy::ExposeSecret as _;

    use super::*;

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
        assert_eq!(settings.server.http().unwrap().trusted_proxies.len(), 2);
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
            ("[auth]\naccess_token_ttl = \"5s\"\n", "auth.access_token_ttl"),
            ("[database]\nurl = \"mysql://localhost/larder\"\n", "database.url"),
            ("[database]\nurl = \"sqlite:\"\n", "sqlite:PATH"),
            ("[database]\nconnections = 0\n", "database.connections"),
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
            ],
            Overrides::default(),
        )
        .unwrap();
        let text = settings.masked().unwrap();
        assert!(!text.contains("correct horse"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("postgres://larder:********@db.example.org/larder?sslmode=require"), "{text}");
        assert!(text.contains("********"));
        load_with(&text, &[], Overrides::default()).unwrap();
    }
}
