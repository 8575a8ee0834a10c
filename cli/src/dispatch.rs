//! Parses the command line, runs the command and maps the outcome to an exit status.

use std::{ffi::OsString, process::ExitCode};

use anyhow::{Context as _, Result};
use api::unavailable::instead_of;
use clap::error::ErrorKind;

use crate::{
    command_line::{Group, command},
    context::Context,
    help, output,
};

/// Rejected by the platform: Heroku's exit status.
const REJECTED: u8 = 2;

/// Declares the commands: `"name" ["aliases"] => arguments`, in groups.
macro_rules! commands {
    ($($title:literal { $($name:literal [$($alias:literal),*] => $args:ty,)* })*) => {
        /// All commands, in the order of the help.
        pub fn groups() -> Vec<command_line::Group> {
            vec![$(command_line::Group {
                title: $title,
                commands: vec![$({
                    let command = clap::Command::new($name).aliases([$($alias),*] as [&str; _]);
                    <$args as clap::Args>::augment_args(command)
                }),*],
            }),*]
        }

        /// Runs the command called `name`.
        pub async fn run(name: &str, matches: &clap::ArgMatches, cx: &context::Context) -> anyhow::Result<()> {
            match name {
                $($($name => {
                    let command = <$args as clap::FromArgMatches>::from_arg_matches(matches)?;
                    // Boxed, so that this function is not as large as all commands together.
                    Box::pin(command.run(cx)).await
                })*)*
                other => anyhow::bail!("{other} is not a command. See: wharf help"),
            }
        }
    };
}

/// Runs the command line.
pub fn main(args: Vec<OsString>, groups: Vec<Group>) -> ExitCode {
    let words = &args[1.min(args.len())..];
    if words.is_empty() || (words.len() == 1 && (words[0] == "--help" || words[0] == "-h")) {
        help::overview(&groups);
        return ExitCode::SUCCESS;
    }
    let wanted = words.iter().filter_map(|word| word.to_str()).find(|word| !word.starts_with('-')).map(str::to_owned);
    let matches = match command(&groups).try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(err) if err.kind() == ErrorKind::InvalidSubcommand => {
            return unknown(&err, wanted.as_deref().unwrap_or_default());
        }
        Err(err) => return usage(&err),
    };
    let Some((name, arguments)) = matches.subcommand() else {
        return ExitCode::FAILURE;
    };
    let cx = Context::new(arguments.get_flag("json"), groups);
    match start(name, arguments, &cx) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => failure(&err, &cx),
    }
}

fn start(name: &str, arguments: &clap::ArgMatches, cx: &Context) -> Result<()> {
    // One thread is enough for one user, and starts fastest.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    let result = runtime.block_on(crate::run(name, arguments, cx));
    // Do not wait for a pending DNS lookup.
    runtime.shutdown_background();
    result
}

/// Says what to do instead of a command of Heroku's, or suggests a command with a similar name.
fn unknown(err: &clap::Error, wanted: &str) -> ExitCode {
    match instead_of(wanted) {
        Some(instead) => {
            output::fail(format!("Wharf has no {wanted}. {instead}"));
            ExitCode::FAILURE
        }
        None => usage(err),
    }
}

