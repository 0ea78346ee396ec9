//! The first start: an administrator, and somewhere to push to.

use std::io::Write as _;

use anyhow::Context as _;
use auth::NewUser;
use oci::{OrganizationName, RegistryName};
use registry::{Caller, RegistryCreate, RegistrySettings};
use secrecy::{ExposeSecret as _, SecretString};

use crate::open::Opened;
use crate::settings::Settings;

const ADMINISTRATOR: &str = "admin";

/// Creates the administrator, and the organization and registry that the settings name. Does nothing once
/// there is a user.
pub(crate) async fn run(opened: &Opened, settings: &Settings) -> anyhow::Result<()> {
    if opened.auth.has_users().await? {
        return Ok(());
    }
    // Read before anything is written: a name that is refused must leave the first start to be tried again.
    let wanted = &settings.bootstrap;
    let organization: Option<OrganizationName> = parse("bootstrap.organization", &wanted.organization)?;
    let registry: Option<RegistryName> = parse("bootstrap.registry", &wanted.registry)?;
    let given = &settings.bootstrap.admin_password;
    let generated = given.expose_secret().is_empty();
    let password = if generated { generate_password()? } else { given.clone() };
    let administrator = opened
        .auth
        .user_create(NewUser {
            username: ADMINISTRATOR.to_owned(),
            email: format!("{ADMINISTRATOR}@localhost"),
            password: password.clone(),
            system_admin: true,
        })
        .await
        .context("cannot create the administrator")?;
    if let Some(organization) = &organization {
        opened.registry.organization_create(organization, administrator.id).await?;
        if let Some(registry) = &registry {
            let caller = Caller::operator();
            let granted =
                opened.registry.authorize_organization::<RegistryCreate>(&caller, organization).await?;
            opened.registry.registry_create(&granted, registry, RegistrySettings::default()).await?;
        }
    }
    // Not through the log: a password must not end up in a log's archive.
    let mut out = std::io::stdout().lock();
    writeln!(out, "Larder starts for the first time. Sign in as user {ADMINISTRATOR}.")?;
    if generated {
        writeln!(out, "The password is {}", password.expose_secret())?;
        writeln!(out, "It is shown this once; `larder admin reset-password {ADMINISTRATOR}` makes another.")?;
    }
    let listen = &settings.server.listen;
    writeln!(out, "  docker login {listen} -u {ADMINISTRATOR}")?;
    if let (Some(organization), Some(registry)) = (&organization, &registry) {
        writeln!(out, "  docker push {listen}/{organization}/{registry}/<repository>:<tag>")?;
    }
    out.flush()?;
    Ok(())
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

    #[test]
    fn generated_passwords_differ_and_have_full_length() {
        let (one, other) = (generate_password().unwrap(), generate_password().unwrap());
        assert_eq!(one.expose_secret().len(), 24);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
