/** Types beyond scalars, for signatures: structures, arrays, enumerations and pointers. */

import { checkObject, checkString, invalidType, invalidValue, outOfRange, toCount } from './internal/checks.ts'
import { construct } from './internal/construct.ts'
import './errors.ts'
import { append, get, isSafeInteger, makeList, ownKeys, set, toText } from './internal/intrinsics.ts'
import {
  arrayOf,
  checkSize,
  enumerationOf,
  layoutOf,
  NativeType,
  structure,
  toLayout,
  type Direction,
  type Field,
  type Layout,
} from './internal/types.ts'
import type { BigIntType, NumberType, PointerType, TextType } from './signature.ts'

export { NativeType } from './internal/types.ts'

/**
 * What can be a field or an element: a scalar by its name, or a type.
 *
 * @example
 * ```ts
 * import type { FieldType } from 'codeslab'
 *
 * const types: FieldType[] = ['double', 'pointer']
 * ```
 *
 * @category Calling
 */
export type FieldType = NumberType | BigIntType | Exclude<PointerType, 'arraybuffer'> | TextType | NativeType

/**
 * What a field of a type holds in JavaScript. `bool` is a boolean there, as in published data.
 *
 * @example
 * ```ts
 * import type { FieldValue } from 'codeslab'
 *
 * const width: FieldValue<'double'> = 2.5
 * ```
 *
 * @category Calling
 */
export type FieldValue<T> =
  T extends NativeType<infer Value> ? Value : T extends 'bool' ? boolean : T extends NumberType ? number : bigint

/**
 * What the fields of a structure hold.
 *
 * @example
 * ```ts
 * import type { StructureValue } from 'codeslab'
 *
 * const point: StructureValue<{ x: 'double'; y: 'double' }> = { x: 3, y: 4 }
 * ```
 *
 * @category Calling
 */
export type StructureValue<Fields extends Readonly<Record<string, FieldType>>> = {
  -readonly [Name in keyof Fields]: FieldValue<Fields[Name]>
}

/**
 * A structure, which is passed and returned by value. Its fields are laid out as C does: in their order, each at its alignment.
 *
 * In JavaScript it is an object with all of the fields; others are ignored. An address is a bigint in it, and nothing lends its bytes.
 *
 * @param name - What errors call it.
 * @param fields - The type of each field.
 * @throws `TypeError` with `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a type that there is not, no field at all, or more than
 * 64 KiB.
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory, struct } from 'codeslab'
 *
 * const Point = struct('Point', { x: 'double', y: 'double' })
 * const image = new CodeMemory().link(readFileSync('point.o')) // struct point middle(struct point, struct point);
 * const middle = image.function('middle', { return: Point, arguments: [Point, Point] })
 * middle({ x: 0, y: 0 }, { x: 2, y: 4 }) // { x: 1, y: 2 }
 * ```
 *
 * @category Calling
 */
export function struct<const Fields extends Readonly<Record<string, FieldType>>>(
  name: string,
  fields: Fields,
): NativeType<StructureValue<Fields>, 'struct'> {
  checkString(name, 'name')
  checkObject(fields, 'fields')
  const list = makeList<Field>()
  const names = ownKeys(fields)
  for (let index = 0; index < names.length; index++) {
    const field = names[index] as string
    append(list, { name: field, layout: toLayout(fields[field], `${name}.${field}`) })
  }
  if (list.length === 0) throw invalidValue('fields', 'those of a structure, which has one at least', fields)
  return new NativeType(construct, name, structure(list, name))
}

/**
 * An array inside of a structure, or behind a pointer. By itself C passes none by value.
 *
 * @param type - What is in it.
 * @param length - How many there are.
 * @throws `TypeError` or `RangeError` for a type or a length that there is not.
 * @example
 * ```ts
 * import { array, struct } from 'codeslab'
 *
 * const Matrix = struct('Matrix', { rows: array(array('float', 2), 2) })
 * ```
 *
 * @category Calling
 */
export function array<const T extends FieldType>(type: T, length: number): NativeType<FieldValue<T>[], 'array'> {
  const element = toLayout(type, 'type')
  const count = toCount(length, 'length')
  if (count === 0) throw outOfRange('length', 'above zero', length)
  checkSize(count * element.size, 'type')
  return new NativeType(construct, `${nameOf(type)}[${toText(count)}]`, arrayOf(element, count))
}

/**
 * An integer whose values have names: a name does where a number is passed. A result is the number.
 *
 * @param name - What errors call it.
 * @param values - The value of each name.
 * @param type - The integer that it is. Default: `'int32'`, as most enumerations of C are.
 * @throws `TypeError` or `RangeError` for values that the integer does not have.
 * @example
 * ```ts
 * import { enumeration } from 'codeslab'
 *
 * const Whence = enumeration('Whence', { SEEK_SET: 0, SEEK_CUR: 1, SEEK_END: 2 })
 * ```
 *
 * @category Calling
 */
