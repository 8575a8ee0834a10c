//! One-time codes that change every 30 seconds (RFC 6238), and the setup of an authenticator.
//!
//! Six digits and SHA-1, because every authenticator supports that. The time is an argument, and the used codes are not
//! known here: a code corresponds to a time step, and the database records the last one used.

use std::fmt::Write as _;

use base::secrets;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use qrcode::{Color, QrCode};
use sha1::Sha1;

/// The length of a time step in seconds.
const STEP: i64 = 30;
/// The number of accepted steps before and after the current one: clocks may differ, and typing takes time.
const WINDOW: i64 = 1;
/// Light modules around a QR code (ISO 18004).
const QUIET: usize = 4;
/// As long as the hash (RFC 4226, section 4).
pub(super) const SECRET_BYTES: usize = 20;

/// The time step of a point in time.
pub(super) fn step(now: DateTime<Utc>) -> i64 {
    now.timestamp().div_euclid(STEP)
}

/// The code of a step.
fn code(secret: &[u8], step: i64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[hash.len() - 1] & 0xf);
    let word = u32::from_be_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// The newest step around `now` with this code.
pub(super) fn step_of(secret: &[u8], given: &str, now: i64) -> Option<i64> {
    let is = |step: &i64| secrets::same(code(secret, *step).as_bytes(), given.as_bytes());
    (now - WINDOW..=now + WINDOW).rfind(is)
}

/// Base32 without padding (RFC 4648), as authenticators read secrets.
pub(super) fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let mut five = [0; 8];
        five[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(five);
        let letters = (group.len() * 8).div_ceil(5);
        (0..letters).for_each(|n| out.push(char::from(LETTERS[(bits >> (35 - 5 * n) & 31) as usize])));
    }
    out
}

/// The URL for adding a secret to an authenticator. `issuer` is its heading.
pub(super) fn uri(secret: &[u8], issuer: &str, account: &str) -> String {
    let (issuer, account) = (api::client::segment(issuer), api::client::segment(account));
    let secret = base32(secret);
    format!("otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP}")
}

/// A QR code as an SVG document, dark on light on any page, as scanners need it.
pub(super) fn qr(text: &str) -> anyhow::Result<String> {
    let code = QrCode::new(text)?;
    let (width, modules) = (code.width(), code.to_colors());
    let mut path = String::new();
    for (y, row) in modules.chunks(width).enumerate() {
        // Each run of dark modules is one stroke, as thick as a module.
        let mut x = QUIET;
        for run in row.chunk_by(|a, b| a == b) {
            if run[0] == Color::Dark {
                write!(path, "M{x} {}.5h{}", y + QUIET, run.len())?;
            }
            x += run.len();
        }
    }
    let all = width + 2 * QUIET;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {all} {all}\" width=\"{all}\" height=\"{all}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{all}v{all}H0z\"/><path stroke=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B; the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (time, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = DateTime::from_timestamp(time, 0).unwrap();
            assert_eq!(code(secret, step(now)), expected, "{time}");
        }
    }

    #[test]
    fn codes_count_one_step_back_and_forth() {
        let secret = b"12345678901234567890";
        let found = |of: i64| step_of(secret, &code(secret, of), 1000);
        assert_eq!([998, 999, 1000, 1001, 1002].map(found), [None, Some(999), Some(1000), Some(1001), None]);
        assert_eq!(step_of(secret, "", 1000), None);
        assert_eq!(step_of(secret, &code(secret, 1000)[..5], 1000), None);
    }

    /// RFC 4648, section 10, without padding.
    #[test]
    fn secrets_are_in_base32() {
        for (plain, expected) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), expected);
        }
    }

    #[test]
    fn an_authenticator_gets_all_it_needs() {
        let uri = uri(b"12345678901234567890", "Wharf wharf.test", "ada+x@example.com");
        assert_eq!(
            uri,
            "otpauth://totp/Wharf%20wharf.test:ada%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Wharf%20wharf.test&algorithm=SHA1&digits=6&period=30"
        );
        let svg = qr(&uri).unwrap();
        assert!(svg.contains("<svg ") && svg.len() < 12_000, "{}", svg.len());
    }
}
