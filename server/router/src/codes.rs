//! Heroku's router errors: code, text, status and level.

use http::StatusCode;

/// Why a request did not get an app's complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    H10,
    H11,
    H12,
    H13,
    H14,
    H15,
    H17,
    H18,
    H19,
    H20,
    H21,
    H25,
    H26,
    H27,
    H28,
    H34,
    H80,
    H81,
    H99,
}

/// The side whose socket failed, where the line contains it.
pub(crate) type Sock = Option<&'static str>;

impl Code {
    pub(crate) const ALL: [Code; 19] = [
        Code::H10,
        Code::H11,
        Code::H12,
        Code::H13,
        Code::H14,
        Code::H15,
        Code::H17,
        Code::H18,
        Code::H19,
        Code::H20,
        Code::H21,
        Code::H25,
        Code::H26,
        Code::H27,
        Code::H28,
        Code::H34,
        Code::H80,
        Code::H81,
        Code::H99,
    ];

    /// `H12`
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Heroku's text, which log tools match.
    pub fn text(self) -> &'static str {
        self.row().1
    }

    /// The status in the log, and for the client, unless the response had begun.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().2).expect("the table holds valid statuses")
    }

    /// The `at=` of its line.
    pub(crate) fn level(self) -> &'static str {
        match self {
            Code::H27 | Code::H80 | Code::H81 => "info",
            Code::H28 => "warning",
            _ => "error",
        }
    }

    pub(crate) fn sock(self) -> Sock {
        match self {
            Code::H18 => Some("backend"),
            Code::H27 | Code::H28 => Some("client"),
            _ => None,
        }
    }

    fn row(self) -> (&'static str, &'static str, u16) {
        match self {
            Code::H10 => ("H10", "App crashed", 503),
            Code::H11 => ("H11", "Backlog too deep", 503),
            Code::H12 => ("H12", "Request timeout", 503),
            Code::H13 => ("H13", "Connection closed without response", 503),
            Code::H14 => ("H14", "No web dynos running", 503),
            Code::H15 => ("H15", "Idle connection", 503),
            Code::H17 => ("H17", "Poorly formatted HTTP response", 503),
            Code::H18 => ("H18", "Server Request Interrupted", 503),
            Code::H19 => ("H19", "Backend connection timeout", 503),
            Code::H20 => ("H20", "App boot timeout", 503),
            Code::H21 => ("H21", "Backend connection refused", 503),
            Code::H25 => ("H25", "HTTP Restriction", 502),
            Code::H26 => ("H26", "Request Error", 400),
            Code::H27 => ("H27", "Client Request Interrupted", 499),
            Code::H28 => ("H28", "Client Connection Idle", 499),
            Code::H34 => ("H34", "All up dynos quarantined", 503),
            Code::H80 => ("H80", "Maintenance mode", 503),
            Code::H81 => ("H81", "Blank app", 503),
            Code::H99 => ("H99", "Platform error", 503),
        }
    }
}
