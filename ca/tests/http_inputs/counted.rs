//! Memory that this process holds and held at most, counted octet by octet: the bound of an input is one of what it makes us
//! hold, and the kernel's figures know no difference between that and what an allocator kept back.
#![allow(unsafe_code, reason = "an allocator is asked for by this trait alone; every call goes on to the system's unchanged")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counted;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn took(octets: usize) {
    MOST.fetch_max(HELD.fetch_add(octets, Relaxed) + octets, Relaxed);
}

// SAFETY: each method hands its arguments to the system's allocator and its answer back; counting touches neither.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it moves, both may be there.
        took(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Octets held above those of now, from here on.
pub struct Above(usize);

impl Above {
    pub fn now() -> Self {
        let held = HELD.load(Relaxed);
        MOST.store(held, Relaxed);
        Self(held)
    }

    pub fn at_most(&self) -> usize {
        MOST.load(Relaxed).saturating_sub(self.0)
    }
}
