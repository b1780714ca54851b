//! The server's half of SRP-6a as 1Password speaks it: RFC 5054's group of 4096 bits, SHA-256, everything padded to the
//! group's length but the shared secret, which is hashed as hexadecimal text, and the client's number where it is proved:
//! one in 256 begins with a zero byte, which is left out there.

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

/// What both sides of a login come to.
#[derive(Clone)]
pub(super) struct Exchange {
    /// The server's public number, in hexadecimal.
    pub(super) user_b: String,
    /// The key of the session.
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
        // Numbers that begin with a zero are written shorter by some and not by others: none of ours do.
        let is_long = |number: &BigUint| number.bits() > (LENGTH as u64 * 8) - 4;
        loop {
            let secret = BigUint::from_bytes_be(&super::cipher::random::<32>());
            let b = (&k * &v + g.modpow(&secret, &n)) % &n;
            let u = BigUint::from_bytes_be(&sha256(&[&padded(&a), &padded(&b)]));
            let shared = (&a * v.modpow(&u, &n) % &n).modpow(&secret, &n);
            if is_long(&b) && is_long(&shared) {
                return Some(Self::proved(&n, &g, &a, &b, &shared, who));
            }
        }
    }

    fn proved(
        n: &BigUint,
        g: &BigUint,
        a: &BigUint,
        b: &BigUint,
        shared: &BigUint,
        who: &Identity<'_>,
    ) -> Self {
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
            &a.to_bytes_be(),
            &padded(b),
            &key,
        ]);
        Self {
            user_b: HEXLOWER.encode(&padded(b)),
            key,
            client_proof,
            server_proof: sha256(&[&a.to_bytes_be(), &client_proof, &key]),
        }
    }

    /// The server's answer to the client's proof, if that is right.
    pub(super) fn confirm(&self, client_proof: &str) -> Option<Confirmed> {
        let is_right = client_proof == BASE64URL_NOPAD.encode(&self.client_proof);
        is_right.then(|| Confirmed {
            key: self.key,
            server_proof: BASE64URL_NOPAD.encode(&self.server_proof),
        })
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
