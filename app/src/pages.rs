//! The pages, each in a file of its own.

mod account;
mod activity;
mod app_frame;
mod apps;
mod audit;
mod build;
mod create;
mod login;
mod logs;
mod metrics;
mod not_found;
mod overview;
mod parts;
mod platform;
mod resources;
mod rollback;
mod settings;
mod team;
mod teams;

pub use self::{
    account::AccountPage, activity::ActivityPage, app_frame::AppFrame, apps::AppsPage, audit::AuditPage,
    build::BuildPage, create::NewAppPage, login::LoginPage, logs::LogsPage, metrics::MetricsPage,
    not_found::NotFoundPage, overview::OverviewPage, parts::PartsPage, platform::PlatformPage,
    resources::ResourcesPage, settings::SettingsPage, team::TeamPage, teams::TeamsPage,
};
