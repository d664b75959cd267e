//! Reads manifest files: the same kinds as in a cluster, read again when they change. A file that
//! breaks keeps its last valid content.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::{
    Observation, Scope, SourceHealth, SourceProblem, World, identity_problems,
    manifest::{SyntaxError, parse_json, parse_yaml},
    selector::selects,
};
use crate::{
    offer::{Fields, OfferId, Offers, Origin, ParsedOffer},
    registration::Identity,
};

/// How often files are checked. A mounted ConfigMap changes by a swap of links, which file
/// notifications do not report reliably.
const INTERVAL: Duration = Duration::from_millis(500);

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
    world: Option<World>,
}

#[derive(Debug, Default)]
struct ManifestFile {
    stamp: Option<Stamp>,
    /// The last valid content, if there was one.
    objects: Option<Arc<Vec<Object>>>,
    /// Why the current content is not valid.
    broken: Option<String>,
}

/// Detects a changed file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    /// Changes if another file is renamed onto the path, even within one tick of the file system's
    /// clock.
    inode: u64,
    changed: (i64, i64),
    modified: Option<SystemTime>,
    length: u64,
    target: PathBuf,
}

#[derive(Debug)]
enum Object {
    Offer(OfferId, Arc<ParsedOffer>),
    Identity(OfferId, Identity),
    /// Not a valid object, for this reason.
    Refused(String),
}

impl Manifests {
    /// Prepares to read `root`, a file or a folder.
    pub(crate) fn new(root: &Path, scope: Scope, public_url: Origin) -> Self {
        Self { root: root.to_owned(), scope, public_url, files: BTreeMap::new(), world: None }
    }

    /// Reads the files that changed, and returns what is known of all.
    pub(crate) fn read(&mut self) -> Result<Observation, ReadError> {
        let mut found = BTreeMap::new();
        walk(&self.root, &mut Vec::new(), &mut found)?;
        self.files.retain(|path, _| found.contains_key(path));
        for (path, stamp) in found {
            let file = self.files.entry(path.clone()).or_default();
            if file.stamp.as_ref() == Some(&stamp) && file.broken.is_none() {
                continue;
            }
            match load(&path, &self.scope) {
                Ok(objects) => {
                    *file = ManifestFile {
                        stamp: Some(stamp),
                        objects: Some(Arc::new(objects)),
                        broken: None,
                    }
                }
                Err(error) => file.broken = Some(error),
            }
        }
        Ok(self.observe())
    }

    fn observe(&mut self) -> Observation {
        let broken: Vec<_> = self.files.iter().filter_map(broken_file).collect();
        let mut contents = Contents::default();
        for (path, file) in &self.files {
            for object in file.objects.iter().flat_map(|objects| objects.iter()) {
                contents.add(path, object);
            }
        }
        let Contents { offers, identity, mut problems, .. } = contents;
        problems.extend(identity_problems(&self.scope, &identity));
        let complete = self.files.values().all(|file| file.objects.is_some());
        if complete || self.world.is_some() {
            let (offers, identity) = (Arc::new(offers), Arc::new(identity));
            self.world = Some(World { offers, identity, public_url: self.public_url.clone() });
        }
        let missing = if self.world.is_some() { Vec::new() } else { broken.clone() };
        problems.extend(broken);
        Observation { world: self.world.clone(), missing, problems, held_offers: 0 }
    }

    /// What is known while `root` cannot be read.
    fn unreadable(&self, error: &ReadError) -> Observation {
        let message = format!("{}. The last complete content stays published.", error.source);
        let problem = SourceProblem::new("UnreadablePath", &error.path, message);
        let missing = if self.world.is_some() { Vec::new() } else { vec![problem.clone()] };
        let problems = vec![problem];
        Observation { world: self.world.clone(), missing, problems, held_offers: 0 }
    }
}

fn broken_file((path, file): (&PathBuf, &ManifestFile)) -> Option<SourceProblem> {
    let error = file.broken.as_ref()?;
    let kept = if file.objects.is_some() { " Its last valid content stays published." } else { "" };
    Some(SourceProblem::new("BrokenFile", path.display(), format!("{error}.{kept}")))
}

/// The objects of all files, and what is wrong with them.
#[derive(Default)]
struct Contents<'a> {
    offers: Offers,
    identity: Identity,
    problems: Vec<SourceProblem>,
    /// The file that each object was taken from, for ServiceOffers (`true`) and AgentIdentities.
    origins: BTreeMap<(bool, OfferId), &'a Path>,
}

impl<'a> Contents<'a> {
    /// Adds an object. If another file already has it, that one is used.
    fn add(&mut self, path: &'a Path, object: &Object) {
        match object {
            Object::Offer(id, parsed) if self.is_first(true, id, path) => {
                self.offers.insert(id.clone(), Arc::clone(parsed));
            }
            Object::Identity(id, identity) if self.is_first(false, id, path) => {
                self.identity = identity.clone();
            }
            Object::Offer(..) | Object::Identity(..) => {}
            Object::Refused(why) => {
                let problem = SourceProblem::new("RefusedObject", path.display(), why.as_str());
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
                self.problems.push(SourceProblem::new("DuplicateObject", path.display(), message));
                false
            }
        }
    }
}

