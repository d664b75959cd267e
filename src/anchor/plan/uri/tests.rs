//! What is done about an agentURI.

use serde_json::json;

use super::{Retirement, UriForm, UriNeed, needed_uri};
use crate::{
    anchor::{
        plan::{Call, DesiredAgent},
        testing::{desired, id, key, registry},
    },
    registration::{AgentName, ChainDocument, DATA_URI_PREFIX, retired_uri},
    testing::for_each_row,
};

const URI: &str = "https://seller.example/.well-known/agent-registration.json";

fn document(name: &str) -> ChainDocument {
    let document = json!({
        "name": name, "description": "", "image": "", "services": [], "x402Support": true,
        "active": true,
    });
    ChainDocument::read(document.to_string().as_bytes(), URI).unwrap()
}

#[test]
fn a_uri_is_set_when_it_is_not_the_wanted_one_and_a_data_uri_only_when_that_has_settled() {
    let (registry, seven) = (registry(1), id(7));
    let uri = |name: &str| document(name).uri(&registry, seven);
    let retired = || retired_uri(Some(&document("a")), URI, &registry, seven);
    let other = || "https://old.example/a".to_owned();
    let (set, data, kept) = ("set", "data", "kept");
    let last = "last";
    let (https, settled, unsettled) =
        (UriForm::Https, UriForm::Data { is_settled: true }, UriForm::Data { is_settled: false });
    let revived = Some(Retirement::Revived);
    let told = Some(Retirement::Retired);
    let known = || Some(document("a"));
    let cases = [
        ("the url", https, None, None, URI.to_owned(), kept),
        ("another url", https, None, None, other(), set),
        ("no data: URI is wanted any more", https, None, None, uri("a"), set),
        ("the first data: URI does not wait", unsettled, known(), None, URI.to_owned(), data),
        ("nor after a change of the url", unsettled, known(), None, other(), data),
        ("the wanted one", unsettled, known(), None, uri("a"), kept),
        ("another one, not settled", unsettled, known(), None, uri("b"), kept),
        ("another one, settled", settled, known(), None, uri("b"), data),
        ("an unknown document", unsettled, None, None, uri("b"), kept),
        ("an unknown document, and a url", unsettled, None, None, URI.to_owned(), kept),
        ("an unknown document, and another url", unsettled, None, None, other(), set),
        ("to be retired", https, known(), told, URI.to_owned(), last),
        ("to be retired, as data", settled, known(), told, uri("a"), last),
        ("retired", https, known(), told, retired(), "retired"),
        ("retired, and the journal is lost", https, None, None, retired(), "retired"),
        ("the same, as data", settled, known(), None, retired(), "retired"),
        ("revived", https, None, revived, retired(), set),
        ("revived as data", unsettled, known(), revived, retired(), data),
        ("revived, with an unknown document", unsettled, None, revived, retired(), set),
        ("revived long ago", https, None, revived, URI.to_owned(), kept),
    ];
    for_each_row(cases, |(case, form, document, retirement, now, expected)| {
        let agent = desired(AgentName::Default, key(1), URI);
        let agent = DesiredAgent { form, document, retirement, ..agent };
        let need = match needed_uri(&registry, &agent, seven, &now) {
            UriNeed::Kept => kept,
            UriNeed::Retired => "retired",
            UriNeed::Set(Call::SetUri { uri, .. }) if uri == retired() => last,
            UriNeed::Set(Call::SetUri { uri, .. }) if uri == URI => set,
            UriNeed::Set(Call::SetDataUri { uri: wanted, .. }) if wanted == uri("a") => data,
            UriNeed::Set(call) => panic!("{case}: {call}"),
        };
        assert_eq!(need, expected, "{case}");
    });
}

#[test]
fn people_are_spared_what_a_data_uri_says() {
    let uri = document("a").uri(&registry(1), id(7));
    let bytes = uri.len() - DATA_URI_PREFIX.len();
    let call = Call::SetDataUri { id: id(7), uri };
    let expected = format!("setAgentURI(7, \"{DATA_URI_PREFIX}…\" ({bytes} bytes))");
    assert_eq!(call.to_string(), expected);
}
