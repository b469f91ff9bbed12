import { readFileSync, rmSync } from 'node:fs'
import test from 'ava'
import { CodeMemory } from '../index.ts'
import { assemble, compile } from './helpers/compile.ts'
import { exceptionFor, testWith } from './helpers/exceptions.ts'
import { countingDown, literal, undefinedInstruction } from './helpers/machine-code.ts'
import { run } from './helpers/process.ts'
import { inWorkplace, missing } from './helpers/tools.ts'

/** Lines that the tests count: an inner function that can crash or take time, and an outer one. */
const source = `static int inner(int n) {
  if (n == 7) __builtin_trap();
  int sum = 0;
  for (int i = 0; i < n; i++)
    sum = sum * 3 + i;
  return sum;
}
int outer(int n) { return inner(n) + 1; }
`
const object = compile(source, '-O1', '-g', '-fno-inline', '-fdebug-prefix-map=/tmp=.')
const int32 = "{ return: 'int32', arguments: ['int32'] }"

const noGdb = exceptionFor('debuggers') ?? missing('gdb')
const withGdb = noGdb === undefined ? test : test.skip
const noPerf = exceptionFor('debuggers') ?? missing('perf')
const withPerf = noPerf === undefined ? test : test.skip
const titled = (title: string, reason: string | undefined) => (reason === undefined ? title : `${title}: ${reason}`)

