//! Enums in text columns: the mapping between [`Named`] and SQL.
//!
//! Rows have the enums themselves; [`Text`] is what is read from and bound to a query. A name that only a newer version
//! knows is read as `Unknown`, since two versions can share a database while one replaces the other. `Unknown` cannot
//! be written: a check constraint lists the names of every such column.

use api::named::Named;
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef},
};

/// A value of an enum in a text column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<T>(pub T);

/// As [`Text`], in a column that may be null. Values of queries are bound as `Option<Text<T>>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaybeText<T>(pub Option<T>);

impl<T> Type<Postgres> for Text<T> {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        <str as Type<Postgres>>::compatible(ty)
    }
}

impl<T> Type<Postgres> for MaybeText<T> {
    fn type_info() -> PgTypeInfo {
        Text::<T>::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        Text::<T>::compatible(ty)
    }
}

impl<'r, T: Named> Decode<'r, Postgres> for Text<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let name = <&str as Decode<Postgres>>::decode(value)?;
        Ok(Self(T::of_name(name).unwrap_or(T::UNKNOWN)))
    }
}

impl<'r, T: Named> Decode<'r, Postgres> for MaybeText<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Option::<Text<T>>::decode(value).map(|found| Self(found.map(|text| text.0)))
    }
}

impl<T: Named> Encode<'_, Postgres> for Text<T> {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        if self.0 == T::UNKNOWN {
            return Err(format!("a value that this version does not know cannot be written: {:?}", self.0).into());
        }
        <&str as Encode<Postgres>>::encode(self.0.name(), buf)
    }
}

/// Lets rows have these enums, with `#[sqlx(try_from = "Text<…>")]` or `MaybeText`.
macro_rules! columns {
    ($($enum:ty),+ $(,)?) => {$(
        impl From<Text<$enum>> for $enum {
            fn from(text: Text<$enum>) -> Self {
                text.0
            }
        }

        impl From<MaybeText<$enum>> for Option<$enum> {
            fn from(text: MaybeText<$enum>) -> Self {
                text.0
            }
        }
    )+};
}

columns! {
    api::app_transfers::TransferState,
    api::backups::BackupState,
    api::builds::BuildStatus,
    api::collaborators::CollaboratorRole,
    api::dynos::DynoState,
    api::identity_providers::ProviderKind,
    api::invitation_policy::Inviters,
    api::jobs::JobState,
    api::mails::MailKind,
    api::mails::MailState,
    api::mails::MailTls,
    api::quotas::QuotaKind,
    api::releases::ReleaseStatus,
    api::releases::Rollout,
    api::team_members::GrantedBy,
    api::team_members::Role,
}
