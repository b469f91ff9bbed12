/** The memory manager. */

import * as native from '#native'
import type { AddressLike } from './address.ts'
import { makeCallback, type Callback } from './callback.ts'
import type { CompileOptions } from './cc.ts'
import { handleOf } from './handle.ts'
import { makeImage, type Image } from './image.ts'
import { addressed } from './internal/address.ts'
import { checkFunction, checkString, toAddress } from './internal/checks.ts'
import { compile, linkOptionsOf } from './internal/compiler.ts'
import { construct } from './internal/construct.ts'
import { makeHandle } from './internal/handle.ts'
import { toHex } from './internal/inspect.ts'
import { makeWords } from './internal/intrinsics.ts'
import { withCallee, withSignature } from './internal/signature.ts'
import { synchronize } from './internal/grace.ts'
import { life } from './internal/life.ts'
import { encodeFile, encodeLink } from './internal/link.ts'
import { Opened } from './internal/opened.ts'
import { encodeMemoryOptions } from './internal/options.ts'
import { toWindows } from './internal/request.ts'
import type { LinkEstimate, LinkInput, LinkOptions, NamedInput } from './link.ts'
import type { CodeMemoryOptions } from './options.ts'
import { makeParsed, type ParsedInput } from './parsed.ts'
import { PlacingMemory } from './placing.ts'
import type { Placement } from './request.ts'
import type { CallbackFunction, CallbackType, NativeFunction, Signature } from './signature.ts'
import { makeSlot, toTarget, type Slot } from './slot.ts'
import type { Capabilities, SealStatus, WriterStatus } from './stats.ts'

/**
 * A manager of code memory: it places machine code, constants and data within reach of each other, publishes them under
 * W^X (see {@link Writer}), and takes them back.
 *
 * Nothing is reserved before the first allocation. A memory may be used from any thread: see {@link CodeMemory.share}.
 *
 * @example Linking an object file and calling it
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const image = memory.link(readFileSync('math.o'))
 * const add = image.function('add', { return: 'int32', arguments: ['int32', 'int32'] })
 * add(40, 2) // 42
 * image.free()
 * ```
 *
 * @example Placing bytes by hand
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const inFlight = memory.allocate({ text: { protection: 'rx', size: 4 } })
 * inFlight.text.write(Uint8Array.of(0x8d, 0x04, 0x37, 0xc3)) // lea eax, [rdi + rsi]; ret
 * const allocation = inFlight.finalize()
 * allocation.text.function({ return: 'int32', arguments: ['int32', 'int32'] })(40, 2) // 42
 * allocation.free()
 * ```
 *
 * @category Memory
 */
export class CodeMemory extends PlacingMemory {
  /**
   * Opens a memory of its own.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_INVALID_BLOCK_SIZE`, `ERR_CODESLAB_UNSUPPORTED_CODE_MODEL`,
   * `ERR_CODESLAB_WRITER_UNAVAILABLE`, `ERR_CODESLAB_INVALID_ENVIRONMENT` or `ERR_CODESLAB_UNSUPPORTED_PLATFORM`. `TypeError`
   * with `ERR_INVALID_ARG_TYPE` for options of a wrong type, or `ERR_INVALID_ARG_VALUE` for options that there are not.
   * `RangeError` with `ERR_OUT_OF_RANGE` for a limit that is not a safe integer above zero.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory({ blockSize: 2 ** 20 })
   * memory.writer // 'dual-mapping'
   * ```
   */
  constructor(options: CodeMemoryOptions = {}) {
    super(construct, Opened.handleOf(options) ?? native.openMemory(encodeMemoryOptions(options)))
  }

  /**
   * Opens the memory that another thread of this process shared with {@link CodeMemory.share}. Both are handles to one
   * memory: what one allocates shows in the stats of the other.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNKNOWN_TOKEN` if the token stands for no memory, or for one that is gone.
   * @example
   * ```ts
   * import { workerData } from 'node:worker_threads'
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = CodeMemory.open(workerData.memory)
   * ```
   */
  static open(token: string): CodeMemory {
    checkString(token, 'token')
    return new CodeMemory(new Opened(native.openSharedMemory(token)) as CodeMemoryOptions)
  }

