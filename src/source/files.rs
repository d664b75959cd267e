//! Reads manifest files: the same kinds as in a cluster, read again when they change. A file that
//! breaks keeps its last valid content.

mod content;
mod manifest_file;
mod settling;
mod walk;
mod watching;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::time::Instant;

pub(crate) use self::watching::watch;
use self::{
    content::{Content, FileObject},
    manifest_file::{Condition, ManifestFile},
    settling::SETTLED_AFTER,
    walk::{FileId, Tree, walk},
};
use super::{
    Observation, Scope, SourceProblem, SourceProblemCode, World,
    brake::{Reading, ShrinkBrake},
    identity_problems,
    passed_over::{HiddenBy, PassedOver},
};
use crate::{
    offer::{OfferId, Offers, Origin},
    registration::Identity,
};

/// The manifests cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}")]
pub(crate) struct ReadError {
    pub(crate) path: String,
    #[source]
    pub(crate) source: io::Error,
}

/// The manifests below one path, with what was last read of each.
#[derive(Debug)]
pub(crate) struct Manifests {
    root: PathBuf,
    scope: Scope,
    public_url: Origin,
    files: BTreeMap<PathBuf, ManifestFile>,
    unreadable: BTreeMap<PathBuf, String>,
    folders: BTreeMap<PathBuf, FileId>,
    /// What is known of `files`, unless one of them changed.
    observed: Option<Observation>,
    /// The offers of all files as they are, even while the brake retains others.
    offers: Arc<Offers>,
    brake: ShrinkBrake,
    world: Option<World>,
}

impl Manifests {
    /// Prepares to read `root`, a file or a folder.
    pub(crate) fn new(root: &Path, scope: Scope, public_url: Origin) -> Self {
        Self {
            root: root.to_owned(),
            scope,
            public_url,
            files: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            folders: BTreeMap::new(),
            observed: None,
            offers: Arc::default(),
            brake: ShrinkBrake::default(),
            world: None,
        }
    }

    /// Reads the files that changed, and returns what is known of all.
    pub(crate) fn read(&mut self, now: Instant) -> Result<Observation, ReadError> {
        let Tree { files, unreadable, folders } = walk(&self.root)?;
        self.folders = folders;
        let mut changed = self.unreadable != unreadable;
        self.unreadable = unreadable;
        let kept = |path: &Path| path.ancestors().any(|path| self.unreadable.contains_key(path));
        let before = self.files.len();
        self.files.retain(|path, _| files.contains_key(path) || kept(path));
        changed |= self.files.len() != before;
        for (path, stamp) in files {
            changed |= match self.files.entry(path) {
                Entry::Vacant(slot) => {
                    let file = ManifestFile::first(slot.key(), stamp, &self.scope, now);
                    slot.insert(file);
                    true
                }
                Entry::Occupied(mut slot) => {
                    let path = slot.key().clone();
                    slot.get_mut().update(&path, stamp, &self.scope, now)
                }
            };
        }
        match &self.observed {
            Some(observed) if !changed && !self.brake.is_waiting() => Ok(observed.clone()),
            Some(_) | None => Ok(self.observe(now)),
        }
    }

    /// Accepts a loss that the brake holds back. Returns whether there was one.
    fn release_brake(&mut self) -> bool {
        self.observed = None;
        self.brake.release_now().is_some()
    }

    /// The setting that excludes an offer, if it was found and excluded.
    pub(crate) fn hidden(&self, id: &OfferId) -> Option<HiddenBy> {
        self.objects().find_map(|(_, object)| match object {
            FileObject::Hidden(hidden, by) if hidden == id => Some(*by),
            FileObject::Hidden(..)
            | FileObject::Offer(..)
            | FileObject::Identity(..)
            | FileObject::Refused(_) => None,
        })
    }

    /// Whether an object of any file is not valid.
    pub(crate) fn has_refused(&self) -> bool {
        self.contents().any(|(_, content)| content.has_refused())
    }

