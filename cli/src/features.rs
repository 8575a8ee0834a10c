//! `features`: an app's feature flags.

use anyhow::{Result, bail};
use api::features::FeatureUpdate;
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Action, Cell, DIM, GREEN, NONE, Table, app as named, heading},
};

/// Lists the features of an app
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    app: AppFlags,
}

impl List {
    /// `features`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let features = cx.client()?.feature_list(&name).await?;
        if cx.json {
            return output::json(&features);
        }
        heading(format!("App Features {}", named(&name)));
        let mut table = Table::new(&[]);
        for feature in &features {
            let (mark, colour) = if feature.enabled { ("[+]", GREEN) } else { ("[ ]", NONE) };
            table.row([Cell::new(mark, colour), (&feature.name).into(), Cell::new(&feature.description, DIM)]);
        }
        table.print();
        Ok(())
    }
}

/// Enables a feature
#[derive(Args)]
pub struct Enable {
    /// Name of the feature: see wharf features
    feature: String,
    #[command(flatten)]
    app: AppFlags,
}

impl Enable {
    /// `features:enable`
    pub async fn run(self, cx: &Context) -> Result<()> {
        switch(cx, &self.app, &self.feature, true).await
    }
}

/// Disables a feature
#[derive(Args)]
pub struct Disable {
    /// Name of the feature: see wharf features
    feature: String,
    #[command(flatten)]
    app: AppFlags,
}

impl Disable {
    /// `features:disable`
    pub async fn run(self, cx: &Context) -> Result<()> {
        switch(cx, &self.app, &self.feature, false).await
    }
}

async fn switch(cx: &Context, flags: &AppFlags, feature: &str, on: bool) -> Result<()> {
    let name = flags.app(cx)?;
    let client = cx.client()?;
    let (verb, word) = if on { ("Enabling", "enabled") } else { ("Disabling", "disabled") };
    if client.feature_list(&name).await?.iter().any(|f| f.name == feature && f.enabled == on) {
        bail!("{feature} is already {word}.");
    }
    let action = Action::start(format!("{verb} {feature} for {}", named(&name)));
    let update = FeatureUpdate { enabled: Some(on) };
    let feature = client.feature_update(&name, feature, &update).await?;
    action.finish(cx.json, &feature)
}
