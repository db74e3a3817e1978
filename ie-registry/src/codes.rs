//! Code lists: the names behind the numbers of an element (protocol 6 is `TCP`), so that values can be read and typed.

use crate::table;

/// A list of codes with a name each, sorted by code.
///
/// For elements whose semantics are flags the codes are bit masks: a value is named by every code that it holds.
#[derive(Debug, PartialEq, Eq)]
pub struct CodeList {
    /// The name of the list, which is the name of its file in `data/codes`.
    pub name: &'static str,
    /// Code and label, sorted by code, no code twice.
    pub entries: &'static [(u64, &'static str)],
}

impl CodeList {
    /// The label of a code.
    pub fn label(&self, code: u64) -> Option<&'static str> {
        let at = self.entries.binary_search_by_key(&code, |entry| entry.0).ok()?;
        self.entries.get(at).map(|entry| entry.1)
    }

    /// The lowest code with that label; upper and lower case are the same.
    pub fn code(&self, label: &str) -> Option<u64> {
        self.entries
            .iter()
            .find(|entry| entry.1.eq_ignore_ascii_case(label))
            .map(|entry| entry.0)
    }
}

/// The list of that name (`protocols`, `flow-end-reason`, ...).
pub fn code_list(name: &str) -> Option<&'static CodeList> {
    code_lists().find(|list| list.name == name)
}

/// Every list, sorted by name.
pub fn code_lists() -> impl Iterator<Item = &'static CodeList> {
    table::CODE_LISTS.iter().copied()
}
