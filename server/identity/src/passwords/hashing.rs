//! Password rules, and hashing with Argon2id, a few at a time.
//!
//! A hash takes 19 MiB and tens of milliseconds on purpose. Many at once are queued, so that unauthenticated clients
//! cannot exhaust memory or CPU. A known client waits for at most one hash of its own account or network, and for those
//! of unknown clients only while they are in progress.

use std::{sync::Arc, time::Duration};

use api::ids::AccountId;
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use base::{Error, Result, slots::Slots};
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::cookie_guard;
/// Concurrent hashes.
const AT_ONCE: usize = 2;
/// Concurrent hashes per account or network, and how many more can wait.
const OF_ONE: usize = 1;
const WAITING: usize = 32;
/// Time limit for waiting; then the request is rejected.
const PATIENCE: Duration = Duration::from_secs(10);
const LEAST_CHARACTERS: usize = 12;
const MOST_BYTES: usize = 1024;
/// A dummy hash: checked where there is no password, so that it takes the same time.
pub(super) const OF_NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The client of a hash.
#[derive(Clone, Copy)]
pub(crate) enum For<'a> {
    /// A signed-in account, or one known by its browser.
    Known(AccountId),
    /// A client at this address.
    Visitor(Option<&'a str>),
}

/// Creates and checks hashes, on separate threads.
#[derive(Clone)]
pub(crate) struct Hashing(Arc<Lanes>);

struct Lanes {
    known: Slots,
    visitors: Slots,
    turns: Arc<Semaphore>,
}

impl Default for Hashing {
    fn default() -> Self {
        let slots = || Slots::new("passwords", OF_ONE, WAITING, AT_ONCE);
        Self(Arc::new(Lanes { known: slots(), visitors: slots(), turns: Arc::new(Semaphore::new(AT_ONCE)) }))
    }
}

/// Memory, rounds and lanes as OWASP's cheat sheet on password storage advises.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19_456, 2, 1, None).expect("these are within the limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

impl Hashing {
    /// The PHC string of a password, with a new salt.
    pub async fn make(&self, who: For<'_>, password: &str) -> Result<String> {
        let (password, mut salt) = (password.to_owned(), [0; 16]);
        rand::rng().fill_bytes(&mut salt);
        let made = self.run(who, move || argon2().hash_password_with_salt(password.as_bytes(), &salt)).await?;
        Ok(made.map_err(|err| anyhow::anyhow!("hash a password: {err}"))?.to_string())
    }

