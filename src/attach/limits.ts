/** Every bound and budget of what runs inside the program. Times in milliseconds, sizes in bytes. */

/** Frames of a stack that are kept; what lies further out is cut. */
export const maximumStackFrames = 128;

/** Frames in which an entry that is nested in another one is looked for first. */
export const nearFrames = 16;

/** Of what started a callback, what started that, and so on: so many stacks are kept. */
export const maximumCauses = 4;

/** Connections that were opened and not yet read from, of which it is kept who opened them. */
export const maximumOpeningConnections = 1024;

/** After so many captures of those that nobody wanted to know there is only one in so many milliseconds. */
export const unwantedConnections = 64;
export const unwantedConnectionPause = 100;

/** Milliseconds that captures of JavaScript callers may take before the share of the run time counts. */
export const captureCredit = 500;

/**
 * Share of the elapsed run time that captures of JavaScript callers may take beyond the credit. What a program feels of
 * a capture is several times what it takes: the collector clears up behind it, and caches fill anew.
 */
export const captureShare = 0.005;

/**
 * Milliseconds that captures of calling contexts may take, and the share of the elapsed run time beyond. A context whose
 * turn comes too late is captured in one of its later allocations, or never.
 */
export const contextCredit = 500;
export const contextShare = 0.02;

/**
 * After so many captures in one memory that told nothing new (no pair of context and caller, no more live than ever) each
 * further one is charged as so many, once so many milliseconds of the credit are spent; half of it is kept for what is
 * new. Each time that there is news so many more come before that: a leak makes more live than ever again and again, and a
 * program in its stride has a rare caller now and then.
 */
export const capturesWithoutNews = 64;
export const capturesAfterNews = 8;
export const repeatedCapturePrice = 8;
export const carefreeCredit = captureCredit / 8;

/** Snapshots are taken this often unless an option says otherwise. */
export const defaultSnapshotInterval = 1000;

/** Growth of one memory is recorded with its stack this often; later growth is only noticed at snapshots. */
export const maximumGrowStacks = 10_000;

/** Distinct code positions whose frames are remembered; the memory of them starts afresh beyond. */
export const maximumSites = 200_000;

/** Instrumented bytes kept for a module that may be compiled again. */
export const maximumCachedBytes = 64 * 1024 * 1024;

/** Modules whose instrumented bytes are kept. */
export const maximumCachedModules = 64;

/** Records that wait for the first instance with a memory; a program that makes none writes no profile. */
export const maximumPendingRecords = 10_000;

/** Frames and stacks that wait for a record that refers to them; of more none wait. */
export const maximumHeldRecords = 256;

/** JavaScript callers of one memory: their numbers have 24 bits in the recorder. */
export const maximumCallers = 0xff_fffe;

/** Live blocks of one memory that are written at the end; of more none are. */
export const maximumBlocks = 1 << 22;

/** Bytes between the blocks of a checked program, and of freed ones that are kept, unless options say otherwise. */
export const defaultRedzone = 16;
export const defaultQuarantine = 1024 * 1024;

/** Memory errors of one memory that are told apart; of further ones nothing is said. */
export const maximumMemoryErrors = 1000;

/** Words that a thread looks at, at its end, for what leads to its live blocks; addresses of blocks count as several. */
export const reachabilityWork = 1 << 27;

/** The first snapshots come this long after each other; then a share of the elapsed time, up to the interval. */
export const firstSnapshotInterval = 10;
export const snapshotGrowth = 1 / 32;

/** A snapshot waits for so many times as long as the one before it took. */
export const snapshotPause = 50;

/** Initial data of a module that is kept, to tell what changed; of a module with more none is. */
export const maximumInitialData = 8 * 1024 * 1024;