  /**
   * Parses an object file or an archive for any number of links, which then begin where parsing ends.
   *
   * @param input - Its bytes, with or without a name.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNKNOWN_FORMAT`, `ERR_CODESLAB_MALFORMED`, `ERR_CODESLAB_NOT_RELOCATABLE`,
   * `ERR_CODESLAB_WRONG_ARCHITECTURE` or `ERR_CODESLAB_WORK_BUDGET`. Members of an archive that cannot be read are errors of links that
   * take them. Linker scripts and thin archives name files, so they are linked as they are.
   * @example
   * ```ts
   * import { readFileSync } from 'node:fs'
   * import { CodeMemory } from 'codeslab'
   *
   * const runtime = CodeMemory.load(readFileSync('libruntime.a'))
   * const memory = new CodeMemory()
   * const link = (object: Uint8Array) => memory.link(object, { libraries: [runtime] })
   * ```
   */
  static load(input: NamedInput | ArrayBufferView | ArrayBuffer): ParsedInput {
    const { name, bytes } = encodeFile(input)
    return makeParsed(name, native.parseInput(name, bytes))
  }

  /**
   * What this process can do, with the reason for what it cannot.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNSUPPORTED_PLATFORM`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * CodeMemory.capabilities().architecture // 'x86_64'
   * ```
   */
  static capabilities(): Capabilities {
    const { writers, sealing, codeModels, ...rest } = native.capabilities()
    return {
      ...rest,
      writers: writers.map(({ writer, unavailable }): WriterStatus => {
        return { writer, ...toStatus(unavailable) }
      }),
      sealing: { writes: toStatus(sealing.writesUnavailable), mappings: toStatus(sealing.mappingsUnavailable) },
      codeModels,
    }
  }

  /**
   * Links object files, archives and graphs into executable memory.
   *
   * All inputs become one image: symbols are resolved between them, relocations applied, and everything is placed such that
   * each reference reaches what it refers to, that is near itself and near the externals that the code refers to directly.
   *
   * @param inputs - What to link. An archive is linked whole, unless `roots` are given.
   * @param options - Where symbols come from.
   * @throws {@link CodeslabError} with
   * - `ERR_CODESLAB_UNKNOWN_FORMAT`, `ERR_CODESLAB_MALFORMED`, `ERR_CODESLAB_UNREADABLE`, `ERR_CODESLAB_LIBRARY_UNAVAILABLE`, `ERR_CODESLAB_NOT_RELOCATABLE`,
   *   `ERR_CODESLAB_WRONG_ARCHITECTURE` or `ERR_CODESLAB_INVALID_INDEX` for an input that is not what it should be;
   * - `ERR_CODESLAB_WORK_BUDGET` for one that would take more work or memory than files of its size ever need;
   * - `ERR_CODESLAB_INVALID_GRAPH` for a graph that contradicts itself;
   * - `ERR_CODESLAB_UNSUPPORTED`, `ERR_CODESLAB_UNKNOWN_RELOCATION`, `ERR_CODESLAB_WRITABLE_CODE` or
   *   `ERR_CODESLAB_DISCARDED_SECTION` for one that needs what the linker does not do;
   * - `ERR_CODESLAB_UNDEFINED_SYMBOL` or `ERR_CODESLAB_DUPLICATE_SYMBOL`;
   * - `ERR_CODESLAB_THREAD_LOCAL_ACCESS`, `ERR_CODESLAB_STATIC_THREAD_LOCAL` or `ERR_CODESLAB_DYNAMIC_LINKER` for thread-local variables
   *   that the code does not come by;
   * - `ERR_CODESLAB_OUT_OF_REACH`, `ERR_CODESLAB_OVERFLOW` or `ERR_CODESLAB_CONFLICTING_SYMBOLS` if something cannot be reached;
   * - everything that {@link CodeMemory.allocate} throws.
   *
   * Each of them leaves no memory behind.
   * @example
   * ```ts
   * import { readFileSync } from 'node:fs'
   * import { CodeMemory } from 'codeslab'
   *
   * const image = new CodeMemory().link([readFileSync('main.o'), readFileSync('util.o')], {
   *   externals: { log_line: 0x7f0000001000n },
   *   libraries: [readFileSync('libz.a')],
   * })
   * ```
   */
  link(inputs: LinkInput | readonly LinkInput[], options?: LinkOptions): Image {
    const { inputs: read, options: known } = encodeLink(inputs, options)
    return makeImage(makeHandle(keeper => life.link(handleOf(this), keeper, read, known)))
  }

