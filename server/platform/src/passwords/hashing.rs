//! Which passwords are taken, and how they are kept: as Argon2id, a few at a time.
//!
//! A hash takes 19 MiB and tens of milliseconds on purpose. Whoever asks for many at once waits, so
//! that strangers can use up neither the memory nor the processors of the machine.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use rand::RngCore as _;
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// Hashes that are made at once.
const AT_ONCE: usize = 2;
/// Whoever waits for longer is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);
const LEAST_CHARACTERS: usize = 12;
const MOST_BYTES: usize = 1024;
/// A hash of nothing: checked where there is no password, so that this takes as long as where there is one.
pub(super) const OF_NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Makes and checks hashes, beside the threads that answer requests.
#[derive(Clone)]
pub(crate) struct Hashing(Arc<Semaphore>);

impl Default for Hashing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// Memory, rounds and lanes as OWASP's cheat sheet on password storage advises.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19_456, 2, 1, None).expect("these are within the limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

impl Hashing {
    /// The PHC string of a password, with a new salt.
    pub async fn make(&self, password: &str) -> Result<String> {
        let (password, mut salt) = (password.to_owned(), [0; 16]);
        rand::rng().fill_bytes(&mut salt);
        let made = self.run(move || argon2().hash_password_with_salt(password.as_bytes(), &salt)).await?;
        Ok(made.map_err(|err| anyhow::anyhow!("hash a password: {err}"))?.to_string())
    }

    /// Whether this is the password of a PHC string.
    pub async fn check(&self, password: &str, hash: &str) -> Result<bool> {
        let (password, hash) = (password.to_owned(), hash.to_owned());
        self.run(move || {
            PasswordHash::new(&hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let turn = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| Error::too_many_at_once())?.map_err(anyhow::Error::new)?;
        // The turn goes along: a request that is given up does not make room before its hash is done.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        Ok(done.await.map_err(anyhow::Error::new)?)
    }
}

/// Refuses what is guessed first. There are no rules on which characters: length is what counts.
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
        return Err(Error::invalid("The password must not be your e-mail address."));
    }
    if is_repeated(&password) {
        return Err(Error::invalid("The password must not be the same few characters over and over."));
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
    fn what_is_guessed_first_is_refused() {
        let check = |password: &str| check_new(password, "ada.lovelace@example.com").map_err(|err| err.to_string());
        for fine in ["correct horse", "            !?:.", "пароль-длинный", "123456789012"] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (bad, says) in [
            ("short enough"[..11].to_owned(), "at least 12"),
            ("ä".repeat(600), "at most 1024"),
            ("Ada.Lovelace@Example.com ".into(), "e-mail address"),
            ("ada.lovelace".into(), "e-mail address"),
            ("aaaaaaaaaaaaaaa".into(), "over and over"),
            ("Passwordpassword".into(), "over and over"),
            ("abcabcabcabca".into(), "over and over"),
            ("ababbaabbbaac".into(), "over and over"),
        ] {
            assert!(check(&bad).is_err_and(|err| err.contains(says)), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_hash_is_salted_and_takes_as_long_for_nobody() {
        let hashing = Hashing::default();
        let (one, two) = (hashing.make("correct horse").await.unwrap(), hashing.make("correct horse").await.unwrap());
        assert_ne!(one, two);
        let head = |hash: &str| hash.rsplitn(3, '$').last().unwrap().to_owned();
        assert_eq!((head(&one), head(OF_NOBODY)), (head(&two), "$argon2id$v=19$m=19456,t=2,p=1".to_owned()));
        assert_eq!(head(&one), head(OF_NOBODY));
        assert_eq!(one.len(), OF_NOBODY.len());
        assert!(hashing.check("correct horse", &one).await.unwrap());
        assert!(!hashing.check("correct Horse", &one).await.unwrap());
        PasswordHash::new(OF_NOBODY).unwrap();
        assert!(!hashing.check("", OF_NOBODY).await.unwrap());
    }
}
