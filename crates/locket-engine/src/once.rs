//! One template, rendered once, for commands whose target is not a file.

use std::sync::Arc;
use std::time::Duration;

use locket_core::filter::HashMemo;
use locket_core::template::{RenderCx, RenderError, Rendered, Resolution, TemplateOptions};
use locket_core::{Clock, ProviderError};

use crate::instances::Instances;
use crate::resolve::{Answer, Backoff, Resolver, Timing};
use crate::sources::{self, Located, Parsed, SourceError};

/// Parses `text`, which messages call `name`.
///
/// # Errors
/// Every mistake in it.
pub fn parse(
    name: &str,
    text: &[u8],
    options: &TemplateOptions,
    instances: &Instances,
) -> Result<Arc<Parsed>, Arc<SourceError>> {
    sources::parse(name, &text.into(), options, instances, &mut Located::default())
}

/// Asks for everything that `parsed` wants, retrying what fails transiently until `deadline` is over, and renders it.
/// `request` is the time limit of one request.
///
/// # Errors
/// Every expression that has no value.
pub async fn render(
    parsed: &Parsed,
    instances: &Arc<Instances>,
    clock: &Arc<dyn Clock>,
    request: Duration,
    deadline: Duration,
) -> Result<Rendered, Vec<RenderError>> {
    let timing = Timing {
        request,
        backoff: Backoff::default(),
    };
    let mut resolver = Resolver::new(instances.clone(), clock.clone(), timing);
    resolver.want(&parsed.keys);
    resolver.settle(clock.monotonic() + deadline).await;
    let answers = resolver.answers(&parsed.keys);
    let resolutions: Vec<_> = answers.into_iter().map(resolution).collect();
    let mut memo = HashMemo::default();
    let mut cx = RenderCx {
        schemes: instances.schemes(),
        now: clock.wall(),
        present: None,
        memo: &mut memo,
    };
    parsed
        .template
        .render(&resolutions, &mut cx)
        .map_err(RenderError::distinct)
}

/// What rendering is given of an answer.
pub(crate) fn resolution(answer: Answer) -> Resolution {
    match answer {
        Answer::Value(value) | Answer::Stale(value, _) => Resolution::Value(value),
        Answer::Failed(error) => Resolution::Failed(error),
        Answer::Pending => {
            let error = ProviderError::unavailable("no answer came in time")
                .hint("Check that the provider is reachable, or raise `--deadline`.");
            Resolution::Failed(Arc::new(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, clock};

    const SECOND: Duration = Duration::from_secs(1);

    async fn rendered(fake: &Fake, text: &str) -> Result<Rendered, Vec<RenderError>> {
        let instances = fake.instances();
        let parsed = parse("test", text.as_bytes(), &TemplateOptions::default(), &instances).unwrap();
        render(&parsed, &instances, &clock(), SECOND, SECOND * 5).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_template_is_rendered_without_a_file() {
        let fake = Fake::default();
        fake.set("a", "v");
        assert!(
            rendered(&fake, "[{{ fake://a }}{{fake://b?optional}}]")
                .await
                .unwrap()
                .bytes
                .matches(b"[v]")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn every_missing_value_is_named() {
        let errors = rendered(
            &Fake::default(),
            "{{fake://a}} {{fake://b}} {{dead://c}} {{fake://a}}",
        )
        .await;
        let names: Vec<_> = errors
            .unwrap_err()
            .into_iter()
            .map(|error| error.reference)
            .collect();
        assert_eq!(names, ["fake://a", "fake://b", "dead://c"]);
    }
}
