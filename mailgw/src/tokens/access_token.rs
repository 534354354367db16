//! One access token, one straight line: read → its kind and algorithm → signature → who made it, for whom → of now. spec: rfc9068 rfc7515
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};
use serde::de::{DeserializeOwned, IgnoredAny};
use time::{Duration, OffsetDateTime};

use super::key_set::KeySet;

/// Clocks differ, and where a token was made in the future it is by this much at most.
const AHEAD: Duration = Duration::minutes(1);
const MAX_AUDIENCES: usize = 16;
const MAX_ID: usize = 256;

/// What has to stand in a token.
pub(super) struct Expected {
    pub issuer: String,
    pub audience: String,
    pub scope: Option<String>,
    pub longest: Duration,
}

/// What a token that is believed says. Not printed: it is of a person.
pub struct Claims {
    /// The address of a mailbox.
    pub subject: String,
    pub id: String,
    pub ends: OffsetDateTime,
    /// The SHA-256 of the key that made it.
    pub key: [u8; 32],
}

/// Why a token opens nothing: told to the operator, not to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBelieved {
    #[error("it is no signed JSON of three parts")]
    Form,
    #[error("its header names another algorithm than ES256")]
    Algorithm,
    #[error("its header says that it is no access token (typ at+jwt), or asks for what is not understood here")]
    Kind,
    #[error("no key of the provider made its signature")]
    Signature,
    #[error("its claims lack one that has to be there, or one is of another form")]
    Claims,
    #[error("another issuer made it")]
    Issuer,
    #[error("it was made for another audience")]
    Audience,
    #[error("it does not hold the scope that mail needs")]
    Scope,
    #[error("it was made in the future, or is not good yet")]
    Early,
    #[error("it is good for longer than is believed here")]
    Long,
    #[error("it is over")]
    Over,
    #[error("the key that made it is the provider's no more")]
    Key,
    #[error("it was revoked")]
    Revoked,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    /// Extensions that must be understood: none is.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

/// Whatever it is, `null` too.
fn is_there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

/// Whole seconds: no provider that is known here writes others.
#[derive(Deserialize)]
struct Written {
    iss: String,
    aud: Audiences,
    sub: String,
    #[serde(rename = "client_id")]
    _client: String,
    jti: String,
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
    scope: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

pub(super) fn verify(token: &str, keys: &KeySet, expected: &Expected, now: OffsetDateTime) -> Result<Claims, NotBelieved> {
    // 1. Three parts.
    let (signed, signature) = token.rsplit_once('.').ok_or(NotBelieved::Form)?;
    let (header, claims) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.')).ok_or(NotBelieved::Form)?;
    // 2. What is not of this kind and by this algorithm is not tried: what it is, is not the token's to choose.
    let header: Header = json(header).ok_or(NotBelieved::Form)?;
    if header.alg != "ES256" {
        return Err(NotBelieved::Algorithm);
    }
    let is_access = header.typ.is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt"));
    if !is_access || header.crit {
        return Err(NotBelieved::Kind);
    }
    // 3. Before this nothing that it says is read.
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| NotBelieved::Form)?;
    let key = keys.signer(header.kid.as_deref(), signed.as_bytes(), &signature).ok_or(NotBelieved::Signature)?;
    // 4. By whom, for whom, for what.
    let claims: Written = json(claims).ok_or(NotBelieved::Claims)?;
    if claims.iss != expected.issuer {
        return Err(NotBelieved::Issuer);
    }
    let is_for_us = match &claims.aud {
        Audiences::One(one) => *one == expected.audience,
        Audiences::Many(many) => many.len() <= MAX_AUDIENCES && many.contains(&expected.audience),
    };
    if !is_for_us {
        return Err(NotBelieved::Audience);
    }
    if expected.scope.as_ref().is_some_and(|wanted| !claims.scope.iter().flat_map(|scope| scope.split(' ')).any(|word| word == wanted)) {
        return Err(NotBelieved::Scope);
    }
    // 5. Of now, and not for long.
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| NotBelieved::Claims);
    let (made, ends, from) = (at(claims.iat)?, at(claims.exp)?, claims.nbf.map(at).transpose()?);
    if now >= ends {
        return Err(NotBelieved::Over);
    }
    if [Some(made), from].into_iter().flatten().any(|from| from > now + AHEAD) {
        return Err(NotBelieved::Early);
    }
    if ends - made > expected.longest {
        return Err(NotBelieved::Long);
    }
    if !(1..=MAX_ID).contains(&claims.jti.len()) {
        return Err(NotBelieved::Claims);
    }
    Ok(Claims { subject: claims.sub, id: claims.jti, ends, key })
}

