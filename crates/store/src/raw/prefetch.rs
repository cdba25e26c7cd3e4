//! Telling the processor early which cache lines will be read: part of the unsafe module.

use std::ptr;

/// Asks the processor to load the cache line of something that will be read soon.
#[inline]
pub(crate) fn prefetch<T>(target: &T) {
    prefetch_line(ptr::from_ref(target).cast());
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
