//! The registry that everyone looks elements up in: the builtin tables and what a file or the wire added.
//!
//! A builtin definition always wins; a user's file wins over type records from the wire (RFC 5610).

use std::cmp::Ordering;

use crate::limits::{MAX_ADDED_ELEMENTS, MAX_NAME_OCTETS};
use crate::table::{self, compare_folded};
use crate::{Element, ElementId};

/// Elements by number and by name.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// In order of arrival; never more than [`MAX_ADDED_ELEMENTS`].
    added: Vec<AddedElement>,
    /// Places in `added`, sorted by element number.
    by_id: Vec<u16>,
    /// Places in `added`, sorted by folded name, then files before the wire, then number.
    by_name: Vec<u16>,
    counters: RegistryCounters,
}

#[derive(Clone, Debug)]
struct AddedElement {
    element: Element,
    origin: Origin,
}

/// Who defined an element that is not builtin. The order is the precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    File,
    Wire,
}

/// What [`Registry::add`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// The element was not known before.
    New,
    /// The same definition was there already.
    Unchanged,
    /// An earlier type record gave another definition; the new one holds now.
    Replaced,
    /// The builtin or the user's definition stays. It may differ from the one offered.
    Kept,
}

/// Why [`Registry::add`] refused an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// [`MAX_ADDED_ELEMENTS`] are there already.
    #[error("the registry is full ({MAX_ADDED_ELEMENTS} added elements)")]
    Full,
    /// Element numbers have 15 bits; RFC 5610 types no element of IANA's own registry, and number 0 is reserved.
    #[error("element {0} is not a number that can be defined at run time")]
    Number(ElementId),
}

/// What happened to the elements offered at run time since the registry was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistryCounters {
    /// Elements added as new.
    pub added: u64,
    /// Offers equal to the definition held.
    pub unchanged: u64,
    /// Definitions from the wire replaced by a later one.
    pub replaced: u64,
    /// Offers that lost against a builtin or a user's definition.
    pub kept: u64,
    /// Offers refused because the registry is full.
    pub refused_full: u64,
    /// Offers refused for their number.
    pub refused_number: u64,
    /// Names from the wire that had to be shortened or cleaned.
    pub names_changed: u64,
}

