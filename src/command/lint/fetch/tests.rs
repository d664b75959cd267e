use super::*;

async fn resolved(name: &str) -> Result<usize, String> {
    let addresses = PublicOnly.resolve(name.parse().unwrap()).await;
    addresses.map(Iterator::count).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_name_of_a_private_address_is_not_followed() {
    let error = resolved("localhost").await.unwrap_err();
    assert!(error.contains("localhost is a private address"), "{error}");
}

#[test]
fn messages_show_no_password_and_no_query() {
    let url = "https://user:secret@agents.example/a.json?key=secret".parse().unwrap();
    assert_eq!(without_secrets(&url), "https://agents.example/a.json");
}
