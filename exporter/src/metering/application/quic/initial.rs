//! Opens an Initial packet: header protection, then AES-128-GCM (RFC 9001 sections 5.3 and 5.4).

use super::keys::InitialKeys;
pub use super::keys::Sender;
use super::limits::MAX_INITIAL_OCTETS;
use super::packet::Packet;
use super::version::Version;
use crate::metering::application::Fault;

/// Room to open one packet in.
pub type Scratch = [u8; MAX_INITIAL_OCTETS];

/// Room for [`open`].
pub const SCRATCH: Scratch = [0; MAX_INITIAL_OCTETS];

/// Opens a packet with the keys that follow from `connection_id`; gives its frames.
///
/// The packet number is taken as it stands: senders may leave its high octets out only once a packet was acknowledged,
/// and their first hundreds of Initial packets have numbers that need none.
///
/// # Errors
/// `Sealed` for a packet of other keys, `TooLong` for one that the scratch does not hold.
pub fn open<'a>(
    packet: &Packet<'_>,
    version: &Version,
    connection_id: &[u8],
    sender: Sender,
    scratch: &'a mut Scratch,
) -> Result<&'a [u8], Fault> {
    let bytes = scratch.get_mut(..packet.bytes.len()).ok_or(Fault::TooLong)?;
    let sample_at = packet.number_at + 4;
    let sample = packet.bytes.get(sample_at..).and_then(|rest| rest.first_chunk::<16>());
    let sample = sample.ok_or(Fault::Malformed)?;
    bytes.copy_from_slice(packet.bytes);

    let keys = InitialKeys::derive(version, connection_id, sender);
    let [first_mask, number_mask @ ..] = keys.header_mask(sample);
    let first = bytes.first_mut().ok_or(Fault::Malformed)?;
    *first ^= first_mask & 0x0f;
    let number_length = usize::from(*first & 3) + 1;
    let header_length = packet.number_at + number_length;
    let (header, payload) = bytes.split_at_mut_checked(header_length).ok_or(Fault::Malformed)?;
    let mut number = 0;
    for (place, mask) in header.iter_mut().skip(packet.number_at).zip(number_mask) {
        *place ^= mask;
        number = number << 8 | u64::from(*place);
    }
    keys.open(number, header, payload)
}
