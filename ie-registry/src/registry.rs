//! The registry that everyone looks elements up in: the builtin tables and what a file or the wire added.
//!
//! A builtin definition always wins; a user's file wins over type records from the wire (RFC 5610).

use std::cmp::Ordering;

use crate::element::NETFLOW9_PEN;
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
    /// Element numbers have 15 bits and number 0 is reserved.
    #[error("element {0} has no number from 1 to 32767")]
    Number(ElementId),
    /// Semantics that make no sense for the type ("MUST be ignored by Collecting Processes", RFC 5610 section 3.10).
    #[error("element {0} combines a type and semantics that RFC 5610 forbids")]
    Semantics(ElementId),
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
    /// Offers refused for semantics that do not go with the type.
    pub refused_semantics: u64,
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
                refused_semantics: 0,
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
    /// [`MAX_NAME_OCTETS`] and never starts with a digit (`9.77` is how an unknown element is called). A name
    /// that is empty or holds U+0000 is not used at all (RFC 5610 section 4): the element is called `PEN.ID`.
    ///
    /// # Errors
    /// [`AddError::Full`] at [`MAX_ADDED_ELEMENTS`], [`AddError::Number`] for a number that no element can have,
    /// [`AddError::Semantics`] for a combination that RFC 5610 forbids. Each moves a counter.
    pub fn add(&mut self, mut element: Element) -> Result<Added, AddError> {
        if table::element(element.id).is_none() && !element.semantics.suits(element.data_type) {
            self.counters.refused_semantics += 1;
            return Err(AddError::Semantics(element.id));
        }
        let clean = clean_name(&element.name, element.id);
        let changed = clean.is_some();
        if let Some(clean) = clean {
            element.name = clean.into();
        }
        let added = self.insert(element, Origin::Wire)?;
        if changed && matches!(added, Added::New | Added::Replaced) {
            self.counters.names_changed += 1;
        }
        Ok(added)
    }

    /// What happened to the elements offered at run time.
    pub fn counters(&self) -> &RegistryCounters {
        &self.counters
    }

    pub(crate) fn insert(&mut self, element: Element, origin: Origin) -> Result<Added, AddError> {
        let id = element.id;
        if table::element(id).is_some() {
            self.counters.kept += 1;
            return Ok(Added::Kept);
        }
        if id.id == 0 || id.id > 0x7fff || id.pen == NETFLOW9_PEN {
            self.counters.refused_number += 1;
            return Err(AddError::Number(id));
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
    if name.is_empty() || name.contains('\0') {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataType, Semantics, ids};

    fn element(pen: u32, id: u16, name: &str) -> Element {
        Element::new(ElementId::new(pen, id), name.to_owned(), DataType::Unsigned32)
    }

    fn found(registry: &Registry, name: &str) -> Option<ElementId> {
        registry.by_name(name).map(|e| e.id)
    }

    #[test]
    fn an_element_from_the_wire_is_found_and_counted() {
        let mut registry = Registry::new();
        let new = element(4711, 7, "queueDepth");
        assert_eq!(registry.add(new.clone()), Ok(Added::New));
        assert_eq!(registry.add(new.clone()), Ok(Added::Unchanged));
        assert_eq!(registry.element(new.id), Some(&new));
        assert_eq!(found(&registry, "queueDepth"), Some(new.id));
        assert_eq!(found(&registry, "QUEUEdepth"), Some(new.id));
        assert_eq!(registry.iter().last(), Some(&new));

        let other = Element {
            data_type: DataType::Unsigned64,
            name: "queueLength".into(),
            ..new
        };
        assert_eq!(registry.add(other.clone()), Ok(Added::Replaced));
        assert_eq!(registry.element(other.id), Some(&other));
        assert_eq!(found(&registry, "queueDepth"), None);
        assert_eq!(found(&registry, "queueLength"), Some(other.id));
        let counters = RegistryCounters {
            added: 1,
            unchanged: 1,
            replaced: 1,
            ..Default::default()
        };
        assert_eq!(registry.counters(), &counters);
        assert_eq!(Registry::builtin().element(other.id), None);
    }

    #[test]
    fn builtin_definitions_and_names_cannot_be_taken_over() {
        let mut registry = Registry::new();
        let builtin = registry.element(ids::OCTET_DELTA_COUNT).unwrap().clone();
        let wrong = Element {
            name: "other".into(),
            data_type: DataType::String,
            ..builtin.clone()
        };
        assert_eq!(registry.add(wrong), Ok(Added::Kept));
        assert_eq!(registry.element(ids::OCTET_DELTA_COUNT), Some(&builtin));
        assert_eq!(found(&registry, "other"), None);

        registry.add(element(1, 1, "octetDeltaCount")).unwrap();
        registry.add(element(1, 2, "OCTETDELTACOUNT")).unwrap();
        for name in ["octetDeltaCount", "OCTETDELTACOUNT", "octetdeltacount"] {
            assert_eq!(found(&registry, name), Some(ids::OCTET_DELTA_COUNT), "{name}");
        }
        assert_eq!(registry.counters().kept, 1);
        assert_eq!(registry.counters().added, 2);
    }

    #[test]
    fn a_file_wins_over_the_wire_whichever_came_first() {
        let mut registry = Registry::new();
        registry.add(element(4711, 1, "wireName")).unwrap();
        assert_eq!(registry.load_csv("4711,1,fileName,unsigned8").unwrap(), 1);
        assert_eq!(registry.add(element(4711, 1, "wireName")), Ok(Added::Kept));
        assert_eq!(registry.element(ElementId::new(4711, 1)).unwrap().name, "fileName");
        assert_eq!(found(&registry, "wireName"), None);

        // Names: a file's, even in another case, before the wire's.
        registry.add(element(1, 1, "shared")).unwrap();
        registry.load_csv("4711,2,Shared,string").unwrap();
        assert_eq!(found(&registry, "shared"), Some(ElementId::new(4711, 2)));
        assert_eq!(registry.counters().replaced, 1);
        assert_eq!(registry.counters().kept, 1);
    }

    #[test]
    fn names_from_the_wire_are_cleaned() {
        let clean = |name: &str| {
            let mut registry = Registry::new();
            registry.add(element(9, 77, name)).unwrap();
            let changed = registry.counters().names_changed == 1;
            (
                registry.element(ElementId::new(9, 77)).unwrap().name.to_string(),
                changed,
            )
        };
        assert_eq!(clean("plain_name-1.a"), ("plain_name-1.a".to_owned(), false));
        assert_eq!(clean("Länge"), ("Länge".to_owned(), false));
        assert_eq!(clean("a b\u{1b}[31m\n"), ("a_b__31m_".to_owned(), true));
        assert_eq!(clean("1.2"), ("_1.2".to_owned(), true));
        assert_eq!(clean(""), ("9.77".to_owned(), true));
        assert_eq!(clean("a\0b"), ("9.77".to_owned(), true));
        let (long, changed) = clean(&"ä".repeat(500));
        assert!(changed && long.len() == MAX_NAME_OCTETS - 1 && long.chars().all(|c| c == 'ä'));
    }

    #[test]
    fn what_cannot_be_defined_is_refused_and_counted() {
        let mut registry = Registry::new();
        for id in [
            ElementId::new(4711, 0),
            ElementId::new(4711, 0x8000),
            ElementId::new(NETFLOW9_PEN, 5),
        ] {
            let refused = registry.add(Element::new(id, "x", DataType::String));
            assert_eq!(refused, Err(AddError::Number(id)));
        }
        let mut flags = element(4711, 1, "x");
        flags.data_type = DataType::String;
        flags.semantics = Semantics::Flags;
        assert_eq!(registry.add(flags.clone()), Err(AddError::Semantics(flags.id)));
        // A newer registry than ours may be announced ("set the privateEnterpriseNumber to 0", RFC 5610 section 3.8).
        assert_eq!(registry.add(element(0, 600, "newElement")), Ok(Added::New));
        assert_eq!(registry.counters().refused_number, 3);
        assert_eq!(registry.counters().refused_semantics, 1);
        assert_eq!(registry.counters().added, 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut registry = Registry::new();
        let mut full = 0;
        for n in 0..MAX_ADDED_ELEMENTS as u32 + 10 {
            match registry.add(element(100_000 + n, 1, &format!("e{n}"))) {
                Ok(added) => assert_eq!(added, Added::New),
                Err(error) => {
                    assert_eq!(error, AddError::Full);
                    full += 1;
                }
            }
        }
        assert_eq!(full, 10);
        assert_eq!(registry.counters().refused_full, 10);
        assert_eq!(registry.counters().added, MAX_ADDED_ELEMENTS as u64);
        assert_eq!(registry.added.len(), MAX_ADDED_ELEMENTS);
        // What is there can still be replaced.
        assert_eq!(registry.add(element(100_000, 1, "renamed")), Ok(Added::Replaced));
        assert_eq!(found(&registry, "renamed"), Some(ElementId::new(100_000, 1)));
    }

    proptest::proptest! {
        /// After any run of additions both indexes find exactly what a plain map of the last accepted holds.
        #[test]
        fn additions_equal_a_plain_map(
            steps in proptest::collection::vec((0u32..3, 1u16..6, 0u8..4, proptest::bool::ANY), 0..60),
        ) {
            use std::collections::BTreeMap;
            let mut registry = Registry::new();
            let mut plain: BTreeMap<ElementId, (bool, String)> = BTreeMap::new();
            for (pen, id, name, from_file) in steps {
                let id = ElementId::new(900_000 + pen, id);
                let name = ["alpha", "Alpha", "beta", "gamma"][usize::from(name)];
                if from_file {
                    registry.load_csv(&format!("{},{},{name},unsigned32", id.pen, id.id)).unwrap();
                    plain.insert(id, (true, name.to_owned()));
                } else {
                    registry.add(element(id.pen, id.id, name)).unwrap();
                    if plain.get(&id).is_none_or(|held| !held.0) {
                        plain.insert(id, (false, name.to_owned()));
                    }
                }
            }
            for (id, (_, name)) in &plain {
                proptest::prop_assert_eq!(&registry.element(*id).unwrap().name, name);
            }
            for name in ["alpha", "Alpha", "ALPHA", "beta", "gamma"] {
                let expected = plain
                    .iter()
                    .filter(|(_, (_, held))| held.eq_ignore_ascii_case(name))
                    .map(|(id, (file, held))| (!file, held != name, held.clone(), *id))
                    .min_by_key(|(wire, folded, _, id)| (*wire, *folded, *id));
                proptest::prop_assert_eq!(found(&registry, name), expected.map(|e| e.3), "{}", name);
            }
            let counters = registry.counters();
            proptest::prop_assert_eq!(counters.added as usize, plain.len());
        }
    }
}
