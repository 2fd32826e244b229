//! Large memory in huge pages.
//!
//! Columns of a million words come fresh from the system for each step of a program, and the kernel clears and maps
//! them at their first touch, 4 KiB at a time: half of the time of a product that is only recorded. A binary that
//! installs [`HugePages`] asks for pages of 2 MiB where an allocation is large. Nothing else changes: memory comes
//! from the system's allocator, goes back to it, and what the kernel refuses is left as it was.
//!
//! The next step frees and takes as much again. So that its pages are not cleared once more, glibc is told, at the first
//! large allocation, to keep freed memory up to a bound, where by itself it would find out size by size, and to
//! take columns from there.
//!
//! This file is `unsafe` because an allocator is: it hands each call to [`System`] as it came, gives the kernel a
//! hint about addresses, which reads and writes nothing, and sets two bounds of glibc's.

use std::alloc::{GlobalAlloc, Layout, System};

/// Allocations from this size on are worth a call to the kernel.
const BYTES_MIN: usize = 1 << 18;

/// Free memory at the end of a heap that is not given back to the kernel.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: libc::c_int = 1 << 27;

/// Allocations from this size on are mappings of their own, which are given back at once: the largest bound that glibc takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: libc::c_int = 1 << 25;

/// The system's allocator with large allocations in huge pages, on Linux where transparent huge pages are set to
/// `madvise` or `always`; elsewhere the system's allocator.
///
/// For binaries: `#[global_allocator] static MEMORY: HugePages = HugePages;`
pub struct HugePages;

// SAFETY: every call goes to `System` with the arguments that came, and its answer comes back unchanged.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is that of `System`.
        advised(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the same.
        advised(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the same; memory of this allocator is memory of `System`.
        advised(unsafe { System.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the same.
        unsafe { System.dealloc(old, layout) }
    }
}

/// The same address.
#[inline]
fn advised(start: *mut u8, size: usize) -> *mut u8 {
    if size >= BYTES_MIN && !start.is_null() {
        advise(start as usize, size);
    }
    start
}

#[cfg(target_os = "linux")]
#[cold]
fn advise(start: usize, size: usize) {
    /// A huge page of most machines; where it is another size, the kernel takes its own.
    const HUGE_BYTES: usize = 1 << 21;
    // Whole huge pages that the allocation touches: what lies beside it is of the same heap, or not mapped.
    let from = start & !(HUGE_BYTES - 1);
    let until = start.saturating_add(size).next_multiple_of(HUGE_BYTES);
    keep_freed();
    // SAFETY: a hint, which changes no memory's content and no mapping's rights; failing is without consequence.
    unsafe { libc::madvise(from as *mut libc::c_void, until - from, libc::MADV_HUGEPAGE) };
}

/// Sets the bounds of glibc's allocator, once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static IS_SET: AtomicBool = AtomicBool::new(false);
    if !IS_SET.swap(true, Ordering::Relaxed) {
        // SAFETY: bounds of when memory goes back, which any thread may set at any time.
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        }
    }
}

#[cfg(all(target_os = "linux", not(target_env = "gnu")))]
fn keep_freed() {}

#[cfg(not(target_os = "linux"))]
fn advise(_: usize, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some bytes of an allocation, by address.
    fn bytes(start: *mut u8, places: &[usize]) -> Vec<u8> {
        // SAFETY: the tests ask for places within the allocation only.
        places.iter().map(|place| unsafe { start.add(*place).read() }).collect()
    }

    #[test]
    fn memory_is_zero_where_asked_for_and_survives_growing_and_shrinking() {
        for size in [1, 4096, BYTES_MIN - 1, BYTES_MIN, 5 << 20] {
            let layout = |size| Layout::from_size_align(size, 64).unwrap_or_else(|_| unreachable!());
            let places = [0, size / 2, size - 1];
            // SAFETY: each block is written within its size and freed with the layout that it has by then.
            unsafe {
                let start = HugePages.alloc_zeroed(layout(size));
                assert_eq!(bytes(start, &places), [0; 3]);
                places.iter().for_each(|place| start.add(*place).write(7));
                let grown = HugePages.realloc(start, layout(size), 3 * size);
                assert_eq!(bytes(grown, &places), [7; 3]);
                let shrunk = HugePages.realloc(grown, layout(3 * size), size.div_ceil(2));
                assert_eq!(bytes(shrunk, &places[..1]), [7]);
                HugePages.dealloc(shrunk, layout(size.div_ceil(2)));
            }
        }
    }

    /// In a heap, behind what was taken before it, or where that was: not in a mapping of its own.
    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn a_column_that_was_freed_is_used_again() {
        let layout = Layout::from_size_align(8 << 20, 8).unwrap_or_else(|_| unreachable!());
        // SAFETY: each block is freed once, with its layout; a freed one is not looked at.
        let (first, again) = unsafe {
            let small = HugePages.alloc(layout);
            HugePages.dealloc(small, layout);
            let first = HugePages.alloc(layout);
            first.write(7);
            HugePages.dealloc(first, layout);
            let again = HugePages.alloc(layout);
            let at = (first as usize, again as usize);
            HugePages.dealloc(again, layout);
            at
        };
        assert_eq!(first, again);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_hears_of_large_memory() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            println!("SKIPPED: this kernel has no transparent huge pages");
            return;
        }
        // More than the system's allocator keeps for itself: a mapping of its own.
        let size = 64 << 20;
        let layout = Layout::from_size_align(size, 8).unwrap_or_else(|_| unreachable!());
        // SAFETY: freed with the layout that it was allocated with, and not read.
        let (middle, maps) = unsafe {
            let start = HugePages.alloc(layout);
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
            HugePages.dealloc(start, layout);
            (start as usize + size / 2, maps)
        };
        let mut is_here = false;
        let is_marked = maps.lines().any(|line| {
            let ends = line.split(' ').next().and_then(|range| range.split_once('-'));
            let ends = ends.map(|(a, b)| (usize::from_str_radix(a, 16), usize::from_str_radix(b, 16)));
            if let Some((Ok(from), Ok(until))) = ends {
                is_here = (from..until).contains(&middle);
            }
            is_here && line.starts_with("VmFlags:") && line.contains(" hg")
        });
        assert!(is_marked);
    }
}
