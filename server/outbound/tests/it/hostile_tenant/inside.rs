//! Targets that only the platform can reach.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use outbound::{Client, Error, Kind, Rules};

use crate::servers::{Server, client, client_where_names_lead_to, download, ok, redirect};

/// Fails unless the request was rejected by the platform's rules.
#[track_caller]
fn refused(outcome: Result<String, Error>) -> String {
    let err = outcome.expect_err("it should have been refused");
    assert!(err.is_refusal(), "{err}");
    err.to_string()
}

#[tokio::test]
async fn no_spelling_of_an_address_leads_inside() {
    let (inside, outside) = (Server::at("127.0.0.2", ok("secret")).await, Client::new(Rules::default()).unwrap());
    let port = inside.address.port();
    for host in [
        "127.0.0.2",
        "127.2",
        "127.0.2",
        "2130706434",
        "0x7f000002",
        "0x7f.0.0.2",
        "0177.0.0.2",
        "0177.0.0.02",
        "017700000002",
        "127.0.0.2.",
        "127.0.0.0x2",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[0:0:0:0:0:ffff:7f00:2]",
        "[::127.0.0.2]",
        "[64:ff9b::127.0.0.2]",
        "[64:ff9b::7f00:2]",
        "[2002:7f00:2::]",
        "[2001:0:7f00:2::]",
        "localhost",
        "LOCALHOST",
        "127.0.0.%32",
        "１２７.0.0.2",
        "①②⑦.0.0.2",
        "127。0。0。2",
        "user@127.0.0.2",
        "example.com@127.0.0.2",
        "a:b@[::1]",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "127.0.0.1:80@127.0.0.2",
    ] {
        refused(download(&outside, &format!("http://{host}:{port}/")).await);
    }
    assert_eq!(inside.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn no_name_leads_inside() {
    for ips in [&["10.0.0.1"] as &[_], &["fd00::1", "169.254.169.254"], &["::ffff:192.168.1.1"], &["127.0.0.2"]] {
        let said = refused(download(&client_where_names_lead_to(ips), "http://inside.example/").await);
        // The name's address must not leak.
        assert!(said.starts_with("inside.example resolves to a "), "{said}");
        assert!(ips.iter().all(|ip| !said.contains(ip)), "{said}");
    }
}

#[tokio::test]
async fn of_a_name_with_many_addresses_only_the_allowed_are_asked() {
    let inside = Server::at("127.0.0.2", ok("secret")).await;
    let url = format!("http://both.example:{}/", inside.address.port());
    let client = client_where_names_lead_to(&["127.0.0.2", "127.0.0.1"]);
    let err = download(&client, &url).await.unwrap_err();
    assert_eq!(err.to_string(), "both.example does not accept connections");
    assert_eq!(inside.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_asked_where_it_was_checked() {
    let outside = Server::allowed(ok("fine")).await;
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = lookups.clone();
    let client = client().with_lookup(Arc::new(move |_, port| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        let ip: std::net::IpAddr = if first { "127.0.0.1" } else { "127.0.0.2" }.parse().unwrap();
        Box::pin(async move { Ok(vec![(ip, port).into()]) })
    }));
    let url = format!("http://rebinds.example:{}/", outside.address.port());
    assert_eq!(download(&client, &url).await.unwrap(), "fine");
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    refused(download(&client, &url).await);
}

#[tokio::test]
async fn no_redirect_leads_inside() {
    let inside = Server::at("127.0.0.2", ok("secret")).await;
    let port = inside.address.port();
    for to in [
        format!("http://127.0.0.2:{port}/"),
        format!("//127.0.0.2:{port}/"),
        format!("http://2130706434:{port}/"),
        format!("http:\\\\127.0.0.2:{port}\\"),
        format!("http://[::ffff:127.0.0.2]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "file:///etc/passwd".into(),
        "gopher://127.0.0.1:6379/_FLUSHALL".into(),
        "http://127.0.0.1:22/".into(),
        "http://[fd00:ec2::254]/".into(),
    ] {
        let server = Server::allowed(redirect(&to)).await;
        refused(download(&client(), &server.url()).await);
        // Nor on the second hop.
        let first = Server::allowed(redirect(&server.url())).await;
        refused(download(&client(), &first.url()).await);
    }
    assert_eq!(inside.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn no_proxy_of_the_environment_is_asked() {
    let proxy = Server::at("127.0.0.2", ok("from the proxy")).await;
    let outside = Server::allowed(ok("from the server")).await;
    // With nextest every test is a separate process, and the other tests are not affected.
    unsafe { std::env::set_var("http_proxy", proxy.url()) };
    assert_eq!(download(&client(), &outside.url()).await.unwrap(), "from the server");
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn the_machines_own_public_address_is_requested_on_allowed_ports_only() {
    // 198.18.0.0/15 and the like are rejected anyway: the case of a public address of this machine is
    // constructed from rules.
    let own = Rules { networks: Vec::new(), allowed_ports: vec![443] };
    let client = Client::new(own).unwrap();
    let err = client.check("http://127.0.0.1:443/").unwrap_err();
    assert!(matches!(err, Error::Refused { kind: Kind::Loopback, .. }), "{err}");
}

#[tokio::test]
async fn what_can_be_refused_at_once_is_refused_before_it_is_kept() {
    let client = Client::new(Rules::default()).unwrap();
    for url in
        ["http://10.0.0.1/", "https://0x0a000001/x", "http://[::1]/", "file:///etc/passwd", "http://a.example:25/"]
    {
        assert!(client.check(url).unwrap_err().is_refusal(), "{url}");
    }
    assert!(client.check("https://files.example/a.tgz").is_ok());
}
