//! Telling the processor early which cache lines will be read: part of the unsafe module.

use std::ptr;

/// The size of a cache line.
const LINE_BYTES: usize = 64;

/// Asks the processor to load the cache line of something that will be read soon.
#[inline]
pub(crate) fn prefetch<T>(target: &T) {
    prefetch_line(ptr::from_ref(target).cast());
}

/// Asks the processor to load all of something that will be read soon.
#[inline]
pub fn prefetch_all<T>(target: &T) {
    let first: *const u8 = ptr::from_ref(target).cast();
    for line in 0..size_of::<T>().div_ceil(LINE_BYTES) {
        prefetch_line(first.wrapping_add(line * LINE_BYTES));
    }
}

/// Asks the processor to load the cache line where a buffer will be written next, and the one after it.
#[inline]
pub fn prefetch_end<T>(buffer: &[T]) {
    let end: *const u8 = buffer.as_ptr_range().end.cast();
    prefetch_line(end);
    prefetch_line(end.wrapping_add(LINE_BYTES));
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub(super) fn prefetch_line(line: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint: it never faults and changes no memory, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
#[inline]
pub(super) fn prefetch_line(line: *const u8) {
    // SAFETY: as on x86-64: a hint that never faults.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{line}]", line = in(reg) line, options(nostack, readonly, preserves_flags));
    }
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[inline]
pub(super) fn prefetch_line(_line: *const u8) {}
