//! Credentials that say themselves what they are.

use super::literal::entropy;

/// A form that only the credentials of one maker have.
struct Shape {
    /// What it is, for people.
    title: &'static str,
    /// How it begins.
    prefix: &'static str,
    /// How many characters follow at least.
    least: usize,
    /// Which may follow beside letters and digits.
    also: &'static str,
}

const fn shape(title: &'static str, prefix: &'static str, least: usize, also: &'static str) -> Shape {
    Shape {
        title,
        prefix,
        least,
        also,
    }
}

/// Longer beginnings first where one begins with the other.
const SHAPES: &[Shape] = &[
    shape("a GitHub token", "github_pat_", 40, "_"),
    shape("a GitHub token", "ghp_", 36, ""),
    shape("a GitHub token", "gho_", 36, ""),
    shape("a GitHub token", "ghu_", 36, ""),
    shape("a GitHub token", "ghs_", 36, ""),
    shape("a GitHub token", "ghr_", 36, ""),
    shape("a GitLab token", "glpat-", 20, "-_."),
    shape("a GitLab token", "glrt-", 20, "-_."),
    shape("a Slack token", "xoxb-", 24, "-"),
    shape("a Slack token", "xoxp-", 24, "-"),
    shape("a Slack token", "xapp-", 24, "-"),
    shape("a Stripe key", "sk_live_", 20, ""),
    shape("a Stripe key", "sk_test_", 20, ""),
    shape("a Stripe key", "rk_live_", 20, ""),
    shape("an Anthropic key", "sk-ant-", 30, "-_"),
    shape("an OpenAI key", "sk-proj-", 30, "-_"),
    shape("an OpenAI key", "sk-", 40, "-_"),
    shape("a Google API key", "AIza", 35, "-_"),
    shape("an AWS key", "AKIA", 16, ""),
    shape("an AWS key", "ASIA", 16, ""),
    shape("an npm token", "npm_", 36, ""),
    shape("a PyPI token", "pypi-", 50, "-_"),
    shape("a Docker Hub token", "dckr_pat_", 20, "-_"),
    shape("a DigitalOcean token", "dop_v1_", 60, ""),
    shape("a Vault token", "hvs.", 24, "-_"),
    shape("a Vault token", "hvb.", 24, "-_"),
    shape("a Hugging Face token", "hf_", 30, ""),
    shape("a SendGrid key", "SG.", 40, "-_."),
    shape("a Tailscale key", "tskey-", 20, "-"),
    shape("a Doppler token", "dp.st.", 30, "._-"),
    shape("a Doppler token", "dp.pt.", 30, "._-"),
    shape("a 1Password token", "ops_ey", 80, "-_="),
    shape("a Grafana token", "glsa_", 30, "_"),
    shape("a Grafana token", "glc_", 40, "=+/"),
    shape("a Linear key", "lin_api_", 30, ""),
    shape("an age identity", "AGE-SECRET-KEY-1", 50, ""),
];

/// What `text` holds, and where in it.
pub(super) fn find(text: &str) -> Option<(&'static str, std::ops::Range<usize>)> {
    if let Some(at) = text.find("-----BEGIN ")
        && let Some(kind) = text[at..].find("PRIVATE KEY").filter(|kind| *kind < 40)
    {
        return Some(("a private key", at..at + kind + "PRIVATE KEY".len()));
    }
    by_prefix(text).or_else(|| jwt(text)).or_else(|| telegram(text))
}

fn by_prefix(text: &str) -> Option<(&'static str, std::ops::Range<usize>)> {
    for shape in SHAPES {
        for (at, _) in text.match_indices(shape.prefix) {
            let is_start = text[..at]
                .chars()
                .next_back()
                .is_none_or(|char| !is_token_char(char, "-_"));
            let rest = &text[at + shape.prefix.len()..];
            let length = rest
                .find(|char| !is_token_char(char, shape.also))
                .unwrap_or(rest.len());
            let token = &rest[..length];
            // Examples repeat one letter, or say so.
            let is_example = entropy(token) < 2.5 || token.to_ascii_uppercase().ends_with("EXAMPLE");
            if is_start && length >= shape.least && !is_example {
                return Some((shape.title, at..at + shape.prefix.len() + length));
            }
        }
    }
    None
}

/// Three parts of base64url, of which the first two are JSON.
fn jwt(text: &str) -> Option<(&'static str, std::ops::Range<usize>)> {
    let at = text.find("eyJ")?;
    let rest = &text[at..];
    let length = rest
        .find(|char| !is_token_char(char, "-_."))
        .unwrap_or(rest.len());
    let parts: Vec<_> = rest[..length].split('.').collect();
    match parts[..] {
        [header, claims, signature]
            if header.len() > 15 && claims.starts_with("eyJ") && signature.len() > 20 =>
        {
            Some(("a signed token", at..at + length))
        }
        _ => None,
    }
}

/// `DIGITS:35 characters`.
fn telegram(text: &str) -> Option<(&'static str, std::ops::Range<usize>)> {
    let (number, rest) = text.split_once(':')?;
    let is_number = (8..=10).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_token = rest.len() == 35 && rest.chars().all(|char| is_token_char(char, "-_"));
    (is_number && is_token).then_some(("a Telegram bot's token", 0..text.len()))
}

fn is_token_char(char: char, also: &str) -> bool {
    char.is_ascii_alphanumeric() || also.contains(char)
}
