//! `ps:scale` and `ps:type`: the desired number and size of dynos.

use anyhow::{Result, bail};
use api::formation::{Formation, FormationBatchUpdate, FormationUpdate, Quantity};
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Action, Table, app as named, heading},
};

/// Shows or changes the number of dynos
///
/// web=2 sets the number, worker+1 and worker-1 adjust it, web=3:standard-2x also changes the size.
/// Either all changes are applied or none.
#[derive(Args)]
pub struct Scale {
    /// Process types and quantities
    #[arg(value_name = "TYPE=QTY[:SIZE]")]
    changes: Vec<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Scale {
    /// `ps:scale`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let updates = self.changes.iter().map(|c| parse_scale(c)).collect::<Result<Vec<_>>>()?;
        let name = self.app.app(cx)?;
        if updates.is_empty() {
            return show(cx, &name).await;
        }
        let action = Action::start("Scaling dynos");
        let kinds: Vec<Option<String>> = updates.iter().map(|u| u.kind.clone()).collect();
        let mut changed = cx.client()?.formation_batch_update(&name, &FormationBatchUpdate { updates }).await?;
        changed.retain(|f| kinds.contains(&Some(f.kind.clone())));
        let now = changed.iter().map(|f| format!("{} at {}:{}", f.kind, f.quantity, f.size)).collect::<Vec<_>>();
        action.done_with(format!("now running {}", now.join(", ")));
        if cx.json { output::json(&changed) } else { Ok(()) }
    }
}

async fn show(cx: &Context, name: &str) -> Result<()> {
    let mut formation = cx.client()?.formation_list(name).await?;
    if cx.json {
        return output::json(&formation);
    }
    // The release phase cannot be scaled.
    formation.retain(|f| f.kind != "release");
    if formation.is_empty() {
        bail!("No process types on {}. Deploy a Procfile that declares some.", named(name));
    }
    out!("{}", formation.iter().map(|f| format!("{}={}:{}", f.kind, f.quantity, f.size)).collect::<Vec<_>>().join(" "));
    Ok(())
}

/// Reads `web=2`, `worker+1`, `my-type-1`, `web=3:standard-2x`.
fn parse_scale(text: &str) -> Result<FormationUpdate> {
    let wrong = || {
        anyhow::anyhow!(
            "{text} is not a valid quantity. Use a format like web=2, worker+1, worker-1 or web=2:Standard-2X"
        )
    };
    let (change, size) = match text.split_once(':') {
        Some((_, "")) => return Err(wrong()),
        Some((change, size)) => (change, Some(size.to_owned())),
        None => (text, None),
    };
    // The last sign followed only by digits: process types may contain dashes.
    let at = change.rfind(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (kind, number) = (&change[..at], change[at..].trim_start_matches('='));
    let has_sign = matches!(change.as_bytes()[at], b'=' | b'+' | b'-');
    let is_kind = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let quantity = Quantity::parse(number).filter(|_| has_sign && is_kind).ok_or_else(wrong)?;
    Ok(FormationUpdate { kind: Some(kind.into()), quantity: Some(quantity), size, dyno_size: None })
}

/// Shows or changes the size of dynos
#[derive(Args)]
pub struct Type {
    /// One size for all, or sizes per process type
    #[arg(value_name = "SIZE|TYPE=SIZE")]
    changes: Vec<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Type {
    /// `ps:type`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let mut formation = client.formation_list(&name).await?;
        if !self.changes.is_empty() {
            let updates = parse_sizes(&self.changes, &formation)?;
            let action = Action::start(format!("Scaling dynos on {}", named(&name)));
            client.formation_batch_update(&name, &FormationBatchUpdate { updates }).await?;
            action.done();
            formation = client.formation_list(&name).await?;
        }
        if cx.json {
            return output::json(&formation);
        }
        heading("Process Types");
        let mut table = Table::new(&["Type", "Size", "Qty", "Command"]);
        for f in &formation {
            table.row([(&f.kind).into(), (&f.size).into(), f.quantity.into(), (&f.command).into()]);
        }
        table.print();
        Ok(())
    }
}

fn parse_sizes(changes: &[String], formation: &[Formation]) -> Result<Vec<FormationUpdate>> {
    let update = |kind: &str, size: &str| FormationUpdate {
        kind: Some(kind.into()),
        size: Some(size.into()),
        ..Default::default()
    };
    if let [size] = changes
        && !size.contains('=')
    {
        return Ok(formation.iter().map(|f| update(&f.kind, size)).collect());
    }
    let one = |change: &String| match change.split_once('=') {
        Some((kind, size)) if !kind.is_empty() && !size.is_empty() => Ok(update(kind, size)),
        _ => {
            bail!("{change} is not a valid size. Use a format like web=Standard-2X, or one size for all process types")
        }
    };
    changes.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Quantity, Option<&str>)>) {
        let read = parse_scale(text).ok();
        let read = read.as_ref().map(|u| (u.kind.as_deref().unwrap(), u.quantity.unwrap(), u.size.as_deref()));
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn scale_uses_herokus_syntax() {
        check("web=2", Some(("web", Quantity::To(2), None)));
        check("web=0", Some(("web", Quantity::To(0), None)));
        check("worker+1", Some(("worker", Quantity::By(1), None)));
        check("worker-10", Some(("worker", Quantity::By(-10), None)));
        check("my-worker-1", Some(("my-worker", Quantity::By(-1), None)));
        check("job_2=3", Some(("job_2", Quantity::To(3), None)));
        check("web=3:standard-2x", Some(("web", Quantity::To(3), Some("standard-2x"))));
        for bad in ["web", "web=", "=2", "2", "web=two", "web=2:", "web 2", "we b=2", "web==2", ""] {
            check(bad, None);
        }
    }

    #[test]
    fn sizes_apply_to_one_type_or_all() {
        let sizes = parse_sizes(&["web=Basic".into(), "worker=Standard-2X".into()], &[]).unwrap();
        let sizes: Vec<_> = sizes.iter().map(|u| (u.kind.as_deref(), u.size.as_deref(), u.quantity)).collect();
        assert_eq!(sizes, [(Some("web"), Some("Basic"), None), (Some("worker"), Some("Standard-2X"), None)]);
        assert!(parse_sizes(&["web=".into()], &[]).is_err());
        assert!(parse_sizes(&["a".into(), "b".into()], &[]).is_err());
    }
}
