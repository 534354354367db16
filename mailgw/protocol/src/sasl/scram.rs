//! The messages of SCRAM, read and written; what is proved by them is the server's to compute. spec: rfc5802 rfc7677
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets of a message; honest ones have two hundred.
const MAX_MESSAGE: usize = 2_048;
/// Octets of a client's nonce.
const MAX_NONCE: usize = 256;

/// What the server answers to [`super::Question::Salt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salted {
    /// Random, printable, without commas; never the same twice.
    pub nonce: String,
    pub salt: [u8; 32],
    pub iterations: u32,
}

/// What a client sends to prove that it knows a password of `user`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    pub user: String,
    /// The whole exchange, which the proof covers.
    pub exchange: String,
    pub proof: [u8; 32],
}

/// The client's first message, understood.
pub(crate) struct First {
    user: String,
    /// What stands before the message proper: whether and how it is bound to the connection.
    header: String,
    bare: String,
    nonce: String,
    binding: Option<[u8; 32]>,
}

/// The server's first message was sent.
pub(crate) struct Challenged {
    user: String,
    /// What the client has to send back of header and binding.
    bound: Vec<u8>,
    bare: String,
    server_first: String,
    nonce: String,
}

impl First {
    /// `plus`: the mechanism that binds was chosen; `binding`: what this connection is bound by, where that is offered.
    pub fn parse(text: &str, plus: bool, binding: Option<&[u8; 32]>) -> Result<Self, &'static str> {
        const WRONG: &str = "That is no first message of SCRAM";
        if text.len() > MAX_MESSAGE {
            return Err(WRONG);
        }
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(acts_as), Some(bare)) = (parts.next(), parts.next(), parts.next()) else { return Err(WRONG) };
        // spec: rfc5802#6 the flag says what the client knows of binding: one who was kept from seeing it offered is refused
        let binding = match (flag, plus) {
            ("p=tls-exporter", true) => Some(*binding.ok_or(WRONG)?),
            (_, true) => return Err("Bind the login to the connection by tls-exporter"),
            ("n", false) => None,
            ("y", false) if binding.is_none() => None,
            ("y", false) => return Err("SCRAM-SHA-256-PLUS is offered here: somebody hid it from you"),
            _ => return Err(WRONG),
        };
        let mut attributes = bare.split(',');
        // spec: rfc5802#5.1 an extension that must be understood stands before the name
        let user = attributes.next().and_then(|part| part.strip_prefix("n=")).and_then(name).ok_or(WRONG)?;
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r=")).filter(|nonce| is_nonce(nonce)).ok_or(WRONG)?.to_owned();
        if attributes.any(|part| !is_extension(part)) {
            return Err(WRONG);
        }
        // Nobody acts in another's name.
        let acts_as_itself = acts_as.is_empty() || acts_as.strip_prefix("a=").and_then(name).is_some_and(|acts_as| acts_as == user);
        if !acts_as_itself {
            return Err("Nobody acts for another here");
        }
        let header = format!("{flag},{acts_as},");
        Ok(Self { user, header, bare: bare.to_owned(), nonce, binding })
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    /// The server's first message.
    pub fn challenged(self, salted: &Salted) -> (String, Challenged) {
        let nonce = format!("{}{}", self.nonce, salted.nonce);
        let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(salted.salt), salted.iterations);
        // spec: rfc5802#7 cbind-input
        let mut bound = self.header.into_bytes();
        bound.extend(self.binding.into_iter().flatten());
        (server_first.clone(), Challenged { user: self.user, bound, bare: self.bare, server_first, nonce })
    }
}

impl Challenged {
    /// The client's final message: over the same nonce, bound to the same connection. Whether it proves anything is not judged here.
    pub fn proof(self, text: &str) -> Result<Proof, &'static str> {
        const WRONG: &str = "That is no final message of SCRAM";
        if text.len() > MAX_MESSAGE {
            return Err(WRONG);
        }
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(WRONG)?;
        let proof = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).ok_or(WRONG)?;
        let mut attributes = without_proof.split(',');
        let bound = attributes.next().and_then(|part| part.strip_prefix("c=")).and_then(|part| STANDARD.decode(part).ok()).ok_or(WRONG)?;
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r=")).ok_or(WRONG)?;
        if attributes.any(|part| !is_extension(part)) || nonce != self.nonce {
            return Err(WRONG);
        }
        // Neither is a secret: the client made the one, and the other is this connection's own.
        if bound != self.bound {
            return Err("The login is bound to another connection: somebody stands between");
        }
        let exchange = format!("{},{},{without_proof}", self.bare, self.server_first);
        Ok(Proof { user: self.user, exchange, proof })
    }
}