  /**
   * Says what linking would take, without linking: nothing is placed, and nothing runs. What cannot be linked for what it is says so as it
   * would then; whether there is room within reach only linking can tell.
   *
   * @param inputs - What would be linked.
   * @param options - How.
   * @throws {@link CodeslabError} as {@link CodeMemory.link}, but for what finding a place and writing throw.
   * @example
   * ```ts
   * import { readFileSync } from 'node:fs'
   * import { CodeMemory } from 'codeslab'
   *
   * const { code, constants, data } = new CodeMemory().estimate(readFileSync('libz.a'), { roots: ['crc32'], gc: true })
   * ```
   */
  estimate(inputs: LinkInput | readonly LinkInput[], options?: LinkOptions): LinkEstimate {
    const { inputs: read, options: known } = encodeLink(inputs, options)
    return native.estimateLink(read, known)
  }

  /**
   * Compiles C, or another language of the compiler, with the compiler that this system has, and links what comes of it.
   *
   * The compiler runs in a process of its own, so nothing waits for it. Nothing of it stays on the disk, even if this process is killed.
   *
   * @param options - The program, flags, and all options of {@link CodeMemory.link}.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_COMPILER` if it does not compile (`diagnostics` has files and lines, `output` all
   * that the compiler said), `ERR_CODESLAB_NO_COMPILER` if there is none, and everything that {@link CodeMemory.link} throws.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const image = await new CodeMemory().cc({
   *   source: 'int add(int a, int b) { return a + b; }',
   *   flags: ['-O3', '-Wall'],
   * })
   * image.function('add', { return: 'int32', arguments: ['int32', 'int32'] })(40, 2) // 42
   * ```
   */
  async cc(options: CompileOptions): Promise<Image> {
    handleOf(this)
    const linked = linkOptionsOf(options)
    return this.link(await compile(options), linked)
  }

  /**
   * A pointer by which native code calls a JavaScript function, until it is disposed of or this thread ends.
   *
   * On this thread, the function runs while native code waits. What it throws comes out of the JavaScript call that called the native code, once that
   * has returned; until then it gets zero. A call on any other thread is queued to this thread's event loop, and waits. If this thread is in one
   * native call all that time, the call is given up, because both might wait for each other: it returns zero, and the native call throws
   * `ERR_CODESLAB_CALLBACK_BLOCKED`. While a thread has callbacks, its calls are no faster than Node-API's.
   *
   * @param signature - What native code passes, and what it expects. Nothing checks that it does.
   * @param callee - What is called.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_INVALID_SIGNATURE`, `ERR_CODESLAB_CLOSED`, or `ERR_CODESLAB_NO_CALLBACKS` where there is
   * no way to make one.
   * @example
   * ```ts
   * import { readFileSync } from 'node:fs'
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * const image = memory.link(readFileSync('events.o'))
   * const callback = memory.callback({ arguments: ['int32'] }, code => console.log(code))
   * image.function('on_event', { arguments: ['function'] })(callback.pointer)
   * ```
   */
  callback<const S extends CallbackType>(signature: S, callee: CallbackFunction<S>): Callback {
    checkFunction(callee, 'callee')
    return withCallee(signature, callee, (signed, converted) =>
      makeCallback(native.makeCallback(handleOf(this), signed, converted)),
    )
  }

