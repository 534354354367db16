//! Passwords: what is accepted as one, what is generated, and what is kept of it.

use std::fmt;
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use policies::mailbox::{MailboxNumber, MailboxPolicy, PasswordError};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::random::{NoRandomness, Random};
pub(crate) use crate::record::password::{Cost, Verifier};

/// The longest password that is looked at, in bytes.
pub const MAX_BYTES: usize = 1_024;
/// Letters and digits that are not taken for one another: 32 of them, five bits each.
pub(super) const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
/// Four groups of four: 80 bits, and short enough to be typed on a phone.
const GROUPS: usize = 4;
/// Those who wait for a turn to hash, beyond those who have one; more are sent away.
const WAITING: usize = 64;
/// Strangers who apply for a mailbox and wait behind the one whose turn it is: four at a time with that one.
const STRANGERS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("too many passwords are being checked at this moment; try again in a few seconds")]
    Busy,
    #[error("the memory that hashing a password needs cannot be had; nothing was changed, try again")]
    Memory,
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// The password a mailbox shall have.
#[derive(Clone, Debug)]
pub enum NewPassword {
    Generated,
    Chosen(SecretString),
}

/// A password to be set. `Debug` shows nothing of it, and it is wiped when dropped.
#[derive(Clone)]
pub struct Password {
    text: SecretString,
    generated: bool,
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.generated { "Password(generated)" } else { "Password(chosen)" })
    }
}

impl Password {
    /// A password that a person chose, within the policy; `owner` is not known yet where the mailbox is applied for.
    pub fn chosen(text: &SecretString, owner: Option<MailboxNumber>, policy: &MailboxPolicy) -> Result<Self, PasswordError> {
        // Judged as it was typed where it is too long or no password, else in the form that is compared.
        let typed = text.expose_secret();
        let Some(mut text) = Some(text).filter(|_| typed.len() <= MAX_BYTES).and_then(opaque) else {
            policy.judge_password(typed, owner)?;
            return Err(PasswordError::Control);
        };
        policy.judge_password(&text, owner)?;
        Ok(Self { text: SecretString::from(std::mem::take(&mut *text)), generated: false })
    }

    /// A password of 80 random bits.
    pub fn generate(random: &dyn Random) -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; GROUPS * 4]);
        random.fill(&mut *bytes)?;
        let mut text = Zeroizing::new(String::with_capacity(GROUPS * 5));
        for (place, byte) in bytes.iter().enumerate() {
            if place % 4 == 0 && place > 0 {
                text.push('-');
            }
            // Five bits of each byte: every symbol is equally likely.
            text.extend(ALPHABET.get(usize::from(byte & 31)).map(|symbol| char::from(*symbol)));
        }
        Ok(Self { text: SecretString::from(std::mem::take(&mut *text)), generated: true })
    }

    /// The password itself, for the one moment in which it is told to its owner.
    pub fn expose(&self) -> &SecretString {
        &self.text
    }
}

/// The form in which passwords are compared, whatever keyboard they come from; `None` for what is no password.
// spec: rfc8265#4.2.2
fn opaque(text: &SecretString) -> Option<Zeroizing<String>> {
    let text = text.expose_secret();
    // Room for what composing may add, so that no half of it is left behind by a growing string.
    let mut out = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
    out.extend(text.chars().map(|c| if c.is_whitespace() && !c.is_control() { ' ' } else { c }).nfc());
    (!out.is_empty() && !out.chars().any(char::is_control)).then_some(out)
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// For what people choose: the second recommended option. spec: rfc9106#4
    pub chosen: Cost,
    /// For generated passwords. A slow hash makes up for a password that can be guessed; 80 random bits
    /// cannot, at any speed: even one nanosecond a guess is 38 million years. So a thousand mailboxes are
    /// opened in moments. A person who then chooses a password gets the full cost.
    pub generated: Cost,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            chosen: Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 },
            generated: Cost { memory_kib: 256, passes: 1, lanes: 1 },
        }
    }
}

/// Hashes, as many at once as there are processors, since each takes much memory; and one more for strangers, for whom nobody who logs
/// in ever waits.
pub(crate) struct Hasher {
    costs: Costs,
    owners: Queue,
    strangers: Queue,
}

struct Queue {
    at_once: usize,
    turns: Mutex<Turns>,
    freed: Condvar,
}

#[derive(Default)]
struct Turns {
    running: usize,
    waiting: usize,
}

