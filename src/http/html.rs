//! HTML in which only markup of ours can be markup: that is static text, and all other text is
//! escaped.

use crate::offer::is_unprintable;

/// A page under construction.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, also as the value of an attribute in double quotes. Characters that a browser
    /// would not show, or that turn the text around, are replaced.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                c if is_unprintable(c) => self.0.push(char::REPLACEMENT_CHARACTER),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Adds the beginning of a text, with `…` if that is not all of it.
    pub(super) fn shortened(&mut self, text: &str, chars: usize) -> &mut Self {
        match text.char_indices().nth(chars) {
            Some((end, _)) => self.text(&text[..end]).raw("…"),
            None => self.text(text),
        }
    }

    /// Adds a link; only its text if the URL is neither relative nor http.
    pub(super) fn link(&mut self, url: &str, text: &str) -> &mut Self {
        let is_relative = url.starts_with('?') || url.starts_with('#') || url.starts_with('/');
        if !is_relative && !url.starts_with("https://") && !url.starts_with("http://") {
            return self.text(text);
        }
        self.raw("<a href=\"").text(url).raw("\">").text(text).raw("</a>")
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(make: impl FnOnce(&mut Html)) -> String {
        let mut html = Html::default();
        make(&mut html);
        String::from_utf8(html.into_bytes()).unwrap()
    }

    #[test]
    fn text_is_never_markup() {
        let hostile = "<script>alert('1')</script>\" onload=\"x&\u{202e}\u{0}\u{7f}";
        let text = made(|html| {
            html.text(hostile);
        });
        assert_eq!(
            text,
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=&quot;x&amp;\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(
            made(|html| {
                html.shortened("é<b>", 2);
            }),
            "é&lt;…"
        );
        assert_eq!(
            made(|html| {
                html.shortened("é<", 2);
            }),
            "é&lt;"
        );
    }

    #[test]
    fn a_link_leads_only_where_a_page_is() {
        let rows = [
            ("https://a.example/\"x", "<a href=\"https://a.example/&quot;x\">t</a>"),
            ("?cursor=1", "<a href=\"?cursor=1\">t</a>"),
            ("javascript:alert(1)", "t"),
            (" javascript:alert(1)", "t"),
            ("data:text/html,x", "t"),
        ];
        for (url, expected) in rows {
            assert_eq!(
                made(|html| {
                    html.link(url, "t");
                }),
                expected,
                "{url}"
            );
        }
    }
}
