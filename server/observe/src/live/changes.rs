//! Changes for followers: their audience is looked up once per batch of events for all followers together, so that the
//! number of queries depends neither on the number of events nor on that of sockets.

use std::{collections::BTreeSet, time::Duration};

use api::ids::AccountId;
use base::recorded::{Audience, Concerned, Recorded};
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};

use super::followers::Batch;
use crate::Observe;

/// Events within this time are sent together.
const TOGETHER: Duration = Duration::from_millis(250);

/// Sends events to the followers whom they concern, until it is dropped.
pub(crate) async fn run(observe: Observe, mut events: Receiver<Recorded>) {
    while let Some(events) = next(&mut events).await {
        let followers = observe.followers().accounts();
        if followers.is_empty() {
            continue;
        }
        let batch = batch(&observe, &followers, events).await.unwrap_or_else(|err| {
            tracing::warn!("could not look up whom changes concern, so all pages refetch: {err:#}");
            Batch { events: BTreeSet::from([Recorded::Anything]), ..Batch::default() }
        });
        observe.followers().send(batch);
    }
}

/// The next events; `None` if there will be no more.
async fn next(events: &mut Receiver<Recorded>) -> Option<BTreeSet<Recorded>> {
    let first = match events.recv().await {
        Ok(event) => event,
        Err(RecvError::Lagged(_)) => Recorded::Anything,
        Err(RecvError::Closed) => return None,
    };
    let mut batch = BTreeSet::from([first]);
    tokio::time::sleep(TOGETHER).await;
    loop {
        match events.try_recv() {
            Ok(event) => drop(batch.insert(event)),
            Err(TryRecvError::Lagged(_)) => drop(batch.insert(Recorded::Anything)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(batch),
        }
    }
}

/// These events, with whom among the followers they concern now: also who administers the platform may have changed.
async fn batch(observe: &Observe, followers: &[AccountId], events: BTreeSet<Recorded>) -> anyhow::Result<Batch> {
    let includes = includes(observe, followers, &events).await?;
    let administrators = store::accounts::account_administrators(observe.db(), followers).await?;
    Ok(Batch { events, includes, administrators: administrators.into_iter().collect() })
}

/// Which followers are among which teams, viewers and companions that these events concern.
async fn includes(
    observe: &Observe,
    followers: &[AccountId],
    events: &BTreeSet<Recorded>,
) -> anyhow::Result<BTreeSet<(AccountId, Concerned)>> {
    let (mut teams, mut apps, mut companions) = (Vec::new(), Vec::new(), Vec::new());
    for concerned in events.iter().flat_map(Recorded::audience).collect::<Audience>() {
        match concerned {
            Concerned::Team(id) => teams.push(id),
            Concerned::App(id) => apps.push(id),
            Concerned::Companions(id) => companions.push(id),
            Concerned::Everybody | Concerned::Account(_) => {}
        }
    }
    let (db, mut found) = (observe.db(), BTreeSet::new());
    if !teams.is_empty() {
        let members = store::team_members::team_member_among(db, followers, &teams).await?;
        found.extend(members.into_iter().map(|(who, team)| (who, Concerned::Team(team))));
    }
    let mut shared = Vec::new();
    if !companions.is_empty() {
        let members = store::team_members::team_member_companions(db, followers, &companions).await?;
        let invited = store::team_invitations::team_invitation_companions(db, followers, &companions).await?;
        let offered = store::app_transfers::app_transfer_companions(db, followers, &companions).await?;
        let all = members.into_iter().chain(invited).chain(offered);
        found.extend(all.map(|(who, other)| (who, Concerned::Companions(other))));
        shared = store::collaborators::collaborator_shared(db, &companions).await?;
        apps.extend(shared.iter().map(|(_, app)| *app));
    }
    if !apps.is_empty() {
        for (who, app) in store::apps::app_viewers(db, followers, &identity::seeing(), &apps).await? {
            found.insert((who, Concerned::App(app)));
            let with = shared.iter().filter(|(_, of)| *of == app);
            found.extend(with.map(|(other, _)| (who, Concerned::Companions(*other))));
        }
    }
    Ok(found)
}