impl Hasher {
    pub(crate) fn new(costs: Costs) -> Self {
        let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { costs, owners: Queue::new(at_once), strangers: Queue::new(1) }
    }

    /// An administrator waits, however many log in at this moment.
    pub(super) fn verifier(&self, password: &Password, random: &dyn Random) -> Result<Verifier, HashError> {
        self.verifier_among(password, random, &self.owners, usize::MAX)
    }

    /// Whoever applies waits among those who apply.
    pub(super) fn verifier_of_stranger(&self, password: &Password, random: &dyn Random) -> Result<Verifier, HashError> {
        self.verifier_among(password, random, &self.strangers, STRANGERS)
    }

    fn verifier_among(&self, password: &Password, random: &dyn Random, queue: &Queue, waiting: usize) -> Result<Verifier, HashError> {
        let cost = if password.generated { self.costs.generated } else { self.costs.chosen };
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        let _turn = queue.turn(waiting)?;
        let hash = hash(password.text.expose_secret().as_bytes(), &salt, cost)?;
        Ok(Verifier { cost, salt, hash: *hash })
    }

    /// Whether `secret` is the password that `verifier` was made of. To be refused costs the same whether
    /// the password is wrong, of whichever kind, or there is no such account: one hash of every cost.
    pub(super) fn verify(&self, verifier: Option<&Verifier>, secret: &SecretString) -> Result<bool, HashError> {
        self.verify_among(verifier, secret, &self.owners, WAITING)
    }

    /// The same for whoever applies again.
    pub(super) fn verify_of_stranger(&self, verifier: &Verifier, secret: &SecretString) -> Result<bool, HashError> {
        self.verify_among(Some(verifier), secret, &self.strangers, STRANGERS)
    }

    fn verify_among(&self, verifier: Option<&Verifier>, secret: &SecretString, queue: &Queue, waiting: usize) -> Result<bool, HashError> {
        let text = if secret.expose_secret().len() <= MAX_BYTES { opaque(secret) } else { None };
        let _turn = queue.turn(waiting)?;
        let (known, text) = (text.is_some(), text.unwrap_or_default());
        if let Some(verifier) = verifier {
            let hash = hash(text.as_bytes(), &verifier.salt, verifier.cost)?;
            if known && bool::from(hash.as_slice().ct_eq(&verifier.hash)) {
                return Ok(true);
            }
        }
        for cost in [self.costs.generated, self.costs.chosen] {
            if verifier.is_none_or(|verifier| verifier.cost != cost) {
                hash(text.as_bytes(), &[0; 16], cost)?;
            }
        }
        Ok(false)
    }
}

impl Queue {
    fn new(at_once: usize) -> Self {
        Self { at_once, turns: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits for a processor, unless `most` wait already.
    fn turn(&self, most: usize) -> Result<Turn<'_>, HashError> {
        let mut turns = self.turns();
        if turns.running >= self.at_once {
            if turns.waiting >= most {
                return Err(HashError::Busy);
            }
            turns.waiting += 1;
            turns = self.freed.wait_while(turns, |turns| turns.running >= self.at_once).unwrap_or_else(PoisonError::into_inner);
            turns.waiting = turns.waiting.saturating_sub(1);
        }
        turns.running += 1;
        Ok(Turn(self))
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(text: &[u8], salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; 32]>, HashError> {
    let parameters = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|_| HashError::Memory)?;
    let mut hash = Zeroizing::new([0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    argon2.hash_password_into(text, salt, &mut *hash).map_err(|_| HashError::Memory)?;
    Ok(hash)
}

struct Turn<'a>(&'a Queue);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.0.turns();
        turns.running = turns.running.saturating_sub(1);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use ring::rand::SystemRandom;

    /// Costs that keep tests quick and can still be told apart.
    pub(crate) const CHEAP: Costs = Costs {
        chosen: Cost { memory_kib: 64, passes: 2, lanes: 1 },
        generated: Cost { memory_kib: 32, passes: 1, lanes: 1 },
    };

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn chosen(text: &str) -> Result<Password, PasswordError> {
        let owner = MailboxNumber::parse("1234567897").unwrap();
        Password::chosen(&secret(text), Some(owner), &MailboxPolicy::parse(policies::mailbox::SHIPPED).unwrap())
    }

    #[test]
    fn what_is_no_password_is_refused() {
        let refused = |text: &str| chosen(text).unwrap_err();
        assert!(matches!(refused("穗印穗印"), PasswordError::TooShort { .. }));
        assert!(matches!(refused(""), PasswordError::TooShort { .. }));
        assert!(matches!(refused(&"ab".repeat(1_000)), PasswordError::TooLong { .. }));
        assert_eq!(refused("a tab\tis a control"), PasswordError::Control);
        assert_eq!(refused("it is 1234567897"), PasswordError::Plain);
        // Spaces of two kinds are one character repeated, as they are compared.
        assert_eq!(refused(&" \u{3000}".repeat(8)), PasswordError::Plain);
    }

    #[test]
    fn a_generated_password_is_readable_and_80_bits() {
        let one = Password::generate(&SystemRandom::new()).unwrap();
        let text = one.expose().expose_secret().to_owned();
        assert_eq!((text.len(), text.split('-').map(str::len).collect::<Vec<_>>()), (19, vec![4; 4]));
        assert!(text.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)), "{text}");
        let distinct: std::collections::BTreeSet<u8> = ALPHABET.iter().copied().collect();
        assert_eq!(distinct.len(), 32);
        assert_ne!(text, Password::generate(&SystemRandom::new()).unwrap().expose().expose_secret());
        assert_eq!(format!("{one:?}"), "Password(generated)");
    }

