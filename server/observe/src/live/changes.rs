//! Changes for one person: the kinds of things, without those of apps that they cannot see.

use std::{collections::BTreeSet, time::Duration};

use api::{ids::AppId, live::Changed};
use base::bus::Recorded;
use identity::Actor;
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};

use crate::Observe;

/// Events within this time are sent together.
const TOGETHER: Duration = Duration::from_millis(250);

/// The next events; `None` if there will be no more.
pub(super) async fn next(events: &mut Receiver<Recorded>) -> Option<BTreeSet<Recorded>> {
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

/// The events that `actor` may know about.
pub(super) async fn visible(observe: &Observe, actor: &Actor, batch: BTreeSet<Recorded>) -> Changed {
    if batch.contains(&Recorded::Anything) {
        return anything();
    }
    let apps = batch.iter().filter_map(Recorded::app).collect::<BTreeSet<_>>();
    let apps = apps.into_iter().collect::<Vec<_>>();
    let Ok(apps) = visible_apps(observe, actor, &apps).await else { return anything() };
    let visible = batch.iter().filter(|event| event.app().is_none_or(|app| apps.contains(&app)));
    Changed { nouns: visible.filter_map(Recorded::noun).map(str::to_owned).collect(), anything: false }
}

fn anything() -> Changed {
    Changed { anything: true, ..Changed::default() }
}

async fn visible_apps(observe: &Observe, actor: &Actor, apps: &[AppId]) -> base::Result<Vec<AppId>> {
    if apps.is_empty() {
        return Ok(Vec::new());
    }
    let _turn = observe.feeds().turns.take(actor.payer).await?;
    let permissions = identity::seeing();
    Ok(store::apps::app_visible(observe.db(), &actor.viewer(&permissions), apps).await?)
}
