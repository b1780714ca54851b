//! `ssh-keygen` is the judge of every key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use locket_testkit::services;

use super::*;

/// Seed and public key of the first test of RFC 8032, section 7.1.
const SEED: &str = "9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60";
const PUBLIC: &str = "D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A";

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXUPPER.decode(text.as_bytes()).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    let body: Vec<_> = BASE64
        .encode(der)
        .into_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        body.join("\n")
    )
}

/// `OneAsymmetricKey` of the test key, of this version, with what follows the private key.
fn pkcs8_ed25519(version: u8, rest: &[u8]) -> Vec<u8> {
    let mut inner = vec![2, 1, version, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20];
    inner.extend(hex(SEED));
    inner.extend(rest);
    let mut der = vec![0x30, u8::try_from(inner.len()).unwrap()];
    der.extend(inner);
    der
}

#[expect(clippy::disallowed_methods, reason = "the key of a test")]
fn text(secret: &SecretBytes) -> String {
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

fn run(ssh_keygen: &Path, args: &[&str]) -> String {
    let output = Command::new(ssh_keygen)
        .args(args)
        .output()
        .expect("ssh-keygen can be started");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The public key that `ssh-keygen` finds in a private one, without its comment.
fn public_of(ssh_keygen: &Path, directory: &Path, private: &str) -> String {
    let path = directory.join("key");
    fs::write(&path, private).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let public = run(ssh_keygen, &["-y", "-P", "", "-f", path.to_str().unwrap()]);
    public.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// The line of `authorized_keys` for the test key.
fn expected_public() -> String {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend(hex(PUBLIC));
    format!("ssh-ed25519 {}", BASE64.encode(&blob))
}

#[test]
fn ed25519_keys_of_every_pkcs8_shape_are_accepted_by_ssh_keygen() {
    let Some(ssh_keygen) = services::find("ssh-keygen") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    // 1Password's own keys are of the explicit shape, which RFC 5958 does not have.
    let explicit = [&hex("A1230321")[..], &[0], &hex(PUBLIC)].concat();
    let implicit = [&hex("8121")[..], &[0], &hex(PUBLIC)].concat();
    for (version, rest) in [(0, &[][..]), (1, &explicit), (1, &implicit)] {
        let key = to_openssh(pem("PRIVATE KEY", &pkcs8_ed25519(version, rest)).as_bytes()).unwrap();
        assert_eq!(
            public_of(&ssh_keygen, directory.path(), &text(&key)),
            expected_public()
        );
    }
}

#[test]
fn rsa_keys_in_pkcs1_and_pkcs8_are_accepted_by_ssh_keygen() {
    let Some(ssh_keygen) = services::find("ssh-keygen") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    for format in ["PEM", "PKCS8"] {
        let path = directory.path().join(format);
        let name = path.to_str().unwrap();
        run(
            &ssh_keygen,
            &[
                "-q", "-t", "rsa", "-b", "2048", "-m", format, "-N", "", "-f", name,
            ],
        );
        let made = fs::read_to_string(&path).unwrap();
        let before = fs::read_to_string(path.with_extension("pub")).unwrap();
        let before: Vec<_> = before.split_whitespace().take(2).collect();
        let key = text(&to_openssh(made.as_bytes()).unwrap());
        assert!(
            key.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"),
            "{format}"
        );
        assert_eq!(
            public_of(&ssh_keygen, directory.path(), &key),
            before.join(" "),
            "{format}"
        );
    }
}

#[test]
fn one_key_always_gives_the_same_bytes() {
    let source = pem("PRIVATE KEY", &pkcs8_ed25519(0, &[]));
    let first = to_openssh(source.as_bytes()).unwrap();
    assert_eq!(first, to_openssh(source.as_bytes()).unwrap());
    assert_eq!(
        first,
        to_openssh(source.replace('\n', "\r\n").as_bytes()).unwrap()
    );
    assert_eq!(
        first,
        to_openssh(source.replace('\n', " ").as_bytes()).unwrap(),
        "pasted into one line"
    );
    assert_eq!(
        first,
        to_openssh(text(&first).as_bytes()).unwrap(),
        "in OpenSSH form already"
    );
    assert_eq!(
        first,
        to_openssh(text(&first).replace('\n', "\r\n").as_bytes()).unwrap()
    );
    assert!(text(&first).lines().all(|line| line.len() <= 70) && text(&first).ends_with("-----\n"));
}

#[test]
fn a_key_that_openssh_protects_by_a_passphrase_keeps_it() {
    let Some(ssh_keygen) = services::find("ssh-keygen") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("protected");
    run(
        &ssh_keygen,
        &[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "correct horse",
            "-C",
            "",
            "-f",
            path.to_str().unwrap(),
        ],
    );
    let made = fs::read_to_string(&path).unwrap();
    assert_eq!(text(&to_openssh(made.as_bytes()).unwrap()), made);
}

#[test]
fn what_cannot_be_converted_is_refused_with_its_reason() {
    let refused = |text: &str| to_openssh(text.as_bytes()).unwrap_err();
    assert_eq!(refused("hunter2"), KeyError::NotPem);
    assert_eq!(refused("-----BEGIN PRIVATE KEY-----\nAAAA"), KeyError::NotPem);
    assert_eq!(
        refused("-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----"),
        KeyError::NotPem
    );
    assert_eq!(refused(&pem("CERTIFICATE", b"x")), KeyError::NotPrivateKey);
    assert_eq!(refused(&pem("ENCRYPTED PRIVATE KEY", b"x")), KeyError::Encrypted);
    assert_eq!(refused(&pem("EC PRIVATE KEY", b"x")), KeyError::Kind);
    assert_eq!(refused(&pem("PRIVATE KEY", b"x")), KeyError::Damaged);
    assert_eq!(refused(&pem("RSA PRIVATE KEY", b"x")), KeyError::Damaged);
    assert_eq!(refused(&pem("OPENSSH PRIVATE KEY", b"x")), KeyError::Damaged);
    // An elliptic curve's identifier in place of Ed25519's.
    let mut other = pkcs8_ed25519(0, &[]);
    other[9] = 0x6E;
    assert_eq!(refused(&pem("PRIVATE KEY", &other)), KeyError::Kind);
}
