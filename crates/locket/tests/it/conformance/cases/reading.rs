//! What a single read gives.

use locket_core::ErrorKind;

use crate::conformance::trial::{Trial, Verdict, ensure};

pub(crate) async fn exact_text(trial: &Trial) -> Verdict {
    let provider = trial.provider()?;
    let references = trial.references();
    for sample in [&references.text, &references.other, &references.awkward] {
        trial.reads(&provider, sample).await?;
    }
    Ok(())
}

pub(crate) async fn exact_bytes(trial: &Trial) -> Verdict {
    let sample = trial.references().binary.as_ref()?;
    trial.reads(&trial.provider()?, sample).await
}

pub(crate) async fn empty_value(trial: &Trial) -> Verdict {
    let reference = trial.references().empty.as_ref()?;
    match trial.fetch_one(&trial.provider()?, reference).await? {
        Ok(fetched) => ensure!(fetched.value.is_empty(), "`{reference}` has bytes"),
        Err(error) => ensure!(false, "`{reference}` failed as {}: {error}", error.kind.name()),
    }
    Ok(())
}

pub(crate) async fn missing(trial: &Trial) -> Verdict {
    let (provider, references) = (trial.provider()?, trial.references());
    trial.reads(&provider, &references.text).await?;
    trial
        .fails(&provider, &references.missing_item, ErrorKind::NotFound)
        .await?;
    if let (Ok([sibling, _]), Ok(missing)) = (&references.siblings, &references.missing_field) {
        trial.reads(&provider, sibling).await?;
        trial.fails(&provider, missing, ErrorKind::NotFound).await?;
    }
    trial.reads(&provider, &references.text).await
}

pub(crate) async fn denied(trial: &Trial) -> Verdict {
    let (provider, references) = (trial.provider()?, trial.references());
    let denied = references.denied.as_ref()?;
    trial.fails(&provider, denied, ErrorKind::Denied).await?;
    trial.reads(&provider, &references.text).await
}

pub(crate) async fn plausible_capability(trial: &Trial) -> Verdict {
    let capability = trial.provider()?.capability();
    ensure!(
        capability.items_per_call > 0 && capability.max_concurrent > 0,
        "{capability:?} never reads anything"
    );
    ensure!(
        capability.local != trial.is_network(),
        "{capability:?}, with network = {}",
        trial.is_network()
    );
    Ok(())
}

pub(crate) async fn building_contacts_nobody(trial: &Trial) -> Verdict {
    let faults = &trial.upstream()?.faults;
    let provider = trial.provider()?;
    trial.reads(&provider, &trial.references().text).await?;
    let requests = faults.requests();
    ensure!(!requests.is_empty(), "reading bypasses the faults");
    // Connections are numbered as they come: one that building made would have been the first.
    ensure!(requests[0].connection == 0, "building made a connection");
    Ok(())
}
