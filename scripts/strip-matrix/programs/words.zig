// Counts words with the collections of the standard library, on std.heap.wasm_allocator or page_allocator.
const std = @import("std");
const allocator = if (@hasDecl(std.heap, "wasm_allocator")) std.heap.wasm_allocator else std.heap.page_allocator;

const Index = struct {
    places: std.StringHashMap(u32),
};

export fn index_new() ?*Index {
    const index = allocator.create(Index) catch return null;
    index.* = .{ .places = std.StringHashMap(u32).init(allocator) };
    return index;
}

export fn index_add(index: *Index, word: [*]const u8, length: usize, place: u32) bool {
    const copy = allocator.dupe(u8, word[0..length]) catch return false;
    index.places.put(copy, place) catch return false;
    return true;
}

export fn index_free(index: *Index) void {
    index.places.deinit();
    allocator.destroy(index);
}

export fn bytes_new(size: usize) ?[*]u8 {
    const bytes = allocator.alloc(u8, size) catch return null;
    return bytes.ptr;
}

export fn bytes_grow(bytes: [*]u8, old: usize, size: usize) ?[*]u8 {
    const grown = allocator.realloc(bytes[0..old], size) catch return null;
    return grown.ptr;
}

export fn bytes_free(bytes: [*]u8, size: usize) void {
    allocator.free(bytes[0..size]);
}
