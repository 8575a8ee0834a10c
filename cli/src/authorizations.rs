//! `authorizations`: API tokens.

use anyhow::{Result, bail};
use api::{
    authorizations::{Authorization, AuthorizationCreate},
    client::Client,
};
use chrono::Utc;
use clap::Args;
use serde_json::Value;

use crate::{
    context::Context,
    output::{self, Action, Cell, DIM, Table, ago, note, span},
};

/// Lists your tokens
#[derive(Args)]
pub struct List {}

impl List {
    /// `authorizations`
    pub async fn run(self, cx: &Context) -> Result<()> {
        show_all(cx, &cx.client()?.authorization_list().await?)
    }
}

/// Prints tokens, without their secrets.
pub fn show_all(cx: &Context, tokens: &[Authorization]) -> Result<()> {
    if cx.json {
        return output::json(&tokens);
    }
    if tokens.is_empty() {
        out!("There are no tokens.");
        return Ok(());
    }
    let mut table = Table::new(&["Description", "Id", "Scope", "Last used", "Expires"]);
    for token in tokens {
        let used = token.last_used_at.map_or("never".into(), |at| ago(at, Utc::now()));
        table.row([
            (&token.description).into(),
            token.id.into(),
            token.reach().into(),
            used.into(),
            Cell::new(expiry(token), DIM),
        ]);
    }
    table.print();
    Ok(())
}

fn expiry(authorization: &Authorization) -> String {
    match authorization.access_token.as_ref().and_then(|token| token.expires_in) {
        Some(seconds) => format!("in {}", span(seconds.unsigned_abs())),
        None => "never".into(),
    }
}

/// What a new token can do, and for how long.
#[derive(Args)]
pub struct NewToken {
    /// Description
    #[arg(short, long)]
    description: Option<String>,
    /// Scopes [default: global; with --app: deploy]
    ///
    /// deploy: push, build, release and roll back, and nothing else; with --app, these apps only.
    /// read: see apps, without config vars. read-protected: with config vars.
    /// write: create and change apps, without config vars; write-protected: with config vars.
    /// None of these can rename, transfer or destroy an app.
    /// global: everything that you can do. identity: see the account.
    #[arg(short, long, value_delimiter = ',', verbatim_doc_comment)]
    scope: Option<Vec<String>>,
    /// An app that the token can deploy; can be repeated
    #[arg(short, long = "app", value_name = "APP")]
    apps: Vec<String>,
    /// Lifetime: seconds, or e.g. 12h, 90d or never [default: never; for deploy tokens 90d]
    #[arg(short, long, value_name = "TIME", value_parser = lifetime)]
    expires_in: Option<Value>,
    /// Print only the token
    #[arg(short = 'S', long)]
    short: bool,
}

impl NewToken {
    /// The request that creates it.
    pub fn create(&self) -> AuthorizationCreate {
        let usual = (!self.apps.is_empty()).then(|| vec!["deploy".to_owned()]);
        AuthorizationCreate {
            description: self.description.clone(),
            scope: self.scope.clone().or(usual),
            expires_in: self.expires_in.clone(),
            apps: (!self.apps.is_empty()).then(|| self.apps.clone()),
        }
    }

    /// Prints the new token, the only time that it is shown.
    pub fn show(&self, cx: &Context, made: &Authorization) -> Result<()> {
        if cx.json {
            return output::json(made);
        }
        let token = made.access_token.as_ref().map(|t| t.token.clone()).unwrap_or_default();
        if self.short {
            out!("{token}");
            return Ok(());
        }
        output::pairs(&[
            ("Id", made.id.to_string()),
            ("Description", made.description.clone()),
            ("Scope", made.reach()),
            ("Token", token),
            ("Expires", expiry(made)),
        ]);
        note("Save the token now: it is not shown again.");
        Ok(())
    }
}

/// A lifetime as the API takes it: `90d` is 7776000.
fn lifetime(text: &str) -> Result<Value, String> {
    let text = text.trim();
    if text == "never" {
        return Ok(text.into());
    }
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        Some((at, 'd')) => (&text[..at], 86_400),
        _ => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.map(Value::from).ok_or_else(|| "use seconds, or a number with a unit: 45m, 12h, 90d; or never".into())
}

/// Creates a token, which is shown only once
#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    new: NewToken,
}

impl Create {
    /// `authorizations:create`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let action = Action::start("Creating token");
        let made = cx.client()?.authorization_create(&self.new.create()).await?;
        action.done();
        self.new.show(cx, &made)
    }
}

/// Revokes a token immediately
#[derive(Args)]
pub struct Revoke {
    /// Id or description of the token
    #[arg(value_name = "TOKEN")]
    token: String,
}

impl Revoke {
    /// `authorizations:revoke`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let client = cx.client()?;
        let id = self.id(client).await?;
        let action = Action::start("Revoking token");
        let gone = client.authorization_delete(&id).await?;
        action.done_with(format!("revoked {:?}", gone.description));
        if cx.json { output::json(&gone) } else { Ok(()) }
    }

    async fn id(&self, client: &Client) -> Result<String> {
        if self.token == "~" {
            return Ok(self.token.clone());
        }
        found(&client.authorization_list().await?, &self.token)
    }
}

/// The id of the token with this id or description.
pub fn found(tokens: &[Authorization], wanted: &str) -> Result<String> {
    if let Some(token) = tokens.iter().find(|token| token.id.to_string() == wanted) {
        return Ok(token.id.to_string());
    }
    let mut named = tokens.iter().filter(|token| token.description == wanted);
    match (named.next(), named.count()) {
        (Some(token), 0) => Ok(token.id.to_string()),
        (None, _) => bail!("There is no token with the id or description {wanted:?}. Nothing was revoked."),
        (Some(_), more) => {
            bail!("{} tokens have the description {wanted:?}. Give the id of one instead.", more + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_units() {
        for (text, seconds) in [("3600", 3600), ("90s", 90), ("45m", 2700), ("12h", 43_200), ("90d", 7_776_000)] {
            assert_eq!(lifetime(text), Ok(seconds.into()), "{text}");
        }
        assert_eq!(lifetime("never"), Ok("never".into()));
        for bad in ["", "d", "1w", "-1d", "1.5h", "99999999999999999999d"] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_are_found_by_an_unambiguous_description() {
        let token = |n: u128, description: &str| Authorization {
            id: api::ids::AuthorizationId::from_u128(n),
            description: description.into(),
            scope: vec!["deploy".into()],
            access_token: None,
            user: api::authorizations::AuthorizationUser {
                id: api::ids::AccountId::nil(),
                email: String::new(),
                full_name: None,
            },
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
            client: None,
            grant: None,
            refresh_token: None,
            session: None,
            last_used_at: None,
            expires_at: None,
            apps: None,
        };
        let all = [token(1, "ci"), token(2, "laptop"), token(3, "ci")];
        assert_eq!(found(&all, "laptop").unwrap(), all[1].id.to_string());
        assert_eq!(found(&all, &all[2].id.to_string()).unwrap(), all[2].id.to_string());
        assert!(found(&all, "ci").unwrap_err().to_string().starts_with("2 tokens have"));
        assert!(found(&all, "phone").unwrap_err().to_string().starts_with("There is no token"));
    }
}
