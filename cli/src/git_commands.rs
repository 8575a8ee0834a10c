//! `git:remote`, and git's credential helper.

use std::io::Read;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    address::Address,
    context::Context,
    credentials::{self, Credentials},
    git,
    output::{self, app},
};

/// Adds a git remote for an app to this folder
#[derive(Args)]
pub struct Remote {
    /// The app
    #[arg(short, long, value_name = "APP", env = "WHARF_APP", hide_env = true)]
    app: String,
    /// Name of the remote
    #[arg(short, long, default_value = git::REMOTE)]
    remote: String,
}

impl Remote {
    /// `git:remote`
    pub async fn run(self, cx: &Context) -> Result<()> {
        cx.is_about(&self.app);
        let found = cx.client()?.app_info(&self.app).await?;
        if !git::is_repository() {
            bail!("This folder is not a git repository. Create one: git init");
        }
        let address = cx.address()?;
        git::set_remote(address, &self.remote, &found.name)?;
        git::set_up_helper(address)?;
        if cx.json {
            let url = git::url_of(address, &found.name);
            return output::json(&serde_json::json!({ "app": found.name, "remote": self.remote, "url": url }));
        }
        out!("set git remote {} to {}", self.remote, git::url_of(address, &found.name));
        output::note(format!("Deploy {} with: git push {} main", app(&found.name), self.remote));
        Ok(())
    }
}

/// Git's credential helper (started by git)
#[derive(Args)]
pub struct Credential {
    /// get, store or erase
    operation: String,
}

impl Credential {
    /// `git:credentials`: the protocol of gitcredentials(7).
    pub async fn run(self, _cx: &Context) -> Result<()> {
        let mut request = String::new();
        std::io::stdin().read_to_string(&mut request).context("read git's request")?;
        if self.operation != "get" {
            // `wharf login` manages the login; there is nothing to store or erase.
            return Ok(());
        }
        let credentials = Credentials::load()?;
        let Some(address) = requested_address(&request) else { return Ok(()) };
        match credentials::token_for(&credentials, &address) {
            Some(token) => out!("username=wharf\npassword={token}"),
            // An empty answer is not a failure: git may prompt for a token.
            None => output::note(format!("You are not logged in to {address}. Log in first: wharf login {address}")),
        }
        Ok(())
    }
}

/// The exact scheme, host and port of git's request.
fn requested_address(request: &str) -> Option<Address> {
    let field = |name: &str| {
        request.lines().take_while(|l| !l.is_empty()).find_map(|l| l.strip_prefix(name)?.strip_prefix('='))
    };
    let protocol = field("protocol").filter(|p| matches!(*p, "http" | "https"))?;
    Address::parse(&format!("{protocol}://{}", field("host")?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: &str) -> Address {
        Address::parse(s).unwrap()
    }

    #[test]
    fn the_credential_helper_parses_the_exact_address() {
        let requested = requested_address("protocol=http\nhost=localhost:5000\n\nhost=evil\n");
        assert_eq!(requested, Some(at("http://localhost:5000")));
        assert_ne!(requested, Some(at("https://localhost:5000")));
        assert_eq!(requested_address("protocol=http\nhost=localhost:80\n"), Some(at("http://localhost")));
        assert_eq!(requested_address("protocol=ssh\nhost=localhost\n"), None);
        assert_eq!(requested_address("protocol=http\n"), None);
    }
}
