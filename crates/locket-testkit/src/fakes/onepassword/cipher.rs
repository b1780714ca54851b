//! AES-256-GCM in 1Password's envelopes, and the signatures of requests.

use data_encoding::BASE64URL_NOPAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

/// How a session's key becomes that of its signatures.
const SIGNING: &[u8] = b"He never wears a Mac, in the pouring rain. Very strange.";

/// Random bytes.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("there are random bytes");
    bytes
}

/// `json` encrypted with the key of this id.
pub(super) fn seal(key_id: &str, key: &[u8], json: &Value) -> Value {
    let iv = random::<12>();
    let mut data = json.to_string().into_bytes();
    let nonce = Nonce::assume_unique_for_key(iv);
    aead(key)
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut data)
        .expect("it is short enough");
    json!({
        "kid": key_id,
        "enc": "A256GCM",
        "cty": "b5+jwk+json",
        "iv": BASE64URL_NOPAD.encode(&iv),
        "data": BASE64URL_NOPAD.encode(&data),
    })
}

/// What was encrypted with the key of this id; `None` if it was not.
pub(super) fn open(key_id: &str, key: &[u8], envelope: &Value) -> Option<Value> {
    let text = |name: &str| envelope.get(name)?.as_str();
    if text("kid")? != key_id || text("enc")? != "A256GCM" {
        return None;
    }
    let iv: [u8; 12] = BASE64URL_NOPAD
        .decode(text("iv")?.as_bytes())
        .ok()?
        .try_into()
        .ok()?;
    let mut data = BASE64URL_NOPAD.decode(text("data")?.as_bytes()).ok()?;
    let nonce = Nonce::assume_unique_for_key(iv);
    let plain = aead(key).open_in_place(nonce, Aad::empty(), &mut data).ok()?;
    serde_json::from_slice(plain).ok()
}

/// The signature that `X-AgileBits-MAC` carries: `v1|NUMBER|` and twelve bytes.
pub(super) fn signature(session: &str, key: &[u8], number: &str, method: &str, address: &str) -> String {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), SIGNING);
    let signing = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
    let text = format!("{session}|{method}|{address}|v1|{number}");
    let tag = hmac::sign(&signing, text.as_bytes());
    format!("v1|{number}|{}", BASE64URL_NOPAD.encode(&tag.as_ref()[..12]))
}

fn aead(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("keys have 32 bytes"))
}
