//! The first start: an administrator, and somewhere to push to.

use std::io::Write as _;

use anyhow::Context as _;
use auth::{AccountError, NewUser};
use oci::{OrganizationName, RegistryName};
use registry::{Caller, ErrorKind, RegistryCreate, RegistrySettings};
use secrecy::{ExposeSecret as _, SecretString};

use crate::open::Opened;
use crate::settings::Settings;

const ADMINISTRATOR: &str = "admin";

/// Creates the administrator, and the organization and registry that the settings name. Does nothing once
/// that was done; a first start that was cut off is done again, each step where it is still due.
pub(crate) async fn run(opened: &Opened, settings: &Settings) -> anyhow::Result<()> {
    if opened.registry.first_start_is_complete().await? {
        return Ok(());
    }
    // Read before anything is written: a name that is refused must leave the first start to be tried again.
    let wanted = &settings.bootstrap;
    let organization: Option<OrganizationName> = parse("bootstrap.organization", &wanted.organization)?;
    let registry: Option<RegistryName> = parse("bootstrap.registry", &wanted.registry)?;
    let generated = wanted.admin_password.expose_secret().is_empty();
    let password = if generated { generate_password()? } else { wanted.admin_password.clone() };
    let administrator = administrator(opened, &password).await.context("cannot create the administrator")?;
    if let Some(organization) = &organization {
        done_already(opened.registry.organization_create(organization, administrator).await.map(|_| ()))?;
        if let Some(registry) = &registry {
            let caller = Caller::operator();
            let granted =
                opened.registry.authorize_organization::<RegistryCreate>(&caller, organization).await?;
            let created =
                opened.registry.registry_create(&granted, registry, RegistrySettings::default()).await;
            done_already(created.map(|_| ()))?;
        }
    }
    // Not through the log: a password must not end up in a log's archive. And before the first start counts
    // as complete: a password that nobody saw would be of no use.
    let mut out = std::io::stdout().lock();
    writeln!(out, "Larder starts for the first time. Sign in as user {ADMINISTRATOR}.")?;
    if generated {
        writeln!(out, "The password is {}", password.expose_secret())?;
        writeln!(out, "It is shown this once; `larder admin reset-password {ADMINISTRATOR}` makes another.")?;
    }
    let url = settings.server.url();
    let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
    writeln!(out, "  in a browser: {url}/sign-in")?;
    writeln!(out, "  docker login {host} -u {ADMINISTRATOR}")?;
    if let (Some(organization), Some(registry)) = (&organization, &registry) {
        writeln!(out, "  docker push {host}/{organization}/{registry}/<repository>:<tag>")?;
        let index = format!("{url}/api/v1/{organization}/{registry}/python");
        writeln!(out, "  twine upload --repository-url {index} -u {ADMINISTRATOR} dist/*")?;
    }
    out.flush()?;
    drop(out);
    opened.registry.first_start_complete().await?;
    Ok(())
}

/// The administrator's number. One that a start made which was cut off gets the password of this start.
async fn administrator(opened: &Opened, password: &SecretString) -> Result<i64, AccountError> {
    let new = NewUser {
        username: ADMINISTRATOR.to_owned(),
        email: format!("{ADMINISTRATOR}@localhost"),
        password: password.clone(),
        system_admin: true,
    };
    match opened.auth.user_create(new).await {
        Err(AccountError::Conflict) => {
            opened.auth.password_set(ADMINISTRATOR, password).await?;
            opened.auth.user_get(ADMINISTRATOR).await.map(|user| user.id)
        }
        created => created.map(|user| user.id),
    }
}

/// What is there already was made by a start that was cut off.
fn done_already(outcome: Result<(), registry::Error>) -> Result<(), registry::Error> {
    match outcome {
        Err(error) if *error.kind() == ErrorKind::Conflict => Ok(()),
        outcome => outcome,
    }
}

fn parse<T>(key: &str, text: &str) -> anyhow::Result<Option<T>>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).with_context(|| format!("{key} is not usable"))
}

/// A password with 143 bits, from characters that survive a double click.
pub(crate) fn generate_password() -> anyhow::Result<SecretString> {
    const CHARACTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const LENGTH: usize = 24;
    let mut password = String::with_capacity(LENGTH);
    while password.len() < LENGTH {
        let mut random = [0_u8; LENGTH];
        getrandom::fill(&mut random).context("the operating system gives no random numbers")?;
        // Only values below the largest multiple of 62, so that every character is as likely as any other.
        let usable = random.iter().filter(|byte| **byte < 248).map(|byte| CHARACTERS[usize::from(byte % 62)]);
        password.extend(usable.take(LENGTH - password.len()).map(char::from));
    }
    Ok(SecretString::from(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened() -> (Opened, Settings, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.storage.data_dir = folder.path().join("data");
        settings.bootstrap.admin_password = SecretString::from("correct horse battery");
        (Opened::for_serving(&settings).await.unwrap(), settings, folder)
    }

    async fn signs_in(opened: &Opened, password: &str) -> bool {
        let here = std::net::IpAddr::from([127, 0, 0, 1]);
        opened.auth.identify_basic(ADMINISTRATOR, &SecretString::from(password), here).await.is_ok()
    }

    #[tokio::test]
    async fn i2_a_first_start_that_was_cut_off_is_completed_by_the_next() {
        let (opened, settings, _folder) = opened().await;
        // As far as the start got: an administrator, whose password nobody saw.
        administrator(&opened, &SecretString::from("a password never shown")).await.unwrap();
        run(&opened, &settings).await.unwrap();
        assert!(signs_in(&opened, "correct horse battery").await);
        let caller = Caller::operator();
        let organization = "demo".parse().unwrap();
        opened.registry.authorize_organization::<RegistryCreate>(&caller, &organization).await.unwrap();
    }

    #[tokio::test]
    async fn a_later_start_changes_nothing() {
        let (opened, mut settings, _folder) = opened().await;
        run(&opened, &settings).await.unwrap();
        settings.bootstrap.admin_password = SecretString::from("another password altogether");
        run(&opened, &settings).await.unwrap();
        assert!(signs_in(&opened, "correct horse battery").await);
    }

    #[test]
    fn generated_passwords_differ_and_have_full_length() {
        let (one, other) = (generate_password().unwrap(), generate_password().unwrap());
        assert_eq!(one.expose_secret().len(), 24);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
