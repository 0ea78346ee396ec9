//! The list of repositories over all registries that a caller may pull from.

use access::Action;

use crate::error::Error;
use crate::grant::Caller;
use crate::{Registry, store};

/// Repositories in one page when the client asks for no fewer, and at most.
const PAGE: usize = 1000;
/// Names of repositories that are looked at for one page.
const NAMES_LOOKED_AT: usize = 20 * PAGE;
/// Registries looked at in one step.
const REGISTRIES: u32 = 100;

/// Some repositories by full name, in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogPage {
    /// The full names.
    pub repositories: Vec<String>,
    /// The name to go on after, when there are more.
    pub next: Option<String>,
}

/// Where a list goes on behind a text that a client made up. No name holds a NUL, so what follows one changes
/// nothing of what comes behind; and PostgreSQL takes no text with one.
pub(crate) fn before_nul(last: &str) -> &str {
    last.split('\0').next().unwrap_or_default()
}

impl Registry {
    /// Up to `limit` repositories after `last` that the caller may pull from and that its credentials are good for.
    pub async fn catalog(
        &self,
        caller: &Caller,
        limit: Option<u64>,
        last: Option<&str>,
    ) -> Result<CatalogPage, Error> {
        let limit = limit.map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(PAGE).min(PAGE));
        let mut found: Vec<String> = Vec::new();
        if limit == 0 {
            return Ok(CatalogPage { repositories: found, next: None });
        }
        let last = before_nul(last.unwrap_or_default());
        // `last` is a full name; the registry that it is in begins the list again, after it.
        let mut from = match last.match_indices('/').nth(1) {
            Some((slash, _)) => last[..=slash].to_owned(),
            None => last.to_owned(),
        };
        // Credentials that are good for little may have to pass over much: a page that took too long ends early.
        let mut names_left = NAMES_LOOKED_AT;
        loop {
            let registries = self.registries_visible(caller, &from).await?;
            let Some((_, furthest)) = registries.last().cloned() else { break };
            for (id, path) in &registries {
                if !caller.limit.enters_registry(path.trim_end_matches('/'), Action::Pull) {
                    continue;
                }
                let mut after = last.strip_prefix(path.as_str()).unwrap_or_default().to_owned();
                loop {
                    let wanted = u32::try_from(limit + 1 - found.len()).unwrap_or(u32::MAX);
                    let names =
                        store::repositories::repositories_list(self.db(), *id, &after, wanted).await?;
                    let is_last = names.len() < wanted as usize;
                    if let Some((name,)) = names.last() {
                        after.clone_from(name);
                    }
                    names_left = names_left.saturating_sub(names.len());
                    let full_names = names.into_iter().map(|(name,)| format!("{path}{name}"));
                    found.extend(full_names.filter(|name| caller.limit.reaches(name, Action::Pull)));
                    if found.len() > limit {
                        found.truncate(limit);
                        return Ok(CatalogPage { next: found.last().cloned(), repositories: found });
                    }
                    if is_last {
                        break;
                    }
                    if names_left == 0 {
                        let next = Some(format!("{path}{after}"));
                        return Ok(CatalogPage { repositories: found, next });
                    }
                }
            }
            // Behind the furthest path in byte order and before every other. PostgreSQL's texts hold no NUL.
            from = format!("{furthest}\u{1}");
        }
        Ok(CatalogPage { repositories: found, next: None })
    }

    async fn registries_visible(
        &self,
        caller: &Caller,
        from: &str,
    ) -> Result<Vec<store::tenancy::VisibleRegistry>, Error> {
        let mut visible =
            store::tenancy::registries_of_user(self.db(), caller.user_id(), from, REGISTRIES).await?;
        visible.extend(store::tenancy::registries_public(self.db(), from, REGISTRIES).await?);
        visible.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
        visible.dedup();
        visible.truncate(REGISTRIES as usize);
        Ok(visible)
    }
}

#[cfg(test)]
mod tests;
