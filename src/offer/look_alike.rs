//! Names that look like other names: written in letters that cannot be told from ASCII ones.

use unicode_security::skeleton;

/// A warning about a text of which a word looks like an ASCII word. Readers of documents compare
/// names by their bytes; people do not.
pub(super) fn warn(field: &str, text: &str) -> Option<String> {
    let (word, look) = words(text).find_map(|word| Some((word, ascii_look(word)?)))?;
    Some(format!("LookAlike: {word:?} in {field} looks like {look:?}, but has other letters."))
}

/// The same for a hostname, whose letters outside of ASCII are encoded in labels that begin with
/// `xn--`.
pub(super) fn warn_host(field: &str, host: &str) -> Option<String> {
    let (unicode, _) = idna::domain_to_unicode(host);
    warn(field, &unicode)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    // A mark that stands on a letter belongs to its word.
    text.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation())
}

/// The ASCII word that a word with other letters looks like.
fn ascii_look(word: &str) -> Option<String> {
    let has_others = word.chars().any(|c| !c.is_ascii() && c.is_alphanumeric());
    let look: String = has_others.then(|| skeleton(word).collect())?;
    look.is_ascii().then_some(look)
}

#[cfg(test)]
mod tests;
