//! A small renderer of OpenAPI: what our contract uses of it.

use serde_json::Value;

use crate::http::{contract::SCHEMAS, home::begin, html::Html};

/// What can be read with a request; HEAD and OPTIONS follow from GET.
const METHODS: [(&str, &str); 2] = [("get", "GET"), ("post", "POST")];

/// The page.
pub(super) fn render(contract: &Value) -> Vec<u8> {
    let mut html = Html::default();
    begin(&mut html, "The API of this registrar");
    html.raw(
        "<link rel=\"stylesheet\" href=\"/docs/docs.css\"><script src=\"/docs/docs.js\" defer></script>\
         </head><body><header><div><h1>API</h1><p>",
    );
    html.text(&text(&contract["info"]["summary"])).raw(
        "</p></div><p><a href=\"/openapi.yaml\">openapi.yaml</a> <a href=\"/openapi.json\">openapi.json</a> \
         <a href=\"/\">What is published</a></p></header><main>",
    );
    contents(&mut html, contract);
    html.raw("<section class=\"prose\" aria-labelledby=\"about\"><h2 id=\"about\">About</h2>");
    prose(&mut html, &text(&contract["info"]["description"]));
    html.raw("</section>");
    for tag in list(&contract["tags"]) {
        let name = text(&tag["name"]);
        html.raw("<section><h2 id=\"tag-").text(&name).raw("\">").text(&name).raw("</h2>");
        prose(&mut html, &text(&tag["description"]));
        for operation in operations(contract).filter(|operation| operation.has_tag(&name)) {
            operation.render(&mut html);
        }
        html.raw("</section>");
    }
    html.raw("</main></body></html>");
    html.into_bytes()
}

fn contents(html: &mut Html, contract: &Value) {
    html.raw("<nav aria-label=\"Operations\"><ul class=\"contents\">");
    for Operation { method, path, node, .. } in operations(contract) {
        let id = text(&node["operationId"]);
        html.raw("<li><a href=\"#").text(&id).raw("\"><b>").text(method).raw("</b> ").text(path);
        html.raw("</a></li>");
    }
    html.raw("</ul></nav>");
}

/// One method of one path.
struct Operation<'a> {
    contract: &'a Value,
    path: &'a str,
    method: &'static str,
    /// The path item, and the operation itself.
    item: &'a Value,
    node: &'a Value,
}

fn operations(contract: &Value) -> impl Iterator<Item = Operation<'_>> {
    let paths = contract["paths"].as_object().into_iter().flatten();
    paths.flat_map(move |(path, item)| {
        METHODS.into_iter().filter_map(move |(key, method)| {
            let node = item.get(key)?;
            Some(Operation { contract, path, method, item, node })
        })
    })
}

