//! What somebody does next who was invited, added or offered an app: printed after the command that did it.

use api::{client::Asked, next_steps::NextStep};

use crate::output;

/// Prints whether the person can sign in, what became of the e-mail, and the link to send them. The command has done its
/// work before, so a failure here is a note.
pub async fn print(request: Asked<NextStep>) {
    match request.await {
        Ok(step) => lines(&step).iter().for_each(output::note),
        Err(err) => output::note(format!("Could not find out whether they can sign in: {err}")),
    }
}

fn lines(step: &NextStep) -> [String; 3] {
    [step.message.clone(), step.about_mail(), format!("Link for {}: {}", step.email, step.url)]
}

#[cfg(test)]
mod tests {
    use api::next_steps::SignInWay;

    use super::*;

    #[test]
    fn the_link_is_the_last_line() {
        let step = NextStep {
            email: "ada@acme.test".into(),
            can_sign_in: false,
            way: SignInWay::None,
            message: "ada@acme.test cannot sign in.".into(),
            url: "https://wharf.test/login?next=%2Fteams".into(),
            mail: None,
        };
        let [first, second, third] = lines(&step);
        assert_eq!(first, "ada@acme.test cannot sign in.");
        assert!(second.contains("send them the link yourself"), "{second}");
        assert_eq!(third, "Link for ada@acme.test: https://wharf.test/login?next=%2Fteams");
    }
}
