//! What letters say. Whoever did not ask for one reads what to do: nothing.

/// Subject and text.
pub(crate) type Text = (String, String);

/// Asks whether mail arrives at the address that an account was just made with.
pub(crate) fn confirm(service: &str, username: &str, link: &str) -> Text {
    let text = format!(
        "Somebody, probably you, made the account \"{username}\" at {service} with this address.\n\n\
         To confirm it, open this link within 24 hours and give the password that you chose:\n\n{link}\n\n\
         If it was not you, do nothing: without the confirmation the account is removed.\n"
    );
    (format!("Confirm your account at {service}"), text)
}

/// Asks whether mail arrives at the address that an account is to have.
pub(crate) fn verify(service: &str, username: &str, link: &str) -> Text {
    let text = format!(
        "The account \"{username}\" at {service} names this address as its own.\n\n\
         To confirm it, open this link within 24 hours:\n\n{link}\n\n\
         If it is not your account, do nothing.\n"
    );
    (format!("Confirm your address at {service}"), text)
}

/// Answers a sign-up with an address that has an account.
pub(crate) fn has_account(service: &str, username: &str, link: &str) -> Text {
    let text = format!(
        "Somebody, probably you, wanted to make an account at {service} with this address. There is one \
         already: \"{username}\".\n\n\
         Sign in with it, or ask for a new password, here:\n\n{link}\n\n\
         If it was not you, do nothing: nothing has changed.\n"
    );
    (format!("Your account at {service}"), text)
}

/// Answers a sign-up with a user name that somebody has.
pub(crate) fn name_taken(service: &str, username: &str, link: &str) -> Text {
    let text = format!(
        "Somebody, probably you, wanted to make the account \"{username}\" at {service} with this address. The \
         name is taken.\n\n\
         Sign up again with another name:\n\n{link}\n\n\
         If it was not you, do nothing.\n"
    );
    (format!("Your account at {service} needs another name"), text)
}

/// Lets somebody choose a new password.
pub(crate) fn reset(service: &str, username: &str, link: &str) -> Text {
    let text = format!(
        "Somebody, probably you, forgot the password of the account \"{username}\" at {service}.\n\n\
         To choose a new one, open this link within one hour:\n\n{link}\n\n\
         If it was not you, do nothing: your password stays as it is.\n"
    );
    (format!("New password for {service}"), text)
}

/// Tells that something about the account was changed.
pub(crate) fn changed(service: &str, username: &str, what: &str) -> Text {
    let text = format!(
        "{what} of the account \"{username}\" at {service} was changed just now.\n\n\
         If it was not you, ask for a new password at once and tell an administrator of {service}.\n"
    );
    (format!("{what} at {service} was changed"), text)
}
