//! Login: finding, checking and storing a token, and setting up git.

use std::{
    fs,
    io::{ErrorKind, IsTerminal},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use api::Client;
use clap::Args;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::{
    address::Address,
    context::Context,
    credentials::{self, Credentials, DEFAULT_URL, variable},
    git,
    local::Local,
    output::{self, note},
    transport::Tcp,
};

/// The default data directory.
const DEFAULT_DATA: &str = "/var/lib/wharf";

/// Logs in to a platform
///
/// On the platform's own machine, root needs no token: the administrator's token is read from the
/// data directory and sent to the running platform over its socket, never to its port. It is
/// stored for the address of that platform only. Everybody else is prompted for a token.
#[derive(Args)]
pub struct Login {
    /// Address of the platform [default: WHARF_URL, or the platform on this machine]
    url: Option<String>,
    /// Token; `-` reads it from stdin
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Data directory of a platform on this machine; its admin-token is used
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Login {
    /// `login`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let (address, login) = self.find().await?;
        let email = login.email.clone();
        let mut credentials = Credentials::load()?;
        credentials.logins.insert(address.to_string(), login);
        credentials.current = Some(address.to_string());
        credentials.save()?;
        if let Err(err) = git::set_up_helper(&address) {
            output::warn(format!(
                "git will prompt for a password, because its credential helper could not be set up. {err:#}"
            ));
        }
        warn_of_overrides(&address);
        if cx.json {
            return output::json(&serde_json::json!({ "url": address.to_string(), "email": email }));
        }
        out!("Logged in to {address} as {email}");
        Ok(())
    }

    /// Address, account and token, verified with the platform.
    async fn find(&self) -> Result<(Address, credentials::Login)> {
        let wanted = self.url.clone().or_else(|| variable("WHARF_URL"));
        let wanted = wanted.as_deref().map(Address::parse).transpose()?;
        if self.token.is_none()
            && let Some(found) = self.of_this_machine(wanted.as_ref()).await?
        {
            return Ok(found);
        }
        let address = wanted.map_or_else(|| Address::parse(DEFAULT_URL), Ok)?;
        let token = self.token(&address).await?;
        let client = Client::new(Tcp::new(address.clone(), token.clone()));
        let account = match client.account_info().await {
            Err(err) if err.is_unauthorized() => {
                bail!(
                    "{address} does not accept this token. Create one in the console or with: wharf authorizations:create"
                )
            }
            answer => answer?,
        };
        Ok((address, credentials::Login { email: account.email, token }))
    }

    /// The administrator's login at the local platform, if that is the one `wanted`.
    async fn of_this_machine(&self, wanted: Option<&Address>) -> Result<Option<(Address, credentials::Login)>> {
        let usual = variable("WHARF_DATA").map_or_else(|| PathBuf::from(DEFAULT_DATA), PathBuf::from);
        let dir = self.data.as_ref().unwrap_or(&usual);
        let token = match admin_token(dir) {
            Ok(token) => token,
            Err(err) if self.data.is_some() => return Err(err),
            Err(_) => return Ok(None),
        };
        let why = match Local::find(&token).await {
            Some(local) if wanted.is_none_or(|wanted| local.is_at(wanted)) => {
                note(format!("Using the administrator's token in {}", dir.join("admin-token").display()));
                let address = wanted.cloned().unwrap_or(local.address);
                return Ok(Some((address, credentials::Login { email: local.email, token })));
            }
            Some(local) => format!("It is only valid for the platform at {}.", local.address),
            None => format!(
                "No running platform on this machine uses {}, so the token was not sent anywhere.",
                dir.display()
            ),
        };
        let why = format!("The administrator's token in {} is not used. {why}", dir.join("admin-token").display());
        if self.data.is_some() {
            bail!("{why} To use another token, add: --token -");
        }
        note(why);
        Ok(None)
    }

    async fn token(&self, address: &Address) -> Result<String> {
        let token = match &self.token {
            Some(token) if token == "-" => output::ask("")?,
            Some(token) => token.trim().to_owned(),
            None => ask_token(address).await?,
        };
        if token.is_empty() {
            bail!(
                "No token was given. On the platform's own machine, root logs in with: wharf login\n\
                 Elsewhere pass a token: wharf login {address} --token -"
            );
        }
        if token.contains(char::is_whitespace) {
            bail!("A token does not contain spaces. Copy all of it, and nothing else.");
        }
        Ok(token)
    }
}

fn warn_of_overrides(address: &Address) {
    if let Some(name) = ["WHARF_API_KEY", "WHARF_TOKEN"].into_iter().find(|name| variable(name).is_some()) {
        output::warn(format!("{name} is set and overrides this login. Remove it with: unset {name}"));
    }
    let other = variable("WHARF_URL").filter(|url| !Address::parse(url).is_ok_and(|other| other == *address));
    if let Some(other) = other {
        output::warn(format!("WHARF_URL is set, so commands still use {other}. Remove it with: unset WHARF_URL"));
    }
}

fn admin_token(dir: &Path) -> Result<String> {
    let file = dir.join("admin-token");
    let shown = file.display();
    match fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(err) if err.kind() == ErrorKind::NotFound => {
            bail!("{shown} does not exist. wharfd up --data {} creates it.", dir.display())
        }
        Err(err) if err.kind() == ErrorKind::PermissionDenied => bail!("Only root can read {shown}."),
        Err(err) => Err(err).with_context(|| format!("read {shown}")),
    }
}