/// Base64 of JSON.
fn json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-30 01:00 UTC);

    struct Maker(EcdsaKeyPair);

    impl Maker {
        fn new() -> Self {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &SystemRandom::new()).unwrap())
        }

        fn jwk(&self, kid: &str) -> Value {
            let point = self.0.public_key().as_ref();
            json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]) })
        }

        fn token(&self, header: &Value, claims: &Value) -> String {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
            let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        }
    }

    fn expected(scope: Option<&str>) -> Expected {
        Expected { issuer: "https://id.gz.example".into(), audience: "mail.gz.example".into(), scope: scope.map(str::to_owned), longest: Duration::hours(1) }
    }

    fn header() -> Value {
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": "1" })
    }

    fn claims() -> Value {
        let now = NOW.unix_timestamp();
        json!({ "iss": "https://id.gz.example", "aud": "mail.gz.example", "sub": "1234567897@mail.gz.example", "client_id": "tb", "jti": "7", "iat": now - 60, "exp": now + 600, "scope": "openid mail" })
    }

    fn with(mut value: Value, key: &str, new: Value) -> Value {
        match new {
            Value::Null => value.as_object_mut().unwrap().remove(key),
            new => value.as_object_mut().unwrap().insert(key.to_owned(), new),
        };
        value
    }

    #[test]
    fn one_by_the_provider_for_us_is_believed() {
        let (maker, next) = (Maker::new(), Maker::new());
        let keys = KeySet::parse(&json!({ "keys": [next.jwk("2"), maker.jwk("1")] }).to_string()).unwrap();
        let now = NOW.unix_timestamp();
        let good = [
            (header(), claims()), (with(header(), "typ", json!("application/AT+JWT")), claims()), (with(header(), "kid", Value::Null), claims()), (header(), with(claims(), "aud", json!(["other", "mail.gz.example"]))),
            (header(), with(claims(), "nbf", json!(now + 60))), (header(), with(claims(), "iat", json!(now + 60))), (header(), with(claims(), "exp", json!(now + 1))), (header(), with(claims(), "exp", json!(now + 3_540))), (header(), with(claims(), "more", json!({"a": [1]}))),
        ];
        for (header, claims) in good {
            let believed = verify(&maker.token(&header, &claims), &keys, &expected(Some("mail")), NOW).map(|claims| (claims.subject, claims.id, claims.ends.unix_timestamp()));
            assert_eq!(believed, Ok(("1234567897@mail.gz.example".to_owned(), "7".to_owned(), claims["exp"].as_i64().unwrap())), "{header} {claims}");
        }
    }

    #[test]
    fn what_is_not_believed() {
        let (maker, stranger) = (Maker::new(), Maker::new());
        let keys = KeySet::parse(&json!({ "keys": [maker.jwk("1")] }).to_string()).unwrap();
        let judged = |token: &str| verify(token, &keys, &expected(Some("mail")), NOW).err();
        let now = NOW.unix_timestamp();
        let claimed = |key: &str, value: Value| maker.token(&header(), &with(claims(), key, value));
        let headed = |key: &str, value: Value| maker.token(&with(header(), key, value), &claims());
        let good = maker.token(&header(), &claims());
        for (algorithm, why) in [("none", NotBelieved::Algorithm), ("None", NotBelieved::Algorithm), ("HS256", NotBelieved::Algorithm), ("ES384", NotBelieved::Algorithm), ("es256", NotBelieved::Algorithm)] {
            assert_eq!(judged(&headed("alg", json!(algorithm))), Some(why), "{algorithm}");
        }
        let mut nothing = header();
        nothing["crit"] = Value::Null;
        assert_eq!(judged(&maker.token(&nothing, &claims())), Some(NotBelieved::Kind));
        // Unsigned, and signed by what everybody knows: the public key as if it were a shared secret.
        let (head, rest) = headed("alg", json!("none")).split_once('.').map(|(head, rest)| (head.to_owned(), rest.to_owned())).unwrap();
        let body = rest.split_once('.').unwrap().0.to_owned();
        assert_eq!(judged(&format!("{head}.{body}.")), Some(NotBelieved::Algorithm));
        let hs256 = URL_SAFE_NO_PAD.encode(json!({ "alg": "HS256", "typ": "at+jwt", "kid": "1" }).to_string());
        let shared = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, maker.0.public_key().as_ref());
        let signed = format!("{hs256}.{body}");
        assert_eq!(judged(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&shared, signed.as_bytes())))), Some(NotBelieved::Algorithm));
        for (token, why) in [
            (headed("typ", json!("JWT")), NotBelieved::Kind), (headed("typ", Value::Null), NotBelieved::Kind), (headed("crit", json!(["b64"])), NotBelieved::Kind), (headed("kid", json!("2")), NotBelieved::Signature),
            (headed("alg", Value::Null), NotBelieved::Form), (stranger.token(&header(), &claims()), NotBelieved::Signature),
            (claimed("iss", json!("https://id.gz.example/")), NotBelieved::Issuer), (claimed("aud", json!("mail.gz.example.evil")), NotBelieved::Audience), (claimed("aud", json!([])), NotBelieved::Audience), (claimed("aud", json!(vec!["mail.gz.example"; 17])), NotBelieved::Audience),
            (claimed("scope", json!("mailer")), NotBelieved::Scope), (claimed("scope", Value::Null), NotBelieved::Scope),
            (claimed("exp", json!(now)), NotBelieved::Over), (claimed("exp", json!(now - 1)), NotBelieved::Over), (claimed("iat", json!(now + 61)), NotBelieved::Early), (claimed("nbf", json!(now + 61)), NotBelieved::Early), (claimed("exp", json!(now + 3_541)), NotBelieved::Long),
            (claimed("exp", json!(i64::MAX)), NotBelieved::Claims), (claimed("exp", json!("soon")), NotBelieved::Claims), (claimed("iat", json!(1.5)), NotBelieved::Claims), (claimed("jti", json!("")), NotBelieved::Claims), (claimed("jti", json!("j".repeat(257))), NotBelieved::Claims),
        ] {
            assert_eq!(judged(&token), Some(why), "{token}");
        }
        for missing in ["iss", "aud", "sub", "client_id", "jti", "iat", "exp"] {
            assert_eq!(judged(&claimed(missing, Value::Null)), Some(NotBelieved::Claims), "{missing}");
        }
        // Another's claims under a good signature; said twice; and what is no token at all.
        let (head, signature) = (good.split('.').next().unwrap(), good.rsplit('.').next().unwrap());
        assert_eq!(judged(&format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims().to_string().replace("1234567897", "2234567898")))), Some(NotBelieved::Signature));
        let twice = claims().to_string().replacen('{', r#"{"sub":"x","#, 1);
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(twice));
        let signature = maker.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        assert_eq!(judged(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))), Some(NotBelieved::Claims));
        for token in ["", ".", "..", "...", "a.b.c", &good[1..], &format!("{good}.x"), &format!("{good}="), &good[..good.len() - 4]] {
            assert!(judged(token).is_some(), "{token}");
        }
    }
}
