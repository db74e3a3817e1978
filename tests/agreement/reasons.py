"""Why we differ, where we do. Patterns are as narrow as the reason is."""

from table import Reason

OTHER_TRACE = "the baseline that `MAP.tsv` names is of a run over another trace"
OUTER = "the tunnel is opened: its packets count for the biflows within, not for the outer one"
NOT_TLS_FIRST = "TLS begins behind words of another protocol, which is what the biflow is recognised as"
BROKEN = "fuzzed packets whose headers contradict themselves: which of them count is each meter's choice"
GQUIC = "Google's own QUIC before the standard; only versions 1, 2 and late drafts are decrypted"

REASONS: list = [
    Reason("flowtest", "http_invalid_method", "http_[hmua]*", "a method that is none of those registered is not taken for HTTP"),
    Reason("flowtest", "http_put", "http_content_type", "theirs is the type of the request's content, ours that of the answer's, which has none"),
    Reason("flowtest", "http2_switch", "http_status_code", "the first answer is 101, which ends HTTP/1; theirs is of the HTTP/2 behind it"),
    Reason("flowtest", "tls_version_error", "tls_server_version", "no ServerHello: the highest version offered is given, theirs is the alert's record version"),
    Reason("ipfixprobe", "tls", "tlsClientFingerprintJa4", "theirs counts the GREASE extensions, which JA4 leaves out; hashes agree, and so does FoxIO's own program (below)"),
    Reason("ipfixprobe", "*", "biflows only here", "their plugin writes only biflows of its protocol, and no DNS answer without an address"),
    Reason("ipfixprobe", "passivedns", "[po]*", "theirs writes a line for each address in an answer, with the counters of the whole biflow"),
    Reason("zeek", "ssh/single-conn.pcap", "connection", OTHER_TRACE),
    Reason("zeek", "tls/dtls1_2.pcap", "TLS connection", OTHER_TRACE),
    Reason("zeek", "tls/ocsp-stapling-*.pcap", "TLS connection", OTHER_TRACE),
    Reason("zeek", "wikipedia.pcap", "*", "the baseline is of a run with a filter"),
    Reason("zeek", "tls/smtp-starttls.pcap", "TLS version", NOT_TLS_FIRST),
    Reason("zeek", "tls/webrtc-stun.pcap", "TLS version", NOT_TLS_FIRST),
    Reason("zeek", "tunnels/ayiya*.pcap", "*", OUTER),
    Reason("zeek", "tunnels/*eredo*.pcap", "[po]* back", "the answer comes by a relay's own port; Teredo is opened on port 3544"),
    Reason("zeek", "tunnels/*", "connection", OUTER),
    Reason("suricata-verify", "vxlan-*", "flow: *", OUTER),
    Reason("suricata-verify", "bug-7725-01", "flow: *", OUTER),
    Reason("suricata-verify", "decode-erspan-typeII-01", "flow: *", "theirs takes the VLAN id in the ERSPAN header for a tag of the packet, which has none"),
    Reason("suricata-verify", "decode-teredo-01", "flow: *", OUTER),
    Reason("suricata-verify", "alert-testmyids-midstream5", "flow: *", "the capture begins with an answer; the direction of the first packet is forward here"),
    Reason("suricata-verify", "dns-reversed-udp-1", "flow: *", "the only packet is an answer; the direction of the first packet is forward here"),
    Reason("ndpi", "fuzz-*.pcap", "*", BROKEN),
    Reason("ndpi", "reasm_crash_anon.pcapng", "packets", BROKEN),
    Reason("ndpi", "tls_invalid_reads.pcap", "*", BROKEN),
    Reason("ndpi", "synscan.pcap", "packets", "theirs counts the answers as if the scanner had sent them"),
    Reason("ndpi", "1kxun.pcap", "HTTP status", "theirs is the interim 100 Continue, ours the status of the answer"),
    Reason("ndpi", "android.pcap", "TLS version", "TLS 1.3 was agreed on, which the ServerHello says in an extension"),
    Reason("ndpi", "dlt_ppp.pcap", "TLS version", "a draft of TLS 1.3 was agreed on and has a number of its own"),
    Reason("ndpi", "dns_fragmented.pcap", "packets", "theirs leaves out the later fragments, ours counts them in the flow of their first one"),
    Reason("ndpi", "quic-v2-00.pcapng", "TLS version", "a draft of QUIC version 2 with keys of its own"),
    Reason("ndpi", "http_ipv6.pcap", "SNI", GQUIC),
    Reason("ndpi", "quic046.pcap", "SNI", GQUIC),
    Reason("ndpi", "quic_q*.pcap", "SNI", GQUIC),
    Reason("ndpi", "youtube_quic.pcap", "SNI", GQUIC),
    Reason("ndpi", "teredo.pcap", "flow", OUTER),
]
