//! One-off dynos: every query.

use api::dynos::DynoState;
use store::{
    accounts,
    dynos::{LIST, dyno_list_shown, dyno_wanted},
    one_offs::*,
    quotas, slugs,
};

use crate::world::{World, account, all, at, one_off_row};

#[tokio::test]
async fn one_off_dynos_from_start_to_end() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let slug = w.slug(app).await;
    let release = w.release(app, "succeeded", Some(slug)).await;
    let (first, second) = (one_off_row(app, release, "run.1"), one_off_row(app, release, "run.2"));
    for row in [&first, &second] {
        one_off_create(&w.db, row).await.unwrap();
    }
    assert!(one_off_create(&w.db, &one_off_row(app, release, "run.1")).await.is_err(), "the name is taken");
    assert_eq!(one_off_info(&w.db, app, "run.1").await.unwrap().as_ref(), Some(&first));
    assert_eq!(one_off_info(&w.db, app, &second.id.to_string()).await.unwrap().unwrap().name, "run.2");
    assert_eq!(one_off_info(&w.db, app, "run.3").await.unwrap(), None);
    // Lists have no environments.
    let listed = [&first, &second].map(|row| Row { env: None, ..row.clone() });
    assert_eq!(one_off_running(&w.db).await.unwrap(), listed);
    assert_eq!(one_off_list(&w.db, app).await.unwrap(), listed);
    assert_eq!(one_off_env(&w.db, first.id).await.unwrap(), first.env);

    // They are dynos like any other for lists, quotas, and what they need on the disk.
    let shown = dyno_list_shown(&w.db, app, &all(&LIST)).await.unwrap().rows;
    let names: Vec<&str> = shown.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["run.1", "run.2"]);
    let owner = quotas::Owner { account: Some(w.account.id), team: None };
    let usage = quotas::quota_usage(&w.db, owner, &[("Basic", 512)]).await.unwrap();
    assert_eq!((usage.dynos, usage.memory_mb), (2, 1024));
    assert!(slugs::slug_runs(&w.db, app, slug).await.unwrap());
    assert_eq!(dyno_wanted(&w.db, &[first.run_id]).await.unwrap().len(), 1);

    one_off_up(&w.db, first.id, at(1)).await.unwrap();
    let up = one_off_info(&w.db, app, "run.1").await.unwrap().unwrap();
    assert_eq!((up.state, up.started_at), (DynoState::Up, Some(at(1))));
    assert_eq!(one_off_stop(&w.db, app, Some("run.1"), at(2)).await.unwrap(), 1);
    assert_eq!(one_off_stop(&w.db, app, Some("run.1"), at(3)).await.unwrap(), 0);
    assert_eq!(one_off_stop(&w.db, app, None, at(3)).await.unwrap(), 1);
    one_off_up(&w.db, second.id, at(4)).await.unwrap();
    assert_eq!(one_off_info(&w.db, app, "run.2").await.unwrap().unwrap().state, DynoState::Down, "not up again");

    let end = End { status: Some(3), sentence: "Process exited with status 3" };
    assert!(one_off_end(&w.db, first.id, end, at(5)).await.unwrap());
    assert!(!one_off_end(&w.db, first.id, end, at(6)).await.unwrap(), "once");
    let ended = one_off_info(&w.db, app, "run.1").await.unwrap().unwrap();
    assert_eq!((ended.ended_at, ended.exit_status, ended.env), (Some(at(5)), Some(3), None));
    assert_eq!(one_off_env(&w.db, first.id).await.unwrap(), None);
    assert_eq!(one_off_names(&w.db, app).await.unwrap(), ["run.2"]);
    assert_eq!(dyno_wanted(&w.db, &[first.run_id]).await.unwrap().len(), 0);
    // The name is free again.
    one_off_create(&w.db, &one_off_row(app, release, "run.1")).await.unwrap();
}

#[tokio::test]
async fn old_ones_go_and_running_ones_stay() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let slug = w.slug(app).await;
    let release = w.release(app, "succeeded", Some(slug)).await;
    let end = End { status: None, sentence: "It did not start." };
    for n in 0..5 {
        let row = one_off_row(app, release, &format!("run.{n}"));
        one_off_create(&w.db, &row).await.unwrap();
        if n > 0 {
            one_off_end(&w.db, row.id, end, at(n)).await.unwrap();
        }
    }
    assert_eq!(one_off_sweep(&w.db, at(2), 100).await.unwrap(), 1);
    assert_eq!(one_off_sweep(&w.db, at(0), 2).await.unwrap(), 1);
    assert_eq!(one_off_names(&w.db, app).await.unwrap(), ["run.0"]);
}

#[tokio::test]
async fn what_a_suspended_account_runs_is_stopped() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let slug = w.slug(app).await;
    let release = w.release(app, "succeeded", Some(slug)).await;
    let bob = account("bob@example.com");
    accounts::account_create(&w.db, &bob).await.unwrap();
    for (name, by) in [("run.1", w.account.id), ("run.2", bob.id)] {
        let row = Row { created_by: Some(by), ..one_off_row(app, release, name) };
        one_off_create(&w.db, &row).await.unwrap();
    }
    accounts::account_suspend(&w.db, bob.id, Some(at(1))).await.unwrap();
    one_off_stop_suspended(&w.db, at(2)).await.unwrap();
    let stopping = async |name: &str| one_off_info(&w.db, app, name).await.unwrap().unwrap().stopping_at;
    assert_eq!((stopping("run.1").await, stopping("run.2").await), (None, Some(at(2))));
    // Removed service accounts are suspended for good.
    sqlx::query("update accounts set retired_at = $2 where id = $1")
        .bind(bob.id)
        .bind(at(1))
        .execute(&w.db)
        .await
        .unwrap();
    let row = Row { created_by: Some(bob.id), ..one_off_row(app, release, "run.3") };
    one_off_create(&w.db, &row).await.unwrap();
    one_off_stop_suspended(&w.db, at(3)).await.unwrap();
    assert_eq!(stopping("run.3").await, Some(at(3)));
}
