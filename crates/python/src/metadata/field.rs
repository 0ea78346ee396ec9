//! The fields of the core metadata.

/// A field that the specification knows, up to metadata version 2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the field of the specification with that name")]
pub enum Field {
    MetadataVersion,
    Name,
    Version,
    Dynamic,
    Platform,
    SupportedPlatform,
    Summary,
    Description,
    DescriptionContentType,
    Keywords,
    Author,
    AuthorEmail,
    Maintainer,
    MaintainerEmail,
    License,
    LicenseExpression,
    LicenseFile,
    HomePage,
    DownloadUrl,
    Classifier,
    RequiresDist,
    RequiresPython,
    RequiresExternal,
    ProjectUrl,
    ProvidesExtra,
    ImportName,
    ImportNamespace,
    ProvidesDist,
    ObsoletesDist,
    Requires,
    Provides,
    Obsoletes,
}

impl Field {
    /// Every field, in the order of the specification.
    pub const ALL: [Self; 32] = [
        Self::MetadataVersion,
        Self::Name,
        Self::Version,
        Self::Dynamic,
        Self::Platform,
        Self::SupportedPlatform,
        Self::Summary,
        Self::Description,
        Self::DescriptionContentType,
        Self::Keywords,
        Self::Author,
        Self::AuthorEmail,
        Self::Maintainer,
        Self::MaintainerEmail,
        Self::License,
        Self::LicenseExpression,
        Self::LicenseFile,
        Self::HomePage,
        Self::DownloadUrl,
        Self::Classifier,
        Self::RequiresDist,
        Self::RequiresPython,
        Self::RequiresExternal,
        Self::ProjectUrl,
        Self::ProvidesExtra,
        Self::ImportName,
        Self::ImportNamespace,
        Self::ProvidesDist,
        Self::ObsoletesDist,
        Self::Requires,
        Self::Provides,
        Self::Obsoletes,
    ];

    /// The field in the spelling of the specification.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MetadataVersion => "Metadata-Version",
            Self::Name => "Name",
            Self::Version => "Version",
            Self::Dynamic => "Dynamic",
            Self::Platform => "Platform",
            Self::SupportedPlatform => "Supported-Platform",
            Self::Summary => "Summary",
            Self::Description => "Description",
            Self::DescriptionContentType => "Description-Content-Type",
            Self::Keywords => "Keywords",
            Self::Author => "Author",
            Self::AuthorEmail => "Author-email",
            Self::Maintainer => "Maintainer",
            Self::MaintainerEmail => "Maintainer-email",
            Self::License => "License",
            Self::LicenseExpression => "License-Expression",
            Self::LicenseFile => "License-File",
            Self::HomePage => "Home-page",
            Self::DownloadUrl => "Download-URL",
            Self::Classifier => "Classifier",
            Self::RequiresDist => "Requires-Dist",
            Self::RequiresPython => "Requires-Python",
            Self::RequiresExternal => "Requires-External",
            Self::ProjectUrl => "Project-URL",
            Self::ProvidesExtra => "Provides-Extra",
            Self::ImportName => "Import-Name",
            Self::ImportNamespace => "Import-Namespace",
            Self::ProvidesDist => "Provides-Dist",
            Self::ObsoletesDist => "Obsoletes-Dist",
            Self::Requires => "Requires",
            Self::Provides => "Provides",
            Self::Obsoletes => "Obsoletes",
        }
    }

    /// The field of that name, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether a file may have the field several times.
    pub const fn is_multiple_use(self) -> bool {
        matches!(
            self,
            Self::Dynamic
                | Self::Platform
                | Self::SupportedPlatform
                | Self::LicenseFile
                | Self::Classifier
                | Self::RequiresDist
                | Self::RequiresExternal
                | Self::ProjectUrl
                | Self::ProvidesExtra
                | Self::ImportName
                | Self::ImportNamespace
                | Self::ProvidesDist
                | Self::ObsoletesDist
                | Self::Requires
                | Self::Provides
                | Self::Obsoletes
        )
    }

    /// Whether the lines of a folded value mean something, so that they stay lines.
    pub(super) const fn keeps_lines(self) -> bool {
        matches!(self, Self::Description | Self::License)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for field in Field::ALL {
            assert_eq!(Field::by_name(field.as_str()), Some(field));
            assert_eq!(Field::by_name(&field.as_str().to_ascii_uppercase()), Some(field));
        }
        assert_eq!(Field::by_name("Home-Page"), Some(Field::HomePage));
        assert_eq!(Field::by_name("X-Vendor"), None);
    }
}
