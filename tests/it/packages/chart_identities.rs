//! No two objects of the chart share an identity, whatever the switches.
//!
//! There are too many combinations to render each. But what a template makes depends only on the values that it, or what it
//! includes, reads. So each template is rendered once for each combination of *its* switches, and the objects of a
//! combination of all switches are those of the templates at its positions. Combinations that are rendered as a whole are
//! compared with that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use super::{
    chart::{CHART, Identity, NAMESPACE, URL, anchoring, identity, template, unfolded},
    tools::file,
};
use crate::support::{process::yaml, rows::for_each_row};

/// A position of each switch.
type Combination = Vec<usize>;

/// What each template makes.
type Objects = BTreeMap<String, Vec<Identity>>;

/// The identities that two objects share.
fn shared(objects: &[&Identity]) -> BTreeSet<Identity> {
    let mut seen = BTreeSet::new();
    objects.iter().filter(|identity| !seen.insert(**identity)).map(|it| (*it).clone()).collect()
}

/// The switches of the chart, each with its positions: values that it adds to those of the others.
fn switches() -> Vec<Vec<Value>> {
    let off_or = |on: Value| vec![json!({}), on];
    let host = json!({ "enabled": true, "hostnames": ["agents.example"] });
    vec![
        // These make roles, which may meet in one namespace.
        off_or(json!({ "publicUrl": URL })),
        vec![
            json!({}),
            json!({ "identity": { "enabled": false } }),
            json!({ "identity": { "namespace": "obol-frontend" } }),
            json!({ "identity": { "namespace": NAMESPACE, "name": "registrar" } }),
        ],
        off_or(json!({ "namespaces": ["x402", "obol-frontend", NAMESPACE] })),
        off_or(json!({ "enforceDrains": true })),
        off_or(json!({ "events": true })),
        vec![json!({}), anchoring(false), anchoring(true)],
        off_or(json!({ "writeIdentity": true })),
        // These make an object or two each.
        vec![
            json!({}),
            json!({ "monitor": { "enabled": true } }),
            json!({ "monitor": { "enabled": true, "kind": "ServiceMonitor" } }),
        ],
        off_or(json!({ "httpRoute": host })),
        off_or(json!({ "ingress": host })),
        off_or(json!({ "networkPolicy": { "enabled": true } })),
        vec![json!({ "podDisruptionBudget": { "enabled": false } }), json!({})],
        off_or(json!({ "crds": { "install": true } })),
        off_or(json!({ "alerts": { "enabled": true } })),
        off_or(json!({ "profile": { "name": "North Harbour" }, "grants": { "llm": {} } })),
    ]
}

/// Whether the schema of the chart accepts these values together.
fn accepted(values: &Value) -> bool {
    let anchors = !values["anchoring"].is_null();
    let has_identity = values["identity"]["enabled"] != false;
    (!anchors || !values["publicUrl"].is_null())
        && (values["writeIdentity"].is_null() || (anchors && has_identity))
}

/// The values of a combination.
fn values(switches: &[Vec<Value>], combination: &[usize]) -> Value {
    let mut values = json!({});
    for (positions, at) in switches.iter().zip(combination) {
        values.as_object_mut().unwrap().extend(positions[*at].as_object().unwrap().clone());
    }
    values
}

/// Every combination of positions.
fn every(switches: &[Vec<Value>]) -> Vec<Combination> {
    switches.iter().fold(vec![vec![]], |all: Vec<Combination>, positions| {
        let longer = |start: &Combination| {
            let start = start.clone();
            (0..positions.len()).map(move |at| [&start[..], &[at]].concat())
        };
        all.iter().flat_map(longer).collect()
    })
}

/// Those that the schema accepts.
fn combinations(switches: &[Vec<Value>]) -> Vec<Combination> {
    let mut all = every(switches);
    all.retain(|combination| accepted(&values(switches, combination)));
    all
}

/// The names of the top-level values that a template reads, itself or in what it includes.
type Reads = BTreeMap<String, BTreeSet<String>>;

/// What the text of a template names.
#[derive(Debug, Default)]
struct Named {
    values: BTreeSet<String>,
    included: BTreeSet<String>,
}

