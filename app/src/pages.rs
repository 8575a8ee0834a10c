//! The pages, each in a file of its own.

mod app_frame;
mod apps;
mod create;
mod login;
mod not_found;
mod overview;
mod rollback;

pub use self::{
    app_frame::AppFrame, apps::AppsPage, create::NewAppPage, login::LoginPage, not_found::NotFoundPage,
    overview::OverviewPage,
};
