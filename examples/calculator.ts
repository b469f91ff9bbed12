/**
 * A calculator that compiles: an expression becomes a C function in the middle of the program, is called for one value or for millions of
 * them, and is freed again.
 *
 *     npm run demo:calculator
 *     npm run demo:calculator 'sqrt(x * x + y * y)' x=3 y=4
 *
 * An expression is read before it is compiled, since what is compiled can do everything that this process can.
 */

import assert from 'node:assert/strict'
import { CodeMemory, type Image } from 'codeslab'

/** The functions of C's math.h that an expression may call, with the number of their arguments. */
const FUNCTIONS = new Map([
  ...['sqrt', 'cbrt', 'exp', 'log', 'sin', 'cos', 'tan', 'floor', 'ceil', 'fabs'].map(name => [name, 1] as const),
  ...['pow', 'hypot', 'fmod', 'atan2', 'fmin', 'fmax'].map(name => [name, 2] as const),
])

const memory = new CodeMemory()

/** A compiled expression. */
class Expression {
  /** Its variables in the order in which they first appear. */
  readonly variables: readonly string[]
  readonly #image: Image
  readonly #evaluate: (...values: number[]) => number
  readonly #tabulate: (...values: (Float64Array | number)[]) => void

  /** Reads an expression, compiles it, and links what comes of it. */
  static async compile(text: string): Promise<Expression> {
    const variables = variablesOf(text)
    const image = await memory.cc({
      source: sourceOf(text, variables),
      name: 'expression.c',
      flags: ['-fno-math-errno'],
    })
    return new Expression(variables, image)
  }

  private constructor(variables: readonly string[], image: Image) {
    this.variables = variables
    this.#image = image
    const doubles = this.variables.map(() => 'double' as const)
    this.#evaluate = this.#image.function('evaluate', { return: 'double', arguments: doubles })
    const columns = this.variables.map(() => 'buffer' as const)
    const table = { return: 'void', arguments: ['size_t', 'buffer', ...columns] } as const
    this.#tabulate = this.#image.function('tabulate', table) as (...values: (Float64Array | number)[]) => void
  }

  /** The value for one value of each variable. */
  evaluate(values: Readonly<Record<string, number>>): number {
    return this.#evaluate(...this.variables.map(name => values[name] ?? NaN))
  }

  /** The values for each row of some columns: one call, and the loop is compiled, too. */
  tabulate(columns: Readonly<Record<string, Float64Array>>): Float64Array {
    const inputs = this.variables.map(name => columns[name] ?? new Float64Array())
    const rows = Math.min(...inputs.map(column => column.length))
    const results = new Float64Array(rows)
    this.#tabulate(rows, results, ...inputs)
    return results
  }

  [Symbol.dispose](): void {
    this.#image.free()
  }
}

/**
 * Reads an expression: numbers, variables, calls of known functions with the right number of arguments, `+ - * /` and parentheses.
 * Everything else is refused.
 */
function variablesOf(text: string): string[] {
  const tokens = text.match(/\d+(?:\.\d+)?(?:e[-+]?\d+)?|[a-z]\w*|[-+*/(),]|\S/gi) ?? []
  const variables = new Set<string>()
  let next = 0
  const fail = (): never => {
    throw new SyntaxError(`${text}: ${tokens[next] ?? 'the end'} is not expected there`)
  }
  const take = (token: string) => (tokens[next] === token ? ++next : fail())
  const sum = (): void => {
    do {
      while (tokens[next] === '-') next++
      operand()
    } while (/^[-+*/]$/.test(tokens[next] ?? '') && ++next)
  }
  const operand = (): void => {
    const token = tokens[next] ?? ''
    if (token === '(') {
      parenthesis(1)
      return
    }
    if (!/^[a-z\d]/i.test(token)) fail()
    next++
    const count = FUNCTIONS.get(token)
    if (count !== undefined) parenthesis(count)
    else if (!/^\d/.test(token)) variables.add(token)
  }
  const parenthesis = (count: number): void => {
    take('(')
    for (let index = 0; index < count; index++) {
      if (index > 0) take(',')
      sum()
    }
    take(')')
  }
  sum()
  if (next < tokens.length) fail()
  return [...variables]
}

