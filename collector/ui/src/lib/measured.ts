// How to ask for what the exporter measured of TCP, in either direction: the way back has elements of its own.
export const BLOATED = '(tcp.bufferbloat = true or reverseTcpBufferbloat = 1)';
/** Of connections that stood: something came back. */
export const HOLES = '((tcp.blackholed = true and rev.packets exists) or reverseTcpBlackholeKind exists)';
export const UNANSWERED = 'tcp.blackholed = true and not rev.packets exists';

export const RETRANSMITS = 'sum(tcp.retransmits)';
export const BACK_RETRANSMITS = 'sum(reverseTcpRetransmittedPacketDeltaCount)';
export const ZERO_WINDOWS = 'sum(tcp.zero_window)';
export const BACK_ZERO_WINDOWS = 'sum(reverseTcpZeroWindowDeltaCount)';
