//! Why somebody was not let in, or their account elsewhere not linked: the sentences for them.

/// What to do about a refusal. `from` is the provider's name on its button.
pub fn sentence(why: &str, from: &str) -> String {
    match why {
        "expired" => "This link is too old. Make a new one: a link works for 30 minutes.".into(),
        "used" => "This link was used already. It works once; make a new one.".into(),
        "state" => {
            "This sign-in was not begun in this browser, was finished already, or took too long. Begin again.".into()
        }
        "denied" => format!("{from} was not allowed to say who you are. Begin again, and agree there."),
        "provider" => format!("{from} does not answer. Try again in a while, or sign in some other way."),
        "answer" => format!("What {from} answered could not be trusted, so nobody was signed in. Begin again."),
        "address" => format!(
            "{from} has not verified an address of yours. Verify your e-mail address there, then sign in again."
        ),
        "unknown" => format!(
            "You have no account here, and your account at {from} does not give you one. Ask an administrator to invite you."
        ),
        "domain" => format!(
            "Here, {from} is not believed about addresses of your domain. Sign in some other way, or ask an administrator."
        ),
        "linked" => format!(
            "Your account here is signed in some other way. Sign in that way, then link {from} on your account page."
        ),
        "taken" => format!(
            "That account at {from} already signs somebody in, perhaps you under another address. Sign in through it and unlink it there, then link it here."
        ),
        "suspended" => "Your account here is suspended. Ask an administrator.".into(),
        "password" => {
            "The e-mail address, the password or the code is wrong. Each code works once: if you just used one, wait for the next.".into()
        }
        "locked" => {
            "Too many sign-ins to this account, or from your address, did not work. Wait a while, then try again."
                .into()
        }
        "busy" => "Too many sign-ins from your address did not work. Wait a while, then begin again.".into(),
        _ => "This link does not work. It may be too old or was used already; make a new one.".into(),
    }
}
