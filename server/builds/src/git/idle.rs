//! Process types of a first push that do not run yet: only web is started without being asked to.

use repositories::hook::Push;

/// Lines about process types at 0, for the first push to a branch; none if web is missing, which has its own lines.
pub(super) fn types_at_zero(push: &Push, formation: &[store::formation::Row], app: &str) -> Vec<String> {
    let is_first = push.old.bytes().all(|b| b == b'0');
    let runs_web = formation.iter().any(|process| process.kind == "web" && process.quantity > 0);
    let idle = formation.iter().filter(|process| process.kind != "release" && process.quantity == 0);
    let idle: Vec<&str> = idle.map(|process| process.kind.as_str()).collect();
    if !is_first || !runs_web || idle.is_empty() {
        return Vec::new();
    }
    let scaled = idle.iter().map(|kind| format!("{kind}=1")).collect::<Vec<_>>().join(" ");
    vec![
        format!("       Not started, because only web starts by itself: {}", idle.join(", ")),
        format!("       To start them: wharf ps:scale {scaled} --app {app}"),
    ]
}

#[cfg(test)]
mod tests {
    use api::ids::{AppId, FormationId};
    use chrono::Utc;

    use super::*;

    #[test]
    fn only_a_first_push_names_what_does_not_run() {
        let row = |kind: &str, quantity| store::formation::Row {
            id: FormationId::nil(),
            app_id: AppId::nil(),
            kind: kind.into(),
            command: "run".into(),
            quantity,
            size: "Basic".into(),
            created_at: Utc::now(),
            updated_at: Utc::now(),
        };
        let push = |old: &str| Push { name: "refs/heads/main".into(), old: old.into(), new: "1".into(), wait: None };
        let all = [row("clock", 0), row("release", 0), row("web", 1), row("worker", 0)];
        let said = types_at_zero(&push("0000"), &all, "dusk");
        assert_eq!(said[0], "       Not started, because only web starts by itself: clock, worker");
        assert_eq!(said[1], "       To start them: wharf ps:scale clock=1 worker=1 --app dusk");
        assert!(types_at_zero(&push("12ab"), &all, "dusk").is_empty());
        assert!(types_at_zero(&push("0000"), &all[1..3], "dusk").is_empty());
        assert!(types_at_zero(&push("0000"), &[row("worker", 0)], "dusk").is_empty());
    }
}
