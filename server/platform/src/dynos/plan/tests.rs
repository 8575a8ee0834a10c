//! Tests of the plan: rollouts, crashes, scaling; and that nothing is left to do after a plan was carried out.

use api::{
    dynos::DynoState::{Crashed, Down, Starting, Up},
    ids::{AccountId, AppId, DynoId, ReleaseId, RunId},
};

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn app(version: i32, types: &[(&str, i32)]) -> App {
    let types = types
        .iter()
        .map(|(kind, quantity)| Type {
            kind: kind.to_string(),
            command: "run".into(),
            quantity: *quantity,
            size: "Standard-1X".into(),
        })
        .collect();
    App { id: AppId::from_u128(1), release: ReleaseId::from_u128(100 + version as u128), version, types, trial: None }
}

/// An app whose release has not passed yet.
fn trial(app: App, rollout: Rollout, base: Option<App>) -> App {
    App { trial: Some(Trial { rollout, watch: Duration::seconds(10), since: now(), base: base.map(Box::new) }), ..app }
}

/// What became of the release `seconds` after its web dynos came up.
fn judged(app: &App, rows: &[Row], seconds: i64) -> Option<Verdict> {
    verdict(app, rows, now() + Duration::seconds(seconds))
}

fn row(id: u128, name: &str, version: i32, state: DynoState) -> Row {
    let (kind, ordinal) = name.split_once('.').unwrap();
    Row {
        id: DynoId::from_u128(id),
        app_id: AppId::from_u128(1),
        name: name.into(),
        kind: kind.into(),
        ordinal: ordinal.parse().unwrap(),
        size: "Standard-1X".into(),
        command: "run".into(),
        release_id: ReleaseId::from_u128(100 + version as u128),
        version,
        state,
        run_id: RunId::from_u128(id),
        addr: Some("10.0.0.1:5000".into()),
        started_at: Some(now()),
        retiring_at: None,
        stopping_at: None,
        killed_at: None,
        starts: 1,
        crashes: 0,
        next_start_at: None,
        last_exit: None,
        created_at: now(),
        updated_at: now(),
    }
}

fn check(app: Option<&App>, rows: &[Row], expected: &[&str]) {
    let found: Vec<String> = plan(app, rows, now())
        .into_iter()
        .map(|step| match step {
            Step::Create { kind, ordinal, .. } => format!("create {kind}.{ordinal}"),
            Step::Restart { dyno } => format!("restart {}", dyno.get().as_u128()),
            Step::Stop { dyno, .. } => format!("stop {}", dyno.get().as_u128()),
            Step::Terminate { dyno } => format!("terminate {}", dyno.get().as_u128()),
            Step::Kill { dyno } => format!("kill {}", dyno.get().as_u128()),
        })
        .collect();
    assert_eq!(found, expected);
}

fn serve(app: &App, rows: &[Row], expected: &[u128]) {
    let found: Vec<u128> = serving(app, rows).into_iter().map(|r| r.id.get().as_u128()).collect();
    assert_eq!(found, expected);
}

#[test]
fn only_desired_dynos_are_started() {
    let app = app(1, &[("web", 2), ("worker", 1), ("clock", 0)]);
    check(Some(&app), &[], &["create web.1", "create web.2", "create worker.1"]);
    let running = [row(1, "web.1", 1, Up), row(2, "web.2", 1, Starting), row(3, "worker.1", 1, Up)];
    check(Some(&app), &running, &[]);
    check(None, &running, &["stop 1", "stop 2", "stop 3"]);
}

#[test]
fn scaling_down_takes_the_last_ones() {
    let app = app(1, &[("web", 1)]);
    check(Some(&app), &[row(1, "web.1", 1, Up), row(2, "web.2", 1, Up)], &["stop 2"]);
}

#[test]
fn old_web_dynos_serve_until_all_new_ones_are_up() {
    let app = app(2, &[("web", 2)]);
    let mut rows = vec![row(1, "web.1", 1, Up), row(2, "web.2", 1, Up)];
    check(Some(&app), &rows, &["create web.1", "create web.2"]);
    rows.extend([row(3, "web.1", 2, Up), row(4, "web.2", 2, Starting)]);
    check(Some(&app), &rows, &[]);
    serve(&app, &rows, &[1, 2]);
    rows[3].state = Up;
    check(Some(&app), &rows, &["stop 1", "stop 2"]);
    serve(&app, &rows, &[3, 4]);
}