/** The expression in C. Variables get names that C has no other use for. */
function sourceOf(text: string, variables: readonly string[]): string {
  const body = text
    .replaceAll(/(?<![\w.])[a-z]\w*/gi, name => (FUNCTIONS.has(name) ? name : `v_${name}`))
    // Numbers are doubles, and -- is two signs.
    .replaceAll(/(?<![\w.])\d+(?![\w.])/g, digits => `${digits}.0`)
    .replaceAll('-', ' -')
  const parameters = variables.map(name => `double v_${name}`).join(', ')
  const columns = variables.map(name => `, const double *v_${name}`).join('')
  return `
#include <math.h>
#include <stddef.h>
double evaluate(${parameters || 'void'}) { return ${body}; }
void tabulate(size_t rows, double *results${columns}) {
  for (size_t row = 0; row < rows; row++)
    results[row] = evaluate(${variables.map(name => `v_${name}[row]`).join(', ')});
}
`
}

const [text, ...given] = process.argv.slice(2)
if (text === undefined) await demonstrate()
else {
  using expression = await Expression.compile(text)
  const values = given.map(pair => pair.split('=')).map(([name = '', value]) => [name, Number(value)] as const)
  console.log(expression.evaluate(Object.fromEntries(values)))
}

async function demonstrate(): Promise<void> {
  await calculate('1 + 2 * 3', {}, 7)
  await calculate('hypot(x, y)', { x: 3, y: 4 }, 5)
  await calculate('(a - b) / (a + b)', { a: 3, b: 1 }, 0.5)
  await calculate('--x + int - 1.5e1', { x: 1, int: 2 }, -12)
  for (const text of ['system(x)', 'x; x', '1 +', 'sqrt(1, 2)', 'x[0]', '_', '']) {
    await assert.rejects(Expression.compile(text), SyntaxError, text)
  }
  await tabulate('sqrt(x * x + y * y) / (1 + exp(-x))', ({ x, y }) => Math.sqrt(x * x + y * y) / (1 + Math.exp(-x)))
  assert.equal(memory.stats().live, 0, 'no code is left')
}

async function calculate(text: string, values: Record<string, number>, expected: number): Promise<void> {
  using expression = await Expression.compile(text)
  const value = expression.evaluate(values)
  console.log(`  ${text.padEnd(20)} = ${value}`)
  assert.equal(value, expected)
}

/** Two columns of a million rows, by the compiled expression and by the same in JavaScript. */
async function tabulate(text: string, same: (row: { x: number; y: number }) => number): Promise<void> {
  const start = performance.now()
  using expression = await Expression.compile(text)
  console.log(`  ${text}\n    compiled and linked in ${(performance.now() - start).toFixed(0)} ms`)
  const x = Float64Array.from({ length: 1e6 }, (_, row) => (row + 1) / 1e5)
  const y = Float64Array.from(x, value => Math.sin(value))
  const ours = timed('a million rows in C', () => expression.tabulate({ x, y }))
  const theirs = timed('a million rows in JavaScript', () =>
    x.map((value, row) => same({ x: value, y: y[row] as number })),
  )
  const worst = ours.reduce((most, value, row) => Math.max(most, Math.abs(value / (theirs[row] as number) - 1)), 0)
  console.log(`    which differ by ${worst.toExponential(1)} of the value at most`)
  assert(worst < 1e-14)
}

function timed<Result>(what: string, action: () => Result): Result {
  const start = performance.now()
  const result = action()
  console.log(`    ${what}: ${(performance.now() - start).toFixed(1)} ms`)
  return result
}
