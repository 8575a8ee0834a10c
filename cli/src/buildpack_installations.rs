//! `buildpacks`: the buildpacks of an app.

use anyhow::{Result, bail};
use api::buildpack_installations::BuildpackInstallation;
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, app as named, heading, note},
};

/// Lists the buildpacks of an app
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    app: AppFlags,
}

impl List {
    /// `buildpacks`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let list = cx.client()?.buildpack_installation_list(&name).await?;
        if cx.json {
            return output::json(&list);
        }
        if list.is_empty() {
            out!("{} has no buildpacks. The next build detects one.", named(&name));
            return Ok(());
        }
        heading(format!("{name} Buildpack{}", if list.len() == 1 { "" } else { "s" }));
        show(&urls(&list));
        Ok(())
    }
}

fn urls(list: &[BuildpackInstallation]) -> Vec<String> {
    let url = |b: &BuildpackInstallation| b.buildpack.url.clone().or_else(|| b.buildpack.name.clone());
    list.iter().filter_map(url).collect()
}

fn short(url: &str) -> &str {
    url.strip_prefix("urn:buildpack:").unwrap_or(url)
}

fn show(urls: &[String]) {
    match urls {
        [url] => out!("{}", short(url)),
        urls => urls.iter().enumerate().for_each(|(i, url)| out!("{}. {}", i + 1, short(url))),
    }
}

/// The zero-based position of an index in a list of `length`; one past the end is valid.
fn position(index: Option<u16>, default: usize, length: usize) -> Result<usize> {
    match index.map(|index| usize::from(index) - 1) {
        None => Ok(default),
        Some(at) if at <= length => Ok(at),
        Some(_) => {
            let packs = if length == 1 { "1 buildpack".to_owned() } else { format!("{length} buildpacks") };
            bail!("Invalid index. Your app has {packs}, so it must be from 1 to {}.", length + 1)
        }
    }
}

/// An error if `urls` contains the buildpack anywhere but at `position`, where it is set.
fn reject_duplicate(urls: &[String], position: Option<usize>, buildpack: &str) -> Result<()> {
    if urls.iter().enumerate().any(|(i, url)| Some(i) != position && short(url) == short(buildpack)) {
        bail!("The buildpack {} is already set on your app.", short(buildpack));
    }
    Ok(())
}

/// Sets the app's buildpack, or replaces the one at an index
#[derive(Args)]
pub struct Set {
    /// Name or git URL
    buildpack: String,
    #[command(flatten)]
    app: AppFlags,
    /// Position in the list, from 1
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    index: Option<u16>,
}

impl Set {
    /// `buildpacks:set`
    pub async fn run(self, cx: &Context) -> Result<()> {
        change(cx, &self.app, "set", |urls| {
            let at = position(self.index, 0, urls.len())?;
            reject_duplicate(urls, Some(at), &self.buildpack)?;
            match urls.get_mut(at) {
                Some(old) => *old = self.buildpack.clone(),
                None => urls.push(self.buildpack.clone()),
            }
            Ok(())
        })
        .await
    }
}

/// Adds a buildpack at the end, or at an index
#[derive(Args)]
pub struct Add {
    /// Name or git URL
    buildpack: String,
    #[command(flatten)]
    app: AppFlags,
    /// Position in the list, from 1
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    index: Option<u16>,
}

impl Add {
    /// `buildpacks:add`
    pub async fn run(self, cx: &Context) -> Result<()> {
        change(cx, &self.app, "added", |urls| {
            reject_duplicate(urls, None, &self.buildpack)?;
            let at = position(self.index, urls.len(), urls.len())?;
            urls.insert(at, self.buildpack.clone());
            Ok(())
        })
        .await
    }
}

/// Removes a buildpack
#[derive(Args)]
pub struct Remove {
    /// Name or git URL
    #[arg(required_unless_present = "index")]
    buildpack: Option<String>,
    #[command(flatten)]
    app: AppFlags,
    /// Position in the list, from 1
    #[arg(short, long, conflicts_with = "buildpack", value_parser = clap::value_parser!(u16).range(1..))]
    index: Option<u16>,
}

impl Remove {
    /// `buildpacks:remove`
    pub async fn run(self, cx: &Context) -> Result<()> {
        change(cx, &self.app, "removed", |urls| {
            let by_index = self.index.map(|index| usize::from(index) - 1);
            let by_name = urls.iter().position(|url| self.buildpack.as_deref().is_some_and(|b| short(b) == short(url)));
            match by_index.or(by_name).filter(|at| *at < urls.len()) {
                Some(at) => drop(urls.remove(at)),
                None => bail!("The app does not have this buildpack. See: wharf buildpacks"),
            }
            Ok(())
        })
        .await
    }
}

/// Removes all buildpacks; the next build detects one
#[derive(Args)]
pub struct Clear {
    #[command(flatten)]
    app: AppFlags,
}

impl Clear {
    /// `buildpacks:clear`
    pub async fn run(self, cx: &Context) -> Result<()> {
        change(cx, &self.app, "cleared", |urls| {
            urls.clear();
            Ok(())
        })
        .await
    }
}

async fn change(
    cx: &Context,
    flags: &AppFlags,
    done: &str,
    edit: impl FnOnce(&mut Vec<String>) -> Result<()>,
) -> Result<()> {
    let name = flags.app(cx)?;
    let client = cx.client()?;
    let mut wanted = urls(&client.buildpack_installation_list(&name).await?);
    edit(&mut wanted)?;
    let list = client.buildpack_installation_update(&name, &wanted).await?;
    if cx.json {
        return output::json(&list);
    }
    match list.len() {
        0 => out!("Buildpacks {done}. The next build of {} detects one.", named(&name)),
        1 => out!("Buildpack {done}. Next release on {} will use {}.", named(&name), short(&urls(&list)[0])),
        _ => {
            out!("Buildpack {done}. Next release on {} will use:", named(&name));
            show(&urls(&list));
        }
    }
    note("Run git push wharf main to build with it.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_may_be_one_past_the_end() {
        assert_eq!(position(None, 1, 1).unwrap(), 1);
        assert_eq!(position(Some(1), 1, 1).unwrap(), 0);
        assert_eq!(position(Some(2), 1, 1).unwrap(), 1);
        let refused = position(Some(5), 1, 1).unwrap_err().to_string();
        assert_eq!(refused, "Invalid index. Your app has 1 buildpack, so it must be from 1 to 2.");
    }
}
