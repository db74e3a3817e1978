//! Captures of devices that nobody here made: every record that tshark decodes, we decode with the same values.
//!
//! `cargo nextest run -p flowgauge-collector --test flowexport --no-capture` prints the table by capture.
#![allow(clippy::unwrap_used)]

mod captures;
mod live;
mod ours;
mod report;
mod rows;
mod sflow;
mod tshark;

use std::path::PathBuf;

use report::Part;

/// The folder of what others made: beside the workspace, or where FLOWGAUGE_SHARED says.
fn corpus() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or(beside, PathBuf::from);
    let folder = shared.join("corpus/flowexport");
    folder.is_dir().then_some(folder)
}

#[derive(Default)]
struct Agreement {
    records: usize,
    theirs: usize,
    fields: usize,
    /// Fields that lie where tshark's do, octet for octet.
    same_octets: usize,
    /// Fields whose text is tshark's, too.
    same_text: usize,
    /// What tshark shows and we do not, or otherwise.
    wrong: Vec<String>,
}

#[test]
fn tshark_decodes_no_record_otherwise() {
    let Some(root) = corpus() else {
        println!("skipped: no corpus of flow exports");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let captures: Vec<_> = captures::captures(&root)
        .into_iter()
        .map(|capture| (ours::decode(&capture), capture.name))
        .collect();
    let sent: Vec<tshark::Sent<'_>> = (0u16..)
        .zip(&captures)
        .flat_map(|(exporter, (datagrams, _))| datagrams.iter().map(move |datagram| (exporter, &*datagram.bytes)))
        .collect();
    let Some(theirs) = tshark::decode(&sent, directory.path()) else {
        println!("skipped: no tshark");
        return;
    };
    assert_eq!(theirs.len(), sent.len());
    println!(
        "{:<72} {:>6} {:>6} {:>7} {:>7} {:>7}",
        "capture", "ours", "tshark", "fields", "octets", "text"
    );
    let (mut theirs, mut wrong) = (theirs.iter(), Vec::new());
    let mut part = Part::new(
        "1-tshark",
        "tshark",
        "Every record that tshark decodes, octet for octet: what tshark shows must lie in a field of ours at the same place. \
         `text` counts the fields whose text is the same, too; tshark shows labels, units and parts of fields where ours are \
         plain values. Records beyond tshark's are of templates that it does not know yet, or that came later.",
        &[
            "capture",
            "our records",
            "tshark's",
            "fields",
            "same octets",
            "same text",
        ],
    );
    for (datagrams, name) in &captures {
        let mut agreement = Agreement::default();
        for (datagram, theirs) in datagrams.iter().zip(theirs.by_ref()) {
            compare(datagram, theirs, &mut agreement);
        }
        println!(
            "{:<72} {:>6} {:>6} {:>7} {:>7} {:>7}",
            name, agreement.records, agreement.theirs, agreement.fields, agreement.same_octets, agreement.same_text
        );
        let numbers = [
            agreement.records,
            agreement.theirs,
            agreement.fields,
            agreement.same_octets,
            agreement.same_text,
        ];
        let cells: Vec<String> = std::iter::once(name.clone())
            .chain(numbers.map(|number| number.to_string()))
            .collect();
        part.row(&cells);
        agreement.wrong.iter().take(8).for_each(|line| println!("    {line}"));
        for datagram in datagrams.iter().filter(|datagram| !datagram.errors.is_empty()).take(3) {
            println!("    {}", datagram.errors.join("; "));
        }
        if agreement.records < agreement.theirs || !agreement.wrong.is_empty() {
            wrong.push(name.clone());
        }
    }
    part.differences(&[(
        "ends of flows and hosts of Cisco",
        "tshark 4.0 shows them at a place that is not where their octets lie; the octets are compared",
    )]);
    part.write();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn compare(ours: &ours::Datagram, theirs: &[tshark::Record], agreement: &mut Agreement) {
    agreement.records += ours.records.len();
    agreement.theirs += theirs.len();
    let mine: Vec<&ours::Field> = ours.records.iter().flat_map(|record| &record.fields).collect();
    agreement.fields += mine.len();
    for leaf in theirs.iter().flat_map(|record| &record.leaves) {
        // How long a value of variable length is lies between our fields.
        if leaf.name.starts_with("cflow.string_len_") {
            continue;
        }
        let placed = mine.iter().find(|field| holds(field, leaf));
        let holds_anywhere = |field: &&&ours::Field| contains(&field.octets, &leaf.octets);
        let found = placed.or_else(|| mine.iter().find(holds_anywhere).filter(|_| is_misplaced(&leaf.name)));
        let Some(field) = found else {
            let (name, at, octets, show) = (&leaf.name, leaf.offset, leaf.octets.len(), &leaf.show);
            agreement
                .wrong
                .push(format!("missing: {name} at {at} ({octets} octets): {show}"));
            continue;
        };
        agreement.same_octets += 1;
        let same_text = field.text == leaf.show;
        agreement.same_text += usize::from(same_text);
        if let Some((_, names)) = NAMES.iter().find(|(theirs, _)| *theirs == leaf.name)
            && (!names.contains(&field.name.as_str()) || !same_text)
        {
            let (name, text) = (&field.name, &field.text);
            agreement
                .wrong
                .push(format!("{} {} is {name} {text}", leaf.name, leaf.show));
        }
    }
}

/// What tshark 4.0 shows at a place that is not where the octets lie: ends, and hosts of Cisco.
fn is_misplaced(name: &str) -> bool {
    [
        "cflow.timeend",
        "cflow.abstimeend",
        "cflow.pie.cisco.application_http_host",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && octets.windows(part.len()).any(|window| window == part)
}

/// Whether a node of tshark's lies in a field of ours and holds the same octets. tshark divides some fields.
fn holds(field: &ours::Field, leaf: &tshark::Leaf) -> bool {
    let within = field.offset.and_then(|offset| leaf.offset.checked_sub(offset));
    let part = within.and_then(|from| field.octets.get(from..from + leaf.octets.len()));
    !leaf.octets.is_empty() && part == Some(&leaf.octets)
}

/// What tshark calls elements that it shows as we do: there the name and the text are compared, too.
const NAMES: &[(&str, &[&str])] = &[
    ("cflow.srcaddr", &["sourceIPv4Address"]),
    ("cflow.dstaddr", &["destinationIPv4Address"]),
    ("cflow.srcaddrv6", &["sourceIPv6Address"]),
    ("cflow.dstaddrv6", &["destinationIPv6Address"]),
    ("cflow.nexthop", &["ipNextHopIPv4Address"]),
    (
        "cflow.srcport",
        &["sourceTransportPort", "tcpSourcePort", "udpSourcePort"],
    ),
    (
        "cflow.dstport",
        &["destinationTransportPort", "tcpDestinationPort", "udpDestinationPort"],
    ),
    ("cflow.protocol", &["protocolIdentifier"]),
    ("cflow.octets", &["octetDeltaCount", "reverseOctetDeltaCount"]),
    ("cflow.octets64", &["octetDeltaCount"]),
    ("cflow.packets", &["packetDeltaCount", "reversePacketDeltaCount"]),
    ("cflow.packets64", &["packetDeltaCount"]),
    ("cflow.inputint", &["ingressInterface"]),
    ("cflow.outputint", &["egressInterface"]),
    ("cflow.srcas", &["bgpSourceAsNumber"]),
    ("cflow.dstas", &["bgpDestinationAsNumber"]),
    ("cflow.srcmask", &["sourceIPv4PrefixLength"]),
    ("cflow.dstmask", &["destinationIPv4PrefixLength"]),
    ("cflow.direction", &["flowDirection"]),
    ("cflow.ipversion", &["ipVersion"]),
    ("cflow.srcmac", &["sourceMacAddress"]),
    ("cflow.dstmac", &["destinationMacAddress"]),
    ("cflow.sampler_id", &["samplerId"]),
    ("cflow.ingress_vrfid", &["ingressVRFID"]),
    ("cflow.flow_end_reason", &["flowEndReason"]),
    ("cflow.flow_id", &["flowId"]),
    (
        "cflow.post_natsource_ipv4_address",
        &["postNATSourceIPv4Address", "xlate_src_addr_ipv4"],
    ),
    ("cflow.initiator_octets", &["initiatorOctets"]),
    ("cflow.if_name", &["interfaceName"]),
];

/// NetGauze writes each Message as JSON; numbers and addresses are compared by the element's name, record by record.
#[test]
fn netgauze_reads_the_same_records() {
    let Some(root) = corpus() else {
        println!("skipped: no corpus of flow exports");
        return;
    };
    let (mut records, mut values) = (0, 0);
    let mut part = Part::new(
        "4-netgauze",
        "NetGauze",
        "Numbers and addresses of every record, by the element's name.",
        &["capture", "our records", "NetGauze's", "values"],
    );
    for capture in captures::captures(&root)
        .iter()
        .filter(|capture| capture.name.starts_with("netgauze/"))
    {
        let folder = capture.files.first().and_then(|file| file.parent()).unwrap();
        let mut goldens = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let golden = goldens
            .find(|path| path.display().to_string().ends_with("-flow.json"))
            .unwrap();
        let golden = std::fs::read_to_string(golden).unwrap();
        let mut theirs = Vec::new();
        for line in golden.lines() {
            find_records(&serde_json::from_str(line).unwrap(), &mut theirs);
        }
        let datagrams = ours::decode(capture);
        let ours: Vec<&ours::Record> = datagrams.iter().flat_map(|datagram| &datagram.records).collect();
        // What came before its template waits with us, and is nothing with them.
        assert!(
            ours.len() >= theirs.len(),
            "{}: {} and {}",
            capture.name,
            ours.len(),
            theirs.len()
        );
        let of_capture: usize = theirs.iter().map(Vec::len).sum();
        part.row(&[
            capture.name.clone(),
            ours.len().to_string(),
            theirs.len().to_string(),
            of_capture.to_string(),
        ]);
        for their in &theirs {
            let same = |our: &&&ours::Record| {
                their
                    .iter()
                    .all(|(name, text)| our.fields.iter().any(|f| f.name == *name && f.text == *text))
            };
            assert!(ours.iter().any(|our| same(&our)), "{}: {their:?}", capture.name);
            records += 1;
            values += their.len();
        }
    }
    part.write();
    println!("{records} records of NetGauze, {values} values");
    assert!(records > 200 && values > 2_000, "{records} {values}");
}

type Values = Vec<(String, String)>;

/// Every record of a Message of NetGauze's: numbers and addresses by name.
fn find_records(json: &serde_json::Value, found: &mut Vec<Values>) {
    match json {
        serde_json::Value::Object(object) => {
            if let Some(fields) = object.get("fields").and_then(|fields| fields.as_array()) {
                let named = fields.iter().filter_map(|field| field.as_object()?.iter().next());
                let plain = named.filter_map(|(name, value)| {
                    let text = match value {
                        serde_json::Value::Number(number) => number.to_string(),
                        serde_json::Value::String(text) if text.parse::<std::net::IpAddr>().is_ok() => text.clone(),
                        _ => return None,
                    };
                    Some((name.clone(), text))
                });
                found.push(plain.collect());
            } else {
                object.values().for_each(|value| find_records(value, found));
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| find_records(value, found)),
        _ => {}
    }
}