impl Named {
    /// Notes what an action (the text between braces) names, or says why that cannot be told.
    fn note(&mut self, action: &str) -> Result<(), String> {
        let word = |text: &str| -> String {
            text.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
        };
        for hidden in ["tpl ", "lookup ", "Subcharts", ".Template", "template "] {
            if action.contains(hidden) {
                return Err(format!("{hidden:?} hides what is read: {action}"));
            }
        }
        for rest in action.split("Values").skip(1) {
            let name = rest.strip_prefix('.').map(word).filter(|name| !name.is_empty());
            self.values.insert(name.ok_or_else(|| format!("values without a name: {action}"))?);
        }
        for rest in action.split("include ").skip(1) {
            let name = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
            let (name, _) = name.ok_or_else(|| format!("an include without a name: {action}"))?;
            self.included.insert(name.to_owned());
        }
        Ok(())
    }
}

/// The actions of a text, without comments.
fn actions(text: &str) -> impl Iterator<Item = &str> {
    let actions = text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap());
    let trimmed = actions.map(|action| action.trim_matches(['-', ' ']));
    trimmed.filter(|action| !action.starts_with("/*"))
}

/// What each template of a chart reads, or why that cannot be told.
fn reads(chart: &Path) -> Result<Reads, String> {
    let (mut templates, mut defined) = (BTreeMap::new(), BTreeMap::<String, Named>::new());
    for entry in fs::read_dir(chart.join("templates")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let mut whole = Named::default();
        let mut definition: Option<&str> = None;
        for action in actions(&text) {
            // One ends at the next, at the latest.
            if let Some(rest) = action.strip_prefix("define \"") {
                definition = rest.split('"').next();
            }
            whole.note(action)?;
            if let Some(name) = definition {
                defined.entry(name.to_owned()).or_default().note(action)?;
            }
        }
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_name().unwrap().to_str().unwrap();
            templates.insert(name.to_owned(), whole);
        }
    }
    let mut reads = Reads::new();
    for (name, mut named) in templates {
        let mut done = BTreeSet::new();
        while let Some(next) = named.included.pop_first() {
            let inner = defined.get(&next).ok_or_else(|| format!("{next} is not defined"))?;
            named.values.extend(inner.values.iter().cloned());
            done.insert(next);
            named.included.extend(inner.included.difference(&done).cloned());
        }
        reads.insert(name, named.values);
    }
    Ok(reads)
}

/// The objects that a chart renders to for each of many values, by template. One run of helm renders a chart that has
/// this one as many dependencies, for most of a run is its start.
fn each_rendered(chart: &Path, values: &[Value]) -> Vec<Objects> {
    let folder = tempfile::tempdir().unwrap();
    copied(chart, &folder.path().join("charts"));
    let alias = |number: usize| format!("case-{number}");
    let dependencies: Vec<Value> = (0..values.len())
        .map(|number| json!({ "name": "registrar", "version": "0.1.0", "alias": alias(number) }))
        .collect();
    let about = json!({ "apiVersion": "v2", "name": "all", "version": "0.1.0", "dependencies": dependencies });
    fs::write(folder.path().join("Chart.yaml"), about.to_string()).unwrap();
    let values: Value =
        values.iter().enumerate().map(|(number, values)| (alias(number), values.clone())).collect();
    let text = template(folder.path(), &values);

    // Most files are rendered to the same text in many cases, and are read once.
    let mut read: BTreeMap<String, Vec<Identity>> = BTreeMap::new();
    let mut cases: BTreeMap<usize, Objects> = BTreeMap::new();
    for part in text.split("# Source: all/charts/case-").skip(1) {
        let (number, rest) = part.split_once('/').unwrap();
        let (path, document) = rest.split_once('\n').unwrap();
        let name = path.strip_prefix("templates/").unwrap();
        // An alias is the name of its chart.
        let document = document.replace(&format!("case-{number}-"), "registrar-");
        let found = read
            .entry(document)
            .or_insert_with_key(|text| unfolded(yaml(text)).iter().map(identity).collect());
        let case = cases.entry(number.parse().unwrap()).or_default();
        case.entry(name.to_owned()).or_default().extend(found.iter().cloned());
    }
    cases.into_values().collect()
}

/// Copies a chart into a folder, and gives the copy.
fn copied(chart: &Path, into: &Path) -> std::path::PathBuf {
    fs::create_dir_all(into).unwrap();
    let copy = into.join("registrar");
    assert!(Command::new("cp").arg("-r").arg(chart).arg(&copy).status().unwrap().success());
    copy
}

