//! The signed-in account, and the pages for administrators.

use api::accounts::Account;

use crate::data::LiveData;

/// The signed-in account, for every page.
#[derive(Clone, Copy)]
pub struct Visitor(pub LiveData<Account>);

/// Pages for platform administrators: path, icon, name.
pub const ADMIN_PAGES: [(&str, &str, &str); 5] = [
    ("/platform", "layers", "Platform"),
    ("/sign-in", "shield", "Sign-in"),
    ("/quotas", "gauge", "Quotas"),
    ("/jobs", "clock", "Jobs"),
    ("/audit", "audit", "Audit log"),
];