/// Reads the manifests again and again until the receiver is gone.
pub(crate) async fn watch(
    mut manifests: Manifests,
    sender: watch::Sender<Observation>,
    health: SourceHealth,
) {
    while !sender.is_closed() {
        let began = Instant::now();
        // The folder may be large, and reading it must not block the tasks that answer requests.
        let read = tokio::task::spawn_blocking(move || {
            let observed = manifests.read();
            (manifests, observed)
        });
        let Ok((returned, observed)) = read.await else { return };
        manifests = returned;
        let observation = match observed {
            Ok(observation) => {
                health.responded();
                if observation.problems.iter().all(|problem| problem.code != "BrokenFile") {
                    health.complete_at(began);
                }
                observation
            }
            Err(error) => manifests.unreadable(&error),
        };
        sender.send_if_modified(|last| {
            let changed = *last != observation;
            if changed {
                for problem in
                    observation.problems.iter().filter(|problem| !last.problems.contains(problem))
                {
                    tracing::warn!(problem.code = problem.code, "{problem}");
                }
                *last = observation;
            }
            changed
        });
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Collects manifest files with their stamps. Follows links, skips dot files, and walks a folder
/// that links to itself once. `above` holds the folders on the way to `path`.
fn walk(
    path: &Path,
    above: &mut Vec<PathBuf>,
    found: &mut BTreeMap<PathBuf, Stamp>,
) -> Result<(), ReadError> {
    let failed = |source: io::Error| ReadError { path: path.display().to_string(), source };
    let target = path.canonicalize().map_err(failed)?;
    let about = fs::metadata(&target).map_err(failed)?;
    if !about.is_dir() {
        found.insert(
            path.to_owned(),
            Stamp {
                inode: about.ino(),
                changed: (about.ctime(), about.ctime_nsec()),
                modified: about.modified().ok(),
                length: about.len(),
                target,
            },
        );
        return Ok(());
    }
    if above.contains(&target) {
        return Ok(());
    }
    above.push(target);
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let below = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // While a mounted ConfigMap is swapped, its links are broken for a moment.
        let Ok(about) = fs::metadata(&below) else { continue };
        if !hidden && (about.is_dir() || is_manifest(&below)) {
            walk(&below, above, found)?;
        }
    }
    above.pop();
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| matches!(ending, "yaml" | "yml" | "json"))
}

fn load(path: &Path, scope: &Scope) -> Result<Vec<Object>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let documents = if is_json { parse_json(&text) } else { parse_yaml(&text) };
    let documents = documents.map_err(|error: SyntaxError| error.to_string())?;
    let mut objects = Vec::new();
    documents.iter().for_each(|document| unfold(document, scope, &mut objects));
    Ok(objects)
}

fn unfold(document: &Value, scope: &Scope, objects: &mut Vec<Object>) {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if kind.is_empty() {
        objects.push(Object::Refused(
            "a document is not a Kubernetes object: it has no kind".to_owned(),
        ));
    } else if kind == "List" {
        let items = document.get("items").and_then(Value::as_array);
        items.into_iter().flatten().for_each(|item| unfold(item, scope, objects));
    } else if version == "obol.org/v1alpha1" && matches!(kind, "ServiceOffer" | "AgentIdentity") {
        objects.extend(object(kind, document, scope));
    }
}

/// Reads a ServiceOffer or an AgentIdentity; `None` if it is outside the scope.
fn object(kind: &str, document: &Value, scope: &Scope) -> Option<Object> {
    let metadata = match Fields::of(document.get("metadata"), "metadata") {
        Ok(metadata) => metadata,
        Err(wrong) => {
            return Some(Object::Refused(format!("a {kind} has no valid name: {wrong}")));
        }
    };
    let (name, namespace) = match (metadata.text("name"), metadata.text("namespace")) {
        (Ok(Some(name)), Ok(namespace)) if !name.is_empty() => (name, namespace),
        (Ok(_), Ok(_)) => return Some(Object::Refused(format!("a {kind} has no metadata.name"))),
        (Err(wrong), _) | (_, Err(wrong)) => {
            return Some(Object::Refused(format!("a {kind} has no valid name: {wrong}")));
        }
    };
    let id = OfferId::new(
        namespace.filter(|namespace| !namespace.is_empty()).unwrap_or("default"),
        name,
    );
    if kind == "AgentIdentity" {
        return (scope.identity.as_ref() == Some(&id))
            .then(|| Object::Identity(id, Identity::parse(document)));
    }
    let labels = metadata.raw("labels").and_then(Value::as_object).into_iter().flatten();
    let labels =
        labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    let in_namespace = scope.namespaces.is_empty() || scope.namespaces.contains(&*id.namespace);
    let selected = scope.selector.as_ref().is_none_or(|selector| selects(selector, &labels));
    (in_namespace && selected).then(|| {
        let parsed = Arc::new(ParsedOffer::parse(&id, document));
        Object::Offer(id, parsed)
    })
}

#[cfg(test)]
mod tests;
