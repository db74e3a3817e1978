//! Who exports: the host, the software and its clock, and the names of the interfaces that Flow Records number.

use flowgauge_ie_registry::{ElementId, ids};
use flowgauge_templates::ipfix::{FieldSpecifier, RecordWriter, VARIABLE_LENGTH};
use flowgauge_templates::management::{ExportingError, ExportingSession, TemplateId};

/// What is known of this exporter for as long as it runs.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The name of the host.
    pub host: String,
    /// The program and its version.
    pub software: String,
    /// When it began, nanoseconds since 1970 UTC.
    pub started_ns: i64,
    /// The interfaces captured from.
    pub interfaces: Vec<InterfaceIdentity>,
    /// Asks the system how right the clock is.
    pub clock: Option<fn() -> Clock>,
}

/// An interface captured from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceIdentity {
    /// ingressInterface.
    pub number: u32,
    /// As the system calls it.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
}

/// How right the clock is, as the system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Whether something keeps it right.
    pub is_synchronized: bool,
    /// How wrong it may be, microseconds.
    pub error_us: u32,
}

const fn field(element: ElementId, length: u16) -> FieldSpecifier {
    FieldSpecifier::new(element, length)
}

const EXPORTER_FIELDS: [FieldSpecifier; 6] = [
    field(ids::OBSERVATION_DOMAIN_ID, 4),
    field(ids::OBSERVATION_DOMAIN_NAME, VARIABLE_LENGTH),
    field(ids::EXPORTER_SOFTWARE, VARIABLE_LENGTH),
    field(ids::SYSTEM_INIT_TIME_MILLISECONDS, 8),
    field(ids::EXPORTER_CLOCK_STATE, 1),
    field(ids::EXPORTER_CLOCK_ERROR_MICROSECONDS, 4),
];
const INTERFACE_FIELDS: [FieldSpecifier; 3] = [
    field(ids::INGRESS_INTERFACE, 4),
    field(ids::INTERFACE_NAME, VARIABLE_LENGTH),
    field(ids::INTERFACE_DESCRIPTION, VARIABLE_LENGTH),
];

/// exporterClockState.
const UNKNOWN: u8 = 0;
const SYNCHRONIZED: u8 = 1;
const FREE: u8 = 2;

/// Every field of these records.
pub(super) fn all_fields() -> impl Iterator<Item = FieldSpecifier> {
    EXPORTER_FIELDS.into_iter().chain(INTERFACE_FIELDS)
}

/// The records of one session.
#[derive(Debug)]
pub(super) struct IdentityOptions {
    exporter: TemplateId,
    interfaces: TemplateId,
}

impl IdentityOptions {
    /// Takes up the templates; each is announced before its first record.
    pub(super) fn new(session: &mut ExportingSession) -> Result<Self, ExportingError> {
        Ok(Self {
            exporter: session.add_options_template(1, &EXPORTER_FIELDS)?,
            interfaces: session.add_options_template(1, &INTERFACE_FIELDS)?,
        })
    }

    pub(super) fn write(
        &self,
        session: &mut ExportingSession,
        now_ns: i64,
        identity: &Identity,
    ) -> Result<(), ExportingError> {
        let clock = identity.clock.map(|ask| ask());
        let domain = session.config().domain;
        session.record(now_ns, self.exporter, |w| {
            w.u32(domain);
            text(w, &identity.host);
            text(w, &identity.software);
            w.milliseconds(identity.started_ns);
            w.u8(match clock {
                None => UNKNOWN,
                Some(clock) if clock.is_synchronized => SYNCHRONIZED,
                Some(_) => FREE,
            });
            w.u32(clock.map_or(0, |clock| clock.error_us));
        })?;
        identity.interfaces.iter().try_for_each(|interface| {
            session.record(now_ns, self.interfaces, |w| {
                w.u32(interface.number);
                text(w, &interface.name);
                text(w, &interface.description);
            })
        })
    }
}

/// Longer names than any system has are left out, so that a record fits into a Message.
fn text(writer: &mut RecordWriter<'_>, text: &str) {
    writer.variable(text.get(..text.len().min(255)).unwrap_or_default().as_bytes());
}
