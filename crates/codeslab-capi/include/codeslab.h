// Codeslab: code memory for just-in-time compilers, placed near its data, written under W^X, linked, called and freed.
//
// Made by cbindgen from crates/codeslab-capi; do not edit.
//
// What holds for every function:
//
// - It answers CODESLAB_OK or says what went wrong; then nothing is taken and nothing is changed, and codeslab_last_error has the facts.
// - A pointer is null or points to what the function's description says, which the function does not keep. Null where something is
//   needed is an error, as is a handle that is stale, of another kind, or was never given out. Nothing is undefined then.
// - It may be called from any thread. A handle that is being changed by one thread is CODESLAB_BUSY to the others.
// - It neither throws nor jumps out, whatever happens.


#ifndef CODESLAB_H
#define CODESLAB_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The version of this header: that of the library is codeslab_version().
#define CODESLAB_VERSION "0.1.0"


// A fact that is a number of bytes or a count.
#define CODESLAB_FACT_NUMBER 0

// A fact that may be negative, such as an `errno`: `number` holds it in two's complement.
#define CODESLAB_FACT_SIGNED 1

// A fact that is an address.
#define CODESLAB_FACT_ADDRESS 2

// A fact that is a text: a name, or several with commas between them.
#define CODESLAB_FACT_TEXT 3

// An object or an archive in memory: `name` is what errors call it.
#define CODESLAB_INPUT_BYTES 0

// The path `name`, of an object, an archive, a linker script or a shared library.
#define CODESLAB_INPUT_PATH 1

// An image that was linked before, which stays as long as the new one uses it.
#define CODESLAB_INPUT_IMAGE 2

// The symbols of the process are not looked up.
#define CODESLAB_LINK_WITHOUT_PROCESS 1

// Sections that nothing needs are left out.
#define CODESLAB_LINK_GC 2

// No files are read that inputs name.
#define CODESLAB_LINK_WITHOUT_FILES 4

// All functions that others can see can be replaced: see `codeslab_image_replace`.
#define CODESLAB_LINK_REPLACEABLE 8

// A block: address space in which everything reaches everything.
#define CODESLAB_PIECE_BLOCK 0

// A run of the block before it that has one protection.
#define CODESLAB_PIECE_SLAB 1

// A part of the slab before it that an allocation has.
#define CODESLAB_PIECE_SPAN 2

// Code and data within ±2 GiB of each other, as compilers make it unless they are told otherwise. On 64-bit Arm, branches span ±128 MiB.
#define CODESLAB_CODE_MODEL_SMALL 0

// ±1 MiB; 64-bit Arm only.
#define CODESLAB_CODE_MODEL_TINY 1

// Code within ±2 GiB, large data anywhere; x86-64 only.
#define CODESLAB_CODE_MODEL_MEDIUM 2

// Anything anywhere.
#define CODESLAB_CODE_MODEL_LARGE 3

// What `CODESLAB_WRITER` in the environment says, else the first writer that works.
#define CODESLAB_WRITER_DEFAULT 0

// Two views of one memory file: an executable one and a writable one elsewhere.
#define CODESLAB_WRITER_DUAL_MAPPING 1

// Code is written by calls into the memory file behind the executable view.
#define CODESLAB_WRITER_FILE_WRITE 2

// Private pages, made executable before anything on them is published.
#define CODESLAB_WRITER_PROTECT 3

// Code is written through `/proc/self/mem`.
#define CODESLAB_WRITER_SELF_MEM 4

// Private pages under a memory protection key.
#define CODESLAB_WRITER_PKEYS 5

// Memory of `MAP_JIT`, to which threads are switched for a copy (macOS).
#define CODESLAB_WRITER_MAP_JIT 6

// What is freed may be used again at once.
#define CODESLAB_QUARANTINE_OFF 0

// Freed code traps at once, but its place is not used again before its grace period ends.
#define CODESLAB_QUARANTINE_TRAPPING 1

// What is freed stays as it is until its grace period ends.
#define CODESLAB_QUARANTINE_INTACT 2

// Constants lie between the code, on executable pages.
#define CODESLAB_CONSTANTS_WITH_CODE 1

// Nothing else can write or map what is code once the memory has it.
#define CODESLAB_SEALED 2

// Code in flight is written in its place, through a view of the whole block: saves a copy, and hardens less.
#define CODESLAB_NOT_HARDENED 4

