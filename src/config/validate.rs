//! From what the layers say to settings: what fits together, once, for all layers together.

use std::fmt::Display;
use std::time::Duration;

use super::address::BackendUrl;
use super::backend_tls;
use super::edge;
use super::error::UsageError;
use super::field::Fields;
use super::file::SourceFile;
use super::layers::Layer;
use super::measure::{write_duration, write_size};
use super::settings::Settings;
use super::{functions, listening, row, schema, stamp};

/// The settings that these layers say.
///
/// # Errors
/// When a value is not what its row allows, or does not go with another.
pub(super) fn settings(layer: &Layer, file: Option<&SourceFile>) -> Result<Settings, UsageError> {
    let fields = Fields {
        table: "",
        values: &layer.values,
        file,
    };
    let mut settings = Settings::default();
    row::read(schema::rows(), &fields, &mut settings)?;
    settings.rules.stamp = stamp::resolve(&fields)?;
    settings.rules.ext = functions::read(&fields, &layer.functions)?;
    follow(&fields, &mut settings);
    edge::resolve(&fields, &mut settings)?;
    takeover(&fields, &settings)?;
    backend_tls::check(&fields, &settings)?;
    pairs(&fields, &settings)?;
    let (default, base) = (&settings.listeners, settings.base_access());
    settings.listeners = listening::read(&fields, &layer.listeners, default, base)?;
    Ok(settings)
}

/// Gives what was not written a default that goes with what was.
fn follow(fields: &Fields<'_>, settings: &mut Settings) {
    let unsaid = |key| fields.get(key).is_none();
    let pairing = &mut settings.pairing;
    if unsaid("pairing.start_hold") {
        // Held for as long as its own deadline, every first write would fail.
        pairing.start_hold = pairing.start_hold.min(pairing.request_timeout / 2);
    }
    let request = &mut settings.limits.request;
    if unsaid("limits.key") {
        request.key_max = request.argument_max;
    }
    if unsaid("limits.value") {
        request.value_max = request.argument_max;
    }
    // A value is stored with its stamp before it.
    let head = u32::try_from(settings.rules.stamp.head()).unwrap_or(0);
    if request.value_max <= request.argument_max {
        request.value_max = request.value_max.min(request.argument_max.saturating_sub(head));
    }
}

fn takeover(fields: &Fields<'_>, settings: &Settings) -> Result<(), UsageError> {
    let refuse = |key, problem, allowed| Err(fields.refuse(key, problem, allowed));
    if settings.takeover_kill && !settings.takeover {
        return refuse(
            "takeover_kill",
            "takeover_kill has nobody to kill",
            "with takeover = true",
        );
    }
    if !settings.takeover {
        return Ok(());
    }
    if settings.pid_file.is_none() {
        let problem = "takeover needs to know whom to take over from";
        return refuse("takeover", problem, "with pid_file");
    }
    if matches!(settings.backend, BackendUrl::File(_)) {
        let problem = "takeover cannot work with a store in a file: one process has it alone until it has ended";
        return refuse("takeover", problem, "takeover = false, or a tyrant: backend");
    }
    if settings.drain_delay > Duration::ZERO {
        let problem = "the process that takes over would hold its writes for all of drain_delay";
        return refuse("drain_delay", problem, "0s with takeover = true");
    }
    Ok(())
}

/// Every pair of which one must not be above the other.
fn pairs(fields: &Fields<'_>, settings: &Settings) -> Result<(), UsageError> {
    let pairing = &settings.pairing;
    at_most(
        fields,
        ("pairing.request_timeout", pairing.request_timeout),
        ("pairing.slow_timeout", pairing.slow_timeout),
        write_duration,
    )?;
    let limits = &settings.limits;
    let argument = ("limits.argument", u64::from(limits.request.argument_max));
    let request = ("limits.request", limits.request.frame_max as u64);
    for (lesser, greater) in [
        (argument, request),
        (("limits.key", u64::from(limits.request.key_max)), argument),
        (("limits.value", u64::from(limits.request.value_max)), argument),
        (request, ("limits.buffer_memory", limits.buffer_memory as u64)),
    ] {
        at_most(fields, lesser, greater, write_size)?;
    }
    Ok(())
}

/// Refuses a pair in the wrong order, at the one of the two that the operator wrote.
fn at_most<T: PartialOrd + Copy, W: Display>(
    fields: &Fields<'_>,
    (low, least): (&'static str, T),
    (high, most): (&'static str, T),
    write: impl Fn(T) -> W,
) -> Result<(), UsageError> {
    if least <= most {
        return Ok(());
    }
    let (least, most) = (write(least), write(most));
    Err(if fields.get(low).is_some() {
        let allowed = format_args!("at most {high}, which is {most}");
        fields.refuse(low, format_args!("{low} is {least}"), allowed)
    } else {
        let allowed = format_args!("at least {low}, which is {least}");
        fields.refuse(high, format_args!("{high} is {most}"), allowed)
    })
}
