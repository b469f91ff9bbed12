/** What is measured: one row, one program that prints a report, and the bars that its figures have to pass. */

import { join } from 'node:path'

/** Where things are, and how much work to do. */
export interface Settings {
  root: string
  /** The Node that runs the JavaScript scenarios. */
  node: string
  /** The release build of codeslab-bench. */
  rust: string
  /** The build of bench/llvm_peer.cpp, where LLVM is installed. */
  llvm: string | undefined
  /** `libz.a`, where it is installed. */
  libz: string | undefined
  replays: number
}

/** The medians of the samples of one scenario. */
export interface Figures {
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
  bars: Bar[]
}

const LINKS = 300
const CALLS = 20_000_000

const noFailure: Bar = { text: '0 failed', passes: figures => figures.failed === 0 }

export const scenarios: Scenario[] = [
  {
    name: 'floor',
    title: 'floor: bump pointers and memcpy',
    command: ({ rust, replays, root }) => [rust, 'replay-floor', trace(root), String(replays)],
    bars: [],
  },
  {
    name: 'codeslab',
    title: 'codeslab, in Rust',
    command: ({ rust, replays, root }) => [rust, 'replay', trace(root), String(replays)],
    bars: [
      noFailure,
      {
        text: 'at most 1.5 × the floor’s time',
        passes: figures => (figures.times_floor ?? 0) <= 1.5,
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
  },
  {
    name: 'codeslab-node',
    title: 'codeslab, through Node',
    command: ({ node, replays, root }) => [node, join(root, 'bench/replay.ts'), trace(root), String(replays)],
    bars: [noFailure],
  },
  {
    name: 'llvm-inprocess',
    title: 'LLVM 19 InProcessMemoryManager',
    command: settings => llvm(settings, 'inprocess'),
    bars: [],
  },
  {
    name: 'llvm-mapper',
    title: 'LLVM 19 MapperJITLinkMemoryManager',
    command: settings => llvm(settings, 'mapper'),
    bars: [],
  },
  {
    name: 'link-libz',
    title: 'link libz.a, in Rust',
    command: ({ rust, libz }) => (libz ? [rust, 'link', libz, String(LINKS)] : 'libz.a is not installed'),
    bars: [noFailure, atMost(40, 'µs per object')],
  },
  {
    name: 'link-libz-node',
    title: 'link libz.a, through Node',
    command: ({ node, root, libz }) =>
      libz ? [node, join(root, 'bench/link.ts'), libz, String(LINKS)] : 'libz.a is not installed',
    bars: [noFailure, atMost(40, 'µs per object')],
  },
  {
    name: 'call-node',
    title: 'call int32 (int32, int32), through Node',
    command: ({ node, root }) => [node, join(root, 'bench/call.ts'), '-', String(CALLS)],
    bars: [atMost(0.06, 'µs per call')],
  },
]

function trace(root: string): string {
  return join(root, 'bench/libc.trace')
}

function llvm({ llvm, root, replays }: Settings, manager: string): string[] | string {
  return llvm ? [llvm, manager, trace(root), String(replays)] : 'LLVM 19 is not installed (llvm-config-19)'
}

function atMost(limit: number, unit: string): Bar {
  return { text: `at most ${limit} ${unit}`, passes: figures => figures.us_per_object <= limit }
}