fn usage(err: &clap::Error) -> ExitCode {
    err.print().ok();
    match err.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn failure(err: &anyhow::Error, cx: &Context) -> ExitCode {
    if let Some(wrong) = err.downcast_ref::<clap::Error>() {
        return usage(wrong);
    }
    let Some(refused) = err.downcast_ref::<api::Error>() else {
        output::fail(format!("{err:#}"));
        return ExitCode::FAILURE;
    };
    let (message, advice) = missing(refused, cx.app());
    output::fail(message);
    if let Some(advice) = advice {
        output::fail(advice);
    }
    if refused.status == 0 {
        return ExitCode::FAILURE;
    }
    if refused.is_unauthorized() {
        output::fail("Log in again with: wharf login");
    }
    if !matches!(refused.id.as_str(), "" | "unreadable") {
        output::fail("");
        output::fail(format!("Error ID: {}", refused.id));
    }
    if let Some(url) = &refused.url {
        output::fail(format!("See {url} for more information."));
    }
    if let Some(id) = refused.request_id.as_ref().filter(|_| refused.status >= 500) {
        output::fail(format!("Request: {id}"));
    }
    ExitCode::from(REJECTED)
}

/// The error message, with the name of the missing app or release, and a hint.
fn missing(refused: &api::Error, app: Option<&str>) -> (String, Option<String>) {
    match (refused.resource.as_deref(), app) {
        (Some("app"), Some(app)) if refused.is_not_found() => {
            (format!("{} ({app}).", refused.message.trim_end_matches('.')), Some("See: wharf apps".into()))
        }
        (Some("release"), Some(app)) if refused.is_not_found() => {
            (refused.message.clone(), Some(format!("See: wharf releases --app {app}")))
        }
        _ => (refused.message.clone(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_well_formed() {
        command(&crate::groups()).debug_assert();
    }

    #[test]
    fn every_command_has_a_description_and_unique_names() {
        let commands: Vec<clap::Command> = crate::groups().into_iter().flat_map(|g| g.commands).collect();
        let mut names: Vec<String> = Vec::new();
        for command in &commands {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            names.push(command.get_name().into());
            names.extend(command.get_all_aliases().map(String::from));
        }
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_argument_has_a_description() {
        for command in crate::groups().into_iter().flat_map(|group| group.commands) {
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.trim().is_empty(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn every_command_of_herokus_is_one_of_ours_or_explained() {
        let listed: Vec<&str> = include_str!("../heroku-commands.txt").lines().collect();
        assert!(listed.len() > 300, "{}", listed.len());
        let commands: Vec<clap::Command> = crate::groups().into_iter().flat_map(|group| group.commands).collect();
        let ours: Vec<String> = commands
            .iter()
            .flat_map(|command| command.get_all_aliases().chain([command.get_name()]).map(str::to_owned))
            .collect();
        let is_ours = |name: &str| ours.iter().any(|own| own == name);
        let left: Vec<&&str> = listed.iter().filter(|name| !is_ours(name) && instead_of(name).is_none()).collect();
        assert!(left.is_empty(), "say in api/src/unavailable.rs what to do instead of {left:?}");
        let both: Vec<&String> = ours.iter().filter(|name| instead_of(name).is_some()).collect();
        assert!(both.is_empty(), "remove from api/src/unavailable.rs, or name what is below them: {both:?}");
        let unused = api::unavailable::UNAVAILABLE.iter().filter(|(topic, _)| {
            !listed
                .iter()
                .any(|name| name.strip_prefix(topic).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
        });
        assert_eq!(unused.count(), 0, "remove from api/src/unavailable.rs what Heroku does not have");
    }

    /// The calls of `wharf` in the code of a Markdown file: in scripts, their comments, and sentences.
    fn calls(text: &str) -> Vec<&str> {
        let (mut calls, mut is_script) = (Vec::new(), false);
        for line in text.lines() {
            if line.starts_with("```") {
                is_script = !is_script;
                continue;
            }
            let code: Vec<&str> = if is_script { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
            let parts = code.into_iter().flat_map(|code| code.split(['|', '&', ';', '#', ',']));
            let parts = parts.filter_map(|part| part.rsplit(": ").next()).map(str::trim);
            calls.extend(parts.filter(|part| part.starts_with("wharf ")));
        }
        calls
    }

    #[test]
    fn commands_that_texts_name_exist() {
        let mut named = calls(include_str!("../../README.md"));
        assert!(named.len() > 40, "{named:?}");
        for (_, sentence) in api::unavailable::UNAVAILABLE {
            let found = sentence.match_indices("wharf ").filter_map(|(at, _)| sentence.get(at..));
            named.extend(found.filter_map(|call| call.split([',', ';']).next()));
        }
        let all = command(&crate::groups());
        for call in named {
            let mut words = call.split_whitespace().skip(1).map(|word| word.trim_end_matches(['.', ',']));
            let name = words.next().unwrap_or_default();
            let own = all.find_subcommand(name).unwrap_or_else(|| panic!("{name} is not a command: {call}"));
            for option in words.take_while(|word| *word != "--").filter_map(|word| word.strip_prefix("--")) {
                let is_own = own.get_arguments().any(|argument| argument.get_long() == Some(option));
                assert!(is_own || option == "json", "{name} has no --{option}: {call}");
            }
        }
    }

    #[test]
    fn missing_resources_are_named_with_a_hint() {
        let mut refused = api::Error::new(404, "not_found", "Couldn't find that app.");
        refused.resource = Some("app".into());
        assert_eq!(
            missing(&refused, Some("dusk")),
            ("Couldn't find that app (dusk).".into(), Some("See: wharf apps".into()))
        );
        assert_eq!(missing(&refused, None), ("Couldn't find that app.".into(), None));
        refused.resource = Some("release".into());
        assert_eq!(missing(&refused, Some("dusk")).1.as_deref(), Some("See: wharf releases --app dusk"));
        refused.status = 403;
        assert_eq!(missing(&refused, Some("dusk")).1, None);
    }

    #[track_caller]
    fn name_of(line: &str) -> Option<String> {
        let matches = command(&crate::groups()).try_get_matches_from(line.split(' ')).ok()?;
        Some(matches.subcommand()?.0.to_owned())
    }

    #[test]
    fn herokus_syntax_is_accepted() {
        for (line, name) in [
            ("wharf apps:create dusk --no-remote", "create"),
            ("wharf config:set A=b C=d -a dusk", "config:set"),
            ("wharf ps:scale web=2 worker-1 -a dusk --json", "ps:scale"),
            ("wharf logs -t -n 20 --source app --dyno-name web.1", "logs"),
            ("wharf ps:restart --process-type web", "ps:restart"),
            ("wharf releases:rollback v12", "rollback"),
            ("wharf auth:whoami", "whoami"),
            ("wharf --json apps", "apps"),
            ("wharf destroy -a dusk --confirm dusk", "destroy"),
            ("wharf authorizations:create -d ci -S", "authorizations:create"),
            ("wharf run --exit-code -a dusk -- exit 3", "run"),
            ("wharf run echo hi -a dusk", "run"),
            ("wharf run:detached -s 2x -e A=1 ls -a dusk", "run:detached"),
            ("wharf run:inside web.1 bash -a dusk", "ps:exec"),
        ] {
            assert_eq!(name_of(line).as_deref(), Some(name), "{line}");
        }
        for bad in ["wharf config:set", "wharf nonsense", "wharf apps --nonsense", "wharf config:get"] {
            assert_eq!(name_of(bad), None, "{bad}");
        }
    }
}
