//! URLs that people enter.

use outbound::Url;

/// Parses one. The parser would drop line breaks and tabs, so that what is stored and shown would not be what is used:
/// with spaces or control characters, it is not a URL.
pub(crate) fn parse(text: &str) -> Option<Url> {
    let is_clean = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    is_clean.then(|| Url::parse(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_used_as_it_is_shown() {
        assert_eq!(parse("https://x.test/a").unwrap().as_str(), "https://x.test/a");
        for odd in
            ["https://x.test/a\r\nb", "https://x.test/a\tb", "https://x.test/a\u{85}", "https://x.test/\u{2028}", ""]
        {
            assert!(parse(odd).is_none(), "{odd:?}");
        }
    }
}
