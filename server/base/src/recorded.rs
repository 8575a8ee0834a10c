//! Events of the audit log, as they are published: the noun of what has changed, and whom it concerns.
//!
//! Whom an event concerns follows from its subject, its actor, and the accounts and teams that its data names, so that
//! a route cannot forget them. Only those who lose access to something in the same change have to be named explicitly
//! ([`Change::also_concerns`](crate::Change::also_concerns)): afterwards the database does not know them.
//! Administrators of the platform can see everything, and are never named.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use api::ids::{AccountId, AppId, TeamId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    kinds::{self, Kind},
    subject::{Subject, SubjectKind},
};

/// Accounts that an event concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concerned {
    /// All accounts.
    Everybody,
    /// This account.
    Account(AccountId),
    /// Those who share a team or an app with this account, have invited it or were invited by it, or have offered it an app
    /// or were offered one by it.
    Companions(AccountId),
    /// The members of this team.
    Team(TeamId),
    /// Those who can see this app.
    App(AppId),
}

/// Everybody whom an event concerns; if empty, only administrators of the platform.
pub type Audience = BTreeSet<Concerned>;

/// The maximum number of events in a message.
const MOST_EVENTS: usize = 32;
/// The maximum size of the audience of an event. A larger one is divided among several events.
const MOST_IN_EVENT: usize = 50;
/// The maximum size of the audiences of all events of a change together. Larger ones are replaced by everybody.
const MOST_IN_CHANGE: usize = 10_000;

/// An event of the audit log, reduced to what pages need to know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Recorded {
    /// Messages may have been lost: any event may have been recorded.
    Anything,
    /// An event.
    Event {
        /// The noun of its action.
        noun: String,
        /// For servers that do not know `to`: the app whose viewers it concerns, or `None` for everybody.
        app: Option<AppId>,
        /// Whom it concerns. Servers that do not know it do not send it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Audience>,
    },
}

impl Recorded {
    /// The event with this action on `subject`, by the account `by`.
    pub(crate) fn of(action: &str, subject: &Subject, by: Option<AccountId>, data: &Value) -> Self {
        let noun = action.split_once('.').map_or(action, |(noun, _)| noun);
        // Servers that do not know `to` announce it to everybody: somebody may no longer see the app.
        let is_seen_by_others =
            noun == "app" || kinds::of_action(action, subject.app.is_some()).contains(&Kind::Rights);
        let to = audience(noun, subject, by, data);
        Self::Event { noun: noun.to_owned(), app: subject.app.filter(|_| !is_seen_by_others), to: Some(to) }
    }

    /// The noun of its action, if it is known.
    pub fn noun(&self) -> Option<&str> {
        match self {
            Self::Anything => None,
            Self::Event { noun, .. } => Some(noun),
        }
    }

    /// Whom it concerns.
    pub fn audience(&self) -> Audience {
        match self {
            Self::Event { to: Some(to), .. } => to.clone(),
            Self::Event { app: Some(app), .. } => Audience::from([Concerned::App(*app)]),
            Self::Event { .. } | Self::Anything => Audience::from([Concerned::Everybody]),
        }
    }

    /// Whether it concerns an audience that `includes` accepts.
    pub fn concerns(&self, includes: impl Fn(Concerned) -> bool) -> bool {
        match self {
            Self::Event { to: Some(to), .. } => to.iter().any(|to| includes(*to)),
            Self::Event { .. } | Self::Anything => self.audience().into_iter().any(includes),
        }
    }
}

/// The id in the data of an event under this key.
fn named<Id: FromStr>(data: &Value, key: &str) -> Option<Id> {
    data.get(key)?.as_str()?.parse().ok()
}

/// Whom the event of an action with this noun concerns.
fn audience(noun: &str, subject: &Subject, by: Option<AccountId>, data: &Value) -> Audience {
    let accounts = ["account", "owner", "recipient"].into_iter().filter_map(|key| named(data, key)).chain(by);
    let mut to: Audience = accounts.map(Concerned::Account).chain(named(data, "team").map(Concerned::Team)).collect();
    to.extend(subject.app.map(Concerned::App));
    match (subject.kind, subject.id) {
        (SubjectKind::Account, Some(id)) => {
            to.insert(Concerned::Account(AccountId(id)));
            // Their name, and whether they can sign in, is shown to others.
            to.extend(["account", "identity"].contains(&noun).then_some(Concerned::Companions(AccountId(id))));
        }
        (SubjectKind::Team, Some(id)) => drop(to.insert(Concerned::Team(TeamId(id)))),
        // Everybody's pages depend on them, and only administrators change them.
        (SubjectKind::Setting, _) | (SubjectKind::IdentityProvider, Some(_)) => drop(to.insert(Concerned::Everybody)),
        _ => {}
    }
    to
}