    /// What was looked at, and which objects that might have been meant for us were not used.
    pub(crate) fn passed_over(&self) -> Option<String> {
        let passed_over = self.all_passed_over().of_our_kinds();
        (!passed_over.is_empty())
            .then(|| format!("{}. Passed over: {passed_over}", self.looked_at()))
    }

    /// Whether the content in use is that of all files as they are.
    fn is_current(&self) -> bool {
        let in_use = |file: &ManifestFile| matches!(file.condition, Condition::InUse);
        self.unreadable.is_empty() && self.files.values().all(in_use)
    }

    /// When time alone may change what is published.
    fn next_change(&self) -> Option<Instant> {
        let brake = self.brake.confirmable_at().into_iter().chain(self.brake.passes_at());
        self.settles_at().into_iter().chain(brake).min()
    }

    /// When the next half-written file may be taken as it is.
    fn settles_at(&self) -> Option<Instant> {
        let settles = |file: &ManifestFile| match file.condition {
            Condition::HalfWritten { since, .. } => Some(since + SETTLED_AFTER),
            Condition::InUse | Condition::Broken(_) => None,
        };
        self.files.values().filter_map(settles).min()
    }

    fn contents(&self) -> impl Iterator<Item = (&Path, &Content)> {
        self.files.iter().filter_map(|(path, file)| {
            file.content.as_deref().map(|content| (path.as_path(), content))
        })
    }

    fn objects(&self) -> impl Iterator<Item = (&Path, &FileObject)> {
        self.contents()
            .flat_map(|(path, content)| content.objects.iter().map(move |object| (path, object)))
    }

    fn all_passed_over(&self) -> PassedOver {
        let mut passed_over = PassedOver::default();
        self.contents().for_each(|(_, content)| passed_over.extend(&content.passed_over));
        passed_over
    }

    fn looked_at(&self) -> String {
        let files = self.files.len();
        let word = if files == 1 { "file" } else { "files" };
        format!("Looked at {files} {word} (*.yaml, *.yml and *.json) in {}", self.root.display())
    }

    fn observe(&mut self, now: Instant) -> Observation {
        let mut merged = Merged::default();
        self.objects().for_each(|(path, object)| merged.add(path, object));
        let Merged { offers, identity, mut problems, .. } = merged;
        problems.extend(identity_problems(&self.scope, &identity));
        problems.extend(self.contents().filter_map(foreign_objects));
        problems.extend(self.files.iter().filter_map(half_written));
        problems.extend(self.unreadable.iter().map(unreadable_path));
        let complete = self.files.values().all(|file| file.content.is_some());
        if complete && offers.is_empty() {
            problems.push(self.nothing_found());
        }
        if complete || self.world.is_some() {
            // The same pointer while the content is the same, so that comparing it costs nothing.
            if *self.offers != offers {
                self.offers = Arc::new(offers);
            }
            let (offers, _) = self.brake.observe(&self.offers, Reading::Complete, now);
            self.world = Some(World { offers, identity, public_url: self.public_url.clone() });
        }
        problems.extend(self.brake.problem(&self.root.display().to_string()));
        let broken: Vec<_> = self.files.iter().filter_map(broken_file).collect();
        let missing = if self.world.is_some() { Vec::new() } else { broken.clone() };
        problems.extend(broken);
        let held_offers = self.brake.retained();
        let observed = Observation { world: self.world.clone(), missing, problems, held_offers };
        self.observed = Some(observed.clone());
        observed
    }

    fn nothing_found(&self) -> SourceProblem {
        let passed_over = self.all_passed_over();
        let passed_over = match passed_over.is_empty() {
            true => String::new(),
            false => format!(" Passed over: {passed_over}."),
        };
        let message = format!("there is no ServiceOffer. {}.{passed_over}", self.looked_at());
        SourceProblem::new(SourceProblemCode::NothingFound, self.root.display(), message)
    }

