/** What is measured: one row, one program that prints a report, and the bars that its figures have to pass. */

import { join } from 'node:path'
import type { Particulars } from './measure.ts'

/** Where things are, and how much work to do. */
export interface Settings {
  root: string
  /** The Node that runs the JavaScript scenarios. */
  node: string
  /** The release build of codeslab-bench. */
  rust: string
  /** The build of bench/llvm_peer.cpp, where LLVM is installed. */
  llvm: string | undefined
  /** The build of bench/orc_peer.cpp, likewise. */
  orc: string | undefined
  /** `libz.a`, built from source. */
  libz: string | undefined
  /** Whether the release build has the peers from crates.io. */
  peers: boolean
  replays: number
}

/** The medians of the samples of one scenario. */
export interface Figures extends Particulars {
  us_per_object: number
  /** The median of the ratios to the floor's time in the same round; `null` where the work is not the floor's. */
  times_floor: number | null
  failed: number
  memory_per_content: number | null
  mappings: number | null
  mappings_per_block: number | null
}

export interface Bar {
  /** What is measured, and how much of it is allowed. */
  text: string
  passes: (figures: Figures) => boolean
}

export interface Scenario {
  name: string
  title: string
  /** The command to run, or why it cannot be run here. */
  command: (settings: Settings) => string[] | string
  /** Whether it does the floor’s work, so that their times compare. */
  isReplay?: boolean
  bars: Bar[]
  /** Where we want to be: said, but missing one fails nothing. */
  goals?: Bar[]
}

/** What other replays are compared with. */
export const FLOOR = 'floor'

const NO_LLVM = 'LLVM 19 is not installed (llvm-config-19)'

const LINKS = 300
const NAMES = 100_000
const CALLS = 20_000_000
const COMPARED = 2_000_000

/** Lives of functions. */
const MADE = 200_000
const PAIRS = 1_000_000
const HOLES = 100_000
const LIVE = 1_000_000
const CROWDS = 60

/**
 * Those that are asked for, by name: all if `only` is not given. With a replay comes the floor, for their times to be compared.
 *
 * @throws {RangeError} if there is none of a name.
 */
export function choose(only: string | undefined): Scenario[] {
  if (only === undefined) return scenarios
  const names = only.split(',')
  const unknown = names.filter(name => !scenarios.some(scenario => scenario.name === name))
  if (unknown.length > 0)
    throw new RangeError(`no ${unknown.join(', ')} among ${scenarios.map(({ name }) => name).join(', ')}`)
  const isAskedFor = ({ name }: Scenario) => names.includes(name)
  const replays = scenarios.some(scenario => scenario.isReplay && isAskedFor(scenario))
  return scenarios.filter(scenario => isAskedFor(scenario) || (replays && scenario.name === FLOOR))
}

const noFailure: Bar = { text: '0 failed', passes: figures => figures.failed === 0 }

