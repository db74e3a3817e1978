//! What enrichment did, in `/api/v1/status` and `/metrics`.

use serde_json::{Value, json};

use super::metrics::Exposition;
use crate::run::Shared;

/// The part of `/status`.
pub fn enrichment_json(shared: &Shared) -> Value {
    let counters = shared.process().enrich_counters();
    let files = shared.enrich_files.counters();
    json!({
        "rows": counters.rows,
        "addresses_ready": counters.addresses_ready,
        "addresses_looked_up": counters.addresses_looked_up,
        "geo_faults": counters.geo_faults,
        "named_by_flow": counters.named_by_flow,
        "named_by_client": counters.named_by_client,
        "named_by_others": counters.named_by_others,
        "applications_by_port": counters.applications,
        "networks": files.networks,
        "files_taken": files.taken,
        "files_refused": files.refused,
        "files_trouble": files.trouble,
        "names": {
            "entries": counters.names.entries,
            "distinct": counters.names.names,
            "octets": counters.names.octets,
            "observed": counters.names.observed,
            "learned": counters.names.learned,
            "expired": counters.names.expired,
            "evicted": counters.names.evicted,
            "left_out": counters.names.left_out,
        },
    })
}

/// The families of `/metrics`.
pub(super) fn enrichment(out: &mut Exposition, shared: &Shared) {
    let counters = shared.process().enrich_counters();
    let files = shared.enrich_files.counters();
    let name = "flowgauge_collector_enriched_total";
    out.family(name, "counter", "What rows were given by enrichment, by kind.");
    for (kind, count) in [
        ("named_by_flow", counters.named_by_flow),
        ("named_by_client", counters.named_by_client),
        ("named_by_others", counters.named_by_others),
        ("application_by_port", counters.applications),
    ] {
        out.sample(name, &[("kind", kind)], count);
    }
    let name = "flowgauge_collector_enrichment_addresses_total";
    out.family(name, "counter", "Addresses by how it was found what files say of them.");
    for (found, count) in [
        ("ready", counters.addresses_ready),
        ("looked_up", counters.addresses_looked_up),
        ("fault", counters.geo_faults),
    ] {
        out.sample(name, &[("found", found)], count);
    }
    let name = "flowgauge_collector_enrichment_files_total";
    out.family(
        name,
        "counter",
        "Files of enrichment that had changed, by what became of them.",
    );
    out.sample(name, &[("outcome", "taken")], files.taken);
    out.sample(name, &[("outcome", "refused")], files.refused);
    let name = "flowgauge_collector_networks";
    out.single(name, "gauge", "Networks of the user.", files.networks);
    let name = "flowgauge_collector_observed_names_total";
    out.family(name, "counter", "Entries of observed names, by what became of them.");
    for (outcome, count) in [
        ("learned", counters.names.learned),
        ("expired", counters.names.expired),
        ("evicted", counters.names.evicted),
        ("left_out", counters.names.left_out),
    ] {
        out.sample(name, &[("outcome", outcome)], count);
    }
    for (name, help, value) in [
        (
            "flowgauge_collector_observed_names",
            "Entries of observed names that there are.",
            counters.names.entries,
        ),
        (
            "flowgauge_collector_observed_names_octets",
            "Octets that observed names take.",
            counters.names.octets,
        ),
    ] {
        out.single(name, "gauge", help, value);
    }
}
