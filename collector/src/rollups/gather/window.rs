//! The sections of one window that is open.

use flowgauge_sketches::{List, Quantiles};

use super::super::kept::{DISTINCTS, LISTS, QUANTILES, SPREADS, SectionId, TABLES};
use super::super::section::{Counters, Distinct, Section, Spread, Table};

/// The sections of one window that is open.
#[derive(Debug)]
pub struct Window {
    pub start: i64,
    /// Of flows of which nothing is known of where their ends are.
    pub without_ends: Counters,
    pub tables: [Table; TABLES.len()],
    pub lists: [List; LISTS.len()],
    pub distincts: [Distinct; DISTINCTS.len()],
    pub quantiles: [Option<Quantiles>; QUANTILES.len()],
    pub spreads: [Spread; SPREADS.len()],
}

impl Window {
    pub fn new(start: i64) -> Window {
        Window {
            start,
            without_ends: Counters::default(),
            tables: Default::default(),
            lists: Default::default(),
            distincts: Default::default(),
            quantiles: Default::default(),
            spreads: Default::default(),
        }
    }

    pub fn sections(self) -> Vec<(SectionId, Section)> {
        let tables = TABLES.iter().zip(self.tables);
        let tables = tables.map(|(kept, table)| (SectionId::table(kept.number), Section::Table(table)));
        let lists = LISTS.iter().zip(self.lists);
        let lists = lists.map(|(kept, list)| (SectionId::list(kept.number), Section::List(list)));
        let distincts = DISTINCTS.iter().zip(self.distincts);
        let distincts = distincts.map(|(kept, held)| (SectionId::distinct(kept.number), Section::Distinct(held)));
        let quantiles = QUANTILES.iter().zip(self.quantiles);
        let quantiles =
            quantiles.filter_map(|(kept, held)| Some((SectionId::quantiles(kept.number), Section::Quantiles(held?))));
        let spreads = SPREADS.iter().zip(self.spreads);
        let spreads = spreads.map(|(kept, held)| (SectionId::spread(kept.number), Section::Spread(held)));
        let tables_and_lists = tables.chain(lists);
        tables_and_lists
            .chain(distincts)
            .chain(quantiles)
            .chain(spreads)
            .collect()
    }
}
