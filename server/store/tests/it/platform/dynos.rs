//! Dynos: every query.

use api::{
    dynos::DynoState,
    ids::{AppId, RunId},
};
use store::dynos::*;

use crate::world::{World, all, at, dyno_row};

#[tokio::test]
async fn dynos() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let slug = w.slug(app).await;
    let release = w.release(app, "succeeded", Some(slug)).await;
    let row = |kind: &str, ordinal: i32| Row {
        state: DynoState::Starting,
        addr: Some("10.0.0.1:5000".into()),
        ..dyno_row(app, release, kind, ordinal)
    };
    let (web1, web2, worker) = (row("web", 1), row("web", 2), row("worker", 1));
    for row in [&worker, &web2, &web1] {
        dyno_save(&w.db, row).await.unwrap();
    }
    assert_eq!(dyno_list(&w.db, app).await.unwrap(), [web1.clone(), web2.clone(), worker.clone()]);
    let all_dynos = dyno_all(&w.db, None).await.unwrap();
    assert_eq!(all_dynos.len(), 3);
    assert_eq!(dyno_all(&w.db, Some(&[app])).await.unwrap(), all_dynos);
    assert!(dyno_all(&w.db, Some(&[AppId::now_v7()])).await.unwrap().is_empty());

    // Processes of dynos, running releases and running builds are desired; those of ended or unknown ones are not.
    let (phase, build) = (w.release(app, "pending", Some(slug)).await, w.build(app, 1).await);
    let runs = [
        all_dynos[0].run_id,
        phase.into(),
        build.into(),
        release.into(),
        RunId(all_dynos[0].id.get()),
        RunId::now_v7(),
    ];
    assert_eq!(dyno_wanted(&w.db, &runs).await.unwrap(), runs[..3].iter().copied().collect());
    assert!(store::slugs::slug_runs(&w.db, app, slug).await.unwrap());
    assert_eq!(dyno_of(&w.db, &[app]).await.unwrap().len(), 3);
    assert_eq!(dyno_list_shown(&w.db, app, &all(&LIST)).await.unwrap().rows.len(), 3);

    assert_eq!(dyno_retire(&w.db, app, Which::Name("web.1"), at(2)).await.unwrap(), 1);
    assert_eq!(dyno_retire(&w.db, app, Which::All, at(3)).await.unwrap(), 2);
    assert_eq!(dyno_stop(&w.db, app, Which::Type("web"), at(4)).await.unwrap(), 2);
    assert_eq!(dyno_stop(&w.db, app, Which::All, at(5)).await.unwrap(), 1);
    // A reconciler that writes stale state does not undo a concurrent request.
    let seen = Row { state: DynoState::Up, last_exit: Some("x".into()), ..web1.clone() };
    dyno_save(&w.db, &seen).await.unwrap();
    let now = dyno_list(&w.db, app).await.unwrap().remove(0);
    assert_eq!(now, Row { retiring_at: Some(at(2)), stopping_at: Some(at(4)), ..seen });

    // A dyno that is being stopped stays so, and the time of SIGTERM is updated.
    let worker2 = row("worker", 2);
    dyno_save(&w.db, &worker2).await.unwrap();
    dyno_withdraw(&w.db, &[web1.id, worker2.id], at(6)).await.unwrap();
    dyno_down(&w.db, web1.id, at(7)).await.unwrap();
    let rows = dyno_list(&w.db, app).await.unwrap();
    assert_eq!(rows[0], Row { state: DynoState::Down, stopping_at: Some(at(7)), updated_at: at(7), ..now });
    assert_eq!(rows[3], Row { stopping_at: Some(at(6)), ..worker2.clone() });
    dyno_delete(&w.db, worker2.id).await.unwrap();
    dyno_delete(&w.db, web1.id).await.unwrap();
    assert_eq!(dyno_list(&w.db, app).await.unwrap().len(), 2);
}
