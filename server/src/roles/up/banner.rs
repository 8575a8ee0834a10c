//! What `wharfd up` prints once everything answers: where to go, and what to type next.

use crate::config::Settings;

/// Prints where the console is, with a link that signs in once.
pub fn print(settings: &Settings, link: &str) {
    println!("{}", text(settings, link));
}

fn text(settings: &Settings, link: &str) -> String {
    let console = settings.console_url();
    let app = console.replacen(&settings.domain, &format!("<app>.{}", settings.apps_domain()), 1);
    let data = settings.data.display();
    format!(
        "
  Wharf is up.

  Console   {console}
  Sign in   {link}
            Open it and press the button. It works once; another one: wharfd login-link
  Apps      {app}
  Data      {data}
  Token     {data}/admin-token

  Next, in another terminal:
    wharf login
    cd your-app && wharf create
    git push wharf main
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn the_banner_says_where_everything_is() {
        let cli =
            Cli::parse_from(["wharfd", "--domain", "wharf.test", "--apps-domain", "apps.test", "--listen", ":80"]);
        let said = text(&cli.settings, "http://wharf.test/login/abc");
        assert!(said.contains("Console   http://wharf.test\n"), "{said}");
        assert!(said.contains("Sign in   http://wharf.test/login/abc\n"), "{said}");
        assert!(said.contains("Apps      http://<app>.apps.test\n"), "{said}");
    }
}