// Pages without access lie between code, constants and data, and at the ends of blocks.
#define CODESLAB_GUARD_PAGES 8

// Indirect branches arrive at landing pads only, where processor and system enforce that (64-bit Arm's BTI); code has to have them then. The
// flags of a memory's configuration say whether it came to that.
#define CODESLAB_BRANCH_PROTECTION 16

// Code: read and execute.
#define CODESLAB_READ_EXECUTE 0

// Constants: read.
#define CODESLAB_READ_ONLY 1

// Data: read and write. Zero at first.
#define CODESLAB_READ_WRITE 2

// Needed until the allocation is freed.
#define CODESLAB_LIFETIME_STANDARD 0

// Needed for finalization only: goes with `codeslab_end_finalization`. Within reach of everything else of the request.
#define CODESLAB_LIFETIME_FINALIZE 1

// What a function answers: CODESLAB_OK, or what went wrong.
typedef int32_t codeslab_status;

// What went wrong last in this thread.
typedef struct codeslab_error {
  // What the function answered.
  codeslab_status status;
  // Its name, such as `OUT_OF_REACH`. Names do not change between versions.
  const char *code;
  // A sentence for people, which may change.
  const char *text;
  // How many facts there are: see `codeslab_last_error_fact`.
  size_t facts;
} codeslab_error;

// A fact of an error.
typedef struct codeslab_fact {
  // What it is about, such as `size` or `nearest`.
  const char *name;
  // One of the `CODESLAB_FACT_` numbers.
  uint32_t kind;
  // The number or the address; 0 for a text.
  uint64_t number;
  // The text; null for a number.
  const char *text;
} codeslab_fact;

// A code memory, from `codeslab_open` to `codeslab_close`.
typedef struct codeslab_memory {
  // Not for anybody else.
  uint64_t value;
} codeslab_memory;

// Objects that were linked and started.
typedef struct codeslab_image {
  // Not for anybody else.
  uint64_t value;
} codeslab_image;

// Something to link. What its kind does not need is zero.
typedef struct codeslab_input {
  // One of the `CODESLAB_INPUT_` numbers.
  uint32_t kind;
  // A name or a path.
  const char *name;
  // The bytes of an object or an archive; they are needed until the link is done.
  const void *bytes;
  // How many bytes.
  size_t size;
  // The image.
  struct codeslab_image image;
} codeslab_input;

// A symbol that the embedder provides.
typedef struct codeslab_external {
  // Its name.
  const char *name;
  // Its address.
  uint64_t address;
} codeslab_external;

// How to link: see `codeslab_default_link_options`. Zero is the default of everything.
typedef struct codeslab_link_options {
  // `sizeof(codeslab_link_options)`.
  size_t struct_size;
  // Symbols that come before every other external.
  const struct codeslab_external *externals;
  // How many.
  size_t external_count;
  // Names of symbols: archives among the inputs give only what these need.
  const char *const *roots;
  // How many.
  size_t root_count;
  // What defines what is missing: archives, images, shared libraries.
  const struct codeslab_input *libraries;
  // How many.
  size_t library_count;
  // Any of the `CODESLAB_LINK_` numbers.
  uint32_t flags;
} codeslab_link_options;

// What a memory holds.
typedef struct codeslab_statistics {
  // Blocks that exist.
  uint64_t blocks;
  // Groups of blocks that all reach each other.
  uint64_t clusters;
  // Bytes of address space reserved from the system.
  uint64_t reserved_bytes;
  // Bytes of it that can hold something.
  uint64_t committed_bytes;
  // Bytes of it that allocations occupy, alignment included.
  uint64_t used_bytes;
  // Bytes that are freed and wait for the end of a grace period.
  uint64_t quarantined_bytes;
  // Mappings that the system keeps for this memory.
  uint64_t mappings;
  // Allocations being written.
  uint64_t in_flight;
  // Allocations that are published.
  uint64_t live;
  // Bytes that the memory itself needs, outside of the managed memory.
  uint64_t metadata_bytes;
} codeslab_statistics;

// What an address lies in.
typedef struct codeslab_found {
  // Where the sections of that protection begin.
  uint64_t address;
  // How many bytes they have.
  uint64_t size;
  // One of the three `CODESLAB_READ_` numbers.
  uint32_t protection;
} codeslab_found;