    /// Whether this is the password of a PHC string.
    pub async fn check(&self, who: For<'_>, password: &str, hash: &str) -> Result<bool> {
        let (password, hash) = (password.to_owned(), hash.to_owned());
        self.run(who, move || {
            PasswordHash::new(&hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, who: For<'_>, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let Lanes { known, visitors, turns } = &*self.0;
        let (lane, payer) = match who {
            For::Known(account) => (known, account),
            For::Visitor(address) => (visitors, network(address)),
        };
        let turn = async {
            let slot = lane.take(payer).await.map_err(|_| Error::too_many_at_once())?;
            Ok::<_, Error>((slot, turns.clone().acquire_owned().await.map_err(anyhow::Error::new)?))
        };
        let turn = tokio::time::timeout(PATIENCE, turn).await.map_err(|_| Error::too_many_at_once())??;
        // The slot moves along: an abandoned request does not release it before its hash is done.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        Ok(done.await.map_err(anyhow::Error::new)?)
    }
}

/// An id for the network of an address, since a client often has many addresses of it.
fn network(address: Option<&str>) -> AccountId {
    let network = cookie_guard::network(address.map(String::from));
    let mut id = [0; 16];
    id.copy_from_slice(&Sha256::digest(network.as_bytes())[..16]);
    AccountId(Uuid::from_bytes(id))
}

/// Rejects passwords that attackers try first. Length counts; there are no rules about characters.
pub(super) fn check_new(password: &str, email: &str) -> Result<()> {
    if password.chars().count() < LEAST_CHARACTERS {
        return Err(Error::invalid(format!("The password must have at least {LEAST_CHARACTERS} characters.")));
    }
    if password.len() > MOST_BYTES {
        return Err(Error::invalid(format!("The password must have at most {MOST_BYTES} bytes.")));
    }
    let (password, email) = (password.to_lowercase(), email.to_lowercase());
    let is_address = password.trim() == email || email.split('@').next() == Some(password.trim());
    if is_address {
        return Err(Error::invalid("The password must not be your email address."));
    }
    if is_repeated(&password) {
        return Err(Error::invalid("The password must not repeat the same few characters."));
    }
    Ok(())
}

/// `aaaaaaaaaaaa`, `abcabcabcabca`, or no more than three characters in any order.
fn is_repeated(password: &str) -> bool {
    let all: Vec<char> = password.chars().collect();
    let mut different = all.clone();
    different.sort_unstable();
    different.dedup();
    let has_period = |period: usize| all.iter().zip(&all[period..]).all(|(a, b)| a == b);
    different.len() <= 3 || (1..=all.len() / 2).any(has_period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_passwords_are_rejected() {
        let check = |password: &str| check_new(password, "ada.lovelace@example.com").map_err(|err| err.to_string());
        for fine in ["correct horse", "            !?:.", "пароль-длинный", "123456789012"] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (bad, says) in [
            ("short enough"[..11].to_owned(), "at least 12"),
            ("ä".repeat(600), "at most 1024"),
            ("Ada.Lovelace@Example.com ".into(), "email address"),
            ("ada.lovelace".into(), "email address"),
            ("aaaaaaaaaaaaaaa".into(), "repeat the same"),
            ("Passwordpassword".into(), "repeat the same"),
            ("abcabcabcabca".into(), "repeat the same"),
            ("ababbaabbbaac".into(), "repeat the same"),
        ] {
            assert!(check(&bad).is_err_and(|err| err.contains(says)), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_hash_is_salted_and_takes_as_long_without_an_account() {
        let hashing = Hashing::default();
        let me = For::Visitor(None);
        let one = hashing.make(me, "correct horse").await.unwrap();
        let two = hashing.make(me, "correct horse").await.unwrap();
        assert_ne!(one, two);
        let head = |hash: &str| hash.rsplitn(3, '$').last().unwrap().to_owned();
        assert_eq!((head(&one), head(OF_NOBODY)), (head(&two), "$argon2id$v=19$m=19456,t=2,p=1".to_owned()));
        assert_eq!(head(&one), head(OF_NOBODY));
        assert_eq!(one.len(), OF_NOBODY.len());
        assert!(hashing.check(me, "correct horse", &one).await.unwrap());
        assert!(!hashing.check(me, "correct Horse", &one).await.unwrap());
        PasswordHash::new(OF_NOBODY).unwrap();
        assert!(!hashing.check(me, "", OF_NOBODY).await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_guesses_of_one_client_delay_nobody_else() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (hashing, done) = (Hashing::default(), Arc::new(AtomicUsize::new(0)));
        let (ada, bob) = (AccountId::from_u128(1), AccountId::from_u128(2));
        let mut guesses = Vec::new();
        for n in 0..60 {
            let (hashing, done) = (hashing.clone(), done.clone());
            guesses.push(tokio::spawn(async move {
                // A signed-in user who keeps changing a password, and a client with a network of addresses.
                let address = format!("2001:db8:5:{n:x}::{n}");
                let who = if n % 2 == 0 { For::Known(bob) } else { For::Visitor(Some(&address)) };
                let outcome = hashing.check(who, "a guess", OF_NOBODY).await;
                done.fetch_add(1, Ordering::SeqCst);
                outcome.is_ok()
            }));
        }
        while hashing.0.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        for who in [For::Known(ada), For::Visitor(Some("192.0.2.7"))] {
            hashing.check(who, "a password", OF_NOBODY).await.unwrap();
        }
        let before = done.load(Ordering::SeqCst);
        assert!(before < 30, "{before}");
        for guess in guesses {
            assert!(guess.await.unwrap());
        }
        // A client with too many waiting requests gets an error.
        let many = futures::future::join_all((0..60).map(|_| hashing.check(For::Known(bob), "", OF_NOBODY))).await;
        assert!(many.iter().any(Result::is_ok) && many.iter().any(Result::is_err));
    }

    #[test]
    fn a_network_is_one_visitor() {
        let same = [["192.0.2.7", "192.0.2.200"], ["2001:db8:5:1::1", "2001:db8:5:2::2"]];
        assert!(same.iter().all(|[a, b]| network(Some(a)) == network(Some(b))));
        assert_ne!(network(Some("192.0.2.7")), network(Some("192.0.3.7")));
    }
}