export function enumeration<const Values extends Readonly<Record<string, number>>>(
  name: string,
  values: Values,
  type: Exclude<NumberType, 'float32' | 'f32' | 'float' | 'float64' | 'f64' | 'double' | 'bool'> = 'int32',
): NativeType<number | (keyof Values & string), 'enumeration'> {
  checkString(name, 'name')
  checkObject(values, 'values')
  const base = toLayout(type, 'type')
  const known = new Map<unknown, number>()
  const names = ownKeys(values)
  for (let index = 0; index < names.length; index++) {
    const key = names[index] as string
    const value: unknown = values[key]
    if (typeof value !== 'number' || !isSafeInteger(value)) throw invalidType(`values.${key}`, 'a whole number', value)
    base.encode(value, `values.${key}`, new Uint8Array(base.size), 0)
    set(known, key, value)
  }
  return new NativeType(construct, name, enumerationOf(base, known))
}

/**
 * A pointer to values of a type. Addresses, buffers and null are passed as they are; an object or an array becomes bytes that native code
 * reads until the call returns. With {@link out} and {@link inout} it writes them.
 *
 * @param type - What it leads to.
 * @example
 * ```ts
 * import { pointer, struct } from 'codeslab'
 *
 * const Point = struct('Point', { x: 'double', y: 'double' })
 * const signature = { return: 'double', arguments: [pointer(Point), 'size_t'] } as const // double length(struct point *, size_t)
 * ```
 *
 * @category Calling
 */
export function pointer<const T extends FieldType>(type: T): NativeType<PointedValue<T>, 'pointer'> {
  return pointerTo(type, 'in')
}

/**
 * As {@link pointer}, for what a function writes only: what it wrote is put into the object or array that was passed, when it has returned.
 *
 * @param type - What it leads to.
 * @example
 * ```ts
 * import type { Image } from 'codeslab'
 * import { out } from 'codeslab'
 *
 * declare const image: Image // void divide(int, int, int *quotient, int *rest);
 * const divide = image.function('divide', { arguments: ['int', 'int', out('int'), out('int')] })
 * const [quotient, rest] = [[0], [0]]
 * divide(7, 2, quotient, rest)
 * quotient[0] // 3
 * ```
 *
 * @category Calling
 */
export function out<const T extends FieldType>(type: T): NativeType<PointedValue<T>, 'pointer'> {
  return pointerTo(type, 'out')
}

/**
 * As {@link out}, for what a function reads as well.
 *
 * @param type - What it leads to.
 * @example
 * ```ts
 * import { inout } from 'codeslab'
 *
 * const signature = { arguments: [inout('double'), 'size_t'] } as const // void sort(double *, size_t)
 * ```
 *
 * @category Calling
 */
export function inout<const T extends FieldType>(type: T): NativeType<PointedValue<T>, 'pointer'> {
  return pointerTo(type, 'inout')
}

/**
 * What can be passed for a pointer to a type.
 *
 * @example
 * ```ts
 * import type { PointedValue } from 'codeslab'
 *
 * const numbers: PointedValue<'int32'> = [1, 2, 3]
 * ```
 *
 * @category Calling
 */
export type PointedValue<T> =
  | (T extends NativeType<infer Value, 'struct'> ? Partial<Value> | Partial<Value>[] : unknown[])
  | (bigint | ArrayBufferView | ArrayBuffer | null | undefined)

function pointerTo<T extends FieldType>(type: T, direction: Direction): NativeType<PointedValue<T>, 'pointer'> {
  const to = toLayout(type, 'type')
  return new NativeType(construct, `pointer to ${nameOf(type)}`, toLayout('pointer', 'type'), { to, direction })
}

function nameOf(type: unknown): string {
  return type instanceof NativeType ? type.name : toText(type)
}

/**
 * How many bytes a type has.
 *
 * @example
 * ```ts
 * import { sizeof, struct } from 'codeslab'
 *
 * sizeof(struct('Pair', { first: 'char', second: 'double' })) // 16
 * ```
 *
 * @category Calling
 */
export function sizeof(type: FieldType): number {
  return toLayout(type, 'type').size
}

/**
 * The alignment that C gives a type, in bytes.
 *
 * @example
 * ```ts
 * import { alignof } from 'codeslab'
 *
 * alignof('double') // 8
 * ```
 *
 * @category Calling
 */
export function alignof(type: FieldType): number {
  return toLayout(type, 'type').align
}

/**
 * Where a field of a structure begins, in bytes from its start.
 *
 * @param type - The structure.
 * @param field - The name of the field.
 * @throws `TypeError` with `ERR_INVALID_ARG_TYPE` for what is no structure, or `ERR_INVALID_ARG_VALUE` for a field that it does not have.
 * @example
 * ```ts
 * import { offsetof, struct } from 'codeslab'
 *
 * offsetof(struct('Pair', { first: 'char', second: 'double' }), 'second') // 8
 * ```
 *
 * @category Calling
 */
export function offsetof(type: NativeType, field: string): number {
  const layout: Layout | undefined = layoutOf(type)
  if (layout?.offsets === undefined) throw invalidType('type', 'a structure', type)
  const offset = get(layout.offsets, field)
  if (offset === undefined) throw invalidValue('field', `a field of ${type.name}`, field)
  return offset
}
