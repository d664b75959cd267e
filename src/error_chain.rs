//! Errors as text for people.

use std::error::Error;

/// Formats an error and its causes as `error: cause: cause`.
///
/// Many libraries repeat the cause in their own message; a cause that the text already contains is
/// left out.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_printed_once() {
        let error = anyhow::anyhow!("connection refused");
        let error = error.context("request failed: connection refused").context("watch failed");
        assert_eq!(with_causes(error.as_ref()), "watch failed: request failed: connection refused");
    }
}