export const scenarios: Scenario[] = [
  {
    name: FLOOR,
    title: 'floor: bump pointers and memcpy',
    isReplay: true,
    command: ({ rust, replays, root }) => [rust, 'replay-floor', trace(root), String(replays)],
    bars: [],
  },
  {
    name: 'codeslab',
    title: 'codeslab, in Rust',
    isReplay: true,
    command: ({ rust, replays, root }) => [rust, 'replay', trace(root), String(replays)],
    bars: [
      noFailure,
      {
        text: 'at most 1.5 × the floor’s time',
        passes: figures => (figures.times_floor ?? Infinity) <= 1.5,
      },
      {
        text: 'memory at most 1.15 × content',
        passes: figures => (figures.memory_per_content ?? Infinity) <= 1.15,
      },
      {
        text: 'at most 8 mappings per block',
        passes: figures => (figures.mappings_per_block ?? Infinity) <= 8,
      },
    ],
    goals: [
      atMost(1.15, '× the floor’s time', figures => figures.times_floor),
      atMost(1.06, '× content in memory', figures => figures.memory_per_content),
      atMost(6, 'mappings per block', figures => figures.mappings_per_block),
    ],
  },
  {
    name: 'codeslab-hardened',
    title: 'codeslab, hardened',
    isReplay: true,
    command: ({ rust, replays, root }) => [rust, 'replay-hardened', trace(root), String(replays)],
    bars: [noFailure],
  },
  {
    name: 'codeslab-batch',
    title: '  128 at once',
    isReplay: true,
    command: ({ rust, replays, root }) => [rust, 'replay-batches', trace(root), String(replays)],
    bars: [noFailure],
    goals: [
      {
        text: 'at most 0.85 × the floor’s time',
        passes: figures => (figures.times_floor ?? Infinity) <= 0.85,
      },
    ],
  },
  {
    name: 'codeslab-batch-hardened',
    title: '  128 at once, hardened',
    isReplay: true,
    command: ({ rust, replays, root }) => [rust, 'replay-batches-hardened', trace(root), String(replays)],
    bars: [noFailure],
  },
  {
    name: 'codeslab-node',
    title: 'codeslab, through Node',
    isReplay: true,
    command: ({ node, replays, root }) => [node, join(root, 'bench/replay.ts'), trace(root), String(replays)],
    bars: [noFailure],
  },
  {
    name: 'codeslab-node-batch',
    title: '  128 at once',
    isReplay: true,
    command: ({ node, replays, root }) => [node, join(root, 'bench/replay.ts'), trace(root), String(replays), '128'],
    bars: [noFailure],
    goals: [atMost(2.5, 'µs per object'), atMost(1.6, '× content in memory', figures => figures.memory_per_content)],
  },
  {
    name: 'llvm-inprocess',
    title: 'LLVM 19 InProcessMemoryManager',
    isReplay: true,
    command: settings => llvm(settings, 'inprocess'),
    bars: [],
  },
  {
    name: 'llvm-mapper',
    title: 'LLVM 19 MapperJITLinkMemoryManager',
    isReplay: true,
    command: settings => llvm(settings, 'mapper'),
    bars: [],
  },
  {
    name: 'jit-allocator2',
    title: 'jit-allocator2, no data',
    isReplay: true,
    command: settings => peer(settings, 'replay-jit-allocator2', trace(settings.root), settings.replays),
    bars: [],
  },
  {
    name: 'arena',
    title: 'cranelift-jit arena, one by one',
    isReplay: true,
    command: settings => peer(settings, 'replay-arena', trace(settings.root), settings.replays),
    bars: [],
  },
  {
    name: 'arena-at-once',
    title: 'cranelift-jit arena, finalized at the end',
    isReplay: true,
    command: settings => peer(settings, 'replay-arena-at-once', trace(settings.root), settings.replays),
    bars: [],
  },
  {
    name: 'churn',
    title: 'place and free 256 B, one thread',
    command: ({ rust }) => [rust, 'churn', '-', String(PAIRS)],
    bars: [],
    goals: [noFailure, atMost(0.06, 'µs per pair')],
  },
  {
    name: 'churn-hardened',
    title: '  hardened',
    command: ({ rust }) => [rust, 'churn-hardened', '-', String(PAIRS)],
    bars: [noFailure],
  },
  {
    name: 'churn-jit-allocator2',
    title: '  jit-allocator2',
    command: settings => peer(settings, 'churn-jit-allocator2', '-', PAIRS),
    bars: [],
  },
  {
    name: 'churn-2',
    title: 'place and free 256 B, two threads',
    command: ({ rust }) => [rust, 'churn-2', '-', String(PAIRS)],
    bars: [],
    goals: [noFailure, atMost(0.08, 'µs per pair of each')],
  },
  {
    name: 'churn-2-jit-allocator2',
    title: '  jit-allocator2, behind a lock',
    command: settings => peer(settings, 'churn-2-jit-allocator2', '-', PAIRS),
    bars: [],
  },
  {
    name: 'holes',
    title: 'place into holes',
    command: ({ rust }) => [rust, 'holes', '-', String(HOLES)],
    bars: [],
    goals: [noFailure, atMost(0.2, 'µs per placing')],
  },
  {
    name: 'holes-jit-allocator2',
    title: '  jit-allocator2',
    command: settings => peer(settings, 'holes-jit-allocator2', '-', HOLES),
    bars: [],
  },
  {
    name: 'million',
    title: 'a million live',
    command: ({ rust }) => [rust, 'million', '-', String(LIVE)],
    bars: [],
    goals: [
      noFailure,
      atMost(1.25, '× the time of the first 10,000', figures => figures.times_first),
      atMost(0.04, '× content as metadata', figures => figures.metadata_per_content),
      atMost(2, 'MiB left after freeing all', figures => figures.mib_left),
    ],
  },
  {
    name: 'million-jit-allocator2',
    title: '  jit-allocator2',
    command: settings => peer(settings, 'million-jit-allocator2', '-', LIVE),
    bars: [],
  },
  {
    name: 'million-arena',
    title: '  cranelift-jit arena, finalized at the end',
    command: settings => peer(settings, 'million-arena', '-', LIVE),
    bars: [],
  },
  {
    name: 'claim',
    title: 'find and claim a place among foreign mappings',
    command: ({ rust }) => [rust, 'claim', '-', String(CROWDS)],
    bars: [],
    goals: [noFailure, atMost(20, 'µs')],
  },
  {
    name: 'foreign',
    title: '  and open a block there',
    command: ({ rust }) => [rust, 'foreign', '-', String(CROWDS)],
    bars: [],
    goals: [noFailure],
  },
  {
    name: 'alone',
    title: '  nothing in the way',
    command: ({ rust }) => [rust, 'alone', '-', String(CROWDS)],
    bars: [],
  },
  {
    name: 'link-libz',
    title: 'link libz.a, in Rust',
    command: ({ rust, libz }) => (libz ? [rust, 'link', libz, String(LINKS)] : 'no libz.a was given'),
    bars: [noFailure, atMost(40, 'µs per object')],
  },
  {
    name: 'link-libz-node',
    title: 'link libz.a, through Node',
    command: ({ node, root, libz }) =>
      libz ? [node, join(root, 'bench/link.ts'), libz, String(LINKS)] : 'no libz.a was given',
    bars: [noFailure, atMost(40, 'µs per object')],
  },
  names('externals', 'link 100,000 names that the embedder gives'),
  names('commons', '  100,000 tentative definitions'),
  names('undefined', '  100,000 names that nothing defines, told by an error'),
  {
    name: 'link-libz-orc',
    title: 'link libz.a, LLVM 19 ORC',
    command: ({ orc, libz }) => {
      if (!libz) return 'no libz.a was given'
      return orc ? [orc, libz, String(LINKS)] : NO_LLVM
    },
    bars: [noFailure],
  },
  making('write', 'allocate, write, finalize, free 64 B, through Node', 2),
  making('publish', '  publish, free', 2),
  making('call', '  allocate, write, finalize, call, free', 5),
  making('publish-call', '  publish, call, free', 5),
  making('link', 'link an object of one function and free it, through Node', 5),
  {
    name: 'call-node',
    title: 'call int32 (int32, int32), through Node',
    command: ({ node, root }) => [node, join(root, 'bench/call.ts'), '-', String(CALLS)],
    bars: [atMost(0.06, 'µs per call')],
  },
  {
    name: 'calls',
    title: '  against WebAssembly and koffi',
    command: ({ node, root }) => [node, join(root, 'bench/calls.ts'), '-', String(COMPARED)],
    bars: [],
    goals: [
      atMost(1.6, '× WebAssembly, int32 (int32, int32)', figures => figures.int32_times_wasm),
      atMost(1.6, '× WebAssembly, double (double, double)', figures => figures.double_times_wasm),
      atMost(1.6, '× WebAssembly, void ()', figures => figures.void_times_wasm),
      atMost(2.5, '× WebAssembly, uint64 (uint64)', figures => figures.uint64_times_wasm),
      atMost(1, '× koffi, pointer, by Node-API', figures => figures.pointer_times_koffi),
      atMost(1, '× koffi, qsort of 100,000', figures => figures.sort_times_koffi),
    ],
  },
]

