//! `quotas`: limits and usage of accounts and teams.

use anyhow::{Result, bail};
use api::{
    Client,
    quotas::{self, Quota, QuotaUpdate},
};
use clap::Args;

use crate::{
    context::Context,
    output::{self, Action, Cell, DIM, GREEN, NONE, RED, Table, YELLOW},
};

/// Selects the owner of quotas.
#[derive(Args)]
pub struct OwnerFlags {
    /// The quotas of a team
    #[arg(short, long, value_name = "TEAM", conflicts_with_all = ["user", "default"])]
    team: Option<String>,
    /// The quotas of a user, by email address
    #[arg(short, long, value_name = "USER", conflicts_with = "default")]
    user: Option<String>,
    /// The defaults, for everybody without quotas of their own
    #[arg(short, long)]
    default: bool,
}

impl OwnerFlags {
    /// The owner, as part of a sentence.
    fn describe(&self) -> String {
        match (&self.team, &self.user) {
            (Some(team), _) => format!("the team {team}"),
            (None, Some(user)) => user.clone(),
            (None, None) => "the defaults".into(),
        }
    }

    async fn list(&self, client: &Client) -> Result<Vec<Quota>> {
        Ok(match (&self.team, &self.user) {
            (Some(team), _) => client.team_quota_list(team).await?,
            (None, Some(user)) => client.user_quota_list(user).await?,
            (None, None) if self.default => client.quota_list().await?,
            (None, None) => client.user_quota_list("~").await?,
        })
    }

    async fn update(&self, client: &Client, update: &QuotaUpdate) -> Result<Vec<Quota>> {
        Ok(match (&self.team, &self.user) {
            (Some(team), _) => client.team_quota_update(team, update).await?,
            (None, Some(user)) => client.user_quota_update(user, update).await?,
            (None, None) if self.default => client.quota_update(update).await?,
            (None, None) => bail!("Whose quotas? Add --user USER, --team TEAM, or --default."),
        })
    }
}

/// Shows quotas and their usage: your own, or those of a user or a team
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    owner: OwnerFlags,
}

impl List {
    /// `quotas`
    pub async fn run(self, cx: &Context) -> Result<()> {
        show(cx, &self.owner.list(cx.client()?).await?, self.owner.default)
    }
}

/// Sets quotas (administrators only)
#[derive(Args)]
pub struct Set {
    /// What to set, e.g. apps=20 memory_mb=8GB
    #[arg(required = true, value_name = "NAME=VALUE")]
    pairs: Vec<String>,
    #[command(flatten)]
    owner: OwnerFlags,
}

impl Set {
    /// `quotas:set`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let update = self.pairs.iter().map(|pair| parse(pair)).collect::<Result<QuotaUpdate>>()?;
        change(cx, &self.owner, "Setting", &update).await
    }
}

/// Resets quotas to the defaults
#[derive(Args)]
pub struct Unset {
    /// Names of quotas
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    owner: OwnerFlags,
}

impl Unset {
    /// `quotas:unset`
    pub async fn run(self, cx: &Context) -> Result<()> {
        if let Some(name) = self.names.iter().find(|name| name.contains('=')) {
            bail!("{name} is not the name of a quota. Use names only: wharf quotas:unset apps");
        }
        let update: QuotaUpdate = self.names.iter().map(|name| (name.clone(), None)).collect();
        change(cx, &self.owner, "Resetting", &update).await
    }
}

fn parse(pair: &str) -> Result<(String, Option<i64>)> {
    let Some((name, text)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        bail!("{pair} is invalid. Must be in the format NAME=VALUE, e.g. wharf quotas:set apps=20");
    };
    match quotas::amount(name, text) {
        Some(most) => Ok((name.to_owned(), Some(most))),
        None => {
            bail!("{text:?} is not a valid amount. Use a whole number; sizes can also be written like 512MB or 20GB.")
        }
    }
}

async fn change(cx: &Context, owner: &OwnerFlags, doing: &str, update: &QuotaUpdate) -> Result<()> {
    let client = cx.client()?;
    let names: Vec<&str> = update.keys().map(String::as_str).collect();
    let action = Action::start(format!("{doing} {} of {}", names.join(", "), owner.describe()));
    let mut now = owner.update(client, update).await?;
    action.done();
    now.retain(|quota| update.contains_key(&quota.name));
    show(cx, &now, owner.default)
}

/// A human-readable amount: sizes in a suitable unit.
fn amount(quota: &Quota, n: i64) -> String {
    quotas::bytes(&quota.name, n).map_or_else(|| n.to_string(), output::bytes)
}

/// How full a quota is, as a colour.
fn colour(quota: &Quota) -> &'static str {
    match quota.most {
        Some(most) if quota.used >= most => RED,
        Some(most) if quota.used.saturating_mul(10) >= most.saturating_mul(8) => YELLOW,
        Some(_) => GREEN,
        None => NONE,
    }
}

fn show(cx: &Context, all: &[Quota], is_default: bool) -> Result<()> {
    if cx.json {
        return output::json(&all);
    }
    let most = |quota: &Quota| quota.most.map_or_else(|| "no limit".into(), |most| amount(quota, most));
    if is_default {
        let mut table = Table::new(&["Quota", "Limit", ""]);
        for quota in all {
            table.row([(&quota.name).into(), most(quota).into(), Cell::new(&quota.description, DIM)]);
        }
        table.print();
        return Ok(());
    }
    let mut table = Table::new(&["Quota", "Used", "Limit", "", ""]);
    for quota in all {
        table.row([
            (&quota.name).into(),
            Cell::new(amount(quota, quota.used), colour(quota)),
            most(quota).into(),
            Cell::new(if quota.is_own { "custom" } else { "" }, DIM),
            Cell::new(&quota.description, DIM),
        ]);
    }
    table.print();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_amounts_with_names() {
        assert_eq!(parse("apps=20").unwrap(), ("apps".into(), Some(20)));
        assert_eq!(parse("memory_mb=8GB").unwrap(), ("memory_mb".into(), Some(8192)));
        for bad in ["apps", "=20", "apps=", "apps=many", "apps=-1", "apps=2GB"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nearly_full_quotas_are_coloured() {
        let quota = |used, most| Quota { name: "apps".into(), description: String::new(), most, used, is_own: false };
        let all = [quota(1, Some(10)), quota(8, Some(10)), quota(10, Some(10)), quota(0, Some(0)), quota(9, None)];
        assert_eq!(all.map(|q| colour(&q)), [GREEN, YELLOW, RED, RED, NONE]);
    }
}
