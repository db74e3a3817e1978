//! BPF filters for captures that are read from files: libpcap compiles the expression once for each link type.

use flowgauge_templates::packet::LinkType;
use pcap::{BpfProgram, Capture, Linktype};

use crate::capture::CaptureError;
use crate::io::live::said;

/// A filter expression in the words of tcpdump.
pub(super) struct FrameFilter {
    expression: String,
    /// One program for each link type met; a capture has very few.
    programs: Vec<(LinkType, BpfProgram)>,
}

impl FrameFilter {
    /// Checks the expression against Ethernet, which knows every word there is but a few of radio.
    ///
    /// # Errors
    /// What libpcap says of it.
    pub fn new(expression: &str) -> Result<FrameFilter, CaptureError> {
        let mut filter = FrameFilter {
            expression: expression.to_owned(),
            programs: Vec::new(),
        };
        filter.compile(LinkType::ETHERNET)?;
        Ok(filter)
    }

    /// Whether a frame passes.
    ///
    /// # Errors
    /// The expression makes no sense for this link type.
    #[inline]
    pub fn passes(&mut self, link_type: LinkType, bytes: &[u8]) -> Result<bool, CaptureError> {
        if let Some((_, program)) = self.programs.iter().find(|(known, _)| *known == link_type) {
            return Ok(program.filter(bytes));
        }
        Ok(self.compile(link_type)?.filter(bytes))
    }

    fn compile(&mut self, link_type: LinkType) -> Result<&BpfProgram, CaptureError> {
        let fault = |error: pcap::Error| {
            CaptureError(format!(
                "filter '{}' for link type {}: {}; see pcap-filter(7)",
                self.expression,
                link_type.0,
                said(&error)
            ))
        };
        let program = Capture::dead(Linktype(dlt(link_type)))
            .and_then(|capture| capture.compile(&self.expression, true))
            .map_err(fault)?;
        self.programs.push((link_type, program));
        match self.programs.last() {
            Some((_, program)) => Ok(program),
            None => Err(CaptureError("filter: no program".into())),
        }
    }
}

/// libpcap's own number of a link type, which differs from that in files for raw IP.
fn dlt(link_type: LinkType) -> i32 {
    match link_type {
        LinkType::RAW | LinkType::RAW_14 => i32::from(LinkType::RAW_12.0),
        other => i32::from(other.0),
    }
}