withGdb(
  titled(
    'gdb names the functions and lines of a crash in linked code, and goes through JavaScript back to the start of Node',
    noGdb,
  ),
  t => {
    const program = `new CodeMemory().link(input('a.o')).function('outer', ${int32})(7)`
    inWorkplace(program, { 'a.o': object }, ({ run, program }) => {
      const said = run('gdb', '-q', '-batch', '-ex', 'run', '-ex', 'bt', '--args', ...program)
      t.regex(said, /#0 .* inner \(n=7\) at .*source\.c:2/)
      t.regex(said, /#1 .* outer \(n=.*\) at .*source\.c:8/)
      t.regex(said, /#\d+ .* in node::Start\(/, 'through all frames of JavaScript')
    })
  },
)

withGdb(titled('a breakpoint by file and line stops in code that is linked later', noGdb), t => {
  const program = `new CodeMemory().link(input('a.o')).function('outer', ${int32})(3)`
  inWorkplace(program, { 'a.o': object }, ({ run, program }) => {
    const commands = ['set breakpoint pending on', 'break source.c:5', 'run', 'print i', 'continue', 'print i']
    const said = run('gdb', '-q', '-batch', ...commands.flatMap(command => ['-ex', command]), '--args', ...program)
    t.regex(said, /Breakpoint 1, inner \(n=3\)/)
    t.regex(said, /\$1 = 0[\s\S]*\$2 = 1/)
  })
})

withGdb(titled('gdb names code that was placed by hand, by the name of its section or by another', noGdb), t => {
  const program = `
    const memory = new CodeMemory()
    const bytes = ${literal(undefinedInstruction)}
    memory.allocate({ unused: { protection: 'rx', bytes } }).finalize().free()
    const { text } = memory.allocate({ text: { protection: 'rx', bytes, name: 'crashes_by_hand' } }).finalize()
    text.function({})()
  `
  inWorkplace(program, {}, ({ run, program }) => {
    const said = run('gdb', '-q', '-batch', '-ex', 'run', '-ex', 'bt 1', '-ex', 'info symbol $pc', '--args', ...program)
    t.regex(said, /#0 .* crashes_by_hand \(\)/)
    t.notRegex(said, /unused/)
  })
})

const loop = `
  const bytes = ${literal(countingDown)}
`

withPerf(titled('perf report names code of a program that it records, with no option', noPerf), t => {
  const program = `${loop}
    const memory = new CodeMemory()
    memory.allocate({ placed_loop: { protection: 'rx', bytes } }).finalize().placed_loop.function({})()
    memory.link(input('a.o')).function('outer', ${int32})(300_000_000)
    console.log(process.pid, JSON.stringify(memory.tools))
  `
  inWorkplace(program, { 'a.o': object }, ({ run, program }) => {
    const said = run('perf', 'record', '-q', '-N', '-o', 'data', ...program)
    const [, pid = '', tools = ''] = /^(\d+) (.*)$/m.exec(said) ?? []
    const report = run('perf', 'report', '-i', 'data', '--stdio')
    rmSync(`/tmp/perf-${pid}.map`, { force: true })
    t.deepEqual(JSON.parse(tools), { perf: true, jitdump: false, gdb: false })
    t.regex(report, /%.* placed_loop$/m)
    t.regex(report, /%.* inner$/m, 'local functions as well')
  })
})

withPerf(titled('perf annotates linked code with its source, whatever the writer', noPerf), t => {
  const program = `
    const memory = new CodeMemory({ jitdump: true, writer: '${new CodeMemory().writer}' })
    memory.link(input('a.o')).function('outer', ${int32})(400_000_000)
  `
  inWorkplace(program, { 'a.o': object }, ({ run, program, files }) => {
    run('perf', 'record', '-q', '-k', 'mono', '-N', '-o', 'data', ...program)
    t.true(files().some(name => /^jit-\d+\.dump$/.test(name)))
    run('perf', 'inject', '-i', 'data', '--jit', '-o', 'named')
    t.regex(run('perf', 'report', '-i', 'named', '--stdio'), /%.* inner$/m)
    t.regex(run('perf', 'annotate', '-i', 'named', '--stdio', '-l', '-s', 'inner'), /\d+\.\d+ +.*source\.c:5/)
  })
})

testWith('filesForTools')('a perf map has a line for each function of code that is placed or linked', t => {
  const { output } = run(
    `
    const memory = new CodeMemory({ perf: true })
    const { twice } = memory.allocate({ twice: { protection: 'rx', size: 32 }, table: { protection: 'ro', size: 8 } }).finalize()
    const image = memory.link(input('a.o'))
    report({ pid: process.pid, writer: memory.writer, twice: twice.address, outer: image.address('outer') })`,
    { files: { 'a.o': object } },
  )
  const { pid, writer, twice, outer } = JSON.parse(output) as Record<'pid' | 'writer' | 'twice' | 'outer', string>
  const path = `/tmp/perf-${pid}.map`
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  rmSync(path)
  t.true(['self-mem', 'protect'].includes(writer))
  t.is(lines[0], `${twice.slice(2)} 20 twice`)
  t.true(lines.some(line => line.startsWith(outer.slice(2)) && line.endsWith(' outer')))
  t.true(lines.some(line => line.endsWith(' inner')))
  t.false(lines.some(line => line.includes('table')))
})

for (const [end, statement] of Object.entries({
  'calls process.exit': 'process.exit(0)',
  'fails by an exception that nothing catches': "throw new Error('for nobody')",
  'is killed a moment later': "setTimeout(() => process.kill(process.pid, 'SIGKILL'), 1000)",
})) {
  testWith('filesForTools')(`a perf map has all functions of a process that ${end}`, t => {
    const program = `
      const memory = new CodeMemory({ perf: true })
      for (let index = 0; index < 2000; index++) memory.allocate({ ['f' + index]: { protection: 'rx', size: 16 } }).finalize()
      report(process.pid)
      ${statement}`
    const { output } = run(program)
    const path = `/tmp/perf-${output.trim()}.map`
    const names = readFileSync(path, 'utf8').trim().split('\n')
    rmSync(path)
    t.deepEqual(
      names.map(line => line.split(' ')[2]),
      Array.from({ length: 2000 }, (_, index) => `f${String(index)}`),
    )
  })
}

testWith('filesForTools')(
  'the environment decides where a program does not, and nobody is told unless somebody watches',
  t => {
    const tools = (environment: Record<string, string>, options = '{}') => {
      const { output } = run(`report(new CodeMemory(${options}).tools)`, { environment })
      return JSON.parse(output) as unknown
    }
    t.deepEqual(tools({}), { perf: false, jitdump: false, gdb: false })
    t.deepEqual(tools({ CODESLAB_GDB: '1' }), { perf: false, jitdump: false, gdb: true })
    t.deepEqual(tools({ CODESLAB_GDB: '1' }, '{ gdb: false }'), { perf: false, jitdump: false, gdb: false })
    t.deepEqual(tools({ CODESLAB_GDB: '0', CODESLAB_JITDUMP: '0' }), { perf: false, jitdump: false, gdb: false })
  },
)

testWith('filesForTools')('a jitdump file that cannot be made is named', t => {
  const { output } = run(`report(caught(() => new CodeMemory({ jitdump: true })))`, {
    environment: { JITDUMPDIR: '/dev/null/nowhere' },
  })
  const error = JSON.parse(output) as Record<'code' | 'path' | 'message', string>
  t.is(error.code, 'ERR_CODESLAB_TOOL_FILE')
  t.regex(error.path, /^\/dev\/null\/nowhere\/jit-\d+\.dump$/)
  t.true(error.message.startsWith(error.path))
})

testWith('filesForTools')(
  'a link in the place of a file for profilers is refused, and what it leads to stays as it is',
  t => {
    const { output } = run(`
    const { mkdtempSync, rmSync, symlinkSync, writeFileSync } = await import('node:fs')
    const folder = mkdtempSync('/tmp/codeslab-tools-')
    const precious = folder + '/precious'
    process.env.JITDUMPDIR = folder
    const paths = { jitdump: folder + '/jit-' + process.pid + '.dump', perf: '/tmp/perf-' + process.pid + '.map' }
    const results = {}
    for (const [option, path] of Object.entries(paths)) {
      writeFileSync(precious, 'as it was')
      symlinkSync(precious, path)
      const { code, path: named } = caught(() => {
        const bytes = Uint8Array.of(0xc3)
        new CodeMemory({ [option]: true }).allocate({ text: { protection: 'rx', bytes } }).finalize()
      })
      results[option] = { code, isNamed: named === path, kept: readFileSync(precious, 'utf8') }
      rmSync(path)
    }
    rmSync(folder, { recursive: true })
    report(results)`)
    const refused = { code: 'ERR_CODESLAB_TOOL_FILE', isNamed: true, kept: 'as it was' }
    t.deepEqual(JSON.parse(output), { jitdump: refused, perf: refused })
  },
)

testWith('filesForTools')(
  'a function that says it is longer than its section, or lies elsewhere, is written to a jitdump file as far as it is there',
  t => {
    const lying = assemble(`
    .globl long_one
    .type long_one, @function
    .size long_one, 0x7fffffffff
    long_one: ret
    .section .debug_elsewhere, "", @progbits
    .type elsewhere, @function
    .size elsewhere, 4096
    elsewhere: .zero 4096
  `)
    // Sections that are not loaded have addresses of their own here.
    const table = Number(lying.readBigUInt64LE(0x28))
    for (let section = 0; section < lying.readUInt16LE(0x3c); section++)
      lying.writeBigUInt64LE(0x10_0000n, table + section * 64 + 0x10)
    const { output, complaints, signal } = run(
      `
    const { mkdtempSync, rmSync } = await import('node:fs')
    const folder = mkdtempSync('/tmp/codeslab-tools-')
    process.env.JITDUMPDIR = folder
    const memory = new CodeMemory({ jitdump: true })
    memory.link(input('lying.o'))
    const graph = {
      sections: [{ name: 'text', protection: 'rx', bytes: Uint8Array.of(0xc3) }],
      symbols: [{ name: 'whole_graph', section: 'text', offset: 0, size: 2 ** 40 }],
    }
    memory.link(graph)
    const dump = readFileSync(folder + '/jit-' + process.pid + '.dump')
    rmSync(folder, { recursive: true })
    report({ size: dump.length, names: ['long_one', 'elsewhere', 'whole_graph'].map(name => dump.includes(name)) })`,
      { files: { 'lying.o': lying } },
    )
    t.deepEqual([signal, complaints], [null, ''])
    const { size, names } = JSON.parse(output) as { size: number; names: boolean[] }
    t.true(size < 4096, String(size))
    t.deepEqual(names, [true, false, true])
  },
)

testWith('filesForTools')(
  'code that debuggers were told of is freed with its symbols: a program that goes on and on does not grow',
  t => {
    const program = `
    const memory = new CodeMemory({ gdb: true })
    const name = 'x'.repeat(10_000)
    const round = () => {
      for (let index = 0; index < 2000; index++) memory.allocate({ text: { protection: 'rx', size: 64, name } }).finalize().free()
      globalThis.gc()
      return process.memoryUsage.rss()
    }
    round()
    const before = round()
    report(Math.max(round(), round(), round()) - before)`
    const { output } = run(program, { flags: ['--expose-gc'] })
    t.true(Number(output) < 8 * 2 ** 20, output)
  },
)

test('tools and names are of the right types', t => {
  for (const option of ['perf', 'jitdump', 'gdb']) {
    t.throws(() => new CodeMemory({ [option]: 1 }), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  const name = 1 as unknown as string
  t.throws(() => new CodeMemory().allocate({ text: { protection: 'rx', size: 1, name } }), {
    code: 'ERR_INVALID_ARG_TYPE',
  })
})
