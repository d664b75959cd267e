//! Manifest files in: the same kinds as in a cluster, re-read when they change, their last good content kept.

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

/// How often files are looked at. Mounted ConfigMaps change by a swap of links that no notification reports reliably.
const INTERVAL: Duration = Duration::from_millis(500);

/// Why the manifests cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}")]
pub(crate) struct ReadError {
    /// Which file or folder.
    pub(crate) path: String,
    /// What the system said.
    #[source]
    pub(crate) source: io::Error,
}

/// The manifests below one path, and what was last read of each.
#[derive(Debug)]
pub(crate) struct Manifests {
    root: PathBuf,
    scope: Scope,
    public_url: Origin,
    files: BTreeMap<PathBuf, File>,
    world: Option<World>,
}

#[derive(Debug, Default)]
struct File {
    stamp: Option<Stamp>,
    /// The last good content, if there was one.
    objects: Option<Arc<Vec<Object>>>,
    /// Why the present content is not it.
    broken: Option<String>,
}

/// What tells one content of a file from the next without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    /// Changes with every write and every rename onto the path, within one tick of the file system's clock too.
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
    /// Something that is no object of a known kind: it costs only itself.
    Refused(String),
}

impl Manifests {
    /// The manifests at `root`, a file or a folder. Nothing is read yet.
    pub(crate) fn new(root: &Path, scope: Scope, public_url: Origin) -> Self {
        Self { root: root.to_owned(), scope, public_url, files: BTreeMap::new(), world: None }
    }

    /// Reads what changed and says what is known.
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
                    *file =
                        File { stamp: Some(stamp), objects: Some(Arc::new(objects)), broken: None }
                }
                Err(error) => file.broken = Some(error),
            }
        }
        Ok(self.observe())
    }

    fn observe(&mut self) -> Observation {
        let mut offers = Offers::new();
        let mut identity = Identity::default();
        let mut problems = Vec::new();
        let mut broken = Vec::new();
        let mut origins: BTreeMap<(bool, OfferId), &Path> = BTreeMap::new();
        for (path, file) in &self.files {
            if let Some(error) = &file.broken {
                let kept =
                    if file.objects.is_some() { " Its last good content stays." } else { "" };
                broken.push(SourceProblem::new(
                    "BrokenFile",
                    path.display(),
                    format!("{error}.{kept}"),
                ));
            }
            for object in file.objects.iter().flat_map(|objects| objects.iter()) {
                let (is_offer, id) = match object {
                    Object::Offer(id, _) => (true, id),
                    Object::Identity(id, _) => (false, id),
                    Object::Refused(why) => {
                        problems.push(SourceProblem::new(
                            "RefusedObject",
                            path.display(),
                            why.as_str(),
                        ));
                        continue;
                    }
                };
                match origins.entry((is_offer, id.clone())) {
                    Entry::Occupied(first) => {
                        let message = format!(
                            "{id} also stands in {}, which is used.",
                            first.get().display()
                        );
                        problems.push(SourceProblem::new(
                            "DuplicateObject",
                            path.display(),
                            message,
                        ));
                        continue;
                    }
                    Entry::Vacant(slot) => slot.insert(path),
                };
                match object {
                    Object::Offer(id, seen) => drop(offers.insert(id.clone(), Arc::clone(seen))),
                    Object::Identity(_, read) => identity = read.clone(),
                    Object::Refused(_) => {}
                }
            }
        }
        problems.extend(identity_problems(&self.scope, &identity));
        let whole = self.files.values().all(|file| file.objects.is_some());
        if whole || self.world.is_some() {
            let (offers, identity) = (Arc::new(offers), Arc::new(identity));
            self.world = Some(World { offers, identity, public_url: self.public_url.clone() });
        }
        let missing = if self.world.is_some() { Vec::new() } else { broken.clone() };
        problems.extend(broken);
        Observation { world: self.world.clone(), missing, problems }
    }
}

/// Re-reads the manifests for as long as somebody listens.
pub(crate) async fn watch(
    mut manifests: Manifests,
    sender: watch::Sender<Observation>,
    vitals: SourceHealth,
) {
    while !sender.is_closed() {
        let began = Instant::now();
        // A folder of any size: reading it must not hold up the tasks that answer requests.
        let read = tokio::task::spawn_blocking(move || {
            let observed = manifests.read();
            (manifests, observed)
        });
        let Ok((returned, observed)) = read.await else { return };
        manifests = returned;
        let observation = match observed {
            Ok(observation) => {
                vitals.responded();
                if observation.problems.iter().all(|problem| problem.code != "BrokenFile") {
                    vitals.complete_at(began);
                }
                observation
            }
            Err(error) => {
                let cause =
                    std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                let problem = SourceProblem::new(
                    "UnreadablePath",
                    &error.path,
                    format!("{cause}. The last good world stays."),
                );
                let missing =
                    if manifests.world.is_some() { Vec::new() } else { vec![problem.clone()] };
                Observation { world: manifests.world.clone(), missing, problems: vec![problem] }
            }
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

/// Collects manifest files with their stamps. Links are followed, dot entries skipped, a folder that holds itself is
/// walked once.
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
        // A link to nowhere is what a swapped ConfigMap leaves behind for an instant.
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
    let text = String::from_utf8(bytes).map_err(|_| "is no UTF-8 text".to_owned())?;
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
        objects
            .push(Object::Refused("a document is no Kubernetes object: it has no kind".to_owned()));
    } else if kind == "List" {
        let items = document.get("items").and_then(Value::as_array);
        items.into_iter().flatten().for_each(|item| unfold(item, scope, objects));
    } else if version == "obol.org/v1alpha1" && matches!(kind, "ServiceOffer" | "AgentIdentity") {
        objects.extend(object(kind, document, scope));
    }
}

/// Reads one object of ours; `None` when it lies outside the scope.
fn object(kind: &str, document: &Value, scope: &Scope) -> Option<Object> {
    let metadata = match Fields::of(document.get("metadata"), "metadata") {
        Ok(metadata) => metadata,
        Err(wrong) => {
            return Some(Object::Refused(format!("a {kind} has no usable name: {wrong}")));
        }
    };
    let (name, namespace) = match (metadata.text("name"), metadata.text("namespace")) {
        (Ok(Some(name)), Ok(namespace)) if !name.is_empty() => (name, namespace),
        (Ok(_), Ok(_)) => return Some(Object::Refused(format!("a {kind} has no metadata.name"))),
        (Err(wrong), _) | (_, Err(wrong)) => {
            return Some(Object::Refused(format!("a {kind} has no usable name: {wrong}")));
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
    let chosen = scope.namespaces.is_empty() || scope.namespaces.contains(&*id.namespace);
    let selected = scope.selector.as_ref().is_none_or(|selector| selects(selector, &labels));
    (chosen && selected).then(|| {
        let seen = Arc::new(ParsedOffer::parse(&id, document));
        Object::Offer(id, seen)
    })
}

#[cfg(test)]
mod tests;
