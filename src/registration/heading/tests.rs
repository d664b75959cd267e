//! What is read from the beginning of a document is what was written there.

use super::*;
use crate::testing::{NOON, offer, projected, rules};

#[test]
fn name_and_description_are_those_of_the_document() {
    let hostile = "a \"quoted\" <b>name</b>\u{2028}";
    let world = [offer("demo/chat")
        .set("/spec/registration/name", hostile)
        .set("/spec/registration/description", "line\nline")];
    for resources in [&world[..], &[]] {
        let document = projected(resources, &rules(), NOON).default;
        let expected = (document.profile.name.clone(), document.profile.description.clone());
        assert_eq!(heading(&Page::new(&document.render())), Some(expected));
    }
    assert_eq!(heading(&Page::new(b"{}")), None);
}
