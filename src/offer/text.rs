//! Text that documents print: which characters it may contain, and how its fields are read.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fields, WrongTypeError};

/// Fields whose text documents print. Text that must not be published counts as not set, with a
/// warning.
pub(crate) struct PublishedFields<'a, 'w> {
    fields: Fields<'a>,
    warnings: &'w mut Vec<String>,
}

impl<'a, 'w> PublishedFields<'a, 'w> {
    pub(crate) fn of(fields: Fields<'a>, warnings: &'w mut Vec<String>) -> Self {
        Self { fields, warnings }
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<Option<&'a str>, WrongTypeError> {
        let text = self.fields.text(key)?;
        Ok(text.filter(|text| self.is_publishable(key, text)))
    }

    /// A list of strings; empty if absent. Blank strings are dropped, and a repeated one is kept
    /// once.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<String>, WrongTypeError> {
        let mut seen = BTreeSet::new();
        let mut texts = self.fields.texts(key)?;
        texts.retain(|text| {
            !text.trim().is_empty() && self.is_publishable(key, text) && seen.insert(text.clone())
        });
        Ok(texts)
    }

    /// A map of strings, with keys and values trimmed and blank ones dropped; empty if absent. If
    /// keys are equal after trimming, the first one by the bytes of the raw key wins.
    pub(crate) fn text_map(
        &mut self,
        key: &str,
    ) -> Result<BTreeMap<String, String>, WrongTypeError> {
        let mut cleaned = BTreeMap::new();
        for (name, value) in self.fields.text_map(key)? {
            let (name, value) = (name.trim(), value.trim());
            if !name.is_empty()
                && !value.is_empty()
                && self.is_publishable(key, name)
                && self.is_publishable(key, value)
            {
                cleaned.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
        Ok(cleaned)
    }

    fn is_publishable(&mut self, key: &str, text: &str) -> bool {
        let is_publishable = !text.chars().any(|c| is_unprintable(c) && !matches!(c, '\t' | '\n'));
        if !is_publishable {
            self.warnings.push(format!(
                "A value of {} contains a control or bidirectional formatting character, so it is \
                 not used.",
                self.fields.path_of(key)
            ));
        }
        is_publishable
    }
}

/// Whether `c` is a control character (Unicode Cc) or changes the direction of displayed text.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
