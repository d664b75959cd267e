//! openapi.yaml against what is really served, both ways: whatever is asked in whatever state, the
//! answer is documented, and whatever is documented was seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
    time::Duration,
};

use crate::{
    anchor::AnchorReason,
    http::tests::site::{Answer, Site, ask, request},
    http::{
        self, Front, admin,
        contract::{OPENAPI_YAML, SCHEMAS},
    },
    source::parse_yaml,
    testing::{NOON, Resource, offer},
};
use jsonschema::Validator;
use serde_json::Value;

/// Header fields that HTTP itself or the prose of openapi.yaml explains.
const UNDOCUMENTED: [&str; 3] = ["content-type", "content-length", "x-request-id"];

const ADMIN_FIELDS: [&[(&str, &str)]; 2] = [
    &[("host", "127.0.0.1:9004"), ("origin", "https://page.example")],
    &[("host", "127.0.0.1:9004"), ("accept", "application/openmetrics-text")],
];
const INVALID_HOST: &[(&str, &str)] = &[("host", "a b")];

/// The contract, parsed.
pub(crate) struct Contract(pub(crate) Value);

impl Contract {
    pub(crate) fn read() -> Self {
        let [document] = parse_yaml(OPENAPI_YAML).unwrap().try_into().unwrap();
        Self(document)
    }

    /// What a node is, or what it refers to within openapi.yaml.
    pub(crate) fn follow<'a>(&'a self, node: &'a Value) -> &'a Value {
        match node["$ref"].as_str().and_then(|target| target.strip_prefix('#')) {
            Some(pointer) => self.follow(self.0.pointer(pointer).unwrap()),
            None => node,
        }
    }

    /// A schema with its references written out; files of schema/ are resources of their own.
    pub(crate) fn schema(&self, node: &Value) -> Value {
        match node {
            Value::Object(members) => match node["$ref"].as_str() {
                Some(target) if target.starts_with('#') => self.schema(self.follow(node)),
                Some(target) => schema_file(target.strip_prefix("schema/").unwrap()),
                None => {
                    members.iter().map(|(key, member)| (key.clone(), self.schema(member))).collect()
                }
            },
            Value::Array(items) => items.iter().map(|item| self.schema(item)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => node.clone(),
        }
    }

    pub(crate) fn validator(&self, schema: &Value) -> Validator {
        compiled(&self.schema(schema))
    }

    fn paths(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0["paths"].as_object().unwrap().iter().map(|(path, item)| (path.as_str(), item))
    }

    /// The response that is documented for a status, and the name of its component.
    fn response(&self, path: &str, method: &str, status: u16) -> Option<(&str, &Value)> {
        let item = &self.0["paths"][path];
        let response = match method {
            _ if status == 405 => &item["x-any-other-method"],
            _ => &item[method.to_lowercase()]["responses"][status.to_string()],
        };
        let name = response["$ref"].as_str()?.rsplit('/').next()?;
        let fits = (status == 405) == name.ends_with("MethodNotAllowed");
        fits.then(|| (name, self.follow(response)))
    }
}

/// A file of schema/.
pub(crate) fn schema_file(name: &str) -> Value {
    let (_, text) = SCHEMAS.iter().find(|(file, _)| *file == name).unwrap();
    serde_json::from_str(text).unwrap()
}

/// A schema ready to check values, formats included.
pub(crate) fn compiled(schema: &Value) -> Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap()
}