    #[test]
    fn a_password_is_recognised_from_any_keyboard_and_no_other_is() {
        let hasher = Hasher::new(CHEAP);
        let password = chosen("Caf\u{e9} 在珠江边坐着看船来").unwrap();
        let verifier = hasher.verifier(&password, &SystemRandom::new()).unwrap();
        for (text, same) in [
            ("Café 在珠江边坐着看船来", true),
            ("Cafe\u{301}\u{3000}在珠江边坐着看船来", true),
            ("cafe\u{301} 在珠江边坐着看船来", false),
            ("", false),
            ("Café 在珠江边坐着看船来\n", false),
        ] {
            assert_eq!(hasher.verify(Some(&verifier), &secret(text)), Ok(same), "{text:?}");
        }
        assert_eq!(hasher.verify(None, password.expose()), Ok(false));
        let again = hasher.verifier(&password, &SystemRandom::new()).unwrap();
        assert_ne!(again.salt, verifier.salt);
    }

    #[test]
    fn the_parameters_go_with_the_hash() {
        let random = SystemRandom::new();
        let generated = Password::generate(&random).unwrap();
        let verifier = Hasher::new(CHEAP).verifier(&generated, &random).unwrap();
        assert_eq!(verifier.cost, CHEAP.generated);
        let kept: Verifier = serde_json::from_slice(&serde_json::to_vec(&verifier).unwrap()).unwrap();
        // A program with other costs still recognises it.
        let other = Hasher::new(Costs { chosen: CHEAP.generated, generated: CHEAP.chosen });
        assert_eq!(other.verify(Some(&kept), generated.expose()), Ok(true));
    }

    #[test]
    fn the_hash_is_argon2id_as_published() {
        // phc-winner-argon2, `test.c`: version 0x13, t=2, m=2^8, p=1, "password", "somesalt", Argon2id.
        let hash = hash(b"password", b"somesalt", Cost { memory_kib: 256, passes: 2, lanes: 1 }).unwrap();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe");
    }

    #[test]
    fn turns_are_given_back() {
        let hasher = Hasher::new(CHEAP);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(hasher.verify(None, &secret("a password")), Ok(false)));
            }
        });
        let turns = hasher.owners.turns();
        assert_eq!((turns.running, turns.waiting), (0, 0));
    }

    #[test]
    fn nobody_who_logs_in_waits_for_strangers() {
        let (hasher, random, password) = (Hasher::new(CHEAP), SystemRandom::new(), chosen("a few unrelated words").unwrap());
        let verifier = hasher.verifier_of_stranger(&password, &random).unwrap();
        let turn = hasher.strangers.turn(STRANGERS).unwrap();
        hasher.strangers.turns().waiting = STRANGERS;
        assert!(matches!(hasher.verifier_of_stranger(&password, &random), Err(HashError::Busy)));
        assert_eq!(hasher.verify_of_stranger(&verifier, password.expose()), Err(HashError::Busy));
        assert_eq!(hasher.verify(Some(&verifier), password.expose()), Ok(true));
        hasher.strangers.turns().waiting = 0;
        drop(turn);
        assert_eq!(hasher.verify_of_stranger(&verifier, password.expose()), Ok(true));
    }
}
