//! Roles and visibility: where rights come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What somebody was made on an organization or on one registry. Ordered: a higher role may do all that a
/// lower one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Lists and pulls.
    Viewer,
    /// Also pushes and deletes artifacts.
    Writer,
    /// Also manages registries, members and settings.
    Admin,
}

impl Role {
    /// Every role, lowest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Writer, Self::Admin];

    /// The word that stands for the role in requests, answers and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Writer => "writer",
            Self::Admin => "admin",
        }
    }

    /// The number that stands for the role where the highest of several is asked of the database.
    pub const fn level(self) -> i64 {
        match self {
            Self::Viewer => 1,
            Self::Writer => 2,
            Self::Admin => 3,
        }
    }

    /// The role with this [`level`](Self::level).
    pub fn of_level(level: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.level() == level)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The text is not the name of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown role, expected one of \"viewer\", \"writer\", \"admin\"")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// Who may pull from a registry without a role in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Nobody.
    Private,
    /// Everybody, with or without an account.
    Public,
}

impl Visibility {
    /// Both, the closed one first.
    pub const ALL: [Self; 2] = [Self::Private, Self::Public];

    /// The word that stands for it in requests, answers and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The text is not the name of a visibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown visibility, expected \"private\" or \"public\"")]
pub struct UnknownVisibility;

impl FromStr for Visibility {
    type Err = UnknownVisibility;

    fn from_str(text: &str) -> Result<Self, UnknownVisibility> {
        Self::ALL.into_iter().find(|visibility| visibility.as_str() == text).ok_or(UnknownVisibility)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_what_they_were() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        for visibility in Visibility::ALL {
            assert_eq!(visibility.to_string().parse(), Ok(visibility));
            assert_eq!(serde_json::to_string(&visibility).unwrap(), format!("\"{visibility}\""));
        }
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["", "Admin", "owner", "viewer "] {
            assert_eq!(text.parse::<Role>(), Err(UnknownRole));
        }
        for text in ["", "Public", "internal"] {
            assert_eq!(text.parse::<Visibility>(), Err(UnknownVisibility));
        }
    }

    #[test]
    fn levels_come_back_and_rise_as_roles_do() {
        for role in Role::ALL {
            assert_eq!(Role::of_level(role.level()), Some(role));
        }
        assert!(Role::ALL.is_sorted_by_key(|role| role.level()));
        assert_eq!((Role::of_level(0), Role::of_level(4)), (None, None));
    }

    #[test]
    fn higher_roles_compare_higher() {
        assert!(Role::Viewer < Role::Writer && Role::Writer < Role::Admin);
    }
}