/// Checks a value, with its errors in the panic.
pub(crate) fn check(validator: &Validator, value: &Value, case: &str) {
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{case}: {errors:#?}\n{value:#}");
}

/// Holds answers against the contract and remembers what was seen.
struct Inspector {
    contract: Contract,
    validators: BTreeMap<String, Validator>,
    /// Path, method, status and media type.
    seen: BTreeSet<(String, String, String, String)>,
}

impl Inspector {
    fn inspect(&mut self, path: &str, method: &str, answer: &Answer, case: &str) {
        let status = answer.status.as_u16();
        let Some((name, response)) = self.contract.response(path, method, status) else {
            panic!("{case}: {status} is not documented")
        };
        let media_type = answer.header("content-type");
        let seen = [path, method, &status.to_string(), media_type].map(str::to_owned);
        self.seen.insert(seen.into());

        let documented = response["headers"].as_object().cloned().unwrap_or_default();
        for (header, description) in &documented {
            let description = self.contract.follow(description);
            let Some(value) = answer.headers.get(header) else {
                assert_ne!(description["required"], true, "{case}: no {header}");
                continue;
            };
            let validator = self
                .validators
                .entry(description["schema"].to_string())
                .or_insert_with(|| self.contract.validator(&description["schema"]));
            check(validator, &value.to_str().unwrap().into(), &format!("{case}: {header}"));
        }
        for header in answer.headers.keys().map(|name| name.as_str()) {
            let known = documented.keys().any(|name| name.eq_ignore_ascii_case(header));
            assert!(known || UNDOCUMENTED.contains(&header), "{case}: {header} is not documented");
        }

        let Some(content) = response.get("content") else {
            assert_eq!(media_type, "", "{case}: a media type is not documented");
            assert!(answer.body.is_empty(), "{case}: a body is not documented");
            return;
        };
        let Some(described) = content.get(media_type) else {
            panic!("{case}: the media type {media_type} is not documented")
        };
        if method == "HEAD" {
            assert!(answer.body.is_empty(), "{case}");
            return;
        }
        let value = if answer.header("content-encoding") == "gzip" || media_type == "image/png" {
            return;
        } else if media_type.ends_with("json") {
            answer.json()
        } else {
            answer.text().into()
        };
        let validator = self
            .validators
            .entry(format!("{name} {media_type}"))
            .or_insert_with(|| self.contract.validator(&described["schema"]));
        check(validator, &value, case);
    }
}

fn stand() -> Vec<Resource> {
    vec![
        offer("demo/chat").host("chat.example").service("MCP", "http://chat.demo.svc:8080"),
        offer("demo/draining")
            .draining("2026-05-24T11:30:00Z", "1h")
            .service("MCP", "https://mcp.example/mcp"),
        offer("demo/drained").draining("2026-05-24T10:00:00Z", "1h").host("drained.example"),
        offer("demo/disabled").disabled(),
        offer("demo/late").path("/services/chat").created("2026-02-01T00:00:00Z"),
        offer("demo/rich")
            .service("A2A", "https://rich.example/.well-known/agent-card.json")
            .set("/spec/registration/skills", vec!["tool_interaction/workflow_automation"])
            .set("/spec/registration/supportedTrust", vec!["reputation"])
            .set("/spec/registration/metadata/plan", "free")
            .set("/spec/provenance/source", "https://code.example")
            .created("2025-01-01T00:00:00Z"),
    ]
}

/// Every state that the service can be in, by name.
async fn situations() -> Vec<(&'static str, Site)> {
    let huge = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let complete = || {
        let site = Site::empty(NOON).anchored("base", huge);
        site.publish(&stand());
        site.admin.reader.health.responded();
        site.admin.reader.health.complete_at(tokio::time::Instant::now());
        site
    };
    let anchoring = complete().with_reason(AnchorReason::WaitingForFinality);
    let incomplete = Site::empty(NOON);
    incomplete.lacks("serviceoffers.obol.org");
    let troubled = complete();
    troubled.observed.send_modify(|observed| {
        let problem = crate::source::SourceProblem::new(
            crate::source::SourceProblemCode::BrokenFile,
            "a.yaml",
            "line 3: what is this",
        );
        observed.problems.push(problem);
    });
    let silent = complete();
    let stopping = complete();
    stopping.admin.stopping.store(true, Ordering::Relaxed);
    let bare = Site::of(NOON, []);
    let run_out = Site::of(NOON, &[offer("demo/chat").draining(NOON, "1m")]);
    tokio::time::advance(Duration::from_secs(121)).await;
    let clock = run_out.admin.reader.clock;
    let fresh = [
        ("complete", complete()),
        ("anchoring", anchoring),
        ("troubled", troubled),
        ("stopping", stopping),
        ("silent for two minutes", silent),
        ("bare", bare),
    ];
    let mut all = vec![("incomplete and stuck", incomplete), ("run out and stuck", run_out)];
    for (name, mut site) in fresh {
        site.admin.reader.clock = clock;
        site.admin.reader.metrics.heartbeat();
        // Made before the clock moved, or a moment ago: made again, so that it holds.
        let resources = if name == "bare" { Vec::new() } else { stand() };
        site.publish(&resources);
        all.push((name, site));
    }
    all
}

/// What a template is asked as.
fn uris(template: &str) -> Vec<String> {
    let fill = |key: &str, values: &[&str]| -> Vec<String> {
        if !template.contains(key) {
            return vec![template.to_owned()];
        }
        values
            .iter()
            .map(|value| template.replace("{namespace}", "demo").replace(key, value))
            .collect()
    };
    let mut uris = match template {
        path if path.contains("{name}") => {
            fill("{name}", &["chat", "draining", "drained", "disabled", "late", "rich", "nothing"])
        }
        path if path.starts_with("/docs/") => {
            fill("{file}", &["page.css", "page.js", "docs.css", "docs.js"])
        }
        _ => fill("{file}", &SCHEMAS.map(|(file, _)| file)),
    };
    if template.contains("{file}") {
        uris.push(template.replace("{file}", "nothing.json"));
    }
    let queries = ["?limit=0", "?limit=2", "?cursor=zz", "?verbose"];
    uris.extend(queries.map(|query| format!("{}{query}", uris[0])));
    uris
}

#[tokio::test(start_paused = true)]
async fn whatever_is_answered_is_documented_and_whatever_is_documented_is_answered() {
    let contract = Contract::read();
    let mut inspector = Inspector { contract, validators: BTreeMap::new(), seen: BTreeSet::new() };
    let fields: [&[(&str, &str)]; 8] = [
        &[],
        &[("accept", "text/html,*/*;q=0.8")],
        &[("accept-encoding", "gzip")],
        &[("if-none-match", "*"), ("origin", "https://page.example")],
        &[("host", "chat.example")],
        &[("host", "drained.example")],
        &[("if-match", "\"0f3c1f3a4cd0e7d2c94b5e6a7f8091a2\"")],
        INVALID_HOST,
    ];
    for (situation, site) in situations().await {
        // Requests that wait for a catalog let time pass.
        if !situation.contains("stuck") {
            site.admin.reader.metrics.heartbeat();
        }
        let (public, admin) = (site.public(), site.admin());
        let public = http::paths().into_iter().map(|path| (public.clone(), path));
        let admin = admin::paths().into_iter().map(|path| (admin.clone(), path));
        let all: Vec<(Front, &str)> = public.chain(admin).collect();
        for (router, path) in all {
            for uri in uris(path) {
                let is_public = http::paths().contains(&path);
                let fields = if is_public { &fields[..] } else { &ADMIN_FIELDS };
                for fields in fields.iter().copied() {
                    for method in ["GET", "HEAD", "OPTIONS", "POST"] {
                        if fields == INVALID_HOST && method == "POST" {
                            // 400 like every request without a host; the prose says so.
                            continue;
                        }
                        let case = format!("{situation}: {method} {uri} {fields:?}");
                        let answer = ask(router.clone(), request(method, &uri, fields)).await;
                        inspector.inspect(path, method, &answer, &case);
                    }
                }
            }
        }
    }
    let contract = &inspector.contract;
    let mut documented = BTreeSet::new();
    for (path, item) in contract.paths() {
        let refused = serde_json::json!({ "405": item["x-any-other-method"] });
        for method in ["get", "head", "options", "post"] {
            let own = &item[method]["responses"];
            let responses = if own.is_null() { &refused } else { own };
            for (status, response) in responses.as_object().unwrap() {
                let content = contract.follow(response)["content"].as_object();
                let media_types = content
                    .map_or(vec![""], |content| content.keys().map(String::as_str).collect());
                documented.extend(media_types.iter().map(|media_type| {
                    let method = method.to_uppercase();
                    [path, &method, status, media_type].map(str::to_owned).into()
                }));
            }
        }
    }
    assert_eq!(documented, inspector.seen);
}

#[test]
fn the_routers_and_the_contract_list_the_same_paths() {
    let contract = Contract::read();
    let (admin_paths, public_paths): (BTreeSet<_>, BTreeSet<_>) = {
        let (admin, public): (Vec<_>, Vec<_>) =
            contract.paths().partition(|(_, item)| item.get("servers").is_some());
        let names =
            |paths: Vec<(&str, _)>| paths.into_iter().map(|(path, _)| path.to_owned()).collect();
        (names(admin), names(public))
    };
    let owned = |paths: Vec<&str>| paths.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(public_paths, owned(http::paths()));
    assert_eq!(admin_paths, owned(admin::paths()));
    for (path, item) in contract.paths() {
        let keys: BTreeSet<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
        let own: &[&str] = match path {
            "/debug/release-brake" => &["post"],
            _ if item.get("servers").is_some() => &["get", "head"],
            _ => &["get", "head", "options"],
        };
        let expected = own.iter().chain(&["x-any-other-method"]).copied().collect();
        let known = ["servers", "parameters"];
        let methods: BTreeSet<_> = keys.into_iter().filter(|key| !known.contains(key)).collect();
        assert_eq!(methods, expected, "{path}");
    }
}

#[test]
fn the_contract_is_of_this_version() {
    let contract = Contract::read();
    assert_eq!(contract.0["openapi"], "3.1.0");
    assert_eq!(contract.0["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test(start_paused = true)]
async fn what_is_served_is_what_is_in_the_repository() {
    let site = Site::empty(NOON);
    assert_eq!(site.get("/openapi.yaml").await.text(), OPENAPI_YAML);
    assert_eq!(site.get("/openapi.json").await.json(), Contract::read().0);
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/schema")).unwrap();
    let mut files: Vec<_> =
        folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let mut served = SCHEMAS.map(|(file, _)| file);
    served.sort_unstable();
    assert_eq!(files, served);
    for (file, text) in SCHEMAS {
        let answer = site.get(&format!("/schema/{file}")).await;
        assert_eq!(answer.text(), text, "{file}");
        assert_eq!(answer.header("content-type"), "application/schema+json", "{file}");
    }
}

/// Calls `visit` with every object of a JSON text, and where it is.
pub(crate) fn walk(node: &Value, at: &str, visit: &mut impl FnMut(&Value, &str)) {
    match node {
        Value::Object(members) => {
            visit(node, at);
            members.iter().for_each(|(key, member)| walk(member, &format!("{at}/{key}"), visit));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(key, item)| walk(item, &format!("{at}/{key}"), visit));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_referred_to() {
    let contract = Contract::read();
    let mut targets = BTreeSet::new();
    walk(&contract.0, "", &mut |node, _| {
        targets.extend(node["$ref"].as_str().map(str::to_owned));
    });
    for target in &targets {
        match target.strip_prefix('#') {
            Some(pointer) => assert!(contract.0.pointer(pointer).is_some(), "{target}"),
            None => drop(schema_file(target.strip_prefix("schema/").unwrap())),
        }
    }
    for (kind, components) in contract.0["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys() {
            let target = format!("#/components/{kind}/{name}");
            assert!(targets.contains(&target), "{target} is referred to by nothing");
        }
    }
}

#[test]
fn every_example_is_one() {
    let contract = Contract::read();
    let mut count = 0;
    walk(&contract.0, "", &mut |node, at| {
        let schema = if at.contains("/schemas/") { Some(node) } else { node.get("schema") };
        let Some(schema) = schema else { return };
        let named = node["examples"].as_object().into_iter().flatten().map(|(_, it)| &it["value"]);
        let listed = node["examples"].as_array().into_iter().flatten();
        for example in named.chain(listed).chain(node.get("example")) {
            check(&contract.validator(schema), example, at);
            count += 1;
        }
    });
    assert!(count > 30, "only {count} examples were found");
}
