//! What Compose would refuse.

use super::Finding;
use super::rules::COMPOSE_MISTAKE;
use super::run::Scene;
use crate::place::Place;

pub(super) fn look(scene: &mut Scene<'_>) {
    let mistakes: Vec<_> = scene
        .project
        .mistakes
        .iter()
        // Another caller may well have the variable.
        .filter(|mistake| !mistake.is_unset)
        .map(|mistake| {
            let diagnostic = &mistake.diagnostic;
            let place = Place::new(mistake.source, diagnostic.span);
            let finding = Finding::new(
                &COMPOSE_MISTAKE,
                place,
                diagnostic.message.clone(),
                diagnostic.message.clone(),
            );
            match &diagnostic.help {
                Some(help) => finding.help(help.clone()),
                None => finding,
            }
        })
        .collect();
    mistakes.into_iter().for_each(|finding| scene.add(finding));
}