// A piece of a memory's layout.
typedef struct codeslab_piece {
  // Where it begins.
  uint64_t address;
  // How many bytes it has.
  uint64_t size;
  // One of the `CODESLAB_PIECE_` numbers.
  uint32_t kind;
  // Of slabs and spans: one of the three `CODESLAB_READ_` numbers. Of blocks: which cluster it belongs to.
  uint32_t detail;
} codeslab_piece;

// What a memory is opened with: see `codeslab_default_options`. Zero is the default of everything.
typedef struct codeslab_options {
  // `sizeof(codeslab_options)`.
  size_t struct_size;
  // Bytes of address space that one block reserves: a power of two. 0: 2 to the power of `CODESLAB_BLOCK_SIZE` in the environment, else
  // 16 MiB.
  uint64_t block_size;
  // Bytes that the memory has committed at most; 0: as many as there are.
  uint64_t max_committed;
  // Mappings that the memory has at most; 0: as many as there are.
  uint64_t max_mappings;
  // One of the `CODESLAB_CODE_MODEL_` numbers.
  uint32_t code_model;
  // One of the `CODESLAB_WRITER_` numbers.
  uint32_t writer;
  // One of the `CODESLAB_QUARANTINE_` numbers.
  uint32_t quarantine;
  // Any of `CODESLAB_CONSTANTS_WITH_CODE`, `CODESLAB_SEALED`, `CODESLAB_NOT_HARDENED`, `CODESLAB_GUARD_PAGES` and
  // `CODESLAB_BRANCH_PROTECTION`.
  uint32_t flags;
} codeslab_options;

// What a memory was opened with, after defaults, environment and probes.
typedef struct codeslab_configuration {
  // Bytes of address space of a block.
  uint64_t block_size;
  // How many bytes a reference may span, in either direction.
  uint64_t reach;
  // How many bytes a branch may span, where that is less.
  uint64_t branch_reach;
  // One of the `CODESLAB_CODE_MODEL_` numbers.
  uint32_t code_model;
  // One of the `CODESLAB_WRITER_` numbers.
  uint32_t writer;
  // One of the `CODESLAB_QUARANTINE_` numbers.
  uint32_t quarantine;
  // As `codeslab_options::flags`.
  uint32_t flags;
} codeslab_configuration;

// An interval of addresses, both ends included.
typedef struct codeslab_window {
  // The lowest address.
  uint64_t first;
  // The highest address.
  uint64_t last;
} codeslab_window;

// A part of a request.
typedef struct codeslab_section {
  // In: how many bytes; may be 0.
  uint64_t size;
  // In: their alignment, a power of two up to 4 MiB.
  uint64_t align;
  // In: `CODESLAB_READ_EXECUTE`, `CODESLAB_READ_ONLY` or `CODESLAB_READ_WRITE`.
  uint32_t protection;
  // In: `CODESLAB_LIFETIME_STANDARD` or `CODESLAB_LIFETIME_FINALIZE`.
  uint32_t lifetime;
  // Out: where it will run or be read.
  uint64_t address;
  // Out: where its bytes are written until it is finalized or abandoned. Data is zero; what else is there is not said, so write all
  // of it.
  void *bytes;
} codeslab_section;

// An allocation in flight: writable, and not executable yet.
typedef struct codeslab_in_flight {
  // Not for anybody else.
  uint64_t value;
} codeslab_in_flight;

// A published allocation.
typedef struct codeslab_allocation {
  // Not for anybody else.
  uint64_t value;
} codeslab_allocation;

// An address to call and to branch to, whose code can be replaced at any time.
typedef struct codeslab_slot {
  // Not for anybody else.
  uint64_t value;
} codeslab_slot;

// All is well.
#define CODESLAB_OK 0

// A pointer that is null, a size or a number that is none of those that are possible: `argument` names it.
#define CODESLAB_INVALID_ARGUMENT 1

// A handle whose object is gone, of another kind, or that was never given out.
#define CODESLAB_STALE_HANDLE 2

// Another thread is changing, or still using, what the handle is of.
#define CODESLAB_BUSY 3

// A mistake in codeslab itself, which was caught. Please report it.
#define CODESLAB_INTERNAL 4

// More than a thousand million handles at once.
#define CODESLAB_TOO_MANY_HANDLES 5

// An error without a number of its own here: codeslab_error::code has its name.
#define CODESLAB_OTHER 6

// The image has no function of this name that can be replaced.
#define CODESLAB_NOT_REPLACEABLE 7