/// What the templates of a chart make with each combination of the switches that they read.
struct Made {
    /// The switches that each template reads.
    switches: BTreeMap<String, Vec<usize>>,
    objects: BTreeMap<String, BTreeMap<Combination, Vec<Identity>>>,
}

impl Made {
    fn of(chart: &Path, switches: &[Vec<Value>], all: &[Combination]) -> Self {
        let keys = |positions: &Vec<Value>| -> BTreeSet<String> {
            positions.iter().flat_map(|at| at.as_object().unwrap().keys().cloned()).collect()
        };
        let read_by = |(name, read): (String, BTreeSet<String>)| {
            let of_it =
                switches.iter().map(keys).enumerate().filter(|(_, it)| !it.is_disjoint(&read));
            (name, of_it.map(|(number, _)| number).collect())
        };
        let of_templates = reads(chart).unwrap().into_iter().map(read_by).collect();
        let mut made = Self { switches: of_templates, objects: BTreeMap::new() };
        let mut seen = BTreeSet::new();
        // Those that are the first to have a template at some positions of its switches.
        let cover = all.iter().filter(|combination| {
            let its = made.switches.iter().map(|(name, its)| (name, at(combination, its)));
            its.filter(|at| seen.insert(at.clone())).count() > 0
        });
        let cover: Vec<Combination> = cover.cloned().collect();
        drop(seen);
        for (combination, objects) in cover.iter().zip(rendered(chart, switches, &cover)) {
            made.add(combination, objects);
        }
        made
    }

    /// Adds what was rendered. A template that makes something else than it made at the same positions of its switches
    /// reads more than was thought.
    fn add(&mut self, combination: &[usize], mut objects: Objects) {
        for (name, its) in &self.switches {
            let made = objects.remove(name).unwrap_or_default();
            let known = self.objects.entry(name.clone()).or_default();
            let known = known.entry(at(combination, its)).or_insert_with(|| made.clone());
            assert!(*known == made, "{name} at {combination:?}: {known:?}, {made:?}");
        }
        assert!(objects.is_empty(), "of no template: {objects:?}");
    }

    /// The objects of a combination.
    fn at(&self, combination: &[usize]) -> Vec<&Identity> {
        let of = |(name, its): (&String, &Vec<usize>)| &self.objects[name][&at(combination, its)];
        self.switches.iter().flat_map(of).collect()
    }

    /// The identities that two objects share, in each of these combinations.
    fn shared(&self, all: &[Combination]) -> BTreeMap<Combination, BTreeSet<Identity>> {
        let of = |combination: &Combination| {
            let objects = self.at(combination);
            assert!(objects.len() >= 4, "{combination:?}: {objects:?}");
            (combination.clone(), shared(&objects))
        };
        all.iter().map(of).filter(|(_, twice)| !twice.is_empty()).collect()
    }
}

/// The positions of some switches.
fn at(combination: &[usize], switches: &[usize]) -> Combination {
    switches.iter().map(|switch| combination[*switch]).collect()
}

/// Combinations as helm renders them.
fn rendered(chart: &Path, switches: &[Vec<Value>], which: &[Combination]) -> Vec<Objects> {
    let values: Vec<Value> = which.iter().map(|it| values(switches, it)).collect();
    // A run of helm holds all of what it renders.
    let found: Vec<_> = values.chunks(500).flat_map(|some| each_rendered(chart, some)).collect();
    assert_eq!(found.len(), which.len());
    found
}

/// Values over the chart's own.
fn merged(base: &Value, over: &Value) -> Value {
    let (Some(base), Some(over)) = (base.as_object(), over.as_object()) else {
        return over.clone();
    };
    let mut merged = base.clone();
    for (key, value) in over {
        let own = base.get(key).unwrap_or(&Value::Null);
        merged.insert(key.clone(), self::merged(own, value));
    }
    merged.into()
}

#[test]
fn no_two_objects_share_an_identity_in_any_combination() {
    let (chart, switches) = (file(CHART), switches());
    let all = combinations(&switches);
    assert!(all.len() > 50_000, "{}", all.len());
    let mut made = Made::of(&chart, &switches, &all);
    let each = made.objects.iter().map(|(name, of_it)| format!("{name} {}", of_it.len()));
    eprintln!("{} combinations, of templates: {}", all.len(), each.collect::<Vec<_>>().join(", "));
    let shared = made.shared(&all);
    assert!(
        shared.is_empty(),
        "in {} combinations, first {:?}",
        shared.len(),
        shared.first_key_value()
    );

    // What is rendered as a whole has what its templates made, whatever the other switches.
    let step = if std::env::var_os("REGISTRAR_LONG").is_some() { 1 } else { 251 };
    let whole: Vec<Combination> = all.into_iter().step_by(step).collect();
    for some in whole.chunks(500) {
        for (combination, objects) in some.iter().zip(rendered(&chart, &switches, some)) {
            made.add(combination, objects);
        }
    }
}

