//! Which captures there are, and which of them belong together: several keep templates and data in files of their own.

use std::path::{Path, PathBuf};

/// Files read one behind the other as one session.
pub struct Capture {
    pub name: String,
    pub files: Vec<PathBuf>,
}

/// Files that belong together, templates first; everything else is a capture by itself.
const TOGETHER: &[&[&str]] = &[
    &[
        "akvorado/netflow/testdata/template.pcap",
        "akvorado/netflow/testdata/data.pcap",
    ],
    &[
        "akvorado/netflow/testdata/options-template.pcap",
        "akvorado/netflow/testdata/options-data.pcap",
    ],
    &[
        "akvorado/netflow/testdata/icmp-template.pcap",
        "akvorado/netflow/testdata/icmp-data.pcap",
    ],
    &[
        "akvorado/netflow/testdata/samplingrate-template.pcap",
        "akvorado/netflow/testdata/samplingrate-data.pcap",
    ],
    &[
        "akvorado/netflow/testdata/ipfixprobe-templates.pcap",
        "akvorado/netflow/testdata/ipfixprobe-data.pcap",
    ],
    &[
        "akvorado/netflow/testdata/ethernet-over-mpls-with-control-word-template.pcap",
        "akvorado/netflow/testdata/ethernet-over-mpls-with-control-word-data.pcap",
    ],
    &[
        "graylog/netflow-v9-2-1.dat",
        "graylog/netflow-v9-2-2.dat",
        "graylog/netflow-v9-2-3.dat",
    ],
    &[
        "opennms/flows/netflow9_template.dat",
        "opennms/flows/netflow9_records.dat",
    ],
    &["opennms/flows/nf9_template.dat", "opennms/flows/nf9_valid.dat"],
    &[
        "opennms/adapter/netflow9_template.dat",
        "opennms/adapter/netflow9_records.dat",
    ],
    &["ipfixrw/parse_temp.bin", "ipfixrw/parse_data.bin"],
    &["ipfixrw/parse_temp_1.bin", "ipfixrw/dns_samp.bin"],
    &["ipfixrw/parse_temp_2.bin", "ipfixrw/http_samp.bin"],
];

/// Every capture of NetFlow and IPFIX under `root`, by name.
pub fn captures(root: &Path) -> Vec<Capture> {
    let mut files = Vec::new();
    collect(root, &mut files);
    files.sort();
    let mut groups: Vec<Vec<PathBuf>> = TOGETHER
        .iter()
        .map(|group| group.iter().map(|file| root.join(file)).collect())
        .collect();
    groups.extend(logstash(root));
    groups.extend(telegraf(root));
    let grouped: Vec<PathBuf> = groups.iter().flatten().cloned().collect();
    let alone = files.into_iter().filter(|file| !grouped.contains(file));
    groups.extend(alone.map(|file| vec![file]));
    let mut captures: Vec<Capture> = groups
        .into_iter()
        .map(|files| Capture {
            name: files
                .first()
                .and_then(|file| file.strip_prefix(root).ok())
                .unwrap()
                .display()
                .to_string(),
            files,
        })
        .collect();
    captures.sort_by(|a, b| a.name.cmp(&b.name));
    captures
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            // sFlow is another codec's, and pmacct's captures are NetGauze's.
            if !name.contains("sflow") && name != "pmacct" {
                collect(&path, files);
            }
        } else if [".pcap", ".dat", ".bin", ".ipfix"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            files.push(path);
        }
    }
}

/// logstash names the files of each case in its golden.
fn logstash(root: &Path) -> Vec<Vec<PathBuf>> {
    let folder = root.join("logstash");
    let golden = std::fs::read_to_string(folder.join("golden.jsonl")).unwrap();
    let cases = golden
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    cases
        .map(|case| {
            let files = case["files"].as_array().unwrap().iter();
            files
                .map(|file| folder.join(file.as_str().unwrap()))
                .collect::<Vec<PathBuf>>()
        })
        .filter(|files| !files.is_empty() && files.iter().all(|file| file.exists()))
        .collect()
}

/// telegraf keeps one datagram a file, in the order of their names.
fn telegraf(root: &Path) -> Vec<Vec<PathBuf>> {
    ["ipfix_options", "issue_13305"]
        .iter()
        .map(|case| {
            let mut files = Vec::new();
            collect(&root.join("telegraf").join(case), &mut files);
            files.sort();
            files
        })
        .collect()
}
