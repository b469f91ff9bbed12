/** Loads the library in workers only, which end before the process does, one after the other and several at once. */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { add } from './machine-code.ts'

const program = `
  import { CodeMemory } from ${JSON.stringify(new URL('../../index.ts', import.meta.url).href)}
  const bytes = Uint8Array.from(${JSON.stringify([...add])})
  const { text } = new CodeMemory().allocate({ text: { protection: 'rx', bytes } }).finalize()
  const sum = text.function({ return: 'int32', arguments: ['int32', 'int32'] })(40, 2)
  if (sum !== 42) throw new Error('wrong')
`
const load = async (): Promise<unknown> => {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`))
  const [code] = (await once(worker, 'exit')) as [number]
  return code
}
const codes = [await load(), await load(), ...(await Promise.all([load(), load(), load()]))]
process.stdout.write(JSON.stringify(codes))
