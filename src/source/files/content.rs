//! Takes the objects of our kinds from the documents of one file, and notes what it passes over.

use std::{fmt, sync::Arc};

use serde_json::Value;

use crate::{
    offer::{Fields, OfferId, ParsedOffer, WrongTypeError},
    registration::Identity,
    source::{
        Scope,
        manifest::{Lines, ManifestDocument},
        passed_over::{HiddenBy, PassedOver, VERSION, WhyPassedOver},
        selector::selects,
    },
};

/// How many lists may be within one another, so that what they contain is read in its full depth.
const MAX_LISTS: usize = 8;

/// What one file contains.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) objects: Vec<FileObject>,
    pub(super) passed_over: PassedOver,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileObject {
    Offer(OfferId, Arc<ParsedOffer>),
    Identity(OfferId, Arc<Identity>),
    /// An offer that the settings exclude.
    Hidden(OfferId, HiddenBy),
    /// Not a valid object, for this reason, which names it and its line.
    Refused(String),
}

impl Content {
    pub(super) fn of(documents: &[ManifestDocument], scope: &Scope) -> Self {
        let mut reader = ContentReader { scope, content: Self::default() };
        for ManifestDocument { value, lines } in documents {
            reader.unfold(value, lines, Inherited::default(), 0);
        }
        reader.content
    }

    /// Whether an object is not valid.
    pub(super) fn has_refused(&self) -> bool {
        self.objects.iter().any(|object| matches!(object, FileObject::Refused(_)))
    }
}

/// What a typed list says of items that do not say it themselves.
#[derive(Clone, Copy, Default)]
struct Inherited<'a> {
    version: &'a str,
    kind: &'a str,
}

struct ContentReader<'a> {
    scope: &'a Scope,
    content: Content,
}

impl ContentReader<'_> {
    /// Takes an object, or the items of a list. `lists` is the number of lists around it.
    fn unfold(&mut self, value: &Value, lines: &Lines, inherited: Inherited<'_>, lists: usize) {
        let text = |key: &str, default| match value.get(key) {
            None | Some(Value::Null) => default,
            Some(text) => text.as_str().unwrap_or_default(),
        };
        let (version, kind) = (text("apiVersion", inherited.version), text("kind", inherited.kind));
        if kind.is_empty() {
            return self.refuse(lines, "a document has no kind, so it is not a Kubernetes object");
        }
        let items = value.get("items").filter(|items| !items.is_null());
        let is_list = matches!(kind, "List" | "ServiceOfferList" | "AgentIdentityList")
            || (kind.ends_with("List") && items.is_some_and(Value::is_array));
        if !is_list {
            return self.object(version, kind, value, lines);
        }
        let items = match items {
            None => return,
            Some(Value::Array(items)) => items,
            Some(_) => {
                return self
                    .refuse(lines, format!("the items of a {} are not a list", shortened(kind)));
            }
        };
        if lists == MAX_LISTS {
            let what = format!("a list is inside more than {MAX_LISTS} others, which is not read");
            return self.refuse(lines, what);
        }
        let inherited = match kind.strip_suffix("List").filter(|kind| !kind.is_empty()) {
            Some(kind) => Inherited { version, kind },
            None => Inherited::default(),
        };
        let own_line = Lines { line: lines.line, items: Vec::new() };
        for (index, item) in items.iter().enumerate() {
            self.unfold(item, lines.items.get(index).unwrap_or(&own_line), inherited, lists + 1);
        }
    }

    fn object(&mut self, version: &str, kind: &str, value: &Value, lines: &Lines) {
        let is_ours = matches!(kind, "ServiceOffer" | "AgentIdentity");
        if !is_ours || version != VERSION {
            let why = match is_ours {
                true => WhyPassedOver::OtherVersion,
                false => WhyPassedOver::OtherKind,
            };
            return self.pass_over(why, version, kind, rough_name(value));
        }
        let id = match name_of(value) {
            Ok(id) => id,
            Err(what) => {
                return self.refuse(lines, format!("{kind} {}: {what}", rough_name(value)));
            }
        };
        let hidden = |by| (FileObject::Hidden(id.clone(), by), WhyPassedOver::Hidden(by));
        if kind == "AgentIdentity" {
            if self.scope.identity.as_ref() == Some(&id) {
                let identity = Arc::new(Identity::parse(value, &self.scope.registries));
                self.content.objects.push(FileObject::Identity(id, identity));
            } else {
                self.pass_over(WhyPassedOver::OtherIdentity, version, kind, id.to_string());
            }
            return;
        }
        let (object, why) = match hidden_by(self.scope, &id, value) {
            None => {
                let parsed = Arc::new(ParsedOffer::parse(&id, value));
                // No cluster takes it. Its claims stay, as those of any other offer that is refused.
                if !id.is_valid() {
                    let what = OfferId::RULE;
                    self.refuse(lines, format!("{kind} {}: {what}", rough_name(value)));
                }
                return self.content.objects.push(FileObject::Offer(id, parsed));
            }
            Some(by) => hidden(by),
        };
        self.content.objects.push(object);
        self.pass_over(why, version, kind, id.to_string());
    }

    fn pass_over(&mut self, why: WhyPassedOver, version: &str, kind: &str, name: String) {
        let of = if version.is_empty() { "no apiVersion" } else { version };
        let what = format!("{} of {}", shortened(kind), shortened(of));
        self.content.passed_over.add(why, what, 1, [name]);
    }

    fn refuse(&mut self, lines: &Lines, what: impl fmt::Display) {
        self.content.objects.push(FileObject::Refused(format!("line {}: {what}", lines.line)));
    }
}

/// The setting that excludes an offer, if one does.
fn hidden_by(scope: &Scope, id: &OfferId, value: &Value) -> Option<HiddenBy> {
    if HiddenBy::of_excluded(scope, id) == HiddenBy::Namespace {
        return Some(HiddenBy::Namespace);
    }
    let selector = scope.selector.as_ref()?;
    let labels = value.get("metadata").and_then(|metadata| metadata.get("labels"));
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    let labels =
        labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    (!selects(selector, &labels)).then_some(HiddenBy::Selector)
}

fn name_of(value: &Value) -> Result<OfferId, String> {
    let explain = |wrong: WrongTypeError| match wrong.found {
        "a boolean" | "a number" => format!("{wrong}. Put the value in quotes"),
        _ => wrong.to_string(),
    };
    let metadata = Fields::of(value.get("metadata"), "metadata").map_err(explain)?;
    let name = metadata.text("name").map_err(explain)?;
    let namespace = metadata.text("namespace").map_err(explain)?;
    let name = name.filter(|name| !name.is_empty()).ok_or("metadata.name is not set")?;
    let namespace = namespace.filter(|namespace| !namespace.is_empty());
    Ok(OfferId::new(namespace.unwrap_or("default"), name))
}

/// Namespace and name as far as they can be read, to point at an object that is not used.
fn rough_name(value: &Value) -> String {
    let part = |key: &str| {
        let part = value.get("metadata").and_then(|metadata| metadata.get(key))?;
        let text = part.as_str().map_or_else(|| part.to_string(), str::to_owned);
        Some(shortened(&text)).filter(|text| !text.is_empty())
    };
    match (part("namespace"), part("name")) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        (None, Some(name)) => name,
        (Some(namespace), None) => format!("without a name in {namespace}"),
        (None, None) => "without a name".to_owned(),
    }
}

/// The beginning of a text that may have any length.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests;
