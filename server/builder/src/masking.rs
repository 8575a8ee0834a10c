//! Masks the secret parts of URLs: user, password and query.
//!
//! Lists, build output, the audit log and errors show URLs through this file. Requests use the unmasked URL.

const MASK: &str = "***";

/// The parts of a URL: scheme, user and password, host and path, query, fragment, including their delimiters.
struct Parts<'a> {
    scheme: &'a str,
    credentials: Option<&'a str>,
    place: &'a str,
    query: Option<&'a str>,
    fragment: &'a str,
}

fn parts(address: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = address.split_at(address.find("://")? + 3);
    let (rest, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    // The last @ before the path ends the credentials, which may themselves contain an @.
    let authority = rest.find(['/', '\\', '?']).unwrap_or(rest.len());
    let (credentials, rest) = match rest[..authority].rfind('@') {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    };
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    Some(Parts { scheme, credentials, place, query, fragment })
}

/// A URL for display: `https://***@example.com/a?***#main`. Anything else is unchanged.
pub fn masked(address: &str) -> String {
    let Some(Parts { scheme, credentials, place, query, fragment }) = parts(address) else {
        return address.to_owned();
    };
    let at = if credentials.is_some() { "***@" } else { "" };
    let asks = if query.is_some_and(|query| !query.is_empty()) { "?***" } else { "" };
    format!("{scheme}{at}{place}{asks}{fragment}")
}

/// `text` without the secrets in `addresses`, since programs may print the URLs that they use.
pub fn without_secrets<'a>(text: &str, addresses: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = text.to_owned();
    for found in addresses.into_iter().filter_map(parts) {
        let password = found.credentials.and_then(|both| both.split_once(':')).map(|(_, password)| password);
        // Short secrets would match parts of other words.
        for secret in [found.credentials, password, found.query].into_iter().flatten().filter(|s| s.len() >= 4) {
            text = text.replace(secret, MASK);
        }
        // A signature or a token may be printed on its own; shorter values could match anything.
        let fields = found.query.into_iter().flat_map(|query| query.split('&'));
        for (_, value) in fields.filter_map(|field| field.split_once('=')).filter(|(_, value)| value.len() >= 16) {
            text = text.replace(value, MASK);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (address, shown) in [
            ("https://me:secret@example.com/a", "https://***@example.com/a"),
            ("https://token@example.com/a#main", "https://***@example.com/a#main"),
            ("https://a@b:c@example.com", "https://***@example.com"),
            ("https://example.com/a@b", "https://example.com/a@b"),
            ("https://example.com/a.tgz?key=hush#x", "https://example.com/a.tgz?***#x"),
            ("https://example.com?user@host", "https://example.com?***"),
            ("https://s3.example.com/a.tgz?X-Amz-Signature=hush&sig=hush", "https://s3.example.com/a.tgz?***"),
            ("heroku/nodejs", "heroku/nodejs"),
            ("urn:buildpack:heroku/nodejs", "urn:buildpack:heroku/nodejs"),
            ("file:///srv/packs/a", "file:///srv/packs/a"),
        ] {
            assert_eq!(masked(address), shown);
            assert_eq!(masked(shown), shown);
        }
    }

    #[test]
    fn what_programs_print_of_an_address_has_no_secrets() {
        let addresses = ["https://me:hush-hush@example.com/a?key=1234", "https://x@example.com/"];
        let message =
            "fatal: Authentication failed for 'https://me:hush-hush@example.com/a' with hush-hush and key=1234";
        let shown = "fatal: Authentication failed for 'https://***@example.com/a' with *** and ***";
        assert_eq!(without_secrets(message, addresses), shown);
        let signed = ["https://files.example.com/a.tgz?X-Amz-Expires=900&X-Amz-Signature=0123456789abcdef"];
        assert_eq!(without_secrets("900 of 0123456789abcdef", signed), "900 of ***");
    }
}
