/** SQLite, linked from its source, with rows, SQL functions and errors that are JavaScript. */

import test from 'ava'
import { CodeMemory, out } from '../index.ts'
import { builtLibrary } from './helpers/compile.ts'

const memory = new CodeMemory()
const names = ['open', 'exec', 'close_v2', 'free', 'create_function_v2', 'value_double', 'value_text', 'result_double']
const sqlite = memory.link(
  { name: 'libsqlite3.a', bytes: builtLibrary('libsqlite3.a') },
  { roots: names.map(name => `sqlite3_${name}`) },
)

const each = { return: 'int', arguments: ['pointer', 'int', 'pointer', 'pointer'] } as const
const step = { arguments: ['pointer', 'int', 'pointer'] } as const
const open = sqlite.function('sqlite3_open', { return: 'int', arguments: ['string', out('pointer')] })
const close = sqlite.function('sqlite3_close_v2', { return: 'int', arguments: ['pointer'] })
const exec = sqlite.function('sqlite3_exec', {
  return: 'int',
  arguments: ['pointer', 'string', each, 'pointer', out('pointer')],
})
const create = sqlite.function('sqlite3_create_function_v2', {
  return: 'int',
  arguments: ['pointer', 'string', 'int', 'int', 'pointer', 'function', 'pointer', 'pointer', 'pointer'],
})
const numberOf = sqlite.function('sqlite3_value_double', { return: 'double', arguments: ['pointer'] })
const textOf = sqlite.function('sqlite3_value_text', { return: 'char *', arguments: ['pointer'] })
const answer = sqlite.function('sqlite3_result_double', { arguments: ['pointer', 'double'] })
const release = sqlite.function('sqlite3_free', { arguments: ['pointer'] })

/** The words of an array of pointers. */
function pointers(address: bigint, count: number): bigint[] {
  const bytes = memory.readAt(address, count * 8)
  return [...new BigUint64Array(bytes.buffer, bytes.byteOffset, count)]
}

function connect(): bigint {
  const database = [0n]
  if (open(':memory:', database) !== 0) throw new Error('no database')
  return database[0] ?? 0n
}

/** The rows of a statement, by `sqlite3_exec`. */
function query(database: bigint, sql: string): Record<string, string | null>[] {
  const rows: Record<string, string | null>[] = []
  const complaint = [0n]
  const text = (address: bigint) => (address === 0n ? null : memory.stringAt(address))
  const status = exec(
    database,
    sql,
    (_data, count, values, columns) => {
      const names = pointers(columns, count).map(text)
      rows.push(Object.fromEntries(pointers(values, count).map((value, index) => [names[index] ?? '', text(value)])))
      return 0
    },
    null,
    complaint,
  )
  if (status === 0) return rows
  const [address = 0n] = complaint
  const message = text(address) ?? ''
  release(address)
  throw new Error(message)
}

test('rows are given to JavaScript, and what is wrong with a statement comes back as text', t => {
  const database = connect()
  query(
    database,
    `create table fruit (name text, weight real); insert into fruit values ('Äpfel', 1.5), ('pear', null)`,
  )
  t.deepEqual(query(database, 'select * from fruit order by name'), [
    { name: 'pear', weight: null },
    { name: 'Äpfel', weight: '1.5' },
  ])
  t.throws(() => query(database, 'select * from nowhere'), { message: /no such table: nowhere/ })
  t.is(close(database), 0)
})

test('SQL calls functions of JavaScript, for every row, and what one throws comes out of the query', t => {
  const database = connect()
  const seen: string[] = []
  const scale = memory.callback(step, (context, count, values) => {
    const [name = 0n, number = 0n] = pointers(values, count)
    const text = textOf(name) ?? ''
    if (text === 'plum') throw new RangeError('no plums')
    seen.push(text)
    answer(context, numberOf(number) * 2)
  })
  t.is(create(database, 'scaled', 2, 1, null, scale, null, null, null), 0)
  query(
    database,
    `create table t (name text, n real);
     with recursive up(k) as (select 1 union all select k + 1 from up where k < 1000)
     insert into t select 'n' || k, k from up`,
  )
  t.deepEqual(query(database, 'select sum(scaled(name, n)) as total from t'), [{ total: '1001000.0' }])
  t.is(seen.length, 1000)
  t.is(seen.at(-1), 'n1000')
  t.throws(() => query(database, `select scaled('plum', 1)`), { instanceOf: RangeError, message: 'no plums' })
  t.deepEqual(query(database, `select scaled('n', 4) as one`), [{ one: '8.0' }], 'it goes on')
  t.is(close(database), 0)
  scale.dispose()
})
