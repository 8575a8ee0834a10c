//! The context of every command: platform, token and app.

use std::cell::OnceCell;

use anyhow::{Result, bail};
use api::Client;
use clap::Args;

use crate::{
    address::Address,
    command_line::Group,
    credentials::{self, Credentials, DEFAULT_URL},
    git,
    transport::Tcp,
};

/// The platform that a command talks to. Loaded lazily, because some commands work
/// without it.
pub struct Context {
    /// Whether results are printed as JSON.
    pub json: bool,
    /// All commands, for those that list them.
    pub groups: Vec<Group>,
    platform: OnceCell<Platform>,
    app: OnceCell<String>,
}

struct Platform {
    address: Address,
    transport: Tcp,
    client: Client,
}

impl Context {
    /// A context with nothing loaded yet.
    pub fn new(json: bool, groups: Vec<Group>) -> Self {
        Self { json, groups, platform: OnceCell::new(), app: OnceCell::new() }
    }

    /// Records the command's app, for error messages.
    pub fn is_about(&self, app: &str) {
        // The first app counts.
        self.app.set(app.to_owned()).ok();
    }

    /// The command's app, once known.
    pub fn app(&self) -> Option<&str> {
        self.app.get().map(String::as_str)
    }

    fn platform(&self) -> Result<&Platform> {
        if let Some(platform) = self.platform.get() {
            return Ok(platform);
        }
        let credentials = Credentials::load()?;
        let address = self.address_of(&credentials)?;
        let Some(token) = credentials::token_for(&credentials, &address) else {
            bail!("You are not logged in to {address}. Log in with: wharf login {address}");
        };
        let transport = Tcp::new(address.clone(), token);
        let client = Client::new(transport.clone());
        Ok(self.platform.get_or_init(|| Platform { address, transport, client }))
    }

    fn address_of(&self, credentials: &Credentials) -> Result<Address> {
        match credentials::current_address(credentials)? {
            Some(address) => Ok(address),
            None => Address::parse(DEFAULT_URL),
        }
    }

    /// The client of the platform.
    pub fn client(&self) -> Result<&Client> {
        Ok(&self.platform()?.client)
    }

    /// Sends requests to the platform.
    pub fn transport(&self) -> Result<&Tcp> {
        Ok(&self.platform()?.transport)
    }

    /// The address of the platform.
    pub fn address(&self) -> Result<&Address> {
        Ok(&self.platform()?.address)
    }
}

/// The app of a command.
#[derive(Args, Default)]
pub struct AppFlags {
    /// The app [default: WHARF_APP, or the app of this folder's git remote]
    #[arg(short, long, value_name = "APP", env = "WHARF_APP", hide_env = true)]
    pub app: Option<String>,
    /// The git remote of the app
    #[arg(short, long, value_name = "REMOTE")]
    pub remote: Option<String>,
}

impl AppFlags {
    /// The app's name.
    pub fn app(&self, cx: &Context) -> Result<String> {
        match self.app_if_any(cx)? {
            Some(app) => {
                cx.is_about(&app);
                Ok(app)
            }
            None => bail!(
                "Which app? Name it with --app NAME, or run this in a folder whose git remote belongs to {}:\n\
                 wharf git:remote --app NAME",
                cx.address()?
            ),
        }
    }

    /// The app's name, if one is given or can be inferred.
    pub fn app_if_any(&self, cx: &Context) -> Result<Option<String>> {
        // Nothing works without a login, so check that first.
        cx.platform()?;
        // A remote on the command line overrides an app in the environment.
        if let Some(remote) = &self.remote {
            return git::app_of_remote(cx.address()?, remote).map(Some);
        }
        if let Some(app) = self.app.as_deref().map(str::trim).filter(|app| !app.is_empty()) {
            return Ok(Some(app.to_owned()));
        }
        git::infer_app(cx.address()?)
    }
}
