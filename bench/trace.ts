/**
 * Makes an allocation trace of relocatable ELF64 objects and of the archives that hold them.
 *
 *     node bench/trace.ts ARCHIVE... > bench/libc.trace
 *
 * One line per object: `rx_size rx_align ro_size ro_align rw_size rw_align relocations name`. Sections of one protection are
 * laid out one after another at their own alignment, as a linker for code in memory would do it. Objects that need no memory
 * are left out, and so are thread-local sections, which no allocator of code memory can place.
 *
 * `libc.trace` was made from the `libc.a` of Debian 12 (`cc -print-file-name=libc.a`).
 */

import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { objects, type Member } from './archive.ts'

interface Segment {
  size: number
  align: number
}

interface ObjectFile {
  /** Code, constants and data. */
  segments: [rx: Segment, ro: Segment, rw: Segment]
  relocations: number
}

/** Offsets and values of the ELF64 format, named as in the System V gABI. */
const ET_REL = 1
const SHT_RELA = 4
const SHF_WRITE = 0x1n
const SHF_ALLOC = 0x2n
const SHF_EXECINSTR = 0x4n
const SHF_TLS = 0x400n
const RELA_SIZE = 24

for (const path of process.argv.slice(2)) {
  for (const member of objects(readFileSync(path), basename(path))) {
    const line = traceLine(member)
    if (line !== undefined) console.log(line)
  }
}

function traceLine({ name, bytes }: Member): string | undefined {
  const object = layOut(bytes)
  if (!object?.segments.some(segment => segment.size > 0)) return undefined
  const sizes = object.segments.flatMap(segment => [segment.size, segment.align])
  return [...sizes, object.relocations, name.replaceAll(' ', '_')].join(' ')
}

function layOut(elf: Buffer): ObjectFile | undefined {
  const is64Bit = elf[4] === 2
  const isLittleEndian = elf[5] === 1
  if (!is64Bit || !isLittleEndian || elf.readUInt16LE(16) !== ET_REL) return undefined
  const object: ObjectFile = { segments: [emptySegment(), emptySegment(), emptySegment()], relocations: 0 }
  const table = Number(elf.readBigUInt64LE(40))
  const entrySize = elf.readUInt16LE(58)
  const count = elf.readUInt16LE(60)
  for (let index = 0; index < count; index++) addSection(object, elf, table + index * entrySize)
  return object
}

function addSection(object: ObjectFile, elf: Buffer, header: number): void {
  const flags = elf.readBigUInt64LE(header + 8)
  const size = Number(elf.readBigUInt64LE(header + 32))
  if (elf.readUInt32LE(header + 4) === SHT_RELA) object.relocations += size / RELA_SIZE
  if (!(flags & SHF_ALLOC) || flags & SHF_TLS || size === 0) return
  const align = Math.max(1, Number(elf.readBigUInt64LE(header + 48)))
  const segment = object.segments[flags & SHF_EXECINSTR ? 0 : flags & SHF_WRITE ? 2 : 1]
  segment.size = Math.ceil(segment.size / align) * align + size
  segment.align = Math.max(segment.align, align)
}

function emptySegment(): Segment {
  return { size: 0, align: 1 }
}
