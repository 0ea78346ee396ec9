//! `larder admin`: what the management API does, against the database itself. Whoever may read and write
//! the data folder may do anything anyway.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

use access::{Role, Visibility};
use anyhow::Context as _;
use auth::{AccountError, NewUser};
use clap::Subcommand;
use oci::{OrganizationName, RegistryName};
use registry::{Caller, OrganizationMembersManage, PackagesManage, RegistryCreate, RegistrySettings};
use secrecy::{ExposeSecret as _, SecretString};

use crate::bootstrap::generate_password;
use crate::open::Opened;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Give a user a new password. It is read from the first line of standard input, or made and printed.
    ResetPassword {
        /// The user.
        username: String,
        /// Read the new password from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Create a user. The password is made and printed, or read from standard input.
    CreateUser {
        /// The user's name.
        username: String,
        /// The user's address for mail.
        #[arg(long)]
        email: String,
        /// Let the user run the whole instance.
        #[arg(long)]
        system_admin: bool,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Sign a user out everywhere and let nothing of theirs count until the user is enabled again: no password, no
    /// token, no identity provider. Nothing is deleted.
    DisableUser {
        /// The user.
        username: String,
    },
    /// Let a disabled user in again.
    EnableUser {
        /// The user.
        username: String,
    },
    /// Take a user's second factor and recovery codes away, for who has lost them. The password is enough then
    /// until the user sets up a new one.
    ResetSecondFactor {
        /// The user.
        username: String,
    },
    /// Delete a user.
    DeleteUser {
        /// The user.
        username: String,
    },
    /// List users.
    ListUsers,
    /// Create an organization with its first administrator.
    CreateOrganization {
        /// The organization's name.
        organization: OrganizationName,
        /// The user who administers it.
        #[arg(long)]
        admin: String,
    },
    /// Create a registry in an organization.
    CreateRegistry {
        /// The organization.
        organization: OrganizationName,
        /// The registry's name.
        registry: RegistryName,
        /// Let anybody pull.
        #[arg(long)]
        public: bool,
    },
    /// Put Python artifacts that the index of a registry has lost back into it. Yanks, project statuses and the
    /// names of deleted files are not in the artifacts and do not come back.
    RebuildPython {
        /// The organization.
        organization: OrganizationName,
        /// The registry's name.
        registry: RegistryName,
    },
    /// Make the database belong to the blob store that is configured, after all content was moved there.
    AdoptStore,
    /// Give a user a role on an organization.
    SetRole {
        /// The organization.
        organization: OrganizationName,
        /// The user.
        username: String,
        /// viewer, writer or admin.
        role: Role,
    },
}

pub(super) async fn run(command: AdminCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    let opened = Opened::beside_server(&settings).await?;
    let (auth, registry) = (&opened.auth, &opened.registry);
    match command {
        AdminCommand::ResetPassword { username, password_stdin } => {
            let password = Password::choose(password_stdin)?;
            auth.password_set(&username, password.secret())
                .await
                .with_context(|| format!("cannot set the password of {username}"))?;
            say(&format!(
                "the password of {username} is changed; earlier sign-ins are over{}",
                password.told()
            ))
        }
        AdminCommand::CreateUser { username, email, system_admin, password_stdin } => {
            let password = Password::choose(password_stdin)?;
            let new = NewUser {
                username: username.clone(),
                email,
                password: password.secret().clone(),
                system_admin,
            };
            auth.user_create(new).await.with_context(|| format!("cannot create user {username}"))?;
            say(&format!("user {username} is created{}", password.told()))
        }
        AdminCommand::DisableUser { username } => {
            auth.user_disable(&username).await.with_context(|| format!("cannot disable user {username}"))?;
            say(&format!(
                "user {username} is disabled; nothing of theirs counts until `larder admin enable-user {username}`"
            ))
        }
        AdminCommand::EnableUser { username } => {
            auth.user_enable(&username).await.with_context(|| format!("cannot enable user {username}"))?;
            say(&format!("user {username} is enabled"))
        }
        AdminCommand::ResetSecondFactor { username } => {
            auth.user_get(&username).await.with_context(|| format!("cannot find user {username}"))?;
            match auth.second_factor_remove(&username).await {
                Ok(()) => {
                    say(&format!("user {username} has no second factor any more; the password is enough"))
                }
                // The user was found, so it is the second factor that is not there.
                Err(AccountError::NotFound) => say(&format!("user {username} has no second factor")),
                Err(error) => {
                    Err(error).with_context(|| format!("cannot reset the second factor of {username}"))
                }
            }
        }
        AdminCommand::DeleteUser { username } => {
            auth.user_delete(&username, registry::user_may_go_in)
                .await
                .with_context(|| format!("cannot delete user {username}"))?;
            say(&format!("user {username} is deleted"))
        }
        AdminCommand::ListUsers => list_users(&opened).await,
        AdminCommand::CreateOrganization { organization, admin } => {
            let user = auth.user_get(&admin).await.with_context(|| format!("cannot find user {admin}"))?;
            registry.organization_create(&organization, user.id).await?;
            say(&format!("organization {organization} is created, administered by {admin}"))
        }
        AdminCommand::CreateRegistry { organization, registry: name, public } => {
            let caller = Caller::operator();
            let granted = registry.authorize_organization::<RegistryCreate>(&caller, &organization).await?;
            let visibility = if public { Visibility::Public } else { Visibility::Private };
            let settings = RegistrySettings { visibility, ..RegistrySettings::default() };
            registry.registry_create(&granted, &name, settings).await?;
            say(&format!("registry {organization}/{name} is created"))
        }
        AdminCommand::AdoptStore => {
            registry.store_adopt().await?;
            say(
                "the database belongs to the configured blob store now; run `larder scrub` to see that all is there",
            )?;
            Ok(ExitCode::SUCCESS)
        }
        AdminCommand::RebuildPython { organization, registry: name } => {
            let caller = Caller::operator();
            let granted =
                registry.authorize_packages::<PackagesManage>(&caller, &organization, &name).await?;
            let rebuilt = registry.python_rebuild(&granted).await?;
            for failure in &rebuilt.failed {
                say(&format!("left out: {failure}"))?;
            }
            let (files, known) = (rebuilt.files, rebuilt.known);
            say(&format!("the index of {organization}/{name} has {files} files again, and had {known}"))?;
            Ok(if rebuilt.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        AdminCommand::SetRole { organization, username, role } => {
            let user =
                auth.user_get(&username).await.with_context(|| format!("cannot find user {username}"))?;
            let caller = Caller::operator();
            let granted =
                registry.authorize_organization::<OrganizationMembersManage>(&caller, &organization).await?;
            registry.organization_member_put(&granted, user.id, role).await?;
            say(&format!("user {username} is {role} of organization {organization}"))
        }
    }
}

async fn list_users(opened: &Opened) -> anyhow::Result<ExitCode> {
    const PAGE: u32 = 100;
    let mut after: Option<String> = None;
    loop {
        let page = opened.auth.user_list(after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(ExitCode::SUCCESS) };
        after = Some(last.username.clone());
        for user in &page {
            let administrator = if user.system_admin { " (system administrator)" } else { "" };
            let disabled = if user.is_disabled { " (disabled)" } else { "" };
            say(&format!("{}\t{}{administrator}{disabled}", user.username, user.email))?;
        }
    }
}

/// A password from standard input, or one that is made here and has to be shown.
enum Password {
    Given(SecretString),
    Made(SecretString),
}

impl Password {
    fn choose(from_stdin: bool) -> anyhow::Result<Self> {
        if !from_stdin {
            return Ok(Self::Made(generate_password()?));
        }
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .context("cannot read the password from standard input")?;
        Ok(Self::Given(SecretString::from(line.trim_end_matches(['\r', '\n']))))
    }

    fn secret(&self) -> &SecretString {
        match self {
            Self::Given(secret) | Self::Made(secret) => secret,
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Given(_) => String::new(),
            Self::Made(secret) => format!("; the password is {}", secret.expose_secret()),
        }
    }
}

fn say(line: &str) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(ExitCode::SUCCESS)
}
