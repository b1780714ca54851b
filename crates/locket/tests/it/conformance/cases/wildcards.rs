//! `REF/*`, and secrets that may be missing.

use locket_core::ErrorKind;

use crate::conformance::trial::{Trial, Unmet, Verdict, ensure};

pub(crate) async fn every_key(trial: &Trial) -> Verdict {
    if !trial.lists_keys() {
        return Err(Unmet::NotApplicable("it cannot tell all keys of anything"));
    }
    let references = trial.references();
    let provider = trial.provider()?;
    let mut samples = vec![&references.other];
    if let Ok([one, two]) = &references.siblings {
        samples = vec![one, two];
    }
    for sample in samples {
        let (start, key) = split(&sample.reference);
        let wildcard = format!("{start}*");
        let Ok(fetched) = trial.fetch_one(&provider, &wildcard).await? else {
            return Err(Unmet::Failed(format!("`{wildcard}` failed")));
        };
        let Some(members) = fetched.members else {
            return Err(Unmet::Failed(format!("`{wildcard}` gave no keys")));
        };
        let Some(value) = members.get(key) else {
            let names: Vec<_> = members.names().collect();
            return Err(Unmet::Failed(format!(
                "`{wildcard}` has no `{key}` among {names:?}"
            )));
        };
        ensure!(
            value.value.matches(sample.value.bytes()),
            "`{key}` of `{wildcard}` has another value"
        );
        ensure!(
            trial.locator(&wildcard)?.item() == trial.locator(&sample.reference)?.item()
                || references.siblings.is_err(),
            "`{wildcard}` and its field are not one read"
        );
    }
    let (start, _) = split(&references.missing_item);
    let nowhere = format!("{start}no-such-thing/*");
    if let Ok(locator) = trial.locator(&nowhere) {
        ensure!(locator.is_every(), "`{nowhere}` is no wildcard");
        trial.fails(&provider, &nowhere, ErrorKind::NotFound).await?;
    }
    Ok(())
}

pub(crate) async fn optional(trial: &Trial) -> Verdict {
    let (provider, references) = (trial.provider()?, trial.references());
    for reference in [&references.missing_item, &references.text.reference] {
        let optional = format!(
            "{reference}{}optional",
            if reference.contains('?') { '&' } else { '?' }
        );
        ensure!(
            trial.locator(&optional)? == trial.locator(reference)?,
            "`{optional}` is another read than `{reference}`"
        );
        let plain = trial
            .fetch_one(&provider, reference)
            .await?
            .map(|_| ())
            .map_err(|error| error.kind);
        let answer = trial
            .fetch_one(&provider, &optional)
            .await?
            .map(|_| ())
            .map_err(|error| error.kind);
        ensure!(
            plain == answer,
            "`{optional}` answers {answer:?}, without the option {plain:?}"
        );
    }
    if let Ok(upstream) = trial.upstream() {
        let asked: Vec<_> = upstream
            .faults
            .requests()
            .iter()
            .map(locket_testkit::Request::target)
            .collect();
        ensure!(!asked.is_empty(), "reading bypasses the faults");
        ensure!(
            asked.iter().all(|target| !target.contains("optional")),
            "the server was told: {asked:?}"
        );
    }
    Ok(())
}

/// What stands before the last part of a reference, and that part; of a variable's name the first letter and the rest.
fn split(reference: &str) -> (&str, &str) {
    let at = reference.rfind('/').map_or(0, |at| at + 1);
    match reference[..at].ends_with("env://") {
        true => reference.split_at(at + 1),
        false => reference.split_at(at),
    }
}
