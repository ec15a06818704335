// A library in Rust without bindings: text and structs come in as addresses, a struct goes out as one.
use std::alloc::{alloc, dealloc, Layout};

#[repr(C)]
pub struct Options {
    /// Shorter words don't count.
    min_length: u32,
    ignore_case: bool,
}

#[repr(C)]
pub struct Stats {
    words: u32,
    different: u32,
    longest: u32,
    average_length: f64,
}

/// Returns a new `Stats`, which the caller releases.
#[no_mangle]
pub unsafe extern "C" fn analyze(text: *const u8, length: usize, options: *const Options) -> *mut Stats {
    let text = std::str::from_utf8(std::slice::from_raw_parts(text, length)).unwrap_or("");
    let options = &*options;
    let mut words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= options.min_length.max(1) as usize)
        .map(|word| if options.ignore_case { word.to_lowercase() } else { word.to_string() })
        .collect();
    let count = words.len() as u32;
    let total: usize = words.iter().map(|word| word.chars().count()).sum();
    let longest = words.iter().map(|word| word.chars().count()).max().unwrap_or(0) as u32;
    words.sort();
    words.dedup();
    Box::into_raw(Box::new(Stats {
        words: count,
        different: words.len() as u32,
        longest,
        average_length: if count == 0 { 0.0 } else { total as f64 / count as f64 },
    }))
}

/// Memory for arguments, and for nothing else: null when there is none.
#[no_mangle]
pub unsafe extern "C" fn allocate(size: usize, align: usize) -> *mut u8 {
    Layout::from_size_align(size.max(1), align).map_or(std::ptr::null_mut(), |layout| alloc(layout))
}

/// Takes back what `allocate` or `analyze` returned.
#[no_mangle]
pub unsafe extern "C" fn release(block: *mut u8, size: usize, align: usize) {
    dealloc(block, Layout::from_size_align_unchecked(size.max(1), align));
}
