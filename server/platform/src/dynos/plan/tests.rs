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
    App { id: AppId::from_u128(1), release: ReleaseId::from_u128(100 + version as u128), version, types }
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
    let last = now() + DRAIN - Duration::milliseconds(1);
    for (busy, may) in [(None, false), (Some(busy), false), (Some(none), true)] {
        assert_eq!(may_terminate(&stopping, busy, now()), may, "{busy:?}");
        assert_eq!(may_terminate(&stopping, busy, last), may, "{busy:?}");
        assert!(may_terminate(&stopping, busy, now() + DRAIN), "{busy:?}");
    }
    // Only these were ever in the table.
    for mut other in [row(1, "worker.1", 1, Up), row(1, "web.1", 1, Starting)] {
        other.stopping_at = Some(now());
        assert!(may_terminate(&other, None, now()));
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