/// spec: rfc5802#7 saslname
pub(super) fn name(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('=') {
        name.push_str(plain);
        name.push(match escaped.get(..2)? {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        rest = escaped.get(2..)?;
    }
    name.push_str(rest);
    (!name.is_empty() && !name.contains('\0')).then_some(name)
}

fn is_nonce(text: &str) -> bool {
    (1..=MAX_NONCE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// One that nobody has to understand.
fn is_extension(part: &str) -> bool {
    matches!(part.split_once('='), Some((letter, _)) if letter.len() == 1 && letter != "m" && letter.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn salted() -> Salted {
        Salted { nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into(), salt: [7; 32], iterations: 4096 }
    }

    /// spec: rfc7677#3 the dialogue there, but for its salt
    #[test]
    fn the_known_dialogue() {
        let first = First::parse("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", false, None).unwrap();
        assert_eq!(first.user(), "user");
        let (said, challenged) = first.challenged(&salted());
        assert_eq!(said, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=,i=4096");
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let proof = challenged.proof(last).unwrap();
        let (without_proof, _) = last.rsplit_once(",p=").unwrap();
        assert_eq!(proof.exchange, format!("n=user,r=rOprNGfwEbeRWgbNEkqO,{said},{without_proof}"));
    }

    #[test]
    fn first_messages() {
        let bound = [1; 32];
        for (text, plus, binding) in [("n,,n=a=2Cb=3D,r=x", false, None), ("y,,n=a,r=x,e=1", false, None), ("n,a=a,n=a,r=x", false, Some(&bound)), ("p=tls-exporter,,n=a,r=x", true, Some(&bound))] {
            assert!(First::parse(text, plus, binding).is_ok(), "{text}");
        }
        assert_eq!(First::parse("n,,n=a=2Cb=3D,r=x", false, None).unwrap().user(), "a,b=");
        for (text, plus, binding) in [
            ("", false, None), ("n,,", false, None), ("n,,n=,r=x", false, None), ("n,,n=a", false, None), ("n,,n=a,r=", false, None), ("n,,n=a=2c,r=x", false, None),
            ("n,,n=a=,r=x", false, None), ("n,,m=1,n=a,r=x", false, None), ("n,,n=a,r=x,m=1", false, None), ("n,,n=a,r=x y", false, None), ("n,a=b,n=a,r=x", false, None),
            // A client that knows of binding and saw none offered, where it is.
            ("y,,n=a,r=x", false, Some(&bound)),
            ("n,,n=a,r=x", true, Some(&bound)), ("y,,n=a,r=x", true, Some(&bound)), ("p=tls-unique,,n=a,r=x", true, Some(&bound)), ("p=tls-exporter,,n=a,r=x", false, Some(&bound)),
            ("p=tls-exporter,,n=a,r=x", true, None), ("x,,n=a,r=x", false, None), ("n,,n=a=长,r=x", false, None),
        ] {
            assert!(First::parse(text, plus, binding).is_err(), "{text}");
        }
        assert!(First::parse(&format!("n,,n=a,r={}", "x".repeat(MAX_NONCE + 1)), false, None).is_err());
    }

    #[test]
    fn final_messages() {
        let challenged = |text: &str, plus, binding| First::parse(text, plus, binding).unwrap().challenged(&salted()).1;
        let nonce = "r=x%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = STANDARD.encode([9; 32]);
        let plain = |text: &str| challenged("n,,n=a,r=x", false, None).proof(text);
        assert!(plain(&format!("c=biws,{nonce},p={proof}")).is_ok_and(|read| read.proof == [9; 32] && read.user == "a"));
        for text in [
            String::new(), format!("c=biws,{nonce}"), format!("c=biws,r=x,p={proof}"), format!("c=eSws,{nonce},p={proof}"), format!("c=biws,{nonce},m=1,p={proof}"),
            format!("{nonce},c=biws,p={proof}"), format!("c=biws,{nonce},p=AAAA"), format!("c=!,{nonce},p={proof}"),
        ] {
            assert!(plain(&text).is_err(), "{text}");
        }
        // Bound to this connection, not to another.
        let bound = |by: [u8; 32]| format!("c={},{nonce},p={proof}", STANDARD.encode([b"p=tls-exporter,,".as_slice(), &by].concat()));
        let plus = |text: &str| challenged("p=tls-exporter,,n=a,r=x", true, Some(&[1; 32])).proof(text);
        assert!(plus(&bound([1; 32])).is_ok());
        assert!(plus(&bound([2; 32])).is_err());
        assert!(plus(&format!("c=biws,{nonce},p={proof}")).is_err());
    }
}
