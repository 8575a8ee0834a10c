//! Messages for failed sign-ins and failed linking of accounts.

/// The message for an error code. `from` is the provider's name on its button.
pub fn message(why: &str, from: &str) -> String {
    match why {
        "expired" => "This link has expired. Links are valid for 30 minutes; create a new one.".into(),
        "used" => "This link has already been used. Links work once; create a new one.".into(),
        "state" => {
            "This sign-in was not started in this browser, is already complete, or took too long. Start again.".into()
        }
        "denied" => {
            format!("You did not allow {from} to share your identity. Start again and give your consent there.")
        }
        "provider" => format!("{from} is not responding. Try again later, or use another sign-in method."),
        "answer" => format!("The response from {from} could not be verified, so you were not signed in. Start again."),
        "address" => format!("{from} has not verified your email address. Verify it there, then sign in again."),
        "unknown" => format!(
            "You do not have an account here, and your {from} account does not qualify for one. Ask an administrator to invite you."
        ),
        "domain" => format!(
            "{from} is not trusted for your email domain here. Use another sign-in method, or ask an administrator."
        ),
        "linked" => format!(
            "Your account here uses another sign-in method. Sign in with it, then link {from} on your account page."
        ),
        "taken" => format!(
            "That {from} account is already linked to another account here, perhaps yours under another address. Sign in with it and unlink it there, then link it here."
        ),
        "suspended" => "Your account is suspended. Contact an administrator.".into(),
        "password" => {
            "Wrong email address, password or code. Each code works once: if you have just used one, wait for the next."
                .into()
        }
        "locked" => "Too many failed sign-ins to this account or from your address. Try again later.".into(),
        "busy" => "Too many failed sign-ins from your address. Start again later.".into(),
        _ => "This link is not valid. It may have expired or already been used; create a new one.".into(),
    }
}