#[test]
fn a_release_that_does_not_come_up_leaves_the_old_one_serving() {
    let app = app(2, &[("web", 1)]);
    let mut crashed = row(2, "web.1", 2, Crashed);
    crashed.next_start_at = Some(now() + Duration::seconds(5));
    let rows = [row(1, "web.1", 1, Up), crashed];
    check(Some(&app), &rows, &[]);
    serve(&app, &rows, &[1]);
}

#[test]
fn workers_are_replaced_at_once() {
    let app = app(2, &[("worker", 1)]);
    check(Some(&app), &[row(1, "worker.1", 1, Up)], &["stop 1", "create worker.1"]);
}

#[test]
fn a_crashed_dyno_is_started_again_when_its_time_has_come() {
    let app = app(1, &[("web", 1)]);
    let mut crashed = row(1, "web.1", 1, Crashed);
    crashed.next_start_at = Some(now() + Duration::seconds(1));
    check(Some(&app), std::slice::from_ref(&crashed), &[]);
    crashed.next_start_at = Some(now());
    check(Some(&app), &[crashed], &["restart 1"]);
}

#[test]
fn a_restart_makes_a_fresh_dyno_before_the_old_one_goes() {
    let app = app(1, &[("web", 1)]);
    let mut old = row(1, "web.1", 1, Up);
    old.retiring_at = Some(now());
    check(Some(&app), std::slice::from_ref(&old), &["create web.1"]);
    check(Some(&app), &[old.clone(), row(2, "web.1", 1, Starting)], &[]);
    check(Some(&app), &[old, row(2, "web.1", 1, Up)], &["stop 1"]);
}

#[test]
fn another_size_means_other_dynos() {
    let app = app(1, &[("web", 1)]);
    let mut small = row(1, "web.1", 1, Up);
    small.size = "Basic".into();
    check(Some(&app), &[small], &["create web.1"]);
}

#[test]
fn a_dyno_that_does_not_stop_in_time_is_killed_once() {
    let app = app(1, &[]);
    let mut stopping = row(1, "web.1", 1, Down);
    stopping.stopping_at = Some(now() - Duration::seconds(29));
    check(Some(&app), std::slice::from_ref(&stopping), &[]);
    stopping.stopping_at = Some(now() - GRACE);
    check(Some(&app), std::slice::from_ref(&stopping), &["kill 1"]);
    stopping.killed_at = Some(now());
    check(Some(&app), &[stopping], &[]);
}

#[test]
fn what_somebody_asked_to_stop_is_told_once_and_replaced() {
    let app = app(1, &[("web", 1)]);
    let mut asked = row(1, "web.1", 1, Up);
    asked.stopping_at = Some(now());
    check(Some(&app), std::slice::from_ref(&asked), &["terminate 1", "create web.1"]);
    serve(&app, std::slice::from_ref(&asked), &[]);
    asked.state = Down;
    check(Some(&app), &[asked, row(2, "web.1", 1, Starting)], &[]);
}

#[test]
fn nothing_serves_when_web_is_scaled_to_zero() {
    let app = app(1, &[("web", 0)]);
    serve(&app, &[row(1, "web.1", 1, Up)], &[]);
    check(Some(&app), &[row(1, "web.1", 1, Up)], &["stop 1"]);
}

