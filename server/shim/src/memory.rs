//! Memory that is not needed any more once a dyno runs, and would be held by two processes per dyno.

use std::ptr;

/// Returns what was only needed for setting up to the kernel: freed memory, and the pages of the program itself, which
/// are read again when they are used.
pub(crate) fn release() {
    // SAFETY: plain call of the C library.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    let (start, end) = (ptr::addr_of!(__executable_start), ptr::addr_of!(etext));
    // SAFETY: plain system call. These are pages of the executable, which nobody writes to.
    unsafe { libc::madvise(start.cast_mut().cast(), end.addr() - start.addr(), libc::MADV_DONTNEED) };
}

// The first byte of the executable in memory, and the one after its code: symbols of the linker.
unsafe extern "C" {
    static __executable_start: u8;
    static etext: u8;
}
