//! `predict`: the disk and memory that a rate of flows takes with a configuration.

use super::arguments::{PredictArguments, PredictFormat};
use super::output::Output;
use super::run::configuration;
use super::table::{Align, Layout, scaled};
use crate::failure::Failure;
use crate::quantity::duration_text;
use crate::run::store_failure;
use crate::sizing::{Prediction, Taken, TierTaken, predict as predicted};
use crate::store::manifest::Manifest;

/// Predicts and prints.
pub fn predict(arguments: &PredictArguments, out: &mut Output) -> Result<(), Failure> {
    let config = configuration(&arguments.run)?;
    let manifest = Manifest::load(&config.data).map_err(|error| store_failure(&error))?;
    let measured = manifest.as_ref().and_then(Taken::of);
    let is_named = arguments.run.keys.0.iter().any(|(key, _)| key.flag == "data");
    if measured.is_none() && is_named {
        let why = if manifest.is_some() {
            "has no flows"
        } else {
            "is no store"
        };
        return Err(Failure::running(format!(
            "{} {why} to measure; leave --data out to predict from what flows take elsewhere",
            config.data.display()
        )));
    }
    let prediction = predicted(arguments.rate, &config, &measured.unwrap_or_default());
    match arguments.format {
        PredictFormat::Json => out.json(&prediction),
        PredictFormat::Table => {
            let from = match measured {
                Some(taken) => format!("{} flows in {}", taken.rows, config.data.display()),
                None => "flows of the generator; with --data a store of your own is measured".to_owned(),
            };
            print(&prediction, &from, out)
        }
    }
}

fn octets(octets: Option<f64>) -> String {
    octets.map_or_else(|| "grows for ever".to_owned(), |octets| scaled(octets, "B"))
}

fn kept(tier: &TierTaken) -> String {
    let Some(seconds) = tier.kept_s else {
        return "for ever".to_owned();
    };
    // Rounded to what is worth saying.
    let unit = [86_400.0, 3_600.0, 60.0, 1.0]
        .into_iter()
        .find(|unit| seconds >= 2.0 * unit);
    let unit = unit.unwrap_or(1.0);
    let whole = duration_text(((seconds / unit).round() * unit * 1e9) as i64);
    match (tier.name, tier.is_held_by_size) {
        ("journal", false) if seconds == 0.0 => "until indexed".to_owned(),
        (_, true) => format!("{whole}, by its size"),
        (_, false) => whole,
    }
}

fn print(prediction: &Prediction, from: &str, out: &mut Output) -> Result<(), Failure> {
    out.line(&format!(
        "{} flows a second of {:.1} octets each, {:.1} in the journal ({from})",
        prediction.rate, prediction.taken.row_octets, prediction.taken.journal_octets
    ))?;
    let head = [
        ("tier", Align::Left),
        ("kept", Align::Left),
        ("a day", Align::Right),
        ("disk", Align::Right),
    ];
    let mut layout = Layout::new(head.to_vec());
    for tier in &prediction.tiers {
        layout.row(vec![
            tier.name.to_owned(),
            kept(tier),
            octets(Some(tier.day_octets)),
            octets(tier.octets),
        ]);
    }
    layout.row(vec![
        "in all".to_owned(),
        "with what stays free".to_owned(),
        String::new(),
        octets(prediction.octets),
    ]);
    out.bytes(layout.to_string().as_bytes())?;
    let files = match prediction.files {
        Some(files) => format!("{files} at most"),
        None => "more and more".to_owned(),
    };
    out.line(&format!(
        "memory: {}, at most {} when disk or processor are behind; what is free beside it caches what questions read",
        octets(Some(prediction.memory_octets)),
        octets(Some(prediction.memory_most_octets)),
    ))?;
    out.line(&format!("files: {files}"))
}
