// Notes, kept by number. `notes_forget` is what JavaScript has to call for those that it no longer needs.

pub struct Note {
    title: String,
    words: Vec<String>,
}

impl Note {
    fn parse(text: &str) -> Note {
        let (title, body) = text.split_once('\n').unwrap_or((text, ""));
        let mut words = Vec::new();
        for word in body.split(' ') {
            words.push(word.to_string());
        }
        Note { title: title.to_string(), words }
    }
}

#[no_mangle]
pub extern "C" fn text_new(length: usize) -> *mut u8 {
    Box::into_raw(vec![0u8; length].into_boxed_slice()) as *mut u8
}

/// Takes the text over.
#[no_mangle]
pub unsafe extern "C" fn note_new(text: *mut u8, length: usize) -> *mut Note {
    let text = String::from_raw_parts(text, length, length);
    Box::into_raw(Box::new(Note::parse(&text)))
}

#[no_mangle]
pub unsafe extern "C" fn note_length(note: *const Note) -> usize {
    let note = &*note;
    note.title.len() + note.words.iter().map(|word| word.len() + 1).sum::<usize>()
}

#[no_mangle]
pub unsafe extern "C" fn note_free(note: *mut Note) {
    drop(Box::from_raw(note));
}
