//! Files on disk: compression, folders, faults with their place, filters.

use std::io::Write;

use flowgauge_templates::packet::LinkType;

use super::*;

/// A little-endian pcap file of these frames, one second apart, over this link type.
fn pcap(link_type: u32, frames: &[&[u8]]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    file.extend(link_type.to_le_bytes());
    for (second, frame) in frames.iter().enumerate() {
        let length = frame.len() as u32;
        for field in [second as u32, 0, length, length] {
            file.extend(field.to_le_bytes());
        }
        file.extend(*frame);
    }
    file
}

/// Everything a source gives: frames as octets, and errors as text, in order.
fn read_all(paths: &[PathBuf], filter: Option<&str>) -> (Vec<Result<Vec<u8>, String>>, PcapFiles) {
    let mut source = PcapFiles::open(paths, filter).unwrap();
    let mut all = Vec::new();
    loop {
        match source.next_frame() {
            Ok(Next::Frame(frame)) => all.push(Ok(frame.bytes.to_vec())),
            Ok(Next::End) => break,
            Ok(Next::Quiet) => unreachable!("files are never quiet"),
            Err(error) => all.push(Err(error.to_string())),
        }
    }
    (all, source)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    }
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn reads_plain_and_compressed_files_in_the_order_given() {
    let folder = Folder::new();
    let paths = [
        folder.write("c", &pcap(1, &[b"one", b"two"])),
        folder.write("b", &gzip(&pcap(1, &[b"three"]))),
        folder.write("a", &zstd::encode_all(&pcap(1, &[b"four"])[..], 1).unwrap()),
        // Two gzip members in one file, as gzip and cat make them.
        folder.write(
            "d",
            &[gzip(&pcap(1, &[b"five"])), gzip(&pcap(1, &[b"six"])[24..])].concat(),
        ),
    ];
    let (all, source) = read_all(&paths, None);
    let expected = ["one", "two", "three", "four", "five", "six"].map(|text| Ok(text.as_bytes().to_vec()));
    assert_eq!(all, expected);
    assert_eq!(source.counters().frames, 6);
    assert_eq!(
        (source.file_counters().files, source.file_counters().files_with_fault),
        (4, 0)
    );
}

#[test]
fn a_folder_is_its_captures_by_name() {
    let folder = Folder::new();
    folder.write("trace.pcap1", &pcap(1, &[b"second"]));
    folder.write("trace.pcap0", &gzip(&pcap(1, &[b"first"])));
    folder.write("notes.txt", b"not a capture");
    folder.write("empty", b"");
    let (all, _) = read_all(&[folder.0.path().to_path_buf()], None);
    assert_eq!(all, [Ok(b"first".to_vec()), Ok(b"second".to_vec())]);

    let nothing = tempfile::tempdir().unwrap();
    let error = PcapFiles::open(&[nothing.path().to_path_buf()], None).unwrap_err();
    assert!(
        error.to_string().ends_with("no pcap or pcapng file in this folder"),
        "{error}"
    );
}

#[test]
fn a_fault_names_its_place_and_the_next_file_is_read() {
    let folder = Folder::new();
    let whole = pcap(1, &[b"one", b"two"]);
    let cut = folder.write("cut.pcap", &whole[..whole.len() - 1]);
    let packed = gzip(&whole);
    let packed = folder.write("cut.pcap.gz", &packed[..packed.len() - 12]);
    let other = folder.write("other.txt", b"something else entirely");
    let empty = folder.write("empty.pcap", b"");
    let sound = folder.write("sound.pcap", &pcap(1, &[b"last"]));
    let (all, source) = read_all(&[cut, packed, other, empty, sound], None);
    let errors: Vec<String> = all.iter().filter_map(|read| read.as_ref().err().cloned()).collect();
    let ends = |at: usize, with: &str| assert!(errors[at].ends_with(with), "{}", errors[at]);
    assert_eq!(errors.len(), 4);
    ends(
        0,
        "cut.pcap: at octet 43: the file ends 1 octets before its record does",
    );
    assert!(errors[1].contains("cut.pcap.gz: at octet "), "{}", errors[1]);
    assert!(
        errors[1].contains(" after decompression: cannot read on: "),
        "{}",
        errors[1]
    );
    ends(
        2,
        "other.txt: at octet 0: not a capture in pcap or pcapng format (it begins with 0x736f6d65)",
    );
    ends(3, "empty.pcap: at octet 0: empty: there is no capture in it");
    assert_eq!(all[0], Ok(b"one".to_vec()));
    assert_eq!(all.last(), Some(&Ok(b"last".to_vec())));
    assert_eq!(
        (source.file_counters().files, source.file_counters().files_with_fault),
        (5, 4)
    );
}

#[test]
fn a_missing_file_is_one_line() {
    let error = PcapFiles::open(&["no/such.pcap".into()], None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no/such.pcap: no such file; check the path after --read"
    );
}

#[test]
fn frames_larger_than_the_buffer_pass() {
    let folder = Folder::new();
    let small = vec![1; 1000];
    let large = vec![2; limits::MAX_FRAME_OCTETS];
    let frames: Vec<&[u8]> = (0..600)
        .map(|at| if at % 100 == 99 { &large[..] } else { &small[..] })
        .collect();
    let path = folder.write("a.pcap", &pcap(1, &frames));
    let (all, source) = read_all(&[path], None);
    assert_eq!(all.len(), 600);
    assert!(
        all.iter()
            .zip(&frames)
            .all(|(read, frame)| read.as_deref() == Ok(*frame))
    );
    assert_eq!(
        source.file_counters().octets,
        24 + 600 * 16 + 594 * 1000 + 6 * limits::MAX_FRAME_OCTETS as u64
    );
}

#[test]
fn filters_by_link_type() {
    let folder = Folder::new();
    let packet = |protocol: u8| {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0, 53, 0, 99, 0, 8, 0, 0]);
        packet
    };
    let ethernet = |protocol: u8| [&[0; 12][..], &[8, 0], &packet(protocol)].concat();
    let paths = [
        folder.write("a", &pcap(1, &[&ethernet(17), &ethernet(6)])),
        folder.write("b", &pcap(u32::from(LinkType::RAW.0), &[&packet(6), &packet(17)])),
    ];
    let (all, source) = read_all(&paths, Some("udp port 53"));
    assert_eq!(all, [Ok(ethernet(17)), Ok(packet(17))]);
    assert_eq!((source.counters().frames, source.counters().filtered), (2, 2));

    let error = PcapFiles::open(&paths, Some("udp prot 53")).unwrap_err().to_string();
    assert!(error.starts_with("filter 'udp prot 53' for link type 1: "), "{error}");
    // A word that one link type lacks ends that file only.
    let (all, source) = read_all(&paths, Some("ether proto 0x800 and tcp"));
    assert_eq!(all.first(), Some(&Ok(ethernet(6))));
    assert_eq!(source.file_counters().files, 2);
}
