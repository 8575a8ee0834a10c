//! Formation: every query.

use std::collections::BTreeMap;

use api::ids::FormationId;
use store::formation::*;

use crate::world::{World, all, at};

#[tokio::test]
async fn formation() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let replace = async |types: &[(&str, &str)]| {
        let types: BTreeMap<String, String> = types.iter().map(|(t, c)| (t.to_string(), c.to_string())).collect();
        formation_replace(&mut w.db.acquire().await.unwrap(), app, &types, FormationId::now_v7, at(1)).await.unwrap();
        let rows = formation_list(&w.db, app).await.unwrap();
        rows.iter().map(|r| format!("{} {} {} {}", r.kind, r.quantity, r.size, r.command)).collect::<Vec<_>>()
    };
    let first = replace(&[("web", "a"), ("worker", "b")]).await;
    assert_eq!(first, ["web 1 Standard-1X a", "worker 0 Standard-1X b"]);
    let web = formation_list(&w.db, app).await.unwrap().remove(0);
    formation_scale(&w.db, web.id, 3, "Basic", at(2)).await.unwrap();
    let broken = formation_scale(&w.db, web.id, 101, "Basic", at(2)).await.unwrap_err();
    assert_eq!(store::broken_constraint(&broken).as_deref(), Some("formation_quantity_check"));
    assert_eq!(replace(&[("web", "c"), ("clock", "d")]).await, ["clock 0 Standard-1X d", "web 3 Basic c"]);
    let page = formation_page(&w.db, app, &all(&LIST)).await.unwrap();
    assert_eq!(page.rows, formation_list(&w.db, app).await.unwrap());
    assert_eq!(formation_of(&w.db, &[app]).await.unwrap(), page.rows);
    assert_eq!(formation_all(&w.db, None).await.unwrap().len(), 2);
    assert_eq!(formation_all(&w.db, Some(&[app])).await.unwrap(), page.rows);
    assert!(formation_all(&w.db, Some(&[])).await.unwrap().is_empty());
    assert!(replace(&[]).await.is_empty());
    // Earlier quantities come back with the process type; only unknown types start fresh.
    assert_eq!(replace(&[("web", "e"), ("bell", "f")]).await, ["bell 0 Standard-1X f", "web 3 Basic e"]);
    let web = formation_list(&w.db, app).await.unwrap().remove(1);
    formation_scale(&w.db, web.id, 0, "Basic", at(2)).await.unwrap();
    replace(&[("worker", "b")]).await;
    assert_eq!(replace(&[("web", "e")]).await, ["web 0 Basic e"]);
    // Even if `web` was missing in the Procfile before, it gets a dyno once it is there.
    let late = w.app("dawn").await;
    for types in [BTreeMap::from([("worker".into(), "b".into())]), BTreeMap::from([("web".into(), "e".into())])] {
        formation_replace(&mut w.db.acquire().await.unwrap(), late, &types, FormationId::now_v7, at(1)).await.unwrap();
    }
    assert_eq!(formation_list(&w.db, late).await.unwrap()[0].quantity, 1);
}