// A block size that is no power of two, too small, or above the reach of the code model.
#define CODESLAB_INVALID_BLOCK_SIZE 8

// An environment variable that holds none of the values it may.
#define CODESLAB_INVALID_ENVIRONMENT 9

// A code model that the processor does not have.
#define CODESLAB_UNSUPPORTED_CODE_MODEL 10

// A writer that the system does not offer.
#define CODESLAB_WRITER_UNAVAILABLE 11

// A shared library that the dynamic linker does not open.
#define CODESLAB_LIBRARY_UNAVAILABLE 12

// A system or processor without a port.
#define CODESLAB_UNSUPPORTED_PLATFORM 13

// A request for no bytes at all.
#define CODESLAB_EMPTY_REQUEST 14

// More bytes than one block can hold.
#define CODESLAB_TOO_LARGE 15

// An alignment that is no power of two, or too large.
#define CODESLAB_INVALID_ALIGNMENT 16

// A write, or a part of an input, that does not lie inside of what it belongs to.
#define CODESLAB_OUT_OF_BOUNDS 17

// Windows of one request that have no address in common.
#define CODESLAB_CONFLICTING_WINDOWS 18

// No free address space where the request has to be, or a symbol that is too far away.
#define CODESLAB_OUT_OF_REACH 19

// The memory belongs to the parent process.
#define CODESLAB_FORKED 20

// The process has as many mappings as it may.
#define CODESLAB_TOO_MANY_MAPPINGS 21

// The limit on address space is met.
#define CODESLAB_ADDRESS_SPACE_LIMIT 22

// The limit on the size of files is met.
#define CODESLAB_FILE_SIZE_LIMIT 23

// No file descriptor is left.
#define CODESLAB_TOO_MANY_FILES 24

// No memory is left.
#define CODESLAB_OUT_OF_MEMORY 25

// A security policy forbids it.
#define CODESLAB_FORBIDDEN 26

// The memory has as many mappings as its options allow.
#define CODESLAB_MAPPING_BUDGET 27

// The memory has as many bytes as its options allow.
#define CODESLAB_COMMIT_BUDGET 28

// The system refused for another reason.
#define CODESLAB_SYSTEM 29

// An input that is neither an object nor an archive.
#define CODESLAB_UNKNOWN_FORMAT 30

// A file that cannot be read.
#define CODESLAB_UNREADABLE 31

// An object for another machine.
#define CODESLAB_WRONG_ARCHITECTURE 32

// An executable or a shared library where an object is needed.
#define CODESLAB_NOT_RELOCATABLE 33

// An object or archive that contradicts itself.
#define CODESLAB_MALFORMED 34

// An input that asks for more work than its size can need.
#define CODESLAB_WORK_BUDGET 35

// A number that names nothing.
#define CODESLAB_INVALID_INDEX 36

// A relocation that the linker does not know.
#define CODESLAB_UNKNOWN_RELOCATION 37

// Something that the linker does not do.
#define CODESLAB_UNSUPPORTED 38

// A thread-local variable that is used in a way that is not possible here.
#define CODESLAB_THREAD_LOCAL_ACCESS 39

// A section that would be writable and executable.
#define CODESLAB_WRITABLE_CODE 40

// A symbol that nothing defines.
#define CODESLAB_UNDEFINED_SYMBOL 41

// An assignment of a symbol that cannot be read.
#define CODESLAB_INVALID_EXPRESSION 42

// A symbol that two inputs define.
#define CODESLAB_DUPLICATE_SYMBOL 43

// A reference to what was left out.
#define CODESLAB_DISCARDED_SECTION 44

// A value that does not fit where it has to be written.
#define CODESLAB_OVERFLOW 45

// Definitions of one symbol that do not go together.
#define CODESLAB_CONFLICTING_SYMBOLS 46

// No room for thread-local variables of this kind.
#define CODESLAB_STATIC_THREAD_LOCAL 47

// A constructor threw an exception.
#define CODESLAB_EXCEPTION 48

// The dynamic linker cannot be asked.
#define CODESLAB_DYNAMIC_LINKER 49

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Says what went wrong last in this thread. Texts stay until the next function fails in this thread, or the thread ends. Answers
// CODESLAB_INVALID_ARGUMENT if nothing went wrong yet or `error` is null, and keeps the error that there was.
codeslab_status codeslab_last_error(struct codeslab_error *error);