  /**
   * An address to call, behind which code is replaced while threads run it: see {@link Slot}.
   *
   * @param target - Where it shall lead: a native function, a section, another slot, or any address. It is kept, if it is code of ours.
   * @param placement - Where the slot has to lie, such as near a caller that branches to it.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED` if the target was freed, and everything that {@link CodeMemory.allocate} throws.
   * @example
   * ```ts
   * import { CodeMemory, type Image } from 'codeslab'
   *
   * declare const memory: CodeMemory
   * declare const image: Image
   * const slot = memory.slot(image.function('step', { return: 'int32', arguments: ['int32'] }))
   * memory.link(new Uint8Array(), { externals: { step: slot } })
   * ```
   */
  slot(target: AddressLike, placement?: Placement): Slot {
    const windows = toWindows(placement, this.reach)
    const address = toTarget(target)
    return makeSlot(makeHandle(keeper => native.makeSlot(keeper, handleOf(this), address, windows ?? anywhere)))
  }

  /**
   * Resolves when every call from JavaScript that is running now, in any thread, has returned: then nothing can be where it was before, and
   * what was taken out of use before can go. A call that JavaScript makes meanwhile does not delay it, unless there is no moment at which
   * no call of that function is running.
   *
   * With the option `quarantine` it is what a grace period takes:
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory({ quarantine: 'intact' })
   * // … free what machine code may still be in …
   * const period = memory.beginGracePeriod()
   * await memory.synchronize()
   * memory.endGracePeriod(period)
   * ```
   */
  synchronize(): Promise<void> {
    return synchronize(handleOf(this))
  }

  /**
   * Where a symbol of the process is: of its executable and of the libraries that it has loaded. `undefined` if it has none of that name.
   *
   * @param name - The symbol.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * const getpid = memory.processSymbol('getpid')
   * if (getpid !== undefined) memory.functionAt(getpid, { return: 'int32' })() // process.pid
   * ```
   */
  processSymbol(name: string): bigint | undefined {
    handleOf(this)
    checkString(name, 'name')
    return native.processSymbol(name) ?? undefined
  }

  /**
   * A function that calls the code at any address.
   *
   * Code of ours is kept, as by a function of its section or image, if anything has a function of it. What is not ours has to stay by
   * itself for as long as the function is called.
   *
   * @param address - Where the code is.
   * @param signature - What it takes and returns. Nothing checks that it does, nor that there is code.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_INVALID_SIGNATURE` or `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * declare const address: bigint // from a table of another library
   * const callee = new CodeMemory().functionAt(address, { return: 'int32', arguments: ['int32'] })
   * ```
   */
  functionAt<const S extends Signature>(address: AddressLike, signature: S): NativeFunction<S> {
    handleOf(this)
    const at = toAddress(address, 'address')
    const found = addressed(address)
    return withSignature(signature, signed => {
      if (found !== undefined) native.watchCode(found.handle.number)
      return native.functionAt(at, toHex(at), signed)
    }) as NativeFunction<S>
  }

  /**
   * A token with which any thread of this process can {@link CodeMemory.open} the same memory, while any handle to it is
   * open.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`.
   * @example
   * ```ts
   * import { Worker } from 'node:worker_threads'
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * new Worker('./worker.js', { workerData: { memory: memory.share() } })
   * ```
   */
  share(): string {
    return native.shareMemory(handleOf(this))
  }
}

/** Whether something works, by the reason why not. */
function toStatus(reason: string | undefined): SealStatus {
  return reason === undefined ? { available: true } : { available: false, reason }
}

/** Windows of what may lie anywhere. */
const anywhere = makeWords(0)
