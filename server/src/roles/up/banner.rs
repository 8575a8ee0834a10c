//! The banner that `wharfd up` prints when the platform is ready: URLs and next steps.

use crate::config::{CLIENT_ADDRESSES_ARE_HIDDEN, Settings};

/// Prints the URL of the console, with a one-time sign-in link.
pub fn print(settings: &Settings, link: &str) {
    println!("{}", text(settings, link));
}

/// A warning for the operator, if any.
fn warning(settings: &Settings) -> String {
    match settings.client_addresses_are_hidden() {
        true => format!("\n  Warning   {CLIENT_ADDRESSES_ARE_HIDDEN}\n"),
        false => String::new(),
    }
}

fn text(settings: &Settings, link: &str) -> String {
    let console = settings.console_url();
    let app = console.replacen(&settings.domain, &format!("<app>.{}", settings.apps_domain()), 1);
    let data = settings.data.display();
    let warning = warning(settings);
    let again = match settings.has_default_data() {
        true => String::new(),
        false => format!(" --data {data}"),
    };
    format!(
        "
  Wharf is up.

  Console   {console}
  Sign in   {link}
            Open the link and confirm. It works once; for another, run: wharfd login-link{again}
  Apps      {app}
  Data      {data}
  Token     {data}/admin-token
{warning}
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
    fn the_banner_has_all_urls() {
        let cli =
            Cli::parse_from(["wharfd", "--domain", "wharf.test", "--apps-domain", "apps.test", "--listen", ":80"]);
        let banner = text(&cli.settings, "http://wharf.test/login/abc");
        assert!(banner.contains("Console   http://wharf.test\n"), "{banner}");
        assert!(banner.contains("Sign in   http://wharf.test/login/abc\n"), "{banner}");
        assert!(banner.contains("Apps      http://<app>.apps.test\n"), "{banner}");
        assert!(banner.contains("run: wharfd login-link\n"), "{banner}");
        assert!(!banner.contains("Warning"), "{banner}");
    }

    #[test]
    fn the_command_for_another_link_finds_the_data() {
        let cli = Cli::parse_from(["wharfd", "--data", "/srv/wharf"]);
        let banner = text(&cli.settings, "");
        assert!(banner.contains("run: wharfd login-link --data /srv/wharf\n"), "{banner}");
    }

    #[test]
    fn tls_without_a_trusted_proxy_is_warned_of() {
        let banner = |more: &[&str]| {
            let cli = Cli::parse_from([&["wharfd", "--domain", "wharf.test", "--tls"], more].concat());
            text(&cli.settings, "")
        };
        assert!(banner(&[]).contains("Warning   --tls is set, but --trusted-proxies is empty"));
        assert!(!banner(&["--trusted-proxies", "127.0.0.1"]).contains("Warning"));
    }
}
