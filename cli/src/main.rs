//! `wharf`, the command line: the list of commands.
//!
//! Command names are Heroku's. Each command is a struct of its arguments with a `run`, in the
//! file of its noun; all of them call the platform through [`api::Client`]. Exit status:
//! 0, 1 (wrong usage, or the command failed), 2 (rejected by the platform).

#[macro_use]
mod dispatch;
#[macro_use]
mod output;

mod address;
mod app_transfers;
mod apps;
mod archive;
mod audit;
mod authorizations;
mod backups;
mod buildpack_installations;
mod builds;
mod collaborators;
mod command_line;
mod completion;
mod config_files;
mod config_vars;
mod context;
mod credentials;
mod deploy;
mod dynos;
mod events;
mod features;
mod formation;
mod git;
mod git_commands;
mod help;
mod jobs;
mod lines;
mod local;
mod log_drains;
mod log_sessions;
mod login;
mod mails;
mod metrics;
mod next_steps;
mod one_offs;
mod platform;
mod quotas;
mod releases;
mod schedules;
mod service_accounts;
mod stacks;
mod statuses;
mod streams;
mod team_members;
mod teams;
mod terminals;
mod transport;
mod when;

commands! {
    "Getting started" {
        "login" ["auth:login"] => login::Login,
        "logout" ["auth:logout"] => login::Logout,
        "whoami" ["auth:whoami"] => login::Whoami,
        "auth:token" [] => login::Token,
        "create" ["apps:create"] => apps::Create,
        "git:remote" [] => git_commands::Remote,
        "open" ["apps:open"] => apps::Open,
    }
    "Apps" {
        "apps" ["apps:list", "list"] => apps::List,
        "info" ["apps:info"] => apps::Info,
        "rename" ["apps:rename"] => apps::Rename,
        "destroy" ["apps:destroy", "apps:delete"] => apps::Destroy,
        "apps:transfer" ["transfer"] => app_transfers::Transfer,
        "apps:transfers" [] => app_transfers::List,
        "apps:transfers:accept" [] => app_transfers::Accept,
        "apps:transfers:decline" [] => app_transfers::Decline,
        "apps:lock" ["lock"] => teams::Lock,
        "apps:unlock" ["unlock"] => teams::Unlock,
        "apps:join" ["join"] => collaborators::Join,
        "apps:leave" ["leave"] => collaborators::Leave,
        "maintenance" [] => apps::Maintenance,
        "maintenance:on" [] => apps::MaintenanceOn,
        "maintenance:off" [] => apps::MaintenanceOff,
        "features" [] => features::List,
        "features:enable" [] => features::Enable,
        "features:disable" [] => features::Disable,
    }
    "Dynos" {
        "ps" ["dyno", "ps:list"] => dynos::List,
        "ps:scale" ["scale", "dyno:scale"] => formation::Scale,
        "ps:type" ["ps:resize", "dyno:resize", "dyno:type", "resize"] => formation::Type,
        "ps:restart" ["restart", "dyno:restart"] => dynos::Restart,
        "ps:stop" ["ps:kill", "dyno:stop", "dyno:kill", "kill", "stop"] => dynos::Stop,
        "ps:exec" ["run:inside"] => one_offs::Exec,
        "run" [] => one_offs::Run,
        "run:detached" [] => one_offs::RunDetached,
    }
    "Config vars" {
        "config" ["config:list"] => config_vars::List,
        "config:get" [] => config_vars::Get,
        "config:set" ["config:add"] => config_vars::Set,
        "config:unset" ["config:remove"] => config_vars::Unset,
        "config:import" [] => config_files::Import,
        "config:export" [] => config_files::Export,
        "config:edit" [] => config_files::Edit,
    }
    "Builds and releases" {
        "deploy" [] => deploy::Deploy,
        "redeploy" ["builds:redeploy"] => deploy::Redeploy,
        "builds" [] => builds::List,
        "builds:info" [] => builds::Info,
        "builds:output" [] => builds::Output,
        "builds:cancel" [] => builds::Cancel,
        "builds:cache:purge" ["cache:purge"] => builds::CachePurge,
        "releases" [] => releases::List,
        "releases:info" [] => releases::Info,
        "releases:output" [] => releases::Output,
        "releases:cancel" [] => releases::Cancel,
        "releases:retry" [] => releases::Retry,
        "releases:wait" [] => releases::Wait,
        "releases:watch" [] => releases::Watch,
        "rollback" ["releases:rollback"] => releases::Rollback,
        "buildpacks" [] => buildpack_installations::List,
        "buildpacks:set" [] => buildpack_installations::Set,
        "buildpacks:add" [] => buildpack_installations::Add,
        "buildpacks:remove" [] => buildpack_installations::Remove,
        "buildpacks:clear" [] => buildpack_installations::Clear,
        "stacks" ["apps:stacks", "stack"] => stacks::List,
        "stacks:set" ["apps:stacks:set", "stack:set"] => stacks::Set,
    }
    "Logs and metrics" {
        "logs" [] => log_sessions::Logs,
        "drains" [] => log_drains::List,
        "drains:add" [] => log_drains::Add,
        "drains:remove" [] => log_drains::Remove,
        "metrics" [] => metrics::Show,
        "audit" ["events"] => audit::List,
        "audit:export" [] => audit::Export,
        "audit:verify" ["events:verify"] => audit::Verify,
    }
    "Access and tokens" {
        "access" ["sharing"] => collaborators::List,
        "access:add" ["sharing:add"] => collaborators::Add,
        "access:update" ["sharing:update"] => collaborators::Update,
        "access:remove" ["sharing:remove"] => collaborators::Remove,
        "teams" ["orgs"] => teams::List,
        "teams:create" [] => teams::Create,
        "teams:destroy" ["teams:delete"] => teams::Destroy,
        "members" [] => team_members::List,
        "members:add" [] => team_members::Add,
        "members:invite" ["teams:invite"] => team_members::Invite,
        "members:invitations" ["teams:invitations"] => team_members::Invitations,
        "members:set" [] => team_members::Set,
        "members:remove" [] => team_members::Remove,
        "quotas" ["quota"] => quotas::List,
        "quotas:set" [] => quotas::Set,
        "quotas:unset" ["quotas:remove"] => quotas::Unset,
        "authorizations" ["tokens"] => authorizations::List,
        "authorizations:create" ["tokens:create"] => authorizations::Create,
        "authorizations:revoke" ["tokens:revoke", "authorizations:destroy"] => authorizations::Revoke,
        "service-accounts" [] => service_accounts::List,
        "service-accounts:create" [] => service_accounts::Create,
        "service-accounts:destroy" [] => service_accounts::Destroy,
        "service-accounts:tokens" [] => service_accounts::Tokens,
        "service-accounts:tokens:create" [] => service_accounts::TokenCreate,
        "service-accounts:tokens:revoke" [] => service_accounts::TokenRevoke,
    }
    "Platform and CLI" {
        "doctor" [] => platform::Doctor,
        "jobs" ["platform:jobs"] => jobs::List,
        "jobs:info" ["platform:jobs:info"] => jobs::Info,
        "jobs:cancel" ["platform:jobs:cancel"] => jobs::Cancel,
        "platform:backups" [] => backups::List,
        "platform:backups:set" [] => backups::Set,
        "platform:backups:run" [] => backups::Run,
        "schedules" ["platform:schedules"] => schedules::List,
        "schedules:run" ["platform:schedules:run"] => schedules::Run,
        "mail-server" ["mail"] => mails::Info,
        "mail-server:set" [] => mails::Set,
        "mail-server:test" [] => mails::Test,
        "mail-server:remove" [] => mails::Remove,
        "help" [] => help::Help,
        "version" [] => help::Version,
        "completion" ["autocomplete"] => completion::Completion,
        "git:credentials" [] => git_commands::Credential,
    }
}

fn main() -> std::process::ExitCode {
    dispatch::main(std::env::args_os().collect(), groups())
}