/// The events of a change, merged into few and small ones that all also concern `also`.
pub(crate) fn gathered(recorded: &BTreeSet<Recorded>, also: &Audience) -> BTreeSet<Recorded> {
    if recorded.contains(&Recorded::Anything) {
        return BTreeSet::from([Recorded::Anything]);
    }
    let has_room = recorded.len() <= MOST_EVENTS;
    let mut audiences: BTreeMap<(&str, Option<AppId>), Audience> = BTreeMap::new();
    for event in recorded {
        if let Recorded::Event { noun, app, .. } = event {
            let to = audiences.entry((noun.as_str(), app.filter(|_| has_room))).or_insert_with(|| also.clone());
            to.extend(event.audience());
        }
    }
    if audiences.values().map(Audience::len).sum::<usize>() > MOST_IN_CHANGE {
        let everybody = |noun| divided(noun, None, Audience::from([Concerned::Everybody]));
        return audiences.into_keys().flat_map(|(noun, _)| everybody(noun)).collect();
    }
    audiences.into_iter().flat_map(|((noun, app), to)| divided(noun, app, to)).collect()
}

/// The event, as several ones if its audience is large.
fn divided(noun: &str, app: Option<AppId>, to: Audience) -> Vec<Recorded> {
    let event = |to: Audience| Recorded::Event { noun: noun.to_owned(), app, to: Some(to) };
    if to.is_empty() {
        return vec![event(to)];
    }
    if to.contains(&Concerned::Everybody) {
        return vec![event(Audience::from([Concerned::Everybody]))];
    }
    let all: Vec<Concerned> = to.into_iter().collect();
    all.chunks(MOST_IN_EVENT).map(|part| event(part.iter().copied().collect())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ADA: AccountId = AccountId::from_u128(1);
    const BOB: AccountId = AccountId::from_u128(2);
    const DUSK: AppId = AppId::from_u128(3);
    const ACME: TeamId = TeamId::from_u128(4);

    fn event(noun: &str, app: Option<AppId>, to: &[Concerned]) -> Recorded {
        Recorded::Event { noun: noun.into(), app, to: Some(to.iter().copied().collect()) }
    }

    #[test]
    fn an_event_of_an_app_concerns_its_viewers_unless_who_they_are_has_changed() {
        let [dusk, team] = [Subject::app(DUSK, "dusk"), Subject::new(SubjectKind::Team, ACME, "acme")];
        for (action, subject, noun, app, to) in [
            ("release.create", &dusk, "release", Some(DUSK), Concerned::App(DUSK)),
            ("log_drain.create", &dusk, "log_drain", Some(DUSK), Concerned::App(DUSK)),
            ("app.delete", &dusk, "app", None, Concerned::App(DUSK)),
            ("collaborator.delete", &dusk, "collaborator", None, Concerned::App(DUSK)),
            ("team.update", &team, "team", None, Concerned::Team(ACME)),
        ] {
            assert_eq!(Recorded::of(action, subject, None, &Value::Null), event(noun, app, &[to]), "{action}");
        }
    }

    #[test]
    fn an_event_concerns_its_subject_its_actor_and_whom_its_data_names() {
        use Concerned::{Account, App, Companions, Everybody, Team};
        let account = Subject::new(SubjectKind::Account, ADA, "ada@example.com");
        let team = Subject::new(SubjectKind::Team, ACME, "acme");
        let app = Subject::app(DUSK, "dusk");
        let setting = Subject::named(SubjectKind::Setting, "quotas");
        let provider = Subject::new(SubjectKind::IdentityProvider, ADA, "sso");
        let refused = Subject::named(SubjectKind::IdentityProvider, "sso");
        let [of_bob, offer] = [json!({ "account": BOB }), json!({ "owner": ADA, "recipient": BOB, "team": null })];
        let in_team = json!({ "team": ACME, "account": "nobody" });
        let none = Value::Null;
        for (action, subject, by, data, to) in [
            ("session.create", &account, None, &none, vec![Account(ADA)]),
            ("account.rename", &account, Some(ADA), &none, vec![Account(ADA), Companions(ADA)]),
            ("account.suspend", &account, Some(BOB), &none, vec![Account(ADA), Account(BOB), Companions(ADA)]),
            ("team_member.delete", &account, None, &in_team, vec![Account(ADA), Team(ACME)]),
            ("team_member.delete", &team, Some(ADA), &of_bob, vec![Account(ADA), Account(BOB), Team(ACME)]),
            ("collaborator.delete", &app, None, &of_bob, vec![Account(BOB), App(DUSK)]),
            ("app_transfer.create", &app, None, &offer, vec![Account(ADA), Account(BOB), App(DUSK)]),
            ("quota.update", &setting, Some(ADA), &none, vec![Everybody, Account(ADA)]),
            ("identity_provider.update", &provider, None, &none, vec![Everybody]),
            ("session.refuse", &refused, None, &none, vec![]),
            ("job.cancel", &Subject::new(SubjectKind::Job, ADA, "x"), None, &none, vec![]),
        ] {
            let recorded = Recorded::of(action, subject, by, data);
            assert_eq!(recorded.audience().into_iter().collect::<Vec<_>>(), to, "{action}");
            assert!(to.iter().all(|to| recorded.concerns(|other| other == *to)));
            assert!(!recorded.concerns(|other| other == Team(TeamId::from_u128(5))));
        }
    }

    #[test]
    fn servers_of_other_versions_send_and_read_an_app_or_nothing() {
        for (text, to) in [
            (r#"{"Event":{"noun":"team","app":null}}"#.to_owned(), Concerned::Everybody),
            (format!(r#"{{"Event":{{"noun":"release","app":"{DUSK}"}}}}"#), Concerned::App(DUSK)),
            (r#""Anything""#.to_owned(), Concerned::Everybody),
        ] {
            let recorded: Recorded = serde_json::from_str(&text).unwrap();
            assert_eq!(recorded.audience(), Audience::from([to]), "{text}");
            assert!(recorded.concerns(|other| other == to), "{text}");
        }
        let sent = Recorded::of("release.create", &Subject::app(DUSK, "dusk"), Some(ADA), &Value::Null);
        let expected = json!({ "Event": {
            "noun": "release", "app": DUSK, "to": [{ "account": ADA }, { "app": DUSK }]
        } });
        assert_eq!(serde_json::to_value(&sent).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Recorded>(expected).unwrap(), sent);
    }

    #[test]
    fn a_large_audience_is_divided_without_omissions() {
        let account = |n| Concerned::Account(AccountId::from_u128(n));
        let also: Audience = (0..5000).map(account).collect();
        let team = event("team", None, &[Concerned::Team(ACME)]);
        let all = gathered(&BTreeSet::from([team.clone(), event("team", None, &[account(1)])]), &also);
        assert_eq!(all.len(), 5001usize.div_ceil(MOST_IN_EVENT));
        let told: Audience = all.iter().flat_map(Recorded::audience).collect();
        assert_eq!(told.len(), 5001);
        let everybody = event("team", None, &[Concerned::Everybody]);
        let too_many = (0..=MOST_IN_CHANGE as u128).map(account).collect();
        assert_eq!(gathered(&BTreeSet::from([team.clone()]), &too_many), BTreeSet::from([everybody]));
        assert_eq!(gathered(&BTreeSet::from([team.clone()]), &Audience::new()), BTreeSet::from([team]));
        // Events of many apps, each of which also concerns many.
        let of_app = |n| event("release", Some(AppId::from_u128(n)), &[Concerned::App(AppId::from_u128(n))]);
        let many: BTreeSet<Recorded> = (0..3).map(of_app).chain([event("app", None, &[account(1)])]).collect();
        let of_everybody = |noun| event(noun, None, &[Concerned::Everybody]);
        assert_eq!(gathered(&many, &also), BTreeSet::from([of_everybody("app"), of_everybody("release")]));
        assert_eq!(gathered(&many, &Audience::new()), many);
        let for_administrators = BTreeSet::from([event("job", None, &[])]);
        assert_eq!(gathered(&for_administrators, &Audience::new()), for_administrators);
    }
}