impl Registry {
    /// The builtin tables alone: IANA's, the vendors', our own, and the reverse elements.
    pub fn builtin() -> &'static Registry {
        static BUILTIN: Registry = Registry::new();
        &BUILTIN
    }

    /// The builtin tables with room for elements added at run time.
    pub const fn new() -> Registry {
        Registry {
            added: Vec::new(),
            by_id: Vec::new(),
            by_name: Vec::new(),
            counters: RegistryCounters {
                added: 0,
                unchanged: 0,
                replaced: 0,
                kept: 0,
                refused_full: 0,
                refused_number: 0,
                names_changed: 0,
            },
        }
    }

    /// The element with that number.
    pub fn element(&self, id: ElementId) -> Option<&Element> {
        table::element(id).or_else(|| self.find(id).map(|found| &found.element))
    }

    /// The element with that name: the exact name first, then without regard to ASCII case.
    ///
    /// Vendors share names. The order is: IANA, the reverse elements of IANA (29305), our own (32473), then
    /// the lowest enterprise number, then the lowest element number. Builtin names and names of a user's file
    /// are found before any name from the wire, in whatever case that one is written, so that a type record
    /// can never take over a name that filters use.
    pub fn by_name(&self, name: &str) -> Option<&Element> {
        let (exact, folded) = table::by_name(name);
        if exact.is_some() || self.added.is_empty() {
            return exact.or(folded);
        }
        let added = self.same_name(name);
        let best = |origin: Origin, exactly: bool| {
            let mut candidates = added.iter().filter_map(|&slot| self.at(slot));
            candidates
                .find(|a| a.origin == origin && (!exactly || a.element.name == name))
                .map(|a| &a.element)
        };
        best(Origin::File, true)
            .or(folded)
            .or_else(|| best(Origin::File, false))
            .or_else(|| best(Origin::Wire, true))
            .or_else(|| best(Origin::Wire, false))
    }

    /// Every element: the builtin ones by enterprise and number, then those added, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = &Element> {
        table::ELEMENTS.iter().chain(self.added.iter().map(|a| &a.element))
    }

    /// Takes a definition from the wire (RFC 5610). A builtin definition and a user's win; a later record from
    /// the wire replaces an earlier one.
    ///
    /// The name is cleaned: letters, digits, `_`, `-` and `.` stay, everything else becomes `_`, it is cut at
    /// [`MAX_NAME_OCTETS`] and never starts with a digit (`9.77` is how an unknown element is called).
    ///
    /// # Errors
    /// [`AddError::Full`] at [`MAX_ADDED_ELEMENTS`], [`AddError::Number`] for number 0, numbers above 32767,
    /// IANA's elements and reverse elements, which are not for others to define.
    pub fn add(&mut self, mut element: Element) -> Result<Added, AddError> {
        let id = element.id;
        if table::element(id).is_some() {
            self.counters.kept += 1;
            return Ok(Added::Kept);
        }
        if id.pen == 0 || id.pen == crate::REVERSE_PEN {
            self.counters.refused_number += 1;
            return Err(AddError::Number(id));
        }
        if let Some(clean) = clean_name(&element.name, id) {
            element.name = clean.into();
            self.counters.names_changed += 1;
        }
        self.insert(element, Origin::Wire)
    }

    /// What happened to the elements offered at run time.
    pub fn counters(&self) -> &RegistryCounters {
        &self.counters
    }

    pub(crate) fn insert(&mut self, element: Element, origin: Origin) -> Result<Added, AddError> {
        let id = element.id;
        if id.id == 0 || id.id > 0x7fff {
            self.counters.refused_number += 1;
            return Err(AddError::Number(id));
        }
        if table::element(id).is_some() {
            self.counters.kept += 1;
            return Ok(Added::Kept);
        }
        match self.place(id) {
            Ok(at) => Ok(self.replace(at, element, origin)),
            Err(at) => {
                let place = self.added.len();
                let Ok(slot) = u16::try_from(place) else {
                    self.counters.refused_full += 1;
                    return Err(AddError::Full);
                };
                if place >= MAX_ADDED_ELEMENTS {
                    self.counters.refused_full += 1;
                    return Err(AddError::Full);
                }
                let added = AddedElement { element, origin };
                let name_at = self.name_place(&added);
                self.added.push(added);
                self.by_id.insert(at, slot);
                self.by_name.insert(name_at, slot);
                self.counters.added += 1;
                Ok(Added::New)
            }
        }
    }

    fn replace(&mut self, at: usize, element: Element, origin: Origin) -> Added {
        let Some(&slot) = self.by_id.get(at) else {
            return Added::Kept;
        };
        let Some(held) = self.added.get_mut(usize::from(slot)) else {
            return Added::Kept;
        };
        if held.element == element && held.origin <= origin {
            self.counters.unchanged += 1;
            return Added::Unchanged;
        }
        if held.origin < origin {
            self.counters.kept += 1;
            return Added::Kept;
        }
        *held = AddedElement { element, origin };
        let added = held.clone();
        self.by_name.retain(|&s| s != slot);
        let name_at = self.name_place(&added);
        self.by_name.insert(name_at, slot);
        self.counters.replaced += 1;
        Added::Replaced
    }

    fn at(&self, slot: u16) -> Option<&AddedElement> {
        self.added.get(usize::from(slot))
    }

    fn place(&self, id: ElementId) -> Result<usize, usize> {
        self.by_id
            .binary_search_by(|&slot| self.at(slot).map_or(Ordering::Greater, |a| a.element.id.cmp(&id)))
    }

    fn find(&self, id: ElementId) -> Option<&AddedElement> {
        self.at(*self.by_id.get(self.place(id).ok()?)?)
    }

    fn name_place(&self, new: &AddedElement) -> usize {
        self.by_name.partition_point(|&slot| {
            self.at(slot).is_some_and(|held| {
                compare_folded(&held.element.name, &new.element.name)
                    .then(held.origin.cmp(&new.origin))
                    .then(held.element.id.cmp(&new.element.id))
                    .is_lt()
            })
        })
    }

    /// The slots of the elements added under that name, without regard to case.
    fn same_name(&self, name: &str) -> &[u16] {
        let order = |slot: u16| {
            self.at(slot)
                .map_or(Ordering::Greater, |a| compare_folded(&a.element.name, name))
        };
        let start = self.by_name.partition_point(|&slot| order(slot).is_lt());
        let end = self.by_name.partition_point(|&slot| order(slot).is_le());
        self.by_name.get(start..end).unwrap_or(&[])
    }
}

/// The name fit for display and for filters, or `None` when it is already.
fn clean_name(name: &str, id: ElementId) -> Option<String> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let starts_well = name.chars().next().is_some_and(|c| !c.is_numeric());
    if starts_well && name.len() <= MAX_NAME_OCTETS && name.chars().all(allowed) {
        return None;
    }
    if name.is_empty() {
        return Some(id.to_string());
    }
    let mut clean = String::new();
    if !starts_well {
        clean.push('_');
    }
    for c in name.chars() {
        let c = if allowed(c) { c } else { '_' };
        if clean.len() + c.len_utf8() > MAX_NAME_OCTETS {
            break;
        }
        clean.push(c);
    }
    Some(clean)
}
