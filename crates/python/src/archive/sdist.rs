//! Source distributions (source distribution format): one top directory with PKG-INFO in it.

use std::io::{Read, Seek};

use super::budget::Budget;
use super::notes::Notes;
use super::path::{self, PathSet};
use super::source::Source;
use super::tar::{Archive, Kind, Member, refused};
use super::{Contents, Limits, REBUILD_SDIST, is_name_and_version, license, zip};
use crate::{Code, FileName, Invalid, Metadata, Refused, excerpt};

/// Reads a source distribution from beginning to end and checks it.
///
/// `size` is the size of the file behind `reader`, `file` the name under which it was uploaded. Whether
/// PKG-INFO names the same project and version as `file` is for the caller to check; the top directory does.
pub fn read_sdist<R: Read + Seek>(
    reader: R,
    size: u64,
    file: &FileName,
    limits: &Limits,
) -> Result<Contents, Refused> {
    let mut source = Source::new(reader, size)?;
    if !begins_like_gzip(&mut source)? {
        return Err(refused(format!("the file is not compressed with gzip; {REBUILD_SDIST}")));
    }
    if zip::is_also_zip(&mut source)? {
        return Err(refused("the file is also a ZIP archive; upload a file that is only a tar archive"));
    }
    let budget = Budget::new(size, limits.sdist_ratio, limits.free_expansion, limits.sdist_expanded);
    let mut archive = Archive::new(source, budget, limits.name_bytes)?;
    let mut tree = Tree::default();
    let mut notes = Notes::default();
    let mut package_info = None;
    let mut members = 0;
    while let Some(member) = archive.next()? {
        members += 1;
        if members > limits.sdist_entries {
            return Err(refused(format!("it has more than {} entries; split it", limits.sdist_entries)));
        }
        tree.add(&member, file, &mut notes)?;
        if tree.below_top(&member.path) == Some("PKG-INFO") {
            check_package_info(&member, package_info.is_some(), limits)?;
            package_info = Some(archive.take_content()?);
        }
    }
    let Some(top) = &tree.top else { return Err(refused(format!("it is empty; {REBUILD_SDIST}"))) };
    let Some(package_info) = package_info else {
        let place = excerpt(top);
        let text = format!("PKG-INFO is missing in the top directory '{place}'; {REBUILD_SDIST}");
        return Err(Invalid::new(Code::Metadata, text).into());
    };
    let metadata = Metadata::parse(&package_info)?;
    let present = |path: &str| tree.files.contains(&format!("{top}/{path}"));
    license::check(&metadata, top, present, limits, &mut notes)?;
    Ok(Contents { metadata: package_info, warnings: notes.into_warnings() })
}

fn begins_like_gzip<R: Read + Seek>(source: &mut Source<R>) -> std::io::Result<bool> {
    source.go_to(0)?;
    let mut beginning = Vec::new();
    source.take(2).read_to_end(&mut beginning)?;
    Ok(beginning == b"\x1f\x8b")
}

fn check_package_info(member: &Member, seen: bool, limits: &Limits) -> Result<(), Refused> {
    let fault = if member.kind != Kind::File {
        "PKG-INFO is not a regular file".to_owned()
    } else if seen {
        "PKG-INFO is there twice".to_owned()
    } else if member.size > limits.metadata_bytes {
        format!("PKG-INFO is larger than {} bytes; shorten the description", limits.metadata_bytes)
    } else {
        return Ok(());
    };
    Err(Invalid::new(Code::Metadata, fault).into())
}

/// What is known of the tree that the archive unpacks to.
#[derive(Debug, Default)]
struct Tree {
    top: Option<String>,
    files: PathSet,
    symbolic_links: PathSet,
    lower_case: PathSet,
}

impl Tree {
    fn add(&mut self, member: &Member, file: &FileName, notes: &mut Notes) -> Result<(), Refused> {
        let shown = excerpt(&member.path);
        let top = self.check_top(member, file)?;
        // What lies behind a link may lie anywhere once the link is in place.
        if self.symbolic_links.contains_ancestor(&member.path) {
            return Err(refused(format!("'{shown}' lies behind a symbolic link")));
        }
        match &member.kind {
            Kind::Directory => {}
            Kind::File => {
                self.files.insert(&member.path);
            }
            Kind::SymbolicLink(target) => {
                path::check_symbolic_link(&member.path, target)?;
                self.symbolic_links.insert(&member.path);
            }
            Kind::HardLink(target) => {
                path::check(target)?;
                if target.split_once('/').is_none_or(|(first, _)| first != top) {
                    let target = excerpt(target);
                    return Err(refused(format!(
                        "the link '{shown}' to '{target}' leaves the top directory"
                    )));
                }
                self.files.insert(&member.path);
            }
        }
        if member.kind != Kind::Directory && !self.lower_case.insert(&member.path.to_lowercase()) {
            notes.add(|| format!("the path '{shown}' is there twice, or differs from another only in case"));
        }
        Ok(())
    }

    /// The top directory, which the first member decides.
    fn check_top(&mut self, member: &Member, file: &FileName) -> Result<String, Refused> {
        let first = member.path.split('/').next().unwrap_or_default();
        let top = match &self.top {
            Some(top) if top == first => top.clone(),
            Some(top) => {
                let (top, first) = (excerpt(top), excerpt(first));
                return Err(refused(format!(
                    "it must contain exactly one top directory, found '{top}' and '{first}'; {REBUILD_SDIST}"
                )));
            }
            None if is_name_and_version(first, file) => self.top.insert(first.to_owned()).clone(),
            None => {
                let first = excerpt(first);
                let (project, version) = (file.project(), file.version());
                return Err(refused(format!(
                    "the top directory '{first}' is not that of {project} {version}; {REBUILD_SDIST}"
                )));
            }
        };
        if member.path == top && member.kind != Kind::Directory {
            return Err(refused(format!("'{}' is not a directory", excerpt(&top))));
        }
        Ok(top)
    }

    /// The rest of a path below the top directory.
    fn below_top<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.top.as_deref()?)?.strip_prefix('/')
    }
}

#[cfg(test)]
mod tests;
