/** The types of functions, with the names that `node:ffi` gives them. */

/**
 * An integer of at most 32 bits, or a float: a JavaScript number.
 *
 * `char` is signed where C's is. `bool` is another spelling of `uint8`, as in `node:ffi`: pass 0 or 1.
 *
 * @example
 * ```ts
 * import type { NumberType } from 'codeslab'
 *
 * const counter: NumberType = 'uint32'
 * ```
 *
 * @category Calling
 */
export type NumberType =
  | ('char' | 'bool' | 'int8' | 'i8' | 'uint8' | 'u8' | 'int16' | 'i16' | 'uint16' | 'u16')
  | ('int32' | 'i32' | 'uint32' | 'u32')
  | ('float32' | 'f32' | 'float' | 'float64' | 'f64' | 'double')

/**
 * An integer of 64 bits: a bigint. As an argument, a number that is a safe integer does as well.
 *
 * @example
 * ```ts
 * import type { BigIntType } from 'codeslab'
 *
 * const length: BigIntType = 'uint64'
 * ```
 *
 * @category Calling
 */
export type BigIntType = 'int64' | 'i64' | 'uint64' | 'u64'

/**
 * An address. All of these names mean the same, as in `node:ffi`; they tell the reader what is behind it.
 *
 * @example
 * ```ts
 * import type { PointerType } from 'codeslab'
 *
 * const text: PointerType = 'string'
 * ```
 *
 * @category Calling
 */
export type PointerType = 'pointer' | 'ptr' | 'string' | 'str' | 'buffer' | 'arraybuffer' | 'function'

/**
 * What an argument can be.
 *
 * @example
 * ```ts
 * import type { ArgumentType } from 'codeslab'
 *
 * const types = ['int32', 'double', 'pointer'] as const satisfies ArgumentType[]
 * ```
 *
 * @category Calling
 */
export type ArgumentType = NumberType | BigIntType | PointerType

/**
 * What a result can be: any type, or `'void'`.
 *
 * @example
 * ```ts
 * import type { ResultType } from 'codeslab'
 *
 * const nothing: ResultType = 'void'
 * ```
 *
 * @category Calling
 */
export type ResultType = 'void' | ArgumentType

/**
 * What a function takes and returns, in the shape of `node:ffi`.
 *
 * TypeScript infers the type of the callable from it, as long as it is written in place or `as const`.
 *
 * @example
 * ```ts
 * import type { Signature } from 'codeslab'
 *
 * const binary = { return: 'int32', arguments: ['int32', 'int32'] } as const satisfies Signature
 * ```
 *
 * @category Calling
 */
export interface Signature {
  /** The type of the result. Default: `'void'`. */
  readonly return?: ResultType
  /** The types of the arguments. Default: none. */
  readonly arguments?: readonly ArgumentType[]
}

/**
 * What can be passed as an address.
 *
 * A bigint is the address itself. Buffers and views lend the address of their bytes for the duration of the call; native
 * code that keeps it longer reads freed memory. A string is copied, as UTF-8 with a NUL at its end, for the duration of the
 * call; one that contains a NUL is refused. A function that has its address in `pointer`, such as those of
 * {@link Image.function} and of `node:ffi`, passes that. `null` and `undefined` are null.
 *
 * @example
 * ```ts
 * import type { PointerValue } from 'codeslab'
 *
 * const values: PointerValue[] = [0x1000n, Buffer.from('bytes'), 'text', null]
 * ```
 *
 * @category Calling
 */
export type PointerValue = bigint | ArrayBufferView | ArrayBuffer | string | NativeFunctionLike | null | undefined

/**
 * A function that says where its code is, such as those of {@link Image.function} and of `node:ffi`.
 *
 * @example
 * ```ts
 * import type { Image, NativeFunctionLike } from 'codeslab'
 *
 * declare const image: Image
 * const compare: NativeFunctionLike = image.function('compare', { return: 'int32', arguments: ['pointer', 'pointer'] })
 * ```
 *
 * @category Calling
 */
export interface NativeFunctionLike {
  (...values: never[]): unknown
  /** Where its code is. */
  readonly pointer: bigint
}

/**
 * What JavaScript passes for an argument of a type.
 *
 * @example
 * ```ts
 * import type { ArgumentValue } from 'codeslab'
 *
 * const length: ArgumentValue<'uint64'> = 64 // or 64n
 * ```
 *
 * @category Calling
 */
export type ArgumentValue<Type extends ArgumentType> = Type extends NumberType
  ? number
  : Type extends BigIntType
    ? bigint | number
    : PointerValue

/**
 * What JavaScript gets for a result of a type.
 *
 * @example
 * ```ts
 * import type { ResultValue } from 'codeslab'
 *
 * const checksum: ResultValue<'uint64'> = 3421780262n
 * ```
 *
 * @category Calling
 */
export type ResultValue<Type extends ResultType> = Type extends 'void'
  ? undefined
  : Type extends NumberType
    ? number
    : bigint

/**
 * Native code as a JavaScript function.
 *
 * It takes exactly the arguments of its signature, and nothing is coerced: a wrong count throws a `TypeError` with
 * `ERR_INVALID_ARG_COUNT`, a wrong type one with `ERR_INVALID_ARG_TYPE`, and a value that the type does not have a
 * `RangeError` with `ERR_OUT_OF_RANGE`. While it exists the code that it calls is not collected, and while a call of it is running
 * that code is not freed; calling it after `free()` throws `ERR_CODESLAB_FREED`.
 *
 * Native code can do anything: a signature that does not match it, a pointer that it must not touch or a bug of its own
 * ends the process.
 *
 * @example
 * ```ts
 * import type { NativeFunction } from 'codeslab'
 *
 * type Add = NativeFunction<{ return: 'int32'; arguments: ['int32', 'int32'] }> // (a: number, b: number) => number
 * const twice = (add: Add, value: number): number => add(value, value)
 * ```
 *
 * @category Calling
 */
export type NativeFunction<S extends Signature = Signature> = ((
  ...values: ArgumentValues<S['arguments']>
) => ResultValue<ResultOf<S['return']>>) & {
  /** Where its code is. */
  readonly pointer: bigint
}

/**
 * What JavaScript passes for a list of types.
 *
 * @example
 * ```ts
 * import type { ArgumentValues } from 'codeslab'
 *
 * const values: ArgumentValues<['int32', 'pointer']> = [1, null]
 * ```
 *
 * @category Calling
 */
export type ArgumentValues<Types extends readonly ArgumentType[] | undefined> = Types extends readonly ArgumentType[]
  ? { -readonly [Index in keyof Types]: ArgumentValue<Extract<Types[Index], ArgumentType>> }
  : []

/**
 * The type of a result: the one that a signature declares, or `'void'` where it declares none.
 *
 * @example
 * ```ts
 * import type { ResultOf, Signature } from 'codeslab'
 *
 * type Result<S extends Signature> = ResultOf<S['return']>
 * ```
 *
 * @category Calling
 */
export type ResultOf<Declared> = Declared extends ResultType ? Declared : 'void'
