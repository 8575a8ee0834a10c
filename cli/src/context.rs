//! What every command starts from: which platform, which token, which app.

use std::cell::OnceCell;

use anyhow::{Result, bail};
use api::Client;
use clap::Args;

use crate::{
    address::Address,
    credentials::{self, Credentials},
    git, login,
    transport::Tcp,
};

/// The platform that a command speaks to. Read when it is first needed, because some
/// commands work without.
pub struct Context {
    /// Whether results are printed as JSON.
    pub json: bool,
    platform: OnceCell<Platform>,
    app: OnceCell<String>,
}

struct Platform {
    address: Address,
    client: Client,
}

impl Context {
    /// A context that has not looked at anything.
    pub fn new(json: bool) -> Self {
        Self { json, platform: OnceCell::new(), app: OnceCell::new() }
    }

    /// Notes which app the command is about, for what is said when it fails.
    pub fn is_about(&self, app: &str) {
        // A command is about the first one that it names.
        self.app.set(app.to_owned()).ok();
    }

    /// The app that the command is about, once it is known.
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
        let client = Client::new(Tcp::new(address.clone(), token));
        Ok(self.platform.get_or_init(|| Platform { address, client }))
    }

    fn address_of(&self, credentials: &Credentials) -> Result<Address> {
        match credentials::current_address(credentials)? {
            Some(address) => Ok(address),
            None => Address::parse(login::DEFAULT_URL),
        }
    }

    /// Asks the platform.
    pub fn client(&self) -> Result<&Client> {
        Ok(&self.platform()?.client)
    }

    /// Where the platform is.
    pub fn address(&self) -> Result<&Address> {
        Ok(&self.platform()?.address)
    }
}

/// Which app a command is about.
#[derive(Args, Default)]
pub struct AppFlags {
    /// The app [default: WHARF_APP, or the app of this folder's git remote]
    #[arg(short, long, value_name = "APP", env = "WHARF_APP", hide_env = true)]
    pub app: Option<String>,
    /// The git remote that names the app
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
        // Without a login nothing can be done for any app: said first, before anything begins.
        cx.platform()?;
        // A remote on the command line says more than an app in the environment.
        if let Some(remote) = &self.remote {
            return git::app_of_remote(cx.address()?, remote).map(Some);
        }
        if let Some(app) = self.app.as_deref().map(str::trim).filter(|app| !app.is_empty()) {
            return Ok(Some(app.to_owned()));
        }
        git::infer_app(cx.address()?)
    }
}