impl Operation<'_> {
    fn has_tag(&self, name: &str) -> bool {
        list(&self.node["tags"]).any(|tag| tag == name)
    }

    fn parameters(&self) -> Vec<&Value> {
        let own = list(&self.item["parameters"]).chain(list(&self.node["parameters"]));
        own.map(|parameter| follow(self.contract, parameter)).collect()
    }

    /// Whether the public listener answers it.
    fn is_public(&self) -> bool {
        self.item.get("servers").is_none()
    }

    fn render(&self, html: &mut Html) {
        html.raw("<article id=\"").text(&text(&self.node["operationId"])).raw("\"><h3><b>");
        html.text(self.method).raw("</b> <code>").text(self.path).raw("</code></h3><p>");
        inline(html, &text(&self.node["summary"]));
        html.raw("</p>");
        prose(html, &text(&self.node["description"]));
        let parameters = self.parameters();
        if self.is_public() {
            self.form(html, &parameters);
        }
        html.raw("<pre tabindex=\"0\">").text(&self.curl(&parameters)).raw("</pre>");
        if !parameters.is_empty() {
            html.raw("<h4>Parameters</h4><dl class=\"facts\">");
            for parameter in &parameters {
                html.raw("<dt><code>").text(&text(&parameter["name"])).raw("</code> <span>");
                html.text(&text(&parameter["in"])).raw("</span></dt><dd>");
                inline(html, &text(&parameter["description"]));
                html.raw("</dd>");
            }
            html.raw("</dl>");
        }
        self.responses(html);
        html.raw("</article>");
    }

    fn responses(&self, html: &mut Html) {
        html.raw("<h4>Responses</h4><dl class=\"facts\">");
        for (status, response) in self.node["responses"].as_object().into_iter().flatten() {
            let response = follow(self.contract, response);
            html.raw("<dt><code>").text(status).raw("</code></dt><dd>");
            inline(html, &text(&response["description"]));
            for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                html.raw(" <code>").text(media_type).raw("</code>");
                if status == "200"
                    && let Some(example) = example(self.contract, content)
                {
                    html.raw("<details><summary>Example</summary><pre tabindex=\"0\">");
                    html.text(&example).raw("</pre></details>");
                }
            }
            html.raw("</dd>");
        }
        html.raw("</dl>");
    }

    /// A form whose fields are the parameters of path and query.
    fn form(&self, html: &mut Html, parameters: &[&Value]) {
        let id = text(&self.node["operationId"]);
        html.raw("<details class=\"try\"><summary>Try it</summary><form data-path=\"");
        html.text(self.path).raw("\">");
        for parameter in parameters {
            let place = text(&parameter["in"]);
            if !matches!(place.as_str(), "path" | "query") {
                continue;
            }
            let (name, example) = (text(&parameter["name"]), example_of(parameter));
            html.raw("<label for=\"").text(&id).raw("-").text(&name).raw("\">").text(&name);
            html.raw("</label><input id=\"").text(&id).raw("-").text(&name).raw("\" name=\"");
            html.text(&name).raw("\" data-in=\"").text(&place);
            // An optional one is left out unless somebody wants it.
            html.raw("\" placeholder=\"").text(&example);
            html.raw("\" value=\"");
            html.text(if place == "path" { &example } else { "" }).raw("\">");
        }
        html.raw("<button>Send</button></form><output></output></details>");
    }

    /// The request on a command line, with the examples of its parameters.
    fn curl(&self, parameters: &[&Value]) -> String {
        let mut path = self.path.to_owned();
        let mut query = Vec::new();
        for parameter in parameters {
            let (name, example) = (text(&parameter["name"]), example_of(parameter));
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &example),
                Some("query") => query.push(format!("{name}={example}")),
                Some(_) | None => {}
            }
        }
        let origin = match self.is_public() {
            true => "https://agents.example",
            false => "http://127.0.0.1:9004",
        };
        let mut curl = format!("curl -s {origin}{path}");
        if self.method == "POST" {
            curl = curl.replacen("-s", "-s -X POST", 1);
        }
        if !query.is_empty() {
            curl += &format!("\n# optional: ?{}", query.join("&"));
        }
        curl
    }
}

/// The example of a node, else the first of its named ones.
fn given(node: &Value) -> Option<&Value> {
    let named = node["examples"].as_object().into_iter().flatten();
    node.get("example").or(named.map(|(_, example)| &example["value"]).next())
}

/// What fills the field of a parameter.
fn example_of(parameter: &Value) -> String {
    given(parameter).map(text).unwrap_or_default()
}

/// An example of a content, printed for people.
fn example(contract: &Value, content: &Value) -> Option<String> {
    let of_schema =
        || schema(contract, &content["schema"])?["examples"].as_array()?.first().cloned();
    let found = given(content).cloned().or_else(of_schema)?;
    match found.as_str() {
        Some(text) => Some(text.to_owned()),
        None => serde_json::to_string_pretty(&found).ok(),
    }
}

/// A schema, or what it refers to.
fn schema(contract: &Value, node: &Value) -> Option<Value> {
    match node["$ref"].as_str() {
        None => Some(node.clone()),
        Some(target) if target.starts_with('#') => Some(follow(contract, node).clone()),
        Some(target) => {
            let name = target.strip_prefix("schema/")?;
            let (_, text) = SCHEMAS.iter().find(|(file, _)| *file == name)?;
            serde_json::from_str(text).ok()
        }
    }
}

/// What a node is, or what it refers to within the contract.
fn follow<'a>(contract: &'a Value, node: &'a Value) -> &'a Value {
    let target = node["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    target.and_then(|pointer| contract.pointer(pointer)).unwrap_or(node)
}

fn list(node: &Value) -> impl Iterator<Item = &Value> {
    node.as_array().into_iter().flatten()
}

/// A value as text; nothing for one that is absent.
fn text(node: &Value) -> String {
    match node {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => node.to_string(),
    }
}

/// Paragraphs of Markdown.
fn prose(html: &mut Html, markdown: &str) {
    for paragraph in markdown.split("\n\n").map(str::trim).filter(|text| !text.is_empty()) {
        html.raw("<p>");
        inline(html, paragraph);
        html.raw("</p>");
    }
}

/// Text with `code` and **bold** parts.
fn inline(html: &mut Html, markdown: &str) {
    for (number, part) in markdown.split('`').enumerate() {
        if number % 2 == 1 {
            html.raw("<code>").text(part).raw("</code>");
            continue;
        }
        for (number, part) in part.split("**").enumerate() {
            match number % 2 {
                1 => html.raw("<b>").text(part).raw("</b>"),
                _ => html.text(part),
            };
        }
    }
}
