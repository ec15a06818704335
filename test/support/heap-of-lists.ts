// Allocators that nobody made a rule for, as text of modules.

export interface Lists {
  /** What `release` does with the address in its first parameter. */
  release: string;
  /** Bytes between the blocks of one list. */
  step?: string;
  /** What `release` takes and is given behind the address. */
  more?: { params: string; values: string };
}

/** A heap of lists, one for each power of two from 16 bytes on, and a program that uses it. */
export function heapOfListsText({
  release,
  step = "(i32.shl (i32.const 16) (local.get $class))",
  more = { params: "", values: "" },
}: Lists): string {
  return `(module
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (func $make (param $size i32) (result i32) (local $class i32) (local $list i32) (local $block i32)
      (local.set $class
        (i32.sub (i32.const 28) (i32.clz (i32.or (i32.add (local.get $size) (i32.const 7)) (i32.const 15)))))
      (local.set $list (i32.add (i32.const 2048) (i32.shl (local.get $class) (i32.const 2))))
      (local.set $block (i32.load (local.get $list)))
      (if (local.get $block)
        (then
          (i32.store (local.get $list) (i32.load (local.get $block)))
          (return (i32.add (local.get $block) (i32.const 8)))))
      (local.set $block (global.get $top))
      (global.set $top (i32.add (global.get $top) ${step}))
      (block $room
        (br_if $room (i32.le_u (global.get $top) (i32.shl (memory.size) (i32.const 16))))
        (drop (memory.grow (i32.const 4))))
      (i32.store offset=4 (local.get $block) (local.get $list))
      (i32.add (local.get $block) (i32.const 8)))
    (func $release (param $address i32) ${more.params} ${release})
    (func $hash (param $number i32) (result i32)
      (i32.and (i32.mul (local.get $number) (i32.const -1640531535)) (i32.const 65528)))
    (func $node (export "node") (result i32) (local $node i32)
      (local.set $node (call $make (i32.const 24)))
      (i32.store (local.get $node) (call $make (call $hash (i32.const 3))))
      (local.get $node))
    (func (export "drop") (param $node i32)
      (call $release (i32.load (local.get $node)) ${more.values})
      (call $release (local.get $node) ${more.values}))
    (func (export "text") (param $size i32) (result i32) (call $make (i32.add (local.get $size) (i32.const 1)))))`;
}

/** A release that is right. */
export const release = `
  (i32.store (i32.sub (local.get $address) (i32.const 8))
    (i32.load (i32.load (i32.sub (local.get $address) (i32.const 4)))))
  (i32.store (i32.load (i32.sub (local.get $address) (i32.const 4))) (i32.sub (local.get $address) (i32.const 8)))`;

/**
 * A heap of lists whose state lies at static addresses: the lists from 5000 on, the top at 5100. Both functions have the
 * address of a message for a panic, as others do.
 */
export function heapAtAddressesText({
  more = "",
  panics = "unreachable",
  message = 5300,
  grows = "(memory.grow (i32.const 4))",
}): string {
  return `(module
    (memory (export "memory") 1)
    (data (i32.const 5000) "\\00")
    (data (i32.const 5100) "\\00\\40\\00\\00")
    (data (i32.const ${message}) "too large")
    (func $panic (param $message i32) (local $at i32)
      (local.set $at (local.get $message))
      (loop $stop ${panics}))
    (func $list (param $size i32) (result i32)
      (i32.shl (i32.sub (i32.const 28) (i32.clz (i32.or (i32.add (local.get $size) (i32.const 7)) (i32.const 15)))) (i32.const 2)))
    (func $make (param $size i32) (result i32) (local $list i32) (local $block i32)
      (if (i32.gt_u (local.get $size) (i32.const 1000000)) (then (call $panic (i32.const ${message})) (call $panic (i32.const ${message + 5}))))
      (local.set $list (call $list (local.get $size)))
      (local.set $block (i32.load offset=5000 (local.get $list)))
      (if (local.get $block)
        (then
          (i32.store offset=5000 (local.get $list) (i32.load (local.get $block)))
          (return (i32.add (local.get $block) (i32.const 8)))))
      (local.set $block (i32.load (i32.const 5100)))
      (i32.store (i32.const 5100)
        (i32.add (local.get $block) (i32.shl (i32.const 16) (i32.shr_u (local.get $list) (i32.const 2)))))
      (block $room
        (br_if $room (i32.le_u (i32.load (i32.const 5100)) (i32.shl (memory.size) (i32.const 16))))
        (drop ${grows}))
      (i32.store offset=4 (local.get $block) (local.get $list))
      (i32.add (local.get $block) (i32.const 8)))
    (func $release (param $address i32) (local $block i32)
      (if (i32.gt_u (local.get $address) (i32.const 1073741823)) (then (call $panic (i32.const ${message})) (call $panic (i32.const ${message + 5}))))
      (local.set $block (i32.sub (local.get $address) (i32.const 8)))
      (i32.store (local.get $block) (i32.load offset=5000 (i32.load offset=4 (local.get $block))))
      (i32.store offset=5000 (i32.load offset=4 (local.get $block)) (local.get $block)))
    (func $node (export "node") (param $size i32) (result i32) (local $node i32)
      (if (i32.gt_u (local.get $size) (i32.const 99)) (then (call $panic (i32.const ${message})) (call $panic (i32.const ${message + 5}))))
      (local.set $node (call $make (i32.const 24)))
      (i32.store (local.get $node) (call $make (local.get $size)))
      (local.get $node))
    (func (export "drop") (param $node i32)
      (call $release (i32.load (local.get $node)))
      (call $release (local.get $node)))
    ${more})`;
}
