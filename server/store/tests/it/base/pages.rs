//! Pagination: whatever the order and the page, every row is returned exactly once.

use std::collections::BTreeSet;

use api::{
    dynos::DynoState,
    ids::{AccountId, AppId, CollaboratorId, TeamId, TeamMemberId},
    team_members::Role,
};
use sqlx::AssertSqlSafe;
use store::{
    apps, builds, collaborators, dynos,
    pages::{Bound, Page, Range},
    releases, team_members,
};

use crate::world::{World, account, at};

/// Rows of one list: enough to cover all page boundaries.
const ROWS: i32 = 201;

impl World {
    async fn run(&self, sql: &str, app: AppId) {
        let sql = sql.replace("$rows", &ROWS.to_string());
        sqlx::query(AssertSqlSafe(sql)).bind(app).bind(self.account.id).execute(&self.db).await.unwrap();
    }

    /// Releases, half of them with the same timestamp, so that positions cannot be told apart by it.
    async fn releases(&self, app: AppId) {
        self.config(app, b"sealed").await;
        self.run(
            "insert into releases (id, app_id, version, status, description, account_id, config_id, created_at,
                                   updated_at)
             select gen_random_uuid(), $1, n, 'succeeded', '', $2, c.id, to_timestamp(n / 100), to_timestamp(0)
             from configs c, generate_series(1, $rows) n where c.app_id = $1",
            app,
        )
        .await;
    }
}

/// Walks a list and returns its rows, in order.
async fn walk<T, K>(
    first: Range,
    mut fetch: impl AsyncFnMut(&Range) -> sqlx::Result<Page<T>>,
    key: impl Fn(&T) -> K,
) -> Vec<K> {
    let (mut found, mut next) = (Vec::new(), Some(first));
    while let Some(range) = next {
        let page = fetch(&range).await.unwrap();
        assert!(page.rows.len() <= range.max());
        assert!(!page.has_more || page.rows.len() == range.max());
        next = page.next(&range);
        found.extend(page.rows.iter().map(&key));
    }
    found
}

#[tokio::test]
async fn every_order_of_a_list_has_each_row_once() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    w.releases(app).await;
    for order in releases::LIST.orders {
        for (max, descending) in
            [(1, false), (7, false), (7, true), (67, true), (100, false), (200, true), (201, false)]
        {
            let range = Range::first(&releases::LIST).by(order).turned(descending).at_most(max);
            let fetch = async |range: &Range| releases::release_list(&w.db, app, range).await;
            let found = walk(range, fetch, |row| row.version).await;
            assert_eq!(found.len(), ROWS as usize, "{} {max} {descending}", order.field);
            assert_eq!(BTreeSet::from_iter(&found).len(), found.len(), "{} {max} {descending}", order.field);
            if order.field == "version" {
                assert!(found.is_sorted_by(|a, b| if descending { a > b } else { a < b }), "{found:?}");
            }
        }
    }
}

#[tokio::test]
async fn bounds_are_inclusive_or_exclusive() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    w.releases(app).await;
    let order = releases::LIST.order("version").unwrap();
    let bound = |n: i32, excludes| Bound::parse(order, &n.to_string(), None, excludes);
    let check = async |start, end, descending, expected: &[i32]| {
        let range = Range::first(&releases::LIST).turned(descending).between(start, end);
        let page = releases::release_list(&w.db, app, &range).await.unwrap();
        assert_eq!(page.rows.iter().map(|r| r.version).collect::<Vec<_>>(), expected);
    };
    check(bound(199, false), None, false, &[199, 200, 201]).await;
    check(bound(199, true), None, false, &[200, 201]).await;
    check(bound(4, true), bound(6, false), false, &[5, 6]).await;
    check(bound(4, false), bound(6, true), false, &[4, 5]).await;
    check(bound(3, false), None, true, &[3, 2, 1]).await;
    check(bound(3, true), bound(2, false), true, &[2]).await;
    check(bound(9, false), bound(2, false), false, &[]).await;
}

#[tokio::test]
async fn text_from_outside_is_a_value_and_nothing_else() {
    let w = World::start().await;
    w.app("dusk").await;
    let hostile = "x'; drop table apps; --";
    let name = apps::LIST.order("name").unwrap();
    let range = Range::first(&apps::LIST).between(Bound::parse(name, hostile, None, true), None);
    let viewer = apps::Viewer { account: w.account.id, admin: false, permissions: &[] };
    assert!(apps::app_list(&w.db, &viewer, &apps::Filter::default(), &range).await.unwrap().rows.is_empty());
    assert!(apps::app_by_name(&w.db, "dusk").await.unwrap().is_some());
    assert!(Bound::parse(name, "a\0b", None, true).is_none());
    assert!(apps::LIST.order("name; drop table apps").is_none());
}

