//! Keys as OpenSSL writes them, with and without a pass phrase.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use locket_core::SecretBytes;
use locket_testkit::fakes::oci::Oci;
use locket_testkit::rsa_key::verifies;
use locket_testkit::{Request, RsaKey, services};

use super::key::KeyError;
use super::*;

const PASS: &str = "correct horse ä";

fn phrase(text: &str) -> SecretBytes {
    SecretBytes::copy_from(text.as_bytes())
}

fn openssl(program: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .env("PASS", PASS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

fn is_the_key(key: &SigningKey, of: &RsaKey) {
    assert_eq!(key.public_key_info(), of.public_info());
    let signature = key.sign(b"text").unwrap();
    assert!(verifies(of.public_info(), b"text", &signature));
    assert!(!verifies(of.public_info(), b"another text", &signature));
}

#[test]
fn a_plain_key_is_read_in_both_forms() {
    let key = RsaKey::number(0);
    for pem in [key.pem(), key.traditional_pem()] {
        is_the_key(&SigningKey::from_pem(pem.as_bytes(), None).unwrap(), key);
        let flattened = pem.replace('\n', " ");
        is_the_key(&SigningKey::from_pem(flattened.as_bytes(), None).unwrap(), key);
        // Oracle's console adds a line of its own.
        let labelled = format!("{pem}\nOCI_API_KEY\n");
        is_the_key(
            &SigningKey::from_pem(labelled.as_bytes(), Some(&phrase("unused"))).unwrap(),
            key,
        );
    }
}

#[test]
fn keys_under_a_pass_phrase_are_read_as_openssl_writes_them() {
    let Some(program) = services::find("openssl") else {
        return;
    };
    let key = RsaKey::number(0);
    let pkcs8 = ["pkcs8", "-topk8", "-passout", "env:PASS"];
    let traditional = ["rsa", "-traditional", "-passout", "env:PASS"];
    let forms: &[(&[&str], &[&str])] = &[
        (&pkcs8, &["-v2", "aes-256-cbc"]),
        (&pkcs8, &["-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA1"]),
        (
            &pkcs8,
            &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512", "-iter", "77"],
        ),
        (&traditional, &["-aes128"]),
        (&traditional, &["-aes192"]),
        (&traditional, &["-aes256"]),
    ];
    for (form, options) in forms {
        let pem = openssl(&program, &[form, *options].concat(), &key.pem());
        is_the_key(
            &SigningKey::from_pem(pem.as_bytes(), Some(&phrase(PASS))).unwrap(),
            key,
        );
        let refused = |pass_phrase| SigningKey::from_pem(pem.as_bytes(), pass_phrase).err();
        assert_eq!(refused(None), Some(KeyError::NoPassPhrase), "{options:?}");
        assert_eq!(
            refused(Some(&phrase("wrong"))),
            Some(KeyError::WrongPassPhrase),
            "{options:?}"
        );
    }
    let old = openssl(&program, &[&traditional[..], &["-des3"]].concat(), &key.pem());
    assert_eq!(
        SigningKey::from_pem(old.as_bytes(), Some(&phrase(PASS))).err(),
        Some(KeyError::Cipher)
    );
}

#[test]
fn what_is_no_key_is_refused_by_what_it_is() {
    let key = RsaKey::number(0);
    let refused = |text: &str| SigningKey::from_pem(text.as_bytes(), None).err();
    assert_eq!(refused(""), Some(KeyError::NotPem));
    assert_eq!(refused("ssh-rsa AAAA"), Some(KeyError::NotPem));
    assert_eq!(refused(&key.public_pem()), Some(KeyError::Public));
    let cut = key.pem();
    assert_eq!(refused(&cut[..cut.len() - 40]), Some(KeyError::NotPem));
    let damaged = key.pem().replacen("-----\nMII", "-----\nMIJ", 1);
    assert_eq!(refused(&damaged), Some(KeyError::Damaged));
    for kind in ["EC PRIVATE KEY", "OPENSSH PRIVATE KEY"] {
        let foreign = key.pem().replace("PRIVATE KEY", kind);
        assert_eq!(refused(&foreign), Some(KeyError::Kind), "{kind}");
    }
}

#[test]
fn a_certificate_tells_whose_key_it_vouches_for() {
    let (fake, key) = (Oci::new(), RsaKey::number(1));
    fake.renew_certificate(1);
    let asked = Request::get("/opc/v2/identity/cert.pem").with_header("authorization", "Bearer Oracle");
    let pem = String::from_utf8(fake.answer(&asked).body().to_vec()).unwrap();
    let [certificate] = &Certificate::all_in(pem.as_bytes()).unwrap()[..] else {
        panic!("one certificate");
    };
    let names: Vec<_> = certificate.subject().collect();
    for name in [
        "opc-tenant:ocid1.tenancy.oc1..aaaaaaaatenancy",
        "ocid1.instance.oc1.iad.aaaaaaaainstance",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    let own = SigningKey::from_pem(key.pem().as_bytes(), None).unwrap();
    let other = SigningKey::from_pem(RsaKey::number(0).pem().as_bytes(), None).unwrap();
    assert!(certificate.is_of(&own) && !certificate.is_of(&other));
    assert!(Certificate::all_in(key.pem().as_bytes()).unwrap().is_empty());
    assert!(Certificate::all_in(pem.replacen("MII", "AAA", 1).as_bytes()).is_err());
}

#[test]
fn a_made_key_is_new_each_time_and_signs() {
    let (one, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    assert_ne!(one.public_key_info(), other.public_key_info());
    let signature = one.sign(b"text").unwrap();
    assert!(verifies(&one.public_key_info(), b"text", &signature));
}

#[test]
fn a_token_tells_its_times_whatever_its_padding() {
    let token = |claims: &serde_json::Value| Claims::of(&phrase(&locket_testkit::jwt::unsigned(claims)));
    let claims = token(&serde_json::json!({"iat": 1000, "exp": 1600.5})).unwrap();
    let seconds = std::time::Duration::from_secs_f64;
    assert_eq!(claims.lifetime(), Some(seconds(600.5)));
    let at = |time: f64| std::time::SystemTime::UNIX_EPOCH + seconds(time);
    assert_eq!(claims.left(at(1600.0)), seconds(0.5));
    assert_eq!(claims.left(at(1601.0)), seconds(0.0));
    assert_eq!(token(&serde_json::json!({"iat": 1})), None);
    assert_eq!(Claims::of(&phrase("opaque")), None);
}
