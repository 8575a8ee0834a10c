//! The subjects of this area's events.

use api::ids::TeamId;
use base::{Subject, SubjectKind};
use store::{accounts, identity_providers, oauth_clients};

/// An account, by its email address.
pub(crate) fn account(row: &accounts::Row) -> Subject {
    Subject::new(SubjectKind::Account, row.id, &row.email)
}

/// A team.
pub(crate) fn team(id: TeamId, name: &str) -> Subject {
    Subject::new(SubjectKind::Team, id, name)
}

/// An identity provider.
pub(crate) fn identity_provider(row: &identity_providers::Row) -> Subject {
    Subject::new(SubjectKind::IdentityProvider, row.id, &row.name)
}

/// An OAuth client.
pub(crate) fn oauth_client(row: &oauth_clients::Row) -> Subject {
    Subject::new(SubjectKind::OauthClient, row.id, &row.name)
}

/// A setting of the platform.
pub(crate) fn setting(name: &str) -> Subject {
    Subject::named(SubjectKind::Setting, name)
}

/// The address of an unauthenticated client.
pub(crate) fn client_address(address: &str) -> Subject {
    Subject::named(SubjectKind::ClientAddress, address)
}