#[tokio::test]
async fn dynos_are_shown_once_by_name_and_in_the_order_of_their_numbers() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    w.release(app, "succeeded", None).await;
    for state in ["up", "starting"] {
        w.run(
            &format!(
                "insert into dynos (id, app_id, name, type, ordinal, size, command, release_id, version, state, run_id,
                                    created_at, updated_at)
                 select gen_random_uuid(), $1, 'web.' || n, 'web', n, 'Basic', 'x', r.id, 1, '{state}',
                        gen_random_uuid(), to_timestamp(0), to_timestamp(0)
                 from generate_series(1, $rows) n, releases r where r.app_id = $1 and r.account_id = $2"
            ),
            app,
        )
        .await;
    }
    let fetch = async |range: &Range| dynos::dyno_list_shown(&w.db, app, range).await;
    let found = walk(Range::first(&dynos::LIST).at_most(50), fetch, |row| (row.ordinal, row.state)).await;
    assert_eq!(found, (1..=ROWS).map(|n| (n, DynoState::Up)).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_owner_is_the_first_of_those_who_work_on_an_app() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    w.run(
        "with made as (insert into accounts (id, email, created_at, updated_at)
             select gen_random_uuid(), 'a' || n || '@example.com', now(), now() from generate_series(1, $rows) n
             where $1::uuid is not null and $2::uuid is not null returning id)
         insert into collaborators (id, app_id, account_id, permissions, created_at, updated_at)
         select gen_random_uuid(), $1, id, '{view}', now(), now() from made",
        app,
    )
    .await;
    let owner = collaborators::Owner {
        id: CollaboratorId::now_v7(),
        account: w.account.id.get(),
        email: "z@z",
        permissions: &["manage"],
    };
    for order in collaborators::LIST.orders {
        let fetch = async |range: &Range| collaborators::collaborator_list(&w.db, app, &owner, range).await;
        let found = walk(Range::first(&collaborators::LIST).by(order).at_most(20), fetch, |row| row.id).await;
        assert_eq!(BTreeSet::from_iter(&found).len(), ROWS as usize + 1, "{}", order.field);
        assert!(order.field != "user" || found[0] == owner.id);
    }
}

#[tokio::test]
async fn the_access_to_a_teams_apps_is_listed_pair_by_pair() {
    let w = World::start().await;
    let (acme, outside) = (TeamId::now_v7(), account("out@example.com"));
    store::accounts::account_create(&w.db, &outside).await.unwrap();
    store::teams::team_create(&w.db, acme, "acme", w.account.id, at(0)).await.unwrap();
    for name in ["dawn", "dusk", "noon"] {
        let app = w.app(name).await;
        apps::app_set_owner(&w.db, app, None, Some(acme), at(0)).await.unwrap();
        let given = ["view".to_owned()];
        collaborators::collaborator_save(&w.db, CollaboratorId::now_v7(), app, outside.id, &given, at(0))
            .await
            .unwrap();
    }
    team_members::team_member_save(&w.db, TeamMemberId::now_v7(), acme, w.account.id, Role::Admin, at(0))
        .await
        .unwrap();
    let viewer = apps::Viewer { account: w.account.id, admin: false, permissions: &["view"] };
    let fetch = async |range: &Range| team_members::team_access_list(&w.db, acme, &viewer, range).await;
    let range = Range::first(&team_members::ACCESS_LIST).at_most(1);
    let found = walk(range, fetch, |row| format!("{} {} {}", row.app, row.email, row.role.is_some())).await;
    let pairs = ["dawn", "dusk", "noon"]
        .map(|app| [format!("{app} ada@example.com true"), format!("{app} out@example.com false")]);
    assert_eq!(found, pairs.concat());
    let stranger = apps::Viewer { account: AccountId::now_v7(), admin: false, permissions: &["view"] };
    let page = team_members::team_access_list(&w.db, acme, &stranger, &Range::first(&team_members::ACCESS_LIST)).await;
    assert!(page.unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_list_of_builds_holds_a_line_of_each_description() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    w.run(
        "insert into builds (id, app_id, number, status, account_id, stack, buildpacks, source_description, created_at,
                             updated_at)
         select gen_random_uuid(), $1, n, 'pending', $2, 'x', '{}', repeat('x', 100000), to_timestamp(n), now()
         from generate_series(1, $rows) n",
        app,
    )
    .await;
    let page = builds::build_list(&w.db, app, &Range::first(&builds::LIST)).await.unwrap();
    assert_eq!((page.rows.len(), page.has_more), (200, true));
    assert!(page.rows.iter().all(|row| row.source_description.as_ref().is_some_and(|d| d.len() == 200)));
    assert_eq!(page.rows.iter().map(|row| row.queue_position).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
}
