//! Every provider: its references, which settings it was given and from where, and what it still lacks.

use std::fmt::Write as _;

use locket_core::ProviderError;
use locket_engine::resolve::Cost;
use locket_engine::{Instances, preview};
use locket_providers::{Setting, SettingKind};
use serde_json::{Value, json};

use super::super::format::{self, Format};
use super::super::plan;
use crate::columns::columns;
use crate::context::Context;
use crate::exit::Exit;
use crate::options::Origin;
use crate::output;
use crate::providers::{Described, credential_name};
use crate::report::Failure;
use crate::settings::RunSettings;

pub(super) fn run(settings: &RunSettings, context: &Context, format: Format) -> Result<Exit, Failure> {
    let instances = settings.common.providers.instances(context);
    let described = settings.common.providers.describe();
    let costs = preview::cost_of_a_round(&settings.plan, &instances, &context.clock);
    let cost = |instance: &Described<'_>| costs.iter().find(|cost| *cost.instance == *instance.name);
    match format {
        Format::Text => {
            let drawn = described.map(|instance| {
                let mut text = draw(&instance, &instances);
                if let Some(cost) = cost(&instance) {
                    draw_cost(cost, settings, &mut text);
                }
                text
            });
            let drawn: Vec<_> = drawn.collect();
            output::text(&drawn.join("\n"))?;
        }
        Format::Json => {
            let documents = described.map(|instance| {
                let mut document = document(&instance, &instances);
                document["use"] = cost(&instance).map_or(Value::Null, |cost| plan::provider(cost, settings));
                document
            });
            output::text(&format::json(&Value::Array(documents.collect())))?;
        }
    }
    Ok(Exit::Done)
}

fn draw(instance: &Described<'_>, instances: &Instances) -> String {
    let mut text = format!(
        "{}://  {}, `--provider {}`\n",
        instance.name, instance.kind.title, instance.kind.name
    );
    let rows: Vec<_> = instance
        .kind
        .all_settings()
        .filter_map(|setting| {
            let told = match origin(instance, setting) {
                Some(origin) => format!("from {origin}"),
                None if setting.kind == SettingKind::Credential => {
                    format!("not given: {}", sources(instance, setting).join(", "))
                }
                None => return None,
            };
            Some([String::new(), setting.name.to_owned(), told])
        })
        .collect();
    text.push_str(&columns(&rows));
    match instances.provider(instance.name) {
        Ok(_) => text.push_str("  ready to be asked\n"),
        Err(ProviderError { context, hint, .. }) => {
            let _ = writeln!(text, "  not set up: {context}");
            if let Some(hint) = hint {
                let _ = writeln!(text, "  {hint}");
            }
        }
    }
    text
}

/// What the configured run asks of it.
fn draw_cost(cost: &Cost, settings: &RunSettings, text: &mut String) {
    if cost.local {
        return;
    }
    let day = match plan::interval(settings) {
        Some(interval) => format!("{} calls a day at this `--refresh`", cost.of_a_day(interval).made),
        None => format!("{} calls, once", cost.calls),
    };
    let _ = writeln!(text, "  this configuration reads {} items: {day}", cost.items);
    for line in plan::budget(cost)
        .into_iter()
        .chain(plan::over_budget(cost, settings))
    {
        let _ = writeln!(text, "  {line}");
    }
}

fn document(instance: &Described<'_>, instances: &Instances) -> Value {
    let error = instances.provider(instance.name).err();
    let settings = instance.kind.all_settings().map(|setting| {
        json!({
            "name": setting.name,
            "credential": setting.kind == SettingKind::Credential,
            "from": origin(instance, setting).map(ToString::to_string),
            "sources": sources(instance, setting),
        })
    });
    json!({
        "name": instance.name,
        "provider": instance.kind.name,
        "title": instance.kind.title,
        "schemes": instance.kind.schemes.iter().map(|scheme| scheme.name).collect::<Vec<_>>(),
        "settings": settings.collect::<Vec<_>>(),
        "ready": error.is_none(),
        "reason": error.as_ref().map(|error| &error.context),
        "hint": error.as_ref().and_then(|error| error.hint.as_ref()),
    })
}

fn origin<'a>(instance: &'a Described<'_>, setting: &Setting) -> Option<&'a Origin> {
    let mut given = instance.given.iter();
    given
        .find(|(known, _)| known.name == setting.name)
        .map(|(_, origin)| origin)
}

/// Where a setting may come from, as a person would write it.
fn sources(instance: &Described<'_>, setting: &'static Setting) -> Vec<String> {
    let is_own = instance
        .kind
        .schemes
        .iter()
        .any(|scheme| scheme.name == instance.name);
    let of = if is_own {
        instance.kind.prefix
    } else {
        instance.name
    };
    let credential = credential_name(of, setting).map(|name| format!("the credential {name}"));
    if !is_own {
        let own = format!("`{}` in [providers.{}]", setting.name, instance.name);
        return credential.into_iter().chain([own]).collect();
    }
    let flag = std::iter::once(format!("--{}.{}", instance.kind.prefix, setting.name));
    let variables = setting.env.iter().flat_map(|name| match setting.kind {
        SettingKind::Credential => vec![(*name).to_owned(), format!("{name}_FILE")],
        _ => vec![(*name).to_owned()],
    });
    flag.chain(variables).chain(credential).collect()
}
