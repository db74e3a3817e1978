//! What can be wrong with a DNS message.

/// The first thing found wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DnsFault {
    /// The message is shorter than its header.
    HeaderCut,
    /// What is needed of it was not captured, or is in another fragment.
    NotCaptured,
    /// The operation is none that is assigned.
    UnknownOperation,
    /// There is no question, and the operation needs one.
    NoQuestion,
    /// There are several questions (RFC 9619 allows one).
    SeveralQuestions,
    /// A name runs over the end of the message.
    NameCut,
    /// A name has more than 255 octets.
    NameTooLong,
    /// A label is of a kind that is none (RFC 1035 section 4.1.4 reserves two, RFC 6891 section 5 gave them up).
    LabelKind,
    /// A compression pointer does not point to before the name: it would not end.
    PointerNotBackwards,
    /// The question runs over the end of the message.
    QuestionCut,
    /// The message has fewer records than its header says, or a record runs over the end.
    RecordsCut,
    /// There is something behind the last record.
    TrailingOctets,
}

impl DnsFault {
    /// Every fault, in the order of its number.
    pub const ALL: [DnsFault; 12] = [
        DnsFault::HeaderCut,
        DnsFault::NotCaptured,
        DnsFault::UnknownOperation,
        DnsFault::NoQuestion,
        DnsFault::SeveralQuestions,
        DnsFault::NameCut,
        DnsFault::NameTooLong,
        DnsFault::LabelKind,
        DnsFault::PointerNotBackwards,
        DnsFault::QuestionCut,
        DnsFault::RecordsCut,
        DnsFault::TrailingOctets,
    ];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            DnsFault::HeaderCut => "header_cut",
            DnsFault::NotCaptured => "not_captured",
            DnsFault::UnknownOperation => "unknown_operation",
            DnsFault::NoQuestion => "no_question",
            DnsFault::SeveralQuestions => "several_questions",
            DnsFault::NameCut => "name_cut",
            DnsFault::NameTooLong => "name_too_long",
            DnsFault::LabelKind => "label_kind",
            DnsFault::PointerNotBackwards => "pointer_not_backwards",
            DnsFault::QuestionCut => "question_cut",
            DnsFault::RecordsCut => "records_cut",
            DnsFault::TrailingOctets => "trailing_octets",
        }
    }

    /// Whether it is that the message ends too early, so that it may be for want of capture.
    pub(super) const fn is_cut(self) -> bool {
        matches!(
            self,
            DnsFault::HeaderCut | DnsFault::NameCut | DnsFault::QuestionCut | DnsFault::RecordsCut
        )
    }
}
