/**
 * A program with plugins in C: each source file in a folder is compiled, loaded and called; compiled again when it changes, while calls go
 * on; and unloaded when it is deleted. A plugin that does not compile, or is none, is reported, and the version before it stays.
 *
 *     npm run demo:plugins
 */

import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { CodeMemory, CodeslabError, type Callback, type Image, type Slot } from 'codeslab'

const INTERFACE = 1
const transformation = { return: 'size_t', arguments: ['string', 'buffer', 'size_t'] } as const

interface Plugin {
  image: Image
  /** Where calls arrive: it leads to the newest version. */
  slot: Slot
  transform: (text: string, result: Buffer, room: number) => bigint
}

interface Events {
  loaded: [name: string]
  unloaded: [name: string]
  refused: [name: string, reason: string]
  log: [line: string]
}

/** The plugins of a folder, by the names of their files without `.c`. */
class Plugins extends EventEmitter<Events> {
  readonly #memory = new CodeMemory()
  readonly #plugins = new Map<string, Plugin>()
  readonly #queues = new Map<string, Promise<void>>()
  readonly #folder: string
  readonly #host: Callback

  constructor(folder: string) {
    super()
    this.#folder = folder
    this.#host = this.#memory.callback(
      { arguments: ['pointer'] },
      line => void this.emit('log', this.#memory.stringAt(line)),
    )
  }

  /** Loads what is in the folder, and from now on what changes there, until the signal. */
  async open(signal: AbortSignal): Promise<void> {
    watch(this.#folder, { signal }, (_event, file) => {
      if (file?.endsWith('.c')) void this.#refresh(basename(file, '.c'))
    })
    const names = readdirSync(this.#folder).filter(file => file.endsWith('.c'))
    await Promise.all(names.map(file => this.#refresh(basename(file, '.c'))))
  }

  call(name: string, text: string): string {
    const plugin = this.#plugins.get(name)
    if (plugin === undefined)
      throw new Error(`no plugin ${name}, only ${[...this.#plugins.keys()].join(', ') || 'none'}`)
    const result = Buffer.alloc(1024)
    return result.toString('utf8', 0, Number(plugin.transform(text, result, result.length)))
  }

  close(): void {
    for (const name of this.#plugins.keys()) this.#unload(name)
    this.#host.dispose()
    assert.equal(this.#memory.stats().live, 0, 'no code is left')
    this.#memory.dispose()
  }

  /** Brings a plugin up to its file. What happens to one plugin happens in turn: editors write a file more than once. */
  #refresh(name: string): Promise<void> {
    const turn = (this.#queues.get(name) ?? Promise.resolve()).then(async () => {
      try {
        if (existsSync(this.#source(name))) this.#replace(name, await this.#build(name))
        else this.#unload(name)
      } catch (error) {
        this.emit('refused', name, reasonOf(error))
      }
    })
    this.#queues.set(name, turn)
    return turn
  }

  #source(name: string): string {
    return join(this.#folder, `${name}.c`)
  }

  /** Compiles in another process and links what comes of it. Constructors have run when the image is there. */
  #build(name: string): Promise<Image> {
    return this.#memory.cc({
      file: this.#source(name),
      flags: ['-g', '-Wall'],
      externals: { host_log: this.#host.pointer },
    })
  }

  /** Has calls arrive in a new version. The old one goes when the calls that are in it have returned. */
  #replace(name: string, image: Image): void {
    try {
      const compiledFor = image.data('plugin_interface', 'int32').value
      if (compiledFor !== INTERFACE) throw new Error(`is for interface ${compiledFor}, and this is ${INTERFACE}`)
      const transform = image.function('transform', transformation)
      const old = this.#plugins.get(name)
      if (old === undefined) {
        const slot = this.#memory.slot(transform)
        this.#plugins.set(name, { image, slot, transform: slot.function(transformation) })
      } else {
        old.slot.replace(transform)
        old.image.free()
        old.image = image
      }
    } catch (error) {
      image.free()
      throw error
    }
    this.emit('loaded', name)
  }

  #unload(name: string): void {
    const plugin = this.#plugins.get(name)
    if (plugin === undefined) return
    this.#plugins.delete(name)
    plugin.slot.free()
    plugin.image.free()
    this.emit('unloaded', name)
  }
}

/** The first error of the compiler, or what codeslab says. */
function reasonOf(error: unknown): string {
  if (!(error instanceof CodeslabError)) return String(error)
  const mistake = error.diagnostics?.find(({ kind }) => kind === 'error')
  return mistake === undefined ? `${error.code}: ${error.message}` : `line ${mistake.line}: ${mistake.message}`
}

await demonstrate()

async function demonstrate(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-plugins-'))
  const stop = new AbortController()
  const deadline = AbortSignal.timeout(60_000)
  const plugins = new Plugins(folder)
  const log: string[] = []
  plugins.on('log', line => log.push(line))
  plugins.on('refused', (name, reason) => {
    console.log(`refused ${name}: ${reason}`)
  })
  /** Writes a plugin, and waits until it is there or refused. */
  const change = async (name: string, outcome: 'loaded' | 'refused', source: string) => {
    const event = once(plugins, outcome, { signal: deadline })
    writeFileSync(join(folder, 'next'), source)
    renameSync(join(folder, 'next'), join(folder, `${name}.c`))
    return event
  }
  try {
    cpSync(join(import.meta.dirname, 'plugins'), folder, { recursive: true })
    await plugins.open(stop.signal)
    show('upper', plugins.call('upper', 'plain C'), 'PLAIN C')
    show('count', plugins.call('count', 'first'), '1: first')
    show('count again', plugins.call('count', 'second'), '2: second')

    const upper = readFileSync(join(folder, 'upper.c'), 'utf8')
    await change('upper', 'loaded', upper.replace('toupper', 'tolower'))
    show('upper, changed', plugins.call('upper', 'Plain C'), 'plain c')
    await change('upper', 'refused', upper.replace('strlen(text)', 'strlen(txt)'))
    show('upper, broken', plugins.call('upper', 'Plain C'), 'plain c')
    await change('upper', 'refused', upper.replace('PLUGIN_INTERFACE;', '2;'))
    show('upper, for another program', plugins.call('upper', 'Plain C'), 'plain c')

    const gone = once(plugins, 'unloaded', { signal: deadline })
    rmSync(join(folder, 'count.c'))
    show('deleted', String(await gone), 'count')
    assert.throws(() => plugins.call('count', 'third'), /no plugin count, only upper/)
    show('what count logged', log.join('; '), 'count is loaded; count goes after 2 calls')
  } finally {
    stop.abort()
    plugins.close()
    rmSync(folder, { recursive: true })
  }
}

function show(what: string, value: string, expected: string): void {
  console.log(`  ${what.padEnd(28)} ${value}`)
  assert.equal(value, expected, what)
}
