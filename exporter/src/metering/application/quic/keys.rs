//! Keys of Initial packets: HKDF-SHA256 over a public salt and the connection ID (RFC 9001 section 5.2).

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::aes::{Aes128, Block};
use aes_gcm::{Aes128Gcm, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;

use super::version::Version;
use crate::metering::application::Fault;

/// Who sealed a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The end that chose the connection ID.
    Client,
    /// The other end.
    Server,
}

/// What opens the Initial packets of one sender.
pub struct InitialKeys {
    pub(super) sealing: Aes128Gcm,
    iv: [u8; 12],
    header: Aes128,
}

impl InitialKeys {
    /// The keys that follow from the client's first Destination Connection ID.
    pub fn derive(version: &Version, connection_id: &[u8], sender: Sender) -> InitialKeys {
        let initial = Hkdf::<Sha256>::new(Some(&version.salt), connection_id);
        let label: &[u8] = match sender {
            Sender::Client => b"client in",
            Sender::Server => b"server in",
        };
        let secret: [u8; 32] = expand_label(&initial, label);
        // 32 octets are enough for SHA-256, so this does not fail.
        let secret = Hkdf::<Sha256>::from_prk(&secret).unwrap_or(initial);
        let labels: [&[u8]; 3] = match version.is_v2 {
            false => [b"quic key", b"quic iv", b"quic hp"],
            true => [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
        };
        let [key, iv, header] = labels;
        InitialKeys {
            sealing: Aes128Gcm::new(&expand_label::<16>(&secret, key).into()),
            iv: expand_label(&secret, iv),
            header: Aes128::new(&expand_label::<16>(&secret, header).into()),
        }
    }

    /// The five octets that hide packet number and first octet (RFC 9001 section 5.4.3).
    pub fn header_mask(&self, sample: &[u8; 16]) -> [u8; 5] {
        let mut block: Block = (*sample).into();
        self.header.encrypt_block(&mut block);
        block.first_chunk().copied().unwrap_or_default()
    }

    /// RFC 9001 section 5.3: the packet number, exclusive or the IV.
    pub fn nonce(&self, number: u64) -> [u8; 12] {
        let mut nonce = self.iv;
        for (place, octet) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
            *place ^= octet;
        }
        nonce
    }

    /// Opens `payload` in place, which ends in its authentication tag; gives what was in it.
    ///
    /// # Errors
    /// `Sealed` when the tag does not fit.
    pub fn open<'a>(&self, number: u64, header: &[u8], payload: &'a mut [u8]) -> Result<&'a [u8], Fault> {
        let nonce = self.nonce(number);
        let (text, tag) = payload.split_last_chunk_mut::<16>().ok_or(Fault::Malformed)?;
        self.sealing
            .decrypt_inout_detached(
                &Nonce::from(nonce),
                header,
                InOutBuf::from(&mut *text),
                &Tag::from(*tag),
            )
            .map_err(|_| Fault::Sealed)?;
        Ok(text)
    }
}

/// HKDF-Expand-Label without context (RFC 8446 section 7.1).
fn expand_label<const N: usize>(secret: &Hkdf<Sha256>, label: &[u8]) -> [u8; N] {
    let mut output = [0; N];
    let length = (N as u16).to_be_bytes();
    let label_length = [(6 + label.len()) as u8];
    // Fails for more than 255 hashes of output only.
    let _ = secret.expand_multi_info(&[&length, &label_length, b"tls13 ", label, &[0]], &mut output);
    output
}
