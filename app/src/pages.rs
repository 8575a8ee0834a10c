//! The pages and what is prefetched for them, from the crates of their bundles.

pub use pages_account::AccountPage;
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
pub use pages_parts::PartsPage;
pub use pages_platform::{AuditPage, IdentityProvidersPage, JobsPage, PlatformPage, UserPage};
pub use pages_quotas::QuotasPage;
pub use pages_teams::{TeamPage, TeamsPage};
