//! The server's half of SRP-6a as 1Password speaks it: RFC 5054's group of 4096 bits, SHA-256, everything padded to the
//! group's length but the shared secret, which is hashed as hexadecimal text. A client's number that begins with a zero
//! byte is taken in both forms.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use num_bigint::BigUint;
use sha2::{Digest, Sha256};

/// RFC 5054, appendix A, 4096 bits; the generator is 5.
const GROUP: &str = concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05",
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB",
    "9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B",
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718",
    "3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33",
    "A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7",
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864",
    "D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2",
    "08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7",
    "88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8",
    "DBBBC2DB04DE8EF92E8EFC141FBECAA6287C59474E6BC05D99B2964FA090C3A2",
    "233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9",
    "93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF",
);

/// Bytes of a number of the group.
const LENGTH: usize = 512;

/// What a login came to before the client's proof.
#[derive(Clone)]
pub(super) struct Exchange {
    /// The server's public number, in hexadecimal.
    pub(super) user_b: String,
    /// What both came to, for each way in which the client may have hashed its own number.
    ways: Vec<Agreed>,
}

/// What both sides of a login came to.
#[derive(Clone)]
struct Agreed {
    key: [u8; 32],
    /// What the client has to prove.
    client_proof: [u8; 32],
    /// What the server proves then.
    server_proof: [u8; 32],
}

/// A login whose client has proved itself.
pub(super) struct Confirmed {
    /// The key of the session.
    pub(super) key: [u8; 32],
    /// What the server proves, as it is sent.
    pub(super) server_proof: String,
}

/// Who logs in.
pub(super) struct Identity<'a> {
    pub(super) email: &'a str,
    pub(super) account_key: &'a str,
    pub(super) salt: &'a [u8],
    /// The secret that both know.
    pub(super) x: &'a [u8],
}

impl Exchange {
    /// Answers the client's public number. `None` if it is none.
    pub(super) fn answer(user_a: &str, who: &Identity<'_>) -> Option<Self> {
        let n = BigUint::parse_bytes(GROUP.as_bytes(), 16)?;
        let g = BigUint::from(5u8);
        let a = BigUint::parse_bytes(user_a.as_bytes(), 16)?;
        if &a % &n == BigUint::ZERO {
            return None;
        }
        let v = g.modpow(&BigUint::from_bytes_be(who.x), &n);
        let k = BigUint::from_bytes_be(&sha256(&[&padded(&n), &padded(&g)]));
        // One client's number in 256 begins with a zero byte, and the client may leave that out.
        let mut forms = vec![padded(&a), a.to_bytes_be()];
        forms.dedup();
        // Numbers that begin with a zero are written shorter by some and not by others: none of ours do.
        let is_long = |number: &BigUint| number.bits() > (LENGTH as u64 * 8) - 4;
        loop {
            let secret = BigUint::from_bytes_be(&super::cipher::random::<32>());
            let b = (&k * &v + g.modpow(&secret, &n)) % &n;
            let share = |form: &Vec<u8>| {
                let u = BigUint::from_bytes_be(&sha256(&[form, &padded(&b)]));
                (&a * v.modpow(&u, &n) % &n).modpow(&secret, &n)
            };
            let shared: Vec<_> = forms.iter().map(share).collect();
            if is_long(&b) && shared.iter().all(is_long) {
                let each = forms.iter().zip(&shared);
                return Some(Self {
                    user_b: HEXLOWER.encode(&padded(&b)),
                    ways: each
                        .map(|(form, shared)| Agreed::on(&n, &g, form, &b, shared, who))
                        .collect(),
                });
            }
        }
    }

    /// The server's answer to the client's proof, if that is right.
    pub(super) fn confirm(&self, client_proof: &str) -> Option<Confirmed> {
        let is_right = |way: &&Agreed| client_proof == BASE64URL_NOPAD.encode(&way.client_proof);
        let way = self.ways.iter().find(is_right)?;
        Some(Confirmed {
            key: way.key,
            server_proof: BASE64URL_NOPAD.encode(&way.server_proof),
        })
    }
}

impl Agreed {
    fn on(n: &BigUint, g: &BigUint, a: &[u8], b: &BigUint, shared: &BigUint, who: &Identity<'_>) -> Self {
        let key = sha256(&[format!("{shared:x}").as_bytes()]);
        let (of_n, of_g) = (sha256(&[&padded(n)]), sha256(&[&g.to_bytes_be()]));
        let group: Vec<u8> = of_n.iter().zip(of_g).map(|(one, other)| one ^ other).collect();
        let identity = [
            sha256(&[who.account_key.as_bytes()]),
            sha256(&[who.email.as_bytes()]),
        ];
        let identity = BASE64URL_NOPAD.encode(&sha256(&[&identity[0], &identity[1]]));
        let client_proof = sha256(&[
            &group,
            &sha256(&[identity.as_bytes()]),
            who.salt,
            a,
            &padded(b),
            &key,
        ]);
        Self {
            key,
            client_proof,
            server_proof: sha256(&[a, &client_proof, &key]),
        }
    }
}

fn padded(number: &BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    let mut padded = vec![0; LENGTH.saturating_sub(bytes.len())];
    padded.extend(bytes);
    padded
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
