import test from 'ava'
import { objects } from './archive.ts'

function member(name: string, body: string): string {
  const padding = body.length % 2 === 0 ? '' : '\n'
  return `${name.padEnd(48)}${String(body.length).padEnd(10)}\`\n${body}${padding}`
}

function named(text: string): string[] {
  return [...objects(Buffer.from(text, 'latin1'), 'file.o')].map(({ name, bytes }) => `${name} ${bytes.length}`)
}

test('the objects of an archive are told from its other members, with long names and after odd sizes', t => {
  const parts = [
    member('/', 'index'),
    member('//', 'a_name_of_many_letters.o/\n'),
    member('a.o/', '\x7fELFa'),
    member('/0', '\x7fELF'),
  ]
  t.deepEqual(named(`!<arch>\n${parts.join('')}`), ['a.o 5', 'a_name_of_many_letters.o 4'])
})

test('an object is one by itself, and what is neither holds none', t => {
  t.deepEqual(named('\x7fELF'), ['file.o 4'])
  t.deepEqual(named('!<arch>\nabc'), [])
  t.deepEqual(named(''), [])
})