#[test]
fn pauses_double_from_one_second_to_five_minutes() {
    let pauses: Vec<i64> = (1..=11).map(|n| pause(n).num_seconds()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    let mut settled = row(1, "web.1", 1, Up);
    settled.crashes = 5;
    assert_eq!(crashes_after(&settled, now()), 6);
    assert_eq!(crashes_after(&settled, now() + Duration::minutes(11)), 1);
}

#[test]
fn one_that_waits_for_its_next_start_is_looked_at_then() {
    let mut rows = [row(1, "web.1", 1, Up), row(2, "web.2", 1, Crashed), row(3, "web.3", 1, Crashed)];
    assert_eq!(due(rows.iter(), now()), None);
    let [soon, late] = [1, 9].map(|n| Some(now() + Duration::seconds(n)));
    (rows[1].next_start_at, rows[2].next_start_at) = (late, soon);
    assert_eq!(due(rows.iter(), now()), soon);
    assert_eq!(due(rows.iter(), now() + Duration::seconds(2)), late);
    rows[0].stopping_at = Some(now());
    assert_eq!(due(rows[..1].iter(), now()), Some(now() + DRAIN));
    rows[0].state = Down;
    assert_eq!(due(rows[..1].iter(), now()), Some(now() + GRACE));
    assert_eq!(due(rows[..1].iter(), now() + GRACE), None);
    rows[1].stopping_at = Some(now());
    assert_eq!(due(rows.iter(), now()), Some(now()), "its row is to be removed");
}

#[test]
fn one_that_starts_is_looked_at_when_its_time_is_over() {
    let starting = |name| [row(1, name, 1, Starting)];
    assert_eq!(due(starting("web.1").iter(), now()), Some(now() + BOOT));
    assert_eq!(due(starting("web.1").iter(), now() + BOOT), None);
    assert_eq!(due(starting("worker.1").iter(), now()), Some(now()));
}

#[test]
fn sigterm_waits_for_the_router_and_for_requests_and_not_for_ever() {
    let mut stopping = row(1, "web.1", 1, Up);
    stopping.stopping_at = Some(now());
    let (busy, none): (&[SocketAddr], &[SocketAddr]) = (&["10.0.0.1:5000".parse().unwrap()], &[]);
    let (at_once, late) = (Some(Duration::zero()), Some(Duration::minutes(9)));
    let cases = [
        (None, None, UNREACHABLE, false),
        (None, at_once, DRAIN, false),
        (Some(busy), at_once, DRAIN, false),
        (Some(busy), late, Duration::minutes(9) + DRAIN, false),
        (Some(none), at_once, DRAIN, true),
    ];
    for (busy, removed_after, limit, may) in cases {
        let case = format!("{busy:?}, {removed_after:?}");
        let last = now() + limit - Duration::milliseconds(1);
        assert_eq!(may_terminate(&stopping, busy, removed_after, now()), may, "{case}");
        assert_eq!(may_terminate(&stopping, busy, removed_after, last), may, "{case}");
        assert!(may_terminate(&stopping, busy, removed_after, now() + limit), "{case}");
    }
    // Only these were ever in the table.
    for mut other in [row(1, "worker.1", 1, Up), row(1, "web.1", 1, Starting)] {
        other.stopping_at = Some(now());
        assert!(may_terminate(&other, None, None, now()));
    }
}

#[test]
fn one_that_is_being_stopped_is_not_killed_before_it_got_sigterm() {
    let app = app(1, &[]);
    let mut stopping = row(1, "web.1", 1, Up);
    stopping.stopping_at = Some(now() - DRAIN - GRACE);
    check(Some(&app), &[stopping], &["terminate 1"]);
}

#[test]
fn those_that_are_restarted_serve_with_the_others() {
    let app = app(1, &[("web", 3)]);
    let mut rows: Vec<Row> = (1..=3).map(|n| row(n, &format!("web.{n}"), 1, Up)).collect();
    rows[0].retiring_at = Some(now());
    rows.push(row(4, "web.1", 1, Starting));
    serve(&app, &rows, &[1, 2, 3]);
    rows[3].state = Up;
    check(Some(&app), &rows, &["stop 1"]);
    rows[0].stopping_at = Some(now());
    serve(&app, &rows, &[2, 3, 4]);
    check(Some(&app), &rows, &["terminate 1"]);
}

/// Steps as `(payer, app, name)`.
fn taken(
    steps: &[(u128, u128, &'static str)],
    last: Option<u128>,
    most: usize,
) -> (Vec<&'static str>, Option<AccountId>) {
    let steps = steps.iter().map(|(payer, app, name)| (AccountId::from_u128(*payer), AppId::from_u128(*app), *name));
    turns(steps.collect(), last.map(AccountId::from_u128), most, 3)
}

#[test]
fn payers_take_turns_and_so_do_their_apps() {
    let steps = [(1, 1, "a1"), (1, 1, "a2"), (1, 1, "a3"), (1, 1, "a4"), (1, 2, "b1"), (2, 3, "c1"), (2, 3, "c2")];
    assert_eq!(taken(&steps, None, 10).0, ["a1", "c1", "b1", "c2", "a2"]);
}

#[test]
fn everybody_has_a_turn_before_anybody_has_two() {
    let steps: Vec<_> = (1..=5).flat_map(|payer| [(payer, payer, "first"), (payer, payer, "second")]).collect();
    let mut last = None;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (now, next) = taken(&steps, last, 2);
        assert_eq!(now, ["first", "first"]);
        last = next.map(|payer| payer.get().as_u128());
        seen.push(last);
    }
    assert_eq!(seen, [Some(2), Some(4), Some(1), Some(3), Some(5)]);
}

#[test]
fn until_a_release_has_passed_only_its_web_dynos_run_beside_all_of_the_one_before() {
    let base = app(1, &[("web", 1), ("worker", 1), ("clock", 1)]);
    let app = trial(app(2, &[("web", 1), ("worker", 1), ("bell", 1)]), Rollout::Waiting, Some(base));
    let mut rows = vec![row(1, "web.1", 1, Up), row(2, "worker.1", 1, Up), row(3, "clock.1", 1, Up)];
    check(Some(&app), &rows, &["create web.1"]);
    rows.push(row(4, "web.1", 2, Up));
    check(Some(&app), &rows, &[]);
    serve(&app, &rows, &[4]);
    // Those of the release before are cared for meanwhile.
    rows[1].state = Crashed;
    rows.remove(2);
    check(Some(&app), &rows, &["restart 2", "create clock.1"]);
    // A release between the two is neither.
    rows = vec![row(1, "web.1", 1, Up), row(2, "worker.1", 1, Up), row(3, "clock.1", 1, Up)];
    rows.extend([row(5, "web.1", 2, Up), row(6, "web.1", 3, Starting)]);
    let later = App { release: ReleaseId::from_u128(103), version: 3, ..app.clone() };
    check(Some(&later), &rows, &["stop 5"]);
    // It serves for as long as nothing else does.
    rows[0].state = Crashed;
    rows[0].next_start_at = Some(now() + Duration::seconds(5));
    check(Some(&later), &rows, &[]);
    serve(&later, &rows, &[5]);
    (rows[0].state, rows[0].next_start_at) = (Up, None);
    // Then they are replaced together.
    rows.truncate(3);
    rows.push(row(4, "web.1", 2, Up));
    let passed = App { trial: None, ..app };
    check(Some(&passed), &rows, &["stop 3", "stop 1", "stop 2", "create worker.1", "create bell.1"]);
}

#[test]
fn a_first_release_starts_with_its_web_dynos() {
    let app = trial(app(1, &[("web", 1), ("worker", 1)]), Rollout::Waiting, None);
    check(Some(&app), &[], &["create web.1"]);
    let failed = trial(app.clone(), Rollout::Failed, None);
    let mut crashed = row(1, "web.1", 1, Crashed);
    crashed.next_start_at = Some(now());
    check(Some(&failed), &[crashed], &["restart 1"]);
}

#[test]
fn a_release_passes_when_all_its_web_dynos_have_been_up_for_the_watch_period() {
    let app = trial(app(2, &[("web", 2), ("worker", 1)]), Rollout::Waiting, None);
    let mut rows = vec![row(1, "web.1", 2, Up), row(2, "web.2", 2, Starting), row(3, "web.2", 1, Up)];
    assert_eq!(judged(&app, &rows, 60), None, "one of them is of another release");
    assert_eq!(watch_ends(&app, &rows), None);
    rows[1].state = Up;
    rows[1].updated_at = now() + Duration::seconds(5);
    assert_eq!(watch_ends(&app, &rows), Some(now() + Duration::seconds(15)));
    assert_eq!(judged(&app, &rows, 6), Some(Verdict::Up));
    let watched = trial(app.clone(), Rollout::Watching, None);
    assert_eq!(judged(&watched, &rows, 14), None);
    assert_eq!(judged(&watched, &rows, 15), Some(Verdict::Passed));
    assert_eq!(judged(&trial(app.clone(), Rollout::Failed, None), &rows, 15), Some(Verdict::Passed), "after all");
    assert_eq!(judged(&App { trial: None, ..app }, &rows, 15), None);
}

#[test]
fn a_release_without_web_dynos_has_nothing_to_wait_for() {
    for types in [&[("worker", 1)][..], &[("web", 0), ("worker", 1)], &[]] {
        let app = trial(app(2, types), Rollout::Waiting, Some(app(1, &[("web", 1)])));
        assert_eq!(judged(&app, &[], 0), Some(Verdict::Passed), "{types:?}");
    }
}

#[test]
fn a_release_fails_with_the_first_of_its_web_dynos() {
    let base = app(1, &[("web", 2)]);
    let mut rows = vec![row(1, "web.1", 1, Crashed), row(2, "web.1", 2, Up), row(3, "web.2", 2, Crashed)];
    rows.push(row(4, "worker.1", 2, Crashed));
    rows[2].last_exit = Some("Process exited with status 3".into());
    let failed = Verdict::Failed { dyno: "web.2".into(), why: "Process exited with status 3".into() };
    for rollout in [Rollout::Waiting, Rollout::Watching] {
        let app = trial(app(2, &[("web", 2)]), rollout, Some(base.clone()));
        assert_eq!(judged(&app, &rows, 0), Some(failed.clone()));
    }
    // It has been told.
    assert_eq!(judged(&trial(app(2, &[("web", 2)]), Rollout::Failed, None), &rows, 0), None);
    // Somebody has stopped it.
    rows[2].stopping_at = Some(now());
    assert_eq!(judged(&trial(app(2, &[("web", 2)]), Rollout::Waiting, Some(base)), &rows, 60), None);
}

#[test]
fn a_restart_of_the_machine_is_not_the_fault_of_a_release() {
    let app = trial(app(2, &[("web", 1)]), Rollout::Watching, Some(app(1, &[("web", 1)])));
    let mut lost = row(1, "web.1", 2, Crashed);
    lost.crashes = 1;
    for exit in [GONE, dyno::LOST] {
        lost.last_exit = Some(exit.into());
        assert_eq!(judged(&app, std::slice::from_ref(&lost), 0), None);
    }
    lost.crashes = 2;
    assert!(matches!(judged(&app, &[lost], 0), Some(Verdict::Failed { .. })));
}

#[test]
fn a_release_that_cannot_be_started_fails_in_the_end() {
    let app = trial(app(2, &[("web", 1)]), Rollout::Waiting, None);
    assert_eq!(judged(&app, &[], 899), None);
    let why = "not all web dynos were up after 15 minutes".into();
    assert_eq!(judged(&app, &[], 900), Some(Verdict::Failed { dyno: "web".into(), why }));
    assert_eq!(judged(&app, &[row(1, "web.1", 2, Up)], 900), Some(Verdict::Passed));
    assert_eq!(judged(&trial(app, Rollout::Failed, None), &[], 900), None);
}

#[test]
fn a_release_with_more_web_dynos_than_can_be_started_fails_in_the_end() {
    let app = trial(app(2, &[("web", 2)]), Rollout::Watching, None);
    let mut rows = [row(1, "web.1", 2, Up)];
    assert_eq!(judged(&app, &rows, 899), None);
    assert!(matches!(judged(&app, &rows, 900), Some(Verdict::Failed { .. })));
    rows[0].updated_at = now() + Duration::seconds(10);
    assert_eq!(judged(&app, &rows, 900), None);
}

#[test]
fn what_is_left_of_a_release_that_failed_serves_only_if_nothing_else_does() {
    let app = app(1, &[("web", 2)]);
    let mut rows = vec![row(1, "web.1", 1, Up), row(2, "web.2", 1, Crashed)];
    rows[1].next_start_at = Some(now() + Duration::seconds(5));
    rows.push(row(3, "web.1", 2, Up));
    check(Some(&app), &rows, &["stop 3"]);
    rows[0].state = Starting;
    check(Some(&app), &rows, &[]);
    serve(&app, &rows, &[3]);
}

#[test]
fn a_release_is_up_with_its_web_dynos_or_with_any_if_it_has_none() {
    let up = |rows: &[Row]| up_releases(rows.iter()).into_iter().map(|r| r.get().as_u128() - 100).collect::<Vec<_>>();
    let mut rows = vec![row(1, "worker.1", 1, Up), row(2, "web.1", 1, Starting), row(3, "worker.1", 2, Up)];
    assert_eq!(up(&rows), [2]);
    rows.swap(0, 1);
    assert_eq!(up(&rows), [2]);
    rows[0].state = Up;
    assert_eq!(up(&rows), [1, 2]);
    rows[0].stopping_at = Some(now());
    rows[2].state = Crashed;
    assert_eq!(up(&rows), [1], "what stops is not up, and then there are only workers");
}

#[test]
fn the_old_dynos_stand_by_while_the_new_ones_are_watched() {
    let base = app(1, &[("web", 1)]);
    let watched = trial(app(2, &[("web", 1)]), Rollout::Watching, Some(base));
    let ids =
        |app: &App, rows: &[Row]| standby(app, rows).into_iter().map(|row| row.id.get().as_u128()).collect::<Vec<_>>();
    let mut rows = vec![row(1, "web.1", 1, Up), row(2, "web.1", 2, Starting), row(3, "worker.1", 1, Up)];
    assert!(ids(&watched, &rows).is_empty(), "they serve");
    rows[1].state = Up;
    assert_eq!(ids(&watched, &rows), [1]);
    assert!(ids(&App { trial: None, ..watched.clone() }, &rows).is_empty());
    rows[0].state = Crashed;
    assert!(ids(&watched, &rows).is_empty());
}

#[test]
fn restarts_that_do_not_come_up_do_not_add_up() {
    let app = app(1, &[("web", 2)]);
    let mut rows: Vec<Row> = (1..=3).map(|n| row(n, "web.1", 1, Up)).collect();
    for (row, seconds) in rows.iter_mut().zip(0..) {
        (row.retiring_at, row.created_at) = (Some(now()), now() + Duration::seconds(seconds));
    }
    check(Some(&app), &rows, &["stop 1", "create web.1", "create web.2"]);
    rows[1].state = Starting;
    check(Some(&app), &rows, &["stop 2", "create web.1", "create web.2"]);
}
