//! Several references in one call.

use std::sync::Arc;

use locket_core::{ErrorKind, Provider};

use crate::conformance::fixture::Sample;
use crate::conformance::trial::{Trial, Unmet, Verdict, ensure, is_error, is_value};

pub(crate) async fn one_item_is_one_request(trial: &Trial) -> Verdict {
    let references = trial.references();
    let (text, provider) = (&references.text, trial.provider()?);
    trial.reads(&provider, text).await?;
    trial.expect_reads(0, "an empty batch", &[]).await?;
    trial.expect_reads(1, "a duplicate", &[text, text, text]).await?;
    let [one, two] = references.siblings.as_ref()?;
    let (first, second) = (trial.locator(&one.reference)?, trial.locator(&two.reference)?);
    ensure!(
        first.item() == second.item(),
        "{first:?} and {second:?} are not grouped"
    );
    ensure!(first != second, "{first:?} and {second:?} are one and the same");
    let stranger = trial.locator(&text.reference)?;
    let apart = trial.locator(&references.other.reference)?;
    ensure!(
        stranger.item() != apart.item(),
        "{stranger:?} and {apart:?} are grouped"
    );
    trial.expect_reads(1, "two fields", &[one, two, one]).await
}

pub(crate) async fn results_stand_in_order(trial: &Trial) -> Verdict {
    let references = trial.references();
    let items = trial.provider()?.capability().items_per_call;
    if items > 1 {
        let pair = [&references.text, &references.other];
        trial.expect_reads(1, "two items", &pair).await?;
        let [text, other] = pair;
        return trial.expect_reads(1, "two items", &[other, text, other]).await;
    }
    let [one, two] = references.siblings.as_ref()?;
    trial.expect_reads(1, "two fields", &[one, two]).await?;
    trial.expect_reads(1, "two fields", &[two, one]).await
}

pub(crate) async fn one_failure_leaves_the_others_alone(trial: &Trial) -> Verdict {
    let references = trial.references();
    let provider = trial.provider()?;
    let mut tried = false;
    if let (Ok([one, two]), Ok(missing)) = (&references.siblings, &references.missing_field) {
        tried = true;
        let batch = [missing, &one.reference, missing, &two.reference];
        let answers = trial.fetch(&provider, &batch.map(String::as_str)).await?;
        is_error(&answers[0], missing, ErrorKind::NotFound)?;
        is_value(&answers[1], one)?;
        is_error(&answers[2], missing, ErrorKind::NotFound)?;
        is_value(&answers[3], two)?;
    }
    if provider.capability().items_per_call >= 4 {
        tried = true;
        items_fail_apart(trial, &provider, &references.missing_item, ErrorKind::NotFound).await?;
        if let Ok(denied) = &references.denied {
            items_fail_apart(trial, &provider, denied, ErrorKind::Denied).await?;
        }
    }
    if tried {
        Ok(())
    } else {
        Err(Unmet::NotApplicable(
            "a call carries one item, which has one field",
        ))
    }
}

async fn items_fail_apart(
    trial: &Trial,
    provider: &Arc<dyn Provider>,
    bad: &str,
    kind: ErrorKind,
) -> Verdict {
    let references = trial.references();
    let (text, other) = (&references.text, &references.other);
    let batch = [text.reference.as_str(), bad, &other.reference];
    let answers = trial.fetch(provider, &batch).await?;
    is_value(&answers[0], text)?;
    is_error(&answers[1], bad, kind)?;
    is_value(&answers[2], other)
}

impl Trial {
    /// Reads `batch` with a warm instance: every value must be right, and where the provider has a server, that
    /// must have been asked for secrets exactly `due` times.
    async fn expect_reads(&self, due: usize, what: &str, batch: &[&Sample]) -> Verdict {
        let provider = self.provider()?;
        self.reads(&provider, &self.references().text).await?;
        if let Ok(upstream) = self.upstream() {
            upstream.faults.forget();
        }
        let references: Vec<_> = batch.iter().map(|sample| sample.reference.as_str()).collect();
        let answers = self.fetch(&provider, &references).await?;
        for (answer, sample) in answers.iter().zip(batch) {
            is_value(answer, sample).map_err(|unmet| unmet.during(what))?;
        }
        if let Ok(upstream) = self.upstream() {
            let requests = upstream.faults.requests();
            let reads = requests
                .iter()
                .filter(|request| (upstream.is_read)(request))
                .count();
            ensure!(reads == due, "{what} took {reads} reads instead of {due}");
        }
        Ok(())
    }
}
