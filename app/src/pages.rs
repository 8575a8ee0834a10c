//! The pages, each in a file of its own.

mod account;
mod activity;
mod app_frame;
mod apps;
mod audit;
mod build;
mod compare;
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

pub use self::{
    account::AccountPage,
    activity::{ActivityPage, FIRST_PAGE as FIRST_RELEASES},
    app_frame::AppFrame,
    apps::AppsPage,
    audit::AuditPage,
    build::BuildPage,
    create::NewAppPage,
    login::LoginPage,
    logs::{LogsPage, newest_lines},
    metrics::MetricsPage,
    not_found::NotFoundPage,
    overview::OverviewPage,
    parts::PartsPage,
    platform::PlatformPage,
    resources::ResourcesPage,
    settings::SettingsPage,
};