async fn ask_token(address: &Address) -> Result<String> {
    note(format!("Paste a token for {address}. The administrator's is in the file admin-token of the data directory."));
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return output::ask("");
    }
    let shown = tcgetattr(stdin.as_fd()).context("read the terminal's settings")?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &hidden).context("turn off the terminal's echo")?;
    // Ctrl-C must not leave the terminal without echo.
    let typed = tokio::select! {
        typed = tokio::task::spawn_blocking(|| output::ask("Token: ")) => Some(typed),
        _ = tokio::signal::ctrl_c() => None,
    };
    tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &shown).context("restore the terminal's settings")?;
    note("");
    match typed {
        Some(token) => token.context("read the token")?,
        None => std::process::exit(130),
    }
}

/// Deletes the stored login; the token itself stays valid
#[derive(Args)]
pub struct Logout {
    /// Address of the platform [default: the current login's]
    url: Option<String>,
}

impl Logout {
    /// `logout`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let mut credentials = Credentials::load()?;
        let Some(url) = self.url.or_else(|| credentials.current.clone()) else {
            bail!("You are not logged in.");
        };
        let address = Address::parse(&url)?;
        if credentials.logins.remove(&address.to_string()).is_none() {
            bail!("You are not logged in to {address}.");
        }
        if credentials.current == Some(address.to_string()) {
            credentials.current = credentials.logins.keys().next().cloned();
        }
        credentials.save()?;
        git::remove_helper(&address)?;
        if cx.json {
            return output::json(&serde_json::json!({ "url": address.to_string() }));
        }
        out!("Logged out of {address}");
        if let Some(next) = &credentials.current {
            note(format!("Commands now use {next}."));
        }
        Ok(())
    }
}

/// Prints the account you are logged in as
#[derive(Args)]
pub struct Whoami {}

impl Whoami {
    /// `whoami`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let account = cx.client()?.account_info().await?;
        if cx.json {
            return output::json(&account);
        }
        out!("{}", account.email);
        Ok(())
    }
}

/// Prints the token that commands use
#[derive(Args)]
pub struct Token {}

impl Token {
    /// `auth:token`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let credentials = Credentials::load()?;
        let address = credentials::current_address(&credentials)?.map_or_else(|| Address::parse(DEFAULT_URL), Ok)?;
        let Some(token) = credentials::token_for(&credentials, &address) else {
            bail!("You are not logged in to {address}. Log in with: wharf login {address}");
        };
        if cx.json {
            return output::json(&serde_json::json!({ "url": address.to_string(), "token": token }));
        }
        out!("{token}");
        Ok(())
    }
}
