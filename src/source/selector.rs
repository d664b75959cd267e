//! Label selectors in the notation of `kubectl -l`, so that files and clusters select the same
//! offers.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Expression, Selector, SelectorExt};

/// Reads a label selector: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
pub(crate) fn parse_selector(text: &str) -> Result<Selector, String> {
    split_requirements(text).into_iter().map(requirement).collect()
}

pub(super) fn selects(selector: &Selector, labels: &BTreeMap<String, String>) -> bool {
    selector.matches(labels)
}

/// Splits at the commas outside parentheses.
fn split_requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let mut requirements = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        (c == ',' && depth == 0).then_some(at)
    }) {
        requirements.push(&rest[..at]);
        rest = &rest[at + 1..];
    }
    requirements.push(rest);
    requirements
}

fn requirement(text: &str) -> Result<Expression, String> {
    let text = text.trim();
    if let Some((head, set)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let values = set
            .split(',')
            .map(|value| checked_value(value.trim()))
            .collect::<Result<BTreeSet<_>, _>>()?;
        return match head.split_whitespace().collect::<Vec<_>>()[..] {
            [key, "in"] => Ok(Expression::In(checked_key(key)?, values)),
            [key, "notin"] => Ok(Expression::NotIn(checked_key(key)?, values)),
            _ => Err(format!("{text:?} is neither `KEY in (…)` nor `KEY notin (…)`")),
        };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Expression::NotEqual(checked_key(key.trim())?, checked_value(value.trim())?));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Expression::Equal(checked_key(key.trim())?, checked_value(value.trim())?));
    }
    match text.strip_prefix('!') {
        Some(key) => Ok(Expression::DoesNotExist(checked_key(key.trim())?)),
        None => Ok(Expression::Exists(checked_key(text)?)),
    }
}

/// A label key is an optional DNS name and `/`, then up to 63 letters, digits, `-`, `_` and `.`.
fn checked_key(key: &str) -> Result<String, String> {
    let (prefix, name) =
        key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let fits =
        !name.is_empty() && is_label_text(name) && prefix.is_none_or(crate::offer::is_dns_name);
    fits.then(|| key.to_owned()).ok_or_else(|| format!("{key:?} is not a label key"))
}

fn checked_value(value: &str) -> Result<String, String> {
    is_label_text(value)
        .then(|| value.to_owned())
        .ok_or_else(|| format!("{value:?} is not a label value"))
}

fn is_label_text(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: char| c.is_ascii_alphanumeric();
    let framed = text.is_empty() || (text.starts_with(outer) && text.ends_with(outer));
    text.len() <= 63 && text.chars().all(inner) && framed
}

#[cfg(test)]
mod tests;