    /// What is known while `root` cannot be read.
    fn unreadable_root(&self, error: &ReadError) -> Observation {
        let message = format!("{}. The last complete content stays published.", error.source);
        let problem = SourceProblem::new(SourceProblemCode::UnreadablePath, &error.path, message);
        let missing = if self.world.is_some() { Vec::new() } else { vec![problem.clone()] };
        let (problems, held_offers) = (vec![problem], self.brake.retained());
        Observation { world: self.world.clone(), missing, problems, held_offers }
    }
}

fn broken_file((path, file): (&PathBuf, &ManifestFile)) -> Option<SourceProblem> {
    let error = match &file.condition {
        Condition::Broken(error) => error,
        Condition::InUse | Condition::HalfWritten { .. } => return None,
    };
    let kept = if file.content.is_some() { " Its last valid content stays published." } else { "" };
    Some(SourceProblem::new(
        SourceProblemCode::BrokenFile,
        path.display(),
        format!("{error}.{kept}"),
    ))
}

fn half_written((path, file): (&PathBuf, &ManifestFile)) -> Option<SourceProblem> {
    let new = match &file.condition {
        Condition::HalfWritten { content, .. } => content.objects.len(),
        Condition::InUse | Condition::Broken(_) => return None,
    };
    let kept = file.content.as_ref().map_or(0, |content| content.objects.len());
    let message = format!(
        "the file has {new} of its {kept} objects, so it may be half written. Its last content \
         stays published until the file has been the same for {} s. To change a file at once, \
         write to a temporary file and rename it.",
        SETTLED_AFTER.as_secs()
    );
    Some(SourceProblem::new(SourceProblemCode::HalfWritten, path.display(), message))
}

fn unreadable_path((path, why): (&PathBuf, &String)) -> SourceProblem {
    let message = format!("{why}. What was last read there stays published.");
    SourceProblem::new(SourceProblemCode::UnreadablePath, path.display(), message)
}

fn foreign_objects((path, content): (&Path, &Content)) -> Option<SourceProblem> {
    let foreign = content.passed_over.of_other_versions();
    let problem =
        || SourceProblem::new(SourceProblemCode::PassedOver, path.display(), format!("{foreign}."));
    (!foreign.is_empty()).then(problem)
}

/// The objects of all files, and what is wrong with them.
#[derive(Default)]
struct Merged<'a> {
    offers: Offers,
    identity: Arc<Identity>,
    problems: Vec<SourceProblem>,
    /// The file that each object was taken from, for ServiceOffers (`true`) and AgentIdentities.
    origins: BTreeMap<(bool, OfferId), &'a Path>,
}

impl<'a> Merged<'a> {
    /// Adds an object. If another file already has it, that one is used.
    fn add(&mut self, path: &'a Path, object: &FileObject) {
        match object {
            FileObject::Offer(id, parsed) if self.is_first(true, id, path) => {
                self.offers.insert(id.clone(), Arc::clone(parsed));
            }
            FileObject::Identity(id, identity) if self.is_first(false, id, path) => {
                self.identity = Arc::clone(identity);
            }
            FileObject::Offer(..) | FileObject::Identity(..) | FileObject::Hidden(..) => {}
            FileObject::Refused(why) => {
                let problem = SourceProblem::new(
                    SourceProblemCode::RefusedObject,
                    path.display(),
                    why.as_str(),
                );
                self.problems.push(problem);
            }
        }
    }

    fn is_first(&mut self, is_offer: bool, id: &OfferId, path: &'a Path) -> bool {
        match self.origins.entry((is_offer, id.clone())) {
            Entry::Vacant(slot) => {
                slot.insert(path);
                true
            }
            Entry::Occupied(first) => {
                let message =
                    format!("{id} is already in {}, which is used.", first.get().display());
                self.problems.push(SourceProblem::new(
                    SourceProblemCode::DuplicateObject,
                    path.display(),
                    message,
                ));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
