//! An array that grows in place, up to a length known at the start.
//!
//! Address space for all of it is reserved at once and memory comes with first use, so that an idle table takes none,
//! a full one what its flows take, and growing copies nothing. A `Vec` of cache-line aligned items is copied each time
//! it doubles and then owns up to twice what it holds: measured on DNS lookups (a million packets), that copying and the
//! page faults of it were a quarter of the time of reading and metering.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Items 0 to `len - 1` in memory that never moves; on a system that grants no address space, in a `Vec` that may.
#[derive(Debug)]
pub(super) struct Slab<T: Copy> {
    items: NonNull<T>,
    len: usize,
    /// Items that the memory at `items` has room for.
    room: usize,
    /// Octets of the reservation; 0 without one.
    reserved: usize,
    heap: Vec<T>,
}

// SAFETY: a slab owns its items, like a `Vec`.
unsafe impl<T: Copy + Send> Send for Slab<T> {}

impl<T: Copy> Slab<T> {
    /// An empty slab of at most `most` items.
    pub fn new(most: usize) -> Slab<T> {
        let mut slab = Slab {
            items: NonNull::dangling(),
            len: 0,
            room: 0,
            reserved: 0,
            heap: Vec::new(),
        };
        if let Some((items, octets)) = most.checked_mul(size_of::<T>()).and_then(reserve) {
            slab.items = items.cast();
            slab.room = most;
            slab.reserved = octets;
        }
        slab
    }

    /// Adds an item and says where it is.
    #[inline]
    pub fn push(&mut self, item: T) -> u32 {
        if self.len == self.room {
            self.grow();
        }
        // SAFETY: `len < room`, so the place is within the memory at `items`, and no reference to it exists.
        unsafe { self.items.add(self.len).write(item) };
        self.len += 1;
        (self.len - 1) as u32
    }

    #[cold]
    fn grow(&mut self) {
        let mut larger = Vec::with_capacity((self.len * 2).max(64));
        larger.extend_from_slice(self);
        self.release();
        self.room = larger.capacity();
        self.items = NonNull::new(larger.as_mut_ptr()).unwrap_or(NonNull::dangling());
        self.heap = larger;
    }

    fn release(&mut self) {
        #[cfg(unix)]
        if self.reserved > 0 {
            // SAFETY: the mapping is ours, and nothing borrows from it while `self` is borrowed mutably.
            unsafe { libc::munmap(self.items.as_ptr().cast(), self.reserved) };
        }
        self.reserved = 0;
    }

    /// Where an item is in memory, for fetching it ahead; any place gives an address.
    #[inline(always)]
    pub fn address(&self, place: u32) -> *const T {
        self.items.as_ptr().wrapping_add(place as usize)
    }
}

impl<T: Copy> Deref for Slab<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` items were written by `push`, and `items` is aligned: pages are, and so is a `Vec`.
        unsafe { std::slice::from_raw_parts(self.items.as_ptr(), self.len) }
    }
}

impl<T: Copy> DerefMut for Slab<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.items.as_ptr(), self.len) }
    }
}

impl<T: Copy> Drop for Slab<T> {
    fn drop(&mut self) {
        self.release();
    }
}

/// Address space without memory.
#[cfg(unix)]
fn reserve(octets: usize) -> Option<(NonNull<u8>, usize)> {
    if octets == 0 {
        return None;
    }
    // SAFETY: a new private mapping touches nothing that exists.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            octets,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return None;
    }
    take_large_pages(start, octets);
    NonNull::new(start.cast()).map(|start| (start, octets))
}

/// Asks for large pages behind the first 2 to 4 MB, so that a small table takes no more than it needs. Measured on port
/// scans: a tenth of the time of reading and metering, as flows are all over the table and small pages are soon too many
/// for the processor to remember.
#[cfg(target_os = "linux")]
fn take_large_pages(start: *mut libc::c_void, octets: usize) {
    const LARGE_PAGE: usize = 2 << 20;
    let behind = LARGE_PAGE + (start as usize).next_multiple_of(LARGE_PAGE) - start as usize;
    if let Some(octets) = octets.checked_sub(behind).filter(|octets| *octets >= LARGE_PAGE) {
        // SAFETY: advice on a part of the mapping; what it holds stays the same. Where it is refused, nothing changes.
        unsafe { libc::madvise(start.wrapping_byte_add(behind), octets, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn take_large_pages(_: *mut libc::c_void, _: usize) {}

#[cfg(not(unix))]
fn reserve(_: usize) -> Option<(NonNull<u8>, usize)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An alignment beyond what allocators give unasked.
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(128))]
    struct Item(u64);

    fn holds(mut slab: Slab<Item>, items: u64) {
        for number in 0..items {
            assert_eq!(slab.push(Item(number)), number as u32);
        }
        assert_eq!(slab.len() as u64, items);
        assert!(slab.iter().zip(0..).all(|(item, number)| *item == Item(number)));
        assert_eq!(slab.as_ptr() as usize % 128, 0);
        slab[7].0 = 99;
        assert_eq!(slab[7], Item(99));
    }

    #[test]
    fn keeps_items_in_reserved_memory_and_beyond_it() {
        holds(Slab::new(10_000), 10_000);
        holds(Slab::new(100), 10_000);
        holds(Slab::new(0), 10_000);
    }

    #[test]
    fn takes_no_memory_for_what_is_not_used() {
        // 128 GiB of address space.
        let mut slab = Slab::new(1 << 30);
        let first = slab.as_ptr();
        for number in 0..1000 {
            slab.push(Item(number));
        }
        assert_eq!(slab.as_ptr(), first);
    }
}