#[test]
fn the_schema_accepts_the_combinations_that_are_looked_at_and_no_others() {
    let read = |name: &str| fs::read_to_string(file(CHART).join(name)).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let own = yaml(&read("values.yaml")).remove(0);
    let all = switches();
    // Each half with the other at its first positions: no rule of the schema concerns both.
    for half in [0..7, 7..all.len()] {
        let of_half = |(number, positions): (usize, &Vec<Value>)| {
            if half.contains(&number) { positions.clone() } else { positions[..1].to_vec() }
        };
        let switches: Vec<Vec<Value>> = all.iter().enumerate().map(of_half).collect();
        for combination in every(&switches) {
            let values = values(&switches, &combination);
            let is_valid = schema.is_valid(&merged(&own, &values));
            assert_eq!(is_valid, accepted(&values), "{values}");
        }
    }
}

#[test]
fn a_second_object_of_one_identity_is_found_in_a_list_and_where_two_templates_meet() {
    let role = |from: &str| {
        let api = "rbac.authorization.k8s.io";
        format!(
            "apiVersion: {api}/{from}\nkind: Role\nmetadata:\n  name: planted\n  namespace: x402\n"
        )
    };
    let in_a_list = |object: &str| {
        let item = object.trim().replace('\n', "\n    ");
        format!("apiVersion: v1\nkind: List\nitems:\n  - {item}\n")
    };
    let plain = role("v1beta1");
    for_each_row(
        [("as it is", plain.clone()), ("in a List", in_a_list(&plain))],
        |(case, text)| {
            let folder = tempfile::tempdir().unwrap();
            let chart = copied(&file(CHART), folder.path());
            let plant = |name: &str, switch: &str, text: &str| {
                let text = format!("{{{{- if .Values.{switch} }}}}\n{text}{{{{- end }}}}\n");
                fs::write(chart.join("templates").join(name), text).unwrap();
            };
            // Each alone is fine, and few combinations have both.
            plant("one.yaml", "anchoring.apart", &role("v1"));
            plant("two.yaml", "ingress.enabled", &text);
            let mut switches = switches();
            let number = |key: &str| {
                switches
                    .iter()
                    .position(|positions| positions.iter().any(|at| !at[key].is_null()))
                    .unwrap()
            };
            let moved = ["publicUrl", "anchoring", "monitor", "ingress"].map(number);
            let [_, anchors, _, has_ingress] = moved;
            for (number, positions) in switches.iter_mut().enumerate() {
                positions.truncate(if moved.contains(&number) { usize::MAX } else { 1 });
            }
            let all = combinations(&switches);
            let found = Made::of(&chart, &switches, &all).shared(&all);
            let both = |it: &&Combination| it[anchors] == 2 && it[has_ingress] == 1;
            let expected: Vec<_> = all.iter().filter(both).collect();
            assert!(!expected.is_empty());
            assert_eq!(found.keys().collect::<Vec<_>>(), expected, "{case}");
            let twice = ["rbac.authorization.k8s.io", "Role", "x402", "planted"].map(str::to_owned);
            assert!(
                found.values().all(|shared| *shared == BTreeSet::from([twice.clone()])),
                "{case}"
            );
        },
    );
}

#[test]
fn a_template_that_hides_what_it_reads_is_refused() {
    let cases = [
        ("by a name that is computed", "{{ index .Values $name }}"),
        ("all values", "{{- toYaml .Values }}"),
        ("in a text that is a template", "{{ tpl $text . }}"),
        ("in another file", "{{ include $name . }}"),
        ("in a file that does not exist", "{{ include \"registrar.nothing\" . }}"),
    ];
    for_each_row(cases, |(case, text)| {
        let folder = tempfile::tempdir().unwrap();
        let chart = copied(&file(CHART), folder.path());
        fs::write(chart.join("templates/planted.yaml"), text).unwrap();
        assert!(reads(&chart).is_err(), "{case}");
    });
}
