//! A credential that ends while the provider runs.

use locket_core::ErrorKind;

use crate::conformance::trial::{Trial, Verdict};

pub(crate) async fn renewed(trial: &Trial) -> Verdict {
    let credential = trial.backend.credential.as_ref()?;
    let (provider, text) = (trial.provider()?, &trial.references().text);
    trial.reads(&provider, text).await?;
    for _ in 0..2 {
        (credential.renew)();
        trial.reads(&provider, text).await?;
    }
    Ok(())
}

/// Also the control of [`renewed`]: what is worthless there is worthless here.
pub(crate) async fn revoked(trial: &Trial) -> Verdict {
    let credential = trial.backend.credential.as_ref()?;
    let (provider, text) = (trial.provider()?, &trial.references().text);
    trial.reads(&provider, text).await?;
    (credential.revoke)();
    trial.fails(&provider, &text.reference, ErrorKind::Auth).await?;
    let newcomer = trial.provider()?;
    trial.fails(&newcomer, &text.reference, ErrorKind::Auth).await
}
