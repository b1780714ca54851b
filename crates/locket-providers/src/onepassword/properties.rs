//! Any bytes as a private key.

use super::openssh::to_openssh;

/// A key that was converted stays as it is when it is converted again.
pub fn openssh(data: &[u8]) {
    let Ok(key) = to_openssh(data) else {
        return;
    };
    #[expect(clippy::disallowed_methods, reason = "the fuzzer's own bytes are compared")]
    let text = key.expose();
    assert!(text.starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----\n") && text.ends_with(b"-----\n"));
    assert!(
        to_openssh(text).is_ok_and(|again| again == key),
        "converting settles at once"
    );
}
