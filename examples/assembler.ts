/**
 * An assembler written in JavaScript feeds the linker: x86-64 text becomes a link graph, and the graph becomes functions.
 *
 *     npm run demo:assembler
 */

import assert from 'node:assert/strict'
import { AssemblyState, type AssembledSection, type AssembledSymbol, type Relocation } from '@defasm/core'
import { CodeMemory, type Graph, type GraphRelocation, type GraphSection, type GraphSymbol } from 'codeslab'

const source = `
.text
.globl checksum, letters, calls

# uint32_t checksum(const uint8_t *bytes, uint64_t count): table-driven, one table entry for each low bit pair
checksum:
    incl   call_count(%rip)
    lea    table(%rip), %r8
    xor    %eax, %eax
    test   %rsi, %rsi
    jz     done
next:
    movzbl (%rdi), %ecx
    and    $3, %ecx
    imul   $31, %eax, %eax
    add    (%r8, %rcx, 4), %eax
    inc    %rdi
    dec    %rsi
    jnz    next
done:
    ret

# uint64_t letters(const char *text): strlen, from the libc of this process, plus one
letters:
    sub    $8, %rsp
    call   strlen
    add    $8, %rsp
    inc    %rax
    ret

# uint32_t calls(void)
calls:
    mov    calls_at(%rip), %rax
    mov    (%rax), %eax
    ret

.section .rodata
table:
    .long 3, 14, 15, 92
calls_at:
    .quad call_count

.data
call_count:
    .long 0
`

const graph = assemble(source)
for (const { name, protection, relocations = [] } of graph.sections) {
  console.log(
    `${name} (${protection}): ${relocations.map(({ type, symbol }) => `${type} ${symbol}`).join(', ') || '-'}`,
  )
}

const memory = new CodeMemory()
const image = memory.link(graph)
const checksum = image.function('checksum', { return: 'uint32', arguments: ['pointer', 'uint64'] })
const letters = image.function('letters', { return: 'uint64', arguments: ['pointer'] })
const calls = image.function('calls', { return: 'uint32', arguments: [] })

const bytes = Buffer.from('assembled, placed, relocated, called\0')
const expected = bytes.reduce((sum, byte) => (Math.imul(sum, 31) + ([3, 14, 15, 92][byte & 3] ?? 0)) >>> 0, 0)
show('checksum(bytes)', checksum(bytes, bytes.length), expected)
show('checksum of nothing', checksum(bytes, 0), 0)
show('letters(bytes)', letters(bytes), BigInt(bytes.length))
show('calls()', calls(), 2)

image.free()
assert.equal(memory.stats().live, 0)

/** Sections, symbols and relocations in the words of the linker. */
function assemble(text: string): Graph {
  const state = new AssemblyState()
  state.compile(text)
  const [error] = state.errors
  if (error) throw error
  const sections = state.sections.filter(section => section.head.length() > 0)
  const names = new Set(sections.map(section => section.name))
  const defined = [...state.symbols.values()].filter(symbol => names.has(symbol.value.section.name))
  return { name: 'program.s', sections: sections.map(toSection), symbols: defined.map(toSymbol) }
}

function toSection(section: AssembledSection): GraphSection {
  const { name, head, flags, type } = section
  const writable = 0x1
  const executable = 0x4
  const noBits = 8
  const protection = flags & executable ? 'rx' : flags & writable ? 'rw' : 'ro'
  const content = type === noBits ? { size: head.length() } : { bytes: head.dump() }
  return { name, protection, align: 16, ...content, relocations: section.getRelocations().map(toRelocation) }
}

function toSymbol({ name, value, bind }: AssembledSymbol): GraphSymbol {
  return {
    name,
    section: value.section.name,
    offset: Number(value.addend),
    binding: bind === 1 ? 'global' : 'local',
  }
}

function toRelocation(relocation: Relocation): GraphRelocation {
  const { offset, addend, symbol } = relocation
  return { offset, addend: Number(addend), symbol: symbol.name, type: relocationType(relocation) }
}

/** What the processor does with the field tells what has to be put there. */
function relocationType({ size, signed, pcRelative, functionAddr }: Relocation): GraphRelocation['type'] {
  if (pcRelative && size === 32) return functionAddr ? 'R_X86_64_PLT32' : 'R_X86_64_PC32'
  if (pcRelative) return size === 64 ? 'R_X86_64_PC64' : `R_X86_64_PC${size}`
  return size === 32 && signed ? 'R_X86_64_32S' : `R_X86_64_${size}`
}

function show<Value>(what: string, value: Value, expected: Value): void {
  console.log(`  ${what.padEnd(20)} = ${String(value)}`)
  assert.equal(value, expected, what)
}
