/** What the recorder asks of the host, never on a hot path. See `RecorderHost` in ../index.ts. */
@external("host", "contextSeen")
export declare function contextSeen(record: u32, hash: u64): i32;

@external("host", "captureCaller")
export declare function captureCaller(): i32;

@external("host", "isNested")
export declare function isNested(): i32;
