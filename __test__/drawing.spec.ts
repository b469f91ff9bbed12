import test from 'ava'
import { CodeMemory, drawLayout, drawLayoutSvg, lookup, type MemoryLayout } from '../index.ts'

const placed = (memory: CodeMemory, name: string, size: number) =>
  memory.allocate({ text: { protection: 'rx', size, name }, state: { protection: 'rw', size: 100 } }).finalize()

test('text has each block and slab, how full they are, and names where they are known', t => {
  const memory = new CodeMemory()
  placed(memory, 'large one', 40_000)
  placed(memory, 'small one', 100)
  const text = drawLayout(memory.layout(), { label: ({ address }) => lookup(address)?.name })
  t.regex(text, /^block 0x[0-9a-f]+ +16 MiB, cluster 0\n/)
  // How much is committed for them is the system's pages' affair.
  const [, committed = ''] = /rx code +0x[0-9a-f]+ +39\.2 KiB of (\d+) KiB, 2 spans\n/.exec(text) ?? []
  t.regex(text, /rw data +0x[0-9a-f]+ +224 bytes of 64 KiB, 2 spans\n/)
  t.regex(text, /0x[0-9a-f]+ {2}large one +39\.1 KiB\n/)
  for (const line of text.split('\n')) t.true(line.length <= 80, line)
  // 40,112 bytes of them, of 76 cells.
  const [, cells = ''] = /rx code.*\n {2}\[(.*)\]/.exec(text) ?? []
  t.is(cells.length, 76)
  t.is((/^█+/.exec(cells)?.[0] ?? '').length, Math.floor((40_112 / (Number(committed) * 1024)) * 76))
  t.is(drawLayout(new CodeMemory().layout()), 'nothing is placed: there are no blocks')
})

test('a width is kept, and colours are there only on request', t => {
  const memory = new CodeMemory()
  placed(memory, 'x'.repeat(200), 10_000)
  const label = () => 'x'.repeat(200)
  for (const width of [40, 80, 120]) {
    const text = drawLayout(memory.layout(), { label, width })
    for (const line of text.split('\n').slice(0, -1)) t.true(line.length <= width, line)
    t.false(text.includes('\x1b'))
  }
  t.true(drawLayout(memory.layout(), { colors: true }).includes('\x1b[31m'))
})

test('of many spans the largest are listed, and the others counted', t => {
  const memory = new CodeMemory()
  for (let count = 0; count < 20; count++) placed(memory, 'one', 16 * (count + 1))
  const text = drawLayout(memory.layout())
  t.regex(text, /… 14 smaller spans/)
})

test('SVG is well-formed whatever the names are, and shows each span with its name', t => {
  const memory = new CodeMemory()
  placed(memory, 'f', 30_000)
  const name = 'operator<<(a & b, "c")\u0000\u0007'
  const svg = drawLayoutSvg(memory.layout(), { label: () => name })
  t.true(svg.includes('<title>operator&lt;&lt;(a &amp; b, &quot;c&quot;)\ufffd\ufffd, 0x'))
  // Every element is closed, and nothing but elements stands between < and >.
  const open: string[] = []
  for (const [, close, tag = '', self] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (close === '/') t.is(open.pop(), tag)
    else if (self !== '/') open.push(tag)
  }
  t.deepEqual(open, [])
  t.notRegex(svg, /script|href|NaN|undefined/)
  const { blocks } = memory.layout()
  const spans = blocks.flatMap(({ slabs }) => slabs.flatMap(slab => slab.spans))
  t.is(svg.match(/class="span /g)?.length, spans.length)
})

test('a layout of any shape is drawn: large, empty, with a slab of a byte', t => {
  const layout: MemoryLayout = {
    blocks: [
      { address: 2n ** 47n, size: 2 ** 40, cluster: 3, slabs: [] },
      {
        address: 0n,
        size: 4096,
        cluster: 0,
        slabs: [{ address: 4095n, size: 1, protection: 'ro', spans: [{ address: 4095n, size: 1 }] }],
      },
    ],
  }
  t.regex(drawLayout(layout), /1 TiB, cluster 3/)
  t.regex(drawLayout(layout), /1 byte of 1 byte, 1 span/)
  t.notRegex(drawLayoutSvg(layout), /NaN|Infinity/)
})

test('options that there are not, and widths that are none, are refused', t => {
  const { layout } = { layout: new CodeMemory().layout() }
  t.throws(() => drawLayout(layout, { widht: 1 } as never), { message: /'widht'.*width/ })
  t.throws(() => drawLayout(layout, { width: 39 }), { code: 'ERR_OUT_OF_RANGE', message: /from 40 to/ })
  t.throws(() => drawLayoutSvg(layout, { width: 100.5 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => drawLayout(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' })
})
