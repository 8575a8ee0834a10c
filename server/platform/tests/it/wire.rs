//! Properties of every request: pages, ETags, ids, limits, and readable errors.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn lists_come_in_pages() {
    let t = World::start().await;
    t.app("dusk").await;
    for n in 2..=5 {
        t.owner.patch("/apps/dusk/config-vars", json!({ "N": n })).await;
    }
    let page = async |range: &str| {
        let answer = t.owner.ask("GET", "/apps/dusk/releases").header("range", range).await;
        let versions: Vec<i64> =
            answer.json().as_array().unwrap().iter().map(|r| r["version"].as_i64().unwrap()).collect();
        (answer.status, versions, answer.header("next-range").to_owned())
    };
    assert_eq!(page("").await, (200, vec![1, 2, 3, 4, 5], String::new()));
    assert_eq!(
        page("version ..; max=2, order=desc").await,
        (206, vec![5, 4], "version ]4..; max=2, order=desc".into())
    );
    assert_eq!(
        page("version ]4..; max=2, order=desc").await,
        (206, vec![3, 2], "version ]2..; max=2, order=desc".into())
    );
    assert_eq!(page("version ]2..; max=2, order=desc").await, (200, vec![1], String::new()));
    assert_eq!(page("nonsense").await.1, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn every_item_is_on_one_page_whatever_the_usual_order_is() {
    let t = World::start().await;
    // Their order by name differs from that by id.
    for name in ["ddd", "bbb", "eee", "aaa", "ccc"] {
        t.app(name).await;
    }
    let names = |list: Vec<api::apps::App>| list.into_iter().map(|a| a.name).collect::<Vec<_>>();
    assert_eq!(names(t.owner.app_list().await.unwrap()), ["aaa", "bbb", "ccc", "ddd", "eee"]);
    for range in ["id ..; max=2", "name ..; max=2", "; max=2"] {
        let mut all = names(t.owner.list("/apps".into(), Some(range)).await.unwrap());
        all.sort();
        assert_eq!(all, ["aaa", "bbb", "ccc", "ddd", "eee"], "{range}");
    }
}

#[tokio::test]
async fn unchanged_values_are_not_sent_again() {
    let t = World::start().await;
    t.app("dusk").await;
    let first = t.owner.get("/apps/dusk").await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"'));
    let again = async |tag: &str| t.owner.ask("GET", "/apps/dusk").header("if-none-match", tag).await;
    let same = again(&tag).await;
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(again(&format!("\"x\", W/{tag}")).await.status, 304);
    t.owner.patch("/apps/dusk", json!({ "maintenance": true })).await;
    assert_eq!(again(&tag).await.status, 200);
}

#[tokio::test]
async fn every_response_has_an_id_and_the_remaining_requests() {
    let t = World::start().await;
    let left = |answer: &crate::world::Answer| answer.header("ratelimit-remaining").parse::<i64>().unwrap();
    let first = t.owner.get("/account").await;
    let second = t.owner.get("/apps/nope").await;
    assert!(left(&first) > left(&second), "{first:?} {second:?}");
    let limit = t.owner.get("/account/rate-limits").await.json()["remaining"].as_i64().unwrap();
    assert!((4000..4500).contains(&limit), "{limit}");
    for answer in [first, second, t.anonymous.get("/account").await, t.anonymous.get("/nowhere").await] {
        assert!(answer.header("request-id").parse::<uuid::Uuid>().is_ok(), "{answer:?}");
        assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_explained() {
    let t = World::start().await;
    t.app("dusk").await;
    let post = async |body: &'static str| t.owner.ask("POST", "/apps").body(body).await.error();
    let (status, id, message) = post("{").await;
    assert_eq!((status, id.as_str()), (400, "bad_request"));
    assert!(message.starts_with("The request body is not valid JSON: "), "{message}");
    for (body, why) in [
        ("[1]", "The request body is not a JSON object."),
        ("\"x\"", "The request body is not a JSON object."),
        ("{\"name\": {}}", "The request body does not have the expected fields: "),
    ] {
        let (status, id, message) = post(body).await;
        assert_eq!((status, id.as_str()), (422, "invalid_params"));
        assert!(message.starts_with(why), "{message}");
    }
    assert_eq!(post("\u{0}").await.0, 400);
    // A missing body counts as an empty one.
    assert_eq!(t.owner.ask("POST", "/apps").await.status, 201);
    assert_eq!(t.owner.ask("POST", "/apps").body(vec![b' '; 5 << 20]).await.error().0, 400);
    for query in ["from=x", "step=fast", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"] {
        assert_eq!(t.owner.get(&format!("/apps/dusk/metrics?{query}")).await.error().0, 422, "{query}");
    }
    let metrics = t.owner.get("/apps/dusk/metrics?step=60").await.json();
    assert_eq!((&metrics["step"], &metrics["points"]), (&json!(60), &json!([])));
}

#[tokio::test]
async fn a_fault_of_ours_is_logged_and_not_shown() {
    let t = World::start().await;
    t.app("dusk").await;
    t.expects("request failed: use the database");
    sqlx::query("alter table log_drains rename to elsewhere").execute(&t.db).await.unwrap();
    let answer = t.owner.get("/apps/dusk/log-drains").await;
    let (status, id, message) = answer.error();
    assert_eq!((status, id.as_str()), (500, "internal_server_error"));
    assert!(message.contains(answer.header("request-id")), "{message}");
    assert!(!message.contains("log_drains"), "{message}");
    assert_eq!(t.owner.get("/account").await.status, 200);
}
