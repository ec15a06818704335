// Counts words with the collections of the standard library, on the allocator that a feature chooses.
use std::collections::{BTreeMap, HashMap};

#[cfg(all(feature = "talc", not(feature = "talc-wasm")))]
mod chosen {
    #[global_allocator]
    static ALLOCATOR: talc::Talck<talc::locking::AssumeUnlockable, talc::ClaimOnOom> = {
        static mut MEMORY: [u8; 0x40000] = [0; 0x40000];
        let span = talc::Span::from_const_array(unsafe { std::ptr::addr_of!(MEMORY) });
        talc::Talc::new(unsafe { talc::ClaimOnOom::new(span) }).lock()
    };
}

#[cfg(feature = "talc-wasm")]
mod chosen {
    #[global_allocator]
    static ALLOCATOR: talc::TalckWasm = unsafe { talc::TalckWasm::new_global() };
}

#[cfg(feature = "wee_alloc")]
mod chosen {
    #[global_allocator]
    static ALLOCATOR: wee_alloc::WeeAlloc = wee_alloc::WeeAlloc::INIT;
}

#[cfg(feature = "dlmalloc")]
mod chosen {
    #[global_allocator]
    static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
}

#[cfg(feature = "lol_alloc")]
mod chosen {
    use lol_alloc::{AssumeSingleThreaded, FreeListAllocator};
    #[global_allocator]
    static ALLOCATOR: AssumeSingleThreaded<FreeListAllocator> =
        unsafe { AssumeSingleThreaded::new(FreeListAllocator::new()) };
}

pub struct Index {
    places: HashMap<String, Vec<u32>>,
    order: BTreeMap<u32, String>,
}

#[no_mangle]
pub extern "C" fn index_new() -> *mut Index {
    Box::into_raw(Box::new(Index { places: HashMap::new(), order: BTreeMap::new() }))
}

#[no_mangle]
pub unsafe extern "C" fn index_add(index: *mut Index, word: *const u8, length: usize, place: u32) {
    let word = String::from_utf8_lossy(std::slice::from_raw_parts(word, length)).into_owned();
    let index = &mut *index;
    index.order.insert(place, word.clone());
    index.places.entry(word).or_default().push(place);
}

#[no_mangle]
pub unsafe extern "C" fn index_text(index: *const Index) -> *mut String {
    let mut text = String::new();
    for (place, word) in &(*index).order {
        text.push_str(&format!("{place}: {word}, {:?}\n", (*index).places.get(word)));
    }
    Box::into_raw(Box::new(text))
}

#[no_mangle]
pub unsafe extern "C" fn text_free(text: *mut String) {
    drop(Box::from_raw(text));
}

#[no_mangle]
pub unsafe extern "C" fn index_free(index: *mut Index) {
    drop(Box::from_raw(index));
}

#[no_mangle]
pub extern "C" fn bytes_new(size: usize) -> *mut u8 {
    let mut bytes = vec![0u8; size].into_boxed_slice();
    let address = bytes.as_mut_ptr();
    std::mem::forget(bytes);
    address
}

#[no_mangle]
pub unsafe extern "C" fn bytes_free(bytes: *mut u8, size: usize) {
    drop(Vec::from_raw_parts(bytes, size, size));
}
