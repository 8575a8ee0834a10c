//! The pages, one per file.

mod account;
mod audit;
mod backups;
mod identity_providers;
mod invitation_policy;
mod jobs;
mod mails;
mod oauth_clients;
mod parts;
mod platform;
mod quotas;
mod user;
mod users;

pub use pages_app::AppFrame;
pub use pages_app_activity::ActivityPage;
pub use pages_app_logs::{LogsPage, newest_lines};
pub use pages_app_metrics::MetricsPage;
pub use pages_app_overview::{OverviewPage, RECENT};
pub use pages_app_resources::ResourcesPage;
pub use pages_app_settings::SettingsPage;
pub use pages_app_terminal::TerminalPage;
pub use pages_apps::AppsPage;
pub use pages_build::BuildPage;
pub use pages_create::NewAppPage;
pub use pages_entry::{ConsentPage, LoginPage, SignInLinkPage};
pub use pages_teams::{TeamPage, TeamsPage};

pub use self::{
    account::AccountPage, audit::AuditPage, identity_providers::IdentityProvidersPage, jobs::JobsPage,
    parts::PartsPage, platform::PlatformPage, quotas::QuotasPage, user::UserPage,
};