// Says one fact of what went wrong last in this thread: those up to `codeslab_error::facts`. Answers CODESLAB_INVALID_ARGUMENT for
// others, and keeps the error that there was.
codeslab_status codeslab_last_error_fact(size_t index,
                                         struct codeslab_fact *fact);

// Links objects and archives into a memory, and runs their constructors, as loading a shared library does. Inputs must be trusted: they
// become code.
//
// @param inputs  what to link
// @param count   how many
// @param options how, or null
// @param image   receives the image
codeslab_status codeslab_link_objects(struct codeslab_memory memory,
                                      const struct codeslab_input *inputs,
                                      size_t count,
                                      const struct codeslab_link_options *options,
                                      struct codeslab_image *image);

// The address of a symbol of an image. CODESLAB_UNDEFINED_SYMBOL if it has none of this name that others can see.
codeslab_status codeslab_image_symbol(struct codeslab_image image,
                                      const char *name,
                                      uint64_t *address);

// Has a function of an image lead to `target`, for every call that begins from now on. The image must have been linked with
// CODESLAB_LINK_REPLACEABLE. Its own address as `target` stands for the function of the inputs.
//
// @param before receives where it led before; may be null
codeslab_status codeslab_image_replace(struct codeslab_image image,
                                       const char *name,
                                       uint64_t target,
                                       uint64_t *before);

// Frees an image: its destructors run, and its memory is given back, once no other image uses it. Nothing may execute it or refer to it any
// more.
codeslab_status codeslab_image_free(struct codeslab_image image);

// Counts what a memory holds.
codeslab_status codeslab_stats(struct codeslab_memory memory,
                               struct codeslab_statistics *statistics);

// Says what an address lies in: any address of an allocation that is neither freed nor abandoned. Where there is none, `size` is 0. Waits
// for no other thread.
codeslab_status codeslab_find(struct codeslab_memory memory,
                              uint64_t address,
                              struct codeslab_found *found);

// Describes the layout of a memory: each block, followed by its slabs, each followed by its spans. Writes as many pieces as there is room
// for.
//
// @param pieces   receives them; may be null if `capacity` is 0
// @param capacity for how many there is room
// @param count    receives how many there are, which may be more
codeslab_status codeslab_layout(struct codeslab_memory memory,
                                struct codeslab_piece *pieces,
                                size_t capacity,
                                size_t *count);

// Opens a memory. Nothing is reserved before the first allocation. `options` may be null for defaults.
//
// @param options what to open it with, or null
// @param memory  receives the memory
codeslab_status codeslab_open(const struct codeslab_options *options,
                              struct codeslab_memory *memory);

// Closes a memory: its handle is stale. Allocations and images live on until they are freed.
codeslab_status codeslab_close(struct codeslab_memory memory);

// Says what a memory was opened with.
codeslab_status codeslab_get_configuration(struct codeslab_memory memory,
                                           struct codeslab_configuration *configuration);

// Reserves address space for a block in a window, before something else takes it. It costs no memory.
codeslab_status codeslab_reserve(struct codeslab_memory memory,
                                 struct codeslab_window window);

// Gives back to the system what is kept for the next allocation.
codeslab_status codeslab_trim(struct codeslab_memory memory);

// Begins a grace period for everything that was freed until now, where the memory has a quarantine.
//
// @param period receives its number, for `codeslab_end_grace_period`
codeslab_status codeslab_begin_grace_period(struct codeslab_memory memory, uint64_t *period);

// Ends a grace period, and all that began before it: what was freed by then is used again.
codeslab_status codeslab_end_grace_period(struct codeslab_memory memory, uint64_t period);

// Places a request: all of its sections within reach of each other, and each byte of it in each of the windows; or nothing.
//
// @param sections what is asked for; receives `address` and `bytes` of each
// @param count    how many
// @param windows  where all of it has to lie; may be null if there are none
// @param in_flight receives the allocation
codeslab_status codeslab_allocate(struct codeslab_memory memory,
                                  struct codeslab_section *sections,
                                  size_t count,
                                  const struct codeslab_window *windows,
                                  size_t window_count,
                                  struct codeslab_in_flight *in_flight);

// Copies bytes into a section of an allocation in flight, `offset` bytes behind its start.
//
// @param section its number in the request
codeslab_status codeslab_write(struct codeslab_in_flight in_flight,
                               size_t section,
                               uint64_t offset,
                               const void *bytes,
                               size_t size);

