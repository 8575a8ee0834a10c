//! Heroku's error codes.

/// The description of a router or dyno error code.
pub fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "H10" => "App crashed: no web dyno is up and the last one crashed.",
        "H11" => "Backlog too deep: more requests are queued than the dynos can handle.",
        "H12" => "Request timeout: no first byte within 30 s. The dyno keeps working on the request.",
        "H13" => "Connection closed without response.",
        "H14" => "No web dynos running.",
        "H15" => "Idle connection: the dyno sent nothing for 55 s.",
        "H17" => "Poorly formatted HTTP response: the dyno's response could not be parsed.",
        "H18" => "Server request interrupted: the dyno closed the connection in the middle of the response.",
        "H19" => "Backend connection timeout: the dyno did not accept a connection within 5 s.",
        "H20" => "App boot timeout: no dyno was up within 75 s.",
        "H21" => "Backend connection refused.",
        "H25" => "HTTP restriction: a header or the status line of the response is too long.",
        "H26" => "Request error: a header or chunk of the request could not be parsed.",
        "H27" => "Client request interrupted: the client closed the connection.",
        "H28" => "Client connection idle: the client sent nothing for 55 s.",
        "H34" => "All dynos quarantined: they did not accept connections; retried within 5 s.",
        "H80" => "Maintenance mode.",
        "H81" => "Blank app: nothing has been deployed yet.",
        "H99" => "Platform error.",
        "R14" => "Memory quota exceeded: the dyno is swapping and slow.",
        "R15" => "Memory quota vastly exceeded: the dyno was killed.",
        _ => return None,
    })
}

/// A short description; `None` for an unknown code.
pub fn title(code: &str) -> &'static str {
    meaning(code).and_then(|text| text.split([':', '.']).next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn titles_are_prefixes_of_meanings() {
        assert_eq!(title("H12"), "Request timeout");
        assert_eq!(title("H14"), "No web dynos running");
        assert_eq!(title("X1"), "");
    }
}
