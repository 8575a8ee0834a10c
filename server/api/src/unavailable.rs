//! Commands of Heroku's command line that Wharf does not have: what to do instead, for the command line and the console.
//!
//! A test of `cli` compares this with the list of Heroku's commands: each is either one of Wharf's or listed here, and
//! what is listed here is not one of Wharf's.

const RUN: &str = "Run the command in a one-off dyno: wharf run COMMAND";
const POSTGRES: &str = "Databases do not exist yet. Run Postgres elsewhere, set its URL with wharf config:set \
                        DATABASE_URL=URL, and use psql, pg_dump and pg_restore with that URL.";
const SHELL: &str = "Open a shell in a running dyno with wharf ps:exec, and pass data through its input and output.";

/// Commands, or topics with everything below them, and a sentence or two for each.
pub const UNAVAILABLE: &[(&str, &str)] = &[
    ("2fa", "Two-factor authentication is part of the password, on the console's account page."),
    (
        "accounts",
        "There is one login for each platform. Switch with wharf login ADDRESS, or with WHARF_URL and WHARF_API_KEY.",
    ),
    (
        "addons",
        "Add-ons do not exist yet. Use a service that runs elsewhere, and set its URL: wharf config:set NAME=URL",
    ),
    ("apps:diff", "Releases can be compared on the app's page Activity in the console."),
    ("apps:errors", "Errors are in the log and the metrics: wharf logs --source heroku, wharf metrics"),
    ("apps:favorites", "There are no favorites. wharf apps lists all apps."),
    ("auth:2fa", "Two-factor authentication is part of the password, on the console's account page."),
    ("authorizations:info", "wharf authorizations lists all tokens with scope and expiry."),
    ("authorizations:rotate", "Create another token with wharf authorizations:create, then revoke the old one."),
    (
        "authorizations:update",
        "Tokens do not change. Create another with wharf authorizations:create, then revoke the old one.",
    ),
    ("autocomplete:create", "wharf completion prints a script for your shell."),
    ("autocomplete:doctor", "wharf completion prints a script for your shell."),
    ("autocomplete:options", "wharf completion prints a script for your shell."),
    ("autocomplete:script", "wharf completion prints a script for your shell."),
    ("buildpacks:info", "There is no registry of buildpacks. Set one by its git URL: wharf buildpacks:set URL"),
    ("buildpacks:search", "There is no registry of buildpacks. Set one by its git URL: wharf buildpacks:set URL"),
    (
        "buildpacks:versions",
        "There is no registry of buildpacks. A git URL can end with #BRANCH or #TAG: wharf buildpacks:set URL",
    ),
    ("certs", "Certificates are not managed yet. Terminate TLS in front of Wharf, and start it with wharfd up --tls."),
    ("ci", "There is no test runner. Run tests in your CI, and deploy from there: wharf deploy"),
    ("clients", "OAuth clients are registered on the console's account page."),
    ("console", RUN),
    ("container", "Container images do not exist yet. Deploy source code with git push or wharf deploy."),
    ("dashboard", "The overview of all apps is the console's first page; wharf apps lists them."),
    ("data", POSTGRES),
    ("domains", "Custom domains do not exist yet. wharf info shows the URL of an app, and wharf open opens it."),
    ("drains:get", "There are no private spaces. wharf drains lists the log drains of an app."),
    ("drains:set", "There are no private spaces. wharf drains:add adds a log drain to an app."),
    ("features:info", "wharf features lists the features of an app with their descriptions."),
    ("git:clone", "Clone with git: git clone PLATFORM/APP.git, and then wharf git:remote --app APP"),
    ("keys", "Pushes use HTTP and a token, so there are no SSH keys. wharf login configures git."),
    ("labs", "There are no labs. wharf features lists features of an app; dyno metadata is always on."),
    ("local", "Apps do not run on your own machine. For a tool that runs a Procfile: wharf config:export > .env"),
    ("mcp", "There is no MCP server. The API is that of Heroku's platform."),
    ("notifications", "There are no notifications. wharf audit lists what has happened."),
    ("orgs:open", "The page of a team is in the console, under Teams. wharf members lists its members."),
    ("pg", POSTGRES),
    (
        "pipelines",
        "Pipelines do not exist yet. Deploy the same commit to each app: wharf deploy --ref COMMIT --app APP",
    ),
    ("ps:autoscale", "There is no autoscaling. Scale with wharf ps:scale web=2."),
    ("ps:copy", SHELL),
    ("ps:forward", SHELL),
    ("ps:socks", SHELL),
    ("ps:wait", "wharf releases:wait waits until the newest release has stayed up; git push and wharf deploy do, too."),
    ("psql", POSTGRES),
    ("rake", RUN),
    ("redis", "Redis does not exist yet. Run it elsewhere, and set its URL: wharf config:set REDIS_URL=URL"),
    ("regions", "There is one region: the machine that Wharf runs on."),
    ("repl", "There is no interactive mode. wharf completion makes your shell complete commands."),
    (
        "reviewapps",
        "Review apps do not exist yet. Create an app for a branch: wharf create NAME, then wharf deploy --ref \
         BRANCH --app NAME",
    ),
    ("sessions", "Sessions are listed, and can be ended, on the console's account page."),
    ("spaces", "There are no private spaces. Apps are isolated from each other, and the machine is yours."),
    ("status", "There is no status page of the platform. wharf doctor checks it."),
    (
        "telemetry",
        "There are no telemetry drains. Send logs with wharf drains:add, and see measurements with wharf metrics.",
    ),
    (
        "trusted-ips",
        "There are no private spaces. Who may connect is decided by the firewall or proxy in front of Wharf.",
    ),
    ("twofactor", "Two-factor authentication is part of the password, on the console's account page."),
    ("usage", "There is nothing to pay for. wharf quotas shows what you use, and how much you may."),
    ("version:info", "wharf version shows the version."),
    (
        "webhooks",
        "Webhooks do not exist yet. wharf audit lists what has happened, and wharf drains:add sends logs to a URL.",
    ),
];

/// What to do instead of a command of Heroku's that Wharf does not have, in a sentence or two. The entry that names most
/// of the command counts.
pub fn instead_of(command: &str) -> Option<&'static str> {
    let names = |topic: &str| command.strip_prefix(topic).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
    let all = UNAVAILABLE.iter().filter(|(topic, _)| names(topic));
    all.max_by_key(|(topic, _)| topic.len()).map(|(_, sentence)| *sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_includes_the_commands_below_it() {
        assert!(instead_of("domains:add").unwrap().starts_with("Custom domains do not exist yet."));
        assert!(instead_of("pg:backups:capture").unwrap().contains("pg_dump"));
        assert_eq!(instead_of("rake:anything"), instead_of("rake"));
        for other in ["run", "rakes", "domain", "apps", "ps:scale", ""] {
            assert_eq!(instead_of(other), None, "{other}");
        }
    }

    #[test]
    fn topics_are_listed_once() {
        for (at, (topic, text)) in UNAVAILABLE.iter().enumerate() {
            assert!(!text.is_empty() && text.starts_with(|c: char| c.is_alphabetic()), "{topic}");
            assert!(UNAVAILABLE[..at].iter().all(|(other, _)| other != topic), "{topic} is listed twice");
        }
    }
}