// Makes a section of an allocation in flight smaller. What is behind the last section of its protection is given back at once. Addresses
// stay.
codeslab_status codeslab_shrink(struct codeslab_in_flight in_flight,
                                size_t section,
                                uint64_t size);

// Says which block an allocation in flight lies in: everything there reaches everything else.
codeslab_status codeslab_block(struct codeslab_in_flight in_flight, struct codeslab_window *block);

// Publishes an allocation: code becomes executable, constants read-only, and every processor sees the bytes. The handle of the allocation
// in flight is stale then, also if that fails: the allocation is abandoned then.
//
// @param allocation receives the published allocation
codeslab_status codeslab_finalize(struct codeslab_in_flight in_flight,
                                  struct codeslab_allocation *allocation);

// Publishes many allocations at once, or none: what it takes to make all processors notice is done once. Their handles are stale then; if
// one of them was so before, or occurs twice (CODESLAB_BUSY), all others stay as they are.
//
// @param allocations receives the published allocations, in the order of `in_flight`
codeslab_status codeslab_finalize_many(struct codeslab_memory memory,
                                       const struct codeslab_in_flight *in_flight,
                                       size_t count,
                                       struct codeslab_allocation *allocations);

// Gives an allocation back unpublished.
codeslab_status codeslab_abandon(struct codeslab_in_flight in_flight);

// Frees the sections that were needed for finalization only. Does nothing if there are none, or none any more.
codeslab_status codeslab_end_finalization(struct codeslab_allocation allocation);

// Says where the sections of one protection are that stay until the allocation is freed: all of them together. The size is 0 if there are
// none.
//
// @param address receives the address of the first byte
// @param size    receives how many bytes there are, those included that fill it up to the next multiple of 16
codeslab_status codeslab_segment(struct codeslab_allocation allocation,
                                 uint32_t protection,
                                 uint64_t *address,
                                 uint64_t *size);

// Frees an allocation. Nothing may execute it or refer to it any more.
codeslab_status codeslab_free(struct codeslab_allocation allocation);

// Frees many allocations, or none: if one handle is stale, or occurs twice (CODESLAB_BUSY), the others stay as they are. The fact `index` says which.
codeslab_status codeslab_free_many(const struct codeslab_allocation *allocations,
                                   size_t count);

// The address of a symbol that the process itself provides: its executable and the libraries that it has loaded.
// CODESLAB_UNDEFINED_SYMBOL if it has none.
codeslab_status codeslab_process_symbol(const char *name,
                                        uint64_t *address);

// The address of one version of a symbol of the process, such as `GLIBC_2.2.5` of `memcpy`.
codeslab_status codeslab_process_symbol_version(const char *name,
                                                const char *version,
                                                uint64_t *address);

// Whether a writer works here: CODESLAB_OK, or CODESLAB_WRITER_UNAVAILABLE with the fact `reason`.
codeslab_status codeslab_probe_writer(uint32_t number);

// Has every thread of the process execute a full memory barrier, where the system can do that; this thread does in any case. Whether the
// system can.
int codeslab_process_barrier(void);

// The version of the library that is there, such as `0.1.0`; that of the header is `CODESLAB_VERSION`.
const char *codeslab_version(void);

// Makes a slot that branches to `target`, in each of the windows.
//
// @param entry receives what callers call, which is the same as long as the slot lives
// @param slot  receives the slot
codeslab_status codeslab_slot_new(struct codeslab_memory memory,
                                  uint64_t target,
                                  const struct codeslab_window *windows,
                                  size_t window_count,
                                  uint64_t *entry,
                                  struct codeslab_slot *slot);

// Has calls of a slot that begin from now on arrive at `target`.
//
// @param before receives where they did before; may be null
codeslab_status codeslab_slot_replace(struct codeslab_slot slot, uint64_t target, uint64_t *before);

// Frees a slot. Nothing may call it any more.
codeslab_status codeslab_slot_free(struct codeslab_slot slot);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CODESLAB_H */

#ifndef CODESLAB_DEFAULTS
#define CODESLAB_DEFAULTS

/// Options that are all defaults.
static inline codeslab_options codeslab_default_options(void) {
  codeslab_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  return options;
}

/// Options of a link that are all defaults.
static inline codeslab_link_options codeslab_default_link_options(void) {
  codeslab_link_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  return options;
}

#endif  // CODESLAB_DEFAULTS