/** A link of very many names, of which each takes as long as one of few. */
function names(name: string, title: string): Scenario {
  return {
    name,
    title,
    command: ({ rust }) => [rust, name, '-', String(NAMES)],
    bars: [],
    goals: [atMost(2, '× the time of one among 10,000', figures => figures.times_first)],
  }
}

/** The life of one function through Node, in at most so many microseconds. */
function making(row: string, title: string, limit: number): Scenario {
  return {
    name: `making-${row}`,
    title,
    command: ({ node, root }) => [node, join(root, 'bench/making.ts'), row, String(MADE)],
    bars: [noFailure],
    goals: [atMost(limit, 'µs')],
  }
}

function trace(root: string): string {
  return join(root, 'bench/libc.trace')
}

function llvm({ llvm, root, replays }: Settings, manager: string): string[] | string {
  return llvm ? [llvm, manager, trace(root), String(replays)] : NO_LLVM
}

function peer({ rust, peers }: Settings, scenario: string, file: string, count: number): string[] | string {
  return peers ? [rust, scenario, file, String(count)] : 'the peers could not be built'
}

function atMost(
  limit: number,
  unit: string,
  figure: (figures: Figures) => number | null | undefined = figures => figures.us_per_object,
): Bar {
  return { text: `at most ${limit} ${unit}`, passes: figures => (figure(figures) ?? Infinity) <= limit }
}
